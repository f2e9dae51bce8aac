//! The command line with a daemon, and without one.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use serde_json::json;

use super::{Serving, all_ready, eventually, notes, patient};
use crate::world::{World, ask, drop_request, note, to_approve};

#[test]
fn commands_go_through_a_running_daemon() {
    let world = patient();
    let mut daemon = Serving::ready(&world);
    // Not seen by the file watch only: `apply` gives what the pass found.
    world.requests.commit(notes("orders", 2));
    let text = world.vend_ends(0, &["apply", "--wait"]).stdout;
    assert!(text.contains("ready.") || text.contains("Nothing to do."), "{text}");
    eventually("both are ready", || all_ready(&world, "orders", 2).then_some(()));
    let status = world.vend_ends(0, &["status", "orders/dev/n1", "--format", "json"]).json();
    assert_eq!(status["requests"][0]["phase"], "Ready");
    let explained = world.vend_ends(0, &["explain", "orders/dev/n0"]).stdout;
    assert!(explained.contains("Created"), "{explained}");
    world.vend_ends(1, &["explain", "orders/dev/nobody"]);
    world.vend_ends(0, &["retry", "orders/dev/n0"]);
    let line = daemon.logged("a person's command");
    assert!(line.contains("uid "), "{line}");
    daemon.stop();
}

#[test]
fn an_approval_wakes_the_daemon() {
    let world = patient();
    world.requests.commit(notes("orders", 5));
    let mut daemon = Serving::ready(&world);
    eventually("all are ready", || all_ready(&world, "orders", 5).then_some(()));
    world.requests.commit((0..5).map(|n| drop_request(&format!("orders/dev/n{n}"))));
    let sentence = eventually("the breaker holds", || {
        let (phase, _, sentence) = world.standing("orders/dev/n0");
        (phase == "Held").then_some(sentence)
    });
    world.vend_ends(0, &["approve", &to_approve(&sentence)]);
    eventually("all are gone", || {
        let left = world.vend_ends(0, &["status", "--format", "json"]).json();
        left["requests"].as_array().unwrap().is_empty().then_some(())
    });
    daemon.stop();
}

#[test]
fn a_socket_left_behind_is_no_daemon() {
    let world = patient();
    world.requests.commit(notes("orders", 1));
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    daemon.kill();
    assert!(world.root().join("state/vend.sock").exists());
    world.requests.commit(notes("orders", 2));
    world.apply();
    world.ready("orders/dev/n1");
    let mut daemon = Serving::ready(&world);
    eventually("the socket answers", || (world.vend(&["apply"]).code == 0).then_some(()));
    assert!(daemon.count("the lease is held") == 1);
    daemon.stop();
    assert!(!world.root().join("state/vend.sock").exists(), "it is taken away at the end");
}

#[test]
fn without_a_socket_the_lease_says_who_is_at_work() {
    let world = patient();
    let _daemon = Serving::ready(&world);
    eventually("the socket is there", || {
        world.root().join("state/vend.sock").exists().then_some(())
    });
    std::fs::remove_file(world.root().join("state/vend.sock")).unwrap();
    let output = world.vend_ends(2, &["apply"]);
    assert!(output.stderr.contains("works on this state until"), "{}", output.stderr);
}

#[test]
fn watching_prints_what_changes() {
    let mut world = World::new();
    world.configure(|c| c["reconcile"] = json!({"interval": "1h"}));
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    world.apply();
    let mut command = world.command(&["status", "--watch"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.by_ref().map_while(Result::ok).find(|l| l.contains("orders/dev/n0"));
    assert!(first.unwrap().contains("Ready"));
    world.requests.commit([ask("orders/dev/n1", note("hello"))]);
    world.apply();
    let is_ready = |l: &String| l.starts_with("orders/dev/n1 ") && l.contains("Ready");
    assert!(lines.by_ref().map_while(Result::ok).any(|l| is_ready(&l)));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn logs_come_from_the_daemon_and_go_on_without_it() {
    let world = patient();
    let mut daemon = Serving::ready(&world);
    eventually("the socket answers", || (world.vend(&["apply"]).code == 0).then_some(()));
    world.vend_ends(1, &["logs", "orders/dev/n0"]);
    world.vend_ends(2, &["logs", "orders"]);
    let mut command = world.command(&["logs", "orders/dev/n0", "--follow", "--format", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = |kind: &str| {
        let line = lines.next().unwrap().unwrap();
        assert!(line.contains(&format!(r#""kind":"{kind}""#)), "{line}");
    };
    world.requests.commit(notes("orders", 1));
    next("Created");
    world.vend_ends(0, &["logs", "orders/dev/n0", "--until-done"]);
    daemon.kill();
    world.requests.commit([ask("orders/dev/n0", "kind: [")]);
    world.vend_ends(3, &["apply"]);
    next("Held");
    world.requests.commit([ask("orders/dev/n0", note("again"))]);
    world.apply();
    next("Updated");
    child.kill().unwrap();
    child.wait().unwrap();
}
