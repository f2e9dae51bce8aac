//! How merged files came to their branch: with which pull request, and whether more would happen now
//! than was reviewed then.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::apart::apart;
use super::follow::BEHIND;
use super::kept::{Before, Kept, Review, Shown};
use super::silent::Silence;
use super::withdraw::Withdrawn;
use super::{Reviewer, Trouble, Turn, Visit};
use crate::digest::Digest;
use crate::git::{GitError, Mirror};
use crate::model::{
    Action, Approval, Bound, Changed, Hold, HoldReason, Origin, Passage, Plan, Pull, PullKey,
    PullState, Record, RequestId, Retry, Revision, Rewritten, SourceName, Stage, Step, TargetKey,
    Terms, nothing_reviewed, nothing_seen, nothing_shown,
};
use crate::reconcile::brought::bringing;
use crate::reconcile::review::{Question, Reviewed};
use crate::store::{Index, PersonWrite};
use crate::{plan, report};

/// Bytes of what differs in rendered files that are kept for people to read.
const REWRITTEN: usize = 20_000;

/// A forge may take a moment to know what it has merged: only then is a commit taken for one that was
/// pushed directly.
pub(super) const DOUBT: SignedDuration = SignedDuration::from_secs(10);

/// It is asked again, less and less often: it may have been wrong for longer than that.
const DOUBT_MOST: SignedDuration = SignedDuration::from_mins(30);

/// Commits that one pull request comes to at most, where it is rebased.
const REBASED: usize = 250;

/// The forge knows no pull request of a commit.
pub(super) struct Doubt {
    /// When it said so first.
    since: Timestamp,
    /// When it is asked next, and how often it was since it was believed.
    next: Timestamp,
    times: u32,
}

/// What stands in a request's file, and how it came.
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) content: Option<Digest>,
    pub(super) source: SourceName,
    /// Which commit brought it to the branch, and as of which one this is.
    pub(super) commit: Option<Revision>,
    tip: Revision,
    /// It was told already, and is shown again with what else its pull request brought.
    again: bool,
}

/// What came with each pull request; with none, what was pushed directly.
type ByPull = BTreeMap<Option<u64>, (Option<Pull>, Vec<Asked>)>;

impl Reviewer {
    /// Answers for those that a pass holds until it is known how they came.
    pub(super) async fn passages(
        &mut self,
        visit: &Visit<'_>,
        standing: &Index,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let mut held: BTreeSet<RequestId> = BTreeSet::new();
        let mut moved: BTreeSet<(RequestId, Digest)> = BTreeSet::new();
        let mut direct: BTreeSet<RequestId> = BTreeSet::new();
        let now = (visit.clock)();
        for Hold { request, reason, .. } in standing.holds.iter().map(|row| &row.hold) {
            match reason {
                HoldReason::NeedsPullRequest { direct: false, .. } => {
                    held.insert(request.clone());
                }
                HoldReason::NeedsPullRequest { direct: true, commit, .. } => {
                    match self.doubted.get(commit).map(|doubt| doubt.next) {
                        Some(at) if at > now => turn.is_due(at),
                        _ => {
                            held.insert(request.clone());
                            direct.insert(request.clone());
                        }
                    }
                }
                HoldReason::PlanChanged { now, .. } => {
                    moved.insert((request.clone(), *now));
                }
                _ => {}
            }
        }
        // What moved after it was let through is compared anew, once for each way that it moved.
        self.moved.retain(|known| moved.contains(known));
        let mut fresh: BTreeMap<RequestId, Digest> = BTreeMap::new();
        let mut open: Vec<(RequestId, Option<u64>)> = Vec::new();
        for (request, now) in moved {
            let passage = self.passage_at(&request).await?;
            let pull = passage.as_ref().and_then(|passage| passage.pull);
            // What was approved is a pass's, which may be at work on it while what held it still stands there.
            let is_taken_up = |p: &Passage| p.bound.as_ref().is_none_or(|b| b.plan == now);
            let is_taken_up = passage.as_ref().is_none_or(is_taken_up);
            let is_told = is_taken_up
                || passage.and_then(|p| p.changed).is_some_and(|changed| changed.plan == now);
            let is_open =
                !is_taken_up && !standing.approvals.iter().any(|approval| approval.digest == now);
            if !is_told && !self.moved.contains(&(request.clone(), now)) {
                fresh.insert(request.clone(), now);
                held.extend(is_open.then(|| request.clone()));
            }
            if is_open {
                open.push((request, pull));
            }
        }
        held.extend(self.unwritten(visit).await?);
        if held.is_empty() {
            return Ok(());
        }
        let ids = held.iter().chain(open.iter().map(|(id, _)| id)).cloned().collect();
        let before = self.spoken(&ids, &standing.approvals).await?;
        self.nobodys.clear();
        let mut silence = Silence::default();
        let mut by_pull = self.by_pull(visit, held.clone(), (&mut silence, turn)).await?;
        // One comment shows all that is open of what came with one pull request.
        let is_with = |(request, pull): &(RequestId, Option<u64>)| {
            pull.is_some() && by_pull.contains_key(pull) && !held.contains(request)
        };
        let with = open.into_iter().filter(is_with).map(|(request, _)| request).collect();
        for (number, (_, with)) in self.by_pull(visit, with, (&mut silence, turn)).await? {
            let with = with.into_iter().map(|asked| Asked { again: true, ..asked });
            if let Some((_, asked)) = by_pull.get_mut(&number) {
                asked.extend(with);
            }
        }
        for (_, (pull, asked)) in by_pull {
            let ids = asked.iter().map(|asked| asked.id.clone()).collect();
            let writes = match pull {
                None => {
                    for commit in asked.iter().map(|a| &a.commit).collect::<BTreeSet<_>>() {
                        turn.is_due(self.doubt(commit, now));
                    }
                    let is_sure = |a: &Asked| {
                        let doubt = self.doubted.get(&a.commit);
                        doubt.is_some_and(|doubt| now.duration_since(doubt.since) >= DOUBT)
                    };
                    let is_news = |a: &Asked| is_sure(a) && !direct.contains(&a.id);
                    let sure: Vec<Asked> = asked.into_iter().filter(is_news).collect();
                    let mut writes = self.withdraw(&sure, None, now).await?.writes;
                    let direct = |a: Asked| through(a, None, (None, None));
                    writes.extend(sure.into_iter().map(direct));
                    writes
                }
                Some(pull) => {
                    let commits = asked.iter().filter_map(|asked| asked.commit.clone()).collect();
                    let writes = self.through(visit, pull, asked, turn).await;
                    let writes = self.unless_untold(visit, &commits, writes, &mut silence, turn)?;
                    let Some(writes) = writes else { continue };
                    self.all_told(visit, &commits);
                    writes
                }
            };
            if writes.is_empty() {
                continue;
            }
            // Looking takes seconds, in which people and passes go on.
            let given = self.store.standing().await?.approvals;
            let (writes, late) = self.spoken(&ids, &given).await?.without_late(&before, writes);
            if late {
                turn.is_due((visit.clock)() + BEHIND);
            }
            if !writes.is_empty() {
                let through = writes.iter().filter_map(|write| match write {
                    PersonWrite::Passage { request, .. } => {
                        Some((request.clone(), *fresh.get(request)?))
                    }
                    _ => None,
                });
                // Others' files are not of this place, and what could not be compared is not known.
                let through: Vec<(RequestId, Digest)> = through.collect();
                self.store.note(writes).await?;
                self.moved.extend(through);
                turn.wake = true;
            }
        }
        Ok(())
    }

    /// What stands in the files of this branch, by the pull request that it came with, as far as the forge tells.
    async fn by_pull(
        &mut self,
        visit: &Visit<'_>,
        held: BTreeSet<RequestId>,
        (silence, turn): (&mut Silence, &mut Turn),
    ) -> Result<ByPull, Trouble> {
        let mut by_pull = ByPull::new();
        for asked in self.asked(visit, held).await? {
            let commits = asked.commit.iter().cloned().collect();
            if self.is_untold(visit, &commits, turn) {
                continue;
            }
            let brought = self.brought(visit, &asked).await;
            let brought = self.unless_untold(visit, &commits, brought, silence, turn)?;
            let Some(pull) = brought else { continue };
            let number = pull.as_ref().map(|pull| pull.number);
            by_pull.entry(number).or_insert_with(|| (pull, Vec::new())).1.push(asked);
        }
        Ok(by_pull)
    }

    /// Of the requests whose pull requests are over, those that nothing was to be done for: their records are of the
    /// content before, and nobody has asked how this one came.
    async fn unwritten(&mut self, visit: &Visit<'_>) -> Result<BTreeSet<RequestId>, Trouble> {
        if self.quiet.is_empty() {
            return Ok(BTreeSet::new());
        }
        let ids: Vec<RequestId> = self.quiet.iter().cloned().collect();
        let records = self.store.records(&ids).await?;
        let records: BTreeMap<_, _> = records.into_iter().map(|r| (r.id.clone(), r)).collect();
        let (mut unwritten, mut stands) = (BTreeSet::new(), BTreeSet::new());
        for desired in self.store.desired(&ids).await? {
            let is_other = |record: &Record| {
                record.observed.request_digest != Some(desired.content)
                    && record.settled == Some(desired.fingerprint())
            };
            let source = &desired.origin.source;
            if !visit.place.sources.contains(source) {
                // Whoever visits that branch writes it down; of one that is not on the forge nobody does.
                let is_visited = self.places.iter().any(|place| place.sources.contains(source));
                let stays = is_visited && records.contains_key(&desired.id);
                stands.extend(stays.then_some(desired.id));
                continue;
            }
            if !records.get(&desired.id).is_some_and(is_other) {
                continue;
            }
            let passage = self.passage_at(&desired.id).await?;
            if passage.is_none_or(|passage| passage.content != Some(desired.content)) {
                // Until it is written down: the forge may not tell now how it came.
                stands.insert(desired.id.clone());
                unwritten.insert(desired.id);
            }
        }
        self.quiet = stands;
        Ok(unwritten)
    }

    /// What stands in those files that are of this branch, and which commit brought it.
    ///
    /// All of it as a pass has read it, whose branch may be ahead of this visit's: the commit that
    /// brought what stood there before has nothing to do with what stands there now.
    pub(super) async fn asked(
        &self,
        visit: &Visit<'_>,
        held: BTreeSet<RequestId>,
    ) -> Result<Vec<Asked>, Trouble> {
        let ids: Vec<RequestId> = held.iter().cloned().collect();
        let mut standing = self.store.standing().await?;
        let (desired, records) = loop {
            let found = (self.store.desired(&ids).await?, self.store.records(&ids).await?);
            let before = std::mem::replace(&mut standing, self.store.standing().await?);
            if before.sources == standing.sources {
                break found;
            }
        };
        let Index { sources: read, retries, .. } = standing;
        // Of what was begun and never made, what it was to be says where its file lay.
        let left =
            |(key, retry): (TargetKey, Retry)| Some((key.request, retry.left?.record.origin));
        let left: BTreeMap<RequestId, Origin> = retries.into_iter().filter_map(left).collect();
        let desired: BTreeMap<_, _> = desired.into_iter().map(|d| (d.id.clone(), d)).collect();
        let records: BTreeMap<_, _> = records.into_iter().map(|r| (r.id.clone(), r)).collect();
        let mut asked = Vec::new();
        for id in ids {
            let now = desired.get(&id);
            let known = || records.get(&id).map(|r| &r.origin).or_else(|| left.get(&id));
            let origin = now.map(|d| &d.origin).or_else(known);
            let Some(origin) = origin.filter(|o| visit.place.sources.contains(&o.source)) else {
                continue;
            };
            let Some(source) = self.engine.sources().named(&origin.source) else {
                continue;
            };
            let tip = read.get(&origin.source).and_then(|source| source.commit.clone());
            let tip = tip.unwrap_or_else(|| visit.base.clone());
            let commit = bringing(source.mirror(), &origin.path, &tip)?;
            let (content, source) = (now.map(|d| d.content), origin.source.clone());
            asked.push(Asked { id, content, source, commit, tip, again: false });
        }
        Ok(asked)
    }

    /// The pull request that a file came with, from the forge or as it said before.
    pub(super) async fn brought(
        &mut self,
        visit: &Visit<'_>,
        asked: &Asked,
    ) -> Result<Option<Pull>, Trouble> {
        let place = visit.place;
        let Some(commit) = &asked.commit else { return Ok(None) };
        if let Some(pull) = self.merged_here(visit, commit, asked) {
            return Ok(Some(pull));
        }
        let key = (place.repo.clone(), commit.clone());
        let pulls = match self.brought.get(&key) {
            Some(pulls) => pulls.clone(),
            // What one commit brought is asked about once.
            None if self.nobodys.contains(&key) => Vec::new(),
            None => {
                let pulls = self.forge.pulls_of(&place.repo, commit).await?;
                // What is open may be merged a moment later; what was merged stays so.
                match pulls.iter().any(|pull| matches!(pull.state, PullState::Merged { .. })) {
                    true => drop(self.brought.insert(key, pulls.clone())),
                    false => drop(self.nobodys.insert(key)),
                }
                pulls
            }
        };
        let ours = pulls.into_iter().filter(|pull| pull.base == place.branch);
        Ok(ours.filter(|pull| matches!(pull.state, PullState::Merged { .. })).last())
    }

    /// One more was merged: it may be what brought a commit that was taken for pushed directly.
    pub(super) fn doubt_anew(&mut self, now: Timestamp) {
        for doubt in self.doubted.values_mut() {
            doubt.next = doubt.next.min(now);
        }
    }

    /// Of this commit the forge knows no pull request; when it is asked about it next.
    fn doubt(&mut self, commit: &Option<Revision>, now: Timestamp) -> Timestamp {
        let fresh = Doubt { since: now, next: now + DOUBT, times: 0 };
        let doubt = self.doubted.entry(commit.clone()).or_insert(fresh);
        if doubt.next <= now {
            doubt.next = now + (DOUBT * 2_i32.saturating_pow(doubt.times.min(8))).min(DOUBT_MOST);
            doubt.times = doubt.times.saturating_add(1);
        }
        doubt.next
    }

    /// The pull request that a commit came with, as far as what is remembered of them tells.
    fn merged_here(&self, visit: &Visit<'_>, commit: &Revision, asked: &Asked) -> Option<Pull> {
        let source = self.engine.sources().named(visit.place.name())?;
        let mirror = source.mirror();
        let mut here = Vec::new();
        for (key, kept) in self.kept.iter().rev() {
            let PullState::Merged { commit: merged, .. } = &kept.pull.state else { continue };
            // Merged into another branch first, it came to this one in another way.
            if key.source == *visit.place.name() && kept.pull.base == visit.place.branch {
                here.push((merged, kept));
            }
        }
        // Of one whose commit cannot be read the forge is asked, as of one that nobody remembers.
        let is_its = |(merged, _): &&(&Revision, &Kept)| {
            brings(mirror, merged, commit, &asked.tip).unwrap_or_default()
        };
        // Of a rebase the forge names the last commit, and the others are before it.
        let merges: BTreeSet<&Revision> = here.iter().map(|(merged, _)| *merged).collect();
        let is_rebased = |(merged, kept): &&(&Revision, &Kept)| {
            let shown = kept.shown.as_ref().filter(|shown| !shown.unseen);
            let own = shown.and_then(|shown| shown.own.get(&asked.id));
            own.is_some_and(|own| own.is == asked.content)
                && comes_before(mirror, merged, commit, &merges).unwrap_or_default()
                && mirror.is_ancestor(merged, &asked.tip).unwrap_or_default()
        };
        let found = here.iter().find(is_its).or_else(|| here.iter().find(is_rebased));
        found.map(|(_, kept)| kept.pull.clone())
    }

    /// Lets through what a pull request brought, as far as it was reviewed.
    async fn through(
        &mut self,
        visit: &Visit<'_>,
        pull: Pull,
        asked: Vec<Asked>,
        turn: &mut Turn,
    ) -> Result<Vec<PersonWrite>, Trouble> {
        let key = visit.place.key(pull.number);
        if self.silent.contains_key(&key) {
            // What was said of it, and by whom, may be more than is known.
            return Ok(Vec::new());
        }
        if self.kept.get(&key).is_some_and(|kept| !kept.is_merged()) && !self.partly.contains(&key)
        {
            // It was merged after it was looked at, and may have been approved in between: what is let through
            // now would never hear of that.
            turn.is_due((visit.clock)() + BEHIND);
            return Ok(Vec::new());
        }
        let ids: BTreeSet<RequestId> = asked.iter().map(|a| a.id.clone()).collect();
        let question = Question { at: BTreeMap::new(), also: ids, previews: true, blind: false };
        let now = self.engine.review(&question, visit.clock).await?;
        // What was told already keeps back nothing that is new.
        let is_dark = |a: &Asked| a.again && unseen(&now, &[a.id.clone()].into());
        let asked: Vec<Asked> = asked.into_iter().filter(|a| !is_dark(a)).collect();
        let ids: BTreeSet<RequestId> = asked.iter().map(|a| a.id.clone()).collect();
        if unseen(&now, &ids) {
            // What cannot be seen cannot be compared with what was reviewed.
            return Ok(Vec::new());
        }
        self.judge_again(visit, &key).await?;
        let asks = visit.place.sources.iter().any(|name| self.engine.gated.contains(name));
        let reviewed = match self.kept.get(&key).map(Kept::review) {
            Some(Review::Of(shown)) => Some(shown.clone()),
            // A plan that could be written nowhere is none that anybody has reviewed.
            Some(Review::Unsaid) if asks => Some(Shown::nothing(nothing_shown())),
            // Nor is what was merged before there was one: it costs a moment, or a forge that takes any push for the
            // merge of a pull request with the same commits.
            Some(Review::Missed) | None if asks => Some(Shown::nothing(nothing_seen())),
            Some(Review::Unsaid | Review::Missed) | None => None,
        };
        // What was said since the merge was said of what it brought.
        let ended = self.kept.get(&key).and_then(|kept| kept.ended);
        let until = ended.unwrap_or_else(|| (visit.clock)());
        let Withdrawn { digests, mut writes } = self.withdraw(&asked, Some(&now), until).await?;
        writes.extend(self.approvals(&key, &now, digests, until));
        // What comes late as it was reviewed does not wait for those that are asked about still.
        let late: BTreeSet<RequestId> =
            asked.iter().filter(|a| !a.again).map(|a| a.id.clone()).collect();
        let is_more = late == ids
            || compare(reviewed.as_ref(), &now, &late, &shown_now(&now, &late)).is_some();
        let open = if is_more { ids.clone() } else { &ids - &late };
        let parts = apart(reviewed.as_ref(), &now, &open, &pull);
        let changed = parts.changed(reviewed.as_ref(), &now, &pull);
        let mut looked = Vec::with_capacity(asked.len());
        for asked in &asked {
            looked.push(match reviewed.as_ref().filter(|shown| !shown.is_nothing()) {
                Some(shown) => shown.catalog.clone(),
                None => self.looked_first(asked, &now).await?,
            });
        }
        if let Some(known) = self.kept.get(&key) {
            let mut kept = known.clone();
            // Of one that was never seen open, not all that it brought may be known.
            let own = kept.shown.as_mut().map(|shown| &mut shown.own);
            if let Some(own) = own {
                for Asked { id, content, .. } in &asked {
                    let before = || Before { was: None, is: *content };
                    own.entry(id.clone()).or_insert_with(before);
                }
            }
            kept.changed.clone_from(&changed);
            if kept != *known {
                kept.over = false;
                self.keep(visit, &key, kept).await?;
            }
        }
        for (asked, catalog) in asked.into_iter().zip(looked) {
            let bound = reviewed.as_ref().map_or_else(unreviewed, |shown| shown.bound(&asked.id));
            // Where all of it is as it was reviewed already, it binds nothing any more.
            let more = parts.bound(&now, &asked.id);
            let is_done = more.is_none() && !bound.is_unseen() && is_settled(&now, &asked.id);
            let bound = (!is_done).then_some(Bound { catalog, ..bound });
            writes.push(through(asked, Some(pull.number), (bound, more)));
        }
        Ok(writes)
    }

    /// The catalog's commit with which it was looked at first after the merge, of what nobody was shown before.
    async fn looked_first(
        &self,
        asked: &Asked,
        now: &Reviewed,
    ) -> Result<Option<Revision>, Trouble> {
        let known = self.passage_of(asked).await?;
        let known = known.and_then(|passage| passage.bound).and_then(|bound| bound.catalog);
        Ok(known.or_else(|| now.catalog.clone()))
    }

    /// Whoever said yes may have left the team since, or may not write any more, and nobody tells of that: what
    /// counts is who they are when it is let through.
    async fn judge_again(&mut self, visit: &Visit<'_>, key: &PullKey) -> Result<(), Trouble> {
        let Some(known) = self.kept.get(key) else { return Ok(()) };
        let mut kept = known.clone();
        kept.fall_back();
        self.judge(visit, &mut kept).await?;
        if self.kept.get(key) != Some(&kept) {
            kept.over = false;
            self.keep(visit, key, kept).await?;
        }
        Ok(())
    }

    /// What reviewers approved is approved, of what is asked for now or was `withdrawn`.
    ///
    /// They said so before the merge, which was at `at` as we saw it: what another pull request brought and was
    /// merged later withdraws that.
    fn approvals(
        &self,
        key: &PullKey,
        now: &Reviewed,
        withdrawn: BTreeSet<Digest>,
        at: Timestamp,
    ) -> Vec<PersonWrite> {
        let Some(kept) = self.kept.get(key) else { return Vec::new() };
        let Some(shown) = &kept.shown else { return Vec::new() };
        let mut asked = withdrawn;
        asked.extend(super::judge::needs(now).into_iter().map(|(digest, _)| digest));
        // Rules count people, those who come later too. What anybody may approve who may write is one
        // person's word: while it is missing, nobody else's may stand in for it.
        let open: BTreeSet<Digest> = shown
            .needs
            .iter()
            .filter(|(_, need)| need.teams.is_empty() && !need.is_met())
            .map(|(digest, _)| *digest)
            .collect();
        let counts = shown.needs.iter().filter(|(d, _)| asked.contains(d) && !open.contains(d));
        let given: BTreeSet<(Digest, &String)> =
            counts.flat_map(|(d, need)| need.had.iter().map(|who| (*d, who))).collect();
        let approval = |(digest, who): (Digest, &String)| {
            // Of the teams that were asked about, theirs: a rule that is newer asks for its own.
            let teams = Some(shown.teams.get(who).into_iter().flatten().cloned().collect());
            let by_id = kept.verdicts.iter().find(|v| v.by == *who).and_then(|v| v.by_id);
            PersonWrite::Approve(Approval { digest, by: who.clone(), by_id, teams, at })
        };
        given.into_iter().map(approval).collect()
    }
}

/// Whether the merge `merged`, on the branch at `tip`, is what brought `commit` there.
fn brings(
    mirror: &Mirror,
    merged: &Revision,
    commit: &Revision,
    tip: &Revision,
) -> Result<bool, GitError> {
    if !mirror.is_ancestor(merged, tip)? {
        return Ok(false);
    }
    Ok(merged == commit
        || mirror.is_ancestor(commit, merged)?
            && match mirror.first_parent(merged)? {
                Some(parent) => !mirror.is_ancestor(commit, &parent)?,
                None => true,
            })
}

/// Whether a commit is one of those right before the merge `merged` on its branch, after any other of `merges`.
fn comes_before(
    mirror: &Mirror,
    merged: &Revision,
    commit: &Revision,
    merges: &BTreeSet<&Revision>,
) -> Result<bool, GitError> {
    let mut at = merged.clone();
    for _ in 0..REBASED {
        match mirror.first_parent(&at)? {
            Some(parent) if parent == *commit => return Ok(true),
            Some(parent) if !merges.contains(&parent) => at = parent,
            _ => return Ok(false),
        }
    }
    Ok(false)
}

fn through(
    asked: Asked,
    pull: Option<u64>,
    (bound, changed): (Option<Bound>, Option<Bound>),
) -> PersonWrite {
    let Asked { id, content, source: _, commit, tip: _, again: _ } = asked;
    let passage = Box::new(Passage { content, commit, pull, bound, changed });
    PersonWrite::Passage { request: id, passage }
}

/// What stands for a review that there was none of.
fn unreviewed() -> Bound {
    let (plan, steps, needs) = (nothing_reviewed(), Vec::new(), Vec::new());
    Bound { plan, steps, shown: false, needs, takeover: None, terms: None, catalog: None }
}

/// What would be done now to these requests, as it is shown.
pub(super) fn shown_now(now: &Reviewed, ids: &BTreeSet<RequestId>) -> Shown {
    let mine = |step: &&Step| ids.contains(&step.target.key.request);
    let steps = now.released.steps.iter().filter(mine).cloned().collect();
    let plan = Plan { steps, ..Plan::default() };
    Shown::new(Revision::new(""), &plan, Vec::new(), BTreeMap::new(), Stage::Planned)
        .with_terms(super::judge::terms(now, ids))
        .made_with(now.catalog.clone())
}

/// Whether a target of theirs could not be looked at.
fn unseen(now: &Reviewed, ids: &BTreeSet<RequestId>) -> bool {
    now.plan.holds.iter().any(|hold| {
        ids.contains(&hold.request) && matches!(hold.reason, HoldReason::NotObserved { .. })
    })
}

/// What would be done now that was not reviewed, if anything.
pub(super) fn compare(
    reviewed: Option<&Shown>,
    now: &Reviewed,
    ids: &BTreeSet<RequestId>,
    after: &Shown,
) -> Option<Changed> {
    let mine = |step: &&Step| ids.contains(&step.target.key.request);
    let known: BTreeSet<Digest> =
        reviewed.into_iter().flat_map(|shown| &shown.steps).map(|step| step.digest).collect();
    let is_more = |step: &&Step| match reviewed {
        Some(_) => !plan::reviewed_as(step).iter().any(|step| known.contains(&step.digest())),
        // Nobody was shown a plan: what takes nothing away is what the file says.
        None => matches!(step.action, Action::Delete | Action::Replace),
    };
    let more: Vec<&Step> = now.released.steps.iter().filter(mine).filter(is_more).collect();
    let kept = Terms::as_recorded();
    let is_other = |reviewed: &Shown| {
        let seen = |id: &RequestId| reviewed.terms.get(id).unwrap_or(&kept);
        after.terms.iter().any(|(id, terms)| !terms.is_within(seen(id)))
    };
    // Of what nobody saw, also what else would be written down, such as that it is left alone.
    let unlooked = reviewed.is_some_and(Shown::is_nothing).then(|| unsettled(now, ids));
    let unlooked = unlooked.unwrap_or_default();
    if more.is_empty() && !reviewed.is_some_and(is_other) && unlooked.is_empty() {
        return None;
    }
    // What else came with it may be done already, and does not come any more.
    let before = reviewed.map(|shown| shown.of(ids));
    let silent = |id: &&RequestId| {
        !after.terms.contains_key(*id) && !after.steps.iter().any(|step| step.request == **id)
    };
    let recorded = unlooked.into_iter().filter(silent).map(|id| format!("record {id}"));
    let lines = before.as_ref().map_or_else(|| after.lines(after), |before| after.lines(before));
    Some(Changed {
        reviewed: reviewed.map_or_else(nothing_reviewed, |shown| shown.digest),
        now: after.digest,
        before: before.as_ref().map(|before| before.lines(after)).unwrap_or_default(),
        after: lines.into_iter().chain(recorded).collect(),
        differs: before.as_ref().map(|before| after.differs(before)).unwrap_or_default(),
        rendered: rewritten(reviewed, now, &more),
        apart: Vec::new(),
    })
}

/// What is asked about these requests, as a part of one merge: which they are, and what a record would say anew.
pub(super) fn asked_of(
    now: &Reviewed,
    ids: &BTreeSet<RequestId>,
) -> BTreeMap<RequestId, Option<Digest>> {
    let open: BTreeSet<&RequestId> = unsettled(now, ids).into_iter().collect();
    let said = |id: &RequestId| {
        let desired = now.desired.get(id).filter(|_| open.contains(id));
        desired.and_then(|desired| Some(desired.as_ref()?.fingerprint()))
    };
    ids.iter().map(|id| (id.clone(), said(id))).collect()
}

/// Requests whose records would say something else, whether anything is done to them or not.
fn unsettled<'a>(now: &Reviewed, ids: &'a BTreeSet<RequestId>) -> Vec<&'a RequestId> {
    let is_known = |id: &RequestId| {
        let spec = now.desired.get(id).and_then(|desired| desired.as_ref()?.spec());
        spec.is_some() && now.records.contains_key(id)
    };
    ids.iter().filter(|id| is_known(id) && !is_settled(now, id)).collect()
}

/// Whether a record says all that a request's file asks for.
fn is_settled(now: &Reviewed, id: &RequestId) -> bool {
    let spec = now.desired.get(id).and_then(|desired| desired.as_ref()?.spec());
    let settled = now.records.get(id).and_then(|record| record.settled);
    spec.is_some_and(|spec| settled == Some(spec.fingerprint()))
}

/// What has become of the rendered files of steps since they were reviewed.
fn rewritten(reviewed: Option<&Shown>, now: &Reviewed, more: &[&Step]) -> Vec<Rewritten> {
    let mut room = REWRITTEN;
    let mut all = Vec::new();
    for step in more {
        let Some(new) = step.artifact.and_then(|digest| now.artifacts.get(&digest)) else {
            continue;
        };
        let key = &step.target.key;
        let was = reviewed.and_then(|shown| shown.rendered.get(&key.to_string()));
        let applied = step.from.and_then(|digest| now.artifacts.get(&digest));
        let old = was.or(applied).map(AsRef::as_ref);
        let lines = report::pull::rewritten(old, new, room);
        if !lines.is_empty() {
            room = room.saturating_sub(lines.iter().map(|line| line.len() + 1).sum());
            all.push(Rewritten { target: key.clone(), reviewed: was.is_some(), lines });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ComponentName, InstanceId, Map, Remark, Target, TargetKey, TargetName};

    fn planned(action: Action, remarks: Vec<Remark>) -> Reviewed {
        let request = RequestId::parse("a/dev/one").unwrap();
        let key = TargetKey { request, component: ComponentName::new("main") };
        let instance = InstanceId::new("i");
        let name = TargetName::compute(&instance, &key);
        let provider = "files".into();
        let target = Target { name, key, instance, provider, settings: Map::new(), id: None };
        let step = Step {
            target,
            action,
            artifact: Some(crate::digest::sha256(b"text")),
            from: None,
            mark: None,
            moved_from: None,
            after: Vec::new(),
            unknown: Vec::new(),
            remarks,
            preview: None,
            released: Vec::new(),
            needs: Vec::new(),
            locked: false,
        };
        let released = Plan { steps: vec![step], ..Plan::default() };
        Reviewed { released, ..Reviewed::default() }
    }

    #[test]
    fn what_is_made_and_not_yet_recorded_is_no_other_plan() {
        let ids = BTreeSet::from([RequestId::parse("a/dev/one").unwrap()]);
        let shown = shown_now(&planned(Action::Create, Vec::new()), &ids);
        let changed = |action, remarks| {
            let now = planned(action, remarks);
            compare(Some(&shown), &now, &ids, &shown_now(&now, &ids)).is_some()
        };
        assert!(!changed(Action::Create, Vec::new()));
        assert!(!changed(Action::Update, Vec::new()), "a pass has made it meanwhile");
        assert!(changed(Action::Update, vec![Remark::Adopts]), "somebody else has");
        assert!(changed(Action::Replace, Vec::new()));
    }
}
