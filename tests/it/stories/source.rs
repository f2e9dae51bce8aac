//! Sources that are gone, emptied or rewritten: an error never reads as "empty".

use serde_json::json;

use crate::daemon::{Serving, eventually};
use crate::isolation::many;
use crate::world::{Edit, STATUS, World, ask, drop_request, note, path_of, write};

const ID: &str = "orders/dev/hello";
const OTHER: &str = "payments/dev/other";

fn two() -> World {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello")), ask(OTHER, note("other"))]);
    world.apply();
    world
}

/// Nothing was done to what was made, and the pass says why.
#[track_caller]
fn untouched(world: &World, output: &str, said: &str) -> String {
    let text = world.apply();
    assert!(text.contains(said), "{text}");
    assert_eq!(world.output.refs(), output);
    for id in [ID, OTHER] {
        assert!(world.status_or_none(id).is_some());
    }
    text
}

#[test]
fn f08_a_requests_folder_that_is_gone_deletes_nothing() {
    let world = two();
    let output = world.output.refs();

    let tip = world.requests.commit([Edit::RemoveAll, write("README.md", "Moved.\n")]);
    let said = untouched(&world, &output, "the folder `requests` of `requests` is not in");
    assert!(said.contains(&format!("`vend approve requests@{tip}`")), "{said}");
    world.again_nothing();

    // Accepted as empty: then it is a large deletion like any other.
    world.vend_ends(0, &["approve", &format!("requests@{tip}")]);
    world.apply();
    assert!(world.output_file("dev/orders/hello/note/note.yaml").is_none());
    world.again_nothing();
}

#[test]
fn f08_an_emptied_repository_meets_the_breaker_once_it_is_accepted() {
    let world = World::new();
    let ids: Vec<String> = (0..5).map(|n| format!("orders/dev/note-{n}")).collect();
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    world.apply();
    let output = world.output.refs();

    let tip = world.requests.commit([Edit::RemoveAll]);
    let said = world.apply();
    assert!(said.contains("the folder `requests` of `requests` is not in"), "{said}");
    assert_eq!(world.output.refs(), output);

    world.vend_ends(0, &["approve", &format!("requests@{tip}")]);
    world.apply();
    let sentence = world.held(&ids[0], "TooManyDeletes");
    assert!(sentence.contains("5 of 5 requests"), "{sentence}");
    assert_eq!(world.output.refs(), output);
    world.approve(&sentence);
    world.apply();
    assert!(world.output.files("main", "").is_empty());
    world.again_nothing();
}

#[test]
fn f08_a_folder_that_comes_back_goes_on_by_itself() {
    let world = two();
    let output = world.output.refs();
    world.requests.commit([Edit::RemoveAll, write("README.md", "Moved.\n")]);
    untouched(&world, &output, "is not in");

    world.requests.commit([ask(ID, note("hello")), ask(OTHER, note("changed"))]);
    world.apply();
    assert_eq!(world.output_file("dev/payments/other/note/note.yaml").unwrap(), "text: changed\n");
    world.ready(ID);
    world.again_nothing();
}

/// How often a point was passed by processes with this log.
fn passed(log: &std::path::Path, point: &str) -> usize {
    let log = std::fs::read_to_string(log).unwrap_or_default();
    log.lines().filter(|line| *line == point).count()
}

#[test]
fn f09_of_many_files_a_pass_reads_and_renders_those_that_changed() {
    let mut world = World::new();
    world.configure(|c| c["reconcile"] = json!({"interval": "1h"}));
    let (all, teams) = (many(), 20);
    let id = |n: usize| format!("team-{}/dev/n{n}", n % teams);
    world.requests.commit((0..all).map(|n| ask(&id(n), note("made"))));
    let log = world.root().join("passed");
    let mut command = world.command(&["serve", "--log", "json"]);
    command.env("VEND_FAULT_LOG", &log);
    let mut daemon = Serving::spawn(command);
    daemon.logged("the lease is held");
    // By the daemon's pass, which is over when this ends.
    let counts = || ["read.parse", "read.render"].map(|point| passed(&log, point));
    // Counted from before the commit: it wakes the daemon as well.
    let reads = |edits: Vec<Edit>| {
        let before = counts();
        if !edits.is_empty() {
            world.requests.commit(edits);
        }
        world.apply();
        let after = counts();
        [after[0] - before[0], after[1] - before[1]]
    };
    let made = |n: usize, what: &str| {
        let path = format!("dev/team-{}/n{n}/note/note.yaml", n % teams);
        world.output_file(&path).is_some_and(|file| file == format!("text: {what}\n"))
    };
    world.apply();
    assert_eq!(counts(), [all, all]);
    assert!(made(all - 1, "made"));
    assert_eq!(reads(Vec::new()), [0, 0]);

    // One of them, then some of them, and then a file that is nobody's request.
    assert_eq!(reads(vec![ask(&id(7), note("changed"))]), [1, 1]);
    let some = (10..15).map(|n| ask(&id(n), note("changed"))).collect();
    assert_eq!(reads(some), [5, 5]);
    assert!([7, 10, 14].into_iter().all(|n| made(n, "changed")) && made(8, "made"));
    assert_eq!(reads(vec![write("README.md", "Nobody's.\n")]), [0, 0]);
    daemon.stop();
    world.again_nothing();
}

#[test]
fn f09_b22_one_file_more_than_the_limit_applies_and_deletes_nothing() {
    let mut world = World::new();
    world.configure(|c| c["limits"] = json!({"files": 3}));
    // The folder's README counts too.
    world.requests.commit([ask(ID, note("hello")), ask(OTHER, note("other"))]);
    world.apply();
    world.ready(ID);
    let output = world.output.refs();
    let refused = |world: &World| {
        let said = world.vend(&["apply"]);
        let text = said.stdout + &said.stderr;
        assert!(text.contains("LIM002: `requests` has more than 3 files"), "{text}");
        assert_eq!(world.output.refs(), output, "{text}");
    };

    // By and by, each time a little: one comes and one goes, one is changed, and two come.
    let third = "orders/dev/third";
    world.requests.commit([
        drop_request(OTHER),
        ask(ID, note("changed")),
        ask(third, note("third")),
        ask("orders/dev/fourth", note("fourth")),
    ]);
    refused(&world);
    refused(&world);
    assert!(world.status_or_none(OTHER).is_some() && world.status_or_none(third).is_none());

    // One less, and all of it is done.
    world.requests.commit([drop_request("orders/dev/fourth")]);
    world.apply();
    world.ready(third);
    assert_eq!(world.output_file("dev/orders/hello/note/note.yaml").unwrap(), "text: changed\n");
    assert!(world.status_or_none(OTHER).is_none());
    world.again_nothing();

    // Nor by a daemon, which goes by what differs: one comes for one that went, and then another.
    let mut daemon = Serving::ready(&world);
    let fifth = "payments/dev/fifth";
    world.requests.commit([drop_request(third), ask(fifth, note("fifth"))]);
    let is_ready = || world.status_or_none(fifth).is_some_and(|s| s["phase"] == "Ready");
    eventually("as many as before are enough", || is_ready().then_some(()));
    let output = world.output.refs();
    world.requests.commit([ask("orders/dev/sixth", note("sixth"))]);
    let says = || {
        let page = world.requests.read(STATUS, "README.md").unwrap_or_default();
        (page + &world.vend(&["status"]).stdout).contains("LIM002")
    };
    eventually("one more is too many", || says().then_some(()));
    assert_eq!(world.output.refs(), output);
    world.requests.commit([drop_request("orders/dev/sixth")]);
    eventually("it is as before", || (!says()).then_some(()));
    daemon.stop();
    world.again_nothing();
}

#[test]
fn f04_an_unrelated_history_is_held_until_it_is_accepted() {
    let world = two();
    let output = world.output.refs();

    let tip = world.requests.rewrite([ask(ID, note("rewritten"))]);
    let said = untouched(&world, &output, "the history of `requests` was rewritten");
    assert!(said.contains(&format!("`vend approve requests@{tip}`")), "{said}");
    world.again_nothing();

    // Another push on top of it is the same unrelated history.
    let tip = world.requests.commit([write("note.txt", "more\n")]);
    untouched(&world, &output, "the history of `requests` was rewritten");

    world.vend_ends(0, &["approve", &format!("requests@{tip}")]);
    world.apply();
    assert_eq!(world.output_file("dev/orders/hello/note/note.yaml").unwrap(), "text: rewritten\n");
    assert!(world.status_or_none(OTHER).is_none());
    world.again_nothing();
}

#[test]
fn f05_a_rollback_by_reset_is_held_and_then_a_normal_plan() {
    let world = two();
    let old = world.requests.tip("main").unwrap();
    world.requests.commit([ask(ID, note("newer"))]);
    world.apply();
    let output = world.output.refs();

    world.requests.git(&["update-ref", "refs/heads/main", &old]);
    untouched(&world, &output, "the history of `requests` was rewritten");
    world.again_nothing();

    world.vend_ends(0, &["approve", &format!("requests@{old}")]);
    let said = world.apply();
    assert!(said.contains("Applied: 1 updated, 2 ready."), "{said}");
    assert_eq!(world.output_file("dev/orders/hello/note/note.yaml").unwrap(), "text: hello\n");
    world.again_nothing();
}

#[test]
fn f06_a_branch_that_is_deleted_and_comes_back() {
    let world = two();
    let output = world.output.refs();
    let tip = world.requests.tip("main").unwrap();

    world.requests.git(&["update-ref", "-d", "refs/heads/main"]);
    untouched(&world, &output, "`requests` is not there");
    world.again_nothing();

    world.requests.git(&["update-ref", "refs/heads/main", &tip]);
    world.requests.commit([ask(ID, note("back"))]);
    world.apply();
    world.ready(ID);
    world.ready(OTHER);
    assert_eq!(world.output_file("dev/orders/hello/note/note.yaml").unwrap(), "text: back\n");
    world.again_nothing();
}

#[test]
fn f07_a_catalog_that_is_gone_changes_nothing() {
    let world = two();
    let output = world.output.refs();
    let (path, away) = (world.catalog.path().to_owned(), world.root().join("away"));
    std::fs::rename(&path, &away).unwrap();
    let said = world.apply();
    assert!(said.contains("`catalog` is not there"), "{said}");
    assert_eq!(world.output.refs(), output);

    // What the last good commit offers goes on.
    world.requests.commit([ask(ID, note("changed"))]);
    world.apply();
    world.ready(ID);

    std::fs::rename(&away, &path).unwrap();
    world.apply();
    world.again_nothing();
}

#[test]
fn f11_b26_a_file_replaced_by_a_symbolic_link_is_an_error_and_no_deletion() {
    let world = two();
    let output = world.output.refs();
    world.requests.commit([Edit::Link(path_of(ID), "../../payments/dev/other.yaml".into())]);
    world.vend_ends(3, &["apply"]);
    let sentence = world.held(ID, "Invalid");
    assert!(sentence.contains("PATH001"), "{sentence}");
    assert_eq!(world.output.refs(), output);

    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.output.refs(), output);
    world.again_nothing();
}

#[test]
fn b76_an_id_in_two_sources_stays_with_the_first() {
    let mut world = World::new();
    let second = world.repository("second");
    second.commit([write("requests/README.md", "Requests.\n")]);
    let requests = world.requests.url();
    let url = second.url();
    world.configure(|config| {
        config["requests"] =
            json!([{"name": "first", "repository": requests}, {"name": "second", "repository": url}]);
    });
    world.requests.commit([ask(ID, note("first"))]);
    world.apply();

    second.commit([ask(ID, note("second")), ask(OTHER, note("other"))]);
    let said = world.vend(&["apply"]).stdout;
    assert!(said.contains("REQ002"), "{said}");
    assert_eq!(world.output_file("dev/orders/hello/note/note.yaml").unwrap(), "text: first\n");
    world.ready(OTHER);
    world.ready(ID);

    second.commit([drop_request(ID)]);
    world.apply();
    world.ready(ID);
    assert_eq!(world.actions("vend-orders-dev-hello-note-"), ["create"]);
    world.again_nothing();
}

#[test]
fn a_team_asks_only_where_it_may() {
    let mut world = World::new();
    world.configure(|config| config["requests"][0]["teams"] = json!(["orders"]));
    world.requests.commit([ask(ID, note("hello")), ask(OTHER, note("other"))]);
    world.vend_ends(3, &["apply"]);
    world.ready(ID);
    let sentence = world.held(OTHER, "Invalid");
    assert!(sentence.contains("REQ003"), "{sentence}");

    world.requests.commit([drop_request(OTHER)]);
    world.apply();
    assert!(world.status_or_none(OTHER).is_none());
    world.again_nothing();
}
