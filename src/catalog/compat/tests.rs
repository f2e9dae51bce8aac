//! What differs between versions, told one change at a time; and that no narrowing is missed.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::narrow::narrowed;
use super::*;
use crate::catalog::{Catalog, load};
use crate::model::Files;

const SCHEMA: &str = "type: object\nadditionalProperties: false\nrequired: [image]\nproperties:\n  image: {type: string, maxLength: 40}\n  replicas: {type: integer, minimum: 1, maximum: 9, default: 2}\n  size: {enum: [small, large], default: small}\n";

fn template(version: &str, spec: &str) -> String {
    format!(
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {{name: web, version: {version}}}\nspec:\n  parameters: schema.yaml\n{spec}"
    )
}

const SPEC: &str = "  components:\n    - {name: app, provider: files, source: app.yaml.hbs}\n  outputs:\n    path: {from: app.path}\n";

fn catalog(versions: &[(&str, &str, &str)]) -> Catalog {
    let mut files = Files::default();
    let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: acme}\n";
    files.insert("catalog.yaml", head.as_bytes());
    for (version, spec, schema) in versions {
        let folder = format!("templates/web/{version}");
        files.insert(format!("{folder}/template.yaml"), template(version, spec).as_bytes());
        files.insert(format!("{folder}/schema.yaml"), schema.as_bytes());
        files.insert(format!("{folder}/app.yaml.hbs"), b"image: {{parameters.image}}\n".as_slice());
    }
    let (catalog, problems) = load(&files, None);
    assert!(!problems.iter().any(Diagnostic::is_error), "{problems:#?}");
    catalog
}

/// The reasons of a version with another spec and schema than 1.0.0.
fn reasons(spec: &str, schema: &str) -> String {
    let catalog = catalog(&[("1.0.0", SPEC, SCHEMA), ("1.0.1", spec, schema)]);
    let (_, comparison) = comparisons(&catalog).next().unwrap();
    let line = |r: &Reason| format!("{} {}:{} {}\n", r.bump, r.place.line, r.place.column, r.what);
    comparison.reasons.iter().map(line).collect()
}

fn schema_reasons(from: &str, to: &str) -> String {
    assert!(SCHEMA.contains(from), "{from}");
    reasons(SPEC, &SCHEMA.replace(from, to))
}

fn spec_reasons(from: &str, to: &str) -> String {
    assert!(SPEC.contains(from), "{from}");
    reasons(&SPEC.replace(from, to), SCHEMA)
}

fn said(versions: &[(&str, &str, &str)], published: &[&str]) -> String {
    let catalog = catalog(versions);
    let id = |version: &&str| TemplateId::parse(&format!("web@{version}")).unwrap();
    let published: BTreeSet<TemplateId> = published.iter().map(id).collect();
    let line = |d: &Diagnostic| {
        let related = d
            .related
            .iter()
            .map(|(place, text)| format!("\n  {}:{} {text}", place.file, place.line));
        format!(
            "{:?} {} {}:{} {} | {}{}\n",
            d.severity,
            d.code,
            d.place.file,
            d.place.line,
            d.message,
            d.help,
            related.collect::<String>()
        )
    };
    problems(&catalog, &published, &|_, _| Vec::new()).iter().map(line).collect()
}

#[test]
fn nothing_that_differs_is_a_patch() {
    assert_eq!(reasons(SPEC, SCHEMA), "");
    assert_eq!(reasons(SPEC, &format!("{SCHEMA}description: Other words.\n")), "");
    assert_eq!(said(&[("1.0.0", SPEC, SCHEMA), ("1.0.1", SPEC, SCHEMA)], &[]), "");
}

#[test]
fn parameters_that_take_less_are_major() {
    assert_snapshot!(schema_reasons("maximum: 9", "maximum: 5"), @"major 6:50 `replicas` is bounded by `maximum: 5` now");
    assert_snapshot!(schema_reasons("maxLength: 40", "maxLength: 40, pattern: '^a'"), @"major 5:49 `pattern` of `image` changed; what it refuses now cannot be told, so it counts as narrowed");
    assert_snapshot!(schema_reasons("[small, large]", "[small]"), @"major 7:16 `size` may not be `large` any more");
    assert_snapshot!(schema_reasons("required: [image]", "required: [image, size]"), @"major 3:11 `size` is required now");
    let number = "{type: integer, minimum: 1, maximum: 9, default: 2}";
    let size = "  size: {enum: [small, large], default: small}\n";
    for (from, to, what) in [
        (number, "{type: string}", "the type of `replicas` is string, and was integer"),
        (number, "{type: string}", "the default of `replicas` is none, and was `2`"),
        (size, "", "`size` cannot be given any more"),
        ("image: {", "image: {x-sensitive: true, ", "`image` is sensitive now"),
        ("replicas: {", "replicas: {x-change: immutable, ", "may not be changed any more"),
        ("default: 2", "default: 3", "the default of `replicas` is `3`, and was `2`"),
    ] {
        let reasons = schema_reasons(from, to);
        let has = |line: &str| line.starts_with("major ") && line.contains(what);
        assert!(reasons.lines().any(has), "{to}: {reasons}");
    }
}

#[test]
fn another_lifetime_counts() {
    let with = |ttl: &str| match ttl {
        "" => SPEC.to_owned(),
        ttl => format!("{SPEC}  ttl: {{{ttl}}}\n"),
    };
    let ends = |was: &str, now: &str| {
        let catalog = catalog(&[("1.0.0", &with(was), SCHEMA), ("1.0.1", &with(now), SCHEMA)]);
        let (_, comparison) = comparisons(&catalog).next().unwrap();
        let line = |r: &Reason| format!("{} {}", r.bump, r.what);
        comparison.reasons.iter().map(line).collect::<Vec<_>>()
    };
    assert_eq!(
        ends("", "default: 14d, max: 30d"),
        [
            "major requests may ask for 30d at most, and could for any time",
            "major requests that ask for no end get one, after 14d: what they made is deleted then",
        ]
    );
    assert_eq!(
        ends("default: 14d, max: 30d", "default: 7d, max: 60d"),
        [
            "major requests that ask for no end live for 7d, and did for 14d: they end sooner",
            "minor requests may ask for 60d, and could for 30d at most",
        ]
    );
    assert_eq!(
        ends("max: 30d", "max: 20d"),
        [
            "major requests may ask for 20d at most, and could for 30d",
            "major requests that ask for no end live for 20d, and did for 30d: they end sooner",
        ]
    );
    assert_eq!(
        ends("default: 14d, max: 30d", ""),
        [
            "minor requests may ask for any time",
            "minor requests that ask for no end get none any more",
        ]
    );
    // Where it applies counts, and not how that is written.
    assert_eq!(
        ends("default: 2d, environments: [dev]", "default: 2d"),
        [
            "major in all other environments: requests that ask for no end get one, after 2d: what they made is deleted then"
        ]
    );
    assert!(ends("default: 30d, max: 30d", "max: 30d").is_empty());
}

#[test]
fn parameters_that_take_more_are_minor() {
    assert_snapshot!(schema_reasons("maximum: 9", "maximum: 12"), @"minor 6:3 `replicas` is not bounded by `maximum: 9` any more");
    assert_snapshot!(schema_reasons("[small, large]", "[small, large, huge]"), @"minor 7:3 `size` may be `huge` as well");
    assert_snapshot!(schema_reasons("properties:\n", "properties:\n  tone: {type: string, default: plain}\n"), @"minor 5:3 `tone` may be given");
    assert_snapshot!(schema_reasons("required: [image]\n", ""), @"minor 4:3 `image` may be left out now");
}

#[test]
fn components_outputs_and_rules_count() {
    assert_snapshot!(spec_reasons("    path: {from: app.path}\n", "    where: {from: app.path}\n"), @"
    major 8:3 the output `path` is gone
    minor 9:19 the output `where` is new
    ");
    assert_snapshot!(spec_reasons("app.path", "app.digest"), @"major 9:18 the output `path` is `app.digest`, and was `app.path`: what it means may have changed");
    assert_snapshot!(spec_reasons("provider: files", "provider: cloudformation"), @"major 7:14 the component `app` moves from the provider `files` to `cloudformation`: it is deleted and made anew");
    assert_snapshot!(reasons(&SPEC.replace("name: app,", "name: main,").replace("app.path", "main.path"), SCHEMA), @"
    major 6:3 the component `app` is gone: what it made is deleted
    major 9:18 the output `path` is `main.path`, and was `app.path`: what it means may have changed
    minor 7:14 the component `main` is new
    ");
    assert_snapshot!(reasons(&SPEC.replace("name: app,", "name: main, movedFrom: app,").replace("app.path", "main.path"), SCHEMA), @"");
    assert_snapshot!(spec_reasons("source: app.yaml.hbs}", "source: app.yaml.hbs, with: {path: other}}"), @"major 7:14 settings of the component `app` changed (`path`); whether it stays where it is cannot be told");
    assert_snapshot!(spec_reasons("  outputs:\n", "  policy: [{deny: parameters.replicas > 5}]\n  approvals: [{teams: [x]}]\n  allow: ['AWS::SQS::*']\n  onDrift: revert\n  outputs:\n"), @"
    major 8:19 a rule that denies is new, or says something else
    major 10:3 types of resources that could be made cannot any more
    minor 9:15 an approval is new, or asks for something else
    minor 1:1 what is done about drift is something else
    ");
}

#[test]
fn a_number_that_says_too_little_is_an_error_until_it_is_published() {
    let narrow = SCHEMA.replace("maximum: 9", "maximum: 5");
    let versions = [("1.0.0", SPEC, SCHEMA), ("1.1.0", SPEC, narrow.as_str())];
    assert_snapshot!(said(&versions, &["1.0.0"]), @"
    Error VER001 templates/web/1.1.0/template.yaml:3 `web@1.1.0` is a major change after `1.0.0`, and its number says minor | call it `2.0.0` or higher, or say `versionBump: minor` below `spec` if nobody is harmed
      templates/web/1.1.0/schema.yaml:6 major: `replicas` is bounded by `maximum: 5` now
    ");
    assert_snapshot!(said(&versions, &["1.0.0", "1.1.0"]), @"
    Warning VER001 templates/web/1.1.0/template.yaml:3 `web@1.1.0` is a major change after `1.0.0`, and its number says minor | it is published, so it stays; publish what should have been under a new number
      templates/web/1.1.0/schema.yaml:6 major: `replicas` is bounded by `maximum: 5` now
    ");
    let major = [("1.0.0", SPEC, SCHEMA), ("2.0.0", SPEC, narrow.as_str())];
    assert_eq!(said(&major, &[]), "");
    // A pre-release says what its release will, and pre-releases may differ from one another.
    let pre = [
        ("1.0.0", SPEC, SCHEMA),
        ("2.0.0-rc.1", SPEC, narrow.as_str()),
        ("2.0.0-rc.2", SPEC, SCHEMA),
        ("2.0.0", SPEC, narrow.as_str()),
    ];
    assert_eq!(said(&pre, &[]), "");
    // Before 1.0.0 the second number does it.
    let young = [("0.1.0", SPEC, SCHEMA), ("0.2.0", SPEC, narrow.as_str())];
    assert_eq!(said(&young, &[]), "");
    assert_snapshot!(said(&[("0.1.0", SPEC, SCHEMA), ("0.1.1", SPEC, narrow.as_str())], &[]), @"
    Error VER001 templates/web/0.1.1/template.yaml:3 `web@0.1.1` is a major change after `0.1.0`, and its number says minor (before 1.0.0 the second number stands for major changes) | call it `0.2.0` or higher, or say `versionBump: minor` below `spec` if nobody is harmed
      templates/web/0.1.1/schema.yaml:6 major: `replicas` is bounded by `maximum: 5` now
    ");
}

#[test]
fn an_author_may_know_better_and_it_is_shown() {
    let narrow = SCHEMA.replace("maximum: 9", "maximum: 5");
    let spec = format!("  versionBump: minor\n{SPEC}");
    assert_snapshot!(said(&[("1.0.0", SPEC, SCHEMA), ("1.1.0", spec.as_str(), narrow.as_str())], &[]), @"
    Warning VER002 templates/web/1.1.0/template.yaml:6 `versionBump` says that `web@1.1.0` is a minor change after `1.0.0`; by what differs it is a major one | the file's word counts; whoever reviews it should know why
      templates/web/1.1.0/schema.yaml:6 major: `replicas` is bounded by `maximum: 5` now
    ");
    let low = said(&[("1.0.0", SPEC, SCHEMA), ("1.0.1", spec.as_str(), narrow.as_str())], &[]);
    assert!(low.contains("Error VER001"), "{low}");
}

/// Schemas of few words, so that two of them often speak of the same things.
fn schema() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(json!({})),
        Just(json!(true)),
        Just(json!(false)),
        Just(json!({"type": "string"})),
        (0u64..3, 0u64..4)
            .prop_map(|(a, b)| json!({"type": "string", "minLength": a, "maxLength": b})),
        Just(json!({"type": "string", "pattern": "^a"})),
        Just(json!({"pattern": "b$"})),
        (-1i64..3, 0i64..4)
            .prop_map(|(a, b)| json!({"type": "integer", "minimum": a, "maximum": b})),
        (-1i64..3).prop_map(|a| json!({"type": "number", "exclusiveMinimum": a})),
        (0i64..4).prop_map(|a| json!({"exclusiveMaximum": a})),
        (1u64..4).prop_map(|a| json!({"multipleOf": a})),
        Just(json!({"type": ["integer", "null"]})),
        Just(json!({"type": "boolean"})),
        Just(json!({"const": 1})),
        prop::sample::subsequence(
            vec![
                json!("a"),
                json!("ab"),
                json!(1),
                json!(1.5),
                json!(null),
                json!(true),
                json!([])
            ],
            1..5
        )
        .prop_map(|values| json!({"enum": values})),
        Just(json!({"$ref": "#/$defs/one"})),
        Just(json!({"$ref": "#/$defs/two"})),
    ];
    scalar.prop_recursive(3, 24, 4, |inner| {
        let named = prop::collection::btree_map(prop::sample::select(vec!["a", "b", "ab", "c"]), inner.clone(), 0..3);
        let names = prop::sample::subsequence(vec!["a", "b", "ab"], 0..3);
        let maybe = |inner: &BoxedStrategy<Value>| prop::option::of(inner.clone());
        let boxed = inner.clone().boxed();
        prop_oneof![
            (named, names, maybe(&boxed), maybe(&boxed), prop::option::of(0u64..3), any::<bool>(), any::<bool>()).prop_map(
                |(properties, required, other, pattern, most, typed, names)| {
                    let mut schema = json!({"properties": properties, "required": required});
                    if typed { schema["type"] = json!("object"); }
                    if let Some(other) = other { schema["additionalProperties"] = other; }
                    if let Some(pattern) = pattern { schema["patternProperties"] = json!({"^a": pattern}); }
                    if let Some(most) = most { schema["maxProperties"] = json!(most); }
                    if names { schema["propertyNames"] = json!({"maxLength": 1}); }
                    schema
                }
            ),
            (maybe(&boxed), prop::collection::vec(inner.clone(), 0..3), prop::option::of(0u64..3), any::<bool>()).prop_map(
                |(items, prefix, most, unique)| {
                    let mut schema = json!({});
                    if let Some(items) = items { schema["items"] = items; }
                    if !prefix.is_empty() { schema["prefixItems"] = json!(prefix); }
                    if let Some(most) = most { schema["maxItems"] = json!(most); }
                    if unique { schema["uniqueItems"] = json!(true); schema["type"] = json!("array"); }
                    schema
                }
            ),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|all| json!({"allOf": all})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|any| json!({"anyOf": any})),
            prop::collection::vec(inner.clone(), 1..3).prop_map(|one| json!({"oneOf": one})),
            inner.clone().prop_map(|not| json!({"not": not})),
            (inner.clone(), inner.clone(), inner.clone()).prop_map(|(a, b, c)| json!({"if": a, "then": b, "else": c})),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| json!({"contains": a, "minContains": 1, "items": b})),
            Just(json!({"dependentRequired": {"a": ["b"]}})),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"dependentSchemas": {"a": a}, "properties": {"b": b}, "unevaluatedProperties": false})),
        ]
    })
}

fn whole() -> impl Strategy<Value = Value> {
    (schema(), schema(), schema()).prop_map(|(mut main, one, mut two)| {
        // A reference from a reference to itself would judge nothing.
        let strip = |schema: &mut Value| {
            crate::catalog::parameters::rewrite(schema, &|_| Some("#/$defs/end".into()));
        };
        let mut one = one;
        strip(&mut one);
        strip(&mut two);
        if !main.is_object() {
            main = json!({"allOf": [main]});
        }
        main["$defs"] = json!({"one": one, "two": two, "end": {"type": ["string", "object"]}});
        main
    })
}

/// One change somewhere in a schema.
#[derive(Clone, Debug)]
enum Edit {
    Drop(usize),
    Number(usize, i64),
    Put(usize, Value),
    Close(usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        (0usize..40).prop_map(Edit::Drop),
        (0usize..40, -1i64..4).prop_map(|(n, to)| Edit::Number(n, to)),
        (0usize..40, schema()).prop_map(|(n, schema)| Edit::Put(n, schema)),
        (0usize..40).prop_map(Edit::Close),
    ]
}

/// Paths to everything in a schema, by pointer.
fn pointers(value: &Value, at: &str, out: &mut Vec<String>) {
    out.push(at.to_owned());
    match value {
        Value::Object(map) => map.iter().for_each(|(k, v)| {
            pointers(v, &format!("{at}/{}", crate::catalog::explain::escape(k)), out);
        }),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(n, v)| pointers(v, &format!("{at}/{n}"), out));
        }
        _ => {}
    }
}

fn edited(schema: &Value, edits: &[Edit]) -> Value {
    let mut schema = schema.clone();
    for edit in edits {
        let mut all = Vec::new();
        pointers(&schema, "", &mut all);
        let (Edit::Drop(n) | Edit::Number(n, _) | Edit::Put(n, _) | Edit::Close(n)) = edit;
        let at = all[n % all.len()].clone();
        let Some(found) = schema.pointer_mut(&at) else { continue };
        match (edit, found) {
            (Edit::Drop(_), Value::Object(map)) => {
                if let Some(key) = map
                    .keys()
                    .find(|key| *key != "$defs" && !["one", "two", "end"].contains(&key.as_str()))
                    .cloned()
                {
                    map.remove(&key);
                }
            }
            (Edit::Drop(_), Value::Array(items)) if items.len() > 1 => drop(items.pop()),
            (Edit::Number(_, to), number @ Value::Number(_)) => *number = json!(to),
            (Edit::Put(_, new), found) if !at.is_empty() && !at.starts_with("/$defs") => {
                *found = new.clone();
            }
            (Edit::Close(_), Value::Object(map)) => {
                drop(map.insert("additionalProperties".into(), json!(false)));
            }
            _ => {}
        }
    }
    schema
}

fn instance() -> impl Strategy<Value = Value> {
    let scalar = prop::sample::select(vec![
        json!(null),
        json!(true),
        json!(false),
        json!(-1),
        json!(0),
        json!(1),
        json!(2),
        json!(3),
        json!(1.5),
        json!(1.0),
        json!(""),
        json!("a"),
        json!("ab"),
        json!("b"),
        json!("abb"),
    ]);
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            prop::collection::btree_map(
                prop::sample::select(vec!["a", "b", "ab", "c", "d"]),
                inner,
                0..3
            )
            .prop_map(|map| json!(map)),
        ]
    })
}

fn validator(schema: &Value) -> Option<jsonschema::Validator> {
    crate::catalog::schema::Schema::compile(schema.clone()).ok().map(|schema| schema.validator)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_500, max_global_rejects: 200_000, ..ProptestConfig::default() })]

    #[test]
    fn a_value_that_is_refused_where_it_was_taken_is_never_missed(
        old in whole(),
        edits in prop::collection::vec(edit(), 0..4),
        values in prop::collection::vec(instance(), 24),
    ) {
        let new = edited(&old, &edits);
        let (Some(was), Some(now)) = (validator(&old), validator(&new)) else { return Ok(()) };
        let found = narrowed(&old, &new);
        if found.is_empty() {
            for value in &values {
                prop_assert!(!was.is_valid(value) || now.is_valid(value), "{value}\nold {old}\nnew {new}");
            }
        }
        // What is the same narrows nothing.
        prop_assert_eq!(narrowed(&old, &old), vec![], "{}", old);
    }
}
