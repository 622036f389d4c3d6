/** Keys as clients send them, over HTTP: whose they are, what their team may have, and when they stop. */
import type { AddressInfo } from "node:net";
import { fastify } from "fastify";
import { afterAll, beforeAll, expect, it } from "vitest";
import { e2bPlugin } from "../../../src/e2b/plugin.js";
import type { TeamLimits } from "../../../src/fleet/team.js";
import { openScope } from "../../../src/lib/scope.js";
import { openKeys } from "../../../src/registry/keys.js";
import { serverOptions } from "../../../src/registry/start.js";
import { openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-keys");
const scope = openScope();
const mebibyte = 1024 * 1024;
let url: string;
let keys: ReturnType<typeof openKeys>;

beforeAll(async () => {
  const now = () => new Date();
  keys = openKeys({ store: box.store, now });
  const app = fastify({ ...serverOptions });
  scope.defer(() => app.close());
  const authenticate = async (key: string | undefined) => ({
    team: await keys.authenticate(key),
    isOperator: false,
  });
  const settings = { timeoutMaxMs: 3_600_000, domain: null };
  await app.register(e2bPlugin({ registry: box.registry.registry, keys, authenticate, now, settings }));
  await app.listen({ host: "127.0.0.1", port: 0 });
  url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
});
afterAll(() => scope[Symbol.asyncDispose]());

async function newTeam(limits: TeamLimits = {}) {
  const { team } = await box.team(limits);
  const { key, record } = await keys.create(team, "test");
  const ask = async (method: string, path: string, body?: object, given: string | undefined = key) => {
    const answer = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(given === "" ? {} : { "x-api-key": given }),
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, body: text === "" ? undefined : JSON.parse(text) };
  };
  const create = () => ask("POST", "/v2/sandboxes", { templateID: "base" });
  return { team, key, record, ask, create };
}

it("lets each team at its own, and nobody else", async () => {
  const [one, other] = [await newTeam(), await newTeam()];
  const { sandboxID } = (await one.create()).body;
  expect((await one.ask("GET", "/v2/sandboxes")).body).toMatchObject([{ sandboxID }]);
  expect((await other.ask("GET", "/v2/sandboxes")).body).toEqual([]);
  expect(await other.ask("GET", `/sandboxes/${sandboxID}`)).toMatchObject({ status: 404 });
  expect(await other.ask("DELETE", `/sandboxes/${sandboxID}`)).toMatchObject({ status: 404 });
  for (const key of ["", `e2b_${"1".repeat(40)}`, "e2b_", "x".repeat(9000), one.key.toUpperCase()])
    expect(await one.ask("GET", "/v2/sandboxes", undefined, key)).toMatchObject({
      status: 401,
      body: { code: 401 },
    });
  expect(await one.ask("DELETE", `/sandboxes/${sandboxID}`)).toMatchObject({ status: 204 });
});

it.each<[string, TeamLimits, RegExp]>([
  ["running sandboxes", { sandboxes: 1 }, /may have 1 running sandboxes; it has 1, and 1 more/],
  ["cpu", { cpus: 1.5 }, /may have 1.5 cpus; it has 1, and 1 more/],
  [
    "memory",
    { memoryBytes: 300 * mebibyte },
    /may have 314572800 bytes of memory; it has 268435456, and 268435456/,
  ],
])("holds a team to its limit of %s", async (_what, limits, words) => {
  const team = await newTeam(limits);
  const { sandboxID } = (await team.create()).body;
  expect(await team.create()).toMatchObject({
    status: 429,
    body: { code: 429, message: expect.stringMatching(words) },
  });
  expect(await team.ask("DELETE", `/sandboxes/${sandboxID}`)).toMatchObject({ status: 204 });
  const again = await team.create();
  expect(again.status).toBe(201);
  await team.ask("DELETE", `/sandboxes/${again.body.sandboxID}`);
});

it("holds a team to its limit of clones being made", async () => {
  const team = await newTeam({ forksInFlight: 1 });
  const { sandboxID } = (await team.create()).body;
  expect(await team.ask("POST", `/sandboxes/${sandboxID}/fork`, { count: 2 })).toMatchObject({
    status: 429,
    body: { message: expect.stringMatching(/may have 1 clones being made; it has 0, and 2 more/) },
  });
  const [clone] = (await team.ask("POST", `/sandboxes/${sandboxID}/fork`, { count: 1 })).body;
  for (const id of [sandboxID, clone.sandbox.sandboxID]) await team.ask("DELETE", `/sandboxes/${id}`);
});

it("refuses a key from the moment that it is revoked", async () => {
  const team = await newTeam();
  expect(await team.ask("GET", "/v2/sandboxes")).toMatchObject({ status: 200 });
  await keys.revoke(team.team, team.record.id);
  expect(await team.ask("GET", "/v2/sandboxes")).toMatchObject({
    status: 401,
    body: { message: expect.stringMatching(/revoked|not valid|key/) },
  });
});
