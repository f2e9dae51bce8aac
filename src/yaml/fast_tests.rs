use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;

use super::super::{Options, read_fully, tests::any_value, write_json};

/// Whether the fast part took it; what it took, the full reader gives as well.
fn same(bytes: &[u8], options: &Options) -> Result<bool, TestCaseError> {
    let Some(quick) = super::read(bytes, options) else { return Ok(false) };
    let shown = String::from_utf8_lossy(bytes);
    match read_fully(&Arc::from("a.yaml"), bytes, options) {
        Ok(nodes) => prop_assert_eq!(&nodes[..], &[quick][..], "{}", shown),
        Err(found) => prop_assert!(false, "{}\n{:?}", shown, found),
    }
    Ok(true)
}

fn is_taken(text: &str) -> bool {
    same(text.as_bytes(), &Options::request()).unwrap()
}

/// Lines that are nearly YAML: what is told apart by one character stands near its neighbours.
fn any_lines() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        "[a-c]{1,2}",
        Just("1.10".to_owned()),
        Just("no".to_owned()),
        Just("<<".to_owned()),
        Just("~".to_owned()),
        Just("-1".to_owned()),
        Just("---".to_owned()),
        Just("...".to_owned()),
        Just("2026-01-31".to_owned()),
        Just("'a'".to_owned()),
        Just("'it''s'".to_owned()),
        Just("|".to_owned()),
        Just("|-".to_owned()),
        Just("\"b\"".to_owned()),
        Just("[a, b]".to_owned()),
        Just("{a: b}".to_owned()),
        Just("[]".to_owned()),
        Just("{\"on\": a, 'b:c': \"d\", \"e\":f}".to_owned()),
        Just("{\"a\": b, a: c}".to_owned()),
        Just("{a: [b, {c: d}], e: \"f\"}".to_owned()),
        Just("a:b".to_owned()),
        Just("\"a\\\"b\\n\"".to_owned()),
        Just("\"\\\\\"".to_owned()),
        Just("{a: 'é', b: [ü, \"→\"]}".to_owned()),
        Just("größe – 漢字 🚀".to_owned()),
        "[a-bé\u{A0}\u{2028}\u{FEFF}\u{E000}\u{200D}:#,\\[\\]{}'\" \\\\n-]{0,6}",
        "[a-b0-9:#,\\[\\]{}&*!|>'\"%?@ .~<=/+\\\\-]{0,6}",
    ];
    let lead = prop_oneof![
        Just(""),
        Just(""),
        Just("a: "),
        Just("b: "),
        Just("c:"),
        Just("a:"),
        Just("- "),
        Just("-"),
        Just("- a: "),
        Just("\"a\": "),
        Just("'é b':"),
        Just("\"a\":"),
        Just("- 'b': "),
        Just("- - "),
        Just("-   b: "),
        Just("# "),
        Just("? "),
        Just("key : "),
        Just("1: "),
    ];
    let tail = prop_oneof![
        Just(""),
        Just(""),
        Just(""),
        Just(" # c"),
        Just("  "),
        Just("#"),
        Just(":"),
        Just(","),
        Just(" '")
    ];
    let line = (0usize..5, lead, word, tail)
        .prop_map(|(indent, lead, word, tail)| format!("{}{lead}{word}{tail}", " ".repeat(indent)));
    let good = (
        0usize..3,
        prop_oneof![
            Just("a:"),
            Just("b: 1"),
            Just("- c"),
            Just("- d: 1"),
            Just("-"),
            Just("e: [x]"),
            Just("f: |"),
            Just("- |-"),
            Just("")
        ],
    )
        .prop_map(|(indent, text)| format!("{}{text}", "  ".repeat(indent)));
    let begin = prop_oneof![
        6 => Just(""),
        2 => Just("---\n"),
        1 => Just("# ä\n\n---  \n"),
        1 => Just("---\n---\n"),
        1 => Just("--- # a\n"),
    ];
    (begin, proptest::collection::vec(prop_oneof![line, good.clone(), good], 0..8), "\n{0,2}")
        .prop_map(|(begin, lines, end)| begin.to_owned() + &lines.join("\n") + &end)
}

/// More than usual: they are cheap, and much hangs on them.
fn cases(least: u32) -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases.max(least), ..usual }
}

proptest! {
    #![proptest_config(cases(4_000))]

    #[test]
    fn it_reads_what_the_full_reader_reads(lines in any_lines()) {
        same(lines.as_bytes(), &Options::request())?;
        let tight = Options { max_depth: 2, max_nodes: 6, max_scalar: 3, ..Options::rendered() };
        same(lines.as_bytes(), &tight)?;
    }

    #[test]
    fn it_survives_any_text(text in "[a-c:#,\\-\\[\\]{}&*!|>'\"%? \n\t\r\\\\1.~é\u{FEFF}]{0,60}") {
        same(text.as_bytes(), &Options::request())?;
    }
}

proptest! {
    #![proptest_config(cases(1_000))]

    #[test]
    fn it_reads_what_is_written(value in any_value()) {
        same(write_json(&value).as_bytes(), &Options::rendered())?;
    }

    #[test]
    fn it_survives_an_edit(
        at in 0usize..900,
        with in "[a-cé:#,\\[\\]{}&*!|>'\"%? \n1.~\\\\-]{0,3}",
        cut in 0usize..4,
    ) {
        for text in REQUESTS {
            let at = at % text.len();
            let rest = text.get(at + cut..).unwrap_or_default();
            same(format!("{}{with}{rest}", &text[..at]).as_bytes(), &Options::request())?;
        }
    }
}

const REQUESTS: [&str; 2] = [
    include_str!("../../benches/data/request-470.yaml"),
    include_str!("../../benches/data/request-841.yaml"),
];

/// Otherwise it stops to pay, and nothing else says so.
#[test]
fn it_takes_what_people_write() {
    for text in REQUESTS {
        assert!(is_taken(text));
        assert!(is_taken(&format!("---\n{text}")));
        assert!(is_taken(&text.replace("spec:", "# für später – 漢字\nspec:")));
    }
    for text in [
        "a:\n- b: [x, {y: 1}]\n  c:\n-\n- - d\n  - 'e' # f\ng: {}\n",
        "a: größer\nb: [\"ä\", 'ß', é]  # ü\nc: |\n  Grüße\n",
        "a: \"say \\\"no\\\"\\n\\tto C:\\\\\"\n",
        "# a\n\n---   \na: it's\n",
        "a: 'C:\\it''s'\n",
        "\"on\": {\"off\": 1, 'it''s': 2}\n'ß': 3\n",
    ] {
        assert!(is_taken(text), "{text}");
    }
}

/// What has more than one reading, or a message, is the full reader's.
#[test]
fn it_leaves_the_rest_alone() {
    for text in [
        "",
        "# a\n",
        "---\n",
        "--- a\n",
        "--- # a\na: 1\n",
        "---\n---\na: 1\n",
        "a: 1\n---\nb: 1\n",
        "a: 1\n...\n",
        "%YAML 1.2\n---\na: 1\n",
        "\u{FEFF}a: 1\n",
        "a: 1\r\n",
        "a:\t1\n",
        "a: b\n  c\n",
        "a: &b 1\n",
        "a: *b\n",
        "a: !!str 1\n",
        "<<: {a: 1}\n",
        "? a\n: 1\n",
        "a: >\n  b\n",
        "a: 1\na: 2\n",
        "a: 1\n\"a\": 2\n",
        "\"a\" : 1\n",
        "{\"a\":1}\n",
        "a: \"\\x41\"\n",
        "a: \"b\\\n  c\"\n",
        "a: \"b\\",
        "a: \u{2028}\n",
        "a: b\u{85}\n",
        "é: 1\n",
        "a:\n  b: 1\n c: 2\n",
        "a: [1,\n  2]\n",
        "a: 1e999\n",
    ] {
        assert!(!is_taken(text), "{text:?}");
    }
    let key = |length: usize| format!("\"{}\": 1\n", "a".repeat(length));
    assert!(is_taken(&key(900)) && !is_taken(&key(1_100)));
    let wide = |line: usize| format!("a: [{}]\n", "é, ".repeat(line) + "é");
    assert!(is_taken(&wide(100)) && !is_taken(&wide(1_000)));
}

/// Every file of this repository that looks like YAML, those that are hostile as well.
#[test]
fn it_reads_the_files_of_this_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders: Vec<PathBuf> =
        ["sample-catalog", "sample-requests", "tests", "benches", "deploy", "docs"]
            .map(|folder| root.join(folder))
            .into();
    let mut left = Vec::new();
    let (mut read, mut taken) = (0, 0);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, kind) = (entry.path(), entry.file_type().unwrap());
            let name = path.to_string_lossy().into_owned();
            let is_yaml =
                [".yaml", ".yml", ".yaml.hbs", ".json"].iter().any(|end| name.ends_with(end));
            if kind.is_dir() {
                folders.push(path);
            } else if kind.is_file() && (is_yaml || name.contains("/tests/fuzz/")) {
                let bytes = std::fs::read(&path).unwrap();
                let is_plain = same(&bytes, &Options::request()).unwrap();
                same(&bytes, &Options::rendered()).unwrap();
                read += 1;
                taken += u32::from(is_plain);
                let of_people = name.contains("/sample-requests/")
                    || name.contains("/sample-catalog/environments/");
                if of_people && is_yaml && !is_plain {
                    left.push(name);
                }
            }
        }
    }
    assert!(left.is_empty(), "the full reader has to read {left:?}");
    assert!(read > 200 && taken > 100, "{taken} of {read}");
}
