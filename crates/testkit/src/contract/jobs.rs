//! The queue of background jobs.

use std::collections::BTreeSet;

use futures::future::join_all;
use memory_core::episode::Outcome;
use memory_core::id::{EpisodeId, JobId};
use memory_core::job::{Job, JobCounts, JobState, OpenJob, Priority, Retry};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::port::{JobListing, Source, StoreError};

use super::{add, claim, claim_one, later, record};
use crate::episode::{completion_insertion, finished, insertion, job, ok, open};
use crate::{Stores, TestSource};

fn success() -> NewEpisode {
    finished("a task", Outcome::Success, vec![ok("a"), ok("b")])
}

async fn counts(stores: &Stores) -> JobCounts {
    stores.jobs.counts().await.expect("counts")
}

/// An open episode queues none.
pub async fn finished_episodes_queue_one_job_each(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, open("a task")).await;
    assert_eq!(counts(&stores).await, JobCounts::default());
    assert_eq!(claim(&stores, &source).await, []);
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let end = completion_insertion(&source, &episode, NewEnding::default());
    stores.episodes.complete(id, end.clone()).await.expect("completed");
    assert_eq!(counts(&stores).await, JobCounts { queued: 1, ..JobCounts::default() });
    let oldest = stores.jobs.oldest().await.expect("a read");
    let claimed = claim_one(&stores, &source).await;
    assert!(oldest.is_some() && oldest == claimed.id.made_at(), "{oldest:?}");
    assert_eq!((claimed.id, claimed.episode_id, claimed.attempt), (end.job.id, id, 1));
    let whole = add(&stores, &source, success()).await;
    assert_eq!(claim_one(&stores, &source).await.episode_id, whole);
}

/// Whatever the order in which they were queued, the most urgent come first.
pub async fn urgent_jobs_are_claimed_first(stores: Stores) {
    let source = TestSource::default();
    let batch = [0.1, 0.9, 0.5, 0.7, 0.0, 1.0].map(|weight| {
        let mut insertion = insertion(&source, success());
        insertion.job = Some(job(&source, weight));
        insertion
    });
    stores.episodes.insert(batch.to_vec()).await.expect("stored");
    let mut lanes = Vec::new();
    for max in [1, 2, 100] {
        let claimed = stores.jobs.claim(max, source.now(), later(&source, 60)).await.expect("claimed");
        assert!(claimed.len() <= max);
        lanes.extend(claimed.into_iter().map(|job| job.priority));
    }
    use Priority::{Critical, High, Low, Normal};
    assert_eq!(lanes, [Critical, Critical, High, Normal, Low, Low]);
    assert_eq!(stores.jobs.claim(0, source.now(), later(&source, 60)).await, Ok(vec![]));
}

/// Two workers never hold one job, not even when they ask at the same time.
pub async fn a_claimed_job_is_not_given_twice(stores: Stores) {
    let source = TestSource::default();
    let mut expected = BTreeSet::new();
    for _ in 0..10 {
        expected.insert(add(&stores, &source, success()).await);
    }
    let take = || stores.jobs.claim(3, source.now(), later(&source, 60));
    let taken = join_all((0..4).map(|_| take())).await;
    let claimed: Vec<EpisodeId> =
        taken.into_iter().flat_map(|claimed| claimed.expect("claimed")).map(|job| job.episode_id).collect();
    assert_eq!(claimed.len(), 10);
    assert_eq!(BTreeSet::from_iter(claimed), expected);
    assert_eq!(claim(&stores, &source).await, []);
    assert_eq!(counts(&stores).await, JobCounts { running: 10, ..JobCounts::default() });
}

/// A job whose holder died is given to the next one, as a further attempt.
pub async fn a_job_is_due_again_when_its_lease_ends(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, success()).await;
    let first = claim_one(&stores, &source).await;
    source.set(later(&source, 59));
    assert_eq!(claim(&stores, &source).await, []);
    source.set(later(&source, 1));
    let second = claim_one(&stores, &source).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    assert_eq!(claim(&stores, &source).await, []);
}

/// A job is not tried again before its time.
pub async fn a_failed_job_waits_until_its_retry(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, success()).await;
    let first = claim_one(&stores, &source).await;
    let retry = later(&source, 10);
    stores.jobs.fail(first, "it's \"broken\" 日本".into(), Retry::At(retry)).await.expect("noted");
    assert_eq!(counts(&stores).await, JobCounts { queued: 1, ..JobCounts::default() });
    source.set(later(&source, 9));
    assert_eq!(claim(&stores, &source).await, []);
    source.set(retry);
    let second = claim_one(&stores, &source).await;
    assert_eq!((second.id, second.attempt), (first.id, 2));
    record(&stores, &source, second, vec![]).await;
    assert_eq!(counts(&stores).await, JobCounts::default());
}

/// A dead letter is counted and never given out.
pub async fn a_job_given_up_stays_as_a_dead_letter(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, success()).await;
    let job = claim_one(&stores, &source).await;
    stores.jobs.fail(job, "hopeless".into(), Retry::Never).await.expect("noted");
    assert_eq!(counts(&stores).await, JobCounts { dead: 1, ..JobCounts::default() });
    source.set(later(&source, 1_000_000));
    assert_eq!(claim(&stores, &source).await, []);
    assert_eq!(stores.jobs.next_due().await, Ok(None));
}

/// A worker that stops gives back what it has not begun, as if it had never been claimed.
pub async fn a_job_handed_back_is_due_at_once_and_costs_no_attempt(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, success()).await;
    let job = claim_one(&stores, &source).await;
    stores.jobs.fail(job, "not begun".into(), Retry::Unbegun).await.expect("noted");
    assert_eq!(counts(&stores).await, JobCounts { queued: 1, ..JobCounts::default() });
    assert_eq!(claim_one(&stores, &source).await, job);
}

/// A worker that was too slow changes nothing for the one that holds the job now, and cannot bring back a job that
/// was finished.
pub async fn a_lost_lease_has_no_say(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, success()).await;
    let slow = claim_one(&stores, &source).await;
    source.set(later(&source, 61));
    let quick = claim_one(&stores, &source).await;
    let _ = stores.jobs.fail(slow, "too late".into(), Retry::Never).await;
    assert_eq!(counts(&stores).await, JobCounts { running: 1, ..JobCounts::default() });
    record(&stores, &source, quick, vec![]).await;
    let _ = stores.jobs.fail(slow, "far too late".into(), Retry::At(source.now())).await;
    let _ = stores.jobs.fail(quick, "finished".into(), Retry::At(source.now())).await;
    assert_eq!(counts(&stores).await, JobCounts::default());
}

/// A worker may sleep until then and miss nothing.
pub async fn next_due_is_the_earliest_of_waiting_and_held(stores: Stores) {
    let source = TestSource::default();
    assert_eq!(stores.jobs.next_due().await, Ok(None));
    add(&stores, &source, success()).await;
    add(&stores, &source, success()).await;
    let next = stores.jobs.next_due().await.expect("a read").expect("a job waits");
    assert!(next <= source.now(), "a new job is due at once");
    let claimed = claim(&stores, &source).await;
    assert_eq!(stores.jobs.next_due().await, Ok(Some(later(&source, 60))));
    let retry = later(&source, 7);
    stores.jobs.fail(claimed[0], "no".into(), Retry::At(retry)).await.expect("noted");
    assert_eq!(stores.jobs.next_due().await, Ok(Some(retry)));
    source.set(retry);
    assert_eq!(claim(&stores, &source).await.len(), 1, "what is said to be due is due");
}

async fn listed(stores: &Stores, state: Option<JobState>) -> Vec<OpenJob> {
    let listing = JobListing { state, max: 100, ..JobListing::default() };
    stores.jobs.open_jobs(listing).await.expect("jobs")
}

/// A job of a new episode that was given up.
async fn dead(stores: &Stores, source: &TestSource) -> Job {
    add(stores, source, success()).await;
    let job = claim_one(stores, source).await;
    stores.jobs.fail(job, "hopeless".into(), Retry::Never).await.expect("noted");
    job
}

/// What waits, runs and was given up, each with what there is to say of it, one page after the other.
pub async fn what_is_left_is_listed_in_pages_with_why_it_failed(stores: Stores) {
    let source = TestSource::default();
    let given_up = dead(&stores, &source).await;
    add(&stores, &source, success()).await;
    let failed = claim_one(&stores, &source).await;
    let retry = later(&source, 10);
    stores.jobs.fail(failed, "it's \"broken\" 日本".into(), Retry::At(retry)).await.expect("noted");
    add(&stores, &source, success()).await;
    let running = claim_one(&stores, &source).await;
    let waiting = add(&stores, &source, success()).await;

    let all = listed(&stores, None).await;
    assert_eq!(all.len(), 4);
    assert!(all.is_sorted_by_key(|job| job.id));
    let open = |job: Job, state, error: Option<&str>, due_at| OpenJob {
        id: job.id,
        episode_id: job.episode_id,
        state,
        priority: job.priority,
        attempts: 1,
        error: error.map(str::to_owned),
        due_at,
    };
    assert_eq!(all[0], open(given_up, JobState::Dead, Some("hopeless"), None));
    assert_eq!(all[1], open(failed, JobState::Queued, Some("it's \"broken\" 日本"), Some(retry)));
    assert_eq!(all[2], open(running, JobState::Running, None, None));
    assert_eq!((all[3].episode_id, all[3].state, all[3].attempts), (waiting, JobState::Queued, 0));
    assert!(all[3].due_at.is_some_and(|due| due <= source.now()) && all[3].error.is_none());

    for state in JobState::ALL {
        let expected: Vec<OpenJob> = all.iter().filter(|job| job.state == state).cloned().collect();
        assert_eq!(listed(&stores, Some(state)).await, expected);
    }
    let mut paged = Vec::new();
    while paged.len() < all.len() {
        let after = paged.last().map(|job: &OpenJob| job.id);
        let page = stores.jobs.open_jobs(JobListing { state: None, after, max: 3 }).await.expect("a page");
        assert_eq!(page.len(), 3.min(all.len() - paged.len()));
        paged.extend(page);
    }
    assert_eq!(paged, all);
    // The one at which a page ended may be done by now.
    let after = Some(running.id);
    record(&stores, &source, running, vec![]).await;
    let page = stores.jobs.open_jobs(JobListing { state: None, after, max: 3 }).await;
    assert_eq!(page, Ok(all[3..].to_vec()));
}

/// It is due at once, and has all of its attempts again. Nothing that is remembered changes by that.
pub async fn a_dead_letter_can_be_tried_again_from_the_first_attempt(stores: Stores) {
    let source = TestSource::default();
    let job = dead(&stores, &source).await;
    let before = stores.changes.change_seq().await;
    source.set(later(&source, 1_000));
    assert_eq!(stores.jobs.retry(job.id, source.now()).await, Ok(JobState::Dead));
    assert_eq!(stores.changes.change_seq().await, before);
    assert_eq!(counts(&stores).await, JobCounts { queued: 1, ..JobCounts::default() });
    let again = &listed(&stores, None).await[0];
    assert_eq!((again.attempts, &again.error, again.due_at), (0, &None, Some(source.now())));
    assert_eq!(stores.jobs.next_due().await, Ok(Some(source.now())));
    assert_eq!(claim_one(&stores, &source).await, job, "the first attempt again");
    record(&stores, &source, job, vec![]).await;
    assert_eq!(counts(&stores).await, JobCounts::default());
    assert_eq!(stores.jobs.retry(job.id, source.now()).await, Err(StoreError::NotFound), "it is done");
}

/// Nothing happens to a job that waits or runs.
pub async fn only_a_dead_letter_is_put_back(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, success()).await;
    let job = claim_one(&stores, &source).await;
    let retry = async || stores.jobs.retry(job.id, source.now()).await;
    let before = listed(&stores, None).await;
    assert_eq!(retry().await, Ok(JobState::Running));
    assert_eq!(listed(&stores, None).await, before);
    stores.jobs.fail(job, "not now".into(), Retry::At(later(&source, 10))).await.expect("noted");
    let before = listed(&stores, None).await;
    assert_eq!(retry().await, Ok(JobState::Queued));
    assert_eq!(listed(&stores, None).await, before);
    let unknown = JobId(source.id());
    assert_eq!(stores.jobs.retry(unknown, source.now()).await, Err(StoreError::NotFound));
}

/// Its episode is queued with all others.
pub async fn whatever_is_learned_anew_leaves_no_dead_letter(stores: Stores) {
    let source = TestSource::default();
    let job = dead(&stores, &source).await;
    assert_eq!(stores.patterns.relearn().await, Ok(1));
    assert_eq!(counts(&stores).await, JobCounts { queued: 1, ..JobCounts::default() });
    let anew = claim_one(&stores, &source).await;
    assert_eq!((anew.episode_id, anew.attempt), (job.episode_id, 1));
}
