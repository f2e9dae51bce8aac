//! Check runs with many annotations, and the statuses that stand in for them.

use vend::forge::{Annotation, Check, CheckState, CommitStatus, Forge, ForgeError, Level, Stood};
use vend::model::Revision;

use super::{Desk, unknown};
use crate::github::Fault;

const RUNS: &str = "/repos/*/*/check-runs";
const RUN: &str = "/repos/*/*/check-runs/*";

fn annotations(lines: std::ops::Range<u32>) -> Vec<Annotation> {
    let of = |line| Annotation {
        path: "a.yaml".into(),
        line,
        end_line: line,
        column: Some(1),
        end_column: Some(4),
        level: Level::Failure,
        title: "YAML002".into(),
        message: format!("line {line} is wrong"),
    };
    lines.map(of).collect()
}

impl Desk {
    fn wanted(&self, state: CheckState, lines: std::ops::Range<u32>) -> Check {
        Check {
            name: "vend".into(),
            head: Revision::new(self.hosted().at("one")),
            external_id: "requests#1".into(),
            state,
            title: "Plan".into(),
            summary: "many things".into(),
            text: String::new(),
            annotations: annotations(lines),
        }
    }

    fn check(&self, check: &Check) -> Result<u64, ForgeError> {
        Ok(self.run(self.forge.check(&self.repo(), check, None))?.id)
    }

    /// Of each run the number of its annotations, and how it stands.
    fn runs(&self) -> Vec<(usize, String)> {
        let runs = self.hosted().checks("one");
        let of = |run: &crate::github::CheckRun| {
            let state = run.conclusion.clone().unwrap_or_else(|| run.status.clone());
            (run.annotations.len(), state)
        };
        runs.iter().map(of).collect()
    }
}

#[test]
fn f51_a_hundred_and_twenty_annotations_are_three_calls_and_said_once() {
    let desk = Desk::app();
    desk.open("one");
    let wanted = desk.wanted(CheckState::Failure, 1..121);
    let id = desk.check(&wanted).unwrap();
    assert_eq!(desk.runs(), [(120, "failure".to_owned())]);
    assert_eq!((desk.calls("POST", "check-runs"), desk.calls("PATCH", "check-runs/*")), (1, 2));
    assert_eq!(desk.check(&wanted).unwrap(), id);
    let again = desk.run(desk.forge.check(&desk.repo(), &wanted, Some(id))).unwrap();
    assert_eq!(again, Stood { id, wrote: false });
    assert_eq!(desk.writes(), 3);
    let lines: Vec<u64> = desk.hosted().checks("one")[0]
        .annotations
        .iter()
        .map(|it| it["start_line"].as_u64().unwrap())
        .collect();
    assert_eq!(lines, (1..121).collect::<Vec<u64>>());
}

#[test]
fn an_update_that_was_cut_off_goes_on_where_it_stopped() {
    let desk = Desk::app();
    desk.open("one");
    let wanted = desk.wanted(CheckState::Failure, 1..121);
    desk.hub.fault("POST", RUNS, Some(1), Fault::Lost);
    desk.hub.fault("PATCH", RUN, Some(2), Fault::Cut);
    unknown(&desk.check(&wanted));
    assert_eq!(desk.runs(), [(50, "failure".to_owned())]);
    desk.hub.mend();
    desk.hub.fault("PATCH", RUN, Some(1), Fault::Lost);
    desk.check(&wanted).unwrap();
    assert_eq!(desk.runs(), [(120, "failure".to_owned())]);
}

#[test]
fn a_lost_check_is_found_by_its_external_id() {
    let desk = Desk::app();
    desk.open("one");
    let wanted = desk.wanted(CheckState::Success, 0..0);
    desk.hub.fault("POST", RUNS, Some(1), Fault::Lost);
    let id = desk.check(&wanted).unwrap();
    assert_eq!(desk.check(&wanted).unwrap(), id);
    assert_eq!(desk.writes(), 1);
    desk.hub.fault("POST", RUNS, Some(1), Fault::Status(502));
    let other = Check { external_id: "requests#2".into(), ..wanted };
    assert_ne!(desk.check(&other).unwrap(), id);
    assert_eq!(desk.runs().len(), 2);
}

#[test]
fn a_run_goes_from_queued_to_its_end_and_what_is_else_is_another_run() {
    let desk = Desk::app();
    desk.open("one");
    let id = desk.check(&desk.wanted(CheckState::Queued, 0..0)).unwrap();
    for state in [CheckState::Running, CheckState::ActionRequired, CheckState::Success] {
        assert_eq!(desk.check(&desk.wanted(state, 0..0)).unwrap(), id);
    }
    assert_eq!(desk.runs(), [(0, "success".to_owned())]);
    // Not back from its end, not with other annotations, and the newest is what counts.
    let ids: Vec<u64> = [
        (CheckState::Running, 0..0),
        (CheckState::Failure, 1..3),
        (CheckState::Failure, 1..4),
        (CheckState::Failure, 1..3),
    ]
    .into_iter()
    .map(|(state, lines)| desk.check(&desk.wanted(state, lines)).unwrap())
    .collect();
    assert!(ids.is_sorted() && ids[0] > id, "{ids:?}");
    let counts: Vec<usize> = desk.runs().iter().map(|(count, _)| *count).collect();
    assert_eq!(counts, [0, 0, 2, 3, 2]);
}

#[test]
fn f51_a_text_that_is_too_long_is_cut() {
    let desk = Desk::app();
    desk.open("one");
    let long = "äöü line\n".repeat(10_000);
    let (summary, text, title) = (long.clone(), long.clone(), long);
    let wanted = Check { summary, text, title, ..desk.wanted(CheckState::Success, 0..0) };
    let id = desk.check(&wanted).unwrap();
    assert_eq!(desk.check(&wanted).unwrap(), id);
    assert_eq!(desk.writes(), 1);
}

#[test]
fn another_apps_check_of_that_name_is_left_alone() {
    let desk = Desk::app();
    desk.open("one");
    desk.check(&desk.wanted(CheckState::Success, 0..0)).unwrap();
    let head = Revision::new(desk.hosted().at("one"));
    let other = Check {
        name: "vend/approval".into(),
        head,
        ..desk.wanted(CheckState::ActionRequired, 0..0)
    };
    desk.check(&other).unwrap();
    let names: Vec<String> = desk.hosted().checks("one").into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["vend", "vend/approval"]);
}

#[test]
fn a_persons_token_sets_statuses_instead() {
    let desk = Desk::person("robot");
    desk.hosted().permit("robot", "write");
    desk.open("one");
    let said = || {
        let all = desk.hosted().statuses("one");
        all.iter().map(|it| format!("{} {}", it.context, it.state)).collect::<Vec<_>>()
    };
    for (state, word) in [
        (CheckState::Running, "pending"),
        (CheckState::Failure, "failure"),
        (CheckState::ActionRequired, "pending"),
        (CheckState::Neutral, "success"),
    ] {
        let before = desk.writes();
        desk.check(&desk.wanted(state, 1..200)).unwrap();
        desk.check(&desk.wanted(state, 1..200)).unwrap();
        assert_eq!(said(), [format!("vend {word}")]);
        assert_eq!(desk.writes(), before + 1);
    }
    assert!(desk.hosted().checks("one").is_empty());
}

#[test]
fn an_app_that_may_not_write_checks_sets_statuses_too() {
    let desk = Desk::app();
    desk.hub.grant("acme", "checks", "");
    desk.open("one");
    desk.check(&desk.wanted(CheckState::Failure, 1..3)).unwrap();
    assert_eq!(desk.hosted().statuses("one")[0].state, "failure");
    desk.hub.grant("acme", "checks", "write");
    desk.advance(3_601);
    desk.check(&desk.wanted(CheckState::Failure, 1..3)).unwrap();
    assert_eq!(desk.runs(), [(2, "failure".to_owned())]);
}

#[test]
fn a_status_is_cut_and_its_lost_answer_no_second_one() {
    let desk = Desk::app();
    desk.open("one");
    let status = CommitStatus {
        commit: Revision::new(desk.hosted().at("one")),
        context: "vend/apply".into(),
        state: CheckState::Success,
        description: "ä".repeat(200),
    };
    desk.hub.fault("POST", "/repos/*/*/statuses/*", Some(1), Fault::Lost);
    for _ in 0..2 {
        desk.run(desk.forge.status(&desk.repo(), &status)).unwrap();
    }
    assert_eq!(desk.writes(), 1);
    assert!(desk.hosted().statuses("one")[0].description.len() <= 140);
}
