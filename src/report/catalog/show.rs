//! One version of a template, as a page of a manual.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{list, parameter, wrap};
use crate::catalog::file::Lifecycle;
use crate::catalog::{Catalog, Environment, Example, TemplateVersion, Versions};
use crate::model::{RequestId, escape, visible};
use crate::report::pass::Paint;

/// Users that are listed one by one for people.
const USERS_MAX: usize = 50;

/// A request of the template.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct User {
    /// Which.
    pub id: RequestId,
    /// The version that it gets, or that it asks for where it gets none.
    pub version: String,
    /// Where it stands, by the status branch; `None` when it is only in the working copy.
    pub phase: Option<String>,
}

/// What a page is made from.
pub struct Page<'a> {
    /// The catalog.
    pub catalog: &'a Catalog,
    /// All versions of the template.
    pub versions: &'a Versions,
    /// The one that is shown.
    pub template: &'a TemplateVersion,
    /// A request that would be accepted.
    pub example: Option<Example>,
    /// Who uses any version of it, where that was asked.
    pub users: Option<Vec<User>>,
}

/// For people.
pub fn show(page: &Page<'_>, width: usize, colour: bool) -> String {
    let paint = Paint(colour);
    let template = page.template;
    let mut out = paint.bold(&template.id.to_string());
    if let Some(title) = &template.title {
        out.push_str(&format!("  {}", visible(title, 200)));
    }
    out.push('\n');
    if let Some(text) = &template.description {
        out.push_str(&wrap::block(text, 2, width));
    }
    if let Some(remark) = list::remark(template) {
        out.push_str(&paint.yellow(wrap::block(&remark, 2, width).trim_end()));
        out.push('\n');
    }
    out.push('\n');
    about(page, width, &mut out);
    let mut section = |title: &str, body: String| {
        if !body.is_empty() {
            out.push_str(&format!("\n{}\n{body}", paint.bold(title)));
        }
    };
    section("Parameters", parameters(template, width));
    section("Outputs", outputs(template, width));
    section("Components", components(template, width));
    section("Environments", environments(page, width));
    section("Rules", rules(template, width));
    section("Example", example(page, width));
    if let Some(users) = &page.users {
        section("Users", used(users, width));
    }
    out
}

fn entry(name: &str, text: &str, width: usize) -> String {
    wrap::hanging(&format!("{name:<9}  "), text, width)
}

fn about(page: &Page<'_>, width: usize, out: &mut String) {
    let template = page.template;
    if let Some(owner) = &template.owner {
        let handles = page.catalog.owners.get(owner).map(|h| h.join(", ")).unwrap_or_default();
        let handles = if handles.is_empty() { handles } else { format!(" ({handles})") };
        out.push_str(&entry("owner", &format!("{owner}{handles}"), width));
    }
    out.push_str(&entry("lifecycle", lifecycle(template.lifecycle), width));
    let versions = page.versions.values().rev().map(|other| match other.lifecycle {
        _ if other.is_broken() => format!("{} (has errors)", other.id.version),
        Lifecycle::Stable => other.id.version.to_string(),
        of => format!("{} ({})", other.id.version, lifecycle(of)),
    });
    out.push_str(&entry("versions", &versions.collect::<Vec<_>>().join(", "), width));
}

fn lifecycle(lifecycle: Lifecycle) -> &'static str {
    match lifecycle {
        Lifecycle::Experimental => "experimental",
        Lifecycle::Stable => "stable",
        Lifecycle::Deprecated => "deprecated",
        Lifecycle::Retired => "retired",
    }
}

/// A name with facts beside it and a text below.
fn item(name: &str, facts: &str, text: Option<&str>, width: usize) -> String {
    let mut out = wrap::hanging(&format!("  {}  ", visible(name, 80)), facts, width);
    if let Some(text) = text {
        out.push_str(&wrap::block(text, 6, width));
    }
    out
}

fn parameters(template: &TemplateVersion, width: usize) -> String {
    let all = parameter::all(&template.parameters).into_iter();
    all.map(|p| item(&p.name, &p.facts.join("; "), p.description.as_deref(), width)).collect()
}

fn outputs(template: &TemplateVersion, width: usize) -> String {
    let one = |(name, spec): (&String, &crate::model::OutputSpec)| {
        let sensitive = if spec.sensitive { "; sensitive: shown as a reference only" } else { "" };
        let facts = format!("{}.{}{sensitive}", spec.component, visible(&spec.output, 200));
        item(name, &facts, template.output_help.get(name).map(String::as_str), width)
    };
    template.outputs.iter().map(one).collect()
}

fn components(template: &TemplateVersion, width: usize) -> String {
    let one = |component: &crate::catalog::ComponentSpec| {
        let needs: Vec<&str> = component.needs.iter().map(|need| need.as_str()).collect();
        let needs = needs.join(", ");
        let after = if needs.is_empty() { needs } else { format!(", after {needs}") };
        let facts = format!("{}{after}", visible(&component.provider, 80));
        item(component.name.as_str(), &facts, None, width)
    };
    template.components.iter().map(one).collect()
}

/// Environments that would take a request of it.
fn offering<'a>(page: &'a Page<'_>) -> impl Iterator<Item = &'a Environment> {
    let template = page.template;
    page.catalog.environments.values().map(|e| &**e).filter(move |environment| {
        let serves =
            |c: &crate::catalog::ComponentSpec| environment.providers.contains_key(&c.provider);
        !environment.is_broken()
            && environment.allows(&template.id.name)
            && template.components.iter().all(serves)
    })
}

fn environments(page: &Page<'_>, width: usize) -> String {
    let name = &page.template.id.name;
    let values = |of: &BTreeMap<String, crate::model::Map>, how: &str| {
        let values = of.get(name).into_iter().flatten();
        let shown: Vec<String> = values
            .map(|(name, value)| format!("{} {}", visible(name, 80), parameter::shown(value)))
            .collect();
        (!shown.is_empty()).then(|| format!("{how}: {}", shown.join(", ")))
    };
    let one = |environment: &Environment| {
        let mut facts = Vec::new();
        facts.extend(environment.protect.then(|| "protected".to_owned()));
        facts.extend(values(&environment.defaults, "defaults"));
        facts.extend(values(&environment.locked, "locked"));
        let rules = environment.rules.deny.len() + environment.rules.approvals.len();
        facts.extend((rules > 0).then(|| "rules of its own".to_owned()));
        let text = environment.description.as_deref();
        item(&environment.name, &facts.join("; "), text, width)
    };
    let found: String = offering(page).map(one).collect();
    if found.is_empty() { "  none: no environment offers it\n".to_owned() } else { found }
}

fn rules(template: &TemplateVersion, width: usize) -> String {
    let mut out = String::new();
    for rule in &template.rules.deny {
        out.push_str(&wrap::hanging("  denied  ", &rule.message, width));
    }
    for rule in &template.rules.approvals {
        let who = format!("{} of {}", rule.count, rule.teams.join(", "));
        let when = match &rule.when {
            Some(_) => format!("{who} where {}", rule.text),
            None => format!("{who}, always"),
        };
        out.push_str(&wrap::hanging("  approval by  ", &when, width));
    }
    if let Some(allowed) = &template.allow {
        out.push_str(&wrap::hanging("  makes only  ", &allowed.patterns.join(", "), width));
    }
    out
}

/// Never wrapped: it is there to be copied.
fn example(page: &Page<'_>, width: usize) -> String {
    match &page.example {
        Some(example) => {
            let lines = example.text.lines().map(|line| format!("  {}\n", visible(line, 500)));
            format!("  # {}\n{}", example.path, lines.collect::<String>())
        }
        None => {
            wrap::block("none: its schema's defaults and examples make no valid request", 2, width)
        }
    }
}

fn count<'k>(keys: impl Iterator<Item = &'k str>) -> Vec<(String, usize)> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    keys.for_each(|key| *counts.entry(key).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().map(|(key, n)| (key.to_owned(), n)).collect();
    counts.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    counts
}

fn used(users: &[User], width: usize) -> String {
    if users.is_empty() {
        return "  none\n".to_owned();
    }
    let plural = if users.len() == 1 { "request" } else { "requests" };
    let mut out = format!("  {} {plural}\n", users.len());
    let counts = [
        ("by version      ", count(users.iter().map(|u| u.version.as_str()))),
        ("by team         ", count(users.iter().map(|u| u.id.team()))),
        ("by environment  ", count(users.iter().map(|u| u.id.environment()))),
    ];
    for (name, counts) in counts {
        let counts: Vec<String> =
            counts.iter().map(|(key, n)| format!("{} {n}", escape(key, 80))).collect();
        out.push_str(&wrap::hanging(&format!("  {name}"), &counts.join(", "), width));
    }
    for user in users.iter().take(USERS_MAX) {
        let phase = user.phase.as_deref().unwrap_or("not published yet");
        let text = format!("{}  {}  {phase}", user.id, visible(&user.version, 80));
        out.push_str(&format!("  {text}\n"));
    }
    if users.len() > USERS_MAX {
        let more = users.len() - USERS_MAX;
        out.push_str(&format!("  … {more} more (`--format json` has all)\n"));
    }
    out
}

/// For programs.
pub fn show_json(page: &Page<'_>) -> Value {
    let template = page.template;
    let parameters = parameter::all(&template.parameters).into_iter().map(|words| {
        let name = words.name.as_str();
        json!({
            "name": name,
            "required": words.required,
            "schema": template.parameters.property(name),
            "default": template.parameters.defaults.get(name),
            "sensitive": template.parameters.sensitive.contains(name),
            "change": template.parameters.change_rules.get(name),
            "filledBy": template.parameters.filled_by.get(name),
            "description": words.description,
        })
    });
    let outputs = template.outputs.iter().map(|(name, spec)| {
        json!({
            "name": name,
            "component": spec.component,
            "output": spec.output,
            "sensitive": spec.sensitive,
            "description": template.output_help.get(name),
        })
    });
    let components = template.components.iter().map(|component| {
        json!({"name": component.name, "provider": component.provider, "needs": component.needs})
    });
    let environments = offering(page).map(|environment| {
        json!({
            "name": environment.name,
            "description": environment.description,
            "protect": environment.protect,
            "defaults": environment.defaults.get(&template.id.name),
            "locked": environment.locked.get(&template.id.name),
        })
    });
    let approvals = template.rules.approvals.iter().map(|rule| {
        let when = rule.when.as_ref().map(|_| &rule.text);
        json!({"when": when, "teams": rule.teams, "count": rule.count})
    });
    let versions = page.versions.values().rev().map(|other| {
        json!({
            "version": other.id.version.to_string(),
            "lifecycle": other.lifecycle,
            "broken": other.is_broken(),
        })
    });
    let users = page.users.as_ref().map(|users| {
        let one = |u: &User| {
            json!({
                "request": u.id,
                "team": u.id.team(),
                "environment": u.id.environment(),
                "version": u.version,
                "phase": u.phase,
            })
        };
        users.iter().map(one).collect::<Vec<_>>()
    });
    json!({
        "name": template.id.name,
        "version": template.id.version.to_string(),
        "title": template.title,
        "description": template.description,
        "owner": template.owner,
        "lifecycle": template.lifecycle,
        "broken": template.is_broken(),
        "replacedBy": template.replaced_by.as_ref().map(ToString::to_string),
        "versions": versions.collect::<Vec<_>>(),
        "parameters": parameters.collect::<Vec<_>>(),
        "outputs": outputs.collect::<Vec<_>>(),
        "components": components.collect::<Vec<_>>(),
        "environments": environments.collect::<Vec<_>>(),
        "denied": template.rules.deny.iter().map(|rule| &rule.message).collect::<Vec<_>>(),
        "approvals": approvals.collect::<Vec<_>>(),
        "allow": template.allow.as_ref().map(|allowed| &allowed.patterns),
        "example": page.example.as_ref().map(|e| json!({"path": e.path, "text": e.text})),
        "users": users,
    })
}
