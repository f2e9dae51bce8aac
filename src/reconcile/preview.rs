//! Asking providers what changes of what is there would do, before they are begun.
//!
//! # Flow
//! The steps that could begin now, in the plan's order and within the room there is, are previewed at
//! the same time; [`plan::assess`] says which of them wait for a person. Room that those leave is
//! used for the next ones.
//!
//! # Guarantees
//! - No step that must be previewed is begun without its preview, of what is there now.
//! - A preview that waits for a person is not made again at every pass: the hold keeps what it says,
//!   until what it was made of changes, a person approves it, or a day is over.
//! - What a preview prepared at the provider is carried out, kept for the next pass, or dropped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::PassError;
use super::call;
use super::pass::Pass;
use super::slow::{PATIENCE, Questions};
use super::turn::Room;
use crate::digest::{self, Digest};
use crate::error::chain;
use crate::fault::planted;
use crate::model::{
    Action, Artifact, Change, Hold, HoldReason, Observation, Plan, Preview, Previewed, RequestId,
    Step, Target, TargetKey, Token,
};
use crate::plan::{self, Foretold, Seen, assess, wants_preview};
use crate::provider::{Provider, ProviderError};

/// Previews asked for at once in one lane.
const CALLS: usize = 16;

/// What more than these creations would make is told from their artifacts alone where the changes of
/// a pull request are looked at: it would keep all else waiting.
const CREATIONS: usize = 20;

/// What a hold keeps of a preview is made anew after this: the provider may see it otherwise.
const KEPT: SignedDuration = SignedDuration::from_hours(24);

/// What was prepared and has not begun, for want of room, is made anew after this.
const FRESH: SignedDuration = SignedDuration::from_mins(15);

/// A preview that was made and not yet carried out.
#[derive(Clone, Debug)]
pub(super) struct Prepared {
    target: Target,
    preview: Preview,
    previewed: Previewed,
}

/// What a preview is of: whose, and the digest of all that it is made of.
type Of = (TargetKey, Digest);

/// The previews that are asked for, and how many each lane may answer at once.
#[derive(Default)]
pub(super) struct Previewing {
    questions: Questions<Of, (Target, Result<Preview, ProviderError>)>,
    lanes: HashMap<String, Arc<Semaphore>>,
}

impl Previewing {
    pub fn len(&self) -> usize {
        self.questions.len()
    }
}

/// What is said of a step whose preview takes longer than a pass waits.
const SLOW: &str =
    "it has not said yet what this would do; nobody else waits for that, and it is asked still";

/// What a pass was told.
#[derive(Default)]
pub(super) struct Told {
    /// In its last round.
    last: BTreeMap<TargetKey, Foretold>,
    /// What could not be said, and of what: not asked for again in the same pass.
    failed: BTreeMap<TargetKey, (Digest, HoldReason)>,
    /// What is applied where something is deleted, for rules to look at.
    pub(super) applied: BTreeMap<Digest, Arc<Artifact>>,
}

impl Pass<'_> {
    /// Whether a step must not begin before its provider has said what it would do.
    pub(super) fn must_preview(&self, step: &Step) -> bool {
        let provider = self.engine.providers.get(&step.target.provider);
        provider.is_some_and(|p| p.previews()) && self.wants(step)
    }

    /// Of what goes and was not applied as it stands nobody has the text: where rules ask what goes with
    /// it, only its provider can tell.
    fn wants(&self, step: &Step) -> bool {
        let is_told = |from: &Digest| self.told.applied.contains_key(from);
        let untold = || !step.from.as_ref().is_some_and(is_told) && self.is_ruled(step);
        wants_preview(step, self.previews || step.action == Action::Delete && untold())
    }

    /// Asks for the previews that the plan needs, and gives the plan as they leave it.
    pub(super) async fn preview(
        &mut self,
        plan: Plan,
        live: &HashMap<TargetKey, Seen>,
    ) -> Result<Plan, PassError> {
        self.look_at_deletions(&plan).await?;
        let creations = plan.steps.iter().filter(|s| s.action == Action::Create).count();
        let too_many = self.scope.is_some() && creations > CREATIONS;
        let wanted: BTreeMap<TargetKey, Digest> = plan
            .steps
            .iter()
            .filter(|step| self.must_preview(step))
            .filter(|step| !(too_many && step.action == Action::Create))
            .map(|step| (step.target.key.clone(), self.basis(step, live.get(&step.target.key))))
            .collect();
        self.drop_others(&wanted).await;
        self.read_bounds(&plan).await?;
        if wanted.is_empty() {
            return Ok(self.assess(plan.clone(), &plan.steps, &BTreeMap::new()));
        }
        let mut foretold = self.remembered(&plan, &wanted);
        let digest = plan.digest();
        let mut room = self.room();
        let may_ask = self.lease.is_some() || self.previews;
        let begins = |s: &&Step| may_ask && s.is_ready() && s.action.touches_the_world();
        let mut left: Vec<&Step> = plan.steps.iter().filter(begins).collect();
        while !left.is_empty() {
            if self.engine.stop.load(Ordering::Relaxed) {
                // What was not asked about is not nothing to do.
                self.unfinished = true;
                break;
            }
            let (begun, rest) = self.fitting(left, &mut room);
            left = rest;
            let asked: Vec<&Step> = begun
                .iter()
                .filter(|step| wanted.contains_key(&step.target.key) && self.wants(step))
                .filter(|step| !foretold.contains_key(&step.target.key))
                .copied()
                .collect();
            let slow = self.ask(&asked, digest, &wanted, &mut foretold).await?;
            let judged =
                Plan { steps: begun.iter().map(|s| (*s).clone()).collect(), ..Plan::default() };
            let judged = self.assess(judged, &plan.steps, &foretold);
            let mut freed = false;
            for hold in &judged.holds {
                let held = begun.iter().find(|s| {
                    s.target.key.request == hold.request
                        && Some(&s.target.key.component) == hold.component.as_ref()
                });
                // What is asked still keeps its room: else all others would be asked about at once.
                if let Some(step) = held.filter(|step| !slow.contains(&step.target.key)) {
                    room.give_back(&self.queue_of(step));
                    freed = true;
                }
            }
            if !freed {
                break;
            }
        }
        let plan = self.assess(plan.clone(), &plan.steps, &foretold);
        self.told.last = foretold;
        self.drop_held(&plan).await;
        Ok(plan)
    }

    /// A plan as what was foretold in this pass leaves it.
    pub(super) fn assessed(&self, plan: Plan) -> Plan {
        let whole = plan.steps.clone();
        self.assess(plan, &whole, &self.told.last)
    }

    /// Reads what is applied of targets that go, where rules may ask what goes with them.
    async fn look_at_deletions(&mut self, plan: &Plan) -> Result<(), PassError> {
        for step in plan.steps.iter().filter(|s| s.action == Action::Delete) {
            let Some(from) = step.from.filter(|_| self.is_ruled(step)) else { continue };
            if !self.told.applied.contains_key(&from)
                && let Some(artifact) = self.engine.store.artifact(&from).await?
            {
                self.told.applied.insert(from, Arc::new(artifact));
            }
        }
        Ok(())
    }

    fn assess(&self, plan: Plan, whole: &[Step], foretold: &BTreeMap<TargetKey, Foretold>) -> Plan {
        let approvals: BTreeSet<Digest> = self.memory.approvals.keys().copied().collect();
        let ask = self.engine.config.settings.reconcile.replacements.asks();
        let ask = ask && !planted!("loss-unasked");
        let plan = assess(plan, foretold, &approvals, ask);
        let plan = plan::bind(plan, &self.bounds, &approvals);
        let asks = |hold: &&Hold| plan::asks_once(hold) || plan::asks_of_takeover(hold);
        let asked = plan.holds.iter().filter(asks).map(|hold| &hold.request);
        let taken = plan.settle.iter().filter(|settle| settle.takeover.is_some());
        let asked = asked.chain(taken.map(|settle| &settle.request));
        let ids = plan.steps.iter().map(|s| &s.target.key.request).chain(asked);
        let ids: BTreeSet<&RequestId> = ids.collect();
        let rulings = self.rulings(&ids, whole, foretold);
        let given = |digest: &Digest| {
            self.memory.approvals.get(digest).map(Vec::as_slice).unwrap_or_default()
        };
        plan::require(plan, &rulings, &given, self.lease.is_some())
    }

    /// Steps that could begin now, and those that could not.
    fn fitting<'p>(&self, steps: Vec<&'p Step>, room: &mut Room) -> (Vec<&'p Step>, Vec<&'p Step>) {
        let (mut fit, mut rest) = (Vec::new(), Vec::new());
        for step in steps {
            let queue = self.queue_of(step);
            // Who only looks sees all of it.
            if self.lease.is_none() || room.free(&queue) > 0 {
                room.take(queue);
                fit.push(step);
            } else {
                rest.push(step);
            }
        }
        (fit, rest)
    }

    fn room(&self) -> Room {
        let settings = &self.engine.config.settings.reconcile;
        let mut room = Room::new(settings.per_account, settings.concurrency);
        for row in self.memory.journal.values() {
            let target = &row.change.target;
            room.take((self.lane_of(target), target.key.request.team().to_owned()));
        }
        room
    }

    fn queue_of(&self, step: &Step) -> super::turn::Queue {
        (self.lane_of(&step.target), step.target.key.request.team().to_owned())
    }

    fn lane_of(&self, target: &Target) -> String {
        let lane = self.engine.providers.get(&target.provider).map(|p| p.lane(target));
        format!("{} {}", target.provider, lane.unwrap_or_default())
    }

    /// What is known without asking: prepared by the last pass, or kept by a hold.
    fn remembered(
        &self,
        plan: &Plan,
        wanted: &BTreeMap<TargetKey, Digest>,
    ) -> BTreeMap<TargetKey, Foretold> {
        let now = (self.clock)();
        let mut known = BTreeMap::new();
        for step in plan.steps.iter().filter(|s| self.wants(s)) {
            let key = &step.target.key;
            let Some(basis) = wanted.get(key) else { continue };
            let prepared =
                self.memory.prepared.get(key).filter(|p| {
                    p.previewed.of == *basis && now.duration_since(p.previewed.at) < FRESH
                });
            if let Some(Prepared { target: _, preview, previewed }) = prepared {
                known.insert(key.clone(), Foretold::Preview(preview.clone(), previewed.clone()));
            } else if let Some(kept) = self.kept(key, basis, now) {
                known.insert(key.clone(), kept);
            } else if let Some((of, reason)) = self.told.failed.get(key)
                && of == basis
            {
                known.insert(key.clone(), Foretold::Held(reason.clone()));
            }
        }
        known
    }

    /// What the hold of an earlier pass says of a preview; nothing once a person has approved it,
    /// since what is carried out is looked at anew.
    fn kept(&self, key: &TargetKey, basis: &Digest, now: Timestamp) -> Option<Foretold> {
        let rows = self.memory.holds.get(&key.request)?;
        let mut rows = rows.iter().filter(|r| r.hold.component.as_ref() == Some(&key.component));
        rows.find_map(|row| match &row.hold.reason {
            HoldReason::NeedsApproval { digest, lost, preview: Some(made), needs: _, void: _ }
                if made.of == *basis
                    && now.duration_since(made.at) < KEPT
                    && self.engine.config.settings.reconcile.replacements.asks()
                    && !self.memory.approvals.contains_key(digest) =>
            {
                let preview = Preview { resources: lost.clone(), ..Preview::default() };
                Some(Foretold::Preview(preview, made.clone()))
            }
            _ => None,
        })
    }

    /// Asks the providers, all at once and so many in each lane; gives those that have not answered as
    /// long as a pass waits. Who only looks waits for all of them.
    async fn ask(
        &mut self,
        steps: &[&Step],
        plan: Digest,
        wanted: &BTreeMap<TargetKey, Digest>,
        foretold: &mut BTreeMap<TargetKey, Foretold>,
    ) -> Result<BTreeSet<TargetKey>, PassError> {
        let mut asked = BTreeSet::new();
        for row in self.rows(steps, plan).await? {
            let target = row.change.target.clone();
            let (Some(provider), Some(basis)) =
                (self.engine.providers.get(&target.provider), wanted.get(&target.key))
            else {
                continue;
            };
            let (provider, basis) = (provider.clone(), *basis);
            let change = Change { token: self.token(&target, &basis), ..row.change };
            let lane = self.lane_of(&target);
            let Previewing { questions, lanes } = &mut self.memory.previewing;
            let lane = lanes.entry(lane).or_insert_with(|| Arc::new(Semaphore::new(CALLS))).clone();
            let of = (target.key.clone(), basis);
            let question = async move {
                let _turn = lane.acquire_owned().await;
                (target, call::preview(provider, change).await)
            };
            if questions.ask(of.clone(), question.in_current_span()) || self.lease.is_none() {
                asked.insert(of);
            }
        }
        let patience = self.lease.is_some().then_some(PATIENCE);
        let answers = self.memory.previewing.questions.answers(&asked, patience).await;
        for ((key, basis), (target, answer)) in answers {
            let told = match answer {
                Ok(preview) => {
                    let previewed = Previewed { of: basis, at: (self.clock)() };
                    let prepared =
                        Prepared { target, preview: preview.clone(), previewed: previewed.clone() };
                    self.memory.prepared.insert(key.clone(), prepared);
                    Foretold::Preview(preview, previewed)
                }
                Err(error) => {
                    let reason = match error {
                        ProviderError::Refused(error) => {
                            let until = (self.clock)() + plan::backoff(1, 0.0, true);
                            HoldReason::Refused { error, until }
                        }
                        error => HoldReason::NotObserved { error: chain(&error) },
                    };
                    self.told.failed.insert(key.clone(), (basis, reason.clone()));
                    Foretold::Held(reason)
                }
            };
            foretold.insert(key, told);
        }
        let silent = steps.iter().map(|step| &step.target.key);
        let slow: BTreeSet<TargetKey> =
            silent.filter(|key| !foretold.contains_key(*key)).cloned().collect();
        for key in &slow {
            let reason = HoldReason::NotObserved { error: SLOW.to_owned() };
            foretold.insert(key.clone(), Foretold::Held(reason));
        }
        Ok(slow)
    }

    /// What a preview is made of: the step with all that it hands over, and what is there. What was
    /// prepared is carried out as it is: with other labels or by another role it is another one.
    fn basis(&self, step: &Step, seen: Option<&Seen>) -> Digest {
        let there = match seen {
            Some(Seen::Observed(Observation::Present(live))) => {
                Some((live.digest, live.token.as_ref(), &live.state))
            }
            Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_))
            | None => None,
        };
        let spec = self.desired_of(&step.target.key.request).and_then(|desired| desired.spec());
        let given = (spec.map(|spec| &spec.labels), &step.target.settings);
        digest::of(&("preview", step.digest(), there, given))
    }

    /// The same for the same change of the same thing, so that a preview which is asked for again,
    /// after a crash too, is found and not made twice.
    fn token(&self, target: &Target, basis: &Digest) -> Token {
        Token::derive(&self.engine.instance, &target.name, basis, 0, Timestamp::UNIX_EPOCH)
    }

    /// Drops what was prepared for steps that are planned no more, or otherwise.
    async fn drop_others(&mut self, wanted: &BTreeMap<TargetKey, Digest>) {
        let unwanted = |(key, basis): &Of| wanted.get(key) != Some(basis);
        self.memory.previewing.questions.take_back(unwanted);
        let stale = |(key, p): &(&TargetKey, &Prepared)| wanted.get(*key) != Some(&p.previewed.of);
        let stale: Vec<_> =
            self.memory.prepared.iter().filter(stale).map(|(key, _)| key.clone()).collect();
        self.drop_prepared(stale).await;
    }

    /// Drops what was prepared for steps that wait for a person, which may be long.
    async fn drop_held(&mut self, plan: &Plan) {
        let held = plan.holds.iter().filter_map(|hold| {
            let component = hold.component.clone()?;
            Some(TargetKey { request: hold.request.clone(), component })
        });
        let held: Vec<_> = held.filter(|key| self.memory.prepared.contains_key(key)).collect();
        self.drop_prepared(held).await;
    }

    /// Drops everything that was prepared: who only looks leaves nothing behind.
    pub(super) async fn drop_all_prepared(&mut self) {
        let all = self.memory.prepared.keys().cloned().collect();
        self.drop_prepared(all).await;
    }

    async fn drop_prepared(&mut self, keys: Vec<TargetKey>) {
        let mut dropped = JoinSet::new();
        let turns = Arc::new(Semaphore::new(CALLS));
        for key in keys {
            let Some(Prepared { target, preview, .. }) = self.memory.prepared.remove(&key) else {
                continue;
            };
            let provider = self.engine.providers.get(&target.provider).cloned();
            if let (Some(provider), Some(handle)) = (provider, preview.handle) {
                let discarded = discard(provider, target, handle, turns.clone());
                dropped.spawn(discarded.in_current_span());
            }
        }
        while dropped.join_next().await.is_some() {}
    }
}

async fn discard(
    provider: Arc<dyn Provider>,
    target: Target,
    handle: Value,
    turns: Arc<Semaphore>,
) {
    let _turn = turns.acquire_owned().await;
    call::discard(provider, target, handle).await;
}
