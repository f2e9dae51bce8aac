//! Proposals of our own: one pull request for each branch, whatever happens to answers.

use std::collections::BTreeSet;

use jiff::Timestamp;
use vend::forge::{Fate, Forge, ForgeError, Proposal, Proposed, marker};
use vend::git::{Edit, Mirror};
use vend::model::Revision;
use vend::reconcile::propose::{self, Change, Known, Outcome, ProposeError};

use super::{Desk, REPO, unknown};
use crate::github::Fault;
use crate::world::write;

const PULLS: &str = "/repos/*/*/pulls";
const BRANCH: &str = "vend/upgrade/db-2.0.0/orders";

/// A change of one file.
fn change(text: &str) -> Change {
    Change {
        kind: "upgrade",
        name: "db-2.0.0/orders".into(),
        edits: vec![Edit { path: "a.yaml".into(), content: Some(text.into()) }],
        message: "Upgrade a\n".into(),
        title: "Upgrade a to db@2.0.0".into(),
        body: "What it would do.\n".into(),
        labels: vec!["vend".into()],
    }
}

/// Our side of a repository on the forge.
struct Proposer<'d> {
    desk: &'d Desk,
    mirror: Mirror,
    known: Known,
}

impl<'d> Proposer<'d> {
    fn new(desk: &'d Desk) -> Self {
        Self { desk, mirror: desk.mirror(), known: Known::default() }
    }

    fn with<T>(&self, base: &Revision, work: impl FnOnce(propose::Desk<'_>) -> T) -> T {
        let (forge, repo): (&dyn Forge, _) = (self.desk.forge.as_ref(), self.desk.repo());
        work(propose::Desk {
            mirror: &self.mirror,
            forge: Some((forge, &repo)),
            key: &[7; 32],
            base_branch: "main",
            base,
        })
    }

    fn bring(&mut self, change: &Change) -> Result<Outcome, ProposeError> {
        let base = self.desk.run(self.mirror.fetch()).unwrap().unwrap();
        self.bring_on(&base, change)
    }

    fn bring_on(&mut self, base: &Revision, change: &Change) -> Result<Outcome, ProposeError> {
        let mut noted = None;
        let known = self.known.clone();
        let outcome = self.with(base, |desk| {
            let keep = async |known| {
                noted = Some(known);
                Ok(())
            };
            let brought = propose::bring(&desk, change, &known, Timestamp::now(), keep);
            self.desk.run(brought)
        });
        self.known = noted.unwrap_or(known);
        outcome
    }

    fn withdraw(&mut self, base: &Revision, branch: &str) -> Result<bool, ProposeError> {
        let mut noted = None;
        let gone = self.with(base, |desk| {
            let keep = async |known| {
                noted = Some(known);
                Ok(())
            };
            self.desk.run(propose::withdraw(&desk, branch, &self.known, keep))
        });
        self.known = noted.unwrap_or(self.known.clone());
        gone
    }

    fn stands(&mut self, change: &Change) -> Proposed {
        match self.bring(change) {
            Ok(Outcome::Stands(commit, Some(pull))) => {
                assert_eq!(pull.head, commit);
                assert_eq!(self.desk.hosted().at(BRANCH), commit.as_str());
                pull
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn it_is_opened_once_kept_up_to_date_and_again_changes_nothing() {
    let desk = Desk::app();
    let mut ours = Proposer::new(&desk);
    let first = ours.stands(&change("a: 2\n"));
    assert_eq!(desk.calls("POST", "pulls"), 1);
    let writes = desk.writes();
    assert_eq!(ours.stands(&change("a: 2\n")), first);
    assert_eq!(desk.writes(), writes, "nothing is said twice");

    let other = Change { title: "Another title".into(), ..change("a: 3\n") };
    let second = ours.stands(&other);
    assert_eq!(second.number, first.number);
    assert_ne!(second.head, first.head);
    desk.hosted().push("ada", "main", [write("b.yaml", "b: 2\n")]);
    assert_eq!(ours.stands(&other), second, "what people said of it stays");
    desk.hosted().push("ada", "main", [write("a.yaml", "a: 1 # kept\n")]);
    let third = ours.stands(&other);
    assert_ne!(third.head, second.head, "its own file moved");
    assert_eq!((third.number, desk.calls("POST", "pulls")), (first.number, 1));

    let before = desk.run(ours.mirror.fetch()).unwrap().unwrap();
    desk.hosted().merge("ada", first.number);
    assert_eq!(
        ours.bring_on(&before, &other).unwrap(),
        Outcome::Nothing,
        "we have not seen it yet"
    );
    assert_eq!(ours.bring(&other).unwrap(), Outcome::Nothing);
    desk.hub.verify();
}

#[test]
fn f53_a_lost_answer_makes_no_second_pull_request() {
    let desk = Desk::app();
    let mut ours = Proposer::new(&desk);
    desk.hub.fault("POST", PULLS, Some(1), Fault::Lost);
    let first = ours.stands(&change("a: 2\n"));
    assert_eq!(desk.calls("POST", "pulls"), 1);
    // And a process that forgot everything finds it by its branch, its author and its marker.
    let mut other = Proposer { desk: &desk, mirror: ours.mirror.clone(), known: ours.known };
    assert_eq!(other.stands(&change("a: 2\n")).number, first.number);
    assert_eq!(desk.calls("POST", "pulls"), 1);
}

#[test]
fn a_request_that_did_nothing_is_made_again_once() {
    let desk = Desk::app();
    desk.hosted().push_branch("ada", BRANCH, "main", [write("a.yaml", "a: 2\n")]);
    let marker = marker(&[7; 32], "propose", &desk.repo(), 0);
    let proposal = Proposal {
        branch: BRANCH.into(),
        base: "main".into(),
        title: "t".into(),
        body: format!("{marker}\n"),
        marker,
        labels: Vec::new(),
        ended: BTreeSet::new(),
    };
    let propose = || desk.run(desk.forge.propose(&desk.repo(), &proposal));
    for fault in [Fault::Status(502), Fault::Cut] {
        desk.hub.fault("POST", PULLS, Some(1), fault);
    }
    unknown(&propose());
    desk.hub.fault("POST", PULLS, Some(1), Fault::Status(502));
    let pull = propose().unwrap();
    let close = || desk.run(desk.forge.withdraw(&desk.repo(), pull.number));
    close().unwrap();
    close().unwrap();
    let found = desk.run(desk.forge.proposed(&desk.repo(), BRANCH, &proposal.marker)).unwrap();
    let closed = Proposed { fate: Fate::Closed, ..pull };
    assert_eq!(found, std::slice::from_ref(&closed));
    // Who is told to open what somebody has closed meanwhile opens nothing.
    let opened = desk.calls("POST", "pulls");
    assert_eq!(propose().unwrap(), closed);
    assert_eq!(desk.calls("POST", "pulls"), opened);
}

#[test]
fn people_come_first() {
    let desk = Desk::app();
    let mut ours = Proposer::new(&desk);
    let pull = ours.stands(&change("a: 2\n"));
    // Whoever copies our marker is not us.
    let copied = desk.hosted();
    copied.push("ada", BRANCH, [write("c.yaml", "c: 1\n")]);
    let theirs = copied.at(BRANCH);
    let outcome = ours.bring(&change("a: 3\n")).unwrap();
    assert!(matches!(&outcome, Outcome::HandsOff(Some(open)) if open.number == pull.number));
    assert_eq!(copied.at(BRANCH), theirs, "their work stands");
    let base = desk.run(ours.mirror.fetch()).unwrap().unwrap();
    assert!(!ours.withdraw(&base, BRANCH).unwrap());

    copied.close("ada", pull.number);
    copied.delete_branch("ada", BRANCH);
    assert!(matches!(ours.bring(&change("a: 2\n")).unwrap(), Outcome::Declined(_)));
    assert_eq!(desk.calls("POST", "pulls"), 1, "no is no");
    let newer = Change { name: "db-3.0.0/orders".into(), ..change("a: 3\n") };
    let outcome = ours.bring(&newer).unwrap();
    assert!(matches!(&outcome, Outcome::Stands(_, Some(other)) if other.number != pull.number));
    assert!(ours.withdraw(&base, &newer.branch()).unwrap());
    assert_eq!(desk.hosted().git().git(&["branch", "--list", "vend/*"]), "");
    // That was no person's no.
    let outcome = ours.bring(&newer).unwrap();
    assert!(matches!(&outcome, Outcome::Stands(_, Some(third)) if third.fate == Fate::Open));
}

#[test]
fn a_forge_that_is_down_loses_nothing() {
    let desk = Desk::app();
    let mut ours = Proposer::new(&desk);
    desk.hub.fault("POST", PULLS, None, Fault::Status(503));
    let error = ours.bring(&change("a: 2\n")).unwrap_err();
    assert!(matches!(error, ProposeError::Forge(ForgeError::Unknown { .. })), "{error:?}");
    desk.hub.mend();
    ours.stands(&change("a: 2\n"));
    assert!(desk.hub.calls("POST", &format!("/repos/{REPO}/pulls")).len() >= 3);
    let base = desk.run(ours.mirror.fetch()).unwrap().unwrap();
    for name in ["main", "vend/../main", "vend/status*"] {
        assert!(ours.withdraw(&base, name).is_err(), "only branches of ours are touched");
    }
}
