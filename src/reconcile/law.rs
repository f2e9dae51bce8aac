//! What the rules of a template and of an environment say of one request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::foresee;
use super::pass::Pass;
use crate::catalog::file::Lifecycle;
use crate::catalog::{Catalog, Checked, ComponentSpec, Environment, RequestFile, TemplateVersion};
use crate::model::{
    Action, Artifact, Dependency, Diagnostic, HoldReason, Place, Record, RequestId, ResourceChange,
    Slot, Step, Superseded, TargetKey, TemplateId, quote,
};
use crate::plan::{Foretold, Ruling};
use crate::policy::{self, Allowed, ApprovalRule, Facts, Finding, PlanFacts, Rules, Value};

/// The rules that bind a request, and what they look at.
#[derive(Clone, Debug)]
pub struct Law {
    pub(super) facts: Facts,
    template: Option<Arc<TemplateVersion>>,
    environment: Arc<Environment>,
    /// What the environment's rules were, where a commit that is only looked at drops some: it does not
    /// free itself of them.
    former: Arc<Rules>,
    /// What the versions ask for that are applied, where another template or an older version takes over: a request
    /// does not leave the rules of what stands by naming another one.
    standing: Vec<Arc<Standing>>,
}

/// Approvals that the applied version asks for and the one that takes over does not, with what they look at. What it
/// denies is not among them: nobody would ever get away from a version that denies too much.
#[derive(Clone, Debug)]
struct Standing {
    facts: Facts,
    rules: Rules,
}

impl Standing {
    /// Of those that a request leaves with `next`. Whoever brought a newer version of the same template to the catalog
    /// says who has to approve from then on; but not a change that brings it and takes it at once.
    fn all(
        record: &Record,
        (next, rules): (&TemplateId, &Rules),
        (catalog, before): (&Catalog, Option<&Catalog>),
        environment: &Environment,
    ) -> Vec<Arc<Self>> {
        let is_brought = before.is_some_and(|before| before.version(next).is_none());
        let is_left = |was: &Superseded| {
            is_brought || was.template.name != next.name || was.template.version > next.version
        };
        let left = record.superseded(next).into_iter().filter(is_left);
        let standing = left.filter_map(|was| {
            // A change that takes the version away with it is not free of its rules either.
            let applied = catalog.version(&was.template);
            let applied = applied.or_else(|| before?.version(&was.template))?;
            let rules = Rules { deny: Vec::new(), ..applied.rules.beyond(rules) };
            let facts = || facts_of(&record.id, &was, Some(applied), environment);
            (!rules.is_empty()).then(|| Arc::new(Self { facts: facts(), rules }))
        });
        standing.collect()
    }

    /// Whose word it takes. A rule that cannot be evaluated asks: a published version cannot be mended.
    fn judge(&self, plan: &PlanFacts) -> Vec<Finding> {
        let judged = |rule: &ApprovalRule| {
            let alone = Rules { deny: Vec::new(), approvals: vec![rule.clone()] };
            let asked = || Finding::Needs(rule.requirement());
            let findings = policy::judge([&alone], &self.facts, Some(plan)).into_iter();
            findings
                .map(|finding| match finding {
                    Finding::Broken { .. } => asked(),
                    finding => finding,
                })
                .collect::<Vec<_>>()
        };
        self.rules.approvals.iter().flat_map(judged).collect()
    }
}

/// Rules of an environment that the catalog `before` has, and the environment has no more.
fn dropped(environment: &Environment, before: Option<&Catalog>) -> Rules {
    let before = before.and_then(|catalog| catalog.environments.get(&environment.name));
    before.map(|before| before.rules.beyond(&environment.rules)).unwrap_or_default()
}

impl Law {
    /// Of a request that can be rendered; `None` where there are no rules. `applied` is what is recorded of it, with
    /// the catalog that has the versions of that.
    pub(super) fn of(
        file: &RequestFile,
        checked: &Checked,
        before: Option<&Catalog>,
        applied: Option<(&Record, &Catalog)>,
    ) -> Option<Self> {
        let Checked { template, environment, parameters, protect, .. } = checked;
        let former = Arc::new(dropped(environment, before));
        let standing = applied.map(|(record, catalog)| {
            let next = (&template.id, &template.rules);
            Standing::all(record, next, (catalog, before), environment)
        });
        let standing = standing.unwrap_or_default();
        let is_free = template.rules.is_empty() && environment.rules.is_empty();
        if is_free && former.is_empty() && standing.is_empty() {
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
        let (template, environment) = (Some(template.clone()), environment.clone());
        Some(Self { facts, template, environment, former, standing })
    }

    /// Of one whose file is gone, as it was applied. Its template's version may be gone as well.
    pub(super) fn of_record(
        record: &Record,
        environment: &Arc<Environment>,
        (catalog, before): (&Catalog, Option<&Catalog>),
    ) -> Option<Self> {
        let former = Arc::new(dropped(environment, before));
        let template = catalog.version(&record.template);
        let template = template.or_else(|| before?.version(&record.template));
        let none = Rules::default();
        let rules = template.map_or(&none, |template| &template.rules);
        // What another one has not taken over wholly is deleted by its rules, too.
        let next = (&record.template, rules);
        let standing = Standing::all(record, next, (catalog, before), environment);
        let is_free = rules.is_empty() && environment.rules.is_empty();
        if is_free && former.is_empty() && standing.is_empty() {
            return None;
        }
        let was = Superseded::of(record);
        let facts = facts_of(&record.id, &was, template, environment);
        let (template, environment) = (template.cloned(), environment.clone());
        Some(Self { facts, template, environment, former, standing })
    }

    fn rules(&self) -> impl Iterator<Item = &Rules> {
        self.template.iter().map(|t| &t.rules).chain([&self.environment.rules, &*self.former])
    }

    /// Whether any of its rules looks at a plan, or asks for an approval of one.
    pub(super) fn looks_at_plans(&self) -> bool {
        !self.standing.is_empty()
            || self
                .rules()
                .any(|r| !r.approvals.is_empty() || r.deny.iter().any(|d| d.deny.uses_plan))
    }

    /// What the rules say of its plan.
    pub(super) fn judge(&self, plan: &PlanFacts) -> Vec<Finding> {
        let mut findings = policy::judge(self.rules(), &self.facts, Some(plan));
        findings.extend(self.standing.iter().flat_map(|standing| standing.judge(plan)));
        findings
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

/// What rules look at of one as it was applied.
fn facts_of(
    id: &RequestId,
    was: &Superseded,
    template: Option<&Arc<TemplateVersion>>,
    environment: &Environment,
) -> Facts {
    let slots = was.parameters.iter();
    let slots: Vec<_> =
        slots.map(|(name, value)| (name.clone(), Slot::Known(value.clone()))).collect();
    let (mut parameters, waits) = Facts::parameters(slots.iter().map(|(n, s)| (n, s)));
    // Rules may name whatever the version declares.
    if let (Value::Map(known), Some(template)) = (&mut parameters, template) {
        let known = Arc::make_mut(known);
        for name in &template.parameters.names {
            known.entry(name.clone()).or_insert(Value::Null);
        }
    }
    let labels = was.labels.iter().map(|(name, label)| (name, Value::text(label)));
    let asked =
        Asked { labels: Value::map(labels), protect: was.protect, reason: None, adopt: false };
    Facts {
        request: request(id, asked),
        parameters,
        environment: environment_facts(environment),
        template: match template {
            Some(template) => template_facts(template),
            None => Value::map([
                ("name", Value::text(&was.template.name)),
                ("version", Value::text(was.template.version.to_string())),
                ("lifecycle", Value::text("retired")),
            ]),
        },
        waits,
    }
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

/// What judging takes.
pub(super) struct Court<'a> {
    /// The law of a request whose plans it looks at.
    pub(super) law: &'a dyn Fn(&RequestId) -> Option<Arc<Law>>,
    /// Where the request's file lies, or lay.
    pub(super) path: &'a dyn Fn(&RequestId) -> Option<Arc<str>>,
    /// What a step does to which resources, where no provider was asked; `None`: it cannot be told.
    pub(super) resources: &'a dyn Fn(&Step) -> Option<Vec<ResourceChange>>,
}

impl Court<'_> {
    /// What the rules say of the steps of some requests. `whole` is all that is planned.
    pub(super) fn rulings(
        &self,
        ids: &BTreeSet<&RequestId>,
        whole: &[Step],
        foretold: &BTreeMap<TargetKey, Foretold>,
    ) -> BTreeMap<RequestId, Ruling> {
        let laws: BTreeMap<&RequestId, Arc<Law>> =
            ids.iter().filter_map(|id| Some((*id, (self.law)(id)?))).collect();
        let mut steps: BTreeMap<&RequestId, Vec<Step>> = BTreeMap::new();
        for step in whole.iter() {
            let Some((id, _)) = laws.get_key_value(&step.target.key.request) else { continue };
            let mut step = step.clone();
            if let Some(Foretold::Preview(preview, _)) = foretold.get(&step.target.key) {
                step.preview = Some(preview.clone());
            }
            steps.entry(id).or_default().push(step);
        }
        let ruling = |(id, law): (&&RequestId, &Arc<Law>)| {
            let steps = steps.get(*id).map(Vec::as_slice).unwrap_or_default();
            let findings = law.judge(&policy::plan(steps, self.resources));
            ((*id).clone(), self.ruling(id, law, &findings))
        };
        laws.iter().map(ruling).collect()
    }

    fn ruling(&self, id: &RequestId, law: &Law, findings: &[Finding]) -> Ruling {
        let mut ruling = Ruling::default();
        let path = (self.path)(id);
        let place = |_: &[String]| Place::file(path.clone().unwrap_or_default());
        let mut problems = Vec::new();
        for finding in findings {
            let waits = match finding {
                Finding::Undecided { what, .. } => law.facts.waits_for(what),
                Finding::Needs(need) => {
                    let waits = need.undecided.as_deref().and_then(|w| law.facts.waits_for(w));
                    ruling.needs.push(need.clone());
                    waits
                }
                Finding::Denied { .. } | Finding::Broken { .. } => None,
            };
            if let Some(symbol) = waits {
                let dependency = Dependency::Request(symbol.request.clone());
                ruling.hold = Some(HoldReason::WaitingFor { dependency });
            } else if let Finding::Undecided { what, message: _, place: rule } = finding {
                let why = format!("it depends on {what}, which cannot be told");
                let broken = Finding::Broken { why, place: rule.clone() };
                problems.extend(problem(&broken, place));
            } else {
                problems.extend(problem(finding, place));
            }
        }
        if !problems.is_empty() {
            ruling.hold = Some(HoldReason::Invalid { problems });
        }
        ruling
    }
}

impl Pass<'_> {
    /// What the rules say of the steps of some requests. `whole` is all that is planned.
    pub(super) fn rulings(
        &self,
        ids: &BTreeSet<&RequestId>,
        whole: &[Step],
        foretold: &BTreeMap<TargetKey, Foretold>,
    ) -> BTreeMap<RequestId, Ruling> {
        let court = Court {
            law: &|id| self.law(id),
            path: &|id| self.path_of(id),
            resources: &|step| self.resources(step),
        };
        let mut rulings = court.rulings(ids, whole, foretold);
        for id in ids {
            if let Some(hold) = self.lawless(id) {
                rulings.entry((*id).clone()).or_default().hold = Some(hold);
            }
        }
        rulings
    }

    /// Of a request whose file is gone, and its environment as well, nobody can tell which rules bind it.
    fn lawless(&self, id: &RequestId) -> Option<HoldReason> {
        let name = id.environment();
        if self.memory.desired().contains(id) || self.catalog.environments.contains_key(name) {
            return None;
        }
        let message = format!(
            "its environment `{name}` is gone from the catalog, and with it who has to approve that it is deleted"
        );
        let place = Place::file(self.path_of(id).unwrap_or_default());
        let problem = Diagnostic::error("ENV001", place, message)
            .help("put the environment back until it is deleted");
        Some(HoldReason::Invalid { problems: vec![problem] })
    }

    fn path_of(&self, id: &RequestId) -> Option<Arc<str>> {
        let path = self.desired_of(id).map(|d| d.origin.path.clone());
        path.or_else(|| Some(self.records.get(id)?.as_ref()?.origin.path.clone()))
    }

    /// The law of a request whose plans it looks at.
    fn law(&self, id: &RequestId) -> Option<Arc<Law>> {
        let read = self.foreseen.get(id).or_else(|| self.fresh.get(id));
        let law = match read.filter(|_| self.memory.desired().contains(id)) {
            Some(read) => read.law.clone()?,
            None => {
                let record = self.records.get(id)?.as_ref()?;
                let environment = self.catalog.environments.get(id.environment())?;
                let catalogs = (&*self.catalog, self.former.as_deref());
                Arc::new(Law::of_record(record, environment, catalogs)?)
            }
        };
        law.looks_at_plans().then_some(law)
    }

    /// Whether rules look at what a step does to resources that only its provider can tell.
    pub(super) fn is_ruled(&self, step: &Step) -> bool {
        let previews = self.engine.providers.get(&step.target.provider).map(|p| p.previews());
        previews == Some(true) && self.law(&step.target.key.request).is_some()
    }

    /// What a step does to which resources, where no provider was asked.
    fn resources(&self, step: &Step) -> Option<Vec<ResourceChange>> {
        let provider = self.engine.providers.get(&step.target.provider)?;
        if !provider.previews() {
            return Some(Vec::new());
        }
        let artifact = match step.action {
            Action::Create => foresee::artifact_of(self.fresh.get(&step.target.key.request)?, step),
            Action::Delete => self.told.applied.get(&step.from?).cloned(),
            // It does not begin before it was asked about, and is judged then.
            _ if self.lease.is_some() => return Some(Vec::new()),
            _ => None,
        };
        Some(provider.outline(step.action, artifact?.as_ref())?.resources)
    }
}
