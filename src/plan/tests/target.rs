//! The table: what is done to a target.

use insta::assert_snapshot;

use super::world::*;
use crate::digest::sha256;
use crate::model::{ChangeRule, DriftItem, OnDrift, Owner, TargetName};

fn one() -> World {
    World::of([("orders/prod/events", File::default().with("size", 1))])
}

#[test]
fn a_new_request_is_created() {
    let mut world = World::empty();
    world.put("orders/prod/events", File::default());
    assert_snapshot!(world.show(), @"
    Create orders/prod/events#main
    0 settled
    ");
    world.done();
}

#[test]
fn b77_of_two_that_come_to_one_name_the_first_has_it() {
    let named = |pattern: &str| {
        let settings = serde_json::json!({"region": "eu-west-1", "stackName": pattern});
        File { settings: serde_json::from_value(settings).unwrap(), ..File::default() }
    };
    let mut world = World::empty();
    world.put("orders/prod/one", named("{team}-queue"));
    world.put("orders/prod/two", named("{team}-queue"));
    world.put("orders/prod/other", named("{team}-{name}"));
    assert_snapshot!(world.show(), @"
    Create orders/prod/one#main
    Create orders/prod/other#main
    hold orders/prod/two#main Create: Invalid OWN001 `orders/prod/one` and `orders/prod/two` come to the same `stackName: orders-queue`, which the first one has
    0 settled
    ");
    // In other accounts there are other names; a role tells its account.
    let mut world = World::empty();
    for (id, account) in [("orders/prod/one", 1), ("orders/dev/one", 2), ("orders/test/one", 1)] {
        let mut file = named("{team}-queue");
        let role = format!("arn:aws:iam::{account:012}:role/vend");
        file.settings.insert("role".into(), role.into());
        world.put(id, file);
    }
    assert_snapshot!(world.show(), @"
    Create orders/dev/one#main
    Create orders/prod/one#main
    hold orders/test/one#main Create: Invalid OWN001 `orders/prod/one` and `orders/test/one` come to the same `stackName: orders-queue`, which the first one has
    0 settled
    ");
    // Who has it keeps it, whatever comes before in the order of names.
    let mut world = World::of([("orders/prod/two", named("{team}-queue").with("size", 1))]);
    world.file("orders/prod/two").parameters.insert("size".into(), 2.into());
    world.put("orders/prod/one", named("{team}-queue"));
    assert_snapshot!(world.show(), @"
    Update orders/prod/two#main
    hold orders/prod/one#main Create: Invalid OWN001 `orders/prod/two` and `orders/prod/one` come to the same `stackName: orders-queue`, which the first one has
    0 settled
    ");
}

#[test]
fn a_changed_parameter_is_an_update() {
    let mut world = one();
    world.file("orders/prod/events").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    Update orders/prod/events#main
    0 settled
    ");
    world.done();
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let mut world = World::empty();
    world.put("orders/prod/events", File::default());
    let name = world.plan().steps[0].target.name.clone();
    let owner = Owner::Other("another vend".into());
    let thing = Thing {
        digest: sha256(b"x"),
        owner,
        drift: vec![],
        busy: false,
        pending: false,
        unchecked: None,
        guarded: None,
        stuck: None,
    };
    world.things.insert(("files".into(), name.clone()), thing.clone());
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Create: NotOurs another vend
    0 settled
    ");
    // Ours by its mark, with no record: a record was lost, and the artifact is applied to it.
    let thing = Thing { owner: Owner::Ours, ..thing };
    world.things.insert(("files".into(), name), thing);
    assert_snapshot!(world.show(), @"
    Update orders/prod/events#main
    0 settled
    ");
    world.done();
}

#[test]
fn a_recorded_one_that_somebody_else_took_is_neither_changed_nor_deleted() {
    let mut world = one();
    world.thing("orders/prod/events#main").owner = Owner::Nobody;
    world.file("orders/prod/events").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Update: NotOurs
    0 settled
    ");
    world.remove("orders/prod/events");
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Delete: NotOurs
    0 settled
    ");
}

#[test]
fn one_that_vanished_is_made_again_and_reported() {
    let mut world = one();
    world.things.clear();
    world.drift_due = true;
    assert_snapshot!(world.show(), @"
    Restore orders/prod/events#main (Drifted)
    drift orders/prod/events#main 1
    0 settled
    ");
    world.done();

    world.things.clear();
    world.file("orders/prod/events").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    Create orders/prod/events#main (Drifted)
    drift orders/prod/events#main 1
    0 settled
    ");
    world.done();
}

#[test]
fn drift_is_reported_once_or_reverted() {
    let mut world = one();
    world.drift_due = true;
    let item = DriftItem::new("a.yaml", "changed");
    world.thing("orders/prod/events#main").drift = vec![item];
    assert_snapshot!(world.show(), @"
    drift orders/prod/events#main 1
    1 settled
    ");
    let plan = world.plan();
    world.apply(&plan);
    assert_snapshot!(world.show(), @"1 settled");

    world.file("orders/prod/events").on_drift = OnDrift::Revert;
    assert_snapshot!(world.show(), @"
    Restore orders/prod/events#main (Drifted)
    0 settled
    ");
    world.done();
}

#[test]
fn what_was_not_seen_is_not_touched() {
    let mut world = one();
    let all: Vec<TargetName> = world.things.keys().map(|(_, name)| name.clone()).collect();
    world.unseen.extend(all);
    world.file("orders/prod/events").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Update: NotObserved throttled
    0 settled
    ");
    world.remove("orders/prod/events");
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Delete: NotObserved throttled
    0 settled
    ");
    world.unseen.clear();
    world.done();
    assert!(world.things.is_empty() && world.records.is_empty());
}

#[test]
fn somebody_elses_change_under_way_is_waited_for() {
    let mut world = one();
    world.thing("orders/prod/events#main").busy = true;
    world.file("orders/prod/events").parameters.insert("size".into(), 2.into());
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Update: Busy
    0 settled
    ");
}

#[test]
fn labels_change_only_the_record() {
    let mut world = one();
    world.file("orders/prod/events").labels.insert("service".into(), "orders".into());
    assert_snapshot!(world.show(), @"
    settle orders/prod/events
    1 settled
    ");
    world.done();
}

#[test]
fn a_component_that_is_gone_goes_and_a_renamed_one_keeps_its_target() {
    let mut world = World::of([(
        "orders/prod/events",
        File {
            components: vec![
                ("main", None, "files", vec![]),
                ("alarm", None, "files", vec!["main"]),
            ],
            ..File::default()
        },
    )]);
    world.file("orders/prod/events").components = vec![("queue", Some("main"), "files", vec![])];
    assert_snapshot!(world.show(), @"
    Move orders/prod/events#queue from orders/prod/events#main
    Delete orders/prod/events#alarm (ComponentGone)
    0 settled
    ");
    let before: Vec<_> =
        world.records[&id("orders/prod/events")].components.values().cloned().collect();
    world.done();
    assert_eq!(world.log, ["Delete orders/prod/events#alarm"]);
    let after = &world.records[&id("orders/prod/events")].components[&key("a/b/c#queue").component];
    assert!(before.iter().any(|c| c.target == after.target && c.settings == after.settings));
}

#[test]
fn another_provider_is_a_delete_and_after_it_a_create() {
    let mut world = one();
    world.file("orders/prod/events").components = vec![("main", None, "cloudformation", vec![])];
    assert_snapshot!(world.show(), @"
    Delete orders/prod/events#main
    Create orders/prod/events#main after orders/prod/events#main
    0 settled
    ");
    world.done();
    assert_eq!(world.log, ["Delete orders/prod/events#main", "Create orders/prod/events#main"]);
}

#[test]
fn another_place_is_held_with_the_setting_named() {
    let mut world = one();
    world.file("orders/prod/events").settings.insert("repository".into(), "other".into());
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Replace: LooksLikeAMove repository
    0 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    assert_snapshot!(world.show(), @"
    Delete orders/prod/events#main
    Create orders/prod/events#main after orders/prod/events#main
    0 settled
    ");
    world.done();
}

#[test]
fn another_branch_is_another_place_but_naming_the_default_one_is_not() {
    let mut world = one();
    world.file("orders/prod/events").settings.insert("branch".into(), "main".into());
    assert_snapshot!(world.show(), @"
    settle orders/prod/events
    1 settled
    ");
    world.file("orders/prod/events").settings.insert("branch".into(), "release".into());
    assert_snapshot!(world.show(), @"
    hold orders/prod/events#main Replace: LooksLikeAMove branch
    0 settled
    ");
}

#[test]
fn parameters_change_as_their_rules_allow() {
    let rule = |rule| {
        let mut world = one();
        let file = world.file("orders/prod/events");
        file.parameters.insert("size".into(), 0.into());
        file.rules.insert("size".into(), rule);
        world.show()
    };
    assert_snapshot!(rule(ChangeRule::Update), @"
    Update orders/prod/events#main
    0 settled
    ");
    assert_snapshot!(rule(ChangeRule::Replace), @"
    Replace orders/prod/events#main
    0 settled
    ");
    assert_snapshot!(rule(ChangeRule::Immutable), @"
    hold orders/prod/events Update: ForbiddenChange `size` (immutable)
    0 settled
    ");
    assert_snapshot!(rule(ChangeRule::GrowOnly), @"
    hold orders/prod/events Update: ForbiddenChange `size` (grow-only)
    0 settled
    ");
}

#[test]
fn b82_a_downgrade_and_another_template_need_approval() {
    let mut world = one();
    world.file("orders/prod/events").version = "0.9.0";
    assert_snapshot!(world.show(), @"
    hold orders/prod/events Update: NeedsApproval
    0 settled
    ");
    world.file("orders/prod/events").template = "topic";
    assert_snapshot!(world.show(), @"
    hold orders/prod/events Replace: NeedsApproval
    0 settled
    ");
    world.approvals.insert(asked(&world.plan()));
    assert_snapshot!(world.show(), @"
    Replace orders/prod/events#main (Swap)
    0 settled
    ");
    world.done();
}

#[test]
fn a_blind_plan_takes_the_world_to_be_as_recorded() {
    let mut world = one();
    world.put("orders/prod/more", File::default());
    world.remove("orders/prod/events");
    world.unseen = world.things.keys().map(|(_, name)| name.clone()).collect();
    world.blind = true;
    assert_snapshot!(world.show(), @"
    Delete orders/prod/events#main
    Create orders/prod/more#main
    0 settled
    ");
}
