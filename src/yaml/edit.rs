//! Changing a file in place: all that is not changed stays as it was written.
//!
//! Comments, the order of keys, the style of quotes and line ends are the author's. Each edit finds
//! its place by the reader's spans, puts text there, and reads the result back: it is what was meant,
//! or the edit is refused. A file is never changed into something else than was meant.

mod page;

use std::sync::Arc;

use serde_json::Value;

use self::page::Page;
use super::{Node, Options, read};
use crate::model::Diagnostic;

/// One change of a file, at a JSON pointer (RFC 6901).
#[derive(Clone, PartialEq, Debug)]
pub enum Edit {
    /// The value is to be there: in place of another, or under a key that comes new; maps that
    /// are missing on the way are made.
    Put {
        /// Where.
        at: String,
        /// What.
        value: Value,
        /// The key behind which a new one stands; the last one otherwise.
        behind: Option<String>,
    },
    /// The key goes, with its value and the comment that is its own.
    Remove {
        /// Which.
        at: String,
    },
    /// The key is called otherwise, and keeps its value, its place and its comment.
    Rename {
        /// Which.
        at: String,
        /// Its new name.
        to: String,
    },
}

impl Edit {
    /// The value at a place, a new key behind the others.
    pub fn put(at: impl Into<String>, value: impl Into<Value>) -> Self {
        Self::Put { at: at.into(), value: value.into(), behind: None }
    }

    /// A key less.
    pub fn remove(at: impl Into<String>) -> Self {
        Self::Remove { at: at.into() }
    }

    /// A key by another name.
    pub fn rename(at: impl Into<String>, to: impl Into<String>) -> Self {
        Self::Rename { at: at.into(), to: to.into() }
    }

    /// Where it happens.
    pub fn at(&self) -> &str {
        match self {
            Self::Put { at, .. } | Self::Remove { at } | Self::Rename { at, .. } => at,
        }
    }
}

/// Why a file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum EditError {
    /// It cannot be read, so nobody knows what it would become.
    #[error("the file cannot be read")]
    Unreadable(Vec<Diagnostic>),
    /// There is nothing at that place, or nothing that such an edit fits.
    #[error("there is nothing at `{at}` that could be changed so")]
    Missing {
        /// Where.
        at: String,
    },
    /// A key of the new name is there already.
    #[error("there is a key `{to}` beside `{at}` already")]
    Taken {
        /// The key.
        at: String,
        /// Its new name.
        to: String,
    },
    /// The way the file is written leaves no place for it that keeps all else as it is.
    #[error("`{at}` cannot be changed without writing more of the file anew")]
    Unfit {
        /// Where.
        at: String,
    },
}

/// The text with the edits made, one after the other.
///
/// # Errors
/// The first edit that cannot be made, or whose result would not be read as what was meant.
pub fn edit(
    file: &Arc<str>,
    text: &str,
    edits: &[Edit],
    options: &Options,
) -> Result<String, EditError> {
    let mut text = text.to_owned();
    for edit in edits {
        text = one(file, &text, edit, options)?;
    }
    Ok(text)
}

fn one(file: &Arc<str>, text: &str, edit: &Edit, options: &Options) -> Result<String, EditError> {
    let root = whole(file, text, options).map_err(EditError::Unreadable)?;
    let before = root.to_json();
    let meant = meant(&before, edit)?;
    if meant == before && !matches!(edit, Edit::Rename { .. }) {
        return Ok(text.to_owned());
    }
    let page = Page::new(text, &root);
    let reads_as_meant = |made: &String| {
        let read = whole(file, made, options);
        read.is_ok_and(|node| node.to_json() == meant)
    };
    let mut ways = page.ways(edit).into_iter();
    ways.find(reads_as_meant).ok_or_else(|| EditError::Unfit { at: edit.at().to_owned() })
}

fn whole(file: &Arc<str>, text: &str, options: &Options) -> Result<Node, Vec<Diagnostic>> {
    let options = Options { many: false, ..options.clone() };
    let documents = read(file, text.as_bytes(), &options)?;
    Ok(documents.into_iter().next().expect("a file is one document at least"))
}

/// The value of the file with the edit made.
fn meant(before: &Value, edit: &Edit) -> Result<Value, EditError> {
    let missing = || EditError::Missing { at: edit.at().to_owned() };
    let (above, key) = split(edit.at()).ok_or_else(missing)?;
    let mut value = before.clone();
    match edit {
        Edit::Put { value: new, .. } => put(&mut value, above, &key, new).ok_or_else(missing)?,
        Edit::Remove { .. } => {
            let map = value.pointer_mut(above).and_then(Value::as_object_mut);
            map.and_then(|map| map.remove(&key)).ok_or_else(missing)?;
        }
        Edit::Rename { to, .. } => {
            let map = value.pointer_mut(above).and_then(Value::as_object_mut);
            let map = map.ok_or_else(missing)?;
            if *to != key && map.contains_key(to) {
                return Err(EditError::Taken { at: edit.at().to_owned(), to: to.clone() });
            }
            let old = map.remove(&key).ok_or_else(missing)?;
            map.insert(to.clone(), old);
        }
    }
    Ok(value)
}

/// Puts a value into a tree, with the maps on its way.
fn put(root: &mut Value, above: &str, key: &str, new: &Value) -> Option<()> {
    if matches!(root.pointer(above), None | Some(Value::Null)) {
        let (higher, name) = split(above)?;
        let map = serde_json::json!({ key: new });
        return put(root, higher, &name, &map);
    }
    match root.pointer_mut(above)? {
        Value::Object(map) => {
            map.insert(key.to_owned(), new.clone());
        }
        Value::Array(items) => *items.get_mut(key.parse::<usize>().ok()?)? = new.clone(),
        _ => return None,
    }
    Some(())
}

/// A pointer's map and its key.
fn split(at: &str) -> Option<(&str, String)> {
    let (above, token) = at.rsplit_once('/')?;
    Some((above, token.replace("~1", "/").replace("~0", "~")))
}

/// A name as a part of a JSON pointer.
pub fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

#[cfg(test)]
mod tests;
