/** A registry that is killed under load, and clients that go away: who owns what, in the end. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openScope } from "../../../src/lib/scope.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { type LightFleet, openLightFleet } from "../../support/light-fleet.js";
import { findWrong, readRecorded } from "../../support/ownership.js";

const scope = openScope();
let fleet: LightFleet;
beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "ramet-killed-"));
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  const dataDir = join(directory, "registry");
  // Long enough that whatever ends in the middle of a restore does so now and then.
  fleet = scope.use(await openLightFleet({ directory, dataDir, nodes: 4, restoreMs: 20 }));
});
afterAll(() => scope[Symbol.asyncDispose]());

const create = "/v2/sandboxes";
const sandboxOf = { templateID: "base", timeout: 3600 };
const heldIds = async () => [...(await fleet.held()).values()].flat();

/** Once nodes have what is recorded and nothing else. */
const settled = () =>
  waitUntil(
    "that nodes and records agree",
    async () => (await heldIds()).sort().join() === [...(await fleet.listed())].sort().join(),
    { intervalMs: 200, timeoutMs: 40_000 },
  );

interface Told {
  readonly ids: string[];
  /** By idempotency key: the sandboxes of each answer. */
  readonly byKey: Map<string, string[]>;
  cut: number;
}

/** Asks without end until it is told to stop: creates with and without a key, and forks. */
async function client(name: string, told: Told, isOver: () => boolean): Promise<void> {
  for (let count = 0; !isOver(); count++) {
    const key = count % 2 === 0 ? `${name}-${count}` : undefined;
    const ids = key !== undefined && count % 6 === 0 ? await forkOf(told, key) : await createOf(told, key);
    told.ids.push(...ids);
    if (key !== undefined) told.byKey.set(key, ids);
  }
}

const createOf = async (told: Told, key: string | undefined): Promise<string[]> => {
  const body = await answered(told, create, sandboxOf, key);
  return body === undefined ? [] : [body.sandboxID];
};

const forkOf = async (told: Told, key: string): Promise<string[]> =>
  clonesOf(await answered(told, `/sandboxes/${told.ids[0]}/fork`, { count: 3, timeout: 3600 }, key));

/** With a key, it is asked for until it is answered. */
async function answered(told: Told, path: string, body: object, key: string | undefined) {
  for (;;) {
    const options = { body, ...(key === undefined ? {} : { key }) };
    const answer = await fleet.ask("POST", path, options).catch(() => undefined);
    if (answer?.status === 201) return answer.body;
    told.cut += 1;
    // The registry is away, or its nodes have not come back to it.
    if (answer !== undefined) expect(answer).toMatchObject({ status: 503 });
    if (key === undefined) return undefined;
    await wait(50);
  }
}

const clonesOf = (body: { sandbox: { sandboxID: string } }[]) => body.map(({ sandbox }) => sandbox.sandboxID);

it("leaves nothing of a create or a fork whose client went away in the middle of it", async () => {
  const source = (await fleet.ask("POST", create, { body: sandboxOf })).body.sandboxID;
  await settled();
  const before = (await heldIds()).sort();
  const hangUp = (path: string, body: object, afterMs: number) =>
    fleet.ask("POST", path, { body, signal: AbortSignal.timeout(afterMs) }).then(
      () => "answered",
      () => "gone",
    );
  const outcomes = await Promise.all([
    ...[1, 5, 10, 15].map((ms) => hangUp(create, sandboxOf, ms)),
    ...[10, 30, 50, 70].map((ms) => hangUp(`/sandboxes/${source}/fork`, { count: 50 }, ms)),
  ]);
  expect(outcomes).not.toContain("answered");
  await waitUntil("nothing new", async () => (await heldIds()).sort().join() === before.join(), {
    ...{ intervalMs: 100, timeoutMs: 40_000 },
  });
  expect([...(await fleet.listed())].sort()).toEqual(before);
}, 60_000);

it("killed under load, loses nothing that it acknowledged, and leaves and gives nothing twice", async () => {
  const told: Told = { ids: [], byKey: new Map(), cut: 0 };
  const first = await fleet.ask("POST", create, { body: sandboxOf });
  told.ids.push(first.body.sandboxID);
  const { endAt } = (await fleet.ask("GET", `/sandboxes/${told.ids[0]}`)).body;
  let isOver = false;
  const clients = Array.from({ length: 12 }, (_, index) => client(`client-${index}`, told, () => isOver));
  for (const lastsMs of [700, 400]) {
    await wait(lastsMs);
    await fleet.kill();
    await fleet.start();
  }
  await wait(400);
  isOver = true;
  await Promise.all(clients);
  expect(told.cut).toBeGreaterThan(2);
  for (const [key, ids] of [...told.byKey].slice(0, 5).filter(([, one]) => one.length === 1))
    expect((await fleet.ask("POST", create, { body: sandboxOf, key })).body.sandboxID).toBe(ids[0]);
  await settled();
  const after = (await fleet.ask("GET", `/sandboxes/${told.ids[0]}`)).body;
  expect(after).toMatchObject({ endAt, state: "running" });
  await fleet.kill();
  const recorded = await readRecorded(fleet.dataDir);
  expect(findWrong({ recorded, held: await fleet.held(), acknowledged: told.ids })).toEqual([]);
}, 180_000);
