//! The life of a catalog, as those who look after one and those who choose from it meet it.

mod check;
mod list;
pub mod release;
mod show;
mod test;

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::world::{Edit, Output, World};

/// A catalog's folder, outside of Git and without a configuration anywhere near.
pub struct Desk<'w> {
    world: &'w World,
    // Not the world's own folder: a configuration lies there.
    _root: TempDir,
    /// The catalog's folder.
    pub folder: PathBuf,
}

impl<'w> Desk<'w> {
    /// With these files in it.
    pub fn new(world: &'w World, files: impl IntoIterator<Item = Edit>) -> Self {
        let root = tempfile::Builder::new().prefix("vend-catalog-").tempdir().unwrap();
        let folder = root.path().join("catalog");
        let desk = Self { world, _root: root, folder };
        desk.edit(files);
        desk
    }

    /// Writes and removes files.
    pub fn edit(&self, files: impl IntoIterator<Item = Edit>) {
        for edit in files {
            match edit {
                Edit::Write(path, text) => {
                    let path = self.folder.join(path);
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(path, text).unwrap();
                }
                Edit::Remove(path) => std::fs::remove_file(self.folder.join(path)).unwrap(),
                Edit::Link(path, to) => {
                    std::os::unix::fs::symlink(to, self.folder.join(path)).unwrap();
                }
                Edit::RemoveAll => std::fs::remove_dir_all(&self.folder).unwrap(),
            }
        }
    }

    /// The executable as somebody runs it in `folder`, whom no configuration is given.
    pub fn command_in(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command
            .current_dir(folder)
            .env_remove("VEND_CONFIG")
            .env("XDG_CACHE_HOME", self.world.root().join("cache"));
        command
    }

    /// Runs it in the catalog; it must end with this code.
    #[track_caller]
    pub fn ends(&self, code: i32, args: &[&str]) -> Output {
        let output = crate::cli::run(self.command_in(&self.folder, args));
        assert_eq!(output.code, code, "vend {args:?}\n{}\n{}", output.stdout, output.stderr);
        output
    }
}
