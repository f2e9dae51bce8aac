//! The real program, ended, failed and delayed at each of its points: however it was interrupted, what
//! it comes to is the same, nothing was done twice, and a further pass has nothing to do.
//!
//! `make test` plays each point once in each mode, in the scenario that is its home. `make crash` plays
//! every point in every scenario that passes it, and ends daemons at random moments.

mod bug;
mod judge;
mod passed;
mod planted;
mod pull;
mod race;
mod random;
mod run;
mod scenario;
mod stack;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use vend::fault::POINTS;

use self::run::play;
pub use self::run::share_out;

/// Where each point is played when not everything is.
const HOMES: &[(&str, &str)] = &[
    ("pass.maintain.before", "create"),
    ("pass.maintain.after", "create"),
    ("pass.intent.before", "update"),
    ("pass.intent.after", "update"),
    ("pass.submit.before", "update"),
    ("pass.submit.after", "update"),
    ("pass.ends.before", "update"),
    ("pass.ends.after", "update"),
    ("pass.quiet.before", "no_op"),
    ("pass.quiet.after", "no_op"),
    ("read.parse", "replace"),
    ("read.render", "replace"),
    ("pass.read.before", "replace"),
    ("pass.read.after", "replace"),
    ("pass.say.before", "delete"),
    ("pass.say.after", "delete"),
    ("pass.publish.before", "delete"),
    ("pass.published.before", "delete"),
    ("pass.published.after", "delete"),
    ("pass.move.before", "move"),
    ("pass.move.after", "move"),
    ("store.acquire.before", "version"),
    ("store.acquire.after", "version"),
    ("store.commit.before", "version"),
    ("store.commit.after", "version"),
    ("store.release.before", "version"),
    ("store.release.after", "version"),
    ("git.push.before", "partial"),
    ("git.push.after", "partial"),
    ("pass.told.before", "unknown"),
    ("pass.told.after", "unknown"),
    ("git.lock.after", "two"),
    ("git.fetch.before", "two"),
    ("git.fetch.after", "two"),
    ("git.commit.before", "rollback"),
    ("git.commit.after", "rollback"),
    ("pass.plan.before", "rollback"),
    ("pass.plan.after", "rollback"),
    ("pass.forget.before", "forget"),
    ("pass.forget.after", "forget"),
    ("store.note.before", "approve"),
    ("store.note.after", "approve"),
    ("files.effect.before", "folder"),
    ("files.effect.after", "folder"),
    ("git.swap.before", "damaged"),
    ("git.swap.between", "damaged"),
    ("git.swap.after", "damaged"),
    ("git.import.before", "many"),
    ("git.import.after", "many"),
    ("pass.expire.before", "expiry"),
    ("pass.expire.after", "expiry"),
    ("store.sweep.before", "upkeep"),
    ("store.sweep.after", "upkeep"),
    ("git.repack.before", "upkeep"),
    ("git.repack.after", "upkeep"),
    ("store.rebuild.before", "rebuild"),
    ("store.rebuild.after", "rebuild"),
    ("store.put.before", "rebuild"),
    ("store.put.after", "rebuild"),
    ("store.migrate.before", "older"),
    ("store.migrate.after", "older"),
    ("store.copy.before", "older"),
    ("store.copy.after", "older"),
    ("store.renew.before", "daemon"),
    ("store.renew.after", "daemon"),
    ("aws.empty.before", "stack"),
    ("aws.empty.after", "stack"),
    ("aws.look.before", "stack"),
    ("aws.create.before", "stack"),
    ("aws.create.after", "stack"),
    ("aws.change.before", "stack"),
    ("aws.change.after", "stack"),
    ("aws.upload.before", "stack"),
    ("aws.upload.after", "stack"),
    ("pass.poll.before", "stack"),
    ("pass.poll.after", "stack"),
    ("pass.preview.before", "stack"),
    ("pass.preview.after", "stack"),
    ("aws.changeset.before", "stack"),
    ("aws.changeset.after", "stack"),
    ("aws.execute.before", "stack"),
    ("aws.execute.after", "stack"),
    ("aws.unprotect.before", "stack"),
    ("aws.unprotect.after", "stack"),
    ("aws.delete.before", "stack"),
    ("aws.delete.after", "stack"),
    ("pull.turn.before", "pull"),
    ("forge.write.before", "pull"),
    ("forge.check.after", "pull"),
    ("forge.write.after", "pull"),
    ("forge.comment.after", "pull"),
    ("pull.keep.before", "pull"),
    ("pull.keep.after", "pull"),
    ("pull.proposal.before", "pull"),
    ("pull.proposal.after", "pull"),
    ("git.own.before", "pull"),
    ("git.own.after", "pull"),
    ("forge.pull.after", "pull"),
    ("pull.turn.after", "pull"),
    ("forge.close.after", "pull"),
];

/// What happens at each point.
pub const MODES: [&str; 3] = ["kill", "error", "delay"];

/// Points that no scenario here passes, and the test that plays them in every mode: it asks [`elsewhere`]
/// for them, and looks that each order was carried out.
const ELSEWHERE: &[(&str, &str)] = &[
    ("pass.cancel.before", STOPPED),
    ("aws.stop.before", STOPPED),
    ("aws.stop.after", STOPPED),
    ("pass.cancel.after", STOPPED),
    ("aws.discard.before", DISCARDED),
    ("aws.discard.after", DISCARDED),
    ("notify.keep.before", TOLD),
    ("notify.keep.after", TOLD),
    ("notify.send.before", TOLD),
    ("notify.send.after", TOLD),
    ("forge.issue.after", WARNED),
    ("pull.warn.before", WARNED),
    ("pull.warn.after", WARNED),
    ("forge.settle.after", WARNED),
];

pub const STOPPED: &str = "stacks::late::f61_an_update_is_stopped_wherever_that_was_broken_off";

pub const DISCARDED: &str =
    "stacks::sweep::f61_what_previews_left_is_cleared_away_wherever_that_was_broken_off";

pub const WARNED: &str = "review::expiry::f61_what_came_without_a_pull_request_has_one_issue_wherever_that_is_broken_off";

pub const TOLD: &str = "observe::notify::f55_f61_nothing_is_lost_and_nothing_gets_a_second_id_wherever_it_is_broken_off";

/// The points that a test plays, in the order of their passing.
pub fn elsewhere(test: &str) -> Vec<&'static str> {
    let own = ELSEWHERE.iter().filter(|(_, of)| *of == test);
    let points: Vec<&str> = own.map(|(point, _)| *point).collect();
    assert!(!points.is_empty(), "the table has nothing for {test}");
    points
}

/// Whether all of these orders, with commas between, were carried out by processes with this log.
pub fn carried_out(log: &Path, orders: &str) -> bool {
    let passed = std::fs::read_to_string(log).unwrap_or_default();
    orders.split(',').all(|order| {
        let line = order.replace('=', " ");
        passed.lines().any(|passed| passed == line)
    })
}

/// A test for each scenario, so that they run side by side.
macro_rules! scenarios {
    ($($test:ident $name:literal),* $(,)?) => {
        $(#[test]
        fn $test() {
            play($name);
        })*

        const NAMES: &[&str] = &[$($name),*];
    };
}

scenarios! {
    f61_create "create",
    f61_update "update",
    f61_no_op "no_op",
    f61_replace "replace",
    f61_delete "delete",
    f61_move "move",
    f61_version "version",
    f61_partial "partial",
    f61_unknown "unknown",
    f61_two "two",
    f61_rollback "rollback",
    f61_forget "forget",
    f61_approve "approve",
    f61_folder "folder",
    f61_damaged "damaged",
    f61_many "many",
    f61_expiry "expiry",
    f61_upkeep "upkeep",
    f61_older "older",
    f61_rebuild "rebuild",
    f61_daemon "daemon",
}

#[test]
fn every_point_is_played_or_is_said_not_to_be() {
    let mut all: Vec<&str> = HOMES.iter().chain(ELSEWHERE).map(|(point, _)| *point).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "a point stands twice in the tables");
    let points: BTreeSet<&str> = POINTS.iter().map(|(point, _)| *point).collect();
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), points);
    let scenarios: Vec<&str> = scenario::all().iter().map(|s| s.name).collect();
    assert_eq!(scenarios, NAMES, "a scenario without a test");
    for (point, home) in HOMES {
        let own = [pull::HOME, stack::HOME];
        assert!(NAMES.contains(home) || own.contains(home), "{point} has no home `{home}`");
    }
    for (point, test) in ELSEWHERE {
        assert!(is_there(test), "{point} is played by no test `{test}`");
    }
}

/// Whether this program has a test of that name.
fn is_there(test: &str) -> bool {
    let list = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--list"])
        .output()
        .unwrap();
    String::from_utf8_lossy(&list.stdout).contains(&format!("{test}: test"))
}
