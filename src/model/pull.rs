//! Pull requests, as every forge has them, and what is to be said on one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Applying, Blast, Diagnostic, Hold, HoldReason, Plan, RequestId, Revision, SourceName,
    SourceProblem, Status, Symbol, Terms,
};
use crate::digest::{self, Digest};

/// A pull request of one of the repositories that are read.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct PullKey {
    /// The source whose repository it is in.
    pub source: SourceName,
    /// Its number there.
    pub number: u64,
}

impl std::fmt::Display for PullKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}#{}", self.source, self.number)
    }
}

/// What a forge knows of a pull request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pull {
    /// Its number in its repository.
    pub number: u64,
    /// Its title, as somebody wrote it.
    pub title: String,
    /// The handle of who opened it.
    pub author: String,
    /// Their account there, which keeps its number whatever it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_id: Option<u64>,
    /// The commit that it wants to be merged.
    pub head: Revision,
    /// The branch it is to be merged into.
    pub base: String,
    /// Its head lies in another repository.
    pub fork: bool,
    /// It is marked as not ready.
    pub draft: bool,
    /// Whether it is open.
    pub state: PullState,
    /// When anything about it changed last.
    pub updated: Timestamp,
    /// For people.
    pub url: String,
}

/// Whether a pull request is open.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PullState {
    /// It is.
    Open,
    /// It was closed without being merged.
    Closed,
    /// It was merged.
    Merged {
        /// As this commit of the base branch.
        commit: Revision,
        /// When.
        at: Timestamp,
        /// By whom, where the forge says.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        by: Option<String>,
    },
}

/// A person's verdict on a pull request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The handle.
    pub by: String,
    /// Their account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<u64>,
    /// What they say.
    pub kind: VerdictKind,
    /// Of which commit; `None` when that commit is gone.
    pub commit: Option<Revision>,
    /// When.
    pub at: Timestamp,
}

/// What a verdict says.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum VerdictKind {
    /// Yes.
    Approved,
    /// Not like this.
    ChangesRequested,
    /// It was taken back.
    Dismissed,
    /// Neither yes nor no.
    Commented,
}

/// What somebody wrote below a pull request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Remarked {
    /// The forge's id.
    pub id: u64,
    /// The handle.
    pub by: String,
    /// Their account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<u64>,
    /// Whether a program wrote it.
    pub bot: bool,
    /// As it was written.
    pub body: String,
    /// When it was written first.
    pub at: Timestamp,
    /// When it was changed last.
    pub updated: Timestamp,
}

/// All that is to be said on a pull request now. Wording is `report`'s.
#[derive(Clone, PartialEq, Debug)]
pub struct Brief {
    /// The pull request.
    pub pull: Pull,
    /// How far it is.
    pub stage: Stage,
    /// It takes back what this merged pull request brought.
    pub reverts: Option<u64>,
    /// The base's commit that it was merged with, in memory.
    pub base: Option<Revision>,
    /// The catalog's commit that was used.
    pub catalog: Option<Revision>,
    /// Problems of the files that it changes, with paths in its repository.
    pub diagnostics: Vec<Diagnostic>,
    /// What would be done once it is merged; after that, what it came with.
    pub plan: Plan,
    /// Requests that use outputs which the plan changes, in ways that cannot be told before.
    pub untold: Vec<RequestId>,
    /// The world was looked at for the plan; else why it was not, for people.
    pub blind: Option<Blind>,
    /// Who it reaches, where it changes the catalog.
    pub blast: Option<Blast>,
    /// Approvals that it needs, with those that it has.
    pub needs: Vec<Need>,
    /// What was given and does not count for any of them, or not yet.
    pub discounted: Vec<Discounted>,
    /// What a reviewer should know besides.
    pub warnings: Vec<Warned>,
    /// Against what was said of the last commit; `None`: this is the first.
    pub since: Option<Since>,
    /// What is wrong with the branch that it is merged into: until that is over, what is merged waits.
    pub troubles: Vec<(SourceName, SourceProblem)>,
    /// After the merge: no pass has ended yet that worked on the branch with it in it. What is known of
    /// its requests is of the time before, and says nothing of it.
    pub awaited: bool,
    /// After the merge: how the requests stand that it touched. One that the plan deletes and that is
    /// not among them is gone.
    pub standing: Vec<Status>,
    /// After the merge: what holds them.
    pub holds: Vec<Hold>,
    /// After the merge: what else the yes is for that some of these holds wait for.
    pub shared: Vec<Shared>,
    /// After the merge: what is under way on them, part by part.
    pub applying: Vec<Applying>,
    /// Answers to what people asked in comments, the newest last.
    pub replies: Vec<Reply>,
}

impl Brief {
    /// Whether what it would change could not be looked at: what would come of it, and who has to
    /// approve that, is not known yet.
    pub fn is_unseen(&self) -> bool {
        self.is_held(|reason| matches!(reason, HoldReason::NotObserved { .. }))
    }

    /// Whether the forge did not let us read whether somebody's yes counts.
    pub fn is_unread(&self) -> bool {
        self.discounted.iter().any(|given| match given.why {
            Discount::TeamsUnread | Discount::RightsUnread => true,
            Discount::Pushed | Discount::Early | Discount::Former => false,
        })
    }

    /// Whether a provider refuses to say what would come of it.
    pub fn is_refused(&self) -> bool {
        self.is_held(|reason| matches!(reason, HoldReason::Refused { .. }))
    }

    /// Whether the time of a request whose file it changes is over: nothing of that would be applied. A
    /// change of the catalog answers for nobody's end.
    pub fn is_over(&self) -> bool {
        self.blind != Some(Blind::Catalog)
            && self.is_held(|reason| matches!(reason, HoldReason::Expired { .. }))
    }

    fn is_held(&self, by: impl Fn(&HoldReason) -> bool) -> bool {
        self.plan.holds.iter().any(|hold| by(&hold.reason))
    }
}

/// How far a pull request is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Stage {
    /// It can be merged, and this is what would come of it.
    Planned,
    /// It cannot be merged as it stands.
    Conflict {
        /// Paths that conflict.
        paths: Vec<String>,
    },
    /// It could not be looked at; for people.
    Unknown {
        /// Why.
        error: String,
    },
    /// It changes nothing that vend reads.
    Nothing,
    /// It is merged.
    Merged {
        /// As this commit.
        commit: Revision,
        /// The plan that was reviewed, when it is not what would be done now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        changed: Option<Changed>,
    },
    /// It was merged, and its branch was rewritten without it since: nothing of it is waited for any more.
    Dropped {
        /// As this commit.
        commit: Revision,
    },
    /// It was closed without being merged.
    Closed,
    /// It is aimed at a branch that is not read, and was not before.
    Elsewhere {
        /// Which.
        base: String,
    },
}

/// More would happen than was reviewed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Changed {
    /// Digest of the plan that was reviewed.
    pub reviewed: Digest,
    /// Digest of the plan that would be executed: what a person approves, unless it is asked `apart`.
    pub now: Digest,
    /// What was reviewed, a line each, such as `update orders/dev/events#queue`.
    pub before: Vec<String>,
    /// What would be done, likewise.
    pub after: Vec<String>,
    /// Lines of both that come to something else now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differs: Vec<String>,
    /// What differs in the rendered files of what is more than was reviewed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rendered: Vec<Rewritten>,
    /// Where some requests take others' yes than the rest: what is asked of whom, each by itself. Empty: one yes is
    /// for all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<Apart>,
}

/// Requests of one merge that take the same people's yes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Apart {
    /// What a person approves of them.
    pub now: Digest,
    /// Which.
    pub requests: Vec<RequestId>,
    /// Somebody has approved it since.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub given: bool,
}

impl Changed {
    /// All that a person may approve of it.
    pub fn plans(&self) -> impl Iterator<Item = Digest> {
        std::iter::once(self.now).chain(self.apart.iter().map(|apart| apart.now))
    }
}

/// What differs in one component's rendered files.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rewritten {
    /// Whose.
    pub target: super::TargetKey,
    /// Against what was reviewed; else that is not to be had, and this is against what is applied.
    pub reviewed: bool,
    /// Lines with their signs, as unified differences have them.
    pub lines: Vec<String>,
}

/// Why the world was not looked at for a plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Blind {
    /// It comes from a fork, and nobody who may has asked for this very commit.
    Fork,
    /// It changes templates or environments, which are rendered and never executed.
    Catalog,
}

/// How what a request's file says came to its branch.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Passage {
    /// Digest of the file; `None`: it is gone.
    pub content: Option<Digest>,
    /// The commit that brought it, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<Revision>,
    /// The pull request; `None`: it was pushed directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pull: Option<u64>,
    /// What was reviewed of it: nothing else is done before somebody looked again. `None` once that is
    /// done, and of what was pushed directly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bound: Option<Bound>,
    /// More would happen than that: what a person may approve.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed: Option<Bound>,
}

/// Why nobody looks after the pull requests to a source's branch now.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Unattended {
    /// Whose.
    pub source: super::SourceName,
    /// Since when.
    pub since: Timestamp,
    /// In the forge's or Git's words.
    pub error: String,
}

/// In the place of the plan that was reviewed, where nobody was shown one.
pub fn nothing_reviewed() -> Digest {
    digest::of(&"nothing was reviewed")
}

/// In the place of the plan that was reviewed, where it was merged before vend had looked at it.
pub fn nothing_seen() -> Digest {
    digest::of(&"nothing was seen")
}

/// In the place of the plan that was reviewed, where one was made and the forge did not take it.
pub fn nothing_shown() -> Digest {
    digest::of(&"nothing could be shown")
}

/// The steps of one request in a plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Bound {
    /// Digest of the plan, which may be of more than this request.
    pub plan: Digest,
    /// Its steps.
    pub steps: Vec<Known>,
    /// Whether anybody was shown that plan.
    pub shown: bool,
    /// What rules ask for of its steps, and of another version that takes over, without who has given it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<super::Requirement>,
    /// What is approved where another template or an older version takes over, in steps or without any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub takeover: Option<Digest>,
    /// What its file says besides; `None`: whatever it says, since nobody was shown a plan, or since it is older
    /// than that this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub terms: Option<Terms>,
    /// The catalog's commit that this was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Revision>,
}

impl Bound {
    /// All that people may have said yes to by itself.
    pub fn digests(&self) -> impl Iterator<Item = Digest> {
        self.steps.iter().map(|step| step.digest).chain(self.takeover)
    }

    /// All that a yes to it is for, but for what is not known yet.
    pub fn approvable(&self) -> impl Iterator<Item = Digest> {
        let known = self.steps.iter().filter(|step| step.unknown.is_empty());
        known.map(|step| step.digest).chain(self.takeover)
    }

    /// Whether it stands for a plan that nobody was shown, where somebody had to look.
    pub fn is_unseen(&self) -> bool {
        [nothing_seen(), nothing_shown()].contains(&self.plan)
    }
}

/// A step, as a plan knew it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Known {
    /// Its digest.
    pub digest: Digest,
    /// What it waited to learn: symbols stand for it in the digest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Symbol>,
}

/// An approval that is needed, and who has given it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Need {
    /// For these requests.
    pub requests: Vec<RequestId>,
    /// Why, for people: the rule, or what would be lost.
    pub why: String,
    /// Whose approval counts; empty: anybody's who may write to the repository.
    pub teams: Vec<String>,
    /// How many different people.
    pub count: u32,
    /// Who has given theirs.
    pub had: Vec<String>,
}

impl Need {
    /// Whether enough people said yes.
    pub fn is_met(&self) -> bool {
        self.had.len() >= self.count as usize
    }
}

/// A yes that does not count, or not yet.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Discounted {
    /// Whose.
    pub by: String,
    /// Why.
    pub why: Discount,
}

/// Why a yes does not count.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Discount {
    /// What they say yes to is their own in part.
    Pushed,
    /// The forge does not let us read which teams they are in.
    TeamsUnread,
    /// The forge does not let us read what they may do.
    RightsUnread,
    /// They said yes before any plan was shown.
    Early,
    /// They said yes to another plan than the one that stands now.
    Former,
}

/// What a reviewer should know besides the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Warned {
    /// A newer version could be taken.
    Newer {
        /// Whose.
        request: RequestId,
        /// The template's name.
        template: String,
        /// In use.
        version: semver::Version,
        /// The newer one.
        newer: semver::Version,
    },
    /// What was changed outside of vend would be overwritten.
    Overwrites {
        /// On which target.
        target: super::TargetKey,
        /// What differs there, a phrase each.
        items: Vec<String>,
    },
    /// It is protected, and would be no more.
    Unprotects {
        /// Which.
        request: RequestId,
    },
    /// It is protected, and its file would permit its deletion.
    Permits {
        /// Which.
        request: RequestId,
    },
    /// It opens something to others that was not open before.
    Exposes {
        /// On which target.
        target: super::TargetKey,
        /// The resource's name in its template.
        resource: String,
        /// Its type, such as `AWS::IAM::Role`.
        kind: String,
        /// It was not there before.
        is_new: bool,
        /// What it opens, the most serious first.
        openings: Vec<Opening>,
        /// The wave that it comes with; `None`: it comes with the change itself.
        arrival: Option<super::Arrival>,
    },
}

/// Why a resource deserves a second look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Exposure {
    /// Anybody on the internet may reach it, or could.
    Public,
    /// It lets somebody do something.
    Permissions,
}

/// One thing that a resource opens.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Opening {
    /// Everybody may do it, and no condition is put.
    Everybody {
        /// What, such as `s3:GetObject`.
        action: String,
        /// On what, where it is said.
        resource: Option<String>,
    },
    /// Traffic from everywhere.
    Traffic {
        /// Such as `TCP 22`, or `all traffic`.
        what: String,
        /// The addresses it may come from.
        from: String,
    },
    /// A setting that makes it reachable, such as `PubliclyAccessible: true`.
    Setting {
        /// Its name and value.
        text: String,
    },
    /// A guard against public access that is off, such as `BlockPublicAcls`.
    GuardOff {
        /// Its name.
        guard: String,
    },
    /// Somebody may do something.
    Allows {
        /// What, such as `s3:PutObject`; `*` is everything.
        action: String,
        /// On what, where it is said.
        resource: Option<String>,
        /// Who, where it is said.
        principal: Option<String>,
        /// Only where conditions hold, which these stand for.
        condition: Option<String>,
    },
    /// Somebody may act as it.
    Trusts {
        /// Who.
        principal: String,
        /// Only where conditions hold, which these stand for.
        condition: Option<String>,
    },
    /// A policy that is kept elsewhere is attached to it.
    Attaches {
        /// Which.
        policy: String,
    },
    /// Something was denied, and is not in these words any more.
    Denial,
    /// A setting of it is another one, which may change who may do what.
    Otherwise {
        /// The property.
        property: String,
    },
}

impl Opening {
    /// How it is to be looked at.
    pub fn exposure(&self) -> Exposure {
        match self {
            Self::Everybody { .. }
            | Self::Traffic { .. }
            | Self::Setting { .. }
            | Self::GuardOff { .. } => Exposure::Public,
            Self::Allows { .. }
            | Self::Trusts { .. }
            | Self::Attaches { .. }
            | Self::Denial
            | Self::Otherwise { .. } => Exposure::Permissions,
        }
    }
}

/// What a push did to the plan.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Since {
    /// The commit of which something was said before.
    pub head: Revision,
    /// Steps that were not in the plan before, a line each as in [`Changed`].
    pub added: Vec<String>,
    /// Steps that are not in it any more.
    pub gone: Vec<String>,
    /// Steps of both that come to something else now.
    pub differs: Vec<String>,
}

impl Since {
    /// Whether the plan is as it was.
    pub fn is_same(&self) -> bool {
        self.added.is_empty() && self.gone.is_empty() && self.differs.is_empty()
    }
}

/// What one yes is for besides what a pull request brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shared {
    /// What is approved.
    pub digest: Digest,
    /// Others' parts in the same repository, the first of them.
    pub others: Vec<Part>,
    /// How many there are besides: more of them, and what lies in repositories that others read.
    pub more: usize,
}

/// One request's part in what one yes is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Part {
    /// Whose.
    pub request: RequestId,
    /// The pull request that brought it, where it is known, and who opened that.
    pub pull: Option<(u64, Option<String>)>,
}

/// An answer to a command in a comment.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reply {
    /// The comment.
    pub comment: u64,
    /// Who asked.
    pub by: String,
    /// What, as it was understood, such as `/vend retry`.
    pub command: String,
    /// The answer: plain text, which may have several lines.
    pub text: String,
    /// When.
    pub at: Timestamp,
}
