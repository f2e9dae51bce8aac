//! Every row of `docs/promises.md` is held by a test that carries its number, every promise of the README
//! names a command that proves it, and every row of `SECURITY.md` a test.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use regex::Regex;

/// Rows that no single test can hold, and why.
const EXCEPTIONS: [(&str, &str); 0] = [];

/// Rows of which a test shows less than they are meant for, each with why; the page says the same.
const NARROWED: &[(&str, &str)] = &[
    (
        "F09",
        "a million files are listed and one more is refused where trees are read; that a pass reads what changed is counted with a thousand (ten thousand in `make crash`), and seconds are for `scripts/bench`",
    ),
    (
        "F10",
        "a file a byte too long stands for one of a gigabyte: its size is asked of Git before it is read, whatever it is",
    ),
    (
        "F12",
        "a program in git's place stops half-way with what a real one has on the disk by then; the real one is killed by chance alone",
    ),
    ("F21", "a thousand in `make test`, ten thousand in `make crash`"),
    (
        "F34",
        "that a change is tried again later and has one effect, and not which share of all calls are tries: of those the AWS SDK and vend's own buckets keep account",
    ),
    (
        "F60",
        "a body of 25 MiB is bounded before it is read by the length that it claims, so that none of a gigabyte is sent",
    ),
    (
        "F64",
        "a failing `fsync` is an error of SQLite's that a test hands in, for no disk here fails on demand; the disk that is read-only is one",
    ),
    (
        "F68",
        "files and processes are limited for a daemon that runs; an end for its memory is a `kill -9` at another's hand, and is F61",
    ),
    ("F69", "each output is 20 MB: what is kept of it is 256 KiB, however much follows"),
    (
        "F70",
        "copies of the store's files without what was not synced, as a file system may leave them; no power is cut",
    ),
    (
        "B21",
        "a file of 300 KB, which is not read, and a text of 100 KB: longer ones are refused as early",
    ),
    ("B22", "as F09"),
    (
        "B42",
        "an unoptimised program may take ten times as long, and of a few tries the quickest counts; so with B04, B54 and B55",
    ),
    (
        "B44",
        "a schema of 400 KB with 20,000 branches: it ends at the limit of a file's size, before anybody reads it",
    ),
    ("B71", "3,000 steps: whatever is beyond 60,000 characters is cut alike"),
];

/// Where the page says that.
const NARROWER: &str = "\n## Where a test shows less than that\n";

/// Numbers of what vend has no part in, and why.
const NOT_APPLICABLE: &[(&str, &str)] = &[
    ("F46", "locks of Terraform's state: there is no provider for Terraform"),
    ("F47", "uploads of Terraform's state: there is no provider for Terraform"),
    ("F48", "saved plans of Terraform: there is no provider for Terraform"),
    (
        "F49",
        "conflicts at a Kubernetes API: manifests go to a repository or folder, and to no cluster",
    ),
    ("B89", "Terraform's own languages: there is no provider for Terraform"),
    ("B90", "a kubeconfig and a cluster's objects: manifests go to a repository or folder"),
];

/// Numbers that never stood for anything.
const NEVER: &[(&str, &[u32])] = &[
    ("F", &[15, 33, 54, 65, 72, 75]),
    (
        "B",
        &[
            3, 14, 16, 20, 25, 28, 31, 34, 39, 43, 47, 50, 57, 63, 66, 70, 75, 80, 86, 101, 103,
            106, 108,
        ],
    ),
];

/// The last number of each kind.
const LAST: [(&str, u32); 2] = [("F", 76), ("B", 110)];

/// Rows on a page of promises that are too few to be all of it: the pattern found something else.
const FEW: usize = 120;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// The names of all functions that `cargo test` runs below a folder, with their modules' files before
/// them as it writes them: `stories::source::f06_…`.
fn tests(folder: &str) -> Vec<String> {
    let base = root().join(folder);
    let mut files = Vec::new();
    sources(&base, &mut files);
    let mut names = Vec::new();
    for file in files {
        let module = file.strip_prefix(&base).unwrap().with_extension("");
        let module = module.to_str().unwrap().replace('/', "::").replace("::mod", "");
        let mut is_test = false;
        for line in std::fs::read_to_string(&file).unwrap().lines().map(str::trim_start) {
            if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
                is_test = true;
            }
            let line = line.strip_prefix("async ").unwrap_or(line);
            if let Some(rest) = line.strip_prefix("fn ") {
                let name: String =
                    rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
                if std::mem::take(&mut is_test) {
                    names.push(format!("{module}::{name}"));
                }
            }
        }
    }
    assert!(names.len() > 100, "{folder} has only {names:?}");
    names
}

/// The numbers in a test's name: `b10_b11_…`, or `…_b52` at its end.
fn numbers(test: &str) -> impl Iterator<Item = String> {
    let name = test.rsplit("::").next().unwrap().to_owned();
    let number = Regex::new("^[bfi][0-9]+$").unwrap();
    let parts: Vec<String> = name.split('_').map(str::to_owned).collect();
    parts.into_iter().filter(move |part| number.is_match(part)).map(|part| part.to_uppercase())
}

/// What each case of `tests/hostile/` says that it belongs to.
fn cases() -> BTreeSet<String> {
    let entries = std::fs::read_dir(root().join("tests/hostile")).unwrap();
    let files = entries.map(|e| e.unwrap().path().join("expected.json")).filter(|f| f.is_file());
    let promise = |file: PathBuf| {
        let value: serde_json::Value = serde_json::from_str(&read(file)).unwrap();
        value["promise"].as_str().unwrap().to_owned()
    };
    files.map(promise).collect()
}

/// The numbers of a page's rows that begin with one of these letters.
fn rows(page: &str, letters: &str) -> Vec<String> {
    let row = Regex::new(&format!(r"(?m)^\| ([{letters}]\d+) \|")).unwrap();
    row.captures_iter(page).map(|c| c[1].to_owned()).collect()
}

/// Rows that nothing holds, and numbers that stand for no row.
fn differ(rows: &[String], held: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let excepted = |row: &String| EXCEPTIONS.iter().any(|(name, _)| name == row);
    let missing = rows.iter().filter(|row| !held.contains(*row) && !excepted(row));
    (missing.cloned().collect(), held.iter().filter(|n| !rows.contains(n)).cloned().collect())
}

#[test]
fn every_row_is_held_by_a_test_with_its_number() {
    let rows = rows(&read("docs/promises.md"), "FB");
    assert!(rows.len() > FEW, "{rows:?}");
    let all: Vec<String> = [tests("src"), tests("tests/it")].concat();
    let mut held: BTreeSet<String> = all.iter().flat_map(|test| numbers(test)).collect();
    held.retain(|number| !number.starts_with('I'));
    held.extend(cases());
    let (missing, unknown) = differ(&rows, &held);
    assert!(missing.is_empty(), "docs/promises.md has rows that no test holds: {missing:?}");
    assert!(unknown.is_empty(), "tests hold what docs/promises.md does not have: {unknown:?}");
    let mut once = rows.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), rows.len(), "a row stands twice");
    for (row, why) in EXCEPTIONS {
        assert!(rows.contains(&row.to_owned()) && !held.contains(row) && !why.is_empty(), "{row}");
    }
    let (missing, unknown) = differ(&["B998".into()], &["B999".to_owned()].into());
    assert_eq!((missing.len(), unknown.len()), (1, 1), "it would find one of each");
}

/// Numbers of a kind that are neither rows, nor said to be none, or that are both.
fn astray(rows: &[String]) -> Vec<String> {
    let mut wrong = Vec::new();
    for (kind, last) in LAST {
        let never = NEVER.iter().find(|(of, _)| *of == kind).unwrap().1;
        for n in 1..=last {
            let number = format!("{kind}{n:02}");
            let stands = [
                rows.contains(&number),
                NOT_APPLICABLE.iter().any(|(of, _)| *of == number),
                never.contains(&n),
            ];
            if stands.into_iter().filter(|stands| *stands).count() != 1 {
                wrong.push(number);
            }
        }
    }
    wrong
}

#[test]
fn every_number_is_a_row_or_is_said_to_be_none() {
    let mut rows = rows(&read("docs/promises.md"), "FB");
    assert_eq!(astray(&rows), [""; 0], "a row is gone, or a number stands for two things");
    let beyond = rows.iter().filter(|row| {
        let (kind, n) = row.split_at(1);
        !LAST.iter().any(|(of, last)| *of == kind && n.parse::<u32>().unwrap() <= *last)
    });
    assert_eq!(beyond.count(), 0, "the last number is another by now");
    assert!(NOT_APPLICABLE.iter().all(|(_, why)| why.len() > 20));
    // One that vanishes is missed.
    rows.retain(|row| row != "F04");
    assert_eq!(astray(&rows), ["F04"]);
}

#[test]
fn every_row_that_a_test_shows_less_of_is_said_to_be_one() {
    let page = read("docs/promises.md");
    let (before, section) = page.split_once(NARROWER).unwrap();
    let rows = rows(before, "FB");
    let said: Vec<(&str, &str)> = section
        .lines()
        .filter_map(|line| line.strip_prefix("- ")?.strip_suffix('.')?.split_once(": "))
        .collect();
    assert_eq!(said, NARROWED);
    assert!(said.is_sorted_by_key(|(row, _)| (&row[..1] != "F", row[1..].parse::<u32>().unwrap())));
    for (row, why) in NARROWED {
        // It is narrower than the row, and not without a test: that would be another table.
        assert!(rows.iter().any(|it| it == row) && !why.is_empty(), "{row}");
        let others = EXCEPTIONS.iter().chain(NOT_APPLICABLE);
        assert!(!others.into_iter().any(|(other, _)| other == row), "{row} has no test at all");
    }
}

/// The names of tests in a text.
fn named(text: &str) -> Vec<&str> {
    let name = Regex::new("`([a-z0-9_]+_[a-z0-9_]+)`").unwrap();
    name.captures_iter(text).map(|c| c.get(1).unwrap().as_str()).collect()
}

/// What is wrong with the tests that a table's row names in its last column.
fn unheld(row: &str, all: &[String]) -> Vec<String> {
    let held_by = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
    let names = named(held_by);
    let none = names.is_empty().then(|| format!("{row} names no test"));
    let missing = names.into_iter().filter(|name| !is_test(name, all));
    none.into_iter().chain(missing.map(|name| format!("there is no test `{name}`"))).collect()
}

fn is_test(name: &str, all: &[String]) -> bool {
    all.iter().any(|test| test.rsplit("::").next() == Some(name))
}

#[test]
fn every_oracle_names_tests_that_are_there() {
    let page = read("docs/promises.md");
    assert_eq!(rows(&page, "I").len(), 10);
    let all: Vec<String> = [tests("src"), tests("tests/it")].concat();
    for line in page.lines().filter(|line| line.starts_with("| I")) {
        assert_eq!(unheld(line, &all), [""; 0]);
    }
}

#[test]
fn every_row_of_who_may_cause_what_names_tests_that_are_there() {
    let page = read("SECURITY.md");
    let all: Vec<String> = [tests("src"), tests("tests/it")].concat();
    let section = page.split("\n## Who may cause what").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 12, "{rows:?}");
    for row in rows {
        assert_eq!(unheld(row, &all), [""; 0]);
    }
    // What it names elsewhere is there as well.
    let missing: Vec<&str> = named(&page).into_iter().filter(|name| !is_test(name, &all)).collect();
    assert!(missing.is_empty(), "SECURITY.md names tests that are not there: {missing:?}");
    assert_eq!(unheld("| one | may | not | by hope |", &all).len(), 1);
    assert_eq!(unheld("| one | may | not | `no_such_test` |", &all).len(), 1);
}

#[test]
fn every_crate_is_the_one_that_was_locked_and_code_of_vend_is_not_unsafe() {
    let lock = read("Cargo.lock");
    let crates: Vec<&str> = lock.split("\n[[package]]\n").skip(1).collect();
    assert!(crates.len() > 300, "{}", crates.len());
    let registry = "\nsource = \"registry+https://github.com/rust-lang/crates.io-index\"\n";
    for it in crates.iter().filter(|it| !it.starts_with("name = \"vend\"\n")) {
        assert!(it.contains(registry) && it.contains("\nchecksum = \""), "{it}");
    }
    assert!(read("Cargo.toml").contains("\n[lints.rust]\nunsafe_code = \"forbid\"\n"));
    let deny = read("deny.toml");
    for rule in ["unknown-registry = \"deny\"", "unknown-git = \"deny\""] {
        assert!(deny.contains(rule), "deny.toml lacks {rule}");
    }
    // And what is said of it is asked before anything lands.
    let script = read("scripts/test");
    for step in ["clippy --all-targets --locked -- -D warnings", " deny\n", "scripts/advisories"] {
        assert!(script.contains(step), "scripts/test lacks {step}");
    }
}

/// What a command of the README's runs: the folder of its tests, and its filters.
fn command(text: &str) -> Option<(&'static str, Vec<&str>)> {
    let rest = text.strip_prefix("cargo test ")?;
    let (target, filters) = rest.split_once(" -- ")?;
    let folder = match target {
        "--lib" => "src",
        "--test it" => "tests/it",
        _ => return None,
    };
    Some((folder, filters.split(' ').collect()))
}

#[test]
fn every_promise_of_the_readme_has_a_command_that_runs_tests() {
    let readme = read("README.md");
    let section = readme.split("\n## Promises\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let code = Regex::new("`([^`]+)`").unwrap();
    let page = read("docs/promises.md");
    let (lib, it) = (tests("src"), tests("tests/it"));
    let beside = "Messages to receivers are at least once, always with the same id.";
    assert!(page.contains(&format!("\n{beside}\n")) && section.contains(beside));
    for number in 1..=12 {
        let mut lines = page.lines();
        let promise = lines.find_map(|line| line.strip_prefix(&format!("{number}. ")));
        let promise = promise.unwrap_or_else(|| panic!("docs/promises.md lacks promise {number}"));
        let row =
            section.lines().find(|line| line.starts_with(&format!("| {number} | {promise} |")));
        let row = row.unwrap_or_else(|| panic!("README.md lacks promise {number}: {promise}"));
        let proof = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let commands: Vec<_> =
            code.captures_iter(proof).filter_map(|c| command(c.get(1).unwrap().as_str())).collect();
        assert!(!commands.is_empty(), "promise {number} has no command in {proof}");
        for (folder, filters) in commands {
            let all = if folder == "src" { &lib } else { &it };
            for filter in filters {
                let runs = all.iter().any(|test| test.contains(filter));
                assert!(runs, "promise {number}: `{filter}` matches no test in {folder}");
            }
        }
    }
    assert!(command("cargo test --test it -- f61_ b84_").is_some());
    assert!(command("cargo test f61_").is_none(), "it would not say which tests");
}
