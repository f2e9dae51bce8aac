//! More new files than one pass takes up: the passes after it go on, whatever comes between them.

use serde_json::json;

use crate::daemon::{Serving, eventually};
use crate::world::{World, ask, drop_request, note, request_with, to_approve};

/// A world in which a pass takes up three files.
fn world() -> World {
    let mut world = World::new();
    world.configure(|config| {
        config["reconcile"] = json!({"portion": 3, "interval": "1h"});
        config["server"] = json!({"listen": "127.0.0.1:0"});
    });
    world
}

fn ids(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("orders/dev/note-{n:02}")).collect()
}

fn commits(world: &World) -> usize {
    world.requests.log("vend/status").len()
}

/// The first pass is made, and its process ends.
fn only_the_first_pass(world: &World) {
    let mut command = world.command(&["apply"]);
    let output = command.env("VEND_FAULT", "pass.quiet.before=kill").output().unwrap();
    assert_eq!(output.status.code(), None, "{output:?}");
}

#[test]
fn one_command_takes_up_all_of_them_and_each_once() {
    let world = world();
    let ids = ids(10);
    // The first by name reads what the last gives: it waits, and is read again when that is there.
    let reads = request_with(
        "reader@1.0.0",
        "{}",
        "references: {of: {request: orders/dev/note-09, output: path}}",
    );
    let files = ids.iter().map(|id| ask(id, note("hello")));
    world.requests.commit(files.chain([ask("billing/dev/reads", reads)]));

    let plan = world.vend_ends(0, &["plan"]).stdout;
    assert!(plan.contains("11 to create"), "who looks sees all of them: {plan}");
    let said = world.apply();
    assert!(said.contains("11 created"), "{said}");
    assert!(commits(&world) >= 4, "a commit of statuses for each portion");
    ids.iter().for_each(|id| world.ready(id));
    world.ready("billing/dev/reads");
    assert_eq!(world.output_log().iter().map(|(_, steps)| steps.len()).sum::<usize>(), 11);
    world.again_nothing();

    // What is made does not wait: whatever is changed is changed by one pass, and counted together.
    let before = commits(&world);
    world.requests.commit(ids.iter().map(|id| ask(id, note("changed"))));
    let said = world.apply();
    assert!(said.contains("10 updated"), "{said}");
    assert_eq!(commits(&world), before + 1);
    world.again_nothing();
}

#[test]
fn what_was_left_is_taken_up_after_a_kill_and_what_people_did_meanwhile_counts() {
    let world = world();
    let ids = ids(8);
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    only_the_first_pass(&world);
    let there = |id: &str| world.status_or_none(id).is_some();
    assert_eq!(ids.iter().filter(|id| there(id)).count(), 3);

    // One that was not read yet goes, another changes, and a third comes.
    let changes =
        [drop_request(&ids[6]), ask(&ids[7], note("changed")), ask("a/dev/first", note("new"))];
    world.requests.commit(changes);
    world.apply();
    assert!(!there(&ids[6]), "what was never made is never made");
    for id in ids.iter().filter(|id| *id != &ids[6]) {
        world.ready(id);
    }
    world.ready("a/dev/first");
    assert_eq!(world.actions("").len(), 8, "each was created once: {:?}", world.output_log());
    let text = world.output_file("dev/orders/note-07/note/note.yaml").unwrap();
    assert!(text.contains("changed"), "{text}");
    world.again_nothing();
}

#[test]
fn what_was_taken_and_taken_back_goes_although_nobody_remembers_that_it_came() {
    let world = world();
    world.requests.commit([ask("orders/dev/stays", note("hello"))]);
    world.apply();
    let ids = ids(8);
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    only_the_first_pass(&world);
    assert_eq!(world.actions("").len(), 4);

    // Whoever starts next sees the very files that were there before all that.
    world.requests.commit(ids.iter().map(|id| drop_request(id)));
    world.apply();
    assert!(ids.iter().all(|id| world.status_or_none(id).is_none()), "{:?}", world.output_log());
    world.ready("orders/dev/stays");
    world.again_nothing();
}

#[test]
fn a_rename_among_very_many_files_is_still_seen_to_be_one() {
    let world = world();
    world.requests.commit([ask("orders/dev/old", note("keep me"))]);
    world.apply();

    // Without a word of `movedFrom`, among many new ones, and the last of them by name.
    let files = ids(7).into_iter().map(|id| ask(&id, note("hello")));
    let rename = [drop_request("orders/dev/old"), ask("orders/dev/z-new", note("keep me"))];
    world.requests.commit(files.chain(rename));
    world.apply();
    let sentence = world.held("orders/dev/z-new", "LooksLikeAMove");
    assert!(world.output_file("dev/orders/old/note/note.yaml").is_some(), "nothing was deleted");

    world.vend_ends(0, &["approve", &to_approve(&sentence)]);
    world.apply();
    world.ready("orders/dev/z-new");
    ids(7).iter().for_each(|id| world.ready(id));
    world.again_nothing();
}

#[test]
fn a_daemon_goes_on_at_once_and_whoever_waits_for_it_waits_for_all() {
    let world = world();
    let ids = ids(10);
    let mut daemon = Serving::ready(&world);
    world.requests.commit(ids.iter().map(|id| ask(id, note("hello"))));
    let said = world.vend_ends(0, &["apply"]).stdout;
    // The watcher may have begun with some of them.
    assert!(said.contains("10 ready"), "{said}");
    ids.iter().for_each(|id| world.ready(id));
    eventually("nothing is left", || {
        daemon.get("/metrics").1.contains("vend_requests_unread 0").then_some(())
    });
    daemon.stop();
    world.again_nothing();
}
