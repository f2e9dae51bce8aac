//! Which request files there are, which are new or changed, and which are gone: from what the
//! sources' commits touch.

use std::collections::{BTreeMap, BTreeSet};

use super::desired::{self, Found, Touched};
use super::pass::{Pass, gone_key};
use super::source::Snapshot;
use crate::git::Kind;
use crate::model::{Diagnostic, RequestId, SourceName};
use crate::store::{DesiredEntry, Write};

impl Pass<'_> {
    /// The files to read: those that commits touched, those of `seeds`, and whoever refers to them.
    pub(super) fn list(
        &mut self,
        mut seeds: BTreeSet<RequestId>,
        writes: &mut Vec<Write>,
    ) -> BTreeMap<RequestId, Found> {
        if self.snapshots[0].commit.is_none() {
            // Without any catalog nothing can be told of any request, not even that it is gone.
            return BTreeMap::new();
        }
        let limit = self.engine.config.settings.limits.files;
        let mut listed = Vec::new();
        for n in 1..self.snapshots.len() {
            let Snapshot { source, commit, problem } = &self.snapshots[n];
            // A source that cannot be believed now is not listed anew: what would not be found again
            // would read as gone.
            let anew = !self.memory.built.sources.contains_key(&source.name);
            if commit.is_none() || (anew && problem.is_some()) {
                continue;
            }
            match desired::touched(&self.snapshots[n], &self.memory, limit) {
                Ok(touched) => {
                    let Snapshot { source, commit, .. } = &self.snapshots[n];
                    if let (Some(files), Some(commit)) = (touched.files, commit) {
                        self.memory.files.insert(source.name.clone(), (commit.clone(), files));
                    }
                    listed.push((n, touched));
                }
                Err(error) => {
                    let name = self.snapshots[n].source.name.clone();
                    self.snapshots[n].problem = Some(error.problem((self.clock)()));
                    self.snapshots[n].commit = self.memory.built.sources.get(&name).cloned();
                }
            }
        }
        // What is gone anywhere comes before what is found: a file may go from one source to another.
        let mut found: BTreeMap<RequestId, Found> = BTreeMap::new();
        for (n, touched) in &listed {
            self.take_gone(*n, touched, &mut found, &mut seeds, writes);
        }
        let behind = std::mem::take(&mut self.memory.built.behind);
        for (n, touched) in listed {
            self.take_found(n, touched, behind, &mut found);
        }
        for id in self.with_dependents(seeds.into_iter().chain(found.keys().cloned())) {
            if !found.contains_key(&id)
                && let Some(entry) = self.memory.desired().get(&id)
            {
                found.insert(id, self.refind(entry));
            }
        }
        found
    }

    pub(super) fn take_gone(
        &mut self,
        n: usize,
        touched: &Touched,
        found: &mut BTreeMap<RequestId, Found>,
        seeds: &mut BTreeSet<RequestId>,
        writes: &mut Vec<Write>,
    ) {
        let mut gone = touched.gone.clone();
        if touched.whole {
            let source = self.snapshots[n].source.name.clone();
            let there: BTreeSet<&RequestId> = touched.found.iter().map(|f| &f.id).collect();
            let entries = self.memory.desired().iter();
            let lost = entries.filter(|d| *d.spot.source() == source && !there.contains(&d.id));
            gone.extend(lost.map(|d| (d.id.clone(), d.spot.origin(&d.id))));
            self.forget_unread_of(&source);
        }
        if touched.whole {
            self.miss(n, touched, writes);
        }
        for (id, origin) in gone {
            let was_unread = self.unread_at(&id).as_ref() == Some(&origin);
            if was_unread {
                self.forget_unread(&id);
            }
            if (self.lose(n, &id, &origin, seeds, writes) || was_unread)
                && let Some(other) = self.elsewhere(n, &id)
            {
                // It was refused for as long as the other stood, and speaks for the request now.
                self.memory.paths.remove(&path_key(&other.origin.source, &other.origin.path));
                found.insert(id, other);
            }
        }
    }

    /// After the store was made anew: what is recorded and has no file any more is met as if this pass had
    /// seen it go, since the last one did not.
    fn miss(&mut self, n: usize, touched: &Touched, writes: &mut Vec<Write>) {
        let source = &self.snapshots[n].source;
        let name = source.name.clone();
        if !self.memory.rebuilt.remove(&name) {
            return;
        }
        let there: BTreeSet<&RequestId> = touched.found.iter().map(|f| &f.id).collect();
        let records = self.memory.records().iter();
        let missed = records.filter(|record| record.source == name && !there.contains(&record.id));
        let missed: Vec<(RequestId, String)> = missed
            .filter_map(|record| Some((record.id.clone(), source.path_of(&record.id)?)))
            .collect();
        let last = self.memory.sources.get(&name).and_then(|source| source.commit.clone());
        for (id, path) in missed {
            let gone = self.last_words(n, &id, &path, last.as_ref());
            writes
                .push(Write::Value { key: gone_key(&id), value: serde_json::to_value(&gone).ok() });
            self.lost.insert(id, gone);
        }
        let left = &self.memory.rebuilt;
        let value = (!left.is_empty()).then(|| serde_json::json!(left));
        writes.push(Write::Value { key: super::pass::REBUILT.into(), value });
    }

    pub(super) fn take_found(
        &mut self,
        n: usize,
        touched: Touched,
        behind: bool,
        found: &mut BTreeMap<RequestId, Found>,
    ) {
        let source = self.snapshots[n].source.name.clone();
        for file in touched.found {
            let key = path_key(&file.origin.source, &file.origin.path);
            let holder = found.get(&file.id).map(|f| f.origin.clone());
            let holder = holder
                .or_else(|| self.unread_at(&file.id))
                .or_else(|| self.memory.desired().get(&file.id).map(|d| d.spot.origin(&d.id)));
            // A source that is not configured any more holds nothing against one that is.
            let stands = |name: &SourceName| self.snapshots.iter().any(|s| s.source.name == *name);
            match holder.filter(|h| h.source != file.origin.source && stands(&h.source)) {
                Some(holder) => {
                    self.memory.paths.insert(key, taken(&file, &holder));
                }
                None => {
                    self.memory.paths.remove(&key);
                    let known = self.memory.desired().get(&file.id).filter(|_| behind);
                    let is_file = matches!(file.kind, Kind::File | Kind::Executable);
                    let is_same = |entry: &DesiredEntry| {
                        entry.blob == file.blob && entry.spot.origin(&file.id) == file.origin
                    };
                    // What a portion took before is as it was read.
                    if is_file && known.is_some_and(is_same) {
                        continue;
                    }
                    found.insert(file.id.clone(), file);
                }
            }
        }
        for ((source, path), problem) in touched.paths {
            let key = path_key(&source, &path);
            match problem {
                Some(problem) => self.memory.paths.insert(key, problem),
                None => self.memory.paths.remove(&key),
            };
        }
        if let Some(commit) = self.snapshots[n].commit.clone() {
            self.memory.built.sources.insert(source, commit);
        }
    }

    /// The same request in another source, whose file was refused for as long as this one stood.
    pub(super) fn elsewhere(&self, but: usize, id: &RequestId) -> Option<Found> {
        (1..self.snapshots.len()).filter(|n| *n != but).find_map(|n| {
            let Snapshot { source, commit, .. } = &self.snapshots[n];
            let path = source.path_of(id)?;
            let entry = source.mirror().find(commit.as_ref()?, &path).ok()??;
            let origin = crate::model::Origin { source: source.name.clone(), path: path.into() };
            Some(Found { id: id.clone(), origin, blob: entry.id, kind: entry.kind })
        })
    }

    /// The file of an entry of the index, to be read again.
    pub(super) fn refind(&self, entry: &DesiredEntry) -> Found {
        let DesiredEntry { id, spot, blob, valid, .. } = entry;
        let origin = spot.origin(id);
        let mut found = Found { id: id.clone(), origin, blob: *blob, kind: Kind::File };
        // What could be read is a file; what could not may be a link.
        if !valid
            && let Some(snapshot) = self.snapshots.iter().find(|s| s.source.name == *spot.source())
            && let Some(commit) = &snapshot.commit
            && let Ok(Some(there)) = snapshot.source.mirror().find(commit, &found.origin.path)
        {
            found.kind = there.kind;
        }
        found
    }

    /// A request's file is gone: what it last said is kept, since the deletion may be held for long.
    /// False when another file speaks for the request.
    pub(super) fn lose(
        &mut self,
        n: usize,
        id: &RequestId,
        origin: &crate::model::Origin,
        seeds: &mut BTreeSet<RequestId>,
        writes: &mut Vec<Write>,
    ) -> bool {
        self.memory.paths.remove(&path_key(&origin.source, &origin.path));
        let ours = self.memory.desired().get(id).is_some_and(|d| d.spot.origin(id) == *origin);
        if !ours {
            return false;
        }
        let last = self.memory.sources.get(&origin.source).and_then(|s| s.commit.clone());
        let gone = self.last_words(n, id, &origin.path, last.as_ref());
        let in_flight = self.memory.journal.keys().any(|key| key.request == *id);
        if in_flight || self.memory.records().contains(id) {
            let value = serde_json::to_value(&gone).ok();
            writes.push(Write::Value { key: gone_key(id), value });
            self.lost.insert(id.clone(), gone);
        }
        self.memory.drop_desired(id);
        writes.push(Write::DropDesired(id.clone()));
        seeds.extend(self.memory.dependents(id));
        self.touched.insert(id.clone());
        true
    }

    /// Seeds and everybody who refers to them, directly or not.
    pub(super) fn with_dependents(
        &self,
        seeds: impl IntoIterator<Item = RequestId>,
    ) -> BTreeSet<RequestId> {
        let mut all = BTreeSet::new();
        let mut queue: Vec<RequestId> = seeds.into_iter().collect();
        while let Some(id) = queue.pop() {
            if all.insert(id.clone()) {
                queue.extend(self.memory.dependents(&id));
            }
        }
        all
    }
}

fn path_key(source: &SourceName, path: &str) -> String {
    format!("{source}:{path}")
}

/// A second file for a request that another source holds.
fn taken(file: &Found, holder: &crate::model::Origin) -> Diagnostic {
    let place = crate::model::Place::file(file.origin.path.clone());
    let message = format!(
        "request `{}` stands in `{}` already, in the repository `{}`",
        file.id, holder.path, holder.source
    );
    Diagnostic::error("REQ002", place, message)
        .help("one of the two takes another name; the one that was there first stays")
}
