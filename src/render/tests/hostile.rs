//! Templates that mean harm, or were written in a hurry. Each is refused in good time.

use std::time::{Duration, Instant};

use super::*;
use crate::yaml::tests::within;

fn said(sources: &[(&str, &str)], partials: &[(&str, &str)]) -> String {
    shown(&build(sources, partials, Flavour::Plain).unwrap_err())
}

/// What rendering says, within the time that a hostile template may take.
fn stopped(text: &str, parameters: &Value) -> String {
    stopped_within(Duration::from_millis(200), text, parameters)
}

fn stopped_within(most: Duration, text: &str, parameters: &Value) -> String {
    let compiled =
        build(&[("a.txt.hbs", text)], &[], Flavour::Plain).map_err(|p| shown(&p)).unwrap();
    let context = context(parameters);
    let problems = within(most, || compiled.render(&context, &Limits::default()).unwrap_err());
    shown(&problems)
}

#[test]
fn f24_b49_partials_that_include_one_another_are_refused() {
    let partials =
        [("p", "{{> q}}"), ("q", "x{{#if parameters.a}}{{> p}}{{/if}}"), ("own", "{{> own}}")];
    insta::assert_snapshot!(said(&[("a.yaml.hbs", "{{> p}}")], &partials), @r"
    own.hbs:1:1: TPL002: partials include one another: own → own
    q.hbs:1:22: TPL002: partials include one another: p → q → p
    ");
    let inline = "{{#*inline \"x\"}}{{> x}}{{/inline}}{{> x}}";
    insta::assert_snapshot!(said(&[("a.yaml.hbs", inline)], &[]), @"a.yaml.hbs:1:1: TPL002: inline partials are not accepted (put the text into a file of its own in `partials/`)");
}

#[test]
fn b35_names_of_partials_and_files_are_safe() {
    let text = "{{> (lookup parameters \"p\")}}";
    insta::assert_snapshot!(said(&[("a.yaml.hbs", text)], &[]), @"a.yaml.hbs:1:1: TPL001: the name of a partial must be written out (a name cannot come from data)");
    let text = "{{> ../x}}{{> missing}}";
    insta::assert_snapshot!(said(&[("a.yaml.hbs", text)], &[("missin", "")]), @r"
    a.yaml.hbs:1:1: TPL001: no partial of the name `../x` (partials are the files of the folder `partials/`)
    a.yaml.hbs:1:11: TPL001: no partial of the name `missing` (did you mean `missin`?)
    ");
    let files = [("../x.yaml", ""), ("a/.git/x", ""), ("-rf.hbs", "")];
    insta::assert_snapshot!(said(&files, &[("x y", "")]), @r"
    x y.hbs:1:1: TPL001: `x y` is not a safe partial (letters, digits, `.`, `_` and `-` between slashes; no part begins with `.` or `-`)
    -rf.hbs:1:1: TPL001: `-rf` is not a safe path (letters, digits, `.`, `_` and `-` between slashes; no part begins with `.` or `-`)
    x.yaml:1:1: TPL001: `../x.yaml` is not a safe path (letters, digits, `.`, `_` and `-` between slashes; no part begins with `.` or `-`)
    x:1:1: TPL001: `a/.git/x` is not a safe path (letters, digits, `.`, `_` and `-` between slashes; no part begins with `.` or `-`)
    ");
    insta::assert_snapshot!(said(&[("a.yaml", "a: 1"), ("a.yaml.hbs", "a: 1")], &[]), @"1.2.0:1:1: TPL001: two sources become `a.yaml`");
}

#[test]
fn b51_b58_what_the_language_does_not_have() {
    let text = "{{{raw}}}\n{{&raw}}\n{{{{raw}}}}x{{{{/raw}}}}\n{{* deco}}\n";
    insta::assert_snapshot!(said(&[("a.yaml.hbs", text)], &[]), @r"
    a.yaml.hbs:1:1: TPL004: triple braces and raw blocks are not accepted (nothing is escaped: write two braces)
    a.yaml.hbs:2:1: TPL004: `&` is not accepted (nothing is escaped: write two braces)
    a.yaml.hbs:3:1: TPL004: triple braces and raw blocks are not accepted (nothing is escaped: write two braces)
    a.yaml.hbs:3:13: TPL004: triple braces and raw blocks are not accepted (nothing is escaped: write two braces)
    a.yaml.hbs:4:1: TPL008: there are no decorators (leave it out)
    ");
    let text = "{{readFile \"/etc/passwd\"}}\n{{env 'HOME'}}\n{{now 1}}\n{{#log 1}}{{/log}}\n{{eq 1}}\n{{uper parameters.x}}\n{{join a b sep=1}}\n";
    insta::assert_snapshot!(said(&[("a.yaml.hbs", text)], &[]), @r"
    a.yaml.hbs:1:3: TPL008: unknown helper `readFile` (there are: and, concat, default, eq, gt, indent, join, json, lookup, lower, lt, ne, not, or, properties, replace, required, shell, slug, trim, truncate-hash, upper)
    a.yaml.hbs:2:3: TPL008: unknown helper `env` (there are: and, concat, default, eq, gt, indent, join, json, lookup, lower, lt, ne, not, or, properties, replace, required, shell, slug, trim, truncate-hash, upper)
    a.yaml.hbs:3:3: TPL008: unknown helper `now` (did you mean `not`?)
    a.yaml.hbs:4:4: TPL008: unknown block `log` (there are `if`, `unless`, `each` and `with`)
    a.yaml.hbs:5:3: TPL008: `eq` takes other arguments (write `eq a b`)
    a.yaml.hbs:6:3: TPL008: unknown helper `uper` (did you mean `upper`?)
    a.yaml.hbs:7:3: TPL008: `join` takes other arguments (write `join list separator`)
    ");
}

#[test]
fn syntax_errors_have_a_place() {
    let cases = [
        "a\n{{x",
        "{{! never closed",
        "{{#if parameters.x}}\nb",
        "{{/if}}",
        "{{else}}",
        "{{#if 1}}{{/each}}",
        "{{#if 1}}{{else}}{{else}}{{/if}}",
        "{{}}",
        "{{(eq 1 2}}",
        "{{eq 1 \"x}}",
        "{{parameters..x}}",
        "{{parameters.x y}}",
        "{{@nothing}}",
        "{{#each parameters.l as |a b c|}}{{/each}}",
        "{{#if}}{{/if}}",
        "{{^if}}",
        "{{eq 01 1}}",
        "{{\"\\q\"}}",
        "{{parameters.[x}}",
        "{{> p a b}}",
        "{{ ~ }}",
        "{{=}}",
        "{{#parameters.x}}{{/parameters.x}}",
        "{{#if parameters.x}}{{elsewhere}}{{/if}}",
        "{{eq 1 [1, 2]}}",
        "{{eq 1 {\"a\": 1}}}",
        "{{parameters.[a\"b]}}",
        "{{eq 1 \"a\nb\"}}",
        "{{parameters.x y}}{{#if}}{{> p .}}{{else if a b=}}{{/if}}{{! x }}{{!-- }}{{y.}}",
        "{{parameters.x y}}{{#if}}{{> p .}}{{else if a b=}}{{/if}}{{y.}}",
    ];
    let all: Vec<_> = cases
        .iter()
        .map(|text| said(&[("a.txt.hbs", text)], &[("p", "")]).replace("a.txt.hbs:", ""))
        .collect();
    insta::assert_snapshot!(all.join("\n"), @r#"
    2:1: TPL007: this tag is not closed (close it with `}}`)
    1:1: TPL007: this comment is not closed (close it with `}}`)
    1:1: TPL007: `{{#if}}` is not closed (add `{{/if}}`)
    1:1: TPL007: `{{/if}}` closes nothing
    1:1: TPL007: `else` outside of a block
    1:10: TPL007: `{{/each}}` closes `if` (write `{{/if}}`)
    1:18: TPL007: second `else` of a block
    1:3: TPL007: something is missing here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:3: TPL007: `(` is not closed (close it with `)`)
    1:1: TPL007: a string in this tag is not closed (close it with `}}`)
    1:14: TPL007: `.x` cannot be read here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:16: TPL007: `y` cannot be read here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:3: TPL007: expected a value, found `@nothing`
    1:22: TPL007: `as` cannot be read here (write `{{#if value}}`, or `{{#each list as |item index|}}`)
    1:1: TPL008: `if` takes one value (write `{{#if value}}`)
    1:1: TPL007: `^` opens no block here (write `{{#unless …}}`)
    1:6: TPL007: `01` cannot be read here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:3: TPL007: `"\q"` cannot be read here (the escapes of a string are those of JSON)
    1:14: TPL007: `[` is not closed (close it with `]`)
    1:1: TPL007: a partial takes one context (name the others: `key=value`)
    1:6: TPL007: something is missing here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:3: TPL007: `=` cannot be read here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:4: TPL008: unknown block `parameters.x` (there are `if`, `unless`, `each` and `with`)
    1:21: TPL007: `else` needs a space after it (write `{{else if …}}`, or `this.` before a name that begins so)
    1:8: TPL007: lists cannot be written in a tag (make it a parameter)
    1:1: TPL007: this tag is not closed (close it with `}}`; maps cannot be written in a tag)
    1:14: TPL007: `[…]` holds one name, without quotes and brackets (write `(lookup map "name")`; lists cannot be written in a tag)
    1:8: TPL007: `"a\nb"` cannot be read here (the escapes of a string are those of JSON)
    1:66: TPL007: this comment is not closed (close it with `--}}`)
    1:16: TPL007: `y` cannot be read here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    1:32: TPL007: `.` cannot be read here (write `{{> name}}`, `{{> name value}}` or `{{> name key=value}}`)
    1:49: TPL007: something is missing here (write `{{#if value}}`, or `{{#each list as |item index|}}`)
    1:62: TPL007: something is missing here (write `{{name}}`, or a helper and its arguments: `{{join list ","}}`)
    "#);
}

#[test]
fn f25_b54_b55_loops_end() {
    let items: Vec<_> = (0..600).collect();
    let parameters = json!({"l": items});
    let nested = |inside: &str| {
        let open = "{{#each @root.parameters.l}}".repeat(3);
        format!("{open}{inside}{}", "{{/each}}".repeat(3))
    };
    let output = |text: &str| stopped_within(Duration::from_millis(100), text, &parameters);
    let items: Vec<_> = (0..400).collect();
    let silent = json!({"l": items});
    let steps = |text: &str| stopped_within(Duration::from_millis(500), text, &silent);
    insta::assert_snapshot!(output(&nested(&"x".repeat(100))), @"a.txt.hbs:1:85: RenderLimit: output: rendering takes more than 1048576 bytes (render less: fewer turns of loops, or several components)");
    insta::assert_snapshot!(steps(&nested("")), @"a.txt.hbs:1:57: RenderLimit: steps: rendering takes more than 100000 steps (render less: fewer turns of loops, or several components)");
    let wide = format!("{{{{#each parameters.l}}}}{}{{{{/each}}}}", "x".repeat(4000));
    insta::assert_snapshot!(output(&wide), @"a.txt.hbs:1:23: RenderLimit: output: rendering takes more than 1048576 bytes (render less: fewer turns of loops, or several components)");
}

#[test]
fn helpers_cannot_be_made_to_work_or_write_for_ever() {
    let big = json!({"s": "a".repeat(64 * 1024), "l": vec![""; 5000]});
    let many = |word: &str| format!("(concat {})", [word; 16].join(" "));
    let growing = format!(
        "{{{{#with {} as |x|}}}}{{{{#with {}}}}}{{{{/with}}}}{{{{/with}}}}",
        many("parameters.s"),
        many("x")
    );
    for text in [
        "{{replace parameters.s 'a' parameters.s}}",
        "{{join parameters.l parameters.s}}",
        &growing,
    ] {
        let said = stopped(text, &big);
        assert!(said.contains("RenderLimit: output"), "{said}");
    }
    let loops = "{{#each parameters.l}}{{#if (eq (upper @root.parameters.s) '')}}{{/if}}{{/each}}";
    assert!(stopped(loops, &big).contains("RenderLimit: steps"));
}

#[test]
fn b56_size_and_nesting_are_bounded() {
    let start = Instant::now();
    for text in [
        "{{#if 1}}".repeat(10_000) + &"{{/if}}".repeat(10_000),
        format!("{{{{#if 1}}}}{}{{{{/if}}}}", "{{else if 1}}".repeat(10_000)),
        "x".repeat(1024 * 1024),
        format!("{{{{eq 1 {}1{}}}}}", "(eq 1 ".repeat(10_000), ")".repeat(10_000)),
        format!("{{{{concat {}}}}}", "1 ".repeat(10_000)),
    ] {
        let said = said(&[("a.yaml.hbs", &text)], &[]);
        assert!(said.contains("TPL006"), "{said}");
    }
    for (text, code) in [
        ("{{#if a}}".repeat(29_000), "TPL006"),
        ("{{{{#if a}}".repeat(20_000), "TPL004"),
        ("{{".to_owned() + &"(".repeat(200_000), "TPL006"),
        ("{{\"".repeat(80_000), "TPL007"),
        ("{".repeat(200_000), "TPL007"),
        ("{{}".repeat(80_000), "TPL007"),
        ("{{{}}}".repeat(40_000), "TPL004"),
        ("{{eq ".to_owned() + &"[".repeat(200_000), "TPL007"),
        ("{{eq ".to_owned() + &"[".repeat(200_000) + "]}}", "TPL007"),
        ("{{!-- }}".repeat(30_000), "TPL007"),
        ("{{> [a]}}".repeat(29_000), "TPL001"),
        ("{{parameters.x}}".repeat(10_000), "TPL006"),
        ("{{!}}".repeat(50_000), "TPL006"),
        (format!("{{{{{}}}}}", "a.".repeat(100_000)), "TPL006"),
    ] {
        let said = said(&[("a.yaml.hbs", &text)], &[]);
        assert!(said.contains(code), "{text:.20}: {said:.200}");
    }
    // Partials double at each step: 2^40 elements.
    let names: Vec<_> = (0..41).map(|n| format!("p{n}")).collect();
    let texts: Vec<_> = (1..42).map(|n| format!("{{{{> p{n}}}}}{{{{> p{n}}}}}")).collect();
    let mut partials: Vec<_> =
        names.iter().map(String::as_str).zip(texts.iter().map(String::as_str)).collect();
    partials[40].1 = "x";
    assert!(said(&[("a.yaml.hbs", "{{> p0}}")], &partials).contains("TPL006"));
    assert!(start.elapsed() < Duration::from_secs(3), "{:?}", start.elapsed());
}

#[test]
fn every_prefix_of_a_template_is_read_or_refused() {
    let text = "a: {{#each parameters.l as |x i|}}{{~x.[a b]}} \\{{b}} \\\\{{i}}{{! c }}{{!-- d --}}\
                {{else if (eq 'é' \"\\u00e9\")}}{{> p this k=(concat 1 -2.5)}}{{^}}{{@last}}{{/each~}}";
    assert!(
        build(&[("a.yaml.hbs", text)], &[("p", "")], Flavour::Plain).is_err(),
        "`@last` outside"
    );
    for (n, _) in text.char_indices() {
        let _ = build(&[("a.yaml.hbs", &text[..n])], &[("p", "")], Flavour::Plain);
        let _ = build(&[("a.yaml.hbs", &text[n..])], &[("p", "")], Flavour::Plain);
    }
}

#[test]
fn b59_output_that_is_not_yaml_names_the_template_s_line() {
    let text = "# {{parameters.x}}\na: 1\n{{#each parameters.l}}\nk: {{this}}\n{{/each}}\nb: [{{parameters.x}}\n";
    insta::assert_snapshot!(refused("a.yaml.hbs", text, &json!({"x": "v\nw", "l": [1, 2]})), @r"
    a.yaml.hbs:4:1: TPL009: the rendered text cannot be read: duplicate key `k` (keep one of the two)
    a.yaml.hbs:6:4: TPL009: the rendered text cannot be read: a bracket opened before this is not closed (close it, and separate items by `,`)
    ");
    let text = "a: 1\nb: &{{parameters.x}} 2\nc: !{{parameters.x}} 3\n";
    insta::assert_snapshot!(refused("a.yaml.hbs", text, &json!({"x": "v"})), @r"
    a.yaml.hbs:2:4: TPL009: the rendered text cannot be read: anchor `&{{…}}` is not allowed here (write the value out where it is used)
    a.yaml.hbs:3:4: TPL009: the rendered text cannot be read: not YAML: while scanning a tag, did not find expected whitespace or line break (check quotes, colons and indentation)
    ");
    insta::assert_snapshot!(refused("a.yaml.hbs", "mode: 0644\nv: 1.10\nn: 5\n", &json!({})), @r"
    a.yaml.hbs:1:7: TPL009: `0644` is read as another value (put it in quotes, or write the number plainly)
    a.yaml.hbs:2:4: TPL009: `1.10` is read as another value (put it in quotes, or write the number plainly)
    ");
    let deep = "a: ".to_owned() + &"[".repeat(100) + &"]".repeat(100);
    let said = refused("a.yaml.hbs", &deep, &json!({}));
    assert!(said.contains("RenderLimit: nesting"), "{said}");
    insta::assert_snapshot!(refused("a.yaml.hbs", "# {{parameters.x}}\n", &json!({"x": 1})), @"a.yaml.hbs:1:1: TPL009: the component renders to no file");
}

#[test]
fn a_required_value_that_is_missing_speaks_the_template_s_words() {
    let text = "a: {{required parameters.z \"say which VPC\"}}\n";
    insta::assert_snapshot!(refused("a.yaml.hbs", text, &json!({"z": null})), @"a.yaml.hbs:1:6: TPL012: say which VPC");
}

#[test]
fn the_deepest_template_that_is_accepted_fits_the_stack() {
    let blocks = |n: usize, inside: &str| {
        format!("{}{inside}{}", "{{#each @root.parameters.l}}".repeat(n), "{{/each}}".repeat(n))
    };
    let calls = "(not ".repeat(16) + "true" + &")".repeat(16);
    let text = blocks(46, "{{> p}}");
    let partial = blocks(46, &format!("{{{{eq {calls} 1}}}}"));
    let compiled = build(&[("a.txt.hbs", &text)], &[("p", &partial)], Flavour::Plain);
    let compiled = compiled.map_err(|p| shown(&p)).unwrap();
    let rendered = compiled.render(&context(&json!({"l": [1]})), &Limits::default()).unwrap();
    assert_eq!(only(rendered), "false");
}
