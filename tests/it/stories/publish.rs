//! The status branch is reconciled like everything else.

use std::os::unix::fs::PermissionsExt as _;

use crate::world::{STATUS, World, ask, note, write};

const ID: &str = "orders/dev/hello";
const PATH: &str = "status/orders/dev/hello.yaml";

fn one() -> World {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world
}

fn commits(world: &World) -> usize {
    world.requests.log(STATUS).len()
}

#[test]
fn f20_a_hand_edit_is_never_read_and_is_overwritten() {
    let world = one();
    let before = world.requests.read(STATUS, PATH).unwrap();
    let edit = before.replace("phase: Ready", "phase: Failed");
    world.requests.commit_to(STATUS, [write(PATH, edit)]);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    assert_eq!(world.requests.read(STATUS, PATH).unwrap(), before);
    assert!(world.requests.log(STATUS).last().unwrap().1.contains("Overwritten"), "with a note");
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn f16_anothers_commit_on_the_status_branch_stays() {
    let world = one();
    let theirs = world.requests.commit_to(STATUS, [write("notes.md", "Mine.\n")]);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    assert_eq!(world.requests.read(STATUS, "notes.md").unwrap(), "Mine.\n");
    assert!(world.requests.log(STATUS).iter().any(|(id, _)| *id == theirs));
    world.ready("orders/dev/other");
    world.again_nothing();
}

#[test]
fn f19_a_deleted_status_branch_is_rebuilt_whole_in_one_commit() {
    let world = one();
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    let tree = |world: &World| world.requests.git(&["rev-parse", &format!("{STATUS}^{{tree}}")]);
    let before = tree(&world);

    world.requests.git(&["update-ref", "-d", &format!("refs/heads/{STATUS}")]);
    world.requests.commit([ask("orders/dev/third", note("third"))]);
    world.apply();
    assert_eq!(commits(&world), 1);
    for id in [ID, "orders/dev/other", "orders/dev/third"] {
        world.ready(id);
    }
    assert!(world.requests.read(STATUS, "README.md").is_some());
    assert_ne!(tree(&world), before);
    world.again_nothing();
}

#[test]
fn f18_a_push_that_is_denied_delays_no_apply_and_is_made_up_for_once() {
    let world = one();
    let hook = world.requests.path().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\necho 'status is closed today' >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();

    let before = commits(&world);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    let denied = world.vend_ends(1, &["apply"]);
    assert!(denied.stdout.contains("status the status branch could not be written"), "{denied:?}");
    assert!(denied.stdout.contains("closed today"), "{denied:?}");
    assert!(denied.stdout.contains("Applied: 1 created, 2 ready."), "{denied:?}");
    assert!(world.output_file("dev/orders/other/note/note.yaml").is_some());
    assert_eq!(commits(&world), before);

    std::fs::remove_file(&hook).unwrap();
    world.requests.commit([ask("orders/dev/third", note("third"))]);
    world.apply();
    assert_eq!(commits(&world), before + 1);
    world.ready("orders/dev/other");
    world.ready("orders/dev/third");
    world.again_nothing();
}

#[test]
fn f21_many_statuses_are_one_commit_and_our_own_commit_wakes_nobody() {
    let world = World::new();
    world.requests.commit((0..50).map(|n| ask(&format!("orders/dev/n-{n}"), note("hello"))));
    world.apply();
    assert_eq!(commits(&world), 1);
    for _ in 0..3 {
        world.again_nothing();
    }
}

#[test]
fn moments_in_a_status_move_only_with_what_they_are_about() {
    let world = one();
    let before = world.status(ID);
    world.requests.commit([ask("orders/dev/other", note("other"))]);
    world.apply();
    world.requests.commit([ask("orders/dev/other", note("changed"))]);
    world.apply();
    assert_eq!(world.status(ID), before);
    assert!(before["conditions"][0]["since"].is_string());
    world.again_nothing();
}
