//! What a version renders to for the requests that its own tests make.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::json;

use super::super::evaluate::{compile, context, order};
use super::super::law::Law;
use crate::catalog::{
    self, Catalog, Checked, Filled, RequestFile, TemplateVersion, TestCase, Verdict,
};
use crate::model::{Artifact, ComponentName, Diagnostic, Place, RequestId, TemplateId};
use crate::render::{Compiled, Context, Limits};
use crate::yaml;

/// A stack template as CloudFormation would be given it.
#[derive(Clone, PartialEq, Debug)]
pub struct Stack {
    /// What it was rendered from.
    pub template: TemplateId,
    /// Which component of it.
    pub component: ComponentName,
    /// For which of its tests.
    pub test: String,
    /// The component's source, a file or folder of the catalog.
    pub source: Arc<str>,
    /// Where the environment puts stacks.
    pub region: Option<String>,
    /// The text, JSON.
    pub text: Arc<str>,
}

/// What one test's request renders to.
pub(super) struct Sample<'a> {
    /// The test.
    pub test: &'a TestCase,
    /// What was rendered, by component in the template's order, and whether all of it is known.
    pub components: Vec<Option<(Artifact, bool)>>,
    checked: Box<Checked>,
}

/// Renders a version for each of its tests that expects no error; and what is wrong with that, once each.
/// A test whose request is no good is not this check's business.
pub(super) fn samples<'a>(
    catalog: &Catalog,
    version: &'a TemplateVersion,
    compiled: &[Compiled],
    providers: &[&str],
) -> (Vec<Sample<'a>>, Vec<Diagnostic>) {
    let (mut samples, mut problems) = (Vec::new(), Vec::new());
    let mut said = BTreeSet::new();
    for test in &version.tests {
        let fails = test.document.spec.expect.diagnostics.as_ref().is_some_and(|d| !d.is_empty());
        if fails {
            continue;
        }
        let (sample, found) = match sample(catalog, version, compiled, providers, test) {
            Some(rendered) => rendered,
            None => continue,
        };
        samples.push(sample);
        let new = |p: &Diagnostic| said.insert((p.place.clone(), p.message.clone()));
        let found = found.into_iter().filter(new);
        let by =
            |p: Diagnostic| p.related(Place::file(test.file.clone()), "with this test's values");
        problems.extend(found.map(by));
    }
    (samples, problems)
}

fn sample<'a>(
    catalog: &Catalog,
    version: &TemplateVersion,
    compiled: &[Compiled],
    providers: &[&str],
    test: &'a TestCase,
) -> Option<(Sample<'a>, Vec<Diagnostic>)> {
    let spec = &test.document.spec;
    let mut parameters = spec.request.parameters.clone();
    parameters.extend(spec.request.references.clone());
    let text = yaml::write_json(&json!({
        "apiVersion": "vend.dev/v1",
        "kind": "Request",
        "metadata": {"labels": spec.request.labels},
        "spec": {"template": version.id.to_string(), "parameters": parameters},
    }));
    let team = spec.request.team.as_deref().unwrap_or("example");
    let name = spec.request.name.as_deref().unwrap_or(&test.name);
    let id = RequestId::new(team, &spec.environment, name)?;
    let path: Arc<str> = format!("requests/{id}.yaml").into();
    let file = catalog::request(&path, &id, text.as_bytes()).ok()?;
    // As if it were recorded, so that a retired version is one like others here.
    let nothing = |_: &crate::model::Reference, _: Option<&str>| {
        Filled::Refused("a test refers to nothing".into())
    };
    let verdict = catalog::check(catalog, &file, Some(&version.id), providers, &nothing);
    let Verdict::Checked(checked) = verdict else { return None };
    let (components, problems) = rendered(version, compiled, context(&id, &file, &checked));
    Some((Sample { test, components, checked }, problems))
}

/// What the components render to, as far as they do, and what is wrong with the others.
fn rendered(
    version: &TemplateVersion,
    compiled: &[Compiled],
    mut context: Context,
) -> (Vec<Option<(Artifact, bool)>>, Vec<Diagnostic>) {
    let mut components: Vec<Option<(Artifact, bool)>> = vec![None; compiled.len()];
    let mut problems = Vec::new();
    for n in order(version) {
        match compiled[n].render(&context, &Limits::default()) {
            Ok(rendered) => {
                components[n] = Some((rendered.artifact, rendered.unknown.is_empty()));
            }
            Err(found) => problems.extend(found),
        }
        context.pending.insert(version.components[n].name.to_string());
    }
    (components, problems)
}

/// Whether no rule denies a request and every component of it renders.
pub fn passes(file: &RequestFile, checked: &Checked) -> bool {
    if Law::of(file, checked, None, None).is_some_and(|law| !law.denied(file).is_empty()) {
        return false;
    }
    let version = &checked.template;
    let compiled = version.components.iter().map(|c| compile(version, c));
    let Ok(compiled) = compiled.collect::<Result<Vec<_>, _>>() else { return false };
    rendered(version, &compiled, context(&file.id, file, checked)).1.is_empty()
}

/// The stack templates among samples. One that waits for another component's outputs is none yet.
pub(super) fn stacks(version: &TemplateVersion, samples: Vec<Sample<'_>>) -> Vec<Stack> {
    let mut stacks = Vec::new();
    for Sample { test, components, checked } in samples {
        for (component, rendered) in version.components.iter().zip(components) {
            let Some((artifact, true)) = rendered else { continue };
            let mut files = artifact.files.into_values();
            let (Some(text), None) = (files.next(), files.next()) else { continue };
            if component.provider != "cloudformation" {
                continue;
            }
            let settings = checked.settings.get(&component.name);
            let region = settings.and_then(|s| s.get("region")?.as_str());
            stacks.push(Stack {
                template: version.id.clone(),
                component: component.name.clone(),
                test: test.name.clone(),
                source: format!("{}/{}", version.folder, component.root).into(),
                region: region.map(str::to_owned),
                text: text.into(),
            });
        }
    }
    stacks
}
