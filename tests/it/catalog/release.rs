//! `vend catalog release`: the next version, from a clone.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::{World, git};

/// A clone of the catalog, with no configuration anywhere near.
struct Clone<'w> {
    world: &'w World,
    _root: TempDir,
    folder: PathBuf,
}

impl<'w> Clone<'w> {
    fn new(world: &'w World) -> Self {
        let root = tempfile::Builder::new().prefix("vend-clone-").tempdir().unwrap();
        let folder = root.path().join("catalog");
        git(
            &world.root().join("home"),
            &["clone", "-q", &world.catalog.url(), folder.to_str().unwrap()],
            "",
        );
        Self { world, _root: root, folder }
    }

    #[track_caller]
    fn release(&self, code: i32, more: &[&str]) -> String {
        let args: Vec<&str> =
            ["catalog", "release"].into_iter().chain(more.iter().copied()).collect();
        let mut command = self.world.command(&args);
        let output = command.current_dir(&self.folder).env_remove("VEND_CONFIG").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    fn path(&self, path: &str) -> PathBuf {
        self.folder.join("templates/note").join(path)
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    fn git(&self, args: &[&str]) {
        let folder = self.folder.to_str().unwrap();
        let identity = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        let args: Vec<&str> =
            ["-C", folder].into_iter().chain(identity).chain(args.iter().copied()).collect();
        git(&self.world.root().join("home"), &args, "");
    }
}

fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

#[test]
fn a_version_is_copied_edited_and_gets_the_number_that_it_needs() {
    let world = World::new();
    let clone = Clone::new(&world);
    let former = clone.read("1.1.0/template.yaml");

    let said = clone.release(0, &["note"]);
    assert!(said.contains("Copied `note@1.1.0` to `templates/note/1.1.1`"), "{said}");
    assert_eq!(
        clone.read("1.1.1/template.yaml"),
        former.replace("version: 1.1.0", "version: 1.1.1")
    );
    assert!(clone.read("1.1.1/CHANGELOG.md").starts_with("# Changelog\n\n## 1.1.1\n"));
    assert_eq!(clone.read("1.1.0/template.yaml"), former);

    // Nothing that counts differs yet: it keeps its number, however often it is asked for.
    let said = clone.release(0, &["note"]);
    assert!(said.contains("is a patch change after `1.1.0`, and its number says so"), "{said}");

    let schema = clone.read("1.1.1/schema.json").replace(
        "\"text\": {\"type\": \"string\"}",
        "\"text\": {\"type\": \"string\", \"maxLength\": 3}",
    );
    std::fs::write(clone.path("1.1.1/schema.json"), &schema).unwrap();
    let said = clone.release(0, &["note"]);
    assert!(said.contains("is a major change after `1.1.0`: it is called `2.0.0` now"), "{said}");
    assert!(said.contains("`text` is bounded by `maxLength: 3` now"), "{said}");
    assert!(!is_there(&clone.path("1.1.1")));
    assert_eq!(clone.read("2.0.0/schema.json"), schema);
    assert_eq!(
        clone.read("2.0.0/template.yaml"),
        former.replace("version: 1.1.0", "version: 2.0.0")
    );
    assert!(clone.read("2.0.0/CHANGELOG.md").contains("## 2.0.0\n"));
    let said = clone.release(0, &["note"]);
    assert!(said.contains("is a major change after `1.1.0`, and its number says so"), "{said}");

    // Once it is on the main branch, the next one comes after it.
    clone.git(&["add", "-A"]);
    clone.git(&["commit", "-qm", "note 2.0.0"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    world.apply();
    world.again_nothing();
    let said = clone.release(0, &["note", "--bump", "minor"]);
    assert!(said.contains("`templates/note/2.1.0`"), "{said}");
    let half = std::fs::read_dir(clone.path("")).unwrap().map(|e| e.unwrap().file_name());
    assert!(half.into_iter().all(|name| !name.to_string_lossy().starts_with('.')));
}

#[test]
fn what_cannot_be_released_is_said() {
    let world = World::new();
    let clone = Clone::new(&world);
    let said = clone.release(2, &["not"]);
    assert!(said.contains("did you mean `note`?"), "{said}");
    let said = clone.release(2, &["note", "--bump", "huge"]);
    assert!(said.contains("huge"), "{said}");
    // Something is there that is no version: it is not overwritten.
    std::fs::write(clone.path("1.1.1"), "mine\n").unwrap();
    let said = clone.release(2, &["note"]);
    assert!(said.contains("something at") && said.contains("1.1.1"), "{said}");
    assert_eq!(clone.read("1.1.1"), "mine\n");
}
