//! Whose yes what a merge brought takes, where that is more than was reviewed: a rule asks its team for some of its
//! requests, and the rest is for who may write. What the same people are asked for is approved by itself, so that
//! nobody has to be both and nobody approves what they may not.

use std::collections::{BTreeMap, BTreeSet};

use super::kept::Shown;
use super::passage::{asked_of, compare, shown_now};
use crate::digest::Digest;
use crate::model::{Apart, Bound, Changed, Hold, HoldReason, Pull, RequestId, Requirement};
use crate::reconcile::review::Reviewed;

/// Requests of one merge, by who is asked for them, with what would be done to them now.
pub(super) struct Parts(Vec<(BTreeSet<RequestId>, Shown)>);

/// What would be done now to these requests of one merge that is more than was `reviewed`, by who is asked for that.
/// A part that is as it was reviewed asks nobody, whatever the others come to.
pub(super) fn apart(
    reviewed: Option<&Shown>,
    now: &Reviewed,
    ids: &BTreeSet<RequestId>,
    pull: &Pull,
) -> Parts {
    let mut by: BTreeMap<_, BTreeSet<RequestId>> = BTreeMap::new();
    for id in ids {
        let people = required(now, id).into_iter().map(|need| {
            let teams: BTreeSet<String> = need.teams.into_iter().collect();
            (teams, need.count)
        });
        by.entry(people.collect::<BTreeSet<_>>()).or_default().insert(id.clone());
    }
    let part = |ids: BTreeSet<RequestId>| {
        let shown = said(now, &ids, pull);
        (ids, shown)
    };
    let is_more =
        |(ids, shown): &(BTreeSet<RequestId>, Shown)| compare(reviewed, now, ids, shown).is_some();
    Parts(by.into_values().map(part).filter(is_more).collect())
}

/// What would be done now to some requests of one merge.
fn said(now: &Reviewed, ids: &BTreeSet<RequestId>, pull: &Pull) -> Shown {
    shown_now(now, ids).of_merge(pull, &asked_of(now, ids))
}

impl Parts {
    /// All of it, for people; `None`: there is nothing more than was reviewed.
    pub(super) fn changed(
        &self,
        reviewed: Option<&Shown>,
        now: &Reviewed,
        pull: &Pull,
    ) -> Option<Changed> {
        let ids = self.0.iter().flat_map(|(ids, _)| ids).cloned().collect();
        let all = said(now, &ids, pull);
        let changed = compare(reviewed, now, &ids, &all)?;
        Some(Changed { apart: self.told(), ..changed })
    }

    /// For people; empty where the same are asked for all of it.
    fn told(&self) -> Vec<Apart> {
        if self.0.len() < 2 {
            return Vec::new();
        }
        let told = |(ids, shown): &(BTreeSet<RequestId>, Shown)| Apart {
            now: shown.digest,
            requests: ids.iter().cloned().collect(),
            given: false,
        };
        self.0.iter().map(told).collect()
    }

    /// What a person may approve of a request, with the part that it is of; `None`: it is as it was reviewed.
    pub(super) fn bound(&self, now: &Reviewed, id: &RequestId) -> Option<Bound> {
        let (_, shown) = self.0.iter().find(|(ids, _)| ids.contains(id))?;
        let takeover = takeovers(now, id).map(|(digest, _)| digest).next();
        Some(Bound { needs: required(now, id), takeover, ..shown.bound(id) })
    }
}

/// What rules ask for of a request's steps, and of another version that takes over without one: each once.
///
/// Of what else its file says no rule is asked: rules bind what is done, and ask when that is to be.
fn required(now: &Reviewed, id: &RequestId) -> Vec<Requirement> {
    let steps = now.released.steps.iter().filter(|step| step.target.key.request == *id);
    let takeovers = takeovers(now, id).flat_map(|(_, needs)| needs);
    let mut all: Vec<Requirement> = Vec::new();
    for need in steps.flat_map(|step| &step.needs).chain(takeovers) {
        let need = Requirement { had: Vec::new(), ..need.clone() };
        if !all.contains(&need) {
            all.push(need);
        }
    }
    all
}

/// What is asked where another template or an older version takes over a request, and what rules ask for of that.
fn takeovers<'a>(
    now: &'a Reviewed,
    id: &'a RequestId,
) -> impl Iterator<Item = (Digest, &'a [Requirement])> {
    let is_mine = |hold: &&Hold| hold.request == *id && hold.component.is_none();
    now.plan.holds.iter().filter(is_mine).filter_map(|hold| match &hold.reason {
        HoldReason::NeedsApproval { digest, needs, .. } => Some((*digest, needs.as_slice())),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{PullState, Revision};

    #[test]
    fn a_yes_to_what_is_only_recorded_is_one_for_no_other_request() {
        let state = PullState::Merged {
            commit: Revision::new("1"),
            at: jiff::Timestamp::UNIX_EPOCH,
            by: None,
        };
        let pull = Pull {
            number: 1,
            title: String::new(),
            author: String::new(),
            author_id: None,
            head: Revision::new("0"),
            base: "main".into(),
            fork: false,
            draft: false,
            state,
            updated: jiff::Timestamp::UNIX_EPOCH,
            url: String::new(),
        };
        let asked = |name: &str| {
            let ids = BTreeSet::from([RequestId::parse(name).unwrap()]);
            said(&Reviewed::default(), &ids, &pull).digest
        };
        // Neither has a step, nor terms that are not as recorded.
        assert_ne!(asked("a/dev/one"), asked("a/dev/other"));
        assert_eq!(asked("a/dev/one"), asked("a/dev/one"));
    }
}
