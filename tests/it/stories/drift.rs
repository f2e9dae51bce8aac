//! What somebody else did to the output.

use serde_json::{Value, json};

use crate::world::{World, ask, catalog, note, remove, request_with, write};

const ID: &str = "orders/dev/hello";
const FILE: &str = "dev/orders/hello/note/note.yaml";

/// A world in which drift is looked for at every pass.
fn watchful(more: &str) -> World {
    let mut world = World::new();
    world.configure(|config| {
        config["reconcile"] = json!({"driftInterval": "1ms", "interval": "1ms"});
    });
    world.catalog.commit([catalog::environment("dev", &world.output.url(), more)]);
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world
}

/// As `again_nothing`, where looking for drift is due at every pass.
#[track_caller]
fn again_nothing_is_written(world: &World) {
    let before = world.refs();
    let said = world.apply();
    assert!(said.contains("nothing done") || said.contains("Nothing to do"), "{said}");
    assert_eq!(before, world.refs());
}

#[test]
fn drift_is_reported_and_left_alone() {
    let world = watchful("");
    again_nothing_is_written(&world);
    assert_eq!(world.status(ID)["drift"], Value::Null, "only changes are written");

    world
        .output
        .commit([write(FILE, "text: tampered\n"), write("dev/orders/hello/note/more.txt", "x\n")]);
    world.apply();
    let status = world.status(ID);
    assert_eq!(status["drift"]["state"], "Drifted");
    let items = status["drift"]["items"]["note"].as_array().unwrap();
    let what: Vec<(&Value, &Value)> = items.iter().map(|i| (&i["what"], &i["how"])).collect();
    assert_eq!(
        what,
        [(&json!("note.yaml"), &json!("changed")), (&json!("more.txt"), &json!("added"))]
    );
    assert_eq!(world.output_file(FILE).unwrap(), "text: tampered\n");
    let explained = world.vend_ends(0, &["explain", ID]).stdout;
    assert!(explained.contains("note.yaml"), "{explained}");
    again_nothing_is_written(&world);

    world.output.commit([write(FILE, "text: hello\n"), remove("dev/orders/hello/note/more.txt")]);
    world.apply();
    assert_eq!(world.status(ID)["drift"]["state"], "InSync");
    again_nothing_is_written(&world);
}

#[test]
fn drift_is_reverted_where_the_environment_says_so() {
    let world = watchful("  onDrift: revert\n");
    world.output.commit([write(FILE, "text: tampered\n")]);
    let said = world.apply();
    assert!(said.contains("1 restored"), "{said}");
    assert_eq!(world.output_file(FILE).unwrap(), "text: hello\n");
    world.ready(ID);
    assert_eq!(world.status(ID)["drift"]["state"], "InSync");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "restore"]);
    again_nothing_is_written(&world);
}

#[test]
fn what_vanished_is_made_again() {
    let world = watchful("");
    world.output.commit([remove("dev/orders/hello/note")]);
    world.apply();
    assert_eq!(world.output_file(FILE).unwrap(), "text: hello\n");
    world.ready(ID);
    again_nothing_is_written(&world);
}

#[test]
fn what_stands_there_already_is_not_ours() {
    let world = World::new();
    world.output.commit([write(FILE, "text: somebody's\n")]);
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();
    world.held(ID, "NotOurs");
    world.ready("orders/dev/other");
    assert_eq!(world.output_file(FILE).unwrap(), "text: somebody's\n");

    // Moved away by whoever owns it: a person says to look again.
    world.output.commit([remove(FILE)]);
    world.vend_ends(0, &["retry", ID]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.output_file(FILE).unwrap(), "text: hello\n");
    world.again_nothing();
}

#[test]
fn f67_another_instances_folder_is_not_ours() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let output = world.output.refs();

    // A second vend with a store of its own, over the same world.
    let mut twin = World::empty();
    let (catalog, requests, allow) =
        (world.catalog.url(), world.requests.url(), world.output.url());
    let status = twin.requests.url();
    twin.configure(|config| {
        config["catalog"]["repository"] = json!(catalog);
        config["requests"][0]["repository"] = json!(requests);
        config["status"] = json!({"repository": status});
        config["providers"]["files"]["allow"] = json!([allow]);
    });
    twin.apply();
    let sentence = twin.held(ID, "NotOurs");
    assert!(sentence.contains("by its mark it belongs to"), "{sentence}");
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}

#[test]
fn a_suspended_request_is_left_alone() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let suspended =
        |text: &str| request_with("note@1.0.0", &format!("{{text: {text}}}"), "suspend: true");
    world.requests.commit([ask(ID, suspended("changed"))]);
    world.apply();
    let (phase, reason, _) = world.standing(ID);
    assert_eq!((phase.as_str(), reason.as_str()), ("Suspended", "Suspended"));
    assert_eq!(world.output_file(FILE).unwrap(), "text: hello\n");
    world.again_nothing();

    world.requests.commit([ask(ID, note("changed"))]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.output_file(FILE).unwrap(), "text: changed\n");
    world.again_nothing();
}
