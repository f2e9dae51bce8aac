//! What breaks between vend and the service. Whatever it is, no stack is made twice, lost, or told
//! of wrongly.

use std::time::Duration;

use serde_json::json;

use super::{Account, catalog};
use crate::aws::{Answer, Fault, Gate, Rule};
use crate::daemon::Serving;
use crate::world::{Edit, ask, drop_request, request};

const ID: &str = "orders/dev/events";

/// Passes until the request is as asked; in between anything may be said but that it is done when
/// it is not.
#[track_caller]
fn until_settled(it: &Account, what: &str, settled: impl Fn() -> bool) {
    it.aws.eventually(what, || {
        it.world.vend(&["retry", ID]);
        it.world.vend(&["apply", "--wait"]);
        settled().then_some(())
    });
}

fn is_ready(it: &Account) -> bool {
    it.world.status_or_none(ID).is_some_and(|status| status["phase"] == "Ready")
}

/// One life of a request, in which the first call of each of these actions breaks: each of them does.
#[track_caller]
fn a_life_with(name: &str, actions: &[&str], fault: &Fault) {
    let it = Account::new();
    for action in actions {
        it.aws.rule(Rule::on(action, fault.clone()).once());
    }
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    until_settled(&it, &format!("{name}: it is created"), || is_ready(&it));
    let stack = it.stack(ID);
    assert_eq!(it.aws.effects(&stack), ["create"], "{name}\n{}", it.aws.history());

    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    let url = it.aws.output(&stack, "QueueUrl").unwrap();
    until_settled(&it, &format!("{name}: it is changed"), || {
        is_ready(&it) && it.world.status(ID)["parameters"]["seconds"] == 120
    });
    assert_eq!(it.aws.retention(&url), "120", "{name}");
    assert_eq!(it.aws.effects(&stack), ["create", "update"], "{name}\n{}", it.aws.history());

    it.world.requests.commit([drop_request(ID)]);
    until_settled(&it, &format!("{name}: it is gone"), || it.world.status_or_none(ID).is_none());
    assert!(it.aws.stack(&stack).is_none(), "{name}");
    let effects = it.aws.effects(&stack);
    assert_eq!(effects, ["create", "update", "delete"], "{name}\n{}", it.aws.history());
    it.aws.assert_rules_used(name);
    it.again_nothing();
}

#[test]
fn i3_no_stack_is_touched_before_the_intent_is_on_disk() {
    let it = Account::new();
    let pass = |what: &str| {
        let before = it.aws.calls().len();
        it.world.vend(&["apply", "--wait"]);
        let calls = it.aws.calls();
        let bore_one =
            calls[before..].iter().any(|c| c.effect().is_some() && !c.token().is_empty());
        assert!(bore_one, "{what}: nothing was judged\n{}", it.aws.history());
        it.aws.assert_sound();
    };
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    pass("made");
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    pass("changed");
    it.world.requests.commit([drop_request(ID)]);
    pass("deleted");
    assert_eq!(it.aws.effects(""), ["create", "update", "delete"], "{}", it.aws.history());
    it.again_nothing();
}

const WRITES: [&str; 4] = ["CreateStack", "CreateChangeSet", "ExecuteChangeSet", "DeleteStack"];
const LOOKS: [&str; 3] = ["DescribeStacks", "DescribeChangeSet", "DescribeStackEvents"];

/// Several lives at once: they wait more than they work.
fn side_by_side(actions: &'static [&str], faults: &[(&'static str, Fault)]) {
    std::thread::scope(|scope| {
        for (name, fault) in faults {
            scope.spawn(move || a_life_with(name, actions, fault));
        }
    });
}

#[test]
fn f34_f35_f36_f37_changes_that_break() {
    side_by_side(
        &WRITES,
        &[
            ("throttled", Fault::Throttle),
            ("reset before it is passed on", Fault::ResetBefore),
            ("reset after it was accepted", Fault::ResetAfter),
            ("accepted, and 503", Fault::FailAfter(503)),
            ("500, and nothing was done", Fault::Refuse(500, "InternalFailure", "sorry")),
            ("502, and nothing was done", Fault::FailBefore(502)),
            ("504, and nothing was done", Fault::FailBefore(504)),
            ("an answer that makes no sense", Fault::Garbage),
            ("an answer that breaks off", Fault::Cut),
        ],
    );
}

#[test]
fn looks_that_break() {
    side_by_side(
        &LOOKS,
        &[
            ("throttled looks", Fault::Throttle),
            ("lost looks", Fault::ResetAfter),
            ("looks that a server in between fails", Fault::FailBefore(502)),
            ("looks that make no sense", Fault::Garbage),
        ],
    );
}

#[test]
fn f44_a_denial_names_the_action_and_is_no_storm() {
    let it = Account::new();
    let text =
        "User: arn:aws:iam::1:user/vend is not authorized to perform: cloudformation:CreateStack";
    it.aws.rule(Rule::on("CreateStack", Fault::Refuse(403, "AccessDenied", text)));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply_fails();
    let (_, _, sentence) = it.world.standing(ID);
    let status = it.world.status(ID).to_string();
    assert!(status.contains("cloudformation:CreateStack"), "{sentence}: {status}");
    let tried = it.aws.count("CreateStack");
    it.world.vend(&["apply", "--wait"]);
    it.world.vend(&["apply", "--wait"]);
    assert_eq!(it.aws.count("CreateStack"), tried);
    assert_eq!(tried, 1);
}

#[test]
fn f39_an_outage_is_not_an_empty_account() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    it.aws.rule(Rule::on("Describe*", Fault::Refuse(500, "InternalFailure", "sorry")));
    it.aws.rule(Rule::on("List*", Fault::Refuse(500, "InternalFailure", "sorry")));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 90}"))]);
    it.aws.only_looks(|| it.world.vend(&["apply"]));
    assert!(!is_ready(&it));
    it.aws.no_rules();
    until_settled(&it, "it is changed", || is_ready(&it));
    assert_eq!(it.aws.effects(&it.stack(ID)), ["create", "update"]);
    it.again_nothing();
}

#[test]
fn f39_a_name_that_is_not_found_is_no_deletion() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    // As a replica answers that lags behind; by its id the stack is found.
    let lags = Fault::answer(|call, answer| {
        if !call.get("StackName").is_empty() && !call.get("StackName").starts_with("arn:") {
            let text = format!("Stack with id {} does not exist", call.get("StackName"));
            *answer = Answer::error(400, "ValidationError", &text);
        }
    });
    it.aws.rule(Rule::on("DescribeStacks", lags));
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert_eq!(it.aws.effects(&stack), ["create", "delete"], "{}", it.aws.history());
    assert!(it.world.status_or_none(ID).is_none());
    it.aws.no_rules();
    assert!(it.aws.stack(&stack).is_none());
    it.again_nothing();
}

#[test]
fn f61_killed_while_a_stack_is_made_it_finds_that_one() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    let mut daemon = Serving::ready(&it.world);
    it.aws.eventually("it is under way", || it.aws.stacks().pop());
    daemon.kill();
    let stack = it.aws.stacks()[0].0.clone();
    let mut daemon = Serving::ready(&it.world);
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.aws.eventually("it is ready", || is_ready(&it).then_some(()));
    daemon.stop();
    assert_eq!(it.aws.effects(&stack), ["create"]);
    it.again_nothing();
}

#[test]
fn f62_stopped_in_the_middle_it_leaves_the_rest_to_the_next() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    let mut daemon = Serving::ready(&it.world);
    let stack = it.aws.eventually("it is under way", || it.aws.stacks().pop()).0;
    daemon.stop();
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.effects(&stack), ["create"]);
    it.again_nothing();
}

#[test]
fn twenty_stacks_through_a_bad_hour() {
    let it = Account::new();
    it.aws.rule(Rule::any(Fault::Throttle).share(5));
    it.aws.rule(Rule::any(Fault::ResetBefore).share(3));
    it.aws.rule(Rule::any(Fault::ResetAfter).share(5));
    it.aws.rule(Rule::any(Fault::FailAfter(500)).share(5));
    it.aws.rule(Rule::any(Fault::Garbage).share(2));
    it.aws.rule(Rule::any(Fault::Cut).share(2));
    it.aws.rule(Rule::any(Fault::Delay(Duration::from_millis(50))).share(20));
    let id = |n: usize| format!("team-{}/dev/queue-{n}", n % 4);
    let all = |parameters: &str| -> Vec<Edit> {
        (0..20).map(|n| ask(&id(n), request("queue@1.0.0", parameters))).collect()
    };
    let settle = |what: &str, effects: &[&str], seconds: u32| {
        it.aws.eventually(what, || {
            for n in 0..20 {
                let status = it.world.status_or_none(&id(n));
                if status.is_none_or(|status| status["phase"] != "Ready") {
                    it.world.vend(&["retry", &id(n)]);
                }
            }
            it.world.vend(&["apply", "--wait"]);
            let ready = |n: usize| {
                let status = it.world.status_or_none(&id(n));
                status
                    .is_some_and(|s| s["phase"] == "Ready" && s["parameters"]["seconds"] == seconds)
            };
            (0..20).all(ready).then_some(())
        });
        for n in 0..20 {
            assert_eq!(it.aws.effects(&it.stack(&id(n))), effects, "{}", it.aws.history());
        }
        it.aws.assert_sound();
    };
    it.world.requests.commit(all("{}"));
    settle("all are created", &["create"], 60);
    it.world.requests.commit(all("{seconds: 120}"));
    settle("all are changed", &["create", "update"], 120);
    it.aws.no_rules();
    assert_eq!(it.aws.stacks().len(), 20);
    it.apply();
    it.again_nothing();
}

#[test]
fn f30_a_plan_that_is_throttled_half_way_is_no_plan() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{name: first}"))]);
    it.apply();
    let stack = it.stack(ID);
    // The preview is begun, and nobody can read what came of it.
    it.aws.rule(Rule::on("DescribeChangeSet", Fault::Throttle));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{name: second}"))]);
    it.world.vend(&["apply", "--wait"]);
    assert!(it.aws.count("DescribeChangeSet") > 0, "{}", it.aws.history());
    assert!(!is_ready(&it));
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    // The whole plan says what the half of it could not: a person has to mean that.
    it.aws.no_rules();
    it.world.vend(&["retry", ID]);
    it.apply();
    let sentence = it.world.held(ID, "NeedsApproval");
    assert!(sentence.contains("replace `Queue`"), "{sentence}");
    it.world.approve(&sentence);
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.effects(&stack), ["create", "update"], "{}", it.aws.history());
    it.again_nothing();
}

/// A change whose change set is about to be executed when this happens.
#[track_caller]
fn meanwhile(what: &str, happens: impl Fn(&Account, &str, &str)) {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let gate = Gate::closed();
    it.aws.rule(Rule::on("ExecuteChangeSet", Fault::Hold(gate.clone())));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    let executed = || -> Vec<String> {
        let calls = it.aws.calls().into_iter().filter(|call| call.action == "ExecuteChangeSet");
        calls.map(|call| call.get("ChangeSetName").to_owned()).collect()
    };
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| it.world.vend(&["apply", "--wait"]));
        let set = it.aws.eventually("it is to be executed", || executed().pop());
        happens(&it, &stack, &set);
        gate.open();
        pass.join().unwrap();
    });
    until_settled(&it, what, || is_ready(&it) && it.aws.effects(&stack).len() == 2);
    let url = it.aws.output(&stack, "QueueUrl").unwrap();
    assert_eq!(it.aws.retention(&url), "120", "{what}");
    assert_eq!(it.aws.effects(&stack), ["create", "update"], "{what}\n{}", it.aws.history());
    let executed = executed();
    assert!(executed.last() != executed.first(), "{what}: {executed:?}\n{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn f32_a_change_set_that_is_gone_or_obsolete_is_planned_anew() {
    meanwhile("it is gone", |it, _, set| {
        it.aws.wait(it.aws.client.delete_change_set().change_set_name(set).send()).unwrap();
    });
    // Another change of that stack, by somebody else, makes all that were prepared obsolete.
    meanwhile("it is obsolete", |it, stack, _| {
        let call = it.aws.client.update_stack().stack_name(stack);
        let template = crate::aws::stack::queue(77).to_string();
        it.aws.wait(call.use_previous_template(false).template_body(template).send()).unwrap();
        it.aws.settled(stack);
    });
}

#[test]
fn f38_three_of_five_are_done_and_it_goes_on_at_the_fourth() {
    let it = Account::new();
    it.world.catalog.commit(catalog::chain(5));
    // As a quota that is used up: nothing goes on by being asked again.
    let full = Fault::Refuse(400, "LimitExceededException", "Limit for stacks has been exceeded");
    it.aws.rule(Rule::on("CreateStack", full).after(3));
    it.world.requests.commit([ask(ID, request("chain@1.0.0", "{}"))]);
    it.apply_fails();
    let done = || -> Vec<bool> {
        let status = it.world.status(ID);
        let of = status["components"].as_array().unwrap().iter();
        of.map(|component| component["state"] == "CREATE_COMPLETE").collect()
    };
    assert_eq!(done().iter().filter(|is| **is).count(), 3, "{}", it.world.status(ID));
    assert_eq!(it.aws.stacks().len(), 3);
    it.aws.no_rules();
    it.world.vend_ends(0, &["retry", ID]);
    let before = it.aws.calls().len();
    it.apply();
    it.world.ready(ID);
    assert_eq!(done(), [true; 5]);
    let later = it.aws.calls();
    let wrote = later[before..].iter().filter(|call| call.writes()).count();
    assert_eq!(wrote, 2, "the first three are let be:\n{}", it.aws.history());
    for (stack, _) in it.aws.stacks() {
        assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    }
    it.again_nothing();
}

#[test]
fn f43_credentials_that_run_out_in_the_middle() {
    let text = "The security token included in the request is expired";
    let expired = || Fault::Refuse(403, "ExpiredToken", text);
    std::thread::scope(|scope| {
        scope.spawn(|| a_life_with("expired at changes", &WRITES, &expired()));
        scope.spawn(|| a_life_with("expired at looks", &LOOKS, &expired()));
    });
    // Where they stay away, what was begun is no failure, and is found once they are back.
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    it.world.vend(&["apply"]);
    let stack = it.aws.eventually("it is under way", || it.aws.stacks().pop()).0;
    it.aws.rule(Rule::any(expired()));
    // It is asked about again once that is due.
    let is_said = || {
        it.world.vend(&["apply"]);
        it.world.standing(ID).2.contains("is expired").then_some(())
    };
    it.aws.only_looks(|| it.aws.eventually("it is said why nobody knows", is_said));
    let (phase, reason, sentence) = it.world.standing(ID);
    assert!(!["Failed", "Ready"].contains(&phase.as_str()), "{phase} {reason}: {sentence}");
    assert!(sentence.contains("is under way") && sentence.contains("is expired"), "{sentence}");
    it.aws.no_rules();
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    until_settled(&it, "it is found", || is_ready(&it));
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    it.again_nothing();
}

/// Something happens while a call of a pass is on its way, so many of its kind having come before.
#[track_caller]
fn during(it: &Account, action: &str, skipped: usize, happens: impl FnOnce()) {
    let gate = Gate::closed();
    let before = it.aws.count(action);
    it.aws.rule(Rule::on(action, Fault::Hold(gate.clone())).after(skipped).once());
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| it.world.vend(&["apply", "--wait"]));
        it.aws.eventually("it is on its way", || {
            (it.aws.count(action) > before + skipped).then_some(())
        });
        happens();
        gate.open();
        pass.join().unwrap();
    });
    it.aws.no_rules();
}

#[test]
fn f32_what_nobody_has_looked_at_is_not_executed() {
    let it = Account::new();
    let noted = |note: &str| ask(ID, request("handle@1.0.0", &format!("{{note: {note}}}")));
    it.world.requests.commit([noted("first")]);
    it.apply();
    let stack = it.stack(ID);
    // The preview says that nothing would change; then somebody adds what the change would take away.
    it.world.requests.commit([noted("second")]);
    during(&it, "CreateChangeSet", 1, || {
        let mut template = crate::aws::stack::queue(60);
        template["Resources"]["Handle"] =
            json!({"Type": "AWS::CloudFormation::WaitConditionHandle"});
        it.aws.change(&stack, &template);
    });
    let sentence = it.world.held(ID, "NeedsApproval");
    assert!(sentence.contains("delete `Queue`"), "{sentence}");
    assert!(it.aws.output(&stack, "QueueUrl").is_some(), "{}", it.aws.history());
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    it.again_nothing();

    it.world.approve(&sentence);
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.effects(&stack), ["create", "update"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn f32_what_somebody_begins_to_change_meanwhile_waits_for_that_and_for_nobody() {
    for action in ["DescribeStacks", "CreateChangeSet"] {
        let mut it = Account::new();
        // What somebody adds goes again.
        it.world.configure(|c| c["reconcile"] = json!({"replacements": "apply"}));
        it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
        it.apply();
        let stack = it.stack(ID);
        it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
        let skipped = usize::from(action == "DescribeStacks");
        during(&it, action, skipped, || {
            let mut template = crate::aws::stack::queue(60);
            let slow = crate::aws::stack::slow(600)["Resources"].clone();
            for (name, resource) in slow.as_object().unwrap() {
                template["Resources"][name] = resource.clone();
            }
            let call = it.aws.client.update_stack().stack_name(&stack);
            it.aws.wait(call.template_body(template.to_string()).send()).unwrap();
        });
        let sentence = it.world.held(ID, "NotObserved");
        assert!(sentence.contains("UPDATE_IN_PROGRESS"), "{action}: {sentence}");
        it.aws.signal(&stack, "Handle", "SUCCESS");
        it.aws.settled(&stack);
        it.apply();
        it.world.ready(ID);
        let url = it.aws.output(&stack, "QueueUrl").unwrap();
        assert_eq!(it.aws.retention(&url), "120", "{action}: {}", it.aws.history());
        it.again_nothing();
    }
}
