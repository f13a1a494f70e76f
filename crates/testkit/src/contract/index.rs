//! Search.

use std::collections::BTreeSet;

use memory_core::episode::Outcome;
use memory_core::id::{EpisodeId, NoteId, PatternId};
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::note::Note;
use memory_core::port::Source;
use memory_core::retrieve::{Document, Filter, Found, Item, Kind, Part, Search, terms};

use super::{add, at, claim_one, found, item, later, learn, note, record, recovery, remember, search};
use crate::episode::{completion_insertion, finished, in_domain, insertion, ok, open, step_insertion};
use crate::{Stores, TestSource};

/// A proposal says where each term stands.
pub async fn a_document_is_found_by_each_of_its_terms(stores: Stores) {
    let source = TestSource::default();
    let started_at = Some(at("2025-05-05T05:05:05Z"));
    let new = NewEpisode { started_at, steps: vec![ok("compile")], ..open("Fix the flaky login test") };
    let insertion = insertion(&source, new);
    let (id, document) = (insertion.episode.head.id, insertion.document.clone());
    add(&stores, &source, open("something else entirely")).await;
    stores.episodes.insert(vec![insertion]).await.expect("stored");
    for word in ["fix", "flaky", "login", "test", "compile"] {
        let proposed = search(&stores, word, Filter::default()).await.proposed;
        assert_eq!(proposed.len(), 1, "{word}");
        assert_eq!(proposed[0].found, Found::Episode(id));
        assert_eq!(Some(proposed[0].when), started_at);
        assert_eq!(proposed[0].places, document.places(&terms(word, 100)));
    }
    assert_eq!(found(&stores, "unheard", Filter::default()).await, []);
}

/// The index takes terms as they come: it neither splits nor folds them, and knows no operators.
pub async fn terms_of_every_script_are_matched_as_they_are(stores: Stores) {
    let source = TestSource::default();
    let texts = [
        "naïve café",
        "naive cafe",
        "STRASSE straße",
        "日本語の文字列",
        "हिन्दी में",
        "عربى",
        "русский",
        "getUserId get_user_id",
        "NEAR AND OR NOT",
        "v1.2.3 0x1F",
        "🦀 rust",
        "ﬁligree ① Ⓐⓑ",
        "ΟΔΟΣ οδός",
        "5 µm ſtudy İstanbul",
    ];
    let mut documents = Vec::new();
    for text in texts {
        let note = note(&source, text);
        documents.push((Found::Note(note.id), Document::of_note(&note)));
        remember(&stores, &note, &[]).await;
    }
    let all: BTreeSet<&String> = documents.iter().flat_map(|(_, document)| &document.title).collect();
    assert!(all.len() > 20, "the texts have terms: {all:?}");
    for term in all {
        let search = Search { terms: vec![term.clone()], filter: Filter::default(), limit: 100 };
        let candidates = stores.index.candidates(search).await.expect("a search");
        let mut found: Vec<Found> = candidates.proposed.iter().map(|candidate| candidate.found).collect();
        found.sort();
        let with = documents.iter().filter(|(_, document)| document.title.contains(term));
        let expected: Vec<Found> = with.map(|(found, _)| *found).collect();
        assert_eq!(
            (found, candidates.frequencies),
            (expected.clone(), vec![expected.len() as u64]),
            "{term}"
        );
    }
}

/// How rare a word is does not depend on what the question is limited to.
pub async fn frequencies_count_documents_whatever_the_filter(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, in_domain("a", open("deploy deploy twice in one"))).await;
    add(&stores, &source, open("deploy again")).await;
    let old = note(&source, "deploy superseded");
    remember(&stores, &old, &[]).await;
    remember(&stores, &note(&source, "rollback"), &[old.id.to_string()]).await;
    let (_, patterns) =
        learn(&stores, &source, finished("x", Outcome::Success, vec![]), vec![recovery("deploy refused")])
            .await;
    assert_eq!(patterns.len(), 1);
    let filter = Filter { domain: Some("a".into()), ..Filter::default() };
    let candidates = search(&stores, "rollback deploy unheard", filter).await;
    // Three episodes, one note that is current, one pattern.
    assert_eq!(candidates.documents, 5);
    assert_eq!(candidates.frequencies, [1, 3, 0]);
    assert_eq!(candidates.proposed.len(), 1);
}

/// What happens later in an episode can be searched for too.
pub async fn steps_and_completion_add_to_the_document(stores: Stores) {
    let source = TestSource::default();
    let id = add(&stores, &source, open("repair login")).await;
    let step = step_insertion(&source, ok("repair with a hammer"));
    stores.episodes.append_step(id, step).await.expect("a step");
    let episode = stores.episodes.get(id).await.expect("a read").expect("the episode");
    let ending = NewEnding { summary: Some("replaced the hinge, repaired".into()), ..NewEnding::default() };
    let end = completion_insertion(&source, &episode, ending);
    stores.episodes.complete(id, end).await.expect("completed");
    let candidates = search(&stores, "login hammer hinge repair", Filter::default()).await;
    assert_eq!(candidates.frequencies, [1, 1, 1, 1]);
    let (title, body) = (Some(Part::Title), Some(Part::Body));
    assert_eq!(candidates.proposed[0].places, [title, body, body, title]);
}

struct One {
    episode: EpisodeId,
    note: NoteId,
    pattern: PatternId,
}

/// An episode, a note and a pattern that `common` finds, all of this domain and time.
async fn one_of_each(stores: &Stores, source: &TestSource, domain: &str) -> One {
    let new = in_domain(domain, finished("common", Outcome::Success, vec![ok("t")]));
    let (episode, patterns) = learn(stores, source, new, vec![recovery("common")]).await;
    let mut note = note(source, "common");
    note.scope.domain = Some(domain.into());
    remember(stores, &note, &[]).await;
    One { episode, note: note.id, pattern: patterns[0] }
}

impl One {
    fn all(&self) -> Vec<Found> {
        vec![Found::Episode(self.episode), Found::Pattern(self.pattern), Found::Note(self.note)]
    }
}

/// No kinds means all kinds.
pub async fn the_kinds_filter_admits_these_kinds_only(stores: Stores) {
    let one = one_of_each(&stores, &TestSource::default(), "d").await;
    let of = |kinds: &[Kind]| Filter { kinds: kinds.to_vec(), ..Filter::default() };
    let [episode, pattern, note] = [one.all()[0], one.all()[1], one.all()[2]];
    for (kinds, expected) in [
        (&[][..], vec![episode, pattern, note]),
        (&[Kind::Episode], vec![episode]),
        (&[Kind::Note], vec![note]),
        (&[Kind::Pattern], vec![pattern]),
        (&[Kind::Note, Kind::Episode], vec![episode, note]),
    ] {
        assert_eq!(found(&stores, "common", of(kinds)).await, expected, "{kinds:?}");
    }
}

/// A domain ends at a dot; its characters mean nothing but themselves.
pub async fn the_domain_filter_admits_the_domain_and_those_below(stores: Stores) {
    let source = TestSource::default();
    add(&stores, &source, open("common without a domain")).await;
    let mut of = Vec::new();
    for domain in ["a_b", "a_b.c", "a_b.c.d", "a_bc", "axb", "axb.c", "A_B"] {
        of.push(one_of_each(&stores, &source, domain).await.all());
    }
    let within = |domain: &str| Filter { domain: Some(domain.into()), ..Filter::default() };
    for (domain, admitted) in [
        ("a_b", &[0, 1, 2][..]),
        ("a_b.c", &[1, 2]),
        ("a_b.c.d", &[2]),
        ("a_bc", &[3]),
        ("axb", &[4, 5]),
        ("a", &[]),
        ("a_b.", &[]),
        ("%", &[]),
        ("*", &[]),
    ] {
        let mut expected: Vec<Found> = admitted.iter().flat_map(|place: &usize| of[*place].clone()).collect();
        expected.sort();
        assert_eq!(found(&stores, "common", within(domain)).await, expected, "{domain}");
    }
}

/// What belongs to no project belongs to none that is asked for; a pattern never does.
pub async fn the_project_filter_admits_that_project_only(stores: Stores) {
    let source = TestSource::default();
    one_of_each(&stores, &source, "d").await;
    let mut expected = Vec::new();
    for project in ["acme/shop", "acme/shop/x", "acme"] {
        let mut new = open("common");
        new.brief.scope.project = Some(project.into());
        let episode = Found::Episode(add(&stores, &source, new).await);
        let mut note = note(&source, "common");
        note.scope.project = Some(project.into());
        remember(&stores, &note, &[]).await;
        expected.push(vec![episode, Found::Note(note.id)]);
    }
    for (project, expected) in ["acme/shop", "acme/shop/x", "acme"].into_iter().zip(expected) {
        let filter = Filter { project: Some(project.into()), ..Filter::default() };
        assert_eq!(found(&stores, "common", filter).await, expected, "{project}");
    }
}

/// `since` is inclusive, `until` exclusive, and both are about when a thing happened, not when it was stored.
pub async fn the_time_filter_is_about_when_it_happened(stores: Stores) {
    let times = [at("1969-01-01T00:00:00Z"), at("2026-01-01T00:00:00Z"), at("2026-01-01T00:00:00.001Z")];
    let source = TestSource::default();
    let mut happened = Vec::new();
    for time in times {
        let domain = format!("d{}", happened.len());
        source.set(at("2026-06-01T00:00:00Z"));
        let done = finished("common", Outcome::Success, vec![]);
        let id =
            add(&stores, &source, in_domain(&domain, NewEpisode { started_at: Some(time), ..done })).await;
        let job = claim_one(&stores, &source).await;
        source.set(time);
        let patterns = record(&stores, &source, job, vec![recovery("common")]).await;
        let mut all = vec![Found::Episode(id), Found::Pattern(patterns[0])];
        let note = Note { tags: vec![domain], ..note(&source, "common") };
        remember(&stores, &note, &[]).await;
        all.push(Found::Note(note.id));
        happened.push(all);
    }
    let [first, second, third] = times;
    for (since, until, admitted) in [
        (Some(second), None, &[1, 2][..]),
        (None, Some(second), &[0]),
        (Some(first), Some(third), &[0, 1]),
        (Some(second), Some(third), &[1]),
        (None, Some(first), &[]),
    ] {
        let mut expected: Vec<Found> =
            admitted.iter().flat_map(|place: &usize| happened[*place].clone()).collect();
        expected.sort();
        let filter = Filter { since, until, ..Filter::default() };
        assert_eq!(found(&stores, "common", filter).await, expected, "{since:?} {until:?}");
    }
}

/// Notes and patterns have no outcome, nor has an open episode.
pub async fn the_outcome_filter_admits_episodes_of_that_outcome(stores: Stores) {
    let source = TestSource::default();
    let success = one_of_each(&stores, &source, "d").await.episode;
    add(&stores, &source, open("common")).await;
    let unknown = NewEpisode { ending: Some(NewEnding::default()), ..open("common") };
    add(&stores, &source, unknown).await;
    let mut of = vec![(Outcome::Success, success)];
    for outcome in [Outcome::Partial, Outcome::Failure, Outcome::Abandoned] {
        of.push((outcome, add(&stores, &source, finished("common", outcome, vec![])).await));
    }
    for (outcome, id) in of {
        let filter = Filter { outcome: Some(outcome), ..Filter::default() };
        assert_eq!(found(&stores, "common", filter).await, [Found::Episode(id)], "{outcome:?}");
    }
}

/// A limit keeps what matches most of the question.
pub async fn the_limit_keeps_the_best_matches(stores: Stores) {
    let source = TestSource::default();
    for number in 0..10 {
        add(&stores, &source, open(&format!("alpha {number}"))).await;
    }
    let best = add(&stores, &source, open("alpha beta gamma")).await;
    for number in 10..20 {
        add(&stores, &source, open(&format!("alpha {number}"))).await;
    }
    let limited = |limit| Search { terms: terms("alpha beta gamma", 10), filter: Filter::default(), limit };
    for limit in [1, 7, 21] {
        let candidates = stores.index.candidates(limited(limit)).await.expect("a search");
        assert_eq!(candidates.proposed.len(), limit);
        assert!(candidates.proposed.iter().any(|candidate| candidate.found == Found::Episode(best)));
        assert_eq!(candidates.frequencies, [21, 1, 1]);
    }
}

/// Items are given in the order of the question; what is unknown is left out.
pub async fn items_come_in_the_order_asked_for(stores: Stores) {
    let source = TestSource::default();
    let one = one_of_each(&stores, &source, "d").await;
    source.set(later(&source, 1));
    let two = one_of_each(&stores, &source, "e").await;
    let asked = vec![
        Found::Note(two.note),
        Found::Episode(EpisodeId(source.id())),
        Found::Episode(one.episode),
        Found::Pattern(two.pattern),
        Found::Note(NoteId(source.id())),
        Found::Pattern(PatternId(source.id())),
        Found::Episode(two.episode),
        Found::Note(one.note),
        Found::Pattern(one.pattern),
    ];
    let items = stores.index.items(asked.clone()).await.expect("items");
    let given: Vec<Found> = items.iter().map(Item::found).collect();
    let known: Vec<Found> = [0, 2, 3, 6, 7, 8].map(|place: usize| asked[place]).to_vec();
    assert_eq!(given, known);
    let head = stores.episodes.heads(&[one.episode]).await.expect("heads").remove(0);
    assert_eq!(item(&stores, Found::Episode(one.episode)).await, Some(Item::Episode(Box::new(head))));
}
