//! `vend catalog list`.

use super::Desk;
use crate::cli::Laptop;
use crate::world::{World, catalog, remove, write};

#[test]
fn what_can_be_requested_is_listed_from_anywhere() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let expected = "note    1.1.0\npair    1.0.0\nreader  1.0.0\n";
    assert_eq!(desk.ends(0, &["catalog", "list"]).stdout, expected);

    // A clone of the requests, an operator, and somebody with nothing but an address.
    let laptop = Laptop::new(&world);
    assert_eq!(laptop.ends(0, &["catalog", "list"]).stdout, expected);
    assert_eq!(world.vend_ends(0, &["catalog", "list"]).stdout, expected);
    let url = format!("file://{}", world.catalog.url());
    let from = |place: &str, code| {
        let args = ["catalog", "list", "--catalog", place];
        let output = crate::cli::run(desk.command_in(desk.folder.parent().unwrap(), &args));
        assert_eq!(output.code, code, "{output:?}");
        output
    };
    assert_eq!(from(&url, 0).stdout, expected);
    assert_eq!(from(&desk.folder.display().to_string(), 0).stdout, expected);
    let said = from(&world.root().join("home").display().to_string(), 2).stderr;
    assert!(said.contains("there is no `catalog.yaml` in "), "{said}");
}

#[test]
fn a_listing_says_what_not_to_choose() {
    let world = World::new();
    let desk = Desk::new(&world, catalog::files(&world.output.url()));
    let metadata = |name: &str, version: &str, more: &str| {
        let file = format!("templates/{name}/{version}/template.yaml");
        let text = std::fs::read_to_string(desk.folder.join(&file)).unwrap();
        let is = format!("version: {version}");
        assert!(text.contains(&is), "{text}");
        desk.edit([write(file, text.replace(&is, &format!("{is}, {more}")))]);
    };
    metadata("note", "1.1.0", "lifecycle: experimental");
    metadata("note", "1.0.0", "title: A note, description: \"Some text\\u202e in a file.\"");
    metadata("pair", "1.0.0", "lifecycle: deprecated, replacedBy: note@^1");
    desk.edit([remove("templates/reader/1.0.0/reader.yaml.hbs")]);
    let listed = desk.ends(0, &["catalog", "list"]);
    insta::assert_snapshot!(listed.stdout, @r"
    note    1.0.0  A note. Some text\u{202E} in a file.
    pair    1.0.0
                   deprecated: use note@^1
    reader  1.0.0
                   has errors and cannot be requested
    ");
    assert!(listed.stderr.contains("an error: "), "{listed:?}");
    let mut narrow = desk.command_in(&desk.folder, &["catalog", "list", "-q"]);
    narrow.env("COLUMNS", "30");
    insta::assert_snapshot!(crate::cli::run(narrow).stdout, @r"
    note 1.0.0
      A note. Some text\u{202E} in
      a file.
    pair 1.0.0
      deprecated: use note@^1
    reader 1.0.0
      has errors and cannot be
      requested
    ");
    let json = desk.ends(0, &["catalog", "list", "--format", "json"]).json();
    let note = &json["templates"][0];
    assert_eq!(
        (&note["version"], &note["versions"][0]["lifecycle"]),
        (&"1.0.0".into(), &"experimental".into())
    );
}
