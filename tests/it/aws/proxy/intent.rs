//! Whether a call was intended before it was sent: the token that it bears lies in a store on disk.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::call::Call;

/// Whether a store has an intent of this token.
pub type Has = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Where stores lie, if that is known: while it is not, nothing is judged.
#[derive(Default)]
pub struct Intents(Mutex<Option<Has>>);

impl Intents {
    /// From now on, this tells.
    pub fn told_by(&self, has: Has) {
        *self.0.lock().unwrap() = Some(has);
    }

    /// From now on, the stores in the folders of this one tell.
    pub fn lie_in(&self, folder: &Path) {
        let folder = folder.to_owned();
        self.told_by(Arc::new(move |token| any_store_has(&folder, token)));
    }

    /// Whether it is known where they lie.
    pub fn are_known(&self) -> bool {
        self.0.lock().unwrap().is_some()
    }

    /// Whether a call changes something under no token, or under one of which no store knows. Uploads,
    /// previews and guards have none, and change no stack; nor does the deletion of an empty one, which
    /// only the whole record tells from another.
    pub async fn lack(&self, call: &Call) -> bool {
        let Some(has) = self.0.lock().unwrap().clone() else { return false };
        // What stops a change bears the token of that change, and a word more.
        let token = call.token().trim_end_matches("-cancel").to_owned();
        if !call.writes() {
            return false;
        }
        if token.is_empty() {
            return call.effect().is_some_and(|effect| effect != "delete");
        }
        !tokio::task::spawn_blocking(move || has(&token)).await.unwrap()
    }
}

fn any_store_has(place: &Path, token: &str) -> bool {
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    // The log first: what leaves it meanwhile is in the file by then.
    let files = ["vend.sqlite-wal", "vend.sqlite"];
    let mut all = entries.flat_map(|entry| files.map(|name| entry.path().join(name)));
    all.any(|file| {
        let bytes = std::fs::read(file).unwrap_or_default();
        String::from_utf8_lossy(&bytes).contains(token)
    })
}
