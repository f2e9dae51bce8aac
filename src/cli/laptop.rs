//! Finding what a working copy does not hold: the catalog and the recorded state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::args::Elsewhere;
use super::failure::Failure;
use crate::config::{Config, RequestSource};
use crate::git::{Mirror, WorkingCopy};
use crate::model::{Counts, RequestId, RequestPhase, Revision};
use crate::reconcile::local::{Cache, LocalCatalog, LocalRequests, Published};
use crate::server::view::{Explanation, Overview};

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
pub async fn open(config: Config, elsewhere: &Elsewhere, at: &Path) -> Result<Bench, Failure> {
    let cache = Cache::new(cache_folder()?, Some(&config));
    let catalog = catalog_of(&cache, &config, elsewhere).await?;
    let settings = &config.settings;
    let copy = WorkingCopy::discover(at)?;
    let source = matching(&config, &copy)?;
    let requests = LocalRequests::list(copy, source, settings.limits.files)?;
    Ok(Bench { config, catalog, requests, cache })
}

async fn catalog_of(
    cache: &Cache,
    config: &Config,
    elsewhere: &Elsewhere,
) -> Result<LocalCatalog, Failure> {
    let place = &config.settings.catalog;
    let repository = elsewhere.catalog.as_deref().unwrap_or(&place.repository);
    // A folder named on the command line is the catalog itself.
    let folder = if elsewhere.catalog.is_some() { "" } else { place.path.as_str() };
    let max = config.settings.limits.file_bytes;
    Ok(cache.catalog(repository, &place.branch, folder, max).await?)
}

/// Only the catalog.
pub async fn catalog(config: &Config, elsewhere: &Elsewhere) -> Result<LocalCatalog, Failure> {
    let cache = Cache::new(cache_folder()?, Some(config));
    catalog_of(&cache, config, elsewhere).await
}

/// The configured source that a clone is of: by its remotes, by its path, or the only one.
fn matching(config: &Config, copy: &WorkingCopy) -> Result<RequestSource, Failure> {
    let sources = &config.settings.requests;
    let plain = |url: &str| {
        url.trim_end_matches('/').trim_end_matches(".git").trim_start_matches("file://").to_owned()
    };
    let remotes: BTreeSet<String> = copy.remotes().iter().map(|r| plain(r)).collect();
    let root = copy.root().display().to_string();
    let is_it = |s: &&RequestSource| {
        let url = plain(&s.repository);
        remotes.contains(&url)
            || url == root
            || Path::new(&s.repository).canonicalize().is_ok_and(|p| p == copy.root())
    };
    if let Some(source) = sources.iter().find(is_it) {
        return Ok(source.clone());
    }
    match sources.as_slice() {
        [only] => Ok(only.clone()),
        several => {
            let names: Vec<&str> = several.iter().map(|s| s.name.as_str()).collect();
            Err(Failure::usage(format!("this clone is of none of the configured request sources ({})", names.join(", ")))
                .hint("run it in a clone of one of them: its `origin` is compared with `requests[].repository`"))
        }
    }
}

/// The status branch, fetched now or earlier; `None` when there is none yet.
pub async fn status_branch(
    config: &Config,
    elsewhere: &Elsewhere,
) -> Result<Option<(Mirror, Revision)>, Failure> {
    let cache = Cache::new(cache_folder()?, Some(config));
    branch(&cache, config, elsewhere).await
}

async fn branch(
    cache: &Cache,
    config: &Config,
    elsewhere: &Elsewhere,
) -> Result<Option<(Mirror, Revision)>, Failure> {
    let repository = elsewhere.status.as_deref().unwrap_or(config.settings.status_repository());
    match cache.branch(repository, &config.settings.status.branch).await {
        Ok((mirror, Some(tip))) => Ok(Some((mirror, tip))),
        Ok((_, None)) | Err(crate::git::GitError::Missing { .. }) => Ok(None),
        Err(error) => Err(Failure::from(error).hint("name another place with --status")),
    }
}

impl Bench {
    /// Recorded state of `ids` and of everything else that is published.
    pub async fn published(
        &self,
        elsewhere: &Elsewhere,
        artifacts_of: &BTreeSet<RequestId>,
    ) -> Result<Published, Failure> {
        let Some((mirror, tip)) = branch(&self.cache, &self.config, elsewhere).await? else {
            return Ok(Published::default());
        };
        let mut published = Published::read(&mirror, &tip, None)?;
        published.read_artifacts(&mirror, &tip, artifacts_of)?;
        Ok(published)
    }

    /// Requests that differ between the merge base with the source's branch and the working copy;
    /// `None` when that cannot be told, and everything is meant.
    pub fn differing(&self) -> Option<BTreeSet<RequestId>> {
        let copy = &self.requests.copy;
        let mirror = Mirror::open_local(copy.repository()?).ok()?;
        let head = copy.head()?;
        let branch = &self.requests.source.branch;
        let upstream = [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")];
        let upstream = upstream.iter().find_map(|name| mirror.branch_tip(name).ok().flatten())?;
        let base = mirror.merge_base(&head, &upstream).ok()??;
        let tree = mirror.tree(&base, "").ok()??;
        let before: BTreeMap<String, _> =
            mirror.entries(tree, 1_000_000).ok()?.into_iter().map(|e| (e.path, e.id)).collect();
        let pattern = crate::catalog::Pattern::parse(&self.requests.source.pattern).ok()?;
        let changed =
            self.requests.found.values().filter(|f| before.get(&*f.origin.path) != Some(&f.blob));
        let mut ids: BTreeSet<RequestId> = changed.map(|f| f.id.clone()).collect();
        let folder = self.requests.source.path.as_str();
        for path in before.keys() {
            let inner = path.strip_prefix(folder).unwrap_or(path).trim_start_matches('/');
            if let crate::catalog::PathIs::Request(id) = pattern.id(inner)
                && !self.requests.found.contains_key(&id)
            {
                ids.insert(id);
            }
        }
        Some(ids)
    }
}

/// Where requests stand, by the status branch.
pub async fn overview(
    config: &Config,
    elsewhere: &Elsewhere,
    prefix: Option<&str>,
    not_ready: bool,
) -> Result<Overview, Failure> {
    let published = match status_branch(config, elsewhere).await? {
        Some((mirror, tip)) => Published::read(&mirror, &tip, None)?,
        None => Published::default(),
    };
    let prefix = prefix.unwrap_or_default().trim_matches('/');
    let is_meant = |id: &RequestId| {
        prefix.is_empty()
            || id
                .as_str()
                .strip_prefix(prefix)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let mut counts = Counts::default();
    for (id, status) in &published.statuses {
        counts.shift(id, None, Some(status.phase));
    }
    let requests = published.statuses.into_values().filter(|s| is_meant(&s.metadata.id));
    let requests = requests.filter(|s| !(not_ready && s.phase == RequestPhase::Ready)).collect();
    Ok(Overview { requests, counts, problems: Vec::new() })
}

/// Why a request is where it is, by the status branch and, in its clone, the file.
pub async fn explain(
    config: &Config,
    elsewhere: &Elsewhere,
    id: &RequestId,
) -> Result<Option<Explanation>, Failure> {
    let only = BTreeSet::from([id.clone()]);
    let published = match status_branch(config, elsewhere).await? {
        Some((mirror, tip)) => Published::read(&mirror, &tip, Some(&only))?,
        None => Published::default(),
    };
    let bench = open(config.clone(), elsewhere, &std::env::current_dir()?).await?;
    let max = config.settings.limits.file_bytes;
    let evaluated = bench
        .requests
        .evaluate(&only, &bench.catalog.catalog, &published.records(), max, config)
        .await?;
    let desired = evaluated.into_iter().map(|e| e.row.desired).find(|d| d.id == *id);
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

/// The folder that the command line stands in, for messages.
pub fn here() -> Result<PathBuf, Failure> {
    Ok(std::env::current_dir()?)
}
