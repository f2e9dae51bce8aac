//! The real daemon as a process: what wakes it, what it answers, how it ends.

mod crash;
mod disk;
mod filter;
mod life;
mod limit;
mod pace;
mod sandbox;
pub mod server;
mod serving;
mod socket;
mod systemd;

use std::time::Duration;

use serde_json::json;

use crate::world::{World, ask, note, write};

pub use serving::{Serving, eventually};

/// A world whose daemon polls so rarely that only other things wake it.
fn patient() -> World {
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    world
}

/// Requests `<team>/dev/n<number>`.
pub fn notes(team: &str, count: usize) -> Vec<crate::world::Edit> {
    (0..count).map(|n| ask(&format!("{team}/dev/n{n}"), note("hello"))).collect()
}

/// All requests of a team are Ready in their published statuses.
pub fn all_ready(world: &World, team: &str, count: usize) -> bool {
    let files = world.requests.files(crate::world::STATUS, &format!("status/{team}/dev"));
    files.len() == count
        && (0..count).all(|n| {
            let status = world.status_or_none(&format!("{team}/dev/n{n}"));
            status.is_some_and(|s| s["phase"] == "Ready")
        })
}

/// Each target was created exactly once, under one token.
#[track_caller]
pub fn created_once(world: &World, count: usize) {
    let mut steps: Vec<String> = world.output_log().into_iter().flat_map(|(_, s)| s).collect();
    let made = steps.len();
    steps.sort();
    let mut targets: Vec<_> = steps.iter().map(|s| s.split(' ').next().unwrap()).collect();
    targets.dedup();
    assert_eq!((made, targets.len()), (count, count), "a step was done twice or not at all");
    assert!(steps.iter().all(|s| s.split(' ').nth(1) == Some("create")), "{steps:?}");
}

/// Something harmless that makes a new commit.
fn nothing_much(text: &str) -> crate::world::Edit {
    write("README.md", text)
}

/// Whether nobody is in the middle of a write to the store.
fn is_free(world: &World) -> bool {
    let store = rusqlite::Connection::open(world.root().join("state/vend.sqlite")).unwrap();
    store.busy_timeout(Duration::ZERO).unwrap();
    store.execute_batch("BEGIN IMMEDIATE; ROLLBACK").is_ok()
}

/// The first falls asleep, and the second, which stands by, takes its lease.
#[track_caller]
fn oversleeps(world: &World, first: &Serving, second: &Serving) {
    first.signal("-STOP");
    let mut seen = 0;
    eventually("the second takes the lease", || {
        // Paused in the middle of a write, it keeps the file locked: nobody can do anything.
        let busy = second.count("the store is busy");
        if busy > seen {
            seen = busy;
            first.signal("-CONT");
            eventually("the write is over", || is_free(world).then_some(()));
            first.signal("-STOP");
        }
        (second.count("the lease is held") > 0).then_some(())
    });
}
