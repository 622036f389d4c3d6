/** What people type after options, as values. All throw `invalid_argument` with an example. */
import { constants } from "node:os";
import { DomainError } from "../lib/errors.js";

const sizeUnits: Readonly<Record<string, number>> = { "": 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };
const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, "": 1000, m: 60_000, h: 3_600_000 };

function invalid(message: string, hint: string): DomainError {
  return new DomainError("invalid_argument", message, { hint });
}

/** `512m`, `1.5GiB`, `65536`: powers of 1,024 whatever the spelling, as docker has it. */
export function parseSize(text: string): bigint {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?$/i.exec(text.trim());
  const unit = sizeUnits[match?.[2]?.toLowerCase() ?? ""];
  if (match === null || unit === undefined)
    throw invalid(`size "${text}" is not understood`, "for example 512m or 2g");
  return BigInt(Math.round(Number(match[1]) * unit));
}

/** `10s`, `500ms`, `2m`; a bare number is seconds. Returns milliseconds. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|)$/.exec(text.trim());
  const unit = durationUnits[match?.[2] ?? ""];
  if (match === null || unit === undefined)
    throw invalid(
      `duration "${text}" is not understood`,
      "for example 500ms, 10s or 2m; a bare number is seconds",
    );
  const ms = Math.round(Number(match[1]) * unit);
  if (ms > durationMsMax) throw invalid(`duration "${text}" is too long`, "at most 596h");
  return ms;
}

/** What timers and deadlines take. */
const durationMsMax = 2 ** 31 - 1;

/** What is given under a name must have one: an empty value is a variable that was not set. */
export function parseFilled(text: string): string {
  if (text === "") throw invalid("an option's value is empty", "leave the option out, or give it a value");
  return text;
}

export function parseWhole(text: string): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value))
    throw invalid(`"${text}" is not a whole number`, "digits only, for example 8");
  return value;
}

/** Permission bits as chmod takes them: `755`, `0644`. */
export function parseFileMode(text: string): number {
  if (!/^[0-7]{1,4}$/.test(text)) throw invalid(`mode "${text}" is not understood`, "octal, for example 755");
  return Number.parseInt(text, 8);
}

export function parseDecimal(text: string): number {
  if (!/^\d+(\.\d+)?$/.test(text)) throw invalid(`"${text}" is not a number`, "for example 2 or 0.5");
  return Number(text);
}

/** Collects repeated `KEY=VALUE` options; a bare KEY takes its value from `env`, where there is one. */
export function collectPairs(env: Readonly<Record<string, string | undefined>> = {}) {
  return (text: string, soFar: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> => {
    const split = text.indexOf("=");
    const key = split < 0 ? text : text.slice(0, split);
    if (key === "") throw invalid(`"${text}" has no name before the =`, "KEY=VALUE");
    const value = split < 0 ? env[key] : text.slice(split + 1);
    return value === undefined ? soFar : { ...soFar, [key]: value };
  };
}

export function collect(text: string, soFar: readonly string[] = []): readonly string[] {
  return [...soFar, text];
}

/** `9`, `KILL`, `SIGKILL`, `kill`, and names such as `SIGRTMIN+1` are left to the number. */
export function parseSignal(text: string): number {
  if (/^\d+$/.test(text)) return parseWhole(text);
  const upper = text.toUpperCase();
  const name = upper.startsWith("SIG") ? upper : `SIG${upper}`;
  const signals: Readonly<Record<string, number>> = constants.signals;
  const number = signals[name];
  if (number === undefined)
    throw invalid(`signal "${text}" does not exist`, "for example TERM, SIGUSR1 or 9");
  return number;
}

export function signalName(number: number): string {
  const entry = Object.entries(constants.signals).find(([, value]) => value === number);
  return entry?.[0] ?? `signal ${number}`;
}

/** One side of `cp`. */
export type Place =
  | { readonly kind: "stdio" }
  | { readonly kind: "local"; readonly path: string }
  | { readonly kind: "sandbox"; readonly sandbox: string; readonly path: string };

/** `SANDBOX:PATH`, `-` or a local path; a local name with a colon is written `./a:b`. */
export function parsePlace(text: string): Place {
  if (text === "") throw invalid("a path is empty", "SANDBOX:PATH, a local path, or - for a stream");
  if (text === "-") return { kind: "stdio" };
  const colon = text.indexOf(":");
  if (colon <= 0 || /^[./]/.test(text)) return { kind: "local", path: text };
  const path = text.slice(colon + 1);
  if (path === "") throw invalid(`"${text}" has no path after the colon`, "for example a1b2:/tmp/file");
  return { kind: "sandbox", sandbox: text.slice(0, colon), path };
}

/** `ctrl-p,ctrl-q` as the bytes that a terminal sends; empty means no such keys. */
export function parseDetachKeys(text: string): Uint8Array {
  if (text === "") return new Uint8Array();
  const bytes = text.split(",").map((key) => {
    const control = /^ctrl-([a-z@[\\\]^_])$/i.exec(key)?.[1];
    if (control !== undefined) return control.toUpperCase().charCodeAt(0) & 0x1f;
    if (/^[\x21-\x7e]$/.test(key)) return key.charCodeAt(0);
    throw invalid(
      `detach key "${key}" is not understood`,
      "for example ctrl-p,ctrl-q; an empty value turns them off",
    );
  });
  return Uint8Array.from(bytes);
}
