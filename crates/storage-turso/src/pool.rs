//! Connections, each on a thread of its own, limited by semaphores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use memory_core::port::StoreError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::limits::{BUSY_ATTEMPTS_MAX, BUSY_PAUSE_MILLIS_MAX, LOG_BYTES_MAX, READERS_MAX};
use crate::link::Link;

type Job = Box<dyn FnOnce(&Link) + Send>;

/// The connections to one database: one that writes and up to [`READERS_MAX`] that read.
pub(crate) struct Pool {
    readers: Lane,
    writer: Lane,
}

impl Pool {
    pub(crate) fn new(path: &Path) -> Self {
        let path = path.to_string_lossy().into_owned();
        Self { readers: Lane::new(path.clone(), false, READERS_MAX), writer: Lane::new(path, true, 1) }
    }

    /// Runs `query` on a connection that reads. It sees everything committed before this call.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        query: impl FnOnce(&Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.readers.run(query).await
    }

    /// Runs `change` as one transaction; when this returns, it is durable. While other processes keep the database
    /// busy, it is tried again; `change` must be repeatable.
    pub(crate) async fn write<T: Send + 'static>(
        &self,
        change: impl Fn(&Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let patient = move |link: &Link| {
            let mut attempts = 1;
            loop {
                match link.transaction(&change) {
                    Err(StoreError::Busy) if attempts < BUSY_ATTEMPTS_MAX => attempts += 1,
                    done => return done,
                }
                std::thread::sleep(Duration::from_millis(fastrand::u64(..BUSY_PAUSE_MILLIS_MAX)));
            }
        };
        self.writer.run(patient).await
    }

    /// Runs `change` on the writing connection outside of a transaction.
    pub(crate) async fn migrate<T: Send + 'static>(
        &self,
        change: impl FnOnce(&Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.writer.run(change).await
    }

    /// Waits for what is being done, then closes the connections.
    pub(crate) async fn close(&self) {
        // Readers first: the last connection to close empties the log, which the writer does best.
        self.readers.close().await;
        self.writer.close().await;
    }
}

/// Some connections of one kind.
struct Lane {
    path: String,
    writes: bool,
    connections_max: usize,
    permits: Arc<Semaphore>,
    idle: Arc<Mutex<Vec<Worker>>>,
}

/// A thread with its connection, waiting for work. Dropping it closes the connection and ends the thread.
struct Worker {
    jobs: SyncSender<Job>,
    thread: std::thread::JoinHandle<()>,
}

/// A connection in use. It travels with its job and returns to the idle ones when that is done, also if nobody waits
/// for the result any more: the permit lives exactly as long as the use.
struct Lease {
    worker: Option<Worker>,
    idle: Arc<Mutex<Vec<Worker>>>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(worker) = self.worker.take() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(worker);
        }
    }
}

impl Lane {
    fn new(path: String, writes: bool, connections_max: usize) -> Self {
        let permits = Arc::new(Semaphore::new(connections_max));
        Self { path, writes, connections_max, permits, idle: Arc::default() }
    }

    async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Link) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let closed = || StoreError::Other("the store is closed".into());
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(|_| closed())?;
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let worker = match idle {
            Some(worker) => worker,
            None => self.start().await?,
        };
        let jobs = worker.jobs.clone();
        let upkeep: Option<fn(&Link)> = self.writes.then_some(empty_log);
        let lease = Lease { worker: Some(worker), idle: Arc::clone(&self.idle), _permit: permit };
        let (answer, answered) = oneshot::channel();
        let task: Job = Box::new(move |link| {
            let done = catch_unwind(AssertUnwindSafe(|| job(link))).unwrap_or_else(|_| {
                link.roll_back();
                Err(StoreError::Other("an internal error in the store; nothing was stored".into()))
            });
            // Nobody may be waiting any more; the work is done all the same.
            let _ = answer.send(done);
            if let Some(upkeep) = upkeep {
                upkeep(link);
            }
            drop(lease);
        });
        jobs.send(task).map_err(|_| closed())?;
        answered.await.map_err(|_| closed())?
    }

    async fn start(&self) -> Result<Worker, StoreError> {
        let (jobs, inbox) = sync_channel(1);
        let (opened, open) = oneshot::channel();
        let (path, writes) = (self.path.clone(), self.writes);
        let name = if writes { "store-writer" } else { "store-reader" };
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(move || serve(&path, writes, &inbox, opened))
            .map_err(|error| StoreError::Other(format!("starting a thread: {error}")))?;
        open.await.map_err(|_| StoreError::Other("a connection was lost while it was opened".into()))??;
        Ok(Worker { jobs, thread })
    }

    async fn close(&self) {
        // All permits together: nothing is in use.
        let Ok(_all) = self.permits.acquire_many(self.connections_max as u32).await else { return };
        self.permits.close();
        let workers = std::mem::take(&mut *self.idle.lock().unwrap_or_else(PoisonError::into_inner));
        for Worker { jobs, thread } in workers {
            drop(jobs);
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

/// Empties the log once it is large. Done after the answer was given, so that no caller waits for it. If others are in
/// the way it is tried again after the next change.
fn empty_log(link: &Link) {
    if link.log_bytes() > LOG_BYTES_MAX
        && let Err(error) = link.checkpoint()
    {
        tracing::warn!(%error, "failed to empty the write-ahead log");
    }
}

fn serve(path: &str, writes: bool, inbox: &Receiver<Job>, opened: oneshot::Sender<Result<(), StoreError>>) {
    let link = match Link::open(path, writes) {
        Ok(link) => link,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    let _ = opened.send(Ok(()));
    while let Ok(job) = inbox.recv() {
        job(&link);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate;

    #[tokio::test]
    async fn a_panic_in_a_job_takes_back_its_changes_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(&dir.path().join("memory.db"));
        pool.migrate(|link| migrate::up(link, "memory.db")).await.unwrap();
        let failed = pool.write(|link| -> Result<(), StoreError> {
            link.execute("INSERT INTO change (kind, id) VALUES ('note', 'lost')", ())?;
            panic!("a bug");
        });
        assert!(matches!(failed.await, Err(StoreError::Other(_))));
        pool.write(|link| link.execute("INSERT INTO change (kind, id) VALUES ('note', 'kept')", ()))
            .await
            .unwrap();
        let kept = pool.read(|link| link.rows("SELECT id FROM change", (), |row| row.get::<String>(0))).await;
        assert_eq!(kept.unwrap(), ["kept"]);
    }

    #[tokio::test]
    async fn a_caller_that_gives_up_neither_stops_the_work_nor_keeps_the_connection() {
        let dir = tempfile::tempdir().unwrap();
        let pool = Pool::new(&dir.path().join("memory.db"));
        pool.migrate(|link| migrate::up(link, "memory.db")).await.unwrap();
        for _ in 0..3 * READERS_MAX {
            let write =
                pool.write(|link| link.execute("INSERT INTO change (kind, id) VALUES ('note', 'x')", ()));
            // Polled once, which hands the job over, then dropped.
            let given_up = tokio::time::timeout(Duration::ZERO, write).await;
            drop(given_up);
        }
        pool.write(|_| Ok(())).await.unwrap();
        let done = pool.read(|link| link.number("SELECT count(*) FROM change", ())).await.unwrap();
        assert!(done > 0, "{done}");
    }
}
