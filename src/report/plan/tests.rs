use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::digest::sha256;
use crate::model::{
    ComponentName, Hold, HoldReason, InstanceId, Map, Preview, RequestId, ResourceChange, Symbol,
    Target, TargetKey, TargetName,
};

fn key(request: &str) -> TargetKey {
    let request = RequestId::parse(request).unwrap();
    TargetKey { request, component: ComponentName::new("main") }
}

fn step(request: &str, action: Action) -> Step {
    let instance = InstanceId::new("i");
    let key = key(request);
    Step {
        target: Target {
            name: TargetName::compute(&instance, &key),
            key,
            instance,
            provider: "files".into(),
            settings: Map::new(),
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

fn artifact(text: &str) -> Option<Arc<Artifact>> {
    let files = BTreeMap::from([("app.yaml".to_owned(), text.to_owned())]);
    Some(Arc::new(Artifact { files, digest: None }))
}

fn plan() -> Plan {
    let mut create = step("orders/prod/new", Action::Create);
    create.after.push(key("orders/prod/network"));
    create.unknown.push(Symbol {
        request: RequestId::parse("orders/prod/network").unwrap(),
        component: None,
        output: "vpcId".into(),
    });
    let mut replace = step("orders/prod/swap", Action::Replace);
    replace.remarks.push(Remark::Downgrade {
        from: semver::Version::new(2, 0, 0),
        to: semver::Version::new(1, 0, 0),
    });
    let held = Hold {
        request: RequestId::parse("orders/prod/kept").unwrap(),
        component: None,
        action: Some(Action::Delete),
        reason: HoldReason::NeedsApproval {
            digest: sha256(b""),
            lost: Vec::new(),
            preview: None,
            needs: Vec::new(),
            void: Vec::new(),
        },
    };
    Plan {
        steps: vec![
            create,
            step("orders/prod/grow", Action::Update),
            replace,
            step("orders/prod/gone", Action::Delete),
        ],
        holds: vec![held],
        settled: 120,
        ..Plan::default()
    }
}

fn of_step(step: &Step) -> (Option<Arc<Artifact>>, Option<Arc<Artifact>>) {
    let new = artifact("name: x\nsize: 2\nvpc: <known after apply: orders/prod/network#vpcId>\n");
    match step.action {
        Action::Create => (None, new),
        Action::Delete => (new, None),
        _ => (artifact("name: x\nsize: 1\n"), artifact("name: x\nsize: 2\n")),
    }
}

#[test]
fn a_preview_says_what_goes_first_and_what_causes_it() {
    let property = |path: &str, before: Option<&str>, recreates| PropertyChange {
        path: path.into(),
        before: before.map(Into::into),
        after: Some("b\u{1b}[2J".into()),
        recreates,
    };
    let resource = |name: &str, action, properties| ResourceChange {
        name: name.into(),
        kind: "AWS::SQS::Queue".into(),
        action,
        cause: None,
        properties,
        left: None,
    };
    let preview = Preview {
        resources: vec![
            resource(
                "Tags",
                ResourceAction::Update,
                vec![property("Tags", None, Recreates::Never)],
            ),
            resource("Bucket", ResourceAction::Retain, vec![]),
            resource("Other", ResourceAction::MayReplace, vec![]),
            resource(
                "Queue",
                ResourceAction::Replace,
                vec![property("QueueName", Some("a"), Recreates::Always)],
            ),
            resource("Old", ResourceAction::Delete, vec![]),
        ],
        handle: Some(serde_json::json!("never shown")),
        ..Preview::default()
    };
    let step = Step { preview: Some(preview), ..step("orders/prod/grow", Action::Update) };
    insta::assert_snapshot!(resources(&step).join("\n"), @r"
    DELETE AWS::SQS::Queue Old
    REPLACE AWS::SQS::Queue Queue (QueueName)
      QueueName: a -> b\u{1B}[2J (makes it anew)
    MAY REPLACE AWS::SQS::Queue Other
    update AWS::SQS::Queue Tags
      Tags: (not set, or not told) -> b\u{1B}[2J
    let go of (it stays) AWS::SQS::Queue Bucket
    ");
    assert!(is_dangerous(&step));
    let nothing = Step { preview: Some(Preview::default()), ..step.clone() };
    insta::assert_snapshot!(resources(&nothing).join("\n"), @"its provider says that nothing changes there");
    let plan = Plan { steps: vec![step], ..Plan::default() };
    for text in [json(&plan, &of_step).to_string(), markdown(&plan, &of_step, &Options::default())]
    {
        assert!(text.contains("QueueName") && !text.contains("never shown"), "{text}");
    }
}

#[test]
fn a_plan_on_a_terminal() {
    insta::assert_snapshot!(terminal(&plan(), &of_step, &Options::default()), @r"
      + create orders/prod/new#main  files vend-orders-prod-new-main-fdb9808e59
          after orders/prod/network#main
          known after apply: orders/prod/network#vpcId
          app.yaml (new)
          +name: x
          +size: 2
          +vpc: <known after apply: orders/prod/network#vpcId>
      ~ update orders/prod/grow#main  files vend-orders-prod-grow-main-e97f5df5f9
          app.yaml
           name: x
          -size: 1
          +size: 2
    -/+ REPLACE orders/prod/swap#main  files vend-orders-prod-swap-main-4d82308b95
          a downgrade from 2.0.0 to 1.0.0
          app.yaml
           name: x
          -size: 1
          +size: 2
      - DELETE orders/prod/gone#main  files vend-orders-prod-gone-main-87fbeb2f24

      ! held orders/prod/kept (DELETE)
          NeedsApproval: a person must approve it: `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`

    Plan: 1 to create, 1 to update, 1 to replace, 1 to delete; 1 held; 120 unchanged
    ");
}

#[test]
fn a_plan_as_a_comment() {
    let text = markdown(&plan(), &of_step, &Options::default()).replace('\u{200B}', "·");
    insta::assert_snapshot!(text, @r"
    ### Plan: 1 to create, 1 to update, 1 to replace, 1 to delete; 1 held; 120 unchanged

    **REPLACE** `orders/prod/swap#main`
    - a downgrade from 2.0.0 to 1.0.0

    ```diff
    app.yaml
     name: x
    -size: 1
    +size: 2
    ```

    **DELETE** `orders/prod/gone#main`


    - **held** `orders/prod/kept` (DELETE) NeedsApproval: a person must approve it: `vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`
      `/vend approve sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855`

    <details><summary>create <code>orders/prod/new#main</code></summary>

    - after orders/prod/network\#·main
    - known after apply: orders/prod/network\#·vpcId

    ```diff
    app.yaml (new)
    +name: x
    +size: 2
    +vpc: <known after apply: orders/prod/network#vpcId>
    ```

    </details>

    <details><summary>update <code>orders/prod/grow#main</code></summary>

    ```diff
    app.yaml
     name: x
    -size: 1
    +size: 2
    ```

    </details>
    ");
}

#[test]
fn a_plan_for_programs() {
    let json = json(&plan(), &of_step);
    assert_eq!(json["summary"], summary(&plan()));
    assert_eq!(json["steps"][1]["files"][0]["added"], 1);
    assert_eq!(json["steps"][0]["ready"], false);
    assert_eq!(json["holds"][0]["reason"], "NeedsApproval");
}

#[test]
fn b74_sensitive_values_are_shown_nowhere() {
    let secret = "hunter\"2\nline two";
    let new = "a: hunter\"2\nb: \"hunter\\\"2\\nline two\"\nc:\n  line two\n";
    let find = |_: &Step| (artifact("a: 1\n"), artifact(new));
    let options = Options { secrets: vec![secret.into()], ..Options::default() };
    let text = terminal(&plan(), &find, &options) + &markdown(&plan(), &find, &options);
    assert!(!text.contains("hunter") && !text.contains("line two"), "{text}");
    assert!(text.contains("(sensitive)"));
    assert!(!json(&plan(), &find).to_string().contains("hunter"));
}

#[test]
fn b69_hostile_text_stays_text() {
    let mut plan = plan();
    let error = "@org/everyone fixes #12 GH-1 [x](javascript:1) <img src=x> https://evil www.evil \
        ![i](y) 0123456789abcdef a@b.c `code` **bold**"
        .to_owned();
    plan.holds[0].reason = HoldReason::NotObserved { error };
    let evil = "```\n@org/everyone\n````\n<script>\u{1b}[2J\u{202e}\n</details>\n";
    let find = |_: &Step| (None, artifact(evil));
    let text = markdown(&plan, &find, &Options::default());
    for live in
        ["<img", " @org", "#12", "GH-1", "](javascript", "https://", "www.evil", "6789abc", "a@b"]
    {
        let outside = outside_fences(&text);
        assert!(!outside.contains(live), "{live} in:\n{outside}");
    }
    assert!(!outside_fences(&text).contains("everyone\n"), "{text}");
    assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
}

/// The text without its fenced blocks, by the rule that only a fence as long as the first ends one.
fn outside_fences(text: &str) -> String {
    let (mut out, mut open) = (String::new(), 0);
    for line in text.lines() {
        let ticks = line.chars().take_while(|c| *c == '`').count();
        match open {
            0 if ticks >= 3 => open = ticks,
            0 => out.push_str(&format!("{line}\n")),
            n if ticks >= n && line.len() == ticks => open = 0,
            _ => {}
        }
    }
    assert_eq!(open, 0, "a fence is not closed");
    out
}

#[test]
fn b71_a_large_plan_fits_with_the_dangerous_first() {
    let mut plan = plan();
    for n in 0..3000 {
        plan.steps.push(step(&format!("a/dev/r{n}"), Action::Create));
    }
    plan.steps.push(step("a/dev/last", Action::Delete));
    let text = markdown(&plan, &of_step, &Options::default());
    assert!(text.chars().count() <= 60_000);
    assert!(text.contains("**DELETE** `a/dev/last#main`"));
    assert!(text.contains("more did not fit here"), "{}", &text[text.len() - 200..]);
    assert_eq!(text.matches("<details>").count(), text.matches("</details>").count());
    outside_fences(&text);
}

#[test]
fn a_long_difference_is_cut_and_says_so() {
    let long: String = (0..100).map(|n| format!("line {n}\n")).collect();
    let find = |_: &Step| (None, artifact(&long));
    let text = terminal(&plan(), &find, &Options { diff_lines: 10, ..Options::default() });
    assert!(text.contains("… 91 more lines"), "{text}");
}

proptest! {
    #[test]
    fn whatever_is_in_it_a_comment_closes_its_fences_and_fits(
        text in "[`~<>@#a-f0-9\\n -]{0,300}",
        error in "[`~<>@#a-f0-9\\n -]{0,300}",
        limit in 2_000..60_000usize,
    ) {
        let mut plan = plan();
        plan.holds[0].reason = HoldReason::NotObserved { error };
        let find = |_: &Step| (None, artifact(&text));
        let options = Options { limit, ..Options::default() };
        let out = markdown(&plan, &find, &options);
        prop_assert!(out.chars().count() <= limit);
        outside_fences(&out);
        prop_assert_eq!(out.matches("<details>").count() >= out.matches("\n</details>").count(), true);
    }
}

#[test]
fn what_may_stay_as_it_is_comes_last_and_is_counted_apart() {
    let mut plan = plan();
    for n in 0..23 {
        let mut step = step(&format!("a/dev/r{n:02}"), Action::Update);
        step.remarks.push(Remark::MayChange);
        plan.steps.insert(0, step);
    }
    let none = |_: &Step| (None, None);
    let text = terminal(&plan, &none, &Options::default());
    let lines: Vec<&str> = text.lines().collect();
    let first = lines.iter().position(|l| l.starts_with("  ? may change a/dev/r22#main")).unwrap();
    assert!(lines[..first].iter().any(|l| l.contains("orders/prod/new")), "{text}");
    insta::assert_snapshot!(lines[first + 1], @"      it may change: all that differs is known after apply");
    assert!(lines.contains(&"  ? 3 more may change: known after apply"), "{text}");
    assert!(summary(&plan).contains("; 23 may change; "), "{}", summary(&plan));
    assert!(markdown(&plan, &none, &Options::default()).contains("3 more may change"));
    assert_eq!(json(&plan, &none)["steps"][0]["mayChange"], true);
}

#[test]
fn what_cannot_be_told_is_named() {
    let ids = ["web/prod/shop", "web/prod/sync"].map(|id| RequestId::parse(id).unwrap());
    insta::assert_snapshot!(untold(ids.iter()).unwrap(), @"These use outputs that change, and what becomes of them cannot be told before: `web/prod/shop`, `web/prod/sync`.");
    assert_eq!(untold(ids[2..].iter()), None);
}
