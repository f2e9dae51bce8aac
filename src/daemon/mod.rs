//! The loop that never ends: wait for something that wakes, make a pass, wait again.
//!
//! # Flow
//! Poll interval, a change seen in a local repository, work that is due, SIGHUP and people wake a
//! pass; whatever woke it, it does the same. A second daemon on the same state stands by until the
//! first one's lease ends.
//!
//! # Guarantees
//! - A signal wakes the pass; it does not instruct it.
//! - SIGTERM: no new batch of effects begins, those under way are left to their tickets, and the
//!   process ends within five seconds.

mod lease;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::Config;
use crate::error::chain;
use crate::model::PassReport;
use crate::reconcile::{Ask, Engine, PassError, Wake};
use crate::store::{Lease, Store, StoreError};

/// How long a stopping daemon waits for its pass.
const STOP_WITHIN: Duration = Duration::from_millis(4_500);

/// How long after a failed pass the next one begins, at first; it doubles up to the interval.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Changes seen in a repository come in bursts.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// Why the daemon ended.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// Its engine could not be opened.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// Its store failed for good.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What was to begin with the lease could not.
    #[error("{0}")]
    Hook(String),
    /// The system refuses something basic.
    #[error("cannot {doing}")]
    System {
        /// What.
        doing: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// What the daemon needs from outside.
pub struct Setup {
    /// The configuration it starts with.
    pub config: Config,
    /// The store.
    pub store: Arc<dyn Store>,
    /// Reads the configuration again, for SIGHUP; the error is for the log.
    pub reload: Box<dyn Fn() -> Result<Config, String> + Send>,
    /// The moment.
    pub now: fn() -> Timestamp,
    /// What others ask.
    pub asks: mpsc::Receiver<Ask>,
    /// Told how it goes.
    pub hooks: Box<dyn Hooks>,
}

/// Who is told how the daemon fares.
pub trait Hooks: Send + Sync {
    /// The lease is held: what only the leader may do begins. The error ends the daemon.
    fn leading(&self) -> Result<(), String>;
    /// A pass ended well.
    fn passed(&self, report: &PassReport, seconds: f64, at: Timestamp);
    /// A pass could not be made.
    fn failed(&self);
}

struct Daemon {
    engine: Engine,
    lease: Arc<Lease>,
    lost: tokio::sync::watch::Receiver<bool>,
    changes: mpsc::Receiver<()>,
    watcher: Option<watch::Watcher>,
    change_sender: mpsc::Sender<()>,
    setup: Setup,
    failures: u32,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(setup: Setup) -> Result<(), DaemonError> {
    let system = |doing| move |source| DaemonError::System { doing, source };
    let mut term = signal(SignalKind::terminate()).map_err(system("listen for SIGTERM"))?;
    let mut int = signal(SignalKind::interrupt()).map_err(system("listen for SIGINT"))?;
    let ttl = setup.config.settings.reconcile.lease;
    notify(&[sd_notify::NotifyState::Ready, sd_notify::NotifyState::Status("standing by")]);
    let lease = tokio::select! {
        lease = lease::acquire(setup.store.as_ref(), ttl, setup.now) => Arc::new(lease?),
        _ = term.recv() => return Ok(()),
        _ = int.recv() => return Ok(()),
    };
    tracing::info!(epoch = lease.epoch(), "the lease is held");
    setup.hooks.leading().map_err(DaemonError::Hook)?;
    let lost = lease::keep(setup.store.clone(), lease.clone(), ttl, setup.now);
    let engine = Engine::open(Arc::new(setup.config.clone()), setup.store.clone()).await?;
    let (change_sender, changes) = mpsc::channel(1);
    let watcher = watch::Watcher::start(engine.sources(), change_sender.clone());
    let mut daemon =
        Daemon { engine, lease, lost, changes, watcher, change_sender, setup, failures: 0 };
    let outcome = daemon.until_stopped(&mut term, &mut int).await;
    notify(&[sd_notify::NotifyState::Stopping]);
    if let Some(path) = daemon.setup.config.settings.socket() {
        let _ = std::fs::remove_file(path);
    }
    let Daemon { lease, setup, lost, .. } = daemon;
    drop(lost);
    // The keeper holds the lease too, for a moment still: then it simply runs out by itself, and a
    // successor on this machine sees that this process is gone.
    if let Some(lease) = Arc::into_inner(lease) {
        let _ = setup.store.release(lease).await;
    }
    outcome
}

fn notify(states: &[sd_notify::NotifyState<'_>]) {
    // Without systemd there is nobody to tell.
    let _ = sd_notify::notify(states);
}

/// What the loop does next.
enum Next {
    Pass(Vec<Ask>),
    Reload,
    Stop,
}

impl Daemon {
    async fn until_stopped(
        &mut self,
        term: &mut tokio::signal::unix::Signal,
        int: &mut tokio::signal::unix::Signal,
    ) -> Result<(), DaemonError> {
        let mut hup = signal(SignalKind::hangup())
            .map_err(|source| DaemonError::System { doing: "listen for SIGHUP", source })?;
        let mut wait = Duration::ZERO;
        loop {
            let next = self.next(wait, term, int, &mut hup).await?;
            match next {
                Next::Stop => return Ok(()),
                Next::Reload => self.reload().await,
                Next::Pass(asks) => {
                    let stop = self.engine.stop();
                    let pass = self.pass(asks);
                    tokio::pin!(pass);
                    let outcome = tokio::select! {
                        outcome = &mut pass => outcome,
                        () = stopped(term, int) => {
                            tracing::info!("stopping");
                            stop.store(true, std::sync::atomic::Ordering::Relaxed);
                            if tokio::time::timeout(STOP_WITHIN, &mut pass).await.is_err() {
                                tracing::warn!("stopped while effects were under way; the journal says what to ask");
                            }
                            return Ok(());
                        }
                    };
                    wait = outcome?;
                }
            }
        }
    }

    async fn next(
        &mut self,
        wait: Duration,
        term: &mut tokio::signal::unix::Signal,
        int: &mut tokio::signal::unix::Signal,
        hup: &mut tokio::signal::unix::Signal,
    ) -> Result<Next, DaemonError> {
        let watchdog = Duration::from_secs(10);
        let deadline = tokio::time::Instant::now() + wait;
        loop {
            notify(&[sd_notify::NotifyState::Watchdog]);
            let until = deadline.min(tokio::time::Instant::now() + watchdog);
            tokio::select! {
                biased;
                () = stopped(term, int) => return Ok(Next::Stop),
                _ = hup.recv() => return Ok(Next::Reload),
                _ = self.lost.wait_for(|lost| *lost) => {
                    let error = StoreError::Fenced { epoch: self.lease.epoch(), current: self.lease.epoch() + 1 };
                    return Err(error.into());
                }
                ask = self.setup.asks.recv() => {
                    let mut asks: Vec<Ask> = ask.into_iter().collect();
                    while let Ok(more) = self.setup.asks.try_recv() {
                        asks.push(more);
                    }
                    return Ok(Next::Pass(asks));
                }
                _ = self.changes.recv() => {
                    tokio::time::sleep(DEBOUNCE).await;
                    let _ = self.changes.try_recv();
                    return Ok(Next::Pass(Vec::new()));
                }
                () = tokio::time::sleep_until(until) => {
                    if tokio::time::Instant::now() >= deadline {
                        return Ok(Next::Pass(Vec::new()));
                    }
                }
            }
        }
    }

    /// A pass, and how long to wait for the next one.
    async fn pass(&mut self, asks: Vec<Ask>) -> Result<Duration, DaemonError> {
        let began = std::time::Instant::now();
        let outcome = self.engine.pass(Wake::Apply(&self.lease), &self.setup.now).await;
        let seconds = began.elapsed().as_secs_f64();
        match outcome {
            Ok(report) => {
                self.failures = 0;
                let now = (self.setup.now)();
                self.setup.hooks.passed(&report, seconds, now);
                if !report.quiet {
                    let summary = crate::report::pass::summary(&report);
                    tracing::info!(seconds, evaluated = report.evaluated, "{summary}");
                    notify(&[sd_notify::NotifyState::Status(&summary)]);
                }
                let mut wait = self.wait(&report, now);
                for ask in asks {
                    if let Ask::Apply { wait: stay, answer } = ask {
                        if stay && report.under_way > 0 {
                            wait = wait.min(AFTER_FAILURE);
                        }
                        let _ = answer.send(Ok(report.clone()));
                    }
                }
                Ok(wait)
            }
            Err(error) => self.failed(error, asks),
        }
    }

    /// Some failures are for good: then the process ends, and whoever supervises it decides.
    fn failed(&mut self, error: PassError, asks: Vec<Ask>) -> Result<Duration, DaemonError> {
        self.setup.hooks.failed();
        let text = chain(&error);
        tracing::error!(error = text, "a pass could not be made");
        for ask in asks {
            if let Ask::Apply { answer, .. } = ask {
                let _ = answer.send(Err(text.clone()));
            }
        }
        match error {
            PassError::Store(error) if !error.is_transient() => Err(error.into()),
            error @ PassError::Behind { .. } => Err(error.into()),
            PassError::Store(_)
            | PassError::Source { .. }
            | PassError::Pattern { .. }
            | PassError::Settings(_)
            | PassError::Task(_) => {
                self.failures = self.failures.saturating_add(1);
                let wait = AFTER_FAILURE * 2_u32.saturating_pow(self.failures.min(10) - 1);
                Ok(wait.min(self.interval()))
            }
        }
    }

    fn interval(&self) -> Duration {
        self.engine.config().settings.reconcile.interval.unsigned_abs()
    }

    /// Until the next poll, give or take a tenth, or until something is due.
    fn wait(&self, report: &PassReport, now: Timestamp) -> Duration {
        let mut bytes = [0; 2];
        // Without randomness all replicas would merely poll in step.
        let _ = getrandom::fill(&mut bytes);
        let spread = 0.9 + 0.2 * f64::from(u16::from_be_bytes(bytes)) / 65_536.0;
        let poll = self.interval().mul_f64(spread);
        let due = report.due.map(|due| {
            let left = due.duration_since(now);
            if left.is_negative() { Duration::from_millis(100) } else { left.unsigned_abs() }
        });
        due.map_or(poll, |due| due.min(poll))
    }

    /// A new configuration takes effect between passes; a bad one is refused, and the old one stays.
    async fn reload(&mut self) {
        notify(&[sd_notify::NotifyState::Reloading]);
        match (self.setup.reload)() {
            Ok(config) => match Engine::open(Arc::new(config), self.setup.store.clone()).await {
                Ok(engine) => {
                    self.watcher =
                        watch::Watcher::start(engine.sources(), self.change_sender.clone());
                    self.engine = engine;
                    tracing::info!("the configuration was read again");
                }
                Err(error) => tracing::error!(
                    error = chain(&error),
                    "the new configuration is refused; the old one stays"
                ),
            },
            Err(error) => {
                tracing::error!(error, "the new configuration is refused; the old one stays");
            }
        }
        notify(&[sd_notify::NotifyState::Ready]);
    }
}

async fn stopped(term: &mut tokio::signal::unix::Signal, int: &mut tokio::signal::unix::Signal) {
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Where a repository on this machine keeps its refs, for the watcher.
pub(crate) fn ref_folders(repository: &std::path::Path) -> Option<PathBuf> {
    let inner = repository.join(".git");
    if inner.join("HEAD").is_file() {
        return Some(inner);
    }
    repository.join("HEAD").is_file().then(|| repository.to_owned())
}
