//! A range that admits a newer version, written as the one before was.

use semver::{Op, Version, VersionReq};

/// The range of the same kind that takes `to` and keeps no request at `from`: as few numbers as say
/// so, beginning with as many as there were. A range of several bounds becomes a caret's.
pub(super) fn raised(range: &VersionReq, from: &Version, to: &Version) -> String {
    let (sign, given) = match range.comparators.as_slice() {
        [one] => {
            let given = 1 + usize::from(one.minor.is_some()) + usize::from(one.patch.is_some());
            match one.op {
                Op::Tilde => ("~", given),
                Op::Exact => ("=", 3),
                Op::Greater | Op::GreaterEq => (">=", given),
                _ => ("^", given),
            }
        }
        _ => ("^", 3),
    };
    let whole = format!("{sign}{to}");
    let numbers = [to.major, to.minor, to.patch].map(|n| n.to_string());
    let shorter = (given..3).map(|n| format!("{sign}{}", numbers[..n].join(".")));
    let fits = |text: &String| {
        let range = VersionReq::parse(text);
        range.is_ok_and(|range| range.matches(to) && !range.matches(from))
    };
    shorter.filter(|_| to.pre.is_empty()).find(fits).unwrap_or(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_raised_as_it_was_written() {
        let case = |range: &str, from: &str, to: &str| {
            let version = |text: &str| Version::parse(text).unwrap();
            raised(&VersionReq::parse(range).unwrap(), &version(from), &version(to))
        };
        assert_eq!(case("^1", "1.2.0", "2.3.1"), "^2");
        assert_eq!(case("^1.2", "1.2.0", "2.3.1"), "^2.3");
        assert_eq!(case("~1.2", "1.2.0", "1.3.0"), "~1.3");
        assert_eq!(case("^1.2.3", "1.2.3", "2.0.0"), "^2.0.0");
        assert_eq!(case("^1", "1.2.0", "1.3.0"), "^1.3", "it keeps nobody at what it had");
        assert_eq!(case("~1.2", "1.2.0", "1.2.1"), "~1.2.1");
        assert_eq!(case("=1.2.0", "1.2.0", "1.3.0"), "=1.3.0");
        assert_eq!(case(">=1", "1.2.0", "2.0.0"), ">=2");
        assert_eq!(case(">=1, <2", "1.2.0", "2.1.0"), "^2.1.0");
        assert_eq!(case("^1", "1.2.0", "2.0.0-rc.1"), "^2.0.0-rc.1");
    }
}
