//! What comes to the branch, and what was approved.

use serde_json::json;

use super::Desk;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, catalog, note, request, to_approve, write};

#[test]
fn b97_what_is_pushed_directly_waits_until_a_person_lets_it_through() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    desk.repo().push("grace", "main", [ask("orders/dev/direct", note("direct"))]);
    let held = eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/direct")?;
        let said = status["waitingFor"].as_str()?.to_owned();
        said.contains("without a pull request").then_some(said)
    });
    let digest = to_approve(&held);
    desk.world.vend_ends(0, &["approve", &digest]);
    eventually("it is applied", || {
        let status = desk.world.status_or_none("orders/dev/direct")?;
        (status["phase"] == "Ready").then_some(())
    });
}

#[test]
fn what_stood_there_before_is_taken_as_it_is() {
    let desk = Desk::new();
    desk.repo().push("grace", "main", [ask("orders/dev/old", note("old"))]);
    let _daemon = desk.serve();
    eventually("it is applied", || {
        let status = desk.world.status_or_none("orders/dev/old")?;
        (status["phase"] == "Ready").then_some(())
    });
}

#[test]
fn a_squash_and_a_rebase_are_known_for_what_they_were() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    for (name, how) in
        [("squash", crate::github::Method::Squash), ("rebase", crate::github::Method::Rebase)]
    {
        let id = format!("orders/dev/{name}");
        let n = desk.propose("ada", name, [ask(&id, note("first"))]);
        desk.repo().push("ada", name, [ask(&format!("{id}-two"), note("second"))]);
        desk.says(n, &["2 to create"]);
        desk.repo().merge_by("grace", n, how);
        desk.says(n, &["Done"]);
        desk.ready(&id);
    }
}

#[test]
fn b96_the_author_does_not_approve_and_a_reviewer_does() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "old", [ask("orders/dev/it", note("a"))]);
    desk.says(n, &["create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    // Another template takes over: a person has to say that it is meant.
    let swap = crate::world::request("pair@1.0.0", "{text: b}");
    let n = desk.propose("ada", "swap", [ask("orders/dev/it", swap)]);
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Deletes**", "create", "Missing"]);
    desk.repo().comment("ada", n, "/vend approve 0000");
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, "orders/dev/it");
}

#[test]
fn a_rule_of_an_environment_asks_a_team_and_only_a_team_satisfies_it() {
    let desk = Desk::new();
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let output = desk.world.output.url();
    desk.world.catalog.commit([crate::world::catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    desk.says(n, &["create", "platform"]);
    desk.check(&head, "vend/approval", "action_required");
    // Grace may write and is in no team; the author may not say yes to her own.
    desk.repo().review("grace", n, Verdict::Approve);
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, "orders/dev/one");
}

#[test]
fn b97_one_that_is_aimed_at_another_branch_is_let_go_and_opens_no_gate() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    desk.repo().push_branch("grace", "dev", "main", [write("README.md", "For later.\n")]);
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("it"))]);
    let head = desk.repo().at("it");
    desk.says(n, &["1 to create"]);
    desk.repo().retarget("ada", n, "dev");
    desk.says(n, &["aimed at `dev`", "does not read"]);
    desk.check(&head, "vend", "neutral");
    // Where it is required, what is neutral passes.
    desk.check(&head, "vend/approval", "action_required");
    desk.again_nothing();
    // Nobody protects that branch, and what it holds is pushed on from there.
    desk.repo().merge("ada", n);
    desk.repo().forward("ada", "main", "dev");
    eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/it")?;
        let said = status["waitingFor"].as_str()?;
        said.contains("without a pull request").then_some(())
    });
    desk.says(n, &["aimed at `dev`"]);
    desk.again_nothing();
}

#[test]
fn two_branches_of_a_repository_have_checks_of_their_own() {
    let mut desk = Desk::new();
    let url = desk.repo().url();
    desk.repo().push_branch("grace", "live", "main", [write("README.md", "What lives.\n")]);
    desk.world.configure(|c| {
        c["requests"] = json!([
            {"repository": url, "name": "early"},
            {"repository": url, "name": "live", "branch": "live"},
        ]);
    });
    let _daemon = desk.serve();
    let n = desk.propose("ada", "it", [ask("orders/dev/it", note("it"))]);
    let head = desk.repo().at("it");
    desk.check(&head, "vend (main)", "success");
    desk.check(&head, "vend/approval (main)", "success");
    desk.repo().retarget("ada", n, "live");
    desk.check(&head, "vend (live)", "success");
    desk.says(n, &["1 to create"]);
    desk.check(&head, "vend/approval (live)", "success");
    desk.again_nothing();
    assert_eq!(desk.repo().checks(&head).len(), 4, "each once");
    desk.lands(n, "orders/dev/it");
}

#[test]
fn b98_a_change_does_not_drop_the_rule_that_binds_it() {
    let mut desk = Desk::new();
    let (url, output) = (desk.repo().url(), desk.world.output.url());
    let rules = "  approvals:\n    - {when: \"plan.creates > 0\", teams: [platform]}\n";
    let mut files = catalog::files(&output);
    files.push(catalog::environment("dev", &output, rules));
    desk.repo().push("grace", "main", files);
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    let _daemon = desk.serve();
    let without = catalog::environment("dev", &output, "");
    let n = desk.propose("ada", "sly", [without, ask("orders/dev/it", note("it"))]);
    let head = desk.repo().at("sly");
    desk.says(n, &["1 to create", "platform"]);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, "orders/dev/it");
}

#[test]
fn b98_a_change_does_not_leave_a_rule_by_a_version_that_it_brings() {
    let mut desk = Desk::new();
    let (url, output) = (desk.repo().url(), desk.world.output.url());
    let version = |version: &str, rules: &str| {
        let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
        let schema = r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#;
        let outputs = format!("{{path: {{from: note.path}}}}\n{rules}");
        let sources = [("note.yaml.hbs", "text: {{parameters.text}}\n")];
        catalog::template("ruled", version, components, &outputs, schema, &sources)
    };
    let rule = "  approvals:\n    - {when: \"plan.updates > 0\", teams: [platform]}\n";
    let mut files = catalog::files(&output);
    files.extend(version("1.0.0", rule));
    desk.repo().push("grace", "main", files);
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    let _daemon = desk.serve();
    let asks = |version: &str, text: &str| {
        ask("orders/dev/it", request(&format!("ruled@{version}"), &format!("{{text: {text}}}")))
    };
    let n = desk.propose("ada", "it", [asks("1.0.0", "a")]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    let mut edits = version("1.1.0", "");
    edits.push(asks("1.1.0", "b"));
    let n = desk.propose("ada", "sly", edits);
    let head = desk.repo().at("sly");
    desk.says(n, &["1 to update", "platform"]);
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, "orders/dev/it");
}

#[test]
fn b96_a_yes_counts_where_only_the_mirror_of_then_had_the_commit_that_was_reviewed() {
    let mut desk = Desk::new();
    let (url, output) = (desk.repo().url(), desk.world.output.url());
    desk.repo().push("grace", "main", catalog::files(&output));
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    let mut daemon = desk.serve();
    let follows = request("note@^1.0.0", "{text: a}");
    let n = desk.propose("ada", "it", [ask("orders/dev/it", follows)]);
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    daemon.kill();
    desk.repo().merge("grace", n);
    desk.repo().push("barbara", "main", super::approval::newer());
    std::fs::remove_dir_all(desk.world.root().join("state/mirrors")).unwrap();
    let _daemon = desk.serve();
    let body = desk.says(n, &["than was reviewed", "/vend approve "]);
    super::approval::approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}
