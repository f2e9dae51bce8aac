//! Pull requests of our own, seen from no particular forge.

use std::collections::BTreeSet;

use crate::model::Revision;

/// A pull request as it should be. Its branch is in the repository itself, and ours alone.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposal {
    /// The branch that it would merge.
    pub branch: String,
    /// The branch that it would be merged into.
    pub base: String,
    /// One line.
    pub title: String,
    /// What makes it ours; stands in `body`.
    pub marker: String,
    /// Markdown.
    pub body: String,
    /// Those that it should have at the least; people may add others.
    pub labels: Vec<String>,
    /// Earlier ones of that branch that have ended and are no answer to this one. Any other that has
    /// ended is: it is given back as it is, and none is opened.
    pub ended: BTreeSet<u64>,
}

/// A pull request of a branch of ours as it is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Proposed {
    /// Its number.
    pub number: u64,
    /// Where people read it.
    pub url: String,
    /// The commit that it would merge.
    pub head: Revision,
    /// What became of it.
    pub fate: Fate,
    /// It was opened by us, and holds the marker.
    pub ours: bool,
}

/// What became of a pull request of ours.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It stands open.
    Open,
    /// Somebody merged it.
    Merged,
    /// It was closed without being merged: somebody said no.
    Closed,
}
