//! Pull requests as Git has them: their heads fetched beside the branch, and merged in memory.

use std::collections::BTreeSet;

use git2::MergeOptions;

use super::error::{GitError, git2 as git2_error, object};
use super::mirror::{Mirror, revision};
use super::path::escape;
use super::read::commit;
use crate::model::Revision;

/// What merging two commits comes to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Merged {
    /// A commit of ours with both as its parents, reachable from nothing: the same two give the same
    /// one.
    Clean(Revision),
    /// Paths that cannot be merged, sorted.
    Conflict(Vec<String>),
}

impl Mirror {
    /// Fetches the heads of pull requests, all in one go.
    ///
    /// # Errors
    /// As [`Mirror::fetch`]; `Missing` when one of them is gone, and then none is fetched.
    pub async fn fetch_pulls(&self, numbers: &[u64]) -> Result<(), GitError> {
        if numbers.is_empty() {
            return Ok(());
        }
        let specs: Vec<String> =
            numbers.iter().map(|n| format!("+refs/pull/{n}/head:{}", ours(*n))).collect();
        // The branch that is followed has no part in it.
        let what = match numbers {
            [one] => format!("the head of pull request {one}"),
            many => format!("the heads of {} pull requests", many.len()),
        };
        self.fetch_specs(&specs).await.map_err(|error| error.about(what))
    }

    /// The head of a pull request as it was fetched last.
    ///
    /// # Errors
    /// `Corrupt` when the ref or its commit cannot be read.
    pub fn pull_head(&self, number: u64) -> Result<Option<Revision>, GitError> {
        self.branch_tip(&ours(number))
    }

    /// Fetches another branch, as of a merge queue, and keeps its tip; whether that is `head`.
    ///
    /// # Errors
    /// As [`Mirror::fetch`], but for a branch that is not there.
    pub async fn fetch_queued(&self, branch: &str, head: &Revision) -> Result<bool, GitError> {
        let (theirs, ours) = (format!("refs/heads/{branch}"), queued(head));
        if !git2::Reference::is_valid_name(&theirs) || !git2::Reference::is_valid_name(&ours) {
            return Ok(false);
        }
        if self.branch_tip(&ours)?.as_ref() == Some(head) {
            return Ok(true);
        }
        let fetched = self.fetch_specs(&[format!("+{theirs}:{ours}")]).await;
        match fetched.map_err(|error| error.about(format!("the branch `{branch}`"))) {
            Err(GitError::Missing { .. }) => return Ok(false),
            other => other?,
        }
        Ok(self.branch_tip(&ours)?.as_ref() == Some(head))
    }

    /// Drops what was fetched of merge queues but these.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn keep_queued(&self, heads: &BTreeSet<&Revision>) -> Result<(), GitError> {
        let kept: BTreeSet<String> = heads.iter().map(|head| queued(head)).collect();
        self.with(|repository| {
            let doing = || git2_error("dropping a ref");
            for found in repository.references_glob("refs/vend/queue/*").map_err(doing())? {
                let mut found = found.map_err(doing())?;
                if !found.name().is_ok_and(|name| kept.contains(name)) {
                    found.delete().map_err(doing())?;
                }
            }
            Ok(())
        })
    }

    /// Drops the ref of a pull request that is over.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn forget_pull(&self, number: u64) -> Result<(), GitError> {
        self.with(|repository| match repository.find_reference(&ours(number)) {
            Ok(mut found) => found.delete().map_err(git2_error("dropping a ref")),
            Err(_) => Ok(()),
        })
    }

    /// Merges `head` into `base` without touching either.
    ///
    /// # Errors
    /// `Missing` when one of them is not here.
    pub fn merge(&self, base: &Revision, head: &Revision) -> Result<Merged, GitError> {
        self.with(|repository| {
            let doing = || git2_error("merging in memory");
            let (ours, theirs) = (commit(repository, base)?, commit(repository, head)?);
            let forward = repository.merge_base(ours.id(), theirs.id()).ok() == Some(ours.id());
            let tree = if forward {
                theirs.tree().map_err(object(theirs.id()))?
            } else {
                let options = MergeOptions::new();
                let merged = repository.merge_commits(&ours, &theirs, Some(&options));
                let mut index = merged.map_err(doing())?;
                if index.has_conflicts() {
                    return Ok(Merged::Conflict(conflicts(&index)));
                }
                let tree = index.write_tree_to(repository).map_err(doing())?;
                repository.find_tree(tree).map_err(object(tree))?
            };
            // Its moment is the head's, so that it is the same commit whenever it is made.
            let who = git2::Signature::new("vend", "vend@localhost", &theirs.time());
            let who = who.map_err(doing())?;
            let message = format!("{head} into {base}, in memory\n");
            let made = repository.commit(None, &who, &who, &message, &tree, &[&ours, &theirs]);
            Ok(Merged::Clean(revision(made.map_err(doing())?)))
        })
    }
}

fn ours(number: u64) -> String {
    format!("refs/vend/pull/{number}")
}

fn queued(head: &Revision) -> String {
    format!("refs/vend/queue/{head}")
}

fn conflicts(index: &git2::Index) -> Vec<String> {
    let mut paths: Vec<String> = index
        .conflicts()
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|conflict| conflict.our.or(conflict.their).or(conflict.ancestor))
        .map(|entry| escape(&entry.path))
        .collect();
    paths.sort();
    paths.dedup();
    paths
}
