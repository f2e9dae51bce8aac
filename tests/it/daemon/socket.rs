//! The command line with a daemon, and without one.

use std::io::{BufRead, BufReader, Read as _, Write as _};
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
fn what_is_wrong_elsewhere_is_not_read_again_with_each_change() {
    let world = patient();
    world.requests.commit(notes("orders", 2));
    // Nothing else tells what a pass read.
    world.requests.commit([ask("billing/dev/odd", "kind: Odd\n")]);
    let mut daemon = Serving::ready(&world);
    eventually("both are ready", || all_ready(&world, "orders", 2).then_some(()));
    for word in ["first", "second", "third"] {
        world.requests.commit([ask("orders/dev/n0", note(word))]);
        let before = daemon.count("evaluated");
        world.vend(&["apply"]);
        eventually("a pass has ended", || (daemon.count("evaluated") > before).then_some(()));
    }
    // What the daemon keeps is as good after the history and the other words that it writes beside it.
    let lines = daemon.lines();
    let read = lines.iter().filter_map(|line| {
        serde_json::from_str::<serde_json::Value>(line).ok()?["fields"]["evaluated"].as_u64()
    });
    let read: Vec<u64> = read.collect();
    assert_eq!(read[read.len() - 2..], [1, 1], "{lines:#?}");
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

/// The names of all fields below.
fn fields(value: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    match value {
        serde_json::Value::Object(map) => {
            for (name, value) in map {
                // Maps by what there is have no names of fields.
                if name
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c.is_ascii_uppercase() || c == '_')
                {
                    found.insert(name.clone());
                }
                fields(value, found);
            }
        }
        serde_json::Value::Array(items) => items.iter().for_each(|item| fields(item, found)),
        _ => {}
    }
}

/// What the daemon answers on its socket.
fn answer(world: &World, line: &str, body: &str) -> serde_json::Value {
    let socket = world.root().join("state/vend.sock");
    let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
    let length = body.len();
    let head = "host: vend\r\nconnection: close\r\ncontent-type: application/json";
    write!(stream, "{line} HTTP/1.1\r\n{head}\r\ncontent-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{line}: {answer}");
    let start = body.find(['{', '[']).unwrap_or_default();
    let end = body.rfind(['}', ']']).map_or(body.len(), |end| end + 1);
    serde_json::from_str(&body[start..end]).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

#[test]
fn b109_no_answer_has_a_field_that_would_hold_a_secret() {
    let world = patient();
    world.requests.commit(notes("orders", 1));
    world.requests.commit([ask("orders/dev/bad", "kind: [")]);
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || {
        let status = world.status_or_none("orders/dev/n0");
        status.filter(|status| status["phase"] == "Ready")
    });
    // Published before the pass has ended of which its answers tell.
    daemon.logged("Applied: ");
    let asked = [
        ("GET /v1/status", ""),
        ("GET /v1/applying", ""),
        ("GET /v1/rollouts", ""),
        ("GET /v1/requests/orders/dev/n0", ""),
        ("GET /v1/requests/orders/dev/bad", ""),
        ("GET /v1/requests/orders/dev/n0/log?limit=10", ""),
        ("POST /v1/person", r#"{"command":"retry","request":"orders/dev/n0"}"#),
        ("POST /v1/apply", "{}"),
    ];
    let mut found = std::collections::BTreeSet::new();
    for (line, body) in asked {
        fields(&answer(&world, line, body), &mut found);
    }
    // Whoever adds a field looks at it here.
    let all: Vec<String> = found.into_iter().collect();
    insta::assert_snapshot!(all.join(" "), @"Held Invalid Ready adopt apiVersion approvals asking at attention catalogCommit code column commit component components conditions content count counts daemon data desired diagnostics digest done drift drifted due end_column end_line endedAt ends evaluated events failed file first held help holds id invalid kind lastApply later leadingSince line lines message metadata n name needs observed on_drift origin output outputSources outputs over parameters passed path phase place plan problems protect provider publishError published quiet reason repository request requestDigest requests retries rolloutsStopped seconds sensitive settings settled severity since soon source stamp startedAt state status steps suspend target template template_digest text token tombstone type unchecked underWay unread unremoved unseen untold upgrade valid version versions waitingFor wanted waves why");
    daemon.stop();
}
