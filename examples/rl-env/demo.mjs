// Forks, commits, pauses and resumes the environment of env.py through the ramet command, and says what happened.
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, relative, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const here = dirname(fileURLToPath(import.meta.url));
const command = resolve(here, "../../dist/bin/ramet.js");
const label = "demo=rl-env";
const image = "rl-env-checkpoint-step1000";
const startSteps = 1000;
const moreSteps = 250;
const execFileAsync = promisify(execFile);
/** @type {Array<{ operation: string, ms: number, memory: string }>} */
const rows = [];

const say = (text = "") => process.stdout.write(`${text}\n`);
const heading = (text) => say(`\n== ${text}`);
const size = (bytes) =>
  bytes < 2 ** 20 ? `${Math.ceil(bytes / 2 ** 10)} KiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`;
const whole = (ms) => `${Math.round(ms)} ms`;
const record = (operation, ms, memory) => rows.push({ operation, ms, memory });

/** A claim that the reader is shown; the demonstration ends where one does not hold. */
function check(holds, claim) {
  if (!holds) throw new Error(`this does not hold: ${claim}`);
  say(`  ✓ ${claim}`);
}

/** Runs `ramet` and returns what it prints on standard output. */
async function ramet(args, { quiet = false } = {}) {
  if (!quiet) say(`$ ramet ${args.map((arg) => (/^[\w./:=,-]+$/.test(arg) ? arg : `'${arg}'`)).join(" ")}`);
  const options = { maxBuffer: 2 ** 26, timeout: 300_000 };
  const { stdout } = await execFileAsync(process.execPath, [command, ...args], options).catch((error) => {
    throw new Error(`ramet ${args.join(" ")} failed\n${error.stderr || error.message}`, { cause: error });
  });
  return stdout;
}

/** The same with --json, which is not shown. */
async function rametJson(args, options) {
  if (options?.quiet !== true) say(`$ ramet ${args.join(" ")}`);
  return JSON.parse(await ramet(["--json", ...args], { quiet: true }));
}

/** Runs env.py in a sandbox. */
async function env(sandbox, ...args) {
  return JSON.parse(await ramet(["exec", sandbox, "python3", "env.py", ...args]));
}

async function digestOf(sandbox) {
  const args = ["exec", sandbox, "python3", "env.py", "digest", String(startSteps)];
  return JSON.parse(await ramet(args, { quiet: true })).digest;
}

/** What the host sees of a sandbox, without asking the agent: its processes, and the memory that is theirs. */
function onHost(id) {
  const seen = { processes: 0, bytes: 0 };
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      if (!readFileSync(`/proc/${pid}/cgroup`, "utf8").includes(id)) continue;
      const rollup = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
      seen.processes += 1;
      seen.bytes += Number(/^Pss:\s+(\d+) kB$/m.exec(rollup)?.[1] ?? 0) * 1024;
    } catch {
      // It ended while we looked.
    }
  }
  return seen;
}
const describeHost = ({ processes, bytes }) =>
  processes === 0 ? "nothing of it" : `${processes} processes, ${size(bytes)}`;

async function removeOld({ except = "" } = {}) {
  const old = await rametJson(["ps", "-a", "--filter", `label=${label}`], { quiet: true });
  const ids = old.filter(({ name }) => name !== except).map(({ id }) => id);
  if (ids.length > 0) await ramet(["rm", "-f", ...ids], { quiet: true });
  return ids.length;
}

async function stepSource() {
  heading(`An environment in a sandbox, stepped ${startSteps} times`);
  const args = ["create", "python", "--name", "rl-env", "--label", label];
  const { sandbox, durationMs } = await rametJson(args);
  record("create from template", durationMs, size(onHost(sandbox.id).bytes));
  await ramet(["cp", relative(process.cwd(), resolve(here, "env.py")), "rl-env:/home/user/env.py"]);
  await ramet(["exec", "-d", "rl-env", "python3", "env.py", "serve"]);
  const state = await env("rl-env", "step", String(startSteps));
  say(`  step ${state.step}: reward ${state.reward}, ${state.episodes} falls`);
  say(
    `  in memory: ${state.replaySteps} pictures, ${size(state.replayBytes)}; in a file: the rest of its state`,
  );
  return sandbox.id;
}

async function fork(policies) {
  heading(`The running sandbox, forked ${policies.length} ways`);
  const start = performance.now();
  const args = ["fork", "rl-env", "-n", String(policies.length), "--name", "rl-env-fork", "--label", label];
  const forked = await rametJson(args);
  const wallMs = performance.now() - start;
  const failed = forked.clones.find(({ error }) => error !== undefined);
  if (failed !== undefined) throw new Error(`a clone failed: ${failed.error.message}`);
  const durations = forked.clones.map(({ durationMs }) => durationMs).sort((a, b) => a - b);
  const bytes = forked.clones.map(({ sandbox }) => onHost(sandbox.id).bytes);
  record(
    `fork ${policies.length} ways: source frozen`,
    forked.freezeMs,
    `${size(forked.memoryBytes)} checkpoint`,
  );
  record("  one clone (median)", durations[durations.length >> 1], size(Math.max(...bytes)));
  const total = bytes.reduce((sum, one) => sum + one, 0);
  record("  all, whole command", wallMs, size(total));
  say(
    `  the source stood still for ${whole(forked.freezeMs)}; ${policies.length} clones after ${whole(wallMs)}`,
  );
}

async function diverge(policies) {
  heading(`Each fork goes on from step ${startSteps} with another policy, the source with its own`);
  const names = policies.map((_, index) => `rl-env-fork-${index + 1}`);
  const results = await Promise.all([
    env("rl-env", "step", String(moreSteps)),
    ...names.map((name, index) => env(name, "step", String(moreSteps), "--policy", policies[index])),
  ]);
  const digests = await Promise.all(["rl-env", ...names].map(digestOf));
  say(`  sandbox         policy     step   gained  falls  first ${startSteps} steps, SHA-256 of the memory`);
  for (const [index, { policy, step, gained, falls }] of results.entries()) {
    const name = ["rl-env", ...names][index];
    const cells = [
      name.padEnd(15),
      policy.padEnd(9),
      String(step).padStart(5),
      gained.toFixed(3).padStart(8),
    ];
    say(`  ${cells.join(" ")} ${String(falls).padStart(6)}  ${digests[index].slice(0, 24)}…`);
  }
  check(new Set(digests).size === 1, `the first ${startSteps} steps are the same in all of them`);
  check(
    new Set(results.slice(1).map(({ gained }) => gained)).size === names.length,
    "what came after differs",
  );
  const twin = policies.indexOf(results[0].policy) + 1;
  check(
    results[twin].random === results[0].random && results[twin].gained === results[0].gained,
    `${names[twin - 1]}, with the source's own policy, came out as the source did: random numbers are forked, too`,
  );
  const best = results.slice(1).reduce((a, b) => (a.gained >= b.gained ? a : b));
  say(`  best: ${best.policy}`);
  return { name: names[policies.indexOf(best.policy)], ...best };
}

async function commitBest(best) {
  heading(`One fork, committed to an image: its files, saved at step ${startSteps}`);
  const committed = await rametJson(["commit", best.name, image, "--replace"]);
  record("commit to an image", committed.durationMs, `${size(committed.layerBytes)} layer`);
  const args = ["create", "--image", image, "--name", "rl-env-from-image", "--label", label];
  const { sandbox, durationMs } = await rametJson(args);
  record("create from that image", durationMs, size(onHost(sandbox.id).bytes));
  await ramet(["exec", "-d", "rl-env-from-image", "python3", "env.py", "serve"]);
  const state = await env("rl-env-from-image", "state");
  check(state.step === startSteps, `a new process is at step ${state.step}, read from the file`);
  check(
    state.replaySteps === 0,
    "its memory is its own: an image holds files, a checkpoint holds memory as well",
  );
  const again = await env("rl-env-from-image", "step", String(moreSteps), "--policy", best.policy);
  check(again.random === best.random, `${best.policy} from there gains ${again.gained}, as the fork did`);
}

async function pauseAndResume(id) {
  heading("The source, paused and resumed");
  const before = await env("rl-env", "state");
  const digest = await digestOf("rl-env");
  const running = onHost(id);
  say(`  the host sees ${describeHost(running)}`);
  const [paused] = await rametJson(["pause", "rl-env"]);
  const gone = onHost(id);
  record("pause", paused.durationMs, `${size(running.bytes)} freed, ${size(paused.memoryBytes)} on disk`);
  check(
    gone.processes === 0,
    `paused: the host sees ${describeHost(gone)}; ${size(paused.memoryBytes)} lie on disk`,
  );
  const [resumed] = await rametJson(["resume", "rl-env"]);
  const back = onHost(id);
  record("resume", resumed.durationMs, `${size(back.bytes)} back`);
  check(back.processes === running.processes, `resumed: the host sees ${describeHost(back)}`);
  const after = await env("rl-env", "state");
  check(
    JSON.stringify(after) === JSON.stringify(before) && (await digestOf("rl-env")) === digest,
    `step ${after.step}, process ${after.pid}, random numbers and every picture are what they were`,
  );
  const on = await env("rl-env", "step", String(moreSteps));
  say(`  and it goes on: step ${on.step}`);
}

function printTable() {
  say();
  const width = Math.max(...rows.map(({ operation }) => operation.length));
  say(`${"operation".padEnd(width)}  milliseconds  memory`);
  say(`${"-".repeat(width)}  ------------  ------------------------------`);
  for (const { operation, ms, memory } of rows)
    say(`${operation.padEnd(width)}  ${Math.round(ms).toString().padStart(12)}  ${memory}`);
}

async function demonstrate() {
  const removed = await removeOld();
  if (removed > 0) say(`removed ${removed} sandboxes of an earlier run`);
  const id = await stepSource();
  const policies = await env("rl-env", "policies");
  await fork(policies);
  const best = await diverge(policies);
  await commitBest(best);
  await pauseAndResume(id);
  await removeOld({ except: "rl-env" });
  say("\nThe clones are removed, the environment runs on in rl-env.");
  printTable();
}

demonstrate().catch((error) => {
  process.stderr.write(`demo: ${error.message}\n`);
  process.exitCode = 1;
});
