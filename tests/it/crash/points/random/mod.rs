//! The real daemon, ended by `kill -9` while people go on committing: at random moments, or a moment after something was
//! done in the world, when it is not said yet; and at once again in a fifth of its restarts: with files, with stacks, with pull requests, and several on one store.
//!
//! `VEND_CRASH` is how many ends there are, a quarter of them in each of the four; `VEND_SEED` is where chance begins.

mod files;
mod pulls;
mod replicas;
mod stacks;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::daemon::Serving;
use crate::world::World;

/// A generator that gives the same for the same seed: SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % below
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What people have asked for last, by request.
type Wanted = BTreeMap<String, String>;

const TEAMS: [&str; 3] = ["orders", "billing", "search"];

/// What somebody does next: a request is made or changed, or, with nothing to ask for, taken away. All of a team
/// at once is another story.
fn next(random: &mut Random, wanted: &mut Wanted, round: u64) -> (String, Option<String>) {
    let team = TEAMS[random.next(3) as usize];
    let id = format!("{team}/dev/n{}", random.next(6));
    let siblings = wanted.keys().filter(|other| other.starts_with(team)).count();
    if wanted.contains_key(&id) && siblings > 1 && random.next(4) == 0 {
        wanted.remove(&id);
        return (id, None);
    }
    let what = (60 + round).to_string();
    wanted.insert(id.clone(), what.clone());
    (id, Some(what))
}

/// How many requests are published, and whether all that are asked for are Ready.
fn are_ready(world: &World, wanted: &Wanted) -> bool {
    let statuses = world.requests.files(crate::world::STATUS, "status").len();
    let is = |id: &String| world.status_or_none(id).is_some_and(|s| s["phase"] == "Ready");
    statuses == wanted.len() && wanted.keys().all(is)
}

/// How long something may take to be done, before a daemon is ended all the same.
const SOON: Duration = Duration::from_secs(3);

/// A world under fire.
trait Fire {
    /// Somebody does something.
    fn act(&mut self, random: &mut Random, round: u64);

    /// Something that is another once more was done in the world.
    fn done(&self) -> String;

    /// A daemon at its work, which is ended soon.
    fn start(&mut self, random: &mut Random) -> Serving;

    /// Left alone it comes to what was asked for, nothing was done twice, and there is nothing more to do.
    fn converges(&mut self, what: &str);
}

/// Ends the daemons of a world: `few` times, or its share of those that were asked for.
fn under_fire(name: &str, few: u64, fire: &mut dyn Fire) {
    let times = number("VEND_CRASH").map_or(few, |all| all.div_ceil(4));
    let seed = number("VEND_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("crash: {name}: {times} ends at random moments, VEND_SEED={seed}");
    let mut random = Random(seed);
    let mut twice = 0;
    for round in 0..times {
        fire.act(&mut random, round);
        let done = fire.done();
        let mut daemon = fire.start(&mut random);
        match random.next(2) {
            0 => std::thread::sleep(Duration::from_millis(random.next(900))),
            // What is done and not said is so for some hundredths of a second, which chance alone rarely meets.
            _ => {
                let until = Instant::now() + SOON;
                while fire.done() == done && Instant::now() < until {
                    std::thread::sleep(Duration::from_millis(2));
                }
                std::thread::sleep(Duration::from_millis(random.next(120)));
            }
        }
        daemon.kill();
        if random.next(5) == 0 {
            twice += 1;
            let mut daemon = fire.start(&mut random);
            std::thread::sleep(Duration::from_millis(random.next(50)));
            daemon.kill();
        }
        if round % 10 == 9 || round + 1 == times {
            fire.converges(&format!("{name}: round {round}, VEND_SEED={seed}"));
        }
    }
    eprintln!("crash: {name}: {times} ends, {twice} of them twice, VEND_SEED={seed}");
}
