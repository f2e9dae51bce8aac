//! `vend catalog show`: one template, as a page of a manual.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Arc;

use semver::Version;

use super::super::args::catalog::Show;
use super::super::args::{Args, Format};
use super::super::failure::{Failure, Kind};
use super::super::{context, laptop, output};
use super::{PROVIDERS, meant};
use crate::catalog::{self, Catalog, TemplateReq, TemplateVersion, Versions};
use crate::model::{RequestId, nearest, quote};
use crate::reconcile::lint;
use crate::report::catalog::{Page, User, show, show_json};

/// Prints it.
pub async fn run(args: &Args, wanted: &Show) -> Result<ExitCode, Failure> {
    let found = meant(args, &wanted.elsewhere).await?;
    let (versions, template) = chosen(&found.catalog, &wanted.template)?;
    let users = match wanted.users {
        true => Some(users(args, wanted, &found.catalog, &template.id.name).await?),
        false => None,
    };
    let page = Page {
        catalog: &found.catalog,
        versions,
        template,
        example: catalog::example(&found.catalog, template, &PROVIDERS, &lint::passes),
        users,
    };
    match args.format {
        Format::Json => output::print(&show_json(&page).to_string()),
        Format::Text | Format::Github | Format::Sarif => {
            let colour = output::is_colourful(&std::io::stdout());
            output::print(&show(&page, output::width(), colour));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The version that a text means: of a name the one that is offered, of a range its highest.
fn chosen<'a>(
    catalog: &'a Catalog,
    wanted: &str,
) -> Result<(&'a Versions, &'a Arc<TemplateVersion>), Failure> {
    let (name, requirement) = match wanted.contains('@') {
        true => {
            let TemplateReq { name, requirement } =
                TemplateReq::parse(wanted).map_err(Failure::usage)?;
            (name, Some(requirement))
        }
        false => (wanted.to_owned(), None),
    };
    let not_found =
        |message: String| Failure::new(Kind::Failed, anyhow::Error::msg(message)).not_found();
    let Some(versions) = catalog.templates.get(&name) else {
        let failure = not_found(format!("no template is called {}", quote(&name)));
        return Err(match nearest(&name, catalog.templates.keys().map(String::as_str)) {
            Some(meant) => failure.hint(format!("did you mean `{meant}`?")),
            None => failure.hint("`vend catalog list` lists them"),
        });
    };
    let template = match &requirement {
        None => catalog::offered(versions),
        Some(requirement) => versions.values().rfind(|t| requirement.matches(&t.id.version)),
    };
    template.map(|template| (versions, template)).ok_or_else(|| {
        let have: Vec<String> = versions.keys().rev().map(Version::to_string).collect();
        not_found(format!("no version of `{name}` is {}", quote(wanted)))
            .hint(format!("there are {}", have.join(", ")))
    })
}

/// Who uses any version of a template: by the status branch, and by the files of a working copy where this
/// is one.
async fn users(
    args: &Args,
    wanted: &Show,
    catalog: &Catalog,
    name: &str,
) -> Result<Vec<User>, Failure> {
    let config = context::config(args).map_err(|failure| {
        failure.hint("run it in a clone of the requests: that says who uses what")
    })?;
    let overview = laptop::overview(args, &config, &wanted.elsewhere, None, false).await?;
    let mut users: BTreeMap<RequestId, User> = BTreeMap::new();
    let mut recorded = BTreeMap::new();
    for status in overview.requests {
        let id = status.metadata.id.clone();
        let Some(template) = &status.template else { continue };
        recorded.insert(id.clone(), (template.name.clone(), template.version.clone()));
        if template.name == name {
            let version = template.version.to_string();
            let phase = Some(format!("{:?}", status.phase));
            users.insert(id.clone(), User { id, version, phase });
        }
    }
    let asked = laptop::files_here(&config, &laptop::here()?);
    for file in asked.into_iter().flatten() {
        let id = file.id.clone();
        if file.template.name != name {
            // It has left the template, in this working copy.
            users.remove(&id);
            continue;
        }
        let was = recorded.get(&id).map(|(name, version)| crate::model::TemplateId {
            name: name.clone(),
            version: version.clone(),
        });
        // What it was made with and is gone, it still has.
        let kept = was.as_ref().filter(|was| file.template.requirement.matches(&was.version));
        let version = catalog::template_of(catalog, &file, was.as_ref())
            .map(|template| template.id.version.to_string())
            .or_else(|| kept.map(|kept| kept.version.to_string()))
            .unwrap_or_else(|| file.template.requirement.to_string());
        let phase = users.get(&id).and_then(|user| user.phase.clone());
        users.insert(id.clone(), User { id, version, phase });
    }
    Ok(users.into_values().collect())
}
