//! A server that embeds: OpenAI's interface, which many servers speak, or Ollama's.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use backon::{ExponentialBuilder, Retryable};
use memory_core::port::{EmbedError, Embedder, Purpose, Space};
use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use ureq::Agent;

use crate::breaker::{Breaker, BreakerState};
use crate::fingerprint::hex;
use crate::http;
use crate::kernel::to_unit_length;
use crate::limits::{
    ANSWER_BYTES_MAX, BREAKER_FAILURES_MAX, BREAKER_REST, CALL_TEXTS_MAX, HIDDEN_MAX, PASSAGE_TIMEOUT,
    QUERY_TIMEOUT, REPETITION_PAUSE, REPETITION_PAUSE_MAX, REPETITIONS_MAX, REQUEST_TEXT_BYTES_MAX,
    REQUEST_TEXTS_MAX, REQUESTS_PENDING_MAX,
};

/// The interface of an embedding server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Api {
    /// `POST /v1/embeddings`.
    OpenAi,
    /// `POST /api/embed`.
    Ollama,
}

/// An embedding server and the model that it is to use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Where it is, with or without `/v1`.
    pub url: String,
    /// Its interface.
    pub api: Api,
    /// What it calls the model.
    pub model: String,
    /// The name of the variable of the environment that holds the key; the key itself is stored nowhere.
    pub key_env: Option<String>,
}

/// The key of an endpoint. It is shown nowhere.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key.
    pub fn new(key: String) -> Self {
        Self(key)
    }
}

impl std::fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// How long the pauses and waits are; shorter in tests.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patience {
    pub(crate) query: Duration,
    pub(crate) passage: Duration,
    pub(crate) pause: Duration,
    pub(crate) rest: Duration,
}

impl Patience {
    pub(crate) const STANDARD: Self =
        Self { query: QUERY_TIMEOUT, passage: PASSAGE_TIMEOUT, pause: REPETITION_PAUSE, rest: BREAKER_REST };
}

/// An embedding server as an [`Embedder`].
pub struct EndpointEmbedder {
    server: Arc<Server>,
    space: Space,
    breaker: Breaker,
    permits: Arc<Semaphore>,
    patience: Patience,
}

/// What a request needs.
struct Server {
    /// Made when it is first needed.
    agent: OnceLock<Agent>,
    url: String,
    endpoint: Endpoint,
    key: Option<ApiKey>,
}

impl EndpointEmbedder {
    /// An endpoint whose vectors have this many dimensions. No connection is made.
    pub fn new(name: &str, endpoint: Endpoint, dimensions: usize, key: Option<ApiKey>) -> Self {
        Self::with_patience(name, endpoint, dimensions, key, Patience::STANDARD)
    }

    pub(crate) fn with_patience(
        name: &str,
        endpoint: Endpoint,
        dimensions: usize,
        key: Option<ApiKey>,
        patience: Patience,
    ) -> Self {
        let space = Space { name: space_name(name, &endpoint), dimensions };
        Self {
            server: Arc::new(Server::new(endpoint, key)),
            space,
            breaker: Breaker::new(BREAKER_FAILURES_MAX, patience.rest),
            permits: Arc::new(Semaphore::new(REQUESTS_PENDING_MAX)),
            patience,
        }
    }

    /// Whether the server is left alone at the moment.
    pub fn breaker(&self) -> BreakerState {
        self.breaker.now_at()
    }

    async fn request(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        let (repetitions, timeout) = match purpose {
            Purpose::Query => (0, self.patience.query),
            Purpose::Passage => (REPETITIONS_MAX, self.patience.passage),
        };
        let pauses = ExponentialBuilder::new()
            .with_min_delay(self.patience.pause)
            .with_max_delay(REPETITION_PAUSE_MAX)
            .with_max_times(repetitions)
            .with_jitter();
        let texts = Arc::new(texts);
        let attempt = || self.attempt(Arc::clone(&texts), timeout);
        let may_pass = |error: &EmbedError| {
            matches!(error, EmbedError::Unreachable(_)) && self.breaker() == BreakerState::Closed
        };
        attempt.retry(pauses).when(may_pass).await
    }

    async fn attempt(&self, texts: Arc<Vec<String>>, timeout: Duration) -> Result<Vec<Vec<f32>>, EmbedError> {
        let closed = |_| EmbedError::Unreachable("it is closed".into());
        // The permit travels with the request: one that nobody waits for any more still occupies the server.
        let permit = Arc::clone(&self.permits).acquire_owned().await.map_err(closed)?;
        if !self.breaker.admits(Instant::now()) {
            return Err(EmbedError::Unreachable("it failed repeatedly and is left alone for a while".into()));
        }
        let (server, dimensions) = (Arc::clone(&self.server), self.space.dimensions);
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            server.embed(&texts, Some(dimensions), timeout)
        });
        let done = work.await.unwrap_or_else(|error| Err(EmbedError::Unreachable(error.to_string())));
        match &done {
            // A server that refuses is there.
            Ok(_) | Err(EmbedError::Refused(_)) => self.breaker.succeeded(),
            Err(_) => self.breaker.failed(Instant::now()),
        }
        done
    }
}

#[async_trait]
impl Embedder for EndpointEmbedder {
    fn space(&self) -> &Space {
        &self.space
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Vec<f32>>, EmbedError> {
        if texts.len() > CALL_TEXTS_MAX {
            return Err(EmbedError::Refused(format!(
                "{} texts at once; {CALL_TEXTS_MAX} are the most",
                texts.len()
            )));
        }
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in batches(texts) {
            vectors.extend(self.request(batch, purpose).await?);
        }
        Ok(vectors)
    }
}

/// The vector space of an endpoint. A server says nothing of its weights, so what it calls the model stands for them.
fn space_name(name: &str, Endpoint { url, api, model, .. }: &Endpoint) -> String {
    let hash = hex(&Sha256::digest(format!("{api:?} {url} {model}")));
    format!("{name}@{}", &hash[..8])
}

/// Cuts texts that are too long, and the whole into requests of bounded size.
fn batches(texts: Vec<String>) -> Vec<Vec<String>> {
    let mut batches: Vec<Vec<String>> = Vec::new();
    let mut bytes = 0;
    for mut text in texts {
        text.truncate(text.floor_char_boundary(REQUEST_TEXT_BYTES_MAX));
        bytes += text.len();
        match batches.last_mut() {
            Some(batch) if batch.len() < REQUEST_TEXTS_MAX && bytes <= REQUEST_TEXT_BYTES_MAX => {
                batch.push(text)
            }
            _ => {
                bytes = text.len();
                batches.push(vec![text]);
            }
        }
    }
    batches
}

/// Asks an endpoint for one vector; returns how many numbers it has. Blocks.
///
/// # Errors
/// If no vector is to be had.
pub(crate) fn discover_dimensions(endpoint: &Endpoint, key: Option<ApiKey>) -> Result<usize, EmbedError> {
    let server = Server::new(endpoint.clone(), key);
    let vectors = server.embed(&["a first text".to_owned()], None, PASSAGE_TIMEOUT)?;
    Ok(vectors.first().map_or(0, Vec::len))
}

#[derive(Deserialize)]
struct OpenAiAnswer {
    data: Vec<OpenAiVector>,
}

#[derive(Deserialize)]
struct OpenAiVector {
    index: usize,
    embedding: Vec<f32>,
}

#[derive(Deserialize)]
struct OllamaAnswer {
    embeddings: Vec<Vec<f32>>,
}

impl Server {
    fn new(endpoint: Endpoint, key: Option<ApiKey>) -> Self {
        let base = endpoint.url.trim_end_matches('/');
        let url = match endpoint.api {
            Api::OpenAi => format!("{}/v1/embeddings", base.strip_suffix("/v1").unwrap_or(base)),
            Api::Ollama => format!("{}/api/embed", base.strip_suffix("/api").unwrap_or(base)),
        };
        Self { agent: OnceLock::new(), url, endpoint, key }
    }

    fn embed(
        &self,
        texts: &[String],
        dimensions: Option<usize>,
        timeout: Duration,
    ) -> Result<Vec<Vec<f32>>, EmbedError> {
        // Servers refuse an empty text; a blank one says as little.
        let input: Vec<&str> = texts.iter().map(|text| if text.is_empty() { " " } else { text }).collect();
        let body = json!({"model": self.endpoint.model, "input": input}).to_string();
        let answer = self.post(&body, timeout)?;
        let refused = |problem: String| EmbedError::Refused(format!("{}: {problem}", self.url));
        let vectors =
            self.parse(&answer).map_err(|error| refused(format!("an answer without vectors: {error}")))?;
        let mut vectors = vectors.ok_or_else(|| refused("the vectors are not numbered from 0".into()))?;
        if vectors.len() != texts.len() {
            return Err(refused(format!("{} vectors for {} texts", vectors.len(), texts.len())));
        }
        let dimensions = dimensions.or_else(|| vectors.first().map(Vec::len)).unwrap_or(0);
        for vector in &mut vectors {
            if vector.len() != dimensions || dimensions == 0 || dimensions > HIDDEN_MAX {
                return Err(refused(format!("a vector of {} numbers, not {dimensions}", vector.len())));
            }
            to_unit_length(vector);
            // A length of 0 or beyond all numbers cannot be brought to 1.
            let length = vector.iter().map(|x| x * x).sum::<f32>();
            if (length - 1.0).abs() > 1e-3 || length.is_nan() {
                return Err(refused("a vector without length".into()));
            }
        }
        Ok(vectors)
    }

    fn post(&self, body: &str, timeout: Duration) -> Result<Vec<u8>, EmbedError> {
        let unreachable = |error: ureq::Error| EmbedError::Unreachable(format!("{}: {error}", self.url));
        let agent = self.agent.get_or_init(|| http::agent(None));
        let mut request = agent.post(&self.url).header("content-type", "application/json");
        if let Some(ApiKey(key)) = &self.key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.config().timeout_global(Some(timeout)).build();
        let mut response = request.send(body).map_err(unreachable)?;
        let status = response.status();
        let answer = response.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        if status.is_success() {
            return answer.map_err(unreachable);
        }
        let said = String::from_utf8_lossy(&answer.unwrap_or_default()).chars().take(200).collect::<String>();
        let problem = format!("{}: {status}: {}", self.url, said.trim());
        match status.as_u16() {
            408 | 425 | 429 | 500.. => Err(EmbedError::Unreachable(problem)),
            401 | 403 => Err(EmbedError::Refused(match &self.endpoint.key_env {
                Some(name) => format!("{problem}; the key is taken from {name}"),
                None => format!("{problem}; no variable is named that holds a key"),
            })),
            _ => Err(EmbedError::Refused(problem)),
        }
    }

    /// The vectors in the order of the texts; `None` if the answer leaves out or repeats one.
    fn parse(&self, answer: &[u8]) -> serde_json::Result<Option<Vec<Vec<f32>>>> {
        match self.endpoint.api {
            Api::Ollama => Ok(Some(serde_json::from_slice::<OllamaAnswer>(answer)?.embeddings)),
            Api::OpenAi => {
                let mut data = serde_json::from_slice::<OpenAiAnswer>(answer)?.data;
                data.sort_by_key(|vector| vector.index);
                let numbered = data.iter().enumerate().all(|(at, vector)| at == vector.index);
                Ok(numbered.then(|| data.into_iter().map(|vector| vector.embedding).collect()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use serde_json::Value;
    use testkit::http::{HttpServer, Request, reply};

    use super::*;

    const PATIENCE: Patience = Patience {
        query: Duration::from_millis(300),
        passage: Duration::from_secs(20),
        pause: Duration::from_millis(1),
        rest: Duration::from_secs(3600),
    };

    fn endpoint(url: String, api: Api) -> Endpoint {
        Endpoint { url, api, model: "m".into(), key_env: None }
    }

    fn embedder(url: String, api: Api, patience: Patience) -> EndpointEmbedder {
        EndpointEmbedder::with_patience("server", endpoint(url, api), 2, None, patience)
    }

    /// The answer of a server that gives the text's length and 1 as vectors.
    fn vectors(request: &Request) -> Vec<u8> {
        let asked: Value = serde_json::from_str(&request.body).unwrap();
        let texts: Vec<&str> =
            asked["input"].as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect();
        assert!(asked["model"] == "m" && texts.iter().all(|text| !text.is_empty()));
        let vector = |text: &&str| json!([text.len(), 1]);
        let answer = if request.line.ends_with("/api/embed") {
            json!({"embeddings": texts.iter().map(vector).collect::<Vec<_>>()})
        } else {
            // In any order: the index counts.
            let numbered = texts.iter().map(vector).enumerate().rev();
            json!({"data": numbered.map(|(index, v)| json!({"index": index, "embedding": v})).collect::<Vec<_>>()})
        };
        reply(200, &[], answer.to_string().as_bytes())
    }

    async fn query(embedder: &EndpointEmbedder) -> Result<Vec<Vec<f32>>, EmbedError> {
        embedder.embed(vec!["abc".into()], Purpose::Query).await
    }

    async fn passage(embedder: &EndpointEmbedder) -> Result<Vec<Vec<f32>>, EmbedError> {
        embedder.embed(vec!["abc".into()], Purpose::Passage).await
    }

    #[tokio::test]
    async fn both_interfaces_give_vectors_of_length_1_in_order() {
        let server = HttpServer::start(vectors);
        for (url, api, line) in [
            ("", Api::OpenAi, "POST /v1/embeddings"),
            ("/v1/", Api::OpenAi, "POST /v1/embeddings"),
            ("/proxy/v1", Api::OpenAi, "POST /proxy/v1/embeddings"),
            ("/", Api::Ollama, "POST /api/embed"),
            ("/api", Api::Ollama, "POST /api/embed"),
        ] {
            let embedder = embedder(format!("{}{url}", server.url()), api, PATIENCE);
            let texts: Vec<String> = (0..150).map(|n| "x".repeat(n)).collect();
            let vectors = embedder.embed(texts, Purpose::Passage).await.unwrap();
            assert_eq!(vectors.len(), 150);
            for (n, vector) in vectors.iter().enumerate() {
                // An empty text is sent as a blank.
                assert!((vector[0] / vector[1] - n.max(1) as f32).abs() < 1e-3, "{n}: {vector:?}");
                assert!((vector[0].hypot(vector[1]) - 1.0).abs() < 1e-5);
            }
            assert_eq!(server.seen().last().unwrap().line, line);
        }
        assert_eq!(server.seen().len(), 15, "150 texts are three requests");
        let found = tokio::task::spawn_blocking(move || {
            discover_dimensions(&endpoint(server.url(), Api::OpenAi), None)
        });
        assert_eq!(found.await.unwrap(), Ok(2));
    }

    #[tokio::test]
    async fn the_key_is_sent_and_not_shown() {
        let server = HttpServer::start(|request| match request.header("authorization") {
            Some("Bearer secret") => vectors(request),
            _ => reply(401, &[], b"who are you?"),
        });
        let with = |key: Option<&str>| {
            let mut endpoint = endpoint(server.url(), Api::OpenAi);
            endpoint.key_env = Some("THE_KEY".into());
            EndpointEmbedder::new("server", endpoint, 2, key.map(|key| ApiKey::new(key.into())))
        };
        assert!(query(&with(Some("secret"))).await.is_ok());
        for wrong in [None, Some("other")] {
            let error = passage(&with(wrong)).await.unwrap_err();
            let EmbedError::Refused(said) = &error else { panic!("{error}") };
            assert!(said.contains("401") && said.contains("THE_KEY") && !said.contains("other"), "{said}");
        }
        assert_eq!(server.seen().len(), 3, "what is refused is not repeated");
        assert_eq!(format!("{:?}", ApiKey::new("secret".into())), "ApiKey(…)");
    }

    #[tokio::test]
    async fn what_may_pass_is_repeated_for_passages() {
        let failures = AtomicUsize::new(0);
        let server = HttpServer::start(move |request| match failures.fetch_add(1, SeqCst) {
            0 => reply(500, &[], b"busy"),
            1 => Vec::new(),
            _ => vectors(request),
        });
        let embedder = embedder(server.url(), Api::OpenAi, PATIENCE);
        assert!(passage(&embedder).await.is_ok());
        assert_eq!(server.seen().len(), 3);
    }

    #[tokio::test]
    async fn a_server_that_is_slow_does_not_keep_a_query() {
        let server = HttpServer::start(|request| {
            std::thread::sleep(Duration::from_secs(2));
            vectors(request)
        });
        let embedder = embedder(server.url(), Api::OpenAi, PATIENCE);
        assert!(matches!(query(&embedder).await, Err(EmbedError::Unreachable(_))));
        assert_eq!(server.seen().len(), 1, "a query is not repeated");
    }

    #[tokio::test]
    async fn what_is_no_vector_is_refused() {
        for answer in [
            "garbage",
            "{}",
            r#"{"data": []}"#,
            r#"{"data": [{"index": 1, "embedding": [1, 2]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1, 2, 3]}]}"#,
            r#"{"data": [{"index": 0, "embedding": []}]}"#,
            r#"{"data": [{"index": 0, "embedding": [0, 0]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [null, 1]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1e39, 1]}]}"#,
            r#"{"data": [{"index": 0, "embedding": [1, 2]}, {"index": 0, "embedding": [1, 2]}]}"#,
        ] {
            let server = HttpServer::start(move |_| reply(200, &[], answer.as_bytes()));
            let embedder = embedder(server.url(), Api::OpenAi, PATIENCE);
            let error = passage(&embedder).await.unwrap_err();
            assert!(matches!(error, EmbedError::Refused(_)), "{answer}: {error}");
            assert_eq!(server.seen().len(), 1, "{answer}");
        }
    }

    #[tokio::test]
    async fn a_server_that_fails_again_and_again_is_left_alone_for_a_while() {
        let broken = Arc::new(std::sync::atomic::AtomicBool::new(true));
        let theirs = Arc::clone(&broken);
        let server =
            HttpServer::start(
                move |request| {
                    if theirs.load(SeqCst) { reply(503, &[], b"") } else { vectors(request) }
                },
            );
        let embedder = embedder(server.url(), Api::OpenAi, PATIENCE);
        for _ in 0..2 * BREAKER_FAILURES_MAX {
            assert!(matches!(query(&embedder).await, Err(EmbedError::Unreachable(_))));
        }
        assert_eq!(server.seen().len(), BREAKER_FAILURES_MAX as usize);
        assert_eq!(embedder.breaker(), BreakerState::Open);
        // One that rests for no time tries at once, and closes when the server is well.
        let patience = Patience { rest: Duration::ZERO, ..PATIENCE };
        let embedder = self::embedder(server.url(), Api::OpenAi, patience);
        for _ in 0..BREAKER_FAILURES_MAX {
            assert!(query(&embedder).await.is_err());
        }
        assert_eq!(embedder.breaker(), BreakerState::Open);
        broken.store(false, SeqCst);
        assert!(query(&embedder).await.is_ok());
        assert_eq!(embedder.breaker(), BreakerState::Closed);
    }

    #[tokio::test]
    async fn a_server_that_is_not_there_is_unreachable() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let embedder = embedder(format!("http://{free}"), Api::Ollama, PATIENCE);
        assert!(matches!(query(&embedder).await, Err(EmbedError::Unreachable(_))));
        let nonsense = self::embedder("no url".into(), Api::Ollama, PATIENCE);
        assert!(query(&nonsense).await.is_err());
    }

    #[test]
    fn the_space_is_that_of_the_servers_model() {
        let space = |url: &str| embedder(url.into(), Api::OpenAi, PATIENCE).space().clone();
        assert_eq!(space("http://a"), space("http://a"));
        assert_ne!(space("http://a"), space("http://b"));
    }
}
