//! A disk that is full or read-only, and what the daemon leaves on it.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use serde_json::json;

use super::{Serving, all_ready, created_once, eventually, patient};
use crate::lacking::not_run;
use crate::world::{World, ask, note};

#[test]
fn f63_without_room_nothing_is_pushed_that_is_not_recorded_and_it_goes_on_by_itself() {
    let mut world = patient();
    world.configure(|c| c["reconcile"] = json!({"interval": "200ms"}));
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    let mut daemon = Serving::ready(&world);
    eventually("the first is ready", || all_ready(&world, "orders", 1).then_some(()));
    // Files of the daemon grow no further than this: what `git` fetches is smaller, a commit of the store
    // is not.
    let pid = Pid::from_raw(daemon.pid().cast_signed());
    let full = Rlimit { current: Some(8 * 1024), ..getrlimit(Resource::Fsize) };
    let usual = prlimit(pid, Resource::Fsize, full).unwrap();
    let refs = world.output.refs();
    world.requests.commit([ask("orders/dev/n1", note("hello"))]);
    let line = daemon.logged("no space is left for the store");
    assert!(!line.contains("panicked"), "{line}");
    let tries = daemon.count("no space is left");
    eventually("it tries again", || (daemon.count("no space is left") > tries + 1).then_some(()));
    assert_eq!(world.output.refs(), refs, "something was done of which nothing is written down");
    assert_eq!(daemon.get("/healthz").1, "ok\n");
    assert!(all_ready(&world, "orders", 1), "what was said before stands");

    prlimit(pid, Resource::Fsize, usual).unwrap();
    eventually("both are ready", || all_ready(&world, "orders", 2).then_some(()));
    daemon.stop();
    created_once(&world, 2);
    world.again_nothing();
}

/// The program where nothing can be written: by bubblewrap, since for root no mode of a folder is in the way;
/// `None` where there is none of that.
fn read_only(world: &World, args: &[&str]) -> Option<Command> {
    let program = env!("CARGO_BIN_EXE_vend");
    if !rustix::process::geteuid().is_root() {
        return Some(world.command(args));
    }
    let confine = ["--unshare-user", "--ro-bind", "/", "/", "--dev", "/dev"];
    let probe = Command::new("bwrap").args(confine).arg("true").output();
    if !probe.is_ok_and(|probe| probe.status.success()) {
        let why = "it takes bubblewrap, or somebody who is not root";
        not_run("a disk that is read-only", "bwrap", why);
        return None;
    }
    let plain = world.command(args);
    let mut command = Command::new("bwrap");
    // It may lie in memory, below what is hidden.
    let root = world.root();
    command.args(confine).arg("--ro-bind").args([root, root]);
    command.arg("--").arg(program).args(args).env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Some(command)
}

#[test]
fn f64_from_a_disk_that_is_read_only_status_is_served_and_writes_are_refused_in_words() {
    let world = patient();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    world.apply();
    let state = world.root().join("state");
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(&state, permissions).unwrap();
    };
    let run = |args: &[&str]| read_only(&world, args).map(crate::cli::run);
    world.requests.commit([ask("orders/dev/n1", note("hello"))]);
    mode(0o550);
    let Some(status) = run(&["status"]) else { return mode(0o750) };
    let one = run(&["status", "orders/dev/n0"]).unwrap();
    let refs = world.refs();
    let refused: Vec<_> = [&["apply"][..], &["retry", "orders/dev/n0"], &["serve"]]
        .map(|args| (args, run(args).unwrap()))
        .into();
    mode(0o750);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(one.code == 0 && one.stdout.contains("Ready"), "{one:?}");
    for (args, output) in refused {
        assert_ne!(output.code, 0, "{args:?}: {output:?}");
        // Of the store, or of the first file that is in the way before it.
        assert!(output.stderr.to_lowercase().contains("read-only"), "{args:?}: {output:?}");
        assert!(!output.stderr.contains("panicked"), "{args:?}: {output:?}");
    }
    assert_eq!(world.refs(), refs);
    // Writable again, it goes on.
    world.apply();
    assert!(all_ready(&world, "orders", 2));
    created_once(&world, 2);
    world.again_nothing();
}

/// How much of a core a process may leave: what counts, and the most that it may choose.
fn core_of(pid: u32) -> [String; 2] {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    [words[4].to_owned(), words[5].to_owned()]
}

#[test]
fn an_apply_without_a_daemon_leaves_no_core_either() {
    let world = patient();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    let go = world.root().join("go");
    let vend = world.command(&["apply"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "ulimit -S -c unlimited; exec \"$@\"", "sh"]);
    command.arg(vend.get_program()).args(vend.get_args()).current_dir(world.root()).env_clear();
    command.envs(vend.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("VEND_FAULT", "git.push.before=wait").env("VEND_FAULT_GO", &go);
    let log = world.root().join("passed");
    let mut apply = command.env("VEND_FAULT_LOG", &log).spawn().unwrap();
    eventually("it is about to push", || {
        std::fs::read_to_string(&log).ok()?.contains("git.push.before").then_some(())
    });
    let core = core_of(apply.id());
    std::fs::write(&go, "").unwrap();
    assert!(apply.wait().unwrap().success());
    assert_eq!(core, ["0", "0"]);
    world.again_nothing();
}

/// The permissions of a file or folder.
fn mode_of(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

#[test]
fn it_leaves_no_core_and_lets_nobody_else_at_its_state_and_socket() {
    let mut world = patient();
    let socket = world.root().join("vend.sock");
    world.configure(|c| c["server"]["socket"] = json!(socket));
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    // However open the one who starts it would have files.
    let vend = world.command(&["serve", "--log", "json"]);
    let mut command = Command::new("/bin/sh");
    command.args(["-c", "umask 000; ulimit -S -c unlimited; exec \"$@\"", "sh"]);
    command.arg(vend.get_program()).args(vend.get_args()).current_dir(world.root()).env_clear();
    command.envs(vend.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let mut daemon = Serving::spawn(command);
    eventually("it is ready", || all_ready(&world, "orders", 1).then_some(()));
    assert_eq!(core_of(daemon.pid()), ["0", "0"]);
    eventually("the socket is there", || socket.exists().then_some(()));
    assert_eq!(mode_of(&socket), 0o660);
    assert_eq!(mode_of(&world.root().join("state")), 0o750);
    assert_eq!(mode_of(&world.root().join("state/vend.sqlite")), 0o600);
    daemon.stop();
    world.again_nothing();
}

#[test]
fn root_writes_nothing_into_the_state_folder_of_another_account() {
    if !rustix::process::geteuid().is_root() {
        return not_run("root beside the service", "root", "it takes root, who may be mistaken so");
    }
    let world = patient();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    world.apply();
    let state = world.root().join("state");
    let owner = |uid| std::os::unix::fs::chown(&state, Some(uid), None).unwrap();
    owner(65_534);
    for args in [&["plan"][..], &["apply"], &["state", "takeover"], &["state", "rebuild"]] {
        let refused = world.vend(args);
        assert_eq!(refused.code, 2, "{args:?}: {refused:?}");
        let said = &refused.stderr;
        assert!(said.contains("belongs to uid 65534") && said.contains("vend-once"), "{said}");
    }
    // Who only asks is answered.
    world.vend_ends(0, &["status"]);
    owner(0);
    world.again_nothing();
}

#[test]
fn f73_a_store_of_a_later_version_is_refused_in_words_and_stays_as_it_is() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/n0", note("hello"))]);
    world.apply();
    world.requests.commit([ask("orders/dev/n0", note("changed"))]);
    let path = world.root().join("state/vend.sqlite");
    let version = |version: &str| {
        let store = rusqlite::Connection::open(&path).unwrap();
        let was: i64 = store.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
        store.execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
        was.to_string()
    };
    let known = version("77");
    let all = || (std::fs::read(&path).unwrap(), world.refs());
    let before = all();
    for args in [&["apply"][..], &["status"], &["serve"]] {
        let said = world.vend(args);
        let words = format!("store schema 77, this binary knows up to {known}");
        assert!(said.code == 1 && said.stderr.contains(&words), "{args:?}: {said:?}");
        assert!(said.stderr.contains("use the vend that wrote it"), "{args:?}: {said:?}");
        assert!(all() == before, "{args:?} wrote something");
    }
    version(&known);
    world.apply();
    assert_eq!(world.actions("vend-orders-dev-n0-"), ["create", "update"]);
    world.again_nothing();
}
