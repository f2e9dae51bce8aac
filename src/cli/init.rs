//! `vend init`: a catalog and a requests repository to start from.

mod text;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::args::{Args, Init};
use super::demo::{self, Embedded, Git};
use super::failure::{Failure, Kind};
use super::{output, schema};
use crate::catalog;
use crate::reconcile::local::disk_files;

/// The template to start from, of those in the program.
const TEMPLATE: &str = "templates/app-config/1.0.0/";

/// Far more than the catalog that is written here needs.
const MAX_FILE: u64 = 256 * 1024;

/// Writes them.
pub fn run(args: &Args, init: &Init) -> Result<ExitCode, Failure> {
    let root = prepare(&init.directory)?;
    write_catalog(&root)?;
    write_requests(&root)?;
    demo::write(&root, &[("vend.yaml", text::OPERATOR), ("README.md", text::README)], plain)?;
    Git::at(root.clone()).run(&["init", "-q", "--bare", "-b", "main", "deployments.git"])?;
    for name in ["catalog", "requests"] {
        let git = Git::at(root.join(name));
        git.run(&["init", "-q", "-b", "main"])?;
        git.run(&["add", "-A"])?;
        // The first commit is vend's: nobody need have told git a name to try it.
        let who = ["-c", "user.name=vend init", "-c", "user.email=vend@localhost"];
        git.run(&[&who[..], &["commit", "-qm", "Start"]].concat())?;
    }
    if !args.quiet {
        let folder = init.directory.display();
        output::print(&format!("{}\n   cd {folder}\n   vend apply\n", text::DONE));
        output::print(&format!("`{folder}/README.md` says how to go on."));
    }
    Ok(ExitCode::SUCCESS)
}

fn plain(_path: &str, text: String) -> String {
    text
}

/// An empty folder; one with anything in it is somebody's.
fn prepare(path: &Path) -> Result<PathBuf, Failure> {
    let failed = |error: std::io::Error| {
        let message = format!("cannot make `{}`", path.display());
        Failure::new(Kind::Failed, anyhow::Error::new(error).context(message))
    };
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        return Err(Failure::usage(format!("`{}` is not a folder", path.display())));
    }
    std::fs::create_dir_all(path).map_err(failed)?;
    if std::fs::read_dir(path).map_err(failed)?.next().is_some() {
        let message = format!("`{}` is not empty", path.display());
        return Err(Failure::usage(message).hint("name a folder that is not there yet"));
    }
    path.canonicalize().map_err(failed)
}

fn write_catalog(root: &Path) -> Result<(), Failure> {
    let output = root.join("deployments.git");
    let output = output.to_str().ok_or_else(|| {
        Failure::usage(format!("`{}` is not UTF-8: name another folder", output.display()))
    })?;
    // A path may hold what YAML reads otherwise; a JSON string is YAML in every case.
    let output = serde_json::Value::from(output).to_string();
    let folder = root.join("catalog");
    let template: Vec<Embedded> =
        demo::CATALOG.iter().filter(|(path, _)| path.starts_with(TEMPLATE)).copied().collect();
    demo::write(&folder, &template, plain)?;
    let own: [Embedded; 3] = [
        ("catalog.yaml", text::CATALOG),
        ("environments/dev.yaml", text::DEV),
        ("environments/prod.yaml", text::PROD),
    ];
    demo::write(&folder, &own, |_, text| text.replace("DEPLOYMENTS", &output))
}

fn write_requests(root: &Path) -> Result<(), Failure> {
    let folder = root.join("requests");
    let own: [Embedded; 2] =
        [("vend.yaml", text::LAPTOP), ("requests/web/dev/settings.yaml", text::REQUEST)];
    demo::write(&folder, &own, plain)?;
    let files = disk_files(&root.join("catalog"), MAX_FILE)?;
    let (catalog, _) = catalog::load(&files, None);
    let text = schema::text(&catalog)?;
    demo::write(&folder, &[(schema::FILE, text.as_bytes())], plain)
}
