//! What was reviewed is what is done: more than that waits for a person.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::Digest;
use crate::model::{
    Action, Bound, ComponentName, Dependency, Hold, HoldReason, Plan, Remark, RequestId, Step,
    TargetKey,
};

/// What may be done of one request without asking again.
#[derive(Clone, PartialEq, Debug)]
pub struct Bounds {
    /// What was reviewed before the merge.
    pub reviewed: Bound,
    /// What components render to with what was not known at the review left unknown: that it has become
    /// known is no change.
    pub veiled: BTreeMap<ComponentName, Digest>,
}

/// The plan without what is more than was reviewed. All of such a request is held, and what comes
/// after it waits. What only the records tell of touches nothing, and is never more.
pub fn bind(
    mut plan: Plan,
    bounds: &BTreeMap<RequestId, Bounds>,
    approvals: &BTreeSet<Digest>,
) -> Plan {
    if bounds.is_empty() {
        return plan;
    }
    let more: BTreeMap<TargetKey, HoldReason> = plan
        .steps
        .iter()
        .filter_map(|step| {
            let bounds = bounds.get(&step.target.key.request)?;
            let now = step.digest();
            let is_more = !approvals.contains(&now) && bounds.is_exceeded(step);
            let reviewed = bounds.reviewed.plan;
            let reason = || HoldReason::PlanChanged { reviewed, now, needs: Vec::new() };
            is_more.then(|| (step.target.key.clone(), reason()))
        })
        .collect();
    if more.is_empty() {
        return plan;
    }
    let first = |id: &RequestId| more.keys().find(|key| key.request == *id).cloned();
    let mut held: BTreeSet<TargetKey> = BTreeSet::new();
    let mut steps = Vec::with_capacity(plan.steps.len());
    for step in plan.steps {
        let key = &step.target.key;
        let waits =
            |before: TargetKey| HoldReason::WaitingFor { dependency: Dependency::Target(before) };
        let before = || step.after.iter().find(|before| held.contains(before)).cloned();
        let reason = match more.get(key) {
            Some(reason) => Some(reason.clone()),
            None => first(&key.request).or_else(before).map(waits),
        };
        match reason.filter(|_| step.action.touches_the_world()) {
            Some(reason) => {
                let (request, component) = (key.request.clone(), Some(key.component.clone()));
                plan.holds.push(Hold { request, component, action: Some(step.action), reason });
                held.insert(key.clone());
            }
            None => steps.push(step),
        }
    }
    plan.steps = steps;
    plan.settle.retain(|settle| !held.iter().any(|key| key.request == settle.request));
    plan.holds.sort_by(|a, b| {
        let key = |h: &Hold| (h.request.clone(), h.component.clone(), h.reason.name());
        key(a).cmp(&key(b))
    });
    plan
}

impl Bounds {
    /// Whether what was not known at the review decides about a step.
    pub fn is_open(&self, step: &Step) -> bool {
        let mut known = self.reviewed.steps.iter();
        self.is_exceeded(step) && known.any(|known| !known.unknown.is_empty())
    }

    fn is_exceeded(&self, step: &Step) -> bool {
        if !step.action.touches_the_world() || step.remarks.contains(&Remark::Rubble) {
            // The rest of an earlier try goes only when a person said so.
            return false;
        }
        let same = reviewed_as(step);
        let loses = step.preview.iter().flat_map(|p| &p.resources).any(|r| r.loses());
        let veiled = self.veiled.get(&step.target.key.component).filter(|_| !loses);
        let is_known = same.iter().any(|step| {
            let (plain, open) = (step.digest(), veiled.map(|v| as_if(step, *v)));
            self.reviewed.steps.iter().any(|known| {
                known.digest == plain || !known.unknown.is_empty() && Some(known.digest) == open
            })
        });
        match self.reviewed.shown {
            true => !is_known,
            // Nobody was shown a plan: what takes nothing away is what the file says.
            false => !is_known && matches!(step.action, Action::Delete | Action::Replace),
        }
    }
}

/// What a step may have been when it was reviewed: itself; and of an update the creation, which has
/// happened since and is not recorded yet.
pub fn reviewed_as(step: &Step) -> Vec<Step> {
    let mut same = vec![step.clone()];
    if step.action == Action::Update && !step.remarks.contains(&Remark::Adopts) {
        same.push(Step { action: Action::Create, ..step.clone() });
    }
    same
}

/// The digest of a step as it would be if its component rendered to that.
fn as_if(step: &Step, artifact: Digest) -> Digest {
    Step { artifact: Some(artifact), preview: None, ..step.clone() }.digest()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::{of, sha256};
    use crate::model::{
        InstanceId, Known, Map, Preview, ResourceAction, ResourceChange, Symbol, Target, TargetName,
    };

    fn step(request: &str, action: Action, artifact: &str) -> Step {
        let request = RequestId::parse(request).unwrap();
        let key = TargetKey { request, component: ComponentName::new("main") };
        let instance = InstanceId::new("i");
        Step {
            target: Target {
                name: TargetName::compute(&instance, &key),
                key,
                instance,
                provider: "files".into(),
                settings: Map::new(),
                id: None,
            },
            action,
            artifact: Some(sha256(artifact.as_bytes())),
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

    fn bounds(steps: &[Step]) -> Bounds {
        let known = |step: &Step| Known { digest: step.digest(), unknown: step.unknown.clone() };
        let steps = steps.iter().map(known).collect();
        let reviewed = Bound {
            plan: sha256(b"plan"),
            steps,
            shown: true,
            needs: Vec::new(),
            takeover: None,
            terms: None,
            catalog: None,
        };
        Bounds { reviewed, veiled: BTreeMap::new() }
    }

    fn bound(steps: Vec<Step>, bounds: Bounds, approvals: &[Digest]) -> (usize, Vec<&'static str>) {
        let all = [(steps[0].target.key.request.clone(), bounds)].into();
        let plan = Plan { steps, ..Plan::default() };
        let plan = bind(plan, &all, &approvals.iter().copied().collect());
        (plan.steps.len(), plan.holds.iter().map(|hold| hold.reason.name()).collect())
    }

    #[test]
    fn f29_what_was_reviewed_goes_and_anything_else_waits() {
        let seen = step("a/dev/one", Action::Update, "new");
        let go = |now: &Step| bound(vec![now.clone()], bounds(std::slice::from_ref(&seen)), &[]);
        assert_eq!(go(&seen), (1, vec![]));
        let other = step("a/dev/one", Action::Update, "newer");
        assert_eq!(go(&other), (0, vec!["PlanChanged"]));
        assert_eq!(go(&step("a/dev/one", Action::Replace, "new")), (0, vec!["PlanChanged"]));
        assert_eq!(go(&step("a/dev/one", Action::Delete, "new")), (0, vec!["PlanChanged"]));
        assert_eq!(go(&step("a/dev/one", Action::Forget, "new")), (1, vec![]), "only the record");
        let mut loses = seen.clone();
        let gone = ResourceChange {
            name: "Queue".into(),
            kind: "AWS::SQS::Queue".into(),
            action: ResourceAction::Delete,
            cause: None,
            properties: Vec::new(),
            left: None,
        };
        loses.preview = Some(Preview { resources: vec![gone], ..Preview::default() });
        assert_eq!(go(&loses), (0, vec!["PlanChanged"]));
        let approved = bound(vec![other.clone()], bounds(&[seen]), &[other.digest()]);
        assert_eq!(approved, (1, vec![]), "a person approved that very step");
    }

    #[test]
    fn f29_another_place_is_another_thing_and_what_only_tunes_is_not() {
        let role = |account: &str| format!("arn:aws:iam::{account}:role/vend");
        let at = |action, settings: serde_json::Value| {
            let mut step = step("a/dev/one", action, "new");
            step.target.settings = serde_json::from_value(settings).unwrap();
            step
        };
        let here =
            serde_json::json!({"region": "eu-west-1", "role": role("1"), "tags": {"a": "b"}});
        let seen = at(Action::Create, here.clone());
        let go = |now: &Step| bound(vec![now.clone()], bounds(std::slice::from_ref(&seen)), &[]);
        let tuned = serde_json::json!({
            "region": "eu-west-1", "account": "1", "role": "arn:aws:iam::1:role/other", "previewRole": "p",
        });
        assert_eq!(go(&at(Action::Create, tuned)), (1, vec![]));
        for elsewhere in [
            serde_json::json!({"region": "eu-north-1", "role": role("1")}),
            serde_json::json!({"region": "eu-west-1", "role": role("2")}),
            serde_json::json!({"region": "eu-west-1", "account": "2", "role": role("1")}),
            serde_json::json!({"region": "eu-west-1", "role": role("1"), "stackName": "that"}),
            serde_json::json!({"repository": "https://h/o/r", "branch": "main", "path": "k8s"}),
        ] {
            assert_eq!(
                go(&at(Action::Create, elsewhere.clone())),
                (0, vec!["PlanChanged"]),
                "{elsewhere}"
            );
        }
        // It has been made meanwhile, and is not recorded yet.
        assert_eq!(go(&at(Action::Update, here)), (1, vec![]));
    }

    #[test]
    fn all_of_the_request_waits_and_what_comes_after_it() {
        let seen = step("a/dev/one", Action::Update, "new");
        let mut second = seen.clone();
        second.target.key.component = ComponentName::new("second");
        let mut after = step("b/dev/two", Action::Update, "new");
        after.after.push(second.target.key.clone());
        let done = bound(vec![seen.clone(), second, after], bounds(&[seen]), &[]);
        assert_eq!(done, (0, vec!["WaitingFor", "PlanChanged", "WaitingFor"]));
    }

    #[test]
    fn becoming_known_is_no_change_and_losing_something_is() {
        let mut open = step("a/dev/one", Action::Create, "of ?");
        let request = RequestId::parse("a/dev/base").unwrap();
        open.unknown = vec![Symbol { request, component: None, output: "path".into() }];
        let now = step("a/dev/one", Action::Create, "of known");
        let veiled = [(now.target.key.component.clone(), sha256(b"of ?"))];
        let seen = Bounds { veiled: veiled.into(), ..bounds(std::slice::from_ref(&open)) };
        assert_eq!(bound(vec![now.clone()], seen.clone(), &[]), (1, vec![]));
        // A step that was wholly known is not excused by what it would be otherwise.
        open.unknown.clear();
        let known = Bounds { veiled: seen.veiled.clone(), ..bounds(&[open]) };
        assert_eq!(bound(vec![now.clone()], known, &[]), (0, vec!["PlanChanged"]));
        let otherwise = [(now.target.key.component.clone(), of(&"other"))];
        let otherwise = Bounds { veiled: otherwise.into(), ..seen };
        assert_eq!(bound(vec![now], otherwise, &[]), (0, vec!["PlanChanged"]));
    }

    #[test]
    fn what_was_to_be_created_and_is_there_is_taken_up_unless_it_is_a_strangers() {
        let seen = step("a/dev/one", Action::Create, "new");
        let mut now = step("a/dev/one", Action::Update, "new");
        let go = |now: &Step| bound(vec![now.clone()], bounds(std::slice::from_ref(&seen)), &[]);
        assert_eq!(go(&now), (1, vec![]));
        now.remarks.push(Remark::Adopts);
        assert_eq!(go(&now), (0, vec!["PlanChanged"]));
    }

    #[test]
    fn without_a_review_only_what_takes_something_away_waits() {
        let (steps, needs) = (Vec::new(), Vec::new());
        let (plan, takeover) = (sha256(b"none"), None);
        let nobody =
            Bound { plan, steps, shown: false, needs, takeover, terms: None, catalog: None };
        let nobody = Bounds { reviewed: nobody, veiled: BTreeMap::new() };
        let go = |action| bound(vec![step("a/dev/one", action, "new")], nobody.clone(), &[]);
        assert_eq!(go(Action::Update), (1, vec![]));
        assert_eq!(go(Action::Replace), (0, vec!["PlanChanged"]));
    }
}
