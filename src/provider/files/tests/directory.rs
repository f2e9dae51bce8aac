//! Stories of plain folders.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::*;
use super::{artifact, provider};
use crate::model::{Action, Owner};
use crate::provider::contract::{self, World, change, target};

struct Host {
    temp: tempfile::TempDir,
    files: Files,
}

impl Host {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        std::fs::create_dir(temp.path().join("out")).unwrap();
        let allow = vec![temp.path().join("out").display().to_string()];
        let files = provider(temp.path(), allow);
        Self { temp, files }
    }

    fn root(&self) -> PathBuf {
        self.temp.path().join("out")
    }

    fn folder(&self, target: &Target) -> PathBuf {
        PathBuf::from(self.files.known(target, &artifact(1))["path"].as_str().unwrap())
    }

    fn target_at(&self, name: &str, path: &str) -> Target {
        let mut target = target(self, "i-1", name);
        target.settings.insert("path".into(), path.into());
        target
    }

    async fn one(&self, change: &Change) -> Result<Progress, ProviderError> {
        self.files.submit(std::slice::from_ref(change)).await.remove(0).1
    }

    async fn seen(&self, target: &Target) -> Result<Observation, ProviderError> {
        self.files.observe(std::slice::from_ref(target)).await.remove(0).1
    }
}

impl World for Host {
    fn provider(&self) -> &dyn Provider {
        &self.files
    }
    fn settings(&self) -> Map {
        Map::from([("directory".into(), json!(self.root().display().to_string()))])
    }
    fn artifact(&self, n: u8) -> Artifact {
        artifact(n)
    }
    fn meddle(&self, target: &Target) {
        let folder = self.folder(target);
        std::fs::write(folder.join("app.yaml"), "hand: edited\n").unwrap();
        std::fs::remove_file(folder.join("deep/er/same.yaml")).unwrap();
        std::fs::write(folder.join("deep/stray.txt"), "mine\n").unwrap();
    }
}

/// Every file below, with its text; links as they are.
fn tree(root: &Path) -> Vec<String> {
    fn walk(root: &Path, at: &Path, out: &mut Vec<String>) {
        for entry in std::fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().display().to_string();
            let meta = path.symlink_metadata().unwrap();
            if meta.is_dir() {
                walk(root, &path, out);
            } else if meta.is_symlink() {
                out.push(format!("{name} -> {}", path.read_link().unwrap().display()));
            } else {
                out.push(format!("{name}: {}", std::fs::read_to_string(&path).unwrap().trim()));
            }
        }
    }
    let mut out = Vec::new();
    walk(root, root, &mut out);
    out.sort();
    out
}

fn without_markers(root: &Path) -> Vec<String> {
    tree(root).into_iter().filter(|line| !line.contains(".vend")).collect()
}

#[tokio::test]
async fn a_directory_keeps_the_contract() {
    contract::keeps(&Host::new()).await;
}

#[tokio::test]
async fn deleting_leaves_nothing_behind() {
    let host = Host::new();
    let target = target(&host, "i-1", "events");
    host.one(&change(&target, "t1", Action::Create, Some(artifact(1)), None)).await.unwrap();
    assert_eq!(tree(&host.root()).len(), 4);
    let delete = change(&target, "t2", Action::Delete, None, artifact(1).digest);
    host.one(&delete).await.unwrap();
    assert_eq!(std::fs::read_dir(host.root()).unwrap().count(), 0, "empty folders go too");
    assert!(host.root().exists());
}

#[tokio::test]
async fn what_people_put_there_survives_all_but_a_restore() {
    let host = Host::new();
    let target = target(&host, "i-1", "events");
    let folder = host.folder(&target);
    host.one(&change(&target, "t1", Action::Create, Some(artifact(1)), None)).await.unwrap();
    std::fs::write(folder.join("notes.txt"), "mine").unwrap();
    let update = change(&target, "t2", Action::Update, Some(artifact(2)), artifact(1).digest);
    host.one(&update).await.unwrap();
    let Ok(Observation::Present(live)) = host.seen(&target).await else { panic!() };
    let drift: Vec<_> = live.drift.iter().map(|d| format!("{} {}", d.how, d.what)).collect();
    assert_eq!(drift, ["added notes.txt"]);
    host.one(&change(&target, "t3", Action::Delete, None, artifact(2).digest)).await.unwrap();
    assert_eq!(without_markers(&host.root()), ["prod/orders/events/main/notes.txt: mine"]);
    let Ok(Observation::Present(live)) = host.seen(&target).await else { panic!() };
    assert_eq!(live.owner, Owner::Nobody);
    let create = change(&target, "t4", Action::Create, Some(artifact(1)), None);
    assert!(matches!(host.one(&create).await, Err(ProviderError::Stale(_))));
}

#[tokio::test]
async fn a_file_becomes_a_folder_and_a_folder_a_file() {
    let host = Host::new();
    let target = target(&host, "i-1", "events");
    let folder = host.folder(&target);
    host.one(&change(&target, "t1", Action::Create, Some(artifact(1)), None)).await.unwrap();
    let update = change(&target, "t2", Action::Update, Some(artifact(3)), artifact(1).digest);
    host.one(&update).await.unwrap();
    assert_eq!(
        without_markers(&folder),
        ["app.yaml/x: x", "deep/er/same.yaml: same: true", "only: file"]
    );
}

#[tokio::test]
async fn overlapping_folders_are_refused() {
    let host = Host::new();
    let put =
        |target: &Target, token| change(target, token, Action::Create, Some(artifact(1)), None);
    let middle = host.target_at("middle", "a/b");
    host.one(&put(&middle, "t1")).await.unwrap();
    for path in ["a/b/c", "a/b/c/d", "a"] {
        let other = host.target_at("other", path);
        let answer = host.one(&put(&other, "t1")).await;
        let Err(ProviderError::Refused(why)) = answer else { panic!("{path}: {answer:?}") };
        assert!(why.contains("that of"), "{why}");
    }
    // Named by another folder, it is the same place.
    let mut other = host.target_at("other", "x/y");
    other.settings.insert("directory".into(), json!(host.root().join("a/b").display().to_string()));
    assert!(matches!(host.one(&put(&other, "t1")).await, Err(ProviderError::Refused(_))));
    host.one(&put(&host.target_at("beside", "a/bb"), "t1")).await.unwrap();
}

#[tokio::test]
async fn hostile_places_and_paths_are_refused() {
    let host = Host::new();
    let root = host.root().display().to_string();
    let refused = |settings: serde_json::Value| {
        let mut target = target(&host, "i-1", "hostile");
        target.settings = serde_json::from_value(settings).unwrap();
        let host = &host;
        async move {
            let create = change(&target, "t1", Action::Create, Some(artifact(1)), None);
            match (host.one(&create).await, host.seen(&target).await) {
                (Err(ProviderError::Refused(why)), Err(ProviderError::Refused(_))) => why,
                other => panic!("{other:?}"),
            }
        }
    };
    let why = refused(json!({"directory": "/etc", "path": "cron.d"})).await;
    insta::assert_snapshot!(why, @"`/etc` lies under no entry of `providers.files.allow`");
    refused(json!({"directory": format!("{root}/../x"), "path": "a"})).await;
    refused(json!({"directory": format!("{root}er"), "path": "a"})).await;
    refused(json!({"directory": root, "path": "../x"})).await;
    refused(json!({"directory": root, "path": "/x"})).await;
    refused(json!({"directory": root, "path": "a/.git/hooks"})).await;
    refused(json!({"repository": "https://example.com/o/r", "path": "a", "branch": "main"})).await;

    let target = target(&host, "i-1", "events");
    for path in ["../x", "/etc/passwd", ".vend", "a/.vend", "a//b", "x\0y", "-rf", ""] {
        let mut artifact = artifact(1);
        artifact.files.insert(path.into(), "x".into());
        let answer = host.one(&change(&target, "t1", Action::Create, Some(artifact), None)).await;
        assert!(matches!(answer, Err(ProviderError::Refused(_))), "{path:?}: {answer:?}");
    }
    assert_eq!(tree(&host.root()), [""; 0]);
}

#[tokio::test]
async fn planted_links_are_never_followed() {
    let host = Host::new();
    let outside = host.temp.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::fs::write(outside.join("app.yaml"), "theirs").unwrap();
    let target = target(&host, "i-1", "events");
    let folder = host.folder(&target);
    let create = change(&target, "t1", Action::Create, Some(artifact(1)), None);

    // Above the target's folder, and in its place.
    for at in [host.root().join("prod"), folder.clone()] {
        std::fs::create_dir_all(at.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&outside, &at).unwrap();
        assert!(matches!(host.one(&create).await, Err(ProviderError::Refused(_))));
        assert!(matches!(host.seen(&target).await, Err(ProviderError::Refused(_))));
        std::fs::remove_file(&at).unwrap();
    }

    // Inside it: for a folder, for a file and for the marker.
    host.one(&create).await.unwrap();
    std::fs::remove_dir_all(folder.join("deep")).unwrap();
    std::os::unix::fs::symlink(&outside, folder.join("deep")).unwrap();
    std::fs::remove_file(folder.join("app.yaml")).unwrap();
    std::os::unix::fs::symlink(outside.join("app.yaml"), folder.join("app.yaml")).unwrap();
    let Ok(Observation::Present(live)) = host.seen(&target).await else { panic!() };
    let drift: Vec<_> = live.drift.iter().map(|d| format!("{} {}", d.how, d.what)).collect();
    assert_eq!(drift, ["changed app.yaml", "removed deep/er/same.yaml", "added deep"]);
    let update = change(&target, "t2", Action::Update, Some(artifact(2)), artifact(1).digest);
    assert!(matches!(host.one(&update).await, Err(ProviderError::Refused(_))));
    let restore = change(&target, "t3", Action::Restore, Some(artifact(1)), artifact(1).digest);
    host.one(&restore).await.unwrap();
    let Ok(Observation::Present(live)) = host.seen(&target).await else { panic!() };
    assert_eq!(live.drift, []);
    std::fs::rename(folder.join(".vend"), outside.join("marker")).unwrap();
    std::os::unix::fs::symlink(outside.join("marker"), folder.join(".vend")).unwrap();
    let delete = change(&target, "t4", Action::Delete, None, artifact(1).digest);
    assert!(matches!(host.one(&delete).await, Err(ProviderError::Stale(_))));
    assert_eq!(std::fs::read_to_string(outside.join("app.yaml")).unwrap(), "theirs");
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 2);
}

#[tokio::test]
async fn executables_pipes_and_strange_names_are_drift() {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new();
    let target = target(&host, "i-1", "events");
    let folder = host.folder(&target);
    host.one(&change(&target, "t1", Action::Create, Some(artifact(1)), None)).await.unwrap();
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.join("app.yaml"), mode).unwrap();
    let file = std::fs::File::open(&folder).unwrap();
    rustix::fs::mkfifoat(&file, "pipe", rustix::fs::Mode::from_raw_mode(0o600)).unwrap();
    let name = std::ffi::OsStr::from_bytes(b"bad\xff\x1b[2J");
    std::fs::write(folder.join(name), "x").unwrap();
    let Ok(Observation::Present(live)) = host.seen(&target).await else { panic!() };
    let drift: Vec<_> = live.drift.iter().map(|d| format!("{} {}", d.how, d.what)).collect();
    assert_eq!(drift, ["changed app.yaml", "added bad\u{fffd}\\u{1b}[2J", "added pipe"]);
}

#[tokio::test]
async fn a_missing_root_is_no_empty_root() {
    let host = Host::new();
    let target = target(&host, "i-1", "events");
    std::fs::remove_dir(host.root()).unwrap();
    assert!(matches!(host.seen(&target).await, Err(ProviderError::Unavailable { .. })));
}

#[tokio::test]
async fn a_repository_is_not_written_into_as_a_folder() {
    let host = Host::new();
    git2::Repository::init_bare(host.root().join("repo.git")).unwrap();
    let target = host.target_at("events", "repo.git/refs/heads/x");
    let create = change(&target, "t1", Action::Create, Some(artifact(1)), None);
    assert!(matches!(host.one(&create).await, Err(ProviderError::Refused(_))));
}

/// Stopped before each effect in turn, and started again with the same token.
#[test]
fn a_crash_anywhere_is_finished_by_the_same_change() {
    use super::super::directory::{Place, look, submit};
    use super::super::disk::DiskError;
    use std::cell::Cell;

    let host = Host::new();
    let allow = Allow::parse(&[host.root().display().to_string()]).unwrap();
    let target = target(&host, "i-1", "events");
    let place = Place::new(&allow, &host.root(), target.settings["path"].as_str().unwrap());
    let go = || Ok(());
    let create = change(&target, "t1", Action::Create, Some(artifact(1)), None);
    let update = change(&target, "t2", Action::Update, Some(artifact(3)), artifact(1).digest);
    let restore = change(&target, "t3", Action::Restore, Some(artifact(3)), artifact(3).digest);
    let delete = change(&target, "t4", Action::Delete, None, artifact(3).digest);
    let spoil = || std::fs::write(host.folder(&target).join("stray"), "x").unwrap();
    let mut stops = 0;
    for n in 0.. {
        let mut stopped = false;
        for step in [&create, &update, &restore, &delete] {
            if step.token == restore.token {
                spoil();
            }
            let left = Cell::new(n);
            let gate = || {
                if left.get() == 0 {
                    return Err(DiskError::Blocked("crash".into()));
                }
                left.set(left.get() - 1);
                Ok(())
            };
            let before = look(&place, &target).unwrap();
            if let Err(error) = submit(&place, step, &gate) {
                stopped = true;
                stops += 1;
                assert!(matches!(error, ProviderError::Unknown { .. }), "{error:?}");
                let there = look(&place, &target).unwrap();
                let whose = match &there.mark {
                    Mark::Vacant => "nobody",
                    Mark::Ours(marker) if marker.token == step.token => "this change",
                    Mark::Ours(_) if there == before => "the one before",
                    Mark::Ours(_) | Mark::Nobody | Mark::Other(_) => panic!("{n}: {there:?}"),
                };
                if whose == "this change" {
                    let place = Where::read(&target.settings).unwrap();
                    let seen = there.observation(&place, None);
                    let Observation::Present(live) = seen else { panic!() };
                    assert!(!live.drift.is_empty(), "an unfinished change shows");
                }
                submit(&place, step, &go).unwrap();
            }
            submit(&place, step, &go).unwrap();
            let expected = match step.action {
                Action::Create => Some(artifact(1)),
                Action::Delete => None,
                _ => Some(artifact(3)),
            };
            let found = look(&place, &target).unwrap();
            match (expected, &found.mark) {
                (None, Mark::Vacant) => {}
                (Some(artifact), Mark::Ours(marker)) => {
                    assert_eq!(Some(marker.digest), artifact.digest);
                    assert_eq!(marker.state, State::Written);
                    assert_eq!(found.found.len(), artifact.files.len());
                }
                other => panic!("{other:?}"),
            }
            assert!(!host.folder(&target).join(".vend.tmp").exists());
        }
        if !stopped {
            break;
        }
    }
    assert!(stops > 30, "{stops}");
}
