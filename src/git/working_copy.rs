//! Files as they lie on somebody's disk, committed or not.

use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use git2::{ObjectType, Oid, Repository};

use super::error::{GitError, git2 as git2_error, io};
use super::mirror::revision;
use super::path::{self, PATH_MAX, PathProblem, escape};
use super::read::{Blob, Entry, Kind, id};
use crate::model::{ObjectId, Revision};

/// A folder with files, usually the top of a clone. Symbolic links are seen, never followed; what
/// `.gitignore` names is left out.
pub struct WorkingCopy {
    root: PathBuf,
    repository: Option<Repository>,
}

impl std::fmt::Debug for WorkingCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("WorkingCopy").field(&self.root).finish()
    }
}

impl WorkingCopy {
    /// The clone around a file or folder; a folder in no clone stands for itself.
    ///
    /// # Errors
    /// `Missing` when there is no such path, `Refused` for a repository that cannot be read.
    pub fn discover(at: &Path) -> Result<Self, GitError> {
        let missing = |error: std::io::Error| GitError::Missing {
            what: format!("`{}`", at.display()),
            text: error.to_string(),
        };
        std::fs::symlink_metadata(at).map_err(missing)?;
        let real = at.canonicalize().unwrap_or_else(|_| at.to_owned());
        // A link to a file is named, not followed: what counts is where the link lies.
        let real = match (real.is_dir(), at.parent().filter(|p| !p.as_os_str().is_empty())) {
            (true, _) => real,
            (false, Some(above)) => above.canonicalize().map_err(io("finding a file's folder"))?,
            (false, None) => Path::new(".").canonicalize().map_err(io("finding this folder"))?,
        };
        let folder = real.as_path();
        match Repository::discover(folder) {
            Ok(repository) => {
                let root = repository.workdir().ok_or_else(|| GitError::Refused {
                    code: "SRC001",
                    what: format!("repository `{}`", repository.path().display()),
                    text: "it is bare: it has no files on the disk".into(),
                })?;
                let root = root.canonicalize().map_err(io("finding the top of the clone"))?;
                Ok(Self { root, repository: Some(repository) })
            }
            Err(error) if error.code() == git2::ErrorCode::NotFound => {
                Ok(Self { root: folder.to_owned(), repository: None })
            }
            Err(error) => {
                Err(git2_error(format!("opening the clone around `{}`", at.display()))(error))
            }
        }
    }

    /// A folder by itself, whatever lies around it.
    pub fn plain(root: &Path) -> Self {
        Self { root: root.to_owned(), repository: None }
    }

    /// The top folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The `.git` folder, for [`super::Mirror::open_local`]; of a worktree that of the clone it
    /// belongs to, which holds the objects and the branches.
    pub fn repository(&self) -> Option<&Path> {
        self.repository.as_ref().map(Repository::commondir)
    }

    pub(super) fn handle(&self) -> Option<&Repository> {
        self.repository.as_ref()
    }

    /// The commit that is checked out; `None` before the first.
    pub fn head(&self) -> Option<Revision> {
        let head = self.repository.as_ref()?.head().ok()?;
        Some(revision(head.peel_to_commit().ok()?.id()))
    }

    /// The commit that a revision names, as `git rev-parse` reads it: a branch, a tag, `HEAD~2`, an
    /// abbreviated id.
    ///
    /// # Errors
    /// `Missing` when there is none.
    pub fn commit_of(&self, name: &str) -> Result<Revision, GitError> {
        let missing = |text: String| GitError::Missing {
            what: format!("revision `{}`", escape(name.as_bytes())),
            text,
        };
        let repository = self
            .repository
            .as_ref()
            .ok_or_else(|| missing("this folder is in no Git repository".into()))?;
        let found = repository.revparse_single(name).and_then(|object| object.peel_to_commit());
        found.map(|c| revision(c.id())).map_err(|error| missing(error.message().to_owned()))
    }

    /// The branch that is checked out.
    pub fn branch(&self) -> Option<String> {
        let head = self.repository.as_ref()?.head().ok()?;
        head.is_branch().then(|| head.shorthand().ok().map(str::to_owned)).flatten()
    }

    /// Its remotes, name and address, `origin` first: which source it is a clone of.
    pub fn remotes(&self) -> Vec<(String, String)> {
        let Some(repository) = &self.repository else { return Vec::new() };
        let Ok(names) = repository.remotes() else { return Vec::new() };
        let url = |name: &str| {
            let url = repository.find_remote(name).ok()?.url().ok()?.to_owned();
            Some((name.to_owned(), url))
        };
        let mut remotes: Vec<_> = names.iter().flatten().flatten().filter_map(url).collect();
        remotes.sort_by_key(|(name, _)| name != "origin");
        remotes
    }

    /// A path on the disk as a path from the top; `None` when it lies elsewhere.
    pub fn relative(&self, path: &Path) -> Option<String> {
        // The last part may be a link: it is named, not followed.
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new(".")).canonicalize().ok()?;
        let full = match path.file_name() {
            Some(name) => above.join(name),
            None => path.canonicalize().ok()?,
        };
        full.strip_prefix(&self.root).ok()?.to_str().map(str::to_owned)
    }

    /// Whether what lies at `path` came, or may have come, with the clone: it is in the commit that is
    /// checked out, or in the index.
    pub fn tracks(&self, path: &Path) -> bool {
        let (Some(repository), Some(path)) = (&self.repository, self.relative(path)) else {
            return false;
        };
        let path = Path::new(&path);
        let is_staged = repository.index().is_ok_and(|index| index.get_path(path, 0).is_some());
        let tree = repository.head().and_then(|head| head.peel_to_tree());
        is_staged || tree.is_ok_and(|tree| tree.get_path(path).is_ok())
    }

    /// Every entry below a folder (`""`: all), sorted by path, with the ids that Git would give the
    /// bytes as they lie there; and of each regular file those bytes, read once, unless there are
    /// more than `max` of them. Paths start at the top.
    ///
    /// # Errors
    /// `TooMany` beyond `limit`, `Missing` when there is no such folder, `Io` for what cannot be read.
    pub fn files(
        &self,
        folder: &str,
        limit: usize,
        max: u64,
    ) -> Result<Vec<(Entry, Option<Blob>)>, GitError> {
        let missing = |text: String| GitError::Missing {
            what: format!("folder `{}`", escape(folder.as_bytes())),
            text,
        };
        let parts = path::parts(folder).map_err(|problem| missing(problem.to_string()))?;
        let start =
            self.plain_folder(&parts).ok_or_else(|| missing("there is no such folder".into()))?;
        let mut walk = Walk { copy: self, limit, max, met: 0, found: Vec::new() };
        walk.below(&start, &parts.join("/"))?;
        let mut found = walk.found;
        found.sort_by(|(a, _), (b, _)| a.path.cmp(&b.path));
        Ok(found)
    }

    /// A file's bytes; `None` when nothing or something else than a regular file stands there.
    ///
    /// # Errors
    /// `Io` when it cannot be read.
    pub fn read(&self, path: &str, max: u64) -> Result<Option<Blob>, GitError> {
        let Ok(parts) = path::parts(path) else { return Ok(None) };
        let Some((last, folders)) = parts.split_last() else { return Ok(None) };
        let Some(folder) = self.plain_folder(folders) else { return Ok(None) };
        let full = folder.join(last);
        let doing = || format!("reading `{path}`");
        match std::fs::symlink_metadata(&full) {
            Ok(meta) if meta.is_file() => {}
            Ok(_) => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io(doing())(error)),
        }
        let read = read_file(&full, max).map_err(io(doing()))?;
        Ok(read.map(|(blob, _)| blob))
    }

    /// A folder below the top, none of whose parts is a link.
    fn plain_folder(&self, parts: &[&str]) -> Option<PathBuf> {
        let mut at = self.root.clone();
        for part in parts {
            at.push(part);
            if !std::fs::symlink_metadata(&at).ok()?.is_dir() {
                return None;
            }
        }
        at.is_dir().then_some(at)
    }

    fn is_ignored(&self, path: &str, is_folder: bool) -> bool {
        let Some(repository) = &self.repository else { return false };
        // Asked first: it costs less than looking for the rules of every folder above.
        if self.is_tracked(path) {
            return false;
        }
        // A trailing slash is how libgit2 is told that rules for folders apply.
        let asked = if is_folder { format!("{path}/") } else { path.to_owned() };
        repository.is_path_ignored(asked).unwrap_or(false)
    }

    /// What stands for the id of a file that is too large to be read: the index's, where that has the file as it
    /// stands, else one that no file has whose bytes were read.
    fn unread_id(&self, path: &str, full: &Path, size: u64) -> ObjectId {
        let index = self.repository.as_ref().and_then(|repository| repository.index().ok());
        let entry = index.and_then(|index| index.get_path(Path::new(path), 0));
        let written =
            std::fs::symlink_metadata(full).ok().map(|meta| (meta.mtime(), meta.mtime_nsec()));
        let is_same = |entry: &git2::IndexEntry| {
            let at = (i64::from(entry.mtime.seconds()), i64::from(entry.mtime.nanoseconds()));
            // Git keeps the last 32 bits of a size.
            u64::from(entry.file_size) == size & u64::from(u32::MAX) && written == Some(at)
        };
        match entry.filter(is_same) {
            Some(entry) => id(entry.id),
            None => blob_id(format!("{size} bytes at {path}, written {written:?}").as_bytes()),
        }
    }

    /// What is in the index is not ignored, whatever the rules say.
    fn is_tracked(&self, path: &str) -> bool {
        let index = self.repository.as_ref().and_then(|repository| repository.index().ok());
        let Some(index) = index else { return false };
        if index.get_path(Path::new(path), 0).is_some() {
            return true;
        }
        index.find_prefix(Path::new(&format!("{path}/"))).is_ok()
    }
}

/// A file's bytes, and the permissions that it bears; `None` when it is no regular file. Nothing is
/// followed or waited for.
fn read_file(path: &Path, max: u64) -> std::io::Result<Option<(Blob, u32)>> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let mut options = std::fs::OpenOptions::new();
    let file = options.read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Ok(None);
    }
    let (size, mode) = (meta.len(), meta.permissions().mode());
    if size > max {
        return Ok(Some((Blob::TooLarge(size), mode)));
    }
    // It may grow while it is read. Room for one byte more, and its end is seen without another look.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    file.take(max + 1).read_to_end(&mut bytes)?;
    Ok(Some(match bytes.len() as u64 {
        read if read > max => (Blob::TooLarge(read), mode),
        _ => (Blob::Bytes(bytes), mode),
    }))
}

/// The id that Git would give to these bytes as a file.
pub fn blob_id(bytes: &[u8]) -> ObjectId {
    id(Oid::hash_object(ObjectType::Blob, bytes).expect("bytes in memory can be hashed"))
}

struct Walk<'c> {
    copy: &'c WorkingCopy,
    limit: usize,
    max: u64,
    met: usize,
    found: Vec<(Entry, Option<Blob>)>,
}

impl Walk<'_> {
    fn below(&mut self, folder: &Path, prefix: &str) -> Result<(), GitError> {
        let doing = || format!("reading folder `{}`", folder.display());
        for entry in std::fs::read_dir(folder).map_err(io(doing()))? {
            let entry = entry.map_err(io(doing()))?;
            self.met += 1;
            if self.met > self.limit {
                return Err(GitError::TooMany { limit: self.limit });
            }
            let name = entry.file_name();
            let kind = match entry.file_type() {
                Ok(kind) => kind,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(io(doing())(error)),
            };
            // The repository's own: a folder, or in a worktree a file. Others are reported.
            if name == ".git" && prefix.is_empty() {
                continue;
            }
            self.one(&entry.path(), name.as_bytes(), kind, prefix)?;
        }
        Ok(())
    }

    fn one(
        &mut self,
        full: &Path,
        name: &[u8],
        kind: std::fs::FileType,
        prefix: &str,
    ) -> Result<(), GitError> {
        let join = |name: &str| {
            if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
        };
        let nothing = ObjectId([0; 20]);
        let without = |path, kind| (Entry { path, kind, id: nothing }, None);
        let problem = |path, problem| without(path, Kind::Unsafe(problem));
        let path = match path::check(name) {
            Ok(name) if join(name).len() <= PATH_MAX => join(name),
            Ok(name) => {
                self.found.push(problem(join(name), PathProblem::TooLong));
                return Ok(());
            }
            Err(found) => {
                self.found.push(problem(join(&escape(name)), found));
                return Ok(());
            }
        };
        if self.copy.is_ignored(&path, kind.is_dir()) {
            return Ok(());
        }
        if kind.is_dir() {
            // Another repository inside this one: Git would record its commit, not its files.
            if self.copy.repository.is_some() && full.join(".git").exists() {
                self.found.push(without(path, Kind::Submodule));
                return Ok(());
            }
            return self.below(full, &path);
        }
        let doing = || format!("reading `{path}`");
        let entry = if kind.is_symlink() {
            let to = std::fs::read_link(full).map_err(io(doing()))?;
            (Entry { id: blob_id(to.as_os_str().as_bytes()), kind: Kind::Link, path }, None)
        } else if kind.is_file() {
            match read_file(full, self.max) {
                Ok(Some((blob, mode))) => {
                    let id = match &blob {
                        Blob::Bytes(bytes) => blob_id(bytes),
                        Blob::TooLarge(size) => self.copy.unread_id(&path, full, *size),
                    };
                    let kind = if mode & 0o100 == 0 { Kind::File } else { Kind::Executable };
                    (Entry { path, kind, id }, Some(blob))
                }
                Ok(None) => problem(path, PathProblem::NotAFile),
                // One file that is somebody else's does not keep the others from being read.
                Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                    problem(path, PathProblem::NotReadable)
                }
                Err(error) => return Err(io(doing())(error)),
            }
        } else {
            problem(path, PathProblem::NotAFile)
        };
        self.found.push(entry);
        Ok(())
    }
}
