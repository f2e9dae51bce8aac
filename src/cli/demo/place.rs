//! The demo's folder: made, or taken over from an earlier demo; nobody else's is ever touched.

use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::files::{CATALOG, Embedded, REQUESTS};
use crate::cli::failure::{Failure, Kind};

/// Says that a folder is a demo's.
const MARKER: &str = ".vend-demo";
const MARKER_TEXT: &str =
    "This folder belongs to `vend demo`, which replaces what it made here when it runs again.\n";

/// All that a demo makes; nothing else in the folder is replaced.
const OURS: [&str; 7] = ["git", "catalog", "requests", "state", "local", "cache", "vend.yaml"];

/// The addresses that the samples leave open.
const OUTPUT: &str = "https://git.example.com/platform/deployments.git";
const LOCAL: &str = "/srv/vend/local";

/// A new folder among the system's temporary ones, which stays.
pub fn temporary() -> Result<PathBuf, Failure> {
    let folder = tempfile::Builder::new().prefix("vend-demo-").tempdir()?.keep();
    mark(&folder)?;
    absolute(&folder)
}

/// The folder at `path`, empty but for the marker and what is not a demo's.
pub fn prepare(path: &Path) -> Result<PathBuf, Failure> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            std::fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(path)
                .map_err(|e| failed(e, "make", path))?;
            mark(path)?;
        }
        Err(error) => return Err(failed(error, "look at", path)),
        Ok(found) if !found.is_dir() => {
            return Err(Failure::usage(format!("`{}` is not a folder", path.display())));
        }
        Ok(_) if is_marked(path) => clear(path)?,
        Ok(_) if is_empty(path)? => mark(path)?,
        Ok(_) => {
            return Err(Failure::usage(format!(
                "`{}` is not empty, and no demo made it",
                path.display()
            ))
            .hint("name another folder, or none: then a temporary one is made"));
        }
    }
    absolute(path)
}

fn is_empty(path: &Path) -> Result<bool, Failure> {
    let mut entries = std::fs::read_dir(path).map_err(|e| failed(e, "read", path))?;
    Ok(entries.next().is_none())
}

/// Whether a regular file of the marker's name and text is there.
fn is_marked(path: &Path) -> bool {
    let marker = path.join(MARKER);
    std::fs::symlink_metadata(&marker).is_ok_and(|m| m.is_file())
        && std::fs::read(&marker).is_ok_and(|text| text == MARKER_TEXT.as_bytes())
}

fn mark(path: &Path) -> Result<(), Failure> {
    let mut file = std::fs::File::create_new(path.join(MARKER))
        .map_err(|e| failed(e, "write the marker in", path))?;
    Ok(file.write_all(MARKER_TEXT.as_bytes())?)
}

/// The marker stays, so that a demo stopped in the middle of this is recognised by the next.
fn clear(path: &Path) -> Result<(), Failure> {
    if UnixStream::connect(path.join("state/vend.sock")).is_ok() {
        return Err(Failure::usage(format!(
            "a daemon of an earlier demo works in `{}`",
            path.display()
        ))
        .hint("stop that `vend serve` first, or name another folder"));
    }
    for name in OURS {
        let entry = path.join(name);
        let removed = match std::fs::symlink_metadata(&entry) {
            Ok(found) if found.is_dir() => std::fs::remove_dir_all(&entry),
            Ok(_) => std::fs::remove_file(&entry),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
        };
        removed.map_err(|e| failed(e, "remove", &entry))?;
    }
    Ok(())
}

/// The samples, with the addresses filled in that they leave open, and the operator's file.
pub fn furnish(root: &Path) -> Result<(), Failure> {
    let address = |path: PathBuf| -> Result<String, Failure> {
        // A path may hold what YAML reads otherwise; a JSON string is YAML in every case.
        let text = path.to_str().ok_or_else(|| {
            Failure::usage(format!("`{}` is not UTF-8: name another folder", path.display()))
        })?;
        Ok(serde_json::Value::from(text).to_string())
    };
    let output = address(root.join("git/deployments.git"))?;
    let local = address(root.join("local"))?;
    let catalog = |text: String| text.replace(OUTPUT, &output).replace(LOCAL, &local);
    write(&root.join("catalog"), CATALOG, |path, text| {
        if path.starts_with("environments/") { catalog(text) } else { text }
    })?;
    let fits = |(path, text): &&Embedded| *path != "README.md" && !needs_an_account(text);
    let requests: Vec<Embedded> = REQUESTS.iter().filter(fits).copied().collect();
    write(&root.join("requests"), &requests, |path, text| match path {
        "vend.yaml" => text
            .replace("../sample-catalog", "../catalog")
            .replace("repository: .\n", "repository: ../git/requests.git\n"),
        _ => text,
    })?;
    std::fs::create_dir(root.join("local"))?;
    Ok(std::fs::write(root.join("vend.yaml"), OPERATOR)?)
}

/// Whether CloudFormation makes a request's template; a demo has no account. Read off the text, since
/// how the samples are written is known, and one let through would be held and say so.
fn needs_an_account(request: &[u8]) -> bool {
    let request = String::from_utf8_lossy(request);
    let template = request.split_once("template: ").and_then(|(_, rest)| rest.split_once('@'));
    template.is_some_and(|(template, _)| {
        let of = format!("templates/{template}/");
        CATALOG.iter().any(|(path, text)| {
            path.starts_with(&of)
                && path.ends_with("/template.yaml")
                && String::from_utf8_lossy(text).contains("provider: cloudformation")
        })
    })
}

const OPERATOR: &str = "\
catalog: {repository: ./git/catalog.git}
requests:
  - repository: ./git/requests.git
stateDir: ./state
# Where the catalog may have files written to.
providers:
  files: {allow: [./git/deployments.git, ./local]}
";

/// Writes files below a folder; `change` gets each text file on its way.
pub fn write(
    folder: &Path,
    files: &[(&str, &[u8])],
    change: impl Fn(&str, String) -> String,
) -> Result<(), Failure> {
    for (path, bytes) in files {
        let file = folder.join(path);
        if let Some(parent) = file.parent() {
            std::fs::create_dir_all(parent).map_err(|e| failed(e, "make", parent))?;
        }
        let bytes = match std::str::from_utf8(bytes) {
            Ok(text) => change(path, text.to_owned()).into_bytes(),
            Err(_) => bytes.to_vec(),
        };
        std::fs::write(&file, bytes).map_err(|e| failed(e, "write", &file))?;
    }
    Ok(())
}

fn absolute(path: &Path) -> Result<PathBuf, Failure> {
    path.canonicalize().map_err(|e| failed(e, "find", path))
}

fn failed(error: std::io::Error, verb: &str, path: &Path) -> Failure {
    let message = format!("cannot {verb} `{}`", path.display());
    Failure::new(Kind::Failed, anyhow::Error::new(error).context(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_demos_own_folder_is_replaced_and_only_what_the_demo_made() {
        let temp = tempfile::tempdir().unwrap();
        let theirs = temp.path().join("theirs");
        std::fs::create_dir_all(theirs.join("git")).unwrap();
        assert!(prepare(&theirs).is_err(), "somebody's folder");
        std::fs::write(theirs.join(MARKER), "something else").unwrap();
        assert!(prepare(&theirs).is_err(), "a marker with another text");
        assert!(theirs.join("git").is_dir());

        let ours = temp.path().join("deep/ours");
        prepare(&ours).unwrap();
        std::fs::create_dir_all(ours.join("git/x")).unwrap();
        std::fs::write(ours.join("notes.txt"), "mine").unwrap();
        prepare(&ours).unwrap();
        assert!(!ours.join("git").exists());
        assert_eq!(std::fs::read_to_string(ours.join("notes.txt")).unwrap(), "mine");
    }

    #[test]
    fn links_are_not_followed() {
        let temp = tempfile::tempdir().unwrap();
        let theirs = temp.path().join("theirs");
        std::fs::create_dir_all(&theirs).unwrap();
        std::fs::write(theirs.join("kept"), "").unwrap();
        let ours = temp.path().join("ours");
        prepare(&ours).unwrap();
        std::os::unix::fs::symlink(&theirs, ours.join("git")).unwrap();
        prepare(&ours).unwrap();
        assert!(theirs.join("kept").exists() && !ours.join("git").exists());
        std::os::unix::fs::symlink(&ours, temp.path().join("link")).unwrap();
        assert!(prepare(&temp.path().join("link")).is_err());
    }

    #[test]
    fn a_path_with_odd_characters_stays_a_path() {
        let temp = tempfile::tempdir().unwrap();
        let root = prepare(&temp.path().join("a: b # \"c\"")).unwrap();
        furnish(&root).unwrap();
        let text = std::fs::read_to_string(root.join("catalog/environments/dev.yaml")).unwrap();
        assert!(text.contains(r#"a: b # \"c\"/git/deployments.git""#), "{text}");
        assert!(!text.contains("git.example.com"));
        let local = std::fs::read_to_string(root.join("catalog/environments/local.yaml")).unwrap();
        assert!(!local.contains("/srv/"));
        let laptop = std::fs::read_to_string(root.join("requests/vend.yaml")).unwrap();
        assert_eq!(laptop.matches("repository: ../git/requests.git\n").count(), 2);
        assert!(laptop.contains("repository: ../catalog\n"));
    }
}
