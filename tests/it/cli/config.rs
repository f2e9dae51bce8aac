//! `vend.yaml`: its schema and the settings hold each other, and errors say where.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use serde_json::{Value, json};
use vend::catalog::schema::Kind;
use vend::config::{
    Config, ForgeGitHub, NotificationFormat, NotificationSettings, PostgresSettings, Remove,
    Settings, TraceSettings,
};

use super::{Laptop, run};
use crate::world::World;

fn schema() -> Value {
    serde_json::from_str(Kind::Config.text()).unwrap()
}

/// Objects of the schema by their pointers in a document (`/requests/0`), with their properties.
fn objects(schema: &Value, at: &str, found: &mut BTreeMap<String, BTreeSet<String>>) {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        let built = properties.iter().filter(|(_, p)| p.get("x-not-supported").is_none());
        for (name, property) in built.clone() {
            objects(property, &format!("{at}/{name}"), found);
        }
        found.insert(at.to_owned(), built.map(|(name, _)| name.clone()).collect());
    }
    if let Some(items) = schema.get("items") {
        objects(items, &format!("{at}/0"), found);
    }
}

#[test]
fn every_property_has_a_field_and_every_field_a_property() {
    let schema = schema();
    let whole = schema["examples"][1].clone();
    serde_json::from_value::<Settings>(whole.clone()).unwrap();
    let mut found = BTreeMap::new();
    objects(&schema, "", &mut found);
    assert!(found.len() >= 12, "{found:?}");
    let quoted = Regex::new("`([^`]+)`").unwrap();
    for (pointer, properties) in found {
        let mut document = whole.clone();
        let object = document
            .pointer_mut(&pointer)
            .unwrap_or_else(|| panic!("{pointer}: not in the example"));
        object["zzz"] = json!(1);
        // Whoever refuses an unknown field lists those there are.
        let error = serde_json::from_value::<Settings>(document).unwrap_err().to_string();
        let (_, listed) =
            error.split_once("expected").unwrap_or_else(|| panic!("{pointer}: {error}"));
        let fields: BTreeSet<String> =
            quoted.captures_iter(listed).map(|c| c[1].to_owned()).collect();
        assert_eq!(fields, properties, "at `{pointer}`");
    }
}

#[test]
fn the_defaults_that_the_schema_states_are_those_of_the_code() {
    let minimal = json!({"catalog": {"repository": "/c"}, "requests": [{"repository": "/r"}]});
    let s: Settings = serde_json::from_value(minimal).unwrap();
    let github: ForgeGitHub = serde_json::from_value(json!({"tokenFile": "/t"})).unwrap();
    let postgres: PostgresSettings =
        serde_json::from_value(json!({"url": "postgres:///"})).unwrap();
    let receiver: NotificationSettings = serde_json::from_value(json!({"name": "a"})).unwrap();
    let traces: TraceSettings =
        serde_json::from_value(json!({"endpoint": "https://otel.example/v1/traces"})).unwrap();
    let seconds = |d: jiff::SignedDuration| format!("{}s", d.as_secs());
    let code = BTreeMap::from([
        ("/catalog/branch", json!(s.catalog.branch)),
        ("/requests/0/name", json!(s.requests[0].name.as_str())),
        ("/requests/0/branch", json!(s.requests[0].branch)),
        ("/status/branch", json!(s.status.branch)),
        ("/status/interval", json!(seconds(s.status.interval))),
        ("/requests/0/pattern", json!(s.requests[0].pattern)),
        ("/reconcile/interval", json!(seconds(s.reconcile.interval))),
        ("/reconcile/driftInterval", json!(seconds(s.reconcile.drift_interval))),
        ("/reconcile/concurrency", json!(s.reconcile.concurrency)),
        ("/reconcile/portion", json!(s.reconcile.portion)),
        ("/reconcile/perAccount", json!(s.reconcile.per_account)),
        ("/reconcile/breaker/maxDeletes", json!(s.reconcile.breaker.max_deletes)),
        ("/reconcile/breaker/maxPercent", json!(s.reconcile.breaker.max_percent)),
        ("/reconcile/breaker/teamMin", json!(s.reconcile.breaker.team_min)),
        (
            "/reconcile/replacements",
            json!(if s.reconcile.replacements.asks() { "approve" } else { "apply" }),
        ),
        (
            "/reconcile/cancel",
            json!(if s.reconcile.cancel.supersedes() { "superseded" } else { "never" }),
        ),
        ("/reconcile/lease", json!(seconds(s.reconcile.lease))),
        (
            "/expiry/warn",
            json!(
                s.expiry.warn.iter().map(|d| format!("{}d", d.as_hours() / 24)).collect::<Vec<_>>()
            ),
        ),
        (
            "/expiry/remove",
            json!(match s.expiry.remove {
                Remove::Auto => "auto",
                Remove::Commit => "commit",
                Remove::Never => "never",
            }),
        ),
        ("/store/postgres/schema", json!(postgres.schema)),
        ("/store/postgres/connections", json!(postgres.connections)),
        ("/limits/files", json!(s.limits.files)),
        ("/limits/fileBytes", json!(s.limits.file_bytes)),
        ("/limits/gitDeadline", json!(seconds(s.limits.git_deadline))),
        ("/providers/files/batch", json!(s.providers.files.batch)),
        (
            "/providers/cloudformation/rates/changes",
            json!(s.providers.cloudformation.rates.changes),
        ),
        ("/providers/cloudformation/rates/looks", json!(s.providers.cloudformation.rates.looks)),
        ("/providers/cloudformation/rates/events", json!(s.providers.cloudformation.rates.events)),
        ("/forge/github/api", json!(github.api)),
        ("/forge/github/writes/perMinute", json!(github.writes.per_minute)),
        ("/forge/github/writes/perHour", json!(github.writes.per_hour)),
        ("/requirePullRequest", json!(s.require_pull_request)),
        ("/upgrades/propose", json!(s.upgrades.propose)),
        ("/upgrades/interval", json!(seconds(s.upgrades.interval))),
        ("/upgrades/limit", json!(s.upgrades.limit)),
        (
            "/notifications/0/format",
            json!(match receiver.format {
                NotificationFormat::Vend => "vend",
                NotificationFormat::Slack => "slack",
            }),
        ),
        ("/notifications/0/on", json!(receiver.on)),
        ("/traces/sampleRatio", json!(traces.sample_ratio)),
        ("/traces/serviceName", json!(traces.service_name)),
        ("/author/name", json!(s.author.name)),
        ("/author/email", json!(s.author.email)),
    ]);
    let mut stated = BTreeMap::new();
    defaults(&schema(), "", &mut stated);
    let names = |m: &BTreeMap<String, Value>| m.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&stated), code.keys().map(|k| (*k).to_owned()).collect::<Vec<_>>());
    let in_seconds = |v: &Value| match v.as_str() {
        Some("5m") => json!("300s"),
        Some("1h") => json!("3600s"),
        Some("24h") => json!("86400s"),
        _ => v.as_f64().map_or_else(|| v.clone(), Value::from),
    };
    for (pointer, value) in stated {
        assert_eq!(in_seconds(&value), in_seconds(&code[pointer.as_str()]), "{pointer}");
    }
}

fn defaults(schema: &Value, at: &str, found: &mut BTreeMap<String, Value>) {
    if let Some(value) = schema.get("default") {
        found.insert(at.to_owned(), value.clone());
    }
    for (name, property) in
        schema.get("properties").and_then(Value::as_object).into_iter().flatten()
    {
        defaults(property, &format!("{at}/{name}"), found);
    }
    if let Some(items) = schema.get("items") {
        defaults(items, &format!("{at}/0"), found);
    }
}

/// Code and place of each problem of a `vend.yaml`.
fn problems(text: &str) -> String {
    let path = std::path::Path::new("/etc/vend/vend.yaml");
    match Config::parse(path, text.as_bytes()) {
        Ok(_) => "none".into(),
        Err(vend::config::ConfigError::Invalid { problems, .. }) => problems
            .iter()
            .map(|p| {
                format!("{} {}:{} {} ({})", p.code, p.place.line, p.place.column, p.message, p.help)
            })
            .collect::<Vec<_>>()
            .join("\n"),
        Err(error) => error.to_string(),
    }
}

const GOOD: &str = "catalog: {repository: /c}\nrequests: [{repository: /r}]\n";

#[test]
fn localhost_is_a_loopback_address() {
    let listen = |address: &str| {
        let text = format!("{GOOD}server: {{listen: \"{address}\"}}\n");
        match Config::parse(std::path::Path::new("/etc/vend/vend.yaml"), text.as_bytes()) {
            Ok(config) => config.settings.server.listen.unwrap().to_string(),
            Err(_) => problems(&text),
        }
    };
    assert_eq!(listen("localhost:9464"), "127.0.0.1:9464");
    assert_eq!(listen("[::1]:9464"), "[::1]:9464");
    for wrong in ["localhost:99999", "127.0.0.1:99999", "127.0.0.999:1"] {
        assert!(listen(wrong).starts_with("CFG001 3:"), "{}", listen(wrong));
        assert!(listen(wrong).contains("such as `127.0.0.1:9464`"), "{}", listen(wrong));
    }
}

#[test]
fn errors_say_where_and_what_was_meant() {
    let cases = [
        "catalgo: {repository: /c}\nrequests: [{repository: /r}]\n".to_owned(),
        format!("{GOOD}reconcile: {{intervall: 60s}}\n"),
        format!("{GOOD}reconcile: {{interval: soon}}\n"),
        format!("{GOOD}reconcile: {{driftInterval: 1d, lease: 500ms}}\n"),
        format!("{GOOD}requirePullRequest: true\n"),
        format!("{GOOD}forge: {{github: {{}}}}\n"),
        format!("{GOOD}forge: {{github: {{tokenFile: t, app: {{id: 1, privateKeyFile: k}}}}}}\n"),
        format!("{GOOD}forge: {{github: {{tokenFile: t, api: \"http://git.acme.example\"}}}}\n"),
        format!("{GOOD}forge: {{github: {{tokenFile: t, api: \"http://127.0.0.1:4711\"}}}}\n"),
        format!("{GOOD}requirePullRequest: false\n"),
        format!("{GOOD}providers: {{cloudformation: {{rates: {{changes: 0}}}}}}\n"),
        format!("{GOOD}server: {{listen: \"0.0.0.0:80\"}}\n"),
        format!("{GOOD}server: {{metrics: \"0.0.0.0:9464\"}}\n"),
        format!("{GOOD}server: {{metrics: \"vend:9464\"}}\n"),
        "catalog: {repository: /c}\nrequests: [{repository: /r}, {repository: /s}]\n".to_owned(),
        "catalog: {repository: /c}\nrequests: []\n".to_owned(),
        "catalog: {repository: /c}\nrequests: [{repository: /r, pattern: \"x/{name}.yaml\"}]\n"
            .to_owned(),
        String::new(),
        "a: [".to_owned(),
    ];
    let all: Vec<String> = cases
        .iter()
        .map(|text| format!("{}\n{}", text.lines().last().unwrap_or("(empty)"), problems(text)))
        .collect();
    insta::assert_snapshot!(all.join("\n\n"), @r#"
    requests: [{repository: /r}]
    SCH001 1:1 unknown field `catalgo` (did you mean `catalog`?)

    reconcile: {intervall: 60s}
    SCH001 3:13 unknown field `intervall` (did you mean `interval`?)

    reconcile: {interval: soon}
    SCH005 3:23 expected a length of time such as `500ms`, `30s`, `15m` or `1h` for `reconcile.interval`, found the text `soon` ()

    reconcile: {driftInterval: 1d, lease: 500ms}
    none

    requirePullRequest: true
    none

    forge: {github: {}}
    SCH002 3:9 the field `app` is missing in `forge.github` (allowed are: an App; the token of an account)

    forge: {github: {tokenFile: t, app: {id: 1, privateKeyFile: k}}}
    SCH007 3:18 `forge.github.tokenFile` cannot be set here (allowed are: an App; the token of an account)

    forge: {github: {tokenFile: t, api: "http://git.acme.example"}}
    CFG001 3:37 the API's address begins with `https://`, since a token goes there ()

    forge: {github: {tokenFile: t, api: "http://127.0.0.1:4711"}}
    none

    requirePullRequest: false
    none

    providers: {cloudformation: {rates: {changes: 0}}}
    SCH006 3:47 expected more than 0 for `providers.cloudformation.rates.changes`, found 0 (Calls that change something.)

    server: {listen: "0.0.0.0:80"}
    SCH005 3:18 expected a loopback address and port, such as `127.0.0.1:9464` for `server.listen`, found the text `0.0.0.0:80` (Address of `/healthz`, `/readyz` and `/metrics`; a loopback address. Without it there are none.)

    server: {metrics: "0.0.0.0:9464"}
    none

    server: {metrics: "vend:9464"}
    CFG001 3:19 expected an address and port, such as `0.0.0.0:9464` ()

    requests: [{repository: /r}, {repository: /s}]
    CFG001 2:30 two requests repositories are named `requests`: give each a name ()

    requests: []
    SCH006 2:11 expected 1 items or more for `requests`, found 0 (Where requests are; one or more sources.)

    requests: [{repository: /r, pattern: "x/{name}.yaml"}]
    CFG001 2:38 the pattern `x/{name}.yaml` lacks `{team}` ()

    (empty)
    REQ001 1:1 expected a mapping with `catalog` and `requests`, found nothing ()

    a: [
    YAML011 1:4 a bracket opened before this is not closed (close it, and separate items by `,`)
    "#);
}

#[test]
fn traces_go_nowhere_in_the_clear_and_no_address_is_shown() {
    let traces = |endpoint: &str| problems(&format!("{GOOD}traces:\n  endpoint: {endpoint}\n"));
    assert_eq!(traces("http://localhost:4318/v1/traces"), "none");
    assert_eq!(traces("https://otel.acme.example/v1/traces"), "none");
    for bad in ["http://otel.acme.example/v1/traces", "https://me:hush@otel.acme.example/"] {
        let said = traces(bad);
        assert!(said.starts_with("CFG001 4:3 its `endpoint`: "), "{said}");
        assert!(!said.contains("hush"), "{said}");
    }
}

#[test]
fn relative_paths_start_at_the_file() {
    let text = "catalog: {repository: ../c}\nrequests: [{repository: ..}, {repository: ., name: own}]\nstateDir: state\n\
                traces: {endpoint: \"https://otel.example/v1/traces\", caFile: ca.pem, headersFile: headers}\n";
    let config =
        Config::parse(std::path::Path::new("/srv/vend/vend.yaml"), text.as_bytes()).unwrap();
    let s = config.settings;
    assert_eq!(s.catalog.repository, "/srv/c");
    assert_eq!(
        (s.requests[0].repository.as_str(), s.requests[1].repository.as_str()),
        ("/srv", "/srv/vend")
    );
    assert_eq!(s.state_dir.unwrap(), std::path::Path::new("/srv/vend/state"));
    let traces = s.traces.unwrap();
    assert_eq!(traces.ca_file.unwrap(), std::path::Path::new("/srv/vend/ca.pem"));
    assert_eq!(traces.headers_file.unwrap(), std::path::Path::new("/srv/vend/headers"));
}

#[test]
fn which_file_is_meant() {
    let world = World::new();
    let laptop = Laptop::new(&world);
    let inner = laptop.clone.join("requests");
    // Upward from here.
    laptop.ends_in(&inner, 0, &["validate"]);
    // The flag beats the variable, the variable the search.
    let mut command = laptop.command_in(&inner, &["schema"]);
    command.env("VEND_CONFIG", "/nowhere/vend.yaml");
    let said = run(command);
    assert_eq!(said.code, 2);
    assert!(said.stderr.contains("`/nowhere/vend.yaml` is not there"), "{}", said.stderr);
    let own = laptop.clone.join("vend.yaml");
    let mut command = laptop.command_in(&inner, &["--config", own.to_str().unwrap(), "schema"]);
    command.env("VEND_CONFIG", "/nowhere/vend.yaml");
    assert_eq!(run(command).code, 0);
    // Nowhere: what was looked for is named.
    if !std::path::Path::new("/etc/vend/vend.yaml").exists() {
        let said = laptop.ends_in(std::path::Path::new("/"), 2, &["status"]).stderr;
        assert!(
            said.contains("no `vend.yaml` here or in a folder above, and no `/etc/vend"),
            "{said}"
        );
    }
    std::fs::write(&own, "catalgo: {}\n").unwrap();
    let said = laptop.ends(3, &["status"]).stderr;
    assert!(said.contains("vend.yaml:1:1") && said.contains("did you mean `catalog`"), "{said}");
}
