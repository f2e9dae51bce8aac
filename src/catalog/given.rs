//! The values that an environment gives: `defaults` and `locked`, against the templates that they are for.
//!
//! A request meets them one by one. Whoever writes them should not have to wait for that.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::environment::Environment;
use super::explain::{self, Part, Subject, escape};
use super::load::{Catalog, no_template};
use super::parameters::holds_secret;
use super::resolve::Versions;
use super::template::TemplateVersion;
use super::upgrade::{newest_of, unheard};
use super::values::depends;
use crate::model::{Diagnostic, Map, Place, Severity, nearest, quote};

/// What is wrong with them.
pub(super) fn problems(
    catalog: &Catalog,
    environment: &Environment,
    problems: &mut Vec<Diagnostic>,
) {
    let fields = [("defaults", &environment.defaults), ("locked", &environment.locked)];
    for (field, by_template) in fields {
        for (template, values) in by_template {
            let at = format!("/spec/{field}/{template}");
            let Some(versions) = catalog.templates.get(template) else {
                problems.push(no_template(catalog, template, environment.key_place(&at)));
                continue;
            };
            let sound: Vec<&Arc<TemplateVersion>> =
                versions.values().filter(|version| !version.is_broken()).collect();
            if sound.is_empty() {
                continue;
            }
            let given = Given { environment, field, at: &at, template, versions, values, sound };
            for (name, value) in values {
                problems.extend(given.problems(name, value));
            }
        }
    }
}

/// The values of one field for one template.
struct Given<'a> {
    environment: &'a Environment,
    field: &'static str,
    at: &'a str,
    template: &'a str,
    versions: &'a Versions,
    values: &'a Map,
    /// The versions that can be used, the lowest first.
    sound: Vec<&'a Arc<TemplateVersion>>,
}

impl Given<'_> {
    fn problems(&self, name: &str, value: &Value) -> Vec<Diagnostic> {
        let declaring: Vec<&Arc<TemplateVersion>> = self
            .sound
            .iter()
            .copied()
            .filter(|version| version.parameters.names.contains(name))
            .collect();
        let Some(last) = declaring.last() else { return vec![self.nowhere(name)] };
        let newest = newest_of(self.versions);
        let mut problems = self.refused(name, value, &declaring, newest);
        if let Some(newest) = newest.filter(|newest| newest.id.version > last.id.version) {
            problems.extend(self.unheard(name, last, newest));
        }
        problems
    }

    fn place(&self, name: &str) -> Place {
        self.environment.key_place(&format!("{}/{}", self.at, escape(name)))
    }

    /// No version has the parameter: a slip of the pen would go unseen.
    fn nowhere(&self, name: &str) -> Diagnostic {
        let names = self.sound.iter().flat_map(|version| version.parameters.names.iter());
        let known: BTreeSet<&str> = names.map(String::as_str).collect();
        let message = format!("no version of `{}` has a parameter {}", self.template, quote(name));
        let problem = Diagnostic::warning("ENV006", self.place(name), message);
        match nearest(name, known.iter().copied()) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem,
        }
    }

    /// The newest version has it no more: who comes to that is without the value.
    fn unheard(
        &self,
        name: &str,
        last: &TemplateVersion,
        newest: &TemplateVersion,
    ) -> Option<Diagnostic> {
        let lost = unheard(self.versions, self.values, name, &last.id.version, newest)?;
        let value = if self.field == "locked" { "lock" } else { "default" };
        let message = format!(
            "`{}` has no parameter {}: this {value} has no effect there",
            newest.id,
            quote(name)
        );
        let problem = Diagnostic::warning("ENV006", self.place(name), message);
        Some(match lost.called.as_slice() {
            [] => problem.help(
                "give what took its place the value; a migration that drops it says that nothing did",
            ),
            called => {
                let called: Vec<_> = called.iter().map(|name| quote(name)).collect();
                problem.help(format!("it became {}: give that the value too", called.join(" and ")))
            }
        })
    }

    /// A version does not take the value: all its requests there have an error that is not theirs.
    /// An error, where the newest one does not; of an older one it may be known.
    fn refused(
        &self,
        name: &str,
        value: &Value,
        declaring: &[&Arc<TemplateVersion>],
        newest: Option<&Arc<TemplateVersion>>,
    ) -> Vec<Diagnostic> {
        let of = |version: &&Arc<TemplateVersion>| {
            (version.id.clone(), self.against(name, value, version))
        };
        let refusing: Vec<_> =
            declaring.iter().rev().map(of).filter(|(_, p)| !p.is_empty()).collect();
        // What is said is said of the newest of those that refuse it.
        let Some((id, problems)) = refusing.first() else { return Vec::new() };
        let is_newest = newest.is_some_and(|newest| newest.id == *id);
        let severity = match is_newest || refusing.len() == declaring.len() {
            true => Severity::Error,
            false => Severity::Warning,
        };
        let more = match refusing.len() - 1 {
            0 => String::new(),
            1 => " and an older version".to_owned(),
            n => format!(" and {n} older versions"),
        };
        let of_it = |problem: &Diagnostic| {
            let message = format!("for `{id}`{more}: {}", problem.message);
            Diagnostic { message, severity, ..problem.clone() }
        };
        problems.iter().map(of_it).collect()
    }

    /// What a version has against the value, looked at alone: others may come with the request.
    fn against(&self, name: &str, value: &Value, version: &TemplateVersion) -> Vec<Diagnostic> {
        let parameters = &version.parameters;
        let is_sensitive = parameters.sensitive.contains(name);
        if is_sensitive && self.field == "defaults" {
            let message =
                format!("{} is sensitive, and a value stands here for all to read", quote(name));
            let help = "let each request refer to a secret; if it was ever committed, change it: Git keeps it";
            return vec![Diagnostic::error("SEC001", self.place(name), message).help(help)];
        }
        let place = |pointer: &str, part: Part| {
            let pointer = format!("{}{pointer}", self.at);
            match part {
                Part::Key => self.environment.key_place(&pointer),
                Part::Value => self.environment.place(&pointer),
            }
        };
        let mut whole = serde_json::Map::from_iter([(name.to_owned(), value.clone())]);
        parameters.fill_nested(&mut whole);
        let whole = Value::Object(whole);
        let subject = Subject {
            place: &place,
            scalar: &|_| None,
            hidden: &|_| is_sensitive || holds_secret(value),
            noun: "field",
        };
        let own = format!("/{}", escape(name));
        let below = format!("{own}/");
        let counts = |error: &jsonschema::ValidationError<'_>| {
            let path = error.instance_path().as_str();
            (path == own || path.starts_with(&below)) && !depends(error)
        };
        explain::check_some(&parameters.schema, &whole, &subject, &[], &counts)
    }
}
