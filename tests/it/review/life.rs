//! The life of a pull request.

use super::Desk;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, drop_request, note, path_of, request};

#[test]
fn opened_with_an_error_mended_merged_applied_and_told_in_one_comment() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let right = request("pair@1.0.0", "{text: hello}");
    let wrong = right.replace("{text: ", "{txt: ");
    let n = desk.propose("ada", "hello", [ask("orders/dev/hello", wrong.clone())]);
    let head = desk.repo().at("hello");
    let body = desk.says(n, &["requests/orders/dev/hello.yaml"]);
    assert!(body.contains("SCH"), "{body}");
    let check = desk.check(&head, "vend", "failure");
    assert_eq!(check.annotations.len(), 1, "{:?}", check.annotations);
    let found = &check.annotations[0];
    assert_eq!(found["path"], path_of("orders/dev/hello"));
    let (at, line) = wrong.lines().enumerate().find(|(_, line)| line.contains("txt")).unwrap();
    let column = line.find("txt").unwrap() + 1;
    let place = ["start_line", "end_line", "start_column", "end_column"].map(|name| &found[name]);
    assert_eq!(place, [at + 1, at + 1, column, column + 2], "{found}");
    // The one sure fix is suggested as the whole line that it should be.
    let suggested = eventually("a suggestion", || desk.repo().remarks(n).pop());
    let block = format!("```suggestion\n{}\n```", line.replace("txt", "text"));
    assert!(suggested.body.contains(&block), "{block}\n{}", suggested.body);

    desk.repo().push("ada", "hello", [ask("orders/dev/hello", right)]);
    let head = desk.repo().at("hello");
    desk.check(&head, "vend", "success");
    desk.says(n, &["create", "orders/dev/hello"]);
    desk.check(&head, "vend/approval", "success");
    assert!(desk.world.status_or_none("orders/dev/hello").is_none());

    desk.repo().review("grace", n, Verdict::Approve);
    let merged = desk.repo().merge("grace", n);
    let body = desk.says(n, &["Done"]);
    assert!(body.contains("orders/dev/hello"), "{body}");
    desk.ready("orders/dev/hello");
    let path = desk.world.status("orders/dev/hello")["outputs"]["path"].clone();
    let output = format!("- `path` = `{}`", path.as_str().unwrap());
    assert!(body.contains(&output), "{output}\n{body}");
    desk.check(&merged, "vend", "success");
    desk.again_nothing();
}

#[test]
fn a_deletion_by_pull_request_is_said_and_done_and_a_revert_brings_it_back() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    desk.says(n, &["create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);

    let gone = desk.propose("ada", "gone", [drop_request("orders/dev/one")]);
    desk.says(gone, &["**Deletes**", "orders/dev/one"]);
    desk.repo().merge("grace", gone);
    desk.says(gone, &["Done"]);
    eventually("its status goes", || {
        desk.world.status_or_none("orders/dev/one").is_none().then_some(())
    });

    let back = desk.repo().revert("grace", gone);
    let text = format!("#{gone}");
    desk.says(back, &["create", "orders/dev/one", &text]);
    desk.repo().merge("grace", back);
    desk.says(back, &["Done", &text]);
    desk.ready("orders/dev/one");
    desk.again_nothing();
}

#[test]
fn what_changes_nothing_for_us_hears_nothing_and_passes() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose("ada", "readme", [crate::world::write("README.md", "Words.\n")]);
    let head = desk.repo().at("readme");
    desk.check(&head, "vend", "success");
    assert!(desk.comment(n).is_none());
}

#[test]
fn two_that_conflict_say_so_and_two_that_are_wrong_together_too() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let one = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let other = desk.propose("ada", "other", [ask("orders/dev/one", note("other"))]);
    desk.says(one, &["create"]);
    desk.says(other, &["create"]);
    desk.repo().merge("grace", one);
    desk.says(other, &["onflict", "requests/orders/dev/one.yaml"]);
    let head = desk.repo().at("other");
    desk.check(&head, "vend", "failure");
}

#[test]
fn a_reference_to_what_another_removes_is_found_once_that_is_merged() {
    let desk = Desk::new();
    let _daemon = desk.serve();
    let n = desk.propose(
        "ada",
        "base",
        [ask("orders/dev/base", request("pair@1.0.0", "{text: base}"))],
    );
    desk.says(n, &["create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    let user = format!(
        "{}  references:\n    of: {{request: orders/dev/base, output: path}}\n",
        request("reader@1.0.0", "{}")
    );
    let uses = desk.propose("ada", "uses", [ask("orders/dev/uses", user)]);
    desk.says(uses, &["orders/dev/uses"]);
    let removes = desk.propose("grace", "removes", [drop_request("orders/dev/base")]);
    desk.says(removes, &["**Deletes**"]);
    desk.repo().merge("grace", removes);
    desk.says(removes, &["Done"]);
    desk.says(uses, &["orders/dev/base"]);
}
