//! Targets as folders of this host.
//!
//! # Flow
//!
//! The marker is written first, with `"state":"writing"`, the token, the files to come and the
//! files to go; then the files; then what is superseded goes; then the marker as it stays. A
//! deletion marks itself `removing`, removes the files, then the marker, then the empty folders.
//!
//! # Guarantees
//!
//! A crash anywhere leaves either the folder as it was, or a marker with the token of the change
//! that was under way: the same change, sent again, goes on. Each file is whole, old or new.
//! Nothing outside the target's folder is written, and no link is followed.
//!
//! # Assumptions
//!
//! One process writes below a root (the store's lease), one change at a time (the lane).
//!
//! # Caveats
//!
//! A reader can see some files new and others old; one that minds looks at the marker's state.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::allow::Allow;
use super::disk::{DiskError, Entry, Folder};
use super::look::{Found, Look, Mark, Put, Verdict, artifact, in_the_way, owner};
use super::marker::{MARKER_MAX, Marker, State};
use super::path::{MARKER, shown};
use crate::digest::sha256;
use crate::model::{Action, Change, Target};
use crate::provider::ProviderError;

/// More than any artifact has; a folder with more is not looked through.
const ENTRIES_MAX: usize = 20_000;

/// Longer than any file of an artifact: such a one has changed, whatever it says.
const FILE_MAX: u64 = 4 << 20;

/// How deep a folder is looked through; a safe path of 512 bytes is never deeper.
const DEPTH_MAX: usize = 256;

/// Asked before each effect; an error stops the change there, as a crash would.
pub(super) type Gate<'a> = &'a dyn Fn() -> Result<(), DiskError>;

/// One target's folder on this host.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// The operator's entry that allows it.
    base: PathBuf,
    /// From there to the folder that the environment names.
    root: Vec<String>,
    /// From there to the target's own.
    path: Vec<String>,
}

impl Place {
    /// `root` was permitted; `path` is safe.
    pub fn new(allow: &Allow, root: &Path, path: &str) -> Self {
        let base = allow.local(root).unwrap_or(root);
        let below = root.strip_prefix(base).unwrap_or(Path::new(""));
        Self {
            base: base.to_owned(),
            root: below.iter().map(|part| part.to_string_lossy().into_owned()).collect(),
            path: path.split('/').map(str::to_owned).collect(),
        }
    }

    fn parts(&self) -> impl Iterator<Item = &String> {
        self.root.iter().chain(&self.path)
    }

    fn open(&self) -> Result<Option<Folder>, DiskError> {
        let mut folder = Folder::base(&self.base)?;
        for part in self.parts() {
            match folder.child(part)? {
                Some(child) => folder = child,
                None => return Ok(None),
            }
        }
        Ok(Some(folder))
    }
}

/// Looks at a target's folder.
pub(super) fn look(place: &Place, target: &Target) -> Result<Look, DiskError> {
    match place.open()? {
        Some(folder) => look_in(&folder, target),
        None => Ok(Look::vacant()),
    }
}

fn look_in(folder: &Folder, target: &Target) -> Result<Look, DiskError> {
    if folder.entry(MARKER)?.is_none() {
        let holds = first(folder, &|_| true)?.is_some();
        let mark = if holds { Mark::Nobody } else { Mark::Vacant };
        return Ok(Look { mark, found: BTreeMap::new() });
    }
    let mark = Mark::read(folder.read(MARKER, MARKER_MAX)?.as_deref(), target);
    let mut found = BTreeMap::new();
    if matches!(mark, Mark::Ours(_)) {
        list(folder, "", 0, &mut found)?;
        found.remove(MARKER);
    }
    Ok(Look { mark, found })
}

/// Everything in a folder that is not a folder, by path.
fn list(
    folder: &Folder,
    prefix: &str,
    depth: usize,
    found: &mut BTreeMap<String, Found>,
) -> Result<(), DiskError> {
    for name in folder.names()? {
        if depth == 0 && Folder::is_staging(name.to_bytes()) {
            continue;
        }
        let text = name.to_string_lossy();
        let path = format!("{prefix}{text}");
        if found.len() >= ENTRIES_MAX || depth >= DEPTH_MAX {
            return Err(DiskError::Blocked(format!(
                "{} (more than can be looked at)",
                shown(&path)
            )));
        }
        let Ok(name) = name.to_str() else {
            found.insert(path, Found::Unnamed);
            continue;
        };
        match folder.entry(name)? {
            None => {}
            Some(Entry::Folder) => {
                if let Some(child) = folder.child(&text)? {
                    list(&child, &format!("{path}/"), depth + 1, found)?;
                }
            }
            Some(Entry::Plain(size)) if size <= FILE_MAX => {
                let bytes = folder.read(&text, FILE_MAX)?;
                found.insert(path, bytes.map_or(Found::Odd, |b| Found::Plain(sha256(&b))));
            }
            Some(Entry::Plain(_) | Entry::Odd) => {
                found.insert(path, Found::Odd);
            }
        }
    }
    Ok(())
}

/// The path of the first thing below that is not a folder and whose name is wanted; looks through
/// at most [`ENTRIES_MAX`] names.
fn first(folder: &Folder, wanted: &dyn Fn(&str) -> bool) -> Result<Option<String>, DiskError> {
    fn walk(
        folder: &Folder,
        prefix: &str,
        depth: usize,
        left: &mut usize,
        wanted: &dyn Fn(&str) -> bool,
    ) -> Result<Option<String>, DiskError> {
        for name in folder.names()? {
            if *left == 0 || depth >= DEPTH_MAX {
                return Ok(None);
            }
            *left -= 1;
            let text = name.to_string_lossy();
            let path = format!("{prefix}{text}");
            let entry = match name.to_str() {
                Ok(name) => folder.entry(name)?,
                Err(_) => Some(Entry::Odd),
            };
            let inside = match entry {
                Some(Entry::Folder) => match folder.child(&text)? {
                    Some(child) => walk(&child, &format!("{path}/"), depth + 1, left, wanted)?,
                    None => None,
                },
                Some(Entry::Plain(_) | Entry::Odd) if wanted(&text) => Some(path),
                Some(Entry::Plain(_) | Entry::Odd) | None => None,
            };
            if inside.is_some() {
                return Ok(inside);
            }
        }
        Ok(None)
    }
    walk(folder, "", 0, &mut ENTRIES_MAX.clone(), wanted)
}

/// Refuses a folder that lies inside another target's, above one, or inside a Git repository.
fn refuse_overlap(place: &Place) -> Result<(), ProviderError> {
    let refuse = |what: String| {
        Err(ProviderError::Refused(format!("the folder `{}` {what}", place.path.join("/"))))
    };
    let overlap = |folder: &Folder| -> Result<Option<String>, DiskError> {
        if folder.entry(MARKER)?.is_none() {
            let git = folder.entry("HEAD")?.is_some() && folder.entry("objects")?.is_some();
            // A catalog that could write into a repository could have its commands run there.
            return Ok(git.then(|| "lies inside a Git repository".to_owned()));
        }
        let marker = folder.read(MARKER, MARKER_MAX)?.as_deref().and_then(Marker::parse);
        let whose = marker.as_ref().map_or_else(|| "another target".to_owned(), owner);
        Ok(Some(format!("lies inside that of {whose}")))
    };
    // Above the allowed folder as well: another entry may allow what lies around it.
    for above in place.base.canonicalize().unwrap_or_default().ancestors().skip(1) {
        // What cannot be opened there cannot be written by us either.
        if let Ok(folder) = Folder::base(above)
            && let Some(what) = overlap(&folder).map_err(DiskError::before)?
        {
            return refuse(what);
        }
    }
    let mut folder = Folder::base(&place.base).map_err(DiskError::before)?;
    for part in place.parts() {
        if let Some(what) = overlap(&folder).map_err(DiskError::before)? {
            return refuse(what);
        }
        match folder.child(part).map_err(DiskError::before)? {
            Some(child) => folder = child,
            None => return Ok(()),
        }
    }
    for name in folder.names().map_err(DiskError::before)? {
        let Ok(name) = name.to_str() else { continue };
        if !matches!(folder.entry(name).map_err(DiskError::before)?, Some(Entry::Folder)) {
            continue;
        }
        let Some(child) = folder.child(name).map_err(DiskError::before)? else { continue };
        if let Some(below) = first(&child, &|name| name == MARKER).map_err(DiskError::before)? {
            return refuse(format!("lies above that of another target, `{name}/{below}`"));
        }
    }
    Ok(())
}

/// Makes one change, or goes on with it.
pub(super) fn submit(place: &Place, change: &Change, gate: Gate<'_>) -> Result<(), ProviderError> {
    if change.action != Action::Delete {
        artifact(change)?;
        refuse_overlap(place)?;
    }
    let look = look(place, &change.target).map_err(DiskError::before)?;
    match look.decide(change)? {
        Verdict::Done => Ok(()),
        Verdict::Put => put(place, &look.put(change)?, &look, gate).map_err(DiskError::after),
        Verdict::Remove => remove(place, change, &look, gate).map_err(DiskError::after),
    }
}

fn put(place: &Place, put: &Put<'_>, look: &Look, gate: Gate<'_>) -> Result<(), DiskError> {
    let mut folder = Folder::base(&place.base)?;
    for part in place.parts() {
        gate()?;
        folder = folder.make(part)?;
    }
    write_marker(&folder, &unfinished(put, look), gate)?;
    let (first, last): (Vec<&str>, Vec<_>) =
        put.remove.iter().partition(|path| in_the_way(path, put.files));
    for path in first {
        gate()?;
        unlink(&folder, path)?;
    }
    let mut touched = BTreeSet::new();
    for (path, text) in &put.write {
        gate()?;
        let (parent, name) = split(path);
        let mut into = None;
        for part in parent.split('/').filter(|part| !part.is_empty()) {
            let made = into.as_ref().unwrap_or(&folder).make(part)?;
            into = Some(made);
        }
        let into = into.as_ref().unwrap_or(&folder);
        // An empty folder in a file's place was left by nobody who minds.
        into.prune(name)?;
        folder.write(into, name, text.as_bytes())?;
        touched.insert(parent);
    }
    for parent in touched {
        if let Some(folder) = descend(&folder, parent)? {
            folder.sync()?;
        }
    }
    for path in last {
        gate()?;
        unlink(&folder, path)?;
    }
    write_marker(&folder, &put.marker, gate)
}

/// The marker while the change is under way: names the files to go too, so that whoever goes on
/// after a crash knows them for vend's.
fn unfinished(put: &Put<'_>, look: &Look) -> Marker {
    let mut marker = put.marker.clone();
    marker.state = State::Writing;
    if let Mark::Ours(before) = &look.mark {
        let written = before.files.iter().chain(&before.stale);
        let gone = written.filter(|(path, _)| !put.files.contains_key(*path));
        marker.stale = gone.map(|(path, digest)| (path.clone(), *digest)).collect();
    }
    marker
}

fn write_marker(folder: &Folder, marker: &Marker, gate: Gate<'_>) -> Result<(), DiskError> {
    gate()?;
    folder.write(folder, MARKER, &marker.bytes())?;
    folder.sync()
}

fn remove(place: &Place, change: &Change, look: &Look, gate: Gate<'_>) -> Result<(), DiskError> {
    let Mark::Ours(marker) = &look.mark else { return Ok(()) };
    let Some(folder) = place.open()? else { return Ok(()) };
    let mut marker = (**marker).clone();
    marker.state = State::Removing;
    marker.token = change.token.clone();
    write_marker(&folder, &marker, gate)?;
    for path in look.written() {
        gate()?;
        unlink(&folder, path)?;
    }
    gate()?;
    folder.remove_staging()?;
    folder.remove(MARKER)?;
    folder.sync()?;
    gate()?;
    prune_upward(place)
}

/// Removes the target's folder and those around it that are empty now, up to the root.
fn prune_upward(place: &Place) -> Result<(), DiskError> {
    let mut open = vec![Folder::base(&place.base)?];
    for part in place.parts() {
        match open.last().map(|folder| folder.child(part)).transpose()?.flatten() {
            Some(child) => open.push(child),
            None => break,
        }
    }
    let parts: Vec<_> = place.parts().collect();
    for n in (place.root.len() + 1..open.len()).rev() {
        let parent = &open[n - 1];
        if !parent.prune(parts[n - 1])? {
            break;
        }
        parent.sync()?;
    }
    Ok(())
}

/// Removes one file and the folders that are empty then, durably.
fn unlink(folder: &Folder, path: &str) -> Result<(), DiskError> {
    let (parent, name) = split(path);
    let Some(inner) = descend(folder, parent)? else { return Ok(()) };
    inner.remove(name)?;
    inner.sync()?;
    let mut path = parent;
    while !path.is_empty() {
        let (parent, name) = split(path);
        let Some(outer) = descend(folder, parent)? else { return Ok(()) };
        if !outer.prune(name)? {
            return Ok(());
        }
        outer.sync()?;
        path = parent;
    }
    Ok(())
}

fn descend(folder: &Folder, path: &str) -> Result<Option<Folder>, DiskError> {
    let mut parts = path.split('/').filter(|part| !part.is_empty());
    let Some(part) = parts.next() else { return folder.child(".") };
    let mut inner = folder.child(part)?;
    for part in parts {
        inner = match inner {
            Some(folder) => folder.child(part)?,
            None => return Ok(None),
        };
    }
    Ok(inner)
}

/// The folder and the name of a path; the folder is empty at the top.
fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}
