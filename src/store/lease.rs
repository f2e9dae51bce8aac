//! Who may write: one holder at a time, fenced by an epoch that each acquisition raises.

use std::fs;

use jiff::{SignedDuration, Timestamp};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};
use serde::{Deserialize, Serialize};

/// A process that holds, or wants, the lease.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Holder {
    /// For people: host and program.
    pub name: String,
    /// The process.
    pub pid: u32,
    /// The boot of the machine, and the namespace in which `pid` counts. Empty when unknown.
    pub boot: String,
    /// When the process started, in clock ticks since that boot: pids are used again.
    pub started: u64,
}

impl Holder {
    /// This process.
    pub fn here() -> Self {
        let pid = std::process::id();
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let host = match host.trim() {
            "" => "localhost",
            host => host,
        };
        Self {
            name: format!("{host} (pid {pid})"),
            pid,
            boot: boot(),
            started: Stat::read(pid).map_or(0, |stat| stat.started),
        }
    }

    /// Whether this process is gone beyond doubt. Another machine's, another boot's or another
    /// container's cannot be told from here, and counts as alive until its lease ends.
    pub fn is_dead(&self) -> bool {
        if self.boot.is_empty() || self.boot != boot() {
            return false;
        }
        let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) else {
            return false;
        };
        // Asked by signal and not by `/proc/<pid>`, which `hidepid` conceals from other users.
        if test_kill_process(pid) == Err(Errno::SRCH) {
            return true;
        }
        match Stat::read(self.pid) {
            Some(stat) => stat.zombie || (self.started != 0 && stat.started != self.started),
            None => false,
        }
    }
}

/// The lease as a store keeps it.
pub(super) struct Held {
    /// How often it was acquired.
    pub(super) epoch: u64,
    /// Who has it, and until when.
    pub(super) by: Option<(Holder, Timestamp)>,
}

/// When a lease that begins now ends.
pub(super) fn end(now: Timestamp, ttl: SignedDuration) -> Timestamp {
    now.checked_add(ttl).unwrap_or(Timestamp::MAX)
}

/// Names this boot of this machine, and this namespace of pids.
pub(super) fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    match id.trim() {
        "" => String::new(),
        id => format!("{id} {}", namespace.display()),
    }
}

struct Stat {
    started: u64,
    zombie: bool,
}

impl Stat {
    /// From `/proc/<pid>/stat` (proc_pid_stat(5)).
    fn read(pid: u32) -> Option<Self> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The program's name stands in parentheses and may itself hold any character.
        let mut rest = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        let state = rest.next()?;
        let started = rest.nth(18)?.parse().ok()?;
        // A leader that ended while its other threads go on looks like a zombie and can still write.
        let alone = || fs::read_dir(format!("/proc/{pid}/task")).is_ok_and(|dir| dir.count() <= 1);
        Some(Self { started, zombie: matches!(state, "Z" | "X") && alone() })
    }
}

/// Proof that the store gave this process the right to write, and for how long.
///
/// Only a store makes one: a call that takes a lease cannot be made without asking for it.
#[derive(Debug)]
pub struct Lease {
    epoch: u64,
    holder: Holder,
    until: Timestamp,
}

impl Lease {
    pub(super) fn new(epoch: u64, holder: Holder, until: Timestamp) -> Self {
        Self { epoch, holder, until }
    }

    /// Raised at each acquisition of the store's lease.
    pub fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whose it is.
    pub fn holder(&self) -> &Holder {
        &self.holder
    }

    /// When others may take it, unless it is renewed.
    pub fn until(&self) -> Timestamp {
        self.until
    }
}

/// What asking for the lease gives.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours.
    Held(Lease),
    /// Another has it: stand by.
    Busy {
        /// Who.
        holder: Holder,
        /// Until when, unless it is renewed.
        until: Timestamp,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn this_process_is_alive() {
        let here = Holder::here();
        assert!(here.started > 0);
        assert!(!here.is_dead());
    }

    #[test]
    fn a_killed_process_is_dead_even_before_its_parent_looks() {
        let mut child = Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().unwrap();
        let started = Stat::read(child.id()).unwrap().started;
        let holder = Holder { name: "x".into(), pid: child.id(), boot: boot(), started };
        assert!(!holder.is_dead());
        child.kill().unwrap();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(5);
        while !holder.is_dead() {
            assert!(std::time::Instant::now() < deadline, "never seen as dead");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(holder.is_dead());
    }

    #[test]
    fn a_pid_used_again_is_not_the_same_process() {
        let here = Holder::here();
        assert!(Holder { started: here.started + 1, ..here }.is_dead());
    }

    #[test]
    fn another_boot_or_machine_proves_nothing() {
        let gone = Holder { pid: 4_000_000, ..Holder::here() };
        assert!(gone.is_dead());
        assert!(!Holder { boot: "elsewhere".into(), ..gone.clone() }.is_dead());
        assert!(!Holder { boot: String::new(), ..gone }.is_dead());
    }
}
