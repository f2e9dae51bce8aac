//! `vend man`: pages of the manual, made from the same definitions as `--help`.

use std::path::Path;
use std::process::ExitCode;

use clap::CommandFactory;
use clap_mangen::Man;

use super::args::{self, Args};
use super::failure::{Failure, Kind};
use super::output;
use crate::report::manual;

/// A page: the name of its file, and its text in roff.
type Page = (String, Vec<u8>);

/// Prints the first page, or writes all of them into a folder.
pub fn run(args: &Args, man: &args::Man) -> Result<ExitCode, Failure> {
    let pages = pages().map_err(|error| Failure::new(Kind::Failed, error))?;
    let Some(folder) = &man.directory else {
        let first = pages.into_iter().find(|(name, _)| name == "vend.1");
        let (_, text) = first.expect("the program has a page of its own");
        output::print(&String::from_utf8_lossy(&text));
        return Ok(ExitCode::SUCCESS);
    };
    write(folder, &pages)?;
    if !args.quiet {
        output::print(&format!("{} pages in `{}`.", pages.len(), folder.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn write(folder: &Path, pages: &[Page]) -> Result<(), Failure> {
    let failed = |what: &Path, error: std::io::Error| {
        let message = format!("cannot write `{}`", what.display());
        Failure::new(Kind::Failed, anyhow::Error::new(error).context(message))
    };
    std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
    for (name, text) in pages {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(|error| failed(&path, error))?;
    }
    Ok(())
}

/// One for each command, however deep, and the one of `vend.yaml`.
fn pages() -> std::io::Result<Vec<Page>> {
    // `vend help plan` is `vend plan --help`: nothing of its own to read.
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    let mut pages = vec![(manual::SETTINGS_FILE.to_owned(), manual::settings().into_bytes())];
    add(&command, &mut pages)?;
    Ok(pages)
}

fn add(command: &clap::Command, pages: &mut Vec<Page>) -> std::io::Result<()> {
    // No date: the same program makes the same bytes at any time.
    let page = Man::new(command.clone()).source(manual::SOURCE).manual(manual::MANUAL);
    let mut text = Vec::new();
    page.render(&mut text)?;
    let name = page.get_filename();
    let is_first = name == "vend.1";
    text.extend(manual::end(is_first).into_bytes());
    pages.push((name, text));
    command.get_subcommands().filter(|c| !c.is_hide_set()).try_for_each(|c| add(c, pages))
}
