-- An external id is its author's own name for something. Who sees some domains only must not learn that another domain has
-- a name already, so it is unique in its domain, no longer in the store. That constraint was part of the table, which is
-- therefore made anew, as https://www.sqlite.org/lang_altertable.html has it (foreign keys are off meanwhile).
CREATE TABLE new_episode (
    key          INTEGER PRIMARY KEY,
    id           TEXT NOT NULL UNIQUE,
    external_id  TEXT,
    task         TEXT NOT NULL,
    domain       TEXT,
    project      TEXT,
    task_type    TEXT,
    tags         TEXT NOT NULL,
    context      TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    revision     INTEGER NOT NULL,
    step_count   INTEGER NOT NULL,
    -- All null while the episode is open; the last two also of those that ended before they were kept.
    completed_at INTEGER,
    outcome      TEXT,
    summary      TEXT,
    artifacts    TEXT,
    reward       TEXT,
    reflection   TEXT,
    basis        TEXT,
    disputed     INTEGER
) STRICT;
INSERT INTO new_episode (key, id, external_id, task, domain, project, task_type, tags, context, started_at, revision,
    step_count, completed_at, outcome, summary, artifacts, reward, reflection, basis, disputed)
SELECT key, id, external_id, task, domain, project, task_type, tags, context, started_at, revision,
    step_count, completed_at, outcome, summary, artifacts, reward, reflection, basis, disputed FROM episode;
DROP TABLE episode;
ALTER TABLE new_episode RENAME TO episode;
CREATE INDEX episode_outcomes ON episode (domain, outcome);
CREATE UNIQUE INDEX episode_external_id ON episode (external_id, coalesce(domain, '')) WHERE external_id IS NOT NULL;
CREATE TRIGGER citation_of_episode AFTER DELETE ON episode BEGIN
    DELETE FROM citation WHERE kind = 'episode' AND id = old.id;
END;

DROP INDEX note_external_id;
CREATE UNIQUE INDEX note_external_id ON note (external_id, coalesce(domain, ''))
    WHERE external_id IS NOT NULL AND superseded_by IS NULL;
