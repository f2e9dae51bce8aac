//! What people ask for in comments.

use super::Desk;
use super::approval::settled;
use crate::world::{ask, note};

#[test]
fn b99_what_is_asked_is_answered_once_in_the_one_comment() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    settled(&desk, "orders/dev/it");
    let n = desk.propose("ada", "two", [ask("orders/dev/two", note("two"))]);
    desk.says(n, &["1 to create"]);
    let repo = desk.repo();
    repo.permit("rita", "read");

    let explain = repo.comment("grace", n, "Where is it?\n\n/vend explain orders/dev/it");
    desk.reacted(n, explain, "+1");
    let help = repo.comment("rita", n, "/vend help");
    desk.reacted(n, help, "eyes");
    let unknown = repo.comment("grace", n, "/vend make me a sandwich");
    desk.reacted(n, unknown, "confused");
    let retry = repo.comment("ada", n, "/vend retry");
    desk.reacted(n, retry, "+1");
    let refused = repo.comment("rita", n, "/vend retry");
    desk.reacted(n, refused, "-1");
    desk.says(n, &["/vend make me a sandwich", "may write to the repository"]);

    // Quoted, fenced, of a stranger's: nobody asked.
    let quoted = repo.comment("grace", n, "> /vend retry\n\nWhy?");
    let fenced = repo.comment("grace", n, "```\n/vend retry\n```");
    let edited = repo.comment("ada", n, "Well.");
    desk.hub.advance(std::time::Duration::from_secs(2));
    repo.edit_comment("grace", edited, "/vend retry");
    let after = repo.comment("grace", n, "/vend plan");
    desk.reacted(n, after, "+1");
    let of = |id: u64| repo.comments(n).into_iter().find(|said| said.id == id).unwrap();
    assert!(of(quoted).reactions.is_empty() && of(fenced).reactions.is_empty());
    assert_eq!(of(edited).reactions, ["vend[bot] confused"]);

    desk.again_nothing();
    daemon.kill();
    let before: Vec<_> = repo.comments(n).into_iter().map(|said| said.body).collect();
    desk.hub.forget();
    let _daemon = desk.serve();
    desk.again_nothing();
    let reactions = desk.hub.calls("POST", "/repos/*/*/issues/comments/*/reactions");
    assert!(reactions.is_empty(), "answered again: {reactions:#?}");
    let now: Vec<_> = repo.comments(n).into_iter().map(|said| said.body).collect();
    assert_eq!(before, now);
}
