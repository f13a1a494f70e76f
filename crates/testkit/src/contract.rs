//! What every implementation of the storage ports must do: one function for each behaviour, run over a fresh store.
//!
//! [`contract!`](crate::contract!) makes a test of each of them; it is the list of all behaviours.

pub mod changes;
pub mod episodes;
pub mod index;
pub mod jobs;
pub mod notes;
pub mod patterns;

use jiff::{SignedDuration, Timestamp};
use memory_core::extract::Finding;
use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::job::Job;
use memory_core::memory::NewEpisode;
use memory_core::note::{Layer, Note};
use memory_core::pattern::PatternBody;
use memory_core::port::{Inserted, Source};
use memory_core::retrieve::{Candidates, Document, Filter, Found, Item, Search, terms};

use crate::episode::insertion;
use crate::{Stores, TestSource};

/// Makes a `#[tokio::test]` of every behaviour of the contract. `$fresh` names an async function of the calling module
/// that takes nothing and returns the [`Stores`] of a new, empty store.
#[macro_export]
macro_rules! contract {
    ($fresh:ident) => {
        $crate::contract! { @tests $fresh,
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
                completing_from_a_stale_revision_is_a_conflict
                an_episode_is_completed_once
                heads_come_in_the_order_asked_for
            }
            notes {
                a_note_comes_back_with_every_field
                a_note_supersedes_by_id_and_by_external_id
                a_note_supersedes_the_one_of_its_external_id
                the_same_note_again_is_that_note
                a_note_that_differs_in_anything_is_another_note
                superseding_an_unknown_note_stores_nothing
            }
            index {
                a_document_is_found_by_each_of_its_terms
                terms_of_every_script_are_matched_as_they_are
                frequencies_count_documents_whatever_the_filter
                steps_and_completion_add_to_the_document
                the_kinds_filter_admits_these_kinds_only
                the_domain_filter_admits_the_domain_and_those_below
                the_project_filter_admits_that_project_only
                the_time_filter_is_about_when_it_happened
                the_outcome_filter_admits_episodes_of_that_outcome
                the_limit_keeps_the_best_matches
                items_come_in_the_order_asked_for
            }
            patterns {
                a_finding_becomes_a_pattern
                a_second_episode_adds_to_the_tally
                recording_again_replaces_the_evidence
                what_is_taken_back_leaves_nothing_behind
                a_pattern_without_evidence_vanishes
                a_domain_has_its_own_patterns
                bodies_of_every_kind_come_back
                recording_finishes_the_job
                recording_for_an_unknown_episode_finishes_the_job
                a_lesson_names_the_asked_for_episodes_only
                the_base_tally_covers_the_domains_asked_for
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
    let document = Document::of_note(note);
    let (id, mut superseded) =
        stores.notes.remember(note.clone(), document, supersedes.to_vec()).await.expect("the note is stored");
    superseded.sort();
    (id, superseded)
}

async fn search(stores: &Stores, query: &str, filter: Filter) -> Candidates {
    let search = Search { terms: terms(query, 100), filter, limit: 100 };
    stores.index.candidates(search).await.expect("a search")
}

/// What a query finds, sorted.
async fn found(stores: &Stores, query: &str, filter: Filter) -> Vec<Found> {
    let mut found: Vec<Found> =
        search(stores, query, filter).await.proposed.into_iter().map(|candidate| candidate.found).collect();
    found.sort();
    found
}

async fn item(stores: &Stores, found: Found) -> Option<Item> {
    let items = stores.index.items(vec![found]).await.expect("items are read");
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

async fn record(stores: &Stores, source: &TestSource, job: Job, findings: Vec<Finding>) -> Vec<PatternId> {
    let findings = findings.into_iter().map(|finding| (PatternId(source.id()), finding)).collect();
    stores.patterns.record(job, findings, source.now()).await.expect("the findings are stored")
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_macro_lists_every_behaviour() {
        let sources = [
            include_str!("contract/changes.rs"),
            include_str!("contract/episodes.rs"),
            include_str!("contract/index.rs"),
            include_str!("contract/jobs.rs"),
            include_str!("contract/notes.rs"),
            include_str!("contract/patterns.rs"),
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
