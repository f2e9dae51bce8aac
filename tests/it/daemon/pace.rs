//! Statuses of a daemon whose passes come faster than its commits.

use serde_json::json;

use super::{Serving, all_ready, eventually, notes, patient};
use crate::world::{STATUS, World, ask, note};

/// A daemon with one request that is ready, whose statuses are so far apart.
fn every(interval: &str) -> (World, Serving) {
    let mut world = patient();
    world.configure(|c| c["status"] = json!({"interval": interval}));
    world.requests.commit(notes("orders", 1));
    let daemon = Serving::ready(&world);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    (world, daemon)
}

/// The commit that a request's status is of.
fn says(world: &World, id: &str) -> Option<String> {
    world.status_or_none(id)?["observed"]["commit"].as_str().map(str::to_owned)
}

/// Waits until something with this text in it was applied.
fn is_done(world: &World, word: &str) {
    eventually("it is done", || {
        let files = world.output.contents("main", "");
        files.iter().any(|(_, text)| text.contains(word)).then_some(())
    });
}

#[test]
fn statuses_of_many_pushes_come_together_and_all_of_them() {
    let (world, mut daemon) = every("1s");
    for n in 0..12 {
        let word = format!("word {n}.");
        world.requests.commit([ask(&format!("orders/dev/n{n}"), note(&word))]);
        is_done(&world, &word);
    }
    eventually("all are ready", || all_ready(&world, "orders", 12).then_some(()));
    let at: Vec<i64> = {
        let times = world.requests.git(&["log", "--format=%ct", STATUS]);
        times.lines().rev().map(|time| time.parse().unwrap()).collect()
    };
    assert!(at.windows(2).all(|pair| pair[0] < pair[1]), "more than one in a second: {at:?}");
    daemon.stop();
    world.again_nothing();
}

#[test]
fn who_waits_is_told_at_once_and_a_restart_says_what_was_left() {
    let (world, mut daemon) = every("1h");
    let change = |word: &str| {
        let commit = world.requests.commit([ask("orders/dev/n0", note(word))]);
        is_done(&world, word);
        commit
    };
    let said = says(&world, "orders/dev/n0");
    let first = change("first-news");
    assert_eq!(says(&world, "orders/dev/n0"), said, "it waits for the hour to be over");
    world.vend_ends(0, &["apply", "--wait"]);
    assert_eq!(says(&world, "orders/dev/n0"), Some(first), "somebody waited for it");
    let second = change("second-news");
    daemon.stop();
    let mut daemon = Serving::ready(&world);
    eventually("what was left is said", || {
        (says(&world, "orders/dev/n0").as_ref() == Some(&second)).then_some(())
    });
    daemon.stop();
    world.again_nothing();
}
