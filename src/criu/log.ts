/** CRIU's dump.log and restore.log as errors that a person can act on. Pure. */
import { DomainError, type ErrorCode, isDomainError } from "../lib/errors.js";
import { type KnownCause, knownCauses, memoryHint } from "./log-causes.js";

/** Of a log that is read: what runs in a sandbox can make it as long as it likes, and the cause is near its end. */
export const criuLogBytesMax = 1024 * 1024;

/** Logged by every run that may not raise its own limit, and harmless. */
const harmless = /RLIMIT_NOFILE for self/;

/** Lines that only say that something before them failed. */
const consequence =
  /Dumping FAILED|Restoring FAILED|Dump files \(pid: \d+\) failed|Unable to open fd=\d+ id=/;

// `(00.047985)  28495: Error (criu/files-reg.c:1031): text`; the parasite's lines have `pie: PID: ` in front.
const errorLine = /^(?:\([\d.]+\))?\s*(?:pie: )?(?:\d+: )?Error \([^)]*\): (.*)$/;

/** The texts of the errors in a log, oldest first, without the harmless ones; made safe to print. */
export function criuErrors(log: string): string[] {
  return log
    .split("\n")
    .map((line) => errorLine.exec(line)?.[1])
    .filter((text) => text !== undefined)
    .filter((text) => !harmless.test(text))
    .map(printable);
}

/** Explains a failed dump of a sandbox by its dump.log; the sandbox runs on. */
export function dumpError(id: string, log: string, cause: unknown): DomainError {
  return explain(`cannot dump sandbox ${id}`, "failed_precondition", { log, cause });
}

/** Explains a failed restore by its restore.log; the checkpoint stays as it was. */
export function restoreError(id: string, log: string, cause: unknown): DomainError {
  return explain(`cannot restore sandbox ${id}`, "internal", { log, cause });
}

/** Whether a restore failed for want of memory, which the sandbox's own limit may have kept from it. */
export function isWantOfMemory(thrown: unknown): boolean {
  return isDomainError(thrown, "resource_exhausted") && thrown.hint === memoryHint;
}

interface Failure {
  readonly log: string;
  /** What runc and containerd said, which is rarely more than that CRIU failed. */
  readonly cause: unknown;
}

/** It was not CRIU that failed. */
const cutOff: ReadonlySet<ErrorCode> = new Set(["cancelled", "deadline_exceeded", "unavailable"]);

function explain(what: string, otherwise: ErrorCode, { log, cause }: Failure): DomainError {
  const errors = criuErrors(log);
  for (const text of errors) {
    const known = knownCauses.find(({ line }) => line.test(text));
    if (known !== undefined) return knownError(what, { known, text, cause });
  }
  if (isDomainError(cause) && cutOff.has(cause.code)) {
    const options = cause.hint === undefined ? { cause } : { cause, hint: cause.hint };
    return new DomainError(cause.code, `${what}: ${cause.message}`, options);
  }
  const causes = errors.filter((text) => !consequence.test(text));
  const said = (causes.length > 0 ? causes : errors).slice(-3).join("; ");
  if (said === "") return new DomainError(otherwise, `${what}: ${messageOf(cause)}`, { cause });
  return new DomainError(otherwise, `${what}: CRIU: ${said}`, { cause });
}

function knownError(
  what: string,
  { known, text, cause }: { readonly known: KnownCause; readonly text: string; readonly cause: unknown },
): DomainError {
  const groups = known.line.exec(text) ?? [];
  const says = known.says.replace(/\$(\d)/g, (_, group: string) => groups[Number(group)] ?? "");
  return new DomainError(known.code, `${what}: ${says}`, { cause, hint: known.hint });
}

function messageOf(thrown: unknown): string {
  return printable(thrown instanceof Error ? thrown.message : String(thrown));
}

/** The log quotes names that the sandbox chose. */
function printable(text: string): string {
  return text
    .replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .trim()
    .slice(0, 300);
}
