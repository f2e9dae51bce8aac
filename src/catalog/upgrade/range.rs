//! A range that admits a newer version, written as the one before was.

use semver::{Comparator, Op, Version, VersionReq};

/// The range of the same kind that takes `to` and keeps no request at `from`: as few numbers as say
/// so, beginning with as many as there were. What it admitted above `to` it admits still, so that nobody is
/// cut off from versions that would have come by themselves: with another minor version `~1` becomes a
/// caret's. A range of several bounds that does not admit `to` becomes a caret's as well.
pub(super) fn raised(range: &VersionReq, from: &Version, to: &Version) -> String {
    let numbers = [to.major, to.minor, to.patch].map(|n| n.to_string());
    let shortest = |given: usize, write: &dyn Fn(&str) -> String| {
        let fits = |text: &String| {
            let range = VersionReq::parse(text);
            range.is_ok_and(|range| range.matches(to) && !range.matches(from))
        };
        let shorter = (given..3).map(|n| write(&numbers[..n].join(".")));
        let whole = || write(&to.to_string());
        shorter.filter(|_| to.pre.is_empty()).find(fits).unwrap_or_else(whole)
    };
    let signed = |sign: &str, given| shortest(given, &|version| format!("{sign}{version}"));
    let one = match range.comparators.as_slice() {
        [] => return signed(">=", 1),
        [one] => one,
        several if range.matches(to) => return bounded(several, &shortest),
        _ => return signed("^", 3),
    };
    let given = 1 + usize::from(one.minor.is_some()) + usize::from(one.patch.is_some());
    match (one.op, given) {
        // A caret's first number above zero ends it: below one that is the minor version.
        (Op::Tilde | Op::Exact | Op::Wildcard | Op::Caret, 1) if to.major == 0 => {
            shortest(2, &|version| format!(">={version}, <1"))
        }
        (Op::Caret, 2) if (to.major, one.minor) == (0, Some(0)) => signed("~", given),
        (Op::Tilde, 2 | 3) | (Op::Exact | Op::Wildcard, 2) => signed("~", given),
        (Op::Exact, 3) => signed("=", given),
        (Op::Greater | Op::GreaterEq, _) => signed(">=", given),
        (Op::Less | Op::LessEq, _) if range.matches(to) => {
            bounded(std::slice::from_ref(one), &shortest)
        }
        _ => signed("^", given),
    }
}

/// Writes a version of so many numbers or more, whichever do.
type Shortest<'a> = dyn Fn(usize, &dyn Fn(&str) -> String) -> String + 'a;

/// With its upper bounds as they are.
fn bounded(comparators: &[Comparator], shortest: &Shortest<'_>) -> String {
    let lower = |bound: &&Comparator| matches!(bound.op, Op::Greater | Op::GreaterEq);
    let upper = comparators.iter().filter(|bound| !lower(bound));
    let upper: Vec<String> = upper.map(|bound| format!(", {bound}")).collect();
    shortest(2, &|version| format!(">={version}{}", upper.concat()))
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
        assert_eq!(case("~1", "1.2.0", "1.3.0"), "^1.3");
        assert_eq!(case("~1", "1.2.0", "2.3.0"), "^2");
        assert_eq!(case("=1", "1.2.0", "1.3.0"), "^1.3");
        assert_eq!(case("=1.2", "1.2.0", "1.2.1"), "~1.2.1");
        assert_eq!(case("=1.2", "1.2.0", "1.3.1"), "~1.3");
        assert_eq!(case("~0", "0.2.0", "0.3.0"), ">=0.3, <1");
        assert_eq!(case("*", "1.2.0", "1.3.0"), ">=1.3");
        assert_eq!(case("<3", "1.2.0", "1.3.0"), ">=1.3, <3");
        assert_eq!(case(">=1", "1.2.0", "2.0.0"), ">=2");
        assert_eq!(case(">=1, <2", "1.2.0", "2.1.0"), "^2.1.0");
        assert_eq!(case("^1", "1.2.0", "2.0.0-rc.1"), "^2.0.0-rc.1");
    }

    #[test]
    fn what_admitted_higher_versions_still_does() {
        let numbers =
            || (0..4).flat_map(|a| (0..4).flat_map(move |b| (0..3).map(move |c| (a, b, c))));
        let versions: Vec<Version> = numbers().map(|(a, b, c)| Version::new(a, b, c)).collect();
        let ranges = [
            "*",
            "1",
            "^1",
            "^1.2",
            "^1.2.0",
            "^0",
            "^0.0",
            "^0.1",
            "~1",
            "~1.2",
            "~1.2.0",
            "~0",
            "~0.1",
            "=1",
            "=0",
            "=1.2",
            "1.*",
            "1.2.*",
            "0.*",
            ">=1",
            ">1.1",
            ">=0.1, <2",
            ">=1.1, <=2.1",
            "<3",
            "<=2.2.1",
            "^1, <1.3",
        ];
        for text in ranges {
            let range = VersionReq::parse(text).unwrap();
            for (n, from) in versions.iter().enumerate().filter(|(_, from)| range.matches(from)) {
                for (m, to) in versions.iter().enumerate().skip(n + 1) {
                    let made = raised(&range, from, to);
                    let made_range = VersionReq::parse(&made).unwrap();
                    let said = format!("`{text}` at {from} to {to} is `{made}`");
                    assert!(made_range.matches(to) && !made_range.matches(from), "{said}");
                    let lost =
                        versions[m..].iter().find(|v| range.matches(v) && !made_range.matches(v));
                    assert_eq!(lost, None, "{said}");
                }
            }
        }
    }
}
