//! What goes, what only moves, and what a person said yes to.

use serde_json::json;

use crate::world::{STATUS, World, ask, drop_request, note, request_with, to_approve};

const ID: &str = "orders/dev/hello";

#[test]
fn b84_a_yes_to_a_large_deletion_is_used_up_by_it() {
    let world = World::new();
    let ids = ["orders/dev/one", "orders/dev/two", "orders/dev/three", "orders/dev/four"];
    let all = || ids.map(|id| ask(id, note(&id.replace('/', "-"))));
    world.requests.commit(all());
    world.apply();
    world.requests.commit(ids.map(drop_request));
    world.apply();
    let sentence = world.held(ids[0], "TooManyDeletes");
    world.vend_ends(0, &["approve", &to_approve(&sentence)]);
    let said = world.apply();
    assert!(said.contains("Applied: 4 deleted"), "{said}");

    // They come back, and go once more: this time perhaps by accident.
    world.requests.commit(all());
    world.apply();
    world.requests.commit(ids.map(drop_request));
    let said = world.apply();

    assert!(said.contains("nothing done, 4 held"), "{said}");
    world.held(ids[0], "TooManyDeletes");
    world.again_nothing();
}

#[test]
fn a_move_that_is_refused_deletes_nothing() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();

    // Another environment cannot take over what stands here.
    let moved = request_with("note@1.0.0", "{text: hello}", &format!("movedFrom: {ID}"));
    world.requests.commit([drop_request(ID), ask("orders/prod/renamed", moved)]);
    let said = world.vend_ends(3, &["apply"]).stdout;
    assert!(!said.contains("deleted"), "{said}");
    world.held(ID, "LooksLikeAMove");
    world.held("orders/prod/renamed", "Invalid");

    // Nor does one with a mistake in it, when the name is the same.
    world.requests.commit([
        drop_request("orders/prod/renamed"),
        ask("orders/prod/hello", note("hello").replace("text:", "txet:")),
    ]);
    let said = world.vend_ends(3, &["apply"]).stdout;
    assert!(!said.contains("deleted"), "{said}");
    world.held(ID, "LooksLikeAMove");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
}

#[test]
fn a_source_with_another_name_is_asked_about_and_its_files_are_read() {
    let mut world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();

    world.configure(|config| config["requests"][0]["name"] = json!("shop"));
    world.apply();
    let sentence = world.held(ID, "LooksLikeAMove");

    world.vend_ends(0, &["approve", &to_approve(&sentence)]);
    world.requests.commit([ask(ID, note("goodbye"))]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    world.again_nothing();
}

#[test]
fn f19_a_status_branch_of_which_nothing_is_known_is_written_anew() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();

    // Somebody else's history, with what they left in our folders; and the mirror is lost as well.
    std::fs::remove_dir_all(world.root().join("state/mirrors")).unwrap();
    world.requests.git(&["update-ref", "-d", &format!("refs/heads/{STATUS}")]);
    world.requests.git(&["reflog", "expire", "--expire=now", "--all"]);
    world.requests.git(&["prune"]);
    let stray = crate::world::write("status/orders/dev/stray.yaml", "phase: Ready\n");
    world.requests.commit_to(STATUS, [stray, crate::world::write("notes.txt", "theirs\n")]);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();

    world.ready(ID);
    world.ready("orders/dev/other");
    assert!(world.status_or_none("orders/dev/stray").is_none());
    assert_eq!(world.requests.read(STATUS, "notes.txt").unwrap(), "theirs\n");
    world.again_nothing();
}
