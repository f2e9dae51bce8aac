//! What a person who means ill can write, wherever text of others goes.

use serde_json::json;
use vend::digest::sha256;
use vend::model::{
    Action, Applying, Changed, ComponentName, Diagnostic, Discount, Discounted, Hold, HoldReason,
    Need, Opening, Recreates, Remark, Reply, RequestPhase, ResourceAction, ResourceChange,
    Rewritten, Since, Stage, Symbol, Warned,
};

use super::{
    Story, at, commit, component, happening, id, key, place, previewed, property, resource, status,
    step, story,
};

/// All that a person who means ill can write, wherever text of others goes.
pub const EVIL: &str = "@acme/everyone fixes #7 GH-7 acme/x#7 [click](https://evil.example) \
    ![x](https://evil.example/x.png) <img src=x onerror=alert(1)> https://evil.example www.evil.example \
    a@evil.example :tada: $`x`$ </details></summary><!-- vend:pull:orders:12:3f9c --> \
    ```\n@acme/everyone\n````\n| a | b |\n> [!CAUTION]\n# big\n- [x] done\n\u{202e}\u{200b}\u{1b}[2J \
    0123456789abcdef0123456789abcdef01234567 **bold** `code` ``x`` \\";

/// One of each kind, with a text wherever one goes.
fn openings(text: &str) -> Vec<Opening> {
    let some = || Some(text.to_owned());
    vec![
        Opening::Everybody { action: text.into(), resource: some() },
        Opening::Traffic { what: text.into(), from: text.into() },
        Opening::Setting { text: text.into() },
        Opening::GuardOff { guard: text.into() },
        Opening::Allows {
            action: text.into(),
            resource: some(),
            principal: some(),
            condition: some(),
        },
        Opening::Trusts { principal: text.into(), condition: some() },
        Opening::Attaches { policy: text.into() },
        Opening::Denial,
        Opening::Otherwise { property: text.into() },
    ]
}

/// The same text in every place of a brief that holds text of others.
pub fn planted(text: &str) -> Story {
    let mut broken = ResourceChange {
        cause: Some(text.into()),
        properties: vec![property(text, text, text, Recreates::Always)],
        ..resource(ResourceAction::Replace, text, text)
    };
    let mut update =
        previewed(step("orders/dev/events#queue", Action::Update), vec![broken.clone()]);
    update.remarks = vec![
        Remark::Swap { from: text.into(), to: text.into() },
        Remark::Drifted(vec![vend::model::DriftItem {
            expected: Some(text.into()),
            found: Some(text.into()),
            ..vend::model::DriftItem::new(text, text)
        }]),
    ];
    update.unknown.push(Symbol { request: id("a/b/c"), component: None, output: text.into() });
    broken.action = ResourceAction::Retain;
    let gone = previewed(step("orders/dev/old#queue", Action::Delete), vec![broken.clone()]);
    let mut story = story(Stage::Planned, vec![update, gone]);
    let brief = &mut story.brief;
    brief.pull.title = text.into();
    brief.pull.author = text.into();
    brief.diagnostics = vec![
        Diagnostic::error("SCH001", place(text, 3, 1, 4), text)
            .help(text)
            .related(place(text, 1, 1, 2), text),
        Diagnostic::warning("SCH001", place(text, 3, 1, 4), text).help(text),
    ];
    let hold = |reason| Hold {
        request: id("orders/dev/held"),
        component: Some(ComponentName::new("queue")),
        action: Some(Action::Update),
        reason,
    };
    brief.plan.holds = vec![
        hold(HoldReason::NotObserved { error: text.into() }),
        hold(HoldReason::ForbiddenChange { what: text.into() }),
        hold(HoldReason::NeedsApproval {
            digest: sha256(b""),
            lost: vec![broken],
            preview: None,
            needs: Vec::new(),
            void: Vec::new(),
        }),
    ];
    brief.needs = vec![Need {
        requests: vec![id("orders/dev/events")],
        why: text.into(),
        teams: vec![text.into()],
        count: 2,
        had: vec![text.into()],
    }];
    brief.discounted = vec![Discounted { by: text.into(), why: Discount::Pushed }];
    brief.warnings = vec![
        Warned::Overwrites { target: key("orders/dev/events#queue"), items: vec![text.into()] },
        Warned::Exposes {
            target: key("orders/dev/events#queue"),
            resource: text.into(),
            kind: text.into(),
            is_new: true,
            openings: openings(text),
            arrival: None,
        },
        Warned::Newer {
            request: id("orders/dev/events"),
            template: text.into(),
            version: "1.0.0".parse().unwrap(),
            newer: "1.1.0".parse().unwrap(),
        },
    ];
    brief.since = Some(Since {
        head: commit('e'),
        added: vec![text.into()],
        gone: vec![text.into()],
        differs: vec![text.into()],
    });
    brief.replies = vec![
        Reply {
            comment: 1,
            by: text.into(),
            command: text.into(),
            text: text.replace('\n', " "),
            at: at(0),
        },
        Reply { comment: 2, by: text.into(), command: text.into(), text: text.into(), at: at(0) },
    ];
    story.rendered("orders/dev/events#queue", Some("a: 1\n"), Some(text))
}

/// The same after the merge.
pub fn planted_after(text: &str) -> Story {
    let mut story = planted(text);
    let changed = Changed {
        reviewed: sha256(b"then"),
        now: sha256(b"now"),
        before: vec![text.into(), format!("{text}3")],
        after: vec![format!("{text}2"), format!("{text}3")],
        differs: vec![format!("{text}3")],
        rendered: vec![Rewritten {
            target: key("orders/dev/events#queue"),
            reviewed: false,
            lines: text.lines().map(str::to_owned).collect(),
        }],
        apart: Vec::new(),
    };
    let brief = &mut story.brief;
    brief.stage = Stage::Merged { commit: commit('d'), changed: Some(changed) };
    brief.reverts = Some(11);
    brief.holds = std::mem::take(&mut brief.plan.holds);
    brief.holds.push(Hold {
        request: id("orders/dev/failed"),
        component: None,
        action: None,
        reason: HoldReason::Refused { error: text.into(), until: at(9) },
    });
    let mut queue = Applying::new(key("orders/dev/going#queue"), Action::Create, at(4));
    for (n, state) in ["CREATE_FAILED", "CREATE_IN_PROGRESS"].into_iter().enumerate() {
        queue.hear(&happening(5, &format!("{text}{n}"), state, Some(text)));
    }
    queue.error = Some(text.into());
    brief.applying = vec![queue];
    let outputs = json!({text: text, "list": [text], "secret": {"sensitive": text}});
    let mut hidden = component("queue", "t");
    hidden["settings"]["region"] = text.into();
    hidden["link"] = text.into();
    brief.standing = vec![
        status(
            "orders/dev/done",
            RequestPhase::Ready,
            &json!({"outputs": outputs, "components": [hidden]}),
        ),
        status("orders/dev/failed", RequestPhase::Failed, &json!({})),
        status("orders/dev/held", RequestPhase::Held, &json!({})),
        status("orders/dev/lost", RequestPhase::Failed, &json!({"waitingFor": text})),
        status("orders/dev/later", RequestPhase::Waiting, &json!({"waitingFor": text})),
    ];
    story
}
