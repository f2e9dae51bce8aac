//! Two stores, one account.

use serde_json::json;

use super::Account;
use crate::world::{ask, request};

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
