//! Credentials that belong to another account than the one that is meant: what is asked for there is
//! not there, and nothing may follow from that.

use serde_json::json;

use super::{Account, catalog};
use crate::aws::{Aws, Fault, Rule};
use crate::world::{ask, drop_request, request};

const IDS: [&str; 3] = ["orders/dev/going", "orders/dev/changing", "orders/dev/staying"];

/// A pass with the credentials of another account; what it printed.
fn apply_as(it: &Account, there: &Aws) -> String {
    let mut command = it.world.command(&["apply", "--wait"]);
    let output = command.env("AWS_ACCESS_KEY_ID", there.account()).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

/// One is removed, one changed and one looked at for drift, with the credentials of another account.
fn with_anothers_credentials(mut it: Account) {
    let there = Aws::new();
    it.world.requests.commit(IDS.map(|id| ask(id, request("queue@1.0.0", "{}"))));
    it.apply();
    let stacks = it.aws.stacks();
    assert_eq!(stacks.len(), 3);
    let changed = ask(IDS[1], request("queue@1.0.0", "{seconds: 120}"));
    it.world.requests.commit([drop_request(IDS[0]), changed]);
    it.world.configure(|c| c["reconcile"] = json!({"driftInterval": "1ms"}));

    it.aws.only_looks(|| apply_as(&it, &there));
    for id in IDS {
        let sentence = it.world.held(id, "NotObserved");
        let (ours, theirs) = (it.aws.account(), there.account());
        assert!(sentence.contains(ours) && sentence.contains(theirs), "{id}: {sentence}");
    }
    assert_eq!((it.aws.stacks(), there.stacks()), (stacks, vec![]), "{}", it.aws.history());

    it.world.configure(|c| c["reconcile"] = json!({"driftInterval": "1h"}));
    let said = it.apply();
    assert!(said.contains("1 deleted"), "{said}");
    assert_eq!(it.aws.stacks().len(), 2);
    IDS[1..].iter().for_each(|id| it.world.ready(id));
    assert_eq!(it.aws.effects(&it.stack(IDS[1])), ["create", "update"]);
    it.again_nothing();
}

/// An environment that says only where its stacks are, and not in whose account.
fn of_no_account() -> Account {
    let it = Account::new();
    let account = format!("account: \"{}\", ", it.aws.account());
    let environment = catalog::environment(&it.aws, "dev", "", "").and_replace(&account, "");
    it.world.catalog.commit([environment]);
    it
}

#[test]
fn stacks_of_the_account_that_an_environment_names_are_not_gone_where_another_is_asked() {
    with_anothers_credentials(Account::new());
}

#[test]
fn stacks_of_an_environment_without_an_account_are_those_of_the_account_that_made_them() {
    with_anothers_credentials(of_no_account());
}

#[test]
fn nothing_is_made_in_another_account_than_the_one_that_is_named() {
    let (it, there) = (Account::new(), Aws::new());
    it.world.requests.commit([ask(IDS[0], request("queue@1.0.0", "{}"))]);
    it.aws.only_looks(|| apply_as(&it, &there));
    let sentence = it.world.held(IDS[0], "NotObserved");
    assert!(sentence.contains("the environment says"), "{sentence}");
    it.apply();
    it.world.ready(IDS[0]);
    it.again_nothing();
}

#[test]
fn a_deletion_has_not_ended_since_another_account_knows_nothing_of_it() {
    let (it, there) = (of_no_account(), Aws::new());
    it.world.requests.commit([ask(IDS[0], request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(IDS[0]);
    it.world.requests.commit([drop_request(IDS[0])]);
    // It is on its way, and nobody knows how far it came.
    it.aws.rule(Rule::on("DeleteStack", Fault::ResetBefore));
    it.world.vend(&["apply"]);
    it.aws.no_rules();
    let mut command = it.world.command(&["apply"]);
    command.env("AWS_ACCESS_KEY_ID", there.account()).output().unwrap();
    assert!(it.aws.stack(&stack).is_some());
    assert!(it.world.status_or_none(IDS[0]).is_some(), "it is not forgotten");

    it.aws.eventually("it is deleted", || {
        it.world.vend(&["apply", "--wait"]);
        it.world.status_or_none(IDS[0]).is_none().then_some(())
    });
    assert!(it.aws.stack(&stack).is_none());
    it.again_nothing();
}

#[test]
fn an_update_under_way_has_not_failed_since_another_account_knows_nothing_of_it() {
    let (it, there) = (of_no_account(), Aws::new());
    let steps = |round: u32| request("steps@1.0.0", &format!("{{round: {round}}}"));
    it.world.requests.commit([ask(IDS[0], steps(0))]);
    it.apply();
    let stack = it.stack(IDS[0]);
    it.world.requests.commit([ask(IDS[0], steps(1))]);
    it.aws.eventually("the update is under way", || {
        it.world.vend(&["apply"]);
        let status = it.aws.stack(&stack)?.stack_status?;
        (status.as_str() == "UPDATE_IN_PROGRESS").then_some(())
    });
    it.aws.only_looks(|| {
        let mut command = it.world.command(&["apply"]);
        command.env("AWS_ACCESS_KEY_ID", there.account()).output().unwrap()
    });
    let (phase, reason, sentence) = it.world.standing(IDS[0]);
    assert_eq!(phase, "Applying", "{reason}: {sentence}");
    it.aws.signal(&stack, "Handle1", "SUCCESS");
    it.apply();
    it.world.ready(IDS[0]);
    it.again_nothing();
}

#[test]
fn the_account_that_is_named_later_moves_nothing() {
    let it = of_no_account();
    it.world.requests.commit(IDS.map(|id| ask(id, request("queue@1.0.0", "{}"))));
    it.apply();
    let stacks = it.aws.stacks();

    let named = catalog::environment(&it.aws, "dev", "", "");
    it.world.catalog.commit([named]);
    let plan = it.world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("0 to delete; 0 held"), "{plan}");
    it.aws.only_looks(|| it.apply());
    IDS.iter().for_each(|id| it.world.ready(id));
    assert_eq!(it.aws.stacks(), stacks);

    // Another one is a move, as ever.
    let there = Aws::new();
    it.world.catalog.commit([catalog::environment(&there, "dev", "", "")]);
    it.aws.only_looks(|| it.world.vend(&["apply", "--wait"]));
    assert!(it.world.held(IDS[1], "LooksLikeAMove").contains("account"));

    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", "")]);
    it.world
        .requests
        .commit([drop_request(IDS[0]), ask(IDS[1], request("queue@1.0.0", "{seconds: 120}"))]);
    let said = it.apply();
    assert!(said.contains("1 updated") && said.contains("1 deleted"), "{said}");
    assert_eq!(it.aws.effects(&it.stack(IDS[1])), ["create", "update"]);
    it.again_nothing();
}
