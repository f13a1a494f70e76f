//! The bounds of the server: what it reads, what it answers, how long it waits.

use std::time::Duration;

/// Longest message that is read, in bytes, so that a client that never ends its line cannot fill the memory. It
/// leaves room for a whole finished episode.
pub const MESSAGE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Requests worked on at the same time; further ones stay in the pipe until one is answered.
pub(crate) const REQUESTS_PENDING_MAX: usize = 128;
/// Messages waiting to be written before the next one has to wait.
pub(crate) const OUTBOX_MESSAGES_MAX: usize = 64;
/// How long requests already received may take after the input has ended.
pub(crate) const LAST_ANSWERS_WAIT: Duration = Duration::from_secs(30);
/// How long programs of an agent may go on after the input has ended; nobody may be there any more.
pub(crate) const LAST_CODE_WAIT: Duration = Duration::from_secs(2);
/// How long background work may take to come to a good end when the server stops.
pub(crate) const SHUTDOWN_WAIT: Duration = Duration::from_secs(5);

/// How often the cache is saved while the server runs.
pub(crate) const CACHE_SAVE_INTERVAL: Duration = Duration::from_secs(120);

/// Budget of an answer to `query_memory` when the caller names none and asks for no more hits than the default,
/// in tokens.
pub(crate) const ANSWER_TOKENS_DEFAULT: usize = 1_500;
/// Budget for each hit where the caller asks for more hits, in tokens.
pub(crate) const HIT_TOKENS: usize = 300;
/// Smallest budget that still holds an answer, in tokens.
pub(crate) const ANSWER_TOKENS_MIN: usize = 200;
/// Largest budget of an answer, in tokens; Claude Code moves what is larger into a file.
pub(crate) const ANSWER_TOKENS_MAX: usize = 20_000;

/// Longest time that code of an agent may run, in milliseconds.
pub(crate) const CODE_TIMEOUT_MILLIS_MAX: u64 = sandbox::limits::TIMEOUT_MAX.as_millis() as u64;

/// Longest text of a pattern in a list, in characters.
pub(crate) const PATTERN_CHARS: usize = 300;
/// Longest account of why a job failed in a list, in characters.
pub(crate) const JOB_ERROR_CHARS: usize = 500;
/// Longest task in a list of episodes, in characters.
pub(crate) const LISTED_TASK_CHARS: usize = 160;
/// Size of the steps of a page of `get_episode` from which on it ends early, where the caller names no limit, in
/// bytes.
pub(crate) const STEPS_PAGE_BYTES: usize = 32 * 1024;

/// How long a client may keep the list of tools, prompts and templates and the server's description, in milliseconds.
/// They change with the configuration at the most, and clients that listen are told; a newer version of the program may come
/// after it. Resources are never kept: what is asked for after a change must show it.
pub(crate) const LIST_TTL_MILLIS: u64 = 60 * 60 * 1000;

/// Largest file of the work tree that is read to see whether it changed, in bytes.
pub(crate) const CITED_FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Files whose contents are remembered as they were last seen, so that only changed ones are read again.
pub(crate) const FILES_KNOWN_MAX: usize = 1_024;
/// How long ago a file must have changed before its contents are remembered: clocks of file systems are coarse, and two
/// changes within one tick of them look like one.
pub(crate) const FILE_SETTLED_AFTER: Duration = Duration::from_secs(2);
/// How long an answer waits for the work tree, which may be on a disk that is slow or gone.
pub(crate) const WORK_TREE_WAIT: Duration = Duration::from_secs(2);
/// Largest file of git that is read, in bytes.
pub(crate) const GIT_FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// References that may point to one another before the last one points to a commit.
pub(crate) const GIT_REFERENCES_MAX: usize = 5;

/// Most keys that a configuration can have. Each is compared with every key that is presented.
pub(crate) const KEYS_MAX: usize = 1_000;
/// Longest name of a key, in characters.
pub(crate) const KEY_NAME_CHARS_MAX: usize = 100;
/// What is read of standard input where a key is expected, in bytes.
pub(crate) const KEY_INPUT_BYTES_MAX: u64 = 4_096;

/// Episodes that an import stores in one transaction.
pub(crate) const IMPORT_BATCH: usize = 64;
/// Longest line that an import reads, in bytes.
pub(crate) const IMPORT_LINE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bad lines of an import that are shown one by one.
pub(crate) const IMPORT_PROBLEMS_SHOWN: usize = 20;

/// Largest configuration file, in bytes.
pub(crate) const CONFIG_BYTES_MAX: u64 = 256 * 1024;
/// How often the configuration file is looked at.
pub(crate) const CONFIG_POLL_INTERVAL: Duration = Duration::from_secs(1);
/// Mistakes of a configuration file that are shown one by one.
pub(crate) const CONFIG_MISTAKES_SHOWN_MAX: usize = 100;
/// Characters of a wrong value that are quoted.
pub(crate) const CONFIG_FOUND_CHARS_MAX: usize = 60;

/// Longest message of an alert, in characters; the log has the whole of it.
pub(crate) const ALERT_MESSAGE_CHARS_MAX: usize = 2_000;
/// Within which alerts of one kind are logged again only if their message is another, and no more than a few times.
pub(crate) const ALERT_LOG_INTERVAL: Duration = Duration::from_secs(60);
/// Lines of the log for alerts of one kind within that interval.
pub(crate) const ALERT_LOG_LINES_MAX: u32 = 10;
/// How long calls of tools are counted in memory before the database is told.
pub(crate) const USAGE_SAVE_AFTER: Duration = Duration::from_secs(10);
/// Entries of a page of `resources/list`.
pub(crate) const RESOURCES_PAGE: usize = 50;
/// Projects, episodes and patterns that `resources/list` lists, each; the others are found by the templates.
pub(crate) const RESOURCES_LISTED_MAX: usize = 1_000;
/// Things of each kind whose coming and going is told as a change of the list of resources.
pub(crate) const RESOURCES_WATCHED: usize = 100;
/// Longest name of a resource, in characters.
pub(crate) const RESOURCE_NAME_CHARS: usize = 80;
/// Longest URI that is read, in bytes.
pub(crate) const URI_BYTES_MAX: usize = 2_048;
/// Resources that a client can be told about, on one connection or in one request to listen.
pub(crate) const SUBSCRIPTIONS_MAX: usize = 100;
/// Requests to listen that are open at the same time on one connection.
pub(crate) const LISTENERS_MAX: usize = 8;
/// How often it is looked whether something has changed, while somebody wants to be told.
pub(crate) const CHANGES_LOOKED_FOR_EVERY: Duration = Duration::from_millis(250);
/// How often it is looked whether a client that would be told of changes is still there.
pub(crate) const GONE_LOOKED_FOR_EVERY: Duration = Duration::from_secs(30);
/// Budget of the summary of a project, in tokens.
pub(crate) const SUMMARY_TOKENS: usize = 1_500;
/// Values that one completion offers.
pub(crate) const COMPLETIONS_MAX: usize = 50;
/// How often a client that asked for it hears that a request is still being worked on.
pub(crate) const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

/// How much of its rate a client can have at once after a pause, in time: with 500 a second, 5,000 calls.
pub(crate) const BURST: Duration = Duration::from_secs(10);
/// How long a request waits for its turn before it is told to come again.
pub(crate) const TURN_WAIT: Duration = Duration::from_secs(1);

/// Connections that are open at the same time, by HTTP; further ones stay with the system until one is closed.
pub(crate) const CONNECTIONS_MAX: usize = 512;
/// The head of a request, in bytes.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a client may take to send the head of a request, and how long a connection stays open without one.
pub(crate) const HEAD_WAIT: Duration = Duration::from_secs(60);
/// How long it may take to send the rest.
pub(crate) const BODY_WAIT: Duration = Duration::from_secs(30);
/// Bodies that are received at the same time, each of up to `http.body_bytes_max`; further ones wait for their turn.
pub(crate) const BODIES_MAX: usize = 64;
/// How long a client is told to wait where too many are sending at the same time.
pub(crate) const RETRY_AFTER_SECS: u64 = 1;
/// After which another connection is tried to be accepted where that has failed.
pub(crate) const ACCEPT_RETRY_AFTER: Duration = Duration::from_millis(100);
/// Sessions of one key that are open at the same time; one more closes the one that was not used for the longest time.
pub(crate) const SESSIONS_MAX: usize = 64;
/// How long a session that is not used stays open. Its client may be one that somebody left open over night.
pub(crate) const SESSION_IDLE: Duration = Duration::from_secs(24 * 60 * 60);
/// Requests to listen that are open at the same time, by HTTP with one key.
pub(crate) const HTTP_LISTENERS_MAX: usize = 64;

/// Extractors of the user that are looked at, in the order of their names.
pub(crate) const EXTRACTORS_MAX: usize = 16;
/// Longest name of an extractor, in bytes.
pub(crate) const EXTRACTOR_NAME_BYTES_MAX: usize = 64;
/// Longest description of an extractor, in characters.
pub(crate) const EXTRACTOR_DESCRIPTION_CHARS_MAX: usize = 400;
/// Instructions that an extractor may take for one episode, about a quarter of a second. It is this that stops one and not a
/// clock, so that the same episode teaches the same on every machine and however busy it is.
pub(crate) const EXTRACTOR_FUEL: u64 = 1_000_000_000;
/// Time that an extractor may take for one episode where the machine is so slow that its instructions do not stop it.
pub(crate) const EXTRACTOR_WAIT: Duration = Duration::from_secs(5);
/// Largest memory of an extractor, in bytes.
pub(crate) const EXTRACTOR_MEMORY_BYTES: usize = 48 * 1024 * 1024;
/// Longest source of an extractor, in bytes.
pub(crate) const EXTRACTOR_BYTES_MAX: usize = 256 * 1024;
/// Longest episode that is shown to extractors, in bytes of its JSON.
pub(crate) const EXTRACTOR_INPUT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Faults in a row for which an extractor is quarantined.
pub(crate) const EXTRACTOR_FAULTS_MAX: u32 = 3;
/// Episodes without a fault that make up for one with a fault.
pub(crate) const EXTRACTOR_EPISODES_A_FAULT: u32 = 4;
/// Largest file that tells why an extractor is quarantined, in bytes.
pub(crate) const EXTRACTOR_MARK_BYTES_MAX: u64 = 64 * 1024;
/// Largest file with an episode that an extractor is tried on, in bytes.
pub(crate) const EXTRACTOR_EPISODE_BYTES_MAX: u64 = 16 * 1024 * 1024;
