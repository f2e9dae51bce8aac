//! A pull request to the catalog: who it reaches, in one picture, and nothing is touched.

use serde_json::json;

use super::Desk;
use crate::daemon::eventually;
use crate::world::{Edit, ask, catalog, note, remove, request, write};

/// A desk whose catalog lies on GitHub too, with requests that are applied.
fn desk() -> Desk {
    let mut desk = Desk::new();
    let repo = desk.hub.create("acme/catalog");
    repo.permit("ada", "write");
    repo.permit("grace", "maintain");
    repo.push("grace", "main", catalog::files(&desk.world.output.url()));
    let url = repo.url();
    desk.world.configure(|c| c["catalog"] = json!({"repository": url}));
    desk
}

fn propose(desk: &Desk, branch: &str, edits: Vec<Edit>) -> (String, u64) {
    let repo = desk.hub.repo("acme/catalog");
    let head = repo.push_branch("ada", branch, "main", edits);
    (head, repo.open_pull("ada", branch, "main", &format!("Please: {branch}")))
}

fn says(desk: &Desk, number: u64, all: &[&str]) -> String {
    let repo = desk.hub.repo("acme/catalog");
    eventually(&format!("the comment says {all:?}"), || {
        let said = repo.comments(number).into_iter().find(|said| said.author == "vend[bot]")?;
        all.iter().all(|text| said.body.contains(text)).then_some(said.body)
    })
}

#[test]
fn the_picture_of_a_catalogs_change_comes_first_and_nothing_is_touched() {
    let desk = desk();
    let mut edits: Vec<_> =
        (0..4).map(|n| ask(&format!("orders/dev/n{n}"), note("hello"))).collect();
    edits.push(ask("payments/prod/loud", request("note@1.1.0", "{text: hello, tone: loud}")));
    edits.push(ask("payments/prod/plain", request("note@1.1.0", "{text: hello}")));
    desk.repo().push("grace", "main", edits);
    let _daemon = desk.serve();
    for id in ["orders/dev/n0", "orders/dev/n3", "payments/prod/plain"] {
        desk.ready(id);
    }
    let made = desk.world.output.refs();

    // A default of an environment: one of two takes it.
    let defaults = "  protect: true\n  defaults: {note: {tone: calm}}\n";
    let edit = catalog::environment("prod", &desk.world.output.url(), defaults);
    let (_, n) = propose(&desk, "defaults", vec![edit]);
    let said = says(&desk, n, &["#### Blast radius", "1 of 6 requests would change"]);
    assert!(said.contains("| updates | 1 | `payments`: `prod` 1 |"), "{said}");
    assert!(said.contains("never executed"), "{said}");
    assert!(said.contains("+tone: calm"), "{said}");

    // A new version reaches nobody by itself, and it is said who could take it.
    let (_, n) = propose(&desk, "version", catalog::note("1.2.0"));
    let said = says(&desk, n, &["None of 6 requests would change"]);
    assert!(said.contains("4 use 1.0.0") && said.contains("2 use 1.1.0"), "{said}");

    // An edit of what was published is refused, and changes nothing for those who use it.
    let edit = write("templates/note/1.0.0/note.yaml.hbs", "edited: {{parameters.text}}\n");
    let (head, n) = propose(&desk, "edit", vec![edit]);
    says(&desk, n, &["edited after it was published"]);
    let repo = desk.hub.repo("acme/catalog");
    let check = |head: &str, wanted: &str| {
        eventually("the check", || {
            let run = repo.checks(head).into_iter().rfind(|run| run.name == "vend")?;
            (run.conclusion.as_deref() == Some(wanted)).then_some(run)
        })
    };
    check(&head, "failure");

    // How far a version has come may change, which changes nobody.
    let Some(Edit::Write(file, text)) = catalog::note("1.0.0").into_iter().next() else {
        panic!("a template's own file comes first")
    };
    let old = text.replace("version: 1.0.0", "version: 1.0.0, lifecycle: deprecated");
    let (head, _) = propose(&desk, "lifecycle", vec![write(file, old)]);
    check(&head, "success");

    // A folder that goes takes nobody to another version, and they are named.
    let gone = vec![remove("templates/note/1.0.0")];
    let (head, n) = propose(&desk, "gone", gone);
    let said = says(
        &desk,
        n,
        &["Gone: `note@1.0.0`, which 4 requests have", "is gone from the catalog, and"],
    );
    assert!(said.contains("would be held | 4 |"), "{said}");
    check(&head, "failure");

    // A problem of the catalog's own stands on its line.
    let edit = write("templates/note/1.0.0/template.yaml", "apiVersion: vend.dev/v1\nkind: Nope\n");
    let (head, _) = propose(&desk, "broken", vec![edit]);
    let run = check(&head, "failure");
    let all = &run.annotations;
    let on_it = |a: &serde_json::Value| a["path"] == "templates/note/1.0.0/template.yaml";
    assert!(all.iter().any(on_it), "{all:#?}");

    assert_eq!(desk.world.output.refs(), made, "nothing was touched");
    desk.again_nothing();
}

#[test]
fn a_new_version_is_told_wave_by_wave_before_it_is_merged() {
    let desk = desk();
    let text = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\nspec: {format: 1, rollout: [{environment: dev}, {environment: prod}]}\n";
    desk.hub.repo("acme/catalog").push("grace", "main", vec![write("catalog.yaml", text)]);
    let edits = [
        ask("orders/dev/a", request("note@~1.1", "{text: hello}")),
        ask("orders/dev/pinned", request("note@1.1.0", "{text: hello}")),
        ask("orders/prod/b", request("note@^1.1", "{text: hello}")),
        ask("orders/prod/long", request("note@~1.1", "{text: a long one}")),
    ];
    desk.repo().push("grace", "main", edits);
    let _daemon = desk.serve();
    for id in ["orders/dev/a", "orders/prod/b", "orders/prod/long"] {
        desk.ready(id);
    }
    let made = desk.world.output.refs();
    let change = |edit| match edit {
        Edit::Write(path, text) => Edit::Write(path, text.replace("\ntone: ", "\nmood: ")),
        other => other,
    };
    let (head, n) =
        propose(&desk, "waves", catalog::note("1.1.1").into_iter().map(change).collect());
    let said =
        says(&desk, n, &["1 request at once, 2 later, in waves", "3 of 4 requests would change"]);
    for part in [
        "- at once: 1 request, nothing is lost",
        "- later, wave by wave: 2 requests, nothing is lost",
        "dev | updates | 1 | `orders`: `dev` 1 |",
        "prod | updates | 2 | `orders`: `prod` 2 |",
        "<b>updates</b> <code>orders/dev/a</code>",
        "+mood: plain",
    ] {
        assert!(said.contains(part), "{part}\n{said}");
    }
    let check = eventually("the check", || {
        let repo = desk.hub.repo("acme/catalog");
        repo.checks(&head).into_iter().rfind(|run| run.name == "vend" && run.conclusion.is_some())
    });
    let title = check.title.unwrap_or_default();
    assert!(title.contains("1 request at once, 2 later, in waves"), "{title}");
    assert_eq!(desk.world.output.refs(), made, "nothing was touched");
    desk.again_nothing();
}

#[test]
fn tests_of_a_new_version_can_fail_its_check_and_those_of_a_published_one_are_told() {
    let desk = desk();
    desk.repo().push("grace", "main", [ask("orders/dev/a", note("hello"))]);
    let _daemon = desk.serve();
    desk.ready("orders/dev/a");
    let repo = desk.hub.repo("acme/catalog");
    let check = |head: &str, wanted: &str| {
        eventually("the check", || {
            let run = repo.checks(head).into_iter().rfind(|run| run.name == "vend")?;
            (run.conclusion.as_deref() == Some(wanted)).then_some(run)
        })
    };
    let found = |run: &crate::github::CheckRun| {
        let about = |a: &&serde_json::Value| a["path"] == "templates/note/1.2.0/tests/plain.yaml";
        let line = |a: &serde_json::Value| format!("{} {}", a["annotation_level"], a["message"]);
        run.annotations.iter().filter(about).map(line).collect::<String>()
    };
    let version = |tone: &str| {
        let mut edits = catalog::note("1.2.0");
        let at = "templates/note/1.2.0/tests";
        let test = "apiVersion: vend.dev/v1\nkind: TemplateTest\nspec:\n  environment: prod\n  request: {parameters: {text: hi}}\n  expect: {rendered: golden/}\n";
        edits.push(write(format!("{at}/plain.yaml"), test));
        let golden = format!("text: hi\ntone: {tone}\n");
        edits.push(write(format!("{at}/golden/note/note.yaml"), golden));
        edits
    };
    let (head, _) = propose(&desk, "wrong", version("loud"));
    let said = found(&check(&head, "failure"));
    assert!(said.contains("failure") && said.contains("other files are rendered"), "{said}");

    let (head, n) = propose(&desk, "right", version("plain"));
    assert_eq!(found(&check(&head, "success")), "");
    repo.merge("grace", n);
    // Nobody proposed that one, so it is only read: the version is there.
    desk.repo().push("grace", "main", [ask("orders/dev/b", request("note@1.2.0", "{text: b}"))]);
    eventually("a request has read it", || {
        let status = desk.world.status_or_none("orders/dev/b")?;
        (status["template"]["version"] == "1.2.0").then_some(())
    });

    // What it renders in an environment is not the version's alone: an edit of that is told what it changes.
    let defaults = "  protect: true\n  defaults: {note: {tone: calm}}\n";
    let edit = || catalog::environment("prod", &desk.world.output.url(), defaults);
    let (head, _) = propose(&desk, "calm", vec![edit()]);
    let said = found(&check(&head, "success"));
    assert!(said.contains("warning") && said.contains("--bless"), "{said}");
    // With its tests brought up to date there is nothing to be told.
    let golden = "templates/note/1.2.0/tests/golden/note/note.yaml";
    let mended = vec![edit(), write(golden, "text: hi\ntone: calm\n")];
    let (head, _) = propose(&desk, "calm-and-tested", mended);
    assert_eq!(found(&check(&head, "success")), "");
    desk.again_nothing();
}
