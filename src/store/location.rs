//! Where a store is, of whichever kind.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use super::{Postgres, Server, Sqlite, Store, StoreError};
use crate::fault::point;
use crate::model::InstanceId;

/// Where a store is, or is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Location {
    /// A file.
    Sqlite(PathBuf),
    /// A schema of a database.
    Postgres(Server),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(file) => write!(f, "{}", file.display()),
            Self::Postgres(server) => write!(f, "{server}"),
        }
    }
}

/// A store that was made beside its place.
pub struct Made {
    place: Place,
    store: Arc<dyn Store>,
}

enum Place {
    Sqlite { store: Sqlite, half: PathBuf, file: PathBuf },
    Postgres { store: Postgres, server: Server },
}

impl Location {
    /// Opens the store, or makes it where there is none.
    pub async fn open(&self) -> Result<Arc<dyn Store>, StoreError> {
        Ok(match self {
            Self::Sqlite(file) => Arc::new(Sqlite::open(file)?),
            Self::Postgres(server) => Arc::new(Postgres::open(server).await?),
        })
    }

    /// What is there; a database, in which a store costs nothing, always has one.
    pub async fn there(&self) -> Result<Option<Arc<dyn Store>>, StoreError> {
        match self {
            Self::Sqlite(file) if !file.exists() => Ok(None),
            _ => self.open().await.map(Some),
        }
    }

    /// Makes the store of a vend that lost its own, beside this place: its leases go on after `epoch`.
    /// What an earlier try left there is taken away.
    pub async fn create_beside(
        &self,
        instance: &InstanceId,
        epoch: u64,
    ) -> Result<Made, StoreError> {
        point!("store.rebuild.before")?;
        let made = match self {
            Self::Sqlite(file) => {
                let (store, half) = Sqlite::create_beside(file, instance, epoch)?;
                let place = Place::Sqlite { store: store.clone(), half, file: file.clone() };
                Made { place, store: Arc::new(store) }
            }
            Self::Postgres(server) => {
                let store = Postgres::create_beside(server, instance, epoch).await?;
                let place = Place::Postgres { store: store.clone(), server: server.clone() };
                Made { place, store: Arc::new(store) }
            }
        };
        point!("store.rebuild.after")?;
        Ok(made)
    }
}

impl Made {
    /// The store, to be filled.
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Puts it in its place, durably, once nobody has it open; one that stands there was never used and
    /// goes.
    pub async fn put(self) -> Result<(), StoreError> {
        let Self { place, store } = self;
        drop(store);
        point!("store.put.before")?;
        match place {
            Place::Sqlite { store, half, file } => {
                store.check().await?;
                drop(store);
                Sqlite::put(&half, &file)?;
            }
            Place::Postgres { store, server } => store.put(&server).await?,
        }
        Ok(point!("store.put.after")?)
    }
}
