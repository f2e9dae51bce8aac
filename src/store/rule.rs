//! What a store refuses, and what it keeps of what was there: the same in every store.

use jiff::Timestamp;

use super::codec::damaged;
use super::{Held, StoreError};
use crate::fault::planted;
use crate::model::{
    Event, Journalled, Outcome, Phase, RequestId, Retry, Revision, RolloutWord, SourceProblem,
    SourceRecord, TargetKey, Token,
};

/// Refuses a lease that another took over, or that was given back.
pub(super) fn check(now: &Held, epoch: u64) -> Result<(), StoreError> {
    match now.by {
        Some(_) if now.epoch == epoch || planted!("epoch-unchecked") => Ok(()),
        _ => Err(StoreError::Fenced { epoch, current: now.epoch }),
    }
}

/// Whether nobody has the lease: its time is over, or its holder is dead.
pub(super) fn is_free(held: &Held, now: Timestamp) -> bool {
    match &held.by {
        Some((holder, until)) => now >= *until || holder.is_dead() || planted!("lease-shared"),
        None => true,
    }
}

/// An intent: `old` is what stands under its token, `other` what else is in flight on its target.
pub(super) fn may_begin(
    row: &Journalled,
    old: Option<&Journalled>,
    other: Option<&Token>,
) -> Result<(), StoreError> {
    let token = &row.change.token;
    if old.is_some_and(|old| old.phase != Phase::Intent) {
        let what = format!("an intent for `{token}`, which was sent already");
        return Err(StoreError::Conflict { what });
    }
    if let Some(other) = other {
        let name = &row.change.target.name;
        let what = format!("`{token}` on `{name}` while `{other}` is in flight");
        return Err(StoreError::Conflict { what });
    }
    Ok(())
}

/// Progress: only an observed end leaves what was sent; going back would send it as if for the first
/// time.
pub(super) fn may_go_on(row: &Journalled, old: Option<&Journalled>) -> Result<(), StoreError> {
    let token = &row.change.token;
    let old = old.ok_or_else(|| missing(token))?;
    if row.phase == Phase::Intent && old.phase != Phase::Intent {
        let what = format!("to take `{token}` for unsent, which was sent");
        return Err(StoreError::Conflict { what });
    }
    Ok(())
}

/// No such effect is in flight.
pub(super) fn missing(token: &Token) -> StoreError {
    StoreError::Missing { what: format!("intent `{token}`") }
}

/// An effect has one artifact for all of its life.
pub(super) fn two_artifacts(token: &Token) -> StoreError {
    StoreError::Conflict { what: format!("`{token}` with two artifacts") }
}

/// The row was found under another token than its own.
pub(super) fn found(row: Journalled, token: &str) -> Result<Journalled, StoreError> {
    if row.change.token.as_str() == token { Ok(row) } else { Err(damaged("journal", token)) }
}

/// What is in flight for a request goes on under its new identity.
pub(super) fn renamed(mut row: Journalled, to: &RequestId) -> Journalled {
    row.change.target.key.request = to.clone();
    if let Some(ticket) = &mut row.ticket {
        ticket.target.key.request = to.clone();
    }
    if let Outcome::Applied(applied) = &mut row.outcome {
        applied.record.id = to.clone();
    }
    row
}

/// A record that is to move over another.
pub(super) fn taken(from: &RequestId, to: &RequestId) -> StoreError {
    StoreError::Conflict { what: format!("to move `{from}` over `{to}`, which has a record") }
}

/// What is written of a source when `record` is: a tip that a person accepted meanwhile stays.
pub(super) fn source(old: Option<SourceRecord>, mut record: SourceRecord) -> SourceRecord {
    if let Some(old) = old
        && record.accepted.is_none()
        && old.location == record.location
        && let Some(tip) = old.accepted
        && !overtaken(&record, &tip)
    {
        record.accepted = Some(tip);
    }
    record
}

/// Whether an accepted tip has done its work. A pass that began before the person accepted it
/// writes a record that knows nothing of it, and must not undo it.
fn overtaken(record: &SourceRecord, accepted: &Revision) -> bool {
    if record.commit.as_ref() == Some(accepted) {
        return true;
    }
    match &record.problem {
        None => true,
        Some(SourceProblem::HistoryRewritten { tip, .. }) => tip != accepted,
        Some(_) => false,
    }
}

/// What stays of the failed tries of a request that is to be tried now: it is due, and what a try
/// left is still to be cleared away.
pub(super) fn due_now(tries: Vec<(TargetKey, Retry)>) -> Vec<(TargetKey, Retry)> {
    let left = tries.into_iter().filter(|(_, retry)| retry.left.is_some());
    left.map(|(key, retry)| (key, Retry { until: Timestamp::UNIX_EPOCH, ..retry })).collect()
}

/// The line of history of a person's word about a rollout.
pub(super) fn asked(word: &RolloutWord) -> Event {
    let RolloutWord { version, resume, by, at } = word;
    let verb = if *resume { "go on" } else { "stop" };
    Event {
        at: *at,
        request: None,
        kind: "RolloutAsked".to_owned(),
        message: format!("{by} asked the rollout of `{version}` to {verb}"),
        data: serde_json::json!({"version": version.to_string(), "resume": resume, "by": by}),
    }
}
