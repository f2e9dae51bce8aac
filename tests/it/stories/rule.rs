//! What a catalog forbids, and whose yes it asks for.

use crate::world::{Edit, World, ask, catalog, drop_request, note, remove};

const ID: &str = "orders/dev/hello";

fn ruled(world: &World, rules: &str) -> Edit {
    catalog::environment("dev", &world.output.url(), rules)
}

#[test]
fn what_a_rule_denies_is_said_at_its_line_and_stays_as_it_was() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world.catalog.commit([ruled(
        &world,
        "  policy:\n    - deny: \"parameters.text == 'bye'\"\n      message: Nobody says goodbye here.\n",
    )]);
    world.apply();
    world.ready(ID);

    world.requests.commit([ask(ID, note("bye"))]);
    let said = world.vend(&["apply"]);
    let said = format!("{}{}", said.stdout, said.stderr);
    for word in ["POL002", "Nobody says goodbye here.", "orders/dev/hello.yaml:5:"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(world.held(ID, "Invalid").contains("Nobody says goodbye here."));

    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn a_rule_asks_for_a_yes_to_each_effect_anew() {
    let world = World::new();
    world.catalog.commit([ruled(
        &world,
        "  approvals:\n    - {when: \"plan.creates + plan.updates > 0\", teams: [platform]}\n",
    )]);
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let first = world.held(ID, "NeedsApproval");
    assert!(first.contains("somebody of `platform` must approve it"), "{first}");
    world.approve(&first);
    world.apply();
    world.ready(ID);
    world.again_nothing();

    // Approved, and then it changes: that is another effect.
    world.requests.commit([ask(ID, note("good day"))]);
    world.apply();
    let second = world.held(ID, "NeedsApproval");
    assert_ne!(first, second);
    world.approve(&second);
    world.requests.commit([ask(ID, note("good night"))]);
    world.apply();
    let third = world.held(ID, "NeedsApproval");
    assert_ne!(second, third);
    world.approve(&third);
    world.apply();
    world.ready(ID);

    // The rule says nothing of deletions.
    world.requests.commit([drop_request(ID)]);
    world.apply();
    world.again_nothing();
}

#[test]
fn deletions_are_asked_about_and_plan_rules_deny() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    world.catalog.commit([ruled(
        &world,
        "  policy:\n    - {deny: \"plan.updates > 0\", message: Frozen.}\n  approvals:\n    - {when: \"plan.deletes > 0\", teams: [platform]}\n",
    )]);
    world.requests.commit([ask(ID, note("good day"))]);
    world.vend(&["apply"]);
    assert!(world.held(ID, "Invalid").contains("Frozen."));
    world.requests.commit([drop_request(ID)]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    world.again_nothing();
}

#[test]
fn b98_another_template_does_not_take_off_the_rules_of_the_one_that_is_applied() {
    let world = World::new();
    let rules = "{path: {from: note.path}}\n  approvals:\n    - {when: \"plan.deletes > 0 && parameters.text == 'a'\", teams: [platform]}";
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let schema = r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#;
    let sources = [("note.yaml.hbs", "text: {{parameters.text}}\n")];
    world.catalog.commit(catalog::template("note", "2.0.0", components, rules, schema, &sources));
    world.requests.commit([ask(ID, crate::world::request("note@2.0.0", "{text: a}"))]);
    world.apply();
    world.ready(ID);
    world.requests.commit([ask(ID, crate::world::request("pair@1.0.0", "{text: b}"))]);
    world.apply();
    // That another template takes over, which is asked about anyway.
    let swap = world.held(ID, "NeedsApproval");
    assert!(!swap.contains("platform"), "{swap}");
    world.approve(&swap);
    let mut asked = 0;
    for _ in 0..6 {
        world.apply();
        let (phase, reason, said) = world.standing(ID);
        if phase == "Ready" {
            break;
        }
        assert!(reason == "NeedsApproval" && said.contains("platform"), "{reason}: {said}");
        world.approve(&said);
        asked += 1;
    }
    assert!(asked > 0, "the rule of what was applied asks nobody");
    world.ready(ID);
    world.again_nothing();
}

/// A version of `note` whose `rules` are further lines of its spec.
fn ruled_note(version: &str, text: &str, rules: &str) -> Vec<Edit> {
    let rules = format!("{{path: {{from: note.path}}}}\n{rules}");
    let components = "    - {name: note, provider: files, source: note.yaml.hbs}\n";
    let schema = r#"{"type": "object", "properties": {"text": {"type": "string"}}}"#;
    let source = format!("{text}: {{{{parameters.text}}}}\n");
    let sources = [("note.yaml.hbs", source.as_str())];
    catalog::template("note", version, components, &rules, schema, &sources)
}

const BY_PLATFORM: &str =
    "  approvals:\n    - {when: \"parameters.text == 'a'\", teams: [platform]}";

#[test]
fn b98_a_rule_of_what_was_applied_asks_until_another_template_has_taken_over_wholly() {
    let world = World::new();
    world.catalog.commit(ruled_note("2.0.0", "text", BY_PLATFORM));
    world.requests.commit([ask(ID, crate::world::request("note@2.0.0", "{text: a}"))]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    world.ready(ID);
    world.requests.commit([ask(ID, crate::world::request("pair@1.0.0", "{text: b}"))]);
    let mut asked = 0;
    for _ in 0..10 {
        world.apply();
        let (phase, reason, said) = world.standing(ID);
        if phase == "Ready" {
            break;
        }
        assert_eq!(reason, "NeedsApproval", "{said}");
        asked += usize::from(said.contains("platform"));
        world.approve(&said);
    }
    world.ready(ID);
    // What was goes, and the two of the other come, one after the other.
    assert_eq!(asked, 3, "each of its steps takes somebody of the team");
    world.again_nothing();
    // All of it is the other one's now.
    world.requests.commit([ask(ID, crate::world::request("pair@1.0.0", "{text: c}"))]);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn b98_a_rule_of_what_was_applied_asks_also_where_what_takes_over_makes_the_same() {
    let world = World::new();
    world.catalog.commit(ruled_note("2.0.0", "text", BY_PLATFORM));
    let plain = ruled_note("1.5.0", "text", "");
    world.catalog.commit(plain);
    world.requests.commit([ask(ID, crate::world::request("note@2.0.0", "{text: a}"))]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    world.ready(ID);
    let made = world.output.refs();
    world.requests.commit([ask(ID, crate::world::request("note@1.5.0", "{text: a}"))]);
    world.apply();
    let said = world.held(ID, "NeedsApproval");
    assert!(said.contains("somebody of `platform` must approve it"), "{said}");
    assert_eq!(world.status(ID)["template"]["version"], "2.0.0");
    world.approve(&said);
    world.apply();
    world.ready(ID);
    assert_eq!(world.status(ID)["template"]["version"], "1.5.0");
    assert_eq!(world.output.refs(), made);
    world.again_nothing();
}

#[test]
fn b98_what_is_half_taken_over_is_deleted_by_the_rules_of_what_was_applied_too() {
    let world = World::new();
    world.catalog.commit(ruled_note("2.0.0", "text", BY_PLATFORM));
    world.requests.commit([ask(ID, crate::world::request("note@2.0.0", "{text: a}"))]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    world.ready(ID);
    world.requests.commit([ask(ID, crate::world::request("pair@1.0.0", "{text: b}"))]);
    // One of its two is made, and the other waits for the team.
    for _ in 0..6 {
        world.apply();
        if world.output_file("dev/orders/hello/base/base.yaml").is_some() {
            break;
        }
        world.approve(&world.standing(ID).2);
    }
    assert!(world.output_file("dev/orders/hello/base/base.yaml").is_some());
    world.requests.commit([drop_request(ID)]);
    world.apply();
    let mut asked = 0;
    while world.status_or_none(ID).is_some() && asked < 4 {
        let (_, reason, said) = world.standing(ID);
        assert!(reason == "NeedsApproval" && said.contains("platform"), "{reason}: {said}");
        world.approve(&said);
        asked += 1;
        world.apply();
    }
    assert!(asked > 0 && world.status_or_none(ID).is_none(), "asked {asked} times");
    world.again_nothing();
}

#[test]
fn a_newer_version_says_itself_who_approves_and_an_older_one_does_not() {
    let world = World::new();
    world.catalog.commit(ruled_note("2.0.0", "old", BY_PLATFORM));
    world.catalog.commit(ruled_note("2.1.0", "new", ""));
    world.catalog.commit(ruled_note("2.2.0", "newest", BY_PLATFORM));
    let asks = |version: &str| ask(ID, crate::world::request(version, "{text: a}"));
    world.requests.commit([asks("note@2.0.0")]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    world.ready(ID);
    // The team asks no more, as whoever published the newer one says.
    world.requests.commit([asks("note@2.1.0")]);
    world.apply();
    world.ready(ID);
    world.requests.commit([asks("note@2.2.0")]);
    world.apply();
    let said = world.held(ID, "NeedsApproval");
    assert!(said.contains("platform"), "{said}");
    world.approve(&said);
    world.apply();
    world.ready(ID);
    // Back to the one that asks nobody: a person for the older version, and the team.
    world.requests.commit([asks("note@2.1.0")]);
    world.apply();
    let said = world.held(ID, "NeedsApproval");
    assert!(!said.contains("platform"), "{said}");
    world.approve(&said);
    world.apply();
    let said = world.held(ID, "NeedsApproval");
    assert!(said.contains("platform"), "{said}");
    world.approve(&said);
    world.apply();
    world.ready(ID);
    world.again_nothing();
}

#[test]
fn b98_what_lies_in_an_environment_that_is_gone_is_not_deleted_without_its_rules() {
    let world = World::new();
    world.requests.commit([ask(ID, note("hello"))]);
    world.apply();
    let output = world.output.refs();
    world.catalog.commit([remove("environments/dev.yaml")]);
    world.requests.commit([drop_request(ID)]);
    world.vend(&["apply"]);
    assert!(world.held(ID, "Invalid").contains("environment"));
    assert_eq!(world.output.refs(), output);
    let rules = "  approvals:\n    - {when: \"plan.deletes > 0\", teams: [platform]}\n";
    world.catalog.commit([ruled(&world, rules)]);
    world.apply();
    world.approve(&world.held(ID, "NeedsApproval"));
    world.apply();
    assert!(world.status_or_none(ID).is_none());
    world.again_nothing();
}

#[test]
fn a_rule_over_what_is_not_known_yet_is_decided_once_it_is() {
    let world = World::new();
    let reads = |of: &str| {
        let text = crate::world::request("reader@1.0.0", "{}");
        format!("{text}  references:\n    of: {{request: orders/dev/{of}, output: commit}}\n")
    };
    // A commit's id is known when there is a commit.
    let rule = |deny: &str| {
        let deny = format!("has(parameters.of) && {deny}");
        format!("  policy:\n    - {{deny: \"{deny}\", message: Not such a commit.}}\n")
    };
    world.catalog.commit([ruled(&world, &rule("size(parameters.of) != 40"))]);
    world.requests.commit([ask("orders/dev/base", note("base")), ask(ID, reads("base"))]);
    let said = world.vend(&["plan"]);
    let said = format!("{}{}", said.stdout, said.stderr);
    assert!(said.contains(ID) && !said.contains("Not such a commit."), "not told yet: {said}");
    world.apply();
    world.ready(ID);
    world.again_nothing();

    world.catalog.commit([ruled(&world, &rule("size(parameters.of) == 40"))]);
    let other = "orders/dev/other";
    world.requests.commit([ask("orders/dev/next", note("next")), ask(other, reads("next"))]);
    world.vend(&["apply"]);
    world.ready("orders/dev/next");
    assert!(world.held(other, "Invalid").contains("Not such a commit."));
}
