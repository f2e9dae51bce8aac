//! How long a request lives, and when it ends.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// A length of time as people write it: a whole number and `s`, `m`, `h`, `d` or `w`, a day being
/// 24 hours and a week seven of those. Never nothing, and never more than [`Length::MOST`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Length(i64);

/// Units with their seconds, the longest first; a length is shown in days rather than in weeks.
const UNITS: [(&str, i64); 5] =
    [("w", 7 * 86_400), ("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)];

/// The largest number that the schemas of files let them say.
const LARGEST: i64 = 999_999;

impl Length {
    /// A hundred years: whoever asks for more means no end.
    pub const MOST: Self = Self(36_500 * 86_400);

    /// Reads one; `None` for what is none, for nothing, and for more than [`Length::MOST`].
    pub fn parse(text: &str) -> Option<Self> {
        let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let (_, seconds) = UNITS.into_iter().find(|(name, _)| *name == unit)?;
        Self::of_seconds(number.parse::<i64>().ok()?.checked_mul(seconds)?)
    }

    /// So many seconds, where that is a length.
    pub fn of_seconds(seconds: i64) -> Option<Self> {
        (1..=Self::MOST.0).contains(&seconds).then_some(Self(seconds))
    }

    /// The shortest whole number of hours from `since` that reaches `until`.
    pub fn reaching(since: Timestamp, until: Timestamp) -> Option<Self> {
        let seconds = until.duration_since(since).as_secs();
        Self::of_seconds(seconds.checked_add(3_599)?.div_euclid(3_600).checked_mul(3_600)?)
    }

    /// As a duration.
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_secs(self.0)
    }

    /// Both together, at most [`Length::MOST`]; rounded up to what a file can say.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        let whole = (self.0 + other.0).min(Self::MOST.0);
        let units = |unit: i64| (whole + unit - 1) / unit;
        // A hundred years are fewer hours than that.
        let unit = [1, 60].into_iter().find(|unit| units(*unit) <= LARGEST).unwrap_or(3_600);
        Self(units(unit) * unit)
    }
}

impl std::fmt::Display for Length {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let whole = |(_, seconds): &&(&str, i64)| self.0 % seconds == 0;
        let (unit, seconds) = UNITS[1..].iter().find(whole).unwrap_or(&("s", 1));
        write!(f, "{}{unit}", self.0 / seconds)
    }
}

impl TryFrom<String> for Length {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| format!("`{text}` is no length of time"))
    }
}

impl From<Length> for String {
    fn from(length: Length) -> Self {
        length.to_string()
    }
}

/// How long a request is asked to live.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Lifetime {
    /// Until when.
    pub term: Term,
    /// What its template allows at most there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<Length>,
    /// The template says so, and not the request.
    #[serde(default)]
    pub imposed: bool,
}

/// Until when a request lives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Term {
    /// That long from when its life began.
    For(Length),
    /// Until then.
    Until(Timestamp),
}

/// The life of a request that was applied.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Life {
    /// What it was asked for.
    pub lifetime: Lifetime,
    /// When it was first applied with an end. No change of it begins its life anew.
    pub since: Timestamp,
    /// When it ends.
    pub ends: Timestamp,
}

impl Life {
    /// The life of a request that asks for `lifetime`, given the one that it has.
    ///
    /// An end that nobody asked for by name, since it is the template's, comes no sooner than `grace`
    /// from when it became known: a template that grows stricter takes nothing away unwarned.
    pub fn of(
        lifetime: &Lifetime,
        known: Option<&Self>,
        now: Timestamp,
        grace: SignedDuration,
    ) -> Self {
        if let Some(known) = known.filter(|known| known.lifetime == *lifetime) {
            return known.clone();
        }
        // People read it: whole seconds are enough.
        let begun = Timestamp::from_second(now.as_second()).unwrap_or(now);
        let since = known.map_or(begun, |known| known.since);
        let after = |from: Timestamp, length: SignedDuration| {
            from.checked_add(length).unwrap_or(Timestamp::MAX)
        };
        let Lifetime { term, max, imposed } = lifetime;
        let (asked, length) = match term {
            Term::For(length) => (after(since, length.duration()), length.duration()),
            Term::Until(until) => (*until, until.duration_since(since)),
        };
        let most = max.map_or(Timestamp::MAX, |max| after(since, max.duration()));
        let ends = if *imposed || asked > most {
            let length = max.map_or(length, |max| max.duration().min(length));
            asked.min(most).max(after(begun, grace.min(length)))
        } else {
            asked
        };
        Self { lifetime: lifetime.clone(), since, ends }
    }

    /// When a request with this life ends that asks for `lifetime`; `None` before its life has begun,
    /// where its term counts from then.
    pub fn end(
        lifetime: &Lifetime,
        known: Option<&Self>,
        now: Timestamp,
        grace: SignedDuration,
    ) -> Option<Timestamp> {
        let begun = known.is_some() || matches!(lifetime.term, Term::Until(_));
        begun.then(|| Self::of(lifetime, known, now, grace).ends)
    }

    /// How many of `warn`, which begins with the longest, have come: those before the end that are
    /// reached.
    pub fn warned(ends: Timestamp, warn: &[SignedDuration], now: Timestamp) -> usize {
        let reached = |before: &&SignedDuration| ends.duration_since(now) <= **before;
        warn.iter().filter(reached).count()
    }

    /// When something is to be said next of an end: the next warning, else the end itself.
    pub fn next_mark(
        ends: Timestamp,
        warn: &[SignedDuration],
        now: Timestamp,
    ) -> Option<Timestamp> {
        let marks = warn.iter().filter_map(|before| ends.checked_sub(*before).ok());
        marks.chain([ends]).filter(|mark| *mark > now).min()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn length(text: &str) -> Length {
        Length::parse(text).unwrap()
    }

    const DAY: i64 = 86_400;
    const GRACE: SignedDuration = SignedDuration::from_hours(72);

    #[test]
    fn lengths_are_read_and_shown_in_the_longest_unit_but_weeks() {
        for (text, shown) in [
            ("14d", "14d"),
            ("2w", "14d"),
            ("24h", "1d"),
            ("90m", "90m"),
            ("120m", "2h"),
            ("59s", "59s"),
            ("36500d", "36500d"),
        ] {
            assert_eq!(length(text).to_string(), shown);
        }
        let wrong = [
            "",
            "d",
            "0d",
            "-1d",
            "+1d",
            "1",
            "1.5d",
            " 1d",
            "1 d",
            "1D",
            "P1D",
            "36501d",
            "1é",
            "99999999999d",
            "99999999999999999999w",
            "9223372036854775807w",
            "٣d",
            "1dd",
            "1y",
        ];
        for text in wrong {
            assert_eq!(Length::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_life_begins_once_and_an_edit_of_its_term_counts_from_there() {
        let asked =
            |text: &str| Lifetime { term: Term::For(length(text)), max: None, imposed: false };
        let first = Life::of(&asked("14d"), None, at(100), GRACE);
        assert_eq!((first.since, first.ends), (at(100), at(100 + 14 * DAY)));
        assert_eq!(Life::of(&asked("14d"), Some(&first), at(900), GRACE), first);
        let longer = Life::of(&asked("21d"), Some(&first), at(900), GRACE);
        assert_eq!((longer.since, longer.ends), (at(100), at(100 + 21 * DAY)));
        // Who shortens it in the file has said it by name.
        let shorter = Life::of(&asked("1d"), Some(&first), at(10 * DAY), GRACE);
        assert_eq!(shorter.ends, at(100 + DAY));
    }

    #[test]
    fn what_a_template_imposes_comes_with_time_to_be_warned() {
        let asked =
            |text: &str| Lifetime { term: Term::For(length(text)), max: None, imposed: true };
        let first = Life::of(&asked("90d"), None, at(0), GRACE);
        assert_eq!(first.ends, at(90 * DAY));
        let stricter = Life::of(&asked("14d"), Some(&first), at(60 * DAY), GRACE);
        assert_eq!(stricter.ends, at(63 * DAY));
        // Shorter than the time to be warned in: as long as it says.
        let short = Life::of(&asked("12h"), Some(&first), at(60 * DAY), GRACE);
        assert_eq!(short.ends, at(60 * DAY + DAY / 2));
        assert_eq!(Life::of(&asked("12h"), None, at(0), GRACE).ends, at(DAY / 2));
    }

    #[test]
    fn a_moment_beyond_what_the_template_allows_is_cut() {
        let until = |days: i64| Lifetime {
            term: Term::Until(at(days * DAY)),
            max: Some(length("30d")),
            imposed: false,
        };
        assert_eq!(Life::of(&until(10), None, at(0), GRACE).ends, at(10 * DAY));
        assert_eq!(Life::of(&until(300), None, at(0), GRACE).ends, at(30 * DAY));
        assert_eq!(Life::of(&until(-3), None, at(0), GRACE).ends, at(-3 * DAY));
    }

    #[test]
    fn an_end_is_known_before_a_life_begins_where_it_is_a_moment() {
        let asked = |term| Lifetime { term, max: None, imposed: false };
        let (until, length) = (asked(Term::Until(at(DAY))), asked(Term::For(length("14d"))));
        assert_eq!(Life::end(&until, None, at(0), GRACE), Some(at(DAY)));
        assert_eq!(Life::end(&length, None, at(0), GRACE), None);
        let life = Life::of(&length, None, at(0), GRACE);
        assert_eq!(Life::end(&length, Some(&life), at(DAY), GRACE), Some(at(14 * DAY)));
    }

    #[test]
    fn warnings_come_one_after_the_other() {
        let warn = [SignedDuration::from_hours(72), SignedDuration::from_hours(24)];
        let ends = at(10 * DAY);
        for (now, warned, next) in [
            (0, 0, Some(7 * DAY)),
            (7 * DAY - 1, 0, Some(7 * DAY)),
            (7 * DAY, 1, Some(9 * DAY)),
            (9 * DAY, 2, Some(10 * DAY)),
            (10 * DAY, 2, None),
        ] {
            assert_eq!(Life::warned(ends, &warn, at(now)), warned, "{now}");
            assert_eq!(Life::next_mark(ends, &warn, at(now)), next.map(at), "{now}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_and_reads_back(text in ".{0,24}", seconds in 1..=Length::MOST.0) {
            if let Some(read) = Length::parse(&text) {
                prop_assert_eq!(Length::parse(&read.to_string()), Some(read));
            }
            let length = Length::of_seconds(seconds).unwrap();
            prop_assert_eq!(Length::parse(&length.to_string()), Some(length));
        }

        #[test]
        fn an_end_never_overflows(
            seconds in 1..=Length::MOST.0,
            since in Timestamp::MIN.as_second()..Timestamp::MAX.as_second(),
            imposed in any::<bool>(),
        ) {
            let term = Term::For(Length::of_seconds(seconds).unwrap());
            let lifetime = Lifetime { term, max: Some(Length::MOST), imposed };
            let life = Life::of(&lifetime, None, at(since), GRACE);
            prop_assert!(life.ends >= life.since);
            Life::next_mark(life.ends, &[GRACE], at(since));
        }
    }
}
