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
    let mut looks = Vec::with_capacity(targets.len());
    for part in targets.chunks(TOGETHER) {
        let paths: Vec<&str> = part.iter().map(|(place, _)| place.path.as_str()).collect();
        let stands = mirror.stands(tip, &paths).map_err(before)?;
        let folders = part.iter().zip(&stands).map(|((place, _), s)| entries(mirror, s, place));
        looks.extend(look_into(mirror, folders.collect(), part.iter().map(|(_, target)| *target)));
    }
    Ok(looks)
}

/// Folders that are read together: what is kept of them meanwhile is their markers.
const TOGETHER: usize = 4_000;

/// What lies in a folder, or that there is none.
type Folder = Result<Option<Vec<Entry>>, ProviderError>;

/// What lies in a folder with what its marker says, or that there is none.
type Marked = Result<Option<(Vec<Entry>, Mark)>, ProviderError>;

/// Looks into the folders of `targets`.
fn look_into<'t>(
    mirror: &Mirror,
    folders: Vec<Folder>,
    targets: impl Iterator<Item = &'t Target>,
) -> Vec<Result<Look, ProviderError>> {
    let mut contents = Contents::default();
    contents.read_markers(mirror, folders.iter().flatten().flatten().flatten());
    let marked: Vec<Marked> = (folders.into_iter())
        .zip(targets)
        .map(|(folder, target)| {
            let Some(entries) = folder? else { return Ok(None) };
            let mark = mark(mirror, &entries, target, &contents).map_err(before)?;
            Ok(Some((entries, mark)))
        })
        .collect();
    let ours = marked.iter().flatten().flatten().filter(|(_, mark)| matches!(mark, Mark::Ours(_)));
    contents.read_files(mirror, ours.flat_map(|(entries, _)| entries));
    let look = |marked: Marked| {
        let Some((entries, mark)) = marked? else { return Ok(Look::vacant()) };
        let found = found(mirror, &entries, &mark, &contents).map_err(before)?;
        Ok(Look { mark, found })
    };
    marked.into_iter().map(look).collect()
}

/// What lies in many folders, read in the order of the pack. One by one in the order of the folders, most
/// blobs would have to be put together from the start of their chain of differences.
///
/// Of what cannot be read nothing is kept: it is read again by itself, and what is wrong is said of its folder.
#[derive(Default)]
struct Contents {
    markers: HashMap<ObjectId, Option<Vec<u8>>>,
    files: HashMap<ObjectId, Found>,
}

impl Contents {
    fn read_markers<'e>(&mut self, mirror: &Mirror, entries: impl Iterator<Item = &'e Entry>) {
        let markers = entries.filter(|entry| entry.path == MARKER && entry.kind == Kind::File);
        let ids: Vec<ObjectId> = markers.map(|entry| entry.id).collect();
        let keep = &mut |id, blob| drop(self.markers.insert(id, whole(blob)));
        note(mirror.blobs(&ids, MARKER_MAX, keep));
    }

    fn read_files<'e>(&mut self, mirror: &Mirror, entries: impl Iterator<Item = &'e Entry>) {
        let files = entries.filter(|entry| entry.path != MARKER && entry.kind == Kind::File);
        let ids: Vec<ObjectId> = files.map(|entry| entry.id).collect();
        let keep = &mut |id, blob| {
            self.files.insert(id, seen(&blob));
        };
        note(mirror.blobs(&ids, FILE_MAX, keep));
    }
}

fn note(read: Result<(), GitError>) {
    if let Err(error) = read {
        tracing::debug!(error = crate::error::chain(&error), "folders are read one by one");
    }
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

/// Whose a folder is that holds `entries`.
fn mark(
    mirror: &Mirror,
    entries: &[Entry],
    target: &Target,
    contents: &Contents,
) -> Result<Mark, GitError> {
    let Some(marker) = entries.iter().find(|entry| entry.path == MARKER) else {
        return Ok(if entries.is_empty() { Mark::Vacant } else { Mark::Nobody });
    };
    Ok(match contents.markers.get(&marker.id).filter(|_| marker.kind == Kind::File) {
        Some(bytes) => Mark::read(bytes.as_deref(), target),
        None => Mark::read(read(mirror, marker)?.as_deref(), target),
    })
}

/// What a folder holds beside its marker, where it is ours.
fn found(
    mirror: &Mirror,
    entries: &[Entry],
    mark: &Mark,
    contents: &Contents,
) -> Result<BTreeMap<String, Found>, GitError> {
    if !matches!(mark, Mark::Ours(_)) {
        return Ok(BTreeMap::new());
    }
    let one = |entry: &Entry| {
        let found = match (&entry.kind, contents.files.get(&entry.id)) {
            (Kind::File, Some(found)) => *found,
            (Kind::File, None) => seen(&mirror.blob(entry.id, FILE_MAX)?),
            (Kind::Executable | Kind::Link | Kind::Submodule, _) => Found::Odd,
            (Kind::Unsafe(_), _) => Found::Unnamed,
        };
        Ok((entry.path.clone(), found))
    };
    entries.iter().filter(|entry| entry.path != MARKER).map(one).collect()
}

fn seen(blob: &Blob) -> Found {
    match blob {
        Blob::Bytes(bytes) => Found::Plain(sha256(bytes)),
        Blob::TooLarge(_) => Found::Odd,
    }
}

fn whole(blob: Blob) -> Option<Vec<u8>> {
    match blob {
        Blob::Bytes(bytes) => Some(bytes),
        Blob::TooLarge(_) => None,
    }
}

/// The bytes of a marker; `None` when it is not a plain file of reasonable size.
fn read(mirror: &Mirror, entry: &Entry) -> Result<Option<Vec<u8>>, GitError> {
    match entry.kind {
        Kind::File => Ok(whole(mirror.blob(entry.id, MARKER_MAX)?)),
        Kind::Executable | Kind::Link | Kind::Submodule | Kind::Unsafe(_) => Ok(None),
    }
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
        let look = look_into(self.mirror, vec![Ok(entries)], std::iter::once(&change.target)).pop();
        let look = look.unwrap_or_else(|| Ok(Look::vacant()))?;
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
