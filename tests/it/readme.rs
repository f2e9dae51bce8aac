//! The README is held against the program: its transcripts against the demo, its names against what
//! there is.

use std::path::Path;

use regex::Regex;

use crate::demo;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// What differs from run to run becomes the same.
fn normal(line: &str) -> String {
    let line = Regex::new("[0-9a-f]{7,}").unwrap().replace_all(line, "HASH");
    let line =
        Regex::new(r"\d{4}-\d\d-\d\d[T ][0-9:.]+( UTC|Z)").unwrap().replace_all(&line, "TIME");
    line.trim_end().to_owned()
}

/// The fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<Vec<String>> {
    let mut blocks: Vec<Vec<String>> = Vec::new();
    let mut inside = false;
    for line in text.lines() {
        if inside && line == "```" {
            inside = false;
        } else if inside {
            blocks.last_mut().unwrap().push(line.to_owned());
        } else if line == format!("```{language}") {
            inside = true;
            blocks.push(Vec::new());
        }
    }
    blocks
}

/// Whether `shown` stands in `said` at `at`, where a line `…` leaves any number of lines out.
fn stands(said: &[String], shown: &[String], at: usize) -> bool {
    let Some((first, rest)) = shown.split_first() else { return true };
    if first.trim() == "…" {
        return (at..=said.len()).any(|next| stands(said, rest, next));
    }
    said.get(at) == Some(first) && stands(said, rest, at + 1)
}

#[test]
fn the_transcripts_are_what_the_demo_says() {
    let lines = |text: &str| -> Vec<String> {
        text.lines().map(normal).filter(|l| !l.is_empty()).collect()
    };
    let said = lines(&demo::transcript());
    let blocks = blocks(&read("README.md"), "console");
    assert!(blocks.len() >= 3);
    for block in blocks {
        let shown = lines(&block.join("\n"));
        assert!(
            (0..said.len()).any(|at| stands(&said, &shown, at)),
            "the demo does not say this (`vend demo` shows what it says):\n{}",
            shown.join("\n"),
        );
    }
}

#[test]
fn every_command_is_in_the_table() {
    let help =
        std::process::Command::new(env!("CARGO_BIN_EXE_vend")).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let commands = help.lines().skip_while(|l| *l != "Commands:").skip(1);
    let commands = commands.take_while(|l| !l.is_empty());
    let names: Vec<&str> = commands
        .filter(|l| l.starts_with("  ") && !l.starts_with("   "))
        .filter_map(|l| l.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 10, "{help}");
    for page in ["README.md", "docs/cli.md"] {
        let text = read(page);
        for name in &names {
            assert!(text.contains(&format!("`vend {name}")), "{page} lacks `vend {name}`");
        }
    }
}
