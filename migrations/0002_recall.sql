-- What is searched for is made from the canonical rows whenever it is read; the words are kept in files of their own.
DROP TABLE search_terms;
DROP TABLE search;
DROP TABLE document;

-- When something newer took the note's place; null while it is current.
ALTER TABLE note ADD COLUMN superseded_at INTEGER;
-- Said again, an older note can supersede a newer one.
UPDATE note SET superseded_at = max(at, coalesce((SELECT by.at FROM note by WHERE by.id = note.superseded_by), at))
WHERE superseded_by IS NOT NULL;

-- Derived: the spaces that there are vectors of.
CREATE TABLE space (
    key        INTEGER PRIMARY KEY,
    name       TEXT NOT NULL,
    dimensions INTEGER NOT NULL,
    -- filling, serving or gone; the row of a gone one stays until its vectors have been deleted.
    state      TEXT NOT NULL,
    -- The change up to which everything has its vectors; null until everything has been gone through once.
    seq        INTEGER,
    -- Who fills it, and until when that holds.
    holder     TEXT,
    held_until INTEGER
) STRICT;
CREATE UNIQUE INDEX space_name ON space (name, dimensions) WHERE state <> 'gone';
CREATE UNIQUE INDEX space_serving ON space (state) WHERE state = 'serving';

-- Derived: the vectors of one thing in one space, in the format of storage-turso's `vectors`. With a rowid, because
-- rows of a kilobyte and more would overflow in a table without.
CREATE TABLE embedding (
    key     INTEGER PRIMARY KEY,
    space   INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    id      TEXT NOT NULL,
    vectors BLOB NOT NULL,
    UNIQUE (space, kind, id)
) STRICT;
