//! What a pass starts from: the indexes, as the last pass left them or as the store has them.

use std::collections::BTreeMap;

use super::memory::{Built, Memory};
use super::pass::{
    BUILT, CATALOG, COUNTS, DRIFTED, PAGE, PATHS, REBUILT, STOPPED, TAKEN, UNSAID, told_key,
};
use super::{Engine, PassError};
use crate::model::{DriftCounts, RequestId, Status, TargetName};
use crate::store::Index;

impl Engine {
    /// The indexes: kept from the last pass unless somebody else wrote to the store since.
    pub(super) async fn memory(&mut self) -> Result<Memory, PassError> {
        let basis = self.store.basis().await?;
        if let Some(memory) = self.memory.take().filter(|m| m.basis == basis) {
            return Ok(memory);
        }
        let mut memory = self.read_values(self.store.index().await?).await?;
        // Another reading needs all of it again, whatever the store says.
        let reading = Some(self.reading());
        let stored = match memory.built.reading == reading {
            true => memory.built.clone(),
            false => Built { reading, ..Built::default() },
        };
        if let Some(backlog) = self.backlog.take()
            && *backlog.stored() == stored
        {
            memory.built.clone_from(backlog.built());
            self.backlog = Some(backlog);
        }
        Ok(memory)
    }

    /// An index with the named values that belong to it.
    pub(super) async fn read_values(&self, index: Index) -> Result<Memory, PassError> {
        let mut memory = Memory::load(index, self.drift_clock());
        let value = |v: Option<serde_json::Value>| v.unwrap_or_default();
        memory.built =
            serde_json::from_value(value(self.store.value(BUILT).await?)).unwrap_or_default();
        memory.counts =
            serde_json::from_value(value(self.store.value(COUNTS).await?)).unwrap_or_default();
        memory.paths =
            serde_json::from_value(value(self.store.value(PATHS).await?)).unwrap_or_default();
        memory.catalog_problems =
            serde_json::from_value(value(self.store.value(CATALOG).await?)).unwrap_or_default();
        memory.take_rollouts(super::rollout::standing(self.store.as_ref()).await?);
        memory.rebuilt =
            serde_json::from_value(value(self.store.value(REBUILT).await?)).unwrap_or_default();
        memory.stopped =
            serde_json::from_value(value(self.store.value(STOPPED).await?)).unwrap_or_default();
        (memory.taken, memory.is_new_taken) = self.taken(&memory).await?;
        (memory.drifted, memory.is_new_drifted) = self.drifted().await?;
        memory.unsaid = self.store.value(UNSAID).await?.is_some();
        memory.told =
            serde_json::from_value(value(self.store.value(&told_key()).await?)).unwrap_or_default();
        Ok(memory)
    }

    /// Who has names that are not its own. A store that is older than this knowledge is looked through,
    /// once: whether that was done.
    async fn taken(
        &self,
        memory: &Memory,
    ) -> Result<(BTreeMap<TargetName, RequestId>, bool), PassError> {
        if let Some(value) = self.store.value(TAKEN).await? {
            return Ok((serde_json::from_value(value).unwrap_or_default(), false));
        }
        let ids: Vec<RequestId> = memory.records().iter().map(|entry| entry.id.clone()).collect();
        let mut taken = BTreeMap::new();
        for part in ids.chunks(1_000) {
            for record in self.store.records(part).await? {
                taken.extend(record.brought_along(&self.instance));
            }
        }
        Ok((taken, true))
    }

    /// How many targets differ. A store that is older than this knowledge is looked through, once: whether
    /// that was done.
    async fn drifted(&self) -> Result<(DriftCounts, bool), PassError> {
        if let Some(value) = self.store.value(DRIFTED).await? {
            return Ok((serde_json::from_value(value).unwrap_or_default(), false));
        }
        let mut drifted = DriftCounts::default();
        let mut after: Option<RequestId> = None;
        loop {
            let page = self.store.statuses_after(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok((drifted, true)) };
            after = Some(last.request.clone());
            for row in page {
                let status = serde_json::from_value::<Status>(row.document).ok();
                let of = status.as_ref().map(DriftCounts::of).unwrap_or_default();
                drifted.shift(DriftCounts::default(), of);
            }
        }
    }
}
