//! How long what a version makes lives: whoever has it by a range gets another end with it.

use std::collections::{BTreeMap, BTreeSet};

use super::claim::Bump;
use super::{Reason, TemplateVersion};
use crate::catalog::template::Ttl;
use crate::model::{Length, Place};

/// Where a lifetime applies: in an environment that one of the two names, or in all others.
type Where<'a> = Option<&'a str>;

/// What differs in the ends that requests get, and in those that they may ask for.
pub(super) fn compare(old: &TemplateVersion, new: &TemplateVersion) -> Vec<Reason> {
    let ttls = || [&old.ttl, &new.ttl].into_iter().flatten();
    let named = ttls().flat_map(|ttl| ttl.environments.iter().map(String::as_str));
    let named: BTreeSet<&str> = named.collect();
    let places: Vec<Where<'_>> = named.into_iter().map(Some).chain([None]).collect();
    let mut said: BTreeMap<(Bump, String), Vec<Where<'_>>> = BTreeMap::new();
    for place in &places {
        let (was, now) = (at(old.ttl.as_ref(), *place), at(new.ttl.as_ref(), *place));
        for one in [own(was, now), most(was, now)].into_iter().flatten() {
            said.entry(one).or_default().push(*place);
        }
    }
    let place = match &new.ttl {
        Some(_) => new.ttl_place.clone(),
        None => Place::file(new.file()),
    };
    let reason = |((bump, what), at): ((Bump, String), Vec<Where<'_>>)| {
        let what = match at.len() == places.len() {
            true => what,
            false => format!("{}: {what}", shown(&at)),
        };
        Reason { bump, what, place: place.clone() }
    };
    said.into_iter().map(reason).collect()
}

/// What a request gets that says nothing, and the most that it may ask for.
#[derive(Clone, Copy)]
struct Ends {
    own: Option<Length>,
    most: Option<Length>,
}

fn at(ttl: Option<&Ttl>, environment: Where<'_>) -> Ends {
    let applies = |ttl: &&Ttl| match environment {
        Some(name) => ttl.applies(name),
        None => ttl.environments.is_empty(),
    };
    let ttl = ttl.filter(applies);
    Ends { own: ttl.and_then(|ttl| ttl.default.or(ttl.max)), most: ttl.and_then(|ttl| ttl.max) }
}

fn own(was: Ends, now: Ends) -> Option<(Bump, String)> {
    match (was.own, now.own) {
        (None, Some(now)) => Some((
            Bump::Major,
            format!(
                "requests that ask for no end get one, after {now}: what they made is deleted then"
            ),
        )),
        (Some(was), Some(now)) if now < was => Some((
            Bump::Major,
            format!(
                "requests that ask for no end live for {now}, and did for {was}: they end sooner"
            ),
        )),
        (Some(was), Some(now)) if now > was => Some((
            Bump::Minor,
            format!("requests that ask for no end live for {now}, and did for {was}"),
        )),
        (Some(_), None) => {
            Some((Bump::Minor, "requests that ask for no end get none any more".to_owned()))
        }
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn most(was: Ends, now: Ends) -> Option<(Bump, String)> {
    match (was.most, now.most) {
        (None, Some(now)) => Some((
            Bump::Major,
            format!("requests may ask for {now} at most, and could for any time"),
        )),
        (Some(was), Some(now)) if now < was => {
            Some((Bump::Major, format!("requests may ask for {now} at most, and could for {was}")))
        }
        (Some(was), Some(now)) if now > was => {
            Some((Bump::Minor, format!("requests may ask for {now}, and could for {was} at most")))
        }
        (Some(_), None) => Some((Bump::Minor, "requests may ask for any time".to_owned())),
        (Some(_), Some(_)) | (None, None) => None,
    }
}

fn shown(places: &[Where<'_>]) -> String {
    let names = places.iter().flatten().map(|name| format!("`{name}`"));
    let elsewhere = places.contains(&None).then(|| "all other environments".to_owned());
    let all: Vec<String> = names.chain(elsewhere).collect();
    format!("in {}", all.join(", "))
}
