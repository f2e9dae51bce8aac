//! Waves: who is in one, when the next begins, and when all stops.
//!
//! # Guarantees
//! - Shares only grow, whatever the order of passes, restarts, words of people and edits of
//!   `catalog.yaml`; so whoever was let in stays in.
//! - Who is in a share depends on the request and the version alone.
//! - No wave begins before the one before it is through and its pause is over, be that one still in the
//!   list or not; and none is left out that lets somebody in who is not in yet.

use jiff::{SignedDuration, Timestamp};

use crate::digest;
use crate::model::{RequestId, Rollout, RolloutWord, Rollouts, Stopped, TemplateId, Wave};

/// What a wave's requests have come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Facts {
    /// Requests that are let in, and do not have the version yet, be it that they cannot be read.
    pub pending: usize,
    /// Requests that are let in and failed with it.
    pub failed: u32,
}

/// A number from 0 to 99 for a request and a version: it is in every share that is larger.
fn bucket(id: &RequestId, version: &TemplateId) -> u8 {
    let hex = digest::of(&("rollout", id, version)).hex();
    let number = u64::from_str_radix(&hex[..12], 16).unwrap_or_default();
    u8::try_from(number % 100).unwrap_or_default()
}

/// Whether a rollout has reached a request.
pub fn admits(rollout: &Rollout, id: &RequestId) -> bool {
    let share = rollout.reached.get(id.environment()).copied().unwrap_or_default();
    bucket(id, &rollout.version) < share
}

/// The first wave that a request would be in, of a version that comes in `waves`.
pub fn first_wave(waves: &[Wave], version: &TemplateId, id: &RequestId) -> Option<usize> {
    let bucket = bucket(id, version);
    waves.iter().position(|wave| wave.environment == id.environment() && bucket < wave.share)
}

/// What a person said, obeyed once.
pub fn hear(rollout: &mut Rollout, word: &RolloutWord, facts: Facts) {
    let is_new = rollout.heard.is_none_or(|heard| word.at > heard);
    if word.version != rollout.version || !is_new || !rollout.is_open() {
        return;
    }
    rollout.heard = Some(word.at);
    if word.resume {
        rollout.stopped = None;
        rollout.forgiven = facts.failed;
    } else if rollout.stopped.is_none() {
        let by = Some(word.by.clone());
        rollout.stopped = Some(Stopped { at: word.at, by, failures: facts.failed });
    }
}

/// Notes what the last wave has come to: that it failed, or that it is through; and that all are.
pub fn note(rollout: &mut Rollout, waves: &[Wave], facts: Facts, now: Timestamp) {
    if !rollout.is_open() || rollout.is_away() {
        return;
    }
    (rollout.pending, rollout.failed) =
        (u32::try_from(facts.pending).unwrap_or(u32::MAX), facts.failed);
    if rollout.stopped.is_some() {
        return;
    }
    if rollout.begun > 0 {
        if facts.failed < rollout.forgiven {
            // Those were mended: new ones count again.
            rollout.forgiven = facts.failed;
        }
        let failures = facts.failed - rollout.forgiven;
        let limit = last(rollout, waves).map_or(1, |wave| wave.stop_after.max(1));
        if failures >= limit {
            rollout.stopped = Some(Stopped { at: now, by: None, failures: facts.failed });
            return;
        }
        if facts.pending == 0 {
            rollout.settled.get_or_insert(now);
        }
    }
    // Without any waves there is nothing to wait for; else the last one is.
    let is_over = waves.is_empty() || rollout.begun == 0 || rollout.settled.is_some();
    if is_over && next(rollout, waves).is_none() {
        rollout.ended = Some(now);
        rollout.cut = waves.is_empty() || rollout.begun == 0;
    }
}

/// Begins the next wave, where its time has come; whether it did.
pub fn begin(rollout: &mut Rollout, waves: &[Wave], now: Timestamp) -> bool {
    if due(rollout, waves).is_none_or(|due| due > now) {
        return false;
    }
    let Some(next) = next(rollout, waves) else { return false };
    let share = rollout.reached.entry(next.environment.clone()).or_default();
    *share = next.share.min(100).max(*share);
    rollout.begun += 1;
    rollout.last = Some(next.clone());
    rollout.since = now;
    rollout.settled = None;
    true
}

/// When the next wave may begin; `None` while that depends on something else than time.
pub fn due(rollout: &Rollout, waves: &[Wave]) -> Option<Timestamp> {
    if !rollout.is_open() || rollout.stopped.is_some() || rollout.is_away() {
        return None;
    }
    if rollout.begun == 0 {
        return Some(rollout.since);
    }
    let pause = last(rollout, waves).map_or(SignedDuration::ZERO, |wave| wave.pause);
    rollout.settled?.checked_add(pause).ok()
}

/// Nobody is in the wave that began last: there is nothing to pause for.
pub fn skip(rollout: &mut Rollout, waves: &[Wave], now: Timestamp) {
    note(rollout, waves, Facts::default(), now);
    if let (Some(wave), true) = (last(rollout, waves), rollout.is_open()) {
        rollout.settled = now.checked_sub(wave.pause).ok();
    }
}

/// The waves that are still to come, in their order: those that let somebody in who is not in yet. They
/// are counted by whom they let in and never by their place, since the list may be edited.
pub fn left<'a>(rollout: &Rollout, waves: &'a [Wave]) -> Vec<&'a Wave> {
    let mut reached = rollout.reached.clone();
    let grows = |wave: &&Wave| {
        let share = reached.entry(wave.environment.clone()).or_default();
        let grows = wave.share.min(100) > *share;
        *share = wave.share.min(100).max(*share);
        grows
    };
    waves.iter().filter(grows).collect()
}

fn next<'a>(rollout: &Rollout, waves: &'a [Wave]) -> Option<&'a Wave> {
    left(rollout, waves).into_iter().next()
}

/// The wave that began last: as the list has it now, so that a pause can be edited; else as it was.
fn last<'a>(rollout: &'a Rollout, waves: &'a [Wave]) -> Option<&'a Wave> {
    let last = rollout.last.as_ref()?;
    waves.iter().find(|wave| wave.is_same(last)).or(Some(last))
}

/// The place in the list of the wave that began last, where it is still there.
pub fn place(rollout: &Rollout, waves: &[Wave]) -> Option<usize> {
    let last = rollout.last.as_ref()?;
    waves.iter().position(|wave| wave.is_same(last))
}

/// Takes in what was kept. Older versions of this program kept how many waves had begun, of the list
/// beside it, and not which one was the last.
pub fn recalled(mut rollouts: Rollouts) -> Rollouts {
    let Rollouts { waves, versions, .. } = &mut rollouts;
    for rollout in versions.iter_mut().filter(|rollout| rollout.last.is_none()) {
        let n = (rollout.begun as usize).checked_sub(1);
        rollout.last = n.and_then(|n| waves.get(n)).cloned();
        rollout.cut |= !rollout.is_open() && (rollout.begun as usize) < waves.len();
    }
    rollouts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn version() -> TemplateId {
        TemplateId::parse("note@1.2.1").unwrap()
    }

    fn wave(environment: &str, share: u8, pause: i64, stop_after: u32) -> Wave {
        let pause = SignedDuration::from_secs(pause);
        Wave { environment: environment.into(), share, pause, stop_after }
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn ids() -> Vec<RequestId> {
        let id = |n: u32| {
            let environment = ["dev", "prod"][n as usize % 2];
            RequestId::parse(&format!("team/{environment}/r{n}")).unwrap()
        };
        (0..60).map(id).collect()
    }

    #[test]
    fn a_share_holds_about_as_many_as_it_says() {
        let mut rollout = Rollout::new(version(), at(0));
        let id = |n| RequestId::parse(&format!("team/dev/r{n}")).unwrap();
        for share in [0, 10, 50, 100] {
            rollout.reached.insert("dev".into(), share);
            let inside = (0..2_000).filter(|n| admits(&rollout, &id(*n))).count();
            let about = usize::from(share) * 20;
            assert!(inside.abs_diff(about) <= 100, "{share} %: {inside}");
        }
    }

    #[test]
    fn waves_follow_one_another_and_a_failure_stops_them() {
        let waves = [wave("dev", 100, 60, 1), wave("prod", 50, 0, 2), wave("prod", 100, 0, 2)];
        let mut rollout = Rollout::new(version(), at(0));
        assert!(begin(&mut rollout, &waves, at(0)));
        assert!(!begin(&mut rollout, &waves, at(1)));
        let done = Facts::default();
        note(&mut rollout, &waves, Facts { pending: 1, failed: 0 }, at(2));
        assert_eq!(due(&rollout, &waves), None);
        note(&mut rollout, &waves, done, at(10));
        assert_eq!(due(&rollout, &waves), Some(at(70)));
        assert!(!begin(&mut rollout, &waves, at(69)));
        assert!(begin(&mut rollout, &waves, at(70)));
        assert_eq!(rollout.reached["prod"], 50);
        note(&mut rollout, &waves, Facts { pending: 3, failed: 2 }, at(80));
        assert_eq!(rollout.stopped.as_ref().unwrap().failures, 2);
        note(&mut rollout, &waves, done, at(90));
        assert!(!begin(&mut rollout, &waves, at(90)));
        let word = |resume, second| RolloutWord {
            version: version(),
            resume,
            by: "ada".into(),
            at: at(second),
        };
        hear(&mut rollout, &word(true, 100), Facts { pending: 3, failed: 2 });
        assert_eq!(rollout.stopped, None);
        // What was forgiven does not stop it again, and a word is heard once.
        note(&mut rollout, &waves, Facts { pending: 3, failed: 2 }, at(101));
        assert_eq!(rollout.stopped, None);
        hear(&mut rollout, &word(false, 99), done);
        assert_eq!(rollout.stopped, None);
        note(&mut rollout, &waves, done, at(110));
        assert!(begin(&mut rollout, &waves, at(110)));
        note(&mut rollout, &waves, done, at(120));
        assert_eq!(rollout.ended, Some(at(120)));
        assert_eq!(due(&rollout, &waves), None);
    }

    #[test]
    fn a_version_whose_folder_is_gone_keeps_its_place() {
        let waves = [wave("dev", 100, 0, 1), wave("prod", 100, 0, 1)];
        let mut rollout = Rollout::new(version(), at(0));
        assert!(begin(&mut rollout, &waves, at(0)));
        rollout.absent = true;
        let before = rollout.clone();
        note(&mut rollout, &waves, Facts::default(), at(1));
        assert!(!begin(&mut rollout, &[], at(2)) && due(&rollout, &waves).is_none());
        assert_eq!(rollout, before);
        rollout.absent = false;
        note(&mut rollout, &waves, Facts::default(), at(3));
        assert!(begin(&mut rollout, &waves, at(3)));
    }

    #[test]
    fn an_edited_list_is_read_by_whom_its_waves_let_in() {
        let mut rollout = Rollout::new(version(), at(0));
        let list = [wave("dev", 100, 60, 1), wave("prod", 10, 0, 1), wave("prod", 100, 0, 1)];
        assert!(begin(&mut rollout, &list, at(0)));
        note(&mut rollout, &list, Facts::default(), at(0));
        // The wave that began last is gone from the list, and its pause holds.
        let list = [wave("test", 100, 0, 1), wave("prod", 10, 0, 1), wave("prod", 50, 0, 1)];
        assert_eq!((place(&rollout, &list), due(&rollout, &list)), (None, Some(at(60))));
        assert!(!begin(&mut rollout, &list, at(59)) && begin(&mut rollout, &list, at(60)));
        assert_eq!(rollout.reached["test"], 100);
        note(&mut rollout, &list, Facts::default(), at(60));
        assert!(begin(&mut rollout, &list, at(60)));
        assert_eq!((rollout.reached["prod"], place(&rollout, &list)), (10, Some(1)));
        // Shares that are reached already are over, and what is left is left.
        let list = [wave("prod", 5, 0, 1), wave("prod", 100, 0, 1), wave("dev", 50, 0, 1)];
        note(&mut rollout, &list, Facts::default(), at(61));
        assert_eq!((left(&rollout, &list), rollout.ended), (vec![&list[1]], None));
        assert!(begin(&mut rollout, &list, at(61)));
        note(&mut rollout, &list, Facts { pending: 1, failed: 0 }, at(62));
        assert_eq!(rollout.ended, None);
        note(&mut rollout, &list, Facts::default(), at(63));
        assert_eq!((rollout.ended, rollout.cut), (Some(at(63)), false));
    }

    #[test]
    fn what_an_older_program_kept_goes_on_by_the_list_beside_it() {
        let kept = serde_json::json!({
            "waves": [wave("dev", 100, 60, 3), wave("prod", 100, 0, 1)],
            "versions": [
                {"version": version(), "begun": 1, "reached": {"dev": 100}, "since": at(0), "settled": at(5)},
                {"version": {"name": "note", "version": "1.2.0"}, "begun": 1, "since": at(0), "ended": at(5)},
            ],
        });
        let rollouts = recalled(serde_json::from_value(kept).unwrap());
        let [open, ended] = rollouts.versions.as_slice() else { panic!("two") };
        assert_eq!(open.last.as_ref(), rollouts.waves.first());
        assert!(ended.cut && !open.cut);
        let edited = [wave("test", 100, 0, 1), wave("prod", 100, 0, 1)];
        assert_eq!(due(open, &edited), Some(at(65)));
        assert_eq!(left(open, &edited).len(), 2);
        assert_eq!(recalled(rollouts.clone()), rollouts);
    }

    #[test]
    fn the_first_wave_is_the_one_that_admits() {
        let waves = [wave("dev", 30, 0, 1), wave("prod", 100, 0, 1), wave("dev", 100, 0, 1)];
        for id in ids() {
            let mut rollout = Rollout::new(version(), at(0));
            let mut first = None;
            for n in 0..waves.len() {
                begin(&mut rollout, &waves, at(0));
                first = first.or_else(|| admits(&rollout, &id).then_some(n));
                note(&mut rollout, &waves, Facts::default(), at(0));
            }
            assert_eq!(first_wave(&waves, &version(), &id), first);
        }
    }

    #[derive(Clone, Debug)]
    enum Happening {
        Pass(usize, u32),
        Word(bool),
        Restart,
        Edit(Vec<(bool, u8, i64)>),
    }

    fn happening() -> impl Strategy<Value = Happening> {
        let waves = prop::collection::vec((any::<bool>(), 0u8..=100, 0i64..20), 0..4);
        prop_oneof![
            4 => (0usize..2, 0u32..2).prop_map(|(pending, failed)| Happening::Pass(pending, failed)),
            1 => any::<bool>().prop_map(Happening::Word),
            1 => Just(Happening::Restart),
            1 => waves.prop_map(Happening::Edit),
        ]
    }

    proptest! {
        #[test]
        fn shares_only_grow_and_nobody_is_sent_back(
            happenings in prop::collection::vec((1i64..15, happening()), 1..40),
        ) {
            let mut waves = vec![wave("dev", 50, 5, 1), wave("dev", 100, 5, 1), wave("prod", 100, 0, 1)];
            let mut rollout = Rollout::new(version(), at(0));
            let mut now = 0;
            for (seconds, happening) in happenings {
                now += seconds;
                let before = rollout.clone();
                match happening {
                    Happening::Pass(pending, failed) => {
                        note(&mut rollout, &waves, Facts { pending, failed }, at(now));
                        let was = rollout.clone();
                        let began = begin(&mut rollout, &waves, at(now));
                        let due = due(&was, &waves);
                        prop_assert!(!began || due.is_some_and(|due| due <= at(now)));
                        prop_assert!(!began || was.stopped.is_none());
                    }
                    Happening::Word(resume) => {
                        let word = RolloutWord { version: version(), resume, by: "ada".into(), at: at(now) };
                        hear(&mut rollout, &word, Facts::default());
                    }
                    Happening::Restart => {
                        let text = serde_json::to_string(&rollout).unwrap();
                        rollout = serde_json::from_str(&text).unwrap();
                        prop_assert_eq!(&rollout, &before);
                    }
                    Happening::Edit(new) => {
                        let one = |(dev, share, pause)| wave(if dev { "dev" } else { "prod" }, share, pause, 1);
                        waves = new.into_iter().map(one).collect();
                    }
                }
                for (environment, share) in &before.reached {
                    prop_assert!(rollout.reached[environment] >= *share);
                }
                for id in ids() {
                    prop_assert!(!admits(&before, &id) || admits(&rollout, &id), "{} was sent back", id);
                }
                prop_assert!(before.ended.is_none() || rollout == before);
                // Who is over has left nobody of the list behind.
                let is_through = before.ended.is_none() && rollout.ended.is_some() && !rollout.cut;
                prop_assert!(!is_through || left(&rollout, &waves).is_empty());
            }
        }
    }
}
