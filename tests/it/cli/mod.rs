//! The command line as its users meet it: exit codes, formats, a laptop's clone, configuration.

mod blast;
mod config;
mod extend;
mod laptop;
mod new;
mod output;
mod terminal;
mod trap;
mod upgrade;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::world::{Edit, Output, World, write};

/// Somebody's clone of the requests repository, with a cache of its own.
pub struct Laptop<'w> {
    world: &'w World,
    /// The clone.
    pub clone: PathBuf,
}

impl<'w> Laptop<'w> {
    /// Puts a `vend.yaml` into the requests repository, which names itself, and clones it.
    pub fn new(world: &'w World) -> Self {
        let text = format!(
            "catalog: {{repository: {}}}\nrequests: [{{repository: .}}]\n",
            world.catalog.url()
        );
        world.requests.commit([write("vend.yaml", text)]);
        Self::clone(world, &[])
    }

    /// Clones it as it is, with further arguments to `git clone`.
    pub fn clone(world: &'w World, args: &[&str]) -> Self {
        let clone = world.root().join("laptop");
        let _ = std::fs::remove_dir_all(&clone);
        let from = format!("file://{}", world.requests.url());
        let to = clone.to_str().unwrap().to_owned();
        world.requests.git(&[&["clone", "-q"], args, &[&from, &to]].concat());
        Self { world, clone }
    }

    /// Clones the catalog's repository, as whoever writes templates does.
    pub fn catalog(world: &'w World) -> Self {
        let clone = world.root().join("catalog-laptop");
        let from = format!("file://{}", world.catalog.url());
        world.catalog.git(&["clone", "-q", &from, clone.to_str().unwrap()]);
        Self { world, clone }
    }

    /// Runs git in the clone.
    pub fn git(&self, args: &[&str]) -> String {
        let who = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
        let at = ["-C", self.clone.to_str().unwrap()];
        self.world.requests.git(&[&at[..], &who[..], args].concat())
    }

    /// Commits everything and pushes it to `main`.
    pub fn push(&self) {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "-m", "change"]);
        self.git(&["push", "-q", "origin", "HEAD:main"]);
    }

    /// Writes a file of the clone.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let full = self.clone.join(path);
        std::fs::create_dir_all(full.parent().unwrap()).unwrap();
        std::fs::write(full, text).unwrap();
    }

    /// Writes files of the clone.
    pub fn put(&self, edits: impl IntoIterator<Item = Edit>) {
        for edit in edits {
            match edit {
                Edit::Write(path, text) => self.write(&path, text),
                other => panic!("{other:?} is no file"),
            }
        }
    }

    /// Removes a file of the clone.
    pub fn remove(&self, path: &str) {
        std::fs::remove_file(self.clone.join(path)).unwrap();
    }

    /// The executable, as somebody runs it in `folder`.
    pub fn command_in(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = self.world.command(args);
        command
            .current_dir(folder)
            .env_remove("VEND_CONFIG")
            .env("XDG_CACHE_HOME", self.world.root().join("cache"));
        command
    }

    /// Runs it in the clone; it must end with this code.
    #[track_caller]
    pub fn ends(&self, code: i32, args: &[&str]) -> Output {
        self.ends_in(&self.clone, code, args)
    }

    /// As [`Laptop::ends`], in another folder.
    #[track_caller]
    pub fn ends_in(&self, folder: &Path, code: i32, args: &[&str]) -> Output {
        let output = run(self.command_in(folder, args));
        assert_eq!(output.code, code, "vend {args:?}\n{}\n{}", output.stdout, output.stderr);
        output
    }
}

/// Runs a command to its end.
pub fn run(mut command: Command) -> Output {
    let output = command.stdin(std::process::Stdio::null()).output().unwrap();
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}
