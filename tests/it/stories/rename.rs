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
fn b78_a_move_in_two_pushes_that_cannot_be_read_yet_is_waited_for() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello"))]);
    world.apply();
    let output = world.output.refs();
    world.requests.commit([ask(NEW, moved_note("hello") + "  typo: true\n")]);
    world.vend_ends(3, &["apply"]);
    world.requests.commit([drop_request(OLD)]);
    world.vend_ends(3, &["apply"]);
    world.held(OLD, "LooksLikeAMove");
    world.held(NEW, "Invalid");
    assert_eq!(world.output.refs(), output);

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

/// A protected note whose file went with a commit of its own.
fn gone_and_protected() -> World {
    let world = World::new();
    let text = request_with("note@1.0.0", "{text: hello}", "protect: true");
    world.requests.commit([ask(OLD, text), ask("orders/dev/other", note("other"))]);
    world.apply();
    world.requests.commit([drop_request(OLD)]);
    world.apply();
    world.held(OLD, "Protected");
    world
}

#[test]
fn what_comes_later_is_not_held_by_one_that_cannot_go() {
    let world = gone_and_protected();
    for id in [NEW, "shop/dev/hello", "shop/dev/more", "orders/prod/hello"] {
        world.requests.commit([ask(id, note("hello"))]);
        world.apply();
        world.ready(id);
    }
    world.held(OLD, "Protected");
    world.again_nothing();
}

#[test]
fn b78_the_rename_of_a_protected_one_is_a_rename_also_when_it_is_corrected_later() {
    let world = gone_and_protected();
    let text = request_with("note@1.0.0", "{text: hello}", "protect: true");
    world.requests.commit([ask(OLD, text)]);
    world.apply();
    world.requests.commit([drop_request(OLD), ask(NEW, note("hello"))]);
    world.apply();
    let sentence = world.held(OLD, "LooksLikeAMove");
    assert!(sentence.contains(NEW), "{sentence}");

    // Under yet another name, and still without a word; one of another team is none of its business.
    let third = "orders/dev/third";
    world.requests.commit([drop_request(NEW), ask(third, note("hello"))]);
    world.requests.commit([ask("shop/dev/one", note("hello"))]);
    world.apply();
    world.ready("shop/dev/one");
    for (id, other) in [(OLD, third), (third, OLD)] {
        let sentence = world.held(id, "LooksLikeAMove");
        assert!(sentence.contains(other), "{sentence}");
    }
    world.again_nothing();

    world.requests.commit([ask(third, moved_note("hello"))]);
    world.apply();
    world.ready(third);
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.again_nothing();
}

#[test]
fn one_word_releases_all_that_look_like_one_that_went() {
    let world = World::new();
    world.requests.commit([ask(OLD, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();
    let new = ["orders/dev/one", "orders/dev/two", "shop/dev/hello"];
    world
        .requests
        .commit(new.map(|id| ask(id, note("hello"))).into_iter().chain([drop_request(OLD)]));
    world.apply();
    for id in new {
        assert!(world.held(id, "LooksLikeAMove").contains(OLD));
    }
    let sentence = world.held(OLD, "LooksLikeAMove");
    assert!(new.iter().all(|id| sentence.contains(id)), "{sentence}");

    world.approve(&sentence);
    world.apply();
    for id in new {
        world.ready(id);
    }
    assert!(world.status_or_none(OLD).is_none());
    world.again_nothing();
}
