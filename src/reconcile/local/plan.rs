//! Planning from what a laptop has.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::super::desired::Evaluated;
use super::published::Published;
use crate::model::{Desired, InstanceId, Plan, RequestId, Wanted};
use crate::plan::{self, Case, Gone, Guards, Situation, Totals};

/// A plan made without looking at the world.
pub fn plan(
    ids: &BTreeSet<RequestId>,
    evaluated: &BTreeMap<RequestId, Evaluated>,
    gone: &BTreeMap<RequestId, Gone>,
    published: &Published,
    guards: Guards,
    now: Timestamp,
) -> Plan {
    let records = published.records();
    let nobody = InstanceId::new("not-known");
    // As desired where the file was read, else as recorded.
    let references = |id: &RequestId| -> Vec<RequestId> {
        let spec = evaluated.get(id).and_then(|e| e.row.desired.spec());
        let references = spec.map(|s| &s.references);
        let references = references.or_else(|| records.get(id).map(|r| &r.references));
        references.into_iter().flat_map(|r| r.values()).map(|f| f.request.clone()).collect()
    };
    let dependents = |id: &RequestId| -> Vec<RequestId> {
        let all: BTreeSet<&RequestId> = records.keys().chain(evaluated.keys()).collect();
        all.into_iter().filter(|other| references(other).contains(id)).cloned().collect()
    };
    let stands = |id: &RequestId| records.contains_key(id) || evaluated.contains_key(id);
    let mut by_team: BTreeMap<String, u64> = BTreeMap::new();
    for id in records.keys() {
        *by_team.entry(id.team().to_owned()).or_default() += 1;
    }
    let case = |id: &RequestId| {
        let recorded = records.get(id).cloned();
        let desired = evaluated.get(id).map(|e| e.row.desired.clone());
        let settled = matches!((&desired, &recorded), (Some(Desired { wanted: Wanted::Valid(spec), .. }), Some(record)) if record.settled == Some(spec.fingerprint()));
        let case = Case {
            id: id.clone(),
            desired,
            gone: gone.get(id).cloned(),
            recorded,
            live: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            retries: BTreeMap::new(),
            drift_due: false,
        };
        (!settled).then_some(case)
    };
    let cases: Vec<Case> = ids.iter().filter_map(case).collect();
    let settled = (ids.len() - cases.len()) as u64;
    plan::plan(&Situation {
        now,
        instance: published.instance.as_ref().unwrap_or(&nobody),
        cases,
        totals: Totals { recorded: records.len() as u64, by_team },
        settled,
        sources: BTreeMap::new(),
        dependents: &dependents,
        references: &references,
        stands: &stands,
        approvals: &BTreeSet::new(),
        guards,
        blind: true,
    })
}
