//! What `systemd/vend.service` forbids of calls to the kernel, as filters for bubblewrap: so a call of git, ssh
//! or a provider's client that it forbids is found here, and not first where the unit is in force.
//!
//! Three of its settings: `SystemCallFilter=` with `SystemCallErrorNumber=`, `RestrictAddressFamilies=` and
//! `MemoryDenyWriteExecute=`, each as `systemd.exec(5)` says.

use std::path::Path;
use std::process::Command;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};

use crate::lacking::not_run;

/// Names and numbers of calls.
type Calls = &'static [(&'static str, libc::c_long)];

macro_rules! calls {
    ($($call:ident)*) => {
        &[$((stringify!($call), libc::$call)),*]
    };
}

/// What `@system-service` has without `@privileged` and `@resources`: by systemd 252, and as far as the C
/// library has a number for it. A call that is not here is refused.
const ALLOWED: Calls = calls! {
    SYS_accept SYS_accept4 SYS_add_key SYS_bind SYS_brk SYS_capget SYS_chdir SYS_clock_getres
    SYS_clock_gettime SYS_clock_nanosleep SYS_clone SYS_clone3 SYS_close SYS_close_range
    SYS_connect SYS_copy_file_range SYS_dup SYS_dup3 SYS_epoll_create1 SYS_epoll_ctl
    SYS_epoll_pwait SYS_epoll_pwait2 SYS_eventfd2 SYS_execve SYS_execveat SYS_exit
    SYS_exit_group SYS_faccessat SYS_faccessat2 SYS_fadvise64 SYS_fallocate SYS_fchdir
    SYS_fchmod SYS_fchmodat SYS_fcntl SYS_fdatasync SYS_fgetxattr SYS_flistxattr SYS_flock
    SYS_fremovexattr SYS_fsetxattr SYS_fstat SYS_fstatfs SYS_fsync SYS_ftruncate SYS_futex
    SYS_futex_waitv SYS_get_mempolicy SYS_get_robust_list SYS_getcpu SYS_getcwd SYS_getdents64
    SYS_getegid SYS_geteuid SYS_getgid SYS_getgroups SYS_getitimer SYS_getpeername SYS_getpgid
    SYS_getpid SYS_getppid SYS_getpriority SYS_getrandom SYS_getresgid SYS_getresuid
    SYS_getrlimit SYS_getrusage SYS_getsid SYS_getsockname SYS_getsockopt SYS_gettid
    SYS_gettimeofday SYS_getuid SYS_getxattr SYS_inotify_add_watch SYS_inotify_init1
    SYS_inotify_rm_watch SYS_io_cancel SYS_io_destroy SYS_io_getevents SYS_io_setup
    SYS_io_submit SYS_io_uring_enter SYS_io_uring_register SYS_io_uring_setup SYS_ioctl
    SYS_ioprio_get SYS_kcmp SYS_keyctl SYS_kill SYS_lgetxattr SYS_linkat SYS_listen
    SYS_listxattr SYS_llistxattr SYS_lremovexattr SYS_lseek SYS_lsetxattr SYS_madvise
    SYS_membarrier SYS_memfd_create SYS_mkdirat SYS_mknodat SYS_mlock SYS_mlock2 SYS_mlockall
    SYS_mmap SYS_mprotect SYS_mq_getsetattr SYS_mq_notify SYS_mq_open SYS_mq_timedreceive
    SYS_mq_timedsend SYS_mq_unlink SYS_mremap SYS_msgctl SYS_msgget SYS_msgrcv SYS_msgsnd
    SYS_msync SYS_munlock SYS_munlockall SYS_munmap SYS_name_to_handle_at SYS_nanosleep
    SYS_newfstatat SYS_openat SYS_openat2 SYS_personality SYS_pidfd_open SYS_pidfd_send_signal
    SYS_pipe2 SYS_ppoll SYS_prctl SYS_pread64 SYS_preadv SYS_preadv2 SYS_prlimit64
    SYS_process_madvise SYS_process_vm_readv SYS_process_vm_writev SYS_pselect6 SYS_pwrite64
    SYS_pwritev SYS_pwritev2 SYS_read SYS_readahead SYS_readlinkat SYS_readv SYS_recvfrom
    SYS_recvmmsg SYS_recvmsg SYS_remap_file_pages SYS_removexattr SYS_renameat SYS_renameat2
    SYS_request_key SYS_restart_syscall SYS_rseq SYS_rt_sigaction SYS_rt_sigpending
    SYS_rt_sigprocmask SYS_rt_sigqueueinfo SYS_rt_sigreturn SYS_rt_sigsuspend
    SYS_rt_sigtimedwait SYS_rt_tgsigqueueinfo SYS_sched_get_priority_max
    SYS_sched_get_priority_min SYS_sched_getaffinity SYS_sched_getattr SYS_sched_getparam
    SYS_sched_getscheduler SYS_sched_rr_get_interval SYS_sched_yield SYS_semctl SYS_semget
    SYS_semop SYS_semtimedop SYS_sendfile SYS_sendmmsg SYS_sendmsg SYS_sendto
    SYS_set_robust_list SYS_set_tid_address SYS_setfsgid SYS_setgid SYS_setitimer SYS_setns
    SYS_setpgid SYS_setregid SYS_setresgid SYS_setsid SYS_setsockopt SYS_setxattr SYS_shmat
    SYS_shmctl SYS_shmdt SYS_shmget SYS_shutdown SYS_sigaltstack SYS_signalfd4 SYS_socket
    SYS_socketpair SYS_splice SYS_statfs SYS_statx SYS_symlinkat SYS_sync SYS_sync_file_range
    SYS_syncfs SYS_sysinfo SYS_tee SYS_tgkill SYS_timer_create SYS_timer_delete
    SYS_timer_getoverrun SYS_timer_gettime SYS_timer_settime SYS_timerfd_create
    SYS_timerfd_gettime SYS_timerfd_settime SYS_times SYS_tkill SYS_truncate SYS_umask SYS_uname
    SYS_unlinkat SYS_unshare SYS_userfaultfd SYS_utimensat SYS_vmsplice SYS_wait4 SYS_waitid
    SYS_write SYS_writev
};

/// Those of them that newer machines do not have.
#[cfg(target_arch = "x86_64")]
const ALLOWED_OF_OLD: Calls = calls! {
    SYS_access SYS_alarm SYS_arch_prctl SYS_chmod SYS_creat SYS_dup2 SYS_epoll_create
    SYS_epoll_ctl_old SYS_epoll_wait SYS_epoll_wait_old SYS_eventfd SYS_fchmodat2 SYS_fork
    SYS_futimesat SYS_get_thread_area SYS_getdents SYS_getpgrp SYS_inotify_init SYS_link
    SYS_lstat SYS_mkdir SYS_mknod SYS_open SYS_pause SYS_pipe SYS_poll SYS_readlink SYS_rename
    SYS_rmdir SYS_select SYS_set_thread_area SYS_signalfd SYS_stat SYS_symlink SYS_time
    SYS_unlink SYS_utime SYS_utimes SYS_vfork
};

#[cfg(not(target_arch = "x86_64"))]
const ALLOWED_OF_OLD: Calls = &[];

/// The unit's filters, in the order in which they are put into force: the last one would refuse the others.
pub fn filters() -> Vec<Vec<u8>> {
    [memory(), families(), calls()].iter().map(bytes).collect()
}

fn is(argument: u8, operator: SeccompCmpOp, value: libc::c_int) -> SeccompCondition {
    let value = u64::from(value.cast_unsigned());
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value).unwrap()
}

fn has(argument: u8, bits: libc::c_int) -> SeccompCondition {
    is(argument, SeccompCmpOp::MaskedEq(u64::from(bits.cast_unsigned())), bits)
}

/// Gives this error to these calls where the conditions of a rule hold, and lets all others be.
fn refuse(rules: Vec<(libc::c_long, Vec<SeccompCondition>)>, error: libc::c_int) -> BpfProgram {
    let rule = |conditions| vec![SeccompRule::new(conditions).unwrap()];
    let rules = rules.into_iter().map(|(call, conditions)| (call, rule(conditions))).collect();
    let refused = SeccompAction::Errno(error.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, SeccompAction::Allow, refused, arch).unwrap().try_into().unwrap()
}

/// `MemoryDenyWriteExecute=yes`: nothing can be written that is run, or run that was written.
fn memory() -> BpfProgram {
    let rules = vec![
        (libc::SYS_mmap, vec![has(2, libc::PROT_WRITE | libc::PROT_EXEC)]),
        (libc::SYS_mprotect, vec![has(2, libc::PROT_EXEC)]),
        (libc::SYS_pkey_mprotect, vec![has(2, libc::PROT_EXEC)]),
        (libc::SYS_shmat, vec![has(2, libc::SHM_EXEC)]),
    ];
    refuse(rules, libc::EPERM)
}

/// `RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6`.
fn families() -> BpfProgram {
    let families = [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6];
    let none_of_them = families.map(|family| is(0, SeccompCmpOp::Ne, family));
    refuse(vec![(libc::SYS_socket, none_of_them.to_vec())], libc::EAFNOSUPPORT)
}

/// `SystemCallFilter=`: all that is not allowed is refused.
fn calls() -> BpfProgram {
    let allowed = ALLOWED.iter().chain(ALLOWED_OF_OLD);
    let rules = allowed.map(|(_, call)| (*call, Vec::new())).collect();
    let refused = SeccompAction::Errno(libc::EPERM.cast_unsigned());
    let arch = std::env::consts::ARCH.try_into().unwrap();
    SeccompFilter::new(rules, refused, SeccompAction::Allow, arch).unwrap().try_into().unwrap()
}

/// As the kernel, and so bubblewrap, reads it: `struct sock_filter`, one after the other.
fn bytes(filter: &BpfProgram) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in filter {
        bytes.extend(step.code.to_ne_bytes());
        bytes.extend([step.jt, step.jf]);
        bytes.extend(step.k.to_ne_bytes());
    }
    bytes
}

/// A setting's values in the unit, line by line.
fn unit(setting: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd/vend.service");
    let text = std::fs::read_to_string(file).unwrap();
    let lines = text.lines().filter_map(|line| line.strip_prefix(setting)?.strip_prefix('='));
    lines.map(str::to_owned).collect()
}

/// The calls of a set of systemd's, and of the sets in it.
fn set(name: &str) -> Option<Vec<String>> {
    let output = Command::new("systemd-analyze").args(["syscall-filter", name]).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let text = String::from_utf8(output.stdout).unwrap();
    let mut calls = Vec::new();
    let names = text.lines().skip(1).map(str::trim).filter(|name| !name.starts_with('#'));
    for name in names.filter(|name| !name.is_empty()) {
        match name.starts_with('@') {
            true => calls.extend(set(name)?),
            false => calls.push(name.to_owned()),
        }
    }
    Some(calls)
}

#[test]
fn the_filters_are_those_of_the_unit() {
    assert_eq!(unit("SystemCallFilter"), ["@system-service", "~@privileged @resources"]);
    assert_eq!(unit("SystemCallErrorNumber"), ["EPERM"]);
    assert_eq!(unit("RestrictAddressFamilies"), ["AF_UNIX AF_INET AF_INET6"]);
    assert_eq!(unit("MemoryDenyWriteExecute"), ["yes"]);
    let sets = ["@system-service", "@privileged", "@resources"].map(set);
    let [Some(service), Some(privileged), Some(resources)] = sets else {
        not_run("the unit's filter of calls", "systemd-analyze", "there is no systemd to ask");
        return;
    };
    // What this systemd allows besides is refused by the list: it may only be the narrower one.
    let is_allowed = |name: &String| !privileged.contains(name) && !resources.contains(name);
    let allowed: Vec<String> = service.into_iter().filter(is_allowed).collect();
    let here = ALLOWED.iter().chain(ALLOWED_OF_OLD);
    let wider: Vec<&str> = here
        .map(|(name, _)| name.trim_start_matches("SYS_"))
        .filter(|name| !allowed.iter().any(|known| known == name))
        .collect();
    assert!(wider.is_empty(), "the unit refuses {wider:?}");
}
