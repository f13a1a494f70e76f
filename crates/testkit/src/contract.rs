//! What every implementation of the storage ports must do: one function for each behaviour, run over a fresh store.
//!
//! [`contract!`](crate::contract!) makes a test of each of them; it is the list of all behaviours.

pub mod access;
pub mod catalog;
pub mod changes;
pub mod citations;
pub mod corpus;
pub mod episodes;
pub mod experience;
pub mod feedback;
pub mod items;
pub mod jobs;
pub mod links;
pub mod notes;
pub mod patterns;
pub mod usage;
pub mod vectors;

use jiff::{SignedDuration, Timestamp};
use memory_core::episode::Outcome;
use memory_core::extract::{Experience, Finding, Teaching};
use memory_core::id::{EpisodeId, JobId, NoteId, PatternId};
use memory_core::job::{Job, Priority};
use memory_core::memory::NewEpisode;
use memory_core::note::{Layer, Note};
use memory_core::pattern::{Pattern, PatternBody, Tally};
use memory_core::port::{Inserted, Source, Studied};
use memory_core::retrieve::{Found, Item, query_terms};
use memory_core::search::Entry;

use crate::episode::{finished, in_domain, insertion, ok};
use crate::{Stores, TestSource};

/// Makes a `#[tokio::test]` of every behaviour of the contract. `$fresh` names an async function of the calling module
/// that takes nothing and returns the [`Stores`] of a new, empty store.
#[macro_export]
macro_rules! contract {
    ($fresh:ident) => {
        $crate::contract! { @tests $fresh,
            access {
                what_may_not_be_seen_is_not_there
                what_may_not_be_seen_cannot_be_changed
                nothing_is_stored_outside_of_the_own_domains
                who_may_only_read_changes_nothing
                an_external_id_of_another_domain_is_free
                a_note_supersedes_only_what_its_author_may_see
                patterns_and_usual_rates_are_those_of_the_own_domains
                calls_are_counted_in_the_own_domains
                feedback_and_citations_are_told_of_what_may_be_seen
                only_what_may_be_seen_is_counted
                jobs_of_others_are_neither_listed_nor_retried
            }
            episodes {
                an_episode_comes_back_with_every_field
                an_episode_with_nothing_optional_comes_back
                a_long_episode_comes_back_in_order_and_takes_no_further_step
                an_unknown_episode_is_none
                an_external_id_names_one_episode
                an_external_id_twice_in_a_batch_names_the_first
                a_batch_is_stored_whole_or_not_at_all
                steps_are_numbered_from_1_in_order
                a_step_of_a_known_external_id_is_that_step
                a_step_is_refused_by_an_unknown_and_by_a_completed_episode
                steps_added_at_once_get_numbers_of_their_own
                a_completion_comes_back_with_every_field
                what_an_outcome_rests_on_comes_back
                completing_from_a_stale_revision_is_a_conflict
                an_episode_is_completed_once
                heads_come_in_the_order_asked_for
                a_deleted_episode_is_gone_with_all_that_belongs_to_it
                what_was_never_there_cannot_be_deleted
                what_is_put_right_comes_back
                what_is_put_right_takes_back_what_it_taught
                what_was_studied_before_it_was_put_right_teaches_nothing
                an_episode_moves_where_its_name_is_free
            }
            links {
                a_link_is_told_by_both_ends_until_it_is_removed
                a_link_goes_with_either_of_its_ends
                an_episode_has_so_many_links
                a_link_is_there_for_who_may_see_both_ends
            }
            notes {
                a_note_comes_back_with_every_field
                a_note_supersedes_by_id_and_by_external_id
                a_note_supersedes_the_one_of_its_external_id
                the_same_note_again_is_that_note
                a_note_that_differs_in_anything_is_another_note
                superseding_an_unknown_note_stores_nothing
            }
            corpus {
                a_fresh_store_has_nothing_to_search
                the_entry_of_an_episode_grows_with_it
                the_first_steps_of_a_long_episode_are_searched
                notes_and_patterns_are_entries
                only_patterns_that_somebody_may_look_for_are_entries
                a_superseded_note_says_since_when
                what_is_gone_has_no_entry
                pages_give_everything_once
                a_page_goes_on_after_what_is_gone
                every_change_of_an_entry_is_logged
            }
            items {
                items_come_in_the_order_asked_for
                a_superseded_note_can_be_read
            }
            citations {
                what_a_note_and_an_episode_cite_comes_back
                what_another_work_tree_holds_is_cited_apart
                who_says_it_again_cites_what_is_there_now
                a_refused_change_cites_nothing
            }
            catalog {
                episodes_are_listed_the_last_stored_first
                the_episodes_of_a_project_are_listed_by_themselves
                episodes_are_listed_by_what_they_are
                the_current_notes_of_a_project_are_told
                names_are_told_by_their_beginning
                endings_are_counted
            }
            usage {
                calls_add_up_and_are_no_change
            }
            vectors {
                vectors_come_back_with_their_passages
                a_vector_of_other_words_is_not_given
                a_changed_thing_keeps_the_vectors_that_still_fit
                a_space_serves_once_it_is_complete
                a_space_without_vectors_can_serve
                the_next_space_takes_the_place_of_the_first
                vectors_are_changes_while_their_space_serves
                what_is_gone_gets_no_vectors
                one_at_a_time_holds_a_space
            }
            patterns {
                a_finding_becomes_a_pattern
                a_second_episode_adds_to_the_tally
                the_runs_of_one_task_count_less_than_those_of_many
                recording_again_replaces_the_evidence
                what_is_taken_back_leaves_nothing_behind
                a_pattern_without_evidence_vanishes
                a_domain_has_its_own_patterns
                bodies_of_every_kind_come_back
                recording_finishes_the_jobs
                recording_for_an_unknown_episode_finishes_the_job
                a_lesson_names_the_asked_for_episodes_only
                a_lesson_says_something
                a_lesson_tells_the_runs_of_the_asked_for_tasks_apart
                what_is_usual_in_a_domain_is_known_and_no_pattern
                patterns_that_differ_are_taken_for_what_they_show
                patterns_are_listed_in_pages
                evidence_is_told_the_newest_first
                what_is_learned_anew_is_forgotten_first
                with_other_plugins_everything_is_learned_anew
                what_plugins_see_moves_no_other_rate
                neither_order_nor_repetition_changes_what_is_learned
            }
            experience {
                courses_are_told_in_the_order_asked_for
                what_followed_a_state_is_counted_within_its_domain
                what_an_episode_did_counts_once
                attempts_are_told_the_newest_first
                attempts_are_told_within_their_scope
            }
            feedback {
                what_was_said_of_a_thing_adds_up
                feedback_on_something_unknown_leaves_no_trace
                whatever_is_said_is_a_change
                a_correction_is_told_with_its_pattern
                a_deleted_pattern_is_told_nowhere
                what_was_said_outlives_what_was_learned
                what_is_not_there_is_neither_corrected_nor_deleted
            }
            jobs {
                finished_episodes_queue_one_job_each
                urgent_jobs_are_claimed_first
                a_claimed_job_is_not_given_twice
                a_job_is_due_again_when_its_lease_ends
                a_failed_job_waits_until_its_retry
                a_job_given_up_stays_as_a_dead_letter
                a_job_handed_back_is_due_at_once_and_costs_no_attempt
                a_lost_lease_has_no_say
                next_due_is_the_earliest_of_waiting_and_held
                what_is_left_is_listed_in_pages_with_why_it_failed
                a_dead_letter_can_be_tried_again_from_the_first_attempt
                only_a_dead_letter_is_put_back
                whatever_is_learned_anew_leaves_no_dead_letter
            }
            changes {
                a_fresh_store_has_no_changes
                every_change_is_named_and_numbered
                changes_are_read_in_pages
                what_changes_nothing_has_no_number
                a_refused_change_leaves_no_trace
                counts_tell_what_the_store_holds
            }
        }
    };
    (@tests $fresh:ident, $($module:ident { $($behaviour:ident)+ })+) => {$(
        mod $module {
            $(
                #[::tokio::test]
                async fn $behaviour() {
                    $crate::contract::$module::$behaviour(super::$fresh().await).await;
                }
            )+
        }
    )+};
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("a timestamp")
}

fn later(source: &TestSource, seconds: i64) -> Timestamp {
    source.now() + SignedDuration::from_secs(seconds)
}

async fn add(stores: &Stores, source: &TestSource, new: NewEpisode) -> EpisodeId {
    let insertion = insertion(source, new);
    let id = insertion.episode.head.id;
    assert_eq!(stores.episodes.insert(vec![insertion]).await, Ok(vec![Inserted::New]));
    id
}

fn note(source: &TestSource, text: &str) -> Note {
    Note {
        id: NoteId(source.id()),
        external_id: None,
        text: text.into(),
        scope: Default::default(),
        layer: Layer::LongTerm,
        tags: Vec::new(),
        at: source.now(),
    }
}

async fn remember(stores: &Stores, note: &Note, supersedes: &[String]) -> (NoteId, Vec<NoteId>) {
    let (id, mut superseded) =
        stores.notes.remember(note.clone(), supersedes.to_vec(), None).await.expect("the note is stored");
    superseded.sort();
    (id, superseded)
}

/// Everything that can be searched, without vectors.
async fn everything(stores: &Stores) -> Vec<Entry> {
    stores.corpus.page(None, usize::MAX, None).await.expect("a page")
}

/// What is current and has one of the words, sorted.
async fn found(stores: &Stores, words: &str) -> Vec<Found> {
    let words = query_terms(words).terms;
    let has_one = |entry: &Entry| {
        let mut terms = entry.document.passages.iter().flat_map(|passage| &passage.terms);
        terms.any(|(term, _)| words.contains(term))
    };
    let entries = everything(stores).await.into_iter().filter(|entry| entry.retired.is_none());
    let mut found: Vec<Found> = entries.filter(has_one).map(|entry| entry.found).collect();
    found.sort();
    found
}

async fn item(stores: &Stores, found: Found) -> Option<Item> {
    let items = stores.items.items(vec![found]).await.expect("items are read");
    items.into_iter().next()
}

fn sequence(tools: &[&str], credit: f64) -> Finding {
    let tools = tools.iter().map(ToString::to_string).collect();
    Finding { body: PatternBody::ToolSequence { tools }, credit, detail: None }
}

/// A recovery that worked, described by the words of the error. Unlike a sequence of tools, which a store may make
/// searchable only once a second episode shows it, it can be searched for at once.
fn recovery(error: &str) -> Finding {
    let body = PatternBody::ErrorRecovery {
        tool: "t".into(),
        error: error.into(),
        recovery: vec!["fix".into(), "t".into()],
    };
    Finding { body, credit: 1.0, detail: None }
}

/// Claims everything that is due.
async fn claim(stores: &Stores, source: &TestSource) -> Vec<Job> {
    stores.jobs.claim(100, source.now(), later(source, 60)).await.expect("jobs are claimed")
}

/// Claims the only job that is due.
async fn claim_one(stores: &Stores, source: &TestSource) -> Job {
    let claimed = claim(stores, source).await;
    assert_eq!(claimed.len(), 1, "one job is due");
    claimed[0]
}

/// Stores a finished episode and records these findings of it.
async fn learn(
    stores: &Stores,
    source: &TestSource,
    new: NewEpisode,
    findings: Vec<Finding>,
) -> (EpisodeId, Vec<PatternId>) {
    let id = add(stores, source, new).await;
    let job = claim_one(stores, source).await;
    assert_eq!(job.episode_id, id);
    (id, record(stores, source, job, findings).await)
}

/// Records these findings of an episode that is the only run of its task, relied on in full, and happened now.
async fn record(stores: &Stores, source: &TestSource, job: Job, findings: Vec<Finding>) -> Vec<PatternId> {
    let (_, task) = job.episode_id.0.as_u64_pair();
    study(stores, job, teaching(source, task, findings)).await
}

/// Records what an episode teaches; what was done in it is read off its steps.
async fn study(stores: &Stores, job: Job, teaching: Teaching) -> Vec<PatternId> {
    let studied = taught(stores, job, teaching).await;
    let mut recorded = stores.patterns.record(vec![studied]).await.expect("the findings are stored");
    assert_eq!(recorded.len(), 1, "one answer for one episode");
    recorded.remove(0)
}

/// What an episode teaches, with what was done in it: whatever it is found to show, its steps are what they are.
async fn taught(stores: &Stores, job: Job, teaching: Teaching) -> Studied {
    let episode = stores.episodes.get(job.episode_id).await.expect("a read").expect("the episode");
    let experience = Experience::of(&episode.steps);
    Studied { job, teaching: Some(Teaching { revision: episode.head.revision, experience, ..teaching }) }
}

/// What a run of a task teaches, beside what was done in it, that happened now and can be relied on in full.
fn teaching(source: &TestSource, task: u64, findings: Vec<Finding>) -> Teaching {
    let (experience, plugins) = (Experience::default(), String::new());
    Teaching { revision: 1, family: task, reliance: 1.0, at: source.now(), findings, experience, plugins }
}

/// A job to study an episode again, as one whose first worker lost its lease.
fn another_job(source: &TestSource, episode_id: EpisodeId) -> Job {
    Job { id: JobId(source.id()), episode_id, priority: Priority::Normal, attempt: 2 }
}

async fn pattern(stores: &Stores, id: PatternId) -> Option<Pattern> {
    match item(stores, Found::Pattern(id)).await {
        Some(Item::Pattern(pattern)) => Some(pattern),
        Some(other) => panic!("{other:?} is no pattern"),
        None => None,
    }
}

/// What runs of as many tasks with these credits add up to, all made at this time.
fn worth(credits: &[f64], at: Timestamp) -> Tally {
    credits.iter().fold(Tally::default(), |sum, credit| sum.plus(&Tally::one(*credit, 1.0, at)))
}

/// A store may add up in any order, so sums may differ by a rounding.
fn is_near(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
}

#[track_caller]
fn assert_tally(is: &Tally, expected: &Tally) {
    let sums = is_near(is.weight, expected.weight) && is_near(is.credit, expected.credit);
    let counts = (is.episodes, is.families) == (expected.episodes, expected.families);
    assert!(sums && counts, "{is:?} is not {expected:?}");
}

struct One {
    episode: EpisodeId,
    note: NoteId,
    pattern: PatternId,
}

impl One {
    fn all(&self) -> [Found; 3] {
        [Found::Episode(self.episode), Found::Pattern(self.pattern), Found::Note(self.note)]
    }
}

/// An episode, a pattern learned from it and a note, all of this domain and time.
async fn one_of_each(stores: &Stores, source: &TestSource, domain: &str) -> One {
    let new = in_domain(domain, finished("common", Outcome::Success, vec![ok("t")]));
    let (episode, patterns) = learn(stores, source, new, vec![recovery("common")]).await;
    let mut note = note(source, "common");
    note.scope.domain = Some(domain.into());
    remember(stores, &note, &[]).await;
    One { episode, note: note.id, pattern: patterns[0] }
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_lists_every_behaviour() {
        let sources = [
            include_str!("contract/access.rs"),
            include_str!("contract/catalog.rs"),
            include_str!("contract/changes.rs"),
            include_str!("contract/citations.rs"),
            include_str!("contract/corpus.rs"),
            include_str!("contract/episodes.rs"),
            include_str!("contract/experience.rs"),
            include_str!("contract/feedback.rs"),
            include_str!("contract/items.rs"),
            include_str!("contract/jobs.rs"),
            include_str!("contract/links.rs"),
            include_str!("contract/notes.rs"),
            include_str!("contract/patterns.rs"),
            include_str!("contract/usage.rs"),
            include_str!("contract/vectors.rs"),
        ];
        let list = include_str!("contract.rs").split("(@tests").next().unwrap();
        for line in sources.iter().flat_map(|source| source.lines()) {
            if let Some(rest) = line.strip_prefix("pub async fn ") {
                let name = rest.split('(').next().unwrap();
                assert!(list.lines().any(|line| line.trim() == name), "{name} is not listed");
            }
        }
    }
}
