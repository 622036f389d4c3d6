/** Pools over a real node: slots that are made, claimed, made again, and given back. */
import { fastify } from "fastify";
import { afterAll, beforeAll, expect, it } from "vitest";
import { adminPlugin } from "../../../src/admin/plugin.js";
import { poolRoutes } from "../../../src/admin/pools.js";
import { becomes } from "../../support/box.js";
import { runCli } from "../../support/cli.js";
import { openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-pools", { settings: { poolWindowMs: 2_000 } });
const log = { error: () => {} };
const admin = { prefix: "/admin/v1" };
let url: string;
let close: () => Promise<unknown>;

beforeAll(async () => {
  const app = fastify();
  await app.register(adminPlugin({ routes: poolRoutes({ pools: box.registry.pools }), log }), admin);
  url = await app.listen({ host: "127.0.0.1", port: 0 });
  close = () => app.close();
});
afterAll(() => close?.());

async function pool(...words: string[]) {
  const { exitCode, stdout, stderr } = await runCli(["pool", ...words, "--json", "--registry", url]);
  expect(exitCode, stderr).toBe(0);
  return JSON.parse(stdout === "" ? "null" : stdout);
}
const ready = async () => (await pool("get", "base")).state?.ready;

it("keeps warm slots, refills what is claimed, says why, and shrinks after its window", async () => {
  await pool("set", "base", "--min", "2", "--max-available", "0.5");
  await becomes("two warm slots", async () => (await ready()) === 2, 30_000);
  expect((await pool("get", "base")).state).toMatchObject({
    ...{ target: 2, placed: 2, claimed: 0, nodes: 1, problems: [] },
    why: "2 warm: min is 2 and 0 are claimed",
  });
  expect(await box.test.node.templates.list()).toMatchObject([{ template: { slots: { min: 2, max: 2 } } }]);

  // Half of the pool is to be warm: three claimed want three more.
  await pool("set", "base", "--min", "3", "--min-available", "0.5", "--max-available", "0.6");
  await becomes("three warm slots", async () => (await ready()) === 3, 30_000);
  const ids: string[] = [];
  for (const _ of [1, 2, 3]) {
    const made = await box.ask("POST", "/v2/sandboxes", { body: { templateID: "base" } });
    expect(made.status, JSON.stringify(made.body)).toBe(201);
    ids.push(made.body.sandboxID);
  }
  await becomes(
    "slots beside what is claimed",
    async () => {
      const { state } = await pool("get", "base");
      return state.claimed === 3 && state.ready === 3 && state.target === 3;
    },
    30_000,
  );

  for (const id of ids) await box.ask("DELETE", `/sandboxes/${id}`);
  await pool("set", "base", "--min", "1");
  await becomes(
    "a reason",
    async () => /1 would do, it shrinks at/.test((await pool("get", "base")).state.why),
    5_000,
  );
  await becomes("one warm slot", async () => (await ready()) === 1, 30_000);
  await pool("rm", "base");
  await becomes(
    "no slot",
    async () => {
      const [template] = await box.nodes.list().flatMap(({ report }) => report?.templates ?? []);
      return template?.slotsReady === 0;
    },
    30_000,
  );
  expect((await runCli(["pool", "get", "base", "--registry", url])).exitCode).toBe(3);
}, 120_000);
