//! One that goes wrong among many: how long the others wait for it, counted in passes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::aws::{Fault, Gate, REGION, Rule};
use crate::daemon::eventually;
use crate::stacks::{Account, catalog};
use crate::world::catalog::{self as files, template};
use crate::world::{Edit, STATUS, World, ask, note, request};

const TEAMS: [&str; 4] = ["orders", "payments", "platform", "search"];

/// How many requests each of the teams has.
const EACH: usize = 3;

fn ids() -> impl Iterator<Item = String> {
    TEAMS.iter().flat_map(|team| (0..EACH).map(move |n| format!("{team}/dev/queue-{n}")))
}

/// How long one call to a service may take before it counts as lost.
const CALL: Duration = Duration::from_secs(30);

/// What all others ask for.
fn others(parameters: &str) -> Vec<Edit> {
    ids().map(|id| ask(&id, request("queue@1.0.0", parameters))).collect()
}

/// A template whose loops never come to an end that anybody waits for.
fn poison(provider: &str) -> Vec<Edit> {
    let schema = r#"{"type": "object", "additionalProperties": false, "properties": {
        "many": {"type": "array", "items": {"type": "integer"}}
    }}"#;
    let each = "{{#each @root.parameters.many}}";
    let source =
        format!("Resources:\n  {each}{each}{each}{{{{/each}}}}{{{{/each}}}}{{{{/each}}}}\n");
    let components =
        format!("    - {{name: poison, provider: {provider}, source: stack.yaml.hbs}}\n");
    template("poison", "1.0.0", &components, "{}", schema, &[("stack.yaml.hbs", &source)])
}

/// Passes that all others take where nothing goes wrong: one that begins, and one that sees the end.
const ALONE: usize = 2;

/// Passes at the most in which the machine may be too slow.
const SLOW: usize = 1;

/// How many passes it takes until all others are done. Time has no part in it: before each pass the
/// account has ended all that it was asked for, and vend may look at that again. A pass in which the
/// machine was too slow to answer for them within a pass's patience is nobody's fault, and not counted: but
/// for one it is, however slow.
#[track_caller]
fn passes(it: &Account, seconds: u32) -> usize {
    let (mut counted, mut slow) = (0, 0);
    for _ in 0..40 {
        it.world.vend(&["apply"]);
        let statuses: Vec<_> = ids().map(|id| it.world.status_or_none(&id)).collect();
        let unanswered = |s: &serde_json::Value| s["conditions"][0]["reason"] == "NotObserved";
        match statuses.iter().flatten().any(unanswered) && slow < SLOW {
            true => slow += 1,
            false => counted += 1,
        }
        let is_done =
            |s: &serde_json::Value| s["phase"] == "Ready" && s["parameters"]["seconds"] == seconds;
        if statuses.iter().all(|status| status.as_ref().is_some_and(is_done)) {
            eprintln!("isolation: {counted} passes, and {slow} that the machine was too slow for");
            return counted;
        }
        rests(it);
    }
    panic!("never done: {:#?}\n{}", it.world.vend(&["status"]), it.aws.history());
}

/// Waits until nothing happens in the account any more, and nothing is to be asked later.
fn rests(it: &Account) {
    it.aws.eventually("the account rests", || {
        let stacks = it.aws.stacks();
        let busy =
            |status: &str| status.ends_with("_IN_PROGRESS") && status != "REVIEW_IN_PROGRESS";
        (!stacks.iter().any(|(_, status)| busy(status))).then_some(())
    });
    eventually("what is under way may be asked about", || {
        (!it.world.waits(Duration::from_secs(60))).then_some(())
    });
}

/// A request for that; `reason` makes it another file.
fn poisoned(reason: &str) -> String {
    let many: Vec<String> = (0..400).map(|n| n.to_string()).collect();
    let text = request("poison@1.0.0", &format!("{{many: [{}]}}", many.join(", ")));
    format!("{text}  reason: \"{reason}\"\n")
}

/// Passes for making all of them, and for changing all of them, with something beside them each time.
fn both(it: &Account, beside: impl Fn(&str) -> Vec<Edit>) -> [usize; 2] {
    [("{}", 60), ("{seconds: 120}", 120)].map(|(parameters, seconds)| {
        it.world.requests.commit([beside(parameters), others(parameters)].concat());
        passes(it, seconds)
    })
}

#[test]
fn i7_what_hangs_keeps_nobody_else_waiting() {
    let it = Account::new();
    let role = format!(", role: \"arn:aws:iam::{}:role/vend\"", it.aws.account());
    it.world.catalog.commit([catalog::environment(&it.aws, "far", &role, "")]);
    let (slow, quick) = ("aaa/far/queue", "orders/dev/queue");
    let both = |seconds: u32| {
        let text = request("queue@1.0.0", &format!("{{seconds: {seconds}}}"));
        it.world.requests.commit([slow, quick].map(|id| ask(id, text.clone())));
    };
    both(60);
    it.apply();
    let (stack, other) = (it.stack(slow), it.stack(quick));

    // An account that does not answer: whoever would wait for it would see it asked a second time.
    let gate = Gate::closed();
    it.aws.rule(Rule::on("DescribeStacks", Fault::Hold(gate.clone())).stack(&stack));
    let looks = || {
        let calls = it.aws.calls().into_iter();
        calls.filter(|c| c.action == "DescribeStacks" && c.stack == stack).count()
    };
    let before = looks();
    both(90);
    it.world.vend(&["apply"]);
    assert_eq!(looks(), before + 1, "{}", it.aws.history());
    assert_eq!(it.aws.effects(&other), ["create", "update"], "{}", it.aws.history());
    let sentence = it.world.held(slow, "NotObserved");
    assert!(sentence.contains("has not answered yet"), "{sentence}");
    gate.open();
    it.aws.no_rules();
    it.apply();
    it.world.ready(slow);
    assert_eq!(it.aws.effects(&stack), ["create", "update"], "{}", it.aws.history());
    it.again_nothing();

    // A change set that is not worked out.
    let going = Fault::answer(|_, answer| {
        answer.edit(|text| {
            text.replace("<Status>CREATE_COMPLETE</Status>", "<Status>CREATE_IN_PROGRESS</Status>")
        });
    });
    it.aws.rule(Rule::on("DescribeChangeSet", going).stack(&stack));
    both(120);
    it.world.vend(&["apply"]);
    assert_eq!(it.aws.effects(&other), ["create", "update", "update"], "{}", it.aws.history());
    let sentence = it.world.held(slow, "NotObserved");
    assert!(sentence.contains("has not said yet"), "{sentence}");
    it.aws.no_rules();
    it.apply();
    it.world.ready(slow);
    assert_eq!(it.aws.effects(&stack), ["create", "update", "update"], "{}", it.aws.history());
    it.again_nothing();
}

#[test]
fn i7_the_fault_of_one_delays_nobody_else_by_more_than_a_pass() {
    let alone = both(&Account::new(), |_| Vec::new());
    assert!(alone.iter().all(|took| *took <= ALONE), "nothing is in the way: {alone:?} passes");
    let at_most_one = |what: &str, took: [usize; 2]| {
        let is_late = took.iter().any(|took| *took > ALONE + 1);
        assert!(!is_late, "{what}: {took:?} passes, and {alone:?} without");
    };

    // One that can never be rendered, and takes all the steps that there are.
    let it = Account::new();
    it.world.catalog.commit(poison("cloudformation"));
    let one = "aaa/dev/poison";
    let beside = |parameters: &str| vec![ask(one, poisoned(parameters))];
    at_most_one("a poison request", both(&it, beside));
    let (phase, reason, sentence) = it.world.standing(one);
    assert_eq!((phase.as_str(), reason.as_str()), ("Held", "Invalid"), "{sentence}");
    assert!(it.world.status(one).to_string().contains("RenderLimit"), "{}", it.world.status(one));
    it.again_nothing();

    // An account that lets nobody in.
    let it = Account::new();
    let role = format!(", role: \"arn:aws:iam::{}:role/vend\"", it.aws.account());
    it.world.catalog.commit([catalog::environment(&it.aws, "shut", &role, "")]);
    let text = "User: vend is not authorized to perform: sts:AssumeRole";
    it.aws.rule(Rule::on("AssumeRole", Fault::Refuse(403, "AccessDenied", text)));
    let shut = |n: usize| format!("aaa/shut/queue-{n}");
    let beside = |parameters: &str| -> Vec<Edit> {
        (0..8).map(|n| ask(&shut(n), request("queue@1.0.0", parameters))).collect()
    };
    at_most_one("an account that is shut", both(&it, beside));
    assert!(it.aws.count("AssumeRole") > 0, "{}", it.aws.history());
    let (phase, _, sentence) = it.world.standing(&shut(0));
    assert_ne!(phase, "Ready", "{sentence}");
    it.aws.no_rules();
    (0..8).for_each(|n| assert_eq!(it.world.vend(&["retry", &shut(n)]).code, 0));
    it.apply();
    it.world.ready(&shut(7));
    it.again_nothing();

    // A team that asks for more than all others together.
    let it = Account::new();
    let large = 10 * TEAMS.len() * EACH;
    let beside = |parameters: &str| -> Vec<Edit> {
        let id = |n: usize| format!("aaa/dev/queue-{n}");
        (0..large).map(|n| ask(&id(n), request("queue@1.0.0", parameters))).collect()
    };
    at_most_one("an enormous team", both(&it, beside));
    // Nor do they stand behind it within the pass: teams take turns.
    let calls = it.aws.calls();
    let made: Vec<bool> = calls
        .iter()
        .filter(|call| call.action == "CreateStack")
        .map(|call| call.stack.starts_with("vend-aaa-"))
        .collect();
    let last = made.iter().rposition(|is_large| !is_large).unwrap();
    assert!(made.len() > large && last < large / 2, "the last of the others is the {last}th");
    it.apply();
    it.again_nothing();
}

#[test]
fn i7_what_is_sent_again_to_an_account_that_hangs_keeps_nobody_waiting() {
    let it = Account::new();
    let quick = "orders/dev/queue";
    it.world.requests.commit([ask(quick, request("queue@1.0.0", "{}"))]);
    it.apply();
    let other = it.stack(quick);
    let id = |n: usize| format!("aaa/far/queue-{n}");
    let role = format!(", role: \"arn:aws:iam::{}:role/vend\"", it.aws.account());
    it.world.catalog.commit([catalog::environment(&it.aws, "far", &role, "")]);
    it.aws.rule(Rule::on("CreateStack", Fault::ResetBefore));
    it.world.requests.commit((0..20).map(|n| ask(&id(n), request("queue@1.0.0", "{}"))));
    it.world.vend(&["apply"]);
    let (_, reason, sentence) = it.world.standing(&id(0));
    assert_eq!(reason, "Unknown", "{sentence}");

    // Nobody knows whether they were made, and nobody answers who could tell.
    it.aws.no_rules();
    let gate = Gate::closed();
    it.aws.rule(Rule::on("CreateStack", Fault::Hold(gate.clone())));
    it.world.requests.commit([ask(quick, request("queue@1.0.0", "{seconds: 90}"))]);
    let before = it.aws.count("CreateStack");
    let took = it.aws.eventually("they are sent again", || {
        let since = Instant::now();
        it.world.vend(&["apply"]);
        (it.aws.count("CreateStack") > before).then(|| since.elapsed())
    });
    assert!(took < CALL, "{took:?}\n{}", it.aws.history());
    assert_eq!(it.aws.effects(&other), ["create", "update"], "{}", it.aws.history());
    let sent = it.aws.count("CreateStack") - before;
    assert!(sent > 1 && sent <= 16, "{sent} at once:\n{}", it.aws.history());

    gate.open();
    it.aws.no_rules();
    it.apply();
    for n in 0..20 {
        it.world.ready(&id(n));
        assert_eq!(it.aws.effects(&it.stack(&id(n))), ["create"], "{}", it.aws.history());
    }
    it.again_nothing();
}

/// Calls of one account at once, as the executor makes them.
const AT_ONCE: usize = 16;

#[test]
fn f34_i7_what_has_not_begun_in_an_account_that_throttles_waits_for_a_later_pass() {
    let it = Account::new();
    let region = |edit: Edit| edit.and_replace(REGION, "us-west-2");
    it.world.catalog.commit([region(catalog::environment(&it.aws, "busy", "", ""))]);
    let (quick, busy) = ("orders/dev/queue", |n: usize| format!("aaa/busy/queue-{n}"));
    let all: Vec<String> = (0..3 * AT_ONCE).map(busy).collect();
    let begun = || -> BTreeSet<String> {
        let calls = it.aws.calls().into_iter().filter(|call| call.action == "CreateStack");
        calls.map(|call| call.stack).filter(|name| name.starts_with("vend-aaa-busy-")).collect()
    };
    it.aws.rule(Rule::on("CreateStack", Fault::Throttle).stack("vend-aaa-busy-"));
    let edits = all.iter().map(String::as_str).chain([quick]);
    it.world.requests.commit(edits.map(|id| ask(id, request("queue@1.0.0", "{}"))));
    it.world.vend(&["apply"]);

    // The first of them were tried, and the other account's was done in that pass.
    assert_eq!(begun().len(), AT_ONCE, "{}", it.aws.history());
    assert_eq!(it.aws.effects("vend-orders-dev-queue"), ["create"], "{}", it.aws.history());
    let of = |phase: &str| {
        let standing = all.iter().map(|id| it.world.standing(id));
        standing.filter(|it| it.0 == phase && it.1 == "Backoff").collect::<Vec<_>>()
    };
    let (failed, waiting) = (of("Failed"), of("Waiting"));
    assert_eq!((failed.len(), waiting.len()), (AT_ONCE, 2 * AT_ONCE), "{failed:?} {waiting:?}");
    assert!(failed.iter().all(|it| it.2.contains("it failed")), "{failed:?}");
    assert!(waiting.iter().all(|it| it.2.contains("it was not begun")), "{waiting:?}");

    it.aws.no_rules();
    for id in &all {
        assert_eq!(it.world.vend(&["retry", id]).code, 0);
    }
    it.apply();
    assert_eq!(begun().len(), all.len());
    for id in &all {
        it.world.ready(id);
        assert_eq!(it.aws.effects(&it.stack(id)), ["create"], "{}", it.aws.history());
    }
    it.again_nothing();
}

/// How many requests there are among which one goes wrong: as many as `make test` has time for, and ten
/// thousand in `make crash`.
pub fn many() -> usize {
    if std::env::var_os("VEND_CRASH").is_some() { 10_000 } else { 1_000 }
}

/// The phase of each published request.
fn phases(world: &World) -> BTreeMap<String, String> {
    let of = |(path, text): (String, String)| {
        let phase = text.lines().find_map(|line| line.trim_start().strip_prefix("phase: "));
        (path, phase.unwrap_or_default().to_owned())
    };
    world.requests.contents(STATUS, "status/").into_iter().map(of).collect()
}

/// Requests of each of the two accounts that let nobody do anything.
const BARRED: usize = 8;

/// Those of an account that refuses, and of one that always throttles.
fn barred() -> impl Iterator<Item = String> {
    let of = |env: &'static str| (0..BARRED).map(move |n| format!("bbb/{env}/queue-{n}"));
    of("shut").chain(of("busy"))
}

/// Many requests for files, beside an account that refuses every credential and one that throttles
/// every call.
fn crowd() -> Account {
    let it = Account::new();
    let mut edits = vec![catalog::environment(&it.aws, "busy", "", "")];
    let role = format!(", role: \"arn:aws:iam::{}:role/vend\"", it.aws.account());
    edits.push(catalog::environment(&it.aws, "shut", &role, ""));
    edits.push(files::environment("files", &it.world.output.url(), ""));
    edits.extend(files::note("1.0.0"));
    edits.extend(poison("files"));
    it.world.catalog.commit(edits);
    let text = "User: vend is not authorized to perform: sts:AssumeRole";
    it.aws.rule(Rule::on("AssumeRole", Fault::Refuse(403, "AccessDenied", text)));
    it.aws.rule(Rule::any(Fault::Throttle).stack("vend-bbb-busy-"));
    it
}

#[test]
fn i7_among_thousands_a_poison_a_team_that_asks_for_half_and_accounts_that_fail_delay_nobody() {
    let it = crowd();
    let world = &it.world;
    let (teams, half) = (99, many() / 2);
    let large: Vec<String> = (0..half).map(|n| format!("aaa/files/n{n}")).collect();
    let others: Vec<String> =
        (0..many() - half).map(|n| format!("team-{}/files/n{}", n % teams, n / teams)).collect();
    let wrong = "aaa/files/poison";
    let commit = |text: &str, some: &[String]| {
        let mut edits: Vec<Edit> = large.iter().chain(some).map(|id| ask(id, note(text))).collect();
        edits.push(ask(wrong, poisoned(text)));
        let seconds = if text == "made" { 60 } else { 120 };
        let queue = request("queue@1.0.0", &format!("{{seconds: {seconds}}}"));
        edits.extend(barred().map(|id| ask(&id, queue.clone())));
        world.requests.commit(edits);
    };
    // The pass that sees them, and the one after it: no more.
    let within_two = |text: &str, some: &[String]| {
        let wanted = format!("text: {text}\n");
        for pass in 1..=2 {
            world.vend(&["apply"]);
            let phases = phases(world);
            let files: BTreeMap<String, String> =
                world.output.contents("main", "files/").into_iter().collect();
            let is_late = |id: &&String| {
                let path = format!("files/{}/note/note.yaml", id.replacen("/files/", "/", 1));
                phases.get(&format!("status/{id}.yaml")).is_none_or(|phase| phase != "Ready")
                    || files.get(&path) != Some(&wanted)
            };
            let late: Vec<_> = some.iter().filter(is_late).collect();
            if late.is_empty() {
                let others = some.len();
                return eprintln!("isolation: {text}: {others} others done after pass {pass}");
            }
            assert!(pass == 1, "{text}: {} wait still, such as {}", late.len(), late[0]);
        }
    };
    commit("made", &others);
    within_two("made", &others);
    // Nobody waits for the end of all tries of an account that throttles: those are for later passes.
    // More than five thousand new files are taken up by several passes, one right after the other.
    let (tries, passes) = (it.aws.count("CreateStack"), 1 + many() / 5_000);
    let most = 4 * BARRED * passes;
    assert!((BARRED..most).contains(&tries), "{tries} tries:\n{}", it.aws.history());
    let held = world.held(wrong, "Invalid");
    assert!(world.status(wrong).to_string().contains("RenderLimit"), "{held}");
    let is_barred = |world: &World| barred().all(|id| world.status(&id)["phase"] != "Ready");
    assert!(is_barred(world) && it.aws.stacks().is_empty(), "{}", it.aws.history());

    // All of the large team changes, what is wrong is wrong anew, and one of each other team changes.
    commit("changed", &others[..teams]);
    within_two("changed", &others[..teams]);
    assert!(is_barred(world) && it.aws.stacks().is_empty(), "{}", it.aws.history());
    assert!(it.aws.count("AssumeRole") > 0, "{}", it.aws.history());

    it.aws.no_rules();
    for id in barred() {
        assert_eq!(world.vend(&["retry", &id]).code, 0);
    }
    it.aws.eventually("all but the one that is wrong are there", || {
        world.vend(&["apply", "--wait"]);
        let ready = phases(world).into_values().filter(|phase| phase == "Ready").count();
        (ready == many() + 2 * BARRED).then_some(())
    });
    for id in barred() {
        assert_eq!(it.aws.effects(&it.stack(&id)), ["create"], "{}", it.aws.history());
    }
    it.again_nothing();
}
