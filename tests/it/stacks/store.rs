//! Two stores, one account.

use aws_sdk_cloudformation::types::Tag;
use serde_json::json;

use super::{Account, catalog};
use crate::daemon::Serving;
use crate::world::{ask, drop_request, request};

const ID: &str = "orders/dev/events";

#[test]
fn f67_another_store_makes_no_stack_a_second_time() {
    let mut it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stacks = it.aws.stacks();

    let empty = it.world.root().join("empty");
    it.world.configure(|c| c["stateDir"] = json!(empty));
    it.aws.only_looks(|| {
        for args in [["apply"].as_slice(), &["state", "takeover"], &["apply"]] {
            let said = it.world.vend_ends(2, args).stderr;
            assert!(said.contains("the status branch belongs to another vend"), "{said}");
        }
    });
    assert_eq!(it.aws.stacks(), stacks);

    let own = it.world.root().join("state");
    it.world.configure(|c| c["stateDir"] = json!(own));
    it.again_nothing();
}

#[test]
fn f71_a_rebuilt_store_knows_its_stacks_by_their_ids() {
    let it = Account::new();
    let other = "orders/dev/other";
    it.world
        .requests
        .commit([ask(ID, request("queue@1.0.0", "{}")), ask(other, request("queue@1.0.0", "{}"))]);
    it.apply();
    let (stack, arn) = (it.stack(ID), it.aws.id(&it.stack(ID)));
    std::fs::remove_dir_all(it.world.root().join("state")).unwrap();
    let said = it.aws.only_looks(|| it.world.vend_ends(0, &["state", "rebuild"])).stdout;
    assert!(said.contains("2 targets stand as they were recorded.\nNothing"), "{said}");
    it.apply();
    assert_eq!(it.aws.effects(&stack), ["create"]);
    assert_eq!(it.aws.id(&stack), arn);
    it.again_nothing();
    it.world
        .requests
        .commit([ask(ID, request("queue@1.0.0", "{seconds: 120}")), drop_request(other)]);
    let gone = it.stack(other);
    it.apply();
    assert_eq!(it.aws.effects(&stack), ["create", "update"]);
    assert_eq!(it.aws.effects(&gone), ["create", "delete"]);
    it.again_nothing();
}

#[test]
fn f71_a_store_that_was_lost_while_a_stack_was_made_finds_that_one() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("slow@1.0.0", "{}"))]);
    let mut daemon = Serving::ready(&it.world);
    let stack = it.aws.eventually("it is under way", || it.aws.stacks().pop()).0;
    it.aws.eventually("that is published", || it.world.status_or_none(ID));
    daemon.kill();
    std::fs::remove_dir_all(it.world.root().join("state")).unwrap();
    it.world.vend_ends(0, &["state", "rebuild"]);
    it.world.vend(&["apply"]);
    it.world.held(ID, "Busy");
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.aws.eventually("it is ready", || {
        it.world.vend(&["apply", "--wait"]);
        it.world.status_or_none(ID).filter(|status| status["phase"] == "Ready")
    });
    assert_eq!(it.aws.effects(&stack), ["create"]);
    it.again_nothing();
}

#[test]
fn f71_what_is_newer_than_its_record_is_deleted_all_the_same() {
    let it = Account::new();
    deleted_though_newer(&it);
}

#[test]
fn f71_of_what_is_newer_than_its_record_its_provider_tells_rules_what_goes() {
    let it = Account::new();
    let rule = "plan.resources.exists(r, r.type == 'AWS::S3::Bucket' && r.action == 'delete')";
    let rule = format!("  policy:\n    - {{deny: \"{rule}\", message: Buckets stay.}}\n");
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", &rule)]);
    deleted_though_newer(&it);
}

fn deleted_though_newer(it: &Account) {
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    // As where the last change was made, and the store that knew of it was lost before it told.
    let tags: Vec<Tag> = it
        .aws
        .stack(&stack)
        .unwrap()
        .tags()
        .iter()
        .map(|tag| match tag.key() {
            Some("vend:digest") => {
                let other = format!("sha256:{}", "2".repeat(64));
                Tag::builder().key("vend:digest").value(other).build()
            }
            _ => tag.clone(),
        })
        .collect();
    let call = it.aws.client.update_stack().stack_name(&stack).set_tags(Some(tags));
    let template = crate::aws::stack::queue(120).to_string();
    it.aws.wait(call.template_body(template).send()).unwrap();
    it.aws.settled(&stack);

    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    assert!(it.aws.stack(&stack).is_none(), "{}", it.aws.history());
    assert_eq!(it.aws.effects(&stack), ["create", "delete"], "{}", it.aws.history());
    it.again_nothing();
}
