//! From the files at the pinned commits to what is desired, re-reading only what a change touches.

use std::borrow::Borrow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::PassError;
use super::evaluate::{Evaluator, Parsed, Shelf};
use super::law::Law;
use super::memory::Memory;
use super::source::Snapshot;
use crate::catalog::{self, Catalog, PathIs, Pattern};
use crate::digest;
use crate::git::{Blob, GitError, Kind, PathProblem};
use crate::model::{
    Artifact, ComponentName, Desired, Diagnostic, ObjectId, Origin, Place, Record, RequestId,
    SourceName, SourceProblem, TemplateId,
};
use crate::store::DesiredRow;

/// A request file to read.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whose.
    pub id: RequestId,
    /// Where.
    pub origin: Origin,
    /// Its bytes.
    pub blob: ObjectId,
    /// What kind of entry it is.
    pub kind: Kind,
}

/// What a source's new commit touches.
#[derive(Clone, Debug, Default)]
pub struct Touched {
    /// Files that are there and are new or changed.
    pub found: Vec<Found>,
    /// Files that were there and are not.
    pub gone: Vec<(RequestId, Origin)>,
    /// Paths that are no request's although they look like one; `None` where it no longer is so.
    pub paths: BTreeMap<(SourceName, String), Option<Diagnostic>>,
    /// All of the source was listed, not only what differs: what is not found is gone.
    pub whole: bool,
    /// How many files there are.
    pub files: Option<usize>,
}

/// A request as read, validated and rendered.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// For the store and the index.
    pub row: DesiredRow,
    /// What its components render to.
    pub artifacts: Vec<(ComponentName, Arc<Artifact>)>,
    /// What rules say of its plan; `None` where there are none.
    pub law: Option<Arc<Law>>,
    /// A version that has reached it and that it cannot take.
    pub refused: Option<TemplateId>,
    /// What would be wrong with it there.
    pub unfit: Vec<Diagnostic>,
    /// Versions on their way that it asks for, where it cannot be read as it is and has an older one.
    pub waits: Vec<TemplateId>,
    /// Its record as it was read from the store, where the two differ: whoever plans needs it next.
    pub(super) record: Option<Arc<Record>>,
}

/// As [`Evaluated`], before any digest is taken of it: who only wants to know what is wrong with
/// requests needs none, and keeps no more than the [`Desired`].
pub struct Read {
    pub(super) found: Found,
    pub(super) desired: Desired,
    pub(super) artifacts: Vec<(ComponentName, Arc<Artifact>)>,
    pub(super) law: Option<Arc<Law>>,
    pub(super) refused: Option<TemplateId>,
    pub(super) unfit: Vec<Diagnostic>,
    pub(super) waits: Vec<TemplateId>,
    pub(super) record: Option<Arc<Record>>,
}

impl Read {
    /// A file that asks for this and renders to nothing.
    pub(super) fn without(found: Found, desired: Desired) -> Self {
        let (artifacts, unfit, waits) = (Vec::new(), Vec::new(), Vec::new());
        let (law, refused, record) = (None, None, None);
        Self { found, desired, artifacts, law, refused, unfit, waits, record }
    }
}

impl From<Read> for Desired {
    fn from(read: Read) -> Self {
        read.desired
    }
}

impl From<Read> for Evaluated {
    fn from(read: Read) -> Self {
        let Read { found, desired, artifacts, law, refused, unfit, waits, record } = read;
        let fingerprint = desired.fingerprint();
        let record = record.filter(|record| record.settled != Some(fingerprint));
        // The fingerprint leaves out what an apply does not depend on; status shows it all the same.
        let shown = (desired.spec().map(|s| &s.upgrade), &desired.notes);
        let key = digest::of(&(desired.content, shown));
        let row = DesiredRow { blob: found.blob, key, fingerprint, desired: Arc::new(desired) };
        Self { row, artifacts, law, refused, unfit, waits, record }
    }
}

impl Borrow<Desired> for Evaluated {
    fn borrow(&self) -> &Desired {
        &self.row.desired
    }
}

/// Lists what differs between the last processed commit of a source and the one in use.
pub fn touched(snapshot: &Snapshot, memory: &Memory, limit: usize) -> Result<Touched, TouchError> {
    let mut touched = Touched::default();
    let Some(commit) = &snapshot.commit else { return Ok(touched) };
    let source = &snapshot.source;
    let folder = source.watched_folder();
    let mirror = source.mirror();
    let last = memory.built.sources.get(&source.name);
    if last == Some(commit) {
        return Ok(touched);
    }
    let now = mirror.tree(commit, &folder)?;
    // The last commit may be gone for good: its history was rewritten, and the mirror cloned anew.
    let differs = last.and_then(|last| mirror.diff(mirror.tree(last, &folder).ok()?, now).ok());
    let deltas = match (differs, now) {
        (Some(deltas), _) => {
            touched.files = Some(files_after(snapshot, memory, &deltas, now, limit)?);
            deltas
        }
        (None, now) => {
            touched.whole = true;
            let entries = now.map(|tree| mirror.entries(tree, limit)).transpose()?;
            let entries = entries.unwrap_or_default();
            touched.files = Some(entries.len());
            let entries = entries.into_iter();
            entries
                .map(|e| crate::git::Delta { path: e.path, old: None, new: Some((e.kind, e.id)) })
                .collect()
        }
    };
    for delta in deltas {
        touch(snapshot, &folder, delta, &mut touched);
    }
    Ok(touched)
}

/// How many files a source has with these differences. Trees are counted once in a process: what differs
/// says how many there are then.
fn files_after(
    snapshot: &Snapshot,
    memory: &Memory,
    deltas: &[crate::git::Delta],
    now: Option<ObjectId>,
    limit: usize,
) -> Result<usize, GitError> {
    let source = &snapshot.source;
    let last = memory.built.sources.get(&source.name);
    let known = memory.files.get(&source.name).filter(|(commit, _)| Some(commit) == last);
    let Some((_, before)) = known else {
        return now.map_or(Ok(0), |tree| source.mirror().count(tree, limit));
    };
    let come = deltas.iter().filter(|delta| delta.old.is_none()).count();
    let went = deltas.iter().filter(|delta| delta.new.is_none()).count();
    let files = (before + come).saturating_sub(went);
    if files > limit { Err(GitError::TooMany { limit }) } else { Ok(files) }
}

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum TouchError {
    /// Its objects cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl TouchError {
    /// What it means for the source.
    pub fn problem(&self, now: jiff::Timestamp) -> SourceProblem {
        match self {
            Self::Git(GitError::TooMany { limit }) => {
                SourceProblem::TooManyFiles { limit: *limit as u64 }
            }
            Self::Git(error) => {
                SourceProblem::Stale { error: crate::error::chain(error), since: now }
            }
        }
    }
}

fn touch(snapshot: &Snapshot, folder: &str, delta: crate::git::Delta, touched: &mut Touched) {
    let source = &snapshot.source;
    let path = if folder.is_empty() { delta.path } else { format!("{folder}/{}", delta.path) };
    let Some(pattern) = &source.pattern else { return };
    let inner =
        path.strip_prefix(&source.folder).map_or(path.as_str(), |p| p.trim_start_matches('/'));
    let key = (source.name.clone(), path.clone());
    let origin = || Origin { source: source.name.clone(), path: path.as_str().into() };
    let kind = delta.new.as_ref().map_or(&Kind::File, |(kind, _)| kind);
    match path_is(pattern, inner, kind) {
        PathIs::Request(id) => match delta.new {
            Some((kind, blob)) => touched.found.push(Found { id, origin: origin(), blob, kind }),
            None => touched.gone.push((id, origin())),
        },
        PathIs::Ignored => {}
        PathIs::Note(mut diagnostic) | PathIs::Bad(mut diagnostic) => {
            diagnostic.place.file = path.as_str().into();
            touched.paths.insert(key, delta.new.map(|_| diagnostic));
        }
    }
}

/// What a path is, given what stands there: of what is no request's, a link, a submodule or a name
/// that cannot be shown is said to be that, rather than only to be in the wrong place.
pub fn path_is(pattern: &Pattern, path: &str, kind: &Kind) -> PathIs {
    let is = pattern.id(path);
    match (&is, kind) {
        (PathIs::Request(_) | PathIs::Ignored, _) | (_, Kind::File | Kind::Executable) => is,
        (PathIs::Note(_) | PathIs::Bad(_), Kind::Link | Kind::Submodule | Kind::Unsafe(_)) => {
            cannot_be_read(kind, path.into()).map_or(is, PathIs::Bad)
        }
    }
}

/// Requests that a new catalog touches: those of templates and environments that differ, and those
/// that are not well-formed as the catalog stands.
pub fn touched_by_catalog(
    memory: &Memory,
    last: Option<&Catalog>,
    now: &Catalog,
) -> BTreeSet<RequestId> {
    let Some(last) = last else {
        return memory.desired().iter().map(|entry| entry.id.clone()).collect();
    };
    let changed = catalog::changed(last, now);
    memory
        .desired()
        .iter()
        .filter(|entry| {
            let template = entry.template.as_ref();
            !entry.valid
                || changed.environments.contains(entry.id.environment())
                || template.is_none_or(|t| changed.templates.contains(t.name.as_str()))
        })
        .map(|entry| entry.id.clone())
        .collect()
}

/// Files that are read and rendered together: what is kept of each between the two is large.
const PART: usize = 2_000;

/// Reads, validates and renders `found`, those that others refer to before those that refer.
pub async fn evaluate(
    evaluator: &Evaluator<'_>,
    found: Vec<Found>,
    blobs: HashMap<ObjectId, Blob>,
) -> Result<Vec<Evaluated>, PassError> {
    let mut done = Vec::with_capacity(found.len());
    let left = evaluate_free(evaluator, found, &blobs, &mut done).await?;
    drop(blobs);
    finish(evaluator, left, done).await
}

/// Reads `found`, and renders at once those that refer to nobody, which are nearly all: there is
/// nothing to wait for. Gives the others.
pub(super) async fn evaluate_free<T: From<Read> + Send>(
    evaluator: &Evaluator<'_>,
    found: Vec<Found>,
    blobs: &HashMap<ObjectId, Blob>,
    done: &mut Vec<T>,
) -> Result<Vec<Parsed>, PassError> {
    let mut left = Vec::new();
    let mut found = found.into_iter().peekable();
    while found.peek().is_some() {
        let part = found.by_ref().take(PART).collect();
        let parsed = evaluator.parse(part, blobs);
        let (refer, free): (Vec<_>, Vec<_>) =
            parsed.into_iter().partition(|parsed| parsed.references().next().is_some());
        let shelf = evaluator.shelf(&free).await?;
        done.extend(evaluator.render_all::<T>(free, &shelf));
        left.extend(refer);
    }
    Ok(left)
}

/// As [`evaluate`], for files that were read already.
pub async fn evaluate_parsed(
    evaluator: &Evaluator<'_>,
    parsed: Vec<Parsed>,
) -> Result<Vec<Evaluated>, PassError> {
    finish(evaluator, parsed, Vec::new()).await
}

/// Renders what is `left`, given what is done already.
pub(super) async fn finish<T: From<Read> + Borrow<Desired> + Send>(
    evaluator: &Evaluator<'_>,
    mut left: Vec<Parsed>,
    mut done: Vec<T>,
) -> Result<Vec<T>, PassError> {
    if left.is_empty() {
        return Ok(done);
    }
    let mut shelf = evaluator.shelf(&left).await?;
    let referred: BTreeSet<RequestId> = left.iter().flat_map(Parsed::references).cloned().collect();
    let known = done.iter().map(Borrow::borrow);
    known
        .filter(|desired: &&Desired| referred.contains(&desired.id))
        .for_each(|desired| shelf.put(desired));
    while !left.is_empty() {
        let waiting: BTreeSet<&RequestId> = left.iter().map(|p| &p.found.id).collect();
        let is_free = |p: &Parsed| p.references().all(|r| r == &p.found.id || !waiting.contains(r));
        let free: Vec<bool> = left.iter().map(is_free).collect();
        // None is free in a cycle: all of it is read with its references unknown, and planning
        // names the cycle.
        let all = !free.contains(&true);
        let mut free = free.into_iter();
        let (now, later): (Vec<_>, Vec<_>) =
            left.into_iter().partition(|_| all || free.next().unwrap_or(true));
        left = later;
        if all {
            now.iter().for_each(|parsed| evaluator.promise(parsed, &mut shelf));
        }
        let batch = evaluator.render_all::<T>(now, &shelf);
        batch.iter().for_each(|read| shelf.put(read.borrow()));
        done.extend(batch);
    }
    Ok(done)
}

/// Bytes by blob.
pub type Blobs = HashMap<ObjectId, Blob>;

/// The files' bytes, from the sources' objects; with the sources whose objects cannot be read.
pub fn read(
    found: &[Found],
    snapshots: &[Snapshot],
    max_bytes: u64,
) -> (Blobs, Vec<(SourceName, GitError)>) {
    let mut blobs = HashMap::with_capacity(found.len());
    let mut broken = Vec::new();
    for snapshot in snapshots {
        let name = &snapshot.source.name;
        let is_wanted = |f: &&Found| {
            f.origin.source == *name && matches!(f.kind, Kind::File | Kind::Executable)
        };
        let ids: Vec<ObjectId> = found.iter().filter(is_wanted).map(|f| f.blob).collect();
        let mut keep = |id, blob| {
            blobs.insert(id, blob);
        };
        if let Err(error) = snapshot.source.mirror().blobs(&ids, max_bytes, &mut keep) {
            broken.push((name.clone(), error));
        }
    }
    (blobs, broken)
}

/// Why an entry is never read as a file; `None` for a file.
fn cannot_be_read(kind: &Kind, path: Arc<str>) -> Option<Diagnostic> {
    let place = Place::file(path);
    Some(match kind {
        Kind::Link => Diagnostic::error("PATH001", place, "symbolic links are not read")
            .help("put the file itself there"),
        Kind::Submodule => Diagnostic::error("PATH002", place, "submodules are not read")
            .help("put the files themselves there"),
        Kind::Unsafe(PathProblem::NotReadable) => {
            let message = "the file may not be read by whoever runs this";
            Diagnostic::error("PATH008", place, message).help("look at its owner and permissions")
        }
        Kind::Unsafe(PathProblem::NotAFile) => {
            let message = "this is neither a file nor a folder";
            Diagnostic::error("PATH005", place, message).help("put a plain file there")
        }
        Kind::Unsafe(why) => {
            let message = format!("this name cannot be used: {why}");
            Diagnostic::error("PATH005", place, message)
                .help("rename the file with letters, digits, `.`, `_` and `-`")
        }
        Kind::File | Kind::Executable => return None,
    })
}

/// A file that cannot even be read as one: a link, a submodule, too large, or gone from the objects.
pub fn unreadable(found: &Found, blob: Option<&Blob>) -> Option<Diagnostic> {
    if let Some(problem) = cannot_be_read(&found.kind, found.origin.path.clone()) {
        return Some(problem);
    }
    let place = Place::file(found.origin.path.clone());
    match blob {
        Some(Blob::TooLarge(size)) => {
            let message = format!("the file has {size} bytes, and it was not read");
            let problem = Diagnostic::error("LIM001", place, message);
            Some(problem.help("a request file has at most 256 KiB"))
        }
        None => {
            let message = "the file's content is missing from the repository";
            let problem = Diagnostic::error("GIT001", place, message);
            Some(problem.help("run `git fsck` on the repository"))
        }
        Some(Blob::Bytes(_)) => None,
    }
}

/// What references need to know of other requests.
pub type Facts = Shelf;
