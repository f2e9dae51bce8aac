//! A plan for programs. Holds no rendered text: what may be sensitive is not told apart here.

use serde_json::{Value, json};

use super::{Artifacts, diff, summary};
use crate::model::{Hold, NewEnd, Plan, Settle, Step};
use crate::report::hold;

/// The plan with its digests, the sentences of its holds, and for each step the files that differ.
pub fn json(plan: &Plan, artifacts: &Artifacts) -> Value {
    let Plan { steps, holds, settled, settle, drifts, forget, approved: _, spent: _ } = plan;
    json!({
        "summary": summary(plan),
        "digest": plan.digest(),
        "steps": steps.iter().map(|s| step(s, artifacts)).collect::<Vec<_>>(),
        "holds": holds.iter().map(held).collect::<Vec<_>>(),
        "refresh": settle.iter().map(|Settle { request, fingerprint: _, released: _, end: _, takeover: _ }| request).collect::<Vec<_>>(),
        "ends": settle.iter().filter_map(end).collect::<Vec<_>>(),
        "drifts": drifts,
        "forget": forget,
        "unchanged": settled,
    })
}

pub(in crate::report) fn step(step: &Step, artifacts: &Artifacts) -> Value {
    let (digest, may_change) = (step.digest(), step.may_change());
    let Step {
        target,
        action,
        artifact,
        from,
        mark: _,
        moved_from,
        after,
        unknown,
        remarks,
        preview,
        released: _,
        needs,
        // Whose a guard is that is on already makes nothing of the plan another.
        locked: _,
    } = step;
    let (old, new) = artifacts(step);
    let files = diff::counts(old.as_deref(), new.as_deref());
    let files: Vec<_> = files
        .into_iter()
        .map(|(path, added, removed)| json!({"path": path, "added": added, "removed": removed}))
        .collect();
    json!({
        "request": target.key.request,
        "component": target.key.component,
        "target": target.name,
        "called": target.called(),
        "provider": target.provider,
        "action": action,
        "digest": digest,
        "artifact": artifact,
        "from": from,
        "movedFrom": moved_from.as_ref().map(ToString::to_string),
        "after": after.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "knownAfterApply": unknown.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "mayChange": may_change,
        "remarks": remarks,
        "needs": needs,
        "preview": preview,
        "files": files,
        "ready": step.is_ready(),
    })
}

fn end(settle: &Settle) -> Option<Value> {
    let NewEnd { was, ends } = settle.end?;
    Some(json!({"request": settle.request, "was": was, "ends": ends}))
}

fn held(held: &Hold) -> Value {
    let Hold { request, component, action, reason } = held;
    json!({
        "request": request,
        "component": component,
        "action": action,
        "reason": reason.name(),
        "sentence": hold::sentence(held),
        "details": reason,
    })
}
