//! Every bound of the domain, with its unit in its name. Adapters keep their own in a file of this name.

/// Longest task description, in bytes of UTF-8.
pub const TASK_BYTES_MAX: usize = 64 * 1024;
/// Longest free text other than the task (summary, note, action, error), in bytes.
pub const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Longest payload of a step (`args`, `observation`), in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 256 * 1024;
/// Longest name (domain, project, task type, tag, tool, external id, artifact), in bytes.
pub const NAME_BYTES_MAX: usize = 512;
/// Most domains that one caller can be given.
pub const ACCESS_DOMAINS_MAX: usize = 64;
/// Most steps that one episode can hold.
pub const EPISODE_STEPS_MAX: usize = 10_000;
/// Most tags on one episode or note.
pub const TAGS_MAX: usize = 64;
/// Most entries in an episode's context.
pub const CONTEXT_ENTRIES_MAX: usize = 64;
/// Most artifacts of one completed episode.
pub const ARTIFACTS_MAX: usize = 1_000;
/// Most notes that one new note can supersede.
pub const SUPERSEDES_MAX: usize = 100;
/// Most links of one episode, in either direction, among those that a caller may see.
pub const EPISODE_LINKS_MAX: usize = 100;
/// Episodes that one page of a list holds.
pub const EPISODES_PAGE_MAX: usize = 100;
/// Episodes that one page of a list holds when the caller names no limit.
pub const EPISODES_PAGE_DEFAULT: usize = 20;
/// Longest query, in bytes. Longer texts are refused rather than cut: the caller knows best what matters.
pub const QUERY_BYTES_MAX: usize = 256 * 1024;
/// Hits returned when the caller names no limit.
pub const HITS_DEFAULT: usize = 5;
/// Most hits that one query can return.
pub const HITS_MAX: usize = 50;
/// Similar episodes that `create_episode` reports.
pub const SIMILAR_MAX: usize = 3;
/// Most steps that one page of `get_episode` returns.
pub const STEPS_PAGE_MAX: usize = 200;
/// Steps that one page of `get_episode` returns when the caller names no limit.
pub const STEPS_PAGE_DEFAULT: usize = 50;

/// Distinct query words searched for, the first ones. A log of 100 kB has fewer, and what matters may stand at its end.
pub const QUERY_TERMS_MAX: usize = 16_384;
/// Pairs of neighbouring query words that are searched for as one word.
pub const GUESSES_MAX: usize = 24;
/// Passages proposed by the index for one query by words and by vectors each, before ranking.
pub const CANDIDATES_MAX: usize = 100;
/// Things that are looked at for one answer, at the least.
pub const SELECTED_MIN: usize = 30;
/// Longest word that is indexed, in characters.
pub const TERM_CHARS_MAX: usize = 48;
/// Words that are written together, such as a path, up to which they are indexed as one too.
pub const WHOLE_PARTS_MAX: usize = 12;
/// Words of a passage after which the next one begins, at the end of a line or a sentence.
pub const PASSAGE_WORDS: usize = 40;
/// Words after which a passage ends wherever it is.
pub const PASSAGE_WORDS_MAX: usize = 80;
/// Passages of one document that are embedded; the others are found by their words alone.
pub const EMBEDDED_PASSAGES_MAX: usize = 64;
/// Passages of one document.
pub const PASSAGES_MAX: usize = 512;
/// Distinct terms kept of the labels of a document, and of all steps of an episode.
pub const PASSAGE_TERMS_MAX: usize = 1_500;
/// Steps of an episode that are searched, the first ones.
pub const SEARCHED_STEPS_MAX: usize = 500;

/// Similar episodes whose patterns may become advice.
pub const ADVISERS_MAX: usize = 20;
/// Episodes that are read for one forecast, the most similar ones.
pub const NEIGHBOURS_MAX: usize = 30;
/// Tools that one forecast names.
pub const FORECAST_TOOLS_MAX: usize = 8;
/// Characters of a task that are compared with those of another.
pub const RESEMBLANCE_CHARS_MAX: usize = 2_000;
/// Characters of a step's arguments that are compared.
pub const COMPARED_CHARS_MAX: usize = 400;
/// Earlier calls that a warning rests on, the last ones.
pub const ATTEMPTS_MAX: usize = 100;
/// Things that one feedback is about.
pub const FEEDBACK_IDS_MAX: usize = 50;
/// Patterns that one page of a list holds.
pub const PATTERNS_PAGE_MAX: usize = 200;
/// Patterns that one page of a list holds when the caller names no limit.
pub const PATTERNS_PAGE_DEFAULT: usize = 20;
/// Jobs that one page of a list holds.
pub const JOBS_PAGE_MAX: usize = 100;
/// Jobs that one page of a list holds when the caller names no limit.
pub const JOBS_PAGE_DEFAULT: usize = 20;
/// Latest ended episodes of a project whose lessons its summary tells.
pub const PROJECT_ADVISERS_MAX: usize = 100;
/// Episodes of a project that its summary names, the latest.
pub const PROJECT_EPISODES_MAX: usize = 10;
/// Notes of a project that its summary quotes, the latest.
pub const PROJECT_NOTES_MAX: usize = 20;
/// Pieces of evidence that the explanation of a pattern names, the newest.
pub const EVIDENCE_MAX: usize = 50;
/// Episodes named as evidence of one piece of advice.
pub const ADVICE_EVIDENCE_MAX: usize = 3;
/// Steps, pitfalls and recoveries in one piece of advice, each.
pub const ADVICE_ITEMS_MAX: usize = 5;

/// Similar successes from whose steps it can be told how many a task usually takes.
pub const PEERS_MIN: usize = 3;
/// Statements of each kind in a reflection.
pub const STATEMENTS_MAX: usize = 5;
/// Steps that one statement points at.
pub const STATEMENT_STEPS_MAX: usize = 5;
/// Longest quotation in a statement, in characters.
pub const QUOTATION_CHARS_MAX: usize = 80;
/// Longest reflection in words, in characters.
pub const REFLECTION_CHARS_MAX: usize = 600;

/// Patterns that one extractor may find in one episode.
pub const FINDINGS_MAX: usize = 96;
/// Longest tool sequence that counts as one pattern, in tools.
pub const SEQUENCE_TOOLS_MAX: usize = 3;
/// Conditions of an episode that its caller named and that count as patterns.
pub const CONDITIONS_MAX: usize = 24;
/// Longest value of such a condition, in characters.
pub const CONDITION_CHARS_MAX: usize = 64;
/// Steps of an episode from which it is learned which tool follows which and which calls fail, the first ones.
pub const COURSE_STEPS_MAX: usize = 1_000;
/// Tools that make up the state in which the next one is chosen.
pub const STATE_TOOLS_MAX: usize = 3;
/// How many steps after a failure may still count as an attempt to recover from it.
pub const RECOVERY_STEPS_MAX: usize = 6;
/// Longest normalized error, in characters.
pub const ERROR_CLASS_CHARS_MAX: usize = 160;
/// Longest text of a pattern of an extractor that the user added, in characters.
pub const CUSTOM_CHARS_MAX: usize = 240;
/// Longest quotation kept as the detail of a piece of evidence, in characters.
pub const DETAIL_CHARS_MAX: usize = 240;

/// Commands that are read in one step's command line.
pub const COMMANDS_MAX: usize = 64;
/// Files that are read off one step.
pub const FILES_MAX: usize = 16;
/// Longest name of what a shell ran, in characters.
pub const LABEL_CHARS_MAX: usize = 48;
/// Longest description of a kind of action, in characters.
pub const SHAPE_CHARS_MAX: usize = 200;
/// Files and commits that one note or episode cites.
pub const CITATIONS_MAX: usize = 16;
/// Words of one note or episode that are looked up to see whether they name a file, or a commit.
pub const MENTIONS_MAX: usize = 128;
/// Longest extension by which a word without a `/` is taken for the name of a file, in bytes.
pub const EXTENSION_BYTES_MAX: usize = 12;
/// Fewest hexadecimal digits that name a commit.
pub const COMMIT_DIGITS_MIN: usize = 7;
/// Most hexadecimal digits that name a commit.
pub const COMMIT_DIGITS_MAX: usize = 40;

/// Attempts at a background job before it becomes a dead letter.
pub const JOB_ATTEMPTS_MAX: u32 = 5;
/// How often a use case repeats when another process changed the episode under it.
pub const CONFLICT_RETRIES_MAX: u32 = 16;
