//! Callers who may see some domains only.

use memory_core::access::{Access, Refusal};
use memory_core::citation::{Citation, Citations, Fingerprint};
use memory_core::episode::{Outcome, Scope};
use memory_core::extract::{Course, attempt_keys, family};
use memory_core::feedback::{Feedback, Usefulness};
use memory_core::id::{EpisodeId, JobId, NoteId, PatternId};
use memory_core::job::{JobCounts, JobState, Retry};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::note::Note;
use memory_core::pattern::{Correction, PatternBody};
use memory_core::port::{
    Appended, CompletionInsertion, Inserted, JobListing, Listing, Replacement, Source, StepInsertion,
    StoreError,
};
use memory_core::retrieve::Found;

use super::{add, claim_one, learn, note, one_of_each, recovery, remember, sequence, study, teaching};
use crate::episode::{called, failed, finished, in_domain, insertion, named, ok, open};
use crate::{Stores, TestSource};

fn of(domains: &[&str]) -> Access {
    access(domains, true)
}

fn access(domains: &[&str], may_change: bool) -> Access {
    let domains: Vec<String> = domains.iter().map(ToString::to_string).collect();
    Access::new(&domains, may_change).expect("domains")
}

fn all() -> Listing {
    Listing { max: 100, ..Listing::default() }
}

fn called_x(domain: Option<&str>) -> NewEpisode {
    let new = named("x", open("a task"));
    match domain {
        Some(domain) => in_domain(domain, new),
        None => new,
    }
}

fn note_in(source: &TestSource, domain: &str, text: &str) -> Note {
    let scope = Scope { domain: Some(domain.into()), project: None };
    Note { scope, ..note(source, text) }
}

/// What is in another domain, or in none, is not there to be read; what lies below an own one is.
pub async fn what_may_not_be_seen_is_not_there(stores: Stores) {
    let source = TestSource::default();
    let own = one_of_each(&stores, &source, "a.sub").await;
    let other = one_of_each(&stores, &source, "ab").await;
    let nobodys = add(&stores, &source, open("in no domain")).await;
    let seen = stores.within(&of(&["a", "c"]));
    for episode in [other.episode, nobodys] {
        assert_eq!(seen.episodes.get(episode).await, Ok(None));
        assert_eq!(seen.episodes.heads(&[episode]).await, Ok(vec![]));
    }
    assert_eq!(seen.episodes.get(own.episode).await, stores.episodes.get(own.episode).await);
    let everything = [own.all(), other.all()].concat();
    let items = seen.items.items(everything).await.expect("items");
    let found: Vec<Found> = items.iter().map(|item| item.found()).collect();
    assert_eq!(found, own.all());
    let courses = seen.experience.courses(vec![other.episode, own.episode]).await.expect("courses");
    assert_eq!(courses.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [own.episode]);
}

/// Nor is it there to be changed; that it is not is told in the words of an unknown id.
pub async fn what_may_not_be_seen_cannot_be_changed(stores: Stores) {
    let source = TestSource::default();
    let other = one_of_each(&stores, &source, "b").await;
    let running = add(&stores, &source, in_domain("b", open("a task"))).await;
    let before = stores.changes.change_seq().await;
    let seen = stores.within(&of(&["a"]));
    let step = || StepInsertion { step: ok("t"), at: source.now() };
    let completion = || CompletionInsertion {
        revision: 1,
        completion: NewEnding::default().conclude(&[], source.now()),
        job: crate::episode::job(&source, 1.0),
        citations: None,
    };
    for id in [running, EpisodeId(source.id())] {
        assert_eq!(seen.episodes.append_step(id, step()).await, Err(StoreError::NotFound));
        assert_eq!(seen.episodes.complete(id, completion()).await, Err(StoreError::NotFound));
        assert_eq!(seen.episodes.delete(id).await, Err(StoreError::NotFound));
        let brief = in_domain("a", open("a task")).brief;
        let new = Replacement { revision: 1, brief, completion: None, job: None, citations: None };
        assert_eq!(seen.episodes.replace(id, new).await, Err(StoreError::NotFound));
    }
    for id in [other.pattern, PatternId(source.id())] {
        let correction = Some(Correction::default());
        assert_eq!(seen.feedback.correct(id, correction, source.now()).await, Err(StoreError::NotFound));
        assert_eq!(seen.feedback.delete_pattern(id, source.now()).await, Err(StoreError::NotFound));
    }
    for about in other.all().into_iter().chain([Found::Note(NoteId(source.id()))]) {
        let feedback =
            Feedback { about: vec![about], usefulness: Usefulness::Wrong, comment: None, at: source.now() };
        assert_eq!(seen.feedback.give(feedback).await, Err(StoreError::NotFound));
    }
    for name in [other.note, NoteId(source.id())] {
        let new = note_in(&source, "a", "new");
        let done = seen.notes.remember(new, vec![name.to_string()], None).await;
        assert_eq!(done, Err(StoreError::NotFound));
    }
    assert_eq!(stores.changes.change_seq().await, before);
    assert_eq!(seen.episodes.append_step(running, step()).await, Err(StoreError::NotFound));
    let within = stores.within(&of(&["b"]));
    assert_eq!(within.episodes.append_step(running, step()).await, Ok(Appended::New(1)));
}

/// Something new goes into an own domain and nowhere else.
pub async fn nothing_is_stored_outside_of_the_own_domains(stores: Stores) {
    let source = TestSource::default();
    let seen = stores.within(&of(&["a", "c"]));
    let allowed = vec!["a".to_owned(), "c".to_owned()];
    let outside = Refusal::Outside { domain: "b".into(), allowed: allowed.clone() };
    let cases = [(Some("b"), Err(outside)), (None, Err(Refusal::NoDomain(allowed))), (Some("c.d"), Ok(()))];
    for (domain, expected) in cases {
        let expected = expected.map_err(StoreError::Refused);
        let mut new = insertion(&source, open("a task"));
        new.episode.head.brief.scope.domain = domain.map(str::to_owned);
        assert_eq!(seen.episodes.insert(vec![new]).await.map(drop), expected);
        let mut new = note(&source, "a note");
        new.scope.domain = domain.map(str::to_owned);
        assert_eq!(seen.notes.remember(new, vec![], None).await.map(drop), expected);
    }
    let counts = stores.health.counts().await.expect("counts");
    assert_eq!((counts.episodes, counts.notes), (1, 1));
}

/// Who may read only changes nothing, whether it is there or not.
pub async fn who_may_only_read_changes_nothing(stores: Stores) {
    let source = TestSource::default();
    let own = one_of_each(&stores, &source, "a").await;
    let before = stores.changes.change_seq().await;
    let refused = Err(StoreError::Refused(Refusal::ReadOnly));
    for domains in ["a", "*"] {
        let seen = stores.within(&access(&[domains], false));
        assert!(seen.episodes.get(own.episode).await.expect("a read").is_some());
        let new = insertion(&source, in_domain("a", open("a task")));
        assert_eq!(seen.episodes.insert(vec![new]).await.map(drop), refused);
        for id in [own.episode, EpisodeId(source.id())] {
            let step = StepInsertion { step: ok("t"), at: source.now() };
            assert_eq!(seen.episodes.append_step(id, step).await.map(drop), refused);
            assert_eq!(seen.episodes.delete(id).await, refused);
        }
        let new = note_in(&source, "a", "new");
        assert_eq!(seen.notes.remember(new, vec![], None).await.map(drop), refused);
        assert_eq!(seen.feedback.correct(own.pattern, None, source.now()).await, refused);
        assert_eq!(seen.feedback.delete_pattern(own.pattern, source.now()).await, refused);
        let about = vec![Found::Note(own.note)];
        let feedback = Feedback { about, usefulness: Usefulness::Helped, comment: None, at: source.now() };
        assert_eq!(seen.feedback.give(feedback).await, refused);
    }
    assert_eq!(stores.changes.change_seq().await, before);
}

/// A name that is taken where its author cannot see it is free; where both can be seen, it is one.
pub async fn an_external_id_of_another_domain_is_free(stores: Stores) {
    let source = TestSource::default();
    let (a, b) = (stores.within(&of(&["a"])), stores.within(&of(&["b"])));
    let ids = [add(&a, &source, called_x(Some("a"))).await, add(&b, &source, called_x(Some("b"))).await];
    for (stores, domain, id) in [(&a, "a", ids[0]), (&b, "b", ids[1])] {
        let again = insertion(&source, called_x(Some(domain)));
        assert_eq!(stores.episodes.insert(vec![again]).await, Ok(vec![Inserted::Existing(id)]));
    }
    // That of its own domain; where there is none, the oldest.
    let whole = [(Some("a"), ids[0]), (Some("b"), ids[1]), (Some("c"), ids[0]), (None, ids[0])];
    for (domain, id) in whole {
        let again = insertion(&source, called_x(domain));
        assert_eq!(stores.episodes.insert(vec![again]).await, Ok(vec![Inserted::Existing(id)]));
    }
}

/// The same of notes; and what says the same elsewhere is another note.
pub async fn a_note_supersedes_only_what_its_author_may_see(stores: Stores) {
    let source = TestSource::default();
    let (a, b) = (stores.within(&of(&["a"])), stores.within(&of(&["b"])));
    let named = |domain, text| Note { external_id: Some("x".into()), ..note_in(&source, domain, text) };
    let (in_a, in_b) = (named("a", "one"), named("b", "two"));
    assert_eq!(remember(&a, &in_a, &[]).await, (in_a.id, vec![]));
    assert_eq!(remember(&b, &in_b, &[]).await, (in_b.id, vec![]));
    let newer = note_in(&source, "b", "three");
    assert_eq!(remember(&b, &newer, &["x".into()]).await, (newer.id, vec![in_b.id]));
    let gone = b.notes.remember(note_in(&source, "b", "four"), vec![in_a.id.to_string()], None).await;
    assert_eq!(gone, Err(StoreError::NotFound));
    // Superseded in b and current in a: the name is known to both.
    let last = note_in(&source, "b", "five");
    assert_eq!(remember(&b, &last, &["x".into()]).await, (last.id, vec![]));
    // Who sees both supersedes both.
    let (again, whole) = (named("b", "six"), note_in(&source, "a", "seven"));
    assert_eq!(remember(&b, &again, &[]).await, (again.id, vec![]));
    assert_eq!(remember(&stores, &whole, &["x".into()]).await, (whole.id, vec![in_a.id, again.id]));
}

/// What was learned is told of own domains alone.
pub async fn patterns_and_usual_rates_are_those_of_the_own_domains(stores: Stores) {
    let source = TestSource::default();
    let base = |credit| super::Finding {
        body: PatternBody::Base { measure: memory_core::pattern::Measure::Outcome },
        credit,
        detail: None,
    };
    let new = |domain| in_domain(domain, finished("common", Outcome::Success, vec![ok("t")]));
    let findings = |credit| vec![base(credit), recovery("common"), sequence(&["t", "u"], credit)];
    let (own, _) = learn(&stores, &source, new("a"), findings(1.0)).await;
    let (other, patterns) = learn(&stores, &source, new("b"), findings(0.0)).await;
    learn(&stores, &source, open_free(), findings(0.0)).await;
    let seen = stores.within(&of(&["a"]));
    let domains = |fields: memory_core::pattern::Fields| {
        fields.0.into_iter().map(|field| field.domain).collect::<Vec<_>>()
    };
    let expected = vec![Some("a".to_owned())];
    assert_eq!(domains(seen.patterns.fields().await.expect("fields")), expected);
    let listed = seen.patterns.list(all()).await.expect("patterns");
    assert!(!listed.is_empty() && listed.iter().all(|pattern| pattern.domain == expected[0]), "{listed:?}");
    let after = Listing { after: Some((1, patterns[1])), ..all() };
    assert!(seen.patterns.list(after).await.expect("patterns").len() <= listed.len());
    let lessons = seen.patterns.lessons(vec![own, other], vec![]).await.expect("lessons");
    assert!(lessons.lessons.iter().all(|lesson| lesson.pattern.domain == expected[0]));
    assert!(lessons.lessons.iter().all(|lesson| lesson.shown_by == [own]));
    assert_eq!(domains(lessons.fields), expected);
    for pattern in patterns {
        assert_eq!(seen.patterns.evidence(pattern, 10).await, Ok(vec![]));
    }
    assert_eq!(seen.patterns.evidence(listed[0].id, 10).await.expect("evidence").len(), 1);
    assert_eq!(seen.patterns.relearn().await, Err(StoreError::Refused(Refusal::NotEverything)));
}

fn open_free() -> NewEpisode {
    finished("common", Outcome::Success, vec![ok("t")])
}

/// Calls that were made elsewhere are neither counted nor told of.
pub async fn calls_are_counted_in_the_own_domains(stores: Stores) {
    let source = TestSource::default();
    for domain in ["a", "b", "b"] {
        let steps = vec![called("rm x", failed("shell", "no such file")), ok("edit")];
        let new = in_domain(domain, finished("common", Outcome::Success, steps));
        add(&stores, &source, new).await;
        let job = claim_one(&stores, &source).await;
        study(&stores, job, teaching(&source, family("common"), vec![])).await;
    }
    let keys = attempt_keys(&called("rm x", ok("shell")));
    let keys = keys.map(|(exact, shape)| vec![exact, shape]).expect("keys");
    let states = Course(&[]).states();
    for (domains, times) in [(vec!["a"], 1), (vec!["b"], 2), (vec!["a", "b"], 3), (vec!["c"], 0)] {
        let seen = stores.within(&of(&domains)).experience;
        let attempts = seen.attempts(keys.clone(), Scope::default(), 10).await.expect("attempts");
        let choices = seen.choices(None, states.clone()).await.expect("choices");
        let followed: u64 = choices[0].tools.iter().map(|(_, times)| times).sum();
        let exact = attempts.iter().filter(|attempted| attempted.attempt.key == keys[0]).count();
        // The first state is that before any step; two steps were taken in each episode.
        assert_eq!((exact as u64, followed), (times, 2 * times), "{domains:?}");
        // To ask for another domain is no way to it.
        if domains == ["a"] {
            let scope = Scope { domain: Some("b".into()), project: None };
            assert_eq!(seen.attempts(keys.clone(), scope, 10).await, Ok(vec![]));
            let choices = seen.choices(Some("b".into()), states.clone()).await.expect("choices");
            assert!(choices.iter().all(|choices| choices.tools.is_empty()));
        }
    }
}

/// What was said of things and what they cite is told with them or not at all.
pub async fn feedback_and_citations_are_told_of_what_may_be_seen(stores: Stores) {
    let source = TestSource::default();
    let root = Fingerprint([7; 32]);
    let mut notes = Vec::new();
    for domain in ["a", "b"] {
        let cited = vec![Citation::File { path: "a.rs".into(), content: Fingerprint([1; 32]) }];
        let new = note_in(&source, domain, "see a.rs");
        notes.push(Found::Note(new.id));
        stores.notes.remember(new, vec![], Some(Citations { root, cited })).await.expect("stored");
    }
    let feedback =
        Feedback { about: notes.clone(), usefulness: Usefulness::Wrong, comment: None, at: source.now() };
    stores.feedback.give(feedback).await.expect("given");
    let seen = stores.within(&of(&["b"]));
    let said = seen.feedback.usefulness(notes.clone()).await.expect("what was said");
    assert_eq!(said.iter().map(|(found, _)| *found).collect::<Vec<_>>(), [notes[1]]);
    let cited = seen.citations.citations(notes.clone(), root).await.expect("citations");
    assert_eq!(cited.iter().map(|(found, _)| *found).collect::<Vec<_>>(), [notes[1]]);
}

/// Counts are those of own domains.
pub async fn only_what_may_be_seen_is_counted(stores: Stores) {
    let source = TestSource::default();
    one_of_each(&stores, &source, "a").await;
    for _ in 0..2 {
        one_of_each(&stores, &source, "b").await;
    }
    add(&stores, &source, in_domain("b", finished("waiting", Outcome::Success, vec![]))).await;
    let counts = async |domains: &[&str]| {
        let seen = stores.within(&of(domains));
        let counts = seen.health.counts().await.expect("counts");
        let jobs = seen.jobs.counts().await.expect("counts");
        (counts.episodes, counts.steps, counts.notes, counts.patterns, counts.bytes, jobs)
    };
    let none = JobCounts::default();
    assert_eq!(counts(&["a"]).await, (1, 1, 1, 1, 0, none));
    // The second pattern and the second note are the first again.
    assert_eq!(counts(&["b"]).await, (3, 2, 1, 1, 0, JobCounts { queued: 1, ..none }));
    assert_eq!(counts(&["c"]).await, (0, 0, 0, 0, 0, none));
}

/// Jobs are those of own episodes. Why one failed is not told to who may not see everything: it may name files.
pub async fn jobs_of_others_are_neither_listed_nor_retried(stores: Stores) {
    let source = TestSource::default();
    let mut jobs = Vec::new();
    for domain in [Some("a.sub"), Some("ab"), None] {
        let new = finished("a task", Outcome::Success, vec![ok("t")]);
        let new = match domain {
            Some(domain) => in_domain(domain, new),
            None => new,
        };
        add(&stores, &source, new).await;
        let job = claim_one(&stores, &source).await;
        stores.jobs.fail(job, "/home/me/memory.db: broken".into(), Retry::Never).await.expect("noted");
        jobs.push(job.id);
    }
    let listing = JobListing { max: 10, ..JobListing::default() };
    let own = stores.within(&of(&["a", "c"]));
    let listed = own.jobs.open_jobs(listing).await.expect("jobs");
    assert_eq!(listed.iter().map(|job| (job.id, &job.error)).collect::<Vec<_>>(), [(jobs[0], &None)]);
    let last = JobListing { after: Some(jobs[0]), ..listing };
    assert_eq!(own.jobs.open_jobs(last).await, Ok(vec![]));
    for id in [jobs[1], jobs[2], JobId(source.id())] {
        assert_eq!(own.jobs.retry(id, source.now()).await, Err(StoreError::NotFound));
    }
    for domain in ["a", "*"] {
        let reader = stores.within(&access(&[domain], false));
        assert_eq!(reader.jobs.open_jobs(listing).await.expect("jobs")[0].id, jobs[0]);
        for id in [jobs[0], jobs[1], JobId(source.id())] {
            let refused = Err(StoreError::Refused(Refusal::ReadOnly));
            assert_eq!(reader.jobs.retry(id, source.now()).await, refused);
        }
    }
    let counts = stores.jobs.counts().await;
    assert_eq!(counts, Ok(JobCounts { dead: 3, ..JobCounts::default() }));
    assert_eq!(own.jobs.retry(jobs[0], source.now()).await, Ok(JobState::Dead));
    assert_eq!(own.jobs.open_jobs(listing).await.expect("jobs")[0].state, JobState::Queued);
}
