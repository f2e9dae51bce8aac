//! Trees and blobs at a revision.

use std::cmp::Ordering;

use git2::{ErrorCode, ObjectType, Oid, Repository, Tree, TreeEntry};

use super::error::{GitError, object};
use super::mirror::{Mirror, oid};
use super::path::{self, PATH_MAX, PathProblem, escape};
use crate::model::{ObjectId, Revision};

/// Most entries that a comparison looks at: both sides of a repository of a million files.
const DIFF_MOST: usize = 4_000_000;

/// What a tree entry is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// A file.
    File,
    /// A file with the executable bit.
    Executable,
    /// A symbolic link; its blob is the place it points to. Never followed.
    Link,
    /// A commit of another repository. Never fetched.
    Submodule,
    /// A name that is not used; the entry's path is escaped. Nothing below it is looked at.
    Unsafe(PathProblem),
}

/// One file (or what stands in its place) of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// From the walk's root, with `/`; escaped when the kind is `Unsafe`.
    pub path: String,
    /// What it is.
    pub kind: Kind,
    /// Its blob, or whatever object stands there.
    pub id: ObjectId,
}

/// What differs between two trees at one path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delta {
    /// As in [`Entry`].
    pub path: String,
    /// Before; `None`: it was not there.
    pub old: Option<(Kind, ObjectId)>,
    /// After; `None`: it is gone.
    pub new: Option<(Kind, ObjectId)>,
}

/// A file's content.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Blob {
    /// All of it.
    Bytes(Vec<u8>),
    /// It is larger than asked for and was not read; its size.
    TooLarge(u64),
}

impl Mirror {
    /// The tree of a folder at a revision; `""` is the root. `None`: the commit has no such folder.
    ///
    /// # Errors
    /// `Missing` when the revision is not here.
    pub fn tree(&self, at: &Revision, folder: &str) -> Result<Option<ObjectId>, GitError> {
        let Ok(parts) = path::parts(folder) else { return Ok(None) };
        self.with(|repository| {
            let mut tree = root(repository, at)?;
            for part in &parts {
                let Some(entry) = tree.get_name(part) else { return Ok(None) };
                if entry.kind() != Some(ObjectType::Tree) {
                    return Ok(None);
                }
                let id = entry.id();
                drop(entry);
                tree = repository.find_tree(id).map_err(object(id))?;
            }
            Ok(Some(id(tree.id())))
        })
    }

    /// What stands at a path; `None`: nothing, or a folder.
    ///
    /// # Errors
    /// `Missing` when the revision is not here.
    pub fn find(&self, at: &Revision, path: &str) -> Result<Option<Entry>, GitError> {
        let Ok(parts) = path::parts(path) else { return Ok(None) };
        self.with(|repository| {
            let tree = root(repository, at)?;
            Ok(lookup(repository, tree, &parts)?.map(|(kind, id)| Entry {
                path: parts.join("/"),
                kind,
                id,
            }))
        })
    }

    /// Every entry below a tree, sorted by path.
    ///
    /// # Errors
    /// `TooMany` when there are more than `limit`; then none are given.
    pub fn entries(&self, tree: ObjectId, limit: usize) -> Result<Vec<Entry>, GitError> {
        self.with(|repository| {
            let mut walk = Walk { repository, budget: Budget::new(limit), found: Vec::new() };
            let root = repository.find_tree(raw(tree)).map_err(object(tree))?;
            walk.below(&root, &mut String::new())?;
            let mut found = walk.found;
            found.sort_by(|a: &Entry, b| a.path.cmp(&b.path));
            Ok(found)
        })
    }

    /// How many files, links and other entries that are no folders a tree holds.
    ///
    /// # Errors
    /// `TooMany` for more than `limit`, or for folders without end.
    pub fn count(&self, tree: ObjectId, limit: usize) -> Result<usize, GitError> {
        self.with(|repository| {
            let (mut budget, mut files) = (Budget::new(limit), 0);
            let mut open = vec![raw(tree)];
            while let Some(next) = open.pop() {
                for entry in &repository.find_tree(next).map_err(object(next))? {
                    budget.spend_on(&entry)?;
                    match kind(&entry) {
                        Some(_) => files += 1,
                        None => open.push(entry.id()),
                    }
                }
            }
            Ok(files)
        })
    }

    /// What differs between two trees, sorted by path. Subtrees with equal ids are not read.
    ///
    /// # Errors
    /// `TooMany` for trees that no repository of a million files has.
    pub fn diff(
        &self,
        old: Option<ObjectId>,
        new: Option<ObjectId>,
    ) -> Result<Vec<Delta>, GitError> {
        if old == new {
            return Ok(Vec::new());
        }
        self.with(|repository| {
            let load = |id: Option<ObjectId>| {
                id.map(|id| repository.find_tree(raw(id)).map_err(object(id))).transpose()
            };
            let mut diff =
                Compare { repository, budget: Budget::new(DIFF_MOST), found: Vec::new() };
            diff.trees(load(old)?.as_ref(), load(new)?.as_ref(), &mut String::new())?;
            let mut found = diff.found;
            found.sort_by(|a: &Delta, b| a.path.cmp(&b.path));
            Ok(found)
        })
    }

    /// A blob of at most `max` bytes; its size is asked for before it is read.
    ///
    /// # Errors
    /// `Corrupt` when it is not there or is not what its id says.
    pub fn blob(&self, id: ObjectId, max: u64) -> Result<Blob, GitError> {
        self.with(|repository| read_blob(repository, id, max))
    }
}

pub(super) fn read_blob(repository: &Repository, id: ObjectId, max: u64) -> Result<Blob, GitError> {
    let odb = repository.odb().map_err(object(id))?;
    let (size, kind) = odb.read_header(raw(id)).map_err(object(id))?;
    if kind != ObjectType::Blob {
        let text = format!("expected a blob, found a {kind}");
        return Err(GitError::Corrupt { what: format!("object `{id}`"), text });
    }
    if size as u64 > max {
        return Ok(Blob::TooLarge(size as u64));
    }
    // libgit2 hashes what it reads and refuses what does not match.
    let found = odb.read(raw(id)).map_err(object(id))?;
    Ok(Blob::Bytes(found.data().to_vec()))
}

/// The root tree of a revision.
pub(super) fn root<'r>(repository: &'r Repository, at: &Revision) -> Result<Tree<'r>, GitError> {
    let commit = commit(repository, at)?;
    let tree = commit.tree_id();
    repository.find_tree(tree).map_err(object(tree))
}

pub(super) fn commit<'r>(
    repository: &'r Repository,
    at: &Revision,
) -> Result<git2::Commit<'r>, GitError> {
    repository.find_commit(oid(at)?).map_err(|error| match error.code() {
        ErrorCode::NotFound => GitError::Missing {
            what: format!("revision `{at}`"),
            text: "there is no such commit here".into(),
        },
        _ => object(at)(error),
    })
}

/// What stands at a path below a tree, unless that is a folder.
pub(super) fn lookup<'r>(
    repository: &'r Repository,
    mut tree: Tree<'r>,
    parts: &[&str],
) -> Result<Option<(Kind, ObjectId)>, GitError> {
    let Some((last, folders)) = parts.split_last() else { return Ok(None) };
    let mut next;
    for part in folders {
        match tree.get_name(part) {
            Some(entry) if entry.kind() == Some(ObjectType::Tree) => next = entry.id(),
            _ => return Ok(None),
        }
        tree = repository.find_tree(next).map_err(object(next))?;
    }
    let Some(entry) = tree.get_name(last) else { return Ok(None) };
    Ok(kind(&entry).map(|kind| (kind, id(entry.id()))))
}

/// `None` for a folder.
pub(super) fn kind(entry: &TreeEntry<'_>) -> Option<Kind> {
    match entry.filemode_raw() & 0o170_000 {
        0o040_000 => None,
        0o100_000 if entry.filemode_raw() & 0o100 != 0 => Some(Kind::Executable),
        0o100_000 => Some(Kind::File),
        0o120_000 => Some(Kind::Link),
        0o160_000 => Some(Kind::Submodule),
        _ => Some(Kind::Unsafe(PathProblem::NotAFile)),
    }
}

/// Entries and folders that a walk may still meet. A tree of a few kilobytes can name itself into
/// billions of paths; folders count too, since they need hold no file.
struct Budget {
    limit: usize,
    left: usize,
    folders: usize,
}

/// So many folders may be gone through however few files are allowed: they hold them.
const FOLDERS: usize = 100_000;

impl Budget {
    fn new(limit: usize) -> Self {
        Self { limit, left: limit, folders: limit.max(FOLDERS) }
    }

    fn spend(&mut self) -> Result<(), GitError> {
        Self::take(&mut self.left, self.limit)
    }

    /// For one entry of a tree.
    fn spend_on(&mut self, entry: &TreeEntry<'_>) -> Result<(), GitError> {
        let left = if kind(entry).is_none() { &mut self.folders } else { &mut self.left };
        Self::take(left, self.limit)
    }

    fn take(left: &mut usize, limit: usize) -> Result<(), GitError> {
        *left = left.checked_sub(1).ok_or(GitError::TooMany { limit })?;
        Ok(())
    }
}

/// Appends a name to the path, or says why the path is not used.
fn enter(path: &mut String, name: &[u8]) -> Result<usize, PathProblem> {
    let at = path.len();
    let name = path::check(name)?;
    if at + 1 + name.len() > PATH_MAX {
        return Err(PathProblem::TooLong);
    }
    if at > 0 {
        path.push('/');
    }
    path.push_str(name);
    Ok(at)
}

fn escaped(path: &str, name: &[u8]) -> String {
    // The path so far is safe: only the name needs it.
    if path.is_empty() { escape(name) } else { format!("{path}/{}", escape(name)) }
}

struct Walk<'r> {
    repository: &'r Repository,
    budget: Budget,
    found: Vec<Entry>,
}

impl Walk<'_> {
    fn below(&mut self, tree: &Tree<'_>, path: &mut String) -> Result<(), GitError> {
        for entry in tree {
            self.budget.spend_on(&entry)?;
            self.one(&entry, path)?;
        }
        Ok(())
    }

    fn one(&mut self, entry: &TreeEntry<'_>, path: &mut String) -> Result<(), GitError> {
        let name = entry.name_bytes();
        let at = match enter(path, name) {
            Ok(at) => at,
            Err(problem) => {
                let path = escaped(path, name);
                self.found.push(Entry { path, kind: Kind::Unsafe(problem), id: id(entry.id()) });
                return Ok(());
            }
        };
        match kind(entry) {
            Some(kind) => self.found.push(Entry { path: path.clone(), kind, id: id(entry.id()) }),
            None => {
                let tree = self.repository.find_tree(entry.id()).map_err(object(entry.id()))?;
                self.below(&tree, path)?;
            }
        }
        path.truncate(at);
        Ok(())
    }
}

struct Compare<'r> {
    repository: &'r Repository,
    budget: Budget,
    found: Vec<Delta>,
}

impl Compare<'_> {
    /// Both trees' entries in step. Trees sort a folder as if its name ended in `/`, so that a file
    /// and a folder of one name stand apart: they are then two deltas, one of them a removal.
    fn trees(
        &mut self,
        old: Option<&Tree<'_>>,
        new: Option<&Tree<'_>>,
        path: &mut String,
    ) -> Result<(), GitError> {
        let mut olds = old.into_iter().flatten().peekable();
        let mut news = new.into_iter().flatten().peekable();
        loop {
            let order = match (olds.peek(), news.peek()) {
                (None, None) => return Ok(()),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(old), Some(new)) => order(old, new),
            };
            self.budget.spend()?;
            let old = if order.is_le() { olds.next() } else { None };
            let new = if order.is_ge() { news.next() } else { None };
            if let (Some(old), Some(new)) = (&old, &new)
                && old.id() == new.id()
                && old.filemode_raw() == new.filemode_raw()
            {
                continue;
            }
            self.pair(old.as_ref(), new.as_ref(), path)?;
        }
    }

    fn pair(
        &mut self,
        old: Option<&TreeEntry<'_>>,
        new: Option<&TreeEntry<'_>>,
        path: &mut String,
    ) -> Result<(), GitError> {
        let Some(name) = new.or(old).map(TreeEntry::name_bytes) else { return Ok(()) };
        let at = match enter(path, name) {
            Ok(at) => at,
            Err(problem) => {
                let side = |entry: &TreeEntry<'_>| (Kind::Unsafe(problem), id(entry.id()));
                let path = escaped(path, name);
                self.found.push(Delta { path, old: old.map(side), new: new.map(side) });
                return Ok(());
            }
        };
        let file = |entry: Option<&TreeEntry<'_>>| {
            entry.and_then(|entry| Some((kind(entry)?, id(entry.id()))))
        };
        let (old_file, new_file) = (file(old), file(new));
        if old_file.is_some() || new_file.is_some() {
            self.found.push(Delta { path: path.clone(), old: old_file, new: new_file });
        }
        let load = |entry: Option<&TreeEntry<'_>>| match entry {
            Some(entry) if kind(entry).is_none() => {
                self.repository.find_tree(entry.id()).map(Some).map_err(object(entry.id()))
            }
            _ => Ok(None),
        };
        let (old, new) = (load(old)?, load(new)?);
        if old.is_some() || new.is_some() {
            self.trees(old.as_ref(), new.as_ref(), path)?;
        }
        path.truncate(at);
        Ok(())
    }
}

/// Git's order of tree entries.
fn order(a: &TreeEntry<'_>, b: &TreeEntry<'_>) -> Ordering {
    let key = |entry: &TreeEntry<'_>| kind(entry).is_none().then_some(b'/');
    let (x, y) = (a.name_bytes(), b.name_bytes());
    x.iter().copied().chain(key(a)).cmp(y.iter().copied().chain(key(b)))
}

/// An id of ours from one of libgit2's.
pub(super) fn id(oid: Oid) -> ObjectId {
    let mut bytes = [0; 20];
    bytes.copy_from_slice(oid.as_bytes());
    ObjectId(bytes)
}

/// An id of libgit2's from one of ours.
pub(super) fn raw(id: ObjectId) -> Oid {
    Oid::from_bytes(&id.0).expect("twenty bytes are an id")
}
