//! What is wrong with a source, in one sentence, with what helps.

use crate::model::{SourceName, SourceProblem};

/// The sentence.
pub fn sentence(name: &SourceName, problem: &SourceProblem) -> String {
    match problem {
        SourceProblem::Stale { error, since } => {
            format!(
                "`{name}` could not be fetched since {since}; the last good commit stays in use and nothing is deleted: {error}"
            )
        }
        SourceProblem::Missing { error, since } => {
            format!(
                "`{name}` is not there since {since}; everything of it is left as it is: {error}"
            )
        }
        SourceProblem::HistoryRewritten { last, tip } => format!(
            "the history of `{name}` was rewritten: {} does not descend from {}; everything of it is left as it is until `vend approve {name}@{tip}`",
            tip.short(),
            last.short()
        ),
        SourceProblem::FolderMissing { path, tip } => format!(
            "the folder `{path}` of `{name}` is not in {}; everything of it is left as it is until it is back, or until `vend approve {name}@{tip}`",
            tip.short()
        ),
        SourceProblem::TooManyFiles { limit } => {
            format!(
                "`{name}` has more than {limit} files; none of it is used: raise `limits.files` or split the repository"
            )
        }
    }
}
