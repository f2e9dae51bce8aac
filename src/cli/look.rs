//! Who answers questions about what was done: the daemon where one runs, else the store itself.

use std::sync::Arc;

use tokio::sync::OnceCell;

use super::failure::Failure;
use super::{context, socket};
use crate::config::Config;
use crate::model::RequestId;
use crate::reconcile::view::{self, Log, LogQuery, Overview};
use crate::store::Store;

/// Asks again and again. A daemon may come and go meanwhile.
pub struct Look<'a> {
    config: &'a Config,
    store: OnceCell<Arc<dyn Store>>,
}

impl<'a> Look<'a> {
    /// For an operator's configuration.
    pub fn new(config: &'a Config) -> Self {
        Self { config, store: OnceCell::new() }
    }

    /// As [`view::log`].
    pub async fn log(&self, id: &RequestId, query: LogQuery) -> Result<Option<Log>, Failure> {
        let Some(daemon) = socket::connect(self.config).await else {
            return Ok(view::log(self.store().await?, id, query).await?);
        };
        match daemon.log(id, query).await {
            // It may have ended between listening and answering.
            Err(failure) => match self.store().await {
                Ok(store) => Ok(view::log(store, id, query).await?),
                Err(_) => Err(failure),
            },
            answer => answer,
        }
    }

    /// As [`view::overview_since`].
    pub async fn overview(
        &self,
        prefix: Option<&str>,
        not_ready: bool,
        stamp: Option<u64>,
    ) -> Result<Option<Overview>, Failure> {
        let Some(daemon) = socket::connect(self.config).await else {
            return Ok(view::overview_since(self.store().await?, prefix, not_ready, stamp).await?);
        };
        match daemon.overview(prefix, not_ready, stamp).await {
            Err(failure) => match self.store().await {
                Ok(store) => Ok(view::overview_since(store, prefix, not_ready, stamp).await?),
                Err(_) => Err(failure),
            },
            answer => answer,
        }
    }

    /// Opened once: opening is much more than a look.
    async fn store(&self) -> Result<&dyn Store, Failure> {
        let store = self.store.get_or_try_init(|| context::store(self.config)).await?;
        Ok(store.as_ref())
    }
}
