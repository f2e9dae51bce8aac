//! What a plain scalar is: the YAML 1.2 core schema, and where others differ.

use serde_json::Number;

use super::Ambiguity;

/// What a plain scalar is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Plain {
    Null,
    Bool(bool),
    Number(Number, Option<Ambiguity>),
    String(Option<Ambiguity>),
    /// A number beyond 64 bits or the finite doubles.
    OutOfRange,
}

/// Resolves a plain scalar by the core schema (YAML 1.2.2, 10.3.2).
pub(super) fn resolve(text: &str) -> Plain {
    match text.as_bytes() {
        [] => Plain::Null,
        [b'0'..=b'9' | b'+' | b'-' | b'.', ..] => numeric(text),
        [_, rest @ ..] if rest.len() < 5 => word(text),
        _ => Plain::String(None),
    }
}

fn word(text: &str) -> Plain {
    match text {
        "~" | "null" | "Null" | "NULL" => Plain::Null,
        "true" | "True" | "TRUE" => Plain::Bool(true),
        "false" | "False" | "FALSE" => Plain::Bool(false),
        "y" | "Y" | "yes" | "Yes" | "YES" | "n" | "N" | "no" | "No" | "NO" | "on" | "On" | "ON"
        | "off" | "Off" | "OFF" => Plain::String(Some(Ambiguity::Yaml11Bool)),
        _ => Plain::String(None),
    }
}

fn numeric(text: &str) -> Plain {
    if let Some((digits, radix)) = based(text) {
        return match u64::from_str_radix(digits, radix) {
            Ok(value) => Plain::Number(value.into(), Some(Ambiguity::NotRoundTrip)),
            Err(_) => Plain::OutOfRange,
        };
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    match unsigned {
        ".inf" | ".Inf" | ".INF" => return Plain::OutOfRange,
        ".nan" | ".NaN" | ".NAN" if unsigned == text => return Plain::OutOfRange,
        _ => {}
    }
    let (whole, rest) = digits(unsigned);
    if !whole.is_empty() && rest.is_empty() {
        return integer(text, whole);
    }
    if is_float(whole, rest) {
        return float(text, whole, rest);
    }
    Plain::String(old_number(unsigned).or_else(|| date(text)))
}

/// `0o17` and `0x1F`, which take no sign.
fn based(text: &str) -> Option<(&str, u32)> {
    let (digits, radix) = match text.strip_prefix("0o") {
        Some(digits) => (digits, 8),
        None => (text.strip_prefix("0x")?, 16),
    };
    let all = !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    all.then_some((digits, radix))
}

/// The decimal digits at the start, and the rest.
fn digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

/// Integers from here on have neighbours that a double cannot tell apart.
const SAFE: u64 = 1 << 53;

fn integer(text: &str, whole: &str) -> Plain {
    let number: Number = match text.strip_prefix('+').unwrap_or(text).parse::<i64>() {
        Ok(value) => value.into(),
        Err(_) => match whole.parse::<u64>() {
            Ok(value) if !text.starts_with('-') => value.into(),
            _ => return Plain::OutOfRange,
        },
    };
    let safe = number.as_i64().is_some_and(|value| value.unsigned_abs() <= SAFE);
    let ambiguity = if has_leading_zero(whole) {
        Some(Ambiguity::LeadingZero)
    } else if !safe || text.starts_with('+') || text == "-0" {
        Some(Ambiguity::NotRoundTrip)
    } else {
        None
    };
    Plain::Number(number, ambiguity)
}

fn has_leading_zero(whole: &str) -> bool {
    whole.len() > 1 && whole.starts_with('0')
}

/// Whether `whole` and what follows it are `1.5`, `1.`, `.5`, with or without an exponent.
fn is_float(whole: &str, rest: &str) -> bool {
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => digits(rest),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return false;
    }
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else {
        return rest.is_empty();
    };
    let (exponent, rest) = digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent));
    !exponent.is_empty() && rest.is_empty()
}

fn float(text: &str, whole: &str, rest: &str) -> Plain {
    let value: f64 = text.parse().unwrap_or(f64::NAN);
    let mantissa = text.split(['e', 'E']).next().unwrap_or_default();
    let vanished = value == 0.0 && mantissa.bytes().any(|byte| matches!(byte, b'1'..=b'9'));
    let Some(number) = Number::from_f64(value).filter(|_| !vanished) else {
        return Plain::OutOfRange;
    };
    let ambiguity = if rest.contains(['e', 'E']) {
        Some(Ambiguity::Exponent)
    } else if has_leading_zero(whole) {
        Some(Ambiguity::LeadingZero)
    } else if number.to_string() != text {
        Some(Ambiguity::NotRoundTrip)
    } else {
        None
    };
    Plain::Number(number, ambiguity)
}

/// What YAML 1.1 takes for a number and 1.2 does not: `1_000`, `0b11`, `12:30`.
fn old_number(unsigned: &str) -> Option<Ambiguity> {
    let binary = unsigned.strip_prefix("0b");
    if binary.is_some_and(|rest| !rest.is_empty() && all(rest, |b| matches!(b, b'0' | b'1' | b'_')))
    {
        return Some(Ambiguity::NotRoundTrip);
    }
    if !unsigned.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if unsigned.contains(':') {
        return is_sexagesimal(unsigned).then_some(Ambiguity::Sexagesimal);
    }
    let hex = unsigned.strip_prefix("0x");
    let underscored = unsigned.contains('_')
        && match hex {
            Some(hex) => all(hex, |b| b.is_ascii_hexdigit() || b == b'_'),
            None => {
                unsigned.contains(|c: char| c.is_ascii_digit())
                    && all(unsigned, |b| {
                        b.is_ascii_digit() || matches!(b, b'_' | b'.' | b'e' | b'E' | b'+' | b'-')
                    })
            }
        };
    underscored.then_some(Ambiguity::Underscore)
}

/// `190:20:30`, `12:30`, `20:30.15`.
fn is_sexagesimal(unsigned: &str) -> bool {
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    if first.is_empty() || !all(first, |b| b.is_ascii_digit() || b == b'_') {
        return false;
    }
    let rest: Vec<&str> = parts.collect();
    let last = rest.len().saturating_sub(1);
    rest.iter().enumerate().all(|(n, part)| {
        let part = match part.split_once('.') {
            Some((part, fraction)) if n == last => {
                if !all(fraction, |b| b.is_ascii_digit() || b == b'_') {
                    return false;
                }
                part
            }
            _ => part,
        };
        matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9'])
    })
}

/// `2026-01-31`, alone or with a time behind it.
fn date(text: &str) -> Option<Ambiguity> {
    let mut parts = text.splitn(3, '-');
    let (year, month, rest) = (parts.next()?, parts.next()?, parts.next()?);
    let (day, time) = digits(rest);
    let short = |part: &str| matches!(part.len(), 1 | 2) && all(part, |b| b.is_ascii_digit());
    let date = year.len() == 4 && all(year, |b| b.is_ascii_digit()) && short(month) && short(day);
    let time = time.is_empty()
        || (time.starts_with(['T', 't', ' ', '\t'])
            && time.contains(':')
            && all(time, |b| b.is_ascii_digit() || b" \tTtZz:.+-".contains(&b)));
    (date && time).then_some(Ambiguity::Date)
}

fn all(text: &str, accept: impl Fn(u8) -> bool) -> bool {
    text.bytes().all(accept)
}
