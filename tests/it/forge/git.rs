//! Git with the tokens that the forge makes for it.

use std::sync::Arc;
use std::time::Duration;

use vend::forge::tokens;
use vend::git::{GitError, Location, Mirror, Transport, Trust};

use super::{Desk, REPO};

impl Desk {
    pub(super) fn mirror(&self) -> Mirror {
        let transport = Transport {
            deadline: Duration::from_secs(30),
            tokens: Some(tokens(self.forge.clone(), &self.hub.api())),
            ..Transport::new(self.folder.path().join("home"))
        };
        let url = self.hosted().url();
        let location = Location::parse(&url, "main", Trust::Operator).unwrap();
        Mirror::open(&self.folder.path().join("mirror"), location, Arc::new(transport)).unwrap()
    }
}

#[test]
fn a_private_repository_opens_for_a_token_that_is_made_for_it() {
    let desk = Desk::app();
    let mirror = desk.mirror();
    desk.run(mirror.fetch()).unwrap();
    assert_eq!(mirror.tip().unwrap().unwrap().as_str(), desk.hosted().at("main"));
    desk.advance(3_600);
    desk.run(mirror.fetch()).unwrap();
    assert_eq!(desk.hub.calls("POST", "/app/installations/*/access_tokens").len(), 2);
}

#[test]
fn f07_without_a_token_nothing_is_missing_and_nothing_is_empty() {
    let desk = Desk::app();
    let mirror = desk.mirror();
    desk.run(mirror.fetch()).unwrap();
    desk.hub.uninstall("acme");
    desk.hub.revoke(None);
    desk.advance(3_600);
    let error = desk.run(mirror.fetch()).unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, GitError::Refused { .. }), "{text}");
    assert!(text.contains(&format!("the App is not installed on `{REPO}`")), "{text}");
    assert!(mirror.tip().unwrap().is_some(), "what was fetched last stays");
}
