/** SQLite as both stores use it: one file, mode 0600, one process, WAL, migrations; no words of what is kept. */
import { closeSync, openSync } from "node:fs";
import Database from "better-sqlite3";
import { DomainError } from "../lib/errors.js";
import { guarded } from "./errors.js";
import { type Migration, migrate } from "./migrate.js";

export interface DatabaseOptions {
  readonly migrations: readonly Migration[];
  /** How long to wait for another process to let go of it. Default 5,000 ms. */
  readonly lockWaitMs?: number;
}

/**
 * Opens or makes the database at `path`, brings it up to date and hands it to `use`, which prepares its statements; it
 * is closed again when that fails. Refuses a newer or damaged one.
 */
export function openDatabase<T>(
  path: string,
  options: DatabaseOptions,
  use: (db: Database.Database) => T,
): T {
  const { migrations, lockWaitMs = 5000 } = options;
  return guarded(`opening ${path}`, () => {
    // SQLite would create it with the umask's mode, and its journal files copy the mode of the database.
    if (path !== ":memory:") createPrivate(path);
    const db = new Database(path, { timeout: lockWaitMs });
    try {
      prepare(db, path);
      migrate(db, path, migrations);
      return use(db);
    } catch (thrown) {
      db.close();
      throw thrown;
    }
  });
}

function createPrivate(path: string): void {
  try {
    closeSync(openSync(path, "a", 0o600));
  } catch (cause) {
    throw new DomainError("unavailable", `cannot open ${path}`, {
      cause,
      hint: "the data directory must exist and be writable",
    });
  }
}

function prepare(db: Database.Database, path: string): void {
  // One process for one database: a second one would recover what the first is in the middle of doing.
  db.pragma("locking_mode = EXCLUSIVE");
  db.pragma("journal_mode = WAL");
  // A commit that has to survive a power cut waits for the disk by itself; see durably().
  db.pragma("synchronous = NORMAL");
  db.pragma("foreign_keys = ON");
  const verdict = db.pragma("quick_check(1)", { simple: true });
  if (verdict !== "ok") {
    throw new DomainError("internal", `${path} is damaged: ${String(verdict)}`, {
      hint: "restore it from a backup",
    });
  }
}
