//! Warnings of ends, each a comment of its own: an edit of an older one would notify nobody.
//!
//! # Flow
//! Of each request that is near its end, the newest warning is said on the pull request that brought its file
//! as it is, or changed it last. One that came without a pull request has an issue, with the later warnings as
//! comments below it; it is closed once the request has another end, or is gone.
//!
//! # Guarantees
//! - Each warning is written once: noted once it is written, and found by its marker when that note was lost.
//! - A forge that hears nothing delays warnings and nothing else. What it refuses is not said over and over.
//! - However many end at once, plans and what becomes of merges are told in between.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::passage::Asked;
use super::silent::Silence;
use super::{OVERLAP, REST, Reviewer, Trouble, Turn, Visit};
use crate::error::chain;
use crate::fault::point;
use crate::forge::{ForgeError, Issue, OwnIssue, Saying, marker};
use crate::model::{Life, RequestId, SourceName};
use crate::report::expiry;
use crate::store::{ASIDE, Write};

/// What was said of the end of one request.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Told {
    ends: Timestamp,
    /// So many warnings of it have come, and the newest of them was said.
    warnings: usize,
    /// The issue that was opened for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    issue: Option<u64>,
}

type AllTold = BTreeMap<RequestId, Told>;

/// A warning that is to be said.
struct Warning {
    id: RequestId,
    ends: Timestamp,
    /// How many have come, with this one.
    count: usize,
    /// How long before the end it is said.
    before: SignedDuration,
}

/// So many are said, or taken back, in one turn: what a forge takes in a while has its limit, and people wait for
/// plans.
const MOST: usize = 20;

/// Our issues, looked up once in a turn, and only where one is needed.
struct Issues {
    /// None of these ends was warned of before.
    since: Timestamp,
    there: Option<Vec<OwnIssue>>,
}

/// Why nothing more is said of ends in this turn.
enum Stop {
    /// What is to be said is not heard now.
    Mute,
    Of(Trouble),
}

impl From<Trouble> for Stop {
    fn from(trouble: Trouble) -> Self {
        Self::Of(trouble)
    }
}

impl Reviewer {
    /// Says what is not said yet of ends that are near. Trouble with that delays nothing else.
    pub(super) async fn warn_of_ends(
        &mut self,
        visit: &Visit<'_>,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let (warn, now) = (self.engine.config().settings.expiry.warn.clone(), (visit.clock)());
        let longest = warn.first().copied().unwrap_or_default();
        let until = now.checked_add(longest).unwrap_or(Timestamp::MAX);
        let mut ends: BTreeMap<RequestId, Timestamp> = BTreeMap::new();
        for entry in self.store.ending(until).await? {
            if let Some(at) = entry.ends.filter(|_| visit.place.sources.contains(&entry.source)) {
                ends.insert(entry.id, at);
            }
        }
        let known = self.store.value(&key(visit.place.name())).await?;
        let told: AllTold = known.and_then(|v| serde_json::from_value(v).ok()).unwrap_or_default();
        if let Some(next) = ends.values().filter_map(|at| Life::next_mark(*at, &warn, now)).min() {
            turn.is_due(next);
        }
        let due = due(&ends, &told, &warn, now);
        let is_over = |(id, told): &(&RequestId, &Told)| ends.get(*id) != Some(&told.ends);
        let over: Vec<RequestId> = told.iter().filter(is_over).map(|(id, _)| id.clone()).collect();
        if (due.is_empty() && over.is_empty()) || self.is_mute(visit) {
            return Ok(());
        }
        match self.bring_warnings(visit, told, (over, due), turn).await {
            Err(Stop::Of(Trouble::Pass(error))) => Err(Trouble::Pass(error)),
            Err(Stop::Of(error)) => {
                let (repo, error) = (&visit.place.repo, chain(&error));
                tracing::warn!(%repo, error, "warnings of ends wait");
                turn.is_due((visit.clock)() + REST);
                Ok(())
            }
            Ok(()) | Err(Stop::Mute) => Ok(()),
        }
    }

    async fn bring_warnings(
        &mut self,
        visit: &Visit<'_>,
        mut told: AllTold,
        (over, due): (Vec<RequestId>, Vec<Warning>),
        turn: &mut Turn,
    ) -> Result<(), Stop> {
        let mut room = MOST;
        for id in over {
            if let Some(issue) = told.get(&id).and_then(|told| told.issue) {
                if room == 0 {
                    turn.is_due((visit.clock)());
                    return Ok(());
                }
                room -= 1;
                let settled = self.forge.settle(&visit.place.repo, issue).await;
                self.unless_mute(visit, &id, settled)?;
            }
            told.remove(&id);
            self.keep_told(visit, &told).await?;
        }
        let mut issues = Issues { since: self.first_warned(&due), there: None };
        let mut silence = Silence::default();
        // Looking for what brought a file takes its time: that is done for no more than are said.
        for some in due.chunks(MOST) {
            let ids: BTreeSet<RequestId> = some.iter().map(|warning| warning.id.clone()).collect();
            let asked = self.asked(visit, ids).await?;
            let mut asked: BTreeMap<RequestId, Asked> =
                asked.into_iter().map(|asked| (asked.id.clone(), asked)).collect();
            for warning in some {
                // Where its file is gone, what is recorded of it follows.
                let asked = asked.remove(&warning.id).filter(|asked| asked.content.is_some());
                let Some(asked) = asked else { continue };
                if room == 0 {
                    turn.is_due((visit.clock)());
                    return Ok(());
                }
                let pull = self.said_on(visit, &asked, &mut silence, turn).await?;
                let Some(pull) = pull else { continue };
                room -= 1;
                let last = told.get(&warning.id).filter(|told| told.ends == warning.ends);
                let issue = last.and_then(|told| told.issue);
                let issue = self.warn(visit, warning, (pull, issue), &mut issues).await?;
                let Warning { id, ends, count, .. } = warning;
                told.insert(id.clone(), Told { ends: *ends, warnings: *count, issue });
                self.keep_told(visit, &told).await?;
            }
        }
        Ok(())
    }

    /// The pull request that one is said on, if there is one; the outer `None`: the forge cannot tell, of this
    /// request alone.
    async fn said_on(
        &mut self,
        visit: &Visit<'_>,
        asked: &Asked,
        silence: &mut Silence,
        turn: &mut Turn,
    ) -> Result<Option<Option<u64>>, Trouble> {
        let commits = asked.commit.iter().cloned().collect();
        if self.is_untold(visit, &commits, turn) {
            return Ok(None);
        }
        let brought = self.brought(visit, asked).await;
        if let Err(Trouble::Forge(ForgeError::Refused { text } | ForgeError::Gone { text })) =
            &brought
        {
            tracing::warn!(id = %asked.id, text, "the forge does not tell how a request came");
            return Ok(None);
        }
        let brought = self.unless_untold(visit, &commits, brought, silence, turn)?;
        Ok(brought.map(|pull| pull.map(|pull| pull.number)))
    }

    /// No warning of these ends is older than this.
    fn first_warned(&self, due: &[Warning]) -> Timestamp {
        let longest = self.engine.config().settings.expiry.grace();
        let first = due.iter().map(|warning| warning.ends).min().unwrap_or(Timestamp::MAX);
        first.checked_sub(longest + OVERLAP).unwrap_or(Timestamp::MIN)
    }

    /// Takes note of whether what was said of an end was heard.
    fn unless_mute<T>(
        &mut self,
        visit: &Visit<'_>,
        id: &RequestId,
        said: Result<T, ForgeError>,
    ) -> Result<Option<T>, Stop> {
        match unless_refused(id, said) {
            Ok(said) => {
                self.heard(visit, Ok(()))?;
                Ok(said)
            }
            Err(error) => {
                self.heard(visit, Err(error))?;
                Err(Stop::Mute)
            }
        }
    }

    /// Says one where people hear of it: on the pull request, else on the issue, which is opened for that.
    /// Gives back the issue, if there is one.
    async fn warn(
        &mut self,
        visit: &Visit<'_>,
        warning: &Warning,
        (pull, issue): (Option<u64>, Option<u64>),
        issues: &mut Issues,
    ) -> Result<Option<u64>, Stop> {
        let Warning { id, ends, count: _, before } = warning;
        let repo = &visit.place.repo;
        let secret = self.secret.unwrap_or_default();
        for (number, is_pull) in [(issue, false), (pull, true)] {
            let Some(number) = number else { continue };
            if self.comment_on(visit, warning, number, is_pull).await? {
                return Ok(issue);
            }
        }
        // A pull request that was deleted, or whose conversation is locked, tells nobody anything.
        let marker = marker(&secret, &format!("end {id} {ends}"), repo, 0);
        let body = expiry::warned(id, *ends, *before, false, &marker);
        let title = expiry::issue_title(id);
        let since = issues.since;
        let there = match issues.there.take() {
            Some(there) => there,
            None => {
                let there = self.forge.issues(repo, since).await;
                let Some(there) = unless_refused(id, there)? else { return Ok(None) };
                there
            }
        };
        let raised = self.forge.raise(repo, &Issue { marker, title, body, since }, &there).await;
        issues.there = Some(there);
        let Some(raised) = self.unless_mute(visit, id, raised)? else { return Ok(None) };
        if !raised.says {
            // It was opened with an earlier warning, and that was not noted.
            self.comment_on(visit, warning, raised.number, false).await?;
        }
        Ok(Some(raised.number))
    }

    /// Says one in a comment; whether the forge took it.
    async fn comment_on(
        &mut self,
        visit: &Visit<'_>,
        Warning { id, ends, count, before }: &Warning,
        number: u64,
        is_pull: bool,
    ) -> Result<bool, Stop> {
        let (repo, secret) = (&visit.place.repo, self.secret.unwrap_or_default());
        let marker = marker(&secret, &format!("end {id} {ends} {count}"), repo, number);
        let body = expiry::warned(id, *ends, *before, is_pull, &marker);
        let said = self.forge.say(repo, number, &Saying { id: None, marker, body }).await;
        Ok(self.unless_mute(visit, id, said)?.is_some())
    }

    async fn keep_told(&self, visit: &Visit<'_>, told: &AllTold) -> Result<(), Trouble> {
        let value = (!told.is_empty()).then(|| serde_json::to_value(told).ok()).flatten();
        let write = Write::Value { key: key(visit.place.name()), value };
        point!("pull.warn.before")?;
        self.store.commit(visit.lease, vec![write]).await?;
        Ok(point!("pull.warn.after")?)
    }
}

/// What has come of each and was not said. Of more than one it is the newest: the others are of no use any more.
fn due(
    ends: &BTreeMap<RequestId, Timestamp>,
    told: &AllTold,
    warn: &[SignedDuration],
    now: Timestamp,
) -> Vec<Warning> {
    let one = |(id, ends): (&RequestId, &Timestamp)| {
        let count = Life::warned(*ends, warn, now);
        let before = *warn.get(count.checked_sub(1)?)?;
        let said = told.get(id).filter(|told| told.ends == *ends).map_or(0, |told| told.warnings);
        let is_due = *ends > now && said < count;
        is_due.then(|| Warning { id: id.clone(), ends: *ends, count, before })
    };
    ends.iter().filter_map(one).collect()
}

/// What the forge refuses, or has no more, is as good as said: a person must change something first.
fn unless_refused<T>(id: &RequestId, said: Result<T, ForgeError>) -> Result<Option<T>, Trouble> {
    match said {
        Ok(said) => Ok(Some(said)),
        Err(ForgeError::Refused { text } | ForgeError::Gone { text }) => {
            tracing::warn!(%id, text, "the forge does not take what is to be said of an end there");
            Ok(None)
        }
        Err(other) => Err(other.into()),
    }
}

fn key(source: &SourceName) -> String {
    format!("{ASIDE}ends/{source}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_end_the_newest_warning_is_said_once() {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap();
        let warn = [72, 24].map(SignedDuration::from_hours);
        let id = RequestId::parse("orders/dev/one").unwrap();
        let ends = BTreeMap::from([(id.clone(), at(100))]);
        let said = |told: Option<(i64, usize)>, now| {
            let one = told.map(|(ends, warnings)| Told { ends: at(ends), warnings, issue: None });
            let told = one.map(|one| (id.clone(), one)).into_iter().collect();
            due(&ends, &told, &warn, at(now)).iter().map(|w| w.count).collect::<Vec<_>>()
        };
        assert!(said(None, 27).is_empty());
        assert_eq!(said(None, 28), [1]);
        assert!(said(Some((100, 1)), 30).is_empty());
        assert_eq!(said(Some((100, 1)), 76), [2]);
        assert_eq!(said(None, 80), [2], "the first one was slept through");
        assert_eq!(said(Some((99, 2)), 80), [2], "another end is warned of anew");
        assert!(said(Some((100, 2)), 80).is_empty());
        assert!(said(None, 100).is_empty(), "it is over");
    }
}
