//! What a number says about what changed, after <https://semver.org>.

use std::fmt;

use semver::Version;
use serde::{Deserialize, Serialize};

/// How much changed, by who may take it without looking.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Bump {
    /// The same to its users.
    Patch,
    /// More than before.
    Minor,
    /// Somebody may have to do something.
    Major,
}

impl fmt::Display for Bump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Patch => "patch",
            Self::Minor => "minor",
            Self::Major => "major",
        })
    }
}

/// What the number `to` says about what changed since the release `from`, which is lower. A
/// pre-release says what its release will.
///
/// Before 1.0.0 anything may change. Ranges still have to mean something: as they are read, `^0.2`
/// takes every `0.2.x` and no `0.3`, and `^0.0.3` nothing else. So the second number stands for a
/// major change there, and the third for all others; below `0.1` every number may be a major one.
pub fn claimed(from: &Version, to: &Version) -> Bump {
    match (from.major, to.major) {
        (0, 0) if to.minor > from.minor || to.minor == 0 => Bump::Major,
        (0, 0) => Bump::Minor,
        _ if to.major > from.major => Bump::Major,
        _ if to.minor > from.minor => Bump::Minor,
        _ => Bump::Patch,
    }
}

/// The lowest release after `from` that says so.
pub fn next(from: &Version, bump: Bump) -> Version {
    match (from.major, from.minor, bump) {
        (0, 0, _) => Version::new(0, 0, from.patch + 1),
        (0, minor, Bump::Major) => Version::new(0, minor + 1, 0),
        (0, minor, Bump::Minor | Bump::Patch) => Version::new(0, minor, from.patch + 1),
        (major, _, Bump::Major) => Version::new(major + 1, 0, 0),
        (major, minor, Bump::Minor) => Version::new(major, minor + 1, 0),
        (major, minor, Bump::Patch) => Version::new(major, minor, from.patch + 1),
    }
}

/// What readers of the message should know about the numbers before 1.0.0.
pub(super) fn remark(from: &Version) -> &'static str {
    if from.major == 0 { " (before 1.0.0 the second number stands for major changes)" } else { "" }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn says(from: &str, to: &str) -> Bump {
        claimed(&from.parse().unwrap(), &to.parse().unwrap())
    }

    #[test]
    fn a_number_says_what_changed() {
        assert_eq!(says("1.2.3", "1.2.4"), Bump::Patch);
        assert_eq!(says("1.2.3", "1.3.0"), Bump::Minor);
        assert_eq!(says("1.2.3", "2.0.0"), Bump::Major);
        assert_eq!(says("1.2.3", "2.0.0-rc.1"), Bump::Major);
        assert_eq!(says("1.2.3", "1.2.4-rc.1"), Bump::Patch);
        assert_eq!(says("0.2.3", "0.2.4"), Bump::Minor);
        assert_eq!(says("0.2.3", "0.3.0"), Bump::Major);
        assert_eq!(says("0.0.3", "0.0.4"), Bump::Major);
        assert_eq!(says("0.0.3", "0.1.0"), Bump::Major);
        assert_eq!(says("0.9.0", "1.0.0"), Bump::Major);
    }

    proptest! {
        #[test]
        fn the_next_number_says_enough_and_ranges_agree(
            major in 0u64..3, minor in 0u64..3, patch in 0u64..3,
            bump in prop::sample::select(vec![Bump::Patch, Bump::Minor, Bump::Major]),
        ) {
            let from = Version::new(major, minor, patch);
            let to = next(&from, bump);
            prop_assert!(to > from);
            prop_assert!(claimed(&from, &to) >= bump);
            // Whoever asked for `^from` gets no major change without asking.
            let range = semver::VersionReq::parse(&format!("^{from}")).unwrap();
            if bump == Bump::Major {
                prop_assert!(!range.matches(&to), "{range} takes {to}");
            }
        }
    }
}
