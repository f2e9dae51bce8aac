//! Stories of a small catalog and the requests to it.

use std::sync::Arc;

use serde_json::json;

use super::request::tests::shown;
use super::*;
use crate::model::{
    Dependency, Diagnostic, File, Files, HoldReason, Lifetime, OnDrift, Reference, RequestId, Slot,
    Symbol, TemplateId, Term,
};

const CATALOG: &str = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: acme}\nspec:\n  owners: {platform: [ada]}\n";

const SCHEMA: &str = "type: object\nadditionalProperties: false\nrequired: [image]\nproperties:\n  \
    image: {type: string, description: What runs.}\n  replicas: {type: integer, minimum: 1, maximum: 9, default: 2, x-change: grow-only}\n  \
    size: {enum: [small, large], default: small}\n  encrypted: {type: boolean, default: false}\n  \
    password: {type: string, x-sensitive: true, minLength: 8}\n  vpcId: {type: string, pattern: \"^vpc-\", x-reference: {template: network}}\n  \
    rules: {type: array, items: {type: object, additionalProperties: false, properties: {port: {type: integer, default: 80}}}}\n";

fn template(name: &str, version: &str, more: &str) -> String {
    format!(
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {{name: {name}, version: {version}{more}}}\n\
         spec:\n  parameters: schema.yaml\n  components:\n    - {{name: app, provider: files, source: app}}\n  \
         outputs:\n    path: {{from: app.path}}\n"
    )
}

fn environment(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: {name}}}\nspec:\n  \
         providers: {{files: {{directory: /srv/{name}}}}}\n{spec}"
    )
}

pub(super) fn put(files: &mut Files, path: &str, text: &str) {
    files.insert(path, text.as_bytes());
}

fn add(files: &mut Files, name: &str, version: &str, more: &str) {
    let folder = format!("templates/{name}/{version}");
    put(files, &format!("{folder}/template.yaml"), &template(name, version, more));
    put(files, &format!("{folder}/schema.yaml"), SCHEMA);
    put(files, &format!("{folder}/app/a.yaml.hbs"), "image: {{parameters.image}}\n");
    put(files, &format!("{folder}/app/b.txt"), "plain\n");
}

pub(super) fn files() -> Files {
    let mut files = Files::default();
    put(&mut files, "catalog.yaml", CATALOG);
    put(&mut files, "README.md", "# Catalog\n");
    add(&mut files, "web", "1.0.0", "");
    add(&mut files, "web", "1.1.0", ", owner: platform");
    add(&mut files, "web", "1.2.0-rc.1", "");
    add(&mut files, "old", "1.0.0", ", lifecycle: retired, replacedBy: web@^1");
    add(&mut files, "aged", "1.0.0", ", lifecycle: deprecated, replacedBy: web@^1");
    add(&mut files, "young", "0.1.0", ", lifecycle: experimental");
    put(&mut files, "environments/dev.yaml", &environment("dev", ""));
    let prod = "  defaults: {web: {replicas: 3, size: large}}\n  locked: {web: {encrypted: true}}\n  \
                templates: [web, \"a*\"]\n  protect: true\n  onDrift: revert\n";
    put(&mut files, "environments/prod.yaml", &environment("prod", prod));
    files
}

pub(super) fn loaded(files: &Files) -> Catalog {
    let (catalog, problems) = load(files, None);
    let errors: Vec<_> = problems.into_iter().filter(Diagnostic::is_error).collect();
    assert_eq!(shown(&errors), "");
    catalog
}

pub(super) fn file(environment: &str, spec: &str) -> RequestFile {
    let id = RequestId::new("orders", environment, "shop").unwrap();
    let path: Arc<str> = format!("requests/{id}.yaml").into();
    let text = format!("apiVersion: vend.dev/v1\nkind: Request\nspec:\n{spec}");
    request(&path, &id, text.as_bytes()).unwrap_or_else(|problems| panic!("{}", shown(&problems)))
}

pub(super) fn nothing(reference: &Reference, _: Option<&str>) -> Filled {
    Filled::Missing(Dependency::Request(reference.request.clone()))
}

fn verdict(catalog: &Catalog, environment: &str, spec: &str) -> Verdict {
    check(catalog, &file(environment, spec), None, &["files", "cloudformation"], &nothing)
}

fn checked(catalog: &Catalog, environment: &str, spec: &str) -> Box<Checked> {
    match verdict(catalog, environment, spec) {
        Verdict::Checked(checked) => checked,
        Verdict::Invalid(problems) => panic!("{}", shown(&problems)),
        Verdict::Waiting(reason, notes) => panic!("{}: {}", reason.name(), shown(&notes)),
    }
}

pub(super) fn invalid(catalog: &Catalog, environment: &str, spec: &str) -> String {
    match verdict(catalog, environment, spec) {
        Verdict::Invalid(problems) => shown(&problems),
        Verdict::Checked(_) => panic!("valid"),
        Verdict::Waiting(reason, notes) => panic!("{}: {}", reason.name(), shown(&notes)),
    }
}

fn waiting(catalog: &Catalog, environment: &str, spec: &str) -> (HoldReason, String) {
    match verdict(catalog, environment, spec) {
        Verdict::Waiting(reason, notes) => (reason, shown(&notes)),
        Verdict::Checked(_) => panic!("valid"),
        Verdict::Invalid(problems) => panic!("{}", shown(&problems)),
    }
}

fn known(checked: &Checked, name: &str) -> serde_json::Value {
    match &checked.parameters[name] {
        Slot::Known(value) => value.clone(),
        Slot::Unknown(symbol) => json!(symbol.to_string()),
    }
}

const GOOD: &str = "  template: web@1.0.0\n  parameters: {image: x}\n";

#[test]
fn values_come_from_schema_environment_and_request_in_that_order() {
    let catalog = loaded(&files());
    let dev = checked(&catalog, "dev", GOOD);
    assert_eq!(known(&dev, "replicas"), json!(2));
    assert_eq!(known(&dev, "encrypted"), json!(false));
    assert_eq!(known(&dev, "password"), json!(null));
    assert_eq!((dev.protect, dev.on_drift), (false, OnDrift::Report));
    let settings = dev.settings.values().next().unwrap();
    let path = "{environment}/{team}/{name}/{component}";
    assert_eq!(json!(settings), json!({"directory": "/srv/dev", "path": path}));
    let prod = checked(
        &catalog,
        "prod",
        "  template: web@1.0.0\n  parameters: {image: x, size: small, rules: [{}]}\n",
    );
    assert_eq!(known(&prod, "replicas"), json!(3));
    assert_eq!(known(&prod, "size"), json!("small"));
    assert_eq!(known(&prod, "encrypted"), json!(true));
    assert_eq!(known(&prod, "rules"), json!([{"port": 80}]));
    assert_eq!((prod.protect, prod.on_drift), (true, OnDrift::Revert));
    assert_eq!(prod.template.outputs["path"].output, "path");
    assert_eq!(prod.template.parameters.change_rules.len(), 1);
    assert_eq!(prod.template.components[0].sources.len(), 2);
}

#[test]
fn all_problems_of_a_request_are_named_at_their_places() {
    let catalog = loaded(&files());
    let spec = "  template: web@1.0.0\n  protct: true\n  parameters:\n    replicas: 12\n    sizee: big\n    \
                encrypted: yes\n    vpcId: subnet-1\n    rules:\n      - port: \"80\"\n      - {prt: 1}\n";
    insta::assert_snapshot!(invalid(&catalog, "dev", spec), @r#"
    5:3-9 SCH001 unknown field `protct` | did you mean `protect`? | => protect
    6:3-13 SCH002 the parameter `image` is missing | What runs.
    7:15-17 SCH006 expected at most 9 for `replicas`, found 12
    8:5-10 SCH001 unknown parameter `sizee` | did you mean `size`? | => size
    9:16-19 SCH003 expected `true` or `false` for `encrypted`, found the text `yes` | write `true` | => true
    10:12-20 SCH005 expected text that matches `^vpc-` for `vpcId`, found the text `subnet-1`
    12:15-19 SCH003 expected a whole number for `rules[0].port`, found the text `80` | write `80` | => 80
    13:10-13 SCH001 unknown field `prt` | did you mean `port`? | => port
    "#);
}

#[test]
fn ambiguous_scalars_are_judged_by_the_templates_schema_b10_b12() {
    let catalog = loaded(&files());
    let spec = "  template: web@1.0.0\n  parameters:\n    image: 1.10\n    replicas: 1e0\n    size: no\n    vpcId: 2026-01-31\n";
    insta::assert_snapshot!(invalid(&catalog, "dev", spec), @r#"
    6:12-16 YAML012 `1.10` is ambiguous: it would become `1.1` | write `"1.10"` | => "1.10"
    8:11-13 SCH004 expected one of `small`, `large` for `size`, found the text `no`
    9:12-22 SCH005 expected text that matches `^vpc-` for `vpcId`, found the text `2026-01-31`
    "#);
}

#[test]
fn locked_values_cannot_be_set_otherwise() {
    let catalog = loaded(&files());
    let same = "  template: web@1.0.0\n  parameters: {image: x, encrypted: true}\n";
    checked(&catalog, "prod", same);
    let spec = "  template: web@1.0.0\n  parameters:\n    image: x\n    encrypted: false\n";
    insta::assert_snapshot!(invalid(&catalog, "prod", spec), @r#"7:16-21 ENV008 `encrypted` is locked to `true` in `prod` | take the line out: the environment sets the value"#);
}

#[test]
fn secrets_are_refused_and_never_repeated_b74_b91() {
    let catalog = loaded(&files());
    let spec = "  template: web@1.0.0\n  parameters:\n    image: ghp_0123456789abcdefghij\n    password: hunter2\n";
    let problems = invalid(&catalog, "dev", spec);
    assert!(!problems.contains("hunter2") && !problems.contains("ghp_"));
    insta::assert_snapshot!(problems, @r#"
    6:12-36 SEC001 the value of `image` looks like a secret | put a reference, not a value; if it was ever committed, change the secret: Git keeps it
    7:15-22 SEC001 `password` is sensitive, and a value stands here for all to read | put a reference, not a value; if it was ever committed, change the secret: Git keeps it
    "#);
    let mut files = files();
    let spec = "  defaults: {web: {password: hunter2}}\n";
    put(&mut files, "environments/dev.yaml", &environment("dev", spec));
    // The catalog's own check tells it, and so does every request there.
    let (catalog, told) = load(&files, None);
    for problems in [shown(&told), invalid(&catalog, "dev", GOOD)] {
        assert!(problems.contains("SEC001") && !problems.contains("hunter2"), "{problems}");
    }
}

#[test]
fn references_fill_parameters() {
    let catalog = loaded(&files());
    let spec = "  template: web@1.0.0\n  parameters: {image: x}\n  references:\n    \
                vpcId: {request: platform/dev/net, output: vpcId}\n";
    let request = file("dev", spec);
    let with = |filled: Filled| {
        check(
            &catalog,
            &request,
            None,
            &["files"],
            &move |_: &Reference, template: Option<&str>| {
                assert_eq!(template, Some("network"));
                filled.clone()
            },
        )
    };
    let Verdict::Checked(known) = with(Filled::Known(json!("vpc-1"))) else { panic!("not valid") };
    assert_eq!(known.parameters["vpcId"], Slot::Known(json!("vpc-1")));
    let Verdict::Invalid(problems) = with(Filled::Known(json!(5))) else { panic!("valid") };
    insta::assert_snapshot!(shown(&problems), @r#"7:5-10 SCH003 expected text for `vpcId`, found the number `5`"#);
    let net = RequestId::parse("platform/dev/net").unwrap();
    let symbol = Symbol { request: net.clone(), component: None, output: "vpcId".into() };
    let Verdict::Checked(later) = with(Filled::Unknown(symbol.clone())) else {
        panic!("not valid")
    };
    assert_eq!(later.parameters["vpcId"], Slot::Unknown(symbol));
    let Verdict::Waiting(reason, notes) = with(Filled::Missing(Dependency::Request(net))) else {
        panic!("not waiting")
    };
    assert_eq!(reason.name(), "WaitingFor");
    insta::assert_snapshot!(shown(&notes), @r#"7:22-38 DEP003 waiting for `platform/dev/net`, which is not there or not ready"#);
    let refused = Filled::Refused("output `vpcId` is sensitive".into());
    let Verdict::Invalid(problems) = with(refused) else { panic!("valid") };
    insta::assert_snapshot!(shown(&problems), @r#"7:48-53 REF004 output `vpcId` is sensitive"#);
}

#[test]
fn a_reference_fills_a_required_parameter_and_none_that_is_not_there() {
    let catalog = loaded(&files());
    let spec = "  template: web@1.0.0\n  references:\n    image: {request: a/dev/b, output: x}\n    \
                imag: {request: a/dev/b, output: x}\n";
    insta::assert_snapshot!(invalid(&catalog, "dev", spec), @r#"
    6:22-29 DEP003 waiting for `a/dev/b`, which is not there or not ready
    7:5-9 SCH001 unknown parameter `imag` | did you mean `image`? | => image
    "#);
}

#[test]
fn names_that_are_not_there_have_a_nearest() {
    let catalog = loaded(&files());
    insta::assert_snapshot!(invalid(&catalog, "dev", "  template: wbe@1.0.0\n"), @r#"4:13-22 REF002 no template is called `wbe` | did you mean `web`? | => web@1.0.0"#);
    insta::assert_snapshot!(invalid(&catalog, "prd", GOOD), @r#"1:1-1 ENV001 the catalog has no environment `prd` | did you mean `prod`? the folder names it"#);
    insta::assert_snapshot!(invalid(&catalog, "dev", "  template: web@1.0.7\n"), @r#"4:13-22 REF002 template `web` has no version `1.0.7` | there are `1.2.0-rc.1`, `1.1.0`, `1.0.0`"#);
    insta::assert_snapshot!(invalid(&catalog, "prod", "  template: young@0.1.0\n"), @r#"
    4:13-24 ENV003 `young` may not be requested in `prod`
    4:13-24 SCH002 the parameter `image` is missing | What runs.
    "#);
}

#[test]
fn a_version_that_is_ahead_of_the_catalog_waits_for_it_f14() {
    let catalog = loaded(&files());
    for wanted in ["web@2.3.0", "web@^2", "web@>=1.4"] {
        let (reason, notes) = waiting(&catalog, "dev", &format!("  template: \"{wanted}\"\n"));
        assert_eq!(
            reason,
            HoldReason::WaitingFor { dependency: Dependency::Catalog(wanted.into()) },
            "{notes}"
        );
    }
    assert!(invalid(&catalog, "dev", "  template: \"web@<1\"\n").contains("REF002"));
}

#[test]
fn a_range_keeps_the_recorded_version_and_new_ones_take_the_highest_stable() {
    let catalog = loaded(&files());
    let spec = "  template: web@^1\n  parameters: {image: x}\n";
    let got = |recorded: Option<&str>| {
        let recorded =
            recorded.map(|v| TemplateId { name: "web".into(), version: v.parse().unwrap() });
        match check(&catalog, &file("dev", spec), recorded.as_ref(), &["files"], &nothing) {
            Verdict::Checked(checked) => {
                (checked.template.id.version.to_string(), checked.upgrade.map(|v| v.to_string()))
            }
            Verdict::Waiting(reason, notes) => (shown(&notes), Some(reason.name().to_owned())),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(got(None), ("1.1.0".into(), None));
    assert_eq!(got(Some("1.0.0")), ("1.0.0".into(), Some("1.1.0".into())));
    assert_eq!(got(Some("0.9.0")).0, "1.1.0", "of before the range");
    let (notes, reason) = got(Some("1.0.5"));
    assert_eq!(reason.as_deref(), Some("TemplateMissing"), "gone: nobody is moved by that");
    insta::assert_snapshot!(notes, @"4:13-19 LIF003 `web@1.0.5`, which this request was made with, is gone from the catalog | what was applied stays until a newer version's rollout reaches it; `vend upgrade` does not wait for that");
}

#[test]
fn what_a_request_goes_on_from_stays_though_it_be_gone() {
    use super::{Standing, kept};
    let catalog = loaded(&files());
    let id = |version: &str| TemplateId { name: "web".into(), version: version.parse().unwrap() };
    let goes_on = |template: &str, recorded: &str, is_changed: bool, standing: Standing| {
        let request =
            file("dev", &format!("  template: \"{template}\"\n  parameters: {{image: x}}\n"));
        let kept = kept(&catalog, &request, &id(recorded), is_changed, &|_| standing);
        kept.map(|kept| kept.version.to_string())
    };
    use Standing::{Free, OnTheWay, Reached};
    // 1.0.5 is gone, 1.0.0 and 1.1.0 are there.
    let gone = |is_changed, standing| goes_on("web@^1", "1.0.5", is_changed, standing);
    assert_eq!(gone(false, Free).as_deref(), Some("1.0.5"));
    assert_eq!(gone(false, OnTheWay).as_deref(), Some("1.0.5"));
    assert_eq!(gone(true, OnTheWay).as_deref(), Some("1.0.5"), "its turn comes");
    assert_eq!(gone(true, Free).as_deref(), Some("1.1.0"));
    assert_eq!(gone(false, Reached).as_deref(), Some("1.1.0"));
    // Nothing newer: an older one is taken by a changed file alone, as by a new request.
    assert_eq!(goes_on("web@^1", "1.9.0", false, Reached).as_deref(), Some("1.9.0"));
    assert_eq!(goes_on("web@^1", "1.9.0", true, Free), None);
    assert_eq!(goes_on("web@1.0.5", "1.0.5", true, Reached).as_deref(), Some("1.0.5"));
    assert_eq!(goes_on("web@1.0.0", "1.0.5", false, Reached), None);
}

#[test]
fn lifecycles_warn_and_stop() {
    let catalog = loaded(&files());
    let (reason, notes) =
        waiting(&catalog, "dev", "  template: old@1.0.0\n  parameters: {image: x}\n");
    assert_eq!(reason, HoldReason::TemplateRetired);
    insta::assert_snapshot!(notes, @r#"4:13-22 LIF002 `old@1.0.0` takes no new requests | use `web@^1`"#);
    let recorded = TemplateId { name: "old".into(), version: "1.0.0".parse().unwrap() };
    let request = file("dev", "  template: old@^1\n  parameters: {image: x}\n");
    let kept = check(&catalog, &request, Some(&recorded), &["files"], &nothing);
    assert!(matches!(kept, Verdict::Checked(_)));
    let aged = checked(&catalog, "dev", "  template: aged@^1\n  parameters: {image: x}\n");
    insta::assert_snapshot!(shown(&aged.notes), @r#"4:13-20 LIF001 `aged@1.0.0` is deprecated | use `web@^1`"#);
    let problems = invalid(&catalog, "dev", "  template: young@^0.1\n  parameters: {image: x}\n");
    insta::assert_snapshot!(problems, @r#"4:13-23 REF002 only experimental versions of template `young` are in `^0.1` | there are `0.1.0`"#);
}

#[test]
fn a_template_says_how_long_requests_live_where_it_applies() {
    let lifetime = |ttl: &str, environment: &str, own: &str| {
        let mut files = files();
        let text = format!("{}  ttl: {{{ttl}}}\n", template("web", "1.0.0", ""));
        put(&mut files, "templates/web/1.0.0/template.yaml", &text);
        let request = file(environment, &format!("{GOOD}{own}"));
        let catalog = load(&files, None).0;
        match check(&catalog, &request, None, &["files"], &nothing) {
            Verdict::Checked(checked) => {
                let told = |lifetime: Lifetime| {
                    let Lifetime { term, max, imposed } = lifetime;
                    let max = max.map(|max| format!(" of {max}")).unwrap_or_default();
                    let by = if imposed { "template" } else { "request" };
                    let term = match term {
                        Term::For(length) => length.to_string(),
                        Term::Until(until) => until.to_string(),
                    };
                    format!("{term}{max} by the {by}")
                };
                checked.lifetime.map_or_else(|| "for ever".to_owned(), told)
            }
            Verdict::Invalid(problems) => shown(&problems),
            Verdict::Waiting(_, notes) => shown(&notes),
        }
    };
    let whole = "default: 14d, max: 30d, environments: [dev]";
    let all = [
        lifetime(whole, "dev", ""),
        lifetime(whole, "dev", "  ttl: 21d\n"),
        lifetime(whole, "dev", "  ttl: 30d\n"),
        lifetime(whole, "dev", "  ttl: 31d\n"),
        lifetime(whole, "dev", "  expiresAt: \"2027-01-31T00:00:00Z\"\n"),
        lifetime(whole, "prod", ""),
        lifetime(whole, "prod", "  ttl: 90d\n"),
        lifetime("max: 30d", "dev", ""),
        lifetime("default: 2w", "prod", ""),
        lifetime("default: 31d, max: 30d", "dev", ""),
        lifetime("default: 36501d", "dev", ""),
        lifetime("default: P1D", "dev", ""),
    ];
    insta::assert_snapshot!(all.join("\n"), @"
    14d of 30d by the template
    21d of 30d by the request
    30d of 30d by the request
    6:8-11 REQ010 31d is longer than 30d, the most that `web@1.0.0` allows in `dev` | write `ttl: 30d` | => 30d

    2027-01-31T00:00:00Z of 30d by the request
    for ever
    90d by the request
    30d of 30d by the template
    14d by the template
    4:13-22 REF005 the template `web@1.0.0` has errors | whoever looks after the catalog mends it, as a new version

    4:13-22 REF005 the template `web@1.0.0` has errors | whoever looks after the catalog mends it, as a new version

    4:13-22 REF005 the template `web@1.0.0` has errors | whoever looks after the catalog mends it, as a new version
    ");
}

#[test]
fn what_is_not_built_holds_the_request_and_says_where() {
    let mut files = files();
    let folder = "templates/web/1.0.0/template.yaml";
    let with_ttl = format!("{}  actions: {{rotate: {{}}}}\n", template("web", "1.0.0", ""));
    put(&mut files, folder, &with_ttl);
    put(
        &mut files,
        "environments/dev.yaml",
        &environment("dev", "  windows: [{from: \"08:00\", to: \"16:00\"}]\n"),
    );
    let catalog = loaded(&files);
    let (reason, notes) = waiting(&catalog, "dev", GOOD);
    assert_eq!(
        reason,
        HoldReason::NotSupportedYet {
            what: "`actions` of the template `web@1.0.0`, `windows` of the environment `dev`"
                .into()
        }
    );
    insta::assert_snapshot!(notes, @r#"
    4:13-22 SUP001 `actions` of the template `web@1.0.0` is not supported yet | it would not be obeyed, so nothing is done
    4:13-22 SUP001 `windows` of the environment `dev` is not supported yet | it would not be obeyed, so nothing is done
    "#);
    let request = file("prod", GOOD);
    let Verdict::Waiting(reason, _) =
        check(&loaded(&super::catalog_tests::files()), &request, None, &[], &nothing)
    else {
        panic!("not waiting")
    };
    assert_eq!(reason, HoldReason::NotSupportedYet { what: "the provider `files`".into() });
}

#[test]
fn provider_settings_are_refined_and_held_to_their_schema() {
    let mut files = files();
    put(
        &mut files,
        "environments/dev.yaml",
        &environment("dev", "").replace("directory", "directry"),
    );
    insta::assert_snapshot!(invalid(&loaded(&files), "dev", GOOD), @r#"
    4:13-22 ENV005 the environment `dev` (environments/dev.yaml:5) has no good settings of the provider `files` for component `app` of `web@1.0.0`: unknown setting `directry` | whoever looks after the catalog mends environments/dev.yaml: did you mean `directory`?
    4:13-22 ENV005 the environment `dev` (environments/dev.yaml:5) has no good settings of the provider `files` for component `app` of `web@1.0.0`: the setting `repository` is missing | whoever looks after the catalog mends environments/dev.yaml: allowed are: a branch of a repository; a plain folder
    "#);
    put(
        &mut files,
        "environments/dev.yaml",
        &environment("dev", "").replace("files:", "cloudformation:"),
    );
    insta::assert_snapshot!(invalid(&loaded(&files), "dev", GOOD), @r#"4:13-22 ENV004 the environment `dev` has no settings for the provider `files` | whoever looks after the catalog adds `providers.files`"#);
    put(&mut files, "environments/dev.yaml", &environment("dev", ""));
    let text = template("web", "1.0.0", "")
        .replace("source: app", "source: app, with: {path: \"{name}\"}");
    put(&mut files, "templates/web/1.0.0/template.yaml", &text);
    let checked = checked(&loaded(&files), "dev", GOOD);
    let settings = checked.settings.values().next().unwrap();
    assert_eq!(json!(settings), json!({"directory": "/srv/dev", "path": "{name}"}));
}

#[test]
fn one_broken_version_stops_only_its_own_requests() {
    let mut files = files();
    let text = template("web", "1.1.0", "")
        .replace("source: app", "source: ap")
        .replace("name: web", "name: wob");
    put(&mut files, "templates/web/1.1.0/template.yaml", &text);
    put(&mut files, "environments/prod.yaml", "a: [");
    let (catalog, problems) = load(&files, None);
    insta::assert_snapshot!(shown(&problems), @r#"
    1:4-5 YAML011 a bracket opened before this is not closed | close it, and separate items by `,`
    3:18-21 NAME002 expected `web`, as the folder is called, found `wob` | => web
    7:44-46 CAT014 there is no `ap` in this folder | did you mean `app`? | => app
    "#);
    checked(&catalog, "dev", GOOD);
    assert_eq!(
        checked(&catalog, "dev", "  template: web@^1\n  parameters: {image: x}\n")
            .template
            .id
            .version
            .minor,
        0
    );
    let problems = invalid(&catalog, "dev", "  template: web@1.1.0\n");
    assert!(problems.contains("REF005 the template `web@1.1.0` has errors"), "{problems}");
    let problems = invalid(&catalog, "prod", GOOD);
    assert!(problems.contains("ENV007 the environment `prod` has errors"), "{problems}");
}

#[test]
fn mistakes_in_a_template_are_all_named() {
    let mut files = files();
    let text = "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {name: web, version: 1.0.0}\nspec:\n  \
                parameters: schema.yml\n  components:\n    - {name: a, provider: files, source: ../x, needs: [b]}\n    \
                - {name: b, provider: files, source: app, needs: [a]}\n    - {name: b, provider: files, source: tests}\n    \
                - {name: c, provider: files, source: app, needs: [bb], movedFrom: a}\n  \
                outputs:\n    x: {from: d.path}\n    y: {from: nothing}\n";
    put(
        &mut files,
        "templates/web/1.0.0/template.yaml",
        &text.replace("    y: {from: nothing}\n", ""),
    );
    let (_, problems) = load(&files, None);
    insta::assert_snapshot!(shown(&problems), @r#"
    5:15-25 CAT014 there is no `schema.yml` in this folder | did you mean `schema.yaml`? | => schema.yaml
    7:42-46 TPL001 `..` cannot be part of a path
    9:14-15 CAT015 two components are called `b`
    9:42-47 TPL001 `tests` has a meaning of its own and cannot be a source
    10:55-57 CAT016 no component of this template is called `bb` | did you mean `b`?
    10:71-72 CAT015 `a` is a component of this version: nothing was renamed
    12:15-21 CAT016 no component of this template is called `d` | did you mean `a`?
    "#);
    put(&mut files, "templates/web/1.0.0/template.yaml", text);
    let (_, problems) = load(&files, None);
    insta::assert_snapshot!(shown(&problems), @r#"
    5:15-25 CAT014 there is no `schema.yml` in this folder | did you mean `schema.yaml`? | => schema.yaml
    7:42-46 TPL001 `..` cannot be part of a path
    9:14-15 CAT015 two components are called `b`
    9:42-47 TPL001 `tests` has a meaning of its own and cannot be a source
    10:55-57 CAT016 no component of this template is called `bb` | did you mean `b`?
    10:71-72 CAT015 `a` is a component of this version: nothing was renamed
    12:15-21 CAT016 no component of this template is called `d` | did you mean `a`?
    13:15-22 SCH005 expected `<component>.<output>`, such as `queue.QueueUrl` for `spec.outputs.y.from`, found the text `nothing` | `<component>.<output of its provider>`.
    "#);
}

#[test]
fn components_that_wait_for_one_another_are_refused() {
    let mut files = files();
    let text = template("web", "1.0.0", "").replace(
        "source: app}",
        "source: app, needs: [b]}\n    - {name: b, provider: files, source: app, needs: [app]}",
    );
    put(&mut files, "templates/web/1.0.0/template.yaml", &text);
    let (_, problems) = load(&files, None);
    insta::assert_snapshot!(shown(&problems), @r#"7:56-59 DEP001 components wait for one another: `app`, `b`"#);
}

#[test]
fn links_and_other_strangers_are_named_b26_b27_f10_f11() {
    let mut files = files();
    let mut stranger = |path: &str, file: File| files.0.insert(path.to_owned(), file);
    stranger("templates/web/1.0.0/app/link", File::Link);
    stranger("templates/web/1.0.0/app/sub", File::Submodule);
    stranger("templates/web/1.0.0/app/big", File::TooLarge(50_000_000));
    stranger("templates/web/1.1.0/app/a\\nb", File::Unsafe("a line break in a name".into()));
    stranger("templates/linked", File::Link);
    stranger("templates/Web/1.0.0/template.yaml", File::Bytes(Arc::from(*b"x")));
    stranger("templates/web/v1/template.yaml", File::Bytes(Arc::from(*b"x")));
    stranger("environments/test.yaml", File::Link);
    stranger("environments/Stage.yaml", File::Bytes(Arc::from(*b"x")));
    let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    stranger("environments/lfs.yaml", File::Bytes(Arc::from(*lfs)));
    let (catalog, problems) = load(&files, None);
    let told: Vec<_> = problems.iter().map(|p| format!("{} {}", p.place.file, p.code)).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    environments/Stage.yaml NAME001
    environments/lfs.yaml PATH003
    environments/test.yaml PATH001
    templates/Web/1.0.0/ NAME001
    templates/linked PATH001
    templates/web/1.0.0/app/big LIM001
    templates/web/1.0.0/app/link PATH001
    templates/web/1.0.0/app/sub PATH002
    templates/web/1.1.0/app/a\nb PATH004
    templates/web/v1/ CAT017
    "#);
    assert!(
        catalog
            .version(&TemplateId { name: "web".into(), version: "1.0.0".parse().unwrap() })
            .unwrap()
            .is_broken()
    );
}

#[test]
fn what_did_not_change_is_not_read_again() {
    let mut files = files();
    let first = loaded(&files);
    put(&mut files, "templates/web/1.0.0/README.md", "new");
    put(&mut files, "environments/prod.yaml", &environment("prod", ""));
    let (second, _) = load(&files, Some(&first));
    let same = |name: &str, version: &str| {
        let id = TemplateId { name: name.into(), version: version.parse().unwrap() };
        Arc::ptr_eq(first.version(&id).unwrap(), second.version(&id).unwrap())
    };
    assert!(same("web", "1.1.0") && same("old", "1.0.0") && !same("web", "1.0.0"));
    assert!(Arc::ptr_eq(&first.environments["dev"], &second.environments["dev"]));
    let changed = changed(&first, &second);
    assert_eq!(changed.templates.into_iter().collect::<Vec<_>>(), ["web"]);
    assert_eq!(changed.environments.into_iter().collect::<Vec<_>>(), ["prod"]);
}

#[test]
fn values_for_nothing_are_warned_of() {
    let mut files = files();
    let spec = "  defaults: {wbe: {a: 1}, web: {replica: 2}}\n  templates: [wbe]\n";
    put(&mut files, "environments/dev.yaml", &environment("dev", spec));
    put(
        &mut files,
        "templates/web/1.0.0/template.yaml",
        &template("web", "1.0.0", ", owner: platfrom"),
    );
    let (_, problems) = load(&files, None);
    insta::assert_snapshot!(shown(&problems), @r#"
    6:14-17 ENV006 no template is called `wbe` | did you mean `web`?
    6:33-40 ENV006 no version of `web` has a parameter `replica` | did you mean `replicas`?
    7:15-18 ENV006 no template is called `wbe` | did you mean `web`?
    3:46-54 CAT018 `platfrom` is not among the catalog's owners | did you mean `platform`?
    "#);
}

/// A value that no request there can have is its environment's mistake, and told before a request meets it.
#[test]
fn values_that_a_schema_refuses_are_told_of_the_environment() {
    let told = |spec: &str| {
        let mut files = files();
        let schema = |size: &str| {
            format!(
                "type: object\nadditionalProperties: false\nproperties:\n  size: {{type: integer, maximum: {size}}}\n  \
                 box: {{type: object, additionalProperties: false, required: [lid, key], properties: {{lid: {{type: string}}, key: {{type: string, default: k}}}}}}\n  \
                 word: {{type: string, x-sensitive: true, minLength: 9}}\n  \
                 mode: {{enum: [a, b]}}\nif: {{properties: {{mode: {{const: a}}}}}}\nthen: {{properties: {{size: {{maximum: 3}}}}}}\n"
            )
        };
        for (version, size) in [("1.0.0", "5"), ("1.1.0", "5"), ("1.2.0", "9")] {
            add(&mut files, "crate", version, "");
            put(&mut files, &format!("templates/crate/{version}/schema.yaml"), &schema(size));
            put(&mut files, &format!("templates/crate/{version}/app/a.yaml.hbs"), "a: 1\n");
        }
        put(&mut files, "environments/dev.yaml", &environment("dev", spec));
        let (_, problems) = load(&files, None);
        let of_dev = |p: &&Diagnostic| &*p.place.file == "environments/dev.yaml";
        let shown = |p: &Diagnostic| format!("{:?} {} {}", p.severity, p.code, p.message);
        problems.iter().filter(of_dev).map(shown).collect::<Vec<_>>()
    };
    let refused = told("  locked: {crate: {size: x}}\n  defaults: {crate: {size: 99, box: {}}}\n");
    insta::assert_snapshot!(refused.join("\n"), @r"
    Error SCH003 for `crate@1.2.0` and 2 older versions: expected a whole number for `size`, found the text `x`
    Error SCH006 for `crate@1.2.0` and 2 older versions: expected at most 9 for `size`, found 99
    Error SCH002 for `crate@1.2.0` and 2 older versions: the field `lid` is missing in `box`
    ");
    // Older ones may refuse what the newest takes: those who are there should know.
    assert_eq!(
        told("  locked: {crate: {size: 7}}\n"),
        [
            "Warning SCH006 for `crate@1.1.0` and an older version: expected at most 5 for `size`, found 7"
        ]
    );
    // What defaults inside it fill is not missing, and no value that is sensitive is repeated.
    assert_eq!(told("  locked: {crate: {size: 5, box: {lid: a}}}\n"), [""; 0]);
    let hidden = told("  locked: {crate: {word: hunter2}}\n  defaults: {crate: {word: hunter2}}\n");
    assert_eq!(hidden.len(), 2, "{hidden:?}");
    let hidden = hidden.join("\n");
    assert!(hidden.contains("SEC001") && !hidden.contains("hunter2"), "{hidden}");
}

#[test]
fn a_team_that_is_asked_for_approval_is_known() {
    let mut files = files();
    let spec = "  approvals: [{when: \"plan.deletes > 0\", teams: [platform, platfrom]}]\n";
    put(&mut files, "environments/dev.yaml", &environment("dev", spec));
    let (_, problems) = load(&files, None);
    insta::assert_snapshot!(shown(&problems), @"6:22-40 CAT018 `platfrom`, who is asked for approval, is not among the catalog's owners | did you mean `platform`?");
}

/// What is wrong with one part of a file does not hide what is wrong with another.
#[test]
fn a_template_with_errors_is_read_as_far_as_it_goes() {
    let mut files = files();
    let text = template("web", "1.3.0", ", owner: 7").replace("app.path", "apq.path");
    put(&mut files, "templates/web/1.3.0/template.yaml", &text);
    put(
        &mut files,
        "templates/web/1.3.0/schema.yaml",
        "type: object\nproperties: {a: {type: strnig}}\n",
    );
    let (catalog, problems) = load(&files, None);
    let shown = shown(&problems);
    for told in ["expected text for `metadata.owner`", "`apq`", "strnig"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    let id = TemplateId { name: "web".into(), version: "1.3.0".parse().unwrap() };
    assert!(catalog.version(&id).unwrap().is_broken());
}

#[test]
fn waves_that_cannot_be_understood_are_not_none() {
    let waves = |spec: &str| {
        let mut files = files();
        let head = "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: acme}\n";
        put(&mut files, "catalog.yaml", &format!("{head}{spec}"));
        let (catalog, problems) = load(&files, None);
        (catalog.rollout.map(|waves| waves.len()), shown(&problems))
    };
    assert_eq!(waves("spec: {rollout: [{environment: dev}]}\n").0, Some(1));
    assert_eq!(waves("spec: {}\n").0, Some(0));
    assert_eq!(waves("spec: [\n").0, None);
    let (_, share) = waves("spec: {rollout: [{environment: dev, share: 50}]}\n");
    assert!(share.contains("SCH003") && share.contains("| write a share such as `25%`"), "{share}");
    let (read, problems) = waves("spec: {rollout: [{environment: dve}, {environment: prod}]}\n");
    assert_eq!(read, None);
    assert!(problems.contains("ENV006 no environment is called `dve` | did you mean `dev`?"));
    let (gone, _) = load(&Files::default(), None);
    assert_eq!(gone.rollout, None);
}

#[test]
fn one_schema_serves_editors_for_all_requests() {
    let catalog = loaded(&files());
    let schema = schema::Schema::compile(request_schema(&catalog)).unwrap();
    let request = |template: &str, parameters: serde_json::Value| json!({"apiVersion": "vend.dev/v1", "kind": "Request", "spec": {"template": template, "parameters": parameters}});
    let valid = |template, parameters| schema.validator.is_valid(&request(template, parameters));
    assert!(valid("web@1.0.0", json!({"image": "x"})));
    assert!(valid("web@^1", json!({"image": "x", "rules": [{"port": 1}]})));
    assert!(!valid("web@1.0.0", json!({"imag": "x"})));
    assert!(!valid("web@^1", json!({"rules": [{"prt": 1}]})));
    assert!(!valid("web@1.0.9", json!({})));
    assert!(!valid("wob@1.0.0", json!({})));
}

/// A line of versions has its own parameters, and who stays in it makes no mistake.
#[test]
fn editors_judge_a_range_by_what_it_could_mean() {
    let mut files = files();
    let schema = |property: &str| {
        format!(
            "type: object\nadditionalProperties: false\nproperties:\n  {property}: {{type: string}}\n"
        )
    };
    for (name, version, property) in [
        ("web", "2.0.0", "container"),
        ("web", "3.0.0-rc.1", "pod"),
        ("job", "0.1.4", "script"),
        ("job", "0.2.0", "command"),
        ("job", "1.0.0", "steps"),
    ] {
        add(&mut files, name, version, "");
        let folder = format!("templates/{name}/{version}");
        put(&mut files, &format!("{folder}/schema.yaml"), &schema(property));
        let source = format!("x: {{{{parameters.{property}}}}}\n");
        put(&mut files, &format!("{folder}/app/a.yaml.hbs"), &source);
    }
    let schema = schema::Schema::compile(request_schema(&loaded(&files))).unwrap();
    let valid = |template: &str, name: &str| {
        let spec = json!({"template": template, "parameters": {name: "x"}});
        let request = json!({"apiVersion": "vend.dev/v1", "kind": "Request", "spec": spec});
        schema.validator.is_valid(&request)
    };
    for (template, name, other) in [
        ("web@^1", "image", "container"),
        ("web@~1.0", "image", "container"),
        ("web@=1.1.0", "image", "container"),
        ("web@1.0.0", "image", "container"),
        ("web@^2", "container", "image"),
        ("web@~2.0.0", "container", "image"),
        ("web@^3.0.0-rc.1", "pod", "image"),
        ("job@~0.1", "script", "command"),
        ("job@^0.2.0", "command", "script"),
        ("job@^1", "steps", "command"),
    ] {
        assert!(valid(template, name), "{template} has {name}");
        assert!(!valid(template, other), "{template} has no {other}");
    }
    // Those admit versions of more than one line, or none that is there.
    for template in ["web@>=1", "web@>=1, <3", "web@^1, <1.5", "job@~0", "web@^4", "job@^0.3"] {
        assert!(valid(template, "image") && valid(template, "container"), "{template}");
    }
}

#[test]
fn the_sample_catalog_and_requests_are_well_formed() {
    fn read(root: &std::path::Path, at: &std::path::Path, files: &mut Files) {
        for entry in std::fs::read_dir(at).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                read(root, &entry.path(), files);
            } else {
                let path = entry.path().strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(path, std::fs::read(entry.path()).unwrap());
            }
        }
    }
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let tree = |name: &str| {
        let mut files = Files::default();
        read(&root.join(name), &root.join(name), &mut files);
        files
    };
    let (catalog, problems) = load(&tree("sample-catalog"), None);
    assert_eq!(shown(&problems), "");
    assert!(catalog.templates.len() >= 8);
    let requests = tree("sample-requests");
    let mut count = 0;
    for (path, file) in &requests.0 {
        let PathIs::Request(id) = Pattern::default().id(path) else { continue };
        let path: Arc<str> = path.as_str().into();
        let read = request(&path, &id, file.bytes().unwrap())
            .unwrap_or_else(|p| panic!("{path}: {}", shown(&p)));
        let fill = |reference: &Reference, _: Option<&str>| {
            let Reference { request, output } = reference.clone();
            Filled::Unknown(Symbol { request, component: None, output })
        };
        let verdict = check(&catalog, &read, None, &["files", "cloudformation"], &fill);
        if let Verdict::Invalid(problems) = verdict {
            panic!("{path}: {}", shown(&problems));
        }
        count += 1;
    }
    assert!(count >= 5);
}
