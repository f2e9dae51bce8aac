//! What other people do to a stack meanwhile.

use serde_json::json;

use super::late::{seconds, steps, under_way};
use super::{Account, catalog};
use crate::aws::{Answer, Fault, Rule, stack};
use crate::world::{ask, drop_request, request, request_with};

const ID: &str = "orders/dev/steps";

/// A request for a queue with a label.
fn labelled(note: &str, parameters: &str, more: &str) -> String {
    let labels = format!("kind: Request\nmetadata: {{labels: {{note: {note}}}}}\n");
    request_with("queue@1.0.0", parameters, more).replace("kind: Request\n", &labels)
}

fn patient() -> Account {
    let mut it = Account::new();
    it.world.configure(|c| c["reconcile"] = json!({"replacements": "apply"}));
    it
}

/// A person stops an update, by such a token.
#[track_caller]
fn stopped_by_somebody(token: Option<&str>) {
    let it = patient();
    let stack = under_way(&it, "steps");
    let stop = it.aws.client.cancel_update_stack().stack_name(&stack);
    it.aws.wait(stop.set_client_request_token(token.map(str::to_owned)).send()).unwrap();
    // The service stops before the next resource.
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    assert_eq!(it.aws.settled(&stack).as_str(), "UPDATE_ROLLBACK_COMPLETE");
    it.apply_fails();
    let (phase, _, sentence) = it.world.standing(ID);
    assert_eq!(phase, "Failed", "{sentence}");
    assert!(sentence.contains("somebody else stopped it"), "{sentence}");
    let logs = it.world.vend_ends(0, &["logs", ID]).stdout;
    assert!(logs.contains("UPDATE_ROLLBACK_COMPLETE"), "what they did is history too: {logs}");
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));

    // What is newer goes on.
    it.world.requests.commit([ask(ID, steps("steps", 0))]);
    it.apply();
    it.world.ready(ID);
    assert_eq!(seconds(&it, &stack), "60");
    it.again_nothing();
}

#[test]
fn an_update_that_a_person_stops_has_ended() {
    stopped_by_somebody(None);
}

#[test]
fn an_update_that_a_person_stops_in_the_console_has_ended() {
    stopped_by_somebody(Some("Console-CancelUpdateStack-7c59"));
}

#[test]
fn an_update_of_a_stack_that_a_person_deletes_has_ended() {
    let it = patient();
    let stack = under_way(&it, "steps");
    it.aws.remove(&stack);
    it.apply_fails();
    let (phase, _, sentence) = it.world.standing(ID);
    assert_eq!(phase, "Failed", "{sentence}");
    assert!(sentence.contains("deleted while it was being changed"), "{sentence}");
    it.world.requests.commit([ask(ID, steps("steps", 0))]);
    it.apply();
    it.world.ready(ID);
    assert_eq!(seconds(&it, &stack), "60");
    it.again_nothing();
}

#[test]
fn the_tags_of_who_had_it_before_stay_and_those_that_vend_gave_go() {
    const QUEUE: &str = "orders/dev/events";
    const STACK: &str = "orders-events";
    let it = Account::new();
    let settings = ", stackName: \"{team}-{name}\"";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    it.aws.make(STACK, &stack::queue(60), &[("cost-center", "4711"), ("owner", "ada")]);
    let tags = || ["cost-center", "owner", "note"].map(|key| it.aws.tag(STACK, key));
    let have = |all: [Option<&str>; 3]| assert_eq!(tags(), all.map(|t| t.map(str::to_owned)));
    it.world.requests.commit([ask(QUEUE, labelled("one", "{}", "adopt: true"))]);
    it.apply();
    it.world.ready(QUEUE);
    have([Some("4711"), Some("ada"), Some("one")]);

    // The label is gone long before anything changes.
    it.world.requests.commit([ask(QUEUE, request("queue@1.0.0", "{}"))]);
    it.apply();
    it.world.requests.commit([ask(QUEUE, request("queue@1.0.0", "{seconds: 90}"))]);
    it.apply();
    it.world.ready(QUEUE);
    have([Some("4711"), Some("ada"), None]);
    it.again_nothing();
}

/// Somebody makes a stack to look at under the name of one that is to come, and it is not seen the first
/// `unseen` times.
#[track_caller]
fn a_strangers_review(unseen: usize) {
    const STACK: &str = "orders-mine";
    let it = Account::new();
    let settings = ", stackName: \"{team}-{name}\"";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    it.aws.review(STACK, &stack::queue(60));
    let absent = Fault::answer(|call, answer| {
        let text = format!("Stack with id {} does not exist", call.get("StackName"));
        *answer = Answer::error(400, "ValidationError", &text);
    });
    it.aws.rule(Rule::on("DescribeStacks", absent).stack(STACK).times(unseen));
    // With AWS there is one stack of that name, and both change sets are in it.
    let both = Fault::answer(|_, answer| {
        let set = |name: &str| format!("<member><ChangeSetName>{name}</ChangeSetName></member>");
        *answer = Answer::xml(
            200,
            format!(
                "<ListChangeSetsResponse xmlns=\"http://cloudformation.amazonaws.com/doc/2010-05-15/\">\
                 <ListChangeSetsResult><Summaries>{}{}</Summaries></ListChangeSetsResult>\
                 </ListChangeSetsResponse>",
                set("vend-preview-0"),
                set("somebodys")
            ),
        );
    });
    it.aws.rule(Rule::on("ListChangeSets", both));
    it.world.requests.commit([ask("orders/dev/mine", request("queue@1.0.0", "{}"))]);
    it.world.vend(&["plan", "--preview"]);
    assert_eq!(it.aws.count("DeleteStack"), 0, "{}", it.aws.history());
    let theirs = it.aws.client.describe_change_set().stack_name(STACK).change_set_name("somebodys");
    it.aws.wait(theirs.send()).expect("it is there still");
}

#[test]
fn a_preview_of_a_creation_leaves_a_strangers_stack_alone() {
    for unseen in [1, 2] {
        a_strangers_review(unseen);
    }
}

#[test]
fn a_change_set_that_was_prepared_with_other_tags_is_not_carried_out() {
    const QUEUE: &str = "orders/dev/events";
    let it = Account::new();
    let labelled = |note: &str, seconds: u32| {
        ask(QUEUE, labelled(note, &format!("{{seconds: {seconds}}}"), ""))
    };
    it.world.requests.commit([labelled("one", 60)]);
    it.apply();
    let stack = it.stack(QUEUE);

    // The process ends while CloudFormation works the change set out.
    let going = Fault::answer(|_, answer| {
        answer.edit(|text| {
            text.replace("<Status>CREATE_COMPLETE</Status>", "<Status>CREATE_IN_PROGRESS</Status>")
        });
    });
    it.aws.rule(Rule::on("DescribeChangeSet", going));
    it.world.requests.commit([labelled("two", 120)]);
    let mut daemon = crate::daemon::Serving::ready(&it.world);
    it.aws.eventually("it is worked out", || (it.aws.count("DescribeChangeSet") > 0).then_some(()));
    daemon.kill();
    it.aws.no_rules();

    it.world.requests.commit([labelled("three", 120)]);
    it.apply();
    it.world.ready(QUEUE);
    assert_eq!(it.aws.tag(&stack, "note").as_deref(), Some("three"), "{}", it.aws.history());
    assert_eq!(it.aws.effects(&stack), ["create", "update"]);
    it.again_nothing();
    it.world.requests.commit([drop_request(QUEUE)]);
    it.apply();
    assert!(it.aws.stacks().is_empty());
}
