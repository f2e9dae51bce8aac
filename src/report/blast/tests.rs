use std::sync::Arc;

use super::*;
use crate::digest;
use crate::model::{
    Action, Artifact, ComponentName, InstanceId, Map, Place, Preview, ResourceAction,
    ResourceChange, Step, Target, TargetKey, TargetName, TemplateId, WaveReach,
};

fn artifact(text: &str) -> Arc<Artifact> {
    let files = BTreeMap::from([("queue.yaml".to_owned(), text.to_owned())]);
    Arc::new(Artifact { files, digest: Some(digest::sha256(text.as_bytes())) })
}

fn template() -> TemplateId {
    TemplateId { name: "queue".into(), version: semver::Version::new(1, 2, 0) }
}

fn update(id: &str, fate: Option<ResourceAction>) -> (Hit, [Arc<Artifact>; 2]) {
    let request = RequestId::parse(id).unwrap();
    let [was, is] =
        ["30", "60"].map(|n| artifact(&format!("name: {}\nwait: {n}\n", request.name())));
    let key = TargetKey { request: request.clone(), component: ComponentName::new("queue") };
    let instance = InstanceId::new("i");
    let resource = |action| ResourceChange {
        name: "Queue".into(),
        kind: "AWS::SQS::Queue".into(),
        action,
        cause: Some("QueueName".into()),
        properties: Vec::new(),
        left: None,
    };
    let preview = fate.map(|fate| Preview {
        resources: vec![resource(fate)],
        foretold: true,
        ..Preview::default()
    });
    let name = TargetName::compute(&instance, &key);
    let target =
        Target { name, key, instance, provider: "p".into(), settings: Map::new(), id: None };
    let step = Step {
        target,
        action: Action::Update,
        artifact: is.digest,
        from: was.digest,
        mark: None,
        moved_from: None,
        after: Vec::new(),
        unknown: Vec::new(),
        remarks: Vec::new(),
        preview,
        released: Vec::new(),
        needs: Vec::new(),
        locked: false,
    };
    let steps = vec![step];
    let effect = Effect::of(&steps).unwrap();
    let template = Some(template());
    let (settings, problems) = (Vec::new(), Vec::new());
    let hit =
        Hit { request, template, effect, steps, settings, problems, held: None, arrival: None };
    (hit, [was, is])
}

fn world() -> (Blast, Vec<Arc<Artifact>>) {
    let mut blast = Blast { requests: 10_000, rendered: 24, ..Blast::default() };
    let mut all = Vec::new();
    for n in 0..20 {
        let team = if n % 3 == 0 { "orders" } else { "payments" };
        let (hit, texts) = update(&format!("{team}/dev/queue-{n:02}"), None);
        blast.hits.push(hit);
        all.extend(texts);
    }
    let (hit, texts) = update("orders/prod/ledger", Some(ResourceAction::Replace));
    blast.hits.push(hit);
    all.extend(texts);
    let (mut broken, _) = update("orders/dev/broken", None);
    broken.effect = Effect::BecomesInvalid;
    broken.steps.clear();
    let place = Place::file("requests/orders/dev/broken.yaml");
    broken.problems = vec![Diagnostic::error("PAR001", place, "`size` is\u{1b}[2J missing")];
    blast.hits.push(broken);
    blast.reaches.push(Reach {
        version: TemplateId { version: semver::Version::new(1, 2, 1), ..template() },
        ranges: BTreeMap::from([("~1.2".to_owned(), 412)]),
        pinned: BTreeMap::from([(semver::Version::new(1, 2, 0), 88)]),
        uses: BTreeMap::new(),
        ends: Vec::new(),
        waves: Vec::new(),
    });
    blast.edited.push(template());
    blast.waves = true;
    blast.follows.push(RequestId::parse("web/dev/shop").unwrap());
    blast.sort();
    (blast, all)
}

fn finder(
    all: Vec<Arc<Artifact>>,
) -> impl Fn(&Step) -> (Option<Arc<Artifact>>, Option<Arc<Artifact>>) {
    move |step| {
        let find = |digest| all.iter().find(|a| a.digest == digest).cloned();
        (find(step.from), find(step.artifact))
    }
}

#[test]
fn what_is_worst_comes_first_and_what_is_alike_is_shown_once() {
    let (blast, all) = world();
    let text = terminal(&blast, &finder(all), &Options::default(), false);
    assert!(!text.contains('\u{1b}'), "{text}");
    let at = |part: &str| text.find(part).unwrap_or_else(|| panic!("{part}\n{text}"));
    let top = "1 resource is replaced; 22 of 10,000 requests would change\n";
    assert_eq!(at(top), 0);
    let order = [
        "\nREPLACES: 1 request\n  orders: prod 1\n  orders/prod/ledger (queue@1.2.0)\n",
        "      update queue\n        by the published schemas alone, nobody was asked:\n",
        "        REPLACE AWS::SQS::Queue Queue (QueueName)\n",
        "        -wait: 30\n        +wait: 60\n",
        "\nBECOMES INVALID: 1 request\n",
        "requests/orders/dev/broken.yaml:1: PAR001",
        "\nupdates: 20 requests\n  payments: dev 13; orders: dev 7\n",
        "  20 alike (queue@1.2.0); shown is orders/dev/queue-00:\n    orders/dev/queue-00, ",
        " and 8 more\n",
        "Edited in place: `queue@1.2.0`.",
        "412 requests at ~1.2 may take queue@1.2.1, as the catalog's rollout says",
        "left where they are: 88 requests to 1.2.0.",
        "1 request uses outputs of these",
    ];
    let places: Vec<usize> = order.into_iter().map(at).collect();
    assert!(places.is_sorted(), "{places:?}\n{text}");
    assert_eq!(text.matches("+wait: 60").count(), 2, "{text}");
}

#[test]
fn names_count_as_words() {
    let id = RequestId::parse("orders/dev/a").unwrap();
    let text = without("a: orders-dev-a of orders/dev/a, and banana", &id);
    assert_eq!(text, "<name>: <team>-<environment>-<name> of <id>, and banana");
}

#[test]
fn the_whole_shows_each_by_itself() {
    let (blast, all) = world();
    let text = terminal(&blast, &finder(all), &Options::default(), true);
    assert_eq!(text.matches("-wait: 30").count(), 21, "{text}");
    assert!(!text.contains("alike"), "{text}");
}

#[test]
fn programs_get_every_request_and_no_rendered_text() {
    let (blast, all) = world();
    let value = json(&blast, &finder(all));
    let counts: Vec<_> = value["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|g| {
            format!("{} {} {}", g["effect"], g["count"], g["requests"].as_array().unwrap().len())
        })
        .collect();
    assert_eq!(counts, ["\"replaces\" 1 1", "\"becomesInvalid\" 1 1", "\"updates\" 20 20"]);
    assert_eq!(value["losses"]["replaced"], 1);
    assert!(!value.to_string().contains("wait: 30"), "{value}");
}

#[test]
fn what_is_gone_is_named_and_waves_are_spoken_of_where_there_are_some() {
    let (mut blast, all) = world();
    for hit in blast.hits.iter_mut().filter(|hit| hit.request.team() == "payments") {
        hit.effect = Effect::Waits;
        hit.steps.clear();
        hit.held = Some(HoldReason::TemplateMissing { version: template() });
    }
    let said = remarks(&blast).join("\n");
    let gone = "Gone: `queue@1.2.0`, which 13 requests have (CAT021). Who has it stays as it is and is \
                held until a newer version's rollout reaches it, or its file takes another.";
    assert!(said.contains(gone), "{said}");
    blast.waves = false;
    let said = terminal(&blast, &finder(all), &Options::default(), false);
    assert!(said.contains("held until its file takes another."), "{said}");
    assert!(said.contains("may take queue@1.2.1 when their files change;"), "{said}");
    assert!(!said.contains("rollout says"), "{said}");
}

#[test]
fn a_rollout_names_whom_it_brings_a_version_to_and_when_they_end() {
    let (mut blast, _) = world();
    let id = |n: usize| RequestId::parse(&format!("orders/dev/r{n}")).unwrap();
    let wave = |environment: &str, share, requests| WaveReach {
        environment: environment.into(),
        share,
        requests,
    };
    blast.reaches[0].waves = vec![
        wave("dev", 100, (0..10).map(id).collect()),
        wave("prod", 50, vec![RequestId::parse("orders/prod/r").unwrap()]),
    ];
    blast.reaches[0].ends = vec!["requests that ask for no end get one, after 14d".into()];
    let said = remarks(&blast).join("\n");
    let first = "; its rollout goes to dev: `orders/dev/r0`, `orders/dev/r1`, ";
    let then = "`orders/dev/r7` and 2 more; then prod 50 %: `orders/prod/r`; ";
    let end = "requests that ask for no end get one, after 14d.";
    for text in [first, then, end] {
        assert!(said.contains(text), "{text}\n{said}");
    }
}

#[test]
fn nobody_is_a_sentence() {
    let blast = Blast { requests: 12, ..Blast::default() };
    let text = terminal(&blast, &finder(Vec::new()), &Options::default(), false);
    assert_eq!(text, "None of 12 requests would change.\n");
}

#[test]
fn waves_are_told_apart_and_stop_for_those_who_cannot_take_the_version() {
    let arrival = |wave: usize, stop_after| Arrival {
        version: template(),
        wave,
        of: 3,
        environment: ["dev", "prod"][wave - 1].into(),
        share: 50,
        stop_after,
        at_once: wave == 1,
    };
    let mut blast = Blast { requests: 12, ..Blast::default() };
    let mut all = Vec::new();
    let hits = [
        ("orders/dev/a", 1, 2, None),
        ("orders/dev/unfit", 1, 2, None),
        ("orders/prod/b", 2, 1, Some(ResourceAction::Replace)),
    ];
    for (id, wave, stop_after, fate) in hits {
        let (mut hit, texts) = update(id, fate);
        hit.arrival = Some(arrival(wave, stop_after));
        if id.ends_with("unfit") {
            hit.effect = Effect::CannotTake;
            hit.steps.clear();
        }
        blast.hits.push(hit);
        all.extend(texts);
    }
    blast.sort();
    let text = terminal(&blast, &finder(all), &Options::default(), false);
    let one = "1 resource is replaced";
    let top = format!(
        "{one}; 2 of 12 requests would change\n  at once: 1 request, nothing is lost\n  later, wave by wave: 1 request, {one}\n  \
         1 request cannot take it and stays as it is\n  the rollout of queue@1.2.0 stops in wave 2 of 3 for that: nobody takes it \
         there, and no wave follows\n\nAt once: wave 1 of 3 of queue@1.2.0, dev 50 %\n\nCANNOT TAKE IT"
    );
    assert!(text.starts_with(&top), "{text}");
    assert!(
        text.contains("\nLater: wave 2 of 3 of queue@1.2.0, prod 50 %\n\nREPLACES: 1 request\n")
    );
    let said = title(&blast).unwrap();
    assert_eq!(said, "1 request at once, 1 later, in waves; replaces 1 resource; 1 cannot take it");
    blast.rerouted = vec![(template(), Vec::new())];
    let said = remarks(&blast).join("\n");
    assert!(said.contains("`queue@1.2.0` is on its way while its waves are edited: none is left"));
}
