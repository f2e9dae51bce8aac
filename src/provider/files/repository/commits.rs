//! Which commit last changed a target.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

use crate::git::Mirror;
use crate::model::{Revision, Token};
use crate::provider::files::look::{Look, Mark};
use crate::provider::files::path::MARKER;
use crate::provider::files::settings::Where;

/// More than are in flight and looked at in one pass; what is dropped is searched for again.
const KEPT: usize = 200_000;

/// Commits by token, as they were made or found.
#[derive(Default)]
pub(super) struct Commits(Mutex<BTreeMap<Token, Revision>>);

impl Commits {
    /// A commit that was made.
    pub fn note(&self, token: Token, commit: Revision) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= KEPT {
            known.clear();
        }
        known.insert(token, commit);
    }

    /// The commit that wrote the marker in a folder that is ours, when it was made or found before.
    pub fn known(&self, look: &Look) -> Option<Revision> {
        let Mark::Ours(marker) = &look.mark else { return None };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&marker.token).cloned()
    }

    /// The commit that wrote the marker in a folder that is ours, searched for in at most `most`
    /// commits. `None` when it lies further back or cannot be told: it is for people.
    pub fn of(
        &self,
        mirror: &Mirror,
        tip: Option<&Revision>,
        place: &Where,
        look: &Look,
        most: usize,
    ) -> Option<Revision> {
        let Mark::Ours(marker) = &look.mark else { return None };
        if let Some(known) = self.known(look) {
            return Some(known);
        }
        let commit = mirror.last_commit_touching(&marker_of(place), tip?, most).ok()??;
        self.note(marker.token.clone(), commit.clone());
        Some(commit)
    }

    /// Searches once for all that is ours and was neither made nor found before; [`Self::known`] tells what was found.
    pub fn find<'a>(
        &self,
        mirror: &Mirror,
        tip: &Revision,
        looks: impl Iterator<Item = (&'a Where, &'a Look)>,
        most: usize,
    ) {
        let mut tokens: HashMap<String, &Token> = HashMap::new();
        for (place, look) in looks {
            if let (Mark::Ours(marker), None) = (&look.mark, self.known(look)) {
                tokens.insert(marker_of(place), &marker.token);
            }
        }
        let paths = tokens.keys().cloned().collect();
        for (path, commit) in mirror.last_commits_touching(paths, tip, most).unwrap_or_default() {
            if let Some(token) = tokens.get(&path) {
                self.note((*token).clone(), commit);
            }
        }
    }
}

fn marker_of(place: &Where) -> String {
    format!("{}/{MARKER}", place.path)
}
