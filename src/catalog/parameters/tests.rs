//! Traps in the schema of a template's parameters.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::json;

use super::*;
use crate::catalog::request::tests::shown;
use crate::yaml;

fn text(path: &str, source: &str) -> Text {
    let file: Arc<str> = path.into();
    let node = yaml::read(&file, source.as_bytes(), &yaml::Options::request()).unwrap().remove(0);
    let raw = node.to_json();
    Text { file, path: path.to_owned(), base: "", node, raw }
}

fn parse(files: &[(&str, &str)]) -> (Option<Parameters>, String) {
    let files: BTreeMap<&str, &str> = files.iter().copied().collect();
    let open = |path: &str| files.get(path).map(|source| Ok(text(path, source)));
    let known: Vec<&str> = files.keys().copied().collect();
    let mut problems = Vec::new();
    let main = text("schema.json", files["schema.json"]);
    let parameters = Parameters::parse(main, &open, &known, &mut problems);
    (parameters, shown(&crate::catalog::schema::sorted(problems)))
}

fn problems(schema: &str) -> String {
    parse(&[("schema.json", schema)]).1
}

/// The first code of a schema with one property.
fn code(property: &str) -> String {
    let schema =
        format!("type: object\nadditionalProperties: false\nproperties:\n  a: {property}\n");
    let found = problems(&schema);
    found.split(' ').nth(1).unwrap_or_default().to_owned()
}

#[test]
fn remote_references_are_refused_b37_b38() {
    for target in [
        "http://169.254.169.254/latest",
        "https://example.org/schema.json",
        "file:///etc/passwd",
        "/etc/passwd",
        "//host/x",
        "../other/schema.json",
        "urn:x",
        "C:\\\\x",
        "#anchor",
    ] {
        assert_eq!(code(&format!("{{$ref: \"{target}\"}}")), "CAT001", "{target}");
    }
    assert_eq!(code("{$dynamicRef: \"#x\"}"), "CAT001");
    assert_eq!(code("{$anchor: x}"), "CAT001");
}

#[test]
fn references_stay_in_the_folder_and_keep_their_places() {
    let main = "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {\n\
                \"size\": {\"$ref\": \"common/sizes.json#/$defs/size\", \"default\": 2},\n\
                \"tree\": {\"$ref\": \"common/sizes.json\"}}}";
    let sizes = "{\"$id\": \"https://example.org/sizes\", \"type\": \"object\", \"properties\": {\n\
                 \"next\": {\"$ref\": \"#\"}, \"size\": {\"$ref\": \"#/$defs/size\"}},\n\
                 \"$defs\": {\"size\": {\"type\": \"integer\", \"maximum\": 9}}}";
    let (parameters, problems) = parse(&[("schema.json", main), ("common/sizes.json", sizes)]);
    assert_eq!(problems, "");
    let schema = parameters.unwrap().schema;
    assert!(schema.validator.is_valid(&json!({"size": 3, "tree": {"next": {"size": 9}}})));
    assert!(!schema.validator.is_valid(&json!({"size": 10})));
    assert!(!schema.validator.is_valid(&json!({"tree": {"next": {"size": 10}}})));

    let bad = sizes.replace("\"maximum\"", "\"maximun\"");
    let found = parse(&[("schema.json", main), ("common/sizes.json", &bad)]).1;
    insta::assert_snapshot!(found, @r#"3:39-48 CAT009 unknown keyword `maximun`: it has no effect | did you mean `maximum`?"#);
    let found = parse(&[("schema.json", main), ("common/size.json", sizes)]).1;
    insta::assert_snapshot!(found, @r#"
    2:18-49 CAT002 there is no file `common/sizes.json` in this folder | did you mean `common/size.json`?
    3:18-37 CAT002 there is no file `common/sizes.json` in this folder | did you mean `common/size.json`?
    "#);
}

#[test]
fn references_that_lead_nowhere_or_to_themselves_are_refused() {
    assert_eq!(code("{$ref: \"#/$defs/none\"}"), "CAT002");
    assert_eq!(code("{$ref: \"#/properties\"}"), "CAT002");
    assert_eq!(code("{$ref: \"#/properties/a\"}"), "CAT002");
    assert_eq!(code("{allOf: [{not: {$ref: \"#/properties/a\"}}]}"), "CAT002");
    // Looking at a part of the value each time comes to an end.
    assert_eq!(code("{type: object, properties: {next: {$ref: \"#/properties/a\"}}}"), "");
}

#[test]
fn references_that_double_at_each_step_are_refused_b44() {
    let mut schema =
        "type: object\nadditionalProperties: false\nproperties: {a: {$ref: \"#/$defs/d0\"}}\n$defs:\n".to_owned();
    for n in 0..30 {
        let next = n + 1;
        schema.push_str(&format!(
            "  d{n}: {{allOf: [{{$ref: \"#/$defs/d{next}\"}}, {{$ref: \"#/$defs/d{next}\"}}]}}\n"
        ));
    }
    schema.push_str("  d30: {type: string}\n");
    assert!(problems(&schema).contains("CAT005"), "{}", problems(&schema));
}

#[test]
fn patterns_run_in_linear_time_b41_b42() {
    assert_eq!(code("{type: string, pattern: \"(?=.*b)(a+)+c\"}"), "CAT003");
    assert_eq!(code("{type: string, pattern: \"(a)\\\\1\"}"), "CAT003");
    assert_eq!(code("{type: object, patternProperties: {\"(?!x)\": {type: string}}}"), "CAT003");
    assert_eq!(code("{type: string, pattern: \"((a{1000}){1000}){1000}\"}"), "CAT003");
    let (parameters, problems) = parse(&[(
        "schema.json",
        "{type: object, additionalProperties: false, properties: {a: {pattern: \"^(a+)+$\"}}}",
    )]);
    assert_eq!(problems, "");
    let value = json!({"a": format!("{}b", "a".repeat(100_000))});
    let validator = &parameters.unwrap().schema.validator;
    let is_valid = || validator.is_valid(&value);
    assert!(!yaml::tests::within(std::time::Duration::from_millis(5), is_valid));
}

#[test]
fn a_schema_that_is_none_is_refused_where_it_is_wrong_b45() {
    let schema = "$schema: http://json-schema.org/draft-07/schema#\ntype: object\n\
                  additionalProperties: false\nproperties:\n  a: {type: strin}\n  b: {minimum: x}\n  \
                  c: {$id: x, type: string}\n";
    insta::assert_snapshot!(problems(schema), @r#"
    5:13-18 CAT006 expected one of `array`, `boolean`, `integer`, `null`, `number`, `object`, `string` for `properties.a.type`, found the text `strin` | did you mean `string`?
    6:16-17 CAT006 expected a number for `properties.b.minimum`, found the text `x`
    "#);
    let schema = "$schema: http://json-schema.org/draft-07/schema#\ntype: object\n\
                  additionalProperties: false\nproperties:\n  c: {$id: x, type: string}\n  \
                  d: {type: string, format: ipv5}\n  e: {type: string, x-change: never}\n  f: {x-reference: network}\n";
    insta::assert_snapshot!(problems(schema), @r#"
    1:10-49 CAT006 expected `https://json-schema.org/draft/2020-12/schema`
    5:7-10 CAT006 `$id` may only stand at the top of a schema
    7:31-36 CAT004 expected one of `update`, `replace`, `immutable`, `grow-only`
    8:20-27 CAT004 expected `{template: <name of a template>}`
    "#);
    assert_eq!(code("{type: string, format: ipv5}"), "CAT006");
    assert!(problems("type: string\n").contains("CAT006"));
    assert!(
        problems("type: object\nadditionalProperties: false\nproperties: [a]\n").contains("CAT006")
    );
}

#[test]
fn warnings_name_what_would_pass_unseen_b46_b48() {
    let schema = "type: object\nproperties:\n  a: {type: string, default: AKIAIOSFODNN7EXAMPLE}\n  \
                  b: {type: string, x-sensitive: true, default: x}\n  c: {type: integer, minimun: 1}\n";
    let (parameters, problems) = parse(&[("schema.json", schema)]);
    insta::assert_snapshot!(problems, @r#"
    1:1-1 CAT008 `additionalProperties` is not set: misspelt parameters would pass | add `additionalProperties: false`
    3:21-28 CAT007 the value of `default` looks like a secret | whoever reads the catalog reads it; take it out, and change the secret
    4:40-47 CAT007 a sensitive parameter has a default; it is not used | take it out: the catalog is no place for secrets
    5:22-29 CAT009 unknown keyword `minimun`: it has no effect | did you mean `minimum`?
    "#);
    let parameters = parameters.unwrap();
    assert!(!parameters.defaults.contains_key("b"));
    assert!(parameters.sensitive.contains("b"));
}

#[test]
fn a_default_fits_its_own_schema() {
    assert_eq!(code("{type: integer, default: four}"), "CAT011");
    assert_eq!(code("{type: object, default: {b: 1}, properties: {b: {type: string}}}"), "CAT011");
    assert_eq!(code("{type: integer, default: 4}"), "");
}

#[test]
fn annotations_are_found_behind_references() {
    let schema = "type: object\nadditionalProperties: false\nproperties:\n  \
                  a: {$ref: \"#/$defs/x\"}\n  b: {type: object, properties: {c: {$ref: \"#/$defs/y\"}}}\n\
                  $defs:\n  x: {type: string, default: q, x-change: grow-only, x-reference: {template: network}}\n  \
                  y: {type: string, writeOnly: true}\n";
    let (parameters, problems) = parse(&[("schema.json", schema)]);
    assert_eq!(problems, "");
    let parameters = parameters.unwrap();
    assert_eq!(parameters.defaults["a"], json!("q"));
    assert_eq!(parameters.change_rules["a"], ChangeRule::GrowOnly);
    assert_eq!(parameters.filled_by["a"], "network");
    assert!(parameters.sensitive.contains("b"));
}

#[test]
fn defaults_inside_objects_and_lists_are_filled_in() {
    let schema = "type: object\nadditionalProperties: false\nproperties:\n  \
                  rule: {$ref: \"#/$defs/rule\"}\n  rules: {type: array, items: {$ref: \"#/$defs/rule\"}}\n  \
                  byName: {type: object, additionalProperties: {$ref: \"#/$defs/rule\"}}\n\
                  $defs:\n  rule:\n    type: object\n    properties:\n      port: {type: integer, default: 80}\n      \
                  next: {$ref: \"#/$defs/rule\"}\n";
    let parameters = parse(&[("schema.json", schema)]).0.unwrap();
    let mut values = json!({"rule": {}, "rules": [{"port": 1}, {}], "byName": {"x": {"next": {}}}});
    parameters.fill_nested(values.as_object_mut().unwrap());
    assert_eq!(
        values,
        json!({"rule": {"port": 80}, "rules": [{"port": 1}, {"port": 80}],
               "byName": {"x": {"port": 80, "next": {"port": 80}}}})
    );
    let mut none = json!({});
    parameters.fill_nested(none.as_object_mut().unwrap());
    assert_eq!(none, json!({}));
}

#[test]
fn a_long_chain_of_references_is_refused_before_it_fills_the_stack() {
    let chain = |link: &dyn Fn(usize) -> String, length: usize| {
        let mut schema =
            "type: object\nadditionalProperties: false\nproperties: {a: {$ref: \"#/$defs/d0\"}}\n$defs:\n".to_owned();
        for n in 0..length {
            schema.push_str(&format!("  d{n}: {}\n", link(n + 1)));
        }
        schema.push_str(&format!("  d{length}: {{type: string}}\n"));
        problems(&schema)
    };
    let plain = |next: usize| format!("{{$ref: \"#/$defs/d{next}\"}}");
    let parts = |next: usize| format!("{{items: {{$ref: \"#/$defs/d{next}\"}}}}");
    assert_eq!(chain(&plain, 50), "");
    assert_eq!(chain(&parts, 20), "");
    for link in [&plain as &dyn Fn(usize) -> String, &parts] {
        let found = chain(link, 1_000);
        assert!(found.contains("CAT005"), "{found}");
    }
}
