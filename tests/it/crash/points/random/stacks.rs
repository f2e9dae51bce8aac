//! Stacks in an account: the judge is the record of the proxy in front of it.

use serde_json::json;

use super::{Fire, Random, TEAMS, Wanted, are_ready, next, under_fire};
use crate::daemon::Serving;
use crate::stacks::Account;
use crate::world::{ask, drop_request, request};

struct Stacks {
    it: Account,
    wanted: Wanted,
}

fn queue(seconds: &str) -> String {
    request("queue@1.0.0", &format!("{{seconds: {seconds}}}"))
}

impl Fire for Stacks {
    fn act(&mut self, random: &mut Random, round: u64) {
        match next(random, &mut self.wanted, round) {
            (id, Some(seconds)) => self.it.world.requests.commit([ask(&id, queue(&seconds))]),
            (id, None) => self.it.world.requests.commit([drop_request(&id)]),
        };
    }

    fn done(&self) -> String {
        self.it.aws.effects("").len().to_string()
    }

    fn start(&mut self, _: &mut Random) -> Serving {
        Serving::start(&self.it.world)
    }

    fn converges(&mut self, what: &str) {
        let Self { it, wanted } = self;
        it.aws.eventually(what, || {
            it.world.vend(&["apply", "--wait"]);
            let is = |(id, seconds): (&String, &String)| {
                let asked = &it.world.status(id)["parameters"]["seconds"];
                asked.as_u64().map(|n| n.to_string()).as_ref() == Some(seconds)
            };
            (are_ready(&it.world, wanted) && wanted.iter().all(is)).then_some(())
        });
        // What is there is what was asked for, and it is as the files say.
        let mut stacks: Vec<String> = it.aws.stacks().into_iter().map(|(name, _)| name).collect();
        let mut named: Vec<String> = wanted.keys().map(|id| it.stack(id)).collect();
        stacks.sort();
        named.sort();
        assert_eq!(stacks, named, "{what}\n{}", it.aws.history());
        for (id, seconds) in wanted.iter() {
            let url = it.aws.output(&it.stack(id), "QueueUrl").unwrap();
            assert_eq!(it.aws.retention(&url), *seconds, "{what}: {id}");
        }
        it.again_nothing();
    }
}

#[test]
fn f61_stacks_whose_daemon_is_killed_at_random_moments() {
    let mut it = Account::new();
    it.world.configure(|c| {
        // What is under way is asked about soon.
        c["reconcile"] = json!({
            "interval": "300ms", "breaker": {"maxDeletes": 1000, "teamMin": 1000}
        });
    });
    let ids = TEAMS.map(|team| format!("{team}/dev/n0"));
    it.world.requests.commit(ids.iter().map(|id| ask(id, queue("60"))));
    it.apply();
    let wanted = ids.map(|id| (id, "60".to_owned())).into();
    under_fire("stacks", 3, &mut Stacks { it, wanted });
}
