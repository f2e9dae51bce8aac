//! Which configuration is meant, and what it opens.

use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use jiff::Timestamp;

use super::args::Args;
use super::failure::{Failure, Kind};
use crate::config::{Config, ConfigError, FILE_NAME, SYSTEM_FILE};
use crate::error::chain;
use crate::git::WorkingCopy;
use crate::reconcile::Engine;
use crate::store::{Acquired, Holder, Lease, Location, Store, StoreError};

/// The moment, to the millisecond, for everything below that takes it as an argument.
pub fn now() -> Timestamp {
    let now = Timestamp::now();
    Timestamp::from_millisecond(now.as_millisecond()).unwrap_or(now)
}

/// Memory holds tokens and keys: it is never written to a file, whatever starts us.
pub fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        let error = chain(&error);
        tracing::warn!(error, "core dumps could not be turned off");
    }
}

/// The configuration that the command line means: `--config`, else `vend.yaml` upward from here,
/// else the system's.
pub fn config(args: &Args) -> Result<Config, Failure> {
    let path = match &args.config {
        Some(path) => path.clone(),
        None => match find(&std::env::current_dir()?) {
            Some(path) => return found(&path),
            None if !Path::new(SYSTEM_FILE).exists() => {
                return Err(Failure::usage(format!(
                    "there is no configuration: no `{FILE_NAME}` here or in a folder above, and no `{SYSTEM_FILE}`"
                ))
                .hint("name one with --config")
                .hint("`vend init DIR` writes a catalog and a requests repository to start from"));
            }
            None => PathBuf::from(SYSTEM_FILE),
        },
    };
    Ok(read(&path)?)
}

/// `vend.yaml` in `from` or a folder above it.
pub fn find(from: &Path) -> Option<PathBuf> {
    from.ancestors().map(|folder| folder.join(FILE_NAME)).find(|file| file.is_file())
}

/// Reads a configuration that nobody named, but that lay in a folder above. What came with somebody's
/// commit must not send what this machine keeps secret to an address of its choice.
pub fn found(path: &Path) -> Result<Config, Failure> {
    let config = read(path)?;
    let Some(setting) = config.settings.hands_out() else { return Ok(config) };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let copy = WorkingCopy::discover(folder.unwrap_or(Path::new(".")))?;
    if !copy.tracks(path) {
        return Ok(config);
    }
    let what = format!(
        "`{}` came with a commit, and its `{setting}` would hand out what is kept on this machine",
        path.display()
    );
    Err(Failure::usage(what)
        .hint(format!("if you know that file, name it: --config {}", path.display()))
        .hint("else take the setting out: a working copy is read with your own git's credentials"))
}

/// Reads a configuration file.
pub fn read(path: &Path) -> Result<Config, ConfigError> {
    match std::fs::read(path) {
        Ok(bytes) => Config::parse(path, &bytes),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(ConfigError::NotFound(path.to_owned()))
        }
        Err(source) => Err(ConfigError::Unreadable { path: path.to_owned(), source }),
    }
}

/// Whether a configuration is an operator's, with a state folder, and not a working copy's.
pub fn is_operator(config: &Config) -> bool {
    config.settings.state_dir.is_some()
}

/// Opens the store of an operator's configuration, making the state folder where there is none.
pub async fn store(config: &Config) -> Result<Arc<dyn Store>, Failure> {
    Ok(location(config)?.open().await?)
}

/// Where the store is; the state folder is made where there is none.
pub fn location(config: &Config) -> Result<Location, Failure> {
    let settings = &config.settings;
    let (Some(state), Some(file)) = (&settings.state_dir, settings.store_file()) else {
        return Err(Failure::usage(format!(
            "`{}` names no `stateDir`, so there is no store to work on",
            config.path.display()
        ))
        .hint("add `stateDir: PATH`, or name the operator's file with --config"));
    };
    // Nobody else has business in there: it holds what was rendered, and the socket has its own mode.
    std::fs::DirBuilder::new().recursive(true).mode(0o750).create(state).map_err(|error| {
        Failure::new(
            Kind::Failed,
            anyhow::Error::new(error)
                .context(format!("cannot make the state folder `{}`", state.display())),
        )
    })?;
    Ok(match settings.server_of_store() {
        Some(server) => Location::Postgres(server),
        None => Location::Sqlite(file),
    })
}

/// Refuses root where the state folder is an account's: what root writes into mirrors, or makes as a store, that
/// account cannot use.
fn writes_as_its_owner(config: &Config) -> Result<(), Failure> {
    let Some(state) = &config.settings.state_dir else { return Ok(()) };
    let owner = std::fs::metadata(state).map_or(0, |it| it.uid());
    if owner == 0 || !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let what = format!(
        "the state folder `{}` belongs to uid {owner}, who could not use what root writes there",
        state.display()
    );
    Err(Failure::usage(what)
        .hint("run it as the service does: `vend-once` in place of `vend`")
        .hint("without systemd, run it as that account"))
}

/// The place of the store, where none is, or one that nothing was ever done with: who starts vend
/// without a store makes such a one. What is there else is not written over.
///
/// While an unused one stands there its lease is ours, so that nobody begins to use it meanwhile.
pub async fn free_store(config: &Config) -> Result<Location, Failure> {
    writes_as_its_owner(config)?;
    let location = location(config)?;
    let Some(store) = location.there().await.map_err(|error| there(&location, Some(&error)))?
    else {
        return Ok(location);
    };
    let index = store.index().await?;
    let is_used = !index.journal.is_empty()
        || !index.records.is_empty()
        || !store.statuses_after(None, 1).await?.is_empty();
    if is_used {
        return Err(there(&location, None));
    }
    take_lease(config, store.as_ref()).await?;
    Ok(location)
}

fn there(location: &Location, error: Option<&StoreError>) -> Failure {
    match (location, error) {
        (Location::Postgres(_), Some(error)) => {
            Failure::usage(format!("cannot look at `{location}`: {}", chain(error)))
        }
        _ => Failure::usage(format!("there is a store at `{location}`"))
            .hint(match location {
                Location::Sqlite(_) => {
                    "if it is damaged, move it away with its `-wal` and `-shm`, then rebuild"
                }
                Location::Postgres(_) => {
                    "if it is damaged, rename its schema (`ALTER SCHEMA … RENAME TO …`), then rebuild"
                }
            })
            .hint("if it is an older copy, `vend state takeover` lets it go on"),
    }
}

/// Opens everything for passes.
pub async fn engine(config: Config) -> Result<Engine, Failure> {
    writes_as_its_owner(&config)?;
    let store = store(&config).await?;
    Ok(Engine::open(Arc::new(config), store).await?)
}

/// Takes the lease, or says who has it.
pub async fn lease(engine: &Engine) -> Result<Lease, Failure> {
    take_lease(engine.config(), engine.store().as_ref()).await
}

/// Takes a store's lease, or says who has it.
pub async fn take_lease(config: &Config, store: &dyn Store) -> Result<Lease, Failure> {
    match store.acquire(&Holder::here(), now(), config.settings.reconcile.lease).await? {
        Acquired::Held(lease) => Ok(lease),
        Acquired::Busy { holder, until } => Err(Failure::usage(format!(
            "{} works on this state until {until} or longer",
            holder.name
        ))
        .hint("wait for it, or stop it")),
    }
}

/// As [`config`], but the repository that `at` lies in comes before the current folder.
pub fn config_near(args: &Args, at: &Path) -> Result<Config, Failure> {
    match find(at) {
        Some(path) if args.config.is_none() => found(&path),
        Some(_) | None => config(args),
    }
}
