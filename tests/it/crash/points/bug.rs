//! A bug of ours that one file brings up.

use crate::world::{World, ask, drop_request, note};

const ONE: &str = "orders/dev/one";

/// A pass that panics at the only file that is read; the reason for which that request is held then.
#[track_caller]
fn panics_at(point: &str) -> String {
    let world = World::new();
    world.requests.commit([ask(ONE, note("one")), ask("orders/dev/gone", note("gone"))]);
    world.apply();
    world.requests.commit([ask(ONE, note("boom")), drop_request("orders/dev/gone")]);
    let mut command = world.command(&["--log", "json", "apply"]);
    let output = command.env("VEND_FAULT", format!("{point}=panic")).output().unwrap();
    // It is a line of the log with its place, and without words that could hold what was read.
    let said = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<serde_json::Value> =
        said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut told = lines.iter().map(|line| line["fields"]["message"].as_str().unwrap_or_default());
    assert!(told.any(|it| it.starts_with("panicked at src/fault/active.rs:")), "{said}");
    assert!(!said.contains("a test has it panic"), "{said}");
    assert!(output.status.code().is_some(), "the process ended of it: {output:?}");
    // Nobody else waits for it.
    assert!(world.status_or_none("orders/dev/gone").is_none(), "{output:?}");
    let (phase, reason, sentence) = world.standing(ONE);
    assert!(["Held", "Failed"].contains(&phase.as_str()), "{phase}: {sentence}");
    assert_eq!(world.actions("vend-orders-dev-one-note"), ["create"], "what was applied stays");

    // Neither does the next process.
    world.requests.commit([ask("orders/dev/two", note("two"))]);
    world.vend(&["apply"]);
    world.ready("orders/dev/two");
    world.again_nothing();

    world.requests.commit([ask(ONE, note("mended"))]);
    world.apply();
    world.ready(ONE);
    world.again_nothing();
    reason
}

#[test]
fn f23_a_panic_over_one_file_is_that_requests_alone() {
    assert_eq!(panics_at("read.render"), "InternalError");
    // A file that could not even be read is as one that cannot be.
    assert_eq!(panics_at("read.parse"), "Invalid");
}
