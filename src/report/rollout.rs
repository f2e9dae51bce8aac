//! What is said of versions on their way.

use std::fmt::Write as _;

use crate::model::{RequestId, Rollout, Rollouts, Wave, escape};
use crate::plan::rollout::{admits, due, left, place};

/// The longest a person's name is shown.
const NAME: usize = 80;

fn count(n: u32, one: &str) -> String {
    format!("{n} {one}{}", if n == 1 { "" } else { "s" })
}

/// Why a rollout goes no further, as a sentence.
pub fn stopped(rollout: &Rollout) -> Option<String> {
    let stopped = rollout.stopped.as_ref()?;
    let version = &rollout.version;
    Some(match &stopped.by {
        Some(by) => format!("the rollout of `{version}` was stopped by {}", escape(by, NAME)),
        None => {
            let failures = count(stopped.failures, "failure");
            format!("the rollout of `{version}` stopped after {failures}")
        }
    })
}

/// Lines of history: kind and words.
pub fn lines(before: &Rollout, now: &Rollout, waves: &[Wave]) -> Vec<(&'static str, String)> {
    let version = &now.version;
    let mut lines = Vec::new();
    if before.stopped.is_some() && now.stopped.is_none() {
        lines.push(("RolloutResumed", format!("the rollout of `{version}` goes on")));
    }
    if let Some(wave) = now.last.as_ref().filter(|_| now.begun > before.begun) {
        let (share, environment) = (wave.share, &wave.environment);
        let which = place(now, waves).map(|n| format!(", wave {} of {}", n + 1, waves.len()));
        let message = format!(
            "`{version}` goes to {share} % of the requests in `{environment}`{}",
            which.unwrap_or_default()
        );
        lines.push(("RolloutWave", message));
    }
    if before.stopped.is_none()
        && let Some(sentence) = stopped(now)
    {
        lines.push(("RolloutStopped", sentence));
    }
    if before.ended.is_none() && now.ended.is_some() {
        lines.push(("RolloutEnded", format!("`{version}` {}", end(now))));
    }
    lines
}

/// How it ended.
fn end(rollout: &Rollout) -> &'static str {
    if rollout.stopped.is_some() || rollout.cut { "goes no further" } else { "is rolled out" }
}

/// `vend catalog rollout`: the open ones first, each with what it waits for.
pub fn overview(rollouts: &Rollouts) -> String {
    let Rollouts { waves, frozen, versions, young } = rollouts;
    let mut text = String::new();
    let (open, ended): (Vec<_>, Vec<_>) = versions.iter().partition(|r| r.is_open());
    if *frozen && !open.is_empty() {
        text.push_str(FROZEN);
    }
    for rollout in open {
        one(rollout, waves, &mut text);
    }
    for rollout in ended {
        let at = rollout.ended.map(|at| format!(" since {at:.0}")).unwrap_or_default();
        let _ = writeln!(text, "{}  {}{at}", rollout.version, end(rollout));
        refused(rollout, &mut text);
    }
    for version in young.iter().filter(|_| !waves.is_empty()) {
        let _ = writeln!(text, "{version}  is published, and goes to nobody until it is stable");
    }
    if text.is_empty() {
        text.push_str(if waves.is_empty() {
            "Nothing is rolled out: the catalog has no `rollout`, so a newer version is taken when a request's file changes.\n"
        } else {
            "Nothing is rolled out: no version has come since the catalog has a `rollout`.\n"
        });
    }
    text
}

const FROZEN: &str =
    "What `catalog.yaml` says of waves cannot be understood: none begins until that is mended.\n";

fn one(rollout: &Rollout, waves: &[Wave], text: &mut String) {
    let Rollout { version, pending, failed, .. } = rollout;
    let (at, left) = (place(rollout, waves), left(rollout, waves));
    let state = if rollout.settled.is_some() { "done" } else { "now" };
    let _ = match (at, &rollout.last) {
        (Some(n), _) => writeln!(text, "{version}  wave {} of {}", n + 1, waves.len()),
        (None, None) => writeln!(text, "{version}  wave 0 of {}", waves.len()),
        (None, Some(last)) => writeln!(
            text,
            "{version}  {} to come\n{}, which is in the list no more",
            count(u32::try_from(left.len()).unwrap_or(u32::MAX), "wave"),
            wave(last, state)
        ),
    };
    for (n, one) in waves.iter().enumerate() {
        let state = match () {
            () if at == Some(n) => state,
            () if left.iter().any(|left| std::ptr::eq(*left, one)) => "later",
            () => "done",
        };
        let _ = writeln!(text, "{}", wave(one, state));
    }
    match stopped(rollout) {
        _ if rollout.absent => {
            text.push_str("  its folder is gone from the catalog: it goes on when that is back\n");
        }
        _ if rollout.lapsed => {
            text.push_str(
                "  it is not stable in the catalog any more: it goes on when it is again\n",
            );
        }
        Some(sentence) => {
            let _ = writeln!(text, "  {sentence}; `vend catalog rollout resume {version}` goes on");
        }
        None => match due(rollout, waves).filter(|_| rollout.settled.is_some()) {
            Some(next) => {
                let _ = writeln!(text, "  the next wave begins at {next:.0}");
            }
            None => {
                let _ = writeln!(text, "  {}", count(*pending, "request") + " to go");
            }
        },
    }
    if *failed > 0 {
        let _ = writeln!(text, "  {} failed with it", count(*failed, "request"));
    }
    refused(rollout, text);
    let unread: Vec<_> = rollout.unread.iter().filter(|id| admits(rollout, id)).collect();
    named(&unread, "cannot be read as it is, and the wave waits for it", text);
}

fn wave(wave: &Wave, state: &str) -> String {
    let Wave { environment, share, pause, stop_after } = wave;
    let pause = if pause.is_zero() { String::new() } else { format!(", then {pause:#} of pause") };
    let limit = count(*stop_after, "failure");
    format!("  {state:<6} {environment} {share} %{pause}, stops after {limit}")
}

/// Requests named; the rest is counted.
const NAMED: usize = 10;

fn refused(rollout: &Rollout, text: &mut String) {
    let refused: Vec<_> = rollout.refused.iter().collect();
    named(&refused, "cannot take it and stays as it is", text);
}

fn named(ids: &[&RequestId], what: &str, text: &mut String) {
    for id in ids.iter().take(NAMED) {
        let _ = writeln!(text, "  {id} {what}");
    }
    let more = ids.len().saturating_sub(NAMED);
    if more > 0 {
        let _ = writeln!(text, "  … and {more} more");
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use insta::assert_snapshot;
    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::model::{Stopped, TemplateId};

    #[test]
    fn a_rollout_says_where_it_stands() {
        let wave = |environment: &str, share, hours| Wave {
            environment: environment.into(),
            share,
            pause: SignedDuration::from_hours(hours),
            stop_after: 3,
        };
        let waves = vec![wave("dev", 100, 1), wave("prod", 10, 24), wave("prod", 100, 0)];
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let mut rollout = Rollout::new(TemplateId::parse("note@1.2.1").unwrap(), at);
        (rollout.begun, rollout.pending, rollout.failed) = (2, 4, 1);
        (rollout.last, rollout.reached) =
            (Some(waves[1].clone()), BTreeMap::from([("dev".into(), 100), ("prod".into(), 10)]));
        let show = |rollout: &Rollout| {
            overview(&Rollouts {
                waves: waves.clone(),
                frozen: false,
                versions: vec![rollout.clone()],
                young: BTreeSet::new(),
            })
        };
        assert_snapshot!(show(&rollout), @"
    note@1.2.1  wave 2 of 3
      done   dev 100 %, then 1h of pause, stops after 3 failures
      now    prod 10 %, then 24h of pause, stops after 3 failures
      later  prod 100 %, stops after 3 failures
      4 requests to go
      1 request failed with it
    ");
        rollout.settled = Some(at);
        assert_snapshot!(show(&rollout), @"
    note@1.2.1  wave 2 of 3
      done   dev 100 %, then 1h of pause, stops after 3 failures
      done   prod 10 %, then 24h of pause, stops after 3 failures
      later  prod 100 %, stops after 3 failures
      the next wave begins at 2027-01-16T08:00:00Z
      1 request failed with it
    ");
        rollout.stopped = Some(Stopped { at, by: None, failures: 3 });
        assert_snapshot!(show(&rollout), @"
    note@1.2.1  wave 2 of 3
      done   dev 100 %, then 1h of pause, stops after 3 failures
      done   prod 10 %, then 24h of pause, stops after 3 failures
      later  prod 100 %, stops after 3 failures
      the rollout of `note@1.2.1` stopped after 3 failures; `vend catalog rollout resume note@1.2.1` goes on
      1 request failed with it
    ");
        (rollout.stopped, rollout.lapsed) = (None, true);
        let last = wave("test", 100, 2);
        assert_snapshot!(show(&Rollout { last: Some(last), ..rollout.clone() }), @"
    note@1.2.1  1 wave to come
      done   test 100 %, then 2h of pause, stops after 3 failures, which is in the list no more
      done   dev 100 %, then 1h of pause, stops after 3 failures
      done   prod 10 %, then 24h of pause, stops after 3 failures
      later  prod 100 %, stops after 3 failures
      it is not stable in the catalog any more: it goes on when it is again
      1 request failed with it
    ");
        (rollout.ended, rollout.cut) = (Some(at), true);
        assert_snapshot!(show(&rollout), @"note@1.2.1  goes no further since 2027-01-15T08:00:00Z");
        assert_snapshot!(overview(&Rollouts::default()), @"Nothing is rolled out: the catalog has no `rollout`, so a newer version is taken when a request's file changes.");
    }
}
