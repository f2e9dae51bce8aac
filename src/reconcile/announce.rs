//! What is to be said of each request: its status, its holds, the counts. Written to the store; the
//! status branch follows from there.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::PassError;
use super::pass::{COUNTS, DRIFTED, Pass, Said, unsaid};
use crate::digest::{self, Digest};
use crate::fault::point;
use crate::model::{
    ComponentName, Desired, DriftCounts, Event, Hold, Journalled, Observed, Record, RequestId,
    Status, TargetKey,
};
use crate::report;
use crate::store::{HeldRow, StatusRow, Write};

/// Statuses made together: what is kept of them meanwhile does not grow with what has changed.
const PART: usize = 4_000;

impl Pass<'_> {
    /// Compares what should be said of every touched request with what was said last.
    pub(super) async fn announce(&mut self) -> Result<(), PassError> {
        if self.lease.is_none() {
            return Ok(());
        }
        if !self.touched.is_empty() || self.said != Said::Nothing {
            self.announce_touched().await?;
        }
        // Also those that this pass had no reason to look at.
        let held = self.memory.holds.values().flatten();
        self.report.holds = held.map(|row| row.hold.clone()).collect();
        Ok(())
    }

    async fn announce_touched(&mut self) -> Result<(), PassError> {
        let touched: Vec<RequestId> = std::mem::take(&mut self.touched).into_iter().collect();
        let mut by_request: BTreeMap<RequestId, Vec<Hold>> = BTreeMap::new();
        for hold in &self.report.holds {
            by_request.entry(hold.request.clone()).or_default().push(hold.clone());
        }
        for part in touched.chunks(PART) {
            self.announce_part(part, &mut by_request).await?;
        }
        Ok(())
    }

    async fn announce_part(
        &mut self,
        touched: &[RequestId],
        by_request: &mut BTreeMap<RequestId, Vec<Hold>>,
    ) -> Result<(), PassError> {
        self.load_records(touched.to_vec()).await?;
        let unread: Vec<RequestId> = touched
            .iter()
            .filter(|id| !self.fresh.contains_key(id) && self.memory.desired().contains(id))
            .cloned()
            .collect();
        let stored: BTreeMap<RequestId, Arc<Desired>> = self
            .engine
            .store
            .desired(&unread)
            .await?
            .into_iter()
            .map(|d| (d.id.clone(), Arc::new(d)))
            .collect();
        let last: BTreeMap<RequestId, StatusRow> = self
            .engine
            .store
            .statuses(touched)
            .await?
            .into_iter()
            .map(|row| (row.request.clone(), row))
            .collect();
        let mut writes = Vec::new();
        for id in touched {
            let desired = self.desired_of(id).or_else(|| stored.get(id)).cloned();
            let holds = by_request.remove(id).unwrap_or_else(|| self.kept_holds(id));
            self.hold_writes(id, &holds, &mut writes);
            self.say(id, desired.as_deref(), &holds, last.get(id), &mut writes).await;
        }
        if !writes.is_empty() {
            let counts = serde_json::to_value(&self.memory.counts).unwrap_or_default();
            writes.push(Write::Value { key: COUNTS.into(), value: Some(counts) });
            let drifted = serde_json::to_value(self.memory.drifted).unwrap_or_default();
            writes.push(Write::Value { key: DRIFTED.into(), value: Some(drifted) });
        }
        if self.said == Said::Marked {
            writes.push(unsaid(false));
        }
        self.said = Said::All;
        point!("pass.say.before")?;
        self.commit(writes).await?;
        Ok(point!("pass.say.after")?)
    }

    /// Holds of a request that this pass did not plan. One that is as it should be by now was held when a
    /// pass was cut off before it had said that it is no more.
    fn kept_holds(&self, id: &RequestId) -> Vec<Hold> {
        let planned = self.fresh.contains_key(id) || !self.memory.desired().contains(id);
        let stays = self.scope.is_some() || self.is_stuck(id) || self.stands(id);
        let kept = self.memory.holds.get(id).filter(|_| !planned && stays);
        kept.into_iter().flatten().map(|row| row.hold.clone()).collect()
    }

    fn hold_writes(&mut self, id: &RequestId, holds: &[Hold], writes: &mut Vec<Write>) {
        let before = self.memory.holds.get(id).map(Vec::as_slice).unwrap_or_default();
        let now = (self.clock)();
        let rows: Vec<HeldRow> = holds
            .iter()
            .map(|hold| {
                let same = |b: &&HeldRow| {
                    b.hold.component == hold.component && b.hold.reason.name() == hold.reason.name()
                };
                let since = before.iter().find(same).map_or(now, |b| b.since);
                HeldRow { hold: hold.clone(), since }
            })
            .collect();
        if rows == before {
            return;
        }
        let is_new = |row: &&HeldRow| {
            let name = row.hold.reason.name();
            // One that goes by the same name and was no news, as what waits for the forge, was not told.
            let same = |b: &HeldRow| {
                b.hold.component == row.hold.component
                    && b.hold.reason.name() == name
                    && b.hold.reason.is_told()
            };
            row.hold.reason.is_told() && !before.iter().any(same)
        };
        let events = rows.iter().filter(is_new).map(|HeldRow { hold, .. }| Event {
            data: json!({"reason": hold.reason.name(), "component": hold.component}),
            ..self.event(id, "Held", report::hold::sentence(hold))
        });
        writes.extend(events.map(Write::Event));
        writes.push(Write::Hold { request: id.clone(), holds: rows.clone() });
        if rows.is_empty() {
            self.memory.holds.remove(id);
        } else {
            self.memory.holds.insert(id.clone(), rows);
        }
    }

    async fn say(
        &mut self,
        id: &RequestId,
        desired: Option<&Desired>,
        holds: &[Hold],
        last: Option<&StatusRow>,
        writes: &mut Vec<Write>,
    ) {
        let record = self.records.get(id).cloned().flatten();
        let said: Option<Status> =
            last.and_then(|row| serde_json::from_value(row.document.clone()).ok());
        let before = said.as_ref().map(|s| s.phase);
        let drifted = said.as_ref().map(DriftCounts::of).unwrap_or_default();
        let flights: Vec<&Journalled> =
            self.components(id, &self.memory.journal).map(|(_, row)| row).collect();
        let left = self.components(id, &self.memory.retries).any(|(_, retry)| retry.left.is_some());
        if desired.is_none() && record.is_none() && flights.is_empty() && !left {
            if last.is_some() {
                writes.push(Write::DropStatus(id.clone()));
            }
            let ours = |key: &&TargetKey| key.request == *id;
            let failed: Vec<TargetKey> = self.memory.retries.keys().filter(ours).cloned().collect();
            for key in failed {
                self.memory.retries.remove(&key);
                writes.push(Write::Retry { key, retry: None });
            }
            self.memory.counts.shift(id, before, None);
            self.memory.drifted.shift(drifted, DriftCounts::default());
            return;
        }
        let status = report::status::status(&report::status::Facts {
            id,
            desired,
            record: record.as_ref(),
            holds,
            in_flight: &flights,
            observed: self.observed_now(desired),
            last: said.as_ref(),
            warn: &self.engine.config.settings.expiry.warn,
            now: (self.clock)(),
        });
        let phase = status.phase;
        self.memory.drifted.shift(drifted, DriftCounts::of(&status));
        if let Some(end) = report::expiry::news(&status, said.as_ref()) {
            writes.push(Write::Event(self.event(id, &end.reason, end.message.clone())));
        }
        let row = row(id, &status, record.as_ref());
        if last.is_none_or(|l| l.digest != row.digest) {
            writes.push(Write::Status(row));
        }
        self.memory.counts.shift(id, before, Some(phase));
    }

    fn observed_now(&self, desired: Option<&Desired>) -> Observed {
        let source = desired.map(|d| &d.origin.source);
        let commit = source
            .and_then(|s| self.snapshots.iter().find(|n| n.source.name == *s)?.commit.clone());
        Observed {
            commit,
            catalog_commit: self.snapshots[0].commit.clone(),
            request_digest: desired.map(|d| d.content),
        }
    }
}

/// The row of a status, with the artifacts that lie beside it.
pub(super) fn row(id: &RequestId, status: &Status, record: Option<&Record>) -> StatusRow {
    let document: Value = serde_json::to_value(status).unwrap_or_default();
    let artifacts: Vec<(ComponentName, Digest)> = record
        .map(|r| r.components.iter().map(|(n, c)| (n.clone(), c.digest)).collect())
        .unwrap_or_default();
    let digest = digest::of(&(&document, &artifacts));
    StatusRow { request: id.clone(), document, digest, published: None, artifacts }
}
