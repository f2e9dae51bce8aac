//! Versions that were published: what became of them in the catalog since, and what their numbers
//! say.
//!
//! # Guarantees
//! - A version that was edited after it was published is used as it was then, for as long as the
//!   commit that brought it can be read; where it cannot, requests of that version are refused.

use std::sync::Arc;

use super::pass::{Pass, read_folder};
use super::source;
use super::{PassError, case};
use crate::catalog::{Catalog, compat, published};
use crate::model::{Diagnostic, Files, Revision, TemplateId};

impl Pass<'_> {
    /// Puts versions that were edited back to what they were, and says which. `files` are the
    /// catalog's as they stand.
    pub(super) async fn restore(
        &self,
        catalog: &mut Catalog,
        files: &Files,
    ) -> Result<Vec<Diagnostic>, PassError> {
        let edited = published::edited(catalog, &self.memory.templates);
        if edited.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.engine.store.templates().await?;
        let mut problems = Vec::new();
        for (id, problem) in edited {
            let row = rows.iter().find(|row| row.id == id);
            let commit = row.and_then(|row| row.commit.as_ref());
            let then = commit.and_then(|commit| Some((commit, self.files_at(commit, &id)?)));
            let known = then.and_then(|(commit, then)| {
                let known = published::version(&then, &id)?;
                (Some(&known.digest) == self.memory.templates.get(&id))
                    .then_some((commit, then, known))
            });
            let Some((commit, then, mut known)) = known else {
                problems.push(problem);
                continue;
            };
            let versions = catalog.templates.entry(id.name.clone()).or_default();
            if let Some(now) = versions.get(&id.version) {
                known.read = now.read;
                if published::is_as_published(&then, files, &id) {
                    published::take_todays(&mut known, now);
                } else {
                    let message =
                        format!("{}; it is used as it was at {}", problem.message, commit.short());
                    problems.push(Diagnostic { message, ..problem });
                }
            }
            versions.insert(id.version.clone(), Arc::new(known));
        }
        Ok(problems)
    }

    /// Says which versions are gone although somebody has them.
    pub(super) fn note_missed(&mut self) {
        self.report.diagnostics.extend(published::missed(&self.report.holds));
    }

    /// The files of a version as they stood at a commit of the catalog.
    fn files_at(&self, commit: &Revision, id: &TemplateId) -> Option<Files> {
        let source = &self.snapshots[0].source;
        let inner = format!("templates/{}/{}", id.name, id.version);
        let folder = source::join(&source.folder, &inner);
        let max = self.engine.config.settings.limits.file_bytes;
        let files = read_folder(source.mirror(), commit, &folder, max).ok()?;
        let whole = files.0.into_iter().map(|(path, file)| (format!("{inner}/{path}"), file));
        Some(Files(whole.collect()))
    }

    /// What versions' numbers say too little of. Whoever applies can only be told; on a pull request
    /// it is an error of what is new in it, and what is published is not spoken of.
    pub(super) fn numbers(&self, catalog: &Catalog) -> Result<Vec<Diagnostic>, PassError> {
        if self.lease.is_some() {
            let found = compat::comparisons(catalog)
                .flat_map(|(version, comparison)| compat::judge(version, &comparison, true));
            return Ok(found.collect());
        }
        let (tests, mut problems) = (case::Versions::of(catalog)?, Vec::new());
        for (version, comparison) in compat::comparisons(catalog) {
            if self.memory.templates.contains_key(&version.id) {
                continue;
            }
            let old = catalog.version(&comparison.from);
            let renders = old.map(|old| tests.differences(old, version));
            let comparison = comparison.with(renders.unwrap_or_default());
            problems.extend(compat::judge(version, &comparison, false));
        }
        Ok(problems)
    }
}
