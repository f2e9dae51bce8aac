//! Canonical form (RFC 8785) and SHA-256: what makes two artifacts the same artifact.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// A SHA-256, written `sha256:<64 hex>`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// The 64 hexadecimal digits, without the prefix.
    pub fn hex(&self) -> String {
        use std::fmt::Write as _;
        self.0.iter().fold(String::with_capacity(64), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        })
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

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{}", self.hex())
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
        let hex = text.strip_prefix("sha256:").ok_or(NotADigest)?;
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(NotADigest);
        }
        let mut bytes = [0; 32];
        for (n, byte) in bytes.iter_mut().enumerate() {
            *byte = u8::from_str_radix(&hex[2 * n..2 * n + 2], 16).map_err(|_| NotADigest)?;
        }
        Ok(Self(bytes))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
    }
}

/// The SHA-256 of bytes.
pub fn sha256(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// RFC 8785: sorted keys, shortest numbers, no white space.
pub fn canonical(value: &serde_json::Value) -> Vec<u8> {
    // A `Value` holds only strings, finite numbers, lists and maps with string keys: this cannot fail.
    serde_json_canonicalizer::to_vec(value).expect("a JSON value has a canonical form")
}

/// The digest of a value's canonical form.
pub fn of_value(value: &serde_json::Value) -> Digest {
    sha256(&canonical(value))
}

/// The digest of anything that serialises to JSON.
pub fn of<T: Serialize>(value: &T) -> Digest {
    of_value(&serde_json::to_value(value).expect("our own types serialise to JSON"))
}

/// The digest of a set of files: SHA-256 of its sorted `<path>\0<digest>\n` lines.
pub fn of_files<'a>(files: impl IntoIterator<Item = (&'a str, Digest)>) -> Digest {
    let mut lines: Vec<_> = files.into_iter().collect();
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for (path, digest) in lines {
        hash.update(path.as_bytes());
        hash.update([0]);
        hash.update(digest.hex().as_bytes());
        hash.update(b"\n");
    }
    Digest(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn canonical_form_sorts_and_shortens() {
        let value = json!({"b": [1.0, "\u{20ac}"], "a": {"z": null, "y": 1e2}});
        let text = String::from_utf8(canonical(&value)).unwrap();
        assert_eq!(text, "{\"a\":{\"y\":100,\"z\":null},\"b\":[1,\"€\"]}");
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
