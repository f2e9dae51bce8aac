//! A later end for a request: the edit of its file that says so.

use jiff::Timestamp;

use crate::model::{Length, Life, Lifetime, Term};
use crate::yaml::Edit;

/// A request that lives longer.
#[derive(Clone, PartialEq, Debug)]
pub struct Extension {
    /// What is edited.
    pub edit: Edit,
    /// The line that the file says then.
    pub line: String,
    /// When it ended before; `None`: that long after it is first applied.
    pub was: Option<Timestamp>,
    /// When it ends then.
    pub ends: Option<Timestamp>,
}

/// Why a request does not live longer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotLonger {
    /// It has no end.
    Endless,
    /// That is longer than its template allows.
    TooLong {
        /// What it allows.
        max: Length,
        /// When that is over, where its life has begun.
        until: Option<Timestamp>,
    },
}

/// The edit with which a request ends that much later than it would: from its end on, or from now
/// where that has passed. `lifetime` is what it asks for, and `life` what it has, if it was applied.
///
/// # Errors
/// When there is nothing to extend, or it would be too long.
pub fn extend(
    lifetime: Option<&Lifetime>,
    life: Option<&Life>,
    by: Length,
    now: Timestamp,
) -> Result<Extension, NotLonger> {
    let lifetime = lifetime.ok_or(NotLonger::Endless)?;
    let after =
        |at: Timestamp, length: Length| at.checked_add(length.duration()).unwrap_or(Timestamp::MAX);
    let begun = life.is_some();
    let now_life = Life::of(lifetime, life, now, jiff::SignedDuration::ZERO);
    let Life { since, ends, .. } = now_life;
    let max = lifetime.max;
    let too_long =
        |max: Length| Err(NotLonger::TooLong { max, until: begun.then(|| after(since, max)) });
    match lifetime.term {
        Term::Until(_) => {
            let until = after(ends.max(now), by);
            let until = Timestamp::from_second(until.as_second()).unwrap_or(until);
            if let Some(max) = max.filter(|max| until > after(since, *max)) {
                return too_long(max);
            }
            let text = until.to_string();
            let line = format!("expiresAt: \"{text}\"");
            let edit = Edit::put("/spec/expiresAt", text);
            Ok(Extension { edit, line, was: Some(ends), ends: Some(until) })
        }
        Term::For(length) => {
            let is_over = begun && ends <= now;
            let longer = match is_over {
                true => Length::reaching(since, after(now, by)).unwrap_or(Length::MOST),
                false => length.and(by),
            };
            if let Some(max) = max.filter(|max| longer > *max) {
                return too_long(max);
            }
            let edit = Edit::put("/spec/ttl", longer.to_string());
            let line = format!("ttl: {longer}");
            let (was, then) = (begun.then_some(ends), begun.then(|| after(since, longer)));
            Ok(Extension { edit, line, was, ends: then })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 86_400;

    fn at(days: i64) -> Timestamp {
        Timestamp::from_second(days * DAY).unwrap()
    }

    fn length(text: &str) -> Length {
        Length::parse(text).unwrap()
    }

    /// What extends a life that began at zero, by so much, at a day.
    fn said(term: Term, max: Option<&str>, by: &str, day: i64) -> String {
        let lifetime = Lifetime { term, max: max.map(length), imposed: false };
        let life = Life::of(&lifetime, None, at(0), jiff::SignedDuration::ZERO);
        match extend(Some(&lifetime), Some(&life), length(by), at(day)) {
            Ok(Extension { line, ends, .. }) => format!("{line}: {}", ends.unwrap()),
            Err(NotLonger::TooLong { max, until }) => format!("{max}, {}", until.unwrap()),
            Err(NotLonger::Endless) => "no end".into(),
        }
    }

    #[test]
    fn it_lives_longer_from_its_end_or_from_now_and_no_longer_than_it_may() {
        let two_weeks = Term::For(length("14d"));
        assert_eq!(said(two_weeks, None, "7d", 3), "ttl: 21d: 1970-01-22T00:00:00Z");
        assert_eq!(said(two_weeks, Some("21d"), "7d", 3), "ttl: 21d: 1970-01-22T00:00:00Z");
        assert_eq!(said(two_weeks, Some("20d"), "7d", 3), "20d, 1970-01-21T00:00:00Z");
        // Over for six days already: a week from now.
        assert_eq!(said(two_weeks, None, "7d", 20), "ttl: 27d: 1970-01-28T00:00:00Z");
        assert_eq!(said(two_weeks, None, "36500d", 3), "ttl: 36500d: 2069-12-07T00:00:00Z");
        // Seventeen days and half a minute in seconds would be seven digits.
        assert_eq!(
            said(Term::For(length("17d")), None, "30s", 3),
            "ttl: 24481m: 1970-01-18T00:01:00Z"
        );
        let until = Term::Until(at(14));
        let later = "expiresAt: \"1970-01-22T00:00:00Z\": 1970-01-22T00:00:00Z";
        assert_eq!(said(until, None, "7d", 3), later);
        assert_eq!(said(until, Some("20d"), "7d", 3), "20d, 1970-01-21T00:00:00Z");
        assert_eq!(extend(None, None, length("7d"), at(0)), Err(NotLonger::Endless));
    }

    #[test]
    fn what_was_never_applied_is_given_more_and_no_moment() {
        let lifetime = Lifetime { term: Term::For(length("14d")), max: None, imposed: true };
        let extension = extend(Some(&lifetime), None, length("1w"), at(3)).unwrap();
        assert_eq!((extension.line.as_str(), extension.ends), ("ttl: 21d", None));
    }
}
