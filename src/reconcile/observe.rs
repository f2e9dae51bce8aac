//! Looking at the targets on which a decision depends, and at what a file that is gone last said.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::PoisonError;
use std::time::Duration;

use tokio::time::Instant;

use super::call;
use super::pass::Pass;
use super::slow::{PATIENCE, Questions};
use crate::catalog;
use crate::error::chain;
use crate::fault::planted;
use crate::git::{Blob, Mirror};
use crate::model::{DriftItem, Live, Observation, Owner, RequestId, Revision, Target, TargetKey};
use crate::plan::{self, Case, Gone, Looks, Seen, Situation};
use crate::provider::{Provider, ProviderError};

/// What is looked at together: the provider's kind, whether for drift, and the provider's word.
type View = (String, bool, String);

/// A target, and what was seen of it.
type Looked = (Target, Result<Observation, ProviderError>);

/// Looks that go on, and of what was answered when that was.
pub(super) type LooksOpen = Questions<View, (Instant, Vec<Looked>)>;

/// An answer that was given longer ago tells nothing any more. How long it took does not count: where a role
/// may not list, hundreds of targets are asked about one by one, and whoever changes one says what they saw.
const FRESH: Duration = Duration::from_secs(120);

/// How much longer a pass waits for a look at many targets, for each of them: five a second are asked about
/// where they cannot be listed; and how long it waits at most.
const EACH: Duration = Duration::from_millis(300);
const LONGEST: Duration = Duration::from_secs(300);

/// Stands behind a view's name for what is cleared away there.
const SWEEP: &str = "(sweep)";

/// What is said of what does not answer as long as a pass waits.
const SLOW: &str = "it has not answered yet; nobody else waits for that, and it is asked still";

impl Pass<'_> {
    /// Fills in what providers see; what was seen in an earlier round and not touched since is not
    /// looked at again. What tries of ours have left goes into `rubble`, what is still looked at for drift
    /// into `looking`.
    pub(super) async fn observe(
        &self,
        situation: &mut Situation<'_>,
        live: &mut HashMap<TargetKey, Seen>,
        rubble: &mut HashMap<TargetKey, Target>,
        looking: &mut BTreeSet<TargetKey>,
    ) {
        let Looks { targets, drift } = plan::needs_observing(situation);
        let mut asked: BTreeMap<View, Vec<Target>> = BTreeMap::new();
        let each =
            targets.into_iter().map(|t| (t, false)).chain(drift.into_iter().map(|t| (t, true)));
        for (target, deep) in each {
            if live.contains_key(&target.key) {
                continue;
            }
            let Some(provider) = self.engine.providers.get(&target.provider) else {
                let why = format!("this vend has no provider `{}`", target.provider);
                live.insert(target.key, Seen::Failed(why));
                continue;
            };
            let view = (target.provider.clone(), deep, provider.view(&target));
            asked.entry(view).or_default().push(target);
        }
        // What is not put back, since this was given up half-way, is asked again.
        let mut open = std::mem::take(&mut *self.looks_open());
        let answers = self.look(&asked, &mut open).await;
        *self.looks_open() = open;
        let mut silent: HashMap<TargetKey, (Target, bool)> = HashMap::new();
        for ((_, deep, _), targets) in asked {
            silent.extend(targets.into_iter().map(|t| (t.key.clone(), (t, deep))));
        }
        for (target, mut seen) in answers {
            // What an earlier pass asked about may be of no concern now.
            if silent.get(&target.key).is_none_or(|(asked, _)| *asked != target) {
                continue;
            }
            silent.remove(&target.key);
            if let Ok(Observation::Present(live)) = &mut seen {
                if is_rubble(live) {
                    rubble.insert(target.key.clone(), target.clone());
                }
                if let Some(provider) = self.engine.providers.get(&target.provider) {
                    self.judge_touched(provider.as_ref(), &target, live).await;
                }
            }
            let seen = match seen {
                Ok(observation) => Seen::Observed(observation),
                Err(_) if planted!("error-is-absent") => Seen::Observed(Observation::Absent),
                Err(error @ ProviderError::Refused(_)) => Seen::Refused(chain(&error)),
                Err(error) => Seen::Failed(chain(&error)),
            };
            live.insert(target.key, seen);
        }
        for (key, (_, deep)) in silent {
            // Nothing is to be done there: nobody has looked yet, and nobody needs to wait for that.
            if deep {
                looking.insert(key);
            } else {
                live.entry(key).or_insert_with(|| Seen::Failed(SLOW.to_owned()));
            }
        }
        let mut cases: HashMap<RequestId, &mut Case> =
            situation.cases.iter_mut().map(|c| (c.id.clone(), c)).collect();
        for (key, seen) in live.iter() {
            if let Some(case) = cases.get_mut(&key.request) {
                case.live.insert(key.component.clone(), seen.clone());
            }
        }
    }

    fn looks_open(&self) -> std::sync::MutexGuard<'_, LooksOpen> {
        self.memory.looks_open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at targets, and waits as long as a pass has patience; who only looks waits for all. While a
    /// look of a view goes on, no other of it is begun.
    async fn look(&self, asked: &BTreeMap<View, Vec<Target>>, open: &mut LooksOpen) -> Vec<Looked> {
        let many = asked.values().map(Vec::len).max().and_then(|n| u32::try_from(n).ok());
        let patience = EACH.saturating_mul(many.unwrap_or_default()).saturating_add(PATIENCE);
        let patience = self.lease.is_some().then_some(patience.min(LONGEST));
        // What earlier passes asked about is not asked again, once it is answered.
        let mut ended = open.answers(&BTreeSet::new(), Some(Duration::ZERO)).await;
        let fresh = ended.iter().filter(|(_, (at, _))| at.elapsed() < FRESH);
        let known: HashMap<(bool, TargetKey), Target> = fresh
            .flat_map(|((_, deep, _), (_, seen))| {
                seen.iter().map(|(target, _)| ((*deep, target.key.clone()), target.clone()))
            })
            .collect();
        let mut new = BTreeSet::new();
        for (view, targets) in asked {
            let Some(provider) = self.engine.providers.get(&view.0).cloned() else { continue };
            let deep = view.1;
            let targets: Vec<Target> = targets
                .iter()
                .filter(|t| known.get(&(deep, t.key.clone())) != Some(*t))
                .cloned()
                .collect();
            if targets.is_empty() {
                continue;
            }
            let look = async move {
                let seen = call::look(provider, targets, deep).await;
                (Instant::now(), seen)
            };
            if open.ask(view.clone(), look) || patience.is_none() {
                new.insert(view.clone());
            }
        }
        ended.extend(open.answers(&new, patience).await);
        let mut answers = Vec::new();
        let mut sweeps = BTreeSet::new();
        for (view, (at, seen)) in ended {
            if let Some(provider) = self.engine.providers.get(&view.0).cloned()
                && view.1
                && self.lease.is_some()
                && let targets = ours(&seen)
                && !targets.is_empty()
            {
                let (kind, deep, of) = &view;
                let key = (kind.clone(), *deep, format!("{of} {SWEEP}"));
                let sweep = async move {
                    call::sweep(provider, targets).await;
                    (at, Vec::new())
                };
                if open.ask(key.clone(), sweep) {
                    sweeps.insert(key);
                }
            }
            // What was seen long ago may be otherwise by now; that nobody can look is as true as ever.
            let is_fresh = at.elapsed() < FRESH;
            answers.extend(seen.into_iter().filter(|(_, seen)| is_fresh || seen.is_err()));
        }
        for (_, (_, seen)) in open.answers(&sweeps, patience).await {
            answers.extend(seen);
        }
        answers
    }

    /// What somebody else changed last is drift, unless it was put back to what was applied.
    async fn judge_touched(&self, provider: &dyn Provider, target: &Target, live: &mut Live) {
        let Some(touched) = live.touched.take() else { return };
        let TargetKey { request, component } = &target.key;
        let record = self.records.get(request).and_then(Option::as_ref);
        let applied = match record.and_then(|r| r.components.get(component)) {
            Some(known) => self.engine.store.artifact(&known.digest).await.ok().flatten(),
            None => None,
        };
        if !applied.is_some_and(|applied| provider.is_text_of(&touched, &applied)) {
            live.drift.insert(0, DriftItem::by_another());
        }
    }

    /// What a file that is gone said last, from the commits since the last pass; what the last pass
    /// itself read is what the record says.
    pub(super) fn last_words(
        &self,
        n: usize,
        id: &RequestId,
        path: &str,
        after: Option<&Revision>,
    ) -> Option<Gone> {
        let snapshot = &self.snapshots[n];
        let commit = snapshot.commit.as_ref()?;
        let max = self.engine.config.settings.limits.file_bytes;
        let gone = last_words(snapshot.source.mirror(), id, path, after, commit, max)?;
        Some(Gone { commit: Some(commit.clone()), before: after.cloned(), ..gone })
    }
}

/// Whether it is what is left of a try of ours.
fn is_rubble(live: &Live) -> bool {
    live.owner == Owner::Ours && live.stuck.as_ref().is_some_and(|stuck| stuck.unmade)
}

/// Those that are there, ours, and at rest.
fn ours(seen: &[(Target, Result<Observation, ProviderError>)]) -> Vec<Target> {
    let rests = |seen: &Result<Observation, ProviderError>| matches!(seen, Ok(Observation::Present(live)) if live.owner == Owner::Ours && !live.busy);
    seen.iter().filter(|(_, seen)| rests(seen)).map(|(target, _)| target.clone()).collect()
}

/// What a file that is gone at `upto` said in the newest commit after `after` that has it, or in
/// `after` itself.
pub(super) fn last_words(
    mirror: &Mirror,
    id: &RequestId,
    path: &str,
    after: Option<&Revision>,
    upto: &Revision,
    max: u64,
) -> Option<Gone> {
    let (_, blob) = mirror.last_blob(path, after, upto).ok()??;
    let Ok(Blob::Bytes(bytes)) = mirror.blob(blob, max) else { return None };
    Some(match catalog::request(&path.into(), id, &bytes) {
        Ok(file) => Gone {
            protect: file.protect.unwrap_or(false),
            tombstone: file.tombstone,
            moved_from: file.moved_from,
            ..Gone::default()
        },
        // Its last words cannot be read: the record alone decides.
        Err(_) => Gone::default(),
    })
}
