//! Pull requests: people find one comment on each, and what they merged applied once.

use serde_json::json;

use super::super::judge::{violations, watch};
use super::{Fire, Random, under_fire};
use crate::daemon::{Serving, created_once};
use crate::review::Desk;
use crate::world::{ask, note};

struct Pulls {
    desk: Desk,
    /// Open ones, with the request that each makes.
    open: Vec<(u64, String)>,
    merged: Vec<(u64, String)>,
}

impl Fire for Pulls {
    fn act(&mut self, random: &mut Random, round: u64) {
        let id = format!("orders/dev/n{round}");
        let n = self.desk.propose("ada", &format!("p{round}"), [ask(&id, note("hello"))]);
        self.open.push((n, id));
        // One that was looked at is merged: nobody merges what nobody has seen yet.
        let at = random.next(self.open.len() as u64) as usize;
        if random.next(2) == 0 && self.desk.comment(self.open[at].0).is_some() {
            let (n, id) = self.open.remove(at);
            self.desk.repo().merge("grace", n);
            self.merged.push((n, id));
        }
    }

    fn done(&self) -> String {
        super::files::last(&self.desk.world)
    }

    fn start(&mut self, _: &mut Random) -> Serving {
        Serving::start(&self.desk.world)
    }

    fn converges(&mut self, what: &str) {
        let desk = &self.desk;
        let mut daemon = Serving::start(&desk.world);
        for (n, id) in &self.open {
            desk.says(*n, &["create", id]);
        }
        for (n, id) in &self.merged {
            desk.says(*n, &["Done"]);
            desk.ready(id);
        }
        desk.again_nothing();
        daemon.stop();
        created_once(&desk.world, self.merged.len());
        let wrong = violations(&desk.world);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        for (_, id) in &self.open {
            assert!(desk.world.status_or_none(id).is_none(), "{what}: {id} was not merged");
        }
    }
}

#[test]
fn f61_pull_requests_whose_daemon_is_killed_at_random_moments() {
    let mut desk = Desk::new();
    desk.world.configure(|c| c["reconcile"] = json!({"interval": "200ms"}));
    // One is there, looked at and merged before the fire begins.
    let n = desk.propose("ada", "first", [ask("orders/dev/first", note("hello"))]);
    let mut daemon = desk.serve();
    desk.says(n, &["create"]);
    daemon.stop();
    desk.repo().merge("grace", n);
    watch(&desk.world);
    let merged = vec![(n, "orders/dev/first".to_owned())];
    under_fire("pull requests", 3, &mut Pulls { desk, open: Vec::new(), merged });
}
