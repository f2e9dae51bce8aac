//! What went wrong, what to try, and the exit code.

use std::process::ExitCode;

use super::args::{Args, Format};
use crate::config::ConfigError;
use crate::model::Diagnostic;
use crate::reconcile::PassError;
use crate::store::StoreError;

/// The kinds of failure, each with its documented exit code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Something failed.
    Failed,
    /// The command line or the surroundings are not as they must be.
    Usage,
    /// Files have errors.
    Invalid,
}

impl Kind {
    /// 1, 2 or 3; 0 is success and 4 is "`--exit-code` found something".
    pub fn code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Invalid => 3,
        }
    }
}

/// Exit code of `--exit-code` when something is to be done, held or in flight.
pub const FOUND: u8 = 4;

/// A failure on its way to the terminal.
#[derive(Debug)]
pub struct Failure {
    kind: Kind,
    error: anyhow::Error,
    hints: Vec<String>,
    problems: Vec<Diagnostic>,
    not_found: bool,
}

impl Failure {
    /// A failure of a kind.
    pub fn new(kind: Kind, error: impl Into<anyhow::Error>) -> Self {
        Self {
            kind,
            error: error.into(),
            hints: Vec::new(),
            problems: Vec::new(),
            not_found: false,
        }
    }

    /// The command line or the surroundings are not as they must be.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, anyhow::Error::msg(message.into()))
    }

    /// What was asked for is not there.
    #[must_use]
    pub fn not_found(mut self) -> Self {
        self.not_found = true;
        self
    }

    /// What failed and why, in one line.
    pub fn message(&self) -> String {
        crate::error::chain(self.error.as_ref())
    }

    /// The exit code.
    pub fn code(&self) -> ExitCode {
        ExitCode::from(self.kind.code())
    }

    /// Whether what was asked for is not there.
    pub fn is_not_found(&self) -> bool {
        self.not_found
    }

    /// With a sentence on what to try.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Prints it and gives the exit code.
    pub fn report(self, args: &Args) -> ExitCode {
        let message = self.message();
        let Self { kind, error: _, hints, problems, not_found: _ } = self;
        if args.format == Format::Json {
            let value = serde_json::json!({
                "error": message, "hints": hints, "exitCode": kind.code(),
                "diagnostics": crate::report::diagnostic::json(&problems)["diagnostics"].take(),
            });
            super::output::print(&value.to_string());
            return ExitCode::from(kind.code());
        }
        if !problems.is_empty() {
            let source = |file: &str| std::fs::read_to_string(file).ok().map(Into::into);
            let colour = super::output::is_colourful(&std::io::stderr());
            eprint!("{}", crate::report::diagnostic::terminal(&problems, &source, colour));
        }
        eprintln!("error: {message}");
        for hint in hints {
            eprintln!("  try: {hint}");
        }
        ExitCode::from(kind.code())
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Kind::Failed, error)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::new(Kind::Failed, error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        let hint = match &error {
            StoreError::Busy(_) | StoreError::Fenced { .. } => {
                Some("another vend works on this store: run `vend status`, or wait")
            }
            StoreError::Full(_) => Some("free some space and run it again; nothing was lost"),
            StoreError::Broken(_) | StoreError::Corrupt { .. } => {
                Some("check the disk, then restart; the status branch holds what a rebuild needs")
            }
            StoreError::Newer { .. } => Some("use the vend that wrote it, or a later one"),
            StoreError::Missing { .. }
            | StoreError::Conflict { .. }
            | StoreError::Unsuitable { .. } => None,
        };
        let failure = Self::new(Kind::Failed, error);
        match hint {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<PassError> for Failure {
    fn from(error: PassError) -> Self {
        match error {
            PassError::Store(error) => error.into(),
            PassError::Settings(message) => Self::usage(message),
            error @ PassError::Another { .. } => Self::new(Kind::Usage, error).hint(
                "without any copy of that store: `vend state rebuild`, run as docs/operate.md, *Restore* says",
            ),
            error @ (PassError::Source { .. } | PassError::Pattern { .. }) => {
                Self::new(Kind::Usage, error)
                    .hint("check the address, the branch and the credentials in the configuration")
            }
            error @ (PassError::Task(_) | PassError::Behind { .. }) => {
                Self::new(Kind::Failed, error)
            }
        }
    }
}

impl From<crate::git::GitError> for Failure {
    fn from(error: crate::git::GitError) -> Self {
        Self::new(Kind::Failed, error)
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let problems = match &error {
            ConfigError::Invalid { problems, .. } => problems.clone(),
            ConfigError::NotFound(_) | ConfigError::Unreadable { .. } => Vec::new(),
        };
        let kind = if problems.is_empty() { Kind::Usage } else { Kind::Invalid };
        let hint = match &error {
            ConfigError::NotFound(_) => {
                Some("`vend init DIR` writes a catalog and a requests repository to start from")
            }
            ConfigError::Unreadable { .. } | ConfigError::Invalid { .. } => None,
        };
        let mut failure = Self { problems, ..Self::new(kind, error) };
        failure.hints.extend(hint.map(str::to_owned));
        failure
    }
}
