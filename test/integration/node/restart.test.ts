/** A node that is let go of and started again finds everything as it was, or says what became of it. */
import { expect, it } from "vitest";
import { connectContainerd } from "../../../src/containerd/client.js";
import { openBox, soon } from "../../support/box.js";
import { testRuntime } from "../../support/containerd.js";

const box = openBox("restart");

const statusOf = async (ref: string) => (await box.node.sandboxes.get(ref)).state.status;

it("adopts what runs, and keeps what is paused or stopped", async () => {
  const running = await box.create({ name: "running" });
  await box.sh(running.id, "echo kept > /tmp/state");
  const pid = await box.start(running.id, ["sleep", "1000"]);
  const paused = await box.create({ name: "paused" });
  await box.sh(paused.id, "echo kept > /tmp/state");
  await box.node.sandboxes.pause(paused.id, soon());
  const stopped = await box.create({ name: "stopped" });
  await box.node.sandboxes.stop(stopped.id, { graceMs: 1000 }, soon());

  await box.test.restart();

  expect(await statusOf("running")).toBe("running");
  expect(await box.sh("running", "cat /tmp/state")).toBe("kept");
  expect((await box.node.processes.list("running", soon())).map((process) => process.pid)).toContain(pid);
  expect(await statusOf("paused")).toBe("paused");
  await box.node.sandboxes.resume("paused", soon());
  expect(await box.sh("paused", "cat /tmp/state")).toBe("kept");
  expect(await statusOf("stopped")).toBe("stopped");
  expect((await box.node.templates.get("base")).template.state.status).toBe("ready");
});

it("notes a sandbox that ended while nobody looked, and keeps its files", async () => {
  const { id } = await box.create();
  await box.sh(id, "echo kept > /home/user/state");
  const containerd = await connectContainerd({
    address: testRuntime().address,
    namespace: box.holder.namespace,
  });
  await box.test.restart(async () => {
    const ended = containerd.tasks.wait(id, soon());
    await containerd.tasks.kill(id, { signalNumber: 9 });
    await ended;
  });
  containerd.close();
  expect(await statusOf(id)).toBe("stopped");
  const none = { env: {}, cmd: [], entrypoint: [] };
  await box.node.sandboxes.commit(id, { image: "rescued", replace: true, ...none }, soon());
  const rescued = await box.node.sandboxes.create(
    {
      source: { kind: "image", image: "rescued", limits: {}, allowPrivilegeEscalation: false },
      labels: {},
      env: {},
    },
    soon(),
  );
  expect(await box.sh(rescued.id, "cat /home/user/state")).toBe("kept");
  await box.node.sandboxes.delete(rescued.id, { force: true }, soon());
  await box.node.images.delete("rescued", soon());
});

it("never touches what is not labelled as its own", async () => {
  const containerd = await connectContainerd({
    address: testRuntime().address,
    namespace: box.holder.namespace,
  });
  const { topSnapshot } = await containerd.images.resolve("test");
  await containerd.snapshots.prepare({ key: "foreign", parent: topSnapshot });
  const foreign = {
    id: "foreign",
    image: "test",
    spec: {},
    snapshotKey: "foreign",
    labels: { owner: "somebody" },
  };
  await containerd.containers.create(foreign);
  await box.test.restart();
  expect((await containerd.containers.get("foreign")).labels).toEqual({ owner: "somebody" });
  expect((await containerd.snapshots.stat("foreign")).kind).toBe("active");
  await containerd.containers.delete("foreign");
  await containerd.snapshots.remove("foreign");
  containerd.close();
});

it("becomes stopped when its guest is killed", async () => {
  const { id, state } = await box.create();
  if (state.status !== "running") throw new Error(state.status);
  process.kill(state.pid, "SIGKILL");
  await expect.poll(() => statusOf(id), { timeout: 10_000, interval: 20 }).toBe("stopped");
  await expect(box.sh(id, "true")).rejects.toMatchObject({ code: "failed_precondition" });
});
