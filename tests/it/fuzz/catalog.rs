//! Files of a catalog, and bundles of other catalogs that become some.

use std::collections::BTreeMap;

use semver::Version;
use vend::catalog::import::{Format, Imported, Wanted};
use vend::catalog::{self, Catalog, Changed};
use vend::model::{Diagnostic, Files};
use vend::yaml::{self, Options};

use super::bodies::{are_plain, are_tellable};

/// A catalog in which everything is right. An input is laid over it.
const FILES: [(&str, &str); 9] = [
    (
        "catalog.yaml",
        "apiVersion: vend.dev/v1\nkind: Catalog\nmetadata: {name: c}\nspec:\n  format: 1\n  owners: {platform: [ada]}\n",
    ),
    (
        "environments/dev.yaml",
        "apiVersion: vend.dev/v1\nkind: Environment\nmetadata: {name: dev}\nspec:\n  providers:\n    files: {repository: /out}\n",
    ),
    (
        "templates/note/1.0.0/template.yaml",
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {name: note, version: 1.0.0}\nspec:\n  parameters: schema.json\n  components:\n    - {name: main, provider: files, source: a.yaml.hbs}\n",
    ),
    ("templates/note/1.0.0/schema.json", SCHEMA),
    ("templates/note/1.0.0/a.yaml.hbs", "text: {{parameters.text}}\n"),
    (
        "templates/note/1.1.0/template.yaml",
        "apiVersion: vend.dev/v1\nkind: Template\nmetadata: {name: note, version: 1.1.0}\nspec:\n  parameters: schema.json\n  components:\n    - {name: main, provider: files, source: a.yaml.hbs}\n",
    ),
    ("templates/note/1.1.0/schema.json", SCHEMA),
    ("templates/note/1.1.0/a.yaml.hbs", "text: {{parameters.text}}\n"),
    (
        "templates/note/1.1.0/tests/plain.yaml",
        "apiVersion: vend.dev/v1
kind: TemplateTest
metadata: {name: plain}
spec:
  environment: dev
  request: {team: orders, name: events, parameters: {text: x}}
  expect: {diagnostics: []}
",
    ),
];

const SCHEMA: &str = "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"text\"], \"properties\": {\"text\": {\"type\": \"string\"}, \"size\": {\"type\": \"integer\"}}}\n";

/// `=== PATH` and the lines below it, file by file; what stands above the first is no file's.
fn sections(data: &[u8]) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let (mut head, mut files) = (Vec::new(), Vec::<(String, Vec<u8>)>::new());
    for line in data.split_inclusive(|byte| *byte == b'\n') {
        match line.strip_prefix(b"=== ") {
            Some(path) => {
                let path = String::from_utf8_lossy(path.trim_ascii_end()).into_owned();
                files.push((path, Vec::new()));
            }
            None => match files.last_mut() {
                Some((_, text)) => text.extend_from_slice(line),
                None => head.extend_from_slice(line),
            },
        }
    }
    (head, files)
}

/// A path that leaves no folder, is no option and is nothing that a terminal would obey. Others are
/// refused before a catalog or a bundle is read.
fn is_plain(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && !part.starts_with(['.', '-'])
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
    };
    path.len() <= 200 && path.split('/').all(part)
}

fn of_vend(problem: &Diagnostic) -> bool {
    ["/template.yaml", "/schema.json"].iter().any(|name| problem.place.file.ends_with(name))
}

/// What is made of a bundle lies in the version's folder, is the same each time, and vend can read what
/// vend wrote.
pub fn import(data: &[u8]) {
    let (head, files) = sections(data);
    let format = match head.first() {
        Some(b'p') => Format::Proton,
        Some(b'a') => Format::Ade,
        _ => Format::ServiceCatalog,
    };
    let files: Files = files.into_iter().filter(|(path, _)| is_plain(path)).collect();
    let wanted = Wanted {
        name: "imported".into(),
        version: Version::new(1, 0, 0),
        stack_name: None,
        environment_template: Some("network".into()),
    };
    let import = || catalog::import::import(format, &files, &wanted);
    let Imported { files: made, notes } = match import() {
        Ok(imported) => imported,
        Err(problems) => {
            assert!(!problems.is_empty());
            are_tellable(&problems, data);
            return;
        }
    };
    are_tellable(&notes, data);
    let again = import().unwrap();
    assert_eq!((&again.files, &again.notes), (&made, &notes));

    let mut all: Files = FILES[..1].iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    for (path, bytes) in made {
        assert!(is_plain(&path), "{path:?}");
        all.insert(format!("templates/imported/1.0.0/{path}"), bytes);
    }
    let (loaded, problems) = catalog::load(&all, None);
    are_plain(&problems);
    let version = loaded.versions().next().expect("a version was written");
    assert_eq!(version.id.to_string(), "imported@1.0.0");
    let unread = problems.iter().find(|p| of_vend(p) && p.code.starts_with("YAML"));
    assert!(unread.is_none(), "{unread:?}");
}

/// All that a catalog says, without where it says so.
fn said(catalog: &Catalog) -> String {
    let rules = |rules: &vend::policy::Rules| {
        let deny: Vec<_> = rules.deny.iter().map(|r| (r.text.clone(), r.message.clone())).collect();
        let asked = |r: &vend::policy::ApprovalRule| {
            (r.text.clone(), r.teams.clone(), r.count, r.reason.clone())
        };
        format!("{deny:?} {:?}", rules.approvals.iter().map(asked).collect::<Vec<_>>())
    };
    let allow = |allow: &Option<vend::policy::Allowed>| {
        format!("{:?}", allow.as_ref().map(|allowed| allowed.patterns.clone()))
    };
    let mut out = format!("{} {:?} {:?}\n", catalog.name, catalog.owners, catalog.waves());
    for (name, it) in &catalog.environments {
        out += &format!("{name} {:?} {:?} {:?}\n", it.description, it.providers, it.variables);
        out += &format!("{:?} {:?} {:?}\n", it.defaults, it.locked, it.templates);
        out += &format!("{} {:?} {:?}\n", it.protect, it.secrets, it.on_drift);
        out += &format!("{} {}\n", rules(&it.rules), allow(&it.allow));
    }
    for it in catalog.versions() {
        out += &format!("{} {:?} {:?} {:?}\n", it.id, it.lifecycle, it.replaced_by, it.ttl);
        for component in &it.components {
            let vend::catalog::ComponentSpec { name, provider, root, with, needs, .. } = component;
            out += &format!("{name} {provider} {root} {with:?} {needs:?}\n");
        }
        out += &format!("{:?} {:?} {:?}\n", it.on_drift, it.timeout, it.migrations);
        out += &format!("{} {}\n", rules(&it.rules), allow(&it.allow));
        let tests: Vec<_> = it.tests.iter().map(|test| (&test.name, &test.document)).collect();
        out += &format!("{tests:?}\n");
    }
    out
}

/// A catalog is read the same whatever was read before it, and one without a mistake means the same when
/// its files are written by the writer and read again.
pub fn catalog(data: &[u8]) {
    let (_, files) = sections(data);
    let base: Files = FILES.iter().map(|(path, text)| (*path, text.as_bytes())).collect();
    let mut all = base.clone();
    let given: BTreeMap<String, Vec<u8>> =
        files.into_iter().filter(|(path, _)| is_plain(path)).collect();
    for (path, text) in &given {
        all.insert(path.clone(), text.as_slice());
    }
    let (known, wrong) = catalog::load(&base, None);
    assert!(wrong.is_empty(), "{wrong:?}");
    let (whole, problems) = catalog::load(&all, None);
    for problem in &problems {
        let bytes = all.get(&problem.place.file).and_then(|file| file.bytes());
        are_tellable(std::slice::from_ref(problem), bytes.map_or(data, |bytes| bytes));
    }
    for previous in [&known, &whole] {
        let (again, same) = catalog::load(&all, Some(previous));
        assert_eq!(same, problems);
        assert_eq!(catalog::changed(&whole, &again), Changed::default());
        assert_eq!(said(&again), said(&whole));
    }
    if !problems.is_empty() {
        return;
    }
    for (path, text) in given.iter().filter(|(path, _)| path.ends_with(".yaml")) {
        let read = yaml::read(&path.as_str().into(), text, &Options::request());
        // A file that nobody reads may hold anything.
        let Ok([node]) = read.as_deref() else { continue };
        all.insert(path.clone(), yaml::write_json(&node.to_json()).into_bytes());
    }
    let (again, problems) = catalog::load(&all, None);
    assert!(problems.is_empty(), "{problems:?}");
    assert_eq!(said(&again), said(&whole));
}
