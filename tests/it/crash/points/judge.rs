//! What became of a world, seen from outside: its repositories, and not what vend says of itself.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Repository, STATUS, World};

/// What was done and what there is: equal however often vend was interrupted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// What was ever done to each target, in order.
    pub actions: BTreeMap<String, Vec<String>>,
    /// Files of all outputs, by repository and path. A line that names a commit is left out.
    pub files: BTreeMap<String, String>,
    /// Phase and reason of each published request.
    pub statuses: BTreeMap<String, String>,
}

/// A person's file on the status branch: it is nobody's to remove.
const NOTE: &str = "notes.md";

/// The output repositories of a world.
fn outputs(world: &World) -> Vec<Repository> {
    let entries = std::fs::read_dir(world.root()).unwrap().flatten();
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    paths.retain(|path| path.file_name().unwrap().to_string_lossy().starts_with("output"));
    paths.sort();
    paths.into_iter().map(|path| Repository::open(path, &world.root().join("home"))).collect()
}

/// Has the world's repositories tell on vend: every move of a ref is kept, and whoever pushes an
/// effect of which no intent is on disk is written down. Pushes of folders named `refused` are
/// refused while the file `deny` is there.
pub fn watch(world: &World) {
    for repository in outputs(world) {
        log_refs(&repository);
        let root = world.root().display();
        let script = format!(
            r#"#!/bin/sh
while read -r old new ref; do
  case $old in *[!0]*) range="$old..$new" ;; *) range=$new ;; esac
  if [ -e {root}/deny ] && git log --name-only --format= "$range" | grep -q refused; then
    echo 'closed today' >&2
    exit 1
  fi
  git log --format=%B "$range" | sed -n 's/^Vend-Step: //p' | while read -r target action token; do
    grep -aqF "$token" {root}/state/vend.sqlite {root}/state/vend.sqlite-wal 2>/dev/null ||
      echo "$target $action $token" >>{root}/unintended
  done
done
"#
        );
        let hook = repository.path().join("hooks/pre-receive");
        // Without git's samples, which would be copied with each case.
        let _ = std::fs::remove_dir_all(hook.parent().unwrap());
        std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
        std::fs::write(&hook, script).unwrap();
        std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    log_refs(&world.requests);
}

fn log_refs(repository: &Repository) {
    repository.git(&["config", "core.logAllRefUpdates", "always"]);
}

/// A person leaves a note on the status branch.
pub fn leave_note(world: &World) {
    world.requests.commit_to(STATUS, [crate::world::write(NOTE, "Mine.\n")]);
}

impl Facts {
    /// Whether nothing is to be expected without anybody's doing.
    pub fn rest(&self) -> bool {
        let rests = ["phase: Ready,", "phase: Held,", "phase: Failed,"];
        self.statuses.values().all(|said| rests.iter().any(|phase| said.starts_with(phase)))
    }

    /// The first kind of facts in which these differ from those.
    pub fn unlike(&self, those: &Self) -> &'static str {
        let Self { actions, files, statuses } = self;
        if actions != &those.actions {
            "what was done"
        } else if files != &those.files {
            "what is there"
        } else if statuses != &those.statuses {
            "what is said of requests"
        } else {
            "nothing"
        }
    }

    pub fn of(world: &World) -> Self {
        let mut facts = Self::default();
        for repository in outputs(world) {
            let name = repository.path().file_name().unwrap().to_string_lossy().into_owned();
            for step in steps(&repository) {
                let mut words = step.split(' ');
                let target = words.next().unwrap();
                // Without what a store that was lost before it was known is told apart by.
                let target = target.rsplit_once('-').map_or(target, |(name, _)| name).to_owned();
                facts.actions.entry(target).or_default().extend(words.next().map(str::to_owned));
            }
            for (path, text) in repository.contents("main", "") {
                if !path.ends_with("/.vend") {
                    facts.files.insert(format!("{name}/{path}"), without_commits(&text));
                }
            }
        }
        walk(&world.root().join("rendered"), &mut facts.files);
        for (path, text) in world.requests.contents(STATUS, "status/") {
            facts.statuses.insert(path, standing(&text));
        }
        facts
    }
}

/// Phase and reason of a status, without what moves by itself.
fn standing(status: &str) -> String {
    let of = |key: &str| {
        let line = status.lines().map(str::trim_start).find(|line| line.starts_with(key));
        line.unwrap_or_default().to_owned()
    };
    format!("{}, {}", of("phase:"), of("reason:"))
}

fn steps(repository: &Repository) -> Vec<String> {
    let messages = messages(repository, "main");
    let lines = messages.iter().flat_map(|text| text.lines());
    lines.filter_map(|line| line.strip_prefix("Vend-Step: ")).map(str::to_owned).collect()
}

/// The messages of a branch's commits, the oldest first.
fn messages(repository: &Repository, branch: &str) -> Vec<String> {
    let git = git2::Repository::open_bare(repository.path()).unwrap();
    let mut walk = git.revwalk().unwrap();
    if walk.push_ref(&format!("refs/heads/{branch}")).is_err() {
        return Vec::new();
    }
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE).unwrap();
    let message = |id: git2::Oid| {
        let commit = git.find_commit(id).unwrap();
        String::from_utf8_lossy(commit.message_bytes()).into_owned()
    };
    walk.map(|id| message(id.unwrap())).collect()
}

fn without_commits(text: &str) -> String {
    let lines = text.lines().filter(|line| !line.starts_with("commit:"));
    lines.map(|line| format!("{line}\n")).collect()
}

fn walk(folder: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            walk(&path, files);
        } else if !path.ends_with(".vend") {
            files.insert(path.display().to_string(), std::fs::read_to_string(&path).unwrap());
        }
    }
}

/// What must hold whatever happened; a line for each thing that does not.
pub fn violations(world: &World) -> Vec<String> {
    let mut found = Vec::new();
    // I3: what was sent was on disk before.
    let unintended = std::fs::read_to_string(world.root().join("unintended")).unwrap_or_default();
    found.extend(unintended.lines().map(|line| format!("sent without an intent: {line}")));
    // I2: nothing is done twice.
    let mut tokens = BTreeSet::new();
    for repository in outputs(world) {
        let twice = steps(&repository).into_iter().filter(|step| {
            let token = step.rsplit(' ').next().unwrap_or_default().to_owned();
            !tokens.insert(token)
        });
        found.extend(twice.map(|step| format!("done twice: {step}")));
        found.extend(forced(&repository, "main"));
    }
    for (target, actions) in Facts::of(world).actions {
        let mut stands = false;
        for action in &actions {
            match action.as_str() {
                "create" if stands => found.push(format!("{target} was made twice: {actions:?}")),
                "create" => stands = true,
                "delete" => stands = false,
                _ => {}
            }
        }
    }
    // Nothing is ever forced, and what people commit stays.
    found.extend(forced(&world.requests, STATUS));
    let noted = messages(&world.requests, STATUS).iter().any(|text| text.trim() == "change");
    if noted && world.requests.read(STATUS, NOTE).is_none() {
        found.push("a person's file is gone from the status branch".to_owned());
    }
    found
}

/// Moves of a branch to what does not go on from where it was.
fn forced(repository: &Repository, branch: &str) -> Vec<String> {
    let git = git2::Repository::open_bare(repository.path()).unwrap();
    let log = repository.path().join("logs/refs/heads").join(branch);
    let log = std::fs::read_to_string(log).unwrap_or_default();
    let mut found = Vec::new();
    for line in log.lines() {
        let mut words = line.split(' ').map(|id| git2::Oid::from_str(id).unwrap());
        let (old, new) = (words.next().unwrap(), words.next().unwrap());
        if !old.is_zero() && old != new && !git.graph_descendant_of(new, old).unwrap() {
            found.push(format!("{branch} was moved by force from {old} to {new}"));
        }
    }
    found
}

/// The whole folder of a world, to begin from there again.
pub struct Snapshot(tempfile::TempDir);

impl Snapshot {
    pub fn of(world: &World) -> Self {
        let kept = tempfile::Builder::new().prefix("vend-kept-").tempdir().unwrap();
        copy(world.root(), kept.path());
        Self(kept)
    }

    pub fn restore(&self, world: &World) {
        for entry in std::fs::read_dir(world.root()).unwrap().flatten() {
            let path = entry.path();
            let gone = if path.is_dir() {
                std::fs::remove_dir_all(&path)
            } else {
                std::fs::remove_file(&path)
            };
            gone.unwrap();
        }
        copy(self.0.path(), world.root());
    }
}

fn copy(from: &Path, to: &Path) {
    let all = format!("{}/.", from.display());
    let copied = Command::new("cp").args(["-a", &all]).arg(to).status().unwrap();
    assert!(copied.success(), "{from:?} could not be copied");
}
