//! The durable, canonical store: libsql (SQLite) in a local file.
//!
//! Every connection lives on a thread of its own (`pool`), because libsql runs SQLite synchronously inside its async
//! functions and because a connection that never changes threads is the use of it that was found sound
//! (`docs/libsql.md`). A change is one IMMEDIATE transaction, committed with an fsync before it is acknowledged.

mod allowed;
mod catalog;
mod changes;
mod citations;
mod corpus;
mod episodes;
mod experience;
mod fault;
mod feedback;
mod health;
mod items;
mod jobs;
mod learning;
mod limits;
mod link;
mod links;
mod migrate;
mod notes;
mod patterns;
mod pool;
mod row;
mod usage;
mod vectors;

use std::fs::OpenOptions;
use std::path::Path;
use std::sync::Arc;

use memory_core::access::Access;
use memory_core::port::{Guarded, StoreError};
use uuid::Uuid;

use allowed::Allowed;
use pool::Pool;

/// The store, for one caller. Cheap to clone; implements every storage port of [`memory_core::port`]. What the background
/// work needs ([`JobStore`](memory_core::port::JobStore) but for its counts, the corpus, vectors, the change log) is the
/// same for every caller and given to none.
#[derive(Clone)]
pub struct TursoStore {
    pool: Arc<Pool>,
    id: Uuid,
    allowed: Allowed,
}

impl Guarded for TursoStore {
    fn within(&self, access: &Arc<Access>) -> Self {
        Self { allowed: Allowed::new(access), ..self.clone() }
    }
}

impl TursoStore {
    /// Opens the database file, creates it if there is none, and brings its schema up to date. The store is that of who may
    /// see and change everything.
    ///
    /// # Errors
    /// [`StoreError::Newer`] for a database of a newer version, [`StoreError::Corrupt`] for a file that is no database
    /// or is damaged, [`StoreError::ReadOnly`] where it cannot be written, [`StoreError::Full`], [`StoreError::Busy`].
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        create_private(path);
        let pool = Arc::new(Pool::new(path));
        match identify(&pool, path.display().to_string()).await {
            Ok(id) => Ok(Self { pool, id, allowed: Allowed::new(&Arc::new(Access::everything())) }),
            Err(error) => {
                // A process that ends now would leave the connection's log files behind.
                pool.close().await;
                Err(error)
            }
        }
    }

    /// Tells this database from every other, also after it was moved.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// Closes all connections once what they are doing is done. Later calls fail.
    pub async fn close(&self) {
        self.pool.close().await;
    }
}

/// Creates the database file for its owner's eyes only, if there is none; SQLite gives its log the same permissions.
/// Whatever keeps it from being created is reported when it is opened.
fn create_private(path: &Path) {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let _ = options.open(path);
}

/// Brings the schema up to date and reads which database it is.
async fn identify(pool: &Pool, shown: String) -> Result<Uuid, StoreError> {
    pool.migrate(move |link| migrate::up(link, &shown).and_then(|()| learning::bring_up_to_date(link)))
        .await?;
    pool.read(|link| link.row("SELECT id FROM store", (), |row| row.get::<String>(0)))
        .await?
        .and_then(|text| Uuid::parse_str(&text).ok())
        .ok_or_else(|| StoreError::Corrupt("it has no identity".into()))
}
