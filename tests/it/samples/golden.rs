//! Every template test of the sample catalog renders to its golden files, byte for byte.
//!
//! `UPDATE_GOLDEN=1 cargo test --test it golden` writes them anew; read the difference before you
//! commit it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use vend::model::Reference;

use super::render::{rendered as rendered_request, request_of};
use super::{files, root, sample_catalog};

#[test]
fn template_tests_of_the_samples_render_to_their_golden_files() {
    let samples = sample_catalog();
    let catalog: BTreeMap<String, Vec<u8>> = files("sample-catalog").into_iter().collect();
    let nothing = |_: &Reference, _: Option<&str>| unreachable!("no references here");
    let mut rendered = BTreeMap::new();
    for version in samples.versions() {
        let tests = format!("templates/{}/{}/tests", version.id.name, version.id.version);
        for test in &version.tests {
            let Some(golden) = &test.document.spec.expect.rendered else { continue };
            let golden = golden.trim_end_matches('/');
            let request = request_of(version, test);
            for (file, text) in rendered_request(&samples, &request, &nothing) {
                rendered.insert(format!("{tests}/{golden}/{file}"), text);
            }
        }
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        return write(&catalog, &rendered);
    }
    let expected: BTreeSet<&String> = catalog.keys().filter(|path| is_golden(path)).collect();
    assert_eq!(Vec::from_iter(rendered.keys()), Vec::from_iter(expected));
    for (path, text) in &rendered {
        assert_eq!(text.as_bytes(), catalog[path], "{path}:\n{text}");
    }
    assert!(rendered.len() > 20);
}

fn is_golden(path: &str) -> bool {
    path.contains("/tests/golden/")
}

fn write(catalog: &BTreeMap<String, Vec<u8>>, rendered: &BTreeMap<String, String>) {
    let base = root().join("sample-catalog");
    for path in catalog.keys().filter(|path| is_golden(path) && !rendered.contains_key(*path)) {
        std::fs::remove_file(base.join(path)).unwrap();
    }
    for (path, text) in rendered {
        let path: &Path = &base.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
}
