//! What may lie in somebody's working copy.

use std::os::unix::fs::{PermissionsExt, symlink};

use super::Laptop;
use crate::world::{World, note, path_of};

#[test]
fn nothing_in_a_working_copy_is_followed_waited_for_or_shown_raw() {
    let world = World::new();
    let laptop = Laptop::new(&world);
    let at = |path: &str| laptop.clone.join(path);
    laptop.write(&path_of("orders/dev/good"), note("hello"));
    laptop.write(&path_of("orders/dev/crlf"), note("hello").replace('\n', "\r\n"));
    let secret = world.root().join("secret.yaml");
    std::fs::write(&secret, "password: hunter2\n").unwrap();
    symlink(&secret, at("requests/orders/dev/link.yaml")).unwrap();
    symlink("nowhere", at("requests/orders/dev/dangling.yaml")).unwrap();
    symlink("../orders", at("requests/orders/again")).unwrap();
    let pipe = at("requests/orders/dev/pipe.yaml");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    for name in ["new\nline", "\u{202e}rtl", "esc\u{1b}[31m"] {
        std::fs::write(at(&format!("requests/orders/dev/{name}.yaml")), note("x")).unwrap();
    }
    laptop.write("requests/orders/dev/big.yaml", "a".repeat(300_000));
    laptop.write("requests/orders/dev/ignored.yaml", "rubbish: [");
    laptop.write(".gitignore", "ignored.yaml\n");
    laptop.write("requests/orders/dev/other.yml", note("x"));
    laptop.git(&["init", "-q", at("requests/nested/dev").to_str().unwrap()]);
    laptop.write("requests/nested/dev/x.yaml", note("x"));
    laptop.write(&path_of("orders/dev/closed"), note("x"));
    let closed = at("requests/orders/dev/closed.yaml");
    std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o000)).unwrap();
    // The system's administrator may read everything.
    let may_read = std::fs::File::open(&closed).is_ok();

    let said = laptop.ends(3, &["validate"]);
    let text = format!("{}{}", said.stdout, said.stderr);
    assert!(!text.contains("hunter2"), "{text}");
    assert!(!text.contains(['\u{202e}', '\u{1b}']), "{text}");
    let value = laptop.ends(3, &["validate", "--format", "json"]).json();
    let mut found: Vec<String> = value["diagnostics"]
        .as_array()
        .unwrap()
        .iter()
        .map(|d| {
            format!("{} {}", d["code"].as_str().unwrap(), d["place"]["file"].as_str().unwrap())
        })
        .filter(|line| may_read || !line.starts_with("PATH008"))
        .collect();
    found.sort();
    insta::assert_snapshot!(found.join("\n"), @r"
    LIM001 requests/orders/dev/big.yaml
    PATH001 requests/orders/again
    PATH001 requests/orders/dev/dangling.yaml
    PATH001 requests/orders/dev/link.yaml
    PATH002 requests/nested/dev
    PATH005 requests/orders/dev/\u{202e}rtl.yaml
    PATH005 requests/orders/dev/esc\x1b[31m.yaml
    PATH005 requests/orders/dev/new\nline.yaml
    PATH005 requests/orders/dev/pipe.yaml
    PATH007 requests/orders/dev/other.yml
    ");
    laptop.ends(3, &["validate", "requests/orders/dev/link.yaml"]);
    laptop.ends(3, &["validate", "requests/orders/dev/dangling.yaml"]);
    laptop.ends(3, &["validate", "requests/orders/dev/big.yaml"]);
    laptop.ends(0, &["validate", "requests/orders/dev/good.yaml", "requests/orders/dev/crlf.yaml"]);
    laptop.ends(2, &["validate", "/etc/hostname"]);
    laptop.ends(2, &["validate", "requests/orders/dev/none.yaml"]);
    laptop.ends(0, &["render", "orders/dev/good"]);
}

#[test]
fn a_requests_folder_that_is_a_link_or_not_there_is_said() {
    let world = World::new();
    let laptop = Laptop::new(&world);
    std::fs::rename(laptop.clone.join("requests"), laptop.clone.join("elsewhere")).unwrap();
    let said = laptop.ends(0, &["validate"]).stdout;
    assert!(said.contains("note: there is no folder `requests` here, so no requests"), "{said}");
    symlink("elsewhere", laptop.clone.join("requests")).unwrap();
    let said = laptop.ends(3, &["validate"]).stdout;
    assert!(said.contains("error[PATH001]: symbolic links are not read"), "{said}");
}
