-- Canonical: how often each tool was called and did what it was asked.
CREATE TABLE tool_use (
    tool  TEXT PRIMARY KEY,
    calls INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What belongs to a project, and which projects there are.
CREATE INDEX episode_project ON episode (project, id) WHERE project IS NOT NULL;
CREATE INDEX note_project ON note (project, at) WHERE project IS NOT NULL AND superseded_by IS NULL;
