/** What the installed CRIU and runc are, and whether CRIU works on this kernel. */
import { DomainError } from "../lib/errors.js";
import { runProgram } from "../lib/run-program.js";

const answerMs = 20_000;

/** `4.2.1` of `Version: 4.2.1`; CRIU prints further lines for builds out of its repository. */
export function parseCriuVersion(output: string): string | undefined {
  return /^Version:\s*(\d+(?:\.\d+)+)/m.exec(output)?.[1];
}

/** `1.3.6` of `runc version 1.3.6+ds1`. */
export function parseRuncVersion(output: string): string | undefined {
  return /^runc version v?(\d+(?:\.\d+)+)/m.exec(output)?.[1];
}

/** `2.1.9` of `containerd github.com/containerd/containerd/v2 2.1.9+unknown`. */
export function parseContainerdVersion(output: string): string | undefined {
  return /^containerd \S+ v?(\d+(?:\.\d+)+)/m.exec(output)?.[1];
}

/** Fails with `failed_precondition` if the program does not run or does not say. */
export function readCriuVersion(path: string, signal?: AbortSignal): Promise<string> {
  return readVersion({ path, parse: parseCriuVersion }, signal);
}

export function readRuncVersion(path: string, signal?: AbortSignal): Promise<string> {
  return readVersion({ path, parse: parseRuncVersion }, signal);
}

export function readContainerdVersion(path: string, signal?: AbortSignal): Promise<string> {
  return readVersion({ path, parse: parseContainerdVersion }, signal);
}

interface VersionQuestion {
  readonly path: string;
  readonly parse: (output: string) => string | undefined;
}

async function readVersion(
  { path, parse }: VersionQuestion,
  signal: AbortSignal | undefined,
): Promise<string> {
  const result = await runProgram(path, ["--version"], { timeoutMs: answerMs }, signal);
  const version = parse(result.stdout);
  if (version !== undefined) return version;
  throw new DomainError(
    "failed_precondition",
    result.isMissing
      ? `there is no program ${path}`
      : `${path} does not tell its version: ${result.complaint || "it printed something else"}`,
    {
      hint: "run scripts/install-runtime",
    },
  );
}

export interface CriuCheck {
  readonly passed: boolean;
  /** What CRIU finds wrong, or merely missing, in its words. */
  readonly remarks: readonly string[];
}

/** Whether this CRIU, on this kernel, can hold the packets of a network namespace back by nftables. */
export async function locksNetwork(path: string, signal?: AbortSignal): Promise<boolean> {
  const feature = ["check", "--feature", "network_lock_nftables"];
  return (await runProgram(path, feature, { timeoutMs: answerMs }, signal)).exitCode === 0;
}

/** Reads the output of `criu check`, whose exit code says whether it passed. */
export function parseCriuCheck(output: string, exitCode: number | undefined): CriuCheck {
  const remarks = output
    .split("\n")
    .map((line) => /(?:Error|Warn)\s+\([^)]*\):\s*(.*)$/.exec(line)?.[1]?.trim() ?? "")
    .filter((remark) => remark !== "" && !/RLIMIT_NOFILE for self|kdat cache on non-tempfs/.test(remark));
  return { passed: exitCode === 0, remarks };
}

/** Runs `criu check`, which probes the kernel for what every dump and restore needs. */
export async function checkCriu(path: string, signal?: AbortSignal): Promise<CriuCheck> {
  const outcome = await runProgram(path, ["check"], { timeoutMs: answerMs }, signal);
  const { stdout, stderr, exitCode, complaint } = outcome;
  const check = parseCriuCheck(`${stdout}\n${stderr}`, exitCode);
  return check.passed || check.remarks.length > 0 ? check : { ...check, remarks: [complaint] };
}
