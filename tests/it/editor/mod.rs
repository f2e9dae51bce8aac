//! What an editor says while a request is typed, by the schema that `vend schema` writes: asked of
//! the language server that most editors use for YAML.

mod lsp;

use std::path::{Path, PathBuf};
use std::process::Command;

use lsp::Editor;

/// A template with a secret, which no sample has.
const VAULT: &str = r#"apiVersion: vend.dev/v1
kind: Template
metadata: {name: vault, version: 1.0.0}
spec:
  parameters:
    type: object
    additionalProperties: false
    properties:
      password: {type: string, x-sensitive: true, description: What opens it.}
  components:
    - {name: vault, provider: cloudformation, source: vault.yaml.hbs}
"#;

/// A clone with a `vend.yaml` that names the sample catalog, and the schema.
fn clone(temp: &Path) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = temp.join("clone");
    std::fs::create_dir_all(folder.join("requests/web/dev")).unwrap();
    let catalog = temp.join("catalog");
    let copied =
        Command::new("cp").arg("-r").arg(root.join("sample-catalog")).arg(&catalog).status();
    assert!(copied.unwrap().success());
    let vault = catalog.join("templates/vault/1.0.0");
    std::fs::create_dir_all(&vault).unwrap();
    std::fs::write(vault.join("template.yaml"), VAULT).unwrap();
    std::fs::write(vault.join("vault.yaml.hbs"), "password: {{parameters.password}}\n").unwrap();
    let config =
        format!("catalog: {{repository: {}}}\nrequests: [{{repository: .}}]\n", catalog.display());
    std::fs::write(folder.join("vend.yaml"), config).unwrap();
    let (code, said) = vend(&folder, &["schema", "-o", ".vend/request.schema.json"]);
    assert_eq!(code, 0, "{said}");
    folder
}

fn vend(folder: &Path, args: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_vend"))
        .args(args)
        .current_dir(folder)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", "/nowhere")
        .env("XDG_CACHE_HOME", folder.join("../cache"))
        .output()
        .unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

fn file(spec: &str) -> String {
    format!(
        "# yaml-language-server: $schema=../../../.vend/request.schema.json\napiVersion: vend.dev/v1\nkind: Request\nspec:\n{spec}"
    )
}

#[test]
fn an_editor_underlines_what_is_wrong_where_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let mut editor = Editor::open(&clone(temp.path()));
    let queue = |parameters: &str, template: &str| {
        file(&format!("  template: sqs-queue@{template}\n  parameters:\n    {parameters}\n"))
    };
    for template in ["1.0.0", "1.1.0", "^1", "~1.0"] {
        assert_eq!(editor.problems(&queue("retentionDays: 4", template)), []);
    }
    let mut only = |text: &str| {
        let mut problems = editor.problems(text);
        assert_eq!(problems.len(), 1, "{text}{problems:?}");
        problems.remove(0)
    };
    for template in ["1.0.0", "^1"] {
        let (marked, message) = only(&queue("retentionDays: 99", template));
        assert_eq!(marked, "99");
        assert!(message.contains("maximum of 14"), "{message}");
        let (marked, message) = only(&queue("retentionDays: many", template));
        assert_eq!(marked, "many");
        assert!(message.contains("integer"), "{message}");
        let (marked, message) = only(&queue("retention: 4", template));
        assert_eq!(marked, "retention");
        assert!(message.contains("not allowed"), "{message}");
    }
    let (marked, message) = only(&file("  template: sqs-queu@1.0.0\n"));
    assert_eq!(marked, "sqs-queu@1.0.0");
    assert!(message.contains("sqs-queue@1.1.0"), "{message}");
    let (marked, _) = only(&file("  template: sqs-queue\n"));
    assert_eq!(marked, "sqs-queue");
    let (marked, message) = only(&file("  template: sqs-queue@1.0.0\n  paramters: {}\n"));
    assert_eq!(marked, "paramters");
    assert!(message.contains("not allowed"), "{message}");
    let (_, message) =
        only(&file("  template: vault@1.0.0\n  parameters:\n    password: hunter2\n"));
    assert!(message.contains("name it under `secrets`"), "{message}");
}

#[test]
fn an_editor_offers_templates_parameters_and_values() {
    let temp = tempfile::tempdir().unwrap();
    let mut editor = Editor::open(&clone(temp.path()));
    let templates = editor.offers(&file("  template: |\n"));
    let about = |wanted: &str| {
        let found = templates.iter().find(|(label, _)| label == wanted);
        found.map(|(_, about)| about.clone()).unwrap_or_else(|| panic!("{wanted}: {templates:?}"))
    };
    assert!(about("sqs-queue@1.1.0").contains("queue"), "{templates:?}");
    assert!(about("sqs-queue@^1").contains("The newest of these versions"), "{templates:?}");

    let names = |offers: Vec<(String, String)>| -> Vec<String> {
        offers.into_iter().map(|(label, _)| label).collect()
    };
    let of = |template: &str| file(&format!("  template: {template}\n  parameters:\n    |\n"));
    let old = names(editor.offers(&of("sqs-queue@1.0.0")));
    assert_eq!(old, ["fifo", "maxReceives", "retentionDays", "visibilityTimeoutSeconds"]);
    // A newer version has one more, and a range has those of the newest.
    for template in ["sqs-queue@1.1.0", "sqs-queue@^1"] {
        let new = names(editor.offers(&of(template)));
        assert!(new.contains(&"maxAgeSeconds".to_owned()) && new.len() == 5, "{new:?}");
    }
    let offers = editor.offers(&of("app-config@1.0.0"));
    assert!(
        offers.contains(&("namespace".into(), "The namespace of the application.".into())),
        "{offers:?}"
    );
    let stream = "  template: dynamodb-table@1.0.0\n  parameters:\n    stream: |\n";
    let values = names(editor.offers(&file(stream)));
    assert_eq!(values, ["KEYS_ONLY", "NEW_IMAGE", "OLD_IMAGE", "NEW_AND_OLD_IMAGES"]);
    // The fields of `spec`, and no texts of templates among them.
    let fields = names(editor.offers(&file("  |\n")));
    assert!(fields.contains(&"template".to_owned()), "{fields:?}");
    assert!(fields.iter().all(|name| !name.contains('@')), "{fields:?}");
}

#[test]
fn an_editor_shows_what_things_are_for() {
    let temp = tempfile::tempdir().unwrap();
    let mut editor = Editor::open(&clone(temp.path()));
    let parameters = "  template: sqs-queue@1.0.0\n  parameters:\n    reten|tionDays: 4\n";
    let shown = editor.shown(&file(parameters));
    assert!(shown.contains("How long a message that nobody fetches is kept"), "{shown}");
    let shown = editor.shown(&file("  template: sqs-qu|eue@1.0.0\n"));
    assert!(shown.contains("sqs-queue@1.0.0") && !shown.contains("app-config"), "{shown}");
    let shown = editor.shown(&file("  template: sqs-queue@1.0.0\n  protect|: true\n"));
    assert!(shown.contains("Deleting needs"), "{shown}");
}

#[test]
fn a_schema_that_is_out_of_date_is_found() {
    let temp = tempfile::tempdir().unwrap();
    let folder = clone(temp.path());
    let (code, said) = vend(&folder, &["schema", "--check"]);
    assert_eq!(code, 0, "{said}");
    let file = folder.join(".vend/request.schema.json");
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, text.replace('\n', "\r\n")).unwrap();
    assert_eq!(vend(&folder, &["schema", "--check"]).0, 0, "a checkout with CRLF");
    std::fs::write(&file, text.replace("sqs-queue", "sqs-queue-of-old")).unwrap();
    let (code, said) = vend(&folder, &["schema", "--check"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is not that of the catalog any more"), "{said}");
    assert!(said.contains("vend schema -o"), "{said}");
    std::fs::remove_file(&file).unwrap();
    let (code, said) = vend(&folder, &["schema", "--check", "-o", ".vend/request.schema.json"]);
    assert_eq!(code, 1, "{said}");
    assert!(said.contains("is not there"), "{said}");
    assert!(!file.exists());
    assert_eq!(vend(&folder, &["schema", "-o", ".vend/request.schema.json"]).0, 0);
    assert_eq!(vend(&folder, &["schema", "--check"]).0, 0);
}
