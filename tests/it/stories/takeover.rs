//! A store that is lost, old, or another's: nothing is made a second time.

use serde_json::json;

use crate::world::{STATUS, World, ask, note, write};

const ID: &str = "orders/dev/hello";

/// One that has applied a note, and a second state folder beside it.
fn standing() -> World {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world
}

fn elsewhere(world: &mut World, folder: &str) {
    let state = world.root().join(folder);
    world.configure(|c| c["stateDir"] = json!(state));
}

#[test]
fn f67_an_empty_store_in_the_place_of_another_does_nothing_whatever_is_said() {
    let mut world = standing();
    elsewhere(&mut world, "empty");
    let before = world.refs();
    for args in [["apply"].as_slice(), &["state", "takeover"], &["apply"]] {
        let said = world.vend_ends(2, args).stderr;
        assert!(said.contains("belongs to another vend"), "{said}");
        assert!(said.contains("put the store of that vend back"), "{said}");
        assert!(said.contains("`status.branch` of its own"), "{said}");
        assert!(said.contains("`vend state rebuild`"), "{said}");
    }
    assert_eq!(world.refs(), before, "something was written");

    // With what it says to do, all goes on.
    elsewhere(&mut world, "state");
    world.again_nothing();
}

#[test]
fn f67_an_empty_store_that_cannot_see_whose_world_it_is_does_nothing() {
    let mut world = World::new();
    let status = world.repository("status");
    world.configure(|c| c["status"] = json!({"repository": status.url()}));
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let away = world.root().join("away");
    std::fs::rename(status.path(), &away).unwrap();
    elsewhere(&mut world, "empty");
    let said = world.vend_ends(2, &["apply"]).stderr;
    assert!(said.contains("source `status`"), "{said}");
    assert_eq!(world.output_log().len(), 1);

    // A branch with statuses that does not say whose they are is nobody's to write.
    std::fs::rename(&away, status.path()).unwrap();
    status.commit_to(STATUS, [write("instance.yaml", "nonsense\n")]);
    let said = world.vend_ends(2, &["apply"]).stderr;
    assert!(said.contains("does not say whose it is"), "{said}");
    assert_eq!(world.output_log().len(), 1);

    // Whose it is writes it again.
    elsewhere(&mut world, "state");
    world.apply();
    world.again_nothing();
}

#[test]
fn an_older_copy_of_the_same_store_goes_on_once_somebody_says_so() {
    let world = standing();
    let store = world.root().join("state/vend.sqlite");
    let backup = std::fs::read(&store).unwrap();
    for n in 0..3 {
        world.requests.commit([ask(&format!("orders/dev/n{n}"), note("later"))]);
        world.apply();
    }
    for more in ["vend.sqlite-wal", "vend.sqlite-shm"] {
        let _ = std::fs::remove_file(world.root().join("state").join(more));
    }
    std::fs::write(&store, backup).unwrap();

    let before = world.refs();
    let said = world.vend_ends(1, &["apply"]).stderr;
    assert!(said.contains("behind what was published"), "{said}");
    let said = world.vend_ends(0, &["state", "takeover"]).stdout;
    assert!(said.contains("Nothing was applied"), "{said}");
    assert_eq!(world.refs(), before, "it only says so");
    let said = world.vend_ends(0, &["state", "takeover"]).stdout;
    assert!(said.contains("not behind"), "{said}");

    world.apply();
    for id in [ID, "orders/dev/n0", "orders/dev/n1", "orders/dev/n2"] {
        world.ready(id);
    }
    // What came after the backup is found by its mark, and made only once.
    for n in 0..3 {
        let actions = world.actions(&format!("vend-orders-dev-n{n}-note-"));
        assert_eq!(actions.iter().filter(|action| *action == "create").count(), 1, "{actions:?}");
    }
    world.again_nothing();
}
