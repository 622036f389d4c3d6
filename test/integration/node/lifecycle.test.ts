/** Real programs live through checkpoints, pauses and forks, with memory and files exact. */
import { describe, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";
import { type Facts, type Workload, workloads } from "./workloads.js";

const box = openBox("life");

/** Looks, and compares with what was seen before; gives what the next look has to compare with. */
async function checked(workload: Workload, ref: string, before: Facts): Promise<Facts> {
  const now = await workload.look(box, ref);
  expect(now.exact, workload.name).toEqual(before.exact);
  expect(now.progress, workload.name).toBeGreaterThanOrEqual(before.progress);
  return now;
}

describe("one program", () => {
  it.each(workloads.map((workload) => [workload.name, workload] as const))(
    "%s lives through a checkpoint, a pause and a fork",
    async (_name, workload) => {
      const { id } = await box.create();
      await workload.start(box, id);
      let facts = await workload.look(box, id);
      await box.node.checkpoints.create(id, {}, soon());
      facts = await checked(workload, id, facts);
      await box.node.sandboxes.pause(id, soon());
      await box.node.sandboxes.resume(id, soon());
      facts = await checked(workload, id, facts);
      const clones = await box.fork(id, { count: 2 });
      for (const ref of [id, ...clones.map((clone) => clone.id)]) {
        const first = await checked(workload, ref, facts);
        // And goes on.
        await checked(workload, ref, first);
        await workload.finish?.(box, ref);
      }
    },
  );
});

describe("all of them in one sandbox", () => {
  async function startAll(): Promise<{ id: string; facts: readonly Facts[] }> {
    const { id } = await box.create();
    for (const workload of workloads) await workload.start(box, id);
    return { id, facts: await Promise.all(workloads.map((workload) => workload.look(box, id))) };
  }
  const checkAll = (ref: string, facts: readonly Facts[]) =>
    Promise.all(
      workloads.map((workload, index) =>
        checked(workload, ref, facts[index] ?? { exact: null, progress: 0 }),
      ),
    );
  const finishAll = (ref: string) => Promise.all(workloads.map((workload) => workload.finish?.(box, ref)));

  it("pause and resume five times in a row", async () => {
    let { id, facts } = await startAll();
    for (let round = 0; round < 5; round++) {
      const { checkpoint } = await box.node.sandboxes.pause(id, soon());
      expect(checkpoint.memoryBytes).toBeGreaterThan(12 << 20);
      const before = (await box.node.sandboxes.get(id)).generation;
      const { generation } = await box.node.sandboxes.resume(id, soon());
      expect(generation).toBe(before + 1);
      expect(Number(await box.sh(id, "cat /.ramet/generation"))).toBe(generation);
      facts = await checkAll(id, facts);
    }
    await finishAll(id);
  });

  it("are forked, and the fork is forked, and that one's fork again", async () => {
    const first = await startAll();
    const generations = [first];
    for (let { id, facts } = first; generations.length < 4; ) {
      const [clone] = await box.fork(id);
      id = clone?.id ?? "";
      facts = await checkAll(id, facts);
      generations.push({ id, facts });
    }
    for (const { id, facts } of generations) {
      await checkAll(id, facts);
      await finishAll(id);
    }
  });
});
