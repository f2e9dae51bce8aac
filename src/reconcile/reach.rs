//! By whose rights what is recorded is reached: those that its environment names now. A role that is
//! replaced, and perhaps gone, must not lock what was made by it.

use crate::catalog::{self, Catalog};
use crate::model::{ComponentName, Desired, Journalled, Map, Record, RequestId};
use crate::provider::Providers;

/// What says how things are reached now.
pub(super) struct Reach<'a> {
    pub(super) catalog: &'a Catalog,
    pub(super) providers: &'a Providers,
}

impl Reach<'_> {
    /// A record as its targets are reached now: for looking and planning, never to be written.
    pub(super) fn record(&self, desired: Option<&Desired>, record: &mut Record) {
        let Record { id, template, components, .. } = record;
        for (name, component) in components {
            let Some(provider) = self.providers.get(&component.provider) else { continue };
            let now = wanted(desired, name, &component.provider).cloned();
            let now = now.or_else(|| {
                self.environment(id, &component.provider, || {
                    let version = self.catalog.version(template)?;
                    Some(version.components.iter().find(|c| c.name == *name)?.with.clone())
                })
            });
            let id = component.id.as_deref();
            component.settings = provider.reach(&component.settings, id, now.as_ref());
        }
    }

    /// A change that was begun, as its end is asked for now.
    pub(super) fn row(&self, row: &mut Journalled) {
        let target = &mut row.change.target;
        let Some(provider) = self.providers.get(&target.provider) else { return };
        let template = row.change.template.as_ref();
        let now = self.environment(&target.key.request, &target.provider, || {
            let version = self.catalog.version(template?)?;
            let component = version.components.iter().find(|c| c.name == target.key.component)?;
            Some(component.with.clone())
        });
        let id = row.ticket.as_ref().and_then(|t| provider.identity(t)).or(target.id.clone());
        target.settings = provider.reach(&target.settings, id.as_deref(), now.as_ref());
        if let Some(ticket) = &mut row.ticket {
            ticket.target.settings.clone_from(&target.settings);
        }
    }

    /// What an environment says of a provider, with what a component adds.
    fn environment(
        &self,
        id: &RequestId,
        provider: &str,
        with: impl FnOnce() -> Option<Map>,
    ) -> Option<Map> {
        let environment = self.catalog.environments.get(id.environment())?;
        let own = environment.providers.get(provider)?;
        Some(catalog::refined(own, &with().unwrap_or_default()))
    }
}

/// The settings of a component that is wanted from that provider.
fn wanted<'a>(
    desired: Option<&'a Desired>,
    name: &ComponentName,
    provider: &str,
) -> Option<&'a Map> {
    let component = desired?.spec()?.component(name)?;
    (component.provider == provider).then_some(&component.settings)
}
