//! GitHub, and GitHub Enterprise, as an App or with a person's token.
//!
//! # Flow
//! `wire` sends one request with octocrab. `call` puts manners around it: gates for limits, ETags,
//! retries of reads, one look before a write is repeated. The rest says what is asked and what is said.
//!
//! # Guarantees
//! - A write is sent once. When its end was not seen, what it should have made is looked for; it is
//!   repeated once if that is not there, and is [`ForgeError::Unknown`] after that.
//! - After a limit nothing of that kind is asked until it is over; nothing sleeps for it in here.
//! - Tokens and keys are in no log, no error and no address.
//!
//! # Assumptions
//! Whoever calls says one thing at a time: two calls at once with the same marker could both find
//! nothing and say it twice. What GitHub has not carried out a little after the deadline of a call, it
//! never will.

mod auth;
mod cache;
mod call;
mod check;
mod comment;
mod issue;
mod manners;
mod ours;
mod people;
mod pull;
mod review;
mod wire;

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use octocrab::Octocrab;
use serde::Deserialize;

use super::{
    Check, CommitStatus, Forge, ForgeError, Issue, Me, OwnIssue, Permission, Proposal, Proposed,
    Pushed, Queued, Raised, Reaction, Repo, Saying, Secret, Stood, Suggestion,
};
use crate::model::{Pull, Remarked, Revision, Verdict};
use auth::{Account, Identity, Keys};
use cache::Cache;
use manners::Gate;
use wire::Api;

pub(super) use pull::revision;

/// The API of github.com.
pub const API: &str = "https://api.github.com";

/// Whether an address can be an API's.
///
/// # Errors
/// A sentence: it is none, or one over which a token would travel in the clear.
pub fn check_api(address: &str) -> Result<(), &'static str> {
    Api::parse(address, None).map(|_| ())
}

/// Who tells the time.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Where GitHub is, and who we are there.
#[derive(Clone, Debug)]
pub struct GitHubSettings {
    /// The API's address: [`API`], or `https://HOST/api/v3` for Enterprise. It is the operator's, so it
    /// may lie on an inner network; it is `https` unless it is this very machine.
    pub api: String,
    /// Certificates of the authorities to believe, in PEM; without it the system's.
    pub ca_file: Option<PathBuf>,
    /// Who we are.
    pub auth: Auth,
    /// The longest that one call may take.
    pub deadline: Duration,
    /// Before a read is tried again, and before a lost write is looked for; doubled each time.
    pub pause: Duration,
    /// How much may be said.
    pub writes: Writes,
}

/// Calls that say something, for each account. GitHub allows 80 a minute and 500 an hour, to all that an account is; an Enterprise
/// server what its administrators say.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub struct Writes {
    /// Of a minute; after a pause all of them at once.
    pub per_minute: NonZeroU32,
    /// Of an hour.
    pub per_hour: NonZeroU32,
}

impl Default for Writes {
    /// Half of what GitHub allows, which others share.
    fn default() -> Self {
        let some = |number| NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN);
        Self { per_minute: some(40), per_hour: some(250) }
    }
}

impl GitHubSettings {
    /// github.com, 30 seconds, a quarter of a second.
    pub fn new(auth: Auth) -> Self {
        Self {
            api: API.to_owned(),
            ca_file: None,
            auth,
            deadline: Duration::from_secs(30),
            pause: Duration::from_millis(250),
            writes: Writes::default(),
        }
    }
}

/// Who we are on GitHub.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Auth {
    /// An App, where it is installed.
    App {
        /// Its number.
        id: u64,
        /// Its private key, in PEM; read once.
        key_file: PathBuf,
    },
    /// A person, or a machine that has an account.
    Token {
        /// One line; read anew at each use.
        file: PathBuf,
    },
}

/// GitHub.
pub struct GitHub {
    api: Api,
    identity: Identity,
    deadline: Duration,
    pause: Duration,
    writes: Writes,
    clock: Clock,
    /// Opened by the first call, in the runtime that it runs in.
    client: OnceLock<Octocrab>,
    keys: Keys,
    cache: Mutex<Cache>,
    gates: Mutex<HashMap<Account, Gate>>,
    /// Until when it is believed, and with which token it was asked.
    me: Mutex<Option<(Timestamp, Option<Secret>, Me)>>,
}

impl std::fmt::Debug for GitHub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitHub").field("api", &self.api).finish_non_exhaustive()
    }
}

impl GitHub {
    /// Reads the App's key; asks nobody anything yet.
    ///
    /// # Errors
    /// `Settings`: an address that is none, a key that cannot be read.
    pub fn new(settings: GitHubSettings, clock: Clock) -> Result<Self, ForgeError> {
        let GitHubSettings { api, ca_file, auth, deadline, pause, writes } = settings;
        Ok(Self {
            api: Api::parse(&api, ca_file)
                .map_err(|why| ForgeError::Settings { text: why.to_owned() })?,
            identity: Identity::open(auth)?,
            deadline,
            pause,
            writes,
            clock,
            client: OnceLock::new(),
            keys: Keys::default(),
            cache: Mutex::default(),
            gates: Mutex::default(),
            me: Mutex::default(),
        })
    }

    fn now(&self) -> Timestamp {
        (self.clock)()
    }
}

/// Nothing under our locks can be left half done.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl Forge for GitHub {
    async fn me(&self) -> Result<Me, ForgeError> {
        Ok(self.who_we_are().await?)
    }

    async fn pulls(&self, repo: &Repo, since: Timestamp) -> Result<Vec<Pull>, ForgeError> {
        Ok(self.list_pulls(repo, since).await?)
    }

    async fn pull(&self, repo: &Repo, number: u64) -> Result<Pull, ForgeError> {
        Ok(self.one_pull(repo, number).await?)
    }

    async fn pulls_of(&self, repo: &Repo, commit: &Revision) -> Result<Vec<Pull>, ForgeError> {
        Ok(self.merged_with(repo, commit).await?)
    }

    async fn queued(&self, repo: &Repo, branch: &str) -> Result<Vec<Queued>, ForgeError> {
        Ok(self.queue_of(repo, branch).await?)
    }

    async fn verdicts(&self, repo: &Repo, number: u64) -> Result<Vec<Verdict>, ForgeError> {
        Ok(self.reviews(repo, number).await?)
    }

    async fn pushed(&self, repo: &Repo, number: u64) -> Result<Vec<Pushed>, ForgeError> {
        Ok(self.commits_of(repo, number).await?)
    }

    async fn remarks(
        &self,
        repo: &Repo,
        number: u64,
        since: Option<Timestamp>,
    ) -> Result<Vec<Remarked>, ForgeError> {
        Ok(self.comments(repo, number, since).await?)
    }

    async fn say(&self, repo: &Repo, number: u64, saying: &Saying) -> Result<Stood, ForgeError> {
        Ok(self.bring_comment(repo, number, saying).await?)
    }

    async fn check(
        &self,
        repo: &Repo,
        check: &Check,
        id: Option<u64>,
    ) -> Result<Stood, ForgeError> {
        if self.may_check(repo).await? {
            Ok(self.bring_check(repo, check, id).await?)
        } else {
            Ok(self.bring_status(repo, &check::as_status(check)).await?)
        }
    }

    async fn status(&self, repo: &Repo, status: &CommitStatus) -> Result<(), ForgeError> {
        self.bring_status(repo, status).await?;
        Ok(())
    }

    async fn suggest(
        &self,
        repo: &Repo,
        number: u64,
        commit: &Revision,
        suggestions: &[Suggestion],
    ) -> Result<(), ForgeError> {
        Ok(self.bring_suggestions(repo, number, commit, suggestions).await?)
    }

    async fn react(&self, repo: &Repo, comment: u64, with: Reaction) -> Result<(), ForgeError> {
        Ok(self.add_reaction(repo, comment, with).await?)
    }

    async fn permission(&self, repo: &Repo, user: &str) -> Result<Permission, ForgeError> {
        Ok(self.permission_of(repo, user).await?)
    }

    async fn teams_of(
        &self,
        repo: &Repo,
        user: &str,
        teams: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ForgeError> {
        Ok(self.memberships(repo, user, teams).await?)
    }

    async fn proposed(
        &self,
        repo: &Repo,
        branch: &str,
        marker: &str,
    ) -> Result<Vec<Proposed>, ForgeError> {
        Ok(self.our_pulls(repo, branch, marker).await?)
    }

    async fn propose(&self, repo: &Repo, proposal: &Proposal) -> Result<Proposed, ForgeError> {
        Ok(self.bring_pull(repo, proposal).await?)
    }

    async fn withdraw(&self, repo: &Repo, number: u64) -> Result<(), ForgeError> {
        Ok(self.close_pull(repo, number).await?)
    }

    async fn issues(&self, repo: &Repo, since: Timestamp) -> Result<Vec<OwnIssue>, ForgeError> {
        Ok(self.own_issues(repo, since).await?)
    }

    async fn raise(
        &self,
        repo: &Repo,
        issue: &Issue,
        there: &[OwnIssue],
    ) -> Result<Raised, ForgeError> {
        Ok(self.bring_issue(repo, issue, there).await?)
    }

    async fn settle(&self, repo: &Repo, number: u64) -> Result<(), ForgeError> {
        Ok(self.close_issue(repo, number).await?)
    }

    async fn git_token(&self, repo: &Repo) -> Result<Option<String>, ForgeError> {
        let token = self.token_for_git(repo).await?;
        Ok(Some(token.expose().to_owned()))
    }
}
