//! `kill -9` in the middle, of the real daemon on real repositories.

use serde_json::json;

use super::{Serving, created_once, eventually, notes, patient};
use crate::world::{STATUS, World};

/// Two hundred requests, ten in a commit.
fn many() -> World {
    let mut world = patient();
    world.configure(|c| c["providers"]["files"]["batch"] = json!(10));
    world.requests.commit(notes("orders", 200));
    world
}

#[track_caller]
fn converges(world: &World) {
    world.vend_ends(0, &["apply", "--wait"]);
    for n in 0..200 {
        world.ready(&format!("orders/dev/n{n}"));
    }
    created_once(world, 200);
    world.again_nothing();
}

#[test]
fn f61_killed_after_some_commits_and_killed_again() {
    let world = many();
    for commits in [1, 4, 9] {
        let mut daemon = Serving::ready(&world);
        eventually("that many commits", || (world.output_log().len() >= commits).then_some(()));
        daemon.kill();
    }
    converges(&world);
}

#[test]
fn f61_killed_right_after_intents() {
    let world = many();
    for round in 1..4 {
        let mut daemon = Serving::ready(&world);
        eventually("intents", || (daemon.count("\"intent\"") >= round * 10).then_some(()));
        daemon.kill();
    }
    converges(&world);
}

#[test]
fn f61_killed_while_status_is_pushed() {
    let world = many();
    let mut daemon = Serving::ready(&world);
    eventually("the last commit", || (world.output_log().len() >= 20).then_some(()));
    daemon.kill();
    assert!(world.requests.log(STATUS).len() <= 1);
    converges(&world);
}

#[test]
fn f12_killed_while_fetching() {
    let world = many();
    for _ in 0..5 {
        let mut daemon = Serving::start(&world);
        eventually("a mirror", || world.root().join("state/mirrors").exists().then_some(()));
        daemon.kill();
    }
    converges(&world);
}
