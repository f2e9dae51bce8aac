//! Answers with their ETags, so that asking again for what has not changed costs no rate limit.

use std::collections::HashMap;

use hyper::body::Bytes;
use serde_json::Value;

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
    /// A page that holds all it can, and is the last one. Its ETag speaks of what it holds: it stays the
    /// same when a next page comes, of which an answer without a body does not tell.
    pub(super) is_full: bool,
}

/// Whether a page holds as many entries as its path asks for. Some lists stand among other things.
pub(super) fn is_full(path: &str, body: &[u8]) -> bool {
    let query = path.split_once('?').map_or("", |(_, query)| query);
    let most = query.split('&').find_map(|pair| pair.strip_prefix("per_page=")?.parse().ok());
    let Some(most): Option<usize> = most else { return false };
    let count = match serde_json::from_slice(body) {
        Ok(Value::Array(list)) => list.len(),
        Ok(Value::Object(fields)) => {
            fields.values().filter_map(Value::as_array).map(Vec::len).max().unwrap_or_default()
        }
        _ => 0,
    };
    count >= most
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
        let kept = |bytes| {
            let body = vec![0; bytes].into();
            Kept { etag: "e".into(), body, next: None, is_full: false }
        };
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

    #[test]
    fn a_page_is_full_when_nothing_more_goes_on_it() {
        let path = "/repos/a/b/pulls?state=open&per_page=2";
        for (body, expected) in [
            ("[]", false),
            ("[1]", false),
            ("[1, 2]", true),
            (r#"{"total_count": 2, "check_runs": [1, 2]}"#, true),
            (r#"{"total_count": 1, "check_runs": [1]}"#, false),
            ("2", false),
            ("[1, 2", false),
        ] {
            assert_eq!(is_full(path, body.as_bytes()), expected, "{body}");
        }
        assert!(!is_full("/repos/a/b/pulls/1", b"[1, 2]"));
    }
}
