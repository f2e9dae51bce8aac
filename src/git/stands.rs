//! What stands at many paths of one revision.

use std::collections::HashMap;

use git2::{ObjectType, Repository, Tree};

use super::error::{GitError, object};
use super::mirror::Mirror;
use super::path;
use super::read::{Entry, id, kind, root};
use crate::model::{ObjectId, Revision};

/// What stands at a path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stands {
    /// Nothing.
    Nothing,
    /// A folder: its tree.
    Folder(ObjectId),
    /// Something that is no folder, there or (its path tells) in the place of a folder above.
    File(Entry),
}

impl Mirror {
    /// What stands at each of `paths`, in their order. Each folder above them is read once: asking
    /// one by one would read the commit and its large trees again for each.
    ///
    /// # Errors
    /// `Missing` when the revision is not here.
    pub fn stands<P: AsRef<str>>(
        &self,
        at: &Revision,
        paths: &[P],
    ) -> Result<Vec<Stands>, GitError> {
        self.with(|repository| {
            let root = root(repository, at)?;
            let mut folders = HashMap::new();
            paths.iter().map(|path| look(repository, &root, &mut folders, path.as_ref())).collect()
        })
    }
}

/// Trees of folders by path.
type Folders<'p, 'r> = HashMap<&'p str, Tree<'r>>;

fn look<'p, 'r>(
    repository: &'r Repository,
    root: &Tree<'r>,
    folders: &mut Folders<'p, 'r>,
    path: &'p str,
) -> Result<Stands, GitError> {
    let path = path.trim_matches('/');
    if path.is_empty() {
        return Ok(Stands::Folder(id(root.id())));
    }
    if path::parts(path).is_err() {
        return Ok(Stands::Nothing);
    }
    let ends = path.match_indices('/').map(|(n, _)| n).chain([path.len()]);
    let mut above = "";
    for end in ends {
        let here = &path[..end];
        let name = here[above.len()..].trim_start_matches('/');
        let tree = match above {
            "" => root,
            above => folders.get(above).expect("the folder above was entered before"),
        };
        let Some(entry) = tree.get_name(name) else { return Ok(Stands::Nothing) };
        if entry.kind() != Some(ObjectType::Tree) {
            let found =
                kind(&entry).map(|kind| Entry { path: here.into(), kind, id: id(entry.id()) });
            return Ok(found.map_or(Stands::Nothing, Stands::File));
        }
        if end == path.len() {
            return Ok(Stands::Folder(id(entry.id())));
        }
        let next = entry.id();
        drop(entry);
        if !folders.contains_key(here) {
            let tree = repository.find_tree(next).map_err(object(next))?;
            folders.insert(here, tree);
        }
        above = here;
    }
    Ok(Stands::Nothing)
}
