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
use tokio::time::Instant;

use super::drift::Detections;
use super::error::Trouble;
use super::flight::Flights;
use super::limiter::{Bucket, Rate};
use super::look::{Begun, Looks};
use super::settings::Place;
use super::stack;
use super::sweep::Sweeps;
use crate::fault::point;
use crate::model::TargetKey;

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
    /// Whom the credentials belong to, and when that was asked.
    account: tokio::sync::Mutex<Option<(String, Instant)>>,
    pub(super) limits: Arc<Limits>,
    /// The stacks as last listed by this one's rights.
    pub(super) listed: Arc<Looks>,
}

/// What all connections to one account's region share.
pub(super) struct Limits {
    changes: Bucket,
    looks: Bucket,
    pub(super) change_sets: Bucket,
    pub(super) events: Bucket,
    /// The stacks as last listed, by the role that saw them: another's may see fewer.
    listed: Mutex<BTreeMap<Option<String>, Arc<Looks>>>,
    /// Stacks in which something was begun lately.
    pub(super) begun: Begun,
    /// Operations that go on.
    pub(super) flights: Flights,
    /// Looks for drift that go on.
    pub(super) detections: Detections,
    /// When what previews left was looked for.
    pub(super) sweeps: Sweeps,
}

impl Limits {
    fn listed(&self, role: Option<&String>) -> Arc<Looks> {
        let mut listed = self.listed.lock().unwrap_or_else(PoisonError::into_inner);
        listed.entry(role.cloned()).or_default().clone()
    }
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

/// How long after the first of those it is tried again: a pass has no more patience for what it asks.
const INSISTS: Duration = Duration::from_secs(10);

/// How long credentials of a wrong account are taken to be so still.
const AGAIN: Duration = Duration::from_secs(5);

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
                listed: Mutex::default(),
                begun: Begun::default(),
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
            account: tokio::sync::Mutex::default(),
            listed: limits.listed(key.role.as_ref()),
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
        point!("aws.look.before").map_err(Trouble::unsent)?;
        let answer = call(&self.looks).await.map_err(Trouble::of);
        if let Err(Trouble::Throttled(_)) = answer {
            bucket.slow_down();
        }
        answer
    }

    /// Makes a call that changes something, in its turn. It is sent again only after the service
    /// rejected it for being too fast: what was lost on the way may have been done. Where that goes on, it is
    /// for a later pass: all others wait for the end of this one.
    pub(super) async fn change<T, E, F>(&self, call: impl Fn(&Client) -> F) -> Result<T, Trouble>
    where
        E: Error + ProvideErrorMetadata + Send + Sync + 'static,
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    {
        let (mut tries, mut since) = (0, None);
        point!("aws.change.before").map_err(Trouble::unsent)?;
        let answer = loop {
            self.limits.changes.take().await;
            tries += 1;
            match call(&self.changes).await.map_err(Trouble::of) {
                Err(Trouble::Throttled(_))
                    if tries < TRIES
                        && since.get_or_insert_with(Instant::now).elapsed() < INSISTS =>
                {
                    self.limits.changes.slow_down();
                }
                answer => break answer?,
            }
        };
        point!("aws.change.after").map_err(Trouble::lost)?;
        Ok(answer)
    }

    /// Compares whom the credentials belong to with the account that is meant: the one that the
    /// environment names, and the one in which the stack `id` was made. In another account all that
    /// is asked for is "not there", and nothing may follow from that. Who it is is asked once for each
    /// connection, and again after it was somebody else: people mend that.
    pub(super) async fn check_account(
        &self,
        place: &Place,
        id: Option<&str>,
    ) -> Result<(), Trouble> {
        let made = id.and_then(stack::account);
        if place.account.is_none() && made.is_none() {
            return Ok(());
        }
        let mut known = self.account.lock().await;
        if let Some((account, asked)) = known.as_ref() {
            let fits = in_account(account, place, id);
            if fits.is_ok() || asked.elapsed() < AGAIN {
                return fits;
            }
        }
        let sts = aws_sdk_sts::Client::new(&self.config);
        let said = sts.get_caller_identity().send().await.map_err(Trouble::of)?;
        let account = said.account.ok_or_else(|| Trouble::Unsent("STS named no account".into()))?;
        let fits = in_account(&account, place, id);
        *known = Some((account, Instant::now()));
        fits
    }
}

/// Whether what is in `account` can be what is meant.
pub(super) fn in_account(account: &str, place: &Place, id: Option<&str>) -> Result<(), Trouble> {
    let meant = match (place.account.as_deref(), id.and_then(stack::account)) {
        (Some(meant), _) if meant != account => {
            format!("the environment says `account: \"{meant}\"`")
        }
        (_, Some(made)) if made != account => format!("the stack was made in account {made}"),
        (Some(_) | None, Some(_) | None) => return Ok(()),
    };
    Err(Trouble::Unsent(format!(
        "the credentials belong to account {account}, and {meant}: nothing was touched"
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_account_is_named_with_the_one_that_is_meant() {
        let place = |account: Option<&str>| Place {
            account: account.map(str::to_owned),
            ..Place::read(&crate::model::Map::from([("region".into(), "eu-west-1".into())]))
                .unwrap()
        };
        let id = "arn:aws:cloudformation:eu-west-1:111111111111:stack/vend-a/1";
        let said = |account, meant, id| match in_account(account, &place(meant), id) {
            Ok(()) => String::new(),
            Err(trouble) => trouble.of_a_look().source().unwrap().to_string(),
        };
        let (ours, theirs) = ("111111111111", "222222222222");
        for (meant, id) in
            [(None, None), (Some(ours), None), (None, Some(id)), (Some(ours), Some(id))]
        {
            assert_eq!(said(ours, meant, id), "");
            let words = said(theirs, meant, id);
            let known = meant.is_some() || id.is_some();
            assert_eq!(words.contains(ours) && words.contains(theirs), known, "{words}");
        }
        assert_eq!(said(ours, None, Some("vend-a")), "", "a name says nothing of an account");
    }
}
