/** How the doctor looks at the machine: commands that only look or clean up after themselves, and small files. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { AgentConfig } from "../config/schema.js";
import { type ProgramOutcome, runProgram } from "../lib/run-program.js";

/** The PATH that the agent gives to the tools it and its hooks run. */
export const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export type DoctorConfig = Pick<
  AgentConfig,
  "dataDir" | "runDir" | "prefix" | "socket" | "containerd" | "memory"
>;

export interface Host {
  readonly config: DoctorConfig;
  readonly signal: AbortSignal;
  run(program: string, args: readonly string[]): Promise<ProgramOutcome>;
  /** Undefined if it cannot be read. */
  read(path: string): Promise<string | undefined>;
  /** Path of a program of the prefix. */
  program(name: string): string;
}

const commandMs = 20_000;

export function openHost(config: DoctorConfig, signal: AbortSignal): Host {
  return {
    config,
    signal,
    run: (program, args) =>
      runProgram(program, args, { timeoutMs: commandMs, env: { PATH: toolPath, LC_ALL: "C" } }, signal),
    read: (path) => readFile(path, "utf8").catch(() => undefined),
    program: (name) => join(config.prefix, "bin", name),
  };
}
