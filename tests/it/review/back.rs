//! What comes back to what it was, and what was said of it before.

use std::os::unix::fs::PermissionsExt as _;

use super::Desk;
use super::again::direct;
use crate::daemon::eventually;
use crate::github::Verdict;
use crate::world::{ask, catalog, request, to_approve};

const ID: &str = "orders/dev/it";

#[test]
fn b97_what_was_begun_asks_again_once_another_content_was_spoken_of() {
    let desk = Desk::new();
    let hook = desk.world.output.path().join("hooks/update");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    let script = "#!/bin/sh\ngit diff --name-only $2 $3 | grep -q /top/ && exit 1\nexit 0\n";
    std::fs::write(&hook, script).unwrap();
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
    let _daemon = desk.serve();
    let pair = |text: &str| ask(ID, request("pair@1.0.0", &format!("{{text: {text}}}")));
    let n = desk.propose("ada", "pair", [pair("a")]);
    desk.says(n, &["2 to create"]);
    desk.repo().merge("grace", n);
    // One of its two is made, and the other cannot be.
    let base = || desk.world.output_file("dev/orders/it/base/base.yaml");
    eventually("the first is made", base);
    eventually("the second fails", || {
        let status = desk.world.status_or_none(ID)?;
        ["Failed", "Held"].contains(&status["phase"].as_str()?).then_some(())
    });
    desk.repo().push("mallory", "main", [pair("b")]);
    let first = direct(&desk, ID);
    desk.repo().push("mallory", "main", [pair("a")]);
    let second = eventually("it is held as another push", || {
        let status = desk.world.status_or_none(ID)?;
        let said = status["waitingFor"].as_str()?.to_owned();
        let is_direct = said.contains("without a pull request");
        (is_direct && to_approve(&said) != first).then(|| to_approve(&said))
    });
    desk.again_nothing();
    std::fs::remove_file(&hook).unwrap();
    desk.world.vend_ends(0, &["approve", &second]);
    desk.world.vend_ends(0, &["retry", ID]);
    desk.ready(ID);
    desk.again_nothing();
}

#[test]
fn b97_what_was_approved_of_what_was_taken_back_is_not_approved_of_a_catalogs_change() {
    let desk = Desk::new();
    let (output, platform) = (desk.world.output.url(), ["edsger", "barbara"]);
    let rules = "  approvals:\n    - {when: \"plan.updates > 0\", teams: [platform], count: 2}\n";
    desk.world.catalog.commit([catalog::environment("dev", &output, rules)]);
    desk.hub.team("acme", "platform", &platform);
    platform.iter().for_each(|who| desk.repo().permit(who, "write"));
    let _daemon = desk.serve();
    let says = |parameters: &str| ask(ID, request("note@1.1.0", parameters));
    let n = desk.propose("ada", "one", [says("{text: a}")]);
    desk.says(n, &["1 to create"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready(ID);
    let made = || desk.world.output_file("dev/orders/it/note/note.yaml").unwrap();
    let before = made();
    // One of two said yes to it, and it is taken back.
    let n = desk.propose("ada", "two", [says("{text: a, tone: calm}")]);
    let head = desk.repo().at("two");
    desk.check(&head, "vend/approval", "action_required");
    desk.repo().review("edsger", n, Verdict::Approve);
    desk.says(n, &["`edsger`"]);
    desk.repo().merge("grace", n);
    desk.says(n, &["/vend approve "]);
    let back = desk.propose("ada", "back", [says("{text: a}")]);
    desk.check(&desk.repo().at("back"), "vend/approval", "success");
    desk.repo().merge("grace", back);
    desk.ready(ID);
    desk.again_nothing();
    // By a default of the environment it would come to the very same.
    let defaults = format!("{rules}  defaults: {{note: {{tone: calm}}}}\n");
    desk.world.catalog.commit([catalog::environment("dev", &output, &defaults)]);
    let said = eventually("it is held", || {
        let status = desk.world.status_or_none(ID)?;
        let is_held = status["conditions"][0]["reason"] == "NeedsApproval";
        is_held.then(|| status["waitingFor"].as_str().unwrap().to_owned())
    });
    assert!(!said.contains("edsger"), "{said}");
    desk.world.vend_ends(0, &["approve", &to_approve(&said)]);
    desk.again_nothing();
    assert_eq!(made(), before, "one of two has said yes to this");
    let line = format!("/vend approve {}", to_approve(&said));
    let yes = desk.repo().comment("barbara", back, &line);
    desk.reacted(back, yes, "+1");
    desk.ready(ID);
    assert_eq!(made(), "text: a\ntone: calm\n");
    desk.again_nothing();
}
