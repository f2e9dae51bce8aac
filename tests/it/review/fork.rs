//! Pull requests of forks, and accounts without an App.

use serde_json::json;

use super::Desk;
use crate::world::{ask, note};

#[test]
fn b94_a_fork_reaches_no_provider_before_a_maintainer_asks_for_that_very_commit() {
    let mut desk = Desk::new();
    // The world that is looked at cannot be reached: whoever looks, says so.
    let _daemon = desk.serve();
    super::approval::settled(&desk, "orders/dev/it");
    let output = desk.world.output.path().to_owned();
    let away = output.with_extension("away");
    std::fs::rename(&output, &away).unwrap();
    let fork = desk.hub.fork("acme/requests", "mallory");
    fork.push_branch("mallory", "mine", "main", [ask("orders/dev/it", note("mine"))]);
    let n = desk.repo().open_pull("mallory", "mallory:mine", "main", "Please");
    let head = fork.at("mine");
    let body = desk.says(n, &["orders/dev/it", &format!("/vend plan {head}")]);
    assert!(!body.contains("could not be seen"), "{body}");
    // Green it would say that nothing can be lost, and nobody has looked.
    let waits = |at: &str| {
        crate::daemon::eventually(&format!("vend/approval of {at} waits for a maintainer"), || {
            let runs = desk.repo().checks(at);
            let run = runs.into_iter().rfind(|run| run.name == "vend/approval")?;
            let title = run.title.as_deref().unwrap_or_default();
            (run.status == "queued" && title.contains("until a maintainer asks")).then_some(())
        });
    };
    waits(&head);
    for (who, text) in [("mallory", format!("/vend plan {head}")), ("grace", "/vend plan".into())] {
        let refused = desk.repo().comment(who, n, &text);
        desk.reacted(n, refused, "-1");
    }
    let asked = desk.repo().comment("grace", n, &format!("/vend plan {head}"));
    desk.reacted(n, asked, "+1");
    std::fs::rename(&away, &output).unwrap();
    desk.saysnot(n, &format!("/vend plan {head}\n```"));
    desk.check(&head, "vend/approval", "success");

    // A new commit needs to be asked for again.
    fork.push("mallory", "mine", [ask("orders/dev/it", note("other"))]);
    let next = fork.at("mine");
    desk.says(n, &[&format!("/vend plan {next}\n")]);
    waits(&next);
    desk.repo().merge("grace", n);
    desk.says(n, &["Done"]);
    desk.ready("orders/dev/it");
    desk.again_nothing();
    let _ = &mut desk;
}

#[test]
fn a_personal_token_sets_statuses_where_it_cannot_write_checks() {
    let mut desk = Desk::new();
    desk.repo().permit("robot", "write");
    let token = desk.world.root().join("token");
    std::fs::write(&token, desk.hub.token("robot")).unwrap();
    let api = desk.hub.api();
    desk.world.configure(|c| c["forge"] = json!({"github": {"api": api, "tokenFile": token}}));
    let _daemon = desk.serve();
    let n = desk.propose("ada", "one", [ask("orders/dev/one", note("one"))]);
    let head = desk.repo().at("one");
    let stated = |at: &str| {
        let all = desk.repo().statuses(at).into_iter();
        all.map(|it| format!("{} {}", it.context, it.state)).collect::<Vec<_>>()
    };
    crate::daemon::eventually("both statuses", || {
        (stated(&head) == ["vend success", "vend/approval success"]).then_some(())
    });
    let ours = || desk.repo().comments(n).into_iter().filter(|it| it.author == "robot");
    crate::daemon::eventually("its comment", || ours().next());
    let merged = desk.repo().merge("grace", n);
    crate::daemon::eventually("it is done", || {
        ours().next().filter(|said| said.body.contains("Done"))
    });
    crate::daemon::eventually("the merged commit's", || {
        stated(&merged).contains(&"vend success".to_owned()).then_some(())
    });
    assert_eq!(ours().count(), 1);
    desk.again_nothing();
}
