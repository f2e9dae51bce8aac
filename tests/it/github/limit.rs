//! How often somebody may ask.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

/// Primary limits, by who asks.
pub struct Limits {
    /// Requests in an hour.
    pub most: u64,
    used: BTreeMap<String, (Timestamp, u64)>,
    /// The secondary one: writes in a minute; none unless set.
    pub writes: Option<usize>,
    written: Vec<(String, Timestamp)>,
}

/// How somebody stands.
#[derive(Clone, Copy)]
pub struct Standing {
    pub most: u64,
    pub used: u64,
    pub reset: Timestamp,
}

impl Default for Limits {
    fn default() -> Self {
        Self { most: 5000, used: BTreeMap::new(), writes: None, written: Vec::new() }
    }
}

impl Limits {
    pub fn standing(&self, who: &str, now: Timestamp) -> Standing {
        let hour = SignedDuration::from_hours(1);
        let (reset, used) = match self.used.get(who) {
            Some((reset, used)) if *reset > now => (*reset, *used),
            _ => (now + hour, 0),
        };
        Standing { most: self.most, used, reset }
    }

    /// Counts one more; false when there are none left.
    pub fn take(&mut self, who: &str, now: Timestamp) -> bool {
        let Standing { most, used, reset } = self.standing(who, now);
        let is_left = used < most;
        self.used.insert(who.to_owned(), (reset, used + u64::from(is_left)));
        is_left
    }

    /// Counts one more write; false when there were too many in the last minute.
    pub fn write(&mut self, who: &str, now: Timestamp) -> bool {
        let minute = SignedDuration::from_secs(60);
        self.written.retain(|(_, at)| *at + minute > now);
        let count = self.written.iter().filter(|(it, _)| it == who).count();
        let is_left = self.writes.is_none_or(|most| count < most);
        if is_left {
            self.written.push((who.to_owned(), now));
        }
        is_left
    }

    /// Only so many are left to everybody from now on.
    pub fn leave(&mut self, remaining: u64) {
        self.most = remaining;
        self.used.clear();
    }
}

impl Standing {
    pub fn remaining(self) -> u64 {
        self.most.saturating_sub(self.used)
    }

    /// The headers that every answer has.
    pub fn headers(self) -> Vec<(String, String)> {
        let header = |name: &str, value: String| (format!("x-ratelimit-{name}"), value);
        vec![
            header("limit", self.most.to_string()),
            header("remaining", self.remaining().to_string()),
            header("used", self.used.to_string()),
            header("reset", self.reset.as_second().to_string()),
            header("resource", "core".into()),
        ]
    }
}
