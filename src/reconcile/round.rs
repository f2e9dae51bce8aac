//! Rounds within a pass: what differs is observed, planned and done, until nothing more can be.
//!
//! A round that ends an effect may make others ready: what waited for it, what refers to its
//! outputs. Those are read again and planned again, so that the executor never has to choose.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::json;
use tracing::Instrument as _;
use tracing::field::Empty;

use super::desired::{self, Evaluated, Found};
use super::foresee::{self, Foreseen, Foreseer, Foresight, Sight};
use super::pass::{Pass, STOPPED, gone_key};
use super::reach::Reach;
use super::source::Snapshot;
use super::{Notice, PassError};
use crate::digest::Digest;
use crate::fault::planted;
use crate::git::Blob;
use crate::model::{
    Artifact, ComponentName, Desired, Fate, Hold, HoldReason, Left, Observation, Phase, Plan,
    Record, RequestId, Retry, Revision, SourceName, Step, Target, TargetKey, TargetName,
};
use crate::plan::{self, Case, Gone, Guards, InFlight, Situation, Totals};
use crate::provider::Providers;
use crate::store::Write;

/// Rounds in one pass; what is not done by then goes on in the next.
const MAX_ROUNDS: usize = 200;

/// Steps that are begun together: what is kept of them meanwhile does not grow with the plan.
const PART: usize = 4_000;

/// When a file came, beside the commit that took another.
enum Came {
    /// It was there before, of no effect, and was left as it was.
    Before,
    With,
    Later,
}

impl Pass<'_> {
    /// Plans and executes until nothing is ready.
    ///
    /// `again`: requests that may read otherwise than they did, by effects that ended before.
    pub(super) async fn rounds(&mut self, mut again: BTreeSet<RequestId>) -> Result<(), PassError> {
        let mut live: HashMap<TargetKey, plan::Seen> = HashMap::new();
        let mut rubble = HashMap::new();
        for round in 0..MAX_ROUNDS {
            self.planned = (self.clock)();
            self.read_again(std::mem::take(&mut again)).await?;
            let ids = match &self.scope {
                Some(scope) => scope.clone(),
                None => self.differing(),
            };
            let looked = ids.clone();
            let cases = self.cases(ids).await?;
            self.hear_again().await?;
            self.take_up_given(&cases).await?;
            let mut looking = BTreeSet::new();
            let span = tracing::debug_span!("plan", "vend.steps" = Empty, "vend.holds" = Empty);
            let planned = self.look_and_plan(cases, &mut live, &mut rubble, &mut looking);
            let (plan, cases) = planned.instrument(span.clone()).await;
            span.record("vend.steps", plan.steps.len()).record("vend.holds", plan.holds.len());
            drop(span);
            self.looking = looking;
            if round == 0 {
                self.engine.watch.notice(&Notice::Planned { steps: plan.steps.len() });
                self.foresee(plan.clone(), cases).await?;
            }
            let plan = self.preview(plan, &live).await?;
            if round == 0 {
                let shown = std::mem::take(&mut self.report.plan);
                self.report.plan = self.assessed(shown);
            }
            self.hold(&plan, &looked).await?;
            let Some(lease) = self.lease else { break };
            self.note_left(std::mem::take(&mut rubble)).await?;
            self.note_unguarded(&live).await?;
            self.note_permitted(&looked).await?;
            let mut changed = self.settle(&plan).await?;
            self.drop_retries(&plan).await?;
            let ready: Vec<&Step> = plan.steps.iter().filter(|s| s.is_ready()).collect();
            // For some there was no room: they come when there is.
            let ready: Vec<&Step> = ready
                .into_iter()
                .filter(|s| s.preview.is_some() || !self.must_preview(s))
                .collect();
            changed.extend(self.bookkeeping(&ready).await?);
            let some = ready.iter().any(|s| s.action.touches_the_world());
            if !some && changed.is_empty() {
                break;
            }
            // What is not done now is not nothing to do: the next pass must not take it for that.
            let stopped = self.engine.stop.load(Ordering::Relaxed);
            self.unfinished |= stopped || round + 1 == MAX_ROUNDS;
            if stopped {
                break;
            }
            // What was seen before a step says nothing after it; a deletion and the creation after it
            // may even share a key.
            for step in &ready {
                live.remove(&step.target.key);
            }
            self.mark_unsaid().await?;
            let before = self.report.done.len();
            let digest = plan.digest();
            for part in ready.chunks(PART) {
                let rows = self.rows(part, digest).await?;
                let mut shut = std::mem::take(&mut self.memory.shut);
                let (journal, retries) = (&self.memory.journal, &self.memory.retries);
                let executor = self.executor(lease);
                let done = executor
                    .begin(rows, journal, &mut shut, &self.records, retries, self.clock)
                    .await?;
                self.memory.shut = shut;
                changed.extend(done.records.keys().cloned());
                self.take_done(done).await?;
            }
            if self.report.done.len() == before && changed.is_empty() {
                break;
            }
            again = self.with_dependents(changed);
        }
        if self.lease.is_some() { self.note_looks(&pending(&live)).await } else { Ok(()) }
    }

    /// Requests that may now read otherwise than they did: what they refer to has changed.
    async fn read_again(&mut self, ids: BTreeSet<RequestId>) -> Result<(), PassError> {
        let found = ids
            .iter()
            .filter_map(|id| self.memory.desired().get(id))
            .filter(|entry| self.depends_on_outputs(entry));
        let found: Vec<_> = found.map(|e| self.refind(e)).collect();
        let mut writes = Vec::new();
        self.evaluate(found, &mut writes).await?;
        self.commit(writes).await
    }

    /// Whether what a request renders to depends on what was applied: on other requests' outputs or
    /// on its own components'.
    fn depends_on_outputs(&self, entry: &crate::store::DesiredEntry) -> bool {
        let own = self.fresh.get(&entry.id).and_then(|e| e.row.desired.spec());
        !entry.references.is_empty()
            || own.is_none_or(|s| s.components.iter().any(|c| !c.needs.is_empty()))
    }

    /// Requests that a plan must look at: not settled, under way, due, over.
    fn differing(&self) -> BTreeSet<RequestId> {
        let now = (self.clock)();
        let flights = self.memory.journal.keys().map(|k| k.request.clone());
        let retries = self.memory.retries.keys().map(|k| k.request.clone());
        let drift = self.memory.looks_due(now).cloned();
        let unsettled = self.memory.unsettled().iter().filter(|id| !self.is_stuck(id)).cloned();
        let over = self.memory.over(now).cloned();
        unsettled.chain(flights).chain(retries).chain(drift).chain(over).collect()
    }

    /// A file with errors is looked at when it changes, not at every pass.
    pub(super) fn is_stuck(&self, id: &RequestId) -> bool {
        if self.lease.is_none() {
            return false; // Who only looks wants to see it.
        }
        let invalid = self.memory.desired().get(id).is_some_and(|d| !d.valid);
        let held = self.memory.holds.get(id);
        let said = held
            .is_some_and(|h| h.iter().any(|r| matches!(r.hold.reason, HoldReason::Invalid { .. })));
        invalid && said && !self.fresh.contains_key(id)
    }

    /// What was found to be stuck although nothing is to be done to it stays so until it is looked
    /// at again.
    pub(super) fn stands(&self, id: &RequestId) -> bool {
        let mut held = self.memory.holds.get(id).into_iter().flatten();
        held.any(|row| matches!(row.hold.reason, HoldReason::Stuck { .. }))
    }

    pub(super) async fn load_records(&mut self, ids: Vec<RequestId>) -> Result<(), PassError> {
        let missing: Vec<RequestId> = ids
            .into_iter()
            .filter(|id| !self.records.contains_key(id) && self.memory.records().contains(id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        for record in self.engine.store.records(&missing).await? {
            self.records.insert(record.id.clone(), Some(record));
        }
        Ok(())
    }

    /// Reads the files of `ids` that this pass has not read yet.
    pub(super) async fn read_unread(&mut self, ids: &BTreeSet<RequestId>) -> Result<(), PassError> {
        let unread = ids.iter().filter(|id| !self.fresh.contains_key(*id));
        let found = unread.filter_map(|id| self.memory.desired().get(id));
        let found: Vec<_> = found.map(|e| self.refind(e)).collect();
        let mut writes = Vec::new();
        self.evaluate(found, &mut writes).await?;
        self.commit(writes).await
    }

    /// Everything that is known of each of `ids`.
    async fn cases(&mut self, mut ids: BTreeSet<RequestId>) -> Result<Vec<Case>, PassError> {
        self.add_partners(&mut ids);
        self.read_unread(&ids).await?;
        let moved = ids.iter().filter_map(|id| self.desired_of(id)?.spec()?.moved_from.clone());
        let moved: Vec<RequestId> = moved.collect();
        self.load_records(ids.iter().cloned().chain(moved).collect()).await?;
        let mut cases = Vec::with_capacity(ids.len());
        for id in ids {
            // A file that could not be read says nothing, least of all that it is gone.
            if self.memory.desired().contains(&id) && !self.fresh.contains_key(&id) {
                continue;
            }
            cases.push(self.case(id).await?);
        }
        self.note_when_new(&mut cases);
        Ok(cases)
    }

    /// Those that held ones may have become. One that has something of its own is settled meanwhile, and
    /// what it says of the other counts all the same.
    fn add_partners(&self, ids: &mut BTreeSet<RequestId>) {
        let held = ids.iter().filter_map(|id| self.memory.holds.get(id)).flatten();
        let partners = held.flat_map(|row| match &row.hold.reason {
            HoldReason::LooksLikeAMove { other, also, .. } => other.iter().chain(also).collect(),
            _ => Vec::new(),
        });
        let partners: Vec<RequestId> = partners.cloned().collect();
        ids.extend(partners);
    }

    /// Notes which new requests came after others had gone, and which were there before. What vanished
    /// with this pass's commits vanished no sooner than anything came.
    fn note_when_new(&self, cases: &mut [Case]) {
        let mut gone: HashMap<SourceName, BTreeMap<Revision, Option<Revision>>> = HashMap::new();
        for case in cases.iter().filter(|case| case.desired.is_none()) {
            let (Some(record), Some(gone_with)) = (&case.recorded, &case.gone) else { continue };
            let Gone { commit: Some(commit), before, .. } = gone_with else { continue };
            let commits = gone.entry(record.origin.source.clone()).or_default();
            commits.insert(commit.clone(), before.clone());
        }
        for case in cases.iter_mut().filter(|case| case.recorded.is_none()) {
            let Some(desired) = case.desired.as_deref() else { continue };
            let source = &desired.origin.source;
            let Some(commits) = gone.get(source) else { continue };
            let Some(at) = self.snapshots.iter().find(|s| s.source.name == *source) else {
                continue;
            };
            for (commit, before) in commits {
                match self.came(at, desired, commit, before.as_ref()) {
                    Came::Later => drop(case.later.insert(commit.clone())),
                    Came::Before => drop(case.untouched.insert(commit.clone())),
                    Came::With => {}
                }
            }
        }
    }

    /// When a new request's file came, beside the commit at which another was found gone. What cannot
    /// be told came with it: then both are held.
    fn came(
        &self,
        at: &Snapshot,
        desired: &Desired,
        commit: &Revision,
        before: Option<&Revision>,
    ) -> Came {
        let mirror = at.source.mirror();
        let find = |commit: &Revision| mirror.find(commit, &desired.origin.path);
        let entry = match find(commit) {
            Ok(Some(entry)) => entry,
            Ok(None) if at.commit.as_ref() != Some(commit) => return Came::Later,
            Ok(None) | Err(_) => return Came::With,
        };
        let Some(Ok(Some(former))) = before.map(find) else { return Came::With };
        let rests = match desired.spec() {
            // One that could not be made, for instance since another has its name, may take its place.
            Some(spec) => spec.suspend,
            // What its file says that cannot be used yet is in no plan, a move neither.
            None => {
                let max = self.engine.config.settings.limits.file_bytes;
                let word = b"movedFrom";
                matches!(mirror.blob(entry.id, max), Ok(Blob::Bytes(bytes))
                    if !bytes.windows(word.len()).any(|part| part == word))
            }
        };
        match entry.id == former.id && rests {
            true => Came::Before,
            false => Came::With,
        }
    }

    pub(super) fn desired_of(&self, id: &RequestId) -> Option<&Arc<Desired>> {
        let fresh = self.fresh.get(id).filter(|_| self.memory.desired().contains(id));
        fresh.map(|e| &e.row.desired)
    }

    async fn case(&self, id: RequestId) -> Result<Case, PassError> {
        let desired = self.desired_of(&id).cloned();
        let mut recorded = self.records.get(&id).cloned().flatten();
        if planted!("protection-ignored")
            && let Some(record) = &mut recorded
        {
            record.protect = false;
        }
        if let Some(record) = &mut recorded {
            self.reach().record(desired.as_deref(), record);
        }
        let mut gone = match (&desired, &recorded) {
            (None, Some(_)) => self.gone(&id).await?,
            _ => None,
        };
        if let (Some(gone), Some(record)) = (&mut gone, &recorded) {
            // What a file said last counts once it was let through, and then it is recorded.
            let is_gated = self.engine.gated.contains(&record.origin.source);
            gone.tombstone &= !is_gated || record.tombstone;
        }
        let in_flight = self.components(&id, &self.memory.journal).map(|(c, row)| {
            let unknown =
                (row.phase == Phase::Unknown).then(|| row.error.clone().unwrap_or_default());
            let silent = row.error.clone().filter(|_| row.phase == Phase::Sent);
            (
                c,
                InFlight {
                    action: row.change.action,
                    artifact: row.artifact,
                    since: row.since,
                    unknown,
                    stopped: row.cancelled,
                    silent,
                },
            )
        });
        let in_flight = in_flight.collect();
        let retries: BTreeMap<ComponentName, Retry> =
            self.components(&id, &self.memory.retries).map(|(c, r)| (c, r.clone())).collect();
        // Of what was never made, what it was to be says where its file lay.
        let left = retries.values().find_map(|retry: &Retry| retry.left.as_deref());
        let known =
            recorded.as_ref().or(left.map(|left| &left.record).filter(|_| desired.is_none()));
        let barred = self.barred(&id, desired.as_deref(), known).await?;
        let drift_due = self
            .memory
            .records()
            .get(&id)
            .is_some_and(|r| self.engine.drift_clock().due(r) <= (self.clock)());
        let mut held = self.memory.holds.get(&id).into_iter().flatten();
        let may_have_moved = held.any(|row| row.hold.reason.is_incomplete_move());
        let stopped = self.memory.stopped.get(&id).copied();
        let taken = self.taken(&id, desired.as_deref());
        Ok(Case {
            id,
            desired,
            gone,
            recorded,
            live: BTreeMap::new(),
            in_flight,
            retries,
            drift_due,
            barred,
            later: BTreeSet::new(),
            untouched: BTreeSet::new(),
            may_have_moved,
            stopped,
            taken,
        })
    }

    /// The names that a request's targets would be given, and that another one has.
    fn taken(&self, id: &RequestId, desired: Option<&Desired>) -> BTreeSet<TargetName> {
        let has = |name: &TargetName| {
            let owner = self.memory.taken.get(name).filter(|owner| *owner != id);
            owner.is_some_and(|owner| self.memory.records().contains(owner))
        };
        let mut taken = BTreeSet::new();
        if self.memory.taken.is_empty() {
            return taken;
        }
        for component in desired.and_then(Desired::spec).into_iter().flat_map(|s| &s.components) {
            let key = TargetKey { request: id.clone(), component: component.name.clone() };
            let names = (0..u32::MAX).map(|n| TargetName::nth(&self.engine.instance, &key, n));
            taken.extend(names.take_while(has));
        }
        taken
    }

    pub(super) fn reach(&self) -> Reach<'_> {
        Reach { catalog: &self.catalog, providers: &self.engine.providers }
    }

    pub(super) fn components<'b, T>(
        &self,
        id: &'b RequestId,
        map: &'b BTreeMap<TargetKey, T>,
    ) -> impl Iterator<Item = (ComponentName, &'b T)> {
        let first = TargetKey { request: id.clone(), component: ComponentName::new("") };
        map.range(first..)
            .take_while(move |(k, _)| k.request == *id)
            .map(|(k, v)| (k.component.clone(), v))
    }

    async fn gone(&self, id: &RequestId) -> Result<Option<Gone>, PassError> {
        if let Some(lost) = self.lost.get(id) {
            return Ok(lost.clone());
        }
        let value = self.engine.store.value(&gone_key(id)).await?;
        Ok(value.and_then(|v| serde_json::from_value(v).ok()))
    }

    /// Observes what planning needs to have seen, then plans; with the cases as they were seen.
    async fn look_and_plan(
        &self,
        cases: Vec<Case>,
        live: &mut HashMap<TargetKey, plan::Seen>,
        rubble: &mut HashMap<TargetKey, Target>,
        looking: &mut BTreeSet<TargetKey>,
    ) -> (Plan, Vec<Case>) {
        let ground = self.ground();
        let mut situation = ground.situation(cases);
        if !self.blind {
            self.observe(&mut situation, live, rubble, looking).await;
        }
        (plan::plan(&situation), situation.cases)
    }

    fn ground(&self) -> Ground<'_> {
        let memory = &self.memory;
        let stands =
            |id: &RequestId| memory.desired().contains(id) || memory.records().contains(id);
        let unsettled = memory.unsettled().iter().filter(|id| memory.desired().contains(id));
        let settled = (memory.desired().len() - unsettled.count()) as u64;
        Ground {
            pass: self,
            settled,
            approvals: memory.approvals.keys().copied().collect(),
            dependents: Box::new(|id| memory.dependents(id)),
            references: Box::new(|id| memory.references(id)),
            stands: Box::new(stands),
        }
    }

    /// Puts the steps that follow from the first plan into what is shown of it.
    async fn foresee(&mut self, plan: Plan, cases: Vec<Case>) -> Result<(), PassError> {
        let mut foreseer = Foreseer::new(plan, cases);
        for _ in 0..foresee::MOST {
            let ids = foreseer.next(&*self);
            if ids.is_empty() {
                break;
            }
            self.load_records(ids.iter().cloned().collect()).await?;
            self.read_foreseen(ids, &mut foreseer).await?;
            foreseer.as_recorded();
            let ground = self.ground();
            let situation = ground.situation(std::mem::take(&mut foreseer.cases));
            foreseer.seen.plan = plan::plan(&situation);
            foreseer.cases = situation.cases;
        }
        let Foreseen { plan, evaluated, untold } = foreseer.finish();
        self.report.plan = plan;
        self.report.untold = untold.into_iter().collect();
        self.foreseen = evaluated;
        Ok(())
    }

    /// Reads requests with the outputs that they use as the plan will make them.
    async fn read_foreseen(
        &self,
        ids: BTreeSet<RequestId>,
        foreseer: &mut Foreseer,
    ) -> Result<(), PassError> {
        let (foresight, rest) = foreseer.foresights();
        let evaluated = self.read_as(&ids, &foresight).await?;
        let open = evaluated.iter().filter(|e| Foreseer::is_open(e));
        let open: BTreeSet<RequestId> = open.map(|e| e.row.desired.id.clone()).collect();
        let at_rest = self.read_as(&open, &rest).await?;
        let mut at_rest: BTreeMap<RequestId, Evaluated> =
            at_rest.into_iter().map(|e| (e.row.desired.id.clone(), e)).collect();
        for evaluated in evaluated {
            let id = evaluated.row.desired.id.clone();
            let case = self.case(id.clone()).await?;
            let record = self.records.get(&id).and_then(Option::as_ref);
            foreseer.take(evaluated, at_rest.remove(&id), record, || case);
        }
        Ok(())
    }

    pub(super) async fn read_as(
        &self,
        ids: &BTreeSet<RequestId>,
        foresight: &Foresight,
    ) -> Result<Vec<Evaluated>, PassError> {
        let entries = ids.iter().filter_map(|id| self.memory.desired().get(id));
        let found: Vec<_> = entries.map(|entry| self.refind(entry)).collect();
        let max = self.engine.config.settings.limits.file_bytes;
        let (blobs, broken) = desired::read(&found, &self.snapshots, max);
        let is_whole = |f: &Found| !broken.iter().any(|(source, _)| *source == f.origin.source);
        let found = found.into_iter().filter(is_whole).collect();
        let fresh = |id: &RequestId| self.fresh.get(id).map(|e| &*e.row.desired);
        desired::evaluate(&self.evaluator(&fresh, Some(foresight)), found, blobs).await
    }

    /// A failed try of what is as it should be by now, or is not wanted any more, is no reason to
    /// come back.
    async fn drop_retries(&mut self, plan: &Plan) -> Result<(), PassError> {
        if self.memory.retries.is_empty() {
            return Ok(());
        }
        let held: BTreeSet<&RequestId> = self.report.holds.iter().map(|h| &h.request).collect();
        let steps: BTreeSet<&RequestId> =
            plan.steps.iter().map(|s| &s.target.key.request).collect();
        // What could not be read was not looked at.
        let looked =
            |id: &RequestId| !self.memory.desired().contains(id) || self.fresh.contains_key(id);
        // What a try left is let go of when it was seen to be gone, and not before.
        let is_left = |key: &TargetKey| {
            let left = self.memory.retries.get(key).is_some_and(|retry| retry.left.is_some());
            let record = self.records.get(&key.request).and_then(Option::as_ref);
            left && !record.is_some_and(|r| r.components.contains_key(&key.component))
        };
        let is_over = |key: &&TargetKey| {
            let id = &key.request;
            looked(id)
                && !is_left(key)
                && !held.contains(id)
                && !steps.contains(id)
                && !self.memory.journal.contains_key(key)
        };
        let over: Vec<TargetKey> = self.memory.retries.keys().filter(is_over).cloned().collect();
        let mut writes = Vec::with_capacity(over.len());
        for key in over {
            self.memory.retries.remove(&key);
            self.touched.insert(key.request.clone());
            writes.push(Write::Retry { key, retry: None });
        }
        self.commit(writes).await
    }

    /// A target that was not as planned for has failed only if it still stands so: another round may
    /// have done it, found it done, or held it for a reason that is told by itself.
    pub(super) fn resolve(&mut self) {
        let again = std::mem::take(&mut self.again);
        let is_held = |key: &TargetKey| {
            let holds = self.report.holds.iter().filter(|h| {
                h.request == key.request && h.component.as_ref().is_none_or(|c| *c == key.component)
            });
            let mut reasons = holds.map(|h| &h.reason);
            reasons.any(|r| !matches!(r, HoldReason::Backoff { .. } | HoldReason::Refused { .. }))
        };
        let memory = &self.memory;
        let stands = |key: &TargetKey| {
            memory.retries.contains_key(key) && !memory.journal.contains_key(key) && !is_held(key)
        };
        let mut left: BTreeMap<TargetKey, bool> =
            again.into_iter().map(|key| (key.clone(), stands(&key))).collect();
        // Of those that stand, the last word is kept.
        let mut done = std::mem::take(&mut self.report.done);
        done.reverse();
        done.retain(|(key, _, error)| match left.get_mut(key) {
            Some(stands) if error.is_some() => std::mem::take(stands),
            Some(_) | None => true,
        });
        done.reverse();
        self.report.done = done;
    }

    /// Notes the holds of this round; what was held and is not any more is let go.
    /// `looked` are the requests that were planned: what was seen of others stays said.
    async fn hold(&mut self, plan: &Plan, looked: &BTreeSet<RequestId>) -> Result<(), PassError> {
        self.note_refusals(plan).await?;
        self.note_stopped(plan).await?;
        self.report.holds.clone_from(&plan.holds);
        self.report.holds.extend(self.unanswered(plan));
        self.note_void();
        for hold in &plan.holds {
            self.touched.insert(hold.request.clone());
        }
        let held: BTreeSet<&RequestId> = self.report.holds.iter().map(|h| &h.request).collect();
        let stands = |id: &RequestId| !looked.contains(id) && self.stands(id);
        let stale = self.memory.holds.keys();
        let stale = stale.filter(|id| !held.contains(id) && !self.is_stuck(id) && !stands(id));
        let stale: Vec<RequestId> = stale.cloned().collect();
        self.touched.extend(stale);
        Ok(())
    }

    /// Holds by what was seen of targets that are still looked at: they stand until the look has its answer.
    fn unanswered(&self, plan: &Plan) -> Vec<Hold> {
        let is_by_sight = |reason: &HoldReason| {
            matches!(reason, HoldReason::Stuck { .. } | HoldReason::NotObserved { .. })
        };
        let mut stand = Vec::new();
        for key in &self.looking {
            let said = |hold: &Hold| {
                let component = hold.component.as_ref();
                hold.request == key.request && component.is_none_or(|c| *c == key.component)
            };
            if plan.holds.iter().any(said) || plan.steps.iter().any(|s| s.target.key == *key) {
                continue;
            }
            let rows = self.memory.holds.get(&key.request).into_iter().flatten();
            let rows = rows.filter(|row| row.hold.component.as_ref() == Some(&key.component));
            stand.extend(rows.map(|row| &row.hold).filter(|h| is_by_sight(&h.reason)).cloned());
        }
        stand
    }

    /// Remembers which deletions were too many, before any is done: what else holds one of them for a while
    /// makes them no fewer.
    async fn note_stopped(&mut self, plan: &Plan) -> Result<(), PassError> {
        let mut stopped = self.memory.stopped.clone();
        for hold in &plan.holds {
            if let HoldReason::TooManyDeletes { count, digest, .. }
            | HoldReason::Expired { fate: Fate::TooMany { count, digest, .. }, .. } =
                &hold.reason
            {
                stopped.insert(hold.request.clone(), (*digest, *count));
            }
        }
        let over: BTreeSet<&RequestId> = self.memory.over((self.clock)()).collect();
        stopped.retain(|id, _| {
            let is_gone = !self.memory.desired().contains(id);
            self.memory.records().contains(id) && (is_gone || over.contains(id))
        });
        if stopped == self.memory.stopped {
            return Ok(());
        }
        let value = (!stopped.is_empty()).then(|| json!(stopped));
        self.memory.stopped = stopped;
        self.commit(vec![Write::Value { key: STOPPED.into(), value }]).await
    }

    /// Whoever approved what was asked before, and sees it asked again, is told why.
    fn note_void(&mut self) {
        let memory = &self.memory;
        for hold in &mut self.report.holds {
            let Hold { request, component, reason, .. } = hold;
            let HoldReason::NeedsApproval { digest, void, .. } = reason else { continue };
            let before = memory.holds.get(request).into_iter().flatten().map(|row| &row.hold);
            let asked =
                before.filter(|b| b.component == *component).find_map(|b| match &b.reason {
                    HoldReason::NeedsApproval { digest, void, .. } => Some((digest, void)),
                    _ => None,
                });
            let Some((asked, known)) = asked else { continue };
            let mut by: BTreeSet<String> = known.iter().cloned().collect();
            if asked != digest {
                let given = memory.approvals.get(asked).into_iter().flatten();
                by.extend(given.map(|approval| approval.by.clone()));
            }
            *void = by.into_iter().collect();
        }
    }

    /// What a failed creation left, and a store that is lost knew of: from now on it is known again, so
    /// that it goes when its file does.
    async fn note_left(&mut self, rubble: HashMap<TargetKey, Target>) -> Result<(), PassError> {
        let now = (self.clock)();
        let mut writes = Vec::new();
        for (key, target) in rubble {
            let record = self.records.get(&key.request).and_then(Option::as_ref);
            let is_recorded = record.is_some_and(|r| r.components.contains_key(&key.component));
            let before = self.memory.retries.get(&key);
            let is_known = is_recorded || before.is_some_and(|b| b.left.is_some());
            let Some(desired) = self.desired_of(&key.request).filter(|_| !is_known).cloned() else {
                continue;
            };
            let Some(spec) = desired.spec() else { continue };
            let left = Some(Box::new(Left { target, record: self.facts(&desired, spec) }));
            let retry = before.cloned().unwrap_or_else(|| Retry {
                fingerprint: Some(desired.fingerprint()),
                attempts: 1,
                until: now + plan::backoff(1, 0.0, true),
                error: "an earlier try to make it failed".into(),
                refused: true,
                ended: true,
                left: None,
            });
            let retry = Retry { left, ..retry };
            writes.push(Write::Retry { key: key.clone(), retry: Some(retry.clone()) });
            self.memory.retries.insert(key, retry);
        }
        self.commit(writes).await
    }

    /// A provider that refused even to be looked at is asked again when the hold says so, not at
    /// every pass.
    async fn note_refusals(&mut self, plan: &Plan) -> Result<(), PassError> {
        let now = (self.clock)();
        let mut writes = Vec::new();
        for hold in &plan.holds {
            let Some(component) = &hold.component else { continue };
            let key = TargetKey { request: hold.request.clone(), component: component.clone() };
            let before = self.memory.retries.get(&key);
            let (error, until, ended) = match (&hold.reason, before) {
                (HoldReason::Refused { error, until }, before) => {
                    (error, *until, before.is_some_and(|b| b.ended))
                }
                // What is stuck stays so until somebody mends it: its retry is not due all the time.
                (HoldReason::Stuck { .. }, Some(before)) if before.until <= now => {
                    (&before.error, now + plan::backoff(1, 0.0, true), before.ended)
                }
                _ => continue,
            };
            if before.is_some_and(|b| b.until == until) {
                continue;
            }
            let retry = Retry {
                fingerprint: self.desired_of(&hold.request).map(|d| d.fingerprint()),
                attempts: before.map_or(0, |b| b.attempts) + 1,
                until,
                error: error.clone(),
                refused: true,
                ended,
                left: before.and_then(|b| b.left.clone()),
            };
            writes.push(Write::Retry { key: key.clone(), retry: Some(retry.clone()) });
            self.memory.retries.insert(key, retry);
        }
        if self.lease.is_some() { self.commit(writes).await } else { Ok(()) }
    }
}

impl Sight for Pass<'_> {
    fn record(&self, id: &RequestId) -> Option<&Record> {
        self.records.get(id)?.as_ref()
    }

    fn artifact(&self, step: &Step) -> Option<Arc<Artifact>> {
        foresee::artifact_of(self.fresh.get(&step.target.key.request)?, step)
    }

    fn providers(&self) -> &Providers {
        &self.engine.providers
    }

    fn users(&self, id: &RequestId) -> Vec<RequestId> {
        let readable = |id: &RequestId| self.memory.desired().get(id).is_some_and(|d| d.valid);
        let own = self.desired_of(id).and_then(|d| d.spec());
        let own = own.filter(|s| s.components.iter().any(|c| !c.needs.is_empty()));
        let own = own.map(|_| id.clone());
        self.memory.dependents(id).into_iter().filter(readable).chain(own).collect()
    }
}

type Related<'a> = Box<dyn Fn(&RequestId) -> Vec<RequestId> + 'a>;

/// What a situation stands on.
struct Ground<'a> {
    pass: &'a Pass<'a>,
    settled: u64,
    approvals: BTreeSet<Digest>,
    dependents: Related<'a>,
    references: Related<'a>,
    stands: Box<dyn Fn(&RequestId) -> bool + 'a>,
}

impl Ground<'_> {
    fn situation(&self, cases: Vec<Case>) -> Situation<'_> {
        let Pass { engine, memory, clock, report, blind, .. } = self.pass;
        let (recorded, by_team) = memory.totals();
        let breaker = &engine.config.settings.reconcile.breaker;
        // Those that are looked at for drift, or for what follows, are settled and among the cases.
        let looked_at = |case: &&Case| {
            memory.desired().contains(&case.id) && !memory.unsettled().contains(&case.id)
        };
        let looked_at = cases.iter().filter(looked_at).count() as u64;
        Situation {
            now: clock(),
            instance: &engine.instance,
            cases,
            totals: Totals { recorded, by_team },
            settled: self.settled.saturating_sub(looked_at),
            sources: report.problems.iter().cloned().collect(),
            dependents: &*self.dependents,
            references: &*self.references,
            stands: &*self.stands,
            approvals: &self.approvals,
            guards: Guards {
                max_deletes: match (planted!("two-deletions-more"), planted!("breaker-off")) {
                    (true, _) => breaker.max_deletes + 2,
                    (_, true) => breaker.max_deletes + 1_000_000,
                    (false, false) => breaker.max_deletes,
                },
                max_share: breaker.max_percent / 100.0,
                team_min: breaker.team_min,
            },
            expiry: self.pass.expiry(),
            blind: *blind,
        }
    }
}

/// Requests of which a provider said that it is still looking for drift.
fn pending(live: &HashMap<TargetKey, plan::Seen>) -> BTreeSet<RequestId> {
    let pending = live.iter().filter(|(_, seen)| {
        matches!(seen, plan::Seen::Observed(Observation::Present(live)) if live.pending)
    });
    pending.map(|(key, _)| key.request.clone()).collect()
}
