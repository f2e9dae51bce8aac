//! What holds all of a request, whatever its components come to.

use crate::digest::{self, Digest};
use crate::model::{
    ChangeRule, Diagnostic, Fate, HoldReason, Place, RequestId, SourceName, SourceProblem,
};

use super::Context;
use super::component::Subject;
use super::graph::CHAIN_MAX;

/// What holds all of a request.
pub(super) enum Gate {
    /// Whatever would be done.
    Always(HoldReason),
    /// Only where something would be done.
    IfPending(HoldReason),
}

impl Subject<'_> {
    /// The first reason that holds the request, if any.
    pub(super) fn gate(&self, context: &Context) -> Option<Gate> {
        let id = &self.case.id;
        let problem = |code, message: String, help: &str| {
            let path = self.case.desired.as_ref().map(|d| d.origin.path.clone());
            let place = Place::file(path.unwrap_or_default());
            let problem = Diagnostic::error(code, place, message).help(help);
            Some(Gate::Always(HoldReason::Invalid { problems: vec![problem] }))
        };
        let former = self.spec.moved_from.as_ref();
        let itself = former.filter(|f| self.spec.references.values().any(|r| r.request == **f));
        if let Some(former) = itself {
            let message = format!(
                "it says that it was `{former}`, and its parameters refer to an output of that"
            );
            let help = "remove the reference, or `movedFrom`";
            return problem("DEP001", message, help);
        }
        if let Some(cycle) = context.knots.cyclic.get(id) {
            let shown: Vec<_> =
                cycle.iter().chain(cycle.first()).map(|id| format!("`{id}`")).collect();
            let message =
                format!("requests reference each other in a cycle: {}", cycle_text(&shown));
            return problem("DEP001", message, "remove one of the references");
        }
        if let Some(depth) = context.knots.deep.get(id) {
            let message = format!(
                "a chain of {depth} requests that reference each other; at most {CHAIN_MAX} are allowed"
            );
            return problem(
                "DEP002",
                message,
                "reference a request nearer to the start of the chain",
            );
        }
        if let Some(reason) = context.moves.held.get(id) {
            return Some(Gate::Always(reason.clone()));
        }
        if let Some(reason) = self.distrust(context) {
            return Some(Gate::IfPending(reason));
        }
        if let Some(reason) = self.expired(context) {
            // An end that nobody let through ends nothing; one that is recorded does, whatever came since.
            let is_news = self.new_end(context).is_some() || self.permits_anew(&reason);
            let unspoken = self.barred().filter(|_| is_news);
            return Some(Gate::Always(unspoken.cloned().unwrap_or(reason)));
        }
        // Before what the file asks to be left alone: nobody would ask how that word came, nor the others beside it,
        // such as what permits its deletion.
        if let Some(reason) = self.barred() {
            return Some(Gate::IfPending(reason.clone()));
        }
        if self.spec.suspend {
            return Some(Gate::IfPending(HoldReason::Suspended));
        }
        if let Some(reason) = self.changed_source(context) {
            return Some(Gate::Always(reason));
        }
        if let Some(reason) = self.forbidden() {
            return Some(Gate::Always(reason));
        }
        self.unapproved(context).map(Gate::IfPending)
    }

    /// Nobody has said yes to an older version or another template that takes over, whether that changes anything in
    /// the world or not.
    pub(super) fn unapproved(&self, context: &Context) -> Option<HoldReason> {
        let digest = self.approvable()?;
        let approved = context.situation.approvals.contains(&digest);
        (!approved).then_some(HoldReason::NeedsApproval {
            digest,
            lost: Vec::new(),
            preview: None,
            needs: Vec::new(),
            void: Vec::new(),
        })
    }

    /// Whether its record may take another key.
    pub(super) fn trusted(&self, context: &Context) -> bool {
        self.distrust(context).is_none()
            && self.barred().is_none()
            && !context.moves.held.contains_key(&self.case.id)
    }

    /// Why nothing may be done with how its file came, or with how the one went whose record it takes.
    pub(super) fn barred(&self) -> Option<&HoldReason> {
        self.case.barred.as_ref().or(self.owner.barred.as_ref())
    }

    /// Whether its time is over, it stays all the same, and its file has a permission to delete it that is not recorded:
    /// once somebody has let that through, it counts.
    fn permits_anew(&self, expired: &HoldReason) -> bool {
        let HoldReason::Expired { fate: Fate::Protected | Fate::Suspended, .. } = expired else {
            return false;
        };
        self.spec.tombstone && self.record.is_some_and(|record| !record.tombstone)
    }

    /// A source that is merely stale keeps its last good commit in use; any other trouble holds all
    /// of it.
    fn distrust(&self, context: &Context) -> Option<HoldReason> {
        let desired = self.case.desired.as_ref().map(|d| &d.origin.source);
        let recorded = self.record.map(|r| &r.origin.source);
        [desired, recorded].into_iter().flatten().find_map(|source| {
            let problem = context.situation.sources.get(source)?;
            match problem {
                SourceProblem::Stale { .. } => None,
                SourceProblem::Missing { .. }
                | SourceProblem::HistoryRewritten { .. }
                | SourceProblem::FolderMissing { .. }
                | SourceProblem::NotConfigured
                | SourceProblem::TooManyFiles { .. } => {
                    let (source, problem) = (source.clone(), problem.clone());
                    Some(HoldReason::Source { source, problem })
                }
            }
        })
    }

    /// It left one source and appeared in another: somebody's mistake, or a repository that moved.
    fn changed_source(&self, context: &Context) -> Option<HoldReason> {
        let (from, to) = (&self.record?.origin.source, &self.case.desired.as_ref()?.origin.source);
        let digest = other_source(&self.case.id, from, to);
        let approved = from == to || context.situation.approvals.contains(&digest);
        // A request with another name says by `movedFrom` that it moved.
        (!approved && self.owner.id == self.case.id).then(|| HoldReason::LooksLikeAMove {
            other: None,
            also: Vec::new(),
            setting: Some("source".into()),
            digest: Some(digest),
            set: None,
            later: false,
        })
    }

    /// The approvals that it needed and has. Its record, once it is as desired, asks for none of
    /// them any more.
    pub(super) fn released(&self, context: &Context) -> Vec<Digest> {
        let origins = self.record.map(|r| &r.origin.source).zip(self.case.desired.as_ref());
        let source = origins
            .filter(|(from, desired)| **from != desired.origin.source)
            .map(|(from, desired)| other_source(&self.case.id, from, &desired.origin.source));
        let needed = self.approvable().into_iter().chain(source);
        let had = needed.filter(|digest| context.situation.approvals.contains(digest));
        had.chain(context.moves.released(&self.case.id)).collect()
    }

    /// Parameters of what is applied that change in ways their template forbids.
    pub(super) fn forbidden(&self) -> Option<HoldReason> {
        let named = self.shift.forbidden.iter().map(|(name, rule)| {
            let rule = match rule {
                ChangeRule::Immutable => "immutable",
                ChangeRule::GrowOnly => "grow-only",
                ChangeRule::Update => "update",
                ChangeRule::Replace => "replace",
            };
            format!("`{name}` ({rule})")
        });
        let what = named.collect::<Vec<_>>().join(", ");
        (!what.is_empty()).then_some(HoldReason::ForbiddenChange { what })
    }

    /// What a person approves where an older version or another template takes over.
    pub(super) fn approvable(&self) -> Option<Digest> {
        let (remark, record) = (self.shift.remark.as_ref()?, self.record?);
        let artifacts: Vec<_> = self.spec.components.iter().map(|c| (&c.name, c.digest)).collect();
        Some(digest::of(&(&self.case.id, &record.template, &self.spec.template, remark, artifacts)))
    }
}

/// What a person approves who says that a request is meant to come from another source now.
pub fn other_source(id: &RequestId, from: &SourceName, to: &SourceName) -> Digest {
    digest::of(&("source", id, from, to))
}

/// At most this many requests of a cycle are named.
const CYCLE_SHOWN: usize = 12;

fn cycle_text(shown: &[String]) -> String {
    if shown.len() <= CYCLE_SHOWN {
        return shown.join(" -> ");
    }
    let left = shown.len() - CYCLE_SHOWN;
    let (head, tail) = (&shown[..CYCLE_SHOWN - 1], &shown[shown.len() - 1]);
    format!("{} -> … {left} more … -> {tail}", head.join(" -> "))
}
