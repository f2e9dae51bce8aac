//! Requests whose time is over: warned of, removed by a commit, deleted by the pass that finds them
//! gone; on a clock of the story's own.

use std::sync::Arc;

use serde_json::{Value, json};

use super::cut::Cut;
use super::lab::{Clock, Run, real, store};
use crate::world::{World, ask, drop_request, note, request_with};

const DAY: i64 = 86_400;
const ID: &str = "orders/dev/sandbox";

/// A note that lives for so long.
fn lives(text: &str, more: &str) -> String {
    request_with("note@1.0.0", &format!("{{text: {text}}}"), &format!("ttl: 14d\n{more}"))
}

/// Reason and message of the condition that tells of an end.
fn end(world: &World, id: &str) -> (String, String) {
    let status = world.status(id);
    let conditions = status["conditions"].as_array().unwrap();
    let end =
        conditions.iter().find(|c| c["type"] == "Expiry").unwrap_or_else(|| panic!("{status}"));
    let text = |field: &str| end[field].as_str().unwrap().to_owned();
    (text("reason"), text("message"))
}

/// A world with one request that lives for 14 days, applied; and the pass that comes next.
async fn begun(clock: &Clock, files: &[(&str, String)]) -> (World, Run) {
    let mut world = World::new();
    // Drift is no matter here, and would wake passes all the time.
    world.configure(|c| c["reconcile"] = json!({"driftInterval": "900d"}));
    world.requests.commit(files.iter().map(|(id, text)| ask(id, text.clone())));
    let mut run = Run::start(&world, Arc::new(store(&world)), real(&world), clock).await;
    run.settle(clock).await;
    (world, run)
}

/// Another pass finds nothing to do.
async fn again_nothing(run: &mut Run, clock: &Clock) {
    assert!(run.pass(clock).await.unwrap().quiet);
}

fn file(world: &World, id: &str) -> Option<String> {
    world.requests.read("main", &format!("requests/{id}.yaml"))
}

fn events(world: &World, kind: &str) -> usize {
    let log = world.vend_ends(0, &["explain", ID]).stdout;
    log.lines().filter(|line| line.contains(&format!(" {kind}: "))).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_warned_of_twice_removed_by_a_commit_and_deleted() {
    let clock = Clock::new();
    let (world, mut run) = begun(&clock, &[(ID, lives("hello", ""))]).await;
    let ends = world.status(ID)["expiresAt"].as_str().unwrap().to_owned();
    assert_eq!(end(&world, ID).0, "Expiring");

    // A pass in between is quiet, and another comes when there is something to say, at the latest.
    let moment: jiff::Timestamp = ends.parse().unwrap();
    let before = |days: i64| moment - jiff::SignedDuration::from_hours(24 * days);
    clock.advance(DAY);
    run.settle(&clock).await;
    let quiet = run.pass(&clock).await.unwrap();
    assert!(quiet.quiet && quiet.due.is_some_and(|due| due <= before(3)), "{:?}", quiet.due);

    clock.reach(before(3));
    let due = run.pass(&clock).await.unwrap().due.unwrap();
    assert!(due <= before(1), "{due}");
    let (reason, message) = end(&world, ID);
    assert_eq!(reason, "ExpiresSoon");
    assert!(message.contains("in less than 3d"), "{message}");
    assert_eq!(events(&world, "ExpiresSoon"), 1);
    assert!(run.pass(&clock).await.unwrap().quiet, "said is said");

    clock.reach(before(1));
    let due = run.pass(&clock).await.unwrap().due.unwrap();
    assert!(end(&world, ID).1.contains("in less than 1d"));
    assert_eq!(events(&world, "ExpiresSoon"), 2);
    assert!(due <= moment, "{due}");

    let before = world.requests.tip("main").unwrap();
    clock.reach(moment);
    run.pass(&clock).await.unwrap();
    assert_eq!(file(&world, ID), None);
    let log = world.requests.git(&["log", "--format=%an|%P|%s", "-1", "main"]);
    assert_eq!(log.trim(), format!("vend|{before}|Remove {ID}, whose time is over"));
    assert_eq!(
        world.actions("vend-orders-dev-sandbox"),
        ["create"],
        "nothing goes before its file"
    );

    run.settle(&clock).await;
    assert_eq!(world.actions("vend-orders-dev-sandbox"), ["create", "delete"]);
    assert_eq!(world.status_or_none(ID), None);
    again_nothing(&mut run, &clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stood_beside_it_all_the_time_does_not_keep_it() {
    let clock = Clock::new();
    let (world, mut run) = begun(&clock, &[(ID, lives("hello", ""))]).await;
    // One that is like it and not made yet, and one that nobody can read.
    let suspended = request_with("note@1.0.0", "{text: hello}", "suspend: true");
    let (twin, broken) = ("orders/dev/twin", "orders/dev/broken");
    world
        .requests
        .commit([ask(twin, suspended.clone()), ask(broken, note("x") + "  typo: true\n")]);
    run.settle(&clock).await;
    clock.advance(14 * DAY);
    run.settle(&clock).await;
    assert_eq!((file(&world, ID), world.status_or_none(ID)), (None, None));
    assert_eq!(world.actions("vend-orders-dev-sandbox"), ["create", "delete"]);
    assert_eq!(world.standing(twin).1, "Suspended");
    world.held(broken, "Invalid");
    again_nothing(&mut run, &clock).await;

    // What came with the commit that took it may still be it.
    world.requests.commit([drop_request(twin), ask(ID, lives("anew", ""))]);
    run.settle(&clock).await;
    world.requests.commit([drop_request(ID), ask(twin, suspended.replace("hello", "anew"))]);
    run.settle(&clock).await;
    world.held(ID, "LooksLikeAMove");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_extends_it_and_a_later_term_counts_from_the_beginning() {
    let clock = Clock::new();
    let (world, mut run) = begun(&clock, &[(ID, lives("hello", ""))]).await;
    clock.advance(13 * DAY + DAY / 2);
    run.pass(&clock).await.unwrap();
    assert_eq!(end(&world, ID).0, "ExpiresSoon");
    let since = world.status(ID)["livesSince"].clone();
    world.requests.commit([ask(ID, lives("hello", "").replace("14d", "21d"))]);
    run.settle(&clock).await;
    assert_eq!(end(&world, ID).0, "Expiring");
    assert_eq!(world.status(ID)["livesSince"], since);
    clock.advance(5 * DAY);
    run.settle(&clock).await;
    assert!(file(&world, ID).is_some());
    clock.advance(3 * DAY);
    run.settle(&clock).await;
    assert_eq!((file(&world, ID), world.status_or_none(ID)), (None, None));
    again_nothing(&mut run, &clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_keeps_it_is_said_and_what_uses_it_goes_first() {
    let clock = Clock::new();
    let reads = "references: {of: {request: orders/dev/used, output: path}}\nttl: 14d";
    let files = [
        ("orders/dev/guarded", lives("guarded", "protect: true")),
        ("orders/dev/used", lives("used", "")),
        ("orders/dev/user", request_with("reader@1.0.0", "{}", reads)),
        ("orders/dev/other", note("stays")),
    ];
    let (world, mut run) = begun(&clock, &files).await;
    world.ready("orders/dev/user");
    clock.advance(14 * DAY);
    run.pass(&clock).await.unwrap();
    assert!(world.held("orders/dev/guarded", "Expired").contains("delete: {confirm: guarded}"));
    assert!(
        world.held("orders/dev/used", "Expired").contains("`orders/dev/user` uses its outputs")
    );
    assert_eq!(file(&world, "orders/dev/user"), None);
    assert!(file(&world, "orders/dev/used").is_some());
    run.settle(&clock).await;
    for gone in ["orders/dev/user", "orders/dev/used"] {
        assert_eq!((file(&world, gone), world.status_or_none(gone)), (None, None), "{gone}");
    }
    assert!(file(&world, "orders/dev/guarded").is_some());
    world.held("orders/dev/guarded", "Expired");
    world.ready("orders/dev/other");

    // The tombstone lets it go.
    let text = lives("guarded", "protect: true\ndelete: {confirm: guarded}");
    world.requests.commit([ask("orders/dev/guarded", text)]);
    run.settle(&clock).await;
    let guarded = "orders/dev/guarded";
    assert_eq!((file(&world, guarded), world.status_or_none(guarded)), (None, None));
    again_nothing(&mut run, &clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_its_end_on_it_is_not_changed_and_people_may_keep_its_removal_for_themselves() {
    let clock = Clock::new();
    let (mut world, run) = begun(&clock, &[(ID, lives("hello", ""))]).await;
    drop(run);
    world.configure(|c| c["expiry"] = json!({"remove": "never"}));
    clock.advance(14 * DAY);
    let mut run = Run::start(&world, Arc::new(store(&world)), real(&world), &clock).await;
    run.pass(&clock).await.unwrap();
    assert!(world.held(ID, "Expired").contains("remove its file"));
    world.requests.commit([ask(ID, lives("otherwise", ""))]);
    run.settle(&clock).await;
    assert_eq!(world.actions("vend-orders-dev-sandbox"), ["create"]);
    assert!(file(&world, ID).is_some());
    world.requests.commit([ask(ID, lives("otherwise", "").replace("14d", "30d"))]);
    run.settle(&clock).await;
    assert_eq!(world.actions("vend-orders-dev-sandbox"), ["create", "update"]);
    world.ready(ID);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_removes_nothing_before_a_person_says_so() {
    let clock = Clock::new();
    let ids = ["a", "b", "c", "d", "e"].map(|team| format!("{team}/dev/sandbox"));
    let files: Vec<(&str, String)> =
        ids.iter().map(|id| (id.as_str(), lives(&id[..1], ""))).collect();
    let (world, mut run) = begun(&clock, &files).await;
    clock.advance(400 * DAY);
    run.settle(&clock).await;
    let said = world.held(&ids[0], "Expired");
    assert!(said.contains("too many at once: the time of 5 of 5 requests is over"), "{said}");
    assert!(ids.iter().all(|id| file(&world, id).is_some()));
    world.approve(&said);
    run.settle(&clock).await;
    assert!(ids.iter().all(|id| file(&world, id).is_none() && world.status_or_none(id).is_none()));
    again_nothing(&mut run, &clock).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_was_faster_is_read_first() {
    let clock = Clock::new();
    let (world, mut run) = begun(&clock, &[(ID, lives("hello", ""))]).await;
    // Nobody may write to the branch, until somebody may.
    let hook = world.requests.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    std::fs::write(&hook, "#!/bin/sh\nread a b ref; test $ref != refs/heads/main\n").unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&hook, mode).unwrap();
    clock.advance(14 * DAY);
    // What the first try met may be forgotten with what is tidied once a day.
    for _ in 0..3 {
        let report = run.pass(&clock).await.unwrap();
        // It is said by the pass that meets it.
        assert_eq!(report.unremoved.len(), 1, "{report:?}");
        assert!(world.held(ID, "Expired").contains("could not be removed"));
        let due = report.due.unwrap();
        assert!(file(&world, ID).is_some());
        clock.reach(due);
    }
    std::fs::remove_file(&hook).unwrap();
    world.requests.commit([ask(ID, lives("hello", "").replace("14d", "28d"))]);
    run.settle(&clock).await;
    world.ready(ID);
    assert!(file(&world, ID).is_some());
    clock.advance(14 * DAY);
    run.settle(&clock).await;
    assert_eq!((file(&world, ID), world.status_or_none(ID)), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_at_any_commit_of_the_last_pass_removes_once() {
    for commits in 1.. {
        let clock = Clock::new();
        let (world, run) = begun(&clock, &[(ID, lives("hello", ""))]).await;
        drop(run);
        clock.advance(14 * DAY);
        let cut = Arc::new(Cut::new(store(&world), commits, false));
        let mut run = Run::start(&world, cut.clone(), real(&world), &clock).await;
        for _ in 0..3 {
            let _ = run.pass(&clock).await;
        }
        let dead = cut.is_dead();
        drop(run);
        let mut run = Run::start(&world, Arc::new(store(&world)), real(&world), &clock).await;
        run.settle(&clock).await;
        assert_eq!(file(&world, ID), None, "{commits}");
        let removals = world.requests.git(&["log", "--format=%s", "main"]);
        assert_eq!(removals.matches("Remove").count(), 1, "{commits}: {removals}");
        let made = world.actions("vend-orders-dev-sandbox");
        assert_eq!(made, ["create", "delete"], "{commits}");
        assert_eq!(world.status_or_none(ID), None::<Value>, "{commits}");
        if !dead {
            assert!(commits > 5, "passes of {commits} commits cut too little");
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_never_applied_is_over_at_its_moment_too() {
    let clock = Clock::new();
    let ends = clock.now() + jiff::SignedDuration::from_hours(24 * 5);
    let text = request_with(
        "note@1.0.0",
        "{text: hello}",
        &format!("suspend: true\nexpiresAt: \"{ends}\""),
    );
    let (world, mut run) = begun(&clock, &[(ID, text)]).await;
    assert_eq!(world.standing(ID).1, "Suspended");
    let quiet = run.pass(&clock).await.unwrap();
    assert!(quiet.quiet);
    assert!(quiet.due.is_some_and(|due| due <= ends), "at its end at the latest");
    clock.reach(ends);
    run.settle(&clock).await;
    assert!(world.held(ID, "Expired").contains("it is suspended and stays"));
    again_nothing(&mut run, &clock).await;
}
