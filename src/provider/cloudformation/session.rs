//! Connections: one for each region and set of rights, kept while it is used.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_config::sts::AssumeRoleProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_cloudformation::Client;
use aws_sdk_cloudformation::config::http::HttpResponse;
use aws_sdk_cloudformation::config::retry::RetryConfig;
use aws_sdk_cloudformation::error::ProvideErrorMetadata;
use aws_sdk_cloudformation::error::SdkError;
use tokio::sync::OnceCell;

use super::drift::Detections;
use super::error::Trouble;
use super::flight::Flights;
use super::limiter::{Bucket, Rate};
use super::look::Looks;
use super::settings::Place;
use super::sweep::Sweeps;
use crate::model::TargetKey;
use crate::provider::ProviderError;

/// What the operator says about `cloudformation`.
#[derive(Clone, Debug)]
pub struct CloudFormationSettings {
    /// Another address of the services.
    pub endpoint: Option<String>,
    /// Calls that change something.
    pub changes: Rate,
    /// Calls that look at stacks.
    pub looks: Rate,
    /// Calls that read what happened to a stack, and as many again at change sets.
    pub events: Rate,
}

/// Whose rights a call needs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Purpose {
    Look,
    Change,
    Preview,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Key {
    region: String,
    role: Option<String>,
    external_id: Option<String>,
    /// As CloudTrail shows it.
    session: String,
}

/// A connection with its rights.
pub(super) struct Session {
    /// Tries again by itself: for calls that change nothing.
    pub(super) looks: Client,
    /// Tries once: what was lost is not sent again behind our back.
    changes: Client,
    pub(super) config: SdkConfig,
    account: OnceCell<String>,
    pub(super) limits: Arc<Limits>,
}

/// What all connections to one account's region share.
pub(super) struct Limits {
    changes: Bucket,
    looks: Bucket,
    pub(super) change_sets: Bucket,
    pub(super) events: Bucket,
    /// The stacks as last listed.
    pub(super) listed: Looks,
    /// Operations that go on.
    pub(super) flights: Flights,
    /// Looks for drift that go on.
    pub(super) detections: Detections,
    /// When what previews left was looked for.
    pub(super) sweeps: Sweeps,
}

/// All connections of this process.
pub(super) struct Sessions {
    settings: CloudFormationSettings,
    base: OnceCell<SdkConfig>,
    sessions: Mutex<BTreeMap<Key, Arc<Session>>>,
    limits: Mutex<BTreeMap<String, Arc<Limits>>>,
}

/// Connections kept; each request that is changed has one of its own where a role is taken on.
const KEPT: usize = 512;

/// Tries of a call that changes something and was rejected for being too fast.
const TRIES: u32 = 8;

impl Sessions {
    pub(super) fn new(settings: CloudFormationSettings) -> Self {
        Self {
            settings,
            base: OnceCell::new(),
            sessions: Mutex::default(),
            limits: Mutex::default(),
        }
    }

    /// As [`Sessions::new`], with another chain of credentials than the default one.
    pub(super) fn with_config(settings: CloudFormationSettings, config: SdkConfig) -> Self {
        let config = match &settings.endpoint {
            Some(endpoint) => config.into_builder().endpoint_url(endpoint).build(),
            None => config,
        };
        Self { base: OnceCell::new_with(Some(config)), ..Self::new(settings) }
    }

    pub(super) fn endpoint(&self) -> Option<&str> {
        self.settings.endpoint.as_deref()
    }

    /// A connection for `purpose` at `place`, on behalf of a request.
    pub(super) async fn get(
        &self,
        place: &Place,
        purpose: Purpose,
        key: &TargetKey,
    ) -> Arc<Session> {
        let role = match purpose {
            Purpose::Look | Purpose::Change => place.role.clone(),
            Purpose::Preview => place.preview_role.clone().or_else(|| place.role.clone()),
        };
        let session = match purpose {
            Purpose::Change if role.is_some() => session_name(key),
            Purpose::Look | Purpose::Change | Purpose::Preview => "vend".to_owned(),
        };
        let external_id = role.as_ref().and(place.external_id.clone());
        let key = Key { region: place.region.clone(), role, external_id, session };
        let sessions = || self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = sessions().get(&key).cloned();
        if let Some(session) = kept {
            return session;
        }
        let opened = Arc::new(Session::open(self.base().await, &key, self.limits(place)).await);
        let mut sessions = sessions();
        if sessions.len() >= KEPT {
            sessions.retain(|_, session| Arc::strong_count(session) > 1);
        }
        sessions.entry(key).or_insert(opened).clone()
    }

    fn limits(&self, place: &Place) -> Arc<Limits> {
        let mut limits = self.limits.lock().unwrap_or_else(PoisonError::into_inner);
        let open = || {
            Arc::new(Limits {
                changes: Bucket::new(self.settings.changes),
                looks: Bucket::new(self.settings.looks),
                change_sets: Bucket::new(self.settings.events),
                events: Bucket::new(self.settings.events),
                listed: Looks::default(),
                flights: Flights::default(),
                detections: Detections::default(),
                sweeps: Sweeps::default(),
            })
        };
        limits.entry(place.lane()).or_insert_with(open).clone()
    }

    /// The SDK's default chain of credentials, looked through once.
    async fn base(&self) -> &SdkConfig {
        self.base
            .get_or_init(|| async {
                let timeouts = TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .operation_attempt_timeout(Duration::from_secs(30))
                    .build();
                let mut loader =
                    aws_config::defaults(BehaviorVersion::latest()).timeout_config(timeouts);
                if let Some(endpoint) = &self.settings.endpoint {
                    loader = loader.endpoint_url(endpoint);
                }
                loader.load().await
            })
            .await
    }
}

/// Roles' sessions are named so that the account's trail says for which request it was.
fn session_name(key: &TargetKey) -> String {
    let id = &key.request;
    let mut name = format!("vend-{}-{}-{}", id.team(), id.environment(), id.name());
    name.truncate(64);
    name
}

impl Session {
    async fn open(base: &SdkConfig, key: &Key, limits: Arc<Limits>) -> Self {
        let region = Region::new(key.region.clone());
        let mut config = base.to_builder().region(region.clone());
        if let Some(role) = &key.role {
            let role = AssumeRoleProvider::builder(role)
                .session_name(&key.session)
                .region(region)
                .configure(base);
            let role = match &key.external_id {
                Some(id) => role.external_id(id),
                None => role,
            };
            config
                .set_credentials_provider(Some(SharedCredentialsProvider::new(role.build().await)));
        }
        let config = config.build();
        let client = |retry: RetryConfig| {
            let config = aws_sdk_cloudformation::config::Builder::from(&config);
            Client::from_conf(config.retry_config(retry).build())
        };
        Self {
            looks: client(RetryConfig::standard().with_max_attempts(TRIES)),
            changes: client(RetryConfig::disabled()),
            config,
            account: OnceCell::new(),
            limits,
        }
    }

    /// Makes a call that changes nothing, in its turn.
    pub(super) async fn look<T, E, F>(&self, call: impl FnOnce(&Client) -> F) -> Result<T, Trouble>
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        self.look_among(&self.limits.looks, call).await
    }

    /// As [`Session::look`], in a turn among other calls than those that look at stacks: the service
    /// counts each kind by itself.
    pub(super) async fn look_among<T, E, F>(
        &self,
        bucket: &Bucket,
        call: impl FnOnce(&Client) -> F,
    ) -> Result<T, Trouble>
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        bucket.take().await;
        let answer = call(&self.looks).await.map_err(Trouble::of);
        if let Err(Trouble::Throttled(_)) = answer {
            bucket.slow_down();
        }
        answer
    }

    /// Makes a call that changes something, in its turn. It is sent again only after the service
    /// rejected it for being too fast: what was lost on the way may have been done.
    pub(super) async fn change<T, E, F>(&self, call: impl Fn(&Client) -> F) -> Result<T, Trouble>
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let mut tries = 0;
        loop {
            self.limits.changes.take().await;
            tries += 1;
            match call(&self.changes).await.map_err(Trouble::of) {
                Err(Trouble::Throttled(_)) if tries < TRIES => self.limits.changes.slow_down(),
                answer => return answer,
            }
        }
    }

    /// Compares whom the credentials belong to with the account that is meant. Asked once for each
    /// connection: credentials do not change their account.
    pub(super) async fn check_account(&self, place: &Place) -> Result<(), ProviderError> {
        let Some(meant) = &place.account else { return Ok(()) };
        let sts = aws_sdk_sts::Client::new(&self.config);
        let ask = || async {
            let said =
                sts.get_caller_identity().send().await.map_err(|e| Trouble::of(e).of_a_look())?;
            said.account.ok_or_else(|| ProviderError::unavailable("STS named no account"))
        };
        let account = self.account.get_or_try_init(ask).await?;
        if account == meant {
            return Ok(());
        }
        Err(ProviderError::Refused(format!(
            "the credentials belong to account {account}, and the environment says `account: \"{meant}\"`: nothing was touched"
        )))
    }
}
