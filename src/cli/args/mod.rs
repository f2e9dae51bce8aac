//! Subcommands and flags.

pub mod catalog;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};

use catalog::Catalog;

/// A GitOps reconciler driven by a catalog of versioned templates.
#[derive(Parser, Debug)]
#[command(name = "vend", version, about, max_term_width = 100, propagate_version = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// The configuration; else `vend.yaml` upward from here, else /etc/vend/vend.yaml.
    #[arg(long, global = true, value_name = "FILE", env = "VEND_CONFIG")]
    pub config: Option<PathBuf>,
    /// How results are printed.
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value_t = Log::Text)]
    pub log: Log,
    /// Print only what failed.
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Log more; twice for details.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How results are printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// For programs.
    Json,
    /// GitHub workflow commands (validate, catalog check, catalog test).
    Github,
    /// SARIF 2.1.0 (validate, catalog check, catalog test).
    Sarif,
}

/// How log lines are written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub enum Log {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Shows the whole job on repositories of its own in a temporary folder.
    Demo(Demo),
    /// Writes a catalog and a requests repository to start from.
    Init(Init),
    /// Writes a request file: asks on a terminal, or takes values from flags.
    New(New),
    /// Checks request and catalog files; all problems at once.
    Validate(Validate),
    /// Prints what a request renders to.
    Render(Render),
    /// Prints what would be done.
    Plan(Plan),
    /// Brings request files to a newer version of their template, in place.
    Upgrade(Upgrade),
    /// Writes a later end into a request's file.
    Extend(Extend),
    /// Makes one pass: fetch, plan, apply, publish.
    Apply(Apply),
    /// Runs the daemon.
    Serve(Serve),
    /// Prints where requests stand.
    Status(Status),
    /// Prints what happened to a request, resource by resource.
    Logs(Logs),
    /// Says why a request is in the state it is in.
    Explain(Explain),
    /// Approves what is held: a plan digest, or `SOURCE@SHA` for a rewritten history.
    Approve(Approve),
    /// Tries a request again now.
    Retry(Retry),
    /// Prints the JSON Schema of all requests of the catalog, for editors.
    Schema(Schema),
    /// Shows and looks after a catalog of templates.
    Catalog(Catalog),
    /// Looks after the store.
    State(State),
    /// Prints completions for a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual, or writes all of its pages into a folder.
    Man(Man),
}

/// `vend man`.
#[derive(clap::Args, Debug)]
pub struct Man {
    /// Where the pages of all commands and of vend.yaml go; one of vend alone is printed without it.
    pub directory: Option<PathBuf>,
}

/// `vend demo`.
#[derive(clap::Args, Debug)]
pub struct Demo {
    /// Where to work: an empty folder or that of an earlier demo; a new temporary one by default.
    pub directory: Option<PathBuf>,
    /// Do not wait between the scenes.
    #[arg(long)]
    pub no_pause: bool,
}

/// `vend init`.
#[derive(clap::Args, Debug)]
pub struct Init {
    /// The folder to make.
    pub directory: PathBuf,
}

/// `vend new`.
#[derive(clap::Args, Debug, Default)]
pub struct New {
    /// The template, such as `sqs-queue`; `sqs-queue@1.2.0` and `sqs-queue@^1` name versions.
    pub template: Option<String>,
    /// The team that asks.
    #[arg(long, value_name = "NAME")]
    pub team: Option<String>,
    /// Where it is to be.
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,
    /// What it is called there.
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// A parameter, read as its schema has it: `days=4`, `tags.owner=x`, `ports=80,443`, `rules.0.port=80`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// A parameter as JSON: `tags={"owner":"x"}`.
    #[arg(long, value_name = "KEY=JSON")]
    pub set_json: Vec<String>,
    /// A parameter from another request's output: `vpcId=platform/prod/network.vpcId`.
    #[arg(long, value_name = "KEY=REQUEST.OUTPUT")]
    pub reference: Vec<String>,
    /// A parameter from AWS Secrets Manager, `ARN#KEY` for one key of a secret.
    #[arg(long, value_name = "KEY=ARN")]
    pub secret: Vec<String>,
    /// Why, for the history.
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Ask nothing, on a terminal either.
    #[arg(long)]
    pub no_input: bool,
    /// Print the file, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// Where a laptop finds what is not in its clone.
#[derive(clap::Args, Debug, Default)]
pub struct Elsewhere {
    /// The catalog: a folder or a repository.
    #[arg(long, value_name = "PATH|URL")]
    pub catalog: Option<String>,
    /// The status repository.
    #[arg(long, value_name = "PATH|URL")]
    pub status: Option<String>,
}

/// `vend validate`.
#[derive(clap::Args, Debug)]
pub struct Validate {
    /// Files or folders; everything of the clone by default.
    pub paths: Vec<PathBuf>,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend render`.
#[derive(clap::Args, Debug)]
pub struct Render {
    /// `<team>/<environment>/<name>` or its file.
    pub request: String,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend plan`.
#[derive(clap::Args, Debug)]
pub struct Plan {
    /// Exit with 4 when something would be done.
    #[arg(long)]
    pub exit_code: bool,
    /// The whole, not only what differs from the branch (in a working copy).
    #[arg(long)]
    pub all: bool,
    /// Ask the providers what each change would do, resource by resource.
    #[arg(long)]
    pub preview: bool,
    /// Leave the differences of the rendered files out.
    #[arg(long)]
    pub no_diff: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend apply`.
#[derive(clap::Args, Debug)]
pub struct Apply {
    /// Stay until nothing is in flight.
    #[arg(long)]
    pub wait: bool,
    /// Exit with 4 when something is held or in flight.
    #[arg(long)]
    pub exit_code: bool,
}

/// `vend serve`.
#[derive(clap::Args, Debug)]
pub struct Serve {}

/// `vend status`.
#[derive(clap::Args, Debug)]
pub struct Status {
    /// Only this request, or those that start so (`orders`, `orders/dev`).
    pub request: Option<String>,
    /// Stay, and print what changes.
    #[arg(long)]
    pub watch: bool,
    /// Only requests that are not Ready.
    #[arg(long)]
    pub not_ready: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend logs`.
#[derive(clap::Args, Debug)]
pub struct Logs {
    /// `<team>/<environment>/<name>`.
    pub request: String,
    /// Stay, and print what happens.
    #[arg(short, long)]
    pub follow: bool,
    /// Stay until nothing is under way; exit with 1 when it has failed.
    #[arg(long)]
    pub until_done: bool,
    /// Only what happened in this time, such as `90s`, `1h` or `2d`, or since a moment.
    #[arg(long, value_name = "TIME", value_parser = since)]
    pub since: Option<Since>,
    /// Only so many lines, the newest.
    #[arg(short = 'n', long, value_name = "LINES")]
    pub lines: Option<usize>,
}

/// From when on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Since {
    /// So long ago.
    Ago(SignedDuration),
    /// A moment.
    At(Timestamp),
}

fn since(text: &str) -> Result<Since, String> {
    if let Ok(at) = text.parse() {
        return Ok(Since::At(at));
    }
    // A span of days is one of 24 hours each: this is about the past few.
    let span: jiff::Span = text.parse().map_err(|_| {
        "write it as `90s`, `1h`, `2d`, or a moment such as 2026-11-20T10:00:00Z".to_owned()
    })?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours());
    length.map(|length| Since::Ago(length.abs())).map_err(|error| error.to_string())
}

/// `vend explain`.
#[derive(clap::Args, Debug)]
pub struct Explain {
    /// `<team>/<environment>/<name>`.
    pub request: String,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend approve`.
#[derive(clap::Args, Debug)]
pub struct Approve {
    /// `sha256:…`, or `SOURCE@SHA` for a rewritten history.
    pub what: String,
}

/// `vend retry`.
#[derive(clap::Args, Debug)]
pub struct Retry {
    /// `<team>/<environment>/<name>`.
    pub request: String,
}

/// `vend schema`.
#[derive(clap::Args, Debug)]
pub struct Schema {
    /// Where to write it; the terminal by default.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Write nothing, and fail when the file (`.vend/request.schema.json` by default) is out of date.
    #[arg(long)]
    pub check: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend upgrade`.
#[derive(clap::Args, Debug)]
pub struct Upgrade {
    /// Only requests of this template.
    #[arg(long, value_name = "NAME")]
    pub template: Option<String>,
    /// To this version; the highest stable one by default.
    #[arg(long, value_name = "VERSION", requires = "template")]
    pub to: Option<semver::Version>,
    /// Only requests of this team.
    #[arg(long, value_name = "TEAM")]
    pub team: Option<String>,
    /// Only requests of this environment.
    #[arg(long, value_name = "ENVIRONMENT")]
    pub environment: Option<String>,
    /// Show what would be edited, and edit nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Commit to a new branch of this name, and leave the working copy as it is.
    #[arg(long, value_name = "NAME", conflicts_with_all = ["dry_run", "propose"])]
    pub branch: Option<String>,
    /// Open a pull request for each team on the forge, and leave the working copy as it is.
    #[arg(long, conflicts_with = "dry_run")]
    pub propose: bool,
    /// With --propose: a file with a token of your own, instead of what the configuration names.
    #[arg(long, value_name = "FILE", requires = "propose")]
    pub token_file: Option<PathBuf>,
    /// Leave the differences of files and of what they render to out.
    #[arg(long)]
    pub no_diff: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend extend`.
#[derive(clap::Args, Debug)]
pub struct Extend {
    /// `<team>/<environment>/<name>`.
    pub request: String,
    /// By how much, such as `12h`, `7d` or `2w`: from its end, or from now where that has passed.
    #[arg(value_name = "LENGTH")]
    pub by: String,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}

/// `vend state`.
#[derive(clap::Args, Debug)]
pub struct State {
    /// What to do.
    #[command(subcommand)]
    pub command: StateCommand,
}

/// What to do with the store.
#[derive(Subcommand, Debug)]
pub enum StateCommand {
    /// Lets this store go on although another copy of it has published since; applies nothing.
    Takeover,
    /// Makes a lost store anew, from the status branch and the providers; applies nothing.
    Rebuild,
}
