//! A bare repository of ours that follows one branch of another.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use git2::{ErrorCode, Oid, Repository};

use super::child::{self, Ended};
use super::error::{GitError, git2 as git2_error, io};
use super::location::Location;
use super::lock;
use super::transport::Transport;
use crate::fault::point;
use crate::model::Revision;

/// Repositories kept open between calls; more than that many readers at once open their own.
const POOLED: usize = 8;

/// A bare repository that follows one branch. Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Mirror {
    pub(super) inner: Arc<Inner>,
}

pub(super) struct Inner {
    /// The repository itself: for a mirror the folder, for a clone its `.git`.
    pub folder: PathBuf,
    /// Nothing for a repository that we only read.
    pub remote: Option<Remote>,
    pool: Mutex<Vec<Repository>>,
    /// Set when an object did not match its id: the next fetch clones anew.
    suspect: AtomicBool,
    /// Set until what a stopped `git` may have left is removed.
    uncleaned: AtomicBool,
    /// One fetch, push or upkeep at a time.
    pub turn: tokio::sync::Mutex<()>,
}

pub(super) struct Remote {
    pub location: Location,
    pub transport: Arc<Transport>,
}

impl std::fmt::Debug for Mirror {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Mirror").field(&self.inner.folder).finish()
    }
}

impl Remote {
    /// The followed branch into our ref.
    fn branch_spec(&self) -> String {
        format!("+{}:{}", self.location.remote_ref(), self.location.fetched_ref())
    }
}

impl Mirror {
    /// Opens the mirror in `folder`, or makes an empty one. Reaches nothing but the disk.
    ///
    /// # Errors
    /// `Io` and `Git2` when the disk refuses, `Refused` for a location that is not allowed.
    pub fn open(
        folder: &Path,
        location: Location,
        transport: Arc<Transport>,
    ) -> Result<Self, GitError> {
        // The fields are public: nothing reaches a child that `parse` has not seen.
        Location::parse(&location.url, &location.branch, location.trust)?;
        transport.check(&location)?;
        let doing = || format!("making the folder of mirror `{}`", folder.display());
        let above = folder.parent().unwrap_or(Path::new("/"));
        std::fs::create_dir_all(above).map_err(io(doing()))?;
        let above = above.canonicalize().map_err(io(doing()))?;
        let folder = above.join(folder.file_name().unwrap_or(OsStr::new("mirror")));

        let (file, path) = lock::file(&folder)?;
        let mut alone = lock::try_take(&file)?;
        if !alone {
            lock::free_from_the_dead(&path);
            alone = lock::try_take(&file)?;
        }
        let mut opened = Repository::open_bare(&folder);
        if opened.is_err() {
            // Not there or not readable: it is (re)made, by one process at a time.
            for _ in 0..500 {
                if alone {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(10));
                alone = lock::try_take(&file)?;
            }
            opened = Repository::open_bare(&folder);
        }
        if alone {
            for leftover in [beside(&folder, "new"), beside(&folder, "old")] {
                let _ = std::fs::remove_dir_all(leftover);
            }
            lock::clean(&folder);
        }
        let repository = match opened {
            Ok(repository) => repository,
            Err(error) if alone => {
                if folder.exists() {
                    tracing::warn!(path = %folder.display(), error = error.message(), "mirror cannot be opened: starting a new one");
                    std::fs::remove_dir_all(&folder).map_err(io(doing()))?;
                }
                init(&folder)?
            }
            Err(error) => return Err(git2_error(format!("opening `{}`", folder.display()))(error)),
        };
        let inner = Inner {
            folder,
            remote: Some(Remote { location, transport }),
            pool: Mutex::new(vec![repository]),
            suspect: AtomicBool::new(false),
            uncleaned: AtomicBool::new(!alone),
            turn: tokio::sync::Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The objects of somebody's clone or bare repository, to be read only.
    ///
    /// # Errors
    /// `Missing` when there is no repository, `Refused` for one of an unsupported format.
    pub fn open_local(repository: &Path) -> Result<Self, GitError> {
        let what = format!("repository `{}`", repository.display());
        let opened = Repository::open_ext(
            repository,
            git2::RepositoryOpenFlags::NO_SEARCH,
            std::iter::empty::<&OsStr>(),
        );
        let opened = opened.map_err(|error| match error.code() {
            ErrorCode::NotFound => {
                GitError::Missing { what: what.clone(), text: error.message().to_owned() }
            }
            ErrorCode::Owner => {
                let text = "it belongs to another user".to_owned();
                GitError::Refused { code: "SRC001", what: what.clone(), text }
            }
            _ => git2_error(format!("opening {what}"))(error),
        })?;
        let inner = Inner {
            folder: opened.path().to_owned(),
            remote: None,
            pool: Mutex::new(vec![opened]),
            suspect: AtomicBool::new(false),
            uncleaned: AtomicBool::new(false),
            turn: tokio::sync::Mutex::new(()),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Where the branch lies; `None` for a repository that is only read.
    pub fn location(&self) -> Option<&Location> {
        self.inner.remote.as_ref().map(|remote| &remote.location)
    }

    /// Fetches the branch and gives its tip. A branch that is where it was costs nothing for a local
    /// repository, and one `git fetch` for another.
    ///
    /// # Errors
    /// `Missing` when the branch or the repository is not there, `Unavailable` when nobody knows;
    /// after any error the last tip and its objects are as they were.
    pub async fn fetch(&self) -> Result<Option<Revision>, GitError> {
        let remote = self.remote()?;
        let turn = self.inner.turn.lock().await;
        // A ref or commit that cannot be read makes the mirror suspect.
        let before = match self.tip() {
            Err(GitError::Corrupt { .. }) => None,
            other => other?,
        };
        if self.inner.suspect.load(Ordering::Relaxed) {
            self.clone_anew(remote).await?;
            drop(turn);
            return self.tip();
        }
        if let Some(tip) = self.local_tip(remote)
            && before.as_ref() == Some(&tip)
        {
            return Ok(before);
        }
        let lock = self.lock(remote).await?;
        match fetch_into(remote, &self.inner.folder, lock, &[remote.branch_spec()]).await {
            Err(GitError::Corrupt { what, text }) => {
                tracing::warn!(what, text, "mirror is damaged: cloning anew");
                self.clone_anew(remote).await?;
            }
            other => other?,
        }
        drop(turn);
        let tip = self.tip()?;
        if tip != before {
            self.forget_open();
        }
        Ok(tip)
    }

    /// Fetches other refs than the branch.
    pub(super) async fn fetch_specs(&self, specs: &[String]) -> Result<(), GitError> {
        let remote = self.remote()?;
        let turn = self.inner.turn.lock().await;
        let lock = self.lock(remote).await?;
        let fetched = fetch_into(remote, &self.inner.folder, lock, specs).await;
        drop(turn);
        self.forget_open();
        fetched
    }

    /// The branch's tip at the last fetch or push; `None` before the first.
    ///
    /// # Errors
    /// `Corrupt` when the ref or its commit cannot be read.
    pub fn tip(&self) -> Result<Option<Revision>, GitError> {
        let Some(remote) = &self.inner.remote else { return self.branch_tip("HEAD") };
        self.branch_tip(&remote.location.fetched_ref())
    }

    /// The commit of a whole ref name, such as `refs/heads/main`; `None` when there is no such ref.
    ///
    /// # Errors
    /// `Corrupt` when the ref or its commit cannot be read.
    pub fn branch_tip(&self, name: &str) -> Result<Option<Revision>, GitError> {
        self.with(|repository| {
            let corrupt = |error: git2::Error| GitError::Corrupt {
                what: format!("ref `{name}`"),
                text: error.message().to_owned(),
            };
            let id = match repository.refname_to_id(name) {
                Ok(id) => id,
                Err(error)
                    if matches!(error.code(), ErrorCode::NotFound | ErrorCode::UnbornBranch) =>
                {
                    return Ok(None);
                }
                Err(error) => return Err(corrupt(error)),
            };
            // A ref whose commit is not there is what a power cut leaves behind.
            repository.find_commit(id).map_err(corrupt)?;
            Ok(Some(revision(id)))
        })
    }

    /// The branch's tip in a local repository, without a process. `None`: ask `git`, which says why.
    fn local_tip(&self, remote: &Remote) -> Option<Revision> {
        let path = remote.location.local_path()?;
        let name = remote.location.remote_ref();
        // No search and no owner's check: the operator named this path, and one ref is read.
        let inside = path.join(".git");
        let git_dir = if inside.is_dir() { inside } else { path };
        Repository::open_bare(git_dir).ok()?.refname_to_id(&name).ok().map(revision)
    }

    pub(super) fn remote(&self) -> Result<&Remote, GitError> {
        self.inner.remote.as_ref().ok_or_else(|| GitError::Refused {
            code: "SRC001",
            what: format!("repository `{}`", self.inner.folder.display()),
            text: "it is only read".into(),
        })
    }

    /// Takes the lock on the files and removes what a stopped `git` left, once.
    pub(super) async fn lock(&self, remote: &Remote) -> Result<File, GitError> {
        let lock = lock::take(&self.inner.folder, remote.transport.deadline).await?;
        point!("git.lock.after")?;
        if self.inner.uncleaned.swap(false, Ordering::Relaxed) {
            lock::clean(&self.inner.folder);
        }
        Ok(lock)
    }

    /// Runs `git` in this mirror; a child that had to be killed leaves something to clean.
    pub(super) async fn git(
        &self,
        remote: &Remote,
        reach: Option<&Location>,
        args: &[&OsStr],
    ) -> Result<Ended, GitError> {
        let lock = self.lock(remote).await?;
        let transport = &remote.transport;
        let environment = match reach {
            Some(location) => transport.environment(Some(location)).await?,
            None => transport.local_environment()?,
        };
        self.inner.uncleaned.store(true, Ordering::Relaxed);
        let ended = child::run(transport, environment, &self.inner.folder, lock, args).await?;
        if ended.status.is_some() {
            self.inner.uncleaned.store(false, Ordering::Relaxed);
        }
        Ok(ended)
    }

    /// Clones into a folder beside this one and swaps the two.
    async fn clone_anew(&self, remote: &Remote) -> Result<(), GitError> {
        let folder = &self.inner.folder;
        let lock = self.lock(remote).await?;
        let copy = lock.try_clone().map_err(io("locking a mirror"))?;
        let new = beside(folder, "new");
        let _ = std::fs::remove_dir_all(&new);
        drop(init(&new)?);
        fetch_into(remote, &new, copy, &[remote.branch_spec()]).await?;
        let old = beside(folder, "old");
        let _ = std::fs::remove_dir_all(&old);
        let doing = || format!("replacing the damaged mirror `{}`", folder.display());
        // Killed between the two: `open` finds no folder and starts an empty one.
        point!("git.swap.before")?;
        std::fs::rename(folder, &old).map_err(io(doing()))?;
        point!("git.swap.between")?;
        std::fs::rename(&new, folder).map_err(io(doing()))?;
        point!("git.swap.after")?;
        self.forget_open();
        self.inner.suspect.store(false, Ordering::Relaxed);
        let _ = std::fs::remove_dir_all(&old);
        drop(lock);
        Ok(())
    }

    /// Reads with an open repository. What looks damaged is looked at once more with a fresh one:
    /// packs may have been replaced meanwhile. Then it is damaged.
    pub(super) fn with<T>(
        &self,
        mut read: impl FnMut(&Repository) -> Result<T, GitError>,
    ) -> Result<T, GitError> {
        let pooled = self.pool().pop();
        let repository = match pooled {
            Some(repository) => repository,
            None => self.open_again()?,
        };
        let first = read(&repository);
        if !matches!(first, Err(GitError::Corrupt { .. })) {
            let mut pool = self.pool();
            if pool.len() < POOLED {
                pool.push(repository);
            }
            return first;
        }
        drop(repository);
        self.forget_open();
        let again = read(&self.open_again()?);
        if let Err(GitError::Corrupt { .. }) = again {
            self.suspect();
        }
        again
    }

    /// The next fetch clones anew.
    pub(super) fn suspect(&self) {
        self.inner.suspect.store(true, Ordering::Relaxed);
    }

    fn open_again(&self) -> Result<Repository, GitError> {
        let folder = &self.inner.folder;
        Repository::open_bare(folder).map_err(git2_error(format!("opening `{}`", folder.display())))
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Repository>> {
        // A reader that panicked left nothing half done: repositories are only read.
        self.inner.pool.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn forget_open(&self) {
        self.pool().clear();
    }
}

/// `git fetch` of refs into refs of ours, in one transaction of `git`'s own.
async fn fetch_into(
    remote: &Remote,
    folder: &Path,
    lock: File,
    specs: &[String],
) -> Result<(), GitError> {
    let Remote { location, transport } = remote;
    let args = [
        "fetch",
        "--quiet",
        "--no-tags",
        "--no-write-fetch-head",
        "--no-auto-maintenance",
        "--no-recurse-submodules",
        "--no-show-forced-updates",
        "--end-of-options",
        &location.url,
    ];
    let specs = specs.iter().map(String::as_str);
    let args: Vec<&OsStr> = args.into_iter().chain(specs).map(OsStr::new).collect();
    let environment = transport.environment(Some(location)).await?;
    point!("git.fetch.before")?;
    let ended = child::run(transport, environment, folder, lock, &args).await?;
    if ended.success() {
        return Ok(point!("git.fetch.after")?);
    }
    if ended.status.is_none() {
        lock::clean(folder);
    }
    Err(super::outcome::failed_fetch(location, transport, &ended))
}

/// An empty bare repository, complete before it is seen.
fn init(folder: &Path) -> Result<Repository, GitError> {
    let doing = || format!("making mirror `{}`", folder.display());
    let mut options = git2::RepositoryInitOptions::new();
    options.bare(true).external_template(false).mkpath(true).initial_head("vend");
    let repository = Repository::init_opts(folder, &options).map_err(git2_error(doing()))?;
    let mut config = repository.config().map_err(git2_error(doing()))?;
    // A mirror can be had again: what a power cut damages is found by hash and cloned anew. Waiting
    // for the disk would double the time of a small fetch. Set here, so that the repositories that
    // are pushed to keep their own rule.
    for (key, value) in [
        ("core.fsync", "none"),
        ("core.logAllRefUpdates", "false"),
        ("pack.threads", "2"),
        ("core.bigFileThreshold", "16m"),
    ] {
        config.set_str(key, value).map_err(git2_error(doing()))?;
    }
    Ok(repository)
}

fn beside(folder: &Path, suffix: &str) -> PathBuf {
    let mut name = folder.file_name().unwrap_or_default().to_owned();
    name.push(".");
    name.push(suffix);
    folder.with_file_name(name)
}

/// An id of ours from one of libgit2's.
pub(super) fn revision(id: Oid) -> Revision {
    Revision::new(id.to_string())
}

/// An id of libgit2's from one of ours.
pub(super) fn oid(revision: &Revision) -> Result<Oid, GitError> {
    let text = revision.as_str();
    let missing = || GitError::Missing {
        what: format!("revision `{}`", super::escape(text.as_bytes())),
        text: "expected 40 hexadecimal digits".into(),
    };
    if text.len() != 40 {
        return Err(missing());
    }
    Oid::from_str(text).map_err(|_| missing())
}
