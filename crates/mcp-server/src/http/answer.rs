//! What goes back over HTTP where MCP has no say.

use std::convert::Infallible;

use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};

/// The answer to a request.
pub(crate) type Answer = Response<BoxBody<Bytes, Infallible>>;

/// An answer of a few words.
pub(crate) fn refusal(status: StatusCode, words: impl Into<String>) -> Answer {
    let words = words.into();
    let is_empty = words.is_empty();
    let mut answer = Response::new(Full::new(Bytes::from(words)).boxed());
    *answer.status_mut() = status;
    if !is_empty {
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    }
    answer
}
