/** Clones and the memory that they share outlive where it came from, and who answers for it. */
import { closeSync, fstatSync, openSync } from "node:fs";
import { afterEach, describe, expect, it } from "vitest";
import { becomes, openBox, soon } from "../../support/box.js";
import { memorydAt, serversOf } from "../../support/memoryd.js";
import { MiB, type Model, memoryOfSandbox, modelOf, openHolder } from "./holder.js";

const box = openBox("memory-life");
const holder = openHolder(box);
const opened: number[] = [];

afterEach(() => {
  for (const fd of opened.splice(0)) closeSync(fd);
});

const remove = (ref: string) => box.node.sandboxes.delete(ref, { force: true }, soon());

const create = (source: Parameters<typeof box.node.sandboxes.create>[0]["source"]) =>
  box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());

async function startHolding(): Promise<string> {
  const { id } = await box.create();
  await holder.start(id);
  return id;
}

const fork = async (ref: string, count: number) => (await box.fork(ref, { count })).map(({ id }) => id);

/** Counts the names that the bulk of a sandbox's memory has, also when the sandbox is gone. */
function linksOf(id: string): () => number {
  const fd = openSync(memoryOfSandbox(box, id)[0]?.path ?? "", "r");
  opened.push(fd);
  return () => fstatSync(fd).nlink;
}

/** Is forked, paused and resumed, writes and drops, and everything is exact. */
async function goesOn(ref: string, model: Model): Promise<void> {
  await holder.expectExact(ref, model);
  await holder.put(ref, model, "on", 12 * MiB + 5, MiB);
  await holder.drop(ref, model, 2 * MiB, MiB);
  const [clone = ""] = await fork(ref, 1);
  await box.node.sandboxes.pause(ref, soon());
  await box.node.sandboxes.resume(ref, soon());
  await holder.expectExact(ref, model);
  await holder.expectExact(clone, model);
  await remove(clone);
}

describe("clones go on exactly, and their memory goes with the last of them, when", () => {
  it("their source is removed", async () => {
    const source = await startHolding();
    const [one = "", other = ""] = await fork(source, 2);
    const links = linksOf(one);
    await remove(source);
    await goesOn(one, modelOf());
    await remove(one);
    expect(links()).toBe(1);
    await goesOn(other, modelOf());
    await remove(other);
    expect(links()).toBe(0);
  });

  it("one in the middle of their lineage is removed", async () => {
    const model = modelOf();
    const first = await startHolding();
    const [second = ""] = await fork(first, 1);
    await holder.put(second, model, "second", 20 * MiB, MiB);
    const [third = ""] = await fork(second, 1);
    const links = linksOf(third);
    await remove(first);
    await remove(second);
    await goesOn(third, model);
    await remove(third);
    expect(links()).toBe(0);
  });

  it("the template is removed that they come from", async () => {
    await holder.buildTemplate("held");
    const { id } = await create({ kind: "template", template: "held" });
    const links = linksOf(id);
    await box.node.templates.delete("held", soon());
    await goesOn(id, modelOf());
    await remove(id);
    await becomes("the file goes", async () => links() === 0);
  });

  it("checkpoints are removed", async () => {
    const source = await startHolding();
    const first = await box.node.checkpoints.create(source, {}, soon());
    const { id } = await create({ kind: "checkpoint", checkpoint: first.id });
    const links = linksOf(id);
    const model = modelOf();
    await holder.put(id, model, "more", 0, MiB);
    const second = await box.node.checkpoints.create(id, {}, soon());
    expect(links()).toBe(3);
    await box.node.checkpoints.delete(second.id, soon());
    expect(links()).toBe(2);
    await remove(source);
    await goesOn(id, model);
    await expect(box.node.checkpoints.delete(first.id, soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
    await remove(id);
    expect(links()).toBe(1);
    await box.node.checkpoints.delete(first.id, soon());
    expect(links()).toBe(0);
  });

  it("they are paused, and what they came from is removed meanwhile", async () => {
    const source = await startHolding();
    const [clone = ""] = await fork(source, 1);
    await box.node.sandboxes.pause(clone, soon());
    await remove(source);
    await box.node.sandboxes.resume(clone, soon());
    await goesOn(clone, modelOf());
  });
});

describe("what clones drop reads as zeros, and they can be forked, when", () => {
  it("the agent is started again", async () => {
    const [clone = ""] = await fork(await startHolding(), 1);
    const model = modelOf();
    await box.test.restart();
    await holder.drop(clone, model, MiB, 3 * MiB);
    await holder.drop(clone, model, 8 * MiB, 4096);
    await goesOn(clone, model);
    await box.test.restart();
    await goesOn(clone, model);
  });

  it("memoryd is killed", async () => {
    const [clone = ""] = await fork(await startHolding(), 1);
    const model = modelOf();
    const killed = memorydAt(box.test.memorydSocket);
    process.kill(killed, "SIGKILL");
    await becomes("it is gone", async () => serversOf(process.pid).every((pid) => pid !== killed));
    await holder.drop(clone, model, MiB, 3 * MiB);
    await holder.drop(clone, model, 8 * MiB, 4096);
    await goesOn(clone, model);
    expect(memorydAt(box.test.memorydSocket)).not.toBe(killed);
  });

  it("the processes that serve them are killed", async () => {
    const clones = await fork(await startHolding(), 2);
    const servers = serversOf(memorydAt(box.test.memorydSocket));
    expect(servers.length).toBeGreaterThanOrEqual(2);
    for (const server of servers) process.kill(server, "SIGKILL");
    for (const clone of clones) {
      const model = modelOf();
      await holder.drop(clone, model, MiB, 3 * MiB);
      await holder.drop(clone, model, 8 * MiB, 4096);
      await goesOn(clone, model);
    }
  });
});
