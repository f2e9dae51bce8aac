//! The page for authors is true: its files are written, its commands run, in its order.

use std::path::Path;
use std::process::Command;

/// A piece of the page.
enum Piece {
    File { path: String, text: String },
    Console(Vec<String>),
}

fn pieces(page: &str) -> Vec<Piece> {
    let (mut pieces, mut named, mut open) = (Vec::new(), None, None::<(String, Vec<String>)>);
    for line in page.lines() {
        match (&mut open, line) {
            (Some((language, lines)), "```") => {
                let lines = std::mem::take(lines);
                match language.as_str() {
                    "console" => pieces.push(Piece::Console(lines)),
                    _ => {
                        let path: String = named.take().expect("a file of the page has a name");
                        pieces.push(Piece::File { path, text: lines.join("\n") + "\n" });
                    }
                }
                open = None;
            }
            (Some((_, lines)), line) => lines.push(line.to_owned()),
            (None, line) => {
                if let Some(language) = line.strip_prefix("```") {
                    open = Some((language.to_owned(), Vec::new()));
                } else if let Some(path) = line.strip_prefix('`').and_then(|l| l.strip_suffix("`:"))
                {
                    named = Some(path.to_owned());
                }
            }
        }
    }
    pieces
}

/// Runs a line of the page in a folder; all it says.
fn run(folder: &Path, home: &Path, line: &str) -> String {
    let program = Path::new(env!("CARGO_BIN_EXE_vend")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-c", line])
        .current_dir(folder)
        .env_clear()
        .env("PATH", path)
        .env("HOME", home)
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    String::from_utf8([output.stdout, output.stderr].concat()).unwrap()
}

#[test]
fn the_page_for_authors_is_what_happens() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/authoring.md");
    let page = std::fs::read_to_string(page).unwrap();
    let temp = tempfile::tempdir().unwrap();
    let start = temp.path().join("start");
    let pieces = pieces(&page);
    assert!(pieces.len() > 9);
    for piece in pieces {
        match piece {
            Piece::File { path, text } => {
                let full = start.join(&path);
                std::fs::create_dir_all(full.parent().unwrap()).unwrap();
                std::fs::write(full, text).unwrap();
            }
            Piece::Console(lines) => {
                let (mut said, mut command) = (String::new(), String::new());
                for line in lines.iter().filter(|line| *line != "…") {
                    if let Some(next) = line.strip_prefix("$ ") {
                        let folder = if start.exists() { &start } else { temp.path() };
                        said = run(folder, temp.path(), next);
                        next.clone_into(&mut command);
                        continue;
                    }
                    // In this order; what stands between is left out.
                    let at = said.find(line.trim_end());
                    let at =
                        at.unwrap_or_else(|| panic!("`{command}` does not say `{line}`:\n{said}"));
                    said = said[at..].split_once('\n').map_or("", |(_, rest)| rest).to_owned();
                }
            }
        }
    }
    // And the file that the page speaks of is one that the schema and a reader know.
    let request =
        std::fs::read_to_string(start.join("requests/requests/web/dev/report.yaml")).unwrap();
    assert!(
        request.starts_with("# yaml-language-server: $schema=../../../.vend/request"),
        "{request}"
    );
    assert!(request.contains("    # When it runs.\n    schedule: daily\n"), "{request}");
    assert!(request.contains("    # Left out: retries (2).\n"), "{request}");
}
