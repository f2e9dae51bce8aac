//! One case after the other, each drawn from a seed of its own: what fails is told by one number, and
//! stays in a list that is played first from then on.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Which cases a model plays.
pub struct Cases<'a> {
    /// Those that failed once.
    pub failed: &'a [u64],
    /// The seed of the first of the others, and how far the next one's is from it.
    pub first: u64,
    pub step: u64,
    pub count: u64,
    /// How long further ones are played instead, however many those are.
    pub lasting: Option<Duration>,
    /// How many tries it may take to make one that fails smaller.
    pub shrink: u32,
}

/// Seeds of different `VEND_MODEL_SEED`s are so far from each other.
const APART: u64 = 1 << 32;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

impl Cases<'_> {
    /// So many cases, the same each time: `VEND_MODEL_CASES` is how many, or `VEND_MODEL_MINUTES` how long,
    /// `VEND_MODEL_SEED` where they begin. `VEND_MODEL_CASE` is one alone.
    pub fn usual(count: u64) -> Self {
        let seed = number("VEND_MODEL_SEED").unwrap_or(1);
        let minutes: Option<f64> =
            std::env::var("VEND_MODEL_MINUTES").ok().and_then(|text| text.parse().ok());
        Self {
            failed: &[],
            first: seed.wrapping_mul(APART),
            step: 1,
            count: number("VEND_MODEL_CASES").unwrap_or(count),
            lasting: minutes.map(|minutes| Duration::from_secs_f64(60.0 * minutes)),
            shrink: 10_000,
        }
    }

    /// Their seeds.
    fn seeds(&self) -> Box<dyn Iterator<Item = u64> + '_> {
        if let Some(one) = number("VEND_MODEL_CASE") {
            return Box::new(std::iter::once(one));
        }
        let (began, count) = (Instant::now(), self.count);
        let goes_on = move |n: &u64| match self.lasting {
            Some(lasting) => began.elapsed() < lasting,
            None => *n < count,
        };
        let further = (0..).take_while(goes_on);
        let seed = move |n: u64| self.first.wrapping_add(n.wrapping_mul(self.step));
        Box::new(self.failed.iter().copied().chain(further.map(seed)))
    }

    /// Plays them; panics at the first that fails, with its seed and the smallest case that fails so.
    pub fn play<S: Strategy>(
        &self,
        cases: &S,
        test: impl Fn(S::Value) -> Result<(), TestCaseError>,
    ) {
        let (mut played, mut last) = (0_u64, self.first);
        for seed in self.seeds() {
            (played, last) = (played + 1, seed);
            if let Err(error) = runner(seed, self.shrink).run(cases, &test) {
                panic!(
                    "VEND_MODEL_CASE={seed} plays it alone; it belongs to the seeds that failed: {error}"
                );
            }
        }
        let Self { first, step, .. } = self;
        eprintln!("model: {played} cases, each {step} after the one before: {first} to {last}");
    }
}

/// Draws what belongs to a seed, once.
pub fn runner(seed: u64, shrink: u32) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    // proptest's own files of failures hold states of its generator, which mean another case as soon as
    // a strategy changes in what it draws first. A seed does too, but it can be typed.
    let config = Config {
        cases: 1,
        failure_persistence: None,
        max_shrink_iters: shrink,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_failed_come_first_and_a_failure_names_its_seed() {
        // A single case that was asked for is for a model, and not for this.
        if number("VEND_MODEL_CASE").is_some() {
            return;
        }
        let cases =
            Cases { failed: &[77, 78], first: 5, step: 4, count: 3, lasting: None, shrink: 10 };
        assert_eq!(cases.seeds().collect::<Vec<_>>(), [77, 78, 5, 9, 13]);
        let no_longer = Cases { lasting: Some(Duration::ZERO), count: 3, ..cases };
        assert_eq!(no_longer.seeds().collect::<Vec<_>>(), [77, 78]);
        let cases = Cases { lasting: None, ..no_longer };
        let failed = std::panic::catch_unwind(|| {
            cases.play(&any::<u64>(), |_| Err(TestCaseError::fail("as planned")));
        });
        let said = *failed.unwrap_err().downcast::<String>().unwrap();
        assert!(said.contains("VEND_MODEL_CASE=77") && said.contains("as planned"), "{said}");
        // The same seed draws the same.
        let drawn = std::cell::RefCell::new(Vec::new());
        for _ in 0..2 {
            let one = Cases { failed: &[77], count: 0, lasting: None, ..Cases::usual(0) };
            one.play(&any::<u64>(), |value| {
                drawn.borrow_mut().push(value);
                Ok(())
            });
        }
        let drawn = drawn.into_inner();
        assert!(drawn.len() == 2 && drawn[0] == drawn[1], "{drawn:?}");
    }
}
