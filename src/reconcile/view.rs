//! Answers about requests, from the store alone.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::model::{
    Applying, Approval, Attention, Change, Counts, Desired, Event, Hold, HoldReason, One, Pulse,
    RequestId, RequestPhase, Retry, Several, SourceName, SourceProblem, Status, TargetKey, Token,
    Unattended,
};
use crate::report;
use crate::report::explain::Facts;
use crate::store::{HeldRow, Line, Store, StoreError, unattended_key};

/// Statuses read at once.
const PAGE: usize = 1_000;

/// Lines of history in one answer: as many as are kept of what happened to parts, and then some.
const LINES: usize = 2_000;

/// Requests under way whose resources are looked up: more than anybody watches at once.
const DETAILED: usize = 50;

/// Lines of history that an explanation shows.
const EVENTS: usize = 20;

/// Where everything stands.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    /// Requests, by identity.
    pub requests: Vec<Status>,
    /// All requests by team, environment and phase.
    pub counts: Counts,
    /// Sources that cannot be believed now.
    pub problems: Vec<(SourceName, SourceProblem)>,
    /// Branches whose pull requests nobody looks after now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unattended: Vec<Unattended>,
    /// What is under way, with its resources.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub applying: Vec<Applying>,
    /// What needs somebody.
    #[serde(default)]
    pub attention: Attention,
    /// How the daemon fares that answers; `None`: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daemon: Option<Pulse>,
    /// [`Store::stamp`] of the answer; 0 where there is no store.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub stamp: u64,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde has it
fn is_zero(n: &u64) -> bool {
    *n == 0
}

/// The requests that are held until somebody approves this.
///
/// # Errors
/// When the store cannot be read.
pub async fn asking(store: &dyn Store, digest: &Digest) -> Result<Vec<RequestId>, StoreError> {
    let standing = store.standing().await?;
    let asks = |hold: &Hold| match &hold.reason {
        HoldReason::LooksLikeAMove { digest: Some(one), .. } if one == digest => true,
        reason => report::hold::digest(reason) == Some(*digest),
    };
    let asking: BTreeSet<RequestId> = standing
        .holds
        .into_iter()
        .filter(|row| asks(&row.hold))
        .map(|row| row.hold.request)
        .collect();
    Ok(asking.into_iter().collect())
}

/// Which lines of a request's history are asked for.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct LogQuery {
    /// Those after this number; else the newest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<u64>,
    /// At most so many.
    pub limit: usize,
    /// [`Log::stamp`] of the last answer: nothing is answered while it is the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stamp: Option<u64>,
}

/// Lines of a request's history.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Log {
    /// [`Store::stamp`], read before the rest.
    pub stamp: u64,
    /// The newest last.
    pub lines: Vec<Line>,
    /// Where it stands; `None`: nobody has heard of it, or it is gone.
    pub phase: Option<RequestPhase>,
    /// Effects in flight.
    pub under_way: usize,
}

/// Why one request is where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its status; `None` before the first pass that saw it.
    pub status: Option<Status>,
    /// What its file comes to.
    pub desired: Option<Desired>,
    /// What is held, and since when.
    pub holds: Vec<(Hold, Timestamp)>,
    /// Failed targets and when they are tried again.
    pub retries: Vec<(TargetKey, Retry)>,
    /// What is under way: target, action, since when.
    pub under_way: Vec<(TargetKey, String, Timestamp)>,
    /// Approvals in force.
    pub approvals: Vec<Approval>,
    /// The last lines of its history.
    pub events: Vec<Event>,
}

impl Explanation {
    /// For wording.
    pub fn facts<'a>(&'a self, id: &'a RequestId) -> Facts<'a> {
        let Self { status, desired, holds, retries, under_way, approvals: _, events } = self;
        let (status, desired) = (status.as_ref(), desired.as_ref());
        Facts { id, status, desired, holds, retries, under_way, events }
    }
}

/// Lines of a request's history; `None` when nothing was written since the last answer.
pub async fn log(
    store: &dyn Store,
    id: &RequestId,
    query: LogQuery,
) -> Result<Option<Log>, StoreError> {
    let stamp = store.stamp().await?;
    if query.stamp == Some(stamp) {
        return Ok(None);
    }
    // Before the lines: what ends in between has left its line.
    let under_way = store.under_way(Some(id)).await?.len();
    let status = store.statuses(std::slice::from_ref(id)).await?.pop();
    let phase = status.and_then(|row| RequestPhase::deserialize(row.document.get("phase")?).ok());
    let lines = store.history(id, query.after, query.limit.min(LINES)).await?;
    Ok(Some(Log { stamp, lines, phase, under_way }))
}

/// What is under way for the requests that are meant, by target.
pub async fn applying(
    store: &dyn Store,
    is_meant: &(dyn Fn(&RequestId) -> bool + Sync),
) -> Result<Vec<Applying>, StoreError> {
    let rows = store.under_way(None).await?;
    let mut list: Vec<(Token, Applying)> = rows
        .into_iter()
        .filter(|row| is_meant(&row.change.target.key.request))
        .map(|row| {
            let Change { target, action, token, .. } = row.change;
            let error = row.error;
            (token, Applying { error, ..Applying::new(target.key, action, row.since) })
        })
        .collect();
    list.sort_by(|(_, a), (_, b)| (a.since, &a.key).cmp(&(b.since, &b.key)));
    let mut requests: Vec<RequestId> = list.iter().map(|(_, a)| a.key.request.clone()).collect();
    requests.sort_unstable();
    requests.dedup();
    for request in requests.iter().take(DETAILED) {
        for line in store.history(request, None, LINES).await? {
            let Some(happened) = line.event.happened() else { continue };
            let of = list.iter_mut().find(|(token, _)| *token == happened.token);
            if let Some((_, applying)) = of {
                applying.hear(&happened.happening);
            }
        }
    }
    Ok(list.into_iter().map(|(_, applying)| applying).collect())
}

/// As [`overview`]; `None` when nothing was written since the answer with this stamp.
pub async fn overview_since(
    store: &dyn Store,
    prefix: Option<&str>,
    not_ready: bool,
    stamp: Option<u64>,
) -> Result<Option<Overview>, StoreError> {
    if stamp.is_some() && stamp == Some(store.stamp().await?) {
        return Ok(None);
    }
    overview(store, prefix, not_ready).await.map(Some)
}

/// Statuses of requests whose identity starts with `prefix`, at a `/`.
pub async fn overview(
    store: &dyn Store,
    prefix: Option<&str>,
    not_ready: bool,
) -> Result<Overview, StoreError> {
    let is_meant = |id: &RequestId| id.is_below(prefix.unwrap_or_default());
    let stamp = store.stamp().await?;
    // Before the statuses: what ends in between is seen there.
    let applying = applying(store, &is_meant).await?;
    let index = store.standing().await?;
    let mut attention = held(&index.holds, &is_meant);
    let mut requests = Vec::new();
    let mut after: Option<RequestId> = None;
    loop {
        let page = store.statuses_after(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.request.clone());
        for row in page.into_iter().filter(|r| is_meant(&r.request)) {
            let Ok(status) = serde_json::from_value::<Status>(row.document) else { continue };
            note(&mut attention, &status);
            if !(not_ready && status.phase == crate::model::RequestPhase::Ready) {
                requests.push(status);
            }
        }
    }
    let counts = store
        .value("counts")
        .await?
        .and_then(|v| serde_json::from_value(v).ok())
        .unwrap_or_default();
    let problems =
        index.sources.into_iter().filter_map(|(name, s)| Some((name, s.problem?))).collect();
    let unattended = store.value(&unattended_key()).await?;
    let unattended = unattended.and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default();
    Ok(Overview {
        requests,
        counts,
        problems,
        unattended,
        applying,
        attention,
        daemon: None,
        stamp,
    })
}

/// What is held until a person does something, and what could not be looked at, the oldest first.
fn held(rows: &[HeldRow], is_meant: &dyn Fn(&RequestId) -> bool) -> Attention {
    let mut rows: Vec<&HeldRow> = rows.iter().filter(|row| is_meant(&row.hold.request)).collect();
    rows.sort_by_key(|row| (row.since, row.hold.request.clone()));
    let mut attention = Attention::default();
    for HeldRow { hold, since } in rows {
        let (of, why) = match &hold.reason {
            HoldReason::NotObserved { error } => (&mut attention.unseen, error.clone()),
            // Those are said with what failed.
            HoldReason::Refused { .. } => continue,
            reason if reason.wants_a_person() => (&mut attention.held, reason.name().to_owned()),
            _ => continue,
        };
        add(of, One { request: hold.request.clone(), why, since: Some(*since) });
    }
    attention
}

/// What a status says that needs somebody.
fn note(attention: &mut Attention, status: &Status) {
    let request = || status.metadata.id.clone();
    if status.phase == RequestPhase::Failed {
        let why = status.waiting_for.clone().unwrap_or_else(|| "Failed".into());
        add(&mut attention.failed, One { request: request(), why, since: None });
    }
    if let Some(drift) = &status.drift
        && let Some(why) = report::drift::summary(&drift.items)
    {
        add(&mut attention.drifted, One { request: request(), why, since: drift.since });
    }
}

/// Of each kind, so many are named.
const NAMED: usize = 3;

fn add(of: &mut Several, one: One) {
    // Several components of one request are one thing that needs somebody.
    if of.first.iter().any(|known| known.request == one.request) {
        return;
    }
    of.count += 1;
    if of.first.len() < NAMED {
        of.first.push(one);
    }
}

/// Everything about one request; `None` when nobody has heard of it.
pub async fn explain(store: &dyn Store, id: &RequestId) -> Result<Option<Explanation>, StoreError> {
    let ids = std::slice::from_ref(id);
    let status =
        store.statuses(ids).await?.pop().and_then(|row| serde_json::from_value(row.document).ok());
    let desired = store.desired(ids).await?.pop();
    let events = store.events(Some(id), EVENTS).await?;
    if status.is_none() && desired.is_none() && events.is_empty() {
        return Ok(None);
    }
    let index = store.index().await?;
    let holds =
        index.holds.into_iter().filter(|h| h.hold.request == *id).map(|h| (h.hold, h.since));
    let retries = index.retries.into_iter().filter(|(key, _)| key.request == *id);
    let under_way =
        index.journal.into_iter().filter(|row| row.change.target.key.request == *id).map(|row| {
            let action = serde_json::to_value(row.change.action)
                .ok()
                .and_then(|v| v.as_str().map(str::to_owned));
            (row.change.target.key.clone(), action.unwrap_or_default(), row.since)
        });
    Ok(Some(Explanation {
        status,
        desired,
        holds: holds.collect(),
        retries: retries.collect(),
        under_way: under_way.collect(),
        approvals: index.approvals,
        events,
    }))
}
