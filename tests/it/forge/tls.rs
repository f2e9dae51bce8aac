//! The API over TLS, by an authority of one's own, as GitHub Enterprise has it: `https://HOST/api/v3`.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tempfile::TempDir;
use vend::forge::github::{Auth, GitHub as Client, GitHubSettings};
use vend::forge::{Forge, ForgeError, Repo};

use super::unavailable;
use crate::github::GitHub;
use crate::remote::certificate::{Authority, Front};
use crate::world::write;

/// A GitHub behind TLS.
struct Enterprise {
    hub: GitHub,
    runtime: tokio::runtime::Runtime,
    _front: Front,
    folder: TempDir,
    authority: Authority,
    api: String,
}

impl Enterprise {
    fn start() -> Self {
        let hub = GitHub::start();
        let repo = hub.create("acme/requests");
        repo.permit("ada", "write");
        repo.push("ada", "main", [write("a.yaml", "a: 1\n")]);
        let folder = TempDir::new().unwrap();
        let authority = Authority::new(folder.path().join("tls"));
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let plain = hub.api();
        let (host, path) = plain.strip_prefix("http://").unwrap().split_once('/').unwrap();
        let front = Front::start(&authority, host);
        let api = front.url(&format!("/{path}"));
        Self { hub, runtime, _front: front, folder, authority, api }
    }

    fn look(&self, ca_file: Option<PathBuf>) -> Result<usize, ForgeError> {
        let file = self.folder.path().join("token");
        std::fs::write(&file, self.hub.token("ada")).unwrap();
        let settings = GitHubSettings {
            api: self.api.clone(),
            ca_file,
            pause: Duration::from_millis(1),
            ..GitHubSettings::new(Auth::Token { file })
        };
        let client = Client::new(settings, Arc::new(Timestamp::now))?;
        let repo = Repo::parse("acme/requests").unwrap();
        let pulls = self.runtime.block_on(client.pulls(&repo, Timestamp::UNIX_EPOCH))?;
        Ok(pulls.len())
    }
}

#[test]
fn the_api_is_believed_by_the_authority_that_is_named_and_by_no_other() {
    let enterprise = Enterprise::start();
    let repo = enterprise.hub.repo("acme/requests");
    repo.push_branch("ada", "one", "main", [write("a.yaml", "a: 2\n")]);
    repo.open_pull("ada", "one", "main", "One");
    assert_eq!(enterprise.look(Some(enterprise.authority.file())).unwrap(), 1);
    assert!(enterprise.api.ends_with("/api/v3"), "as Enterprise has it: {}", enterprise.api);
    assert!(!enterprise.hub.log().is_empty());

    enterprise.hub.forget();
    let other = Authority::new(enterprise.folder.path().join("other"));
    unavailable(enterprise.look(Some(other.file())));
    assert!(enterprise.look(None).is_err(), "the system does not know it");
    assert!(enterprise.hub.log().is_empty(), "no token goes to whom nobody vouches for");

    let file = enterprise.folder.path().join("empty.pem");
    std::fs::write(&file, "").unwrap();
    let Err(ForgeError::Settings { text: why }) = enterprise.look(Some(file)) else {
        panic!("nobody was asked")
    };
    assert!(why.contains("empty.pem") && why.contains("there is none"), "{why}");
}
