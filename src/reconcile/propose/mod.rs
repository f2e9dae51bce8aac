//! Changes of files that vend proposes, and whose merging people decide.
//!
//! # Flow
//! Whoever wants a change of files says which, on which commit. `bring` makes that commit in our mirror,
//! moves a branch `vend/<kind>/<name>` to it, and brings one pull request of that branch to what it
//! should say. It is level-triggered: again changes nothing, and asks the forge once.
//!
//! # Guarantees
//! - Nothing is checked out. A branch moves by compare-and-swap from what was seen.
//! - One pull request for each branch: it is found by its branch, its author and its signed marker
//!   before it is made, also after an answer that was lost.
//! - Hands off: a branch whose tip is no commit of ours is a person's, and is neither moved nor closed.
//! - No is no: one that somebody closed is not opened again, nor one that was merged and taken back.
//!   Whoever has something else to propose takes another name.
//!
//! # Assumptions
//! Whoever calls does one proposal of a name at a time, and keeps [`Known`] durably before
//! anything is pushed.

mod decide;

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use self::decide::{Next, decide};
use crate::fault::planted;
use crate::forge::{Fate, Forge, ForgeError, Proposal, Proposed, Repo, marker};
use crate::git::{Blob, Edit, GitError, Kind, Mirror};
use crate::model::Revision;

/// What is proposed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Change {
    /// What kind of change it is, such as `upgrade`.
    pub kind: &'static str,
    /// Unlike any other of its kind, in characters of a branch's name.
    pub name: String,
    /// The files.
    pub edits: Vec<Edit>,
    /// Of the commit.
    pub message: String,
    /// One line.
    pub title: String,
    /// Markdown, without a marker.
    pub body: String,
    /// Labels of the pull request.
    pub labels: Vec<String>,
}

impl Change {
    /// The branch that it lies on.
    pub fn branch(&self) -> String {
        branch(self.kind, &self.name)
    }
}

/// The branch of a proposal of that kind and name.
pub fn branch(kind: &str, name: &str) -> String {
    format!("vend/{kind}/{name}")
}

/// Where it goes.
pub struct Desk<'a> {
    /// Our mirror of the repository.
    pub mirror: &'a Mirror,
    /// The forge and the repository there; without one a branch is all there is.
    pub forge: Option<(&'a dyn Forge, &'a Repo)>,
    /// What markers are signed with.
    pub key: &'a [u8; 32],
    /// The branch that it would be merged into.
    pub base_branch: &'a str,
    /// The commit of that branch that the change was made for.
    pub base: &'a Revision,
}

/// What we have done on one branch.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Known {
    /// The last commits that were pushed, or are about to be; the oldest first.
    pub commits: Vec<Revision>,
    /// Pull requests that were closed by ourselves, or are about to be: nobody has said no to those.
    #[serde(default)]
    pub withdrawn: BTreeSet<u64>,
}

/// Of one branch no more are remembered: a push of ours that is older than so many others is not the tip.
const REMEMBERED: usize = 20;

/// Larger files than that are none of ours.
const REDONE_BYTES: u64 = 1024 * 1024;

impl Known {
    fn has(&self, tip: &Revision) -> bool {
        planted!("commit-of-theirs-lost") || self.commits.contains(tip)
    }

    /// With a commit that is about to be pushed.
    #[must_use]
    fn and(&self, commit: &Revision) -> Self {
        let others = self.commits.iter().filter(|known| *known != commit);
        let mut commits: Vec<Revision> = others.cloned().collect();
        commits.push(commit.clone());
        let from = commits.len().saturating_sub(REMEMBERED);
        Self { commits: commits.split_off(from), withdrawn: self.withdrawn.clone() }
    }
}

/// What became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It stands as it should: the commit, and the pull request where there is a forge.
    Stands(Revision, Option<Proposed>),
    /// The base has it all, or had it.
    Nothing,
    /// Somebody else pushed to its branch.
    HandsOff(Option<Proposed>),
    /// Somebody closed it.
    Declined(Proposed),
}

/// Why it could not be brought about now.
#[derive(Debug, thiserror::Error)]
pub enum ProposeError {
    /// The repository.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// What was to be kept before a push was not.
    #[error("what is about to be done could not be noted")]
    Kept(#[source] super::PassError),
}

/// Brings a change before people, or finds that it is.
///
/// # Errors
/// When the repository or the forge cannot be asked now, or refuses. What was done stays done, and
/// is found the next time.
pub async fn bring<K>(
    desk: &Desk<'_>,
    change: &Change,
    known: &Known,
    at: Timestamp,
    keep: K,
) -> Result<Outcome, ProposeError>
where
    K: AsyncFnOnce(Known) -> Result<(), super::PassError>,
{
    let branch = change.branch();
    let made = desk.mirror.commit(Some(desk.base), &change.edits, &change.message, at)?;
    let Some(made) = made else { return Ok(Outcome::Nothing) };
    let marker = desk.marker(&branch);
    let mut pulls = desk.pulls(&branch, &marker).await?;
    let ended = pulls.iter().filter(|pull| pull.fate != Fate::Open);
    let ended = ended.map(|pull| pull.number).collect();
    pulls.retain(|pull| pull.fate != Fate::Closed || !known.withdrawn.contains(&pull.number));
    let tip = desk.mirror.fetch_own(&branch).await?;
    let is_same = match &tip {
        Some(tip) => desk.is_same(tip, &made)?,
        None => false,
    };
    let theirs = pulls.iter().find(|pull| !pull.ours && pull.fate == Fate::Open).cloned();
    if theirs.is_some() {
        // Somebody opened one of that branch by hand.
        return Ok(Outcome::HandsOff(theirs));
    }
    pulls.retain(|pull| pull.ours);
    if let Some(newest) = pulls.first()
        && newest.fate == Fate::Merged
        && desk.is_same(&newest.head, &made).unwrap_or(false)
    {
        // It was merged a moment ago, and the base that we know is older; or somebody took it back.
        return Ok(Outcome::Nothing);
    }
    let seen = decide::Seen {
        newest: pulls.first().map(|pull| pull.fate),
        tip: tip.as_ref().map(|tip| (known.has(tip), is_same)),
    };
    let newest = pulls.into_iter().next();
    let commit = match (decide(&seen), newest, tip) {
        (Next::Declined, Some(pull), _) => return Ok(Outcome::Declined(pull)),
        (Next::HandsOff, newest, _) => {
            return Ok(Outcome::HandsOff(newest.filter(|pull| pull.fate == Fate::Open)));
        }
        (Next::Leave, _, Some(tip)) => tip,
        (Next::Push | Next::Leave | Next::Declined, _, tip) => {
            keep(known.and(&made)).await.map_err(ProposeError::Kept)?;
            desk.mirror.push_own(&branch, Some(&made), tip.as_ref()).await?;
            made
        }
    };
    let Some((forge, repo)) = desk.forge else { return Ok(Outcome::Stands(commit, None)) };
    let proposal = Proposal {
        branch,
        base: desk.base_branch.to_owned(),
        title: change.title.clone(),
        body: format!("{marker}\n{}", change.body),
        marker,
        labels: change.labels.clone(),
        ended,
    };
    let pull = forge.propose(repo, &proposal).await?;
    Ok(match pull.fate {
        Fate::Open => Outcome::Stands(commit, Some(pull)),
        // Somebody was faster than we.
        Fate::Closed => Outcome::Declined(pull),
        Fate::Merged => Outcome::Nothing,
    })
}

/// What can be known of a branch by whoever keeps nothing: its tip is ours where our own open pull request is
/// of that branch, and the tip is one commit on the base's history in which each file is what `redo` makes of
/// the one before, by its path. So nobody's work is taken for ours, whatever account pushed it.
///
/// # Errors
/// As [`bring`].
pub async fn recognise(
    desk: &Desk<'_>,
    branch: &str,
    redo: &dyn Fn(&str, &str) -> Option<String>,
) -> Result<Known, ProposeError> {
    let Some(tip) = desk.mirror.fetch_own(branch).await? else { return Ok(Known::default()) };
    let pulls = desk.pulls(branch, &desk.marker(branch)).await?;
    let is_ours = pulls.iter().any(|pull| pull.ours && pull.fate == Fate::Open);
    let known = is_ours && desk.is_redone(&tip, redo)?;
    Ok(Known { commits: known.then_some(tip).into_iter().collect(), ..Known::default() })
}

/// Takes a change back that is not wanted any more: closes its pull request and removes its branch, unless
/// somebody else pushed to it. Whether it is gone.
///
/// # Errors
/// As [`bring`].
pub async fn withdraw<K>(
    desk: &Desk<'_>,
    branch: &str,
    known: &Known,
    keep: K,
) -> Result<bool, ProposeError>
where
    K: AsyncFnOnce(Known) -> Result<(), super::PassError>,
{
    let tip = desk.mirror.fetch_own(branch).await?;
    if tip.as_ref().is_some_and(|tip| !known.has(tip)) {
        return Ok(false);
    }
    if let Some((forge, repo)) = desk.forge {
        let mut open = desk.pulls(branch, &desk.marker(branch)).await?;
        open.retain(|pull| pull.ours && pull.fate == Fate::Open);
        if !open.is_empty() {
            let mut known = known.clone();
            known.withdrawn.extend(open.iter().map(|pull| pull.number));
            keep(known).await.map_err(ProposeError::Kept)?;
        }
        for pull in open {
            forge.withdraw(repo, pull.number).await?;
        }
    }
    if let Some(tip) = tip {
        desk.mirror.push_own(branch, None, Some(&tip)).await?;
    }
    Ok(true)
}

impl Desk<'_> {
    /// Signed for the branch: a pull request has no number before it is made.
    fn marker(&self, branch: &str) -> String {
        let nowhere = Repo { owner: String::new(), name: String::new() };
        let repo = self.forge.map_or(&nowhere, |(_, repo)| repo);
        marker(self.key, &format!("propose {branch}"), repo, 0)
    }

    async fn pulls(&self, branch: &str, marker: &str) -> Result<Vec<Proposed>, ProposeError> {
        let Some((forge, repo)) = self.forge else { return Ok(Vec::new()) };
        Ok(forge.proposed(repo, branch, marker).await?)
    }

    /// Whether a commit does to files of a commit of the base what `redo` does, and nothing else.
    fn is_redone(
        &self,
        tip: &Revision,
        redo: &dyn Fn(&str, &str) -> Option<String>,
    ) -> Result<bool, GitError> {
        let mirror = self.mirror;
        let Some(from) = mirror.first_parent(tip)? else { return Ok(false) };
        if !mirror.is_ancestor(&from, self.base)? {
            return Ok(false);
        }
        let text = |id| -> Result<Option<String>, GitError> {
            Ok(match mirror.blob(id, REDONE_BYTES)? {
                Blob::Bytes(bytes) => String::from_utf8(bytes).ok(),
                Blob::TooLarge(_) => None,
            })
        };
        for delta in mirror.diff(mirror.tree(&from, "")?, mirror.tree(tip, "")?)? {
            let (Some((Kind::File, old)), Some((Kind::File, new))) = (delta.old, delta.new) else {
                return Ok(false);
            };
            let (Some(before), Some(after)) = (text(old)?, text(new)?) else { return Ok(false) };
            if redo(&delta.path, &before) != Some(after) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether what is pushed changes the same files from the same to the same: it need not be made
    /// anew whenever its base moves elsewhere, since that would throw away what people have said of it.
    fn is_same(&self, tip: &Revision, made: &Revision) -> Result<bool, GitError> {
        if tip == made {
            return Ok(true);
        }
        let mirror = self.mirror;
        let Some(from) = mirror.first_parent(tip)? else { return Ok(false) };
        let changes = |from: &Revision, to: &Revision| {
            mirror.diff(mirror.tree(from, "")?, mirror.tree(to, "")?)
        };
        Ok(mirror.is_ancestor(&from, self.base)?
            && changes(&from, tip)? == changes(self.base, made)?)
    }
}
