//! Who we are: an App, its installations and their tokens; or a person's token.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::http::Method;
use jiff::Timestamp;
use octocrab::auth::AppAuth;
use octocrab::models::AppId;
use octocrab::{AuthState, Octocrab};
use serde::Deserialize;
use serde_json::json;

use super::call::{Trouble, read};
use super::wire::Ask;
use super::{Auth, GitHub, lock};
use crate::forge::{ForgeError, Me, Repo};
use crate::model::Secret;

/// A token is renewed this long before it ends: longer than any call or fetch begins late.
const MARGIN: Duration = Duration::from_secs(5 * 60);

/// How long what GitHub says of us is believed.
const BELIEVED_FOR: Duration = Duration::from_secs(3_600);

/// Who is asked as; limits are counted for each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Account {
    App,
    Installation(u64),
    Person,
}

impl Account {
    /// As it is counted by.
    pub(super) fn word(self) -> String {
        match self {
            Self::App => "app".into(),
            Self::Installation(id) => format!("installation {id}"),
            Self::Person => "account".into(),
        }
    }
}

/// As whom something is asked.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    /// As the App itself, or the person.
    Itself,
    /// As what may see this repository.
    Of(&'a Repo),
}

/// What proves it.
pub(super) enum Identity {
    App(AppAuth),
    Token(PathBuf),
}

impl Identity {
    pub(super) fn open(auth: Auth) -> Result<Self, ForgeError> {
        match auth {
            Auth::App { id, key_file } => {
                let pem = Secret::read(&key_file)?;
                let key = octocrab::auth::EncodingKey::from_rsa_pem(pem.expose().as_bytes());
                // The library's words could hold a piece of the file.
                let key = key.map_err(|_| ForgeError::Settings {
                    text: format!(
                        "the file `{}` is not an RSA private key in PEM",
                        key_file.display()
                    ),
                })?;
                Ok(Self::App(AppAuth { app_id: AppId(id), key }))
            }
            Auth::Token { file } => Ok(Self::Token(file)),
        }
    }
}

/// A way to ask.
pub(super) struct Access {
    pub(super) account: Account,
    pub(super) client: Octocrab,
}

/// What was found out about the App's installations.
#[derive(Default)]
pub(super) struct Keys {
    installations: Mutex<HashMap<Repo, Installation>>,
    /// One waits for another's renewal instead of renewing too.
    tokens: Mutex<HashMap<TokenKey, Arc<tokio::sync::Mutex<Option<Token>>>>>,
}

/// Where the App is installed, and what it may do there.
#[derive(Clone, Copy)]
struct Installation {
    id: u64,
    checks: bool,
    /// Its number and its permissions change when somebody installs it anew.
    until: Timestamp,
}

/// Tokens for everything of an installation, or for one repository.
#[derive(Clone, PartialEq, Eq, Hash)]
struct TokenKey {
    installation: u64,
    only: Option<String>,
}

struct Token {
    secret: Secret,
    until: Timestamp,
}

#[derive(Deserialize)]
struct TokenShape {
    token: String,
    expires_at: Timestamp,
}

#[derive(Deserialize)]
struct InstallationShape {
    id: u64,
    permissions: Option<HashMap<String, Option<String>>>,
}

#[derive(Deserialize)]
struct AppShape {
    slug: String,
}

#[derive(Deserialize)]
struct UserShape {
    login: String,
}

impl GitHub {
    /// A way to ask, with a token that holds for a while.
    pub(super) async fn access(&self, who: Who<'_>) -> Result<Access, Trouble> {
        match (&self.identity, who) {
            (Identity::Token(file), _) => {
                let token = token_in(file)?;
                Ok(Access { account: Account::Person, client: self.client_with(&token)? })
            }
            (Identity::App(_), Who::Itself) => {
                Ok(Access { account: Account::App, client: self.client()?.clone() })
            }
            (Identity::App(_), Who::Of(repo)) => {
                let installation = self.installation(repo).await?.id;
                let token = self.token(TokenKey { installation, only: None }).await?;
                let account = Account::Installation(installation);
                Ok(Access { account, client: self.client_with(&token)? })
            }
        }
    }

    /// After a token was refused: the next access has another one. Whether there can be another.
    pub(super) fn forget(&self, who: Who<'_>) -> bool {
        match (&self.identity, who) {
            (Identity::App(_), Who::Of(repo)) => {
                let installation = lock(&self.keys.installations).remove(&key_of(repo));
                if let Some(installation) = installation {
                    let is_other = |key: &TokenKey| key.installation != installation.id;
                    lock(&self.keys.tokens).retain(|key, _| is_other(key));
                }
                true
            }
            (Identity::App(_), Who::Itself) | (Identity::Token(_), _) => false,
        }
    }

    pub(super) async fn who_we_are(&self) -> Result<Me, Trouble> {
        let now = self.now();
        // Another token may be somebody else's.
        let token = match &self.identity {
            Identity::App(_) => None,
            Identity::Token(file) => Some(token_in(file)?),
        };
        if let Some((until, whose, me)) = &*lock(&self.me)
            && now < *until
            && *whose == token
        {
            return Ok(me.clone());
        }
        let me = match &self.identity {
            Identity::App(_) => {
                let app: AppShape = read(&self.get(Who::Itself, "/app").await?)?;
                Me { login: format!("{}[bot]", app.slug), checks: true }
            }
            Identity::Token(_) => {
                let user: UserShape = read(&self.get(Who::Itself, "/user").await?)?;
                // Only Apps may write check runs.
                Me { login: user.login, checks: false }
            }
        };
        let until = now.checked_add(BELIEVED_FOR).unwrap_or(Timestamp::MAX);
        *lock(&self.me) = Some((until, token, me.clone()));
        Ok(me)
    }

    /// Whether check runs can be written on a repository's commits: by Apps alone, and where whoever
    /// installed it agreed.
    pub(super) async fn may_check(&self, repo: &Repo) -> Result<bool, Trouble> {
        match &self.identity {
            Identity::App(_) => Ok(self.installation(repo).await?.checks),
            Identity::Token(_) => Ok(false),
        }
    }

    /// A token that opens one repository and nothing else, where GitHub lets us have that.
    pub(super) async fn token_for_git(&self, repo: &Repo) -> Result<Secret, Trouble> {
        match &self.identity {
            Identity::Token(file) => token_in(file),
            Identity::App(_) => {
                let installation = self.installation(repo).await?.id;
                let only = Some(repo.name.to_lowercase());
                self.token(TokenKey { installation, only }).await
            }
        }
    }

    fn client(&self) -> Result<&Octocrab, Trouble> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let auth = match &self.identity {
            Identity::App(app) => AuthState::App(app.clone()),
            Identity::Token(_) => AuthState::None,
        };
        let client = self.api.open(auth).map_err(Trouble::from)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn client_with(&self, token: &Secret) -> Result<Octocrab, Trouble> {
        let client = self.client()?.user_access_token(token.expose());
        client.map_err(|_| Trouble::refused("a token that cannot be used"))
    }

    async fn installation(&self, repo: &Repo) -> Result<Installation, Trouble> {
        let now = self.now();
        let known = lock(&self.keys.installations).get(&key_of(repo)).copied();
        if let Some(known) = known.filter(|known| now < known.until) {
            return Ok(known);
        }
        let app = Access { account: Account::App, client: self.client()?.clone() };
        let found = self.get_as(&app, &format!("/repos/{repo}/installation")).await;
        let found = match found.and_then(|body| read::<InstallationShape>(&body)) {
            Ok(found) => found,
            Err(Trouble::Gone { text }) => {
                let at = self.api.base();
                let text = format!(
                    "the App is not installed on `{repo}`, or `forge.github.api` is not GitHub's API: \
                     `{at}` says {text}"
                );
                return Err(Trouble::refused(text));
            }
            // It is as likely as before to be where it was.
            Err(other) => return known.ok_or(other),
        };
        let level = found.permissions.and_then(|mut all| all.remove("checks"));
        let new = Installation {
            id: found.id,
            checks: level.flatten().as_deref() == Some("write"),
            until: now.checked_add(BELIEVED_FOR).unwrap_or(Timestamp::MAX),
        };
        lock(&self.keys.installations).insert(key_of(repo), new);
        Ok(new)
    }

    async fn token(&self, key: TokenKey) -> Result<Secret, Trouble> {
        let slot = lock(&self.keys.tokens).entry(key.clone()).or_default().clone();
        let mut slot = slot.lock().await;
        let now = self.now();
        let holds = |token: &&Token, margin| {
            now.checked_add(margin).is_ok_and(|then: Timestamp| then < token.until)
        };
        if let Some(token) = slot.as_ref().filter(|token| holds(token, MARGIN)) {
            return Ok(token.secret.clone());
        }
        match self.new_token(&key).await {
            Ok(token) => Ok(slot.insert(token).secret.clone()),
            // The one that we have is still good for a moment.
            Err(Trouble::Later { .. } | Trouble::Lost { .. })
                if slot.as_ref().is_some_and(|token| holds(&token, Duration::from_secs(30))) =>
            {
                Ok(slot.as_ref().expect("it was looked at").secret.clone())
            }
            Err(trouble) => {
                *slot = None;
                // Installed anew, it has another number.
                lock(&self.keys.installations).retain(|_, it| it.id != key.installation);
                Err(trouble)
            }
        }
    }

    /// Asked for again like a read: a token whose answer was lost is one that nobody uses.
    async fn new_token(&self, key: &TokenKey) -> Result<Token, Trouble> {
        let app = Access { account: Account::App, client: self.client()?.clone() };
        let body =
            key.only.as_ref().map_or_else(|| json!({}), |only| json!({"repositories": [only]}));
        let ask = Ask {
            method: Method::POST,
            path: format!("/app/installations/{}/access_tokens", key.installation),
            body: Some(body.to_string().into()),
            etag: None,
        };
        let answer = self.patiently(&app, &ask).await?;
        // Not the parser's words: they could hold what they stumbled over.
        let shape: TokenShape = serde_json::from_slice(&answer.body)
            .map_err(|_| Trouble::later(format!("{ask}: the answer was not understood")))?;
        let secret = Secret::new(shape.token);
        if !secret.is_token() {
            return Err(Trouble::later(format!("{ask}: a token that is none")));
        }
        Ok(Token { secret, until: shape.expires_at })
    }
}

fn token_in(file: &Path) -> Result<Secret, Trouble> {
    let token = Secret::read_line(file).map_err(Trouble::from)?;
    if !token.is_token() {
        let text = format!("the file `{}` holds no token", file.display());
        return Err(Trouble::Settings { text });
    }
    Ok(token)
}

fn key_of(repo: &Repo) -> Repo {
    Repo { owner: repo.owner.to_lowercase(), name: repo.name.to_lowercase() }
}
