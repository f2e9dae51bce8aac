//! `vend catalog test`.

use std::path::PathBuf;

use super::super::Elsewhere;

/// `vend catalog test`.
#[derive(clap::Args, Debug)]
pub struct Test {
    /// Only these templates, or versions of them: `sqs-queue`, `sqs-queue@1.2.0`, `sqs-queue@^1`.
    #[arg(value_name = "NAME[@VERSION]")]
    pub templates: Vec<String>,
    /// Only tests whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    pub only: Option<String>,
    /// Write what is rendered as what is expected, and remove what no test renders to any more.
    #[arg(long)]
    pub bless: bool,
    /// Write what came of it as JUnit's XML as well.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}
