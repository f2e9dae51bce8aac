//! The language is Handlebars: where both know a template, the crate of that name gives the same.

use proptest::prelude::*;

use super::*;

fn text(template: &str, partials: &[(&str, &str)], parameters: &Value) -> String {
    let compiled = build(&[("a.txt.hbs", template)], partials, Flavour::Plain);
    let compiled = compiled.map_err(|p| shown(&p)).unwrap();
    let rendered = compiled.render(&context(parameters), &Limits::default());
    only(rendered.map_err(|p| shown(&p)).unwrap())
}

/// The same by the crate.
fn reference(template: &str, partials: &[(&str, &str)], parameters: &Value) -> String {
    let mut registry = handlebars::Handlebars::new();
    registry.set_strict_mode(true);
    registry.register_escape_fn(handlebars::no_escape);
    for (name, text) in partials {
        registry.register_partial(name, text).unwrap();
    }
    let context = context(parameters);
    let data = json!({
        "request": context.request, "environment": context.environment,
        "template": context.template, "parameters": parameters,
    });
    registry.render_template(template, &data).unwrap()
}

const TEMPLATES: [&str; 34] = [
    "plain text\n",
    "{{parameters.s}} {{ parameters.n }} {{request.labels.service}}\n",
    "{{#if parameters.t}}yes{{else}}no{{/if}} {{#if parameters.f}}yes{{else}}no{{/if}}",
    "{{#if parameters.f}}a{{else if parameters.t}}b{{else}}c{{/if}}",
    "{{#if parameters.f}}a{{else if parameters.zero}}b{{else if parameters.e}}c{{else}}d{{/if}}",
    "{{#if parameters.t}}{{#if parameters.f}}x{{else}}y{{/if}}{{else}}z{{/if}}",
    "{{#unless parameters.e}}empty{{else}}full{{/unless}}",
    "{{#each parameters.l}}{{@index}}:{{this}}{{#unless @last}},{{/unless}}{{/each}}",
    "{{#each parameters.o}}{{@key}}={{this}}{{#if @first}}!{{/if}} {{/each}}",
    "{{#each parameters.none}}x{{else}}nothing{{/each}}",
    "{{#each parameters.l as |item i|}}{{i}}{{item}}{{../request.name}}{{/each}}",
    "{{#each parameters.m}}{{#each this}}{{this}}{{@../index}}{{@index}} {{/each}}{{/each}}",
    "{{#each parameters.people}}{{name}} {{this.name}} {{./name}} {{@root.request.id}}\n{{/each}}",
    "{{#with parameters.db}}{{host}}:{{port}} {{../request.team}}{{/with}}",
    "{{#with parameters.db as |d|}}{{d.host}}{{/with}}{{#with parameters.z}}x{{else}}none{{/with}}",
    "{{parameters.l.0}} {{parameters.l.[1]}} {{parameters.o.[a b]}} {{lookup parameters.l 1}}",
    "a\n{{#if parameters.t}}\nb\n{{/if}}\nc\n",
    "a\n  {{#if parameters.t}}\n  b\n  {{else}}\n  c\n  {{/if}}\nd\n",
    "a\n  {{#each parameters.l}}\n  - {{this}}\n  {{/each}}\nd\n",
    "a {{#if parameters.t}} b {{/if}} c\n",
    "{{#if parameters.t}}\nfirst\n{{/if}}",
    "a\n{{! a comment }}\nb {{!-- another }} --}} c\n",
    "a {{~parameters.s~}} b\n c {{~#if parameters.t~}} \n d {{~/if~}} \n e",
    "a\n\n{{~#if parameters.t}}\nb\n{{/if~}}\n\nc",
    "\\{{not}} \\\\{{parameters.s}} \\ \\\\ x",
    "{{#if (eq parameters.s \"text\")}}same{{/if}}{{#if (ne parameters.n 5)}}other{{/if}}",
    "{{#if (and parameters.t (not parameters.f))}}both{{/if}}{{#if (or parameters.f parameters.t)}}one{{/if}}",
    "{{#if (gt parameters.n 3)}}more{{/if}}{{#if (lt parameters.n 3)}}less{{/if}}",
    "{{> p}}|{{> p parameters.db}}|{{> q k=\"v\" n=parameters.n}}",
    "a:\n  {{> lines}}\nb\n",
    "a: {{> p}}\nb\n",
    "{{#each parameters.people}}{{> person this}};{{/each}}",
    "{{#each parameters.people}}\n  {{> lines}}\n{{/each}}\nend",
    "{{parameters.s}}{{#if true}}t{{/if}}{{#if 0}}z{{/if}}",
];

#[test]
fn the_crate_named_handlebars_gives_the_same() {
    let parameters = json!({
        "s": "text", "n": 5, "t": true, "f": false, "zero": 0, "e": "", "z": null,
        "l": ["x", "y", "z"], "none": [], "o": {"b": 1, "a b": 2, "c": "d"},
        "m": [[1, 2], [3]], "db": {"host": "h", "port": 5432},
        "people": [{"name": "ada"}, {"name": "bob"}],
    });
    let partials =
        [("p", "[p]"), ("q", "{{k}}{{n}}"), ("person", "<{{name}}>"), ("lines", "one\ntwo\n")];
    for template in TEMPLATES {
        assert_eq!(
            text(template, &partials, &parameters),
            reference(template, &partials, &parameters),
            "{template:?}"
        );
    }
}

#[test]
fn a_partial_sees_its_context_its_arguments_and_the_root() {
    let partials = [("p", "{{host}}{{k}}{{@root.request.name}}{{#if k}}!{{/if}}")];
    let parameters = json!({"db": {"host": "h"}});
    assert_eq!(text("{{> p parameters.db k=1}}", &partials, &parameters), "h1events!");
    let outer = "{{#with parameters.db as |d|}}{{> q}}{{/with}}";
    let compiled = build(&[("a.txt.hbs", outer)], &[("q", "{{d.host}}")], Flavour::Plain);
    let rendered = compiled.and_then(|c| c.render(&context(&parameters), &Limits::default()));
    insta::assert_snapshot!(shown(&rendered.unwrap_err()), @"q.hbs:1:3: TPL003: unknown name `d` (`lookup` gives null for a part that may be missing)");
}

#[test]
fn names_inside_a_block_are_those_of_its_value() {
    let template = "{{#each parameters.l}}{{parameters.s}}{{/each}}";
    let said = refused("a.txt.hbs", template, &json!({"l": [{"x": 1}], "s": "t"}));
    insta::assert_snapshot!(said, @"a.txt.hbs:1:25: TPL003: unknown name `parameters` in this block (write `@root.parameters`)");
    let template = "{{default (lookup parameters.o 'gone') 'none'}}";
    assert_eq!(text(template, &[], &json!({"o": {}})), "none");
}

#[test]
fn paths_to_values_are_no_values() {
    let said = refused(
        "a.yaml.hbs",
        "a: {{components.db}}\nb: {{components.bd.outputs.url}}\n",
        &json!({}),
    );
    insta::assert_snapshot!(said, @r"
    a.yaml.hbs:1:6: TPL010: this names no single value (name one of its parts)
    a.yaml.hbs:2:6: TPL003: unknown name `bd` (did you mean `db`?)
    ");
    let with = "{{#with components.db.outputs}}{{url}}{{/with}}{{#with components.cache.outputs as |c|}}{{c.x}}{{/with}}";
    assert_eq!(
        text(with, &[], &json!({})),
        "postgres://db<known after apply: orders/prod/events#cache.x>"
    );
    assert_eq!(
        text("{{json parameters}}", &[], &json!({"b": 1, "a": null})),
        r#"{"a":null,"b":1}"#
    );
    assert_eq!(
        text("{{#each parameters}}{{@key}}{{this}} {{/each}}", &[], &json!({"b": 1, "a": 2})),
        "a2 b1 "
    );
}

#[test]
fn the_guide_for_authors_knows_every_helper_and_its_examples_are_read() {
    let guide = include_str!("../../../docs/templates.md");
    for name in helper::names() {
        assert!(guide.contains(&format!("`{name} ")), "{name}");
    }
    let blocks = guide.split("```").skip(1).step_by(2);
    let examples = blocks.filter_map(|block| block.strip_prefix("handlebars\n")).map(|text| {
        build(&[("a.txt.hbs", text)], &[("labels", ""), ("container", "")], Flavour::Plain)
    });
    for example in examples {
        example.map_err(|p| shown(&p)).unwrap();
    }
}

/// Templates of every kind of tag, in blocks inside one another, with white space around them.
fn template() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "text",
        " ",
        "  ",
        "\n",
        "\n  ",
        "\t",
        "{ ",
        "}}",
        "\\ ",
        "\\{{x}}",
        "é",
        "{{@root.parameters.s}}",
        "{{~@root.parameters.n}}",
        "{{@root.parameters.s~}}",
        "{{#if @root.parameters.f}}{{/if}}",
        "{{! c }}",
        "{{!-- {{c}} --}}",
        "<{{> p}}>",
        "x\n  {{> lines}}\n",
    ]);
    let pieces = prop::collection::vec(piece, 1..5).prop_map(|pieces| pieces.concat());
    let open = prop::sample::select(vec![
        ("{{#if @root.parameters.t}}", "{{/if}}"),
        ("{{~#if @root.parameters.f~}}", "{{~/if~}}"),
        ("\n  {{#unless @root.parameters.t}}\n", "\n {{/unless}} \n"),
        ("{{#each @root.parameters.l as |x i|}}", "{{x}}{{/each}}"),
        ("\n{{#each @root.parameters.none}}", "{{/each}}\n"),
        ("{{#with @root.parameters.db~}}", "{{host}}{{/with}}\n"),
    ]);
    let middle = prop::sample::select(vec![
        "",
        "{{else}}",
        "\n  {{~else}}\n",
        "{{^}}",
        "{{else if @root.parameters.f}}a{{else}}b",
        "\n{{else if (eq @root.parameters.n 5)}}\nc\n",
    ]);
    pieces.prop_recursive(4, 24, 3, move |inner| {
        let inside = prop::collection::vec(inner, 1..3).prop_map(|parts| parts.concat());
        (open.clone(), inside.clone(), middle.clone(), inside).prop_map(
            |((open, close), body, middle, rest)| {
                // What ends a block of `each` or `with` is said in its body only.
                match middle {
                    "" => format!("{body}{open}{rest}{close}"),
                    middle => {
                        let end = close.find("{{/").or(close.find("{{~/")).unwrap_or(0);
                        format!("{open}{body}{middle}{rest}{}", &close[end..])
                    }
                }
            },
        )
    })
}

proptest! {
    #[test]
    fn any_template_gives_what_the_crate_gives(template in template()) {
        let parameters = json!({
            "s": "text", "n": 5, "t": true, "f": false, "l": ["x", "y"], "none": [],
            "db": {"host": "h"},
        });
        let partials = [("p", "[p]"), ("lines", "one\ntwo\n")];
        // A file is never empty.
        let template = format!("{template}.");
        // Escaped braces may make a tag of an end that its block then lacks.
        prop_assume!(build(&[("a.txt.hbs", &template)], &partials, Flavour::Plain).is_ok());
        prop_assert_eq!(
            text(&template, &partials, &parameters),
            reference(&template, &partials, &parameters)
        );
    }
}
