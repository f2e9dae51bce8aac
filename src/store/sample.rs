//! Small values of every kind for tests.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;

use super::{DesiredRow, HeldRow, StatusRow};
use crate::digest::{Digest, sha256};
use crate::model::*;

pub(super) fn id(name: &str) -> RequestId {
    RequestId::new("orders", "prod", name).unwrap()
}

pub(super) fn digest(text: &str) -> Digest {
    sha256(text.as_bytes())
}

pub(super) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub(super) fn template(version: u64) -> TemplateId {
    TemplateId { name: "sqs-queue".into(), version: semver::Version::new(1, version, 0) }
}

pub(super) fn origin(name: &str) -> Origin {
    let path = format!("requests/orders/prod/{name}.yaml");
    Origin { source: SourceName::new("main"), path: path.into() }
}

pub(super) fn key(name: &str) -> TargetKey {
    TargetKey { request: id(name), component: ComponentName::new("queue") }
}

pub(super) fn artifact(text: &str) -> Artifact {
    let files = BTreeMap::from([("a.yaml".to_owned(), text.to_owned())]);
    Artifact { files, digest: Some(digest(text)) }
}

/// A request that refers to `reference`, with an artifact of the text `text`.
pub(super) fn desired(name: &str, text: &str, reference: Option<&str>) -> Box<DesiredRow> {
    let references = reference.map(|other| {
        ("queueArn".to_owned(), Reference { request: id(other), output: "arn".to_owned() })
    });
    let spec = Spec {
        template: template(2),
        template_digest: digest("template"),
        upgrade: None,
        parameters: Map::from([("size".to_owned(), json!({"x": [1, "two", null]}))]),
        sensitive: vec![],
        references: references.into_iter().collect(),
        labels: BTreeMap::new(),
        protect: false,
        adopt: false,
        timeout: None,
        lifetime: None,
        suspend: false,
        tombstone: false,
        moved_from: None,
        reason: None,
        on_drift: OnDrift::Report,
        components: vec![DesiredComponent {
            name: ComponentName::new("queue"),
            moved_from: None,
            provider: "files".into(),
            settings: Map::new(),
            needs: vec![],
            digest: digest(text),
            unknown: vec![],
        }],
        outputs: BTreeMap::new(),
        change_rules: BTreeMap::new(),
    };
    wanted(name, text, Wanted::Valid(Box::new(spec)))
}

/// A request whose file has an error.
pub(super) fn invalid(name: &str) -> Box<DesiredRow> {
    let place = Place::file(format!("{name}.yaml"));
    let problem = Diagnostic::error("YAML002", place, "duplicate key `size`");
    wanted(name, "invalid", Wanted::Invalid(vec![problem]))
}

fn wanted(name: &str, text: &str, wanted: Wanted) -> Box<DesiredRow> {
    let desired = Desired {
        id: id(name),
        origin: origin(name),
        content: digest(text),
        wanted,
        notes: vec![],
    };
    let fingerprint = desired.fingerprint();
    let blob = ObjectId(digest(name).bytes()[..20].try_into().unwrap());
    let desired = Arc::new(desired);
    Box::new(DesiredRow { desired, blob, key: digest(&format!("{name} {text}")), fingerprint })
}

/// A record with one component, applied from an artifact of the text `text`.
pub(crate) fn record(name: &str, text: &str, checked: Option<Timestamp>) -> Box<Record> {
    let target = TargetName::compute(&InstanceId::new("i-1"), &key(name));
    let component = ComponentRecord {
        provider: "files".into(),
        token: Token::derive(
            &InstanceId::new("i-1"),
            &target,
            &digest(text),
            0,
            Timestamp::UNIX_EPOCH,
        ),
        target,
        settings: Map::from([("directory".to_owned(), json!("/srv/out"))]),
        id: None,
        digest: digest(text),
        state: "Written".into(),
        outputs: Map::from([("path".to_owned(), json!("a/b"))]),
        mark: None,
        link: None,
        needs: vec![],
        attempts: 1,
        drift: vec![],
        labels: Default::default(),
        drift_since: None,
        checked,
        unchecked: None,
        guarded: None,
    };
    Box::new(Record {
        id: id(name),
        origin: origin(name),
        settled: Some(digest(text)),
        template: template(2),
        template_digest: digest("template"),
        parameters: Map::from([("size".to_owned(), json!(3))]),
        sensitive: vec![],
        digests: BTreeMap::new(),
        references: BTreeMap::new(),
        labels: BTreeMap::new(),
        protect: text.len() % 2 == 1,
        tombstone: false,
        life: None,
        former: Vec::new(),
        whole_at: None,
        components: BTreeMap::from([(ComponentName::new("queue"), component)]),
        output_specs: BTreeMap::new(),
        observed: Observed::default(),
        last_apply: None,
    })
}

/// An intent to apply the text `text`; the change carries its artifact.
pub(crate) fn intent(name: &str, text: &str, attempt: u32) -> Box<Journalled> {
    let record = record(name, text, None);
    let name = record.components[&ComponentName::new("queue")].target.clone();
    let instance = InstanceId::new("i-1");
    let token = Token::derive(&instance, &name, &digest(text), attempt, Timestamp::UNIX_EPOCH);
    let target = Target {
        name,
        key: TargetKey { request: record.id.clone(), component: ComponentName::new("queue") },
        instance,
        provider: "files".into(),
        settings: Map::new(),
        id: None,
    };
    let change = Change {
        token,
        target,
        action: Action::Create,
        artifact: Some(Arc::new(artifact(text))),
        expect: None,
        labels: BTreeMap::new(),
        former: None,
        commit: None,
        template: None,
        protect: false,
        adopt: false,
        timeout: None,
        preview: None,
    };
    Box::new(Journalled {
        change,
        artifact: Some(digest(text)),
        step: digest("step"),
        plan: digest("plan"),
        attempt,
        phase: Phase::Intent,
        ticket: None,
        since: at(0),
        next: None,
        cancelled: false,
        error: None,
        fingerprint: None,
        released: Vec::new(),
        locked: false,
        trace: TraceParent::parse("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
        outcome: Outcome::Applied(Box::new(AppliedOutcome { record: *record, needs: vec![] })),
    })
}

/// The same effect once the provider has it.
pub(super) fn sent(mut row: Box<Journalled>) -> Box<Journalled> {
    row.change.artifact = None;
    row.phase = Phase::Sent;
    row.ticket = Some(Ticket {
        token: row.change.token.clone(),
        target: row.change.target.clone(),
        data: json!({"cursor": 1}),
    });
    row.next = Some(at(30));
    row
}

pub(super) fn retry(attempts: u32) -> Retry {
    Retry {
        fingerprint: Some(digest("x")),
        attempts,
        until: at(60),
        error: "throttled".into(),
        refused: false,
        ended: false,
        left: None,
    }
}

pub(super) fn held(name: &str, reason: HoldReason) -> HeldRow {
    let component = Some(ComponentName::new("queue"));
    let hold = Hold { request: id(name), component, action: Some(Action::Delete), reason };
    HeldRow { hold, since: at(5) }
}

pub(super) fn status(name: &str, text: &str) -> StatusRow {
    StatusRow {
        request: id(name),
        document: json!({"phase": "Ready", "text": text}),
        digest: digest(text),
        published: None,
        artifacts: vec![(ComponentName::new("queue"), digest(text))],
    }
}

pub(super) fn event(name: Option<&str>, message: &str) -> Event {
    Event {
        at: at(0),
        request: name.map(id),
        kind: "Applied".into(),
        message: message.into(),
        data: json!({"n": 1}),
    }
}

pub(super) fn approval(text: &str, by: &str) -> Approval {
    Approval { digest: digest(text), by: by.into(), by_id: None, teams: None, at: at(1) }
}
