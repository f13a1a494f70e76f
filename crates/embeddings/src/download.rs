//! Files from a model hub: bounded, checked, and continued where they were cut.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use ureq::http::Response;
use ureq::http::header::{CONTENT_LENGTH, CONTENT_RANGE};
use ureq::{Agent, Body};

use crate::fingerprint::sha256_of;
use crate::http;
use crate::library::{LibraryError, io_error};
use crate::limits::{DOWNLOAD_ATTEMPTS_MAX, DOWNLOAD_BYTES_MAX, DOWNLOAD_STALL_TIMEOUT, REPETITION_PAUSE};
use crate::manifest::FileRecord;
use crate::store_file::{create_private_dir, create_private_file, rename};

/// The header in which the hub says which commit a branch is at.
const COMMIT_HEADER: &str = "x-repo-commit";

/// How far a download is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The file.
    pub file: &'a str,
    /// Bytes of it that are there.
    pub bytes: u64,
    /// Its length in bytes, if that is known.
    pub total: Option<u64>,
}

/// Who is told how far a download is.
pub type OnProgress<'a> = &'a mut dyn FnMut(Progress<'_>);

/// One repository at one revision of a hub.
pub(crate) struct Hub {
    agent: Agent,
    base: String,
    repository: String,
    /// A commit, or a branch until the hub has told its commit.
    pub(crate) revision: String,
}

/// A file, and what it must be as far as that is known before.
#[derive(Clone, Copy)]
pub(crate) struct Wanted<'a> {
    pub(crate) path: &'a str,
    /// Its length in bytes and its SHA-256.
    pub(crate) pinned: Option<(u64, &'a str)>,
}

/// Why an attempt did not bring a whole file.
enum Cut {
    /// The hub has no such file.
    Missing,
    /// The next attempt may go on from here.
    Passing(String),
    /// No further attempt would help.
    Final(LibraryError),
}

impl Hub {
    pub(crate) fn new(base: &str, repository: &str, revision: &str) -> Self {
        Self {
            agent: http::agent(Some(DOWNLOAD_STALL_TIMEOUT)),
            base: base.trim_end_matches('/').to_owned(),
            repository: repository.to_owned(),
            revision: revision.to_owned(),
        }
    }

    /// Brings a file into `dir`, where it appears under its name only when it is whole; `None` if the hub has none.
    pub(crate) fn fetch(
        &mut self,
        wanted: Wanted<'_>,
        dir: &Path,
        progress: OnProgress<'_>,
    ) -> Result<Option<FileRecord>, LibraryError> {
        let path = dir.join(wanted.path);
        let parent = path.parent().unwrap_or(dir);
        create_private_dir(parent).map_err(io_error(parent))?;
        let partial = partial_of(&path);
        // What is left of an earlier run may be of another revision; then it is fetched once more from its beginning.
        let mut left_over = length_of(&partial) > 0;
        loop {
            if !self.complete(wanted, &partial, progress)? {
                return Ok(None);
            }
            let bytes = length_of(&partial);
            let sha256 = sha256_of(&partial).map_err(io_error(&partial))?;
            if wanted.pinned.is_none_or(|(_, pinned)| pinned == sha256) {
                rename(&partial, &path).map_err(io_error(&path))?;
                return Ok(Some(FileRecord { path: wanted.path.to_owned(), bytes, sha256 }));
            }
            fs::remove_file(&partial).map_err(io_error(&partial))?;
            if !std::mem::take(&mut left_over) {
                let (_, expected) = wanted.pinned.unwrap_or_default();
                return Err(LibraryError::WrongContents {
                    file: self.url(wanted.path),
                    found: sha256,
                    expected: expected.to_owned(),
                });
            }
        }
    }

    /// Makes attempts until the partial file is whole; false if the hub has no such file.
    fn complete(
        &mut self,
        wanted: Wanted<'_>,
        partial: &Path,
        progress: OnProgress<'_>,
    ) -> Result<bool, LibraryError> {
        let mut problem = String::new();
        for attempt in 0..DOWNLOAD_ATTEMPTS_MAX {
            if attempt > 0 {
                std::thread::sleep(REPETITION_PAUSE * (1 << attempt));
            }
            match self.attempt(wanted, partial, progress) {
                Ok(()) => return Ok(true),
                Err(Cut::Missing) => return Ok(false),
                Err(Cut::Passing(reason)) => problem = reason,
                Err(Cut::Final(error)) => return Err(error),
            }
        }
        Err(LibraryError::Download { url: self.url(wanted.path), problem })
    }

    fn attempt(&mut self, wanted: Wanted<'_>, partial: &Path, progress: OnProgress<'_>) -> Result<(), Cut> {
        let held = length_of(partial);
        if wanted.pinned.is_some_and(|(bytes, _)| bytes == held && held > 0) {
            return Ok(());
        }
        let url = self.url(wanted.path);
        let mut request = self.agent.get(&url);
        if held > 0 {
            request = request.header("range", format!("bytes={held}-"));
        }
        let response = request.call().map_err(|error| Cut::Passing(error.to_string()))?;
        self.note_commit(&response);
        let begin = match response.status().as_u16() {
            200 => 0,
            206 if continues_at(&response, held) => held,
            404 => return Err(Cut::Missing),
            // It has grown beyond what the hub has, or the hub cannot continue there.
            206 | 416 => {
                fs::remove_file(partial).map_err(|error| Cut::Final(io_error(partial)(error)))?;
                return Err(Cut::Passing(format!("the hub cannot continue at byte {held}")));
            }
            408 | 429 | 500.. => return Err(Cut::Passing(format!("the hub answered {}", response.status()))),
            _ => {
                let problem = format!("the hub answered {}", response.status());
                return Err(Cut::Final(LibraryError::Download { url, problem }));
            }
        };
        let total = length_told(&response).map(|length| begin + length);
        let expected = wanted.pinned.map(|(bytes, _)| bytes);
        let too_long = total.or(expected).unwrap_or(0).max(begin) > DOWNLOAD_BYTES_MAX;
        if too_long || expected.is_some() && total.is_some() && total != expected {
            let problem = format!("it has {} bytes, not {}", shown(total), shown(expected));
            return Err(Cut::Final(LibraryError::Download { url, problem }));
        }
        self.receive(response, wanted, partial, begin, total.or(expected), progress)
    }

    /// Writes what comes to the partial file, until the end.
    fn receive(
        &self,
        response: Response<Body>,
        wanted: Wanted<'_>,
        partial: &Path,
        begin: u64,
        total: Option<u64>,
        progress: OnProgress<'_>,
    ) -> Result<(), Cut> {
        let failed = |error| Cut::Final(io_error(partial)(error));
        let mut file = create_private_file(partial, begin > 0).map_err(failed)?;
        let mut body = response.into_body().into_reader();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = begin;
        loop {
            progress(Progress { file: wanted.path, bytes, total });
            let read = body.read(&mut buffer).map_err(|error| Cut::Passing(error.to_string()))?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
            if bytes > total.unwrap_or(DOWNLOAD_BYTES_MAX) {
                let problem = format!("it has more than {} bytes", total.unwrap_or(DOWNLOAD_BYTES_MAX));
                return Err(Cut::Final(LibraryError::Download { url: self.url(wanted.path), problem }));
            }
            file.write_all(&buffer[..read]).map_err(failed)?;
        }
        file.sync_all().map_err(failed)?;
        if total.is_some_and(|total| bytes < total) {
            return Err(Cut::Passing(format!("the connection was cut after {bytes} bytes")));
        }
        Ok(())
    }

    /// All files shall be of the commit that the first one was of, also if somebody pushes another in between.
    fn note_commit(&mut self, response: &Response<Body>) {
        let commit = response.headers().get(COMMIT_HEADER).and_then(|value| value.to_str().ok());
        let is_commit = |text: &str| text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(commit) = commit.filter(|commit| is_commit(commit) && !is_commit(&self.revision)) {
            self.revision = commit.to_owned();
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/{}/resolve/{}/{path}", self.base, self.repository, self.revision)
    }
}

/// Where the part of a file that is there waits for the rest.
fn partial_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".partial");
    path.with_file_name(name)
}

fn length_of(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn length_told(response: &Response<Body>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn continues_at(response: &Response<Body>, byte: u64) -> bool {
    let range = response.headers().get(CONTENT_RANGE).and_then(|value| value.to_str().ok());
    range.is_some_and(|range| range.starts_with(&format!("bytes {byte}-")))
}

fn shown(bytes: Option<u64>) -> String {
    bytes.map_or_else(|| "a known number".into(), |bytes| bytes.to_string())
}
