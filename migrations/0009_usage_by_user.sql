-- Canonical: how often each user called each tool and it did what it was asked. Until now all of a database were one.
CREATE TABLE use_of_tool (
    user  TEXT NOT NULL,
    tool  TEXT NOT NULL,
    calls INTEGER NOT NULL,
    PRIMARY KEY (user, tool)
) STRICT, WITHOUT ROWID;
INSERT INTO use_of_tool (user, tool, calls) SELECT 'owner', tool, calls FROM tool_use;
DROP TABLE tool_use;
ALTER TABLE use_of_tool RENAME TO tool_use;
