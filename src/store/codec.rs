//! How values lie in columns, and the sums that tell whether they still are what was written.

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::digest::Digest;
use crate::model::RequestId;
use crate::store::StoreError;

/// A 64-bit sum of a row. Against failing disks, not against people: each step is a bijection of
/// the state, so that one damaged word always changes the sum. It is part of the file format.
#[derive(Clone, Copy)]
pub(super) struct Sum(u64);

impl Sum {
    /// Begins with what kind of row it is, so that one is not taken for another.
    pub(super) fn new(kind: &str) -> Self {
        Self(0x7665_6e64_0000_0001).text(kind)
    }

    pub(super) fn word(self, word: u64) -> Self {
        Self((self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
    }

    pub(super) fn bytes(self, bytes: &[u8]) -> Self {
        let mut words = bytes.chunks_exact(8);
        let mut sum = self.word(bytes.len() as u64);
        for word in &mut words {
            sum = sum.word(u64::from_le_bytes(word.try_into().expect("chunks of eight")));
        }
        let mut last = [0; 8];
        last[..words.remainder().len()].copy_from_slice(words.remainder());
        sum.word(u64::from_le_bytes(last))
    }

    pub(super) fn text(self, text: &str) -> Self {
        self.bytes(text.as_bytes())
    }

    /// Absent and empty differ.
    pub(super) fn option(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.word(1).bytes(bytes),
            None => self.word(0),
        }
    }

    /// A column that rows written before it came do not have: absent, they keep the sum they had.
    pub(super) fn later(self, bytes: Option<&[u8]>) -> Self {
        match bytes {
            Some(bytes) => self.option(Some(bytes)),
            None => self,
        }
    }

    /// As a column holds it.
    pub(super) fn finish(self) -> i64 {
        (self.0 ^ (self.0 >> 32)).cast_signed()
    }
}

/// A document with its sum, as it is stored under `key`.
pub(super) fn seal<T: Serialize>(kind: &str, key: &str, value: &T) -> (String, i64) {
    // Our own types: string keys and finite numbers only.
    let body = serde_json::to_string(value).expect("the model's types serialise to JSON");
    let sum = Sum::new(kind).text(key).text(&body).finish();
    (body, sum)
}

/// The document, if it is still what was stored under `key`.
pub(super) fn unseal<T: DeserializeOwned>(
    kind: &str,
    key: &str,
    body: &str,
    sum: i64,
) -> Result<T, StoreError> {
    if Sum::new(kind).text(key).text(body).finish() != sum {
        return Err(damaged(kind, key));
    }
    serde_json::from_str(body).map_err(|_| damaged(kind, key))
}

pub(super) fn damaged(kind: &str, key: &str) -> StoreError {
    StoreError::Corrupt { what: format!("{kind} `{key}`") }
}

/// Nanoseconds since 1970; what lies outside the years 1677 to 2262 becomes the nearest inside.
pub(super) fn nanoseconds(at: Timestamp) -> i64 {
    let nanoseconds = at.as_nanosecond();
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

pub(super) fn timestamp(nanoseconds: i64) -> Timestamp {
    Timestamp::from_nanosecond(nanoseconds.into()).expect("64 bits of nanoseconds are in range")
}

pub(super) fn digest(bytes: &[u8], kind: &str, key: &str) -> Result<Digest, StoreError> {
    bytes.try_into().map(Digest::from_bytes).map_err(|_| damaged(kind, key))
}

pub(super) fn request(text: &str) -> Result<RequestId, StoreError> {
    RequestId::parse(text).ok_or_else(|| damaged("request", text))
}

/// Ids in one column, apart by spaces, which no id holds.
pub(super) fn join(ids: &[RequestId]) -> Option<String> {
    (!ids.is_empty()).then(|| ids.iter().map(RequestId::as_str).collect::<Vec<_>>().join(" "))
}

pub(super) fn split(text: Option<&str>) -> Result<Box<[RequestId]>, StoreError> {
    text.map_or(Ok(Box::default()), |text| text.split(' ').map(request).collect())
}

/// Digests in one column, one after the other.
pub(super) fn pack<'a>(digests: impl IntoIterator<Item = &'a Digest>) -> Vec<u8> {
    digests.into_iter().flat_map(|digest| digest.bytes()).copied().collect()
}

/// The name by which a variant is serialised.
pub(super) fn name(variant: &impl Serialize) -> String {
    let name = serde_json::to_value(variant).expect("a variant serialises");
    name.as_str().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_single_bit_counts() {
        let (body, sum) = seal("thing", "a", &"some text of more than eight bytes");
        assert_eq!(unseal::<String>("thing", "a", &body, sum).unwrap().len(), 34);
        assert!(unseal::<String>("thing", "b", &body, sum).is_err(), "another's row");
        assert!(unseal::<String>("other", "a", &body, sum).is_err(), "another kind of row");
        for n in 0..body.len() * 7 {
            let mut bytes = body.clone().into_bytes();
            bytes[n / 7] ^= 1 << (n % 7);
            let flipped = String::from_utf8(bytes).unwrap();
            assert!(unseal::<String>("thing", "a", &flipped, sum).is_err(), "bit {n}");
        }
    }

    #[test]
    fn far_times_stay_far() {
        assert_eq!(timestamp(nanoseconds(Timestamp::UNIX_EPOCH)), Timestamp::UNIX_EPOCH);
        assert_eq!(nanoseconds(Timestamp::MAX), i64::MAX);
        assert_eq!(nanoseconds(Timestamp::MIN), i64::MIN);
    }
}
