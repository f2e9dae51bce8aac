//! Merges that are pushed directly, and throw away what one of their sides had done.

use super::Desk;
use super::approval::settled;
use crate::daemon::{Serving, eventually};
use crate::world::{ask, drop_request, note, to_approve, write};

/// More than vend looks through for the commit that took a file away.
const FAR: usize = 5_010;

/// The request's sentence, once it is held since it came without a pull request.
#[track_caller]
fn held(desk: &Desk, id: &str) -> String {
    eventually(&format!("{id} is held"), || {
        let status = desk.world.status_or_none(id)?;
        let said = status["waitingFor"].as_str()?.to_owned();
        said.contains("without a pull request").then_some(said)
    })
}

#[track_caller]
fn let_through(desk: &Desk, said: &str) {
    desk.world.vend_ends(0, &["approve", &to_approve(said)]);
}

#[track_caller]
fn gone(desk: &Desk, id: &str) {
    eventually("it is gone", || desk.world.status_or_none(id).is_none().then_some(()));
}

#[test]
fn a_merge_without_a_file_is_what_took_it_away() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/stays");
    let before = desk.repo().at("main");
    settled(&desk, "orders/dev/it");
    desk.repo().push_branch("mallory", "stale", &before, [write("notes.txt", "Mine.\n")]);
    desk.repo().push_merge("mallory", "main", ["stale", "main"], "stale");
    let said = held(&desk, "orders/dev/it");
    desk.again_nothing();
    assert_eq!(held(&desk, "orders/dev/it"), said);
    let_through(&desk, &said);
    gone(&desk, "orders/dev/it");
    desk.again_nothing();
}

#[test]
fn a_merge_that_brings_an_old_content_back_is_none_of_the_pull_request_that_had_it() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let (first, made) = changed_once(&desk);
    desk.repo().push_branch("mallory", "stale", &first, [write("notes.txt", "Mine.\n")]);
    desk.repo().push_merge("mallory", "main", ["stale", "main"], "stale");
    let said = held(&desk, "orders/dev/it");
    desk.again_nothing();
    assert_eq!(desk.world.output.refs(), made);
    let_through(&desk, &said);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

/// Two pull requests brought the request's two contents; what was made of them, and where the branch stood with the
/// first.
fn changed_once(desk: &Desk) -> (String, String) {
    settled(desk, "orders/dev/it");
    let first = desk.repo().at("main");
    let n = desk.propose("ada", "change", [ask("orders/dev/it", note("b"))]);
    desk.says(n, &["1 to update"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    (first, desk.world.output.refs())
}

#[test]
fn an_old_content_is_not_laundered_by_a_merge_that_stands_on_an_old_commit() {
    for stale in [true, false] {
        let desk = Desk::new();
        let _daemon = desk.serve();
        let (first, made) = changed_once(&desk);
        // Both sides of the merge have the old content: one from the pull request, one from nobody.
        desk.repo().push_branch("mallory", "back", "main", [ask("orders/dev/it", note("a"))]);
        let old = match stale {
            true => {
                let edits = [write("notes.txt", "Mine.\n")];
                desk.repo().push_branch("mallory", "old", &first, edits)
            }
            false => first,
        };
        desk.repo().push_merge("mallory", "main", [&old, "back"], "back");
        let said = held(&desk, "orders/dev/it");
        desk.again_nothing();
        assert_eq!(desk.world.output.refs(), made);
        let_through(&desk, &said);
        desk.ready("orders/dev/it");
        desk.again_nothing();
    }
}

#[test]
fn a_deletion_is_not_laundered_by_a_merge_that_stands_on_a_commit_without_the_file() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    settled(&desk, "orders/dev/stays");
    let before = desk.repo().at("main");
    settled(&desk, "orders/dev/it");
    desk.repo().push_branch("mallory", "back", "main", [drop_request("orders/dev/it")]);
    desk.repo().push_merge("mallory", "main", [&before, "back"], "back");
    let said = held(&desk, "orders/dev/it");
    desk.again_nothing();
    assert_eq!(held(&desk, "orders/dev/it"), said);
    let_through(&desk, &said);
    gone(&desk, "orders/dev/it");
    desk.again_nothing();
}

#[test]
fn b97_a_file_that_comes_back_is_held_however_many_commits_follow() {
    let desk = Desk::new();
    desk.repo().push("grace", "main", [ask("orders/dev/it", note("old"))]);
    let mut daemon = desk.serve();
    settled(&desk, "orders/dev/stays");
    desk.ready("orders/dev/it");
    let n = desk.propose("ada", "gone", [drop_request("orders/dev/it")]);
    desk.says(n, &["**Deletes**"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    gone(&desk, "orders/dev/it");
    daemon.kill();
    // As it stood in the beginning, by a push, and too far back to be found.
    desk.repo().push("mallory", "main", [ask("orders/dev/it", note("old"))]);
    desk.world.requests.commit_nothing(FAR);
    let _daemon = Serving::ready(&desk.world);
    let said = held(&desk, "orders/dev/it");
    desk.again_nothing();
    let_through(&desk, &said);
    desk.ready("orders/dev/it");
    desk.again_nothing();
}

#[test]
fn a_deletion_that_is_held_is_held_however_many_commits_follow() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    settled(&desk, "orders/dev/stays");
    settled(&desk, "orders/dev/it");
    desk.repo().push("mallory", "main", [drop_request("orders/dev/it")]);
    held(&desk, "orders/dev/it");
    daemon.kill();
    desk.world.requests.commit_nothing(FAR);
    let n = desk.propose("ada", "other", [ask("orders/dev/other", note("other"))]);
    let _daemon = Serving::ready(&desk.world);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    let said = held(&desk, "orders/dev/it");
    desk.again_nothing();
    let_through(&desk, &said);
    gone(&desk, "orders/dev/it");
    desk.again_nothing();
}
