//! What was seen of a target's folder, and what follows from it: pure, and the same wherever the
//! folder lies.

use std::collections::{BTreeMap, BTreeSet};

use super::marker::{Marker, State};
use super::path::{MARKER, shown};
use super::settings::Where;
use crate::digest::{Digest, of_files, sha256};
use crate::fault::planted;
use crate::model::{
    Action, Artifact, Change, DriftItem, Live, Map, Observation, Owner, Preview, Progress,
    ResourceAction, ResourceChange, Target,
};
use crate::provider::ProviderError;

/// A target's folder, seen whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Look {
    /// Whose it is.
    pub mark: Mark,
    /// What it holds beside its marker, by path within; only when it is ours.
    pub found: BTreeMap<String, Found>,
}

/// Whose a folder is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Mark {
    /// There is no such folder, or it holds no file.
    Vacant,
    /// It holds something, and no marker.
    Nobody,
    /// Its marker names another, in words.
    Other(String),
    /// Its marker names this target.
    Ours(Box<Marker>),
}

/// One thing in a folder.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Found {
    /// A plain file, with the SHA-256 of its bytes.
    Plain(Digest),
    /// Something that vend never writes: an executable, a link, a device, something huge.
    Odd,
    /// Its name is one that vend neither reads nor writes; it is listed escaped.
    Unnamed,
}

impl Mark {
    /// Reads the bytes of a marker; `None` where it could not be read as a plain file.
    pub fn read(bytes: Option<&[u8]>, target: &Target) -> Self {
        match bytes.and_then(Marker::parse) {
            None => Self::Other("an unreadable `.vend`".into()),
            Some(marker) if marker.is_of(target) || planted!("owner-unchecked") => {
                Self::Ours(Box::new(marker))
            }
            Some(marker) => Self::Other(owner(&marker)),
        }
    }
}

/// Whose a marker says the folder is, in words.
pub(super) fn owner(marker: &Marker) -> String {
    format!("{} of instance {}", shown(marker.target.as_str()), shown(marker.instance.as_str()))
}

/// What a change comes to, given what is there.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It was done before.
    Done,
    /// Write the artifact.
    Put,
    /// Remove what was written.
    Remove,
}

impl Look {
    /// There is nothing.
    pub fn vacant() -> Self {
        Self { mark: Mark::Vacant, found: BTreeMap::new() }
    }

    /// What a change comes to. The same token is the same change: done, or to be finished.
    pub fn decide(&self, change: &Change) -> Result<Verdict, ProviderError> {
        let delete = change.action == Action::Delete;
        match &self.mark {
            Mark::Vacant if delete => Ok(Verdict::Done),
            // The marker goes last: without it nothing here is ours any more.
            Mark::Nobody if delete => Ok(Verdict::Done),
            Mark::Vacant if change.expect.is_none() => Ok(Verdict::Put),
            Mark::Vacant => Err(stale("the folder is not there any more")),
            Mark::Nobody => Err(stale("the folder holds files and no `.vend`")),
            Mark::Other(owner) => Err(stale(&format!("the folder belongs to {owner}"))),
            Mark::Ours(marker) if marker.token == change.token => Ok(match marker.state {
                State::Written => Verdict::Done,
                State::Writing => Verdict::Put,
                State::Removing => Verdict::Remove,
            }),
            Mark::Ours(marker) if change.expect != Some(marker.digest) => {
                Err(stale(&format!("the folder was last written from {}", marker.digest.short())))
            }
            Mark::Ours(_) if delete => Ok(Verdict::Remove),
            Mark::Ours(_) => Ok(Verdict::Put),
        }
    }

    /// As the trait has it. `commit` is the one that last changed the target, where known.
    pub fn observation(&self, place: &Where, commit: Option<&str>) -> Observation {
        let foreign = |owner| Live {
            owner,
            digest: None,
            token: None,
            state: "Foreign".into(),
            busy: false,
            drift: Vec::new(),
            pending: false,
            unchecked: None,
            guarded: None,
            touched: None,
            adoptable: false,
            stuck: None,
            outputs: Map::new(),
        };
        match &self.mark {
            Mark::Vacant => Observation::Absent,
            Mark::Nobody => Observation::Present(foreign(Owner::Nobody)),
            Mark::Other(owner) => Observation::Present(foreign(Owner::Other(owner.clone()))),
            Mark::Ours(marker) => Observation::Present(Live {
                owner: Owner::Ours,
                digest: Some(marker.digest),
                token: Some(marker.token.clone()),
                state: marker.state.word().into(),
                busy: false,
                drift: self.drift(marker),
                pending: false,
                unchecked: None,
                guarded: None,
                touched: None,
                adoptable: false,
                stuck: None,
                outputs: outputs(place, marker.digest, commit),
            }),
        }
    }

    fn drift(&self, marker: &Marker) -> Vec<DriftItem> {
        let item = |what: &str, how: &str| DriftItem::new(what, how);
        let mut drift = Vec::new();
        if marker.state != State::Written {
            // An unfinished change is a difference even where every file happens to be right.
            drift.push(item(MARKER, "changed"));
        }
        for (path, digest) in &marker.files {
            match self.found.get(path) {
                Some(Found::Plain(found)) if found == digest => {}
                Some(_) => drift.push(item(path, "changed")),
                None => drift.push(item(path, "removed")),
            }
        }
        let added = self.found.keys().filter(|path| !marker.files.contains_key(*path));
        drift.extend(added.map(|path| item(&shown(path), "added")));
        drift
    }

    /// What is there and vend did not write.
    fn strays(&self) -> Vec<&str> {
        let Mark::Ours(marker) = &self.mark else { return Vec::new() };
        let written: BTreeSet<_> = marker.all().collect();
        self.found.keys().filter(|path| !written.contains(path)).map(String::as_str).collect()
    }

    /// What vend wrote, is still there, and is in no file of `files`.
    fn superseded(&self, files: &BTreeMap<String, String>) -> BTreeSet<&str> {
        let Mark::Ours(marker) = &self.mark else { return BTreeSet::new() };
        marker
            .all()
            .filter(|path| !files.contains_key(*path) && self.found.contains_key(*path))
            .map(String::as_str)
            .collect()
    }

    /// What there is to do to a folder that stays, once [`Look::decide`] has said so.
    pub fn put<'a>(&'a self, change: &'a Change) -> Result<Put<'a>, ProviderError> {
        let artifact = artifact(change)?;
        let files = &artifact.files;
        let mut remove = self.superseded(files);
        for stray in self.strays().into_iter().filter(|path| !files.contains_key(*path)) {
            let problem = match (change.action, self.found.get(stray)) {
                (Action::Restore, Some(Found::Unnamed)) => "has a name that vend does not handle",
                (Action::Restore, _) => {
                    remove.insert(stray);
                    continue;
                }
                // An update leaves alone what vend did not write, so that it must not be in the way.
                _ if in_the_way(stray, files) => "is in the way, and vend did not write it",
                _ => continue,
            };
            return Err(ProviderError::Refused(format!("`{}` {problem}", shown(stray))));
        }
        let is_there = |path: &String, text: &String| {
            self.found.get(path) == Some(&Found::Plain(sha256(text.as_bytes())))
        };
        let write = files.iter().filter(|(path, text)| !is_there(path, text));
        Ok(Put {
            files,
            write: write.map(|(path, text)| (path.as_str(), text.as_str())).collect(),
            remove,
            marker: Marker::of(change, digest_of(artifact), files),
        })
    }

    /// The files of ours that go with a deletion.
    pub fn written(&self) -> BTreeSet<&str> {
        self.superseded(&BTreeMap::new())
    }

    /// What a change would do, file by file.
    pub fn preview(&self, change: &Change) -> Result<Preview, ProviderError> {
        let file = |name: &str, action| ResourceChange {
            name: shown(name),
            kind: "file".into(),
            action,
            cause: None,
            properties: Vec::new(),
            left: None,
        };
        let (write, remove) = match self.decide(change)? {
            Verdict::Done => return Ok(Preview::default()),
            Verdict::Remove => (BTreeMap::new(), self.written()),
            Verdict::Put => {
                let put = self.put(change)?;
                (put.write, put.remove)
            }
        };
        let gone = remove.into_iter().map(|path| file(path, ResourceAction::Delete));
        let written = write.into_keys().map(|path| match self.found.get(path) {
            Some(_) => file(path, ResourceAction::Update),
            None => file(path, ResourceAction::Create),
        });
        let mut resources: Vec<_> = gone.chain(written).collect();
        resources.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(Preview { resources, ..Preview::default() })
    }
}

/// An artifact on its way into a folder.
pub(super) struct Put<'a> {
    /// All of its files.
    pub files: &'a BTreeMap<String, String>,
    /// Those that are not there already.
    pub write: BTreeMap<&'a str, &'a str>,
    /// What vend wrote before and the artifact has no more; when restoring, strays as well.
    pub remove: BTreeSet<&'a str>,
    /// As it stays.
    pub marker: Marker,
}

/// Whether a file at `path` keeps one of `files` from being written: it stands where that needs a
/// folder, or in a folder where that is a file.
pub(super) fn in_the_way(path: &str, files: &BTreeMap<String, String>) -> bool {
    let below = format!("{path}/");
    files.range(below.clone()..).next().is_some_and(|(file, _)| file.starts_with(&below))
        || path.match_indices('/').any(|(n, _)| files.contains_key(&path[..n]))
}

fn stale(why: &str) -> ProviderError {
    ProviderError::Stale(why.to_owned())
}

/// What is to be written, checked: safe relative paths, none of which lies inside another.
pub(super) fn artifact(change: &Change) -> Result<&Artifact, ProviderError> {
    let refuse = |why: String| Err(ProviderError::Refused(why));
    let Some(artifact) = &change.artifact else {
        return refuse("there is no artifact to write".into());
    };
    if artifact.files.is_empty() {
        return refuse("the artifact has no file".into());
    }
    for path in artifact.files.keys() {
        let parts = match super::path::parts(path) {
            Ok(parts) => parts,
            Err(why) => return refuse(format!("the artifact's path `{}` {why}", shown(path))),
        };
        let mut folder = String::new();
        for part in &parts[..parts.len() - 1] {
            folder.push_str(part);
            if artifact.files.contains_key(&folder) {
                return refuse(format!("the artifact has `{folder}` as a file and as a folder"));
            }
            folder.push('/');
        }
    }
    Ok(artifact)
}

/// The artifact's digest; computed from its text where nobody canonicalised it.
pub(super) fn digest_of(artifact: &Artifact) -> Digest {
    artifact.digest.unwrap_or_else(|| {
        of_files(artifact.files.iter().map(|(path, text)| (path.as_str(), sha256(text.as_bytes()))))
    })
}

/// What a target gives.
pub(super) fn outputs(place: &Where, digest: Digest, commit: Option<&str>) -> Map {
    let mut outputs = Map::from([
        ("path".to_owned(), place.output_path().into()),
        ("digest".to_owned(), digest.to_string().into()),
    ]);
    if let Some(commit) = commit {
        outputs.insert("commit".into(), commit.into());
    }
    outputs
}

/// The answer for a change that has come to its end.
pub(super) fn succeeded(change: &Change, place: &Where, commit: Option<&str>) -> Progress {
    let (outputs, state) = match (&change.artifact, change.action) {
        (Some(artifact), action) if action != Action::Delete => {
            (outputs(place, digest_of(artifact), commit), State::Written.word())
        }
        (Some(_) | None, _) => (Map::new(), "Removed"),
    };
    Progress::Succeeded { outputs, state: state.into(), mark: None, events: Vec::new() }
}
