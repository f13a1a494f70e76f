//! The schema and its versions: numbered files in `migrations/`, applied forward only, each in a transaction.

use std::time::{Duration, Instant};

use memory_core::port::StoreError;

use crate::limits::{BUSY_PAUSE_MILLIS_MAX, BUSY_TIMEOUT};
use crate::link::Link;

/// The migrations in order; the schema version is how many were applied.
const MIGRATIONS: &[&str] = &[
    include_str!("../../../migrations/0001_initial.sql"),
    include_str!("../../../migrations/0002_recall.sql"),
    include_str!("../../../migrations/0003_basis.sql"),
    include_str!("../../../migrations/0004_citation.sql"),
    include_str!("../../../migrations/0005_learning.sql"),
    include_str!("../../../migrations/0006_external_id.sql"),
    include_str!("../../../migrations/0007_usage.sql"),
    include_str!("../../../migrations/0008_extractor.sql"),
    include_str!("../../../migrations/0009_usage_by_user.sql"),
    include_str!("../../../migrations/0010_link.sql"),
];

/// Brings the database up to the newest schema. Two processes may do this at the same time.
pub(crate) fn up(link: &Link, path: &str) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as u32;
    // Looked at first, so that a database of a newer version is left exactly as it is.
    refuse_newer(version(link)?, known, path)?;
    keep_log(link)?;
    if version(link)? == known {
        return Ok(());
    }
    // A table that others refer to is made anew under another name; with foreign keys on, to drop the old one would delete
    // what refers to it. They cannot be switched within a transaction.
    link.batch("PRAGMA foreign_keys = OFF")?;
    let done = apply(link, known, path);
    link.batch("PRAGMA foreign_keys = ON")?;
    done
}

fn apply(link: &Link, known: u32, path: &str) -> Result<(), StoreError> {
    while version(link)? < known {
        link.transaction(|link| {
            // Read again under the write lock: another process may have been faster.
            let applied = version(link)?;
            refuse_newer(applied, known, path)?;
            let Some(migration) = MIGRATIONS.get(applied as usize) else { return Ok(()) };
            link.batch(migration)?;
            link.batch(&format!("PRAGMA user_version = {}", applied + 1))
        })?;
    }
    Ok(())
}

/// Has SQLite keep a write-ahead log. Of several processes that ask for it on a new database at the same time only one
/// is let through; SQLite turns the others away without the wait that it was told of.
fn keep_log(link: &Link) -> Result<(), StoreError> {
    let begun = Instant::now();
    loop {
        match link.batch("PRAGMA journal_mode = WAL") {
            Err(StoreError::Busy) if begun.elapsed() < BUSY_TIMEOUT => {
                std::thread::sleep(Duration::from_millis(fastrand::u64(..BUSY_PAUSE_MILLIS_MAX)));
            }
            done => return done,
        }
    }
}

/// The schema version of the database; 0 for an empty one.
pub(crate) fn version(link: &Link) -> Result<u32, StoreError> {
    Ok(u32::try_from(link.number("PRAGMA user_version", ())?).unwrap_or(u32::MAX))
}

fn refuse_newer(found: u32, known: u32, path: &str) -> Result<(), StoreError> {
    if found > known { Err(StoreError::Newer { path: path.to_owned(), found, known }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use jiff::Timestamp;
    use memory_core::episode::{Basis, Outcome};
    use memory_core::extract::LEARNING_VERSION;
    use memory_core::id::{EpisodeId, PatternId};
    use memory_core::port::{
        ChangeLog, EpisodeStore, JobStore, Listing, PatternStore, StoreHealth, VectorStore,
    };
    use memory_core::retrieve::{Found, Kind};
    use memory_core::search::{Corpus, Entry, Standing};

    use super::*;
    use crate::TursoStore;
    use crate::row::kind_and_id;

    const EPISODE: &str = "00000000-0000-7000-8000-0000000000e1";
    const PATTERN: &str = "00000000-0000-7000-8000-0000000000b1";
    const SEEN_ONCE: &str = "00000000-0000-7000-8000-0000000000b2";
    const NOTE: &str = "00000000-0000-7000-8000-00000000000";

    /// A database as version 1 leaves it: an episode, two patterns, four notes, two of them superseded.
    fn version_1(path: &Path) {
        let link = Link::open(&path.to_string_lossy(), true).unwrap();
        keep_log(&link).unwrap();
        link.batch(MIGRATIONS[0]).unwrap();
        let reward = r#"{"total":1.0,"parts":{"given":null,"outcome":1.0,"steps_ok":1.0}}"#;
        let reflection = r#"{"path":["hammer"],"path_cut":false,"failures":[]}"#;
        let content = format!(
            "INSERT INTO episode (id, task, domain, tags, context, started_at, revision, step_count, completed_at,
                 outcome, summary, artifacts, reward, reflection)
             VALUES ('{EPISODE}', 'fix the login', 'web', '[]', '{{}}', 5000000, 2, 1, 6000000, 'success',
                 'the hinge was replaced', '[]', '{reward}', '{reflection}');
             INSERT INTO step (episode, number, at, tool, args, observation)
             VALUES (1, 1, 5000000, 'hammer', 'nail', 'unseen');
             INSERT INTO pattern (id, kind, domain, signature, credit, episodes, last_seen)
             VALUES ('{PATTERN}', 'error_recovery', 'web', 'hammer\u{1f}too soft\u{1f}glue', 1.0, 1, 7000000),
                    ('{SEEN_ONCE}', 'tool_sequence', '', 'bend\u{1f}weld', 1.0, 1, 7000000);
             INSERT INTO evidence (pattern, episode, credit) VALUES (1, 1, 1.0), (2, 1, 1.0);
             INSERT INTO note (id, text, layer, tags, at, superseded_by)
             VALUES ('{NOTE}1', 'deploy on monday', 'long_term', '[]', 1000000, '{NOTE}3'),
                    ('{NOTE}2', 'deploy by hand', 'long_term', '[]', 2000000, NULL),
                    ('{NOTE}3', 'deploy on friday', 'long_term', '[]', 3000000, NULL),
                    ('{NOTE}4', 'deploy by robot', 'long_term', '[]', 4000000, '{NOTE}2');
             INSERT INTO change (kind, id) VALUES ('episode', '{EPISODE}'), ('note', '{NOTE}1');
             INSERT INTO document (kind, id, domain, at, outcome)
             VALUES ('episode', '{EPISODE}', 'web', 5000000, 'success'), ('note', '{NOTE}2', NULL, 2000000, NULL);
             INSERT INTO search (rowid, title, body) VALUES (1, 'fix login', 'hammer'), (2, 'deploy hand', '');
             PRAGMA user_version = 1"
        );
        link.batch(&content).unwrap();
    }

    fn second(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn has(entry: &Entry, word: &str) -> bool {
        entry.document.passages.iter().flat_map(|passage| &passage.terms).any(|(term, _)| term == word)
    }

    #[tokio::test]
    async fn what_the_first_version_stored_can_be_searched() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.db");
        version_1(&path);
        let store = TursoStore::open(&path).await.unwrap();
        assert_eq!(store.check().await, Ok(vec![]));
        assert_eq!(StoreHealth::counts(&store).await.unwrap().schema_version, MIGRATIONS.len() as u32);
        assert_eq!(store.standing().await, Ok(Standing { seq: 4, space: None }));
        assert_eq!(store.changes_after(0, 10).await.unwrap().unwrap().len(), 4);
        assert_eq!(store.spaces().await, Ok(vec![]));
        let id = EpisodeId(EPISODE.parse().unwrap());
        let completion = store.heads(&[id]).await.unwrap().remove(0).completion.unwrap();
        assert_eq!((completion.basis, completion.disputed), (Basis::Claim, false));
        assert_eq!((completion.reward.total, completion.reward.computed), (Some(1.0), None));
        assert_eq!(completion.reflection.text(), "Path: hammer.");
        let entries = store.page(None, 100, None).await.unwrap();
        let kinds: Vec<Kind> = entries.iter().map(|entry| kind_and_id(entry.found).0).collect();
        let [episode, notes @ ..] = entries.as_slice() else { panic!("{entries:?}") };
        assert_eq!(kinds, [&[Kind::Episode][..], &[Kind::Note; 4]].concat());
        assert_eq!((episode.at, episode.outcome), (second(5), Some(Outcome::Success)));
        assert!(
            ["login", "hing", "hammer", "nail", "web"].iter().all(|word| has(episode, word)),
            "{episode:?}"
        );
        assert!(!has(episode, "unseen"), "{episode:?}");
        let retired: Vec<Option<Timestamp>> = notes.iter().map(|note| note.retired).collect();
        // The last one was superseded by an older note that was said again, nobody knows when.
        assert_eq!(retired, [Some(second(3)), None, None, Some(second(4))]);
    }

    /// A database as version 4 leaves it: beside what the first one stored an embedded pattern, and four more episodes, of which
    /// one is open, one waits to be studied, one is studied by a process that is gone, and one was given up.
    fn version_4(path: &Path) {
        version_1(path);
        let link = Link::open(&path.to_string_lossy(), true).unwrap();
        for migration in &MIGRATIONS[1..4] {
            link.batch(migration).unwrap();
        }
        let content = format!(
            "UPDATE episode SET completed_at = NULL, outcome = NULL;
             INSERT INTO episode (id, task, tags, context, started_at, revision, step_count, completed_at, summary,
                 artifacts, reward, reflection, basis, disputed)
             SELECT replace('{EPISODE}', 'e1', 'e' || value), 'a task', '[]', '{{}}', 5000000, 2, 0, 6000000, NULL, '[]',
                 reward, reflection, 'claim', 0
             FROM json_each('[2, 3, 4, 5]'), episode WHERE episode.key = 1;
             INSERT INTO job (id, episode, weight, state, attempt, due_at)
             SELECT replace('{EPISODE}', 'e1', 'f' || value), replace('{EPISODE}', 'e1', 'e' || value), 0.5,
                 CASE value WHEN 2 THEN 'queued' WHEN 3 THEN 'running' ELSE 'dead' END, 1, 6000000
             FROM json_each('[2, 3, 4]');
             INSERT INTO space (key, name, dimensions, state) VALUES (1, 'tiny', 2, 'serving');
             INSERT INTO embedding (space, kind, id, vectors) VALUES (1, 'pattern', '{PATTERN}', x'00');
             PRAGMA user_version = 4"
        );
        link.batch(&content).unwrap();
    }

    #[tokio::test]
    async fn what_earlier_versions_learned_is_learned_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.db");
        version_4(&path);
        let before = TursoStore::open(&path).await.unwrap();
        // Only once, however often it is opened.
        let store = TursoStore::open(&path).await.unwrap();
        assert_eq!(store.check().await, Ok(vec![]));
        assert_eq!(store.list(Listing { max: 10, ..Listing::default() }).await, Ok(vec![]));
        let changes = before.changes_after(2, 10).await.unwrap().unwrap();
        let changed: Vec<Found> = changes.into_iter().map(|change| change.found).collect();
        let gone = [PATTERN, SEEN_ONCE].map(|id| Found::Pattern(PatternId(id.parse().unwrap())));
        assert_eq!(changed, gone);
        assert_eq!(store.entries(gone.to_vec(), None).await, Ok(vec![]));
        let vectors = store.pool.read(|link| link.number("SELECT count(*) FROM embedding", ())).await;
        assert_eq!(vectors, Ok(0));
        let jobs = JobStore::counts(&store).await.unwrap();
        assert_eq!((jobs.queued, jobs.running, jobs.dead), (4, 1, 0));
        let jobs = store.claim(100, second(7), second(60)).await.unwrap();
        let mut studied: Vec<String> = jobs.iter().map(|job| job.episode_id.to_string()).collect();
        studied.sort();
        // The one that somebody else had in hand is due twice.
        let expected = ["e2", "e3", "e3", "e4", "e5"].map(|name| EPISODE.replace("e1", name));
        assert_eq!(studied, expected, "each that is completed");
    }

    /// To make the table of episodes anew must take nothing along that refers to it.
    #[tokio::test]
    async fn what_belongs_to_an_episode_stays_when_its_table_is_made_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("memory.db");
        version_4(&path);
        let link = Link::open(&path.to_string_lossy(), true).unwrap();
        link.batch(MIGRATIONS[4]).unwrap();
        let content = format!(
            "UPDATE learning SET version = {LEARNING_VERSION};
             UPDATE episode SET external_id = 'x' WHERE key = 1;
             INSERT INTO learned (episode, family, at) VALUES (1, 1, 1);
             INSERT INTO pattern (key, id, kind, domain, signature, weight, credit, episodes, families, last_seen,
                 feedback_weight, feedback_credit, feedback_times)
             VALUES (1, '{PATTERN}', 'tool_sequence', 'web', 'bend\u{1f}weld', 1.0, 1.0, 1, 1, 1, 0.0, 0.0, 0);
             INSERT INTO support (pattern, family, weight, credit, episodes) VALUES (1, 1, 1.0, 1.0, 1);
             INSERT INTO evidence (episode, pattern, weight, credit) VALUES (1, 1, 1.0, 1.0);
             INSERT INTO citation (kind, id, root, path, state) VALUES ('episode', '{EPISODE}', x'00', 'a.rs', x'00');
             PRAGMA user_version = 5"
        );
        link.batch(&content).unwrap();
        let counts = |link: &Link| {
            let count = |sql| link.number(sql, ()).unwrap();
            [
                count("SELECT count(*) FROM episode WHERE external_id = 'x' OR key > 1"),
                count("SELECT count(*) FROM step"),
                count("SELECT count(*) FROM learned"),
                count("SELECT count(*) FROM evidence"),
                count("SELECT count(*) FROM citation"),
            ]
        };
        let before = counts(&link);
        assert_eq!(before, [5, 1, 1, 1, 1]);
        up(&link, "memory.db").unwrap();
        assert_eq!(counts(&link), before);
        assert_eq!(link.number("SELECT count(*) FROM pragma_foreign_key_check", ()), Ok(0));
        assert_eq!(link.number("PRAGMA foreign_keys", ()), Ok(1), "they are on again");
        link.batch(&format!("DELETE FROM episode WHERE id = '{EPISODE}'")).unwrap();
        assert_eq!(counts(&link), [4, 0, 0, 0, 0], "what refers to it goes with it, as before");
    }
}
