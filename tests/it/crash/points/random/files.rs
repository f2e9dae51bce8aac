//! Files in a repository.

use serde_json::json;

use super::super::judge::{violations, watch};
use super::{Fire, Random, TEAMS, Wanted, are_ready, next, under_fire};
use crate::daemon::{Serving, eventually};
use crate::world::{World, ask, drop_request, note};

struct Files {
    world: World,
    wanted: Wanted,
}

/// Whether all that is asked for is there, and nothing else.
pub fn are_there(world: &World, wanted: &Wanted) -> bool {
    let is = |(id, text): (&String, &String)| {
        let (team, name) = id.split_once("/dev/").unwrap();
        let file = world.output_file(&format!("dev/{team}/{name}/note/note.yaml"));
        let said = world.status_or_none(id).map(|status| status["parameters"]["text"].clone());
        let asked = format!("round-{text}");
        file.as_deref() == Some(&format!("text: {asked}\n")) && said == Some(json!(asked))
    };
    let files = world.output.files("main", "dev").len();
    files == 2 * wanted.len() && are_ready(world, wanted) && wanted.iter().all(is)
}

/// The last commit of the output, looked up without a process of its own: it is asked for all the time.
pub fn last(world: &World) -> String {
    std::fs::read_to_string(world.output.path().join("refs/heads/main")).unwrap_or_default()
}

/// Somebody's commit.
pub fn commit(world: &World, random: &mut Random, wanted: &mut Wanted, round: u64) {
    match next(random, wanted, round) {
        (id, Some(text)) => world.requests.commit([ask(&id, note(&format!("round-{text}")))]),
        (id, None) => world.requests.commit([drop_request(&id)]),
    };
}

/// One request of each team is there already.
pub fn first(world: &mut World) -> Wanted {
    world.configure(|c| {
        c["reconcile"]["breaker"] = json!({"maxDeletes": 1000, "teamMin": 1000});
    });
    let ids = TEAMS.map(|team| format!("{team}/dev/n0"));
    world.requests.commit(ids.iter().map(|id| ask(id, note("round-first"))));
    world.apply();
    ids.map(|id| (id, "first".to_owned())).into()
}

impl Fire for Files {
    fn act(&mut self, random: &mut Random, round: u64) {
        commit(&self.world, random, &mut self.wanted, round);
    }

    fn done(&self) -> String {
        last(&self.world)
    }

    fn start(&mut self, _: &mut Random) -> Serving {
        Serving::start(&self.world)
    }

    fn converges(&mut self, what: &str) {
        let world = &self.world;
        eventually(what, || {
            let quiet = world.vend(&["apply"]).stdout.contains("Nothing to do");
            (quiet && are_there(world, &self.wanted)).then_some(())
        });
        let wrong = violations(world);
        assert!(wrong.is_empty(), "{what}: {wrong:#?}");
        world.again_nothing();
    }
}

#[test]
fn f61_killed_at_random_moments() {
    let mut world = World::new();
    world.configure(|c| c["reconcile"] = json!({"interval": "1h"}));
    let wanted = first(&mut world);
    watch(&world);
    under_fire("files", 4, &mut Files { world, wanted });
}
