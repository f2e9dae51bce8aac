//! What happened while vend did not look.

use std::time::Duration;

use super::Desk;
use super::approval::to_approve;
use crate::daemon::eventually;
use crate::world::{Edit, ask, note};

/// Opened and merged within a moment.
#[track_caller]
fn slip(desk: &Desk, branch: &str, edits: impl IntoIterator<Item = Edit>) -> u64 {
    let n = desk.propose("ada", branch, edits);
    desk.repo().merge("grace", n);
    n
}

#[test]
fn of_what_was_merged_unseen_only_what_takes_something_away_waits() {
    let desk = Desk::new();
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
    let line = format!("/vend approve {}", to_approve(&body));
    let approved = desk.repo().comment("grace", n, &line);
    desk.reacted(n, approved, "+1");
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
