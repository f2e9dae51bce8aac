//! What previews say to a plan: which steps lose something that nobody could have known of.
//!
//! # Guarantees
//! - A step that loses resources is done only when a person approved that very loss, or the settings
//!   say that nobody needs to be asked.
//! - What a preview adds to a step is part of its digest only as far as something is lost by it.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::model::{
    Action, Dependency, Hold, HoldReason, Plan, Preview, Previewed, Remark, ResourceAction,
    ResourceChange, Step, TargetKey,
};

/// What became of asking what a step would do.
#[derive(Clone, PartialEq, Debug)]
pub enum Foretold {
    /// The provider said.
    Preview(Preview, Previewed),
    /// It did not, and nothing is done unseen.
    Held(HoldReason),
}

/// Whether a step's effect is asked for before it is begun: it changes what is there. What a
/// creation makes and a deletion takes along hides nothing from a reviewer, and is `asked` for by
/// people only: two hundred creations are not two hundred previews.
pub fn wants_preview(step: &Step, asked: bool) -> bool {
    match step.action {
        Action::Update | Action::Replace | Action::Restore => step.is_ready(),
        Action::Create | Action::Delete => asked && step.is_ready(),
        Action::Forget | Action::Move => false,
    }
}

/// The plan with what was foretold. With `ask`, what loses more than the files say waits for a
/// person, and all that comes after it waits too.
pub fn assess(
    mut plan: Plan,
    foretold: &BTreeMap<TargetKey, Foretold>,
    approvals: &BTreeSet<Digest>,
    ask: bool,
) -> Plan {
    let mut held: BTreeSet<TargetKey> = BTreeSet::new();
    let mut steps = Vec::with_capacity(plan.steps.len());
    for mut step in plan.steps {
        let key = step.target.key.clone();
        // In the plan's order, what a step comes after has been assessed before it.
        let reason = match step.after.iter().find(|before| held.contains(before)) {
            Some(before) => {
                Some(HoldReason::WaitingFor { dependency: Dependency::Target(before.clone()) })
            }
            None => match foretold.get(&key).filter(|_| wants_preview(&step, true)) {
                // It goes all the same: who cannot see what goes along must not read that it stays.
                Some(Foretold::Held(_)) if step.action == Action::Delete => None,
                Some(Foretold::Held(reason)) => Some(reason.clone()),
                Some(Foretold::Preview(preview, previewed)) => {
                    step.preview = Some(preview.clone());
                    question(&step, previewed, approvals).filter(|_| ask)
                }
                None => None,
            },
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
    if !held.is_empty() {
        plan.settle.retain(|settle| !held.iter().any(|key| key.request == settle.request));
        plan.holds.sort_by(|a, b| {
            let key = |h: &Hold| (h.request.clone(), h.component.clone(), h.reason.name());
            key(a).cmp(&key(b))
        });
    }
    plan
}

/// What a person has to be asked about a step.
fn question(
    step: &Step,
    previewed: &Previewed,
    approvals: &BTreeSet<Digest>,
) -> Option<HoldReason> {
    let unforeseen = |r: &&ResourceChange| r.loses() && !is_known(step, r.action);
    let resources = || step.preview.iter().flat_map(|p| &p.resources);
    resources().find(unforeseen)?;
    let digest = step.digest();
    // Of what is not lost, and of values, a hold says nothing.
    let lost = resources().filter(|r| r.loses()).map(|resource| ResourceChange {
        cause: resource.why(),
        properties: Vec::new(),
        ..resource.clone()
    });
    (!approvals.contains(&digest)).then(|| HoldReason::NeedsApproval {
        digest,
        lost: lost.collect(),
        preview: Some(previewed.clone()),
        needs: Vec::new(),
        void: Vec::new(),
    })
}

/// Whether the files alone say that something like this is lost: the target itself goes, the schema
/// calls the changed parameter one that replaces, or another template takes over, which has an
/// approval of its own.
fn is_known(step: &Step, action: ResourceAction) -> bool {
    let swaps = step.remarks.iter().any(|r| matches!(r, Remark::Swap { .. }));
    let deletes = step.action == Action::Delete;
    let anew = matches!(action, ResourceAction::Replace | ResourceAction::MayReplace);
    deletes || swaps || (step.action == Action::Replace && anew)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::model::{
        ComponentName, InstanceId, Map, PropertyChange, Recreates, RequestId, Target, TargetName,
    };
    use jiff::Timestamp;

    fn key(request: &str) -> TargetKey {
        let request = RequestId::parse(request).unwrap();
        TargetKey { request, component: ComponentName::new("main") }
    }

    fn step(request: &str, action: Action, after: &[&str]) -> Step {
        let (instance, key) = (InstanceId::new("i"), key(request));
        Step {
            target: Target {
                name: TargetName::compute(&instance, &key),
                key,
                instance,
                provider: "cloudformation".into(),
                settings: Map::new(),
                id: None,
            },
            action,
            artifact: Some(sha256(b"new")),
            from: None,
            mark: None,
            moved_from: None,
            after: after.iter().map(|a| self::key(a)).collect(),
            unknown: Vec::new(),
            remarks: Vec::new(),
            preview: None,
            released: Vec::new(),
            needs: Vec::new(),
            locked: false,
        }
    }

    fn resource(name: &str, action: ResourceAction) -> ResourceChange {
        let property = PropertyChange {
            path: "QueueName".into(),
            before: Some("a".into()),
            after: Some("b".into()),
            recreates: Recreates::Always,
        };
        ResourceChange {
            name: name.into(),
            kind: "AWS::SQS::Queue".into(),
            action,
            cause: None,
            properties: vec![property],
            left: None,
        }
    }

    fn told(resources: Vec<ResourceChange>) -> Foretold {
        let previewed = Previewed { of: sha256(b"basis"), at: Timestamp::UNIX_EPOCH };
        Foretold::Preview(Preview { resources, ..Preview::default() }, previewed)
    }

    fn show(plan: &Plan) -> String {
        let step = |s: &Step| format!("{:?} {}\n", s.action, s.target.key);
        let hold = |h: &Hold| format!("hold {} {}\n", h.request, h.reason.name());
        plan.steps.iter().map(step).chain(plan.holds.iter().map(hold)).collect()
    }

    const ONE: &str = "a/prod/one";

    fn assessed(action: Action, resources: Vec<ResourceChange>, ask: bool) -> Plan {
        let plan = Plan {
            steps: vec![step(ONE, action, &[]), step("b/prod/two", Action::Update, &[ONE])],
            ..Plan::default()
        };
        assess(plan, &[(key(ONE), told(resources))].into(), &BTreeSet::new(), ask)
    }

    #[test]
    fn what_loses_nothing_is_done_with_its_preview() {
        use ResourceAction::{Create, Retain, Update};
        let resources = [Create, Update, Retain].map(|a| resource("Queue", a));
        let plan = assessed(Action::Update, resources.to_vec(), true);
        insta::assert_snapshot!(show(&plan), @"
        Update a/prod/one#main
        Update b/prod/two#main
        ");
        assert_eq!(plan.steps[0].preview.as_ref().unwrap().resources.len(), 3);
        let none = assessed(Action::Update, Vec::new(), true);
        assert_eq!(none.steps.len(), 2, "a preview that changes nothing is still a step");
        assert_eq!(none.steps[0].digest(), plan.steps[0].digest(), "nothing is lost by either");
    }

    #[test]
    fn a_loss_that_nobody_could_know_of_waits_for_a_person_and_its_dependents_with_it() {
        use ResourceAction::{Delete, MayReplace, Replace};
        for action in [Delete, Replace, MayReplace] {
            let plan = assessed(Action::Update, vec![resource("Queue", action)], true);
            insta::allow_duplicates! {
                insta::assert_snapshot!(show(&plan), @"
                hold a/prod/one NeedsApproval
                hold b/prod/two WaitingFor
                ");
            }
            let HoldReason::NeedsApproval { lost, .. } = &plan.holds[0].reason else { panic!() };
            assert_eq!(lost[0].cause.as_deref(), Some("QueueName"));
            assert!(lost[0].properties.is_empty(), "no values in what is kept of it");
            let free = assessed(Action::Update, vec![resource("Queue", action)], false);
            assert_eq!(free.steps.len(), 2, "the settings say that nobody is asked");
        }
    }

    #[test]
    fn an_approval_is_of_that_very_loss_whatever_else_the_preview_says() {
        let lost = || resource("Queue", ResourceAction::Replace);
        let asked = assessed(Action::Update, vec![lost()], true);
        let HoldReason::NeedsApproval { digest, .. } = asked.holds[0].reason else { panic!() };
        let again = |resources| {
            let steps = vec![step(ONE, Action::Update, &[])];
            let plan = Plan { steps, ..Plan::default() };
            let foretold = [(key(ONE), told(resources))].into();
            assess(plan, &foretold, &BTreeSet::from([digest]), true)
        };
        let other = resource("Topic", ResourceAction::Update);
        let worded = ResourceChange { cause: Some("in other words".into()), ..lost() };
        assert_eq!(again(vec![other, worded]).steps.len(), 1);
        let more = resource("Topic", ResourceAction::Delete);
        insta::assert_snapshot!(show(&again(vec![lost(), more])), @"hold a/prod/one NeedsApproval");
    }

    #[test]
    fn a_replacement_that_the_schema_announced_is_known_and_a_deletion_beside_it_is_not() {
        let replaced = resource("Queue", ResourceAction::Replace);
        assert_eq!(assessed(Action::Replace, vec![replaced.clone()], true).holds, []);
        let gone = resource("Table", ResourceAction::Delete);
        let plan = assessed(Action::Replace, vec![replaced, gone], true);
        assert_eq!(plan.holds.len(), 2);
    }

    #[test]
    fn a_deletion_says_by_itself_that_all_goes() {
        let plain = assessed(Action::Delete, Vec::new(), true);
        let told = assessed(Action::Delete, vec![resource("Queue", ResourceAction::Delete)], true);
        assert_eq!((&told.holds, told.steps.len()), (&Vec::new(), 2));
        assert_eq!(told.steps[0].digest(), plain.steps[0].digest(), "the same to approve");
        let unseen = Foretold::Held(HoldReason::NotObserved { error: "no rights".into() });
        let plan = Plan { steps: vec![step(ONE, Action::Delete, &[])], ..Plan::default() };
        let plan = assess(plan, &[(key(ONE), unseen)].into(), &BTreeSet::new(), true);
        insta::assert_snapshot!(show(&plan), @"Delete a/prod/one#main");
    }

    #[test]
    fn what_could_not_be_previewed_holds_that_one_only() {
        let steps = vec![step(ONE, Action::Update, &[]), step("b/prod/two", Action::Update, &[])];
        let plan = Plan { steps, ..Plan::default() };
        let reason = HoldReason::NotObserved { error: "throttled".into() };
        let foretold = [(key(ONE), Foretold::Held(reason))].into();
        insta::assert_snapshot!(show(&assess(plan, &foretold, &BTreeSet::new(), true)), @"
        Update b/prod/two#main
        hold a/prod/one NotObserved
        ");
    }
}
