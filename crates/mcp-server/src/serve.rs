//! Serving MCP, on stdin and stdout or over HTTP, until there is nobody left to serve.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use rmcp::ServiceExt;
use rmcp::service::ServerInitializeError;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::auth::{KEY_VARIABLE, Keyring, Principal};
use crate::channel::Channel;
use crate::config::reload::{Following, InEffect, SetFilter};
use crate::config::{Content, Loaded, Sources};
use crate::connect;
use crate::http::Endpoint;
use crate::limits::{LAST_CODE_WAIT, LISTENERS_MAX, SHUTDOWN_WAIT};
use crate::server::Server;
use crate::wiring::App;

/// Serves who started the program.
pub(crate) async fn stdio(
    loaded: Loaded,
    sources: Sources,
    set_filter: SetFilter,
) -> anyhow::Result<ExitCode> {
    let content = loaded.content.clone();
    let settings = InEffect::at_start(loaded);
    // An empty variable is one that was not set.
    let key = std::env::var(KEY_VARIABLE).ok().filter(|key| !key.is_empty());
    let principal = Keyring::new(&settings.auth.keys).principal_of_process(key.as_deref())?;
    let app = App::open(settings.clone()).await?;
    if std::io::stdin().is_terminal() {
        let program = std::env::args().next().unwrap_or_else(|| "memory-mcp".into());
        write!(std::io::stderr(), "{}", connect::help(&program, &settings.data_dir.display().to_string()))?;
    }
    let (following, mut tasks) = attended(sources, content, &app, set_filter);
    tasks.spawn(stop_without_key(app.settings.subscribe(), key, principal.clone(), app.stop.clone()));
    if let Some(address) = settings.metrics.address {
        match Endpoint::bind(address, &settings, "metrics.address").await {
            Ok(endpoint) => drop(tasks.spawn(endpoint.serve_metrics(app.clone()))),
            // Another window has the address already: this one works as well without.
            Err(error) => tracing::warn!("measurements are not served: {error:#}"),
        }
    }
    let (input, output) = rmcp::transport::io::stdio_pipes();
    let (channel, written) = Channel::new(input, output, app.closing.clone());
    let server = Server::new(app.clone(), principal, LISTENERS_MAX).await;
    let ended = match server.serve_with_ct(channel, app.stop.clone()).await {
        Ok(running) => running.waiting().await.map(drop).context("the server failed"),
        // Nobody asked for anything, or a signal came first.
        Err(ServerInitializeError::ConnectionClosed(_) | ServerInitializeError::Cancelled) => Ok(()),
        Err(error) => Err(error).context("failed to shake hands with the client"),
    };
    // A client that has stopped reading must not keep the process.
    let _ = tokio::time::timeout(SHUTDOWN_WAIT, written).await;
    drop((following, tasks));
    app.close().await;
    ended.map(|()| ExitCode::SUCCESS)
}

/// Serves whoever may come over HTTP.
pub(crate) async fn http(
    loaded: Loaded,
    sources: Sources,
    set_filter: SetFilter,
) -> anyhow::Result<ExitCode> {
    let content = loaded.content.clone();
    let settings = InEffect::at_start(loaded);
    let address = settings.http.address.context(
        "there is no address to listen on: name one with --http, as in `memory-mcp serve --http 127.0.0.1:8700`, or with \
         `http.address` in the configuration; without `serve` it is stdin and stdout that are served",
    )?;
    // Before anything is opened, so that what is wrong with it costs nothing.
    let endpoint = Endpoint::bind(address, &settings, "http.address").await?;
    let metrics = match settings.metrics.address {
        Some(address) => Some(Endpoint::bind(address, &settings, "metrics.address").await?),
        None => None,
    };
    let app = App::open(settings.clone()).await?;
    let access = match settings.auth.keys.len() {
        0 => "open to every program on this machine, as there are no keys".to_owned(),
        keys => format!("for {keys} key(s)"),
    };
    writeln!(std::io::stderr(), "memory-mcp: serving http://{}/mcp, {access}", endpoint.address())?;
    let (following, mut tasks) = attended(sources, content, &app, set_filter);
    if let Some(metrics) = metrics {
        writeln!(std::io::stderr(), "memory-mcp: measurements at http://{}/metrics", metrics.address())?;
        tasks.spawn(metrics.serve_metrics(app.clone()));
    }
    endpoint.serve(app.clone()).await;
    drop((following, tasks));
    app.close().await;
    Ok(ExitCode::SUCCESS)
}

/// What goes on beside serving, whichever way, until it is dropped: the settings are followed, and signals are heard.
fn attended(
    sources: Sources,
    content: Content,
    app: &Arc<App>,
    set_filter: SetFilter,
) -> (Following, JoinSet<()>) {
    let following = Following::spawn(
        sources,
        content,
        app.settings.clone(),
        app.alerts.clone(),
        set_filter,
        app.level_pin.clone(),
    );
    let mut tasks = JoinSet::new();
    tasks.spawn(stop_on_signal(app.stop.clone()));
    tasks.spawn(stop_code_after(app.closing.clone(), app.clone()));
    (following, tasks)
}

/// Stops the server when its key is not any more what it was: its client may start another one with what holds now.
async fn stop_without_key(
    mut settings: watch::Receiver<Arc<InEffect>>,
    key: Option<String>,
    principal: Arc<Principal>,
    stop: CancellationToken,
) {
    while settings.changed().await.is_ok() {
        let keyring = Keyring::new(&settings.borrow_and_update().auth.keys);
        match keyring.principal_of_process(key.as_deref()) {
            Ok(now) if now == principal => {}
            Ok(_) => {
                tracing::error!("the server stops: the configuration gives its key other rights");
                stop.cancel();
            }
            Err(error) => {
                tracing::error!("the server stops: {error}");
                stop.cancel();
            }
        }
    }
}

/// Stops the programs of agents a while after the input has ended, or the server is to stop.
async fn stop_code_after(end: CancellationToken, app: Arc<App>) {
    end.cancelled().await;
    tokio::time::sleep(LAST_CODE_WAIT).await;
    app.sandbox.shutdown().await;
}

async fn stop_on_signal(stop: CancellationToken) {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        match signal(SignalKind::terminate()) {
            Ok(mut terminate) => {
                tokio::select! {
                    _ = terminate.recv() => {}
                    _ = tokio::signal::ctrl_c() => {}
                }
            }
            Err(error) => {
                tracing::warn!(%error, "failed to listen for SIGTERM");
                return;
            }
        }
    }
    #[cfg(not(unix))]
    if tokio::signal::ctrl_c().await.is_err() {
        return;
    }
    stop.cancel();
}
