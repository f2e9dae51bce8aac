//! One typed file, the environment and the flags, into the settings that each module asks for.

mod receivers;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::catalog;
use crate::digest::{self, Digest};
use crate::model::{Diagnostic, Place};
use crate::yaml;

pub use receivers::*;
pub use settings::*;

/// Where the daemon's own file lies when nobody says otherwise.
pub const SYSTEM_FILE: &str = "/etc/vend/vend.yaml";

/// The name searched for upward from the current folder.
pub const FILE_NAME: &str = "vend.yaml";

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// There is no such file.
    #[error("there is no configuration: `{}` is not there", .0.display())]
    NotFound(PathBuf),
    /// It could not be read.
    #[error("cannot read `{}`", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It has errors.
    #[error("the configuration `{}` has errors", .path.display())]
    Invalid {
        /// Which.
        path: PathBuf,
        /// The errors, with their places.
        problems: Vec<Diagnostic>,
    },
}

/// A configuration file as it was read.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file; relative paths inside it start at its folder.
    pub path: PathBuf,
    /// Digest of its bytes.
    pub digest: Digest,
    /// What it says.
    pub settings: Settings,
}

impl Config {
    /// Parses the bytes of `path`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, ConfigError> {
        let file: Arc<str> = path.display().to_string().into();
        let invalid = |problems| ConfigError::Invalid { path: path.to_owned(), problems };
        let mut documents = yaml::read(&file, bytes, &yaml::Options::request()).map_err(invalid)?;
        let node =
            documents.pop().unwrap_or_else(|| yaml::Node::from_json(serde_json::Value::Null));
        let value = catalog::schema::envelope(catalog::schema::Kind::Config, &node, &file)
            .map_err(invalid)?;
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let settings = Settings::from_value(value, folder).map_err(|(pointer, message)| {
            let place =
                node.at(&pointer).map_or_else(|| Place::file(file.clone()), |n| n.place(&file));
            // The schema let it pass, so it is one of those that it marks as not built.
            let unbuilt = message.strip_prefix("unknown field `").and_then(|m| m.split('`').next());
            if let Some(name) = unbuilt {
                let place = node.key_at(&pointer).map_or(place, |key| key.place(&file));
                let message = format!("`{name}` is not supported yet");
                let problem = Diagnostic::error("SUP001", place, message);
                return invalid(vec![problem.help("take it out: it would not be obeyed")]);
            }
            invalid(vec![Diagnostic::error("CFG001", place, message)])
        })?;
        Ok(Self { path: path.to_owned(), digest: digest::sha256(bytes), settings })
    }
}
