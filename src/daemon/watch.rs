//! Changes seen in repositories on this machine wake a pass sooner than the poll would.
//!
//! # Caveats
//! Only a hint. Network file systems give no events, queues overflow, and a ref in a new folder is
//! missed: polling stays the truth. Reads by git itself are events too, so only changes count, and
//! `objects/` is never watched.

use std::path::Path;

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::mpsc;

use crate::reconcile::source::Sources;

/// Watches for as long as it lives.
pub(super) struct Watcher {
    _inner: RecommendedWatcher,
}

impl Watcher {
    /// Watches the refs of every source that is a repository on this machine.
    pub(super) fn start(sources: &Sources, changes: mpsc::Sender<()>) -> Option<Self> {
        let paths: Vec<_> = sources
            .all()
            .filter_map(|s| s.mirror().location()?.local_path())
            .filter_map(|path| super::ref_folders(&path))
            .collect();
        if paths.is_empty() {
            return None;
        }
        let handler = move |event: notify::Result<notify::Event>| {
            let matters = match event {
                Ok(event) => {
                    matches!(
                        event.kind,
                        EventKind::Create(_) | EventKind::Modify(_) | EventKind::Remove(_)
                    ) || event.need_rescan()
                }
                // Whatever went wrong, something may have changed.
                Err(_) => true,
            };
            if matters {
                // A full channel means that a wake is pending already.
                let _ = changes.try_send(());
            }
        };
        let mut inner = notify::recommended_watcher(handler)
            .inspect_err(
                |error| tracing::warn!(%error, "local repositories are not watched, only polled"),
            )
            .ok()?;
        for path in paths {
            watch(&mut inner, &path);
        }
        Some(Self { _inner: inner })
    }
}

fn watch(watcher: &mut RecommendedWatcher, git: &Path) {
    for (path, mode) in [
        (git.join("refs"), RecursiveMode::Recursive),
        (git.to_owned(), RecursiveMode::NonRecursive),
    ] {
        if let Err(error) = watcher.watch(&path, mode) {
            tracing::warn!(path = %path.display(), %error, "not watched, only polled");
        }
    }
}
