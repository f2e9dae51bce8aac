//! Between the merge and the first pass that has it: what is known is of the time before.

use super::Desk;
use super::approval::{settled, to_approve};
use crate::daemon::eventually;
use crate::github::Fault;
use crate::world::{ask, drop_request, note, remove, write};

/// Where git fetches.
const GIT: &str = "/acme/requests.git/**";

/// Each way that the check `vend` of a commit stood in, the first first.
fn conclusions(desk: &Desk, at: &str) -> Vec<(Option<String>, String)> {
    let ids: Vec<u64> = desk.repo().checks(at).iter().map(|run| run.id).collect();
    let is_of = |entry: &&crate::github::Entry| {
        let last = entry.path.rsplit('/').next().and_then(|id| id.parse().ok());
        match entry.method.as_str() {
            "POST" => entry.path.ends_with("/check-runs") && entry.body["head_sha"] == at,
            "PATCH" => {
                entry.path.contains("/check-runs/") && last.is_some_and(|id| ids.contains(&id))
            }
            _ => false,
        }
    };
    let stood = |entry: &crate::github::Entry| {
        let conclusion = entry.body["conclusion"].as_str().map(str::to_owned);
        (conclusion, entry.body["output"]["title"].as_str().unwrap_or_default().to_owned())
    };
    desk.hub.log().iter().filter(is_of).map(stood).collect()
}

/// It was under way, and then done.
#[track_caller]
fn only_the_last_is_an_end(desk: &Desk, at: &str) {
    desk.check(at, "vend", "success");
    let all = conclusions(desk, at);
    let (last, before) = all.split_last().expect("it was said");
    assert!(before.iter().all(|(conclusion, _)| conclusion.is_none()), "{all:#?}");
    assert!(last.1.starts_with("Done"), "{all:#?}");
}

#[test]
fn what_is_merged_is_not_said_to_be_done_before_it_is() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    for id in ["orders/dev/it", "orders/dev/gone"] {
        settled(&desk, id);
    }
    for text in ["b", "c"] {
        let n = desk.propose("ada", text, [ask("orders/dev/it", note(text))]);
        desk.says(n, &["1 to update"]);
        let merged = desk.repo().merge("grace", n);
        desk.says(n, &["Done"]);
        only_the_last_is_an_end(&desk, &merged);
    }
    let n = desk.propose("ada", "new", [ask("orders/dev/new", note("new"))]);
    desk.says(n, &["1 to create"]);
    let merged = desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    only_the_last_is_an_end(&desk, &merged);

    // The forge answers, and git does not.
    let edits = [ask("orders/dev/it", note("d")), drop_request("orders/dev/gone")];
    let n = desk.propose("ada", "d", edits);
    desk.says(n, &["1 to update, 1 to delete"]);
    desk.hub.fault("*", GIT, None, Fault::Status(503));
    let merged = desk.repo().merge("grace", n);
    let body =
        desk.says(n, &["Merged: waits until its branch can be used", "not be fetched since"]);
    for id in ["orders/dev/it", "orders/dev/gone"] {
        assert!(body.contains(id), "{body}");
    }
    for wrong in ["**ready**", "**deleted**", "**held**"] {
        assert!(!body.contains(wrong), "{wrong}: {body}");
    }
    let text = desk.world.output_file("dev/orders/it/note/note.yaml");
    assert_eq!(text.as_deref(), Some("text: c\n"));
    desk.hub.mend();
    desk.says(n, &["Done", "**ready** `orders/dev/it`", "**deleted** `orders/dev/gone`"]);
    only_the_last_is_an_end(&desk, &merged);
    desk.again_nothing();
}

#[test]
fn what_is_merged_into_a_history_that_is_refused_says_so_until_it_is_accepted() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let refs = desk.world.output.refs();
    let edits = [ask("orders/dev/it", note("a")), write("requests/README.md", "Anew.\n")];
    desk.repo().rewrite("grace", edits);
    // What is proposed on it is not held against a branch that is no more.
    let n = desk.propose("ada", "b", [ask("orders/dev/it", note("b"))]);
    let body = desk.says(n, &["What is merged waits", "the history of `requests` was rewritten"]);
    assert!(!body.contains("onflict"), "{body}");
    let merged = desk.repo().merge("grace", n);
    let body = desk.says(n, &["Merged: waits until its branch can be used", "was rewritten"]);
    assert!(!body.contains("Done") && !body.contains("**ready**"), "{body}");
    desk.again_nothing();
    assert_eq!(desk.world.output.refs(), refs);
    let all = conclusions(&desk, &merged);
    assert!(all.iter().all(|(conclusion, _)| conclusion.is_none()), "{all:#?}");
    desk.world.vend_ends(0, &["approve", &format!("requests@{merged}")]);
    // Nobody could be shown a plan before it was merged.
    let body =
        desk.says(n, &["than was reviewed", "+ update orders/dev/it#note", "/vend approve "]);
    let approved = desk.repo().comment("grace", n, &format!("/vend approve {}", to_approve(&body)));
    desk.reacted(n, approved, "+1");
    desk.says(n, &["Done", "**ready**"]);
    desk.check(&merged, "vend", "success");
    let text = desk.world.output_file("dev/orders/it/note/note.yaml");
    assert_eq!(text.as_deref(), Some("text: b\n"));
    desk.again_nothing();
}

#[test]
fn what_an_accepted_history_left_out_is_waited_for_no_more() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n = desk.propose("ada", "lost", [ask("orders/dev/lost", note("lost"))]);
    desk.says(n, &["1 to create"]);
    desk.again_nothing();
    // No pass can read the branch with the merge in it before it is rewritten.
    desk.hub.fault("*", GIT, None, Fault::Status(503));
    let merged = desk.repo().merge("grace", n);
    desk.says(n, &["Merged: waits"]);
    let edits = [ask("orders/dev/it", note("a")), write("requests/README.md", "Anew.\n")];
    let tip = desk.repo().rewrite("grace", edits);
    desk.hub.mend();
    desk.says(n, &["Merged: waits until its branch can be used", "was rewritten"]);
    desk.again_nothing();
    desk.world.vend_ends(0, &["approve", &format!("requests@{tip}")]);
    let body = desk.says(n, &["Merged, and not on its branch any more", "propose it again"]);
    assert!(!body.contains("waits"), "{body}");
    assert!(desk.world.status_or_none("orders/dev/lost").is_none());
    desk.again_nothing();
    daemon.kill();
    let _daemon = desk.serve();
    desk.again_nothing();
    desk.says(n, &["Merged, and not on its branch any more"]);
    // It comes to the branch after all.
    desk.repo().push_merge("grace", "main", ["main", &merged], &merged);
    desk.says(n, &["Done", "**ready**"]);
    desk.ready("orders/dev/lost");
    desk.again_nothing();
}

#[test]
fn what_takes_the_last_file_away_waits_and_says_so() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let edits = [
        drop_request("orders/dev/it"),
        remove("requests/README.md"),
        write("README.md", "Gone.\n"),
    ];
    let n = desk.propose("ada", "none", edits);
    desk.says(n, &["1 to delete"]);
    let merged = desk.repo().merge("grace", n);
    desk.says(n, &["Merged: waits until its branch can be used", "the folder `requests`"]);
    desk.again_nothing();
    let all = conclusions(&desk, &merged);
    assert!(all.iter().all(|(conclusion, _)| conclusion.is_none()), "{all:#?}");
    desk.ready("orders/dev/it");
    // Another that brings something back is planned, and mends it.
    let back = desk.propose("ada", "back", [ask("orders/dev/other", note("other"))]);
    desk.says(back, &["1 to create", "What is merged waits"]);
    desk.repo().merge("grace", back);
    desk.says(back, &["Done"]);
    desk.says(n, &["Done", "**deleted**"]);
    eventually("it is gone", || desk.world.status_or_none("orders/dev/it").is_none().then_some(()));
    desk.again_nothing();
}
