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

    /// The newest commit, among at most `most` from `tip` back, in which what stands at `path` (a
    /// file or a folder) differs from every parent, or that is a merge which took one side's content although
    /// the other side had changed it.
    ///
    /// # Errors
    /// `Missing` when `tip` is not here.
    pub fn last_commit_touching(
        &self,
        path: &str,
        tip: &Revision,
        most: usize,
    ) -> Result<Option<Revision>, GitError> {
        self.touching(path, tip, most, None)
    }

    /// As [`Mirror::last_commit_touching`], where the answer for an earlier `tip` is known: the walk ends there,
    /// if it comes by.
    ///
    /// # Errors
    /// `Missing` when `tip` is not here.
    pub fn last_commit_touching_since(
        &self,
        path: &str,
        tip: &Revision,
        most: usize,
        earlier: &Revision,
        then: Option<&Revision>,
    ) -> Result<Option<Revision>, GitError> {
        self.touching(path, tip, most, Some((oid(earlier)?, then)))
    }

    fn touching(
        &self,
        path: &str,
        tip: &Revision,
        most: usize,
        known: Option<(Oid, Option<&Revision>)>,
    ) -> Result<Option<Revision>, GitError> {
        let Ok(parts) = path::parts(path) else { return Ok(None) };
        self.with(|repository| {
            // As `git log` does, a parent with the same content is followed, but never past a merge that
            // threw away what another parent had done: that merge is what brought it.
            let mut at = commit(repository, tip)?;
            let mut here = stands_at(repository, at.id(), &parts)?;
            for _ in 0..most {
                if let Some((earlier, then)) = known
                    && at.id() == earlier
                {
                    return Ok(then.cloned());
                }
                let same = same_as_here(repository, &at, here, &parts)?;
                match same {
                    Some(parent) => at = parent,
                    None if here.is_none() && at.parent_count() == 0 => return Ok(None),
                    None => return Ok(Some(revision(at.id()))),
                }
                here = stands_at(repository, at.id(), &parts)?;
            }
            Ok(None)
        })
    }
}

/// The parent of a commit that has `here` at a path as well, where every other parent either has it too or
/// has still what stood there when the two parted.
fn same_as_here<'r>(
    repository: &'r Repository,
    at: &git2::Commit<'r>,
    here: Option<(i32, Oid)>,
    parts: &[&str],
) -> Result<Option<git2::Commit<'r>>, GitError> {
    let (mut same, mut others) = (Vec::new(), Vec::new());
    for parent in at.parents() {
        let there = stands_at(repository, parent.id(), parts)?;
        if there == here {
            same.push(parent);
        } else {
            others.push((parent.id(), there));
        }
    }
    for parent in same {
        let mut is_kept = true;
        for (other, there) in &others {
            is_kept &= is_as_parted(repository, parent.id(), (*other, *there), parts)?;
        }
        if is_kept {
            return Ok(Some(parent));
        }
    }
    Ok(None)
}

/// Whether what stands at a path of `other` is what stood there in every commit in which it and `one` parted.
fn is_as_parted(
    repository: &Repository,
    one: Oid,
    (other, there): (Oid, Option<(i32, Oid)>),
    parts: &[&str],
) -> Result<bool, GitError> {
    let bases = match repository.merge_bases(one, other) {
        Ok(bases) => bases,
        // Two histories that never met: each had nothing to begin with.
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(there.is_none()),
        Err(error) => return Err(object(other)(error)),
    };
    for base in bases.iter() {
        if stands_at(repository, *base, parts)? != there {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The blob of a regular file at a commit.
fn file_at(repository: &Repository, at: Oid, parts: &[&str]) -> Result<Option<ObjectId>, GitError> {
    let tree = repository.find_commit(at).and_then(|commit| commit.tree()).map_err(object(at))?;
    let found = lookup(repository, tree, parts)?;
    Ok(found.and_then(|(kind, id)| matches!(kind, Kind::File | Kind::Executable).then_some(id)))
}

/// Mode and id of whatever stands at a path.
fn stands_at(
    repository: &Repository,
    at: Oid,
    parts: &[&str],
) -> Result<Option<(i32, Oid)>, GitError> {
    let mut tree =
        repository.find_commit(at).and_then(|commit| commit.tree()).map_err(object(at))?;
    let Some((last, folders)) = parts.split_last() else {
        return Ok(Some((0o040_000, tree.id())));
    };
    for part in folders {
        let next = match tree.get_name(part) {
            Some(entry) if entry.kind() == Some(git2::ObjectType::Tree) => entry.id(),
            _ => return Ok(None),
        };
        tree = repository.find_tree(next).map_err(object(next))?;
    }
    Ok(tree.get_name(last).map(|entry| (entry.filemode_raw(), entry.id())))
}
