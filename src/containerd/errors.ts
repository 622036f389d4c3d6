/** containerd's gRPC statuses as domain errors. The one place that knows both vocabularies. */
import { status } from "@grpc/grpc-js";
import { DomainError, type ErrorCode, isDomainError, toDomainError } from "../lib/errors.js";
import { connectionReason } from "../lib/grpc-errors.js";

type FailureStatus = Exclude<keyof typeof status, "OK">;

/** Statuses follow containerd's errdefs package; what it cannot classify arrives as UNKNOWN. */
const errorCodeOf = {
  CANCELLED: "cancelled",
  UNKNOWN: "internal",
  INVALID_ARGUMENT: "invalid_argument",
  DEADLINE_EXCEEDED: "deadline_exceeded",
  NOT_FOUND: "not_found",
  ALREADY_EXISTS: "already_exists",
  PERMISSION_DENIED: "failed_precondition",
  RESOURCE_EXHAUSTED: "resource_exhausted",
  FAILED_PRECONDITION: "failed_precondition",
  ABORTED: "failed_precondition",
  OUT_OF_RANGE: "invalid_argument",
  UNIMPLEMENTED: "failed_precondition",
  INTERNAL: "internal",
  UNAVAILABLE: "unavailable",
  DATA_LOSS: "internal",
  UNAUTHENTICATED: "failed_precondition",
} as const satisfies Record<FailureStatus, ErrorCode>;

interface Report {
  readonly code: number;
  readonly details: string;
}

function isReport(error: unknown): error is Report {
  return (
    error instanceof Error &&
    "code" in error &&
    typeof error.code === "number" &&
    "details" in error &&
    typeof error.details === "string"
  );
}

/** The runc shim's refusals in the wrong state; containerd passes them on unclassified. */
const wrongState = /cannot [\w ]+ an? (created|running|paused|stopped|deleted) (process|container|state)/;

function codeOf({ code, details }: Report): ErrorCode {
  if (details.includes("no space left on device") || details.includes("disk quota exceeded"))
    return "resource_exhausted";
  if (code === status.UNKNOWN && wrongState.test(details)) return "failed_precondition";
  const name = status[code] as FailureStatus | undefined;
  return name === undefined ? "internal" : errorCodeOf[name];
}

function hintOf(code: ErrorCode, details: string): { hint: string } | object {
  if (details.includes("no space left on device")) return { hint: "free disk space under containerd's root" };
  if (code === "unavailable") return { hint: "is containerd running? `scripts/runtime status` tells" };
  return {};
}

/** Turns what a gRPC call to containerd reported into a DomainError that carries containerd's own words. */
export function containerdError(error: unknown, method: string): DomainError {
  if (!isReport(error)) return toDomainError(error, method);
  const code = codeOf(error);
  return new DomainError(code, error.details === "" ? method : connectionReason(error.details), {
    cause: error,
    ...hintOf(code, error.details),
  });
}

/** Puts what was being done in front of what containerd said: `cannot <what>: <its words>`. */
export function cannot(what: string, thrown: unknown): DomainError {
  const error = toDomainError(thrown);
  const options = error.hint === undefined ? { cause: error } : { cause: error, hint: error.hint };
  return new DomainError(error.code, `cannot ${what}: ${error.message}`, options);
}

/** Runs a call and says, when it fails, what it was for. */
export async function attempt<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (err) {
    throw cannot(what, err);
  }
}

/** Like `attempt` for removals: what is not there any more counts as removed. */
export async function attemptRemoval(what: string, call: () => Promise<unknown>): Promise<void> {
  try {
    await call();
  } catch (err) {
    if (!isDomainError(err, "not_found")) throw cannot(what, err);
  }
}

/** What a reply leaves out although containerd always fills it in. */
export function present<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new DomainError("internal", `containerd answered without ${what}`);
  return value;
}

/** Cleans up after the work however it ends. A failed clean-up does not hide the work's own error. */
export async function withCleanUp<T>(
  work: () => Promise<T>,
  cleanUp: (failed: boolean) => Promise<unknown>,
): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (err) {
    await cleanUp(true).catch(() => {});
    throw err;
  }
  await cleanUp(false);
  return result;
}
