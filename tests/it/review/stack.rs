//! Stacks by pull request: what its people read from the first plan to what a provider refused.

use super::Desk;
use crate::aws::Aws;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::stacks::{Account, catalog};
use crate::world::{ask, request, write};

const ID: &str = "orders/dev/it";

/// An account, and a desk whose requests become stacks in it.
fn desk(rules: &str) -> (Aws, Desk) {
    let Account { aws, world } = Account::new();
    world.catalog.commit([catalog::environment(&aws, "dev", "", rules)]);
    let desk = Desk::with(world);
    desk.hub.team("acme", "platform", &["edsger"]);
    desk.repo().permit("edsger", "write");
    (aws, desk)
}

#[test]
fn a_stack_is_made_then_replaced_as_a_rule_asks_and_then_refused_in_its_providers_words() {
    let rules = "  approvals:\n    - when: plan.replaces > 0\n      teams: [platform]\n      \
                 reason: it makes anew what customers use.\n";
    let (aws, desk) = desk(rules);
    let _daemon = desk.serve();
    let account = format!("`eu-west-1` of account `{}`", aws.account());
    let account = account.replace("eu-west-1", crate::aws::REGION);

    // Made: nobody has to say yes.
    let n = desk.propose("ada", "make", [ask(ID, request("queue@1.0.0", "{name: first}"))]);
    let body = desk.says(n, &["1 to create", "create `AWS::SQS::Queue` `Queue`"]);
    assert!(body.contains(&format!("Made in {account}.")), "{body}");
    assert!(!body.contains("CAUTION") && !body.contains("Approvals"), "{body}");
    desk.check(&desk.repo().at("make"), "vend/approval", "success");
    desk.repo().merge("grace", n);
    let body = desk.says(n, &["Done: 1 request", "**ready** `orders/dev/it` in "]);
    assert!(!body.contains("[console of"), "another endpoint has no console: {body}");
    desk.ready(ID);
    let outputs = desk.world.status(ID)["outputs"].clone();
    for name in ["url", "arn"] {
        let line = format!("- `{name}` = `{}`", outputs[name].as_str().unwrap());
        assert!(body.contains(&line), "{line}\n{body}");
    }

    // Replaced: said on top, and asked of the team in the rule's own words.
    let n = desk.propose("ada", "swap", [ask(ID, request("queue@1.0.0", "{name: second}"))]);
    let why = "because it makes anew what customers use (";
    let body = desk.says(n, &["> [!CAUTION]", "an approving review by 1 of `acme/platform`", why]);
    let loss = "> - **Replaces** `Queue` (`AWS::SQS::Queue`) in `orders/dev/it#queue`: `QueueName` changes";
    assert!(body.contains(loss), "{body}");
    assert!(body.contains(&format!("Takes place in {account}.")), "{body}");
    let head = desk.repo().at("swap");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.check(&head, "vend/approval", "success");
    desk.says(n, &["**Given** by `edsger`", why]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done: 1 request", "/second`"]);
    let stack = desk.world.status(ID)["components"][0]["target"].as_str().unwrap().to_owned();
    assert_eq!(aws.effects(&stack), ["create", "update"]);

    // Refused: the provider's words, what helps, and the line to paste; which alone would fail again.
    aws.make_bucket("somebody-elses");
    let bucket =
        |name: &str| ask("orders/dev/files", request("bucket@1.0.0", &format!("{{name: {name}}}")));
    let n = desk.propose("ada", "files", [bucket("somebody-elses")]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    let body =
        desk.says(n, &["Failed: 1 of 1 request", "Mend what is said above", "/vend approve "]);
    assert!(body.contains("(AWS::S3::Bucket)") && body.contains("'somebody-elses'"), "{body}");
    let after = body.find("already exists").unwrap();
    assert!(body[after..].contains("`ROLLBACK_COMPLETE`"), "{body}");

    let n = desk.propose("ada", "mended", [bucket("ours-at-last")]);
    desk.says(n, &["orders/dev/files"]);
    desk.repo().merge("grace", n);
    let body = desk.says(n, &["/vend approve sha256:"]);
    let line = body.lines().find(|line| line.starts_with("/vend approve ")).unwrap();
    let said = desk.repo().comment("grace", n, line);
    desk.reacted(n, said, "+1");
    desk.says(n, &["Done: 1 request", "- `name` = `ours-at-last`"]);
    eventually("both are ready", || {
        let phase = |id: &str| desk.world.status_or_none(id).map(|status| status["phase"].clone());
        (phase(ID)? == "Ready" && phase("orders/dev/files")? == "Ready").then_some(())
    });
    aws.assert_sound();
    desk.again_nothing();
}

#[test]
fn an_environment_whose_previews_may_change_all_of_it_is_warned_of() {
    let desk = Desk::new();
    let settings = |more: &str| {
        format!("{{region: eu-north-1, role: \"arn:aws:iam::123456789012:role/vend\"{more}}}")
    };
    let environment = |name: &str, more: &str| {
        let text = format!(
            "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  providers:\n    \
             cloudformation: {}\n",
            settings(more)
        );
        write(format!("environments/{name}.yaml"), text)
    };
    let apart = ", previewRole: \"arn:aws:iam::123456789012:role/vend-preview\"";
    desk.world.catalog.commit([environment("broad", ""), environment("apart", apart)]);
    let daemon = desk.serve();
    let line = daemon.logged("name a `previewRole` beside `role`");
    assert!(line.contains("broad"), "{line}");
    assert_eq!(daemon.count("name a `previewRole` beside `role`"), 1);
    desk.again_nothing();
}
