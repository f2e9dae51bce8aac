//! Finding what a working copy does not hold: the catalog and the recorded state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::args::{Args, Elsewhere};
use super::failure::Failure;
use super::{context, output};
use crate::catalog::{self, RequestFile};
use crate::config::{Config, LimitSettings, RequestSource};
use crate::forge::Forge;
use crate::git::{GitError, Mirror, WorkingCopy};
use crate::model::{Attention, Counts, RequestId, RequestPhase, Revision};
use crate::reconcile::desired::Found;
use crate::reconcile::local::{
    Asked, Cache, Fetched, Landed, LocalCatalog, LocalRequests, Published, Sheets, Stale,
    same_repository,
};
use crate::reconcile::view::{Explanation, Overview};
use crate::report;

/// Everything that reading a working copy needs.
pub struct Bench {
    /// The configuration.
    pub config: Config,
    /// The catalog.
    pub catalog: LocalCatalog,
    /// The request files.
    pub requests: LocalRequests,
    cache: Cache,
}

/// Where mirrors of what is elsewhere are kept.
/// The cache of what is not on this disk.
pub fn cache(config: Option<&Config>) -> Result<Cache, Failure> {
    Ok(Cache::new(cache_folder()?, config))
}

fn cache_folder() -> Result<PathBuf, Failure> {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|p| p.is_absolute());
    let base = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")));
    let base = base.ok_or_else(|| {
        Failure::usage("neither XDG_CACHE_HOME nor HOME says where a cache may be kept")
    })?;
    Ok(base.join("vend"))
}

/// Opens the working copy around `at` as the source it is a clone of.
pub async fn open(
    args: &Args,
    config: Config,
    elsewhere: &Elsewhere,
    at: &Path,
) -> Result<Bench, Failure> {
    let cache = Cache::new(cache_folder()?, Some(&config));
    let catalog = catalog_of(args, &cache, &config, elsewhere).await?;
    let limits = &config.settings.limits;
    let copy = working_copy(&config, at)?;
    let source = matching(&config, &copy)?;
    let requests = LocalRequests::list(copy, source, limits.files, limits.file_bytes)?;
    Ok(Bench { config, catalog, requests, cache })
}

/// The clone around `at`; outside of Git the folder that the configuration lies in.
fn working_copy(config: &Config, at: &Path) -> Result<WorkingCopy, Failure> {
    let copy = WorkingCopy::discover(at)?;
    if copy.repository().is_some() {
        return Ok(folder_of_a_clone(config, &copy, at).unwrap_or(copy));
    }
    let folder =
        std::path::absolute(&config.path).ok().and_then(|p| p.parent()?.canonicalize().ok());
    match folder.filter(|folder| copy.root().starts_with(folder)) {
        Some(folder) => Ok(WorkingCopy::plain(&folder)),
        None => Ok(copy),
    }
}

/// A source that is a plain folder inside of a clone, as samples beside a program are, stands for
/// itself: its paths begin at the folder, not at the clone's top.
fn folder_of_a_clone(config: &Config, copy: &WorkingCopy, at: &Path) -> Option<WorkingCopy> {
    let at = at.canonicalize().ok()?;
    let folders = config.settings.requests.iter();
    let mut folders = folders.filter_map(|s| Path::new(&s.repository).canonicalize().ok());
    let is_it = |f: &PathBuf| {
        f != copy.root() && f.starts_with(copy.root()) && at.starts_with(f) && f.is_dir()
    };
    folders.find(is_it).map(|folder| WorkingCopy::plain(&folder))
}

async fn catalog_of(
    args: &Args,
    cache: &Cache,
    config: &Config,
    elsewhere: &Elsewhere,
) -> Result<LocalCatalog, Failure> {
    let place = &config.settings.catalog;
    let named = elsewhere.catalog.as_deref().map(named);
    let repository = named.as_deref().unwrap_or(&place.repository);
    // A folder named on the command line is the catalog itself.
    let folder = if named.is_some() { "" } else { place.path.as_str() };
    let max = config.settings.limits.file_bytes;
    let now = context::now();
    let catalog = cache.catalog(repository, &place.branch, folder, max, now).await?;
    warn_of_age(args, &catalog, now);
    Ok(catalog)
}

fn warn_of_age(args: &Args, catalog: &LocalCatalog, now: jiff::Timestamp) {
    if let Some(stale) = &catalog.stale {
        let text = report::source::earlier_copy("the catalog", &stale.error, stale.since, now);
        output::warn(args, &text);
    }
}

/// A place named on the command line: a path from here, or an address.
pub fn named(place: &str) -> String {
    let path = Path::new(place);
    let absolute = path.exists().then(|| path.canonicalize().ok()).flatten();
    absolute.map_or_else(|| place.to_owned(), |p| p.display().to_string())
}

/// Only the catalog.
pub async fn catalog(
    args: &Args,
    config: &Config,
    elsewhere: &Elsewhere,
) -> Result<LocalCatalog, Failure> {
    let cache = Cache::new(cache_folder()?, Some(config));
    catalog_of(args, &cache, config, elsewhere).await
}

/// The catalog at a path or URL, where there is no configuration.
pub async fn catalog_at(args: &Args, place: &str) -> Result<LocalCatalog, Failure> {
    let cache = Cache::new(cache_folder()?, None);
    let max = LimitSettings::default().file_bytes;
    let now = context::now();
    let place = named(place);
    let catalog = cache.catalog(&place, "main", "", max, now).await?;
    warn_of_age(args, &catalog, now);
    Ok(catalog)
}

/// The configured source that a clone is of: by its remotes, by its path, or the only one.
fn matching(config: &Config, copy: &WorkingCopy) -> Result<RequestSource, Failure> {
    let sources = &config.settings.requests;
    let remotes = copy.remotes();
    let root = copy.root().display().to_string();
    let is_it = |s: &&RequestSource| {
        same_repository(&root, &s.repository)
            || remotes.iter().any(|(_, url)| same_repository(url, &s.repository))
    };
    if let Some(source) = sources.iter().find(is_it) {
        return Ok(source.clone());
    }
    match sources.as_slice() {
        [only] => Ok(only.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|s| s.name.as_str()).collect();
            let message = format!(
                "this clone is of none of the configured request sources ({})",
                names.join(", ")
            );
            Err(Failure::usage(message).hint(
                "run it in a clone of one of them: its `origin` is compared with `requests[].repository`",
            ))
        }
    }
}

/// The status branch, fetched now or earlier; `None` when there is none yet.
pub async fn status_branch(
    args: &Args,
    cache: &Cache,
    config: &Config,
    elsewhere: &Elsewhere,
    copy: Option<&WorkingCopy>,
) -> Result<Option<Fetched>, Failure> {
    let settings = &config.settings;
    let place = match &elsewhere.status {
        Some(place) => named(place),
        None => settings.status_repository().to_owned(),
    };
    let now = context::now();
    let name = &settings.status.branch;
    let own = copy.filter(|c| same_repository(&place, &c.root().display().to_string()));
    let outcome = match own {
        Some(copy) => of_this_clone(cache, copy, name, now).await,
        None => cache.branch(&place, name, now).await.map(Some),
    };
    match outcome {
        // Only a repository that answered can say that nothing is published in it.
        Ok(None | Some(Fetched { tip: None, .. })) => Ok(None),
        Err(error) if error.is_no_branch() => Ok(None),
        Ok(Some(fetched)) => {
            if let Some(stale) = &fetched.stale {
                let what = "the status branch";
                let text = report::source::earlier_copy(what, &stale.error, stale.since, now);
                output::warn(args, &text);
            }
            Ok(Some(fetched))
        }
        Err(error) => Err(Failure::from(error).hint("name another place with --status")),
    }
}

/// The status branch where the configuration says that it is in this very clone: that means the
/// repository it was cloned from, and the clone itself only where it was cloned from nowhere. A folder
/// that is in no repository has none.
async fn of_this_clone(
    cache: &Cache,
    copy: &WorkingCopy,
    branch: &str,
    now: jiff::Timestamp,
) -> Result<Option<Fetched>, GitError> {
    let Some(repository) = copy.repository() else { return Ok(None) };
    let mirror = Mirror::open_local(repository)?;
    let Some((remote, url)) = copy.remotes().into_iter().next() else {
        let tip = mirror.branch_tip(&format!("refs/heads/{branch}"))?;
        return Ok(Some(Fetched { mirror, tip, stale: None }));
    };
    let url = if url.starts_with("./") || url.starts_with("../") {
        std::path::absolute(copy.root().join(&url)).map_or(url, |p| p.display().to_string())
    } else {
        url
    };
    let error = match cache.branch(&url, branch, now).await {
        Err(error) => error,
        Ok(fetched) => return Ok(Some(fetched)),
    };
    // What the last `git fetch` in this clone brought is better than nothing.
    match mirror.branch_tip(&format!("refs/remotes/{remote}/{branch}"))? {
        Some(tip) => {
            let stale = Stale { error: crate::error::chain(&error), since: None };
            Ok(Some(Fetched { mirror, tip: Some(tip), stale: Some(stale) }))
        }
        None => Err(error),
    }
}

impl Bench {
    /// Recorded state of everything that is published, with what `artifacts_of` and those that use
    /// their outputs were rendered to. From here on ranges take what has reached them.
    pub async fn published(
        &mut self,
        args: &Args,
        elsewhere: &Elsewhere,
        artifacts_of: &BTreeSet<RequestId>,
    ) -> Result<Published, Failure> {
        let fetched = self.status(args, elsewhere).await?;
        self.read(fetched, artifacts_of)
    }

    /// As [`Bench::published`], with versions that were edited after they were published put back: what
    /// would be planned by the edit is not what a daemon does.
    pub async fn published_with_versions(
        &mut self,
        args: &Args,
        elsewhere: &Elsewhere,
        artifacts_of: &BTreeSet<RequestId>,
    ) -> Result<Published, Failure> {
        let fetched = self.status(args, elsewhere).await?;
        let LocalCatalog { catalog, files, history, .. } = &mut self.catalog;
        if let (Some(Fetched { mirror, tip: Some(tip), .. }), Some(history)) = (&fetched, history) {
            let max = self.config.settings.limits.file_bytes;
            let landed = Landed::of_status((mirror, tip), history, max)?;
            for problem in landed.restore(catalog, files) {
                output::warn(args, &report::diagnostic::line(&problem));
            }
        }
        self.read(fetched, artifacts_of)
    }

    async fn status(&self, args: &Args, elsewhere: &Elsewhere) -> Result<Option<Fetched>, Failure> {
        let copy = Some(&self.requests.copy);
        status_branch(args, &self.cache, &self.config, elsewhere, copy).await
    }

    fn read(
        &mut self,
        fetched: Option<Fetched>,
        artifacts_of: &BTreeSet<RequestId>,
    ) -> Result<Published, Failure> {
        let Some(Fetched { mirror, tip: Some(tip), stale }) = fetched else {
            return Ok(Published::default());
        };
        let mut published = Published::read(&mirror, &tip, None)?;
        self.requests.rollouts.clone_from(&published.rollouts);
        let artifacts_of = published.with_users(artifacts_of);
        published.read_artifacts(&mirror, &tip, &artifacts_of)?;
        Ok(Published { stale, ..published })
    }

    /// The branch that the requests are merged into, as it is now.
    pub async fn branch_of_requests(&self, forge: &Arc<dyn Forge>) -> Result<Fetched, Failure> {
        let cache = Cache::with(cache_folder()?, Some(&self.config), Some(forge));
        let source = &self.requests.source;
        let fetched = cache.branch(&source.repository, &source.branch, context::now()).await?;
        match &fetched.stale {
            Some(stale) => Err(Failure::new(
                super::failure::Kind::Failed,
                anyhow::anyhow!("`{}` cannot be fetched: {}", source.repository, stale.error),
            )),
            None => Ok(fetched),
        }
    }

    /// As [`Bench::published`], for what can do without: why not is said, and the rest goes on.
    pub async fn published_if_any(&mut self, args: &Args, elsewhere: &Elsewhere) -> Published {
        match self.published(args, elsewhere, &BTreeSet::new()).await {
            Ok(published) => published,
            Err(failure) => {
                let text = format!(
                    "recorded state could not be had ({}), so a range takes the newest version, and changes are not checked",
                    failure.message()
                );
                output::warn(args, &text);
                Published::default()
            }
        }
    }
}

/// Status files, not all of them read; none when nothing has been published.
pub async fn sheets(
    args: &Args,
    config: &Config,
    elsewhere: &Elsewhere,
    copy: &WorkingCopy,
) -> Result<Sheets, Failure> {
    let cache = Cache::new(cache_folder()?, Some(config));
    let fetched = status_branch(args, &cache, config, elsewhere, Some(copy)).await?;
    let Some(Fetched { mirror, tip: Some(tip), .. }) = fetched else {
        return Ok(Sheets::default());
    };
    Ok(Sheets::read(&mirror, &tip)?)
}

/// Request files of everybody: of the places `named`, else of the configured sources. Of the clone
/// `copy` itself they are those at `commit`, else those on the disk.
pub async fn asked(
    args: &Args,
    config: &Config,
    places: &[String],
    copy: &WorkingCopy,
    commit: Option<&Revision>,
) -> Result<Asked, Failure> {
    let cache = Cache::new(cache_folder()?, Some(config));
    let mut asked = Asked::new(config.settings.limits.file_bytes);
    for source in sources(config, places)? {
        let is_own = |url: &str| same_repository(url, &source.repository);
        let own = is_own(&copy.root().display().to_string())
            || copy.remotes().iter().any(|(_, url)| is_own(url));
        match (own, commit, copy.repository(), on_this_disk(&source, places)?) {
            (true, Some(commit), Some(repository), _) => {
                asked.add_branch(&source, Mirror::open_local(repository)?, commit)?;
            }
            (true, None, ..) => {
                add_local(&mut asked, config, WorkingCopy::discover(copy.root())?, source)?;
            }
            (_, _, _, Some(folder)) => add_local(&mut asked, config, folder, source)?,
            (..) => add_fetched(args, &cache, &mut asked, &source).await?,
        }
    }
    Ok(asked)
}

/// The configured sources, or a source for each place that is named.
fn sources(config: &Config, places: &[String]) -> Result<Vec<RequestSource>, Failure> {
    let known = &config.settings.requests;
    if places.is_empty() {
        return Ok(known.clone());
    }
    let mut sources: Vec<RequestSource> = Vec::new();
    for place in places {
        let place = named(place);
        let same = |s: &&RequestSource| same_repository(&s.repository, &place);
        let like = known.iter().find(same).or_else(|| known.get(sources.len())).or(known.first());
        let Some(like) = like else {
            return Err(Failure::usage("the configuration names no request source"));
        };
        sources.push(RequestSource { repository: place, ..like.clone() });
    }
    Ok(sources)
}

/// A place on this disk of which the files count: named as it lies there, or in no repository.
fn on_this_disk(source: &RequestSource, places: &[String]) -> Result<Option<WorkingCopy>, Failure> {
    let path = Path::new(source.repository.strip_prefix("file://").unwrap_or(&source.repository));
    let is_bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    if !path.is_dir() || is_bare || (places.is_empty() && path.join(".git").exists()) {
        return Ok(None);
    }
    let copy = WorkingCopy::discover(path)?;
    // A folder inside of a clone stands for itself.
    let real = path.canonicalize()?;
    Ok(Some(if copy.root() == real { copy } else { WorkingCopy::plain(&real) }))
}

fn add_local(
    asked: &mut Asked,
    config: &Config,
    copy: WorkingCopy,
    source: RequestSource,
) -> Result<(), Failure> {
    let limits = &config.settings.limits;
    asked.add_local(LocalRequests::list(copy, source, limits.files, limits.file_bytes)?);
    Ok(())
}

async fn add_fetched(
    args: &Args,
    cache: &Cache,
    asked: &mut Asked,
    source: &RequestSource,
) -> Result<(), Failure> {
    let now = context::now();
    let Fetched { mirror, tip, stale } =
        cache.branch(&source.repository, &source.branch, now).await?;
    if let Some(stale) = &stale {
        let what = format!("the requests of `{}`", source.name);
        let text = report::source::earlier_copy(&what, &stale.error, stale.since, now);
        output::warn(args, &text);
    }
    let Some(tip) = tip else {
        let message = format!("`{}` has no branch `{}`", source.repository, source.branch);
        return Err(Failure::usage(message).hint("name another place with --requests"));
    };
    Ok(asked.add_branch(source, mirror, &tip)?)
}

/// Statuses of `only`, or all, for commands that need nothing else.
async fn published(
    args: &Args,
    config: &Config,
    elsewhere: &Elsewhere,
    only: Option<&BTreeSet<RequestId>>,
) -> Result<Published, Failure> {
    let cache = Cache::new(cache_folder()?, Some(config));
    let copy = working_copy(config, &here()?).ok();
    let fetched = status_branch(args, &cache, config, elsewhere, copy.as_ref()).await?;
    let Some(Fetched { mirror, tip: Some(tip), stale }) = fetched else {
        return Ok(Published::default());
    };
    let mut published = Published::read(&mirror, &tip, only)?;
    if let Some(only) = only {
        published.read_artifacts(&mirror, &tip, only)?;
    }
    Ok(Published { stale, ..published })
}

/// Where requests stand, by the status branch.
pub async fn overview(
    args: &Args,
    config: &Config,
    elsewhere: &Elsewhere,
    prefix: Option<&str>,
    not_ready: bool,
) -> Result<Overview, Failure> {
    let published = published(args, config, elsewhere, None).await?;
    let is_meant = |id: &RequestId| id.is_below(prefix.unwrap_or_default());
    let mut counts = Counts::default();
    for (id, status) in &published.statuses {
        counts.shift(id, None, Some(status.phase));
    }
    let requests = published.statuses.into_values().filter(|s| is_meant(&s.metadata.id));
    let requests = requests.filter(|s| !(not_ready && s.phase == RequestPhase::Ready)).collect();
    Ok(Overview {
        requests,
        counts,
        problems: Vec::new(),
        unattended: Vec::new(),
        applying: Vec::new(),
        attention: Attention::default(),
        daemon: None,
        stamp: 0,
    })
}

/// Why a request is where it is, by the status branch and, in its clone, the file.
pub async fn explain(
    args: &Args,
    config: &Config,
    elsewhere: &Elsewhere,
    id: &RequestId,
) -> Result<Option<Explanation>, Failure> {
    let only = BTreeSet::from([id.clone()]);
    let published = published(args, config, elsewhere, Some(&only)).await?;
    let mut bench = open(args, config.clone(), elsewhere, &here()?).await?;
    bench.requests.rollouts.clone_from(&published.rollouts);
    let evaluated = bench
        .requests
        .evaluate(&only, &bench.catalog.catalog, &published.records(), config)
        .await?;
    let desired = evaluated.into_iter().map(|e| e.row.desired).find(|d| d.id == *id);
    let desired = desired.map(Arc::unwrap_or_clone);
    let status = published.statuses.get(id).cloned();
    if status.is_none() && desired.is_none() {
        return Ok(None);
    }
    Ok(Some(Explanation {
        status,
        desired,
        holds: Vec::new(),
        retries: Vec::new(),
        under_way: Vec::new(),
        approvals: Vec::new(),
        events: Vec::new(),
    }))
}

/// The request files of the working copy around `at` as they say what they ask for; `None` where it is
/// of no source. What cannot be read asks for nothing.
pub fn files_here(config: &Config, at: &Path) -> Option<Vec<RequestFile>> {
    let limits = &config.settings.limits;
    let copy = working_copy(config, at).ok()?;
    let source = matching(config, &copy).ok()?;
    let requests = LocalRequests::list(copy, source, limits.files, limits.file_bytes).ok()?;
    let read = |found: &Found| {
        let text = requests.text(&found.origin.path, limits.file_bytes)?;
        catalog::request(&found.origin.path, &found.id, text.as_bytes()).ok()
    };
    Some(requests.found.values().filter_map(read).collect())
}

/// The folder that the command line stands in, for messages.
pub fn here() -> Result<PathBuf, Failure> {
    Ok(std::env::current_dir()?)
}
