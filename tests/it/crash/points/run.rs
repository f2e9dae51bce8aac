//! A scenario played with a fault at one point, and held against how it ends without.

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::judge::{Facts, Snapshot, violations, watch};
use super::{HOMES, NOT_HERE, scenario::Scenario};
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
    let until = Instant::now() + Duration::from_secs(20);
    let is_there = || match orders.split_once('=') {
        Some((point, mode)) => fired(world, point, mode.split('@').next().unwrap_or_default()),
        None => passed(world).contains_key("store.renew.after"),
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

/// Passes until the world is as the facts say, and a further one has nothing to do and writes nothing.
fn settle(world: &World, facts: &Facts, what: &str) {
    let until = Instant::now() + DEADLINE;
    loop {
        let before = world.refs();
        let output = world.vend(&["apply"]);
        assert!(!output.stderr.contains("panicked"), "{what}: {}", output.stderr);
        let is = Facts::of(world);
        if is == *facts && output.stdout.contains("Nothing to do") {
            assert_eq!(before, world.refs(), "{what}: a pass over nothing new wrote something");
            break;
        }
        let wrong = violations(world);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        assert!(
            Instant::now() < until,
            "{what}: it is\n{is:#?}\nand not\n{facts:#?}\n{}\n{}",
            output.stdout,
            output.stderr
        );
        std::thread::sleep(Duration::from_millis(100));
    }
    let wrong = violations(world);
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
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
        std::thread::sleep(Duration::from_millis(150));
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
    let wrong: Vec<_> = NOT_HERE.iter().filter(|(point, _)| passed.contains_key(*point)).collect();
    assert!(wrong.is_empty(), "{name} passes what is said to be passed nowhere: {wrong:?}");
    let homes: Vec<&str> =
        HOMES.iter().filter(|(_, home)| *home == name).map(|(point, _)| *point).collect();
    let missing: Vec<_> = homes.iter().filter(|point| !passed.contains_key(**point)).collect();
    assert!(missing.is_empty(), "{name} does not pass {missing:?}, only {passed:?}");
    let mut cases: Vec<String> = Vec::new();
    for (point, times) in &passed {
        let nth = if whole() { 1..=(*times).min(6) } else { 1..=1 };
        for n in nth.filter(|_| whole() || homes.contains(&point.as_str())) {
            cases.push(format!("{point}=kill@{n}"));
            cases.push(format!("{point}=error@{n}"));
        }
    }
    let delays: Vec<String> = homes.iter().map(|point| format!("{point}=delay")).collect();
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
