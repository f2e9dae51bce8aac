//! Questions about commits.

use git2::{ErrorCode, Oid, Repository, Sort};

use super::error::{GitError, object};
use super::mirror::{Mirror, oid, revision};
use super::path;
use super::read::{Kind, commit, lookup};
use crate::model::{ObjectId, Revision};

/// Most commits that a search for a removed file looks at.
const SEARCH_MOST: usize = 20_000;

impl Mirror {
    /// The moment that a commit names as its committer's.
    ///
    /// # Errors
    /// `Corrupt` or `Missing` when there is no such commit to read.
    pub fn commit_time(&self, at: &Revision) -> Result<Option<jiff::Timestamp>, GitError> {
        self.with(|repository| {
            let seconds = super::read::commit(repository, at)?.time().seconds();
            Ok(jiff::Timestamp::from_second(seconds).ok())
        })
    }

    /// The commit's first parent; `None` for the first commit of all.
    ///
    /// # Errors
    /// `Missing` when the commit is not here.
    pub fn first_parent(&self, at: &Revision) -> Result<Option<Revision>, GitError> {
        self.with(|repository| Ok(commit(repository, at)?.parent_id(0).ok().map(revision)))
    }

    /// Whether `b` descends from `a` or is it. A commit that is not here is nobody's ancestor: the
    /// history of `b` is here whole.
    ///
    /// # Errors
    /// `Missing` when `b` is not here.
    pub fn is_ancestor(&self, a: &Revision, b: &Revision) -> Result<bool, GitError> {
        let (a, tip) = (oid(a)?, oid(b)?);
        self.with(|repository| {
            commit(repository, b)?;
            if a == tip {
                return Ok(true);
            }
            if repository.find_commit(a).is_err() {
                return Ok(false);
            }
            repository.graph_descendant_of(tip, a).map_err(object(tip))
        })
    }

    /// The commit in which two histories part; `None` when they never met.
    ///
    /// # Errors
    /// `Missing` when one of them is not here.
    pub fn merge_base(&self, a: &Revision, b: &Revision) -> Result<Option<Revision>, GitError> {
        self.with(|repository| {
            let (a, b) = (commit(repository, a)?.id(), commit(repository, b)?.id());
            match repository.merge_base(a, b) {
                Ok(base) => Ok(Some(revision(base))),
                Err(error) if error.code() == ErrorCode::NotFound => Ok(None),
                Err(error) => Err(object(a)(error)),
            }
        })
    }

    /// The last content of a file that is gone at `upto`: the newest commit after `after` (or in all
    /// of history) that still has it, over all parents, and its blob there. When no commit between
    /// the two has it, `after` itself is asked.
    ///
    /// # Errors
    /// `Missing` when a revision is not here.
    pub fn last_blob(
        &self,
        path: &str,
        after: Option<&Revision>,
        upto: &Revision,
    ) -> Result<Option<(Revision, ObjectId)>, GitError> {
        let Ok(parts) = path::parts(path) else { return Ok(None) };
        self.with(|repository| {
            let tip = commit(repository, upto)?.id();
            let mut walk = repository.revwalk().map_err(object(tip))?;
            walk.set_sorting(Sort::TOPOLOGICAL | Sort::TIME).map_err(object(tip))?;
            walk.push(tip).map_err(object(tip))?;
            if let Some(after) = after {
                let after = commit(repository, after)?.id();
                walk.hide(after).map_err(object(after))?;
            }
            for id in walk.take(SEARCH_MOST) {
                let id = id.map_err(object(tip))?;
                if let Some(blob) = file_at(repository, id, &parts)? {
                    return Ok(Some((revision(id), blob)));
                }
            }
            let Some(after) = after else { return Ok(None) };
            let id = oid(after)?;
            Ok(file_at(repository, id, &parts)?.map(|blob| (revision(id), blob)))
        })
    }
}

/// The blob of a regular file at a commit.
fn file_at(repository: &Repository, at: Oid, parts: &[&str]) -> Result<Option<ObjectId>, GitError> {
    let tree = repository.find_commit(at).and_then(|commit| commit.tree()).map_err(object(at))?;
    let found = lookup(repository, tree, parts)?;
    Ok(found.and_then(|(kind, id)| matches!(kind, Kind::File | Kind::Executable).then_some(id)))
}
