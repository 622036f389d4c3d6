/** gRPC statuses back to domain errors. */
import { type Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { DomainError, type ErrorCode, errorCodes } from "./errors.js";
import { messageBytesMax } from "./grpc.js";
import { codeKey, hintKey } from "./grpc-status.js";

export interface CallFacts {
  /** Who was called, for messages: `the agent at /run/ramet/agent.sock`. */
  readonly callee: string;
  readonly timeoutMs: number;
  /** What the caller may do about a call that took too long. */
  readonly timeoutHint?: string;
}

const codeOfStatus: Readonly<Partial<Record<status, ErrorCode>>> = {
  [status.INVALID_ARGUMENT]: "invalid_argument",
  [status.NOT_FOUND]: "not_found",
  [status.ALREADY_EXISTS]: "already_exists",
  [status.FAILED_PRECONDITION]: "failed_precondition",
  [status.RESOURCE_EXHAUSTED]: "resource_exhausted",
  [status.UNAVAILABLE]: "unavailable",
  [status.DEADLINE_EXCEEDED]: "deadline_exceeded",
  [status.CANCELLED]: "cancelled",
  [status.UNAUTHENTICATED]: "unauthenticated",
  [status.PERMISSION_DENIED]: "permission_denied",
};

/** Prefers what the callee said in its own words; else explains what gRPC ran into. */
export function errorFromStatus(error: unknown, facts: CallFacts): DomainError {
  if (error instanceof DomainError) return error;
  if (!isStatus(error)) return new DomainError("internal", String(error), { cause: error });
  const said = stringOf(error.metadata, codeKey);
  const code = errorCodes.find((candidate) => candidate === said);
  if (code !== undefined) {
    const hint = stringOf(error.metadata, hintKey);
    return new DomainError(code, error.details, { cause: error, ...(hint === undefined ? {} : { hint }) });
  }
  return explain(error, facts);
}

function explain(error: StatusObject, { callee, timeoutMs, timeoutHint }: CallFacts): DomainError {
  // grpc-js has several wordings of this, some without the size that was met.
  const tooLarge = /larger than (?:max \((\d+) vs\.? )?\d+/.exec(error.details);
  if (tooLarge !== null)
    return new DomainError(
      "invalid_argument",
      `a message${tooLarge[1] === undefined ? "" : ` of ${tooLarge[1]} bytes`} is larger than the API takes (${messageBytesMax} bytes)`,
      { cause: error, hint: "write large input to a file in the sandbox, or send it on stdin" },
    );
  const unfit = /cannot encode field [\w.]+\.(\w+) to binary: .*: (\S+)$/.exec(error.details);
  if (unfit !== null)
    return new DomainError("invalid_argument", `${unfit[1]}: ${unfit[2]} is out of range`, { cause: error });
  if (error.code === status.DEADLINE_EXCEEDED)
    return new DomainError("deadline_exceeded", `${callee} did not finish within ${timeoutMs / 1000} s`, {
      cause: error,
      ...(timeoutHint === undefined ? {} : { hint: timeoutHint }),
    });
  if (error.code === status.UNAVAILABLE)
    return new DomainError(
      "unavailable",
      `lost the connection to ${callee}: ${connectionReason(error.details)}`,
      {
        cause: error,
        hint: "see whether it runs, and its log; what was acknowledged is safe",
      },
    );
  if (error.code === status.UNIMPLEMENTED)
    return new DomainError(
      "failed_precondition",
      `${callee} does not know this operation: ${error.details}`,
      { cause: error, hint: "the two are of different versions: upgrade the older one" },
    );
  return new DomainError(codeOfStatus[error.code] ?? "internal", error.details, { cause: error });
}

/** Without what grpc-js wraps around the reason why nobody answers. */
export const connectionReason = (details: string): string =>
  details.replace(/^No connection established\. Last error: (?:Error: )?(.+?)\.? Resolution note:.*$/, "$1");

function isStatus(error: unknown): error is StatusObject {
  return error instanceof Error && "code" in error && "details" in error && "metadata" in error;
}

function stringOf(metadata: Metadata, key: string): string | undefined {
  return metadata.get(key)[0]?.toString();
}
