//! The same reading and planning on a laptop: a working copy with uncommitted changes, a catalog
//! from somewhere, and recorded state from the status branch. Nothing is observed and nothing done.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::desired::{self, Evaluated, Found};
use super::evaluate::{Evaluator, Templates};
use super::memory::Memory;
use super::pass::read_files;
use super::source::Source;
use super::{PassError, providers};
use crate::catalog::{self, Catalog, PathIs, Pattern};
use crate::config::{Config, RequestSource};
use crate::digest::Digest;
use crate::git::{Blob, GitError, Kind, Location, Mirror, Transport, Trust, WorkingCopy};
use crate::model::{
    Artifact, ComponentRecord, Desired, Diagnostic, File, Files, InstanceId, Origin, Plan, Record,
    RequestId, Revision, SourceName, Status, Wanted,
};
use crate::plan::{self, Case, Gone, Guards, Situation, Totals};
use crate::provider::Providers;
use crate::yaml;

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
}

/// Mirrors for what is not on this disk, fetched with the user's own git.
pub struct Cache {
    folder: PathBuf,
    transport: Arc<Transport>,
}

impl Cache {
    /// Keeps mirrors under `folder`.
    pub fn new(folder: PathBuf, config: Option<&Config>) -> Self {
        let home = folder.join("git-home");
        let base = config.map(|c| super::transport(c, &folder));
        let base = base.map_or_else(|| Transport::new(home.clone()), |t| (*t).clone());
        Self { transport: Arc::new(Transport { users_own: true, home, ..base }), folder }
    }

    /// A branch, fetched now; when that fails and an earlier fetch is there, that one.
    pub async fn branch(
        &self,
        repository: &str,
        branch: &str,
    ) -> Result<(Mirror, Option<Revision>), GitError> {
        let location = Location::parse(repository, branch, Trust::Operator)?;
        let folder = super::source::mirror_folder(&self.folder, &format!("{repository}#{branch}"));
        let mirror = Mirror::open(&folder, location, self.transport.clone())?;
        let tip = match mirror.fetch().await {
            Ok(tip) => tip,
            Err(error) => match mirror.tip()? {
                Some(tip) => {
                    tracing::warn!(
                        repository,
                        branch,
                        error = crate::error::chain(&error),
                        "not fetched: an earlier copy is used"
                    );
                    Some(tip)
                }
                None => return Err(error),
            },
        };
        Ok((mirror, tip))
    }

    /// The catalog at a path or URL.
    pub async fn catalog(
        &self,
        place: &str,
        branch: &str,
        folder: &str,
        max: u64,
    ) -> Result<LocalCatalog, PassError> {
        let fail =
            |source| PassError::Source { name: SourceName::new(super::source::CATALOG), source };
        let (files, origin) = match work_tree(place) {
            Some(path) => {
                (disk_files(&path.join(folder), max).map_err(fail)?, path.display().to_string())
            }
            None => {
                let (mirror, tip) = self.branch(place, branch).await.map_err(fail)?;
                let tip = tip.ok_or_else(|| {
                    fail(GitError::Missing {
                        what: format!("branch `{branch}` of `{place}`"),
                        text: "there is no such branch".into(),
                    })
                })?;
                let name = SourceName::new(super::source::CATALOG);
                let source =
                    Source::new(name, place.into(), folder.into(), None, Vec::new(), mirror);
                (
                    read_files(&source, &tip, max).map_err(fail)?,
                    format!("{place} at {}", tip.short()),
                )
            }
        };
        let (catalog, problems) = catalog::load(&files, None);
        Ok(LocalCatalog { catalog, problems, files, origin })
    }
}

/// A folder with files on this disk, and not a bare repository.
fn work_tree(place: &str) -> Option<PathBuf> {
    let path = Path::new(place.strip_prefix("file://").unwrap_or(place));
    let bare = path.join("HEAD").is_file() && path.join("objects").is_dir();
    (path.is_dir() && !bare).then(|| path.to_owned())
}

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
    for entry in copy.entries(&inner, 1_000_000)? {
        let path = entry
            .path
            .strip_prefix(inner.as_str())
            .unwrap_or(&entry.path)
            .trim_start_matches('/')
            .to_owned();
        let file = match entry.kind {
            Kind::File | Kind::Executable => match copy.read(&entry.path, max)? {
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

/// Request files in a working copy.
pub struct LocalRequests {
    /// The clone.
    pub copy: WorkingCopy,
    /// The source it is a working copy of.
    pub source: RequestSource,
    /// Every request file, by identity.
    pub found: BTreeMap<RequestId, Found>,
    /// Paths that look like a request's and are none.
    pub problems: Vec<Diagnostic>,
}

impl LocalRequests {
    /// Lists the request files of `copy`, which is a clone of `source`.
    pub fn list(copy: WorkingCopy, source: RequestSource, limit: usize) -> Result<Self, PassError> {
        let fail = |error| PassError::Source { name: source.name.clone(), source: error };
        let pattern = Pattern::parse(&source.pattern).map_err(|e| PassError::Pattern {
            name: source.name.clone(),
            message: e.to_string(),
        })?;
        let folder = [source.path.as_str(), pattern.folder().trim_end_matches('/')]
            .iter()
            .filter(|p| !p.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join("/");
        let entries = match copy.entries(&folder, limit) {
            Err(GitError::Missing { .. }) => Vec::new(),
            entries => entries.map_err(fail)?,
        };
        let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
        for entry in entries {
            let inner = entry
                .path
                .strip_prefix(source.path.as_str())
                .unwrap_or(&entry.path)
                .trim_start_matches('/');
            match pattern.id(inner) {
                PathIs::Request(id) => {
                    let origin =
                        Origin { source: source.name.clone(), path: entry.path.as_str().into() };
                    found
                        .insert(id.clone(), Found { id, origin, blob: entry.id, kind: entry.kind });
                }
                PathIs::Ignored => {}
                PathIs::Note(mut diagnostic) | PathIs::Bad(mut diagnostic) => {
                    diagnostic.place.file = entry.path.as_str().into();
                    problems.push(diagnostic);
                }
            }
        }
        Ok(Self { copy, source, found, problems })
    }

    /// The bytes of `found`, as they lie on the disk.
    pub fn read(
        &self,
        found: &[Found],
        max: u64,
    ) -> Result<HashMap<crate::model::ObjectId, Blob>, PassError> {
        let mut blobs = HashMap::with_capacity(found.len());
        for file in found.iter().filter(|f| matches!(f.kind, Kind::File | Kind::Executable)) {
            let read = self.copy.read(&file.origin.path, max);
            let blob = read
                .map_err(|source| PassError::Source { name: self.source.name.clone(), source })?;
            if let Some(blob) = blob {
                blobs.insert(file.blob, blob);
            }
        }
        Ok(blobs)
    }

    /// Reads, validates and renders the requests `ids`, and those they refer to.
    pub async fn evaluate(
        &self,
        ids: &BTreeSet<RequestId>,
        catalog: &Catalog,
        records: &BTreeMap<RequestId, Record>,
        max: u64,
        config: &Config,
    ) -> Result<Vec<Evaluated>, PassError> {
        let wanted: Vec<Found> = ids.iter().filter_map(|id| self.found.get(id).cloned()).collect();
        let providers = local_providers(config)?;
        let templates = Templates::default();
        let memory = Memory::default();
        let teams = BTreeMap::from([(self.source.name.clone(), self.source.teams.clone())]);
        let evaluator = Evaluator {
            catalog,
            templates: &templates,
            memory: &memory,
            store: None,
            providers: &providers,
            teams,
            given: records,
        };
        let blobs = self.read(&wanted, max)?;
        // Files are parsed twice where others refer to them: once to see whom, once to render.
        let parsed = evaluator.parse(wanted.clone(), &blobs);
        let mut all: BTreeMap<RequestId, Found> =
            wanted.into_iter().map(|f| (f.id.clone(), f)).collect();
        let mut queue: Vec<RequestId> =
            parsed.iter().flat_map(|p| p.references().cloned()).collect();
        let mut blobs = blobs;
        while let Some(id) = queue.pop() {
            if all.contains_key(&id) {
                continue;
            }
            if let Some(found) = self.found.get(&id) {
                let one = std::slice::from_ref(found);
                blobs.extend(self.read(one, max)?);
                queue.extend(
                    evaluator
                        .parse(one.to_vec(), &blobs)
                        .iter()
                        .flat_map(|p| p.references().cloned().collect::<Vec<_>>()),
                );
                all.insert(id, found.clone());
            }
        }
        let evaluated = desired::evaluate(&evaluator, all.into_values().collect(), blobs).await?;
        Ok(evaluated)
    }
}

/// Providers that are only asked what they are, on a laptop.
fn local_providers(config: &Config) -> Result<Providers, PassError> {
    let nowhere = PathBuf::from("/nonexistent");
    let transport = super::transport(config, &nowhere);
    providers(config, &nowhere, &transport)
}

/// Recorded state as the status branch tells it.
#[derive(Default)]
pub struct Published {
    /// By identity.
    pub statuses: BTreeMap<RequestId, Status>,
    /// What was rendered, by digest.
    pub artifacts: HashMap<Digest, Arc<Artifact>>,
    /// Whose branch it is.
    pub instance: Option<InstanceId>,
    /// The moment of the tip's commit.
    pub at: Option<Timestamp>,
}

impl Published {
    /// Reads the statuses of `ids`, or of all, with what they were rendered to.
    pub fn read(
        mirror: &Mirror,
        tip: &Revision,
        ids: Option<&BTreeSet<RequestId>>,
    ) -> Result<Self, GitError> {
        let mut published = Self { at: mirror.commit_time(tip)?, ..Self::default() };
        let instance =
            mirror.find(tip, "instance.yaml")?.map(|e| mirror.blob(e.id, 65_536)).transpose()?;
        if let Some(Blob::Bytes(bytes)) = instance {
            published.instance = document(&bytes)
                .and_then(|v| serde_json::from_value(v.get("instance")?.clone()).ok());
        }
        let paths: Vec<String> = match ids {
            Some(ids) => ids.iter().map(|id| format!("status/{id}.yaml")).collect(),
            None => match mirror.tree(tip, "status")? {
                Some(tree) => mirror
                    .entries(tree, usize::MAX)?
                    .into_iter()
                    .map(|e| format!("status/{}", e.path))
                    .collect(),
                None => Vec::new(),
            },
        };
        for path in paths {
            let Some(entry) = mirror.find(tip, &path)? else { continue };
            let Blob::Bytes(bytes) = mirror.blob(entry.id, 4 * 1024 * 1024)? else { continue };
            let status: Option<Status> =
                document(&bytes).and_then(|v| serde_json::from_value(v).ok());
            if let Some(status) = status {
                published.statuses.insert(status.metadata.id.clone(), status);
            }
        }
        Ok(published)
    }

    /// Adds what the requests `ids` were rendered to.
    pub fn read_artifacts(
        &mut self,
        mirror: &Mirror,
        tip: &Revision,
        ids: &BTreeSet<RequestId>,
    ) -> Result<(), GitError> {
        for status in ids.iter().filter_map(|id| self.statuses.get(id)) {
            for component in &status.components {
                let folder = format!("rendered/{}/{}", status.metadata.id, component.name);
                let Some(tree) = mirror.tree(tip, &folder)? else { continue };
                let mut artifact =
                    Artifact { digest: Some(component.digest), ..Artifact::default() };
                for entry in mirror.entries(tree, 10_000)? {
                    if let Blob::Bytes(bytes) = mirror.blob(entry.id, 16 * 1024 * 1024)? {
                        artifact
                            .files
                            .insert(entry.path, String::from_utf8_lossy(&bytes).into_owned());
                    }
                }
                self.artifacts.insert(component.digest, Arc::new(artifact));
            }
        }
        Ok(())
    }

    /// The records that the statuses tell of.
    pub fn records(&self) -> BTreeMap<RequestId, Record> {
        self.statuses
            .iter()
            .filter_map(|(id, status)| Some((id.clone(), record(status)?)))
            .collect()
    }
}

fn document(bytes: &[u8]) -> Option<serde_json::Value> {
    let options = yaml::Options {
        max_bytes: 16 * 1024 * 1024,
        max_nodes: 1_000_000,
        ..yaml::Options::rendered()
    };
    let file: Arc<str> = "status".into();
    Some(yaml::read(&file, bytes, &options).ok()?.pop()?.to_json())
}

/// The record that a status was made from; `None` when nothing was ever applied.
pub fn record(status: &Status) -> Option<Record> {
    if status.components.is_empty() {
        return None;
    }
    let template = status.template.as_ref()?;
    let components = status.components.iter().map(|c| {
        let drift =
            status.drift.as_ref().and_then(|d| d.items.get(&c.name)).cloned().unwrap_or_default();
        let component = ComponentRecord {
            provider: c.provider.clone(),
            target: c.target.clone(),
            settings: c.settings.clone(),
            digest: c.digest,
            state: c.state.clone(),
            outputs: c.outputs.clone(),
            needs: c.needs.clone(),
            token: c.token.clone(),
            attempts: 0,
            drift,
            drift_since: status.drift.as_ref().and_then(|d| d.since),
            checked: None,
        };
        (c.name.clone(), component)
    });
    Some(Record {
        id: status.metadata.id.clone(),
        origin: Origin {
            source: SourceName::new(status.source.repository.as_str()),
            path: status.source.path.as_str().into(),
        },
        settled: status.settled,
        template: crate::model::TemplateId {
            name: template.name.clone(),
            version: template.version.clone(),
        },
        template_digest: template.digest,
        parameters: status.parameters.clone(),
        sensitive: Vec::new(),
        references: status.references.clone(),
        labels: status.labels.clone(),
        protect: status.protect,
        tombstone: false,
        components: components.collect(),
        output_specs: status.output_sources.clone(),
        observed: status.observed.clone(),
        last_apply: status.last_apply.clone(),
    })
}

/// A plan made without looking at the world.
pub fn plan(
    ids: &BTreeSet<RequestId>,
    evaluated: &BTreeMap<RequestId, Evaluated>,
    gone: &BTreeMap<RequestId, Gone>,
    published: &Published,
    now: Timestamp,
) -> Plan {
    let records = published.records();
    let nobody = InstanceId::new("not-known");
    let dependents = |id: &RequestId| {
        let refers = |r: &&Record| r.references.values().any(|f| f.request == *id);
        records.values().filter(refers).map(|r| r.id.clone()).collect()
    };
    let references = |id: &RequestId| {
        records
            .get(id)
            .map(|r| r.references.values().map(|f| f.request.clone()).collect())
            .unwrap_or_default()
    };
    let stands = |id: &RequestId| records.contains_key(id) || evaluated.contains_key(id);
    let mut by_team: BTreeMap<String, u64> = BTreeMap::new();
    for id in records.keys() {
        *by_team.entry(id.team().to_owned()).or_default() += 1;
    }
    let case = |id: &RequestId| {
        let recorded = records.get(id).cloned();
        let desired = evaluated.get(id).map(|e| e.row.desired.clone());
        let settled = matches!((&desired, &recorded), (Some(Desired { wanted: Wanted::Valid(spec), .. }), Some(record)) if record.settled == Some(spec.fingerprint()));
        let case = Case {
            id: id.clone(),
            desired,
            gone: gone.get(id).cloned(),
            recorded,
            live: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            retries: BTreeMap::new(),
            drift_due: false,
        };
        (!settled).then_some(case)
    };
    let cases: Vec<Case> = ids.iter().filter_map(case).collect();
    let settled = (ids.len() - cases.len()) as u64;
    plan::plan(&Situation {
        now,
        instance: published.instance.as_ref().unwrap_or(&nobody),
        cases,
        totals: Totals { recorded: records.len() as u64, by_team },
        settled,
        sources: BTreeMap::new(),
        dependents: &dependents,
        references: &references,
        stands: &stands,
        approvals: &BTreeSet::new(),
        guards: Guards::default(),
        blind: true,
    })
}
