//! Between the plan's steps and the executor's rows, and back.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};

use jiff::{SignedDuration, Timestamp};

use super::PassError;
use super::execute::{Done, Executor, Resumed};
use super::ledger;
use super::pass::Pass;
use crate::digest::Digest;
use crate::model::{
    Action, AppliedOutcome, Artifact, Change, Desired, Former, Journalled, Outcome, Phase,
    RequestId, Revision, SourceName, Step, TargetKey, Token,
};

/// What comes due within that time is asked about with what is due.
const TOGETHER: SignedDuration = SignedDuration::from_millis(500);

/// When a pass looks for an answer that the last one did not wait for.
const AGAIN: SignedDuration = SignedDuration::from_secs(15);

impl Pass<'_> {
    /// Asks about everything in the journal that is due.
    pub(super) async fn resume(&mut self) -> Result<BTreeSet<RequestId>, PassError> {
        let Some(lease) = self.lease else { return Ok(BTreeSet::new()) };
        if self.engine.stop.load(Ordering::Relaxed) {
            self.unfinished = true;
            return Ok(BTreeSet::new());
        }
        let now = (self.clock)();
        let due_by = |row: &Journalled, at: Timestamp| row.next.is_none_or(|next| next <= at);
        let is_due = self.memory.journal.values().any(|row| due_by(row, now));
        if !is_due && self.resumed().len() == 0 {
            return Ok(BTreeSet::new());
        }
        let asked =
            |open: &Resumed| -> BTreeSet<Token> { open.keys().flatten().cloned().collect() };
        let earlier = asked(&self.resumed());
        // Asked together they cost a provider less than one by one, and us one pass instead of many.
        let at = now + TOGETHER;
        let soon =
            |row: &&Journalled| due_by(row, now) || row.phase == Phase::Sent && due_by(row, at);
        let (earlier, due): (Vec<_>, Vec<_>) =
            self.memory.journal.values().partition(|row| earlier.contains(&row.change.token));
        let mut rows: Vec<Journalled> = due.into_iter().filter(soon).cloned().collect();
        let earlier = earlier.into_iter().map(|row| row.change.target.key.request.clone());
        let mut ids: Vec<RequestId> = earlier.collect();
        self.mark_unsaid().await?;
        self.rejoin(&mut rows).await?;
        ids.extend(rows.iter().map(|row| row.change.target.key.request.clone()));
        self.load_records(ids).await?;
        let mut stops = self.superseded(&rows).await?;
        stops.extend(self.overdue(&rows));
        // What is not put back, since this was given up half-way, is asked again.
        let mut open = std::mem::take(&mut *self.resumed());
        let (executor, memory) = (self.executor(lease), &self.memory);
        let of = (&mut open, &memory.journal);
        let done =
            executor.resume(rows, &stops, of, &self.records, &memory.retries, self.clock).await?;
        let silent = asked(&open);
        *self.resumed() = open;
        // What was stopped may be as its file asks by now: nothing else would say so.
        let stopped = done.superseded.iter().map(|row| &row.change.target.key.request);
        let changed: BTreeSet<RequestId> = done.records.keys().chain(stopped).cloned().collect();
        self.take_done(done).await?;
        let later = (self.clock)() + AGAIN;
        let rows = self.memory.journal.values_mut();
        rows.filter(|row| silent.contains(&row.change.token))
            .for_each(|row| row.next = Some(later));
        Ok(changed)
    }

    fn resumed(&self) -> MutexGuard<'_, Resumed> {
        self.engine.resumed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes of what stands that take longer than their template allows. Each is asked to stop once; a creation's
    /// end its provider sees to.
    fn overdue(&self, rows: &[Journalled]) -> BTreeSet<Token> {
        let now = (self.clock)();
        let late = rows.iter().filter(|row| !row.cancelled && ledger::is_late(row, now));
        late.map(|row| row.change.token.clone()).collect()
    }

    /// Changes of what stands that are under way to what is wanted no more, where the settings say that such are
    /// stopped. Each is asked to stop once.
    async fn superseded(&self, rows: &[Journalled]) -> Result<BTreeSet<Token>, PassError> {
        if !self.engine.config.settings.reconcile.cancel.supersedes() {
            return Ok(BTreeSet::new());
        }
        let newer = |row: &&Journalled| {
            let entry = self.memory.desired().get(&row.change.target.key.request);
            let is_newer = entry.is_some_and(|e| e.valid && Some(e.fingerprint) != row.fingerprint);
            is_newer && !row.cancelled && row.change.updates()
        };
        let rows: Vec<&Journalled> = rows.iter().filter(newer).collect();
        let ids: Vec<RequestId> =
            rows.iter().map(|r| r.change.target.key.request.clone()).collect();
        if ids.is_empty() {
            return Ok(BTreeSet::new());
        }
        let desired = self.engine.store.desired(&ids).await?;
        let desired: HashMap<&RequestId, &Desired> = desired.iter().map(|d| (&d.id, d)).collect();
        let is_over = |row: &&Journalled| {
            let key = &row.change.target.key;
            let spec = desired.get(&key.request).and_then(|d| d.spec());
            // What is to be deleted, or is not known yet, waits as always.
            spec.and_then(|s| s.component(&key.component))
                .is_some_and(|c| c.unknown.is_empty() && Some(c.digest) != row.artifact)
        };
        Ok(rows.into_iter().filter(is_over).map(|row| row.change.token.clone()).collect())
    }

    /// Puts the artifacts' texts back into rows that came from the journal.
    pub(super) async fn rejoin(&self, rows: &mut [Journalled]) -> Result<(), PassError> {
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
            self.reach().row(row);
            if row.change.artifact.is_none() {
                row.change.artifact = row.artifact.and_then(|d| by_digest.get(&d).cloned());
            }
        }
        Ok(())
    }

    pub(super) fn executor<'b>(&'b self, lease: &'b crate::store::Lease) -> Executor<'b> {
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

    /// Journal rows of the steps that a provider is to do.
    pub(super) async fn rows(
        &self,
        ready: &[&Step],
        plan: Digest,
    ) -> Result<Vec<Journalled>, PassError> {
        let now = (self.clock)();
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
            let spec = desired.and_then(|d| d.spec());
            let of_spec = spec.map(|s| (&s.template, s.protect));
            let of_record = record.as_ref().map(|r| (&r.template, r.protect));
            let (template, protect) = of_spec.or(of_record).unzip();
            let template = template.cloned();
            let protect = protect.unwrap_or(false) && step.action != Action::Delete;
            let before = record.as_ref().and_then(|r| r.components.get(&key.component));
            let former = before.map(|before| Former {
                labels: before.labels.clone(),
                settings: before.settings.clone(),
            });
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
            let approvals = &self.memory.approvals;
            let released = step.released.iter().chain([&step_digest]);
            let released =
                released.filter_map(|digest| approvals.get(digest)).flatten().cloned().collect();
            let labels = spec.map(|s| s.labels.clone()).unwrap_or_default();
            rows.push(Journalled {
                change: Change {
                    token,
                    target: step.target.clone(),
                    action: step.action,
                    artifact,
                    expect: step.mark.or(step.from),
                    labels,
                    former,
                    commit: desired.and_then(|d| self.commit_of(&d.origin.source)),
                    template,
                    protect,
                    adopt: spec.is_some_and(|s| s.adopt),
                    timeout: spec.and_then(|s| s.timeout),
                    preview: step.preview.as_ref().and_then(|p| p.handle.clone()),
                },
                artifact: step.artifact,
                step: step_digest,
                plan,
                fingerprint: desired.map(|d| d.fingerprint()),
                attempt,
                phase: Phase::Intent,
                ticket: None,
                since: now,
                next: None,
                cancelled: false,
                error: None,
                released,
                locked: step.locked,
                trace: self.cause_of(&key.request),
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

    pub(super) fn commit_of(&self, source: &SourceName) -> Option<Revision> {
        self.snapshots.iter().find(|s| s.source.name == *source)?.commit.clone()
    }

    /// Takes what came of effects into the indexes.
    pub(super) async fn take_done(&mut self, done: Done) -> Result<(), PassError> {
        let Done { records, under_way, ended, superseded, retries, commits, again, stopped } = done;
        self.again.extend(again);
        self.unfinished |= stopped;
        self.memory.basis += commits;
        for (row, error) in ended {
            self.trace_end(&row, error.is_some());
            let key = row.change.target.key.clone();
            self.memory.journal.remove(&key);
            self.touched.insert(key.request.clone());
            if error.is_none() {
                for approval in &row.released {
                    self.memory.approvals.remove(&approval.digest);
                }
            }
            self.memory.prepared.remove(&key);
            self.report.done.push((key, row.change.action, error));
        }
        for row in superseded {
            self.trace_end(&row, true);
            let key = row.change.target.key;
            self.memory.journal.remove(&key);
            self.memory.prepared.remove(&key);
            self.touched.insert(key.request);
        }
        for (key, retry) in retries {
            match retry {
                Some(retry) => {
                    // What was prepared and not carried out its provider clears away.
                    self.memory.prepared.remove(&key);
                    self.memory.retries.insert(key, retry)
                }
                None => self.memory.retries.remove(&key),
            };
        }
        for row in under_way {
            self.memory.prepared.remove(&row.change.target.key);
            self.touched.insert(row.change.target.key.request.clone());
            self.memory.journal.insert(row.change.target.key.clone(), row);
        }
        for (id, record) in records {
            match record {
                Some(record) => self.put_record(record),
                None => self.drop_record(&id).await?,
            }
        }
        Ok(())
    }
}
