//! Git: fetch, read a tree at a revision, compare trees, commit and push with an expected parent.
//!
//! # Flow
//!
//! A [`Mirror`] is a bare repository of ours in the state folder, one for each branch that is
//! followed. `fetch` runs the `git` program with a scrubbed environment and a deadline and moves one
//! ref of ours; everything else reads objects in this process. `commit` makes objects in the mirror,
//! `push` hands them over with an exact compare-and-swap.
//!
//! # Guarantees
//!
//! - Nothing is ever checked out, executed, filtered or followed: content is bytes at an object id.
//! - An error never reads as "empty": a branch or repository that is not there is
//!   [`GitError::Missing`], a folder that the commit lacks is `None`.
//! - A push never overwrites what somebody else pushed.
//! - A damaged mirror is found by hash and cloned anew beside the old one at the next fetch.
//!
//! # Caveats
//!
//! Reads are synchronous (microseconds, mostly); `fetch`, `push` and `maintain` are async and wait
//! for one another.

mod blobs;
mod bulk;
mod child;
mod commit;
mod credential;
mod error;
mod history;
mod location;
mod lock;
mod maintain;
mod mirror;
mod network;
mod outcome;
mod path;
mod propose;
mod pull;
mod push;
mod read;
mod ssh;
mod stands;
mod touching;
mod transport;
mod working_copy;
mod working_edit;

pub use child::Group;
pub use commit::Edit;
pub use credential::{Credential, Tokens};
pub use error::GitError;
pub use location::{Location, Trust};
pub use mirror::Mirror;
pub use network::{Block, may_be_sent_to};
pub use path::{PathProblem, escape};
pub use pull::Merged;
pub use read::{Blob, Delta, Entry, Kind};
pub use stands::Stands;
pub use transport::{Author, Transport};
pub use working_copy::{WorkingCopy, blob_id};

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
