//! Requests that end, as the people of their pull requests see it.

use serde_json::json;

use super::Desk;
use crate::crash::{MODES, WARNED, carried_out, elsewhere, share_out};
use crate::daemon::{Serving, eventually};
use crate::github::Fault;
use crate::world::{ask, note, request_with};

const ID: &str = "orders/dev/sandbox";

#[test]
fn the_comment_warns_twice_says_that_it_is_over_and_that_it_is_gone() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["expiry"] = json!({"warn": ["45s", "20s"]}));
    let _daemon = desk.serve();
    let text = request_with("note@1.0.0", "{text: hello}", "ttl: 61s");
    let n = desk.propose("ada", "sandbox", [ask(ID, text)]);
    desk.says(n, &["create", "it ends 61s after it was first applied"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done", "it ends at "]);
    let body = desk.says(n, &["1 will end soon", "in less than 45s"]);
    assert!(body.contains(&format!("/vend extend {ID} 7d")), "{body}");
    // An edit notifies nobody: each warning is a comment of its own.
    let warned = eventually("a warning", || desk.warnings(n).pop());
    assert!(warned.body.contains("in less than 45s"), "{}", warned.body);
    assert!(warned.body.contains(&format!("/vend extend {ID} 7d")), "{}", warned.body);

    let asked = desk.repo().comment("ada", n, "/vend extend 7d");
    desk.reacted(n, asked, "+1");
    desk.says(n, &["ttl: 604861s"]);
    // The answer to the second one is lost.
    desk.hub.fault("POST", "/repos/*/*/issues/*/comments", Some(1), Fault::Lost);
    desk.says(n, &["in less than 20s"]);
    eventually("a second warning", || (desk.warnings(n).len() == 2).then_some(()));
    // Its branch takes nothing but pull requests: one that removes it is opened, and people decide.
    desk.says(n, &["Held", "is to be removed by a pull request"]);
    let gone = eventually("a pull request that removes it", || {
        desk.repo().open_pulls().into_iter().find(|pull| pull.branch.starts_with("vend/expire/"))
    });
    assert_eq!(gone.title, format!("Remove {ID}, whose time is over"));
    assert!(gone.body.contains(&crate::world::path_of(ID)), "{}", gone.body);
    desk.says(gone.number, &["**Deletes**", ID]);
    desk.repo().merge("grace", gone.number);
    desk.says(gone.number, &["Done"]);
    eventually("its status goes", || desk.world.status_or_none(ID).is_none().then_some(()));
    desk.says(n, &["Done", "deleted"]);
    eventually("its branch goes", || {
        let left = desk.repo().git().git(&["branch", "--list", "vend/expire/*"]);
        left.trim().is_empty().then_some(())
    });
    desk.again_nothing();
    let warned: Vec<_> = desk.warnings(n).into_iter().map(|said| said.body).collect();
    assert_eq!(warned.len(), 2, "{warned:#?}");
    assert!(
        warned[0].contains("less than 45s") && warned[1].contains("less than 20s"),
        "{warned:#?}"
    );
    assert!(desk.repo().issues().is_empty(), "there was a pull request to say it on");
}

/// Daemons with these orders, one after the other, each until its orders are carried out.
fn interrupted(desk: &Desk, all: &[String]) {
    let log = desk.world.root().join("passed");
    for orders in all {
        let mut command = desk.world.command(&["serve", "--log", "json"]);
        command.env("VEND_FAULT", orders).env("VEND_FAULT_LOG", &log);
        let mut daemon = Serving::spawn(command);
        eventually(orders, || carried_out(&log, orders).then_some(()));
        if orders.contains("=kill") {
            assert_eq!(daemon.ended(), None, "{orders}");
        } else {
            daemon.stop();
        }
    }
}

#[test]
fn f61_what_came_without_a_pull_request_has_one_issue_wherever_that_is_broken_off() {
    let (ends, warns): (Vec<&str>, Vec<&str>) =
        elsewhere(WARNED).into_iter().partition(|point| *point == "forge.settle.after");
    let orders = |points: &[&str], mode: &str| -> Vec<String> {
        let each = points.iter().map(|point| format!("{point}={mode}"));
        // Each kill needs a process of its own; one process gets over all the others.
        if mode == "kill" { each.collect() } else { vec![each.collect::<Vec<_>>().join(",")] }
    };
    share_out(3, MODES.to_vec(), |mode| {
        has_one_issue(&orders(&warns, mode), &orders(&ends, mode));
    });
}

/// A request is warned of and then extended, while these orders are carried out.
fn has_one_issue(warns: &[String], ends: &[String]) {
    let mut desk = Desk::new();
    desk.world.configure(|c| {
        c["requirePullRequest"] = false.into();
        c["expiry"] = json!({"warn": ["97s", "59s"], "remove": "never"});
    });
    drop(desk.serve());
    let text = request_with("note@1.0.0", "{text: hello}", "ttl: 100s");
    desk.repo().push("grace", "main", [ask(ID, text.clone())]);
    interrupted(&desk, warns);
    let daemon = desk.serve();
    desk.ready(ID);
    let issue = || {
        let mut all = desk.repo().issues();
        assert_eq!(all.len(), 1, "{warns:?}: {all:#?}");
        all.remove(0)
    };
    let (opened, is_open) = issue();
    assert!(is_open && opened.author == "vend[bot]");
    assert_eq!(opened.title, format!("{ID} will end soon"));
    assert!(opened.body.contains(&format!("`vend extend {ID} 7d` does so")), "{}", opened.body);
    let n = opened.number;
    let second = eventually("a second warning", || desk.warnings(n).pop());
    assert!(second.body.contains("in less than 59s"), "{}", second.body);
    desk.again_nothing();
    // It gets a later end, and nobody has to do anything any more.
    drop(daemon);
    desk.repo().push("grace", "main", [ask(ID, text.replace("100s", "7d"))]);
    interrupted(&desk, ends);
    let _daemon = desk.serve();
    eventually("the issue is closed", || (!issue().1).then_some(()));
    desk.ready(ID);
    desk.again_nothing();
    assert_eq!(desk.warnings(n).len(), 1, "{warns:?}");
    assert_eq!(desk.hub.calls("PATCH", "/repos/*/*/issues/*").len(), 1, "{ends:?}");
}

#[test]
fn an_open_pull_request_fails_once_the_time_of_its_request_is_over_and_another_extends_it() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["expiry"] = json!({"warn": ["20s", "10s"], "remove": "never"}));
    let _daemon = desk.serve();
    let text = request_with("note@1.0.0", "{text: hello}", "ttl: 40s");
    let n = desk.propose("ada", "sandbox", [ask(ID, text.clone())]);
    desk.says(n, &["create"]);
    desk.repo().merge("grace", n);
    desk.ready(ID);

    let edits = [ask(ID, text.replace("hello", "changed"))];
    let head = desk.repo().push_branch("ada", "edit", "main", edits);
    let edit = desk.repo().open_pull("ada", "edit", "main", "Change it");
    desk.says(edit, &["1 to update"]);
    desk.check(&head, "vend", "success");
    // Its time is over when the daemon says so; that takes longer than one wait.
    for phase in ["ExpiresSoon", "Expired"] {
        eventually(phase, || {
            let status = desk.world.status(ID);
            let said = status["conditions"].as_array()?.iter().any(|c| c["reason"] == phase);
            said.then_some(())
        });
    }
    let run = desk.check(&head, "vend", "failure");
    assert!(run.title.unwrap().contains("Its time is over"));
    desk.says(edit, &["its time was over at"]);

    let edits = [ask(ID, text.replace("40s", "7d"))];
    let head = desk.repo().push_branch("ada", "later", "main", edits);
    let later = desk.repo().open_pull("ada", "later", "main", "Keep it");
    let said = desk.says(later, &["1 with another end", " instead of "]);
    assert!(said.contains(ID), "{said}");
    desk.check(&head, "vend", "success");
    desk.repo().merge("grace", later);
    desk.ready(ID);
    desk.again_nothing();
}

/// Requests that end together, with one warning while a story goes on.
fn ending_soon(desk: &mut Desk) {
    desk.world.configure(|c| {
        c["requirePullRequest"] = false.into();
        c["expiry"] = json!({"warn": ["290s"], "remove": "never"});
    });
}

fn ending() -> String {
    request_with("note@1.0.0", "{text: hello}", "ttl: 295s")
}

#[test]
fn of_many_that_end_together_so_many_are_warned_of_in_a_turn_and_issues_are_looked_up_once() {
    let mut desk = Desk::new();
    ending_soon(&mut desk);
    let _daemon = desk.serve();
    let many = 45;
    let edits = (0..many).map(|n| ask(&format!("orders/dev/s{n}"), ending()));
    desk.repo().push("grace", "main", edits);
    eventually("all are warned of", || (desk.repo().issues().len() == many).then_some(()));
    desk.again_nothing();
    assert_eq!(desk.repo().issues().len(), many);
    let (mut in_turn, mut most, mut looked) = (0, 0, 0);
    for entry in desk.hub.log() {
        match (entry.method.as_str(), entry.path.as_str()) {
            ("GET", path) if path.starts_with("/repos/acme/requests/pulls") => in_turn = 0,
            ("GET", "/repos/acme/requests/issues") => looked += 1,
            ("POST", "/repos/acme/requests/issues") => in_turn += 1,
            _ => {}
        }
        most = most.max(in_turn);
    }
    assert!(most <= 20, "{most} warnings in one turn");
    assert!(looked < many, "issues were looked up {looked} times");
}

#[test]
fn one_commit_that_github_cannot_read_delays_no_warning_but_its_own() {
    let mut desk = Desk::new();
    ending_soon(&mut desk);
    let mut daemon = desk.serve();
    let first = desk.repo().push("grace", "main", [ask("orders/dev/a", ending())]);
    let of_first = format!("/repos/acme/requests/commits/{first}/pulls");
    desk.hub.fault("GET", &of_first, None, Fault::Status(502));
    desk.repo().push("grace", "main", [ask("orders/dev/b", ending())]);
    let titles = || {
        let all = desk.repo().issues().into_iter();
        all.map(|(issue, _)| issue.title).collect::<Vec<_>>()
    };
    eventually("the other is warned of", || {
        (titles() == ["orders/dev/b will end soon"]).then_some(())
    });
    // Plans are said all the same.
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    daemon.kill();
    desk.hub.mend();
    let _daemon = desk.serve();
    eventually("both are warned of", || (titles().len() == 2).then_some(()));
    desk.again_nothing();
    assert_eq!(titles().len(), 2);
}
