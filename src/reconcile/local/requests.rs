//! Request files as they lie in a working copy, committed or not.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use super::super::desired::{self, Evaluated, Found, Read};
use super::super::evaluate::{Evaluator, Parsed, Templates};
use super::super::foresee::Foresight;
use super::super::memory::Memory;
use super::super::{PassError, providers, transport};
use crate::catalog::{self, Catalog, PathIs, Pattern, RequestFile};
use crate::config::{Config, RequestSource};
use crate::git::{Blob, GitError, Kind, WorkingCopy, blob_id};
use crate::model::{Desired, Diagnostic, ObjectId, Origin, Place, Record, RequestId, Rollouts};
use crate::provider::Providers;

/// Request files in a working copy.
pub struct LocalRequests {
    /// The clone.
    pub copy: WorkingCopy,
    /// The source it is a working copy of.
    pub source: RequestSource,
    /// Every request file, by identity.
    pub found: BTreeMap<RequestId, Found>,
    /// Their bytes, as they lay on the disk when they were listed.
    pub(super) blobs: HashMap<ObjectId, Blob>,
    /// Texts that lie on no disk yet, by path.
    unsaved: BTreeMap<String, Arc<str>>,
    /// Paths that look like a request's and are none.
    pub problems: Vec<Diagnostic>,
    /// How far versions have come, where that is known: who asks for a range takes no other.
    pub rollouts: Rollouts,
    /// The folder that requests lie in, from the top of the clone, when it is not there.
    pub missing: Option<String>,
}

impl LocalRequests {
    /// Reads the request files of `copy`, which is a clone of `source`: at most so many, and none
    /// of more bytes than `max`.
    pub fn list(
        copy: WorkingCopy,
        source: RequestSource,
        limit: usize,
        max: u64,
    ) -> Result<Self, PassError> {
        let fail = |error| PassError::Source { name: source.name.clone(), source: error };
        let pattern = Pattern::parse(&source.pattern).map_err(|e| PassError::Pattern {
            name: source.name.clone(),
            message: e.to_string(),
        })?;
        let folder = requests_folder(&source, &pattern);
        let (entries, missing) = match copy.files(&folder, limit, max) {
            Err(GitError::Missing { .. }) => (Vec::new(), Some(folder.clone())),
            files => (files.map_err(fail)?, None),
        };
        let (mut found, mut problems) = (BTreeMap::new(), Vec::new());
        let mut blobs = HashMap::with_capacity(entries.len());
        if let Some(link) = link_on_the_way(&copy, &folder) {
            let place = Place::file(link.as_str());
            let problem = Diagnostic::error("PATH001", place, "symbolic links are not read");
            problems.push(problem.help("put the folder itself there"));
        }
        for (entry, blob) in entries {
            let inner = below(&source.path, &entry.path).unwrap_or(&entry.path);
            match desired::path_is(&pattern, inner, &entry.kind) {
                PathIs::Request(id) => {
                    let origin =
                        Origin { source: source.name.clone(), path: entry.path.as_str().into() };
                    blobs.extend(blob.map(|blob| (entry.id, blob)));
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
        let unsaved = BTreeMap::new();
        let rollouts = Rollouts::default();
        Ok(Self { copy, source, found, blobs, unsaved, problems, rollouts, missing })
    }

    /// The folder that all request files lie below, from the top of the clone.
    pub(super) fn folder(&self) -> String {
        let pattern = Pattern::parse(&self.source.pattern).unwrap_or_default();
        requests_folder(&self.source, &pattern)
    }

    /// The path of a request's file, from the top of the clone.
    pub fn path_of(&self, id: &RequestId) -> String {
        let inner = Pattern::parse(&self.source.pattern).unwrap_or_default().path(id);
        let folder = self.source.path.trim_matches('/');
        if folder.is_empty() { inner } else { format!("{folder}/{inner}") }
    }

    /// The first part of a path of this clone that is a link: nothing is written through it.
    pub fn link_on(&self, path: &str) -> Option<String> {
        link_on_the_way(&self.copy, path)
    }

    /// Takes a file for one that lies in the clone, so that it is judged before it does.
    pub fn add(&mut self, id: &RequestId, path: &str, text: &str) {
        let blob = crate::git::blob_id(text.as_bytes());
        let origin = Origin { source: self.source.name.clone(), path: path.into() };
        let kind = Kind::File;
        self.found.insert(id.clone(), Found { id: id.clone(), origin, blob, kind });
        self.blobs.insert(blob, Blob::Bytes(text.as_bytes().to_vec()));
        self.unsaved.insert(path.to_owned(), text.into());
    }

    /// The text of a file of this clone, for excerpts: never what a link leads to, nor what a pipe
    /// may say.
    pub fn text(&self, path: &str, max: u64) -> Option<Arc<str>> {
        if let Some(text) = self.unsaved.get(path) {
            return Some(Arc::clone(text));
        }
        match self.copy.read(path, max).ok()?? {
            Blob::Bytes(bytes) => String::from_utf8(bytes).ok().map(Into::into),
            Blob::TooLarge(_) => None,
        }
    }

    /// What a request's file says; `None` where its bytes were not read, or are no text.
    pub fn file(&self, id: &RequestId) -> Option<(&str, Result<RequestFile, Vec<Diagnostic>>)> {
        let found = self.found.get(id)?;
        let Blob::Bytes(bytes) = self.blobs.get(&found.blob)? else { return None };
        let text = std::str::from_utf8(bytes).ok()?;
        Some((text, catalog::request(&found.origin.path, id, bytes)))
    }

    /// From here on the request's file says this, though the disk does not.
    pub fn suppose(&mut self, id: &RequestId, text: &str) {
        let blob = blob_id(text.as_bytes());
        if let Some(found) = self.found.get_mut(id) {
            found.blob = blob;
            self.blobs.insert(blob, Blob::Bytes(text.as_bytes().to_vec()));
        }
    }

    /// Reads, validates and renders the requests `ids`, and those they refer to.
    pub async fn evaluate(
        &self,
        ids: &BTreeSet<RequestId>,
        catalog: &Catalog,
        records: &BTreeMap<RequestId, Record>,
        config: &Config,
    ) -> Result<Vec<Evaluated>, PassError> {
        let providers = local_providers(config)?;
        self.evaluate_as(ids, catalog, records, &providers, None).await
    }

    /// As [`LocalRequests::evaluate`], for who only asks what is wrong with them: what was rendered is
    /// not kept, and no digests are taken.
    pub async fn judge(
        &self,
        ids: &BTreeSet<RequestId>,
        catalog: &Catalog,
        records: &BTreeMap<RequestId, Record>,
        config: &Config,
    ) -> Result<Vec<Desired>, PassError> {
        let providers = local_providers(config)?;
        self.evaluate_as(ids, catalog, records, &providers, None).await
    }

    /// As [`LocalRequests::evaluate`], with outputs as a plan will make them.
    pub(super) async fn evaluate_as<T: From<Read> + Borrow<Desired> + Send>(
        &self,
        ids: &BTreeSet<RequestId>,
        catalog: &Catalog,
        records: &BTreeMap<RequestId, Record>,
        providers: &Providers,
        foresight: Option<&Foresight>,
    ) -> Result<Vec<T>, PassError> {
        let wanted: Vec<Found> = ids.iter().filter_map(|id| self.found.get(id).cloned()).collect();
        let templates = Templates::default();
        let mut memory = Memory::default();
        memory.take_rollouts(self.rollouts.clone());
        let teams = BTreeMap::from([(self.source.name.clone(), self.source.teams.clone())]);
        let evaluator = Evaluator {
            catalog,
            former: None,
            templates: &templates,
            memory: &memory,
            store: None,
            providers,
            teams,
            given: records,
            fresh: &|_| None,
            foresight,
        };
        let mut known = ids.clone();
        let (mut done, mut left) = (Vec::with_capacity(wanted.len()), Vec::new());
        let mut next = wanted;
        // Whom they refer to is read as well, in as many rounds as the longest chain has links.
        while !next.is_empty() {
            let read = desired::evaluate_free(&evaluator, next, &self.blobs, &mut done).await?;
            let referred: BTreeSet<&RequestId> = read.iter().flat_map(Parsed::references).collect();
            next = referred
                .into_iter()
                .filter(|id| known.insert((*id).clone()))
                .filter_map(|id| self.found.get(id).cloned())
                .collect();
            left.extend(read);
        }
        desired::finish(&evaluator, left, done).await
    }
}

pub(super) fn requests_folder(source: &RequestSource, pattern: &Pattern) -> String {
    let parts = [source.path.trim_matches('/'), pattern.folder().trim_end_matches('/')];
    parts.into_iter().filter(|p| !p.is_empty()).collect::<Vec<_>>().join("/")
}

/// What of `path` lies below `folder`; all of it when that is the root.
pub(super) fn below<'p>(folder: &str, path: &'p str) -> Option<&'p str> {
    let folder = folder.trim_matches('/');
    if folder.is_empty() { Some(path) } else { path.strip_prefix(folder)?.strip_prefix('/') }
}

/// The first part of a folder's path that is a link, which is never followed.
fn link_on_the_way(copy: &WorkingCopy, folder: &str) -> Option<String> {
    let mut at = String::new();
    for part in folder.split('/').filter(|p| !p.is_empty()) {
        if !at.is_empty() {
            at.push('/');
        }
        at.push_str(part);
        let meta = std::fs::symlink_metadata(copy.root().join(&at)).ok()?;
        if meta.is_symlink() {
            return Some(at);
        }
    }
    None
}

/// Providers that are only asked what they are, on a laptop.
pub(super) fn local_providers(config: &Config) -> Result<Providers, PassError> {
    let nowhere = PathBuf::from("/nonexistent");
    let transport = transport(config, &nowhere, None);
    providers(config, &nowhere, &transport)
}
