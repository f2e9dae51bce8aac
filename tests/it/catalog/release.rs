//! `vend catalog release`: the next version, from a clone.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::world::{World, git};

/// A clone of the catalog, with no configuration anywhere near.
pub struct Clone<'w> {
    world: &'w World,
    _root: TempDir,
    pub folder: PathBuf,
}

impl<'w> Clone<'w> {
    pub fn new(world: &'w World) -> Self {
        let root = tempfile::Builder::new().prefix("vend-clone-").tempdir().unwrap();
        let folder = root.path().join("catalog");
        git(
            &world.root().join("home"),
            &["clone", "-q", &world.catalog.url(), folder.to_str().unwrap()],
            "",
        );
        Self { world, _root: root, folder }
    }

    /// With the newest commit of one branch, as a workflow's.
    pub fn shallow(world: &'w World, branch: &str) -> Self {
        let root = tempfile::Builder::new().prefix("vend-clone-").tempdir().unwrap();
        let folder = root.path().join("catalog");
        let url = format!("file://{}", world.catalog.url());
        let to = folder.to_str().unwrap();
        let args = ["clone", "-q", "--depth", "1", "--branch", branch, &url, to];
        git(&world.root().join("home"), &args, "");
        Self { world, _root: root, folder }
    }

    #[track_caller]
    fn release(&self, code: i32, more: &[&str]) -> String {
        self.ends(code, "release", more)
    }

    /// `vend catalog WHAT …` in the clone; it must end with this code.
    #[track_caller]
    pub fn ends(&self, code: i32, what: &str, more: &[&str]) -> String {
        let args: Vec<&str> = ["catalog", what].into_iter().chain(more.iter().copied()).collect();
        let mut command = self.world.command(&args);
        command.env("XDG_CACHE_HOME", self.world.root().join("cache"));
        let output = command.current_dir(&self.folder).env_remove("VEND_CONFIG").output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(code), "{said}");
        said
    }

    pub fn path(&self, path: &str) -> PathBuf {
        self.folder.join("templates/note").join(path)
    }

    pub fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap()
    }

    pub fn git(&self, args: &[&str]) {
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
    assert!(!clone.read("1.1.1/CHANGELOG.md").contains("- patch"));

    // What it does to requests of its tests counts, and stands in its changelog, beside the author's words.
    let words = |text: &str| {
        text.replace(
            "<!-- Say in words what this version changes for those who use it. -->",
            "Says hello first.",
        )
    };
    std::fs::write(clone.path("1.1.1/CHANGELOG.md"), words(&clone.read("1.1.1/CHANGELOG.md")))
        .unwrap();
    let source = clone.read("1.1.1/note.yaml.hbs");
    std::fs::write(clone.path("1.1.1/note.yaml.hbs"), format!("greeting: hello\n{source}"))
        .unwrap();
    std::fs::create_dir(clone.path("1.1.1/tests")).unwrap();
    let test = "apiVersion: vend.dev/v1\nkind: TemplateTest\nmetadata: {name: plain}\nspec:\n  environment: dev\n  request: {parameters: {text: hi}}\n  expect: {diagnostics: []}\n";
    std::fs::write(clone.path("1.1.1/tests/plain.yaml"), test).unwrap();
    let patch = "- patch: the component `note` of the test `plain` renders otherwise\n";
    for _ in 0..2 {
        let said = clone.release(0, &["note"]);
        assert!(said.contains(patch.trim_end()), "{said}");
        let log = clone.read("1.1.1/CHANGELOG.md");
        assert!(log.contains("## 1.1.1\n\nSays hello first.\n"), "{log}");
        assert_eq!(log.matches(patch).count(), 1, "{log}");
    }

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
    let log = clone.read("2.0.0/CHANGELOG.md");
    assert!(log.starts_with("# Changelog\n\n## 2.0.0\n\nSays hello first.\n"), "{log}");
    assert!(log.contains("- major: `text` is bounded by `maxLength: 3` now\n"), "{log}");
    assert_eq!(log.matches(patch).count(), 1, "{log}");
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
fn what_comes_after_a_pre_release_is_its_release() {
    let world = World::new();
    let mut version = crate::world::catalog::note("2.0.0-rc.1");
    version.extend(crate::world::catalog::note("1.2.0"));
    world.catalog.commit(version);
    world.apply();
    let clone = Clone::new(&world);
    let said = clone.release(0, &["note"]);
    assert!(said.contains("Copied `note@2.0.0-rc.1` to `templates/note/2.0.0`"), "{said}");
    let said = clone.release(0, &["note"]);
    assert!(said.contains("change after `1.2.0`, and its number says so"), "{said}");
    // More than the pre-release says is more, and less is not less.
    for (bump, to) in [("patch", "2.0.0"), ("major", "2.0.0")] {
        std::fs::remove_dir_all(clone.path("2.0.0")).unwrap();
        let said = clone.release(0, &["note", "--bump", bump]);
        assert!(said.contains(&format!("to `templates/note/{to}`")), "{said}");
    }
    clone.git(&["add", "-A"]);
    clone.git(&["commit", "-qm", "note 2.0.0"]);
    clone.git(&["push", "-q", "origin", "HEAD:main"]);
    world.apply();
    world.again_nothing();
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
