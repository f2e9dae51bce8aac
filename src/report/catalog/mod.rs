//! A catalog and its templates, for people who choose from it.

mod list;
mod parameter;
mod show;
mod wrap;

pub use list::{list, list_json};
pub use show::{Page, User, show, show_json};

use crate::model::escape;

/// That some of what follows may be missing.
pub fn is_broken(origin: &str, errors: usize) -> String {
    let origin = escape(origin, 200);
    let errors = match errors {
        1 => "an error".to_owned(),
        n => format!("{n} errors"),
    };
    format!("the catalog in {origin} has {errors}: `vend catalog check` tells all of them")
}
