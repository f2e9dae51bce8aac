//! New commits, made in the mirror and reachable from nothing until they are pushed.

use std::collections::BTreeMap;

use git2::{Commit, FileMode, ObjectType, Oid, Repository, Signature, Time, Tree, TreeEntry};

use super::bulk;
use super::error::{GitError, git2 as git2_error, object};
use super::mirror::{Mirror, revision};
use super::path::{self, escape};
use super::read::commit;
use super::transport::Author;
use crate::fault::point;
use crate::model::Revision;

/// One path of a commit to be made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Edit {
    /// From the root, with `/`.
    pub path: String,
    /// The new content, of a plain file whatever stood there; `None` removes the file, or the folder and all below it.
    pub content: Option<Vec<u8>>,
}

impl Mirror {
    /// A commit on `parent` with the edits applied; only the trees on their way are read and
    /// written. A file takes the place of a folder and a folder of a file. `None`: the tree would be
    /// the parent's.
    ///
    /// # Errors
    /// `Refused` for a path that is not a safe one.
    pub fn commit(
        &self,
        parent: Option<&Revision>,
        edits: &[Edit],
        message: &str,
        at: jiff::Timestamp,
    ) -> Result<Option<Revision>, GitError> {
        let plan = Folder::of(edits)?;
        if edits.len() >= bulk::MANY
            && let Some(made) = self.import(parent, edits, message, at)?
        {
            return self.unless_same(made, parent);
        }
        let author = self.remote()?.transport.author.clone();
        point!("git.commit.before")?;
        let made = self.with(|repository| {
            let parent = parent.map(|parent| commit(repository, parent)).transpose()?;
            plan.commit(repository, parent.as_ref(), &author, message, at)
        })?;
        point!("git.commit.after")?;
        Ok(made)
    }
}

impl Mirror {
    /// The commit, unless its tree is its parent's.
    fn unless_same(
        &self,
        made: Revision,
        parent: Option<&Revision>,
    ) -> Result<Option<Revision>, GitError> {
        let Some(parent) = parent else { return Ok(Some(made)) };
        let same = self.tree(&made, "")? == self.tree(parent, "")?;
        Ok((!same).then_some(made))
    }
}

/// What happens to one name of a folder.
enum Step<'e> {
    Write(&'e [u8]),
    Remove,
    Below(Folder<'e>),
}

/// The edits below one folder, by name. Edits apply in their order: the last word wins.
#[derive(Default)]
pub(super) struct Folder<'e> {
    /// What was there before goes.
    cleared: bool,
    steps: BTreeMap<&'e str, Step<'e>>,
}

impl<'e> Folder<'e> {
    pub(super) fn of(edits: &'e [Edit]) -> Result<Self, GitError> {
        let mut folder = Self::default();
        for edit in edits {
            folder.add(edit)?;
        }
        Ok(folder)
    }

    /// A commit with the edits applied, which no branch names yet; `None`: nothing would differ.
    pub(super) fn commit(
        &self,
        repository: &Repository,
        parent: Option<&Commit<'_>>,
        author: &Author,
        message: &str,
        at: jiff::Timestamp,
    ) -> Result<Option<Revision>, GitError> {
        let doing = || git2_error("making a commit");
        let base = match parent {
            Some(parent) => Some(parent.tree().map_err(object(parent.id()))?),
            None => None,
        };
        let before = base.as_ref().map(Tree::id);
        let tree = match self.write(repository, base.as_ref())? {
            Some(tree) => tree,
            None => repository.treebuilder(None).and_then(|empty| empty.write()).map_err(doing())?,
        };
        if before == Some(tree) {
            return Ok(None);
        }
        let tree = repository.find_tree(tree).map_err(object(tree))?;
        let time = Time::new(at.as_second(), 0);
        let who = Signature::new(&author.name, &author.email, &time).map_err(doing())?;
        let parents: Vec<_> = parent.into_iter().collect();
        let made = repository.commit(None, &who, &who, message, &tree, &parents);
        Ok(Some(revision(made.map_err(doing())?)))
    }

    fn add(&mut self, edit: &'e Edit) -> Result<(), GitError> {
        let refused = |text: String| {
            let what = format!("path `{}`", escape(edit.path.as_bytes()));
            GitError::Refused { code: "PATH004", what, text }
        };
        let parts = path::parts(&edit.path).map_err(|problem| refused(problem.to_string()))?;
        let Some((last, folders)) = parts.split_last() else {
            return Err(refused("a file has a name".into()));
        };
        let mut folder = self;
        for part in folders {
            let step = folder.steps.entry(*part).or_insert_with(|| Step::Below(Self::default()));
            if !matches!(step, Step::Below(_)) {
                // Below a file, or below nothing, there is nothing to remove.
                if edit.content.is_none() {
                    return Ok(());
                }
                *step = Step::Below(Self { cleared: true, steps: BTreeMap::new() });
            }
            let Step::Below(below) = step else { unreachable!("made so above") };
            folder = below;
        }
        let step = edit.content.as_deref().map_or(Step::Remove, Step::Write);
        folder.steps.insert(last, step);
        Ok(())
    }

    /// The tree with the edits applied to `base`; `None` when nothing is left in it.
    fn write(
        &self,
        repository: &Repository,
        base: Option<&Tree<'_>>,
    ) -> Result<Option<Oid>, GitError> {
        let doing = || git2_error("writing a tree");
        let base = base.filter(|_| !self.cleared);
        let mut tree = repository.treebuilder(base).map_err(doing())?;
        for (name, step) in &self.steps {
            let old = base.and_then(|base| base.get_name(name));
            let new = match step {
                Step::Remove => None,
                Step::Write(bytes) => {
                    let id = write_blob(repository, old.as_ref(), bytes)?;
                    Some((id, FileMode::Blob.into()))
                }
                Step::Below(below) => {
                    let (tree, file): (Option<_>, Option<_>) = match &old {
                        Some(old) if old.kind() == Some(ObjectType::Tree) => (Some(old), None),
                        Some(old) => (None, Some(old)),
                        None => (None, None),
                    };
                    let tree =
                        tree.map(|old| repository.find_tree(old.id()).map_err(object(old.id())));
                    let new = below.write(repository, tree.transpose()?.as_ref())?;
                    let new = new.map(|id| (id, FileMode::Tree.into()));
                    // What removes only what would be below a file leaves the file.
                    let file = file.filter(|_| !below.cleared);
                    new.or(file.map(|file| (file.id(), file.filemode())))
                }
            };
            match new {
                Some((id, mode)) => drop(tree.insert(name, id, mode).map_err(doing())?),
                None if old.is_some() => tree.remove(name).map_err(doing())?,
                None => {}
            }
        }
        if tree.is_empty() {
            return Ok(None);
        }
        Ok(Some(tree.write().map_err(doing())?))
    }
}

/// Writes a blob unless it is what stands there.
fn write_blob(
    repository: &Repository,
    old: Option<&TreeEntry<'_>>,
    bytes: &[u8],
) -> Result<Oid, GitError> {
    if let Some(old) = old {
        let id = Oid::hash_object(ObjectType::Blob, bytes).map_err(git2_error("hashing a file"))?;
        if id == old.id() {
            return Ok(id);
        }
    }
    repository.blob(bytes).map_err(git2_error("writing a blob"))
}
