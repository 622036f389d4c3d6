import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import type { TaskEvent } from "../../../src/containerd/events.js";
import { openArchive } from "../../../src/containerd/import.js";
import { mappingLabelsOf, upperDirectory } from "../../../src/containerd/mounts.js";
import { withDeadline } from "../../../src/lib/signal.js";
import { connectForTest, emptyNamespace, endTask, testRuntime, until } from "../../support/containerd.js";
import { testMapping, testSpec } from "../../support/oci-spec.js";
import { makeSlowPrefix } from "../../support/slow-dump.js";

const image = "test:latest";
let containerd: Containerd;
let directory: string;
let topSnapshot: string;

beforeAll(async () => {
  containerd = await connectForTest("ramet-tasks-test");
  directory = await mkdtemp(join(testRuntime().root, "tasks-test-"));
  await writeFile(join(directory, "criu.conf"), "network-lock skip\n");
  await containerd.importArchive({ archive: await openArchive(testRuntime().image), name: image });
  topSnapshot = (await containerd.images.resolve(image)).topSnapshot;
});

afterEach(async () => {
  for (const { id } of await containerd.tasks.list()) await endTask(containerd, id);
});

afterAll(async () => {
  await emptyNamespace(containerd);
  containerd.close();
  await rm(directory, { recursive: true });
});

/** Makes a container whose own layer is at `upper`; nothing runs yet. */
async function prepare(script: string, env: readonly string[] = []) {
  const id = `t${randomUUID().slice(0, 8)}`;
  const rootfs = await containerd.snapshots.prepare({
    key: id,
    parent: topSnapshot,
    labels: mappingLabelsOf(testMapping),
  });
  const spec = testSpec({ args: ["python3", "-c", script], criuConfig: join(directory, "criu.conf"), env });
  await containerd.containers.create({ id, image, spec, snapshotKey: id, labels: { "ramet.test": "yes" } });
  return { id, rootfs, upper: upperDirectory(rootfs) };
}

const runcRoot = () => join(testRuntime().state, "../runc");

async function run(script: string, runc?: string) {
  const made = await prepare(script);
  const oci = { runcRoot: runcRoot(), ...(runc === undefined ? {} : { runc }) };
  await containerd.tasks.create({ id: made.id, rootfs: made.rootfs, ...oci });
  const { pid } = await containerd.tasks.start(made.id);
  return { ...made, pid };
}

/** Counts in memory and shows the count in a file, ten times a millisecond at most. */
const counter = `
import time, os
n = 0
while True:
    n += 1
    with open("/count.tmp", "w") as f: f.write(str(n))
    os.rename("/count.tmp", "/count")
    time.sleep(0.01)
`;

async function countIn(upper: string): Promise<number> {
  return Number(await readFile(join(upper, "count"), "utf8").catch(() => "0"));
}

test("a task runs as root of its user namespace on files that are root's inside", async () => {
  const script = `import os
s = os.stat("/bin/bash")
open("/seen", "w").write(f"{os.getuid()} {s.st_uid} {s.st_gid}")
os.chown("/seen", 1000, 1000)
open("/mine", "w").close()`;
  const { id, upper } = await run(script);
  expect(await containerd.tasks.wait(id, AbortSignal.timeout(20_000))).toMatchObject({ status: 0 });
  expect(await readFile(join(upper, "seen"), "utf8")).toBe("0 0 0");
  expect((await stat(join(upper, "seen"))).uid).toBe(testMapping.hostId + 1000);
  expect((await stat(join(upper, "mine"))).uid).toBe(testMapping.hostId);
  expect(await containerd.tasks.delete(id)).toMatchObject({ status: 0 });
  await expect(containerd.tasks.get(id)).rejects.toMatchObject({ code: "not_found" });
});

test("the container's record gives back what it was made with", async () => {
  const { id } = await prepare("pass");
  const record = await containerd.containers.get(id);
  expect(record).toMatchObject({ id, image, snapshotKey: id, labels: { "ramet.test": "yes" } });
  expect(record.spec).toMatchObject({
    hostname: "test",
    linux: { uidMappings: [{ hostID: testMapping.hostId }] },
  });
  const listed = await containerd.containers.list(['labels."ramet.test"==yes']);
  expect(listed.map((it) => it.id)).toContain(id);
  await containerd.containers.delete(id);
  await containerd.containers.delete(id);
});

test("freezes and thaws", async () => {
  const { id, upper, pid } = await run(counter);
  await until("it counts", async () => (await countIn(upper)) > 3);
  expect(await containerd.tasks.get(id)).toMatchObject({ id, pid, status: "running" });
  expect(await containerd.tasks.pids(id)).toEqual([pid]);
  await expect(containerd.tasks.resume(id)).rejects.toMatchObject({ code: "failed_precondition" });
  await containerd.tasks.pause(id);
  await expect(containerd.tasks.pause(id)).rejects.toMatchObject({ code: "failed_precondition" });
  expect(await containerd.tasks.list()).toMatchObject([{ id, pid, status: "paused" }]);
  const frozen = await countIn(upper);
  await containerd.tasks.resume(id);
  await until("it counts on", async () => (await countIn(upper)) > frozen + 3);
});

test("a checkpoint leaves the source running and is restored under another id", async () => {
  const source = await run(counter);
  await until("it counts", async () => (await countIn(source.upper)) > 20);
  const imagesDirectory = join(directory, "images");
  const workDirectory = join(directory, "work");
  for (const path of [imagesDirectory, workDirectory]) await mkdir(path);
  await containerd.tasks.pause(source.id);
  await containerd.tasks.checkpoint(source.id, { imagesDirectory, workDirectory, exit: false });
  const dumped = await countIn(source.upper);
  await containerd.tasks.resume(source.id);
  await until("the source counts on", async () => (await countIn(source.upper)) > dumped + 3);

  const clone = await prepare(counter);
  const restoreFrom = { imagesDirectory, workDirectory };
  await containerd.tasks.create({ id: clone.id, rootfs: clone.rootfs, restoreFrom, runcRoot: runcRoot() });
  const { pid } = await containerd.tasks.start(clone.id);
  expect(pid).not.toBe(source.pid);
  await until("the clone counts", async () => (await countIn(clone.upper)) > dumped + 3);
  expect((await containerd.tasks.list()).map(({ id }) => id).sort()).toEqual([source.id, clone.id].sort());
});

test("a task whose dump takes long is not taken for one that is gone", async () => {
  const { runc, slow } = makeSlowPrefix(join(directory, "slow"));
  const { id, pid, upper } = await run(counter, runc);
  await until("it counts", async () => (await countIn(upper)) > 3);
  const imagesDirectory = join(directory, "long");
  await mkdir(imagesDirectory);
  await containerd.tasks.pause(id);
  slow();
  const options = { imagesDirectory, workDirectory: imagesDirectory, exit: false };
  const dump = containerd.tasks.checkpoint(id, options);
  await until("containerd lost sight of it", async () =>
    (await containerd.tasks.list()).some(({ status }) => status === "unknown"),
  );
  const impatient = withDeadline("looking", 100, (signal) => containerd.tasks.get(id, signal));
  await expect(impatient).rejects.toMatchObject({ code: "deadline_exceeded" });
  expect(await containerd.tasks.get(id)).toMatchObject({ id, pid });
  expect(await containerd.tasks.of(["nobody", id])).toMatchObject([{ id, pid }]);
  await dump;
});

test("a restore from nothing fails, says so, and can be removed", async () => {
  const { id, rootfs } = await prepare(counter);
  const nowhere = join(directory, "nowhere");
  await mkdir(nowhere, { recursive: true });
  const restoreFrom = { imagesDirectory: nowhere, workDirectory: nowhere };
  await containerd.tasks.create({ id, rootfs, restoreFrom, runcRoot: runcRoot() });
  await expect(containerd.tasks.start(id)).rejects.toMatchObject({
    code: "internal",
    message: expect.stringContaining(`cannot start task ${id}`),
  });
  await containerd.tasks.delete(id);
  expect(await containerd.tasks.list()).toEqual([]);
});

test("a command that is not there fails to start", async () => {
  const id = `t${randomUUID().slice(0, 8)}`;
  const rootfs = await containerd.snapshots.prepare({
    key: id,
    parent: topSnapshot,
    labels: mappingLabelsOf(testMapping),
  });
  const spec = testSpec({ args: ["/nowhere/command"], criuConfig: join(directory, "criu.conf") });
  await containerd.containers.create({ id, image, spec, snapshotKey: id, labels: {} });
  const create = containerd.tasks.create({ id, rootfs, runcRoot: runcRoot() });
  await expect(create).rejects.toThrow(/\/nowhere\/command/);
  expect(await containerd.tasks.list()).toEqual([]);
});

test("events tell of start, freeze, thaw and end", async () => {
  const stop = new AbortController();
  const seen: TaskEvent[] = [];
  const listening = (async () => {
    for await (const event of containerd.events.tasks(stop.signal)) seen.push(event);
  })();
  const subscriptions = () => seen.filter(({ kind }) => kind === "subscribed").length;
  await until("it listens", async () => subscriptions() > 0);
  // A subscription that breaks and is taken up again has missed what was in between, and says so. And a shim may end
  // before it has sent its last event.
  let isOver = false;
  for (let attempt = 0; !isOver && attempt < 3; attempt++) {
    const before = subscriptions();
    const { id, pid } = await run(counter);
    const ours = () => seen.filter((event) => event.kind !== "subscribed" && event.id === id);
    await containerd.tasks.pause(id);
    await containerd.tasks.resume(id);
    const exit = containerd.tasks.wait(id, AbortSignal.timeout(20_000));
    await containerd.tasks.kill(id, { signalNumber: 9 });
    expect(await exit).toMatchObject({ status: 137 });
    await containerd.tasks.delete(id);
    const isTold = async () => ours().some(({ kind }) => kind === "deleted");
    await until("the end is told", isTold, 5_000).catch(() => undefined);
    if (before !== subscriptions() || !(await isTold())) continue;
    expect(ours().map(({ kind }) => kind)).toEqual(["started", "paused", "resumed", "exited", "deleted"]);
    expect(ours()[3]).toMatchObject({ kind: "exited", pid, status: 137 });
    isOver = true;
  }
  expect(isOver).toBe(true);
  stop.abort();
  await listening;
});

test("a signal to what has ended is not_found, waiting for it gives its exit", async () => {
  const { id } = await run("raise SystemExit(7)");
  expect(await containerd.tasks.wait(id, AbortSignal.timeout(20_000))).toMatchObject({ status: 7 });
  expect(await containerd.tasks.get(id)).toMatchObject({ status: "stopped", exitStatus: 7 });
  await expect(containerd.tasks.kill(id, { signalNumber: 15 })).rejects.toMatchObject({ code: "not_found" });
});

test("a wait is given up when its signal says so, and the task goes on", async () => {
  const { id } = await run(counter);
  await expect(containerd.tasks.wait(id, AbortSignal.timeout(50))).rejects.toMatchObject({
    code: "deadline_exceeded",
  });
  await expect(containerd.tasks.delete(id)).rejects.toMatchObject({ code: "failed_precondition" });
  expect(await containerd.tasks.get(id)).toMatchObject({ status: "running" });
});
