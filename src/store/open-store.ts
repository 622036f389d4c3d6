/**
 * The store is what the agent has acknowledged or intends: one SQLite file, one writer. All calls are
 * synchronous and short. What a call has done survives the agent; what `transact` or `soon` has returned survives a
 * power cut too, with all that came before it: that is what may be acknowledged.
 */
import { closeSync, openSync } from "node:fs";
import Database from "better-sqlite3";
import { DomainError } from "../lib/errors.js";
import { type CheckpointReader, type Checkpoints, openCheckpoints } from "./checkpoints.js";
import { guarded } from "./errors.js";
import { type EventReader, type Events, openEvents } from "./events.js";
import { migrate } from "./migrate.js";
import { type OperationReader, type Operations, openOperations } from "./operations.js";
import { openSandboxes, type Sandboxes, type SandboxReader } from "./sandboxes.js";
import { openTemplates, type TemplateReader, type Templates } from "./templates.js";

export interface StoreReader {
  readonly sandboxes: SandboxReader;
  readonly templates: TemplateReader;
  readonly checkpoints: CheckpointReader;
  readonly operations: OperationReader;
  readonly events: EventReader;
}

export interface StoreWriter extends StoreReader {
  readonly sandboxes: Sandboxes;
  readonly templates: Templates;
  readonly checkpoints: Checkpoints;
  readonly operations: Operations;
  readonly events: Events;
}

export interface Store extends StoreWriter, AsyncDisposable {
  /** All of `work` or nothing, durably; nested calls join the outer one. `work` must not wait for anything. */
  transact<T>(work: (store: StoreWriter) => Synchronous<T>): T;
  /** As `transact`, in one transaction with others that come at the same time: one wait for the disk for all. */
  soon<T>(work: (store: StoreWriter) => Synchronous<T>): Promise<T>;
  close(): void;
}

type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

/** Opens or makes the database at `path` (mode 0600) and brings it up to date. Refuses a newer or damaged one. */
export function openStore(path: string): Store {
  return guarded(`opening ${path}`, () => {
    // SQLite would create it with the umask's mode, and its journal files copy the mode of the database.
    if (path !== ":memory:") createPrivate(path);
    const db = new Database(path, { timeout: 5000 });
    try {
      prepare(db, path);
      return storeOf(db);
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
  // One agent for one database: a second one would recover what the first is in the middle of doing.
  db.pragma("locking_mode = EXCLUSIVE");
  db.pragma("journal_mode = WAL");
  // Whatever the agent intends it does by processes and mounts, which a power cut takes along anyway.
  db.pragma("synchronous = NORMAL");
  db.pragma("foreign_keys = ON");
  const verdict = db.pragma("quick_check(1)", { simple: true });
  if (verdict !== "ok") {
    throw new DomainError("internal", `${path} is damaged: ${String(verdict)}`, {
      hint: "restore agent.db from a backup",
    });
  }
  migrate(db, path);
}

function storeOf(db: Database.Database): Store {
  const tables: StoreWriter = {
    sandboxes: openSandboxes(db),
    templates: openTemplates(db),
    checkpoints: openCheckpoints(db),
    operations: openOperations(db),
    events: openEvents(db),
  };
  return {
    ...tables,
    soon: openBatch(db, tables),
    transact: (work) =>
      guarded("transaction", () => durably(db, () => db.transaction(() => work(tables)).immediate())),
    close: () => {
      db.close();
    },
    async [Symbol.asyncDispose]() {
      db.close();
    },
  };
}

/** Waits for the disk once the outermost transaction is committed. */
function durably<T>(db: Database.Database, work: () => T): T {
  if (db.inTransaction) return work();
  db.pragma("synchronous = FULL");
  try {
    return work();
  } finally {
    db.pragma("synchronous = NORMAL");
  }
}

/** Each work has a savepoint of its own: one that throws takes back nothing of the others'. */
function openBatch(db: Database.Database, tables: StoreWriter): Store["soon"] {
  type Work = (store: StoreWriter) => unknown;
  interface Waiting {
    readonly work: Work;
    readonly resolve: (value: unknown) => void;
    readonly reject: (thrown: unknown) => void;
  }
  let batch: Waiting[] = [];
  const alone = db.transaction((work: Work) => work(tables));

  function tried({ work, resolve, reject }: Waiting): () => void {
    try {
      const value = guarded("transaction", () => alone(work));
      return () => resolve(value);
    } catch (thrown) {
      return () => reject(thrown);
    }
  }

  function commit(): void {
    const all = batch;
    batch = [];
    try {
      const settle = guarded("transaction", () =>
        durably(db, () => db.transaction(() => all.map(tried)).immediate()),
      );
      for (const tell of settle) tell();
    } catch (thrown) {
      for (const { reject } of all) reject(thrown);
    }
  }

  return (work) =>
    new Promise((resolve, reject) => {
      batch.push({ work, resolve: resolve as (value: unknown) => void, reject });
      if (batch.length === 1) setImmediate(commit);
    });
}
