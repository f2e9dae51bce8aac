//! Holds in words: one sentence each on what holds it, what would release it, and when it is tried
//! next.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::digest::Digest;
use crate::model::{
    Action, Dependency, Diagnostic, Fate, Hold, HoldReason, RequestId, Requirement, ResourceAction,
    ResourceChange, Revision, SourceProblem, escape, nothing_reviewed, nothing_seen, nothing_shown,
};

/// The most characters of somebody else's words in a sentence.
const WORDS_MAX: usize = 300;

/// At most this many names or problems are listed.
const LIST_MAX: usize = 5;

/// The sentence for a hold, with what waits behind something that is under way.
pub fn sentence(hold: &Hold) -> String {
    let Hold { request, component: _, action, reason: why } = hold;
    let said = reason(why);
    match (why, action) {
        (HoldReason::Protected { .. } | HoldReason::Expired { fate: Fate::Protected, .. }, _) => {
            said.replace("<name>", request.name()).replace("<id>", request.as_str())
        }
        (HoldReason::LooksLikeAMove { other: Some(other), also, set: Some(set), .. }, _)
            if !also.is_empty() =>
        {
            let all: Vec<_> = std::iter::once(other).chain(also).collect();
            let names = some(all.iter().map(|id| format!("`{id}`")));
            format!(
                "{names} look like `{request}` under a new name; say `movedFrom: {request}` in the \
                 file of the one that is, or `vend approve {set}` if it is none of them"
            )
        }
        (HoldReason::LooksLikeAMove { other: Some(other), digest, .. }, action) => {
            let (from, to) = match action {
                Some(Action::Delete) => (request, other),
                _ => (other, request),
            };
            let yes = digest.map_or(String::new(), |d| {
                format!(", or `vend approve {d}` if they are two things")
            });
            // What was made cannot follow to another environment.
            if from.environment() != to.environment() {
                return format!(
                    "`{to}` looks like `{from}` in another environment, where what it made cannot \
                     follow; put `{from}` back{yes}"
                );
            }
            format!(
                "`{to}` looks like `{from}` under a new name; say `movedFrom: {from}` in its file{yes}"
            )
        }
        (HoldReason::NeedsApproval { void, .. }, _) if !void.is_empty() => format!(
            "{said}; what {} approved before was another effect, and does not count for this one",
            words(&void.join(", "))
        ),
        (HoldReason::InFlight { .. } | HoldReason::Unknown { .. }, Some(action)) => {
            format!("{said}; {} waits for that", newer(*action))
        }
        _ => said,
    }
}

/// What is said of an update that was stopped since it took too long.
pub fn too_slow(timeout: Option<SignedDuration>, error: &str) -> String {
    let timeout = timeout.map(|t| format!(" of {t:#}")).unwrap_or_default();
    format!("it took longer than its template's timeout{timeout}, and was stopped: {error}")
}

fn newer(action: Action) -> &'static str {
    match action {
        Action::Delete => "its deletion",
        Action::Forget => "forgetting it",
        Action::Move => "its new name",
        Action::Create | Action::Update | Action::Replace | Action::Restore => "a newer version",
    }
}

/// What a person is asked to approve who releases this hold, in a few words.
pub fn needed(hold: &Hold) -> String {
    match &hold.reason {
        HoldReason::NeedsApproval { needs, .. } if !needs.is_empty() => asked_for(needs),
        HoldReason::NeedsApproval { lost, .. } if !lost.is_empty() => {
            format!("it would {}", losses(lost))
        }
        HoldReason::TooManyDeletes { count, recorded, team, .. }
        | HoldReason::Expired { fate: Fate::TooMany { count, recorded, team, .. }, .. } => {
            match team {
                Some(team) => format!("all {count} requests of team `{team}` would be deleted"),
                None => format!("{count} of {recorded} requests would be deleted at once"),
            }
        }
        HoldReason::LooksLikeAMove { other: Some(other), .. } => {
            format!("it looks like a move from or to `{other}`, and would be made anew")
        }
        HoldReason::LooksLikeAMove { setting, .. } => {
            let what = setting.as_deref().unwrap_or("place");
            format!("its {what} changes, and it would be made anew there")
        }
        HoldReason::Stuck { .. } => "what is left of an earlier try would be deleted".into(),
        _ => match hold.action {
            Some(Action::Delete) => "it would be deleted".into(),
            Some(Action::Replace) => "it would be replaced".into(),
            _ => "an older version or another template would take over".into(),
        },
    }
}

/// Whose approvals rules ask for, and which rules.
pub fn asked_for(needs: &[Requirement]) -> String {
    let one = |need: &Requirement| {
        let Requirement { rule: _, place, teams, count, reason, had, undecided } = need;
        let teams: Vec<String> = teams.iter().map(|team| format!("`{}`", words(team))).collect();
        let who = match count {
            1 => format!("somebody of {}", teams.join(" or ")),
            n => format!("{n} people of {}", teams.join(" or ")),
        };
        let had = match had.len() {
            0 => String::new(),
            _ => format!(", {} did", words(&had.join(", "))),
        };
        let may = match undecided {
            None => "must approve it",
            Some(_) => "may have to approve it",
        };
        let why = reason.as_ref().map(|why| format!(", because {}", clause(why)));
        let at = format!("`{}:{}`", words(&place.file), place.line);
        format!("{who} {may}{} ({at}{had})", why.unwrap_or_default())
    };
    needs.iter().map(one).collect::<Vec<_>>().join("; ")
}

/// Why a rule asks: what follows the word *because*. In its own words; else what it looks at.
pub fn because(need: &Requirement) -> String {
    let Requirement { rule, place, reason, undecided, .. } = need;
    let why = match (reason, rule.as_str()) {
        (Some(reason), _) => clause(reason),
        (None, "true") => format!("{} asks for it whatever changes", of_file(&place.file)),
        (None, rule) => {
            format!(
                "rule `{}` of {} asks for it",
                words(&rule.replace('`', "'")),
                of_file(&place.file)
            )
        }
    };
    match undecided {
        None => why,
        Some(what) => format!("{why} (that depends on {}, which is not known yet)", words(what)),
    }
}

/// Somebody's sentence within another.
fn clause(text: &str) -> String {
    words(text.trim().trim_end_matches('.'))
}

/// Whose rules a file of the catalog has.
fn of_file(file: &str) -> String {
    let parts: Vec<&str> = file.split('/').collect();
    match parts.as_slice() {
        [.., "environments", name] => {
            format!("environment `{}`", words(name.trim_end_matches(".yaml")))
        }
        [.., "templates", name, version, _] => {
            format!("template `{}`", words(&format!("{name}@{version}")))
        }
        _ => format!("`{}`", words(file)),
    }
}

/// What holds, in a few plain words, as a title.
pub fn title(reason: &HoldReason) -> &'static str {
    match reason {
        HoldReason::Invalid { .. } => "Not valid",
        HoldReason::NotSupportedYet { .. } => "Not supported yet",
        HoldReason::NotObserved { .. } => "Could not be seen",
        HoldReason::NotOurs { .. } => "Belongs to others",
        HoldReason::WaitingFor { .. } => "Waits for another",
        HoldReason::NeedsApproval { .. } => "Waits for an approval",
        HoldReason::PlanChanged { .. } => "More than was reviewed",
        HoldReason::NeedsPullRequest { .. } => "Without a pull request",
        HoldReason::Protected { .. } => "Protected",
        HoldReason::TooManyDeletes { .. } => "Too many deletions",
        HoldReason::LooksLikeAMove { .. } => "Looks like a move",
        HoldReason::OutsideWindow { .. } => "Outside of the change window",
        HoldReason::Backoff { attempts: 0, .. } => "Waits for its provider",
        HoldReason::Backoff { .. } => "Failed, and is tried again",
        HoldReason::Refused { .. } => "Refused by its provider",
        HoldReason::RolloutStopped { .. } => "Its rollout stopped",
        HoldReason::Suspended => "Suspended",
        HoldReason::TemplateRetired => "Its template is retired",
        HoldReason::TemplateMissing { .. } => "Its template is gone",
        HoldReason::Referenced { .. } => "Used by others",
        HoldReason::Expired { .. } => "Its time is over",
        HoldReason::Source { .. } => "Its source is not used",
        HoldReason::InFlight { .. } => "Under way",
        HoldReason::Busy { .. } => "Somebody else's change is under way",
        HoldReason::Stuck { .. } => "Stuck",
        HoldReason::ForbiddenChange { .. } => "Forbidden by its template",
        HoldReason::Unknown { .. } => "Its end is not known",
        HoldReason::InternalError { .. } => "A bug in vend",
    }
}

/// The sentence for a reason, without a full stop.
pub fn reason(reason: &HoldReason) -> String {
    match reason {
        HoldReason::Invalid { problems } => {
            format!(
                "its file is not valid{}; what was applied stays until it is mended",
                list(problems)
            )
        }
        HoldReason::NotSupportedYet { what } => {
            format!(
                "it asks for what is not supported yet ({}); it waits for that, or for a file that does without",
                words(what)
            )
        }
        HoldReason::NotObserved { error } if error.is_empty() => {
            "it was not looked at; the next pass looks again".into()
        }
        HoldReason::NotObserved { error } => format!(
            "the provider could not be asked ({}), and nothing is done unseen; the next pass asks again",
            words(error)
        ),
        HoldReason::NotOurs { owner, adoptable, name } => {
            not_ours(owner.as_deref(), *adoptable, name.as_deref())
        }
        HoldReason::WaitingFor { dependency } => waiting(dependency),
        HoldReason::NeedsApproval { digest, needs, lost, .. } if !needs.is_empty() => {
            let lost = match lost.is_empty() {
                true => String::new(),
                false => format!("it would {}, which the files do not say; ", losses(lost)),
            };
            format!("{lost}{}: `vend approve {digest}`", asked_for(needs))
        }
        HoldReason::NeedsApproval { digest, lost, .. } if lost.is_empty() => {
            format!("a person must approve it: `vend approve {digest}`")
        }
        HoldReason::NeedsApproval { digest, lost, .. } => format!(
            "it would {}, which the files do not say; a person must approve that: `vend approve \
             {digest}`",
            losses(lost)
        ),
        HoldReason::PlanChanged { reviewed, now, needs } => {
            let (then, now_short) = (reviewed.short(), now.short());
            let yes = match needs.is_empty() {
                true => format!("or `vend approve {now}`"),
                false => format!("or {}: `vend approve {now}`", asked_for(needs)),
            };
            match *reviewed {
                then if then == nothing_reviewed() => format!(
                    "it takes something away, and nobody was shown that before it was merged \
                     ({now_short}); review it, {yes}"
                ),
                then if then == nothing_shown() => format!(
                    "the forge took neither check nor comment before it was merged, so nobody could \
                     review what it does ({now_short}); review it, {yes}"
                ),
                then if then == nothing_seen() => format!(
                    "it was merged before anybody was shown what it would do ({now_short}); review it, {yes}"
                ),
                _ => format!(
                    "more would happen than was reviewed ({then} then, {now_short} now); review it again, {yes}"
                ),
            }
        }
        HoldReason::NeedsPullRequest { direct: false, .. } => {
            "the forge has not said yet which pull request brought it; it is asked again".into()
        }
        HoldReason::NeedsPullRequest { direct: true, commit, digest } => {
            let at = commit.as_ref().map(|c| format!(" by commit {}", short(c)));
            format!(
                "it came to the branch{} without a pull request; bring it with one, or `vend \
                 approve {digest}`",
                at.unwrap_or_default()
            )
        }
        HoldReason::Protected { locked: false } => "it is protected; put the file back with \
            `delete: {confirm: <name>}`, let that be applied, then remove it"
            .into(),
        HoldReason::Protected { locked: true } => "it is locked against deletion: its \
            termination protection is on, and vend does not know that it turned it on; if it is to go, turn that \
            off and run `vend retry <id>`, or put the file back with `delete: {confirm: <name>}`, \
            let that be applied, then remove it"
            .into(),
        HoldReason::TooManyDeletes { count, recorded, team, commit, digest } => {
            let of = match team {
                Some(team) => format!("all {count} requests of team `{team}`"),
                None => format!("{count} of {recorded} requests"),
            };
            let at =
                commit.as_ref().map(|c| format!(" at commit {}", short(c))).unwrap_or_default();
            format!(
                "too many deletions at once: {of} would be deleted{at}; if that is meant, \
                 `vend approve {digest}`, else put the files back"
            )
        }
        HoldReason::LooksLikeAMove { setting: Some(setting), digest, set, .. }
            if setting == "source" =>
        {
            let yes = match (set, digest) {
                (Some(set), _) => format!(", or `vend approve {set}` for all that came with it"),
                (None, Some(one)) => format!(", or `vend approve {one}` if that is meant"),
                (None, None) => String::new(),
            };
            format!("its file left one source and appeared in another; put it back{yes}")
        }
        HoldReason::LooksLikeAMove { other, also: _, setting, digest, set: _, later: _ } => {
            let yes =
                digest.map(|d| format!(", or `vend approve {d}` if it is meant as two things"));
            let yes = yes.unwrap_or_default();
            match (other, setting) {
                (Some(other), _) => format!(
                    "it looks as though it moved from or to `{other}`; say `movedFrom` in the new file{yes}"
                ),
                (None, Some(setting)) => format!(
                    "its `{}` changed, which would delete it there and make another elsewhere; put it \
                     back{yes}",
                    words(setting)
                ),
                (None, None) => format!("it looks as though it moved; say `movedFrom`{yes}"),
            }
        }
        HoldReason::OutsideWindow { until } => {
            format!("the environment's change window is closed; it opens at {}", time(*until))
        }
        HoldReason::Backoff { until, attempts: 0, error } => format!(
            "it was not begun, since its provider takes nothing there now ({}); it is tried at {}",
            words(error),
            time(*until)
        ),
        HoldReason::Backoff { until, attempts, error } => format!(
            "it failed ({}), {}; it is tried again at {}",
            words(error),
            times(*attempts),
            time(*until)
        ),
        HoldReason::Refused { error, until } => format!(
            "the provider refused it ({}); change the request or the provider's rules, then `vend \
             retry`, else it is tried again at {}",
            words(error),
            time(*until)
        ),
        HoldReason::RolloutStopped { version, by, failures } => {
            let why = match by {
                Some(by) => format!("{} stopped the rollout of `{version}`", words(by)),
                None if *failures == 1 => {
                    format!("the rollout of `{version}` stopped after a failure")
                }
                None => format!("the rollout of `{version}` stopped after {failures} failures"),
            };
            format!("{why}; `vend catalog rollout resume {version}` goes on with it")
        }
        HoldReason::Suspended => "it is suspended; remove `suspend: true`".into(),
        HoldReason::TemplateRetired => {
            "its template takes no new requests; choose another template or version".into()
        }
        HoldReason::TemplateMissing { version } => format!(
            "`{version}`, which it was made with, is gone from the catalog; what was applied stays until \
             that is put back, a newer version's rollout reaches it, or its file takes another"
        ),
        HoldReason::Referenced { by } => {
            format!("{} its outputs; remove or change that first", users(by))
        }
        HoldReason::Expired { since, fate } => expired(*since, fate),
        HoldReason::Source { source, problem } => {
            format!("its source `{source}` is not used: {}", trouble(source.as_str(), problem))
        }
        HoldReason::InFlight { since, stopped, silent } => {
            let far = match stopped {
                false => "is under way; its end is waited for",
                true => "was asked to stop, and is rolled back",
            };
            let silent = silent.as_ref();
            let silent =
                silent.map(|e| format!("; nobody can ask how it gets on now: {}", words(e)));
            format!("a change begun at {} {far}{}", time(*since), silent.unwrap_or_default())
        }
        HoldReason::Busy { state } => format!(
            "somebody else's change is under way there (`{}`); its end is waited for",
            words(state)
        ),
        HoldReason::Stuck { state, advice, error, digest } => {
            let error = error.as_ref().map(|e| format!("it failed ({}); ", words(e)));
            let (error, state, advice) = (error.unwrap_or_default(), words(state), words(advice));
            match digest {
                None => format!(
                    "{error}nothing can be done to it as it is (`{state}`): {advice}; then `vend retry`"
                ),
                Some(digest) => format!(
                    "{error}what is left of it is of no use (`{state}`): {advice}; \
                     `vend approve {digest}` deletes it, with what may still be in it, and makes it \
                     again"
                ),
            }
        }
        HoldReason::ForbiddenChange { what } => {
            format!("the template forbids this change: {}; put the old value back", words(what))
        }
        HoldReason::Unknown { since, error } => format!(
            "a change was sent at {} and its answer was lost ({}); vend looks, and does not guess",
            time(*since),
            words(error)
        ),
        HoldReason::InternalError { id } => format!(
            "a bug in vend (`{}` in its log); other requests go on, and a change of the file or \
             `vend retry` tries it again",
            words(id)
        ),
    }
}

/// What `approve` takes to let it go on.
pub fn digest(reason: &HoldReason) -> Option<Digest> {
    match reason {
        HoldReason::NeedsApproval { digest, .. }
        | HoldReason::NeedsPullRequest { digest, .. }
        | HoldReason::TooManyDeletes { digest, .. } => Some(*digest),
        HoldReason::LooksLikeAMove { digest, set, .. } => set.or(*digest),
        HoldReason::Stuck { digest, .. } => *digest,
        HoldReason::PlanChanged { now, .. } => Some(*now),
        HoldReason::Expired { fate: Fate::TooMany { digest, .. }, .. } => Some(*digest),
        HoldReason::Invalid { .. }
        | HoldReason::NotSupportedYet { .. }
        | HoldReason::NotObserved { .. }
        | HoldReason::NotOurs { .. }
        | HoldReason::WaitingFor { .. }
        | HoldReason::Protected { .. }
        | HoldReason::OutsideWindow { .. }
        | HoldReason::Backoff { .. }
        | HoldReason::Refused { .. }
        | HoldReason::Suspended
        | HoldReason::RolloutStopped { .. }
        | HoldReason::TemplateRetired
        | HoldReason::TemplateMissing { .. }
        | HoldReason::Referenced { .. }
        | HoldReason::Expired { .. }
        | HoldReason::Source { .. }
        | HoldReason::InFlight { .. }
        | HoldReason::Busy { .. }
        | HoldReason::ForbiddenChange { .. }
        | HoldReason::Unknown { .. }
        | HoldReason::InternalError { .. } => None,
    }
}

/// What becomes of what is over, and what keeps it.
fn expired(since: Timestamp, fate: &Fate) -> String {
    let what = match fate {
        Fate::Commit { error: None } => {
            "vend removes its file; to keep it, extend it in the file".to_owned()
        }
        Fate::Commit { error: Some(error) } => format!(
            "its file could not be removed ({}), and that is tried again; to keep it, extend it in \
             the file",
            words(error)
        ),
        Fate::PullRequest => {
            "its file is to be removed by a pull request, which vend opens; to keep it, extend it in the \
             file"
                .into()
        }
        Fate::People => "remove its file; to keep it, extend it in the file".into(),
        Fate::Protected => {
            "it is protected and stays; say `delete: {confirm: <name>}` in its file \
            to let it go, or extend it there"
                .into()
        }
        Fate::Suspended => "it is suspended and stays; remove `suspend: true` to let it go, or \
            extend it in the file"
            .into(),
        Fate::Referenced { by } => format!(
            "it stays while {} its outputs; remove or change that first, or extend it in the file",
            users(by)
        ),
        Fate::TooMany { count, recorded, team, digest } => {
            let of = match team {
                Some(team) => format!("all {count} requests of team `{team}`"),
                None => format!("{count} of {recorded} requests"),
            };
            format!(
                "too many at once: the time of {of} is over; if they are to go, `vend approve \
                 {digest}`, else extend them in their files"
            )
        }
    };
    format!("its time was over at {}: {what}", time(since))
}

fn users(by: &[RequestId]) -> String {
    match by {
        [one] => format!("`{one}` uses"),
        many => format!("{} use", some(many.iter().map(|id| format!("`{id}`")))),
    }
}

fn not_ours(owner: Option<&str>, adoptable: bool, name: Option<&str>) -> String {
    let whose = match owner {
        Some(owner) => format!("by its mark it belongs to {}", words(owner)),
        None => "it bears no mark of this vend".into(),
    };
    let what = name.map_or_else(|| "something".to_owned(), |name| format!("a `{}`", words(name)));
    let adopt = match adoptable {
        true => {
            "say `adopt: true` in the request to take it over after a plan that shows what would change, or "
        }
        false => "",
    };
    format!(
        "{what} stands there that this request did not make ({whose}); {adopt}rename the request, or \
         move that away and `vend retry`"
    )
}

fn waiting(dependency: &Dependency) -> String {
    match dependency {
        Dependency::Target(key) => format!("it waits for `{key}`, and goes on after that"),
        Dependency::Request(id) => {
            format!("it waits for the request `{id}` to be there and ready, and goes on after that")
        }
        Dependency::Output(symbol) => format!(
            "it waits for the output `{}`, which nothing gives yet; check its name, and whether its \
             request is applied without it (`vend explain` says so), or wait for that request",
            words(&symbol.to_string())
        ),
        Dependency::Catalog(version) => format!(
            "it waits for `{}` in the catalog, and goes on when the catalog has it",
            words(version)
        ),
    }
}

fn trouble(source: &str, problem: &SourceProblem) -> String {
    match problem {
        SourceProblem::Stale { error, since } => format!(
            "it could not be fetched since {} ({}), so nothing of it is deleted; the next fetch tries again",
            time(*since),
            words(error)
        ),
        SourceProblem::Missing { error, since } => format!(
            "its branch or repository is missing since {} ({}); the next fetch tries again",
            time(*since),
            words(error)
        ),
        SourceProblem::HistoryRewritten { last, tip } => format!(
            "its history was rewritten ({} is not in {}); if that is meant, `vend approve {source}@{tip}`",
            short(last),
            short(tip)
        ),
        SourceProblem::FolderMissing { path, tip } => format!(
            "the folder `{}` is not in commit {}; put it back, or correct the configuration",
            words(path),
            short(tip)
        ),
        SourceProblem::NotConfigured => "it is not configured any more, so what it asked for is left as it is; put it back, or move the file into another source".into(),
        SourceProblem::TooManyFiles { limit } => {
            format!("it has more than {limit} files (LIM002); remove some, or raise `limits.files`")
        }
    }
}

/// What would be lost, and why: the first few, and how many more there are.
fn losses(lost: &[ResourceChange]) -> String {
    let shown = lost.iter().map(|resource| {
        let ResourceChange { name, kind, action, cause, properties: _, left } = resource;
        let verb = match action {
            ResourceAction::Delete => "delete",
            ResourceAction::Replace => "replace",
            ResourceAction::MayReplace => "perhaps replace",
            ResourceAction::Create => "create",
            ResourceAction::Update => "update",
            ResourceAction::Retain => "let go of",
        };
        let why = cause.as_ref().map(|c| format!(", since `{}` changes", words(c)));
        let left = left.as_ref().map(|left| format!("; {}", words(left))).unwrap_or_default();
        format!("{verb} `{}` ({}{}{left})", words(name), words(kind), why.unwrap_or_default())
    });
    some(shown)
}

fn list(problems: &[Diagnostic]) -> String {
    if problems.is_empty() {
        return String::new();
    }
    let shown = problems.iter().map(|p| {
        let place = &p.place;
        let at = format!("{}:{}:{}", words(&place.file), place.line, place.column);
        format!("{} {} ({at})", p.code, words(&p.message))
    });
    format!(": {}", some(shown))
}

/// Fewer than this are shown one by one.
const TOGETHER: usize = 3;

/// What holds a group, and whom.
pub(super) type Group<'a> = (String, Vec<&'a Hold>);

/// Holds with the same action and sentence together, where there are several, each group at the
/// place of its first.
pub(super) fn grouped<'a>(holds: impl Iterator<Item = &'a Hold>) -> Vec<Group<'a>> {
    let mut at: BTreeMap<(Option<Action>, String), usize> = BTreeMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for hold in holds {
        let said = sentence(hold);
        let n = *at.entry((hold.action, said.clone())).or_insert(groups.len());
        match groups.get_mut(n) {
            Some((_, group)) => group.push(hold),
            None => groups.push((said, vec![hold])),
        }
    }
    let alone = |(said, group): Group<'a>| -> Vec<Group<'a>> {
        if requests(&group).len() >= TOGETHER {
            return vec![(said, group)];
        }
        group.into_iter().map(|hold| (said.clone(), vec![hold])).collect()
    };
    groups.into_iter().flat_map(alone).collect()
}

/// The requests of a group.
pub(super) fn requests<'a>(group: &[&'a Hold]) -> BTreeSet<&'a RequestId> {
    group.iter().map(|hold| &hold.request).collect()
}

/// Their names, the first few.
pub(super) fn names(group: &[&Hold]) -> String {
    some(requests(group).into_iter().map(ToString::to_string).collect::<Vec<_>>().into_iter())
}

/// The first few, and how many more there are.
fn some(items: impl ExactSizeIterator<Item = String>) -> String {
    let more = items.len().saturating_sub(LIST_MAX);
    let mut text = items.take(LIST_MAX).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// How often, for people.
pub(super) fn times(attempts: u32) -> String {
    if attempts == 1 { "once".into() } else { format!("{attempts} times") }
}

/// Somebody else's words: on one line, without anything that could hide or move text.
fn words(text: &str) -> String {
    let mut out = String::new();
    // Backticks of our own messages are kept by cutting around them.
    for (n, part) in text.split('`').enumerate() {
        if n > 0 {
            out.push('`');
        }
        out.push_str(&escape(part, WORDS_MAX));
    }
    if out.chars().count() > WORDS_MAX {
        out = out.chars().take(WORDS_MAX).collect::<String>() + "…";
    }
    out
}

fn short(revision: &Revision) -> String {
    words(revision.short())
}

pub(super) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::sha256;
    use crate::model::SourceName;

    fn at() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn a_sentence_says_what_why_and_until_when() {
        let backoff =
            HoldReason::Backoff { until: at(), attempts: 3, error: "too\nmany \u{1b}[2J".into() };
        insta::assert_snapshot!(reason(&backoff), @r"it failed (too\nmany \u{1B}[2J), 3 times; it is tried again at 2027-01-15 08:00:00 UTC");
        let untried = HoldReason::Backoff { until: at(), attempts: 0, error: "too fast".into() };
        insta::assert_snapshot!(reason(&untried), @"it was not begun, since its provider takes nothing there now (too fast); it is tried at 2027-01-15 08:00:00 UTC");
        let rewritten = HoldReason::Source {
            source: SourceName::new("main"),
            problem: SourceProblem::HistoryRewritten {
                last: Revision::new("a".repeat(40)),
                tip: Revision::new("b".repeat(40)),
            },
        };
        insta::assert_snapshot!(reason(&rewritten), @"its source `main` is not used: its history was rewritten (aaaaaaaaaa is not in bbbbbbbbbb); if that is meant, `vend approve main@bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`");
    }

    #[test]
    fn b84_a_large_deletion_names_count_commit_and_what_to_type() {
        let large = HoldReason::TooManyDeletes {
            count: 30,
            recorded: 100,
            team: None,
            commit: Some(Revision::new("c0ffee00c0ffee00")),
            digest: sha256(b""),
        };
        insta::assert_snapshot!(reason(&large), @"too many deletions at once: 30 of 100 requests would be deleted at commit c0ffee00c0; if that is meant, `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`, else put the files back");
    }

    fn alike(new: &str) -> Hold {
        let other = Some(RequestId::parse("orders/dev/old").unwrap());
        let digest = Some(sha256(b""));
        HoldReason::LooksLikeAMove {
            other,
            also: Vec::new(),
            setting: None,
            digest,
            set: None,
            later: false,
        }
        .of(new)
    }

    impl HoldReason {
        fn of(self, request: &str) -> Hold {
            let request = RequestId::parse(request).unwrap();
            Hold { request, component: None, action: Some(Action::Create), reason: self }
        }
    }

    #[test]
    fn a_move_is_advised_only_where_it_is_allowed() {
        insta::assert_snapshot!(sentence(&alike("orders/dev/new")), @"`orders/dev/new` looks like `orders/dev/old` under a new name; say `movedFrom: orders/dev/old` in its file, or `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` if they are two things");
        insta::assert_snapshot!(sentence(&alike("orders/prod/old")), @"`orders/prod/old` looks like `orders/dev/old` in another environment, where what it made cannot follow; put `orders/dev/old` back, or `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` if they are two things");
    }

    #[test]
    fn what_holds_several_is_said_once() {
        let held = |n| HoldReason::Suspended.of(&format!("a/dev/r{n}"));
        let mut holds: Vec<Hold> = (0..7).map(held).collect();
        holds.insert(1, HoldReason::Protected { locked: false }.of("b/dev/one"));
        holds.push(HoldReason::Protected { locked: false }.of("b/dev/two"));
        let groups = grouped(holds.iter());
        let shown = groups.iter().map(|(said, group)| (said.len(), names(group)));
        let names: Vec<String> = shown.map(|(_, names)| names).collect();
        assert_eq!(names[0], "a/dev/r0, a/dev/r1, a/dev/r2, a/dev/r3, a/dev/r4 and 2 more");
        assert_eq!(names[1..], ["b/dev/one", "b/dev/two"]);
    }

    #[test]
    fn what_is_not_supported_yet_is_named_once_and_plainly() {
        let what = "the provider `cloudformation`, `ttl`".to_owned();
        insta::assert_snapshot!(reason(&HoldReason::NotSupportedYet { what }), @"it asks for what is not supported yet (the provider `cloudformation`, `ttl`); it waits for that, or for a file that does without");
    }

    #[test]
    fn a_loss_is_named_with_its_cause_and_what_to_type() {
        let lost = |name: &str, action, cause: Option<&str>| ResourceChange {
            name: name.into(),
            kind: "AWS::SQS::Queue".into(),
            action,
            cause: cause.map(Into::into),
            properties: Vec::new(),
            left: None,
        };
        let reason = super::reason(&HoldReason::NeedsApproval {
            digest: sha256(b""),
            lost: vec![
                lost("Queue", ResourceAction::Replace, Some("QueueName")),
                lost("Dead\nLetters", ResourceAction::Delete, None),
            ],
            needs: Vec::new(),
            void: Vec::new(),
            preview: None,
        });
        insta::assert_snapshot!(reason, @r"it would replace `Queue` (AWS::SQS::Queue, since `QueueName` changes), delete `Dead\nLetters` (AWS::SQS::Queue), which the files do not say; a person must approve that: `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`");
    }

    #[test]
    fn what_is_stuck_says_the_next_step_and_what_to_type() {
        let stuck = |error: Option<&str>, digest| HoldReason::Stuck {
            state: "ROLLBACK_COMPLETE".into(),
            advice: "its creation was rolled back".into(),
            error: error.map(Into::into),
            digest,
        };
        insta::assert_snapshot!(reason(&stuck(None, None)), @"nothing can be done to it as it is (`ROLLBACK_COMPLETE`): its creation was rolled back; then `vend retry`");
        insta::assert_snapshot!(reason(&stuck(Some("Queue: no room"), Some(sha256(b"")))), @"it failed (Queue: no room); what is left of it is of no use (`ROLLBACK_COMPLETE`): its creation was rolled back; `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855` deletes it, with what may still be in it, and makes it again");
    }

    #[test]
    fn what_waits_behind_something_under_way_is_said() {
        let hold = Hold {
            request: RequestId::parse("a/b/c").unwrap(),
            component: None,
            action: Some(Action::Update),
            reason: HoldReason::InFlight { since: at(), stopped: false, silent: None },
        };
        insta::assert_snapshot!(sentence(&hold), @"a change begun at 2027-01-15 08:00:00 UTC is under way; its end is waited for; a newer version waits for that");
    }
}
