//! Who may come as far as the door: programs that call the server by a name that is its own, and web pages that were named.
//!
//! A page on the web can make the browser of somebody on this network ask any address, also one that its own name was made to
//! point to (DNS rebinding). It cannot keep the browser from saying by which name it was asked for (`Host`) and from which page
//! (`Origin`). A number is no name: whoever is asked by its own address was not reached by a page's name for it.

use std::net::IpAddr;

use hyper::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, AUTHORIZATION, HOST, HeaderValue, ORIGIN, VARY,
};
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Request};

use super::answer::Answer;

/// The header of a key that is no bearer token.
const KEY_HEADER: &str = "x-api-key";

/// Which names and pages are known.
pub(crate) struct Visitors {
    hosts: Vec<String>,
    origins: Vec<String>,
}

impl Visitors {
    pub(crate) fn new(hosts: &[String], origins: &[String]) -> Self {
        let lower = |texts: &[String]| {
            texts.iter().map(|text| text.trim_end_matches('/').to_ascii_lowercase()).collect()
        };
        Self { hosts: lower(hosts), origins: lower(origins) }
    }

    /// Whether a request may be looked at; the origin of the page that it comes from, if it comes from one.
    ///
    /// # Errors
    /// What to do about it.
    pub(crate) fn check<B>(&self, request: &Request<B>) -> Result<Option<HeaderValue>, &'static str> {
        let mut named = request.headers().get_all(HOST).iter();
        let (Some(host), None) = (named.next(), named.next()) else {
            return Err("one Host must be named");
        };
        let host = host.to_str().ok().and_then(|host| host.parse::<Authority>().ok());
        let host = host.filter(|host| self.is_known(host)).ok_or(
            "this server is not known by that name: put the Host into `http.allowed_hosts` of the configuration if it is its own",
        )?;
        let Some(origin) = request.headers().get(ORIGIN) else { return Ok(None) };
        let text = origin.to_str().unwrap_or_default().to_ascii_lowercase();
        let is_own = text.strip_prefix("http://") == Some(&host.as_str().to_ascii_lowercase());
        if is_own || self.origins.contains(&text) {
            return Ok(Some(origin.clone()));
        }
        Err(
            "pages from that Origin may not use the memory: put it into `http.allowed_origins` of the configuration if they may",
        )
    }

    fn is_known(&self, host: &Authority) -> bool {
        let name = host.host().to_ascii_lowercase();
        let number = name.trim_start_matches('[').trim_end_matches(']');
        name == "localhost"
            || number.parse::<IpAddr>().is_ok()
            || self.hosts.contains(&name)
            || self.hosts.contains(&host.as_str().to_ascii_lowercase())
    }
}

/// The key that a request brings, whichever way.
pub(crate) fn key(headers: &HeaderMap) -> Option<&str> {
    if let Some(key) = headers.get(KEY_HEADER) {
        // What is no text is no key, but it is one that was given.
        return Some(key.to_str().unwrap_or_default());
    }
    let given = headers.get(AUTHORIZATION)?.to_str().unwrap_or_default();
    let (scheme, token) = given.split_once(' ').unwrap_or((given, ""));
    Some(if scheme.eq_ignore_ascii_case("bearer") { token.trim() } else { "" })
}

/// Lets a page read what is answered to it.
pub(crate) fn let_read(answer: &mut Answer, origin: HeaderValue) {
    let headers = answer.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(VARY, HeaderValue::from_static("Origin"));
    let all = [
        (ACCESS_CONTROL_ALLOW_METHODS, "GET, POST, DELETE"),
        (
            ACCESS_CONTROL_ALLOW_HEADERS,
            "Authorization, X-API-Key, Content-Type, Accept, Last-Event-ID, Mcp-Session-Id, MCP-Protocol-Version, \
             Mcp-Method, Mcp-Name",
        ),
        (ACCESS_CONTROL_EXPOSE_HEADERS, "Mcp-Session-Id, WWW-Authenticate, Retry-After"),
    ];
    for (name, value) in all {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(headers: &[(&str, &str)]) -> Request<()> {
        let request =
            headers.iter().fold(Request::builder(), |request, (name, value)| request.header(*name, *value));
        request.body(()).unwrap()
    }

    #[test]
    fn a_name_must_be_the_servers_own_and_a_page_must_be_named() {
        let visitors = Visitors::new(
            &["Memory.example.org".into(), "other:81".into()],
            &["https://Example.org/".into()],
        );
        let comes_in = |headers: &[(&str, &str)]| visitors.check(&request(headers)).is_ok();
        for host in [
            "localhost",
            "LOCALHOST:8700",
            "127.0.0.1:1",
            "[::1]:9",
            "10.1.2.3",
            "memory.example.org:443",
            "other:81",
        ] {
            assert!(comes_in(&[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "localhost.evil.example",
            "other",
            "other:82",
            "127.0.0.1.evil.example",
            "a b",
            "",
        ] {
            assert!(!comes_in(&[("host", host)]), "{host}");
        }
        assert!(!comes_in(&[]) && !comes_in(&[("host", "localhost"), ("host", "evil.example")]));
        for origin in ["https://example.org", "http://localhost:8700"] {
            assert!(comes_in(&[("host", "localhost:8700"), ("origin", origin)]), "{origin}");
        }
        for origin in [
            "null",
            "http://example.org",
            "https://example.org.evil",
            "http://localhost:3000",
            "localhost:8700",
        ] {
            assert!(!comes_in(&[("host", "localhost:8700"), ("origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn a_key_comes_in_either_header_and_nothing_else_is_taken_for_none() {
        let key_of = |name: &str, value: &str| key(request(&[(name, value)]).headers()).map(str::to_owned);
        assert_eq!(key_of("X-API-Key", "mmk_1").as_deref(), Some("mmk_1"));
        assert_eq!(key_of("Authorization", "bearer  mmk_1").as_deref(), Some("mmk_1"));
        assert_eq!(key_of("Authorization", "Basic bW1r").as_deref(), Some(""));
        assert_eq!(key_of("Authorization", "mmk_1").as_deref(), Some(""));
        assert_eq!(key_of("Accept", "mmk_1"), None);
    }
}
