//! What is renamed or moved is never destroyed.

use crate::world::{World, ask, catalog, drop_request, note, request_with};

const OLD: &str = "orders/dev/hello";
const NEW: &str = "orders/dev/welcome";

fn moved_note(text: &str) -> String {
    request_with("note@1.0.0", &format!("{{text: {text}}}"), &format!("movedFrom: {OLD}"))
}

#[test]
fn b78_a_rename_that_says_so_keeps_what_was_made() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    let (before, output) = (world.status(OLD), world.output.refs());

    world.requests.commit([drop_request(OLD), ask(NEW, moved_note("hello"))]);
    let said = world.apply();

    assert!(said.contains("Applied: 1 moved, 1 ready."), "{said}");
    assert!(world.status_or_none(OLD).is_none());
    world.ready(NEW);
    let after = world.status(NEW);
    assert_eq!(after["components"][0]["target"], before["components"][0]["target"]);
    assert_eq!(after["outputs"], before["outputs"]);
    assert_eq!(world.output.refs(), output, "nothing was done to what was made");
    world.again_nothing();

    // A later change goes to where it is, and `movedFrom` may stay or go.
    world.requests.commit([ask(NEW, note("goodbye"))]);
    world.apply();
    assert_eq!(world.output_file("dev/orders/hello/note/note.yaml").unwrap(), "text: goodbye\n");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    world.again_nothing();
}

#[test]
fn b78_a_rename_that_does_not_say_so_is_held_until_it_does() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    let output = world.output.refs();

    world.requests.commit([drop_request(OLD), ask(NEW, note("hello"))]);
    let said = world.apply();

    assert!(said.contains("nothing done, 2 held"), "{said}");
    for id in [OLD, NEW] {
        let sentence = world.held(id, "LooksLikeAMove");
        assert!(sentence.contains("`movedFrom: orders/dev/hello`"), "{sentence}");
    }
    assert_eq!(world.output.refs(), output);
    world.again_nothing();

    world.requests.commit([ask(NEW, moved_note("hello"))]);
    world.apply();
    world.ready(NEW);
    assert!(world.status_or_none(OLD).is_none());
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}

#[test]
fn b78_a_person_may_say_that_a_rename_is_none() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    world.requests.commit([drop_request(OLD), ask(NEW, note("hello"))]);
    world.apply();

    world.approve(&world.held(OLD, "LooksLikeAMove"));
    world.apply();

    world.ready(NEW);
    assert!(world.status_or_none(OLD).is_none());
    assert!(world.output_file("dev/orders/hello/note/note.yaml").is_none());
    assert_eq!(world.output_file("dev/orders/welcome/note/note.yaml").unwrap(), "text: hello\n");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "delete"]);
    world.again_nothing();
}

#[test]
fn b79_a_copy_is_a_request_of_its_own() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    world.requests.commit([ask(NEW, note("hello"))]);
    world.apply();
    world.ready(OLD);
    world.ready(NEW);
    world.again_nothing();
}

#[test]
fn b79_two_that_claim_the_same_past_are_refused() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    let output = world.output.refs();

    let third = "orders/dev/third";
    world.requests.commit([
        drop_request(OLD),
        ask(NEW, moved_note("hello")),
        ask(third, moved_note("hello")),
    ]);
    world.vend_ends(3, &["apply"]);

    assert!(world.held(NEW, "Invalid").contains("MOV001"));
    assert!(world.held(third, "Invalid").contains("MOV001"));
    world.held(OLD, "LooksLikeAMove");
    assert_eq!(world.output.refs(), output);

    world.requests.commit([drop_request(third)]);
    world.apply();
    world.ready(NEW);
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}

#[test]
fn another_place_for_what_exists_is_held_until_a_person_approves() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    let output = world.output.refs();

    world.catalog.commit([catalog::environment("dev", &world.output.url(), "").and_replace(
        &format!("repository: {}", world.output.url()),
        &format!("repository: {}, path: \"other/{{name}}\"", world.output.url()),
    )]);
    world.apply();
    let sentence = world.held(OLD, "LooksLikeAMove");
    assert!(sentence.contains("its `path` changed"), "{sentence}");
    assert_eq!(world.output.refs(), output);
    world.again_nothing();

    world.approve(&sentence);
    world.vend_ends(0, &["apply"]);
    world.ready(OLD);
    assert!(world.output_file("dev/orders/hello/note/note.yaml").is_none());
    assert_eq!(world.output_file("other/hello/note.yaml").unwrap(), "text: hello\n");
    world.again_nothing();
}
