//! Tokens of a forge for git over https.

use std::sync::Arc;

use super::{Forge, ForgeError, Repo};
use crate::error::chain;
use crate::git::{GitError, Tokens};

/// Tokens for the repositories that lie on the forge whose API is at `api`. They go through git's
/// environment to that one address.
pub fn tokens(forge: Arc<dyn Forge>, api: &str) -> Tokens {
    let (covering, giving) = (api.to_owned(), api.to_owned());
    let covers = move |url: &str| repo_of(url, &covering).is_some();
    Tokens::new(covers, move |url| {
        let (forge, repo) = (forge.clone(), repo_of(&url, &giving));
        async move {
            let Some(repo) = repo else { return Ok(None) };
            let what = format!("a token for `{repo}`");
            forge.git_token(&repo).await.map_err(|error| translate(what, &error))
        }
    })
}

/// Over https only, or to this very machine: a token is shown to nobody in the clear.
fn repo_of(url: &str, api: &str) -> Option<Repo> {
    let is_here = |rest: &str| {
        let host = rest.split(['/', ':']).next().unwrap_or_default();
        host.parse::<std::net::Ipv4Addr>().is_ok_and(|ip| ip.is_loopback())
    };
    let safe = url.starts_with("https://") || url.strip_prefix("http://").is_some_and(is_here);
    safe.then(|| Repo::of_url(url, api)).flatten()
}

/// By the same remedies.
fn translate(what: String, error: &ForgeError) -> GitError {
    let text = chain(error);
    match error {
        ForgeError::Unavailable { .. } | ForgeError::Unknown { .. } => {
            GitError::Unavailable { what, text }
        }
        ForgeError::Gone { .. } => GitError::Missing { what, text },
        ForgeError::Settings { .. } | ForgeError::Refused { .. } => {
            GitError::Refused { code: "SRC003", what, text }
        }
    }
}
