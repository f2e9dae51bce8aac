//! The pages of the manual: one for each command, well-formed, and nothing of the moment in them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use vend::catalog::schema::Kind;

use crate::lacking::not_run;

fn vend(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vend"));
    let output = command.args(args).env_clear().output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Every page, by the name of its file.
fn pages(folder: &Path) -> BTreeMap<String, String> {
    let (code, said, error) = vend(&["man", folder.to_str().unwrap()]);
    assert_eq!(code, 0, "{error}");
    let pages: BTreeMap<_, _> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path()).unwrap();
            (entry.file_name().into_string().unwrap(), text)
        })
        .collect();
    assert!(said.starts_with(&format!("{} pages", pages.len())), "{said}");
    pages
}

/// The commands below one, as `--help` lists them.
fn commands(of: &[&str], found: &mut BTreeSet<String>) {
    let (_, help, _) = vend(&[of, &["--help"]].concat());
    found.insert([&["vend"], of].concat().join("-"));
    let lines = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    for line in lines.take_while(|l| !l.is_empty()) {
        let is_name = line.starts_with("  ") && !line.starts_with("   ");
        let name = line.split_whitespace().next().filter(|name| is_name && *name != "help");
        if let Some(name) = name {
            commands(&[of, &[name]].concat(), found);
        }
    }
}

#[test]
fn every_command_has_a_page_and_every_page_a_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = pages(folder.path());
    let mut named = BTreeSet::new();
    commands(&[], &mut named);
    assert!(named.len() > 25 && named.contains("vend-catalog-list"), "{named:?}");
    let named: BTreeSet<String> = named.into_iter().map(|name| format!("{name}.1")).collect();
    let written: BTreeSet<String> =
        pages.keys().filter(|name| *name != "vend.yaml.5").cloned().collect();
    assert_eq!(written, named);

    // Without a folder it prints the first, as it is in the file.
    let (code, first, _) = vend(&["man"]);
    assert_eq!((code, &first), (0, &pages["vend.1"]));
    for word in [".SH \"EXIT STATUS\"", ".SH ENVIRONMENT", ".SH FILES", "vend.yaml"] {
        assert!(first.contains(word), "{word}");
    }
    // Again, elsewhere: the same bytes.
    let again = tempfile::tempdir().unwrap();
    assert_eq!(self::pages(again.path()), pages);
}

#[test]
fn every_setting_is_on_the_page_of_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let page = &pages(folder.path())["vend.yaml.5"];
    let schema = serde_json::from_str(Kind::Config.text()).unwrap();
    let mut settings = Vec::new();
    crate::pages::settings(&schema, "", &mut settings);
    assert!(settings.len() > 50, "{}", settings.len());
    for (path, setting) in settings {
        let term = format!(".TP\n\\fB{}\\fR\n", path.replace('-', "\\-"));
        let (_, rest) = page.split_once(&term).unwrap_or_else(|| panic!("no {path}"));
        let meaning = rest.lines().next().unwrap();
        assert!(meaning.len() > 8 && !meaning.starts_with('.'), "{path}: {meaning}");
        if let Some(default) = setting.get("default") {
            let default = default.as_str().map_or_else(|| default.to_string(), str::to_owned);
            let said = meaning.replace("\\-", "-");
            assert!(said.ends_with(&format!(" Default: {default}.")), "{path}: {meaning}");
        }
    }
}

/// Only what the macros of manual pages know, each page with its head and its name.
fn is_plain(page: &str) -> Result<(), String> {
    let known = ["TH", "SH", "SS", "TP", "PP", "RS", "RE", "br", "ie", "el", "IP", "ti"];
    let controls = |line: &str| line.starts_with('.') || line.starts_with('\'');
    for line in page.lines().filter(|line| controls(line)) {
        let name = line[1..].split([' ', '\\']).next().unwrap();
        if !known.contains(&name) {
            return Err(format!("an unknown macro: {line}"));
        }
    }
    let heads = page.lines().filter(|line| line.starts_with(".TH ")).count();
    let named = page.contains("\n.SH NAME\n");
    if heads == 1 && named { Ok(()) } else { Err("no head, or no name".into()) }
}

/// What groff has to say about a page, where it is there.
fn groff(page: &str) -> Option<String> {
    let mut child = Command::new("groff")
        .args(["-ww", "-z", "-man", "-Tutf8", "-Kutf8"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    child.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    Some(String::from_utf8(child.wait_with_output().unwrap().stderr).unwrap())
}

#[test]
fn every_page_is_well_formed() {
    let folder = tempfile::tempdir().unwrap();
    for (name, page) in pages(folder.path()) {
        is_plain(&page).unwrap_or_else(|error| panic!("{name}: {error}"));
        match groff(&page) {
            Some(said) => assert_eq!(said, "", "{name}"),
            None => not_run(&format!("groff over {name}"), "groff", "there is no groff"),
        }
    }
    // Both can find something.
    is_plain(".TH a 1\n.SH NAME\na\n.XX\n").unwrap_err();
    is_plain("a\n").unwrap_err();
    if let Some(said) = groff(".TH a 1\n.SH NAME\n\\*[nosuch]\n") {
        assert_ne!(said, "");
    }
}

#[test]
fn a_file_in_the_place_of_the_folder_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("man");
    std::fs::write(&file, "mine").unwrap();
    let (code, _, error) = vend(&["man", file.to_str().unwrap()]);
    assert_eq!(code, 1);
    assert!(error.contains("cannot write") && error.contains("man"), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "mine");
}
