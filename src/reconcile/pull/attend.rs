//! One pull request in one turn.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::kept::{Before, Kept, Shown};
use super::publish::Artifacts;
use super::survey::Survey;
use super::{Reviewer, Trouble, Turn, Visit, again};
use crate::digest::{self, Digest};
use crate::model::{
    Blast, Blind, Brief, Hold, HoldReason, Plan, Pull, PullKey, PullState, RequestId, Revision,
    Since, SourceName, SourceProblem, Stage, Warned,
};

/// Comments older than this, when a pull request is first seen, were not written to us; unless we have
/// not looked since.
const HEARD: SignedDuration = SignedDuration::from_mins(10);

/// A forge counts whole seconds, by a clock that may be a little off from ours.
const FRESH: SignedDuration = SignedDuration::from_secs(5);

impl Reviewer {
    /// Brings what is said of one to what it should be.
    pub(super) async fn attend(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        (pull, judges): (Pull, bool),
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let known = self.kept.get(key).cloned();
        let is_new = known.is_none();
        let mut kept = known.unwrap_or_else(|| Kept::new(pull.clone()));
        // Merged before we last looked, and not known: that was before our time, or long ago. Of itself
        // nothing is said there any more.
        if let PullState::Merged { at, .. } = &kept.pull.state
            && is_new
            && *at < visit.since
        {
            (kept.over, kept.late) = (true, true);
        }
        let is_changed = is_new || kept.pull != pull;
        let news = is_changed || kept.fresh;
        let was_open = kept.pull.state == PullState::Open;
        kept.pull = pull;
        let now = (visit.clock)();
        if kept.heard.is_none() {
            kept.heard = Some(first_heard(visit.last, now));
        }
        let repo = &visit.place.repo;
        if (kept.pull.state == PullState::Open || was_open)
            && self.hear_pushers(visit, &mut kept).await?
        {
            self.judge(visit, &mut kept).await?;
            self.looked.remove(key);
        }
        if news {
            // Until all of it was heard, whatever breaks off between.
            kept.fresh = true;
            // What we say ourselves is news too: only what others said makes it be looked at again.
            if kept.pull.state == PullState::Open || was_open {
                let verdicts = self.forge.verdicts(repo, kept.pull.number).await?;
                if verdicts != kept.verdicts {
                    kept.hear(verdicts);
                    self.judge(visit, &mut kept).await?;
                    self.looked.remove(key);
                }
            }
            self.listen(visit, key, &mut kept, turn).await?;
            kept.fresh = now.duration_since(kept.pull.updated) < FRESH;
            // What changed may be what we have said, by the hand of others: once at the first sight of it,
            // and once when nothing more can have come in the same second.
            if is_changed || !kept.fresh {
                self.unsure.insert(key.clone());
            }
        }
        if judges && kept.pull.state == PullState::Open {
            let before = kept.shown.clone();
            self.judge(visit, &mut kept).await?;
            if kept.shown != before {
                self.looked.remove(key);
            }
        }
        self.asked_again(visit, key, &mut kept, turn).await?;
        self.react(visit, &mut kept).await?;
        if kept.pull.state != PullState::Open && kept.ended.is_none() {
            kept.ended = Some(now);
            self.looked.remove(key);
            if kept.is_merged() && kept.last_seen.is_some() {
                kept.fall_back();
                self.judge(visit, &mut kept).await?;
            }
            self.doubt_anew(now);
        }
        match kept.pull.state {
            PullState::Open => {
                // It may have been closed before.
                (kept.over, kept.ended) = (false, None);
                if let Some((brief, artifacts)) =
                    self.plan_open(visit, key, &mut kept, turn).await?
                {
                    self.want(visit, key, &kept, &brief, (&artifacts, false));
                }
            }
            // Nothing was ever said there.
            PullState::Closed if !was_open && kept.said.is_none() => kept.over = true,
            // Told by `follow_all`, which also comes by when only the world has news.
            PullState::Closed | PullState::Merged { .. } => {}
        }
        let said = self.publish(visit, key, &mut kept).await;
        self.keep(visit, key, kept).await?;
        self.partly.remove(key);
        said.map(drop)
    }

    /// Plans an open one, where something it depends on is new; `None`: nothing is.
    async fn plan_open(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        kept: &mut Kept,
        turn: &mut Turn,
    ) -> Result<Option<(Brief, Artifacts)>, Trouble> {
        let inputs = digest::of(&(
            &kept.pull.head,
            visit.commits,
            &kept.asked,
            visit.world,
            self.engine.reading(),
            refused(visit),
        ));
        let now = (visit.clock)();
        if self.looked.get(key) == Some(&inputs) {
            let end = self.ending.get(key).copied();
            match self.again.due(key).into_iter().chain(end).min() {
                None => return Ok(None),
                Some(at) if at > now => {
                    turn.is_due(at);
                    return Ok(None);
                }
                Some(_) => {}
            }
        }
        if self.is_on_branch(visit, &kept.pull.head)? {
            // Merged by now, and the forge has yet to say so: what was reviewed is what the merge is held
            // against, and of its plan nothing is left to be shown.
            self.looked.insert(key.clone(), inputs);
            return Ok(None);
        }
        let begun = self.rotation.begin();
        let survey = match self.lacks(key, &kept.pull.head) {
            Some(why) => Ok(Survey::Unknown(format!("its commit could not be had: {why}"))),
            None => self.survey(visit, &kept.pull.head, kept.is_strange()).await,
        };
        // What ends this turn is not to end the next one before that has come to anybody else.
        let is_planned = !matches!(survey, Ok(Survey::Overtaken));
        self.rotation.end((key, &kept.pull.head), begun, is_planned, now);
        let none = Artifacts::default();
        let mut ends = None;
        let found = match survey? {
            // The branch may have what it is said to conflict with no more.
            Survey::Conflict(_) if !refused(visit).is_empty() => {
                let error = "its branch is not as vend knows it, and is not read now".to_owned();
                (self.brief_of_stage(visit, kept, Stage::Unknown { error }), none)
            }
            Survey::Conflict(paths) => {
                (self.brief_of_stage(visit, kept, Stage::Conflict { paths }), none)
            }
            Survey::Unknown(error) => {
                (self.brief_of_stage(visit, kept, Stage::Unknown { error }), none)
            }
            Survey::Overtaken => {
                turn.is_due(now);
                return Ok(None);
            }
            Survey::Reviewed { mut reviewed, blind } => {
                ends = reviewed.ends;
                let before = kept.shown.as_ref().and_then(|shown| shown.plan.as_ref());
                steady(&mut reviewed.released, before, now);
                let needs = super::judge::needs(&reviewed);
                let own = self.before(&reviewed).await?;
                let nothing = reviewed.own.is_empty()
                    && reviewed.diagnostics.is_empty()
                    && reviewed.desired.is_empty()
                    // Who could take a new version is worth saying.
                    && reviewed.blast.as_ref().is_none_or(Blast::is_silent);
                let stage = if nothing { Stage::Nothing } else { Stage::Planned };
                let was_more = |s: &Shown| s.head == kept.pull.head && s.stage == Stage::Planned;
                if nothing && kept.shown.as_ref().is_some_and(was_more) {
                    // Its branch has it all. Merged a moment ago, most likely: what was reviewed is
                    // what the merge is held against, and not this.
                    let now = self.forge.pull(&visit.place.repo, kept.pull.number).await?;
                    if now.state != PullState::Open {
                        return Ok(None);
                    }
                    self.looked.insert(key.clone(), inputs);
                    let brief = self.brief_of_stage(visit, kept, stage);
                    return Ok(Some((brief, none)));
                }
                let shown = Shown::new(
                    kept.pull.head.clone(),
                    &reviewed.released,
                    needs,
                    own,
                    stage.clone(),
                );
                let shown = shown.with_terms(super::judge::terms(&reviewed, &reviewed.own));
                // What it brings to the catalog itself is on a commit that only this mirror has, and only for now.
                let catalog = reviewed.against.get(&self.engine.sources().catalog.name);
                let shown = shown.made_with(catalog.cloned());
                let shown = shown.with_rendered(&reviewed.released, &reviewed.artifacts);
                kept.reverts = self.reverts(key, &shown);
                kept.show(shown);
                self.judge(visit, kept).await?;
                let warnings = super::judge::warnings(&reviewed);
                let artifacts = std::mem::take(&mut reviewed.artifacts);
                (self.brief(visit, kept, stage, *reviewed, (warnings, blind)), artifacts)
            }
        };
        self.looked.insert(key.clone(), inputs);
        if let Some(at) = self.again.note(key, inputs, again::pause(&found.0), now) {
            turn.is_due(at);
        }
        self.ending.remove(key);
        if let Some(at) = ends {
            self.ending.insert(key.clone(), at);
            turn.is_due(at);
        }
        Ok(Some(found))
    }

    /// Whether the branch has a head as it is.
    fn is_on_branch(&self, visit: &Visit<'_>, head: &Revision) -> Result<bool, Trouble> {
        let source = self.engine.sources().named(visit.place.name());
        Ok(match source {
            Some(source) => source.mirror().is_ancestor(head, &visit.base)?,
            None => false,
        })
    }

    /// What the files that it changes said before.
    async fn before(
        &self,
        reviewed: &crate::reconcile::review::Reviewed,
    ) -> Result<BTreeMap<RequestId, Before>, Trouble> {
        let ids: Vec<RequestId> = reviewed.own.iter().cloned().collect();
        let known = self.store.desired(&ids).await?;
        let was: BTreeMap<RequestId, Digest> =
            known.into_iter().map(|d| (d.id.clone(), d.content)).collect();
        let one = |id: &RequestId| {
            let is = reviewed.desired.get(id).and_then(|d| d.as_ref()).map(|d| d.content);
            (id.clone(), Before { was: was.get(id).copied(), is })
        };
        Ok(ids.iter().map(one).collect())
    }

    /// The merged pull request whose files this one puts back as they were.
    fn reverts(&self, key: &PullKey, shown: &Shown) -> Option<u64> {
        let takes_back = |other: &Kept| {
            let Some(theirs) = other.shown.as_ref().filter(|s| !s.own.is_empty()) else {
                return false;
            };
            let back = |(id, mine): (&RequestId, &Before)| {
                let before = theirs.own.get(id);
                before.is_some_and(|b| b.was == mine.is && b.is == mine.was)
            };
            other.is_merged() && theirs.own.len() == shown.own.len() && shown.own.iter().all(back)
        };
        let others = self.kept.iter().filter(|(k, _)| k.source == key.source && *k != key);
        others.filter(|(_, other)| takes_back(other)).map(|(k, _)| k.number).next_back()
    }

    pub(super) fn brief(
        &self,
        visit: &Visit<'_>,
        kept: &Kept,
        stage: Stage,
        reviewed: crate::reconcile::review::Reviewed,
        (warnings, blind): (Vec<Warned>, Option<Blind>),
    ) -> Brief {
        let place = visit.place;
        let mine = |(source, _): &(_, _)| place.sources.contains(source);
        let diagnostics = reviewed.diagnostics.into_iter().filter(mine).map(|(_, d)| d).collect();
        Brief {
            base: Some(visit.base.clone()),
            catalog: reviewed.catalog,
            diagnostics,
            plan: reviewed.released,
            untold: reviewed.untold,
            blind,
            blast: reviewed.blast,
            warnings,
            since: since(kept),
            troubles: refused(visit),
            ..self.brief_of(kept, stage)
        }
    }

    fn brief_of_stage(&self, visit: &Visit<'_>, kept: &Kept, stage: Stage) -> Brief {
        let troubles = refused(visit);
        Brief { base: Some(visit.base.clone()), troubles, ..self.brief_of(kept, stage) }
    }

    /// With what is remembered, and nothing that was only just found.
    pub(super) fn brief_of(&self, kept: &Kept, stage: Stage) -> Brief {
        let shown = kept.shown.as_ref();
        Brief {
            pull: kept.pull.clone(),
            stage,
            reverts: kept.reverts,
            base: None,
            catalog: None,
            diagnostics: Vec::new(),
            plan: shown.and_then(|s| s.plan.clone()).unwrap_or_default(),
            untold: Vec::new(),
            blind: None,
            blast: None,
            needs: shown.into_iter().flat_map(|s| &s.needs).map(|(_, n)| n.clone()).collect(),
            discounted: shown.map(|s| s.discounted.clone()).unwrap_or_default(),
            warnings: Vec::new(),
            since: None,
            troubles: Vec::new(),
            awaited: false,
            standing: Vec::new(),
            holds: Vec::new(),
            shared: Vec::new(),
            applying: Vec::new(),
            replies: kept.replies.clone(),
        }
    }
}

/// From when on what was written on a pull request that is new to us was written to us. Of one that
/// was opened while nobody looked, that is when somebody looked last.
fn first_heard(last: Option<Timestamp>, now: Timestamp) -> Timestamp {
    let recent = now - HEARD;
    last.map_or(recent, |last| last.min(recent))
}

/// What keeps the branch from being used until a person does something. That it cannot be fetched for a
/// while changes nothing of what a plan comes to.
fn refused(visit: &Visit<'_>) -> Vec<(SourceName, SourceProblem)> {
    let is_refused = |problem: &SourceProblem| !matches!(problem, SourceProblem::Stale { .. });
    visit.troubles.iter().filter(|(_, problem)| is_refused(problem)).cloned().collect()
}

/// When a refusal is tried again is counted anew by each look, and is no news while it is to come.
fn steady(plan: &mut Plan, before: Option<&Plan>, now: Timestamp) {
    for hold in &mut plan.holds {
        let HoldReason::Refused { error, until } = &mut hold.reason else { continue };
        let is_same = |then: &&Hold| {
            then.request == hold.request
                && then.component == hold.component
                && matches!(&then.reason, HoldReason::Refused { error: e, .. } if e == error)
        };
        if let Some(HoldReason::Refused { until: then, .. }) =
            before.iter().flat_map(|plan| &plan.holds).find(is_same).map(|then| &then.reason)
            && *then > now
        {
            *until = *then;
        }
    }
}

/// What the last push did to the plan.
fn since(kept: &Kept) -> Option<Since> {
    let (before, now) = (kept.before.as_ref()?, kept.shown.as_ref()?);
    let head: Revision = before.head.clone();
    let differs = now.differs(before);
    Some(Since { head, added: now.not_in(before), gone: before.not_in(now), differs })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_while_nobody_looked_was_written_to_us() {
        let at = |minute: i64| Timestamp::from_second(minute * 60).unwrap();
        let now = at(1_000);
        assert_eq!(first_heard(Some(at(400)), now), at(400), "down for ten hours");
        assert_eq!(first_heard(Some(at(998)), now), at(990));
        assert_eq!(first_heard(None, now), at(990), "nothing that was said before the first start");
    }
}
