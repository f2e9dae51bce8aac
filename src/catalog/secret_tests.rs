//! Secrets by reference: who may name which, and where they may go.

use super::catalog_tests::{file, files, invalid, loaded, nothing, put};
use super::*;
use crate::model::{Files, Slot};

const ARN: &str = "arn:aws:secretsmanager:eu-north-1:123456789012:secret:orders/db";

/// The catalog with a template that takes a password into a stack.
fn catalog() -> Files {
    let mut files = files();
    let folder = "templates/db/1.0.0";
    let template = "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {name: db, version: 1.0.0}\n\
        spec:\n  parameters:\n    type: object\n    additionalProperties: false\n    properties:\n      \
        password: {type: string, minLength: 200, x-sensitive: true}\n  components:\n    \
        - {name: db, provider: cloudformation, source: stack.yaml.hbs}\n";
    put(&mut files, &format!("{folder}/template.yaml"), template);
    put(&mut files, &format!("{folder}/stack.yaml.hbs"), "Password: {{parameters.password}}\n");
    let environment = |secrets: &str| {
        format!(
            "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: dev}}\nspec:\n  providers:\n    \
             files: {{directory: /srv}}\n    cloudformation: {{region: eu-north-1}}\n{secrets}"
        )
    };
    let allowed =
        "  secrets: {allow: [\"arn:aws:secretsmanager:*:123456789012:secret:{team}/*\"]}\n";
    put(&mut files, "environments/dev.yaml", &environment(allowed));
    files
}

fn asked(secret: &str) -> String {
    format!("  template: db@1.0.0\n  secrets:\n    password: {secret}\n")
}

#[test]
fn an_allowed_secret_becomes_the_providers_own_reference() {
    let catalog = loaded(&catalog());
    let providers = ["files", "cloudformation"];
    for (secret, text) in [
        (
            format!("{{awsSecretsManager: \"{ARN}\"}}"),
            format!("{{{{resolve:secretsmanager:{ARN}}}}}"),
        ),
        (
            format!("{{awsSecretsManager: \"{ARN}\", key: password}}"),
            format!("{{{{resolve:secretsmanager:{ARN}:SecretString:password}}}}"),
        ),
    ] {
        let file = file("dev", &asked(&secret));
        let Verdict::Checked(checked) = check(&catalog, &file, None, &providers, &nothing) else {
            panic!("{secret}");
        };
        assert_eq!(checked.parameters["password"], Slot::Known(text.clone().into()));
        assert_eq!(checked.secrets.into_iter().collect::<Vec<_>>(), [text]);
    }
}

#[test]
fn b87_nobody_names_another_teams_secret() {
    let catalog = loaded(&catalog());
    for other in ["payments/db", "ordersx/db", "orders"] {
        let arn = format!("arn:aws:secretsmanager:eu-north-1:123456789012:secret:{other}");
        let problems =
            invalid(&catalog, "dev", &asked(&format!("{{awsSecretsManager: \"{arn}\"}}")));
        assert!(problems.contains("SEC002"), "{other}: {problems}");
    }
    // An environment that allows none.
    let mut files = self::catalog();
    let none = "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  providers: {cloudformation: {region: eu-north-1}}\n";
    put(&mut files, "environments/dev.yaml", none);
    let problems =
        invalid(&loaded(&files), "dev", &asked(&format!("{{awsSecretsManager: \"{ARN}\"}}")));
    assert!(problems.contains("SEC002"), "{problems}");
}

#[test]
fn what_is_no_arn_of_a_secret_is_refused_as_text() {
    let catalog = loaded(&catalog());
    for wrong in [
        "{awsSecretsManager: \"orders/db\"}",
        "{awsSecretsManager: \"arn:aws:secretsmanager:eu-north-1:123456789012:secret:orders/db}}{{resolve:ssm:/x\"}",
        "{awsSecretsManager: \"arn:aws:secretsmanager:eu-north-1:123456789012:secret:orders/*\"}",
        "{awsSecretsManager: \"arn:aws:ssm:eu-north-1:123456789012:parameter/orders\"}",
        "{key: password}",
        "hunter2",
    ] {
        let problems = invalid(&catalog, "dev", &asked(wrong));
        assert!(problems.contains("SCH00"), "{wrong}: {problems}");
    }
}

#[test]
fn a_secret_stands_alone_and_goes_only_where_it_is_fetched() {
    let catalog = loaded(&catalog());
    let secret = format!("  secrets: {{password: {{awsSecretsManager: \"{ARN}\"}}}}\n");
    let files = format!("  template: web@1.0.0\n  parameters: {{image: x}}\n{secret}");
    let problems = invalid(&catalog, "dev", &files);
    assert!(problems.contains("SEC003"), "{problems}");
    let both = format!(
        "{}  parameters: {{password: x}}\n",
        asked(&format!("{{awsSecretsManager: \"{ARN}\"}}"))
    );
    let problems = invalid(&catalog, "dev", &both);
    assert!(problems.contains("REQ006"), "{problems}");
    let unknown = format!(
        "  template: db@1.0.0\n  secrets: {{passwrod: {{awsSecretsManager: \"{ARN}\"}}}}\n"
    );
    let problems = invalid(&catalog, "dev", &unknown);
    assert!(problems.contains("did you mean `password`"), "{problems}");
}
