//! What can be requested, as a table.

use serde_json::{Value, json};

use super::wrap;
use crate::catalog::file::Lifecycle;
use crate::catalog::{Catalog, TemplateVersion, offered};
use crate::report::pass::Paint;

/// Columns between columns.
const GAP: usize = 2;

/// Below this a template's text stands under its name and not beside it.
const NARROW: usize = 60;

/// For people.
pub fn list(catalog: &Catalog, width: usize, colour: bool) -> String {
    let paint = Paint(colour);
    let rows: Vec<_> = catalog.templates.values().filter_map(offered).collect();
    if rows.is_empty() {
        return "No templates.\n".to_owned();
    }
    let longest = |of: &dyn Fn(&TemplateVersion) -> usize| rows.iter().map(|r| of(r)).max();
    let names = longest(&|t| t.id.name.len()).unwrap_or_default();
    let versions = longest(&|t| t.id.version.to_string().len()).unwrap_or_default();
    let mut out = String::new();
    for template in rows {
        let (name, version) = (&template.id.name, template.id.version.to_string());
        let text = text(template);
        let remark = remark(template);
        if width < NARROW {
            out.push_str(&format!("{} {version}\n", paint.bold(name)));
            out.push_str(&wrap::block(&text, GAP, width));
        } else {
            let indent = names + versions + 2 * GAP;
            let first = format!("{}{}", paint.bold(name), " ".repeat(names - name.len() + GAP));
            out.push_str(&format!("{first}{version:<versions$}"));
            for (n, line) in wrap::lines(&text, width.saturating_sub(indent)).iter().enumerate() {
                let gap = if n == 0 { GAP } else { indent };
                out.push_str(&format!("{:gap$}{line}\n", ""));
            }
            if text.is_empty() {
                out.push('\n');
            }
        }
        if let Some(remark) = remark {
            let indent = if width < NARROW { GAP } else { names + versions + 2 * GAP };
            let block = wrap::block(&remark, indent, width);
            out.push_str(&paint.yellow(block.trim_end()));
            out.push('\n');
        }
    }
    out
}

/// Title and description, as one text.
fn text(template: &TemplateVersion) -> String {
    match (&template.title, &template.description) {
        (Some(title), Some(text)) => format!("{}. {text}", title.trim_end_matches('.')),
        (Some(one), None) | (None, Some(one)) => one.clone(),
        (None, None) => String::new(),
    }
}

/// What somebody who would request it should know before.
pub(super) fn remark(template: &TemplateVersion) -> Option<String> {
    let instead = template.replaced_by.as_ref().map(|other| format!(": use {other}"));
    let instead = instead.unwrap_or_default();
    if template.is_broken() {
        return Some("has errors and cannot be requested".to_owned());
    }
    match template.lifecycle {
        Lifecycle::Stable if template.id.version.pre.is_empty() => None,
        Lifecycle::Stable => Some("a pre-release: a request names this very version".to_owned()),
        Lifecycle::Experimental => {
            Some("experimental: a request names this very version".to_owned())
        }
        Lifecycle::Deprecated => Some(format!("deprecated{instead}")),
        Lifecycle::Retired => Some(format!("retired, takes no new requests{instead}")),
    }
}

/// For programs.
pub fn list_json(catalog: &Catalog) -> Value {
    let version = |t: &TemplateVersion| {
        json!({
            "version": t.id.version.to_string(),
            "lifecycle": t.lifecycle,
            "broken": t.is_broken(),
        })
    };
    let templates = catalog.templates.values().filter_map(|versions| {
        let offered = offered(versions)?;
        let versions: Vec<Value> = versions.values().rev().map(|t| version(t)).collect();
        Some(json!({
            "name": offered.id.name,
            "version": offered.id.version.to_string(),
            "title": offered.title,
            "description": offered.description,
            "owner": offered.owner,
            "lifecycle": offered.lifecycle,
            "broken": offered.is_broken(),
            "replacedBy": offered.replaced_by.as_ref().map(ToString::to_string),
            "versions": versions,
        }))
    });
    json!({
        "name": catalog.name,
        "description": catalog.description,
        "templates": templates.collect::<Vec<_>>(),
    })
}
