import { DomainError } from "../lib/errors.js";

export function dumpError(id: string, log: string, cause: unknown): DomainError {
  return new DomainError("failed_precondition", `cannot dump sandbox ${id}: ${lastErrors(log, cause)}`, {
    cause,
  });
}

export function restoreError(id: string, log: string, cause: unknown): DomainError {
  return new DomainError("failed_precondition", `cannot restore sandbox ${id}: ${lastErrors(log, cause)}`, {
    cause,
  });
}

function lastErrors(log: string, cause: unknown): string {
  const lines = log.split("\n").filter((line) => line.includes("Error (") && !line.includes("RLIMIT_NOFILE"));
  return lines.length === 0 ? String(cause) : lines.slice(-3).join("; ");
}
