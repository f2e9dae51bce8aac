//! `vend extend`: a later end for a request, written into its file.

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::anyhow;
use serde_json::json;

use super::args::{Args, Extend, Format};
use super::failure::{Failure, Kind};
use super::{approve, context, laptop, output};
use crate::catalog::{self, Ttl};
use crate::error::chain;
use crate::model::{Length, quote};
use crate::{report, yaml};

/// Edits the file and says when the request ends then.
pub async fn run(args: &Args, asked: &Extend) -> Result<ExitCode, Failure> {
    let id = approve::request_id(&asked.request)?;
    let by = Length::parse(&asked.by).ok_or_else(|| {
        Failure::usage(format!("{} is not a length of time", quote(&asked.by)))
            .hint("write it as `12h`, `7d` or `2w`")
    })?;
    let config = context::config(args)?;
    let mut bench = laptop::open(args, config, &asked.elsewhere, &laptop::here()?).await?;
    let file = bench.requests.file(&id).map(|(text, read)| (text.to_owned(), read));
    let Some((before, read)) = file else {
        return Err(Failure::usage(format!("there is no request `{id}` in this working copy")));
    };
    let invalid = || {
        Failure::new(Kind::Invalid, anyhow!("the file of `{id}` has errors"))
            .hint("`vend validate` shows them")
    };
    let file = read.map_err(|_| invalid())?;
    if !file.problems().is_empty() {
        return Err(invalid());
    }
    let ids = BTreeSet::from([id.clone()]);
    let record = bench.published(args, &asked.elsewhere, &ids).await?.records().remove(&id);
    let recorded = record.as_ref().map(|record| &record.template);
    let Some(template) = catalog::template_of(&bench.catalog.catalog, &file, recorded) else {
        return Err(invalid());
    };
    let life = record.as_ref().and_then(|record| record.life.as_ref());
    let lifetime = Ttl::lifetime(template.ttl.as_ref(), id.environment(), file.term);
    let mut extension =
        catalog::extend(lifetime.as_ref(), life, by, context::now()).map_err(|why| {
            Failure::new(Kind::Invalid, anyhow!(report::expiry::not_longer(&id, &why)))
        })?;
    let path = file.path.to_string();
    let place: Arc<str> = file.path.clone();
    let edits = std::slice::from_ref(&extension.edit);
    let after = yaml::edit(&place, &before, edits, &yaml::Options::request()).map_err(|error| {
        let error = anyhow!("`{path}` cannot be edited in place: {}", chain(&error));
        Failure::new(Kind::Failed, error).hint(format!("write `{}` into it", extension.line))
    })?;
    // Said is what the file says then, in its own quotes.
    if let Some(line) = written(&place, &after, extension.edit.at()) {
        extension.line = line;
    }
    if !asked.dry_run && !bench.requests.copy.rewrite(&path, before.as_bytes(), after.as_bytes())? {
        return Err(Failure::new(Kind::Failed, anyhow!("somebody changed `{path}` meanwhile")));
    }
    if args.format == Format::Json {
        let catalog::Extension { edit: _, line, was, ends } = &extension;
        let value = json!({
            "request": id, "path": path, "line": line, "was": was, "expiresAt": ends,
            "edited": !asked.dry_run,
        });
        output::print(&value.to_string());
    } else {
        output::print(&report::expiry::extended(&id, &path, &extension, asked.dry_run));
    }
    Ok(ExitCode::SUCCESS)
}

/// A key with its value, as a text has them.
fn written(file: &Arc<str>, text: &str, at: &str) -> Option<String> {
    let root = yaml::read(file, text.as_bytes(), &yaml::Options::request()).ok()?.pop()?;
    let (key, value) = (root.key_at(at)?, root.at(at)?);
    let (start, end) = (key.span.start.byte as usize, value.span.end.byte as usize);
    text.get(start..end).map(str::to_owned)
}
