//! One merge that different people are asked for.

use super::Desk;
use super::approval::{approve, newer, to_approve};
use crate::daemon::eventually;
use crate::world::{Edit, ask, catalog, request};

const A: &str = "orders/dev/a";
const B: &str = "orders/dev/b";

/// A desk with somebody of a team, who may not write.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "read");
    desk
}

/// The environment, with a rule that asks the team for what says this.
fn asked_of_team(desk: &Desk, text: &str) -> Edit {
    let rules =
        format!("  approvals:\n    - {{when: \"parameters.text == '{text}'\", teams: [platform]}}\n");
    catalog::environment("dev", &desk.world.output.url(), &rules)
}

fn asks(id: &str, version: &str, text: &str) -> Edit {
    ask(id, request(&format!("note@{version}"), &format!("{{text: {text}}}")))
}

#[track_caller]
fn held(desk: &Desk, id: &str) {
    eventually(&format!("{id} is held"), || {
        let status = desk.world.status_or_none(id)?;
        (status["conditions"][0]["reason"] == "PlanChanged").then_some(())
    });
}

#[test]
fn f29_what_is_as_it_was_reviewed_waits_for_nobody_whom_the_rest_is_asked_of() {
    let desk = desk();
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "both", [asks(A, "^1.0.0", "a"), asks(B, "1.0.0", "b")]);
    desk.says(n, &["2 to create"]);
    desk.again_nothing();
    // While nobody looks, one of them comes to something else, and a rule has come for it.
    daemon.kill();
    let edits = newer().into_iter().chain([asked_of_team(&desk, "a")]);
    desk.world.catalog.commit(edits);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let body = desk.says(n, &["somebody of `platform` must", "create orders/dev/a"]);
    assert_eq!(body.matches("/vend approve ").count(), 1, "{body}");
    desk.ready(B);
    desk.again_nothing();
    held(&desk, A);
    approve(&desk, "edsger", n, &body);
    desk.says(n, &["Done"]);
    desk.ready(A);
    desk.again_nothing();
}
