//! The contract of every store, kept by this one.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use storage_turso::TursoStore;
use testkit::Stores;

async fn fresh() -> Stores {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(TursoStore::open(&dir.path().join("memory.db")).await.expect("a new database"));
    Stores::of(store, Some(Arc::new(dir)))
}

testkit::contract!(fresh);
