import { readFileSync } from "node:fs";
import { fastify } from "fastify";
import { describe, expect, it } from "vitest";
import type { E2bDeps } from "./call.js";
import { e2bPlugin } from "./plugin.js";

/** Routes with the status of a call that succeeds. Nothing is called, so that nothing is needed behind them. */
async function routesServed(): Promise<ReadonlyMap<string, number>> {
  const app = fastify();
  const routes = new Map<string, number>();
  app.addHook("onRoute", ({ method, url, config }) => {
    const { status } = (config ?? {}) as { readonly status?: number };
    for (const one of [method].flat())
      if (status !== undefined && one !== "HEAD") routes.set(`${one} ${url}`, status);
  });
  const deps = { registry: {}, keys: {}, settings: {} } as unknown as E2bDeps;
  await app.register(e2bPlugin(deps));
  await app.ready();
  return routes;
}

const doc = readFileSync(new URL("../../docs/e2b-compatibility.md", import.meta.url), "utf8");
const rows = [...doc.matchAll(/^\| `([A-Z]+ \/\S*)` \| (\d+)/gm)].map(
  ([, route = "", status = ""]) => [route.replaceAll(/\{(\w+)\}/g, ":$1"), Number(status)] as const,
);

describe("docs/e2b-compatibility.md", () => {
  it("has every route, and its status", async () => {
    const served = await routesServed();
    const described = new Map(rows);
    expect(described.size, "rows").toBe(rows.length);
    expect(Object.fromEntries([...described].sort())).toEqual(
      Object.fromEntries([...served, ["GET /health", 204] as const].sort()),
    );
  });
});
