//! Stories of stacks, told through the real executable against a real CloudFormation API, with a
//! proxy in between whose record is the judge. Each ends with "again: nothing to do", and nothing
//! but looking in the record.

mod account;
mod adopt;
pub mod catalog;
mod change;
mod drift;
mod fail;
mod fault;
mod foretell;
mod import;
mod large;
mod late;
mod many;
mod nested;
mod others;
mod race;
mod remove;
mod rights;
mod secret;
mod store;
mod sweep;

use serde_json::json;

use crate::aws::Aws;
use crate::world::World;

/// A world whose requests become stacks in an account of its own.
pub struct Account {
    pub aws: Aws,
    pub world: World,
}

impl Account {
    /// A new one with the small catalog, and no requests.
    pub fn new() -> Self {
        Self::of(Aws::new())
    }

    fn of(aws: Aws) -> Self {
        let mut world = World::empty();
        world.environment(aws.environment());
        world.configure(|config| {
            let rates = json!({"changes": 500, "looks": 500, "events": 500});
            config["providers"]["cloudformation"] =
                json!({"endpoint": aws.endpoint(), "rates": rates});
        });
        world.catalog.commit(catalog::files(&aws));
        aws.intents_lie_in(world.root());
        Self { aws, world }
    }

    /// As [`Account::new`], where drift is looked for all the time.
    fn watchful() -> Self {
        let mut new = Self::new();
        new.world.configure(|config| {
            config["reconcile"] = json!({"driftInterval": "100ms", "interval": "100ms"});
        });
        new
    }

    /// Passes until nothing is under way; all must go well. What they printed.
    #[track_caller]
    pub fn apply(&self) -> String {
        let output = self.world.vend(&["apply", "--wait"]);
        assert_eq!(output.code, 0, "{}\n{}\n{}", output.stdout, output.stderr, self.aws.history());
        output.stdout
    }

    /// Passes until nothing is under way; something must fail. What they printed.
    #[track_caller]
    fn apply_fails(&self) -> String {
        let output = self.world.vend(&["apply", "--wait"]);
        assert_eq!(output.code, 1, "{output:?}\n{}", self.aws.history());
        output.stdout
    }

    /// The name of the stack that a request's component has, by its status.
    #[track_caller]
    pub fn stack(&self, id: &str) -> String {
        let status = self.world.status(id);
        let target = &status["components"][0]["target"];
        target.as_str().unwrap_or_else(|| panic!("{status}")).to_owned()
    }

    /// How every story ends: another pass finds nothing to do, changes nothing, and all that was
    /// ever done was sound. None but vend's own stacks is left behind half-made.
    #[track_caller]
    pub fn again_nothing(&self) {
        self.aws.only_looks(|| self.world.again_nothing());
        self.aws.assert_sound();
        let left = self.aws.stacks();
        assert!(left.iter().all(|(_, status)| status != "REVIEW_IN_PROGRESS"), "{left:?}");
    }
}
