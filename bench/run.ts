/** Running commands whose time is taken: no shell, no pipes that a daemon left behind could hold open. */
import { spawn } from "node:child_process";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface RunOptions {
  readonly env?: NodeJS.ProcessEnv;
}

const timeoutMs = 180_000;

const { PATH = "", RAMET_PREFIX: prefix = "/opt/ramet" } = process.env;

/** Peers and the floor ask CRIU itself for its version, as they do without us. */
export const peerEnv: NodeJS.ProcessEnv = {
  ...process.env,
  PATH: PATH.split(":")
    .filter((directory) => directory !== join(prefix, "front"))
    .join(":"),
};

/** Ends with the command's own end. Throws with the end of what it wrote to standard error. */
export async function run(
  command: string,
  args: readonly string[],
  { env = peerEnv }: RunOptions = {},
): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "ramet-bench-"));
  const files = [join(directory, "stdout"), join(directory, "stderr")] as const;
  const [out, err] = [openSync(files[0], "w"), openSync(files[1], "w")];
  try {
    const code = await exitOf(command, args, env, [out, err]);
    if (code === 0) return readFileSync(files[0], "utf8");
    const said = readFileSync(files[1], "utf8").trim().split("\n").slice(-40).join("\n");
    throw new Error(`${command} ${args.join(" ")} ended with ${code}: ${said}`);
  } finally {
    closeSync(out);
    closeSync(err);
    rmSync(directory, { recursive: true });
  }
}

function exitOf(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  [out, err]: readonly [number, number],
): Promise<number | NodeJS.Signals> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: ["ignore", out, err], timeout: timeoutMs });
    child.once("error", reject);
    child.once("exit", (code, signal) => resolve(code ?? signal ?? "SIGKILL"));
  });
}

/** Repeats a command until it succeeds, for 60 seconds at most. */
export async function runUntil(attempt: () => Promise<unknown>): Promise<void> {
  const deadline = performance.now() + 60_000;
  for (;;) {
    try {
      await attempt();
      return;
    } catch (thrown) {
      if (performance.now() > deadline) throw thrown;
      await new Promise((wake) => setTimeout(wake, 100));
    }
  }
}
