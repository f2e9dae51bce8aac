//! What people and passes say of what is open of a merge, while it is looked at and after it was told.

use std::collections::{BTreeMap, BTreeSet};

use super::{Reviewer, Trouble};
use crate::digest::Digest;
use crate::model::{Approval, Changed, Hold, HoldReason, Passage, RequestId};
use crate::store::{PersonWrite, passage_key};

/// What was said of some requests by one moment.
pub(super) struct Spoken {
    passages: BTreeMap<RequestId, Option<Passage>>,
    /// What is approved.
    given: BTreeSet<Digest>,
}

impl Spoken {
    /// What is to be written, without what was spoken of since `before`: it is held against a state that is no more,
    /// and would take that word back. And whether there was any.
    pub(super) fn without_late(
        &self,
        before: &Self,
        writes: Vec<PersonWrite>,
    ) -> (Vec<PersonWrite>, bool) {
        let is_given = |plan: &Digest| self.given.contains(plan) && !before.given.contains(plan);
        let is_late = |id: &RequestId| {
            let now = self.passages.get(id);
            let asked = now.and_then(|passage| passage.as_ref()?.changed.as_ref());
            now != before.passages.get(id) || asked.is_some_and(|asked| is_given(&asked.plan))
        };
        let all = writes.len();
        let stays = |write: &PersonWrite| match write {
            PersonWrite::Passage { request, .. } => !is_late(request),
            _ => true,
        };
        let writes: Vec<PersonWrite> = writes.into_iter().filter(stays).collect();
        let late = writes.len() < all;
        (writes, late)
    }
}

impl Reviewer {
    /// What is said of these requests now, with what is approved.
    pub(super) async fn spoken(
        &self,
        ids: &BTreeSet<RequestId>,
        approvals: &[Approval],
    ) -> Result<Spoken, Trouble> {
        let mut passages = BTreeMap::new();
        for id in ids {
            passages.insert(id.clone(), self.passage_at(id).await?);
        }
        let given = approvals.iter().map(|approval| approval.digest).collect();
        Ok(Spoken { passages, given })
    }

    /// What is known of how a request's file came, of whichever content.
    pub(super) async fn passage_at(&self, id: &RequestId) -> Result<Option<Passage>, Trouble> {
        let passage = self.store.value(&passage_key(id)).await?;
        Ok(passage.and_then(|v| serde_json::from_value(v).ok()))
    }

    /// Holds of changed plans as the next pass has them: what it asks for may have been written a moment ago.
    pub(super) async fn held_anew(
        &self,
        holds: Vec<Hold>,
        approvals: &[Approval],
    ) -> Result<Vec<Hold>, Trouble> {
        let is_given = |plan: &Digest| approvals.iter().any(|given| given.digest == *plan);
        let mut anew = Vec::with_capacity(holds.len());
        for mut hold in holds {
            if let HoldReason::PlanChanged { now, .. } = &hold.reason
                && let Some(Passage { bound: Some(bound), changed: Some(changed), .. }) =
                    self.passage_at(&hold.request).await?
                && changed.plan != *now
                && !is_given(&changed.plan)
            {
                let (reviewed, now, needs) = (bound.plan, changed.plan, changed.needs);
                hold.reason = HoldReason::PlanChanged { reviewed, now, needs };
            }
            anew.push(hold);
        }
        Ok(anew)
    }
}

/// What is still asked for of a changed plan that was told, by what is held and what is approved; `None`: once people
/// have let it through, it is no news any more.
pub(super) fn still_asked(
    mut changed: Changed,
    holds: &[Hold],
    approvals: &[Approval],
) -> Option<Changed> {
    let held: BTreeSet<Digest> = holds.iter().filter_map(Hold::changed_plan).collect();
    let is_given = |plan: &Digest| approvals.iter().any(|given| given.digest == *plan);
    let open: BTreeSet<Digest> = changed
        .apart
        .iter()
        .map(|apart| apart.now)
        .filter(|now| held.contains(now) && !is_given(now))
        .collect();
    // What is approved stays in its place until a pass has taken that up, where nothing else is asked for.
    let open = if open.is_empty() { &held } else { &open };
    for apart in &mut changed.apart {
        apart.given = !open.contains(&apart.now);
    }
    let is_held = changed.plans().any(|plan| held.contains(&plan));
    is_held.then_some(changed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::model::{Apart, Bound};

    fn id(name: &str) -> RequestId {
        RequestId::parse(name).unwrap()
    }

    fn plan(text: &str) -> Digest {
        sha256(text.as_bytes())
    }

    fn bound(of: &str) -> Bound {
        let (steps, needs) = (Vec::new(), Vec::new());
        let plan = plan(of);
        Bound { plan, steps, shown: true, needs, takeover: None, terms: None, catalog: None }
    }

    fn passage(changed: Option<&str>) -> Passage {
        let (bound, changed) = (Some(bound("reviewed")), changed.map(bound));
        Passage { content: None, commit: None, pull: Some(1), bound, changed }
    }

    fn approval(of: &str) -> Approval {
        let (by, at) = ("grace".to_owned(), jiff::Timestamp::UNIX_EPOCH);
        Approval { digest: plan(of), by, by_id: None, teams: None, at }
    }

    #[test]
    fn what_was_approved_meanwhile_is_not_written_over() {
        let (one, other, third) = (id("a/dev/one"), id("a/dev/other"), id("a/dev/third"));
        let spoken = |one_is: Option<&str>, given: &[&str]| Spoken {
            passages: [
                (one.clone(), Some(passage(one_is))),
                (other.clone(), Some(passage(Some("others")))),
                (third.clone(), None),
            ]
            .into(),
            given: given.iter().map(|of| plan(of)).collect(),
        };
        let write = |id: &RequestId| PersonWrite::Passage {
            request: id.clone(),
            passage: Box::new(passage(Some("anew"))),
        };
        let written = |now: Spoken| {
            let before = spoken(Some("ones"), &["long ago"]);
            let all = [&one, &other, &third].map(write).into();
            let (writes, late) = now.without_late(&before, all);
            let ids = writes.into_iter().map(|write| match write {
                PersonWrite::Passage { request, .. } => request,
                _ => panic!("nothing else was to be written"),
            });
            (ids.collect::<Vec<_>>(), late)
        };
        let all = vec![one.clone(), other.clone(), third.clone()];
        assert_eq!(written(spoken(Some("ones"), &["long ago"])), (all, false));
        // A pass has taken up what was approved of the one; and of the other it will.
        let late = written(spoken(None, &["long ago", "ones"]));
        assert_eq!(late, (vec![other.clone(), third.clone()], true));
        let late = written(spoken(Some("ones"), &["long ago", "others"]));
        assert_eq!(late, (vec![one.clone(), third.clone()], true));
    }

    #[test]
    fn what_was_approved_of_a_merge_is_asked_for_no_more() {
        let apart = |of: &str| Apart {
            now: plan(of),
            requests: vec![id(&format!("a/dev/{of}"))],
            given: false,
        };
        let told = Changed {
            reviewed: plan("reviewed"),
            now: plan("all"),
            before: Vec::new(),
            after: Vec::new(),
            differs: Vec::new(),
            rendered: Vec::new(),
            apart: ["one", "other"].map(apart).into(),
        };
        let hold = |of: &str| Hold {
            request: id(&format!("a/dev/{of}")),
            component: None,
            action: None,
            reason: HoldReason::PlanChanged {
                reviewed: plan("reviewed"),
                now: plan(of),
                needs: Vec::new(),
            },
        };
        let asked = |holds: &[&str], given: &[&str]| {
            let holds: Vec<Hold> = holds.iter().map(|of| hold(of)).collect();
            let given: Vec<Approval> = given.iter().map(|of| approval(of)).collect();
            let changed = still_asked(told.clone(), &holds, &given)?;
            Some(changed.apart.into_iter().map(|apart| !apart.given).collect::<Vec<_>>())
        };
        assert_eq!(asked(&["one", "other"], &[]), Some(vec![true, true]));
        assert_eq!(asked(&["one", "other"], &["one"]), Some(vec![false, true]));
        assert_eq!(asked(&["other"], &[]), Some(vec![false, true]), "the one is done");
        assert_eq!(asked(&["other"], &["other"]), Some(vec![false, true]));
        assert_eq!(asked(&[], &[]), None);
        assert_eq!(asked(&["third"], &[]), None, "what else is held is asked for by itself");
    }
}
