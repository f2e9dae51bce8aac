//! A daemon of a world's, as a process of its own, and what it logs.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::world::{PATIENCE, World};

/// A running daemon; killed when it is dropped.
pub struct Serving {
    child: Child,
    /// Of the daemon, which may be a child of the child.
    pid: u32,
    lines: Arc<Mutex<Vec<String>>>,
    reader: std::thread::JoinHandle<()>,
    /// Whether nobody reads what it logs.
    stuck: Arc<AtomicBool>,
}

/// Waits for a condition; `what` is said when it never comes.
#[track_caller]
pub fn eventually<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

impl Serving {
    /// Starts it with JSON lines for a log.
    pub fn start(world: &World) -> Self {
        Self::spawn(world.command(&["serve", "--log", "json"]))
    }

    /// Starts it, and waits until it has the lease and its first pass.
    #[track_caller]
    pub fn ready(world: &World) -> Self {
        let daemon = Self::start(world);
        daemon.logged("the lease is held");
        daemon
    }

    pub fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines: Arc<Mutex<Vec<String>>> = Arc::default();
        let stuck: Arc<AtomicBool> = Arc::default();
        let (log, kept, waits) = (child.stderr.take().unwrap(), lines.clone(), stuck.clone());
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(log).lines().map_while(Result::ok) {
                while waits.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(10));
                }
                kept.lock().unwrap().push(line);
            }
        });
        let pid = child.id();
        Self { child, pid, lines, reader, stuck }
    }

    /// From now on nobody reads what it logs, or somebody does again.
    pub fn is_stuck(&self, stuck: bool) {
        self.stuck.store(stuck, Ordering::Relaxed);
    }

    /// Starts it by a program that confines it, and stays beside it: signals are for the daemon, whose
    /// name is `name`.
    #[track_caller]
    pub fn within(command: Command, name: &str) -> Self {
        let mut daemon = Self::spawn(command);
        let outer = daemon.child.id();
        daemon.pid = eventually("the daemon is there", || {
            let list = format!("/proc/{outer}/task/{outer}/children");
            let children = std::fs::read_to_string(list).unwrap_or_default();
            children.split_whitespace().find_map(|child| {
                let its = std::fs::read_to_string(format!("/proc/{child}/comm")).ok()?;
                (its.trim_end() == name).then(|| child.parse().unwrap())
            })
        });
        daemon
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// How many lines say this.
    pub fn count(&self, text: &str) -> usize {
        self.lines().iter().filter(|l| l.contains(text)).count()
    }

    /// Waits for a line that says this.
    #[track_caller]
    pub fn logged(&self, text: &str) -> String {
        let find = || self.lines().into_iter().find(|l| l.contains(text));
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(line) = find() {
                return line;
            }
            assert!(Instant::now() < deadline, "never logged {text}: {:#?}", self.lines());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    pub fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    /// As [`Serving::signal`], to one that may have ended by itself.
    pub fn signal_if_there(&self, name: &str) {
        let pid = self.pid().to_string();
        let _ = Command::new("kill").args([name, &pid]).stderr(Stdio::null()).status();
    }

    /// Waits for its end: exit code, `None` when it was killed.
    #[track_caller]
    pub fn ended(&mut self) -> Option<i32> {
        let status = eventually("the daemon ends", || self.child.try_wait().unwrap());
        // Its last words are still on their way, unless nobody reads them.
        if !self.stuck.load(Ordering::Relaxed) {
            eventually("its log is read", || self.reader.is_finished().then_some(()));
        }
        status.code()
    }

    /// `kill -9`, and waits for the end.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// SIGTERM; it ends well within five seconds.
    #[track_caller]
    pub fn stop(&mut self) {
        let began = Instant::now();
        self.signal("-TERM");
        assert_eq!(self.ended(), Some(0), "{:#?}", self.lines());
        assert!(began.elapsed() < Duration::from_secs(6), "took {:?}", began.elapsed());
    }

    /// The address that it listens on.
    #[track_caller]
    pub fn address(&self) -> String {
        let line: Value = serde_json::from_str(&self.logged("listening")).unwrap();
        line["fields"]["address"].as_str().unwrap().to_owned()
    }

    /// Status line and body of a GET on its address.
    #[track_caller]
    pub fn get(&self, path: &str) -> (String, String) {
        let address = self.address();
        let mut stream = TcpStream::connect(&address).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.is_stuck(false);
        self.kill();
        if std::thread::panicking() {
            let lines = self.lines();
            let last = lines.len().saturating_sub(60);
            eprintln!("the daemon said last:\n{}", lines[last..].join("\n"));
        }
    }
}
