//! Request files of all sources, as they lie in a clone or as their branches have them: listed, and
//! read only when somebody wants to know what they say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::super::PassError;
use super::super::desired::{self, Evaluated, Found};
use super::super::evaluate::{Evaluator, Parsed};
use super::requests::{LocalRequests, below, requests_folder};
use crate::catalog::{PathIs, Pattern};
use crate::config::RequestSource;
use crate::git::{Blob, Kind, Mirror};
use crate::model::{ObjectId, Origin, RequestId, Revision, SourceName};

/// More than this and somebody named the wrong repository.
const MAX_FILES: usize = 1_000_000;

/// See the module.
#[derive(Default)]
pub struct Asked {
    /// Every request file, by identity. What two sources claim is the first one's.
    pub found: BTreeMap<RequestId, Found>,
    /// Teams that may ask, by source; everybody when empty.
    pub(super) teams: BTreeMap<SourceName, Vec<String>>,
    /// Bytes that were read while they were listed.
    blobs: HashMap<ObjectId, Blob>,
    /// Objects of the sources whose files are read later.
    mirrors: BTreeMap<SourceName, Mirror>,
    max: u64,
}

impl Asked {
    /// None yet; no file of more bytes than `max` is read.
    pub fn new(max: u64) -> Self {
        Self { max, ..Self::default() }
    }

    /// Those that lie in a clone or a folder, committed or not.
    pub fn add_local(&mut self, requests: LocalRequests) {
        let LocalRequests { copy: _, source, found, blobs, problems: _, missing: _, .. } = requests;
        self.teams.insert(source.name, source.teams);
        self.blobs.extend(blobs);
        for (id, found) in found {
            self.found.entry(id).or_insert(found);
        }
    }

    /// Those that a source has at a commit.
    ///
    /// # Errors
    /// When its objects cannot be listed.
    pub fn add_branch(
        &mut self,
        source: &RequestSource,
        mirror: Mirror,
        at: &Revision,
    ) -> Result<(), PassError> {
        let fail = |error| PassError::Source { name: source.name.clone(), source: error };
        let pattern = Pattern::parse(&source.pattern).map_err(|e| PassError::Pattern {
            name: source.name.clone(),
            message: e.to_string(),
        })?;
        let folder = requests_folder(source, &pattern);
        let tree = mirror.tree(at, &folder).map_err(fail)?;
        let entries = tree.map(|tree| mirror.entries(tree, MAX_FILES)).transpose().map_err(fail)?;
        for entry in entries.unwrap_or_default() {
            let path =
                if folder.is_empty() { entry.path } else { format!("{folder}/{}", entry.path) };
            let Some(inner) = below(&source.path, &path) else { continue };
            if let PathIs::Request(id) = pattern.id(inner) {
                let origin = Origin { source: source.name.clone(), path: path.as_str().into() };
                let found = Found { id: id.clone(), origin, blob: entry.id, kind: entry.kind };
                self.found.entry(id).or_insert(found);
            }
        }
        self.teams.insert(source.name.clone(), source.teams.clone());
        self.mirrors.insert(source.name.clone(), mirror);
        Ok(())
    }

    /// The bytes of these files.
    fn read(&self, files: &[Found]) -> Result<HashMap<ObjectId, Blob>, PassError> {
        let mut blobs = HashMap::with_capacity(files.len());
        for file in files {
            if let Some(blob) = self.blobs.get(&file.blob) {
                blobs.insert(file.blob, blob.clone());
            }
        }
        for (name, mirror) in &self.mirrors {
            let is_file = |f: &&Found| {
                f.origin.source == *name && matches!(f.kind, Kind::File | Kind::Executable)
            };
            let ids: Vec<ObjectId> = files.iter().filter(is_file).map(|f| f.blob).collect();
            let mut keep = |id, blob| {
                blobs.insert(id, blob);
            };
            mirror
                .blobs(&ids, self.max, &mut keep)
                .map_err(|source| PassError::Source { name: name.clone(), source })?;
        }
        Ok(blobs)
    }

    /// What these files say, and those of the requests that they refer to, however long the chain.
    pub(super) fn parse(
        &self,
        evaluator: &Evaluator<'_>,
        ids: &BTreeSet<RequestId>,
    ) -> Result<Vec<Parsed>, PassError> {
        let mut known = ids.clone();
        let mut parsed = Vec::new();
        let mut next: Vec<Found> =
            ids.iter().filter_map(|id| self.found.get(id).cloned()).collect();
        while !next.is_empty() {
            let blobs = self.read(&next)?;
            let read = evaluator.parse(next, &blobs);
            let referred: BTreeSet<&RequestId> = read.iter().flat_map(Parsed::references).collect();
            next = referred
                .into_iter()
                .filter(|id| known.insert((*id).clone()))
                .filter_map(|id| self.found.get(id).cloned())
                .collect();
            parsed.extend(read);
        }
        Ok(parsed)
    }
}

/// Renders what was parsed; by identity.
pub(super) async fn evaluated(
    evaluator: &Evaluator<'_>,
    parsed: Vec<Parsed>,
) -> Result<BTreeMap<RequestId, Evaluated>, PassError> {
    let evaluated = desired::evaluate_parsed(evaluator, parsed).await?;
    Ok(evaluated.into_iter().map(|e| (e.row.desired.id.clone(), e)).collect())
}
