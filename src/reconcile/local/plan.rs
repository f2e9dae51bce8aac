//! Planning from what a laptop has.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;

use super::super::PassError;
use super::super::desired::Evaluated;
use super::super::foresee::{self, Foreseen, Foreseer, Sight};
use super::super::law::{Court, Law};
use super::super::outline;
use super::super::reach::Reach;
use super::published::Published;
use super::requests::{LocalRequests, local_providers};
use crate::catalog::Catalog;
use crate::config::Config;
use crate::digest::Digest;
use crate::model::{Action, Artifact, InstanceId, Plan, Record, RequestId, Step, TargetName};
use crate::plan::{self, Case, Expiry, Gone, Guards, Situation, Totals};
use crate::provider::Providers;

/// What a plan without the world is made from.
pub struct Desk<'a> {
    /// The request files.
    pub requests: &'a LocalRequests,
    /// The catalog.
    pub catalog: &'a Catalog,
    /// The configuration.
    pub config: &'a Config,
    /// The requests that are asked about.
    pub ids: &'a BTreeSet<RequestId>,
    /// What was read of them, and of those that they refer to.
    pub evaluated: &'a BTreeMap<RequestId, Evaluated>,
    /// What files that are gone last said.
    pub gone: &'a BTreeMap<RequestId, Gone>,
    /// Recorded state.
    pub published: &'a Published,
    /// When it is.
    pub now: Timestamp,
}

/// A plan made without looking at the world, with the steps that follow from it.
///
/// # Errors
/// When a file of the working copy cannot be read.
pub async fn plan(desk: &Desk<'_>) -> Result<Foreseen, PassError> {
    let table = Table::new(desk)?;
    let cases: Vec<Case> = desk.ids.iter().filter_map(|id| table.case(id)).collect();
    let settled = (desk.ids.len() - cases.len()) as u64;
    let (plan, cases) = table.plan(cases, settled);
    let mut foreseer = Foreseer::new(plan, cases);
    let mut elsewhere = BTreeSet::new();
    for _ in 0..foresee::MOST {
        let ids = foreseer.next(&table);
        if ids.is_empty() {
            break;
        }
        let (ids, others): (BTreeSet<_>, BTreeSet<_>) =
            ids.into_iter().partition(|id| desk.requests.found.contains_key(id));
        elsewhere.extend(others);
        table.read_foreseen(&ids, &mut foreseer).await?;
        let added = foreseer.added().filter(|id| desk.ids.contains(*id)).count() as u64;
        let cases = std::mem::take(&mut foreseer.cases);
        (foreseer.seen.plan, foreseer.cases) = table.plan(cases, settled - added);
    }
    let mut seen = foreseer.finish();
    seen.plan = table.ruled(seen.plan, &seen.evaluated);
    seen.untold.extend(elsewhere);
    let evaluated = desk.evaluated.values().chain(seen.evaluated.values());
    let read: HashMap<Digest, Arc<Artifact>> = evaluated
        .flat_map(|e| &e.artifacts)
        .filter_map(|(_, artifact)| Some((artifact.digest?, artifact.clone())))
        .collect();
    let find = |digest: Option<Digest>| {
        digest.and_then(|d| read.get(&d).or_else(|| desk.published.artifacts.get(&d)).cloned())
    };
    outline::fill(&mut seen.plan, &table.providers, |step| (find(step.from), find(step.artifact)));
    Ok(seen)
}

struct Table<'a> {
    desk: &'a Desk<'a>,
    records: BTreeMap<RequestId, Record>,
    users: BTreeMap<RequestId, BTreeSet<RequestId>>,
    /// Names that requests took along when they moved.
    taken: BTreeMap<TargetName, RequestId>,
    providers: Providers,
}

impl<'a> Table<'a> {
    fn new(desk: &'a Desk<'a>) -> Result<Self, PassError> {
        let records = desk.published.records();
        let providers = local_providers(desk.config)?;
        let named = desk.published.instance.iter().flat_map(|instance| {
            records.values().flat_map(move |record| record.brought_along(instance))
        });
        let taken = named.collect();
        let mut table = Self { desk, records, users: BTreeMap::new(), taken, providers };
        let all: BTreeSet<RequestId> =
            table.records.keys().chain(desk.evaluated.keys()).cloned().collect();
        for id in all {
            for other in table.references(&id) {
                table.users.entry(other).or_default().insert(id.clone());
            }
        }
        Ok(table)
    }

    /// As desired where the file was read, else as recorded.
    fn references(&self, id: &RequestId) -> Vec<RequestId> {
        let spec = self.desk.evaluated.get(id).and_then(|e| e.row.desired.spec());
        let references = spec.map(|s| &s.references);
        let references = references.or_else(|| self.records.get(id).map(|r| &r.references));
        references.into_iter().flat_map(|r| r.values()).map(|f| f.request.clone()).collect()
    }

    fn dependents(&self, id: &RequestId) -> Vec<RequestId> {
        self.users.get(id).into_iter().flatten().cloned().collect()
    }

    fn taken(&self, id: &RequestId) -> BTreeSet<TargetName> {
        let others = self.taken.iter().filter(|(_, owner)| *owner != id);
        others.map(|(name, _)| name.clone()).collect()
    }

    /// `None`: it is as it should be.
    fn case(&self, id: &RequestId) -> Option<Case> {
        let desired = self.desk.evaluated.get(id).map(|e| e.row.desired.clone());
        let mut recorded = self.records.get(id).cloned();
        if let Some(record) = &mut recorded {
            let Desk { catalog, .. } = self.desk;
            Reach { catalog, providers: &self.providers }.record(desired.as_deref(), record);
        }
        let wanted = desired.as_ref().and_then(|d| d.spec()).map(|spec| spec.fingerprint());
        let settled = recorded.as_ref().and_then(|r| r.settled);
        let life = recorded.as_ref().and_then(|r| r.life.as_ref());
        let is_over = life.is_some_and(|life| life.ends <= self.desk.now);
        (wanted.is_none() || wanted != settled || is_over).then(|| Case {
            id: id.clone(),
            desired,
            gone: self.desk.gone.get(id).cloned(),
            recorded,
            live: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            retries: BTreeMap::new(),
            drift_due: false,
            barred: None,
            later: BTreeSet::new(),
            untouched: BTreeSet::new(),
            may_have_moved: false,
            stopped: None,
            taken: self.taken(id),
        })
    }

    fn plan(&self, cases: Vec<Case>, settled: u64) -> (Plan, Vec<Case>) {
        let Desk { evaluated, published, config, now, .. } = self.desk;
        let nobody = InstanceId::new("not-known");
        let mut by_team: BTreeMap<String, u64> = BTreeMap::new();
        for id in self.records.keys() {
            *by_team.entry(id.team().to_owned()).or_default() += 1;
        }
        let breaker = &config.settings.reconcile.breaker;
        let situation = Situation {
            now: *now,
            instance: published.instance.as_ref().unwrap_or(&nobody),
            cases,
            totals: Totals { recorded: self.records.len() as u64, by_team },
            settled,
            sources: BTreeMap::new(),
            dependents: &|id| self.dependents(id),
            references: &|id| self.references(id),
            stands: &|id| self.records.contains_key(id) || evaluated.contains_key(id),
            approvals: &BTreeSet::new(),
            guards: Guards {
                max_deletes: breaker.max_deletes,
                max_share: breaker.max_percent / 100.0,
                team_min: breaker.team_min,
            },
            expiry: Expiry { grace: config.settings.expiry.grace(), fates: BTreeMap::new() },
            blind: true,
        };
        (plan::plan(&situation), situation.cases)
    }

    /// The plan with what rules ask of it: noted at its steps.
    fn ruled(&self, plan: Plan, foreseen: &BTreeMap<RequestId, Evaluated>) -> Plan {
        let Desk { evaluated, catalog, .. } = self.desk;
        let read = |id: &RequestId| foreseen.get(id).or_else(|| evaluated.get(id));
        let law = |id: &RequestId| {
            let law = match read(id) {
                Some(read) => read.law.clone()?,
                None => {
                    let record = self.records.get(id)?;
                    let environment = catalog.environments.get(id.environment())?;
                    Law::of_record(record, environment, (catalog, None))?.into()
                }
            };
            law.looks_at_plans().then_some(law)
        };
        let path = |id: &RequestId| {
            let path = read(id).map(|e| e.row.desired.origin.path.clone());
            path.or_else(|| self.records.get(id).map(|r| r.origin.path.clone()))
        };
        let resources = |step: &Step| {
            let provider = self.providers.get(&step.target.provider)?;
            if !provider.previews() {
                return Some(Vec::new());
            }
            let artifact = foresee::artifact_of(read(&step.target.key.request)?, step)?;
            (step.action == Action::Create)
                .then(|| Some(provider.outline(step.action, &artifact)?.resources))?
        };
        let court = Court { law: &law, path: &path, resources: &resources };
        let ids: BTreeSet<&RequestId> = plan.steps.iter().map(|s| &s.target.key.request).collect();
        let rulings = court.rulings(&ids, &plan.steps, &BTreeMap::new());
        plan::require(plan, &rulings, &|_| &[], false)
    }

    /// Reads requests with the outputs that they use as the plan will make them.
    async fn read_foreseen(
        &self,
        ids: &BTreeSet<RequestId>,
        foreseer: &mut Foreseer,
    ) -> Result<(), PassError> {
        let Desk { requests, catalog, .. } = self.desk;
        let (foresight, rest) = foreseer.foresights();
        let read = async |foresight| {
            let (records, providers) = (&self.records, &self.providers);
            requests.evaluate_as(ids, catalog, records, providers, Some(foresight)).await
        };
        let evaluated: Vec<Evaluated> = read(&foresight).await?;
        let mut at_rest: BTreeMap<RequestId, Evaluated> = BTreeMap::new();
        if evaluated.iter().any(Foreseer::is_open) {
            let rest = read(&rest).await?;
            at_rest = rest.into_iter().map(|e| (e.row.desired.id.clone(), e)).collect();
        }
        for evaluated in evaluated.into_iter().filter(|e| ids.contains(&e.row.desired.id)) {
            let id = evaluated.row.desired.id.clone();
            let rest = at_rest.remove(&id).filter(|_| Foreseer::is_open(&evaluated));
            foreseer.take(evaluated, rest, self.records.get(&id), || Case {
                id: id.clone(),
                desired: None,
                gone: None,
                recorded: self.records.get(&id).cloned(),
                live: BTreeMap::new(),
                in_flight: BTreeMap::new(),
                retries: BTreeMap::new(),
                drift_due: false,
                barred: None,
                later: BTreeSet::new(),
                untouched: BTreeSet::new(),
                may_have_moved: false,
                stopped: None,
                taken: BTreeSet::new(),
            });
        }
        Ok(())
    }
}

impl Sight for Table<'_> {
    fn record(&self, id: &RequestId) -> Option<&Record> {
        self.records.get(id)
    }

    fn artifact(&self, step: &Step) -> Option<Arc<Artifact>> {
        foresee::artifact_of(self.desk.evaluated.get(&step.target.key.request)?, step)
    }

    fn providers(&self) -> &Providers {
        &self.providers
    }

    fn users(&self, id: &RequestId) -> Vec<RequestId> {
        let own = self.desk.evaluated.get(id).and_then(|e| e.row.desired.spec());
        let own = own.filter(|s| s.components.iter().any(|c| !c.needs.is_empty()));
        let own = own.map(|_| id.clone());
        self.dependents(id).into_iter().chain(own).collect()
    }
}
