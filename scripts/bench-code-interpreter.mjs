/**
 * Times of runCode against a registry that has the template code-interpreter-v1 (docs/code-interpreter.md).
 * Usage: RAMET_URL=http://127.0.0.1:7070 node scripts/bench-code-interpreter.mjs [ROUNDS]
 *
 * "1+1": through E2B's client, and of ipykernel alone, asked by jupyter_client in the same sandbox; "create" and "first":
 * the first run after a create, each in a sandbox of its own, a second apart, so that a warm slot is there again where
 * slots are kept (`ramet template slots code-interpreter-v1 --min 5`). Milliseconds: the median, the smallest, the largest.
 */
import { setTimeout } from "node:timers/promises";
import { Sandbox } from "@e2b/code-interpreter";

const url = process.env.RAMET_URL ?? "http://127.0.0.1:7070";
const options = { apiKey: process.env.E2B_API_KEY ?? "e2b_00", apiUrl: url, sandboxUrl: url };
const rounds = Number(process.argv[2] ?? 200);

const alone = `
import statistics, time
from jupyter_client.manager import start_new_kernel
manager, client = start_new_kernel()
def once():
    begin = time.perf_counter()
    client.execute_interactive("1+1", output_hook=lambda message: None)
    return 1000 * (time.perf_counter() - begin)
for _ in range(20): once()
times = [once() for _ in range(${rounds})]
manager.shutdown_kernel(now=True)
print(*times)
`;

async function timed(work) {
  const begin = performance.now();
  await work();
  return performance.now() - begin;
}

async function times(count, work) {
  const found = [];
  for (let n = 0; n < count; n++) found.push(await work());
  return found;
}

function row(name, found) {
  const sorted = [...found].sort((a, b) => a - b);
  const at = (share) => sorted[Math.floor(share * (sorted.length - 1))].toFixed(1);
  console.log(`${name.padEnd(28)} ${at(0.5).padStart(7)} ${at(0).padStart(7)} ${at(1).padStart(7)}`);
}

const sandbox = await Sandbox.create(options);
const run = (code, language) => sandbox.runCode(code, { language });
try {
  for (const language of ["python", "javascript", "bash"]) {
    await times(20, () => run("1+1", language));
    row(`1+1, ${language}`, await times(rounds, () => timed(() => run("1+1", language))));
  }
  const { stdout } = await sandbox.commands.run(`python3 -c '${alone}'`, { timeoutMs: 120_000 });
  row("1+1, ipykernel alone", stdout.trim().split(" ").map(Number));
} finally {
  await sandbox.kill();
}
const creates = [];
const firsts = [];
for (let n = -3; n < Math.ceil(rounds / 10); n++) {
  await setTimeout(1_000);
  let made;
  const create = await timed(async () => {
    made = await Sandbox.create(options);
  });
  const first = await timed(() => made.runCode("1+1"));
  await made.kill();
  if (n < 0) continue;
  creates.push(create);
  firsts.push(first);
}
row("create", creates);
row("first after a create", firsts);
