//! `vend catalog …`.

use clap::Subcommand;

use super::Elsewhere;

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
    /// Lists what can be requested.
    List(List),
}

/// `vend catalog list`.
#[derive(clap::Args, Debug)]
pub struct List {
    /// Where the rest is.
    #[command(flatten)]
    pub elsewhere: Elsewhere,
}
