//! What a tree, read from Git or from disk, gives.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

/// One entry of a tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum File {
    /// A plain file's bytes.
    Bytes(Arc<[u8]>),
    /// A symbolic link; never followed.
    Link,
    /// Another repository; never fetched.
    Submodule,
    /// More bytes than the limit, and how many: not read.
    TooLarge(u64),
    /// Its path cannot be used; why, as a sentence without full stop.
    Unsafe(String),
}

impl File {
    /// The bytes, when it is a plain file that was read.
    pub fn bytes(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Bytes(bytes) => Some(bytes),
            Self::Link | Self::Submodule | Self::TooLarge(_) | Self::Unsafe(_) => None,
        }
    }
}

/// The files of a tree by path, relative to its root, parts joined by `/`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Files(pub BTreeMap<String, File>);

impl Files {
    /// The entry at a path.
    pub fn get(&self, path: &str) -> Option<&File> {
        self.0.get(path)
    }

    /// Adds or replaces a plain file.
    pub fn insert(&mut self, path: impl Into<String>, bytes: impl Into<Arc<[u8]>>) {
        self.0.insert(path.into(), File::Bytes(bytes.into()));
    }

    /// The entries below a folder (given with its last `/`), with their whole paths.
    pub fn under<'a>(&'a self, folder: &'a str) -> impl Iterator<Item = (&'a str, &'a File)> {
        self.0
            .range::<str, _>((Bound::Included(folder), Bound::Unbounded))
            .take_while(move |(path, _)| path.starts_with(folder))
            .map(|(path, file)| (path.as_str(), file))
    }
}

impl<P: Into<String>, B: Into<Arc<[u8]>>> FromIterator<(P, B)> for Files {
    fn from_iter<I: IntoIterator<Item = (P, B)>>(files: I) -> Self {
        Self(
            files
                .into_iter()
                .map(|(path, bytes)| (path.into(), File::Bytes(bytes.into())))
                .collect(),
        )
    }
}
