//! Targets as folders of a branch of an output repository.
//!
//! # Flow
//!
//! Fetch; look at each target in the tree of the tip; make one commit of all that is to be done;
//! push it with the tip as the expected parent. A lost race is redone on the new tip.
//!
//! # Guarantees
//!
//! Nothing is forced. A commit holds whole changes only, so that a crash leaves a change done or
//! not begun; the marker's token says which. A push whose end was not seen is looked for at the
//! next fetch, and is `Unknown` until it is found.
//!
//! # Assumptions
//!
//! One writer of ours for a branch at a time (the lane); others may push whenever they like.
//!
//! # Caveats
//!
//! A server that denies a commit of many may mean one of them. What its words say of the branch, or
//! of the right to push, is the answer for all. Else targets whose folders it names are left out;
//! where it names none, the first and the last are pushed alone: denied as well, all are; else the
//! rest is pushed in ever smaller parts, so that what one target brings upon itself does not stop
//! the others: up to [`PUSHES_MAX`] pushes for one batch.

mod commits;
mod tree;

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use self::commits::Commits;
use self::tree::Batch;
use super::look::{self, Look, Verdict};
use super::settings::Where;
use crate::git::{GitError, Location, Mirror, Transport};
use crate::model::{Change, Observation, Progress, Revision, Target};
use crate::provider::ProviderError;

/// How often a lost race is run again.
const RACES_MAX: u32 = 8;

/// How many pushes a batch that a server denies may take.
const PUSHES_MAX: u32 = 24;

/// How long what was fetched is good enough to tell what a change would do.
const FRESH: Duration = Duration::from_secs(10);

/// The longest history that is searched for the commit of one change.
const SEARCH_MAX: usize = 20_000;

/// One branch of one output repository.
pub(super) struct Branch {
    mirror: Mirror,
    fetched: Mutex<Option<Instant>>,
    commits: Commits,
}

type Answer = Result<Progress, ProviderError>;

impl Branch {
    /// Opens the mirror in `folder`; reaches nothing but this host's disk.
    pub fn open(
        folder: &Path,
        location: Location,
        transport: Arc<Transport>,
    ) -> Result<Self, ProviderError> {
        let mirror = Mirror::open(folder, location, transport).map_err(before)?;
        Ok(Self { mirror, fetched: Mutex::default(), commits: Commits::default() })
    }

    /// The tip as the repository has it now; `None` when it answers and never had the branch.
    async fn fetch(&self) -> Result<Option<Revision>, ProviderError> {
        let tip = match self.mirror.fetch().await {
            Ok(Some(tip)) => Some(tip),
            Ok(None) => return Err(ProviderError::unavailable("the fetched branch has no tip")),
            Err(error)
                if error.is_branch_missing() && self.mirror.tip().map_err(before)?.is_none() =>
            {
                None
            }
            Err(error) => return Err(before(error)),
        };
        *self.fetched.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Ok(tip)
    }

    /// The tip, no older than [`FRESH`].
    async fn recent(&self) -> Result<Option<Revision>, ProviderError> {
        let fetched = *self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if fetched.is_some_and(|at| at.elapsed() < FRESH) {
            return self.mirror.tip().map_err(before);
        }
        self.fetch().await
    }

    /// Looks at many targets with one fetch. `search`: the history is searched for the commits that made them.
    pub async fn observe(
        self: &Arc<Self>,
        targets: Vec<(Where, Target)>,
        search: bool,
    ) -> Vec<Result<Observation, ProviderError>> {
        let count = targets.len();
        let tip = match self.fetch().await {
            Ok(tip) => tip,
            Err(error) => return vec![Err(error); count],
        };
        let branch = self.clone();
        let look = move || {
            let looks =
                tree::look(&branch.mirror, tip.as_ref(), targets.iter().map(|(p, t)| (p, t)));
            let looks = match looks {
                Ok(looks) => looks,
                Err(error) => return vec![Err(error); count],
            };
            if let Some(tip) = tip.as_ref().filter(|_| search) {
                let places = targets.iter().map(|(place, _)| place);
                let found =
                    places.zip(&looks).filter_map(|(p, look)| Some((p, look.as_ref().ok()?)));
                branch.commits.find(&branch.mirror, tip, found, SEARCH_MAX);
            }
            let one = |((place, _), look): (&(Where, Target), Result<Look, ProviderError>)| {
                let look = look?;
                // Searching history for it would cost more than all the rest, and nothing is decided by it.
                let commit = branch.commits.known(&look);
                Ok(look.observation(place, commit.as_ref().map(Revision::as_str)))
            };
            targets.iter().zip(looks).map(one).collect()
        };
        match super::blocking(look).await {
            Ok(seen) => seen,
            Err(error) => vec![Err(ProviderError::unavailable(error)); count],
        }
    }

    /// One target's folder, and the commit that last changed it. `now`: at the tip as it is now.
    pub async fn look(
        self: &Arc<Self>,
        place: Where,
        target: Target,
        now: bool,
    ) -> Result<(Look, Option<Revision>), ProviderError> {
        let tip = if now { self.fetch().await? } else { self.recent().await? };
        let branch = self.clone();
        super::blocking(move || {
            let one = std::iter::once((&place, &target));
            let look = tree::look(&branch.mirror, tip.as_ref(), one)?.pop();
            let look = look.unwrap_or_else(|| Ok(Look::vacant()))?;
            let commits = &branch.commits;
            let commit = commits.of(&branch.mirror, tip.as_ref(), &place, &look, SEARCH_MAX);
            Ok((look, commit))
        })
        .await
        .map_err(ProviderError::unavailable)?
    }

    /// Makes all changes, in one commit unless the server denies that for some of them.
    pub async fn submit(self: &Arc<Self>, changes: Vec<(Where, Change)>) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; changes.len()];
        let changes = Arc::new(changes);
        let mut pushes = 0;
        // Denied with others, and not yet tried with fewer of them.
        let mut suspects = VecDeque::new();
        suspects.extend(self.try_out(&changes, 0..changes.len(), &mut answers, &mut pushes).await);
        let mut probed = false;
        while let Some(Denied { part, why }) = suspects.pop_front() {
            if part.len() == 1 || pushes >= PUSHES_MAX {
                fail(&mut answers, &part, &ProviderError::Refused(why));
                continue;
            }
            let parts: [&[usize]; 3] = match part.as_slice() {
                [first, rest @ .., last] if !probed => [&[*first], &[*last], rest],
                part => {
                    let (head, tail) = part.split_at(part.len() / 2);
                    [head, tail, &[]]
                }
            };
            let mut denied = Vec::new();
            for part in &parts[..2] {
                let part = part.iter().copied();
                denied.extend(self.try_out(&changes, part, &mut answers, &mut pushes).await);
            }
            let all = !probed && denied.len() == 2;
            probed = true;
            if all {
                // In the same words for all of them, so that they are tried again together.
                fail(&mut answers, &part, &ProviderError::Refused(why));
                continue;
            }
            suspects.extend(denied);
            if !parts[2].is_empty() {
                let rest = parts[2].iter().copied();
                suspects.extend(self.try_out(&changes, rest, &mut answers, &mut pushes).await);
            }
        }
        let lost = || Err(ProviderError::unknown("the change got no answer"));
        answers.into_iter().map(|answer| answer.unwrap_or_else(lost)).collect()
    }

    /// Commits the changes numbered in `part` and notes their answers; gives those that may be done
    /// where fewer of them are pushed.
    async fn try_out(
        self: &Arc<Self>,
        changes: &Arc<Vec<(Where, Change)>>,
        part: impl IntoIterator<Item = usize>,
        answers: &mut [Option<Answer>],
        pushes: &mut u32,
    ) -> Option<Denied> {
        let mut part: Vec<usize> = part.into_iter().collect();
        loop {
            *pushes += 1;
            let (pending, why, always) = match self.commit(changes, &part, answers).await {
                Ok(()) => return None,
                Err(Stopped::Failed(pending, error)) => {
                    fail(answers, &pending, &error);
                    return None;
                }
                Err(Stopped::Denied { pending, why, always }) => (pending, why, always),
            };
            let refused = ProviderError::Refused(why.clone());
            if always {
                fail(answers, &pending, &refused);
                return None;
            }
            let is_named = |n: &usize| names(&why, &changes[*n].0.path);
            let (named, others): (Vec<_>, Vec<_>) = pending.iter().copied().partition(is_named);
            if named.is_empty() || others.is_empty() || *pushes >= PUSHES_MAX {
                return Some(Denied { part: pending, why });
            }
            fail(answers, &named, &refused);
            part = others;
        }
    }

    /// One commit of the changes numbered in `part`, and their answers.
    async fn commit(
        self: &Arc<Self>,
        changes: &Arc<Vec<(Where, Change)>>,
        part: &[usize],
        answers: &mut [Option<Answer>],
    ) -> Result<(), Stopped> {
        let failed = |error| Stopped::Failed(part.to_vec(), error);
        for race in 0..RACES_MAX {
            if race > 0 {
                pause(race).await;
            }
            let tip = self.fetch().await.map_err(failed)?;
            let (branch, all, numbers, at) =
                (self.clone(), changes.clone(), part.to_vec(), tip.clone());
            let built = super::blocking(move || branch.build(&all, &numbers, at.as_ref())).await;
            let built = built.map_err(|error| failed(ProviderError::unavailable(error)))?;
            let (settled, commit) = built.map_err(failed)?;
            for (n, answer) in settled {
                answers[n] = Some(answer);
            }
            let Some((commit, pending)) = commit else { return Ok(()) };
            match self.mirror.push(&commit, tip.as_ref()).await {
                Ok(()) => {
                    self.succeed(changes, &pending, &commit, answers);
                    return Ok(());
                }
                Err(GitError::Raced { .. }) => {
                    tracing::debug!(race, "an output branch has moved: once more on its new tip");
                }
                Err(error @ GitError::Unknown { .. }) => {
                    self.find(changes, &pending, error, answers).await;
                    return Ok(());
                }
                Err(error @ (GitError::Denied { .. } | GitError::Refused { .. })) => {
                    let always = !matches!(error, GitError::Denied { always: false, .. });
                    let why = crate::error::chain(&error);
                    return Err(Stopped::Denied { pending, why, always });
                }
                Err(error) => return Err(Stopped::Failed(pending, before(error))),
            }
        }
        let error = format!("the branch moved {RACES_MAX} times before the push");
        Err(failed(ProviderError::unavailable(error)))
    }

    /// What is to be committed on `tip`; answers for changes that need no commit.
    fn build(
        &self,
        changes: &[(Where, Change)],
        part: &[usize],
        tip: Option<&Revision>,
    ) -> Result<Built, ProviderError> {
        let places = part.iter().map(|n| &changes[*n].0);
        let mut batch = Batch::new(&self.mirror, tip, places)?;
        let mut settled = Vec::new();
        let mut pending = Vec::new();
        for &n in part {
            let (place, change) = &changes[n];
            match batch.add(place, change) {
                Ok((Verdict::Done, look)) => {
                    let commit = self.commits.of(&self.mirror, tip, place, &look, SEARCH_MAX);
                    let commit = commit.as_ref().map(Revision::as_str);
                    settled.push((n, Ok(look::succeeded(change, place, commit))));
                }
                Ok((Verdict::Put | Verdict::Remove, _)) => pending.push(n),
                Err(error) => settled.push((n, Err(error))),
            }
        }
        if pending.is_empty() {
            return Ok((settled, None));
        }
        let message = tree::message(pending.iter().map(|n| &changes[*n].1));
        let now = jiff::Timestamp::now();
        match batch.commit(&message, now).map_err(before)? {
            Some(commit) => Ok((settled, Some((commit, pending)))),
            // Each marker holds a new token, so the tree differs; should it not, all is done.
            None => {
                let tip = tip.map(Revision::as_str);
                settled.extend(pending.into_iter().map(|n| {
                    let (place, change) = &changes[n];
                    (n, Ok(look::succeeded(change, place, tip)))
                }));
                Ok((settled, None))
            }
        }
    }

    fn succeed(
        &self,
        changes: &[(Where, Change)],
        pending: &[usize],
        commit: &Revision,
        answers: &mut [Option<Answer>],
    ) {
        for &n in pending {
            let (place, change) = &changes[n];
            self.commits.note(change.token.clone(), commit.clone());
            answers[n] = Some(Ok(look::succeeded(change, place, Some(commit.as_str()))));
        }
    }

    /// Looks for a commit that was pushed without an answer. Not found, it may still arrive.
    async fn find(
        self: &Arc<Self>,
        changes: &[(Where, Change)],
        pending: &[usize],
        error: GitError,
        answers: &mut [Option<Answer>],
    ) {
        let unknown = ProviderError::unknown(error);
        for &n in pending {
            let (place, change) = &changes[n];
            // The first one fetches; for the others that is recent enough.
            let now = n == pending[0];
            let seen = self.look(place.clone(), change.target.clone(), now).await;
            answers[n] = Some(match seen {
                Ok((look, commit)) if matches!(look.decide(change), Ok(Verdict::Done)) => {
                    let commit = commit.as_ref().map(Revision::as_str);
                    Ok(look::succeeded(change, place, commit))
                }
                Ok(_) => Err(unknown.clone()),
                Err(_) if now => return fail(answers, pending, &unknown),
                Err(_) => Err(unknown.clone()),
            });
        }
    }
}

/// Answers that need no commit, and the commit with the changes in it.
type Built = (Vec<(usize, Answer)>, Option<(Revision, Vec<usize>)>);

/// Why no commit of these changes was made.
enum Stopped {
    /// The server looked at it and said no, in these words; `always`: to whatever were pushed.
    Denied { pending: Vec<usize>, why: String, always: bool },
    /// Nothing was done.
    Failed(Vec<usize>, ProviderError),
}

/// Changes that the server denied together, in these words.
struct Denied {
    part: Vec<usize>,
    why: String,
}

/// Whether a text names a folder, or something in it, and not only one whose name begins alike.
fn names(text: &str, folder: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    !folder.is_empty()
        && text.match_indices(folder).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            let after = text[at + folder.len()..].chars().next();
            !before.is_some_and(|c| is_part(c) || c == '/') && !after.is_some_and(is_part)
        })
}

/// The same answer for many.
fn fail(answers: &mut [Option<Answer>], part: &[usize], error: &ProviderError) {
    for &n in part {
        answers[n] = Some(Err(error.clone()));
    }
}

/// Longer after each race, and never as long as another writer that lost the same one.
async fn pause(race: u32) {
    let most = 50_u64 << race.min(6);
    let random = getrandom::u64().unwrap_or_default();
    tokio::time::sleep(Duration::from_millis(most / 2 + random % most)).await;
}

/// As the trait has it, when nothing was done yet. What is missing is unavailable: a server says
/// "not found" of what it does not let us see, and it may be back without anybody's help.
pub(super) fn before(error: GitError) -> ProviderError {
    match error {
        GitError::Denied { .. } | GitError::Refused { .. } | GitError::TooMany { .. } => {
            ProviderError::Refused(crate::error::chain(&error))
        }
        GitError::Unavailable { .. }
        | GitError::Missing { .. }
        | GitError::Raced { .. }
        | GitError::Unknown { .. }
        | GitError::Corrupt { .. }
        | GitError::Git2 { .. }
        | GitError::Io { .. } => ProviderError::unavailable(error),
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_folder_is_named_whole_or_not_at_all() {
        let folder = "dev/orders/a/note";
        for text in
            ["dev/orders/a/note: no", "in `dev/orders/a/note/x.yaml`", "(dev/orders/a/note)"]
        {
            assert!(names(text, folder), "{text}");
        }
        for text in ["", "no", "dev/orders/a/notes", "x/dev/orders/a/note", "my-dev/orders/a/note"]
        {
            assert!(!names(text, folder), "{text}");
        }
        assert!(!names("anything", ""));
    }
}
