//! Taken away, and what stands against it.

use super::Account;
use crate::aws::{Fault, Rule};
use crate::world::{ask, drop_request, request, request_with};

const ID: &str = "orders/dev/events";

#[test]
fn a_removed_request_takes_its_stack_along() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let first = it.aws.id(&stack);
    it.world.requests.commit([drop_request(ID)]);
    let said = it.apply();
    assert!(said.contains("1 deleted"), "{said}");
    assert!(it.aws.stack(&stack).is_none());
    assert!(it.world.status_or_none(ID).is_none());
    assert_eq!(it.aws.effects(&stack), ["create", "delete"]);
    it.again_nothing();

    // Asked for again it is another one.
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    assert_ne!(it.aws.id(&it.stack(ID)), first);
    it.again_nothing();
}

#[test]
fn what_was_deleted_by_hand_is_not_missed_when_it_is_to_go() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    it.aws.remove(&stack);
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.world.status_or_none(ID).is_none());
    assert_eq!(it.aws.effects(&stack), ["create"]);
    it.again_nothing();
}

#[test]
fn a_protected_one_stays_until_a_tombstone_permits_it() {
    let it = Account::new();
    let id = "orders/prod/events";
    it.world.requests.commit([ask(id, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(id);
    let protected = || it.aws.stack(&stack).unwrap().enable_termination_protection();
    assert_eq!(protected(), Some(true), "CloudFormation's own guard is on");
    it.world.requests.commit([drop_request(id)]);
    it.aws.only_looks(|| it.apply());
    it.world.held(id, "Protected");
    assert_eq!(protected(), Some(true));
    it.again_nothing();

    let tombstone = request_with("queue@1.0.0", "{}", "delete: {confirm: events}");
    it.world.requests.commit([ask(id, tombstone)]);
    it.apply();
    it.world.requests.commit([drop_request(id)]);
    it.apply();
    assert!(it.aws.stack(&stack).is_none());
    assert_eq!(it.aws.effects(&stack), ["create", "delete"]);
    it.again_nothing();
}

#[test]
fn what_its_policy_keeps_stays() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: kept-bucket}"))]);
    it.apply();
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| {
        // The recorded template tells it without asking anybody.
        let plan = it.world.vend_ends(0, &["plan"]).stdout;
        assert!(plan.contains("DELETE AWS::SQS::Queue Queue"), "{plan}");
        let stays = "let go of (it stays) AWS::S3::Bucket Bucket (DeletionPolicy: Retain)";
        assert!(plan.contains(stays), "{plan}");
        let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
        let stays = "AWS::S3::Bucket Bucket (DeletionPolicy: Retain; it is kept-bucket)";
        assert!(plan.contains(stays) && plan.contains("DELETE AWS::SQS::Queue Queue"), "{plan}");
    });
    let said = it.apply();
    assert!(said.contains("1 deleted"), "{said}");
    assert!(it.aws.has_bucket("kept-bucket"));
    assert!(it.aws.stacks().is_empty());
    it.again_nothing();
}

#[test]
fn a_deletion_that_fails_names_what_stays_and_is_not_tried_for_ever() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{delete: fail}"))]);
    it.apply();
    let stack = it.stack(ID);
    it.world.requests.commit([drop_request(ID)]);
    it.apply_fails();
    assert_eq!(it.aws.settled(&stack).as_str(), "DELETE_FAILED");
    let (_, _, sentence) = it.world.standing(ID);
    assert!(sentence.contains("the thing does not want to"), "{sentence}");
    let before = it.aws.effects(&stack);
    it.world.vend(&["apply", "--wait"]);
    assert_eq!(it.aws.effects(&stack), before);
    it.aws.assert_sound();
}

#[test]
fn a_request_that_is_protected_later_has_cloudformations_guard_too() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let protected = || it.aws.stack(&stack).unwrap().enable_termination_protection();
    assert_eq!(protected(), Some(false));
    it.world.requests.commit([ask(ID, request_with("queue@1.0.0", "{}", "protect: true"))]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("its termination protection is off, and is turned on"), "{plan}");
    it.apply();
    assert_eq!(protected(), Some(true));
    it.world.ready(ID);
    it.again_nothing();

    // What somebody turned off is on again with the next change.
    it.aws.protect(&stack, false);
    let changed = request_with("queue@1.0.0", "{seconds: 120}", "protect: true");
    it.world.requests.commit([ask(ID, changed)]);
    it.apply();
    assert_eq!(protected(), Some(true));
    it.again_nothing();
}

#[test]
fn the_guard_is_on_again_after_a_deletion_that_was_refused() {
    let it = Account::new();
    let id = "orders/prod/events";
    it.world.requests.commit([ask(id, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(id);
    let tombstone = request_with("queue@1.0.0", "{}", "delete: {confirm: events}");
    it.world.requests.commit([ask(id, tombstone)]);
    it.apply();
    let denied = Fault::Refuse(403, "AccessDenied", "User: vend is not authorized to do that");
    it.aws.rule(Rule::on("DeleteStack", denied));
    it.world.requests.commit([drop_request(id)]);
    it.apply_fails();
    assert_eq!(it.aws.stack(&stack).unwrap().enable_termination_protection(), Some(true));

    it.aws.no_rules();
    it.world.vend_ends(0, &["retry", id]);
    it.apply();
    assert!(it.aws.stack(&stack).is_none());
    it.again_nothing();
}

#[test]
fn what_could_not_be_deleted_and_is_wanted_again_says_a_next_step_that_helps() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{delete: fail}"))]);
    it.apply();
    let stack = it.stack(ID);
    it.world.requests.commit([drop_request(ID)]);
    it.apply_fails();
    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{}"))]);
    it.world.vend(&["apply", "--wait"]);
    let (_, reason, sentence) = it.world.standing(ID);
    assert_eq!(reason, "Stuck", "{sentence}");
    let command = "where its file asks for it again, delete what is left with `aws cloudformation";
    assert!(sentence.contains(command), "{sentence}");

    it.aws.remove_but(&stack, "Thing");
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}
