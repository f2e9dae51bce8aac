//! A status branch of any names and texts, as whoever pushes to it may have made it.

use std::collections::{BTreeMap, BTreeSet};

use vend::model::{RequestId, Status};
use vend::reconcile::local::Published;
use vend::yaml::{self, Options};

use super::merge::{Files, put, with_branch};

/// Names that Git takes into a tree.
fn is_name(path: &str) -> bool {
    let part =
        |part: &str| !["", ".", ".."].contains(&part) && !part.to_lowercase().starts_with(".git");
    path.len() < 200 && !path.contains(['\0', '\\', ':', '~']) && path.split('/').all(part)
}

fn status(text: &[u8]) -> Option<Status> {
    let node = yaml::read(&"x".into(), text, &Options::rendered()).ok()?.pop()?;
    serde_json::from_value(node.to_json()).ok()
}

/// Lines of `PATH=TEXT`. A status counts at its own path and nowhere else, each other file is named, and
/// what is asked for by name is what is found among all.
pub fn branch(data: &[u8]) {
    let mut files = Files::new();
    for line in data.split(|byte| *byte == b'\n').take(20) {
        let Some(at) = line.iter().position(|byte| *byte == b'=') else { continue };
        let path = String::from_utf8_lossy(&line[..at]);
        if is_name(&path) {
            put(&mut files, &path, Some(&line[at + 1..]));
        }
    }
    with_branch(|branch| {
        let Some(tip) = branch.try_commit(&files) else { return };
        let mut published = Published::read(branch.mirror(), &tip, None).unwrap();
        let below: Vec<&String> = files.keys().filter(|path| path.starts_with("status/")).collect();
        assert_eq!(
            published.statuses.len() + published.unread.len(),
            below.len(),
            "{:?} of {below:?}",
            published.unread
        );
        let at = |id: &RequestId| format!("status/{id}.yaml");
        for (id, found) in &published.statuses {
            assert_eq!(&found.metadata.id, id);
            assert!(files.contains_key(&at(id)), "{id}");
        }
        for path in below {
            let Some(found) = status(&files[path]) else { continue };
            let id = found.metadata.id.clone();
            if *path == at(&id) {
                assert_eq!(published.statuses.get(&id), Some(&found), "{path} is not read");
            }
        }
        let ids: BTreeSet<RequestId> = published.statuses.keys().cloned().collect();
        let some = Published::read(branch.mirror(), &tip, Some(&ids)).unwrap();
        assert_eq!(some.statuses, published.statuses);
        assert_eq!(some.rollouts, published.rollouts);
        published.read_artifacts(branch.mirror(), &tip, &ids).unwrap();
        let records = published.records();
        assert!(records.iter().all(|(id, record)| record.id == *id && ids.contains(id)));
        let told: BTreeMap<_, _> =
            published.statuses.values().map(|s| (&s.metadata.id, s.components.len())).collect();
        assert!(records.iter().all(|(id, record)| told[id] >= record.components.len()));
    });
}
