//! A product that runs already, taken over by the template that it was imported as.

use std::path::Path;

use super::Account;
use crate::world::{ask, request_with};

const ID: &str = "orders/dev/events";
const STACK: &str = "orders-events";

#[test]
fn a_running_product_is_imported_and_adopted_without_a_change() {
    let it = Account::new();
    let product = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import/product");
    let text = std::fs::read_to_string(product.join("queue.yaml")).unwrap();
    let given =
        [("Retention", "120"), ("Stage", "prod"), ("Owners", "grace,ada"), ("Label", "fast")];
    it.aws.make_with(STACK, &text, &given);
    let (id, url) = (it.aws.id(STACK), it.aws.output(STACK, "QueueUrl").unwrap());

    let clone = it.world.root().join("catalog-clone");
    let (from, to) = (it.world.catalog.url(), clone.to_str().unwrap());
    it.world.catalog.git(&["clone", "-q", &from, to]);
    let from = product.to_str().unwrap();
    let common = ["catalog", "import", "service-catalog", from, "--into", to, "--name", "product"];
    let said = it.world.vend_ends(
        0,
        &[&common[..], &["--version", "1.0.0", "--stack-name", "{team}-{name}"]].concat(),
    );
    assert!(said.stdout.contains("Wrote templates/product/1.0.0."), "{}", said.stdout);
    let who = ["-C", to, "-c", "user.name=Ada", "-c", "user.email=ada@example.com"];
    it.world.catalog.git(&[&who[..], &["add", "-A"]].concat());
    it.world.catalog.git(&[&who[..], &["commit", "-qm", "Import"]].concat());
    it.world.catalog.git(&[&who[..], &["push", "-q", "origin", "HEAD:main"]].concat());

    let parameters = "{Retention: 120, Stage: prod, Owners: [grace, ada], Label: fast}";
    it.world.requests.commit([ask(ID, request_with("product@1.0.0", parameters, "adopt: true"))]);
    let plan = it.world.vend_ends(0, &["plan", "--preview", "--format", "json"]).json();
    let step = &plan["steps"][0];
    assert_eq!(step["request"], ID, "{plan}");
    assert_eq!(step["resources"].as_array().map_or(0, Vec::len), 0, "{step}");
    it.apply();
    it.world.ready(ID);
    assert_eq!(it.aws.tag(STACK, "vend:request").as_deref(), Some(ID));
    assert_eq!((it.aws.id(STACK), it.aws.output(STACK, "QueueUrl").unwrap()), (id, url.clone()));
    assert_eq!(it.aws.retention(&url), "120");
    it.again_nothing();

    let parameters = parameters.replace("120", "240");
    it.world.requests.commit([ask(ID, request_with("product@1.0.0", &parameters, "adopt: true"))]);
    let plan = it.world.vend_ends(0, &["plan", "--preview"]).stdout;
    assert!(plan.contains("MessageRetentionPeriod"), "{plan}");
    it.apply();
    assert_eq!(it.aws.retention(&url), "240");
    it.again_nothing();
}
