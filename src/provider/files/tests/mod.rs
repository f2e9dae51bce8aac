//! Stories of both modes, on real folders and real repositories.

mod directory;
mod repository;

use std::path::Path;
use std::sync::Arc;

use super::{Files, FilesSettings};
use crate::digest::{of_files, sha256};
use crate::git::Transport;
use crate::model::Artifact;

/// Two files, one of them in a folder; version 2 has other ones.
fn artifact(n: u8) -> Artifact {
    let mut files = std::collections::BTreeMap::from([
        ("app.yaml".to_owned(), format!("version: {n}\n")),
        ("deep/er/same.yaml".to_owned(), "same: true\n".to_owned()),
        (format!("only/in-{n}.yaml"), format!("{n}\n")),
    ]);
    if n == 3 {
        // A file where there was a folder, a folder where there was a file.
        files.insert("only".into(), "file\n".into());
        files.insert("app.yaml/x".into(), "x\n".into());
        files.remove("only/in-3.yaml");
        files.remove("app.yaml");
    }
    let digest = of_files(files.iter().map(|(p, t)| (p.as_str(), sha256(t.as_bytes()))));
    Artifact { files, digest: Some(digest) }
}

fn provider(at: &Path, allow: Vec<String>) -> Files {
    let transport = Arc::new(Transport::new(at.join("home")));
    Files::new(FilesSettings { allow, state: at.join("state"), transport, batch: 500 }).unwrap()
}
