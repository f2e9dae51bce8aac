//! Change sets that are not there when they are asked for: not yet, not any more, or made by somebody who
//! looks at the same change.

use super::Account;
use crate::aws::{Fault, Gate, Rule};
use crate::world::{ask, drop_request, request};

const ID: &str = "orders/dev/events";

/// A stack, and a change of it that nobody has looked at.
fn changed() -> (Account, String) {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    (it, stack)
}

#[track_caller]
fn is_changed_once(it: &Account, stack: &str) {
    it.world.ready(ID);
    let url = it.aws.output(stack, "QueueUrl").unwrap();
    assert_eq!(it.aws.retention(&url), "120");
    assert_eq!(it.aws.effects(stack), ["create", "update"], "{}", it.aws.history());
    it.again_nothing();
}

fn unknown() -> Fault {
    Fault::Refuse(404, "ChangeSetNotFound", "ChangeSet [preview] does not exist")
}

#[test]
fn f32_a_change_set_that_is_not_known_yet_or_is_told_of_late_is_waited_for() {
    for (fault, times) in [(unknown(), 3), (Fault::Throttle, 3)] {
        let (it, stack) = changed();
        it.aws.rule(Rule::on("DescribeChangeSet", fault).times(times));
        it.apply();
        assert_eq!(it.aws.count("CreateChangeSet"), 1, "{}", it.aws.history());
        is_changed_once(&it, &stack);
    }
}

#[test]
fn f32_a_change_set_that_goes_before_it_is_read_is_made_anew() {
    let (it, stack) = changed();
    let gate = Gate::closed();
    it.aws.rule(Rule::on("DescribeChangeSet", Fault::Hold(gate.clone())));
    let set = || {
        let calls = it.aws.calls().into_iter().filter(|call| call.action == "DescribeChangeSet");
        calls.map(|call| call.get("ChangeSetName").to_owned()).next()
    };
    std::thread::scope(|scope| {
        let pass = scope.spawn(|| it.apply());
        let set = it.aws.eventually("it is about to be read", set);
        it.aws.wait(it.aws.client.delete_change_set().change_set_name(set).send()).unwrap();
        gate.open();
        pass.join().unwrap();
    });
    assert_eq!(it.aws.count("CreateChangeSet"), 2, "{}", it.aws.history());
    is_changed_once(&it, &stack);
}

#[test]
fn f32_one_that_never_comes_to_be_known_holds_the_change_and_needs_nobody() {
    let (it, stack) = changed();
    it.aws.rule(Rule::on("DescribeChangeSet", unknown()));
    it.world.vend(&["apply"]);
    it.world.held(ID, "NotObserved");
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    it.aws.no_rules();
    it.apply();
    is_changed_once(&it, &stack);
}

#[test]
fn f32_who_looks_at_a_creation_while_it_is_made_is_told_no_refusal() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    let gate = Gate::closed();
    it.aws.rule(Rule::on("DescribeChangeSet", Fault::Hold(gate.clone())).once());
    std::thread::scope(|scope| {
        let look = scope.spawn(|| it.world.vend(&["plan", "--preview"]));
        it.aws.eventually("it is looked at", || {
            (it.aws.count("DescribeChangeSet") > 0).then_some(())
        });
        // It takes the name, and the empty stack of whoever looks goes.
        it.apply();
        gate.open();
        let look = look.join().unwrap();
        assert_eq!(look.code, 0, "{look:?}");
        for word in ["Refused", "ChangeSetNotFound", "does not exist"] {
            assert!(!look.stdout.contains(word), "{word}: {look:?}");
        }
    });
    it.world.ready(ID);
    let stack = it.stack(ID);
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    it.again_nothing();
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.aws.stacks().is_empty(), "{}", it.aws.history());
}
