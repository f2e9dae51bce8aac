//! What `vend.yaml` says, typed, with every default in one place.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use serde::Deserialize;

use super::{NotificationSettings, ReceiverUrl, TraceSettings};
use crate::catalog;
use crate::forge::github::{self, GitHubSettings};
use crate::git::Block;
use crate::model::SourceName;
use crate::notify::Address;
use crate::store::Server;

/// Everything that can be set.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Settings {
    #[serde(default, rename = "apiVersion")]
    _api_version: Option<String>,
    #[serde(default, rename = "kind")]
    _kind: Option<String>,
    /// The catalog's repository.
    pub catalog: Folder,
    /// The requests' repositories.
    pub requests: Vec<RequestSource>,
    /// Where status files go; by default the first requests repository.
    #[serde(default)]
    pub status: StatusPlace,
    /// Where recorded state is kept; by default `vend.sqlite` in the state folder.
    #[serde(default)]
    pub store: StoreSettings,
    /// Mirrors, store and socket. Absent: a working copy's file, for the command line only.
    #[serde(default)]
    pub state_dir: Option<PathBuf>,
    /// The daemon's listeners.
    #[serde(default)]
    pub server: ServerSettings,
    /// How passes run.
    #[serde(default)]
    pub reconcile: ReconcileSettings,
    /// What becomes of requests whose time is over.
    #[serde(default)]
    pub expiry: ExpirySettings,
    /// Limits on what is read.
    #[serde(default)]
    pub limits: LimitSettings,
    /// Per provider.
    #[serde(default)]
    pub providers: ProviderSettings,
    /// Credentials by URL prefix.
    #[serde(default)]
    pub credentials: Vec<CredentialSettings>,
    /// The service that hosts the repositories, when there is one.
    #[serde(default)]
    pub forge: Option<ForgeSettings>,
    /// Whether what came to a branch on the forge without a pull request waits for a person.
    #[serde(default = "yes")]
    pub require_pull_request: bool,
    /// Newer versions that are proposed without being asked.
    #[serde(default)]
    pub upgrades: UpgradeSettings,
    /// Who is told what is the matter.
    #[serde(default)]
    pub notifications: Vec<NotificationSettings>,
    /// Where traces go; without it none are made.
    #[serde(default)]
    pub traces: Option<TraceSettings>,
    /// What may be reached.
    #[serde(default)]
    pub network: NetworkSettings,
    /// Name and address in the commits that vend makes.
    #[serde(default)]
    pub author: Author,
}

/// A folder of a branch of a repository.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Folder {
    /// `https`, `ssh` or `file` URL, `user@host:path`, or a path.
    pub repository: String,
    /// The branch.
    #[serde(default = "main")]
    pub branch: String,
    /// The folder in it; the root by default.
    #[serde(default)]
    pub path: String,
}

/// A repository of requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RequestSource {
    /// Its name in messages and statuses.
    #[serde(default = "default_source")]
    pub name: SourceName,
    /// As in [`Folder`].
    pub repository: String,
    /// The branch.
    #[serde(default = "main")]
    pub branch: String,
    /// The folder that `pattern` starts at; the root by default.
    #[serde(default)]
    pub path: String,
    /// How a path tells the identity.
    #[serde(default = "default_pattern")]
    pub pattern: String,
    /// The teams that may ask here; everybody when empty.
    #[serde(default)]
    pub teams: Vec<String>,
}

/// Where status files go.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StatusPlace {
    /// By default the first requests repository.
    #[serde(default)]
    pub repository: Option<String>,
    /// The branch; written by vend alone.
    #[serde(default = "status_branch")]
    pub branch: String,
    /// The least time from one commit of the daemon's to the next.
    #[serde(default = "status_interval", deserialize_with = "length_of_time")]
    pub interval: SignedDuration,
}

impl Default for StatusPlace {
    fn default() -> Self {
        Self { repository: None, branch: status_branch(), interval: status_interval() }
    }
}

/// Where recorded state is kept: in one of these.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StoreSettings {
    /// The SQLite file.
    #[serde(default)]
    pub sqlite: Option<PathBuf>,
    /// A PostgreSQL database, for several replicas.
    #[serde(default)]
    pub postgres: Option<PostgresSettings>,
}

/// A PostgreSQL database.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PostgresSettings {
    /// `postgres://user@host:port/database`, without a password.
    pub url: String,
    /// The file that holds the password.
    #[serde(default)]
    pub password_file: Option<PathBuf>,
    /// The schema of the tables.
    #[serde(default = "postgres_schema")]
    pub schema: String,
    /// The most connections of one process.
    #[serde(default = "postgres_connections")]
    pub connections: u32,
}

fn postgres_schema() -> String {
    "vend".into()
}

fn postgres_connections() -> u32 {
    8
}

/// The daemon's listeners.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServerSettings {
    /// The Unix socket that the command line talks to; `vend.sock` in the state folder.
    #[serde(default)]
    pub socket: Option<PathBuf>,
    /// Health and metrics, on a loopback address; none by default.
    #[serde(default, deserialize_with = "loopback")]
    pub listen: Option<SocketAddr>,
    /// Health and metrics again, on any address, for those who scrape; none by default.
    #[serde(default, deserialize_with = "scraped")]
    pub metrics: Option<SocketAddr>,
}

/// How passes run.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ReconcileSettings {
    /// How often sources are polled, give or take a tenth.
    #[serde(deserialize_with = "length_of_time")]
    pub interval: SignedDuration,
    /// How often a target is looked at for drift.
    #[serde(deserialize_with = "length_of_time")]
    pub drift_interval: SignedDuration,
    /// Effects under way at once, in all.
    pub concurrency: usize,
    /// Effects under way at once, per provider account or repository.
    pub per_account: usize,
    /// New requests that one pass takes up; the others are left to those after it.
    pub portion: usize,
    /// When deletions stop and ask.
    pub breaker: BreakerSettings,
    /// What happens when a change of one thing would replace or delete resources of it.
    pub replacements: Replacements,
    /// What becomes of an update that is under way when something newer is wanted.
    pub cancel: Cancel,
    /// How long one daemon's lease lasts without being renewed.
    #[serde(deserialize_with = "length_of_time")]
    pub lease: SignedDuration,
}

impl Default for ReconcileSettings {
    fn default() -> Self {
        Self {
            interval: SignedDuration::from_secs(60),
            drift_interval: SignedDuration::from_hours(1),
            concurrency: 2_000,
            portion: 5_000,
            per_account: 1_000,
            breaker: BreakerSettings::default(),
            replacements: Replacements::default(),
            cancel: Cancel::default(),
            lease: SignedDuration::from_secs(30),
        }
    }
}

/// Newer versions that are proposed without being asked, on the forge.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct UpgradeSettings {
    /// Whether any is.
    pub propose: bool,
    /// How often it is looked for what could be proposed.
    #[serde(deserialize_with = "length_of_time")]
    pub interval: SignedDuration,
    /// Pull requests of that kind that are open at once in one repository.
    pub limit: usize,
    /// Only for these templates; for all when empty.
    pub templates: Vec<String>,
    /// What those pull requests are labelled with.
    pub labels: Vec<String>,
}

impl Default for UpgradeSettings {
    fn default() -> Self {
        Self {
            propose: false,
            interval: SignedDuration::from_hours(24),
            limit: 5,
            templates: Vec::new(),
            labels: Vec::new(),
        }
    }
}

/// What happens when a change of one thing would replace or delete resources of it, which the files
/// do not say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Replacements {
    /// A person approves that very loss.
    #[default]
    Approve,
    /// It is applied like any other.
    Apply,
}

impl Replacements {
    /// Whether a person is asked.
    pub fn asks(self) -> bool {
        match self {
            Self::Approve => true,
            Self::Apply => false,
        }
    }
}

/// What becomes of an update that is under way when something newer is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cancel {
    /// It goes on to its end, and the newer one waits. Stopping is a rollback, which takes as long,
    /// and leaves more behind when it fails in its turn.
    #[default]
    Never,
    /// It is stopped once, where its provider can do so safely.
    Superseded,
}

impl Cancel {
    /// Whether something newer stops what is under way.
    pub fn supersedes(self) -> bool {
        match self {
            Self::Never => false,
            Self::Superseded => true,
        }
    }
}

/// What becomes of requests whose time is over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ExpirySettings {
    /// How long before an end it is said, the longest first.
    #[serde(deserialize_with = "lengths_of_time")]
    pub warn: Vec<SignedDuration>,
    /// Who removes the file.
    pub remove: Remove,
}

impl Default for ExpirySettings {
    fn default() -> Self {
        Self { warn: [72, 24].map(SignedDuration::from_hours).into(), remove: Remove::default() }
    }
}

impl ExpirySettings {
    /// An end that a template brings on leaves at least the time of its warnings.
    pub fn grace(&self) -> SignedDuration {
        self.warn.first().copied().unwrap_or_default()
    }
}

/// Who removes the file of a request whose time is over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remove {
    /// vend, by the way that changes come to its branch: a commit, or a pull request where those are
    /// asked for.
    #[default]
    Auto,
    /// vend, by a commit, also where others need a pull request.
    Commit,
    /// People; vend only says that it is over.
    Never,
}

/// When deletions stop and ask.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// This many in one pass are never too many.
    pub max_deletes: u64,
    /// This share of all recorded requests, in percent, is never too much.
    pub max_percent: f64,
    /// All of a team's is too much when it has this many.
    pub team_min: u64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { max_deletes: 3, max_percent: 10.0, team_min: 3 }
    }
}

/// Limits on what is read.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Bytes of one file that people write.
    pub file_bytes: u64,
    /// Files in one repository's folder.
    pub files: usize,
    /// How long one git command may take.
    #[serde(deserialize_with = "length_of_time")]
    pub git_deadline: SignedDuration,
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            file_bytes: 256 * 1024,
            files: 1_000_000,
            git_deadline: SignedDuration::from_mins(5),
        }
    }
}

/// Per provider.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ProviderSettings {
    /// The `files` provider.
    pub files: FilesSettings,
    /// The `cloudformation` provider.
    pub cloudformation: CloudFormationSettings,
}

/// The `cloudformation` provider.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct CloudFormationSettings {
    /// Another address of the services.
    pub endpoint: Option<String>,
    /// How fast one account's region is asked.
    pub rates: RateSettings,
}

/// Calls a second to one account's region.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct RateSettings {
    /// Calls that change something.
    pub changes: f64,
    /// Calls that look at stacks.
    pub looks: f64,
    /// Calls that read what happened to a stack.
    pub events: f64,
}

impl Default for RateSettings {
    /// About what CloudFormation allows an account by default, shared with whoever else works in it.
    fn default() -> Self {
        Self { changes: 10.0, looks: 5.0, events: 10.0 }
    }
}

/// The `files` provider.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct FilesSettings {
    /// Repositories and folders that the catalog may choose to write to, with all below them.
    pub allow: Vec<String>,
    /// Changes in one commit.
    pub batch: usize,
}

impl Default for FilesSettings {
    fn default() -> Self {
        Self { allow: Vec::new(), batch: 1_000 }
    }
}

/// A credential, bound to a URL prefix.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CredentialSettings {
    /// Host and path that it is for.
    pub url: String,
    /// A private key for ssh.
    #[serde(default)]
    pub ssh_key_file: Option<PathBuf>,
    /// The host keys to trust for ssh.
    #[serde(default)]
    pub known_hosts_file: Option<PathBuf>,
    /// A file that holds a token for https.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The certificates of the authorities to trust for https.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// The service that hosts the repositories.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeSettings {
    /// github.com, or GitHub Enterprise.
    pub github: ForgeGitHub,
    /// Deliveries that wake the daemon; without it polling does.
    #[serde(default)]
    pub webhook: Option<WebhookSettings>,
}

/// github.com, or GitHub Enterprise.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ForgeGitHub {
    /// The address of its API.
    #[serde(default = "github_api")]
    pub api: String,
    /// The App that vend is; or else `token_file`.
    #[serde(default)]
    pub app: Option<AppSettings>,
    /// A file with the token of the account that vend is.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The certificates of the authorities to trust.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// How much may be said there.
    #[serde(default)]
    pub writes: github::Writes,
}

impl ForgeGitHub {
    /// As the forge takes it; `None` when nothing says who we are, which the schema refuses.
    pub fn settings(&self) -> Option<GitHubSettings> {
        let app = self
            .app
            .as_ref()
            .map(|app| github::Auth::App { id: app.id, key_file: app.private_key_file.clone() });
        let token = || self.token_file.clone().map(|file| github::Auth::Token { file });
        let auth = app.or_else(token)?;
        let (api, ca_file) = (self.api.clone(), self.ca_file.clone());
        Some(GitHubSettings { api, ca_file, writes: self.writes, ..GitHubSettings::new(auth) })
    }
}

/// A GitHub App.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AppSettings {
    /// Its number.
    pub id: u64,
    /// A file with its private key.
    pub private_key_file: PathBuf,
}

/// Deliveries that wake the daemon.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct WebhookSettings {
    /// A file with the secret that they are signed with.
    pub secret_file: PathBuf,
    /// Where they arrive.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
}

fn yes() -> bool {
    true
}

fn address<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| {
        serde::de::Error::custom("expected an address and port, such as `0.0.0.0:8080`")
    })
}

fn scraped<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map(Some).map_err(|_| {
        serde::de::Error::custom("expected an address and port, such as `0.0.0.0:9464`")
    })
}

/// What may be reached.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct NetworkSettings {
    /// Blocks of addresses that URLs from repository content may lead to although they are private.
    pub allow: Vec<String>,
}

/// Name and address in the commits that vend makes.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Author {
    /// The name.
    pub name: String,
    /// The address.
    pub email: String,
}

impl Default for Author {
    fn default() -> Self {
        Self { name: "vend".into(), email: "vend@localhost".into() }
    }
}

/// A length of time as the schema has it: a whole number and `ms`, `s`, `m`, `h` or `d`.
fn length_of_time<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SignedDuration, D::Error> {
    let text = String::deserialize(from)?;
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let millis: i64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    let all = number.parse::<i64>().ok().and_then(|n| n.checked_mul(millis)).filter(|n| *n > 0);
    all.map(SignedDuration::from_millis).ok_or_else(|| {
        let message = "expected a length of time such as `500ms`, `30s`, `15m`, `1h` or `1d`";
        serde::de::Error::custom(message)
    })
}

/// Lengths of time, the longest first.
fn lengths_of_time<'de, D: serde::Deserializer<'de>>(
    from: D,
) -> Result<Vec<SignedDuration>, D::Error> {
    #[derive(Deserialize)]
    struct Length(#[serde(deserialize_with = "length_of_time")] SignedDuration);
    let mut lengths: Vec<_> = Vec::<Length>::deserialize(from)?.into_iter().map(|l| l.0).collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    lengths.dedup();
    Ok(lengths)
}

/// An address and port; `localhost` is 127.0.0.1, whatever the host's own tables say.
fn loopback<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(from)?;
    let port = text.strip_prefix("localhost:").map(str::parse);
    let address = match port {
        Some(port) => port.ok().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().ok(),
    };
    address.map(Some).ok_or_else(|| {
        serde::de::Error::custom(
            "expected a loopback address and port up to 65535, such as `127.0.0.1:9464`",
        )
    })
}

fn main() -> String {
    "main".into()
}

fn github_api() -> String {
    github::API.into()
}

fn status_branch() -> String {
    "vend/status".into()
}

fn status_interval() -> SignedDuration {
    SignedDuration::from_secs(1)
}

fn default_source() -> SourceName {
    SourceName::new("requests")
}

fn default_pattern() -> String {
    "requests/{team}/{environment}/{name}.yaml".into()
}

impl Settings {
    /// From a value that the schema has accepted; relative paths start at `folder`. The error is a
    /// JSON pointer and a sentence.
    pub(super) fn from_value(
        value: serde_json::Value,
        folder: &Path,
    ) -> Result<Self, (String, String)> {
        let mut settings: Self = serde_path_to_error::deserialize(value).map_err(|e| {
            let pointer = e.path().iter().map(|s| format!("/{s}")).collect::<String>();
            (pointer, e.inner().to_string())
        })?;
        settings.resolve(folder);
        settings.check()?;
        Ok(settings)
    }

    /// The first setting by which something secret of this machine goes to an address that the file
    /// names as well: a token, a signature as the App, AWS credentials.
    pub fn hands_out(&self) -> Option<&'static str> {
        let has_token = |c: &CredentialSettings| c.token_file.is_some();
        let found = [
            (self.credentials.iter().any(has_token), "credentials[].tokenFile"),
            (self.forge.is_some(), "forge"),
            (self.providers.cloudformation.endpoint.is_some(), "providers.cloudformation.endpoint"),
            (self.store.postgres.is_some(), "store.postgres"),
            (self.traces.as_ref().is_some_and(|t| t.headers_file.is_some()), "traces.headersFile"),
        ];
        found.into_iter().find_map(|(is_set, setting)| is_set.then_some(setting))
    }

    fn resolve(&mut self, folder: &Path) {
        let path = |p: &mut PathBuf| *p = absolute(folder, p);
        let url = |u: &mut String| *u = absolute_url(folder, u);
        url(&mut self.catalog.repository);
        self.requests.iter_mut().for_each(|r| url(&mut r.repository));
        self.status.repository.iter_mut().for_each(url);
        self.store.sqlite.iter_mut().for_each(path);
        self.store.postgres.iter_mut().filter_map(|p| p.password_file.as_mut()).for_each(path);
        self.state_dir.iter_mut().for_each(path);
        self.server.socket.iter_mut().for_each(path);
        self.providers.files.allow.iter_mut().for_each(url);
        for credential in &mut self.credentials {
            let CredentialSettings { url: _, ssh_key_file, known_hosts_file, token_file, ca_file } =
                credential;
            let files = [ssh_key_file, known_hosts_file, token_file, ca_file];
            files.into_iter().flatten().for_each(path);
        }
        for receiver in &mut self.notifications {
            [&mut receiver.url_file, &mut receiver.secret_file]
                .into_iter()
                .flatten()
                .for_each(path);
        }
        if let Some(traces) = &mut self.traces {
            [&mut traces.headers_file, &mut traces.ca_file].into_iter().flatten().for_each(path);
        }
        if let Some(ForgeSettings { github, webhook }) = &mut self.forge {
            let ForgeGitHub { api: _, app, token_file, ca_file, writes: _ } = github;
            let key = app.as_mut().map(|app| &mut app.private_key_file);
            let secret = webhook.as_mut().map(|webhook| &mut webhook.secret_file);
            [key, token_file.as_mut(), ca_file.as_mut(), secret]
                .into_iter()
                .flatten()
                .for_each(path);
        }
    }

    fn check(&self) -> Result<(), (String, String)> {
        if self.requests.is_empty() {
            return Err(("/requests".into(), "at least one requests repository is needed".into()));
        }
        if let StoreSettings { sqlite: Some(_), postgres: Some(_) } = &self.store {
            let message = "it has `sqlite` and `postgres`: take one of them out".into();
            return Err(("/store".into(), message));
        }
        if let Some(fault) = self.server_of_store().and_then(|server| server.fault()) {
            return Err(("/store/postgres".into(), fault));
        }
        for (n, source) in self.requests.iter().enumerate() {
            if let Err(error) = catalog::Pattern::parse(&source.pattern) {
                return Err((format!("/requests/{n}/pattern"), error.to_string()));
            }
            if self.requests[..n].iter().any(|s| s.name == source.name) {
                let message = format!(
                    "two requests repositories are named `{}`: give each a name",
                    source.name
                );
                return Err((format!("/requests/{n}"), message));
            }
        }
        for (n, block) in self.network.allow.iter().enumerate() {
            if Block::parse(block).is_none() {
                let message =
                    format!("`{block}` is not a block of addresses such as `10.1.0.0/16`");
                return Err((format!("/network/allow/{n}"), message));
            }
        }
        if let Some(forge) = &self.forge
            && let Err(error) = github::check_api(&forge.github.api)
        {
            return Err(("/forge/github/api".into(), error.into()));
        }
        for (n, receiver) in self.notifications.iter().enumerate() {
            let NotificationSettings { name, url, url_file, .. } = receiver;
            // At no place, since the line that is shown there could hold an address.
            let wrong = |what: String| {
                Err(("/nowhere".into(), format!("`notifications[{n}]`, of `{name}`: {what}")))
            };
            if self.notifications[..n].iter().any(|other| other.name == *name) {
                return wrong("two receivers have that name: give each its own".into());
            }
            match (url, url_file) {
                (Some(_), Some(_)) => {
                    return wrong("it has `url` and `urlFile`: take one of them out".into());
                }
                (None, None) => return wrong("it needs `url` or `urlFile`".into()),
                (None, Some(_)) => {}
                (Some(ReceiverUrl(url)), None) => {
                    if let Err(why) = Address::parse(url.expose()) {
                        return wrong(format!("its `url`: {why}"));
                    }
                }
            }
        }
        if let Some(traces) = &self.traces
            && let Err(why) = Address::parse(&traces.endpoint)
        {
            // The line that is shown does not hold what somebody may have put into it by mistake.
            return Err(("/traces".into(), format!("its `endpoint`: {why}")));
        }
        if let Some(address) = self.server.listen.filter(|a| !a.ip().is_loopback()) {
            let message = format!(
                "`{address}` is not a loopback address: put a proxy with authentication before it"
            );
            return Err(("/server/listen".into(), message));
        }
        Ok(())
    }

    /// The repository that status files go to.
    pub fn status_repository(&self) -> &str {
        self.status.repository.as_deref().unwrap_or(&self.requests[0].repository)
    }

    /// Where the store lies when it is in PostgreSQL.
    pub fn server_of_store(&self) -> Option<Server> {
        let PostgresSettings { url, password_file, schema, connections } =
            self.store.postgres.clone()?;
        Some(Server { url, password: password_file, schema, connections })
    }

    /// The SQLite file, when there is a state folder.
    pub fn store_file(&self) -> Option<PathBuf> {
        let default = || self.state_dir.as_ref().map(|d| d.join("vend.sqlite"));
        self.store.sqlite.clone().or_else(default)
    }

    /// The daemon's socket, when there is a state folder.
    pub fn socket(&self) -> Option<PathBuf> {
        let default = || self.state_dir.as_ref().map(|d| d.join("vend.sock"));
        self.server.socket.clone().or_else(default)
    }
}

/// `path` from `folder`, without `.` parts.
fn absolute(folder: &Path, path: &Path) -> PathBuf {
    let joined = folder.join(path);
    let joined = std::path::absolute(&joined).unwrap_or(joined);
    let mut out = PathBuf::new();
    for part in joined.components() {
        match part {
            std::path::Component::ParentDir => {
                out.pop();
            }
            part => out.push(part),
        }
    }
    out
}

/// A repository that is a relative or absolute path becomes an absolute path; URLs stay.
fn absolute_url(folder: &Path, url: &str) -> String {
    let is_path = url.starts_with('/')
        || url.starts_with("./")
        || url.starts_with("../")
        || [".", ".."].contains(&url);
    if is_path { absolute(folder, Path::new(url)).display().to_string() } else { url.to_owned() }
}
