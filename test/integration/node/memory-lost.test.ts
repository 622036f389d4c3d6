/** Memory files that somebody takes away or shortens by hand: nothing is kept that could not come back. */
import { rmSync, truncateSync } from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, it } from "vitest";
import { openHost } from "../../../src/doctor/host.js";
import { checkSharedMemory } from "../../../src/doctor/memory.js";
import { openBox, soon } from "../../support/box.js";
import { testRuntime } from "../../support/containerd.js";
import { MiB, memoryOfSandbox, modelOf, openHolder } from "./holder.js";

const box = openBox("memory-lost");
const holder = openHolder(box);

/** A clone, and the memory file that it maps. */
async function startClone(): Promise<{ readonly id: string; readonly path: string }> {
  const { id: source } = await box.create();
  await holder.start(source);
  const [{ id = "" } = {}] = await box.fork(source);
  await box.node.sandboxes.delete(source, { force: true }, soon());
  return { id, path: memoryOfSandbox(box, id)[0]?.path ?? "" };
}

const takings = (id: string): readonly (() => Promise<unknown>)[] => [
  () => box.node.checkpoints.create(id, {}, soon()),
  () => box.node.sandboxes.pause(id, soon()),
  () => box.fork(id),
];

/** What the doctor says of shared memory on this machine. */
function examine(): ReturnType<typeof checkSharedMemory> {
  const { address, state, root, prefix } = testRuntime();
  const config = {
    ...{ dataDir: root, runDir: dirname(state), prefix, socket: join(root, "agent.sock") },
    ...{ containerd: { address, namespace: "ramet", stateDir: state }, memory: { sharing: "on" } as const },
  };
  return checkSharedMemory(openHost(config, soon()));
}

/** Each is refused, the sandbox is as it was, and the doctor names it. */
async function expectRefused(id: string, says: RegExp): Promise<void> {
  expect(await examine()).toMatchObject({
    status: "failure",
    detail: expect.stringMatching(/memory files were (removed|shortened)/),
    fix: expect.stringContaining(id),
  });
  const before = await box.holdings();
  for (const take of takings(id)) {
    await expect(take()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringMatching(says),
      hint: expect.stringContaining("ramet doctor"),
    });
    expect(await box.sh(id, "echo runs on")).toBe("runs on");
  }
  await box.expectNoLeak(before);
}

describe("a running clone cannot be checkpointed, paused or forked", () => {
  it("while its memory file has lost its only name", async () => {
    const { id, path } = await startClone();
    rmSync(path);
    await expectRefused(id, /memory file \S+ is missing/);
    const model = modelOf();
    await holder.put(id, model, "on", MiB, 4 * MiB);
    await expectRefused(id, /memory file \S+ is missing/);
    await holder.expectExact(id, model);
  });

  it("while its memory file has lost this name, until it is rolled back", async () => {
    const { id, path } = await startClone();
    const { id: checkpoint } = await box.node.checkpoints.create(id, {}, soon());
    rmSync(path);
    await expectRefused(id, /memory file \S+ was taken away/);
    await box.node.sandboxes.rollBack(id, { checkpoint }, soon());
    const [clone] = await box.fork(id);
    await holder.expectExact(clone?.id ?? "", modelOf());
  });

  it.each([0, 4096])("whose memory file was shortened to %d bytes", async (bytes) => {
    const { id, path } = await startClone();
    truncateSync(path, bytes);
    await expectRefused(id, new RegExp(`memory file \\S+ has ${bytes} bytes, of which \\d+ are mapped`));
    const { layerBytes } = await box.node.sandboxes.commit(
      id,
      { image: "saved", env: {}, cmd: [], entrypoint: [], replace: false },
      soon(),
    );
    expect(layerBytes).toBeGreaterThan(0);
  });
});
