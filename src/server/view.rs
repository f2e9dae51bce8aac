//! Answers about requests, from the store alone.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::{
    Approval, Counts, Desired, Event, Hold, RequestId, Retry, SourceName, SourceProblem, Status,
    TargetKey,
};
use crate::store::{Store, StoreError};

/// Statuses read at once.
const PAGE: usize = 1_000;

/// Lines of history that an explanation shows.
const EVENTS: usize = 20;

/// Where everything stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Overview {
    /// Requests, by identity.
    pub requests: Vec<Status>,
    /// All requests by team, environment and phase.
    pub counts: Counts,
    /// Sources that cannot be believed now.
    pub problems: Vec<(SourceName, SourceProblem)>,
}

/// Why one request is where it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
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

/// Statuses of requests whose identity starts with `prefix`, at a `/`.
pub async fn overview(
    store: &dyn Store,
    prefix: Option<&str>,
    not_ready: bool,
) -> Result<Overview, StoreError> {
    let is_meant = |id: &RequestId| id.is_below(prefix.unwrap_or_default());
    let mut requests = Vec::new();
    let mut after: Option<RequestId> = None;
    loop {
        let page = store.statuses_after(after.as_ref(), PAGE).await?;
        let Some(last) = page.last() else { break };
        after = Some(last.request.clone());
        for row in page.into_iter().filter(|r| is_meant(&r.request)) {
            let Ok(status) = serde_json::from_value::<Status>(row.document) else { continue };
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
    let problems = store
        .index()
        .await?
        .sources
        .into_iter()
        .filter_map(|(name, s)| Some((name, s.problem?)))
        .collect();
    Ok(Overview { requests, counts, problems })
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
