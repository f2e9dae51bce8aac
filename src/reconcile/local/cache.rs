//! What is not in the working copy: catalog and status, from this disk or fetched and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::pass::read_files;
use super::super::source::{self, Source};
use super::super::{PassError, transport};
use crate::catalog::{self, Catalog};
use crate::config::Config;
use crate::forge::Forge;
use crate::git::{Blob, GitError, Kind, Location, Mirror, Transport, Trust, WorkingCopy};
use crate::model::{Diagnostic, File, Files, Revision, SourceName};

/// A catalog as it was found.
pub struct LocalCatalog {
    /// The catalog.
    pub catalog: Catalog,
    /// Its own problems.
    pub problems: Vec<Diagnostic>,
    /// Its files, for excerpts.
    pub files: Files,
    /// Where it came from, for people.
    pub origin: String,
    /// The folder that it lies in, when that is on this disk.
    pub folder: Option<PathBuf>,
    /// Its repository, and its folder from the top of that; `None` where it is in none.
    pub history: Option<(Mirror, String)>,
    /// It could not be fetched, and this is an earlier copy.
    pub stale: Option<Stale>,
}

/// A branch as it was fetched, now or earlier.
#[derive(Debug)]
pub struct Fetched {
    /// Its objects.
    pub mirror: Mirror,
    /// Its tip; `None`: there is no such branch.
    pub tip: Option<Revision>,
    /// It could not be fetched now.
    pub stale: Option<Stale>,
}

/// Why an earlier copy is used, and how old it is.
#[derive(Clone, Debug)]
pub struct Stale {
    /// Why it could not be fetched.
    pub error: String,
    /// When it was; `None` when nobody wrote that down.
    pub since: Option<Timestamp>,
}

/// Mirrors for what is not on this disk, fetched with the user's own git.
pub struct Cache {
    folder: PathBuf,
    transport: Arc<Transport>,
}

impl Cache {
    /// Keeps mirrors under `folder`.
    pub fn new(folder: PathBuf, config: Option<&Config>) -> Self {
        Self::with(folder, config, None)
    }

    /// Keeps mirrors under `folder`, and opens repositories on a forge with its tokens.
    pub fn with(folder: PathBuf, config: Option<&Config>, forge: Option<&Arc<dyn Forge>>) -> Self {
        let home = folder.join("git-home");
        let base = config.map(|c| transport(c, &folder, forge));
        let base = base.map_or_else(|| Transport::new(home.clone()), |t| (*t).clone());
        Self { transport: Arc::new(Transport { users_own: true, home, ..base }), folder }
    }

    /// A branch, fetched now; when that fails and an earlier fetch is there, that one.
    ///
    /// # Errors
    /// What the fetch failed with, when it never succeeded.
    pub async fn branch(
        &self,
        repository: &str,
        branch: &str,
        now: Timestamp,
    ) -> Result<Fetched, GitError> {
        let location = Location::parse(repository, branch, Trust::Operator)?;
        let folder = source::mirror_folder(&self.folder, &format!("{repository}#{branch}"));
        // Beside the mirror, which may be made anew at any time.
        let stamp = folder.with_extension("fetched");
        let mirror = Mirror::open(&folder, location, self.transport.clone())?;
        match mirror.fetch().await {
            Ok(tip) => {
                // Only a remark depends on it.
                let _ = std::fs::write(&stamp, format!("{now}\n"));
                Ok(Fetched { mirror, tip, stale: None })
            }
            Err(error) => match mirror.tip()? {
                Some(tip) => {
                    let since = std::fs::read_to_string(&stamp).ok();
                    let since = since.and_then(|text| text.trim().parse().ok());
                    let stale = Stale { error: crate::error::chain(&error), since };
                    Ok(Fetched { mirror, tip: Some(tip), stale: Some(stale) })
                }
                None => Err(error),
            },
        }
    }

    /// The catalog at a path or URL.
    ///
    /// # Errors
    /// `Source` when it is neither there nor in the cache.
    pub async fn catalog(
        &self,
        place: &str,
        branch: &str,
        folder: &str,
        max: u64,
        now: Timestamp,
    ) -> Result<LocalCatalog, PassError> {
        let name = || SourceName::new(source::CATALOG);
        let fail = |source| PassError::Source { name: name(), source };
        let (files, origin, stale, disk, history) = match work_tree(place) {
            Some(path) => {
                let disk = path.join(folder);
                let files = disk_files(&disk, max).map_err(fail)?;
                let history = history_of(&disk).map_err(fail)?;
                (files, path.display().to_string(), None, Some(disk), history)
            }
            None => {
                let Fetched { mirror, tip, stale } =
                    self.branch(place, branch, now).await.map_err(fail)?;
                let tip = tip.ok_or_else(|| {
                    fail(GitError::Missing {
                        what: format!("branch `{branch}` of `{place}`"),
                        text: "there is no such branch".into(),
                    })
                })?;
                let origin = format!("{} at {}", shown(&mirror, place), tip.short());
                let history = Some((mirror.clone(), folder.to_owned()));
                let source =
                    Source::new(name(), place.into(), folder.into(), None, Vec::new(), mirror);
                (read_files(&source, &tip, max).map_err(fail)?, origin, stale, None, history)
            }
        };
        let (catalog, problems) = catalog::load(&files, None);
        Ok(LocalCatalog { catalog, problems, files, origin, folder: disk, history, stale })
    }
}

/// The files of a catalog at a commit of a repository on this disk, `folder` from its top.
///
/// # Errors
/// When its objects cannot be read.
pub fn files_at(
    mirror: Mirror,
    folder: &str,
    commit: &Revision,
    max: u64,
) -> Result<Files, GitError> {
    let name = SourceName::new(source::CATALOG);
    let source = Source::new(name, String::new(), folder.into(), None, Vec::new(), mirror);
    read_files(&source, commit, max)
}

/// The repository that a folder on this disk is in, and its path from the top of that.
fn history_of(folder: &Path) -> Result<Option<(Mirror, String)>, GitError> {
    let copy = WorkingCopy::discover(folder)?;
    let Some(repository) = copy.repository() else { return Ok(None) };
    let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let Some(inner) = real.strip_prefix(copy.root()).ok().and_then(Path::to_str) else {
        return Ok(None);
    };
    Ok(Some((Mirror::open_local(repository)?, inner.to_owned())))
}

/// An address without the password that somebody may have put in it.
fn shown(mirror: &Mirror, place: &str) -> String {
    mirror.location().map_or_else(|| place.to_owned(), Location::shown)
}

/// A folder with files on this disk, and not a bare repository.
fn work_tree(place: &str) -> Option<PathBuf> {
    let path = Path::new(place.strip_prefix("file://").unwrap_or(place));
    let bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    (path.is_dir() && !bare).then(|| path.to_owned())
}

/// More than this and somebody gave the wrong folder.
const MAX_FILES: usize = 1_000_000;

/// The files of a folder, as a tree of a commit would give them.
pub fn disk_files(folder: &Path, max: u64) -> Result<Files, GitError> {
    let copy = WorkingCopy::discover(folder)?;
    let inner = folder
        .canonicalize()
        .ok()
        .and_then(|f| Some(f.strip_prefix(copy.root()).ok()?.to_str()?.to_owned()));
    let (copy, inner) = match inner {
        Some(inner) => (copy, inner),
        None => (WorkingCopy::plain(folder), String::new()),
    };
    let mut files = Files::default();
    for (entry, blob) in copy.files(&inner, MAX_FILES, max)? {
        let path = entry
            .path
            .strip_prefix(inner.as_str())
            .unwrap_or(&entry.path)
            .trim_start_matches('/')
            .to_owned();
        let file = match entry.kind {
            Kind::File | Kind::Executable => match blob {
                Some(Blob::Bytes(bytes)) => File::Bytes(bytes.into()),
                Some(Blob::TooLarge(size)) => File::TooLarge(size),
                None => continue,
            },
            Kind::Link => File::Link,
            Kind::Submodule => File::Submodule,
            Kind::Unsafe(why) => File::Unsafe(why.to_string()),
        };
        files.0.insert(path, file);
    }
    Ok(files)
}
