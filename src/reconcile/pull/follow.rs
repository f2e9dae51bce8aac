//! What became of pull requests that were merged or closed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use tracing::Instrument as _;

use super::kept::{Before, Kept, Shown};
use super::passage::DOUBT;
use super::silent::Silence;
use super::spoken::still_asked;
use super::{Reviewer, Trouble, Turn, Visit};
use crate::digest::Digest;
use crate::forge::{ForgeError, marker};
use crate::git::{GitError, Mirror};
use crate::model::{
    Action, Brief, Hold, Life, Part, Plan, Pull, PullKey, PullState, RequestId, RequestPhase,
    Revision, Shared, SourceName, Sources, Stage, Status,
};
use crate::reconcile::pass::told_key;
use crate::reconcile::source::Source;
use crate::reconcile::view;
use crate::report;
use crate::report::expiry;

/// Others' parts in what one yes is for that are named.
const PARTS: usize = 50;

/// How long until a status that is behind, a merge that came after its pull request was looked at, or what could not
/// be said of an end, is looked at again.
pub(super) const BEHIND: SignedDuration = SignedDuration::from_secs(5);

impl Reviewer {
    /// Tells how each one of this branch gets on that was merged, and of closed ones that they are.
    pub(super) async fn follow_all(
        &mut self,
        visit: &Visit<'_>,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let now = (visit.clock)();
        let told = self.told(visit).await?.map(|(_, told)| told);
        let is_due = |key: &PullKey, kept: &Kept| {
            let is_asked = self.rerun.contains(key);
            // What was taken from a branch may come back to it.
            let may_be_back = kept.dropped && told.as_ref() != self.undropped.get(key);
            !kept.over || is_asked || may_be_back || kept.again.is_some_and(|at| at <= now)
        };
        let keys: Vec<PullKey> = self
            .kept
            .iter()
            .filter(|(key, kept)| {
                let is_open = kept.pull.state == PullState::Open;
                key.source == *visit.place.name() && !is_open && is_due(key, kept)
            })
            .map(|(key, _)| key.clone())
            .collect();
        let mut silence = Silence::default();
        for key in keys {
            if self.is_silent(&key, now, turn) {
                continue;
            }
            let span = tracing::info_span!("pull", repo = %visit.place.repo, number = key.number);
            let followed = async {
                let followed = self.follow(visit, &key, turn).await;
                self.own_trouble(visit, &key, followed).await
            };
            let followed = followed.instrument(span).await;
            self.unless_silent(visit, &key, followed, &mut silence, turn)?;
        }
        let due = self.wanted.values().filter_map(|wanted| wanted.not_before).min();
        // What could not be said is not tried all the time.
        let ends = self.kept.values().filter_map(|kept| kept.again).min();
        let ends = ends.map(|at| at.max(now + BEHIND));
        turn.due = turn.due.into_iter().chain(due).chain(ends).min();
        Ok(())
    }

    async fn follow(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let Some(mut kept) = self.kept.get(key).cloned() else { return Ok(()) };
        self.asked_again(visit, key, &mut kept, turn).await?;
        let PullState::Merged { commit, .. } = kept.pull.state.clone() else {
            let brief = self.brief_of(&kept, Stage::Closed);
            self.want(visit, key, &kept, &brief, (&Default::default(), false));
            return self.tell(visit, key, kept, true).await;
        };
        self.take_stock(visit, &mut kept).await?;
        let own: BTreeMap<RequestId, Before> =
            kept.shown.as_ref().map(|shown| shown.own.clone()).unwrap_or_default();
        if kept.dropped && self.is_back(visit, key, &commit).await? {
            (kept.dropped, kept.over) = (false, false);
        }
        kept.dropped = kept.dropped || self.is_dropped(visit, key, &kept, &commit).await?;
        if kept.dropped {
            let brief = self.brief_of(&kept, Stage::Dropped { commit });
            self.want(visit, key, &kept, &brief, (&Default::default(), false));
            return self.tell(visit, key, kept, true).await;
        }
        kept.arrived |= kept.over || self.has_arrived(visit, &commit).await?;
        let is_own = |id: &RequestId| own.contains_key(id);
        let applying = view::applying(self.store.as_ref(), &is_own).await?;
        // Before the statuses: what was held a moment ago and is not any more reads as that.
        let now = self.store.standing().await?;
        let (holds, others): (Vec<Hold>, Vec<Hold>) =
            now.holds.into_iter().map(|row| row.hold).partition(|hold| is_own(&hold.request));
        let shared = self.shared(visit, &holds, &others).await?;
        let holds = self.held_anew(holds, &now.approvals).await?;
        let standing = self.standing(&own).await?;
        let is_over = kept.arrived && is_settled(&own, &standing);
        if is_over && !kept.over {
            self.quiet.extend(own.keys().cloned());
        }
        kept.over &= is_over;
        let known = standing.iter().filter_map(|s| Some((s.metadata.id.clone(), s.expires_at?)));
        kept.ends.extend(known);
        kept.again = self.next_end(&standing, (visit.clock)());
        let nothing = own.is_empty() && kept.comment.is_none();
        if !nothing {
            let changed = kept.changed.clone();
            let changed = changed.and_then(|told| still_asked(told, &holds, &now.approvals));
            let stage = Stage::Merged { commit: commit.clone(), changed };
            let base = Some(commit.clone());
            let mut brief = self.brief_of(&kept, stage);
            // What had an end and is there no more has come to it.
            let stands = |id: &RequestId| standing.iter().any(|s| s.metadata.id == *id);
            for step in &mut brief.plan.steps {
                let id = &step.target.key.request;
                if kept.ends.contains_key(id) && !stands(id) && is_over {
                    step.action = Action::Delete;
                }
            }
            let brief = match kept.arrived {
                true => Brief { standing, holds, shared, applying, base, ..brief },
                // What is under way may be of the time before as well.
                false => {
                    let is_read = self.is_read(visit, &commit, &now.sources)?;
                    let applying = if is_read { applying } else { Vec::new() };
                    let troubles = visit.troubles.clone();
                    Brief { awaited: true, troubles, applying, base, ..brief }
                }
            };
            self.want(visit, key, &kept, &brief, (&Default::default(), !is_over));
        }
        self.tell(visit, key, kept, is_over).await
    }

    /// Of a merged one that was never seen open, fills in whose files it brought.
    pub(super) async fn take_stock(
        &self,
        visit: &Visit<'_>,
        kept: &mut Kept,
    ) -> Result<(), Trouble> {
        let PullState::Merged { commit, .. } = &kept.pull.state else { return Ok(()) };
        if kept.shown.is_some() {
            return Ok(());
        }
        let own = match self.brought_by(visit, &kept.pull, commit).await {
            // The next pass fetches it.
            Err(Trouble::Git(GitError::Missing { .. })) => return Ok(()),
            other => other?,
        };
        let stage = if own.is_empty() { Stage::Nothing } else { Stage::Planned };
        let head = kept.pull.head.clone();
        let unseen = !self.was_told(visit, kept.pull.number).await?;
        let shown = Shown::new(head, &Plan::default(), Vec::new(), own, stage);
        kept.shown = Some(Shown { plan: None, unseen, ..shown });
        if !unseen {
            kept.seen();
        }
        Ok(())
    }

    /// Whether a comment of ours stands there: somebody was shown a plan, and whoever showed it was ended
    /// before that was kept. Nobody knows which plan it was.
    async fn was_told(&self, visit: &Visit<'_>, number: u64) -> Result<bool, Trouble> {
        let repo = &visit.place.repo;
        let marker = marker(&self.secret.unwrap_or_default(), "comment", repo, number);
        let remarks = self.forge.remarks(repo, number, None).await?;
        Ok(remarks.iter().any(|remark| remark.body.contains(&marker)))
    }

    /// Lets one go that is aimed at another branch now: its plan is not what would come of it any more.
    /// Where nobody here reads that branch, that is said; else whoever does says what is to be said.
    pub(super) async fn leave(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        pull: Pull,
    ) -> Result<(), Trouble> {
        let Some(kept) = self.kept.get(key).cloned() else { return Ok(()) };
        let is_read =
            self.places.iter().any(|p| p.repo == visit.place.repo && p.branch == pull.base);
        let is_silent = kept.comment.is_none() && kept.checks.is_empty();
        if is_read || is_silent {
            return self.forget(visit, key).await;
        }
        let stage = Stage::Elsewhere { base: pull.base.clone() };
        let mut kept = Kept { pull, ..kept };
        let brief = self.brief_of(&kept, stage);
        self.want(visit, key, &kept, &brief, (&Default::default(), false));
        let said = self.publish(visit, key, &mut kept).await;
        if matches!(said, Ok(true) | Err(Trouble::Forge(ForgeError::Refused { .. }))) {
            return self.forget(visit, key).await;
        }
        // What was said of it is remembered, and the rest is said by the next turn.
        let known = self.kept.get(key).map(|known| known.pull.clone());
        if let Some(pull) = known {
            self.keep(visit, key, Kept { pull, ..kept }).await?;
        }
        said.map(drop)
    }

    /// When something is to be said of an end next. A status that does not say yet what the time is
    /// for is behind: its pass is looked after again soon.
    fn next_end(&self, standing: &[Status], now: Timestamp) -> Option<Timestamp> {
        let warn = &self.engine.config().settings.expiry.warn;
        let next = standing.iter().filter_map(|status| {
            let ends = status.expires_at?;
            let (_, _, message) = expiry::condition(ends, warn, now);
            let is_said = expiry::said(status).is_some_and(|said| said.message == message);
            if is_said { Life::next_mark(ends, warn, now) } else { Some(now + BEHIND) }
        });
        next.min()
    }

    /// Says it. With `last`, it is over once that was said: not before, since whoever is killed in
    /// between must say it after the next start. What the forge refuses is not said for ever.
    async fn tell(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        mut kept: Kept,
        last: bool,
    ) -> Result<(), Trouble> {
        let said = self.publish(visit, key, &mut kept).await;
        let is_refused = matches!(said, Err(Trouble::Forge(ForgeError::Refused { .. })));
        kept.over |= last && (is_refused || matches!(said, Ok(true)));
        self.keep(visit, key, kept).await?;
        said.map(drop)
    }

    /// Whether a pass has ended that worked on the branch with this commit in it: before that, what
    /// is announced is of the time before.
    async fn has_arrived(&self, visit: &Visit<'_>, commit: &Revision) -> Result<bool, Trouble> {
        let Some((mirror, told)) = self.told(visit).await? else { return Ok(false) };
        Ok(mirror.is_ancestor(commit, &told)?)
    }

    /// The commit of the branch that the last pass has worked on and ended.
    async fn told(&self, visit: &Visit<'_>) -> Result<Option<(Mirror, Revision)>, Trouble> {
        let value = self.store.value(&told_key()).await?;
        let mut told: BTreeMap<SourceName, Revision> =
            value.and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default();
        let ours =
            |s: &&Source| visit.place.sources.contains(&s.name) && told.contains_key(&s.name);
        let Some(source) = self.engine.sources().all().find(ours) else { return Ok(None) };
        Ok(told.remove(&source.name).map(|told| (source.mirror().clone(), told)))
    }

    /// Whether a merge is not on its branch any more, and no pass has seen it there: the branch was
    /// rewritten, and goes on from what passes work on. That is asked once for each such commit, and only
    /// of what is late.
    async fn is_dropped(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        kept: &Kept,
        commit: &Revision,
    ) -> Result<bool, Trouble> {
        let now = (visit.clock)();
        let is_late = kept.ended.is_some_and(|ended| now.duration_since(ended) >= DOUBT);
        // A history that nobody has accepted yet may be taken back.
        if kept.arrived || kept.over || !is_late || !visit.troubles.is_empty() {
            return Ok(false);
        }
        let Some((mirror, told)) = self.told(visit).await? else { return Ok(false) };
        if mirror.is_ancestor(commit, &told)? || self.undropped.get(key) == Some(&told) {
            return Ok(false);
        }
        // What is wrong with a branch that cannot be fetched is a pass's to say.
        let Ok(Some(tip)) = mirror.fetch().await else { return Ok(false) };
        let goes_on = mirror.is_ancestor(&told, &tip)?;
        if goes_on && !mirror.is_ancestor(commit, &tip)? {
            return Ok(true);
        }
        self.undropped.insert(key.clone(), told);
        Ok(false)
    }

    /// Whether a merge that was taken from its branch is on it again, as a pass has seen. That is asked once for
    /// each commit that passes work on.
    async fn is_back(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        commit: &Revision,
    ) -> Result<bool, Trouble> {
        let Some((mirror, told)) = self.told(visit).await? else { return Ok(false) };
        let is_back = mirror.is_ancestor(commit, &told)?;
        self.undropped.insert(key.clone(), told);
        Ok(is_back)
    }

    /// What else the yes is for that some holds wait for.
    async fn shared(
        &self,
        visit: &Visit<'_>,
        holds: &[Hold],
        others: &[Hold],
    ) -> Result<Vec<Shared>, Trouble> {
        let asks = |hold: &Hold| report::hold::digest(&hold.reason);
        let digests: BTreeSet<Digest> = holds.iter().filter_map(asks).collect();
        let mut all = Vec::new();
        for digest in digests {
            let theirs = others.iter().filter(|hold| asks(hold) == Some(digest));
            let ids: BTreeSet<&RequestId> = theirs.map(|hold| &hold.request).collect();
            if ids.is_empty() {
                continue;
            }
            let first: Vec<RequestId> = ids.iter().take(PARTS).copied().cloned().collect();
            let desired = self.store.desired(&first).await?;
            let records = self.store.records(&first).await?;
            let mut parts = Vec::new();
            for request in first {
                let now = desired.iter().find(|d| d.id == request).map(|d| &d.origin);
                let was = || records.iter().find(|r| r.id == request).map(|r| &r.origin);
                let origin = now.or_else(was);
                // Others may read what lies elsewhere: it is counted, and not named.
                if origin.is_none_or(|o| !visit.place.sources.contains(&o.source)) {
                    continue;
                }
                let passage = self.passage_at(&request).await?;
                let pull = passage.and_then(|passage| passage.pull).map(|number| {
                    let kept = self.kept.get(&visit.place.key(number));
                    (number, kept.map(|kept| kept.pull.author.clone()))
                });
                parts.push(Part { request, pull });
            }
            let more = ids.len() - parts.len();
            all.push(Shared { digest, others: parts, more });
        }
        Ok(all)
    }

    /// Whether a pass has read the branch with this commit in it, and may be at work on it.
    fn is_read(
        &self,
        visit: &Visit<'_>,
        commit: &Revision,
        sources: &Sources,
    ) -> Result<bool, Trouble> {
        for source in self.engine.sources().all() {
            let read = sources.get(&source.name).and_then(|record| record.commit.as_ref());
            if let Some(read) = read.filter(|_| visit.place.sources.contains(&source.name)) {
                return Ok(source.mirror().is_ancestor(commit, read)?);
            }
        }
        Ok(false)
    }

    async fn standing(&self, own: &BTreeMap<RequestId, Before>) -> Result<Vec<Status>, Trouble> {
        let ids: Vec<RequestId> = own.keys().cloned().collect();
        let rows = self.store.statuses(&ids).await?;
        let read = rows.iter().filter_map(|row| Status::deserialize(&row.document).ok());
        Ok(read.collect())
    }

    /// The requests whose files a pull request changed that was never seen open: those of the commit that it
    /// was merged as, and, since a rebase makes many of which that is the last, those of its own commits.
    async fn brought_by(
        &self,
        visit: &Visit<'_>,
        pull: &Pull,
        commit: &Revision,
    ) -> Result<BTreeMap<RequestId, Before>, Trouble> {
        let mut own = BTreeMap::new();
        let head = self.head_of(visit, pull).await?;
        for source in self.engine.sources().requests.iter() {
            if !visit.place.sources.contains(&source.name) {
                continue;
            }
            let mirror = source.mirror();
            let folder = source.watched_folder();
            let Some(parent) = mirror.first_parent(commit)? else { continue };
            let parted = match &head {
                Some(head) => mirror.merge_base(head, &parent)?,
                None => None,
            };
            let its_own = parted.as_ref().zip(head.as_ref());
            for (then, now) in [(&parent, commit)].into_iter().chain(its_own) {
                let (then, now) = (mirror.tree(then, &folder)?, mirror.tree(now, &folder)?);
                for delta in mirror.diff(then, now)? {
                    let path = crate::reconcile::source::join(&folder, &delta.path);
                    if let Some(id) = source.request_at(&path) {
                        own.insert(id, Before { was: None, is: None });
                    }
                }
            }
        }
        let ids: Vec<RequestId> = own.keys().cloned().collect();
        for desired in self.store.desired(&ids).await? {
            own.insert(desired.id.clone(), Before { was: None, is: Some(desired.content) });
        }
        Ok(own)
    }
}

impl Reviewer {
    /// The head of a merged pull request, fetched where it is not here; `None`: it cannot be had.
    async fn head_of(&self, visit: &Visit<'_>, pull: &Pull) -> Result<Option<Revision>, Trouble> {
        let source = self.engine.sources().named(visit.place.name());
        let Some(mirror) = source.map(|source| source.mirror()) else { return Ok(None) };
        if mirror.pull_head(pull.number)?.as_ref() != Some(&pull.head)
            && let Err(error) = mirror.fetch_pulls(&[pull.number]).await
        {
            let (number, error) = (pull.number, crate::error::chain(&error));
            tracing::info!(number, error, "the head of a merged pull request cannot be had");
            return Ok(None);
        }
        Ok(mirror.pull_head(pull.number)?.filter(|head| *head == pull.head))
    }
}

/// Whether there is nothing more to wait for: each is as its file asks, or gone.
fn is_settled(own: &BTreeMap<RequestId, Before>, standing: &[Status]) -> bool {
    own.keys().all(|id| {
        let status = standing.iter().find(|s| s.metadata.id == *id);
        status.is_none_or(|s| matches!(s.phase, RequestPhase::Ready | RequestPhase::Suspended))
    })
}
