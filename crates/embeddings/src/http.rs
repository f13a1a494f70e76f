//! The HTTP client that everything remote goes through.

use std::sync::Arc;
use std::time::Duration;

use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::limits::CONNECT_TIMEOUT;

/// A client that trusts the authorities that the system trusts, among them those of a company's proxy, and that gives
/// every answer back, whatever its status. It takes some milliseconds to make.
pub(crate) fn agent(read_timeout: Option<Duration>) -> Agent {
    let found = rustls_native_certs::load_native_certs();
    for error in found.errors {
        tracing::warn!(%error, "failed to read certificates of the system");
    }
    let roots: RootCerts = found.certs.iter().map(|root| Certificate::from_der(root).to_owned()).into();
    let tls = TlsConfig::builder()
        .root_certs(roots)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .user_agent(concat!("memory-mcp/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(CONNECT_TIMEOUT))
        .timeout_connect(Some(CONNECT_TIMEOUT))
        .timeout_per_read(read_timeout)
        .build()
        .into()
}
