//! What happened while vend did not look.

use std::time::Duration;

use super::Desk;
use super::approval::{approve, to_approve};
use crate::daemon::{Serving, eventually};
use crate::github::Fault;
use crate::world::{Edit, ask, note, write};

/// Every way to say what a pull request would do.
const SHOWING: [(&str, &str); 5] = [
    ("POST", "/repos/*/*/check-runs"),
    ("PATCH", "/repos/*/*/check-runs/*"),
    ("POST", "/repos/*/*/statuses/*"),
    ("POST", "/repos/*/*/issues/*/comments"),
    ("PATCH", "/repos/*/*/issues/comments/*"),
];

/// From now on GitHub refuses all that would show a plan.
fn shut(desk: &Desk) {
    desk.hub.forget();
    for (method, path) in SHOWING {
        desk.hub.fault(method, path, None, Fault::Status(403));
    }
}

/// Waits until it was tried to comment on what is new, and all of it was refused.
#[track_caller]
fn refused(desk: &Desk) {
    eventually("a comment is refused", || {
        let tried = SHOWING[3..].iter().map(|(method, path)| desk.hub.calls(method, path).len());
        (tried.sum::<usize>() > 0).then_some(())
    });
    desk.again_nothing();
}

fn held(desk: &Desk, id: &str) -> String {
    eventually(&format!("{id} is held"), || {
        let status = desk.world.status_or_none(id)?;
        let is_held = status["conditions"][0]["reason"] == "PlanChanged";
        is_held.then(|| status["waitingFor"].as_str().unwrap().to_owned())
    })
}

#[test]
fn a_plan_that_could_be_written_nowhere_was_reviewed_by_nobody() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    shut(&desk);
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    refused(&desk);
    desk.hub.mend();
    desk.repo().merge("grace", n);
    let said = held(&desk, "orders/dev/one");
    assert!(said.contains("the forge took neither check nor comment"), "{said}");
    let body = desk
        .says(n, &["before anybody could be shown", "+ create orders/dev/one", "/vend approve "]);
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn that_it_cannot_be_merged_shows_nobody_the_plan_that_could_not_be_written() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    shut(&desk);
    let readme = |text: &str| write("requests/README.md", text);
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one")), readme("Ours.\n")]);
    refused(&desk);
    desk.hub.mend();
    desk.repo().push("grace", "main", [readme("Theirs.\n")]);
    desk.says(n, &["onflict"]);
    desk.again_nothing();
    daemon.kill();
    // The branch comes to say the same, and it is merged before anybody could be shown what it does.
    desk.repo().push("grace", "main", [readme("Ours.\n")]);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let said = held(&desk, "orders/dev/one");
    assert!(said.contains("the forge took neither check nor comment"), "{said}");
    let body = desk.says(n, &["before anybody could be shown", "/vend approve "]);
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn where_no_review_is_asked_for_an_unsaid_plan_is_what_its_files_say() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["requirePullRequest"] = false.into());
    let _daemon = desk.serve();
    shut(&desk);
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    refused(&desk);
    desk.hub.mend();
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn what_was_seen_last_is_what_was_reviewed() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let same = desk.propose("ada", "same", [ask("orders/dev/same", note("same"))]);
    let more = desk.propose("ada", "more", [ask("orders/dev/one", note("one"))]);
    for n in [same, more] {
        desk.says(n, &["1 to create"]);
    }
    desk.again_nothing();
    shut(&desk);
    // Another commit of the same plan cannot be said either, and comes to no more.
    let words = format!("# Words.\n{}", note("same"));
    desk.repo().push("ada", "same", [ask("orders/dev/same", words)]);
    desk.repo().push("ada", "more", [ask("orders/dev/two", note("two"))]);
    refused(&desk);
    desk.hub.mend();
    for n in [same, more] {
        desk.repo().merge("grace", n);
    }
    desk.says(same, &["Done"]);
    desk.ready("orders/dev/same");
    held(&desk, "orders/dev/two");
    let differs = ["more would happen than was reviewed", "+ create orders/dev/two"];
    let body = desk.says(more, &differs);
    assert!(!body.contains("+ create orders/dev/one"), "{body}");
    approve(&desk, "grace", more, &body);
    desk.says(more, &["Done"]);
    desk.ready("orders/dev/two");
    desk.again_nothing();
}

/// Opened and merged within a moment.
#[track_caller]
fn slip(desk: &Desk, branch: &str, edits: impl IntoIterator<Item = Edit>) -> u64 {
    let n = desk.propose("ada", branch, edits);
    desk.repo().merge("grace", n);
    n
}

#[test]
fn b97_what_was_merged_before_it_was_seen_waits_until_somebody_has_looked() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    daemon.kill();
    let n = slip(&desk, "one", [ask("orders/dev/one", note("one"))]);
    let mut daemon = desk.serve();
    let said = held(&desk, "orders/dev/one");
    assert!(said.contains("it was merged before anybody was shown"), "{said}");
    let body = desk.says(n, &["before anybody was shown", "+ create orders/dev/one"]);
    desk.again_nothing();
    let line = format!("/vend approve {}", to_approve(&body));
    for (who, with) in [("ada", "-1"), ("grace", "+1")] {
        let approved = desk.repo().comment(who, n, &line);
        desk.reacted(n, approved, with);
    }
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
    daemon.kill();
    // So does what changes no step.
    let kept = crate::world::request_with("note@1.0.0", "{text: one}", "protect: true");
    let n = slip(&desk, "kept", [ask("orders/dev/one", kept)]);
    let _daemon = desk.serve();
    held(&desk, "orders/dev/one");
    let body = desk.says(n, &["+ set orders/dev/one: protected", "/vend approve "]);
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn where_no_review_is_asked_for_only_what_takes_something_away_waits_unseen() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["requirePullRequest"] = false.into());
    let mut daemon = desk.serve();
    daemon.kill();
    let n = slip(&desk, "one", [ask("orders/dev/one", note("one"))]);
    let mut daemon = desk.serve();
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
    daemon.kill();
    let n = slip(&desk, "change", [ask("orders/dev/one", note("two"))]);
    let mut daemon = desk.serve();
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
    daemon.kill();
    let gone = Edit::Remove("requests/orders/dev/one.yaml".into());
    let n = slip(&desk, "gone", [gone]);
    let _daemon = desk.serve();
    let body = desk.says(n, &["nobody was shown what it takes away", "+ delete", "/vend approve "]);
    assert!(!body.contains("than was reviewed"), "{body}");
    let status = desk.world.status("orders/dev/one");
    let said = status["waitingFor"].as_str().unwrap();
    assert!(said.contains("nobody was shown that before it was merged"), "{said}");
    approve(&desk, "grace", n, &body);
    eventually("it is gone", || {
        desk.world.status_or_none("orders/dev/one").is_none().then_some(())
    });
    desk.saysnot(n, "nobody was shown");
    desk.again_nothing();
}

#[test]
fn of_what_was_merged_long_ago_nothing_is_said_but_what_is_asked() {
    let desk = Desk::new();
    let long = Duration::from_secs(3 * 3_600);
    desk.hub.go_back(long);
    let n = slip(&desk, "one", [ask("orders/dev/one", note("one"))]);
    let merged = desk.repo().at("main");
    desk.hub.advance(long);
    let _daemon = desk.serve();
    desk.ready("orders/dev/one");
    desk.hub.forget();
    desk.repo().comment("heidi", n, "What was this for?");
    let comments = format!("/repos/acme/requests/issues/{n}/comments");
    eventually("it was read", || desk.hub.calls("GET", &comments).last().map(|_| ()));
    desk.again_nothing();
    assert!(desk.comment(n).is_none(), "{:?}", desk.comment(n));
    let asked = desk.repo().comment("grace", n, "/vend retry");
    desk.reacted(n, asked, "+1");
    desk.says(n, &["/vend retry", "tried again now"]);
    desk.again_nothing();
    assert!(desk.repo().checks(&merged).is_empty(), "its checks are of long ago");
}

#[test]
fn what_was_approved_is_not_asked_about_again_while_a_pass_is_at_work_on_it() {
    let desk = Desk::new();
    desk.serve().kill();
    let n = slip(&desk, "one", [ask("orders/dev/one", note("one"))]);
    let (go, log) = (desk.world.root().join("go"), desk.world.root().join("passed"));
    let mut command = desk.world.command(&["serve", "--log", "json"]);
    command.env("VEND_FAULT", "pass.ends.after=wait").env("VEND_FAULT_GO", &go);
    command.env("VEND_FAULT_LOG", &log);
    let _daemon = Serving::spawn(command);
    let body = desk.says(n, &["before anybody was shown", "+ create orders/dev/one"]);
    desk.again_nothing();
    approve(&desk, "grace", n, &body);
    eventually("it is made", || {
        let passed = std::fs::read_to_string(&log).ok()?;
        passed.contains("pass.ends.after wait").then_some(())
    });
    // What held it stands there until the pass has said how it ended.
    let turns = || desk.hub.calls("GET", "/repos/acme/requests/pulls").len();
    let before = turns();
    eventually("three more turns", || (turns() >= before + 6).then_some(()));
    std::fs::write(&go, "").unwrap();
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}
