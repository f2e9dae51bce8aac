//! What people do, and what their files say then.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::words::{Catalog, Edition, File, Hand, Id};

pub const IDS: [Id; 8] = [
    "orders/dev/one",
    "orders/dev/two",
    "orders/dev/three",
    "orders/dev/four",
    "billing/dev/one",
    "billing/dev/five",
    "billing/dev/six",
    "shop/dev/one",
];

/// What nobody ever was.
pub const NOBODY: Id = "orders/dev/nobody";

/// What people do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Act {
    /// One commit: files that come, change, or go.
    Edit(Vec<(usize, Option<File>)>),
    /// A file under another name, with or without a word, as it was or changed.
    Rename { from: usize, to: usize, says: bool, value: Option<u16> },
    /// All files of a team, or of all.
    RemoveAll(Option<usize>),
    /// Yes to all that is asked.
    Approve,
    /// The branch is another history, with the files of that many rounds ago; somebody accepts it.
    Rewrite(usize),
    /// The branch is gone for a while.
    Gone,
    /// The status branch is edited.
    Vandal(u8),
    /// What was made of some is changed or removed by hand.
    Touch(Vec<(usize, Hand)>),
    /// A version's folder comes, is edited, or goes.
    Folder(u8, Option<Edition>),
    /// The catalog's own file can be read no more, or again.
    Garble,
    /// What a person changed is put back from now on, or is not any more.
    Policy,
    /// The catalog's branch is gone for a while.
    Dark,
    /// Nobody does anything, until all is looked at again.
    Wait,
}

/// Which versions files name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Names {
    /// One each.
    Exact,
    /// Ranges as well, and what is not there yet.
    All,
}

fn file(names: Names) -> impl Strategy<Value = File> {
    let from = prop_oneof![12 => Just(None), 1 => (0..IDS.len()).prop_map(|n| Some(IDS[n])), 1 => Just(Some(NOBODY))];
    let rare = || prop::bool::weighted(0.12);
    let exact = prop_oneof![4 => Just(Some(0)), 1 => Just(Some(1))];
    let version = match names {
        Names::Exact => exact.boxed(),
        Names::All => prop_oneof![10 => exact, 1 => Just(Some(2)), 4 => Just(None)].boxed(),
    };
    (0..6_u16, version, rare(), rare(), rare(), rare(), from).prop_map(
        |(value, version, protect, confirm, suspend, broken, from)| {
            let is_plain = from.is_none();
            let (suspend, broken) = (suspend && is_plain, broken && is_plain);
            File { value, version, protect, confirm, suspend, broken, from }
        },
    )
}

/// What is done to the catalog, but for what it says of what people change.
fn stock() -> impl Strategy<Value = Act> {
    let edition = prop::sample::select(vec![Edition::First, Edition::Second, Edition::Broken]);
    let folder = (0..3_u8, prop::option::weighted(0.7, edition));
    prop_oneof![
        3 => folder.prop_map(|(version, edition)| Act::Folder(version, edition)),
        1 => Just(Act::Garble),
        1 => Just(Act::Dark),
    ]
}

/// Where versions are only ever named exactly, the catalog has them all: what is done to its folders, and
/// to a status branch that nobody has, is for those that read them.
pub fn act(names: Names) -> BoxedStrategy<Act> {
    let vandal = (0..4_u8).prop_map(Act::Vandal);
    match names {
        Names::Exact => common(names).boxed(),
        Names::All => prop_oneof![25 => common(names), 1 => vandal, 5 => stock()].boxed(),
    }
}

fn common(names: Names) -> impl Strategy<Value = Act> {
    let id = || 0..IDS.len();
    let edit = (id(), prop::option::weighted(0.75, file(names)));
    let hand = prop::sample::select(vec![Hand::Changed, Hand::Removed]);
    prop_oneof![
        9 => prop::collection::vec(edit, 1..4).prop_map(Act::Edit),
        4 => (id(), id(), any::<bool>(), prop::option::weighted(0.3, 0..6_u16))
            .prop_map(|(from, to, says, value)| Act::Rename { from, to, says, value }),
        1 => prop::option::of(id()).prop_map(Act::RemoveAll),
        3 => Just(Act::Approve),
        1 => (1..3_usize).prop_map(Act::Rewrite),
        1 => Just(Act::Gone),
        3 => prop::collection::vec((id(), hand), 1..4).prop_map(Act::Touch),
        1 => Just(Act::Policy),
        1 => Just(Act::Wait),
    ]
}

/// All files as they were after each round, the last ones last.
pub type Views = Vec<BTreeMap<Id, File>>;

impl Act {
    /// Whether it changes what a pass sees.
    pub fn is_seen(&self) -> bool {
        match self {
            Self::Edit(_) | Self::Rename { .. } | Self::RemoveAll(_) | Self::Rewrite(_) => true,
            Self::Approve
            | Self::Gone
            | Self::Vandal(_)
            | Self::Touch(_)
            | Self::Folder(..)
            | Self::Garble
            | Self::Policy
            | Self::Dark
            | Self::Wait => false,
        }
    }

    /// What it makes of the catalog; whether that is anything.
    pub fn stock(&self, catalog: &mut Catalog) -> bool {
        match self {
            Self::Folder(version, None) => catalog.folders.remove(version).is_some(),
            Self::Folder(version, Some(edition)) => {
                catalog.folders.insert(*version, *edition) != Some(*edition)
            }
            Self::Garble => {
                catalog.garbled = !catalog.garbled;
                true
            }
            Self::Policy => {
                catalog.reverts = !catalog.reverts;
                true
            }
            _ => false,
        }
    }

    /// The files after it. `is_made`: whether something was applied of a request.
    pub fn edit(&self, views: &Views, is_made: &dyn Fn(Id) -> bool) -> BTreeMap<Id, File> {
        let mut files = views.last().cloned().unwrap_or_default();
        let is_named =
            |files: &BTreeMap<Id, File>, id: Id| files.values().any(|other| other.from == Some(id));
        match self {
            Self::Edit(edits) => {
                for (n, file) in edits {
                    // Who names another as what it was stays the only one that does.
                    match file {
                        Some(file) if !is_named(&files, IDS[*n]) && file.from != Some(IDS[*n]) => {
                            files.insert(IDS[*n], *file);
                        }
                        _ => drop(files.remove(IDS[*n])),
                    }
                }
            }
            Self::Rename { from, to, says, value } => {
                let (from, to) = (IDS[*from], IDS[*to]);
                let is_free = !files.contains_key(to) && !is_made(to) && !is_named(&files, to);
                if let Some(file) = files.get(from).copied().filter(|_| is_free && from != to) {
                    files.remove(from);
                    let value = value.unwrap_or(file.value);
                    let plain = File { suspend: false, broken: false, ..file };
                    files.insert(to, File { value, from: says.then_some(from), ..plain });
                }
            }
            Self::RemoveAll(team) => {
                let team = team.map(|n| IDS[n].split('/').next().unwrap());
                files.retain(|id, _| team.is_some_and(|team| !id.starts_with(team)));
            }
            Self::Rewrite(back) => {
                if let Some(former) = views.iter().rev().nth(*back + 1) {
                    files.clone_from(former);
                }
            }
            _ => {}
        }
        files
    }
}
