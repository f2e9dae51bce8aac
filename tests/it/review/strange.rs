//! Pull requests that cannot be fetched, read or written to: they stop nobody else's.

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::json;

use super::Desk;
use crate::daemon::eventually;
use crate::github::Fault;
use crate::world::{Edit, ask, note};

/// A commit of a date that no computer reads, on what the branch has; put in the place of a head.
fn spoil(desk: &Desk, number: u64, branch: &str) {
    let git = desk.repo().git().path().to_owned();
    let tree = desk.repo().git().git(&["rev-parse", &format!("{branch}^{{tree}}")]);
    let who = "m <m@example.com>";
    let date = "17000000000000000000000 +0000";
    let text = format!("tree {}\nauthor {who} {date}\ncommitter {who} {date}\n\nx\n", tree.trim());
    let mut made = Command::new("git")
        .args(["hash-object", "-t", "commit", "-w", "--stdin", "--literally"])
        .current_dir(git)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    made.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let made = made.wait_with_output().unwrap();
    let id = String::from_utf8(made.stdout).unwrap();
    desk.repo().git().git(&["update-ref", &format!("refs/pull/{number}/head"), id.trim()]);
}

#[test]
fn b29_a_head_that_cannot_be_fetched_or_read_stops_no_other() {
    let desk = Desk::new();
    let waits = desk.propose("ada", "waits", [ask("orders/dev/waits", note("waits"))]);
    let fork = desk.hub.fork("acme/requests", "mallory");
    let link = Edit::Link(".gitmodules".into(), "/etc/passwd".into());
    fork.push_branch("mallory", "link", "main", [link, ask("orders/dev/evil", note("evil"))]);
    let refused = desk.repo().open_pull("mallory", "mallory:link", "main", "Please");
    let spoiled = desk.propose("mallory", "spoiled", [ask("orders/dev/bad", note("bad"))]);
    spoil(&desk, spoiled, "spoiled");
    let _daemon = desk.serve();
    // What stands beside them is planned, let through and applied.
    let good = desk.propose("ada", "good", [ask("orders/dev/good", note("good"))]);
    for n in [waits, good] {
        desk.says(n, &["1 to create"]);
        desk.repo().merge("grace", n);
        desk.says(n, &["Done"]);
    }
    // Each of them says for itself what is wrong, and may not be merged.
    let body = desk.says(refused, &["could not be looked at", "gitmodules"]);
    assert!(!body.contains("branch `main`"), "{body}");
    desk.says(spoiled, &["could not be looked at"]);
    for run in desk.repo().checks(&format!("refs/pull/{refused}/head")) {
        assert_eq!(run.conclusion, None, "{}", run.name);
    }
    desk.again_nothing();
    // Mended, it is looked at like any other.
    fork.force_push("mallory", "link", "main", [ask("orders/dev/fine", note("fine"))]);
    desk.says(refused, &["1 to create"]);
    desk.again_nothing();
}

#[test]
fn what_may_not_be_written_is_no_pull_request_that_is_gone() {
    let mut desk = Desk::new();
    desk.repo().permit("robot", "write");
    let token = desk.world.root().join("token");
    std::fs::write(&token, desk.hub.token("robot")).unwrap();
    let api = desk.hub.api();
    desk.world.configure(|c| c["forge"] = json!({"github": {"api": api, "tokenFile": token}}));
    // So GitHub answers a token that lacks a right.
    let hidden = Fault::Refused(404, "Not Found".into());
    desk.hub.fault("POST", "/repos/*/*/statuses/*", None, hidden);
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let ours = || desk.repo().comments(n).into_iter().find(|it| it.author == "robot");
    let says = |text: &str| {
        eventually(text, || ours().filter(|said| said.body.contains(text)));
    };
    says("1 to create");
    desk.repo().comment("grace", n, "/vend retry");
    says("/vend retry");
    desk.again_nothing();
    let body = ours().unwrap().body;
    assert_eq!(body.matches("/vend retry").count(), 1, "{body}");
    assert!(desk.hub.calls("POST", "/repos/*/*/statuses/*").len() < 6, "each is tried, and rests");
    // One that is gone is.
    desk.repo().delete_pull(n);
    desk.again_nothing();
}
