//! A store that is lost, from what the status branch and the providers tell.
//!
//! # Flow
//! [`Remains::read`] fetches the branch and reads all of it; what cannot be read is an error, since what
//! is left out would be made a second time. [`Remains::look`] asks the providers for what the branch does
//! not tell. [`Remains::write`] puts it into an empty store that has the branch's instance and epoch.
//!
//! # Guarantees
//! - Nothing is applied, and the branch is not written.
//! - Nothing is taken for settled: the next pass looks at each target and takes up what the files say of
//!   protection and ends. What has no file any more is met as if that pass had seen it go.
//! - The configuration must read the sources that the lost store read.
//!
//! # Caveats
//! Approvals, tries and history are on no branch. What was under way is found by the next pass, by its
//! marks.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::front::{self, Front, InstanceFile};
use super::local::{self, Published};
use super::pass::{COUNTS, DRIFTED, REBUILT, TAKEN};
use super::{PassError, announce, call, gate, providers, rollout, source, state_of, transport};
use crate::config::Config;
use crate::digest::{self, Digest};
use crate::error::chain;
use crate::git::{GitError, Mirror};
use crate::model::{
    Artifact, Counts, DriftCounts, Event, Observation, Owner, Rebuilt, Record, RequestId,
    RequestPhase, Revision, Rollouts, SourceName, SourceRecord, Status, Target, TargetKey,
    TemplateId,
};
use crate::provider::{self, Providers};
use crate::render;
use crate::store::{Lease, Store, Write};
use crate::yaml;

/// Where the branch says what is in no status.
pub(super) const FILE: &str = "state.yaml";

/// Requests written in one commit.
const PART: usize = 1_000;

/// Bytes of one file that are read.
pub(super) const LARGEST: u64 = 16 * 1024 * 1024;

/// How far the new store's leases are ahead of what was published: a lost store may have had more of
/// them than it published, and must be the older one should it come back.
pub const AHEAD: u64 = 1_000_000;

/// `state.yaml`: what a rebuild needs beside the statuses.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StateFile {
    /// How far each source was read when this was written.
    #[serde(default)]
    pub sources: BTreeMap<SourceName, ReadUpTo>,
    /// From which commit on everything of a source needs a pull request.
    #[serde(default)]
    pub gates: BTreeMap<SourceName, Revision>,
    /// How far versions have come.
    #[serde(default)]
    pub rollouts: Rollouts,
}

/// See [`StateFile`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ReadUpTo {
    /// Digest of the address, branch and folder: who reads this branch need not learn them.
    pub place: Digest,
    /// The last good commit.
    pub commit: Revision,
}

impl ReadUpTo {
    /// What is said of a source; `None`: nothing of it was ever read.
    pub fn of(record: &SourceRecord) -> Option<Self> {
        let commit = record.commit.clone()?;
        Some(Self { place: digest::sha256(record.location.as_bytes()), commit })
    }
}

/// A published version, as `catalog/NAME/VERSION.yaml` has it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Version {
    digest: Digest,
    catalog_commit: Option<Revision>,
    at: Timestamp,
}

/// All that is left of a store.
pub struct Remains {
    /// The commit of the branch that it was read from.
    pub tip: Revision,
    /// When that was made.
    pub at: Option<Timestamp>,
    /// Whose branch it is.
    pub instance: InstanceFile,
    /// What is not as it should be, a sentence each: nothing of it keeps from going on.
    pub remarks: Vec<String>,
    statuses: BTreeMap<RequestId, Status>,
    records: BTreeMap<RequestId, Record>,
    artifacts: Vec<Arc<Artifact>>,
    templates: Vec<(TemplateId, Version)>,
    state: StateFile,
    sources: BTreeMap<SourceName, SourceRecord>,
    providers: Providers,
}

impl Remains {
    /// Reads the branch.
    ///
    /// # Errors
    /// When it cannot be fetched or is not there, does not say whose it is, or holds something that
    /// cannot be read: the sentence names the files.
    pub async fn read(config: &Arc<Config>) -> Result<Self, PassError> {
        let folder = state_of(config)?;
        let forge = super::forge(config)?;
        let transport = transport(config, &folder, forge.as_ref());
        let front = Front::open(&config.settings, &folder, &transport)?;
        let sources = source::Sources::open(&config.settings, &folder, &transport)?;
        let Some(tip) = front.fetch().await.map_err(front::unreachable)? else {
            let (branch, at) =
                (&config.settings.status.branch, config.settings.status_repository());
            return Err(PassError::Settings(format!(
                "there is no branch `{branch}` in `{at}`, so there is nothing to rebuild from: compare \
                 `status` in the configuration with what it was"
            )));
        };
        let mirror = front.mirror();
        let Some(instance) = front.instance(&tip).map_err(front::unreachable)? else {
            return Err(PassError::Settings(format!(
                "`instance.yaml` at {tip} of the status branch does not say whose it is: put it back \
                 there as it was in an earlier commit"
            )));
        };
        let mut published = Published::read(mirror, &tip, None).map_err(front::unreachable)?;
        let mut unread = std::mem::take(&mut published.unread);
        let state = state_file(mirror, &tip, &mut unread).map_err(front::unreachable)?;
        let templates = versions(mirror, &tip, &mut unread).map_err(front::unreachable)?;
        let there = rendered(mirror, &tip).map_err(front::unreachable)?;
        let lost = there.into_iter().filter(|id| !published.statuses.contains_key(id));
        unread.extend(lost.map(|id| format!("status/{id}.yaml")));
        unread.sort();
        unread.dedup();
        if !unread.is_empty() {
            return Err(PassError::Settings(unreadable(&tip, &unread)));
        }
        let Some(state) = state else {
            return Err(PassError::Settings(format!(
                "{tip} of the status branch has no `{FILE}`, without which a rewritten history and what \
                 came without a pull request would count as reviewed: put it back as it was in an \
                 earlier commit"
            )));
        };
        let mut remarks = Vec::new();
        let all = published.statuses.keys().cloned().collect();
        published.read_artifacts(mirror, &tip, &all).map_err(front::unreachable)?;
        let mut records = published.records();
        for record in records.values_mut() {
            // Its file says that again, and whether it may be deleted: the branch alone is not believed.
            record.settled = None;
            // A status tells of the file as it lies there, which is what was applied only where all is.
            let phase = published.statuses.get(&record.id).map(|status| status.phase);
            if phase != Some(RequestPhase::Ready) {
                record.observed.request_digest = None;
            }
        }
        if let Some(problem) = twice(&records) {
            return Err(PassError::Settings(problem));
        }
        let (artifacts, changed): (Vec<_>, Vec<_>) = std::mem::take(&mut published.artifacts)
            .into_values()
            .partition(|a| Some(render::digest_of(&a.files)) == a.digest);
        if !changed.is_empty() {
            remarks.push(format!(
                "{} rendered artifacts on the branch are not what was applied, and are left out",
                changed.len()
            ));
        }
        let known = read_before(&sources, &state, &published.statuses)?;
        Ok(Self {
            at: published.at,
            instance,
            remarks,
            statuses: published.statuses,
            records,
            artifacts,
            templates,
            sources: known,
            state,
            providers: providers(config, &folder, &transport)?,
            tip,
        })
    }

    /// Asks the providers for each target that is recorded, and takes up what the branch does not tell
    /// of it.
    ///
    /// # Errors
    /// When one could not be looked at: outputs that only another component reads are on no branch.
    pub async fn look(&mut self) -> Result<Rebuilt, PassError> {
        let mut asked: BTreeMap<String, Vec<Target>> = BTreeMap::new();
        for record in self.records.values() {
            for (component, known) in &record.components {
                let key = TargetKey { request: record.id.clone(), component: component.clone() };
                asked.entry(known.provider.clone()).or_default().push(Target {
                    name: known.target.clone(),
                    key,
                    instance: self.instance.instance.clone(),
                    provider: known.provider.clone(),
                    settings: known.settings.clone(),
                    id: known.id.clone(),
                });
            }
        }
        let mut rebuilt = Rebuilt {
            requests: self.statuses.len(),
            applied: self.records.len(),
            ..Rebuilt::default()
        };
        let secrets = self.artifacts.iter().filter_map(|artifact| {
            let hidden = provider::hidden(artifact);
            (!hidden.is_empty()).then_some((artifact.digest?, hidden))
        });
        let secrets: HashMap<Digest, Vec<String>> = secrets.collect();
        for (kind, targets) in asked {
            let Some(provider) = self.providers.get(&kind) else {
                return Err(PassError::Settings(format!("this vend has no provider `{kind}`")));
            };
            let seen = provider.recall(&targets).await;
            let mut left: BTreeSet<TargetKey> = targets.into_iter().map(|t| t.key).collect();
            let mut problems: BTreeMap<String, usize> = BTreeMap::new();
            for (target, seen) in seen {
                match seen {
                    Ok(Observation::Present(live)) if self.take(&target, &live, &secrets) => {
                        left.remove(&target.key);
                    }
                    Ok(_) => {}
                    Err(error) => *problems.entry(chain(&error)).or_default() += 1,
                }
            }
            if let Some((problem, count)) = problems.into_iter().next() {
                return Err(PassError::Settings(format!(
                    "{count} targets of `{kind}` could not be looked at ({problem}): mend that, and \
                     rebuild then"
                )));
            }
            rebuilt.open += left.len();
        }
        let all: usize = self.records.values().map(|record| record.components.len()).sum();
        rebuilt.found = all - rebuilt.open;
        Ok(rebuilt)
    }

    /// Takes up what a target that is there tells, without the secrets of its artifact; whether it is as
    /// it was recorded.
    fn take(
        &mut self,
        target: &Target,
        live: &crate::model::Live,
        secrets: &HashMap<Digest, Vec<String>>,
    ) -> bool {
        let Some(record) = self.records.get_mut(&target.key.request) else { return false };
        let Some(known) = record.components.get_mut(&target.key.component) else { return false };
        let is_same = live.owner == Owner::Ours
            && live.digest == Some(known.expected_mark())
            && !live.busy
            && live.stuck.is_none();
        if is_same {
            let hidden = secrets.get(&known.digest).map(Vec::as_slice).unwrap_or_default();
            known.outputs.extend(call::unechoed(live.outputs.clone(), target, hidden));
            known.state.clone_from(&live.state);
            record.hide_outputs();
        }
        is_same
    }

    /// Writes it to an empty store.
    ///
    /// # Errors
    /// When the store cannot be written.
    pub async fn write(
        self,
        store: &dyn Store,
        lease: &Lease,
        now: Timestamp,
    ) -> Result<(), PassError> {
        let Self { tip, instance, statuses, mut records, artifacts, .. } = self;
        let (templates, state, sources) = (self.templates, self.state, self.sources);
        for part in artifacts.chunks(PART) {
            let writes = part.iter().map(|artifact| Write::Artifact(artifact.as_ref().clone()));
            store.commit(lease, writes.collect()).await?;
        }
        let (mut counts, mut drifted) = (Counts::default(), DriftCounts::default());
        let mut writes = Vec::new();
        let named = records.values().flat_map(|record| record.brought_along(&instance.instance));
        let taken: BTreeMap<_, _> = named.collect();
        for (id, status) in &statuses {
            counts.shift(id, None, Some(status.phase));
            drifted.shift(DriftCounts::default(), DriftCounts::of(status));
            let record = records.remove(id);
            let row = announce::row(id, status, record.as_ref());
            let digest = Some(row.digest);
            writes.push(Write::Status(row));
            writes.push(Write::Published { request: id.clone(), digest });
            writes.extend(record.map(|record| Write::Record(Box::new(record))));
            if writes.len() >= PART {
                store.commit(lease, std::mem::take(&mut writes)).await?;
            }
        }
        let value =
            |key: String, value: serde_json::Value| Write::Value { key, value: Some(value) };
        writes.extend(templates.into_iter().map(|(id, version)| {
            let Version { digest, catalog_commit: commit, at } = version;
            Write::Template { id, digest, commit, at }
        }));
        writes.extend(sources.into_iter().map(|(name, record)| Write::Source { name, record }));
        for (source, since) in &state.gates {
            writes.push(value(gate::since_key(source), json!(since)));
        }
        writes.push(value(rollout::ROLLOUTS.into(), json!(state.rollouts)));
        writes.push(value(COUNTS.into(), json!(counts)));
        writes.push(value(DRIFTED.into(), json!(drifted)));
        writes.push(value(TAKEN.into(), json!(taken)));
        writes.push(value(front::TIP.into(), json!(tip)));
        let names: BTreeSet<SourceName> =
            statuses.values().map(|s| SourceName::new(s.source.repository.as_str())).collect();
        writes.push(value(REBUILT.into(), json!(names)));
        writes.push(Write::Event(Event {
            at: now,
            request: None,
            kind: "Rebuilt".into(),
            message: format!("the store was rebuilt from {tip} of the status branch"),
            data: serde_json::Value::Null,
        }));
        Ok(store.commit(lease, writes).await?)
    }
}

/// The sources as they were read last. Another configuration than the one that was lost may leave a source
/// out, or read another repository under its name: all that it asked for would seem to be gone.
fn read_before(
    sources: &source::Sources,
    state: &StateFile,
    statuses: &BTreeMap<RequestId, Status>,
) -> Result<BTreeMap<SourceName, SourceRecord>, PassError> {
    let all: BTreeMap<&SourceName, &source::Source> = std::iter::once(&sources.catalog)
        .chain(&sources.requests)
        .map(|source| (&source.name, source))
        .collect();
    let mut known = BTreeMap::new();
    let mut other: BTreeSet<String> = BTreeSet::new();
    for (name, read) in &state.sources {
        let Some(source) = all.get(name) else {
            other.insert(format!("`{name}` is not configured"));
            continue;
        };
        let location = source.place();
        if read.place != digest::sha256(location.as_bytes()) {
            other.insert(format!("`{name}` was read from another place than `{location}`"));
        }
        let commit = Some(read.commit.clone());
        known.insert(name.clone(), SourceRecord { location, commit, ..SourceRecord::default() });
    }
    for status in statuses.values() {
        let name = SourceName::new(status.source.repository.as_str());
        if !all.contains_key(&name) {
            other.insert(format!("`{name}` is not configured"));
        }
    }
    match other.is_empty() {
        true => Ok(known),
        false => Err(PassError::Settings(format!(
            "the configuration is not the one of the store that was lost, and what a source asked for \
             would seem to be gone: {}; write `catalog` and `requests` as they were, rebuild, and change \
             them then",
            other.into_iter().collect::<Vec<_>>().join("; ")
        ))),
    }
}

/// Two requests that claim one target: what deletes the one would take the other's.
fn twice(records: &BTreeMap<RequestId, Record>) -> Option<String> {
    let mut seen: BTreeMap<(&str, &str, String), &RequestId> = BTreeMap::new();
    for record in records.values() {
        for known in record.components.values() {
            let settings = digest::of(&known.settings).hex();
            let key = (known.provider.as_str(), known.target.as_str(), settings);
            if let Some(other) = seen.insert(key, &record.id) {
                return Some(format!(
                    "the statuses of `{other}` and `{}` claim the same target `{}`: put them back as \
                     they were in an earlier commit",
                    record.id, known.target
                ));
            }
        }
    }
    None
}

/// What is in no status; `None`: the branch does not say.
fn state_file(
    mirror: &Mirror,
    tip: &Revision,
    unread: &mut Vec<String>,
) -> Result<Option<StateFile>, GitError> {
    let Some(entry) = mirror.find(tip, FILE)? else { return Ok(None) };
    let state = local::parsed(mirror.blob(entry.id, LARGEST)?);
    if state.is_none() {
        unread.push(FILE.into());
    }
    Ok(state)
}

/// The versions that were published.
fn versions(
    mirror: &Mirror,
    tip: &Revision,
    unread: &mut Vec<String>,
) -> Result<Vec<(TemplateId, Version)>, GitError> {
    let Some(tree) = mirror.tree(tip, "catalog")? else { return Ok(Vec::new()) };
    let mut templates = Vec::new();
    for entry in mirror.entries(tree, usize::MAX)? {
        let version = local::parsed(mirror.blob(entry.id, LARGEST)?);
        let named = entry.path.strip_suffix(".yaml").and_then(|path| path.split_once('/'));
        let id = named.and_then(|(name, version)| TemplateId::parse(&format!("{name}@{version}")));
        match id.zip(version) {
            Some(template) => templates.push(template),
            None => unread.push(format!("catalog/{}", entry.path)),
        }
    }
    Ok(templates)
}

/// Requests of which something rendered lies on the branch.
fn rendered(mirror: &Mirror, tip: &Revision) -> Result<BTreeSet<RequestId>, GitError> {
    let Some(tree) = mirror.tree(tip, "rendered")? else { return Ok(BTreeSet::new()) };
    let entries = mirror.entries(tree, usize::MAX)?;
    let id = |path: &str| {
        let parts: Vec<&str> = path.splitn(4, '/').take(3).collect();
        RequestId::parse(&parts.join("/"))
    };
    Ok(entries.iter().filter_map(|entry| id(&entry.path)).collect())
}

fn unreadable(tip: &Revision, unread: &[String]) -> String {
    const NAMED: usize = 10;
    let named: Vec<String> = unread.iter().take(NAMED).map(|path| format!("`{path}`")).collect();
    let more = unread.len().saturating_sub(NAMED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!(
        "at {tip} of the status branch {}{more} cannot be read, and what is left out would be made a \
         second time: put them back there as they were in an earlier commit, or take away what vend never wrote",
        named.join(", ")
    )
}

/// The file's text.
pub(super) fn text(state: &StateFile) -> Vec<u8> {
    yaml::to_string(state).into_bytes()
}
