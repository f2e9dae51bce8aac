//! Stories of one request file each.

use std::sync::Arc;

use super::*;
use crate::model::{Diagnostic, Length, Term};

const PATH: &str = "requests/orders/prod/events.yaml";

fn read(text: &str) -> Result<RequestFile, Vec<Diagnostic>> {
    let id = RequestId::parse("orders/prod/events").unwrap();
    request(&Arc::from(PATH), &id, text.as_bytes())
}

/// One line each: `line:column-endcolumn CODE message | help | => fix`.
fn problems(text: &str) -> String {
    let problems = match read(text) {
        Ok(file) => file.problems().to_vec(),
        Err(problems) => problems,
    };
    shown(&problems)
}

pub(crate) fn shown(problems: &[Diagnostic]) -> String {
    let mut out = String::new();
    for problem in problems {
        let place = &problem.place;
        out.push_str(&format!(
            "{}:{}-{} {} {}",
            place.line, place.column, place.end_column, problem.code, problem.message
        ));
        if !problem.help.is_empty() {
            out.push_str(&format!(" | {}", problem.help));
        }
        if let Some(fix) = &problem.fix {
            out.push_str(&format!(" | => {}", fix.replacement));
        }
        out.push('\n');
    }
    out
}

const HEAD: &str = "apiVersion: vend.dev/v1\nkind: Request\n";

#[test]
fn a_short_request_is_read() {
    let file = read(&format!("{HEAD}spec: {{template: sqs-queue@1.2.0}}\n")).unwrap();
    assert!(file.problems().is_empty());
    assert_eq!(file.template.to_string(), "sqs-queue@1.2.0");
    assert!(file.protect.is_none() && !file.suspend && !file.tombstone);
}

#[test]
fn line_ends_and_byte_order_marks_are_no_change_b07_b08() {
    let text = format!("{HEAD}spec:\n  template: sqs-queue@^1.2\n");
    let unix = read(&text).unwrap();
    assert_eq!(unix.digest, read(&text.replace('\n', "\r\n")).unwrap().digest);
    assert_eq!(unix.digest, read(&format!("\u{feff}{text}")).unwrap().digest);
    assert_ne!(unix.digest, read(&text.replace("1.2", "1.3")).unwrap().digest);
}

#[test]
fn what_is_not_a_mapping_is_no_request_b18() {
    for text in ["", "# only words\n", "null\n", "- a\n", "text\n", "---\n"] {
        let problems = read(text).unwrap_err();
        assert_eq!(problems.len(), 1, "{text:?}");
        assert_eq!(problems[0].code, "REQ001", "{text:?}");
    }
}

#[test]
fn all_problems_of_a_file_are_named_at_once_b23() {
    let text = "apiVersion: vend.dev/v2\nkind: Reqest\nsppec:\n  x: 1\nmetadata:\n  name: event\n";
    insta::assert_snapshot!(problems(text), @r#"
    1:13-24 SCH004 expected `vend.dev/v1` for `apiVersion`, found the text `vend.dev/v2` | did you mean `vend.dev/v1`? | => vend.dev/v1
    2:7-13 SCH004 expected `Request` for `kind`, found the text `Reqest` | did you mean `Request`? | => Request
    3:1-6 SCH001 unknown field `sppec` | did you mean `spec`? | => spec
    6:9-14 NAME002 expected `events`, the name of the file, found `event` | the path of a request is its identity: leave `name` out, or rename the file | => events
    "#);
}

#[test]
fn fields_of_a_spec_are_held_to_the_schema() {
    let text = format!(
        "{HEAD}metadata:\n  labels:\n    service: 12\n    \"a b\": x\nspec:\n  template: sqs-queue@1.2.0\n  \
         protct: true\n  suspend: yes\n  reason: [x]\n  delete:\n    confrim: events\n  references:\n    \
         vpcId: {{request: network, output: vpcId}}\n"
    );
    insta::assert_snapshot!(problems(&text), @r#"
    5:14-16 SCH003 expected text for `metadata.labels.service`, found the number `12` | write `"12"` | => "12"
    6:5-10 SCH005 expected a label's name: letters, digits, `.`, `_`, `/` and `-`, at most 63 characters, found `a b`
    9:3-9 SCH001 unknown field `protct` | did you mean `protect`? | => protect
    10:12-15 SCH003 expected `true` or `false` for `spec.suspend`, found the text `yes` | write `true` | => true
    11:11-14 SCH003 expected text for `spec.reason`, found a list
    13:5-12 SCH001 unknown field `confrim` | did you mean `confirm`? | => confirm
    15:22-29 REF003 expected a request, `<team>/<environment>/<name>` for `spec.references.vpcId.request`, found the text `network`
    "#);
}

#[test]
fn a_template_is_named_and_versioned_b24() {
    for name in [
        "../../etc/passwd",
        "..%2f",
        "a/b",
        "C:\\\\x",
        "\\\\\\\\host\\\\x",
        "queue",
        "q@1",
        "q@latest",
        "q@1.2",
        "q@*",
    ] {
        let problems = read(&format!("{HEAD}spec:\n  template: \"{name}\"\n")).unwrap_err();
        assert_eq!(problems.len(), 1, "{name}: {}", shown(&problems));
        assert_eq!(problems[0].code, "REF001", "{name}");
        assert_eq!((problems[0].place.line, problems[0].place.column), (4, 13), "{name}");
    }
}

#[test]
fn identity_comes_from_the_path() {
    let text = format!(
        "{HEAD}metadata: {{name: other}}\nspec:\n  template: q@1.0.0\n  movedFrom: orders/dev/events\n  \
         delete: {{confirm: evnts}}\n  parameters: {{vpcId: x}}\n  references:\n    \
         vpcId: {{request: orders/prod/events, output: id}}\n"
    );
    insta::assert_snapshot!(problems(&text), @r#"
    3:18-23 NAME002 expected `events`, the name of the file, found `other` | the path of a request is its identity: leave `name` out, or rename the file | => events
    6:14-31 REQ005 a request cannot move from `dev` to `prod`: environments are apart | make a new request here, and remove the one there
    7:21-26 REQ007 expected `events`, found `evnts` | the name of the request confirms that it may be deleted
    10:5-10 REQ006 `vpcId` has both a value and a reference | keep one of them
    10:22-40 DEP001 a request cannot refer to itself
    "#);
}

#[test]
fn an_unsound_file_permits_nothing() {
    let text = format!(
        "{HEAD}spec:\n  template: q@1.0.0\n  movedFrom: orders/prod/old\n  delete: {{confirm: events}}\n"
    );
    let sound = read(&text).unwrap();
    assert!(sound.tombstone && sound.moved_from.is_some());
    let unsound = read(&format!("{text}  bogus: 1\n")).unwrap();
    assert!(!unsound.tombstone && unsound.moved_from.is_none());
}

#[test]
fn ambiguous_scalars_of_the_envelope_want_quotes_b10_b11() {
    let text = format!(
        "{HEAD}metadata:\n  labels:\n    country: NO\n    version: 1.10\n    day: 2026-01-31\nspec:\n  \
         template: q@1.0.0\n  reason: 0777\n  parameters: {{left: NO}}\n"
    );
    insta::assert_snapshot!(problems(&text), @r#"
    5:14-16 YAML012 `NO` is text here and `true` or `false` for other readers of YAML | write `"NO"` | => "NO"
    6:14-18 YAML012 `1.10` is ambiguous: it would become `1.1` | write `"1.10"` | => "1.10"
    7:10-20 YAML012 `2026-01-31` is text here and a date for other readers of YAML | write `"2026-01-31"` | => "2026-01-31"
    10:11-15 YAML012 `0777` is ambiguous: it would become `777` | write `"0777"` | => "0777"
    "#);
}

#[test]
fn what_is_not_built_is_named() {
    let file = read(&format!("{HEAD}spec:\n  template: q@1.0.0\n  ttl: 14d\n")).unwrap();
    assert!(file.not_supported.is_empty());
}

#[test]
fn an_end_is_a_length_of_time_or_a_moment() {
    let term = |line: &str| {
        let file = read(&format!("{HEAD}spec:\n  template: q@1.0.0\n  {line}\n")).unwrap();
        assert!(file.problems().is_empty(), "{line}: {}", shown(file.problems()));
        file.term
    };
    assert_eq!(term("suspend: false"), None);
    for (text, length) in [("14d", "336h"), ("2w", "14d"), ("90m", "90m")] {
        assert_eq!(term(&format!("ttl: {text}")), Length::parse(length).map(Term::For));
    }
    let moment = "2027-01-31T00:00:00Z".parse().unwrap();
    assert_eq!(term("expiresAt: \"2027-01-31T01:00:00+01:00\""), Some(Term::Until(moment)));
}

#[test]
fn what_is_no_end_is_said_where_it_stands() {
    let wrong = [
        "ttl: 99999999999d",
        "ttl: 999999d",
        "ttl: -1d",
        "ttl: 0d",
        "ttl: 0",
        "ttl: P1D",
        "ttl: \"1d \"",
        "ttl: 1.5d",
        "ttl: 5200w",
        "ttl: 5300w",
        "expiresAt: tomorrow",
        "expiresAt: \"2027-02-30T00:00:00Z\"",
        "expiresAt: \"2200-01-01T00:00:00Z\"",
        "expiresAt: \"9999-12-31T23:59:59Z\"",
        "expiresAt: 2027-01-31T00:00:00Z",
        "ttl: 14d\n  expiresAt: \"2027-01-31T00:00:00Z\"",
    ];
    let said = wrong.map(|line| {
        let read = read(&format!("{HEAD}spec:\n  template: q@1.0.0\n  {line}\n"));
        let problems = match &read {
            Ok(file) => shown(file.problems()),
            Err(problems) => shown(problems),
        };
        format!("{}: {problems}", line.replace("\n ", ";"))
    });
    insta::assert_snapshot!(said.join("\n"), @r#"
    ttl: 99999999999d: 5:8-20 SCH005 expected a length of time such as `12h`, `14d` or `2w` for `spec.ttl`, found the text `99999999999d`

    ttl: 999999d: 5:8-15 REQ011 `999999d` is longer than 36500d | take the line out, if it is to have no end

    ttl: -1d: 5:8-11 SCH005 expected a length of time such as `12h`, `14d` or `2w` for `spec.ttl`, found the text `-1d`

    ttl: 0d: 5:8-10 SCH005 expected a length of time such as `12h`, `14d` or `2w` for `spec.ttl`, found the text `0d`

    ttl: 0: 5:8-9 SCH003 expected text for `spec.ttl`, found the number `0` | write a length of time such as `12h`, `14d` or `2w`

    ttl: P1D: 5:8-11 SCH005 expected a length of time such as `12h`, `14d` or `2w` for `spec.ttl`, found the text `P1D`

    ttl: "1d ": 5:8-13 SCH005 expected a length of time such as `12h`, `14d` or `2w` for `spec.ttl`, found the text `1d `

    ttl: 1.5d: 5:8-12 SCH005 expected a length of time such as `12h`, `14d` or `2w` for `spec.ttl`, found the text `1.5d`

    ttl: 5200w: 
    ttl: 5300w: 5:8-13 REQ011 `5300w` is longer than 36500d | take the line out, if it is to have no end

    expiresAt: tomorrow: 5:14-22 SCH005 expected a time such as `2027-01-31T00:00:00Z`, in quotes for `spec.expiresAt`, found the text `tomorrow` | Until when it lives; then vend removes this file.

    expiresAt: "2027-02-30T00:00:00Z": 5:14-36 SCH005 expected a time such as `2027-01-31T00:00:00Z`, in quotes for `spec.expiresAt`, found the text `2027-02-30T00:00:00Z` | Until when it lives; then vend removes this file.

    expiresAt: "2200-01-01T00:00:00Z": 5:14-36 REQ011 `2200-01-01T00:00:00Z` is no moment before 2200-01-01 | write a time such as `2027-01-31T00:00:00Z`, in quotes

    expiresAt: "9999-12-31T23:59:59Z": 5:14-36 REQ011 `9999-12-31T23:59:59Z` is no moment before 2200-01-01 | write a time such as `2027-01-31T00:00:00Z`, in quotes

    expiresAt: 2027-01-31T00:00:00Z: 5:14-34 YAML012 `2027-01-31T00:00:00Z` is text here and a date for other readers of YAML | write `"2027-01-31T00:00:00Z"` | => "2027-01-31T00:00:00Z"

    ttl: 14d; expiresAt: "2027-01-31T00:00:00Z": 6:3-12 REQ009 `ttl` and `expiresAt` both say when it ends | keep one of them
    "#);
}
