//! The life of a stack, with a fault at each point on the way to CloudFormation. The judge is the record
//! of the proxy in front of it.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt as _;

use super::{ELSEWHERE, HOMES, NAMES};
use crate::aws::{Fault, Rule};
use crate::stacks::{Account, catalog};
use crate::world::{ask, drop_request, request, request_with};

/// Where the points of this file are at home.
pub const HOME: &str = "stack";

const ID: &str = "orders/prod/events";

/// What happens in a stack's life, each with the points that are played there.
const STAGES: [(&str, &[&str]); 4] = [
    ("looked at", &["aws.look.before", "aws.empty.before", "aws.empty.after"]),
    (
        "made",
        &[
            "aws.upload.before",
            "aws.upload.after",
            "aws.create.before",
            "aws.change.before",
            "aws.change.after",
            "aws.create.after",
            "pass.poll.before",
            "pass.poll.after",
        ],
    ),
    (
        "changed",
        &[
            "pass.preview.before",
            "pass.preview.after",
            "aws.changeset.before",
            "aws.changeset.after",
            "aws.execute.before",
            "aws.execute.after",
        ],
    ),
    (
        "gone",
        &["aws.unprotect.before", "aws.unprotect.after", "aws.delete.before", "aws.delete.after"],
    ),
];

struct Life {
    it: Account,
    what: String,
}

impl Life {
    fn begin(what: &str) -> Self {
        let it = Account::new();
        // Names of buckets are everybody's.
        let bucket = format!("life-{}", it.aws.account());
        it.aws.make_bucket(&bucket);
        let settings = format!(", templateBucket: {bucket}");
        let prod = catalog::environment(&it.aws, "prod", &settings, "  protect: true\n");
        it.world.catalog.commit([prod]);
        it.world.catalog.commit(catalog::large());
        it.world.apply();
        Self { it, what: what.to_owned() }
    }

    /// Runs vend with one order after the other, each carried out by a process of its own.
    fn run_all(&self, args: &[&str], all: &[String]) {
        if all.is_empty() {
            self.run(args, "");
        }
        all.iter().for_each(|orders| self.run(args, orders));
    }

    /// Runs vend with orders, which are carried out.
    fn run(&self, args: &[&str], orders: &str) {
        let log = self.it.world.root().join("passed");
        let mut command = self.it.world.command(args);
        command.env("VEND_FAULT", orders).env("VEND_FAULT_LOG", &log);
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("panicked"), "{}: {said}", self.what);
        let killed = output.status.signal() == Some(9);
        assert_eq!(killed, orders.contains("=kill"), "{}: {orders}: {said}", self.what);
        let passed = std::fs::read_to_string(&log).unwrap();
        for order in orders.split(',').filter(|order| !order.is_empty()) {
            let line = order.replace('=', " ");
            assert!(passed.lines().any(|l| l == line), "{}: never {line}", self.what);
        }
    }

    fn until(&self, what: &str, is_so: impl Fn() -> bool) {
        self.it.aws.eventually(&format!("{}: {what}", self.what), || {
            self.it.world.vend(&["retry", ID]);
            self.it.world.vend(&["apply", "--wait"]);
            is_so().then_some(())
        });
    }

    fn is_ready(&self, seconds: u64) -> bool {
        let status = self.it.world.status_or_none(ID).unwrap_or_default();
        status["phase"] == "Ready" && status["parameters"]["seconds"] == seconds
    }

    fn passed(&self) -> BTreeSet<String> {
        let log = self.it.world.root().join("passed");
        let log = std::fs::read_to_string(log).unwrap_or_default();
        log.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect()
    }
}

/// A life with orders for each of its stages; the points that it passes.
fn live(orders: &[Vec<String>; 4]) -> BTreeSet<String> {
    let life = Life::begin(&format!("{orders:?}"));
    let world = &life.it.world;
    world.requests.commit([ask(ID, request("large@1.0.0", "{seconds: 60}"))]);
    life.run_all(&["plan", "--preview"], &orders[0]);
    life.run_all(&["apply", "--wait"], &orders[1]);
    life.until("it is made", || life.is_ready(60));
    let stack = life.it.stack(ID);
    assert_eq!(life.it.aws.effects(&stack), ["create"], "{}", life.it.aws.history());

    world.requests.commit([ask(ID, request("large@1.0.0", "{seconds: 120}"))]);
    life.run_all(&["apply", "--wait"], &orders[2]);
    life.until("it is changed", || life.is_ready(120));
    assert_eq!(life.it.aws.effects(&stack), ["create", "update"], "{}", life.it.aws.history());

    let tombstone = request_with("large@1.0.0", "{seconds: 120}", "delete: {confirm: events}");
    world.requests.commit([ask(ID, tombstone)]);
    life.until("its tombstone is read", || life.is_ready(120));
    world.requests.commit([drop_request(ID)]);
    life.run_all(&["apply", "--wait"], &orders[3]);
    life.until("it is gone", || world.status_or_none(ID).is_none());
    assert!(life.it.aws.stack(&stack).is_none(), "{}", life.what);
    let effects = life.it.aws.effects(&stack);
    assert_eq!(effects, ["create", "update", "delete"], "{}", life.it.aws.history());
    life.it.again_nothing();
    life.passed()
}

#[test]
fn f61_stack() {
    let passed = live(&Default::default());
    let wrong: Vec<_> = ELSEWHERE.iter().filter(|(point, _)| passed.contains(*point)).collect();
    assert!(wrong.is_empty(), "a stack's life passes {wrong:?}");
    let homes: BTreeSet<&str> =
        HOMES.iter().filter(|(_, home)| *home == HOME).map(|(point, _)| *point).collect();
    let played: BTreeSet<&str> = STAGES.iter().flat_map(|(_, points)| *points).copied().collect();
    assert_eq!(homes, played);
    let missing: Vec<_> = played.iter().filter(|point| !passed.contains(**point)).collect();
    assert!(missing.is_empty(), "a stack's life does not pass {missing:?}, only {passed:?}");
    let orders = |points: &[&str], mode: &str| -> Vec<String> {
        points.iter().map(|point| format!("{point}={mode}")).collect()
    };
    // One stack is killed at all of them, in the order in which it comes to them.
    let mut lives = vec![
        STAGES.map(|(_, points)| orders(points, "kill")),
        STAGES.map(|(_, points)| vec![orders(points, "delay").join(",")]),
    ];
    let most = STAGES.iter().map(|(_, points)| points.len()).max().unwrap();
    let modes: &[&str] = if super::run::whole() { &["kill", "error"] } else { &["error"] };
    for mode in modes {
        for n in 0..most {
            let one = |points: &[&str]| points.get(n).map(|point| orders(&[*point], mode));
            lives.push(STAGES.map(|(_, points)| one(points).unwrap_or_default()));
        }
    }
    eprintln!("crash: {HOME}: {} points, {} lives", played.len(), lives.len());
    super::run::share_out(3, lives, |orders| {
        live(&orders);
    });
}

const THING: &str = "orders/dev/thing";

/// Its name after a move.
const RENAMED: &str = "orders/dev/renamed";

/// What goes otherwise in a stack's life than well, or than it was: what is asked for first, if anything,
/// what is asked for then, and where faults are played meanwhile.
struct Trouble {
    name: &'static str,
    first: Option<(&'static str, &'static str)>,
    then: (&'static str, &'static str),
    points: &'static [&'static str],
    /// Phase (any, where it is empty) and reason in the end.
    ends: (&'static str, &'static str),
    /// The state of each stack in the end, and what was ever done to it.
    stacks: &'static [(&'static str, &'static [&'static str])],
}

const POLLED: [&str; 2] = ["pass.poll.before", "pass.poll.after"];
const CREATED: [&str; 4] = ["aws.create.before", "aws.create.after", POLLED[0], POLLED[1]];
const EXECUTED: [&str; 4] = ["aws.execute.before", "aws.execute.after", POLLED[0], POLLED[1]];

const TROUBLES: [Trouble; 7] = [
    Trouble {
        name: "replaced",
        first: Some(("queue@1.0.0", "{name: first}")),
        then: ("queue@1.0.0", "{name: second}"),
        points: &EXECUTED,
        ends: ("Ready", ""),
        stacks: &[("UPDATE_COMPLETE", &["create", "update"])],
    },
    Trouble {
        name: "not made",
        first: None,
        then: ("bucket@1.0.0", "{name: TAKEN}"),
        points: &CREATED,
        ends: ("", "Stuck"),
        stacks: &[("ROLLBACK_COMPLETE", &["create"])],
    },
    Trouble {
        name: "rolled back",
        first: Some(("moody@1.0.0", "{note: one}")),
        then: ("moody@1.0.0", "{note: two, update: fail}"),
        points: &EXECUTED,
        ends: ("Failed", ""),
        stacks: &[("UPDATE_ROLLBACK_COMPLETE", &["create", "update"])],
    },
    Trouble {
        name: "not known of",
        first: Some(("queue@1.0.0", "{seconds: 60}")),
        then: ("queue@1.0.0", "{seconds: 120}"),
        points: &["aws.changeset.before", "aws.changeset.after", EXECUTED[0], POLLED[0], POLLED[1]],
        ends: ("Ready", ""),
        stacks: &[("UPDATE_COMPLETE", &["create", "update"])],
    },
    Trouble {
        name: "moved",
        first: Some(("queue@1.0.0", "{}")),
        then: ("queue@1.0.0", "{}"),
        points: &["pass.move.before", "pass.move.after"],
        ends: ("Ready", ""),
        stacks: &[("CREATE_COMPLETE", &["create"])],
    },
    Trouble {
        name: "of another version",
        first: Some(("queue@1.0.0", "{}")),
        then: ("queue@1.1.0", "{}"),
        points: &[
            "aws.changeset.before",
            "aws.changeset.after",
            EXECUTED[0],
            EXECUTED[1],
            POLLED[0],
            POLLED[1],
        ],
        ends: ("Ready", ""),
        stacks: &[("UPDATE_COMPLETE", &["create", "update"])],
    },
    Trouble {
        name: "made in part",
        first: None,
        then: ("two@1.0.0", "{name: TAKEN}"),
        points: &CREATED,
        ends: ("", "Stuck"),
        stacks: &[("CREATE_COMPLETE", &["create"]), ("ROLLBACK_COMPLETE", &["create"])],
    },
];

/// The scenarios of [`NAMES`] that are played with a stack, and as what: a stage of its life, or a trouble.
const PLAYED: &[(&str, &str)] = &[
    ("create", "made"),
    ("update", "changed"),
    ("delete", "gone"),
    ("replace", "replaced"),
    ("move", "moved"),
    ("version", "of another version"),
    ("partial", "made in part"),
    ("unknown", "not known of"),
];

/// The scenarios that are not, and why.
const NOT_PLAYED: &[(&str, &str)] = &[
    (
        "no_op",
        "it comes to no provider's point; each life here ends with such a pass, which only looks",
    ),
    ("two", "what two repositories share is Git's and the store's; a stack is of one request"),
    ("rollback", "a commit that goes back is a change set like any other: `changed`"),
    (
        "forget",
        "what is gone already is forgotten in the store, and nothing is asked of a provider",
    ),
    ("approve", "a person's word goes to the store, and to no provider"),
    ("folder", "only files lie in folders"),
    ("damaged", "a mirror is read before any provider is asked, and made anew whatever is in it"),
    ("many", "what is imported at once are files; stacks are asked for one by one"),
    ("expiry", "the end is a commit to the requests; what it deletes then is `gone`"),
    ("upkeep", "it tidies the store and the mirrors up"),
    ("older", "its store is copied and changed before the first pass"),
    ("rebuild", "it writes a store and makes no pass; `stacks::store` has it with a stack"),
    ("daemon", "its lease and its end are no provider's; `stacks::fault` kills one over a stack"),
];

#[test]
fn each_scenario_is_played_with_a_stack_or_is_said_not_to_be() {
    let mut all: Vec<&str> = PLAYED.iter().chain(NOT_PLAYED).map(|(name, _)| *name).collect();
    all.sort_unstable();
    let mut names = NAMES.to_vec();
    names.sort_unstable();
    assert_eq!(all, names);
    for (name, of) in PLAYED {
        let mut own = STAGES.iter().map(|(stage, _)| *stage).chain(TROUBLES.iter().map(|t| t.name));
        assert!(own.any(|own| own == *of), "{name} is played as nothing, `{of}`");
    }
    assert!(NOT_PLAYED.iter().all(|(_, why)| why.len() > 20), "{NOT_PLAYED:?}");
}

/// One of them with these orders, each carried out by a process of its own: it comes to its end, and what
/// is done is done once.
fn trouble(of: &Trouble, orders: &[String]) {
    let life = Life::begin(&format!("{}, {orders:?}", of.name));
    let (it, world) = (&life.it, &life.it.world);
    let taken = format!("taken-{}", it.aws.account());
    it.aws.make_bucket(&taken);
    it.world.catalog.commit(catalog::queue("1.1.0", "      DelaySeconds: 5\n"));
    it.world.catalog.commit(catalog::two());
    let text = |(template, parameters): (&str, &str), more: &str| {
        request_with(template, &parameters.replace("TAKEN", &taken), more)
    };
    if let Some(first) = of.first {
        world.requests.commit([ask(THING, text(first, ""))]);
        it.apply();
        world.ready(THING);
    }
    let id = if of.name == "moved" { RENAMED } else { THING };
    if id == THING {
        world.requests.commit([ask(THING, text(of.then, ""))]);
    } else {
        let moved = text(of.then, &format!("movedFrom: {THING}"));
        world.requests.commit([drop_request(THING), ask(id, moved)]);
    }
    if ["replaced", "rolled back"].contains(&of.name) {
        world.vend(&["apply", "--wait"]);
        world.approve(&world.held(THING, "NeedsApproval"));
    }
    if of.name == "not known of" {
        it.aws.rule(Rule::on("ExecuteChangeSet", Fault::FailAfter(500)).once());
    }
    life.run_all(&["apply", "--wait"], orders);
    let (phase, reason) = of.ends;
    let stacks = it.aws.eventually(&format!("{}: it is {phase} {reason}", life.what), || {
        world.vend(&["apply", "--wait"]);
        world.status_or_none(id)?;
        let (is, why, _) = world.standing(id);
        let mut there = it.aws.stacks();
        there.sort_by(|one, other| one.1.cmp(&other.1));
        let is_so = (phase.is_empty() || is == phase)
            && why.contains(reason)
            && there.iter().map(|(_, state)| state).eq(of.stacks.iter().map(|(state, _)| state));
        is_so.then_some(there)
    });
    for ((name, _), (_, effects)) in stacks.iter().zip(of.stacks) {
        assert_eq!(it.aws.effects(name), *effects, "{}:\n{}", life.what, it.aws.history());
    }
    // What ended badly is not tried again by itself.
    it.aws.only_looks(|| world.vend(&["apply", "--wait"]));

    world.requests.commit([drop_request(id)]);
    it.apply();
    assert!(world.status_or_none(id).is_none(), "{}", life.what);
    assert!(it.aws.stacks().is_empty(), "{}: {:?}", life.what, it.aws.stacks());
    it.again_nothing();
}

#[test]
fn f61_stacks_in_trouble() {
    let mut jobs = Vec::new();
    for of in &TROUBLES {
        let orders = |points: &[&str], mode: &str| -> Vec<String> {
            points.iter().map(|point| format!("{point}={mode}")).collect()
        };
        // One that is killed at each of them; an error or a delay there is for `make crash`.
        jobs.push((of, orders(of.points, "kill")));
        if super::run::whole() {
            jobs.push((of, Vec::new()));
            jobs.push((of, vec![orders(of.points, "delay").join(",")]));
            let modes = ["kill", "error"];
            let each = of.points.iter().flat_map(|point| modes.map(|mode| orders(&[point], mode)));
            jobs.extend(each.map(|orders| (of, orders)));
        }
    }
    eprintln!("crash: stacks in trouble: {} of them", jobs.len());
    super::run::share_out(3, jobs, |(of, orders)| trouble(of, &orders));
}
