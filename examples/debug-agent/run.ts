/** One run of a program, and what went wrong in it. */

export interface Run {
  readonly code: string;
  /** null: it was still running when its time was up. */
  readonly exitCode: number | null;
  /** What it wrote, the newest part where it was too much. */
  readonly stdout: string;
  readonly stderr: string;
  /** The fork that it ran in, which is gone. */
  readonly sandboxId: string;
  /** From asking for the fork to having it. */
  readonly forkMs: number;
  readonly runMs: number;
}

export interface Failure {
  /** The name of Python's exception, or one of ours: "timeout", "killed", "exit". */
  readonly error: string;
  readonly message: string;
}

/** What made a run fail; undefined where nothing did. */
export function failureOf({ exitCode, stderr }: Pick<Run, "exitCode" | "stderr">): Failure | undefined {
  if (exitCode === 0) return undefined;
  if (exitCode === null) return { error: "timeout", message: "it did not end in its time" };
  if (exitCode > 128) return { error: "killed", message: `it was ended by signal ${exitCode - 128}` };
  // A traceback ends with the exception's name and its message, which may go on over more lines.
  const named = /^((?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Iteration|ExceptionGroup))(?:: (.*))?$/gm;
  const [, error, message = ""] = [...stderr.matchAll(named)].at(-1) ?? [];
  return error === undefined
    ? { error: "exit", message: `it ended with exit code ${exitCode}` }
    : { error, message };
}
