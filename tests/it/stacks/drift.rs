//! What somebody did by hand. CloudFormation takes its time to find it, so that it is the daemon's to
//! look for.

use serde_json::Value;

use super::{Account, catalog};
use crate::aws::{Fault, Rule};
use crate::daemon::Serving;
use crate::world::{ask, request};

const ID: &str = "orders/dev/events";

struct Standing {
    it: Account,
    stack: String,
    /// Of the stack's queue.
    url: String,
    daemon: Serving,
}

/// A queue that a daemon watches; `more` are further lines of the environment's spec.
fn standing(more: &str) -> Standing {
    let it = Account::watchful();
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", more)]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let url = it.aws.output(&stack, "QueueUrl").unwrap();
    let daemon = Serving::ready(&it.world);
    Standing { it, stack, url, daemon }
}

impl Standing {
    /// Waits until the status says so.
    #[track_caller]
    fn until(&self, what: &str, check: impl Fn(&Value) -> bool) -> Value {
        self.it
            .aws
            .eventually(what, || Some(self.it.world.status(ID)).filter(|status| check(status)))
    }
}

#[test]
fn drift_is_found_property_by_property_and_left_alone() {
    let mut here = standing("");
    here.it.aws.set_retention(&here.url, 90);
    let status = here.until("the drift is seen", |s| s["drift"]["state"] == "Drifted");
    let text = status["drift"].to_string();
    assert!(text.contains("Queue.MessageRetentionPeriod"), "{text}");
    let said = "Queue.MessageRetentionPeriod changed (60 expected, 90 found)";
    let ready = &status["conditions"][0];
    assert_eq!((&ready["reason"], &status["phase"]), (&"Drifted".into(), &"Ready".into()));
    let message = ready["message"].as_str().unwrap();
    assert!(message.contains("changed in the world since") && message.contains(said), "{message}");
    for args in [["status", ID], ["explain", ID], ["logs", ID]] {
        let shown = here.it.world.vend_ends(0, &args).stdout;
        assert!(shown.contains(said), "vend {args:?}: {shown}");
    }

    here.it.aws.set_retention(&here.url, 60);
    here.until("it is as it was", |s| s["drift"]["state"] == "InSync");
    here.daemon.stop();
    assert_eq!(here.it.aws.effects(&here.stack), ["create"]);
    here.it.aws.assert_sound();
}

#[test]
fn drift_is_reverted_where_the_environment_says_so() {
    let mut here = standing("  onDrift: revert\n");
    here.it.aws.set_retention(&here.url, 90);
    let aws = &here.it.aws;
    aws.eventually("it is restored", || (aws.retention(&here.url) == "60").then_some(()));
    here.until("it is in sync", |s| s["phase"] == "Ready" && s["drift"]["state"] == "InSync");
    here.daemon.stop();
    assert_eq!(aws.effects(&here.stack), ["create", "update"], "{}", aws.history());
    let made = aws.calls().into_iter().find(|c| c.action == "CreateChangeSet" && c.done()).unwrap();
    assert_eq!(made.get("DeploymentMode"), "REVERT_DRIFT");
    aws.assert_sound();
}

#[test]
fn f32_what_cloudformation_sees_no_change_in_is_in_sync_as_it_is() {
    let it = Account::watchful();
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", "  onDrift: revert\n")]);
    let handle = |parameters: &str| ask(ID, request("handle@1.0.0", parameters));
    it.world.requests.commit([handle("{}")]);
    it.apply();
    let stack = it.stack(ID);
    let first = it.aws.tag(&stack, "vend:digest");
    it.world.requests.commit([handle("{note: another}")]);
    let said = it.apply();
    assert!(said.contains("1 updated"), "{said}");
    assert_eq!(it.aws.effects(&stack), ["create"], "there was nothing to change");
    let component = it.world.status(ID)["components"][0].clone();
    assert_eq!(component["mark"].as_str(), first.as_deref(), "{component}");
    assert_ne!(component["digest"], component["mark"]);

    let looks = it.aws.count("DetectStackDrift");
    let mut daemon = Serving::ready(&it.world);
    let often = || (it.aws.count("DetectStackDrift") > looks + 2).then_some(());
    it.aws.eventually("its drift is looked for", often);
    daemon.stop();
    let status = it.world.status(ID);
    assert_eq!(status["phase"], "Ready", "{status}");
    assert_ne!(status["drift"]["state"], "Drifted", "{status}");
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());
    it.aws.only_looks(|| it.apply());

    // What comes then finds it as it is, and marks it.
    it.world.requests.commit([handle("{note: more, queue: true}")]);
    it.apply();
    it.world.ready(ID);
    assert!(it.world.status(ID)["components"][0].get("mark").is_none());
    it.world.requests.commit([handle("{note: less, queue: true}")]);
    it.apply();
    it.world.requests.commit([crate::world::drop_request(ID)]);
    it.apply();
    assert!(it.aws.stacks().is_empty());
    it.again_nothing();
}

#[test]
fn a_stack_that_was_deleted_by_hand_is_made_again() {
    let mut here = standing("");
    let aws = &here.it.aws;
    let first = aws.id(&here.stack).unwrap();
    aws.remove(&here.stack);
    aws.eventually("it is there again", || aws.id(&here.stack).filter(|id| *id != first));
    here.daemon.stop();
    here.it.apply();
    here.it.world.ready(ID);
    assert_eq!(aws.effects(&here.stack), ["create", "create"]);
    aws.assert_sound();
}

/// How a rule makes a look for drift fail, as a whole or for the one resource.
fn fails(action: &str, from: &'static str, to: &'static str) -> Rule {
    Rule::on(action, Fault::answer(move |_, answer| answer.edit(|text| text.replace(from, to))))
}

#[test]
fn f40_a_look_for_drift_that_fails_is_not_taken_for_none() {
    let mut here = standing("");
    here.it.aws.set_retention(&here.url, 90);
    here.until("the drift is seen", |s| s["drift"]["state"] == "Drifted");
    let failed = "<DetectionStatus>DETECTION_FAILED</DetectionStatus>\
                  <DetectionStatusReason>no rights to look at the queue</DetectionStatusReason>";
    let complete = "<DetectionStatus>DETECTION_COMPLETE</DetectionStatus>";
    let status = "DescribeStackDriftDetectionStatus";
    let nothing = || fails("DescribeStackResourceDrifts", "MODIFIED", "IN_SYNC");
    // A look that was complete before would find all as it was, so it ends first.
    here.it.aws.rule(fails(status, complete, failed));
    let asked = here.it.aws.count(status);
    let failed_once = || (here.it.aws.count(status) > asked + 1).then_some(());
    here.it.aws.eventually("a look fails", failed_once);
    here.it.aws.rule(nothing());
    let seen = here.until("it is said", |s| s["drift"]["unchecked"].is_object());
    let text = seen["drift"].to_string();
    assert!(text.contains("Queue.MessageRetentionPeriod") && text.contains("no rights"), "{text}");
    let looks = here.it.aws.count("DetectStackDrift");
    let often = || (here.it.aws.count("DetectStackDrift") > looks + 2).then_some(());
    here.it.aws.eventually("it is looked for again", often);
    assert_eq!(here.it.world.status(ID)["drift"]["state"], "Drifted");

    // One resource that could not be looked at is as it was known to be.
    here.it.aws.no_rules();
    here.until("it is looked at again", |s| s["drift"]["unchecked"].is_null());
    here.it.aws.rule(fails("DescribeStackResourceDrifts", "MODIFIED", "UNKNOWN"));
    let seen = here.until("it is said", |s| s["drift"]["unchecked"].is_object());
    let text = seen["drift"].to_string();
    assert!(text.contains("Queue.MessageRetentionPeriod") && text.contains("`Queue`:"), "{text}");

    let logs = here.it.world.vend_ends(0, &["logs", ID]).stdout;
    assert!(logs.contains("DriftUnknown") && !logs.contains("InSync"), "{logs}");
    here.it.aws.no_rules();
    here.it.aws.set_retention(&here.url, 60);
    here.until("it is as it was", |s| s["drift"]["state"] == "InSync");

    // Where nothing was known to differ, nothing is known now.
    here.it.aws.rule(fails(status, complete, failed));
    let seen = here.until("it is said", |s| s["drift"]["state"] == "Unknown");
    assert_eq!(seen["phase"], "Ready");
    let message = seen["conditions"][0]["message"].as_str().unwrap();
    assert!(message.contains("no rights to look at the queue"), "{message}");
    here.it.aws.no_rules();
    here.until("all of it is looked at", |s| s["drift"]["state"] == "InSync");
    here.daemon.stop();
    assert_eq!(here.it.aws.effects(&here.stack), ["create"]);
    here.it.aws.assert_sound();
}

#[test]
fn a_look_for_drift_that_is_refused_holds_nothing() {
    let mut here = standing("");
    let status = || here.it.world.status(ID);
    let text = "Drift detection is already in progress for stack";
    // Somebody else's look is waited for.
    here.it
        .aws
        .rule(Rule::on("DetectStackDrift", Fault::Refuse(400, "ValidationError", text)).once());
    let looks = here.it.aws.count("DetectStackDrift");
    let twice = || (here.it.aws.count("DetectStackDrift") > looks + 2).then_some(());
    here.it.aws.eventually("it is asked again", twice);
    assert!(status()["drift"]["unchecked"].is_null(), "{}", status());

    let denied = Fault::Refuse(403, "AccessDenied", "not authorized to perform: DetectStackDrift");
    here.it.aws.rule(Rule::on("DetectStackDrift", denied));
    let seen = here.until("it is said", |s| s["drift"]["unchecked"].is_object());
    assert_eq!(seen["phase"], "Ready", "{seen}");
    assert!(seen["drift"].to_string().contains("not authorized to perform"), "{seen}");
    here.it.aws.no_rules();
    here.until("all of it is looked at", |s| s["drift"]["state"] == "InSync");
    here.daemon.stop();
    let logs = here.it.world.vend_ends(0, &["logs", ID]).stdout;
    assert!(!logs.contains("Held"), "{logs}");
    assert_eq!(here.it.aws.effects(&here.stack), ["create"]);
    here.it.aws.assert_sound();
}

#[test]
fn what_somebody_changed_and_put_back_is_as_it_was_applied() {
    let it = Account::watchful();
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", "  onDrift: revert\n")]);
    it.world.requests.commit([ask(ID, request("queue@1.0.0", "{}"))]);
    it.apply();
    let stack = it.stack(ID);
    let applied = it.aws.template(&stack);
    it.aws.change(&stack, &crate::aws::stack::queue(90));
    it.aws.change(&stack, &applied);

    let looks = it.aws.count("DetectStackDrift");
    let mut daemon = Serving::ready(&it.world);
    let often = || (it.aws.count("DetectStackDrift") > looks + 2).then_some(());
    it.aws.eventually("its drift is looked for", often);
    daemon.stop();
    it.world.ready(ID);
    let status = it.world.status(ID);
    assert_ne!(status["drift"]["state"], "Drifted", "{status}");
    assert_eq!(it.aws.effects(&stack), ["create"], "{}", it.aws.history());

    // What was not put back is drift.
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", "", "")]);
    it.aws.change(&stack, &crate::aws::stack::queue(90));
    let mut daemon = Serving::ready(&it.world);
    let seen = it.aws.eventually("that is seen", || {
        Some(it.world.status(ID)["drift"].to_string()).filter(|d| d.contains("Drifted"))
    });
    assert!(seen.contains("updated by somebody else"), "{seen}");
    daemon.stop();
    it.aws.assert_sound();
}
