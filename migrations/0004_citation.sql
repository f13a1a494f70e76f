-- What notes and episodes cite of the work tree that they were recorded in, as it was then.
CREATE TABLE citation (
    kind  TEXT NOT NULL,
    id    TEXT NOT NULL,
    -- SHA-256 of where the work tree is.
    root  BLOB NOT NULL,
    -- From the root of the work tree, with / between the parts; empty for the commit that was checked out.
    path  TEXT NOT NULL,
    -- SHA-256 of what the file held; for the commit its id, as text.
    state BLOB NOT NULL,
    PRIMARY KEY (kind, id, root, path)
) STRICT, WITHOUT ROWID;

CREATE TRIGGER citation_of_note AFTER DELETE ON note BEGIN
    DELETE FROM citation WHERE kind = 'note' AND id = old.id;
END;
CREATE TRIGGER citation_of_episode AFTER DELETE ON episode BEGIN
    DELETE FROM citation WHERE kind = 'episode' AND id = old.id;
END;
