//! A person at a terminal.

use std::path::Path;
use std::process::Command;

use super::{Laptop, run};
use crate::world::Output;

/// Enter.
pub const ENTER: &str = "\r";
/// The next entry of a list.
pub const DOWN: &str = "\u{1b}[B";
/// Ctrl-C.
pub const STOP: &str = "\u{3}";

impl Laptop<'_> {
    /// Runs the executable on a terminal: each answer is typed once its text has appeared. What it
    /// wrote is in `stdout`.
    #[track_caller]
    pub fn answers(&self, code: i32, args: &[&str], answers: &[(&str, &str)]) -> Output {
        let plain = self.command_in(&self.clone, args);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/terminal");
        let mut command = Command::new("python3");
        command
            .arg(script)
            .arg(serde_json::to_string(answers).unwrap())
            .arg(plain.get_program())
            .args(plain.get_args())
            .current_dir(&self.clone)
            .env_clear()
            .env("TERM", "xterm")
            .env("NO_COLOR", "1");
        let set = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(set);
        let output = run(command);
        assert_eq!(output.code, code, "vend {args:?}\n{}\n{}", output.stdout, output.stderr);
        output
    }
}
