//! How fast one account's region is asked: a bucket of tokens for each kind of call.
//!
//! CloudFormation allows an account a few calls a second, shared with everybody else who works in
//! it. Whoever would come too early waits for its turn, in the order of asking; an answer that says
//! "too fast" empties the bucket, so that all wait, not only who got it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Calls a second, and how many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls a second, above 0.
    pub per_second: f64,
    /// At most this many at once.
    pub burst: f64,
}

impl Rate {
    /// That many a second, and twice as many at once after a pause.
    pub fn of(per_second: f64) -> Self {
        Self { per_second, burst: (per_second * 2.0).max(1.0) }
    }
}

#[derive(Debug)]
pub(super) struct Bucket {
    rate: Rate,
    /// Tokens at a moment; below zero: taken in advance.
    state: Mutex<(f64, Instant)>,
}

impl Bucket {
    pub(super) fn new(rate: Rate) -> Self {
        Self { rate, state: Mutex::new((rate.burst, Instant::now())) }
    }

    /// Waits for a token.
    pub(super) async fn take(&self) {
        let wait = self.reserve(Instant::now());
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }

    /// The service said that it was too fast: nobody asks for the next second.
    pub(super) fn slow_down(&self) {
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = self.grown(*state, now);
        *state = (tokens.min(0.0) - self.rate.per_second.min(self.rate.burst), now);
    }

    fn grown(&self, (tokens, at): (f64, Instant), now: Instant) -> f64 {
        let more = now.saturating_duration_since(at).as_secs_f64() * self.rate.per_second;
        (tokens + more).min(self.rate.burst)
    }

    fn reserve(&self, now: Instant) -> Duration {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = self.grown(*state, now) - 1.0;
        *state = (left, now);
        if left >= 0.0 {
            return Duration::ZERO;
        }
        Duration::from_secs_f64(-left / self.rate.per_second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_after_another() {
        let bucket = Bucket::new(Rate { per_second: 10.0, burst: 2.0 });
        let now = Instant::now();
        let waits: Vec<_> = (0..4).map(|_| bucket.reserve(now).as_millis()).collect();
        assert_eq!(waits, [0, 0, 100, 200]);
        assert_eq!(bucket.reserve(now + Duration::from_secs(5)).as_millis(), 0, "after a pause");
    }

    #[test]
    fn too_fast_makes_all_wait() {
        let bucket = Bucket::new(Rate { per_second: 10.0, burst: 20.0 });
        bucket.slow_down();
        let wait = bucket.reserve(Instant::now()).as_millis();
        assert!((1000..=1100).contains(&wait), "{wait}");
    }
}
