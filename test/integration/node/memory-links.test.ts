/** A filesystem gives a file so many names and no more; ext4 65,000. */
import { linkSync, mkdirSync, rmSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { drain, openBox, soon } from "../../support/box.js";
import { MiB, memoryOfSandbox, modelOf, openHolder } from "./holder.js";

const box = openBox("memory-links");
const holder = openHolder(box);
const namesMax = 70_000;
const names = () => join(box.test.dataDir, "names");

afterEach(() => rmSync(names(), { recursive: true, force: true }));

/** Gives a file names until it gets no more; tells how many. */
function useUp(path: string): number {
  mkdirSync(names());
  for (let count = 0; count < namesMax; count++) {
    try {
      linkSync(path, join(names(), String(count)));
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "EMLINK" });
      return count;
    }
  }
  throw new Error(`the filesystem of ${names()} gives a file more than ${namesMax} names`);
}

const tooMany = {
  code: "resource_exhausted",
  message: expect.stringContaining("has too many names"),
  hint: expect.stringContaining("delete sandboxes or checkpoints"),
};

it("what would need one name more is refused, leaves nothing, and works when there is one", async () => {
  const { id: source } = await box.create();
  await holder.start(source);
  const [{ id = "" } = {}] = await box.fork(source);
  const model = modelOf();
  await holder.put(id, model, "own", MiB, MiB);
  const checkpoint = await box.node.checkpoints.create(id, {}, soon());
  const restore = () =>
    box.node.sandboxes.create(
      { source: { kind: "checkpoint", checkpoint: checkpoint.id }, labels: {}, env: {} },
      soon(),
    );
  const count = useUp(memoryOfSandbox(box, id)[0]?.path ?? "");
  const before = await box.holdings();
  await expect(restore()).rejects.toMatchObject(tooMany);
  await expect(box.node.checkpoints.create(id, {}, soon())).rejects.toMatchObject(tooMany);
  await expect(box.node.sandboxes.pause(id, soon())).rejects.toMatchObject(tooMany);
  await expect(box.fork(id)).rejects.toMatchObject(tooMany);
  await box.expectNoLeak(before);
  await holder.expectExact(id, model);

  // One name for the checkpoint of the fork, and one for a clone.
  for (const last of [1, 2]) unlinkSync(join(names(), String(count - last)));
  const clones = (
    await drain(box.node.sandboxes.fork(id, { count: 2, labels: {}, env: {} }, soon()))
  ).flatMap((event) => (event.kind === "clone" ? [event.result] : []));
  expect(clones.filter(({ ok }) => !ok)).toEqual([{ ok: false, error: expect.objectContaining(tooMany) }]);
  const made = clones.flatMap((result) => (result.ok ? [result.sandbox.id] : []));
  expect(made).toHaveLength(1);
  await holder.expectExact(made[0] ?? "", model);

  rmSync(names(), { recursive: true });
  await holder.expectExact((await restore()).id, model);
  await holder.expectExact(id, model);
});
