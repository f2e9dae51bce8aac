//! A pull request, as its people see it: the one comment, the checks, what is annotated and
//! suggested. What others wrote stays text, nothing that is empty is said, and it always fits.

mod after;
mod approval;
mod ask;
mod changes;
mod check;
mod comment;
mod danger;
mod link;
mod made;
mod opening;
mod problem;
mod suggest;
mod warning;

use crate::model::{
    Action, Blind, Brief, Hold, HoldReason, OnDrift, RequestId, ResourceAction, Stage, Term, Terms,
    nothing_reviewed, nothing_seen, nothing_shown, visible,
};
use crate::report::markdown::plural;

pub use ask::help;
pub use changes::rewritten;
pub use check::{approval, check, of_branch};
pub use comment::{Comment, comment};
pub use made::where_made;
pub use suggest::suggestions;

/// What there is to say, in one line of plain text: the check's title.
pub fn title(brief: &Brief) -> String {
    match &brief.stage {
        Stage::Planned if has_errors(brief) => {
            let plan = counts(brief, |hold| !matches!(hold.reason, HoldReason::Invalid { .. }));
            let plan = with_waves(brief, plan);
            let errors = problem::count(brief);
            if plan.is_empty() { errors } else { format!("{errors}; {plan}") }
        }
        Stage::Planned if brief.is_refused() => {
            format!("Refused by its provider; {}", planned(brief))
        }
        Stage::Planned if brief.is_over() => {
            format!("Its time is over, and a later end comes first; {}", planned(brief))
        }
        Stage::Planned if brief.is_unseen() => {
            format!("Waits for the accounts to be seen; {}", planned(brief))
        }
        Stage::Planned => planned(brief),
        Stage::Conflict { paths } if paths.is_empty() => "Conflicts with its base".to_owned(),
        Stage::Conflict { paths } => {
            format!("Conflicts with its base in {}", plural(paths.len(), "file"))
        }
        Stage::Unknown { .. } => "Not looked at yet".to_owned(),
        Stage::Nothing => match brief.since.as_ref().is_some_and(|since| !since.gone.is_empty()) {
            true => "Nothing changes any more: what it proposed before is gone since the last push",
            false => "Nothing here for vend to do",
        }
        .to_owned(),
        Stage::Merged { changed: Some(changed), .. } if changed.reviewed == nothing_reviewed() => {
            "Held: nobody was shown what it takes away".to_owned()
        }
        Stage::Merged { changed: Some(changed), .. } if changed.reviewed == nothing_shown() => {
            "Held: nobody could be shown what it does".to_owned()
        }
        Stage::Merged { changed: Some(changed), .. } if changed.reviewed == nothing_seen() => {
            "Held: it was merged before anybody was shown what it does".to_owned()
        }
        Stage::Merged { changed: Some(_), .. } => {
            "Held: more would happen than was reviewed".to_owned()
        }
        Stage::Merged { .. } => after::title(brief),
        Stage::Dropped { .. } => "Merged, and not on its branch any more".to_owned(),
        Stage::Closed => "Closed: nothing of it is applied".to_owned(),
        Stage::Elsewhere { .. } => "Aimed elsewhere: nothing of it is applied".to_owned(),
    }
}

/// What a request's file says that is in no step, in a line.
pub fn terms(id: &RequestId, terms: &Terms) -> String {
    let Terms { protect, tombstone, adopt, on_drift, lifetime, kept, template, labels, parameters } =
        terms;
    let mut said = Vec::new();
    if !kept {
        said.push(if *protect { "protected" } else { "not protected" }.to_owned());
        said.extend(tombstone.then(|| "its deletion is permitted".to_owned()));
        said.extend(adopt.then(|| "it may take over what is there".to_owned()));
        said.extend((*on_drift == OnDrift::Revert).then(|| "drift is reverted".to_owned()));
        said.push(match lifetime.as_ref().map(|lifetime| lifetime.term) {
            None => "it has no end".to_owned(),
            Some(Term::For(length)) => format!("it ends after {length}"),
            Some(Term::Until(at)) => format!("it ends at {at}"),
        });
    }
    said.extend(template.iter().map(|version| format!("version {version}")));
    // Values are in the file's own difference, and some are shown nowhere.
    said.extend(named("label", labels.keys()));
    said.extend(named("parameter", parameters.keys()));
    format!("set {id}: {}", said.join(", "))
}

/// Names that one line has of a kind, and characters of each.
const NAMED: usize = 10;
const NAME: usize = 63;

fn named<'a>(what: &str, names: impl ExactSizeIterator<Item = &'a String>) -> Option<String> {
    let count = names.len();
    let some: Vec<String> = names.take(NAMED).map(|name| visible(name, NAME)).collect();
    let more = count.saturating_sub(some.len());
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let many = if count > 1 { "s" } else { "" };
    (count > 0).then(|| format!("{what}{many} {}{more}", some.join(" ")))
}

/// Whether a file that it changes cannot be used.
fn has_errors(brief: &Brief) -> bool {
    brief.diagnostics.iter().any(crate::model::Diagnostic::is_error)
}

/// Whether what would be done, and with it what is to be approved, is known.
fn is_planned(brief: &Brief) -> bool {
    brief.stage == Stage::Planned && !has_errors(brief) && !brief.is_unseen() && !brief.is_refused()
}

fn planned(brief: &Brief) -> String {
    let mut counts = with_waves(brief, counts(brief, |_| true));
    if counts.is_empty() {
        counts.push_str("Nothing to do");
    }
    let blind = match brief.blind {
        Some(Blind::Fork) => "; from a fork, no account was asked",
        Some(Blind::Catalog) | None => "",
    };
    format!("{counts}{blind}")
}

/// With what the waves of new versions bring, which is in no plan yet.
fn with_waves(brief: &Brief, counts: String) -> String {
    match brief.blast.as_ref().and_then(super::blast::title) {
        None => counts,
        Some(waves) if counts.is_empty() => waves,
        Some(waves) => format!("{counts}; {waves}"),
    }
}

/// How many of each there are; nothing where there is none.
fn counts(brief: &Brief, is_counted: impl Fn(&Hold) -> bool) -> String {
    let plan = &brief.plan;
    let sure = || plan.steps.iter().filter(|step| !step.may_change());
    let verbs = [
        (Action::Create, "create"),
        (Action::Update, "update"),
        (Action::Replace, "replace"),
        (Action::Delete, "delete"),
        (Action::Restore, "restore"),
        (Action::Move, "move"),
        (Action::Forget, "forget"),
    ];
    let counted = verbs.map(|(action, verb)| (sure().filter(|s| s.action == action).count(), verb));
    let some = counted.iter().filter(|(n, _)| *n > 0);
    let mut parts: Vec<String> = some.map(|(n, verb)| format!("{n} to {verb}")).collect();
    let lost = |fate| {
        let resources =
            sure().filter(|s| s.action != Action::Delete).filter_map(|s| s.preview.as_ref());
        resources.flat_map(|p| &p.resources).filter(|r| r.action == fate).count()
    };
    let fates = [
        (ResourceAction::Replace, "replaces"),
        (ResourceAction::MayReplace, "may replace"),
        (ResourceAction::Delete, "deletes"),
    ];
    let lost = fates.map(|(fate, verb)| (lost(fate), verb)).into_iter().filter(|(n, _)| *n > 0);
    let lost: Vec<String> =
        lost.map(|(n, verb)| format!("{verb} {}", plural(n, "resource"))).collect();
    let lost = if lost.is_empty() { String::new() } else { format!("; {}", lost.join(", ")) };
    let may = plan.steps.len() - sure().count();
    parts.extend((may > 0).then(|| format!("{may} may change")));
    let held = plan.holds.iter().filter(|hold| is_counted(hold)).count();
    parts.extend((held > 0).then(|| format!("{held} held")));
    let ends = super::plan::new_ends(plan).len();
    parts.extend((ends > 0).then(|| format!("{ends} with another end")));
    format!("{}{lost}", parts.join(", "))
}
