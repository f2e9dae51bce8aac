//! Holds `src/` against the floors of `ARCHITECTURE.md`.
//!
//! It reads text, not types: comments and strings are blanked, `use` trees are unfolded, and what
//! stands in a `#[cfg(test)]` module is left out. A line that breaks a rule is named with its place.

mod source;

use std::fmt::Write as _;
use std::path::Path;

use source::Source;

/// How high a module stands. It looks down, never up, never sideways.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Floor {
    /// Values that all share; among themselves in this order, each using only lower ones.
    Ground(u8),
    /// Tests end, fail or delay the process there: nothing of its own, and nothing for pure modules.
    Probe,
    /// Below the other pure modules: the ground only.
    Rule,
    /// No I/O, no clock: the ground, and rules.
    Pure,
    /// Below the other side modules: the ground only.
    Git,
    /// Talks to one world outside: the ground, and Git.
    Side,
    /// Settings and wording.
    Words,
    /// The one pass.
    Pass,
    /// What wakes a pass, and what is served.
    Loop,
    /// The command line.
    Edge,
    /// Parse, run, return the exit code.
    Main,
}

use Floor::{Edge, Git, Ground, Loop, Main, Pass, Probe, Pure, Rule, Side, Words};

/// Every top-level module and its floor. A new one is added here and in `ARCHITECTURE.md`.
const FLOORS: &[(&str, Floor)] = &[
    ("fault", Probe),
    ("error", Ground(0)),
    ("meter", Ground(0)),
    ("digest", Ground(1)),
    ("model", Ground(2)),
    ("yaml", Ground(3)),
    ("trace", Ground(3)),
    ("policy", Rule),
    ("catalog", Pure),
    ("render", Pure),
    ("plan", Pure),
    ("git", Git),
    ("provider", Side),
    ("forge", Side),
    ("notify", Side),
    ("store", Side),
    ("report", Words),
    ("config", Words),
    ("reconcile", Pass),
    ("daemon", Loop),
    ("server", Loop),
    ("cli", Edge),
    ("main", Main),
];

/// Modules that are functions of their arguments and nothing else.
const PURE: &[&str] =
    &["error", "digest", "model", "yaml", "policy", "catalog", "render", "plan", "report"];

/// What a pure module never names: whole identifiers, or paths of them.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "async_trait",
    "tokio",
    "std::fs",
    "std::env",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "SystemTime",
    "Instant",
    "Timestamp::now",
    "Zoned::now",
    "getrandom",
    "rand",
    "tempfile",
    "git2",
    "rusqlite",
    "rustix",
    "notify",
    "tracing",
    "print",
    "println",
    "eprint",
    "eprintln",
];

/// The table with its floors as words, for the page that shows it.
pub fn floors() -> Vec<(String, String)> {
    let word = |floor: Floor| match floor {
        Ground(_) => "ground",
        Probe => "probe",
        Rule => "rule",
        Pure => "pure",
        Git => "git",
        Side => "side",
        Words => "words",
        Pass => "pass",
        Loop => "loop",
        Edge => "edge",
        Main => "main",
    };
    FLOORS.iter().map(|(name, floor)| ((*name).to_owned(), word(*floor).to_owned())).collect()
}

fn floor(module: &str) -> Option<Floor> {
    FLOORS.iter().find(|(name, _)| *name == module).map(|(_, floor)| *floor)
}

/// Whether a module on `from` may name another one on `to`.
fn may_use(from: Floor, to: Floor) -> bool {
    match (from, to) {
        (Ground(from), Ground(to)) => to < from,
        (Git | Side | Pass | Loop, Probe) => true,
        (Rule | Git, Ground(_)) => true,
        (Pure, Ground(_) | Rule) => true,
        (Side, Ground(_) | Git) => true,
        (Words, Ground(_) | Rule | Pure | Git | Side) => true,
        (Pass, Ground(_) | Rule | Pure | Git | Side | Words) => true,
        (Loop, Ground(_) | Rule | Pure | Git | Side | Words | Pass) => true,
        (Edge, to) => to != Edge && to != Main,
        (Main, to) => to == Edge,
        (Ground(_) | Probe | Rule | Pure | Git | Side | Words | Pass | Loop, _) => false,
    }
}

/// Everything wrong with one file, a line each: `path:line: what`.
fn check_file(path: &str, text: &str) -> Vec<String> {
    let Some(module) = top_level(path) else {
        return Vec::new(); // `lib.rs` only lists the modules; the list is checked by itself.
    };
    let source = Source::read(text);
    let mut found: Vec<(usize, String)> = Vec::new();
    match floor(&module) {
        None => found.push((1, format!("module `{module}` has no floor: give it one"))),
        Some(from) => {
            for (line, used) in source.modules_used(&module_path(path)) {
                if used == module {
                    continue;
                }
                match floor(&used) {
                    Some(to) if may_use(from, to) => {}
                    Some(_) => found.push((line, format!("`{module}` may not use `{used}`"))),
                    None if used == "*" || used == "self" => {
                        found.push((line, "names the crate's root: name the module".to_owned()));
                    }
                    None => {
                        found.push((line, format!("`{used}` is no module with a floor")));
                    }
                }
            }
        }
    }
    if PURE.contains(&module.as_str()) {
        for word in IMPURE {
            for line in source.lines_naming(word) {
                found.push((line, format!("`{module}` is pure and names `{word}`")));
            }
        }
    }
    for line in source.errors_by_debug() {
        found.push((line, "an error becomes text by `error::chain`, not by `{:?}`".to_owned()));
    }
    for line in source.stray_cfg_test() {
        found.push((line, "`cfg(test)` belongs on a `mod`, not in production code".to_owned()));
    }
    found.sort();
    found.dedup();
    found.into_iter().map(|(line, what)| format!("{path}:{line}: {what}")).collect()
}

/// The top-level module of `src/…`; `None` for `src/lib.rs`.
fn top_level(path: &str) -> Option<String> {
    module_path(path).into_iter().next()
}

/// `src/plan/order.rs` is `[plan, order]`, `src/plan/mod.rs` is `[plan]`, `src/lib.rs` is empty.
fn module_path(path: &str) -> Vec<String> {
    let inner = path.trim_start_matches("src/").trim_end_matches(".rs");
    let mut parts: Vec<String> = inner.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || parts == ["lib"] {
        parts.pop();
    }
    parts
}

/// All `.rs` files below a folder, as (path with `/` from the package's root, text), sorted.
fn files_below(root: &Path, folder: &str) -> Vec<(String, String)> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(root.join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{folder}/{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            files.extend(files_below(root, &path));
        } else if path.ends_with(".rs") {
            let text = std::fs::read_to_string(entry.path()).unwrap();
            files.push((path, text));
        }
    }
    files.sort();
    files
}

#[test]
fn every_module_keeps_to_its_floor() {
    let files = files_below(Path::new(env!("CARGO_MANIFEST_DIR")), "src");
    // Test-only files are named by a `#[cfg(test)] mod name;` in another file.
    let test_only: Vec<String> =
        files.iter().flat_map(|(path, text)| source::test_files(path, text)).collect();
    let mut report = String::new();
    for (path, text) in files.iter().filter(|(path, _)| !source::is_test_file(path, &test_only)) {
        for problem in check_file(path, text) {
            writeln!(report, "{problem}").unwrap();
        }
    }
    assert!(files.len() > 10, "no sources found");
    assert!(report.is_empty(), "\n{report}");
}

#[test]
fn every_module_of_the_library_has_a_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("src/lib.rs")).unwrap();
    let without: Vec<String> =
        Source::read(&text).declared().into_iter().filter(|m| floor(m).is_none()).collect();
    assert!(without.is_empty(), "modules without a floor: {without:?}");
}

#[test]
fn a_look_upwards_or_sideways_is_found() {
    let planted = [
        (
            "src/plan/order.rs",
            "use crate::store::Store;\n",
            "src/plan/order.rs:1: `plan` may not use `store`",
        ),
        (
            "src/plan/mod.rs",
            "\nfn f() { crate::git::fetch(); }\n",
            "src/plan/mod.rs:2: `plan` may not use `git`",
        ),
        (
            "src/plan/a.rs",
            "use super::super::render;\n",
            "src/plan/a.rs:1: `plan` may not use `render`",
        ),
        (
            "src/git/mod.rs",
            "use super::provider::Files;\n",
            "src/git/mod.rs:1: `git` may not use `provider`",
        ),
        (
            "src/render/mod.rs",
            "use crate::{\n    model::{A, B},\n    catalog::Catalog,\n};\n",
            "src/render/mod.rs:3: `render` may not use `catalog`",
        ),
        (
            "src/server/mod.rs",
            "use crate::daemon;\n",
            "src/server/mod.rs:1: `server` may not use `daemon`",
        ),
        (
            "src/digest.rs",
            "use crate::model::Map;\n",
            "src/digest.rs:1: `digest` may not use `model`",
        ),
        (
            "src/report/a.rs",
            "use crate::config;\n",
            "src/report/a.rs:1: `report` may not use `config`",
        ),
        ("src/main.rs", "use vend::store::Store;\n", "src/main.rs:1: `main` may not use `store`"),
        (
            "src/plan/b.rs",
            "use crate::*;\n",
            "src/plan/b.rs:1: names the crate's root: name the module",
        ),
        (
            "src/plan/c.rs",
            "use crate::helpers::x;\n",
            "src/plan/c.rs:1: `helpers` is no module with a floor",
        ),
        (
            "src/plan/d.rs",
            "use crate::fault::point;\n",
            "src/plan/d.rs:1: `plan` may not use `fault`",
        ),
        ("src/helpers.rs", "", "src/helpers.rs:1: module `helpers` has no floor: give it one"),
    ];
    for (path, text, expected) in planted {
        assert_eq!(check_file(path, text), [expected], "{text}");
    }
}

#[test]
fn an_impure_line_in_a_pure_module_is_found() {
    let planted = [
        ("pub async fn f() {}", "async"),
        ("use std::fs::File;", "std::fs"),
        ("use std::{collections::BTreeMap, env};", "std::env"),
        ("fn f() { let t = std::time::Instant::now(); }", "Instant"),
        ("use std::time::{Duration, SystemTime};", "SystemTime"),
        ("fn f() { jiff::Timestamp::now(); }", "Timestamp::now"),
        ("fn f() { tokio::spawn(g()); }", "tokio"),
        ("fn f() { getrandom::fill(&mut b); }", "getrandom"),
        ("fn f() { println!(\"x\"); }", "println"),
    ];
    for (text, word) in planted {
        let expected = format!("src/plan/x.rs:1: `plan` is pure and names `{word}`");
        assert_eq!(check_file("src/plan/x.rs", text), [expected], "{text}");
        assert!(check_file("src/git/x.rs", text).is_empty(), "{text}");
    }
}

#[test]
fn an_error_formatted_for_debugging_is_found() {
    let said = "src/store/x.rs:1: an error becomes text by `error::chain`, not by `{:?}`";
    for text in [
        "fn f() { warn!(\"it failed: {err:?}\"); }",
        "fn f() { let s = format!(\"{:?}\", error); }",
        "fn f() { let s = format!(\"{0:#?}\", &err); }",
        "fn f() { warn!(?error, \"x\"); }",
        "fn f() { warn!(cause = ?err, \"x\"); }",
    ] {
        assert_eq!(check_file("src/store/x.rs", text), [said], "{text}");
    }
    for text in ["fn f() { format!(\"{name:?}\"); }", "fn f() { g(\"{:?}\", errors_seen); }"] {
        assert!(check_file("src/store/x.rs", text).is_empty(), "{text}");
    }
}

#[test]
fn what_is_allowed_passes() {
    let fine = [
        ("src/plan/x.rs", "use crate::model::Plan;\nuse crate::plan::order;\nuse super::order;\n"),
        ("src/provider/files.rs", "use crate::git::Mirror;\nuse std::fs;\n"),
        ("src/yaml/mod.rs", "use crate::{digest::Digest, model::Diagnostic};\n"),
        (
            "src/plan/x.rs",
            "// use crate::store;\n/* std::fs */\nconst S: &str = \"crate::git, async\";\n",
        ),
        (
            "src/plan/x.rs",
            "const S: &str = r#\"use crate::git; \"std::fs\"\"#;\nconst C: char = '\"';\n",
        ),
        (
            "src/plan/x.rs",
            "#[cfg(test)]\nmod tests {\n    use crate::render;\n    use std::fs;\n}\n",
        ),
        ("src/plan/x.rs", "struct Instants; fn awaited<'a>(x: &'a str) {} // Instant\n"),
        ("src/main.rs", "use vend::cli;\n"),
        ("src/cli/plan.rs", "use crate::{daemon, reconcile, store};\n"),
        ("src/lib.rs", "pub mod plan;\n"),
    ];
    for (path, text) in fine {
        assert_eq!(check_file(path, text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(
        check_file("src/git/x.rs", "#[cfg(test)]\nfn helper() {}\n"),
        ["src/git/x.rs:1: `cfg(test)` belongs on a `mod`, not in production code"]
    );
    assert_eq!(
        check_file(
            "src/plan/x.rs",
            "#[cfg(test)]\nmod tests { fn f() { \"}\"; } }\nuse crate::git;\n"
        ),
        ["src/plan/x.rs:3: `plan` may not use `git`"]
    );
}

#[test]
fn files_of_tests_are_left_out() {
    let text =
        "#[cfg(test)]\nmod tests;\n#[cfg(test)]\n#[path = \"b_tests.rs\"]\npub(crate) mod t;\n";
    assert_eq!(source::test_files("src/plan/b.rs", text), ["src/plan/b/tests", "src/plan/b_tests"]);
    assert_eq!(
        source::test_files("src/plan/mod.rs", "#[cfg(test)] mod tests;"),
        ["src/plan/tests"]
    );
    assert!(source::is_test_file("src/plan/tests/x.rs", &["src/plan/tests".to_owned()]));
    assert!(!source::is_test_file("src/plan/tests_of.rs", &["src/plan/tests".to_owned()]));
}
