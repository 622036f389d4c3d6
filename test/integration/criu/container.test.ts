import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import { openArchive } from "../../../src/containerd/import.js";
import { mappingLabelsOf, upperDirectory } from "../../../src/containerd/mounts.js";
import { convertDump } from "../../../src/criu/image/convert-dump.js";
import { guardProcesses } from "../../../src/criu/image/guard.js";
import { linkMemory } from "../../../src/criu/image/link-memory.js";
import { connectForTest, emptyNamespace, endTask, testRuntime } from "../../support/containerd.js";
import { testMapping, testSpec } from "../../support/oci-spec.js";
import {
  buildProgram,
  childrenOf,
  type Mapping,
  mappingsOf,
  memoryOf,
  quietEnv,
  reports,
  waitUntilQuiet,
} from "./memory.js";

const image = "test:latest";
const mountPath = "/.ramet-memory";
const soon = () => AbortSignal.timeout(60_000);

let containerd: Containerd;
let directory: string;
let topSnapshot: string;
let listener: string;

beforeAll(async () => {
  containerd = await connectForTest("ramet-memory-test");
  directory = await mkdtemp(join(testRuntime().root, "memory-test-"));
  await mkdir(join(directory, "bin"));
  await buildProgram(join(directory, "bin"), "memory");
  listener = await buildProgram(directory, "listener");
  await execa("chmod", ["755", directory]);
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

/** Every thread of the container has a filter before the guard comes. */
const profile = {
  defaultAction: "SCMP_ACT_ALLOW",
  architectures: ["SCMP_ARCH_X86_64"],
  syscalls: [{ names: ["acct"], action: "SCMP_ACT_ERRNO" }],
};

interface Box {
  readonly id: string;
  readonly result: string;
  readonly memory: string;
  readonly pids: readonly number[];
}

/** A container with a directory of memory files, new or restored, in a user namespace. */
async function start(images?: string, prepareMemory?: (memory: string) => Promise<void>): Promise<Box> {
  const id = `m${randomUUID().slice(0, 8)}`;
  const memory = join(directory, `${id}.memory`);
  await mkdir(memory, { mode: 0o755 });
  await prepareMemory?.(memory);
  const rootfs = await containerd.snapshots.prepare({
    key: id,
    parent: topSnapshot,
    labels: mappingLabelsOf(testMapping),
  });
  const spec = {
    ...{ mounts: [], linux: {} },
    ...testSpec({
      args: ["/test/memory", "/result", "guarded"],
      criuConfig: join(directory, "criu.conf"),
      env: Object.entries(quietEnv).map((pair) => pair.join("=")),
    }),
  };
  const bind = (source: string, destination: string) => ({
    ...{ source, destination, type: "bind", options: ["bind", "ro", "nosuid", "nodev"] },
  });
  const mounts = [...spec.mounts, bind(join(directory, "bin"), "/test"), bind(memory, mountPath)];
  const linux = { ...spec.linux, seccomp: profile };
  const whole = { ...spec, mounts, linux };
  await containerd.containers.create({ id, image, spec: whole, snapshotKey: id, labels: {} });
  const restoreFrom =
    images === undefined ? {} : { restoreFrom: { imagesDirectory: images, workDirectory: images } };
  await containerd.tasks.create({
    id,
    rootfs,
    runcRoot: join(testRuntime().state, "../runc"),
    ...restoreFrom,
  });
  const { pid } = await containerd.tasks.start(id).catch(async (cause) => {
    const log = images === undefined ? "" : await readFile(join(images, "restore.log"), "utf8");
    throw new Error(log.slice(-3000), { cause });
  });
  const result = join(upperDirectory(rootfs), "result");
  if (images === undefined) await reports(result, ["parent-ready", "child-ready"], soon());
  const pids = [pid, ...(await childrenOf(pid))];
  for (const one of pids) await waitUntilQuiet(one, soon());
  return { id, result, memory, pids };
}

async function dump({ id }: Box): Promise<string> {
  const images = join(directory, `${id}.images`);
  await mkdir(images);
  await containerd.tasks.pause(id);
  await containerd.tasks.checkpoint(id, { imagesDirectory: images, workDirectory: images, exit: false });
  await containerd.tasks.resume(id);
  return images;
}

function convert(images: string, memory: string, checkpoint: string) {
  const owner = { uid: testMapping.hostId, gid: testMapping.hostId };
  return convertDump({ images, memory, checkpoint, memoryPath: mountPath, mountPath, owner }, soon());
}

async function memories({ pids }: Box, ranges?: readonly (readonly Mapping[])[]) {
  return Promise.all(pids.map((pid, index) => memoryOf(pid, ranges?.[index])));
}

it("clones in user namespaces share memory over generations, and are guarded", async () => {
  const source = await start();
  const ranges = await Promise.all(source.pids.map(mappingsOf));
  const before = await memories(source, ranges);

  const first = await dump(source);
  const shared = join(directory, "c1");
  await mkdir(shared);
  const { processes } = await convert(first, shared, "c1");
  const old = processes.flatMap(({ file }) => file?.name ?? []).sort();
  expect(old).toHaveLength(2);
  const clone = await start(first, (memory) => linkMemory(shared, memory, old));
  expect(await memories(clone, ranges)).toEqual(before);
  const paths = (await mappingsOf(clone.pids[0] ?? 0)).map(({ path }) => path);
  expect(paths).toContain(`${mountPath}/c1-1`);

  const second = await dump(clone);
  await guardProcesses({ images: second }, soon());
  const again = await convert(second, clone.memory, "c2");
  expect(again.earlier).toEqual(old);
  const names = again.processes.flatMap(({ file }) => file?.name ?? []);
  for (const { keptPages } of again.processes) expect(keptPages).toBeLessThan(300);
  const last = await start(second, (memory) =>
    linkMemory(clone.memory, memory, [...again.earlier, ...names]),
  );
  expect(await memories(last, ranges)).toEqual(before);

  for (const pid of last.pids)
    expect(await readFile(`/proc/${pid}/status`, "utf8")).toMatch(/Seccomp_filters:\s+2/);
  const listening = last.pids.map((pid) => execa(listener, [String(pid)], { reject: false }));
  for (const pid of last.pids) process.kill(pid, "SIGUSR1");
  expect(await reports(last.result, ["parent", "child"], soon())).toEqual(["ok", "ok"]);
  for (const { stdout } of await Promise.all(listening)) expect(stdout.split("\n")).toContain("28");
});
