/**
 * The store is what the agent has acknowledged or intends: one SQLite file, one writer. All calls are
 * synchronous and short. What a call has done survives the agent; what `transact` or `soon` has returned survives a
 * power cut too, with all that came before it: that is what may be acknowledged.
 */

import type { Database } from "better-sqlite3";
import { shipped } from "../lib/shipped.js";
import { guarded } from "../sqlite/errors.js";
import { durably, openGroupCommit, type Synchronous } from "../sqlite/group-commit.js";
import { readMigrations } from "../sqlite/migrate.js";
import { openDatabase } from "../sqlite/open-database.js";
import { type CheckpointReader, type Checkpoints, openCheckpoints } from "./checkpoints.js";
import { type EventReader, type Events, openEvents } from "./events.js";
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
  /** As `transact`, in one transaction with others that come at the same time, and one wait beside the event loop. */
  soon<T>(work: (store: StoreWriter) => Synchronous<T>): Promise<T>;
  /** As `soon`, without the wait: for what nobody is told of, or what ends with the machine. */
  next<T>(work: (store: StoreWriter) => Synchronous<T>): Promise<T>;
  close(): Promise<void>;
}

const migrations = readMigrations(shipped("store/migrations/"));

/** Opens or makes the database at `path` (mode 0600) and brings it up to date. Refuses a newer or damaged one. */
export function openStore(path: string): Store {
  return openDatabase(path, { migrations }, storeOf);
}

function storeOf(db: Database): Store {
  const tables: StoreWriter = {
    sandboxes: openSandboxes(db),
    templates: openTemplates(db),
    checkpoints: openCheckpoints(db),
    operations: openOperations(db),
    events: openEvents(db),
  };
  const group = openGroupCommit(db);
  const close = () => {
    const closed = group.close();
    db.close();
    return closed;
  };
  return {
    ...tables,
    soon: (work) => group.soon(() => work(tables)),
    next: (work) => group.next(() => work(tables)),
    transact: (work) =>
      guarded("transaction", () => durably(db, () => db.transaction(() => work(tables)).immediate())),
    close,
    [Symbol.asyncDispose]: close,
  };
}
