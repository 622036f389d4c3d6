/** Failures of guest operations as DomainErrors: what the guest reported, and what it did wrong itself. */
import { DomainError, type ErrorCode } from "../lib/errors.js";

/** Error codes of the protocol, in the order of their numbers, which start at 1. */
const names = [
  "protocol",
  "version",
  "limit",
  "invalid",
  "unsupported",
  "not_found",
  "permission_denied",
  "exists",
  "not_directory",
  "is_directory",
  "not_empty",
  "no_space",
  "read_only",
  "name_too_long",
  "loop",
  "no_such_user",
  "no_such_process",
  "exec_failed",
  "too_many",
  "busy",
  "io",
  "refused",
  "timeout",
  "not_regular",
  "closed",
  "shutting_down",
  "no_memory",
  "no_data",
  "cross_device",
  "bad_cwd",
] as const;

export type GuestErrorName = (typeof names)[number];

const domainCode = {
  protocol: "internal",
  version: "failed_precondition",
  limit: "invalid_argument",
  invalid: "invalid_argument",
  unsupported: "failed_precondition",
  not_found: "not_found",
  permission_denied: "failed_precondition",
  exists: "already_exists",
  not_directory: "failed_precondition",
  is_directory: "failed_precondition",
  not_empty: "failed_precondition",
  no_space: "resource_exhausted",
  read_only: "failed_precondition",
  name_too_long: "invalid_argument",
  loop: "failed_precondition",
  no_such_user: "invalid_argument",
  no_such_process: "not_found",
  exec_failed: "failed_precondition",
  too_many: "resource_exhausted",
  busy: "failed_precondition",
  io: "internal",
  refused: "unavailable",
  timeout: "deadline_exceeded",
  not_regular: "failed_precondition",
  closed: "failed_precondition",
  shutting_down: "unavailable",
  no_memory: "resource_exhausted",
  no_data: "not_found",
  cross_device: "failed_precondition",
  bad_cwd: "failed_precondition",
} as const satisfies Record<GuestErrorName, ErrorCode>;

const hints: Partial<Record<GuestErrorName, string>> = {
  version: "the sandbox runs a guest of another release; start it anew from its image",
  permission_denied: "run the operation as another user of the sandbox, such as root",
  no_such_user: "name a user of the sandbox's /etc/passwd, or a uid that the sandbox has",
  no_space: "free space in the sandbox, or on the node's data directory",
  too_many: "end some of the sandbox's processes, or raise its pids limit",
  no_memory: "raise the sandbox's memory limit",
  not_regular: "FIFOs, devices and sockets cannot be read or written as files",
  closed: "start the process with stdin to write to it",
};

/** The cause of a DomainError that the guest reported: its own code, and errno or 0. */
export class GuestError extends Error {
  override readonly name = "GuestError";
  readonly code: GuestErrorName;
  readonly errno: number;

  constructor(code: GuestErrorName, errno: number, message: string) {
    super(message);
    this.code = code;
    this.errno = errno;
  }
}

/** What the guest itself reported, for callers that tell more cases apart than ErrorCode does. */
export function guestErrorOf(thrown: unknown): GuestError | undefined {
  return thrown instanceof DomainError && thrown.cause instanceof GuestError ? thrown.cause : undefined;
}

const enoent = 2;
/** From the kernel, for one argument of 128 KiB or more, or too many together. */
const e2big = 7;

function codeFor(name: GuestErrorName, errno: number): ErrorCode {
  if (name === "exec_failed" && errno === e2big) return "invalid_argument";
  if ((name === "exec_failed" || name === "bad_cwd") && errno === enoent) return "not_found";
  return domainCode[name];
}

/** The contents of an ERROR frame as a DomainError. `what` says what was being done. */
export function reportedError(what: string, code: number, errno: number, message: string): DomainError {
  const name = names[code - 1];
  if (name === undefined) return misbehaved(`unknown error code ${code}`);
  const hint = hints[name];
  const said = printable(message) || name.replaceAll("_", " ");
  return new DomainError(codeFor(name, errno), `${what}: ${said}`, {
    cause: new GuestError(name, errno, message),
    ...(hint === undefined ? {} : { hint }),
  });
}

/** An answer that breaks the protocol: the sandbox may have taken the guest over. */
export function misbehaved(detail: string): DomainError {
  return new DomainError("internal", `the sandbox's guest broke its protocol: ${detail}`, {
    hint: "the guest in this sandbox cannot be trusted any more; delete the sandbox",
  });
}

/** A connection that ended before its operation did. */
export function disconnected(what: string, cause?: unknown): DomainError {
  return new DomainError("unavailable", `${what}: the sandbox's guest closed the connection`, {
    cause,
    hint: "the sandbox was being checkpointed, paused or stopped, or its guest has died; look at its state",
  });
}

/** Text from the sandbox, made safe for terminals and logs. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]/gu, "?").slice(0, 512);
}
