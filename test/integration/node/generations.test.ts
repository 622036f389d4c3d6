/** However many generations a sandbox's memory has gone through: it is exact, and what it costs has a bound. */
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Checkpoint } from "../../../src/checkpoint/checkpoint.js";
import { filesMax } from "../../../src/criu/image/fold.js";
import { drain, openBox, soon } from "../../support/box.js";
import {
  MiB,
  type Model,
  memoryOfCheckpoint,
  memoryOfSandbox,
  modelOf,
  openHolder,
  pattern,
} from "./holder.js";

const box = openBox("generations");
const holder = openHolder(box);
const bytes = 16 * MiB;
const firstModel = () => modelOf(pattern("first", bytes));

const restore = (checkpoint: string) =>
  box.node.sandboxes.create({ source: { kind: "checkpoint", checkpoint }, labels: {}, env: {} }, soon());

const remove = (ref: string) => box.node.sandboxes.delete(ref, { force: true }, soon());

/** Changes a stretch of 2 MiB at another place in each generation, and pages here and there. */
async function change(ref: string, model: Model, generation: number): Promise<void> {
  const at = ((generation * 5) % 7) * 2 * MiB + generation * 4099;
  await holder.put(ref, model, `stretch-${generation}`, at, 2 * MiB);
  await holder.scatter(ref, model, `pages-${generation}`, 24);
  if (generation % 9 === 0) await holder.drop(ref, model, (generation / 9) * MiB, MiB + 8192);
}

async function fork(ref: string): Promise<{ readonly id: string; readonly taken: Checkpoint }> {
  const events = await drain(box.node.sandboxes.fork(ref, { count: 1, labels: {}, env: {} }, soon()));
  const [taken, clone] = events;
  if (taken?.kind !== "taken" || clone?.kind !== "clone") throw new Error(JSON.stringify(events));
  if (!clone.result.ok) throw clone.result.error;
  return { id: clone.result.sandbox.id, taken: taken.checkpoint };
}

describe("two dozen generations", () => {
  it("of clones have memory that is exact, in few files and mappings, with little of their own", async () => {
    let id: string = (await box.create()).id;
    const pid = await holder.start(id, bytes);
    const model = firstModel();
    const first = await holder.usage(id, pid);
    const filesSeen = new Set<number>();
    const kept: { readonly checkpoint: Checkpoint; readonly model: Model }[] = [];
    for (let generation = 1; generation <= 24; generation++) {
      const source = id;
      ({ id } = await fork(source));
      await remove(source);
      const { anonymous, mappings } = await holder.usage(id, pid);
      await holder.expectExact(id, model);
      const { length: files } = memoryOfSandbox(box, id);
      filesSeen.add(files);
      expect(mappings - first.mappings).toBeLessThan(128);
      // What moves is 4 MiB and more; below it, an eighth of each granule, and a stack.
      expect(anonymous).toBeLessThan(8 * MiB);
      await change(id, model, generation);
      if (generation % 8 === 0)
        kept.push({ checkpoint: await box.node.checkpoints.create(id, {}, soon()), model: model.copy() });
    }
    expect(Math.max(...filesSeen)).toBe(filesMax);
    for (const { checkpoint, model: then } of kept) {
      expect(await box.node.checkpoints.verify(checkpoint.id, soon())).toEqual([]);
      await holder.expectExact((await restore(checkpoint.id)).id, then);
    }
  }, 300_000);
});

describe("checkpoints of one lineage", () => {
  it("have what they say of their own, and what they inherit", async () => {
    let id: string = (await box.create()).id;
    await holder.start(id, bytes);
    const model = firstModel();
    const checkpoints: Checkpoint[] = [];
    for (let generation = 1; generation <= 12; generation++) {
      await change(id, model, generation);
      checkpoints.push(await box.node.checkpoints.create(id, {}, soon()));
      const source = id;
      id = (await restore(checkpoints.at(-1)?.id ?? "")).id;
      await remove(source);
      await holder.expectExact(id, model);
    }
    const inodes = new Map<number, number>();
    for (const checkpoint of checkpoints) {
      const files = filesOf(checkpoint.id);
      const all = files.reduce((sum, file) => sum + file.bytes, 0);
      const own = files.filter(({ inode }) => !inodes.has(inode));
      const ownBytes = own.reduce((sum, file) => sum + file.bytes, 0);
      // The filesystem counts blocks in which it describes a file, once it has written it.
      expect(Math.abs(ownBytes - checkpoint.memoryBytes)).toBeLessThan(MiB / 8);
      expect(Math.abs(all - ownBytes - checkpoint.inheritedBytes)).toBeLessThan(MiB / 8);
      for (const { inode, bytes } of own) inodes.set(inode, bytes);
    }
    const folding = checkpoints.filter(({ id: of }) =>
      memoryOfCheckpoint(box, of).some(({ name }) => name.startsWith(of)),
    );
    expect(folding.length).toBeGreaterThan(3);
  }, 200_000);

  it("go on after a failure in the middle of folding, of which nothing stays", async () => {
    let id: string = (await box.create()).id;
    await holder.start(id, bytes);
    const model = firstModel();
    ({ id } = await fork(id));
    await holder.put(id, model, "much", MiB, 9 * MiB);
    await box.test.restart(undefined, "checkpoint.moved=error");
    const before = await box.holdings();
    await expect(box.node.checkpoints.create(id, {}, soon())).rejects.toThrow("failpoint checkpoint.moved");
    await expect(fork(id)).rejects.toThrow("failpoint checkpoint.moved");
    await box.expectNoLeak(before);
    await holder.expectExact(id, model);
    await box.test.restart();
    const checkpoint = await box.node.checkpoints.create(id, {}, soon());
    expect(memoryOfCheckpoint(box, checkpoint.id).map(({ name }) => name.split("-")[0])).toContain(
      checkpoint.id,
    );
    await holder.expectExact((await restore(checkpoint.id)).id, model);
  });
});

/** Pages and memory files of a checkpoint, with what they take. */
function filesOf(id: string): { readonly inode: number; readonly bytes: number }[] {
  const directory = join(box.test.dataDir, "checkpoints", id);
  const pages = readdirSync(join(directory, "images")).filter((name) => name.startsWith("pages-"));
  const paths = [
    ...pages.map((name) => join(directory, "images", name)),
    ...memoryOfCheckpoint(box, id).map(({ path }) => path),
  ];
  return paths.map((path) => {
    const { ino: inode, size, blocks } = statSync(path);
    return { inode, bytes: Math.min(size, 512 * blocks) };
  });
}
