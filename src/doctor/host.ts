/** How the doctor looks at the machine: commands that only look or clean up after themselves, and small files. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import type { AgentConfig } from "../config/schema.js";

/** The PATH that the agent gives to the tools it and its hooks run. */
export const toolPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export type DoctorConfig = Pick<AgentConfig, "dataDir" | "runDir" | "prefix" | "socket" | "containerd">;

export interface Outcome {
  /** Undefined if it could not be started, was killed, or took too long. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** One line that says why it failed. */
  readonly complaint: string;
}

export interface Host {
  readonly config: DoctorConfig;
  readonly signal: AbortSignal;
  run(program: string, args: readonly string[]): Promise<Outcome>;
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
    async run(program, args) {
      const { exitCode, stdout, stderr, shortMessage } = await execa(program, args, {
        reject: false,
        timeout: commandMs,
        cancelSignal: signal,
        env: { PATH: toolPath, LC_ALL: "C" },
      });
      signal.throwIfAborted();
      const complaint = lastLine(stderr) || lastLine(shortMessage ?? "") || "it said nothing";
      return { exitCode, stdout, complaint };
    },
    read: (path) => readFile(path, "utf8").catch(() => undefined),
    program: (name) => join(config.prefix, "bin", name),
  };
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1)?.slice(0, 200) ?? "";
}
