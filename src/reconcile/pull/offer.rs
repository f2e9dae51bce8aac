//! What is proposed without being asked: newer versions, one pull request for each version and team; and
//! that files whose time is over are removed, one for each request.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Reviewer, Trouble, Turn, Visit};
use crate::digest::{self, Digest};
use crate::error::chain;
use crate::fault::point;
use crate::git::Edit;
use crate::model::{Fate, HoldReason, RequestId, Revision, SourceName};
use crate::reconcile::offer::{self, Offer, Offered};
use crate::reconcile::propose::{self, Change, Desk, Known, Outcome, ProposeError};
use crate::reconcile::review::Question;
use crate::report;
use crate::report::upgrade::{Left, Reason};
use crate::store::{ASIDE, Index, Write};

/// What the names of these proposals begin with.
const UPGRADE: &str = "upgrade";
const EXPIRE: &str = "expire";

/// Removals that are proposed at once in one repository; the others come when people have seen to some.
const REMOVALS: usize = 20;

/// How often removals that stand are looked after although nothing has changed here.
const LOOK: SignedDuration = SignedDuration::from_mins(10);

/// What is remembered of one branch's proposals of a kind.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Proposals {
    /// When it was looked last for what could be proposed.
    looked: Option<Timestamp>,
    /// What that was made of.
    #[serde(default)]
    inputs: Option<Digest>,
    /// By branch of ours.
    branches: BTreeMap<String, Standing>,
}

/// How one stands.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
struct Standing {
    known: Known,
    /// Its pull request is open.
    open: bool,
    /// There is nothing more of it.
    gone: bool,
}

impl Proposals {
    /// Whether it is open already, or may be opened.
    fn has_room(&self, branch: &str, limit: usize) -> bool {
        let open = self.branches.values().filter(|standing| standing.open).count();
        self.branches.get(branch).is_some_and(|standing| standing.open) || open < limit
    }
}

impl From<ProposeError> for Trouble {
    fn from(error: ProposeError) -> Self {
        match error {
            ProposeError::Git(error) => Self::Git(error),
            ProposeError::Forge(error) => Self::Forge(error),
            ProposeError::Kept(error) => Self::Pass(error),
        }
    }
}

impl Reviewer {
    /// Proposes what is due. Trouble with that delays nothing else that is said there.
    pub(super) async fn offer_if_due(
        &mut self,
        visit: &Visit<'_>,
        standing: &Index,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let (repo, now) = (&visit.place.repo, (visit.clock)());
        if let Some((_, until)) = self.unoffered.get(repo).filter(|(_, until)| *until > now) {
            turn.is_due(*until);
            return Ok(());
        }
        let mut offered = self.offer(visit, turn).await;
        if offered.is_ok() {
            offered = self.offer_removals(visit, standing, turn).await;
        }
        match offered {
            Err(Trouble::Pass(error)) => Err(Trouble::Pass(error)),
            Err(error) => {
                let until = super::wait(&mut self.unoffered, repo, &error, (visit.clock)());
                let error = chain(&error);
                tracing::warn!(%repo, error, %until, "what is to be proposed waits");
                turn.is_due(until);
                Ok(())
            }
            Ok(()) => {
                self.unoffered.remove(repo);
                Ok(())
            }
        }
    }

    async fn offer(&mut self, visit: &Visit<'_>, turn: &mut Turn) -> Result<(), Trouble> {
        let settings = self.engine.config().settings.upgrades.clone();
        let sources = offer::of_requests(&self.engine, &visit.place.sources);
        if !settings.propose || sources.is_empty() {
            return Ok(());
        }
        let now = (visit.clock)();
        let mut all = self.proposals(visit, UPGRADE).await?;
        if let Some(next) = all.looked.map(|looked| looked + settings.interval)
            && next > now
        {
            turn.is_due(next);
            return Ok(());
        }
        let takes = |name: &str| {
            settings.templates.is_empty() || settings.templates.iter().any(|t| t == name)
        };
        let Offered { offers, at } = self.engine.offers(&sources, &takes, visit.clock).await?;
        let Some(base) = at.values().next().cloned() else { return Ok(()) };
        let wanted: BTreeSet<String> =
            offers.iter().map(|o| propose::branch(UPGRADE, &o.name())).collect();
        self.take_back_others(visit, (UPGRADE, &base), &wanted, &mut all).await?;
        for offer in offers {
            if all.has_room(&propose::branch(UPGRADE, &offer.name()), settings.limit) {
                let offer = self.without_errors(visit, (&base, &sources), offer).await?;
                if !offer.edited.is_empty() {
                    let change = change(&offer, settings.labels.clone());
                    self.bring(visit, &base, &change, &mut all).await?;
                }
            }
        }
        all.looked = Some(now);
        turn.is_due(now + settings.interval);
        Ok(self.keep_proposals(visit, UPGRADE, &all).await?)
    }

    /// Proposes that files go whose time is over, where nothing comes to the branch but by pull requests.
    async fn offer_removals(
        &mut self,
        visit: &Visit<'_>,
        standing: &Index,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let over = self.over(visit, standing).await?;
        let mut all = self.proposals(visit, EXPIRE).await?;
        let (now, inputs) = ((visit.clock)(), digest::of(&(&visit.base, &over)));
        let next = all.looked.filter(|_| all.inputs == Some(inputs)).map(|looked| looked + LOOK);
        if over.is_empty() && all.branches.values().all(|standing| standing.gone) {
            return Ok(());
        }
        if let Some(next) = next.filter(|next| *next > now) {
            turn.is_due(next);
            return Ok(());
        }
        let changes: Vec<Change> = over
            .iter()
            .map(|(id, (path, since))| Change {
                kind: EXPIRE,
                name: format!("{id}-{}", since.as_second()),
                edits: vec![Edit { path: path.clone(), content: None }],
                message: report::expiry::message(&[(id, *since)]),
                title: report::expiry::title(id),
                body: report::expiry::proposal(id, path, *since),
                labels: Vec::new(),
            })
            .collect();
        let wanted: BTreeSet<String> = changes.iter().map(Change::branch).collect();
        self.take_back_others(visit, (EXPIRE, &visit.base), &wanted, &mut all).await?;
        for change in changes {
            if all.has_room(&change.branch(), REMOVALS) {
                self.bring(visit, &visit.base, &change, &mut all).await?;
            }
        }
        (all.looked, all.inputs) = (Some(now), Some(inputs));
        turn.is_due(now + LOOK);
        Ok(self.keep_proposals(visit, EXPIRE, &all).await?)
    }

    /// The requests of this branch whose files are to go by a pull request: path and end of each.
    async fn over(
        &self,
        visit: &Visit<'_>,
        standing: &Index,
    ) -> Result<BTreeMap<RequestId, (String, Timestamp)>, Trouble> {
        let since: BTreeMap<RequestId, Timestamp> = standing
            .holds
            .iter()
            .filter_map(|row| match row.hold.reason {
                HoldReason::Expired { since, fate: Fate::PullRequest } => {
                    Some((row.hold.request.clone(), since))
                }
                _ => None,
            })
            .collect();
        let ids: Vec<RequestId> = since.keys().cloned().collect();
        let desired = self.store.desired(&ids).await?.into_iter();
        let here = desired.filter(|d| visit.place.sources.contains(&d.origin.source));
        Ok(here.map(|d| (d.id.clone(), (d.origin.path.to_string(), since[&d.id]))).collect())
    }

    /// Takes back those that are not wanted any more.
    async fn take_back_others(
        &mut self,
        visit: &Visit<'_>,
        (kind, base): (&'static str, &Revision),
        wanted: &BTreeSet<String>,
        all: &mut Proposals,
    ) -> Result<(), Trouble> {
        let rest: Vec<String> =
            all.branches.keys().filter(|branch| !wanted.contains(*branch)).cloned().collect();
        for branch in rest {
            self.take_back(visit, kind, (base, &branch), all).await?;
        }
        Ok(())
    }

    /// An offer without the files that would have errors then: a pull request that cannot be merged
    /// helps nobody.
    async fn without_errors(
        &mut self,
        visit: &Visit<'_>,
        (base, sources): (&Revision, &BTreeSet<SourceName>),
        mut offer: Offer,
    ) -> Result<Offer, Trouble> {
        let mirror = self.mirror(visit)?;
        let message = report::upgrade::message(&offer.edited);
        let Some(made) = mirror.commit(Some(base), &offer.edits(), &message, (visit.clock)())?
        else {
            return Ok(offer);
        };
        let at = sources.iter().map(|name| (name.clone(), made.clone())).collect();
        let question = Question { at, also: BTreeSet::new(), previews: false, blind: true };
        let reviewed = self.engine.review(&question, visit.clock).await?;
        let errors = reviewed
            .diagnostics
            .iter()
            .filter(|(source, problem)| sources.contains(source) && problem.is_error());
        let mut wrong: BTreeMap<RequestId, Vec<_>> = BTreeMap::new();
        for (_, problem) in errors {
            let whose = offer.edited.iter().find(|one| *one.path == *problem.place.file);
            if let Some(one) = whose {
                wrong.entry(one.id.clone()).or_default().push(problem.clone());
            }
        }
        let (left, edited): (Vec<_>, Vec<_>) =
            offer.edited.into_iter().partition(|one| wrong.contains_key(&one.id));
        offer.edited = edited;
        for one in left {
            let problems = wrong.remove(&one.id).unwrap_or_default();
            let reason = Reason::Invalid { after: true, problems };
            offer.left.push(Left { id: one.id, path: one.path, reason });
        }
        Ok(offer)
    }

    /// Brings one before people.
    async fn bring(
        &mut self,
        visit: &Visit<'_>,
        base: &Revision,
        change: &Change,
        all: &mut Proposals,
    ) -> Result<(), Trouble> {
        let branch = change.branch();
        let mirror = self.mirror(visit)?;
        let desk = self.desk(visit, &mirror, base);
        let standing = all.branches.get(&branch).cloned().unwrap_or_default();
        let keep = async |known| {
            all.branches.entry(branch.clone()).or_default().known = known;
            self.keep_proposals(visit, change.kind, all).await
        };
        let at = (visit.clock)();
        let outcome = propose::bring(&desk, change, &standing.known, at, keep).await?;
        let open = match &outcome {
            Outcome::Stands(_, pull) => pull.is_some(),
            Outcome::HandsOff(pull) => pull.is_some(),
            Outcome::Nothing | Outcome::Declined(_) => false,
        };
        if open && !standing.open {
            tracing::info!(repo = %visit.place.repo, branch, "proposed");
        }
        let standing = all.branches.entry(branch).or_default();
        (standing.open, standing.gone) = (open, false);
        Ok(self.keep_proposals(visit, change.kind, all).await?)
    }

    /// Takes one back that nobody needs any more: it was merged, or something newer is there.
    async fn take_back(
        &mut self,
        visit: &Visit<'_>,
        kind: &'static str,
        (base, branch): (&Revision, &str),
        all: &mut Proposals,
    ) -> Result<(), Trouble> {
        let Some(standing) = all.branches.get(branch).cloned().filter(|s| !s.gone) else {
            return Ok(());
        };
        let mirror = self.mirror(visit)?;
        let desk = self.desk(visit, &mirror, base);
        let keep = async |known| {
            all.branches.entry(branch.to_owned()).or_default().known = known;
            self.keep_proposals(visit, kind, all).await
        };
        let is_gone = propose::withdraw(&desk, branch, &standing.known, keep).await?;
        let standing = all.branches.entry(branch.to_owned()).or_default();
        // What a person works on is theirs, and counts no longer among ours.
        (standing.gone, standing.open) = (true, false);
        if is_gone && standing.known.withdrawn.is_empty() {
            all.branches.remove(branch);
        }
        Ok(self.keep_proposals(visit, kind, all).await?)
    }

    fn mirror(&self, visit: &Visit<'_>) -> Result<crate::git::Mirror, Trouble> {
        let source = self.engine.sources().named(visit.place.name());
        let source = source.ok_or_else(|| {
            let text = format!("source `{}` is not there any more", visit.place.name());
            crate::reconcile::PassError::Settings(text)
        })?;
        Ok(source.mirror().clone())
    }

    fn desk<'a>(
        &'a self,
        visit: &'a Visit<'_>,
        mirror: &'a crate::git::Mirror,
        base: &'a Revision,
    ) -> Desk<'a> {
        const NONE: [u8; 32] = [0; 32];
        Desk {
            mirror,
            forge: Some((self.forge.as_ref(), &visit.place.repo)),
            key: self.secret.as_ref().unwrap_or(&NONE),
            base_branch: &visit.place.branch,
            base,
        }
    }

    async fn proposals(&self, visit: &Visit<'_>, kind: &str) -> Result<Proposals, Trouble> {
        let known = self.store.value(&key(kind, visit.place.name())).await?;
        Ok(known.and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default())
    }

    async fn keep_proposals(
        &self,
        visit: &Visit<'_>,
        kind: &str,
        all: &Proposals,
    ) -> Result<(), crate::reconcile::PassError> {
        let value = serde_json::to_value(all).ok();
        let write = Write::Value { key: key(kind, visit.place.name()), value };
        point!("pull.proposal.before")?;
        self.store.commit(visit.lease, vec![write]).await?;
        Ok(point!("pull.proposal.after")?)
    }
}

/// An offer as a proposal.
pub fn change(offer: &Offer, labels: Vec<String>) -> Change {
    let Offer { to, team, edited, left } = offer;
    Change {
        kind: UPGRADE,
        name: offer.name(),
        edits: offer.edits(),
        message: report::upgrade::message(edited),
        title: report::upgrade::title(team, to, edited.len()),
        body: report::upgrade::proposal(to, edited, left),
        labels,
    }
}

fn key(kind: &str, source: &SourceName) -> String {
    format!("{ASIDE}proposals/{kind}/{source}")
}
