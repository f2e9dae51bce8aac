//! Changes that take too long, and those that something newer overtakes.

use std::collections::BTreeSet;

use serde_json::json;

use super::Account;
use crate::aws::{Fault, Rule};
use crate::crash::{MODES, STOPPED, carried_out, elsewhere};
use crate::world::{ask, request};

const ID: &str = "orders/dev/steps";

pub(super) fn steps(template: &str, round: u32) -> String {
    request(&format!("{template}@1.0.0"), &format!("{{round: {round}, seconds: {}}}", 60 + round))
}

/// A queue that stands, and an update of it under way that waits at its handle.
pub(super) fn under_way(it: &Account, template: &str) -> String {
    it.world.requests.commit([ask(ID, steps(template, 0))]);
    it.apply();
    let stack = it.stack(ID);
    it.world.requests.commit([ask(ID, steps(template, 1))]);
    it.aws.eventually("the update is under way", || {
        it.world.vend(&["apply"]);
        let status = it.aws.stack(&stack)?.stack_status?;
        (status.as_str() == "UPDATE_IN_PROGRESS").then_some(())
    });
    stack
}

/// How long its queue keeps messages now.
pub(super) fn seconds(it: &Account, stack: &str) -> String {
    it.aws.retention(&it.aws.output(stack, "QueueUrl").unwrap())
}

#[test]
fn a_newer_commit_waits_for_what_is_under_way_and_says_so() {
    let mut it = Account::new();
    // The way back takes the handle of the way there along.
    it.world.configure(|c| c["reconcile"] = json!({"replacements": "apply"}));
    let stack = under_way(&it, "steps");
    it.world.requests.commit([ask(ID, steps("steps", 0))]);
    it.world.vend(&["apply"]);
    let (phase, reason, sentence) = it.world.standing(ID);
    assert_eq!((phase.as_str(), reason.as_str()), ("Applying", "Applying"), "{sentence}");
    assert!(
        sentence.contains("is under way") && sentence.contains("a newer version waits"),
        "{sentence}"
    );
    assert_eq!(it.aws.count("CancelUpdateStack"), 0);

    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply();
    it.world.ready(ID);
    assert_eq!(seconds(&it, &stack), "60");
    assert_eq!(it.aws.effects(&stack), ["create", "update", "update"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn a_newer_commit_stops_what_is_under_way_where_the_settings_say_so() {
    a_newer_commit_stops("steps");
}

#[test]
fn a_newer_commit_stops_a_replacement_too() {
    a_newer_commit_stops("swapped");
}

#[track_caller]
fn a_newer_commit_stops(template: &str) {
    let mut it = Account::new();
    it.world.configure(|c| c["reconcile"] = json!({"cancel": "superseded"}));
    let stack = under_way(&it, template);
    it.world.requests.commit([ask(ID, steps(template, 0))]);
    it.aws.eventually("it is asked to stop", || {
        it.world.vend(&["apply"]);
        (it.aws.count("CancelUpdateStack") > 0).then_some(())
    });
    let (_, _, sentence) = it.world.standing(ID);
    assert!(sentence.contains("asked to stop") && !sentence.contains("waited for"), "{sentence}");
    // The service stops before the next resource.
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply();
    let logs = it.world.vend_ends(0, &["logs", ID]).stdout;
    assert!(logs.contains("Stopped") && !logs.contains("Failed"), "nothing is wrong: {logs}");
    it.world.ready(ID);
    assert_eq!(it.aws.count("CancelUpdateStack"), 1, "asked once: {}", it.aws.history());
    assert_eq!(seconds(&it, &stack), "60");
    it.again_nothing();
}

#[test]
fn an_update_that_takes_longer_than_its_template_allows_is_stopped_and_said() {
    what_takes_too_long_is_stopped("hurried");
}

#[test]
fn a_replacement_that_takes_longer_than_its_template_allows_is_stopped_and_said() {
    what_takes_too_long_is_stopped("hurried-swap");
}

#[track_caller]
fn what_takes_too_long_is_stopped(template: &str) {
    let it = Account::new();
    let stack = under_way(&it, template);
    let create = it.aws.calls().into_iter().find(|c| c.action == "CreateStack").unwrap();
    assert_eq!(create.get("TimeoutInMinutes"), "1", "the service sees to a creation");
    it.aws.eventually("it is asked to stop", || {
        it.world.vend(&["apply"]);
        (it.aws.count("CancelUpdateStack") > 0).then_some(())
    });
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply_fails();
    assert_eq!(it.aws.settled(&stack).as_str(), "UPDATE_ROLLBACK_COMPLETE");
    let (phase, _, sentence) = it.world.standing(ID);
    assert_eq!(phase, "Failed", "{sentence}");
    assert!(sentence.contains("took longer than its template's timeout of 2s"), "{sentence}");
    assert_eq!(seconds(&it, &stack), "60");

    // Back to what stands there.
    it.world.requests.commit([ask(ID, steps(template, 0))]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

#[test]
fn f44_whoever_may_not_stop_an_update_is_told_and_it_is_asked_again() {
    let it = Account::new();
    let text = "User: vend is not authorized to perform: cloudformation:CancelUpdateStack";
    it.aws.rule(Rule::on("CancelUpdateStack", Fault::Refuse(403, "AccessDenied", text)));
    let stack = under_way(&it, "hurried");
    it.aws.eventually("it is said that it could not be stopped", || {
        it.world.vend(&["apply"]);
        let sentence = it.world.standing(ID).2;
        (sentence.contains(text) && !sentence.contains("asked to stop")).then_some(())
    });
    let denied = it.aws.count("CancelUpdateStack");
    it.aws.no_rules();
    it.aws.eventually("it is asked to stop", || {
        it.world.vend(&["apply"]);
        (it.aws.count("CancelUpdateStack") > denied).then_some(())
    });
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply_fails();
    assert_eq!(it.aws.settled(&stack).as_str(), "UPDATE_ROLLBACK_COMPLETE");
    it.world.requests.commit([ask(ID, steps("hurried", 0))]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

/// An update that takes too long is stopped while these orders are carried out, each by a process of its
/// own; it is stopped under one token, and nothing else is done.
fn is_stopped(orders: &[String]) {
    let it = Account::new();
    let stack = under_way(&it, "hurried");
    let log = it.world.root().join("passed");
    for order in orders {
        it.aws.eventually(order, || {
            let mut command = it.world.command(&["apply"]);
            command.env("VEND_FAULT", order).env("VEND_FAULT_LOG", &log);
            let output = command.output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("panicked"), "{order}: {said}");
            carried_out(&log, order).then_some(())
        });
    }
    it.aws.eventually("it is asked to stop", || {
        it.world.vend(&["apply"]);
        (it.aws.count("CancelUpdateStack") > 0).then_some(())
    });
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.aws.eventually("it is said", || {
        it.world.vend(&["apply", "--wait"]);
        (it.world.standing(ID).0 == "Failed").then_some(())
    });
    assert_eq!(it.aws.settled(&stack).as_str(), "UPDATE_ROLLBACK_COMPLETE", "{orders:?}");
    let (_, _, sentence) = it.world.standing(ID);
    assert!(sentence.contains("took longer than its template's timeout"), "{orders:?}: {sentence}");
    let mut effects = it.aws.effects(&stack);
    effects.dedup();
    assert_eq!(effects, ["create", "update", "rollback"], "{orders:?}\n{}", it.aws.history());
    let stops = it.aws.calls().into_iter().filter(|call| call.action == "CancelUpdateStack");
    let tokens: BTreeSet<String> = stops.map(|call| call.token().to_owned()).collect();
    assert_eq!(tokens.len(), 1, "{orders:?}\n{}", it.aws.history());
    it.world.requests.commit([ask(ID, steps("hurried", 0))]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

#[test]
fn f61_an_update_is_stopped_wherever_that_was_broken_off() {
    let points = elsewhere(STOPPED);
    std::thread::scope(|scope| {
        for mode in MODES {
            let orders: Vec<_> = points.iter().map(|point| format!("{point}={mode}")).collect();
            // What is delayed goes on: one process passes all of them.
            let orders = if mode == "delay" { vec![orders.join(",")] } else { orders };
            scope.spawn(move || is_stopped(&orders));
        }
    });
}

#[test]
fn what_has_not_begun_when_something_newer_comes_never_begins() {
    let mut it = Account::new();
    it.world.configure(|c| c["reconcile"] = json!({"cancel": "superseded"}));
    let noted = |note: &str| ask(ID, request("handle@1.0.0", &format!("{{note: {note}}}")));
    it.world.requests.commit([noted("first")]);
    it.apply();
    let stack = it.stack(ID);
    // A change set that takes its time, of a change in which nothing was to be seen.
    let going = Fault::answer(|call, answer| {
        if !call.get("ChangeSetName").contains("vend-preview-") {
            let going = "<Status>CREATE_IN_PROGRESS</Status>";
            answer.edit(|text| text.replace("<Status>FAILED</Status>", going));
        }
    });
    it.aws.rule(Rule::on("DescribeChangeSet", going));
    it.world.requests.commit([noted("second")]);
    let made = |it: &Account| {
        let calls = it.aws.calls().into_iter().filter(|call| call.action == "CreateChangeSet");
        let names = calls.map(|call| call.get("ChangeSetName").to_owned());
        names.filter(|name| !name.starts_with("vend-preview-")).collect::<Vec<String>>()
    };
    it.aws.eventually("it is under way", || {
        it.world.vend(&["apply"]);
        (!made(&it).is_empty()).then_some(())
    });
    let first = made(&it).remove(0);
    it.world.requests.commit([noted("third")]);
    it.aws.eventually("the newer one takes its place", || {
        it.world.vend(&["apply"]);
        (made(&it).len() > 1).then_some(())
    });
    let dropped =
        it.aws.calls().into_iter().any(|call| {
            call.action == "DeleteChangeSet" && call.get("ChangeSetName").contains(&first)
        });
    assert!(dropped, "{}", it.aws.history());
    it.aws.no_rules();
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.world.status(ID)["parameters"]["note"], "third");
    assert_eq!((it.aws.count("CancelUpdateStack"), it.aws.effects(&stack)), (0, vec!["create"]));
    it.again_nothing();
}

#[test]
fn outputs_that_the_template_does_not_promise_are_published_nowhere() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, steps("steps", 0))]);
    it.apply();
    let status = it.world.status(ID);
    let url = it.aws.output(&it.stack(ID), "QueueUrl").unwrap();
    assert_eq!(status["outputs"], json!({"url": url}));
    assert_eq!(status["components"][0]["outputs"], json!({"QueueUrl": url}));
    let arn = it.aws.output(&it.stack(ID), "Unpromised").unwrap();
    let branch =
        it.world.requests.read(crate::world::STATUS, &format!("status/{ID}.yaml")).unwrap();
    assert!(!branch.contains(&arn), "{branch}");
    it.again_nothing();
}
