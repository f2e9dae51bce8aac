//! A sorted table of requests: what was loaded lies in one piece, without room for what may never
//! come; what is new lies beside it.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::RequestId;

/// What a table keeps.
pub trait Entry: Clone {
    /// Whose it is.
    fn id(&self) -> &RequestId;
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Table<T> {
    /// Sorted, as loaded; entries are replaced in their place.
    loaded: Vec<T>,
    /// Places of those among the loaded that are no more.
    gone: BTreeSet<usize>,
    new: BTreeMap<RequestId, T>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { loaded: Vec::new(), gone: BTreeSet::new(), new: BTreeMap::new() }
    }
}

impl<T: Entry> Table<T> {
    /// Of entries in any order, of which no two are of one request.
    pub fn load(mut loaded: Vec<T>) -> Self {
        loaded.sort_by(|a, b| a.id().cmp(b.id()));
        Self { loaded, ..Self::default() }
    }

    fn find(&self, id: &RequestId) -> Result<usize, usize> {
        self.loaded.binary_search_by(|entry| entry.id().cmp(id))
    }

    /// A request's entry.
    pub fn get(&self, id: &RequestId) -> Option<&T> {
        match self.find(id) {
            Ok(n) => (!self.gone.contains(&n)).then(|| &self.loaded[n]),
            Err(_) => self.new.get(id),
        }
    }

    /// Whether it has one.
    pub fn contains(&self, id: &RequestId) -> bool {
        self.get(id).is_some()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.loaded.len() - self.gone.len() + self.new.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, by request.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        let is_there = |(n, entry)| (!self.gone.contains(&n)).then_some(entry);
        let mut loaded = self.loaded.iter().enumerate().filter_map(is_there).peekable();
        let mut new = self.new.values().peekable();
        std::iter::from_fn(move || match (loaded.peek(), new.peek()) {
            (Some(a), Some(b)) if b.id() < a.id() => new.next(),
            (Some(_), _) => loaded.next(),
            (None, _) => new.next(),
        })
    }

    /// Puts or replaces an entry; gives the one before.
    pub fn put(&mut self, entry: T) -> Option<T> {
        match self.find(entry.id()) {
            Ok(n) => {
                let was_gone = self.gone.remove(&n);
                let before = std::mem::replace(&mut self.loaded[n], entry);
                (!was_gone).then_some(before)
            }
            Err(_) => self.new.insert(entry.id().clone(), entry),
        }
    }

    /// Removes an entry, and gives it.
    pub fn remove(&mut self, id: &RequestId) -> Option<T> {
        match self.find(id) {
            Ok(n) => self.gone.insert(n).then(|| self.loaded[n].clone()),
            Err(_) => self.new.remove(id),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl Entry for (RequestId, u8) {
        fn id(&self) -> &RequestId {
            &self.0
        }
    }

    fn id(n: u8) -> RequestId {
        RequestId::parse(&format!("team/prod/r{n}")).unwrap()
    }

    proptest! {
        #[test]
        fn a_table_is_a_map(
            loaded in prop::collection::btree_map(0u8..12, any::<u8>(), 0..8),
            changes in prop::collection::vec((0u8..12, prop::option::of(any::<u8>())), 0..24),
        ) {
            let mut map: BTreeMap<RequestId, u8> =
                loaded.iter().map(|(n, v)| (id(*n), *v)).collect();
            let mut table = Table::load(map.clone().into_iter().collect());
            for (n, change) in changes {
                let (before, had) = match change {
                    Some(value) => (table.put((id(n), value)), map.insert(id(n), value)),
                    None => (table.remove(&id(n)), map.remove(&id(n))),
                };
                prop_assert_eq!(before.map(|(_, value)| value), had);
                prop_assert_eq!(table.get(&id(n)).map(|(_, value)| value), map.get(&id(n)));
                prop_assert_eq!(table.len(), map.len());
            }
            let all: Vec<_> = table.iter().cloned().collect();
            prop_assert_eq!(all, map.into_iter().collect::<Vec<_>>());
        }
    }
}
