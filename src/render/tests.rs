use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;

fn context(parameters: &Value) -> Context {
    let parameters = parameters.as_object().unwrap().clone();
    Context {
        request: json!({
            "id": "orders/prod/events", "team": "orders", "environment": "prod",
            "name": "events", "labels": {"service": "orders"},
        }),
        parameters: parameters.into_iter().map(|(name, v)| (name, Slot::Known(v))).collect(),
        environment: json!({"name": "prod", "variables": {"vpcId": "vpc-0a1"}}),
        template: json!({"name": "queue", "version": "1.2.0"}),
        components: BTreeMap::from([(
            "db".to_owned(),
            BTreeMap::from([("url".to_owned(), json!("postgres://db"))]),
        )]),
        pending: BTreeSet::from(["cache".to_owned()]),
        request_id: RequestId::parse("orders/prod/events").unwrap(),
    }
}

fn symbol(output: &str) -> Symbol {
    Symbol {
        request: RequestId::parse("platform/prod/network").unwrap(),
        component: None,
        output: output.to_owned(),
    }
}

/// Sources by path, texts of partials by name.
fn build(
    sources: &[(&str, &str)],
    partials: &[(&str, &str)],
    flavour: Flavour,
) -> Result<Compiled, Vec<Diagnostic>> {
    let source = |(path, text): &(&str, &str)| {
        let text: Arc<str> = (*text).into();
        let template = path.ends_with(".hbs");
        let source = if template { Source::Template(text) } else { Source::Plain(text) };
        ((*path).to_owned(), source)
    };
    let partials = partials.iter().map(|(name, text)| ((*name).to_owned(), (*text).into()));
    compile(
        &sources.iter().map(source).collect(),
        "",
        &partials.collect(),
        "templates/queue/1.2.0",
        flavour,
    )
}

fn render_file(path: &str, text: &str, context: &Context) -> Result<Rendered, Vec<Diagnostic>> {
    build(&[(path, text)], &[], Flavour::Plain)?.render(context, &Limits::default())
}

fn only(rendered: Rendered) -> String {
    rendered.artifact.files.into_values().next().unwrap()
}

fn yaml(text: &str, parameters: &Value) -> String {
    only(render_file("a.yaml.hbs", text, &context(parameters)).map_err(|p| shown(&p)).unwrap())
}

fn cfn(text: &str, parameters: &Value) -> Result<Value, String> {
    let compiled = build(&[("stack.yaml.hbs", text)], &[], Flavour::CloudFormation);
    let rendered = compiled.and_then(|c| c.render(&context(parameters), &Limits::default()));
    let rendered = rendered.map_err(|problems| shown(&problems))?;
    assert_eq!(rendered.artifact.files.keys().collect::<Vec<_>>(), ["stack.json"]);
    Ok(serde_json::from_str(&only(rendered)).unwrap())
}

fn shown(problems: &[Diagnostic]) -> String {
    let line = |p: &Diagnostic| {
        let file = p.place.file.rsplit('/').next().unwrap_or_default();
        let help = if p.help.is_empty() { String::new() } else { format!(" ({})", p.help) };
        format!("{}:{}:{}: {}: {}{help}", file, p.place.line, p.place.column, p.code, p.message)
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is said about a template that cannot be rendered.
fn refused(path: &str, text: &str, parameters: &Value) -> String {
    shown(&render_file(path, text, &context(parameters)).unwrap_err())
}

#[test]
fn a_scalar_that_is_one_interpolation_keeps_its_type() {
    let parameters = json!({
        "s": "no", "n": 5432, "l": ["a", 1], "o": {"k": "v"}, "z": null, "t": true, "d": "1",
    });
    let text = "s: {{parameters.s}}\nn: {{parameters.n}}\nl: {{parameters.l}}\no:\n  {{parameters.o}}\n\
                z: {{parameters.z}}\nt: {{ parameters.t }} # a comment\nd: {{parameters.d}}\n\
                q: \"{{parameters.n}}\"\nw: port-{{parameters.n}}\nflow: [{{parameters.t}}, x{{parameters.t}}]\n\
                str: !!str {{parameters.n}}\nb: |-\n  {{parameters.n}}\nf: >-\n  {{parameters.n}}\n";
    insta::assert_snapshot!(yaml(text, &parameters), @r#"
    s: "no"
    "n": 5432
    l:
      - a
      - 1
    o:
      k: v
    z: null
    t: true
    d: "1"
    q: "5432"
    w: port-5432
    flow:
      - true
      - xtrue
    str: "5432"
    b: "5432"
    f: "5432"
    "#);
}

#[test]
fn nasty_values_arrive_as_text_b52_b53() {
    for value in NASTY {
        let parameters = json!({"x": value});
        let text = "plain: {{parameters.x}}\nin: a {{parameters.x}} b\nq: \"{{parameters.x}}\"\n\
                    s: '{{parameters.x}}'\nb: |\n  {{parameters.x}}\nflow: {k: [{{parameters.x}}]}\n\
                    # {{parameters.x}}\nlast: 1\n";
        let rendered = yaml(text, &parameters);
        let read =
            crate::yaml::read(&"a".into(), rendered.as_bytes(), &crate::yaml::Options::rendered());
        let expected = json!({
            "plain": value, "in": format!("a {value} b"), "q": value, "s": value,
            "b": format!("{value}\n"), "flow": {"k": [value]}, "last": 1,
        });
        assert_eq!(read.unwrap()[0].to_json(), expected, "{value:?}");
    }
}

const NASTY: [&str; 24] = [
    "x\nResources:\n  Evil: y",
    "a\", \"b\": \"c",
    "x # y",
    "- x",
    ": ",
    "a: b",
    "*a",
    "&a",
    "!!int",
    "!Ref X",
    "{{evil}}",
    "${AWS::AccountId}",
    "${jndi:ldap}",
    "%{if}",
    "<%=x%>",
    "\u{2028}",
    "'",
    "\"",
    "\u{E000}0\u{E000}",
    "---\nx: y",
    "",
    " ",
    "\u{E000}",
    "no",
];

#[test]
fn an_unknown_name_is_a_problem_at_its_line_and_column() {
    let text = "a: {{parameters.fifo}}\n{{#if (and parameters.fifoo parameters.x)}}\nb: 1\n{{/if}}\n\
                c: {{#unless parameters.name.first}}1{{/unless}}\n";
    insta::assert_snapshot!(refused("a.yaml.hbs", text, &json!({"fifo": true, "name": "n"})), @r"
    a.yaml.hbs:2:12: TPL003: unknown name `fifoo` (did you mean `fifo`?)
    a.yaml.hbs:2:29: TPL003: unknown name `x` (`lookup` gives null for a part that may be missing)
    a.yaml.hbs:5:14: TPL003: unknown name `first`: what stands before it is text (`lookup` gives null for a part that may be missing)
    ");
    let text = "a: {{parameter.fifo}}\nb: {{../x}}\nc: {{@index}}\n";
    insta::assert_snapshot!(refused("a.yaml.hbs", text, &json!({})), @r"
    a.yaml.hbs:1:6: TPL003: unknown name `parameter` (did you mean `parameters`?)
    a.yaml.hbs:2:6: TPL003: `../x` is not there (there are fewer blocks around it)
    a.yaml.hbs:3:6: TPL003: `@index` is not there (it is known only inside `each`)
    ");
}

#[test]
fn unknown_values_are_symbols_and_decide_nothing() {
    let mut context = context(&json!({}));
    context.parameters.insert("vpc".to_owned(), Slot::Unknown(symbol("vpcId")));
    let text = "vpc: {{parameters.vpc}}\ncache: \"u={{upper components.cache.outputs.url}}\"\n\
                db: {{components.db.outputs.url}}\n# {{components.cache.outputs.note}}\n";
    let rendered = render_file("a.yaml.hbs", text, &context).unwrap();
    let unknown: Vec<_> = rendered.unknown.iter().map(ToString::to_string).collect();
    assert_eq!(unknown, ["orders/prod/events#cache.url", "platform/prod/network#vpcId"]);
    insta::assert_snapshot!(only(rendered), @r#"
    vpc: "<known after apply: platform/prod/network#vpcId>"
    cache: "u=<known after apply: orders/prod/events#cache.url>"
    db: postgres://db
    "#);

    let text = "{{#if parameters.vpc}}a: 1{{/if}}\n{{#each (default components.cache.outputs.l 1)}}{{/each}}\n";
    let problems = render_file("a.yaml.hbs", text, &context).unwrap_err();
    insta::assert_snapshot!(shown(&problems), @r"
    a.yaml.hbs:1:1: TPL011: `if` depends on a value known only after apply: `platform/prod/network#vpcId` (decide by a parameter of the request)
    a.yaml.hbs:2:1: TPL011: `each` depends on a value known only after apply: `orders/prod/events#cache.l` (decide by a parameter of the request)
    ");
    let problems = render_file("a.yaml.hbs", "{{parameters.vpc}}: 1\n", &context).unwrap_err();
    insta::assert_snapshot!(shown(&problems), @r"
    a.yaml.hbs:1:3: TPL011: a key depends on a value known only after apply: `platform/prod/network#vpcId`
    ");
}

#[test]
fn short_tags_become_functions() {
    let text = "A: !Ref {{parameters.r}}\nB: !GetAtt Q.Arn\nC: !Sub \"a ${Q} {{parameters.v}}\"\n\
                D: !Join [\"-\", [a, !Ref B]]\nE: !If [C, {{parameters.l}}, !Ref AWS::NoValue]\n\
                F: !GetAtt \"{{parameters.r}}.Nested.Arn\"\nG: !Sub [\"${x}{{parameters.v}}\", {x: \"{{parameters.v}}\"}]\n\
                H: {Fn::Sub: \"{{parameters.v}}\"}\nI: \"{{parameters.v}}\"\nJ: !Condition X\n";
    let value = cfn(text, &json!({"r": "Q", "v": "${AWS::AccountId}", "l": [1]})).unwrap();
    assert_eq!(
        value,
        json!({
            "A": {"Ref": "Q"}, "B": {"Fn::GetAtt": ["Q", "Arn"]},
            "C": {"Fn::Sub": "a ${Q} ${!AWS::AccountId}"},
            "D": {"Fn::Join": ["-", ["a", {"Ref": "B"}]]},
            "E": {"Fn::If": ["C", [1], {"Ref": "AWS::NoValue"}]},
            "F": {"Fn::GetAtt": ["Q", "Nested.Arn"]},
            "G": {"Fn::Sub": ["${x}${!AWS::AccountId}", {"x": "${AWS::AccountId}"}]},
            "H": {"Fn::Sub": "${!AWS::AccountId}"}, "I": "${AWS::AccountId}",
            "J": {"Condition": "X"},
        })
    );
}
