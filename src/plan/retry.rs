//! When what failed is tried again.

use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::model::{HoldReason, Retry};

/// The first wait, and the unit of the doubling.
const SHORTEST: f64 = 1.0;
/// The longest wait of a transient failure: 15 minutes.
const LONGEST: f64 = 900.0;
/// A refusal is somebody's to mend: at most one try an hour.
const REFUSED: f64 = 3600.0;

/// How long to wait after that many tries: doubling from 1 s to 15 min, or an hour after a refusal.
/// `jitter` in 0..1 spreads the upper half of the wait, so that what failed together does not come
/// back together; a refusal waits longer by up to a tenth.
pub fn backoff(attempts: u32, jitter: f64, refused: bool) -> SignedDuration {
    let jitter = if jitter.is_finite() { jitter.clamp(0.0, 1.0) } else { 0.0 };
    let seconds = if refused {
        REFUSED * (1.0 + jitter / 10.0)
    } else {
        // 2^10 s is past the longest wait, so larger exponents need not be computed.
        let doublings = i32::try_from(attempts.saturating_sub(1).min(10)).unwrap_or(10);
        let full = (SHORTEST * 2f64.powi(doublings)).min(LONGEST);
        (full / 2.0 * (1.0 + jitter)).max(SHORTEST)
    };
    SignedDuration::from_secs_f64(seconds)
}

/// When a refusal that was met while looking is met again, if nobody changes anything.
pub(super) fn refused_until(now: Timestamp) -> Timestamp {
    now + backoff(1, 0.0, true)
}

/// What holds a target back that failed, as long as it is the same thing that failed.
pub(super) fn pending(
    now: Timestamp,
    retry: &Retry,
    fingerprint: Option<Digest>,
) -> Option<HoldReason> {
    let Retry { fingerprint: of, attempts, until, error, refused, ended: _, left: _ } =
        retry.clone();
    if until <= now || of != fingerprint {
        return None;
    }
    Some(if refused {
        HoldReason::Refused { error, until }
    } else {
        HoldReason::Backoff { until, attempts, error }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_quarter_of_an_hour() {
        let wait = |n| backoff(n, 1.0, false).as_secs();
        assert_eq!([wait(0), wait(1), wait(2), wait(5), wait(10)], [1, 1, 2, 16, 512]);
        assert_eq!((wait(11), wait(u32::MAX)), (900, 900));
        assert_eq!(backoff(5, 0.0, false).as_secs(), 8);
        assert_eq!(backoff(1, f64::NAN, false).as_secs(), 1);
        assert_eq!(backoff(1, 0.5, true).as_secs(), 3780);
    }
}
