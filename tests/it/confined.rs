//! A program that can start no child, open no connection and take only so much memory, and what it cost.
//!
//! # Flow
//! The filter has to be in force right before the program begins, and this process has to go on without
//! it. So this test binary is started once more as its own launcher: the test below, alone, puts the
//! filter over itself and becomes the program.
//!
//! # Guarantees
//! The kernel ends the program at its first attempt; it cannot swallow an error that it never sees. Of memory it is
//! given no more than [`most`], upon which it ends itself.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};
use serde_json::{Value, json};
use wait4::Wait4 as _;

use crate::world::Output;

/// The variable in which the launcher finds what it is to become.
const LAUNCH: &str = "VEND_CONFINED_LAUNCH";

/// The test that is the launcher, as `cargo test` names it.
const LAUNCHER: &str = "confined::what_starts_a_child_or_opens_a_connection_is_ended";

/// How long a program may stay: longer than any takes on any machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The memory of its own that a program may have, in bytes: what lies in a file and is only looked at does not
/// count, so it is the same however large the program is, and however much of it the machine reads ahead. Each
/// thread has a stack. Most cases take some 20 MiB, a thousand requests 56.
pub fn most() -> u64 {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (64 << 20) + (4 << 20) * threads as u64
}

/// What a run came to, and what it took of the machine.
#[derive(Debug)]
pub struct Ran {
    /// What it said.
    pub output: Output,
    /// The kernel ended it since it tried what it must not.
    pub is_ended: bool,
    /// Of the processor.
    pub time: Duration,
}

/// Runs a command to its end, with nothing of this process's environment. `beside` is a folder for
/// what it prints.
pub fn run(command: &Command, beside: &Path) -> Ran {
    let prints = tempfile::tempdir_in(beside).unwrap();
    let (out, err) = (prints.path().join("out"), prints.path().join("err"));
    let text = |text: &std::ffi::OsStr| text.to_str().unwrap().to_owned();
    let set = command.get_envs().filter_map(|(name, value)| Some((text(name), text(value?))));
    let launch = json!({
        "program": text(command.get_program()),
        "arguments": command.get_args().map(text).collect::<Vec<_>>(),
        "folder": command.get_current_dir().unwrap_or(beside),
        "environment": set.collect::<BTreeMap<_, _>>(),
        "out": out,
        "err": err,
    });
    let mut launcher = Command::new(std::env::current_exe().unwrap());
    launcher
        .args(["--exact", LAUNCHER])
        .env(LAUNCH, launch.to_string())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = launcher.spawn().unwrap();
    let pid = rustix::process::Pid::from_child(&child);
    let (ended, waits) = std::sync::mpsc::channel::<()>();
    let watch = std::thread::spawn(move || {
        if waits.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    });
    let used = child.wait4().unwrap();
    drop(ended);
    watch.join().unwrap();
    let said = |file: &Path| String::from_utf8(std::fs::read(file).unwrap()).unwrap();
    Ran {
        output: Output {
            code: used.status.code().unwrap_or(-1),
            stdout: said(&out),
            stderr: said(&err),
        },
        is_ended: used.status.signal() == Some(libc::SIGSYS),
        time: used.rusage.utime + used.rusage.stime,
    }
}

/// A filter that does `action` to these calls and lets all others be.
fn filter(calls: Vec<(libc::c_long, Vec<SeccompRule>)>, action: SeccompAction) -> BpfProgram {
    let arch = std::env::consts::ARCH.try_into().unwrap();
    let calls = calls.into_iter().collect();
    SeccompFilter::new(calls, SeccompAction::Allow, action, arch).unwrap().try_into().unwrap()
}

/// A rule over the first argument of a call.
fn first(operator: SeccompCmpOp, value: u64) -> SeccompRule {
    let condition = SeccompCondition::new(0, SeccompCmpArgLen::Dword, operator, value).unwrap();
    SeccompRule::new(vec![condition]).unwrap()
}

fn confine() {
    // Its flags are behind a pointer, which no filter can follow: the C library then asks by `clone`.
    let unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    apply_filter(&filter(vec![(libc::SYS_clone3, Vec::new())], unknown)).unwrap();
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    let child = first(SeccompCmpOp::MaskedEq(thread), 0);
    let family = |family: libc::c_int| first(SeccompCmpOp::Eq, u64::from(family.cast_unsigned()));
    let mut calls = vec![
        (libc::SYS_clone, vec![child]),
        (libc::SYS_socket, vec![family(libc::AF_INET), family(libc::AF_INET6)]),
    ];
    // Two calls that newer machines do not have.
    #[cfg(target_arch = "x86_64")]
    calls.extend([(libc::SYS_fork, Vec::new()), (libc::SYS_vfork, Vec::new())]);
    calls.sort_by_key(|(call, _)| *call);
    apply_filter(&filter(calls, SeccompAction::KillProcess)).unwrap();
}

/// Becomes what it is told to, under the filter.
fn launch(told: &str) -> ! {
    let told: Value = serde_json::from_str(told).unwrap();
    let path = |name: &str| PathBuf::from(told[name].as_str().unwrap());
    let list = told["arguments"].as_array().unwrap();
    let mut command = Command::new(path("program"));
    command
        .args(list.iter().map(|argument| argument.as_str().unwrap()))
        .current_dir(path("folder"))
        .env_clear()
        .envs(
            told["environment"]
                .as_object()
                .unwrap()
                .iter()
                .map(|(name, value)| (name, value.as_str().unwrap())),
        )
        .stdout(File::create(path("out")).unwrap())
        .stderr(File::create(path("err")).unwrap());
    let most = Some(most());
    setrlimit(Resource::Data, Rlimit { current: most, maximum: most }).unwrap();
    confine();
    panic!("{}: {}", told["program"], command.exec());
}

#[test]
fn what_starts_a_child_or_opens_a_connection_is_ended() {
    if let Ok(told) = std::env::var(LAUNCH) {
        launch(&told);
    }
    let folder = tempfile::tempdir().unwrap();
    let says = |script: &str, shell: &str| {
        let mut command = Command::new(shell);
        command.args(["-c", script]).env("PATH", std::env::var_os("PATH").unwrap());
        run(&command, folder.path())
    };
    let harmless = says("echo here; exit 3", "sh");
    assert_eq!((harmless.output.code, harmless.is_ended), (3, false), "{harmless:?}");
    assert_eq!(harmless.output.stdout, "here\n");
    let child = says("echo before; (exit 0); echo after", "sh");
    assert!(child.is_ended, "{child:?}");
    assert_eq!(child.output.stdout, "before\n");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let connection = says(&format!("exec 3<>/dev/tcp/127.0.0.1/{port}; echo open"), "bash");
    assert!(connection.is_ended, "{connection:?}");
    assert_eq!(connection.output.stdout, "");
}
