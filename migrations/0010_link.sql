-- Canonical: how episodes relate to each other, as somebody said.
CREATE TABLE link (
    key      INTEGER PRIMARY KEY,
    source   INTEGER NOT NULL REFERENCES episode (key) ON DELETE CASCADE,
    target   INTEGER NOT NULL REFERENCES episode (key) ON DELETE CASCADE,
    -- continues, retries, duplicates or relates: what the source does with the target.
    relation TEXT NOT NULL,
    UNIQUE (source, target, relation)
) STRICT;
CREATE INDEX link_target ON link (target);
