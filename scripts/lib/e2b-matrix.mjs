// The parts of scripts/e2b-suite that are about data: what the suite's folder needs, what its reports say, the matrix.
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";

const [verb, ...args] = process.argv.slice(2);
const readJson = (path) => JSON.parse(readFileSync(path, "utf8"));
const checkout = join(import.meta.dirname, "../..");

/** What its tests import. The rest is for browsers, other runtimes and E2B's own upkeep. */
const tools = ["@types/node", "@types/platform", "dotenv", "error-stack-parser-es", "msw", "vitest"];

/** The suite's own set-up file takes the clients' HTTP/2 away. */
const config = (http) => `
import { defineConfig } from "vitest/config";
const setupFiles = ${http === "2" ? "[]" : '["tests/globalFetchFallback.setup.ts"]'};
const common = { environment: "node", testTimeout: 30_000, setupFiles };
export default defineConfig({
  test: {
    projects: [
      { test: { ...common, name: "unit", include: ["tests/{api,sandbox}/**/*.test.ts"] } },
      { test: { ...common, name: "template", include: ["tests/template/**/*.test.ts"], testTimeout: 180_000 } },
    ],
  },
});
`;

/** Leaves dependencies that are installed already alone. */
function prepare(folder, lane, http, revision) {
  const own = readJson(join(folder, "package.json"));
  const needed = Object.entries(own.devDependencies).filter(([name]) => tools.includes(name));
  const client = lane === "b" ? readJson(join(checkout, "node_modules/e2b/package.json")) : own;
  if (lane === "b") overlay(folder);
  const { version, dependencies } = client;
  const about = { name: "suite", version, revision, private: true, type: own.type };
  const manifest = { ...about, dependencies, devDependencies: Object.fromEntries(needed) };
  writeFileSync(join(folder, "package.json"), JSON.stringify(manifest, undefined, 2));
  writeFileSync(join(folder, "vitest.config.mts"), config(http));
}

/** The published package's sources, which its source map has; files of types alone leave no trace in it and stay. */
function overlay(folder) {
  const { sources, sourcesContent } = readJson(join(checkout, "node_modules/e2b/dist/index.mjs.map"));
  for (const [index, source] of sources.entries()) {
    const path = relative("..", source);
    if (!path.startsWith("src/")) continue;
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), sourcesContent[index]);
  }
}

function report(folder, lane, nodes, http, ...paths) {
  const files = paths.flatMap((path) => readJson(path).testResults);
  const tests = files.flatMap(({ assertionResults }) => assertionResults);
  const of = (status) => tests.filter((test) => test.status === status);
  // A file that cannot be loaded reports no test of its own.
  const broken = files.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.length === 0,
  );
  const { version, revision } = readJson(join(folder, "package.json"));
  const commit = execFileSync("git", ["-C", checkout, "log", "-1", "--format=%h"], {
    encoding: "utf8",
  }).trim();
  const failed = [
    ...of("failed").map(({ fullName }) => fullName.trim()),
    ...broken.map(({ name }) => `${relative(folder, name)}, the file itself`),
  ];
  const date = new Date().toISOString().slice(0, 10);
  const about = { lane, version, revision, commit, date, nodes: Number(nodes), http };
  process.stdout.write(
    `${JSON.stringify({ ...about, passed: of("passed").length, failed }, undefined, 2)}\n`,
  );
}

function say(path) {
  const { lane, version, nodes, http, passed, failed } = readJson(path);
  process.stdout.write(
    `lane ${lane}, client ${version}, nodes: ${nodes}, HTTP/${http}: ${passed} passed, ${failed.length} failed\n`,
  );
  for (const name of failed) process.stdout.write(`  failed: ${name}\n`);
}

const marks = ["<!-- matrix: written by scripts/e2b-suite --matrix -->", "<!-- end of matrix -->"];

function write(path, ...reports) {
  const rows = reports
    .map(readJson)
    .map(({ lane, version, revision, nodes, http, passed, failed, commit, date }) => {
      const what = failed.length === 0 ? "none" : failed.map((name) => `*${name}*`).join("; ");
      return `| ${lane.toUpperCase()} | ${version} | ${revision} | ${nodes} | ${http} | ${passed} of ${passed + failed.length} | ${what} | ${commit}, ${date} |`;
    });
  const head = [
    "| lane | client | suite | nodes | HTTP | pass | fail | our commit |",
    "|---|---|---|---|---|---|---|---|",
  ];
  const text = readFileSync(path, "utf8");
  const [from, to] = marks.map((mark) => text.indexOf(mark));
  if (from < 0 || to < from) throw new Error(`${path} has no place for the matrix`);
  const table = [marks[0], "", ...head, ...rows, "", ""].join("\n");
  writeFileSync(path, text.slice(0, from) + table + text.slice(to));
}

const verbs = { prepare, report, say, write };
verbs[verb](...args);
