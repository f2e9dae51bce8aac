//! `vend serve`: the daemon and its servers, wired together.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use super::args::{Args, Serve};
use super::context;
use super::failure::{Failure, Kind};
use super::log;
use crate::config::ConfigError;
use crate::daemon::{self, Begun, DaemonError, Hooks, Setup};
use crate::error::chain;
use crate::forge::Secret;
use crate::model::PassReport;
use crate::reconcile::Ask;
use crate::reconcile::pull::{Nudges, Turn};
use crate::server::{self, Heard, Hook, Metrics, Pace, ServerError, Shared};
use crate::trace::Woken;

/// Asks that wait for the loop; more than this and the asker waits.
const ASKS: usize = 64;

/// Runs until it is told to stop.
pub async fn run(args: &Args, _: &Serve) -> Result<ExitCode, Failure> {
    context::no_core_dumps();
    let config = context::config(args)?;
    let location = context::location(&config)?;
    let mut begun = Begun::new(&config)?;
    let path = config.path.clone();
    let (sender, asks) = mpsc::channel(ASKS);
    let metrics = Arc::new(Metrics::new(log::dropped(), context::now));
    if let Some(address) = config.settings.server.listen {
        let address = server::serve_http(address, metrics.clone()).await?;
        tracing::info!(%address, "listening");
    }
    if let Some(address) = config.settings.server.metrics {
        let address = server::serve_metrics(address, metrics.clone()).await?;
        tracing::info!(%address, "listening for scrapes");
    }
    let Some(store) = begun.store(&location).await? else { return Ok(ExitCode::SUCCESS) };
    let shared = Shared { store: store.clone(), asks: sender, metrics, now: context::now };
    let (pulls, nudges) = (Arc::new(Notify::new()), Nudges::default());
    let woken = Woken::default();
    if let Some(hook) = config.settings.forge.as_ref().and_then(|forge| forge.webhook.clone()) {
        let listen = hook.listen;
        let (turns, passes) = (pulls.clone(), shared.asks.clone());
        let (metrics, others) = (shared.metrics.clone(), store.clone());
        let pace = Pace::new(move || {
            metrics.woken();
            if !metrics.leads() {
                let others = others.clone();
                tokio::spawn(async move {
                    if let Err(error) = others.ring().await {
                        let error = chain(&error);
                        tracing::warn!(
                            error,
                            "who leads was not told of a delivery, and will look later"
                        );
                    }
                });
            }
            turns.notify_one();
            // Full: the loop is called for already.
            let _ = passes.try_send(Ask::Wake);
        });
        // It may come later: it is read anew at each of them.
        if let Err(error) = Secret::read_line(&hook.secret_file) {
            let error = chain(&error);
            tracing::error!(error, "webhooks are refused until their secret can be read");
        }
        let (secret_file, metrics) = (hook.secret_file, shared.metrics.clone());
        let (nudges, woken, heard) = (nudges.clone(), woken.clone(), Heard::default());
        let hook = Hook { secret_file, pace, nudges, woken, metrics, heard };
        let address = server::serve_webhooks(listen, hook).await?;
        tracing::info!(%address, "listening for webhooks");
    }
    let hooks = Arc::new(Servers { socket: config.settings.socket(), shared });
    let reload = Box::new(move || context::read(&path).map_err(|error| in_words(&error)));
    let now = context::now;
    let setup = Setup { config, store, reload, now, asks, hooks, pulls, nudges, woken };
    daemon::run(begun, setup).await?;
    Ok(ExitCode::SUCCESS)
}

// Whoever starts us tries again after these: an address may be free, and the system well, a moment later.
impl From<ServerError> for Failure {
    fn from(error: ServerError) -> Self {
        Self::new(Kind::Failed, error)
    }
}

impl From<DaemonError> for Failure {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::Pass(error) => error.into(),
            DaemonError::Store(error) => error.into(),
            error @ (DaemonError::Hook(_) | DaemonError::System { .. }) => {
                Self::new(Kind::Failed, error)
            }
        }
    }
}

/// A refused configuration in one line, for the log.
fn in_words(error: &ConfigError) -> String {
    let problems = match error {
        ConfigError::Invalid { problems, .. } => problems.as_slice(),
        ConfigError::NotFound(_) | ConfigError::Unreadable { .. } => &[],
    };
    let lines =
        problems.iter().map(|p| format!("{}:{}: {}", p.place.line, p.place.column, p.message));
    std::iter::once(chain(error)).chain(lines).collect::<Vec<_>>().join("; ")
}

struct Servers {
    socket: Option<PathBuf>,
    shared: Shared,
}

impl Hooks for Servers {
    /// Only the leader answers the command line: a standby has nothing to say.
    fn leading(&self) -> Result<(), String> {
        self.shared.metrics.leading();
        match &self.socket {
            Some(path) => server::serve_socket(path, self.shared.clone()).map_err(|e| chain(&e)),
            None => Ok(()),
        }
    }

    fn passed(&self, report: &PassReport, seconds: f64, at: Timestamp) {
        self.shared.metrics.passed(report, seconds, at);
        self.shared.metrics.set_ready(true);
    }

    fn stands(&self, report: &PassReport, at: Timestamp) {
        self.shared.metrics.stands(report, at);
    }

    fn due(&self, at: Timestamp) {
        self.shared.metrics.due(at);
    }

    fn failed(&self, error: &str) {
        self.shared.metrics.failed(error);
    }

    fn attended(&self, turn: &Turn) {
        self.shared.metrics.attended(turn);
    }
}
