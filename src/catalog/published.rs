//! Published versions never change: what they were, against what a catalog has now; and they stay
//! where they are for as long as anybody has them.
//!
//! How far a version has come is no part of that: `lifecycle` and `replacedBy` may be changed for as
//! long as the version is there, since nothing that it makes depends on them. Nor are its tests: what they
//! expect depends on environments, which change. The digest that is recorded is of the whole folder all the
//! same, since stores have it so; where it differs, the files tell whether that counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::Value;

use super::load::Catalog;
use super::template::{Folder, TESTS, TemplateVersion, template};
use crate::digest::Digest;
use crate::model::{
    Diagnostic, File, Files, Hold, HoldReason, Place, RequestId, TemplateId, quote,
};
use crate::yaml;

/// Versions of `catalog` that are published with another content, each with the problem that says so.
/// Of those whose published files are known, [`is_as_published`] tells more.
pub fn edited(
    catalog: &Catalog,
    published: &BTreeMap<TemplateId, Digest>,
) -> Vec<(TemplateId, Diagnostic)> {
    let is_other = |version: &&TemplateVersion| {
        published.get(&version.id).is_some_and(|known| *known != version.read)
    };
    let edited = catalog.versions().map(|version| &**version).filter(is_other);
    edited.map(|version| (version.id.clone(), problem(version))).collect()
}

fn problem(version: &TemplateVersion) -> Diagnostic {
    let message = format!("`{}` was edited after it was published", version.id);
    Diagnostic::error("CAT010", Place::file(version.file()), message).help(
        "put that version's folder back as it was, and publish what is new as a version of its own",
    )
}

/// The code of what is said of a version that is gone.
const GONE: &str = "CAT021";

/// Versions that are gone from the catalog although requests have them, by what is held for that.
pub fn missed<'a>(holds: impl IntoIterator<Item = &'a Hold>) -> Vec<Diagnostic> {
    let mut users: BTreeMap<&TemplateId, BTreeSet<&RequestId>> = BTreeMap::new();
    for hold in holds {
        if let HoldReason::TemplateMissing { version } = &hold.reason {
            users.entry(version).or_default().insert(&hold.request);
        }
    }
    users.into_iter().map(|(version, users)| gone(version, users)).collect()
}

/// That a version is gone although these requests have it.
pub fn gone<'a>(
    version: &TemplateId,
    users: impl IntoIterator<Item = &'a RequestId>,
) -> Diagnostic {
    const NAMED: usize = 3;
    let users: Vec<&RequestId> = users.into_iter().collect();
    let mut names =
        users.iter().take(NAMED).map(|id| quote(id.as_str())).collect::<Vec<_>>().join(", ");
    let verb = if users.len() == 1 { "was" } else { "were" };
    if let Some(more) = users.len().checked_sub(NAMED).filter(|more| *more > 0) {
        names.push_str(&format!(" and {more} more"));
    }
    let message = format!("`{version}` is gone from the catalog, and {names} {verb} made with it");
    Diagnostic::error(GONE, gone_from(version), message).help(
        "put that version's folder back: who has it stays as it is, and takes nothing from the catalog, until \
         a newer version's rollout reaches it or its file takes another",
    )
}

/// That a version is gone, where nobody can say who has it.
pub fn perhaps_missed(version: &TemplateId) -> Diagnostic {
    let message = format!("`{version}` was published, and is gone from the catalog");
    Diagnostic::warning(GONE, gone_from(version), message).help(
        "put that version's folder back unless nobody has it: `vend catalog show NAME --users` tells",
    )
}

fn gone_from(version: &TemplateId) -> Place {
    Place::file(format!("{}template.yaml", prefix(version)))
}

/// One version, from the files of a tree that has it; `None` where it has not.
pub fn version(files: &Files, id: &TemplateId) -> Option<TemplateVersion> {
    let prefix = prefix(id);
    let folder = Folder::of(files, &prefix);
    let digest = folder.digest();
    (!folder.files.is_empty()).then(|| template(id.clone(), &folder, digest))
}

/// Whether a version's files are those that were published, but for how far it has come and its tests. Where
/// a schema lies among those, they are no longer tests alone.
pub fn is_as_published(published: &Files, now: &Files, id: &TemplateId) -> bool {
    let prefix = prefix(id);
    let name = format!("{prefix}template.yaml");
    let tests = format!("{prefix}{TESTS}");
    let is_free =
        |files: &Files| version(files, id).is_some_and(|v| !v.schema_among_tests && !v.is_broken());
    let leaves_out = is_free(published) && is_free(now);
    let counts = |path: &str| path != name && !(leaves_out && path.starts_with(&tests));
    let rest = |files: &Files| -> Vec<(String, File)> {
        let all = files.under(&prefix).filter(|(path, _)| counts(path));
        all.map(|(path, file)| (path.to_owned(), file.clone())).collect()
    };
    let said = |files: &Files| timeless(&name, files.get(&name)?);
    rest(published) == rest(now) && said(published).is_some() && said(published) == said(now)
}

/// What the catalog says today of a version that is as it was published.
pub fn take_todays(known: &mut TemplateVersion, now: &TemplateVersion) {
    known.lifecycle = now.lifecycle;
    known.replaced_by.clone_from(&now.replaced_by);
    known.tests.clone_from(&now.tests);
    known.test_files.clone_from(&now.test_files);
    known.test_problems.clone_from(&now.test_problems);
}

/// Takes versions that were just read for those of `then` where only how far they have come differs:
/// all that they make is the same.
pub fn settle(now: &mut Catalog, files: &Files, then: &Catalog, then_files: &Files) {
    for was in then.versions() {
        let versions = now.templates.get_mut(&was.id.name);
        let is = versions.and_then(|versions| versions.get_mut(&was.id.version));
        let is = is.filter(|is| is.digest != was.digest);
        if let Some(is) = is.and_then(Arc::get_mut)
            && is_as_published(then_files, files, &was.id)
        {
            is.digest = was.digest;
        }
    }
}

/// What `template.yaml` says, but for how far the version has come.
fn timeless(name: &str, file: &File) -> Option<Value> {
    let file_name = name.into();
    let node = yaml::read(&file_name, file.bytes()?, &yaml::Options::request()).ok()?.pop()?;
    let mut said = node.to_json();
    let metadata = said.get_mut("metadata")?.as_object_mut()?;
    metadata.remove("lifecycle");
    metadata.remove("replacedBy");
    Some(said)
}

fn prefix(id: &TemplateId) -> String {
    format!("templates/{}/{}/", id.name, id.version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(template: &str, source: &str) -> Files {
        let mut files = Files::default();
        files.insert("templates/a/1.0.0/template.yaml", template.as_bytes());
        files.insert("templates/a/1.0.0/a.yaml.hbs", source.as_bytes());
        files
    }

    #[test]
    fn how_far_a_version_has_come_may_change() {
        let id = TemplateId::parse("a@1.0.0").unwrap();
        let was = files("metadata: {name: a}\nspec: {}\n", "x: 1\n");
        let is =
            |template: &str, source: &str| is_as_published(&was, &files(template, source), &id);
        assert!(is("metadata: {name: a}\nspec: {}\n", "x: 1\n"));
        assert!(is(
            "# Old.\nmetadata: {name: a, lifecycle: retired, replacedBy: b@^1}\nspec: {}\n",
            "x: 1\n"
        ));
        assert!(!is("metadata: {name: a, title: A}\nspec: {}\n", "x: 1\n"));
        assert!(!is("metadata: {name: a}\nspec: {}\n", "x: 2\n"));
        assert!(!is("metadata: [", "x: 1\n"));
    }

    #[test]
    fn its_tests_may_change_where_they_are_nothing_else() {
        let id = TemplateId::parse("a@1.0.0").unwrap();
        let all = |parameters: &str, test: &str| {
            let components = "[{name: a, provider: files, source: a.yaml.hbs}]";
            let template = format!(
                "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {{name: a, version: 1.0.0}}\n\
                 spec: {{parameters: {parameters}, components: {components}}}\n"
            );
            let mut files = files(&template, "x: 1\n");
            files.insert("templates/a/1.0.0/tests/a.yaml", test.as_bytes());
            files.insert("templates/a/1.0.0/schema.yaml", &b"type: object\n"[..]);
            files
        };
        let is_same = |parameters: &str| {
            let was = all(parameters, "type: object\n");
            let is = all(parameters, "type: object\ntitle: Other\n");
            is_as_published(&was, &is, &id)
        };
        assert!(is_same("schema.yaml"));
        assert!(!is_same("tests/a.yaml"));
        assert!(!is_same("{type: object, properties: {x: {$ref: tests/a.yaml}}}"));
        // Nor is one added or taken away an edit.
        let mut without = all("schema.yaml", "");
        without.0.remove("templates/a/1.0.0/tests/a.yaml");
        assert!(is_as_published(&all("schema.yaml", ""), &without, &id));
        assert!(is_as_published(&without, &all("schema.yaml", ""), &id));
    }
}
