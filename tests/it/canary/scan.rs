//! Looks for secrets in everything that was written or shown.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::remote::basic;

/// A secret that was planted.
pub struct Canary {
    /// What it stands for.
    pub what: &'static str,
    /// The text itself.
    pub text: String,
    /// Whether people committed it themselves: what they wrote is theirs.
    pub is_authored: bool,
    /// Where it belongs: parts of names of sinks.
    pub home: &'static [&'static str],
}

impl Canary {
    /// One that belongs nowhere.
    pub fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.to_owned(), is_authored: false, home: &[] }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        // As it is, and as a client shows it: as much of that as depends on nothing that follows.
        let shown = basic(&self.text);
        let whole = ("x-access-token:".len() + self.text.len()) / 3 * 4;
        [self.text.as_str(), &shown.strip_prefix("Basic ").unwrap()[..whole]]
            .iter()
            .any(|text| bytes.windows(text.len()).any(|part| part == text.as_bytes()))
    }
}

/// Something that was written or shown.
pub struct Sink {
    pub name: String,
    pub bytes: Vec<u8>,
    /// People committed exactly this.
    pub is_authored: bool,
}

impl Sink {
    pub fn new(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), bytes: bytes.into(), is_authored: false }
    }
}

/// Every secret that is where it does not belong, with where.
pub fn leaks(canaries: &[Canary], sinks: &[Sink]) -> Vec<String> {
    let mut found = Vec::new();
    for sink in sinks {
        for canary in canaries {
            let is_home = canary.home.iter().any(|part| sink.name.contains(part));
            let is_theirs = canary.is_authored && sink.is_authored;
            if !is_home && !is_theirs && canary.is_in(&sink.bytes) {
                let text = String::from_utf8_lossy(&sink.bytes);
                let line = text.lines().find(|line| line.contains(&canary.text));
                let line: String = line.unwrap_or_default().chars().take(300).collect();
                found.push(format!("{} in {}: {line}", canary.what, sink.name));
            }
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Every file below a folder.
pub fn files(folder: &Path, sinks: &mut Vec<Sink>) {
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, sinks);
        } else if let Ok(bytes) = std::fs::read(&path) {
            sinks.push(Sink::new(path.display().to_string(), bytes));
        }
    }
}

/// The bare repositories at or below a folder.
pub fn repositories(folder: &Path) -> Vec<PathBuf> {
    if folder.join("HEAD").is_file() && folder.join("objects").is_dir() {
        return vec![folder.to_owned()];
    }
    let folders = std::fs::read_dir(folder).into_iter().flatten().flatten();
    folders.filter(|e| e.path().is_dir()).flat_map(|e| repositories(&e.path())).collect()
}

fn git(at: &Path, args: &[&str], input: &str) -> Vec<u8> {
    let mut child = Command::new("git")
        .arg("--git-dir")
        .arg(at)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap().stdout
}

/// The ids of what a branch reaches; none where it is not.
pub fn reached(at: &Path, branch: &str) -> BTreeSet<String> {
    let listed = git(at, &["rev-list", "--objects", "--ignore-missing", branch, "--"], "");
    let text = String::from_utf8_lossy(&listed).into_owned();
    text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
}

/// Every object of a repository, reachable or not, packed or not: its id and what it holds.
pub fn objects(at: &Path) -> Vec<(String, Vec<u8>)> {
    let all = git(at, &["cat-file", "--batch", "--batch-all-objects", "--buffer"], "");
    let mut rest = &all[..];
    let mut found = Vec::new();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
        let head = String::from_utf8_lossy(&rest[..end]).into_owned();
        let mut words = head.split(' ');
        let id = words.next().unwrap().to_owned();
        let size: usize = words.nth(1).unwrap().parse().unwrap();
        let body = &rest[end + 1..];
        found.push((id, body[..size].to_vec()));
        rest = &body[size + 1..];
    }
    found
}
