//! A scenario played with a fault at one point, and held against how it ends without.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::judge::{Facts, Snapshot, violations, watch};
use super::passed::hold;
use super::{HOMES, scenario::Scenario};
use crate::daemon::Serving;
use crate::world::World;

/// How long until a world is as it should be, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

/// Does all jobs, so many at once: they wait more than they work.
pub fn share_out<J: Send>(hands: usize, jobs: Vec<J>, work: impl Fn(J) + Sync) {
    let jobs = Mutex::new(jobs);
    std::thread::scope(|scope| {
        for _ in 0..hands {
            scope.spawn(|| {
                loop {
                    let next = jobs.lock().unwrap().pop();
                    let Some(job) = next else { return };
                    work(job);
                }
            });
        }
    });
}

/// Whether everything is played, and not each point once.
pub fn whole() -> bool {
    std::env::var_os("VEND_CRASH").is_some()
}

fn log_of(world: &World) -> PathBuf {
    world.root().join("passed")
}

/// The points that were passed, each with how often.
fn passed(world: &World) -> BTreeMap<String, u64> {
    let mut passed = BTreeMap::new();
    for line in std::fs::read_to_string(log_of(world)).unwrap_or_default().lines() {
        let point = line.split(' ').next().unwrap_or_default();
        *passed.entry(point.to_owned()).or_default() += 1;
    }
    passed
}

/// Whether an order was carried out.
fn fired(world: &World, point: &str, mode: &str) -> bool {
    let log = std::fs::read_to_string(log_of(world)).unwrap_or_default();
    log.lines().any(|line| line == format!("{point} {mode}"))
}

/// Runs what the scenario is about with these orders; whether it went well.
fn run(world: &World, scenario: &Scenario, orders: &str) -> bool {
    let orders = [scenario.always, orders].into_iter().filter(|o| !o.is_empty());
    let orders = orders.collect::<Vec<_>>().join(",");
    let args = (scenario.args)(world);
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let mut command = world.command(&args);
    command.env("VEND_FAULT", &orders).env("VEND_FAULT_LOG", log_of(world));
    if scenario.serves {
        serve(command, world, &orders);
        return true;
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("panicked"), "{}: {orders}: {said}", scenario.name);
    let killed = output.status.signal() == Some(9);
    assert_eq!(killed, orders.contains("=kill"), "{}: {orders}: {said}", scenario.name);
    output.status.success()
}

/// A daemon that is there long enough to come to the point, and is then told to stop.
fn serve(command: std::process::Command, world: &World, orders: &str) {
    let mut daemon = Serving::spawn(command);
    let until = Instant::now() + DEADLINE;
    let is_there = || match orders.split_once('=') {
        Some((point, mode)) => fired(world, point, mode.split('@').next().unwrap_or_default()),
        // It renews its lease, and has done what there was to do.
        None => ["store.renew.after", "pass.ends.after", "pass.quiet.after"]
            .iter()
            .all(|point| passed(world).contains_key(*point)),
    };
    while !is_there() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    if !orders.contains("=kill") {
        daemon.signal_if_there("-TERM");
    }
    daemon.ended();
    let said = daemon.lines().join("\n");
    assert!(!said.contains("panicked"), "{orders}: {said}");
}

/// So many passes after faults have ended, all is as it should be: promise 12.
const PASSES: usize = 5;

/// Passes until the world is as the facts say, at most so many; a further one has nothing to do and writes
/// nothing.
fn settle(world: &World, facts: &Facts, what: &str) {
    for pass in 1..=PASSES + 1 {
        due(world, what);
        let before = world.refs();
        let output = world.vend(&["apply"]);
        assert!(!output.stderr.contains("panicked"), "{what}: {}", output.stderr);
        let is = Facts::of(world);
        let wrong = violations(world);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        if is == *facts && output.stdout.contains("Nothing to do") {
            assert_eq!(before, world.refs(), "{what}: a pass over nothing new wrote something");
            return;
        }
        assert!(
            is == *facts || pass < PASSES,
            "{what}: {} is wrong after {pass} passes: it is\n{is:#?}\nand not\n{facts:#?}\n{}\n{}",
            is.unlike(facts),
            output.stdout,
            output.stderr
        );
    }
    panic!("{what}: it is as it should be, and does not rest");
}

/// Waits until what is to be tried again may be: a pass before that could do nothing about it.
fn due(world: &World, what: &str) {
    let until = Instant::now() + DEADLINE;
    while world.waits(DEADLINE) {
        assert!(Instant::now() < until, "{what}: something is never due");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// How the scenario ends when nothing goes wrong: right after it, and in the end.
struct Ends {
    first: Facts,
    last: Option<Facts>,
}

fn undisturbed(world: &World, scenario: &Scenario) -> Ends {
    (scenario.act)(world);
    run(world, scenario, "");
    let mut first = Facts::of(world);
    let until = Instant::now() + DEADLINE;
    loop {
        let quiet = world.vend(&["apply"]).stdout.contains("Nothing to do");
        let next = Facts::of(world);
        if quiet && next == first && next.rest() {
            break;
        }
        assert!(Instant::now() < until, "{}: it never comes to rest", scenario.name);
        first = next;
        due(world, scenario.name);
    }
    let last = scenario.after.map(|after| {
        after(world);
        Facts::of(world)
    });
    let wrong = violations(world);
    assert!(wrong.is_empty(), "{}: {wrong:#?}", scenario.name);
    world.again_nothing();
    Ends { first, last }
}

/// The scenario with these orders comes to the same end.
fn disturbed(world: &World, scenario: &Scenario, ends: &Ends, orders: &str) {
    let what = format!("{} with {orders}", scenario.name);
    (scenario.act)(world);
    let went_well = run(world, scenario, orders);
    for order in orders.split(',') {
        let (point, mode) = order.split_once('=').unwrap();
        let mode = mode.split('@').next().unwrap();
        assert!(fired(world, point, mode), "{what}: {point} was never passed");
    }
    if scenario.insists && !went_well {
        run(world, scenario, "");
    }
    settle(world, &ends.first, &what);
    if let (Some(after), Some(last)) = (scenario.after, &ends.last) {
        after(world);
        settle(world, last, &what);
    }
}

/// Plays a scenario: each point whose home it is, or each that it passes, in every mode.
pub fn play(name: &str) {
    let scenario = super::scenario::named(name);
    let world = (scenario.world)();
    watch(&world);
    let kept = Snapshot::of(&world);
    let ends = undisturbed(&world, &scenario);
    let passed = passed(&world);
    hold(name, passed.keys().map(String::as_str));
    let homes: Vec<&str> =
        HOMES.iter().filter(|(_, home)| *home == name).map(|(point, _)| *point).collect();
    let mut cases: Vec<String> = Vec::new();
    for (point, times) in &passed {
        let nth = if whole() { 1..=(*times).min(6) } else { 1..=1 };
        for n in nth.filter(|_| whole() || homes.contains(&point.as_str())) {
            cases.push(format!("{point}=kill@{n}"));
            cases.push(format!("{point}=error@{n}"));
        }
    }
    let delayed = passed.keys().filter(|point| whole() || homes.contains(&point.as_str()));
    let delays: Vec<String> = delayed.map(|point| format!("{point}=delay")).collect();
    cases.extend(delays.chunks(6).map(|some| some.join(",")));
    // The scenario's own fault takes the place of another at the same point.
    cases.retain(|case| {
        !case.split(['=', ',']).any(|part| scenario.always.starts_with(part) && !part.is_empty())
    });
    eprintln!("crash: {name}: {} points, {} cases", passed.len(), cases.len());
    for case in cases {
        kept.restore(&world);
        disturbed(&world, &scenario, &ends, &case);
    }
}
