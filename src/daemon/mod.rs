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

mod begin;
mod lease;
mod notices;
mod pulls;
mod signal;
mod systemd;
mod traces;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};
use tokio::task::{JoinError, JoinHandle};
use tracing::Instrument as _;
use tracing::field::Empty;

pub use self::begin::Begun;
use self::lease::Keeper;
use self::notices::Notices;
use self::pulls::Pulls;
use self::signal::{Signals, Told};
use self::systemd::Pulse;
use self::traces::Traces;
use crate::config::Config;
use crate::error::chain;
use crate::git::Block;
use crate::model::{PassReport, TraceParent};
use crate::reconcile::notify::Receiver;
use crate::reconcile::pull::{Nudges, Reviewer, Turn};
use crate::reconcile::{Answer, Ask, Engine, PassError, Wake};
use crate::store::{Lease, Store, StoreError, Write, unattended_key};
use crate::trace::{self, Woken};

/// How long a stopping daemon waits for its pass; with what comes after, it ends within 5 s.
const STOP_WITHIN: Duration = Duration::from_secs(4);

/// While something is under way, passes follow each other quickly, and sources are fetched this often
/// at the most, unless somebody says that they have changed.
const FETCH_AGAIN: Duration = Duration::from_secs(5);

/// How long a stopping daemon waits for what is being said to a forge.
const TURN_WITHIN: Duration = Duration::from_millis(500);

/// How long after a failed pass the next one begins, at first; it doubles up to the interval.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Changes seen in a repository come in bursts: this long without another, and the burst is over.
const CALM: Duration = Duration::from_millis(5);

/// However long a burst goes on, it is looked at after this.
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
    pub hooks: Arc<dyn Hooks>,
    /// Wakes whoever looks after pull requests.
    pub pulls: Arc<Notify>,
    /// Where those look besides.
    pub nudges: Nudges,
    /// What woke the next pass, and them.
    pub woken: Woken,
}

/// Who is told how the daemon fares.
pub trait Hooks: Send + Sync {
    /// The lease is held: what only the leader may do begins. The error ends the daemon.
    fn leading(&self) -> Result<(), String>;
    /// A pass ended well.
    fn passed(&self, report: &PassReport, seconds: f64, at: Timestamp);
    /// Everything stands like this, although the pass that ended was quiet and did not look.
    fn stands(&self, report: &PassReport, at: Timestamp);
    /// The next pass should begin by then.
    fn due(&self, at: Timestamp);
    /// A pass could not be made, for this reason.
    fn failed(&self, error: &str);
    /// A turn over the pull requests ended.
    fn attended(&self, turn: &Turn);
}

struct Daemon {
    /// Away while a pass works with it.
    engine: Option<Engine>,
    config: Arc<Config>,
    keeper: Keeper,
    changes: mpsc::Receiver<()>,
    change_sender: mpsc::Sender<()>,
    watcher: Option<watch::Watcher>,
    pulls: Option<Pulls>,
    notices: Option<Notices>,
    traces: Traces,
    setup: Setup,
    pulse: Pulse,
    /// Who waits for effects to end, with what was done for them so far.
    waiting: Vec<Waiting>,
    failures: u32,
    /// How many passes were begun.
    passes: u64,
    /// What the pass that is made comes of.
    causes: Vec<TraceParent>,
    /// Nobody was told yet how everything stands: a quiet pass does not look.
    untold: bool,
}

struct Waiting {
    /// Until nothing is under way.
    stay: bool,
    answer: Answer,
    so_far: Option<PassReport>,
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(begun: Begun, mut setup: Setup) -> Result<(), DaemonError> {
    let Begun { mut signals, pulse } = begun;
    let mut traces = Traces::open(&setup.config);
    systemd::ready("standing by");
    let Some(lease) = stand_by(&mut setup, &mut traces, &mut signals).await? else {
        systemd::stopping();
        traces.end().await;
        return Ok(());
    };
    tracing::info!(epoch = lease.epoch(), "the lease is held");
    let ttl = setup.config.settings.reconcile.lease;
    let keeper = Keeper::start(setup.store.clone(), lease, ttl, setup.now);
    setup.hooks.leading().map_err(DaemonError::Hook)?;
    let (change_sender, changes) = mpsc::channel(1);
    if let Some(bell) = setup.store.bell() {
        tokio::spawn(answer(bell, setup.pulls.clone(), change_sender.clone()));
    }
    let config = Arc::new(setup.config.clone());
    let mut daemon = Daemon {
        engine: None,
        config: config.clone(),
        keeper,
        changes,
        change_sender,
        watcher: None,
        pulls: None,
        notices: None,
        traces,
        setup,
        pulse,
        waiting: Vec::new(),
        failures: 0,
        passes: 0,
        causes: Vec::new(),
        untold: true,
    };
    daemon.open(config).await?;
    let outcome = daemon.until_stopped(&mut signals).await;
    systemd::stopping();
    daemon.end(&outcome).await;
    outcome
}

/// What wakes a replica that stands by is for the one that leads.
async fn answer(mut bell: mpsc::Receiver<()>, pulls: Arc<Notify>, passes: mpsc::Sender<()>) {
    while bell.recv().await.is_some() {
        pulls.notify_one();
        // Full: the loop is called for already.
        let _ = passes.try_send(());
    }
}

/// Waits for the lease; `None` when told to stop before.
async fn stand_by(
    setup: &mut Setup,
    traces: &mut Traces,
    signals: &mut Signals,
) -> Result<Option<Lease>, DaemonError> {
    loop {
        let ttl = setup.config.settings.reconcile.lease;
        tokio::select! {
            lease = lease::acquire(setup.store.as_ref(), ttl, setup.now) => return Ok(Some(lease?)),
            told = signals.next() => match told {
                Told::Stop => return Ok(None),
                Told::Reload => {
                    systemd::reloading();
                    match reread(setup, &setup.config) {
                        Ok(config) => {
                            traces.reopen(&setup.config, &config).await;
                            setup.config = config;
                        }
                        Err(error) => refuse(&error),
                    }
                    systemd::ready("standing by");
                }
            },
        }
    }
}

/// The new configuration, if it can take the place of the one in use.
fn reread(setup: &Setup, old: &Config) -> Result<Config, String> {
    let new = (setup.reload)()?;
    let fixed = |config: &Config| {
        let settings = &config.settings;
        let server = (settings.socket(), settings.server.listen, settings.server.metrics);
        (settings.state_dir.clone(), settings.store.clone(), server, settings.reconcile.lease)
    };
    if fixed(&new) == fixed(old) {
        Ok(new)
    } else {
        Err("`stateDir`, `store`, `server` and `reconcile.lease` change with a restart only".into())
    }
}

fn refuse(error: &str) {
    tracing::error!(error, "the new configuration is refused; the old one stays");
}

/// Why a pass is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reason {
    /// Somebody asked for it, or a delivery came.
    Asked,
    /// A repository on this machine changed, or whoever looks after pull requests has news.
    Changed,
    /// Only time has passed: what was fetched a moment ago will do.
    Due,
}

impl Reason {
    fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Changed => "changed",
            Self::Due => "due",
        }
    }
}

/// What the loop does next.
enum Next {
    Pass(Vec<Ask>, Reason),
    Reload,
    Stop,
}

/// A pass that ended: its engine, what came of it, how long it took in seconds, and what its lines are
/// found by.
type Ended = (Engine, Result<PassReport, PassError>, f64, tracing::Span);

impl Daemon {
    async fn until_stopped(&mut self, signals: &mut Signals) -> Result<(), DaemonError> {
        let mut wait = Duration::ZERO;
        loop {
            self.pulse.waits();
            let next = self.next(wait, signals).await?;
            self.pulse.works();
            match next {
                Next::Stop => return Ok(()),
                Next::Reload => {
                    self.reload().await;
                    wait = Duration::ZERO;
                }
                Next::Pass(asks, reason) => match self.pass(asks, reason, signals).await? {
                    Some(next) => wait = next,
                    None => return Ok(()),
                },
            }
        }
    }

    async fn next(&mut self, wait: Duration, signals: &mut Signals) -> Result<Next, DaemonError> {
        tokio::select! {
            biased;
            told = signals.next() => Ok(match told {
                Told::Stop => Next::Stop,
                Told::Reload => Next::Reload,
            }),
            error = self.keeper.lost() => Err(error.into()),
            ask = self.setup.asks.recv() => {
                let mut asks: Vec<Ask> = ask.into_iter().collect();
                while let Ok(more) = self.setup.asks.try_recv() {
                    asks.push(more);
                }
                Ok(Next::Pass(asks, Reason::Asked))
            }
            _ = self.changes.recv() => {
                let burst = async {
                    while let Ok(Some(())) = tokio::time::timeout(CALM, self.changes.recv()).await {}
                };
                let _ = tokio::time::timeout(DEBOUNCE, burst).await;
                Ok(Next::Pass(Vec::new(), Reason::Changed))
            }
            () = tokio::time::sleep(wait) => Ok(Next::Pass(Vec::new(), Reason::Due)),
        }
    }

    /// A pass, and how long to wait for the next one; `None` when told to stop.
    async fn pass(
        &mut self,
        asks: Vec<Ask>,
        reason: Reason,
        signals: &mut Signals,
    ) -> Result<Option<Duration>, DaemonError> {
        for ask in asks {
            if let Ask::Apply { wait: stay, answer } = ask {
                self.waiting.push(Waiting { stay, answer, so_far: None });
            }
        }
        if self.engine.is_none() {
            self.open(self.config.clone()).await?;
        }
        let Some(mut engine) = self.engine.take() else { return Ok(Some(AFTER_FAILURE)) };
        if reason == Reason::Due {
            // Less than any poll waits.
            engine.spare_fetch(self.interval().mul_f64(0.8).min(FETCH_AGAIN));
        }
        let stop = engine.stop();
        // What comes due while it is made waits for the next one.
        self.is_due(self.interval());
        let mut work = self.work(engine, reason);
        let ended = tokio::select! {
            ended = &mut work => ended,
            error = self.keeper.lost() => {
                stop.store(true, Ordering::Relaxed);
                return Err(error.into());
            }
            () = signals.stop() => {
                tracing::info!("stopping");
                systemd::stopping();
                stop.store(true, Ordering::Relaxed);
                match tokio::time::timeout(STOP_WITHIN, &mut work).await {
                    Ok(_) => tracing::info!("the pass has ended; the next start goes on"),
                    Err(_) => tracing::warn!(
                        "stopped while effects were under way; the journal says what to ask"
                    ),
                }
                return Ok(None);
            }
        };
        let wait = self.take(ended).await?;
        self.is_due(wait);
        Ok(Some(wait))
    }

    /// Runs a pass on a thread of its own: reading and rendering thousands of requests must not keep
    /// signals waiting, and a panic in it must not end the daemon.
    fn work(&mut self, mut engine: Engine, reason: Reason) -> JoinHandle<Ended> {
        let (lease, now) = (self.keeper.lease().clone(), self.setup.now);
        let asked = !self.waiting.is_empty() || self.untold;
        self.passes += 1;
        // Unique over restarts too: each begins with an epoch of its own.
        let id = format!("{}-{}", lease.epoch(), self.passes);
        let span = tracing::info_span!("pass", id, trace_id = Empty);
        self.causes = self.setup.woken.passes.take();
        engine.came_of(!self.causes.is_empty());
        engine.paced(self.waiting.is_empty());
        trace::attribute(&span, "vend.pass.reason", reason.word());
        trace::begin(&span, &self.causes);
        let runtime = tokio::runtime::Handle::current();
        tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let pass = async {
                let report = engine.pass(Wake::Apply(&lease), &now).await?;
                if asked { engine.standing(report).await } else { Ok(report) }
            };
            let outcome = runtime.block_on(pass.instrument(span.clone()));
            (engine, outcome, began.elapsed().as_secs_f64(), span)
        })
    }

    /// How long to wait after a pass.
    async fn take(&mut self, ended: Result<Ended, JoinError>) -> Result<Duration, DaemonError> {
        match ended {
            Ok((engine, outcome, seconds, span)) => {
                self.engine = Some(engine);
                match outcome {
                    Ok(report) => {
                        self.notify().await;
                        Ok(span.in_scope(|| self.passed(&report, seconds)))
                    }
                    Err(error) => {
                        trace::failed(&span);
                        // The next one does what this one was to do.
                        self.setup.woken.passes.add(std::mem::take(&mut self.causes));
                        span.in_scope(|| {
                            trace::keep();
                            self.failed(error)
                        })
                    }
                }
            }
            Err(error) => self.failed(PassError::Task(error.to_string())),
        }
    }

    /// Tells those who tell others up to where all that history says is in the statuses.
    async fn notify(&self) {
        let Some(notices) = self.notices.as_ref().filter(|notices| !notices.is_empty()) else {
            return;
        };
        match self.setup.store.last_line().await {
            Ok(upto) => notices.passed(upto),
            // After the next pass, then.
            Err(error) => tracing::warn!(error = chain(&error), "history cannot be read"),
        }
    }

    fn passed(&mut self, report: &PassReport, seconds: f64) -> Duration {
        self.failures = 0;
        let now = (self.setup.now)();
        self.setup.hooks.passed(report, seconds, now);
        if std::mem::take(&mut self.untold) {
            self.setup.hooks.stands(report, now);
        }
        if let Some(pulls) = self.pulls.as_ref().filter(|_| !report.quiet) {
            let told = self.engine.as_mut().map(Engine::take_told).unwrap_or_default();
            let turns = &self.setup.woken.turns;
            // What it comes of goes first, else what it brought to an end.
            match self.causes.is_empty() {
                true => turns.add(told.into_iter().chain(trace::current())),
                false => turns.add(trace::current().into_iter().chain(told)),
            }
            pulls.passed(!report.done.is_empty() || report.recorded);
        }
        if !report.quiet {
            let summary = crate::report::pass::summary(report);
            tracing::info!(seconds, evaluated = report.evaluated, "{summary}");
            systemd::status(&summary);
        }
        let wait = self.wait(report, now);
        for waiting in std::mem::take(&mut self.waiting) {
            let Waiting { stay, answer, so_far } = waiting;
            let whole = match so_far {
                Some(so_far) => so_far.followed_by(report.clone()),
                None => report.clone(),
            };
            let goes_on = whole.unread > 0 || (stay && whole.under_way > 0);
            if goes_on && !answer.is_closed() {
                self.waiting.push(Waiting { stay, answer, so_far: Some(whole) });
            } else {
                let _ = answer.send(Ok(whole));
            }
        }
        wait
    }

    /// Some failures are for good: then the process ends, and whoever supervises it decides.
    fn failed(&mut self, error: PassError) -> Result<Duration, DaemonError> {
        let text = chain(&error);
        self.setup.hooks.failed(&text);
        tracing::error!(error = text, "a pass could not be made");
        for waiting in std::mem::take(&mut self.waiting) {
            let _ = waiting.answer.send(Err(text.clone()));
        }
        match error {
            PassError::Store(
                error @ (StoreError::Fenced { .. }
                | StoreError::Broken(_)
                | StoreError::Corrupt { .. }
                | StoreError::Newer { .. }
                | StoreError::Unsuitable { .. }),
            ) => Err(error.into()),
            error @ PassError::Behind { .. } => Err(error.into()),
            // What contradicts the store is a bug: the next pass reads all of it anew.
            PassError::Store(
                StoreError::Busy(_)
                | StoreError::Full(_)
                | StoreError::Missing { .. }
                | StoreError::Conflict { .. },
            )
            | PassError::Source { .. }
            | PassError::Pattern { .. }
            | PassError::Settings(_)
            | PassError::Another { .. }
            | PassError::Task(_) => {
                self.failures = self.failures.saturating_add(1);
                let wait = AFTER_FAILURE * 2_u32.saturating_pow(self.failures.min(10) - 1);
                Ok(wait.min(self.interval().max(AFTER_FAILURE)))
            }
        }
    }

    /// The next pass should begin in `wait`.
    fn is_due(&self, wait: Duration) {
        let at = (self.setup.now)().checked_add(wait).unwrap_or(Timestamp::MAX);
        self.setup.hooks.due(at);
    }

    fn interval(&self) -> Duration {
        self.config.settings.reconcile.interval.unsigned_abs()
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
            if left.is_negative() { Duration::ZERO } else { left.unsigned_abs() }
        });
        // However often something is due, there is time to breathe between two passes.
        due.map_or(poll, |due| due.min(poll)).max(Duration::from_millis(100))
    }

    async fn open(&mut self, config: Arc<Config>) -> Result<(), PassError> {
        let mut engine = Engine::open(config.clone(), self.setup.store.clone()).await?;
        engine.watched(Arc::new(self.pulse.clone()));
        self.watcher = watch::Watcher::start(engine.sources(), self.change_sender.clone());
        self.pulls = self.open_pulls(&engine).await?;
        self.open_notices(&config).await?;
        if self.pulls.is_some() {
            engine.answered();
        }
        self.engine = Some(engine);
        self.traces.reopen(&self.config, &config).await;
        self.config = config;
        Ok(())
    }

    async fn open_notices(&mut self, config: &Config) -> Result<(), PassError> {
        // Before others begin to write what these have written.
        if let Some(notices) = self.notices.take() {
            notices.end().await;
        }
        let mut receivers = Vec::new();
        let blocks = config.settings.network.allow.iter();
        let allow: Arc<[Block]> = blocks.filter_map(|block| Block::parse(block)).collect();
        for settings in &config.settings.notifications {
            let store = self.setup.store.clone();
            receivers.push(Receiver::open(settings.clone(), store, allow.clone()).await?);
        }
        let (lease, now) = (self.keeper.lease(), self.setup.now);
        self.notices = Some(Notices::start(receivers, lease, now));
        Ok(())
    }

    async fn open_pulls(&self, engine: &Engine) -> Result<Option<Pulls>, PassError> {
        let Some(forge) = engine.forge().cloned() else {
            // Nobody is there any more who would take it back.
            if engine.store().value(&unattended_key()).await?.is_some() {
                let nothing = Write::Value { key: unattended_key(), value: None };
                engine.store().commit(self.keeper.lease(), vec![nothing]).await?;
            }
            return Ok(None);
        };
        let (config, store) = (engine.config().clone(), engine.store().clone());
        let interval = config.settings.reconcile.interval.unsigned_abs();
        let reviewer = Reviewer::open(config, store, forge).await?;
        let reviewer = reviewer.nudged_by(self.setup.nudges.clone());
        Ok(Some(Pulls::start(pulls::Start {
            reviewer,
            lease: self.keeper.lease().clone(),
            now: self.setup.now,
            interval,
            wake: self.setup.pulls.clone(),
            woken: self.setup.woken.clone(),
            passes: self.change_sender.clone(),
            hooks: self.setup.hooks.clone(),
        })))
    }

    /// A new configuration takes effect between passes; a bad one is refused, and the old one stays.
    async fn reload(&mut self) {
        systemd::reloading();
        match reread(&self.setup, &self.config) {
            Ok(config) => match self.open(Arc::new(config)).await {
                Ok(()) => tracing::info!("the configuration was read again"),
                Err(error) => refuse(&chain(&error)),
            },
            Err(error) => refuse(&error),
        }
        systemd::ready("the configuration was read again");
    }

    /// Leaves the place to a successor.
    async fn end(self, outcome: &Result<(), DaemonError>) {
        let Self { keeper, setup, config, pulls, notices, mut traces, .. } = self;
        if let Some(notices) = notices {
            notices.end().await;
        }
        if let Some(pulls) = pulls {
            pulls.end(TURN_WITHIN).await;
        }
        let is_ours = !matches!(outcome, Err(DaemonError::Store(StoreError::Fenced { .. })));
        // Whoever took the lease has put a socket of its own there.
        if let Some(path) = config.settings.socket().filter(|_| is_ours) {
            let _ = std::fs::remove_file(path);
        }
        keeper.release(setup.store.as_ref()).await;
        traces.end().await;
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
