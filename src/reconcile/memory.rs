//! What a running engine keeps between passes: the desired and the recorded index, and what is
//! under way. All of it can be loaded from the store; none of it decides anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::DriftClock;
use super::brought::Brought;
use super::ends::Ends;
use super::observe::LooksOpen;
use super::preview::{Prepared, Previewing};
use super::shut::Shut;
use super::table::{Entry, Table};
use crate::catalog::Catalog;
use crate::digest::Digest;
use crate::model::{
    Approval, Counts, Diagnostic, DriftCounts, EndCounts, Fate, HoldReason, Journalled, Lasting,
    Origin, RequestId, Retry, Revision, Rollout, SourceName, Sources, TargetKey, TargetName,
    TemplateId, TraceParent, Wave,
};
use crate::plan;
use crate::store::{DesiredEntry, Frames, HeldRow, Index, RecordEntry, Spot};

/// See the module.
#[derive(Default)]
pub struct Memory {
    desired: Table<DesiredEntry>,
    records: Table<RecordEntry>,
    frames: Frames,
    /// Requests whose record does not satisfy what is desired; kept with every put and drop, so
    /// that a pass need not compare all with all.
    unsettled: BTreeSet<RequestId>,
    teams: BTreeMap<String, u64>,
    /// When each record is looked at for drift next: a pass asks only for the first of them.
    looks: BTreeSet<(Timestamp, RequestId)>,
    drift: DriftClock,
    /// When each record ends that has an end.
    ends: Ends,
    /// Up to when what is to be said of ends was looked for; `None`: not since this was loaded.
    marked: Option<Timestamp>,
    /// Why files whose time is over are still there, by source: what became of the last try to remove
    /// them. What is held says it too, so that it is known after a restart.
    pub(super) unremoved: BTreeMap<SourceName, String>,
    /// When a provider that is still looking for drift is asked again, by request. Kept only here:
    /// after a restart it is asked at once.
    looking: BTreeMap<RequestId, Timestamp>,
    /// When a pass comes back for looks for drift that it did not wait for.
    pub(super) answers_at: Option<Timestamp>,
    dependents: HashMap<RequestId, BTreeSet<RequestId>>,
    /// Previews that were made and not yet carried out. What a memory that is thrown away had
    /// prepared, its provider clears away.
    pub(super) prepared: BTreeMap<TargetKey, Prepared>,
    /// Previews that are asked for, by what they are of.
    pub(super) previewing: Previewing,
    /// Looks that go on: a pass that only plans has it at hand too.
    pub(super) looks_open: std::sync::Mutex<LooksOpen>,
    /// Effects under way.
    pub journal: BTreeMap<TargetKey, Journalled>,
    /// Where nothing is begun for now. Kept only here: after a restart it is tried.
    pub shut: Shut,
    /// Targets that failed.
    pub retries: BTreeMap<TargetKey, Retry>,
    /// Why nothing happens, by request.
    pub holds: BTreeMap<RequestId, Vec<HeldRow>>,
    /// The last good commits.
    pub sources: Sources,
    /// How many files each source had at a commit.
    pub files: BTreeMap<SourceName, (Revision, usize)>,
    /// What people approved.
    pub approvals: BTreeMap<Digest, Vec<Approval>>,
    /// Digests of published template versions.
    pub templates: BTreeMap<TemplateId, Digest>,
    /// How versions stand that were or are rolled out.
    pub rollouts: BTreeMap<TemplateId, Rollout>,
    /// Versions that are published and were not stable yet.
    pub young: BTreeSet<TemplateId>,
    /// The waves, by the catalog; its last word, until it is read again.
    pub waves: Vec<Wave>,
    /// What the catalog says of waves cannot be understood: none begins and nothing ends.
    pub frozen: bool,
    /// Requests per team, environment and phase.
    pub counts: Counts,
    /// Targets that differ from what was applied.
    pub drifted: DriftCounts,
    /// The store does not say that yet.
    pub is_new_drifted: bool,
    /// The catalog and the commit it was read at.
    pub catalog: Option<(Arc<Catalog>, Revision)>,
    /// What the catalog's own files got wrong.
    pub catalog_problems: Vec<Diagnostic>,
    /// Paths that look like a request's and are none.
    pub paths: BTreeMap<String, Diagnostic>,
    /// The inputs that the desired index was built from.
    pub built: Built,
    /// Each source's commit of which all is announced.
    pub told: BTreeMap<SourceName, Revision>,
    /// The traces of effects that ended, of which nothing was published yet.
    pub owed: Vec<TraceParent>,
    /// From which commit on sources need pull requests.
    pub gates: BTreeMap<SourceName, Revision>,
    /// Which commits brought what is not applied yet.
    pub(super) brought: Brought,
    /// Sources of which nothing was listed yet since the store was made anew: what they ask for is not
    /// known to have been there.
    pub rebuilt: BTreeSet<SourceName>,
    /// Requests whose deletion was held as one of too many: that set, and how many it had.
    pub stopped: BTreeMap<RequestId, (Digest, u64)>,
    /// Names of targets that requests took along when they moved: who has each.
    pub taken: BTreeMap<TargetName, RequestId>,
    /// The store does not say that yet.
    pub is_new_taken: bool,
    /// A pass was cut off before it had said what it did.
    pub unsaid: bool,
    /// How often people had written when this was loaded.
    pub notes: u64,
    /// The store's [`Index::basis`] that this agrees with.
    pub basis: u64,
}

/// What the desired index was built from: another reading needs all of it again.
#[derive(Clone, PartialEq, Eq, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Built {
    /// Configuration and version of this program's reading.
    pub reading: Option<Digest>,
    /// The catalog's commit.
    pub catalog: Option<Revision>,
    /// Each source's commit.
    pub sources: BTreeMap<SourceName, Revision>,
    /// No source is named since files are left that were not read yet; what was read is as `reading` and
    /// `catalog` have it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub behind: bool,
}

impl Memory {
    /// From what the store has.
    pub fn load(index: Index, drift: DriftClock) -> Self {
        let Index {
            desired,
            records,
            journal,
            retries,
            holds,
            sources,
            approvals,
            templates,
            notes,
            basis,
        } = index;
        let mut memory = Self {
            retries: retries.into_iter().collect(),
            sources,
            templates: templates.into_iter().collect(),
            notes,
            basis,
            drift,
            ..Self::default()
        };
        for approval in approvals {
            memory.approvals.entry(approval.digest).or_default().push(approval);
        }
        memory.take(Table::load(desired), Table::load(records));
        for row in journal {
            memory.journal.insert(row.change.target.key.clone(), row);
        }
        for row in holds {
            if let HoldReason::Expired { fate: Fate::Commit { error: Some(error) }, .. } =
                &row.hold.reason
                && let Some(entry) = memory.desired.get(&row.hold.request)
            {
                memory.unremoved.insert(entry.spot.source().clone(), error.clone());
            }
            memory.holds.entry(row.hold.request.clone()).or_default().push(row);
        }
        memory
    }

    /// Takes the lists of all requests in, of which nothing was known: what follows from them is
    /// made in one go.
    fn take(&mut self, desired: Table<DesiredEntry>, records: Table<RecordEntry>) {
        for entry in records.iter() {
            self.link(&entry.id, &entry.references);
            if let Some(ends) = entry.ends {
                self.ends.put(ends, entry.id.clone());
            }
            match self.teams.get_mut(entry.id.team()) {
                Some(count) => *count += 1,
                None => drop(self.teams.insert(entry.id.team().to_owned(), 1)),
            }
        }
        let drift = self.drift;
        self.looks = records.iter().map(|entry| (drift.due(entry), entry.id.clone())).collect();
        desired.iter().for_each(|entry| self.link(&entry.id, &entry.references));
        (self.desired, self.records) = (desired, records);
        let is_open = |id: &&RequestId| !self.is_settled(id);
        let desired = self.desired.iter().map(|entry| &entry.id).filter(is_open);
        let records = self.records.iter().map(|entry| &entry.id).filter(is_open);
        self.unsettled = desired.chain(records).cloned().collect();
    }

    /// Packs where a request's file lies.
    pub fn spot(&mut self, id: &RequestId, origin: &Origin) -> Spot {
        self.frames.pack(id, &origin.source, &origin.path)
    }

    /// What Git asks for.
    pub fn desired(&self) -> &Table<DesiredEntry> {
        &self.desired
    }

    /// What was applied.
    pub fn records(&self) -> &Table<RecordEntry> {
        &self.records
    }

    /// Requests whose record does not satisfy what is desired.
    pub fn unsettled(&self) -> &BTreeSet<RequestId> {
        &self.unsettled
    }

    fn link(&mut self, from: &RequestId, to: &[RequestId]) {
        for other in to {
            self.dependents.entry(other.clone()).or_default().insert(from.clone());
        }
    }

    fn is_settled(&self, id: &RequestId) -> bool {
        match (self.desired.get(id), self.records.get(id)) {
            (Some(desired), Some(record)) => {
                record.settled == Some(desired.fingerprint)
                    && record.source == *desired.spot.source()
            }
            (None, None) => true,
            (Some(_), None) | (None, Some(_)) => false,
        }
    }

    fn settle(&mut self, id: &RequestId) {
        if self.is_settled(id) {
            self.unsettled.remove(id);
        } else {
            self.unsettled.insert(id.clone());
        }
    }

    /// Puts or replaces a desired entry.
    pub fn put_desired(&mut self, entry: DesiredEntry) {
        let id = entry.id.clone();
        self.link(&id, &entry.references);
        self.desired.put(entry);
        self.settle(&id);
    }

    /// It is desired no more.
    pub fn drop_desired(&mut self, id: &RequestId) {
        self.desired.remove(id);
        self.settle(id);
    }

    /// Puts or replaces a record's entry.
    pub fn put_record(&mut self, entry: RecordEntry) {
        let id = entry.id.clone();
        self.link(&id, &entry.references);
        self.looking.remove(&id);
        self.looks.insert((self.drift.due(&entry), id.clone()));
        let ends = entry.ends;
        match self.records.put(entry) {
            Some(before) => {
                self.forget_look(&before);
                self.forget_end(&before);
            }
            None => *self.teams.entry(id.team().to_owned()).or_default() += 1,
        }
        if let Some(ends) = ends {
            self.ends.put(ends, id.clone());
        }
        self.settle(&id);
    }

    /// Nothing of it is applied any more.
    pub fn drop_record(&mut self, id: &RequestId) {
        self.looking.remove(id);
        if let Some(before) = self.records.remove(id) {
            self.forget_look(&before);
            self.forget_end(&before);
            if let Some(count) = self.teams.get_mut(id.team()) {
                *count -= 1;
            }
        }
        self.settle(id);
    }

    /// Forgets when `before` was to be looked at, unless its successor is due at the same moment.
    fn forget_look(&mut self, before: &RecordEntry) {
        let due = self.drift.due(before);
        let still = self.records.get(&before.id).is_some_and(|now| self.drift.due(now) == due);
        if !still {
            self.looks.remove(&(due, before.id.clone()));
        }
    }

    fn forget_end(&mut self, before: &RecordEntry) {
        if let Some(ends) = before.ends {
            self.ends.remove(ends, &before.id);
        }
    }

    /// Requests whose time is over at `now` and whose files can be read.
    pub fn over(&self, now: Timestamp) -> impl Iterator<Item = &RequestId> {
        self.ends.over(now).filter(|id| self.desired.get(id).is_some_and(|desired| desired.valid))
    }

    /// Requests of whose end something is to be said that was not yet, as of `now`.
    pub fn mark(&mut self, warn: &[SignedDuration], now: Timestamp) -> BTreeSet<RequestId> {
        let crossed = self.ends.crossed(warn, self.marked, now);
        self.marked = Some(now);
        crossed
    }

    /// How many requests have an end, by how near it is.
    pub fn end_counts(&self, warn: &[SignedDuration], now: Timestamp) -> EndCounts {
        self.ends.counts(warn.iter().max().copied().unwrap_or_default(), now)
    }

    /// Recorded requests whose look for drift is due at `now`, the longest overdue first.
    pub fn looks_due(&self, now: Timestamp) -> impl Iterator<Item = &RequestId> {
        let due = self.looks.iter().take_while(move |(due, _)| *due <= now).map(|(_, id)| id);
        due.filter(move |id| self.looking.get(id).is_none_or(|again| *again <= now))
    }

    /// A provider is still looking at it for drift: it is asked again then.
    pub fn look_again(&mut self, id: RequestId, at: Timestamp) {
        self.looking.insert(id, at);
    }

    /// Who refers to `id`, in what is desired or recorded. Links are only ever added, so each is
    /// checked against both.
    pub fn dependents(&self, id: &RequestId) -> Vec<RequestId> {
        let refers = |other: &RequestId| {
            self.desired.get(other).is_some_and(|d| d.references.contains(id))
                || self.records.get(other).is_some_and(|r| r.references.contains(id))
        };
        self.dependents.get(id).into_iter().flatten().filter(|o| refers(o)).cloned().collect()
    }

    /// Requests that `id` refers to: as desired, or as recorded where the file cannot be read.
    pub fn references(&self, id: &RequestId) -> Vec<RequestId> {
        let desired = self.desired.get(id).filter(|d| d.valid).map(|d| &d.references);
        desired
            .or(self.records.get(id).map(|r| &r.references))
            .map(|r| r.to_vec())
            .unwrap_or_default()
    }

    /// Recorded requests, in all and by team.
    pub fn totals(&self) -> (u64, BTreeMap<String, u64>) {
        (self.records.len() as u64, self.teams.clone())
    }

    /// When something is due although nothing changes: work in flight to ask about, a retry, a look
    /// for drift, a warning before an end or the end itself. What is due already and still there after a pass, since something holds it, is
    /// looked at again at `poll` and not in a loop.
    pub fn due(
        &self,
        warn: &[SignedDuration],
        now: Timestamp,
        poll: Timestamp,
    ) -> Option<Timestamp> {
        let flights = self.journal.values().map(|j| j.next.unwrap_or(j.since));
        let retries = self.retries.values().map(|r| r.until);
        // Those that are overdue come first, and the first of the others ends it.
        let overdue = self.looks_due(now).next().map(|_| now);
        let next = self.looks.iter().map(|(due, _)| *due).find(|due| *due > now);
        let looks = overdue.into_iter().chain(next);
        let blind = self.is_blind().then_some(poll);
        let looking = self.looking.values().copied();
        // What is asked already is answered soon, most likely.
        let asked = (self.previewing.len() > 0).then(|| now + ASKED);
        let due = retries.chain(looks).chain(looking).chain(blind).chain(asked);
        let due = due.chain(self.answers_at);
        let waves = self.rollouts.values().filter_map(|r| plan::rollout::due(r, &self.waves));
        let due = due.chain(waves).map(|due| if due > now { due } else { poll });
        let ends = self.ends.next(warn, self.marked.unwrap_or(now));
        // What came due while others were begun was not asked about.
        due.chain(flights).chain(ends).min()
    }

    /// How much goes on at providers: effects, and questions about what changes would do.
    pub fn under_way(&self) -> usize {
        self.journal.len() + self.previewing.len()
    }

    /// Since when what is under way or held is so.
    pub fn since(&self) -> Lasting {
        let mut since = Lasting {
            under_way: self.journal.values().map(|row| row.since).min(),
            ..Lasting::default()
        };
        for row in self.holds.values().flatten() {
            match since.held.get_mut(row.hold.reason.name()) {
                Some(first) => *first = row.since.min(*first),
                None => drop(since.held.insert(row.hold.reason.name().to_owned(), row.since)),
            }
        }
        since
    }

    /// Whether something is held only because it could not be seen, or because somebody else was at
    /// work there: no commit tells when that is over.
    pub fn is_blind(&self) -> bool {
        let passing =
            |r: &HoldReason| matches!(r, HoldReason::NotObserved { .. } | HoldReason::Busy { .. });
        self.holds.values().flatten().any(|row| passing(&row.hold.reason))
    }
}

/// When a pass comes back for previews that it did not wait for.
const ASKED: SignedDuration = SignedDuration::from_secs(5);

impl Entry for DesiredEntry {
    fn id(&self) -> &RequestId {
        &self.id
    }
}

impl Entry for RecordEntry {
    fn id(&self) -> &RequestId {
        &self.id
    }
}
