//! Running and showing: a heading, a command as somebody would type it, its own output, a remark.

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::super::failure::{Failure, Kind};
use super::super::output;

/// Where a command is typed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum At {
    /// The operator's folder, with the daemon's `vend.yaml`.
    Operator,
    /// A developer's clone of the requests.
    Requests,
}

/// One demo under way.
pub struct Stage {
    root: PathBuf,
    vend: PathBuf,
    pauses: bool,
    colour: bool,
    scenes: u32,
}

impl Stage {
    /// In a folder of its own, with this very program.
    pub fn new(root: PathBuf, no_pause: bool) -> Result<Self, Failure> {
        let terminal = std::io::stdout().is_terminal() && std::io::stdin().is_terminal();
        let colour = output::is_colourful(&std::io::stdout());
        let vend = std::env::current_exe()?;
        Ok(Self { root, vend, pauses: terminal && !no_pause, colour, scenes: 0 })
    }

    /// The demo's folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The program that is shown.
    pub fn program(&self) -> &Path {
        &self.vend
    }

    /// Begins a scene, after the reader is done with the last one.
    pub fn scene(&mut self, title: &str) -> Result<(), Failure> {
        if self.scenes > 0 && self.pauses {
            output::print("");
            eprint!("{}", self.paint("2", "Enter goes on, Ctrl-C stops. "));
            std::io::stderr().flush()?;
            std::io::stdin().read_line(&mut String::new())?;
        }
        self.scenes += 1;
        let line = format!("== {}. {title}", self.scenes);
        output::print(&format!("\n{}", self.paint("1", &line)));
        Ok(())
    }

    /// What to notice.
    pub fn notice(&self, text: &str) {
        output::print(&self.paint("36", &format!("-> {text}")));
    }

    /// What somebody does in an editor.
    pub fn edits(&self, file: &str, from: &str, to: &str) -> Result<(), Failure> {
        let path = self.root.join("requests").join(file);
        let text = std::fs::read_to_string(&path)?;
        if text.matches(from).count() != 1 {
            let message = format!("`{from}` is not there once in `{}`", path.display());
            return Err(Failure::new(Kind::Failed, anyhow::Error::msg(message)));
        }
        std::fs::write(&path, text.replace(from, to))?;
        let lines = |sign: char, text: &str| -> String {
            text.lines().map(|line| format!("   {sign} {}\n", line.trim_end())).collect()
        };
        let head = self.paint("2", &format!("# in {file}:"));
        output::print(&format!("\n{head}\n{}{}", lines('-', from), lines('+', to)));
        Ok(())
    }

    /// `vend …`, which must end with the exit code `code`.
    pub fn vend(&self, at: At, arguments: &str, code: i32) -> Result<(), Failure> {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        self.shows(at, "vend", &self.vend, &arguments, code)
    }

    /// `git …`, its arguments split at spaces.
    pub fn git(&self, at: At, arguments: &str) -> Result<(), Failure> {
        self.shows(at, "git", Path::new("git"), &arguments.split(' ').collect::<Vec<_>>(), 0)
    }

    /// Commits everything in the clone and pushes it.
    pub fn pushes(&self, message: &str) -> Result<(), Failure> {
        self.types(At::Requests, &format!("git commit -qam '{message}' && git push -q"));
        let git = self.own_git("requests");
        git.run(&["add", "-A"])?;
        git.run(&["commit", "-qam", message])?;
        git.run(&["push", "-q"])
    }

    /// Git in a folder of the demo, silently.
    pub fn own_git(&self, folder: &str) -> Git {
        Git::at(self.root.join(folder))
    }

    /// What `vend --format json …` says, silently: for what a reader would copy from the screen.
    pub fn asks(&self, arguments: &[&str]) -> Result<serde_json::Value, Failure> {
        let output = self
            .command(At::Operator, &self.vend)
            .args(["--format", "json"])
            .args(arguments)
            .stderr(Stdio::inherit())
            .output()?;
        serde_json::from_slice(&output.stdout).map_err(|e| Failure::from(anyhow::Error::new(e)))
    }

    fn types(&self, at: At, command: &str) {
        let place = match at {
            At::Operator => "",
            At::Requests => "requests",
        };
        output::print(&format!("\n{}", self.paint("1", &format!("{place}$ {command}"))));
    }

    fn shows(
        &self,
        at: At,
        name: &str,
        program: &Path,
        arguments: &[&str],
        code: i32,
    ) -> Result<(), Failure> {
        self.types(at, &format!("{name} {}", arguments.join(" ")));
        let status =
            self.command(at, program).args(arguments).status().map_err(|e| not_run(e, name))?;
        if status.code() == Some(code) {
            return Ok(());
        }
        let message =
            format!("`{name} {}` ended with {status}, not with {code}", arguments.join(" "));
        Err(Failure::new(Kind::Failed, anyhow::Error::msg(message)))
    }

    fn command(&self, at: At, program: &Path) -> Command {
        let folder = match at {
            At::Operator => self.root.clone(),
            At::Requests => self.root.join("requests"),
        };
        let mut command = scrubbed(program, &folder);
        // One's own cache has no say, and a home folder is not needed.
        command.env("XDG_CACHE_HOME", self.root.join("cache"));
        command.stdin(Stdio::null());
        command
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.colour { format!("\u{1b}[{colour}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Git in one folder, without the user's own settings.
pub struct Git(PathBuf);

impl Git {
    /// In this folder.
    pub fn at(folder: PathBuf) -> Self {
        Self(folder)
    }

    /// Runs it; its words are the error.
    pub fn run(&self, arguments: &[&str]) -> Result<(), Failure> {
        let output = scrubbed(Path::new("git"), &self.0)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| not_run(e, "git"))?;
        if output.status.success() {
            return Ok(());
        }
        let words = String::from_utf8_lossy(&output.stderr);
        let message = format!(
            "`git {}` in `{}` failed: {}",
            arguments.join(" "),
            self.0.display(),
            crate::model::escape(words.trim(), 400)
        );
        Err(Failure::new(Kind::Failed, anyhow::Error::msg(message)))
    }
}

/// What children are given of our own environment: where programs lie, what the terminal is, and by whom an
/// approval is.
const GIVEN: [&str; 6] = ["PATH", "TMPDIR", "TERM", "COLUMNS", "NO_COLOR", "USER"];

/// A child with an environment of its own. Variables of git's could point it at another repository, one's own
/// settings could sign commits, run hooks or leave files out, and no token of whoever looks at a demo is of any
/// use to it.
fn scrubbed(program: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folder).env_clear();
    command.envs(GIVEN.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    command
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_PAGER", "cat")
        .env("GIT_TERMINAL_PROMPT", "0");
    command
}

fn not_run(error: std::io::Error, name: &str) -> Failure {
    let missing = error.kind() == std::io::ErrorKind::NotFound;
    let failure = Failure::new(
        Kind::Failed,
        anyhow::Error::new(error).context(format!("cannot run `{name}`")),
    );
    if missing { failure.hint(format!("install {name}")) } else { failure }
}
