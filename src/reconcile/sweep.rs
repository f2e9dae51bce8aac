//! Clearing away what previews left, also where no look for drift comes by: looks clear away what is left at
//! the targets that they look at, and at what those stand in.

use std::collections::{BTreeMap, HashMap};

use jiff::SignedDuration;
use tokio::task::JoinSet;
use tracing::Instrument as _;

use super::call;
use super::memory::Memory;
use super::pass::Pass;
use super::slow::PATIENCE;
use super::{Engine, PassError};
use crate::model::{Desired, DesiredComponent, Record, RequestId, Target, TargetKey, TargetName};
use crate::plan;

/// Looks for drift that come this often leave nothing that gets a day old.
pub(super) const OFTEN: SignedDuration = SignedDuration::from_hours(12);

/// Requests that are read from the store at once.
const PART: usize = 1_000;

impl Engine {
    /// Whether previews can leave something anywhere: an environment has a provider that makes them.
    pub(super) fn has_previews(&self, memory: &Memory) -> bool {
        let environments = memory.catalog.iter().flat_map(|(catalog, _)| &catalog.environments);
        let mut kinds = environments.flat_map(|(_, environment)| environment.providers.keys());
        kinds.any(|kind| self.providers.get(kind).is_some_and(|provider| provider.previews()))
    }
}

impl Pass<'_> {
    /// With the upkeep, as often as that is due. What takes its time goes on beside later passes.
    pub(super) async fn sweep(&self) -> Result<(), PassError> {
        if self.lease.is_none() || !self.engine.is_neglected((self.clock)()).await? {
            return Ok(());
        }
        let mut targets = self.unmade().await?;
        if self.engine.config.settings.reconcile.drift_interval > OFTEN {
            targets.extend(self.made().await?);
        }
        let mut views: BTreeMap<(String, String), Vec<Target>> = BTreeMap::new();
        for target in targets {
            if let Some(provider) = self.engine.providers.get(&target.provider) {
                let view = (target.provider.clone(), provider.view(&target));
                views.entry(view).or_default().push(target);
            }
        }
        let mut sweeps = JoinSet::new();
        for ((kind, _), targets) in views {
            let Some(provider) = self.engine.providers.get(&kind).cloned() else { continue };
            sweeps.spawn(call::sweep(provider, targets).in_current_span());
        }
        let all = async { while sweeps.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(PATIENCE, all).await;
        sweeps.detach_all();
        Ok(())
    }

    /// One target in each place where something is asked for and nothing is made: previews of it may have
    /// left something there.
    async fn unmade(&self) -> Result<Vec<Target>, PassError> {
        let asked = self.memory.desired().iter().filter(|entry| entry.valid);
        let asked = asked.filter(|entry| !self.memory.records().contains(&entry.id));
        let ids: Vec<RequestId> = asked.map(|entry| entry.id.clone()).collect();
        let mut places: HashMap<(String, String), Target> = HashMap::new();
        for part in ids.chunks(PART) {
            for desired in self.engine.store.desired(part).await? {
                for target in self.wanted(&desired) {
                    let Some(provider) = self.engine.providers.get(&target.provider) else {
                        continue;
                    };
                    let place = (target.provider.clone(), provider.view(&target));
                    places.entry(place).or_insert(target);
                }
            }
        }
        Ok(places.into_values().collect())
    }

    fn wanted(&self, desired: &Desired) -> Vec<Target> {
        let components = desired.spec().map(|spec| spec.components.as_slice()).unwrap_or_default();
        let target = |component: &DesiredComponent| {
            let key = TargetKey { request: desired.id.clone(), component: component.name.clone() };
            Target {
                name: TargetName::compute(&self.engine.instance, &key),
                key,
                instance: self.engine.instance.clone(),
                provider: component.provider.clone(),
                settings: plan::settings(&desired.id, component, None),
                id: None,
            }
        };
        components.iter().map(target).collect()
    }

    /// Everything that is made.
    async fn made(&self) -> Result<Vec<Target>, PassError> {
        let ids: Vec<RequestId> =
            self.memory.records().iter().map(|entry| entry.id.clone()).collect();
        let mut targets = Vec::new();
        for part in ids.chunks(PART) {
            let desired = self.engine.store.desired(part).await?;
            let desired: HashMap<&RequestId, &Desired> =
                desired.iter().map(|d| (&d.id, d)).collect();
            for mut record in self.engine.store.records(part).await? {
                self.reach().record(desired.get(&record.id).copied(), &mut record);
                targets.extend(self.targets(record));
            }
        }
        Ok(targets)
    }

    fn targets(&self, record: Record) -> impl Iterator<Item = Target> {
        let Record { id, components, .. } = record;
        let instance = self.engine.instance.clone();
        components.into_iter().map(move |(name, component)| Target {
            name: component.target,
            key: TargetKey { request: id.clone(), component: name },
            instance: instance.clone(),
            provider: component.provider,
            settings: component.settings,
            id: component.id,
        })
    }
}
