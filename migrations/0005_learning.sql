-- What was learned is derived, and was learned otherwise before: it is dropped, and every completed episode is studied again.
INSERT INTO change (kind, id) SELECT 'pattern', id FROM pattern;
DELETE FROM embedding WHERE kind = 'pattern';
DROP TABLE evidence;
DROP TABLE pattern;

-- Canonical: what was said of a pattern, by the id that the same pattern always has.
CREATE TABLE correction (
    pattern TEXT PRIMARY KEY,
    verdict TEXT,
    note    TEXT,
    -- 1: it is not told, even if it is seen again.
    deleted INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;

-- Canonical: what things were worth that had been shown.
CREATE TABLE feedback (
    key     INTEGER PRIMARY KEY,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    -- helped, no_help or wrong.
    verdict TEXT NOT NULL,
    comment TEXT,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX feedback_about ON feedback (kind, id);

-- Derived, from here on. One row: the version of what is learned.
CREATE TABLE learning (version INTEGER NOT NULL) STRICT;
INSERT INTO learning (version) VALUES (0);

-- The episodes that were studied.
CREATE TABLE learned (
    episode INTEGER PRIMARY KEY REFERENCES episode (key) ON DELETE CASCADE,
    -- Tells its task from others.
    family  INTEGER NOT NULL,
    at      INTEGER NOT NULL
) STRICT;
CREATE INDEX learned_family ON learned (family);

CREATE TABLE pattern (
    key       INTEGER PRIMARY KEY,
    id        TEXT NOT NULL UNIQUE,
    kind      TEXT NOT NULL,
    -- Empty where the episodes have no domain.
    domain    TEXT NOT NULL,
    signature TEXT NOT NULL,
    -- The tally over the rows in support, each counted as a cluster.
    weight    REAL NOT NULL,
    credit    REAL NOT NULL,
    episodes  INTEGER NOT NULL,
    families  INTEGER NOT NULL,
    last_seen INTEGER NOT NULL,
    -- The tally of the feedback about it.
    feedback_weight REAL NOT NULL,
    feedback_credit REAL NOT NULL,
    feedback_times  INTEGER NOT NULL,
    -- Of what is usual in a domain (kind base): how much the patterns of the domain are alike. Else null.
    strength  REAL
) STRICT;
CREATE INDEX pattern_listed ON pattern (episodes DESC, id) WHERE kind <> 'base';
CREATE INDEX pattern_of_domain ON pattern (domain, kind);

-- What is told.
CREATE VIEW shown_pattern AS
    SELECT p.*, c.verdict, c.note FROM pattern p LEFT JOIN correction c ON c.pattern = p.id
    WHERE p.kind <> 'base' AND coalesce(c.deleted, 0) = 0;

-- By episode, so that what a new one adds stands together. Those that show a pattern are found by its support: they are the
-- episodes of its tasks.
CREATE TABLE evidence (
    episode INTEGER NOT NULL REFERENCES episode (key) ON DELETE CASCADE,
    pattern INTEGER NOT NULL,
    weight  REAL NOT NULL,
    credit  REAL NOT NULL,
    detail  TEXT,
    PRIMARY KEY (episode, pattern)
) STRICT, WITHOUT ROWID;

-- The sums of the evidence by task.
CREATE TABLE support (
    pattern  INTEGER NOT NULL REFERENCES pattern (key) ON DELETE CASCADE,
    family   INTEGER NOT NULL,
    weight   REAL NOT NULL,
    credit   REAL NOT NULL,
    episodes INTEGER NOT NULL,
    PRIMARY KEY (pattern, family)
) STRICT, WITHOUT ROWID;

-- How often which tool followed a state.
CREATE TABLE transition (
    state  TEXT NOT NULL,
    domain TEXT NOT NULL,
    tool   TEXT NOT NULL,
    times  INTEGER NOT NULL,
    PRIMARY KEY (state, domain, tool)
) STRICT, WITHOUT ROWID;

-- How calls of a kind, a hash, went in an episode. They are deleted by their keys, which its steps give: those of an episode are
-- nowhere together, so that a reference would be followed through all of them.
CREATE TABLE attempt (
    key       INTEGER NOT NULL,
    episode   INTEGER NOT NULL,
    failed    INTEGER NOT NULL,
    succeeded INTEGER NOT NULL,
    step      INTEGER NOT NULL,
    PRIMARY KEY (key, episode)
) STRICT, WITHOUT ROWID;
