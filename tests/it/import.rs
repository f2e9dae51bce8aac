//! `vend catalog import`: bundles of other catalogs, through the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn bundle(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/import").join(name)
}

struct Catalog(tempfile::TempDir);

impl Catalog {
    fn new() -> Self {
        let temp = tempfile::tempdir().unwrap();
        let about =
            "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: x}\nspec: {format: 1}\n";
        std::fs::write(temp.path().join("catalog.yaml"), about).unwrap();
        Self(temp)
    }

    #[track_caller]
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output: Output = Command::new(env!("CARGO_BIN_EXE_vend"))
            .args(args)
            .current_dir(self.0.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap())
            .env("HOME", "/nowhere")
            .output()
            .unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}\n{said}");
        said
    }

    fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.0.path().join(path)).unwrap()
    }
}

#[test]
fn every_kind_of_bundle_becomes_a_version_that_the_catalog_takes() {
    let catalog = Catalog::new();
    for (format, name) in [
        ("proton", "proton-environment"),
        ("proton", "proton-service"),
        ("ade", "ade"),
        ("ade", "ade-arm"),
        ("service-catalog", "product"),
    ] {
        let from = bundle(name);
        let said = catalog.ends(0, &["catalog", "import", format, from.to_str().unwrap()]);
        assert!(said.contains(&format!("Wrote templates/{name}/0.1.0.")), "{said}");
        let page = catalog.read(&format!("templates/{name}/0.1.0/IMPORT.md"));
        // What is said on the terminal stands on the page, with file and line.
        for line in said.lines().filter(|line| line.contains(": IMP00")) {
            let place = line.split(": IMP00").next().unwrap();
            assert!(page.contains(&format!("- `{place}`: ")), "{line}\n{page}");
        }
    }
    let said = catalog.ends(0, &["validate", "."]);
    assert!(said.contains("5 template versions: 0 errors"), "{said}");
}

#[test]
fn nothing_is_overwritten_and_no_bundle_writes_nothing() {
    let catalog = Catalog::new();
    let from = bundle("product");
    let from = from.to_str().unwrap();
    catalog.ends(0, &["catalog", "import", "service-catalog", from, "--name", "queue"]);
    let said = catalog.ends(2, &["catalog", "import", "service-catalog", from, "--name", "queue"]);
    assert!(said.contains("is there already"), "{said}");
    let file = bundle("product/queue.yaml");
    let more = ["--name", "queue", "--version", "1.0.0"];
    let one = ["catalog", "import", "service-catalog", file.to_str().unwrap()];
    catalog.ends(0, &[&one[..], &more].concat());
    let said = catalog.ends(3, &["catalog", "import", "proton", from]);
    assert!(said.contains("IMP001") && said.contains("nothing was written"), "{said}");
    assert!(!catalog.0.path().join("templates/product").exists());
    let said = catalog.ends(2, &["catalog", "import", "proton", "/nowhere"]);
    assert!(said.contains("there is no"), "{said}");
    let said = catalog.ends(2, &["catalog", "import", "ade", from, "--version", "one"]);
    assert!(said.contains("is not a semantic version"), "{said}");
    let said = catalog.ends(2, &["catalog", "import", "ade", from, "--into", "/nowhere"]);
    assert!(said.contains("--into"), "{said}");
}

/// A scalar that CloudFormation and a reader here would take for different things is refused whenever it is
/// rendered: the import says so at its line, and does not say that all was carried over.
#[test]
fn what_would_render_for_nobody_is_said() {
    let catalog = Catalog::new();
    let bundle = tempfile::tempdir().unwrap();
    let file = bundle.path().join("tags.yaml");
    let stack = |tag: &str| {
        format!(
            "Parameters:\n  Name: {{Type: String, AllowedValues: [\"010\", b]}}\nResources:\n  R:\n    Type: AWS::SQS::Queue\n    \
             Properties:\n      QueueName: !Ref Name\n      Tags:\n        - {{Key: mode, Value: {tag}}}\n        - {{Key: on, Value: yes}}\n"
        )
    };
    std::fs::write(&file, stack("0644")).unwrap();
    let import = ["catalog", "import", "service-catalog", file.to_str().unwrap(), "--name"];
    let said = catalog.ends(3, &[&import[..], &["tags"]].concat());
    let why = "templates/tags/0.1.0/stack.yaml.hbs:9: TPL009: `0644` is read as another value";
    assert!(said.contains(why), "{said}");
    assert!(said.contains("wrong with the new version: 1 thing"), "{said}");
    assert!(!said.contains("Everything was carried over"), "{said}");
    assert!(
        catalog.read("templates/tags/0.1.0/IMPORT.md").contains("`0644` is read as another value")
    );
    assert!(catalog.ends(3, &["catalog", "check", "."]).contains("TPL009"));

    std::fs::write(&file, stack("\"0644\"")).unwrap();
    let said = catalog.ends(0, &[&import[..], &["quoted"]].concat());
    assert!(said.contains("Everything was carried over"), "{said}");
}
