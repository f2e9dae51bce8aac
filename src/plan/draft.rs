//! What would be done to each case by itself, before the guards and the order.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Action, ComponentName, ComponentRecord, Dependency, Drift, DriftItem, Hold, HoldReason,
    InstanceId, Left, Observation, Owner, RequestId, Revision, Settle, Spec, Step, Target,
    TargetKey, Unchecked, Wanted,
};

use super::Context;
use super::change;
use super::component::{Subject, Work, works};
use super::gate::Gate;
use super::guard::Released;
use super::situation::{Case, InFlight, Seen};

/// One target can have several steps: its record takes the request's new name, then the component's;
/// what was there goes, and what is desired comes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Lane {
    Move,
    Rename,
    Remove,
    Apply,
}

/// A step's place in the draft.
pub(super) type Node = (TargetKey, Lane);

/// Why nothing comes of a node that others may wait for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Block {
    InFlight,
    Held,
}

/// A deletion that has yet to pass the guards.
#[derive(Debug)]
pub(super) struct Removal {
    /// As a deletion, whatever was seen: the breaker counts by it.
    pub(super) step: Step,
    /// The whole request is gone, not only this component.
    pub(super) whole: bool,
    /// The commit that removed it.
    pub(super) commit: Option<Revision>,
    /// Its provider's own guard against deletion is on, and vend did not turn it on.
    pub(super) locked: bool,
    /// What is done when the guards agree.
    pub(super) end: Result<Action, HoldReason>,
}

/// Everything that the cases come to.
pub(super) struct Draft {
    instance: InstanceId,
    pub(super) steps: BTreeMap<Node, Step>,
    pub(super) removals: BTreeMap<TargetKey, Removal>,
    /// What will go once the change that is under way there has ended.
    pub(super) awaited: BTreeMap<TargetKey, Removal>,
    /// What would go with files that vend removes since their time is over.
    pub(super) expiring: BTreeMap<TargetKey, Removal>,
    pub(super) holds: Vec<Hold>,
    pub(super) blocked: BTreeMap<Node, Block>,
    pub(super) blocked_requests: BTreeSet<RequestId>,
    pub(super) settle: Vec<Settle>,
    pub(super) drifts: Vec<Drift>,
    pub(super) forget: Vec<RequestId>,
    pub(super) released: Released,
    /// What to look at for a node, keyed for the case that the answer belongs to.
    pub(super) looks: BTreeMap<Node, Target>,
    /// Steps drafted without having looked.
    pub(super) unlooked: BTreeSet<Node>,
    /// Targets that failed, and wait: looked at all the same, since what failed may be stuck.
    pub(super) failed: Vec<Target>,
    /// Targets whose look for drift is due.
    pub(super) due: Vec<Target>,
}

impl Draft {
    /// Nothing yet, for that vend.
    pub(super) fn new(instance: InstanceId) -> Self {
        Self {
            instance,
            steps: BTreeMap::new(),
            removals: BTreeMap::new(),
            awaited: BTreeMap::new(),
            expiring: BTreeMap::new(),
            holds: Vec::new(),
            blocked: BTreeMap::new(),
            blocked_requests: BTreeSet::new(),
            settle: Vec::new(),
            drifts: Vec::new(),
            forget: Vec::new(),
            released: Released::default(),
            looks: BTreeMap::new(),
            unlooked: BTreeSet::new(),
            failed: Vec::new(),
            due: Vec::new(),
        }
    }

    /// As [`Draft::new`], for the same vend.
    pub(super) fn blank(&self) -> Self {
        Self::new(self.instance.clone())
    }

    /// Drafts one case.
    pub(super) fn case<'a>(&mut self, context: &Context<'a>, case: &'a Case) {
        self.in_flight(case);
        if context.moves.taken.contains_key(&case.id) {
            return;
        }
        self.drift(case);
        match case.desired.as_ref().map(|desired| &desired.wanted) {
            None => self.gone(context, case),
            Some(Wanted::Invalid(problems)) => {
                let problems = problems.clone();
                self.hold_request(case, None, HoldReason::Invalid { problems });
            }
            Some(Wanted::Waiting(reason)) => self.hold_request(case, None, reason.clone()),
            Some(Wanted::Valid(spec)) => self.valid(context, case, spec),
        }
    }

    /// What is under way has its end first; something newer waits, and its hold says what it is.
    fn in_flight(&mut self, case: &Case) {
        let spec = case.desired.as_ref().and_then(|d| d.spec());
        for (name, flight) in &case.in_flight {
            let InFlight { action, artifact, since, unknown, stopped, silent } = flight;
            let component = spec.map(|spec| spec.component(name));
            let next = match (case.desired.is_some(), component, *action) {
                (false, _, Action::Delete) | (true, Some(None), Action::Delete) => None,
                (false, _, _) | (true, Some(None), _) => Some(Action::Delete),
                (true, Some(Some(_)), Action::Delete) => Some(Action::Create),
                (true, Some(Some(component)), _) => {
                    (*artifact != Some(component.digest)).then_some(Action::Update)
                }
                (true, None, _) => None,
            };
            let reason = match unknown.clone() {
                None => HoldReason::InFlight {
                    since: *since,
                    stopped: *stopped,
                    silent: silent.clone(),
                },
                Some(error) => HoldReason::Unknown { since: *since, error },
            };
            let key = TargetKey { request: case.id.clone(), component: name.clone() };
            for lane in [Lane::Apply, Lane::Remove] {
                self.blocked.insert((key.clone(), lane), Block::InFlight);
            }
            self.hold(key, next, reason);
        }
    }

    /// What was seen of recorded targets, where the record says otherwise; and which are due.
    fn drift(&mut self, case: &Case) {
        let Some(record) = &case.recorded else { return };
        for (name, component) in &record.components {
            if case.in_flight.contains_key(name) {
                continue;
            }
            let target = TargetKey { request: case.id.clone(), component: name.clone() };
            match case.live.get(name) {
                None | Some(Seen::Failed(_) | Seen::Refused(_)) => {}
                Some(Seen::Observed(seen)) => {
                    let why = unchecked(seen, component);
                    let news = |items: &Vec<_>| {
                        let differs = *items != component.drift || why != component.unchecked;
                        case.desired.is_some() && differs
                    };
                    if let Some(items) = drift_items(component, seen).filter(news) {
                        let (target, unchecked) = (target.clone(), why);
                        self.drifts.push(Drift { target, items, unchecked });
                    }
                }
            }
            if case.drift_due {
                self.due.push(self.target(target, component));
            }
        }
    }

    fn gone(&mut self, context: &Context, case: &Case) {
        for (name, left) in leftovers(case, &[]) {
            self.leftover(context, case, case, name, left);
        }
        let Some(record) = &case.recorded else { return };
        if record.components.is_empty() && case.in_flight.is_empty() {
            self.forget.push(case.id.clone());
        }
        for (name, component) in &record.components {
            let key = TargetKey { request: case.id.clone(), component: name.clone() };
            let work = Work { key, desired: None, recorded: Some((name, component)) };
            let released = context.moves.released(&case.id);
            self.removal(context, case, case, &work, released);
        }
    }

    fn valid<'a>(&mut self, context: &Context<'a>, case: &'a Case, spec: &'a Spec) {
        let owner = context.moves.takes.get(&case.id).copied().unwrap_or(case);
        let moving = owner.id != case.id;
        let record = owner.recorded.as_ref();
        let mut flights = [owner, case]
            .into_iter()
            .flat_map(|case| case.in_flight.keys().map(|name| (&case.id, name)));
        if let Some((id, name)) = flights.next().filter(|_| moving) {
            let key = TargetKey { request: id.clone(), component: name.clone() };
            let reason = HoldReason::WaitingFor { dependency: Dependency::Target(key) };
            return self.hold_request(case, Some(Action::Move), reason);
        }
        let shift = record.map(|r| change::shift(r, spec)).unwrap_or_default();
        let subject = Subject { case, spec, owner, record, shift };
        let works = works(&case.id, spec, record);
        let before = (self.holds.len(), self.steps.len(), self.removals.len());
        match subject.gate(context) {
            Some(gate) => {
                let pending = works.iter().find_map(|w| self.pending(context, &subject, w));
                let left = leftovers(case, &works).next().map(|_| Action::Delete);
                let pending = pending.or(left);
                match (pending, gate) {
                    (pending, Gate::Always(reason)) if Some(&reason) == subject.barred() => {
                        self.bar(&subject, pending, reason);
                    }
                    (pending, Gate::Always(reason)) => {
                        self.expiring(&subject, &reason);
                        self.hold_request(case, pending, reason);
                    }
                    (Some(action), Gate::IfPending(reason))
                        if Some(&reason) == subject.barred() =>
                    {
                        self.bar(&subject, Some(action), reason);
                    }
                    (Some(action), Gate::IfPending(reason)) => {
                        self.hold_request(case, Some(action), reason);
                    }
                    (None, Gate::IfPending(_)) => {}
                }
            }
            None => {
                works.iter().for_each(|w| self.work(context, &subject, w));
                for (name, left) in leftovers(case, &works) {
                    self.leftover(context, case, case, name, left);
                }
            }
        }
        if subject.trusted(context) {
            works.iter().for_each(|w| self.rekey(&subject, w));
        }
        let first =
            (TargetKey { request: case.id.clone(), component: ComponentName::new("") }, Lane::Move);
        let own = self.steps.range(first..).take_while(|(node, _)| node.0.request == case.id);
        let moved = own.filter(|(node, _)| node.1 < Lane::Remove).count();
        let after = (self.holds.len(), self.steps.len() - moved, self.removals.len());
        let satisfied = before == after && case.in_flight.is_empty();
        let Some(record) = record.filter(|_| satisfied) else { return };
        let fingerprint = spec.fingerprint();
        let source = case.desired.as_ref().map(|d| &d.origin.source);
        let is_there = source.is_none_or(|source| *source == record.origin.source);
        if record.settled == Some(fingerprint) && is_there {
            return;
        }
        if let Some(reason) = subject.barred().cloned() {
            // What touches nothing may still say who may delete it, and when it ends.
            return self.bar(&subject, None, reason);
        }
        // Left alone it is not spared what its template forbids: that would be what is recorded.
        let forbidden = subject.forbidden();
        // Its rules, and its places, would be those of the other version from then on.
        if let Some(reason) = forbidden.or_else(|| subject.unapproved(context)) {
            return self.hold_request(case, None, reason);
        }
        let released = subject.released(context);
        let (request, end) = (case.id.clone(), subject.new_end(context));
        let takeover = subject.approvable();
        self.settle.push(Settle { request, fingerprint, released, end, takeover });
    }

    /// Holds what may not be done as it came. How the file went whose record is taken over is asked about
    /// under the name that it had.
    fn bar(&mut self, subject: &Subject, action: Option<Action>, reason: HoldReason) {
        let (case, owner) = (subject.case, subject.owner);
        if owner.id != case.id
            && let Some(reason) = owner.barred.clone()
        {
            self.hold_request(owner, Some(Action::Move), reason);
        }
        let action = action.or_else(|| (owner.id != case.id).then_some(Action::Move));
        self.hold_request(case, action, reason);
    }

    /// A target that exists, as it was applied.
    pub(super) fn target(&self, key: TargetKey, component: &ComponentRecord) -> Target {
        Target {
            name: component.target.clone(),
            key,
            instance: self.instance.clone(),
            provider: component.provider.clone(),
            settings: component.settings.clone(),
            id: component.id.clone(),
        }
    }

    /// Lets those that wait for the target know that nothing comes of it.
    pub(super) fn block(&mut self, key: TargetKey, lane: Lane) {
        self.blocked.insert((key, lane), Block::Held);
    }

    /// Puts a hold on one target into the plan.
    pub(super) fn hold(&mut self, key: TargetKey, action: Option<Action>, reason: HoldReason) {
        let TargetKey { request, component } = key;
        self.holds.push(Hold { request, component: Some(component), action, reason });
    }

    /// Puts a hold on a whole request into the plan.
    fn hold_request(&mut self, case: &Case, action: Option<Action>, reason: HoldReason) {
        if case.recorded.is_none() || stops_dependents(&reason) {
            self.blocked_requests.insert(case.id.clone());
        }
        self.holds.push(Hold { request: case.id.clone(), component: None, action, reason });
    }
}

/// What creations that failed may have left, of components that are neither desired nor recorded.
fn leftovers<'a>(
    case: &'a Case,
    works: &[Work],
) -> impl Iterator<Item = (&'a ComponentName, &'a Left)> {
    let is_known = |name: &ComponentName| {
        let recorded = case.recorded.as_ref();
        recorded.is_some_and(|r| r.components.contains_key(name))
            || works.iter().any(|work| work.key.component == *name)
    };
    let left = case.retries.iter().filter_map(|(name, retry)| Some((name, retry.left.as_deref()?)));
    let left: Vec<_> = left.filter(|(name, _)| !is_known(name)).collect();
    left.into_iter()
}

/// Whether those that stand on a request wait for it too. One that is not looked at for reasons of
/// its own keeps its last applied state, and the outputs that go with it.
fn stops_dependents(reason: &HoldReason) -> bool {
    match reason {
        HoldReason::Invalid { .. }
        | HoldReason::NotSupportedYet { .. }
        | HoldReason::Suspended
        | HoldReason::RolloutStopped { .. }
        | HoldReason::TemplateRetired
        | HoldReason::TemplateMissing { .. }
        | HoldReason::Expired { .. }
        | HoldReason::Source { .. }
        | HoldReason::OutsideWindow { .. }
        | HoldReason::InternalError { .. } => false,
        HoldReason::NotObserved { .. }
        | HoldReason::NotOurs { .. }
        | HoldReason::WaitingFor { .. }
        | HoldReason::NeedsApproval { .. }
        | HoldReason::PlanChanged { .. }
        | HoldReason::NeedsPullRequest { .. }
        | HoldReason::Protected { .. }
        | HoldReason::TooManyDeletes { .. }
        | HoldReason::LooksLikeAMove { .. }
        | HoldReason::Backoff { .. }
        | HoldReason::Refused { .. }
        | HoldReason::Referenced { .. }
        | HoldReason::InFlight { .. }
        | HoldReason::ForbiddenChange { .. }
        | HoldReason::Busy { .. }
        | HoldReason::Stuck { .. }
        | HoldReason::Unknown { .. } => true,
    }
}

/// Why not all of a target could be looked at. Who did not look for drift knows no better than before.
fn unchecked(seen: &Observation, component: &ComponentRecord) -> Option<String> {
    match seen {
        Observation::Absent => None,
        Observation::Present(live) => match live.unchecked.as_deref() {
            None => None,
            Some(Unchecked { why: None, .. }) => component.unchecked.clone(),
            Some(Unchecked { why, .. }) => why.clone(),
        },
    }
}

/// What differs in the world; `None` when it cannot be told. Of what could not be looked at, that is
/// what was known before.
pub(super) fn drift_items(
    component: &ComponentRecord,
    seen: &Observation,
) -> Option<Vec<DriftItem>> {
    let whole = |how: &str| vec![DriftItem::new(component.target.to_string(), how)];
    match seen {
        Observation::Absent => Some(whole("removed")),
        Observation::Present(live) => match live.owner {
            Owner::Nobody | Owner::Other(_) => None,
            Owner::Ours if live.busy || live.pending => None,
            Owner::Ours if live.stuck.is_some() => Some(whole(&live.state)),
            Owner::Ours => {
                let unchecked = live.unchecked.as_ref();
                let stands = |item: &&DriftItem| {
                    unchecked.is_some_and(|u| u.covers(item)) && !live.drift.contains(item)
                };
                let known = component.drift.iter().filter(stands);
                let items: Vec<DriftItem> = live.drift.iter().chain(known).cloned().collect();
                let is_other = live.digest.is_some_and(|mark| mark != component.expected_mark());
                Some(if items.is_empty() && is_other { whole("changed") } else { items })
            }
        },
    }
}
