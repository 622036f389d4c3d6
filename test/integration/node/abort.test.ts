/** Operations whose caller gives up at any moment: they are done or they are undone, and nothing is left over. */
import { describe, expect, it } from "vitest";
import { drain, image, openBox, soon } from "../../support/box.js";

const box = openBox("abort");

/** From before the first step to after most of the operations' ends. */
const moments = [0, 1, 5, 20, 45, 80, 120, 180, 300];
const none = { env: {}, cmd: [], entrypoint: [], replace: true };

/** Aborts after a while. True when the operation was over before. */
async function finishes(work: (signal: AbortSignal) => Promise<unknown>, afterMs: number): Promise<boolean> {
  const reason = new DOMException("the caller left", "AbortError");
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(reason), afterMs);
  try {
    await work(abort.signal);
    return true;
  } catch (thrown) {
    if (!abort.signal.aborted) throw thrown;
    return false;
  } finally {
    clearTimeout(timer);
  }
}

const spec = {
  ...{
    name: "given-up",
    image,
    startCommand: "sleep 1000",
    readyCommand: "sleep 0.1",
    readyTimeoutMs: 10_000,
  },
  ...{ env: {}, limits: {}, allowPrivilegeEscalation: false },
};

describe("without a sandbox", () => {
  it.each([
    [
      "a cold start",
      (signal: AbortSignal) => {
        const source = { kind: "image", image, limits: {}, allowPrivilegeEscalation: false } as const;
        return box.node.sandboxes.create({ source, labels: {}, env: {} }, signal);
      },
    ],
    [
      "a restore",
      (signal: AbortSignal) => {
        const source = { kind: "template", template: "base" } as const;
        return box.node.sandboxes.create({ source, labels: {}, env: {} }, signal);
      },
    ],
    [
      "a template's build",
      (signal: AbortSignal) => drain(box.node.templates.build(spec, { replace: true }, signal)),
    ],
  ] as const)("%s", async (_name, operation) => {
    const before = await box.holdings();
    for (const moment of moments) {
      const isDone = await finishes(operation, moment);
      const sandboxes = await box.node.sandboxes.list({ statuses: [], labels: {} });
      const templates = (await box.node.templates.list()).filter((it) => it.template.spec.name !== "base");
      expect(sandboxes.length + templates.length, `aborted after ${moment} ms`).toBe(isDone ? 1 : 0);
      for (const { id } of sandboxes) await box.node.sandboxes.delete(id, { force: true }, soon());
      for (const { template } of templates) await box.node.templates.delete(template.spec.name, soon());
    }
    await box.expectNoLeak(before);
  });
});

describe("of a sandbox", () => {
  const running = async (ref: string) =>
    expect((await box.node.sandboxes.get(ref)).state.status, "status").toBe("running");

  it.each([
    [
      "a checkpoint",
      (id: string, signal: AbortSignal) => box.node.checkpoints.create(id, {}, signal),
      async () => {
        for (const { checkpoint } of await box.node.checkpoints.list({ all: false }))
          await box.node.checkpoints.delete(checkpoint.id, soon());
      },
    ],
    [
      "a commit",
      (id: string, signal: AbortSignal) => box.node.sandboxes.commit(id, { image: "made", ...none }, signal),
      async () => {
        await box.node.images.delete("made", soon()).catch(() => undefined);
      },
    ],
    [
      "a fork",
      (id: string, signal: AbortSignal) =>
        drain(box.node.sandboxes.fork(id, { count: 2, labels: { clone: "" }, env: {} }, signal)),
      async () => {
        for (const { id } of await box.node.sandboxes.list({ statuses: [], labels: { clone: "" } }))
          await box.node.sandboxes.delete(id, { force: true }, soon());
      },
    ],
  ] as const)("%s", async (_name, operation, remove) => {
    const { id } = await box.create();
    await box.sh(id, "echo kept > /tmp/state");
    const before = await box.holdings();
    for (const moment of moments) {
      await finishes((signal) => operation(id, signal), moment);
      await running(id);
      expect(await box.sh(id, "cat /tmp/state")).toBe("kept");
      await remove();
    }
    await box.expectNoLeak(before);
  });

  it("a pause and a resume", async () => {
    const { id } = await box.create();
    await box.sh(id, "echo kept > /tmp/state");
    const before = await box.holdings();
    for (const moment of moments) {
      const isPaused = await finishes((signal) => box.node.sandboxes.pause(id, signal), moment);
      const { status } = (await box.node.sandboxes.get(id)).state;
      expect(["running", "paused"], `pause aborted after ${moment} ms`).toContain(status);
      if (isPaused) expect(status).toBe("paused");
      if (status === "running") await box.node.sandboxes.pause(id, soon());
      const isResumed = await finishes((signal) => box.node.sandboxes.resume(id, signal), moment);
      const resumed = (await box.node.sandboxes.get(id)).state.status;
      expect(["running", "paused"], `resume aborted after ${moment} ms`).toContain(resumed);
      if (isResumed) expect(resumed).toBe("running");
      if (resumed === "paused") await box.node.sandboxes.resume(id, soon());
      expect(await box.sh(id, "cat /tmp/state")).toBe("kept");
    }
    await box.expectNoLeak(before);
  });
});
