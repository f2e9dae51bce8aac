use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;

mod hostile;
mod language;
mod safety;

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
        secrets: BTreeSet::from([SECRET.to_owned()]),
    }
}

/// What stands for a secret that the request may refer to.
const SECRET: &str =
    "{{resolve:secretsmanager:arn:aws:secretsmanager:eu-north-1:1:secret:orders/db}}";

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
    insta::assert_snapshot!(shown(&problems), @"a.yaml.hbs:1:3: TPL011: a key depends on a value known only after apply: `platform/prod/network#vpcId`");
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

#[test]
fn what_cloudformation_would_do_with_a_value_is_refused() {
    let with = |text: &str, v: Value| cfn(text, &json!({"v": v})).unwrap_err();
    let resolve = "{{resolve:ssm:/prod/key}}";
    insta::assert_snapshot!(with("A: {{parameters.v}}\n", json!(resolve)), @"stack.yaml.hbs:1:6: TPL005: a value holds `{{resolve:`, which CloudFormation would fetch (write the reference into the template)");
    insta::assert_snapshot!(with("A: \"{{parameters.v}}\"\n", json!(resolve)), @"stack.yaml.hbs:1:7: TPL005: a value holds `{{resolve:`, which CloudFormation would fetch (write the reference into the template)");
    insta::assert_snapshot!(with("A: {{parameters.v}}\n", json!({"x": [{"Fn::Sub": "y"}]})), @"stack.yaml.hbs:1:6: TPL005: a value holds the key `Fn::Sub`, a function");
    insta::assert_snapshot!(with("\"{{parameters.v}}\": 1\n", json!("Fn::Sub")), @"stack.yaml.hbs:1:4: TPL005: a value makes the key `Fn::Sub`");
    insta::assert_snapshot!(with("A: !Sub \"${ {{parameters.v}} }\"\n", json!("x}{")), @"stack.yaml.hbs:1:15: TPL005: inside `${…}` a value may hold letters, digits, `.`, `:` and `_` only");
    insta::assert_snapshot!(with("A: !GetAtt \"{{parameters.v}}.Arn\"\n", json!("a.b")), @"stack.yaml.hbs:1:15: TPL005: a value before the dot of `Fn::GetAtt` may hold none");
    insta::assert_snapshot!(with("A: !Reff {{parameters.v}}\nB: !Sub {{parameters.v}}\n", json!([1])), @"stack.yaml.hbs:1:12: TPL009: unknown tag `!Reff` (CloudFormation has `!Ref`, `!Sub`, `!GetAtt` and others)");
    // A secret that the request may refer to arrives, alone and within a text.
    let secret = cfn("A: {{parameters.v}}\nB: \"x{{parameters.v}}\"\n", &json!({"v": SECRET}));
    assert_eq!(secret.unwrap(), json!({"A": SECRET, "B": format!("x{SECRET}")}));
    let longer = with("A: {{parameters.v}}\n", json!(format!("{SECRET}{SECRET}")));
    assert!(longer.contains("TPL005"), "only the very text: {longer}");
    // The template's own reference may name a parameter.
    let own = "A: '\\{{resolve:ssm:/{{parameters.v}}}}'\n";
    assert_eq!(cfn(own, &json!({"v": "key"})).unwrap(), json!({"A": "{{resolve:ssm:/key}}"}));
    // Halves of `${` that meet are no reference either.
    let halves = "A: !Sub \"${{parameters.v}}\"\nB: !Sub \"{{parameters.v}}{C}\"\n";
    let value = cfn(halves, &json!({"v": "{AWS::AccountId}$"})).unwrap();
    assert_eq!(
        value,
        json!({
            "A": {"Fn::Sub": "${!AWS::AccountId}$"},
            "B": {"Fn::Sub": "{AWS::AccountId}${!C}"},
        })
    );
}

#[test]
fn a_dynamic_reference_is_not_assembled_from_values_either() {
    let with = |text: &str, v: &str, w: &str| cfn(text, &json!({"v": v, "w": w}));
    let refused = |text: &str, v: &str, w: &str| {
        let error = with(text, v, w).unwrap_err();
        assert!(error.contains("TPL005") && error.contains("{{resolve:"), "{text}: {error}");
    };
    let join = "A: !Join [\"\", [{{parameters.v}}, {{parameters.w}}]]\n";
    let spread = "A: !Join\n  - \"\"\n  - - \"{{parameters.v}}\"\n    - \"{{parameters.w}}\"\n";
    let long = "A:\n  Fn::Join:\n    - \"{{parameters.v}}\"\n    - [a, b, \"{{parameters.w}}\"]\n";
    let sub = "A: !Sub\n  - \"${a}${b}\"\n  - a: {{parameters.v}}\n    b: {{parameters.w}}\n";
    let nested =
        "A: !Join [\"\", [!Sub [\"${a}\", {a: \"{{parameters.v}}\"}], {{parameters.w}}]]\n";
    let parted = "A: !Join [\"\", !Split [\"|\", \"{{parameters.v}}\"]]\n";
    let reference = "P: {{parameters.v}}\nA: !Sub \"${P}{{parameters.w}}\"\n";
    for text in [join, spread, sub, nested, reference] {
        for cut in 1.."{{resolve:".len() {
            let (v, w) = "{{resolve:ssm:/x}}".split_at(cut);
            // From the template's parameter, a value would come only if it could be its first part.
            if cut > 1 || text != reference {
                refused(text, v, w);
            }
        }
        assert!(with(text, "{", "}").is_ok(), "{text}");
        assert!(with(text, "host", ":8080").is_ok(), "{text}");
    }
    refused(long, "{", "{resolve:ssm:/x}}");
    refused(parted, "{{res|olve:ssm:/x}}", "");
    refused(parted, "{|{resolve:ssm:/x}}", "");
    assert!(with(parted, "a|b", "").is_ok());
    // Text with braces of its own is text, and the template may put its own reference together.
    assert!(with(join, "<b>{{name}}</b>", "resolve:").is_ok());
    let own = "A: !Join [\":\", [\"\\{{resolve\", ssm, \"/{{parameters.v}}}}\"]]\n";
    assert!(cfn(own, &json!({"v": "key"})).is_err(), "the value could be all of it");
    let secret = cfn(join, &json!({"v": SECRET, "w": "x"}));
    assert!(secret.is_ok(), "{secret:?}");
}

#[test]
fn keys_take_safe_names_only() {
    let text = "m:\n  a: 1\n  {{parameters.k}}: 2\n  x-{{parameters.k}}: 3\n";
    insta::assert_snapshot!(yaml(text, &json!({"k": "app.kubernetes.io/name"})), @r"
    m:
      a: 1
      app.kubernetes.io/name: 2
      x-app.kubernetes.io/name: 3
    ");
    for bad in [json!("a"), json!("<<"), json!("a b"), json!(""), json!(null), json!({"a": 1})] {
        let said = refused("a.yaml.hbs", text, &json!({"k": bad}));
        assert!(said.contains(":3:5: TPL005: "), "{said}");
    }
}

#[test]
fn a_text_that_needs_a_scalar_says_so() {
    let text =
        "a: x{{parameters.l}}\nb: \"{{parameters.z}}\"\nc: \"{{default parameters.z ''}}\"\n";
    insta::assert_snapshot!(refused("a.yaml.hbs", text, &json!({"l": [1], "z": null})), @r"
    a.yaml.hbs:1:7: TPL010: a list cannot be part of a text (use `join` or `json`, or let it stand alone, unquoted)
    a.yaml.hbs:2:7: TPL010: null cannot be part of a text (give it a value with `default`, or put it into `{{#if …}}`)
    ");
}

#[test]
fn json_sources_are_safe_too() {
    let text = "{\n\t\"name\": \"q-{{parameters.s}}\",\n\t\"port\": {{parameters.n}}, \"all\": [{{#each parameters.l}}{{this}}, {{/each}}],\n\t\"o\": {{parameters.o}}\n}\n";
    let parameters = json!({"s": "\"}, {", "n": 1.5, "l": ["a", null], "o": {}});
    let rendered = render_file("a.json.hbs", text, &context(&parameters)).unwrap();
    insta::assert_snapshot!(only(rendered), @r#"
    {
      "all": [
        "a",
        null
      ],
      "name": "q-\"}, {",
      "o": {},
      "port": 1.5
    }
    "#);
}

#[test]
fn other_text_takes_line_breaks_from_formats_only() {
    let text = "A={{shell parameters.s}}\nB={{properties parameters.s}}\nC={{json parameters.s}}\n  {{indent 2 parameters.s}}\n";
    let parameters = json!({"s": "it's\nx"});
    let rendered = render_file("a.env.hbs", text, &context(&parameters)).unwrap();
    insta::assert_snapshot!(only(rendered), @r#"
    A='it'\''s
    x'
    B=it's\nx
    C="it's\nx"
      it's
      x
    "#);
    let text = "A=1\nB={{parameters.s}}\n{{indent 2 parameters.e}}\n";
    let parameters = json!({"s": "x\nPATH=/tmp", "e": "\u{1b}[2J"});
    insta::assert_snapshot!(refused("a.env.hbs", text, &parameters), @r"
    a.env.hbs:2:5: TPL010: a value holds the character U+000A here (use the helper for this file's format: `json`, `indent`, `shell`, `properties`)
    a.env.hbs:3:3: TPL010: a value holds the character U+001B here (use the helper for this file's format: `json`, `indent`, `shell`, `properties`)
    ");
}

#[test]
fn files_get_their_paths_and_an_empty_one_is_left_out() {
    let sources = [
        ("app/deployment.yaml.hbs", "a: {{parameters.x}}\n"),
        ("app/optional.yaml.hbs", "{{#if parameters.no}}\nb: 1\n{{/if}}\n# nothing\n"),
        ("app/conf/run.sh", "echo {{x}}\r\n"),
        ("app/chart.yaml", "{{ not: yaml\n"),
        ("app/plain.yaml", "# comment\nb: 1\na: 2\n"),
    ];
    let sources: BTreeMap<_, _> = sources
        .into_iter()
        .map(|(path, text)| {
            let hbs = path.ends_with(".hbs");
            let source =
                if hbs { Source::Template(text.into()) } else { Source::Plain(text.into()) };
            (path.to_owned(), source)
        })
        .collect();
    let compiled = compile(&sources, "app", &BTreeMap::new(), "t", Flavour::Plain).unwrap();
    let context = context(&json!({"x": 1, "no": false}));
    let rendered = compiled.render(&context, &Limits::default()).unwrap();
    let files: Vec<_> = rendered.artifact.files.iter().map(|(p, t)| format!("{p}: {t}")).collect();
    insta::assert_snapshot!(files.join("--\n"), @r"
    chart.yaml: {{ not: yaml
    --
    conf/run.sh: echo {{x}}
    --
    deployment.yaml: a: 1
    --
    plain.yaml: # comment
    b: 1
    a: 2
    ");
    assert_eq!(compiled.render(&context, &Limits::default()).unwrap(), rendered);
}

#[test]
fn the_digest_is_of_the_content_and_not_of_the_layout() {
    let digest = |path: &str, text: &str| {
        render_file(path, text, &context(&json!({"x": 1}))).unwrap().artifact.digest.unwrap()
    };
    let first = digest("a.yaml.hbs", "b: {{parameters.x}}\na: [x]\n");
    assert_eq!(first, digest("a.yaml.hbs", "# c\na:\n  - 'x'\nb: 1.0\n"));
    assert_eq!(
        first,
        crate::digest::of_files([("a.yaml", crate::digest::of(&json!({"a": ["x"], "b": 1})))])
    );
    assert_ne!(first, digest("a.yaml.hbs", "b: 2\na: [x]\n"));
    let many = digest("a.yaml.hbs", "a: !T 1\n---\nb: 2\n");
    let expected = json!([{"a": {"!T": "1"}}, {"b": 2}]);
    assert_eq!(many, crate::digest::of_files([("a.yaml", crate::digest::of(&expected))]));
}

#[test]
fn what_a_template_reads_is_known_before_it_runs() {
    let text = "{{#if (eq parameters.a 'x')}}{{lookup parameters.b \"k\"}}{{/if}}\n\
                {{#with parameters.db as |d|}}{{name}} {{d.port}} {{@root.request.id}} {{../template.name}}{{/with}}\n\
                {{#each parameters.list as |item|}}{{item.x}}{{this.y}}{{@root.parameters.z}}{{/each}}\n\
                {{> p parameters.ctx arg=environment.name}}\n";
    let partials = [("p", "{{deep.er}} {{arg}} {{@root.parameters.last}}")];
    let compiled = build(&[("a.yaml.hbs", text)], &partials, Flavour::Plain).unwrap();
    let paths: Vec<_> = compiled
        .paths_read()
        .into_iter()
        .map(|(path, p)| format!("{path} {}:{}:{}", p.file, p.line, p.column))
        .collect();
    insta::assert_snapshot!(paths.join("\n"), @r"
    environment.name templates/queue/1.2.0/a.yaml.hbs:4:26
    parameters.a templates/queue/1.2.0/a.yaml.hbs:1:11
    parameters.b templates/queue/1.2.0/a.yaml.hbs:1:39
    parameters.ctx templates/queue/1.2.0/a.yaml.hbs:4:7
    parameters.ctx.deep.er templates/queue/1.2.0/partials/p.hbs:1:3
    parameters.db templates/queue/1.2.0/a.yaml.hbs:2:9
    parameters.db.name templates/queue/1.2.0/a.yaml.hbs:2:33
    parameters.db.port templates/queue/1.2.0/a.yaml.hbs:2:42
    parameters.last templates/queue/1.2.0/partials/p.hbs:1:23
    parameters.list templates/queue/1.2.0/a.yaml.hbs:3:9
    parameters.z templates/queue/1.2.0/a.yaml.hbs:3:58
    request.id templates/queue/1.2.0/a.yaml.hbs:2:53
    template.name templates/queue/1.2.0/a.yaml.hbs:2:74
    ");
}

/// What no value can mend is told without any.
#[test]
fn what_will_be_refused_is_known_before_it_runs() {
    let told = |text: &str, partials: &[(&str, &str)], flavour| {
        let compiled = build(&[("a.yaml.hbs", text)], partials, flavour).unwrap();
        shown(&compiled.refused())
    };
    let plain = |text: &str| told(text, &[], Flavour::Plain);
    assert_eq!(plain("a: {{parameters.x}}\nb: \"0644\"\nc: x{{parameters.y}}\n"), "");
    assert_eq!(
        plain("a: 0644\nb: {{parameters.x}}\nc: [1.10, 012{{parameters.x}}]\n"),
        "a.yaml.hbs:1:4: TPL009: `0644` is read as another value (put it in quotes, or write the number plainly)\n\
         a.yaml.hbs:3:5: TPL009: `1.10` is read as another value (put it in quotes, or write the number plainly)"
    );
    // In what comes only sometimes, either way.
    let sometimes = "{{#if parameters.x}}\na: 0644\n{{else}}\na: 0755\n{{/if}}\n{{#each parameters.l}}\n- 010\n{{/each}}\n";
    let sometimes = sometimes.replace("{{#each parameters.l}}", "l:\n{{#each parameters.l}}");
    let found = plain(&sometimes);
    for written in ["`0644`", "`0755`", "`010`"] {
        assert!(found.contains(written), "{written}: {found}");
    }
    let found = told("l:\n  {{> p}}\n", &[("p", "- 010\n- a\n")], Flavour::Plain);
    assert!(found.contains("p.hbs:1:3: TPL009: `010`"), "{found}");
    // How parts go together is known only where all of them come always.
    assert!(plain("a: [1\nb: {{parameters.x}}\n").contains("TPL009"));
    assert_eq!(
        plain("{{#if parameters.x}}\na: 1\n{{/if}}\n{{#if parameters.y}}\na: 2\n{{/if}}\n"),
        ""
    );
    let stack = told("A: !Reff {{parameters.v}}\n", &[], Flavour::CloudFormation);
    assert!(stack.contains("unknown tag `!Reff`"), "{stack}");
}

#[test]
fn what_broken_sources_read_is_known_all_the_same() {
    let source = |text: &str| Source::Template(text.into());
    let sources = [
        (
            "a.yaml.hbs",
            "a: {{nohelper parameters.b}}\nc: {{parameters.c}}\n{{#each parameters.l as |one|}}\n- {{one.d}}{{this.e}}\n{{/each}}\n",
        ),
        ("b.yaml.hbs", "{{> nowhere}}\nf: {{parameters.f}}\n"),
        ("c.yaml.hbs", "{{#if parameters.g}}\n"),
    ];
    let sources = sources.map(|(path, text)| (path.to_owned(), source(text)));
    let unfit =
        try_compile(&sources.into(), "", &BTreeMap::new(), "t", Flavour::Plain).unwrap_err();
    let codes: Vec<_> =
        unfit.problems.iter().map(|p| format!("{} {}", p.place.file, p.code)).collect();
    assert_eq!(codes.len(), 3, "{codes:?}");
    let names =
        |all: Vec<(String, Place)>| all.into_iter().map(|(path, _)| path).collect::<Vec<_>>();
    assert_eq!(names(unfit.reads.paths), ["parameters.c", "parameters.f", "parameters.l"]);
    assert_eq!(names(unfit.reads.items), ["parameters.l.*.d", "parameters.l.*.e"]);
}
