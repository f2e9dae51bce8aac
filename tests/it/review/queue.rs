//! Merge queues.

use super::Desk;
use super::approval::{settled, swap};
use super::said::busy;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, note};

#[test]
fn the_checks_of_a_group_stand_on_its_own_commit() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let one = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let other = desk.propose("ada", "other", [ask("orders/dev/it", swap("b"))]);
    desk.says(one, &["1 to create"]);
    desk.says(other, &["**Missing**"]);
    let group = desk.repo().enqueue("grace", &[one, other]);
    desk.check(&group.head, "vend", "success");
    desk.check(&group.head, "vend/approval", "action_required");
    desk.repo().review("grace", other, Verdict::Approve);
    desk.check(&group.head, "vend/approval", "success");
    desk.again_nothing();
    desk.repo().merge_group("grace", &group);
    desk.says(one, &["Done"]);
    desk.says(other, &["Done"]);
    desk.ready("orders/dev/one");
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn a_group_is_not_kept_waiting_by_a_branch_on_which_something_lands_all_the_time() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let talked = desk.propose("ada", "talked", [ask("orders/dev/talked", note("talked"))]);
    let one = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(talked, &["1 to create"]);
    desk.says(one, &["1 to create"]);
    desk.again_nothing();
    desk.hub.forget();
    let reviews = format!("/repos/acme/requests/pulls/{talked}/reviews");
    busy(&desk, talked, || {
        eventually("turn after turn is slow", || {
            (desk.hub.calls("GET", &reviews).len() >= 3).then_some(())
        });
        let group = desk.repo().enqueue("grace", &[one]);
        desk.check(&group.head, "vend", "success");
    });
    desk.again_nothing();
    desk.lands(one, "orders/dev/one");
}
