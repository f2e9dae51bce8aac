//! Stories of output repositories, on real ones.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use git2::{Oid, Repository, Signature};
use serde_json::json;

use super::super::*;
use super::{artifact, provider};
use crate::model::{Action, Owner};
use crate::provider::contract::{self, World, change, target};

/// The real one, with its path.
fn git() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let mut found = std::env::split_paths(&path).map(|folder| folder.join("git"));
    found.find(|path| path.is_file()).unwrap()
}

struct Server {
    temp: tempfile::TempDir,
    files: Files,
}

impl Server {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let repos = temp.path().join("repos");
        std::fs::create_dir(&repos).unwrap();
        Repository::init_bare(repos.join("out.git")).unwrap();
        let files = provider(temp.path(), vec![repos.display().to_string()]);
        Self { temp, files }
    }

    fn path(&self) -> PathBuf {
        self.temp.path().join("repos/out.git")
    }

    fn repo(&self) -> Repository {
        Repository::open_bare(self.path()).unwrap()
    }

    /// Another process: nothing remembered but what lies on the disk.
    fn restarted(&self) -> Files {
        provider(self.temp.path(), vec![self.temp.path().join("repos").display().to_string()])
    }

    /// Another process, whose `git push` is this script.
    fn through(&self, push: &str) -> Files {
        let shim = self.temp.path().join("git");
        let real = git();
        let text = format!(
            "#!/bin/sh\nfor arg; do\n  if [ \"$arg\" = push ]; then {push}; fi\ndone\n\
             exec {} \"$@\"\n",
            real.display()
        );
        std::fs::write(&shim, text).unwrap();
        std::fs::set_permissions(&shim, std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut transport = Transport::new(self.temp.path().join("home-2"));
        transport.git = shim;
        Files::new(FilesSettings {
            allow: vec![self.temp.path().join("repos").display().to_string()],
            state: self.temp.path().join("state-2"),
            transport: Arc::new(transport),
            batch: 500,
        })
        .unwrap()
    }

    fn tip(&self) -> Option<Oid> {
        self.repo().refname_to_id("refs/heads/main").ok()
    }

    /// `(id, message)` from the tip back.
    fn log(&self) -> Vec<(Oid, String)> {
        let repo = self.repo();
        let Some(tip) = self.tip() else { return Vec::new() };
        let mut walk = repo.revwalk().unwrap();
        walk.push(tip).unwrap();
        walk.map(|id| id.unwrap())
            .map(|id| (id, repo.find_commit(id).unwrap().message().unwrap().to_owned()))
            .collect()
    }

    fn names(&self) -> Vec<String> {
        let repo = self.repo();
        let tree = repo.find_commit(self.tip().unwrap()).unwrap().tree().unwrap();
        let mut names = Vec::new();
        tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            if entry.kind() == Some(git2::ObjectType::Blob) {
                names.push(format!("{folder}{}", entry.name().unwrap()));
            }
            git2::TreeWalkResult::Ok
        })
        .unwrap();
        names
    }

    /// Somebody's commit: `(path, mode, content)`, `None` removes.
    fn push(&self, edits: &[(&str, i32, Option<&str>)]) -> Oid {
        let repo = self.repo();
        let parent = self.tip().map(|tip| repo.find_commit(tip).unwrap());
        let base = parent.as_ref().map(|p| p.tree().unwrap());
        let base = base.unwrap_or_else(|| {
            repo.find_tree(repo.treebuilder(None).unwrap().write().unwrap()).unwrap()
        });
        let mut update = git2::build::TreeUpdateBuilder::new();
        for (path, mode, content) in edits {
            match content {
                Some(text) => {
                    let mode = match mode {
                        0o755 => git2::FileMode::BlobExecutable,
                        0o120_000 => git2::FileMode::Link,
                        _ => git2::FileMode::Blob,
                    };
                    update.upsert(*path, repo.blob(text.as_bytes()).unwrap(), mode);
                }
                None => drop(update.remove(*path)),
            }
        }
        let tree = update.create_updated(&repo, &base).unwrap();
        let tree = repo.find_tree(tree).unwrap();
        let who = Signature::now("somebody", "s@example.com").unwrap();
        let parents: Vec<_> = parent.iter().collect();
        repo.commit(Some("refs/heads/main"), &who, &who, "by hand", &tree, &parents).unwrap()
    }

    fn hook(&self, name: &str, script: &str) {
        let path = self.path().join("hooks").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn target_at(&self, name: &str, path: &str) -> Target {
        let mut target = target(self, "i-1", name);
        target.settings.insert("path".into(), path.into());
        target
    }

    fn create(&self, name: &str) -> Change {
        change(&target(self, "i-1", name), "t1", Action::Create, Some(artifact(1)), None)
    }

    async fn one(&self, change: &Change) -> Result<Progress, ProviderError> {
        self.files.submit(std::slice::from_ref(change)).await.remove(0).1
    }

    async fn seen(&self, target: &Target) -> Result<Observation, ProviderError> {
        self.files.observe(std::slice::from_ref(target)).await.remove(0).1
    }

    async fn drift(&self, target: &Target) -> Vec<String> {
        match self.seen(target).await.unwrap() {
            Observation::Present(live) => {
                assert_eq!(live.owner, Owner::Ours);
                live.drift.iter().map(|d| format!("{} {}", d.how, d.what)).collect()
            }
            Observation::Absent => panic!("absent"),
        }
    }
}

impl World for Server {
    fn provider(&self) -> &dyn Provider {
        &self.files
    }
    fn settings(&self) -> Map {
        Map::from([("repository".into(), json!(self.path().display().to_string()))])
    }
    fn artifact(&self, n: u8) -> Artifact {
        artifact(n)
    }
    fn meddle(&self, target: &Target) {
        let path = target.settings["path"].as_str().unwrap();
        let (app, same, stray) = (
            format!("{path}/app.yaml"),
            format!("{path}/deep/er/same.yaml"),
            format!("{path}/deep/stray.txt"),
        );
        self.push(&[
            (&app, 0o644, Some("hand: edited\n")),
            (&same, 0, None),
            (&stray, 0o644, Some("mine\n")),
        ]);
    }
}

fn outputs(progress: &Result<Progress, ProviderError>) -> &Map {
    match progress {
        Ok(Progress::Succeeded { outputs, .. }) => outputs,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_repository_keeps_the_contract() {
    contract::keeps(&Server::new()).await;
}

#[tokio::test]
async fn the_first_commit_makes_the_branch_and_names_each_step() {
    let server = Server::new();
    let (a, b) = (server.create("a"), server.create("b"));
    assert_eq!(server.seen(&a.target).await.unwrap(), Observation::Absent);
    let done = server.files.submit(&[a.clone(), b]).await;
    let log = server.log();
    assert_eq!(log.len(), 1);
    insta::assert_snapshot!(log[0].1.replace(a.target.instance.as_str(), "").trim_end().lines().next().unwrap(), @"vend: create 2");
    let step = format!("Vend-Step: {} create {}", a.target.name, a.token);
    assert!(log[0].1.lines().any(|line| line == step), "{}", log[0].1);
    assert_eq!(outputs(&done[0].1)["commit"], log[0].0.to_string());
    assert_eq!(outputs(&done[0].1)["path"], "prod/orders/a/main");
    assert_eq!(outputs(&done[0].1)["digest"], artifact(1).digest.unwrap().to_string());

    // Others go on; this one's commit stays what it was, also for who starts anew.
    server.push(&[("README.md", 0o644, Some("hello"))]);
    server.one(&server.create("c")).await.unwrap();
    let again = server.restarted().submit(std::slice::from_ref(&a)).await.remove(0).1;
    assert_eq!(outputs(&again), outputs(&done[0].1));
    // A look does not search history for it.
    let mut seen = server.restarted().observe(std::slice::from_ref(&a.target)).await;
    let Ok(Observation::Present(live)) = seen.remove(0).1 else { panic!() };
    assert_eq!(live.outputs["digest"], outputs(&done[0].1)["digest"]);
}

#[tokio::test]
async fn after_a_crash_the_same_token_commits_nothing() {
    let server = Server::new();
    let create = server.create("a");
    let first = server.one(&create).await;
    let tip = server.tip();
    let again = server.restarted().submit(std::slice::from_ref(&create)).await.remove(0).1;
    assert_eq!(outputs(&again), outputs(&first));
    assert_eq!(server.tip(), tip);
}

#[tokio::test]
async fn five_hundred_targets_are_one_commit() {
    let server = Server::new();
    let changes: Vec<_> = (0..500).map(|n| server.create(&format!("r{n}"))).collect();
    let done = server.files.submit(&changes).await;
    assert!(done.iter().all(|(_, answer)| answer.is_ok()));
    assert_eq!(server.log().len(), 1);
    assert_eq!(server.names().len(), 2000);
    let targets: Vec<_> = changes.iter().map(|c| c.target.clone()).collect();
    let seen = server.files.observe(&targets).await;
    assert!(seen.iter().zip(&targets).all(|((about, seen), target)| about == target
        && matches!(seen, Ok(Observation::Present(live)) if live.drift.is_empty())));
    let deletes: Vec<_> =
        targets.iter().map(|t| change(t, "t2", Action::Delete, None, artifact(1).digest)).collect();
    server.files.submit(&deletes).await;
    assert_eq!((server.log().len(), server.names().len()), (2, 0));
}

#[tokio::test]
async fn a_lost_race_is_run_again_on_the_new_tip() {
    let server = Server::new();
    let first = server.create("first");
    server.one(&first).await.unwrap();
    // The other one's commit lies ready and gets in between the fetch and the push, twice.
    let theirs = server.push(&[("theirs.txt", 0o644, Some("1"))]);
    let again = server.push(&[("theirs.txt", 0o644, Some("2"))]);
    let ours = server.repo().find_commit(theirs).unwrap().parent_id(0).unwrap();
    server.repo().reference("refs/heads/main", ours, true, "").unwrap();
    server.hook(
        "pre-receive",
        &format!(
            "unset GIT_QUARANTINE_PATH\n\
             case $(git rev-parse refs/heads/main) in\n\
             {ours}) git update-ref refs/heads/main {theirs};;\n\
             {theirs}) git update-ref refs/heads/main {again};;\n\
             esac"
        ),
    );
    let second = server.create("second");
    let done = server.one(&second).await;
    assert_eq!(outputs(&done)["commit"], server.tip().unwrap().to_string());
    let ids: Vec<_> = server.log().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids[1..3], [again, theirs], "their commits are intact");
    assert!(server.names().contains(&"theirs.txt".to_owned()));
    assert!(server.drift(&first.target).await.is_empty());
    let steps = server.log().iter().filter(|(_, m)| m.contains(second.token.as_str())).count();
    assert_eq!(steps, 1);
}

#[tokio::test]
async fn two_writers_both_get_through() {
    let server = Server::new();
    let other = Files::new(FilesSettings {
        allow: vec![server.temp.path().join("repos").display().to_string()],
        state: server.temp.path().join("other-state"),
        transport: Arc::new(Transport::new(server.temp.path().join("other-home"))),
        batch: 500,
    })
    .unwrap();
    let ours: Vec<_> = (0..5).map(|n| server.create(&format!("a{n}"))).collect();
    let theirs: Vec<_> = (0..5).map(|n| server.create(&format!("b{n}"))).collect();
    let write = |files: Files, changes: Vec<Change>| async move {
        for change in changes {
            files.submit(&[change]).await.remove(0).1.unwrap();
        }
    };
    tokio::join!(write(server.files.clone(), ours), write(other, theirs));
    assert_eq!(server.log().len(), 10);
    assert_eq!(server.names().len(), 40);
}

#[tokio::test]
async fn a_hook_that_denies_one_denies_only_that_one() {
    let server = Server::new();
    server.hook(
        "update",
        r#"git ls-tree -r --name-only "$3" | grep -q /bad/ && { echo "bad is not allowed" >&2; exit 1; }; exit 0"#,
    );
    let changes: Vec<_> =
        ["a", "b", "bad", "c", "d"].iter().map(|name| server.create(name)).collect();
    let done = server.files.submit(&changes).await;
    for (n, (_, answer)) in done.iter().enumerate() {
        match answer {
            Ok(_) => assert_ne!(n, 2),
            Err(ProviderError::Refused(why)) => {
                assert_eq!(n, 2, "{why}");
                assert!(why.contains("bad is not allowed"), "{why}");
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    assert_eq!(server.names().iter().filter(|name| name.ends_with(".vend")).count(), 4);
}

#[tokio::test]
async fn a_hook_that_denies_all_is_a_refusal() {
    let server = Server::new();
    let tries = server.temp.path().join("tries");
    let script = format!("echo x >>{}; echo 'branch is closed' >&2; exit 1", tries.display());
    server.hook("pre-receive", &script);
    let changes: Vec<_> = (0..20).map(|n| server.create(&format!("r{n}"))).collect();
    let done = server.files.submit(&changes).await;
    let words: std::collections::BTreeSet<_> = done.iter().map(|(_, a)| refusal(a)).collect();
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(words.first().unwrap().contains("branch is closed"), "{words:?}");
    assert_eq!(std::fs::read_to_string(tries).unwrap().lines().count(), 3);
    assert_eq!(server.tip(), None);
}

fn refusal(answer: &Result<Progress, ProviderError>) -> &str {
    match answer {
        Err(ProviderError::Refused(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_branch_that_is_closed_to_us_is_pushed_to_once() {
    let server = Server::new();
    server.one(&server.create("first")).await.unwrap();
    let tries = server.temp.path().join("tries");
    for (said, to) in [
        ("remote: Permission to o/r.git denied to vend.", "&2"),
        ("!\tx:refs/heads/main\t[remote rejected] (protected branch hook declined)", "&1"),
    ] {
        let files = server
            .through(&format!("echo x >>{}; printf '{said}\n' >{to}; exit 1", tries.display()));
        let changes: Vec<_> = (0..20).map(|n| server.create(&format!("r{n}"))).collect();
        let done = files.submit(&changes).await;
        assert!(done.iter().all(|(_, answer)| refusal(answer).contains("denied")), "{done:?}");
        assert_eq!(std::fs::read_to_string(&tries).unwrap().lines().count(), 1);
        std::fs::remove_file(&tries).unwrap();
    }
}

#[tokio::test]
async fn a_hook_that_names_some_denies_only_those() {
    let server = Server::new();
    let tries = server.temp.path().join("tries");
    let script = format!(
        r#"echo x >>{}; bad=$(git ls-tree -r --name-only "$3" | grep bad); [ -z "$bad" ] || {{ echo "not allowed: $bad" >&2; exit 1; }}"#,
        tries.display()
    );
    server.hook("update", &script);
    let names = ["a", "bad-1", "b", "c", "bad-2", "d"];
    let changes: Vec<_> = names.iter().map(|name| server.create(name)).collect();
    let done = server.files.submit(&changes).await;
    for (name, (_, answer)) in names.iter().zip(&done) {
        assert_eq!(answer.is_err(), name.starts_with("bad"), "{name}: {answer:?}");
    }
    assert!(refusal(&done[1].1).contains("not allowed: "), "{done:?}");
    assert_eq!(std::fs::read_to_string(tries).unwrap().lines().count(), 2);
    assert_eq!(server.log().len(), 1);
}

#[tokio::test]
async fn what_several_bring_upon_themselves_stops_no_others() {
    let server = Server::new();
    server.hook(
        "update",
        r#"git ls-tree -r --name-only "$3" | grep -q bad && { echo "no" >&2; exit 1; }; exit 0"#,
    );
    let names = ["a", "bad-1", "b", "c", "d", "bad-2", "e"];
    let changes: Vec<_> = names.iter().map(|name| server.create(name)).collect();
    let done = server.files.submit(&changes).await;
    for (name, (_, answer)) in names.iter().zip(&done) {
        assert_eq!(answer.is_err(), name.starts_with("bad"), "{name}: {answer:?}");
    }
}

#[tokio::test]
async fn a_push_without_an_answer_is_looked_for() {
    let server = Server::new();
    server.one(&server.create("first")).await.unwrap();
    // The ref moves and the server dies before it says so; or it dies before the ref moves.
    let dies = "echo 'fatal: the remote end hung up unexpectedly' >&2; exit 128";
    let files = server.through(dies);
    let create = server.create("second");
    let submit = async || files.submit(std::slice::from_ref(&create)).await.remove(0).1;
    let lost = submit().await;
    assert!(matches!(lost, Err(ProviderError::Unknown { .. })), "{lost:?}");
    let files = server.through(&format!("{} \"$@\" >/dev/null 2>&1; {dies}", git().display()));
    let submit = async || files.submit(std::slice::from_ref(&create)).await.remove(0).1;
    let found = submit().await;
    assert_eq!(outputs(&found)["commit"], server.tip().unwrap().to_string());
    assert_eq!(server.log().len(), 2);
    submit().await.unwrap();
    assert_eq!(server.log().len(), 2, "again: nothing to do");
}

#[tokio::test]
async fn f06_a_branch_that_was_there_is_missing_not_empty() {
    let server = Server::new();
    let create = server.create("a");
    server.one(&create).await.unwrap();
    let tip = server.tip().unwrap();
    server.repo().find_reference("refs/heads/main").unwrap().delete().unwrap();
    for files in [server.files.clone(), server.restarted()] {
        let seen = files.observe(std::slice::from_ref(&create.target)).await.remove(0).1;
        assert!(matches!(seen, Err(ProviderError::Unavailable { .. })), "{seen:?}");
        let again = files.submit(&[server.create("b")]).await.remove(0).1;
        assert!(matches!(again, Err(ProviderError::Unavailable { .. })), "{again:?}");
    }
    server.repo().reference("refs/heads/main", tip, true, "").unwrap();
    assert!(server.drift(&create.target).await.is_empty(), "back without a restart");
}

#[tokio::test]
async fn f07_a_repository_that_is_gone_is_not_empty() {
    let server = Server::new();
    let create = server.create("a");
    std::fs::rename(server.path(), server.temp.path().join("elsewhere")).unwrap();
    let seen = server.seen(&create.target).await;
    assert!(matches!(seen, Err(ProviderError::Unavailable { .. })), "{seen:?}");
    std::fs::create_dir(server.path()).unwrap();
    let seen = server.seen(&create.target).await;
    assert!(matches!(seen, Err(ProviderError::Unavailable { .. })), "{seen:?}");
    let done = server.one(&create).await;
    assert!(matches!(done, Err(ProviderError::Unavailable { .. })), "{done:?}");
}

#[tokio::test]
async fn links_and_executables_are_drift_and_restored() {
    let server = Server::new();
    let create = server.create("a");
    server.one(&create).await.unwrap();
    let path = |name: &str| format!("prod/orders/a/main/{name}");
    let same = artifact(1).files["app.yaml"].clone();
    server.push(&[
        (&path("app.yaml"), 0o755, Some(&same)),
        (&path("only/in-1.yaml"), 0o120_000, Some("/etc/passwd")),
        (&path("extra"), 0o120_000, Some("../../..")),
    ]);
    assert_eq!(
        server.drift(&create.target).await,
        ["changed app.yaml", "changed only/in-1.yaml", "added extra"]
    );
    let digest = artifact(1).digest;
    let restore = change(&create.target, "t2", Action::Restore, Some(artifact(1)), digest);
    server.one(&restore).await.unwrap();
    assert_eq!(server.drift(&create.target).await, [""; 0]);
}

#[tokio::test]
async fn what_others_keep_in_the_branch_is_left_alone() {
    let server = Server::new();
    server.push(&[
        ("README.md", 0o644, Some("hello")),
        ("prod/orders/a/main/theirs.yaml", 0o644, Some("x")),
        ("prod/orders/b", 0o644, Some("a file where a folder is needed")),
    ]);
    let theirs = server.create("a");
    let Ok(Observation::Present(live)) = server.seen(&theirs.target).await else { panic!() };
    assert_eq!(live.owner, Owner::Nobody);
    assert!(matches!(server.one(&theirs).await, Err(ProviderError::Stale(_))));
    let blocked = server.create("b");
    assert!(matches!(server.seen(&blocked.target).await, Err(ProviderError::Refused(_))));
    assert!(matches!(server.one(&blocked).await, Err(ProviderError::Refused(_))));
    let create = server.create("c");
    server.one(&create).await.unwrap();
    let delete = change(&create.target, "t2", Action::Delete, None, artifact(1).digest);
    server.one(&delete).await.unwrap();
    assert_eq!(server.names(), ["README.md", "prod/orders/a/main/theirs.yaml", "prod/orders/b"]);
}

#[tokio::test]
async fn overlapping_folders_are_refused() {
    let server = Server::new();
    let put = |name: &str, path: &str| {
        let target = server.target_at(name, path);
        change(&target, "t1", Action::Create, Some(artifact(1)), None)
    };
    server.one(&put("middle", "a/b")).await.unwrap();
    for path in ["a/b/c", "a/b/c/d", "a"] {
        let answer = server.one(&put("other", path)).await;
        let Err(ProviderError::Refused(why)) = answer else { panic!("{path}: {answer:?}") };
        assert!(why.contains("that of"), "{why}");
    }
    // Within one commit: the first one has it.
    let same =
        [put("x", "x/y"), put("x1", "x/y/z"), put("x2", "x"), put("x3", "x/y"), put("x4", "x/yy")];
    let done: Vec<_> =
        server.files.submit(&same).await.into_iter().map(|(_, a)| a.is_ok()).collect();
    assert_eq!(done, [true, false, false, false, true]);
}

#[tokio::test]
async fn a_file_becomes_a_folder_and_a_folder_a_file() {
    let server = Server::new();
    let create = server.create("a");
    server.one(&create).await.unwrap();
    let digest = artifact(1).digest;
    let update = change(&create.target, "t2", Action::Update, Some(artifact(3)), digest);
    server.one(&update).await.unwrap();
    let at = "prod/orders/a/main";
    let expected =
        [".vend", "app.yaml/x", "deep/er/same.yaml", "only"].map(|n| format!("{at}/{n}"));
    assert_eq!(server.names(), expected);
}

#[tokio::test]
async fn a_repository_written_by_way_of_a_target_is_refused() {
    let server = Server::new();
    let trap = server.temp.path().join("repos/trap.git");
    Repository::init_bare(&trap).unwrap();
    std::fs::write(trap.join(".vend"), "{}").unwrap();
    std::os::unix::fs::symlink(server.temp.path(), server.temp.path().join("repos/out")).unwrap();
    Repository::init_bare(server.temp.path().join("outside.git")).unwrap();
    let create = server.create("a");
    for repository in ["repos/trap.git", "repos/out/outside.git"] {
        let mut create = create.clone();
        let path = server.temp.path().join(repository).display().to_string();
        create.target.settings.insert("repository".into(), json!(path));
        let done = server.one(&create).await;
        assert!(matches!(done, Err(ProviderError::Refused(_))), "{done:?}");
    }
}

#[tokio::test]
async fn one_lane_that_is_down_does_not_stop_another() {
    let server = Server::new();
    let folder = server.temp.path().join("repos/plain");
    std::fs::create_dir(&folder).unwrap();
    let (a, mut down, mut plain) = (server.create("a"), server.create("b"), server.create("c"));
    let gone = server.temp.path().join("repos/gone.git").display().to_string();
    down.target.settings.insert("repository".into(), json!(gone));
    plain.target.settings = BTreeMap::from([
        ("directory".into(), json!(folder.display().to_string())),
        ("path".into(), json!("c")),
    ]);
    let done = server.files.submit(&[down, a, plain]).await;
    assert!(matches!(done[0].1, Err(ProviderError::Unavailable { .. })), "{done:?}");
    assert!(done[1].1.is_ok() && done[2].1.is_ok(), "{done:?}");
}
