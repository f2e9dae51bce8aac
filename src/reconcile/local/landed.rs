//! Which versions of templates are published, as far as a clone of the catalog knows.
//!
//! # Flow
//! A version is published once it is on the catalog's branch. Of that branch a clone has its tip, as it was
//! last fetched, and of its history the commit that the clone's own work began from: where the branch itself
//! is checked out, the one before it. What the status branch says of a version counts before either, since
//! vend wrote it down when it saw the version first.
//!
//! # Caveats
//! A workflow's clone often has one commit and no branch. Then nothing is known, and that is said: it is never
//! taken for "nothing was published".

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::cache::files_at;
use super::published::document;
use super::sheets::Sheets;
use crate::catalog::{Catalog, published};
use crate::digest::Digest;
use crate::git::{Blob, GitError, Mirror, WorkingCopy};
use crate::model::{Diagnostic, Files, Revision, TemplateId};

/// The names that a catalog's branch has when nobody says another, as the server has it, else here.
const MAIN: [&str; 5] = [
    "refs/remotes/origin/HEAD",
    "refs/remotes/origin/main",
    "refs/remotes/origin/master",
    "refs/heads/main",
    "refs/heads/master",
];

/// A status branch has at most so many versions, and more bytes are none of its files.
const MAX_VERSIONS: usize = 100_000;

/// What is published.
pub struct Landed {
    /// For people: what it was read from, such as "`origin/main` at 1a2b3c4".
    pub from: Vec<String>,
    /// Commits that have it, the older ones first.
    commits: Vec<(Revision, Files)>,
    /// What vend wrote down: the digest, and the commit that brought it.
    recorded: BTreeMap<TemplateId, (Digest, Option<Revision>)>,
    /// The catalog's folder from the top of its repository.
    inner: String,
    mirror: Mirror,
    max: u64,
}

impl Landed {
    /// What the clone `copy` knows of the catalog in `folder`, `base` being the commit to compare with, where
    /// somebody names one, and `branch` the catalog's branch, where a configuration does. The error says why
    /// there is nothing to compare with.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn of_clone(
        copy: &WorkingCopy,
        folder: &Path,
        base: Option<&Revision>,
        branch: Option<&str>,
        max: u64,
    ) -> Result<Result<Self, String>, GitError> {
        let Some(repository) = copy.repository() else {
            return Ok(Err("the catalog is in no Git repository".into()));
        };
        let mirror = Mirror::open_local(repository)?;
        let real = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
        let inner = real.strip_prefix(copy.root()).ok().and_then(Path::to_str).unwrap_or_default();
        let mut landed = Self {
            from: Vec::new(),
            commits: Vec::new(),
            recorded: BTreeMap::new(),
            inner: inner.to_owned(),
            mirror,
            max,
        };
        if let Some(base) = base {
            landed.take(base)?;
            landed.from.push(format!("commit {}", base.short()));
            return Ok(Ok(landed));
        }
        let names = branch.into_iter().flat_map(|branch| {
            [format!("refs/remotes/origin/{branch}"), format!("refs/heads/{branch}")]
        });
        for name in names.chain(MAIN.map(str::to_owned)) {
            let Some(tip) = landed.mirror.branch_tip(&name)? else { continue };
            if let Some(head) = copy.head() {
                let before = match head == tip {
                    true => landed.mirror.first_parent(&tip)?,
                    false => landed.mirror.merge_base(&head, &tip)?,
                };
                // In a shallow clone the name of a commit may be there without the commit.
                if let Some(before) = before.filter(|before| *before != tip) {
                    let _ = landed.take(&before);
                }
            }
            landed.take(&tip)?;
            let name = name.trim_start_matches("refs/heads/").trim_start_matches("refs/remotes/");
            landed.from.push(format!("`{name}` at {}", tip.short()));
            return Ok(Ok(landed));
        }
        let shown = branch.map_or_else(|| "`main` or `master`".into(), |b| format!("`{b}`"));
        Ok(Err(format!("this clone has no branch {shown}")))
    }

    /// What only a status branch says, of a catalog that stands in `folder` of a repository.
    ///
    /// # Errors
    /// When objects cannot be read.
    pub fn of_status(
        (status, tip): (&Mirror, &Revision),
        (mirror, folder): &(Mirror, String),
        max: u64,
    ) -> Result<Self, GitError> {
        let mut landed = Self {
            from: Vec::new(),
            commits: Vec::new(),
            recorded: BTreeMap::new(),
            inner: folder.clone(),
            mirror: mirror.clone(),
            max,
        };
        landed.recorded(status, tip)?;
        Ok(landed)
    }

    fn take(&mut self, commit: &Revision) -> Result<(), GitError> {
        let files = files_at(self.mirror.clone(), &self.inner, commit, self.max)?;
        self.commits.push((commit.clone(), files));
        Ok(())
    }

    /// Adds what a status branch says.
    ///
    /// # Errors
    /// When its objects cannot be read.
    pub fn recorded(&mut self, status: &Mirror, tip: &Revision) -> Result<(), GitError> {
        let Some(tree) = status.tree(tip, "catalog")? else { return Ok(()) };
        for entry in status.entries(tree, MAX_VERSIONS)? {
            let id = entry.path.strip_suffix(".yaml").and_then(|path| {
                let (name, version) = path.split_once('/')?;
                TemplateId::parse(&format!("{name}@{version}"))
            });
            let (Some(id), Blob::Bytes(bytes)) = (id, status.blob(entry.id, 65_536)?) else {
                continue;
            };
            let Some(said) = document(&bytes) else { continue };
            let digest = said.get("digest").cloned().and_then(|v| serde_json::from_value(v).ok());
            let commit = said.get("catalogCommit").cloned();
            let commit = commit.and_then(|v| serde_json::from_value(v).ok()).flatten();
            if let Some(digest) = digest {
                self.recorded.insert(id, (digest, commit));
            }
        }
        self.from.push(format!("the status branch at {}", tip.short()));
        Ok(())
    }

    /// Whether a version is published.
    pub fn has(&self, id: &TemplateId) -> bool {
        self.recorded.contains_key(id) || self.commits.iter().any(|(_, files)| has(files, id))
    }

    /// The versions of a catalog that are.
    pub fn published(&self, catalog: &Catalog) -> BTreeSet<TemplateId> {
        let ids = catalog.versions().map(|version| version.id.clone());
        ids.filter(|id| self.has(id)).collect()
    }

    /// The versions of a catalog that were edited since. `files` are the catalog's.
    pub fn edited(&self, catalog: &Catalog, files: &Files) -> Vec<Diagnostic> {
        let mut known = BTreeMap::new();
        let mut then = BTreeMap::new();
        for version in catalog.versions() {
            let id = &version.id;
            let Some((digest, at)) = self.published_as(id) else { continue };
            known.insert(id.clone(), digest);
            then.extend(at.map(|at| (id.clone(), at)));
        }
        let mut problems = Vec::new();
        for (id, problem) in published::edited(catalog, &known) {
            match then.get(&id) {
                // Only how far it has come, or its tests, differ, which may.
                Some((_, then)) if published::is_as_published(then, files, &id) => {}
                Some((at, _)) => {
                    let message = format!("{}: at {} it is another", problem.message, at.short());
                    problems.push(Diagnostic { message, ..problem });
                }
                // What this very change did not touch is not its doing.
                None if self
                    .commits
                    .iter()
                    .any(|c| published::is_as_published(&c.1, files, &id)) => {}
                None => {
                    let message =
                        format!("{}: the status branch has another digest", problem.message);
                    problems.push(Diagnostic { message, ..problem });
                }
            }
        }
        problems
    }

    /// Puts versions that were edited since back to what they were, as a pass does, and says which. `files`
    /// are the catalog's. What they were is in its history, or they stay as they are.
    pub fn restore(&self, catalog: &mut Catalog, files: &Files) -> Vec<Diagnostic> {
        let recorded =
            self.recorded.iter().map(|(id, (digest, _))| (id.clone(), *digest)).collect();
        let mut problems = Vec::new();
        for (id, problem) in published::edited(catalog, &recorded) {
            let then = self.published_as(&id).and_then(|(_, then)| then);
            let known = then.and_then(|(at, then)| {
                let version = published::version(&then, &id)?;
                Some((at, then, version))
            });
            let Some((at, then, mut known)) = known else {
                let message = format!("{}, and what it was is not in its history", problem.message);
                problems.push(Diagnostic { message, ..problem });
                continue;
            };
            let versions = catalog.templates.entry(id.name.clone()).or_default();
            if published::is_as_published(&then, files, &id) {
                if let Some(now) = versions.get(&id.version) {
                    published::take_todays(&mut known, now);
                }
            } else {
                let message =
                    format!("{}; it is used as it was at {}", problem.message, at.short());
                problems.push(Diagnostic { message, ..problem });
            }
            versions.insert(id.version.clone(), Arc::new(known));
        }
        problems
    }

    /// Versions that are published and gone from a catalog. With the status branch those that somebody
    /// has, by its `sheets`; without it those that this very change takes away.
    pub fn gone(&self, catalog: &Catalog, sheets: Option<&Sheets>) -> Vec<Diagnostic> {
        let here = self.commits.iter().flat_map(|(_, files)| versions(files));
        let mut known: BTreeSet<TemplateId> = here.collect();
        known.extend(self.recorded.keys().cloned());
        known.retain(|id| catalog.version(id).is_none());
        match sheets {
            // Nobody has what nobody took away.
            _ if known.is_empty() => Vec::new(),
            None => known.iter().map(published::perhaps_missed).collect(),
            Some(sheets) => {
                let having = sheets.having(&known);
                having.iter().map(|(id, users)| published::gone(id, users)).collect()
            }
        }
    }

    /// The digest that a version was published with, and the files of a commit that has it so.
    fn published_as(&self, id: &TemplateId) -> Option<(Digest, Option<(Revision, Files)>)> {
        let here = self.commits.iter().filter(|(_, files)| has(files, id));
        let digest = |files: &Files| Some(published::version(files, id)?.digest);
        let of = |(at, files): &(Revision, Files)| {
            let inner = format!("templates/{}/{}/", id.name, id.version);
            let own = files.under(&inner).map(|(path, file)| (path.to_owned(), file.clone()));
            (at.clone(), Files(own.collect()))
        };
        if let Some((recorded, commit)) = self.recorded.get(id) {
            if let Some(same) = here.clone().find(|(_, files)| digest(files) == Some(*recorded)) {
                return Some((*recorded, Some(of(same))));
            }
            let brought = commit.as_ref().and_then(|commit| {
                let files = files_at(self.mirror.clone(), &self.inner, commit, self.max).ok()?;
                (digest(&files) == Some(*recorded)).then(|| of(&(commit.clone(), files)))
            });
            return Some((*recorded, brought));
        }
        // The oldest one that has it: what came later may have been an edit already.
        let first = here.clone().next()?;
        Some((digest(&first.1)?, Some(of(first))))
    }
}

/// The versions that a catalog's files have.
fn versions(files: &Files) -> impl Iterator<Item = TemplateId> {
    files.under("templates/").filter_map(|(path, _)| {
        let (name, rest) = path.strip_prefix("templates/")?.split_once('/')?;
        let (version, _) = rest.split_once('/')?;
        TemplateId::parse(&format!("{name}@{version}"))
    })
}

fn has(files: &Files, id: &TemplateId) -> bool {
    files.under(&format!("templates/{}/{}/", id.name, id.version)).next().is_some()
}
