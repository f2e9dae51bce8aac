//! Pull requests to a catalog.

use std::collections::BTreeMap;

use vend::model::{
    Action, Arrival, Blast, Blind, Diagnostic, Effect, Hit, Opening, Plan, Preview, Reach,
    ResourceAction, Stage, Step, TemplateId, Warned,
};

use super::{Story, id, key, place, resource, step, story};

pub(super) fn catalog() -> Story {
    let steps = ["orders/dev/events#queue", "orders/prod/events#queue", "web/prod/jobs#queue"];
    let foretold = |at| {
        let resources = vec![resource(ResourceAction::Update, "AWS::SQS::Queue", "Queue")];
        let mut step = step(at, Action::Update);
        step.preview = Some(Preview { resources, foretold: true, ..Preview::default() });
        step
    };
    let mut story = story(Stage::Planned, steps.map(foretold).into());
    story.brief.blind = Some(Blind::Catalog);
    story.brief.untold = vec![id("web/prod/shop")];
    story.brief.blast = Some(radius(&story.brief.plan));
    for at in steps {
        story = story.rendered(at, Some("Timeout: 30\n"), Some("Timeout: 60\n"));
    }
    story
}

/// Who is reached by a plan, and who could take a version that is new.
fn radius(plan: &Plan) -> Blast {
    let hit = |step: &Step| Hit {
        request: step.target.key.request.clone(),
        template: None,
        effect: Effect::of(std::slice::from_ref(step)).unwrap(),
        steps: vec![step.clone()],
        settings: Vec::new(),
        problems: Vec::new(),
        held: None,
        arrival: None,
    };
    let version = |patch| semver::Version::new(1, 2, patch);
    let mut blast = Blast {
        waves: true,
        requests: 10_000,
        hits: plan.steps.iter().map(hit).collect(),
        reaches: vec![Reach {
            version: TemplateId { name: "queue".into(), version: version(1) },
            ranges: BTreeMap::new(),
            pinned: BTreeMap::new(),
            uses: BTreeMap::from([(version(0), 488)]),
            ends: Vec::new(),
            waves: Vec::new(),
        }],
        ..Blast::default()
    };
    blast.sort();
    blast
}

/// A change of the catalog that replaces, breaks and updates, and reaches more than fit.
pub(super) fn blast() -> Story {
    let names: Vec<String> = (0..500)
        .map(|n| {
            let environment = if n % 4 == 0 { "prod" } else { "dev" };
            format!("team-{:02}/{environment}/queue-{n:03}#queue", n % 23)
        })
        .collect();
    let mut steps: Vec<Step> = names.iter().map(|at| step(at, Action::Update)).collect();
    for step in steps.iter_mut().take(30) {
        let mut queue = resource(ResourceAction::Replace, "AWS::SQS::Queue", "Queue");
        queue.cause = Some("QueueName".into());
        let resources = vec![queue];
        step.preview = Some(Preview { resources, foretold: true, ..Preview::default() });
    }
    let mut story = story(Stage::Planned, steps);
    story.brief.blind = Some(Blind::Catalog);
    let mut blast = radius(&story.brief.plan);
    let shop = "requests/web/prod/shop.yaml";
    let message = "there is no parameter `fifo`";
    let problem = Diagnostic::error("SCH001", place(shop, 7, 5, 9), message);
    story.brief.diagnostics.push(problem.clone());
    blast.hits.push(Hit {
        request: id("web/prod/shop"),
        template: None,
        effect: Effect::BecomesInvalid,
        steps: Vec::new(),
        settings: Vec::new(),
        problems: vec![problem],
        held: None,
        arrival: None,
    });
    blast.sort();
    story.brief.blast = Some(blast);
    for at in &names {
        story = story.rendered(at, Some("Timeout: 30\n"), Some("Timeout: 60\n"));
    }
    story
}

/// A new version that the catalog's rollout brings: at once to some, later to others, and one cannot take it.
pub(super) fn waves() -> Story {
    let mut story = story(Stage::Planned, Vec::new());
    story.brief.blind = Some(Blind::Catalog);
    let at = ["orders/dev/events#queue", "web/dev/jobs#queue", "orders/prod/events#queue"];
    let mut steps: Vec<Step> = at.map(|at| step(at, Action::Update)).into();
    let mut queue = resource(ResourceAction::Replace, "AWS::SQS::Queue", "Queue");
    queue.cause = Some("QueueName".into());
    let mut seed = resource(ResourceAction::MayReplace, "Custom::Seed", "Seed");
    seed.cause = Some("Timeout".into());
    steps[2].preview = Some(Preview {
        resources: vec![queue, seed],
        foretold: true,
        unpublished: vec!["Custom::Seed".into()],
        ..Preview::default()
    });
    let mut blast = radius(&Plan { steps, ..Plan::default() });
    let version = blast.reaches[0].version.clone();
    let arrival = |wave: usize| Arrival {
        version: version.clone(),
        wave,
        of: 2,
        environment: ["dev", "prod"][wave - 1].into(),
        share: 100,
        stop_after: 1,
        at_once: wave == 1,
    };
    for hit in &mut blast.hits {
        let wave = if hit.request.environment() == "dev" { 1 } else { 2 };
        hit.arrival = Some(arrival(wave));
    }
    let shop = "requests/web/prod/shop.yaml";
    let message = "there is no parameter `fifo`";
    blast.hits.push(Hit {
        request: id("web/prod/shop"),
        template: Some(version.clone()),
        effect: Effect::CannotTake,
        steps: Vec::new(),
        settings: Vec::new(),
        problems: vec![Diagnostic::error("SCH001", place(shop, 7, 5, 9), message)],
        held: None,
        arrival: Some(arrival(2)),
    });
    blast.sort();
    story.brief.blast = Some(blast);
    story.brief.warnings = vec![Warned::Exposes {
        target: key("orders/prod/events#queue"),
        resource: "Access".into(),
        kind: "AWS::SQS::QueuePolicy".into(),
        is_new: true,
        openings: vec![Opening::Everybody {
            action: "sqs:SendMessage".into(),
            resource: Some("Queue.Arn".into()),
        }],
        arrival: Some(arrival(2)),
    }];
    for at in at {
        story = story.rendered(at, Some("Timeout: 30\n"), Some("Timeout: 60\n"));
    }
    story
}
