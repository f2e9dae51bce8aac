//! A later end for a request, written into its file.

use super::Laptop;
use crate::world::{World, ask, catalog, path_of, write};

const FILE: &str = "# Ours.\napiVersion: vend.dev/v1\nkind: Request\nspec:\n  template: note@1.0.0   # exact\n  ttl: 14d\n  parameters: {text: hello}\n";

#[test]
fn a_file_says_a_later_end_and_no_later_than_its_template_allows() {
    let world = World::new();
    let mut files = catalog::note("2.0.0");
    files[0] = files[0].clone().and_replace(
        "  components:",
        "  ttl: {default: 14d, max: 30d, environments: [dev]}\n  components:",
    );
    world.catalog.commit(files);
    let asks = |version: &str| FILE.replace("note@1.0.0", &format!("note@{version}"));
    let plain = |version: &str| asks(version).replace("  ttl: 14d\n", "");
    world.requests.commit([
        ask("orders/dev/own", asks("2.0.0")),
        ask("orders/dev/given", plain("2.0.0")),
        ask("orders/dev/free", asks("1.0.0")),
        ask("orders/dev/endless", plain("1.0.0")),
        ask("orders/prod/elsewhere", plain("2.0.0")),
        ask(
            "orders/dev/until",
            asks("1.0.0").replace("ttl: 14d", "expiresAt: \"2100-01-01T00:00:00Z\""),
        ),
    ]);
    world.apply();
    assert!(world.status("orders/dev/given")["expiresAt"].is_string());
    assert!(world.status("orders/prod/elsewhere")["expiresAt"].is_null(), "only where it applies");
    let laptop = Laptop::new(&world);
    let file = |id: &str| std::fs::read_to_string(laptop.clone.join(path_of(id))).unwrap();

    let said = laptop.ends(0, &["extend", "orders/dev/own", "7d", "--dry-run"]).stdout;
    assert!(said.contains("would say `ttl: 21d`: it ends at "), "{said}");
    assert_eq!(file("orders/dev/own"), asks("2.0.0"));
    laptop.ends(0, &["extend", "orders/dev/own", "1w"]);
    assert_eq!(file("orders/dev/own"), asks("2.0.0").replace("14d", "21d"), "all else stays");
    let refused = laptop.ends(3, &["extend", "orders/dev/own", "10d"]).stderr;
    assert!(refused.contains("may live for 30d"), "{refused}");

    let told = laptop.ends(0, &["extend", "orders/dev/given", "7d", "--format", "json"]).json();
    assert_eq!(told["line"], "ttl: \"21d\"", "told is what is written");
    assert!(
        file("orders/dev/given").contains("\n  ttl: \"21d\"\n"),
        "{}",
        file("orders/dev/given")
    );
    laptop.ends(0, &["extend", "orders/dev/free", "36500d"]);
    assert!(file("orders/dev/free").contains("ttl: 36500d\n"));
    let said = laptop.ends(0, &["extend", "orders/dev/until", "1d"]).stdout;
    assert!(said.contains("it ends at 2100-01-02 00:00:00 UTC, and not at 2100-01-01"), "{said}");
    assert!(file("orders/dev/until").contains("expiresAt: \"2100-01-02T00:00:00Z\""));

    let nothing = laptop.ends(3, &["extend", "orders/dev/endless", "1d"]).stderr;
    assert!(nothing.contains("has no end"), "{nothing}");
    for wrong in ["P1D", "0d", "-1d", "99999999999d", "7"] {
        laptop.ends(2, &["extend", "orders/dev/own", "--", wrong]);
    }
    laptop.ends(2, &["extend", "orders/dev/nobody", "1d"]);

    let plan = laptop.ends(0, &["plan"]).stdout;
    let end =
        "~ orders/dev/until ends at 2100-01-02 00:00:00 UTC instead of 2100-01-01 00:00:00 UTC";
    assert!(plan.contains(end), "{plan}");
    laptop.ends(0, &["validate"]);
    laptop.push();
    world.apply();
    let status = world.status("orders/dev/until");
    assert_eq!(status["expiresAt"], "2100-01-02T00:00:00Z");
    world.again_nothing();
}

#[test]
fn what_is_no_end_is_said_with_its_place() {
    let world = World::new();
    world.requests.commit([write("requests/README.md", "Requests.\n")]);
    let laptop = Laptop::new(&world);
    for (term, code) in [
        ("ttl: 99999999999d", "SCH005"),
        ("ttl: -1d", "SCH005"),
        ("ttl: P1D", "SCH005"),
        ("ttl: 0", "SCH003"),
        ("ttl: 999999d", "REQ011"),
    ] {
        let path = laptop.clone.join(path_of("orders/dev/wrong"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, FILE.replace("ttl: 14d", term)).unwrap();
        let said = laptop.ends(3, &["validate", "--format", "json"]).stdout;
        assert!(said.contains(code), "{term}: {said}");
        assert!(said.contains("\"line\":6") && said.contains("\"column\":8"), "{term}: {said}");
    }
}
