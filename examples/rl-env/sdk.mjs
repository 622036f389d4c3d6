// The environment of env.py through the npm package `e2b`: stepped 1000 times, kept as the snapshot
// rl-env-checkpoint-step1000, forked, and each fork gone on with a policy of its own. Later, or in another program,
// the snapshot gives the same environment at the same step.
import { readFile } from "node:fs/promises";
import { Sandbox } from "e2b";

if (!process.env.E2B_API_URL && !process.env.E2B_DOMAIN) {
  console.error("rl-env: E2B_API_URL is not set. For what scripts/quickstart leaves running:");
  console.error(
    "  export E2B_API_URL=http://127.0.0.1:7070 E2B_SANDBOX_URL=http://127.0.0.1:7070 E2B_API_KEY=e2b_0",
  );
  process.exit(2);
}

const name = "rl-env-checkpoint-step1000";
const startSteps = 1000;
const moreSteps = 250;
const policies = ["balanced", "calm", "centered", "contrary"];
const timeoutMs = 600_000;
const all = [];

/** Runs env.py in a sandbox: each of its commands prints one line of JSON. */
async function env(sandbox, words) {
  return JSON.parse((await sandbox.commands.run(`python3 env.py ${words}`)).stdout);
}

const digestOf = async (sandbox) => (await env(sandbox, `digest ${startSteps}`)).digest;

/** A claim that the reader is shown; the example ends where one does not hold. */
function check(holds, claim) {
  if (!holds) throw new Error(`this does not hold: ${claim}`);
  console.log(`  ✓ ${claim}`);
}

/** The environment in a sandbox, after its first steps. */
async function stepSource() {
  const source = await Sandbox.create("python", { timeoutMs });
  all.push(source);
  await source.files.write("env.py", await readFile(new URL("env.py", import.meta.url), "utf8"));
  await source.commands.run("python3 env.py serve", { background: true, timeoutMs: 0 });
  const state = await env(source, `step ${startSteps}`);
  const pictures = `${state.replaySteps} pictures in memory, ${(state.replayBytes / 2 ** 20).toFixed(0)} MiB`;
  console.log(`step ${state.step} in ${source.sandboxId}: reward ${state.reward}, ${pictures}`);
  return source;
}

/** One fork for each policy. */
async function forkAndDiverge(source, digest) {
  const forks = await source.fork({ count: policies.length, timeoutMs });
  all.push(...forks.filter((fork) => fork instanceof Sandbox));
  const failed = forks.find((fork) => fork instanceof Error);
  if (failed) throw failed;
  console.log(`forked ${forks.length} ways:`);
  const results = await Promise.all(
    forks.map((fork, index) => env(fork, `step ${moreSteps} --policy ${policies[index]}`)),
  );
  for (const { policy, step, gained, falls } of results)
    console.log(`  ${policy.padEnd(10)} step ${step}  gained ${gained.toFixed(3)}, ${falls} falls`);
  const digests = await Promise.all(forks.map(digestOf));
  check(
    digests.every((each) => each === digest),
    `the first ${startSteps} steps are the same in all of them`,
  );
  check(new Set(results.map(({ gained }) => gained)).size === forks.length, "what came after differs");
  return results.reduce((a, b) => (a.gained >= b.gained ? a : b));
}

/** Whoever knows the name has the environment as it was, in memory too. */
async function goOnFromSnapshot(snapshotId, digest, best) {
  const later = await Sandbox.create(snapshotId, { timeoutMs });
  all.push(later);
  const { step } = await env(later, "state");
  check(step === startSteps, `${later.sandboxId}, made from the snapshot, is at step ${step}`);
  check((await digestOf(later)) === digest, "its memory is that of the source, every picture");
  const again = await env(later, `step ${moreSteps} --policy ${best.policy}`);
  check(again.random === best.random, `${best.policy} from there gains ${again.gained}, as the fork did`);
}

try {
  const source = await stepSource();
  const digest = await digestOf(source);
  // That of an earlier run. Where there is none, the answer is false.
  await Sandbox.deleteSnapshot(name);
  const { snapshotId } = await source.createSnapshot({ name });
  console.log(`kept as ${snapshotId}`);
  const best = await forkAndDiverge(source, digest);
  console.log(`best: ${best.policy}`);
  await goOnFromSnapshot(snapshotId, digest, best);
} finally {
  await Promise.all(all.map((sandbox) => sandbox.kill()));
}
console.log(`the sandboxes are removed, the snapshot ${name} stays`);
