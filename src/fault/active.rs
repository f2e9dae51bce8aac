//! What the points of a process do, as its environment says.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use super::list::{PLANTED, POINTS, has};

/// `POINT=MODE[@NTH]`, with commas between several: what happens at the n-th passage (the first, where
/// none is said) of a point.
const ORDERS: &str = "VEND_FAULT";

/// A file that gets a line for each point that is passed: its name, and what it did if it did something.
const LOG: &str = "VEND_FAULT_LOG";

/// A file: whoever is to wait at a point goes on once it is there.
const GO: &str = "VEND_FAULT_GO";

/// The planted fault.
const PLANT: &str = "VEND_PLANTED";

/// The longest wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// Long enough for others to come in between, too short for any deadline.
const DELAY: Duration = Duration::from_millis(150);

/// A step failed since a test said so.
#[derive(Debug, thiserror::Error)]
#[error("a test has it fail at `{0}`")]
pub struct Fault(pub &'static str);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    /// The end of the process as by `kill -9`: nothing is tidied up or flushed.
    Kill,
    /// The step fails.
    Error,
    /// It takes longer. The thread sleeps: others that share it wait as well.
    Delay,
    /// It goes on when a test says so: in between, the test may do anything.
    Wait,
    /// A bug: the step panics.
    Panic,
}

/// What the points of a process do.
#[derive(Default)]
struct Plan {
    orders: Vec<(&'static str, Mode, u64)>,
    log: Option<Mutex<File>>,
    passed: Mutex<BTreeMap<&'static str, u64>>,
}

impl Plan {
    fn parse(orders: &str) -> Result<Self, String> {
        let one = |order: &str| {
            let (name, what) = order.split_once('=')?;
            let (mode, nth) = what.split_once('@').unwrap_or((what, "1"));
            let (name, _) = POINTS.iter().find(|(known, _)| *known == name)?;
            let mode = match mode {
                "kill" => Mode::Kill,
                "error" => Mode::Error,
                "delay" => Mode::Delay,
                "wait" => Mode::Wait,
                "panic" => Mode::Panic,
                _ => return None,
            };
            Some((*name, mode, nth.parse().ok()?))
        };
        let orders = orders.split(',').filter(|order| !order.is_empty());
        let orders = orders.map(|o| one(o).ok_or_else(|| format!("{ORDERS}: `{o}`")));
        Ok(Self { orders: orders.collect::<Result<_, _>>()?, ..Self::default() })
    }

    fn of_the_process() -> Result<Self, String> {
        let plan = Self::parse(&std::env::var(ORDERS).unwrap_or_default())?;
        let open = |path| OpenOptions::new().append(true).create(true).open(path);
        let log = std::env::var_os(LOG).map(open).transpose();
        let log = log.map_err(|error| format!("{LOG}: {error}"))?;
        Ok(Self { log: log.map(Mutex::new), ..plan })
    }

    /// What happens at this passage.
    fn pass(&self, point: &'static str) -> Option<Mode> {
        if self.orders.is_empty() && self.log.is_none() {
            return None;
        }
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        let times = passed.entry(point).or_default();
        *times += 1;
        let is_due = |(name, _, nth): &&(&str, Mode, u64)| *name == point && nth == times;
        let mode = self.orders.iter().find(is_due).map(|(_, mode, _)| *mode);
        if let Some(log) = &self.log {
            let word = match mode {
                None => "",
                Some(Mode::Kill) => " kill",
                Some(Mode::Error) => " error",
                Some(Mode::Delay) => " delay",
                Some(Mode::Wait) => " wait",
                Some(Mode::Panic) => " panic",
            };
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            // One write, so that lines of several processes stay whole.
            let _ = log.write_all(format!("{point}{word}\n").as_bytes());
        }
        mode
    }
}

fn plan() -> &'static Plan {
    static PLAN: OnceLock<Plan> = OnceLock::new();
    // A test with a slip of the pen must not pass since nothing happened.
    PLAN.get_or_init(|| Plan::of_the_process().unwrap_or_else(|error| misspelt(&error)))
}

fn misspelt(error: &str) -> ! {
    eprintln!("{error}");
    std::process::abort();
}

/// Passes a point: does there what the environment says.
///
/// # Errors
/// Where it says that the step fails.
pub fn hit(point: &'static str) -> Result<(), Fault> {
    match plan().pass(point) {
        None => Ok(()),
        Some(Mode::Error) => Err(Fault(point)),
        Some(Mode::Delay) => {
            std::thread::sleep(DELAY);
            Ok(())
        }
        Some(Mode::Wait) => {
            let go = std::env::var_os(GO).map(std::path::PathBuf::from);
            let until = Instant::now() + PATIENCE;
            while go.as_ref().is_some_and(|go| !go.exists()) && Instant::now() < until {
                std::thread::sleep(Duration::from_millis(5));
            }
            Ok(())
        }
        Some(Mode::Panic) => panic!("a test has it panic at `{point}`"),
        Some(Mode::Kill) => {
            let own = rustix::process::getpid();
            let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
            std::process::abort();
        }
    }
}

/// Whether the fault of this name is planted.
pub fn is_planted(name: &str) -> bool {
    static PLANT_IS: OnceLock<Option<String>> = OnceLock::new();
    let planted = PLANT_IS.get_or_init(|| {
        let name = std::env::var(PLANT).ok().filter(|name| !name.is_empty())?;
        if !has(PLANTED, &name) {
            misspelt(&format!("{PLANT}: `{name}`"));
        }
        Some(name)
    });
    planted.as_deref() == Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_for_one_passage_of_one_point() {
        let plan = Plan::parse("git.push.before=error@2,git.push.after=kill").unwrap();
        let pass = |point| plan.pass(point);
        assert_eq!(pass("git.push.before"), None);
        assert_eq!(pass("git.push.before"), Some(Mode::Error));
        assert_eq!(pass("git.push.before"), None);
        assert_eq!(pass("git.push.after"), Some(Mode::Kill));
        assert_eq!(Plan::default().pass("git.push.after"), None);
    }

    #[test]
    fn what_is_misspelt_is_said() {
        for order in
            ["git.push.before", "nowhere=kill", "git.push.before=die", "git.push.after=kill@x"]
        {
            assert!(Plan::parse(order).is_err(), "{order}");
        }
    }

    #[test]
    fn every_name_is_there_once_with_its_sentence() {
        for list in [POINTS, PLANTED] {
            let names: std::collections::BTreeSet<_> = list.iter().map(|(name, _)| name).collect();
            assert_eq!(names.len(), list.len(), "a name twice");
            assert!(list.iter().all(|(_, words)| words.len() > 10), "a name without words");
        }
    }
}
