//! One merge that different people are asked for.

use super::Desk;
use super::approval::{approve, newer, to_approve};
use crate::daemon::{Serving, eventually};
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
    let rules = format!(
        "  approvals:\n    - {{when: \"parameters.text == '{text}'\", teams: [platform]}}\n"
    );
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

/// A template that is published now.
fn late() -> Vec<Edit> {
    let schema =
        r#"{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}"#;
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let source = "text: {{parameters.text}}\n";
    catalog::template(
        "late",
        "1.0.0",
        components,
        "{path: {from: note.path}}",
        schema,
        &[("note.yaml.hbs", source)],
    )
}

/// One of the merge has moved, and was told; the version of the other comes only later.
fn comes_later(desk: &Desk, daemon: &mut Serving, rules: Option<Edit>) -> u64 {
    let other = ask(B, request("late@1.0.0", "{text: b}"));
    let n = desk.propose("ada", "both", [asks(A, "^1.0.0", "a"), other]);
    desk.says(n, &["1 to create", "late"]);
    desk.again_nothing();
    daemon.kill();
    desk.world.catalog.commit(newer().into_iter().chain(rules));
    desk.repo().merge("grace", n);
    *daemon = desk.serve();
    desk.says(n, &["create orders/dev/a", "/vend approve "]);
    held(desk, A);
    desk.again_nothing();
    desk.world.catalog.commit(late());
    n
}

#[test]
fn f29_what_of_a_merge_can_be_read_only_later_hides_nothing_that_is_still_asked_for() {
    let desk = desk();
    let mut daemon = desk.serve();
    let n = comes_later(&desk, &mut daemon, None);
    let body = desk.says(n, &["create orders/dev/b", "/vend approve "]);
    assert!(body.contains("create orders/dev/a"), "{body}");
    desk.again_nothing();
    let body = desk.says(n, &["create orders/dev/a", "create orders/dev/b"]);
    assert_eq!(body.matches("/vend approve ").count(), 1, "{body}");
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready(A);
    desk.ready(B);
    desk.again_nothing();
}

#[test]
fn f29_what_other_people_are_asked_for_stays_when_what_came_later_is_approved() {
    let desk = desk();
    let mut daemon = desk.serve();
    let rule = asked_of_team(&desk, "a");
    let n = comes_later(&desk, &mut daemon, Some(rule));
    let (of_rule, of_none) = ("somebody of `platform` must", "somebody who may write here must");
    let body = desk.says(n, &[of_rule, of_none]);
    desk.again_nothing();
    let line = |id: &str| {
        let (_, rest) = body.split_once(&format!("meant for `{id}`")).expect(id);
        format!("/vend approve {}", to_approve(rest))
    };
    let (a, b) = (line(A), line(B));
    let said = desk.repo().comment("grace", n, &b);
    desk.reacted(n, said, "+1");
    desk.ready(B);
    let body = desk.saysnot(n, of_none);
    // It is quoted where it was asked, and not there to be pasted any more.
    let is_open = |line: &str| body.contains(&format!("```text\n{line}"));
    assert!(is_open(&a) && !is_open(&b), "{body}");
    assert!(!body.contains("nothing of it is done"), "{body}");
    desk.again_nothing();
    let said = desk.repo().comment("edsger", n, &a);
    desk.reacted(n, said, "+1");
    desk.says(n, &["Done"]);
    desk.ready(A);
    desk.again_nothing();
}
