//! Sources: what is fetched, and whether it may be believed.
//!
//! A fetch that fails keeps the last good commit; a branch that went away, a history that was
//! rewritten or a folder that vanished holds everything of that source. None of them ever reads as
//! "empty".

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use tracing::field::{Empty, display};
use tracing::{Instrument as _, Span};

use super::PassError;
use crate::catalog::{PathIs, Pattern};
use crate::config::Settings;
use crate::error::chain;
use crate::fault::planted;
use crate::git::{GitError, Location, Mirror, Transport, Trust};
use crate::model::{RequestId, Revision, SourceName, SourceProblem, SourceRecord};
use crate::trace;

/// The catalog's name among the sources.
pub const CATALOG: &str = "catalog";

/// One repository, branch and folder that vend reads.
#[derive(Clone)]
pub struct Source {
    /// Its name in messages and records.
    pub name: SourceName,
    /// Address and branch, for people.
    pub location: String,
    /// The folder that is read.
    pub folder: String,
    /// How a path tells the identity; `None` for the catalog.
    pub pattern: Option<Pattern>,
    /// Teams that may ask here; everybody when empty.
    pub teams: Vec<String>,
    mirror: Mirror,
}

/// A source at the commit that this pass works on.
#[derive(Clone)]
pub struct Snapshot {
    /// The source.
    pub source: Source,
    /// The commit in use; `None`: nothing was ever fetched.
    pub commit: Option<Revision>,
    /// What is wrong with it now.
    pub problem: Option<SourceProblem>,
}

impl Source {
    /// Its objects.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Reads from `mirror`.
    pub fn new(
        name: SourceName,
        location: String,
        folder: String,
        pattern: Option<Pattern>,
        teams: Vec<String>,
        mirror: Mirror,
    ) -> Self {
        Self { name, location, folder, pattern, teams, mirror }
    }
}

/// All that vend reads.
pub struct Sources {
    /// The catalog.
    pub catalog: Source,
    /// The requests, in the configured order.
    pub requests: Vec<Source>,
    /// Fetches that outlasted a pass.
    slow: Mutex<BTreeMap<SourceName, FetchTask>>,
    /// When all of them were last fetched well.
    fetched: Mutex<Option<std::time::Instant>>,
}

/// The folder of mirrors below the state folder.
pub fn mirror_folder(state: &Path, location: &str) -> std::path::PathBuf {
    state
        .join("mirrors")
        .join(format!("{}.git", &crate::digest::sha256(location.as_bytes()).hex()[..16]))
}

/// Opens the mirror of a repository that the operator named.
pub fn open_mirror(
    state: &Path,
    repository: &str,
    branch: &str,
    transport: &Arc<Transport>,
) -> Result<(String, Mirror), GitError> {
    let location = Location::parse(repository, branch, Trust::Operator)?;
    let label = format!("{repository}#{branch}");
    let mirror = Mirror::open(&mirror_folder(state, &label), location, transport.clone())?;
    Ok((label, mirror))
}

impl Sources {
    /// Opens the mirrors of everything that `settings` name.
    pub fn open(
        settings: &Settings,
        state: &Path,
        transport: &Arc<Transport>,
    ) -> Result<Self, PassError> {
        let open = |repository: &str, branch: &str, name: &str| {
            open_mirror(state, repository, branch, transport)
                .map_err(|source| PassError::Source { name: SourceName::new(name), source })
        };
        let crate::config::Folder { repository, branch, path } = &settings.catalog;
        let (location, mirror) = open(repository, branch, CATALOG)?;
        let catalog =
            Source::new(SourceName::new(CATALOG), location, path.clone(), None, Vec::new(), mirror);
        let requests = settings.requests.iter().map(|r| {
            let crate::config::RequestSource { name, repository, branch, path, pattern, teams } = r;
            let (location, mirror) = open(repository, branch, name.as_str())?;
            let pattern = Pattern::parse(pattern)
                .map_err(|e| PassError::Pattern { name: name.clone(), message: e.to_string() })?;
            Ok(Source::new(
                name.clone(),
                location,
                path.clone(),
                Some(pattern),
                teams.clone(),
                mirror,
            ))
        });
        let requests = requests.collect::<Result<_, PassError>>()?;
        Ok(Self { catalog, requests, slow: Mutex::default(), fetched: Mutex::default() })
    }

    /// Every source, the catalog first.
    pub fn all(&self) -> impl Iterator<Item = &Source> {
        std::iter::once(&self.catalog).chain(&self.requests)
    }

    /// The one of that name.
    pub fn named(&self, name: &SourceName) -> Option<&Source> {
        self.all().find(|source| source.name == *name)
    }

    /// Fetches all of them at once. A source that takes its time holds nobody up: what it had stays
    /// in use, its fetch goes on, and a later pass takes what came of it.
    pub async fn fetch(&self) -> Vec<Fetched> {
        let began: Vec<_> = self.all().map(|source| (source.clone(), self.begin(source))).collect();
        let until = tokio::time::Instant::now() + PATIENCE;
        let mut fetched = Vec::with_capacity(began.len());
        for (source, mut task) in began {
            // A first fetch is a whole clone, without which there is nothing to go on with.
            let is_first = !matches!(source.mirror.tip(), Ok(Some(_)));
            let answer = if is_first {
                Some((&mut task).await)
            } else {
                tokio::time::timeout_at(until, &mut task).await.ok()
            };
            let answer = match answer {
                Some(Ok(answer)) => answer,
                Some(Err(error)) => Err(GitError::Unavailable {
                    what: format!("fetch of `{}`", source.name),
                    text: error.to_string(),
                }),
                None => {
                    self.slow().insert(source.name.clone(), task);
                    Err(GitError::Unavailable {
                        what: format!("fetch of `{}`", source.name),
                        text: "it takes long and goes on".into(),
                    })
                }
            };
            fetched.push(Fetched { source, answer });
        }
        let whole = fetched.iter().all(|f| matches!(f.answer, Ok(Some(_))));
        *self.last() = whole.then(std::time::Instant::now);
        fetched
    }

    /// What was fetched last, if all of it was fetched well and no longer ago than `within`: a pass
    /// that only asks what is under way need not bother the servers.
    pub fn recall(&self, within: std::time::Duration) -> Option<Vec<Fetched>> {
        let last = (*self.last())?;
        let one = |source: &Source| {
            let tip = source.mirror.tip().ok()??;
            Some(Fetched { source: source.clone(), answer: Ok(Some(tip)) })
        };
        (last.elapsed() < within).then(|| self.all().map(one).collect()).flatten()
    }

    fn last(&self) -> std::sync::MutexGuard<'_, Option<std::time::Instant>> {
        self.fetched.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// A fetch of the source: the one that is still going on, else a new one.
    fn begin(&self, source: &Source) -> FetchTask {
        let going_on = self.slow().remove(&source.name);
        going_on.unwrap_or_else(|| {
            let mirror = source.mirror.clone();
            let span = tracing::debug_span!(
                "fetch",
                "vend.source" = %source.name,
                "vcs.ref.head.revision" = Empty
            );
            let fetch = async move {
                let fetched = mirror.fetch().await;
                let span = Span::current();
                match &fetched {
                    Ok(Some(tip)) => {
                        span.record("vcs.ref.head.revision", display(tip));
                    }
                    Ok(None) => {}
                    Err(_) => trace::failed(&span),
                }
                fetched
            };
            tokio::spawn(fetch.instrument(span))
        })
    }

    fn slow(&self) -> std::sync::MutexGuard<'_, BTreeMap<SourceName, FetchTask>> {
        self.slow.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How long a pass waits for sources that it has a commit of, all together.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

type FetchTask = tokio::task::JoinHandle<Result<Option<Revision>, GitError>>;

/// A source with what its repository answered.
pub struct Fetched {
    /// The source.
    pub source: Source,
    answer: Result<Option<Revision>, GitError>,
}

impl Fetched {
    /// The answer in one word: the same word again means that nothing is new.
    pub fn word(&self) -> String {
        match &self.answer {
            Ok(Some(tip)) => tip.to_string(),
            Ok(None) | Err(GitError::Missing { .. }) => "missing".into(),
            Err(_) => "unavailable".into(),
        }
    }

    /// Decides which commit may be believed.
    pub fn settle(self, record: &SourceRecord, now: Timestamp) -> Snapshot {
        settle(self.source, record, self.answer, now)
    }
}

/// What a fetch's answer makes of a source.
fn settle(
    source: Source,
    record: &SourceRecord,
    fetched: Result<Option<Revision>, GitError>,
    now: Timestamp,
) -> Snapshot {
    let since = match &record.problem {
        Some(SourceProblem::Stale { since, .. } | SourceProblem::Missing { since, .. }) => *since,
        _ => now,
    };
    let (commit, problem) = match fetched {
        Ok(Some(tip)) => match rewritten(&source.mirror, record, &tip) {
            Ok(false) => (Some(tip), None),
            Ok(true) => {
                let last = record.commit.clone().unwrap_or_else(|| tip.clone());
                (record.commit.clone(), Some(SourceProblem::HistoryRewritten { last, tip }))
            }
            Err(error) => {
                (record.commit.clone(), Some(SourceProblem::Stale { error: chain(&error), since }))
            }
        },
        Ok(None) => {
            let error = "the branch is not there".to_owned();
            (record.commit.clone(), Some(SourceProblem::Missing { error, since }))
        }
        Err(error @ GitError::Missing { .. }) => {
            (record.commit.clone(), Some(SourceProblem::Missing { error: chain(&error), since }))
        }
        Err(error) => {
            (record.commit.clone(), Some(SourceProblem::Stale { error: chain(&error), since }))
        }
    };
    folder_check(Snapshot { source, commit, problem }, record, since)
}

/// Whether `tip` fails to descend from the last good commit without a person having accepted it.
fn rewritten(mirror: &Mirror, record: &SourceRecord, tip: &Revision) -> Result<bool, GitError> {
    let Some(last) = &record.commit else { return Ok(false) };
    if planted!("rewrite-unseen") || last == tip || record.accepted.as_ref() == Some(tip) {
        return Ok(false);
    }
    match mirror.is_ancestor(last, tip) {
        Ok(descends) => Ok(!descends),
        // The last commit is not in this history at all: rewritten, or another repository under the
        // same name. Neither may empty what the former one asked for.
        Err(GitError::Missing { .. }) => Ok(true),
        Err(error) => Err(error),
    }
}

/// A folder that was there and is not in the new commit holds the source: an emptied, moved or
/// misconfigured folder never reads as "delete everything". A person may accept that very commit.
fn folder_check(mut snapshot: Snapshot, record: &SourceRecord, since: Timestamp) -> Snapshot {
    let (Some(commit), None) = (&snapshot.commit, &snapshot.problem) else { return snapshot };
    if planted!("no-folder-is-empty") || record.accepted.as_ref() == Some(commit) {
        return snapshot;
    }
    let folder = snapshot.source.watched_folder();
    let mirror = snapshot.source.mirror();
    let there = |at: &Revision| mirror.tree(at, &folder).map(|t| t.is_some());
    let was_there = match &record.commit {
        // Another folder than the one that was read may be a mistake in the configuration.
        Some(_) if record.location != snapshot.source.place() => true,
        Some(last) => there(last).unwrap_or(true),
        None => false,
    };
    match there(commit) {
        Ok(true) => {}
        Ok(false) if !was_there => {}
        Ok(false) => {
            let tip = commit.clone();
            snapshot.problem = Some(SourceProblem::FolderMissing { path: folder, tip });
            snapshot.commit = record.commit.clone();
        }
        Err(error) => {
            snapshot.problem = Some(SourceProblem::Stale { error: chain(&error), since });
            snapshot.commit = record.commit.clone();
        }
    }
    snapshot
}

impl Source {
    /// Repository, branch and folder in one, to notice that it became another one.
    pub fn place(&self) -> String {
        format!("{}:{}", self.location, self.watched_folder())
    }

    /// Where the file of a request lies; `None` for the catalog.
    pub fn path_of(&self, id: &RequestId) -> Option<String> {
        Some(join(&self.folder, &self.pattern.as_ref()?.path(id)))
    }

    /// The deepest folder that holds everything of this source: the configured folder with the
    /// pattern's fixed start.
    pub fn watched_folder(&self) -> String {
        let fixed = self.pattern.as_ref().map_or("", |p| p.folder().trim_end_matches('/'));
        join(&self.folder, fixed)
    }

    /// The request whose file lies at a path of the repository, if any does.
    pub fn request_at(&self, path: &str) -> Option<RequestId> {
        let inner = match self.folder.trim_matches('/') {
            "" => path,
            folder => path.strip_prefix(folder)?.strip_prefix('/')?,
        };
        match self.pattern.as_ref()?.id(inner) {
            PathIs::Request(id) => Some(id),
            PathIs::Ignored | PathIs::Note(_) | PathIs::Bad(_) => None,
        }
    }
}

/// A path below a folder, either of which may be the root.
pub fn join(folder: &str, path: &str) -> String {
    let parts = [folder.trim_matches('/'), path];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/")
}
