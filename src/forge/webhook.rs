//! Webhooks: whether they are GitHub's, and what they wake.
//!
//! # Flow
//! [`verify`] over the raw body, then [`parse`]. What a delivery says is never believed: it names a
//! repository and perhaps a pull request that are worth a look, and the look asks the forge.
//!
//! # Guarantees
//! - Nothing is parsed before the signature held.
//! - No body makes it panic, recurse or keep more than it names.

use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::Sha256;

use super::Repo;
use super::github::revision;
use crate::fault::planted;
use crate::model::{Revision, Secret};

/// The header that holds the signature; the older one with SHA-1 is not looked at.
pub const SIGNATURE: &str = "x-hub-signature-256";

/// The header that names the event.
pub const EVENT: &str = "x-github-event";

/// The header with the delivery's own id, the same when it is delivered again.
pub const DELIVERY: &str = "x-github-delivery";

/// GitHub's own cap on a body, in bytes.
pub const BODY_MOST: usize = 25 << 20;

/// Lists and objects inside of each other.
const DEPTH_MOST: usize = 64;

/// It is not signed by whoever knows the secret.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Forged {
    /// There is no signature with SHA-256.
    #[error("it is not signed with SHA-256")]
    Unsigned,
    /// It is somebody else's, or of another body.
    #[error("its signature does not fit")]
    Wrong,
}

/// What is worth a look.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Wake {
    /// The repository.
    pub repo: Repo,
    /// The pull request, when it is about one.
    pub pull: Option<u64>,
    /// The commit, when it is about what stands on one.
    pub commit: Option<Revision>,
    /// What for.
    pub wanted: Wanted,
}

/// What somebody wants.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Wanted {
    /// Something is new there.
    Look,
    /// The checks are to be made again.
    Rerun,
}

/// Holds a body against its signature, `sha256=` and 64 hexadecimal digits, in constant time.
///
/// # Errors
/// Nothing may be done for it.
pub fn verify(secret: &Secret, body: &[u8], header: Option<&str>) -> Result<(), Forged> {
    let signature = signature_in(header).ok_or(Forged::Unsigned)?;
    // Anybody can sign with nothing.
    if secret.expose().is_empty() {
        return Err(Forged::Wrong);
    }
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.expose().as_bytes())
        .expect("a key of HMAC has any length");
    mac.update(body);
    mac.verify_slice(&signature).map_err(|_| Forged::Wrong)
}

/// Whether a header could hold a signature: without one, no body is worth reading.
pub fn is_signature(header: Option<&str>) -> bool {
    signature_in(header).is_some()
}

fn signature_in(header: Option<&str>) -> Option<[u8; 32]> {
    bytes_of_hex(header?.trim().strip_prefix("sha256=")?)
}

/// What a verified delivery wakes; `None` for what concerns nobody here, and for what cannot be read.
pub fn parse(event: &str, body: &[u8]) -> Option<Wake> {
    let about = About::of(event)?;
    if body.len() > BODY_MOST || is_deep(body) {
        return None;
    }
    let payload: Payload = serde_json::from_slice(body).ok()?;
    let action = payload.action.as_deref().unwrap_or_default();
    let is_again = matches!(action, "rerequested" | "requested_action");
    let (pull, sha, wanted) = match about {
        About::Repository => (None, None, Wanted::Look),
        About::Pull => {
            if planted!("webhook-null-panics") && payload.number.is_none() {
                panic!("every pull request has a number");
            }
            let number = payload.number.or_else(|| payload.pull_request?.number)?;
            (Some(number), None, Wanted::Look)
        }
        // The number is of an issue too, which is nothing of ours.
        About::Remark => {
            let issue = payload.issue?;
            issue.pull_request?;
            (Some(issue.number?), None, Wanted::Look)
        }
        // Others say much on a commit that is nothing of ours.
        About::Status => {
            payload.context.filter(|context| context.starts_with(OURS))?;
            (None, Some(payload.sha?), Wanted::Look)
        }
        About::CheckRun | About::CheckSuite if !is_again => return None,
        About::CheckRun | About::CheckSuite => {
            let checked = payload.check_run.or(payload.check_suite)?;
            let sha = checked.head_sha.clone();
            (checked.first(), sha, Wanted::Rerun)
        }
    };
    let commit = sha.as_deref().and_then(revision);
    Some(Wake { repo: payload.repository?.repo()?, pull, commit, wanted })
}

/// What the names of our checks and statuses begin with.
const OURS: &str = "vend";

/// What an event is about.
enum About {
    Repository,
    Pull,
    Remark,
    CheckRun,
    CheckSuite,
    Status,
}

impl About {
    fn of(event: &str) -> Option<Self> {
        Some(match event {
            "push" | "create" | "delete" | "merge_group" | "repository" => Self::Repository,
            "pull_request"
            | "pull_request_review"
            | "pull_request_review_comment"
            | "pull_request_review_thread" => Self::Pull,
            "issue_comment" => Self::Remark,
            "check_run" => Self::CheckRun,
            "check_suite" => Self::CheckSuite,
            "status" => Self::Status,
            _ => return None,
        })
    }
}

/// What is read of any event's body.
#[derive(Deserialize)]
struct Payload {
    action: Option<String>,
    number: Option<u64>,
    pull_request: Option<Numbered>,
    issue: Option<Issue>,
    check_run: Option<Checked>,
    check_suite: Option<Checked>,
    context: Option<String>,
    sha: Option<String>,
    repository: Option<Named>,
}

#[derive(Deserialize)]
struct Numbered {
    number: Option<u64>,
}

#[derive(Deserialize)]
struct Issue {
    number: Option<u64>,
    pull_request: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Checked {
    head_sha: Option<String>,
    pull_requests: Option<Vec<Option<Numbered>>>,
}

impl Checked {
    fn first(self) -> Option<u64> {
        self.pull_requests?.into_iter().flatten().find_map(|pull| pull.number)
    }
}

#[derive(Deserialize)]
struct Named {
    full_name: Option<String>,
}

impl Named {
    fn repo(self) -> Option<Repo> {
        Repo::parse(&self.full_name?)
    }
}

/// Whether brackets outside of strings are nested deeper than any event has them.
fn is_deep(body: &[u8]) -> bool {
    let (mut depth, mut most, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in body {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                most = most.max(depth);
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    most > DEPTH_MOST
}

fn bytes_of_hex(digits: &str) -> Option<[u8; 32]> {
    let digits = digits.as_bytes();
    let value = |digit: u8| char::from(digit).to_digit(16).and_then(|n| u8::try_from(n).ok());
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sign(secret: &str, body: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body);
        let tag = mac.finalize().into_bytes();
        format!("sha256={}", tag.iter().map(|b| format!("{b:02x}")).collect::<String>())
    }

    /// The example of GitHub's own documentation, "Validating webhook deliveries".
    #[test]
    fn f56_the_documented_signature_holds() {
        let secret = Secret::new("It's a Secret to Everybody");
        let signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
        assert_eq!(verify(&secret, b"Hello, World!", Some(signature)), Ok(()));
        assert_eq!(verify(&secret, b"Hello, World?", Some(signature)), Err(Forged::Wrong));
        let other = Secret::new("another");
        assert_eq!(verify(&other, b"Hello, World!", Some(signature)), Err(Forged::Wrong));
    }

    #[test]
    fn f56_what_is_unsigned_or_signed_otherwise_is_refused() {
        let secret = Secret::new("s");
        for header in [
            None,
            Some(""),
            Some("sha256="),
            Some("sha1=8d5f6fb1b2f5e5a8b0e6ff2a5f2b8c5c3d3b8b2f"),
            Some("757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
            Some("sha256=757107ea"),
            Some("sha256=zz7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"),
            Some("sha256=ää7107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e"),
        ] {
            assert_eq!(verify(&secret, b"{}", header), Err(Forged::Unsigned), "{header:?}");
        }
        let empty = sign("", b"{}");
        assert_eq!(verify(&Secret::new(""), b"{}", Some(&empty)), Err(Forged::Wrong));
    }

    fn wake(event: &str, body: &str) -> Option<(String, Option<u64>)> {
        parse(event, body.as_bytes()).map(|wake| (wake.repo.to_string(), wake.pull))
    }

    #[test]
    fn events_say_where_to_look() {
        let repository = r#""repository":{"full_name":"acme/requests"}"#;
        let at = |pull| Some(("acme/requests".to_owned(), pull));
        for (event, rest, expected) in [
            ("push", r#""ref":"refs/heads/main""#, at(None)),
            ("merge_group", r#""action":"checks_requested""#, at(None)),
            ("pull_request", r#""action":"opened","number":7"#, at(Some(7))),
            ("pull_request_review", r#""pull_request":{"number":7}"#, at(Some(7))),
            ("issue_comment", r#""issue":{"number":7,"pull_request":{"url":"x"}}"#, at(Some(7))),
            ("issue_comment", r#""issue":{"number":7}"#, None),
            ("issue_comment", r#""issue":{"number":7,"pull_request":null}"#, None),
            (
                "check_run",
                r#""action":"rerequested","check_run":{"pull_requests":[null,{"number":7}]}"#,
                at(Some(7)),
            ),
            ("check_run", r#""action":"rerequested","check_run":{"pull_requests":[]}"#, at(None)),
            ("check_run", r#""action":"completed","check_run":{"pull_requests":[]}"#, None),
            ("star", r#""action":"created""#, None),
            ("ping", r#""zen":"Design for failure.""#, None),
        ] {
            let body = format!("{{{rest},{repository}}}");
            assert_eq!(wake(event, &body), expected, "{event} {body}");
        }
    }

    #[test]
    fn what_stands_on_a_commit_is_named_by_that_commit() {
        let sha = "0123456789abcdef0123456789abcdef01234567";
        let of = |event: &str, rest: &str| {
            let body = format!(r#"{{{rest},"repository":{{"full_name":"acme/requests"}}}}"#);
            let wake = parse(event, body.as_bytes())?;
            Some((wake.commit.map(|commit| commit.to_string()), wake.wanted))
        };
        let status = |context: &str, sha: &str| {
            of("status", &format!(r#""context":"{context}","sha":"{sha}""#))
        };
        for ours in ["vend", "vend/approval", "vend/approval (next)"] {
            assert_eq!(status(ours, sha), Some((Some(sha.to_owned()), Wanted::Look)), "{ours}");
        }
        assert_eq!(status("ci/build", sha), None);
        assert_eq!(status("vend", "../../x"), Some((None, Wanted::Look)), "no commit is named so");
        let run = format!(r#""action":"rerequested","check_run":{{"head_sha":"{sha}"}}"#);
        assert_eq!(of("check_run", &run), Some((Some(sha.to_owned()), Wanted::Rerun)));
        let suite = format!(r#""action":"rerequested","check_suite":{{"head_sha":"{sha}"}}"#);
        assert_eq!(of("check_suite", &suite), Some((Some(sha.to_owned()), Wanted::Rerun)));
    }

    #[test]
    fn f60_hostile_bodies_wake_nobody() {
        let deep = format!(r#"{{"x":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        let within = format!(
            r#"{{"x":{}1{},"repository":{{"full_name":"a/b"}}}}"#,
            "[".repeat(60),
            "]".repeat(60)
        );
        assert_eq!(wake("push", &within), Some(("a/b".to_owned(), None)));
        for body in [
            "",
            "null",
            "[]",
            "{",
            "\u{feff}{}",
            deep.as_str(),
            r#"{"repository":null}"#,
            r#"{"repository":{"full_name":null}}"#,
            r#"{"repository":{"full_name":"a"}}"#,
            r#"{"repository":{"full_name":"a/../b"}}"#,
            r#"{"repository":{"full_name":"../b"}}"#,
            r#"{"repository":{"full_name":"a/b\u0000"}}"#,
            r#"{"repository":{"full_name":"a/b"},"number":1e999}"#,
            r#"{"repository":{"full_name":"a/b"},"number":-1}"#,
            r#"{"repository":{"full_name":"a/b"},"number":99999999999999999999999}"#,
            r#"{"repository":{"full_name":"a/b"},"number":null,"pull_request":{"number":null}}"#,
            r#"{"repository":{"full_name":"a/b"},"pull_request":null}"#,
            r#"{"repository":{"full_name":"a/b"},"issue":{"number":null,"pull_request":{}}}"#,
        ] {
            for event in ["pull_request", "issue_comment", "check_run", "status"] {
                assert_eq!(wake(event, body), None, "{event} {}", &body[..body.len().min(80)]);
            }
        }
    }

    #[test]
    fn f60_a_bracket_in_a_string_is_no_depth() {
        let text =
            format!(r#"{{"x":"\"{}","repository":{{"full_name":"a/b"}}}}"#, "[{".repeat(500));
        assert!(wake("push", &text).is_some());
    }

    /// Any JSON with any field of any kind, of names that are read.
    fn value() -> impl Strategy<Value = serde_json::Value> {
        let names = "number|repository|full_name|issue|pull_request|check_run|pull_requests|action|sha|context";
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            any::<f64>().prop_map(Into::into),
            "rerequested|a/b|.*".prop_map(Into::into),
        ];
        leaf.prop_recursive(5, 40, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::hash_map(names, inner, 0..6)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn f60_no_json_makes_it_panic(
            value in value(),
            event in "push|pull_request|issue_comment|check_run|check_suite|status",
        ) {
            let _ = parse(&event, value.to_string().as_bytes());
        }

        #[test]
        fn f60_no_bytes_make_it_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..200),
            header in ".*",
        ) {
            let _ = parse("push", &bytes);
            prop_assert!(verify(&Secret::new("s"), &bytes, Some(&header)).is_err());
            prop_assert!(verify(&Secret::new("s"), &bytes, Some(&sign("s", &bytes))).is_ok());
        }
    }
}
