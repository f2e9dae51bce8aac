//! The store is lost, without any copy of it: it is made anew from the status branch and the providers.

use crate::daemon::Serving;
use crate::world::{
    STATUS, World, ask, catalog, drop_request, note, remove, request, request_with, write,
};

const ID: &str = "orders/dev/hello";
const USES: &str = "orders/dev/uses";
const PAIR: &str = "orders/prod/pair";
const ENDS: &str = "orders/dev/ends";
const BROKEN: &str = "orders/dev/broken";

fn uses(of: &str) -> String {
    let references = format!("references: {{of: {{request: {of}, output: commit}}}}");
    request_with("reader@1.0.0", "{}", &references)
}

/// Some that are applied, one that has an end, one that is protected, and one that is wrong.
fn standing() -> World {
    let world = World::new();
    world.requests.commit([
        ask(ID, note("hello")),
        ask(USES, uses(ID)),
        ask(PAIR, request_with("pair@1.0.0", "{text: two}", "protect: true")),
        ask(ENDS, request_with("note@1.0.0", "{text: ends}", "ttl: 30d")),
        ask(BROKEN, request("note@1.0.0", "{txt: typo}")),
    ]);
    world.vend(&["apply", "--wait"]);
    for id in [ID, USES, PAIR, ENDS] {
        world.ready(id);
    }
    world.held(BROKEN, "Invalid");
    world
}

/// The whole state folder is gone, as with a machine.
fn lose(world: &World) {
    std::fs::remove_dir_all(world.root().join("state")).unwrap();
}

/// Statuses without what may differ between two vends.
fn statuses(world: &World) -> Vec<serde_json::Value> {
    [ID, USES, PAIR, ENDS, BROKEN].map(|id| world.status(id)).to_vec()
}

#[test]
fn f71_a_lost_store_comes_back_and_there_is_nothing_to_do() {
    let world = standing();
    let (made, said, refs) = (world.output.refs(), statuses(&world), world.refs());
    lose(&world);
    for command in ["plan", "apply"] {
        let refused = world.vend_ends(2, &[command]).stderr;
        assert!(refused.contains("vend state rebuild"), "{command}: {refused}");
    }
    let rebuilt = world.vend_ends(0, &["state", "rebuild"]).stdout;
    assert!(rebuilt.contains("5 requests, 4 of them with something applied"), "{rebuilt}");
    assert!(rebuilt.contains("5 targets stand as they were recorded.\nNothing"), "{rebuilt}");
    assert_eq!(world.refs(), refs, "rebuilding writes to no repository");
    let plan = world.vend_ends(3, &["plan"]).stdout;
    let nothing = "0 to create, 0 to update, 0 to replace, 0 to delete; 1 held; 4 unchanged";
    assert!(plan.contains(nothing), "{plan}");
    world.vend(&["apply", "--wait"]);
    assert_eq!(world.output.refs(), made, "nothing is made a second time");
    assert_eq!(statuses(&world), said);
    world.again_nothing();

    // All goes on as before: changes, ends, protection, deletion.
    world.requests.commit([ask(ID, note("other")), drop_request(PAIR), drop_request(USES)]);
    world.vend(&["apply", "--wait"]);
    world.ready(ID);
    world.held(PAIR, "Protected");
    assert!(world.status_or_none(USES).is_none());
    assert_eq!(world.status(ENDS)["expiresAt"], said[3]["expiresAt"]);
    world.again_nothing();
}

#[test]
fn what_cannot_be_read_is_not_left_out() {
    let world = standing();
    lose(&world);
    let text = world.requests.read(STATUS, &format!("status/{ID}.yaml")).unwrap();
    let broken = [
        (format!("status/{ID}.yaml"), "phase: [".to_owned()),
        (format!("status/{ID}.yaml"), text.replace(ID, "orders/dev/other")),
        ("state.yaml".to_owned(), "gates: 1\n".to_owned()),
        ("catalog/note/1.0.0.yaml".to_owned(), "{}\n".to_owned()),
        ("status/orders/dev/notes.yaml".to_owned(), "Mine.\n".to_owned()),
    ];
    for (path, edit) in broken {
        let before = world.requests.read(STATUS, &path);
        world.requests.commit_to(STATUS, [write(&path, edit)]);
        let said = world.vend_ends(2, &["state", "rebuild"]).stderr;
        assert!(said.contains(&path) && said.contains("second time"), "{said}");
        assert!(!world.root().join("state/vend.sqlite").exists());
        let back = before.map_or_else(|| remove(&path), |before| write(&path, before));
        world.requests.commit_to(STATUS, [back]);
    }
    for (path, said) in [
        (format!("status/{ID}.yaml"), format!("status/{ID}.yaml")),
        ("state.yaml".to_owned(), "no `state.yaml`".to_owned()),
    ] {
        let before = world.requests.read(STATUS, &path).unwrap();
        world.requests.commit_to(STATUS, [remove(&path)]);
        let stderr = world.vend_ends(2, &["state", "rebuild"]).stderr;
        assert!(stderr.contains(&said), "{stderr}");
        world.requests.commit_to(STATUS, [write(&path, before)]);
    }
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.again_nothing();
}

#[test]
fn a_store_that_is_there_is_not_written_over_and_without_a_branch_there_is_nothing_to_rebuild_from()
{
    let world = standing();
    let said = world.vend_ends(2, &["state", "rebuild"]).stderr;
    assert!(said.contains("there is a store at"), "{said}");
    world.again_nothing();

    let new = World::new();
    let said = new.vend_ends(2, &["state", "rebuild"]).stderr;
    assert!(said.contains(&format!("there is no branch `{STATUS}`")), "{said}");
}

#[test]
fn what_a_rebuild_that_was_cut_off_left_is_in_nobodys_way() {
    let world = standing();
    lose(&world);
    std::fs::create_dir_all(world.root().join("state")).unwrap();
    std::fs::write(world.root().join("state/vend.sqlite.rebuilding"), "half").unwrap();
    std::fs::write(world.root().join("state/vend.sqlite.rebuilding-wal"), "half").unwrap();
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.again_nothing();
}

#[test]
fn what_happened_while_there_was_no_store_is_met_with_all_guards() {
    let world = standing();
    lose(&world);
    // A file under another name, without a word that it moved.
    world.requests.commit([drop_request(ID), ask("orders/dev/renamed", note("hello"))]);
    world.vend_ends(0, &["state", "rebuild"]);
    let made = world.output.refs();
    world.vend(&["apply", "--wait"]);
    world.held(ID, "LooksLikeAMove");
    world.held("orders/dev/renamed", "LooksLikeAMove");
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
}

#[test]
fn a_rename_into_another_team_is_held_as_if_it_had_been_seen() {
    let world = standing();
    lose(&world);
    let moved = "billing/dev/ends";
    let text = request_with("note@1.0.0", "{text: ends}", "ttl: 30d");
    world.requests.commit([drop_request(ENDS), ask(moved, text)]);
    world.vend_ends(0, &["state", "rebuild"]);
    let made = world.output.refs();
    world.vend(&["apply", "--wait"]);
    world.held(ENDS, "LooksLikeAMove");
    world.held(moved, "LooksLikeAMove");
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
}

#[test]
fn another_configuration_than_the_lost_ones_is_refused() {
    let mut world = standing();
    lose(&world);
    let other = world.repository("other");
    other.commit([write("requests/README.md", "Requests.\n")]);
    let as_it_was = world.requests.url();
    for requests in [
        serde_json::json!([{"repository": other.url()}]),
        serde_json::json!([{"repository": as_it_was, "path": "reqs"}]),
        serde_json::json!([{"name": "others", "repository": as_it_was}]),
    ] {
        world.configure(|c| {
            c["requests"] = requests;
            c["status"] = serde_json::json!({"repository": as_it_was});
        });
        let said = world.vend_ends(2, &["state", "rebuild"]).stderr;
        assert!(said.contains("the configuration is not the one"), "{said}");
        assert!(!world.root().join("state/vend.sqlite").exists());
    }
    world.configure(|c| c["requests"] = serde_json::json!([{"repository": as_it_was}]));
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.again_nothing();
}

#[test]
fn what_left_one_source_for_another_is_held_as_before() {
    let mut world = standing();
    let (old, new) = (world.requests.url(), world.repository("new"));
    world.configure(|c| {
        let source = |name: &str, url: &str| serde_json::json!({"name": name, "repository": url});
        c["requests"] = serde_json::json!([source("requests", &old), source("new", &new.url())]);
        c["status"] = serde_json::json!({"repository": old});
    });
    world.requests.commit([drop_request(ID)]);
    new.commit([ask(ID, note("hello"))]);
    world.vend(&["apply", "--wait"]);
    world.held(ID, "LooksLikeAMove");
    lose(&world);
    world.vend_ends(0, &["state", "rebuild"]);
    let made = world.output.refs();
    world.vend(&["apply", "--wait"]);
    world.held(ID, "LooksLikeAMove");
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
}

#[test]
fn a_forged_status_takes_nothing_from_another() {
    let world = standing();
    lose(&world);
    let text = world.requests.read(STATUS, &format!("status/{PAIR}.yaml")).unwrap();
    let ghost = text.replace(PAIR, "zzz/dev/ghost").replace("protect: true", "protect: false");
    let path = "status/zzz/dev/ghost.yaml";
    world.requests.commit_to(STATUS, [write(path, ghost)]);
    let said = world.vend_ends(2, &["state", "rebuild"]).stderr;
    assert!(said.contains("claim the same target"), "{said}");
    // That it is protected is said by its file, whatever the branch says.
    let open = text.replace("protect: true", "protect: false");
    let edits = [remove(path), write(format!("status/{PAIR}.yaml"), open)];
    world.requests.commit_to(STATUS, edits);
    world.requests.commit([drop_request(PAIR)]);
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.held(PAIR, "Protected");
    world.again_nothing();
}

#[test]
fn f66_the_lost_store_is_the_older_one_when_it_comes_back() {
    let world = standing();
    for _ in 0..3 {
        world.vend(&["apply", "--wait"]);
    }
    let (state, away) = (world.root().join("state"), world.root().join("away"));
    std::fs::rename(&state, &away).unwrap();
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.again_nothing();
    let rebuilt = world.root().join("rebuilt");
    std::fs::rename(&state, &rebuilt).unwrap();
    std::fs::rename(&away, &state).unwrap();
    world.requests.commit([ask(ID, note("other"))]);
    let said = world.vend(&["apply", "--wait"]).stderr;
    assert!(said.contains("behind"), "{said}");
}

#[test]
fn what_cannot_be_looked_at_is_waited_for() {
    let world = standing();
    lose(&world);
    let away = world.root().join("gone");
    std::fs::rename(world.output.path(), &away).unwrap();
    let said = world.vend_ends(2, &["state", "rebuild"]).stderr;
    assert!(said.contains("could not be looked at"), "{said}");
    assert!(!world.root().join("state/vend.sqlite").exists());
    std::fs::rename(&away, world.output.path()).unwrap();
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.again_nothing();
}

#[test]
fn beside_a_daemon_nothing_is_rebuilt() {
    let world = standing();
    let mut daemon = Serving::ready(&world);
    std::fs::remove_file(world.root().join("state/vend.sqlite")).unwrap();
    let said = world.vend_ends(2, &["state", "rebuild"]).stderr;
    assert!(said.contains("a daemon answers at"), "{said}");
    daemon.kill();
    lose(&world);
    world.vend_ends(0, &["state", "rebuild"]);
    world.vend(&["apply", "--wait"]);
    world.again_nothing();
}

#[test]
fn f04_a_history_that_was_rewritten_meanwhile_is_held() {
    let world = standing();
    lose(&world);
    world.requests.rewrite([write("requests/README.md", "Others.\n")]);
    world.vend_ends(0, &["state", "rebuild"]);
    let made = world.output.refs();
    let said = world.vend(&["apply", "--wait"]);
    assert!(format!("{}{}", said.stdout, said.stderr).contains("rewritten"), "{said:?}");
    assert_eq!(world.output.refs(), made);
    assert!(world.status_or_none(ID).is_some());
}

#[test]
fn what_was_applied_and_not_published_is_found_by_its_mark() {
    let mut world = World::new();
    let status = world.repository("status");
    world.configure(|c| c["status"] = serde_json::json!({"repository": status.url()}));
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let away = world.root().join("away");
    std::fs::rename(status.path(), &away).unwrap();
    let edits = [ask(ID, note("other")), ask("orders/dev/second", note("second"))];
    world.requests.commit(edits);
    world.vend(&["apply", "--wait"]);
    let made = world.output_log();
    std::fs::rename(&away, status.path()).unwrap();
    lose(&world);
    let said = world.vend_ends(0, &["state", "rebuild"]).stdout;
    assert!(said.contains("1 does not: the next pass"), "{said}");
    world.vend(&["apply", "--wait"]);
    for id in [ID, "orders/dev/second"] {
        let said = status.read_yaml(STATUS, &format!("status/{id}.yaml")).unwrap();
        assert_eq!(said["phase"], "Ready", "{said}");
    }
    let creations = |log: &[(String, Vec<String>)]| {
        let steps = log.iter().flat_map(|(_, steps)| steps);
        steps.filter(|step| step.contains("create")).count()
    };
    assert_eq!(creations(&world.output_log()), creations(&made), "{:?}", world.output_log());
    world.again_nothing();
}

#[test]
fn how_far_a_version_has_come_is_not_forgotten() {
    let world = World::new();
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\n";
    let waves = "{environment: dev, pause: 30d}, {environment: prod}";
    let text = format!("{head}spec: {{format: 1, rollout: [{waves}]}}\n");
    world.catalog.commit([write("catalog.yaml", text)]);
    let prod = "orders/prod/b";
    world.requests.commit([
        ask(ID, request("note@~1.1", "{text: hello}")),
        ask(prod, request("note@~1.1", "{text: hello}")),
    ]);
    world.apply();
    world.catalog.commit(catalog::note("1.1.1"));
    world.apply();
    let version = |id: &str| world.status(id)["template"]["version"].clone();
    assert_eq!((version(ID), version(prod)), ("1.1.1".into(), "1.1.0".into()));
    world.vend_ends(0, &["catalog", "rollout", "stop", "note@1.1.1"]);
    world.vend(&["apply", "--wait"]);
    let shown = world.vend_ends(0, &["catalog", "rollout"]).stdout;
    assert!(shown.contains("stopped"), "{shown}");
    lose(&world);
    world.vend_ends(0, &["state", "rebuild"]);
    assert_eq!(world.vend_ends(0, &["catalog", "rollout"]).stdout, shown);
    world.vend(&["apply", "--wait"]);
    assert_eq!((version(ID), version(prod)), ("1.1.1".into(), "1.1.0".into()));
    world.again_nothing();
}
