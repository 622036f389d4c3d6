/**
 * The registry's store in one SQLite file, for one process. Reads are answered at once; what is written at the same time
 * shares one commit and one wait for the disk.
 */
import { shipped } from "../../lib/shipped.js";
import { openGroupCommit } from "../../sqlite/group-commit.js";
import { readMigrations } from "../../sqlite/migrate.js";
import { openDatabase } from "../../sqlite/open-database.js";
import type { RegistryStore } from "../registry-store.js";
import { openCatalogue } from "./catalogue.js";
import { openKeys } from "./keys.js";
import { openNodes } from "./nodes.js";
import { openPools } from "./pools.js";
import { openRequests } from "./requests.js";
import { openSandboxes } from "./sandboxes.js";
import { openTeams } from "./teams.js";
import { openTokens } from "./tokens.js";

const migrations = readMigrations(shipped("registry-store/sqlite/migrations/"));

/**
 * Opens or makes the database at `path` (mode 0600). `unavailable` while another process has it; `lockWaitMs` is how
 * long to wait for that, 5,000 by default.
 */
export async function openSqliteStore(
  path: string,
  options: { readonly lockWaitMs?: number } = {},
): Promise<RegistryStore> {
  return openDatabase(path, { migrations, ...options }, (db) => {
    const group = openGroupCommit(db);
    const { nodes, insertNode } = openNodes(db, group);
    const { requests, insertRequest } = openRequests(db, group);
    return {
      teams: openTeams(db, group),
      keys: openKeys(db, group),
      tokens: openTokens(db, group, insertNode),
      nodes,
      sandboxes: openSandboxes(db, group, insertRequest),
      catalogue: openCatalogue(db, group),
      pools: openPools(db, group),
      requests,
      async [Symbol.asyncDispose]() {
        const closed = group.close();
        db.close();
        await closed;
      },
    };
  });
}
