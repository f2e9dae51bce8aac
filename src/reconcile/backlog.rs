//! What a pass leaves to those after it: of very many new and changed files, a pass takes up a portion, so
//! that its memory does not grow with them.
//!
//! # Guarantees
//! - A pass goes on as if the commits had brought only what it took.
//! - The store is told of the commits when nothing of them is left: after a restart all that differs is
//!   listed again, and what was taken reads as it did.
//! - Nothing that is recorded is left without its file: it would read as gone.
//! - What is not made yet is never left while something has gone: the one may be the other under a new name.
//! - Whoever says to have been another is read together with that one.
//! - While versions are rolled out in waves, all whom a catalog's change concerns are read together.

use std::collections::{BTreeMap, BTreeSet};

use super::PassError;
use super::desired::Found;
use super::memory::Built;
use super::pass::Pass;
use crate::git::Kind;
use crate::model::{ObjectId, RequestId};
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

    /// What an index was built from that was loaded from a store which says `stored`; `None`: what is left
    /// here is not what it lacks.
    pub fn resume(&self, stored: &Built) -> Option<&Built> {
        (self.stored == *stored).then_some(&self.built)
    }

    /// What the store says.
    pub fn stored(&self) -> &Built {
        &self.stored
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

    /// The file of a request is not there any more, or is read now.
    pub(super) fn forget_unread(&mut self, id: &RequestId) {
        if let Some(backlog) = &mut self.backlog {
            backlog.left.remove(id);
        }
    }

    /// Lists what is new or changed, and reads as much of it as this pass takes up. `seeds` are to be read
    /// again since the catalog changed; `stored` is what the indexes were built from before this pass.
    pub(super) async fn read_portion(
        &mut self,
        seeds: BTreeSet<RequestId>,
        stored: Built,
        writes: &mut Vec<Write>,
    ) -> Result<(), PassError> {
        let (is_catalogs, was_behind) = (!seeds.is_empty(), self.backlog.is_some());
        let found = self.list(seeds, writes);
        let mut now = self.take_portion(found, stored, is_catalogs);
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

    /// As many of `found`, and of what former passes left, as this pass takes up. `stored` is what the
    /// indexes were built from before it; `is_catalogs`: the catalog's change brought some of them.
    fn take_portion(
        &mut self,
        mut found: BTreeMap<RequestId, Found>,
        stored: Built,
        is_catalogs: bool,
    ) -> Vec<Found> {
        let most = self.engine.config.settings.reconcile.portion;
        let mut before = self.backlog.take();
        if let Some(backlog) = &mut before {
            found.keys().for_each(|id| drop(backlog.left.remove(id)));
        }
        let waits = before.as_ref().map_or(0, Backlog::len);
        let in_waves =
            is_catalogs && !(self.memory.waves.is_empty() && self.memory.rollouts.is_empty());
        if self.lease.is_none() || in_waves || found.len() + waits <= most {
            let left = before.into_iter().flat_map(|backlog| backlog.left);
            found.extend(left.map(|(id, left)| (id.clone(), left.found(id))));
            return found.into_values().collect();
        }
        let stored = before.as_ref().map_or(stored, |backlog| backlog.stored.clone());
        let mut left = before.map(|backlog| backlog.left).unwrap_or_default();
        let mut now = Vec::with_capacity(most);
        // What is newest first: whoever pushes one file does not wait for a hundred thousand others.
        for (id, file) in found {
            if now.len() < most || self.cannot_wait(&id) {
                now.push(file);
            } else {
                let spot = self.memory.spot(&id, &file.origin);
                left.insert(id, Left { spot, blob: file.blob, kind: file.kind });
            }
        }
        let late: BTreeSet<RequestId> = match self.lost.is_empty() {
            true => left.keys().take(most.saturating_sub(now.len())).cloned().collect(),
            false => left.keys().filter(|id| self.cannot_wait(id)).cloned().collect(),
        };
        for id in late {
            now.extend(left.remove(&id).map(|left| left.found(id)));
        }
        if !left.is_empty() {
            tracing::info!(
                now = now.len(),
                left = left.len(),
                "very many files: the next passes take up the rest"
            );
            self.unfinished = true;
            self.backlog = Some(Backlog { stored, built: Built::default(), left });
        }
        now
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

    /// Whether a file must be read by this pass: see the module.
    fn cannot_wait(&self, id: &RequestId) -> bool {
        let memory = &self.memory;
        let is_made = memory.records().contains(id);
        if !is_made && !self.lost.is_empty() {
            return true;
        }
        if memory.desired().contains(id) {
            return false;
        }
        is_made
            || self.components(id, &memory.journal).next().is_some()
            || self.components(id, &memory.retries).next().is_some()
    }

    /// All sources and the catalog are listed: what is left is what the index lacks of them.
    pub(super) fn note_listed(&mut self) {
        if let Some(backlog) = &mut self.backlog {
            backlog.built = self.memory.built.clone();
        }
    }
}
