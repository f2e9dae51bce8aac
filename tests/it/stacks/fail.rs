//! What goes wrong at the provider, and what is said of it.

use super::Account;
use crate::aws::{Fault, Rule};
use crate::world::{ask, drop_request, request, request_with};

const ID: &str = "orders/dev/thing";

#[test]
fn a_creation_that_fails_names_the_resource_and_offers_to_make_it_anew() {
    let it = Account::new();
    it.aws.make_bucket("somebodys");
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: somebodys}"))]);
    it.apply_fails();
    let (stack, state) = it.aws.stacks().pop().unwrap();
    assert_eq!(state, "ROLLBACK_COMPLETE");
    let (_, reason, text) = it.world.standing(ID);
    assert_eq!(reason, "Stuck", "{text}");
    assert!(text.contains("`Bucket` (AWS::S3::Bucket)"), "{text}");
    assert!(text.contains("'somebodys' already exists"), "{text}");

    // Nothing is done again by itself: it would end the same.
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));

    // Mended, it is deleted and made anew when a person approves that.
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: our-own}"))]);
    it.world.vend(&["apply", "--wait"]);
    let (_, _, sentence) = it.world.standing(ID);
    it.world.approve(&sentence);
    let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
    assert!(plan.contains("it is made anew"), "{plan}");
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.count("CreateChangeSet"), 0, "AWS refuses one for such a stack");
    assert!(it.aws.has_bucket("our-own"));
    assert_eq!(it.aws.effects(&stack), ["create", "delete", "create"]);
    it.again_nothing();
}

#[test]
fn what_a_failed_creation_left_goes_with_its_file() {
    let it = Account::new();
    it.aws.make_bucket("taken");
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: taken}"))]);
    it.apply_fails();
    let (stack, state) = it.aws.stacks().pop().unwrap();
    assert_eq!(state, "ROLLBACK_COMPLETE");
    it.world.requests.commit([drop_request(ID)]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("1 to delete"), "{plan}");
    it.apply();
    assert!(it.aws.stacks().is_empty(), "{}", it.aws.history());
    assert_eq!(it.aws.effects(&stack), ["create", "delete"]);
    assert!(it.world.status_or_none(ID).is_none());
    it.again_nothing();

    // One that a person has taken away already is none.
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: taken}"))]);
    it.apply_fails();
    it.aws.remove(&stack);
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.apply());
    assert!(it.world.status_or_none(ID).is_none());
    it.again_nothing();
}

#[test]
fn what_cannot_be_deleted_of_a_failed_creation_is_held_until_it_can() {
    let it = Account::new();
    it.world.catalog.commit(super::catalog::stubborn());
    it.world.requests.commit([ask(ID, request("stubborn@1.0.0", "{}"))]);
    it.apply_fails();
    let (stack, state) = it.aws.stacks().pop().unwrap();
    assert_eq!(state, "ROLLBACK_FAILED", "{}", it.aws.history());
    let text = "a policy says that it stays";
    it.aws.rule(Rule::on("DeleteStack", Fault::Refuse(403, "AccessDenied", text)));
    it.world.requests.commit([drop_request(ID)]);
    it.apply_fails();
    let (phase, _, sentence) = it.world.standing(ID);
    assert!(phase == "Failed" && sentence.contains(text), "{phase}: {sentence}");
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    assert!(it.world.status_or_none(ID).is_some(), "it is not forgotten");

    // A person sees to that; the stack goes with the next try.
    it.aws.no_rules();
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    assert_eq!(it.aws.effects(&stack), ["create", "delete"], "{}", it.aws.history());
    assert!(it.world.status_or_none(ID).is_none());
    it.again_nothing();
}

#[test]
fn what_a_failed_creation_left_goes_though_its_deletion_failed_before() {
    let it = Account::new();
    it.world.catalog.commit(super::catalog::stubborn());
    it.world.requests.commit([ask(ID, request("stubborn@1.0.0", "{}"))]);
    it.apply_fails();
    let (stack, _) = it.aws.stacks().pop().unwrap();
    // By its status alone it may have been of use; its events tell that it never was.
    let said = Fault::answer(|_, answer| {
        answer.edit(|text| text.replace("ROLLBACK_FAILED", "DELETE_FAILED"));
    });
    it.aws.rule(Rule::on("DescribeStacks", said));
    it.world.requests.commit([drop_request(ID)]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("1 to delete"), "{plan}");
    it.aws.no_rules();
    it.apply();
    assert_eq!(it.aws.effects(&stack), ["create", "delete"], "{}", it.aws.history());
    assert!(it.world.status_or_none(ID).is_none());
    it.again_nothing();
}

#[test]
fn what_was_whole_since_is_not_taken_for_the_rest_of_a_failed_creation() {
    let it = Account::new();
    it.aws.make_bucket("whole-since");
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: whole-since}"))]);
    it.apply_fails();
    let (stack, _) = it.aws.stacks().pop().unwrap();
    let tags: Vec<(&str, String)> = ["vend:instance", "vend:target", "vend:request"]
        .into_iter()
        .map(|key| (key, it.aws.tag(&stack, key).unwrap()))
        .collect();
    let tags: Vec<(&str, &str)> = tags.iter().map(|(key, value)| (*key, value.as_str())).collect();

    // Somebody made it by hand in vend's name, used it, and could not delete all of it.
    it.aws.remove(&stack);
    let thing = crate::aws::stack::moody("ok", "ok", "fail", "none");
    assert_eq!(it.aws.make(&stack, &thing, &tags).as_str(), "CREATE_COMPLETE");
    assert_eq!(it.aws.remove(&stack).unwrap().as_str(), "DELETE_FAILED");
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let (_, reason, sentence) = it.world.standing(ID);
    assert_eq!(reason, "Stuck", "{sentence}");
    let next = "it may have been of use since, and no file asks for it any more: put the file back, or delete it by hand";
    assert!(sentence.contains(next), "{sentence}");

    it.aws.remove_but(&stack, "Thing");
    it.world.vend_ends(0, &["retry", ID]);
    it.aws.only_looks(|| it.apply());
    assert!(it.world.status_or_none(ID).is_none());
    it.again_nothing();
}

#[test]
fn what_a_failed_creation_left_goes_when_its_file_asks_for_another_name() {
    let it = Account::new();
    it.aws.make_bucket("first-taken");
    let named = |name: &str| {
        let settings = format!(", stackName: \"{name}-{{name}}\"");
        it.world.catalog.commit([super::catalog::environment(&it.aws, "dev", &settings, "")]);
    };
    named("first");
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: first-taken}"))]);
    it.apply_fails();
    assert_eq!(it.aws.stacks(), [("first-thing".to_owned(), "ROLLBACK_COMPLETE".to_owned())]);

    named("second");
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: second-own}"))]);
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.stacks(), [("second-thing".to_owned(), "CREATE_COMPLETE".to_owned())]);
    assert_eq!(it.aws.effects("first-thing"), ["create", "delete"], "{}", it.aws.history());
    assert_eq!(it.aws.effects("second-thing"), ["create"]);
    it.again_nothing();
}

/// A thing of somebody's own may be made anew by an update, as far as anybody can tell: a person says
/// that it is meant.
fn meant(it: &Account) {
    it.world.vend(&["apply", "--wait"]);
    let held = it.world.held(ID, "NeedsApproval");
    assert!(held.contains("perhaps replace"), "{held}");
    it.world.approve(&held);
}

#[test]
fn an_update_that_fails_is_rolled_back_and_said() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{note: one}"))]);
    it.apply();
    let stack = it.stack(ID);

    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{note: two, update: fail}"))]);
    meant(&it);
    it.apply_fails();
    assert_eq!(it.aws.settled(&stack).as_str(), "UPDATE_ROLLBACK_COMPLETE");
    let (phase, _, sentence) = it.world.standing(ID);
    assert_eq!(phase, "Failed", "{sentence}");
    let text = it.world.status(ID).to_string();
    assert!(text.contains("the thing does not want to") && text.contains("Thing"), "{text}");
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));

    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{note: three}"))]);
    meant(&it);
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.effects(&stack), ["create", "update", "update"]);
    it.again_nothing();
}

#[test]
fn f42_what_another_does_to_it_is_waited_for() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    it.world.vend(&["apply"]);
    let stack = it.aws.stacks()[0].0.clone();
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply();
    it.world.ready(ID);

    let mut template = crate::aws::stack::slow(600);
    template["Resources"]["More"] = serde_json::json!({"Type": "AWS::SQS::Queue"});
    let call = it.aws.client.update_stack().stack_name(&stack);
    it.aws.wait(call.template_body(template.to_string()).send()).unwrap();
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{round: 2}"))]);
    it.aws.only_looks(|| it.world.vend(&["apply"]));
    let (phase, reason, sentence) = it.world.standing(ID);
    assert_ne!(phase, "Ready", "{reason}: {sentence}");
    it.aws.signal(&stack, "Handle", "SUCCESS");
    it.aws.settled(&stack);
    it.aws.assert_sound();
}

#[test]
fn an_output_that_a_condition_leaves_out_is_named_by_both_ends() {
    let it = Account::new();
    let reads = "orders/dev/reads";
    let references = format!("references: {{of: {{request: {ID}, output: other}}}}");
    it.world.requests.commit([
        ask(ID, request("partial@1.0.0", "{}")),
        ask(reads, crate::world::request_with("reader@1.0.0", "{}", &references)),
    ]);
    it.apply();
    it.world.ready(ID);
    let status = it.world.status(ID);
    let message = status["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("`other`") && message.contains("does not give"), "{message}");
    let (_, reason, sentence) = it.world.standing(reads);
    assert_eq!(reason, "WaitingFor", "{sentence}");
    assert!(sentence.contains("other`") && sentence.contains("applied without it"), "{sentence}");
    it.again_nothing();
}

#[test]
fn what_somebody_locked_of_a_failed_creation_stays_until_they_unlock_it() {
    let it = Account::new();
    it.aws.make_bucket("taken-and-locked");
    it.world.requests.commit([ask(ID, request("bucket@1.0.0", "{name: taken-and-locked}"))]);
    it.apply_fails();
    let (stack, _) = it.aws.stacks().pop().unwrap();
    it.aws.protect(&stack, true);
    it.world.requests.commit([drop_request(ID)]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    let (_, reason, sentence) = it.world.standing(ID);
    assert_eq!(reason, "Stuck", "{sentence}");
    assert!(sentence.contains("its termination protection is on"), "{sentence}");
    assert!(!sentence.contains("confirm"), "no file made it: {sentence}");

    it.aws.protect(&stack, false);
    it.world.vend_ends(0, &["retry", ID]);
    it.apply();
    assert_eq!(it.aws.effects(&stack), ["create", "delete"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn the_guard_that_an_update_put_on_before_it_failed_is_vends_own() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let fails = request_with("moody@1.0.0", "{update: fail, note: second}", "protect: true");
    it.world.requests.commit([ask(ID, fails)]);
    meant(&it);
    it.apply_fails();
    assert_eq!(it.aws.stack(&stack).unwrap().enable_termination_protection(), Some(true));

    it.world.requests.commit([ask(ID, request("moody@1.0.0", "{}"))]);
    it.apply();
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.aws.stack(&stack).is_none(), "{}", it.aws.history());
    it.again_nothing();
}
