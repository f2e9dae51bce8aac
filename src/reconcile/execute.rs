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
//! - Where a provider said of a whole account that it takes nothing now, nothing further is begun: what has
//!   not begun there is put off, and others go on.
//! - What was begun by an earlier pass is waited for as long as a pass has patience, and is not asked
//!   about a second time while it is asked about.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use super::call::{self, Answer, Answers};
use super::ledger::{self, End};
use super::shut::Shut;
use super::slow::{PATIENCE, Questions};
use super::turn::{Room, Turns};
use super::{Notice, PassError, Watch};
use crate::digest;
use crate::fault::{planted, point};
use crate::model::{
    Change, Event, Happened, Happening, Journalled, Phase, Record, RequestId, Retry, TargetKey,
    Ticket, Token, TraceParent,
};
use crate::plan;
use crate::provider::{Providers, Scope};
use crate::store::{Lease, Store, Write};
use crate::{report, trace};

/// Calls of one lane at once, for providers that take changes one by one.
const CALLS: usize = 16;

/// Tickets asked about at once.
const POLLS: usize = 64;

/// How often those are asked about that are under way while others wait for their turn to begin:
/// asked together, many cost a provider little more than one.
const ASK: SignedDuration = SignedDuration::from_secs(1);

/// Characters of a provider's names for things that are kept.
const NAME_MAX: usize = 300;

/// Characters of what a provider says about a resource that are kept.
const MESSAGE_MAX: usize = 4_000;

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

/// Rows of earlier passes that are asked about, by their tokens.
pub(super) type Resumed = Questions<Vec<Token>, Answers>;

fn tokens(rows: &[Journalled]) -> Vec<Token> {
    rows.iter().map(|row| row.change.token.clone()).collect()
}

/// What a provider said of rows; of a lane, where they took its room for calls.
type Asked = (Option<String>, Answers);

/// What came of a set of effects.
#[derive(Default)]
pub struct Done {
    /// Records as they are now; `None`: nothing of it is left.
    pub records: BTreeMap<RequestId, Option<Record>>,
    /// Rows still under way.
    pub under_way: Vec<Journalled>,
    /// Targets whose rows have ended, with what went wrong if something did.
    pub ended: Vec<(Journalled, Option<String>)>,
    /// Rows that were stopped for something newer, and have ended.
    pub superseded: Vec<Journalled>,
    /// New tries, or none any more.
    pub retries: BTreeMap<TargetKey, Option<Retry>>,
    /// Commits in the store of what passes go by.
    pub commits: u64,
    /// Targets that were not as planned for: another round looks at them at once, and says whether
    /// that is a failure.
    pub again: BTreeSet<TargetKey>,
    /// Told to stop with rows left that had not begun.
    pub stopped: bool,
}

impl Executor<'_> {
    /// Begins `rows`, which are new, in their order: journals their intents first. `under_way` has
    /// its room already. Where beginning takes long, since a provider allows no more, those that have
    /// begun are asked about meanwhile. Nothing is begun where `shut` says so, and where it comes to say so.
    pub async fn begin(
        &self,
        rows: Vec<Journalled>,
        under_way: &BTreeMap<TargetKey, Journalled>,
        shut: &mut Shut,
        records: &HashMap<RequestId, Option<Record>>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Done, PassError> {
        let mut done = Done::default();
        let mut room = Room::new(self.per_lane, self.total);
        under_way.values().for_each(|row| room.take(self.queue(row)));
        let mut turns = Turns::default();
        rows.into_iter().for_each(|row| turns.put(self.lane(&row), row));
        shut.reopen(now());
        let barred = self.put_off(&mut turns, shut);
        self.settle(barred, records, retries, now(), &mut done).await?;
        let mut calls: BTreeMap<String, usize> = BTreeMap::new();
        let mut asked = JoinSet::new();
        let mut next_poll = now() + ASK;
        loop {
            if !self.stop.load(Ordering::Relaxed) {
                let next = turns.next(&mut room, |lane| self.most(lane, &calls));
                self.send(next, &mut calls, &mut asked, &mut done).await?;
                let at = now();
                if !turns.is_empty() && at >= next_poll {
                    next_poll = at + ASK;
                    self.ask(&mut done.under_way, at, &mut asked);
                }
            }
            let Some(answered) = asked.join_next().await else {
                done.stopped = self.stop.load(Ordering::Relaxed) && !turns.is_empty();
                return Ok(done);
            };
            let mut answers = Vec::new();
            let mut ended = Some(answered);
            while let Some(answered) = ended {
                let (lane, more): Asked = answered.map_err(PassError::task)?;
                if let Some(lane) = lane {
                    calls.entry(lane).and_modify(|n| *n -= 1);
                }
                answers.extend(more);
                ended = asked.try_join_next();
            }
            if self.close(&answers, shut, now()) {
                answers.extend(self.put_off(&mut turns, shut));
            }
            let before = done.ended.len();
            self.settle(answers, records, retries, now(), &mut done).await?;
            done.ended[before..].iter().for_each(|(row, _)| room.give_back(&self.queue(row)));
        }
    }

    /// Notes where nothing more is to begin by what was answered; whether that is somewhere.
    fn close(&self, answers: &[(Journalled, Answer)], shut: &mut Shut, now: Timestamp) -> bool {
        let mut is_some = false;
        for (row, answer) in answers {
            let Answer::Later(error, after, scope) = answer else { continue };
            let place = match scope {
                Scope::Target => continue,
                Scope::View => self.view(row),
                Scope::Lane => self.lane(row),
            };
            let wait = after.and_then(|a| SignedDuration::try_from(a).ok());
            let wait = wait.unwrap_or_else(|| plan::backoff(1, 0.0, false));
            shut.close(place, now + wait, error);
            is_some = true;
        }
        is_some
    }

    /// Takes out of their turn those that are where nothing is begun.
    fn put_off(&self, turns: &mut Turns, shut: &Shut) -> Answers {
        if shut.is_empty() {
            return Answers::new();
        }
        turns.withdraw(|row| {
            let (until, error) = shut.until(&[self.lane(row), self.view(row)])?;
            Some(Answer::NotBegun(error.to_owned(), until))
        })
    }

    /// Makes the intents durable, all in one transaction, and hands the rows to their providers.
    async fn send(
        &self,
        next: BTreeMap<String, Vec<Journalled>>,
        calls: &mut BTreeMap<String, usize>,
        asked: &mut JoinSet<Asked>,
        done: &mut Done,
    ) -> Result<(), PassError> {
        if next.is_empty() {
            return Ok(());
        }
        self.intend(next.values().flatten(), done).await?;
        for (lane, mut rows) in next {
            let Some(provider) = self.providers.get(kind_of(&lane)).cloned() else { continue };
            let size = provider.batch().max(1);
            while !rows.is_empty() {
                let rest = rows.split_off(size.min(rows.len()));
                let batch = std::mem::replace(&mut rows, rest);
                let (lane, provider) = (lane.clone(), provider.clone());
                *calls.entry(lane.clone()).or_default() += 1;
                let sent = async move { (Some(lane), call::submit(provider, batch).await) };
                asked.spawn(sent.in_current_span());
            }
        }
        Ok(())
    }

    /// Asks about those of `under_way` that are due, as far as there is room for that.
    fn ask(&self, under_way: &mut Vec<Journalled>, now: Timestamp, asked: &mut JoinSet<Asked>) {
        let is_due =
            |row: &Journalled| row.phase == Phase::Sent && row.next.is_some_and(|next| next <= now);
        for row in std::mem::take(under_way) {
            let provider = self.providers.get(&row.change.target.provider).cloned();
            match (provider, row.ticket.clone()) {
                (Some(provider), Some(ticket)) if is_due(&row) && asked.len() < POLLS => {
                    let span = poll_span(&row);
                    let polled = async move {
                        let (row, answer) = call::poll(provider, row, ticket).await;
                        (None, vec![(row, answer.of_a_resumed())])
                    };
                    asked.spawn(polled.instrument(span));
                }
                (_, _) => under_way.push(row),
            }
        }
    }

    /// How many rows of a lane may be sent now: one batch at a time, or several small ones.
    fn most(&self, lane: &str, calls: &BTreeMap<String, usize>) -> usize {
        let Some(provider) = self.providers.get(kind_of(lane)) else { return 0 };
        let size = provider.batch().max(1);
        let calls = calls.get(lane).copied().unwrap_or_default();
        (CALLS / size).max(1).saturating_sub(calls).saturating_mul(size)
    }

    /// Asks about `rows`, which are in the journal already: those with a ticket are polled, the
    /// others are sent again under the same token. Those in `stops` are asked to stop. What has no answer
    /// as long as a pass waits stays `open`, and a later pass takes it.
    pub(super) async fn resume(
        &self,
        rows: Vec<Journalled>,
        stops: &BTreeSet<Token>,
        (open, journal): (&mut Resumed, &BTreeMap<TargetKey, Journalled>),
        records: &HashMap<RequestId, Option<Record>>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Done, PassError> {
        let mut done = Done::default();
        let mut asked = BTreeSet::new();
        let polls = Arc::new(Semaphore::new(POLLS));
        let mut lanes: BTreeMap<String, Vec<Journalled>> = BTreeMap::new();
        let mut strangers: Answers = Vec::new();
        for row in rows {
            let kind = &row.change.target.provider;
            match (self.providers.get(kind), &row.ticket) {
                (None, _) => {
                    let error = format!("this vend has no provider `{kind}` to ask");
                    strangers.push((row, Answer::Unknown(error)));
                }
                (Some(provider), Some(ticket)) if row.phase == Phase::Sent => {
                    let (provider, ticket, turns) =
                        (provider.clone(), ticket.clone(), polls.clone());
                    let stop = stops.contains(&row.change.token);
                    let key = tokens(std::slice::from_ref(&row));
                    let span = poll_span(&row);
                    let polled = async move {
                        let _turn = turns.acquire_owned().await;
                        let (row, answer) = match stop {
                            true => call::cancel(provider, row, ticket).await,
                            false => call::poll(provider, row, ticket).await,
                        };
                        vec![(row, answer.of_a_resumed())]
                    };
                    open.ask(key.clone(), polled.instrument(span));
                    asked.insert(key);
                }
                (Some(_), _) => lanes.entry(self.lane(&row)).or_default().push(row),
            }
        }
        self.settle(strangers, records, retries, now(), &mut done).await?;
        for (lane, rows) in lanes {
            let Some(provider) = self.providers.get(kind_of(&lane)).cloned() else { continue };
            let size = provider.batch().max(1);
            // As many at once as when they were begun: one by one, an account that does not answer would
            // take that long for each.
            let turns = Arc::new(Semaphore::new((CALLS / size).max(1)));
            for batch in rows.chunks(size) {
                let key = tokens(batch);
                let span = tracing::info_span!("resume", effects = batch.len());
                match batch {
                    [row] => trace::belongs(&span, row.trace.as_ref()),
                    rows => trace::concerns(&span, rows.iter().filter_map(|r| r.trace.as_ref())),
                }
                let (batch, provider, turns) = (batch.to_vec(), provider.clone(), turns.clone());
                let sent = async move {
                    let _turn = turns.acquire_owned().await;
                    call::submit_again(provider, batch).await
                };
                open.ask(key.clone(), sent.instrument(span));
                asked.insert(key);
            }
        }
        let until = Instant::now() + PATIENCE;
        loop {
            let answers = open.next(&asked, until).await;
            if answers.is_empty() {
                return Ok(done);
            }
            // What an earlier pass asked about may have ended otherwise since.
            let is_known = |row: &Journalled| {
                let known = journal.get(&row.change.target.key);
                known.is_some_and(|known| known.change.token == row.change.token)
            };
            let answers = answers.into_iter().flat_map(|(_, answers)| answers);
            let answers = answers.filter(|(row, _)| is_known(row)).collect();
            self.settle(answers, records, retries, now(), &mut done).await?;
        }
    }

    /// What bounds concurrency, with the provider's kind before it.
    fn lane(&self, row: &Journalled) -> String {
        let target = &row.change.target;
        let lane = self.providers.get(&target.provider).map(|p| p.lane(target));
        format!("{} {}", target.provider, lane.unwrap_or_default())
    }

    /// Those that are reached by the same rights, with the provider's kind before it.
    fn view(&self, row: &Journalled) -> String {
        let target = &row.change.target;
        let view = self.providers.get(&target.provider).map(|p| p.view(target));
        format!("{} {}", target.provider, view.unwrap_or_default())
    }

    fn queue(&self, row: &Journalled) -> super::turn::Queue {
        (self.lane(row), row.change.target.key.request.team().to_owned())
    }

    async fn intend<'a>(
        &self,
        rows: impl Iterator<Item = &'a Journalled> + Clone,
        done: &mut Done,
    ) -> Result<(), PassError> {
        let writes: Vec<_> = rows.clone().map(|row| Write::Intent(Box::new(row.clone()))).collect();
        point!("pass.intent.before")?;
        if !planted!("intent-after-effect") {
            let span = tracing::debug_span!("journal", "vend.effects" = writes.len());
            self.store.commit(self.lease, writes).instrument(span).await?;
        }
        point!("pass.intent.after")?;
        done.commits += 1;
        for row in rows {
            let Change { target, action, .. } = &row.change;
            tracing::info!(target = %target.name, request = %target.key.request, ?action, token = %row.change.token, "intent");
            self.watch.notice(&Notice::Began { key: &target.key, action: *action });
        }
        Ok(())
    }

    /// Makes the answers durable, all in one transaction.
    async fn settle(
        &self,
        answers: Answers,
        records: &HashMap<RequestId, Option<Record>>,
        retries: &BTreeMap<TargetKey, Retry>,
        now: Timestamp,
        done: &mut Done,
    ) -> Result<(), PassError> {
        if answers.is_empty() {
            return Ok(());
        }
        if planted!("intent-after-effect") {
            let late = answers.iter().map(|(row, _)| Write::Intent(Box::new(row.clone())));
            let _ = self.store.commit(self.lease, late.collect()).await;
        }
        let mut writes = Vec::with_capacity(answers.len() * 3);
        let mut changed: BTreeMap<RequestId, Option<Record>> = BTreeMap::new();
        for (row, answer) in answers {
            let answer = match answer {
                Answer::Unknown(error) if planted!("unknown-is-failure") => {
                    Answer::Later(error, None, Scope::Target)
                }
                answer => answer,
            };
            let id = &row.change.target.key.request;
            let known = changed.get(id).or_else(|| done.records.get(id)).or(records.get(id));
            if answer.is_a_failure()
                && self.guards(&row)
                && let Some(record) = ledger::failed(known.and_then(Option::as_ref), &row)
            {
                changed.insert(id.clone(), Some(record));
            }
            match answer {
                Answer::Ended(End::Done { outputs, state, mark }, events) => {
                    self.tell(&row, events, &mut writes);
                    let id = row.change.target.key.request.clone();
                    let known = changed.get(&id).or_else(|| done.records.get(&id)).cloned();
                    let before = known.unwrap_or_else(|| records.get(&id).cloned().flatten());
                    let provider = self.providers.get(&row.change.target.provider);
                    let asked = provider.zip(row.ticket.as_ref());
                    let link = asked.and_then(|(p, t)| p.link(t));
                    let own = asked.and_then(|(p, t)| p.identity(t));
                    // One that was on already did not become vend's.
                    let guarded = self.guards(&row).then_some(row.change.protect && !row.locked);
                    let is = ledger::Found { outputs, state, mark, link, id: own, guarded };
                    let record = ledger::apply(before, &row, is, now);
                    changed.insert(id, record);
                    self.succeed(row, now, &mut writes, done);
                }
                // It was stopped for something newer, and nothing is wrong with it.
                Answer::Ended(End::Failed { error }, events)
                    if row.cancelled && !ledger::is_late(&row, now) =>
                {
                    self.tell(&row, events, &mut writes);
                    writes.push(Write::End { token: row.change.token.clone() });
                    writes.push(Write::Event(event(&row, "Stopped", Some(&error), now)));
                    done.superseded.push(row);
                }
                // It was carried out and came to nothing: a change or a person is what helps.
                Answer::Ended(End::Failed { error }, events) => {
                    self.tell(&row, events, &mut writes);
                    let error = match row.cancelled {
                        true => report::hold::too_slow(row.change.timeout, &error),
                        false => error,
                    };
                    let key = &row.change.target.key;
                    let record = done.records.get(&key.request).or(records.get(&key.request));
                    let record = record.and_then(Option::as_ref);
                    let is_recorded =
                        record.is_some_and(|r| r.components.contains_key(&key.component));
                    let failure =
                        Failure { error, hopeless: true, is_recorded, ..Failure::default() };
                    self.fail(row, failure, retries, now, &mut writes, done);
                }
                Answer::Refused(error) => {
                    let failure =
                        Failure { error, hopeless: true, refused: true, ..Failure::default() };
                    self.fail(row, failure, retries, now, &mut writes, done);
                }
                // Looking again at once is what helps, unless it did not help before.
                Answer::Stale(error) => {
                    let failure = Failure { error, stale: true, ..Failure::default() };
                    self.fail(row, failure, retries, now, &mut writes, done);
                }
                Answer::Later(error, after, _) => {
                    let failure = Failure { error, after, ..Failure::default() };
                    self.fail(row, failure, retries, now, &mut writes, done);
                }
                Answer::NotBegun(error, until) => {
                    let key = row.change.target.key.clone();
                    let retry = ledger::put_off(&row, retries.get(&key), error, until);
                    writes.push(Write::Retry { key: key.clone(), retry: Some(retry.clone()) });
                    done.retries.insert(key, Some(retry));
                }
                Answer::Running(ticket, events) => {
                    self.tell(&row, events, &mut writes);
                    wait_on(row, ticket, None, None, now, &mut writes, done);
                }
                Answer::Silent(ticket, error, after) => {
                    wait_on(row, ticket, Some(error), after, now, &mut writes, done);
                }
                Answer::Unknown(error) => self.lose(row, error, now, &mut writes, done),
            }
        }
        for (id, record) in changed {
            writes.push(match &record {
                Some(record) => Write::Record(Box::new(record.clone())),
                None => Write::DropRecord(id.clone()),
            });
            done.records.insert(id, record);
        }
        point!("pass.ends.before")?;
        let span = tracing::debug_span!("journal", "vend.writes" = writes.len());
        let counts = writes.iter().any(|write| !write.keeps_quiet());
        self.store.commit(self.lease, writes).instrument(span).await?;
        point!("pass.ends.after")?;
        done.commits += u64::from(counts);
        Ok(())
    }

    /// Whether its provider has a guard of its own against deletion.
    fn guards(&self, row: &Journalled) -> bool {
        self.providers.get(&row.change.target.provider).is_some_and(|p| p.guards())
    }

    fn succeed(&self, row: Journalled, now: Timestamp, writes: &mut Vec<Write>, done: &mut Done) {
        let Change { target, action, token, .. } = &row.change;
        let key = target.key.clone();
        writes.push(Write::End { token: token.clone() });
        writes.push(Write::Retry { key: key.clone(), retry: None });
        if !planted!("approval-kept") {
            let used = row.released.iter().map(|approval| Write::DropApproval(approval.digest));
            writes.extend(used);
        }
        writes.push(Write::Event(event(&row, ledger::event_kind(*action), None, now)));
        let trace_id = sampled(&row);
        tracing::info!(target = %target.name, request = %key.request, ?action, %token, trace_id, "done");
        self.watch.notice(&Notice::Ended { key: &key, action: *action, error: None });
        done.retries.insert(key, None);
        done.ended.push((row, None));
    }

    /// It may have happened: asked again under the same token, ever less often.
    fn lose(
        &self,
        row: Journalled,
        error: String,
        now: Timestamp,
        writes: &mut Vec<Write>,
        done: &mut Done,
    ) {
        let (target, token) = (&row.change.target, &row.change.token);
        tracing::warn!(target = %target.name, request = %target.key.request, %token, error, "outcome unknown");
        if row.phase != Phase::Unknown {
            writes.push(Write::Event(event(&row, "Unknown", Some(&error), now)));
        }
        let next = Some(now + ledger::ask_after(&row, now));
        let row = Journalled { phase: Phase::Unknown, next, error: Some(error), ..row };
        writes.push(Write::Progress(Box::new(row.clone())));
        done.under_way.push(row);
    }

    fn fail(
        &self,
        row: Journalled,
        Failure { error, hopeless, refused, is_recorded, stale, after }: Failure,
        retries: &BTreeMap<TargetKey, Retry>,
        now: Timestamp,
        writes: &mut Vec<Write>,
        done: &mut Done,
    ) {
        let key = row.change.target.key.clone();
        let mut retry = ledger::retry(&row, retries.get(&key), error.clone(), hopeless, now);
        retry.ended = hopeless && !refused;
        if retry.ended && !is_recorded {
            // With the end, in one transaction: nothing else will ever tell of it.
            retry.left = ledger::left(&row).or(retry.left);
        }
        let again = stale && retry.attempts == 1;
        if again {
            retry.until = now;
            done.again.insert(key.clone());
        }
        if let Some(after) = after.and_then(|a| SignedDuration::try_from(a).ok()) {
            retry.until = retry.until.max(now + after);
        }
        writes.push(Write::End { token: row.change.token.clone() });
        writes.push(Write::Retry { key: key.clone(), retry: Some(retry.clone()) });
        let kind = match (refused, again) {
            (true, _) => "Refused",
            (false, true) => "Stale",
            (false, false) => "Failed",
        };
        writes.push(Write::Event(event(&row, kind, Some(&error), now)));
        let trace_id = sampled(&row);
        tracing::warn!(target = %row.change.target.name, request = %key.request, error, refused, again, trace_id, "failed");
        self.watch.notice(&Notice::Ended {
            key: &key,
            action: row.change.action,
            error: Some(&error),
        });
        done.retries.insert(key, Some(retry));
        done.ended.push((row, Some(error)));
    }

    /// What happened to parts of a target is history as well. It comes with an answer, and is made
    /// durable with it: the next answer goes on after it, or tells it again under the same key.
    fn tell(&self, row: &Journalled, events: Vec<Happening>, writes: &mut Vec<Write>) {
        let Change { target, action, token, .. } = &row.change;
        for happening in events {
            let key = digest::of(&(token, &happening));
            let happening = bounded(happening);
            let Happening { at, what, kind: _, state, message } = &happening;
            let reason = message.as_deref().unwrap_or_default();
            tracing::info!(request = %target.key.request, component = %target.key.component, what, state, reason, "happened");
            self.watch.notice(&Notice::Happened {
                key: &target.key,
                action: *action,
                happening: &happening,
            });
            let separator = if reason.is_empty() { "" } else { ": " };
            let event = Event {
                at: *at,
                request: Some(target.key.request.clone()),
                kind: Event::HAPPENED.into(),
                message: format!("{what}: {state}{separator}{reason}"),
                data: serde_json::to_value(Happened {
                    token: token.clone(),
                    component: target.key.component.clone(),
                    happening,
                })
                .unwrap_or_default(),
            };
            writes.push(Write::Happened { key, event });
        }
    }
}

/// Asking about a row belongs to what began it, whichever pass asks.
fn poll_span(row: &Journalled) -> Span {
    let TargetKey { request, component } = &row.change.target.key;
    let span = tracing::info_span!("poll", %request, %component);
    trace::belongs(&span, row.trace.as_ref());
    span
}

/// The trace that a row belongs to, where it is recorded.
fn sampled(row: &Journalled) -> Option<&str> {
    row.trace.as_ref().filter(|trace| trace.is_sampled()).map(TraceParent::trace)
}

/// Its end is asked for later; with why it could not be asked for now, where that is so.
fn wait_on(
    row: Journalled,
    ticket: Ticket,
    error: Option<String>,
    after: Option<Duration>,
    now: Timestamp,
    writes: &mut Vec<Write>,
    done: &mut Done,
) {
    let wait = after.and_then(|a| SignedDuration::try_from(a).ok());
    let wait = wait.unwrap_or_default().max(ledger::poll_after(&row, now));
    let (next, ticket) = (Some(now + wait), Some(ticket));
    let row = Journalled { phase: Phase::Sent, ticket, next, error, ..row };
    writes.push(Write::Progress(Box::new(row.clone())));
    done.under_way.push(row);
}

/// A provider's words as far as they are kept.
fn bounded(happening: Happening) -> Happening {
    let cut = |text: String, most: usize| match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    let Happening { at, what, kind, state, message } = happening;
    Happening {
        at,
        what: cut(what, NAME_MAX),
        kind: kind.map(|kind| cut(kind, NAME_MAX)),
        state: cut(state, NAME_MAX),
        // Some providers say nothing with an empty text.
        message: message.filter(|m| !m.trim().is_empty()).map(|m| cut(m, MESSAGE_MAX)),
    }
}

/// A try that came to nothing.
#[derive(Default)]
struct Failure {
    error: String,
    /// Trying the same again soon would end the same.
    hopeless: bool,
    /// The provider would not even begin.
    refused: bool,
    /// A record tells of its target.
    is_recorded: bool,
    stale: bool,
    after: Option<Duration>,
}

/// The provider's kind, which a lane's name begins with.
fn kind_of(lane: &str) -> &str {
    lane.split_once(' ').map_or(lane, |(kind, _)| kind)
}

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
