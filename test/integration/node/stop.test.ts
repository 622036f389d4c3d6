/** The end of a sandbox, asked for or not: what runs is told first, and what is left is what the record says. */
import { describe, expect, it } from "vitest";
import { becomes, openBox, soon } from "../../support/box.js";

const box = openBox("stop");

const statusOf = async (ref: string) => (await box.node.sandboxes.get(ref)).state.status;

/** Says in a file that it was told, and needs a while for that. */
const polite = `trap 'sleep 0.2; echo told > /root/told; exit 0' TERM; echo > /tmp/up; while :; do sleep 0.05; done`;

async function started(script: string): Promise<string> {
  const { id } = await box.create();
  await box.start(id, ["bash", "-c", script]);
  await box.sh(id, "until [ -e /tmp/up ]; do sleep 0.01; done");
  return id;
}

/** A file of a sandbox without processes, through an image of it. */
async function fileOf(ref: string, path: string): Promise<string> {
  const options = { image: "looked-at", replace: true, env: {}, cmd: [], entrypoint: [] };
  await box.node.sandboxes.commit(ref, options, soon());
  const { id } = await box.createCold({ image: "looked-at" });
  return box.sh(id, `cat ${path} 2>/dev/null || echo missing`);
}

describe("stop", () => {
  it("lets a process end in its own way, and keeps its files", async () => {
    const id = await started(polite);
    const stopped = await box.node.sandboxes.stop(id, { graceMs: 10_000 }, soon());
    expect(stopped.state).toMatchObject({ status: "stopped", exitCode: 0 });
    expect(await fileOf(id, "/root/told")).toBe("told");
  });

  it("kills what does not end within the grace period", async () => {
    const id = await started("trap '' TERM; echo > /tmp/up; while :; do sleep 0.05; done");
    const start = performance.now();
    await box.node.sandboxes.stop(id, { graceMs: 300 }, soon());
    expect(performance.now() - start).toBeGreaterThan(250);
    expect(performance.now() - start).toBeLessThan(5_000);
    expect(await statusOf(id)).toBe("stopped");
  });

  it("of a paused sandbox forgets its memory and keeps its files", async () => {
    const id = await started(polite);
    await box.sh(id, "echo kept > /root/kept");
    const { checkpoint } = await box.node.sandboxes.pause(id, soon());
    await box.node.sandboxes.stop(id, { graceMs: 0 }, soon());
    await expect(box.node.checkpoints.get(checkpoint.id)).rejects.toMatchObject({ code: "not_found" });
    expect(await fileOf(id, "/root/kept")).toBe("kept");
  });

  it("frees all but the layer", async () => {
    const before = await box.holdings();
    const id = await started(polite);
    await box.node.sandboxes.stop(id, { graceMs: 0 }, soon());
    const { snapshots = [], ...others } = before;
    const after = await box.holdings();
    expect(after["snapshots"]?.filter((key) => !snapshots.includes(key))).toEqual([`sandbox-${id}`]);
    await box.expectNoLeak({ ...others, snapshots: [...snapshots, `sandbox-${id}`] });
  });
});

describe("pause", () => {
  it("leaves no process, task or cgroup", async () => {
    const { id } = await box.create();
    const { tasks = [], cgroups = [], listening = [] } = await box.holdings();
    expect(tasks).toContain(id);
    await box.node.sandboxes.pause(id, soon());
    const without = (names: readonly string[]) => names.filter((name) => !name.includes(id));
    const { snapshots = [], checkpointDirectories = [], ...now } = await box.holdings();
    await box.expectNoLeak({
      ...now,
      ...{ snapshots, checkpointDirectories, cgroups: without(cgroups), listening: without(listening) },
      ...{
        mounts: [],
        sandboxDirectories: [],
        tasks: [],
        containers: [],
        runc: [],
        bundles: [],
      },
    });
  });
});

describe("an end that nobody asked for", () => {
  it("cannot come from inside", async () => {
    const { id } = await box.create();
    // The kernel drops a signal to PID 1 from its own namespace unless there is a handler for it.
    await box.run(id, ["kill", "-SEGV", "1"]);
    await box.run(id, ["kill", "-9", "1"]);
    expect(await box.sh(id, "echo alive")).toBe("alive");
    expect(await statusOf(id)).toBe("running");
  });

  it("ends streams, and other operations say what happened", async () => {
    const { id, state } = await box.create();
    if (state.status !== "running") throw new Error(state.status);
    const following = box.run(id, ["sleep", "1000"]);
    const ended = expect(following).rejects.toMatchObject({ code: "unavailable" });
    await becomes("the process", async () => (await box.node.processes.list(id, soon())).length > 0);
    process.kill(state.pid, "SIGKILL");
    await ended;
    await becomes("stopped", async () => (await statusOf(id)) === "stopped");
    expect((await box.node.sandboxes.get(id)).state).toMatchObject({ exitCode: 137 });
    expect(await box.events("sandbox.stopped", id)).toEqual([{ exitCode: "137" }]);
    await expect(box.node.sandboxes.pause(id, soon())).rejects.toMatchObject({ code: "failed_precondition" });
    await box.node.sandboxes.delete(id, { force: false }, soon());
    await expect(box.node.sandboxes.get(id)).rejects.toMatchObject({ code: "not_found" });
  });

  it("in the middle of a checkpoint fails that, and is noted", async () => {
    const { id, state } = await box.create();
    if (state.status !== "running") throw new Error(state.status);
    const taking = box.node.checkpoints.create(id, {}, soon()).then(
      () => "taken",
      (thrown: { code?: string }) => thrown.code,
    );
    await becomes("checkpointing", async () => (await statusOf(id)) === "checkpointing");
    process.kill(state.pid, "SIGKILL");
    expect(["taken", "failed_precondition", "unavailable", "internal"]).toContain(await taking);
    await becomes("stopped", async () => (await statusOf(id)) === "stopped");
  });
});

it("leaves a sandbox in use when its delete fails, and goes on with a stop that failed", async () => {
  const { id } = await box.create();
  await box.test.restart(undefined, "delete.recorded=error;stop.killed=error");
  const failure = { message: expect.stringContaining("failpoint") };
  await expect(box.node.sandboxes.delete(id, { force: true }, soon())).rejects.toMatchObject(failure);
  expect(await box.sh(id, "echo on")).toBe("on");
  await expect(box.node.sandboxes.stop(id, { graceMs: 100 }, soon())).rejects.toMatchObject(failure);
  expect((await box.node.sandboxes.get(id)).state.status).toBe("stopping");
  await expect(box.node.sandboxes.stop(id, { graceMs: 100 }, soon())).rejects.toMatchObject(failure);
  await box.test.restart();
  expect((await box.node.sandboxes.get(id)).state.status).toBe("stopped");
});
