//! Rounds within a pass: what differs is observed, planned and done, until nothing more can be.
//!
//! A round that ends an effect may make others ready: what waited for it, what refers to its
//! outputs. Those are read again and planned again, so that the executor never has to choose.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::execute::{Done, Executor};
use super::pass::{Pass, gone_key};
use super::{Notice, PassError};
use crate::digest::Digest;
use crate::model::{
    Action, AppliedOutcome, Approval, Artifact, Change, ComponentName, Desired, Drift, Event,
    HoldReason, Journalled, Observed, Outcome, Phase, Plan, Record, RequestId, Revision,
    SourceName, Spec, Step, TargetKey, Token,
};
use crate::plan::{self, Case, Gone, Guards, InFlight, Situation, Totals};
use crate::store::{RecordEntry, Write};

/// Rounds in one pass; what is not done by then goes on in the next.
const MAX_ROUNDS: usize = 200;

impl Pass<'_> {
    /// Asks about everything in the journal that is due.
    pub(super) async fn resume(&mut self) -> Result<(), PassError> {
        let Some(lease) = self.lease else { return Ok(()) };
        let now = (self.clock)();
        let is_due = |row: &&Journalled| row.next.is_none_or(|next| next <= now);
        let mut rows: Vec<Journalled> =
            self.memory.journal.values().filter(is_due).cloned().collect();
        if rows.is_empty() {
            return Ok(());
        }
        self.rejoin(&mut rows).await?;
        let ids: Vec<RequestId> =
            rows.iter().map(|r| r.change.target.key.request.clone()).collect();
        self.load_records(ids).await?;
        let executor = self.executor(lease);
        let done =
            executor.resume(rows, &self.known_records(), &self.memory.retries, self.clock).await?;
        self.take_done(done).await
    }

    /// Puts the artifacts' texts back into rows that came from the journal.
    async fn rejoin(&self, rows: &mut [Journalled]) -> Result<(), PassError> {
        let digests: BTreeSet<Digest> = rows
            .iter()
            .filter(|r| r.change.artifact.is_none())
            .filter_map(|r| r.artifact)
            .collect();
        let digests: Vec<Digest> = digests.into_iter().collect();
        let artifacts = self.engine.store.artifacts(&digests).await?;
        let by_digest: HashMap<Digest, Arc<Artifact>> =
            artifacts.into_iter().filter_map(|a| Some((a.digest?, Arc::new(a)))).collect();
        for row in rows {
            if row.change.artifact.is_none() {
                row.change.artifact = row.artifact.and_then(|d| by_digest.get(&d).cloned());
            }
        }
        Ok(())
    }

    fn executor<'b>(&'b self, lease: &'b crate::store::Lease) -> Executor<'b> {
        let reconcile = &self.engine.config.settings.reconcile;
        Executor {
            store: self.engine.store.as_ref(),
            lease,
            providers: &self.engine.providers,
            stop: &self.engine.stop,
            watch: self.engine.watch.as_ref(),
            per_lane: reconcile.per_account,
            total: reconcile.concurrency,
        }
    }

    pub(super) fn known_records(&self) -> HashMap<RequestId, Record> {
        self.records.iter().filter_map(|(id, r)| Some((id.clone(), r.clone()?))).collect()
    }

    /// Plans and executes until nothing is ready.
    pub(super) async fn rounds(&mut self) -> Result<(), PassError> {
        let mut live: HashMap<TargetKey, plan::Seen> = HashMap::new();
        let mut again: BTreeSet<RequestId> = BTreeSet::new();
        for round in 0..MAX_ROUNDS {
            self.read_again(std::mem::take(&mut again)).await?;
            let ids = self.differing();
            let cases = self.cases(ids).await?;
            let plan = self.look_and_plan(cases, &mut live).await;
            if round == 0 {
                self.engine.watch.notice(&Notice::Planned { steps: plan.steps.len() });
                self.report.plan = plan.clone();
            }
            self.hold(&plan).await?;
            let Some(lease) = self.lease else { break };
            self.settle(&plan).await?;
            let mut changed = BTreeSet::new();
            let ready: Vec<&Step> = plan.steps.iter().filter(|s| s.is_ready()).collect();
            changed.extend(self.bookkeeping(&ready).await?);
            let rows = self.rows(&ready, &plan).await?;
            let stopped = self.engine.stop.load(Ordering::Relaxed);
            if (rows.is_empty() && changed.is_empty()) || stopped {
                break;
            }
            // What was seen before a step says nothing after it; a deletion and the creation after it
            // may even share a key.
            for step in &ready {
                live.remove(&step.target.key);
            }
            let executor = self.executor(lease);
            let done = executor
                .begin(
                    rows,
                    &self.lanes_in_use(),
                    &self.known_records(),
                    &self.memory.retries,
                    self.clock,
                )
                .await?;
            let before = self.report.done.len();
            changed.extend(done.records.keys().cloned());
            self.take_done(done).await?;
            if self.report.done.len() == before && changed.is_empty() {
                break;
            }
            again = self.with_dependents(changed);
        }
        if self.lease.is_some() { self.note_looks().await } else { Ok(()) }
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

    /// Requests that a plan must look at: not settled, under way, due.
    fn differing(&self) -> BTreeSet<RequestId> {
        let now = (self.clock)();
        let clock = self.engine.drift_clock();
        let flights = self.memory.journal.keys().map(|k| k.request.clone());
        let retries = self.memory.retries.keys().map(|k| k.request.clone());
        let drift =
            self.memory.records().values().filter(|r| clock.due(r) <= now).map(|r| r.id.clone());
        let unsettled = self.memory.unsettled().iter().filter(|id| !self.is_stuck(id)).cloned();
        unsettled.chain(flights).chain(retries).chain(drift).collect()
    }

    /// A file with errors is looked at when it changes, not at every pass.
    fn is_stuck(&self, id: &RequestId) -> bool {
        let invalid = self.memory.desired().get(id).is_some_and(|d| !d.valid);
        let held = self.memory.holds.get(id);
        let said = held
            .is_some_and(|h| h.iter().any(|r| matches!(r.hold.reason, HoldReason::Invalid { .. })));
        invalid && said && !self.fresh.contains_key(id)
    }

    pub(super) async fn load_records(&mut self, ids: Vec<RequestId>) -> Result<(), PassError> {
        let missing: Vec<RequestId> = ids
            .into_iter()
            .filter(|id| !self.records.contains_key(id) && self.memory.records().contains_key(id))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        for record in self.engine.store.records(&missing).await? {
            self.records.insert(record.id.clone(), Some(record));
        }
        Ok(())
    }

    /// Everything that is known of each of `ids`.
    async fn cases(&mut self, ids: BTreeSet<RequestId>) -> Result<Vec<Case>, PassError> {
        let unread = |id: &&RequestId| !self.fresh.contains_key(*id);
        let found: Vec<_> = ids
            .iter()
            .filter(unread)
            .filter_map(|id| self.memory.desired().get(id))
            .map(|e| self.refind(e))
            .collect();
        let mut writes = Vec::new();
        self.evaluate(found, &mut writes).await?;
        self.commit(writes).await?;
        let moved = ids.iter().filter_map(|id| self.desired_of(id)?.spec()?.moved_from.clone());
        let moved: Vec<RequestId> = moved.collect();
        self.load_records(ids.iter().cloned().chain(moved).collect()).await?;
        let mut cases = Vec::with_capacity(ids.len());
        for id in ids {
            // A file that could not be read says nothing, least of all that it is gone.
            if self.memory.desired().contains_key(&id) && !self.fresh.contains_key(&id) {
                continue;
            }
            cases.push(self.case(id).await?);
        }
        Ok(cases)
    }

    pub(super) fn desired_of(&self, id: &RequestId) -> Option<&Desired> {
        self.fresh
            .get(id)
            .map(|e| &e.row.desired)
            .filter(|_| self.memory.desired().contains_key(id))
    }

    async fn case(&self, id: RequestId) -> Result<Case, PassError> {
        let desired = self.desired_of(&id).cloned();
        let recorded = self.records.get(&id).cloned().flatten();
        let gone = match (&desired, &recorded) {
            (None, Some(_)) => self.gone(&id).await?,
            _ => None,
        };
        let in_flight = self.components(&id, &self.memory.journal).map(|(c, row)| {
            let unknown =
                (row.phase == Phase::Unknown).then(|| row.error.clone().unwrap_or_default());
            (
                c,
                InFlight {
                    action: row.change.action,
                    artifact: row.artifact,
                    since: row.since,
                    unknown,
                },
            )
        });
        let in_flight = in_flight.collect();
        let retries =
            self.components(&id, &self.memory.retries).map(|(c, r)| (c, r.clone())).collect();
        let drift_due = self
            .memory
            .records()
            .get(&id)
            .is_some_and(|r| self.engine.drift_clock().due(r) <= (self.clock)());
        Ok(Case {
            id,
            desired,
            gone,
            recorded,
            live: BTreeMap::new(),
            in_flight,
            retries,
            drift_due,
        })
    }

    fn components<'b, T>(
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
        let value = self.engine.store.value(&gone_key(id)).await?;
        Ok(value.and_then(|v| serde_json::from_value(v).ok()))
    }

    /// Observes what planning needs to have seen, then plans.
    async fn look_and_plan(
        &self,
        cases: Vec<Case>,
        live: &mut HashMap<TargetKey, plan::Seen>,
    ) -> Plan {
        let approvals: BTreeSet<Digest> = self.memory.approvals.keys().copied().collect();
        let dependents = |id: &RequestId| self.memory.dependents(id);
        let references = |id: &RequestId| self.memory.references(id);
        let stands = |id: &RequestId| {
            self.memory.desired().contains_key(id) || self.memory.records().contains_key(id)
        };
        let (recorded, by_team) = self.memory.totals();
        let breaker = &self.engine.config.settings.reconcile.breaker;
        let unsettled =
            self.memory.unsettled().iter().filter(|id| self.memory.desired().contains_key(id));
        let settled = (self.memory.desired().len() - unsettled.count()) as u64;
        let mut situation = Situation {
            now: (self.clock)(),
            instance: &self.engine.instance,
            cases,
            totals: Totals { recorded, by_team },
            settled,
            sources: self.report.problems.iter().cloned().collect(),
            dependents: &dependents,
            references: &references,
            stands: &stands,
            approvals: &approvals,
            guards: Guards {
                max_deletes: breaker.max_deletes,
                max_share: breaker.max_percent / 100.0,
                team_min: breaker.team_min,
            },
            blind: false,
        };
        self.observe(&mut situation, live).await;
        plan::plan(&situation)
    }

    /// Notes the holds of this round; what was held and is not any more is let go.
    async fn hold(&mut self, plan: &Plan) -> Result<(), PassError> {
        self.report.holds.clone_from(&plan.holds);
        for hold in &plan.holds {
            self.touched.insert(hold.request.clone());
        }
        let held: BTreeSet<&RequestId> = plan.holds.iter().map(|h| &h.request).collect();
        let stale = self.memory.holds.keys().filter(|id| !held.contains(id) && !self.is_stuck(id));
        let stale: Vec<RequestId> = stale.cloned().collect();
        self.touched.extend(stale);
        Ok(())
    }

    /// Requests that are satisfied as they are: only their records need to say so.
    async fn settle(&mut self, plan: &Plan) -> Result<(), PassError> {
        let mut writes = Vec::new();
        let mut changed = BTreeSet::new();
        for settle in &plan.settle {
            let Some(desired) = self.desired_of(&settle.request).cloned() else { continue };
            let Some(spec) = desired.spec() else { continue };
            let record = self.records.get(&settle.request).cloned().flatten();
            let Some(record) = record else { continue };
            let mut record = Record {
                components: record.components,
                last_apply: record.last_apply,
                ..self.facts(&desired, spec)
            };
            record.settled = Some(settle.fingerprint);
            writes.push(Write::Record(Box::new(record.clone())));
            self.put_record(record);
            changed.insert(settle.request.clone());
        }
        for drift in &plan.drifts {
            self.note_drift(drift, &mut writes);
        }
        for digest in &plan.approved {
            let by = "the approval of the whole set".to_owned();
            let approval = Approval { digest: *digest, by, at: (self.clock)() };
            if !self.memory.approvals.contains_key(digest) {
                self.memory.approvals.insert(*digest, approval.clone());
                writes.push(Write::Approve(approval));
            }
        }
        for id in &plan.forget {
            writes.push(Write::DropRecord(id.clone()));
            writes.push(Write::Value { key: gone_key(id), value: None });
            self.memory.drop_record(id);
            self.records.insert(id.clone(), None);
            changed.insert(id.clone());
        }
        self.touched.extend(changed);
        self.commit(writes).await
    }

    /// What was seen of drift goes into the record.
    fn note_drift(&mut self, drift: &Drift, writes: &mut Vec<Write>) {
        let Drift { target, items } = drift;
        let Some(Some(mut record)) = self.records.get(&target.request).cloned() else { return };
        let now = (self.clock)();
        if let Some(component) = record.components.get_mut(&target.component) {
            component.drift.clone_from(items);
            component.drift_since = Some(now);
        }
        let (kind, message) = match items.first() {
            Some(first) => (
                "Drifted",
                format!("{}: {} {}{}", target.component, first.what, first.how, more(items.len())),
            ),
            None => ("InSync", format!("{} is as it was applied again", target.component)),
        };
        writes.push(Write::Event(self.event(&target.request, kind, message)));
        writes.push(Write::Record(Box::new(record.clone())));
        self.put_record(record);
        self.touched.insert(target.request.clone());
    }

    /// Notes that targets were looked at, so that the next look is an interval away.
    async fn note_looks(&mut self) -> Result<(), PassError> {
        let now = (self.clock)();
        let clock = self.engine.drift_clock();
        let due: Vec<RequestId> = self
            .memory
            .records()
            .values()
            .filter(|r| clock.due(r) <= now)
            .map(|r| r.id.clone())
            .collect();
        let mut writes = Vec::new();
        for id in due {
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
    async fn bookkeeping(&mut self, ready: &[&Step]) -> Result<BTreeSet<RequestId>, PassError> {
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

    async fn move_record(&mut self, step: &Step) -> Result<(), PassError> {
        let to = step.target.key.request.clone();
        let Some(from) = step.moved_from.as_ref().map(|k| k.request.clone()) else { return Ok(()) };
        if from == to {
            return self.rename_component(step).await;
        }
        let Some(Some(mut record)) = self.records.get(&from).cloned() else { return Ok(()) };
        let event = self.event(&to, "Moved", format!("moved from `{from}`; nothing was touched"));
        record.id = to.clone();
        record.settled = None;
        let writes = vec![
            Write::Rekey { from: from.clone(), to: to.clone() },
            Write::Record(Box::new(record.clone())),
            Write::Value { key: gone_key(&from), value: None },
            Write::Event(event),
        ];
        self.commit(writes).await?;
        self.records.insert(from.clone(), None);
        self.memory.drop_record(&from);
        self.put_record(record);
        self.memory.retries.retain(|k, _| k.request != from);
        self.touched.extend([from, to]);
        Ok(())
    }

    async fn rename_component(&mut self, step: &Step) -> Result<(), PassError> {
        let key = &step.target.key;
        let Some(Some(mut record)) = self.records.get(&key.request).cloned() else { return Ok(()) };
        let former = step.moved_from.as_ref().map(|k| k.component.clone());
        if let Some(component) = former.and_then(|f| record.components.remove(&f)) {
            record.components.insert(key.component.clone(), component);
            record.settled = None;
            self.commit(vec![Write::Record(Box::new(record.clone()))]).await?;
            self.touched.insert(key.request.clone());
            self.put_record(record);
        }
        Ok(())
    }

    async fn forget(&mut self, step: &Step) -> Result<(), PassError> {
        let key = &step.target.key;
        let Some(Some(mut record)) = self.records.get(&key.request).cloned() else { return Ok(()) };
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
        self.commit(vec![write, Write::Event(event)]).await?;
        self.touched.insert(key.request.clone());
        if is_gone {
            self.drop_record(&key.request).await
        } else {
            self.put_record(record);
            Ok(())
        }
    }

    fn event(&self, id: &RequestId, kind: &str, message: String) -> Event {
        Event {
            at: (self.clock)(),
            request: Some(id.clone()),
            kind: kind.into(),
            message,
            data: serde_json::Value::Null,
        }
    }

    fn put_record(&mut self, record: Record) {
        self.memory.put_record(entry(&record));
        self.records.insert(record.id.clone(), Some(record));
    }

    async fn drop_record(&mut self, id: &RequestId) -> Result<(), PassError> {
        self.memory.drop_record(id);
        self.records.insert(id.clone(), None);
        self.commit(vec![Write::Value { key: gone_key(id), value: None }]).await
    }

    fn lanes_in_use(&self) -> BTreeMap<String, usize> {
        let mut lanes = BTreeMap::new();
        for row in self.memory.journal.values() {
            if let Some(provider) = self.engine.providers.get(&row.change.target.provider) {
                *lanes
                    .entry(format!("{} {}", provider.kind(), provider.lane(&row.change.target)))
                    .or_default() += 1;
            }
        }
        lanes
    }

    /// Journal rows of the steps that a provider is to do.
    async fn rows(&self, ready: &[&Step], plan: &Plan) -> Result<Vec<Journalled>, PassError> {
        let now = (self.clock)();
        let digest = plan.digest();
        let mut rows = Vec::new();
        for step in ready.iter().filter(|s| s.action.touches_the_world()) {
            let key = &step.target.key;
            let record = self.records.get(&key.request).cloned().flatten();
            let attempts = record
                .as_ref()
                .and_then(|r| r.components.get(&key.component))
                .map_or(0, |c| c.attempts);
            let attempt = attempts + self.memory.retries.get(key).map_or(0, |r| r.attempts);
            let step_digest = step.digest();
            let token =
                Token::derive(&self.engine.instance, &step.target.name, &step_digest, attempt, now);
            let desired = self.desired_of(&key.request);
            let spec = desired.and_then(Desired::spec);
            let outcome = match (step.action, desired, spec) {
                (Action::Delete, _, _) => Outcome::Deleted,
                (_, Some(desired), Some(spec)) => {
                    let needs =
                        spec.component(&key.component).map(|c| c.needs.clone()).unwrap_or_default();
                    Outcome::Applied(Box::new(AppliedOutcome {
                        record: self.facts(desired, spec),
                        needs,
                    }))
                }
                // Restoring what was applied although the file is not well-formed now.
                (_, _, _) => match record {
                    Some(record) => {
                        let needs = record
                            .components
                            .get(&key.component)
                            .map(|c| c.needs.clone())
                            .unwrap_or_default();
                        Outcome::Applied(Box::new(AppliedOutcome { record, needs }))
                    }
                    None => continue,
                },
            };
            let artifact = match step.artifact {
                Some(digest) => Some(self.artifact(key, digest).await?),
                None => None,
            };
            let labels = spec.map(|s| s.labels.clone()).unwrap_or_default();
            rows.push(Journalled {
                change: Change {
                    token,
                    target: step.target.clone(),
                    action: step.action,
                    artifact,
                    expect: step.from,
                    labels,
                    commit: desired.and_then(|d| self.commit_of(&d.origin.source)),
                },
                artifact: step.artifact,
                step: step_digest,
                plan: digest,
                attempt,
                phase: Phase::Intent,
                ticket: None,
                since: now,
                next: None,
                error: None,
                outcome,
            });
        }
        Ok(rows)
    }

    /// The rendered files: of this pass, else as they were applied before.
    pub(super) async fn artifact(
        &self,
        key: &TargetKey,
        digest: Digest,
    ) -> Result<Arc<Artifact>, PassError> {
        let rendered = self.fresh.get(&key.request).and_then(|e| {
            e.artifacts
                .iter()
                .find(|(c, a)| *c == key.component && a.digest == Some(digest))
                .map(|(_, a)| a.clone())
        });
        if let Some(artifact) = rendered {
            return Ok(artifact);
        }
        let stored = self.engine.store.artifact(&digest).await?;
        let what = || format!("artifact {} of `{key}`", digest.short());
        Ok(Arc::new(stored.ok_or_else(|| crate::store::StoreError::Missing { what: what() })?))
    }

    fn commit_of(&self, source: &SourceName) -> Option<Revision> {
        self.snapshots.iter().find(|s| s.source.name == *source)?.commit.clone()
    }

    /// What a record says of a request besides its components.
    fn facts(&self, desired: &Desired, spec: &Spec) -> Record {
        Record {
            id: desired.id.clone(),
            origin: desired.origin.clone(),
            settled: None,
            template: spec.template.clone(),
            template_digest: spec.template_digest,
            parameters: spec.parameters.clone(),
            sensitive: spec.sensitive.clone(),
            references: spec.references.clone(),
            labels: spec.labels.clone(),
            protect: spec.protect,
            tombstone: spec.tombstone,
            components: BTreeMap::new(),
            output_specs: spec.outputs.clone(),
            observed: Observed {
                commit: self.commit_of(&desired.origin.source),
                catalog_commit: self.snapshots[0].commit.clone(),
                request_digest: Some(desired.content),
            },
            last_apply: None,
        }
    }

    /// Takes what came of effects into the indexes.
    async fn take_done(&mut self, done: Done) -> Result<(), PassError> {
        let Done { records, under_way, ended, retries, commits } = done;
        self.memory.stamp += commits;
        for (row, error) in ended {
            let key = row.change.target.key.clone();
            self.memory.journal.remove(&key);
            self.touched.insert(key.request.clone());
            self.report.done.push((key, row.change.action, error));
        }
        for (key, retry) in retries {
            match retry {
                Some(retry) => self.memory.retries.insert(key, retry),
                None => self.memory.retries.remove(&key),
            };
        }
        for row in under_way {
            self.touched.insert(row.change.target.key.request.clone());
            self.memory.journal.insert(row.change.target.key.clone(), row);
        }
        for (id, record) in records {
            match record {
                Some(record) => self.put_record(record),
                None => self.drop_record(&id).await?,
            }
        }
        self.report.under_way = self.memory.journal.len();
        Ok(())
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
        origin: record.origin.clone(),
        references: references.into_iter().collect(),
        protect: record.protect,
        targets: record
            .components
            .iter()
            .map(|(name, c)| (name.clone(), c.target.clone()))
            .collect(),
        checked,
    }
}
