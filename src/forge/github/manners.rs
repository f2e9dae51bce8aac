//! What an answer's status and headers mean, and when GitHub may be asked again: pure.

use std::time::Duration;

use hyper::http::HeaderMap;
use jiff::Timestamp;

use super::Writes;
use crate::meter::Budget;

/// GitHub's least wait after a secondary limit that says no time.
const SECONDARY_LEAST: Duration = Duration::from_secs(60);

/// The longest that a limit is believed to last: GitHub's windows are an hour.
const LIMIT_MOST: Duration = Duration::from_secs(3_600);

/// Whether a call changes something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Read,
    Write,
}

/// What GitHub says about how much we ask.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Limit {
    /// The hour's calls are used up.
    Primary { until: Timestamp },
    /// Too much at once, for this long if it says so.
    Secondary { wait: Option<Duration> },
}

impl Limit {
    /// Reads it from an answer that refuses; `None` when that refuses something else.
    pub(super) fn of(
        status: u16,
        headers: &HeaderMap,
        message: &str,
        now: Timestamp,
    ) -> Option<Self> {
        let words = message.to_ascii_lowercase();
        let says_so = ["rate limit", "abuse detection", "submitted too quickly"]
            .iter()
            .any(|phrase| words.contains(phrase));
        let wait = retry_after(headers, now);
        match status {
            429 => {}
            403 if says_so || wait.is_some() => {}
            _ => return None,
        }
        match used_up(headers) {
            Some(until) if wait.is_none() => Some(Self::Primary { until }),
            _ => Some(Self::Secondary { wait }),
        }
    }
}

/// When the calls that are used up come back, whatever the status: the next one would be refused.
pub(super) fn used_up(headers: &HeaderMap) -> Option<Timestamp> {
    let number = |name| headers.get(name)?.to_str().ok()?.trim().parse::<i64>().ok();
    let is_core = headers.get("x-ratelimit-resource").is_none_or(|resource| resource == "core");
    let is_out = is_core && number("x-ratelimit-remaining") == Some(0);
    is_out
        .then(|| number("x-ratelimit-reset"))
        .flatten()
        .and_then(|s| Timestamp::from_second(s).ok())
}

/// What may still be asked this hour, by an answer of any status.
pub(super) fn budget(headers: &HeaderMap) -> Option<Budget> {
    let text = |name| headers.get(name)?.to_str().ok().map(str::trim);
    if text("x-ratelimit-resource").is_some_and(|resource| resource != "core") {
        return None;
    }
    let left = text("x-ratelimit-remaining")?.parse().ok()?;
    Some(Budget { left, until: text("x-ratelimit-reset")?.parse().ok()? })
}

/// `Retry-After`, in seconds or as a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    let wait = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => {
            let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
            Duration::try_from(at.duration_since(now)).unwrap_or_default()
        }
    };
    Some(wait.min(LIMIT_MOST))
}

/// When one account may be asked again, and how much it may still say.
pub(super) struct Gate {
    reads: Option<Timestamp>,
    writes: Option<Timestamp>,
    /// Secondary limits one after the other, without a good answer between them.
    strikes: u32,
    minute: Bucket,
    hour: Bucket,
}

impl Gate {
    /// Open, with all of its budget.
    pub(super) fn new(writes: Writes, now: Timestamp) -> Self {
        let (minute, hour) = (Duration::from_secs(60), Duration::from_secs(3_600));
        Self {
            reads: None,
            writes: None,
            strikes: 0,
            minute: Bucket::new(writes.per_minute.get(), minute, now),
            hour: Bucket::new(writes.per_hour.get(), hour, now),
        }
    }

    /// How long calls of that kind must wait; `None`: not at all.
    pub(super) fn wait(&self, kind: Kind, now: Timestamp) -> Option<Duration> {
        let until = match kind {
            Kind::Read => self.reads,
            Kind::Write => self.reads.max(self.writes),
        };
        until
            .and_then(|until| Duration::try_from(until.duration_since(now)).ok())
            .filter(|wait| !wait.is_zero())
    }

    /// Takes one call that says something out of the budget; else how long until there is one.
    pub(super) fn spend(&mut self, now: Timestamp) -> Result<(), Duration> {
        let wait = self.minute.wait(now).max(self.hour.wait(now));
        if !wait.is_zero() {
            return Err(wait);
        }
        self.minute.take();
        self.hour.take();
        Ok(())
    }

    /// Shuts it after a limit; for how long.
    pub(super) fn shut(&mut self, kind: Kind, limit: Limit, now: Timestamp) -> Duration {
        let (kind, wait) = match limit {
            // The hour's calls are counted together.
            Limit::Primary { until } => {
                let wait = Duration::try_from(until.duration_since(now)).unwrap_or_default();
                (Kind::Read, wait.max(Duration::from_secs(1)))
            }
            Limit::Secondary { wait } => {
                self.strikes = (self.strikes + 1).min(5);
                let least = SECONDARY_LEAST * (1 << (self.strikes - 1));
                (kind, wait.unwrap_or(least).max(Duration::from_secs(1)))
            }
        };
        let wait = wait.min(LIMIT_MOST);
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        let side = match kind {
            Kind::Read => &mut self.reads,
            Kind::Write => &mut self.writes,
        };
        *side = (*side).max(Some(until));
        wait
    }

    /// A good answer came.
    pub(super) fn calm(&mut self) {
        self.strikes = 0;
    }
}

/// Tokens that come back one by one.
struct Bucket {
    most: u32,
    each: Duration,
    /// When it is full again, if nothing more is taken.
    full_at: Timestamp,
    now: Timestamp,
}

impl Bucket {
    fn new(most: u32, period: Duration, now: Timestamp) -> Self {
        Self { most, each: period / most, full_at: now, now }
    }

    /// How long until one can be taken.
    fn wait(&mut self, now: Timestamp) -> Duration {
        self.now = now;
        // A clock that was set back must not shut it for ever.
        let latest = now.checked_add(self.each * self.most).unwrap_or(Timestamp::MAX);
        self.full_at = self.full_at.clamp(now, latest);
        let missing = Duration::try_from(self.full_at.duration_since(now)).unwrap_or_default();
        (missing + self.each).saturating_sub(self.each * self.most)
    }

    fn take(&mut self) {
        self.full_at = self.full_at.max(self.now).checked_add(self.each).unwrap_or(Timestamp::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn f50_limits_are_told_from_permissions() {
        let limit =
            |status, pairs: &[_], message| Limit::of(status, &headers(pairs), message, at(0));
        let out = [("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "1700000100")];
        let secondary =
            |wait: Option<u64>| Some(Limit::Secondary { wait: wait.map(Duration::from_secs) });
        assert_eq!(limit(403, &[], "Resource not accessible by integration"), None);
        assert_eq!(limit(403, &out, "Resource not accessible by integration"), None);
        assert_eq!(
            limit(403, &out, "API rate limit exceeded for installation ID 1."),
            Some(Limit::Primary { until: at(100) })
        );
        assert_eq!(limit(429, &out, ""), Some(Limit::Primary { until: at(100) }));
        assert_eq!(limit(403, &[], "You have exceeded a secondary rate limit."), secondary(None));
        assert_eq!(limit(403, &[("retry-after", "30")], "slow down"), secondary(Some(30)));
        assert_eq!(limit(429, &[("retry-after", "99999999")], ""), secondary(Some(3_600)));
        let date = [("retry-after", "Tue, 14 Nov 2023 22:13:50 GMT")];
        assert_eq!(limit(429, &date, ""), secondary(Some(30)));
        assert_eq!(limit(429, &[("retry-after", "soon")], ""), secondary(None));
        assert_eq!(limit(422, &[("retry-after", "5")], "Validation Failed"), None);
    }

    #[test]
    fn the_last_call_of_the_hour_is_noticed() {
        let of = |pairs: &[_]| used_up(&headers(pairs));
        let reset = ("x-ratelimit-reset", "1700000100");
        assert_eq!(of(&[("x-ratelimit-remaining", "0"), reset]), Some(at(100)));
        assert_eq!(of(&[("x-ratelimit-remaining", "1"), reset]), None);
        assert_eq!(of(&[("x-ratelimit-remaining", "0")]), None);
        assert_eq!(of(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-reset", "x")]), None);
        let search = ("x-ratelimit-resource", "search");
        assert_eq!(of(&[("x-ratelimit-remaining", "0"), reset, search]), None);
    }

    #[test]
    fn what_is_left_is_read_of_the_calls_that_count_for_us() {
        let of = |pairs: &[_]| budget(&headers(pairs));
        let (left, reset) =
            (("x-ratelimit-remaining", "4999"), ("x-ratelimit-reset", "1700000100"));
        let known = Some(Budget { left: 4_999, until: 1_700_000_100 });
        assert_eq!(of(&[left, reset]), known);
        assert_eq!(of(&[left, reset, ("x-ratelimit-resource", "core")]), known);
        assert_eq!(of(&[left, reset, ("x-ratelimit-resource", "search")]), None);
        assert_eq!(of(&[left]), None);
        assert_eq!(of(&[("x-ratelimit-remaining", "-1"), reset]), None);
    }

    #[test]
    fn f50_a_gate_opens_again_and_each_strike_keeps_it_shut_longer() {
        let mut gate = Gate::new(Writes::default(), at(0));
        let secondary = Limit::Secondary { wait: None };
        assert_eq!(gate.wait(Kind::Write, at(0)), None);
        assert_eq!(gate.shut(Kind::Write, secondary, at(0)), Duration::from_secs(60));
        assert_eq!(gate.wait(Kind::Write, at(20)), Some(Duration::from_secs(40)));
        assert_eq!(gate.wait(Kind::Read, at(20)), None);
        assert_eq!(gate.wait(Kind::Write, at(60)), None);
        assert_eq!(gate.shut(Kind::Write, secondary, at(60)), Duration::from_secs(120));
        gate.calm();
        assert_eq!(gate.shut(Kind::Write, secondary, at(200)), Duration::from_secs(60));
        gate.shut(Kind::Write, Limit::Primary { until: at(900) }, at(300));
        assert_eq!(gate.wait(Kind::Read, at(300)), Some(Duration::from_secs(600)));
        assert_eq!(gate.wait(Kind::Read, at(900)), None);
    }

    #[test]
    fn as_much_is_said_as_the_operator_says() {
        let of = |number| std::num::NonZeroU32::new(number).unwrap();
        let mut gate = Gate::new(Writes { per_minute: of(3), per_hour: of(4) }, at(0));
        assert!((0..3).all(|_| gate.spend(at(0)).is_ok()));
        assert_eq!(gate.spend(at(0)), Err(Duration::from_secs(20)));
        assert!(gate.spend(at(20)).is_ok());
        assert_eq!(gate.spend(at(60)), Err(Duration::from_secs(840)));
    }

    #[test]
    fn f50_forty_calls_in_a_minute_and_no_more_than_250_soon_after() {
        let mut gate = Gate::new(Writes::default(), at(0));
        assert!((0..40).all(|_| gate.spend(at(0)).is_ok()));
        assert_eq!(gate.spend(at(0)), Err(Duration::from_millis(1_500)));
        assert!(gate.spend(at(2)).is_ok());
        assert!(gate.spend(at(2)).is_err());
        let mut said = 41;
        for minute in 1..60 {
            while gate.spend(at(minute * 60)).is_ok() {
                said += 1;
            }
        }
        assert!((250..=500).contains(&said), "{said}");
        assert!(gate.spend(at(59 * 60)).unwrap_err() > Duration::from_secs(1));
        // A clock that was set back shuts it for no longer than a full period.
        assert!(gate.spend(at(-100_000)).unwrap_err() <= Duration::from_secs(3_600));
    }
}
