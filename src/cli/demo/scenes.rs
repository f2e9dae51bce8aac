//! The story, scene by scene.

use super::place;
use super::stage::{At, Stage};
use crate::cli::failure::{Failure, Kind};
use crate::cli::output;

const STOREFRONT: &str = "requests/orders/test/storefront.yaml";
const CONFIG: &str = "requests/orders/dev/storefront-config.yaml";
const FLAGS: &str = "requests/payments/prod/checkout-flags.yaml";

/// Plays all of it.
pub fn play(stage: &mut Stage) -> Result<(), Failure> {
    repositories(stage)?;
    first_apply(stage)?;
    published(stage)?;
    edit(stage)?;
    mistake(stage)?;
    reference(stage)?;
    rename(stage)?;
    removal(stage)?;
    many_removals(stage)?;
    rewritten_history(stage)?;
    how_to_go_on(stage);
    Ok(())
}

fn repositories(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("Three repositories: templates, requests, and what comes out")?;
    let root = stage.root().to_owned();
    place::furnish(&root)?;
    for name in ["catalog", "requests", "deployments"] {
        std::fs::create_dir_all(root.join("git"))?;
        stage.own_git("git").run(&[
            "init",
            "-q",
            "--bare",
            "-b",
            "main",
            &format!("{name}.git"),
        ])?;
    }
    for (name, who) in [("catalog", "Platform"), ("requests", "Ada")] {
        let git = stage.own_git(name);
        git.run(&["init", "-q", "-b", "main"])?;
        git.run(&["config", "user.name", who])?;
        git.run(&["config", "user.email", &format!("{}@example.com", who.to_lowercase())])?;
        git.run(&[
            "remote",
            "add",
            "origin",
            &root.join(format!("git/{name}.git")).display().to_string(),
        ])?;
        git.run(&["add", "-A"])?;
        git.run(&["commit", "-qm", "The samples"])?;
        git.run(&["push", "-q", "-u", "origin", "main"])?;
    }
    output::print(&format!("In {}:", root.display()));
    output::print("   git/catalog.git       what the platform team offers; catalog/ is a clone");
    output::print("   git/requests.git      what developers ask for; requests/ is Ada's clone");
    output::print("   git/deployments.git   what vend writes, for Flux or Argo CD to read; empty");
    output::print("   vend.yaml             the operator's configuration");
    stage.git(At::Requests, &format!("show main:{STOREFRONT}"))?;
    stage.vend(At::Requests, "validate", 0)?;
    stage.notice("A request names a template and its parameters; its path is its identity: team, environment, name.");
    Ok(())
}

fn first_apply(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("Plan and apply")?;
    stage.vend(At::Operator, "plan --no-diff", 0)?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.vend(At::Operator, "status", 0)?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice(
        "What is applied stays applied: the second pass had nothing to do, and touched nothing.",
    );
    Ok(())
}

fn published(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("What came out, and where it is written down")?;
    stage.git(At::Operator, "-C git/deployments.git log --oneline main")?;
    stage.git(
        At::Operator,
        "-C git/deployments.git show main:dev/orders/storefront-config/config/config.yaml",
    )?;
    stage.git(At::Operator, "-C git/requests.git ls-tree -r --name-only vend/status status")?;
    stage.notice("One commit for many targets; a status file for each request, on a branch that vend alone writes.");
    Ok(())
}

fn edit(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("A developer edits a request")?;
    stage.edits(STOREFRONT, "storefront:4.2.0", "storefront:4.3.0")?;
    stage.vend(At::Requests, "plan", 0)?;
    stage.pushes("Storefront 4.3.0 in test")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice(
        "The plan came from the uncommitted file, on a laptop, without a daemon or a credential.",
    );
    Ok(())
}

fn mistake(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("A mistake")?;
    stage.edits(STOREFRONT, "    host: shop\n", "    hots: shop\n")?;
    stage.vend(At::Requests, "validate", 3)?;
    stage.pushes("A typo, merged all the same")?;
    stage.vend(At::Operator, "apply", 3)?;
    stage.git(At::Operator, "-C git/deployments.git log --oneline -1 main")?;
    stage.notice("A broken file changes and deletes nothing: what was applied keeps running.");
    stage.edits(STOREFRONT, "    hots: shop\n", "    host: shop\n")?;
    stage.pushes("Mend it")?;
    stage.vend(At::Operator, "apply", 0)?;
    Ok(())
}

fn reference(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("One request's output fills another's parameter")?;
    stage.edits(CONFIG, "LOG_LEVEL: debug", "LOG_LEVEL: info")?;
    stage.pushes("Less to read")?;
    stage.vend(At::Operator, "plan", 0)?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice("`storefront` refers to the digest of `storefront-config`: changing the one restarts the other, in this order.");
    Ok(())
}

fn rename(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("Renaming never destroys")?;
    let new = "requests/payments/dev/checkout-service.yaml";
    stage.git(At::Requests, &format!("mv requests/payments/dev/checkout-api.yaml {new}"))?;
    stage.pushes("A better name")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice(
        "A file gone and one like it come: held, since deleting and making anew was hardly meant.",
    );
    stage.edits(new, "spec:\n", "spec:\n  movedFrom: payments/dev/checkout-api\n")?;
    stage.pushes("Say so")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice("Moved, not deleted: its target keeps the name and the folder that it had.");
    Ok(())
}

fn removal(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("Removing a request, and a protected one")?;
    stage.git(At::Requests, &format!("rm -q {STOREFRONT} {FLAGS}"))?;
    stage.pushes("No longer needed")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice(
        "`test` let go of it; `prod` is protected, and what runs there is not ended by one commit.",
    );
    let git = stage.own_git("requests");
    git.run(&["checkout", "-q", "HEAD~1", "--", FLAGS])?;
    stage.edits(FLAGS, "spec:\n", "spec:\n  delete: {confirm: checkout-flags}\n")?;
    stage.pushes("The flags may go")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.git(At::Requests, &format!("rm -q {FLAGS}"))?;
    stage.pushes("The flags go")?;
    stage.vend(At::Operator, "apply", 0)
}

fn many_removals(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("Removing a lot at once")?;
    stage.git(At::Requests, "rm -rq requests/orders/dev requests/platform/dev")?;
    stage.pushes("Clean up dev")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice("Four of nine is more than three and more than a tenth: none goes until a person approves this very set.");
    let plan = stage.asks(&["plan"])?;
    let digest = to_approve(&plan).ok_or_else(|| {
        Failure::new(Kind::Failed, anyhow::anyhow!("the plan names no digest to approve"))
    })?;
    stage.vend(At::Operator, &format!("approve {digest}"), 0)?;
    stage.vend(At::Operator, "apply", 0)
}

/// The digest in the first hold that asks for one.
fn to_approve(plan: &serde_json::Value) -> Option<String> {
    let holds = plan.get("holds")?.as_array()?;
    holds.iter().find_map(|hold| digest_in(hold)).map(str::to_owned)
}

fn digest_in(value: &serde_json::Value) -> Option<&str> {
    match value {
        serde_json::Value::Object(map) => {
            map.get("digest").and_then(|d| d.as_str()).or_else(|| map.values().find_map(digest_in))
        }
        _ => None,
    }
}

fn rewritten_history(stage: &mut Stage) -> Result<(), Failure> {
    stage.scene("Somebody rewrites history")?;
    stage.git(At::Requests, "reset -q --hard HEAD~3")?;
    stage.git(At::Requests, "push -q --force")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.notice(
        "A branch that does not go on from where it was is not obeyed until a person accepts it.",
    );
    stage.git(At::Requests, "reset -q --hard ORIG_HEAD")?;
    stage.git(At::Requests, "push -q --force")?;
    stage.vend(At::Operator, "apply", 0)?;
    stage.vend(At::Operator, "status", 0)
}

fn how_to_go_on(stage: &Stage) {
    let root = stage.root().display();
    output::print(&format!(
        "
== How to look further

Everything is still there:

   PATH={bin}:$PATH
   cd {root}
   vend explain orders/prod/storefront         why it is as it is, from the file to what was written
   vend serve                                  the daemon: push from requests/ and watch it follow
   git -C git/deployments.git log -p main      every change, as a diff of what was rendered
   git -C git/requests.git log -p vend/status  the same, with status and outputs
   cd requests && vend plan --all              as a developer sees it

`vend init DIR` writes a small catalog and a requests repository to start from.",
        bin = stage.program().parent().unwrap_or(stage.program()).display(),
    ));
}
