//! What previews left when they were killed.

use aws_sdk_cloudformation::types::{ChangeSetType, Tag};

use serde_json::json;

use super::Account;
use crate::aws::{Fault, Rule, stack};
use crate::crash::{DISCARDED, MODES, carried_out, elsewhere};
use crate::daemon::Serving;
use crate::world::{ask, drop_request, request};
use vend::model::{ComponentName, InstanceId, RequestId, TargetKey, TargetName};

const ID: &str = "orders/dev/events";

/// Names of the change sets that a stack has.
fn change_sets(it: &Account, stack: &str) -> Vec<String> {
    let call = it.aws.client.list_change_sets().stack_name(stack).send();
    let mut names: Vec<String> = it
        .aws
        .wait(call)
        .unwrap()
        .summaries
        .unwrap_or_default()
        .into_iter()
        .filter_map(|made| made.change_set_name)
        .collect();
    names.sort();
    names
}

/// The stack of a request's queue.
fn name_of(instance: &str, id: &str) -> String {
    let key = TargetKey {
        request: RequestId::parse(id).unwrap(),
        component: ComponentName::new("queue"),
    };
    TargetName::compute(&InstanceId::new(instance), &key).to_string()
}

fn prepare(it: &Account, stack: &str, name: &str, kind: &ChangeSetType, instance: &str) {
    let tag = Tag::builder().key("vend:instance").value(instance).build();
    let call = it.aws.client.create_change_set().stack_name(stack).change_set_name(name);
    let call = call.change_set_type(kind.clone()).tags(tag);
    it.aws.wait(call.template_body(stack::queue(999).to_string()).send()).unwrap();
}

/// What was made seems to have been made long ago.
fn age(it: &Account) {
    for action in ["ListStacks", "ListChangeSets"] {
        it.aws.rule(Rule::on(
            action,
            Fault::answer(|_, answer| {
                let text = answer.text();
                let mut parts = text.split("<CreationTime>");
                let first = parts.next().unwrap_or_default().to_owned();
                let aged = parts.fold(first, |all, part| {
                    let after = part.split_once('<').map_or("", |(_, after)| after);
                    format!("{all}<CreationTime>2026-01-01T00:00:00.000Z<{after}")
                });
                answer.body = aged.into();
            }),
        ));
    }
}

/// The upkeep of the store is due, and a pass comes by.
fn neglect(it: &Account) {
    crate::crash::lab::neglect(&it.world);
    it.world.requests.commit([ask("orders/dev/another", request("queue@1.0.0", "{}"))]);
}

#[test]
fn f31_previews_whose_handles_were_lost_do_not_get_a_day_old() {
    let it = Account::watchful();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let instance = it.aws.tag(&stack, "vend:instance").unwrap();
    let (update, create) = (ChangeSetType::Update, ChangeSetType::Create);
    prepare(&it, &stack, "vend-preview-1", &update, &instance);
    prepare(&it, &stack, "somebodys", &update, &instance);
    prepare(&it, "lost", "vend-preview-2", &create, &instance);
    prepare(&it, "anothers", "vend-preview-3", &create, "another");
    prepare(&it, "persons", "by-hand", &create, &instance);

    // What is young may still be asked for.
    let mut daemon = Serving::ready(&it.world);
    it.aws.eventually("it is looked for", || (it.aws.count("ListStacks") > 0).then_some(()));
    daemon.stop();
    assert_eq!(change_sets(&it, &stack), ["somebodys", "vend-preview-1"]);
    assert_eq!(it.aws.stacks().len(), 4);

    age(&it);
    let mut daemon = Serving::ready(&it.world);
    let gone = || it.aws.stack("lost").is_none() && change_sets(&it, &stack).len() == 1;
    it.aws.eventually("they are cleared away", || gone().then_some(()));
    daemon.stop();
    assert_eq!(change_sets(&it, &stack), ["somebodys"]);
    assert!(it.aws.stack("anothers").is_some() && it.aws.stack("persons").is_some());
    assert_eq!(it.aws.effects(&stack), ["create"]);
}

#[test]
fn f61_what_previews_left_is_cleared_away_wherever_that_was_broken_off() {
    let it = Account::watchful();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let instance = it.aws.tag(&stack, "vend:instance").unwrap();
    age(&it);
    let log = it.world.root().join("passed");
    let points = elsewhere(DISCARDED);
    for (n, (point, mode)) in
        points.iter().flat_map(|point| MODES.map(|mode| (point, mode))).enumerate()
    {
        prepare(&it, &stack, &format!("vend-preview-{n}"), &ChangeSetType::Update, &instance);
        let order = format!("{point}={mode}");
        let mut command = it.world.command(&["serve", "--log", "json"]);
        command.env("VEND_FAULT", &order).env("VEND_FAULT_LOG", &log);
        let mut daemon = Serving::spawn(command);
        it.aws.eventually(&order, || carried_out(&log, &order).then_some(()));
        if mode == "kill" {
            assert_eq!(daemon.ended(), None);
        } else {
            daemon.stop();
        }
        // Whatever became of it, the next start clears it away.
        let mut daemon = Serving::ready(&it.world);
        let gone = || change_sets(&it, &stack).is_empty().then_some(());
        it.aws.eventually(&format!("it is gone after {order}"), gone);
        daemon.stop();
    }
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    it.aws.no_rules();
    it.world.ready(ID);
}

#[test]
fn what_a_preview_that_was_killed_left_holds_nothing_up() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let instance = it.aws.tag(&it.stack(ID), "vend:instance").unwrap();
    let name = |id: &str| name_of(&instance, id);
    let (ours, persons) = ("orders/dev/left", "orders/dev/looked-at");
    let create = ChangeSetType::Create;
    prepare(&it, &name(ours), "vend-preview-1", &create, &instance);
    prepare(&it, &name(persons), "by-hand", &create, &instance);
    it.world.requests.commit([ours, persons].map(|id| ask(id, request("queue@1.0.0", "{}"))));
    it.world.vend(&["apply", "--wait"]);
    it.world.ready(ours);
    assert_eq!(it.stack(ours), name(ours));
    it.world.held(persons, "NotOurs");
    assert_eq!(change_sets(&it, &name(persons)), ["by-hand"]);

    it.aws.remove(&name(persons));
    it.world.vend(&["retry", persons]);
    it.apply();
    it.world.ready(persons);
    it.again_nothing();
}

#[test]
fn a_preview_that_goes_while_somebody_looks_at_it_holds_nothing_up() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let instance = it.aws.tag(&it.stack(ID), "vend:instance").unwrap();
    for (skip, id) in ["orders/dev/seen", "orders/dev/in-the-way"].into_iter().enumerate() {
        let name = name_of(&instance, id);
        prepare(&it, &name, "vend-preview-1", &ChangeSetType::Create, &instance);
        let gone = Fault::Refuse(404, "ChangeSetNotFoundException", "ChangeSet [x] does not exist");
        it.aws.rule(Rule::on("DescribeChangeSet", gone).after(skip).once());
        it.world.requests.commit([ask(id, request("queue@1.0.0", "{}"))]);
        it.world.vend(&["apply", "--wait"]);
        it.world.ready(id);
        it.aws.assert_rules_used(id);
        it.aws.no_rules();
    }
    it.again_nothing();
}

#[test]
fn f31_they_do_not_get_a_day_old_where_drift_is_looked_for_less_often() {
    let mut it = Account::new();
    it.world.configure(|config| config["reconcile"] = json!({"driftInterval": "720h"}));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let instance = it.aws.tag(&stack, "vend:instance").unwrap();
    let (update, create) = (ChangeSetType::Update, ChangeSetType::Create);
    prepare(&it, &stack, "vend-preview-1", &update, &instance);
    prepare(&it, &stack, "somebodys", &update, &instance);
    prepare(&it, "lost", "vend-preview-2", &create, &instance);
    age(&it);
    neglect(&it);
    it.apply();
    assert_eq!(change_sets(&it, &stack), ["somebodys"]);
    assert!(it.aws.stack("lost").is_none(), "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn f31_nor_where_nothing_is_made_that_drift_could_be_looked_for_in() {
    let it = Account::new();
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let instance = it.aws.tag(&it.stack(ID), "vend:instance").unwrap();
    it.world.requests.commit([drop_request(ID)]);
    it.apply();
    prepare(&it, "lost", "vend-preview-1", &ChangeSetType::Create, &instance);
    age(&it);
    let denied = Fault::Refuse(403, "AccessDenied", "User: vend is not authorized to do that");
    it.aws.rule(Rule::on("CreateStack", denied));
    neglect(&it);
    it.world.vend(&["apply", "--wait"]);
    assert!(it.aws.stacks().is_empty(), "{}", it.aws.history());

    it.aws.no_rules();
    it.world.vend_ends(0, &["retry", "orders/dev/another"]);
    it.apply();
    it.again_nothing();
}
