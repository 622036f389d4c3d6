/** The closed vocabulary of failures. Every edge (gRPC, exit codes) has a table over exactly these. */
export const errorCodes = [
  "invalid_argument",
  "not_found",
  "already_exists",
  "failed_precondition",
  "resource_exhausted",
  "unavailable",
  "deadline_exceeded",
  "cancelled",
  "unauthenticated",
  "permission_denied",
  "internal",
] as const;

export type ErrorCode = (typeof errorCodes)[number];

export interface DomainErrorOptions extends ErrorOptions {
  /** What the operator should do about it. */
  readonly hint?: string;
}

/** The one error that crosses module borders: what failed, with what, and (hint) what to do. */
export class DomainError extends Error {
  override readonly name = "DomainError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: DomainErrorOptions = {}) {
    super(message, options);
    this.code = code;
    this.hint = options.hint;
  }
}

/** Turns whatever was thrown into a DomainError; an abort becomes `cancelled` or `deadline_exceeded`. */
export function toDomainError(thrown: unknown, what = "the operation failed"): DomainError {
  if (thrown instanceof DomainError) return thrown;
  if (thrown instanceof Error) {
    // What `await using` throws when an undo fails too: the first failure is the one to tell.
    if (thrown.name === "SuppressedError" && "suppressed" in thrown)
      return toDomainError(thrown.suppressed, what);
    if (thrown.name === "AbortError")
      return new DomainError("cancelled", `${what}: cancelled`, { cause: thrown });
    if (thrown.name === "TimeoutError")
      return new DomainError("deadline_exceeded", `${what}: timed out`, { cause: thrown });
    return new DomainError("internal", `${what}: ${thrown.message}`, { cause: thrown });
  }
  return new DomainError("internal", `${what}: ${String(thrown)}`);
}

export function isDomainError(thrown: unknown, code?: ErrorCode): thrown is DomainError {
  return thrown instanceof DomainError && (code === undefined || thrown.code === code);
}
