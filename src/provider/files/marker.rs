//! The file `.vend` in each target's folder: whose it is, and what was written.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, sha256};
use crate::model::{Change, InstanceId, RequestId, Target, TargetName, Token};

/// The largest marker that is read: a thousand files take some 150 KiB.
pub(super) const MARKER_MAX: u64 = 4 << 20;

/// What a marker says. Unknown fields of a later version are ignored, never an error: they do not
/// make the folder somebody else's.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Marker {
    pub instance: InstanceId,
    pub target: TargetName,
    /// For people: ownership goes by instance and target.
    pub request: RequestId,
    /// Of the artifact.
    pub digest: Digest,
    /// Of the change that wrote this.
    pub token: Token,
    #[serde(default, skip_serializing_if = "State::is_written")]
    pub state: State,
    /// What the artifact has, and the SHA-256 of each as written.
    pub files: BTreeMap<String, Digest>,
    /// What an unfinished change has still to remove.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stale: BTreeMap<String, Digest>,
}

/// How far the change has come that wrote the marker.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// To its end.
    #[default]
    Written,
    /// Files are being written.
    Writing,
    /// Files are being removed; the marker goes last.
    Removing,
}

impl State {
    fn is_written(&self) -> bool {
        *self == Self::Written
    }

    /// The provider's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Written => "Written",
            Self::Writing => "Writing",
            Self::Removing => "Removing",
        }
    }
}

impl Marker {
    /// What a finished change leaves; `files` by path, as written.
    pub fn of(change: &Change, digest: Digest, files: &BTreeMap<String, String>) -> Self {
        Self {
            instance: change.target.instance.clone(),
            target: change.target.name.clone(),
            request: change.target.key.request.clone(),
            digest,
            token: change.token.clone(),
            state: State::Written,
            files: files
                .iter()
                .map(|(path, text)| (path.clone(), sha256(text.as_bytes())))
                .collect(),
            stale: BTreeMap::new(),
        }
    }

    /// Reads the bytes of a `.vend`.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }

    /// The bytes, for people to read as well.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = serde_json::to_vec_pretty(self).expect("a marker serialises to JSON");
        bytes.push(b'\n');
        bytes
    }

    /// Whether it is about this very target of this very instance.
    pub fn is_of(&self, target: &Target) -> bool {
        self.instance == target.instance && self.target == target.name
    }

    /// Every file that vend wrote, or was about to.
    pub fn all(&self) -> impl Iterator<Item = &String> {
        self.files.keys().chain(self.stale.keys())
    }
}
