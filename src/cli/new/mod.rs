//! `vend new`: a request file, asked for by its template's schema.

mod ask;
mod choose;
mod fill;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use super::args::{Args, Format, New};
use super::failure::{Failure, Kind};
use super::findings::Findings;
use super::laptop::{self, Bench};
use super::schema::FILE as SCHEMA;
use super::validate::judge;
use super::{context, output};
use crate::catalog::file::Secret;
use crate::catalog::form::Assignments;
use crate::model::{Diagnostic, Reference, RequestId, quote};
use crate::report;
use crate::report::request::Draft;
use ask::Asker;
use choose::Chosen;
use fill::{Answers, Form};

/// Asks, checks and writes.
pub async fn run(args: &Args, new: &New) -> Result<ExitCode, Failure> {
    let here = laptop::here()?;
    let config = context::config_near(args, &here)?;
    let mut bench = laptop::open(args, config, &new.elsewhere, &here).await?;
    let asker = if new.no_input || args.format == Format::Json { None } else { Asker::open()? };
    let chosen = choose::template(&bench, new, asker.as_ref())?;
    let id = choose::identity(&bench, new, &chosen, asker.as_ref())?;
    let path = bench.requests.path_of(&id);
    if let Some(link) = bench.requests.link_on(&path) {
        let message = format!("`{link}` is a symbolic link, and nothing is written through one");
        return Err(Failure::usage(message).hint("put the folder itself there"));
    }
    let given = given(&chosen, new)?;
    let published = bench.published_if_any(args, &new.elsewhere).await;
    let (text, findings) = loop {
        let mut answers = given.clone();
        if let Some(asker) = &asker {
            ask(&bench, asker, &chosen, &id, &mut answers)?;
        }
        let text = draft(&bench, &chosen, &id, &path, &answers, new);
        bench.requests.add(&id, &path, &text);
        let mut findings = Findings::default();
        judge(&bench, &published, &BTreeSet::from([id.clone()]), &mut findings).await?;
        if !findings.diagnostics.iter().any(Diagnostic::is_error) {
            break (text, findings);
        }
        let again = match &asker {
            Some(asker) => {
                tell(&findings);
                asker.yes("This is not valid. Answer again?", Some(true))?
            }
            None => false,
        };
        if !again {
            return Ok(refuse(args, &id, &findings, asker.is_some()));
        }
    };
    if let Some(asker) = &asker {
        asker.go_on()?;
    }
    if !new.dry_run {
        write(bench.requests.copy.root(), &path, &text)?;
    }
    say(args, new, &bench, &id, &path, &text, &findings);
    Ok(ExitCode::SUCCESS)
}

fn ask(
    bench: &Bench,
    asker: &Asker,
    chosen: &Chosen,
    id: &RequestId,
    answers: &mut Answers,
) -> Result<(), Failure> {
    let Some(environment) = bench.catalog.catalog.environments.get(id.environment()) else {
        return Ok(());
    };
    Form { bench, asker, chosen, environment, id }.fill(answers)
}

/// What the command line says of the values.
fn given(chosen: &Chosen, new: &New) -> Result<Answers, Failure> {
    let wrong = |error: crate::catalog::form::WrongPath| Failure::usage(error.to_string());
    let mut values = Assignments::new(&chosen.version.parameters);
    for one in &new.set {
        values.set(one).map_err(wrong)?;
    }
    for one in &new.set_json {
        values.set_json(one).map_err(wrong)?;
    }
    let mut answers = Answers { parameters: values.values, ..Answers::default() };
    for one in &new.reference {
        let (name, reference) = reference(one)?;
        once(&answers, name)?;
        answers.references.insert(name.to_owned(), reference);
    }
    for one in &new.secret {
        let Some((name, arn)) = one.split_once('=').filter(|(_, arn)| arn.starts_with("arn:"))
        else {
            let message = format!("{} is not PARAMETER=ARN", quote(one));
            return Err(Failure::usage(message)
                .hint("name the secret by its ARN: a value never goes into a file"));
        };
        once(&answers, name)?;
        answers.secrets.insert(name.to_owned(), secret(arn));
    }
    Ok(answers)
}

fn once(answers: &Answers, name: &str) -> Result<(), Failure> {
    if answers.has(name) {
        return Err(Failure::usage(format!("{} is given twice", quote(name))));
    }
    Ok(())
}

/// `vpcId=platform/prod/network.vpcId`.
fn reference(text: &str) -> Result<(&str, Reference), Failure> {
    let parsed = text.split_once('=').and_then(|(name, other)| {
        let (request, output) = other.split_once('.')?;
        let request = RequestId::parse(request)?;
        let sound = !name.is_empty() && !output.is_empty();
        sound.then(|| (name, Reference { request, output: output.to_owned() }))
    });
    parsed.ok_or_else(|| {
        Failure::usage(format!("{} is not PARAMETER=TEAM/ENVIRONMENT/NAME.OUTPUT", quote(text)))
    })
}

/// `ARN` or `ARN#KEY`.
fn secret(text: &str) -> Secret {
    match text.split_once('#') {
        Some((arn, key)) => {
            Secret { aws_secrets_manager: arn.to_owned(), key: Some(key.to_owned()) }
        }
        None => Secret { aws_secrets_manager: text.to_owned(), key: None },
    }
}

fn draft(
    bench: &Bench,
    chosen: &Chosen,
    id: &RequestId,
    path: &str,
    answers: &Answers,
    new: &New,
) -> String {
    let version = &chosen.version;
    let template = &version.id.name;
    let environment = bench.catalog.catalog.environments.get(id.environment());
    let of_place = |values: &BTreeMap<_, crate::model::Map>, name: &str| {
        values.get(template).and_then(|values| values.get(name)).cloned()
    };
    let help: BTreeMap<String, String> = version.parameters.summaries().into_iter().collect();
    let mut left_out = Vec::new();
    for name in version.parameters.names.iter().filter(|name| !answers.has(name)) {
        let locked = environment.and_then(|place| of_place(&place.locked, name));
        if locked.is_some() {
            continue;
        }
        let default = environment.and_then(|place| of_place(&place.defaults, name));
        let default = default.or_else(|| version.parameters.defaults.get(name).cloned());
        left_out.push((name.clone(), default));
    }
    let depth = path.matches('/').count();
    Draft {
        schema: &format!("{}{SCHEMA}", "../".repeat(depth)),
        template: &chosen.written,
        about: version.description.as_deref().or(version.title.as_deref()),
        parameters: &answers.parameters,
        references: &answers.references,
        secrets: &answers.secrets,
        reason: new.reason.as_deref(),
        help: &help,
        left_out: &left_out,
    }
    .text()
}

/// Writes a file that must not be there yet: all of it or nothing.
fn write(root: &Path, path: &str, text: &str) -> Result<(), Failure> {
    let full = root.join(path);
    let failed = |error: std::io::Error| {
        let message = format!("cannot write `{}`", full.display());
        Failure::new(Kind::Failed, anyhow::Error::new(error).context(message))
    };
    let folder = full.parent().unwrap_or(root);
    std::fs::create_dir_all(folder).map_err(failed)?;
    let mut file = tempfile::Builder::new()
        .prefix(".vend-new-")
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    match file.persist_noclobber(&full) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(Failure::usage(format!("`{path}` is there already, and was not touched")))
        }
        Err(error) => Err(failed(error.error)),
    }
}

fn tell(findings: &Findings) {
    let source = |file: &str| findings.texts.get(file).cloned();
    let colour = output::is_colourful(&std::io::stderr());
    eprint!("{}", report::diagnostic::terminal(&findings.diagnostics, &source, colour));
}

fn refuse(args: &Args, id: &RequestId, findings: &Findings, told: bool) -> ExitCode {
    if args.format == Format::Json {
        let mut value = report::diagnostic::json(&findings.diagnostics);
        value["request"] = id.as_str().into();
        value["written"] = false.into();
        output::print(&value.to_string());
    } else {
        if !told {
            tell(findings);
        }
        eprintln!("error: this request would not be valid; nothing was written");
    }
    ExitCode::from(Kind::Invalid.code())
}

fn say(
    args: &Args,
    new: &New,
    bench: &Bench,
    id: &RequestId,
    path: &str,
    text: &str,
    findings: &Findings,
) {
    if args.format == Format::Json {
        let mut value = report::diagnostic::json(&findings.diagnostics);
        value["request"] = id.as_str().into();
        value["path"] = path.into();
        value["text"] = text.into();
        value["written"] = (!new.dry_run).into();
        output::print(&value.to_string());
        return;
    }
    if !findings.diagnostics.is_empty() {
        tell(findings);
    }
    if new.dry_run {
        output::print(text);
        return;
    }
    if args.quiet {
        return;
    }
    let mut said = format!("Wrote {path}.\n");
    for (_, reason) in &findings.waiting {
        said.push_str(&format!("It will wait: {}.\n", report::hold::reason(reason)));
    }
    said.push_str("\nNext:\n   vend plan\n");
    said.push_str(&format!("   git add {path} && git commit\n"));
    said.push_str("and push it, as a pull request where your team has those.\n");
    if !bench.requests.copy.root().join(SCHEMA).is_file() {
        said.push_str(&format!(
            "`vend schema -o {SCHEMA}` lets your editor check and complete it.\n"
        ));
    }
    output::print(&said);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_and_secrets_are_read() {
        let (name, found) = reference("vpcId=platform/prod/network.vpcId").unwrap();
        assert_eq!((name, found.output.as_str()), ("vpcId", "vpcId"));
        assert_eq!(found.request.as_str(), "platform/prod/network");
        for wrong in ["vpcId", "=a/b/c.d", "x=a/b.d", "x=a/b/c", "x=a/b/c."] {
            assert!(reference(wrong).is_err(), "{wrong}");
        }
        assert_eq!(secret("arn:x#password").key.as_deref(), Some("password"));
        assert_eq!(secret("arn:x").key, None);
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), "a/b/c.yaml", "one\n").unwrap();
        assert!(write(folder.path(), "a/b/c.yaml", "two\n").is_err());
        let left: Vec<_> = std::fs::read_dir(folder.path().join("a/b")).unwrap().collect();
        assert_eq!(left.len(), 1);
        assert_eq!(std::fs::read_to_string(folder.path().join("a/b/c.yaml")).unwrap(), "one\n");
    }
}
