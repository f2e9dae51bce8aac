//! What an operator may get wrong in `vend.yaml`, and what must not follow from it.

use serde_json::json;

use crate::world::{Repository, World, ask, drop_request, note, to_approve};

const ID: &str = "orders/dev/hello";
const FILE: &str = "dev/orders/hello/note/note.yaml";

#[test]
fn f08_another_folder_that_is_not_there_deletes_nothing() {
    let mut world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();

    world.configure(|config| config["requests"][0]["path"] = json!("wrong"));
    let said = world.apply();
    assert!(said.contains("the folder `wrong/requests`"), "{said}");
    let again = world.apply();
    assert!(!again.contains("deleted"), "{again}");
    assert!(world.output_file(FILE).is_some());

    world.configure(|config| {
        config["requests"][0].as_object_mut().unwrap().remove("path");
    });
    world.apply();
    world.ready(ID);
    world.ready("orders/dev/other");
    world.again_nothing();
}

#[test]
fn f04_another_repository_under_the_same_name_deletes_nothing() {
    let mut world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();

    let stranger = Repository::create(world.root().join("stranger.git"), world.root());
    stranger.commit([ask("orders/dev/stranger", note("stranger"))]);
    let requests = world.requests.url();
    world.configure(|config| {
        config["requests"][0]["repository"] = json!(stranger.path());
        config["status"] = json!({"repository": requests});
    });
    let said = world.apply();

    assert!(said.contains("history of `requests` was rewritten"), "{said}");
    assert!(said.contains("nothing done"), "{said}");
    assert!(world.output_file(FILE).is_some());
}

#[test]
fn a_request_that_goes_to_another_repository_is_held_until_a_person_means_it() {
    let mut world = World::new();
    let second = Repository::create(world.root().join("second.git"), world.root());
    second.commit([ask("orders/dev/elsewhere", note("elsewhere"))]);
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.configure(|config| {
        let sources = config["requests"].as_array_mut().unwrap();
        sources.push(json!({"name": "second", "repository": second.path()}));
    });
    world.apply();
    world.ready("orders/dev/elsewhere");

    second.commit([ask(ID, note("hello"))]);
    world.requests.commit([drop_request(ID)]);
    world.apply();
    let sentence = world.held(ID, "LooksLikeAMove");
    assert!(world.output_file(FILE).is_some());

    world.vend(&["approve", &to_approve(&sentence)]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.status(ID)["source"]["repository"], "second");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.again_nothing();
}

#[test]
fn a_source_that_is_not_configured_any_more_leaves_what_it_asked_for_and_says_so() {
    let mut world = World::new();
    let second = Repository::create(world.root().join("second.git"), world.root());
    second.commit([ask("orders/dev/elsewhere", note("elsewhere"))]);
    world.requests.commit([ask(ID, note("hello"))]);
    let add = |config: &mut serde_json::Value| {
        let sources = config["requests"].as_array_mut().unwrap();
        sources.push(json!({"name": "second", "repository": second.path()}));
    };
    world.configure(add);
    world.apply();
    world.configure(|config| {
        config["requests"].as_array_mut().unwrap().pop();
    });
    world.apply();
    let sentence = world.held("orders/dev/elsewhere", "Source");
    assert!(sentence.contains("`second` is not used: it is not configured any more"), "{sentence}");
    assert!(world.output_file("dev/orders/elsewhere/note/note.yaml").is_some());
    world.ready(ID);
    world.again_nothing();

    world.configure(add);
    world.apply();
    world.ready("orders/dev/elsewhere");
    assert_eq!(world.actions("vend-orders-dev-elsewhere-note-"), ["create"]);
    world.again_nothing();
}

#[test]
fn b76_the_first_of_two_files_for_one_request_speaks_for_it_until_it_goes() {
    let mut world = World::new();
    let second = Repository::create(world.root().join("second.git"), world.root());
    world.requests.commit([ask(ID, note("first"))]);
    world.configure(|config| {
        let sources = config["requests"].as_array_mut().unwrap();
        sources.push(json!({"name": "second", "repository": second.path()}));
    });
    second.commit([ask("orders/dev/elsewhere", note("elsewhere"))]);
    world.apply();

    second.commit([ask(ID, note("second"))]);
    world.vend_ends(3, &["apply"]);
    world.ready(ID);
    assert_eq!(world.output_file(FILE).unwrap(), "text: first\n");

    // The first goes later: the second is not lost, and nothing is deleted.
    world.requests.commit([drop_request(ID), ask("orders/dev/other", note("other"))]);
    world.apply();
    world.held(ID, "LooksLikeAMove");
    assert_eq!(world.output_file(FILE).unwrap(), "text: first\n");
}
