//! Doing what the plan says, and nothing else.
//!
//! # Flow
//! Intents of a batch are made durable in one transaction; the provider is asked; what it answered
//! is made durable in one more. A batch never spans two lanes (accounts, repositories), and lanes
//! run at the same time.
//!
//! # Guarantees
//! - No mutating call before its intent is on disk.
//! - A row leaves the journal only when its end was seen: a lost answer stays `Unknown` and is
//!   asked again under the same token.
//! - When told to stop, no new batch begins; what is under way is left to its tickets.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;

use super::ledger::{self, End};
use super::{Notice, PassError, Watch};
use crate::error::chain;
use crate::model::{
    Change, Event, Happening, Journalled, Phase, Progress, Record, RequestId, Retry, TargetKey,
    Ticket, Token,
};
use crate::provider::{Provider, ProviderError, Providers};
use crate::store::{Lease, Store, Write};

/// What executing needs.
pub struct Executor<'a> {
    /// Where intents and ends are made durable.
    pub store: &'a dyn Store,
    /// The right to write there.
    pub lease: &'a Lease,
    /// Who is asked.
    pub providers: &'a Providers,
    /// Set when no new batch may begin.
    pub stop: &'a AtomicBool,
    /// Told what happens.
    pub watch: &'a dyn Watch,
    /// Effects under way at once in one lane.
    pub per_lane: usize,
    /// Effects under way at once in all.
    pub total: usize,
}

/// What came of a set of effects.
#[derive(Default)]
pub struct Done {
    /// Records as they are now; `None`: nothing of it is left.
    pub records: BTreeMap<RequestId, Option<Record>>,
    /// Rows still under way.
    pub under_way: Vec<Journalled>,
    /// Targets whose rows have ended, with what went wrong if something did.
    pub ended: Vec<(Journalled, Option<String>)>,
    /// New tries, or none any more.
    pub retries: BTreeMap<TargetKey, Option<Retry>>,
    /// Commits made in the store.
    pub commits: u64,
}

/// One batch on its way: rows with their provider and lane.
struct Batch {
    provider: Arc<dyn Provider>,
    rows: Vec<Journalled>,
}

enum Answer {
    Ended(End, Vec<Happening>),
    Running(Ticket, Vec<Happening>),
    Unknown(String),
    /// Nothing happened, and the target is not what was planned for.
    Stale(String),
    /// Nothing happened; later.
    Later(String, Option<std::time::Duration>),
}

impl Answer {
    /// What was sent once may have happened whatever is answered now: "cannot be reached" and "not
    /// allowed" end nothing.
    fn of_a_resumed(self) -> Self {
        match self {
            Self::Later(error, _) | Self::Ended(End::Failed { error, refused: true }, _) => {
                Self::Unknown(error)
            }
            sure @ (Self::Ended(..) | Self::Running(..) | Self::Unknown(_) | Self::Stale(_)) => {
                sure
            }
        }
    }
}

impl Executor<'_> {
    /// Begins `rows`, which are new: journals their intents first.
    pub async fn begin(
        &self,
        rows: Vec<Journalled>,
        in_flight: &BTreeMap<String, usize>,
        records: &HashMap<RequestId, Record>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Done, PassError> {
        let mut done = Done::default();
        let mut lanes = self.lanes(rows);
        let mut in_flight = in_flight.clone();
        while !lanes.is_empty() && !self.stop.load(Ordering::Relaxed) {
            let mut asked = tokio::task::JoinSet::new();
            let mut room = self.total.saturating_sub(in_flight.values().sum());
            for (lane, (provider, queue)) in &mut lanes {
                let used = in_flight.get(lane).copied().unwrap_or_default();
                let free = self.per_lane.saturating_sub(used).min(room).min(provider.batch());
                let rows: Vec<_> = queue.drain(..free.min(queue.len())).collect();
                room -= rows.len();
                if !rows.is_empty() {
                    self.intend(&rows, &mut done).await?;
                    asked.spawn(ask(lane.clone(), Batch { provider: provider.clone(), rows }));
                }
            }
            if asked.is_empty() {
                break;
            }
            while let Some(answered) = asked.join_next().await {
                let (lane, answers) = answered.map_err(PassError::task)?;
                let before = done.under_way.len();
                self.settle(answers, records, retries, now(), &mut done).await?;
                *in_flight.entry(lane).or_default() += done.under_way.len() - before;
            }
            lanes.retain(|_, (_, queue)| !queue.is_empty());
        }
        Ok(done)
    }

    /// Asks about `rows`, which are in the journal already: those with a ticket are polled, the
    /// others are sent again under the same token.
    pub async fn resume(
        &self,
        rows: Vec<Journalled>,
        records: &HashMap<RequestId, Record>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Done, PassError> {
        let mut done = Done::default();
        let (tickets, again): (Vec<_>, Vec<_>) =
            rows.into_iter().partition(|r| r.phase == Phase::Sent && r.ticket.is_some());
        let mut asked = tokio::task::JoinSet::new();
        for row in tickets {
            if let Some(provider) = self.providers.get(&row.change.target.provider).cloned() {
                asked.spawn(poll(provider, row));
            }
        }
        for (lane, (provider, mut queue)) in self.lanes(again) {
            while !queue.is_empty() {
                let size = provider.batch().clamp(1, queue.len());
                let rows = queue.drain(..size).collect();
                asked.spawn(ask(lane.clone(), Batch { provider: provider.clone(), rows }));
            }
        }
        while let Some(answered) = asked.join_next().await {
            let (_, answers) = answered.map_err(PassError::task)?;
            let answers =
                answers.into_iter().map(|(row, answer)| (row, answer.of_a_resumed())).collect();
            self.settle(answers, records, retries, now(), &mut done).await?;
        }
        Ok(done)
    }

    fn lanes(
        &self,
        rows: Vec<Journalled>,
    ) -> BTreeMap<String, (Arc<dyn Provider>, Vec<Journalled>)> {
        let mut lanes: BTreeMap<String, (Arc<dyn Provider>, Vec<Journalled>)> = BTreeMap::new();
        for row in rows {
            if let Some(provider) = self.providers.get(&row.change.target.provider) {
                let lane = format!("{} {}", provider.kind(), provider.lane(&row.change.target));
                lanes.entry(lane).or_insert_with(|| (provider.clone(), Vec::new())).1.push(row);
            }
        }
        lanes
    }

    async fn intend(&self, rows: &[Journalled], done: &mut Done) -> Result<(), PassError> {
        let writes = rows.iter().map(|row| Write::Intent(Box::new(row.clone()))).collect();
        self.store.commit(self.lease, writes).await?;
        done.commits += 1;
        for row in rows {
            let Change { target, action, .. } = &row.change;
            tracing::info!(target = %target.name, request = %target.key.request, ?action, token = %row.change.token, "intent");
            self.watch.notice(&Notice::Began { key: &target.key, action: *action });
        }
        Ok(())
    }

    /// Makes the answers durable: all of a batch in one transaction.
    async fn settle(
        &self,
        answers: Vec<(Journalled, Answer)>,
        records: &HashMap<RequestId, Record>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<(), PassError> {
        let mut writes = Vec::with_capacity(answers.len() * 3);
        let mut touched: BTreeMap<RequestId, Option<Record>> = BTreeMap::new();
        for (row, answer) in answers {
            let id = row.change.target.key.request.clone();
            let record = touched
                .remove(&id)
                .or_else(|| done.records.get(&id).cloned())
                .unwrap_or_else(|| records.get(&id).cloned());
            let record = self.settle_one(row, answer, record, retries, now, &mut writes, done);
            if let Some(record) = record {
                touched.insert(id, record);
            }
        }
        for (id, record) in touched {
            writes.push(match &record {
                Some(record) => Write::Record(Box::new(record.clone())),
                None => Write::DropRecord(id.clone()),
            });
            done.records.insert(id, record);
        }
        self.store.commit(self.lease, writes).await?;
        done.commits += 1;
        Ok(())
    }

    /// The record if it is another one now: `Some(None)` when it is gone.
    #[allow(clippy::too_many_arguments)]
    fn settle_one(
        &self,
        row: Journalled,
        answer: Answer,
        record: Option<Record>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: Timestamp,
        writes: &mut Vec<Write>,
        done: &mut Done,
    ) -> Option<Option<Record>> {
        let key = row.change.target.key.clone();
        let known = done.records.contains_key(&key.request);
        let unchanged = |record: Option<Record>| known.then_some(record);
        match answer {
            Answer::Ended(End::Done { outputs, state }, events) => {
                self.tell(&row, &events, writes);
                let record = ledger::apply(record, &row, outputs, state, now);
                writes.push(Write::End { token: row.change.token.clone() });
                writes.push(Write::Retry { key: key.clone(), retry: None });
                writes.push(Write::Event(event(
                    &row,
                    ledger::event_kind(row.change.action),
                    None,
                    now,
                )));
                self.watch.notice(&Notice::Ended {
                    key: &key,
                    action: row.change.action,
                    error: None,
                });
                done.retries.insert(key, None);
                done.ended.push((row, None));
                Some(record)
            }
            Answer::Ended(End::Failed { error, refused }, events) => {
                self.tell(&row, &events, writes);
                self.fail(row, error, refused, None, retries, now, writes, done);
                unchanged(record)
            }
            Answer::Stale(error) => {
                // Nothing happened, and looking again is what helps: no waiting.
                writes.push(Write::End { token: row.change.token.clone() });
                done.ended.push((row, Some(error)));
                unchanged(record)
            }
            Answer::Later(error, after) => {
                self.fail(row, error, false, after, retries, now, writes, done);
                unchanged(record)
            }
            Answer::Running(ticket, events) => {
                self.tell(&row, &events, writes);
                let next = Some(now + POLL);
                let row = Journalled {
                    phase: Phase::Sent,
                    ticket: Some(ticket),
                    next,
                    error: None,
                    ..row
                };
                writes.push(Write::Progress(Box::new(row.clone())));
                done.under_way.push(row);
                unchanged(record)
            }
            Answer::Unknown(error) => {
                let tries = retries.get(&key).map_or(1, |r| r.attempts + 1);
                let wait =
                    crate::plan::backoff(tries, ledger::jitter(row.change.token.as_str()), false);
                tracing::warn!(target = %row.change.target.name, error, "outcome unknown");
                let row = Journalled {
                    phase: Phase::Unknown,
                    next: Some(now + wait),
                    error: Some(error),
                    ..row
                };
                writes.push(Write::Progress(Box::new(row.clone())));
                done.under_way.push(row);
                unchanged(record)
            }
        }
    }

    #[allow(clippy::too_many_arguments)]
    fn fail(
        &self,
        row: Journalled,
        error: String,
        refused: bool,
        after: Option<std::time::Duration>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: Timestamp,
        writes: &mut Vec<Write>,
        done: &mut Done,
    ) {
        let key = row.change.target.key.clone();
        let mut retry = ledger::retry(&row, retries.get(&key), error.clone(), refused, now);
        if let Some(after) = after.and_then(|a| jiff::SignedDuration::try_from(a).ok()) {
            retry.until = retry.until.max(now + after);
        }
        writes.push(Write::End { token: row.change.token.clone() });
        writes.push(Write::Retry { key: key.clone(), retry: Some(retry.clone()) });
        writes.push(Write::Event(event(
            &row,
            if refused { "Refused" } else { "Failed" },
            Some(&error),
            now,
        )));
        tracing::warn!(target = %row.change.target.name, request = %key.request, error, refused, "failed");
        self.watch.notice(&Notice::Ended {
            key: &key,
            action: row.change.action,
            error: Some(&error),
        });
        done.retries.insert(key, Some(retry));
        done.ended.push((row, Some(error)));
    }

    fn tell(&self, row: &Journalled, events: &[Happening], writes: &mut Vec<Write>) {
        for happening in events {
            let Happening { at, what, state, message } = happening;
            let text = message
                .as_ref()
                .map_or_else(|| format!("{what}: {state}"), |m| format!("{what}: {state}: {m}"));
            writes.push(Write::Event(Event {
                at: *at,
                request: Some(row.change.target.key.request.clone()),
                kind: "Progress".into(),
                message: text,
                data: serde_json::Value::Null,
            }));
        }
    }
}

/// How long until a running change is asked about again.
const POLL: jiff::SignedDuration = jiff::SignedDuration::from_secs(5);

fn event(row: &Journalled, kind: &str, error: Option<&str>, now: Timestamp) -> Event {
    let target = &row.change.target;
    let name = &target.name;
    let message = match error {
        Some(error) => format!("{} `{name}`: {error}", target.key.component),
        None => format!("{} `{name}`", target.key.component),
    };
    Event {
        at: now,
        request: Some(target.key.request.clone()),
        kind: kind.to_owned(),
        message,
        data: serde_json::json!({"token": row.change.token, "plan": row.plan, "component": target.key.component}),
    }
}

async fn ask(lane: String, batch: Batch) -> (String, Vec<(Journalled, Answer)>) {
    let Batch { provider, rows } = batch;
    let changes: Vec<Change> = rows.iter().map(|r| r.change.clone()).collect();
    let mut answers: HashMap<Token, _> = provider.submit(&changes).await.into_iter().collect();
    let answered = rows.into_iter().map(|row| {
        let answer = match answers.remove(&row.change.token) {
            Some(answer) => answer_of(answer),
            // A provider that forgets to answer has not said that nothing happened.
            None => Answer::Unknown("the provider gave no answer for this change".into()),
        };
        (row, answer)
    });
    (lane, answered.collect())
}

async fn poll(provider: Arc<dyn Provider>, row: Journalled) -> (String, Vec<(Journalled, Answer)>) {
    let Some(ticket) = row.ticket.clone() else { return (String::new(), Vec::new()) };
    let answer = match provider.poll(&ticket).await {
        // Failing to ask is not an end: the change goes on at the provider.
        Err(ProviderError::Unavailable { .. }) => Answer::Running(ticket, Vec::new()),
        answer => answer_of(answer),
    };
    (String::new(), vec![(row, answer)])
}

fn answer_of(answer: Result<Progress, ProviderError>) -> Answer {
    match answer {
        Ok(Progress::Running { ticket, events }) => Answer::Running(ticket, events),
        Ok(Progress::Succeeded { outputs, state, events }) => {
            Answer::Ended(End::Done { outputs, state }, events)
        }
        Ok(Progress::Failed { error, state: _, events }) => {
            Answer::Ended(End::Failed { error, refused: false }, events)
        }
        Err(ProviderError::Unavailable { retry_after, error }) => {
            Answer::Later(chain(&*error), retry_after)
        }
        Err(ProviderError::Stale(why)) => Answer::Stale(why),
        Err(ProviderError::Refused(error)) => {
            Answer::Ended(End::Failed { error, refused: true }, Vec::new())
        }
        Err(ProviderError::Unknown { error }) => Answer::Unknown(chain(&*error)),
    }
}
