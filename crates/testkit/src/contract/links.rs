//! How episodes relate to each other.

use memory_core::access::{Access, Refusal};
use memory_core::id::EpisodeId;
use memory_core::limits::EPISODE_LINKS_MAX;
use memory_core::link::{Link, Relation};
use memory_core::port::{Source, StoreError};
use memory_core::retrieve::Found;

use super::add;
use crate::episode::{in_domain, open};
use crate::{Stores, TestSource};

fn continues(from: EpisodeId, to: EpisodeId) -> Link {
    Link { from, to, relation: Relation::Continues }
}

fn access(domains: &[&str], may_change: bool) -> Access {
    let domains: Vec<String> = domains.iter().map(ToString::to_string).collect();
    Access::new(&domains, may_change).expect("domains")
}

async fn seq(stores: &Stores) -> u64 {
    stores.changes.change_seq().await.expect("a read")
}

/// Both ends tell of a link, what was said last first; to say it again changes nothing, to take it back takes it away.
pub async fn a_link_is_told_by_both_ends_until_it_is_removed(stores: Stores) {
    let source = TestSource::default();
    let (a, b) = (add(&stores, &source, open("a")).await, add(&stores, &source, open("b")).await);
    let c = add(&stores, &source, open("c")).await;
    assert_eq!(stores.links.links(a).await, Ok(vec![]));
    let before = seq(&stores).await;
    let first = continues(b, a);
    let second = Link { relation: Relation::Retries, ..first };
    let third = Link { from: a, to: b, relation: Relation::Relates };
    for link in [first, second, third, continues(c, b)] {
        assert_eq!(stores.links.link(link).await, Ok(()));
    }
    assert_eq!(stores.links.links(a).await, Ok(vec![third, second, first]));
    assert_eq!(stores.links.links(b).await, Ok(vec![continues(c, b), third, second, first]));
    let changes = stores.changes.changes_after(before, 100).await.expect("a read").expect("known");
    let changed: Vec<Found> = changes.into_iter().map(|change| change.found).collect();
    assert_eq!(&changed[..2], [Found::Episode(b), Found::Episode(a)], "what both tell is another thing");

    let before = seq(&stores).await;
    assert_eq!(stores.links.link(second).await, Ok(()));
    assert_eq!(stores.links.unlink(continues(a, b)).await, Ok(()), "there is none in this direction");
    assert_eq!(seq(&stores).await, before);
    assert_eq!(stores.links.unlink(second).await, Ok(()));
    assert_eq!(stores.links.links(a).await, Ok(vec![third, first]));
    assert!(seq(&stores).await > before);
}

/// A link needs both of its ends.
pub async fn a_link_goes_with_either_of_its_ends(stores: Stores) {
    let source = TestSource::default();
    let mut ids = Vec::new();
    for task in ["a", "b", "c"] {
        ids.push(add(&stores, &source, open(task)).await);
    }
    let [a, b, c] = ids[..] else { panic!("three") };
    for link in [continues(a, b), continues(b, c), continues(c, a)] {
        assert_eq!(stores.links.link(link).await, Ok(()));
    }
    assert_eq!(stores.episodes.delete(b).await, Ok(()));
    for id in [a, c] {
        assert_eq!(stores.links.links(id).await, Ok(vec![continues(c, a)]));
    }
    assert_eq!(stores.links.links(b).await, Ok(vec![]));
    for link in [continues(a, b), continues(EpisodeId(source.id()), a)] {
        assert_eq!(stores.links.link(link).await, Err(StoreError::NotFound));
        assert_eq!(stores.links.unlink(link).await, Err(StoreError::NotFound));
    }
}

/// No more links than can be told.
pub async fn an_episode_has_so_many_links(stores: Stores) {
    let source = TestSource::default();
    let hub = add(&stores, &source, in_domain("a", open("hub"))).await;
    let mut links = Vec::new();
    for _ in 0..EPISODE_LINKS_MAX {
        let link = continues(add(&stores, &source, in_domain("b", open("spoke"))).await, hub);
        assert_eq!(stores.links.link(link).await, Ok(()));
        links.push(link);
    }
    let other = add(&stores, &source, in_domain("a", open("one more"))).await;
    for link in [continues(other, hub), continues(hub, other)] {
        assert_eq!(stores.links.link(link).await, Err(StoreError::TooManyLinks(hub)));
    }
    assert_eq!(stores.links.link(links[0]).await, Ok(()), "it is there already");
    // Who cannot see them is not told of them.
    let seen = stores.within(&access(&["a"], true));
    assert_eq!(seen.links.link(continues(other, hub)).await, Ok(()));
    assert_eq!(seen.links.links(hub).await, Ok(vec![continues(other, hub)]));
    let told = stores.links.links(hub).await.expect("links");
    assert_eq!((told.len(), told[0]), (EPISODE_LINKS_MAX, continues(other, hub)));
}

/// A link to what a caller may not see is not there for it, and cannot be made or removed by it.
pub async fn a_link_is_there_for_who_may_see_both_ends(stores: Stores) {
    let source = TestSource::default();
    let own = add(&stores, &source, in_domain("a", open("own"))).await;
    let below = add(&stores, &source, in_domain("a.b", open("below"))).await;
    let other = add(&stores, &source, in_domain("b", open("other"))).await;
    for link in [continues(own, other), continues(other, own), continues(below, own)] {
        assert_eq!(stores.links.link(link).await, Ok(()));
    }
    let seen = stores.within(&access(&["a"], true));
    assert_eq!(seen.links.links(own).await, Ok(vec![continues(below, own)]));
    assert_eq!(seen.links.links(other).await, Ok(vec![]));
    for link in [continues(own, other), continues(other, own), continues(own, EpisodeId(source.id()))] {
        assert_eq!(seen.links.link(link).await, Err(StoreError::NotFound));
        assert_eq!(seen.links.unlink(link).await, Err(StoreError::NotFound));
    }
    assert_eq!(stores.links.links(own).await.expect("links").len(), 3);
    let reader = stores.within(&access(&["a"], false));
    assert_eq!(reader.links.links(own).await, Ok(vec![continues(below, own)]));
    let refused = Err(StoreError::Refused(Refusal::ReadOnly));
    assert_eq!(reader.links.link(continues(own, below)).await, refused);
    assert_eq!(reader.links.unlink(continues(below, own)).await, refused);
}
