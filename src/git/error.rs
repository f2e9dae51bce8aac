//! What went wrong, sorted by what to do about it.

use std::io;

use crate::fault::Fault;

/// Why Git could not do it.
#[derive(Debug, thiserror::Error)]
pub enum GitError {
    /// The network, the server or the deadline: try later. What was fetched last stays in use.
    #[error("{what}: no answer: {text}")]
    Unavailable {
        /// What was tried, with its place.
        what: String,
        /// What `git` said.
        text: String,
    },
    /// The repository, branch or revision is not there, or not for us (servers say 404 for both).
    #[error("{what}: not there: {text}")]
    Missing {
        /// What was asked for.
        what: String,
        /// What `git` said.
        text: String,
    },
    /// The server answered and refuses the push: a hook, a protection rule, a quota, no right to.
    #[error("{what}: denied: {text}")]
    Denied {
        /// What was tried.
        what: String,
        /// What the server said.
        text: String,
        /// Whatever were pushed would be denied: the branch or the right to push is what it is
        /// about. Otherwise it may be something in what was pushed.
        always: bool,
    },
    /// Somebody else moved the branch first: fetch, build again on the new tip, push again.
    #[error("{what}: the branch has moved")]
    Raced {
        /// What was tried.
        what: String,
    },
    /// The push was sent and its end not seen: fetch and look.
    #[error("{what}: sent, and the answer was lost: {text}")]
    Unknown {
        /// What was tried.
        what: String,
        /// What `git` said.
        text: String,
    },
    /// Objects on our disk do not match their ids; the next fetch clones anew.
    #[error("{what}: damaged on disk: {text}")]
    Corrupt {
        /// Which repository or object.
        what: String,
        /// What was found.
        text: String,
    },
    /// A person must change something: an address that is not allowed, a repository of an
    /// unsupported format, content that fails Git's own checks.
    #[error("{what}: {text}")]
    Refused {
        /// A stable code, such as `SRC001`.
        code: &'static str,
        /// Whose fault.
        what: String,
        /// What is wrong.
        text: String,
    },
    /// More entries than the limit; none were given.
    #[error("more than {limit} entries")]
    TooMany {
        /// The limit.
        limit: usize,
    },
    /// libgit2 failed at something on this machine.
    #[error("{doing}")]
    Git2 {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: git2::Error,
    },
    /// The operating system failed at something.
    #[error("{doing}")]
    Io {
        /// What was being done.
        doing: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

impl GitError {
    /// The repository answered, and has no such branch. Servers say of a repository in the same breath that
    /// it is not there or not for us, and that says nothing of what is in it.
    pub fn is_no_branch(&self) -> bool {
        matches!(self, Self::Missing { text, .. } if text.contains("couldn't find remote ref"))
    }

    /// Whether waiting may mend it without anybody's help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::Raced { .. } | Self::Unknown { .. })
    }

    /// Whether the repository answered and has no such branch: `git` says this and nothing else then.
    pub fn is_branch_missing(&self) -> bool {
        matches!(self, Self::Missing { text, .. }
            if text.to_ascii_lowercase().contains("couldn't find remote ref"))
    }

    /// The same, with another name for what was asked for.
    pub(super) fn about(mut self, about: String) -> Self {
        match &mut self {
            Self::Unavailable { what, .. }
            | Self::Missing { what, .. }
            | Self::Denied { what, .. }
            | Self::Raced { what }
            | Self::Unknown { what, .. }
            | Self::Corrupt { what, .. }
            | Self::Refused { what, .. } => *what = about,
            Self::TooMany { .. } | Self::Git2 { .. } | Self::Io { .. } => {}
        }
        self
    }

    /// The stable code of a refusal.
    pub fn code(&self) -> Option<&'static str> {
        match self {
            Self::Refused { code, .. } => Some(code),
            _ => None,
        }
    }
}

impl From<Fault> for GitError {
    fn from(fault: Fault) -> Self {
        Self::Unavailable { what: "git".into(), text: fault.to_string() }
    }
}

/// An operating system's error, with what was being done.
pub(super) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> GitError {
    move |source| GitError::Io { doing: doing.into(), source }
}

/// libgit2's error at something that is not the reading of an object.
pub(super) fn git2(doing: impl Into<String>) -> impl FnOnce(git2::Error) -> GitError {
    move |source| {
        let text = source.message();
        // libgit2 reads neither; both are a matter of how the repository was made.
        if text.contains("unknown object format") || text.contains("unsupported extension") {
            let text = format!("this repository format is not supported: {text}");
            return GitError::Refused { code: "SRC001", what: doing.into(), text };
        }
        GitError::Git2 { doing: doing.into(), source }
    }
}

/// libgit2's error at the reading of an object that must be there, by a ref or a tree: whatever it
/// is, the object store is not whole.
pub(super) fn object(id: impl std::fmt::Display) -> impl FnOnce(git2::Error) -> GitError {
    move |source| GitError::Corrupt {
        what: format!("object `{id}`"),
        text: source.message().to_owned(),
    }
}
