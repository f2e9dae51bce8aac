//! Made, changed, replaced, and read by one another.

use serde_json::json;

use super::Account;
use crate::aws::Aws;
use crate::world::{ask, request, request_with};

const ID: &str = "orders/dev/events";

fn queue(parameters: &str) -> String {
    request("queue@1.0.0", parameters)
}

#[test]
fn a_request_becomes_a_stack_with_our_marks_and_its_outputs_are_told() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, queue("{}"))]);
    let said = it.apply();
    assert!(said.contains("Applied: 1 created, 1 ready."), "{said}");
    it.world.ready(ID);

    let stack = it.stack(ID);
    assert!(stack.starts_with("vend-orders-dev-events-queue-"), "{stack}");
    assert_eq!(it.aws.effects(&stack), ["create"]);
    assert_eq!(it.aws.tag(&stack, "vend:request").as_deref(), Some(ID));
    assert_eq!(it.aws.tag(&stack, "vend:target").as_deref(), Some(stack.as_str()));
    assert_eq!(it.aws.tag(&stack, "vend:template").as_deref(), Some("queue@1.0.0"));
    let url = it.aws.output(&stack, "QueueUrl").unwrap();
    let status = it.world.status(ID);
    assert_eq!(status["outputs"]["url"], json!(url));
    assert_eq!(status["components"][0]["state"], "CREATE_COMPLETE");
    assert!(status["components"][0].get("link").is_none(), "another endpoint has no console");
    assert_eq!(it.aws.retention(&url), "60");
    it.again_nothing();
}

#[test]
fn a_plan_shows_what_would_come_and_leaves_nothing_behind() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, queue("{}"))]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("1 to create"), "{plan}");
    assert!(plan.contains("create AWS::SQS::Queue Queue"), "the template tells it: {plan}");
    assert_eq!(it.aws.count("CreateChangeSet"), 0, "two hundred would be as many change sets");
    let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
    assert!(plan.contains("create AWS::SQS::Queue Queue"), "{plan}");
    assert_eq!(it.aws.count("CreateChangeSet"), 1);
    assert!(it.aws.stacks().is_empty(), "{:?}", it.aws.stacks());
    assert!(it.aws.effects("").is_empty());
    it.apply();
    it.again_nothing();
}

#[test]
fn a_change_in_place_keeps_the_resource() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, queue("{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let url = it.aws.output(&stack, "QueueUrl").unwrap();

    it.world.requests.commit([ask(ID, queue("{seconds: 120}"))]);
    let said = it.apply();
    assert!(said.contains("Applied: 1 updated, 1 ready."), "{said}");
    assert_eq!(it.aws.output(&stack, "QueueUrl").unwrap(), url);
    assert_eq!(it.aws.retention(&url), "120");
    assert_eq!(it.aws.effects(&stack), ["create", "update"]);
    assert_eq!(it.world.status(ID)["components"][0]["state"], "UPDATE_COMPLETE");
    it.again_nothing();
}

#[test]
fn a_replacement_is_named_and_waits_for_a_person() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, queue("{name: first}"))]);
    it.apply();
    let stack = it.stack(ID);
    it.world.requests.commit([ask(ID, queue("{name: second}"))]);
    it.apply();
    let sentence = it.world.held(ID, "NeedsApproval");
    assert!(sentence.contains("replace `Queue` (AWS::SQS::Queue"), "{sentence}");
    assert!(sentence.contains("QueueName"), "{sentence}");
    assert_eq!(it.aws.effects(&stack), ["create"]);
    it.world.approve(&sentence);
    it.apply();
    assert!(it.world.status(ID)["outputs"]["url"].as_str().unwrap().ends_with("/second"));
    assert_eq!(it.aws.effects(&stack), ["create", "update"]);
    it.again_nothing();
}

#[test]
fn what_changes_nothing_in_the_template_changes_nothing_there() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, queue("{}"))]);
    it.apply();
    let text = queue("{seconds: 60}") + "  reason: ORD-123\n";
    it.world.requests.commit([ask(ID, text)]);
    it.aws.only_looks(|| it.apply());
    it.again_nothing();
}

#[test]
fn one_stacks_output_is_anothers_parameter() {
    let it = Account::new();
    let references = format!("references: {{of: {{request: {ID}, output: arn}}}}");
    let reads = "payments/dev/reads";
    it.world.requests.commit([
        ask(reads, request_with("reader@1.0.0", "{}", &references)),
        ask(ID, queue("{name: first}")),
    ]);
    let said = it.apply();
    assert!(said.contains("2 created"), "{said}");
    let read = || it.world.status(reads)["outputs"]["read"].as_str().unwrap().to_owned();
    let arn = || it.aws.output(&it.stack(ID), "QueueArn").unwrap();
    assert!(read().ends_with(":first"), "{}", read());
    assert_eq!(read(), arn());
    it.again_nothing();

    // What is read changes with its replacement, and reaches its reader.
    it.world.requests.commit([ask(ID, queue("{name: second}"))]);
    it.apply();
    it.world.approve(&it.world.held(ID, "NeedsApproval"));
    it.apply();
    assert!(read().ends_with(":second"), "{}", read());
    assert_eq!(read(), arn());
    assert_eq!(it.aws.effects(&it.stack(reads)), ["create", "update"]);
    it.again_nothing();
}

#[test]
fn capabilities_are_those_that_the_template_declares() {
    let it = Account::of(Aws::strict());
    let undeclared = "orders/dev/undeclared";
    it.world.requests.commit([
        ask(ID, request("role@1.0.0", "{}")),
        ask(undeclared, request("undeclared@1.0.0", "{}")),
    ]);
    it.apply_fails();
    it.world.ready(ID);
    let (_, _, sentence) = it.world.standing(undeclared);
    assert!(sentence.contains("CAPABILITY_IAM"), "{sentence}");
    assert_eq!(it.aws.stacks().len(), 1);
    it.aws.assert_sound();
}

#[test]
fn credentials_of_another_account_touch_nothing() {
    let it = Account::new();
    let other = Aws::new();
    it.world.catalog.commit([super::catalog::environment(&other, "dev", "", "")]);
    it.world.requests.commit([ask(ID, queue("{}"))]);
    let said = it.apply();
    assert!(said.contains(it.aws.account()) && said.contains(other.account()), "{said}");
    assert!(it.aws.stacks().is_empty() && other.stacks().is_empty());
    assert!(!it.aws.calls().iter().any(|call| call.writes()), "{}", it.aws.history());
}
