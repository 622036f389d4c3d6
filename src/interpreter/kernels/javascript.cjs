/**
 * The JavaScript kernel: runs what comes as lines of JSON on one descriptor, and reports on another.
 * Arguments: the two descriptors, and "typescript" where types are to be taken out of the code first.
 */
"use strict";
const { spawnSync } = require("node:child_process");
const { createReadStream, writeSync } = require("node:fs");
const { createRequire } = require("node:module");
const { resolve } = require("node:path");
const { createInterface } = require("node:readline");
const { pathToFileURL } = require("node:url");
const { inspect } = require("node:util");
const vm = require("node:vm");
const { compile } = require("./javascript-code.cjs");

/** Code may put something else in the place of what it finds. */
const { parse, stringify } = JSON;

const [input, output] = process.argv.slice(2, 4).map(Number);
const isTypeScript = process.argv[4] === "typescript";

/** The pipe is not read while the server is stopped: what does not fit is tried again. */
function report(record) {
  const bytes = Buffer.from(`${stringify(record)}\n`);
  for (let at = 0; at < bytes.length; ) {
    try {
      at += writeSync(output, bytes, at);
    } catch (error) {
      if (error.code !== "EAGAIN") throw error;
    }
  }
}

const here = () => createRequire(pathToFileURL(resolve("kernel.js")));
Object.defineProperty(globalThis, "require", { get: here, configurable: true });

/** Modules are found from the working directory, as for a file in it. */
function importModule(specifier) {
  if (/^\.{0,2}\//.test(specifier)) return import(pathToFileURL(resolve(specifier)).href);
  try {
    const found = here().resolve(specifier);
    return import(found.startsWith("/") ? pathToFileURL(found).href : found);
  } catch {
    return import(specifier);
  }
}

const typeScript = ["--loader=ts", "--target=esnext", "--log-level=error", "--color=false"];
/** An import that this piece of code does not use is for a later one. */
const keepImports = '--tsconfig-raw={"compilerOptions":{"preserveValueImports":true}}';

function withoutTypes(code) {
  const { status, stdout, stderr, error } = spawnSync("esbuild", [...typeScript, keepImports], {
    input: code,
    maxBuffer: Number.POSITIVE_INFINITY,
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new SyntaxError(String(stderr).trim());
  return String(stdout);
}

let interrupt = () => {};
process.on("SIGINT", () => interrupt());
process.on("uncaughtException", (error) => console.error("Uncaught", error));
process.on("unhandledRejection", (reason) => console.error("Unhandled rejection:", reason));

async function evaluate(code) {
  const script = new vm.Script(compile(isTypeScript ? withoutTypes(code) : code), {
    filename: "code.js",
    importModuleDynamically: importModule,
  });
  const interrupted = new Promise((_, reject) => {
    interrupt = () => reject(new Interrupted("the run was interrupted"));
  });
  interrupted.catch(() => {});
  return await Promise.race([script.runInThisContext({ breakOnSigint: true }), interrupted]);
}

class Interrupted extends Error {
  name = "Interrupted";
}

/** What is thrown may throw when it is looked at. */
function describe(thrown) {
  try {
    return thrown instanceof Error ? describeError(thrown) : unnamed(inspect(thrown));
  } catch {
    return unnamed("what was thrown cannot be shown");
  }
}

const unnamed = (value) => ({ name: "Error", value, traceback: "" });

function describeError(thrown) {
  const lines = String(thrown.stack).split("\n");
  // From there down it is the kernel's own.
  const own = lines.findIndex((line) => line.startsWith("    at ") && isOwn(line));
  const traceback = lines.slice(0, own < 0 ? lines.length : own).join("\n");
  return { name: String(thrown.name), value: String(thrown.message), traceback };
}

const isOwn = (line) => [__dirname, "/nodejs/acorn/", "node:vm"].some((part) => line.includes(part));

async function run({ code, env, base }) {
  Object.assign(process.env, base);
  const before = Object.keys(env).map((name) => [name, process.env[name]]);
  Object.assign(process.env, env);
  try {
    const value = await evaluate(code);
    if (value !== undefined)
      report({ result: { "text/plain": typeof value === "string" ? value : inspect(value) } });
  } catch (thrown) {
    report({ error: describe(thrown) });
  }
  interrupt = () => {};
  for (const [name, value] of before) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  await Promise.all(streams.map(written));
  report({ done: 0 });
}

/** Pipes that are full are written to later: a run is over when all that it has written is in them. */
const streams = [process.stdout, process.stderr];
const written = (stream) =>
  new Promise((done) => {
    if (stream.writable) stream.write("", () => done());
    else done();
  });

createInterface({ input: createReadStream(null, { fd: input }) })
  .on("line", (line) => void run(parse(line)))
  .on("close", () => process.exit());
report({ done: 0 });
