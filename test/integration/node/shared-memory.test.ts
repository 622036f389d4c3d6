/** Sandboxes from one checkpoint share its memory, and each has it exact, over generations. */
import { describe, expect, it } from "vitest";
import type { Sandbox } from "../../../src/sandbox/sandbox.js";
import { openBox, soon } from "../../support/box.js";
import { memorydAt } from "../../support/memoryd.js";
import {
  heldBytes,
  type MemoryFile,
  MiB,
  memoryOfCheckpoint,
  memoryOfSandbox,
  modelOf,
  openHolder,
} from "./holder.js";

const box = openBox("shared-memory");
const holder = openHolder(box);
const onePercent = Math.ceil(heldBytes / 100);

const restore = (checkpoint: string) =>
  box.node.sandboxes.create({ source: { kind: "checkpoint", checkpoint }, labels: {}, env: {} }, soon());

const fromTemplate = (template: string) =>
  box.node.sandboxes.create({ source: { kind: "template", template }, labels: {}, env: {} }, soon());

async function startHolding(): Promise<{ id: string; pid: number }> {
  const { id } = await box.create();
  return { id, pid: await holder.start(id) };
}

async function forkOne(ref: string): Promise<string> {
  const [clone] = await box.fork(ref);
  return clone?.id ?? "";
}

/** The file with the bulk, which is the same for all of them. */
function theirFile(ids: readonly string[]): MemoryFile {
  const files = ids.map((id) => memoryOfSandbox(box, id)[0]);
  expect(new Set(files.map((file) => file?.inode)).size).toBe(1);
  const [file] = files;
  if (file === undefined) throw new Error("there is no memory file");
  expect(file.bytes).toBeGreaterThanOrEqual(heldBytes);
  return file;
}

describe("clones", () => {
  it("have the memory of a template exact, and share it", async () => {
    await holder.buildTemplate("holding");
    const made: Sandbox[] = [];
    for (const _ of [1, 2, 3]) made.push(await fromTemplate("holding"));
    for (const { id } of made) await holder.expectExact(id, modelOf());
    theirFile(made.map(({ id }) => id));
  });

  it("have the memory of a fork exact, and one file of it", async () => {
    const { id, pid } = await startHolding();
    const clones = (await box.fork(id, { count: 4 })).map((clone) => clone.id);
    for (const ref of [id, ...clones]) await holder.expectExact(ref, modelOf());
    // The checkpoint of a fork has given its own name up.
    expect(theirFile(clones).links).toBe(4);
    for (const ref of clones) {
      const { anonymous, resident, share } = await holder.usage(ref, pid);
      expect(resident).toBeGreaterThan(heldBytes);
      expect(anonymous).toBeLessThan(heldBytes / 8);
      expect(share).toBeLessThan(heldBytes / 2);
    }
  });

  it("have what they write for themselves", async () => {
    const { id, pid } = await startHolding();
    const checkpoint = await box.node.checkpoints.create(id, { name: "c" }, soon());
    const [one = "", other = ""] = (await box.fork(id, { count: 2 })).map((clone) => clone.id);
    const model = modelOf();
    await holder.put(one, model, "everything", 0, heldBytes);
    expect((await holder.usage(one, pid)).anonymous).toBeGreaterThanOrEqual(heldBytes);
    const source = modelOf();
    await holder.put(id, source, "source", 5 * MiB + 1, 10 * MiB);
    await holder.expectExact(other, modelOf());
    await holder.expectExact((await restore(checkpoint.id)).id, modelOf());
    await holder.expectExact(one, model);
    expect(await box.node.checkpoints.verify("c", soon())).toEqual([]);
  });

  it("of clones of clones have what each of these wrote", async () => {
    const { id } = await startHolding();
    const model = modelOf();
    const generations = [{ id, model }];
    for (let depth = 1; depth <= 4; depth++) {
      const last = generations.at(-1) ?? { id, model };
      const next = { id: await forkOne(last.id), model: last.model.copy() };
      await holder.expectExact(next.id, next.model);
      await holder.put(next.id, next.model, `generation-${depth}`, depth * 5 * MiB + 77, 3 * MiB);
      await holder.drop(next.id, next.model, depth * 3 * MiB, MiB + depth * 4096);
      generations.push(next);
    }
    for (const generation of generations) await holder.expectExact(generation.id, generation.model);
  });
});

describe("a checkpoint of a clone", () => {
  it("has little of its own, and restores exactly, in every generation", async () => {
    const first = await startHolding();
    let ref = await forkOne(first.id);
    const model = modelOf();
    for (let depth = 1; depth <= 3; depth++) {
      await holder.put(ref, model, `change-${depth}`, depth * 9 * MiB, onePercent);
      const checkpoint = await box.node.checkpoints.create(ref, {}, soon());
      expect(checkpoint.memoryBytes).toBeGreaterThanOrEqual(onePercent);
      expect(checkpoint.memoryBytes).toBeLessThan(heldBytes / 4);
      expect(checkpoint.inheritedBytes).toBeGreaterThanOrEqual(heldBytes);
      expect(await box.node.checkpoints.verify(checkpoint.id, soon())).toEqual([]);
      const restored = await restore(checkpoint.id);
      await holder.expectExact(restored.id, model);
      const shared = theirFile([ref, restored.id]);
      expect(memoryOfCheckpoint(box, checkpoint.id)[0]?.inode).toBe(shared.inode);
      ref = restored.id;
    }
    await holder.expectExact(first.id, modelOf());
  });

  it("counts as its own what a first one moves, and nothing as inherited", async () => {
    const { id } = await startHolding();
    const { memoryBytes, inheritedBytes } = await box.node.checkpoints.create(id, {}, soon());
    expect(memoryBytes).toBeGreaterThanOrEqual(heldBytes);
    expect(inheritedBytes).toBe(0);
  });
});

describe("a clone", () => {
  it("is paused and resumed five times in a row", async () => {
    const source = await startHolding();
    const id = await forkOne(source.id);
    const model = modelOf();
    for (let round = 0; round < 5; round++) {
      await holder.put(id, model, `round-${round}`, round * 6 * MiB + 33, 2 * onePercent);
      await holder.drop(id, model, round * 2 * MiB, MiB);
      const { checkpoint } = await box.node.sandboxes.pause(id, soon());
      expect(checkpoint.memoryBytes).toBeLessThan(heldBytes / 2);
      expect(checkpoint.inheritedBytes).toBeGreaterThanOrEqual(heldBytes);
      await box.node.sandboxes.resume(id, soon());
      await holder.expectExact(id, model);
    }
    await holder.expectExact(await forkOne(id), model);
    await holder.expectExact(source.id, modelOf());
  });

  it("is rolled back in place", async () => {
    const id = await forkOne((await startHolding()).id);
    const before = modelOf();
    await holder.put(id, before, "before", 3 * MiB, MiB);
    const checkpoint = await box.node.checkpoints.create(id, {}, soon());
    const after = before.copy();
    await holder.put(id, after, "after", 0, 20 * MiB);
    await holder.drop(id, after, 0, 2 * MiB);
    for (const _ of [1, 2]) {
      await box.node.sandboxes.rollBack(id, { checkpoint: checkpoint.id }, soon());
      await holder.expectExact(id, before);
      await holder.put(id, before.copy(), "lost", 7 * MiB, 5 * MiB);
    }
  });

  it("is kept, and takes its source's place", async () => {
    const { id } = await startHolding();
    const [winner = ""] = (await box.fork(id, { count: 3 })).map((clone) => clone.id);
    const model = modelOf();
    await holder.put(winner, model, "winner", 11, 4 * MiB);
    await box.node.sandboxes.keep(winner, { replaceSource: true }, soon());
    await holder.expectExact(winner, model);
    await holder.expectExact(await forkOne(winner), model);
  });
});

describe("a process that is small", () => {
  it("keeps its memory in the images, and needs no memoryd", async () => {
    const { id } = await box.create();
    await box.start(id, ["sleep", "1000"]);
    process.kill(memorydAt(box.test.memorydSocket), "SIGKILL");
    const clone = await forkOne(id);
    expect(memoryOfSandbox(box, clone)).toEqual([]);
    const checkpoint = await box.node.checkpoints.create(clone, {}, soon());
    expect(checkpoint.inheritedBytes).toBe(0);
    const restored = await restore(checkpoint.id);
    expect(await box.sh(restored.id, "pgrep -x sleep")).toMatch(/^\d+$/);
    expect(() => memorydAt(box.test.memorydSocket)).toThrow("nobody listens");
  });
});
