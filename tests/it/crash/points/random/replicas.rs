//! Three daemons on one store in PostgreSQL, of which one is ended each time: mostly the one that leads.

use super::super::judge::violations;
use super::files::{are_there, commit, first};
use super::{Fire, Random, Wanted, under_fire};
use crate::daemon::{Serving, eventually};
use crate::replicas::{Replicas, leads, nothing_is_left};

struct Several {
    replicas: Replicas,
    /// Those that live, each with its number; the one under fire is away.
    daemons: Vec<(usize, Serving)>,
    wanted: Wanted,
}

impl Several {
    fn starts(&mut self) {
        // In a folder that nobody else works in now.
        let is_free = |n: &usize| self.daemons.iter().all(|(other, _)| other != n);
        let n = (0..).find(is_free).unwrap();
        let daemon = self.replicas.start(&format!("r{n}"), &self.replicas.server.url());
        self.daemons.push((n, daemon));
    }
}

impl Fire for Several {
    fn act(&mut self, random: &mut Random, round: u64) {
        commit(&self.replicas.world, random, &mut self.wanted, round);
        while self.daemons.len() < 3 {
            self.starts();
        }
        eventually("one leads", || self.daemons.iter().any(|(_, it)| leads(it)).then_some(()));
    }

    fn done(&self) -> String {
        super::files::last(&self.replicas.world)
    }

    fn start(&mut self, random: &mut Random) -> Serving {
        // Just after another has gone, the newest: it has only begun.
        if self.daemons.len() < 3 {
            self.starts();
            return self.daemons.pop().unwrap().1;
        }
        let leader = self.daemons.iter().position(|(_, daemon)| leads(daemon));
        let any = random.next(3) as usize;
        let at = if random.next(4) == 0 { any } else { leader.unwrap_or(any) };
        self.daemons.remove(at).1
    }

    fn converges(&mut self, what: &str) {
        let world = &self.replicas.world;
        eventually(what, || are_there(world, &self.wanted).then_some(()));
        for (_, mut daemon) in self.daemons.drain(..) {
            daemon.stop();
        }
        let wrong = violations(world);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        nothing_is_left(world);
    }
}

#[test]
fn f61_replicas_that_are_killed_at_random_moments() {
    let Some(mut replicas) = Replicas::new("replicas that are killed at random moments") else {
        return;
    };
    let wanted = first(&mut replicas.world);
    let mut several = Several { replicas, daemons: Vec::new(), wanted };
    under_fire("replicas", 3, &mut several);
}
