//! Looks for secrets in everything that was written or shown.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use regex::bytes::{Regex, RegexBuilder};

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

    /// The forms in which it could be somewhere, each with its name: as it is, and as an address, a text of JSON, a
    /// header or a dump would have it. Of what an encoding mixes with its neighbours only that counts which does not
    /// depend on them.
    pub fn forms(&self) -> Vec<(&'static str, String)> {
        let (text, bytes) = (&self.text, self.text.as_bytes());
        let each = |form: &dyn Fn(u8) -> String| bytes.iter().map(|b| form(*b)).collect::<String>();
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
        let reserved = |b: u8| match is_plain(b) {
            true => char::from(b).to_string(),
            false => format!("%{b:02X}"),
        };
        let json = serde_json::to_string(text).unwrap();
        let mut forms = vec![
            ("as it is", text.clone()),
            ("percent-encoded", each(&reserved)),
            ("percent-encoded", each(&reserved).replace("%20", "+")),
            ("percent-encoded", each(&|b| format!("%{b:02X}"))),
            ("percent-encoded", each(&|b| format!("%{b:02x}"))),
            ("JSON-escaped", json[1..json.len() - 1].to_owned()),
            ("JSON-escaped", json[1..json.len() - 1].replace('/', "\\/")),
            ("JSON-escaped", each(&|b| format!("\\u{b:04x}"))),
            ("hex", each(&|b| format!("{b:02x}"))),
            ("hex", each(&|b| format!("{b:02X}"))),
        ];
        for before in 0..3 {
            let encoded = base64(&[&vec![0; before], bytes].concat());
            // Six bits a digit: those that are all of ours.
            let (first, last) = ((before * 8).div_ceil(6), (before + bytes.len()) * 8 / 6);
            let own = &encoded[first..last];
            forms.push(("base64", own.to_owned()));
            forms.push(("base64", own.replace('+', "-").replace('/', "_")));
        }
        let mut seen = BTreeSet::new();
        forms.retain(|(_, form)| seen.insert(form.clone()));
        forms
    }

    fn pattern(&self) -> String {
        let forms = self.forms();
        let each: Vec<String> = forms.iter().map(|(_, form)| regex::escape(form)).collect();
        each.join("|")
    }
}

/// RFC 4648, with what fills the last digits up.
pub fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let three = |part: &[u8]| {
        let all = part.iter().chain([&0, &0]).take(3).fold(0, |all, b| all << 8 | usize::from(*b));
        let digit = |n: usize| char::from(DIGITS[all >> (18 - 6 * n) & 63]);
        let own = (0..=part.len()).map(digit).collect::<String>();
        own + &"=".repeat(3 - part.len())
    };
    bytes.chunks(3).map(three).collect()
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
    let regex = |text: &str| RegexBuilder::new(text).unicode(false).build().unwrap();
    let patterns: Vec<String> = canaries.iter().map(Canary::pattern).collect();
    // Most hold none of them, which one look tells.
    let any = regex(&patterns.join("|"));
    let pairs = canaries.iter().zip(&patterns);
    let canaries: Vec<(&Canary, Regex)> = pairs.map(|(canary, it)| (canary, regex(it))).collect();
    for sink in sinks.iter().filter(|sink| any.is_match(&sink.bytes)) {
        for (canary, pattern) in &canaries {
            let is_home = canary.home.iter().any(|part| sink.name.contains(part));
            let is_theirs = canary.is_authored && sink.is_authored;
            if is_home || is_theirs {
                continue;
            }
            let Some(there) = pattern.find(&sink.bytes) else { continue };
            let forms = canary.forms();
            let is = |form: &&(&str, String)| form.1.as_bytes() == there.as_bytes();
            let form = forms.iter().find(is).map_or("", |(name, _)| name);
            let text = String::from_utf8_lossy(&sink.bytes);
            let shown = String::from_utf8_lossy(there.as_bytes());
            let line = text.lines().find(|line| line.contains(&*shown));
            let line: String = line.unwrap_or_default().chars().take(300).collect();
            found.push(format!("{}, {form}, in {}: {line}", canary.what, sink.name));
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Each canary is found in each form, with something around it, in a place of that name.
#[track_caller]
pub fn assert_each_would_be_found(canaries: &[Canary], names: &[&str]) {
    for (canary, name) in canaries.iter().flat_map(|it| names.iter().map(move |name| (it, name))) {
        let mut kinds = BTreeSet::new();
        for (kind, form) in canary.forms() {
            kinds.insert(kind);
            let found = leaks(canaries, &[Sink::new(*name, format!("before{form}after"))]);
            assert_eq!(found.len(), 1, "{}, {kind}, in {name}: {found:?}", canary.what);
        }
        // Wherever it begins in what is encoded.
        for before in ["", "x", "xy", "xyz"] {
            let whole = base64(format!("{before}{}after", canary.text).as_bytes());
            let found = leaks(canaries, &[Sink::new(*name, whole)]);
            assert_eq!(found.len(), 1, "{} after `{before}` in {name}: {found:?}", canary.what);
        }
        let all = ["as it is", "base64", "hex", "percent-encoded", "JSON-escaped"];
        assert_eq!(kinds, BTreeSet::from(all), "{}", canary.what);
    }
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
