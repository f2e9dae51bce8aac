//! What requests and template tests of the samples render to, by the catalog's own way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::json;
use vend::catalog::{self, Catalog, Checked, Filled, RequestFile, TemplateVersion, TestCase};
use vend::model::{Reference, RequestId};
use vend::reconcile::evaluate::compile;
use vend::render::{Context, Limits};
use vend::yaml;

use super::shown;

/// A template test's request. What stands for outputs of other requests is written as values.
pub fn request_of(version: &TemplateVersion, test: &TestCase) -> RequestFile {
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
    let id = RequestId::new(team, &spec.environment, name).unwrap();
    let path: Arc<str> = format!("requests/{id}.yaml").into();
    catalog::request(&path, &id, text.as_bytes())
        .unwrap_or_else(|problems| panic!("{}\n{}", test.file, shown(&problems)))
}

/// The files of all components of a request, as (`<component>/<file>`, text).
pub fn rendered(
    catalog: &Catalog,
    request: &RequestFile,
    fill: &dyn Fn(&Reference, Option<&str>) -> Filled,
) -> Vec<(String, String)> {
    let id = &request.id;
    let providers = ["files", "cloudformation"];
    let checked = match catalog::check(catalog, request, None, &providers, fill) {
        catalog::Verdict::Checked(checked) => *checked,
        catalog::Verdict::Waiting(reason, _) => panic!("{id}: {reason:?}"),
        catalog::Verdict::Invalid(problems) => panic!("{id}\n{}", shown(&problems)),
    };
    let Checked { template, environment, parameters, secrets, .. } = checked;
    let context = Context {
        request: json!({
            "id": id.as_str(),
            "team": id.team(),
            "environment": id.environment(),
            "name": id.name(),
            "labels": request.labels,
        }),
        parameters,
        environment: json!({"name": environment.name, "variables": environment.variables}),
        template: json!({"name": template.id.name, "version": template.id.version.to_string()}),
        components: BTreeMap::new(),
        pending: BTreeSet::new(),
        request_id: id.clone(),
        secrets,
    };
    let mut out = Vec::new();
    for component in &template.components {
        let compiled = compile(&template, component)
            .unwrap_or_else(|problems| panic!("{}\n{}", template.id, shown(&problems)));
        let rendered = compiled
            .render(&context, &Limits::default())
            .unwrap_or_else(|problems| panic!("{id}\n{}", shown(&problems)));
        assert!(rendered.unknown.is_empty(), "{id}: {:?}", rendered.unknown);
        let files = rendered.artifact.files.into_iter();
        out.extend(files.map(|(file, text)| (format!("{}/{file}", component.name), text)));
    }
    out
}
