//! What is done to one target: the whole table, with every combination spelled out.

use crate::digest::Digest;
use crate::model::{ComponentRecord, Observation, Owner};

use super::situation::Seen;

/// Whether Git asks for the target.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Want {
    Present,
    Gone,
}

/// What the record says of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Past {
    /// Never applied.
    Unrecorded,
    /// Never applied, and a creation of ours came to nothing there.
    Begun,
    /// Applied from the very artifact that is desired.
    Same,
    /// Applied from another one.
    Other,
    /// An effect of ours has no end yet.
    InFlight,
}

/// What was seen of it. What nobody looked at is taken to be as recorded: whatever is decided on that
/// is held before the plan is made, unless the whole plan is blind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Sight {
    /// Looking failed.
    Failed,
    /// The provider answered, and nothing is there.
    Absent,
    /// It is there, and somebody else's.
    Foreign,
    /// It is there, and carries nobody's mark.
    Unclaimed,
    /// It is there, ours, and nothing differs from what was applied.
    AsApplied,
    /// It is there, ours, and somebody changed it.
    Drifted,
    /// It is there, ours, and a change that we did not begin is under way.
    Busy,
    /// It is there, ours, and nothing can be done to it as it is. It was whole once, or may have been.
    Stuck,
    /// As `Stuck`, and never made whole: what is left of an earlier try.
    Rubble,
}

/// What follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    Create,
    /// It is ours by its mark and no record knows it: the artifact is applied to it.
    TakeUp,
    Update,
    /// It vanished from the world: made again, and reported as drift.
    CreateAgain,
    /// It differs from what was applied: reported, or restored where the request says so.
    Drift,
    Delete,
    Forget,
    Leave,
    /// The provider is asked with the ticket; nothing else happens.
    Await,
    NotObserved,
    NotOurs,
    Busy,
    /// It carries nobody's mark: taken over where the request says so.
    Adopt,
    /// A person has to mend it.
    Stuck,
    /// Deleted and made again, when a person says so.
    Clear,
}

/// The table. Nothing is created or deleted on the strength of not having looked, and what is
/// neither desired nor recorded is a stranger's.
pub(super) fn decide(want: Want, past: Past, sight: Sight) -> Verdict {
    use Past::{Begun, InFlight, Other, Same, Unrecorded};
    use Sight::{Absent, AsApplied, Busy, Drifted, Failed, Foreign, Rubble, Stuck, Unclaimed};
    use Want::{Gone, Present};
    match (want, past, sight) {
        (
            Present | Gone,
            InFlight,
            Failed | Absent | Foreign | Unclaimed | AsApplied | Drifted | Busy | Stuck | Rubble,
        ) => Verdict::Await,

        (Present, Unrecorded | Begun, Absent) => Verdict::Create,
        (Present, Unrecorded | Begun, AsApplied | Drifted) => Verdict::TakeUp,
        (Present, Same, AsApplied | Busy) => Verdict::Leave,
        (Present, Same, Drifted) => Verdict::Drift,
        (Present, Other, AsApplied | Drifted) => Verdict::Update,
        (Present, Same | Other, Absent) => Verdict::CreateAgain,
        (Present, Unrecorded | Begun, Unclaimed) => Verdict::Adopt,
        (Present, Unrecorded | Begun | Same | Other, Foreign) => Verdict::NotOurs,
        // It was ours: whoever took the mark away meant something by it.
        (Present, Same | Other, Unclaimed) => Verdict::NotOurs,
        (Present, Unrecorded | Begun | Same | Other, Failed) => Verdict::NotObserved,
        (Present, Unrecorded | Begun | Other, Busy) => Verdict::Busy,
        (Present, Unrecorded | Begun | Same | Other, Stuck) => Verdict::Stuck,
        (Present, Unrecorded | Begun | Same | Other, Rubble) => Verdict::Clear,

        (Gone, Same | Other, AsApplied | Drifted | Stuck | Rubble) => Verdict::Delete,
        (Gone, Same | Other, Absent) => Verdict::Forget,
        (Gone, Same | Other, Failed) => Verdict::NotObserved,
        (Gone, Same | Other, Foreign | Unclaimed) => Verdict::NotOurs,
        (Gone, Same | Other, Busy) => Verdict::Busy,

        (Gone, Begun, Rubble) => Verdict::Delete,
        // Somebody took it away, and the name is free, or another's by now.
        (Gone, Begun, Absent | Foreign | Unclaimed) => Verdict::Forget,
        // Somebody made it whole, or may have before it got stuck: what may have been of use is deleted
        // by no try's end, and no record tells the guards of it. A file has to say what is meant with it.
        (Gone, Begun, AsApplied | Drifted | Stuck) => Verdict::Stuck,
        (Gone, Begun, Failed) => Verdict::NotObserved,
        (Gone, Begun, Busy) => Verdict::Busy,

        (
            Gone,
            Unrecorded,
            Failed | Absent | Foreign | Unclaimed | AsApplied | Drifted | Busy | Stuck | Rubble,
        ) => Verdict::Leave,
    }
}

impl Past {
    /// Reduces the record against the desired digest, which a removal does not have.
    pub(super) fn of(
        recorded: Option<&ComponentRecord>,
        desired: Option<Digest>,
        in_flight: bool,
    ) -> Self {
        match (in_flight, recorded) {
            (true, _) => Self::InFlight,
            (false, None) => Self::Unrecorded,
            (false, Some(component)) if Some(component.digest) == desired => Self::Same,
            (false, Some(_)) => Self::Other,
        }
    }
}

impl Sight {
    /// Reduces what was seen.
    pub(super) fn of(seen: Option<&Seen>, recorded: Option<&ComponentRecord>) -> Self {
        let live = match seen {
            None if recorded.is_some() => return Self::AsApplied,
            None | Some(Seen::Observed(Observation::Absent)) => return Self::Absent,
            Some(Seen::Failed(_) | Seen::Refused(_)) => return Self::Failed,
            Some(Seen::Observed(Observation::Present(live))) => live,
        };
        let marked_otherwise = recorded
            .zip(live.digest)
            .is_some_and(|(recorded, mark)| recorded.expected_mark() != mark);
        match live.owner {
            Owner::Other(_) => Self::Foreign,
            Owner::Nobody => Self::Unclaimed,
            Owner::Ours if live.busy => Self::Busy,
            Owner::Ours if live.stuck.as_ref().is_some_and(|s| s.unmade) => Self::Rubble,
            Owner::Ours if live.stuck.is_some() => Self::Stuck,
            Owner::Ours if marked_otherwise || !live.drift.is_empty() => Self::Drifted,
            Owner::Ours => Self::AsApplied,
        }
    }
}
