//! Names and ids. A newtype for each that could be taken for another.

use std::fmt;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Serialize};

use crate::digest::{Digest, sha256};

/// Longest team, environment, request or component name: a DNS label.
pub const NAME_MAX: usize = 63;

/// Whether `name` matches `^[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`.
pub fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    let body = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
    !bytes.is_empty()
        && bytes.len() <= NAME_MAX
        && bytes[0].is_ascii_lowercase()
        && bytes.iter().all(body)
        && bytes[bytes.len() - 1] != b'-'
}

/// A request's identity, `<team>/<environment>/<name>`; the path of its file, nothing inside it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// `None` when one of the three is not a name (see [`is_name`]).
    pub fn new(team: &str, environment: &str, name: &str) -> Option<Self> {
        (is_name(team) && is_name(environment) && is_name(name))
            .then(|| Self(format!("{team}/{environment}/{name}").into()))
    }

    /// Reads `<team>/<environment>/<name>`.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('/');
        let (team, environment, name) = (parts.next()?, parts.next()?, parts.next()?);
        let sound = parts.next().is_none() && [team, environment, name].into_iter().all(is_name);
        // Not by way of `new`: a hundred thousand of these are read at each start.
        sound.then(|| Self(text.into()))
    }

    /// The whole id.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is `prefix`, or starts with it at a `/`; everything is below the empty one.
    pub fn is_below(&self, prefix: &str) -> bool {
        let prefix = prefix.trim_matches('/');
        let rest = self.0.strip_prefix(prefix);
        prefix.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    fn part(&self, n: usize) -> &str {
        self.0.split('/').nth(n).unwrap_or_default()
    }

    /// The first part.
    pub fn team(&self) -> &str {
        self.part(0)
    }

    /// The second part.
    pub fn environment(&self) -> &str {
        self.part(1)
    }

    /// The third part.
    pub fn name(&self) -> &str {
        self.part(2)
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for RequestId {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for RequestId {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_str(Text(Self::parse, "expected `<team>/<environment>/<name>`"))
    }
}

/// Reads an id of text without a `String` on the way: a store is full of them. Then what is said of
/// other text.
struct Text<F>(F, &'static str);

impl<T, F: FnOnce(&str) -> Option<T>> Visitor<'_> for Text<F> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        (self.0)(text).ok_or_else(|| E::custom(self.1))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                d.deserialize_str(Text(|text: &str| Some(Self(text.into())), ""))
            }
        }

        impl $name {
            /// Wraps text that the caller has checked.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A component's name within its template.
    ComponentName
);
text_id!(
    /// The name of a target in the world; recorded at the first apply and never computed again.
    TargetName
);
text_id!(
    /// A configured request source.
    SourceName
);
text_id!(
    /// The random id of one vend, made at its first start; marks ownership in the world.
    InstanceId
);
text_id!(
    /// Makes an effect recognisable: the same token is the same effect, however often it is sent.
    Token
);
text_id!(
    /// A commit, as 40 hexadecimal digits.
    Revision
);

impl Revision {
    /// The first ten digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

/// A Git object id: a blob or a tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub [u8; 20]);

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// One component of one request: what a target is, whatever its name in the world.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TargetKey {
    /// The request.
    pub request: RequestId,
    /// Its component.
    pub component: ComponentName,
}

impl fmt::Display for TargetKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.request, self.component)
    }
}

/// The longest target name: CloudFormation's limit for a stack, which is the tightest met.
pub const TARGET_NAME_MAX: usize = 128;

impl TargetName {
    /// `vend-<team>-<environment>-<name>-<component>-<10 hex of SHA-256(instance, id, component)>`,
    /// cut in the middle to fit [`TARGET_NAME_MAX`].
    pub fn compute(instance: &InstanceId, key: &TargetKey) -> Self {
        Self::nth(instance, key, 0)
    }

    /// The name of the n-th target that is made under this key while earlier ones are still there: what
    /// moves takes its name along. The first is that of [`TargetName::compute`].
    pub fn nth(instance: &InstanceId, key: &TargetKey, n: u32) -> Self {
        let again = if n > 0 { format!("\0{n}") } else { String::new() };
        let seed = format!("{instance}\0{}\0{}{again}", key.request, key.component);
        let hash = sha256(seed.as_bytes()).hex();
        let id = &key.request;
        let stem =
            format!("vend-{}-{}-{}-{}", id.team(), id.environment(), id.name(), key.component);
        let room = TARGET_NAME_MAX - 11;
        let stem = if stem.len() > room {
            // Names are ASCII by `is_name`, so cutting at bytes is cutting at characters.
            let head = room / 2;
            let tail = room - head - 1;
            format!("{}-{}", &stem[..head], &stem[stem.len() - tail..])
        } else {
            stem
        };
        Self::new(format!("{stem}-{}", &hash[..10]))
    }
}

impl Token {
    /// Derived from (instance, target, plan step, attempt, moment of the intent). The journal keeps
    /// it from the intent to the observed end, so whatever is sent again goes under the same token;
    /// the moment keeps a target that is made, deleted and made again from meeting its own past.
    pub fn derive(
        instance: &InstanceId,
        target: &TargetName,
        step: &Digest,
        attempt: u32,
        at: jiff::Timestamp,
    ) -> Self {
        let seed = format!("{instance}\0{target}\0{step}\0{attempt}\0{at}");
        Self::new(format!("vend-{}", &sha256(seed.as_bytes()).hex()[..32]))
    }
}

/// `name@version` of a template.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TemplateId {
    /// The template's name.
    pub name: String,
    /// Its exact version.
    pub version: semver::Version,
}

impl TemplateId {
    /// Reads `<name>@<version>`.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, version) = text.split_once('@')?;
        let version = semver::Version::parse(version).ok()?;
        is_name(name).then(|| Self { name: name.to_owned(), version })
    }
}

impl fmt::Display for TemplateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_dns_labels() {
        for good in ["a", "orders", "a-1", "x0"] {
            assert!(is_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for bad in ["", "A", "1a", "-a", "a-", "a_b", "a.b", "п", long.as_str()] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn b88_a_target_name_fits_and_differs_by_component() {
        let instance = InstanceId::new("i-1");
        let id = RequestId::new(&"t".repeat(63), &"e".repeat(63), &"n".repeat(63)).unwrap();
        let name = |c: &str| {
            let component = ComponentName::new(c);
            TargetName::compute(&instance, &TargetKey { request: id.clone(), component })
        };
        assert_eq!(name("queue").as_str().len(), TARGET_NAME_MAX);
        assert_ne!(name("queue"), name("other"));
        assert_eq!(name("queue"), name("queue"));
        let key = TargetKey { request: id.clone(), component: ComponentName::new("queue") };
        assert_eq!(TargetName::nth(&instance, &key, 0), name("queue"));
        assert_ne!(TargetName::nth(&instance, &key, 1), name("queue"));
        assert_ne!(TargetName::nth(&instance, &key, 1), TargetName::nth(&instance, &key, 11));
    }

    #[test]
    fn b88_names_that_read_alike_when_they_are_joined_differ() {
        let alike = [
            ("a-b", "c", "d", "e"),
            ("a", "b-c", "d", "e"),
            ("a", "b", "c-d", "e"),
            ("a", "b", "c", "d-e"),
        ];
        let names = alike.map(|(team, environment, name, component)| {
            let request = RequestId::new(team, environment, name).unwrap();
            let key = TargetKey { request, component: ComponentName::new(component) };
            TargetName::compute(&InstanceId::new("i-1"), &key)
        });
        assert!(names.iter().all(|name| name.as_str().starts_with("vend-a-b-c-d-e-")), "{names:?}");
        assert_eq!(names.iter().collect::<std::collections::BTreeSet<_>>().len(), names.len());
    }
}
