//! The end of the process at every commit of the store, and answers that are lost: afterwards all is
//! as it would have been, and nothing was done twice.

pub mod cut;
mod expiry;
pub mod lab;
mod live;
mod lossy;
mod points;
mod slow;

pub use points::{DISCARDED, MODES, STOPPED, TOLD, WARNED, carried_out, elsewhere, share_out};

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use vend::provider::Providers;

use self::cut::{Cut, Fault, Faulty};
use self::lab::{Clock, Run, real, store};
use crate::world::{World, ask, drop_request, note, request, request_with};

/// Three requests at rest, and then a commit that makes, changes, deletes and moves.
async fn changed(clock: &Clock) -> World {
    let world = World::new();
    let at = |n: &str| format!("orders/dev/{n}");
    world.requests.commit(["changed", "deleted", "moved"].map(|n| ask(&at(n), note(n))));
    let mut run = Run::start(&world, Arc::new(store(&world)), real(&world), clock).await;
    run.settle(clock).await;
    world.requests.commit([
        ask(&at("made"), request("pair@1.0.0", "{text: hello}")),
        ask(&at("changed"), note("otherwise")),
        drop_request(&at("deleted")),
        drop_request(&at("moved")),
        ask(
            &at("renamed"),
            request_with("note@1.0.0", "{text: moved on}", "movedFrom: orders/dev/moved"),
        ),
    ]);
    world
}

/// What had to be done was done, once.
#[track_caller]
fn done_once(world: &World, what: &str) {
    for (name, actions) in [
        ("made-base", vec!["create"]),
        ("made-top", vec!["create"]),
        ("changed-note", vec!["create", "update"]),
        ("deleted-note", vec!["create", "delete"]),
        // It moves and changes: written anew where it is, and not made anew.
        ("moved-note", vec!["create", "update"]),
        ("renamed", vec![]),
    ] {
        let target = format!("vend-orders-dev-{name}");
        assert_eq!(world.actions(&target), actions, "{what}: {target}");
    }
    for name in ["made", "changed", "renamed"] {
        world.ready(&format!("orders/dev/{name}"));
    }
    for name in ["deleted", "moved"] {
        assert_eq!(world.status_or_none(&format!("orders/dev/{name}")), None, "{what}: {name}");
    }
}

async fn dies(before: bool, step: usize) {
    for commits in (1..).step_by(step) {
        let clock = Clock::new();
        let world = changed(&clock).await;
        let cut = Arc::new(Cut::new(store(&world), commits, before));
        let mut run = Run::start(&world, cut.clone(), real(&world), &clock).await;
        let _ = run.pass(&clock).await;
        let dead = cut.is_dead();
        drop(run);
        let mut run = Run::start(&world, Arc::new(store(&world)), real(&world), &clock).await;
        run.settle(&clock).await;
        done_once(&world, &format!("dead at commit {commits}"));
        if !dead {
            assert!(commits > 5, "a pass of {commits} commits cuts too little");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_the_end_before_every_commit() {
    dies(true, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f61_the_end_after_every_commit() {
    // Nearly the same as before the next one; what lies between is seldom more than a question.
    dies(false, 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn f35_lost_answers_are_asked_for_and_nothing_is_done_twice() {
    for fault in [Fault::Lost, Fault::Never, Fault::Away, Fault::Panics] {
        let clock = Clock::new();
        let world = changed(&clock).await;
        let inner = real(&world).get("files").unwrap().clone();
        let faulty = Faulty { inner, fault, left: AtomicUsize::new(3) };
        let providers = Providers::new().with(faulty);
        let mut run = Run::start(&world, Arc::new(store(&world)), providers, &clock).await;
        run.settle(&clock).await;
        done_once(&world, &format!("{fault:?}"));
    }
}
