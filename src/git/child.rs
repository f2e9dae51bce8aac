//! Running `git`: its own process group, a deadline, output read as it comes and cut.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use rustix::fs::{Access, access};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;
use tokio::time::{Instant, timeout, timeout_at};

use super::error::{GitError, io};
use super::lock;
use super::transport::Transport;

/// As much of each of a child's outputs as is kept: its end, where `git` says why.
pub(super) const OUTPUT_KEPT: usize = 256 << 10;

/// Between the polite signal, at which `git` removes its temporary files, and the other.
const GRACE: Duration = Duration::from_millis(500);

/// How a child ended.
#[derive(Debug)]
pub(super) struct Ended {
    /// `None`: killed at the deadline.
    pub status: Option<ExitStatus>,
    pub stdout: String,
    pub stderr: String,
}

impl Ended {
    pub fn success(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }
}

/// Feeds a child that was started as the leader of a process group, from a thread of our own, and waits for
/// its end, or ends it with its group at the deadline. Each output is read as it comes, and its tail kept.
pub(super) fn fed(
    mut child: Child,
    deadline: Duration,
    feed: impl FnOnce(ChildStdin) -> std::io::Result<()>,
) -> std::io::Result<(Ended, std::io::Result<()>)> {
    let group = Group::of(child.id());
    let (stdout, stderr) = (tail_of(child.stdout.take()), tail_of(child.stderr.take()));
    let (over, is_over) = mpsc::channel::<()>();
    std::thread::scope(|scope| {
        let group = &group;
        let watch = scope.spawn(move || {
            let is_late = is_over.recv_timeout(deadline) == Err(RecvTimeoutError::Timeout);
            if is_late {
                group.signal(Signal::TERM);
                if is_over.recv_timeout(GRACE) == Err(RecvTimeoutError::Timeout) {
                    group.signal(Signal::KILL);
                }
            }
            is_late
        });
        // To a child that is ended this fails.
        let fed = child.stdin.take().map_or(Ok(()), feed);
        let status = child.wait();
        drop(over);
        let is_late = watch.join().unwrap_or_default();
        // Whoever it left behind keeps no pipe of ours.
        group.signal(Signal::KILL);
        let said = |from: mpsc::Receiver<String>| from.recv_timeout(GRACE).unwrap_or_default();
        let ended = Ended {
            status: Some(status?).filter(|_| !is_late),
            stdout: said(stdout),
            stderr: said(stderr),
        };
        Ok((ended, fed))
    })
}

/// Reads to the end in a thread of its own, and gives the tail.
fn tail_of(from: Option<impl Read + Send + 'static>) -> mpsc::Receiver<String> {
    let (give, said) = mpsc::channel();
    std::thread::spawn(move || {
        let mut kept = Tail::default();
        let mut buffer = vec![0; 16 << 10];
        if let Some(mut from) = from {
            while let Ok(read @ 1..) = from.read(&mut buffer) {
                kept.take(&buffer[..read]);
            }
        }
        // Nobody waits any more where it took too long.
        let _ = give.send(kept.text());
    });
    said
}

/// Runs `git --git-dir=DIR ARGS` to its end or to the deadline.
///
/// `lock` becomes the child's standard input: the lock on that file is then held until the child is
/// gone too, even when this process dies first.
pub(super) async fn run(
    transport: &Transport,
    environment: Vec<(OsString, OsString)>,
    git_dir: &Path,
    lock: File,
    args: &[&OsStr],
) -> Result<Ended, GitError> {
    let mut command = Command::new(program(&transport.git));
    scrub(command.as_std_mut(), transport, environment);
    command.arg("--git-dir").arg(git_dir).args(args).current_dir(git_dir);
    let copy = lock.try_clone().map_err(io("sharing a mirror's lock"))?;
    command.stdin(Stdio::from(copy)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.process_group(0).kill_on_drop(true);
    let doing = || format!("running `{}`", transport.git.display());
    let mut child = command.spawn().map_err(io(doing()))?;
    if let Some(id) = child.id() {
        lock::sign(&lock, id);
    }
    let group = Group(child.id().and_then(|id| Pid::from_raw(id.cast_signed())));
    let stdout = tokio::spawn(tail(child.stdout.take()));
    let stderr = tokio::spawn(tail(child.stderr.take()));

    let until = Instant::now() + transport.deadline;
    let status = match timeout_at(until, child.wait()).await {
        Ok(status) => Some(status.map_err(io(doing()))?),
        Err(_) => {
            group.signal(Signal::TERM);
            let _ = timeout(GRACE, child.wait()).await;
            group.signal(Signal::KILL);
            let _ = child.wait().await;
            None
        }
    };
    // A grandchild that keeps the pipe open keeps it until the group is killed.
    let both = async { (stdout.await, stderr.await) };
    tokio::pin!(both);
    let (stdout, stderr) = match timeout(GRACE, &mut both).await {
        Ok(both) => both,
        Err(_) => {
            group.signal(Signal::KILL);
            match timeout(GRACE, &mut both).await {
                Ok(both) => both,
                // Somebody left the group with our pipe: what was read is lost, nothing waits.
                Err(_) => (Ok(String::new()), Ok(String::new())),
            }
        }
    };
    group.is_over();
    let (stdout, stderr) = (stdout.unwrap_or_default(), stderr.unwrap_or_default());
    Ok(Ended { status, stdout, stderr })
}

/// The program with its whole path. By a bare name it would have to be looked for in the child's own
/// `PATH`, between a fork and an exec; and a fork takes the longer the more memory we have.
pub(super) fn program(git: &Path) -> PathBuf {
    if git.components().count() > 1 {
        return git.to_owned();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |path: &PathBuf| access(path, Access::EXEC_OK).is_ok() && path.is_file();
    let found = std::env::split_paths(&folders).map(|folder| folder.join(git)).find(is_there);
    found.filter(|path| path.is_absolute()).unwrap_or_else(|| git.to_owned())
}

/// Gives a command our environment and nothing else.
pub(super) fn scrub(
    command: &mut std::process::Command,
    transport: &Transport,
    environment: Vec<(OsString, OsString)>,
) {
    if transport.users_own {
        // Set when one is called from a hook; they would redirect every command below.
        for name in [
            "GIT_DIR",
            "GIT_WORK_TREE",
            "GIT_INDEX_FILE",
            "GIT_OBJECT_DIRECTORY",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES",
            "GIT_COMMON_DIR",
            "GIT_NAMESPACE",
            "GIT_PREFIX",
            "GIT_QUARANTINE_PATH",
            "GIT_CONFIG",
            "GIT_CONFIG_PARAMETERS",
            "GIT_TRACE",
        ] {
            command.env_remove(name);
        }
    } else {
        command.env_clear();
    }
    command.envs(environment);
}

/// A child's process group: dropped, it is killed, with whatever the child started.
pub struct Group(Option<Pid>);

impl Group {
    /// Of a child that was started as the leader of one.
    pub fn of(child: u32) -> Self {
        Self(Pid::from_raw(child.cast_signed()))
    }

    /// Lets it be: nothing of it is left.
    pub fn is_over(mut self) {
        self.0 = None;
    }

    fn signal(&self, signal: Signal) {
        if let Some(group) = self.0 {
            // Gone already is as good.
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

/// The end of what a child says.
#[derive(Default)]
struct Tail(Vec<u8>);

impl Tail {
    fn take(&mut self, more: &[u8]) {
        self.0.extend_from_slice(more);
        if self.0.len() > 2 * OUTPUT_KEPT {
            self.0.drain(..self.0.len() - OUTPUT_KEPT);
        }
    }

    fn text(&self) -> String {
        let from = self.0.len().saturating_sub(OUTPUT_KEPT);
        String::from_utf8_lossy(&self.0[from..]).into_owned()
    }
}

/// Reads to the end and keeps the tail.
async fn tail(from: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut from) = from else { return String::new() };
    let mut kept = Tail::default();
    let mut buffer = vec![0; 16 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer).await {
        kept.take(&buffer[..read]);
    }
    kept.text()
}
