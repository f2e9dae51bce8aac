//! A yes is of one thing, and is used up with it.

use super::Desk;
use super::approval::settled;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, catalog, drop_request, note, to_approve};

/// Waits until a request is held as pushed directly; the digest that lets it through.
#[track_caller]
pub fn direct(desk: &Desk, id: &str) -> String {
    let held = eventually(&format!("{id} is held as pushed directly"), || {
        let status = desk.world.status_or_none(id)?;
        let said = status["waitingFor"].as_str()?.to_owned();
        said.contains("without a pull request").then_some(said)
    });
    to_approve(&held)
}

#[track_caller]
pub fn gone(desk: &Desk, id: &str) {
    eventually(&format!("{id} is gone"), || desk.world.status_or_none(id).is_none().then_some(()));
}

/// What is made of `id`, a `note`.
fn made(desk: &Desk, name: &str) -> Option<String> {
    desk.world.output_file(&format!("dev/orders/{name}/note/note.yaml"))
}

#[track_caller]
fn bring(desk: &Desk, branch: &str, id: &str, text: &str) {
    let n = desk.propose("ada", branch, [ask(id, note(text))]);
    desk.says(n, &[id]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(id);
}

#[test]
fn b97_a_deletion_that_was_let_through_asks_again_when_it_comes_again() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    desk.repo().push("ada", "main", [drop_request("orders/dev/it")]);
    let first = direct(&desk, "orders/dev/it");
    desk.world.vend_ends(0, &["approve", &first]);
    gone(&desk, "orders/dev/it");
    bring(&desk, "again", "orders/dev/it", "b");
    daemon.kill();
    let _daemon = desk.serve();
    desk.repo().push("ada", "main", [drop_request("orders/dev/it")]);
    let second = direct(&desk, "orders/dev/it");
    assert_ne!(first, second);
    // What was typed once is not a word to this one.
    desk.world.vend_ends(0, &["approve", &first]);
    desk.again_nothing();
    assert_eq!(direct(&desk, "orders/dev/it"), second);
    assert_eq!(made(&desk, "it").as_deref(), Some("text: b\n"));
    desk.world.vend_ends(0, &["approve", &second]);
    gone(&desk, "orders/dev/it");
    desk.again_nothing();
}

#[test]
fn b97_a_content_that_was_let_through_asks_again_when_it_comes_again() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    desk.repo().push("ada", "main", [ask("orders/dev/it", note("b"))]);
    let first = direct(&desk, "orders/dev/it");
    desk.world.vend_ends(0, &["approve", &first]);
    eventually("it is applied", || {
        (made(&desk, "it").as_deref() == Some("text: b\n")).then_some(())
    });
    bring(&desk, "other", "orders/dev/it", "c");
    desk.repo().push("ada", "main", [ask("orders/dev/it", note("b"))]);
    let second = direct(&desk, "orders/dev/it");
    assert_ne!(first, second);
    assert_eq!(made(&desk, "it").as_deref(), Some("text: c\n"));
    // A pull request that says the same is reviewed, and is as good as any other.
    let n =
        desk.propose("ada", "words", [ask("orders/dev/it", format!("# Words.\n{}", note("b")))]);
    desk.says(n, &["orders/dev/it"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

/// Eight requests that stood there before.
fn eight(desk: &Desk) {
    let edits: Vec<_> = (0..8).map(|n| ask(&format!("orders/dev/r{n}"), note("a"))).collect();
    desk.repo().push("grace", "main", edits);
}

#[test]
fn b96_an_author_does_not_approve_their_own_part_of_a_set_in_somebody_elses_pull_request() {
    let desk = Desk::new();
    eight(&desk);
    desk.repo().permit("bob", "write");
    let _daemon = desk.serve();
    for n in 0..8 {
        desk.ready(&format!("orders/dev/r{n}"));
    }
    let four = (0..4).map(|n| drop_request(&format!("orders/dev/r{n}")));
    let of_ada = desk.propose("ada", "four", four);
    desk.says(of_ada, &["**Deletes**"]);
    desk.repo().merge("grace", of_ada);
    desk.says(of_ada, &["/vend approve "]);
    let of_bob = desk.propose("bob", "one", [drop_request("orders/dev/r4")]);
    desk.says(of_bob, &["**Deletes**"]);
    desk.repo().merge("grace", of_bob);
    let body = desk.says(of_bob, &["5 of 8", "/vend approve "]);
    // Each names the other's part of what one yes is for.
    assert!(body.contains("The same yes is for `orders/dev/r0`, `orders/dev/r1`"), "{body}");
    let theirs = format!("[#{of_ada}]({}/acme/requests/pull/{of_ada}) by `ada`", desk.hub.url());
    assert!(body.contains(&theirs), "{body}");
    desk.says(of_ada, &["5 of 8", "The same yes is for `orders/dev/r4`", "by `bob`"]);
    let line = format!("/vend approve {}", super::approval::to_approve(&body));
    for (who, n) in [("ada", of_ada), ("ada", of_bob), ("bob", of_bob)] {
        let said = desk.repo().comment(who, n, &line);
        desk.reacted(n, said, "-1");
    }
    desk.says(of_bob, &["whoever opened a pull request", "`orders/dev/r0`"]);
    desk.again_nothing();
    assert!((0..8).all(|n| made(&desk, &format!("r{n}")).is_some()));
    let said = desk.repo().comment("grace", of_bob, &line);
    desk.reacted(of_bob, said, "+1");
    // Who said yes in a pull request with one of them reads what all of it was.
    desk.says(of_bob, &["for 5 requests", "`orders/dev/r0`", "`orders/dev/r4`"]);
    for n in 0..5 {
        gone(&desk, &format!("orders/dev/r{n}"));
    }
    assert!((5..8).all(|n| made(&desk, &format!("r{n}")).is_some()));
    desk.again_nothing();
}

#[test]
fn b96_who_has_left_the_team_before_the_merge_does_not_count() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let output = desk.world.output.url();
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &["edsger", "barbara"]);
    for who in ["edsger", "barbara"] {
        desk.repo().permit(who, "write");
    }
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    // Nobody tells of that.
    desk.hub.team("acme", "platform", &["barbara"]);
    desk.repo().merge("grace", n);
    let body = desk.says(n, &["/vend approve ", "`platform`"]);
    desk.again_nothing();
    assert_eq!(made(&desk, "one"), None);
    let line = format!("/vend approve {}", super::approval::to_approve(&body));
    for (who, with) in [("edsger", "-1"), ("barbara", "+1")] {
        let said = desk.repo().comment(who, n, &line);
        desk.reacted(n, said, with);
    }
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn b96_an_open_one_is_approved_no_more_once_its_approver_has_left_the_team() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let output = desk.world.output.url();
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &["edsger", "barbara"]);
    for who in ["edsger", "barbara"] {
        desk.repo().permit(who, "write");
    }
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.again_nothing();
    // Nobody tells of that, and nobody touches the pull request.
    desk.hub.team("acme", "platform", &["barbara"]);
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Missing**"]);
    desk.again_nothing();
    // Back in the team, their word counts again.
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.check(&head, "vend/approval", "success");
    desk.says(n, &["**Given** by `edsger`"]);
    desk.again_nothing();
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn b96_who_may_not_write_any_more_at_the_merge_does_not_count() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n = desk.propose("ada", "swap", [ask("orders/dev/it", super::approval::swap("b"))]);
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().permit("heidi", "write");
    desk.repo().review("heidi", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.repo().permit("heidi", "read");
    desk.repo().merge("grace", n);
    let body = desk.says(n, &["/vend approve "]);
    desk.again_nothing();
    assert_eq!(made(&desk, "it").as_deref(), Some("text: a\n"));
    super::approval::approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}
