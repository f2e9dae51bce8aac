//! What checking files has found, in every format, and the exit code that it comes to.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use super::args::{Args, Format};
use super::failure::Kind;
use super::output;
use crate::model::{Diagnostic, Files, HoldReason, RequestId, Severity};
use crate::report;

/// Texts by path, for excerpts.
pub type Texts = BTreeMap<String, Arc<str>>;

/// What was looked at and found.
#[derive(Default)]
pub struct Findings {
    /// What is wrong.
    pub diagnostics: Vec<Diagnostic>,
    /// Requests that can only wait, and what for.
    pub waiting: Vec<(RequestId, HoldReason)>,
    /// Files that problems may lie in.
    pub texts: Texts,
    /// How many requests were looked at.
    pub requests: usize,
    /// How many versions of templates were looked at.
    pub templates: usize,
    /// A catalog was looked at, though there be no versions in it.
    pub of_catalog: bool,
    /// The folder that requests lie in, when it is not there.
    pub missing: Option<String>,
    /// What they were held against, for people.
    pub against: Vec<String>,
    /// What was not looked at, and why.
    pub notes: Vec<String>,
}

impl Findings {
    /// Keeps the texts of files for excerpts.
    pub fn excerpts_from(&mut self, files: &Files) {
        for (path, file) in &files.0 {
            if let Some(text) = file.bytes().and_then(|b| std::str::from_utf8(b).ok()) {
                self.texts.insert(path.clone(), text.into());
            }
        }
    }

    /// Prints all of it. With `strict` warnings count as errors do.
    pub fn finish(mut self, args: &Args, strict: bool) -> ExitCode {
        self.diagnostics.sort_by(|a, b| (&a.place, &a.code).cmp(&(&b.place, &b.code)));
        let errors = self.count(Severity::Error);
        let fails = errors > 0 || (strict && self.count(Severity::Warning) > 0);
        match args.format {
            Format::Json => output::print(&self.json(errors).to_string()),
            Format::Github => output::print(&format!(
                "{}{}",
                report::diagnostic::github(&self.diagnostics),
                report::diagnostic::github_notices(&self.notes)
            )),
            Format::Sarif => output::print(
                &report::diagnostic::sarif(&self.diagnostics, env!("CARGO_PKG_VERSION"))
                    .to_string(),
            ),
            Format::Text => {
                let text = self.text(errors);
                if !args.quiet || fails {
                    output::print(&text);
                }
            }
        }
        ExitCode::from(if fails { Kind::Invalid.code() } else { 0 })
    }

    fn count(&self, severity: Severity) -> usize {
        self.diagnostics.iter().filter(|d| d.severity == severity).count()
    }

    fn json(&self, errors: usize) -> serde_json::Value {
        let waiting = self.waiting.iter();
        let waiting: Vec<_> = waiting
            .map(|(id, reason)| serde_json::json!({"request": id, "reason": reason}))
            .collect();
        let mut value = report::diagnostic::json(&self.diagnostics);
        value["waiting"] = waiting.into();
        value["requests"] = self.requests.into();
        value["templates"] = self.templates.into();
        value["errors"] = errors.into();
        value["against"] = self.against.clone().into();
        value["notes"] = self.notes.clone().into();
        value
    }

    fn text(&self, errors: usize) -> String {
        let colour = output::is_colourful(&std::io::stdout());
        let source = |file: &str| self.texts.get(file).cloned();
        let mut text = report::diagnostic::terminal(&self.diagnostics, &source, colour);
        // Why a template cannot be had is said where it is asked for.
        let is_said = |reason: &HoldReason| {
            matches!(reason, HoldReason::TemplateRetired | HoldReason::TemplateMissing { .. })
        };
        for (id, reason) in self.waiting.iter().filter(|(_, reason)| !is_said(reason)) {
            text.push_str(&format!("note: {id}: {}\n", report::hold::reason(reason)));
        }
        if let Some(folder) = &self.missing {
            let folder = crate::model::quote(folder);
            text.push_str(&format!("note: there is no folder {folder} here, so no requests\n"));
        }
        for note in &self.notes {
            text.push_str(&format!("note: {note}\n"));
        }
        text.push_str(&self.summary(errors));
        text
    }

    fn summary(&self, errors: usize) -> String {
        let warnings = self.diagnostics.len() - errors;
        let count = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
        let mut looked = Vec::new();
        let of_catalog = self.of_catalog || self.templates > 0;
        if self.requests > 0 || !of_catalog {
            looked.push(count(self.requests, "request"));
        }
        if of_catalog {
            looked.push(count(self.templates, "template version"));
        }
        let against = match self.against.is_empty() {
            true => String::new(),
            false => format!(" against {}", self.against.join(" and ")),
        };
        format!(
            "Checked {}{against}: {}, {}.",
            looked.join(" and "),
            count(errors, "error"),
            count(warnings, "warning")
        )
    }
}
