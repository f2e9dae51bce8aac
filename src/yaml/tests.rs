use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn file() -> Arc<str> {
    Arc::from("a.yaml")
}

fn one(text: &str) -> Node {
    let mut nodes = read(&file(), text.as_bytes(), &Options::request()).expect(text);
    assert_eq!(nodes.len(), 1);
    nodes.remove(0)
}

fn told(problems: &[Diagnostic]) -> String {
    let line = |d: &Diagnostic| {
        let related: String = d
            .related
            .iter()
            .map(|(at, what)| format!(" [{}:{} {what}]", at.line, at.column))
            .collect();
        format!("{} {}:{} {}{related}", d.code, d.place.line, d.place.column, d.message)
    };
    problems.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// The problems of a file as `CODE line:column message [line:column related]`.
fn problems(bytes: impl AsRef<[u8]>) -> String {
    told(&read(&file(), bytes.as_ref(), &Options::request()).expect_err("a problem"))
}

fn start(span: Span) -> (u32, u32, u32) {
    (span.start.byte, span.start.line, span.start.column)
}

fn end(span: Span) -> (u32, u32, u32) {
    (span.end.byte, span.end.line, span.end.column)
}

#[test]
fn every_key_and_value_has_its_place() {
    let root = one("kind: é\nspec:\n  tags: [a, \"b\"]\n  more:\n    - x: 1\n    - ~\n# end\n");
    let key = root.key_at("/spec/tags").unwrap();
    assert_eq!((start(key.span), end(key.span)), ((17, 3, 3), (21, 3, 7)));
    let kind = root.at("/kind").unwrap().span;
    assert_eq!((start(kind), end(kind)), ((6, 1, 7), (8, 1, 8)), "columns count characters");
    let second = root.at("/spec/tags/1").unwrap().span;
    assert_eq!((start(second), end(second)), ((27, 3, 13), (30, 3, 16)), "quotes included");
    let tags = root.at("/spec/tags").unwrap().span;
    assert_eq!((start(tags), end(tags)), ((23, 3, 9), (31, 3, 17)), "brackets included");
    let spec = root.at("/spec").unwrap().span;
    assert_eq!((start(spec).1, end(spec).1), (3, 6), "a block ends with its last value");
    assert_eq!(root.at("/spec/more/1").unwrap().data, Data::Null);
    assert!(root.at("/spec/more/01").is_none() && root.at("spec").is_none());
    assert!(root.key_at("").is_none() && root.key_at("/spec/tags/1").is_none());
    let place = root.at("/spec/tags/1").unwrap().place(&file());
    assert_eq!((place.line, place.column, place.end_line, place.end_column), (3, 13, 3, 16));
    assert_eq!(one("a/b: {x~y: 1}\n").at("/a~1b/x~0y").unwrap().data, Data::Number(1.into()));
}

#[test]
fn a_block_scalar_ends_with_its_last_line() {
    for text in
        ["a:\n  b: |\n    x\n    y \n\n  c: 1\n", "a:\r\n  b: >\r\n    x\r\n    y\r\n  # z\r\n"]
    {
        let root = one(text);
        let b = root.at("/a/b").unwrap().span;
        assert_eq!((start(b).1, start(b).2), (3, 5), "{text:?}");
        assert_eq!((end(b).1, end(b).2), (4, 6), "{text:?}");
    }
}

#[test]
fn plain_scalars_are_what_yaml_1_2_says() {
    let root = one(
        "[no, 'no', true, ~, null, 1, -1, 0.5, 1.0, 0o7, 0x1F, 1_000, 0b11, text, -a, 1.2.3, \"\"]",
    );
    assert_eq!(
        root.to_json(),
        json!([
            "no", "no", true, null, null, 1, -1, 0.5, 1.0, 7, 31, "1_000", "0b11", "text", "-a",
            "1.2.3", ""
        ])
    );
}

#[test]
fn b10_b11_b12_ambiguous_scalars_are_read_and_marked() {
    use Ambiguity::*;
    for (text, value, why) in [
        ("NO", json!("NO"), Some(Yaml11Bool)),
        ("yes", json!("yes"), Some(Yaml11Bool)),
        ("y", json!("y"), Some(Yaml11Bool)),
        ("1.10", json!(1.1), Some(NotRoundTrip)),
        ("+5", json!(5), Some(NotRoundTrip)),
        ("-0", json!(0), Some(NotRoundTrip)),
        ("0x1F", json!(31), Some(NotRoundTrip)),
        ("0b11", json!("0b11"), Some(NotRoundTrip)),
        ("9007199254740992", json!(9_007_199_254_740_992_u64), None),
        ("9007199254740993", json!(9_007_199_254_740_993_u64), Some(NotRoundTrip)),
        ("18446744073709551615", json!(u64::MAX), Some(NotRoundTrip)),
        ("-9223372036854775808", json!(i64::MIN), Some(NotRoundTrip)),
        ("0777", json!(777), Some(LeadingZero)),
        ("012345678901", json!(12_345_678_901_u64), Some(LeadingZero)),
        ("00.5", json!(0.5), Some(LeadingZero)),
        ("1e10", json!(1e10), Some(Exponent)),
        ("1_000", json!("1_000"), Some(Underscore)),
        ("1_0.5", json!("1_0.5"), Some(Underscore)),
        ("12:30:00", json!("12:30:00"), Some(Sexagesimal)),
        ("22:22", json!("22:22"), Some(Sexagesimal)),
        ("22:99", json!("22:99"), None),
        ("2026-01-31", json!("2026-01-31"), Some(Date)),
        ("2026-01-31T10:00:00Z", json!("2026-01-31T10:00:00Z"), Some(Date)),
        ("2026-01-31-x", json!("2026-01-31-x"), None),
        ("1.0", json!(1.0), None),
        ("10.0.0.0/16", json!("10.0.0.0/16"), None),
        ("\"NO\"", json!("NO"), None),
        ("'0777'", json!("0777"), None),
        ("!!str 0777", json!("0777"), None),
        ("! 0777", json!("0777"), None),
    ] {
        let root = one(&format!("a: {text}\n"));
        let node = root.get("a").unwrap();
        assert_eq!((node.to_json(), node.ambiguous), (value, why), "{text}");
        assert_eq!(node.plain.as_deref(), why.map(|_| text), "{text}");
    }
}

#[test]
fn b01_anchors_and_aliases_are_refused_with_their_uses() {
    insta::assert_snapshot!(problems("a: &x [1]\nb: *x\nc: [*x, *y]\n<<: *x\n"), @r"
    YAML001 1:4 anchor `&x` is not allowed here [2:4 used here] [3:5 used here] [4:5 used here]
    YAML001 3:9 an alias is not allowed here
    YAML007 4:1 merge keys are not allowed
    ");
    let mut bomb = String::from("a0: &a0 [x, x, x]\n");
    for n in 1..9 {
        let uses = vec![format!("*a{}", n - 1); 9].join(", ");
        bomb.push_str(&format!("a{n}: &a{n} [{uses}]\n"));
    }
    let told = problems(&bomb);
    assert!(told.starts_with("YAML001 1:5 anchor `&a0`"), "{told}");
    assert_eq!(told.lines().count(), 9);
}

#[test]
fn b02_duplicate_keys_name_both_lines() {
    insta::assert_snapshot!(problems("size: 1\nspec: {a: 1, \"a\": 2}\nsize: 2\nsize: 3\n"), @r"
    YAML002 2:14 duplicate key `a`: it is on line 2 and on line 2 [2:8 the first one]
    YAML002 3:1 duplicate key `size`: it is on line 1 and on line 3 [1:1 the first one]
    YAML002 4:1 duplicate key `size`: it is on line 1 and on line 4 [1:1 the first one]
    ");
    let mut large: String = (0..50).map(|n| format!("k{n}: 1\n")).collect();
    large.push_str("k7: 2\n");
    assert_eq!(
        problems(large),
        "YAML002 51:1 duplicate key `k7`: it is on line 8 and on line 51 [8:1 the first one]"
    );
}

/// An unoptimised program takes about so many times as long as one that is shipped.
const UNOPTIMISED: u32 = if cfg!(debug_assertions) { 10 } else { 1 };

/// Does something that takes no longer than that in a program that is shipped. It may have a few tries, of which the
/// quickest counts: another's work on the machine is not its own.
#[track_caller]
pub(crate) fn within<T>(most: Duration, mut work: impl FnMut() -> T) -> T {
    let most = most * UNOPTIMISED;
    let mut best = Duration::MAX;
    for _ in 0..8 {
        let begun = Instant::now();
        let came = work();
        best = best.min(begun.elapsed());
        if best <= most {
            return came;
        }
    }
    panic!("{best:?} at best, which may take {most:?}");
}

#[test]
fn b04_deep_nesting_ends_at_once() {
    for text in ["[", "{a: ", "- ", "? ", "[{a: "] {
        let text = text.repeat(10_000);
        let told = within(Duration::from_millis(10), || problems(&text));
        assert!(
            told.contains("YAML003") && told.contains("nested deeper than 32"),
            "{text} {told}"
        );
    }
    let nested = |n: usize| format!("{}x{}", "[".repeat(n), "]".repeat(n));
    assert!(read(&file(), nested(32).as_bytes(), &Options::request()).is_ok());
    assert!(problems(nested(33)).starts_with("YAML003 1:33"), "{}", problems(nested(33)));
    let blocks: String = (0..33).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    assert!(problems(blocks).starts_with("YAML003 33:33"));
    let mixed = format!("{}{}", "- ".repeat(20), nested(13));
    assert!(problems(mixed).starts_with("YAML003"));
}

#[test]
fn b05_only_utf_8() {
    assert_eq!(problems(b"a: 1\nb: \xE9\n"), "YAML004 2:4 not UTF-8: byte 0xE9 at offset 8");
    assert_eq!(problems(b"\xFF\xFEa\0"), "YAML004 1:1 not UTF-8: byte 0xFF at offset 0");
    assert_eq!(problems(b"\xEF\xBB\xBFa: \xE9"), "YAML004 1:4 not UTF-8: byte 0xE9 at offset 6");
}

#[test]
fn b06_control_characters_are_refused_raw_and_escaped() {
    assert_eq!(problems("a: b\0c\n"), "YAML005 1:5 control character U+0000");
    assert_eq!(
        problems("# \u{1b}[2J\na: \u{85}"),
        "YAML005 1:3 control character U+001B\nYAML005 2:4 control character U+0085"
    );
    assert_eq!(
        problems("a: \"\\0\"\nb: \"\\x1b[2J\"\n\"\\x7f\": 1\nc: \"\\N\"\n"),
        "YAML005 1:4 control character U+0000\nYAML005 2:4 control character U+001B\n\
         YAML005 3:1 control character U+007F\nYAML005 4:4 control character U+0085"
    );
    assert_eq!(one("a: \"\\t\\n\\r\"\n").to_json(), json!({"a": "\t\n\r"}));
}

#[test]
fn b07_a_byte_order_mark_is_dropped() {
    let root = one("\u{feff}a: 1\n");
    assert_eq!(start(root.span), (3, 1, 1));
    assert_eq!(write(&[root]), "a: 1\n");
}

#[test]
fn b08_crlf_is_the_same_content() {
    let text = "a: |\n  x\n  y\nb: \"p\n  q\"\nc: [1,\n  2] # c\nd: >-\n  u\n  v\n\ne: w\n  z\n";
    let (lf, crlf) = (one(text), one(&text.replace('\n', "\r\n")));
    assert_eq!(lf.to_json(), crlf.to_json());
    let (a, b) = (lf.at("/c/1").unwrap().span, crlf.at("/c/1").unwrap().span);
    assert_eq!((a.start.line, a.start.column), (b.start.line, b.start.column));
}

#[test]
fn b09_tabs_in_the_indentation_have_their_place() {
    for (text, place) in [
        ("\ta: 1\n", "1:1"),
        ("a:\n\tb: 1\n", "2:1"),
        ("a:\n\t- b\n", "2:1"),
        ("a:\n  b: 1\n\tc: 2\n", "3:1"),
        ("a:\n  b: 1\n \tc: 2\n", "3:2"),
        ("- a\n\t- b\n", "2:1"),
        ("a: b\n\tc\n", "2:1"),
    ] {
        assert_eq!(problems(text), format!("YAML006 {place} a tab in the indentation"), "{text:?}");
    }
    assert_eq!(one("a:\t1\nb: [1,\n\t2]\t# c\n").to_json(), json!({"a": 1, "b": [1, 2]}));
}

#[test]
fn b13_numbers_out_of_range_are_refused() {
    insta::assert_snapshot!(
        problems("- 18446744073709551616\n- 123456789012345678901234567890\n- 1e400\n- .nan\n- -.inf\n- -9223372036854775809\n- 1e-400\n- 0xFFFFFFFFFFFFFFFFF\n"),
        @r"
    YAML013 1:3 `18446744073709551616` is outside the safe range
    YAML013 2:3 `123456789012345678901234567890` is outside the safe range
    YAML013 3:3 `1e400` is outside the safe range
    YAML013 4:3 `.nan` is not a finite number
    YAML013 5:3 `-.inf` is not a finite number
    YAML013 6:3 `-9223372036854775809` is outside the safe range
    YAML013 7:3 `1e-400` is outside the safe range
    YAML013 8:3 `0xFFFFFFFFFFFFFFFFF` is outside the safe range
    ");
}

#[test]
fn b15_merge_keys_are_refused_unless_quoted() {
    assert!(problems("<<: {a: 1}\n").starts_with("YAML007 1:1"));
    assert_eq!(one("\"<<\": 1\n").to_json(), json!({"<<": 1}));
}

#[test]
fn b17_b18_one_document_and_files_without_any() {
    assert_eq!(
        problems("a: 1\n---\nb: 2\n"),
        "YAML009 2:1 a second document begins here, and a file has one"
    );
    for text in ["", "# only\n", "---\n", "null\n", "---\n...\n", "\n\n"] {
        assert_eq!(one(text).data, Data::Null, "{text:?}");
    }
    assert_eq!(one("- a\n").to_json(), json!(["a"]));
    assert_eq!(one("bare").to_json(), json!("bare"));
    let many = read(&file(), b"---\na: 1\n---\n---\nb\n", &Options::rendered()).unwrap();
    assert_eq!(
        many.iter().map(Node::to_json).collect::<Vec<_>>(),
        [json!({"a": 1}), json!(null), json!("b")]
    );
}

#[test]
fn b19_keys_are_strings() {
    insta::assert_snapshot!(problems("? [1,2] : x\n: y\n"), @"YAML010 1:3 keys must be strings");
    insta::assert_snapshot!(problems("true: 1\n1: 2\n~: 3\n: 4\n{a: 1}: 5\n1.10: 6\n"), @r"
    YAML010 1:1 keys must be strings, and `true` is none
    YAML010 2:1 keys must be strings, and `1` is none
    YAML010 3:1 keys must be strings, and `~` is none
    YAML010 4:1 keys must be strings
    YAML010 5:1 keys must be strings
    YAML010 6:1 keys must be strings, and `1.10` is none
    ");
    assert_eq!(one("on: yes\n\"1\": a\n").to_json(), json!({"on": "yes", "1": "a"}));
    let found = read(&file(), b"1: x\n", &Options::request()).unwrap_err();
    assert_eq!(found[0].fix.as_ref().unwrap().replacement, "\"1\"");
}

#[test]
fn b21_limits() {
    let small = Options { max_bytes: 1024, max_nodes: 20, max_scalar: 64, ..Options::request() };
    let read = |text: &str| told(&read(&file(), text.as_bytes(), &small).unwrap_err());
    assert_eq!(read(&"x".repeat(1025)), "LIM001 1:1 larger than 1 KiB");
    assert_eq!(read(&format!("a: {}\nb: 1\nb: 2\n", "x".repeat(65))).lines().count(), 2);
    assert_eq!(read(&"- a\n".repeat(20)), "LIM001 20:3 more than 20 keys and values");
    assert!(problems(vec![b'a'; 300_000]).starts_with("LIM001 1:1 larger than 256 KiB"));
    let flood = problems("1: x\n".repeat(500));
    assert_eq!(flood.lines().count(), 101);
    assert!(flood.ends_with("more than 100 problems in this file; the rest is not told"));
}

#[test]
fn tags_are_refused_or_kept() {
    assert_eq!(
        problems("a: !Ref b\nc: !<tag:x,1:y> 1\nd: !!binary aGk=\ne: !!int x\n"),
        "YAML008 1:4 tag `!Ref` is not allowed here\nYAML008 2:4 tag `!<tag:x,1:y>` is not allowed here\n\
         YAML008 3:4 tag `!!binary` is not allowed here\nYAML008 4:4 the value is not a `!!int`"
    );
    let text =
        b"a: !Ref 5\nb: !Sub [x, {y: !GetAtt q.Arn}]\nc: !If\n  - 1\nd: !GetAZs\ne: !GetAZs ''\n";
    let root = &read(&file(), text, &Options::rendered()).unwrap()[0];
    let at = |pointer: &str| root.at(pointer).unwrap();
    assert_eq!(
        (at("/a").tag.as_deref(), &at("/a").data),
        (Some("!Ref"), &Data::String("5".into()))
    );
    assert_eq!(at("/b").tag.as_deref(), Some("!Sub"));
    assert_eq!(at("/b/1/y").tag.as_deref(), Some("!GetAtt"));
    assert_eq!(at("/c").tag.as_deref(), Some("!If"));
    assert_eq!((&at("/d").data, &at("/e").data), (&Data::Null, &Data::String(String::new())));
    let again = write(std::slice::from_ref(root));
    insta::assert_snapshot!(again, @r#"
    a: !Ref "5"
    b: !Sub
      - x
      - "y": !GetAtt q.Arn
    c: !If
      - 1
    d: !GetAZs
    e: !GetAZs ""
    "#);
    assert_eq!(
        bare(&read(&file(), again.as_bytes(), &Options::rendered()).unwrap()[0]),
        bare(root)
    );
}

#[test]
fn syntax_errors_speak_plainly_and_keep_what_was_found_before() {
    insta::assert_snapshot!(problems("a: 1\na: 2\nb: c: d\n"), @r"
    YAML002 2:1 duplicate key `a`: it is on line 1 and on line 2 [1:1 the first one]
    YAML011 3:5 `: ` is not allowed here
    ");
    insta::assert_snapshot!(problems("a: @x\n"), @"YAML011 1:4 a plain value cannot begin with `@`");
    insta::assert_snapshot!(problems("a: [1, 2\nb: 1\n"), @"YAML011 2:2 `: ` is not allowed here");
    insta::assert_snapshot!(problems("a: \"x\n"), @"YAML011 2:1 a quote opened before this is not closed");
    insta::assert_snapshot!(problems("a: 'it's'\n"), @"YAML011 1:8 something follows the closing quote");
    insta::assert_snapshot!(problems("a: \"\\d\"\n"), @"YAML011 1:4 not an escape that YAML has");
    insta::assert_snapshot!(problems("%YAML 1.1\n---\na: no\n"), @"YAML011 1:1 directives (`%…`) are not allowed");
    insta::assert_snapshot!(problems("a:\n  b: 1\n c: 2\n"), @"YAML011 3:2 this does not fit what stands above it");
    insta::assert_snapshot!(problems("a: 1\nb\nc: 1\n"), @"YAML011 2:1 this line has no `:` behind its key");
}

#[test]
fn written_yaml_is_readable_and_quotes_in_doubt() {
    let value = json!({
        "apiVersion": "vend.dev/v1", "empty": {}, "none": [], "nothing": null, "on": true,
        "list": ["a", ["b", ["c"]], {"x": 1, "z": [{"k": "v"}]}],
        "words": ["no", "Null", "0777", "1.2.0", "1e3", "3f2a", "10.0.0.0/16", "https://x.y/z?a=b#c", "a: b",
            "a #b", "- x", "*x", "&x", "!x", "é", "", " x", "x ", "a\tb", "\u{1b}[2J", "\u{202e}", "\u{2028}", "\"\\", "=", "<<", "~", ".5", "{{x}}", "`x`", "@x", "14d", "x:"],
        "text": "first\n\n  second\n", "open": "a\nb", "blank": "a\n \nb", "many": "a\n\n",
        "numbers": [1, -1, 1.5, 1e16, 1e-7, 1.0, u64::MAX],
    });
    let text = write_json(&value);
    insta::assert_snapshot!(text, @r#"
    apiVersion: vend.dev/v1
    blank: "a\n \nb"
    empty: {}
    list:
      - a
      - - b
        - - c
      - x: 1
        z:
          - k: v
    many: "a\n\n"
    none: []
    nothing: null
    numbers:
      - 1
      - -1
      - 1.5
      - 1.0e+16
      - 1.0e-7
      - 1.0
      - 18446744073709551615
    "on": true
    open: |-
      a
      b
    text: |
      first

        second
    words:
      - "no"
      - "Null"
      - "0777"
      - "1.2.0"
      - "1e3"
      - "3f2a"
      - 10.0.0.0/16
      - https://x.y/z?a=b#c
      - "a: b"
      - "a #b"
      - "- x"
      - "*x"
      - "&x"
      - "!x"
      - é
      - ""
      - " x"
      - "x "
      - "a\tb"
      - "\x1B[2J"
      - "\u202E"
      - "\u2028"
      - "\"\\"
      - "="
      - "<<"
      - "~"
      - ".5"
      - "{{x}}"
      - "`x`"
      - "@x"
      - "14d"
      - "x:"
    "#);
    assert_eq!(one_any(&text), value);
}

/// The value of written text; written control characters are escapes, which `read` refuses.
fn one_any(text: &str) -> Value {
    let text = text.replace("\\x1B", "\u{fffd}");
    let root = one(&text);
    serde_json::from_str(&root.to_json().to_string().replace('\u{fffd}', "\\u001b")).unwrap()
}

#[test]
fn structs_are_written_in_the_order_of_their_fields() {
    #[derive(serde::Serialize)]
    struct Status {
        kind: &'static str,
        api: Vec<(&'static str, u8)>,
        a: Option<f64>,
    }
    let text = to_string(&Status { kind: "Status", api: vec![("x", 1)], a: None });
    assert_eq!(text, "kind: Status\napi:\n  - - x\n    - 1\na: null\n");
}

#[test]
fn documents_are_separated() {
    let documents = read(&file(), b"a: 1\n---\n---\n- b\n", &Options::rendered()).unwrap();
    assert_eq!(write(&documents), "a: 1\n---\nnull\n---\n- b\n");
}

#[test]
fn a_key_of_any_length_is_read_back() {
    let value = json!({"k".repeat(3000): {"y".repeat(2000): [1]}});
    assert_eq!(one(&write_json(&value)).to_json(), value);
}

/// Without places, and without what the writer's quotes settle.
fn bare(node: &Node) -> Node {
    let data = match &node.data {
        Data::List(items) => Data::List(items.iter().map(bare).collect()),
        Data::Map(entries) => Data::Map(
            entries
                .iter()
                .map(|(key, value)| {
                    (Key { name: key.name.clone(), span: Span::default() }, bare(value))
                })
                .collect(),
        ),
        data => data.clone(),
    };
    Node { tag: node.tag.clone(), ..Node::new(Span::default(), data) }
}

fn any_text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z0-9 :#,.\\-\\[\\]{}&*!|>'\"%@`?=~<_+/\\\\\n\t]{0,12}",
        "[0-9_.:eExobTZ+\\-]{0,8}",
        "\\PC{0,8}",
        proptest::collection::vec(any::<char>(), 0..8)
            .prop_map(|chars| chars.into_iter().filter(|c| !text::is_refused(*c)).collect()),
    ]
}

pub(super) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>()
            .prop_filter_map("finite", serde_json::Number::from_f64)
            .prop_map(Value::Number),
        any_text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(any_text(), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(values in proptest::collection::vec(any_value(), 1..4)) {
        let documents: Vec<Node> = values.iter().cloned().map(Node::from_json).collect();
        let text = write(&documents);
        let back = read(&file(), text.as_bytes(), &Options::rendered()).map_err(|d| TestCaseError::fail(format!("{}\n{text}", told(&d))))?;
        prop_assert_eq!(back.iter().map(Node::to_json).collect::<Vec<_>>(), values, "{}", text);
        // What is written holds nothing that another reader may take for something else, but dates never and numbers as numbers.
        prop_assert_eq!(write(&back), text);
    }

    #[test]
    fn any_bytes_are_read_or_refused_within_the_file(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        check_places(&bytes)?;
    }

    #[test]
    fn any_text_is_read_or_refused_within_the_file(text in "[a-c:#,\\-\\[\\]{}&*!|>'\"%? \n\t\r\\\\1.~é]{0,60}") {
        check_places(text.as_bytes())?;
    }
}

fn check_places(bytes: &[u8]) -> Result<(), TestCaseError> {
    let lines = bytes.iter().filter(|b| matches!(b, b'\n' | b'\r')).count() as u32 + 1;
    match read(&file(), bytes, &Options::rendered()) {
        Ok(nodes) => {
            for node in &nodes {
                prop_assert!(
                    node.span.start <= node.span.end && node.span.end.byte as usize <= bytes.len()
                );
            }
        }
        Err(found) => {
            prop_assert!(!found.is_empty());
            for problem in found {
                prop_assert!(
                    problem.place.line >= 1 && problem.place.line <= lines,
                    "{:?}",
                    problem
                );
            }
        }
    }
    Ok(())
}
