//! The main stories with the program as confined as `systemd/vend.service` has it: a file system that is read-only but
//! for its state, nobody's home, no capability, an empty environment, and the calls to the kernel that its filters leave.
//! By bubblewrap where it is and user namespaces are allowed; else with a home that must stay empty, and nothing more.
//! Each test prints which it was, and what it lacked.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::filter::filters;
use super::{Serving, all_ready, created_once, eventually, notes};
use crate::lacking::not_run;
use crate::remote::{https_world, ssh};
use crate::review::Desk;
use crate::stacks::Account;
use crate::world::{World, ask, drop_request, note, request};

/// How a program is confined here.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Bubblewrap,
    EmptyHome,
}

impl Kind {
    fn here() -> Self {
        let mut probe = Command::new("bwrap");
        probe.args(["--unshare-user", "--unshare-ipc", "--ro-bind", "/", "/", "true"]);
        match probe.output() {
            Ok(output) if output.status.success() => Self::Bubblewrap,
            _ => Self::EmptyHome,
        }
    }
}

/// What is around a world's program.
struct Sandbox<'w> {
    world: &'w World,
    kind: Kind,
    /// Written to beside the state.
    writable: Vec<PathBuf>,
    /// What the program finds in its environment beside the least.
    environment: Vec<(String, String)>,
}

impl<'w> Sandbox<'w> {
    fn around(world: &'w World, writable: &[&Path]) -> Self {
        let kind = Kind::here();
        eprintln!("the sandbox: {kind:?}");
        if kind == Kind::EmptyHome {
            not_run(
                "a sandbox",
                "bwrap",
                "no folder is read-only and no call to the kernel is refused: an empty home and environment \
                 stand for it (bubblewrap)",
            );
        }
        for folder in [world.root().join("state"), home(world)] {
            std::fs::create_dir_all(folder).unwrap();
        }
        let writable = writable.iter().map(|path| (*path).to_owned()).collect();
        Self { world, kind, writable, environment: Vec::new() }
    }

    /// The filters of the unit, a file each.
    fn filters(&self) -> Vec<PathBuf> {
        let write = |(n, filter): (usize, Vec<u8>)| {
            let file = self.world.root().join(format!("filter-{n}"));
            std::fs::write(&file, filter).unwrap();
            file
        };
        filters().into_iter().enumerate().map(write).collect()
    }

    /// A program with its arguments, confined.
    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let state = self.world.root().join("state");
        let path = std::env::var_os("PATH").unwrap();
        let mut command = match self.kind {
            Kind::Bubblewrap => {
                // A shell opens the filters' files for it: what this process has open closes for its children.
                let filters = self.filters();
                let numbers = || (3..).take(filters.len());
                let opened: String = numbers().map(|n| format!(" {n}<\"${}\"", n - 2)).collect();
                let becomes = format!("shift {}; exec bwrap \"$@\"", filters.len());
                let mut command = Command::new("sh");
                command.args(["-c", &format!("exec{opened}; {becomes}"), "sh"]).args(&filters);
                for n in numbers() {
                    command.args(["--add-seccomp-fd", &n.to_string()]);
                }
                command.args(["--die-with-parent", "--new-session", "--cap-drop", "ALL"]).args([
                    "--unshare-user",
                    "--unshare-ipc",
                    "--unshare-uts",
                    "--unshare-cgroup-try",
                ]);
                if rustix::process::geteuid().is_root() {
                    command.args(["--uid", "65534", "--gid", "65534"]);
                }
                // ProtectSystem=strict, PrivateDevices=, ProtectHome=, PrivateTmp=.
                command.args(["--ro-bind", "/", "/", "--dev", "/dev"]);
                for hidden in ["/root", "/home", "/tmp", "/var/tmp"] {
                    if Path::new(hidden).is_dir() {
                        command.args(["--tmpfs", hidden]);
                    }
                }
                for seen in [self.world.root(), program] {
                    command.arg("--ro-bind").args([seen, seen]);
                }
                for written in self.writable.iter().chain([&state]) {
                    command.arg("--bind").args([written, written]);
                }
                command.arg("--chdir").arg(&state).arg("--").arg(program);
                command.env_clear().env("HOME", &state);
                command
            }
            Kind::EmptyHome => {
                let mut command = Command::new(program);
                command.env_clear().env("HOME", home(self.world)).current_dir(&state);
                command
            }
        };
        command.args(args).env("PATH", path).envs(self.environment.iter().cloned());
        command
    }

    /// The daemon, with the lease and its first pass.
    fn serve(&self) -> Serving {
        let config = self.world.config_file();
        let args = ["serve", "--config", config.to_str().unwrap(), "--log", "json"];
        let command = self.command(Path::new(env!("CARGO_BIN_EXE_vend")), &args);
        let daemon = match self.kind {
            Kind::Bubblewrap => Serving::within(command, "vend"),
            Kind::EmptyHome => Serving::spawn(command),
        };
        daemon.logged("the lease is held");
        daemon
    }

    /// Nothing was written where nothing may be.
    #[track_caller]
    fn held(&self) {
        let home: Vec<_> = std::fs::read_dir(home(self.world)).unwrap().collect();
        assert!(home.is_empty(), "{home:?}");
    }
}

/// A home in which there is nothing to find, and nothing to be left.
fn home(world: &World) -> PathBuf {
    world.root().join("nobody")
}

#[test]
fn the_sandbox_is_as_tight_as_it_says() {
    let world = World::new();
    let sandbox = Sandbox::around(&world, &[]);
    let says = |script: &str| {
        let output = sandbox.command(Path::new("/bin/sh"), &["-c", script]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.success(), text)
    };
    let state = world.root().join("state");
    assert!(says(&format!("echo x >{}/file", state.display())).0);
    let (_, environment) = says("env");
    let names: Vec<&str> = environment.lines().filter_map(|l| l.split('=').next()).collect();
    assert!(names.iter().all(|n| ["HOME", "PATH", "PWD", "_", "SHLVL"].contains(n)), "{names:?}");
    if sandbox.kind == Kind::Bubblewrap {
        for place in [world.root().join("file"), "/etc/file".into(), "/usr/file".into()] {
            assert!(!says(&format!("echo x >{}", place.display())).0, "{}", place.display());
        }
        assert_eq!(says("ls -A /root /home 2>/dev/null | grep -v : | grep .").1, "");
        assert_eq!(says("grep CapEff /proc/self/status").1, "CapEff:\t0000000000000000\n");
        assert_eq!(says("grep NoNewPrivs /proc/self/status").1, "NoNewPrivs:\t1\n");
        assert_ne!(says("id -u").1, "0\n");
        // The filters of the unit, each by something that it refuses, and by something that it does not.
        assert_eq!(says("grep ^Seccomp: /proc/self/status").1, "Seccomp:\t2\n");
        let refused = |call: &str, error: &str| {
            let script = format!("python3 -c 'import mmap, os, socket; {call}' 2>&1");
            let (_, said) = says(&script);
            let last = said.lines().last().unwrap_or_default();
            assert!(last.contains(error), "{call}: {said}");
        };
        refused("os.setpriority(os.PRIO_PROCESS, 0, 5)", "Operation not permitted");
        refused("os.chown(\".\", os.getuid(), -1)", "Operation not permitted");
        refused("mmap.mmap(-1, 4096, prot=7)", "Operation not permitted");
        refused("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", "not supported by protocol");
        refused("mmap.mmap(-1, 4096, prot=3); socket.socket(); print(\"allowed\")", "allowed");
    }
}

#[test]
fn in_a_sandbox_a_request_is_created_changed_and_deleted() {
    let (world, _server) = https_world();
    let sandbox = Sandbox::around(&world, &[]);
    world.requests.commit([ask("orders/dev/n0", note("hello")), ask("orders/dev/n1", note("x"))]);
    let mut daemon = sandbox.serve();
    eventually("both are ready", || all_ready(&world, "orders", 2).then_some(()));
    world.requests.commit([ask("orders/dev/n0", note("changed"))]);
    eventually("it is changed", || {
        (world.actions("vend-orders-dev-n0-note-").len() == 2).then_some(())
    });
    world.requests.commit([drop_request("orders/dev/n0")]);
    eventually("it is deleted", || {
        (world.actions("vend-orders-dev-n0-note-").len() == 3).then_some(())
    });
    eventually("that is published", || all_ready_but(&world, "orders/dev/n0").then_some(()));
    assert_eq!(world.actions("vend-orders-dev-n0-note-"), ["create", "update", "delete"]);
    daemon.stop();
    sandbox.held();
    world.again_nothing();
}

#[test]
fn in_a_sandbox_a_stack_is_created_changed_and_deleted() {
    const ID: &str = "orders/dev/events";
    let mut it = Account::new();
    it.world.configure(|c| c["reconcile"] = json!({"interval": "300ms"}));
    let requests = it.world.requests.path().to_owned();
    let mut sandbox = Sandbox::around(&it.world, &[&requests]);
    sandbox.environment = it.aws.environment();
    let mut daemon = sandbox.serve();
    let is_done = |effects: &[&str]| {
        it.aws.eventually(&format!("{effects:?} is all that was done"), || {
            (it.aws.effects("") == effects).then_some(())
        });
    };
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    is_done(&["create"]);
    eventually("it is ready", || is_ready_with(&it.world, ID, 60));
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{seconds: 120}"))]);
    eventually("it is changed", || is_ready_with(&it.world, ID, 120));
    it.world.requests.commit([drop_request(ID)]);
    is_done(&["create", "update", "delete"]);
    eventually("it is gone", || it.world.status_or_none(ID).is_none().then_some(()));
    daemon.stop();
    sandbox.held();
    it.again_nothing();
}

/// A request is ready with so many seconds.
fn is_ready_with(world: &World, id: &str, seconds: u64) -> Option<()> {
    let status = world.status_or_none(id)?;
    (status["phase"] == "Ready" && status["parameters"]["seconds"] == seconds).then_some(())
}

#[test]
fn in_a_sandbox_all_of_a_requests_life_over_ssh() {
    let Some(place) = ssh::place("ssh in a sandbox") else { return };
    let world = &place.world;
    let sandbox = Sandbox::around(world, &[]);
    world.requests.commit([ask("orders/dev/n0", note("hello")), ask("orders/dev/n1", note("x"))]);
    let mut daemon = sandbox.serve();
    eventually("both are ready", || all_ready(world, "orders", 2).then_some(()));
    world.requests.commit([ask("orders/dev/n1", note("changed")), drop_request("orders/dev/n0")]);
    eventually("one is changed", || {
        (world.actions("vend-orders-dev-n1-note-") == ["create", "update"]).then_some(())
    });
    eventually("the other is gone", || all_ready_but(world, "orders/dev/n0").then_some(()));
    assert_eq!(world.actions("vend-orders-dev-n0-note-"), ["create", "delete"]);
    daemon.stop();
    sandbox.held();
    world.again_nothing();
}

fn all_ready_but(world: &World, gone: &str) -> bool {
    world.status_or_none(gone).is_none() && world.status_or_none("orders/dev/n1").is_some()
}

#[test]
fn in_a_sandbox_a_pull_request_is_answered_and_merged() {
    let desk = Desk::new();
    let output = desk.world.output.path().to_owned();
    let sandbox = Sandbox::around(&desk.world, &[&output]);
    let mut daemon = sandbox.serve();
    eventually("a first pass", || desk.world.requests.tip(crate::world::STATUS));
    let number = desk.propose("ada", "queue", [ask("orders/dev/queue", note("hello"))]);
    desk.says(number, &["orders/dev/queue", "create"]);
    desk.repo().merge("grace", number);
    desk.ready("orders/dev/queue");
    desk.again_nothing();
    daemon.stop();
    sandbox.held();
}

#[test]
fn in_a_sandbox_a_reload_loses_no_work_and_refuses_a_bad_file() {
    let (mut world, _server) = https_world();
    world.configure(|c| {
        c["providers"]["files"]["batch"] = json!(4);
        c["reconcile"] = json!({"interval": "300ms"});
    });
    world.requests.commit(notes("orders", 40));
    let sandbox_of = |world: &World| -> Serving { Sandbox::around(world, &[]).serve() };
    let mut daemon = sandbox_of(&world);
    daemon.logged("\"intent\"");

    // Work is under way: a bad file is refused, and the old one goes on.
    let good = std::fs::read_to_string(world.config_file()).unwrap();
    std::fs::write(world.config_file(), "catalog: [").unwrap();
    daemon.signal("-HUP");
    daemon.logged("the new configuration is refused; the old one stays");
    // A good one takes effect in the midst of it.
    std::fs::write(world.config_file(), &good).unwrap();
    world.configure(|c| c["reconcile"] = json!({"interval": "200ms"}));
    daemon.signal("-HUP");
    daemon.logged("the configuration was read again");

    eventually("all are ready", || all_ready(&world, "orders", 40).then_some(()));
    daemon.stop();
    created_once(&world, 40);
    world.again_nothing();
}
