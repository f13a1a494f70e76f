//! A local model behind the port: computed on a thread of its own, loaded when it is first used.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use memory_core::port::{EmbedError, Embedder, Purpose, Space};
use tokio::sync::{mpsc, oneshot};

use crate::config::{CONFIG_FILE, VOCABULARY_FILE};
use crate::fingerprint::{Fingerprints, Stamp};
use crate::limits::{CALL_TEXTS_MAX, CALLS_WAITING_MAX, RELOAD_AFTER};
use crate::model::LocalModel;
use crate::weights::WEIGHTS_FILE;

/// A local model as an [`Embedder`]. Making one costs next to nothing; the first text loads the model. A model that
/// cannot be loaded is tried again once its files have changed, or after a while.
///
/// Dropping it ends its thread after the batch it is at.
pub struct LocalEmbedder {
    files: Files,
    space: Space,
    lanes: Mutex<Option<Lanes>>,
}

/// Where the model is, and which weights it must have.
#[derive(Clone, Debug)]
pub(crate) struct Files {
    pub(crate) dir: PathBuf,
    /// SHA-256 of the weights that the space is named after: others would give vectors of another space.
    pub(crate) weights_sha256: String,
    pub(crate) fingerprints: Fingerprints,
}

/// The ways to the thread: queries do not wait behind passages.
#[derive(Clone)]
struct Lanes {
    queries: mpsc::Sender<Call>,
    passages: mpsc::Sender<Call>,
}

type Vectors = Result<Vec<Vec<f32>>, EmbedError>;

/// Texts and who waits for their vectors.
struct Call {
    texts: Vec<String>,
    answer: oneshot::Sender<Vectors>,
}

impl LocalEmbedder {
    pub(crate) fn new(files: Files, space: Space) -> Self {
        Self { files, space, lanes: Mutex::new(None) }
    }

    /// The ways to the thread, which is started if it does not run.
    fn lanes(&self) -> Result<Lanes, EmbedError> {
        let mut lanes = self.lanes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(lanes) = lanes.as_ref().filter(|lanes| !lanes.queries.is_closed()) {
            return Ok(lanes.clone());
        }
        let (queries, queries_waiting) = mpsc::channel(CALLS_WAITING_MAX);
        let (passages, passages_waiting) = mpsc::channel(CALLS_WAITING_MAX);
        let worker = Worker {
            queries: queries_waiting,
            passages: passages_waiting,
            loading: Loading::new(self.files.clone(), self.space.dimensions),
        };
        std::thread::Builder::new()
            .name("embedder".into())
            .spawn(move || worker.run())
            .map_err(|error| EmbedError::Unusable(format!("starting a thread: {error}")))?;
        Ok(lanes.insert(Lanes { queries, passages }).clone())
    }
}

#[async_trait]
impl Embedder for LocalEmbedder {
    fn space(&self) -> &Space {
        &self.space
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Vectors {
        if texts.is_empty() {
            return Ok(Vec::new());
        }
        if texts.len() > CALL_TEXTS_MAX {
            return Err(EmbedError::Refused(format!(
                "{} texts at once; {CALL_TEXTS_MAX} are the most",
                texts.len()
            )));
        }
        let lanes = self.lanes()?;
        let lane = match purpose {
            Purpose::Query => lanes.queries,
            Purpose::Passage => lanes.passages,
        };
        let (answer, answered) = oneshot::channel();
        let ended = || EmbedError::Unusable("an internal error in the encoder; the log has more".into());
        lane.send(Call { texts, answer }).await.map_err(|_| ended())?;
        answered.await.map_err(|_| ended())?
    }
}

/// The thread that computes.
struct Worker {
    queries: mpsc::Receiver<Call>,
    passages: mpsc::Receiver<Call>,
    loading: Loading,
}

impl Worker {
    fn run(mut self) {
        loop {
            let next = futures::executor::block_on(async {
                tokio::select! {
                    biased;
                    Some(query) = self.queries.recv() => Some((query, Purpose::Query)),
                    Some(passage) = self.passages.recv() => Some((passage, Purpose::Passage)),
                    else => None,
                }
            });
            match next {
                Some((call, Purpose::Query)) => self.answer_query(call),
                Some((call, Purpose::Passage)) => self.answer_passages(call),
                None => return,
            }
        }
    }

    fn answer_query(&mut self, Call { texts, answer }: Call) {
        if !answer.is_closed() {
            let _ = answer.send(self.loading.model().map(|model| model.encode(&texts)));
        }
    }

    /// Answers in batches; the queries that came in between go first.
    fn answer_passages(&mut self, Call { texts, answer }: Call) {
        let mut vectors = Vec::with_capacity(texts.len());
        while vectors.len() < texts.len() {
            // Nobody waits for the rest.
            if answer.is_closed() {
                return;
            }
            match self.loading.model() {
                Ok(model) => vectors.extend(model.encode_some(&texts[vectors.len()..])),
                Err(error) => {
                    let _ = answer.send(Err(error));
                    return;
                }
            }
            while let Ok(query) = self.queries.try_recv() {
                self.answer_query(query);
            }
        }
        let _ = answer.send(Ok(vectors));
    }
}

/// The files that a model needs, as they look from outside.
type Look = [Option<Stamp>; 3];

/// A model that is loaded when it is asked for.
struct Loading {
    files: Files,
    dimensions: usize,
    state: State,
}

enum State {
    Unloaded,
    Loaded { look: Look, model: Box<LocalModel> },
    Failed { look: Look, error: EmbedError, at: Instant },
}

impl Loading {
    fn new(files: Files, dimensions: usize) -> Self {
        Self { files, dimensions, state: State::Unloaded }
    }

    /// The model, loaded if its files are not those of the last time.
    fn model(&mut self) -> Result<&mut LocalModel, EmbedError> {
        let look = self.look();
        let settled = match &self.state {
            State::Unloaded => false,
            State::Loaded { look: seen, .. } => *seen == look,
            State::Failed { look: seen, at, .. } => *seen == look && at.elapsed() < RELOAD_AFTER,
        };
        if !settled {
            // Unmapped before anything else: touching the weights of a file that was cut would end the process.
            self.state = State::Unloaded;
            self.state = match self.load() {
                Ok(model) => State::Loaded { look, model: Box::new(model) },
                Err(error) => State::Failed { look, error, at: Instant::now() },
            };
        }
        match &mut self.state {
            State::Loaded { model, .. } => Ok(model),
            State::Failed { error, .. } => Err(error.clone()),
            State::Unloaded => Err(EmbedError::Unusable("it is not loaded".into())),
        }
    }

    fn load(&self) -> Result<LocalModel, EmbedError> {
        let Files { dir, weights_sha256, fingerprints } = &self.files;
        let unusable = |problem: String| EmbedError::Unusable(format!("{}: {problem}", dir.display()));
        let sha256 = fingerprints.of(&dir.join(WEIGHTS_FILE));
        let sha256 = sha256.map_err(|error| unusable(format!("{WEIGHTS_FILE}: {error}")))?;
        if sha256 != *weights_sha256 {
            return Err(unusable(format!(
                "{WEIGHTS_FILE} is not the file that it was; restore it, or restart to use it"
            )));
        }
        let model = LocalModel::open(dir).map_err(|error| unusable(error.to_string()))?;
        if model.dimensions() != self.dimensions {
            return Err(unusable(format!(
                "{CONFIG_FILE} says {} dimensions, not {}",
                model.dimensions(),
                self.dimensions
            )));
        }
        Ok(model)
    }

    fn look(&self) -> Look {
        [CONFIG_FILE, VOCABULARY_FILE, WEIGHTS_FILE].map(|name| Stamp::of(&self.files.dir.join(name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn embedder(dir: &std::path::Path) -> LocalEmbedder {
        testkit::model::write(dir, 1);
        let fingerprints = Fingerprints::in_dir(&dir.join("library"));
        let weights_sha256 = fingerprints.of(&dir.join(WEIGHTS_FILE)).unwrap();
        let space = Space { name: "tiny@0".into(), dimensions: testkit::model::DIMENSIONS };
        LocalEmbedder::new(Files { dir: dir.to_owned(), weights_sha256, fingerprints }, space)
    }

    #[tokio::test]
    async fn texts_become_vectors_in_their_order() {
        let dir = tempfile::tempdir().unwrap();
        let embedder = embedder(dir.path());
        let texts: Vec<String> = (0..100).map(|n| "ab ".repeat(n % 9)).collect();
        let expected = LocalModel::open(dir.path()).unwrap().encode(&texts);
        for purpose in [Purpose::Query, Purpose::Passage] {
            assert_eq!(embedder.embed(texts.clone(), purpose).await.unwrap(), expected);
        }
        assert!(embedder.embed(Vec::new(), Purpose::Query).await.unwrap().is_empty());
        let many = vec![String::new(); CALL_TEXTS_MAX + 1];
        assert!(matches!(embedder.embed(many, Purpose::Passage).await, Err(EmbedError::Refused(_))));
    }

    /// A worker that is driven by hand, and the ways to it.
    fn worker(dir: &std::path::Path) -> (Worker, Lanes) {
        let embedder = embedder(dir);
        let (queries, queries_waiting) = mpsc::channel(1);
        let (passages, passages_waiting) = mpsc::channel(1);
        let loading = Loading::new(embedder.files, embedder.space.dimensions);
        (
            Worker { queries: queries_waiting, passages: passages_waiting, loading },
            Lanes { queries, passages },
        )
    }

    fn call(texts: usize) -> (Call, oneshot::Receiver<Vectors>) {
        let (answer, answered) = oneshot::channel();
        (Call { texts: vec!["a text of a few words".into(); texts], answer }, answered)
    }

    #[tokio::test]
    async fn a_query_that_comes_during_a_long_batch_is_answered_in_between() {
        let dir = tempfile::tempdir().unwrap();
        let (mut worker, lanes) = worker(dir.path());
        let (query, mut query_answered) = call(1);
        lanes.queries.send(query).await.unwrap();
        let (passages, mut passages_answered) = call(CALL_TEXTS_MAX);
        worker.answer_passages(passages);
        assert_eq!(query_answered.try_recv().unwrap().unwrap().len(), 1);
        assert_eq!(passages_answered.try_recv().unwrap().unwrap().len(), CALL_TEXTS_MAX);
    }

    #[test]
    fn work_that_nobody_waits_for_is_not_done() {
        let dir = tempfile::tempdir().unwrap();
        let (mut worker, _lanes) = worker(dir.path());
        for answer in [Worker::answer_query, Worker::answer_passages] {
            let (call, answered) = call(1);
            drop(answered);
            answer(&mut worker, call);
            assert!(matches!(worker.loading.state, State::Unloaded));
        }
    }

    #[tokio::test]
    async fn callers_that_give_up_do_not_stop_the_others() {
        let dir = tempfile::tempdir().unwrap();
        let embedder = embedder(dir.path());
        for _ in 0..3 * CALLS_WAITING_MAX {
            let work = embedder.embed(vec!["a passage".into(); CALL_TEXTS_MAX], Purpose::Passage);
            // Polled once, which hands it over, then dropped.
            let given_up = tokio::time::timeout(std::time::Duration::ZERO, work).await;
            drop(given_up);
        }
        assert_eq!(embedder.embed(vec!["a".into()], Purpose::Passage).await.unwrap().len(), 1);
    }
}
