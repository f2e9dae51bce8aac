//! Where no pull request is asked for: what comes with one is held to its review all the same.

use serde_json::json;

use super::Desk;
use super::approval::{approve, newer, settled};
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, catalog, drop_request, note, request};

fn desk() -> Desk {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["requirePullRequest"] = json!(false));
    desk
}

#[test]
fn a_review_counts_where_no_pull_request_is_asked_for() {
    let desk = desk();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let output = desk.world.output.url();
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    let status = desk.world.status("orders/dev/one");
    assert_eq!(status["lastApply"]["approvedBy"], json!(["edsger"]), "{status}");
    desk.again_nothing();
}

#[test]
fn what_was_reviewed_binds_where_no_pull_request_is_asked_for() {
    let desk = desk();
    let mut daemon = desk.serve();
    let follows = request("note@^1.0.0", "{text: b}");
    let n = desk.propose("ada", "it", [ask("orders/dev/it", follows)]);
    desk.says(n, &["1 to create"]);
    daemon.kill();
    desk.world.catalog.commit(newer());
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let body = desk.says(n, &["more would happen than was reviewed", "/vend approve "]);
    desk.again_nothing();
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn what_is_pushed_directly_is_applied_where_no_pull_request_is_asked_for() {
    let desk = desk();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    desk.repo().push("ada", "main", [ask("orders/dev/direct", note("direct"))]);
    desk.ready("orders/dev/direct");
    desk.repo().push("ada", "main", [drop_request("orders/dev/direct")]);
    eventually("it is gone", || {
        desk.world.status_or_none("orders/dev/direct").is_none().then_some(())
    });
    desk.again_nothing();
}
