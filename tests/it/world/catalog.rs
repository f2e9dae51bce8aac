//! The small catalog that stories are told with.

use super::{Edit, write};

/// Everything of it; `output` is the repository that environments name.
pub fn files(output: &str) -> Vec<Edit> {
    let mut files = vec![
        write(
            "catalog.yaml",
            "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: stories}\nspec: {format: 1}\n",
        ),
        environment("dev", output, ""),
        environment("prod", output, "  protect: true\n"),
    ];
    files.extend(note("1.0.0"));
    files.extend(note("1.1.0"));
    files.extend(pair("1.0.0", true));
    files.extend(reader());
    files
}

/// An environment whose components go to a repository; `more` are further lines of its spec.
pub fn environment(name: &str, output: &str, more: &str) -> Edit {
    let text = format!(
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  providers:\n    files: {{repository: {output}}}\n{more}"
    );
    write(format!("environments/{name}.yaml"), text)
}

/// A template with one component, `note`: its text in a file. From 1.1 on it has a tone as well.
pub fn note(version: &str) -> Vec<Edit> {
    let tone = version != "1.0.0";
    let schema = if tone {
        r#"{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": {"type": "string"}, "tone": {"type": "string", "default": "plain"}}}"#
    } else {
        r#"{"type": "object", "additionalProperties": false, "required": ["text"], "properties": {"text": {"type": "string"}}}"#
    };
    let source = if tone {
        "text: {{parameters.text}}\ntone: {{parameters.tone}}\n"
    } else {
        "text: {{parameters.text}}\n"
    };
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let outputs = "{path: {from: note.path}, commit: {from: note.commit}}";
    template("note", version, components, outputs, schema, &[("note.yaml.hbs", source)])
}

/// A template whose component `top` shows an output of its component `base`; without `base` alone.
pub fn pair(version: &str, with_top: bool) -> Vec<Edit> {
    let mut components = "    - {name: base, provider: files, source: base.yaml.hbs}\n".to_owned();
    if with_top {
        components
            .push_str("    - {name: top, provider: files, source: top.yaml.hbs, needs: [base]}\n");
    }
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {"text": {"type": "string", "default": "none"}}}"#;
    let base = ("base.yaml.hbs", "text: {{parameters.text}}\n");
    let top = (
        "top.yaml.hbs",
        "below: {{components.base.outputs.path}}\ncommit: {{components.base.outputs.commit}}\n",
    );
    let sources = if with_top { vec![base, top] } else { vec![base] };
    template("pair", version, &components, "{path: {from: base.path}}", schema, &sources)
}

/// A template whose parameter `of` another request's output may fill.
pub fn reader() -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "required": ["of"], "properties": {"of": {"type": "string"}}}"#;
    let components = "    - {name: reader, provider: files, source: reader.yaml.hbs}\n";
    let sources = [("reader.yaml.hbs", "reads: {{parameters.of}}\n")];
    template("reader", "1.0.0", components, "{commit: {from: reader.commit}}", schema, &sources)
}

/// A version of a template.
pub fn template(
    name: &str,
    version: &str,
    components: &str,
    outputs: &str,
    schema: &str,
    sources: &[(&str, &str)],
) -> Vec<Edit> {
    let folder = format!("templates/{name}/{version}");
    let text = format!(
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {{name: {name}, version: {version}}}\nspec:\n  parameters: schema.json\n  components:\n{components}  outputs: {outputs}\n"
    );
    let mut files = vec![
        write(format!("{folder}/template.yaml"), text),
        write(format!("{folder}/schema.json"), schema),
    ];
    files.extend(sources.iter().map(|(file, text)| write(format!("{folder}/{file}"), *text)));
    files
}
