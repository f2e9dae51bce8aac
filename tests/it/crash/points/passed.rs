//! Which points each scenario does not pass, and why: what an undisturbed run passes is held against it,
//! so that a point cannot fall out of a scenario in silence.

use std::collections::BTreeSet;

use vend::fault::POINTS;

use super::{ELSEWHERE, HOMES, NAMES};

/// Scenarios.
enum Of {
    Only(&'static [&'static str]),
    AllBut(&'static [&'static str]),
}

impl Of {
    fn has(&self, scenario: &str) -> bool {
        match self {
            Self::Only(some) => some.contains(&scenario),
            Self::AllBut(some) => !some.contains(&scenario),
        }
    }

    fn names(&self) -> &'static [&'static str] {
        match self {
            Self::Only(some) | Self::AllBut(some) => some,
        }
    }
}

/// Of these scenarios none passes the points that begin so, for this reason. What has its home with stacks,
/// a forge or receivers is passed by none of them, and needs no line.
const NOT_PASSED: &[(Of, &[&str], &str)] = &[
    (Of::AllBut(&["folder"]), &["files.effect"], "its outputs are repositories, and no folders"),
    (Of::AllBut(&["many"]), &["git.import"], "its commits are small"),
    (Of::Only(&["many"]), &["git.commit"], "its commits are large"),
    (Of::AllBut(&["damaged"]), &["git.swap"], "its mirrors are whole"),
    (Of::AllBut(&["upkeep"]), &["git.repack", "store.sweep"], "there is nothing to tidy up"),
    (Of::AllBut(&["create", "many", "upkeep"]), &["pass.maintain"], "the last upkeep was just now"),
    (Of::AllBut(&["expiry"]), &["pass.expire"], "nobody's time is over"),
    (Of::AllBut(&["forget"]), &["pass.forget"], "nothing is gone already"),
    (Of::AllBut(&["move"]), &["pass.move"], "nothing has another name"),
    (Of::AllBut(&["older"]), &["store.copy"], "its store is of this version"),
    (Of::AllBut(&["rebuild"]), &["store.rebuild", "store.put"], "its store is not lost"),
    (
        Of::AllBut(&["create", "many", "older", "rebuild"]),
        &["store.migrate"],
        "its store is there already",
    ),
    (Of::AllBut(&["approve"]), &["store.note"], "no person says a word to the store"),
    (
        Of::Only(&["replace", "expiry"]),
        &["git.fetch", "pass.told"],
        "nobody has committed anything since the last pass",
    ),
    (Of::Only(&["delete", "forget"]), &["read"], "the only file that differs is gone"),
    (
        Of::Only(&["move", "forget", "expiry"]),
        &["pass.intent", "pass.submit", "pass.ends"],
        "nothing is done to what was made",
    ),
    (
        Of::Only(&["no_op", "upkeep"]),
        &[
            "git.commit",
            "git.push",
            "read",
            "pass.intent",
            "pass.submit",
            "pass.ends",
            "pass.publish",
            "pass.published",
        ],
        "nothing is done, and nothing new is said",
    ),
    (
        Of::Only(&["rebuild"]),
        &[
            "git.commit",
            "git.push",
            "read",
            "pass.read",
            "pass.plan",
            "pass.intent",
            "pass.submit",
            "pass.ends",
            "pass.say",
            "pass.publish",
            "pass.published",
            "pass.told",
            "pass.quiet",
        ],
        "it writes a store, and makes no pass",
    ),
    (
        Of::Only(&["approve"]),
        &[
            "git.lock",
            "git.fetch",
            "git.commit",
            "git.push",
            "read",
            "pass.read",
            "pass.plan",
            "pass.intent",
            "pass.submit",
            "pass.ends",
            "pass.say",
            "pass.publish",
            "pass.published",
            "pass.told",
            "pass.quiet",
            "store.acquire",
            "store.commit",
            "store.release",
        ],
        "a word to the store is all of it",
    ),
];

/// Passed by a pass that takes longer than a third of its lease, on a slow machine: chance, but where the
/// lease is that short.
const CHANCE: (Of, &str) = (Of::AllBut(&["daemon"]), "store.renew");

fn begins(point: &str, with: &str) -> bool {
    point.strip_prefix(with).is_some_and(|rest| rest.starts_with('.'))
}

/// Holds what a scenario passed against the table.
#[track_caller]
pub fn hold<'a>(scenario: &str, passed: impl Iterator<Item = &'a str>) {
    let passed: BTreeSet<&str> = passed.collect();
    let of_others = HOMES.iter().filter(|(_, home)| !NAMES.contains(home)).chain(ELSEWHERE);
    let mut not: BTreeSet<&str> = of_others.map(|(point, _)| *point).collect();
    let points = || POINTS.iter().map(|(point, _)| *point);
    for (of, some, why) in NOT_PASSED.iter().filter(|(of, ..)| of.has(scenario)) {
        for with in *some {
            let these: Vec<&str> = points().filter(|point| begins(point, with)).collect();
            assert!(!these.is_empty(), "no point begins with {with}");
            let wrong: Vec<&&str> = these.iter().filter(|point| passed.contains(*point)).collect();
            assert!(wrong.is_empty(), "{scenario} passes {wrong:?}, and the table says: {why}");
            not.extend(these);
        }
        assert!(of.names().iter().all(|name| NAMES.contains(name)), "{:?}", of.names());
    }
    let by_chance = |point: &&str| CHANCE.0.has(scenario) && begins(point, CHANCE.1);
    let found: BTreeSet<&str> =
        points().filter(|point| !passed.contains(point) && !by_chance(point)).collect();
    not.retain(|point| !by_chance(point));
    assert_eq!(found, not, "what {scenario} does not pass, and what the table says of that");
}
