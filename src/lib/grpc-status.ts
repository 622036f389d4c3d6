/** The one place where domain errors become gRPC statuses; grpc-errors.ts is the way back. */
import { Metadata, type StatusObject, status } from "@grpc/grpc-js";
import { type DomainError, type ErrorCode, toDomainError } from "./errors.js";

/** What the edge needs from a logger; pino's fits. */
export interface ApiLog {
  error(fields: object, message: string): void;
}

/** gRPC status of each domain code. */
export const statusOfCode = {
  invalid_argument: status.INVALID_ARGUMENT,
  not_found: status.NOT_FOUND,
  already_exists: status.ALREADY_EXISTS,
  failed_precondition: status.FAILED_PRECONDITION,
  resource_exhausted: status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  deadline_exceeded: status.DEADLINE_EXCEEDED,
  cancelled: status.CANCELLED,
  unauthenticated: status.UNAUTHENTICATED,
  permission_denied: status.PERMISSION_DENIED,
  internal: status.INTERNAL,
} as const satisfies Record<ErrorCode, status>;

/** Trailing metadata: the domain code, and what to do about it (binary, because it is UTF-8). */
export const codeKey = "ramet-code";
export const hintKey = "ramet-hint-bin";

/** Headers are bounded (64 KiB, percent-encoded); longer texts are cut. */
const messageLengthMax = 4096;
const hintLengthMax = 2048;

/** Turns whatever a handler threw into a status; what nobody foresaw is logged here, once. */
export function toStatus(thrown: unknown, method: string, log: ApiLog): Partial<StatusObject> {
  const error = toDomainError(thrown, method);
  if (error.code === "internal") log.error({ err: error, method }, "call failed");
  return statusOf(error);
}

function statusOf(error: DomainError): Partial<StatusObject> {
  const metadata = new Metadata();
  metadata.set(codeKey, error.code);
  if (error.hint !== undefined) metadata.set(hintKey, Buffer.from(error.hint.slice(0, hintLengthMax)));
  return { code: statusOfCode[error.code], details: headerText(error.message), metadata };
}

/** The round trip through UTF-8 replaces lone surrogates, which percent-encoding refuses. */
function headerText(text: string): string {
  const cut = text.length > messageLengthMax ? `${text.slice(0, messageLengthMax)}…` : text;
  return Buffer.from(cut).toString();
}
