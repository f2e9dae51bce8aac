//! The main stories with the program as confined as `systemd/vend.service` has it: a file system that is read-only but
//! for its state, nobody's home, no capability, an empty environment. By bubblewrap where it is and user namespaces are
//! allowed; else with a home that must stay empty. Each test prints which it was, and that it lacked the other.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::{Serving, all_ready, created_once, eventually, notes};
use crate::lacking::not_run;
use crate::remote::https_world;
use crate::review::Desk;
use crate::world::{World, ask, drop_request, note};

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
}

impl<'w> Sandbox<'w> {
    fn around(world: &'w World, writable: &[&Path]) -> Self {
        let kind = Kind::here();
        eprintln!("the sandbox: {kind:?}");
        if kind == Kind::EmptyHome {
            not_run(
                "a sandbox",
                "bwrap",
                "an empty home and environment stand for it (bubblewrap)",
            );
        }
        for folder in [world.root().join("state"), home(world)] {
            std::fs::create_dir_all(folder).unwrap();
        }
        Self { world, kind, writable: writable.iter().map(|path| (*path).to_owned()).collect() }
    }

    /// A program with its arguments, confined.
    fn command(&self, program: &Path, args: &[&str]) -> Command {
        let state = self.world.root().join("state");
        let path = std::env::var_os("PATH").unwrap();
        let mut command = match self.kind {
            Kind::Bubblewrap => {
                let mut command = Command::new("bwrap");
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
        command.args(args).env("PATH", path);
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
