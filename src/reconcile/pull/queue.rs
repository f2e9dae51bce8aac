//! Merge queues: pull requests that are tried together before they are merged, on a commit of their
//! own. The checks that branch protection asks for are awaited on that commit.

use std::collections::BTreeSet;

use super::heads::of_commit;
use super::kept::{Kept, Shown};
use super::survey::Survey;
use super::{Reviewer, Trouble, Turn, Visit, again};
use crate::digest::{self, Digest};
use crate::forge::{ForgeError, Queued};
use crate::model::{Need, Pull, PullState, Revision, Stage};
use crate::report;

/// What is known of the pull requests in a group.
#[derive(Default)]
struct Members {
    /// Approvals that they need, with who gave them.
    needs: Vec<(Digest, Need)>,
    /// One of them comes from a fork and was not asked about, or is not known.
    is_strange: bool,
}

impl Reviewer {
    /// Says on the commit of each group what would come of it.
    pub(super) async fn queue(
        &mut self,
        visit: &Visit<'_>,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let place = visit.place;
        let groups = self.forge.queued(&place.repo, &place.branch).await?;
        let source = self.engine.sources().named(place.name());
        let Some(mirror) = source.map(|source| source.mirror().clone()) else { return Ok(()) };
        let heads: BTreeSet<&Revision> = groups.iter().map(|group| &group.head).collect();
        let before = self.queued.len();
        let is_there = |(name, head): &(_, Revision)| name != place.name() || heads.contains(head);
        self.queued.retain(|key, _| is_there(key));
        self.queued_again.keep(is_there);
        if groups.is_empty() {
            if self.queued.len() != before {
                mirror.keep_queued(&heads)?;
            }
            return Ok(());
        }
        mirror.keep_queued(&heads)?;
        // Of what nothing was said yet goes first: it is awaited before anything is merged.
        let mut first: Vec<&Queued> = groups.iter().collect();
        first.sort_by_cached_key(|group| {
            self.queued.contains_key(&(place.name().clone(), group.head.clone()))
        });
        for group in first {
            let fetched = mirror.fetch_queued(&group.branch, &group.head).await;
            let done = match fetched.map_err(Trouble::from) {
                Ok(true) => self.group(visit, group, &groups, turn).await,
                // It moved on or is gone: the next turn sees.
                Ok(false) => continue,
                Err(error) => Err(error),
            };
            let text = match done {
                Ok(()) => continue,
                Err(Trouble::Forge(ForgeError::Gone { text } | ForgeError::Refused { text })) => {
                    text
                }
                Err(trouble) if self.is_readable(visit) => of_commit(trouble)?,
                Err(other) => return Err(other),
            };
            tracing::warn!(group = group.branch, text, "nothing can be said of a group");
        }
        Ok(())
    }

    async fn group(
        &mut self,
        visit: &Visit<'_>,
        group: &Queued,
        all: &[Queued],
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let members = self.members(visit, group, all)?;
        let key = (visit.place.name().clone(), group.head.clone());
        let (commits, world) = (visit.commits, visit.world);
        let reading = self.engine.reading();
        let inputs = digest::of(&(commits, world, &members.needs, members.is_strange, reading));
        if self.is_mute(visit) {
            return Ok(());
        }
        let now = (visit.clock)();
        if self.queued.get(&key) == Some(&inputs) {
            match self.queued_again.due(&key) {
                None => return Ok(()),
                Some(at) if at > now => {
                    turn.is_due(at);
                    return Ok(());
                }
                Some(_) => {}
            }
        }
        let mut kept = Kept::new(pull_of(group, &visit.place.branch, now));
        let survey = self.survey(visit, &group.head, members.is_strange).await?;
        let brief = match survey {
            Survey::Conflict(paths) => self.brief_of(&kept, Stage::Conflict { paths }),
            Survey::Unknown(error) => self.brief_of(&kept, Stage::Unknown { error }),
            Survey::Overtaken => {
                turn.is_due(now);
                if !self.queued.contains_key(&key) {
                    self.belated.insert(key.0);
                }
                return Ok(());
            }
            Survey::Reviewed { reviewed, blind } => {
                let mut needs = super::judge::needs(&reviewed);
                for (digest, need) in &mut needs {
                    let same = |(d, n): &&(Digest, Need)| {
                        d == digest && n.teams == need.teams && n.count == need.count
                    };
                    let had = members.needs.iter().filter(same).map(|(_, n)| &n.had);
                    need.had = had.max_by_key(|had| had.len()).cloned().unwrap_or_default();
                }
                let head = group.head.clone();
                let stage = Stage::Planned;
                kept.show(Shown::new(
                    head,
                    &reviewed.plan,
                    needs,
                    Default::default(),
                    stage.clone(),
                ));
                self.brief(visit, &kept, stage, *reviewed, (Vec::new(), blind))
            }
        };
        let external = format!("{}/queue/{}", visit.place.name(), group.head);
        let (none, options) = (|_: &_| (None, None), report::plan::Options::default());
        // Written down before: what is refused is not said again until something changes.
        self.queued.insert(key.clone(), inputs);
        if let Some(at) = self.queued_again.note(&key, inputs, again::pause(&brief), now) {
            turn.is_due(at);
        }
        let checks = [
            report::pull::check(&brief, &group.head, &external, &none, &options),
            report::pull::approval(&brief, &group.head, &external),
        ];
        for check in checks.map(|check| visit.place.named(check)) {
            let said = self.forge.check(&visit.place.repo, &check, None).await;
            if !self.heard(visit, said.map(drop).map_err(Trouble::from))? {
                self.queued.remove(&key);
                break;
            }
        }
        Ok(())
    }

    /// The pull requests of a group: those whose commits it holds, and those of the groups before it,
    /// which each name one; in a queue that squashes nothing else tells.
    fn members(
        &self,
        visit: &Visit<'_>,
        group: &Queued,
        all: &[Queued],
    ) -> Result<Members, Trouble> {
        let source = self.engine.sources().named(visit.place.name());
        let Some(source) = source else { return Ok(Members::default()) };
        let mirror = source.mirror();
        let mut numbers = BTreeSet::new();
        for other in all {
            let is_before = other.head == group.head
                || mirror.is_ancestor(&other.head, &group.head).unwrap_or_default();
            numbers.extend(other.number.filter(|_| is_before));
        }
        for (key, kept) in &self.kept {
            let here = key.source == *visit.place.name() && kept.pull.state == PullState::Open;
            // A head that was not fetched is in no group.
            if here && mirror.is_ancestor(&kept.pull.head, &group.head).unwrap_or_default() {
                numbers.insert(key.number);
            }
        }
        let mut members = Members { is_strange: numbers.is_empty(), ..Members::default() };
        for number in numbers {
            let Some(kept) = self.kept.get(&visit.place.key(number)) else {
                members.is_strange = true;
                continue;
            };
            members.is_strange |= kept.is_strange();
            members.needs.extend(kept.shown.iter().flat_map(|shown| shown.needs.iter().cloned()));
        }
        Ok(members)
    }
}

/// A group in the place of a pull request.
fn pull_of(group: &Queued, base: &str, now: jiff::Timestamp) -> Pull {
    Pull {
        number: group.number.unwrap_or_default(),
        title: group.branch.clone(),
        author: String::new(),
        author_id: None,
        head: group.head.clone(),
        base: base.to_owned(),
        fork: false,
        draft: false,
        state: PullState::Open,
        updated: now,
        url: String::new(),
    }
}
