//! What others may ask a running vend over HTTP: health and metrics on a port, of loopback or for those who
//! scrape, and the command line's questions on a Unix socket.
//!
//! # Guarantees
//! Nothing here decides or applies: a command is handed to the daemon's loop, which answers.

mod accept;
mod api;
mod metrics;
mod pace;
mod person;
mod webhook;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::digest::Digest;
use crate::model::{RequestId, Revision, SourceName, TemplateId};
use crate::reconcile::Ask;
use crate::store::Store;

pub use metrics::Metrics;
pub use pace::Pace;
pub use webhook::{Heard, Hook};

/// How long a connection to the health server may last.
const PUBLIC_LIFE: std::time::Duration = std::time::Duration::from_secs(60);

/// What became of what a person said.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Noted {
    /// The requests that an approval was asked for by.
    pub asking: Option<Vec<crate::model::RequestId>>,
}

/// What a person says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "camelCase")]
pub enum PersonCommand {
    /// Yes to a plan or a set of deletions.
    Approve {
        /// Which.
        digest: Digest,
    },
    /// Yes to a rewritten history or an emptied folder.
    Accept {
        /// Whose.
        source: SourceName,
        /// The tip.
        revision: Revision,
    },
    /// A version's rollout shall stop, or go on.
    Rollout {
        /// Which.
        version: TemplateId,
        /// It shall go on.
        resume: bool,
    },
    /// Forget the failed tries.
    Retry {
        /// Whose.
        request: RequestId,
    },
}

/// What the handlers share.
#[derive(Clone)]
pub struct Shared {
    /// For questions, and for what people write.
    pub store: Arc<dyn Store>,
    /// The daemon's loop.
    pub asks: mpsc::Sender<Ask>,
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// The moment.
    pub now: fn() -> Timestamp,
}

/// A server that could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// The address.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// Which.
        address: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Serves health and metrics in the background to this machine; gives the address, whose port the system
/// chose if none was named.
pub async fn serve_http(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> Result<SocketAddr, ServerError> {
    let router = api::public(metrics).layer(axum::middleware::from_fn(accept::local_only));
    serve_public(address, router).await
}

/// Serves health and metrics in the background to whoever reaches the address, by any name; gives it as
/// [`serve_http`] does.
pub async fn serve_metrics(
    address: SocketAddr,
    metrics: Arc<Metrics>,
) -> Result<SocketAddr, ServerError> {
    serve_public(address, api::public(metrics)).await
}

async fn serve_public(
    address: SocketAddr,
    router: axum::Router,
) -> Result<SocketAddr, ServerError> {
    let listen = |source| ServerError::Listen { address: address.to_string(), source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    tokio::spawn(accept::serve_pages(listener, router, Some(PUBLIC_LIFE)));
    Ok(bound)
}

/// Serves webhooks in the background; gives the address, as [`serve_http`] does.
pub async fn serve_webhooks(address: SocketAddr, hook: Hook) -> Result<SocketAddr, ServerError> {
    let listen = |source| ServerError::Listen { address: address.to_string(), source };
    let listener = tokio::net::TcpListener::bind(address).await.map_err(listen)?;
    let bound = listener.local_addr().map_err(listen)?;
    let bodies = webhook::bodies(&hook);
    let router = webhook::router(hook);
    tokio::spawn(accept::serve_bodies(listener, router, Some(PUBLIC_LIFE), bodies));
    Ok(bound)
}

/// Serves the command line in the background. The socket is for its owner and group.
pub fn serve_socket(path: &Path, shared: Shared) -> Result<(), ServerError> {
    let listen = |source| ServerError::Listen { address: path.display().to_string(), source };
    // A socket left by a process that was killed; the lease says that nobody else uses it now.
    match std::fs::remove_file(path) {
        Ok(()) => {}
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(listen(error)),
    }
    let listener = tokio::net::UnixListener::bind(path).map_err(listen)?;
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o660);
    std::fs::set_permissions(path, mode).map_err(listen)?;
    // An answer may take as long as what was asked for takes.
    tokio::spawn(accept::serve(listener, api::private(shared), None));
    Ok(())
}
