//! Looking at the targets on which a decision depends, and at what a file that is gone last said.

use std::collections::{BTreeMap, HashMap};

use super::pass::Pass;
use crate::catalog;
use crate::error::chain;
use crate::fault::planted;
use crate::git::{Blob, Mirror};
use crate::model::{DriftItem, Live, Observation, Owner, RequestId, Revision, Target, TargetKey};
use crate::plan::{self, Case, Gone, Looks, Seen, Situation};
use crate::provider::{Provider, ProviderError};

impl Pass<'_> {
    /// Fills in what providers see; what was seen in an earlier round and not touched since is not
    /// looked at again.
    pub(super) async fn observe(
        &self,
        situation: &mut Situation<'_>,
        live: &mut HashMap<TargetKey, Seen>,
    ) {
        let Looks { targets, drift } = plan::needs_observing(situation);
        let mut asked: BTreeMap<(String, bool), Vec<Target>> = BTreeMap::new();
        let each =
            targets.into_iter().map(|t| (t, false)).chain(drift.into_iter().map(|t| (t, true)));
        for (target, deep) in each {
            if !live.contains_key(&target.key) {
                asked.entry((target.provider.clone(), deep)).or_default().push(target);
            }
        }
        for ((kind, deep), targets) in asked {
            match self.engine.providers.get(&kind) {
                Some(provider) => {
                    let seen = if deep {
                        provider.inspect(&targets).await
                    } else {
                        provider.observe(&targets).await
                    };
                    if deep && self.lease.is_some() {
                        provider.sweep(&ours(&seen)).await;
                    }
                    for (target, mut seen) in seen {
                        if let Ok(Observation::Present(live)) = &mut seen {
                            self.judge_touched(provider.as_ref(), &target, live).await;
                        }
                        let seen = match seen {
                            Ok(observation) => Seen::Observed(observation),
                            Err(_) if planted!("error-is-absent") => {
                                Seen::Observed(Observation::Absent)
                            }
                            Err(error @ ProviderError::Refused(_)) => Seen::Refused(chain(&error)),
                            Err(error) => Seen::Failed(chain(&error)),
                        };
                        live.insert(target.key, seen);
                    }
                }
                None => {
                    let why = format!("this vend has no provider `{kind}`");
                    live.extend(targets.into_iter().map(|t| (t.key, Seen::Failed(why.clone()))));
                }
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
