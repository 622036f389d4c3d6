/** Draining a node: what runs there is paused, or waited for, and whoever asked hears what could not be done. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Shape } from "../../../src/cli/shapes.js";
import { openScope } from "../../../src/lib/scope.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { runCli } from "../../support/cli.js";
import { type LightFleet, openLightFleet } from "../../support/light-fleet.js";

const scope = openScope();
let fleet: LightFleet;
let adminKeyFile: string;
/** Ids of the two nodes. */
let here: string;
let there: string;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "ramet-registry-drain-"));
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  const dataDir = join(directory, "registry");
  adminKeyFile = join(dataDir, "admin.key");
  fleet = scope.use(await openLightFleet({ directory, dataDir, nodes: 2, pauseMs: 300 }));
  [here = "", there = ""] = fleet.nodes.keys();
}, 60_000);
afterAll(() => scope[Symbol.asyncDispose]());

const ramet = (...words: string[]) =>
  runCli(["--registry", fleet.url, "--admin-key-file", adminKeyFile, ...words]);

const node = (id: string) => fleet.admin<Shape<"node">>("GET", `/nodes/${id}`);
type OnNode = readonly { readonly id: string; readonly status: string }[];
const on = (id: string) => fleet.admin<OnNode>("GET", `/nodes/${id}/sandboxes`);
const stateOf = async (id: string) => (await fleet.ask("GET", `/sandboxes/${id}`)).body.state;

async function create(): Promise<string> {
  const made = await fleet.ask("POST", "/sandboxes", { body: { templateID: "base", timeout: 3600 } });
  expect(made.status).toBe(201);
  return made.body.sandboxID;
}

/** So many on the node, with whatever comes to the other meanwhile. */
async function createOn(id: string, count: number): Promise<readonly string[]> {
  const isThere = async () => {
    await create();
    return (await on(id)).filter(({ status }) => status === "running").length >= count;
  };
  await waitUntil("sandboxes on the node", isThere, { intervalMs: 0, timeoutMs: 30_000 });
  return (await on(id)).map((sandbox) => sandbox.id);
}

it("pauses what runs on the node, and nothing elsewhere", async () => {
  const ids = await createOn(here, 9);
  const [own = "", ...others] = ids;
  const elsewhere = (await on(there)).length;
  // What its owner pauses in this moment is waited for, and is no failure.
  const [drained, paused] = await Promise.all([
    ramet("node", "drain", "light-0", "--pause", "--json"),
    fleet.ask("POST", `/sandboxes/${own}/pause`),
  ]);
  expect(drained).toMatchObject({ exitCode: 0, stderr: "" });
  expect([204, 409]).toContain(paused.status);
  const counts = { running: 0, paused: ids.length, lost: 0, making: 0 };
  expect(JSON.parse(drained.stdout)).toMatchObject({ id: here, cordoned: true, sandboxes: counts });
  expect((await node(there)).sandboxes).toEqual({ running: elsewhere, paused: 0, lost: 0, making: 0 });
  expect((await fleet.nodes.get(here)?.sandboxes.list({ statuses: [], labels: {} }))?.[0]?.state.status).toBe(
    "paused",
  );
  // It gets no new work; what is there can be had back, and is paused again.
  for (let count = 0; count < 4; count++) await create();
  expect(await on(here)).toHaveLength(ids.length);
  const [woken = ""] = others;
  expect((await fleet.ask("POST", `/sandboxes/${woken}/connect`, { body: { timeout: 60 } })).status).toBe(
    201,
  );
  const again = await ramet("node", "drain", here, "--pause");
  expect(again).toMatchObject({
    exitCode: 0,
    stdout: `light-0  cordoned, 0 running, ${ids.length} paused\n`,
  });
  expect(again.stderr).toBe("pausing sandboxes\n");
  expect(await stateOf(woken)).toBe("paused");
  expect((await ramet("node", "uncordon", here)).exitCode).toBe(0);
}, 60_000);

it("waits for what runs on the node, until its deadline", async () => {
  const ids = await createOn(here, 5);
  const late = await ramet("node", "drain", "light-0", "--wait", "--deadline", "1s");
  expect(late).toMatchObject({
    exitCode: 124,
    stderr: expect.stringMatching(/\d sandboxes run on node light-0/),
  });
  expect((await node(here)).cordoned).toBe(true);
  const waiting = ramet("node", "drain", "light-0", "--wait");
  for (const id of ids) if ((await stateOf(id)) === "running") await fleet.ask("DELETE", `/sandboxes/${id}`);
  expect((await waiting).exitCode).toBe(0);
  await ramet("node", "uncordon", here);
}, 60_000);

const pauseOf = (node: string, id: string) => `/nodes/${node}/sandboxes/${id}/pause`;
const firstOn = async (id: string) => (await on(id))[0]?.id ?? "";

it("refuses what is not there, or is paused, in words", async () => {
  await expect(fleet.admin("GET", "/nodes/nobody/sandboxes")).rejects.toThrow(/: 404 .*no node/);
  const not = /: 404 .*has no sandbox/;
  await expect(fleet.admin("POST", pauseOf(here, "nobody"))).rejects.toThrow(not);
  await expect(fleet.admin("POST", pauseOf(here, await firstOn(there)))).rejects.toThrow(not);
  await expect(fleet.admin("POST", pauseOf(here, await firstOn(here)))).rejects.toThrow(/: 409 .*is paused/);
});

it("refuses to wait and to pause", async () => {
  expect(await ramet("node", "drain", here, "--pause", "--wait")).toMatchObject({ exitCode: 2 });
});

it("names each sandbox that it could not pause, with the reason", async () => {
  const ids = (await on(there)).map(({ id }) => id);
  await fleet.stopAgent(there);
  const drained = await ramet("node", "drain", "light-1", "--pause");
  expect(drained.exitCode).toBe(7);
  expect(drained.stderr).toContain(
    `node light-1 is cordoned, and ${ids.length} sandboxes there are not paused`,
  );
  for (const id of ids.slice(0, 20)) expect(drained.stderr).toMatch(new RegExp(`^  ${id}: .*light-1`, "m"));
  expect((await node(there)).cordoned).toBe(true);
}, 60_000);

describe("what had begun before", () => {
  it.each([
    ["waited for", "--wait", 124, { running: 3, paused: 0 }],
    ["paused", "--pause", 0, { running: 0, paused: 3 }],
  ])("is %s", async (_, option, exitCode, sandboxes) => {
    const directory = await mkdtemp(join(tmpdir(), "ramet-registry-drain-"));
    await using own = openScope();
    own.defer(() => rm(directory, { recursive: true, force: true }));
    const dataDir = join(directory, "registry");
    // Long enough that the drain begins in the middle of it.
    const slow = own.use(await openLightFleet({ directory, dataDir, nodes: 1, restoreMs: 1500 }));
    const body = { templateID: "base", timeout: 3600 };
    const making = [0, 1, 2].map(() => slow.ask("POST", "/sandboxes", { body }));
    const [node = ""] = slow.nodes.keys();
    const madeNow = async () => (await slow.admin<Shape<"node">>("GET", `/nodes/${node}`)).sandboxes.making;
    await waitUntil("the creates", async () => (await madeNow()) === 3, { intervalMs: 20, timeoutMs: 5000 });
    const key = ["--admin-key-file", join(dataDir, "admin.key")];
    const drain = ["node", "drain", node, option, "--deadline", "4s", "--json"];
    const drained = await runCli(["--registry", slow.url, ...key, ...drain]);
    expect(drained).toMatchObject({ exitCode });
    for (const made of making) expect((await made).status).toBe(201);
    expect((await slow.admin<Shape<"node">>("GET", `/nodes/${node}`)).sandboxes).toMatchObject(sandboxes);
    const refused = await slow.ask("POST", "/sandboxes", { body });
    expect(refused).toMatchObject({ status: 503 });
    expect(refused.body.message).toContain("of 1 nodes, 1 are cordoned and 0 away");
  });
});
