//! The real daemon, ended by `kill -9` at random moments while people go on committing.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;

use super::judge::{violations, watch};
use crate::daemon::{Serving, eventually};
use crate::world::{World, ask, drop_request, note};

/// So many ends where nobody says how many.
const FEW: u64 = 4;

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

/// A person's commit: one request is made, changed or taken away.
fn commit(world: &World, random: &mut Random, wanted: &mut Wanted, round: u64) {
    let team = ["orders", "billing", "search"][random.next(3) as usize];
    let id = format!("{team}/dev/n{}", random.next(6));
    let siblings = wanted.keys().filter(|other| other.starts_with(team)).count();
    // All of a team at once is another story.
    if wanted.contains_key(&id) && siblings > 1 && random.next(4) == 0 {
        wanted.remove(&id);
        world.requests.commit([drop_request(&id)]);
    } else {
        let text = format!("round-{round}");
        world.requests.commit([ask(&id, note(&text))]);
        wanted.insert(id, text);
    }
}

#[test]
fn f61_killed_at_random_moments() {
    let times = number("VEND_CRASH").unwrap_or(FEW);
    let seed = number("VEND_SEED").unwrap_or_else(|| getrandom::u64().unwrap());
    eprintln!("crash: {times} ends at random moments, VEND_SEED={seed}");
    let mut random = Random(seed);
    let mut world = World::new();
    world.configure(|c| {
        c["reconcile"] =
            json!({"interval": "1h", "breaker": {"maxDeletes": 1000, "teamMin": 1000}});
    });
    let mut wanted = Wanted::new();
    for team in ["orders", "billing", "search"] {
        wanted.insert(format!("{team}/dev/n0"), "first".into());
        world.requests.commit([ask(&format!("{team}/dev/n0"), note("first"))]);
    }
    world.apply();
    watch(&world);
    let mut twice = 0;
    for round in 0..times {
        commit(&world, &mut random, &mut wanted, round);
        let mut daemon = Serving::start(&world);
        std::thread::sleep(Duration::from_millis(random.next(900)));
        daemon.kill();
        if random.next(5) == 0 {
            twice += 1;
            let mut daemon = Serving::start(&world);
            std::thread::sleep(Duration::from_millis(random.next(50)));
            daemon.kill();
        }
        if round % 10 == 9 || round + 1 == times {
            converges(&world, &wanted, &format!("round {round}, VEND_SEED={seed}"));
        }
    }
    eprintln!("crash: {times} ends, {twice} of them twice");
}

#[track_caller]
fn converges(world: &World, wanted: &Wanted, what: &str) {
    eventually(what, || {
        let quiet = world.vend(&["apply"]).stdout.contains("Nothing to do");
        let is = |(id, text): (&String, &String)| {
            let (team, name) = id.split_once("/dev/").unwrap();
            let file = world.output_file(&format!("dev/{team}/{name}/note/note.yaml"));
            let ready = world.status_or_none(id).is_some_and(|s| s["phase"] == "Ready");
            ready && file.as_deref() == Some(&format!("text: {text}\n"))
        };
        let statuses = world.requests.files(crate::world::STATUS, "status").len();
        let files = world.output.files("main", "dev").len();
        let all = statuses == wanted.len() && files == 2 * wanted.len();
        (quiet && all && wanted.iter().all(is)).then_some(())
    });
    let wrong = violations(world);
    assert!(wrong.is_empty(), "{what}: {wrong:#?}");
    world.again_nothing();
}
