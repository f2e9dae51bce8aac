//! What names mean: the context that a template reads, without a copy of it.

use std::collections::BTreeSet;
use std::rc::Rc;

use serde_json::Value;

use super::Context;
use super::Slot;
use crate::model::{ComponentName, Symbol, nearest};

/// A value as templates see it.
#[derive(Clone, Debug)]
pub(super) enum Val<'a> {
    Json(&'a Value),
    /// Made by a helper.
    Owned(Rc<Value>),
    /// Only an apply will tell it.
    Unknown(Rc<BTreeSet<Symbol>>),
    /// The problem with it is already reported.
    Failed,
    /// The whole context.
    Root,
    Parameters,
    Components,
    /// One component, by name.
    Component(&'a str),
    /// Its outputs.
    Outputs(&'a str),
}

/// The names that a template finds at the root.
pub(super) const ROOTS: [&str; 5] =
    ["components", "environment", "parameters", "request", "template"];

/// Why a part of a value is not there.
pub(super) enum Missing {
    /// No part of that name; the nearest one, if any is near.
    Name(Option<String>),
    /// It has no parts.
    NoParts(&'static str),
}

impl<'a> Val<'a> {
    pub fn unknown(symbol: Symbol) -> Self {
        Self::Unknown(Rc::new(BTreeSet::from([symbol])))
    }

    /// The part of that name.
    pub fn part(&self, name: &str, context: &'a Context) -> Result<Val<'a>, Missing> {
        match self {
            Self::Json(value) => json_part(value, name).map(Self::Json),
            Self::Owned(value) => {
                json_part(value, name).map(|part| Self::Owned(Rc::new(part.clone())))
            }
            Self::Unknown(_) | Self::Failed => Ok(self.clone()),
            Self::Root => match name {
                "request" => Ok(Self::Json(&context.request)),
                "environment" => Ok(Self::Json(&context.environment)),
                "template" => Ok(Self::Json(&context.template)),
                "parameters" => Ok(Self::Parameters),
                "components" => Ok(Self::Components),
                _ => Err(near(name, ROOTS)),
            },
            Self::Parameters => match context.parameters.get(name) {
                Some(Slot::Known(value)) => Ok(Self::Json(value)),
                Some(Slot::Unknown(symbol)) => Ok(Self::unknown(symbol.clone())),
                None => Err(near(name, context.parameters.keys().map(String::as_str))),
            },
            Self::Components => {
                let pending = context.pending.get(name).map(String::as_str);
                let applied = || context.components.get_key_value(name).map(|(k, _)| k.as_str());
                match pending.or_else(applied) {
                    Some(name) => Ok(Self::Component(name)),
                    None => {
                        let known = context.components.keys().chain(&context.pending);
                        Err(near(name, known.map(String::as_str)))
                    }
                }
            }
            Self::Component(component) if name == "outputs" => Ok(Self::Outputs(component)),
            Self::Component(_) => Err(Missing::Name(Some("outputs".to_owned()))),
            Self::Outputs(component) => output(component, name, context),
        }
    }

    /// As one JSON value; `Err` for what is only a path to values.
    pub fn whole(&self, context: &'a Context) -> Result<Val<'a>, ()> {
        match self {
            Self::Json(_) | Self::Owned(_) | Self::Unknown(_) | Self::Failed => Ok(self.clone()),
            Self::Parameters => {
                let mut map = serde_json::Map::new();
                let mut unknown = BTreeSet::new();
                for (name, slot) in &context.parameters {
                    match slot {
                        Slot::Known(value) => {
                            map.insert(name.clone(), value.clone());
                        }
                        Slot::Unknown(symbol) => {
                            unknown.insert(symbol.clone());
                        }
                    }
                }
                Ok(match unknown.is_empty() {
                    true => Self::Owned(Rc::new(Value::Object(map))),
                    false => Self::Unknown(Rc::new(unknown)),
                })
            }
            Self::Root | Self::Components | Self::Component(_) | Self::Outputs(_) => Err(()),
        }
    }

    /// The JSON value, where there is one.
    pub fn json(&self) -> Option<&Value> {
        match self {
            Self::Json(value) => Some(value),
            Self::Owned(value) => Some(value),
            _ => None,
        }
    }
}

fn output<'a>(component: &str, name: &str, context: &'a Context) -> Result<Val<'a>, Missing> {
    let outputs = context.components.get(component);
    match outputs.and_then(|outputs| outputs.get(name)) {
        Some(value) => Ok(Val::Json(value)),
        None if context.pending.contains(component) => Ok(Val::unknown(Symbol {
            request: context.request_id.clone(),
            component: Some(ComponentName::new(component)),
            output: name.to_owned(),
        })),
        None => Err(near(name, outputs.into_iter().flatten().map(|(name, _)| name.as_str()))),
    }
}

fn json_part<'v>(value: &'v Value, name: &str) -> Result<&'v Value, Missing> {
    match value {
        Value::Object(map) => {
            map.get(name).ok_or_else(|| near(name, map.keys().map(String::as_str)))
        }
        Value::Array(items) => {
            let item = name.parse::<usize>().ok().and_then(|n| items.get(n));
            item.ok_or(Missing::Name(None))
        }
        other => Err(Missing::NoParts(super::helper::kind(other))),
    }
}

fn near<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Missing {
    Missing::Name(nearest(name, known).map(str::to_owned))
}

/// A block that gave names a meaning.
pub(super) struct Scope<'a> {
    pub this: Val<'a>,
    /// Block parameters, or a partial's named arguments.
    pub names: Vec<(&'a str, Val<'a>)>,
    pub turn: Option<Turn<'a>>,
}

/// One turn of a loop.
pub(super) struct Turn<'a> {
    pub index: usize,
    pub key: Option<&'a str>,
    pub last: bool,
}

impl<'a> Scope<'a> {
    pub fn new(this: Val<'a>) -> Self {
        Self { this, names: Vec::new(), turn: None }
    }
}
