//! `vend catalog show`.

use std::path::Path;

use super::Desk;
use crate::cli::Laptop;
use crate::world::{World, ask, catalog, note, path_of, request};

#[test]
fn a_template_reads_like_a_page_of_a_manual() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let page = desk.ends(0, &["catalog", "show", "note"]).stdout;
    insta::assert_snapshot!(page, @r"
    note@1.1.0

    lifecycle  stable
    versions   1.1.0, 1.0.0

    Parameters
      text  string; required
      tone  string; default plain

    Outputs
      commit  note.commit
      path  note.path

    Components
      note  files

    Environments
      dev
      prod  protected

    Example
      # requests/example/dev/note.yaml
      apiVersion: vend.dev/v1
      kind: Request
      spec:
        template: note@1.1.0
        parameters:
          text: example
    ");
    for (wanted, first) in [("note@1.0.0", "note@1.0.0"), ("note@~1.0", "note@1.0.0")] {
        let page = desk.ends(0, &["catalog", "show", wanted]).stdout;
        assert!(page.starts_with(&format!("{first}\n")), "{page}");
    }
    let said = desk.ends(1, &["catalog", "show", "nota"]).stderr;
    assert!(said.contains("did you mean `note`?"), "{said}");
    let said = desk.ends(1, &["catalog", "show", "note@7.0.0"]).stderr;
    assert!(said.contains("there are 1.1.0, 1.0.0"), "{said}");
    desk.ends(2, &["catalog", "show", "note@latest"]);
    desk.ends(2, &["catalog", "show", "note", "--users"]);
}

#[test]
fn the_example_of_every_sample_is_accepted() {
    let world = World::new();
    let laptop = Laptop::new(&world);
    let catalog = Path::new(env!("CARGO_MANIFEST_DIR")).join("sample-catalog");
    let catalog = catalog.to_str().unwrap();
    let listed = laptop.ends(0, &["catalog", "list", "--catalog", catalog, "--format", "json"]);
    let listed = listed.json();
    let templates = listed["templates"].as_array().unwrap();
    assert!(templates.len() > 5);
    for template in templates {
        let name = template["name"].as_str().unwrap();
        let show = |more: &[&str]| {
            laptop.ends(0, &[&["catalog", "show", name, "--catalog", catalog], more].concat())
        };
        let example = &show(&["--format", "json"]).json()["example"];
        assert!(example.is_object(), "{name} has no example");
        let (path, text) = (example["path"].as_str().unwrap(), example["text"].as_str().unwrap());
        laptop.write(path, text);
        let said = laptop.ends(0, &["validate", path, "--catalog", catalog]).stdout;
        assert!(said.contains("0 errors"), "{name}: {said}");
        laptop.remove(path);
        // Whatever stands on the page, it keeps to the width, but for what is to be copied.
        let mut narrow =
            laptop.command_in(&laptop.clone, &["catalog", "show", name, "--catalog", catalog]);
        narrow.env("COLUMNS", "40");
        let page = crate::cli::run(narrow).stdout;
        let (page, _) = page.split_once("\nExample\n").unwrap();
        let long = |line: &&str| line.chars().count() > 40 && line.split_whitespace().count() > 2;
        let broad: Vec<&str> = page.lines().skip(1).filter(long).collect();
        assert_eq!(broad, [""; 0], "{page}");
    }
}

#[test]
fn users_are_told_from_the_status_branch_and_the_working_copy() {
    let world = World::new();
    world.requests.commit([
        ask("orders/dev/a", note("x")),
        ask("orders/prod/b", request("note@^1", "{text: x}")),
        ask("payments/dev/c", note("x")),
        ask("payments/dev/p", request("pair@1.0.0", "{}")),
    ]);
    world.apply();
    let laptop = Laptop::new(&world);
    world.apply();
    laptop.write(&path_of("payments/dev/new"), request("note@~1.1", "{text: y}"));
    laptop.write(&path_of("payments/dev/c"), request("pair@1.0.0", "{}"));
    let page = laptop.ends(0, &["catalog", "show", "note", "--users"]).stdout;
    let (_, users) = page.split_once("\nUsers\n").unwrap();
    insta::assert_snapshot!(users, @r"
      3 requests
      by version      1.1.0 2, 1.0.0 1
      by team         orders 2, payments 1
      by environment  dev 2, prod 1
      orders/dev/a  1.0.0  Ready
      orders/prod/b  1.1.0  Ready
      payments/dev/new  1.1.0  not published yet
    ");
    let all = laptop.ends(0, &["catalog", "show", "note", "--users", "--format", "json"]).json();
    assert_eq!(all["users"].as_array().unwrap().len(), 3);
    assert_eq!(all["users"][2]["team"], "payments");
}
