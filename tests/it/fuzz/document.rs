//! Documents as rows of a store hold them, in SQLite and in PostgreSQL alike, whose sums somebody mended.

use std::fmt::Debug;

use serde::Serialize;
use serde::de::DeserializeOwned;
use vend::model::{
    Approval, Artifact, Change, Desired, Event, Hold, Journalled, Observation, Record, Retry,
    Rollouts, SourceRecord, Status, Ticket,
};

/// What is taken is written, and means the same when it is read again: each time, or digests of it would
/// never come to rest.
fn held<T: DeserializeOwned + Serialize + Debug>(data: &[u8]) {
    let Ok(found) = serde_json::from_slice::<T>(data) else { return };
    let written = serde_json::to_string(&found).unwrap();
    let again: T = serde_json::from_str(&written).unwrap_or_else(|e| panic!("{written}: {e}"));
    assert_eq!(format!("{again:?}"), format!("{found:?}"), "{written}");
    assert_eq!(serde_json::to_string(&again).unwrap(), written);
}

/// What the first byte says, of the rest.
pub fn document(data: &[u8]) {
    let [kind, data @ ..] = data else { return };
    match kind {
        b'd' => held::<Desired>(data),
        b'r' => held::<Record>(data),
        b'j' => held::<Journalled>(data),
        b'e' => held::<Event>(data),
        b'a' => held::<Artifact>(data),
        b't' => held::<Retry>(data),
        b'h' => held::<Hold>(data),
        b'p' => held::<Approval>(data),
        b's' => held::<Status>(data),
        b'c' => held::<Change>(data),
        b'o' => held::<Observation>(data),
        b'k' => held::<Ticket>(data),
        b'l' => held::<Rollouts>(data),
        _ => held::<SourceRecord>(data),
    }
}
