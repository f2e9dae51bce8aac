//! Stacks within stacks: what is lost in them is lost to the person who is asked about the outer one.

use super::{Account, catalog};
use crate::aws::{Answer, Fault, Rule};
use crate::world::{ask, request};

const ID: &str = "orders/dev/outer";

/// A request whose stack has a queue of its own in a stack within it; `two` names that queue otherwise.
fn standing() -> Account {
    let it = Account::new();
    let bucket = format!("nested-{}", it.aws.account());
    it.aws.make_bucket(&bucket);
    for name in ["one", "two"] {
        let queue = serde_json::json!({
            "Q": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": format!("inner-{name}")}}
        });
        it.aws.put_object(&bucket, name, &crate::aws::stack::template(&queue).to_string());
    }
    it.world.catalog.commit(catalog::nested(&it.aws.object_url(&bucket, "")));
    it.world.requests.commit([ask(ID, request("nested@1.0.0", "{inner: one}"))]);
    it.apply();
    it.world.ready(ID);
    it.world.requests.commit([ask(ID, request("nested@1.0.0", "{inner: two}"))]);
    it
}

/// The answer with that put after a resource's logical id, and without the server's own guess at its fate.
fn told(text: &str, name: &str, more: &str) -> String {
    let id = format!("<LogicalResourceId>{name}</LogicalResourceId>");
    let text =
        text.replace("<Replacement>Conditional</Replacement>", "<Replacement>False</Replacement>");
    let text = text.replace("<RequiresRecreation>Conditionally", "<RequiresRecreation>Never");
    text.replace(&id, &format!("{id}{more}"))
}

#[test]
fn what_nobody_could_look_into_may_be_lost_and_is_asked_about() {
    let it = standing();
    let stack = it.stack(ID);
    it.aws.rule(Rule::on(
        "DescribeChangeSet",
        Fault::answer(|_, answer| answer.edit(|text| told(&text, "Inner", ""))),
    ));
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("Inner") && plan.contains("MAY REPLACE"), "{plan}");
    it.world.vend(&["apply", "--wait"]);
    let held = it.world.held(ID, "NeedsApproval");
    assert!(held.contains("`Inner`") && held.contains("was not looked at"), "{held}");
    assert_eq!(it.aws.effects(&stack), ["create"]);
    let made = it.aws.calls().into_iter().find(|call| call.action == "CreateChangeSet").unwrap();
    assert_eq!(made.get("IncludeNestedStacks"), "true");

    it.world.approve(&held);
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.effects(&stack), ["create", "update"], "{}", it.aws.history());
    it.again_nothing();
}

const INNER: &str = "arn:aws:cloudformation:eu-west-1:123456789012:changeSet/inner/1";

/// A page of the inner stack's change set, as AWS writes it.
fn page(next: &str, resource: &str, replacement: &str) -> String {
    format!(
        "<DescribeChangeSetResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
         <DescribeChangeSetResult><ChangeSetId>{INNER}</ChangeSetId>{next}\
         <Status>CREATE_COMPLETE</Status><ExecutionStatus>AVAILABLE</ExecutionStatus><Changes><member>\
         <Type>Resource</Type><ResourceChange><Action>Modify</Action>\
         <LogicalResourceId>{resource}</LogicalResourceId><ResourceType>AWS::SQS::Queue</ResourceType>\
         <Replacement>{replacement}</Replacement><Scope><member>Properties</member></Scope></ResourceChange>\
         </member></Changes></DescribeChangeSetResult></DescribeChangeSetResponse>"
    )
}

#[test]
fn a_change_set_of_a_stack_within_is_read_to_its_last_page() {
    let it = standing();
    let stack = it.stack(ID);
    it.aws.rule(Rule::on(
        "DescribeChangeSet",
        Fault::answer(|call, answer| {
            if call.get("ChangeSetName") != INNER {
                let more = format!("<ChangeSetId>{INNER}</ChangeSetId>");
                return answer.edit(|text| told(&text, "Inner", &more));
            }
            *answer = Answer::xml(
                200,
                match call.get("NextToken") {
                    "" => page("<NextToken>more</NextToken>", "First", "False"),
                    _ => page("", "Q", "True"),
                },
            );
        }),
    ));
    let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
    assert!(plan.contains("replace `Inner/Q`"), "{plan}");
    it.world.vend(&["apply", "--wait"]);
    let held = it.world.held(ID, "NeedsApproval");
    assert!(held.contains("replace `Inner/Q`") && !held.contains("First"), "{held}");
    assert_eq!(it.aws.effects(&stack), ["create"]);
    it.world.approve(&held);
    it.apply();
    it.world.ready(ID);
    it.again_nothing();
}
