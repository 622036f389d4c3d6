/** Containers in user namespaces, with a directory of memory files each, that runc dumps and restores. */
import { randomUUID } from "node:crypto";
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll } from "vitest";
import type { Containerd } from "../../../src/containerd/client.js";
import { mappingLabelsOf, upperDirectory } from "../../../src/containerd/mounts.js";
import { convertDump } from "../../../src/criu/image/convert-dump.js";
import { connectForTest, emptyNamespace, endTask, testRuntime } from "../../support/containerd.js";
import { testMapping, testSpec } from "../../support/oci-spec.js";
import { buildProgram, childrenOf, quietEnv, reports, waitUntilQuiet } from "./memory.js";
import { soon } from "./subjects.js";

const layer = "layer";
const mountPath = "/.ramet-memory";

/** Every thread of the container has a filter before the guard comes. */
const profile = {
  defaultAction: "SCMP_ACT_ALLOW",
  architectures: ["SCMP_ARCH_X86_64"],
  syscalls: [{ names: ["acct"], action: "SCMP_ACT_ERRNO" }],
};

export interface Box {
  readonly id: string;
  readonly result: string;
  readonly memory: string;
  readonly pids: readonly number[];
}

interface Start {
  readonly args: readonly string[];
  /** What a new one reports when it can be dumped. */
  readonly ready: readonly string[];
  /** Directories of the machine that it needs. */
  readonly binds?: readonly string[];
}

/** A parent with a child, both with threads and memory of every kind. */
export const memoryBox: Start = {
  args: ["/test/memory", "/result", "guarded"],
  ready: ["parent-ready", "child-ready"],
};

/** A process that has something open of every kind. */
export const kindsBox: Start = {
  args: ["/usr/bin/python3", "/test/kinds.py", "/result", "namespace"],
  ready: ["ready"],
  binds: ["/usr", "/lib", "/lib64"],
};

/** Words for the tests of a file; what they start is ended after each. */
export function openBoxes(namespace: string) {
  let containerd: Containerd;
  let directory: string;

  beforeAll(async () => {
    containerd = await connectForTest(namespace);
    directory = await mkdtemp(join(testRuntime().root, "memory-test-"));
    const programs = join(directory, "bin");
    await mkdir(programs);
    await buildProgram(programs, "memory");
    await copyFile(join(import.meta.dirname, "kinds.py"), join(programs, "kinds.py"));
    await execa("chmod", ["755", directory]);
    await writeFile(join(directory, "criu.conf"), "network-lock skip\n");
    // An empty layer, so that what is written goes to an overlay as it does in a sandbox.
    await containerd.snapshots.prepare({ key: "empty", parent: "" });
    await containerd.snapshots.commit({ key: "empty", name: layer });
  });

  afterEach(async () => {
    for (const { id } of await containerd.tasks.list()) await endTask(containerd, id);
  });

  afterAll(async () => {
    await emptyNamespace(containerd);
    containerd.close();
    await rm(directory, { recursive: true });
  });

  function specOf({ args, binds = [] }: Start, memory: string): object {
    const spec = {
      ...{ mounts: [], linux: {} },
      ...testSpec({
        args,
        criuConfig: join(directory, "criu.conf"),
        env: Object.entries(quietEnv).map((pair) => pair.join("=")),
      }),
    };
    const bind = (source: string, destination: string) => ({
      ...{ source, destination, type: "bind", options: ["bind", "ro", "nosuid", "nodev"] },
    });
    const own = [bind(join(directory, "bin"), "/test"), bind(memory, mountPath)];
    const mounts = [...spec.mounts, ...binds.map((path) => bind(path, path)), ...own];
    return { ...spec, mounts, linux: { ...spec.linux, seccomp: profile } };
  }

  return {
    directory: () => directory,
    mountPath,

    /** A new one, or a restored one. */
    async start(
      what: Start,
      images?: string,
      prepareMemory?: (memory: string) => Promise<void>,
    ): Promise<Box> {
      const id = `m${randomUUID().slice(0, 8)}`;
      const memory = join(directory, `${id}.memory`);
      await mkdir(memory, { mode: 0o755 });
      await prepareMemory?.(memory);
      const labels = mappingLabelsOf(testMapping);
      const rootfs = await containerd.snapshots.prepare({ key: id, parent: layer, labels });
      const spec = specOf(what, memory);
      await containerd.containers.create({ id, image: "none", spec, snapshotKey: id, labels: {} });
      const restoreFrom =
        images === undefined ? {} : { restoreFrom: { imagesDirectory: images, workDirectory: images } };
      const runcRoot = join(testRuntime().state, "../runc");
      await containerd.tasks.create({ id, rootfs, runcRoot, ...restoreFrom });
      const { pid } = await containerd.tasks.start(id).catch(async (cause) => {
        const log = images === undefined ? "" : await readFile(join(images, "restore.log"), "utf8");
        throw new Error(log.slice(-3000), { cause });
      });
      const result = join(upperDirectory(rootfs), "result");
      if (images === undefined) await reports(result, what.ready, soon());
      const pids = [pid, ...(await childrenOf(pid))];
      if (what === memoryBox) for (const one of pids) await waitUntilQuiet(one, soon());
      return { id, result, memory, pids };
    },

    async dump({ id }: Box): Promise<string> {
      const images = join(directory, `${id}.images`);
      await mkdir(images);
      await containerd.tasks.pause(id);
      await containerd.tasks.checkpoint(id, { imagesDirectory: images, workDirectory: images, exit: false });
      await containerd.tasks.resume(id);
      return images;
    },

    convert(images: string, memory: string, checkpoint: string) {
      const owner = { uid: testMapping.hostId, gid: testMapping.hostId };
      return convertDump(
        { images, memory, earlierMemory: memory, checkpoint, memoryPath: mountPath, mountPath, owner },
        soon(),
      );
    },
  };
}
