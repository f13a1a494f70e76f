//! One connection, used from one thread only.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use futures::executor::block_on;
use libsql::params::IntoParams;
use libsql::{Connection, Database, Row, Statement};
use memory_core::port::StoreError;

use crate::fault::of_libsql;
use crate::limits::{BUSY_TIMEOUT, CHECKPOINT_WAIT, PAGE_CACHE_KIB};

/// libsql sets up a global on the first connection without a lock, so connections are opened one after the other.
static OPENING: Mutex<()> = Mutex::new(());

/// What reading a row gives; errors are libsql's, for instance a column of another type.
pub(crate) type Read<T> = Result<T, libsql::Error>;

/// A connection with its prepared statements. Rows never leave it: they are views into their statement, so each is
/// turned into a value before the next is stepped to, and every statement is reset before anything else is done.
/// A statement that is not reset holds its read transaction open.
pub(crate) struct Link {
    // Declared before the connection, so that they are dropped before it.
    statements: RefCell<HashMap<&'static str, Statement>>,
    connection: Connection,
    _database: Database,
    path: String,
}

impl Link {
    /// Opens a connection; one for reading refuses to change anything.
    pub(crate) fn open(path: &str, writes: bool) -> Result<Self, StoreError> {
        let fault = |error| of_libsql(error, path);
        let database = block_on(libsql::Builder::new_local(path).build()).map_err(fault)?;
        let connection = {
            let _one_at_a_time = OPENING.lock().unwrap_or_else(PoisonError::into_inner);
            database.connect().map_err(fault)?
        };
        connection.busy_timeout(BUSY_TIMEOUT).map_err(fault)?;
        let settings = format!(
            "PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; PRAGMA foreign_keys = ON; PRAGMA cache_size = -{PAGE_CACHE_KIB};
             PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0; PRAGMA query_only = {};",
            u8::from(!writes)
        );
        block_on(connection.execute_batch(&settings)).map_err(fault)?;
        let statements = RefCell::default();
        Ok(Self { statements, connection, _database: database, path: path.to_owned() })
    }

    /// Runs several statements that take no arguments and return nothing.
    pub(crate) fn batch(&self, sql: &str) -> Result<(), StoreError> {
        block_on(self.connection.execute_batch(sql)).map(drop).map_err(|error| self.fault(error))
    }

    /// Runs one statement that changes something; returns how many rows it changed.
    pub(crate) fn execute(&self, sql: &'static str, params: impl IntoParams) -> Result<usize, StoreError> {
        self.prepared(sql, |statement| block_on(statement.execute(params)))
    }

    /// All rows of a query, each turned into a value.
    pub(crate) fn rows<T>(
        &self,
        sql: &'static str,
        params: impl IntoParams,
        mut read: impl FnMut(&Row) -> Read<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.prepared(sql, |statement| {
            let mut rows = block_on(statement.query(params))?;
            let mut values = Vec::new();
            while let Some(row) = block_on(rows.next())? {
                values.push(read(&row)?);
            }
            Ok(values)
        })
    }

    /// The first row of a query, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &'static str,
        params: impl IntoParams,
        read: impl FnOnce(&Row) -> Read<T>,
    ) -> Result<Option<T>, StoreError> {
        self.prepared(sql, |statement| {
            let mut rows = block_on(statement.query(params))?;
            block_on(rows.next())?.map(|row| read(&row)).transpose()
        })
    }

    /// The integer that a query of one row and one column gives.
    pub(crate) fn number(&self, sql: &'static str, params: impl IntoParams) -> Result<u64, StoreError> {
        let value = self.row(sql, params, |row| row.get::<i64>(0))?;
        Ok(value.and_then(|value| u64::try_from(value).ok()).unwrap_or(0))
    }

    /// The key that the last insertion got.
    pub(crate) fn last_key(&self) -> i64 {
        self.connection.last_insert_rowid()
    }

    /// Runs `change` as one transaction that takes the write lock at once: one that only asks for it when it first
    /// writes can lose to another writer in spite of the busy time-out.
    pub(crate) fn transaction<T>(
        &self,
        change: impl FnOnce(&Self) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.execute("BEGIN IMMEDIATE", ())?;
        let done = change(self).and_then(|value| self.execute("COMMIT", ()).map(|_| value));
        if done.is_err() {
            self.roll_back();
        }
        done
    }

    /// Moves the write-ahead log into the database and empties it. Only ever done whole and by the writing connection:
    /// SQLite's own checkpoints after a commit can race another process's commit and lose it (`docs/libsql.md`).
    /// Returns false if other connections were in the way.
    pub(crate) fn checkpoint(&self) -> Result<bool, StoreError> {
        let wait = |time| self.connection.busy_timeout(time).map_err(|error| self.fault(error));
        wait(CHECKPOINT_WAIT)?;
        let blocked = self.row("PRAGMA wal_checkpoint(TRUNCATE)", (), |row| row.get::<i64>(0));
        wait(BUSY_TIMEOUT)?;
        Ok(blocked? == Some(0))
    }

    /// Size of the write-ahead log, in bytes.
    pub(crate) fn log_bytes(&self) -> u64 {
        std::fs::metadata(format!("{}-wal", self.path)).map_or(0, |log| log.len())
    }

    /// Ends the transaction that an error or a panic left open, if there is one.
    pub(crate) fn roll_back(&self) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.execute("ROLLBACK", ())
        {
            tracing::error!(%error, "failed to roll back");
        }
    }

    fn prepared<T>(
        &self,
        sql: &'static str,
        run: impl FnOnce(&Statement) -> Read<T>,
    ) -> Result<T, StoreError> {
        // Taken out while in use, so that a query within a query gets a statement of its own.
        let kept = self.statements.borrow_mut().remove(sql);
        let statement = match kept {
            Some(statement) => statement,
            None => block_on(self.connection.prepare(sql)).map_err(|error| self.fault(error))?,
        };
        let done = run(&statement);
        statement.reset();
        self.statements.borrow_mut().insert(sql, statement);
        done.map_err(|error| self.fault(error))
    }

    fn fault(&self, error: libsql::Error) -> StoreError {
        of_libsql(error, &self.path)
    }
}
