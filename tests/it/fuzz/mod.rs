//! Any bytes, for every reader of what others write: the inputs of `tests/fuzz/` and what comes of them
//! by chance, the same each time.
//!
//! `VEND_FUZZ` is how many changed inputs are tried of each, `VEND_FUZZ_SEED` where they begin.

mod answer;
pub mod bodies;
mod branch;
mod catalog;
mod document;
mod mark;
mod merge;
mod policy;
mod row;
mod stack;
mod tree;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// A folder for what a reader needs on a disk, in memory where there is such a place.
fn place() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

/// Chance that is the same each time: SplitMix64 (Steele, Lea and Flood, 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `0` on, below `end`.
    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len())]
    }
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz").join(name)
}

fn inputs(name: &str) -> Vec<Vec<u8>> {
    let folder = folder(name);
    let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut paths: Vec<PathBuf> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// What readers are easily wrong about.
const PIECES: [&[u8]; 32] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b" ",
    b"- ",
    b": ",
    b"#",
    b"\"",
    b"'",
    b"|\n",
    b">-\n",
    b"&a ",
    b"*a",
    b"!!int ",
    b"{{",
    b"}}",
    b"{{#each ",
    b"{",
    b"[",
    b"]",
    b"null",
    b"-1",
    b"1e400",
    b"0777",
    b"~",
    b"\xef\xbb\xbf",
    b"\xff",
    b"\xe2\x80\xae",
    b"${",
    b"--",
    b"@",
];

fn changed(data: &[u8], other: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut data = data.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.below(data.len() + 1);
        let end = (at + chance.below(17)).min(data.len());
        let insert = match chance.below(6) {
            0 => Vec::new(),
            1 => [*chance.pick(&PIECES), &data[at..end]].concat(),
            2 => chance.pick(&PIECES).to_vec(),
            3 => data[at..end].repeat(2),
            4 => data[at..end].iter().map(|b| b ^ 1 << (chance.below(8))).collect(),
            _ => other[chance.below(other.len() + 1)..].iter().copied().take(64).collect(),
        };
        drop(data.splice(at..end, insert));
    }
    data
}

fn number(name: &str, or: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(or)
}

#[test]
fn no_bytes_are_too_much_for_a_reader() {
    let (count, seed) = (number("VEND_FUZZ", 400), number("VEND_FUZZ_SEED", 1));
    let mut wrong = Vec::new();
    for (name, body) in bodies::ALL {
        let inputs = inputs(name);
        assert!(!inputs.is_empty(), "{name} has no inputs");
        let mut chance = Chance(seed);
        let mut attempt = |data: &[u8]| {
            if catch_unwind(AssertUnwindSafe(|| body(data))).is_err() {
                wrong.push(format!("{name}: {}", vend::git::escape(data)));
            }
        };
        inputs.iter().for_each(|data| attempt(data));
        for _ in 0..count {
            let (data, other) = (chance.pick(&inputs), chance.pick(&inputs));
            attempt(&changed(data, other, &mut chance));
        }
    }
    assert!(wrong.is_empty(), "{} inputs are too much:\n{}", wrong.len(), wrong.join("\n"));
}

/// What libFuzzer is given is what is tried here, reader by reader.
#[test]
fn every_reader_has_its_fuzzer() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manifest = std::fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let named = |line: &str| Some(line.strip_prefix("name = \"")?.strip_suffix('"')?.to_owned());
    let fuzzers: Vec<String> = manifest.lines().filter_map(named).skip(1).collect();
    assert_eq!(fuzzers, bodies::ALL.map(|(name, _)| name.to_owned()));
    for name in fuzzers {
        let path = root.join(format!("fuzz/fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("target!(\"{name}\")")), "{name}: {text}");
        assert!(std::panic::catch_unwind(|| bodies::named(&name)).is_ok());
    }
}

/// The crates of a lock file, each with its versions.
fn locked(text: &str) -> BTreeMap<&str, BTreeSet<&str>> {
    let mut all: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    let mut name = "";
    for line in text.lines() {
        let value = |key: &str| line.strip_prefix(key)?.strip_suffix('"');
        if let Some(found) = value("name = \"") {
            name = found;
        } else if let Some(version) = value("version = \"") {
            all.entry(name).or_default().insert(version);
        }
    }
    all
}

/// What `vend` itself needs by a manifest.
fn needed(manifest: &str) -> BTreeSet<&str> {
    let own = manifest.split("\n[dependencies]\n").nth(1).unwrap().split("\n[").next().unwrap();
    let lines = own.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name).collect()
}

/// What the lock file of the fuzzers has otherwise than the one that all is tested with.
fn astray(root: &str, fuzz: &str, needed: &BTreeSet<&str>) -> Vec<String> {
    let (root, fuzz) = (locked(root), locked(fuzz));
    let other = fuzz.iter().filter_map(|(name, versions)| {
        let known = root.get(name)?;
        (!versions.is_subset(known)).then(|| format!("{name}: {versions:?} and not {known:?}"))
    });
    let missing = needed.iter().filter(|name| !fuzz.contains_key(*name));
    other.chain(missing.map(|name| format!("{name}: not there"))).collect()
}

#[test]
fn fuzzers_are_built_with_the_crates_that_all_is_tested_with() {
    let read = |path: &str| {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    };
    let (root, fuzz, manifest) = (read("Cargo.lock"), read("fuzz/Cargo.lock"), read("Cargo.toml"));
    let needed = needed(&manifest);
    assert!(needed.len() > 40 && needed.contains("sqlx"), "{needed:?}");
    let wrong = astray(&root, &fuzz, &needed);
    assert!(
        wrong.is_empty(),
        "fuzz/Cargo.lock is behind ({wrong:#?}): cp Cargo.lock fuzz/ && cargo metadata --manifest-path \
         fuzz/Cargo.toml --format-version 1 >/dev/null"
    );
    // It sees another version, and a crate that nobody locked.
    let older =
        fuzz.replacen("name = \"jiff\"\nversion = \"", "name = \"jiff\"\nversion = \"0.1.", 1);
    assert_eq!(astray(&root, &older, &needed).len(), 1);
    let lacks = fuzz.replace("name = \"sqlx\"\n", "name = \"sqly\"\n");
    assert_eq!(astray(&root, &lacks, &needed), ["sqlx: not there"]);
}

/// The harness would see a reader that cannot take something.
#[test]
fn a_reader_that_fails_is_seen() {
    let mut chance = Chance(1);
    let seen = (0..400).any(|_| {
        let data = changed(b"a: 1\n", b"b: 2\n", &mut chance);
        catch_unwind(|| assert!(!data.contains(&0))).is_err()
    });
    assert!(seen);
}
