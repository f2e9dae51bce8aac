//! `vend render`: what a request becomes.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::ExitCode;

use super::args::{Args, Format, Render};
use super::failure::{Failure, Kind};
use super::laptop::{self, Bench};
use super::{approve, context, output};
use crate::model::{RequestId, Wanted};
use crate::reconcile::desired::Evaluated;
use crate::report;

/// Prints the rendered files.
pub async fn run(args: &Args, render: &Render) -> Result<ExitCode, Failure> {
    let path = Path::new(&render.request);
    let at = if path.is_file() { std::path::absolute(path)? } else { laptop::here()? };
    let config = context::config_near(args, &at)?;
    let mut bench = laptop::open(args, config, &render.elsewhere, &at).await?;
    let id = identity(&bench, &render.request, path)?;
    let only = BTreeSet::from([id.clone()]);
    let records = bench.published_if_any(args, &render.elsewhere).await.records();
    let evaluated =
        bench.requests.evaluate(&only, &bench.catalog.catalog, &records, &bench.config).await?;
    let Some(evaluated) = evaluated.into_iter().find(|e| e.row.desired.id == id) else {
        return Err(Failure::new(
            Kind::Failed,
            anyhow::anyhow!("there is no file of `{id}` in this clone"),
        ));
    };
    match &evaluated.row.desired.wanted {
        Wanted::Valid(_) => {}
        Wanted::Invalid(problems) => {
            if args.format == Format::Json {
                output::print(&report::diagnostic::json(problems).to_string());
                return Ok(ExitCode::from(Kind::Invalid.code()));
            }
            let max = bench.config.settings.limits.file_bytes;
            let source = |file: &str| bench.requests.text(file, max);
            eprint!(
                "{}",
                report::diagnostic::terminal(
                    problems,
                    &source,
                    output::is_colourful(&std::io::stderr())
                )
            );
            return Ok(ExitCode::from(Kind::Invalid.code()));
        }
        Wanted::Waiting(reason) => {
            return Err(Failure::new(
                Kind::Failed,
                anyhow::anyhow!("`{id}` cannot be rendered yet: {}", report::hold::reason(reason)),
            ));
        }
    }
    print(args, &evaluated);
    Ok(ExitCode::SUCCESS)
}

fn identity(bench: &Bench, text: &str, path: &Path) -> Result<RequestId, Failure> {
    if !path.is_file() {
        return approve::request_id(text);
    }
    let inner = bench.requests.copy.relative(path).unwrap_or_default();
    let found = bench.requests.found.values().find(|f| *f.origin.path == *inner);
    found.map(|f| f.id.clone()).ok_or_else(|| {
        Failure::usage(format!(
            "`{}` is not a request by the pattern `{}`",
            path.display(),
            bench.requests.source.pattern
        ))
    })
}

fn print(args: &Args, evaluated: &Evaluated) {
    let files = evaluated.artifacts.iter().flat_map(|(component, artifact)| {
        artifact.files.iter().map(move |(path, text)| (format!("{component}/{path}"), text))
    });
    if args.format == Format::Json {
        let files: serde_json::Map<_, _> =
            files.map(|(path, text)| (path, text.as_str().into())).collect();
        output::print(&serde_json::Value::Object(files).to_string());
        return;
    }
    let mut out = String::new();
    for (path, text) in files {
        out.push_str(&format!("# {path}\n{text}"));
        if !text.ends_with('\n') {
            out.push('\n');
        }
    }
    output::print(&out);
}
