//! Ends in words: when a request ends, that it soon does, and the commit that removes its file.

use jiff::{SignedDuration, Timestamp};

use super::hold::time;
use super::markdown::code;
use crate::catalog::{Extension, NotLonger};
use crate::model::{Condition, Length, Life, NewEnd, RequestId, Status, Term, escape};

/// The type of the condition that tells of an end.
pub const CONDITION: &str = "Expiry";

/// Its reason once a warning has come.
const SOON: &str = "ExpiresSoon";

/// Its reason once the end has.
const OVER: &str = "Expired";

/// Status, reason and message of the condition of a request that ends then.
pub fn condition(
    ends: Timestamp,
    warn: &[SignedDuration],
    now: Timestamp,
) -> (&'static str, &'static str, String) {
    let at = time(ends);
    if ends <= now {
        return ("True", OVER, format!("its time was over at {at}"));
    }
    match Life::warned(ends, warn, now).checked_sub(1).and_then(|n| warn.get(n)) {
        None => ("False", "Expiring", format!("it ends at {at}")),
        Some(before) => {
            let left = Length::of_seconds(before.as_secs()).map(|left| left.to_string());
            let left = left.unwrap_or_else(|| format!("{before:#}"));
            let message = format!("it ends at {at}, in less than {left}; extend it, or let it go");
            ("False", SOON, message)
        }
    }
}

/// What is said of an end in a status, if it has one.
pub fn said(status: &Status) -> Option<&Condition> {
    status.conditions.iter().find(|condition| condition.kind == CONDITION)
}

/// What is said of an end, once it is near.
pub fn warning(status: &Status) -> Option<&Condition> {
    said(status).filter(|condition| condition.reason != "Expiring")
}

/// The warning that a status brings, when it is news.
pub fn news<'a>(status: &'a Status, before: Option<&Status>) -> Option<&'a Condition> {
    let now = said(status).filter(|condition| condition.reason == SOON)?;
    let known = before.and_then(said);
    known.is_none_or(|known| known.message != now.message).then_some(now)
}

/// A term in words: when what has it ends.
pub fn term(term: Term) -> String {
    match term {
        Term::For(length) => format!("it ends {length} after it was first applied"),
        Term::Until(until) => format!("it ends at {}", time(until)),
    }
}

/// Another end in words.
pub fn new_end(end: &NewEnd) -> String {
    let NewEnd { was, ends } = end;
    let ends = match ends {
        Some(Term::Until(ends)) => format!("ends at {}", time(*ends)),
        Some(Term::For(length)) => format!("ends {length} after this is applied"),
        None => "has no end any more".into(),
    };
    match was {
        Some(was) => format!("{ends} instead of {}", time(*was)),
        None => format!("{ends}, and had no end"),
    }
}

/// What a later end comes to, for people.
pub fn extended(id: &RequestId, path: &str, extension: &Extension, is_dry: bool) -> String {
    let Extension { edit: _, line, was, ends } = extension;
    let says = if is_dry { "would say" } else { "says" };
    let end = match ends {
        Some(ends) => format!("it ends at {}", time(*ends)),
        None => "that long after it is first applied".into(),
    };
    let before = was.map(|was| format!(", and not at {}", time(was))).unwrap_or_default();
    let path = escape(path, 200);
    let next = if is_dry { "" } else { "\nCommit it: it counts once it is on the branch." };
    format!("{id}: {path} {says} `{line}`: {end}{before}.{next}")
}

/// The edit that gives a request a later end, for whoever asked for it.
pub fn suggestion(id: &RequestId, path: &str, by: Length, extension: &Extension) -> String {
    let Extension { edit: _, line, was: _, ends } = extension;
    let end = match ends {
        Some(ends) => format!("it ends at {} then", time(*ends)),
        None => "it ends that long after it is first applied".into(),
    };
    let path = escape(path, 200);
    format!(
        "{id}: write `{line}` below `spec` in {path}, and {end}; `vend extend {id} {by}` does so in a clone. \
         It counts once that is on the branch."
    )
}

/// Why it does not live longer, for people.
pub fn not_longer(id: &RequestId, why: &NotLonger) -> String {
    match why {
        NotLonger::Endless => format!("`{id}` has no end that could come later"),
        NotLonger::TooLong { max, until: None } => {
            format!("`{id}` may live for {max}, as its template has it")
        }
        NotLonger::TooLong { max, until: Some(until) } => {
            format!("`{id}` may live for {max}, as its template has it: until {}", time(*until))
        }
    }
}

/// The title of a pull request that removes the file of a request.
pub fn title(id: &RequestId) -> String {
    format!("Remove {id}, whose time is over")
}

/// The title of the issue that warns of an end.
pub fn issue_title(id: &RequestId) -> String {
    format!("{id} will end soon")
}

/// A warning of an end, `before` it, in Markdown. It is the same whenever it is said. Commands are heard on
/// pull requests alone.
pub fn warned(
    id: &RequestId,
    ends: Timestamp,
    before: SignedDuration,
    is_pull: bool,
    marker: &str,
) -> String {
    let left = Length::of_seconds(before.as_secs()).map(|left| left.to_string());
    let left = left.unwrap_or_else(|| format!("{before:#}"));
    let how = match is_pull {
        true => format!("{} says how", code(&format!("/vend extend {id} 7d"))),
        false => format!("{} does so in a clone", code(&format!("vend extend {id} 7d"))),
    };
    format!(
        "{marker}\n**Ends soon**: {} ends at {}, in less than {left}.\n\nTo keep it, give it a later end in \
         its file: {how}. To let it go, do nothing.\n",
        code(&id.to_string()),
        time(ends),
    )
}

/// What such a pull request says, in Markdown.
pub fn proposal(id: &RequestId, path: &str, since: Timestamp) -> String {
    format!(
        "The time of {id} was over at {}. Merging this removes {path}; what it made is deleted after that, as the plan in the comment has it.\n\nTo keep it, give it a later end in its file (`vend extend ID 7d` does so in a clone): this is closed then. Closed by a person, it is not opened again for that end, and the request waits as it is.\n",
        time(since),
        id = code(&id.to_string()),
        path = code(path),
    )
}

/// The message of the commit that removes the files of these requests.
pub fn message(over: &[(&RequestId, Timestamp)]) -> String {
    let title = match over {
        [(id, _)] => self::title(id),
        many => format!("Remove {} requests whose time is over", many.len()),
    };
    let lines = over.iter().map(|(id, since)| format!("- {id} ended at {}\n", time(*since)));
    let lines: String = lines.collect();
    format!(
        "{title}\n\n{lines}\nWhat they made is deleted once this is read. To keep one, put its file \
         back with a later end.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_is_said_in_stages() {
        let warn = [72, 24].map(SignedDuration::from_hours);
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap();
        let said = |now| {
            let (status, reason, message) = condition(at(100), &warn, at(now));
            format!("{status} {reason}: {message}")
        };
        let all = [0, 28, 76, 100].map(said).join("\n");
        insta::assert_snapshot!(all, @"
        False Expiring: it ends at 2027-01-19 12:00:00 UTC
        False ExpiresSoon: it ends at 2027-01-19 12:00:00 UTC, in less than 3d; extend it, or let it go
        False ExpiresSoon: it ends at 2027-01-19 12:00:00 UTC, in less than 1d; extend it, or let it go
        True Expired: its time was over at 2027-01-19 12:00:00 UTC
        ");
    }

    #[test]
    fn a_warning_says_where_it_is_answered() {
        let id = RequestId::new("orders", "dev", "one").unwrap();
        let ends = Timestamp::from_second(1_800_000_000).unwrap();
        let said =
            |is_pull| warned(&id, ends, SignedDuration::from_hours(72), is_pull, "<!-- m -->");
        insta::assert_snapshot!([said(true), said(false)].join("---\n"), @"
        <!-- m -->
        **Ends soon**: `orders/dev/one` ends at 2027-01-15 08:00:00 UTC, in less than 3d.

        To keep it, give it a later end in its file: `/vend extend orders/dev/one 7d` says how. To let it go, do nothing.
        ---
        <!-- m -->
        **Ends soon**: `orders/dev/one` ends at 2027-01-15 08:00:00 UTC, in less than 3d.

        To keep it, give it a later end in its file: `vend extend orders/dev/one 7d` does so in a clone. To let it go, do nothing.
        ");
    }

    #[test]
    fn another_end_is_said_with_the_one_before() {
        let at = |hours: i64| Timestamp::from_second(1_800_000_000 + hours * 3_600).unwrap();
        let said = |was: Option<i64>, ends| new_end(&NewEnd { was: was.map(at), ends });
        let week = Term::For(Length::parse("7d").unwrap());
        let all =
            [said(Some(1), Some(Term::Until(at(25)))), said(None, Some(week)), said(Some(1), None)];
        insta::assert_snapshot!(all.join("\n"), @"
        ends at 2027-01-16 09:00:00 UTC instead of 2027-01-15 09:00:00 UTC
        ends 7d after this is applied, and had no end
        has no end any more instead of 2027-01-15 09:00:00 UTC
        ");
    }

    #[test]
    fn a_commit_names_what_it_removes() {
        let id = |name| RequestId::new("orders", "dev", name).unwrap();
        let at = Timestamp::from_second(1_800_000_000).unwrap();
        let (one, two) = (id("one"), id("two"));
        insta::assert_snapshot!(message(&[(&one, at)]), @"
        Remove orders/dev/one, whose time is over

        - orders/dev/one ended at 2027-01-15 08:00:00 UTC

        What they made is deleted once this is read. To keep one, put its file back with a later end.
        ");
        insta::assert_snapshot!(message(&[(&one, at), (&two, at)]), @"
        Remove 2 requests whose time is over

        - orders/dev/one ended at 2027-01-15 08:00:00 UTC
        - orders/dev/two ended at 2027-01-15 08:00:00 UTC

        What they made is deleted once this is read. To keep one, put its file back with a later end.
        ");
    }
}
