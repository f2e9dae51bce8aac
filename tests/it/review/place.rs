//! Where something is made is part of what is reviewed.

use super::Desk;
use super::approval::approve;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{Edit, ask, note, write};

/// The environment `dev`, that makes things on a branch of the output.
fn on_branch(desk: &Desk, branch: &str) -> Edit {
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let at = format!("{{repository: {}, branch: {branch}}}", desk.world.output.url());
    let text = format!(
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: dev}}\nspec:\n  providers:\n    files: {at}\n{rules}"
    );
    write("environments/dev.yaml", text)
}

fn desk() -> Desk {
    let desk = Desk::new();
    desk.world.catalog.commit([on_branch(&desk, "main")]);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    desk
}

fn made_on(desk: &Desk, branch: &str) -> Option<String> {
    desk.world.output.read(branch, "dev/orders/it/note/note.yaml")
}

#[test]
fn b95_another_place_is_another_plan() {
    let desk = desk();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("a"))]);
    let head = desk.repo().at("it");
    desk.says(n, &["1 to create", "Made in branch `main` of "]);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.world.catalog.commit([on_branch(&desk, "other")]);
    desk.says(n, &["**Missing**", "Made in branch `other` of "]);
    desk.check(&head, "vend/approval", "action_required");
    desk.again_nothing();
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    assert_eq!(made_on(&desk, "main"), None);
    assert!(made_on(&desk, "other").is_some());
    desk.again_nothing();
}

#[test]
fn b100_a_place_that_moved_between_review_and_merge_holds_what_would_be_made_there() {
    let desk = desk();
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("a"))]);
    let head = desk.repo().at("it");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.again_nothing();
    daemon.kill();
    desk.world.catalog.commit([on_branch(&desk, "other")]);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let differs = ["- create orders/dev/it#note in ", "+ create orders/dev/it#note in "];
    let body = desk.says(n, &["more would happen than was reviewed", differs[0], differs[1]]);
    eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/it")?;
        (status["conditions"][0]["reason"] == "PlanChanged").then_some(())
    });
    desk.again_nothing();
    assert_eq!(made_on(&desk, "main").or_else(|| made_on(&desk, "other")), None);
    approve(&desk, "edsger", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    assert!(made_on(&desk, "other").is_some());
    desk.again_nothing();
}
