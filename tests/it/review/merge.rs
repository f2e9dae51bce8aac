//! Between the merge and the end: what may move, break off or be shut meanwhile.

use super::Desk;
use super::approval::{approve, newer, settled, to_approve};
use crate::daemon::eventually;
use crate::github::{Fault, Verdict};
use crate::world::{ask, catalog, drop_request, note, request};

/// Everything that says something.
const SAYING: [(&str, &str); 5] = [
    ("POST", "/repos/*/*/check-runs"),
    ("PATCH", "/repos/*/*/check-runs/*"),
    ("POST", "/repos/*/*/issues/*/comments"),
    ("PATCH", "/repos/*/*/issues/comments/*"),
    ("POST", "/repos/*/*/issues/comments/*/reactions"),
];

fn shut(desk: &Desk, fault: &Fault) {
    for (method, path) in SAYING {
        desk.hub.fault(method, path, None, fault.clone());
    }
}

/// Calls that would have said something.
fn tried(desk: &Desk) -> usize {
    SAYING.iter().map(|(method, path)| desk.hub.calls(method, path).len()).sum()
}

fn reason(desk: &Desk, id: &str, reason: &str) {
    eventually(&format!("{id} is held: {reason}"), || {
        let status = desk.world.status_or_none(id)?;
        (status["conditions"][0]["reason"] == reason).then_some(())
    });
}

#[test]
fn what_moves_after_it_was_let_through_is_held_with_both_plans_shown() {
    let desk = Desk::new();
    let output = desk.world.output.url();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    let _daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask("orders/dev/it", request("note@^1.0.0", "{text: b}"))]);
    desk.says(n, &["1 to create", "platform"]);
    desk.repo().merge("grace", n);
    // It was let through, and waits for the team.
    reason(&desk, "orders/dev/it", "NeedsApproval");
    desk.again_nothing();
    // Nobody has to say yes any more, and what was reviewed is not what the template makes now.
    let mut edits = newer();
    edits.push(catalog::environment("dev", &output, ""));
    desk.world.catalog.commit(edits);
    reason(&desk, "orders/dev/it", "PlanChanged");
    let differs = "~ create orders/dev/it#note (its content differs)";
    let body = desk.says(n, &["more would happen than was reviewed", "/vend approve ", differs]);
    for line in ["\n-text: b", "\n+changed: b", "against what was reviewed"] {
        assert!(body.contains(line), "{line}: {body}");
    }
    desk.again_nothing();
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn what_becomes_known_on_the_way_is_no_change() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let user = format!(
        "{}  references:\n    of: {{request: orders/dev/base, output: commit}}\n",
        request("reader@1.0.0", "{}")
    );
    let edits = [
        ask("orders/dev/base", note("base")),
        ask("orders/dev/uses", user),
        ask("orders/dev/pair", request("pair@1.0.0", "{text: own}")),
    ];
    let n = desk.propose("ada", "both", edits);
    desk.says(n, &["4 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    for id in ["orders/dev/base", "orders/dev/uses", "orders/dev/pair"] {
        desk.ready(id);
    }
    // Done as reviewed, it is not held against that for ever: a drift or a catalog may move it.
    desk.world.catalog.commit(catalog::note("1.2.0"));
    desk.again_nothing();
}

#[test]
fn a_yes_to_a_plan_that_nobody_could_see_yet_is_of_the_one_before() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let swap = request("pair@^1.0.0", "{text: b}");
    let n = desk.propose("ada", "swap", [ask("orders/dev/it", swap)]);
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Missing**", "**create** `top`"]);
    desk.again_nothing();
    // The same commit comes to something else now, and nobody can be told.
    let limit = Fault::SecondaryLimit(Some(1));
    shut(&desk, &limit);
    let before = tried(&desk);
    desk.world.catalog.commit(catalog::pair("1.1.0", false));
    eventually("it was planned anew", || (tried(&desk) > before).then_some(()));
    desk.repo().review("grace", n, Verdict::Approve);
    desk.hub.mend();
    desk.saysnot(n, "**create** `top`");
    desk.again_nothing();
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Missing**"]);
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
}

#[test]
fn b95_a_yes_while_the_plan_is_being_said_is_of_the_one_before() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n =
        desk.propose("ada", "swap", [ask("orders/dev/it", request("pair@^1.0.0", "{text: b}"))]);
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Missing**", "**create** `top`"]);
    desk.again_nothing();
    // The same commit comes to something else now, and to say so takes its time.
    let slow = Fault::Slow(std::time::Duration::from_secs(4));
    desk.hub.fault("PATCH", "/repos/*/*/check-runs/*", Some(1), slow);
    desk.hub.forget();
    desk.world.catalog.commit(catalog::pair("1.1.0", false));
    // What is to be edited was looked for, and the edit is on its way.
    eventually("it is about to be said", || {
        desk.hub.calls("GET", "/repos/*/*/commits/*/check-runs").last().map(|_| ())
    });
    desk.repo().review("grace", n, Verdict::Approve);
    assert!(desk.hub.calls("PATCH", "/repos/*/*/check-runs/*").is_empty(), "it is not said yet");
    desk.saysnot(n, "**create** `top`");
    desk.says(n, &["**Missing**", "`grace` said yes to another plan"]);
    desk.check(&head, "vend/approval", "action_required");
    desk.again_nothing();
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn a_limit_on_what_is_said_keeps_back_nothing_that_was_merged() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let one = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let other = desk.propose("ada", "other", [ask("orders/dev/other", note("other"))]);
    for n in [one, other] {
        desk.says(n, &["1 to create"]);
    }
    shut(&desk, &Fault::SecondaryLimit(Some(3_000)));
    for n in [one, other] {
        desk.repo().merge("grace", n);
    }
    for id in ["orders/dev/one", "orders/dev/other"] {
        desk.ready(id);
    }
}

#[test]
fn killed_after_the_merge_and_before_the_outcome_is_told_it_is_applied_and_told_once() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    // The merge is seen, and what is to be done is out of reach.
    let output = desk.world.output.path().to_owned();
    let away = output.with_extension("away");
    std::fs::rename(&output, &away).unwrap();
    desk.repo().merge("grace", n);
    desk.says(n, &["erged"]);
    daemon.kill();
    std::fs::rename(&away, &output).unwrap();
    // It is applied, and what came of it cannot be told.
    shut(&desk, &Fault::Status(502));
    let mut daemon = desk.serve();
    desk.ready("orders/dev/one");
    let before = tried(&desk);
    eventually("it was to be told", || (tried(&desk) > before).then_some(()));
    daemon.kill();
    desk.hub.mend();
    desk.hub.forget();
    let _daemon = desk.serve();
    desk.says(n, &["Done"]);
    desk.again_nothing();
    let edits = desk.hub.calls("PATCH", "/repos/*/*/issues/comments/*");
    let done = edits.iter().filter(|e| e.body.to_string().contains("Done"));
    assert_eq!(done.count(), 1, "told once: {edits:#?}");
    assert_eq!(desk.world.output_log().len(), 1, "applied once");
}

#[test]
fn a_closed_one_is_told_so_after_a_restart_too() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    shut(&desk, &Fault::Status(502));
    let before = tried(&desk);
    desk.repo().close("ada", n);
    eventually("it was to be told", || (tried(&desk) > before).then_some(()));
    daemon.kill();
    desk.hub.mend();
    let _daemon = desk.serve();
    desk.says(n, &["losed"]);
    desk.again_nothing();
}

#[test]
fn a_question_that_was_deleted_before_it_was_answered_is_obeyed_once() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create"]);
    let id = desk.comment(n).unwrap().id;
    let reactions = "/repos/*/*/issues/comments/*/reactions";
    desk.hub.fault("POST", reactions, None, Fault::Refused(404, "Not Found".into()));
    desk.repo().comment("grace", n, "/vend help");
    desk.says(n, &["/vend help", "grace"]);
    desk.repo().push("ada", "one", [ask("orders/dev/two", note("two"))]);
    desk.says(n, &["2 to create"]);
    desk.again_nothing();
    assert_eq!(desk.comment(n).unwrap().id, id);
    assert_eq!(desk.hub.calls("POST", reactions).len(), 1);
}

#[test]
fn what_was_pushed_directly_is_not_let_through_from_a_pull_request() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    desk.repo().push("ada", "main", [ask("orders/dev/direct", note("direct"))]);
    let said = eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/direct")?;
        let said = status["waitingFor"].as_str()?.to_owned();
        said.contains("without a pull request").then_some(said)
    });
    let n = desk.propose("grace", "drop", [drop_request("orders/dev/direct")]);
    desk.check(&desk.repo().at("drop"), "vend", "success");
    let line = format!("/vend approve {}", crate::world::to_approve(&said));
    let by_the_pusher = desk.repo().comment("ada", n, &line);
    desk.reacted(n, by_the_pusher, "-1");
    desk.again_nothing();
}

#[test]
fn two_of_a_team_are_asked_for_and_one_of_them_before_the_merge_counts_after_it() {
    let desk = Desk::new();
    let rules =
        "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform, security], count: 2}\n";
    let output = desk.world.output.url();
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.hub.team("acme", "security", &["barbara"]);
    for who in ["edsger", "barbara"] {
        desk.repo().permit(who, "write");
    }
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.says(n, &["platform", "security"]);
    desk.repo().review("edsger", n, Verdict::Approve);
    // One person twice is one person.
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.says(n, &["`edsger`"]);
    desk.check(&head, "vend/approval", "action_required");
    // Whoever merges may pass by a check; what it asks for is asked for all the same.
    desk.repo().merge("grace", n);
    reason(&desk, "orders/dev/one", "NeedsApproval");
    let body = desk.says(n, &["/vend approve "]);
    let line = format!("/vend approve {}", to_approve(&body));
    for (who, with) in [("grace", "-1"), ("ada", "-1"), ("barbara", "+1")] {
        let said = desk.repo().comment(who, n, &line);
        desk.reacted(n, said, with);
    }
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn a_group_of_a_queue_that_is_wrong_together_fails_and_each_alone_does_not() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let reads = |of: &str| {
        let text = request("reader@1.0.0", "{}");
        format!("{text}  references:\n    of: {{request: orders/dev/{of}, output: commit}}\n")
    };
    settled(&desk, "orders/dev/first");
    settled(&desk, "orders/dev/second");
    let one = desk.propose("ada", "one", [ask("orders/dev/first", reads("second"))]);
    let other = desk.propose("ada", "other", [ask("orders/dev/second", reads("first"))]);
    for branch in ["one", "other"] {
        desk.check(&desk.repo().at(branch), "vend", "success");
    }
    let group = desk.repo().enqueue("grace", &[one, other]);
    let run = desk.check(&group.head, "vend", "failure");
    let said = format!("{:?} {:?}", run.summary, run.text);
    assert!(said.contains("cycle"), "{said}");
    for branch in ["one", "other"] {
        desk.check(&desk.repo().at(branch), "vend", "success");
    }
    desk.repo().drop_group("grace", &group);
    desk.again_nothing();
}
