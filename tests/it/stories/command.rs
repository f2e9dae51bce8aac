//! What the command line says by its output and its exit code.

use serde_json::{Value, json};

use crate::world::{Edit, World, ask, drop_request, note, write};

const ID: &str = "orders/dev/hello";

#[test]
fn exit_codes_of_plan_and_apply() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.vend_ends(0, &["plan"]);
    world.vend_ends(4, &["plan", "--exit-code"]);
    world.vend_ends(0, &["apply", "--exit-code"]);
    world.vend_ends(0, &["plan", "--exit-code"]);
    world.vend_ends(2, &["apply", "--nonsense"]);
    world.vend_ends(2, &["explain", "nonsense"]);

    // Held: 0, and 4 for who asks.
    world.requests.commit([drop_request(ID), ask("orders/dev/renamed", note("hello"))]);
    world.vend_ends(4, &["apply", "--exit-code"]);

    // Invalid beats held.
    world.requests.commit([ask("orders/dev/broken", "nonsense\n")]);
    world.vend_ends(3, &["plan", "--exit-code"]);
    world.vend_ends(3, &["apply", "--exit-code"]);
}

#[test]
fn a_configuration_that_is_not_there_or_wrong_is_said() {
    let mut world = World::new();
    let none = world.vend(&["apply", "--config", "nowhere.yaml"]);
    assert!(none.code != 0 && none.stderr.contains("nowhere.yaml"), "{none:?}");
    world.configure(|config| config["requsts"] = json!([]));
    let wrong = world.vend(&["apply"]);
    assert_eq!(wrong.code, 3, "{wrong:?}");
    assert!(wrong.stderr.contains("did you mean `requests`"), "{wrong:?}");
}

#[test]
fn json_is_json() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask("orders/dev/broken", "nonsense\n")]);
    let plan = world.vend_ends(3, &["plan", "--format", "json"]).json();
    assert_eq!(plan["steps"][0]["action"], "create");
    let applied = world.vend_ends(3, &["apply", "--format", "json"]).json();
    assert_eq!(applied["done"][0]["request"], ID);
    assert_eq!(applied["holds"][0]["reason"], "Invalid");
    let status = world.vend_ends(0, &["status", "--format", "json"]).json();
    assert_eq!(status["requests"].as_array().unwrap().len(), 2);
    let explained = world.vend_ends(0, &["explain", ID, "--format", "json"]).json();
    assert!(explained.is_object(), "{explained}");
    let again = world.vend(&["apply", "--format", "json"]).json();
    assert_eq!(again["quiet"], true);
}

#[test]
fn nothing_of_colour_reaches_a_pipe() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    for args in [&["plan"][..], &["apply"], &["status"], &["explain", ID]] {
        let output = world.vend_ends(0, args);
        assert!(
            !output.stdout.contains('\u{1b}') && !output.stderr.contains('\u{1b}'),
            "{output:?}"
        );
        assert_eq!(output.stderr, "", "{args:?}");
    }
}

#[test]
fn the_samples_are_applied_whole() {
    let mut world = World::empty();
    let output = world.output.url();
    let texts = |folder: &str| {
        crate::samples::files(folder)
            .into_iter()
            .map(|(path, bytes)| (path, String::from_utf8(bytes).unwrap()))
    };
    // The one thing that an operator of the samples sets: where environments write to.
    let deployments = "https://git.example.com/platform/deployments.git";
    world.catalog.commit(
        texts("sample-catalog").map(|(path, text)| write(path, text.replace(deployments, &output))),
    );
    let local = "/srv/vend/local";
    world.configure(|config| config["providers"]["files"]["allow"] = json!([output, local]));
    // What CloudFormation makes needs an account.
    let elsewhere = crate::samples::needing("cloudformation");
    let here = |(path, _): &(String, String)| {
        let id = path.strip_prefix("requests/").and_then(|id| id.strip_suffix(".yaml"));
        !id.is_some_and(|id| elsewhere.contains(id))
    };
    let requests = texts("sample-requests").filter(here);
    world.requests.commit(requests.map(|(path, text)| Edit::Write(path, text)));

    let report = world.vend_ends(0, &["apply", "--format", "json"]).json();
    assert_eq!(report["publishError"], Value::Null);
    let all = world.requests.files(crate::world::STATUS, "status");
    for path in &all {
        world.ready(path.strip_prefix("status/").unwrap().strip_suffix(".yaml").unwrap());
    }
    assert!(all.len() > 10, "{all:?}");
    world.again_nothing();
}
