//! The status file: what a request asks for, what was applied, and why it is where it is.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use crate::digest::{self, Digest};
use crate::model::{
    Action, Condition, Desired, Hold, HoldReason, Journalled, LastApply, Map, Observed, Origin,
    Phase, Record, RequestId, RequestPhase, Status, StatusComponent, StatusDrift, StatusMetadata,
    StatusSource, StatusTemplate, Wanted, hidden_output, hidden_parameter,
};
use crate::report::{expiry, hold};

/// What a status is made from.
pub struct Facts<'a> {
    /// Whose.
    pub id: &'a RequestId,
    /// What Git asks for; `None`: its file is gone.
    pub desired: Option<&'a Desired>,
    /// What was applied.
    pub record: Option<&'a Record>,
    /// What is held.
    pub holds: &'a [Hold],
    /// What is under way.
    pub in_flight: &'a [&'a Journalled],
    /// The commits in use, for a request that has no record yet.
    pub observed: Observed,
    /// The status before this one.
    pub last: Option<&'a Status>,
    /// How long before an end it is said, the longest first.
    pub warn: &'a [SignedDuration],
    /// Now.
    pub now: Timestamp,
}

/// The status of a request. Moments in it move only when what they are about changes, so that equal
/// facts give equal text.
pub fn status(facts: &Facts<'_>) -> Status {
    let phase = phase(facts);
    let waiting_for = sentence(facts, phase);
    let spec = facts.desired.and_then(Desired::spec);
    let record = facts.record;
    let origin = facts.desired.map(|d| &d.origin).or(record.map(|r| &r.origin));
    let sensitive = record
        .map(|r| r.sensitive.as_slice())
        .or(spec.map(|s| s.sensitive.as_slice()))
        .unwrap_or_default();
    let digests = || -> Option<BTreeMap<String, Digest>> {
        let record = record?;
        let told = |name: &String| {
            let digest = record.parameters.get(name).map(digest::of);
            Some((name.clone(), digest.or_else(|| record.digests.get(name).copied())?))
        };
        Some(record.sensitive.iter().filter_map(told).collect())
    };
    let parameters = record.map(|r| &r.parameters).or(spec.map(|s| &s.parameters));
    let shown = |(name, value): (&String, &serde_json::Value)| {
        let value = if sensitive.contains(name) { hidden_parameter(name) } else { value.clone() };
        (name.clone(), value)
    };
    let place =
        |o: &Origin| StatusSource { repository: o.source.to_string(), path: o.path.to_string() };
    let nowhere = || StatusSource { repository: String::new(), path: String::new() };
    let source = origin.map_or_else(nowhere, place);
    let applied_from = record.map(|record| place(&record.origin)).filter(|from| *from != source);
    Status {
        api_version: "vend.dev/v1".into(),
        kind: "Status".into(),
        metadata: StatusMetadata { id: facts.id.clone() },
        phase,
        waiting_for,
        source,
        applied_from,
        observed: observed(facts),
        template: template(facts),
        conditions: std::iter::once(condition(facts, phase))
            .chain(promises(facts))
            .chain(end(facts))
            .collect(),
        components: record.map(components).unwrap_or_default(),
        outputs: record.map(outputs).unwrap_or_default(),
        output_sources: record.map(|r| r.output_specs.clone()).unwrap_or_default(),
        parameters: parameters.into_iter().flatten().map(shown).collect(),
        sensitive: digests().unwrap_or_default(),
        references: record.map(|r| r.references.clone()).unwrap_or_default(),
        labels: record.map(|r| r.labels.clone()).unwrap_or_default(),
        protect: record.is_some_and(|r| r.protect),
        lives_since: record.and_then(|r| r.life.as_ref()).map(|life| life.since),
        expires_at: record.and_then(|r| r.life.as_ref()).map(|life| life.ends),
        lifetime: record.and_then(|r| r.life.as_ref()).map(|life| life.lifetime.clone()),
        tombstone: record.is_some_and(|r| r.tombstone),
        drift: record.and_then(drift),
        last_apply: record.and_then(|r| r.last_apply.as_ref()).map(whole_seconds),
        settled: record.and_then(|r| r.settled),
    }
}

/// People read these files: whole seconds are enough.
fn seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

fn whole_seconds(apply: &LastApply) -> LastApply {
    let LastApply { plan, started_at, ended_at, approved_by } = apply;
    LastApply {
        plan: *plan,
        started_at: seconds(*started_at),
        ended_at: ended_at.map(seconds),
        approved_by: approved_by.clone(),
    }
}

/// Commits at which the desired state last changed: those of the status before when it did not.
fn observed(facts: &Facts<'_>) -> Observed {
    let recorded = facts.record.map(|r| r.observed.clone());
    let content = facts.desired.map(|d| d.content);
    match (recorded, content) {
        (Some(recorded), Some(content)) if recorded.request_digest == Some(content) => recorded,
        (Some(recorded), None) => recorded,
        (_, content) => match facts.last {
            Some(last) if last.observed.request_digest == content => last.observed.clone(),
            _ => Observed { request_digest: content, ..facts.observed.clone() },
        },
    }
}

fn template(facts: &Facts<'_>) -> Option<StatusTemplate> {
    let spec = facts.desired.and_then(Desired::spec);
    let of_record = facts.record.map(|r| (&r.template, r.template_digest));
    let (id, digest) = of_record.or(spec.map(|s| (&s.template, s.template_digest)))?;
    let upgrade = spec.and_then(|s| s.upgrade.clone());
    Some(StatusTemplate { name: id.name.clone(), version: id.version.clone(), digest, upgrade })
}

/// Where a request stands; the first that holds of the most urgent.
fn phase(facts: &Facts<'_>) -> RequestPhase {
    let is = |test: fn(&HoldReason) -> bool| facts.holds.iter().any(|h| test(&h.reason));
    if facts.in_flight.iter().any(|row| row.phase == Phase::Unknown)
        || is(|r| matches!(r, HoldReason::Unknown { .. }))
    {
        return RequestPhase::Unknown;
    }
    if facts.in_flight.iter().any(|row| row.change.action == Action::Delete) {
        return RequestPhase::Deleting;
    }
    if !facts.in_flight.is_empty() {
        return RequestPhase::Applying;
    }
    if is(|r| {
        matches!(
            r,
            HoldReason::Backoff { attempts: 1.., .. }
                | HoldReason::Refused { .. }
                | HoldReason::Stuck { .. }
                | HoldReason::InternalError { .. }
        )
    }) {
        return RequestPhase::Failed;
    }
    if is(|r| matches!(r, HoldReason::Suspended)) {
        return RequestPhase::Suspended;
    }
    if is(|r| {
        matches!(
            r,
            HoldReason::WaitingFor { .. }
                | HoldReason::Backoff { attempts: 0, .. }
                | HoldReason::OutsideWindow { .. }
                | HoldReason::InFlight { .. }
        )
    }) {
        return RequestPhase::Waiting;
    }
    if !facts.holds.is_empty() {
        return RequestPhase::Held;
    }
    match (facts.desired.map(|d| &d.wanted), facts.record) {
        (Some(Wanted::Invalid(_)), _) => RequestPhase::Held,
        (Some(Wanted::Waiting(_)), _) => RequestPhase::Waiting,
        (Some(Wanted::Valid(spec)), Some(record)) if record.settled == Some(spec.fingerprint()) => {
            RequestPhase::Ready
        }
        (Some(Wanted::Valid(_)), _) => RequestPhase::Pending,
        (None, _) => RequestPhase::Deleting,
    }
}

fn sentence(facts: &Facts<'_>, phase: RequestPhase) -> Option<String> {
    if let Some(hold) = facts.holds.first() {
        return Some(hold::sentence(hold));
    }
    match phase {
        RequestPhase::Ready => None,
        RequestPhase::Applying => Some("the provider is at work".into()),
        RequestPhase::Deleting => {
            Some("its file is gone and its resources are being deleted".into())
        }
        RequestPhase::Pending => Some("the next pass applies it".into()),
        RequestPhase::Waiting
        | RequestPhase::Held
        | RequestPhase::Failed
        | RequestPhase::Unknown
        | RequestPhase::Suspended => match facts.desired.map(|d| &d.wanted) {
            Some(Wanted::Invalid(problems)) => {
                Some(hold::reason(&HoldReason::Invalid { problems: problems.clone() }))
            }
            Some(Wanted::Waiting(reason)) => Some(hold::reason(reason)),
            Some(Wanted::Valid(_)) | None => {
                Some("what was sent may or may not have happened: vend is looking".into())
            }
        },
    }
}

fn condition(facts: &Facts<'_>, phase: RequestPhase) -> Condition {
    let drifted = facts.record.is_some_and(|r| r.components.values().any(|c| !c.drift.is_empty()));
    let (status, reason) = match phase {
        RequestPhase::Ready if drifted => ("True", "Drifted"),
        RequestPhase::Ready => ("True", "Applied"),
        RequestPhase::Unknown => ("Unknown", "Unknown"),
        RequestPhase::Applying => ("False", "Applying"),
        RequestPhase::Deleting => ("False", "Deleting"),
        RequestPhase::Pending => ("False", "Pending"),
        RequestPhase::Waiting
        | RequestPhase::Held
        | RequestPhase::Failed
        | RequestPhase::Suspended => {
            ("False", facts.holds.first().map_or("Held", |h| h.reason.name()))
        }
    };
    let message = sentence(facts, phase).unwrap_or_else(|| match facts.record.and_then(drift) {
        Some(found) if drifted => {
            let what = super::drift::summary(&found.items).unwrap_or_default();
            format!("applied as the file asks, and changed in the world since: {what}")
        }
        found => {
            let why = found.and_then(|found| found.unchecked.into_values().next());
            let why = why.map(|why| super::drift::unknown(&why));
            let less = promises(facts).map(|less| less.message);
            let all = std::iter::once("as the file asks".to_owned()).chain(why).chain(less);
            all.collect::<Vec<_>>().join("; ")
        }
    });
    let before = facts.last.and_then(|l| l.conditions.iter().find(|c| c.kind == "Ready"));
    let same = before.filter(|b| b.status == status && b.reason == reason);
    let since = same.map_or_else(|| seconds(facts.now), |b| b.since);
    Condition { kind: "Ready".into(), status: status.into(), reason: reason.into(), message, since }
}

/// What is applied stands and works, and gives less than its template promises: no try mends that, so
/// that it is not a failure, and whoever waits for the output is told by name.
fn promises(facts: &Facts<'_>) -> Option<Condition> {
    let record = facts.record.filter(|_| facts.in_flight.is_empty())?;
    let missing = record.missing_outputs();
    let mut names = missing.iter().map(|(name, spec)| {
        format!("`{name}` (`{}` of component `{}`)", spec.output, spec.component)
    });
    let first = names.next()?;
    let names = names.fold(first, |all, name| format!("{all}, {name}"));
    let message = format!(
        "its template promises outputs that its provider does not give here: {names}; whoever looks after the catalog mends the template"
    );
    let before = facts.last.and_then(|l| l.conditions.iter().find(|c| c.kind == "Outputs"));
    let since = before.map_or_else(|| seconds(facts.now), |b| b.since);
    let (kind, reason) = ("Outputs".into(), "OutputsMissing".into());
    Some(Condition { kind, status: "False".into(), reason, message, since })
}

/// When it ends, for those that have an end.
fn end(facts: &Facts<'_>) -> Option<Condition> {
    let life = facts.record?.life.as_ref()?;
    let (status, reason, message) = expiry::condition(life.ends, facts.warn, facts.now);
    let before = facts.last.and_then(|l| l.conditions.iter().find(|c| c.kind == expiry::CONDITION));
    let same = before.filter(|b| b.status == status && b.reason == reason);
    let since = same.map_or_else(|| seconds(facts.now), |b| b.since);
    let (kind, status, reason) = (expiry::CONDITION.into(), status.into(), reason.into());
    Some(Condition { kind, status, reason, message, since })
}

fn components(record: &Record) -> Vec<StatusComponent> {
    // What the template does not promise stays in the store: nobody has said that it may be seen.
    let shown = |component: &str, output: &str| {
        let of =
            |s: &&crate::model::OutputSpec| s.component.as_str() == component && s.output == output;
        let mut specs = record.output_specs.values().filter(of).peekable();
        specs.peek().is_some() && specs.all(|spec| !spec.sensitive)
    };
    let component = |(name, c): (&crate::model::ComponentName, &crate::model::ComponentRecord)| {
        StatusComponent {
            name: name.clone(),
            provider: c.provider.clone(),
            target: c.target.clone(),
            digest: c.digest,
            mark: c.mark,
            state: c.state.clone(),
            link: c.link.clone(),
            settings: c.settings.clone(),
            needs: c.needs.clone(),
            outputs: c
                .outputs
                .iter()
                .filter(|(o, _)| shown(name.as_str(), o))
                .map(|(o, v)| (o.clone(), v.clone()))
                .collect(),
            token: c.token.clone(),
            id: c.id.clone(),
            guarded: c.guarded == Some(true),
        }
    };
    record.components.iter().map(component).collect()
}

fn outputs(record: &Record) -> Map {
    let mut outputs = record.outputs();
    for (name, spec) in record.output_specs.iter().filter(|(_, s)| s.sensitive) {
        if let Some(component) = record.components.get(&spec.component) {
            outputs.insert(
                name.clone(),
                hidden_output(&component.provider, &component.target, &spec.output),
            );
        }
    }
    outputs
}

fn drift(record: &Record) -> Option<StatusDrift> {
    let since = record.components.values().filter_map(|c| c.drift_since).max()?;
    let drifted = record.components.iter().filter(|(_, c)| !c.drift.is_empty());
    let items: std::collections::BTreeMap<_, _> =
        drifted.map(|(n, c)| (n.clone(), c.drift.clone())).collect();
    let unchecked =
        record.components.iter().filter_map(|(n, c)| Some((n.clone(), c.unchecked.clone()?)));
    let unchecked: std::collections::BTreeMap<_, _> = unchecked.collect();
    let state = match (items.is_empty(), unchecked.is_empty()) {
        (false, _) => "Drifted",
        (true, false) => "Unknown",
        (true, true) => "InSync",
    };
    Some(StatusDrift { state: state.into(), since: Some(seconds(since)), items, unchecked })
}
