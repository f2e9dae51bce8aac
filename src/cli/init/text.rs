//! The files that are written as they are.

pub const CATALOG: &[u8] = b"\
apiVersion: vend.dev/v1
kind: Catalog
metadata:
  name: catalog
  description: What the platform team offers.
spec:
  format: 1
  owners:
    platform: [\"@example/platform\"]
";

/// `DEPLOYMENTS` becomes the repository that is written to.
pub const DEV: &[u8] = b"\
apiVersion: vend.dev/v1
kind: Environment
metadata:
  name: dev
  description: For trying things.
spec:
  providers:
    files:
      # An address of https or ssh, once this is more than a trial.
      repository: DEPLOYMENTS
      branch: main
      path: \"{environment}/{team}/{name}/{component}\"
  # What is edited there by hand is put back.
  onDrift: revert
";

/// `DEPLOYMENTS` as in [`DEV`].
pub const PROD: &[u8] = b"\
apiVersion: vend.dev/v1
kind: Environment
metadata:
  name: prod
  description: Where customers are.
spec:
  providers:
    files:
      repository: DEPLOYMENTS
      branch: main
      path: \"{environment}/{team}/{name}/{component}\"
  # Removing a request here needs `delete: {confirm: <name>}` in its file first.
  protect: true
";

pub const REQUEST: &[u8] = b"\
# yaml-language-server: $schema=../../../.vend/request.schema.json
apiVersion: vend.dev/v1
kind: Request
spec:
  template: app-config@^1
  parameters:
    namespace: web-shop
    settings:
      LOG_LEVEL: info
";

pub const LAPTOP: &[u8] = b"\
# Serves the command line in a clone of this repository: `vend validate`, `vend plan`.
# The daemon never reads it; its own file lies beside this folder.
catalog:
  repository: ../catalog
requests:
  - repository: .
";

pub const OPERATOR: &[u8] = b"\
# Whoever runs vend keeps this file. docs/configuration.md has all that can be set.
catalog:
  repository: ./catalog
requests:
  - repository: ./requests
stateDir: ./state
providers:
  files:
    # Where the catalog may have files written to.
    allow: [./deployments.git]
";

pub const README: &[u8] = b"\
# A start with vend

    catalog/          templates and environments; a repository of the platform team
    requests/         what developers ask for; a repository of its own
    deployments.git   what vend renders, for Flux or Argo CD to follow
    vend.yaml         the operator's configuration
    state/            the daemon's; made by the first `vend apply`

Here:

    vend apply        one pass: renders requests/, writes into deployments.git
    vend status       where each request stands
    vend serve        the daemon: the same, whenever something is committed

In requests/, as a developer:

    vend validate     every problem, with its line
    vend plan         what the edits would do
    git commit        and `vend apply`, or the daemon, does it

Each request's status and outputs are on the branch `vend/status` of requests/.

## Next

- Add a template: copy `catalog/templates/app-config/1.0.0/` to another name, edit, commit, and check it
  with `vend validate catalog`. A version that has landed never changes: copy it to the next one.
- After that, `vend schema -o .vend/request.schema.json` in requests/ tells editors of it.
- Move the repositories to a server, then put their addresses into vend.yaml, requests/vend.yaml and
  catalog/environments/, and protect their main branches by review.
- The paths in catalog/environments/ are absolute: correct them when this folder moves.
";

pub const DONE: &str = "Wrote a catalog, a repository of requests and a configuration. Now:\n";
