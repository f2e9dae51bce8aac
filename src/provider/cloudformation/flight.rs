//! Operations that go on: what was last seen of each, and when its events were last read.
//!
//! A stack's status costs nothing where many are asked about at once, and its events cost a call for
//! each stack. So they are read when the status says that something came to pass, and while it says
//! nothing new only as often as there is room for.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::limiter::Bucket;

/// What was seen of one operation.
struct Flight {
    /// Its stack's status.
    state: String,
    asked: Instant,
    /// When its events were read.
    read: Option<Instant>,
}

/// The operations that go on in one account's region, by their stacks' ids. What a process does not
/// know of, such as after its start, it takes for new.
#[derive(Default)]
pub(super) struct Flights {
    all: Mutex<HashMap<String, Flight>>,
}

/// Nobody asks about it any more.
const FORGOTTEN: Duration = Duration::from_secs(120);

impl Flights {
    /// Whether the events of a stack in which something is going on are to be read now: its status
    /// moved since it was last seen, or there is room in `bucket` and it is its turn.
    pub(super) fn is_to_be_read(
        &self,
        stack: &str,
        state: &str,
        bucket: &Bucket,
        now: Instant,
    ) -> bool {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let count = all.len().max(1);
        let known = all.contains_key(stack);
        let flight = all.entry(stack.to_owned()).or_insert_with(|| Flight {
            state: state.to_owned(),
            asked: now,
            read: None,
        });
        let moved = flight.state != state;
        // All share half of what may be asked: the other half is for those that end.
        let in_turn = flight.read.is_none_or(|read| {
            bucket.in_time(now.saturating_duration_since(read)) >= 2.0 * (count as f64)
        });
        let reads = moved || (in_turn && bucket.has_room(now));
        flight.asked = now;
        if moved {
            flight.state = state.to_owned();
        }
        if reads {
            flight.read = Some(now);
        }
        if !known {
            all.retain(|_, f| now.saturating_duration_since(f.asked) < FORGOTTEN);
        }
        reads
    }

    /// It has come to its end.
    pub(super) fn end(&self, stack: &str) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(stack);
    }
}

#[cfg(test)]
mod tests {
    use super::super::limiter::Rate;
    use super::*;

    const GOING: &str = "CREATE_IN_PROGRESS";

    /// How many are read when each is asked about.
    fn reads(bucket: &Bucket, flights: &Flights, stacks: usize, now: Instant) -> usize {
        let is_read = |n: &usize| {
            let read = flights.is_to_be_read(&format!("stack-{n}"), GOING, bucket, now);
            if read {
                bucket.reserve(now);
            }
            read
        };
        (0..stacks).filter(is_read).count()
    }

    #[test]
    fn a_few_are_read_each_time_and_many_in_turn() {
        let (bucket, flights) = (Bucket::new(Rate::of(10.0)), Flights::default());
        let mut now = Instant::now();
        let mut second = |stacks| {
            now += Duration::from_secs(1);
            reads(&bucket, &flights, stacks, now)
        };
        for _ in 0..5 {
            assert_eq!(second(4), 4);
        }
        let all: Vec<usize> = (0..60).map(|_| second(100)).collect();
        assert!(all.iter().all(|n| *n <= 6), "{all:?}");
        let sum: usize = all.iter().sum();
        assert!(sum >= 150, "half of what may be asked is used: {sum}");
        let all = flights.all.lock().unwrap();
        assert!(all.values().all(|f| f.read.is_some()), "everybody had a turn");
    }

    #[test]
    fn what_moved_is_read_however_little_room_there_is() {
        let (bucket, flights) = (Bucket::new(Rate::of(1.0)), Flights::default());
        let now = Instant::now();
        bucket.reserve(now);
        let reads = |state| flights.is_to_be_read("a", state, &bucket, now);
        assert!(!reads(GOING), "no room, and nothing new");
        assert!(reads("ROLLBACK_IN_PROGRESS"));
        assert!(!reads("ROLLBACK_IN_PROGRESS"), "once");
        flights.end("a");
        assert!(flights.all.lock().unwrap().is_empty());
    }

    #[test]
    fn what_nobody_asks_about_is_forgotten() {
        let (bucket, flights) = (Bucket::new(Rate::of(1.0)), Flights::default());
        let now = Instant::now();
        flights.is_to_be_read("a", GOING, &bucket, now);
        flights.is_to_be_read("b", GOING, &bucket, now + FORGOTTEN);
        assert_eq!(flights.all.lock().unwrap().len(), 1);
    }
}
