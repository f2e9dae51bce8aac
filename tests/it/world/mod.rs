//! A world of its own for each story: real repositories, the real executable, nothing of whoever
//! runs the tests.

#![allow(dead_code, reason = "stories use what they need")]

pub mod catalog;
mod repository;

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use vend::store::{Sqlite, Store as _};

pub use repository::{Edit, GIT, Repository, git, remove, write};

/// What a run of the executable came to.
#[derive(Debug)]
pub struct Output {
    /// The exit code.
    pub code: i32,
    /// What it printed.
    pub stdout: String,
    /// What it said beside that.
    pub stderr: String,
}

impl Output {
    /// What it printed, as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }
}

/// A catalog, requests, an output repository, a state folder and a `vend.yaml`.
pub struct World {
    root: TempDir,
    /// The catalog's repository, with the small catalog in it.
    pub catalog: Repository,
    /// The requests' repository; status goes to it as well.
    pub requests: Repository,
    /// The repository that environments name.
    pub output: Repository,
    config: Value,
    environment: Vec<(String, String)>,
}

/// How long a story waits for what must come: so long that it comes on any machine, however busy.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(180);

/// The branch that status is published on.
pub const STATUS: &str = "vend/status";

/// The text of a request for a template with parameters (YAML in flow style).
pub fn request(template: &str, parameters: &str) -> String {
    request_with(template, parameters, "")
}

/// As [`request`], with further lines of its spec, each `key: value`.
pub fn request_with(template: &str, parameters: &str, more: &str) -> String {
    let mut text = format!(
        "apiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: {template}\n  parameters: {parameters}\n"
    );
    text.extend(more.lines().map(|line| format!("  {line}\n")));
    text
}

/// A request for a note.
pub fn note(text: &str) -> String {
    request("note@1.0.0", &format!("{{text: {text}}}"))
}

/// Where a request's file lies.
pub fn path_of(id: &str) -> String {
    format!("requests/{id}.yaml")
}

/// A request's file.
pub fn ask(id: &str, text: impl Into<String>) -> Edit {
    write(path_of(id), text)
}

/// No file of a request any more.
pub fn drop_request(id: &str) -> Edit {
    remove(path_of(id))
}

impl World {
    /// A new one with the small catalog, and no requests.
    pub fn new() -> Self {
        let world = Self::empty();
        world.catalog.commit(catalog::files(&world.output.url()));
        world
    }

    /// A new one with an empty catalog repository, and no requests.
    pub fn empty() -> Self {
        let root = tempfile::Builder::new().prefix("vend-story-").tempdir().unwrap();
        let home = root.path().join("home");
        std::fs::create_dir(&home).unwrap();
        let make = |name: &str| Repository::create(root.path().join(name), &home);
        let (catalog, requests, output) = (make("catalog"), make("requests"), make("output"));
        requests.commit([write("requests/README.md", "Requests.\n")]);
        let config = json!({
            "catalog": {"repository": catalog.url()},
            "requests": [{"repository": requests.url()}],
            "stateDir": root.path().join("state"),
            // Nobody here waits until a commit of statuses is a second old.
            "status": {"interval": "1ms"},
            "providers": {"files": {"allow": [output.url()]}},
        });
        let environment = Vec::new();
        let world = Self { root, catalog, requests, output, config, environment };
        world.write_config();
        world
    }

    /// Changes `vend.yaml`.
    pub fn configure(&mut self, change: impl FnOnce(&mut Value)) {
        change(&mut self.config);
        self.write_config();
    }

    /// Another configuration file beside it: the same, changed.
    pub fn config_beside(&self, name: &str, change: impl FnOnce(&mut Value)) -> PathBuf {
        let mut config = self.config.clone();
        change(&mut config);
        let file = self.root.path().join(name);
        std::fs::write(&file, vend::yaml::write_json(&config)).unwrap();
        file
    }

    /// What the executable's process finds in its environment beside the usual.
    pub fn environment(&mut self, more: impl IntoIterator<Item = (String, String)>) {
        self.environment.extend(more);
    }

    fn write_config(&self) {
        std::fs::write(self.config_file(), vend::yaml::write_json(&self.config)).unwrap();
    }

    /// The operator's `vend.yaml`.
    pub fn config_file(&self) -> PathBuf {
        self.root.path().join("vend.yaml")
    }

    /// The folder that everything is in.
    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// Makes a further bare repository.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::create(self.root.path().join(name), &self.root.path().join("home"))
    }

    /// The executable, ready to run with this world's configuration and no surprises around it.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_vend"));
        command
            .args(args)
            .current_dir(self.root.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root.path().join("home"))
            .env("USER", "ada")
            .env("VEND_CONFIG", self.config_file())
            .envs(self.environment.iter().map(|(name, value)| (name, value)));
        // A fault that is planted in the tests is planted in what they run.
        if let Some(planted) = std::env::var_os("VEND_PLANTED") {
            command.env("VEND_PLANTED", planted);
        }
        command
    }

    /// Runs the executable.
    pub fn vend(&self, args: &[&str]) -> Output {
        let output = self.command(args).output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Runs the executable; it must end with this code.
    #[track_caller]
    pub fn vend_ends(&self, code: i32, args: &[&str]) -> Output {
        let output = self.vend(args);
        assert_eq!(output.code, code, "vend {args:?}\n{}\n{}", output.stdout, output.stderr);
        output
    }

    /// One pass that ends well; what it printed.
    #[track_caller]
    pub fn apply(&self) -> String {
        self.vend_ends(0, &["apply"]).stdout
    }

    /// The published status of a request.
    pub fn status_or_none(&self, id: &str) -> Option<Value> {
        self.requests.read_yaml(STATUS, &format!("status/{id}.yaml"))
    }

    /// The published status of a request.
    #[track_caller]
    pub fn status(&self, id: &str) -> Value {
        self.status_or_none(id).unwrap_or_else(|| panic!("no status of {id}"))
    }

    /// Phase, reason and sentence of a request.
    #[track_caller]
    pub fn standing(&self, id: &str) -> (String, String, String) {
        let status = self.status(id);
        let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
        let condition = &status["conditions"][0];
        (text(&status["phase"]), text(&condition["reason"]), text(&status["waitingFor"]))
    }

    /// A request is held for this reason; the sentence that says so.
    #[track_caller]
    pub fn held(&self, id: &str, reason: &str) -> String {
        let (phase, found, sentence) = self.standing(id);
        assert_eq!((phase.as_str(), found.as_str()), ("Held", reason), "{id}: {sentence}");
        sentence
    }

    /// A request is as its file asks.
    #[track_caller]
    pub fn ready(&self, id: &str) {
        let (phase, reason, sentence) = self.standing(id);
        assert_eq!(phase, "Ready", "{id}: {reason}: {sentence}");
    }

    /// A file in the output repository.
    pub fn output_file(&self, path: &str) -> Option<String> {
        self.output.read("main", path)
    }

    /// The output repository's commits, the oldest first, each with its steps (`target action token`).
    pub fn output_log(&self) -> Vec<(String, Vec<String>)> {
        let steps = |message: &str| {
            message
                .lines()
                .filter_map(|l| l.strip_prefix("Vend-Step: "))
                .map(str::to_owned)
                .collect()
        };
        self.output.log("main").into_iter().map(|(id, text)| (id, steps(&text))).collect()
    }

    /// What was ever done to targets whose name begins so, in order: `create`, `update` …
    pub fn actions(&self, target: &str) -> Vec<String> {
        let log = self.output_log();
        let steps = log.iter().flat_map(|(_, steps)| steps).filter(|s| s.starts_with(target));
        steps.map(|s| s.split(' ').nth(1).unwrap().to_owned()).collect()
    }

    /// All refs of all repositories.
    pub fn refs(&self) -> [String; 3] {
        [self.catalog.refs(), self.requests.refs(), self.output.refs()]
    }

    /// Whether the store has something to ask about or to try again later, but within `soon`: a pass
    /// before that is none in which it could have been done.
    pub fn waits(&self, soon: std::time::Duration) -> bool {
        let path = self.root().join("state/vend.sqlite");
        if !path.is_file() {
            return false;
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let index = runtime.block_on(async { Sqlite::open(&path).unwrap().index().await.unwrap() });
        let now = jiff::Timestamp::now();
        let asked = index.journal.iter().filter_map(|row| row.next);
        let tried = index.retries.iter().map(|(_, retry)| retry.until);
        asked.chain(tried).any(|next| next > now && next < now + soon)
    }

    /// A person approves what a sentence says can be approved.
    #[track_caller]
    pub fn approve(&self, sentence: &str) {
        self.vend_ends(0, &["approve", &to_approve(sentence)]);
    }

    /// How every story ends: another pass finds nothing to do, and writes nothing.
    #[track_caller]
    pub fn again_nothing(&self) {
        let before = self.refs();
        let output = self.vend(&["apply"]);
        assert!(output.stdout.contains("Nothing to do"), "{output:?}");
        assert!([0, 3].contains(&output.code), "{output:?}");
        assert_eq!(before, self.refs(), "a pass over nothing new wrote something");
    }
}

/// The digest or `source@commit` that a sentence says to approve.
#[track_caller]
pub fn to_approve(sentence: &str) -> String {
    let (_, rest) = sentence.split_once("`vend approve ").unwrap_or_else(|| panic!("{sentence}"));
    rest.split_once('`').unwrap().0.to_owned()
}
