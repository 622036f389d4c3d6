/** Exit codes of `ramet`; docs/cli.md has the same table. */
import type { ErrorCode } from "../lib/errors.js";

export const exitCodeOf = {
  internal: 1,
  cancelled: 1,
  invalid_argument: 2,
  not_found: 3,
  failed_precondition: 4,
  already_exists: 5,
  resource_exhausted: 6,
  unavailable: 7,
  unauthenticated: 8,
  permission_denied: 9,
  deadline_exceeded: 124,
} as const satisfies Record<ErrorCode, number>;

/** A wrong option or a missing argument. */
export const usageExitCode = 2;

/** What shells report for a process that a signal ended. */
export function exitCodeOfSignal(signal: number): number {
  return 128 + signal;
}
