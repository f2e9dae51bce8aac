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
