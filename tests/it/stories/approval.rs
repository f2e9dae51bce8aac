//! A person's yes is good for what was asked, once.

use serde_json::json;

use crate::world::{Edit, World, ask, catalog, drop_request, note, request};

const ID: &str = "orders/dev/hello";
const NEW: &str = "orders/dev/welcome";

/// Changes there, back, and there again: each time that it is held a person is asked anew.
fn asks_each_time(world: &World, id: &str, reason: &str, there: &[Edit], back: &[Edit]) {
    world.apply();
    for _ in 0..2 {
        world.requests.commit(there.to_vec());
        world.apply();
        world.approve(&world.held(id, reason));
        world.apply();
        world.ready(id);
        world.requests.commit(back.to_vec());
        world.apply();
        world.ready(id);
    }
    world.again_nothing();
}

#[test]
fn a_downgrade_is_asked_about_each_time() {
    let world = World::new();
    let newer = ask(ID, request("note@1.1.0", "{text: hello}"));
    world.requests.commit([newer.clone()]);
    asks_each_time(&world, ID, "NeedsApproval", &[ask(ID, note("hello"))], &[newer]);
}

#[test]
fn who_approved_is_in_the_status_of_that_apply() {
    let world = World::new();
    world.requests.commit([ask(ID, request("note@1.1.0", "{text: hello}"))]);
    world.apply();
    assert!(world.status(ID)["lastApply"].get("approvedBy").is_none());
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    let by = world.status(ID)["lastApply"]["approvedBy"].clone();
    let by = by.as_array().unwrap();
    assert!(by.len() == 1 && by[0].as_str().unwrap().starts_with("ada"), "{by:?}");
    let explained = world.vend_ends(0, &["explain", ID]).stdout;
    assert!(explained.contains(", approved by ada"), "{explained}");

    world.requests.commit([ask(ID, note("goodbye"))]);
    world.apply();
    assert!(world.status(ID)["lastApply"].get("approvedBy").is_none());
    world.again_nothing();
}

#[test]
fn another_template_is_asked_about_each_time() {
    let world = World::new();
    let (one, other) = (ask(ID, note("hello")), ask(ID, request("pair@1.0.0", "{text: hello}")));
    world.requests.commit([one.clone()]);
    world.apply();
    // Each of the two is the other's swap, so that every change asks.
    for edit in [&other, &one, &other, &one] {
        world.requests.commit([edit.clone()]);
        world.apply();
        world.approve(&world.held(ID, "NeedsApproval"));
        world.apply();
        world.ready(ID);
    }
    world.again_nothing();
}

#[test]
fn another_place_is_asked_about_each_time() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let url = world.output.url();
    let here = catalog::environment("dev", &url, "");
    let there = here.clone().and_replace(
        &format!("repository: {url}"),
        &format!("repository: {url}, path: \"other/{{name}}\""),
    );
    for edit in [&there, &here, &there] {
        world.catalog.commit([edit.clone()]);
        world.apply();
        world.approve(&world.held(ID, "LooksLikeAMove"));
        world.apply();
        world.ready(ID);
    }
    world.again_nothing();
}

#[test]
fn another_source_is_asked_about_each_time() {
    let mut world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    for name in ["shop", "requests", "shop"] {
        world.configure(|config| config["requests"][0]["name"] = json!(name));
        world.apply();
        world.approve(&world.held(ID, "LooksLikeAMove"));
        world.apply();
        world.ready(ID);
    }
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.again_nothing();
}

#[test]
fn two_things_that_look_alike_are_asked_about_each_time() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    for (old, new) in [(ID, NEW), (NEW, ID), (ID, NEW)] {
        world.requests.commit([drop_request(old), ask(new, note("hello"))]);
        world.apply();
        world.approve(&world.held(old, "LooksLikeAMove"));
        world.apply();
        world.ready(new);
        assert!(world.status_or_none(old).is_none());
    }
    world.again_nothing();
}

#[test]
fn one_yes_covers_all_that_left_one_source_for_another() {
    let mut world = World::new();
    let ids = ["orders/dev/one", "orders/dev/two", "orders/dev/three"];
    world.requests.commit(ids.map(|id| ask(id, note(&id.replace('/', "-")))));
    world.apply();
    for name in ["shop", "requests"] {
        world.configure(|config| config["requests"][0]["name"] = json!(name));
        let said = world.apply();
        assert!(said.contains("held 3 requests: its file left one source"), "{said}");
        assert!(
            said.contains("\n     orders/dev/one, orders/dev/three, orders/dev/two\n"),
            "{said}"
        );
        world.again_nothing();
        world.approve(&world.held(ids[0], "LooksLikeAMove"));
        world.apply();
        ids.iter().for_each(|id| world.ready(id));
        assert_eq!(world.status(ids[2])["source"]["repository"], name);
    }
    assert_eq!(world.output_log().iter().flat_map(|(_, steps)| steps).count(), 3);
    world.again_nothing();
}
