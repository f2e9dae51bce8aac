//! Requests that use what others give, and components that use each other's.

use crate::world::{World, ask, drop_request, note, request, request_with};

const GIVES: &str = "orders/dev/gives";
const READS: &str = "payments/dev/reads";
const READ_FILE: &str = "dev/payments/reads/reader/reader.yaml";

fn reads(output: &str) -> String {
    let references = format!("references: {{of: {{request: {GIVES}, output: {output}}}}}");
    request_with("reader@1.0.0", "{}", &references)
}

#[test]
fn two_in_one_commit_are_applied_in_order_and_the_value_is_the_real_one() {
    let world = World::new();
    world.requests.commit([ask(READS, reads("commit")), ask(GIVES, note("hello"))]);

    let plan = world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("known after apply"), "{plan}");
    assert!(world.output.tip("main").is_none(), "a plan writes nothing");

    let said = world.apply();
    assert!(said.contains("Applied: 2 created, 2 ready."), "{said}");
    let commit = world.status(GIVES)["outputs"]["commit"].as_str().unwrap().to_owned();
    assert!(world.output_file(READ_FILE).unwrap().contains(&commit));
    let log = world.output_log();
    assert_eq!(log.len(), 2);
    assert_eq!(log[0].0, commit);
    world.again_nothing();

    // A change of what is read reaches its reader in the same pass.
    world.requests.commit([ask(GIVES, note("changed"))]);
    world.apply();
    let changed = world.status(GIVES)["outputs"]["commit"].as_str().unwrap().to_owned();
    assert_ne!(changed, commit);
    assert!(world.output_file(READ_FILE).unwrap().contains(&changed));
    world.ready(READS);
    world.again_nothing();
}

#[test]
fn b81_a_reference_to_what_is_not_there_waits_for_it() {
    let world = World::new();
    world.requests.commit([ask(READS, reads("path"))]);
    world.apply();
    let (phase, reason, sentence) = world.standing(READS);
    assert_eq!((phase.as_str(), reason.as_str()), ("Waiting", "WaitingFor"), "{sentence}");
    assert!(sentence.contains(GIVES), "{sentence}");
    world.again_nothing();

    world.requests.commit([ask(GIVES, note("hello"))]);
    world.apply();
    world.ready(READS);
    assert_eq!(world.output_file(READ_FILE).unwrap(), "reads: dev/orders/gives/note\n");
    world.again_nothing();
}

#[test]
fn an_output_that_nothing_gives_is_said() {
    let world = World::new();
    world.requests.commit([ask(READS, reads("pth")), ask(GIVES, note("hello"))]);
    world.vend(&["apply"]);
    world.ready(GIVES);
    let (phase, _, sentence) = world.standing(READS);
    assert_ne!(phase, "Ready");
    assert!(sentence.contains("pth"), "{sentence}");
    world.again_nothing();
}

#[test]
fn what_others_use_is_not_deleted_while_they_stand() {
    let world = World::new();
    world.requests.commit([ask(READS, reads("path")), ask(GIVES, note("hello"))]);
    world.apply();

    world.requests.commit([drop_request(GIVES)]);
    world.vend(&["apply"]);
    let sentence = world.held(GIVES, "Referenced");
    assert!(sentence.contains(READS), "{sentence}");
    assert!(world.output_file("dev/orders/gives/note/note.yaml").is_some());
    world.again_nothing();

    world.requests.commit([drop_request(READS)]);
    world.apply();
    assert!(world.output.files("main", "").is_empty());
    assert!(world.requests.files(crate::world::STATUS, "status").is_empty());
    let order: Vec<String> = world.output_log().into_iter().flat_map(|(_, steps)| steps).collect();
    let of = |target: &str| {
        order.iter().position(|s| s.starts_with(target) && s.contains(" delete ")).unwrap()
    };
    assert!(of("vend-payments-dev-reads") < of("vend-orders-dev-gives"), "{order:?}");
    world.again_nothing();
}

#[test]
fn b81_a_circle_is_named_and_stops_nobody_else() {
    let world = World::new();
    let read = |of: &str| {
        let references = format!("references: {{of: {{request: {of}, output: commit}}}}");
        request_with("reader@1.0.0", "{}", &references)
    };
    world.requests.commit([
        ask("orders/dev/a", read("orders/dev/b")),
        ask("orders/dev/b", read("orders/dev/a")),
        ask(GIVES, note("hello")),
    ]);
    world.vend_ends(3, &["apply"]);
    for id in ["orders/dev/a", "orders/dev/b"] {
        let sentence = world.held(id, "Invalid");
        assert!(sentence.contains("DEP001"), "{sentence}");
    }
    world.ready(GIVES);
    world.again_nothing();

    world.requests.commit([ask("orders/dev/b", request("reader@1.0.0", "{of: nobody}"))]);
    world.apply();
    world.ready("orders/dev/a");
    world.ready("orders/dev/b");
    world.again_nothing();
}

#[test]
fn components_come_in_order_and_know_each_others_outputs() {
    let world = World::new();
    let id = "orders/dev/pair";
    world.requests.commit([ask(id, request("pair@1.0.0", "{text: one}"))]);
    let said = world.apply();
    assert!(said.contains("Applied: 2 created, 1 ready."), "{said}");
    let top = "dev/orders/pair/top/top.yaml";
    let first = world.output_log()[0].0.clone();
    let text = world.output_file(top).unwrap();
    assert!(text.contains("below: dev/orders/pair/base\n") && text.contains(&first), "{text}");
    world.again_nothing();

    world.requests.commit([ask(id, request("pair@1.0.0", "{text: two}"))]);
    world.apply();
    world.ready(id);
    let log = world.output_log();
    assert_eq!(log.len(), 4);
    assert!(world.output_file(top).unwrap().contains(&log[2].0));
    world.again_nothing();

    world.requests.commit([drop_request(id)]);
    world.apply();
    assert!(world.output.files("main", "").is_empty());
    assert_eq!(world.actions("vend-orders-dev-pair-top-"), ["create", "update", "delete"]);
    assert_eq!(world.actions("vend-orders-dev-pair-base-"), ["create", "update", "delete"]);
    world.again_nothing();
}
