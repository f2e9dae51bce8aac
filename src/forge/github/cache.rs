//! Answers with their ETags, so that asking again for what has not changed costs no rate limit.

use std::collections::HashMap;

use hyper::body::Bytes;

use super::auth::Account;

/// Answers kept, and bytes of their bodies in all.
const ENTRIES_MOST: usize = 2_048;
const BYTES_MOST: usize = 32 << 20;

/// An answer that may still hold.
#[derive(Clone)]
pub(super) struct Kept {
    pub(super) etag: String,
    pub(super) body: Bytes,
    /// Where the next page is.
    pub(super) next: Option<String>,
}

/// The least recently used goes first.
#[derive(Default)]
pub(super) struct Cache {
    kept: HashMap<(Account, String), (u64, Kept)>,
    bytes: usize,
    clock: u64,
}

impl Cache {
    pub(super) fn get(&mut self, account: Account, path: &str) -> Option<Kept> {
        self.clock += 1;
        let (used, kept) = self.kept.get_mut(&(account, path.to_owned()))?;
        *used = self.clock;
        Some(kept.clone())
    }

    pub(super) fn put(&mut self, account: Account, path: &str, kept: Kept) {
        // One that is a large part of all would push everything else out.
        self.remove(&(account, path.to_owned()));
        if kept.body.len() > BYTES_MOST / 8 {
            return;
        }
        self.clock += 1;
        self.bytes += kept.body.len();
        self.kept.insert((account, path.to_owned()), (self.clock, kept));
        while self.kept.len() > ENTRIES_MOST || self.bytes > BYTES_MOST {
            self.shrink();
        }
    }

    /// Drops the older half, so that a full cache is not sorted at each call.
    fn shrink(&mut self) {
        let mut used: Vec<u64> = self.kept.values().map(|(used, _)| *used).collect();
        used.sort_unstable();
        let middle = used[used.len() / 2];
        self.kept.retain(|_, (used, _)| *used >= middle);
        self.bytes = self.kept.values().map(|(_, kept)| kept.body.len()).sum();
    }

    fn remove(&mut self, key: &(Account, String)) {
        if let Some((_, kept)) = self.kept.remove(key) {
            self.bytes -= kept.body.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let kept = |bytes| Kept { etag: "e".into(), body: vec![0; bytes].into(), next: None };
        let mut cache = Cache::default();
        cache.put(Account::App, "/used", kept(10));
        for n in 0..3 * ENTRIES_MOST {
            cache.put(Account::App, &format!("/{n}"), kept(10));
            assert!(cache.get(Account::App, "/used").is_some(), "{n}");
            assert!(cache.kept.len() <= ENTRIES_MOST);
        }
        for n in 0..100 {
            cache.put(Account::App, &format!("/{n}"), kept(1 << 20));
            assert!(cache.bytes <= BYTES_MOST);
        }
        cache.put(Account::App, "/used", kept(BYTES_MOST));
        assert!(
            cache.get(Account::App, "/used").is_none(),
            "too large, and the old one is no more"
        );
        assert!(cache.get(Account::Installation(1), "/99").is_none(), "another account's");
        let bytes: usize = cache.kept.values().map(|(_, kept)| kept.body.len()).sum();
        assert_eq!(bytes, cache.bytes);
    }
}
