/**
 * Waiting for the disk beside the event loop. In WAL mode with `synchronous = NORMAL` a commit is complete once its
 * frames are in the log; what FULL adds is one fdatasync of the log (https://sqlite.org/pragma.html#pragma_synchronous),
 * and that can be done from outside. One such wait serves all that was committed before it began.
 */
import { closeSync, fdatasync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { Database } from "better-sqlite3";
import { DomainError } from "../lib/errors.js";
import { shareTurns } from "../lib/shared-turn.js";

const sync = promisify(fdatasync);

export interface Wal {
  /** Resolves when all that has been committed is on the disk. */
  flush(): Promise<void>;
  /** To be called with the database's own. Waits that are under way come to their end; then nothing is open. */
  close(): Promise<void>;
}

/** The log of an open database stays one file until the database is closed; one in memory has none. */
export function openWal({ name, memory }: Pick<Database, "name" | "memory">): Wal {
  if (memory) return { flush: async () => {}, close: async () => {} };
  const fd = openSync(`${name}-wal`, "r");
  syncDirectory(dirname(name));
  const flush = shareTurns(async () => {
    try {
      await sync(fd);
    } catch (cause) {
      throw new DomainError("unavailable", `${name}: the disk failed`, {
        cause,
        hint: "what was done may be lost at a power cut; look at the kernel's log",
      });
    }
  });
  return {
    flush,
    async close() {
      // After the waits that are under way: the number must not come to name another file before.
      await flush().catch(() => {});
      closeSync(fd);
    },
  };
}

/** SQLite does this at its own first wait for a new log. */
function syncDirectory(path: string): void {
  const fd = openSync(path, "r");
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}
