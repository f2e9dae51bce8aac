//! Trees of any bytes, as whoever pushes may have made them by hand.

use std::collections::BTreeMap;

use git2::{ObjectType, Oid, Repository};
use tempfile::TempDir;
use vend::git::{Entry, GitError, Kind, Mirror};
use vend::model::ObjectId;

/// A repository with a tree in it that others are compared with.
struct Forest {
    place: TempDir,
    repository: Repository,
    mirror: Mirror,
    known: Oid,
}

impl Forest {
    fn new() -> Self {
        let place = super::place();
        let repository = Repository::init_bare(place.path()).unwrap();
        let blob = repository.blob(b"a: 1\n").unwrap();
        let build = |entries: &[(&str, Oid, i32)]| {
            let mut builder = repository.treebuilder(None).unwrap();
            for (name, id, mode) in entries {
                builder.insert(name, *id, *mode).unwrap();
            }
            builder.write().unwrap()
        };
        let folder = build(&[("a.yaml", blob, 0o100_644), ("b.yaml", blob, 0o100_755)]);
        let known = build(&[
            ("a", folder, 0o040_000),
            ("a.yaml", blob, 0o100_644),
            ("link", blob, 0o120_000),
            ("z", folder, 0o040_000),
        ]);
        let mirror = Mirror::open_local(place.path()).unwrap();
        Self { place, repository, mirror, known }
    }
}

thread_local! {
    static FOREST: Forest = Forest::new();
}

fn ours(oid: Oid) -> ObjectId {
    ObjectId(oid.as_bytes().try_into().unwrap())
}

/// All of a tree's names stay inside of it and can be shown, and what differs between two trees makes one
/// list of entries out of the other.
pub fn tree(data: &[u8]) {
    FOREST.with(|forest| {
        let oid = forest.repository.odb().unwrap().write(ObjectType::Tree, data).unwrap();
        hold(&forest.mirror, ours(forest.known), ours(oid));
        if oid != forest.known {
            let name = oid.to_string();
            let object = forest.place.path().join("objects").join(&name[..2]).join(&name[2..]);
            // It may be one of those that are there anyway.
            if object.exists() && forest.repository.find_tree(oid).is_ok_and(|t| t.len() != 2) {
                std::fs::remove_file(object).unwrap();
            }
        }
    });
}

fn hold(mirror: &Mirror, known: ObjectId, tree: ObjectId) {
    let found = match mirror.entries(tree, 1_000) {
        Ok(found) => found,
        // It is no tree, names what is not here, or has too many.
        Err(GitError::Corrupt { .. } | GitError::Missing { .. } | GitError::TooMany { .. }) => {
            return;
        }
        Err(other) => panic!("{other}"),
    };
    assert!(found.is_sorted_by(|a, b| a.path <= b.path), "{found:?}");
    for entry in &found {
        assert!(!entry.path.contains(|c: char| c.is_control()), "{entry:?}");
        if !matches!(entry.kind, Kind::Unsafe(_)) {
            let is_odd =
                |part: &str| ["", ".", ".."].contains(&part) || part.eq_ignore_ascii_case(".git");
            assert!(!entry.path.split('/').any(is_odd), "{entry:?}");
        }
    }
    let Some(wanted) = unique(&found) else { return };
    let all = mirror.diff(None, Some(tree)).unwrap();
    let all: Vec<_> = all.into_iter().map(|d| (d.path, d.new)).collect();
    assert_eq!(
        all,
        found.iter().map(|e| (e.path.clone(), Some((e.kind, e.id)))).collect::<Vec<_>>()
    );
    for (from, to) in [(known, tree), (tree, known)] {
        let mut have = unique(&mirror.entries(from, 1_000).unwrap()).unwrap();
        let deltas = mirror.diff(Some(from), Some(to)).unwrap();
        for delta in deltas.iter().filter(|delta| delta.new.is_none()) {
            have.remove(&delta.path);
        }
        for delta in deltas {
            if let Some(new) = delta.new {
                have.insert(delta.path, new);
            }
        }
        let to = if to == tree {
            wanted.clone()
        } else {
            unique(&mirror.entries(to, 1_000).unwrap()).unwrap()
        };
        assert_eq!(have, to);
    }
}

/// By path; `None` where a name stands twice, which Git refuses and whoever wrote the tree did not.
fn unique(found: &[Entry]) -> Option<BTreeMap<String, (Kind, ObjectId)>> {
    let by: BTreeMap<_, _> = found.iter().map(|e| (e.path.clone(), (e.kind, e.id))).collect();
    (by.len() == found.len()).then_some(by)
}
