//! Passes in this process, with a clock of its own and providers and stores that fail on purpose.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};
use vend::config::Config;
use vend::model::PassReport;
use vend::provider::Providers;
use vend::reconcile::{Engine, PassError, Wake};
use vend::store::{Acquired, Holder, Lease, Sqlite, Store, Write};

use crate::world::World;

/// Seconds since the start of the story.
pub struct Clock(AtomicI64);

impl Clock {
    pub fn new() -> Self {
        Self(AtomicI64::new(1_800_000_000))
    }

    pub fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }

    pub fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }

    /// Goes on to a moment, if that is still to come.
    pub fn reach(&self, moment: Timestamp) {
        self.0.fetch_max(moment.as_second() + 1, Ordering::Relaxed);
    }
}

pub fn config(world: &World) -> Arc<Config> {
    let path = world.config_file();
    Arc::new(Config::parse(&path, &std::fs::read(&path).unwrap()).unwrap())
}

pub fn store(world: &World) -> Sqlite {
    let state = world.root().join("state");
    std::fs::create_dir_all(&state).unwrap();
    Sqlite::open(&state.join("vend.sqlite")).unwrap()
}

/// The real providers.
pub fn real(world: &World) -> Providers {
    let (config, state) = (config(world), world.root().join("state"));
    let transport = vend::reconcile::transport(&config, &state, None);
    vend::reconcile::providers(&config, &state, &transport).unwrap()
}

/// The lease, whoever held it before.
pub async fn lease(store: &dyn Store, clock: &Clock) -> Lease {
    // Whoever held it before is dead by then.
    clock.advance(3600);
    let ttl = SignedDuration::from_secs(30);
    match store.acquire(&Holder::here(), clock.now(), ttl).await.unwrap() {
        Acquired::Held(lease) => lease,
        Acquired::Busy { .. } => panic!("the lease is another's"),
    }
}

/// An engine with its lease, as after a start of the process.
pub struct Run {
    pub engine: Engine,
    lease: Lease,
}

impl Run {
    pub async fn start(
        world: &World,
        store: Arc<dyn Store>,
        providers: Providers,
        clock: &Clock,
    ) -> Self {
        let lease = lease(store.as_ref(), clock).await;
        let engine = Engine::open_with(config(world), store, providers).await.unwrap();
        Self { engine, lease }
    }

    pub async fn pass(&mut self, clock: &Clock) -> Result<PassReport, PassError> {
        self.engine.pass(Wake::Apply(&self.lease), &|| clock.now()).await
    }

    /// Passes, each when something is due, until one finds nothing to do within the hour.
    pub async fn settle(&mut self, clock: &Clock) {
        let end = clock.now() + SignedDuration::from_hours(1);
        for _ in 0..50 {
            let report = self.pass(clock).await.unwrap();
            match report.due {
                Some(due) if due < end && !(report.quiet && report.under_way == 0) => {
                    clock.reach(due);
                }
                _ if report.quiet => return,
                _ => {}
            }
        }
        panic!("it never comes to rest");
    }
}

/// The last upkeep of the store was long ago.
pub fn neglect(world: &World) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(neglect_in(&store(world)));
}

/// There is much to join in the mirrors, at the next upkeep.
pub fn litter(world: &World) {
    for mirror in std::fs::read_dir(world.root().join("state/mirrors")).unwrap().flatten() {
        if mirror.path().is_dir() {
            clutter(&mirror.path());
        }
    }
}

/// So many loose objects that a mirror is tidied: those are counted in the folder `17`.
fn clutter(mirror: &std::path::Path) {
    let git = git2::Repository::open_bare(mirror).unwrap();
    let mut found = 0;
    for n in 0.. {
        let bytes = format!("clutter {n}");
        let id = git2::Oid::hash_object(git2::ObjectType::Blob, bytes.as_bytes()).unwrap();
        if id.as_bytes()[0] == 0x17 {
            git.blob(bytes.as_bytes()).unwrap();
            found += 1;
        }
        if found == 10 {
            return;
        }
    }
}

/// The last upkeep of this store was long ago.
pub async fn neglect_in(store: &dyn Store) {
    let lease = lease(store, &Clock::new()).await;
    let long_ago = Some("2020-01-01T00:00:00Z".into());
    let write = Write::Value { key: "maintained".into(), value: long_ago };
    store.commit(&lease, vec![write]).await.unwrap();
    store.release(lease).await.unwrap();
}
