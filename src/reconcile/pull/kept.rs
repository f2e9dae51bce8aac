//! What is remembered of a pull request between turns, and over restarts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::publish::Artifacts;
use crate::digest::{self, Digest};
use crate::fault::planted;
use crate::forge::Reaction;
use crate::model::{
    Action, Artifact, Bound as Steps, Changed, Discounted, Known, Need, Plan, Pull, PullState,
    Reply, RequestId, Revision, Stage, Step, Symbol, Terms, Verdict, nothing_seen, nothing_shown,
};
use crate::report;

/// What is remembered of one pull request.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Kept {
    /// As the forge had it when it was last asked about its people.
    pub pull: Pull,
    /// The handles, in small letters, of those who pushed to it, and of what that was told.
    #[serde(default)]
    pub pushers: BTreeSet<String>,
    /// Their accounts.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub pusher_ids: BTreeSet<u64>,
    #[serde(default)]
    pub pushed: Option<Pushed>,
    /// What people said of it.
    #[serde(default)]
    pub verdicts: Vec<Verdict>,
    /// The plan that each verdict was about, when it was first seen.
    #[serde(default)]
    pub bound: Vec<Bound>,
    /// Digests of the plans that people could see, by head; the newest last.
    #[serde(default)]
    pub plans: Vec<(Revision, Digest)>,
    /// The plan that is shown.
    #[serde(default)]
    pub shown: Option<Shown>,
    /// The last plan that people could see, while that is not the one that is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<Box<Shown>>,
    /// The last one of another head.
    #[serde(default)]
    pub before: Option<Shown>,
    /// A maintainer asked that this commit of a fork be planned against the world.
    #[serde(default)]
    pub asked: Option<Revision>,
    /// Our comment.
    #[serde(default)]
    pub comment: Option<u64>,
    /// Digest of what is news in it.
    #[serde(default)]
    pub said: Option<Digest>,
    /// The commits of its base and of the catalog that it names.
    #[serde(default)]
    pub said_of: [Option<Revision>; 2],
    /// Our checks, by name.
    #[serde(default)]
    pub checks: BTreeMap<String, SaidCheck>,
    /// How often somebody had them made again.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reruns: u32,
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
    /// Comments that a reaction is owed to.
    #[serde(default)]
    pub owed: BTreeMap<u64, Reaction>,
    /// The last answers.
    #[serde(default)]
    pub replies: Vec<Reply>,
    /// A pass has ended that worked on the branch with its merge in it. It stays so, whatever becomes of
    /// that branch's history.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub arrived: bool,
    /// Its merge is not on its branch any more, and did not arrive before that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub dropped: bool,
    /// Nothing more is to be said.
    #[serde(default)]
    pub over: bool,
    /// It was merged long before it was first seen: what is asked there is answered, and that is all.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late: bool,
    /// When requests that it brought end, as was seen last.
    #[serde(default)]
    pub ends: BTreeMap<RequestId, Timestamp>,
    /// When something is to be said of an end next, although all else is.
    #[serde(default)]
    pub again: Option<Timestamp>,
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

/// What people saw of a pull request before it was merged.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Review<'a> {
    /// This plan, the last one that could be written where they look.
    Of(&'a Shown),
    /// Nobody looked while it was open.
    Missed,
    /// A plan was made, and could be written nowhere.
    Unsaid,
}

/// What those who pushed were told of.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Pushed {
    pub head: Revision,
    /// A merge among its commits was not known to bring nothing but what stood on the branch then.
    pub open_at: Option<Revision>,
}

/// A verdict with the plan that it was about.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Bound {
    pub by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_id: Option<u64>,
    pub at: Timestamp,
    pub plan: Option<Digest>,
}

impl Bound {
    /// Whether it is of that verdict, whatever its giver was called then.
    pub fn is_of(&self, verdict: &Verdict) -> bool {
        let is_theirs = match (self.by_id, verdict.by_id) {
            (Some(then), Some(now)) => then == now,
            _ => self.by == verdict.by,
        };
        is_theirs && self.at == verdict.at
    }
}

/// Somebody, by their name and by their account: the name may be another one tomorrow.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Person<'a> {
    pub name: &'a str,
    pub id: Option<u64>,
}

impl<'a> Person<'a> {
    pub fn of(verdict: &'a Verdict) -> Self {
        Self { name: &verdict.by, id: verdict.by_id }
    }

    /// Whether they are among some people, or are them. Either tells: that somebody is called as an author was
    /// takes their yes away, and never adds one.
    pub fn is_among<'n>(
        self,
        mut names: impl Iterator<Item = &'n String>,
        mut ids: impl Iterator<Item = u64>,
    ) -> bool {
        names.any(|name| name.eq_ignore_ascii_case(self.name)) || ids.any(|id| self.id == Some(id))
    }
}

/// A plan as it was shown.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Shown {
    pub head: Revision,
    /// Digest of all its effects, and of what is to be approved.
    pub digest: Digest,
    /// Its steps, by their lines.
    pub steps: Vec<ShownStep>,
    /// What a person approves, with the need it stands for.
    pub needs: Vec<(Digest, Need)>,
    /// The teams, of those that the needs name, of each person who gave one.
    #[serde(default)]
    pub teams: BTreeMap<String, BTreeSet<String>>,
    /// Those who said yes and do not count.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discounted: Vec<Discounted>,
    /// Requests whose files it changes, with the digest of what stood there before.
    pub own: BTreeMap<RequestId, Before>,
    /// The plan itself, for as long as it is small enough to be kept.
    #[serde(default)]
    pub plan: Option<Plan>,
    /// How it stood.
    pub stage: Stage,
    /// It stands for what a merge brought of which nobody was shown a plan.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unseen: bool,
    /// What the files that it changes say that is in no step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub terms: BTreeMap<RequestId, Terms>,
    /// The catalog's commit that it was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub catalog: Option<Revision>,
    /// What its steps render to, by target, as far as there is room: that is what was reviewed.
    #[serde(default, skip_serializing_if = "is_none_rendered")]
    pub rendered: Arc<BTreeMap<String, Arc<Artifact>>>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde calls it
fn is_zero(n: &u32) -> bool {
    *n == 0
}

fn is_none_rendered(rendered: &Arc<BTreeMap<String, Arc<Artifact>>>) -> bool {
    rendered.is_empty()
}

/// A step as it was shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub(super) struct ShownStep {
    /// For people.
    pub line: String,
    pub digest: Digest,
    pub request: RequestId,
    /// What it waits to learn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<Symbol>,
    /// Where it makes something, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
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

/// Bytes of rendered files that are kept with a pull request.
const KEPT_RENDERED: usize = 200_000;

/// Plans and answers remembered of one pull request.
const PLANS: usize = 50;
const REPLIES: usize = 10;

impl Kept {
    pub fn new(pull: Pull) -> Self {
        Self {
            pull,
            pushers: BTreeSet::new(),
            pusher_ids: BTreeSet::new(),
            pushed: None,
            verdicts: Vec::new(),
            bound: Vec::new(),
            plans: Vec::new(),
            shown: None,
            last_seen: None,
            before: None,
            asked: None,
            comment: None,
            said: None,
            said_of: [None, None],
            checks: BTreeMap::new(),
            reruns: 0,
            suggested: BTreeSet::new(),
            heard: None,
            fresh: false,
            answered: BTreeSet::new(),
            owed: BTreeMap::new(),
            replies: Vec::new(),
            arrived: false,
            dropped: false,
            over: false,
            late: false,
            ends: BTreeMap::new(),
            again: None,
            ended: None,
            changed: None,
            reverts: None,
        }
    }

    /// Takes what is shown now; of another head, what was shown is what it is compared with.
    pub fn show(&mut self, shown: Shown) {
        let is_seen = self.is_seen();
        if let Some(last) = self.shown.take() {
            if last.head != shown.head {
                let last = last.clone();
                self.before = Some(Shown { plan: None, rendered: Arc::default(), ..last });
            }
            if is_seen {
                self.last_seen = Some(Box::new(last));
            }
        }
        self.shown = Some(shown);
        if self.is_seen() {
            self.last_seen = None;
        }
    }

    /// Once it is merged, what was reviewed is what people saw last: a plan that could not be said any more
    /// takes nothing of that back, and adds nothing to it.
    pub fn fall_back(&mut self) {
        if let Some(seen) = self.last_seen.take()
            && let Some(shown) = self.shown.take()
        {
            // Whose files it changes is known from what was merged.
            self.shown = Some(Shown { own: shown.own, ..*seen });
        }
    }

    /// What people saw of it before it was merged.
    pub fn review(&self) -> Review<'_> {
        match &self.shown {
            None => Review::Missed,
            Some(shown) if shown.unseen => Review::Missed,
            Some(shown) if self.is_seen() => Review::Of(shown),
            Some(_) => self.last_seen.as_deref().map_or(Review::Unsaid, Review::Of),
        }
    }

    /// Whether people could see the plan that is shown.
    pub fn is_seen(&self) -> bool {
        let shown = self.shown.as_ref().map(|shown| (&shown.head, shown.digest));
        shown.is_none_or(|(head, digest)| self.plan_of(head) == Some(digest))
    }

    /// From now on people can see the plan that is shown.
    pub fn seen(&mut self) {
        let Some(shown) = self.shown.as_ref() else { return };
        let now = (shown.head.clone(), shown.digest);
        self.last_seen = None;
        self.plans.retain(|(head, _)| *head != now.0);
        self.plans.push(now);
        if self.plans.len() > PLANS {
            self.plans.remove(0);
        }
    }

    /// Takes what people said.
    pub fn hear(&mut self, verdicts: Vec<Verdict>) {
        self.bind(&verdicts);
        self.bound.retain(|b| verdicts.iter().any(|v| b.is_of(v)));
        self.verdicts = verdicts;
    }

    /// Each verdict that is new is about the plan that could be seen when it was given: that of its
    /// commit, or, where none was shown of that yet, the last one. Before any plan it is about none.
    pub fn bind(&mut self, verdicts: &[Verdict]) {
        for verdict in verdicts {
            if self.bound.iter().any(|b| b.is_of(verdict)) {
                continue;
            }
            let of_commit = verdict.commit.as_ref().and_then(|c| self.plan_of(c));
            let plan = of_commit.or_else(|| self.plans.last().map(|(_, digest)| *digest));
            let (by, by_id, at) = (verdict.by.clone(), verdict.by_id, verdict.at);
            self.bound.push(Bound { by, by_id, at, plan });
        }
    }

    fn plan_of(&self, head: &Revision) -> Option<Digest> {
        self.plans.iter().rev().find(|(h, _)| h == head).map(|(_, digest)| *digest)
    }

    pub fn reply(&mut self, reply: Reply) {
        self.replies.push(reply);
        let more = self.replies.len().saturating_sub(REPLIES);
        self.replies.drain(..more);
    }

    /// Whether somebody opened it or pushed to it: what they say yes to would be their own.
    pub fn is_whose(&self, who: Person<'_>) -> bool {
        if planted!("author-approves") {
            return false;
        }
        let names = self.pushers.iter().chain([&self.pull.author]);
        who.is_among(names, self.pusher_ids.iter().copied().chain(self.pull.author_id))
    }

    /// It comes from a fork, and nobody who may has asked for its head.
    pub fn is_strange(&self) -> bool {
        self.pull.fork && self.asked.as_ref() != Some(&self.pull.head) && !planted!("fork-trusted")
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
        let shown = |step: &Step| ShownStep {
            line: line(step),
            digest: step.digest(),
            request: step.target.key.request.clone(),
            unknown: step.unknown.clone(),
            place: report::pull::where_made(step),
        };
        let mut steps: Vec<ShownStep> = plan.steps.iter().map(shown).collect();
        steps.sort();
        let asked: Vec<Digest> = needs.iter().map(|(digest, _)| *digest).collect();
        let effects: Vec<&Digest> = steps.iter().map(|step| &step.digest).collect();
        let digest = digest::of(&(effects, asked));
        let plan = (plan.steps.len() <= KEPT_STEPS).then(|| plan.clone());
        let (teams, rendered, discounted) = (BTreeMap::new(), Arc::default(), Vec::new());
        let (unseen, terms) = (false, BTreeMap::new());
        Self {
            head,
            digest,
            steps,
            needs,
            teams,
            discounted,
            own,
            plan,
            stage,
            unseen,
            terms,
            catalog: None,
            rendered,
        }
    }

    /// In the place of a plan that nobody has seen, for the reason that `digest` stands for: whatever is done is
    /// more.
    pub fn nothing(digest: Digest) -> Self {
        let (head, plan) = (Revision::new(""), Plan::default());
        let none = Self::new(head, &plan, Vec::new(), BTreeMap::new(), Stage::Planned);
        Self { digest, ..none }
    }

    /// Made with the catalog as of this commit: the same plan by another one is the same plan.
    pub fn made_with(self, catalog: Option<Revision>) -> Self {
        Self { catalog, ..self }
    }

    /// Whether it stands for a plan that nobody has seen.
    pub fn is_nothing(&self) -> bool {
        [nothing_seen(), nothing_shown()].contains(&self.digest)
    }

    /// With what the files say that is in no step. Where that is nothing, it is the same plan as ever.
    pub fn with_terms(self, terms: BTreeMap<RequestId, Terms>) -> Self {
        let digest = match terms.is_empty() {
            true => self.digest,
            false => digest::of(&(&self.digest, &terms)),
        };
        Self { digest, terms, ..self }
    }

    /// With what its steps render to, for a later look at what has become of that.
    pub fn with_rendered(self, plan: &Plan, artifacts: &Artifacts) -> Self {
        let mut room = KEPT_RENDERED;
        let mut rendered = BTreeMap::new();
        for step in &plan.steps {
            let Some(artifact) = step.artifact.and_then(|digest| artifacts.get(&digest)) else {
                continue;
            };
            let size = artifact.files.iter().map(|(path, text)| path.len() + text.len()).sum();
            if let Some(left) = room.checked_sub(size) {
                room = left;
                rendered.insert(step.target.key.to_string(), artifact.clone());
            }
        }
        Self { rendered: Arc::new(rendered), ..self }
    }

    /// The line of each step; of what `other` makes as well, and at another place, with its place. And what the
    /// files say besides, where `other`'s say something else.
    pub fn lines(&self, other: &Self) -> Vec<String> {
        let placed = |step: &ShownStep| Some((step.line.clone(), step.place.clone()?));
        let theirs: BTreeMap<String, String> = other.steps.iter().filter_map(placed).collect();
        let line = |step: &ShownStep| match (&step.place, theirs.get(&step.line)) {
            (Some(mine), Some(other)) if mine != other => format!("{} in {mine}", step.line),
            _ => step.line.clone(),
        };
        let terms = self.other_terms(other).map(|(_, line)| line);
        self.steps.iter().map(line).chain(terms).collect()
    }

    /// What the files say otherwise than `other`'s, a line each.
    fn other_terms(&self, other: &Self) -> impl Iterator<Item = (&RequestId, String)> {
        let others = self.terms.iter().filter(|(id, terms)| other.terms.get(*id) != Some(*terms));
        others.map(|(id, terms)| (id, report::pull::terms(id, terms)))
    }

    /// The lines of steps that `other` has none of. What a file says besides is told by the step that it changes,
    /// where there is one.
    pub fn not_in(&self, other: &Self) -> Vec<String> {
        let theirs: BTreeSet<String> = other.lines(self).into_iter().collect();
        let known: BTreeSet<&Digest> = other.steps.iter().map(|step| &step.digest).collect();
        let is_told = |id: &RequestId| {
            let is_other = |step: &&ShownStep| step.request == *id && !known.contains(&step.digest);
            self.terms.get(id).is_some_and(|terms| terms.kept)
                && self.steps.iter().any(|s| is_other(&s))
        };
        let told: BTreeSet<String> =
            self.other_terms(other).filter(|(id, _)| is_told(id)).map(|(_, line)| line).collect();
        let is_news = |line: &String| !theirs.contains(line) && !told.contains(line);
        self.lines(other).into_iter().filter(is_news).collect()
    }

    /// The lines of steps that `other` has too, and that come to something else there.
    pub fn differs(&self, other: &Self) -> Vec<String> {
        let theirs: BTreeSet<&Digest> = other.steps.iter().map(|step| &step.digest).collect();
        let lines: BTreeSet<String> = other.lines(self).into_iter().collect();
        let mine = self.lines(other).into_iter().zip(&self.steps);
        let others =
            mine.filter(|(line, step)| lines.contains(line) && !theirs.contains(&step.digest));
        // The same names with other values.
        let terms =
            self.other_terms(other).map(|(_, line)| line).filter(|line| lines.contains(line));
        others.map(|(line, _)| line).chain(terms).collect()
    }

    /// What of it is some requests'.
    pub fn of(&self, requests: &BTreeSet<RequestId>) -> Self {
        let mine = |step: &&ShownStep| requests.contains(&step.request);
        let steps = self.steps.iter().filter(mine).cloned().collect();
        let mut terms = self.terms.clone();
        terms.retain(|id, _| requests.contains(id));
        Self { steps, terms, ..self.clone() }
    }

    /// As what a person approves of what one merge brought: the same plan of another merge asks again. So do other
    /// requests of it, and what else is to be recorded of them, where that is in no step: `asked`.
    pub fn of_merge(self, pull: &Pull, asked: &BTreeMap<RequestId, Option<Digest>>) -> Self {
        let PullState::Merged { commit, .. } = &pull.state else { return self };
        let what = "more than was reviewed";
        let digest = digest::of(&(what, pull.number, commit, &self.digest, asked));
        Self { digest, ..self }
    }

    /// What of it is one request's.
    pub fn bound(&self, request: &RequestId) -> Steps {
        let mine = self.steps.iter().filter(|step| step.request == *request);
        let known = |step: &ShownStep| Known { digest: step.digest, unknown: step.unknown.clone() };
        let steps = mine.map(known).collect();
        let terms = self.terms.get(request).cloned().unwrap_or_else(Terms::as_recorded);
        let (terms, catalog) = (Some(terms), self.catalog.clone());
        let (needs, takeover) = (Vec::new(), None);
        Steps { plan: self.digest, steps, shown: true, needs, takeover, terms, catalog }
    }
}

/// One step in a line.
pub(super) fn line(step: &Step) -> String {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::model::VerdictKind;

    fn kept() -> Kept {
        Kept::new(Pull {
            number: 1,
            title: String::new(),
            author: "ada".into(),
            author_id: None,
            head: Revision::new("1"),
            base: "main".into(),
            fork: false,
            draft: false,
            state: PullState::Open,
            updated: Timestamp::UNIX_EPOCH,
            url: String::new(),
        })
    }

    fn show(kept: &mut Kept, head: &str, plan: &str) -> Digest {
        let digest = sha256(plan.as_bytes());
        let head = Revision::new(head);
        let shown = Shown::new(head, &Plan::default(), Vec::new(), BTreeMap::new(), Stage::Planned);
        kept.show(Shown { digest, ..shown });
        digest
    }

    fn yes(second: i64, commit: &str) -> Verdict {
        let commit = Some(Revision::new(commit));
        let at = Timestamp::from_second(second).unwrap();
        Verdict { by: "grace".into(), by_id: None, kind: VerdictKind::Approved, commit, at }
    }

    /// The plan that the verdict of that second is about.
    fn about(kept: &Kept, second: i64) -> Option<Digest> {
        let at = Timestamp::from_second(second).unwrap();
        kept.bound.iter().find(|b| b.at == at).expect("it was heard").plan
    }

    fn step(line: &str, content: &str) -> ShownStep {
        let request = RequestId::parse("orders/dev/it").unwrap();
        let digest = sha256(content.as_bytes());
        ShownStep { line: line.into(), digest, request, unknown: Vec::new(), place: None }
    }

    #[test]
    fn another_content_is_neither_new_nor_gone() {
        let shown = |steps: &[(&str, &str)]| {
            let steps = steps.iter().map(|(line, content)| step(line, content)).collect();
            let plan = Plan::default();
            let head = Revision::new("1");
            let shown = Shown::new(head, &plan, Vec::new(), BTreeMap::new(), Stage::Planned);
            Shown { steps, ..shown }
        };
        let before = shown(&[("create a", "1"), ("create b", "1"), ("delete c", "1")]);
        let now = shown(&[("create a", "1"), ("create b", "2"), ("update d", "1")]);
        assert_eq!(now.not_in(&before), ["update d"]);
        assert_eq!(before.not_in(&now), ["delete c"]);
        assert_eq!(now.differs(&before), ["create b"]);
        // Somewhere else it is another thing that is made.
        let mut there = shown(&[("create a", "1"), ("create b", "2"), ("update d", "1")]);
        let mut here = there.clone();
        for (shown, place) in [(&mut here, "main"), (&mut there, "other")] {
            shown.steps.iter_mut().take(2).for_each(|step| step.place = Some(place.into()));
        }
        there.steps[0].place = Some("main".into());
        there.steps[1].digest = sha256(b"elsewhere");
        assert_eq!(there.not_in(&here), ["create b in other"]);
        assert_eq!(here.not_in(&there), ["create b in main"]);
        assert!(there.differs(&here).is_empty());
        assert!(now.differs(&now).is_empty() && now.not_in(&now).is_empty());
    }

    #[test]
    fn what_is_approved_of_one_merge_is_not_approved_of_another() {
        let plan = Plan::default();
        let shown = |pull: &Pull| {
            let head = Revision::new("1");
            let shown = Shown::new(head, &plan, Vec::new(), BTreeMap::new(), Stage::Planned);
            shown.of_merge(pull, &BTreeMap::new()).digest
        };
        let merged = |commit: &str| {
            let (commit, at) = (Revision::new(commit), Timestamp::UNIX_EPOCH);
            Pull { state: PullState::Merged { commit, at, by: None }, ..kept().pull }
        };
        assert_eq!(shown(&merged("2")), shown(&merged("2")));
        assert_ne!(shown(&merged("2")), shown(&merged("3")));
        assert_ne!(shown(&merged("2")), shown(&kept().pull));
    }

    #[test]
    fn what_was_reviewed_is_what_could_be_seen_last() {
        let mut kept = kept();
        assert_eq!(kept.review(), Review::Missed);
        let reviewed = |kept: &Kept| match kept.review() {
            Review::Of(shown) => Some(shown.digest),
            Review::Missed | Review::Unsaid => None,
        };
        let first = show(&mut kept, "1", "first");
        assert_eq!(kept.review(), Review::Unsaid);
        kept.seen();
        assert_eq!(reviewed(&kept), Some(first));
        // Two plans that could not be said, one of another push.
        show(&mut kept, "1", "second");
        assert_eq!(reviewed(&kept), Some(first));
        show(&mut kept, "2", "third");
        assert_eq!(reviewed(&kept), Some(first));
        let mut merged = kept.clone();
        merged.fall_back();
        assert_eq!(merged.shown.as_ref().map(|shown| shown.digest), Some(first));
        assert_eq!(reviewed(&merged), Some(first));
        // It is as it was, or could be said after all.
        show(&mut kept, "1", "first");
        assert_eq!((reviewed(&kept), kept.last_seen.is_some()), (Some(first), false));
        let fourth = show(&mut kept, "2", "fourth");
        kept.seen();
        assert_eq!((reviewed(&kept), kept.last_seen.is_some()), (Some(fourth), false));
        kept.fall_back();
        assert_eq!(reviewed(&kept), Some(fourth));
    }

    #[test]
    fn b96_an_account_is_the_same_whatever_it_is_called() {
        let mut kept = kept();
        (kept.pull.author_id, kept.pushers) = (Some(1), ["grace".to_owned()].into());
        kept.pusher_ids = [2].into();
        let is_whose = |name, id| kept.is_whose(Person { name, id });
        assert!(is_whose("Ada", None) && is_whose("ada", Some(1)) && is_whose("renamed", Some(1)));
        assert!(is_whose("grace", None) && is_whose("also", Some(2)));
        // Who is called as an author was does not approve it either.
        assert!(is_whose("ada", Some(3)));
        assert!(!is_whose("edsger", Some(3)) && !is_whose("edsger", None));
        // What they said under the name before is about what they saw then.
        let first = show(&mut kept, "1", "first");
        kept.seen();
        let said = Verdict { by_id: Some(3), ..yes(2, "1") };
        kept.hear(vec![said.clone()]);
        show(&mut kept, "1", "second");
        kept.seen();
        kept.hear(vec![Verdict { by: "renamed".into(), ..said }]);
        assert_eq!(about(&kept, 2), Some(first));
        assert_eq!(kept.bound.len(), 1);
    }

    #[test]
    fn a_verdict_is_about_what_could_be_seen_when_it_was_given() {
        let mut kept = kept();
        kept.bind(&[yes(1, "1")]);
        let first = show(&mut kept, "1", "first");
        assert!(!kept.is_seen());
        kept.seen();
        assert!(kept.is_seen());
        let heard = |kept: &mut Kept, second, commit: &str| {
            kept.bind(&[yes(second, commit)]);
            about(kept, second)
        };
        assert_eq!(about(&kept, 1), None, "nobody had seen a plan");
        assert_eq!(heard(&mut kept, 2, "1"), Some(first));
        // The same commit comes to something else, and that was not said yet.
        let second = show(&mut kept, "1", "second");
        assert_eq!(heard(&mut kept, 3, "1"), Some(first));
        kept.seen();
        assert_eq!(heard(&mut kept, 4, "1"), Some(second));
        assert_eq!(about(&kept, 3), Some(first), "whatever was seen later");
        // A push whose plan was not said yet; and a review of the commit before it, afterwards.
        let third = show(&mut kept, "2", "third");
        assert_eq!(heard(&mut kept, 5, "2"), Some(second));
        kept.seen();
        assert_eq!(heard(&mut kept, 6, "1"), Some(second));
        assert_eq!(heard(&mut kept, 7, "2"), Some(third));
    }
}
