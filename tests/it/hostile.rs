//! Every hostile input of `tests/hostile/`, through the real executable.
//!
//! A case is a folder: `request.yaml` becomes `requests/orders/dev/bad.yaml`, what lies in `catalog/`
//! is laid over the catalog of `base/`, and `expected.json` holds the promise that it belongs to, what
//! to `make` that no repository should hold (links, odd names, large files, a thousand of them), and the
//! `problems`: file, code, line and column of each. None: it must be accepted. `plan` has what its plan says
//! beside them, `hides` what is shown nowhere, and `files` says of how many it is: a thousand may take longer.
//!
//! Whatever a case is, the program starts no child and opens no connection over it, is given so much memory
//! ([`confined`]), and takes so much more of the processor than for the good request alone. `make hostile` holds the
//! program as it is shipped to a hundred milliseconds for each run over each case.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use serde_json::{Value, json};

use crate::confined;
use crate::daemon::{Serving, eventually};
use crate::pull::reader::assert_live_only;
use crate::world::{Output, Repository, STATUS, World, ask, catalog, note, write};

/// An unoptimised program takes about so many times as long as one that is shipped.
const UNOPTIMISED: u32 = if cfg!(debug_assertions) { 10 } else { 1 };

/// What a case may take of the processor beyond what the good request takes alone.
const BEYOND: Duration = Duration::from_millis(100).saturating_mul(UNOPTIMISED);

/// As much as is ever shown of one bad file, to people and to programs.
const SHOWN: usize = 20_000;

/// So many files may take as long as one: what a case takes, it takes for the worst of them.
const FILES: u32 = 200;

/// The request that a case makes.
const BAD: &str = "orders/dev/bad";

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

/// What cannot lie in a repository, or should not: a link, a file of so many bytes that is `sparse`, or `pieces`
/// of text, each so many times. Of a
/// `chain` there are so many, numbered at `{}`, and `{before}` names the one before, the first time the bad
/// request itself. A path that is `raw` may have `\\xff` in it.
fn make(root: &Path, expected: &Value) {
    for one in expected["make"].as_array().into_iter().flatten() {
        let text = one["pieces"].as_array().into_iter().flatten().map(|piece| {
            let times = usize::try_from(piece[1].as_u64().unwrap()).unwrap();
            piece[0].as_str().unwrap().repeat(times)
        });
        let (path, text) = (one["path"].as_str().unwrap(), text.collect::<String>());
        let last = one["chain"].as_u64().unwrap_or_default();
        for n in 1..=last.max(1) {
            let before = if n == 1 { "bad".to_owned() } else { format!("chain-{}", n - 1) };
            let path = root.join(path.replace("{}", &n.to_string()));
            let path = if one["raw"] == true { raw(&path) } else { path };
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            if let Some(to) = one["link"].as_str() {
                std::os::unix::fs::symlink(to, path).unwrap();
            } else if let Some(size) = one["sparse"].as_u64() {
                std::fs::File::create(path).unwrap().set_len(size).unwrap();
            } else {
                std::fs::write(path, text.replace("{before}", &before)).unwrap();
            }
        }
    }
}

/// A path with the byte in it that no text has.
fn raw(path: &Path) -> PathBuf {
    let text = path.to_str().unwrap();
    let parts: Vec<&[u8]> = text.split("\\xff").map(str::as_bytes).collect();
    OsString::from_vec(parts.join(&0xff)).into()
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
    if case == "base" {
        return configure(root);
    }
    let bad = folder().join(case).join("request.yaml");
    if bad.is_file() {
        std::fs::copy(bad, requests.join("bad.yaml")).unwrap();
    }
    make(root, &expected(case));
    configure(root);
}

fn configure(root: &Path) {
    let config = "catalog: {repository: ./catalog}\nrequests: [{repository: .}]\n";
    std::fs::write(root.join("vend.yaml"), config).unwrap();
}

/// What runs took of the processor at most, and where.
#[derive(Default)]
struct Most {
    time: Duration,
    at: String,
}

impl Most {
    fn see(&mut self, time: Duration, what: &str) {
        if time > self.time {
            (self.time, self.at) = (time, what.to_owned());
        }
    }

    /// Whether it is more than a case may take, by what the good request takes alone.
    fn is_beyond(&self, alone: &Self) -> bool {
        self.time > alone.time + BEYOND
    }
}

/// What the good request takes alone.
fn alone() -> Most {
    let most = Mutex::<Most>::default();
    let good = Bench::new("base", &most);
    for args in [&["validate"][..], &["plan"], &["render", "orders/dev/good"]] {
        good.vend(args).unwrap();
    }
    most.into_inner().unwrap()
}

/// A case's folder, and the most that was taken over it.
struct Bench<'a> {
    case: &'a str,
    /// What is shown nowhere.
    hides: Vec<String>,
    /// Of how many files it is, where that is many.
    files: u32,
    world: World,
    root: PathBuf,
    most: &'a Mutex<Most>,
}

impl<'a> Bench<'a> {
    fn new(case: &'a str, most: &'a Mutex<Most>) -> Self {
        let world = World::empty();
        let root = world.root().join("copy");
        lay_out(&root, case);
        let expected = if case == "base" { Value::Null } else { expected(case) };
        let files = expected["files"].as_u64().map_or(1, |n| u32::try_from(n).unwrap());
        Self { case, hides: texts(&expected["hides"]), files, world, root, most }
    }

    /// Runs it, confined. It must come to an end of its own and show only what is safe to show.
    fn vend(&self, args: &[&str]) -> Result<Output, String> {
        let mut command = self.world.command(args);
        command.current_dir(&self.root).env_remove("VEND_CONFIG");
        command.env("XDG_CACHE_HOME", self.world.root().join("cache"));
        let ran = confined::run(&command, self.world.root());
        let what = format!("{}: vend {}", self.case, args.join(" "));
        if ran.is_ended {
            return Err(format!("{what}: started a child or opened a connection"));
        }
        let time = ran.time / (self.files / FILES).max(1);
        self.most.lock().unwrap().see(time, &what);
        let Output { code, stdout, stderr } = &ran.output;
        if ![0, 1, 3].contains(code) {
            return Err(format!("{what}: {:?}", ran.output));
        }
        for shown in [stdout, stderr] {
            let leaks = shown.contains("panicked")
                || shown.contains("root:x:0")
                || self.hides.iter().any(|text| shown.contains(text));
            let is_short = shown.len() < SHOWN * self.files as usize;
            if !is_safe(shown) || !is_short || leaks {
                return Err(format!("{what}: shows {shown:?}"));
            }
        }
        Ok(ran.output)
    }

    /// As [`Bench::vend`], to be read by a program.
    fn json(&self, args: &[&str]) -> Result<Value, String> {
        let output = self.vend(&[args, &["--format", "json"]].concat())?;
        let value: Value = serde_json::from_str(&output.stdout)
            .map_err(|error| format!("{}: vend {args:?}: {error}: {output:?}", self.case))?;
        Ok(value)
    }
}

fn texts(list: &Value) -> Vec<String> {
    let list = list.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// File, code, line and column of every problem.
fn problems(value: &Value) -> Vec<Value> {
    let found = value["diagnostics"].as_array().unwrap_or_else(|| panic!("{value}"));
    let one = |d: &Value| {
        let place = &d["place"];
        json!([place["file"], d["code"], place["line"], place["column"]])
    };
    found.iter().map(one).collect()
}

/// What nobody sees, or what a terminal obeys. In Markdown a break that nobody sees is our own.
fn is_hidden(c: char) -> bool {
    (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{feff}')
}

/// Whether a text may be shown on any terminal.
fn is_safe(text: &str) -> bool {
    let hidden = |c: char| is_hidden(c) || matches!(c, '\u{200b}'..='\u{200f}');
    !text.contains(hidden)
}

fn check(case: &str, update: bool, most: &Mutex<Most>) -> Result<(), String> {
    let bench = Bench::new(case, most);
    let mut wanted = expected(case);
    let mut found = Vec::new();
    let overlay = folder().join(case).join("catalog").is_dir();
    for (is_meant, args) in [(overlay, &["validate", "catalog"][..]), (true, &["validate"][..])] {
        if is_meant {
            found.extend(problems(&bench.json(args)?));
            bench.vend(args)?;
        }
        if is_meant && args.len() > 1 {
            authors_see_all_of_it(&bench, &found)?;
        }
    }
    if update {
        wanted["problems"] = found.clone().into();
        let text = serde_json::to_string_pretty(&wanted).unwrap() + "\n";
        std::fs::write(folder().join(case).join("expected.json"), text).unwrap();
    }
    if wanted["problems"] != Value::from(found.clone()) {
        return Err(format!("{case}: expected {}, found {}", wanted["problems"], json!(found)));
    }
    // Wherever else it may come up.
    for args in [&["plan"][..], &["render", BAD], &["explain", BAD]] {
        bench.vend(args)?;
    }
    let plan = bench.json(&["plan"])?.to_string();
    if let Some(lacks) = texts(&wanted["plan"]).iter().find(|text| !plan.contains(*text)) {
        return Err(format!("{case}: the plan says nothing of {lacks}: {plan:.2000}"));
    }
    // The good one beside it is as it would be alone.
    let good = bench.vend(&["render", "orders/dev/good"])?;
    if good.code != 0 || !good.stdout.contains("text: good") {
        return Err(format!("{case}: the good request suffers: {good:?}"));
    }
    Ok(())
}

/// `vend catalog check` says what `vend validate` says of a catalog, whatever it adds.
fn authors_see_all_of_it(bench: &Bench, told: &[Value]) -> Result<(), String> {
    let args = ["catalog", "check", "catalog", "--no-cfn-lint"];
    let found = problems(&bench.json(&args)?);
    if let Some(kept) = told.iter().find(|problem| !found.contains(problem)) {
        return Err(format!("{}: `vend catalog check` says nothing of {kept}", bench.case));
    }
    bench.vend(&args)?;
    Ok(())
}

#[test]
fn every_case_is_refused_where_it_is_wrong_and_harms_no_other() {
    let update = std::env::var_os("VEND_UPDATE_HOSTILE").is_some();
    let cases = cases();
    let (alone, most) = (alone(), Mutex::<Most>::default());
    let next = std::sync::atomic::AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(case) =
                    cases.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed))
                {
                    if let Err(why) = check(case, update, &most) {
                        wrong.lock().unwrap().push(why);
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let most = most.into_inner().unwrap();
    let of = |most: &Most| format!("{:?} ({})", most.time, most.at);
    println!("at most: {}\nalone: {}", of(&most), of(&alone));
    assert!(!most.is_beyond(&alone), "{} against {}", of(&most), of(&alone));
}

#[test]
fn what_takes_more_than_its_bounds_is_seen() {
    let (alone, folder) = (alone(), tempfile::tempdir().unwrap());
    let run = |program: &str, arguments: &[&str]| {
        let mut command = std::process::Command::new(program);
        command.args(arguments).env("PATH", std::env::var_os("PATH").unwrap());
        confined::run(&command, folder.path())
    };
    assert!(!alone.is_beyond(&alone));
    // One block of as many bytes, which is read and so is really there.
    let copy = |bytes: u64| {
        let block = format!("bs={bytes}");
        run("dd", &["if=/dev/zero", "of=/dev/null", &block, "count=1"]).output.code
    };
    assert_eq!((copy(confined::most() / 2), copy(confined::most())), (0, 1));
    // The kernel ends it once it has taken so many seconds of the processor.
    let seconds = (alone.time + BEYOND).as_secs() + 2;
    let ran = run("sh", &["-c", &format!("ulimit -t {seconds}; while :; do :; done")]);
    let mut most = Most::default();
    most.see(ran.time, "sh");
    assert!(most.is_beyond(&alone), "{ran:?}");
}

#[test]
fn all_bad_requests_together_are_each_named() {
    let most = Mutex::default();
    let bench = Bench::new("base", &most);
    let requests = bench.root.join("requests/orders/dev");
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
    let mut command = bench.world.command(&["validate", "--format", "json"]);
    command.current_dir(&bench.root).env_remove("VEND_CONFIG");
    let output = crate::cli::run(command);
    let found: BTreeSet<String> = problems(&output.json()).iter().map(Value::to_string).collect();
    assert_eq!(found, wanted);
}

/// All cases at once, as far as they are of requests, in one folder beside the good one.
fn all_requests(root: &Path, beside: &Path) {
    let requests = root.join("requests/orders/dev");
    std::fs::create_dir_all(&requests).unwrap();
    for case in cases() {
        if folder().join(&case).join("catalog").exists() {
            continue;
        }
        let file = folder().join(&case).join("request.yaml");
        if file.is_file() {
            std::fs::copy(file, requests.join(format!("{case}.yaml"))).unwrap();
        }
        let (own, expected) = (beside.join(&case), expected(&case));
        // It would be written out for Git.
        if expected["make"][0]["sparse"].is_u64() {
            continue;
        }
        make(&own, &expected);
        if own.is_dir() {
            gather(&own, root, &case);
        }
    }
    std::fs::write(requests.join("good.yaml"), note("good")).unwrap();
}

/// Moves what was made for a case to what there is; the one request has the case's name.
fn gather(from: &Path, to: &Path, case: &str) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap().map(Result::unwrap) {
        let name = entry.file_name();
        if entry.file_type().unwrap().is_dir() {
            gather(&entry.path(), &to.join(name), case);
            continue;
        }
        let is_bad = name == "bad.yaml";
        let to = if is_bad { to.join(format!("{case}.yaml")) } else { to.join(name) };
        if to.symlink_metadata().is_err() {
            std::fs::rename(entry.path(), to).unwrap();
        }
    }
}

/// All cases of a template's version, each as a template of its own beside the good one, and their requests.
fn all_templates(catalog: &Path, requests: &Path) {
    for case in cases() {
        let own = folder().join(&case).join("catalog");
        // What is laid over an environment would be laid over that of all others.
        if !own.join("templates/bad").is_dir() || own.join("environments").exists() {
            continue;
        }
        let named = |text: String| {
            let text = text.replace("{name: bad,", &format!("{{name: {case},"));
            text.replace("template: bad@", &format!("template: {case}@"))
        };
        let place = tempfile::tempdir().unwrap();
        copy(&own, &place.path().join("catalog"));
        if let Ok(text) = std::fs::read(folder().join(&case).join("request.yaml")) {
            let bad = place.path().join("requests/orders/dev/bad.yaml");
            std::fs::create_dir_all(bad.parent().unwrap()).unwrap();
            std::fs::write(bad, text).unwrap();
        }
        make(place.path(), &expected(&case));
        let versions = place.path().join("catalog/templates/bad");
        for version in std::fs::read_dir(&versions).unwrap().map(|e| e.unwrap().path()) {
            let file = version.join("template.yaml");
            std::fs::write(&file, named(std::fs::read_to_string(&file).unwrap())).unwrap();
        }
        copy(&versions, &catalog.join("templates").join(&case));
        if let Ok(text) = std::fs::read_to_string(place.path().join("requests/orders/dev/bad.yaml"))
        {
            std::fs::write(requests.join(format!("{case}.yaml")), named(text)).unwrap();
        }
    }
}

/// Commits all of a folder to `main`, beside what lies there.
fn commit_folder(to: &Repository, from: &Path) {
    let tree = ["--work-tree", from.to_str().unwrap(), "-c", "core.bare=false"];
    let of = |args: &[&str]| to.git(&[&tree[..], args].concat());
    of(&["read-tree", "main"]);
    of(&["add", "--force", "--ignore-removal", "--", "."]);
    let by = ["-c", "user.name=Mallory", "-c", "user.email=mallory@example.com"];
    of(&[&by[..], &["commit", "--quiet", "--message", "All of it"]].concat());
}

#[test]
fn all_bad_files_together_keep_no_good_request_from_its_daemon() {
    let world = World::empty();
    let base = folder().join("base");
    let of_base = |path: &str| write(path, std::fs::read_to_string(base.join(path)).unwrap());
    let files = ["catalog.yaml", "schema.json", "template.yaml", "main.yaml.hbs"];
    let place = |name: &&str| match *name {
        "catalog.yaml" => "catalog.yaml".to_owned(),
        name => format!("templates/note/1.0.0/{name}"),
    };
    let files = files.iter().map(|name| of_base(&place(name)));
    let environment = catalog::environment("dev", &world.output.url(), "");
    world.catalog.commit(files.chain([environment]));
    let (copy, templates) = (world.root().join("copy"), world.root().join("templates"));
    all_requests(&copy, &world.root().join("made"));
    all_templates(&templates, &copy.join("requests/orders/dev"));
    commit_folder(&world.catalog, &templates);
    commit_folder(&world.requests, &copy);

    let mut daemon = Serving::ready(&world);
    let is_ready = |id: &str| world.status_or_none(id).is_some_and(|s| s["phase"] == "Ready");
    eventually("the good one is ready", || is_ready("orders/dev/good").then_some(()));
    // So is one that comes while they lie there.
    world.requests.commit([ask("orders/dev/later", note("later"))]);
    eventually("a later one is ready", || is_ready("orders/dev/later").then_some(()));
    // Each that is a request at all is held, with its reason; those that are accepted are made.
    let (mut held, mut made) = (0, 0);
    for case in cases() {
        let Some(status) = world.status_or_none(&format!("orders/dev/{case}")) else { continue };
        let expected = expected(&case);
        let problems = expected["problems"].as_array().unwrap();
        let codes: Vec<&str> = problems.iter().map(|p| p[1].as_str().unwrap()).collect();
        let of_catalog = folder().join(&case).join("catalog").exists();
        match status["phase"].as_str().unwrap() {
            // What is wrong with its template is told with that.
            "Held" if of_catalog => {}
            "Held" => {
                held += 1;
                let text = status.to_string();
                assert!(codes.iter().any(|code| text.contains(code)), "{case}: {codes:?}: {text}");
            }
            "Ready" => made += 1,
            phase => panic!("{case}: {phase}: {status}"),
        }
    }
    assert!(held > 20, "{held} are held and {made} made");
    daemon.stop();
    let said = daemon.lines().join("\n");
    assert!(!said.contains("panicked"), "{said}");
    assert!(daemon.lines().iter().all(|line| serde_json::from_str::<Value>(line).is_ok()));
    let front = nothing_is_alive_in(&world);
    assert!(front.contains("u{202e}"), "{front}");
    for line in daemon.lines() {
        assert!(is_safe(&line), "the log shows {line:?}");
    }
    world.again_nothing();
}

/// What is on the status branch can be shown on any terminal, and its front page has nothing alive in it but
/// its own links; that page.
fn nothing_is_alive_in(world: &World) -> String {
    let files = world.requests.git(&["ls-tree", "-r", "-z", "--name-only", STATUS]);
    let files: Vec<&str> = files.split_terminator('\0').collect();
    assert!(files.len() > 20, "{files:?}");
    for file in files {
        assert!(is_safe(file) && !file.contains('\n'), "{file:?}");
        let text = world.requests.read(STATUS, file).unwrap();
        assert!(!text.contains(is_hidden), "{file} has {text:?}");
        assert!(!text.contains("root:x:0"), "{file}");
    }
    let front = world.requests.read(STATUS, "README.md").unwrap();
    let is_ours = |link: &str| link.starts_with("status/orders/dev/") && link.ends_with(".yaml");
    assert_live_only(&front, &is_ours);
    front
}
