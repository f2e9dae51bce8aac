//! The checks, what is annotated, and what is suggested.

use vend::forge::{CheckState, Level};
use vend::model::{Brief, Diagnostic, Hold, HoldReason, Place, RequestId, Stage};
use vend::report::plan::Options;
use vend::report::pull;

use super::stories::{EVIL, Story, all, planted, planted_after};

fn named(name: &str) -> Story {
    all().into_iter().find(|(known, _)| *known == name).expect("a story").1
}

fn check(story: &Story) -> vend::forge::Check {
    let head = story.brief.pull.head.clone();
    pull::check(&story.brief, &head, "id-1", &story.artifacts(), &Options::default())
}

#[test]
fn each_story_has_its_conclusion_and_its_title() {
    let said: Vec<String> = all()
        .iter()
        .filter(|(name, _)| *name != "hostile")
        .map(|(name, story)| {
            let check = check(story);
            assert_eq!((check.name.as_str(), check.external_id.as_str()), ("vend", "id-1"));
            format!("{name}: {:?}: {}", check.state, check.title)
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"), @r"
    new-queue: Success: 1 to create
    replacement: Success: 3 to update; replaces 1 resource
    deletion: Success: 1 to delete, 1 held
    invalid: Failure: 3 errors, 1 warning in 2 files; 1 to create
    many: Success: 28 to create, 260 to update, 12 to delete; replaces 2 resources
    pushed: Success: 2 to create
    one-rule: Success: 600 to create
    refused: Success: 1 to create
    waiting: Running: Merged: waits until its branch can be used
    applying: Running: Applying: 1 of 3 requests done
    done: Success: Done: 2 requests
    failed: Failure: Failed: 1 of 3 requests; 1 done
    changed: Failure: Held: more would happen than was reviewed
    apart: Failure: Held: more would happen than was reviewed
    fork: Success: 1 to create; from a fork, no account was asked
    revert: Success: Done: 1 request
    conflict: Failure: Conflicts with its base in 2 files
    catalog: Success: 3 to update
    blast: Failure: 1 error in 1 file; 500 to update; replaces 30 resources
    waves: Success: 2 requests at once, 1 later, in waves; replaces 1 resource; may replace 1 resource; 1 cannot take it
    nothing-any-more: Success: Nothing changes any more: what it proposed before is gone since the last push
    asked: Success: 1 to create
    ");
}

#[test]
fn every_problem_is_annotated_where_it_is() {
    let place = |line, column, end_line, end_column| Place {
        file: "requests/a/b/c.yaml".into(),
        line,
        column,
        end_line,
        end_column,
    };
    let mut story = named("new-queue");
    story.brief.diagnostics = vec![
        Diagnostic::error("SCH001", place(9, 3, 9, 12), "unknown field").help("did you mean `x`?"),
        Diagnostic::warning("REF010", place(9, 3, 11, 1), "over several lines"),
        Diagnostic::error("REQ001", Place::file("requests/a/b/c.yaml"), "about all of it"),
    ];
    let found = check(&story).annotations;
    let at: Vec<_> =
        found.iter().map(|a| (a.line, a.end_line, a.column, a.end_column, a.level)).collect();
    assert_eq!(
        at,
        [
            (9, 9, Some(3), Some(11), Level::Failure),
            (9, 11, None, None, Level::Warning),
            (1, 1, None, None, Level::Failure),
        ]
    );
    assert_eq!(found[0].title, "SCH001: unknown field");
    assert_eq!(found[0].message, "unknown field\nTo mend it: did you mean `x`?");
}

#[test]
fn an_approval_is_missing_until_every_need_is_met() {
    let approval = |brief: &Brief| {
        let check = pull::approval(brief, &brief.pull.head, "id-2");
        assert_eq!(check.name, "vend/approval");
        (check.state, check.title)
    };
    let mut story = named("replacement");
    let missing = (CheckState::ActionRequired, "Missing: 1 of dba".to_owned());
    assert_eq!(approval(&story.brief), missing);
    story.brief.needs[0].had.push("sam".into());
    assert_eq!(approval(&story.brief), (CheckState::Success, "Approved".to_owned()));
    story.brief.needs.clear();
    assert_eq!(approval(&story.brief), (CheckState::Success, "No approval is needed".to_owned()));
    assert_eq!(approval(&named("invalid").brief).0, CheckState::Queued);
    assert_eq!(approval(&named("conflict").brief).0, CheckState::Queued);
}

#[test]
fn one_review_is_one_for_all_that_the_same_people_are_asked_for() {
    let mut story = named("one-rule");
    let (title, list) = {
        let check = pull::approval(&story.brief, &story.brief.pull.head, "id-2");
        (check.title, check.summary)
    };
    assert_eq!(title, "Missing: 1 of platform");
    assert_eq!(list.matches("**Missing**").count(), 1, "{list}");
    let said = super::written(&story);
    for section in [
        "600 to create; 1 approval is missing",
        "#### Approvals",
        "#### To know",
        "push since [",
        "Every",
    ] {
        assert!(said.contains(section), "{section}: {said}");
    }
    // Of other people, and for another reason.
    story.brief.needs[7].teams = vec!["dba".into()];
    story.brief.needs[8].why = "another rule".into();
    let said = super::written(&story);
    assert!(said.contains("2 approvals are missing"), "{said}");
    assert_eq!(said.matches("**Missing**").count(), 3, "{said}");
    for need in &mut story.brief.needs {
        need.had.push("kim".into());
    }
    let said = super::written(&story);
    assert!(said.contains("600 to create; approved") && !said.contains("**Missing**"), "{said}");
    // However many reasons there are, there is room for what comes after them.
    for (n, need) in story.brief.needs.iter_mut().enumerate() {
        need.why = format!("rule {n}: {}", "why ".repeat(60));
        need.had.clear();
    }
    let said = super::written(&story);
    for section in ["585 more, 585 of them missing", "#### To know", "push since ["] {
        assert!(said.contains(section), "{section}: {said}");
    }
}

#[test]
fn before_a_pass_has_it_nothing_is_over_whatever_was_known_before() {
    let mut story = named("waiting");
    story.brief.standing = named("done").brief.standing;
    let said = super::written(&story);
    for wrong in ["**ready**", "**deleted**", "Done"] {
        assert!(!said.contains(wrong), "{wrong}: {said}");
    }
    assert_eq!(check(&story).state, CheckState::Running);
    // Of a large plan the steps are not kept.
    story.brief.plan.steps.clear();
    story.brief.standing.clear();
    let check = check(&story);
    let title = "Merged: waits until its branch can be used";
    assert_eq!((check.state, check.title.as_str()), (CheckState::Running, title));
}

#[test]
fn only_what_is_news_is_news() {
    let comment = |story: &Story| {
        let options = Options::default();
        pull::comment(&story.brief, super::MARKER, &story.artifacts(), &options).unwrap()
    };
    let mut story = named("replacement");
    let (before, check_before) = (comment(&story), check(&story));
    let other = Some(vend::model::Revision::new("9".repeat(40)));
    (story.brief.base, story.brief.catalog) = (other.clone(), other);
    story.brief.plan.settled += 1;
    let after = comment(&story);
    assert!(before.body != after.body && before.news == after.news);
    assert_eq!(check(&story), check_before);
    story.brief.needs[0].had.push("sam".into());
    assert_ne!(comment(&story).news, before.news);
}

#[test]
fn what_could_not_be_seen_and_what_is_refused_pass_neither_check() {
    let found = |reason| {
        let mut story = named("new-queue");
        story.brief.plan.holds.push(Hold {
            request: RequestId::parse("orders/dev/other").unwrap(),
            component: None,
            action: None,
            reason,
        });
        let approval = pull::approval(&story.brief, &story.brief.pull.head, "id");
        let check = check(&story);
        (check.state, check.title, approval.state, approval.title)
    };
    let (state, title, approval, why) = found(HoldReason::NotObserved { error: "down".into() });
    assert_eq!((state, approval), (CheckState::Running, CheckState::Queued));
    assert_eq!(title, "Waits for the accounts to be seen; 1 to create, 1 held");
    assert_eq!(why, "Waits for a plan");
    let until = "2026-01-02T03:04:05Z".parse().unwrap();
    let (state, title, approval, _) = found(HoldReason::Refused { error: "no".into(), until });
    assert_eq!((state, approval), (CheckState::Failure, CheckState::Queued));
    assert_eq!(title, "Refused by its provider; 1 to create, 1 held");
}

#[test]
fn f51_a_check_fits_whatever_it_has_to_say() {
    let mut many = named("many");
    let problem = |n: u32| {
        let place = Place {
            file: "requests/a/b/c.yaml".into(),
            line: n,
            column: 1,
            end_line: n,
            end_column: 2,
        };
        Diagnostic::error("SCH001", place, EVIL.repeat(20)).help(EVIL.repeat(20))
    };
    many.brief.diagnostics = (1..400).map(problem).collect();
    for story in [many, planted(EVIL), planted_after(EVIL)] {
        let check = check(&story);
        assert!(check.summary.len() <= 65_535 && check.text.len() <= 65_535);
        assert!(check.title.chars().count() <= 201);
        assert_eq!(check.annotations.len(), story.brief.diagnostics.len());
        assert!(check.annotations.iter().all(|a| a.title.chars().count() <= 255));
        let approval = pull::approval(&story.brief, &story.brief.pull.head, "id");
        assert!(approval.summary.len() <= 65_535);
    }
    let mut unknown = named("new-queue");
    unknown.brief.stage = Stage::Unknown { error: EVIL.into() };
    assert_eq!(check(&unknown).state, CheckState::Running, "nothing may be merged unseen");
}

#[test]
fn a_problem_of_a_template_stands_once_whoever_uses_it() {
    let place = Place {
        file: "templates/queue/1.0.0/queue.yaml.hbs".into(),
        line: 3,
        column: 1,
        end_line: 3,
        end_column: 9,
    };
    let problem = Diagnostic::error("REN001", place.clone(), "no such parameter");
    let mut story = named("new-queue");
    story.brief.diagnostics = vec![problem.clone()];
    let held = |problems| Hold {
        request: RequestId::parse("orders/dev/other").unwrap(),
        component: None,
        action: None,
        reason: HoldReason::Invalid { problems },
    };
    story.brief.plan.holds = vec![held(vec![problem.clone()])];
    let said = super::written(&story);
    assert_eq!(said.matches("no such parameter").count(), 1, "{said}");
    assert!(!said.contains("**Not valid**"), "{said}");
    // What does not stand above is said.
    let other = Diagnostic::error("REN001", place, "another");
    story.brief.plan.holds = vec![held(vec![problem, other])];
    assert!(super::written(&story).contains("**Not valid**"));
}

#[test]
fn a_sure_fix_is_suggested_on_its_whole_line() {
    let file = "requests/orders/dev/events.yaml";
    let mut story = named("invalid");
    let text = "  retenton: 7 # días";
    let read = |path: &str, line: u32| (path == file && line == 9).then(|| text.to_owned());
    let [one] = &pull::suggestions(&story.brief, &read)[..] else { panic!("one is sure") };
    assert_eq!((one.path.as_str(), one.line, one.end_line), (file, 9, 9));
    assert!(one.body.contains("```suggestion\n  retention: 7 # días\n```\n"), "{}", one.body);
    assert_eq!(one.body.matches(&one.marker).count(), 1);
    assert_eq!(pull::suggestions(&story.brief, &read)[0].marker, one.marker);

    // Two on one line are one; what the file does not have is not touched.
    let place =
        |from, to| Place { file: file.into(), line: 9, column: from, end_line: 9, end_column: to };
    story
        .brief
        .diagnostics
        .push(Diagnostic::error("YAML012", place(13, 14), "quote it").fix(place(13, 14), "\"7\""));
    let [one] = &pull::suggestions(&story.brief, &read)[..] else { panic!("one line") };
    assert!(one.body.contains("```suggestion\n  retention: \"7\" # días\n```\n"), "{}", one.body);
    assert!(pull::suggestions(&story.brief, &|_, _| None).is_empty());
    assert!(pull::suggestions(&story.brief, &|_, _| Some("x".into())).is_empty());
    let hidden = |_: &str, _: u32| Some("  retenton: 7 \u{202e}".to_owned());
    assert!(pull::suggestions(&story.brief, &hidden).is_empty(), "nobody sees all of it");
}
