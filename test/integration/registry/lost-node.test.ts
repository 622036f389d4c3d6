/** A node whose machine is gone for good: what its sandboxes' owners and its operator can do. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Shape } from "../../../src/cli/shapes.js";
import { openScope } from "../../../src/lib/scope.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { runCli } from "../../support/cli.js";
import { type LightFleet, openLightFleet } from "../../support/light-fleet.js";

const scope = openScope();
let fleet: LightFleet;
let adminKeyFile: string;
/** Id of the node that is lost, and its sandboxes. */
let gone: string;
let ids: string[];

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "ramet-lost-node-"));
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  const dataDir = join(directory, "registry");
  adminKeyFile = join(dataDir, "admin.key");
  fleet = scope.use(await openLightFleet({ directory, dataDir, nodes: 2, lostAfterS: 10 }));
  [gone = ""] = fleet.nodes.keys();
  const body = { templateID: "base", timeout: 3600 };
  while ((await on(gone)).length < 3)
    expect((await fleet.ask("POST", "/sandboxes", { body })).status).toBe(201);
  ids = (await on(gone)).map(({ id }) => id);
}, 60_000);
afterAll(() => scope[Symbol.asyncDispose]());

const ramet = (...words: string[]) =>
  runCli(["--registry", fleet.url, "--admin-key-file", adminKeyFile, ...words]);
const on = (id: string) => fleet.admin<{ id: string }[]>("GET", `/nodes/${id}/sandboxes`);
const becomes = (health: string) =>
  waitUntil(
    `that the node is ${health}`,
    async () => (await fleet.admin<Shape<"node">>("GET", `/nodes/${gone}`)).health === health,
    { intervalMs: 200, timeoutMs: 20_000 },
  );

it("says of what was being done there that it may be known later", async () => {
  await fleet.stopAgent(gone);
  const [id] = ids;
  expect((await fleet.ask("POST", `/sandboxes/${id}/pause`)).status).toBe(503);
  const asked = await fleet.ask("POST", `/sandboxes/${id}/connect`, { body: { timeout: 60 } });
  expect(asked).toMatchObject({ status: 503, body: { message: expect.stringMatching(/was pausing/) } });
  expect(asked.headers.get("retry-after")).toBe("1");
});

it("is not forgotten with its sandboxes before it is lost", async () => {
  const refused = await ramet("node", "rm", "light-0");
  expect(refused).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/recorded on node light-0\nhint: .*--force/),
  });
  await becomes("unreachable");
  const early = await ramet("node", "rm", "--force", "light-0");
  expect(early).toMatchObject({
    exitCode: 4,
    stderr: expect.stringMatching(/node light-0 is unreachable, not lost/),
  });
  expect((await on(gone)).length).toBe(ids.length);
});

it("begins nothing there while it is out of reach: what is shown is what is", async () => {
  const [, id = ""] = ids;
  const shown = async () => (await fleet.ask("GET", `/sandboxes/${id}`)).body as { state: string };
  const refused = await fleet.ask("POST", `/sandboxes/${id}/pause`);
  expect(refused).toMatchObject({ status: 503, body: { message: expect.stringMatching(/is unreachable/) } });
  expect((await shown()).state).toBe("running");
  expect((await fleet.ask("POST", `/sandboxes/${id}/timeout`, { body: { timeout: 3600 } })).status).toBe(204);
});

it("is forgotten on demand once it is, with all that is recorded on it", async () => {
  await becomes("lost");
  // Killed by its owner, it stays on record until its node has heard of it.
  const [killed, ...others] = ids;
  expect((await fleet.ask("DELETE", `/sandboxes/${killed}`)).status).toBe(204);
  expect(await ramet("node", "drain", "light-0", "--wait")).toMatchObject({
    exitCode: 7,
    stderr: expect.stringMatching(/node light-0 is cordoned and lost, with 3 sandboxes\nhint: .*--force/),
  });
  const listed = await fleet.listed();
  expect(listed).toEqual(expect.arrayContaining(others));
  expect(await ramet("node", "rm", "--force", "light-0")).toMatchObject({ exitCode: 0, stdout: "light-0\n" });
  expect([...(await fleet.listed())].sort()).toEqual(listed.filter((id) => !ids.includes(id)).sort());
  for (const id of ids) expect((await fleet.ask("GET", `/sandboxes/${id}`)).status).toBe(404);
  expect((await fleet.admin<Shape<"node">[]>("GET", "/nodes")).map(({ name }) => name)).toEqual(["light-1"]);
});
