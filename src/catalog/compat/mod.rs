//! What a new version of a template does to those who use the one before it: the change of number
//! that it needs is computed, not claimed.
//!
//! # Guarantees
//! - A value that the older schema takes and the newer one refuses is never found to be less than a
//!   major change. A property test holds this.
//! - What cannot be judged, such as one pattern against another, counts as narrowed, and says so.
//!
//! # Caveats
//! What sources render to is not known here: renders are made elsewhere, and what
//! [`rendered::compare`] says of them is given to [`problems`] or added to a [`Comparison`].

mod claim;
mod contract;
mod default;
mod lifetime;
mod narrow;
pub mod release;
pub mod rendered;
mod same;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use semver::Version;

pub use claim::{Bump, claimed, next};

use super::load::Catalog;
use super::template::TemplateVersion;
use crate::model::{Diagnostic, Place, TemplateId};

/// One thing that differs for those who use a version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Reason {
    /// What it takes.
    pub bump: Bump,
    /// What differs, as a sentence in lower case without full stop.
    pub what: String,
    /// Where, in the files of the newer version.
    pub place: Place,
}

/// A version, held against the one that it follows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Comparison {
    /// The version that it follows.
    pub from: TemplateId,
    /// The version.
    pub to: TemplateId,
    /// What differs, the gravest first.
    pub reasons: Vec<Reason>,
    /// What `versionBump` of the newer version says instead, and where.
    pub overridden: Option<(Bump, Place)>,
}

impl Comparison {
    /// What the reasons come to.
    pub fn computed(&self) -> Bump {
        self.reasons.iter().map(|reason| reason.bump).max().unwrap_or(Bump::Patch)
    }

    /// What counts: the author's own word, else what was computed.
    pub fn bump(&self) -> Bump {
        self.overridden.as_ref().map_or_else(|| self.computed(), |(bump, _)| *bump)
    }

    /// With further reasons, such as what the tests of both versions render to.
    #[must_use]
    pub fn with(mut self, more: impl IntoIterator<Item = Reason>) -> Self {
        self.reasons.extend(more);
        self.reasons.sort_by(|a, b| b.bump.cmp(&a.bump).then_with(|| a.cmp(b)));
        self.reasons.dedup();
        self
    }
}

/// Holds `new` against `old`.
pub fn compare(old: &TemplateVersion, new: &TemplateVersion) -> Comparison {
    let mut reasons = contract::compare(old, new);
    reasons.extend(narrow::compare(old, new));
    reasons.extend(default::compare(old, new));
    reasons.extend(lifetime::compare(old, new));
    let comparison = Comparison {
        from: old.id.clone(),
        to: new.id.clone(),
        reasons: Vec::new(),
        overridden: new.bump.clone(),
    };
    comparison.with(reasons)
}

/// How `new` gives requests of `old` another end, a sentence each.
pub fn ends(old: &TemplateVersion, new: &TemplateVersion) -> Vec<String> {
    lifetime::compare(old, new).into_iter().map(|reason| reason.what).collect()
}

/// The version that a version follows: the next lower one that is no pre-release and can be read.
pub fn before<'a>(
    versions: &'a BTreeMap<Version, Arc<TemplateVersion>>,
    version: &Version,
) -> Option<&'a Arc<TemplateVersion>> {
    let lower = versions.range(..version).rev().map(|(_, lower)| lower);
    lower.filter(|lower| lower.id.version.pre.is_empty()).find(|lower| !lower.is_broken())
}

/// The comparison of each version that can be read with the one that it follows.
pub fn comparisons(catalog: &Catalog) -> impl Iterator<Item = (&Arc<TemplateVersion>, Comparison)> {
    catalog.templates.values().flat_map(|versions| {
        let readable = versions.values().filter(|version| !version.is_broken());
        readable.filter_map(|new| {
            let old = before(versions, &new.id.version)?;
            Some((new, compare(old, new)))
        })
    })
}

/// What two versions, the older one first, render to differently.
pub type Renders<'a> = &'a dyn Fn(&Arc<TemplateVersion>, &Arc<TemplateVersion>) -> Vec<Reason>;

/// What is wrong with the numbers of all versions. Those that are `published` cannot be mended any
/// more: for them it is a warning, and what they render to is not asked for.
pub fn problems(
    catalog: &Catalog,
    published: &BTreeSet<TemplateId>,
    renders: Renders<'_>,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    for (new, comparison) in comparisons(catalog) {
        let is_published = published.contains(&new.id);
        let comparison = match catalog.version(&comparison.from) {
            Some(old) if !is_published => comparison.with(renders(old, new)),
            _ => comparison,
        };
        found.extend(judge(new, &comparison, is_published));
    }
    super::schema::sorted(found)
}

/// What is wrong with one version's number.
pub fn judge(
    new: &TemplateVersion,
    comparison: &Comparison,
    is_published: bool,
) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    if let Some((said, place)) = &comparison.overridden {
        found.extend(overridden(comparison, *said, place));
    }
    let (from, to) = (&comparison.from.version, &comparison.to.version);
    let (claimed, needed) = (claimed(from, to), comparison.bump());
    if claimed < needed {
        found.push(too_low(new, comparison, claimed, is_published));
    }
    found
}

/// An author's word against what was computed is shown, always.
fn overridden(comparison: &Comparison, said: Bump, place: &Place) -> Option<Diagnostic> {
    let computed = comparison.computed();
    if said == computed {
        return None;
    }
    let message = format!(
        "`versionBump` says that `{}` is a {said} change after `{}`; by what differs it is a {computed} one",
        comparison.to, comparison.from.version
    );
    let problem = Diagnostic::warning("VER002", place.clone(), message)
        .help("the file's word counts; whoever reviews it should know why");
    Some(with_reasons(problem, comparison, Bump::Patch))
}

fn too_low(
    new: &TemplateVersion,
    comparison: &Comparison,
    claimed: Bump,
    is_published: bool,
) -> Diagnostic {
    let (from, needed) = (&comparison.from.version, comparison.bump());
    let to = next(from, needed);
    let message = format!(
        "`{}` is a {needed} change after `{from}`, and its number says {claimed}{}",
        comparison.to,
        claim::remark(from)
    );
    let place = new.version_place.clone();
    let problem = if is_published {
        Diagnostic::warning("VER001", place, message)
            .help("it is published, so it stays; publish what should have been under a new number")
    } else {
        let help = format!(
            "call it `{to}` or higher, or say `versionBump: {claimed}` below `spec` if nobody is harmed"
        );
        Diagnostic::error("VER001", place, message).help(help)
    };
    with_reasons(problem, comparison, claimed)
}

/// At most this many reasons are named in one diagnostic.
const NAMED: usize = 12;

/// The reasons that are graver than `above`.
fn with_reasons(problem: Diagnostic, comparison: &Comparison, above: Bump) -> Diagnostic {
    let graver = || comparison.reasons.iter().filter(move |reason| reason.bump > above);
    let mut problem = graver().take(NAMED).fold(problem, |problem, reason| {
        problem.related(reason.place.clone(), format!("{}: {}", reason.bump, reason.what))
    });
    let left = graver().count().saturating_sub(NAMED);
    if left > 0 {
        problem.help.push_str(&format!(" ({left} more reasons are not named)"));
    }
    problem
}
