/** Commits that wait for the disk, once for all that comes together. */
import type { Database } from "better-sqlite3";
import { guarded } from "./errors.js";
import { openWal, type Wal } from "./wal.js";

export type Synchronous<T> = T extends PromiseLike<unknown> ? never : T;

export interface GroupCommit {
  /**
   * All of `work` or nothing, durably, in one transaction with others that come at the same time. What it throws, and
   * what SQLite throws in it, rejects it alone; when the commit fails, all of them are rejected and nothing is kept.
   * The wait for the disk is beside the event loop, and readers see what was committed before it is over; where the
   * disk fails then, all are rejected, and what they did is there until a power cut.
   */
  soon<T>(work: () => Synchronous<T>): Promise<T>;
  /** The same without the wait for the disk: it survives the process, as each statement by itself does, and no power cut. */
  next<T>(work: () => Synchronous<T>): Promise<T>;
  /** Commits what waits. */
  flush(): void;
  /** Commits what waits, at once: the database may be closed then. Resolves when the disk has it and nothing is open. */
  close(): Promise<void>;
}

/** More go into the next transaction, so that readers and the network have their turn. */
const worksMax = 1000;

interface Waiting {
  readonly work: () => unknown;
  readonly isDurable: boolean;
  readonly resolve: (value: unknown) => void;
  readonly reject: (thrown: unknown) => void;
}

interface Done {
  readonly isDurable: boolean;
  readonly tell: () => void;
}

export function openGroupCommit(db: Database, wal: Wal = openWal(db)): GroupCommit {
  let waiting: Waiting[] = [];
  let isScheduled = false;
  let flushes = 0;
  const together = oneTransaction(db);

  function schedule(): void {
    if (isScheduled) return;
    isScheduled = true;
    setImmediate(() => {
      isScheduled = false;
      void commit(take());
    });
  }

  /**
   * What comes while the disk is waited for has to wait for it once more when that is over: until then it stays, and is
   * one transaction with all that comes meanwhile.
   */
  function take(): readonly Waiting[] {
    if (flushes === 0) return waiting.splice(0, worksMax);
    const now = waiting.filter(({ isDurable }) => !isDurable);
    waiting = waiting.filter(({ isDurable }) => isDurable);
    return now;
  }

  async function commit(all: readonly Waiting[]): Promise<void> {
    try {
      const done = all.length === 0 ? [] : together(all);
      tellAll(done, false);
      if (done.some(({ isDurable }) => isDurable)) await flushed();
      tellAll(done, true);
    } catch (thrown) {
      for (const { reject } of all) reject(thrown);
    }
    if (waiting.length > 0 && flushes === 0) schedule();
  }

  async function flushed(): Promise<void> {
    flushes++;
    try {
      await wal.flush();
    } finally {
      flushes--;
    }
  }

  function flush(): void {
    while (waiting.length > 0) void commit(waiting.splice(0, worksMax));
  }

  const add =
    (isDurable: boolean) =>
    <T>(work: () => Synchronous<T>): Promise<T> =>
      new Promise((resolve, reject) => {
        waiting.push({ work, isDurable, resolve: resolve as (value: unknown) => void, reject });
        schedule();
      });

  return {
    soon: add(true),
    next: add(false),
    flush,
    close() {
      flush();
      return wal.close();
    },
  };
}

/** Does all of them in one transaction; gives what is to be told once it may be. */
function oneTransaction(db: Database): (all: readonly Waiting[]) => readonly Done[] {
  // A savepoint for each: one that throws takes back nothing of the others'.
  const alone = db.transaction((work: () => unknown) => work());
  const together = db.transaction((all: readonly Waiting[]) => all.map(tried));

  function tried({ work, isDurable, resolve, reject }: Waiting): Done {
    try {
      const value = guarded("transaction", () => alone(work));
      return { isDurable, tell: () => resolve(value) };
    } catch (thrown) {
      // SQLite takes the whole transaction back when the disk is full or fails, and the works before this one with it.
      if (!db.inTransaction) throw thrown;
      return { isDurable, tell: () => reject(thrown) };
    }
  }

  return (all) => guarded("transaction", () => together.immediate(all));
}

function tellAll(done: readonly Done[], isDurable: boolean): void {
  for (const each of done) if (each.isDurable === isDurable) each.tell();
}

/** Waits for the disk once the outermost transaction is committed. */
export function durably<T>(db: Database, work: () => T): T {
  if (db.inTransaction) return work();
  db.pragma("synchronous = FULL");
  try {
    return work();
  } finally {
    db.pragma("synchronous = NORMAL");
  }
}
