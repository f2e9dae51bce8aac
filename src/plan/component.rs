//! One component: as it is desired, recorded and seen, into a step or the reason for none.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::digest::{self, Digest};
use crate::model::{
    Action, ComponentName, ComponentRecord, DesiredComponent, DriftItem, HoldReason, LOCATION,
    Left, Live, Map, Observation, OnDrift, Owner, Record, Remark, RequestId, Spec, Step, Target,
    TargetKey, TargetName, place,
};

use super::Context;
use super::change::{self, Shift};
use super::decide::{Past, Sight, Verdict, Want, decide};
use super::draft::{Draft, Lane, Removal, drift_items};
use super::retry;
use super::situation::{Case, Seen};

/// A component as it is desired, recorded, or both.
pub(super) struct Work<'a> {
    pub(super) key: TargetKey,
    pub(super) desired: Option<&'a DesiredComponent>,
    pub(super) recorded: Option<(&'a ComponentName, &'a ComponentRecord)>,
}

/// A well-formed request against the record that is its own or that it takes over.
pub(super) struct Subject<'a> {
    pub(super) case: &'a Case,
    pub(super) spec: &'a Spec,
    /// Whose record and whose observations count: the former identity's, after a move.
    pub(super) owner: &'a Case,
    pub(super) record: Option<&'a Record>,
    pub(super) shift: Shift,
}

/// Pairs desired and recorded components: by name, else by the name before.
pub(super) fn works<'a>(
    id: &RequestId,
    spec: &'a Spec,
    record: Option<&'a Record>,
) -> Vec<Work<'a>> {
    let mut left: BTreeMap<_, _> = record.iter().flat_map(|r| &r.components).collect();
    let key =
        |component: &ComponentName| TargetKey { request: id.clone(), component: component.clone() };
    let mut works: BTreeMap<TargetKey, Work> = BTreeMap::new();
    // Those that kept their names first, so that a renamed one cannot take another's record.
    for desired in &spec.components {
        let recorded = left.remove_entry(&desired.name);
        let key = key(&desired.name);
        let work = Work { key: key.clone(), desired: Some(desired), recorded };
        works.entry(key).or_insert(work);
    }
    for desired in &spec.components {
        let Some(former) = &desired.moved_from else { continue };
        if let Some(work) = works.get_mut(&key(&desired.name)).filter(|w| w.recorded.is_none()) {
            work.recorded = left.remove_entry(former);
        }
    }
    let rest = left.into_iter().map(|(name, component)| Work {
        key: key(name),
        desired: None,
        recorded: Some((name, component)),
    });
    works.into_values().chain(rest).collect()
}

impl Draft {
    /// What would be done to a component if nothing held its request.
    pub(super) fn pending(
        &self,
        context: &Context,
        subject: &Subject,
        work: &Work,
    ) -> Option<Action> {
        let mut trial = self.blank();
        trial.work(context, subject, work);
        let removed = trial.removals.into_values().map(|_| Action::Delete).next();
        let step = trial.steps.into_values().map(|s| s.action).next();
        step.or(removed).or(trial.holds.into_iter().find_map(|h| h.action))
    }

    /// Drafts one component.
    pub(super) fn work(&mut self, context: &Context, subject: &Subject, work: &Work) {
        match (work.desired, work.recorded) {
            (None, None) => {}
            (None, Some(_)) => {
                self.removal(context, subject.case, subject.owner, work, Vec::new());
            }
            (Some(desired), Some((_, recorded))) if desired.provider != recorded.provider => {
                self.elsewhere(context, subject, work, desired, None);
            }
            (Some(desired), Some((_, recorded))) => {
                match change::moved_place(&subject.case.id, desired, recorded) {
                    None => self.apply(context, subject, work, desired),
                    Some(place) => self.displaced(context, subject, work, desired, place),
                }
            }
            (Some(desired), None) => match left_elsewhere(context, subject, work, desired) {
                None => self.apply(context, subject, work, desired),
                Some(left) => self.after_leftover(context, subject, work, desired, left),
            },
        }
    }

    /// Proposes a deletion, unless something is under way there.
    pub(super) fn removal(
        &mut self,
        context: &Context,
        case: &Case,
        owner: &Case,
        work: &Work,
        released: Vec<Digest>,
    ) {
        let Some((name, component)) = work.recorded else { return };
        let seen = owner.live.get(name);
        let sight = Sight::of(seen, Some(component));
        let flight = owner.in_flight.get(name);
        let past = Past::of(Some(component), None, flight.is_some());
        let whole = case.desired.is_none();
        let commit = case.gone.as_ref().and_then(|g| g.commit.clone());
        let mut step = deletion(self.target(work.key.clone(), component), component);
        // As it is seen, whatever was recorded: a record may be older than what it tells of.
        (step.from, step.mark) = before(Some(component), seen);
        let locked = is_locked(component, seen);
        let end = match decide(Want::Gone, past, sight) {
            Verdict::Delete => Ok(Action::Delete),
            Verdict::Forget => Ok(Action::Forget),
            verdict @ (Verdict::NotObserved | Verdict::NotOurs | Verdict::Busy) => {
                Err(obstacle(verdict, seen, Some(retry::refused_until(context.situation.now))))
            }
            Verdict::Await => {
                if flight.is_some_and(|flight| flight.action != Action::Delete) {
                    let end = Ok(Action::Delete);
                    let removal = Removal { step, whole, commit, locked, end };
                    self.awaited.insert(work.key.clone(), removal);
                }
                return;
            }
            Verdict::Leave
            | Verdict::Create
            | Verdict::TakeUp
            | Verdict::Update
            | Verdict::CreateAgain
            | Verdict::Drift
            | Verdict::Adopt
            | Verdict::Stuck
            | Verdict::Clear => return,
        };
        step.released = released;
        if !whole && work.desired.is_none() {
            step.remarks.push(Remark::ComponentGone);
        }
        let look = TargetKey { request: owner.id.clone(), component: name.clone() };
        self.looks.insert((work.key.clone(), Lane::Remove), self.target(look, component));
        if seen.is_none() {
            self.unlooked.insert((work.key.clone(), Lane::Remove));
        }
        let end = waits(context, case, name).map_or(end, Err);
        let end = end.map_err(|reason| named(reason, &step.target));
        let removal = Removal { step, whole, commit, locked, end };
        self.removals.insert(work.key.clone(), removal);
    }

    /// Its place changed: a mistake more often than not, so that a person says that the target there
    /// goes and another comes.
    fn displaced(
        &mut self,
        context: &Context,
        subject: &Subject,
        work: &Work,
        desired: &DesiredComponent,
        place: &'static str,
    ) {
        let digest = place_digest(work, desired);
        if context.situation.approvals.contains(&digest) {
            return self.elsewhere(context, subject, work, desired, Some(digest));
        }
        if work.recorded.is_some_and(|(name, _)| subject.owner.in_flight.contains_key(name)) {
            return;
        }
        let setting = Some(place.into());
        let digest = Some(digest);
        let reason = HoldReason::LooksLikeAMove {
            other: None,
            also: Vec::new(),
            setting,
            digest,
            set: None,
            later: false,
        };
        self.block(work.key.clone(), Lane::Apply);
        self.hold(work.key.clone(), Some(Action::Replace), reason);
    }

    /// The target goes from where it is, and comes where it is desired: that is looked at, and
    /// planned again, once the first has gone.
    fn elsewhere(
        &mut self,
        context: &Context,
        subject: &Subject,
        work: &Work,
        desired: &DesiredComponent,
        approved: Option<Digest>,
    ) {
        if work.recorded.is_some_and(|(name, _)| subject.owner.in_flight.contains_key(name)) {
            return;
        }
        let released = approved.into_iter().collect();
        self.removal(context, subject.case, subject.owner, work, released);
        self.come_after(context, subject, work, desired);
    }

    fn apply(
        &mut self,
        context: &Context,
        subject: &Subject,
        work: &Work,
        desired: &DesiredComponent,
    ) {
        let recorded = work.recorded.map(|(_, component)| component);
        // What was seen of a target lies under its recorded name, with its record.
        let (from, name) = match work.recorded {
            Some((name, _)) => (subject.owner, name),
            None => (subject.case, &desired.name),
        };
        let seen = from.live.get(name);
        let sight = Sight::of(seen, recorded);
        let in_flight =
            from.in_flight.contains_key(name) || subject.case.in_flight.contains_key(&desired.name);
        let past = Past::of(recorded, Some(desired.digest), in_flight);
        let verdict = decide(Want::Present, past, sight);
        let guards = past == Past::Same && subject.is_unguarded(recorded, sight, seen);
        let answer = match guards {
            true => Some((Some(Action::Update), None)),
            false => subject.answer(verdict, past, seen, context.situation.now),
        };
        // What a change of ours failed at may have gone, or be stuck, also where its file asks for what
        // was there before.
        let has_failed = subject.case.retries.get(name).is_some_and(|retry| retry.ended);
        if let Some(recorded) = recorded.filter(|_| has_failed && seen.is_none()) {
            let key = TargetKey { request: from.id.clone(), component: name.clone() };
            self.failed.push(self.target(key, recorded));
        }
        let Some((action, held)) = answer else { return };
        let mut target = fresh_target(context, subject, work, desired);
        if let Some(recorded) = recorded {
            target.name.clone_from(&recorded.target);
            target.settings = change::settings(&subject.case.id, desired, Some(recorded));
            target.id.clone_from(&recorded.id);
        }
        let look_key = TargetKey { request: from.id.clone(), component: name.clone() };
        let look = match recorded {
            Some(recorded) => self.target(look_key, recorded),
            None => Target { key: look_key, ..target.clone() },
        };
        // What bears nobody's mark was locked by nobody of ours.
        let tried = subject.tried(name).filter(|_| verdict != Verdict::Adopt);
        let is_own = recorded.is_some_and(|r| r.guarded == Some(true))
            || tried.is_some_and(|left| left.record.protect);
        let locked = is_guarded(seen) && !is_own;
        let is_rubble = verdict == Verdict::Clear;
        let rubble = (is_rubble && !locked).then(|| rubble_digest(&look, seen));
        if rubble.is_some_and(|d| context.situation.approvals.contains(&d)) {
            return self.clear(context, subject, work, desired, (look, seen));
        }
        let waits = action.and_then(|_| waits(context, subject.case, name));
        // What is stuck is not mended by waiting.
        let held = match held {
            Some(HoldReason::Stuck { state, advice, error: _, digest: _ }) => {
                let failed = subject.case.retries.get(name).filter(|retry| retry.ended);
                let error = failed.map(|retry| retry.error.clone());
                let advice = if is_rubble && locked { lock(&look) } else { advice };
                Some(HoldReason::Stuck { state, advice, error, digest: rubble })
            }
            held => waits.or(held).map(|reason| named(reason, &look)),
        };
        if let Some(reason) = held {
            if action.is_some() {
                self.block(work.key.clone(), Lane::Apply);
            }
            if subject.case.retries.get(name).is_some_and(|retry| retry.ended) {
                self.failed.push(look);
            }
            return self.hold(work.key.clone(), action, reason);
        }
        let Some(action) = action else { return };
        self.looks.insert((work.key.clone(), Lane::Apply), look);
        if seen.is_none() {
            self.unlooked.insert((work.key.clone(), Lane::Apply));
        }
        let mut step = step(target, action);
        step.artifact = Some(desired.digest);
        if sight != Sight::Absent {
            (step.from, step.mark) = before(recorded, seen);
        }
        step.unknown.clone_from(&desired.unknown);
        step.locked = locked;
        let drifted = matches!(sight, Sight::Absent | Sight::Drifted);
        if let Some(recorded) = recorded.filter(|_| drifted) {
            step.remarks.push(Remark::Drifted(differences(recorded, seen)));
        }
        if verdict == Verdict::Adopt {
            step.remarks.push(Remark::Adopts);
        }
        if guards {
            step.remarks.push(Remark::Guards);
        }
        step.remarks.extend(subject.shift.remark.clone());
        if action != Action::Restore {
            step.remarks.extend(subject.ends().map(Remark::Ends));
        }
        step.released = subject.released(context);
        self.steps.insert((work.key.clone(), Lane::Apply), step);
    }

    /// What is left of an earlier try goes, and the target comes again: that is looked at, and
    /// planned again, once the first has gone. A person has said so, and nothing is lost by it, so
    /// that no guard of deletions is asked.
    fn clear(
        &mut self,
        context: &Context,
        subject: &Subject,
        work: &Work,
        desired: &DesiredComponent,
        (rubble, seen): (Target, Option<&Seen>),
    ) {
        let mut gone = step(Target { key: work.key.clone(), ..rubble.clone() }, Action::Delete);
        gone.from = mark(seen);
        gone.remarks.push(Remark::Rubble);
        gone.released.push(rubble_digest(&rubble, seen));
        for lane in [Lane::Remove, Lane::Apply] {
            self.looks.insert((work.key.clone(), lane), rubble.clone());
        }
        self.steps.insert((work.key.clone(), Lane::Remove), gone);
        self.come_after(context, subject, work, desired);
    }

    /// What a creation that failed may have left, of which no record tells and which nothing asks for
    /// any more: it goes, as what is left of a try always may. It never was of use to anybody, so that
    /// no guard of what is in use is asked: protection, references, the number of deletions. A lock that
    /// somebody put on it since is theirs to take off. `from` has the try, and what was seen of it: the
    /// former identity, after a move.
    pub(super) fn leftover(
        &mut self,
        context: &Context,
        case: &Case,
        from: &Case,
        name: &ComponentName,
        left: &Left,
    ) {
        let key = TargetKey { request: case.id.clone(), component: name.clone() };
        let seen = from.live.get(name);
        // What nobody has looked at may be there: it is looked at before anything is done.
        let sight = seen.map_or(Sight::Rubble, |_| Sight::of(seen, None));
        let in_flight = from.in_flight.contains_key(name);
        let past = if in_flight { Past::InFlight } else { Past::Begun };
        let until = Some(retry::refused_until(context.situation.now));
        let source = &left.record.origin.source;
        let doubt = context.situation.sources.get(source).cloned();
        let doubt = doubt.map(|problem| HoldReason::Source { source: source.clone(), problem });
        let locked = is_guarded(seen) && !left.record.protect;
        let held = || {
            let held = doubt.or_else(|| case.barred.clone());
            let held = held.or_else(|| locked.then(|| unmade_locked(&left.target, seen)));
            held.or_else(|| waits(context, from, name))
        };
        let (action, held) = match decide(Want::Gone, past, sight) {
            Verdict::Delete => (Action::Delete, held()),
            Verdict::Forget => (Action::Forget, None),
            verdict @ (Verdict::NotObserved | Verdict::Busy) => {
                (Action::Delete, Some(obstacle(verdict, seen, until)))
            }
            Verdict::Stuck => {
                let wanted = case.desired.as_ref().and_then(|d| d.spec());
                let is_wanted = wanted.is_some_and(|spec| spec.component(name).is_some());
                (Action::Delete, Some(unasked(&left.target, seen, is_wanted)))
            }
            Verdict::Await
            | Verdict::Leave
            | Verdict::Create
            | Verdict::TakeUp
            | Verdict::Update
            | Verdict::CreateAgain
            | Verdict::Drift
            | Verdict::NotOurs
            | Verdict::Adopt
            | Verdict::Clear => return,
        };
        let target = Target { key: key.clone(), ..left.target.clone() };
        let look_key = TargetKey { request: from.id.clone(), component: name.clone() };
        let look = Target { key: look_key, ..left.target.clone() };
        if let Some(reason) = held {
            // It is looked at all the same: it may be gone by now.
            self.failed.push(look);
            self.block(key.clone(), Lane::Remove);
            return self.hold(key, Some(action), reason);
        }
        self.looks.insert((key.clone(), Lane::Remove), look);
        if seen.is_none() {
            self.unlooked.insert((key.clone(), Lane::Remove));
        }
        let mut gone = step(target, action);
        gone.from = mark(seen);
        if action == Action::Delete {
            gone.remarks.push(Remark::Rubble);
        }
        self.steps.insert((key, Lane::Remove), gone);
    }

    /// What a creation that failed left where its file asked for it then goes, and the target comes
    /// where it is desired now: that is looked at, and planned again, once the first has gone. Nothing
    /// else remembers where that was, so that it is not begun elsewhere before.
    fn after_leftover(
        &mut self,
        context: &Context,
        subject: &Subject,
        work: &Work,
        desired: &DesiredComponent,
        (from, left): (&Case, &Left),
    ) {
        let name = &work.key.component;
        self.leftover(context, subject.case, from, name, left);
        if !from.in_flight.contains_key(name) {
            self.come_after(context, subject, work, desired);
        }
    }

    /// What is made once that which is there under its key has gone.
    fn come_after(
        &mut self,
        context: &Context,
        subject: &Subject,
        work: &Work,
        desired: &DesiredComponent,
    ) {
        let mut made = step(fresh_target(context, subject, work, desired), Action::Create);
        made.released = subject.released(context);
        made.artifact = Some(desired.digest);
        made.unknown.clone_from(&desired.unknown);
        self.steps.insert((work.key.clone(), Lane::Apply), made);
    }

    /// The record takes another key; the world is not touched.
    pub(super) fn rekey(&mut self, subject: &Subject, work: &Work) {
        let Some((name, component)) = work.recorded else { return };
        if subject.owner.in_flight.contains_key(name) {
            return;
        }
        let recorded =
            |request: &RequestId| TargetKey { request: request.clone(), component: name.clone() };
        let (old, new) = (recorded(&subject.owner.id), recorded(&subject.case.id));
        let changes = [(old, new.clone(), Lane::Move), (new, work.key.clone(), Lane::Rename)];
        for (former, key, lane) in changes.into_iter().filter(|(former, key, _)| former != key) {
            let mut step = step(self.target(key.clone(), component), Action::Move);
            step.moved_from = Some(former);
            self.steps.insert((key, lane), step);
        }
    }
}

impl Subject<'_> {
    /// What a creation of ours that failed may have left.
    fn tried(&self, name: &ComponentName) -> Option<&Left> {
        let cases = [self.case, self.owner];
        cases.into_iter().find_map(|case| case.retries.get(name)?.left.as_deref())
    }

    /// Whether a target that is as it was applied lacks its provider's own guard against deletion, and
    /// is to have it: a request may be protected long after it was applied.
    fn is_unguarded(
        &self,
        recorded: Option<&ComponentRecord>,
        sight: Sight,
        seen: Option<&Seen>,
    ) -> bool {
        let Some(recorded) = recorded.filter(|_| self.spec.protect) else { return false };
        let is_there = match sight {
            Sight::AsApplied => true,
            // What differs is reported only; what was applied is still its template.
            Sight::Drifted => {
                self.spec.on_drift == OnDrift::Report
                    && mark(seen) == Some(recorded.expected_mark())
            }
            Sight::Failed
            | Sight::Absent
            | Sight::Foreign
            | Sight::Unclaimed
            | Sight::Busy
            | Sight::Stuck
            | Sight::Rubble => false,
        };
        let guarded = match seen {
            Some(Seen::Observed(Observation::Present(live))) => live.guarded,
            Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_))
            | None => recorded.guarded,
        };
        is_there && guarded == Some(false)
    }

    /// The action that a verdict asks for, and what holds it; `None` when nothing is asked for.
    fn answer(
        &self,
        verdict: Verdict,
        past: Past,
        seen: Option<&Seen>,
        now: Timestamp,
    ) -> Option<(Option<Action>, Option<HoldReason>)> {
        let change = if self.shift.replace { Action::Replace } else { Action::Update };
        let action = match verdict {
            Verdict::Await | Verdict::Leave | Verdict::Delete | Verdict::Forget => return None,
            Verdict::Create => Action::Create,
            Verdict::TakeUp => Action::Update,
            Verdict::Update => change,
            Verdict::CreateAgain if past == Past::Same => Action::Restore,
            Verdict::CreateAgain => Action::Create,
            Verdict::Drift => match self.spec.on_drift {
                OnDrift::Report => return None,
                OnDrift::Revert => Action::Restore,
            },
            Verdict::Adopt if self.spec.adopt && trouble(seen).is_none() => Action::Update,
            Verdict::NotObserved
            | Verdict::NotOurs
            | Verdict::Busy
            | Verdict::Adopt
            | Verdict::Stuck
            | Verdict::Clear => {
                let pending = match past {
                    Past::Unrecorded | Past::Begun => Some(Action::Create),
                    Past::Other => Some(change),
                    Past::Same | Past::InFlight => None,
                };
                let until = pending.map(|_| retry::refused_until(now));
                let verdict = match trouble(seen) {
                    Some(trouble) if verdict == Verdict::Adopt && self.spec.adopt => trouble,
                    Some(_) | None => verdict,
                };
                return Some((pending, Some(obstacle(verdict, seen, until))));
            }
        };
        Some((Some(action), None))
    }
}

/// Why a target that was, or was not, seen so is left alone; with `until`, something would have been
/// done to it, and a refusal is tried again only then.
fn obstacle(verdict: Verdict, seen: Option<&Seen>, until: Option<Timestamp>) -> HoldReason {
    match (verdict, seen) {
        (_, Some(Seen::Refused(error))) => match until {
            Some(until) => HoldReason::Refused { error: error.clone(), until },
            None => HoldReason::NotObserved { error: error.clone() },
        },
        (_, Some(Seen::Failed(error))) => HoldReason::NotObserved { error: error.clone() },
        (Verdict::Busy, Some(Seen::Observed(Observation::Present(live)))) => {
            HoldReason::Busy { state: live.state.clone() }
        }
        (
            Verdict::Stuck | Verdict::Clear,
            Some(Seen::Observed(Observation::Present(Live { state, stuck: Some(stuck), .. }))),
        ) => HoldReason::Stuck {
            state: state.clone(),
            advice: stuck.advice.clone(),
            error: None,
            digest: None,
        },
        (_, Some(Seen::Observed(Observation::Present(live)))) => {
            let owner = match &live.owner {
                Owner::Other(owner) => Some(owner.clone()),
                Owner::Ours | Owner::Nobody => None,
            };
            // What was ours before is given back by whoever took the mark away.
            let adoptable = verdict == Verdict::Adopt && live.adoptable;
            HoldReason::NotOurs { owner, adoptable, name: None }
        }
        (_, None | Some(Seen::Observed(Observation::Absent))) => {
            HoldReason::NotObserved { error: String::new() }
        }
    }
}

/// What was begun and came to nothing is whole by now, or was before it got stuck, and nothing asks for it
/// there; `elsewhere`: its file asks for it at another place.
fn unasked(target: &Target, seen: Option<&Seen>, elsewhere: bool) -> HoldReason {
    let (state, stuck) = match seen {
        Some(Seen::Observed(Observation::Present(live))) => {
            (live.state.clone(), live.stuck.is_some())
        }
        Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_)) | None => {
            (String::new(), false)
        }
    };
    let since = match stuck {
        true => "it may have been of use since",
        false => "somebody has made it whole since",
    };
    let (asks, back) = match elsewhere {
        true => ("its file asks for it elsewhere now", "let the file say what it said"),
        false => ("no file asks for it any more", "put the file back"),
    };
    let advice = format!(
        "vend began `{}` and saw it fail, {since}, and {asks}: {back}, or delete it by hand",
        target.called()
    );
    HoldReason::Stuck { state, advice, error: None, digest: None }
}

/// With what it is called that stands there.
fn named(reason: HoldReason, target: &Target) -> HoldReason {
    match reason {
        HoldReason::NotOurs { owner, adoptable, name: _ } => {
            HoldReason::NotOurs { owner, adoptable, name: Some(target.called().to_owned()) }
        }
        reason => reason,
    }
}

/// What would be taken over is at work or stuck: the same holds it as if it were ours.
fn trouble(seen: Option<&Seen>) -> Option<Verdict> {
    match seen {
        Some(Seen::Observed(Observation::Present(live))) if live.busy => Some(Verdict::Busy),
        Some(Seen::Observed(Observation::Present(live))) if live.stuck.is_some() => {
            Some(Verdict::Stuck)
        }
        _ => None,
    }
}

/// What a person approves who says that the rest of an earlier try goes: that very one, so that
/// another failure asks again.
fn rubble_digest(target: &Target, seen: Option<&Seen>) -> Digest {
    let token = match seen {
        Some(Seen::Observed(Observation::Present(live))) => live.token.as_ref(),
        Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_)) | None => {
            None
        }
    };
    digest::of(&("rubble", &target.name, token, mark(seen)))
}

/// What holds a target back that failed before.
fn waits(context: &Context, case: &Case, name: &ComponentName) -> Option<HoldReason> {
    let retry = case.retries.get(name)?;
    let fingerprint = case.desired.as_ref().map(|d| d.fingerprint());
    retry::pending(context.situation.now, retry, fingerprint)
}

fn mark(seen: Option<&Seen>) -> Option<Digest> {
    match seen {
        Some(Seen::Observed(Observation::Present(live))) => live.digest,
        Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_)) | None => {
            None
        }
    }
}

/// What is there, by the digest of its text and by its mark where that is another one.
fn before(
    recorded: Option<&ComponentRecord>,
    seen: Option<&Seen>,
) -> (Option<Digest>, Option<Digest>) {
    match (recorded, mark(seen)) {
        (Some(recorded), found) if found.is_none_or(|m| m == recorded.expected_mark()) => {
            (Some(recorded.digest), recorded.mark)
        }
        (_, found) => (found, None),
    }
}

/// Whether the provider's own guard against deletion is on, and vend does not know that it turned it on: a
/// deletion must not take off what a person put there. On a stranger's it says nothing to us.
fn is_locked(recorded: &ComponentRecord, seen: Option<&Seen>) -> bool {
    let is_ours = matches!(seen, Some(Seen::Observed(Observation::Present(live))) if live.owner == Owner::Ours);
    is_ours && is_guarded(seen) && recorded.guarded != Some(true)
}

/// Whether the provider's own guard against deletion was seen on.
fn is_guarded(seen: Option<&Seen>) -> bool {
    match seen {
        Some(Seen::Observed(Observation::Present(live))) => live.guarded == Some(true),
        Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_)) | None => {
            false
        }
    }
}

/// What somebody locked of a try that came to nothing stays until they unlock it. No file can say that it
/// goes: none made it.
fn lock(target: &Target) -> String {
    format!(
        "vend began `{}` and saw it fail, and its termination protection is on, which vend did not turn \
         on: if it is to go, turn that off",
        target.called()
    )
}

fn unmade_locked(target: &Target, seen: Option<&Seen>) -> HoldReason {
    let state = match seen {
        Some(Seen::Observed(Observation::Present(live))) => live.state.clone(),
        Some(Seen::Observed(Observation::Absent) | Seen::Failed(_) | Seen::Refused(_)) | None => {
            String::new()
        }
    };
    HoldReason::Stuck { state, advice: lock(target), error: None, digest: None }
}

fn differences(recorded: &ComponentRecord, seen: Option<&Seen>) -> Vec<DriftItem> {
    match seen {
        Some(Seen::Observed(seen)) => drift_items(recorded, seen).unwrap_or_default(),
        Some(Seen::Failed(_) | Seen::Refused(_)) | None => Vec::new(),
    }
}

fn fresh_target(
    context: &Context,
    subject: &Subject,
    work: &Work,
    desired: &DesiredComponent,
) -> Target {
    // What was moved here or renamed kept the name it was made under: the same is not given twice.
    let own = || subject.owner.recorded.iter().flat_map(|record| record.components.values());
    let is_taken = |name: &TargetName| {
        subject.case.taken.contains(name) || own().any(|component| component.target == *name)
    };
    let instance = context.situation.instance;
    let mut names = (0..u32::MAX).map(|n| TargetName::nth(instance, &work.key, n));
    let free = names.find(|name| !is_taken(name));
    Target {
        name: free.unwrap_or_else(|| TargetName::compute(instance, &work.key)),
        key: work.key.clone(),
        instance: context.situation.instance.clone(),
        provider: desired.provider.clone(),
        settings: change::settings(&subject.case.id, desired, None),
        id: None,
    }
}

/// What a creation that failed may have left at another place than the one that is desired now, and who has
/// the try.
fn left_elsewhere<'a>(
    context: &Context,
    subject: &Subject<'a>,
    work: &Work,
    desired: &DesiredComponent,
) -> Option<(&'a Case, &'a Left)> {
    let left = |from: &'a Case| {
        let retry = from.retries.get(&work.key.component)?;
        Some((from, retry.left.as_deref()?))
    };
    let (from, left) = left(subject.case).or_else(|| left(subject.owner))?;
    let fresh = fresh_target(context, subject, work, desired);
    let at =
        |target: &Target| (target.provider.clone(), target.name.clone(), place(&target.settings));
    (at(&left.target) != at(&fresh)).then_some((from, left))
}

/// What a person approves who says that a changed place is meant: this target goes, that one comes.
fn place_digest(work: &Work, desired: &DesiredComponent) -> Digest {
    let places = |settings: &Map| -> Map {
        let at =
            LOCATION.into_iter().filter_map(|k| Some((k.to_owned(), settings.get(k)?.clone())));
        at.collect()
    };
    let recorded = work.recorded.map(|(_, r)| (&r.target, places(&r.settings)));
    digest::of(&("place", &work.key, recorded, places(&desired.settings)))
}

/// What takes a component away that is as it was recorded.
pub(super) fn deletion(target: Target, component: &ComponentRecord) -> Step {
    let mut step = step(target, Action::Delete);
    step.from = Some(component.digest);
    step.mark = component.mark;
    step
}

fn step(target: Target, action: Action) -> Step {
    Step {
        target,
        action,
        artifact: None,
        from: None,
        mark: None,
        moved_from: None,
        after: Vec::new(),
        unknown: Vec::new(),
        remarks: Vec::new(),
        preview: None,
        released: Vec::new(),
        needs: Vec::new(),
        locked: false,
    }
}
