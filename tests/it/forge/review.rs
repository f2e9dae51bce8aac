//! Suggestions on lines: in one review, each once, those that have no place left out.

use vend::forge::{Forge, ForgeError, Suggestion};
use vend::model::Revision;

use super::{Desk, unknown};
use crate::github::Fault;
use crate::world::write;

const REVIEWS: &str = "/repos/*/*/pulls/*/reviews";

fn suggestion(path: &str, line: u32) -> Suggestion {
    let marker = format!("<!-- vend fix {path}:{line} -->");
    let body = format!("```suggestion\nmended\n```\n{marker}");
    Suggestion { marker, path: path.into(), line, end_line: line, body }
}

impl Desk {
    /// A pull request that changes lines 40 and 41 of a long file.
    fn long(&self) -> u64 {
        let text = |mark: &str| -> String {
            (1..=80)
                .map(|n| format!("l{n}: {}\n", if n == 40 || n == 41 { mark } else { "x" }))
                .collect()
        };
        let repo = self.hosted();
        repo.push("ada", "main", [write("long.yaml", text("x"))]);
        repo.push_branch("ada", "long", "main", [write("long.yaml", text("y"))]);
        repo.open_pull("ada", "long", "main", "long")
    }

    fn suggest(&self, number: u64, suggestions: &[Suggestion]) -> Result<(), ForgeError> {
        let commit = Revision::new(self.hosted().at("long"));
        self.run(self.forge.suggest(&self.repo(), number, &commit, suggestions))
    }

    fn lines(&self, number: u64) -> Vec<u64> {
        let mut lines: Vec<u64> = self.hosted().remarks(number).iter().map(|it| it.line).collect();
        lines.sort_unstable();
        lines
    }
}

#[test]
fn a_suggestion_outside_of_the_diff_is_left_out_and_the_rest_is_one_review() {
    let desk = Desk::app();
    let n = desk.long();
    let all = [
        suggestion("long.yaml", 40),
        suggestion("long.yaml", 3),
        suggestion("a.yaml", 1),
        suggestion("long.yaml", 41),
    ];
    desk.suggest(n, &all).unwrap();
    assert_eq!(desk.lines(n), [40, 41]);
    desk.suggest(n, &all).unwrap();
    assert_eq!(desk.calls("POST", "pulls/*/reviews"), 1, "again: nothing");
    desk.suggest(n, &[suggestion("long.yaml", 42), suggestion("long.yaml", 40)]).unwrap();
    assert_eq!(desk.lines(n), [40, 41, 42]);
}

#[test]
fn a_suggestion_of_several_lines_stands_on_them() {
    let desk = Desk::app();
    let n = desk.long();
    desk.suggest(n, &[Suggestion { end_line: 41, ..suggestion("long.yaml", 40) }]).unwrap();
    let remarks = desk.hosted().remarks(n);
    assert_eq!((remarks[0].start_line, remarks[0].line), (Some(40), 41));
}

#[test]
fn one_that_github_refuses_nevertheless_does_not_keep_back_the_others() {
    let desk = Desk::app();
    let n = desk.long();
    let all: Vec<Suggestion> = (38..44).map(|line| suggestion("long.yaml", line)).collect();
    // All; the first half; its first one, which is the one that has no place.
    desk.hub.fault(
        "POST",
        REVIEWS,
        Some(1),
        Fault::Invalid("line must be part of the diff".into()),
    );
    desk.suggest(n, &all).unwrap();
    assert_eq!(desk.lines(n), (38..44).collect::<Vec<u64>>());
    assert_eq!(desk.calls("POST", "pulls/*/reviews"), 3);
}

#[test]
fn a_lost_review_is_not_said_again() {
    let desk = Desk::app();
    let n = desk.long();
    let all = [suggestion("long.yaml", 40), suggestion("long.yaml", 41)];
    desk.hub.fault("POST", REVIEWS, Some(1), Fault::Lost);
    desk.suggest(n, &all).unwrap();
    assert_eq!((desk.lines(n), desk.writes()), (vec![40, 41], 1));
    desk.hub.fault("POST", REVIEWS, Some(2), Fault::Cut);
    let one = [suggestion("long.yaml", 42)];
    unknown(&desk.suggest(n, &one));
    desk.suggest(n, &one).unwrap();
    assert_eq!(desk.lines(n), [40, 41, 42]);
}
