// Exit code 0 if node_modules holds what package-lock.json names and the native addon loads in this Node.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

/** @param {string} path */
const packagesOf = (path) => JSON.parse(readFileSync(path, "utf8")).packages;

try {
  const wanted = packagesOf("package-lock.json");
  const installed = packagesOf("node_modules/.package-lock.json");
  for (const [path, entry] of Object.entries(wanted)) {
    // Optional packages of other platforms are named in the lock file and never installed.
    if (path === "" || (entry.optional && installed[path] === undefined)) continue;
    if (installed[path]?.version !== entry.version) throw new Error(`${path} is not ${entry.version}`);
  }
  const Database = createRequire(`${process.cwd()}/package.json`)("better-sqlite3");
  new Database(":memory:").close();
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
}
