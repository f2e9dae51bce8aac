//! What comes to be said otherwise after it was reviewed, and what is let through and cannot go on.

use serde_json::json;

use super::Desk;
use super::again::gone;
use super::approval::{approve, to_approve};
use crate::daemon::{Serving, eventually};
use crate::world::{Edit, ask, catalog, drop_request, path_of, request, request_with};

const ID: &str = "orders/dev/it";

/// A version of a template that makes the same of the same text as every other one, with further lines.
fn same(version: &str, more: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "zone": {"type": "string", "x-change": "immutable"}}}"#;
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let outputs = format!("{{path: {{from: note.path}}}}{more}");
    let source = "text: {{parameters.text}}\n";
    catalog::template("same", version, components, &outputs, schema, &[("note.yaml.hbs", source)])
}

/// A request for such a version, with further lines.
fn asks(id: &str, parameters: &str, more: &str) -> Edit {
    ask(id, request_with("same@^1.0.0", parameters, more))
}

/// A desk with a version of that template, of which all that is made ends after a week.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.world.catalog.commit(same("1.0.0", "\n  ttl: {default: 7d}"));
    desk
}

#[track_caller]
fn bring(desk: &Desk, more: &str) {
    let n = desk.propose("ada", "bring", [asks(ID, "{text: a, zone: a}", more)]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
}

#[track_caller]
fn held(desk: &Desk, id: &str, reason: &str) {
    eventually(&format!("{id} is held: {reason}"), || {
        let status = desk.world.status_or_none(id)?;
        (status["conditions"][0]["reason"] == reason).then_some(())
    });
}

/// It goes with its file, and then there is nothing more.
fn goes(desk: &Desk) {
    let n = desk.propose("ada", "gone", [drop_request(ID)]);
    desk.says(n, &["**Deletes**"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    gone(desk, ID);
    desk.again_nothing();
}

#[test]
fn b97_an_end_that_came_after_the_review_ends_nothing_before_somebody_has_seen_it() {
    let mut desk = desk();
    desk.world.configure(|c| c["expiry"] = json!({"remove": "commit", "warn": []}));
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    let rules = "  approvals:\n    - {when: \"plan.updates > 0\", teams: [platform]}\n";
    desk.world.catalog.commit([catalog::environment("dev", &desk.world.output.url(), rules)]);
    let _daemon = desk.serve();
    bring(&desk, "");
    // Merged past the check, it waits for a yes; and meanwhile a version comes of which nothing lives that long.
    let n = desk.propose("ada", "change", [asks(ID, "{text: b, zone: a}", "")]);
    desk.says(n, &["1 to update"]);
    desk.repo().merge("grace", n);
    held(&desk, ID, "NeedsApproval");
    desk.again_nothing();
    desk.world.catalog.commit(same("1.2.0", "\n  ttl: {default: 1s, max: 1s}"));
    held(&desk, ID, "PlanChanged");
    let body = desk.says(n, &["version same@1.2.0", "/vend approve "]);
    desk.again_nothing();
    let file = || desk.world.requests.read("main", &path_of(ID));
    assert!(file().is_some(), "it stays where it is");
    approve(&desk, "edsger", n, &body);
    eventually("its file goes", || file().is_none().then_some(()));
    gone(&desk, ID);
    desk.again_nothing();
}

#[test]
fn b97_a_record_keeps_its_name_until_somebody_has_seen_what_takes_it_over() {
    let desk = desk();
    let mut daemon = desk.serve();
    bring(&desk, "");
    let (that, made) = ("orders/dev/that", desk.world.output.refs());
    let moved = asks(that, "{text: a, zone: a}", &format!("movedFrom: {ID}"));
    let n = desk.propose("ada", "move", [drop_request(ID), moved]);
    desk.says(n, &["move"]);
    desk.again_nothing();
    // It is let through, and ended before its record has the new name.
    daemon.kill();
    desk.repo().merge("grace", n);
    let mut command = desk.world.command(&["serve", "--log", "json"]);
    command.env("VEND_FAULT", "pass.move.before=kill");
    assert_eq!(Serving::spawn(command).ended(), None);
    desk.world.catalog.commit(same("1.2.0", "\n  ttl: {default: 14d}"));
    let _daemon = desk.serve();
    held(&desk, that, "PlanChanged");
    let body = desk.says(n, &["version same@1.2.0", "/vend approve "]);
    desk.again_nothing();
    assert!(desk.world.status(that)["lastApply"].is_null(), "it has no record yet");
    approve(&desk, "grace", n, &body);
    desk.ready(that);
    gone(&desk, ID);
    assert!(desk.world.status(that)["lastApply"].is_object());
    assert_eq!(desk.world.output.refs(), made);
    desk.again_nothing();
}

#[test]
fn b97_a_tombstone_that_was_let_through_counts_although_something_else_holds_its_request() {
    let desk = desk();
    let mut daemon = desk.serve();
    bring(&desk, "protect: true");
    daemon.kill();
    let tomb = asks(ID, "{text: a, zone: b}", "protect: true\ndelete: {confirm: it}");
    let n = desk.propose("ada", "tomb", [tomb]);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    held(&desk, ID, "PlanChanged");
    let body = desk.says(n, &["/vend approve "]);
    approve(&desk, "grace", n, &body);
    held(&desk, ID, "ForbiddenChange");
    desk.again_nothing();
    goes(&desk);
}

#[test]
fn b97_a_tombstone_that_was_let_through_counts_although_its_request_is_suspended() {
    let desk = desk();
    let _daemon = desk.serve();
    bring(&desk, "protect: true");
    let made = desk.world.output.refs();
    // It asks for something else as well, and for all of it to be left alone.
    let tomb = "protect: true\nsuspend: true\ndelete: {confirm: it}";
    let n = desk.propose("ada", "tomb", [asks(ID, "{text: b, zone: a}", tomb)]);
    desk.says(n, &["permits its deletion"]);
    desk.repo().merge("grace", n);
    held(&desk, ID, "Suspended");
    desk.again_nothing();
    assert_eq!(desk.world.output.refs(), made, "nothing is done to it");
    goes(&desk);
}

#[test]
fn b97_a_tombstone_that_was_let_through_counts_once_the_recorded_end_is_over() {
    let mut desk = desk();
    desk.world.configure(|c| c["expiry"] = json!({"remove": "commit", "warn": []}));
    let _daemon = desk.serve();
    let short = "protect: true\nttl: 1s";
    let n = desk.propose("ada", "short", [asks(ID, "{text: a, zone: a}", short)]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    held(&desk, ID, "Expired");
    desk.again_nothing();
    let tomb = asks(ID, "{text: a, zone: a}", &format!("{short}\ndelete: {{confirm: it}}"));
    let n = desk.propose("ada", "tomb", [tomb]);
    desk.says(n, &["permits its deletion"]);
    desk.again_nothing();
    desk.repo().merge("grace", n);
    let file = || desk.world.requests.read("main", &path_of(ID));
    eventually("its file goes", || file().is_none().then_some(()));
    gone(&desk, ID);
    desk.again_nothing();
}

#[test]
fn what_its_template_forbids_is_not_recorded_of_one_that_is_left_alone() {
    let desk = desk();
    let _daemon = desk.serve();
    bring(&desk, "");
    let zone = || desk.world.status(ID)["parameters"]["zone"].clone();
    let n = desk.propose("ada", "zone", [asks(ID, "{text: a, zone: b}", "suspend: true")]);
    desk.says(n, &["the template forbids this change: `zone`"]);
    desk.repo().merge("grace", n);
    held(&desk, ID, "ForbiddenChange");
    desk.again_nothing();
    assert_eq!(zone(), "a");
    let n = desk.propose("ada", "back", [asks(ID, "{text: a, zone: a}", "suspend: true")]);
    desk.says(n, &["Nothing to do"]);
    desk.repo().merge("grace", n);
    eventually("it is held no more", || {
        (desk.world.standing(ID).1 != "ForbiddenChange").then_some(())
    });
    desk.again_nothing();
    assert_eq!(zone(), "a");
}

/// Where a team is asked for an older version that takes over, by a rule that came while nobody looked, one yes of
/// theirs is all that it takes.
#[track_caller]
fn is_asked_once(desk: &Desk, newer: &str, older: &str) {
    desk.hub.team("acme", "platform", &["edsger"]);
    // Of the team, and without a right to write.
    desk.repo().permit("edsger", "read");
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask(ID, request(newer, "{text: a}"))]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    desk.again_nothing();
    daemon.kill();
    let rule = "  approvals:\n    - {when: \"template.version == '1.0.0'\", teams: [platform]}\n";
    desk.world.catalog.commit([catalog::environment("dev", &desk.world.output.url(), rule)]);
    let n = desk.propose("ada", "older", [ask(ID, request(older, "{text: a}"))]);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let body = desk.says(n, &["/vend approve ", "somebody of `platform` must approve it"]);
    let line = format!("/vend approve {}", to_approve(&body));
    let of_maintainer = desk.repo().comment("grace", n, &line);
    desk.reacted(n, of_maintainer, "-1");
    desk.again_nothing();
    approve(desk, "edsger", n, &body);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    assert_eq!(desk.world.status(ID)["template"]["version"], "1.0.0");
    desk.again_nothing();
}

#[test]
fn f29_a_rule_is_asked_once_of_an_older_version() {
    is_asked_once(&Desk::new(), "note@1.1.0", "note@1.0.0");
}

#[test]
fn f29_a_rule_is_asked_once_of_an_older_version_that_changes_no_step() {
    let desk = desk();
    desk.world.catalog.commit(same("1.2.0", "\n  ttl: {default: 7d}"));
    is_asked_once(&desk, "same@1.2.0", "same@1.0.0");
}
