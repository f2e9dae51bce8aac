//! What stands there already.

use super::{Account, catalog};
use crate::aws::stack;
use crate::world::{ask, drop_request, request, request_with};

const ID: &str = "orders/dev/events";
const STACK: &str = "orders-events";

/// Stacks are called by the request's team and name.
fn named() -> Account {
    let it = Account::new();
    let settings = ", stackName: \"{team}-{name}\"";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    it
}

#[test]
fn what_is_adopted_by_a_protected_request_has_cloudformations_guard() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[]);
    let more = "adopt: true\nprotect: true";
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{seconds: 120}", more))]);
    it.apply();
    assert_eq!(it.aws.stack(STACK).unwrap().enable_termination_protection(), Some(true));
    it.again_nothing();
}

#[test]
fn a_strangers_stack_is_left_alone() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "NotOurs");
    assert!(sentence.contains("say `adopt: true` in the request"), "{sentence}");
    assert!(sentence.contains("a `orders-events` stands there"), "by its own name: {sentence}");
    it.again_nothing();

    let more = "adopt: true";
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{seconds: 120}", more))]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("it is called `orders-events`"), "{plan}");
}

#[test]
fn a_strangers_stack_that_cannot_be_taken_over_says_what_its_owner_does() {
    let it = named();
    it.aws.review(STACK, &stack::queue(60));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "NotOurs");
    assert!(!sentence.contains("adopt"), "it would not help: {sentence}");
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "adopt: true"))]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let (_, reason, sentence) = it.world.standing(ID);
    assert_eq!(reason, "Stuck", "{sentence}");
    assert!(!sentence.contains("approve"), "there is nothing to approve: {sentence}");
    assert!(sentence.contains("`aws cloudformation delete-stack --region"), "{sentence}");

    it.aws.remove(STACK);
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}

#[test]
fn b77_of_two_requests_that_come_to_one_name_the_second_is_held() {
    let it = Account::new();
    let settings = ", stackName: \"{team}-queue\"";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    let (first, second) = ("orders/dev/first", "orders/dev/second");
    it.world.requests.commit([first, second].map(|id| ask(id, request("queue@1.0.0", "{}"))));
    let plan = it.world.vend(&["plan"]).stdout;
    assert!(plan.contains("1 to create"), "{plan}");
    let both = plan.lines().find(|line| line.contains("OWN001")).unwrap_or_default();
    assert!(both.contains(first) && both.contains(second), "{plan}");
    it.world.vend(&["apply", "--wait"]);
    it.world.ready(first);
    let (phase, _, sentence) = it.world.standing(second);
    assert!(phase == "Held" && sentence.contains(first), "{sentence}");
    assert_eq!(it.aws.effects("orders-queue"), ["create"]);

    // When the first is gone the name is free.
    it.world.requests.commit([drop_request(first)]);
    it.world.vend(&["apply", "--wait"]);
    it.world.approve(&it.world.held(second, "LooksLikeAMove"));
    it.aws.eventually("the second comes", || {
        it.world.vend(&["apply", "--wait"]);
        (it.world.standing(second).0 == "Ready").then_some(())
    });
    assert_eq!(it.aws.effects("orders-queue"), ["create", "delete", "create"]);
    it.again_nothing();
}

#[test]
fn f67_another_instances_stack_is_not_ours_and_cannot_be_adopted() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[("vend:instance", "another"), ("vend:target", "x")]);
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "adopt: true"))]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "NotOurs");
    assert!(sentence.contains("another") && !sentence.contains("adopt"), "{sentence}");
    it.again_nothing();
}

#[test]
fn a_strangers_stack_is_taken_over_with_no_change_to_its_resources() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[]);
    let id = it.aws.id(STACK);
    let url = it.aws.output(STACK, "QueueUrl").unwrap();
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "adopt: true"))]);
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.tag(STACK, "vend:request").as_deref(), Some(ID));
    assert_eq!(it.aws.output(STACK, "QueueUrl").unwrap(), url);
    assert_eq!((it.aws.id(STACK), it.aws.effects(STACK)), (id, vec!["update"]));
    it.again_nothing();

    it.world
        .requests
        .commit([ask(ID, request_with("queue@1.0.0", "{seconds: 90}", "adopt: true"))]);
    it.apply();
    assert_eq!(it.aws.retention(&url), "90");
    it.again_nothing();
}

#[test]
fn a_lock_that_somebody_put_on_is_not_taken_off_by_a_deletion() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[]);
    it.aws.protect(STACK, true);
    let locked = || it.aws.stack(STACK).unwrap().enable_termination_protection();
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "adopt: true"))]);
    it.apply();
    it.world.ready(ID);

    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "Protected");
    assert!(sentence.contains("its termination protection is on"), "{sentence}");
    assert!(
        sentence.contains("turn that off and run `vend retry orders/dev/events`"),
        "{sentence}"
    );
    assert!(sentence.contains("`delete: {confirm: events}`"), "{sentence}");
    assert_eq!((locked(), it.aws.effects(STACK)), (Some(true), vec!["update"]));
    it.again_nothing();

    // A person says so in the file.
    let tombstone = request_with("queue@1.0.0", "{}", "adopt: true\ndelete: {confirm: events}");
    it.world.requests.commit([ask(ID, tombstone)]);
    it.apply();
    assert_eq!(locked(), Some(true));
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.aws.stack(STACK).is_none());
    assert_eq!(it.aws.effects(STACK), ["update", "delete"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn a_lock_that_is_taken_off_by_hand_lets_the_deletion_go() {
    let it = named();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    it.aws.protect(STACK, true);
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    it.world.held(ID, "Protected");
    it.aws.protect(STACK, false);
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    assert!(it.aws.stack(STACK).is_none());
    assert_eq!(it.aws.effects(STACK), ["create", "delete"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn vends_own_lock_locks_nobody_in_whose_file_protects_no_more() {
    let it = named();
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "protect: true"))]);
    it.apply();
    // No change takes it off, and so none makes it somebody else's; nor does the loss of the store.
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.apply();
    assert_eq!(it.aws.stack(STACK).unwrap().enable_termination_protection(), Some(true));
    std::fs::remove_dir_all(it.world.root().join("state")).unwrap();
    it.world.vend_ends(0, &["state", "rebuild"]);
    it.apply();
    it.again_nothing();

    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.aws.stack(STACK).is_none());
    assert_eq!(it.aws.effects(STACK), ["create", "update", "delete"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn a_lock_that_stood_before_vend_came_stays_its_owners_though_the_file_protects() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[]);
    it.aws.protect(STACK, true);
    let protected = request_with("queue@1.0.0", "{}", "adopt: true\nprotect: true");
    it.world.requests.commit([ask(ID, protected)]);
    it.apply();
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "adopt: true"))]);
    it.apply();
    it.world.ready(ID);
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "Protected");
    assert!(sentence.contains("vend does not know that it turned it on"), "{sentence}");
    assert_eq!(it.aws.stack(STACK).unwrap().enable_termination_protection(), Some(true));

    it.aws.protect(STACK, false);
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    assert!(it.aws.stack(STACK).is_none());
    it.again_nothing();
}

#[test]
fn a_lock_of_vends_that_was_taken_off_is_anothers_when_it_is_on_again() {
    let it = named();
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "protect: true"))]);
    it.apply();
    it.aws.protect(STACK, false);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.apply();
    it.aws.protect(STACK, true);
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    it.world.held(ID, "Protected");

    it.aws.protect(STACK, false);
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    assert!(it.aws.stack(STACK).is_none());
    it.again_nothing();
}
