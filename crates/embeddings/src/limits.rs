//! Every bound of the models, with its unit in its name.

use std::time::Duration;

/// Longest of a model's small files (configuration, vocabulary) that is read, in bytes.
pub(crate) const SMALL_FILE_BYTES_MAX: u64 = 16 << 20;
/// Longest header of a weights file, in bytes; a real one has some 10,000.
pub(crate) const HEADER_BYTES_MAX: u64 = 4 << 20;

/// Most numbers in a hidden state, and in a vector.
pub(crate) const HIDDEN_MAX: usize = 4_096;
/// Most numbers between the two products of a layer.
pub(crate) const INTERMEDIATE_MAX: usize = 16_384;
/// Most layers.
pub(crate) const LAYERS_MAX: usize = 64;
/// Most tokens of one text; what comes after is cut off.
pub(crate) const TEXT_TOKENS_MAX: usize = 512;
/// Most characters of one text that are looked at; blanks and endless words give no tokens that would end it earlier.
pub(crate) const TEXT_CHARS_MAX: usize = 65_536;
/// Longest word that is taken apart, in characters; a longer one is unknown, as the models were trained.
pub(crate) const WORD_CHARS_MAX: usize = 100;

/// Tokens computed in one go, unless a single text has more. It bounds the working memory (some 8 MB for a model of
/// 384 dimensions) and how long a query waits for passages (some 60 ms).
pub(crate) const BATCH_TOKENS_MAX: usize = 512;
/// Texts in one call.
pub const CALL_TEXTS_MAX: usize = 4_096;
/// Calls that wait for the local model, queries and passages each; further callers wait for room.
pub(crate) const CALLS_WAITING_MAX: usize = 16;
/// How long a failure to load is repeated before the files are tried again although they look the same.
pub(crate) const RELOAD_AFTER: Duration = Duration::from_secs(10);
/// Files whose fingerprints are remembered.
pub(crate) const FINGERPRINTS_MAX: usize = 64;

/// Most texts in one request to an embedding server.
pub(crate) const REQUEST_TEXTS_MAX: usize = 64;
/// Most bytes of text in one request to an embedding server; a longer text is cut.
pub(crate) const REQUEST_TEXT_BYTES_MAX: usize = 128 << 10;
/// Longest answer of an embedding server that is read, in bytes.
pub(crate) const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// Requests to an embedding server at the same time.
pub(crate) const REQUESTS_PENDING_MAX: usize = 4;
/// How long a connection may take.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a request for a query may take altogether; somebody waits for it.
pub(crate) const QUERY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request for passages may take altogether.
pub(crate) const PASSAGE_TIMEOUT: Duration = Duration::from_secs(60);
/// Repetitions of a request that failed for a reason that may pass; none for a query.
pub(crate) const REPETITIONS_MAX: usize = 3;
/// Pause before the first repetition; each further one doubles.
pub(crate) const REPETITION_PAUSE: Duration = Duration::from_millis(200);
/// Longest pause before a repetition.
pub(crate) const REPETITION_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Failures in a row after which an embedding server is left alone.
pub(crate) const BREAKER_FAILURES_MAX: u32 = 5;
/// How long it is left alone.
pub(crate) const BREAKER_REST: Duration = Duration::from_secs(30);

/// Longest file that is downloaded, in bytes.
pub(crate) const DOWNLOAD_BYTES_MAX: u64 = 4 << 30;
/// How long a download may wait for the next bytes.
pub(crate) const DOWNLOAD_STALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Attempts to get one file; each goes on where the last one was cut.
pub(crate) const DOWNLOAD_ATTEMPTS_MAX: u32 = 4;
/// Longest name of a model, in bytes.
pub(crate) const NAME_BYTES_MAX: usize = 64;

/// How often is looked which model is in use and which space serves.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Texts that a local model embeds between two looks for something more urgent; some 100 ms of work.
pub(crate) const LOCAL_BATCH_TEXTS: usize = 16;
/// Things that were just written and wait for their vectors; those beyond are found by the change log, a little later.
pub(crate) const LIVE_THINGS_MAX: usize = 8_192;
/// Things gone through for the first space up to which a query waits for what was just written.
pub(crate) const SETTLE_THINGS_MAX: u64 = 8_192;
/// Longest wait for the vectors of what was just written, from a local model.
pub const SETTLE_WAIT: Duration = Duration::from_secs(10);
/// The same from an embedding server.
pub const SETTLE_WAIT_ENDPOINT: Duration = Duration::from_secs(1);
/// For how long the work of filling a space belongs to a process, in seconds.
pub(crate) const LEASE_SECONDS: i64 = 30;
/// How long after it was last taken or renewed it is renewed.
pub(crate) const LEASE_RENEWED_AFTER: Duration = Duration::from_secs(10);
/// How long nothing must have come before it is written down how far the vectors have come.
pub(crate) const NOTED_AFTER: Duration = Duration::from_secs(5);
/// Pause after a first failure of the store or of a server; it doubles with every further one in a row.
pub(crate) const FAILURE_PAUSE: Duration = Duration::from_secs(1);
/// Longest such pause.
pub(crate) const FAILURE_PAUSE_MAX: Duration = Duration::from_secs(30);
/// Failures of the store in a row after which one who waits for everything is told.
pub(crate) const SETTLE_FAILURES_MAX: u32 = 4;
