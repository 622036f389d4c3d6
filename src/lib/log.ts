/** Structured logs on standard error, with secrets blotted out. */
import { type DestinationStream, destination, type LoggerOptions, pino, stdSerializers } from "pino";
import { DomainError } from "./errors.js";

export type { Logger } from "pino";

export const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;
export type LogLevel = (typeof logLevels)[number];

/** Fields of these names never reach the log, at the top or one or two levels down. */
const secretFields = [
  "accessToken",
  "apiKey",
  "authorization",
  "cookie",
  "env",
  "password",
  "secret",
  "token",
];

export interface LogOptions {
  readonly level: LogLevel;
  /** Default: standard error. */
  readonly to?: DestinationStream;
}

export function createLogger({ level, to = destination({ dest: 2, sync: true }) }: LogOptions) {
  const options: LoggerOptions = {
    level,
    base: null,
    timestamp: () => `,"time":"${new Date().toISOString()}"`,
    formatters: { level: (label) => ({ level: label }) },
    redact: { paths: secretFields.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]), censor: "[hidden]" },
    serializers: { err: serializeError },
  };
  return pino(options, to);
}

function serializeError(err: unknown): unknown {
  if (!(err instanceof Error)) return err;
  const plain = stdSerializers.err(err);
  if (!(err instanceof DomainError)) return plain;
  // The code says enough of what is expected; a stack belongs to what is not.
  const { code, hint } = err;
  return { code, hint, message: plain.message, ...(code === "internal" ? { stack: plain.stack } : {}) };
}
