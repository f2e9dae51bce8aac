//! Words that are said again, or by others: a digest of before, and a copy of what vend says.

use super::Desk;
use super::approval::to_approve;
use crate::daemon::eventually;
use crate::world::{Edit, ask, catalog, note, request};

/// A version of `note` that says it in these words.
fn version(number: &str, words: &str) -> Vec<Edit> {
    let schema =
        r#"{"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}"#;
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let outputs = "{path: {from: note.path}, commit: {from: note.commit}}";
    let source = format!("{words}: {{{{parameters.text}}}}\n");
    catalog::template("note", number, components, outputs, schema, &[("note.yaml.hbs", &source)])
}

fn is_held(desk: &Desk) {
    eventually("it is held", || {
        let status = desk.world.status_or_none("orders/dev/it")?;
        (status["conditions"][0]["reason"] == "PlanChanged").then_some(())
    });
}

#[test]
fn b99_a_digest_of_before_approves_nothing_and_one_that_was_used_neither() {
    let desk = Desk::new();
    let mut daemon = desk.serve();
    let text = || request("note@^1.0.0", "{text: b}");
    let n = desk.propose("ada", "change", [ask("orders/dev/it", text())]);
    desk.says(n, &["1 to create"]);
    // While nobody looks: the template is another one, and the change is merged.
    daemon.kill();
    desk.world.catalog.commit(version("1.8.0", "changed"));
    desk.repo().merge("grace", n);
    let _daemon = desk.serve();
    let old = to_approve(&desk.says(n, &["/vend approve ", "create orders/dev/it#note"]));
    is_held(&desk);

    // Before anybody says yes it is another one again. A yes to what was shown then is one to that, and lets nothing
    // else through.
    desk.world.catalog.commit(version("1.9.0", "changed again"));
    eventually("it is read with that version", || {
        let status = desk.world.status_or_none("orders/dev/it")?;
        (status["template"]["version"] == "1.9.0").then_some(())
    });
    let replayed = desk.repo().comment("grace", n, &format!("/vend approve {old}"));
    desk.reacted(n, replayed, "+1");
    let now = eventually("what would be done now is asked for", || {
        let digest = to_approve(&desk.comment(n)?.body);
        (digest != old).then_some(digest)
    });
    is_held(&desk);
    assert!(desk.world.output.refs().is_empty(), "nothing was made");
    let again = desk.repo().comment("grace", n, &format!("/vend approve {old}"));
    desk.reacted(n, again, "-1");
    assert!(desk.world.output.refs().is_empty(), "nothing was made");
    desk.again_nothing();
    let meant = desk.repo().comment("grace", n, &format!("/vend approve {now}"));
    desk.reacted(n, meant, "+1");
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");

    // What was used up is worth nothing, here and on another pull request.
    let made = desk.world.output.refs();
    let other = desk.propose("ada", "other", [ask("orders/dev/other", note("c"))]);
    desk.says(other, &["1 to create"]);
    for (at, digest) in [(n, &now), (n, &old), (other, &now), (other, &old)] {
        let used = desk.repo().comment("grace", at, &format!("/vend approve {digest}"));
        desk.reacted(at, used, "-1");
    }
    assert_eq!(desk.world.output.refs(), made);
    desk.again_nothing();
}

#[test]
fn b99_a_look_alikes_copy_of_what_we_say_is_not_ours() {
    let desk = Desk::new();
    desk.hub.register("vend-bot");
    let mut daemon = desk.serve();
    let n = desk.propose("ada", "change", [ask("orders/dev/it", note("b"))]);
    let ours = desk.says(n, &["1 to create"]);
    // Somebody, and an App with nearly our name, say all of it once more, marker and commands.
    let body = format!("{ours}\n\n/vend retry\n");
    let copies =
        ["vend", "vend-bot", "vend-bot[bot]"].map(|who| desk.repo().comment(who, n, &body));
    let of = |id: u64| desk.repo().comments(n).into_iter().find(|said| said.id == id).unwrap();
    desk.reacted(n, copies[0], "-1");
    desk.reacted(n, copies[1], "-1");
    assert!(of(copies[2]).reactions.is_empty(), "an App commands nothing");

    // Ours goes on, and theirs stay as they were.
    desk.repo().push("ada", "change", [ask("orders/dev/two", note("b"))]);
    desk.says(n, &["2 to create"]);
    desk.again_nothing();
    daemon.kill();

    // Nor is theirs taken for ours where ours is gone.
    let id = desk.comment(n).unwrap().id;
    desk.repo().delete_comment("grace", id);
    let _daemon = desk.serve();
    desk.repo().push("ada", "change", [ask("orders/dev/three", note("b"))]);
    desk.says(n, &["3 to create"]);
    assert_ne!(desk.comment(n).unwrap().id, id);
    assert!(copies.iter().all(|id| of(*id).body == body), "{:#?}", desk.repo().comments(n));
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    assert!(copies.iter().all(|id| of(*id).body == body), "{:#?}", desk.repo().comments(n));
    desk.again_nothing();
}
