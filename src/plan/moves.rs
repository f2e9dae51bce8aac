//! Requests that took another name, and those that look as though they had.
//!
//! # Which requests look like one that vanished
//! A new request with the same template and parameters, in the same environment, since what was made cannot
//! follow to another:
//! - of the same team, or of the same name in another team's folder;
//! - of another team under another name only where there is none of those, and only when its file came to
//!   the branch with the very commits that took the old one.
//!
//! One that says that it moved from a name which nobody knows looks like each near one that vanished,
//! whatever it asks for: that name may be misspelt, or have come and gone between two passes.
//!
//! One whose file came later is another thing, and so is one that was there before, suspended or broken, and
//! that those commits left as it was: a rename is one change. Only where that change was held, as an
//! incomplete move, and none of what came with it is left, is what came later taken for its correction.
//! A file that cannot be read and that came later holds it too, and makes no incomplete move of it.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::{self, Digest};
use crate::model::{Diagnostic, HoldReason, Map, Place, Reference, RequestId, Spec, Wanted, quote};

use super::Cases;
use super::guard::Released;
use super::situation::{Case, Situation};

/// Who takes over whose record, and who has to wait until somebody says.
#[derive(Default)]
pub(super) struct Moves<'a> {
    /// New identity to the removed case whose record it takes.
    pub(super) takes: BTreeMap<RequestId, &'a Case>,
    /// Removed identity to the new one.
    pub(super) taken: BTreeMap<RequestId, RequestId>,
    /// Requests, new and removed, on which nothing is done.
    pub(super) held: BTreeMap<RequestId, HoldReason>,
    /// New ones that say that they were what nobody knows.
    astray: BTreeSet<RequestId>,
    /// Approvals that say of requests, new and removed, that they did not move.
    released: BTreeMap<RequestId, Vec<Digest>>,
    /// What approvals say of all that look like one that vanished: that it is none of them.
    pub(super) sets: Released,
}

/// Sorts the vanished and the new. Moving never destroys: in any doubt both are held.
pub(super) fn sort<'a>(situation: &Situation, cases: &Cases<'a>) -> Moves<'a> {
    let mut moves = Moves::default();
    let mut claims: BTreeMap<RequestId, Vec<&Case>> = BTreeMap::new();
    for case in cases.values() {
        let Some(spec) = valid(case) else { continue };
        let Some(said) = &spec.moved_from else { continue };
        match former(cases, said) {
            Some(old) if old.id != case.id => {
                claims.entry(old.id.clone()).or_default().push(case);
            }
            Some(_) => {}
            None => moves.still_standing(situation, cases, case, said),
        }
    }
    for (old, claimants) in claims {
        if let Some(old) = cases.get(&old) {
            moves.settle(situation, old, &claimants);
        }
    }
    moves.look_alikes(situation, cases);
    moves
}

fn valid(case: &Case) -> Option<&Spec> {
    case.desired.as_ref().and_then(|d| d.spec())
}

fn vanished(case: &Case) -> bool {
    case.desired.is_none() && case.recorded.is_some()
}

/// The removed and recorded request that `said` leads to, also over names that came and went between
/// two passes.
fn former<'a>(cases: &Cases<'a>, said: &RequestId) -> Option<&'a Case> {
    let mut seen = BTreeSet::new();
    let mut at = said;
    while seen.insert(at) {
        let case = cases.get(at)?;
        if case.desired.is_some() {
            return None;
        }
        if case.recorded.is_some() {
            return Some(case);
        }
        at = case.gone.as_ref()?.moved_from.as_ref()?;
    }
    None
}

impl<'a> Moves<'a> {
    /// The approvals without which a request would be held.
    pub(super) fn released(&self, id: &RequestId) -> Vec<Digest> {
        self.released.get(id).cloned().unwrap_or_default()
    }

    /// A new request names one that has not gone: it would be made a second time, which whoever
    /// wrote `movedFrom` did not mean. One that has its own record moved long ago.
    fn still_standing(
        &mut self,
        situation: &Situation,
        cases: &Cases,
        case: &Case,
        said: &RequestId,
    ) {
        if case.recorded.is_some() || *said == case.id {
            return;
        }
        let stands = match cases.get(said) {
            Some(old) => old.desired.is_some(),
            None => (situation.stands)(said),
        };
        if !stands {
            self.astray.insert(case.id.clone());
            return;
        }
        let reason = if said.environment() == case.id.environment() {
            looks_like(Some(said.clone()), None)
        } else {
            across_environments(case, said)
        };
        self.held.insert(case.id.clone(), reason);
    }

    fn settle(&mut self, situation: &Situation, old: &'a Case, claimants: &[&Case]) {
        let fresh: Vec<_> = claimants.iter().filter(|c| c.recorded.is_none()).collect();
        match fresh.as_slice() {
            [] => {
                // The claimant has a record of its own, which cannot take another.
                if let Some(new) = claimants.first() {
                    self.hold_pair(situation, old, new, false);
                }
            }
            [new] if new.id.environment() == old.id.environment() => {
                self.takes.insert(new.id.clone(), old);
                self.taken.insert(old.id.clone(), new.id.clone());
            }
            [new] => {
                self.held.insert(new.id.clone(), across_environments(new, &old.id));
                self.hold_old(old, &new.id, None);
            }
            several => {
                for new in several {
                    let others = several.iter().filter(|o| o.id != new.id).map(|o| &o.id);
                    self.held.insert(new.id.clone(), both_claim(new, &old.id, others));
                }
                self.hold_old(old, &several[0].id, None);
            }
        }
    }

    fn hold_old(&mut self, old: &Case, new: &RequestId, digest: Option<Digest>) {
        let reason = looks_like(Some(new.clone()), digest);
        self.held.entry(old.id.clone()).or_insert(reason);
    }

    /// Holds a removed request, and the new one where it is `new_too`, unless a person said that it
    /// is no move; whether it holds.
    fn hold_pair(&mut self, situation: &Situation, old: &Case, new: &Case, new_too: bool) -> bool {
        let digest = not_a_move(old, &new.id);
        if situation.approvals.contains(&digest) {
            // Whichever of the two is done first, the other is not asked about again.
            let both = std::iter::once(&old.id).chain(new_too.then_some(&new.id));
            both.for_each(|id| self.released.entry(id.clone()).or_default().push(digest));
            return false;
        }
        self.hold_old(old, &new.id, Some(digest));
        if new_too {
            let reason = looks_like(Some(old.id.clone()), Some(digest));
            self.held.entry(new.id.clone()).or_insert(reason);
        }
        true
    }

    /// Holds a removed request and all that look like it. Of several nobody can tell which it is but a
    /// person, who needs one word to say that it is none.
    fn hold_alike(&mut self, situation: &Situation, old: &Case, alike: &[&Case]) {
        // Of all of them, also those that were approved alone: whoever said both said this too.
        let mut digests: Vec<_> = alike.iter().map(|new| not_a_move(old, &new.id)).collect();
        digests.sort_unstable();
        let all = digest::of(&("not-moves", &digests));
        if alike.len() > 1 && situation.approvals.contains(&all) {
            self.sets.steps.extend(digests);
            self.sets.sets.push(all);
            return;
        }
        let held = alike.iter().filter(|new| self.hold_pair(situation, old, new, true));
        let held: Vec<&RequestId> = held.map(|new| &new.id).collect();
        let [first, rest @ ..] = held.as_slice() else { return };
        if rest.is_empty() {
            return;
        }
        if let Some(HoldReason::LooksLikeAMove { other, also, set, .. }) =
            self.held.get_mut(&old.id).filter(|reason| names(reason, first))
        {
            *other = Some((*first).clone());
            *also = rest.iter().copied().cloned().collect();
            *set = Some(all);
        }
    }

    /// One vanished and one like it appeared; or one appeared beside it that cannot be read yet, so
    /// that nobody can tell.
    fn look_alikes(&mut self, situation: &Situation, cases: &Cases) {
        // Telling what is alike costs a digest for each that is new.
        if !cases.values().any(|case| vanished(case)) {
            return;
        }
        let mut alike: BTreeMap<Digest, Vec<&Case>> = BTreeMap::new();
        let mut astray: Vec<&Case> = Vec::new();
        let mut unreadable: BTreeMap<(&str, Like), Vec<&Case>> = BTreeMap::new();
        for case in cases.values().filter(|c| c.recorded.is_none()) {
            match case.desired.as_ref().map(|d| &d.wanted) {
                None => {}
                Some(Wanted::Valid(_)) if self.takes.contains_key(&case.id) => {}
                Some(Wanted::Valid(_)) if self.astray.contains(&case.id) => astray.push(case),
                Some(Wanted::Valid(spec)) => {
                    let shape = shape(&spec.template.name, &spec.parameters, &spec.references);
                    alike.entry(shape).or_default().push(case);
                }
                Some(wanted @ (Wanted::Invalid(_) | Wanted::Waiting(_))) => {
                    let team = case.id.team();
                    let mut likes = whereabouts(&case.id).to_vec();
                    likes.extend(says_it_moved(wanted).then_some(Like::Said));
                    for like in likes {
                        unreadable.entry((team, like)).or_default().push(case);
                    }
                }
            }
        }
        for old in cases.values().filter(|case| vanished(case)) {
            if self.taken.contains_key(&old.id) {
                continue;
            }
            let Some(record) = &old.recorded else { continue };
            let shape = shape(&record.template.name, &record.parameters, &record.references);
            let mut may_be = astray.clone();
            may_be.extend(alike.get(&shape).into_iter().flatten());
            let likes = whereabouts(&old.id).into_iter().chain([Like::Said]);
            let unread = likes.filter_map(|like| unreadable.get(&(old.id.team(), like))).flatten();
            let unread: Vec<&Case> =
                unread.copied().filter(|new| !stood_beside(old, new)).collect();
            // What holds it in this very pass counts as what did in the last one: how often it was planned
            // makes no difference.
            let is_half = |new: &&Case| {
                !is_later(old, new) && !situation.approvals.contains(&not_a_move(old, &new.id))
            };
            let is_incomplete =
                old.may_have_moved || self.held.contains_key(&old.id) || unread.iter().any(is_half);
            self.hold_alike(situation, old, &nearest(old, &may_be, is_incomplete));
            let is_alike = self.held.contains_key(&old.id);
            for new in unread {
                self.hold_pair(situation, old, new, false);
            }
            if !is_incomplete
                && !is_alike
                && let Some(HoldReason::LooksLikeAMove { later, .. }) = self.held.get_mut(&old.id)
            {
                *later = true;
            }
        }
    }
}

/// Whether the file of a new request was there, as it is, while that of the vanished one still was.
fn stood_beside(old: &Case, new: &Case) -> bool {
    let gone_at = old.gone.as_ref().and_then(|gone| gone.commit.as_ref());
    gone_at.is_some_and(|at| new.untouched.contains(at))
}

/// Whether the file of a new request came after that of the vanished one had gone.
fn is_later(old: &Case, new: &Case) -> bool {
    let gone_at = old.gone.as_ref().and_then(|gone| gone.commit.as_ref());
    gone_at.is_some_and(|at| new.later.contains(at))
}

/// Those of the same shape that may be what became of a request; see the module.
fn nearest<'a>(old: &Case, alike: &[&'a Case], is_incomplete: bool) -> Vec<&'a Case> {
    let (id, record) = (&old.id, old.recorded.as_ref());
    let gone_at = old.gone.as_ref().and_then(|gone| gone.commit.as_ref());
    let is_near = |new: &Case| new.id.team() == id.team() || new.id.name() == id.name();
    let shares_source = |new: &Case| {
        let source = new.desired.as_ref().map(|desired| &desired.origin.source);
        gone_at.is_some() && source == record.map(|record| &record.origin.source)
    };
    let may_be = |new: &&Case| new.id.environment() == id.environment() && !stood_beside(old, new);
    let here: Vec<&Case> = alike.iter().copied().filter(may_be).collect();
    let of = |test: &dyn Fn(&Case) -> bool| -> Vec<&'a Case> {
        here.iter().copied().filter(|new| test(new)).collect()
    };
    let came_with_it = of(&|new| is_near(new) && !is_later(old, new));
    if !came_with_it.is_empty() {
        return came_with_it;
    }
    let of_others = of(&|new| shares_source(new) && !is_later(old, new));
    if !of_others.is_empty() || !is_incomplete {
        return of_others;
    }
    of(&is_near)
}

fn names(reason: &HoldReason, id: &RequestId) -> bool {
    matches!(reason, HoldReason::LooksLikeAMove { other: Some(other), .. } if other == id)
}

/// By what a request that cannot be read may be one of its team's that vanished.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Like<'a> {
    Environment(&'a str),
    Name(&'a str),
    /// Its file says that it moved, from where nothing can move to it.
    Said,
}

fn whereabouts(id: &RequestId) -> [Like<'_>; 2] {
    [Like::Environment(id.environment()), Like::Name(id.name())]
}

fn says_it_moved(wanted: &Wanted) -> bool {
    matches!(wanted, Wanted::Invalid(problems) if problems.iter().any(|p| p.code == "REQ005"))
}

/// What makes two requests alike: the template and what fills it. A value that another request gives
/// is compared by where it comes from, since the value may not be known yet.
fn shape(template: &str, parameters: &Map, references: &BTreeMap<String, Reference>) -> Digest {
    let own: BTreeMap<_, _> =
        parameters.iter().filter(|(name, _)| !references.contains_key(*name)).collect();
    digest::of(&(template, own, references))
}

/// What a person approves who says that a vanished request and another are two different things.
fn not_a_move(old: &Case, new: &RequestId) -> Digest {
    let targets: Vec<_> = old
        .recorded
        .iter()
        .flat_map(|record| record.components.values())
        .map(|component| (&component.target, component.digest))
        .collect();
    digest::of(&("not-a-move", &old.id, new, targets))
}

fn looks_like(other: Option<RequestId>, digest: Option<Digest>) -> HoldReason {
    HoldReason::LooksLikeAMove {
        other,
        also: Vec::new(),
        setting: None,
        digest,
        set: None,
        later: false,
    }
}

fn across_environments(case: &Case, old: &RequestId) -> HoldReason {
    let message = format!(
        "`movedFrom` names {}, which is in another environment: what it made cannot follow",
        quote(old.as_str())
    );
    refuse(case, "MOV002", message, "remove `movedFrom`, or keep the environment")
}

fn both_claim<'b>(
    case: &Case,
    old: &RequestId,
    others: impl Iterator<Item = &'b RequestId>,
) -> HoldReason {
    let others: Vec<_> = others.map(|id| quote(id.as_str())).collect();
    let message = format!(
        "{} says `movedFrom: {}`, and so does this request",
        others.join(", "),
        quote(old.as_str()).trim_matches('`')
    );
    refuse(case, "MOV001", message, "keep `movedFrom` in one of them")
}

fn refuse(case: &Case, code: &'static str, message: String, help: &str) -> HoldReason {
    let path = case.desired.as_ref().map(|d| d.origin.path.clone()).unwrap_or_default();
    let problem = Diagnostic::error(code, Place::file(path), message).help(help);
    HoldReason::Invalid { problems: vec![problem] }
}
