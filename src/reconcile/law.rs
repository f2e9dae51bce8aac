//! What the rules of a template and of an environment say of one request.

use std::sync::Arc;

use crate::catalog::file::Lifecycle;
use crate::catalog::{Checked, ComponentSpec, Environment, RequestFile, TemplateVersion};
use crate::model::{Artifact, Diagnostic, Place, RequestId, quote};
use crate::policy::{self, Allowed, Facts, Finding, Rules, Value};

/// The rules that bind a request, and what they look at.
#[derive(Clone, Debug)]
pub struct Law {
    pub(super) facts: Facts,
    template: Option<Arc<TemplateVersion>>,
    environment: Arc<Environment>,
}

impl Law {
    /// Of a request that can be rendered; `None` where there are no rules.
    pub(super) fn of(file: &RequestFile, checked: &Checked) -> Option<Self> {
        let Checked { template, environment, parameters, protect, .. } = checked;
        if template.rules.is_empty() && environment.rules.is_empty() {
            return None;
        }
        let (parameters, waits) = Facts::parameters(parameters);
        let labels = file.labels.iter().map(|(name, label)| (name, Value::text(label)));
        let asked = Asked {
            labels: Value::map(labels),
            protect: *protect,
            reason: file.reason.as_deref(),
            adopt: file.adopt,
        };
        let request = request(&file.id, asked);
        let facts = Facts {
            request,
            parameters,
            environment: environment_facts(environment),
            template: template_facts(template),
            waits,
        };
        Some(Self { facts, template: Some(template.clone()), environment: environment.clone() })
    }

    fn rules(&self) -> impl Iterator<Item = &Rules> {
        self.template.iter().map(|t| &t.rules).chain([&self.environment.rules])
    }

    /// Rules that deny the request whatever its plan is. What cannot be told yet is told with the plan.
    pub(super) fn denied(&self, file: &RequestFile) -> Vec<Diagnostic> {
        let findings = policy::judge(self.rules(), &self.facts, None);
        let asked = || file.place("/spec/template");
        let place = |parameters: &[String]| {
            let written = parameters.iter().find(|p| file.parameters.contains_key(*p));
            written.map_or_else(asked, |p| file.place(&format!("/spec/parameters/{p}")))
        };
        findings.iter().filter_map(|finding| problem(finding, place)).collect()
    }
}

/// A finding that stops a request, as a problem of its file at `place`, by the parameters that the rule
/// names.
pub(super) fn problem(
    finding: &Finding,
    place: impl FnOnce(&[String]) -> Place,
) -> Option<Diagnostic> {
    match finding {
        Finding::Denied { message, place: rule, parameters } => Some(
            Diagnostic::error("POL002", place(parameters), message.clone())
                .help("change what the rule forbids, or ask whoever looks after the catalog")
                .related(rule.clone(), "the rule"),
        ),
        Finding::Broken { why, place: rule } => Some(
            Diagnostic::error("POL004", place(&[]), format!("a rule cannot be evaluated: {why}"))
                .help("whoever looks after the catalog mends the rule; nothing is done until then")
                .related(rule.clone(), "the rule"),
        ),
        Finding::Undecided { .. } | Finding::Needs(_) => None,
    }
}

/// Resources that the template's list or the environment's does not allow. `asked` is where the
/// request names the template.
pub(super) fn not_allowed(
    checked: &Checked,
    component: &ComponentSpec,
    artifact: &Artifact,
    asked: &Place,
) -> Vec<Diagnostic> {
    if component.provider != "cloudformation" {
        return Vec::new();
    }
    let Checked { template, environment, .. } = checked;
    let problems = |allowed: &Option<Allowed>, whose: String| {
        let Some(allowed) = allowed else { return Vec::new() };
        let problem = |outside: &policy::Outside| {
            let policy::Outside { name, kind } = outside;
            let message = match kind {
                Some(kind) => {
                    format!("{whose} does not allow {}, which is {}", quote(kind), quote(name))
                }
                None => format!(
                    "{whose} allows some types of resources, and which ones {} makes cannot be told",
                    quote(name)
                ),
            };
            Diagnostic::error("POL001", asked.clone(), message)
                .help("ask for something else, or ask whoever looks after the catalog")
                .related(allowed.place.clone(), "what may be made")
        };
        policy::outside(allowed, artifact).iter().map(problem).collect::<Vec<_>>()
    };
    let mut found = problems(&template.allow, format!("the template `{}`", template.id));
    found.extend(problems(&environment.allow, format!("the environment `{}`", environment.name)));
    found
}

struct Asked<'a> {
    labels: Value,
    protect: bool,
    reason: Option<&'a str>,
    adopt: bool,
}

fn request(id: &RequestId, asked: Asked<'_>) -> Value {
    Value::map([
        ("id", Value::text(id.as_str())),
        ("team", Value::text(id.team())),
        ("environment", Value::text(id.environment())),
        ("name", Value::text(id.name())),
        ("labels", asked.labels),
        ("protect", asked.protect.into()),
        ("reason", asked.reason.map_or(Value::Null, Value::text)),
        ("adopt", asked.adopt.into()),
    ])
}

fn environment_facts(environment: &Environment) -> Value {
    let variables = environment.variables.iter();
    Value::map([
        ("name", Value::text(&environment.name)),
        ("variables", Value::map(variables.map(|(name, value)| (name, Value::json(value))))),
        ("protect", environment.protect.into()),
    ])
}

fn template_facts(template: &TemplateVersion) -> Value {
    let lifecycle = match template.lifecycle {
        Lifecycle::Experimental => "experimental",
        Lifecycle::Stable => "stable",
        Lifecycle::Deprecated => "deprecated",
        Lifecycle::Retired => "retired",
    };
    Value::map([
        ("name", Value::text(&template.id.name)),
        ("version", Value::text(template.id.version.to_string())),
        ("lifecycle", Value::text(lifecycle)),
    ])
}
