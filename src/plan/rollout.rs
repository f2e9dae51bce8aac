//! Waves: who is in one, when the next begins, and when all stops.
//!
//! # Guarantees
//! - Shares only grow, whatever the order of passes, restarts, words of people and edits of
//!   `catalog.yaml`; so whoever was let in stays in.
//! - Who is in a share depends on the request and the version alone.
//! - No wave begins before the one before it is through and its pause is over.

use jiff::Timestamp;

use crate::digest;
use crate::model::{RequestId, Rollout, RolloutWord, Stopped, TemplateId, Wave};

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

/// Notes what the last wave has come to: that it failed, or that it is through.
pub fn note(rollout: &mut Rollout, waves: &[Wave], facts: Facts, now: Timestamp) {
    if !rollout.is_open() || rollout.absent {
        return;
    }
    (rollout.pending, rollout.failed) =
        (u32::try_from(facts.pending).unwrap_or(u32::MAX), facts.failed);
    let Some(wave) = last(rollout, waves).filter(|_| rollout.stopped.is_none()) else { return };
    if facts.failed < rollout.forgiven {
        // Those were mended: new ones count again.
        rollout.forgiven = facts.failed;
    }
    let failures = facts.failed - rollout.forgiven;
    if failures >= wave.stop_after.max(1) {
        rollout.stopped = Some(Stopped { at: now, by: None, failures: facts.failed });
        return;
    }
    if facts.pending == 0 {
        rollout.settled.get_or_insert(now);
        if rollout.begun as usize >= waves.len() {
            rollout.ended.get_or_insert(now);
        }
    }
}

/// Begins the next wave, where its time has come; whether it did.
pub fn begin(rollout: &mut Rollout, waves: &[Wave], now: Timestamp) -> bool {
    if !rollout.is_open() || rollout.stopped.is_some() || rollout.absent {
        return false;
    }
    let Some(next) = waves.get(rollout.begun as usize) else {
        // The list of waves became shorter, or was taken away.
        if rollout.begun == 0 || rollout.begun as usize > waves.len() {
            rollout.ended = Some(now);
        }
        return false;
    };
    if due(rollout, waves).is_none_or(|due| due > now) {
        return false;
    }
    let share = rollout.reached.entry(next.environment.clone()).or_default();
    *share = next.share.min(100).max(*share);
    rollout.begun += 1;
    rollout.since = now;
    rollout.settled = None;
    true
}

/// When the next wave may begin; `None` while that depends on something else than time.
pub fn due(rollout: &Rollout, waves: &[Wave]) -> Option<Timestamp> {
    if !rollout.is_open() || rollout.stopped.is_some() || rollout.absent {
        return None;
    }
    if rollout.begun as usize > waves.len() {
        // The list of waves became shorter: there is nothing left to wait for.
        return Some(rollout.since);
    }
    match last(rollout, waves) {
        None => Some(rollout.since),
        Some(wave) => rollout.settled?.checked_add(wave.pause).ok(),
    }
}

/// Nobody is in the wave that began last: there is nothing to pause for.
pub fn skip(rollout: &mut Rollout, waves: &[Wave], now: Timestamp) {
    note(rollout, waves, Facts::default(), now);
    if let (Some(wave), true) = (last(rollout, waves), rollout.is_open()) {
        rollout.settled = now.checked_sub(wave.pause).ok();
    }
}

/// The wave that began last.
fn last<'a>(rollout: &Rollout, waves: &'a [Wave]) -> Option<&'a Wave> {
    waves.get((rollout.begun as usize).checked_sub(1)?)
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;
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
            }
        }
    }
}
