//! Whatever a value is, it changes nothing but the scalars that hold it.

use proptest::prelude::*;

use super::*;
use crate::yaml::{self, Options};

/// Every way in which a value can stand in a document.
const TEMPLATE: &str = "\
plain: {{parameters.x}}
quoted: \"{{parameters.x}}\"
single: '{{parameters.x}}'
longer: before {{parameters.x}} after {{parameters.x}}
block: |
  first
  {{parameters.x}}
folded: >-
  {{parameters.x}}
list:
  - {{parameters.x}}
  - [a, {{parameters.x}}, {k: \"{{parameters.x}}\"}]
{{#if (eq parameters.y 1)}}
under: # {{parameters.x}}
  {{parameters.x}}
{{/if}}
{{#each parameters.l as |item|}}
each-{{@index}}: {v: {{item}}, w: 'x{{item}}'}
{{/each}}
last: true
---
second: {{lower parameters.x}}
";

/// Pieces that mean something to YAML, JSON, Handlebars, CloudFormation, Terraform, or to us.
fn nasty() -> impl Strategy<Value = String> {
    let pieces = prop_oneof![
        prop::sample::select(super::NASTY.to_vec()).prop_map(str::to_owned),
        prop::sample::select(vec![
            "\n",
            "\r\n",
            "\t",
            ": ",
            "- ",
            "{{",
            "}}",
            "!Ref ",
            "&a ",
            "*a",
            "#",
            " #",
            "\u{2028}",
            "\u{85}",
            "${AWS::AccountId}",
            "%",
            "@",
            "`",
            "|",
            ">",
            "---\n",
            "...\n",
            "\u{E000}1\u{E000}",
            "\u{E000}",
            "\u{FEFF}",
            "\\",
            "\"",
            "'",
            "~",
            "null",
            "0777",
            "1e3",
            "{{resolve:",
            "😀",
            "[",
            "]",
            "{",
            "}",
            ",",
        ])
        .prop_map(str::to_owned),
        any::<String>(),
    ];
    // The reader, which the result is held against, takes no control characters.
    let readable = |c: &char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    prop::collection::vec(pieces, 0..6)
        .prop_map(move |pieces| pieces.concat().chars().filter(readable).collect())
}

fn documents(compiled: &Compiled, x: &str) -> Value {
    let parameters = json!({"x": x, "y": 1, "l": [x, "z"]});
    let first = compiled.render(&context(&parameters), &Limits::default());
    let first = first.map_err(|p| shown(&p)).unwrap();
    assert_eq!(compiled.render(&context(&parameters), &Limits::default()).unwrap(), first);
    let text = only(first);
    let nodes = yaml::read(&"a".into(), text.as_bytes(), &Options::rendered());
    let nodes = nodes.map_err(|p| shown(&p)).unwrap();
    Value::Array(nodes.iter().map(yaml::Node::to_json).collect())
}

/// Replaces the neutral value in every scalar.
fn put(value: &mut Value, neutral: &str, x: &str) {
    match value {
        Value::String(text) => {
            let lower = text.as_str() == neutral.to_lowercase();
            *text = if lower { x.to_lowercase() } else { text.replace(neutral, x) };
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, neutral, x)),
        Value::Object(map) => map.values_mut().for_each(|item| put(item, neutral, x)),
        _ => {}
    }
}

proptest! {
    #[test]
    fn b52_a_value_changes_only_the_scalars_that_hold_it(x in nasty()) {
        const NEUTRAL: &str = "NEUTRAL";
        let compiled = build(&[("a.yaml.hbs", TEMPLATE)], &[], Flavour::Plain).unwrap();
        let mut expected = documents(&compiled, NEUTRAL);
        put(&mut expected, NEUTRAL, &x);
        prop_assert_eq!(documents(&compiled, &x), expected);
    }

    #[test]
    fn b53_in_a_stack_a_value_is_that_text_or_refused(x in nasty()) {
        let text = "A: {{parameters.x}}\nB: \"a {{parameters.x}}\"\nC: !Sub \"a {{parameters.x}}\"\n\
                    D: !Join ['', [!Ref A, {{parameters.x}}]]\n";
        match cfn(text, &json!({"x": x})) {
            Ok(value) => {
                let sub = format!("a {x}").replace("${", "${!");
                let expected = json!({
                    "A": x, "B": format!("a {x}"), "C": {"Fn::Sub": sub},
                    "D": {"Fn::Join": ["", [{"Ref": "A"}, x]]},
                });
                prop_assert_eq!(value, expected);
            }
            Err(said) => {
                let part = crate::render::reference::may_complete(&x);
                prop_assert!(part || x.contains("{{resolve:"), "{}", said);
            }
        }
    }

    #[test]
    fn any_text_is_a_template_or_refused(
        text in prop::collection::vec(prop_oneof![
            prop::sample::select(vec![
                "{{", "}}", "#if ", "#each ", "else", "/if", "/each", "{{/if}}", "{{else}}", "parameters.x", "(", ")",
                "\"", "'", "~", "|", "as |a|", ".", "..", "/", "[", "]", "@", "@index", "this", "=", "eq ", " ", "\n",
                "!", "!--", "--}}", ">", "p", "\\", "1", "-", "é", "{{parameters.x}}", "{{#if parameters.x}}",
                "{", "}", "#", "^", "&", "*", ":", ",", "else if ", "{{else if 1}}", "{{> p}}", "@root.", "./", "a=",
                "{{! x }}", "{{!-- x --}}", "\\{{", "true", "1E5", "eq 'a' \"b\"", "(eq a 1)", "[a b]", "\r", "\t",
            ]).prop_map(str::to_owned),
            ".{0,3}",
        ], 0..24).prop_map(|pieces| pieces.concat())
    ) {
        let built = build(&[("a.txt.hbs", &text), ("b.yaml.hbs", &text)], &[("p", "x")], Flavour::Plain);
        match built {
            Ok(compiled) => {
                let _ = compiled.render(&context(&json!({"x": [1]})), &Limits::default());
            }
            // What the guard and the parser read differently would be bounded by the wrong one.
            Err(problems) => {
                let said = shown(&problems);
                prop_assert!(!said.contains("cannot be read\n") && !said.ends_with("cannot be read"), "{}", said);
                prop_assert!(!said.contains("template cannot"), "{}", said);
            }
        }
    }
}
