//! What breaks between vend and the service. Whatever it is, no stack is made twice, lost, or told
//! of wrongly.

use std::time::Duration;

use super::Account;
use crate::aws::{Answer, Fault, Rule};
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

/// One life of a request, in which the first call of each of these actions breaks.
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
