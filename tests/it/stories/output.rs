//! Output repositories that may not be written, or cannot be reached.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::json;

use crate::world::{World, ask, catalog, drop_request, note};

const ID: &str = "orders/dev/hello";
const FILE: &str = "dev/orders/hello/note/note.yaml";

#[test]
fn a_place_that_the_operator_does_not_allow_is_refused_until_he_does() {
    let mut world = World::new();
    let elsewhere = world.repository("elsewhere");
    world.catalog.commit([catalog::environment("dev", &elsewhere.url(), "")]);
    world.requests.commit([ask(ID, note("hello")), ask("orders/prod/other", note("other"))]);
    world.vend(&["apply"]);

    let (phase, reason, sentence) = world.standing(ID);
    assert_eq!((phase.as_str(), reason.as_str()), ("Failed", "Refused"), "{sentence}");
    assert!(sentence.contains("providers.files.allow"), "{sentence}");
    world.ready("orders/prod/other");
    assert!(elsewhere.tip("main").is_none());
    world.again_nothing();

    let (output, allowed) = (world.output.url(), elsewhere.url());
    world.configure(|config| config["providers"]["files"]["allow"] = json!([output, allowed]));
    world.vend_ends(0, &["retry", ID]);
    world.apply();
    world.ready(ID);
    assert_eq!(elsewhere.read("main", FILE).unwrap(), "text: hello\n");
    world.again_nothing();
}

#[test]
fn an_output_that_cannot_be_reached_is_no_reason_to_delete_or_create() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/other", note("other"))]);
    world.apply();
    let (path, away) = (world.output.path().to_owned(), world.root().join("away"));
    std::fs::rename(&path, &away).unwrap();

    world.requests.commit([ask(ID, note("changed")), drop_request("orders/dev/other")]);
    world.vend(&["apply"]);
    let (phase, reason, sentence) = world.standing(ID);
    assert_ne!(phase, "Ready", "{reason}: {sentence}");
    assert!(world.status_or_none("orders/dev/other").is_some(), "nothing is forgotten unseen");

    std::fs::rename(&away, &path).unwrap();
    let deadline = std::time::Instant::now() + crate::world::PATIENCE;
    while world.status(ID)["phase"] != "Ready" || world.status_or_none("orders/dev/other").is_some()
    {
        assert!(std::time::Instant::now() < deadline, "{:?}", world.standing(ID));
        world.vend(&["retry", ID]);
        world.vend(&["retry", "orders/dev/other"]);
        world.vend(&["apply"]);
    }
    assert_eq!(world.output_file(FILE).unwrap(), "text: changed\n");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    assert_eq!(world.actions("vend-orders-dev-other-note-"), ["create", "delete"]);
    world.again_nothing();
}

#[test]
fn files_go_into_a_plain_folder_as_well() {
    let mut world = World::new();
    let folder = world.root().join("rendered");
    std::fs::create_dir(&folder).unwrap();
    let allow = folder.to_str().unwrap().to_owned();
    world.configure(|config| config["providers"]["files"]["allow"] = json!([allow]));
    let environment = catalog::environment("dev", &world.output.url(), "")
        .and_replace("repository:", "directory:")
        .and_replace(&world.output.url(), folder.to_str().unwrap());
    world.catalog.commit([environment]);
    world.requests.commit([ask(ID, crate::world::request("reader@1.0.0", "{of: hello}"))]);
    world.apply();
    let file = folder.join("dev/orders/hello/reader/reader.yaml");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "reads: hello\n");
    world.ready(ID);
    world.again_nothing();

    world.requests.commit([drop_request(ID)]);
    world.apply();
    assert!(!file.exists());
    world.again_nothing();
}

#[test]
fn a_push_that_the_output_denies_is_tried_again_later_and_not_in_a_loop() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let (tries, hook) = (world.root().join("tries"), world.output.path().join("hooks/update"));
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script =
        format!("#!/bin/sh\necho x >> {}\necho 'closed today' >&2\nexit 1\n", tries.display());
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let tried = || std::fs::read_to_string(&tries).unwrap_or_default().lines().count();

    world.requests.commit([ask(ID, note("changed")), ask("orders/dev/other", note("other"))]);
    let said = world.vend_ends(1, &["apply"]).stdout;
    assert!(said.contains("closed today"), "{said}");
    let sentence = world.standing(ID).2;
    assert!(sentence.contains("closed today"), "{sentence}");
    let before = tried();
    assert!((1..=3).contains(&before), "{before} pushes: both together, then each by itself");
    world.again_nothing();
    assert_eq!(tried(), before, "not before it is due");

    std::fs::remove_file(&hook).unwrap();
    world.vend_ends(0, &["retry", ID]);
    world.vend_ends(0, &["retry", "orders/dev/other"]);
    world.apply();
    world.ready(ID);
    world.ready("orders/dev/other");
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create", "update"]);
    world.again_nothing();
}
