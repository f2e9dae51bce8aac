//! What stands there already.

use super::{Account, catalog};
use crate::aws::stack;
use crate::world::{ask, request, request_with};

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
fn a_strangers_stack_is_left_alone() {
    let it = named();
    it.aws.make(STACK, &stack::queue(60), &[]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let sentence = it.world.held(ID, "NotOurs");
    assert!(sentence.contains("say `adopt: true` in the request"), "{sentence}");
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
