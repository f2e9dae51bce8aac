//! Canonical form (RFC 8785) and SHA-256: what makes two artifacts the same artifact.

mod canonical;

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

const HEX: &[u8; 16] = b"0123456789abcdef";

/// A SHA-256, written `sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// What stands before the digits.
const PREFIX: &str = "sha256:";

impl Digest {
    /// The 64 hexadecimal digits, without the prefix.
    pub fn hex(&self) -> String {
        self.text().as_str()[PREFIX.len()..].to_owned()
    }

    /// As it is written, without an allocation: records and statuses hold many of these.
    fn text(&self) -> Written {
        let mut written = [0; PREFIX.len() + 64];
        let (prefix, digits) = written.split_at_mut(PREFIX.len());
        prefix.copy_from_slice(PREFIX.as_bytes());
        for (pair, byte) in digits.as_chunks_mut::<2>().0.iter_mut().zip(self.0) {
            *pair = [HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]];
        }
        Written(written)
    }

    /// `sha256:` and the first twelve digits: enough for people to tell plans apart.
    pub fn short(&self) -> String {
        format!("sha256:{}", &self.hex()[..12])
    }

    /// The 32 bytes.
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// From the 32 bytes.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

/// A digest as it is written.
struct Written([u8; PREFIX.len() + 64]);

impl Written {
    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("hexadecimal digits are ASCII")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is not `sha256:<64 hex>`.
#[derive(Debug, thiserror::Error)]
#[error("expected `sha256:` and 64 hexadecimal digits")]
pub struct NotADigest;

impl FromStr for Digest {
    type Err = NotADigest;

    fn from_str(text: &str) -> Result<Self, NotADigest> {
        let digits = text.strip_prefix(PREFIX).ok_or(NotADigest)?;
        let digits: &[u8; 64] = digits.as_bytes().try_into().map_err(|_| NotADigest)?;
        let mut bytes = [0; 32];
        for (byte, [high, low]) in bytes.iter_mut().zip(digits.as_chunks::<2>().0) {
            *byte = value(*high).ok_or(NotADigest)? << 4 | value(*low).ok_or(NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

/// The value of a hexadecimal digit.
fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(self.text().as_str())
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct Text;
        impl serde::de::Visitor<'_> for Text {
            type Value = Digest;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Digest, E> {
                text.parse().map_err(E::custom)
            }
        }
        d.deserialize_str(Text)
    }
}

/// The SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// RFC 8785: sorted keys, shortest numbers, no white space.
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    canonical::to_vec(value).expect("our own types serialise to JSON")
}

/// The digest of the canonical form of anything that serialises to JSON.
pub fn of<T: Serialize + ?Sized>(value: &T) -> Digest {
    sha256(&canonical(value))
}

/// The digest of a set of files: SHA-256 of its sorted `<path>\0<digest>\n` lines.
pub fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
    let mut lines: Vec<_> = files.into_iter().collect();
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for (path, digest) in lines {
        hash.update(path.as_bytes());
        hash.update([0]);
        hash.update(&digest.text().as_str()[PREFIX.len()..]);
        hash.update(b"\n");
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn canonical_form_sorts_and_shortens() {
        let value = json!({"b": [1.0, "\u{20ac}"], "a": {"z": null, "y": 1e2}});
        let text = String::from_utf8(canonical(&value)).unwrap();
        assert_eq!(text, "{\"a\":{\"y\":100,\"z\":null},\"b\":[1,\"€\"]}");
    }

    fn values() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(json!(null)),
            any::<bool>().prop_map(|v| json!(v)),
            any::<i64>().prop_map(|v| json!(v)),
            any::<u64>().prop_map(|v| json!(v)),
            any::<f64>().prop_map(|v| json!(v)),
            (-9i64..9).prop_map(|v| json!(v as f64)),
            any::<String>().prop_map(|v| json!(v)),
        ];
        leaf.prop_recursive(3, 24, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(|v| json!(v)),
                prop::collection::btree_map("[a-c\u{E000}\u{1F600}\u{e9}]{0,2}", inner, 0..5)
                    .prop_map(|v| json!(v)),
            ]
        })
    }

    proptest! {
        #[test]
        fn canonical_form_is_that_of_the_reference(value in values()) {
            prop_assert_eq!(canonical(&value), serde_json_canonicalizer::to_vec(&value).unwrap());
        }
    }

    #[test]
    fn a_digest_reads_back() {
        let digest = sha256(b"x");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert!("sha256:zz".parse::<Digest>().is_err());
    }

    #[test]
    fn files_in_any_order_are_the_same_files() {
        let (a, b) = (("a", sha256(b"1")), ("b", sha256(b"2")));
        assert_eq!(of_files([a, b]), of_files([b, a]));
        assert_ne!(of_files([a]), of_files([a, b]));
    }
}
