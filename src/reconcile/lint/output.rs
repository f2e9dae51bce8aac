//! Outputs that are promised or read, against what the components give.

use std::collections::BTreeSet;

use super::super::promise::given;
use super::sample::Sample;
use crate::catalog::{ComponentSpec, TemplateVersion};
use crate::model::{Diagnostic, Place, nearest, quote};
use crate::render::{Compiled, Source};

/// What the provider `files` gives, whatever is in the files.
const OF_FILES: [&str; 3] = ["path", "digest", "commit"];

/// Promises and reads of outputs that no component gives, and reads that nothing puts in order.
pub(super) fn problems(
    version: &TemplateVersion,
    compiled: &[Compiled],
    samples: &[Sample<'_>],
) -> Vec<Diagnostic> {
    let mut problems = Vec::new();
    for (name, spec) in &version.outputs {
        let Some(place) = version.output_places.get(name) else { continue };
        let asked = Asked { component: spec.component.as_str(), output: &spec.output, place };
        problems.extend(not_given(version, samples, &asked));
    }
    let mut said = BTreeSet::new();
    for (component, compiled) in version.components.iter().zip(compiled) {
        for (path, place) in compiled.paths_read() {
            let Some((of, rest)) =
                path.strip_prefix("components.").and_then(|p| p.split_once(".outputs."))
            else {
                continue;
            };
            let output = rest.split('.').next().unwrap_or_default();
            let asked = Asked { component: of, output, place: &place };
            if said.insert((place.clone(), of.to_owned())) {
                problems.extend(out_of_order(version, component, &asked));
            }
            problems.extend(not_given(version, samples, &asked));
        }
    }
    problems
}

/// An output that something counts on.
struct Asked<'a> {
    component: &'a str,
    output: &'a str,
    place: &'a Place,
}

/// A component reads what may not be there yet.
fn out_of_order(
    version: &TemplateVersion,
    component: &ComponentSpec,
    asked: &Asked<'_>,
) -> Option<Diagnostic> {
    let of = asked.component;
    if component.name.as_str() == of {
        let message = format!("`{of}` reads an output of its own, which is known only after it");
        return Some(Diagnostic::error("TPL019", asked.place.clone(), message));
    }
    version.components.iter().find(|c| c.name.as_str() == of)?;
    let mut needs: BTreeSet<&str> = BTreeSet::new();
    let mut next = vec![component];
    while let Some(component) = next.pop() {
        for need in component.needs.iter().map(|need| need.as_str()) {
            if needs.insert(need) {
                next.extend(version.components.iter().filter(|c| c.name.as_str() == need));
            }
        }
    }
    (!needs.contains(of)).then(|| {
        let message = format!("`{}` reads outputs of `{of}` and does not need it", component.name);
        // It works for as long as the file has them in this order.
        Diagnostic::warning("TPL019", asked.place.clone(), message)
            .help(format!("add `needs: [{of}]` to the component, so that `{of}` comes first"))
    })
}

/// The component gives no such output.
fn not_given(
    version: &TemplateVersion,
    samples: &[Sample<'_>],
    asked: &Asked<'_>,
) -> Option<Diagnostic> {
    let at = version.components.iter().position(|c| c.name.as_str() == asked.component)?;
    let component = &version.components[at];
    let output = quote(asked.output);
    match component.provider.as_str() {
        "files" if OF_FILES.contains(&asked.output) => None,
        "files" => {
            let message = format!("the provider `files` gives no output {output}");
            let problem = Diagnostic::error("TPL016", asked.place.clone(), message);
            Some(problem.help(meant(asked.output, &OF_FILES)))
        }
        "cloudformation" => {
            let rendered: Vec<_> = samples
                .iter()
                .filter_map(|s| Some((s, given(&s.components[at].as_ref()?.0)?)))
                .collect();
            if rendered.is_empty() {
                return is_nowhere(version, component, asked.output).then(|| {
                    let message =
                        format!("no source of `{}` has an output {output}", component.name);
                    Diagnostic::error("TPL016", asked.place.clone(), message)
                        .help("write it below `Outputs` of the source, or take it out here")
                });
            }
            let (sample, given) =
                rendered.iter().find(|(_, given)| !given.iter().any(|g| g == asked.output))?;
            let message = format!("`{}` renders to no output {output}", component.name);
            let given: Vec<&str> = given.iter().map(String::as_str).collect();
            let test = Place::file(sample.test.file.clone());
            let problem = Diagnostic::error("TPL016", asked.place.clone(), message);
            let problem = problem.related(test, "with this test's values");
            Some(problem.help(meant(asked.output, &given)))
        }
        _ => None,
    }
}

fn meant(output: &str, given: &[&str]) -> String {
    match nearest(output, given.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None if given.is_empty() => "it gives none: write `Outputs` in its source".to_owned(),
        None => {
            let given: Vec<_> = given.iter().map(|g| quote(g)).collect();
            format!("it gives {}", given.join(", "))
        }
    }
}

/// Whether a name surely is no key of what a component's sources become: it stands nowhere in them, and no
/// key is put together. For versions that no test renders.
fn is_nowhere(version: &TemplateVersion, component: &ComponentSpec, output: &str) -> bool {
    let sources = component.sources.values().map(|source| match source {
        Source::Template(text) | Source::Plain(text) => &**text,
    });
    let mut texts = sources.chain(version.partials.values().map(|text| &**text));
    texts.all(|text| !text.contains(output) && !text.contains("Transform") && !makes_keys(text))
}

/// Whether a line has an interpolation before its first colon outside of braces, or a loop of
/// CloudFormation's own.
fn makes_keys(text: &str) -> bool {
    text.contains("Fn::ForEach")
        || text.lines().any(|line| {
            let line = line.trim_start();
            let plain = !line.starts_with("{{#") && !line.starts_with("{{/");
            let end = line.find("}}").map(|end| &line[end + 2..]);
            let key = line.find("{{").is_some_and(|start| !line[..start].contains(':'));
            plain && key && end.is_some_and(|rest| rest.contains(':'))
        })
}

#[cfg(test)]
mod tests {
    use super::makes_keys;

    #[test]
    fn a_key_that_is_put_together_is_seen() {
        for text in ["  Subnet{{letter}}:\n", "  \"{{name}}\":", "Fn::ForEach::X: []"] {
            assert!(makes_keys(text), "{text}");
        }
        for text in
            ["  Url: {{parameters.url}}\n", "  {{#if (eq a \"b:c\")}}\n", "- {{parameters.x}}"]
        {
            assert!(!makes_keys(text), "{text}");
        }
    }
}
