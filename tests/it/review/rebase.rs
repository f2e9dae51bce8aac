//! Pull requests that come to the branch as commits of their own, of which the forge may name only the last.

use super::Desk;
use super::approval::settled;
use crate::daemon::eventually;
use crate::github::{Fault, Method};
use crate::world::{ask, note};

/// Which pull requests a commit came with.
const BROUGHT: &str = "/repos/acme/requests/commits/*/pulls";

/// A pull request of two commits, with a request each.
#[track_caller]
fn two(desk: &Desk) -> u64 {
    let n = desk.propose("ada", "two", [ask("orders/dev/one", note("one"))]);
    desk.repo().push("ada", "two", [ask("orders/dev/two", note("two"))]);
    n
}

#[track_caller]
fn both_are_ready(desk: &Desk) {
    for id in ["orders/dev/one", "orders/dev/two"] {
        desk.ready(id);
    }
}

#[test]
fn the_commits_of_a_rebase_are_known_for_what_they_were_while_the_forge_lags() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = two(&desk);
    desk.says(n, &["2 to create"]);
    desk.hub.fault("GET", BROUGHT, None, Fault::Empty);
    desk.repo().merge_by("grace", n, Method::Rebase);
    desk.says(n, &["Done"]);
    both_are_ready(&desk);
    desk.again_nothing();
}

#[test]
fn what_was_taken_for_pushed_directly_is_asked_about_again() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    daemon.kill();
    let n = two(&desk);
    desk.repo().merge_by("grace", n, Method::Rebase);
    desk.hub.fault("GET", BROUGHT, None, Fault::Empty);
    let _daemon = desk.serve();
    eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/one")?;
        status["waitingFor"].as_str()?.contains("without a pull request").then_some(())
    });
    desk.hub.mend();
    // It came with a pull request, of which nobody was shown anything before it was merged.
    let unseen = |id: &str| {
        eventually("it is held as merged unseen", || {
            let status = desk.world.status_or_none(id)?;
            let said = status["waitingFor"].as_str()?.to_owned();
            said.contains("before anybody was shown").then_some(said)
        })
    };
    let both = ["orders/dev/one", "orders/dev/two"].map(unseen);
    both.iter().for_each(|said| desk.world.approve(said));
    both_are_ready(&desk);
    desk.says(n, &["Done"]);
    desk.again_nothing();
}

#[test]
fn of_a_rebase_that_was_merged_unseen_all_is_told() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    daemon.kill();
    let n = two(&desk);
    desk.repo().merge_by("grace", n, Method::Rebase);
    let _daemon = desk.serve();
    let body = desk.says(n, &["orders/dev/one", "orders/dev/two", "/vend approve "]);
    super::approval::approve(&desk, "grace", n, &body);
    desk.says(n, &["Done", "orders/dev/one", "orders/dev/two"]);
    both_are_ready(&desk);
    desk.again_nothing();
}

#[test]
fn what_was_reviewed_stays_so_until_the_forge_says_that_it_was_merged() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n = desk.propose("ada", "change", [ask("orders/dev/it", note("b"))]);
    desk.says(n, &["1 to update"]);
    desk.repo().land("grace", n);
    eventually("the branch was read", || {
        let status = desk.world.status_or_none("orders/dev/it")?;
        (status["phase"] != "Ready").then_some(())
    });
    desk.again_nothing();
    let body = desk.comment(n).unwrap().body;
    assert!(body.contains("1 to update"), "{body}");
    desk.repo().call_merged("grace", n);
    let body = desk.says(n, &["Done", "orders/dev/it"]);
    assert!(!body.contains("than was reviewed"), "{body}");
    desk.ready("orders/dev/it");
    desk.again_nothing();
}
