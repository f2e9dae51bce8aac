//! Requests come, change, break and go.

use crate::world::{World, ask, drop_request, note, path_of, write};

const ID: &str = "orders/dev/hello";
const FILE: &str = "dev/orders/hello/note/note.yaml";

#[test]
fn a_request_is_created() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);

    let said = world.apply();

    assert!(said.contains("created   orders/dev/hello"), "{said}");
    assert!(said.contains("Applied: 1 created, 1 ready."), "{said}");
    world.ready(ID);
    assert_eq!(world.output_file(FILE).unwrap(), "text: hello\n");
    let status = world.status(ID);
    assert_eq!(status["outputs"]["path"], "dev/orders/hello/note");
    assert_eq!(status["outputs"]["commit"], world.output.tip("main").unwrap());
    assert_eq!(status["observed"]["commit"], world.requests.tip("main").unwrap());
    assert_eq!(status["observed"]["catalogCommit"], world.catalog.tip("main").unwrap());
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.again_nothing();
}

#[test]
fn a_request_changes_in_place() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();
    let other = world.status("orders/dev/other");

    world.requests.commit([ask(ID, note("goodbye"))]);
    let said = world.apply();

    assert!(said.contains("Applied: 1 updated, 2 ready."), "{said}");
    assert_eq!(world.output_file(FILE).unwrap(), "text: goodbye\n");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    assert_eq!(world.status("orders/dev/other"), other, "a commit elsewhere changes no status");
    world.again_nothing();
}

#[test]
fn b85_a_broken_file_leaves_all_as_it_was_until_it_is_mended() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();

    let broken = note("hello").replace("text:", "txet:");
    world.requests.commit([ask(ID, broken), ask("orders/dev/other", note("other"))]);
    let said = world.vend_ends(3, &["apply"]).stdout;

    assert!(said.contains("Applied: 1 created, 1 held, 1 ready."), "{said}");
    let sentence = world.held(ID, "Invalid");
    assert!(sentence.contains("requests/orders/dev/hello.yaml:5:16"), "{sentence}");
    assert_eq!(world.output_file(FILE).unwrap(), "text: hello\n");
    world.ready("orders/dev/other");

    world.requests.commit([ask(ID, "")]);
    world.vend_ends(3, &["apply"]);
    world.held(ID, "Invalid");
    assert!(world.output_file(FILE).is_some());

    world.requests.commit([ask(ID, note("mended"))]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.output_file(FILE).unwrap(), "text: mended\n");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    world.again_nothing();
}

#[test]
fn a_removed_request_goes_with_what_it_made() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();

    world.requests.commit([drop_request(ID)]);
    let said = world.apply();

    assert!(said.contains("Applied: 1 deleted, 1 ready."), "{said}");
    assert!(world.status_or_none(ID).is_none());
    assert!(world.output.files("main", "dev/orders/hello").is_empty());
    assert!(world.requests.files(crate::world::STATUS, "rendered/orders/dev/hello").is_empty());
    world.ready("orders/dev/other");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "delete"]);
    world.again_nothing();
}

#[test]
fn b08_a_change_of_line_ends_alone_is_no_change() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let (status, output) = (world.status(ID), world.output.refs());

    world.requests.commit([write(path_of(ID), note("hello").replace('\n', "\r\n"))]);
    let said = world.apply();

    assert!(said.contains("nothing done"), "{said}");
    assert_eq!(world.status(ID), status);
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}
