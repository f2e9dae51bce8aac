//! Whom a version comes to that a change of the catalog brings: wave by wave, and with what.
//!
//! # Flow
//! [`arriving`] tells which versions are on their way that were not. [`through`] supposes that all waves
//! of one have come; who is in them is read once more with that, and [`hit`] tells what would differ then.
//!
//! # Caveats
//! Of two versions that come at once the higher counts, with its own wave: the lower one may come earlier.

use std::collections::BTreeMap;

use super::compare::Compare;
use super::desired::Evaluated;
use super::memory::Memory;
use crate::catalog::Catalog;
use crate::model::{Arrival, Effect, Hit, Record, RequestId, Rollout, TemplateId, Wave};
use crate::plan::rollout;

/// Rollouts that begin or go on with a change of the catalog: of versions that no range took before.
pub(super) fn arriving(
    memory: &Memory,
    before: Option<&Catalog>,
    after: &Catalog,
) -> BTreeMap<TemplateId, Rollout> {
    let takes = |catalog: &Catalog, id: &TemplateId| {
        catalog.version(id).is_some_and(|version| version.is_sound())
    };
    let comes =
        |id: &TemplateId| takes(after, id) && !before.is_some_and(|before| takes(before, id));
    let open = memory.rollouts.values().filter(|r| r.is_open() && r.stopped.is_none());
    open.filter(|r| comes(&r.version)).map(|r| (r.version.clone(), r.clone())).collect()
}

/// Where versions go from here that are on their way while the waves are edited: the waves that are left
/// to each.
pub(super) fn rerouted<'a>(
    rollouts: impl IntoIterator<Item = &'a Rollout>,
    before: &Catalog,
    after: &Catalog,
) -> Vec<(TemplateId, Vec<Wave>)> {
    if before.waves() == after.waves() || after.rollout.is_none() {
        return Vec::new();
    }
    let open = rollouts.into_iter().filter(|rollout| rollout.is_open() && rollout.begun > 0);
    let left = |r: &Rollout| rollout::left(r, after.waves()).into_iter().cloned().collect();
    open.map(|rollout| (rollout.version.clone(), left(rollout))).collect()
}

/// As it stands when all waves have come.
pub(super) fn through(rollout: &Rollout, waves: &[Wave]) -> Rollout {
    let mut rollout = rollout.clone();
    for wave in waves {
        let share = rollout.reached.entry(wave.environment.clone()).or_default();
        *share = wave.share.max(*share);
    }
    rollout
}

/// Whether a request is in a wave that is still to come.
pub(super) fn is_awaited(rollout: &Rollout, waves: &[Wave], id: &RequestId) -> bool {
    !rollout::admits(rollout, id) && rollout::first_wave(waves, &rollout.version, id).is_some()
}

/// What a wave comes to for a request: as it `is` read after the change, and as it is read `then`, when
/// all waves have come. `None`: no version comes to it.
pub(super) fn hit(
    compare: &Compare<'_>,
    (is, then): (&Evaluated, &Evaluated),
    record: Option<&Record>,
    (arriving, waves): (&BTreeMap<TemplateId, Rollout>, &[Wave]),
) -> Option<Hit> {
    let id = &then.row.desired.id;
    let version = then.refused.as_ref().or_else(|| then.row.desired.template())?;
    let rollout = arriving.get(version).filter(|rollout| is_awaited(rollout, waves, id))?;
    let n = rollout::first_wave(waves, version, id)?;
    let wave = waves.get(n)?;
    let mut hit = match &then.refused {
        None => compare.hit(is, then, record)?,
        Some(version) => Hit {
            request: id.clone(),
            template: Some(version.clone()),
            effect: Effect::CannotTake,
            steps: Vec::new(),
            settings: Vec::new(),
            problems: then.unfit.clone(),
            held: None,
            arrival: None,
        },
    };
    hit.arrival = Some(Arrival {
        version: version.clone(),
        wave: n + 1,
        of: waves.len(),
        environment: wave.environment.clone(),
        share: wave.share,
        stop_after: wave.stop_after,
        // One that has begun goes on when the wave that it is in is through.
        at_once: rollout.begun == 0,
    });
    Some(hit)
}

/// Leaves at once only what comes with a version's first wave that has somebody in it.
pub(super) fn settle(hits: &mut [Hit]) {
    let mut first: BTreeMap<TemplateId, usize> = BTreeMap::new();
    for arrival in hits.iter().filter_map(|hit| hit.arrival.as_ref()) {
        let wave = first.entry(arrival.version.clone()).or_insert(arrival.wave);
        *wave = arrival.wave.min(*wave);
    }
    for arrival in hits.iter_mut().filter_map(|hit| hit.arrival.as_mut()) {
        arrival.at_once &= first.get(&arrival.version) == Some(&arrival.wave);
    }
}
