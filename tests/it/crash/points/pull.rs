//! The daemon that speaks with a forge, with a fault at each point of that: whatever is lost, people
//! find one comment, one pull request of vend's for each thing, and what they merged applied once.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde_json::json;

use super::HOMES;
use crate::daemon::{Serving, eventually};
use crate::review::Desk;
use crate::world::{ask, catalog, note};

/// Where the points of this file are at home.
pub const HOME: &str = "pull";

fn log_of(desk: &Desk) -> PathBuf {
    desk.world.root().join("passed")
}

fn lines(desk: &Desk) -> Vec<String> {
    let log = std::fs::read_to_string(log_of(desk)).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

fn serve(desk: &Desk, orders: &str) -> Serving {
    let mut command = desk.world.command(&["serve", "--log", "json"]);
    command.env("VEND_FAULT", orders).env("VEND_FAULT_LOG", log_of(desk));
    Serving::spawn(command)
}

/// Open pull requests of vend's, by branch: never two of one.
fn proposals(desk: &Desk) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for pull in desk.repo().open_pulls() {
        if pull.branch.starts_with("vend/") {
            let twice = all.insert(pull.branch.clone(), pull.number);
            assert!(twice.is_none(), "two of {}", pull.branch);
        }
    }
    all
}

fn is_proposed(desk: &Desk, branches: &[&str]) -> bool {
    proposals(desk).keys().map(String::as_str).eq(branches.iter().copied())
}

/// Daemons with these orders, one after the other, each until its orders are carried out; then the
/// one that goes on.
fn serve_all(desk: &Desk, all: &[String]) -> Serving {
    for orders in all {
        let mut daemon = serve(desk, orders);
        for order in orders.split(',') {
            let line = order.replace('=', " ");
            eventually(&line, || lines(desk).contains(&line).then_some(()));
        }
        if orders.contains("=kill") {
            daemon.ended();
        } else {
            daemon.stop();
        }
    }
    serve(desk, "")
}

/// Somebody's change is merged, versions are proposed, and newer ones after them; the points passed.
/// What is closed is closed in the second half, which has orders of its own.
fn play(first: &[String], second: &[String]) -> BTreeSet<String> {
    let orders = format!("{first:?} {second:?}");
    let mut desk = Desk::new();
    desk.world.configure(|c| {
        c["upgrades"] = json!({"propose": true, "interval": "1s", "limit": 9});
    });
    desk.repo().push("grace", "main", [ask("orders/dev/old", note("old"))]);
    desk.world.apply();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let mut daemon = serve_all(&desk, first);
    desk.says(n, &["create"]);
    eventually("it is proposed", || {
        is_proposed(&desk, &["vend/upgrade/note-1.1.0/orders"]).then_some(())
    });
    // What was reviewed and is not kept binds nothing: then it would be held, and rightly.
    let turns = || lines(&desk).iter().filter(|line| *line == "pull.turn.after").count();
    let before = turns();
    eventually("it is kept", || (turns() >= before + 2).then_some(()));
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    if !second.is_empty() {
        daemon.stop();
    }
    desk.world.catalog.commit(catalog::note("1.2.0"));
    if !second.is_empty() {
        daemon = serve_all(&desk, second);
    }
    eventually("the newer one is proposed, and the older one taken back", || {
        is_proposed(&desk, &["vend/upgrade/note-1.2.0/orders"]).then_some(())
    });
    desk.ready("orders/dev/one");
    desk.again_nothing();
    assert_eq!(desk.world.actions("vend-orders-dev-one-note"), ["create"], "{orders}");
    let said = daemon.lines().join("\n");
    assert!(!said.contains("panicked"), "{orders}: {said}");
    lines(&desk).iter().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

#[test]
fn f61_pull() {
    let passed = play(&[], &[]);
    let homes: Vec<&str> =
        HOMES.iter().filter(|(_, home)| *home == HOME).map(|(point, _)| *point).collect();
    let missing: Vec<_> = homes.iter().filter(|point| !passed.contains(**point)).collect();
    assert!(missing.is_empty(), "nobody passes {missing:?}, only {passed:?}");
    let (late, early): (Vec<&str>, Vec<&str>) =
        homes.iter().partition(|point| point.starts_with("forge.close"));
    let orders = |points: &[&str], mode: &str| -> Vec<String> {
        points.iter().map(|point| format!("{point}={mode}")).collect()
    };
    // What is proposed is proposed once: one world for each point of that. Of the others, which come
    // again, one world is killed at all.
    let (once, again): (Vec<&str>, Vec<&str>) = early.iter().partition(|point| {
        ["pull.proposal", "git.own", "forge.pull"].iter().any(|part| point.starts_with(part))
    });
    let mut plays = vec![(orders(&again, "kill"), orders(&late, "kill"))];
    plays.extend(once.iter().map(|point| (orders(&[point], "kill"), Vec::new())));
    for mode in ["error", "delay"] {
        let all = vec![orders(&early, mode).join(",")];
        plays.push((all, vec![orders(&late, mode).join(",")]));
    }
    if super::run::whole() {
        for mode in ["kill", "error", "delay"] {
            let each = early.iter().map(|point| (orders(&[point], mode), Vec::new()));
            plays.extend(each);
            plays.extend(late.iter().map(|point| (Vec::new(), orders(&[point], mode))));
        }
    }
    eprintln!("crash: {HOME}: {} points, {} plays", homes.len(), plays.len());
    super::run::share_out(3, plays, |(first, second)| {
        play(&first, &second);
    });
}
