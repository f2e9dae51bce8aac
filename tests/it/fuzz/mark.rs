//! A folder of outputs in which others have written the file that says whose it is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vend::digest::{of_files, sha256};
use vend::git::Transport;
use vend::model::{Change, Observation, Owner, Progress, Target};
use vend::provider::files::{Files, FilesSettings};
use vend::provider::{Provider as _, ProviderError};

type Tree = BTreeMap<String, Vec<u8>>;

/// What lies around.
const AROUND: [(&str, &str); 6] = [
    ("out/mine/a.yaml", "a: 1\n"),
    ("out/mine/b/c.yaml", "c: 1\n"),
    ("out/mine/theirs.txt", "theirs\n"),
    ("out/other/.vend", "{}"),
    ("out/other/a.yaml", "other: 1\n"),
    ("beside.yaml", "beside: 1\n"),
];

struct Host {
    place: TempDir,
    runtime: Runtime,
    files: Files,
    target: Target,
}

impl Host {
    fn new() -> Self {
        let place = super::place();
        let out = place.path().join("out").display().to_string();
        let transport = Arc::new(Transport::new(place.path().join("home")));
        let state = place.path().join("state");
        let settings = FilesSettings { allow: vec![out.clone()], state, transport, batch: 500 };
        let target = json!({
            "name": "vend-orders-prod-a-queue-1c2f71ec93",
            "key": {"request": "orders/prod/a", "component": "queue"},
            "instance": "i-1",
            "provider": "files",
            "settings": {"directory": out, "path": "mine"},
        });
        Self {
            runtime: tokio::runtime::Builder::new_current_thread().build().unwrap(),
            files: Files::new(settings).unwrap(),
            target: serde_json::from_value(target).unwrap(),
            place,
        }
    }

    fn lay_out(&self, mark: &[u8]) {
        let root = self.place.path();
        let _ = std::fs::remove_dir_all(root.join("out"));
        let files = AROUND.iter().map(|(path, text)| (*path, text.as_bytes()));
        for (path, text) in files.chain([("out/mine/.vend", mark)]) {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
    }

    fn tree(&self) -> Tree {
        let (mut found, mut left) = (Tree::new(), vec![self.place.path().to_owned()]);
        while let Some(folder) = left.pop() {
            for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
                if entry.file_type().unwrap().is_dir() {
                    left.push(entry.path());
                } else {
                    found.insert(self.name(&entry.path()), std::fs::read(entry.path()).unwrap());
                }
            }
        }
        found
    }

    fn name(&self, path: &Path) -> String {
        let name: PathBuf = path.strip_prefix(self.place.path()).unwrap().into();
        name.to_str().unwrap().to_owned()
    }

    fn look(&self) -> Result<Observation, ProviderError> {
        let seen = self.files.observe(std::slice::from_ref(&self.target));
        self.runtime.block_on(seen).remove(0).1
    }

    fn apply(&self, change: &Change) -> Result<Progress, ProviderError> {
        let done = self.files.submit(std::slice::from_ref(change));
        self.runtime.block_on(done).remove(0).1
    }
}

thread_local! {
    static HOST: Host = Host::new();
}

/// The files that a mark names, in whatever words.
fn named(mark: &[u8]) -> BTreeSet<String> {
    let mark: Value = serde_json::from_slice(mark).unwrap_or_default();
    let lists = ["files", "stale"].into_iter().filter_map(|list| mark.get(list)?.as_object());
    lists.flatten().map(|(path, _)| format!("out/mine/{path}")).collect()
}

/// Whatever a mark says, only what it names in its own folder is written or removed, and only where it
/// says that the folder is this very target's.
pub fn mark(data: &[u8]) {
    let texts = BTreeMap::from([("a.yaml".to_owned(), "a: 2\n".to_owned())]);
    let digest =
        of_files(texts.iter().map(|(path, text)| (path.as_str(), sha256(text.as_bytes()))));
    let artifact = json!({"files": texts, "digest": digest});
    HOST.with(|host| {
        for (action, artifact) in [("delete", None), ("update", Some(&artifact))] {
            host.lay_out(data);
            let before = host.tree();
            let live = match host.look() {
                Ok(Observation::Present(live)) => live,
                // More than can be looked at.
                Err(_) => continue,
                Ok(Observation::Absent) => panic!("there are files"),
            };
            let said = format!("{:?} {:?}", live.state, live.drift);
            assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
            if let Owner::Other(owner) = &live.owner {
                assert!(!owner.contains(|c: char| c.is_control()), "{owner:?}");
            }
            let change = json!({
                "token": format!("vend-of-this-{action}"), "target": host.target, "action": action,
                "artifact": artifact, "expect": live.digest,
            });
            let change: Change = serde_json::from_value(change).unwrap();
            let done = host.apply(&change);
            let after = host.tree();
            if live.owner != Owner::Ours {
                assert!(done.is_err(), "{done:?}");
                assert_eq!(after, before);
                continue;
            }
            let mut ours = named(data);
            ours.extend(
                ["out/mine/.vend", "out/mine/.vend.tmp", "out/mine/a.yaml"].map(Into::into),
            );
            for (path, text) in before.iter().filter(|(path, _)| !ours.contains(*path)) {
                assert_eq!(after.get(path), Some(text), "{path}: {done:?}");
            }
            let new =
                after.keys().find(|path| !before.contains_key(*path) && !ours.contains(*path));
            assert_eq!(new, None, "{done:?}");
            if !matches!(done, Ok(Progress::Succeeded { .. })) {
                continue;
            }
            if action == "delete" {
                assert!(!after.contains_key("out/mine/.vend"));
                continue;
            }
            // Again: nothing to do.
            match host.look() {
                Ok(Observation::Present(live)) => {
                    assert_eq!((live.owner, live.digest), (Owner::Ours, Some(digest)));
                }
                other => panic!("{other:?}"),
            }
            assert!(matches!(host.apply(&change), Ok(Progress::Succeeded { .. })));
            assert_eq!(host.tree(), after);
        }
    });
}
