use super::*;
use crate::catalog::catalog_tests::{files, loaded, put};
use crate::catalog::request::tests::shown;
use crate::catalog::{load, request};
use crate::model::{Diagnostic, Files, RequestId};
use crate::yaml;

const SCHEMA: &str = "type: object\nadditionalProperties: false\nproperties:\n  host: {type: string}\n  \
    port: {type: integer}\n  tier: {type: string}\n  days: {type: integer}\n  zone: {type: string}\n  size: {type: string}\n";

fn version(files: &mut Files, version: &str, migrations: &str) {
    let folder = format!("templates/db/{version}");
    let text = format!(
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {{name: db, version: {version}}}\nspec:\n  \
         parameters: schema.yaml\n  components:\n    - {{name: app, provider: files, source: app}}\n  \
         outputs: {{path: {{from: app.path}}}}\n{migrations}"
    );
    put(files, &format!("{folder}/template.yaml"), &text);
    put(files, &format!("{folder}/schema.yaml"), SCHEMA);
    put(files, &format!("{folder}/app/a.txt"), "x\n");
}

fn catalog() -> Catalog {
    let mut files = files();
    version(&mut files, "1.0.0", "");
    version(&mut files, "1.1.0", "");
    let second = "  migrations:\n    - from: ^1\n      rename: {retentionDays: days}\n      \
                  split: {endpoint: {by: \":\", into: [host, port]}}\n      default: {tier: gold}\n";
    version(&mut files, "2.0.0", second);
    version(&mut files, "2.1.0", second);
    version(&mut files, "3.0.0-rc.1", "  migrations: [{from: ^2, drop: [zone]}]\n");
    let third = "  migrations:\n    - {from: ^2, set: {tier: silver}, drop: [zone]}\n    - {from: ^1, set: {tier: never}}\n";
    version(&mut files, "3.0.0", third);
    loaded(&files)
}

const HEAD: &str = "apiVersion: vend.dev/v1\nkind: Request\nspec:\n";

fn outcome(spec: &str, recorded: Option<&str>, to: Option<&str>) -> Outcome {
    let id = RequestId::parse("orders/dev/a").unwrap();
    let text = format!("{HEAD}{spec}");
    let file = request(&"a.yaml".into(), &id, text.as_bytes()).unwrap();
    assert_eq!(shown(file.problems()), "");
    let recorded =
        recorded.map(|v| TemplateId { name: "db".into(), version: Version::parse(v).unwrap() });
    let to = to.map(|v| Version::parse(v).unwrap());
    upgrade(&catalog(), &file, recorded.as_ref(), to.as_ref())
}

/// The file's `spec` after the upgrade.
fn after(spec: &str, recorded: Option<&str>, to: Option<&str>) -> String {
    let Outcome::Upgrade(upgrade) = outcome(spec, recorded, to) else {
        panic!("{:?}", outcome(spec, recorded, to))
    };
    let text = format!("{HEAD}{spec}");
    let made = yaml::edit(&"a.yaml".into(), &text, &upgrade.edits, &yaml::Options::request());
    made.unwrap().strip_prefix(HEAD).unwrap().to_owned()
}

fn left(spec: &str, to: Option<&str>) -> Why {
    match outcome(spec, None, to) {
        Outcome::Left(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn migrations_of_every_version_on_the_way_are_applied_once() {
    let spec = "  template: db@1.0.0 # pinned\n  parameters:\n    # where\n    endpoint: \"db.local:5432\"\n    \
                retentionDays: 4 # days\n    zone: a\n";
    assert_eq!(
        after(spec, None, Some("2.1.0")),
        "  template: db@2.1.0 # pinned\n  parameters:\n    # where\n    host: \"db.local\"\n    port: 5432\n    \
         days: 4 # days\n    zone: a\n    tier: gold\n"
    );
    // The release candidate between is no stop, and what begins at ^1 has been done.
    assert_eq!(
        after(spec, None, None),
        "  template: db@3.0.0 # pinned\n  parameters:\n    # where\n    host: \"db.local\"\n    port: 5432\n    \
         days: 4 # days\n    tier: silver\n"
    );
}

/// A version without migrations is passed like any other: what starts at it starts for those who skip it.
#[test]
fn a_version_that_asks_for_nothing_hides_no_later_migration() {
    let mut files = files();
    for plain in ["1.0.0", "2.0.0", "2.1.0"] {
        version(&mut files, plain, "");
    }
    let third = "  migrations:\n    - {from: ~2.0, set: {tier: too far}}\n    - {from: ^2, rename: {zone: host}, default: {tier: gold}}\n";
    version(&mut files, "3.0.0", third);
    // It was copied from the one before, and is for those who skip that.
    version(&mut files, "3.1.0", third);
    version(&mut files, "4.0.0", "  migrations: [{from: ^3, set: {days: 7}}]\n");
    let catalog = loaded(&files);
    let moves = |at: &str, to: &str| {
        let id = RequestId::parse("orders/dev/a").unwrap();
        let text = format!("{HEAD}  template: db@{at}\n  parameters: {{zone: a}}\n");
        let file = request(&"a.yaml".into(), &id, text.as_bytes()).unwrap();
        match upgrade(&catalog, &file, None, Some(&Version::parse(to).unwrap())) {
            Outcome::Upgrade(upgrade) => upgrade.moves,
            other => panic!("{other:?}"),
        }
    };
    let renamed = || Moved::Renamed { from: "zone".into(), to: "host".into() };
    let third = || vec![renamed(), Moved::Defaulted("tier".into())];
    for at in ["1.0.0", "2.1.0"] {
        assert_eq!(moves(at, "3.0.0"), third(), "{at}");
        assert_eq!(moves(at, "3.1.0"), third(), "{at}");
        let all = [third(), vec![Moved::Set("days".into())]].concat();
        assert_eq!(moves(at, "4.0.0"), all, "{at}");
    }
    // Where it stands by itself counts first.
    assert_eq!(moves("2.0.0", "3.0.0"), [Moved::Set("tier".into()), renamed()]);
    assert_eq!(moves("1.0.0", "2.1.0"), []);
}

#[test]
fn references_and_secrets_go_with_their_parameters() {
    let spec = "  template: db@1.1.0\n  parameters: {tier: x}\n  references:\n    \
                retentionDays: {request: a/dev/b, output: x} # of b\n  secrets:\n    \
                zone: {awsSecretsManager: \"arn:aws:secretsmanager:eu-north-1:123456789012:secret:x\"}\n";
    let made = after(spec, None, None);
    assert!(
        made.contains("  references:\n    days: {request: a/dev/b, output: x} # of b\n"),
        "{made}"
    );
    assert!(!made.contains("secrets") && made.contains("{tier: silver}"), "{made}");
}

#[test]
fn a_range_is_raised_only_where_the_request_would_stay_behind() {
    let spec = |range: &str| format!("  template: db@{range}\n  parameters: {{}}\n");
    assert!(after(&spec("^1"), Some("1.0.0"), None).contains("db@^3\n"));
    assert!(after(&spec("^2.0"), Some("2.0.0"), Some("2.1.0")).contains("db@^2.1\n"));
    assert_eq!(outcome(&spec("^2.0"), None, Some("2.1.0")), Outcome::Current);
    assert_eq!(outcome(&spec("3.0.0"), None, None), Outcome::Current);
    assert_eq!(outcome(&spec("3.0.0-rc.1"), None, Some("3.0.0-rc.1")), Outcome::Current);
}

#[test]
fn what_cannot_be_done_is_left_with_a_reason() {
    let one = |more: &str| format!("  template: db@1.0.0\n  parameters: {more}\n");
    let both = Why::Both { from: "retentionDays".into(), to: "days".into() };
    assert_eq!(left(&one("{retentionDays: 1, days: 2}"), None), both);
    assert_eq!(left(&one("{endpoint: 7}"), None), Why::NotText("endpoint".into()));
    let parts = |found| Why::Parts { name: "endpoint".into(), by: ":".into(), wanted: 2, found };
    assert_eq!(left(&one("{endpoint: a}"), None), parts(1));
    assert_eq!(left(&one("{endpoint: \"a:b:c\"}"), None), parts(3));
    assert!(matches!(left(&one("{}"), Some("9.0.0")), Why::NoVersion(Some(_))));
    assert!(matches!(left("  template: nope@1.0.0\n", None), Why::NoTemplate));
    assert!(matches!(left("  template: old@0.9.0\n", Some("1.0.0")), Why::Retired(_)));
    let newer = outcome("  template: db@3.0.0\n", None, Some("2.0.0"));
    assert!(matches!(newer, Outcome::Left(Why::Newer(_))));
}

#[test]
fn migrations_are_held_against_the_version_that_has_them() {
    let mut files = files();
    let bad = "  migrations:\n    - {from: one, drop: [a]}\n    - {from: ^1, rename: {a: hots, b: host, port: port}, set: {host: x}}\n";
    version(&mut files, "2.0.0", bad);
    let (_, problems) = load(&files, None);
    let told: Vec<String> = problems
        .iter()
        .filter(|p| p.code.starts_with("MIG"))
        .map(|p| format!("{} {} {}", p.place.line, p.code, p.message))
        .collect();
    assert_eq!(
        told,
        [
            "10 MIG001 `one` is neither a version nor a range of them",
            "11 MIG002 this version has no parameter `hots`",
            "11 MIG003 `port` would become itself",
            "11 MIG003 this migration gives `host` twice",
        ]
    );
}

#[test]
fn a_migration_does_not_take_away_what_it_gives() {
    let mut files = files();
    let bad = "  migrations:\n    - {from: ^1, rename: {a: host, zone: tier}, drop: [host, zone]}\n    - {from: ^1, default: {port: 1}, drop: [port]}\n    - {from: ^1, rename: {a: host, b: tier}, split: {a: {by: x, into: [port, days]}, tier: {by: x, into: [zone, size]}}}\n    - {from: ^1, rename: {a: host, b: host}}\n";
    version(&mut files, "2.0.0", bad);
    let (_, problems) = load(&files, None);
    let of = |p: &&Diagnostic| p.code.starts_with("MIG");
    let told: Vec<String> = problems
        .iter()
        .filter(of)
        .map(|p| format!("{} {} {}", p.place.line, p.code, p.message))
        .collect();
    assert_eq!(
        told,
        [
            "10 MIG003 this migration gives `host` and drops it",
            "11 MIG003 this migration gives `port` and drops it",
            "12 MIG003 this migration renames and splits `a`",
            "12 MIG003 this migration renames and splits `tier`",
            "13 MIG003 this migration gives `host` twice",
        ]
    );
}

#[test]
fn renames_go_by_the_old_names() {
    let after = |rename: &str, spec: &str| {
        let mut files = files();
        version(&mut files, "1.0.0", "");
        let migration = format!("  migrations: [{{from: ^1, rename: {rename}}}]\n");
        version(&mut files, "2.0.0", &migration);
        let id = RequestId::parse("orders/dev/a").unwrap();
        let text = format!("{HEAD}{spec}");
        let file = request(&"a.yaml".into(), &id, text.as_bytes()).unwrap();
        let Outcome::Upgrade(upgrade) = upgrade(&loaded(&files), &file, None, None) else {
            panic!("it is left")
        };
        let made = yaml::edit(&"a.yaml".into(), &text, &upgrade.edits, &yaml::Options::request());
        made.unwrap().strip_prefix(HEAD).unwrap().to_owned()
    };
    let spec = |parameters: &str| format!("  template: db@1.0.0\n  parameters:\n{parameters}");
    let made = |parameters: &str| format!("  template: db@2.0.0\n  parameters:\n{parameters}");
    let three = spec("    host: a # first\n    tier: b\n    zone: c # last\n");
    assert_eq!(
        after("{host: tier, tier: zone}", &spec("    host: a # first\n    tier: b\n")),
        made("    tier: a # first\n    zone: b\n")
    );
    // In a ring each takes the next one's name, and keeps its place and comment.
    assert_eq!(
        after("{host: tier, tier: zone, zone: host}", &three),
        made("    tier: a # first\n    zone: b\n    host: c # last\n")
    );
    assert_eq!(
        after("{host: tier, tier: host}", &three),
        made("    tier: a # first\n    host: b\n    zone: c # last\n")
    );
    // Of a chain whose last name is taken nothing is renamed; what is not there gives up no name.
    let left =
        outcome("  template: db@1.0.0\n  parameters: {retentionDays: 1, days: 2}\n", None, None);
    assert!(matches!(left, Outcome::Left(Why::Both { .. })), "{left:?}");
}

/// A lock is on a name. Where a version calls the parameter otherwise, the lock has to be on that as well.
#[test]
fn what_is_locked_stays_locked_or_the_file_stays() {
    let at = |locked: &str, to: &str, migrations: &str| {
        let mut files = files();
        let dev = format!(
            "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: dev}}\nspec:\n  \
             providers: {{files: {{directory: /srv/dev}}}}\n  locked: {{db: {locked}}}\n"
        );
        put(&mut files, "environments/dev.yaml", &dev);
        version(&mut files, "1.0.0", "");
        version(&mut files, "1.1.0", "");
        version(&mut files, "2.0.0", migrations);
        let schema = "type: object\nadditionalProperties: false\nproperties:\n  cipher: {type: string}\n  port: {type: integer}\n";
        put(&mut files, "templates/db/2.0.0/schema.yaml", schema);
        let (catalog, problems) = load(&files, None);
        let told = problems.iter().filter(|p| p.code == "ENV006").map(|p| p.message.clone());
        let id = RequestId::parse("orders/dev/a").unwrap();
        let text = format!("{HEAD}  template: db@1.0.0\n  parameters: {{}}\n");
        let file = request(&"a.yaml".into(), &id, text.as_bytes()).unwrap();
        let outcome = upgrade(&catalog, &file, None, Some(&Version::parse(to).unwrap()));
        (outcome, told.collect::<Vec<_>>())
    };
    let lost = |called: &[&str]| {
        let called = called.iter().map(|name| (*name).to_owned()).collect();
        let lock = Unheard { name: "tier".into(), called };
        Outcome::Left(Why::Unlocked { environment: "dev".into(), lock })
    };
    let said = ["`db@2.0.0` has no parameter `tier`: this lock has no effect there".to_owned()];
    let renamed = "  migrations: [{from: ^1, rename: {tier: cipher}}]\n";
    assert_eq!(at("{tier: gold}", "2.0.0", renamed), (lost(&["cipher"]), said.to_vec()));
    assert_eq!(at("{tier: gold}", "2.0.0", ""), (lost(&[]), said.to_vec()));
    // An older version has it still, and may be asked for.
    assert!(matches!(at("{tier: gold}", "1.1.0", renamed).0, Outcome::Upgrade(_)));
    // Both are locked, or the version's author says that nothing took its place.
    let dropped = "  migrations: [{from: ^1, drop: [tier]}]\n";
    for (locked, migrations) in [("{tier: gold, cipher: gold}", renamed), ("{tier: gold}", dropped)]
    {
        let (outcome, told) = at(locked, "2.0.0", migrations);
        assert!(matches!(outcome, Outcome::Upgrade(_)), "{outcome:?}");
        assert!(told.is_empty(), "{told:?}");
    }
    // A split has as many locks as parts.
    let split = "  migrations: [{from: ^1, split: {tier: {by: x, into: [cipher, port]}}}]\n";
    assert_eq!(at("{tier: gold, port: 1}", "2.0.0", split).0, lost(&["cipher"]));
}

/// What an environment gives is the platform team's word for all requests there: a migration is for those
/// that nobody gives anything.
#[test]
fn what_the_environment_gives_is_left_to_it() {
    let at = |spec: &str, from: &str, to: &str| {
        let mut files = files();
        let dev = format!(
            "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {{name: dev}}\nspec:\n  \
             providers: {{files: {{directory: /srv/dev}}}}\n{spec}"
        );
        put(&mut files, "environments/dev.yaml", &dev);
        version(&mut files, "1.0.0", "");
        version(
            &mut files,
            "2.0.0",
            "  migrations: [{from: ^1, default: {tier: gold, days: 4}}]\n",
        );
        // What was given is called otherwise here.
        version(&mut files, "3.0.0", "  migrations: [{from: ^2, rename: {tier: zone}}]\n");
        version(&mut files, "4.0.0", "  migrations: [{from: ^3, set: {size: large}}]\n");
        let id = RequestId::parse("orders/dev/a").unwrap();
        let text = format!("{HEAD}  template: db@{from}\n  parameters: {{}}\n");
        let file = request(&"a.yaml".into(), &id, text.as_bytes()).unwrap();
        match upgrade(&loaded(&files), &file, None, Some(&Version::parse(to).unwrap())) {
            Outcome::Upgrade(upgrade) => upgrade.moves,
            other => panic!("{other:?}"),
        }
    };
    let defaulted = |name: &str| Moved::Defaulted(name.to_owned());
    let both = [defaulted("days"), defaulted("tier")];
    assert_eq!(at("", "1.0.0", "2.0.0"), both);
    for word in ["defaults", "locked"] {
        let gives = |values: &str| format!("  {word}: {{db: {values}}}\n");
        assert_eq!(at(&gives("{tier: silver}"), "1.0.0", "2.0.0"), both[..1], "{word}");
        assert_eq!(at(&gives("{tier: silver, days: 1}"), "1.0.0", "2.0.0"), [], "{word}");
        // Its name there counts, and not the one on the way.
        assert_eq!(at(&gives("{zone: a}"), "1.0.0", "3.0.0"), both[..1], "{word}");
    }
    // Another template's is no matter of this one's.
    assert_eq!(at("  defaults: {queue: {tier: silver}}\n", "1.0.0", "2.0.0"), both);
    // A default is no match for what the version sets, and a lock is.
    let set = [Moved::Set("size".to_owned())];
    assert_eq!(at("  defaults: {db: {size: small}}\n", "3.0.0", "4.0.0"), set);
    assert_eq!(at("  locked: {db: {size: small}}\n", "3.0.0", "4.0.0"), []);
}
