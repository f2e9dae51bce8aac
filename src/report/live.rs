//! What is under way, resource by resource: as a block that is drawn again and again, and as lines
//! for what changed.

use std::cmp::Reverse;

use jiff::{SignedDuration, Timestamp};

use super::log::moment;
use super::pass::{Paint, imperative};
use crate::model::{Applying, RequestPhase, Resource, Status, visible};

/// Characters of a name or state that are shown.
const NAME_MAX: usize = 100;

/// Characters of a reason that are shown.
const REASON_MAX: usize = 2_000;

/// Cells of a bar.
const CELLS: usize = 10;

/// How a block is drawn.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Now.
    pub now: Timestamp,
    /// Columns.
    pub width: usize,
    /// Lines.
    pub rows: usize,
    /// Whether it is coloured.
    pub colour: bool,
}

/// The block: what failed and why first, then what goes on, then what is done, as far as there is
/// room.
pub fn block(applying: &[Applying], frame: Frame) -> Vec<String> {
    let mut targets: Vec<&Applying> = applying.iter().collect();
    targets.sort_by_key(|a| (Reverse(failures(a) > 0), a.since, a.key.clone()));
    let (room, shown) = match frame.rows.saturating_sub(1).max(1) {
        most if targets.len() > most => (most, most),
        _ => (frame.rows, targets.len().max(1)),
    };
    let shown = shown.min(targets.len());
    let each = (room / shown.max(1)).max(1);
    let mut lines = Vec::new();
    for target in &targets[..shown] {
        lines.push(header(target, frame));
        lines.extend(resources(target, each - 1, frame));
    }
    if targets.len() > shown {
        lines.push(format!("… {} more under way", targets.len() - shown));
    }
    lines
}

fn failures(target: &Applying) -> usize {
    target.resources.iter().filter(|r| r.failure.is_some()).count()
}

fn header(target: &Applying, frame: Frame) -> String {
    let Applying { key, action, since, error, resources } = target;
    let word = imperative(*action);
    let time = elapsed(frame.now.duration_since(*since));
    let over = resources.iter().filter(|r| !r.is_busy()).count();
    let bar = match resources.len() {
        0 => String::new(),
        all => {
            let full = over * CELLS / all;
            format!("  [{}{}] {over}/{all}", "#".repeat(full), ".".repeat(CELLS - full))
        }
    };
    let error = error.as_ref().map(|e| format!("  outcome unknown: {}", visible(e, REASON_MAX)));
    let line = format!("{key}  {word}{bar}  {time}{}", error.unwrap_or_default());
    Paint(frame.colour).bold(&cut(&line, frame.width))
}

fn resources(target: &Applying, rows: usize, frame: Frame) -> Vec<String> {
    let mut list: Vec<&Resource> = target.resources.iter().collect();
    list.sort_by_key(|r| match (&r.failure, r.is_busy()) {
        // The first failure is the cause of the others.
        (Some(failure), _) => (0, failure.at.as_nanosecond()),
        (None, true) => (1, r.since.as_nanosecond()),
        (None, false) => (2, -r.since.as_nanosecond()),
    });
    let shown = if list.len() > rows { rows.saturating_sub(1) } else { list.len() };
    let (list, rest) = list.split_at(shown);
    let longest = |text: fn(&Resource) -> &str| {
        list.iter().map(|r| visible(text(r), NAME_MAX).chars().count()).max().unwrap_or_default()
    };
    let names = longest(|r| &r.what);
    let kinds = longest(kind);
    let mut lines: Vec<String> = list.iter().map(|r| resource(r, names, kinds, frame)).collect();
    if rows > 0 && !rest.is_empty() {
        lines.push(format!("  … {} more", rest.len()));
    }
    lines
}

fn resource(resource: &Resource, names: usize, kinds: usize, frame: Frame) -> String {
    let name = visible(&resource.what, NAME_MAX);
    let kind = visible(kind(resource), NAME_MAX);
    let time = elapsed(frame.now.duration_since(resource.since));
    let what = words(resource, &time);
    let line = format!("  {name:<names$}  {kind:<kinds$}  {what}");
    let line = cut(line.trim_end(), frame.width);
    let paint = Paint(frame.colour);
    match (&resource.failure, resource.is_busy()) {
        (Some(_), _) => paint.red(&line),
        (None, true) => line,
        (None, false) => paint.dim(&line),
    }
}

/// What is said of a resource: its failure before its state.
fn words(resource: &Resource, time: &str) -> String {
    let state = visible(&resource.state, NAME_MAX);
    let Some(failure) = &resource.failure else { return format!("{state}  {time}") };
    let failed = visible(&failure.state, NAME_MAX);
    let reason = failure.message.iter().map(|m| format!(": {}", visible(m, REASON_MAX)));
    let reason: String = reason.collect();
    if failure.state == resource.state {
        format!("{failed}{reason}  {time}")
    } else {
        format!("{failed}{reason} (now {state}  {time})")
    }
}

fn kind(resource: &Resource) -> &str {
    resource.kind.as_deref().unwrap_or_default()
}

fn cut(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.to_owned();
    }
    let kept: String = line.chars().take(width.saturating_sub(1)).collect();
    kept + "…"
}

/// A length of time in its two largest units.
pub(super) fn elapsed(time: SignedDuration) -> String {
    // A provider's clock may be ahead.
    let seconds = time.as_secs().max(0);
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m {s:02}s"),
        (h, m, _) => format!("{h}h {m:02}m"),
    }
}

/// What changed from `before` to `now`, as lines without colour: failures first.
pub fn changes(before: &[Applying], now: &[Applying]) -> Vec<String> {
    let mut lines = Vec::new();
    for target in now {
        let known = before.iter().find(|b| b.key == target.key && b.since == target.since);
        if known.is_none() {
            let word = imperative(target.action);
            lines.push((false, format!("{}  {word}  since {}", target.key, moment(target.since))));
        }
        for resource in &target.resources {
            let known = known.and_then(|k| k.resources.iter().find(|r| r.what == resource.what));
            if known.is_some_and(|k| k.state == resource.state && k.failure == resource.failure) {
                continue;
            }
            let told = known.is_some_and(|k| k.failure == resource.failure);
            let plain = Resource { failure: None, ..resource.clone() };
            let about = if told { &plain } else { resource };
            let since = format!("since {}", moment(resource.since));
            let kind = resource.kind.iter().map(|k| format!(" ({})", visible(k, NAME_MAX)));
            let name = visible(&resource.what, NAME_MAX) + &kind.collect::<String>();
            let line = format!("{}  {name}  {}", target.key, words(about, &since));
            lines.push((about.failure.is_some(), line));
        }
    }
    lines.sort_by_key(|(failed, _)| !failed);
    lines.into_iter().map(|(_, line)| line).collect()
}

/// What a request gives, below the line that says that it is ready.
pub fn outputs(status: &Status) -> Vec<String> {
    if status.phase != RequestPhase::Ready {
        return Vec::new();
    }
    let shown = status.outputs.iter().map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        format!("  {} = {}", visible(name, NAME_MAX), visible(&text, REASON_MAX))
    });
    shown.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, ComponentName, Happening, RequestId, TargetKey};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn applying(name: &str, since: i64, happenings: &[(i64, &str, &str, &str)]) -> Applying {
        let request = RequestId::new("orders", "dev", name).unwrap();
        let key = TargetKey { request, component: ComponentName::new("queue") };
        let mut applying = Applying::new(key, Action::Update, at(since));
        for (second, what, state, message) in happenings {
            applying.hear(&Happening {
                at: at(*second),
                what: (*what).into(),
                kind: Some("AWS::SQS::Queue".into()),
                state: (*state).into(),
                message: (!message.is_empty()).then(|| (*message).into()),
            });
        }
        applying
    }

    fn frame(rows: usize, width: usize) -> Frame {
        Frame { now: at(75), width, rows, colour: false }
    }

    const STORY: [(i64, &str, &str, &str); 7] = [
        (1, "DeadLetters", "CREATE_IN_PROGRESS", ""),
        (2, "DeadLetters", "CREATE_COMPLETE", ""),
        (3, "Queue", "CREATE_IN_PROGRESS", ""),
        (4, "Alarm", "CREATE_IN_PROGRESS", ""),
        (5, "Queue", "CREATE_FAILED", "the name is taken"),
        (6, "Alarm", "CREATE_FAILED", "Resource creation cancelled"),
        (7, "Queue", "DELETE_IN_PROGRESS", ""),
    ];

    #[test]
    fn the_cause_comes_first() {
        let story = [applying("events", 0, &STORY)];
        insta::assert_snapshot!(block(&story, frame(20, 100)).join("\n"), @r"
        orders/dev/events#queue  update  [######....] 2/3  1m 15s
          Queue        AWS::SQS::Queue  CREATE_FAILED: the name is taken (now DELETE_IN_PROGRESS  1m 08s)
          Alarm        AWS::SQS::Queue  CREATE_FAILED: Resource creation cancelled  1m 09s
          DeadLetters  AWS::SQS::Queue  CREATE_COMPLETE  1m 13s
        ");
        insta::assert_snapshot!(block(&story, frame(3, 60)).join("\n"), @r"
        orders/dev/events#queue  update  [######....] 2/3  1m 15s
          Queue  AWS::SQS::Queue  CREATE_FAILED: the name is taken …
          … 2 more
        ");
    }

    #[test]
    fn a_block_fits_its_frame_whatever_is_under_way() {
        let many: Vec<Applying> =
            (0..40).map(|n| applying(&format!("n{n}"), n, &STORY[..(n as usize) % 7])).collect();
        for rows in 1..60 {
            let lines = block(&many, frame(rows, 50));
            assert!(lines.len() <= rows.max(2), "{rows}: {}", lines.len());
            assert!(lines.iter().all(|line| line.chars().count() <= 50));
        }
        assert!(block(&[], frame(20, 80)).is_empty());
        let lost = Applying { error: Some("reset\u{1b}[2J".into()), ..applying("x", 70, &[]) };
        insta::assert_snapshot!(
            block(&[lost], frame(20, 90)).join("\n"),
            @r"orders/dev/x#queue  update  5s  outcome unknown: reset\u{1B}[2J"
        );
    }

    #[test]
    fn only_what_changed_is_told() {
        let story = |n: usize| [applying("events", 0, &STORY[..n])];
        insta::assert_snapshot!(changes(&[], &story(1)).join("\n"), @r"
        orders/dev/events#queue  update  since 2027-01-15T08:00:00Z
        orders/dev/events#queue  DeadLetters (AWS::SQS::Queue)  CREATE_IN_PROGRESS  since 2027-01-15T08:00:01Z
        ");
        insta::assert_snapshot!(changes(&story(4), &story(5)).join("\n"), @r"
        orders/dev/events#queue  Queue (AWS::SQS::Queue)  CREATE_FAILED: the name is taken  since 2027-01-15T08:00:05Z
        ");
        insta::assert_snapshot!(changes(&story(6), &story(7)).join("\n"), @r"
        orders/dev/events#queue  Queue (AWS::SQS::Queue)  DELETE_IN_PROGRESS  since 2027-01-15T08:00:07Z
        ");
        assert!(changes(&story(7), &story(7)).is_empty());
        assert!(changes(&story(7), &[]).is_empty());
    }
}
