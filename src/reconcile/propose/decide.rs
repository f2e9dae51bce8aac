//! What is done about a proposal, by what is seen of it: pure.

use crate::forge::Fate;

/// What is seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Seen {
    /// The newest pull request of the branch.
    pub newest: Option<Fate>,
    /// The branch's tip: whether it is a commit of ours, and says what is to be said.
    pub tip: Option<(bool, bool)>,
}

/// What is done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Next {
    /// The branch is moved to the new commit.
    Push,
    /// The branch is as it should be.
    Leave,
    /// A person works on it.
    HandsOff,
    /// A person said no.
    Declined,
}

pub(super) fn decide(seen: &Seen) -> Next {
    match (seen.newest, seen.tip) {
        (Some(Fate::Closed), _) => Next::Declined,
        // Whoever pushed it: it says what is to be said.
        (None | Some(Fate::Open | Fate::Merged), Some((_, true))) => Next::Leave,
        (None | Some(Fate::Open | Fate::Merged), Some((false, false))) => Next::HandsOff,
        // Of one that was merged the branch may stand yet; it says something new then.
        (None | Some(Fate::Open | Fate::Merged), Some((true, false)) | None) => Next::Push,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_come_first() {
        let next = |newest, tip| decide(&Seen { newest, tip });
        assert_eq!(next(None, None), Next::Push);
        assert_eq!(next(None, Some((true, true))), Next::Leave, "only the pull request is missing");
        assert_eq!(next(Some(Fate::Open), Some((true, true))), Next::Leave);
        assert_eq!(next(Some(Fate::Open), Some((true, false))), Next::Push);
        assert_eq!(next(Some(Fate::Open), Some((false, false))), Next::HandsOff);
        assert_eq!(next(Some(Fate::Open), Some((false, true))), Next::Leave);
        assert_eq!(next(Some(Fate::Open), None), Next::Push, "its branch was removed");
        assert_eq!(next(Some(Fate::Merged), None), Next::Push);
        for tip in [None, Some((true, true)), Some((true, false)), Some((false, false))] {
            assert_eq!(next(Some(Fate::Closed), tip), Next::Declined);
        }
    }
}
