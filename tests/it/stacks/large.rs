//! Templates that are too large for a call.

use super::{Account, catalog};
use crate::world::{ask, request};

const ID: &str = "orders/dev/large";

#[test]
fn a_large_template_goes_by_way_of_the_bucket() {
    let it = Account::new();
    it.aws.make_bucket("large-templates");
    let settings = ", templateBucket: large-templates";
    it.world.catalog.commit([catalog::environment(&it.aws, "dev", settings, "")]);
    it.world.catalog.commit(catalog::large());
    it.world.requests.commit([ask(ID, request("large@1.0.0", "{}"))]);
    it.apply();
    it.world.ready(ID);
    it.world.requests.commit([ask(ID, request("large@1.0.0", "{seconds: 120}"))]);
    it.apply();
    assert_eq!(it.aws.effects(&it.stack(ID)), ["create", "update"]);
    let calls = it.aws.calls();
    for action in ["CreateStack", "CreateChangeSet"] {
        let call = calls.iter().find(|call| call.action == action).unwrap();
        let (body, url) = (call.get("TemplateBody"), call.get("TemplateURL"));
        assert!(body.is_empty() && url.contains("/large-templates/vend/"), "{action}: {url}");
    }
    it.again_nothing();
}

#[test]
fn without_a_bucket_its_size_is_said_and_above_the_limit_nothing_helps() {
    let it = Account::new();
    it.world.catalog.commit(catalog::large());
    let huge = "orders/dev/huge";
    let notes: Vec<String> = (0..40).map(|n| format!("n{n}")).collect();
    let notes = format!("{{notes: [{}]}}", notes.join(", "));
    it.world
        .requests
        .commit([ask(ID, request("large@1.0.0", "{}")), ask(huge, request("large@1.0.0", &notes))]);
    // Nobody has to apply it to learn that.
    let plan = it.world.vend(&["plan"]);
    assert!(plan.stdout.contains("PRV001") && plan.stdout.contains("orders/dev/large"), "{plan:?}");
    it.world.vend_ends(3, &["apply", "--wait"]);
    let sentence = it.world.held(ID, "Invalid");
    assert!(
        sentence.contains("the template has 52") && sentence.contains("`templateBucket`"),
        "{sentence}"
    );
    let sentence = it.world.held(huge, "Invalid");
    assert!(sentence.contains("at most 1000000"), "{sentence}");
    assert!(!it.aws.calls().iter().any(|call| call.writes()), "{}", it.aws.history());
}
