//! The one pass: fetch, build desired, load recorded, find what differs, observe those, plan,
//! execute, announce.
//!
//! The same code runs on a laptop, in a check and in the daemon; a dry run is not calling
//! `execute`. A pass over nothing new touches no provider and writes nothing.

mod announce;
mod arrive;
mod backlog;
mod bookkeeping;
mod brought;
mod call;
pub mod case;
mod compare;
pub mod desired;
mod ends;
pub mod evaluate;
mod execute;
mod expire;
pub mod foresee;
mod front;
mod gate;
mod law;
mod ledger;
pub mod lint;
mod listing;
mod load;
pub mod local;
mod look;
mod maintain;
mod memory;
pub mod notify;
mod observe;
pub mod offer;
mod outline;
mod pass;
mod preview;
mod promise;
pub mod propose;
mod publish;
mod published;
pub mod pull;
mod radius;
mod reach;
pub mod rebuild;
pub mod review;
mod rights;
pub mod rollout;
mod round;
mod shut;
mod slow;
pub mod source;
mod step;
mod sweep;
mod table;
mod traced;
mod turn;
pub mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use jiff::{SignedDuration, Timestamp};

use crate::config::{Config, ForgeSettings};
use crate::digest::{self, Digest};
use crate::fault::Fault;
use crate::forge::github::GitHub;
use crate::forge::{Forge, Repo};
use crate::git::{Author, Block, Credential, GitError, Transport};
use crate::model::{
    Action, Happening, InstanceId, PassReport, Revision, SourceName, TargetKey, TraceParent,
};
use crate::provider::Providers;
use crate::provider::cloudformation::{CloudFormation, CloudFormationSettings, Rate};
use crate::provider::files::{Files, FilesSettings};
use crate::store::{RecordEntry, Store, StoreError};

pub use front::{Front, Takeover};
pub use memory::Memory;
pub use pass::Wake;
pub use publish::{is_ours as is_published, undo as undo_others};

/// Raised when a new version of this program reads the same files differently: the desired state of
/// everything is then read again.
const READING: u32 = 2;

/// Why a pass could not be made. A problem of one request, source or provider is none of these.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// The store.
    #[error("the store")]
    Store(#[from] StoreError),
    /// A repository that could not even be opened or read from our own mirror.
    #[error("source `{name}`")]
    Source {
        /// Which.
        name: SourceName,
        /// Why.
        #[source]
        source: GitError,
    },
    /// A pattern in the configuration.
    #[error("source `{name}`: {message}")]
    Pattern {
        /// Whose.
        name: SourceName,
        /// What is wrong with it.
        message: String,
    },
    /// The configuration lacks what a pass needs.
    #[error("{0}")]
    Settings(String),
    /// A bug: one of our own tasks ended without an answer.
    #[error("a task ended without an answer: {0}")]
    Task(String),
    /// The store is older than what this vend has published: another copy of it ran meanwhile.
    #[error(
        "the store is behind what was published (epoch {ours}, published {published}): run `vend state takeover` if this copy is to go on"
    )]
    Behind {
        /// The lease's epoch.
        ours: u64,
        /// The epoch on the status branch.
        published: u64,
    },
    /// The status branch is another store's: this one knows nothing of what that one made, and would
    /// make all of it again under other names.
    #[error(
        "the status branch belongs to another vend ({whose}, and this store is `{ours}`): put the store of that vend back, or give this one a `status.branch` of its own if a second of everything is meant"
    )]
    Another {
        /// Who says so.
        whose: String,
        /// Who we are.
        ours: InstanceId,
    },
}

impl From<Fault> for PassError {
    fn from(fault: Fault) -> Self {
        StoreError::from(fault).into()
    }
}

impl PassError {
    #[allow(clippy::needless_pass_by_value)] // for `map_err`
    fn task(error: tokio::task::JoinError) -> Self {
        Self::Task(error.to_string())
    }
}

/// Something that a person watching would like to know at once.
#[derive(Clone, Debug)]
pub enum Notice<'a> {
    /// An effect's intent is durable.
    Began {
        /// On what.
        key: &'a TargetKey,
        /// What.
        action: Action,
    },
    /// Something happened to a part of its target.
    Happened {
        /// On what.
        key: &'a TargetKey,
        /// What.
        action: Action,
        /// To which part, and what.
        happening: &'a Happening,
    },
    /// Its end was seen.
    Ended {
        /// On what.
        key: &'a TargetKey,
        /// What.
        action: Action,
        /// What went wrong.
        error: Option<&'a str>,
    },
    /// So many of so many requests are read.
    Reading {
        /// In all.
        requests: usize,
    },
    /// A plan was made with so many steps.
    Planned {
        /// Steps.
        steps: usize,
    },
}

/// Told what happens during a pass.
pub trait Watch: Send + Sync {
    /// Something happened.
    fn notice(&self, notice: &Notice<'_>);
}

/// Where the report on what was asked for goes; the error is a sentence.
pub type Answer = tokio::sync::oneshot::Sender<Result<PassReport, String>>;

/// What a running loop of passes can be asked.
pub enum Ask {
    /// Make a pass now; with `wait`, passes until nothing is under way.
    Apply {
        /// Stay until nothing is under way.
        wait: bool,
        /// Where the answer goes.
        answer: Answer,
    },
    /// A person has written to the store: look again.
    Wake,
}

/// Nobody watches.
pub struct Unwatched;

impl Watch for Unwatched {
    fn notice(&self, _: &Notice<'_>) {}
}

/// When targets are looked at for drift: every `interval`, spread by a tenth to each side so that
/// what was applied together is not looked at together for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct DriftClock {
    /// How often.
    pub interval: SignedDuration,
}

impl DriftClock {
    /// When a request is due.
    pub fn due(&self, record: &RecordEntry) -> Timestamp {
        let Some(checked) = record.checked else { return Timestamp::UNIX_EPOCH };
        let spread = 0.9 + 0.2 * ledger::jitter(record.id.as_str());
        let wait = SignedDuration::from_secs_f64(self.interval.as_secs_f64() * spread);
        checked.saturating_add(wait).unwrap_or(Timestamp::MAX)
    }
}

/// Everything that passes need and that outlives one.
pub struct Engine {
    config: Arc<Config>,
    state: PathBuf,
    store: Arc<dyn Store>,
    instance: InstanceId,
    providers: Providers,
    sources: source::Sources,
    status: Front,
    templates: evaluate::Templates,
    memory: Option<Memory>,
    /// Files that the next passes are to take up.
    backlog: Option<backlog::Backlog>,
    /// The status branch was reached and is ours to write.
    checked: bool,
    /// When the status branch was looked at last, where that is not done at every pass.
    looked: Option<Timestamp>,
    stop: Arc<AtomicBool>,
    watch: Arc<dyn Watch>,
    /// Sources whose forge tells how what is in them came: what was reviewed of it binds.
    followed: BTreeSet<SourceName>,
    /// Those of them of which nothing is done that came without a pull request.
    gated: BTreeSet<SourceName>,
    /// Somebody asks the forge, beside the passes.
    is_answered: bool,
    /// How old what was fetched may be for the next pass.
    spare: Option<std::time::Duration>,
    /// Where pull requests live.
    forge: Option<Arc<dyn Forge>>,
    /// A catalog that a review need not read again.
    shelf: Option<(Arc<crate::catalog::Catalog>, Revision)>,
    /// Effects under way that are asked about, whatever becomes of a pass' memory: what is sent again must
    /// not be sent beside itself.
    resumed: std::sync::Mutex<execute::Resumed>,
    /// Environments of whose rights was warned.
    warned: std::sync::Mutex<BTreeSet<String>>,
    /// Somebody woke the next pass, and what it does belongs to their trace.
    is_woken: bool,
    /// What began effects of which the last pass published that they ended.
    told: Vec<TraceParent>,
    /// What there is to publish waits until the last commit of statuses is as old as settings ask for.
    is_paced: bool,
    /// When the last one was made.
    published_at: Option<Timestamp>,
}

impl Engine {
    /// Opens mirrors, providers and forge for `config`; the state folder must be there.
    pub async fn open(config: Arc<Config>, store: Arc<dyn Store>) -> Result<Self, PassError> {
        let forge = forge(&config)?;
        Self::open_on(config, store, forge).await
    }

    /// As [`Engine::open`], sharing a forge that is open already: one budget, one set of tokens.
    pub async fn open_on(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        forge: Option<Arc<dyn Forge>>,
    ) -> Result<Self, PassError> {
        let state = state_of(&config)?;
        let transport = transport(&config, &state, forge.as_ref());
        let providers = providers(&config, &state, &transport)?;
        Self::open_all(config, store, forge, transport, providers).await
    }

    /// As [`Engine::open`], with these providers and no others.
    pub async fn open_with(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        providers: Providers,
    ) -> Result<Self, PassError> {
        let forge = forge(&config)?;
        let transport = transport(&config, &state_of(&config)?, forge.as_ref());
        Self::open_all(config, store, forge, transport, providers).await
    }

    async fn open_all(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        forge: Option<Arc<dyn Forge>>,
        transport: Arc<Transport>,
        providers: Providers,
    ) -> Result<Self, PassError> {
        let settings = &config.settings;
        let state = state_of(&config)?;
        let sources = source::Sources::open(settings, &state, &transport)?;
        let status = Front::open(settings, &state, &transport)?;
        let instance = store.instance().await?;
        let followed: BTreeSet<SourceName> =
            repos(&config).into_keys().filter(|n| n.as_str() != source::CATALOG).collect();
        let gated = match settings.require_pull_request {
            true => followed.clone(),
            false => BTreeSet::new(),
        };
        Ok(Self {
            config,
            state,
            store,
            instance,
            providers,
            sources,
            status,
            templates: evaluate::Templates::default(),
            warned: std::sync::Mutex::default(),
            memory: None,
            backlog: None,
            checked: false,
            looked: None,
            stop: Arc::new(AtomicBool::new(false)),
            watch: Arc::new(Unwatched),
            followed,
            gated,
            is_answered: false,
            spare: None,
            forge,
            shelf: None,
            resumed: std::sync::Mutex::default(),
            is_woken: false,
            told: Vec::new(),
            is_paced: false,
            published_at: None,
        })
    }

    /// Tells `watch` what happens from now on.
    pub fn watched(&mut self, watch: Arc<dyn Watch>) {
        self.watch = watch;
    }

    /// Somebody looks after pull requests from now on, and says how what was merged came: passes wait for that
    /// word.
    pub fn answered(&mut self) {
        self.is_answered = true;
    }

    /// The forge in use, if any.
    pub fn forge(&self) -> Option<&Arc<dyn Forge>> {
        self.forge.as_ref()
    }

    /// The next pass may do with what was fetched no longer ago than this.
    pub fn spare_fetch(&mut self, within: std::time::Duration) {
        self.spare = Some(within);
    }

    /// Whether the next pass belongs to the trace of whoever woke it.
    pub fn came_of(&mut self, somebody: bool) {
        self.is_woken = somebody;
    }

    /// Whether the next pass may leave what there is to publish to a later one: nobody waits for it.
    pub fn paced(&mut self, may_wait: bool) {
        self.is_paced = may_wait;
    }

    /// The traces of what the last pass said to have ended.
    pub fn take_told(&mut self) -> Vec<TraceParent> {
        std::mem::take(&mut self.told)
    }

    /// Set it, and no new batch of effects begins.
    pub fn stop(&self) -> Arc<AtomicBool> {
        self.stop.clone()
    }

    /// The settings in use.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// The store in use.
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.store
    }

    /// The state folder.
    pub fn state(&self) -> &std::path::Path {
        &self.state
    }

    /// The sources.
    pub fn sources(&self) -> &source::Sources {
        &self.sources
    }

    fn drift_clock(&self) -> DriftClock {
        DriftClock { interval: self.config.settings.reconcile.drift_interval }
    }

    /// What the desired index depends on besides commits: another configuration or another version
    /// of this reading needs all of it again.
    fn reading(&self) -> Digest {
        digest::of(&(READING, env!("CARGO_PKG_VERSION"), self.config.digest))
    }
}

fn state_of(config: &Config) -> Result<PathBuf, PassError> {
    let state = config.settings.state_dir.clone();
    state.ok_or_else(|| PassError::Settings("`stateDir` is needed to apply anything".into()))
}

/// The forge that `config` names, if it names one. Nothing is reached yet.
pub fn forge(config: &Config) -> Result<Option<Arc<dyn Forge>>, PassError> {
    config.settings.forge.as_ref().map(forge_of).transpose()
}

/// The forge that these settings name. Nothing is reached yet.
///
/// # Errors
/// They do not say as whom.
pub fn forge_of(settings: &ForgeSettings) -> Result<Arc<dyn Forge>, PassError> {
    let Some(github) = settings.github.settings() else {
        let text = "`forge.github` needs `app` or `tokenFile`";
        return Err(PassError::Settings(text.into()));
    };
    let github = GitHub::new(github, Arc::new(Timestamp::now))
        .map_err(|error| PassError::Settings(crate::error::chain(&error)))?;
    Ok(Arc::new(github))
}

/// The sources whose repositories lie on the forge, the catalog under its own name.
pub fn repos(config: &Config) -> BTreeMap<SourceName, Repo> {
    let settings = &config.settings;
    let Some(forge) = &settings.forge else { return BTreeMap::new() };
    let requests = settings.requests.iter().map(|r| (r.name.clone(), r.repository.as_str()));
    let catalog = (SourceName::new(source::CATALOG), settings.catalog.repository.as_str());
    let repo = |url: &str| Repo::of_url(url, &forge.github.api);
    requests.chain([catalog]).filter_map(|(name, url)| Some((name, repo(url)?))).collect()
}

/// How git is run for `config`.
pub fn transport(
    config: &Config,
    state: &std::path::Path,
    forge: Option<&Arc<dyn Forge>>,
) -> Arc<Transport> {
    let settings = &config.settings;
    let credentials = settings.credentials.iter().map(|c| Credential {
        url_prefix: c.url.clone(),
        ssh_key_file: c.ssh_key_file.clone(),
        known_hosts_file: c.known_hosts_file.clone(),
        token_file: c.token_file.clone(),
        ca_file: c.ca_file.clone(),
    });
    let repositories = settings.requests.iter().map(|r| r.repository.as_str());
    let named =
        repositories.chain([settings.catalog.repository.as_str(), settings.status_repository()]);
    let named = named.chain(settings.providers.files.allow.iter().map(String::as_str));
    let local = |url: &str| {
        let path = url.strip_prefix("file://").unwrap_or(url);
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    Arc::new(Transport {
        deadline: settings.limits.git_deadline.unsigned_abs(),
        credentials: credentials.collect(),
        tokens: forge
            .zip(settings.forge.as_ref())
            .map(|(forge, settings)| crate::forge::tokens(forge.clone(), &settings.github.api)),
        allow_inner: settings.network.allow.iter().filter_map(|b| Block::parse(b)).collect(),
        home: state.join("git-home"),
        allow_local: named.filter_map(local).collect(),
        git: PathBuf::from("git"),
        author: Author { name: settings.author.name.clone(), email: settings.author.email.clone() },
        users_own: false,
    })
}

/// The providers that exist, with their settings.
pub fn providers(
    config: &Config,
    state: &std::path::Path,
    transport: &Arc<Transport>,
) -> Result<Providers, PassError> {
    let files = &config.settings.providers.files;
    let files = Files::new(FilesSettings {
        allow: files.allow.clone(),
        state: state.join("outputs"),
        transport: transport.clone(),
        batch: files.batch,
    });
    let aws = &config.settings.providers.cloudformation;
    let cloudformation = CloudFormation::new(CloudFormationSettings {
        endpoint: aws.endpoint.clone(),
        changes: Rate::of(aws.rates.changes),
        looks: Rate::of(aws.rates.looks),
        events: Rate::of(aws.rates.events),
    });
    Ok(Providers::new().with(files.map_err(PassError::Settings)?).with(cloudformation))
}
