//! Targets in the tree of a commit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::digest::sha256;
use crate::git::{Blob, Edit, Entry, GitError, Kind, Mirror, Stands};
use crate::model::{Action, Change, ObjectId, Revision, Target};
use crate::provider::ProviderError;
use crate::provider::files::look::{Found, Look, Mark, Verdict, artifact, owner};
use crate::provider::files::marker::{MARKER_MAX, Marker};
use crate::provider::files::path::{MARKER, shown};
use crate::provider::files::settings::Where;

use super::before;

/// More than any artifact has; a folder with more is not looked through.
const ENTRIES_MAX: usize = 20_000;

/// Longer than any file of an artifact: such a one has changed, whatever it says.
const FILE_MAX: u64 = 4 << 20;

/// Looks at targets' folders at a tip; `None`: there is no commit, and so no folder.
pub(super) fn look<'a>(
    mirror: &Mirror,
    tip: Option<&Revision>,
    targets: impl Iterator<Item = (&'a Where, &'a Target)>,
) -> Result<Vec<Result<Look, ProviderError>>, ProviderError> {
    let targets: Vec<_> = targets.collect();
    let Some(tip) = tip else { return Ok(targets.iter().map(|_| Ok(Look::vacant())).collect()) };
    let paths: Vec<&str> = targets.iter().map(|(place, _)| place.path.as_str()).collect();
    let stands = mirror.stands(tip, &paths).map_err(before)?;
    let one = |((place, target), stands): (&(&Where, &Target), &Stands)| {
        Ok(match entries(mirror, stands, place)? {
            Some(entries) => look_at(mirror, &entries, target).map_err(before)?,
            None => Look::vacant(),
        })
    };
    Ok(targets.iter().zip(&stands).map(one).collect())
}

/// What lies in a target's folder; `None` when there is no folder, and nothing in its place.
fn entries(
    mirror: &Mirror,
    stands: &Stands,
    place: &Where,
) -> Result<Option<Vec<Entry>>, ProviderError> {
    match stands {
        Stands::Nothing => Ok(None),
        Stands::File(Entry { path, .. }) => {
            Err(ProviderError::Refused(format!("`{path}` is a file, not a folder")))
        }
        Stands::Folder(tree) => match mirror.entries(*tree, ENTRIES_MAX) {
            Ok(entries) => Ok(Some(entries)),
            Err(GitError::TooMany { limit }) => Err(ProviderError::Refused(format!(
                "the folder `{}` holds more than {limit} files",
                place.path
            ))),
            Err(error) => Err(before(error)),
        },
    }
}

fn look_at(mirror: &Mirror, entries: &[Entry], target: &Target) -> Result<Look, GitError> {
    let Some(marker) = entries.iter().find(|entry| entry.path == MARKER) else {
        let mark = if entries.is_empty() { Mark::Vacant } else { Mark::Nobody };
        return Ok(Look { mark, found: BTreeMap::new() });
    };
    let mark = Mark::read(read(mirror, marker)?.as_deref(), target);
    let mut found = BTreeMap::new();
    if !matches!(mark, Mark::Ours(_)) {
        return Ok(Look { mark, found });
    }
    let mut plain: HashMap<ObjectId, Found> = HashMap::new();
    let ids: Vec<_> = entries.iter().filter(|e| e.kind == Kind::File).map(|e| e.id).collect();
    mirror.blobs(&ids, FILE_MAX, &mut |id, blob| {
        let seen = match blob {
            Blob::Bytes(bytes) => Found::Plain(sha256(&bytes)),
            Blob::TooLarge(_) => Found::Odd,
        };
        plain.insert(id, seen);
    })?;
    for entry in entries.iter().filter(|entry| entry.path != MARKER) {
        let seen = match entry.kind {
            Kind::File => plain.get(&entry.id).copied().unwrap_or(Found::Odd),
            Kind::Executable | Kind::Link | Kind::Submodule => Found::Odd,
            Kind::Unsafe(_) => Found::Unnamed,
        };
        found.insert(entry.path.clone(), seen);
    }
    Ok(Look { mark, found })
}

/// The bytes of a marker; `None` when it is not a plain file of reasonable size.
fn read(mirror: &Mirror, entry: &Entry) -> Result<Option<Vec<u8>>, GitError> {
    if entry.kind != Kind::File {
        return Ok(None);
    }
    Ok(match mirror.blob(entry.id, MARKER_MAX)? {
        Blob::Bytes(bytes) => Some(bytes),
        Blob::TooLarge(_) => None,
    })
}

/// The edits of one commit, and what they have claimed.
pub(super) struct Batch<'m> {
    mirror: &'m Mirror,
    tip: Option<&'m Revision>,
    edits: Vec<Edit>,
    /// What has to be gone before the edits: links and executables in the place of files.
    clear: Vec<Edit>,
    /// Folders of the targets written by this commit.
    claimed: BTreeSet<String>,
    /// What stands at the tip where the targets go, and where a marker above them would lie.
    stands: HashMap<String, Stands>,
    /// Whose each folder above some target is, once looked at.
    above: HashMap<String, Option<String>>,
}

impl<'m> Batch<'m> {
    /// None yet, on a tip, of targets that go to `places`.
    pub fn new<'a>(
        mirror: &'m Mirror,
        tip: Option<&'m Revision>,
        places: impl Iterator<Item = &'a Where>,
    ) -> Result<Self, ProviderError> {
        let mut paths = BTreeSet::new();
        for Where { path, .. } in places {
            let above = path.match_indices('/').map(|(n, _)| &path[..n]);
            paths.extend(std::iter::once("").chain(above).map(marker_in));
            paths.insert(path.clone());
        }
        let paths: Vec<String> = paths.into_iter().collect();
        let stands = match tip {
            Some(tip) => mirror.stands(tip, &paths).map_err(before)?,
            None => Vec::new(),
        };
        Ok(Self {
            mirror,
            tip,
            edits: Vec::new(),
            clear: Vec::new(),
            claimed: BTreeSet::new(),
            stands: paths.into_iter().zip(stands).collect(),
            above: HashMap::new(),
        })
    }

    /// The commit of all edits; `None` when the tree is as they make it.
    ///
    /// A file that is written over an executable stays one, so such files go in a commit beneath,
    /// which is pushed with the other or not at all.
    pub fn commit(&self, message: &str, at: jiff::Timestamp) -> Result<Option<Revision>, GitError> {
        let cleared = match self.clear.len() {
            0 => None,
            n => {
                let message = format!("vend: clear {n} that are not plain files\n");
                self.mirror.commit(self.tip, &self.clear, &message, at)?
            }
        };
        self.mirror.commit(cleared.as_ref().or(self.tip), &self.edits, message, at)
    }

    /// Adds a change's edits, or finds that none are needed; after an error none were added.
    pub fn add(
        &mut self,
        place: &Where,
        change: &Change,
    ) -> Result<(Verdict, Look), ProviderError> {
        let entries = match self.stands.get(&place.path) {
            Some(stands) => entries(self.mirror, stands, place)?,
            None => None,
        };
        if change.action != Action::Delete {
            artifact(change)?;
            self.refuse_overlap(place, entries.as_deref().unwrap_or_default())?;
        }
        let look = match entries {
            Some(entries) => look_at(self.mirror, &entries, &change.target).map_err(before)?,
            None => Look::vacant(),
        };
        let verdict = look.decide(change)?;
        let edit = |path: &str, content: Option<&[u8]>| Edit {
            path: format!("{}/{path}", place.path),
            content: content.map(<[u8]>::to_vec),
        };
        match verdict {
            Verdict::Done => {}
            Verdict::Remove => {
                self.edits.extend(look.written().into_iter().map(|path| edit(path, None)));
                self.edits.push(edit(MARKER, None));
            }
            Verdict::Put => {
                let put = look.put(change)?;
                // What goes comes first: a file may take a folder's place, or the other way round.
                self.edits.extend(put.remove.iter().map(|path| edit(path, None)));
                let odd =
                    put.write.keys().filter(|path| look.found.get(**path) == Some(&Found::Odd));
                self.clear.extend(odd.map(|path| edit(path, None)));
                let write = put.write.iter();
                self.edits.extend(write.map(|(path, text)| edit(path, Some(text.as_bytes()))));
                self.edits.push(edit(MARKER, Some(&put.marker.bytes())));
                self.claimed.insert(place.path.clone());
            }
        }
        Ok((verdict, look))
    }

    /// Refuses a folder that lies inside another target's or above one, at the tip or in this
    /// commit.
    fn refuse_overlap(&mut self, place: &Where, entries: &[Entry]) -> Result<(), ProviderError> {
        let path = &place.path;
        let refuse =
            |what: String| Err(ProviderError::Refused(format!("the folder `{path}` {what}")));
        let above: Vec<_> = path.match_indices('/').map(|(n, _)| &path[..n]).collect();
        for folder in std::iter::once("").chain(above.iter().copied()) {
            if let Some(owner) = self.owner_of(folder)? {
                return refuse(format!("lies inside that of {owner}"));
            }
        }
        let below = format!("{path}/");
        let claimed =
            above.iter().copied().chain([path.as_str()]).find(|p| self.claimed.contains(*p));
        let claimed = claimed.or_else(|| {
            let next = self.claimed.range(below.clone()..).next();
            next.filter(|next| next.starts_with(&below)).map(String::as_str)
        });
        if let Some(other) = claimed {
            return refuse(format!("overlaps that of another target, `{other}`"));
        }
        let marker = format!("/{MARKER}");
        if let Some(entry) = entries.iter().find(|entry| entry.path.ends_with(&marker)) {
            return refuse(format!("lies above that of another target, `{}`", shown(&entry.path)));
        }
        Ok(())
    }

    /// Whose a folder is at the tip, by its marker; looked up once for all targets below it.
    fn owner_of(&mut self, folder: &str) -> Result<Option<String>, ProviderError> {
        if let Some(known) = self.above.get(folder) {
            return Ok(known.clone());
        }
        let path = marker_in(folder);
        let whose = match self.stands.get(&path) {
            None | Some(Stands::Nothing | Stands::Folder(_)) => None,
            // Something else stands in the place of a folder above: that is said elsewhere.
            Some(Stands::File(entry)) if entry.path != path => None,
            Some(Stands::File(entry)) => {
                let bytes = read(self.mirror, entry).map_err(before)?;
                let marker = bytes.as_deref().and_then(Marker::parse);
                Some(marker.as_ref().map_or_else(|| "another target".into(), owner))
            }
        };
        self.above.insert(folder.to_owned(), whose.clone());
        Ok(whose)
    }
}

fn marker_in(folder: &str) -> String {
    if folder.is_empty() { MARKER.into() } else { format!("{folder}/{MARKER}") }
}

/// `vend: create 3, delete 1`, and a line for each step, so that history shows each once.
pub(super) fn message<'a>(changes: impl Iterator<Item = &'a Change>) -> String {
    let mut counts: BTreeMap<Action, usize> = BTreeMap::new();
    let mut trailers = String::new();
    for change in changes {
        *counts.entry(change.action).or_default() += 1;
        let (target, token) = (&change.target.name, &change.token);
        trailers.push_str(&format!("Vend-Step: {target} {} {token}\n", word(change.action)));
    }
    let counts: Vec<_> = counts.iter().map(|(a, n)| format!("{} {n}", word(*a))).collect();
    format!("vend: {}\n\n{trailers}", counts.join(", "))
}

fn word(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Restore => "restore",
        Action::Forget => "forget",
        Action::Move => "move",
    }
}
