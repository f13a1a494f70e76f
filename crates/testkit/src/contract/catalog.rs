//! What there is, for those who browse it.

use memory_core::access::Access;
use memory_core::episode::Outcome;
use memory_core::id::EpisodeId;
use memory_core::memory::{NewEnding, NewEpisode};
use memory_core::note::Note;
use memory_core::port::{Endings, EpisodeListing, Naming};

use super::{add, at, learn, note, recovery, remember};
use crate::episode::{finished, in_domain, ok, open};
use crate::{Stores, TestSource};

fn in_project(project: &str, mut episode: NewEpisode) -> NewEpisode {
    episode.brief.scope.project = Some(project.into());
    episode
}

async fn listed(
    stores: &Stores,
    project: Option<&str>,
    before: Option<EpisodeId>,
    max: usize,
) -> Vec<EpisodeId> {
    let listing =
        EpisodeListing { project: project.map(Into::into), before, max, ..EpisodeListing::default() };
    let heads = stores.catalog.episodes(listing).await.expect("a list");
    heads.into_iter().map(|head| head.id).collect()
}

async fn named(
    stores: &Stores,
    naming: Naming,
    prefix: &str,
    after: Option<&str>,
    max: usize,
) -> Vec<String> {
    stores.catalog.names(naming, prefix.into(), after.map(Into::into), max).await.expect("names")
}

/// A page ends where it was asked to, and the next one goes on there.
pub async fn episodes_are_listed_the_last_stored_first(stores: Stores) {
    let source = TestSource::default();
    assert_eq!(listed(&stores, None, None, 10).await, []);
    let mut ids = Vec::new();
    for number in 0..5 {
        ids.push(add(&stores, &source, open(&format!("task {number}"))).await);
    }
    ids.reverse();
    assert_eq!(listed(&stores, None, None, 10).await, ids);
    assert_eq!(listed(&stores, None, None, 2).await, ids[..2]);
    assert_eq!(listed(&stores, None, Some(ids[1]), 2).await, ids[2..4]);
    assert_eq!(listed(&stores, None, Some(ids[4]), 2).await, []);
    // Where a page ended is a place even when what stood there is gone.
    stores.episodes.delete(ids[1]).await.expect("deleted");
    assert_eq!(listed(&stores, None, Some(ids[1]), 2).await, ids[2..4]);
}

/// Projects are told apart by their whole names.
pub async fn the_episodes_of_a_project_are_listed_by_themselves(stores: Stores) {
    let source = TestSource::default();
    let shop = add(&stores, &source, in_project("shop", open("a"))).await;
    add(&stores, &source, in_project("shop-2", open("b"))).await;
    let again = add(&stores, &source, in_project("shop", open("c"))).await;
    add(&stores, &source, open("d")).await;
    assert_eq!(listed(&stores, Some("shop"), None, 10).await, [again, shop]);
    assert_eq!(listed(&stores, Some("shop"), Some(again), 10).await, [shop]);
    assert_eq!(listed(&stores, Some("sho"), None, 10).await, []);
    let ended = add(&stores, &source, in_project("shop", finished("e", Outcome::Failure, vec![]))).await;
    add(&stores, &source, in_project("shop", open("f"))).await;
    for project in [Some("shop".to_owned()), None] {
        let listing = EpisodeListing { project, completed: Some(true), max: 10, ..EpisodeListing::default() };
        let heads = stores.catalog.episodes(listing).await.expect("a list");
        assert_eq!(heads.iter().map(|head| head.id).collect::<Vec<_>>(), [ended]);
    }
}

/// Each condition leaves out what it does not hold for.
pub async fn episodes_are_listed_by_what_they_are(stores: Stores) {
    let source = TestSource::default();
    let day = |day: &str| at(&format!("2026-03-{day}T00:00:00Z"));
    let begun = |day, new| NewEpisode { started_at: Some(day), ..new };
    let done = |task, outcome| in_project("shop", finished(task, outcome, vec![]));
    let all = [
        begun(day("03"), in_domain("web", open("a"))),
        begun(day("02"), in_domain("web.shop", done("b", Outcome::Success))),
        begun(day("01"), in_domain("webs", done("c", Outcome::Failure))),
        begun(day("04"), NewEpisode { ending: Some(NewEnding::default()), ..open("d") }),
    ];
    let mut ids = Vec::new();
    for new in all {
        ids.push(add(&stores, &source, new).await);
    }
    let none = || EpisodeListing { max: 10, ..EpisodeListing::default() };
    let cases: [(EpisodeListing, &[usize]); 12] = [
        (none(), &[3, 2, 1, 0]),
        (EpisodeListing { domain: Some("web".into()), ..none() }, &[1, 0]),
        (EpisodeListing { domain: Some("we".into()), ..none() }, &[]),
        (EpisodeListing { completed: Some(true), ..none() }, &[3, 2, 1]),
        (EpisodeListing { completed: Some(false), ..none() }, &[0]),
        (EpisodeListing { outcome: Some(Outcome::Failure), ..none() }, &[2]),
        (EpisodeListing { outcome: Some(Outcome::Partial), ..none() }, &[]),
        (EpisodeListing { since: Some(day("02")), ..none() }, &[3, 1, 0]),
        (EpisodeListing { until: Some(day("02")), ..none() }, &[2]),
        (EpisodeListing { since: Some(day("02")), until: Some(day("04")), max: 1, ..none() }, &[1]),
        (EpisodeListing { project: Some("shop".into()), before: Some(ids[2]), ..none() }, &[1]),
        (EpisodeListing { project: Some("shop".into()), outcome: Some(Outcome::Success), ..none() }, &[1]),
    ];
    for (listing, expected) in cases {
        let heads = stores.catalog.episodes(listing.clone()).await.expect("a list");
        let expected: Vec<EpisodeId> = expected.iter().map(|place| ids[*place]).collect();
        assert_eq!(heads.iter().map(|head| head.id).collect::<Vec<_>>(), expected, "{listing:?}");
    }
    let seen = stores.within(&Access::new(&["web".to_owned()], true).expect("domains"));
    let heads = seen.catalog.episodes(EpisodeListing { since: Some(day("01")), ..none() }).await;
    assert_eq!(heads.expect("a list").len(), 2);
}

/// What was superseded is not what is known of a project.
pub async fn the_current_notes_of_a_project_are_told(stores: Stores) {
    let source = TestSource::default();
    let in_shop = |text: &str| {
        let mut note = note(&source, text);
        note.scope.project = Some("shop".into());
        note
    };
    let (first, second, third) = (in_shop("one"), in_shop("two"), in_shop("three"));
    remember(&stores, &first, &[]).await;
    remember(&stores, &second, &[]).await;
    remember(&stores, &third, &[first.id.to_string()]).await;
    remember(&stores, &note(&source, "elsewhere"), &[]).await;
    let told = async |max| stores.catalog.notes("shop".into(), max).await.expect("notes");
    assert_eq!(told(10).await, [third.clone(), second]);
    assert_eq!(told(1).await, [third]);
    assert_eq!(stores.catalog.notes("sho".into(), 10).await, Ok(vec![]));
}

/// Each name once, in order, in pages.
pub async fn names_are_told_by_their_beginning(stores: Stores) {
    let source = TestSource::default();
    for project in ["web", "shop", "shop", "shöp%", "shop-2"] {
        add(&stores, &source, in_project(project, open("a"))).await;
    }
    let mut wiki = note(&source, "in a project of its own");
    wiki.scope.project = Some("wiki".into());
    remember(&stores, &wiki, &[]).await;
    let superseding =
        Note { id: memory_core::id::NoteId(memory_core::port::Source::id(&source)), ..wiki.clone() };
    let mut old = note(&source, "of no project any more");
    old.scope.project = Some("gone".into());
    remember(&stores, &old, &[]).await;
    remember(&stores, &Note { text: "newer".into(), ..superseding }, &[old.id.to_string()]).await;
    let projects = async |prefix, after, max| named(&stores, Naming::Projects, prefix, after, max).await;
    assert_eq!(projects("", None, 10).await, ["shop", "shop-2", "shöp%", "web", "wiki"]);
    assert_eq!(projects("shop", None, 10).await, ["shop", "shop-2"]);
    assert_eq!(projects("sh%", None, 10).await, Vec::<String>::new());
    assert_eq!(projects("w", None, 1).await, ["web"]);
    assert_eq!(projects("", Some("shop-2"), 2).await, ["shöp%", "web"]);

    let episodes: Vec<String> =
        listed(&stores, None, None, 10).await.iter().map(ToString::to_string).collect();
    assert_eq!(named(&stores, Naming::Episodes, "", None, 10).await, episodes);
    assert_eq!(named(&stores, Naming::Episodes, &episodes[3][..30], None, 10).await.last(), episodes.last());
    assert_eq!(named(&stores, Naming::Episodes, &episodes[3], None, 10).await, episodes[3..4]);
    assert_eq!(named(&stores, Naming::Episodes, "", Some(&episodes[2]), 1).await, episodes[3..4]);
    assert_eq!(named(&stores, Naming::Episodes, "zz", None, 10).await, Vec::<String>::new());

    let new = finished("a", Outcome::Success, vec![ok("t")]);
    let (_, patterns) = learn(&stores, &source, new, vec![recovery("a"), recovery("b")]).await;
    let mut patterns: Vec<String> = patterns.iter().map(ToString::to_string).collect();
    patterns.sort_unstable();
    assert_eq!(named(&stores, Naming::Patterns, "", None, 10).await, patterns);
    assert_eq!(named(&stores, Naming::Patterns, &patterns[1], None, 10).await, patterns[1..]);
    assert_eq!(named(&stores, Naming::Patterns, "", Some(&patterns[0]), 10).await, patterns[1..]);
}

/// Each way to end has its number.
pub async fn endings_are_counted(stores: Stores) {
    let source = TestSource::default();
    assert_eq!(stores.catalog.endings("shop".into()).await, Ok(Endings::default()));
    let mut all = vec![open("o")];
    for (times, outcome) in [1, 2, 3, 4].into_iter().zip(Outcome::ALL) {
        all.extend((0..times).map(|number| finished(&format!("{number}"), outcome, vec![])));
    }
    all.push(NewEpisode { ending: Some(NewEnding::default()), ..open("u") });
    for episode in all {
        add(&stores, &source, in_project("shop", episode)).await;
    }
    add(&stores, &source, in_project("other", open("o"))).await;
    let endings = stores.catalog.endings("shop".into()).await.expect("counts");
    let of = |outcome| match outcome {
        Outcome::Success => endings.success,
        Outcome::Partial => endings.partial,
        Outcome::Failure => endings.failure,
        Outcome::Abandoned => endings.abandoned,
    };
    assert_eq!(Outcome::ALL.map(of), [1, 2, 3, 4]);
    assert_eq!((endings.open, endings.unknown), (1, 1));
}
