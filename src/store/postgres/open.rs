//! Where a store in PostgreSQL lies, and how it is reached.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgPool, PgPoolOptions, PgSslMode};
use sqlx::{ConnectOptions as _, FromRow as _};

use super::read::ask;
use super::schema;
use crate::model::Secret;
use crate::store::StoreError;

/// The oldest server that tells what became of a transaction by a number that is not used twice.
const OLDEST: i32 = 130_000;

/// How long a connection may take, another's write may be waited for, and one question may last.
const CONNECT: Duration = Duration::from_secs(10);

/// What each session is told. A replica that was stopped in the middle of a write, or that cannot be
/// reached any more, must not keep the others from writing for long.
const SESSION: [(&str, &str); 7] = [
    ("lock_timeout", "10s"),
    ("statement_timeout", "60s"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "2"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "11s"),
];

/// A place for a store: a server, a database, and a schema in it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Server {
    /// `postgres://user@host:port/database?sslmode=…`, without a password.
    pub url: String,
    /// The file that holds the password, and nothing else; it is read again when it is refused.
    pub password: Option<PathBuf>,
    /// The schema of the tables: small letters, digits and `_`.
    pub schema: String,
    /// The most connections of this process.
    pub connections: u32,
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What comes after `?` may name files; it does not say where.
        let url = self.url.split_once('?').map_or(&*self.url, |(url, _)| url);
        write!(f, "{url} (schema {})", self.schema)
    }
}

impl Server {
    /// What is wrong with it, if anything.
    pub fn fault(&self) -> Option<String> {
        if !self.url.starts_with("postgres://") && !self.url.starts_with("postgresql://") {
            return Some("its `url` does not begin with `postgres://`".into());
        }
        let authority = self.url.split("//").nth(1).unwrap_or_default();
        let authority = authority.split(['/', '?']).next().unwrap_or_default();
        if authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
            || self.url.contains("password=")
        {
            return Some(
                "its `url` holds a password: put that in a file and name it in `passwordFile`"
                    .into(),
            );
        }
        if let Err(error) = PgConnectOptions::from_str(&self.url) {
            return Some(format!("its `url`: {error}"));
        }
        let mut letters = self.schema.bytes();
        let first = letters.next().is_some_and(|c| c.is_ascii_lowercase() || c == b'_');
        let is_name = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || c == b'_';
        // 63 bytes are a name's most, and a rebuild needs some behind it.
        if !first || !letters.all(is_name) || self.schema.len() > 48 || self.is_the_systems() {
            return Some(
                "its `schema` must be 1 to 48 small letters, digits and `_`, no digit first, and not \
                 `pg_…`"
                    .into(),
            );
        }
        if !(2..=100).contains(&self.connections) {
            return Some("its `connections` must be from 2 to 100".into());
        }
        None
    }

    fn is_the_systems(&self) -> bool {
        self.schema.starts_with("pg_") || self.schema == "information_schema"
    }

    pub(super) fn unsuitable(&self, why: impl Into<String>) -> StoreError {
        StoreError::Unsuitable { place: self.to_string(), why: why.into() }
    }

    /// With the password as it is now.
    pub(super) fn options(&self) -> Result<PgConnectOptions, StoreError> {
        if let Some(fault) = self.fault() {
            return Err(self.unsuitable(fault));
        }
        let mut options = PgConnectOptions::from_str(&self.url)
            .map_err(|error| self.unsuitable(error.to_string()))?
            .application_name("vend")
            .options(SESSION)
            .options([("search_path", self.schema.as_str())])
            .disable_statement_logging();
        if !self.url.contains("sslmode=") && !is_local(&options) {
            options = options.ssl_mode(PgSslMode::VerifyFull);
        }
        if let Some(file) = &self.password {
            let password = password(file).map_err(|why| self.unsuitable(why))?;
            options = options.password(password.expose());
        }
        Ok(options)
    }

    /// The same place while a store is made anew beside it.
    pub(super) fn beside(&self) -> Self {
        Self { schema: format!("{}_rebuilding", self.schema), ..self.clone() }
    }
}

fn is_local(options: &PgConnectOptions) -> bool {
    let host = options.get_host();
    options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || host.trim_matches(['[', ']']).parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
}

fn password(file: &Path) -> Result<Secret, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("its password file `{}`: {error}", file.display()))?;
    let word = text.trim_end_matches(['\r', '\n']);
    match word.is_empty() || word.contains('\n') {
        true => Err(format!("its password file `{}` must hold one line", file.display())),
        false => Ok(Secret::new(word)),
    }
}

/// Connections to a place, made when they are needed.
pub(super) fn pool(server: &Server, options: PgConnectOptions) -> PgPool {
    PgPoolOptions::new()
        .max_connections(server.connections)
        .acquire_timeout(CONNECT)
        .idle_timeout(Duration::from_secs(600))
        .after_connect(|db, _| {
            // What was answered as written must survive the server's end; where it is set to more,
            // such as to wait for a standby, it stays.
            Box::pin(async move {
                let sql = "SELECT set_config('synchronous_commit', 'on', false)
                    WHERE current_setting('synchronous_commit') = 'off'";
                ask(sql).execute(db).await.map(drop)
            })
        })
        .connect_lazy_with(options)
}

/// Refuses a server that cannot hold a store.
pub(super) async fn inspect(db: &mut PgConnection, server: &Server) -> Result<(), StoreError> {
    let sql = "SELECT current_setting('server_version_num')::integer,
        current_setting('server_encoding'), pg_is_in_recovery()";
    let row = ask(sql).fetch_one(db).await?;
    let (version, encoding, is_copy) = <(i32, String, bool)>::from_row(&row)?;
    if version < OLDEST {
        return Err(server.unsuitable(format!(
            "its PostgreSQL is {}: 13 is the oldest that will do",
            version / 10_000
        )));
    }
    if encoding != "UTF8" {
        return Err(server.unsuitable(format!("its encoding is {encoding}, not UTF8")));
    }
    if is_copy {
        let why = "it is a standby, which can only be read".to_owned();
        return Err(StoreError::Busy(why.into()));
    }
    Ok(())
}

/// Makes the tables, or brings them up to date.
pub(super) async fn migrate(db: &mut PgConnection, server: &Server) -> Result<(), StoreError> {
    schema::migrate(db, server, schema::STEPS).await
}

/// Whether the server refused who we say we are: the password may have been changed.
pub(super) fn is_refused(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("28"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Server {
        Server { url: url.into(), password: None, schema: "vend".into(), connections: 4 }
    }

    #[test]
    fn what_cannot_be_a_place_is_said() {
        assert_eq!(server("postgres://vend@db.example.com/vend").fault(), None);
        assert_eq!(server("postgres:///vend?host=/run/postgresql").fault(), None);
        for (url, word) in [
            ("mysql://db/vend", "postgres://"),
            ("postgres://vend:secret@db/vend", "passwordFile"),
            ("postgres://vend@db/vend?password=secret", "passwordFile"),
            ("postgres://vend@db:port/vend", "url"),
        ] {
            let fault = server(url).fault().expect(url);
            assert!(fault.contains(word), "{fault}");
            assert!(!fault.contains("secret"), "{fault}");
        }
        let base = server("postgres://vend@db/vend");
        for schema in ["", "Vend", "1st", "a-b", "pg_vend", "x\"; DROP", &"a".repeat(49)] {
            assert!(Server { schema: schema.into(), ..base.clone() }.fault().is_some(), "{schema}");
        }
        assert!(Server { connections: 1, ..base }.fault().is_some());
    }

    #[test]
    fn another_machine_is_only_believed_with_its_certificate() {
        let mode = |url: &str| format!("{:?}", server(url).options().unwrap().get_ssl_mode());
        assert_eq!(mode("postgres://vend@db.example.com/vend"), "VerifyFull");
        assert_eq!(mode("postgres://vend@db.example.com/vend?sslmode=require"), "Require");
        assert_eq!(mode("postgres://vend@localhost/vend"), "Prefer");
        assert_eq!(mode("postgres://vend@127.0.0.1/vend"), "Prefer");
        assert_eq!(mode("postgres://vend@[::1]/vend"), "Prefer");
    }
}
