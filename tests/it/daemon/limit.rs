//! What the daemon may not have more of: processes and threads, and a reader of its log.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use rustix::process::{Resource, getrlimit};
use serde_json::json;

use super::{Serving, all_ready, created_once, eventually, notes, oversleeps, patient};
use crate::observe::sample;
use crate::world::{World, ask, note};

/// Whom the daemon runs as where the tests run as root, to whom no limit of processes applies: nobody else's
/// number, so that nobody else's processes count.
const SOMEBODY: u32 = 61_576;

/// KiB of memory of its own that a program is started with: from where nothing at all begins to where it does its work.
const KIB: std::ops::RangeInclusive<usize> = 1..=24;

#[test]
fn f68_a_program_that_is_given_no_memory_ends_by_itself() {
    let world = World::new();
    let [mut begun, mut refused] = [0; 2];
    for kib in KIB.flat_map(|mib| [mib * 1024, mib * 1024 + 512]) {
        let plan = world.command(&["plan"]);
        let limited = format!("ulimit -c 0; ulimit -d {kib}; exec \"$@\"");
        let mut command = Command::new("sh");
        command.args(["-c", &limited, "sh"]).arg(plan.get_program()).args(plan.get_args());
        command.env_clear().current_dir(world.root());
        command.envs(plan.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let said = world.root().join("said");
        command.stdout(Stdio::null()).stderr(std::fs::File::create(&said).unwrap());
        let mut child = command.spawn().unwrap();
        let ended = eventually(&format!("an end with {kib} KiB"), || child.try_wait().unwrap());
        let said = std::fs::read_to_string(&said).unwrap();
        // A thread's stack, an allocation: whatever it is that it is not given, it says so where it can.
        begun += usize::from(ended.success());
        if said.contains("no memory for one") {
            assert_eq!(ended.code(), Some(1), "{said}");
            refused += 1;
        }
    }
    assert!(refused > 0, "no limit was one with which a thread cannot be started");
    assert!(begun > 0, "no limit was one with which it works");
}

/// From now on a daemon may have so many processes and threads at once; `None`: as many as it likes. By a
/// program, since whoever does that must be who the daemon is.
fn limit(daemon: &Serving, most: Option<u64>) {
    let most = most.map_or_else(|| "unlimited".to_owned(), |most| most.to_string());
    let mut command = Command::new("prlimit");
    command.arg(format!("--pid={}", daemon.pid())).arg(format!("--nproc={most}:"));
    if rustix::process::geteuid().is_root() {
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    let limited = command.output().unwrap();
    assert!(limited.status.success(), "{limited:?}");
}

/// A daemon to whom a limit of processes applies.
fn limitable(world: &World) -> Serving {
    let mut command = world.command(&["serve", "--log", "json"]);
    if rustix::process::geteuid().is_root() {
        // Both write to the repositories.
        for repository in [&world.catalog, &world.requests, &world.output] {
            repository.git(&["config", "core.sharedRepository", "0777"]);
        }
        let open = Command::new("chmod").args(["-R", "a+rwX"]).arg(world.root()).status().unwrap();
        assert!(open.success());
        command.uid(SOMEBODY).gid(SOMEBODY);
    }
    Serving::spawn(command)
}

#[test]
fn f68_without_processes_and_threads_it_waits_and_goes_on_by_itself() {
    let mut world = patient();
    // Its lease outlives the shortage; one that does not ends it, as a kill does.
    world.configure(|c| c["reconcile"] = json!({"interval": "200ms", "lease": "1m"}));
    let mut daemon = limitable(&world);
    daemon.logged("the lease is held");
    eventually("it is ready", || daemon.get("/readyz").0.contains("200").then_some(()));
    limit(&daemon, Some(0));
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);

    let tries = || daemon.count("\"level\":\"ERROR\"") + daemon.count("\"level\":\"WARN\"");
    eventually("it says that it cannot", || (tries() > 0).then_some(()));
    let (said, tried) = (daemon.lines().len(), tries());
    eventually("it has tried again", || (tries() > tried + 2).then_some(()));
    let more = daemon.lines().len() - said;
    assert!(more < 100, "{more} lines for three tries");
    assert_eq!(daemon.get("/healthz").1, "ok\n", "it answers all the same");
    assert!(world.status_or_none("orders/dev/n0").is_none());

    limit(&daemon, getrlimit(Resource::Nproc).current);
    eventually("it is applied", || all_ready(&world, "orders", 1).then_some(()));
    daemon.stop();
    created_once(&world, 1);
    if rustix::process::geteuid().is_root() {
        // Root's own commands leave the state folder of another account alone.
        let state = world.root().join("state");
        let ours = Command::new("chown").args(["-R", "0:0"]).arg(state).status().unwrap();
        assert!(ours.success());
    }
    world.again_nothing();
}

/// A daemon of which nobody reads what it logs any more, until it has lost some of that.
fn stuck(world: &World, faults: &str) -> Serving {
    let mut command = world.command(&["serve", "--log", "json"]);
    command.env("VEND_LOG", "vend=debug").env("VEND_FAULT", faults);
    let daemon = Serving::spawn(command);
    daemon.logged("the lease is held");
    let address = daemon.address();
    daemon.is_stuck(true);
    // Each of these is a line.
    let garbles = || {
        let mut stream = TcpStream::connect(&address).unwrap();
        let _ = stream.write_all(b"no request\r\n\r\n");
        let _ = stream.read_to_end(&mut Vec::new());
    };
    eventually("lines are lost", || {
        (0..500).for_each(|_| garbles());
        (sample(&daemon, "vend_log_lines_dropped_total")? > 0.0).then_some(())
    });
    daemon
}

#[test]
fn f76_a_log_that_nobody_reads_holds_up_neither_passes_nor_the_end() {
    let mut world = patient();
    world.configure(|c| c["reconcile"]["lease"] = json!("1s"));
    world.requests.commit(notes("billing", 1));
    world.apply();
    // Whatever is said on the way: also what a bug says of itself.
    let mut daemon = stuck(&world, "read.parse=panic@2");
    let steps = || world.output_log().iter().map(|(_, steps)| steps.len()).sum::<usize>();
    world.requests.commit(notes("orders", 20));
    eventually("all but the one that the bug met are there", || (steps() == 20).then_some(()));
    assert_eq!(daemon.get("/healthz").1, "ok\n");
    daemon.stop();

    // Nor does it live on without its lease, since nobody hears why it ends.
    let mut daemon = stuck(&world, "");
    let mut second = Serving::start(&world);
    second.logged("standing by");
    oversleeps(&world, &daemon, &second);
    daemon.signal("-CONT");
    assert_eq!(daemon.ended(), Some(1));
    // The one that the bug met is tried again with another content.
    world.requests.commit((0..20).map(|n| ask(&format!("orders/dev/n{n}"), note("changed"))));
    let changed = |n: usize| world.output_file(&format!("dev/orders/n{n}/note/note.yaml"));
    let is_changed = |n: usize| changed(n).as_deref() == Some("text: changed\n");
    eventually("the next one goes on", || (0..20).all(is_changed).then_some(()));
    second.stop();
    world.apply();
    world.again_nothing();
}
