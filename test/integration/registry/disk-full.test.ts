/** A registry whose disk is full: what it answers, and that nothing it acknowledged is lost. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { runProgram } from "../../../src/lib/run-program.js";
import { openScope } from "../../../src/lib/scope.js";
import { waitUntil } from "../../../src/lib/signal.js";
import { type LightFleet, openLightFleet } from "../../support/light-fleet.js";
import { findWrong, readRecorded } from "../../support/ownership.js";

const scope = openScope();
let fleet: LightFleet;
let filler: string;

beforeAll(async () => {
  const directory = await mkdtemp(join(tmpdir(), "ramet-registry-full-"));
  scope.defer(() => rm(directory, { recursive: true, force: true }));
  const disk = join(directory, "disk");
  await mkdir(disk);
  const run = async (program: string, ...args: string[]) =>
    expect(await runProgram(program, args, { timeoutMs: 10_000 })).toMatchObject({ complaint: "" });
  await run("mount", "-t", "tmpfs", "-o", "size=8m,mode=0700", "tmpfs", disk);
  scope.defer(() => run("umount", disk));
  filler = join(disk, "filler");
  fleet = scope.use(await openLightFleet({ directory, dataDir: join(disk, "registry"), nodes: 2 }));
});
afterAll(() => scope[Symbol.asyncDispose]());

const url = "/v2/sandboxes";
const metadata = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, "x".repeat(1000)]));
const body = { templateID: "base", timeout: 3600, metadata };
const create = (key?: string) => fleet.ask("POST", url, { body, ...(key === undefined ? {} : { key }) });
const statusOf = async (id: string) => (await fleet.ask("GET", `/sandboxes/${id}`)).status;

/** Gives the answer of the first that fails. */
async function createUntilRefused(told: string[]) {
  for (let count = 0; count < 3000; count++) {
    const answer = await create();
    if (answer.status !== 201) return answer;
    told.push(answer.body.sandboxID);
  }
  throw new Error("the disk is never full");
}

it("reads on, refuses what is to be written and says when to come again, and loses nothing", async () => {
  const told: string[] = [];
  for (let count = 0; count < 20; count++) told.push((await create()).body.sandboxID);
  const short = { ...body, timeout: 1 };
  const due = (await fleet.ask("POST", url, { body: short })).body.sandboxID;
  await writeFile(filler, Buffer.alloc(8 << 20)).catch((thrown) => expect(thrown.code).toBe("ENOSPC"));
  const refused = await createUntilRefused(told);
  expect(refused).toMatchObject({ status: 503, body: { code: 503 } });
  expect(refused.body.message).toMatch(/cannot write.*disk needs room/s);
  expect(refused.headers.get("retry-after")).toBe("1");

  const [one = "", other = ""] = told;
  const writes = [
    await create("again"),
    await fleet.ask("DELETE", `/sandboxes/${one}`),
    await fleet.ask("POST", `/sandboxes/${other}/fork`, { body: { count: 2 } }),
    await fleet.ask("POST", `/sandboxes/${other}/pause`),
  ];
  expect(writes.map(({ status }) => status)).toEqual([503, 503, 503, 503]);
  expect(await statusOf(other)).toBe(200);
  const listed = await fleet.listed();
  expect(told.filter((id) => !listed.includes(id))).toEqual([]);
  // What was made for those that were refused is gone again.
  expect([...(await fleet.held()).values()].flat().sort()).toEqual([...told, due].sort());

  await rm(filler);
  await waitUntil("room", async () => (await create("again")).status === 201, {
    ...{ intervalMs: 100, timeoutMs: 20_000 },
  });
  told.push((await create("again")).body.sandboxID, (await create()).body.sandboxID);
  expect((await fleet.ask("DELETE", `/sandboxes/${one}`)).status).toBe(204);
  // Its time was up while nothing could be written.
  await waitUntil("the one that was due", async () => (await statusOf(due)) === 404, {
    ...{ intervalMs: 100, timeoutMs: 20_000 },
  });
  // Its record is the last of it to go: one that says that it is being ended is seen to by the next start.
  const isGone = async () => ![...(await fleet.held()).values()].flat().includes(due);
  await waitUntil("its end on the node", isGone, {
    ...{ intervalMs: 100, timeoutMs: 20_000 },
  });
  await fleet.kill();
  const all = await readRecorded(fleet.dataDir);
  const recorded = new Map([...all].filter(([id]) => id !== due));
  const acknowledged = told.filter((id) => id !== one);
  expect(findWrong({ recorded, held: await fleet.held(), acknowledged })).toEqual([]);
}, 60_000);
