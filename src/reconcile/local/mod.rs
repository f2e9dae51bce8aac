//! The same reading and planning on a laptop: a working copy with uncommitted changes, a catalog
//! from somewhere, and recorded state from the status branch. Nothing is observed and nothing done.

mod asked;
mod blast;
mod cache;
mod change;
mod former;
mod landed;
mod place;
mod plan;
mod published;
mod requests;
mod rule;
mod sheets;

pub use asked::Asked;
pub use blast::{Scene, blast, preview};
pub use cache::{Cache, Fetched, LocalCatalog, Stale, disk_files, files_at};
pub use change::{Changed, Differs, base};
pub use former::former;
pub use landed::Landed;
pub use place::same_repository;
pub use plan::{Desk, plan};
pub(super) use published::parsed;
pub use published::{Published, record};
pub use requests::LocalRequests;
pub(super) use rule::forbidden_at;
pub use rule::forbidden_changes;
pub use sheets::Sheets;
