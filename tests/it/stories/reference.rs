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

const PATHS: &str = "payments/dev/paths";
const DIGESTS: &str = "payments/dev/digests";

/// Who uses what `GIVES` gives: its commit, its path, its digest; and who uses what `READS` gives.
fn users(world: &World) {
    let of = |id: &str, output: &str| {
        let references = format!("references: {{of: {{request: {id}, output: {output}}}}}");
        request_with("reader@1.0.0", "{}", &references)
    };
    world.catalog.commit(crate::world::catalog::template(
        "note",
        "1.2.0",
        "    - {name: note, provider: files, source: note.yaml.hbs}\n",
        "{path: {from: note.path}, commit: {from: note.commit}, digest: {from: note.digest}}",
        r#"{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}"#,
        &[("note.yaml.hbs", "text: {{parameters.text}}\n")],
    ));
    world.requests.commit([
        ask(GIVES, request("note@1.2.0", "{text: hello}")),
        ask(READS, reads("commit")),
        ask("payments/dev/chain", of(READS, "commit")),
        ask(PATHS, reads("path")),
        ask(DIGESTS, reads("digest")),
    ]);
    world.apply();
    world.again_nothing();
}

fn steps(plan: &serde_json::Value) -> Vec<String> {
    let step = |s: &serde_json::Value| {
        let (may, unknown) = (s["mayChange"].as_bool().unwrap(), &s["knownAfterApply"]);
        let may = if may { " may" } else { "" };
        format!("{}{may} {unknown}", s["request"].as_str().unwrap())
    };
    plan["steps"].as_array().unwrap().iter().map(step).collect()
}

#[test]
fn a_plan_shows_what_follows_from_outputs_that_change() {
    let world = World::new();
    users(&world);
    world.requests.commit([ask(GIVES, request("note@1.2.0", "{text: changed}"))]);
    let plan = world.vend_ends(0, &["plan", "--format", "json"]).json();
    insta::assert_snapshot!(steps(&plan).join("\n"), @r#"
    orders/dev/gives []
    payments/dev/digests []
    payments/dev/reads may ["orders/dev/gives#note.commit"]
    payments/dev/chain may ["payments/dev/reads#reader.commit"]
    "#);
    assert_eq!(
        plan["summary"],
        "Plan: 0 to create, 2 to update, 0 to replace, 0 to delete; 2 may change; 0 held; 1 unchanged"
    );
    let ready = |n: usize| plan["steps"][n]["ready"].as_bool().unwrap();
    assert!(ready(0) && !ready(1) && !ready(2) && !ready(3));
    let shown = world.vend_ends(0, &["plan"]).stdout;
    assert!(shown.contains("? may change payments/dev/chain#reader"), "{shown}");
    let line = r#"+reads: "<known after apply: orders/dev/gives#note.commit>""#;
    assert!(shown.contains(line), "{shown}");
    assert!(!shown.contains(PATHS), "{shown}");
    assert_eq!(world.output_log().len(), 3, "a plan writes nothing");

    world.apply();
    for id in [GIVES, READS, DIGESTS, PATHS, "payments/dev/chain"] {
        world.ready(id);
    }
    assert_eq!(world.actions("vend-payments-dev-paths-"), ["create"]);
    assert_eq!(world.actions("vend-payments-dev-digests-"), ["create", "update"]);
    world.again_nothing();
}

#[test]
fn components_that_only_use_what_stays_are_not_in_a_plan() {
    let world = World::new();
    let path_only = world_with_two(&world, "below: {{components.base.outputs.path}}\n");
    world.requests.commit([ask(path_only, request("two@1.0.0", "{text: two}"))]);
    let plan = world.vend_ends(0, &["plan", "--format", "json"]).json();
    insta::assert_snapshot!(steps(&plan).join("\n"), @"orders/dev/two []");
    world.apply();
    assert_eq!(world.actions("vend-orders-dev-two-top-"), ["create"]);
    world.again_nothing();
}

#[test]
fn what_a_template_decides_by_an_unknown_output_is_named() {
    let world = World::new();
    world.catalog.commit(crate::world::catalog::template(
        "decider",
        "1.0.0",
        "    - {name: decider, provider: files, source: decider.yaml.hbs}\n",
        "{}",
        r#"{"type": "object", "properties": {"of": {"type": "string"}}}"#,
        &[("decider.yaml.hbs", "{{#if parameters.of}}\nthere: true\n{{/if}}\nat: here\n")],
    ));
    let id = "payments/dev/decides";
    let references = format!("references: {{of: {{request: {GIVES}, output: commit}}}}");
    world.requests.commit([ask(GIVES, note("hello"))]);
    world.apply();
    world.requests.commit([ask(id, request_with("decider@1.0.0", "{}", &references))]);
    world.apply();
    world.ready(id);

    world.requests.commit([ask(GIVES, note("changed"))]);
    let plan = world.vend_ends(0, &["plan", "--format", "json"]).json();
    insta::assert_snapshot!(steps(&plan).join("\n"), @"orders/dev/gives []");
    assert_eq!(plan["holds"].as_array().unwrap().len(), 0);
    let remark = plan["remarks"][0].as_str().unwrap();
    assert!(remark.contains("cannot be told") && remark.contains(id), "{remark}");
    world.apply();
    world.ready(id);
    world.again_nothing();
}

/// A request of two components, applied; `top` is the source of the second.
fn world_with_two(world: &World, top: &str) -> &'static str {
    world.catalog.commit(crate::world::catalog::template(
        "two",
        "1.0.0",
        "    - {name: base, provider: files, source: base.yaml.hbs}\n    - {name: top, provider: files, source: top.yaml.hbs, needs: [base]}\n",
        "{path: {from: base.path}}",
        r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#,
        &[("base.yaml.hbs", "text: {{parameters.text}}\n"), ("top.yaml.hbs", top)],
    ));
    let id = "orders/dev/two";
    world.requests.commit([ask(id, request("two@1.0.0", "{text: one}"))]);
    world.apply();
    world.again_nothing();
    id
}
