//! `vend catalog …`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::Elsewhere;

pub mod test;

/// `vend catalog`.
#[derive(clap::Args, Debug)]
pub struct Catalog {
    /// What to do.
    #[command(subcommand)]
    pub command: CatalogCommand,
}

/// What to do with a catalog.
#[derive(Subcommand, Debug)]
pub enum CatalogCommand {
    /// Shows every request that a change of the catalog would change.
    Diff(Diff),
    /// Runs the tests of templates.
    Test(test::Test),
    /// Lists what can be requested.
    List(List),
    /// Turns a bundle of another catalog into a version of a template.
    // `--version` is that of the template.
    #[command(disable_version_flag = true)]
    Import(Import),
    /// Shows a template as a page of a manual.
    Show(Show),
    /// Checks templates and environments as their authors would like to know them; all problems at once.
    Check(Check),
    /// Copies a template's newest version to the next, and gives it the number that it needs.
    Release(Release),
    /// Shows how far newer versions have come, stops them, or goes on with them.
    Rollout(Rollout),
}

/// `vend catalog release`.
#[derive(clap::Args, Debug)]
pub struct Release {
    /// The template.
    pub name: String,
    /// At least this change of the number.
    #[arg(long, value_enum)]
    pub bump: Option<Bump>,
}

/// How much a version changes for those who use the one before.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Bump {
    /// Somebody may have to do something.
    Major,
    /// More than before.
    Minor,
    /// The same to its users.
    Patch,
}

impl From<Bump> for crate::catalog::compat::Bump {
    fn from(bump: Bump) -> Self {
        match bump {
            Bump::Major => Self::Major,
            Bump::Minor => Self::Minor,
            Bump::Patch => Self::Patch,
        }
    }
}

/// `vend catalog rollout`.
#[derive(clap::Args, Debug)]
pub struct Rollout {
    /// What to do; shows all, where nothing is said.
    #[command(subcommand)]
    pub command: Option<RolloutCommand>,
}

/// A person's word on a rollout.
#[derive(Subcommand, Debug)]
pub enum RolloutCommand {
    /// No further request takes the version.
    Stop(RolloutOf),
    /// Goes on, in spite of the failures so far.
    Resume(RolloutOf),
}

/// Which rollout.
#[derive(clap::Args, Debug)]
pub struct RolloutOf {
    /// The template, or `<template>@<version>`.
    #[arg(value_name = "TEMPLATE[@VERSION]")]
    pub template: String,
}

/// `vend catalog list`.
#[derive(clap::Args, Debug)]
pub struct List {
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend catalog import`.
#[derive(clap::Args, Debug)]
pub struct Import {
    /// Whose bundle it is.
    // Not `format`: that is `--format`, which every command has.
    #[arg(value_enum, value_name = "FORMAT")]
    pub bundle_format: ImportFormat,
    /// Its folder, or the one file of a product.
    pub bundle: PathBuf,
    /// The catalog's folder; the one around here by default.
    #[arg(long, value_name = "FOLDER")]
    pub into: Option<PathBuf>,
    /// The template's name; that of the bundle by default.
    #[arg(long)]
    pub name: Option<String>,
    /// Its version; 0.1.0 by default.
    #[arg(long = "version", value_name = "VERSION")]
    pub number: Option<String>,
    /// How its stacks are called, for those that run already: `{team}-{name}`.
    #[arg(long, value_name = "PATTERN")]
    pub stack_name: Option<String>,
    /// The template that a Proton environment became, whose outputs a service reads.
    #[arg(long, value_name = "NAME")]
    pub environment_template: Option<String>,
}

/// Whose bundle it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum ImportFormat {
    /// AWS Proton.
    Proton,
    /// Azure Deployment Environments.
    Ade,
    /// A CloudFormation template, such as a product of AWS Service Catalog.
    ServiceCatalog,
}

/// `vend catalog diff`.
#[derive(clap::Args, Debug)]
pub struct Diff {
    /// What is compared: `BASE..HEAD`, or `BASE` with the files as they lie here; by default the
    /// commit at which this clone left the main branch with the files as they lie here.
    #[arg(value_name = "BASE..HEAD")]
    pub range: Option<String>,
    /// Where the requests are, in place of the configured sources; may be given more than once.
    #[arg(long, value_name = "PATH|URL")]
    pub requests: Vec<String>,
    /// Every request by itself, with its whole difference.
    #[arg(long)]
    pub full: bool,
    /// Ask the providers what each update would do, where this is the operator's configuration.
    #[arg(long)]
    pub preview: bool,
    /// Exit with 4 when a request would change.
    #[arg(long)]
    pub exit_code: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend catalog check`.
#[derive(clap::Args, Debug)]
pub struct Check {
    /// The catalog's folder; else the one around here, else the configuration's.
    pub directory: Option<PathBuf>,
    /// End with 3 for warnings too.
    #[arg(long)]
    pub strict: bool,
    /// The commit or branch that has what is published; by default the catalog's branch, as this clone has
    /// it.
    #[arg(long, value_name = "REVISION")]
    pub base: Option<String>,
    /// The status repository, which says what was published; by default that of `vend.yaml`.
    #[arg(long, value_name = "PATH|URL")]
    pub status: Option<String>,
    /// Do not ask cfn-lint about what CloudFormation would be given.
    #[arg(long)]
    pub no_cfn_lint: bool,
}

/// `vend catalog show`.
#[derive(clap::Args, Debug)]
pub struct Show {
    /// `NAME`, `NAME@VERSION` or `NAME@RANGE`.
    #[arg(value_name = "NAME[@VERSION]")]
    pub template: String,
    /// Also who uses it: in all, by version, team and environment, and which requests.
    #[arg(long)]
    pub users: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}
