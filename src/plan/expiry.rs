//! Requests whose time is over: from then on they are held, and what becomes of their files is said.

use crate::model::{Action, Fate, HoldReason, Life, NewEnd, TargetKey, Term};

use super::Context;
use super::component::{Subject, deletion};
use super::draft::{Draft, Removal};
use super::guard::{breaker, is_protected, standing};
use super::situation::Case;

impl Subject<'_> {
    /// Its life as the file has it now.
    fn life(&self, context: &Context) -> Option<Life> {
        let lifetime = self.spec.lifetime.as_ref()?;
        let known = self.record.and_then(|record| record.life.as_ref());
        let situation = context.situation;
        Some(Life::of(lifetime, known, situation.now, situation.expiry.grace))
    }

    /// Another end than the one that is recorded.
    pub(super) fn new_end(&self, context: &Context) -> Option<NewEnd> {
        let known = self.record.and_then(|record| record.life.as_ref());
        let (now, grace) = (context.situation.now, context.situation.expiry.grace);
        let ends = self.spec.lifetime.as_ref().map(|lifetime| {
            Life::end(lifetime, known, now, grace).map_or(lifetime.term, Term::Until)
        });
        let was = known.map(|life| life.ends);
        (was.map(Term::Until) != ends).then_some(NewEnd { was, ends })
    }

    /// Its time is over.
    pub(super) fn expired(&self, context: &Context) -> Option<HoldReason> {
        let since = self.life(context)?.ends;
        let is_over = since <= context.situation.now;
        is_over.then(|| HoldReason::Expired { since, fate: self.fate(context) })
    }

    /// What becomes of its file. Whether that is too much at once is seen when all are known.
    fn fate(&self, context: &Context) -> Fate {
        if self.spec.suspend {
            return Fate::Suspended;
        }
        if is_protected(self.case, self.record, Some(self.spec)) {
            return Fate::Protected;
        }
        let by = standing(context, &self.case.id);
        if !by.is_empty() {
            return Fate::Referenced { by };
        }
        let source = self.case.desired.as_ref().map(|desired| &desired.origin.source);
        let fate = source.and_then(|source| context.situation.expiry.fates.get(source));
        fate.cloned().unwrap_or(Fate::Commit { error: None })
    }

    /// The end that a change of it brings, where that is news.
    pub(super) fn ends(&self) -> Option<Term> {
        let lifetime = self.spec.lifetime.as_ref()?;
        let known = self.record.and_then(|record| record.life.as_ref());
        known.is_none_or(|known| known.lifetime != *lifetime).then_some(lifetime.term)
    }
}

impl Draft {
    /// Notes what goes with the file of a request whose time is over, for the guard.
    pub(super) fn expiring(&mut self, subject: &Subject, reason: &HoldReason) {
        let HoldReason::Expired { fate: Fate::Commit { .. } | Fate::PullRequest, .. } = reason
        else {
            return;
        };
        for (name, component) in subject.record.iter().flat_map(|record| &record.components) {
            let key = TargetKey { request: subject.case.id.clone(), component: name.clone() };
            let step = deletion(self.target(key.clone(), component), component);
            let removal =
                Removal { step, whole: true, commit: None, locked: false, end: Ok(Action::Delete) };
            self.expiring.insert(key, removal);
        }
    }
}

/// Sends the files that vend would remove past the same breaker as deletions: a clock that jumps, or
/// a catalog that brings an end on for everybody, is an accident as well. It asks before the file
/// goes, and what a person lets go there is let go when its resources do.
pub(super) fn guard(context: &Context, draft: &mut Draft) {
    let expiring = std::mem::take(&mut draft.expiring);
    let is_over = |case: &Case| {
        let life = case.recorded.as_ref().and_then(|record| record.life.as_ref());
        case.desired.is_some() && life.is_some_and(|life| life.ends <= context.situation.now)
    };
    let stopped = breaker(context, &expiring, &is_over, &mut draft.released);
    for hold in &mut draft.holds {
        let HoldReason::Expired { fate, .. } = &mut hold.reason else { continue };
        let Some(HoldReason::TooManyDeletes { count, recorded, team, digest, .. }) =
            stopped.get(&hold.request)
        else {
            continue;
        };
        let (count, recorded, digest) = (*count, *recorded, *digest);
        *fate = Fate::TooMany { count, recorded, team: team.clone(), digest };
    }
}
