//! What people write and find, in as few words as the rules about it need.

use std::collections::{BTreeMap, BTreeSet};

pub type Id = &'static str;

/// What a request file says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct File {
    pub value: u16,
    /// The minor version that it names, of the first major one; `None`: any of those.
    pub version: Option<u8>,
    pub protect: bool,
    /// Permits its deletion.
    pub confirm: bool,
    pub suspend: bool,
    pub broken: bool,
    /// `movedFrom`.
    pub from: Option<Id>,
}

/// What a version's folder says.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Edition {
    First,
    Second,
    /// Nothing can be made of it.
    Broken,
}

/// What the catalog says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Catalog {
    /// By minor version.
    pub folders: BTreeMap<u8, Edition>,
    /// What a person changed is put back.
    pub reverts: bool,
    /// Its own file is no YAML.
    pub garbled: bool,
}

impl Catalog {
    pub fn new(versions: impl IntoIterator<Item = u8>) -> Self {
        let folders = versions.into_iter().map(|version| (version, Edition::First)).collect();
        Self { folders, reverts: false, garbled: false }
    }
}

/// What is made of a request: of which version, as that said then, with which value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct What {
    pub version: u8,
    pub edition: Edition,
    pub value: u16,
}

/// What a person did to what was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hand {
    Changed,
    Removed,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Word {
    Ready,
    Suspended,
    Held(&'static str),
}

/// What is there at rest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Rest {
    /// What each request that is known stands at.
    pub words: BTreeMap<Id, Word>,
    /// Those that have a file and of which something was changed or removed by hand.
    pub drifted: BTreeSet<Id>,
    /// What is there in the world; `None`: what somebody made of it by hand.
    pub things: BTreeMap<Id, Option<What>>,
}
