//! What stands between a deletion and the world.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::{self, Digest};
use crate::model::{
    Action, Dependency, Hold, HoldReason, Record, RequestId, Revision, SourceName, Spec, TargetKey,
    Wanted,
};

use super::Context;
use super::draft::{Block, Draft, Lane, Removal};
use super::situation::Case;

/// What approvals of whole sets let go.
#[derive(Default)]
pub(super) struct Released {
    /// Each deletion, or request, of theirs.
    pub(super) steps: Vec<Digest>,
    /// The sets.
    pub(super) sets: Vec<Digest>,
}

/// Sends every proposed deletion past the guards: the source is in doubt, it looks like a move (whose
/// remedy is another than that of a deletion), protected, locked where it is, referenced, too many at once. What passes becomes a step, or is held by what was seen.
pub(super) fn deletions(context: &Context, draft: &mut Draft) {
    let removals = std::mem::take(&mut draft.removals);
    let (mut passed, mut held) = (BTreeMap::new(), Vec::new());
    // Of a request that goes as a whole nothing goes while part of it is locked.
    let is_locked = |(_, removal): &(&TargetKey, &Removal)| removal.whole && removal.locked;
    let locked = removals.iter().filter(is_locked).map(|(key, _)| key.request.clone());
    let locked: BTreeSet<RequestId> = locked.collect();
    for (key, removal) in removals {
        let is_locked = removal.locked || removal.whole && locked.contains(&key.request);
        match guard(context, &key, &removal, is_locked) {
            None => {
                passed.insert(key, removal);
            }
            Some(reason) => held.push((key, removal, reason)),
        }
    }
    let awaited = std::mem::take(&mut draft.awaited);
    let all = passed.iter().chain(&awaited);
    let is_gone = |case: &Case| case.desired.is_none() && case.recorded.is_some();
    let stopped = breaker(context, all, &is_gone, &mut draft.released);
    for (key, removal) in passed {
        let reason = stopped.get(&key.request).cloned();
        match (reason, removal.end.clone()) {
            (Some(reason), _) => held.push((key, removal, reason)),
            (None, Err(reason)) => {
                draft.block(key.clone(), Lane::Remove);
                draft.hold(key, Some(Action::Delete), reason);
            }
            (None, Ok(action)) => {
                let mut step = removal.step;
                step.action = action;
                draft.steps.insert((key, Lane::Remove), step);
            }
        }
    }
    // A request that is held as a whole says so once.
    let mut said = BTreeSet::new();
    for (key, removal, reason) in held {
        draft.blocked.insert((key.clone(), Lane::Remove), Block::Held);
        if !removal.whole {
            draft.hold(key, Some(Action::Delete), reason);
        } else if said.insert(key.request.clone()) {
            let request = key.request;
            let action = Some(Action::Delete);
            draft.holds.push(Hold { request, component: None, action, reason });
        }
    }
}

/// The guards that look at one deletion.
fn guard(
    context: &Context,
    key: &TargetKey,
    removal: &Removal,
    is_locked: bool,
) -> Option<HoldReason> {
    let case = context.cases.get(&key.request)?;
    let owner = context.moves.takes.get(&key.request).copied().unwrap_or(case);
    let record = owner.recorded.as_ref()?;
    let spec = case.desired.as_ref().and_then(|d| d.spec());
    doubtful_source(context, case, record)
        .or_else(|| case.barred.clone())
        .or_else(|| removal.whole.then(|| context.moves.held.get(&key.request).cloned()).flatten())
        .or_else(|| {
            let protected = is_protected(case, Some(record), spec);
            let locked = is_locked && !has_tombstone(case, Some(record), spec);
            (protected || locked).then_some(HoldReason::Protected { locked: !protected })
        })
        .or_else(|| {
            let by = match spec {
                None => standing(context, &key.request),
                Some(spec) => users_of(context, key, record, spec),
            };
            (!by.is_empty()).then_some(HoldReason::Referenced { by })
        })
}

/// Nothing is deleted from a source with any trouble: a fetch that failed must not read as empty.
fn doubtful_source(context: &Context, case: &Case, record: &Record) -> Option<HoldReason> {
    let now = case.desired.as_ref().map(|d| &d.origin.source);
    [Some(&record.origin.source), now].into_iter().flatten().find_map(|source| {
        let problem = context.situation.sources.get(source)?.clone();
        Some(HoldReason::Source { source: source.clone(), problem })
    })
}

/// Protection counts when either the record or the file has it; so that taking it away counts only
/// once it was recorded. The tombstone counts from either as well.
pub(super) fn is_protected(case: &Case, record: Option<&Record>, spec: Option<&Spec>) -> bool {
    let gone = case.gone.as_ref().filter(|_| case.desired.is_none());
    let protect = record.is_some_and(|r| r.protect)
        || gone.is_some_and(|g| g.protect)
        || spec.is_some_and(|s| s.protect);
    protect && !has_tombstone(case, record, spec)
}

/// What nobody has let through yet permits nothing.
fn has_tombstone(case: &Case, record: Option<&Record>, spec: Option<&Spec>) -> bool {
    let gone = case.gone.as_ref().filter(|_| case.desired.is_none());
    let is_said = gone.is_some_and(|g| g.tombstone) || spec.is_some_and(|s| s.tombstone);
    record.is_some_and(|r| r.tombstone) || is_said && case.barred.is_none()
}

/// The requests that reference this one and stay: not gone themselves, nor letting go of it now.
pub(super) fn standing(context: &Context, id: &RequestId) -> Vec<RequestId> {
    let mut by = (context.situation.dependents)(id);
    by.retain(|dependent| dependent != id && !leaves(context, dependent, id));
    by.sort();
    by.dedup();
    by
}

fn leaves(context: &Context, dependent: &RequestId, id: &RequestId) -> bool {
    let Some(case) = context.cases.get(dependent) else { return false };
    match &case.desired {
        // One whose record another request takes over stands under that name.
        None => {
            !context.moves.taken.contains_key(dependent) || {
                let new = context.moves.taken.get(dependent);
                new.is_some_and(|new| leaves(context, new, id))
            }
        }
        Some(desired) => {
            desired.spec().is_some_and(|spec| spec.references.values().all(|r| r.request != *id))
        }
    }
}

/// The requests that use an output which goes with this component.
fn users_of(context: &Context, key: &TargetKey, record: &Record, spec: &Spec) -> Vec<RequestId> {
    let lost = |(name, output): (&String, &crate::model::OutputSpec)| {
        output.component == key.component && !spec.outputs.contains_key(name)
    };
    if record.output_specs.iter().any(lost) { standing(context, &key.request) } else { Vec::new() }
}

/// The digest a deletion is approved by: whatever was seen of it, it counts as a deletion.
fn digest_of(removal: &Removal) -> Digest {
    removal.step.digest()
}

/// When one pass would delete from too many requests, or from all of a team's, none of them are
/// touched until a person approves that very set. A team's own excess holds that team's only.
///
/// What is held for passing reasons counts, and so does what goes once a change that is under way there
/// has ended: else an outage that ends little by little would let a large deletion through in small parts.
pub(super) fn breaker<'r>(
    context: &Context,
    passed: impl IntoIterator<Item = (&'r TargetKey, &'r Removal)>,
    is_pending: &dyn Fn(&Case) -> bool,
    released: &mut Released,
) -> BTreeMap<RequestId, HoldReason> {
    let approvals = context.situation.approvals;
    let mut open: BTreeMap<&RequestId, Vec<&Removal>> = BTreeMap::new();
    for (key, removal) in passed {
        if !approvals.contains(&digest_of(removal)) {
            open.entry(&key.request).or_default().push(removal);
        }
    }
    let mut stopped = BTreeMap::new();
    let guards = context.situation.guards;
    let totals = &context.situation.totals;
    let share = (guards.max_share * totals.recorded as f64) as u64;
    if open.len() as u64 > guards.max_deletes.max(share) {
        let all: Vec<_> = open.iter().map(|(id, r)| (*id, r.as_slice())).collect();
        stop(context, &all, None, released, &mut stopped);
        return stopped;
    }
    let mut teams: BTreeMap<&str, Vec<(&RequestId, &[&Removal])>> = BTreeMap::new();
    for (id, removals) in &open {
        // A request that only loses a component is not a request less.
        if removals.iter().any(|r| r.whole) {
            teams.entry(id.team()).or_default().push((id, removals));
        }
    }
    for (team, set) in teams {
        let recorded = totals.by_team.get(team).copied().unwrap_or_default();
        if recorded >= guards.team_min && set.len() as u64 >= recorded {
            stop(context, &set, Some(team), released, &mut stopped);
        }
    }
    // What comes meanwhile makes no set smaller, and neither does what else holds one of it: it waits until
    // somebody decides, or takes one back.
    let mut former: BTreeMap<(Digest, u64), Vec<_>> = BTreeMap::new();
    for (id, removals) in open.iter().filter(|(id, _)| !stopped.contains_key(**id)) {
        if let Some(set) = context.cases.get(*id).and_then(|case| case.stopped) {
            former.entry(set).or_default().push((*id, removals.as_slice()));
        }
    }
    for (set, members) in former {
        let is_of_it = |case: &&&Case| case.stopped == Some(set) && is_pending(case);
        if context.cases.values().filter(is_of_it).count() as u64 >= set.1 {
            stop(context, &members, None, released, &mut stopped);
        }
    }
    stopped
}

/// Holds a set of deletions, unless a person approved it.
fn stop(
    context: &Context,
    set: &[(&RequestId, &[&Removal])],
    team: Option<&str>,
    released: &mut Released,
    stopped: &mut BTreeMap<RequestId, HoldReason>,
) {
    let removals = || set.iter().flat_map(|(_, removals)| removals.iter());
    let mut digests: Vec<_> = removals().map(|r| digest_of(r)).collect();
    digests.sort_unstable();
    let digest = digest::of(&("deletions", &digests));
    if context.situation.approvals.contains(&digest) {
        released.steps.extend(digests);
        released.sets.push(digest);
        return;
    }
    let reason = HoldReason::TooManyDeletes {
        count: set.len() as u64,
        recorded: context.situation.totals.recorded,
        team: team.map(Into::into),
        commit: commonest(removals().filter_map(|r| r.commit.as_ref())),
        digest,
    };
    stopped.extend(set.iter().map(|(id, _)| ((*id).clone(), reason.clone())));
}

/// Requests that left one source for another together can be approved together.
pub(super) fn sources(context: &Context, draft: &mut Draft) {
    let mut sets: BTreeMap<(&SourceName, &SourceName), Vec<Digest>> = BTreeMap::new();
    for case in context.cases.values() {
        let (Some(record), Some(desired)) = (&case.recorded, &case.desired) else { continue };
        let Wanted::Waiting(HoldReason::LooksLikeAMove { setting, digest: Some(digest), .. }) =
            &desired.wanted
        else {
            continue;
        };
        if setting.as_deref() == Some("source") {
            let way = (&record.origin.source, &desired.origin.source);
            sets.entry(way).or_default().push(*digest);
        }
    }
    for mut digests in sets.into_values().filter(|digests| digests.len() > 1) {
        digests.sort_unstable();
        let whole = digest::of(&("sources", &digests));
        if context.situation.approvals.contains(&whole) {
            draft.released.steps.extend(digests);
            draft.released.sets.push(whole);
            continue;
        }
        for hold in &mut draft.holds {
            if let HoldReason::LooksLikeAMove { digest: Some(digest), set, .. } = &mut hold.reason
                && digests.binary_search(digest).is_ok()
            {
                *set = Some(whole);
            }
        }
    }
}

/// Those that look like one that vanished can be approved together.
pub(super) fn moves(context: &Context, draft: &mut Draft) {
    let Released { steps, sets } = &context.moves.sets;
    draft.released.steps.extend(steps);
    draft.released.sets.extend(sets);
}

/// The commit that removed the most; of several the smallest.
fn commonest<'a>(commits: impl Iterator<Item = &'a Revision>) -> Option<Revision> {
    let mut counts: BTreeMap<&Revision, u64> = BTreeMap::new();
    for commit in commits {
        *counts.entry(commit).or_default() += 1;
    }
    let most = counts.values().max().copied()?;
    counts.into_iter().find(|(_, n)| *n == most).map(|(commit, _)| commit.clone())
}

/// The hold of a deletion that has to wait for another request.
pub(super) fn waits_for(blocker: &TargetKey, block: Block, own: &RequestId) -> HoldReason {
    match block {
        Block::Held if blocker.request != *own => {
            HoldReason::Referenced { by: vec![blocker.request.clone()] }
        }
        Block::Held | Block::InFlight => {
            HoldReason::WaitingFor { dependency: Dependency::Target(blocker.clone()) }
        }
    }
}
