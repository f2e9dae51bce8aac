//! Which commit brought what stands at a path.
//!
//! # Flow
//! As `git log` does, it goes back over parents that have the same. Which parent of a merge comes first is up to
//! whoever makes it, so that all are gone back over that have it.
//!
//! # Guarantees
//! - No merge is passed that threw away what one of its parents had done, nor one whose parents have the same from
//!   different commits: such a merge is what brought it, whatever the order of its parents.
//! - Each commit is looked at once, however many ways lead to it.

use std::collections::{HashMap, HashSet};

use git2::{ErrorCode, Oid, Repository};

use super::error::{GitError, object};
use super::mirror::{Mirror, oid, revision};
use super::path;
use super::read::commit;
use crate::model::Revision;

/// Mode and id of what stands at a path.
type Standing = Option<(i32, Oid)>;

impl Mirror {
    /// The newest commit, among at most `most` from `tip` back, in which what stands at `path` (a
    /// file or a folder) differs from every parent, or that is a merge which took one side's content although
    /// the other side had changed it, or whose sides have it from different commits.
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

    /// As [`Mirror::last_commit_touching`], of many files: as far as the history is a line, which that of a branch
    /// of vend's own is, one walk tells of all of them what each commit changed. Files of which nothing is told are
    /// left out.
    ///
    /// # Errors
    /// `Missing` when `tip` is not here.
    pub fn last_commits_touching(
        &self,
        files: Vec<String>,
        tip: &Revision,
        most: usize,
    ) -> Result<HashMap<String, Revision>, GitError> {
        let mut open: HashSet<String> = files.into_iter().collect();
        let mut found = HashMap::new();
        let (mut at, mut left) = (tip.clone(), most);
        while left > 0 && !open.is_empty() {
            let parents = self.with(|repository| {
                let commit = commit(repository, &at)?;
                Ok(commit.parent_ids().map(revision).collect::<Vec<_>>())
            })?;
            let [parent] = parents.as_slice() else { break };
            // What cannot be compared here each file tells as far as it can.
            let trees = self.tree(parent, "").and_then(|old| Ok((old, self.tree(&at, "")?)));
            let Ok(deltas) = trees.and_then(|(old, new)| self.diff(old, new)) else { break };
            for delta in deltas {
                if open.remove(&delta.path) {
                    found.insert(delta.path, at.clone());
                }
            }
            at = parent.clone();
            left -= 1;
        }
        for path in open {
            if let Ok(Some(commit)) = self.last_commit_touching(&path, &at, left) {
                found.insert(path, commit);
            }
        }
        Ok(found)
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
            let tip = commit(repository, tip)?.id();
            let here = stands_at(repository, tip, &parts)?;
            let earlier = match known {
                Some((at, _)) if repository.find_commit(at).is_err() => None,
                Some((at, brought)) => {
                    Some(Earlier::new(repository, tip, (at, brought), here, &parts)?)
                }
                None => None,
            };
            let found = walk(repository, tip, here, &parts, (most, earlier.as_ref()))?;
            Ok(found.map(revision))
        })
    }
}

/// Goes back from `tip`, where `here` stands, to the commit that brought it; `None`: it is too far back, or
/// nothing ever stood there.
fn walk(
    repository: &Repository,
    tip: Oid,
    here: Standing,
    parts: &[&str],
    (most, earlier): (usize, Option<&Earlier>),
) -> Result<Option<Oid>, GitError> {
    // What brought it to each commit, and the parents to ask of those that are not told of yet. A stack of our
    // own: histories are longer than that of the thread is deep.
    let mut brought: HashMap<Oid, Option<Oid>> = HashMap::new();
    let mut asked: HashMap<Oid, Vec<Oid>> = HashMap::new();
    let mut open = vec![tip];
    while let Some(at) = open.last().copied() {
        if brought.contains_key(&at) {
            open.pop();
            continue;
        }
        let Some(parents) = asked.get(&at) else {
            let child = open.len().checked_sub(2).map(|below| open[below]);
            let known = earlier.map(|earlier| earlier.brought(repository, at, child));
            if let Some(known) = known.transpose()?.flatten() {
                brought.insert(at, known);
                continue;
            }
            if asked.len() == most {
                return Ok(None);
            }
            let commit = repository.find_commit(at).map_err(object(at))?;
            if commit.parent_count() == 0 {
                brought.insert(at, here.map(|_| at));
            }
            asked.insert(at, same_as_here(repository, &commit, here, parts)?);
            continue;
        };
        let told: HashSet<Option<Oid>> =
            parents.iter().filter_map(|parent| brought.get(parent).copied()).collect();
        let next = parents.iter().find(|parent| !brought.contains_key(parent));
        match (next, told.len()) {
            (Some(next), 0 | 1) => open.push(*next),
            (None, 1) => drop(brought.insert(at, told.into_iter().next().flatten())),
            (_, _) => drop(brought.insert(at, Some(at))),
        }
    }
    Ok(brought.get(&tip).copied().flatten())
}

/// An earlier tip of which it is known what brought what stood there.
struct Earlier {
    at: Oid,
    brought: Option<Oid>,
    /// The same stood there as is asked about.
    is_same: bool,
    /// The commits that came after it.
    since: HashSet<Oid>,
}

impl Earlier {
    fn new(
        repository: &Repository,
        tip: Oid,
        (at, brought): (Oid, Option<&Revision>),
        here: Standing,
        parts: &[&str],
    ) -> Result<Self, GitError> {
        let mut walk = repository.revwalk().map_err(object(tip))?;
        walk.push(tip).map_err(object(tip))?;
        walk.hide(at).map_err(object(at))?;
        let since = walk.collect::<Result<_, _>>().map_err(object(tip))?;
        let is_same = stands_at(repository, at, parts)? == here;
        Ok(Self { at, brought: brought.map(oid).transpose()?, is_same, since })
    }

    /// What brought it to a commit that has it, as far as that is known, where the walk came by `child`.
    fn brought(
        &self,
        repository: &Repository,
        at: Oid,
        child: Option<Oid>,
    ) -> Result<Option<Option<Oid>>, GitError> {
        if at == self.at {
            return Ok(Some(self.brought));
        }
        // A side that parted before has it from there as well, unless it parted before that was brought; and then
        // so did all that lies before it.
        let parts_here = !self.since.contains(&at) && child.is_none_or(|c| self.since.contains(&c));
        let Some(brought) = self.brought.filter(|_| self.is_same && parts_here) else {
            return Ok(None);
        };
        let is_after =
            at == brought || repository.graph_descendant_of(at, brought).map_err(object(at))?;
        Ok(is_after.then_some(Some(brought)))
    }
}

/// The parents of a commit that have `here` at a path as well, where every other parent has still what stood there
/// when it parted from each of them; else none.
fn same_as_here(
    repository: &Repository,
    at: &git2::Commit<'_>,
    here: Standing,
    parts: &[&str],
) -> Result<Vec<Oid>, GitError> {
    let (mut same, mut others) = (Vec::new(), Vec::new());
    for parent in at.parent_ids() {
        let there = stands_at(repository, parent, parts)?;
        if there == here {
            same.push(parent);
        } else {
            others.push((parent, there));
        }
    }
    for parent in &same {
        for (other, there) in &others {
            if !is_as_parted(repository, *parent, (*other, *there), parts)? {
                return Ok(Vec::new());
            }
        }
    }
    Ok(same)
}

/// Whether what stands at a path of `other` is what stood there in every commit in which it and `one` parted.
fn is_as_parted(
    repository: &Repository,
    one: Oid,
    (other, there): (Oid, Standing),
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

/// Mode and id of whatever stands at a path.
fn stands_at(repository: &Repository, at: Oid, parts: &[&str]) -> Result<Standing, GitError> {
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
