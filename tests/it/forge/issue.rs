//! Issues of our own: one of each, whatever happens to answers.

use jiff::{SignedDuration, Timestamp};
use vend::forge::{Forge, ForgeError, Issue, Raised, marker};

use super::Desk;
use crate::github::Fault;

const ISSUES: &str = "/repos/*/*/issues";
const ISSUE: &str = "/repos/*/*/issues/*";

fn issue(desk: &Desk, what: &str) -> Issue {
    let marker = marker(&[7; 32], what, &desk.repo(), 0);
    let since = Timestamp::now() - SignedDuration::from_mins(5);
    let body = format!("{marker}\nIt ends.\n");
    Issue { marker, title: format!("{what} will end soon"), body, since }
}

fn raise(desk: &Desk, issue: &Issue) -> Result<Raised, ForgeError> {
    let there = desk.run(desk.forge.issues(&desk.repo(), issue.since))?;
    desk.run(desk.forge.raise(&desk.repo(), issue, &there))
}

#[test]
fn each_is_opened_once_and_closed_once() {
    let desk = Desk::app();
    let (one, two) = (issue(&desk, "one"), issue(&desk, "two"));
    // Somebody copies what we would say.
    let copied = desk.hosted().open_issue("ada", &one.title, &one.body);
    let first = raise(&desk, &one).unwrap();
    assert!(first.says && first.number != copied);
    assert_eq!(raise(&desk, &one).unwrap(), first);
    // It is not edited: who wants to say more writes below it.
    let later = Issue { body: format!("{}It ends soon.\n", one.body), ..one.clone() };
    assert_eq!(raise(&desk, &later).unwrap(), Raised { says: false, ..first });
    let second = raise(&desk, &two).unwrap();
    assert_ne!(first.number, second.number);
    let settle = || desk.run(desk.forge.settle(&desk.repo(), first.number)).unwrap();
    settle();
    settle();
    assert_eq!(desk.hub.calls("PATCH", ISSUE).len(), 1, "again: nothing to do");
    let open: Vec<_> =
        desk.hosted().issues().into_iter().filter(|it| it.1).map(|it| it.0.number).collect();
    assert_eq!(open, [copied, second.number]);
    // What became of it does not bring it back.
    assert_eq!(raise(&desk, &one).unwrap(), first);
    assert_eq!(desk.hub.calls("POST", ISSUES).len(), 2);
}

#[test]
fn f53_a_lost_answer_leaves_one_open_and_one_closed() {
    let desk = Desk::app();
    let one = issue(&desk, "one");
    desk.hub.fault("POST", ISSUES, Some(1), Fault::Lost);
    let stood = raise(&desk, &one).unwrap();
    desk.hub.fault("PATCH", ISSUE, Some(1), Fault::Lost);
    desk.run(desk.forge.settle(&desk.repo(), stood.number)).unwrap();
    let all = desk.hosted().issues();
    assert_eq!(all.len(), 1);
    assert!(!all[0].1);
    assert_eq!(desk.hub.calls("PATCH", ISSUE).len(), 1);
    // Cut off before anything was done, it is opened all the same.
    desk.hub.fault("POST", ISSUES, Some(1), Fault::Cut);
    assert!(raise(&desk, &issue(&desk, "two")).unwrap().says);
    assert_eq!(desk.hosted().issues().len(), 2);
}

#[test]
fn without_the_permission_it_is_refused_and_nothing_is_opened() {
    let desk = Desk::app();
    desk.hub.grant("acme", "issues", "");
    let refused = raise(&desk, &issue(&desk, "one"));
    assert!(matches!(refused, Err(ForgeError::Refused { .. } | ForgeError::Gone { .. })));
    assert!(desk.hosted().issues().is_empty());
}
