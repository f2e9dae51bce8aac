//! Writing down what tests render to.
//!
//! # Guarantees
//! * Only below `templates/<name>/<version>/tests/` of the catalog's folder, and never through a link: what
//!   a catalog says cannot choose where on this disk something is written.
//! * All is looked at before anything is written.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use crate::catalog::path;
use crate::model::{Blessed, Files, Golden, Trial};

/// Why nothing was written, or not all.
#[derive(Debug, thiserror::Error)]
pub enum BlessError {
    /// Two tests would write one folder.
    #[error(
        "the tests `{first}` and `{second}` name the folder `{folder}` and render to different files"
    )]
    Differ {
        /// The folder.
        folder: String,
        /// A test's file.
        first: String,
        /// Another's.
        second: String,
    },
    /// A catalog could not hold it.
    #[error("`{path}` cannot be written: {why}")]
    Unusable {
        /// The path in the catalog.
        path: String,
        /// Why, as a sentence without full stop.
        why: String,
    },
    /// The disk.
    #[error("cannot write `{}`", .path.display())]
    Disk {
        /// What.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// What is to be written.
#[derive(Debug)]
pub struct Bless {
    write: BTreeMap<String, String>,
    remove: BTreeSet<String>,
}

impl Bless {
    /// What `trials` render to, against the catalog's `files`. In `whole` folders, of versions all of
    /// whose tests are among them, golden folders that no test names go as well; those that are `named` by
    /// some test, each with a `/` behind it, are that test's alone. No file may have more than `max` bytes.
    ///
    /// # Errors
    /// What a catalog could not hold, or two tests disagree about.
    pub fn plan(
        trials: &[Trial],
        files: &Files,
        (whole, named): (&BTreeSet<String>, &BTreeSet<String>),
        max: u64,
    ) -> Result<Self, BlessError> {
        let mut folders: BTreeMap<&str, (&BTreeMap<String, String>, &Trial)> = BTreeMap::new();
        for trial in trials {
            let Some(Golden { folder, files: Some(own) }) = &trial.golden else { continue };
            match folders.get(folder.as_str()) {
                Some((other, first)) if *other != own => {
                    return Err(BlessError::Differ {
                        folder: folder.clone(),
                        first: first.file.to_string(),
                        second: trial.file.to_string(),
                    });
                }
                _ => {
                    folders.insert(folder, (own, trial));
                }
            }
        }
        let mut bless = Self { write: BTreeMap::new(), remove: BTreeSet::new() };
        for (folder, (own, _)) in folders {
            bless.folder(folder, own, (files, named), max)?;
        }
        for folder in whole {
            bless.remove.extend(orphans(folder, trials, files));
        }
        Ok(bless)
    }

    fn folder(
        &mut self,
        folder: &str,
        rendered: &BTreeMap<String, String>,
        (files, named): (&Files, &BTreeSet<String>),
        max: u64,
    ) -> Result<(), BlessError> {
        let prefix = format!("{folder}/");
        for (inner, text) in rendered {
            let path = format!("{prefix}{inner}");
            if let Some(why) = path::problem(&path) {
                return Err(BlessError::Unusable { path, why });
            }
            let size = text.len() as u64;
            if size > max {
                let why = format!("it has {size} bytes, and a file of a catalog at most {max}");
                return Err(BlessError::Unusable { path, why });
            }
            let same =
                files.get(&path).and_then(|f| f.bytes()).is_some_and(|b| **b == *text.as_bytes());
            if !same {
                self.write.insert(path, text.clone());
            }
        }
        let stale = files.under(&prefix).map(|(path, _)| path);
        let stale = stale.filter(|path| !rendered.contains_key(&path[prefix.len()..]));
        // A folder in this one is an error of the test that names it, and its files are still that test's.
        let inner = || named.iter().filter(|other| other.len() > prefix.len());
        let inner = || inner().filter(|other| other.starts_with(&prefix));
        let stale = stale.filter(|path| !inner().any(|other| path.starts_with(other.as_str())));
        self.remove.extend(stale.map(str::to_owned));
        Ok(())
    }

    /// Writes and removes.
    ///
    /// # Errors
    /// What the disk says, and a link on the way.
    pub fn apply(self, root: &Path) -> Result<Blessed, BlessError> {
        for path in self.write.keys().chain(&self.remove) {
            no_link(root, path)?;
        }
        let mut done = Blessed::default();
        // First what goes: a file may stand where a folder comes.
        for path in self.remove {
            let at = root.join(&path);
            std::fs::remove_file(&at)
                .map_err(|source| BlessError::Disk { path: at.clone(), source })?;
            // As Git does: a folder without files is none.
            for folder in
                at.ancestors().skip(1).take_while(|f| f.file_name().is_some_and(|n| n != "tests"))
            {
                if std::fs::remove_dir(folder).is_err() {
                    break;
                }
            }
            done.removed.push(path);
        }
        for (path, text) in self.write {
            let at = root.join(&path);
            let disk = |source| BlessError::Disk { path: at.clone(), source };
            if let Some(folder) = at.parent() {
                std::fs::create_dir_all(folder).map_err(disk)?;
            }
            std::fs::write(&at, text).map_err(disk)?;
            done.written.push(path);
        }
        Ok(done)
    }
}

fn no_link(root: &Path, path: &str) -> Result<(), BlessError> {
    let mut at = root.to_owned();
    for part in path.split('/') {
        at.push(part);
        let meta = match std::fs::symlink_metadata(&at) {
            Ok(meta) => meta,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(source) => return Err(BlessError::Disk { path: at, source }),
        };
        if meta.is_symlink() {
            let why = "a symbolic link stands on the way".to_owned();
            return Err(BlessError::Unusable { path: path.to_owned(), why });
        }
    }
    Ok(())
}

/// Files below `tests/golden/` of a version's folder that are in no test's folder. `trials` are all of
/// its tests.
pub fn orphans(folder: &str, trials: &[Trial], files: &Files) -> Vec<String> {
    let prefix = format!("{folder}/tests/golden/");
    let named: Vec<String> =
        trials.iter().filter_map(|t| Some(format!("{}/", t.golden.as_ref()?.folder))).collect();
    let is_used = |path: &str| named.iter().any(|folder| path.starts_with(folder.as_str()));
    files.under(&prefix).map(|(path, _)| path).filter(|p| !is_used(p)).map(str::to_owned).collect()
}
