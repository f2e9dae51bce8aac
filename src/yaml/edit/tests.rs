use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::yaml::Data;

fn file() -> Arc<str> {
    Arc::from("a.yaml")
}

fn edited(text: &str, edits: &[Edit]) -> String {
    edit(&file(), text, edits, &Options::request())
        .unwrap_or_else(|error| panic!("{error}: {text}"))
}

const REQUEST: &str = "\
# yaml-language-server: $schema=../x.json
apiVersion: vend.dev/v1
kind: Request
spec:
  template: \"sqs-queue@1.2.0\"   # pinned until March
  # Values.
  parameters:
    fifo: false   # never

    # Four days, see ORD-1.
    # Ask before raising it.
    retentionDays: 4
    tags: {team: 'orders', tier: gold}   # short

  references:
    vpcId: {request: platform/prod/network, output: vpcId}
";

#[test]
fn a_scalar_is_changed_in_its_own_quotes() {
    let made = edited(
        REQUEST,
        &[
            Edit::put("/spec/template", "sqs-queue@2.0.0"),
            Edit::put("/spec/parameters/retentionDays", 14),
            Edit::put("/spec/parameters/tags/team", "it's"),
        ],
    );
    let wanted = REQUEST
        .replace("@1.2.0", "@2.0.0")
        .replace("Days: 4", "Days: 14")
        .replace("'orders'", "'it''s'");
    assert_eq!(made, wanted);
    assert_eq!(edited("a: x # c\n", &[Edit::put("/a", "no")]), "a: \"no\" # c\n");
    assert_eq!(edited("a: 14d # c\n", &[Edit::put("/a", "121d")]), "a: 121d # c\n");
    assert_eq!(edited("a: 1b2\n", &[Edit::put("/a", "1e2")]), "a: \"1e2\"\n");
    assert_eq!(edited("a: \"14d\"\n", &[Edit::put("/a", "21d")]), "a: \"21d\"\n");
    assert_eq!(edited("a: 'x'\n", &[Edit::put("/a", "b\n")]), "a: \"b\\n\"\n");
    assert_eq!(edited("a: 'x'\n", &[Edit::put("/a", 1)]), "a: 1\n");
    assert_eq!(edited("a:   # c\nb: 1\n", &[Edit::put("/a", 1)]), "a: 1   # c\nb: 1\n");
    assert_eq!(edited("a: |\n  x\n  y\n# c\n", &[Edit::put("/a", "z")]), "a: z\n# c\n");
    assert_eq!(edited("a: |- # b\n  x\n\n# c\n", &[Edit::put("/a", "z")]), "a: z # b\n\n# c\n");
    assert_eq!(edited("- >\n  x\n- b\n", &[Edit::put("/0", "z")]), "- z\n- b\n");
    assert_eq!(edited("a: [x, y]\n", &[Edit::put("/a/1", "q, r")]), "a: [x, \"q, r\"]\n");
    assert_eq!(
        edited("\u{FEFF}a: x\r\nb: y\r\n", &[Edit::put("/b", "z")]),
        "\u{FEFF}a: x\r\nb: z\r\n"
    );
}

#[test]
fn a_key_comes_behind_the_others_or_behind_one() {
    let put = |at: &str, value: Value| Edit::put(at, value);
    let made = edited(REQUEST, &[put("/spec/parameters/more", json!({"a": [1, {"b": "x: y"}]}))]);
    assert!(made.contains("tier: gold}   # short\n    more:\n      a:\n        - 1\n        - b: \"x: y\"\n\n  references:"), "{made}");
    let behind = Edit::Put {
        at: "/spec/parameters/port".into(),
        value: json!(5),
        behind: Some("fifo".into()),
    };
    let made = edited(REQUEST, &[behind]);
    assert!(made.contains("fifo: false   # never\n    port: 5\n\n    # Four"), "{made}");
    let made = edited(REQUEST, &[put("/spec/parameters/tags/new", json!("a b"))]);
    assert!(made.contains("tier: gold, new: a b}   # short"), "{made}");
    let made = edited(REQUEST, &[put("/metadata/labels/x", json!("y"))]);
    assert!(made.ends_with("vpcId}\nmetadata:\n  labels:\n    x: \"y\"\n"), "{made}");
    assert_eq!(edited("a: {}\n", &[put("/a/b", json!(1))]), "a: {b: 1}\n");
    assert_eq!(edited("a:  # c\nb: 1", &[put("/a/x", json!(1))]), "a:  # c\n  x: 1\nb: 1");
    assert_eq!(edited("a: 1", &[put("/b", json!([]))]), "a: 1\nb: []");
    assert_eq!(edited("a: 1\r\n", &[put("/b/c", json!(1))]), "a: 1\r\nb:\r\n  c: 1\r\n");
    assert_eq!(
        edited("- a: |+\n    x\n\n\n- b\n", &[put("/0/c", json!(1))]),
        "- c: 1\n  a: |+\n    x\n\n\n- b\n"
    );
    assert_eq!(
        edited("a:\n  b: 1\n  # end\nc:\n", &[put("/a/d", json!(2))]),
        "a:\n  b: 1\n  d: 2\n  # end\nc:\n"
    );
}

#[test]
fn a_key_goes_with_what_is_said_of_it() {
    let made = edited(REQUEST, &[Edit::remove("/spec/parameters/retentionDays")]);
    assert!(made.contains("# never\n\n    tags:"), "{made}");
    let made = edited(REQUEST, &[Edit::remove("/spec/references/vpcId")]);
    assert!(made.ends_with("# short\n\n  references: {}\n"), "{made}");
    let made = edited(REQUEST, &[Edit::remove("/spec/references")]);
    assert!(made.ends_with("# short\n\n"), "{made}");
    assert!(edited(REQUEST, &[Edit::remove("/apiVersion")]).starts_with("# yaml-language-server"));
    assert_eq!(edited("- a: 1\n  # of b\n  b: 2\n", &[Edit::remove("/0/a")]), "- # of b\n  b: 2\n");
    assert_eq!(edited("- a: 1\n  b: 2\n", &[Edit::remove("/0/a")]), "- b: 2\n");
    assert_eq!(edited("a: 1\nb:\n  - x\n  - y", &[Edit::remove("/b")]), "a: 1");
    assert_eq!(edited("{a: 1, b: 2}\n", &[Edit::remove("/b")]), "{a: 1}\n");
    assert_eq!(edited("{a: 1, b: 2}\n", &[Edit::remove("/a")]), "{b: 2}\n");
    assert_eq!(edited("a: 1\n", &[Edit::remove("/a")]), "{}\n");
    assert_eq!(
        edited("a: {\n  b: 1, # of b\n  c: 2 # of c\n}\n", &[Edit::remove("/a/c")]),
        "a: {\n  b: 1, # of b\n   # of c\n}\n"
    );
    assert_eq!(
        edited("# of all\na:\n  b: 1 # x\nc: 1\n", &[Edit::remove("/a/b")]),
        "# of all\na: {}\nc: 1\n"
    );
}

#[test]
fn a_comment_with_an_empty_line_below_it_is_nobodys_own() {
    let text = "a:\n  # Of all of these.\n\n  b: 1\n\n  # Limits.\n\n\n  # Of c.\n  c: 2\n  d: 3\n";
    for text in [text.to_owned(), text.replace('\n', "\r\n")] {
        let made = edited(&text, &[Edit::remove("/a/b")]);
        assert_eq!(made, text.replace("  b: 1\n", "").replace("  b: 1\r\n", ""));
        let made = edited(&text, &[Edit::remove("/a/c")]);
        assert!(made.contains("# Limits.") && !made.contains("# Of c."), "{made}");
    }
    assert_eq!(edited("a: 1\n# x\n\nb: 2", &[Edit::remove("/b")]), "a: 1\n# x\n");
}

#[test]
fn json_stays_json() {
    let text = "{\n  \"spec\": {\n    \"template\": \"a@1.0.0\",\n    \"parameters\": {\"b\": 1, \"c\": [true]}\n  }\n}\n";
    let made = edited(
        text,
        &[
            Edit::put("/spec/template", "a@2.0.0"),
            Edit::put("/spec/ttl", "7d"),
            Edit::rename("/spec/parameters/b", "no"),
            Edit::put("/spec/parameters/no", "1.10"),
            Edit::remove("/spec/parameters/c"),
            Edit::put("/spec/parameters/d", json!({"x": [1, "y"]})),
            Edit::put("/metadata/labels/x", json!(null)),
        ],
    );
    let wanted = "{\n  \"spec\": {\n    \"template\": \"a@2.0.0\",\n    \"parameters\": {\"no\": \"1.10\", \"d\": {\"x\": [1, \"y\"]}},\n    \"ttl\": \"7d\"\n  },\n  \"metadata\": {\"labels\": {\"x\": null}}\n}\n";
    assert_eq!(made, wanted);
    assert_eq!(edited("{\"a\": {}}", &[Edit::put("/a/b", 1)]), "{\"a\": {\"b\": 1}}");
    assert_eq!(edited("{\"a\": 1}", &[Edit::remove("/a")]), "{}");
    assert_eq!(edited("[{\"a\": 1}]", &[Edit::put("/0/a", "é\n")]), "[{\"a\": \"é\\n\"}]");
}

#[test]
fn a_key_is_called_otherwise_where_it_stands() {
    let made = edited(REQUEST, &[Edit::rename("/spec/parameters/retentionDays", "days")]);
    assert_eq!(made, REQUEST.replace("retentionDays", "days"));
    assert_eq!(edited("{'a': 1, b: 2}", &[Edit::rename("/a", "c d")]), "{'c d': 1, b: 2}");
    assert_eq!(edited("a: 1\n", &[Edit::rename("/a", "no")]), "\"no\": 1\n");
    assert_eq!(edited("a/b: 1\n", &[Edit::rename("/a~1b", "c~d")]), "c~d: 1\n");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let fails =
        |text: &str, one: Edit| edit(&file(), text, &[one], &Options::request()).unwrap_err();
    assert!(matches!(fails("a: 1\n", Edit::remove("/b")), EditError::Missing { .. }));
    assert!(matches!(fails("a: 1\n", Edit::rename("/b", "c")), EditError::Missing { .. }));
    assert!(matches!(fails("a: 1\n", Edit::put("/a/b", 1)), EditError::Missing { .. }));
    assert!(matches!(fails("a: [1]\n", Edit::put("/a/1", 1)), EditError::Missing { .. }));
    assert!(matches!(fails("a: 1\n", Edit::put("", 1)), EditError::Missing { .. }));
    assert!(matches!(fails("a: 1\nb: 2\n", Edit::rename("/a", "b")), EditError::Taken { .. }));
    assert!(matches!(fails("a: &x 1\n", Edit::put("/a", 1)), EditError::Unreadable(_)));
    assert!(matches!(fails("? a\n: 1\n? b\n: 2\n", Edit::put("/c", 1)), EditError::Unfit { .. }));
    assert!(matches!(fails("a: 1\n", Edit::put("/a", "\u{7}")), EditError::Unfit { .. }));
}

/// A map written in one of many ways, with comments that can be told apart.
#[derive(Clone, Debug)]
enum Written {
    Scalar(&'static str),
    Flow(Vec<(String, Written)>),
    Items(Vec<Written>),
    Block(Vec<Entry>),
}

#[derive(Clone, Debug)]
struct Entry {
    key: String,
    value: Written,
    above: bool,
    behind: bool,
    blank: bool,
    quoted: bool,
}

fn any_written() -> impl Strategy<Value = Written> {
    let scalar = proptest::sample::select(vec![
        "x",
        "1",
        "'it''s'",
        "\"a\\n: b\"",
        "",
        "~",
        "true",
        "1.50",
        "no",
        "[a, 'b c', {d: 1}]",
        "{}",
        "[]",
        "a b",
    ]);
    let leaf = scalar.prop_map(Written::Scalar);
    leaf.prop_recursive(3, 30, 4, |inner| {
        let entry = ("[a-d]", inner.clone(), any::<[bool; 4]>()).prop_map(
            |(key, value, [above, behind, blank, quoted])| Entry {
                key,
                value,
                above,
                behind,
                blank,
                quoted,
            },
        );
        let flat =
            proptest::sample::select(vec!["x", "'y'", "1", "\"z\""]).prop_map(Written::Scalar);
        prop_oneof![
            3 => proptest::collection::vec(entry, 1..5).prop_map(Written::Block),
            1 => proptest::collection::vec(inner, 1..4).prop_map(Written::Items),
            1 => proptest::collection::vec(("[a-d]", flat), 1..4).prop_map(Written::Flow),
        ]
    })
}

/// A comment that can be told from any other.
fn note(comments: &mut usize) -> String {
    *comments += 1;
    format!("# c{comments};")
}

/// The lines of it, for a key or a dash that stands on the current one.
fn write_out(value: &Written, indent: usize, comments: &mut usize, out: &mut String) {
    let pad = " ".repeat(indent);
    let mut seen = std::collections::BTreeSet::new();
    match value {
        Written::Scalar(text) => out.push_str(&format!(" {text}")),
        Written::Flow(entries) => {
            let one = |(key, value): &(String, Written)| {
                let Written::Scalar(text) = value else { unreachable!("flat") };
                format!("{key}: {text}")
            };
            let entries: Vec<_> =
                entries.iter().filter(|(key, _)| seen.insert(key)).map(one).collect();
            out.push_str(&format!(" {{{}}}", entries.join(", ")));
        }
        Written::Items(items) => {
            for item in items {
                out.push_str(&format!("\n{pad}-"));
                write_out(item, indent + 2, comments, out);
            }
        }
        Written::Block(entries) => {
            for entry in entries.iter().filter(|entry| seen.insert(&entry.key)) {
                if entry.blank {
                    out.push('\n');
                }
                if entry.above {
                    out.push_str(&format!("\n{pad}{}", note(comments)));
                }
                let quote = if entry.quoted { "'" } else { "" };
                out.push_str(&format!("\n{pad}{quote}{}{quote}:", entry.key));
                let behind = entry.behind.then(|| format!(" {}", note(comments)));
                let is_below = matches!(entry.value, Written::Block(_) | Written::Items(_));
                let (first, last) = if is_below { (behind, None) } else { (None, behind) };
                out.extend(first);
                write_out(&entry.value, indent + 2, comments, out);
                out.extend(last);
            }
        }
    }
}

/// Every pointer of a tree, that of the whole left out.
fn pointers(node: &Node, at: &str, out: &mut Vec<String>) {
    let children: Vec<(String, &Node)> = match &node.data {
        Data::Map(entries) => entries.iter().map(|(k, v)| (token(&k.name), v)).collect(),
        Data::List(items) => items.iter().enumerate().map(|(n, v)| (n.to_string(), v)).collect(),
        _ => Vec::new(),
    };
    for (name, child) in children {
        let at = format!("{at}/{name}");
        pointers(child, &at, out);
        out.push(at);
    }
}

fn any_new() -> impl Strategy<Value = Value> {
    proptest::sample::select(vec![
        json!("x"),
        json!("no"),
        json!("a\nb"),
        json!("a, b: 'c' # d"),
        json!(7),
        json!(null),
        json!([]),
        json!({}),
        json!({"k": ["x", {"y": "1"}]}),
        json!([[1], "z"]),
    ])
}

/// The comments of a text, by their numbers.
fn notes(text: &str) -> std::collections::BTreeSet<usize> {
    let found = text.split("# c").skip(1).filter_map(|rest| rest.split_once(';')?.0.parse().ok());
    found.collect()
}

proptest! {
    #[test]
    fn an_edit_is_made_as_meant_and_the_rest_stays(
        written in any_written(),
        (crlf, end) in any::<(bool, bool)>(),
        pick in any::<proptest::sample::Index>(),
        kind in 0..4,
        new in any_new(),
    ) {
        let mut text = String::new();
        let (mut comments, written) = (0, Written::Block(vec![
            Entry { key: "r".into(), value: written, above: true, behind: true, blank: false, quoted: false },
            Entry { key: "s".into(), value: Written::Scalar("end"), above: true, behind: true, blank: true, quoted: false },
        ]));
        write_out(&written, 0, &mut comments, &mut text);
        let mut text = text.trim_start_matches('\n').to_owned();
        if end { text.push('\n'); }
        if crlf { text = text.replace('\n', "\r\n"); }
        let root = whole(&file(), &text, &Options::request()).map_err(|d| TestCaseError::fail(format!("{d:?} {text}")))?;
        let mut all = Vec::new();
        pointers(&root, "", &mut all);
        let at = pick.get(&all).clone();
        let in_list = matches!(root.at(split(&at).unwrap().0).unwrap().data, Data::List(_));
        let edit = match kind {
            0 => Edit::put(at.clone(), new),
            1 if matches!(root.at(&at).unwrap().data, Data::Map(_) | Data::Null) => Edit::put(format!("{at}/new"), new),
            2 if !in_list => Edit::remove(at.clone()),
            3 if !in_list => Edit::rename(at.clone(), "new key"),
            _ => Edit::put(at.clone(), new),
        };
        let made = super::edit(&file(), &text, std::slice::from_ref(&edit), &Options::request());
        let made = made.map_err(|error| TestCaseError::fail(format!("{error}: {edit:?}\n{text}")))?;
        let back = whole(&file(), &made, &Options::request()).unwrap();
        prop_assert_eq!(back.to_json(), meant(&root.to_json(), &edit).unwrap());
        prop_assert_eq!(made.replace("\r\n", "").contains(['\r', '\n']), text.replace("\r\n", "").contains(['\r', '\n']));
        // Only comments of what is gone or written anew are gone with it.
        let (kept, had) = (notes(&made), notes(&text));
        prop_assert!(kept.is_subset(&had));
        let touches_below = matches!(edit, Edit::Remove { .. }) || matches!(&edit, Edit::Put { at: to, .. } if *to == at);
        let lost: Vec<_> = had.difference(&kept).collect();
        if !touches_below {
            prop_assert!(lost.is_empty(), "{:?}\n{}\n{}", edit, text, made);
        } else {
            let own = root.at(&at).unwrap().span;
            let key = root.key_at(&at).map_or(own.start.line, |key| key.span.start.line);
            for n in lost {
                let line = text.lines().position(|line| line.contains(&format!("# c{n};"))).unwrap() as u32 + 1;
                // The lines of the entry, and the one comment above it.
                prop_assert!((key - 1..=own.end.line.max(key)).contains(&line), "{:?} c{}\n{}\n{}", edit, n, text, made);
            }
        }
        // And back again: the same edit changes nothing any more.
        if matches!(edit, Edit::Put { .. }) {
            prop_assert_eq!(super::edit(&file(), &made, &[edit], &Options::request()).unwrap(), made);
        }
    }
}
