//! The first lines of `vend status`: whether vend works, what needs somebody, and what to do next.

use jiff::Timestamp;

use super::log::moment;
use super::pass::{Paint, imperative};
use crate::model::{Applying, Attention, Failing, One, Pulse, Several, escape, visible};

/// Characters of an error that are shown.
const ERROR_MAX: usize = 300;

/// What is known of the daemon.
#[derive(Clone, Copy, Debug)]
pub enum Daemon<'a> {
    /// It answered.
    Answers(&'a Pulse),
    /// None answers where one would.
    Silent,
    /// Nobody asked: these are a working copy's.
    Unasked,
}

/// A line for each thing, and none for what is as it should be.
pub fn lines(
    daemon: Daemon<'_>,
    attention: &Attention,
    applying: &[Applying],
    now: Timestamp,
    colour: bool,
) -> String {
    let paint = Paint(colour);
    let mut out = vend(daemon, now, &paint);
    let Attention { failed, held, unseen, drifted } = attention;
    out.extend(several("failed", failed, now).map(|text| paint_first(&paint, true, &text)));
    out.extend(several("held", held, now).map(|text| paint_first(&paint, false, &text)));
    out.extend(several("unseen", unseen, now).map(|text| paint_first(&paint, false, &text)));
    out.extend(several("drifted", drifted, now).map(|text| paint_first(&paint, false, &text)));
    if let Some(oldest) = applying.iter().min_by_key(|one| one.since) {
        let what = imperative(oldest.action);
        let since = for_how_long(oldest.since, now);
        let more = match applying.len() {
            1 => String::new(),
            n => format!("{n} changes; the oldest: "),
        };
        let error = oldest.error.as_ref();
        let error = error.map(|error| format!(": {}", visible(error, ERROR_MAX)));
        let text = format!(
            "under way {more}{what} {}, for {since}{}",
            oldest.key,
            error.unwrap_or_default()
        );
        out.push(paint_words(&paint, 2, &text));
    }
    out.into_iter().map(|line| line + "\n").collect()
}

fn vend(daemon: Daemon<'_>, now: Timestamp, paint: &Paint) -> Vec<String> {
    let word = "vend";
    let pulse = match daemon {
        Daemon::Unasked => return Vec::new(),
        Daemon::Silent => {
            let text = "no daemon answers here, so the store is read; where one should run: \
                        `systemctl status vend`";
            return vec![format!("{} {text}", paint.red(word))];
        }
        Daemon::Answers(pulse) => pulse,
    };
    let Pulse { leading_since, passed, seconds, failing, unpublished } = pulse;
    let since = leading_since.map(|at| format!("holds the lease since {}", moment(at)));
    let last = match passed {
        Some(at) => format!("the last pass ended well {} and took {seconds:.1} s", ago(*at, now)),
        None => "no pass has ended well yet".to_owned(),
    };
    let text = since.into_iter().chain([last]).collect::<Vec<_>>().join("; ");
    let painted = if failing.is_some() { paint.red(word) } else { paint.green(word) };
    let mut out = vec![format!("{painted} {text}")];
    if let Some(Failing { since, times, error }) = failing {
        let times = if *times == 1 { "a pass".to_owned() } else { format!("{times} passes") };
        let since = for_how_long(*since, now);
        out.push(format!(
            "{} {times} could not be made, for {since}: {}",
            paint.red("passes"),
            visible(error, ERROR_MAX)
        ));
    }
    if let Some((since, error)) = unpublished {
        out.push(format!(
            "{} the status branch could not be written for {}; applies go on: {}",
            paint.yellow("publishing"),
            for_how_long(*since, now),
            visible(error, ERROR_MAX)
        ));
    }
    out
}

fn several(word: &str, of: &Several, now: Timestamp) -> Option<String> {
    let Several { count, first } = of;
    let begin = first.first()?;
    let each = |one: &One| {
        let since = one.since.map(|at| format!(" for {}", for_how_long(at, now)));
        let why = visible(&one.why, ERROR_MAX);
        format!("{} ({why}{})", one.request, since.unwrap_or_default())
    };
    let names: Vec<String> = first.iter().map(each).collect();
    let more = count.saturating_sub(first.len());
    let more = if more == 0 { String::new() } else { format!(" and {more} more") };
    let what = match (word, *count) {
        ("failed", 1) => "the last try of".to_owned(),
        ("failed", n) => format!("the last tries of {n} requests:"),
        ("held", 1) => "until somebody acts:".to_owned(),
        ("held", n) => format!("{n} until somebody acts, the oldest first:"),
        ("unseen", 1) => "its provider could not be asked about".to_owned(),
        ("unseen", n) => format!("providers could not be asked about {n}:"),
        (_, 1) => "somebody changed".to_owned(),
        (_, n) => format!("somebody changed {n}:"),
    };
    let next = escape(begin.request.as_str(), ERROR_MAX);
    Some(format!("{word} {what} {}{more}; `vend explain {next}`", names.join(", ")))
}

fn paint_first(paint: &Paint, is_bad: bool, text: &str) -> String {
    match text.split_once(' ') {
        Some((word, rest)) if is_bad => format!("{} {rest}", paint.red(word)),
        Some((word, rest)) => format!("{} {rest}", paint.yellow(word)),
        None => text.to_owned(),
    }
}

fn paint_words(paint: &Paint, words: usize, text: &str) -> String {
    let parts: Vec<&str> = text.splitn(words + 1, ' ').collect();
    match parts.split_last() {
        Some((rest, first)) if first.len() == words => {
            format!("{} {rest}", paint.yellow(&first.join(" ")))
        }
        _ => text.to_owned(),
    }
}

fn ago(at: Timestamp, now: Timestamp) -> String {
    format!("{} ago", for_how_long(at, now))
}

/// In the two largest units of which there is one.
fn for_how_long(at: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(at.as_second()).max(0);
    let (large, n, small, m) = match seconds {
        ..60 => return format!("{seconds} s"),
        60..3_600 => ("min", seconds / 60, "s", seconds % 60),
        3_600..86_400 => ("h", seconds / 3_600, "min", seconds % 3_600 / 60),
        86_400.. => ("d", seconds / 86_400, "h", seconds % 86_400 / 3_600),
    };
    if m == 0 { format!("{n} {large}") } else { format!("{n} {large} {m} {small}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RequestId;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn one(name: &str, why: &str, since: Option<&str>) -> One {
        let request = RequestId::new("orders", "dev", name).unwrap();
        One { request, why: why.into(), since: since.map(at) }
    }

    #[test]
    fn whoever_is_on_call_reads_first_what_they_ask_first() {
        let now = at("2026-11-20T10:00:00Z");
        let pulse = Pulse {
            leading_since: Some(at("2026-11-19T08:00:00Z")),
            passed: Some(at("2026-11-20T09:59:48Z")),
            seconds: 0.74,
            ..Pulse::default()
        };
        let fine = lines(Daemon::Answers(&pulse), &Attention::default(), &[], now, false);
        insta::assert_snapshot!(fine, @"vend holds the lease since 2026-11-19T08:00:00Z; the last pass ended well 12 s ago and took 0.7 s");
        let attention = Attention {
            failed: Several { count: 1, first: vec![one("a", "the name is taken\u{1b}[2J", None)] },
            held: Several {
                count: 7,
                first: vec![
                    one("b", "NeedsApproval", Some("2026-11-16T04:00:00Z")),
                    one("c", "Invalid", Some("2026-11-20T09:00:00Z")),
                ],
            },
            ..Attention::default()
        };
        let failing = Pulse {
            failing: Some(Failing {
                since: at("2026-11-20T09:58:30Z"),
                times: 3,
                error: "the store: the disk is full".into(),
            }),
            unpublished: Some((at("2026-11-20T09:00:00Z"), "the server refuses".into())),
            ..pulse
        };
        let bad = lines(Daemon::Answers(&failing), &attention, &[], now, false);
        insta::assert_snapshot!(bad, @r"
        vend holds the lease since 2026-11-19T08:00:00Z; the last pass ended well 12 s ago and took 0.7 s
        passes 3 passes could not be made, for 1 min 30 s: the store: the disk is full
        publishing the status branch could not be written for 1 h; applies go on: the server refuses
        failed the last try of orders/dev/a (the name is taken\u{1B}[2J); `vend explain orders/dev/a`
        held 7 until somebody acts, the oldest first: orders/dev/b (NeedsApproval for 4 d 6 h), orders/dev/c (Invalid for 1 h) and 5 more; `vend explain orders/dev/b`
        ");
        let none = lines(Daemon::Unasked, &Attention::default(), &[], now, false);
        assert_eq!(none, "");
    }
}
