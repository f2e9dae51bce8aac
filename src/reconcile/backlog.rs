//! What a pass leaves to those after it: of very many new files, a pass takes up a portion, so that its
//! memory does not grow with them.
//!
//! # Guarantees
//! - A pass goes on as if the commits had brought only what it took.
//! - Only files of requests of which nothing is known are left: nothing that is made waits for a later
//!   pass to say what it should be, nor reads as gone.
//! - Nothing is left while something recorded has gone: the one may be the other under a new name.
//! - Whoever says to have been another is read together with that one.
//! - While something is left, the store names no commit that its index was built from: whoever loads it
//!   lists all anew, finds what came and went meanwhile, and reads what it does not know.

use std::collections::{BTreeMap, BTreeSet};

use super::PassError;
use super::desired::Found;
use super::memory::Built;
use super::pass::Pass;
use crate::git::Kind;
use crate::model::{ObjectId, RequestId, SourceName};
use crate::store::{Spot, Write};

/// See the module.
pub(super) struct Backlog {
    /// What the store says that the desired index was built from.
    stored: Built,
    /// What it was built from but for what is left.
    built: Built,
    left: BTreeMap<RequestId, Left>,
}

/// A file to read, without its path.
struct Left {
    spot: Spot,
    blob: ObjectId,
    kind: Kind,
}

impl Backlog {
    /// How many files there are.
    pub fn len(&self) -> usize {
        self.left.len()
    }

    /// What the store says, as the program reads it.
    pub fn stored(&self) -> &Built {
        &self.stored
    }

    /// What the index was built from, but for what is left.
    pub fn built(&self) -> &Built {
        &self.built
    }
}

impl Left {
    fn found(self, id: RequestId) -> Found {
        let origin = self.spot.origin(&id);
        Found { id, origin, blob: self.blob, kind: self.kind }
    }
}

impl Pass<'_> {
    /// Where the file lies that is left of a request.
    pub(super) fn unread_at(&self, id: &RequestId) -> Option<crate::model::Origin> {
        Some(self.backlog.as_ref()?.left.get(id)?.spot.origin(id))
    }

    /// All of a source is listed: what was left of it is found again, or is not there any more.
    pub(super) fn forget_unread_of(&mut self, source: &SourceName) {
        if let Some(backlog) = &mut self.backlog {
            backlog.left.retain(|_, left| left.spot.source() != source);
        }
    }

    /// The file of a request is not there any more.
    pub(super) fn forget_unread(&mut self, id: &RequestId) {
        if let Some(backlog) = &mut self.backlog {
            backlog.left.remove(id);
        }
    }

    /// Lists what is new or changed, and reads as much of it as this pass takes up. `seeds` are to be read
    /// again since the catalog changed.
    pub(super) async fn read_portion(
        &mut self,
        seeds: BTreeSet<RequestId>,
        writes: &mut Vec<Write>,
    ) -> Result<(), PassError> {
        let was_behind = self.backlog.is_some();
        let found = self.list(seeds, writes);
        let mut now = self.take_portion(found);
        loop {
            self.evaluate(now, writes).await?;
            now = self.take_partners();
            if now.is_empty() {
                break;
            }
        }
        self.caught_up = was_behind && self.backlog.is_none();
        Ok(())
    }

    /// Of `found`, and of what former passes left, what this pass takes up.
    fn take_portion(&mut self, found: BTreeMap<RequestId, Found>) -> Vec<Found> {
        let most = self.engine.config.settings.reconcile.portion;
        let mut left = self.backlog.take().map(|backlog| backlog.left).unwrap_or_default();
        let mut now = Vec::with_capacity(found.len().min(most));
        // What is newest first: whoever pushes one file does not wait for a hundred thousand others.
        for (id, file) in found {
            left.remove(&id);
            if now.len() < most || !self.can_wait(&id) {
                now.push(file);
            } else {
                let spot = self.memory.spot(&id, &file.origin);
                left.insert(id, Left { spot, blob: file.blob, kind: file.kind });
            }
        }
        let room = most.saturating_sub(now.len());
        let late: Vec<RequestId> = match self.lease.is_some() && self.lost.is_empty() {
            true => left.keys().take(room).cloned().collect(),
            false => left.keys().cloned().collect(),
        };
        for id in late {
            now.extend(left.remove(&id).map(|left| left.found(id)));
        }
        if !left.is_empty() {
            tracing::info!(
                now = now.len(),
                left = left.len(),
                "very many new files: the next passes take up the rest"
            );
            self.unfinished = true;
            let (stored, built) = Default::default();
            self.backlog = Some(Backlog { stored, built, left });
        }
        now
    }

    /// Whether a file may be read by a later pass: see the module.
    fn can_wait(&self, id: &RequestId) -> bool {
        let memory = &self.memory;
        let is_known = memory.desired().contains(id)
            || memory.records().contains(id)
            || self.components(id, &memory.journal).next().is_some()
            || self.components(id, &memory.retries).next().is_some();
        self.lease.is_some() && self.lost.is_empty() && !is_known
    }

    /// Of what is left, those that files which this pass has read say to have been: a move is understood
    /// with both at hand.
    fn take_partners(&mut self) -> Vec<Found> {
        let Some(backlog) = &mut self.backlog else { return Vec::new() };
        let specs = self.fresh.values().filter_map(|evaluated| evaluated.row.desired.spec());
        let partners: BTreeSet<&RequestId> =
            specs.filter_map(|spec| spec.moved_from.as_ref()).collect();
        let found = partners
            .into_iter()
            .filter_map(|id| Some(backlog.left.remove(id)?.found(id.clone())))
            .collect();
        self.backlog = self.backlog.take().filter(|backlog| !backlog.left.is_empty());
        found
    }

    /// All sources and the catalog are listed: what the store is to say that the index was built from.
    pub(super) fn note_listed(&mut self) -> Built {
        let built = &self.memory.built;
        let Some(backlog) = &mut self.backlog else { return built.clone() };
        let Built { reading, catalog, .. } = built.clone();
        // Of a source that could not be read, what is known need not be as the catalog has it.
        let behind = self.snapshots[1..]
            .iter()
            .all(|s| s.commit.is_none() || built.sources.contains_key(&s.source.name));
        backlog.stored = Built { reading, catalog, sources: BTreeMap::new(), behind };
        backlog.built = built.clone();
        backlog.stored.clone()
    }
}
