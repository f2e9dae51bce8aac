//! From start to end: waking, reloading, standing by, stopping.

use serde_json::{Value, json};

use super::{
    Serving, all_ready, created_once, eventually, notes, nothing_much, oversleeps, patient,
};
use crate::observe::sample;
use crate::stacks::Account;
use crate::world::{STATUS, World, ask, note, request, write};

#[test]
fn it_applies_at_its_start_and_when_a_watched_repository_changes() {
    let world = patient();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    let mut daemon = Serving::ready(&world);
    eventually("the first is ready", || all_ready(&world, "orders", 1).then_some(()));
    world.requests.commit([ask("orders/dev/n1", note("hello"))]);
    eventually("the second is ready", || all_ready(&world, "orders", 2).then_some(()));
    daemon.stop();
    world.again_nothing();
}

#[test]
fn f22_its_own_status_commits_do_not_wake_it_for_ever() {
    let world = patient();
    world.requests.commit(notes("orders", 3));
    let mut daemon = Serving::ready(&world);
    eventually("all are ready", || all_ready(&world, "orders", 3).then_some(()));
    for n in 0..10 {
        // Of a commit that is nobody's request, a pass looks for what differs; another one finds nothing new.
        let (seen, quiet) = (passes(&daemon, "done"), passes(&daemon, "quiet"));
        world.requests.commit([nothing_much(&n.to_string())]);
        eventually("the change is noticed", || (passes(&daemon, "done") > seen).then_some(()));
        world.vend_ends(0, &["apply"]);
        eventually("it is quiet", || (passes(&daemon, "quiet") > quiet).then_some(()));
    }
    assert!(world.requests.log(STATUS).len() <= 2, "{:?}", world.requests.log(STATUS));
    daemon.stop();
}

/// How many passes have come out so.
fn passes(daemon: &Serving, outcome: &str) -> f64 {
    let name = format!("vend_passes_total{{outcome=\"{outcome}\"}}");
    sample(daemon, &name).unwrap_or_default()
}

#[test]
fn i6_a_hundred_quiet_passes_change_nothing_ask_nothing_and_say_nothing() {
    let mut it = Account::new();
    it.world.configure(|c| {
        c["reconcile"] = json!({"interval": "50ms"});
        c["server"] = json!({"listen": "127.0.0.1:0"});
    });
    let world = &it.world;
    let (stack, held) = ("orders/dev/queue", "orders/dev/wrong");
    world.requests.commit([
        ask(stack, request("queue@1.0.0", "{}")),
        ask(held, request("queue@1.0.0", "{seconds: never}")),
    ]);
    let mut daemon = Serving::ready(world);
    let stands = |id: &str, phase: &str| {
        world.status_or_none(id).is_some_and(|status| status["phase"] == phase)
    };
    eventually("all is as it will be", || {
        (stands(stack, "Ready") && stands(held, "Held")).then_some(())
    });
    let rest = passes(&daemon, "quiet");
    eventually("it is quiet", || (passes(&daemon, "quiet") > rest).then_some(()));

    let all = || (world.refs(), world.requests.contents(STATUS, ""), it.aws.calls().len());
    let (before, quiet, done) = (all(), passes(&daemon, "quiet"), passes(&daemon, "done"));
    eventually("a hundred more", || (passes(&daemon, "quiet") >= quiet + 100.0).then_some(()));
    assert_eq!(all(), before, "{}", it.aws.history());
    assert_eq!((passes(&daemon, "done"), passes(&daemon, "failed")), (done, 0.0));
    daemon.stop();
    it.again_nothing();
}

#[test]
fn b72_every_log_line_is_one_json_object() {
    let world = patient();
    world.requests.commit([
        ask("orders/dev/n0", note("hello")),
        crate::world::write("requests/orders/dev/a\u{1b}[2J{level}.yaml", "x"),
        // Quoted as `git fast-import` wants it: a line break, and what looks like another event.
        write(r#""requests/orders/dev/b\n{\"level\":\"ERROR\"}.yaml""#, "x"),
    ]);
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    daemon.stop();
    let lines = daemon.lines();
    assert!(lines.len() > 3);
    for line in lines {
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}"));
        assert!(value["level"].is_string() && value["fields"].is_object(), "{line}");
        assert!(!line.contains('\u{1b}'));
    }
}

#[test]
fn f62_sigterm_in_the_middle_loses_nothing_and_begins_nothing() {
    let mut world = patient();
    world.configure(|c| c["providers"]["files"]["batch"] = json!(5));
    world.requests.commit(notes("orders", 100));
    let mut daemon = Serving::ready(&world);
    daemon.logged("\"intent\"");
    daemon.stop();
    let made = world.output_log().len();
    assert!(made < 20, "it was told to stop after the first of twenty commits, and made {made}");
    let mut daemon = Serving::ready(&world);
    eventually("all are ready", || all_ready(&world, "orders", 100).then_some(()));
    daemon.stop();
    created_once(&world, 100);
    world.again_nothing();
}

#[test]
fn sighup_reads_the_configuration_again_and_refuses_a_bad_one() {
    let mut world = patient();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    let mut daemon = Serving::ready(&world);
    eventually("the first is ready", || all_ready(&world, "orders", 1).then_some(()));

    let good = std::fs::read_to_string(world.config_file()).unwrap();
    std::fs::write(world.config_file(), "catalog: [").unwrap();
    daemon.signal("-HUP");
    daemon.logged("the new configuration is refused; the old one stays");
    std::fs::write(world.config_file(), good.replace("/state", "/elsewhere")).unwrap();
    daemon.signal("-HUP");
    daemon.logged("change with a restart only");

    let more = world.repository("more");
    more.commit([ask("billing/dev/n0", note("hello"))]);
    world.configure(|c| {
        let source = json!({"name": "more", "repository": more.url()});
        c["requests"].as_array_mut().unwrap().push(source);
    });
    daemon.signal("-HUP");
    daemon.logged("the configuration was read again");
    eventually("the other source's is ready", || all_ready(&world, "billing", 1).then_some(()));
    more.commit([ask("billing/dev/n1", note("hello"))]);
    eventually("the new source is watched", || all_ready(&world, "billing", 2).then_some(()));
    daemon.stop();
    created_once(&world, 3);
}

#[test]
fn f66_a_second_daemon_stands_by_and_takes_over_from_a_dead_one() {
    let world = patient();
    world.requests.commit(notes("orders", 1));
    let mut first = Serving::ready(&world);
    eventually("the first is ready", || all_ready(&world, "orders", 1).then_some(()));
    let mut second = Serving::start(&world);
    second.logged("standing by");
    assert!(second.get("/readyz").0.contains("503"), "{:?}", second.get("/readyz"));
    assert!(second.get("/healthz").0.contains("200"));
    // Without a handler this would end it.
    second.signal("-HUP");
    first.kill();
    second.logged("the lease is held");
    world.requests.commit(notes("orders", 2));
    eventually("the second goes on", || all_ready(&world, "orders", 2).then_some(()));
    eventually("it is ready", || second.get("/readyz").0.contains("200").then_some(()));
    second.stop();
    created_once(&world, 2);
}

#[test]
fn f66_a_paused_daemon_that_wakes_up_writes_nothing_and_ends() {
    let mut world = patient();
    world.configure(|c| c["reconcile"]["lease"] = json!("1s"));
    world.requests.commit(notes("orders", 1));
    let mut first = Serving::ready(&world);
    eventually("the first is ready", || all_ready(&world, "orders", 1).then_some(()));
    let mut second = Serving::start(&world);
    second.logged("standing by");
    oversleeps(&world, &first, &second);
    world.requests.commit(notes("orders", 2));
    eventually("the second goes on", || all_ready(&world, "orders", 2).then_some(()));
    first.signal("-CONT");
    assert_eq!(first.ended(), Some(1), "{:#?}", first.lines());
    // The socket is the successor's by now.
    world.vend_ends(0, &["apply"]);
    assert_eq!(second.count("the lease is lost"), 0);
    second.stop();
    created_once(&world, 2);
}

#[test]
fn whose_the_status_branch_is_is_looked_up_as_soon_as_it_can_be_reached() {
    let mut world = patient();
    let status = world.repository("status");
    world.configure(|c| c["status"] = json!({"repository": status.url()}));
    world.apply();
    let away = world.root().join("away");
    std::fs::rename(status.path(), &away).unwrap();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    let mut daemon = Serving::ready(&world);
    daemon.logged("the status branch could not be written");
    assert_eq!(world.output_log().len(), 1);

    std::fs::rename(&away, status.path()).unwrap();
    status.commit_to(STATUS, [write("instance.yaml", "instance: another\nepoch: 1\n")]);
    let refs = status.refs();
    world.requests.commit([ask("orders/dev/n1", note("hello"))]);
    daemon.logged("the status branch belongs to another vend");
    daemon.stop();
    assert_eq!((status.refs(), world.output_log().len()), (refs, 1), "nothing more was done");
}

#[test]
fn standing_by_it_stops_at_once() {
    let world = patient();
    let _first = Serving::ready(&world);
    let mut second = Serving::start(&world);
    second.logged("standing by");
    second.stop();
}

#[test]
fn a_repository_that_is_away_delays_no_stop() {
    let mut world = World::new();
    let status = world.output.url();
    world.configure(|c| {
        c["reconcile"] = json!({"interval": "1h"});
        c["requests"][0]["repository"] = json!("/nowhere/at/all");
        // A first pass must see whose the status branch is.
        c["status"] = json!({"repository": status});
    });
    let mut daemon = Serving::ready(&world);
    daemon.logged("is not there since");
    daemon.stop();
}

/// How long a daemon's threads have worked, in hundredths of a second: proc_pid_stat(5).
fn ticks(daemon: &Serving) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).unwrap();
    let (_, rest) = stat.rsplit_once(')').unwrap();
    rest.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
}

#[test]
fn f68_without_descriptors_it_waits_and_goes_on_by_itself() {
    use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
    let mut world = patient();
    world.configure(|c| c["reconcile"] = json!({"interval": "200ms"}));
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || daemon.get("/readyz").0.contains("200").then_some(()));
    let address = daemon.address();
    let pid = Pid::from_raw(daemon.pid().cast_signed());
    let open = || std::fs::read_dir(format!("/proc/{}/fd", daemon.pid())).unwrap().count() as u64;
    let full = Rlimit { current: Some(open()), ..getrlimit(Resource::Nofile) };
    let usual = prlimit(pid, Resource::Nofile, full).unwrap();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    // Those that come wait in the system's queue, and no pass can open what it needs.
    let waiting: Vec<_> =
        (0..20).map(|_| std::net::TcpStream::connect(&address).unwrap()).collect();
    daemon.logged("oo many open files");
    let (said, passes) = (daemon.lines().len(), daemon.count("oo many open files"));
    let (since, worked) = (std::time::Instant::now(), ticks(&daemon));
    eventually("it has tried again", || {
        (daemon.count("oo many open files") > passes + 2).then_some(())
    });
    let more = daemon.lines().len() - said;
    assert!(more < 100, "{more} lines for three tries");
    // Nor does it ask for those who wait over and over: a hundred ticks are a second of one processor.
    eventually("two seconds", || (since.elapsed().as_secs() >= 2).then_some(()));
    let (worked, waited) = (ticks(&daemon) - worked, since.elapsed().as_millis() / 10);
    assert!(u128::from(worked) < waited / 2, "{worked} of {waited} ticks at work");
    assert!(world.status_or_none("orders/dev/n0").is_none());
    drop(waiting);
    prlimit(pid, Resource::Nofile, usual).unwrap();
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    assert_eq!(daemon.get("/healthz").1, "ok\n");
    daemon.stop();
    created_once(&world, 1);
    world.again_nothing();
}

#[test]
fn an_address_that_is_taken_is_no_mistake_of_the_configuration_and_is_tried_again() {
    let mut world = patient();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    world.configure(|c| c["server"]["listen"] = json!(address.to_string()));
    world.requests.commit(notes("orders", 1));
    let mut daemon = Serving::start(&world);
    // With 2 or 3 the service manager would leave it at that.
    assert_eq!(daemon.ended(), Some(1), "{:#?}", daemon.lines());
    assert_eq!(daemon.count(&format!("cannot listen on `{address}`")), 1, "{:#?}", daemon.lines());
    drop(taken);
    let mut daemon = Serving::ready(&world);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    daemon.stop();
    world.again_nothing();
}
