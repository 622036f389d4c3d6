/**
 * Where code runs: a sandbox is prepared once, with the files that belong to a submission, and each run has a fork of
 * it. So a run can break, delete or fill what it likes: the next one finds everything as it was prepared. Code that
 * nobody trusts runs nowhere else.
 */
import { CommandExitError, Sandbox, TimeoutError } from "e2b";
import type { Run } from "./run.js";

export interface Workbench extends AsyncDisposable {
  run(program: { readonly code: string; readonly stdin: string }): Promise<Run>;
}

export interface WorkbenchOptions {
  readonly template: string;
  /** Of the submission, in the sandbox. */
  readonly name: string;
  /** What lies beside it, by name. */
  readonly files: ReadonlyMap<string, Uint8Array<ArrayBuffer>>;
  /** After this time a run is ended. */
  readonly runMs: number;
}

/** A file that a run writes, its output included, is at most so long; in KiB. */
const fileKibMax = 10_240;
const outputBytesMax = 4_000;
/** Whoever forgets a sandbox does not keep it for ever. */
const timeoutMs = 600_000;
const work = "/home/user/work";

/** Finds Ramet by E2B_API_URL and its like, as E2B's package does. */
export async function openWorkbench({ template, name, files, runMs }: WorkbenchOptions): Promise<Workbench> {
  const prepared = await Sandbox.create(template, { timeoutMs, metadata: { example: "debug-agent" } });
  const remove = async () => void (await prepared.kill());
  try {
    await prepared.files.makeDir(work);
    for (const [file, content] of files) await prepared.files.write(`${work}/${file}`, content.buffer);
  } catch (thrown) {
    await remove();
    throw thrown;
  }
  return {
    async run({ code, stdin }) {
      const start = performance.now();
      const [fork] = await prepared.fork({ count: 1, timeoutMs });
      if (!(fork instanceof Sandbox)) throw fork ?? new Error("the fork gave no sandbox");
      const forkMs = performance.now() - start;
      try {
        return {
          code,
          forkMs,
          sandboxId: fork.sandboxId,
          ...(await runIn(fork, { name, code, stdin, runMs })),
        };
      } finally {
        await fork.kill();
      }
    },
    [Symbol.asyncDispose]: remove,
  };
}

interface Program {
  readonly name: string;
  readonly code: string;
  readonly stdin: string;
  readonly runMs: number;
}

type Outcome = Pick<Run, "exitCode" | "stdout" | "stderr" | "runMs">;

async function runIn(sandbox: Sandbox, { name, code, stdin, runMs }: Program): Promise<Outcome> {
  await sandbox.files.write(`${work}/${name}`, code);
  await sandbox.files.write("/tmp/stdin", stdin);
  // Output goes to files: however much it is, what we read of it is little.
  const command = `ulimit -f ${fileKibMax}; exec python3 ${quoted(name)} </tmp/stdin >/tmp/stdout 2>/tmp/stderr`;
  const start = performance.now();
  const exitCode = await exitCodeOf(sandbox.commands.run(command, { cwd: work, timeoutMs: runMs }));
  const elapsed = performance.now() - start;
  const newest = async (file: string) =>
    (await sandbox.commands.run(`tail -c ${outputBytesMax} ${file}`)).stdout;
  return {
    exitCode,
    runMs: elapsed,
    stdout: await newest("/tmp/stdout"),
    stderr: await newest("/tmp/stderr"),
  };
}

async function exitCodeOf(running: Promise<unknown>): Promise<number | null> {
  try {
    await running;
    return 0;
  } catch (thrown) {
    if (thrown instanceof CommandExitError) return thrown.exitCode;
    // The process and all of its group were ended with it.
    if (thrown instanceof TimeoutError) return null;
    throw thrown;
  }
}

const quoted = (word: string) => `'${word.replaceAll("'", `'\\''`)}'`;
