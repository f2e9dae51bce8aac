//! What files say that changes no step: nothing of it is written down before somebody has seen it.

use serde_json::json;

use super::Desk;
use super::approval::{approve, settled, to_approve};
use crate::daemon::eventually;
use crate::github::{Fault, Verdict};
use crate::world::{Edit, ask, catalog, drop_request, note, request, request_with};

const ID: &str = "orders/dev/it";

/// A version of a template that makes the same of the same text as every other one, whatever else is asked for.
fn same(version: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}, "unused": {"type": "string"}}}"#;
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let outputs = "{path: {from: note.path}}";
    let source = "text: {{parameters.text}}\n";
    catalog::template("same", version, components, outputs, schema, &[("note.yaml.hbs", source)])
}

/// A request for that version, with further parameters and labels.
fn asks(version: &str, parameters: &str, labels: &str) -> Edit {
    let text = request(&format!("same@{version}"), &format!("{{text: a{parameters}}}"));
    let text = match labels {
        "" => text,
        labels => text.replace("spec:\n", &format!("metadata: {{labels: {{{labels}}}}}\nspec:\n")),
    };
    ask(ID, text)
}

/// A desk with such a request, of version 1.1.0.
fn desk() -> Desk {
    let desk = Desk::new();
    desk.world.catalog.commit(["1.0.0", "1.1.0"].into_iter().flat_map(same));
    desk
}

#[track_caller]
fn bring(desk: &Desk) {
    let n = desk.propose("ada", "bring", [asks("1.1.0", "", "")]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
}

#[track_caller]
fn held(desk: &Desk, reason: &str) -> String {
    eventually(&format!("it is held: {reason}"), || {
        let status = desk.world.status_or_none(ID)?;
        let is_held = status["conditions"][0]["reason"] == reason;
        is_held.then(|| status["waitingFor"].as_str().unwrap().to_owned())
    })
}

/// What the status says of its version, labels and parameters.
fn recorded(desk: &Desk) -> serde_json::Value {
    let status = desk.world.status(ID);
    json!([status["template"]["version"], status["labels"], status["parameters"]])
}

#[test]
fn b97_a_label_a_parameter_or_a_downgrade_that_nobody_saw_is_not_recorded() {
    let desk = desk();
    let mut daemon = desk.serve();
    bring(&desk);
    let made = desk.world.output.refs();
    for (branch, edit, said) in [
        ("label", asks("1.1.0", "", "owner: ada"), "+ set orders/dev/it: label owner"),
        (
            "parameter",
            asks("1.1.0", ", unused: b", "owner: ada"),
            "+ set orders/dev/it: parameter unused",
        ),
        (
            "older",
            asks("1.0.0", ", unused: b", "owner: ada"),
            "+ set orders/dev/it: version same@1.0.0",
        ),
    ] {
        daemon.kill();
        let before = recorded(&desk);
        let n = desk.propose("ada", branch, [edit]);
        desk.repo().merge("grace", n);
        daemon = desk.serve();
        held(&desk, "PlanChanged");
        let body = desk.says(n, &[said, "/vend approve "]);
        desk.again_nothing();
        assert_eq!(recorded(&desk), before, "{branch}");
        approve(&desk, "grace", n, &body);
        // Of an older version nobody is asked a second time.
        desk.says(n, &["Done"]);
        desk.ready(ID);
        assert_ne!(recorded(&desk), before, "{branch}");
        desk.again_nothing();
    }
    assert_eq!(desk.world.output.refs(), made);
}

#[test]
fn b95_a_downgrade_that_changes_no_step_takes_a_yes() {
    let desk = desk();
    let _daemon = desk.serve();
    bring(&desk);
    let n = desk.propose("ada", "older", [asks("1.0.0", "", "")]);
    let head = desk.repo().at("older");
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["**Missing**"]);
    // Merged past the check, it waits for what the check waited for.
    desk.repo().merge("grace", n);
    held(&desk, "NeedsApproval");
    let body = desk.says(n, &["/vend approve "]);
    desk.again_nothing();
    assert_eq!(recorded(&desk)[0], "1.1.0");
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    assert_eq!(recorded(&desk)[0], "1.0.0");
    desk.again_nothing();
    // With it, it goes on by itself.
    let newer = desk.propose("ada", "newer", [asks("1.1.0", "", "")]);
    desk.check(&desk.repo().at("newer"), "vend/approval", "success");
    desk.repo().merge("grace", newer);
    desk.says(newer, &["Done"]);
    desk.ready(ID);
    let n = desk.propose("ada", "again", [asks("1.0.0", "", "")]);
    let head = desk.repo().at("again");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    assert_eq!(recorded(&desk)[0], "1.0.0");
    desk.again_nothing();
}

#[test]
fn b95_a_push_of_another_label_asks_for_reviews_again() {
    let desk = desk();
    let _daemon = desk.serve();
    bring(&desk);
    let n = desk.propose("ada", "older", [asks("1.0.0", "", "")]);
    let head = desk.repo().at("older");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    let head = desk.repo().push("ada", "older", [asks("1.0.0", "", "owner: ada")]);
    desk.check(&head, "vend/approval", "action_required");
    desk.says(n, &["set orders/dev/it: version same@1.0.0, label owner"]);
    desk.again_nothing();
    // The same label with another value is another one.
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    let head = desk.repo().push("ada", "older", [asks("1.0.0", "", "owner: mallory")]);
    desk.check(&head, "vend/approval", "action_required");
    desk.again_nothing();
    desk.repo().review("grace", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.lands(n, ID);
}

#[test]
fn b97_what_is_said_otherwise_than_seen_is_more_than_was_reviewed() {
    let desk = desk();
    let _daemon = desk.serve();
    bring(&desk);
    let changed = |labels: &str| match asks("1.1.0", "", labels) {
        Edit::Write(path, text) => Edit::Write(path, text.replace("text: a", "text: b")),
        other => other,
    };
    let n = desk.propose("ada", "change", [changed("")]);
    desk.says(n, &["1 to update"]);
    desk.again_nothing();
    // A push that nobody could be told of, with the same step.
    for path in ["/repos/*/*/check-runs", "/repos/*/*/issues/*/comments"] {
        desk.hub.fault("POST", path, None, Fault::Status(403));
    }
    for path in ["/repos/*/*/check-runs/*", "/repos/*/*/issues/comments/*"] {
        desk.hub.fault("PATCH", path, None, Fault::Status(403));
    }
    desk.hub.fault("POST", "/repos/*/*/statuses/*", None, Fault::Status(403));
    desk.hub.forget();
    desk.repo().push("ada", "change", [changed("owner: mallory")]);
    eventually("it was tried to say it", || {
        desk.hub.calls("PATCH", "/repos/*/*/issues/comments/*").last().map(|_| ())
    });
    desk.again_nothing();
    desk.hub.mend();
    desk.repo().merge("grace", n);
    held(&desk, "PlanChanged");
    let body = desk.says(n, &["than was reviewed", "label owner", "/vend approve "]);
    assert!(!body.contains("+ update"), "{body}");
    desk.again_nothing();
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    desk.again_nothing();
}

#[test]
fn b97_what_could_not_be_read_when_it_was_merged_is_shown_before_it_is_recorded() {
    let desk = desk();
    let _daemon = desk.serve();
    bring(&desk);
    let before = recorded(&desk);
    let n = desk.propose("ada", "early", [asks("1.2.0", "", "owner: mallory")]);
    desk.says(n, &["same@1.2.0"]);
    desk.again_nothing();
    desk.repo().merge("grace", n);
    eventually("it waits for its version", || {
        (desk.world.status_or_none(ID)?["phase"] != "Ready").then_some(())
    });
    desk.again_nothing();
    // What it asks for comes later, and makes the same.
    desk.world.catalog.commit(same("1.2.0"));
    held(&desk, "PlanChanged");
    let body = desk.says(n, &["version same@1.2.0, label owner", "/vend approve "]);
    desk.again_nothing();
    assert_eq!(recorded(&desk), before);
    approve(&desk, "grace", n, &body);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    desk.again_nothing();
}

#[test]
fn b97_a_new_name_takes_no_protection_off_unsaid() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let protected = request_with("note@1.0.0", "{text: a}", "protect: true");
    let n = desk.propose("ada", "kept", [ask(ID, protected)]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    let that = "orders/dev/that";
    let moved = |more: &str| {
        let more = format!("movedFrom: {ID}\n{more}");
        [drop_request(ID), ask(that, request_with("note@1.0.0", "{text: a}", &more))]
    };
    let n = desk.propose("ada", "move", moved("protect: true"));
    let body = desk.says(n, &["move"]);
    assert!(!body.contains("**Protection**"), "{body}");
    desk.repo().push("ada", "move", moved(""));
    desk.says(n, &["**Protection**", "would be no more"]);
    desk.repo().push("ada", "move", moved("protect: true"));
    desk.saysnot(n, "**Protection**");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(that);
    assert_eq!(desk.world.status(that)["protect"], true);
    desk.again_nothing();
}

/// More than was reviewed waits for a yes, which who brought it cannot give.
#[track_caller]
fn only_barbara_approves(desk: &Desk, n: u64) {
    let body = desk.says(n, &["/vend approve ", "than was reviewed"]);
    let line = format!("/vend approve {}", to_approve(&body));
    for (who, with) in [("mallory", "-1"), ("barbara", "+1")] {
        let said = desk.repo().comment(who, n, &line);
        desk.reacted(n, said, with);
    }
    desk.says(n, &["Done"]);
    desk.ready(ID);
    desk.again_nothing();
}

#[test]
fn b96_who_brought_what_was_there_at_the_review_may_approve_what_others_made_of_it() {
    let mut desk = Desk::new();
    let output = desk.world.output.url();
    let catalog = desk.hub.create("acme/catalog");
    catalog.permit("grace", "maintain");
    catalog.push("grace", "main", catalog::files(&output));
    let url = catalog.url();
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    for who in ["mallory", "barbara"] {
        desk.repo().permit(who, "write");
        desk.hub.repo("acme/catalog").permit(who, "write");
    }
    // The environment as it is comes from one of them, and was there at the review.
    let bring = |who: &str, by: &str, branch: &str, edits: Vec<Edit>| {
        let catalog = desk.hub.repo("acme/catalog");
        catalog.push_branch(who, branch, "main", edits);
        let n = catalog.open_pull(who, branch, "main", "Better");
        catalog.merge(by, n);
    };
    let environment = catalog::environment("dev", &output, "  defaults: {note: {}}\n");
    bring("barbara", "grace", "place", vec![environment]);
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask(ID, request("note@^1.0.0", "{text: b}"))]);
    desk.says(n, &["1 to create"]);
    // What was said is kept as well by then.
    desk.again_nothing();
    daemon.kill();
    bring("mallory", "grace", "newer", super::approval::newer());
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    only_barbara_approves(&desk, n);
}

#[test]
fn a_turn_that_a_pass_overtakes_says_nothing_of_a_branch_that_is_no_more() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, ID);
    let n = desk.propose("ada", "change", [ask(ID, note("b"))]);
    desk.says(n, &["1 to update"]);
    desk.again_nothing();
    // A turn reads what was written, and that takes a while: a pass has the merge before it goes on.
    let comments = format!("/repos/acme/requests/issues/{n}/comments");
    desk.hub.fault("GET", &comments, Some(1), Fault::Slow(std::time::Duration::from_secs(6)));
    desk.hub.forget();
    desk.repo().comment("grace", n, "/vend plan");
    eventually("the turn has come to it", || {
        desk.hub.calls("GET", &format!("/repos/acme/requests/pulls/{n}/reviews")).last().map(|_| ())
    });
    desk.repo().land("grace", n);
    eventually("the branch was read", || {
        let status = desk.world.status_or_none(ID)?;
        (status["phase"] != "Ready").then_some(())
    });
    eventually("the turn goes on", || desk.hub.calls("GET", &comments).last().map(|_| ()));
    desk.again_nothing();
    let body = desk.comment(n).unwrap().body;
    assert!(body.contains("1 to update"), "{body}");
    desk.repo().call_merged("grace", n);
    let body = desk.says(n, &["Done", ID]);
    assert!(!body.contains("than was reviewed"), "{body}");
    desk.ready(ID);
    desk.again_nothing();
}

#[test]
fn b96_who_brought_it_before_the_review_approves_also_where_the_mirror_is_a_new_one() {
    let mut desk = Desk::new();
    let (url, output) = (desk.repo().url(), desk.world.output.url());
    desk.repo().push("grace", "main", catalog::files(&output));
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    for who in ["mallory", "barbara"] {
        desk.repo().permit(who, "write");
    }
    let bring = |who: &str, branch: &str, edits: Vec<Edit>| {
        let n = desk.propose(who, branch, edits);
        desk.repo().merge("grace", n);
    };
    bring(
        "barbara",
        "place",
        vec![catalog::environment("dev", &output, "  defaults: {note: {}}\n")],
    );
    let mut daemon = desk.serve();
    // What it brings to the catalog and what it asks for are on one commit, which only the mirror has until it is merged.
    let mut edits = catalog::note("1.2.0");
    edits.push(ask(ID, request("note@^1.0.0", "{text: b}")));
    let n = desk.propose("ada", "one", edits);
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    daemon.kill();
    std::fs::remove_dir_all(desk.world.root().join("state/mirrors")).unwrap();
    bring("mallory", "newer", super::approval::newer());
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    only_barbara_approves(&desk, n);
}

/// Meanwhile something lands on the branch all the time, and people talk on a pull request of which the forge is slow to
/// tell: a pass has read the branch anew before a turn that begins with that one comes to any other.
pub fn busy(desk: &Desk, talked: u64, meanwhile: impl FnOnce()) {
    let slow = Fault::Slow(std::time::Duration::from_secs(3));
    desk.hub.fault("GET", &format!("/repos/acme/requests/pulls/{talked}/reviews"), None, slow);
    let is_over = std::sync::atomic::AtomicBool::new(false);
    let done = std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0.. {
                if is_over.load(std::sync::atomic::Ordering::Relaxed) {
                    break;
                }
                let words = crate::world::write("README.md", format!("Words {n}.\n"));
                desk.repo().push("grace", "main", [words]);
                desk.repo().comment("grace", talked, &format!("Words {n}."));
                std::thread::sleep(std::time::Duration::from_millis(500));
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        done
    });
    desk.hub.mend();
    if let Err(panic) = done {
        std::panic::resume_unwind(panic);
    }
}

#[test]
fn everybody_gets_a_turn_on_a_branch_on_which_something_lands_all_the_time() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let asks = |id: &str| ask(id, request("note@^1.0.0", "{text: b}"));
    let first = desk.propose("ada", "first", [asks("orders/dev/first")]);
    let last = desk.propose("ada", "last", [asks(ID)]);
    desk.says(first, &["1 to create"]);
    desk.says(last, &["1 to create"]);
    desk.again_nothing();
    busy(&desk, first, || {
        desk.world.catalog.commit(super::approval::newer());
        desk.says(last, &["changed: b"]);
    });
    desk.says(first, &["changed: b"]);
    desk.lands(last, ID);
}

#[test]
fn what_was_reviewed_and_changes_nothing_follows_the_catalog_as_before() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let follows = request("note@^1.0.0", "{text: a}");
    let n = desk.propose("ada", "it", [ask(ID, follows.clone())]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    let n = desk.propose("ada", "words", [ask(ID, format!("# Words.\n{follows}"))]);
    desk.check(&desk.repo().at("words"), "vend/approval", "success");
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.again_nothing();
    desk.world.catalog.commit(super::approval::newer());
    let made = || desk.world.output_file("dev/orders/it/note/note.yaml");
    eventually("the newer version is taken", || (made()? == "changed: a\n").then_some(()));
    desk.ready(ID);
    desk.again_nothing();
}
