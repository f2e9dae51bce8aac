//! A request against the catalog: what it asks for, exactly, or why it cannot be had.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use semver::Version;
use serde_json::Value;

use super::environment::Environment;
use super::explain::{self, Part, Subject};
use super::load::Catalog;
use super::request::RequestFile;
use super::resolve::{self, NoVersion, resolve};
use super::schema::{self, Schema, sorted};
use super::template::{ComponentSpec, TemplateVersion, Ttl};
use super::values::{Fill, refined, values};
use crate::model::{
    ComponentName, Dependency, Diagnostic, HoldReason, Lifetime, Map, OnDrift, Slot, Symbol,
    TemplateId, Term, nearest, quote,
};

/// What a reference comes to.
#[derive(Clone, PartialEq, Debug)]
pub enum Filled {
    /// The other request gives this.
    Known(Value),
    /// It will give it, once it is applied.
    Unknown(Symbol),
    /// It is not there, or gives no such output.
    Missing(Dependency),
    /// It may not be used here; why, as a sentence.
    Refused(String),
}

/// A request that can be rendered.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The version it gets.
    pub template: Arc<TemplateVersion>,
    /// Its environment.
    pub environment: Arc<Environment>,
    /// Every parameter that the schema declares, null where it has no value.
    pub parameters: BTreeMap<String, Slot>,
    /// The texts among the parameters that stand for secrets, which a provider fetches by itself.
    pub secrets: BTreeSet<String>,
    /// Deleting it needs a tombstone.
    pub protect: bool,
    /// How long it lives.
    pub lifetime: Option<Lifetime>,
    /// What is done about drift.
    pub on_drift: OnDrift,
    /// Provider settings by component.
    pub settings: BTreeMap<ComponentName, Map>,
    /// A newer version that it could take.
    pub upgrade: Option<Version>,
    /// Warnings and notes.
    pub notes: Vec<Diagnostic>,
}

/// What a request comes to.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// It can be rendered.
    Checked(Box<Checked>),
    /// It has errors; all of them, with the warnings.
    Invalid(Vec<Diagnostic>),
    /// It is well-formed so far as one can see, and cannot go on yet; where that comes from.
    Waiting(HoldReason, Vec<Diagnostic>),
}

/// Holds a request against the catalog.
///
/// `recorded` is the version last applied, `providers` the kinds that exist, and `fill` tells what a
/// reference comes to; its second argument is the template whose requests may fill that parameter,
/// when the schema says so (`x-reference`).
pub fn check(
    catalog: &Catalog,
    request: &RequestFile,
    recorded: Option<&TemplateId>,
    providers: &[&str],
    fill: &dyn Fn(&crate::model::Reference, Option<&str>) -> Filled,
) -> Verdict {
    let mut checker = Checker {
        request,
        problems: request.problems().to_vec(),
        unsupported: Vec::new(),
        holds: Vec::new(),
    };
    for (name, problem) in &request.not_supported {
        checker.unsupported.push((format!("`{name}`"), problem.clone()));
    }
    let environment = checker.environment(catalog);
    let template = checker.template(catalog, recorded);
    let checked = match (environment, template) {
        (Some(environment), Some(template)) => {
            checker.whole(catalog, &environment, &template, providers, fill)
        }
        _ => None,
    };
    checker.verdict(checked)
}

struct Checker<'a> {
    request: &'a RequestFile,
    problems: Vec<Diagnostic>,
    /// What, in words, and where.
    unsupported: Vec<(String, Diagnostic)>,
    holds: Vec<(HoldReason, Diagnostic)>,
}

impl Checker<'_> {
    fn verdict(mut self, checked: Option<Checked>) -> Verdict {
        if self.problems.iter().any(Diagnostic::is_error) {
            self.problems.extend(self.unsupported.into_iter().map(|(_, problem)| problem));
            self.problems.extend(self.holds.into_iter().map(|(_, problem)| problem));
            return Verdict::Invalid(sorted(self.problems));
        }
        let mut notes = self.problems;
        if !self.unsupported.is_empty() {
            let mut what: Vec<_> = self.unsupported.iter().map(|(what, _)| what.clone()).collect();
            // Two components of one provider are one thing to wait for.
            what.dedup();
            notes.extend(self.unsupported.into_iter().map(|(_, problem)| problem));
            notes.extend(self.holds.into_iter().map(|(_, problem)| problem));
            return Verdict::Waiting(
                HoldReason::NotSupportedYet { what: what.join(", ") },
                sorted(notes),
            );
        }
        if let Some((reason, _)) = self.holds.first() {
            let reason = reason.clone();
            notes.extend(self.holds.into_iter().map(|(_, problem)| problem));
            return Verdict::Waiting(reason, sorted(notes));
        }
        match checked {
            Some(checked) => {
                Verdict::Checked(Box::new(Checked { notes: sorted(notes), ..checked }))
            }
            // No template or environment without a problem or a hold that says so.
            None => {
                Verdict::Waiting(HoldReason::InternalError { id: "check".into() }, sorted(notes))
            }
        }
    }

    fn environment(&mut self, catalog: &Catalog) -> Option<Arc<Environment>> {
        let name = self.request.id.environment();
        let place = crate::model::Place::file(Arc::clone(&self.request.path));
        let Some(environment) = catalog.environments.get(name) else {
            let message = format!("the catalog has no environment `{name}`");
            let problem = Diagnostic::error("ENV001", place, message);
            let known = || catalog.environments.keys().map(String::as_str);
            self.problems.push(match nearest(name, known()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`? the folder names it")),
                None => {
                    let known: Vec<_> = known().map(quote).collect();
                    problem.help(format!("there are {}", known.join(", ")))
                }
            });
            return None;
        };
        if let Some(first) = environment.problems.iter().find(|problem| problem.is_error()) {
            let message = format!("the environment `{name}` has errors");
            self.problems.push(
                Diagnostic::error("ENV007", place, message)
                    .help("whoever looks after the catalog mends it")
                    .related(first.place.clone(), first.message.clone()),
            );
            return None;
        }
        Some(Arc::clone(environment))
    }

    fn template(
        &mut self,
        catalog: &Catalog,
        recorded: Option<&TemplateId>,
    ) -> Option<Arc<TemplateVersion>> {
        let template = match resolve(catalog, self.request, recorded) {
            Ok(template) => template,
            Err(NoVersion::Wrong(problem)) => {
                self.problems.push(*problem);
                return None;
            }
            Err(NoVersion::Not(hold)) => {
                self.holds.push(*hold);
                return None;
            }
        };
        if let Some(first) = template.problems.iter().find(|problem| problem.is_error()) {
            let message = format!("the template `{}` has errors", template.id);
            self.problems.push(
                Diagnostic::error("REF005", self.request.place("/spec/template"), message)
                    .help("whoever looks after the catalog mends it, as a new version")
                    .related(first.place.clone(), first.message.clone()),
            );
            return None;
        }
        self.problems.extend(resolve::deprecated(template, self.request));
        Some(Arc::clone(template))
    }

    fn whole(
        &mut self,
        catalog: &Catalog,
        environment: &Arc<Environment>,
        template: &Arc<TemplateVersion>,
        providers: &[&str],
        fill: Fill<'_>,
    ) -> Option<Checked> {
        let asked = self.request.place("/spec/template");
        if !environment.allows(&template.id.name) {
            let message =
                format!("`{}` may not be requested in `{}`", template.id.name, environment.name);
            self.problems.push(
                Diagnostic::error("ENV003", asked.clone(), message)
                    .related(environment.place("/spec/templates"), "what may be requested"),
            );
        }
        let elsewhere = |what: &str, of: &str, place: &crate::model::Place| {
            let message = format!("`{what}` of {of} is not supported yet");
            Diagnostic::error("SUP001", asked.clone(), message)
                .help("it would not be obeyed, so nothing is done")
                .related(place.clone(), "it is set here")
        };
        for (name, place) in &template.not_supported {
            let of = format!("the template `{}`", template.id);
            self.unsupported.push((format!("`{name}` of {of}"), elsewhere(name, &of, place)));
        }
        for (name, place) in &environment.not_supported {
            let of = format!("the environment `{}`", environment.name);
            self.unsupported.push((format!("`{name}` of {of}"), elsewhere(name, &of, place)));
        }
        let found = values(self.request, template, environment, fill, &mut self.problems);
        for (dependency, problem) in found.missing {
            self.holds.push((HoldReason::WaitingFor { dependency }, problem));
        }
        self.secrets_have_takers(template);
        let mut settings = BTreeMap::new();
        for component in &template.components {
            if let Some(own) = self.settings(template, component, environment, providers) {
                settings.insert(component.name.clone(), own);
            }
        }
        let on_drift = environment.on_drift.or(template.on_drift).unwrap_or_default();
        Some(Checked {
            template: Arc::clone(template),
            environment: Arc::clone(environment),
            parameters: found.slots,
            secrets: found.secrets,
            protect: environment.protect || self.request.protect == Some(true),
            lifetime: self.lifetime(template, environment),
            on_drift,
            settings,
            upgrade: resolve::upgrade(catalog, template),
            notes: Vec::new(),
        })
    }

    /// How long it lives, and no longer than its template allows there.
    fn lifetime(
        &mut self,
        template: &TemplateVersion,
        environment: &Environment,
    ) -> Option<Lifetime> {
        let found = Ttl::lifetime(template.ttl.as_ref(), &environment.name, self.request.term)?;
        if let (Term::For(asked), Some(max)) = (found.term, found.max)
            && asked > max
        {
            let place = self.request.place("/spec/ttl");
            let message = format!(
                "{asked} is longer than {max}, the most that `{}` allows in `{}`",
                template.id, environment.name
            );
            self.problems.push(
                Diagnostic::error("REQ010", place.clone(), message)
                    .help(format!("write `ttl: {max}`"))
                    .fix(place, max.to_string())
                    .related(template.ttl_place.clone(), "the most"),
            );
        }
        Some(found)
    }

    /// A secret may only reach what fetches it by itself: in a file it would be a name without use.
    fn secrets_have_takers(&mut self, template: &TemplateVersion) {
        let fetches = |c: &&ComponentSpec| c.provider != "cloudformation";
        if let (Some(name), Some(component)) =
            (self.request.secrets.keys().next(), template.components.iter().find(fetches))
        {
            let place = self.request.key_place(&format!("/spec/secrets/{}", explain::escape(name)));
            let message = format!(
                "the provider `{}` of component `{}` takes no secrets",
                component.provider, component.name
            );
            self.problems.push(
                Diagnostic::error("SEC003", place, message)
                    .help("take the line out: a secret store's reference means nothing there"),
            );
        }
    }

    /// The settings of a component's provider.
    fn settings(
        &mut self,
        template: &TemplateVersion,
        component: &ComponentSpec,
        environment: &Environment,
        providers: &[&str],
    ) -> Option<Map> {
        let kind = component.provider.as_str();
        let asked = self.request.place("/spec/template");
        if !providers.contains(&kind) {
            let message = format!("the provider {} is not supported yet", quote(kind));
            let problem = Diagnostic::error("SUP002", asked, message);
            let problem = match nearest(kind, providers.iter().copied()) {
                Some(meant) => problem.help(format!("did the template mean `{meant}`?")),
                None => problem,
            };
            self.unsupported.push((format!("the provider `{kind}`"), problem));
            return None;
        }
        let Some(own) = environment.providers.get(kind) else {
            let message = format!(
                "the environment `{}` has no settings for the provider `{kind}`",
                environment.name
            );
            self.problems.push(
                Diagnostic::error("ENV004", asked, message)
                    .help(format!("whoever looks after the catalog adds `providers.{kind}`"))
                    .related(environment.key_place("/spec/providers"), "the providers that it has"),
            );
            return None;
        };
        match settle(environment, own, component) {
            Ok(settled) => Some(settled),
            Err(found) => {
                let of = format!("component `{}` of `{}`", component.name, template.id);
                self.problems.extend(found.into_iter().map(|problem| {
                    let (file, line) = (&problem.place.file, problem.place.line);
                    let message = format!(
                        "the environment `{}` ({file}:{line}) has no good settings of the provider `{kind}` for {of}: {}",
                        environment.name, problem.message
                    );
                    Diagnostic::error("ENV005", asked.clone(), message)
                        .help(format!("whoever looks after the catalog mends {file}: {}", problem.help))
                        .related(problem.place, "the environment's settings")
                }));
                None
            }
        }
    }
}

/// The settings of a component in an environment, whole; or what is wrong with them, at the places of
/// the environment's file.
fn settle(
    environment: &Environment,
    own: &Map,
    component: &ComponentSpec,
) -> Result<Map, Vec<Diagnostic>> {
    let kind = component.provider.as_str();
    if let Some(settled) = environment.settled(kind, &component.with) {
        return Ok(settled);
    }
    let merged = refined(own, &component.with);
    let Some(schema) = schema::provider(kind) else { return Ok(merged) };
    let value = Value::Object(merged.clone().into_iter().collect());
    let prefix = format!("/spec/providers/{kind}");
    let subject = Subject {
        place: &|pointer, part| match part {
            Part::Key => environment.key_place(&format!("{prefix}{pointer}")),
            Part::Value => environment.place(&format!("{prefix}{pointer}")),
        },
        hidden: &|_| false,
        scalar: &|_| None,
        noun: "setting",
    };
    let found = explain::check(schema, &value, &subject, &[]);
    if !found.is_empty() {
        return Err(found);
    }
    let settled = with_defaults(merged, schema);
    environment.settle(kind, &component.with, &settled);
    Ok(settled)
}

/// What is wrong with an environment's settings for a component, whoever asks for it, at the places of
/// the environment's file; `None` where it has none for that provider.
pub fn settings_problems(
    environment: &Environment,
    component: &ComponentSpec,
) -> Option<Vec<Diagnostic>> {
    let own = environment.providers.get(&component.provider)?;
    Some(settle(environment, own, component).err().unwrap_or_default())
}

/// Fills in what the settings leave out and their schema has a default for.
fn with_defaults(mut settings: Map, schema: &Schema) -> Map {
    let properties = schema.raw.get("properties").and_then(Value::as_object);
    for (name, property) in properties.into_iter().flatten() {
        if let Some(default) = property.get("default") {
            settings.entry(name.clone()).or_insert_with(|| default.clone());
        }
    }
    settings
}
