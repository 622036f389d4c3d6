/** A registry as a process has it: directory, ports, edges; and the agent of the same process as its node. */
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fastify } from "fastify";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runCli } from "../../test/support/cli.js";
import { noDataPlane, stubNode } from "../../test/support/stub-node.js";
import { runRegistry } from "../bin/registry.js";
import type { NodeNews } from "../fleet/node.js";
import { createLogger } from "../lib/log.js";
import { waitUntil } from "../lib/signal.js";
import { type Edge, serverOptions, startRegistry } from "./start.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "ramet-registry-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

const log = createLogger({ level: "silent" });
const never = new AbortController().signal;
const config = (port = 0) => ({
  dataDir: join(dir, "data"),
  listen: { host: "127.0.0.1", port },
  keys: "on" as const,
  logLevel: "silent" as const,
  nodes: { listen: { host: "127.0.0.1", port: 0 }, lostAfterMs: 300_000 },
});

const news: NodeNews = {
  load: {
    ...{ cpus: 2, memoryBytes: 8e9, memoryFreeBytes: 7e9, diskBytes: 9e9, diskFreeBytes: 8e9, load: 0.5 },
    templates: [
      {
        name: "python",
        checkpoint: "c".repeat(20),
        slotsReady: 3,
        cloneBytes: 1e6,
        cpus: 1,
        memoryBytes: 1e8,
      },
    ],
  },
  stock: { checkpoints: [], images: ["debian"] },
  inventory: { isWhole: true, sandboxes: [], gone: [] },
};

const local = {
  name: "here",
  version: "9",
  openApi: () => {
    throw new Error("nobody calls it");
  },
  openReports: (signal: AbortSignal) => ({
    news: (async function* () {
      yield news;
      await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
    })(),
    askInventory: () => {},
  }),
};

const localAgent = {
  ...{ name: "here", version: "9", dataDir: tmpdir(), dataPlane: noDataPlane },
  node: stubNode({
    sandboxes: { list: async () => [] },
    templates: { list: async () => [] },
    checkpoints: { list: async () => [] },
    images: { list: async () => [] },
    events: (_query, signal) => quiet(signal),
  }),
};

async function* quiet(signal: AbortSignal): AsyncGenerator<never> {
  await new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

it("keeps everything in a directory that is root's alone, and starts again on it with the same node", async () => {
  const ids: string[] = [];
  for (const _ of [1, 2]) {
    let choose: (() => unknown) | undefined;
    const edge: Edge = async (_app, { nodes, fleet }) => {
      choose = () => fleet.slots("python").ready === 3 && ids.push(nodes.list()[0]?.record.id ?? "");
    };
    await using _registry = await startRegistry({ config: config(), edges: [edge], log, local }, never);
    await waitUntil("the local node", () => Boolean(choose?.()), { intervalMs: 5, timeoutMs: 5000 });
  }
  expect(ids[0]).toMatch(/^[a-z0-9]{20}$/);
  expect(ids[1]).toBe(ids[0]);
  expect(statSync(join(dir, "data")).mode & 0o777).toBe(0o700);
  for (const name of ["registry.db", "admin.key"])
    expect(statSync(join(dir, "data", name)).mode & 0o077).toBe(0);
});

it("refuses a second registry of the same directory, and a port that is taken", {
  timeout: 20_000,
}, async () => {
  await using first = await startRegistry({ config: config(), edges: [], log }, never);
  await expect(startRegistry({ config: config(), edges: [], log }, never)).rejects.toMatchObject({
    name: "DomainError",
  });
  const other = { ...config(first.rest.port), dataDir: join(dir, "other") };
  await expect(startRegistry({ config: other, edges: [], log }, never)).rejects.toThrow(/cannot listen on/);
});

it("serves its own machine without keys, and no pages of others", async () => {
  const open = { ...config(), keys: "off" as const };
  await using started = await runRegistry({ config: open, log, local: localAgent }, never);
  const statusOf = async (origin: string) => {
    const url = `http://127.0.0.1:${started.rest.port}/admin/v1/tokens`;
    return (await fetch(url, { method: "POST", headers: { origin } })).status;
  };
  expect(await statusOf("http://localhost:3000")).toBe(201);
  expect(await statusOf("https://evil.example")).toBe(403);
});

it("says which directory it cannot use", async () => {
  const path = join(dir, "file");
  writeFileSync(path, "");
  await expect(
    startRegistry({ config: { ...config(), dataDir: path }, edges: [], log }, never),
  ).rejects.toMatchObject({
    ...{
      code: "unavailable",
      message: expect.stringContaining(`cannot use the data directory ${path}: EEXIST`),
    },
  });
});

it("is administered by ramet node", async () => {
  await using started = await runRegistry({ config: config(), log, local: localAgent }, never);
  const ramet = async (...words: string[]) => {
    const common = ["--registry", `http://127.0.0.1:${started.rest.port}`];
    const key = ["--admin-key-file", join(dir, "data/admin.key")];
    return await runCli([...words, ...common, ...key]);
  };
  const list = async () => JSON.parse((await ramet("node", "ls", "--json")).stdout) as unknown[];
  await waitUntil("the node", async () => JSON.stringify(await list()).includes('"ready"'), {
    intervalMs: 20,
    timeoutMs: 10_000,
  });
  expect((await ramet("node", "ls")).stdout).toMatch(/^here +ready +0 +0 .*this registry's process$/m);
  expect((await ramet("node", "drain", "here", "--wait")).stdout).toBe(
    "here  cordoned, 0 running, 0 paused\n",
  );
  expect(await list()).toMatchObject([{ name: "here", cordoned: true, sandboxes: { running: 0 } }]);
  expect((await ramet("node", "uncordon", "here")).stdout).toBe("here  ready\n");
  const token = await ramet("node", "token", "--ttl", "10m");
  expect(token.stdout).toMatch(/^rmt_[0-9a-f]{32}_[0-9a-f]{40}\n$/);
  expect(await ramet("node", "token", "--ttl", "1s")).toMatchObject({
    ...{ exitCode: 2, stderr: "ramet: a join token is good for one minute to seven days\n" },
  });
  for (const verb of ["drain", "uncordon", "rm"])
    expect((await ramet("node", verb, "nobody")).exitCode).toBe(3);
});

it("says in the words of its API what is wrong with a path that nobody can read", async () => {
  const app = fastify(serverOptions);
  app.get("/sandboxes/:id", async () => ({}));
  for (const [path, code] of [
    ["/sandboxes/%ff", 400],
    [`/sandboxes/${"a".repeat(600)}`, 414],
  ] as const) {
    const { statusCode, body } = await app.inject({ method: "GET", url: path });
    expect(statusCode).toBe(code);
    expect(JSON.parse(body)).toEqual({ code, message: expect.stringContaining("path") });
  }
});
