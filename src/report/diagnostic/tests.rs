use serde_json::json;

use super::*;
use crate::model::Place;
use std::sync::Arc;

const REQUEST: &str = "apiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: sqs-queue@1.2.0\n  parameters:\n    country: NO\n    fifo: false\n    country: SE\n";

fn place(file: &str, line: u32, column: u32, end_column: u32) -> Place {
    Place { file: file.into(), line, column, end_line: line, end_column }
}

fn sources(file: &str) -> Option<Arc<str>> {
    match file {
        "a.yaml" => Some(REQUEST.into()),
        "b.yaml" => Some("x: 1\n".into()),
        "hostile.yaml" => Some(
            format!(
                "{}\u{1b}[2J\u{202e}evil ##[error]: 1 {}\r\n",
                "a".repeat(200),
                "b".repeat(200)
            )
            .into(),
        ),
        _ => None,
    }
}

fn duplicate() -> Diagnostic {
    Diagnostic::error(
        "YAML002",
        place("a.yaml", 8, 5, 12),
        "duplicate key `country`: it is on line 6 and on line 8",
    )
    .help("keep one of the two")
    .related(place("a.yaml", 6, 5, 12), "the first one")
}

fn ambiguous() -> Diagnostic {
    Diagnostic::error("YAML012", place("a.yaml", 6, 14, 16), "`NO` is a boolean for some readers")
        .help("quote it")
        .fix(place("a.yaml", 6, 14, 16), "\"NO\"")
}

fn elsewhere() -> Diagnostic {
    Diagnostic::warning("REQ002", place("a.yaml", 2, 1, 5), "the same id as another request")
        .related(place("b.yaml", 1, 1, 2), "the other one")
        .related(place("gone.yaml", 3, 1, 2), "and one more")
}

fn whole() -> Diagnostic {
    Diagnostic::error("LIM001", Place::file("big.yaml"), "larger than 256 KiB")
        .help("split the file")
}

fn hostile() -> Diagnostic {
    Diagnostic::error(
        "PATH005",
        place("hostile.yaml", 1, 201, 204),
        "a\u{202e}b\n::error::x ##[error]y\u{1b}[2J",
    )
    .help("50% of,these: \r\n::set-env::")
    .fix(place("hostile.yaml", 1, 201, 204), "x\u{1b}")
}

#[test]
fn a_terminal_shows_the_lines_with_carets() {
    insta::assert_snapshot!(terminal(&[duplicate(), ambiguous(), elsewhere(), whole()], &sources, false), @r#"
    error[YAML002]: duplicate key `country`: it is on line 6 and on line 8
     --> a.yaml:8:5
      |
    6 |     country: NO
      |     ------- the first one
    7 |     fifo: false
    8 |     country: SE
      |     ^^^^^^^
      |
      = help: keep one of the two

    error[YAML012]: `NO` is a boolean for some readers
     --> a.yaml:6:14
      |
    6 |     country: NO
      |              ^^
      |
    help: quote it
      |
    6 -     country: NO
    6 +     country: "NO"
      |

    warning[REQ002]: the same id as another request
     --> a.yaml:2:1
      |
    2 | kind: Request
      | ^^^^
      |
     ::: b.yaml:1:1
      |
    1 | x: 1
      | - the other one
     ::: gone.yaml:3:1

    error[LIM001]: larger than 256 KiB
    --> big.yaml
     = help: split the file
    "#);
}

#[test]
fn a_terminal_shows_nothing_that_hides_or_moves() {
    let text = terminal(&[hostile()], &sources, false);
    assert!(text.chars().all(|c| c == '\n' || !(c.is_control() || is_invisible(c))), "{text:?}");
    assert!(!text.contains("##["));
    insta::assert_snapshot!(text, @r#"
    error[PATH005]: a\u{202E}b\n::error::x #\u{23}[error]y\u{1B}[2J
     --> hostile.yaml:1:201
      |
     ::: 
    1 | …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u{1B}[2J\u{202E}evil #\u{23}[error]: 1 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
      |                                          ^^^^^^^^
      |
    help: 50% of,these: \r\n::set-env::
      |
    1 - …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u{1B}[2J\u{202E}evil #\u{23}[error]: 1 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
    1 + …aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaax\u{1B}J\u{202E}evil #\u{23}[error]: 1 bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…
      |
    "#);
    let coloured = terminal(&[hostile()], &sources, true);
    assert!(coloured.contains("\u{1b}[") && !coloured.contains("\u{1b}[2J"));
}

#[test]
fn places_that_are_not_in_the_file_are_named_only() {
    let lost = Diagnostic::error("X001", place("b.yaml", 99, 7, 9), "what").help("do");
    insta::assert_snapshot!(terminal(&[lost], &sources, false), @r#"
    error[X001]: what
    --> b.yaml:99:7
     = help: do
    "#);
    let beyond = Diagnostic::error("X001", place("b.yaml", 1, 70, 90), "what");
    insta::assert_snapshot!(terminal(&[beyond], &sources, false), @r#"
    error[X001]: what
     --> b.yaml:1:70
      |
     ::: 
    1 | x: 1
      |     ^
    "#);
}

#[test]
fn far_lines_are_folded_and_tabs_keep_their_column() {
    let text: Arc<str> = format!("a: 1\n{}\ta: 2\n", "# x\n".repeat(20)).into();
    let found = Diagnostic::error("X001", place("t.yaml", 22, 2, 3), "again")
        .related(place("t.yaml", 1, 1, 2), "the first one");
    insta::assert_snapshot!(terminal(&[found], &|_| Some(Arc::clone(&text)), false), @r"
    error[X001]: again
      --> t.yaml:22:2
       |
     1 | a: 1
       | - the first one
    ...
    22 |     a: 2
       |     ^
    ");
}

#[test]
fn github_gets_one_command_a_line() {
    let text = github(&[duplicate(), ambiguous(), elsewhere(), whole(), hostile()]);
    assert_eq!(text.lines().count(), 5);
    assert!(
        text.lines()
            .all(|line| line.starts_with("::error file=") || line.starts_with("::warning file="))
    );
    insta::assert_snapshot!(text, @r#"
    ::error file=a.yaml,line=8,col=5,endLine=8,endColumn=12,title=YAML002%3A duplicate key `country`%3A it is on line 6 and on line 8::duplicate key `country`: it is on line 6 and on line 8%0Ahelp: keep one of the two%0Aa.yaml:6: the first one
    ::error file=a.yaml,line=6,col=14,endLine=6,endColumn=16,title=YAML012%3A `NO` is a boolean for some readers::`NO` is a boolean for some readers%0Ahelp: quote it%0Awrite: "NO"
    ::warning file=a.yaml,line=2,col=1,endLine=2,endColumn=5,title=REQ002%3A the same id as another request::the same id as another request%0Ab.yaml:1: the other one%0Agone.yaml:3: and one more
    ::error file=big.yaml,line=1,title=LIM001%3A larger than 256 KiB::larger than 256 KiB%0Ahelp: split the file
    ::error file=hostile.yaml,line=1,col=201,endLine=1,endColumn=204,title=PATH005%3A a\u{202E}b\n%3A%3Aerror%3A%3Ax #\u{23}[error]y\u{1B}[2J::a\u{202E}b\n::error::x #\u{23}[error]y\u{1B}[2J%0Ahelp: 50%25 of,these: \r\n::set-env::%0Awrite: x\u{1B}
    "#);
    let mut long = ambiguous();
    long.place.end_line = 9;
    assert!(!github(&[long]).contains("col="));
}

#[test]
fn json_has_everything() {
    insta::assert_json_snapshot!(json(&[duplicate(), ambiguous()]), @r#"
    {
      "diagnostics": [
        {
          "code": "YAML002",
          "help": "keep one of the two",
          "message": "duplicate key `country`: it is on line 6 and on line 8",
          "place": {
            "column": 5,
            "endColumn": 12,
            "endLine": 8,
            "file": "a.yaml",
            "line": 8
          },
          "related": [
            {
              "label": "the first one",
              "place": {
                "column": 5,
                "endColumn": 12,
                "endLine": 6,
                "file": "a.yaml",
                "line": 6
              }
            }
          ],
          "severity": "error"
        },
        {
          "code": "YAML012",
          "fix": {
            "place": {
              "column": 14,
              "endColumn": 16,
              "endLine": 6,
              "file": "a.yaml",
              "line": 6
            },
            "replacement": "\"NO\""
          },
          "help": "quote it",
          "message": "`NO` is a boolean for some readers",
          "place": {
            "column": 14,
            "endColumn": 16,
            "endLine": 6,
            "file": "a.yaml",
            "line": 6
          },
          "severity": "error"
        }
      ],
      "summary": {
        "errors": 2,
        "notes": 0,
        "warnings": 0
      },
      "version": 1
    }
    "#);
}

#[test]
fn sarif_has_rules_places_and_fixes() {
    let mut odd = whole();
    odd.place.file = "a:b c?#é.yaml".into();
    let log = sarif(&[duplicate(), ambiguous(), odd], "0.1.0");
    assert_eq!(
        log["runs"][0]["tool"]["driver"]["rules"],
        json!([{"id": "LIM001"}, {"id": "YAML002"}, {"id": "YAML012"}])
    );
    assert_eq!(
        log["runs"][0]["results"][2]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"],
        "a%3Ab%20c%3F%23%C3%A9.yaml"
    );
    insta::assert_json_snapshot!(log["runs"][0]["results"][1], @r#"
    {
      "fixes": [
        {
          "artifactChanges": [
            {
              "artifactLocation": {
                "uri": "a.yaml"
              },
              "replacements": [
                {
                  "deletedRegion": {
                    "endColumn": 16,
                    "endLine": 6,
                    "startColumn": 14,
                    "startLine": 6
                  },
                  "insertedContent": {
                    "text": "\"NO\""
                  }
                }
              ]
            }
          ]
        }
      ],
      "level": "error",
      "locations": [
        {
          "physicalLocation": {
            "artifactLocation": {
              "uri": "a.yaml"
            },
            "region": {
              "endColumn": 16,
              "endLine": 6,
              "startColumn": 14,
              "startLine": 6
            }
          }
        }
      ],
      "message": {
        "text": "`NO` is a boolean for some readers\nhelp: quote it"
      },
      "ruleId": "YAML012",
      "ruleIndex": 2
    }
    "#);
}

#[test]
fn summary_counts() {
    assert_eq!(
        summary(&[duplicate(), ambiguous(), elsewhere(), whole()]),
        "3 errors, 1 warning in 2 files"
    );
    assert_eq!(summary(&[]), "");
}

#[test]
fn a_help_that_is_the_fix_is_said_once() {
    let place = place("elsewhere.yaml", 3, 5, 6);
    let found = Diagnostic::error("SCH003", place.clone(), "expected text, found 4")
        .help("write `\"4\"`")
        .fix(place, "\"4\"");
    let said = terminal(&[found], &|_| None, false);
    assert_eq!(said.matches("write `\"4\"`").count(), 1, "{said}");
}

#[test]
fn a_secret_is_shown_in_no_excerpt_of_its_file() {
    let text = "spec:\n  parameters: {size: 7, password: hunter2, zone: a}\n  key: |\n    first\n    second\n";
    let sources = |_: &str| Some(Arc::from(text));
    let secret = |place| Diagnostic::error("SEC001", place, "a value stands here for all to read");
    let over = |line, column, end_line, end_column| Place {
        file: "s.yaml".into(),
        line,
        column,
        end_line,
        end_column,
    };
    let found = [
        Diagnostic::error("SCH003", over(2, 22, 2, 23), "expected a text"),
        secret(over(2, 35, 2, 42)),
        secret(over(3, 8, 5, 11)),
        Diagnostic::error("SCH001", over(4, 5, 4, 10), "a neighbour"),
    ];
    let shown = terminal(&found, &sources, false);
    assert!(shown.contains("parameters: {size: 7, password: *******, zone: a}"), "{shown}");
    for secret in ["hunter2", "first", "second"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(terminal(&found[..1], &sources, false).contains("hunter2"), "nothing else is hidden");
}
