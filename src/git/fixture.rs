//! Real repositories in temporary folders.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use git2::{Repository, Signature, Time};
use tempfile::TempDir;

use super::{GitError, Location, Mirror, Transport, Trust};
use crate::model::Revision;

/// A place with a bare repository that others push to, and mirrors of it.
pub struct World {
    pub at: TempDir,
}

impl World {
    pub fn new() -> Self {
        let world = Self { at: TempDir::new().unwrap() };
        let mut options = git2::RepositoryInitOptions::new();
        options.bare(true).initial_head("main");
        Repository::init_opts(world.remote(), &options).unwrap();
        world
    }

    pub fn remote(&self) -> PathBuf {
        self.at.path().join("remote.git")
    }

    pub fn repository(&self) -> Repository {
        Repository::open_bare(self.remote()).unwrap()
    }

    pub fn transport(&self) -> Transport {
        Transport {
            deadline: Duration::from_secs(30),
            allow_local: vec![self.remote()],
            ..Transport::new(self.at.path().join("home"))
        }
    }

    pub fn mirror(&self) -> Mirror {
        self.mirror_of("mirror", "main", self.transport()).unwrap()
    }

    pub fn mirror_of(
        &self,
        name: &str,
        branch: &str,
        transport: Transport,
    ) -> Result<Mirror, GitError> {
        let url = self.remote().display().to_string();
        let location = Location::parse(&url, branch, Trust::Operator)?;
        Mirror::open(&self.at.path().join(name), location, Arc::new(transport))
    }

    /// A commit on a branch: `(path, content)`, `None` removes.
    pub fn commit(&self, branch: &str, files: &[(&str, Option<&str>)]) -> Revision {
        commit_on(&self.repository(), branch, files)
    }

    /// Puts a branch somewhere else, as a force-push does.
    pub fn set(&self, branch: &str, to: &Revision) {
        let id = git2::Oid::from_str(to.as_str()).unwrap();
        let name = format!("refs/heads/{branch}");
        self.repository().reference(&name, id, true, "").unwrap();
    }

    /// A `git` that is a shell script; `$REAL` in it is the real one.
    pub fn shim(&self, script: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.at.path().join("shim");
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("git"))
            .find(|path| path.is_file())
            .unwrap();
        let text = format!("#!/bin/sh\nREAL={}\n{script}\n", real.display());
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }
}

pub fn commit_on(
    repository: &Repository,
    branch: &str,
    files: &[(&str, Option<&str>)],
) -> Revision {
    let name = format!("refs/heads/{branch}");
    let parent = repository.find_reference(&name).ok().map(|r| r.peel_to_commit().unwrap());
    let mut index = git2::Index::new().unwrap();
    if let Some(parent) = &parent {
        index.read_tree(&parent.tree().unwrap()).unwrap();
    }
    for (path, content) in files {
        match content {
            Some(content) => {
                let id = repository.blob(content.as_bytes()).unwrap();
                index.add(&index_entry(path, 0o100644, id)).unwrap();
            }
            None => index.remove(Path::new(path), 0).unwrap(),
        }
    }
    let tree = index.write_tree_to(repository).unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let who = Signature::new("dev", "dev@example.com", &Time::new(1_700_000_000, 0)).unwrap();
    let parents: Vec<_> = parent.iter().collect();
    let id = repository.commit(Some(&name), &who, &who, "change", &tree, &parents).unwrap();
    Revision::new(id.to_string())
}

pub fn index_entry(path: &str, mode: u32, id: git2::Oid) -> git2::IndexEntry {
    git2::IndexEntry {
        ctime: git2::IndexTime::new(0, 0),
        mtime: git2::IndexTime::new(0, 0),
        dev: 0,
        ino: 0,
        mode,
        uid: 0,
        gid: 0,
        file_size: 0,
        id,
        flags: 0,
        flags_extended: 0,
        path: path.as_bytes().to_vec(),
    }
}
