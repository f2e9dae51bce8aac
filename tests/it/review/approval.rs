//! Approvals, and what becomes of them when something changes.

use super::Desk;
use crate::daemon::eventually;
use crate::github::{Fault, Method, Verdict};
use crate::world::{Edit, ask, catalog, drop_request, note, request, write};

/// A change that takes a person: another template takes over what stands at `id`.
pub fn swap(text: &str) -> String {
    request("pair@1.0.0", &format!("{{text: {text}}}"))
}

/// Brings a request to the branch and waits until it is done.
pub fn settled(desk: &Desk, id: &str) {
    let branch = format!("settle-{}", id.replace('/', "-"));
    let n = desk.propose("ada", &branch, [ask(id, note("a"))]);
    desk.says(n, &["create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
}

/// A version of `note` that says it otherwise.
pub fn newer() -> Vec<Edit> {
    let schema =
        r#"{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}"#;
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let outputs = "{path: {from: note.path}, commit: {from: note.commit}}";
    let source = "changed: {{parameters.text}}\n";
    catalog::template("note", "1.9.0", components, outputs, schema, &[("note.yaml.hbs", source)])
}

#[test]
fn b95_an_approval_stays_while_the_plan_does_and_is_asked_for_again_when_it_changes() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n = desk.propose("ada", "swap", [ask("orders/dev/it", swap("b"))]);
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");

    // A comment in the file changes nothing that would be done.
    let same = format!("# Words.\n{}", swap("b"));
    let head = desk.repo().push("ada", "swap", [ask("orders/dev/it", same)]);
    desk.check(&head, "vend/approval", "success");
    desk.says(n, &["**Given** by"]);

    let head = desk.repo().push("ada", "swap", [ask("orders/dev/it", swap("c"))]);
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Missing**"]);

    // Somebody who only reads, and the author of the plan, do not count.
    desk.repo().permit("rita", "read");
    desk.repo().review("rita", n, Verdict::Approve);
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    let body = desk.says(n, &["**Given** by"]);
    assert!(body.contains("`grace`") && !body.contains("rita"), "{body}");

    // Another commit that says the same, by force.
    let head = desk.repo().force_push("ada", "swap", "main", [ask("orders/dev/it", swap("c"))]);
    desk.check(&head, "vend/approval", "success");

    // Taken back.
    desk.repo().review("grace", n, Verdict::RequestChanges);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, "orders/dev/it");
}

#[test]
fn what_is_approved_and_merged_after_it_was_looked_at_is_looked_at_before_it_is_let_through() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n = desk.propose("ada", "swap", [ask("orders/dev/it", swap("b"))]);
    desk.check(&desk.repo().at("swap"), "vend/approval", "action_required");
    desk.again_nothing();
    // A list that lags behind, and the pull request by itself is not to be had: nobody hears of the approval. Of
    // the commit it is told what it was merged with.
    desk.hub.fault("GET", "/repos/acme/requests/pulls", None, Fault::Empty);
    let own = format!("/repos/acme/requests/pulls/{n}");
    desk.hub.fault("GET", &own, None, Fault::Refused(403, "Not now".into()));
    desk.hub.forget();
    desk.repo().review("grace", n, Verdict::Approve);
    desk.repo().merge("grace", n);
    eventually("it is asked what the commit came with", || {
        desk.hub.calls("GET", "/repos/acme/requests/commits/*/pulls").last().map(|_| ())
    });
    desk.again_nothing();
    desk.hub.mend();
    let body = desk.says(n, &["Done"]);
    assert!(!body.contains("/vend approve "), "{body}");
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn a_push_by_force_forgets_what_the_branch_held() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["1 to create", "orders/dev/one"]);
    desk.repo().force_push("ada", "one", "main", [ask("orders/dev/other", note("other"))]);
    let body = desk.says(n, &["1 to create", "orders/dev/other"]);
    assert!(body.contains("orders/dev/one"), "what the push took away is said: {body}");
    desk.repo().merge_by("grace", n, Method::Squash);
    desk.says(n, &["Done"]);
    assert!(desk.world.status_or_none("orders/dev/one").is_none());
    desk.ready("orders/dev/other");
}

#[test]
fn what_was_closed_and_opened_again_is_followed_to_its_end() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["create"]);
    desk.repo().close("ada", n);
    desk.says(n, &["losed"]);
    desk.repo().reopen("ada", n);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.again_nothing();
}

#[test]
fn b100_f29_a_catalog_that_moved_before_the_merge_holds_what_was_not_reviewed() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    let n =
        desk.propose("ada", "change", [ask("orders/dev/it", request("note@^1.0.0", "{text: b}"))]);
    desk.says(n, &["1 to create"]);
    // While nobody looks: the template is another one, and the change is merged.
    daemon.kill();
    desk.world.catalog.commit(newer());
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let body = desk.says(n, &["/vend approve ", "create orders/dev/it#note"]);
    let digest = to_approve(&body);
    eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/it")?;
        (status["conditions"][0]["reason"] == "PlanChanged").then_some(())
    });
    desk.repo().permit("rita", "read");
    let line = format!("/vend approve {digest}");
    let of_author = desk.repo().comment("ada", n, &line);
    desk.reacted(n, of_author, "-1");
    let of_reader = desk.repo().comment("rita", n, &line);
    desk.reacted(n, of_reader, "-1");
    desk.again_nothing();
    let of_maintainer = desk.repo().comment("grace", n, &line);
    desk.reacted(n, of_maintainer, "+1");
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn f29_one_word_of_the_right_team_lets_go_what_has_changed_and_what_rules_ask_of_it() {
    let desk = Desk::new();
    desk.hub.team("acme", "platform", &["edsger"]);
    // Of the team, and without a right to write.
    desk.repo().permit("edsger", "read");
    let mut daemon = desk.serve();
    let n =
        desk.propose("ada", "change", [ask("orders/dev/it", request("note@^1.0.0", "{text: b}"))]);
    desk.says(n, &["1 to create"]);
    // While nobody looks: the template is another one, a rule has come, and the change is merged.
    daemon.kill();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let mut edits = newer();
    edits.push(catalog::environment("dev", &desk.world.output.url(), rules));
    desk.world.catalog.commit(edits);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let body = desk.says(n, &["/vend approve ", "somebody of `platform` must approve it"]);
    let line = format!("/vend approve {}", to_approve(&body));
    let of_maintainer = desk.repo().comment("grace", n, &line);
    desk.reacted(n, of_maintainer, "-1");
    desk.says(n, &["this takes somebody of platform"]);
    desk.again_nothing();
    let of_team = desk.repo().comment("edsger", n, &line);
    desk.reacted(n, of_team, "+1");
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    let status = desk.world.status("orders/dev/it");
    assert_eq!(status["lastApply"]["approvedBy"], serde_json::json!(["edsger"]), "{status}");
    desk.again_nothing();
}

#[test]
fn b96_whoever_one_rule_asks_for_approves_nothing_that_no_rule_gave_them() {
    let desk = Desk::new();
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "read");
    let mut daemon = desk.serve();
    let asks = |name: &str| {
        let text = request("note@^1.0.0", &format!("{{text: {name}}}"));
        ask(&format!("orders/dev/{name}"), text)
    };
    let n = desk.propose("ada", "both", [asks("a"), asks("b")]);
    desk.says(n, &["2 to create"]);
    // While nobody looks, both come to something else, and a rule has come for one of them.
    daemon.kill();
    let rules = "  approvals:\n    - {when: \"parameters.text == 'a'\", teams: [platform]}\n";
    let mut edits = newer();
    edits.push(catalog::environment("dev", &desk.world.output.url(), rules));
    desk.world.catalog.commit(edits);
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let (of_rule, of_none) = ("somebody of `platform` must", "somebody who may write here must");
    let body = desk.says(n, &[of_rule, of_none]);
    let line = |id: &str| {
        let (_, rest) = body.split_once(&format!("meant for `{id}`")).expect(id);
        format!("/vend approve {}", to_approve(rest))
    };
    let (a, b) = (line("orders/dev/a"), line("orders/dev/b"));
    assert_ne!(a, b);
    let says = |who: &str, line: &str, with: &str| {
        let said = desk.repo().comment(who, n, line);
        desk.reacted(n, said, with);
    };
    says("edsger", &b, "-1");
    desk.says(n, &["this takes somebody who may write to the repository"]);
    says("grace", &a, "-1");
    desk.says(n, &["this takes somebody of platform"]);
    desk.again_nothing();
    // Each goes on with its own people's yes, and none waits for the other.
    says("edsger", &a, "+1");
    desk.ready("orders/dev/a");
    desk.saysnot(n, of_rule);
    assert!(desk.says(n, &[of_none]).contains(&b), "what is still asked for stands there");
    desk.again_nothing();
    says("grace", &b, "+1");
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/b");
    desk.again_nothing();
}

#[test]
fn a_yes_before_there_was_a_plan_is_asked_for_again_with_its_reason() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    desk.world.catalog.commit([catalog::environment("dev", &desk.world.output.url(), rules)]);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("it"))]);
    desk.repo().review("edsger", n, Verdict::Approve);
    let _daemon = desk.serve();
    desk.says(n, &["**Missing**", "`edsger` said yes before this plan was shown"]);
    let head = desk.repo().push("ada", "it", [ask("orders/dev/it", note("other"))]);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.saysnot(n, "before this plan was shown");
    let head = desk.repo().push("ada", "it", [ask("orders/dev/it", note("third"))]);
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["`edsger` said yes to another plan"]);
    desk.again_nothing();
}

#[test]
fn b96_an_author_does_not_approve_their_own_by_way_of_another_pull_request() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    let n =
        desk.propose("ada", "change", [ask("orders/dev/it", request("note@^1.0.0", "{text: b}"))]);
    desk.says(n, &["1 to create"]);
    daemon.kill();
    desk.world.catalog.commit(newer());
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let digest = to_approve(&desk.says(n, &["/vend approve "]));
    let other = desk.propose("grace", "other", [ask("orders/dev/it", note("c"))]);
    desk.says(other, &["orders/dev/it"]);
    let id = desk.repo().comment("ada", other, &format!("/vend approve {digest}"));
    desk.reacted(other, id, "-1");
    desk.again_nothing();
}

#[test]
fn a_rename_that_says_so_destroys_nothing() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let made = desk.world.output.refs();
    let moved = crate::world::request_with("note@1.0.0", "{text: a}", "movedFrom: orders/dev/it");
    let edits = [drop_request("orders/dev/it"), ask("orders/dev/that", moved)];
    let n = desk.propose("ada", "move", edits);
    let body = desk.says(n, &["move", "orders/dev/that"]);
    assert!(!body.contains("**Deletes**"), "{body}");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/that");
    assert!(desk.world.status_or_none("orders/dev/it").is_none());
    assert_eq!(desk.world.output.refs(), made);
    desk.again_nothing();
}

#[test]
fn three_hundred_requests_fit_into_one_comment() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let mut edits: Vec<_> =
        (0..300).map(|i| ask(&format!("orders/dev/many-{i:03}"), note(&format!("n{i}")))).collect();
    edits.extend((0..60).map(|i| {
        let wrong = note("x").replace("text: x", "text: 7");
        ask(&format!("orders/dev/wrong-{i:03}"), wrong)
    }));
    let n = desk.propose("ada", "many", edits);
    let body = desk.says(n, &["60 errors in 60 files", "SCH"]);
    assert!(body.len() < 60_000, "{}", body.len());
    assert!(body.contains("orders/dev/many-000"), "{body}");
    let run = desk.check(&desk.repo().at("many"), "vend", "failure");
    assert_eq!(run.annotations.len(), 60);
    assert!(!body.contains("**Invalid**"), "said twice: {body}");
    desk.again_nothing();
}

#[test]
fn b96_whoever_pushed_to_somebodys_branch_does_not_approve_it() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let environment = catalog::environment("dev", &desk.world.output.url(), rules);
    desk.world.catalog.commit([environment]);
    desk.hub.team("acme", "platform", &["mallory", "edsger"]);
    for who in ["mallory", "edsger"] {
        desk.repo().permit(who, "write");
    }
    let _daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("it"))]);
    desk.says(n, &["1 to create", "platform"]);
    let head = desk.repo().push("mallory", "it", [ask("orders/dev/it", note("other"))]);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("mallory", n, Verdict::Approve);
    desk.says(n, &["**Missing**", "`mallory` said yes and pushed to it"]);
    desk.again_nothing();
    desk.check(&head, "vend/approval", "action_required");

    // Whoever merges the branch into it, and nothing else, has no part in what it says.
    desk.repo().push("grace", "main", [write("README.md", "Words.\n")]);
    let head = desk.repo().update_branch("edsger", n);
    desk.check(&head, "vend/approval", "action_required");
    desk.again_nothing();
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, "orders/dev/it");
}

#[test]
fn b95_an_approval_does_not_outlive_the_revert_of_what_it_was_for() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.updates > 0\", teams: [platform], count: 2}\n";
    desk.world.catalog.commit([catalog::environment("dev", &desk.world.output.url(), rules)]);
    desk.hub.team("acme", "platform", &["barbara", "edsger", "frances"]);
    for who in ["barbara", "edsger", "frances"] {
        desk.repo().permit(who, "write");
    }
    let waits = || {
        eventually("it waits for a yes", || {
            let status = desk.world.status_or_none("orders/dev/it")?;
            (status["conditions"][0]["reason"] == "NeedsApproval").then_some(())
        });
    };
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let made = desk.world.output.refs();
    // One of two says yes, and it is merged past a red check.
    let first = desk.propose("ada", "first", [ask("orders/dev/it", note("b"))]);
    desk.says(first, &["1 to update", "platform"]);
    desk.repo().review("barbara", first, Verdict::Approve);
    desk.says(first, &["beside `barbara`"]);
    desk.repo().merge("grace", first);
    waits();
    desk.again_nothing();
    let back = desk.repo().revert("grace", first);
    desk.check(&desk.repo().at(&format!("revert-{first}")), "vend", "success");
    desk.repo().merge("grace", back);
    desk.ready("orders/dev/it");
    desk.again_nothing();
    // Who said yes then opens it again: their own yes is none, and the other one's is only one.
    let again = desk.propose("barbara", "again", [ask("orders/dev/it", note("b"))]);
    desk.says(again, &["1 to update", "platform"]);
    desk.repo().review("edsger", again, Verdict::Approve);
    desk.says(again, &["beside `edsger`"]);
    desk.repo().merge("grace", again);
    waits();
    let body = desk.says(again, &["/vend approve "]);
    desk.again_nothing();
    assert_eq!(desk.world.output.refs(), made);
    approve(&desk, "frances", again, &body);
    desk.says(again, &["Done"]);
    desk.ready("orders/dev/it");
    let by = &desk.world.status("orders/dev/it")["lastApply"]["approvedBy"];
    assert_eq!(*by, serde_json::json!(["edsger", "frances"]));
    desk.again_nothing();
}

/// Somebody pastes the line that the comment says to paste, and it counts.
#[track_caller]
pub fn approve(desk: &Desk, who: &str, number: u64, body: &str) {
    let said = desk.repo().comment(who, number, &format!("/vend approve {}", to_approve(body)));
    desk.reacted(number, said, "+1");
}

/// The digest in the line that the comment says to paste.
#[track_caller]
pub fn to_approve(body: &str) -> String {
    let (_, rest) = body.split_once("/vend approve ").unwrap_or_else(|| panic!("{body}"));
    rest.split(|c: char| c.is_whitespace() || c == '`').next().unwrap().to_owned()
}

#[test]
fn a_catalog_of_its_own_on_the_forge_shows_what_would_change_and_touches_nothing() {
    let mut desk = Desk::new();
    let hub = desk.hub.create("acme/catalog");
    hub.permit("ada", "write");
    hub.permit("grace", "maintain");
    hub.push("grace", "main", catalog::files(&desk.world.output.url()));
    let url = hub.url();
    desk.world.configure(|c| c["catalog"] = serde_json::json!({"repository": url}));
    let _daemon = desk.serve();
    let follows = request("note@^1.0.0", "{text: a}");
    let n = desk.propose("ada", "it", [ask("orders/dev/it", follows)]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    let made = desk.world.output.refs();
    let repo = desk.hub.repo("acme/catalog");
    repo.push_branch("ada", "better", "main", newer());
    let passes = |at: &str, conclusion: &str| {
        eventually(&format!("the check of {at} is {conclusion}"), || {
            let mut runs = repo.checks(at).into_iter().filter(|run| run.name == "vend");
            runs.next_back().filter(|run| run.conclusion.as_deref() == Some(conclusion))
        })
    };
    repo.open_pull("ada", "better", "main", "Better");
    passes(&repo.at("better"), "success");
    // A published version that is edited is refused, and used as it was.
    let edit = write("templates/note/1.1.0/note.yaml.hbs", "edited: {{parameters.text}}\n");
    let head = repo.push_branch("ada", "edit", "main", [edit]);
    let n = repo.open_pull("ada", "edit", "main", "Edit");
    passes(&head, "failure");
    let said = eventually("the comment", || {
        repo.comments(n).into_iter().find(|said| said.author == "vend[bot]")
    });
    assert!(said.body.contains("edited after it was published"), "{}", said.body);
    assert_eq!(desk.world.output.refs(), made);
    desk.again_nothing();
}

#[test]
fn one_repository_may_hold_catalog_and_requests() {
    let mut desk = Desk::new();
    let url = desk.repo().url();
    desk.repo().push("grace", "main", catalog::files(&desk.world.output.url()));
    desk.world.configure(|c| c["catalog"] = serde_json::json!({"repository": url}));
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let mut edits = catalog::note("1.2.0");
    edits.push(ask("orders/dev/new", request("note@1.2.0", "{text: new}")));
    let n = desk.propose("ada", "both", edits);
    desk.says(n, &["orders/dev/new", "create"]);
    desk.lands(n, "orders/dev/new");
}
