//! What is remembered of a pull request between turns, and over restarts.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest::{self, Digest};
use crate::model::{
    Action, Changed, Need, Plan, Pull, PullState, Reply, RequestId, Revision, Stage, Verdict,
};

/// What is remembered of one pull request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    /// As the forge had it when it was last asked about its people.
    pub pull: Pull,
    /// What people said of it.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// The plan that each verdict was about, when it was first seen.
    #[serde(default)]
    pub bound: Vec<Bound>,
    /// Digests of the plans shown, by head; the newest last.
    #[serde(default)]
    pub plans: Vec<(Revision, Digest)>,
    /// The plan that is shown.
    #[serde(default)]
    pub shown: Option<Shown>,
    /// The last one of another head.
    #[serde(default)]
    pub before: Option<Shown>,
    /// A maintainer asked that this commit of a fork be planned against the world.
    #[serde(default)]
    pub asked: Option<Revision>,
    /// Our comment.
    #[serde(default)]
    pub comment: Option<u64>,
    /// Digest of what it says.
    #[serde(default)]
    pub said: Option<Digest>,
    /// Our checks, by name.
    #[serde(default)]
    pub checks: BTreeMap<String, SaidCheck>,
    /// Changes suggested already, by marker.
    #[serde(default)]
    pub suggested: BTreeSet<String>,
    /// The moment up to which comments were read, and those at that moment.
    #[serde(default)]
    pub heard: Option<Timestamp>,
    /// It had changed so shortly before it was last looked at that more may have come in the same
    /// second, which the forge's clock does not tell apart.
    #[serde(default)]
    pub fresh: bool,
    /// Comments that were answered.
    #[serde(default)]
    pub answered: BTreeSet<u64>,
    /// The last answers.
    #[serde(default)]
    pub replies: Vec<Reply>,
    /// Nothing more is to be said.
    #[serde(default)]
    pub over: bool,
    /// When it was merged or closed, as we saw it.
    #[serde(default)]
    pub ended: Option<Timestamp>,
    /// After the merge, how it came out against what was reviewed.
    #[serde(default)]
    pub changed: Option<Changed>,
    /// It takes back what this one brought.
    #[serde(default)]
    pub reverts: Option<u64>,
}

/// A verdict with the plan that it was about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    pub by: String,
    pub at: Timestamp,
    pub plan: Option<Digest>,
}

/// A plan as it was shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub head: Revision,
    /// Digest of all its effects, and of what is to be approved.
    pub digest: Digest,
    /// Each step's line and digest, sorted.
    pub steps: Vec<(String, Digest)>,
    /// What a person approves, with the need it stands for.
    pub needs: Vec<(Digest, Need)>,
    /// Requests whose files it changes, with the digest of what stood there before.
    pub own: BTreeMap<RequestId, Before>,
    /// The plan itself, for as long as it is small enough to be kept.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// How it stood.
    pub stage: Stage,
}

/// What a request's file said before and says after, by digest; `None`: there was, or is, no file.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Before {
    pub was: Option<Digest>,
    pub is: Option<Digest>,
}

/// A check as it was last said.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct SaidCheck {
    pub head: Revision,
    pub id: Option<u64>,
    pub digest: Digest,
}

/// Steps kept whole with a pull request; of a larger plan only the lines are.
const KEPT_STEPS: usize = 500;

/// Plans and answers remembered of one pull request.
const PLANS: usize = 50;
const REPLIES: usize = 10;

impl Kept {
    pub fn new(pull: Pull) -> Self {
        Self {
            pull,
            verdicts: Vec::new(),
            bound: Vec::new(),
            plans: Vec::new(),
            shown: None,
            before: None,
            asked: None,
            comment: None,
            said: None,
            checks: BTreeMap::new(),
            suggested: BTreeSet::new(),
            heard: None,
            fresh: false,
            answered: BTreeSet::new(),
            replies: Vec::new(),
            over: false,
            ended: None,
            changed: None,
            reverts: None,
        }
    }

    /// Takes what is shown now; of another head, what was shown is what it is compared with.
    pub fn show(&mut self, shown: Shown) {
        if let Some(last) = self.shown.take()
            && last.head != shown.head
        {
            self.before = Some(Shown { plan: None, ..last });
        }
        self.plans.retain(|(head, _)| *head != shown.head);
        self.plans.push((shown.head.clone(), shown.digest));
        if self.plans.len() > PLANS {
            self.plans.remove(0);
        }
        self.shown = Some(shown);
    }

    /// Takes what people said; each verdict is about the plan of its commit as it is shown now.
    pub fn hear(&mut self, verdicts: Vec<Verdict>) {
        for verdict in &verdicts {
            let known = self.bound.iter().any(|b| b.by == verdict.by && b.at == verdict.at);
            if !known {
                let plan = verdict.commit.as_ref().and_then(|c| self.plan_of(c));
                self.bound.push(Bound { by: verdict.by.clone(), at: verdict.at, plan });
            }
        }
        self.bound.retain(|b| verdicts.iter().any(|v| v.by == b.by && v.at == b.at));
        self.verdicts = verdicts;
    }

    fn plan_of(&self, head: &Revision) -> Option<Digest> {
        self.plans.iter().rev().find(|(h, _)| h == head).map(|(_, digest)| *digest)
    }

    pub fn reply(&mut self, reply: Reply) {
        self.replies.push(reply);
        let more = self.replies.len().saturating_sub(REPLIES);
        self.replies.drain(..more);
    }

    /// It comes from a fork, and nobody who may has asked for its head.
    pub fn is_strange(&self) -> bool {
        self.pull.fork && self.asked.as_ref() != Some(&self.pull.head)
    }

    pub fn is_merged(&self) -> bool {
        matches!(self.pull.state, PullState::Merged { .. })
    }
}

impl Shown {
    pub fn new(
        head: Revision,
        plan: &Plan,
        needs: Vec<(Digest, Need)>,
        own: BTreeMap<RequestId, Before>,
        stage: Stage,
    ) -> Self {
        let mut steps: Vec<(String, Digest)> =
            plan.steps.iter().map(|step| (line(step), step.digest())).collect();
        steps.sort();
        let asked: Vec<Digest> = needs.iter().map(|(digest, _)| *digest).collect();
        let effects: Vec<&Digest> = steps.iter().map(|(_, digest)| digest).collect();
        let digest = digest::of(&(effects, asked));
        let plan = (plan.steps.len() <= KEPT_STEPS).then(|| plan.clone());
        Self { head, digest, steps, needs, own, plan, stage }
    }

    /// The lines of steps that `other` does not have.
    pub fn not_in(&self, other: &Self) -> Vec<String> {
        let theirs: BTreeSet<&Digest> = other.steps.iter().map(|(_, digest)| digest).collect();
        let mine = self.steps.iter().filter(|(_, digest)| !theirs.contains(digest));
        mine.map(|(line, _)| line.clone()).collect()
    }
}

/// One step in a line.
pub(super) fn line(step: &crate::model::Step) -> String {
    let verb = match step.action {
        Action::Create => "create",
        Action::Update => "update",
        Action::Replace => "replace",
        Action::Delete => "delete",
        Action::Restore => "restore",
        Action::Forget => "forget",
        Action::Move => "move",
    };
    format!("{verb} {}", step.target.key)
}
