/** The administration of teams over a store in memory, as a registry serves it. */
import { fastify } from "fastify";
import { adminPlugin } from "../../src/admin/plugin.js";
import { poolRoutes } from "../../src/admin/pools.js";
import { teamRoutes } from "../../src/admin/teams.js";
import type { Scope } from "../../src/lib/scope.js";
import { openKeys } from "../../src/registry/keys.js";
import { openPools } from "../../src/registry/pools.js";
import { openTeams } from "../../src/registry/teams.js";
import { openSqliteStore } from "../../src/registry-store/sqlite/open-sqlite-store.js";

export const adminKey = `rma_${"5".repeat(40)}`;

export async function serveAdmin(scope: Scope, options: { readonly development?: boolean } = {}) {
  const store = scope.use(await openSqliteStore(":memory:"));
  const now = () => new Date();
  const keys = openKeys({ store, now });
  const teams = openTeams({ store, keys, now });
  const logged: unknown[] = [];
  const log = { info: () => {}, warn: () => {}, error: (entry: unknown) => void logged.push(entry) };
  const nodes = { list: () => [], api: () => Promise.reject(new Error("no node is called")) as never };
  const pools = scope.use(openPools({ store, nodes, claimed: async () => 0, now, log }));
  const app = scope.use(fastify());
  const isAdmin = (authorization: string | undefined) => authorization === `Bearer ${adminKey}`;
  await app.register(
    adminPlugin({
      routes: [...teamRoutes({ teams, keys }), ...poolRoutes({ pools })],
      ...(options.development === true ? {} : { isAdmin }),
      log,
    }),
    { prefix: "/admin/v1" },
  );
  return { app, store, keys, teams, pools, logged };
}
