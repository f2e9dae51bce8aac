//! Changing files of somebody's clone: in place, or on a branch that is not checked out.

use std::io::Write;

use super::commit::{Edit, Folder};
use super::error::{GitError, git2 as git2_error, io};
use super::mirror::oid;
use super::path::escape;
use super::read::{Blob, id};
use super::transport::Author;
use super::working_copy::WorkingCopy;
use crate::model::{ObjectId, Revision};

impl WorkingCopy {
    /// Puts other bytes into a regular file, all at once: whoever reads it sees the old ones or the
    /// new ones. False: what stands there is not `before` any more, and is left.
    ///
    /// # Errors
    /// `Io` when the disk refuses.
    pub fn rewrite(&self, path: &str, before: &[u8], after: &[u8]) -> Result<bool, GitError> {
        let doing = || format!("writing `{}`", escape(path.as_bytes()));
        match self.read(path, before.len() as u64)? {
            Some(Blob::Bytes(now)) if now == before => {}
            _ => return Ok(false),
        }
        let full = self.root().join(path);
        let mode = std::fs::metadata(&full).map_err(io(doing()))?.permissions();
        let folder = full.parent().unwrap_or(self.root());
        let mut file = tempfile::Builder::new().prefix(".vend-").tempfile_in(folder);
        let written = file.as_mut().map_err(|e| std::io::Error::new(e.kind(), e.to_string()));
        written
            .and_then(|file| {
                file.write_all(after)?;
                file.as_file().set_permissions(mode)?;
                file.as_file().sync_all()
            })
            .map_err(io(doing()))?;
        let file = file.map_err(io(doing()))?;
        file.persist(&full).map_err(|error| io(doing())(error.error))?;
        Ok(true)
    }

    /// The file's bytes as the commit that is checked out has them; `None` where it has none.
    pub fn at_head(&self, path: &str) -> Option<ObjectId> {
        let repository = self.handle()?;
        let tree = repository.head().ok()?.peel_to_tree().ok()?;
        Some(id(tree.get_path(std::path::Path::new(path)).ok()?.id()))
    }

    /// A new branch with one commit on the one that is checked out; the files on the disk stay.
    /// It is the user's, and else `author`'s. `None`: nothing would differ.
    ///
    /// # Errors
    /// `Refused` for a name that cannot be a branch's, or is one already; `Missing` outside of Git,
    /// and before the first commit.
    pub fn commit_to(
        &self,
        branch: &str,
        edits: &[Edit],
        message: &str,
        author: &Author,
        at: jiff::Timestamp,
    ) -> Result<Option<Revision>, GitError> {
        let what = format!("branch `{}`", escape(branch.as_bytes()));
        let missing = |text: &str| GitError::Missing { what: what.clone(), text: text.into() };
        let repository =
            self.handle().ok_or_else(|| missing("this folder is in no Git repository"))?;
        let name = format!("refs/heads/{branch}");
        let refused = |text: &str| GitError::Refused {
            code: "SRC001",
            what: what.clone(),
            text: text.into(),
        };
        if branch.starts_with('-') || !git2::Reference::is_valid_name(&name) {
            return Err(refused("that is no name for a branch"));
        }
        if repository.find_reference(&name).is_ok() {
            return Err(refused("there is one of that name already"));
        }
        let head = repository.head().and_then(|head| head.peel_to_commit());
        let head = head.map_err(|_| missing("this repository has no commit yet"))?;
        let own = repository.signature().ok().and_then(|who| {
            Some(Author { name: who.name().ok()?.to_owned(), email: who.email().ok()?.to_owned() })
        });
        let author = own.as_ref().unwrap_or(author);
        let Some(made) = Folder::of(edits)?.commit(repository, Some(&head), author, message, at)?
        else {
            return Ok(None);
        };
        repository
            .reference(&name, oid(&made)?, false, "vend upgrade")
            .map_err(git2_error(format!("making {what}")))?;
        Ok(Some(made))
    }
}
