//! Records kept true without asking a provider: what is satisfied, what has moved, what is gone, what
//! was seen of drift.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::json;

use super::PassError;
use super::pass::{Pass, TAKEN, gone_key};
use crate::digest::Digest;
use crate::fault::{planted, point};
use crate::model::{
    Action, Approval, Desired, Drift, Event, Hold, HoldReason, Life, Observation, Observed, Owner,
    Plan, Record, RequestId, Spec, Step, TargetKey, TargetName,
};
use crate::plan::Seen;
use crate::store::{RecordEntry, Write};

impl Pass<'_> {
    /// Requests that are satisfied as they are: only their records need to say so. Gives those that
    /// are held no more, and are to be read again.
    pub(super) async fn settle(&mut self, plan: &Plan) -> Result<BTreeSet<RequestId>, PassError> {
        let mut writes = Vec::new();
        let mut changed = BTreeSet::new();
        for settle in &plan.settle {
            let Some(desired) = self.desired_of(&settle.request).cloned() else { continue };
            let Some(spec) = desired.spec() else { continue };
            let record = self.records.get(&settle.request).cloned().flatten();
            let Some(record) = record else { continue };
            self.unbind(&settle.request, &mut writes).await?;
            let mut record = Record {
                components: record.components,
                last_apply: record.last_apply,
                // All of it is applied.
                former: Vec::new(),
                whole_at: None,
                ..self.facts(&desired, spec)
            };
            // Another version of the template may call an output sensitive that was not.
            if !planted!("secret-kept") {
                record.hide_outputs();
            }
            record.settled = Some(settle.fingerprint);
            writes.push(Write::Record(Box::new(record.clone())));
            self.use_up(settle.released.iter().copied(), &mut writes);
            self.put_record(record);
            changed.insert(settle.request.clone());
        }
        self.report.recorded |= !changed.is_empty();
        for drift in &plan.drifts {
            self.note_drift(drift, &mut writes);
        }
        let sets = plan.spent.iter().filter_map(|set| self.memory.approvals.get(set)).flatten();
        let by: BTreeSet<&str> = sets.map(|set| set.by.as_str()).collect();
        let by = by.into_iter().collect::<Vec<_>>().join(", ");
        for digest in &plan.approved {
            let (by, at) = (by.clone(), (self.clock)());
            // To a set nobody says yes for a team: rules ask about each of its steps.
            let approval =
                Approval { digest: *digest, by, by_id: None, teams: Some(Vec::new()), at };
            if !self.memory.approvals.contains_key(digest) {
                self.memory.approvals.insert(*digest, vec![approval.clone()]);
                writes.push(Write::Approve(approval));
            }
        }
        self.use_up(plan.spent.iter().copied(), &mut writes);
        for id in &plan.forget {
            self.use_up_passage(id, &mut writes);
            writes.push(Write::DropRecord(id.clone()));
            writes.push(Write::Value { key: gone_key(id), value: None });
            self.memory.drop_record(id);
            self.records.insert(id.clone(), None);
            changed.insert(id.clone());
        }
        self.touched.extend(changed);
        point!("pass.plan.before")?;
        self.commit(writes).await?;
        point!("pass.plan.after")?;
        let is_released = |hold: &&Hold| match &hold.reason {
            HoldReason::LooksLikeAMove { digest: Some(digest), .. } => {
                plan.approved.contains(digest)
            }
            _ => false,
        };
        Ok(plan.holds.iter().filter(is_released).map(|hold| hold.request.clone()).collect())
    }

    /// What was approved is done, or is approved part by part: the same asks again when it comes again.
    pub(super) fn use_up(
        &mut self,
        approvals: impl Iterator<Item = Digest>,
        writes: &mut Vec<Write>,
    ) {
        for digest in approvals {
            self.memory.approvals.remove(&digest);
            writes.push(Write::DropApproval(digest));
        }
    }

    /// What was seen of drift goes into the record.
    pub(super) fn note_drift(&mut self, drift: &Drift, writes: &mut Vec<Write>) {
        let Drift { target, items, unchecked } = drift;
        let Some(Some(mut record)) = self.records.get(&target.request).cloned() else { return };
        let now = (self.clock)();
        let Some(component) = record.components.get_mut(&target.component) else { return };
        let same = component.drift == *items;
        if !same || component.unchecked.is_some() != unchecked.is_some() {
            component.drift_since = Some(now);
        }
        component.drift.clone_from(items);
        component.unchecked.clone_from(unchecked);
        let name = &target.component;
        let (kind, message) = match (items.first(), unchecked) {
            (_, Some(why)) if same || items.is_empty() => {
                ("DriftUnknown", format!("{name}: {}", crate::report::drift::unknown(why)))
            }
            (Some(first), _) => (
                "Drifted",
                format!("{name}: {}{}", crate::report::drift::phrase(first), more(items.len())),
            ),
            (None, _) => ("InSync", format!("{name} is as it was applied again")),
        };
        writes.push(Write::Event(self.event(&target.request, kind, message)));
        writes.push(Write::Record(Box::new(record.clone())));
        self.put_record(record);
        self.touched.insert(target.request.clone());
    }

    /// A guard against deletion that was found off is vend's no more: whoever turns it on again locks the
    /// target. What is under way may turn it on at any moment.
    pub(super) async fn note_unguarded(
        &mut self,
        live: &HashMap<TargetKey, Seen>,
    ) -> Result<(), PassError> {
        let mut writes = Vec::new();
        for (key, seen) in live {
            let Seen::Observed(Observation::Present(live)) = seen else { continue };
            let is_off = live.owner == Owner::Ours && live.guarded == Some(false);
            if !is_off || self.memory.journal.contains_key(key) {
                continue;
            }
            let Some(Some(record)) = self.records.get(&key.request) else { continue };
            if record.components.get(&key.component).is_none_or(|c| c.guarded != Some(true)) {
                continue;
            }
            let mut record = record.clone();
            record.components.entry(key.component.clone()).and_modify(|c| c.guarded = Some(false));
            writes.push(Write::Record(Box::new(record.clone())));
            self.put_record(record);
            self.touched.insert(key.request.clone());
        }
        self.commit(writes).await
    }

    /// A permission to delete that was let through counts from then on, also where something else holds what its
    /// file asks for, or where that fails: nobody could let go of a protected request otherwise.
    pub(super) async fn note_permitted(
        &mut self,
        looked: &BTreeSet<RequestId>,
    ) -> Result<(), PassError> {
        let mut writes = Vec::new();
        for id in looked {
            let Some(desired) = self.desired_of(id).cloned() else { continue };
            let is_gated = self.engine.gated.contains(&desired.origin.source);
            if !is_gated || !desired.spec().is_some_and(|spec| spec.tombstone) {
                continue;
            }
            let record = self.records.get(id).cloned().flatten();
            let Some(mut record) = record.filter(|record| !record.tombstone) else { continue };
            if self.barred(id, Some(&desired), Some(&record)).await?.is_some() {
                continue;
            }
            record.tombstone = true;
            writes.push(Write::Record(Box::new(record.clone())));
            self.put_record(record);
            self.touched.insert(id.clone());
            self.report.recorded = true;
        }
        self.commit(writes).await
    }

    /// Notes that targets were looked at, so that the next look is an interval away. Those that
    /// `pending` names are asked about again soon; those whose look goes on stay due, so that whichever
    /// pass comes next takes its answer.
    pub(super) async fn note_looks(
        &mut self,
        pending: &BTreeSet<RequestId>,
    ) -> Result<(), PassError> {
        let now = (self.clock)();
        let interval = self.engine.config.settings.reconcile.drift_interval.as_secs_f64();
        let looking: BTreeSet<RequestId> =
            self.looking.iter().map(|key| key.request.clone()).collect();
        let soon = jiff::SignedDuration::from_secs_f64(interval.min(SOON));
        self.memory.answers_at = (!looking.is_empty()).then(|| now + soon);
        let due = self.memory.looks_due(now).filter(|id| !looking.contains(*id));
        let due: Vec<RequestId> = due.cloned().collect();
        let mut writes = Vec::new();
        for id in due {
            if pending.contains(&id) {
                let wait = interval.min(SOON) * (1.0 + super::ledger::jitter(id.as_str()));
                self.memory.look_again(id, now + jiff::SignedDuration::from_secs_f64(wait));
                continue;
            }
            let Some(Some(mut record)) = self.records.get(&id).cloned() else { continue };
            // Also where nobody could or would look (a provider that is away, a file with errors):
            // the moment is that of the attempt, or the next look would be due at once.
            for component in record.components.values_mut() {
                component.checked = Some(now);
            }
            writes.push(Write::Record(Box::new(record.clone())));
            self.put_record(record);
        }
        self.commit(writes).await
    }

    /// Steps that touch only the records.
    pub(super) async fn bookkeeping(
        &mut self,
        ready: &[&Step],
    ) -> Result<BTreeSet<RequestId>, PassError> {
        let mut changed = BTreeSet::new();
        for step in ready.iter().filter(|s| !s.action.touches_the_world()) {
            let id = step.target.key.request.clone();
            match step.action {
                Action::Move => self.move_record(step).await?,
                Action::Forget => self.forget(step).await?,
                Action::Create
                | Action::Update
                | Action::Replace
                | Action::Delete
                | Action::Restore => continue,
            }
            self.report.done.push((step.target.key.clone(), step.action, None));
            changed.insert(id);
        }
        Ok(changed)
    }

    pub(super) async fn move_record(&mut self, step: &Step) -> Result<(), PassError> {
        let to = step.target.key.request.clone();
        let Some(from) = step.moved_from.as_ref().map(|k| k.request.clone()) else { return Ok(()) };
        if from == to {
            return self.rename_component(step).await;
        }
        let Some(Some(mut record)) = self.records.get(&from).cloned() else { return Ok(()) };
        let event = self.event(&to, "Moved", format!("moved from `{from}`; nothing was touched"));
        record.id = to.clone();
        record.settled = None;
        let taken = self.taken_along(&record);
        let writes = vec![
            Write::Value { key: TAKEN.into(), value: Some(json!(taken)) },
            Write::Rekey { from: from.clone(), to: to.clone() },
            Write::Record(Box::new(record.clone())),
            Write::Value { key: gone_key(&from), value: None },
            Write::Event(event),
        ];
        point!("pass.move.before")?;
        self.commit(writes).await?;
        point!("pass.move.after")?;
        self.memory.taken = taken;
        self.records.insert(from.clone(), None);
        self.memory.drop_record(&from);
        self.put_record(record);
        let failed = self.components(&from, &self.memory.retries);
        let failed: Vec<_> = failed.map(|(name, retry)| (name, retry.clone())).collect();
        for (component, retry) in failed {
            let former = TargetKey { request: from.clone(), component: component.clone() };
            self.memory.retries.remove(&former);
            self.memory.retries.insert(TargetKey { request: to.clone(), component }, retry);
        }
        self.touched.extend([from, to]);
        Ok(())
    }

    /// Who has which name that is not its own, once this record has moved.
    fn taken_along(&self, moved: &Record) -> BTreeMap<TargetName, RequestId> {
        let instance = &self.engine.instance;
        let mut taken = self.memory.taken.clone();
        taken.retain(|_, owner| self.memory.records().contains(owner));
        for component in moved.components.values() {
            taken.remove(&component.target);
        }
        taken.extend(moved.brought_along(instance));
        taken
    }

    pub(super) async fn rename_component(&mut self, step: &Step) -> Result<(), PassError> {
        let key = &step.target.key;
        let Some(Some(mut record)) = self.records.get(&key.request).cloned() else { return Ok(()) };
        let former = step.moved_from.as_ref().map(|k| k.component.clone());
        if former.is_some_and(|former| record.rename_component(&former, &key.component)) {
            self.commit(vec![Write::Record(Box::new(record.clone()))]).await?;
            self.touched.insert(key.request.clone());
            self.put_record(record);
        }
        Ok(())
    }

    pub(super) async fn forget(&mut self, step: &Step) -> Result<(), PassError> {
        let key = &step.target.key;
        let recorded = self.records.get(&key.request).cloned().flatten();
        let recorded = recorded.filter(|r| r.components.contains_key(&key.component));
        let Some(mut record) = recorded else { return self.forget_left(step).await };
        record.components.remove(&key.component);
        record.settled = None;
        let event =
            self.event(&key.request, "Forgotten", format!("{} was gone already", key.component));
        let is_gone = record.components.is_empty();
        let write = if is_gone {
            Write::DropRecord(key.request.clone())
        } else {
            Write::Record(Box::new(record.clone()))
        };
        // It was approved as a deletion, whatever was found.
        let approved = Step { action: Action::Delete, ..step.clone() }.digest();
        let mut writes = vec![write, Write::Event(event)];
        self.use_up(step.released.iter().copied().chain([approved]), &mut writes);
        point!("pass.forget.before")?;
        self.commit(writes).await?;
        point!("pass.forget.after")?;
        self.touched.insert(key.request.clone());
        if is_gone {
            self.drop_record(&key.request).await
        } else {
            self.put_record(record);
            Ok(())
        }
    }

    /// What a creation left that had failed is gone, and nothing else was known of it.
    async fn forget_left(&mut self, step: &Step) -> Result<(), PassError> {
        let key = step.target.key.clone();
        if self.memory.retries.remove(&key).is_none() {
            return Ok(());
        }
        let message = format!("{} was gone already", key.component);
        let event = self.event(&key.request, "Forgotten", message);
        self.touched.insert(key.request.clone());
        self.commit(vec![Write::Retry { key, retry: None }, Write::Event(event)]).await
    }

    pub(super) fn event(&self, id: &RequestId, kind: &str, message: String) -> Event {
        Event {
            at: (self.clock)(),
            request: Some(id.clone()),
            kind: kind.into(),
            message,
            data: serde_json::Value::Null,
        }
    }

    pub(super) fn put_record(&mut self, record: Record) {
        self.memory.put_record(entry(&record));
        self.records.insert(record.id.clone(), Some(record));
    }

    pub(super) async fn drop_record(&mut self, id: &RequestId) -> Result<(), PassError> {
        let mut writes = vec![Write::Value { key: gone_key(id), value: None }];
        // While the record still tells where the file was. What is made anew is not done with.
        if !self.memory.desired().contains(id) {
            self.use_up_passage(id, &mut writes);
        }
        self.memory.drop_record(id);
        self.records.insert(id.clone(), None);
        self.commit(writes).await
    }

    /// What a record says of a request besides its components.
    pub(super) fn facts(&self, desired: &Desired, spec: &Spec) -> Record {
        let observed = Observed {
            commit: self.commit_of(&desired.origin.source),
            catalog_commit: self.snapshots[0].commit.clone(),
            request_digest: Some(desired.content),
        };
        let known = self.records.get(&desired.id).and_then(Option::as_ref);
        let former = known.map(|record| record.superseded(&spec.template)).unwrap_or_default();
        let whole_at = known.and_then(|record| {
            record.whole_at.clone().or_else(|| record.observed.catalog_commit.clone())
        });
        let lived = known.and_then(|record| record.life.as_ref());
        let (now, grace) = ((self.clock)(), self.engine.config.settings.expiry.grace());
        let life = spec.lifetime.as_ref().map(|lifetime| Life::of(lifetime, lived, now, grace));
        Record { life, former, whole_at, ..record_of(desired, spec, observed) }
    }
}

/// After so many seconds at most a look that goes on is asked about again.
const SOON: f64 = 15.0;

/// A record of what is desired, without components.
pub(super) fn record_of(desired: &Desired, spec: &Spec, observed: Observed) -> Record {
    Record {
        id: desired.id.clone(),
        origin: desired.origin.clone(),
        settled: None,
        template: spec.template.clone(),
        template_digest: spec.template_digest,
        parameters: spec.parameters.clone(),
        sensitive: spec.sensitive.clone(),
        digests: BTreeMap::new(),
        references: spec.references.clone(),
        labels: spec.labels.clone(),
        protect: spec.protect,
        tombstone: spec.tombstone,
        life: None,
        former: Vec::new(),
        whole_at: None,
        components: BTreeMap::new(),
        output_specs: spec.outputs.clone(),
        observed,
        last_apply: None,
    }
}

fn more(count: usize) -> String {
    if count > 1 { format!(" and {} more", count - 1) } else { String::new() }
}

/// The small part of a record, as the store keeps it.
fn entry(record: &Record) -> RecordEntry {
    let references: BTreeSet<RequestId> =
        record.references.values().map(|r| r.request.clone()).collect();
    let checked = record.components.values().map(|c| c.checked).min().flatten();
    RecordEntry {
        id: record.id.clone(),
        settled: record.settled,
        source: record.origin.source.clone(),
        references: references.into_iter().collect(),
        checked,
        ends: record.life.as_ref().map(|life| life.ends),
    }
}
