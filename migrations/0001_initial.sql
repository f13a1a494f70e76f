-- Canonical tables first, derived ones (rebuildable from the canonical) after them. Times are microseconds since
-- 1970 in UTC, ids are UUIDs as text, lists and maps are JSON.

-- One row: tells this database from any other.
CREATE TABLE store (id TEXT NOT NULL) STRICT;
INSERT INTO store (id) VALUES (lower(hex(randomblob(16))));

-- Every committed change to what is remembered. AUTOINCREMENT: a number is never used twice, even after pruning.
CREATE TABLE change (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id   TEXT NOT NULL
) STRICT;

CREATE TABLE episode (
    key          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    external_id  TEXT UNIQUE,
    task         TEXT NOT NULL,
    domain       TEXT,
    project      TEXT,
    task_type    TEXT,
    tags         TEXT NOT NULL,
    context      TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    step_count   INTEGER NOT NULL,
    -- All null while the episode is open.
    completed_at INTEGER,
    outcome      TEXT,
    summary      TEXT,
    artifacts    TEXT,
    reward       TEXT,
    reflection   TEXT
) STRICT;
CREATE INDEX episode_outcomes ON episode (domain, outcome);

CREATE TABLE step (
    key         INTEGER PRIMARY KEY,
    episode     INTEGER NOT NULL REFERENCES episode (key) ON DELETE CASCADE,
    number      INTEGER NOT NULL,
    at          INTEGER NOT NULL,
    external_id TEXT,
    tool        TEXT NOT NULL,
    action      TEXT,
    args        TEXT,
    observation TEXT,
    -- Null: the step succeeded.
    error       TEXT,
    duration_ms INTEGER,
    UNIQUE (episode, number)
) STRICT;
CREATE UNIQUE INDEX step_external_id ON step (episode, external_id) WHERE external_id IS NOT NULL;

CREATE TABLE note (
    key           INTEGER PRIMARY KEY,
    id            TEXT NOT NULL UNIQUE,
    external_id   TEXT,
    text          TEXT NOT NULL,
    domain        TEXT,
    project       TEXT,
    layer         TEXT NOT NULL,
    tags          TEXT NOT NULL,
    at            INTEGER NOT NULL,
    -- The note that replaced this one; null while it is current.
    superseded_by TEXT
) STRICT;
CREATE UNIQUE INDEX note_external_id ON note (external_id) WHERE external_id IS NOT NULL AND superseded_by IS NULL;
-- Finds the note that says the same; the start of a text is enough to find it by.
CREATE INDEX note_text ON note (substr(text, 1, 100)) WHERE superseded_by IS NULL;

CREATE TABLE job (
    key     INTEGER PRIMARY KEY,
    id      TEXT NOT NULL UNIQUE,
    episode TEXT NOT NULL,
    weight  REAL NOT NULL,
    -- queued, running or dead; a finished job is gone.
    state   TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    -- When it may be taken: of a queued job when it is due, of a running one when its lease ends.
    due_at  INTEGER NOT NULL,
    error   TEXT
) STRICT;
CREATE INDEX job_due ON job (due_at) WHERE state <> 'dead';

-- Derived: what was learned from the episodes.
CREATE TABLE pattern (
    key       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    kind      TEXT NOT NULL,
    -- Empty where the episodes have no domain, so that the key below holds.
    domain    TEXT NOT NULL,
    signature TEXT NOT NULL,
    -- Sum and number of the rows in evidence.
    credit    REAL NOT NULL,
    episodes  INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    UNIQUE (kind, domain, signature)
) STRICT;

CREATE TABLE evidence (
    pattern INTEGER NOT NULL REFERENCES pattern (key) ON DELETE CASCADE,
    episode INTEGER NOT NULL REFERENCES episode (key) ON DELETE CASCADE,
    credit  REAL NOT NULL,
    detail  TEXT,
    PRIMARY KEY (pattern, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX evidence_of_episode ON evidence (episode);

-- Derived: the search index. The terms are made by memory-core; a row of `search` has the key of its document.
CREATE TABLE document (
    key     INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    domain  TEXT,
    project TEXT,
    at      INTEGER NOT NULL,
    outcome TEXT,
    UNIQUE (kind, id)
) STRICT;

-- The plain tokenizer: it leaves the terms, which are analysed already, as they are.
CREATE VIRTUAL TABLE search USING fts5 (title, body, tokenize = 'ascii');
CREATE VIRTUAL TABLE search_terms USING fts5vocab (search, row);
