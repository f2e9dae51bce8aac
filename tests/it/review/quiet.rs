//! What changes nothing in the world by itself, and decides what may become of it.

use serde_json::json;

use super::Desk;
use super::again::{direct, gone};
use super::approval::{newer, settled};
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, catalog, drop_request, note, path_of, request, request_with};

const ID: &str = "orders/dev/it";

/// The request with one more line.
fn with(more: &str) -> String {
    request_with("note@1.0.0", "{text: a}", more)
}

/// Brings a file to the branch by a pull request that says all of these, and waits until it is done.
#[track_caller]
fn bring(desk: &Desk, branch: &str, text: &str, all: &[&str]) {
    let n = desk.propose("ada", branch, [ask(ID, text)]);
    desk.says(n, all);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
}

/// The file is removed by a pull request, and what it asked for goes.
#[track_caller]
fn goes(desk: &Desk) {
    let n = desk.propose("ada", "gone-now", [drop_request(ID)]);
    desk.says(n, &["**Deletes**"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    gone(desk, ID);
    desk.again_nothing();
}

#[test]
fn b97_protection_is_not_taken_off_without_a_pull_request() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    bring(&desk, "kept", &with("protect: true"), &["1 to create"]);
    desk.repo().push("mallory", "main", [ask(ID, note("a"))]);
    let digest = direct(&desk, ID);
    desk.again_nothing();
    // Who deletes it now is told that it is protected, as it was.
    let n = desk.propose("ada", "gone", [drop_request(ID)]);
    desk.says(n, &["it is protected"]);
    desk.repo().close("ada", n);
    desk.says(n, &["losed"]);
    desk.world.vend_ends(0, &["approve", &digest]);
    desk.ready(ID);
    desk.again_nothing();
    goes(&desk);
}

#[test]
fn b97_a_tombstone_counts_once_it_came_by_a_pull_request() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    bring(&desk, "kept", &with("protect: true"), &["1 to create"]);
    let tomb = with("protect: true\ndelete: {confirm: it}");
    desk.repo().push("mallory", "main", [ask(ID, tomb.as_str())]);
    direct(&desk, ID);
    let n = desk.propose("ada", "gone", [drop_request(ID)]);
    desk.says(n, &["it is protected"]);
    desk.repo().close("ada", n);
    desk.says(n, &["losed"]);
    desk.again_nothing();
    // By a pull request it is said, and counts.
    let words = format!("# Words.\n{tomb}");
    bring(&desk, "tomb", &words, &["**Protection**", "permits its deletion"]);
    goes(&desk);
}

#[test]
fn b97_a_tombstone_counts_although_the_time_of_its_request_is_over() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["expiry"] = json!({"remove": "never"}));
    let _daemon = desk.serve();
    bring(&desk, "kept", &with("protect: true"), &["1 to create"]);
    let over = "protect: true\nexpiresAt: \"2020-01-01T00:00:00Z\"";
    let tomb = format!("{over}\ndelete: {{confirm: it}}");
    for (branch, more) in [("over", over), ("tomb", &tomb)] {
        let n = desk.propose("ada", branch, [ask(ID, with(more))]);
        desk.says(n, &[ID]);
        desk.repo().merge("grace", n);
        eventually("it is held since its time is over", || {
            (desk.world.standing(ID).1 == "Expired").then_some(())
        });
    }
    goes(&desk);
}

#[test]
fn b97_an_end_that_was_pushed_ends_nothing() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["expiry"] = json!({"remove": "commit"}));
    let _daemon = desk.serve();
    settled(&desk, ID);
    desk.repo().push("mallory", "main", [ask(ID, with("expiresAt: \"2020-01-01T00:00:00Z\""))]);
    let digest = direct(&desk, ID);
    desk.again_nothing();
    let file = || desk.world.requests.read("main", &path_of(ID));
    assert!(file().is_some_and(|text| text.contains("2020")), "it stays where it is");
    assert_eq!(direct(&desk, ID), digest);
    desk.world.vend_ends(0, &["approve", &digest]);
    gone(&desk, ID);
    eventually("its file goes", || file().is_none().then_some(()));
    desk.again_nothing();
}

#[test]
fn b97_a_record_takes_no_name_without_a_pull_request() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, ID);
    let made = desk.world.output.refs();
    let that = "orders/dev/that";
    let moved = with("movedFrom: orders/dev/it");
    desk.repo().push("mallory", "main", [drop_request(ID), ask(that, moved)]);
    let (old, new) = (direct(&desk, ID), direct(&desk, that));
    assert_ne!(old, new, "how the one went, and how the other came");
    desk.again_nothing();
    desk.world.vend_ends(0, &["approve", &new]);
    desk.again_nothing();
    assert_eq!(direct(&desk, ID), old);
    desk.world.vend_ends(0, &["approve", &old]);
    desk.ready(that);
    gone(&desk, ID);
    assert_eq!(desk.world.output.refs(), made);
    desk.again_nothing();
}

#[test]
fn b95_a_yes_is_of_what_changes_no_step_as_well() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, ID);
    let swap = |more: &str| request_with("pair@1.0.0", "{text: b}", more);
    let n = desk.propose("ada", "swap", [ask(ID, swap("protect: true"))]);
    desk.check(&desk.repo().at("swap"), "vend/approval", "action_required");
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&desk.repo().at("swap"), "vend/approval", "success");
    let head = desk.repo().push("ada", "swap", [ask(ID, swap("ttl: 30d"))]);
    desk.check(&head, "vend/approval", "action_required");
    desk.says(
        n,
        &["**Missing**", "now:       set orders/dev/it: not protected, it ends after 30d"],
    );
    desk.again_nothing();
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, ID);
}

#[test]
fn a_pull_request_that_takes_protection_off_says_so() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    bring(&desk, "kept", &with("protect: true"), &["1 to create"]);
    bring(&desk, "open", &note("a"), &["**Protection**", "would be no more"]);
    desk.again_nothing();
}

#[test]
fn b96_who_changed_it_by_the_catalog_does_not_approve_that() {
    let mut desk = Desk::new();
    let catalog = desk.hub.create("acme/catalog");
    catalog.permit("grace", "maintain");
    catalog.push("grace", "main", catalog::files(&desk.world.output.url()));
    let url = catalog.url();
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    for who in ["mallory", "barbara"] {
        desk.repo().permit(who, "write");
        desk.hub.repo("acme/catalog").permit(who, "write");
    }
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask(ID, request("note@^1.0.0", "{text: b}"))]);
    desk.says(n, &["1 to create"]);
    // While nobody looks: the template is another one, and the change is merged.
    daemon.kill();
    let catalog = desk.hub.repo("acme/catalog");
    catalog.push_branch("mallory", "newer", "main", newer());
    let brought = catalog.open_pull("mallory", "newer", "main", "A newer one");
    catalog.merge("barbara", brought);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let body = desk.says(n, &["/vend approve ", "than was reviewed"]);
    let line = format!("/vend approve {}", super::approval::to_approve(&body));
    for (who, with) in [("mallory", "-1"), ("barbara", "+1")] {
        let said = desk.repo().comment(who, n, &line);
        desk.reacted(n, said, with);
    }
    desk.says(n, &["brought to the catalog", "Done"]);
    desk.ready(ID);
    desk.again_nothing();
}

#[test]
fn b96_an_author_who_took_another_name_does_not_approve() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, ID);
    let n = desk.propose("ada", "swap", [ask(ID, super::approval::swap("b"))]);
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.hub.rename("ada", "eve");
    desk.repo().permit("eve", "write");
    desk.repo().review("eve", n, Verdict::Approve);
    desk.again_nothing();
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().merge("eve", n);
    let body = desk.says(n, &["/vend approve "]);
    let line = format!("/vend approve {}", super::approval::to_approve(&body));
    let said = desk.repo().comment("eve", n, &line);
    desk.reacted(n, said, "-1");
    let said = desk.repo().comment("grace", n, &line);
    desk.reacted(n, said, "+1");
    desk.says(n, &["Done"]);
    desk.ready(ID);
    desk.again_nothing();
}
