//! Every hostile input of `tests/hostile/`, through the real executable.
//!
//! A case is a folder: `request.yaml` becomes `requests/orders/dev/bad.yaml`, what lies in `catalog/`
//! is laid over the catalog of `base/`, and `expected.json` holds the promise that it belongs to, what
//! to `make` that no repository should hold (links, odd names, large files), and the `problems`: file,
//! code, line and column of each. None: it must be accepted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::cli::run;
use crate::world::{Output, World, note};

/// Promises about what people write that are held elsewhere, and where.
const ELSEWHERE: [(&str, &str); 5] = [
    ("B22", "a million files: the tests of `git::working_copy` and of sources, with a small limit"),
    ("B27", "submodules: `cli::trap` on a disk, the tests of `git` in trees"),
    ("B29", "entries that no file system holds: the tests of `git` make such trees"),
    ("B40", "recursive data: the depth of a file is limited first, see B04"),
    ("B60", "resource types: come with the provider whose resources they are"),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/hostile")
}

fn cases() -> Vec<String> {
    let names = std::fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name());
    let names = names.map(|name| name.into_string().unwrap()).filter(|name| name != "base");
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

fn expected(case: &str) -> Value {
    let file = folder().join(case).join("expected.json");
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// What cannot lie in a repository, or should not.
fn make(root: &Path, expected: &Value) {
    for one in expected["make"].as_array().into_iter().flatten() {
        let path = root.join(one["path"].as_str().unwrap());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        if let Some(to) = one["link"].as_str() {
            std::os::unix::fs::symlink(to, path).unwrap();
            continue;
        }
        let mut text = String::new();
        for piece in one["pieces"].as_array().unwrap() {
            let times = usize::try_from(piece[1].as_u64().unwrap()).unwrap();
            text.push_str(&piece[0].as_str().unwrap().repeat(times));
        }
        std::fs::write(path, text).unwrap();
    }
}

/// A working copy with the case in it, beside one good request.
fn lay_out(root: &Path, case: &str) {
    copy(&folder().join("base"), &root.join("catalog"));
    let overlay = folder().join(case).join("catalog");
    if overlay.is_dir() {
        copy(&overlay, &root.join("catalog"));
    }
    let requests = root.join("requests/orders/dev");
    std::fs::create_dir_all(&requests).unwrap();
    std::fs::write(requests.join("good.yaml"), note("good")).unwrap();
    let bad = folder().join(case).join("request.yaml");
    if bad.is_file() {
        std::fs::copy(bad, requests.join("bad.yaml")).unwrap();
    }
    make(root, &expected(case));
    let config = "catalog: {repository: ./catalog}\nrequests: [{repository: .}]\n";
    std::fs::write(root.join("vend.yaml"), config).unwrap();
}

fn vend(world: &World, root: &Path, args: &[&str]) -> Output {
    let mut command = world.command(args);
    command.current_dir(root).env_remove("VEND_CONFIG");
    command.env("XDG_CACHE_HOME", world.root().join("cache"));
    run(command)
}

/// File, code, line and column of every problem.
fn problems(output: &Output) -> Vec<Value> {
    let value = output.json();
    let found = value["diagnostics"].as_array().unwrap_or_else(|| panic!("{value}"));
    let one = |d: &Value| {
        let place = &d["place"];
        json!([place["file"], d["code"], place["line"], place["column"]])
    };
    found.iter().map(one).collect()
}

/// Whether a text may be shown on any terminal.
fn is_safe(text: &str) -> bool {
    let hidden = |c: char| {
        (c.is_control() && c != '\n')
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || c == '\u{feff}'
    };
    !text.contains(hidden) && text.len() < 20_000
}

fn check(case: &str, update: bool) -> Result<(), String> {
    let world = World::empty();
    let root = world.root().join("copy");
    lay_out(&root, case);
    let mut wanted = expected(case);
    let mut found = Vec::new();
    let overlay = folder().join(case).join("catalog").is_dir();
    for (is_meant, args) in [(overlay, &["validate", "catalog"][..]), (true, &["validate"][..])] {
        if !is_meant {
            continue;
        }
        let output = vend(&world, &root, &[args, &["--format", "json"]].concat());
        if ![0, 3].contains(&output.code) {
            return Err(format!("{case}: {output:?}"));
        }
        found.extend(problems(&output));
        let shown = vend(&world, &root, args);
        let shown = shown.stdout + &shown.stderr;
        if !is_safe(&shown) || shown.contains("panicked") || shown.contains("root:x:0") {
            return Err(format!("{case}: shows {shown:?}"));
        }
    }
    if overlay {
        authors_see_all_of_it(&world, &root, case)?;
    }
    if update {
        wanted["problems"] = found.clone().into();
        let text = serde_json::to_string_pretty(&wanted).unwrap() + "\n";
        std::fs::write(folder().join(case).join("expected.json"), text).unwrap();
    }
    if wanted["problems"] != Value::from(found.clone()) {
        return Err(format!("{case}: expected {}, found {}", wanted["problems"], json!(found)));
    }
    // The good one beside it is as it would be alone.
    if overlay || found.is_empty() {
        let good = vend(&world, &root, &["render", "orders/dev/good"]);
        if good.code != 0 || !good.stdout.contains("text: good") {
            return Err(format!("{case}: the good request suffers: {good:?}"));
        }
    }
    Ok(())
}

/// `vend catalog check` says what `vend validate` says of a catalog, whatever it adds.
fn authors_see_all_of_it(world: &World, root: &Path, case: &str) -> Result<(), String> {
    let args = ["catalog", "check", "catalog", "--no-cfn-lint"];
    let told = problems(&vend(world, root, &["validate", "catalog", "--format", "json"]));
    let output = vend(world, root, &[&args[..], &["--format", "json"]].concat());
    if ![0, 3].contains(&output.code) {
        return Err(format!("{case}: {output:?}"));
    }
    let found = problems(&output);
    if let Some(kept) = told.iter().find(|problem| !found.contains(problem)) {
        return Err(format!("{case}: `vend catalog check` says nothing of {kept}"));
    }
    let shown = vend(world, root, &args);
    let shown = shown.stdout + &shown.stderr;
    if !is_safe(&shown) || shown.contains("panicked") {
        return Err(format!("{case}: the author is shown {shown:?}"));
    }
    Ok(())
}

#[test]
fn every_case_is_refused_where_it_is_wrong_and_harms_no_other() {
    let update = std::env::var_os("VEND_UPDATE_HOSTILE").is_some();
    let cases = cases();
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong = std::sync::Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) =
                    cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    if let Err(why) = check(case, update) {
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn all_bad_requests_together_are_each_named() {
    let world = World::empty();
    let root = world.root().join("copy");
    lay_out(&root, "duplicate-key");
    let requests = root.join("requests/orders/dev");
    std::fs::remove_file(requests.join("bad.yaml")).unwrap();
    let alone = |case: &String| !folder().join(case).join("catalog").exists();
    let mut wanted = BTreeSet::new();
    for case in cases().iter().filter(|case| alone(case)) {
        let file = folder().join(case).join("request.yaml");
        if !file.is_file() {
            continue;
        }
        std::fs::copy(file, requests.join(format!("{case}.yaml"))).unwrap();
        for problem in expected(case)["problems"].as_array().unwrap() {
            let at = format!("requests/orders/dev/{case}.yaml");
            wanted.insert(json!([at, problem[1], problem[2], problem[3]]).to_string());
        }
    }
    let output = vend(&world, &root, &["validate", "--format", "json"]);
    let found: BTreeSet<String> = problems(&output).iter().map(Value::to_string).collect();
    assert_eq!(found, wanted);
}

#[test]
fn every_promise_about_files_has_a_case_or_says_where_it_is_held() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/promises.md");
    let page = std::fs::read_to_string(page).unwrap();
    let row = regex::Regex::new(r"(?m)^\| (B(\d+)) \|").unwrap();
    let number = |text: &str| text.parse::<u32>().unwrap();
    let promised: BTreeSet<String> = row
        .captures_iter(&page)
        .filter(|c| (1..=60).contains(&number(&c[2])))
        .map(|c| c[1].to_owned())
        .collect();
    assert!(promised.len() > 30, "{promised:?}");
    let mut held: BTreeSet<String> =
        cases().iter().map(|c| expected(c)["promise"].as_str().unwrap().to_owned()).collect();
    for (promise, why) in ELSEWHERE {
        assert!(!why.is_empty());
        held.insert(promise.to_owned());
    }
    let missing: Vec<_> = promised.difference(&held).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
