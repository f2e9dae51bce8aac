//! Which approvals a plan needs, and who has given them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::kept::{Kept, Person};
use super::{Reviewer, Trouble, Visit};
use crate::digest::Digest;
use crate::fault::planted;
use crate::forge::{ForgeError, Permission};
use crate::model::{
    Arrival, Discount, Discounted, HoldReason, Need, PullKey, PullState, RequestId, Step,
    TargetKey, Terms, Verdict, VerdictKind, Warned,
};
use crate::plan::Exposed;
use crate::reconcile::review::Reviewed;
use crate::{plan, report};

/// What a plan waits for a person for, and what rules ask of the steps that come once it is released:
/// each approvable digest with what it stands for.
pub(super) fn needs(Reviewed { plan, released, .. }: &Reviewed) -> Vec<(Digest, Need)> {
    let mut needs: BTreeMap<(Digest, usize), Need> = BTreeMap::new();
    let held = plan.holds.iter().filter_map(|hold| match &hold.reason {
        HoldReason::NeedsApproval { digest, needs, .. } if !needs.is_empty() => {
            Some((&hold.request, *digest, needs.as_slice()))
        }
        _ => None,
    });
    let steps =
        released.steps.iter().map(|s| (&s.target.key.request, s.digest(), s.needs.as_slice()));
    for (request, digest, required) in held.chain(steps) {
        for (n, required) in required.iter().enumerate() {
            let need = Need {
                requests: vec![request.clone()],
                why: report::hold::because(required),
                teams: required.teams.clone(),
                count: required.count,
                had: Vec::new(),
            };
            needs.insert((digest, n), need);
        }
    }
    for hold in &plan.holds {
        let is_ruled =
            matches!(&hold.reason, HoldReason::NeedsApproval { needs, .. } if !needs.is_empty());
        let Some(digest) = report::hold::digest(&hold.reason).filter(|_| !is_ruled) else {
            continue;
        };
        let need = needs.entry((digest, 0)).or_insert_with(|| Need {
            requests: Vec::new(),
            why: report::hold::needed(hold),
            teams: Vec::new(),
            count: 1,
            had: Vec::new(),
        });
        if !need.requests.contains(&hold.request) {
            need.requests.push(hold.request.clone());
        }
    }
    needs.into_iter().map(|((digest, _), need)| (digest, need)).collect()
}

/// What the files of some requests say that is in no step.
pub(super) fn terms<'a>(
    reviewed: &Reviewed,
    ids: impl IntoIterator<Item = &'a RequestId>,
) -> BTreeMap<RequestId, Terms> {
    let terms = |id: &RequestId| {
        let spec = reviewed.desired.get(id)?.as_ref()?.spec()?;
        Some((id.clone(), Terms::new(spec, reviewed.record_of(id, spec))?))
    };
    ids.into_iter().filter_map(terms).collect()
}

/// What a reviewer should know besides the plan.
pub(super) fn warnings(reviewed: &Reviewed) -> Vec<Warned> {
    let mut warnings = Vec::new();
    for (id, desired) in &reviewed.desired {
        let Some(spec) = desired.as_ref().and_then(|d| d.spec()) else { continue };
        if let Some(newer) = spec.upgrade.clone().filter(|_| reviewed.own.contains(id)) {
            warnings.push(Warned::Newer {
                request: id.clone(),
                template: spec.template.name.to_string(),
                version: spec.template.version.clone(),
                newer,
            });
        }
    }
    // What a wave brings is in no plan yet.
    let hits = reviewed.blast.iter().flat_map(|blast| &blast.hits);
    let waves = hits.filter_map(|hit| Some((hit, hit.arrival.as_ref()?)));
    for (hit, arrival) in waves {
        warnings.extend(hit.steps.iter().flat_map(|step| exposed(reviewed, step, Some(arrival))));
    }
    for id in &reviewed.own {
        let desired = reviewed.desired.get(id).and_then(|d| d.as_ref());
        let Some(spec) = desired.and_then(|desired| desired.spec()) else { continue };
        let Some(record) = reviewed.record_of(id, spec).filter(|record| record.protect) else {
            continue;
        };
        if !spec.protect {
            warnings.push(Warned::Unprotects { request: id.clone() });
        } else if spec.tombstone && !record.tombstone {
            warnings.push(Warned::Permits { request: id.clone() });
        }
    }
    for step in &reviewed.released.steps {
        warnings.extend(exposed(reviewed, step, None));
        let TargetKey { request, component } = &step.target.key;
        let record = reviewed.records.get(request).and_then(|r| r.components.get(component));
        let drift = record.map(|c| c.drift.as_slice()).unwrap_or_default();
        if !drift.is_empty() && step.artifact.is_some() {
            warnings.push(Warned::Overwrites {
                target: step.target.key.clone(),
                items: drift.iter().map(crate::report::drift::phrase).collect(),
            });
        }
    }
    warnings
}

/// What a step opens to others.
fn exposed(reviewed: &Reviewed, step: &Step, arrival: Option<&Arrival>) -> Vec<Warned> {
    let find = |digest: Option<Digest>| digest.and_then(|d| reviewed.artifacts.get(&d));
    let new = find(step.artifact).filter(|_| step.target.provider == "cloudformation");
    let exposed = new.map(|new| plan::exposures(find(step.from).map(AsRef::as_ref), new));
    let said = exposed.into_iter().flatten().map(|exposed| {
        let Exposed { resource, kind, is_new, openings } = exposed;
        let (target, arrival) = (step.target.key.clone(), arrival.cloned());
        Warned::Exposes { target, resource, kind, is_new, openings, arrival }
    });
    said.collect()
}

/// The people whose last word is yes, with whether it is to this very plan; never the author.
fn approvers(kept: &Kept, plan: Digest) -> Vec<(&Verdict, Result<(), Discount>)> {
    let mut last: BTreeMap<(Option<u64>, String), &Verdict> = BTreeMap::new();
    for verdict in &kept.verdicts {
        // A remark takes no yes back.
        if verdict.kind != VerdictKind::Commented {
            let name = verdict.by_id.map_or_else(|| verdict.by.to_lowercase(), |_| String::new());
            last.insert((verdict.by_id, name), verdict);
        }
    }
    let counts = |v: &Verdict| {
        let bound = kept.bound.iter().find(|b| b.is_of(v));
        match bound.and_then(|b| b.plan) {
            Some(seen) if seen == plan => Ok(()),
            Some(_) => Err(Discount::Former),
            None => Err(Discount::Early),
        }
    };
    let is_author = |v: &Verdict| {
        Person::of(v).is_among([&kept.pull.author].into_iter(), kept.pull.author_id.into_iter())
    };
    last.into_values()
        .filter(|v| planted!("author-approves") || !is_author(v))
        .filter(|v| v.kind == VerdictKind::Approved)
        .map(|v| (v, counts(v)))
        .collect()
}

/// Open pull requests whose approvals are judged again in one turn: each asks about its people one by one, by
/// questions that cost nothing while nothing has changed.
const JUDGED: usize = 50;

impl Reviewer {
    /// Open pull requests whose approvals are to be judged again, those that waited longest first. Nobody tells
    /// of who leaves a team, or may not write any more: that is asked for as often as all else is.
    pub(super) fn due_for_judging(&self, visit: &Visit<'_>) -> BTreeSet<PullKey> {
        let now = (visit.clock)();
        // Polls come a little early at times.
        let rest = self.engine.config().settings.reconcile.interval / 2;
        let is_due = |key: &PullKey| {
            let last = self.judged.get(key);
            last.is_none_or(|last| now.duration_since(*last) >= rest)
        };
        let open = self.kept.iter().filter(|(key, kept)| {
            key.source == *visit.place.name()
                && kept.pull.state == PullState::Open
                && kept.shown.as_ref().is_some_and(|shown| !shown.needs.is_empty())
                && kept.verdicts.iter().any(|verdict| verdict.kind == VerdictKind::Approved)
        });
        let mut due: Vec<(Option<Timestamp>, &PullKey)> = open
            .filter(|(key, _)| is_due(key))
            .map(|(key, _)| (self.judged.get(key).copied(), key))
            .collect();
        due.sort();
        due.into_iter().take(JUDGED).map(|(_, key)| key.clone()).collect()
    }

    /// Those of some teams that somebody is in; `None`: the forge does not let us read that.
    pub(super) async fn teams(
        &self,
        visit: &Visit<'_>,
        who: &str,
        teams: &BTreeSet<String>,
    ) -> Result<Option<BTreeSet<String>>, Trouble> {
        let repo = &visit.place.repo;
        if teams.is_empty() {
            return Ok(Some(BTreeSet::new()));
        }
        match self.forge.teams_of(repo, who, teams).await {
            Err(ForgeError::Refused { text }) => {
                tracing::warn!(%repo, text, "the forge does not tell who is in which team");
                Ok(None)
            }
            other => Ok(Some(other?)),
        }
    }

    /// Fills in who has given what the plan needs. What the forge does not let us read is missing, and
    /// nothing else is kept from being said.
    pub(super) async fn judge(&self, visit: &Visit<'_>, kept: &mut Kept) -> Result<(), Trouble> {
        let Some(mut shown) = kept.shown.clone().filter(|s| !s.needs.is_empty()) else {
            return Ok(());
        };
        let repo = &visit.place.repo;
        let teams: BTreeSet<String> =
            shown.needs.iter().flat_map(|(_, need)| need.teams.iter().cloned()).collect();
        for (_, need) in &mut shown.needs {
            need.had.clear();
        }
        shown.teams.clear();
        shown.discounted.clear();
        let approvers = approvers(kept, shown.digest);
        let by = approvers.into_iter().map(|(v, counts)| {
            let is_own = kept.is_whose(Person::of(v));
            (v.by.clone(), is_own, counts)
        });
        let by: Vec<_> = by.collect();
        let mut late = Vec::new();
        for (who, is_own, counts) in by {
            if let Err(why) = counts {
                late.push(Discounted { by: who, why });
                continue;
            }
            if is_own {
                shown.discounted.push(Discounted { by: who, why: Discount::Pushed });
                continue;
            }
            let mut unread = None;
            let may = match self.forge.permission(repo, &who).await {
                // Of use only where no team is asked for.
                Err(ForgeError::Refused { text }) => {
                    tracing::warn!(%repo, text, "the forge does not tell who may write");
                    let matters = shown.needs.iter().any(|(_, need)| need.teams.is_empty());
                    unread = matters.then_some(Discount::RightsUnread);
                    false
                }
                other => other? >= Permission::Write,
            };
            let in_teams = match self.teams(visit, &who, &teams).await? {
                Some(teams) => teams,
                None => {
                    unread = Some(Discount::TeamsUnread);
                    BTreeSet::new()
                }
            };
            if let Some(why) = unread {
                shown.discounted.push(Discounted { by: who.clone(), why });
            }
            for (_, need) in &mut shown.needs {
                let counts = if need.teams.is_empty() {
                    may
                } else {
                    need.teams.iter().any(|team| in_teams.contains(team))
                };
                if counts {
                    need.had.push(who.clone());
                }
            }
            shown.teams.insert(who, in_teams);
        }
        // Of no interest to anybody once enough others said it.
        if shown.needs.iter().any(|(_, need)| !need.is_met()) {
            shown.discounted.extend(late);
        }
        kept.shown = Some(shown);
        Ok(())
    }
}
