//! Newer versions that are proposed: by the daemon, and by somebody at a terminal.

use serde_json::json;

use super::Desk;
use crate::cli::Laptop;
use crate::daemon::eventually;
use crate::github::Opened;
use crate::world::{ask, catalog, note, path_of, request, write};

/// Requests that are behind are applied and proposals are asked for, one at a time.
fn desk(limit: u64) -> Desk {
    let mut desk = Desk::new();
    desk.world.configure(|c| {
        c["upgrades"] =
            json!({"propose": true, "interval": "1s", "limit": limit, "labels": ["upgrade"]});
    });
    desk.repo().push(
        "grace",
        "main",
        [
            ask("billing/dev/two", note("two")),
            ask("orders/dev/one", format!("# The first.\n{}", note("one"))),
            ask("orders/dev/range", request("note@^1.0", "{text: range}")),
            ask("orders/dev/there", request("note@1.1.0", "{text: there}")),
        ],
    );
    desk
}

/// The one open pull request whose branch begins so, once it is labelled: the last that is done.
#[track_caller]
fn opened(desk: &Desk, branch: &str) -> Opened {
    eventually(&format!("a pull request of {branch}"), || {
        let open = desk.repo().open_pulls();
        let ours = |pull: &Opened| pull.branch.starts_with(branch) && !pull.labels.is_empty();
        open.into_iter().find(ours)
    })
}

fn branches(desk: &Desk) -> String {
    desk.repo().git().git(&["branch", "--list", "vend/upgrade/*", "--format=%(refname:short)"])
}

#[test]
fn each_team_is_asked_once_and_no_is_no() {
    let desk = desk(1);
    let _daemon = desk.serve();
    let first = opened(&desk, "vend/upgrade/note-1.1.0/billing");
    assert_eq!(
        (first.author.as_str(), first.title.as_str(), &first.labels[..]),
        ("vend[bot]", "Upgrade 1 request of billing to note@1.1.0", &["upgrade".to_owned()][..])
    );
    assert!(first.body.contains("| `billing/dev/two` | `1.0.0` | as they are |"), "{}", first.body);
    // It is planned and told as every other is.
    desk.says(first.number, &["update", "billing/dev/two"]);
    assert_eq!(desk.repo().open_pulls().len(), 1, "one at a time");
    desk.repo().merge("grace", first.number);
    desk.says(first.number, &["Done"]);

    let second = opened(&desk, "vend/upgrade/note-1.1.0/orders");
    eventually("the branch that was merged is gone", || {
        (branches(&desk).trim() == "vend/upgrade/note-1.1.0/orders").then_some(())
    });
    assert!(second.body.contains("`orders/dev/one`"), "{}", second.body);
    assert!(!second.body.contains("range") && !second.body.contains("there"), "{}", second.body);
    let file = format!("{}:{}", second.branch, path_of("orders/dev/one"));
    let text = desk.repo().git().git(&["show", &file]);
    assert!(text.starts_with("# The first.\n") && text.contains("note@1.1.0"), "{text}");

    // Somebody says no: not again for that version, and for the next one once more.
    desk.repo().close("ada", second.number);
    let polls = || desk.hub.calls("GET", "/repos/acme/requests/pulls").len();
    let asked = polls();
    eventually("some more turns", || (polls() >= asked + 8).then_some(()));
    assert!(desk.repo().open_pulls().is_empty());
    desk.world.catalog.commit(catalog::note("1.2.0"));
    let third = opened(&desk, "vend/upgrade/note-1.2.0/");
    desk.says(third.number, &["Nothing to do"]);

    // What people push there is theirs, and stays when a newer version comes.
    let edit = ask("orders/dev/more", note("more"));
    let theirs = desk.repo().push("ada", &third.branch, [edit]);
    desk.world.catalog.commit(catalog::note("1.3.0"));
    let fourth = opened(&desk, "vend/upgrade/note-1.3.0/");
    assert_eq!(desk.repo().at(&third.branch), theirs);
    let open: Vec<u64> = desk.repo().open_pulls().iter().map(|pull| pull.number).collect();
    assert_eq!(open, [third.number, fourth.number]);
}

#[test]
fn what_is_overtaken_is_taken_back_and_a_forge_that_refuses_delays_nobody() {
    let desk = desk(9);
    desk.hub.fault("POST", "/repos/*/*/pulls", None, crate::github::Fault::Status(403));
    let daemon = desk.serve();
    let n = desk.propose("ada", "extra", [ask("orders/dev/extra", note("extra"))]);
    desk.hub.mend();
    desk.says(n, &["create"]);
    drop(daemon);

    let _daemon = desk.serve();
    let old =
        ["billing", "orders"].map(|team| opened(&desk, &format!("vend/upgrade/note-1.1.0/{team}")));
    desk.world.catalog.commit(catalog::note("1.2.0"));
    for team in ["billing", "orders"] {
        opened(&desk, &format!("vend/upgrade/note-1.2.0/{team}"));
    }
    eventually("the older ones are closed", || {
        let open = desk.repo().open_pulls();
        old.iter().all(|old| open.iter().all(|it| it.number != old.number)).then_some(())
    });
    assert!(!branches(&desk).contains("note-1.1.0"), "{}", branches(&desk));
    // That was nobody's no.
    desk.world.catalog.commit([crate::world::remove("templates/note/1.2.0")]);
    desk.again_nothing();
}

#[test]
fn what_no_wave_brings_is_proposed_and_what_was_stopped_is_not() {
    let desk = desk(9);
    let waves = "spec: {format: 1, rollout: [{environment: dev}]}\n";
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\n";
    desk.world.catalog.commit([write("catalog.yaml", format!("{head}{waves}"))]);
    let far = ask("orders/prod/far", request("note@^1.1", "{text: far}"));
    desk.repo().push("grace", "main", [far]);
    let _daemon = desk.serve();
    desk.ready("orders/prod/far");
    let has = |id: &str, version: &str| {
        eventually(&format!("{id} has {version}"), || {
            let status = desk.world.status_or_none(id)?;
            (status["template"]["version"] == version).then_some(())
        });
    };
    desk.world.catalog.commit(catalog::note("1.2.0"));
    has("orders/dev/range", "1.2.0");
    // No wave is of `prod`.
    let body = eventually("it is proposed", || {
        let open = desk.repo().open_pulls();
        let ours = |pull: &&Opened| pull.branch == "vend/upgrade/note-1.2.0/orders";
        open.iter().find(ours).map(|p| p.body.clone()).filter(|b| b.contains("orders/prod/far"))
    });
    assert!(body.contains("`orders/dev/one`") && !body.contains("orders/dev/range"), "{body}");

    desk.world.vend_ends(0, &["catalog", "rollout", "stop", "note@1.3.0"]);
    desk.world.catalog.commit(catalog::note("1.3.0"));
    eventually("it is there, and stopped", || {
        let shown = desk.world.vend_ends(0, &["catalog", "rollout"]).stdout;
        shown.contains("the rollout of `note@1.3.0` was stopped by").then_some(())
    });
    let polls = || desk.hub.calls("GET", "/repos/acme/requests/pulls").len();
    let asked = polls();
    eventually("some more turns", || (polls() >= asked + 8).then_some(()));
    let open = desk.repo().open_pulls();
    assert!(open.iter().all(|pull| !pull.branch.contains("1.3.0")), "{open:?}");
    assert!(open.iter().any(|pull| pull.branch == "vend/upgrade/note-1.2.0/orders"), "{open:?}");
    desk.world.vend_ends(0, &["catalog", "rollout", "resume", "note@1.3.0"]);
    has("orders/dev/range", "1.3.0");
    opened(&desk, "vend/upgrade/note-1.3.0/orders");
}

#[test]
fn somebody_at_a_terminal_opens_one_for_each_team() {
    let desk = desk(1);
    let laptop = Laptop::clone(&desk.world, &[]);
    let token = desk.world.root().join("ada-token");
    std::fs::write(&token, desk.hub.token("ada")).unwrap();
    // Her own git can read what she has cloned.
    let (url, ada) = (desk.repo().url(), desk.hub.token("ada"));
    let rewritten = url.replace("://", &format!("://x-access-token:{ada}@"));
    let home = desk.world.root().join("home/.gitconfig");
    let own = std::fs::read_to_string(&home).unwrap_or_default();
    let own = format!("{own}[url \"{rewritten}\"]\n\tinsteadOf = {url}\n");
    std::fs::write(&home, own).unwrap();
    let config = json!({
        "catalog": {"repository": desk.world.catalog.url()},
        "requests": [{"repository": url}],
        "forge": {"github": {"api": desk.hub.api(), "tokenFile": token}},
    });
    let write = |config: &serde_json::Value| laptop.write("vend.yaml", config.to_string());
    write(&config);
    let upgrade = ["upgrade", "--template", "note", "--to", "1.1.0", "--propose"];
    let told = laptop.ends(0, &upgrade).stdout;
    let open = desk.repo().open_pulls();
    let teams: Vec<&str> = open.iter().map(|pull| pull.branch.as_str()).collect();
    assert_eq!(teams, ["vend/upgrade/note-1.1.0/billing", "vend/upgrade/note-1.1.0/orders"]);
    assert!(open.iter().all(|pull| pull.author == "ada"), "{open:?}");
    assert!(told.contains("billing to note@1.1.0: http"), "{told}");
    assert!(told.contains("Proposed to edit 2 files; 0 left as they are."), "{told}");
    assert_eq!(laptop.git(&["status", "--porcelain"]).trim(), "?? vend.yaml");

    let again = laptop.ends(0, &[&upgrade[..], &["--format", "json"]].concat()).json();
    assert_eq!(again["proposed"][0]["state"], "open", "{again}");
    assert_eq!(desk.repo().open_pulls().len(), 2);

    // Another request is behind: the pull request that is there takes it in.
    desk.repo().push("grace", "main", [ask("orders/dev/more", note("more"))]);
    laptop.git(&["pull", "-q"]);
    let told = laptop.ends(0, &upgrade).stdout;
    assert!(told.contains("orders to note@1.1.0: http"), "{told}");
    assert!(told.contains("Proposed to edit 3 files; 0 left as they are."), "{told}");
    let now = desk.repo().open_pulls();
    let orders = now.iter().find(|pull| pull.branch.ends_with("/orders")).unwrap();
    assert_eq!((now.len(), orders.number), (2, open[1].number));
    assert!(orders.body.contains("`orders/dev/more`"), "{}", orders.body);
    let has = |path: &str| {
        let file = format!("{}:{}", orders.branch, path_of(path));
        desk.repo().git().git(&["show", &file]).contains("note@1.1.0")
    };
    assert!(has("orders/dev/one") && has("orders/dev/more"));
    let tip = desk.repo().at(&orders.branch);
    laptop.ends(0, &upgrade);
    assert_eq!(desk.repo().at(&orders.branch), tip, "again: nothing to do");

    // What else is pushed there is somebody's work, by the same account too. It is not counted.
    let theirs = desk.repo().push("ada", &orders.branch, [ask("orders/dev/own", note("own"))]);
    desk.repo().push("grace", "main", [ask("orders/dev/third", note("third"))]);
    laptop.git(&["pull", "-q"]);
    let told = laptop.ends(0, &upgrade).stdout;
    assert!(told.contains("orders to note@1.1.0: left to whoever works on http"), "{told}");
    assert!(told.contains("Proposed to edit 1 file; 3 left as they are."), "{told}");
    assert_eq!(desk.repo().at(&orders.branch), theirs);

    desk.repo().close("ada", open[0].number);
    let told = laptop.ends(0, &upgrade).stdout;
    assert!(told.contains("reopen it if it is wanted after all"), "{told}");
    assert!(told.contains("Proposed to edit 0 files; 4 left as they are."), "{told}");

    // What lies on the branch is not what lies here.
    desk.repo().push("ada", "main", [ask("orders/dev/one", note("other"))]);
    let told = laptop.ends(0, &[&upgrade[..], &["--team", "orders"]].concat()).stdout;
    assert!(told.contains("orders/dev/one  left as it is: the branch that it would"), "{told}");
    let mut plain = config;
    plain.as_object_mut().unwrap().remove("forge");
    write(&plain);
    let told = laptop.ends(2, &upgrade).stderr;
    assert!(told.contains("--branch NAME"), "{told}");
}
