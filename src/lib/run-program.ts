/** Runs a program to its end, where its exit code is an answer like any other. */
import { execa } from "execa";

export interface RunOptions {
  /** After this the program gets SIGTERM, and SIGKILL 5 s later. */
  readonly timeoutMs: number;
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface ProgramOutcome {
  /** Undefined if it could not be started, was killed, or took too long. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
  /** Why it failed, in one line; empty if it did not. */
  readonly complaint: string;
  /** There is no such program. */
  readonly isMissing: boolean;
}

/** Rejects only when aborted, and then once the program has ended. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: RunOptions,
  signal?: AbortSignal,
): Promise<ProgramOutcome> {
  signal?.throwIfAborted();
  const child = execa(program, args, {
    reject: false,
    timeout: options.timeoutMs,
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  // Not execa's cancelSignal: a child that could not be started is killed as pid 0 by Node 20, which is our own group.
  const end = () => {
    if (child.pid !== undefined) child.kill();
  };
  signal?.addEventListener("abort", end, { once: true });
  try {
    const { exitCode, stdout, stderr, shortMessage, code } = await child;
    signal?.throwIfAborted();
    const complaint =
      exitCode === 0 ? "" : lastLine(stderr) || lastLine(shortMessage ?? "") || "it said nothing";
    return { exitCode, stdout, stderr, complaint, isMissing: code === "ENOENT" };
  } finally {
    signal?.removeEventListener("abort", end);
  }
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(0, 200) ?? "";
}
