//! Whether pull requests are looked after, for those who watch vend.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{Place, Reviewer, Trouble, Turn};
use crate::error::chain;
use crate::model::{PullKey, PullState, SourceName, Unattended};
use crate::reconcile::PassError;
use crate::store::{Lease, Write, unattended_key};

/// How the looks at each branch fare.
#[derive(Debug, Default)]
pub(super) struct Health {
    ailing: BTreeMap<SourceName, Unattended>,
    /// When each was looked at from end to end.
    looked: BTreeMap<SourceName, Timestamp>,
    /// What is written down of that, once it is known.
    told: Option<Vec<Unattended>>,
}

impl Reviewer {
    /// A look at a branch ended so.
    pub(super) fn fares(&mut self, place: &Place, error: Option<&Trouble>, now: Timestamp) {
        let (name, health) = (place.name(), &mut self.health);
        let Some(error) = error else {
            health.ailing.remove(name);
            health.looked.insert(name.clone(), now);
            return;
        };
        let before = health.ailing.get(name).map(|before| before.since);
        let (since, source) = (before.unwrap_or(now), name.clone());
        let ailing = Unattended { source, since, error: chain(error) };
        health.ailing.insert(name.clone(), ailing);
    }

    /// Writes down what `vend status` tells, and counts.
    pub(super) async fn tell_health(
        &mut self,
        lease: &Lease,
        turn: &mut Turn,
    ) -> Result<(), PassError> {
        turn.unattended = self.unattended();
        turn.ailing = self.health.ailing.len();
        let looked = |place: &Place| self.health.looked.get(place.name()).copied();
        let all: Option<Vec<Timestamp>> = self.places.iter().map(looked).collect();
        turn.looked = all.and_then(|all| all.into_iter().min());
        let now: Vec<Unattended> = self.health.ailing.values().cloned().collect();
        if self.health.told.is_none() {
            let told = self.store.value(&unattended_key()).await?;
            // What cannot be read is written anew.
            self.health.told = match told {
                None => Some(Vec::new()),
                Some(told) => serde_json::from_value(told).ok(),
            };
        }
        if self.health.told.as_ref() == Some(&now) {
            return Ok(());
        }
        let value = serde_json::to_value(&now).ok().filter(|_| !now.is_empty());
        self.store.commit(lease, vec![Write::Value { key: unattended_key(), value }]).await?;
        self.health.told = Some(now);
        Ok(())
    }

    /// Open pull requests of which nobody knows now, or can be told, how they stand.
    fn unattended(&self) -> usize {
        let ails = |key: &PullKey| {
            self.health.ailing.contains_key(&key.source)
                || self.lacking.contains_key(key)
                || self.silent.contains_key(key)
                || self.refused.contains_key(key)
        };
        let open = self.kept.iter().filter(|(_, kept)| kept.pull.state == PullState::Open);
        open.filter(|(key, _)| ails(key)).count()
    }
}
