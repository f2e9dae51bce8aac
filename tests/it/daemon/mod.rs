//! The real daemon as a process: what wakes it, what it answers, how it ends.

mod crash;
mod disk;
mod filter;
mod life;
mod sandbox;
mod server;
mod serving;
mod socket;
mod systemd;

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
