//! A status branch that others have written to, and what there is to be said: what is ours becomes as it
//! is told, and what is theirs stays.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use git2::build::TreeUpdateBuilder;
use git2::{FileMode, Oid, Repository, Signature, Time};
use tempfile::TempDir;
use vend::git::{Edit, Location, Mirror, Transport, Trust};
use vend::model::Revision;
use vend::reconcile::{is_published, undo_others};

pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// Somebody's mirror of a status branch.
pub(super) struct Branch {
    mirror: Mirror,
    repository: Repository,
    _place: TempDir,
}

impl Branch {
    fn new() -> Self {
        let place = super::place();
        let (remote, folder) = (place.path().join("remote.git"), place.path().join("mirror"));
        Repository::init_bare(&remote).unwrap();
        let transport = Transport {
            allow_local: vec![PathBuf::from(&remote)],
            ..Transport::new(place.path().join("home"))
        };
        let url = remote.to_str().unwrap();
        let location = Location::parse(url, "vend/status", Trust::Operator).unwrap();
        let mirror = Mirror::open(&folder, location, Arc::new(transport)).unwrap();
        let repository = Repository::open_bare(&folder).unwrap();
        Self { mirror, repository, _place: place }
    }

    pub(super) fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// A commit with these files and no others.
    fn commit(&self, files: &Files) -> Revision {
        self.try_commit(files).unwrap()
    }

    /// As [`Branch::commit`]; `None` where Git takes one of the names into no tree.
    pub(super) fn try_commit(&self, files: &Files) -> Option<Revision> {
        let git = &self.repository;
        let empty = git.find_tree(git.treebuilder(None).unwrap().write().unwrap()).unwrap();
        let mut tree = TreeUpdateBuilder::new();
        for (path, text) in files {
            tree.upsert(path, git.blob(text).unwrap(), FileMode::Blob);
        }
        let tree = git.find_tree(tree.create_updated(git, &empty).ok()?).unwrap();
        let by = Signature::new("x", "x@example.com", &Time::new(1_800_000_000, 0)).unwrap();
        Some(Revision::new(git.commit(None, &by, &by, "x", &tree, &[]).unwrap().to_string()))
    }

    fn files(&self, at: &Revision) -> Files {
        let commit = self.repository.find_commit(Oid::from_str(at.as_str()).unwrap()).unwrap();
        let mut files = Files::new();
        let walked = commit.tree().unwrap().walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
            if let Some(blob) = entry.to_object(&self.repository).unwrap().as_blob() {
                let path = format!("{folder}{}", entry.name().unwrap());
                files.insert(path, blob.content().to_owned());
            }
            git2::TreeWalkResult::Ok
        });
        walked.unwrap();
        files
    }
}

thread_local! {
    static BRANCH: Branch = Branch::new();
}

/// One for each thread.
pub(super) fn with_branch(look: impl FnOnce(&Branch)) {
    BRANCH.with(look);
}

/// Writes or removes: a file takes the place of a folder and a folder of a file.
pub(super) fn put(files: &mut Files, path: &str, text: Option<&[u8]>) {
    let below = format!("{path}/");
    files.retain(|other, _| other != path && !other.starts_with(&below));
    if let Some(text) = text {
        files.retain(|other, _| !path.starts_with(&format!("{other}/")));
        files.insert(path.to_owned(), text.to_owned());
    }
}

const FOLDERS: [&str; 8] =
    ["status", "rendered", "catalog", "orders", "dev", "notes", "README.md", "Status"];
const FILES: [&str; 8] = [
    "a.yaml",
    "b.yaml",
    "README.md",
    "instance.yaml",
    "state.json",
    "notes.md",
    "status",
    "rendered",
];

/// A path of those, so that what is written meets.
fn path(bytes: &[u8]) -> String {
    let (last, folders) = bytes.split_last().map_or((0, &[][..]), |(last, rest)| (*last, rest));
    let folders = folders.iter().take(4).map(|byte| FOLDERS[usize::from(byte % 8)]);
    folders.chain([FILES[usize::from(last % 8)]]).collect::<Vec<_>>().join("/")
}

/// Lines of `WHO PATH=TEXT`: what we left there (`k`), what others write (`t`) or remove (`d`), what we have to say
/// (`o`) or take back (`r`).
pub fn merge(data: &[u8]) {
    let (mut known, mut theirs, mut edits) = (Files::new(), Vec::new(), Vec::new());
    for line in data.split(|byte| *byte == b'\n').take(40) {
        let Some((who, rest)) = line.split_first() else { continue };
        let at = rest.iter().position(|byte| *byte == b'=').unwrap_or(rest.len());
        let (path, text) = (path(&rest[..at]), rest.get(at + 1..).unwrap_or_default().to_owned());
        let is_ours = is_published(&path);
        match who {
            b'k' if is_ours => put(&mut known, &path, Some(&text)),
            b't' => theirs.push((path, Some(text))),
            b'd' => theirs.push((path, None)),
            b'o' if is_ours => edits.push(Edit { path, content: Some(text) }),
            b'r' if is_ours => edits.push(Edit { path, content: None }),
            _ => {}
        }
    }
    let mut there = known.clone();
    theirs.iter().for_each(|(path, text)| put(&mut there, path, text.as_deref()));
    with_branch(|branch| {
        let (ours, tip) = (branch.commit(&known), branch.commit(&there));
        let mut all = undo_others(&branch.mirror, &ours, &tip).unwrap();
        all.extend(edits.iter().cloned());
        let now = jiff::Timestamp::UNIX_EPOCH;
        let made = branch.mirror.commit(Some(&tip), &all, "x", now).unwrap();
        let found = branch.files(made.as_ref().unwrap_or(&tip));

        // What is ours is as we left it, and then as it is told.
        let mut told = known.clone();
        edits.iter().for_each(|edit| put(&mut told, &edit.path, edit.content.as_deref()));
        let mut wanted: Files = there.into_iter().filter(|(path, _)| !is_published(path)).collect();
        for (path, text) in &told {
            // Only where both cannot be is theirs in the way.
            put(&mut wanted, path, Some(text));
        }
        assert_eq!(found, wanted);
    });
}
