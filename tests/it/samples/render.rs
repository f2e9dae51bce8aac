//! Template tests of the samples as requests that stand by themselves.

use std::sync::Arc;

use serde_json::json;
use vend::catalog::{self, RequestFile, TemplateVersion, TestCase};
use vend::model::RequestId;
use vend::yaml;

use super::shown;

/// A template test's request. What stands for outputs of other requests is written as values.
pub fn request_of(version: &TemplateVersion, test: &TestCase) -> RequestFile {
    let spec = &test.document.spec;
    let mut parameters = spec.request.parameters.clone();
    parameters.extend(spec.request.references.clone());
    let mut asked = json!({"template": version.id.to_string(), "parameters": parameters});
    if let Some(reason) = &spec.request.reason {
        asked["reason"] = json!(reason);
    }
    let text = yaml::write_json(&json!({
        "apiVersion": "vend.dev/v1",
        "kind": "Request",
        "metadata": {"labels": spec.request.labels},
        "spec": asked,
    }));
    let team = spec.request.team.as_deref().unwrap_or("example");
    let name = spec.request.name.as_deref().unwrap_or(&test.name);
    let id = RequestId::new(team, &spec.environment, name).unwrap();
    let path: Arc<str> = format!("requests/{id}.yaml").into();
    catalog::request(&path, &id, text.as_bytes())
        .unwrap_or_else(|problems| panic!("{}\n{}", test.file, shown(&problems)))
}
