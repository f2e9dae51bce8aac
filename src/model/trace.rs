//! What work belongs to, as it travels and is kept: a trace, and the span in it that the work came from.

use serde::{Deserialize, Deserializer, Serialize};

/// A `traceparent` of W3C Trace Context (<https://www.w3.org/TR/trace-context/>), in the form of version 00:
/// `00-<trace>-<span>-<flags>`, in lower-case hexadecimal digits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
pub struct TraceParent(String);

/// Characters of it.
const LENGTH: usize = 55;

impl TraceParent {
    /// As its text says, if that is well-formed. Of a later version what version 00 has of it is read, as the
    /// recommendation asks for.
    pub fn parse(text: &str) -> Option<Self> {
        let known = text.get(..LENGTH)?;
        let rest = &text[LENGTH..];
        let mut parts = known.split('-');
        let mut part = |length: usize| {
            let is_digit = |b: u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
            parts.next().filter(|part| part.len() == length && part.bytes().all(is_digit))
        };
        let (version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
        let is_none = |id: &str| id.bytes().all(|b| b == b'0');
        let fits = match version {
            "ff" => false,
            "00" => rest.is_empty(),
            _ => rest.is_empty() || rest.starts_with('-'),
        };
        let is_one = fits && parts.next().is_none() && !is_none(trace) && !is_none(span);
        is_one.then(|| Self(format!("00-{trace}-{span}-{flags}")))
    }

    /// The trace's id.
    pub fn trace(&self) -> &str {
        &self.0[3..35]
    }

    /// The id of the span in it.
    pub fn span(&self) -> &str {
        &self.0[36..52]
    }

    /// What is said of it: the lowest bit, that it is sampled.
    pub fn flags(&self) -> u8 {
        u8::from_str_radix(&self.0[53..], 16).unwrap_or_default()
    }

    /// Whether what belongs to it is recorded.
    pub fn is_sampled(&self) -> bool {
        self.flags() & 1 == 1
    }

    /// Of a field that may hold what another version of this program wrote: what is not understood is
    /// absent, since no work ever depends on it.
    pub(super) fn lenient<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Self>, D::Error> {
        let value = Option::<serde_json::Value>::deserialize(from)?;
        Ok(value.as_ref().and_then(serde_json::Value::as_str).and_then(Self::parse))
    }
}

impl std::fmt::Display for TraceParent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn only_what_is_well_formed_is_one() {
        let it = TraceParent::parse(GOOD).unwrap();
        assert_eq!(it.trace(), "4bf92f3577b34da6a3ce929d0e0e4736");
        assert_eq!(it.span(), "00f067aa0ba902b7");
        assert!(it.is_sampled());
        assert_eq!(it.to_string(), GOOD);
        let later = GOOD.replacen("00", "cc", 1);
        assert_eq!(TraceParent::parse(&later), Some(it.clone()));
        assert_eq!(TraceParent::parse(&format!("{later}-more")), Some(it));
        for bad in [
            String::new(),
            GOOD.to_uppercase(),
            format!("{GOOD}-more"),
            format!("{later}more"),
            GOOD.replacen("00", "ff", 1),
            GOOD.replace("4bf92f3577b34da6a3ce929d0e0e4736", &"0".repeat(32)),
            GOOD.replace("00f067aa0ba902b7", &"0".repeat(16)),
            GOOD.replace('-', "_"),
            GOOD.replace("0e4736", "0e47é"),
            GOOD[..54].to_owned(),
            format!("é{GOOD}"),
        ] {
            assert_eq!(TraceParent::parse(&bad), None, "{bad}");
        }
    }
}
