/** Checks of what callers send, before any of it reaches the node. All throw `invalid_argument`. */
import { DomainError } from "../lib/errors.js";

const namePattern = /^[a-z0-9][a-z0-9._-]{0,62}$/;
const nameRule = "1 to 63 characters of a-z, 0-9, '.', '_' and '-', the first a letter or digit";
const labelKeyPattern = /^[A-Za-z0-9][A-Za-z0-9._/-]{0,62}$/;

/** Longest path the kernel takes, without its NUL. */
export const pathBytesMax = 4095;
/** The guest's largest request; argv and environment have to fit into it. */
export const argvBytesMax = 1024 * 1024;
const mapEntriesMax = 1024;
const labelsMax = 64;
const textBytesMax = 64 * 1024;

export function invalid(message: string, hint?: string): DomainError {
  return new DomainError("invalid_argument", message, hint === undefined ? {} : { hint });
}

/** Drops what is absent; proto3 has no other way to say that a string is not there. */
export function present<T extends Record<string, unknown>>(fields: T): Present<T> {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(kept) as Present<T>;
}
export type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

/** An id, a prefix of one, or a name. */
export function parseRef(text: string, field = "sandbox"): string {
  if (text === "") throw invalid(`${field} is missing`);
  if (!namePattern.test(text)) throw invalid(`${field} ${quote(text)} is neither an id nor a name`, nameRule);
  return text;
}

export function parseName(text: string, field = "name"): string {
  if (text === "") throw invalid(`${field} is missing`);
  if (!namePattern.test(text))
    throw invalid(`${field} ${quote(text)} is not allowed`, `a name has ${nameRule}`);
  return text;
}

export function parseOptionalName(text: string, field = "name"): string | undefined {
  return text === "" ? undefined : parseName(text, field);
}

export function parseImageName(text: string, field = "image"): string {
  if (text === "") throw invalid(`${field} is missing`);
  // Printable ASCII without blanks; what a reference may be beyond that is containerd's to judge.
  if (!/^[\x21-\x7e]{1,255}$/.test(text)) throw invalid(`${field} ${quote(text)} is not an image reference`);
  return text;
}

/** A path inside a sandbox. `..` is let through: the kernel resolves it inside the sandbox. */
export function parsePath(text: string, field = "path"): string {
  if (text === "") throw invalid(`${field} is empty`);
  refuseNul(text, field);
  const bytes = Buffer.byteLength(text);
  if (bytes > pathBytesMax) throw invalid(`${field} is ${bytes} bytes long, the limit is ${pathBytesMax}`);
  return text;
}

export function parseHostPath(text: string, field = "path"): string {
  parsePath(text, field);
  if (!text.startsWith("/")) throw invalid(`${field} ${quote(text)} is not absolute`);
  return text;
}

/** User, directory, tag, comment: short text without NUL. Empty means absent. */
export function parseText(text: string, field: string, bytesMax = textBytesMax): string | undefined {
  if (text === "") return undefined;
  refuseNul(text, field);
  const bytes = Buffer.byteLength(text);
  if (bytes > bytesMax) throw invalid(`${field} is ${bytes} bytes long, the limit is ${bytesMax}`);
  return text;
}

export function parseUser(text: string): string | undefined {
  return parseText(text, "user", 255);
}

export function parseCwd(text: string): string | undefined {
  if (text === "") return undefined;
  if (!text.startsWith("/")) throw invalid(`working directory ${quote(text)} is not absolute`);
  return parsePath(text, "working directory");
}

export function parseEnv(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(env);
  if (entries.length > mapEntriesMax)
    throw invalid(`environment has ${entries.length} variables, the limit is ${mapEntriesMax}`);
  let bytes = 0;
  for (const [key, value] of entries) {
    if (key === "" || /[=\0]/.test(key))
      throw invalid(`environment variable name ${quote(key)} is not allowed`);
    refuseNul(value, `environment variable ${key}`);
    bytes += Buffer.byteLength(key) + Buffer.byteLength(value) + 2;
  }
  refuseTooLarge("environment", bytes);
  return env;
}

export function parseLabels(labels: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const entries = Object.entries(labels);
  if (entries.length > labelsMax)
    throw invalid(`${entries.length} labels were given, the limit is ${labelsMax}`);
  for (const [key, value] of entries) {
    if (!labelKeyPattern.test(key)) throw invalid(`label name ${quote(key)} is not allowed`);
    parseText(value, `label ${key}`, 255);
  }
  return labels;
}

/** A command line: at least one word, no NUL, 1 MiB in all. */
export function parseArgv(argv: readonly string[]): readonly string[] {
  if (argv.length === 0 || argv[0] === "") throw invalid("the command is empty");
  let bytes = 0;
  for (const [index, word] of argv.entries()) {
    refuseNul(word, `argument ${index}`);
    bytes += Buffer.byteLength(word) + 1;
  }
  refuseTooLarge(`command line of ${argv.length} words`, bytes);
  return argv;
}

/** A whole number between two bounds, both allowed. */
export function parseCount(value: number, field: string, least: number, most: number): number {
  if (!Number.isInteger(value) || value < least || value > most)
    throw invalid(`${field} must be a whole number from ${least} to ${most}, not ${value}`);
  return value;
}

/** proto's 64-bit integers arrive as bigint; beyond 2^53 no file, offset or event id is real. */
export function parseSafeInteger(value: bigint, field: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw invalid(`${field} ${value} is too large`);
  return Number(value);
}

export function parseMode(mode: number, otherwise: number): number {
  if (mode === 0) return otherwise;
  if (mode > 0o7777)
    throw invalid(`mode 0${mode.toString(8)} is not a set of permission bits (at most 07777)`);
  return mode;
}

/** Shows a caller's text in a message: JSON-quoted, so that control characters cannot act, and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}…` : text);
}

function refuseNul(text: string, field: string): void {
  if (text.includes("\0")) throw invalid(`${field} contains a NUL byte`);
}

function refuseTooLarge(what: string, bytes: number): void {
  if (bytes > argvBytesMax)
    throw invalid(
      `${what} is ${bytes} bytes, the limit is ${argvBytesMax}`,
      "write large input to a file in the sandbox, or send it on stdin",
    );
}
