//! What a working copy changes: against the commit at which it left the source's branch.

use std::collections::{BTreeMap, BTreeSet};

use super::super::PassError;
use super::super::observe::last_words;
use super::place::same_repository;
use super::requests::{LocalRequests, below};
use crate::catalog::{PathIs, Pattern};
use crate::git::{GitError, Mirror, WorkingCopy};
use crate::model::{RequestId, Revision};
use crate::plan::Gone;

/// What differs.
pub enum Differs {
    /// These requests, whether their files are new, changed or gone.
    Since(Changed),
    /// It cannot be told; for people, after "since".
    Unknown(String),
}

/// The difference from a commit.
pub struct Changed {
    /// The merge base with the source's branch.
    pub base: Revision,
    /// Whose files differ.
    pub ids: BTreeSet<RequestId>,
}

impl LocalRequests {
    /// What differs between the merge base with the source's branch and the files on the disk.
    ///
    /// # Errors
    /// When the clone's objects cannot be read: that is not the same as "nothing differs".
    pub fn differs(&self, limit: usize) -> Result<Differs, PassError> {
        let fail = |error| PassError::Source { name: self.source.name.clone(), source: error };
        let base = match self.base() {
            Ok(Ok(base)) => base,
            Ok(Err(why)) => return Ok(Differs::Unknown(why)),
            Err(error) => return Err(fail(error)),
        };
        let (mirror, base) = base;
        let pattern = Pattern::parse(&self.source.pattern).map_err(|e| PassError::Pattern {
            name: self.source.name.clone(),
            message: e.to_string(),
        })?;
        let mut before: BTreeMap<RequestId, _> = BTreeMap::new();
        let folder = self.folder();
        if let Some(tree) = mirror.tree(&base, &folder).map_err(fail)? {
            for entry in mirror.entries(tree, limit).map_err(fail)? {
                let path =
                    if folder.is_empty() { entry.path } else { format!("{folder}/{}", entry.path) };
                let Some(inner) = below(&self.source.path, &path) else { continue };
                if let PathIs::Request(id) = pattern.id(inner) {
                    before.insert(id, (entry.kind, entry.id));
                }
            }
        }
        let changed = self.found.values().filter(|f| {
            before.get(&f.id).is_none_or(|(kind, blob)| (kind, blob) != (&f.kind, &f.blob))
        });
        let mut ids: BTreeSet<RequestId> = changed.map(|f| f.id.clone()).collect();
        ids.extend(before.into_keys().filter(|id| !self.found.contains_key(id)));
        Ok(Differs::Since(Changed { base, ids }))
    }

    /// The commit at which this clone left the source's branch, or why that cannot be told.
    fn base(&self) -> Result<Result<(Mirror, Revision), String>, GitError> {
        base(&self.copy, &self.source.repository, &self.source.branch)
    }

    /// What the file at `path`, which is gone from the disk, last said: in the commits after `base`,
    /// in that commit, or without one anywhere in history.
    pub fn last_words(
        &self,
        id: &RequestId,
        path: &str,
        base: Option<&Revision>,
        max: u64,
    ) -> Option<Gone> {
        let mirror = Mirror::open_local(self.copy.repository()?).ok()?;
        last_words(&mirror, id, path, base, &self.copy.head()?, max)
    }

    /// The path at which the file of a request lies, whether it is there or not.
    pub fn path(&self, id: &RequestId) -> Option<String> {
        let inner = Pattern::parse(&self.source.pattern).ok()?.path(id);
        let folder = self.source.path.trim_matches('/');
        Some(if folder.is_empty() { inner } else { format!("{folder}/{inner}") })
    }
}

/// The commit at which a clone left the branch of `repository_of`, or why that cannot be told.
///
/// # Errors
/// When the clone's objects cannot be read.
pub fn base(
    copy: &WorkingCopy,
    repository_of: &str,
    branch: &str,
) -> Result<Result<(Mirror, Revision), String>, GitError> {
    let Some(repository) = copy.repository() else {
        return Ok(Err("this folder is in no Git repository".into()));
    };
    let mirror = Mirror::open_local(repository)?;
    let Some(head) = copy.head() else {
        return Ok(Err("this repository has no commit yet".into()));
    };
    let remotes = copy.remotes();
    let remote =
        remotes.iter().find(|(_, url)| same_repository(url, repository_of)).or(remotes.first());
    let remote = remote.map(|(name, _)| format!("refs/remotes/{name}/{branch}"));
    let mut upstream = None;
    for name in remote.into_iter().chain([format!("refs/heads/{branch}")]) {
        upstream = mirror.branch_tip(&name)?;
        if upstream.is_some() {
            break;
        }
    }
    let Some(upstream) = upstream else {
        return Ok(Err(format!("this clone has no branch `{branch}` to compare with")));
    };
    Ok(match mirror.merge_base(&head, &upstream)? {
        Some(base) => Ok((mirror, base)),
        None => Err(format!(
            "`{branch}` and what is checked out have no commit in common here (in a shallow \
             clone, `git fetch --unshallow` brings it)"
        )),
    })
}
