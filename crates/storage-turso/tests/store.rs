//! What this store promises beside the contract: several stores on one file, a log that stays small, privacy.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;

use futures::future::join_all;
use jiff::SignedDuration;
use memory_core::memory::NewEpisode;
use memory_core::port::{
    ChangeLog, Embedded, EpisodeStore, Source as _, Space, StoreError, StoreHealth, VectorStore,
};
use memory_core::retrieve::Found;
use memory_core::search::{Corpus, Standing};
use memory_core::vector::Vector;
use storage_turso::TursoStore;
use testkit::TestSource;
use testkit::episode::{insertion, ok, open};

async fn open_store(path: &Path) -> TursoStore {
    TursoStore::open(path).await.expect("a database")
}

#[tokio::test]
async fn stores_opened_at_once_on_a_new_file_agree_on_one_schema() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("memory.db");
    let stores = join_all((0..8).map(|_| TursoStore::open(&path))).await;
    let ids: Vec<_> = stores.into_iter().map(|store| store.expect("a database").id()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn writers_of_several_stores_on_one_file_take_turns() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("memory.db");
    let source = Arc::new(TestSource::default());
    let (a, b) = (open_store(&path).await, open_store(&path).await);
    let writes = (0..200).map(|n| {
        let store = if n % 2 == 0 { a.clone() } else { b.clone() };
        let insertion = insertion(source.as_ref(), open(&format!("task {n}")));
        async move { store.insert(vec![insertion]).await.expect("stored") }
    });
    join_all(writes).await;
    for store in [&a, &b] {
        assert_eq!(StoreHealth::counts(store).await.expect("counts").episodes, 200);
        assert_eq!(store.change_seq().await, Ok(200));
        assert_eq!(store.check().await, Ok(vec![]));
    }
}

#[tokio::test]
async fn the_log_is_emptied_when_it_has_grown() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("memory.db");
    let source = TestSource::default();
    let store = open_store(&path).await;
    let mut largest = 0;
    for n in 0..40 {
        let mut step = ok("read");
        step.observation = Some("x".repeat(250_000));
        let new = NewEpisode { steps: vec![step.clone(), step], ..open(&format!("task {n}")) };
        store.insert(vec![insertion(&source, new)]).await.expect("stored");
        // The log is emptied after the write was acknowledged, so at the latest before the next one.
        let log = std::fs::metadata(dir.path().join("memory.db-wal")).map_or(0, |log| log.len());
        largest = largest.max(log);
    }
    let stored = StoreHealth::counts(&store).await.expect("counts").bytes;
    assert!(stored > 15_000_000 && largest < stored / 2, "{largest} of {stored}");
}

#[tokio::test]
async fn a_closed_store_refuses_and_its_file_is_whole() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("memory.db");
    let store = open_store(&path).await;
    store.insert(vec![insertion(&TestSource::default(), open("a task"))]).await.expect("stored");
    store.close().await;
    assert!(matches!(store.change_seq().await, Err(StoreError::Other(_))));
    assert!(!dir.path().join("memory.db-wal").exists(), "the last to close empties the log");
    assert_eq!(open_store(&path).await.change_seq().await, Ok(1));
}

#[cfg(unix)]
#[tokio::test]
async fn only_its_owner_can_read_the_database() {
    use std::os::unix::fs::PermissionsExt;

    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("memory.db");
    let store = open_store(&path).await;
    store.insert(vec![insertion(&TestSource::default(), open("a task"))]).await.expect("stored");
    for name in ["memory.db", "memory.db-wal", "memory.db-shm"] {
        let mode = std::fs::metadata(dir.path().join(name)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn what_one_process_embeds_another_one_sees() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let path = dir.path().join("memory.db");
    let source = TestSource::default();
    let (a, b) = (open_store(&path).await, open_store(&path).await);
    let insertion = insertion(&source, open("a task"));
    let found = Found::Episode(insertion.episode.head.id);
    a.insert(vec![insertion]).await.expect("stored");
    assert_eq!(b.standing().await, Ok(Standing { seq: 1, space: None }));
    let space = Space { name: "tiny".into(), dimensions: 2 };
    let (now, until) = (source.now(), source.now() + SignedDuration::from_secs(60));
    for (store, held) in [(&a, true), (&b, false)] {
        assert_eq!(store.hold_space(space.clone(), source.id(), now, until).await, Ok(held));
    }
    let entry = b.entries(vec![found], None).await.expect("a read").remove(0);
    let vector = Vector::new(&[1.0, 2.0]);
    let fingerprints = entry.document.passages.iter().map(|passage| passage.fingerprint());
    let vectors = fingerprints.map(|print| print.map(|print| (print, vector.clone()))).collect();
    a.put_vectors(space.clone(), vec![Embedded { found, vectors }]).await.expect("kept");
    a.put_vectors(space.clone(), Vec::new()).await.expect("known");
    a.complete_space(space.clone(), 1).await.expect("complete");
    for store in [&a, &b] {
        assert_eq!(store.standing().await, Ok(Standing { seq: 1, space: Some(space.clone()) }));
        let page = store.page(None, 10, Some(space.clone())).await.expect("a page");
        assert_eq!(page[0].vectors[0], Some(vector.clone()));
    }
}
