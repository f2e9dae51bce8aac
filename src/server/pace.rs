//! How often what comes from outside may wake us: a few times at once, then once a second.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Waking goes on at this pace, however many ask for it.
const EACH: Duration = Duration::from_secs(1);

/// So many at once after some quiet.
const AT_ONCE: u32 = 5;

/// Lets waking through at a pace. What comes too soon is not lost: all of it wakes once, later.
#[derive(Clone)]
pub struct Pace {
    wake: Arc<dyn Fn() + Send + Sync>,
    state: Arc<Mutex<State>>,
}

struct State {
    /// When all that was let through would have come at its pace.
    through: Instant,
    /// One is on its way.
    is_later: bool,
}

impl State {
    /// How long the one that comes now waits; `None`: one that is on its way does for it.
    fn admit(&mut self, now: Instant) -> Option<Duration> {
        if self.is_later {
            return None;
        }
        self.through = self.through.max(now) + EACH;
        let wait = self.through.saturating_duration_since(now + EACH * AT_ONCE);
        self.is_later = !wait.is_zero();
        Some(wait)
    }
}

impl Pace {
    /// Wakes with this.
    pub fn new(wake: impl Fn() + Send + Sync + 'static) -> Self {
        let state = State { through: Instant::now(), is_later: false };
        Self { wake: Arc::new(wake), state: Arc::new(Mutex::new(state)) }
    }

    /// Wakes now, or soon.
    pub fn wake(&self) {
        let admitted = self.state().admit(Instant::now());
        let Some(wait) = admitted else { return };
        if wait.is_zero() {
            return (self.wake)();
        }
        let pace = self.clone();
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            pace.state().is_later = false;
            (pace.wake)();
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_wakes_a_few_times_and_then_at_its_pace() {
        let began = Instant::now();
        let mut state = State { through: began, is_later: false };
        let flood: Vec<Duration> = (0..1_000).filter_map(|_| state.admit(began)).collect();
        let (last, at_once) = flood.split_last().unwrap();
        assert_eq!(at_once, [Duration::ZERO; AT_ONCE as usize]);
        assert_eq!(*last, EACH, "what came too soon is made up for once");
        // On and on: it goes at the pace.
        let (mut due, mut woken) = (Some(began + *last), 0);
        for tick in 1..=100 {
            let now = began + EACH * tick / 10;
            if due.is_some_and(|due| due <= now) {
                (due, state.is_later, woken) = (None, false, woken + 1);
            }
            match state.admit(now) {
                Some(Duration::ZERO) => woken += 1,
                Some(wait) => due = Some(now + wait),
                None => {}
            }
        }
        assert!((9..=11).contains(&woken), "{woken}");
    }
}
