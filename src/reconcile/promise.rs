//! Whether what is rendered can give the outputs that its template promises.

use serde_json::Value;

use crate::catalog::{ComponentSpec, TemplateVersion};
use crate::model::{Artifact, Diagnostic, Place, quote};

/// Promised outputs of a component that its rendered stack template does not have. Other providers
/// than `cloudformation` give outputs that no text names. `asked` is where the request names the
/// template.
pub(super) fn unkept(
    template: &TemplateVersion,
    component: &ComponentSpec,
    artifact: &Artifact,
    asked: &Place,
) -> Vec<Diagnostic> {
    if component.provider != "cloudformation" {
        return Vec::new();
    }
    let Some(given) = given(artifact) else { return Vec::new() };
    let promised = template.outputs.iter().filter(|(_, spec)| spec.component == component.name);
    let unkept = promised.filter(|(_, spec)| !given.contains(&spec.output));
    let problem = |(name, spec): (&String, &crate::model::OutputSpec)| {
        let message = format!(
            "`{}` promises the output {}, and its component `{}` renders to no output {}",
            template.id,
            quote(name),
            component.name,
            quote(&spec.output)
        );
        let problem = Diagnostic::error("TPL016", asked.clone(), message)
            .help("whoever looks after the catalog mends it, as a new version");
        match template.output_places.get(name) {
            Some(place) => problem.related(place.clone(), "it is promised here"),
            None => problem,
        }
    };
    unkept.map(problem).collect()
}

/// The names of the outputs in a stack template; `None` where only CloudFormation can tell, since a
/// transform writes them.
pub(super) fn given(artifact: &Artifact) -> Option<Vec<String>> {
    let mut files = artifact.files.values();
    let (Some(text), None) = (files.next(), files.next()) else { return None };
    let template: Value = serde_json::from_str(text).ok()?;
    if template.get("Transform").is_some() {
        return None;
    }
    let outputs = template.get("Outputs").and_then(Value::as_object);
    let names: Vec<String> = outputs.into_iter().flat_map(|o| o.keys().cloned()).collect();
    (!names.iter().any(|name| name.starts_with("Fn::"))).then_some(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_only_where_the_text_tells_them() {
        let given = |text: &str| {
            let files = [("stack.json".to_owned(), text.to_owned())].into();
            super::given(&Artifact { files, digest: None })
        };
        assert_eq!(given(r#"{"Outputs": {"A": {}, "B": {}}}"#).unwrap(), ["A", "B"]);
        assert_eq!(given(r#"{"Resources": {}}"#).unwrap(), [""; 0]);
        assert_eq!(given(r#"{"Outputs": {"Fn::ForEach::X": []}}"#), None);
        assert_eq!(given(r#"{"Transform": "AWS::Include", "Outputs": {}}"#), None);
        assert_eq!(given("Outputs: {}"), None, "it is written as JSON");
    }
}
