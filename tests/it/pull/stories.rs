//! Pull requests as people meet them, as values.

mod apart;
mod catalog;
mod evil;

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::json;
use vend::digest::sha256;
use vend::model::{
    Action, Applying, Artifact, Blind, Brief, Changed, ComponentName, Diagnostic, Happening, Hold,
    HoldReason, InstanceId, LastApply, Need, Opening, Place, Plan, Preview, PropertyChange, Pull,
    PullState, Recreates, Remark, Reply, RequestId, RequestPhase, ResourceAction, ResourceChange,
    Revision, Rewritten, Since, SourceName, SourceProblem, Stage, Status, Step, Symbol, Target,
    TargetKey, TargetName, Warned,
};

pub use evil::{EVIL, planted, planted_after};

/// A brief, and what was rendered before and after for its targets.
pub struct Story {
    pub brief: Brief,
    pub rendered: BTreeMap<TargetKey, (Option<String>, Option<String>)>,
}

impl Story {
    pub fn artifacts(&self) -> impl Fn(&Step) -> (Option<Arc<Artifact>>, Option<Arc<Artifact>>) {
        let of = |text: &String| {
            let files = BTreeMap::from([("template.yaml".to_owned(), text.clone())]);
            Arc::new(Artifact { files, digest: None })
        };
        move |step| match self.rendered.get(&step.target.key) {
            Some((old, new)) => (old.as_ref().map(of), new.as_ref().map(of)),
            None => (None, None),
        }
    }

    fn rendered(mut self, at: &str, old: Option<&str>, new: Option<&str>) -> Self {
        self.rendered.insert(key(at), (old.map(Into::into), new.map(Into::into)));
        self
    }
}

pub fn all() -> Vec<(&'static str, Story)> {
    vec![
        ("new-queue", new_queue()),
        ("replacement", replacement()),
        ("deletion", deletion()),
        ("invalid", invalid()),
        ("many", many()),
        ("pushed", pushed()),
        ("one-rule", one_rule()),
        ("refused", refused()),
        ("waiting", waiting()),
        ("applying", applying()),
        ("done", done()),
        ("failed", failed()),
        ("changed", changed()),
        ("apart", apart::apart()),
        ("hostile", hostile()),
        ("fork", fork()),
        ("revert", revert()),
        ("conflict", conflict()),
        ("catalog", catalog::catalog()),
        ("blast", catalog::blast()),
        ("waves", catalog::waves()),
        ("nothing-any-more", nothing_any_more()),
        ("asked", asked()),
    ]
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

pub fn id(text: &str) -> RequestId {
    RequestId::parse(text).unwrap()
}

/// `orders/dev/events#queue`.
pub fn key(text: &str) -> TargetKey {
    let (request, component) = text.split_once('#').unwrap();
    TargetKey { request: id(request), component: ComponentName::new(component) }
}

fn commit(c: char) -> Revision {
    Revision::new(format!("{c}1a2b3c4d5").repeat(4))
}

pub fn step(at: &str, action: Action) -> Step {
    let instance = InstanceId::new("i");
    let key = key(at);
    let settings = json!({"region": "eu-west-1", "account": "123456789012"});
    Step {
        target: Target {
            name: TargetName::compute(&instance, &key),
            key,
            instance,
            provider: "cloudformation".into(),
            settings: serde_json::from_value(settings).unwrap(),
            id: None,
        },
        action,
        artifact: Some(sha256(b"new")),
        from: Some(sha256(b"old")),
        mark: None,
        moved_from: None,
        after: Vec::new(),
        unknown: Vec::new(),
        remarks: Vec::new(),
        preview: None,
        released: Vec::new(),
        needs: Vec::new(),
        locked: false,
    }
}

fn resource(action: ResourceAction, kind: &str, name: &str) -> ResourceChange {
    let (name, kind) = (name.into(), kind.into());
    ResourceChange { name, kind, action, cause: None, properties: Vec::new(), left: None }
}

fn property(path: &str, before: &str, after: &str, recreates: Recreates) -> PropertyChange {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    PropertyChange { path: path.into(), before: some(before), after: some(after), recreates }
}

fn previewed(mut step: Step, resources: Vec<ResourceChange>) -> Step {
    step.preview = Some(Preview { resources, ..Preview::default() });
    step
}

pub fn story(stage: Stage, steps: Vec<Step>) -> Story {
    let pull = Pull {
        number: 12,
        title: "A queue for order events".into(),
        author: "mira".into(),
        author_id: None,
        head: commit('a'),
        base: "main".into(),
        fork: false,
        draft: false,
        state: PullState::Open,
        updated: at(0),
        url: "https://github.com/acme/requests/pull/12".into(),
    };
    let brief = Brief {
        pull,
        stage,
        reverts: None,
        base: Some(commit('b')),
        catalog: Some(commit('c')),
        diagnostics: Vec::new(),
        plan: Plan { steps, settled: 41, ..Plan::default() },
        untold: Vec::new(),
        blind: None,
        blast: None,
        needs: Vec::new(),
        discounted: Vec::new(),
        warnings: Vec::new(),
        since: None,
        troubles: Vec::new(),
        awaited: false,
        standing: Vec::new(),
        holds: Vec::new(),
        shared: Vec::new(),
        applying: Vec::new(),
        replies: Vec::new(),
    };
    Story { brief, rendered: BTreeMap::new() }
}

fn merged() -> Stage {
    Stage::Merged { commit: commit('d'), changed: None }
}

const QUEUE: &str = "Resources:\n  DeadLetters:\n    Type: AWS::SQS::Queue\n  Queue:\n    Type: \
    AWS::SQS::Queue\n    Properties:\n      VisibilityTimeout: 30\n      RedrivePolicy:\n        \
    maxReceiveCount: 5\n";

fn queue() -> Step {
    use ResourceAction::Create;
    let resources = vec![
        resource(Create, "AWS::SQS::Queue", "Queue"),
        resource(Create, "AWS::SQS::Queue", "DeadLetters"),
    ];
    previewed(step("orders/dev/events#queue", Action::Create), resources)
}

fn new_queue() -> Story {
    let story = story(Stage::Planned, vec![queue()]);
    story.rendered("orders/dev/events#queue", None, Some(QUEUE))
}

fn replacement() -> Story {
    let instance = ResourceChange {
        cause: Some("Engine".into()),
        properties: vec![
            property("Engine", "postgres", "aurora-postgresql", Recreates::Always),
            property("AllocatedStorage", "20", "", Recreates::Never),
        ],
        ..resource(ResourceAction::Replace, "AWS::RDS::DBInstance", "Database")
    };
    let alarm = resource(ResourceAction::Update, "AWS::CloudWatch::Alarm", "FreeStorage");
    let database =
        previewed(step("orders/prod/ledger#database", Action::Update), vec![alarm, instance]);
    let role = resource(ResourceAction::Update, "AWS::IAM::Role", "Writer");
    let access = previewed(step("orders/prod/ledger#access", Action::Update), vec![role]);
    let mut swap = step("orders/prod/cache#cache", Action::Update);
    swap.remarks
        .push(Remark::Downgrade { from: "2.1.0".parse().unwrap(), to: "1.9.3".parse().unwrap() });
    let mut story = story(Stage::Planned, vec![access, database, swap]);
    let brief = &mut story.brief;
    let ledger = id("orders/prod/ledger");
    brief.needs = vec![
        Need {
            requests: vec![ledger.clone()],
            why: "a database in prod is replaced".into(),
            teams: vec!["dba".into()],
            count: 2,
            had: vec!["alex".into()],
        },
        Need {
            requests: vec![ledger.clone(), id("orders/prod/cache")],
            why: "environment `prod` asks for it whatever changes".into(),
            teams: vec!["orders-leads".into(), "platform".into()],
            count: 1,
            had: vec!["kim".into()],
        },
    ];
    brief.warnings = vec![
        Warned::Exposes {
            target: key("orders/prod/ledger#access"),
            resource: "Writer".into(),
            kind: "AWS::IAM::Role".into(),
            is_new: false,
            openings: vec![Opening::Allows {
                action: "s3:PutObject".into(),
                resource: Some("*".into()),
                principal: None,
                condition: None,
            }],
            arrival: None,
        },
        Warned::Overwrites {
            target: key("orders/prod/ledger#database"),
            items: vec!["Database.BackupRetentionPeriod changed".into()],
        },
        Warned::Newer {
            request: ledger,
            template: "postgres".into(),
            version: "3.2.0".parse().unwrap(),
            newer: "3.4.1".parse().unwrap(),
        },
    ];
    story
        .rendered(
            "orders/prod/ledger#database",
            Some("Engine: postgres\nAllocatedStorage: 20\n"),
            Some("Engine: aurora-postgresql\n"),
        )
        .rendered(
            "orders/prod/ledger#access",
            Some(&writer("[s3:GetObject]")),
            Some(&writer("[s3:GetObject, s3:PutObject]")),
        )
        .rendered("orders/prod/cache#cache", Some("size: 2\n"), Some("size: 1\n"))
}

/// A role that may do these things.
fn writer(actions: &str) -> String {
    format!(
        "Resources:\n  Writer:\n    Type: AWS::IAM::Role\n    Properties:\n      Policies:\n      - PolicyName: \
         files\n        PolicyDocument:\n          Statement:\n          - Effect: Allow\n            Action: \
         {actions}\n            Resource: \"*\"\n"
    )
}

fn deletion() -> Story {
    use ResourceAction::{Delete, Retain};
    let resources = vec![
        resource(Delete, "AWS::SQS::Queue", "Queue"),
        resource(Delete, "AWS::SQS::Queue", "DeadLetters"),
        resource(Retain, "AWS::S3::Bucket", "Archive"),
    ];
    let gone = previewed(step("orders/dev/events#queue", Action::Delete), resources);
    let mut story = story(Stage::Planned, vec![gone]);
    story.brief.plan.holds.push(Hold {
        request: id("orders/prod/ledger"),
        component: None,
        action: Some(Action::Delete),
        reason: HoldReason::Referenced { by: vec![id("web/prod/shop")] },
    });
    story
}

fn place(file: &str, line: u32, column: u32, end_column: u32) -> Place {
    Place { file: file.into(), line, column, end_line: line, end_column }
}

fn invalid() -> Story {
    let file = "requests/orders/dev/events.yaml";
    // What is not valid is in no plan; what stands beside it is.
    let resources = vec![resource(ResourceAction::Create, "AWS::SQS::Queue", "Queue")];
    let audit = previewed(step("orders/dev/audit#queue", Action::Create), resources);
    let mut story = story(Stage::Planned, vec![audit]);
    story.brief.diagnostics = vec![
        Diagnostic::error("SCH001", place(file, 9, 3, 11), "unknown field `retenton`")
            .help("did you mean `retention`?")
            .fix(place(file, 9, 3, 11), "retention"),
        Diagnostic::error("SCH003", place(file, 11, 12, 16), "expected at most 14, found 1400")
            .help("write a number of days from 1 to 14"),
        Diagnostic::error(
            "YAML002",
            place("requests/orders/dev/jobs.yaml", 7, 3, 7),
            "the key `size` stands twice",
        )
        .help("remove one of them")
        .related(place("requests/orders/dev/jobs.yaml", 5, 3, 7), "the first one"),
        Diagnostic::warning(
            "REF010",
            place(file, 5, 12, 27),
            "`sqs-queue@1.2.0` is deprecated: it has no encryption",
        )
        .help("take 1.4.0"),
    ];
    story
}

fn many() -> Story {
    let mut steps = Vec::new();
    let mut texts = Vec::new();
    for n in 0..300 {
        let team = ["orders", "web", "billing", "search"][n % 4];
        let environment = ["dev", "staging", "prod"][n % 3];
        let at = format!("{team}/{environment}/queue-{n}#queue");
        let action = match n {
            0..12 => Action::Delete,
            12..40 => Action::Create,
            _ => Action::Update,
        };
        let fate = match (n, action) {
            (100 | 200, _) => ResourceAction::Replace,
            (_, Action::Create) => ResourceAction::Create,
            (_, Action::Delete) => ResourceAction::Delete,
            _ => ResourceAction::Update,
        };
        let mut changed = resource(fate, "AWS::SQS::Queue", "Queue");
        let queue = |line: &str| {
            format!(
                "Resources:\n  Queue:\n    Type: AWS::SQS::Queue\n    Properties:\n      {line}\n"
            )
        };
        let (long, short) =
            (queue("MessageRetentionPeriod: 1209600"), queue("MessageRetentionPeriod: 345600"));
        let (property, old, new) = match (n, action) {
            (100 | 200, _) => (
                Some(property("FifoQueue", "false", "true", Recreates::Always)),
                Some(queue("FifoQueue: false")),
                Some(queue("FifoQueue: true")),
            ),
            (_, Action::Create) => (None, None, Some(long)),
            (_, Action::Delete) => (None, Some(short), None),
            _ => (
                Some(property("MessageRetentionPeriod", "345600", "1209600", Recreates::Never)),
                Some(short),
                Some(long),
            ),
        };
        changed.properties = property.into_iter().collect();
        steps.push(previewed(step(&at, action), vec![changed]));
        texts.push((at, old, new));
    }
    let mut story = story(Stage::Planned, steps);
    story.brief.needs = vec![Need {
        requests: story.brief.plan.steps.iter().map(|s| s.target.key.request.clone()).collect(),
        why: "more than 50 requests change at once".into(),
        teams: vec!["platform".into()],
        count: 1,
        had: Vec::new(),
    }];
    // However much is deleted: what opens is told too.
    story.brief.warnings = vec![Warned::Exposes {
        target: key("web/prod/queue-41#queue"),
        resource: "Group".into(),
        kind: "AWS::EC2::SecurityGroup".into(),
        is_new: false,
        openings: vec![Opening::Traffic { what: "TCP 22".into(), from: "0.0.0.0/0".into() }],
        arrival: None,
    }];
    for (at, old, new) in texts {
        story = story.rendered(&at, old.as_deref(), new.as_deref());
    }
    story
}

fn pushed() -> Story {
    let mut story = new_queue();
    let mut bucket = step("orders/dev/files#bucket", Action::Create);
    bucket.unknown.push(Symbol {
        request: id("orders/dev/events"),
        component: None,
        output: "queueArn".into(),
    });
    bucket.after.push(key("orders/dev/events#queue"));
    story.brief.plan.steps.push(bucket);
    story.brief.since = Some(Since {
        head: commit('e'),
        added: vec!["create orders/dev/files#bucket".into()],
        gone: vec!["delete orders/dev/old#queue".into()],
        differs: vec!["create orders/dev/events#queue".into()],
    });
    story.rendered(
        "orders/dev/files#bucket",
        None,
        Some("Notify: <known after apply: orders/dev/events#queueArn>\n"),
    )
}

fn status(request: &str, phase: RequestPhase, more: &serde_json::Value) -> Status {
    let mut status = json!({
        "apiVersion": "vend.dev/v1",
        "kind": "Status",
        "metadata": {"id": request},
        "phase": phase,
        "waitingFor": null,
        "source": {"repository": "main", "path": format!("requests/{request}.yaml")},
        "observed": {"commit": null, "catalogCommit": null, "requestDigest": null},
        "conditions": [],
    });
    for (name, value) in more.as_object().unwrap() {
        status[name] = value.clone();
    }
    serde_json::from_value(status).unwrap()
}

fn component(name: &str, target: &str) -> serde_json::Value {
    json!({
        "name": name,
        "provider": "cloudformation",
        "target": target,
        "digest": sha256(b"new"),
        "state": "CREATE_COMPLETE",
        "link": format!("https://eu-west-1.console.aws.amazon.com/cloudformation/home?region=eu-west-1#/stacks/stackinfo?stackId=arn%3Aaws%3Acloudformation%3Aeu-west-1%3A123456789012%3Astack%2F{target}%2F7f-1"),
        "settings": {"region": "eu-west-1", "account": "123456789012"},
        "token": "t",
    })
}

fn happening(second: i64, what: &str, state: &str, message: Option<&str>) -> Happening {
    Happening {
        at: at(second),
        what: what.into(),
        kind: Some("AWS::SQS::Queue".into()),
        state: state.into(),
        message: message.map(Into::into),
    }
}

/// One rule that asks the same of many requests, in a plan of which not all fits.
fn one_rule() -> Story {
    let names: Vec<String> = (0..600)
        .map(|n| format!("team-{}/dev/a-queue-with-a-long-name-{n:03}#queue", n % 7))
        .collect();
    let mut story =
        story(Stage::Planned, names.iter().map(|at| step(at, Action::Create)).collect());
    let needs = names.iter().map(|at| Need {
        requests: vec![key(at).request],
        why: "rule `plan.creates > 0` of environment `dev` asks for it".into(),
        teams: vec!["platform".into()],
        count: 1,
        had: Vec::new(),
    });
    story.brief.needs = needs.collect();
    let newer = names.iter().map(|at| Warned::Newer {
        request: key(at).request,
        template: "queue".into(),
        version: "1.0.0".parse().unwrap(),
        newer: "1.1.0".parse().unwrap(),
    });
    story.brief.warnings = newer.collect();
    let added = names.iter().map(|at| format!("create {at}")).collect();
    let (gone, differs) = (Vec::new(), Vec::new());
    story.brief.since = Some(Since { head: commit('e'), added, gone, differs });
    for at in &names {
        story = story.rendered(at, None, Some(&format!("Name: {at}\nTimeout: 60\n").repeat(5)));
    }
    story
}

fn refused() -> Story {
    let mut story = new_queue();
    let problem = SourceProblem::HistoryRewritten { last: commit('b'), tip: commit('f') };
    story.brief.troubles = vec![(SourceName::new("requests"), problem)];
    story
}

/// Merged, and no pass has it yet: what is known of its requests is of the time before.
fn waiting() -> Story {
    let steps = vec![
        step("orders/dev/events#queue", Action::Update),
        step("orders/dev/old#queue", Action::Delete),
    ];
    let mut story = story(merged(), steps);
    story.brief.awaited = true;
    let error = "cannot fetch `https://github.com/acme/requests.git`: 503".into();
    let problem = SourceProblem::Stale { error, since: at(3) };
    story.brief.troubles = vec![(SourceName::new("requests"), problem)];
    story
}

fn applying() -> Story {
    let mut story = story(
        merged(),
        vec![
            queue(),
            step("orders/dev/files#bucket", Action::Create),
            step("orders/dev/old#queue", Action::Delete),
        ],
    );
    let mut queue = Applying::new(key("orders/dev/events#queue"), Action::Create, at(4));
    queue.hear(&happening(5, "DeadLetters", "CREATE_COMPLETE", None));
    queue.hear(&happening(6, "Queue", "CREATE_IN_PROGRESS", None));
    story.brief.applying = vec![queue];
    story.brief.standing = vec![
        status("orders/dev/events", RequestPhase::Applying, &json!({})),
        status(
            "orders/dev/files",
            RequestPhase::Waiting,
            &json!({"waitingFor": "it waits for `orders/dev/events#queue`, and goes on after that"}),
        ),
    ];
    story
}

fn ready(request: &str) -> Status {
    let apply = LastApply {
        plan: sha256(b"plan"),
        started_at: at(4),
        ended_at: Some(at(76)),
        approved_by: Vec::new(),
    };
    let outputs = json!({
        "queueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/vend-orders-dev-events",
        "queueArn": "arn:aws:sqs:eu-west-1:123456789012:vend-orders-dev-events",
        "apiKey": {"sensitive": "cloudformation/vend-orders-dev-events-queue-0123456789/ApiKey"},
        "retentionDays": 14,
    });
    let components = json!([component("queue", "vend-orders-dev-events-queue-0123456789")]);
    status(
        request,
        RequestPhase::Ready,
        &json!({"outputs": outputs, "lastApply": apply, "components": components}),
    )
}

fn done() -> Story {
    let mut story = story(merged(), vec![queue(), step("orders/dev/old#queue", Action::Delete)]);
    story.brief.standing = vec![ready("orders/dev/events")];
    story
}

fn failed() -> Story {
    let mut story = story(
        merged(),
        vec![
            queue(),
            step("orders/dev/files#bucket", Action::Create),
            step("orders/dev/jobs#queue", Action::Update),
        ],
    );
    story.brief.standing = vec![
        ready("orders/dev/jobs"),
        status(
            "orders/dev/events",
            RequestPhase::Failed,
            &json!({"components": [component("queue", "vend-orders-dev-events-queue-0123456789")]}),
        ),
        status(
            "orders/dev/files",
            RequestPhase::Waiting,
            &json!({"waitingFor": "it waits for `orders/dev/events#queue`, and goes on after that"}),
        ),
    ];
    story.brief.holds = vec![Hold {
        request: id("orders/dev/events"),
        component: Some(ComponentName::new("queue")),
        action: Some(Action::Create),
        reason: HoldReason::Stuck {
            state: "ROLLBACK_COMPLETE".into(),
            advice: "its creation was rolled back".into(),
            error: Some(
                "Queue (AWS::SQS::Queue): A queue named orders-events already exists and has other \
                 attributes. (Service: Sqs, Status Code: 400, Request ID: 5d1f)"
                    .into(),
            ),
            digest: Some(sha256(b"again")),
        },
    }];
    story
}

fn changed() -> Story {
    let changed = Changed {
        reviewed: sha256(b"then"),
        now: sha256(b"now"),
        before: vec!["update orders/prod/ledger#database".into()],
        after: vec![
            "update orders/prod/ledger#database".into(),
            "replace orders/prod/ledger#database Database (AWS::RDS::DBInstance)".into(),
        ],
        differs: vec!["update orders/prod/ledger#database".into()],
        rendered: vec![Rewritten {
            target: key("orders/prod/ledger#database"),
            reviewed: true,
            lines: vec![
                "database.yaml".into(),
                "     Properties:".into(),
                "-      Engine: postgres".into(),
                "+      Engine: aurora-postgresql".into(),
            ],
        }],
        apart: Vec::new(),
    };
    let stage = Stage::Merged { commit: commit('d'), changed: Some(changed) };
    let mut story = story(stage, vec![step("orders/prod/ledger#database", Action::Update)]);
    story.brief.standing = vec![status("orders/prod/ledger", RequestPhase::Held, &json!({}))];
    story.brief.holds = vec![Hold {
        request: id("orders/prod/ledger"),
        component: Some(ComponentName::new("database")),
        action: Some(Action::Update),
        reason: HoldReason::PlanChanged {
            reviewed: sha256(b"then"),
            now: sha256(b"now"),
            needs: Vec::new(),
        },
    }];
    story
}

fn hostile() -> Story {
    planted(EVIL)
}

fn fork() -> Story {
    let mut story = story(Stage::Planned, vec![step("orders/dev/events#queue", Action::Create)]);
    story.brief.pull.fork = true;
    story.brief.blind = Some(Blind::Fork);
    story.rendered("orders/dev/events#queue", None, Some(QUEUE))
}

fn revert() -> Story {
    let stage = Stage::Merged { commit: commit('d'), changed: None };
    let mut story = story(stage, vec![step("orders/dev/events#queue", Action::Update)]);
    story.brief.reverts = Some(11);
    story.brief.standing = vec![ready("orders/dev/events")];
    story
}

fn conflict() -> Story {
    let paths =
        vec!["requests/orders/dev/events.yaml".into(), "requests/orders/dev/jobs.yaml".into()];
    let mut story = story(Stage::Conflict { paths }, Vec::new());
    story.brief.since =
        Some(Since { head: commit('e'), added: Vec::new(), gone: Vec::new(), differs: Vec::new() });
    story
}

fn nothing_any_more() -> Story {
    let mut story = story(Stage::Nothing, Vec::new());
    let gone = vec!["create orders/dev/events#queue".into()];
    let (added, differs) = (Vec::new(), Vec::new());
    story.brief.since = Some(Since { head: commit('e'), added, gone, differs });
    story
}

fn asked() -> Story {
    let mut story = new_queue();
    let reply = |n, command: &str, text: &str| Reply {
        comment: n,
        by: "mira".into(),
        command: command.into(),
        text: text.into(),
        at: at(n as i64),
    };
    story.brief.replies = vec![
        reply(1, "/vend paln", &vend::report::pull::help(Some("/vend paln"))),
        reply(2, "/vend plan", "planned again"),
        reply(
            3,
            "/vend explain orders/dev/jobs",
            "orders/dev/jobs  Ready\n  sqs-queue@1.2.0\n  queueUrl = https://sqs.example/jobs",
        ),
    ];
    story
}
