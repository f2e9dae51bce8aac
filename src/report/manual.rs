//! Pages of the manual, in roff: what `--help` does not say, and every setting of `vend.yaml`.

use clap_mangen::roff::{Roff, bold, roman};
use serde_json::Value;

use crate::catalog::schema;

/// The file of the page about `vend.yaml`.
pub const SETTINGS_FILE: &str = "vend.yaml.5";

/// Where the pages come from, at the foot of each.
pub const SOURCE: &str = concat!("vend ", env!("CARGO_PKG_VERSION"));

/// The manual that they are pages of, at the head of each.
pub const MANUAL: &str = "vend";

const EXITS: [(&str, &str); 5] = [
    ("0", "Done, or nothing to do; what is held has a line of its own."),
    ("1", "Something failed."),
    ("2", "The command line, the configuration or the surroundings are not as they must be."),
    ("3", "Files have errors."),
    ("4", "With --exit-code: there is something to do, held or under way."),
];

const FILES: [(&str, &str); 3] = [
    ("/etc/vend/vend.yaml", "The operator's configuration, where no other is named."),
    ("vend.yaml", "That of a working copy, in the current folder or one above it."),
    ("/var/lib/vend", "Mirrors and the store, where the packaged service runs."),
];

const VARIABLES: [(&str, &str); 5] = [
    ("VEND_CONFIG", "As --config."),
    ("VEND_LOG", "What is logged, such as vend=debug."),
    ("NO_COLOR", "No colour."),
    ("COLUMNS", "The width that plans are cut to."),
    ("XDG_CACHE_HOME", "Where mirrors are kept, in a folder vend; else ~/.cache."),
];

/// What stands below the options of each page; the program's own has more.
pub fn end(is_first: bool) -> String {
    let mut page = Roff::new();
    list(&mut page, "EXIT STATUS", &EXITS);
    if is_first {
        list(&mut page, "ENVIRONMENT", &VARIABLES);
        list(&mut page, "FILES", &FILES);
    }
    page.control("SH", ["SEE ALSO"]);
    let first = (!is_first).then(|| [bold("vend"), roman("(1), ")]);
    let rest = [bold("vend.yaml"), roman("(5)")];
    page.text(first.into_iter().flatten().chain(rest).collect::<Vec<_>>());
    page.to_roff()
}

/// Every setting of `vend.yaml`, with its default and its meaning, as its schema has them.
pub fn settings() -> String {
    let schema: Value =
        serde_json::from_str(schema::Kind::Config.text()).expect("an embedded schema is JSON");
    let mut page = Roff::new();
    page.control("TH", ["vend.yaml", "5", "", SOURCE, MANUAL]);
    page.control("SH", ["NAME"]).text([roman("vend.yaml - configuration of vend")]);
    page.control("SH", ["DESCRIPTION"]).text([
        roman("YAML. A setting "),
        bold("a.b"),
        roman(" is the key b in the mapping a, and "),
        bold("a[].b"),
        roman(
            " the key b in each entry of the list a. An unknown key is an error with its place. \
             Lengths of time are written as 90s, 5m, 1h or 1d. Relative paths begin at the \
             file's folder.",
        ),
    ]);
    page.control("SH", ["SETTINGS"]);
    for setting in all(&schema) {
        page.control("TP", []).text([bold(&setting.path)]);
        let mut text = setting.meaning;
        if setting.is_needed {
            text.push_str(" Needed.");
        }
        if let Some(default) = setting.default {
            text.push_str(&format!(" Default: {default}."));
        }
        page.text([roman(text)]);
    }
    list(&mut page, "FILES", &FILES);
    page.control("SH", ["SEE ALSO"]).text([bold("vend"), roman("(1)")]);
    page.render()
}

fn list(page: &mut Roff, title: &str, rows: &[(&str, &str)]) {
    page.control("SH", [title]);
    for (term, meaning) in rows {
        page.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
    }
}

/// A setting, as a schema has it.
struct Setting {
    /// `path.to.each[].setting`.
    path: String,
    meaning: String,
    default: Option<String>,
    is_needed: bool,
}

fn all(schema: &Value) -> Vec<Setting> {
    let mut out = Vec::new();
    collect(schema, schema, "", &mut out);
    out
}

/// The settings of an object, those of the objects and lists in it included.
fn collect(whole: &Value, object: &Value, prefix: &str, out: &mut Vec<Setting>) {
    let properties = object["properties"].as_object().into_iter().flatten();
    let is_required =
        |name: &str| object["required"].as_array().is_some_and(|r| r.iter().any(|r| r == name));
    for (name, setting) in properties {
        let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if setting.get("properties").is_some() {
            collect(whole, setting, &path, out);
        } else if setting["items"].get("properties").is_some() {
            collect(whole, &setting["items"], &format!("{path}[]"), out);
        } else {
            let default = setting.get("default").map(|default| match default {
                Value::String(text) => text.clone(),
                other => other.to_string(),
            });
            let (meaning, is_needed) = (meaning(whole, setting), is_required(name));
            out.push(Setting { path, meaning, default, is_needed });
        }
    }
}

/// What a setting is for; one that says nothing itself is what its kind is for.
fn meaning(whole: &Value, setting: &Value) -> String {
    let kind = setting["$ref"].as_str().and_then(|kind| kind.strip_prefix('#'));
    let places = [Some(setting), kind.and_then(|kind| whole.pointer(kind))];
    let found = places.into_iter().flatten().find_map(|place| place["description"].as_str());
    // What a page sets bold stands there between other marks.
    found.unwrap_or_default().replace('`', "'")
}
