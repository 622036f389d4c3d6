/** Translates SQLite's errors, once, where a store is left. */
import { DomainError, type ErrorCode } from "../lib/errors.js";

interface Translation {
  readonly code: ErrorCode;
  readonly says: string;
  readonly hint?: string;
}

// By primary result code and, where it matters, extended code (https://sqlite.org/rescode.html).
const translations: readonly (readonly [prefix: string, Translation])[] = [
  [
    "SQLITE_CONSTRAINT_UNIQUE",
    {
      code: "already_exists",
      says: "the name is taken",
      hint: "the listing tells by whom, of sandboxes with -a",
    },
  ],
  ["SQLITE_CONSTRAINT_PRIMARYKEY", { code: "already_exists", says: "it exists already" }],
  ["SQLITE_CONSTRAINT_FOREIGNKEY", { code: "failed_precondition", says: "something depends on it" }],
  [
    "SQLITE_FULL",
    { code: "resource_exhausted", says: "the disk is full", hint: "free space in the data directory" },
  ],
  ["SQLITE_BUSY", { code: "unavailable", says: "the database is locked by another process" }],
  ["SQLITE_CORRUPT", { code: "internal", says: "the database is damaged", hint: "restore it from a backup" }],
  [
    "SQLITE_NOTADB",
    { code: "internal", says: "the file is not a database", hint: "restore it from a backup" },
  ],
  ["SQLITE_CANTOPEN", { code: "unavailable", says: "the file cannot be opened" }],
  ["SQLITE_READONLY", { code: "unavailable", says: "the database is read-only" }],
  ["SQLITE_IOERR", { code: "unavailable", says: "the disk failed" }],
];

/** Runs `work`; a SQLite error leaves as a DomainError whose message begins with `what`. */
export function guarded<T>(what: string, work: () => T): T {
  try {
    return work();
  } catch (thrown) {
    if (isSqliteError(thrown)) throw translate(what, thrown);
    if (isClosed(thrown))
      throw new DomainError("unavailable", `${what}: the store is closed`, { cause: thrown });
    throw thrown;
  }
}

interface SqliteError extends Error {
  readonly code: string;
}

function isSqliteError(thrown: unknown): thrown is SqliteError {
  return thrown instanceof Error && thrown.name === "SqliteError" && "code" in thrown;
}

function isClosed(thrown: unknown): boolean {
  return thrown instanceof TypeError && thrown.message === "The database connection is not open";
}

function translate(what: string, cause: SqliteError): DomainError {
  const found = translations.find(([prefix]) => cause.code.startsWith(prefix))?.[1];
  if (found === undefined) return new DomainError("internal", `${what}: ${cause.message}`, { cause });
  const { code, says, hint } = found;
  return new DomainError(code, `${what}: ${says}`, hint === undefined ? { cause } : { cause, hint });
}
