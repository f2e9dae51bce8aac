//! Where pull requests live: GitHub first.
//!
//! # Flow
//! A forge never decides: it is asked what is there, and told what to say. What it is told is level:
//! `say` and `check` bring a comment and a check to what they should be, whatever they are now.
//!
//! # Guarantees
//! - A write whose answer was lost is looked for by its marker or external id before it is made again:
//!   nothing is said twice.
//! - Reads are tried again; writes are not.
//! - A forge that cannot be asked is [`ForgeError::Unavailable`]: never "no pull requests", never
//!   "nobody approved".

pub mod command;
mod error;
mod git;
pub mod github;
mod marker;
mod proposal;
mod repo;
mod secret;
pub mod webhook;

use std::collections::BTreeSet;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use crate::model::Secret;
use crate::model::{Pull, Remarked, Revision, Verdict};

pub use error::ForgeError;
pub use git::tokens;
pub use marker::{is_ours, marker};
pub use proposal::{Fate, Proposal, Proposed};

/// A repository on a forge.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Repo {
    /// The user or organisation.
    pub owner: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for Repo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// One forge. Cheap to share; each method may be called at the same time as any other.
#[async_trait]
pub trait Forge: Send + Sync {
    /// Who we are there.
    async fn me(&self) -> Result<Me, ForgeError>;

    /// The pull requests that are open, and those of the others about which anything changed at `since`
    /// or later.
    async fn pulls(&self, repo: &Repo, since: Timestamp) -> Result<Vec<Pull>, ForgeError>;

    /// One of them; `Gone` when it was deleted.
    async fn pull(&self, repo: &Repo, number: u64) -> Result<Pull, ForgeError>;

    /// The merged pull requests that a commit came with; none when it was pushed directly.
    async fn pulls_of(&self, repo: &Repo, commit: &Revision) -> Result<Vec<Pull>, ForgeError>;

    /// The groups in the merge queue of a branch.
    async fn queued(&self, repo: &Repo, branch: &str) -> Result<Vec<Queued>, ForgeError>;

    /// What people said of it, the oldest first.
    async fn verdicts(&self, repo: &Repo, number: u64) -> Result<Vec<Verdict>, ForgeError>;

    /// Its commits, the oldest first, with whom the forge takes for their authors and committers.
    async fn pushed(&self, repo: &Repo, number: u64) -> Result<Vec<Pushed>, ForgeError>;

    /// What was written below it, the oldest first; with `since`, what changed at it or later.
    async fn remarks(
        &self,
        repo: &Repo,
        number: u64,
        since: Option<Timestamp>,
    ) -> Result<Vec<Remarked>, ForgeError>;

    /// Brings our one comment to `body`, which holds `marker`: the comment `id` if it is there, else
    /// the one of ours with the marker, else a new one.
    async fn say(&self, repo: &Repo, number: u64, saying: &Saying) -> Result<Stood, ForgeError>;

    /// Brings the check of that name and external id on its commit to what it should be; the same
    /// care as [`Self::say`].
    async fn check(&self, repo: &Repo, check: &Check, id: Option<u64>)
    -> Result<Stood, ForgeError>;

    /// Sets a commit status.
    async fn status(&self, repo: &Repo, status: &CommitStatus) -> Result<(), ForgeError>;

    /// Suggests changes on the lines of a commit, in one review; those whose marker stands there
    /// already are left out.
    async fn suggest(
        &self,
        repo: &Repo,
        number: u64,
        commit: &Revision,
        suggestions: &[Suggestion],
    ) -> Result<(), ForgeError>;

    /// Answers a comment with a reaction; again changes nothing.
    async fn react(&self, repo: &Repo, comment: u64, with: Reaction) -> Result<(), ForgeError>;

    /// What somebody may do in a repository.
    async fn permission(&self, repo: &Repo, user: &str) -> Result<Permission, ForgeError>;

    /// Those of `teams` (by slug, of the repository's organisation) that somebody is in.
    async fn teams_of(
        &self,
        repo: &Repo,
        user: &str,
        teams: &BTreeSet<String>,
    ) -> Result<BTreeSet<String>, ForgeError>;

    /// The pull requests of a branch of the repository's own, the newest first, open or not; ours are
    /// those of our own account whose bodies hold this marker.
    async fn proposed(
        &self,
        repo: &Repo,
        branch: &str,
        marker: &str,
    ) -> Result<Vec<Proposed>, ForgeError>;

    /// Brings the open pull request of ours of that branch to what it should be, or opens one: found
    /// by its marker before it is made, also after an answer that was lost. One that somebody ended
    /// meanwhile is given back as it is.
    async fn propose(&self, repo: &Repo, proposal: &Proposal) -> Result<Proposed, ForgeError>;

    /// Closes one of ours; again changes nothing.
    async fn withdraw(&self, repo: &Repo, number: u64) -> Result<(), ForgeError>;

    /// The issues of ours that changed since, open or not.
    async fn issues(&self, repo: &Repo, since: Timestamp) -> Result<Vec<OwnIssue>, ForgeError>;

    /// Opens an issue, unless one with its marker is among those of ours that are `there`. It is looked for
    /// only after an answer that was lost.
    async fn raise(
        &self,
        repo: &Repo,
        issue: &Issue,
        there: &[OwnIssue],
    ) -> Result<Raised, ForgeError>;

    /// Closes an issue of ours; again changes nothing.
    async fn settle(&self, repo: &Repo, number: u64) -> Result<(), ForgeError>;

    /// A token that opens the repository over https for a while; `None` when git has its own ways.
    async fn git_token(&self, repo: &Repo) -> Result<Option<String>, ForgeError>;
}

/// Who we are on a forge.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Me {
    /// The handle under which our comments stand, such as `vend[bot]`.
    pub login: String,
    /// Check runs may be written; else commit statuses are all there is.
    pub checks: bool,
}

/// A commit of a pull request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pushed {
    /// The commit.
    pub commit: Revision,
    /// The handles of who made it, as far as its mail addresses are known: anybody can write them.
    pub by: BTreeSet<String>,
    /// Their accounts.
    pub ids: BTreeSet<u64>,
    /// What it stands on.
    pub parents: Vec<Revision>,
}

/// Pull requests in a merge queue that are tried together.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Queued {
    /// The branch that holds them all, merged.
    pub branch: String,
    /// Its commit, on which checks are awaited.
    pub head: Revision,
    /// The last of them, where the branch's name tells.
    pub number: Option<u64>,
}

/// Something of ours that stands there now as it should.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stood {
    /// The forge's id.
    pub id: u64,
    /// It was not there, or not so.
    pub wrote: bool,
}

/// Our one comment on a pull request.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Saying {
    /// The comment, when it is known.
    pub id: Option<u64>,
    /// What makes it ours; stands in `body`.
    pub marker: String,
    /// Markdown.
    pub body: String,
}

/// What people are to be told where there is no pull request to say it on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Issue {
    /// What makes it ours and unlike any other; stands in `body`.
    pub marker: String,
    /// One line of plain text.
    pub title: String,
    /// Markdown.
    pub body: String,
    /// It was not opened before: so far back it is looked for.
    pub since: Timestamp,
}

/// An issue of ours, as it was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OwnIssue {
    /// Its number.
    pub number: u64,
    /// Markdown.
    pub body: String,
}

/// An issue of ours that is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Raised {
    /// Its number.
    pub number: u64,
    /// It says what it was to say: an older one is not edited.
    pub says: bool,
}

/// A check on a commit.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Check {
    /// Such as `vend`: what branch protection names.
    pub name: String,
    /// The commit.
    pub head: Revision,
    /// What it is found by.
    pub external_id: String,
    /// How it stands.
    pub state: CheckState,
    /// One line.
    pub title: String,
    /// Markdown.
    pub summary: String,
    /// Markdown; may be empty.
    pub text: String,
    /// Every one; the forge cuts them into batches.
    pub annotations: Vec<Annotation>,
}

/// How a check stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum CheckState {
    /// Not begun.
    Queued,
    /// Under way.
    Running,
    /// All is well.
    Success,
    /// It is not.
    Failure,
    /// Neither; it does not stand in the way.
    Neutral,
    /// A person has to do something.
    ActionRequired,
}

/// A remark on lines of a file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Annotation {
    /// The file.
    pub path: String,
    /// First line, from 1.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
    /// First column, from 1; only where both lines are the same.
    pub column: Option<u32>,
    /// Last column, inclusive.
    pub end_column: Option<u32>,
    /// How bad it is.
    pub level: Level,
    /// One line.
    pub title: String,
    /// Plain text.
    pub message: String,
}

/// How bad what is annotated is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub enum Level {
    /// For information.
    Notice,
    /// Somebody should look.
    Warning,
    /// It does not pass.
    Failure,
}

/// A commit status, for where checks cannot be written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CommitStatus {
    /// The commit.
    pub commit: Revision,
    /// Its name, such as `vend`.
    pub context: String,
    /// How it stands.
    pub state: CheckState,
    /// One line of plain text; cut where the forge has less room.
    pub description: String,
}

/// A change to lines of a file that is surely right.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suggestion {
    /// What makes it ours and unlike any other; stands in `body`.
    pub marker: String,
    /// The file.
    pub path: String,
    /// First line, from 1.
    pub line: u32,
    /// Last line.
    pub end_line: u32,
    /// Markdown with a suggestion block.
    pub body: String,
}

/// An answer without words.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reaction {
    /// Seen, and being done.
    Eyes,
    /// Done.
    ThumbsUp,
    /// Not allowed.
    ThumbsDown,
    /// Not understood.
    Confused,
}

/// What somebody may do in a repository, the least first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Permission {
    /// Nothing, or nothing that is known.
    None,
    /// Look.
    Read,
    /// Sort issues.
    Triage,
    /// Push.
    Write,
    /// Manage without what is dangerous.
    Maintain,
    /// Everything.
    Admin,
}
