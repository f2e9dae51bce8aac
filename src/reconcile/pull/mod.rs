//! Pull requests: what each would do is planned and said, who approved is heard, what people ask in
//! comments is done, and after the merge it is told how it goes.
//!
//! # Flow
//! A turn asks the forge for pull requests, plans those of which something is new, says what is not
//! said yet, and writes down for the passes how merged files came to their branch. It works with an
//! engine of its own on the same store, so that a forge that is slow or down delays no pass.
//!
//! # Guarantees
//! - Level-triggered: what is to be said is compared with what was said. After a crash or a day
//!   without the forge the next turn says what is missing, and nothing twice.
//! - An approval counts for the plan that it was given to, and never from the author,
//!   nor from anybody else whose commits are among its own.
//! - Nothing of a fork reaches a provider before somebody who may write asked for that very commit.

mod again;
mod apart;
mod attend;
mod command;
mod follow;
mod heads;
mod health;
mod judge;
mod kept;
mod offer;
mod passage;
mod publish;
mod pushers;
mod queue;
mod rotation;
mod silent;
mod spoken;
mod stand;
mod survey;
mod warn;
mod whose;
mod withdraw;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tracing::Instrument as _;

use self::again::Again;
use self::kept::Kept;
pub use self::offer::change;
use self::rotation::Rotation;
use self::silent::Silence;
pub use self::stand::Nudges;
use super::{Engine, PassError};
use crate::config::Config;
use crate::digest::Digest;
use crate::error::chain;
use crate::fault::point;
use crate::forge::{Check, Forge, ForgeError, Repo};
use crate::git::GitError;
use crate::model::{
    Pull, PullKey, PullState, RequestId, Revision, SourceName, SourceProblem, SourceRecord, Sources,
};
use crate::report;
use crate::store::{ASIDE, Lease, Store, Write};

/// Why something of a pull request could not be done now.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    /// Our own side.
    #[error(transparent)]
    Pass(#[from] PassError),
    /// The forge.
    #[error(transparent)]
    Forge(#[from] ForgeError),
    /// Its repository.
    #[error(transparent)]
    Git(#[from] GitError),
}

impl From<crate::fault::Fault> for Trouble {
    fn from(fault: crate::fault::Fault) -> Self {
        Self::Pass(fault.into())
    }
}

impl From<crate::store::StoreError> for Trouble {
    fn from(error: crate::store::StoreError) -> Self {
        Self::Pass(error.into())
    }
}

/// A branch of a repository on the forge, with the sources that read it.
#[derive(Clone, Debug)]
struct Place {
    repo: Repo,
    branch: String,
    /// One or more; the catalog may be among them.
    sources: Vec<SourceName>,
    /// No other branch of the repository is read.
    alone: bool,
}

impl Place {
    /// The name under which its pull requests are kept.
    fn name(&self) -> &SourceName {
        &self.sources[0]
    }

    fn key(&self, number: u64) -> PullKey {
        PullKey { source: self.name().clone(), number }
    }

    /// A check under the name that it has here.
    fn named(&self, check: Check) -> Check {
        if self.alone { check } else { report::pull::of_branch(check, &self.branch) }
    }
}

/// Looks after the pull requests of all repositories on one forge.
pub struct Reviewer {
    engine: Engine,
    store: Arc<dyn Store>,
    forge: Arc<dyn Forge>,
    places: Vec<Place>,
    /// What our markers are signed with.
    secret: Option<[u8; 32]>,
    kept: BTreeMap<PullKey, Kept>,
    loaded: bool,
    /// What the last look at each was made of. Forgotten by a restart: then each is looked at once.
    looked: BTreeMap<PullKey, Digest>,
    /// Who waits longest to be planned, and whether this turn still plans anything of its branch.
    rotation: Rotation,
    /// Those whose last look left something open.
    again: Again<PullKey>,
    /// Those whose head could not be fetched or read, with that head and why.
    lacking: BTreeMap<PullKey, heads::Lacking>,
    /// Those of which the forge tells nothing, and when it is asked again.
    silent: BTreeMap<PullKey, Pause>,
    /// Commits of which the forge cannot tell how they came, and when it is asked again.
    untold: BTreeMap<(Repo, Revision), Pause>,
    /// Those of which the forge refuses to tell all: what is known of them is all that will ever be.
    partly: BTreeSet<PullKey>,
    /// When a request whose file they change ends next: their plan is another one then.
    ending: BTreeMap<PullKey, Timestamp>,
    /// When it was asked last who they are that said yes to each.
    judged: BTreeMap<PullKey, Timestamp>,
    /// What is to be said where.
    wanted: BTreeMap<PullKey, publish::Wanted>,
    /// Groups of merge queues, by their commit, with what the last look at each was made of.
    queued: BTreeMap<(SourceName, Revision), Digest>,
    /// Branches where the last turn was overtaken before it came to a group of which nothing was said yet: groups go
    /// before pull requests once.
    belated: BTreeSet<SourceName>,
    /// Those of them whose last look left something open.
    queued_again: Again<(SourceName, Revision)>,
    /// Those where others may have changed what we have said: it is read back.
    unsure: BTreeSet<PullKey>,
    /// How often what stood there had to be set right, and when last.
    righted: BTreeMap<PullKey, Pause>,
    /// Those whose checks somebody wants made again.
    rerun: BTreeSet<PullKey>,
    /// When the checks of each were made again last.
    reran: BTreeMap<PullKey, Timestamp>,
    /// What webhooks say is worth a look.
    nudges: Nudges,
    /// What the forge refused, as it was, and when it is said again.
    refused: BTreeMap<PullKey, (Digest, Timestamp)>,
    /// Repositories whose forge is not asked before then, and how often it failed in a row.
    rest: BTreeMap<Repo, Pause>,
    /// Those where nothing is said before then. What is read goes on: what was merged is let through
    /// while the forge will hear nothing.
    mute: BTreeMap<Repo, Pause>,
    /// Pull requests that commits came with: what was merged stays merged.
    brought: BTreeMap<(Repo, Revision), Vec<Pull>>,
    /// Merges that had not arrived, with the commit at which it was asked last whether they still come.
    undropped: BTreeMap<PullKey, Revision>,
    /// Those commits of which the forge knew none when it was asked last.
    nobodys: BTreeSet<(Repo, Revision)>,
    /// Requests that were let through and are held since more would happen now, with what that is, of
    /// those that were compared again.
    moved: BTreeSet<(RequestId, Digest)>,
    /// Requests whose files came with pull requests that are over, of which it is yet to be written down how they came
    /// where nothing of them was to be done: no pass waits for that, and a change of the catalog would.
    quiet: BTreeSet<RequestId>,
    /// Commits of which the forge knows no pull request.
    doubted: BTreeMap<Option<Revision>, passage::Doubt>,
    health: health::Health,
    /// Those where nothing is proposed before then.
    unoffered: BTreeMap<Repo, Pause>,
}

/// How often something failed in a row, and until when it is left alone.
type Pause = (u32, Timestamp);

/// What a turn leaves behind.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// When something is due although nothing happens.
    pub due: Option<Timestamp>,
    /// Pull requests that could not be looked after.
    pub unattended: usize,
    /// Branches whose pull requests cannot be looked after, whether or not any is open.
    pub ailing: usize,
    /// When all branches were looked at from end to end; `None`: not since the start.
    pub looked: Option<Timestamp>,
    /// It wrote something that a pass should see at once.
    pub wake: bool,
}

impl Turn {
    /// Something is due then, although nothing happens.
    fn is_due(&mut self, at: Timestamp) {
        self.due = self.due.into_iter().chain([at]).min();
    }
}

/// The shortest and longest rest after a forge failed.
const REST: SignedDuration = SignedDuration::from_secs(5);
const REST_MOST: SignedDuration = SignedDuration::from_mins(15);

/// Pull requests that are over are remembered for so long, for comments and reverts.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 30);

/// Commits remembered with their pull requests.
const BROUGHT: usize = 10_000;

/// What it comes to that a pull request is not remembered.
const UNREVIEWED: &str =
    "reviews of it that were given before count no more: ask for them again, there";

/// How far back a first turn looks for what was merged.
const FIRST: SignedDuration = SignedDuration::from_hours(1);

/// A forge's clock may be behind ours.
const OVERLAP: SignedDuration = SignedDuration::from_mins(2);

impl Reviewer {
    /// For the sources that lie in these repositories of `forge`.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub async fn open(
        config: Arc<Config>,
        store: Arc<dyn Store>,
        forge: Arc<dyn Forge>,
    ) -> Result<Self, PassError> {
        let repos = super::repos(&config);
        let engine = Engine::open_on(config, store.clone(), Some(forge.clone())).await?;
        let places = places(&engine, &repos);
        Ok(Self {
            engine,
            store,
            forge,
            places,
            secret: None,
            kept: BTreeMap::new(),
            loaded: false,
            looked: BTreeMap::new(),
            rotation: Rotation::default(),
            again: Again::default(),
            lacking: BTreeMap::new(),
            silent: BTreeMap::new(),
            partly: BTreeSet::new(),
            untold: BTreeMap::new(),
            ending: BTreeMap::new(),
            judged: BTreeMap::new(),
            wanted: BTreeMap::new(),
            queued: BTreeMap::new(),
            belated: BTreeSet::new(),
            queued_again: Again::default(),
            unsure: BTreeSet::new(),
            righted: BTreeMap::new(),
            rerun: BTreeSet::new(),
            reran: BTreeMap::new(),
            nudges: Nudges::default(),
            refused: BTreeMap::new(),
            rest: BTreeMap::new(),
            mute: BTreeMap::new(),
            brought: BTreeMap::new(),
            undropped: BTreeMap::new(),
            nobodys: BTreeSet::new(),
            moved: BTreeSet::new(),
            quiet: BTreeSet::new(),
            doubted: BTreeMap::new(),
            health: health::Health::default(),
            unoffered: BTreeMap::new(),
        })
    }

    /// Also looks where these say.
    #[must_use]
    pub fn nudged_by(self, nudges: Nudges) -> Self {
        Self { nudges, ..self }
    }

    /// One turn over everything. `world` is another number whenever something was applied since.
    ///
    /// # Errors
    /// Only of our own side: trouble with the forge is waited out, and other repositories go on.
    pub async fn turn(
        &mut self,
        lease: &Lease,
        world: u64,
        clock: &(dyn Fn() -> Timestamp + Sync),
    ) -> Result<Turn, PassError> {
        self.load(lease).await?;
        let known = |(name, record): (&SourceName, &SourceRecord)| {
            Some((name.clone(), record.commit.clone()?))
        };
        self.heed_nudges();
        let mut turn = Turn::default();
        for place in self.places.clone() {
            let now = clock();
            if let Some((_, until)) = self.rest.get(&place.repo).filter(|(_, until)| *until > now) {
                turn.is_due(*until);
                continue;
            }
            // As late as can be: what a pass reads while this one is visited is for the next turn.
            let crate::store::Index { sources, basis, .. } = self.store.standing().await?;
            let commits: BTreeMap<_, _> = sources.iter().filter_map(known).collect();
            let Some(base) = commits.get(place.name()).cloned() else { continue };
            let last = self.last_look(&place, now).await?;
            let since = last.unwrap_or(now - FIRST);
            let commits = &commits;
            let troubles = troubles(&place, &sources);
            let visit = Visit {
                place: &place,
                base,
                last,
                since,
                commits,
                basis,
                troubles,
                world,
                lease,
                clock,
            };
            match self.visit(&visit, now, &mut turn).await {
                Ok(()) => {
                    self.rest.remove(&place.repo);
                    self.fares(&place, None, clock());
                }
                Err(Trouble::Pass(error)) => return Err(error),
                Err(error) => {
                    self.fares(&place, Some(&error), clock());
                    let until = wait(&mut self.rest, &place.repo, &error, clock());
                    let (repo, error) = (&place.repo, chain(&error));
                    tracing::warn!(%repo, error, %until, "pull requests cannot be looked after");
                    turn.is_due(until);
                }
            }
        }
        self.tell_health(lease, &mut turn).await?;
        Ok(turn)
    }

    /// Everything of one branch.
    async fn visit(
        &mut self,
        visit: &Visit<'_>,
        began: Timestamp,
        turn: &mut Turn,
    ) -> Result<(), Trouble> {
        let Visit { place, clock, .. } = visit;
        self.rotation.turn();
        let mut pulls = self.forge.pulls(&place.repo, visit.since).await?;
        pulls.retain(|pull| pull.base == place.branch);
        let listed: BTreeSet<u64> = pulls.iter().map(|pull| pull.number).collect();
        let is_open = |pull: &&Pull| pull.state == PullState::Open;
        let listed_open = pulls.iter().filter(is_open).map(|pull| pull.number).collect();
        // One that was open and is not listed any more was closed before what was asked for.
        let open = |kept: &&Kept| kept.pull.state == PullState::Open;
        let of_place = |key: &&PullKey| key.source == *place.name();
        let missing: Vec<u64> = self
            .kept
            .iter()
            .filter(|(key, kept)| of_place(key) && open(kept) && !listed.contains(&key.number))
            .map(|(key, _)| key.number)
            .collect();
        let mut silence = Silence::default();
        for number in missing {
            if self.is_silent(&place.key(number), clock(), turn) {
                continue;
            }
            match self.forge.pull(&place.repo, number).await {
                Ok(pull) if pull.base == place.branch => pulls.push(pull),
                Ok(pull) => {
                    let key = place.key(number);
                    let left = self.leave(visit, &key, pull).await;
                    self.own_trouble(visit, &key, left).await?;
                }
                Err(ForgeError::Gone { .. }) => {
                    self.forget(visit, &place.key(number)).await?;
                }
                Err(ForgeError::Refused { text }) => {
                    tracing::warn!(repo = %place.repo, number, text, "a pull request is left alone");
                }
                Err(error) => {
                    let (key, asked) = (place.key(number), Err(error.into()));
                    self.unless_silent(visit, &key, asked, &mut silence, turn)?;
                }
            }
        }
        // Of whose head nothing was said yet go first: people wait for those, and what may be said in a
        // while has its limit. Those that waited longest go before others, since a turn may come to a few only.
        pulls.sort_by_cached_key(|pull| {
            let key = place.key(pull.number);
            let kept = self.kept.get(&key);
            let is_told = |kept: &Kept| kept.checks.values().any(|said| said.head == pull.head);
            let is_open = pull.state == PullState::Open;
            let place = match is_open {
                true => self.rotation.place(&key, &pull.head, kept.is_some_and(is_told)),
                false => (true, None),
            };
            (place, pull.number)
        });
        let groups_first = self.belated.remove(place.name());
        if groups_first {
            self.queue(visit, turn).await?;
        }
        self.fetch_heads(visit, &pulls).await;
        let due = self.due_for_judging(visit);
        for pull in pulls {
            let key = place.key(pull.number);
            if self.is_silent(&key, clock(), turn) {
                continue;
            }
            if due.contains(&key) {
                self.judged.insert(key.clone(), clock());
            }
            let span = tracing::info_span!("pull", repo = %place.repo, number = pull.number);
            let listed = (pull.clone(), due.contains(&key));
            let attended = async {
                let attended = self.attend(visit, &key, listed, turn).await;
                self.own_trouble(visit, &key, attended).await
            };
            let attended = attended.instrument(span).await;
            if self.kept.get(&key).is_some_and(|kept| kept.pull == pull) {
                // What was refused was to be said: of what people said, all is known and will be.
                self.partly.remove(&key);
            }
            self.unless_silent(visit, &key, attended, &mut silence, turn)?;
        }
        self.queue(visit, turn).await?;
        if groups_first {
            // Else pull requests would never come first while groups come and go.
            self.belated.remove(place.name());
        }
        self.follow_all(visit, turn).await?;
        let standing = self.store.standing().await?;
        self.passages(visit, &standing, turn).await?;
        self.warn_of_ends(visit, turn).await?;
        self.offer_if_due(visit, &standing, turn).await?;
        self.clear(visit, clock()).await?;
        self.note_unsure(visit, turn);
        let later = self.mute.get(&place.repo).map(|(_, until)| *until);
        turn.due = turn.due.into_iter().chain(later).min();
        point!("pull.turn.before")?;
        if self.all_are_found(visit, &listed_open) {
            let value = serde_json::to_value(began).ok();
            let write = Write::Value { key: since_key(place.name()), value };
            self.store.commit(visit.lease, vec![write]).await?;
        }
        Ok(point!("pull.turn.after")?)
    }

    /// What is wrong with one pull request alone stops no other.
    async fn own_trouble(
        &mut self,
        visit: &Visit<'_>,
        key: &PullKey,
        outcome: Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        match self.unless_hidden(visit, key.number, outcome).await {
            Err(Trouble::Forge(ForgeError::Gone { text })) => {
                tracing::info!(pull = %key, text, "a pull request is gone");
                self.forget(visit, key).await
            }
            Err(Trouble::Forge(ForgeError::Refused { text })) => {
                tracing::warn!(pull = %key, text, "the forge refuses what is to be said");
                self.partly.insert(key.clone());
                Ok(())
            }
            Err(trouble) if self.is_readable(visit) => {
                let error = heads::of_commit(trouble)?;
                tracing::warn!(pull = %key, error, "a pull request cannot be read");
                Ok(())
            }
            other => other,
        }
    }

    /// What is gone and what we may not do is one answer of a forge's, 404. Of a pull request that is
    /// there it is a refusal: to forget that one would lose who approved it and what was obeyed.
    async fn unless_hidden(
        &self,
        visit: &Visit<'_>,
        number: u64,
        outcome: Result<(), Trouble>,
    ) -> Result<(), Trouble> {
        let Err(Trouble::Forge(ForgeError::Gone { text })) = outcome else { return outcome };
        match self.forge.pull(&visit.place.repo, number).await {
            Err(ForgeError::Gone { .. }) => Err(ForgeError::Gone { text }.into()),
            Ok(_) | Err(ForgeError::Refused { .. }) => Err(ForgeError::Refused { text }.into()),
            Err(other) => Err(other.into()),
        }
    }

    /// When it was looked last, and a little before: what changed since is asked for. `None`: never.
    async fn last_look(
        &self,
        place: &Place,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, PassError> {
        let lost = "what was merged more than an hour ago may be told by nobody: see `vend status`";
        let last: Option<Timestamp> = self.remembered(&since_key(place.name()), lost).await?;
        Ok(last.map(|last| last.min(now) - OVERLAP))
    }

    /// What was remembered when the last process ended.
    async fn load(&mut self, lease: &Lease) -> Result<(), PassError> {
        if self.loaded {
            return Ok(());
        }
        let known: Option<Vec<PullKey>> = self.remembered(&list_key(), UNREVIEWED).await?;
        for key in known.unwrap_or_default() {
            let kept: Option<Kept> = self.remembered(&kept_key(&key), UNREVIEWED).await?;
            let Some(kept) = kept else { continue };
            if kept.is_merged() && kept.over {
                // How they came may have been left to be written down.
                self.quiet.extend(kept.shown.iter().flat_map(|shown| shown.own.keys().cloned()));
            }
            self.kept.insert(key, kept);
        }
        let lost = "comments of ours may be written a second time: delete the older ones";
        let secret = match self.remembered::<[u8; 32]>(&secret_key(), lost).await? {
            Some(secret) => secret,
            None => {
                let mut secret = [0; 32];
                getrandom::fill(&mut secret)
                    .map_err(|error| PassError::Settings(format!("no randomness: {error}")))?;
                let value = serde_json::to_value(secret).ok();
                let write = Write::Value { key: secret_key(), value };
                self.store.commit(lease, vec![write]).await?;
                secret
            }
        };
        self.secret = Some(secret);
        self.loaded = true;
        Ok(())
    }

    /// What was written down under a key. That it cannot be read is said, with what is lost by that:
    /// it is as if nothing had been written.
    async fn remembered<T: serde::de::DeserializeOwned>(
        &self,
        key: &str,
        lost: &str,
    ) -> Result<Option<T>, PassError> {
        let Some(value) = self.store.value(key).await? else { return Ok(None) };
        match serde_json::from_value(value) {
            Ok(read) => Ok(Some(read)),
            Err(error) => {
                tracing::error!(key, %error, lost, "what is remembered of pull requests cannot be read");
                Ok(None)
            }
        }
    }

    /// Writes down what is remembered of one.
    async fn keep(&mut self, visit: &Visit<'_>, key: &PullKey, kept: Kept) -> Result<(), Trouble> {
        if self.kept.get(key) == Some(&kept) {
            return Ok(());
        }
        let is_new = !self.kept.contains_key(key);
        let value = serde_json::to_value(&kept).ok();
        self.kept.insert(key.clone(), kept);
        let mut writes = vec![Write::Value { key: kept_key(key), value }];
        writes.extend(is_new.then(|| self.list()));
        point!("pull.keep.before")?;
        self.store.commit(visit.lease, writes).await?;
        Ok(point!("pull.keep.after")?)
    }

    async fn forget(&mut self, visit: &Visit<'_>, key: &PullKey) -> Result<(), Trouble> {
        self.wanted.remove(key);
        self.looked.remove(key);
        self.rotation.forget(key);
        self.again.forget(key);
        self.lacking.remove(key);
        self.silent.remove(key);
        self.ending.remove(key);
        self.refused.remove(key);
        self.unsure.remove(key);
        self.righted.remove(key);
        self.rerun.remove(key);
        self.reran.remove(key);
        self.undropped.remove(key);
        self.judged.remove(key);
        if self.kept.remove(key).is_none() {
            return Ok(());
        }
        let writes = vec![Write::Value { key: kept_key(key), value: None }, self.list()];
        Ok(self.store.commit(visit.lease, writes).await?)
    }

    fn list(&self) -> Write {
        let keys: Vec<&PullKey> = self.kept.keys().collect();
        Write::Value { key: list_key(), value: serde_json::to_value(keys).ok() }
    }

    /// Forgets what was over long ago.
    async fn clear(&mut self, visit: &Visit<'_>, now: Timestamp) -> Result<(), Trouble> {
        let old = |kept: &Kept| {
            let is_done = kept.over && kept.again.is_none();
            is_done && kept.ended.is_some_and(|ended| now.duration_since(ended) > REMEMBERED)
        };
        let keys: Vec<PullKey> = self
            .kept
            .iter()
            .filter(|(key, kept)| key.source == *visit.place.name() && old(kept))
            .map(|(key, _)| key.clone())
            .collect();
        for key in keys {
            self.forget(visit, &key).await?;
        }
        if self.brought.len() > BROUGHT {
            self.brought.clear();
            self.doubted.clear();
        }
        self.untold.retain(|_, (_, until)| now.duration_since(*until) < REST_MOST);
        Ok(())
    }
}

/// When a forge is tried again after it failed.
fn wait<K: Ord + Clone>(
    pauses: &mut BTreeMap<K, Pause>,
    of: &K,
    error: &Trouble,
    now: Timestamp,
) -> Timestamp {
    let (failures, until) = pauses.entry(of.clone()).or_insert((0, now));
    *failures = failures.saturating_add(1);
    let own = REST * 2_i32.saturating_pow((*failures - 1).min(8));
    let asked = match error {
        Trouble::Forge(ForgeError::Unavailable { retry_after, .. }) => *retry_after,
        _ => None,
    };
    let asked = asked.and_then(|d| SignedDuration::try_from(d).ok()).unwrap_or_default();
    *until = now + own.min(REST_MOST).max(asked);
    *until
}

/// A turn at one place.
struct Visit<'a> {
    place: &'a Place,
    /// The commit of its branch that the last pass worked on.
    base: Revision,
    /// When it was looked last, and a little before; `None`: never.
    last: Option<Timestamp>,
    /// What changed at or after it is asked for.
    since: Timestamp,
    commits: &'a BTreeMap<SourceName, Revision>,
    /// How far the store was when they were.
    basis: u64,
    /// What is wrong with its sources, as the last pass found them.
    troubles: Vec<(SourceName, SourceProblem)>,
    world: u64,
    lease: &'a Lease,
    clock: &'a (dyn Fn() -> Timestamp + Sync),
}

/// What is wrong with the sources of a branch.
fn troubles(place: &Place, sources: &Sources) -> Vec<(SourceName, SourceProblem)> {
    let wrong = |name: &SourceName| {
        let problem = sources.get(name).and_then(|record| record.problem.clone())?;
        Some((name.clone(), problem))
    };
    place.sources.iter().filter_map(wrong).collect()
}

/// The branches on the forge, each with all sources that read it.
fn places(engine: &Engine, repos: &BTreeMap<SourceName, Repo>) -> Vec<Place> {
    let settings = &engine.config().settings;
    let branches = settings.requests.iter().map(|r| (r.name.clone(), r.branch.clone()));
    let catalog = (engine.sources().catalog.name.clone(), settings.catalog.branch.clone());
    let mut places: Vec<Place> = Vec::new();
    // Requests first: a repository that holds both is known by its requests' name.
    for (name, branch) in branches.chain([catalog]) {
        let Some(repo) = repos.get(&name) else { continue };
        match places.iter_mut().find(|p| p.repo == *repo && p.branch == branch) {
            Some(place) => place.sources.push(name),
            None => {
                let alone = !places.iter().any(|p| p.repo == *repo);
                for other in places.iter_mut().filter(|p| p.repo == *repo) {
                    other.alone = false;
                }
                places.push(Place { repo: repo.clone(), branch, sources: vec![name], alone });
            }
        }
    }
    places
}

fn kept_key(key: &PullKey) -> String {
    format!("{ASIDE}pull/{key}")
}

fn list_key() -> String {
    format!("{ASIDE}pulls")
}

fn since_key(source: &SourceName) -> String {
    format!("{ASIDE}since/{source}")
}

fn secret_key() -> String {
    format!("{ASIDE}marker-secret")
}
