/** Errors in E2B's shape: its clients decide by the status and by `code`, which is the same number. */
import type { FastifyError } from "fastify";
import { DomainError, toDomainError } from "../lib/errors.js";
import { httpStatusOf } from "../lib/http-status.js";

export interface ErrorBody {
  readonly code: number;
  readonly message: string;
}

export interface ErrorReply {
  readonly body: ErrorBody;
  /** Seconds. Clients of E2B try again by themselves only where they are told when. */
  readonly retryAfter?: number;
}

export function errorReply(thrown: unknown): ErrorReply {
  const refusal = refusedByServer(thrown);
  if (refusal !== undefined) return { body: refusal };
  const { code, message, hint } = toDomainError(thrown);
  const status = httpStatusOf[code];
  return {
    body: { code: status, message: code === "internal" ? "internal error" : withHint(message, hint) },
    ...(status === 429 || status === 503 ? { retryAfter: 1 } : {}),
  };
}

const withHint = (message: string, hint: string | undefined) =>
  hint === undefined ? message : `${message} (${hint})`;

/** What fastify itself refuses: malformed JSON, a body too large, another media type. */
function refusedByServer(thrown: unknown): ErrorBody | undefined {
  if (thrown instanceof DomainError || !(thrown instanceof Error)) return undefined;
  const { statusCode, code, message } = thrown as Partial<FastifyError> & Error;
  if (statusCode === undefined || statusCode < 400 || statusCode > 499) return undefined;
  const isJson = thrown instanceof SyntaxError || code === "FST_ERR_CTP_INVALID_JSON_BODY";
  return { code: statusCode, message: isJson ? "the body is not valid JSON" : message };
}
