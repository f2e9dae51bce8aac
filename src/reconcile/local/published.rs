//! Recorded state as the status branch tells it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::super::rebuild;
use super::cache::Stale;
use crate::digest::Digest;
use crate::git::{Blob, Entry, GitError, Kind, Mirror, Stands};
use crate::model::{
    Artifact, ComponentRecord, InstanceId, Life, Lifetime, Map, ObjectId, Origin, Record,
    RequestId, Revision, Rollouts, SourceName, Status, TemplateId, Term, hidden_parameter,
};
use crate::plan::rollout;
use crate::yaml;

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
    /// It could not be fetched, and this is an earlier copy.
    pub stale: Option<Stale>,
    /// Status files that say nothing that could be read.
    pub unread: Vec<String>,
    /// How far versions had come.
    pub rollouts: Rollouts,
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
        published.rollouts = rollouts(mirror, tip)?;
        let entries: Vec<Entry> = match ids {
            Some(ids) => {
                let find = |id| mirror.find(tip, &format!("status/{id}.yaml")).transpose();
                ids.iter().filter_map(find).collect::<Result<_, _>>()?
            }
            None => {
                let tree = mirror.tree(tip, "status")?;
                tree.map(|tree| mirror.entries(tree, usize::MAX)).transpose()?.unwrap_or_default()
            }
        };
        let (files, others): (Vec<&Entry>, Vec<&Entry>) =
            entries.iter().partition(|entry| entry.kind == Kind::File);
        published.unread.extend(others.iter().map(|entry| format!("status/{}", entry.path)));
        // Of several files with one content one at most is at its own path.
        let mut paths: HashMap<ObjectId, Vec<&str>> = HashMap::new();
        let mut blobs: Vec<ObjectId> = Vec::new();
        for entry in files {
            let same = paths.entry(entry.id).or_default();
            if same.is_empty() {
                blobs.push(entry.id);
            }
            same.push(&entry.path);
        }
        mirror.blobs(&blobs, 4 * 1024 * 1024, &mut |id, blob| {
            let read: Option<Status> = parsed(blob);
            let own = read.as_ref().map(|status| format!("{}.yaml", status.metadata.id));
            let inner = |path: &&str| path.strip_prefix("status/").unwrap_or(path).to_owned();
            let mut others: Vec<String> = paths.remove(&id).iter().flatten().map(inner).collect();
            let at = others.iter().position(|path| Some(path) == own.as_ref());
            if let (Some(at), Some(status)) = (at, read) {
                others.remove(at);
                published.statuses.insert(status.metadata.id.clone(), status);
            }
            published.unread.extend(others.iter().map(|path| format!("status/{path}")));
        })?;
        Ok(published)
    }

    /// These requests, and those that use outputs of theirs, directly or by others.
    pub fn with_users(&self, ids: &BTreeSet<RequestId>) -> BTreeSet<RequestId> {
        let mut users: BTreeMap<&RequestId, Vec<&RequestId>> = BTreeMap::new();
        for (id, status) in &self.statuses {
            for reference in status.references.values() {
                users.entry(&reference.request).or_default().push(id);
            }
        }
        let mut all = ids.clone();
        let mut next: Vec<&RequestId> = ids.iter().collect();
        while let Some(id) = next.pop() {
            let new =
                users.get(id).into_iter().flatten().filter(|user| all.insert((**user).clone()));
            next.extend(new.copied().collect::<Vec<_>>());
        }
        all
    }

    /// Adds what the requests `ids` were rendered to.
    pub fn read_artifacts(
        &mut self,
        mirror: &Mirror,
        tip: &Revision,
        ids: &BTreeSet<RequestId>,
    ) -> Result<(), GitError> {
        let (mut folders, mut digests) = (Vec::new(), Vec::new());
        for status in ids.iter().filter_map(|id| self.statuses.get(id)) {
            for component in &status.components {
                folders.push(format!("rendered/{}/{}", status.metadata.id, component.name));
                digests.push(component.digest);
            }
        }
        let mut files: HashMap<ObjectId, Vec<(Digest, String)>> = HashMap::new();
        let mut artifacts: HashMap<Digest, Artifact> = HashMap::new();
        for (digest, stands) in digests.into_iter().zip(mirror.stands(tip, &folders)?) {
            let Stands::Folder(tree) = stands else { continue };
            artifacts.insert(digest, Artifact { digest: Some(digest), ..Artifact::default() });
            for entry in mirror.entries(tree, 10_000)? {
                files.entry(entry.id).or_default().push((digest, entry.path));
            }
        }
        let ids: Vec<ObjectId> = files.keys().copied().collect();
        mirror.blobs(&ids, 16 * 1024 * 1024, &mut |id, blob| {
            let Blob::Bytes(bytes) = blob else { return };
            let text = String::from_utf8_lossy(&bytes);
            for (digest, path) in files.remove(&id).into_iter().flatten() {
                if let Some(artifact) = artifacts.get_mut(&digest) {
                    artifact.files.insert(path, text.clone().into_owned());
                }
            }
        })?;
        let read = artifacts.into_iter().map(|(digest, artifact)| (digest, Arc::new(artifact)));
        self.artifacts.extend(read);
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

/// How far versions had come; nothing is known of that where the branch does not say it in words that can be
/// read.
pub(super) fn rollouts(mirror: &Mirror, tip: &Revision) -> Result<Rollouts, GitError> {
    let entry = mirror.find(tip, rebuild::FILE)?.filter(|entry| entry.kind == Kind::File);
    let blob = entry.map(|entry| mirror.blob(entry.id, rebuild::LARGEST)).transpose()?;
    let state: Option<rebuild::StateFile> = blob.and_then(parsed);
    Ok(rollout::recalled(state.unwrap_or_default().rollouts))
}

/// What a file of the branch says; `None`: nothing that can be read.
pub fn parsed<T: DeserializeOwned>(blob: Blob) -> Option<T> {
    match blob {
        Blob::Bytes(bytes) => serde_json::from_value(document(&bytes)?).ok(),
        Blob::TooLarge(_) => None,
    }
}

pub(super) fn document(bytes: &[u8]) -> Option<serde_json::Value> {
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
            id: c.id.clone(),
            digest: c.digest,
            mark: c.mark,
            labels: status.labels.keys().cloned().collect(),
            state: c.state.clone(),
            link: c.link.clone(),
            outputs: c.outputs.clone(),
            needs: c.needs.clone(),
            token: c.token.clone(),
            attempts: 0,
            drift,
            drift_since: status.drift.as_ref().and_then(|d| d.since),
            checked: None,
            unchecked: None,
            // Whose a guard is that is on, nobody else can tell.
            guarded: c.guarded.then_some(true),
        };
        (c.name.clone(), component)
    });
    // Older files do not tell what was asked for: the request says it again.
    let life = status.lives_since.zip(status.expires_at).map(|(since, ends)| {
        let until = || Lifetime { term: Term::Until(ends), max: None, imposed: false };
        Life { lifetime: status.lifetime.clone().unwrap_or_else(until), since, ends }
    });
    // What stands for a value that is shown nowhere is not that value.
    // Files that are older than its digest say only that it is not shown.
    let is_told = |name: &str, value: &serde_json::Value| {
        !status.sensitive.contains_key(name) && *value != hidden_parameter(name)
    };
    let (parameters, hidden): (Map, Map) =
        status.parameters.clone().into_iter().partition(|(name, value)| is_told(name, value));
    let source = status.applied_from.as_ref().unwrap_or(&status.source);
    Some(Record {
        id: status.metadata.id.clone(),
        origin: Origin {
            source: SourceName::new(source.repository.as_str()),
            path: source.path.as_str().into(),
        },
        settled: status.settled,
        template: TemplateId { name: template.name.clone(), version: template.version.clone() },
        template_digest: template.digest,
        parameters,
        sensitive: hidden.keys().cloned().collect(),
        digests: status.sensitive.clone(),
        references: status.references.clone(),
        labels: status.labels.clone(),
        protect: status.protect,
        tombstone: status.tombstone,
        life,
        former: Vec::new(),
        whole_at: None,
        components: components.collect(),
        output_specs: status.output_sources.clone(),
        observed: status.observed.clone(),
        last_apply: status.last_apply.clone(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::digest;
    use crate::model::{Observed, RequestPhase, SourceName};
    use crate::report;
    use crate::store::sample;

    #[test]
    fn a_record_comes_back_from_its_status() {
        let mut applied = *sample::record("events", "text", None);
        let secret = json!("{{resolve:secretsmanager:arn}}");
        applied.parameters.insert("password".into(), secret.clone());
        applied.parameters.insert("shape".into(), json!({"sensitive": "form"}));
        // What the template does not promise is on no branch.
        applied.components.values_mut().for_each(|c| c.outputs.clear());
        applied.sensitive = vec!["password".into()];
        let status = |record: &Record| {
            report::status::status(&report::status::Facts {
                id: &record.id,
                desired: None,
                record: Some(record),
                holds: &[],
                in_flight: &[],
                observed: Observed::default(),
                last: None,
                warn: &[],
                now: Timestamp::UNIX_EPOCH,
            })
        };
        let mut told = status(&applied);
        assert!(!serde_json::to_string(&told).unwrap().contains("resolve"), "{told:?}");
        let mut back = record(&told).unwrap();
        // What was known only here is told by its digest, and again by the next status.
        assert_eq!(back.digests, BTreeMap::from([("password".to_owned(), digest::of(&secret))]));
        assert_eq!(status(&back).sensitive, told.sensitive);
        back.digests.clear();
        back.parameters.insert("password".into(), secret);
        back.components.values_mut().for_each(|c| c.attempts = 1);
        assert_eq!(back, applied);

        // One that was written before digests were.
        let older = Status { sensitive: BTreeMap::new(), ..told.clone() };
        let older = record(&older).unwrap();
        assert_eq!(
            (older.sensitive.as_slice(), older.digests.len()),
            (&["password".to_owned()][..], 0)
        );
        assert!(!older.parameters.contains_key("password"));

        // A file that another source has now.
        told.phase = RequestPhase::Held;
        told.applied_from = Some(told.source.clone());
        told.source.repository = "other".into();
        assert_eq!(record(&told).unwrap().origin, applied.origin);
        assert_ne!(applied.origin.source, SourceName::new("other"));
    }
}
