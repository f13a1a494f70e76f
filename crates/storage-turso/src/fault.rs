//! What libsql reports, in the words of the port.

use std::fs;
use std::io::ErrorKind;

use memory_core::port::StoreError;

/// SQLite's primary result codes (<https://www.sqlite.org/rescode.html>).
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const NOTADB: i32 = 26;

/// The error of a call on the database at `path`.
pub(crate) fn of_libsql(error: libsql::Error, path: &str) -> StoreError {
    match error {
        // The low byte is the primary code; the rest says which kind of it.
        libsql::Error::SqliteFailure(code, message) => match code & 0xff {
            BUSY | LOCKED => StoreError::Busy,
            READONLY => StoreError::ReadOnly(path.to_owned()),
            FULL => StoreError::Full,
            CORRUPT | NOTADB => StoreError::Corrupt(format!("{path}: {message}")),
            CANTOPEN if is_on_read_only_disk(path) => StoreError::ReadOnly(path.to_owned()),
            CANTOPEN => StoreError::Other(format!(
                "{path}: {message}; check that its folder exists and that you may read and write both"
            )),
            IOERR => StoreError::Other(format!(
                "{path}: {message}; check the disk and the permissions of its folder"
            )),
            _ => StoreError::Other(message),
        },
        other => StoreError::Other(other.to_string()),
    }
}

/// Whether the database lies on a read-only disk: SQLite cannot create its log there and says only that it cannot open
/// the database. The file is not opened to find out, because closing it would take SQLite's locks away.
fn is_on_read_only_disk(path: &str) -> bool {
    let unchanged = fs::metadata(path).and_then(|file| fs::set_permissions(path, file.permissions()));
    unchanged.is_err_and(|error| error.kind() == ErrorKind::ReadOnlyFilesystem)
}
