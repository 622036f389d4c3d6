/** Failures in the words of E2B's clients: Connect's codes for the services, statuses for the plain routes. */
import { Code, ConnectError } from "@connectrpc/connect";
import { type GuestErrorName, guestErrorOf } from "../guest-client/errors.js";
import { DomainError, type ErrorCode, toDomainError } from "../lib/errors.js";
import { httpStatusOf } from "../lib/http-status.js";

const codeOf = {
  invalid_argument: Code.InvalidArgument,
  not_found: Code.NotFound,
  already_exists: Code.AlreadyExists,
  failed_precondition: Code.FailedPrecondition,
  // Clients take Unavailable for a sandbox that is gone, and ResourceExhausted for a limit of requests.
  resource_exhausted: Code.ResourceExhausted,
  unavailable: Code.Unavailable,
  deadline_exceeded: Code.DeadlineExceeded,
  cancelled: Code.Canceled,
  unauthenticated: Code.Unauthenticated,
  permission_denied: Code.PermissionDenied,
  internal: Code.Internal,
} as const satisfies Record<ErrorCode, Code>;

/** Where a client tells more apart than ErrorCode does. */
const guestCodes: Partial<Record<GuestErrorName, Code>> = {
  no_such_user: Code.Unauthenticated,
  exec_failed: Code.InvalidArgument,
  bad_cwd: Code.InvalidArgument,
  not_directory: Code.InvalidArgument,
  is_directory: Code.InvalidArgument,
  not_regular: Code.InvalidArgument,
  loop: Code.InvalidArgument,
  permission_denied: Code.PermissionDenied,
  read_only: Code.PermissionDenied,
  no_such_process: Code.NotFound,
  closed: Code.Internal,
  no_space: Code.Internal,
  no_memory: Code.Internal,
};

const guestStatuses: Partial<Record<GuestErrorName, number>> = {
  no_such_user: 401,
  not_directory: 400,
  is_directory: 400,
  not_regular: 400,
  loop: 400,
  permission_denied: 403,
  read_only: 403,
  no_space: 507,
};

/** Of a call; ConnectErrors stay what they are. */
export function toConnectError(thrown: unknown): ConnectError {
  if (thrown instanceof ConnectError) return thrown;
  const error = toDomainError(thrown, "the call failed");
  const guest = guestErrorOf(error)?.code;
  const code = (guest === undefined ? undefined : guestCodes[guest]) ?? codeOf[error.code];
  return new ConnectError(messageOf(error), code, undefined, undefined, error);
}

/** The body of a plain route's answer. */
export function failureBody(thrown: unknown): { readonly code: number; readonly message: string } {
  const error = toDomainError(thrown, "the request failed");
  const guest = guestErrorOf(error)?.code;
  const code = (guest === undefined ? undefined : guestStatuses[guest]) ?? httpStatusOf[error.code];
  return { code, message: messageOf(error) };
}

function messageOf(error: DomainError): string {
  if (error.code === "internal" && guestErrorOf(error) === undefined) return "internal error";
  return error.hint === undefined ? error.message : `${error.message} (${error.hint})`;
}

export const invalid = (message: string): DomainError => new DomainError("invalid_argument", message);
