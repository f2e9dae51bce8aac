//! How fast one account's region is asked: a bucket of tokens for each kind of call.
//!
//! CloudFormation allows an account a few calls a second of each operation, shared with everybody
//! else who works in it. Whoever would come too early waits for its turn, in the order of asking; an answer that says
//! "too fast" empties the bucket, so that all wait, not only who got it.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::meter::meter;

/// Whose calls are counted.
const PROVIDER: &str = "cloudformation";

/// Calls a second, and how many at once after a pause.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Calls a second, above 0.
    pub per_second: f64,
    /// At most this many at once.
    pub burst: f64,
}

impl Rate {
    /// That many a second, and after a pause all of a second's but one at once: a service that counts
    /// the same has then always one left for a call that comes sooner after the last than it was sent.
    pub fn of(per_second: f64) -> Self {
        Self { per_second, burst: (per_second - 1.0).max(1.0) }
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
            meter().waited(PROVIDER, wait);
            tokio::time::sleep(wait).await;
        }
    }

    /// How much may be asked in `time`, in the long run.
    pub(super) fn in_time(&self, time: Duration) -> f64 {
        self.rate.per_second * time.as_secs_f64()
    }

    /// Whether there is room for a call that may as well not be made: what must be asked would not
    /// wait for it.
    pub(super) fn has_room(&self, now: Instant) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.grown(*state, now) >= (self.rate.burst / 2.0).max(1.0)
    }

    /// The service said that it was too fast: nobody asks for the next second.
    pub(super) fn slow_down(&self) {
        meter().throttled(PROVIDER);
        let now = Instant::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = self.grown(*state, now);
        *state = (tokens.min(0.0) - self.rate.per_second.min(self.rate.burst), now);
    }

    fn grown(&self, (tokens, at): (f64, Instant), now: Instant) -> f64 {
        let more = now.saturating_duration_since(at).as_secs_f64() * self.rate.per_second;
        (tokens + more).min(self.rate.burst)
    }

    pub(super) fn reserve(&self, now: Instant) -> Duration {
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
    fn there_is_room_while_half_is_left() {
        let bucket = Bucket::new(Rate { per_second: 0.001, burst: 4.0 });
        let room: Vec<bool> = (0..4)
            .map(|_| {
                bucket.reserve(Instant::now());
                bucket.has_room(Instant::now())
            })
            .collect();
        assert_eq!(room, [true, true, false, false]);
        assert!(
            Bucket::new(Rate::of(1.0)).has_room(Instant::now()),
            "the slowest has room at times"
        );
    }

    #[test]
    fn who_counts_the_same_is_never_asked_too_fast() {
        let (rate, jitter) = (Rate::of(10.0), 0.09);
        let ours = Bucket::new(rate);
        let begin = Instant::now();
        // The other's bucket holds all of a second's, and the first call comes late to it.
        let (mut tokens, mut last) = (10.0_f64, jitter);
        for n in 0..100 {
            let sent = ours.reserve(begin).as_secs_f64();
            let at = if n == 0 { jitter } else { sent.max(jitter) };
            tokens = (tokens + (at - last) * 10.0).min(10.0) - 1.0;
            last = at;
            assert!(tokens >= 0.0, "call {n} at {at}: {tokens}");
        }
    }

    #[test]
    fn too_fast_makes_all_wait() {
        let bucket = Bucket::new(Rate { per_second: 10.0, burst: 20.0 });
        bucket.slow_down();
        let wait = bucket.reserve(Instant::now()).as_millis();
        assert!((1000..=1100).contains(&wait), "{wait}");
    }
}
