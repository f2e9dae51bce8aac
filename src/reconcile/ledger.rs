//! What an observed end makes of a record. Pure: journal row and answer in, record out.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::fault::planted;
use crate::model::{
    Action, ComponentRecord, Journalled, LastApply, Left, Map, Outcome, Phase, Record, Retry,
};
use crate::plan;

/// The end of an effect, as the provider told it.
#[derive(Clone, Debug)]
pub enum End {
    /// It is done.
    Done {
        /// What the target gives now.
        outputs: Map,
        /// The provider's word for its state.
        state: String,
        /// What the target is marked with, where that is not the digest of what was applied.
        mark: Option<Digest>,
    },
    /// It is not done, for a reason in the target itself: doing the same again would end the same.
    Failed {
        /// In the provider's words.
        error: String,
    },
}

/// What is known of a target at the end of its effect.
pub struct Found {
    /// What it gives now.
    pub outputs: Map,
    /// The provider's word for its state.
    pub state: String,
    /// What it is marked with, where that is not the digest of what was applied.
    pub mark: Option<Digest>,
    /// The page on which a person sees it.
    pub link: Option<String>,
    /// The provider's own id of it.
    pub id: Option<String>,
    /// Whether the provider's own guard against deletion is on, where it has one.
    pub guarded: Option<bool>,
}

/// The record after `row` ended well; `None` when nothing of the request is left.
pub fn apply(
    record: Option<Record>,
    row: &Journalled,
    found: Found,
    now: Timestamp,
) -> Option<Record> {
    let Found { outputs, state, mark, link, id, guarded } = found;
    let component = &row.change.target.key.component;
    let approved_by = approvers(record.as_ref(), row);
    let last_apply =
        LastApply { plan: row.plan, started_at: row.since, ended_at: Some(now), approved_by };
    match &row.outcome {
        Outcome::Applied(applied) => {
            let components = record.map(|r| r.components).unwrap_or_default();
            let before = components.get(component);
            let drift_since = before.and_then(|c| c.drift_since);
            let target = &row.change.target;
            let same = before.filter(|c| c.provider == target.provider && c.target == target.name);
            let link = link.or_else(|| same.and_then(|c| c.link.clone()));
            let id = id.or_else(|| same.and_then(|c| c.id.clone()));
            // Where nothing was to be changed, what was given before is there still.
            let still = same.filter(|_| mark.is_some()).map(|c| c.labels.clone());
            // A file that protects it no more takes nothing off, and the guard stays vend's own.
            let was_guarded = same.is_some_and(|c| c.guarded == Some(true));
            let guarded = guarded.map(|guarded| guarded || was_guarded);
            let labels = row.change.labels.keys().cloned().chain(still.into_iter().flatten());
            let labels = labels.collect();
            let mut record = Record { components, ..applied.record.clone() };
            let digest = row.artifact.expect("an applied change has an artifact");
            let made = ComponentRecord {
                provider: target.provider.clone(),
                target: target.name.clone(),
                settings: target.settings.clone(),
                id,
                digest,
                mark: mark.filter(|mark| *mark != digest),
                labels,
                state,
                outputs,
                link,
                needs: applied.needs.clone(),
                token: row.change.token.clone(),
                attempts: row.attempt + 1,
                drift: Vec::new(),
                drift_since,
                checked: Some(now),
                unchecked: None,
                guarded,
            };
            record.components.insert(component.clone(), made);
            if !planted!("secret-kept") {
                record.hide_outputs();
            }
            record.settled = None;
            record.last_apply = Some(last_apply);
            Some(record)
        }
        Outcome::Deleted => {
            let mut record = record?;
            record.components.remove(component);
            record.settled = None;
            record.last_apply = Some(last_apply);
            (!record.components.is_empty()).then_some(record)
        }
    }
}

/// The record after a try that failed, which may have turned the provider's own guard on before it did; `None`:
/// as it was. Where it did not, a look finds the guard off and says so.
pub fn failed(record: Option<&Record>, row: &Journalled) -> Option<Record> {
    let target = &row.change.target;
    if !row.change.protect || row.locked {
        return None;
    }
    let before = record?.components.get(&target.key.component)?;
    let is_same = before.provider == target.provider && before.target == target.name;
    if !is_same || before.guarded == Some(true) {
        return None;
    }
    let mut record = record?.clone();
    record.components.get_mut(&target.key.component)?.guarded = Some(true);
    Some(record)
}

/// Who approved what was held of a request's apply. What one step of it used up counts for those that
/// follow, until all is done.
fn approvers(record: Option<&Record>, row: &Journalled) -> Vec<String> {
    let before = record.filter(|r| r.settled.is_none()).and_then(|r| r.last_apply.as_ref());
    let before = before.into_iter().flat_map(|last| last.approved_by.iter());
    let all: BTreeSet<&String> = before.chain(row.released.iter().map(|a| &a.by)).collect();
    all.into_iter().cloned().collect()
}

/// When a step that failed is tried again.
pub fn retry(
    row: &Journalled,
    before: Option<&Retry>,
    error: String,
    refused: bool,
    now: Timestamp,
) -> Retry {
    let same = |b: &&Retry| b.fingerprint == row.fingerprint;
    let attempts = before.filter(same).map_or(0, |b| b.attempts).saturating_add(1);
    // What was refused together in the same words is asked for again together: a branch that is
    // closed to us is not pushed to once for each target.
    let spread = if refused { jitter(&error) } else { jitter(row.change.token.as_str()) };
    let wait = match planted!("retry-at-once") {
        true => jiff::SignedDuration::ZERO,
        false => plan::backoff(attempts, spread, refused),
    };
    Retry {
        fingerprint: row.fingerprint,
        attempts,
        until: now + wait,
        error,
        refused,
        ended: false,
        left: before.and_then(|b| b.left.clone()),
    }
}

/// When a step is tried that was not begun, since others met `error` where it is.
pub fn put_off(row: &Journalled, before: Option<&Retry>, error: String, until: Timestamp) -> Retry {
    let same = |b: &&Retry| b.fingerprint == row.fingerprint;
    Retry {
        fingerprint: row.fingerprint,
        attempts: before.filter(same).map_or(0, |b| b.attempts),
        until,
        error,
        refused: false,
        ended: false,
        left: before.and_then(|b| b.left.clone()),
    }
}

/// What a creation that failed may have left.
pub fn left(row: &Journalled) -> Option<Box<Left>> {
    let Outcome::Applied(applied) = &row.outcome else { return None };
    let creates = row.change.action == Action::Create && row.change.expect.is_none();
    let left = Left { target: row.change.target.clone(), record: applied.record.clone() };
    creates.then(|| Box::new(left))
}

/// How long until a change that is under way is asked about again: a tenth of the time it has been
/// at it, from half a second to 30 s.
pub fn poll_after(row: &Journalled, now: Timestamp) -> SignedDuration {
    let age = now.duration_since(row.since).as_secs_f64();
    SignedDuration::from_secs_f64((age / 10.0).clamp(0.5, 30.0))
}

/// Whether a change of what stands takes longer than its template allows.
pub(super) fn is_late(row: &Journalled, now: Timestamp) -> bool {
    let Some(timeout) = row.change.timeout.filter(|_| row.change.updates()) else {
        return false;
    };
    row.phase == Phase::Sent && now.duration_since(row.since) >= timeout
}

/// How long until a lost outcome is asked for again: about as long as it has been lost, from 1 s to
/// 5 minutes.
pub fn ask_after(row: &Journalled, now: Timestamp) -> SignedDuration {
    let age = now.duration_since(row.since).as_secs_f64();
    let spread = 0.75 + 0.5 * jitter(row.change.token.as_str());
    SignedDuration::from_secs_f64((age * spread).clamp(1.0, 300.0))
}

/// A number in [0, 1) that is the same for the same text: spreads retries without randomness, so
/// that a pass can be repeated exactly.
pub fn jitter(text: &str) -> f64 {
    let bytes = *crate::digest::sha256(text.as_bytes()).bytes();
    let [a, b, c, d, ..] = bytes;
    f64::from(u32::from_be_bytes([a, b, c, d])) / (f64::from(u32::MAX) + 1.0)
}

/// Past tense of an action, as the stable kind of an event.
pub fn event_kind(action: Action) -> &'static str {
    match action {
        Action::Create => "Created",
        Action::Update => "Updated",
        Action::Replace => "Replaced",
        Action::Delete => "Deleted",
        Action::Restore => "Restored",
        Action::Forget => "Forgotten",
        Action::Move => "Moved",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, OutputSpec};
    use crate::store::sample;

    #[test]
    fn b74_the_value_of_a_sensitive_output_is_not_kept() {
        let mut row = *sample::intent("events", "text", 0);
        let Outcome::Applied(applied) = &mut row.outcome else { panic!() };
        let promise = |output: &str, sensitive| OutputSpec {
            component: ComponentName::new("queue"),
            output: output.into(),
            sensitive,
        };
        applied.record.output_specs = [
            ("password".to_owned(), promise("Password", true)),
            ("again".to_owned(), promise("Password", false)),
            ("url".to_owned(), promise("Url", false)),
            ("arn".to_owned(), promise("Arn", false)),
        ]
        .into();
        let outputs =
            [("Password", "hunter2"), ("Url", "https://x")].map(|(n, v)| (n.into(), v.into()));
        let found = Found {
            outputs: outputs.into(),
            state: "DONE".into(),
            mark: None,
            link: None,
            id: Some("id-1".to_owned()),
            guarded: None,
        };
        let record = apply(None, &row, found, row.since).unwrap();
        assert_eq!(record.components[&row.change.target.key.component].id.as_deref(), Some("id-1"));
        assert!(!serde_json::to_string(&record).unwrap().contains("hunter2"));
        assert_eq!(record.outputs(), [("url".to_owned(), "https://x".into())].into());
        let missing: Vec<_> = record.missing_outputs().iter().map(|(name, _)| *name).collect();
        assert_eq!(missing, ["arn"]);
    }
}
