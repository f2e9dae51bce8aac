//! What rules ask of a plan: which steps wait until enough people of the right teams said yes.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::model::{
    Approval, Dependency, Hold, HoldReason, Plan, RequestId, Requirement, Settle, Step, TargetKey,
};

/// What rules say of the steps of one request.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Ruling {
    /// Nothing of it may be done now.
    pub hold: Option<HoldReason>,
    /// Who has to say yes to what is done.
    pub needs: Vec<Requirement>,
}

/// The plan with what rules ask of it. With `hold`, what rules stop, or nobody has said yes to, is held,
/// and all that comes after it waits; else it is only noted at the steps. `given` tells who approved.
///
/// An approval is of a step's digest: of another effect it is none.
pub fn require<'a>(
    mut plan: Plan,
    rulings: &BTreeMap<RequestId, Ruling>,
    given: &dyn Fn(&Digest) -> &'a [Approval],
    hold: bool,
) -> Plan {
    if rulings.is_empty() {
        return plan;
    }
    for hold in plan.holds.iter_mut().filter(|hold| asks_once(hold)) {
        // Who is asked about what would be lost, or is more than was reviewed, is asked once, with what
        // rules ask for of the same step.
        let (digest, needs) = match &mut hold.reason {
            HoldReason::NeedsApproval { digest, needs, .. } => (digest, needs),
            HoldReason::PlanChanged { now, needs, .. } => (now, needs),
            _ => continue,
        };
        if let Some(ruling) = rulings.get(&hold.request) {
            *needs = unmet(&with_approvers(&ruling.needs, given(digest)));
        }
    }
    let unasked = taken_over(&mut plan, rulings, given);
    let mut held: BTreeSet<TargetKey> = BTreeSet::new();
    let mut steps = Vec::with_capacity(plan.steps.len());
    for mut step in plan.steps {
        let key = step.target.key.clone();
        let before = step.after.iter().find(|before| held.contains(before));
        let reason = match (before, rulings.get(&key.request)) {
            (Some(before), _) => {
                Some(HoldReason::WaitingFor { dependency: Dependency::Target(before.clone()) })
            }
            (None, Some(ruling)) if step.action.touches_the_world() => {
                let digest = step.digest();
                step.needs = with_approvers(&ruling.needs, given(&digest));
                // What is not ready is asked about when its turn comes.
                stopped(&step, ruling, digest).filter(|_| hold && step.is_ready())
            }
            (None, _) => None,
        };
        match reason {
            Some(reason) => {
                let (request, component) = (key.request.clone(), Some(key.component.clone()));
                plan.holds.push(Hold { request, component, action: Some(step.action), reason });
                held.insert(key);
            }
            None => steps.push(step),
        }
    }
    plan.steps = steps;
    let unasked: Vec<Hold> = unasked.into_iter().filter(|_| hold).collect();
    if !held.is_empty() || !unasked.is_empty() {
        let whose = held.iter().map(|key| &key.request);
        let whose: BTreeSet<_> = whose.chain(unasked.iter().map(|hold| &hold.request)).collect();
        plan.settle.retain(|settle| !whose.contains(&settle.request));
        plan.holds.extend(unasked.iter().cloned());
        plan.holds.sort_by(|a, b| {
            let key = |h: &Hold| (h.request.clone(), h.component.clone(), h.reason.name());
            key(a).cmp(&key(b))
        });
    }
    plan
}

/// Whether a person is asked about an older version or another template that changes no step: rules ask their people
/// with the same question, as they do of a step.
pub fn asks_of_takeover(hold: &Hold) -> bool {
    let is_asked =
        matches!(&hold.reason, HoldReason::NeedsApproval { lost, .. } if lost.is_empty());
    is_asked && hold.component.is_none() && hold.action.is_none()
}

/// Says whose word it takes that another version takes over without a step; the holds of those that somebody approved
/// whose word is not enough.
fn taken_over<'a>(
    plan: &mut Plan,
    rulings: &BTreeMap<RequestId, Ruling>,
    given: &dyn Fn(&Digest) -> &'a [Approval],
) -> Vec<Hold> {
    for hold in plan.holds.iter_mut().filter(|hold| asks_of_takeover(hold)) {
        let HoldReason::NeedsApproval { digest, needs, .. } = &mut hold.reason else { continue };
        if let Some(ruling) = rulings.get(&hold.request) {
            *needs = unmet(&with_approvers(&ruling.needs, given(digest)));
        }
    }
    let lacking = |settle: &Settle| {
        let (digest, ruling) = (settle.takeover?, rulings.get(&settle.request)?);
        let needs = unmet(&with_approvers(&ruling.needs, given(&digest)));
        let asked = (!needs.is_empty()).then(|| asked(digest, needs));
        let reason = ruling.hold.clone().or(asked)?;
        let (request, component, action) = (settle.request.clone(), None, None);
        Some(Hold { request, component, action, reason })
    };
    plan.settle.iter().filter_map(lacking).collect()
}

fn stopped(step: &Step, ruling: &Ruling, digest: Digest) -> Option<HoldReason> {
    if let Some(reason) = &ruling.hold {
        return Some(reason.clone());
    }
    let unmet = unmet(&step.needs);
    (!unmet.is_empty()).then(|| asked(digest, unmet))
}

fn asked(digest: Digest, needs: Vec<Requirement>) -> HoldReason {
    let (lost, void) = (Vec::new(), Vec::new());
    HoldReason::NeedsApproval { digest, lost, preview: None, needs, void }
}

fn unmet(needs: &[Requirement]) -> Vec<Requirement> {
    needs.iter().filter(|need| !need.is_met()).cloned().collect()
}

/// Whether a hold is about a step of which rules may ask something too: then both are asked at once.
pub fn asks_once(hold: &Hold) -> bool {
    let reason = &hold.reason;
    let asks = matches!(reason, HoldReason::NeedsApproval { lost, .. } if !lost.is_empty());
    hold.component.is_some() && (asks || matches!(reason, HoldReason::PlanChanged { .. }))
}

/// Each person counts once. The operator's word counts for any team; what is only assumed to be
/// approved bears nobody's name, and counts for nobody.
fn with_approvers(needs: &[Requirement], approvals: &[Approval]) -> Vec<Requirement> {
    let counts = |need: &Requirement, approval: &Approval| match &approval.teams {
        None => true,
        Some(teams) => teams.iter().any(|team| need.teams.contains(team)),
    };
    let needs = needs.iter().map(|need| {
        let named = approvals.iter().filter(|a| !a.by.is_empty());
        // Whoever took another name is the same person.
        let mut accounts = BTreeSet::new();
        let counted = named.filter(|a| counts(need, a));
        let people = counted.filter(|a| a.by_id.is_none_or(|id| accounts.insert(id)));
        let had: BTreeSet<String> = people.map(|a| a.by.clone()).collect();
        Requirement { had: had.into_iter().collect(), ..need.clone() }
    });
    needs.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::model::Place;
    use jiff::Timestamp;

    fn need(teams: &[&str], count: u32) -> Requirement {
        Requirement {
            rule: "true".into(),
            place: Place::file("environments/dev.yaml"),
            teams: teams.iter().map(|team| (*team).to_owned()).collect(),
            count,
            reason: None,
            had: Vec::new(),
            undecided: None,
        }
    }

    /// `by`, for these teams; an operator's word is for any.
    fn yes(by: &str, teams: Option<&[&str]>) -> Approval {
        let teams = teams.map(|teams| teams.iter().map(|team| (*team).to_owned()).collect());
        let (digest, at) = (sha256(b"step"), Timestamp::UNIX_EPOCH);
        Approval { digest, by: by.into(), by_id: None, teams, at }
    }

    fn met(needs: &[Requirement], approvals: &[Approval]) -> Vec<(bool, usize)> {
        let counted = with_approvers(needs, approvals);
        counted.iter().map(|need| (need.is_met(), need.had.len())).collect()
    }

    #[test]
    fn two_are_two_people_and_not_one_of_two_teams_or_one_twice() {
        let both = [need(&["platform", "security"], 2)];
        let edsger = yes("edsger", Some(&["platform", "security"]));
        assert_eq!(met(&both, &[]), [(false, 0)]);
        assert_eq!(met(&both, &[edsger.clone(), edsger.clone()]), [(false, 1)]);
        let renamed = |by| Approval { by_id: Some(1), ..yes(by, Some(&["platform"])) };
        assert_eq!(met(&both, &[renamed("edsger"), renamed("ewd")]), [(false, 1)]);
        let barbara = yes("barbara", Some(&["security"]));
        assert_eq!(met(&both, &[edsger, barbara]), [(true, 2)]);
    }

    #[test]
    fn a_yes_counts_for_the_teams_it_was_given_for_and_an_operators_for_any() {
        let needs = [need(&["platform"], 1), need(&["security"], 1)];
        let one = yes("edsger", Some(&["platform"]));
        assert_eq!(met(&needs, &[one]), [(true, 1), (false, 0)]);
        let nobody = yes("set", Some(&[]));
        assert_eq!(met(&needs, &[nobody]), [(false, 0), (false, 0)]);
        assert_eq!(met(&needs, &[yes("root", None)]), [(true, 1), (true, 1)]);
    }
}
