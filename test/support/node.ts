/** A node in this process, on the containerd that tests run against, in directories of its own. */
import { mkdirSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { z } from "zod";
import { fileSchema, resolveConfig } from "../../src/config/schema.js";
import { openArchive } from "../../src/containerd/import.js";
import { createLogger } from "../../src/lib/log.js";
import type { Node } from "../../src/node/node.js";
import { type StartedNode, startNode } from "../../src/node/start.js";
import { connectForTest, testRuntime } from "./containerd.js";

export interface TestNode extends AsyncDisposable {
  readonly node: Node;
  readonly dataDir: string;
  /** Where memoryd listens, while sandboxes may share memory. */
  readonly memorydSocket: string;
  /**
   * Lets go and starts again on the same data, as an upgrade of the agent does; with failpoints armed and memory
   * shared or not, until the next.
   */
  restart(between?: () => Promise<void>, failpoints?: string, sharing?: "on" | "off"): Promise<void>;
}

/** Files of tests run one after another, and share what takes longest to make: the image. */
export const nodeNamespace = "nodes";
export const image = "test";

const builtFile = (path: string) => fileURLToPath(new URL(`../../src/${path}`, import.meta.url));
const guestBinary = builtFile("guest/build/guest");
export const memorydBinary = builtFile("memoryd/build/memoryd");

/**
 * `name` is a short word that no other test file uses. What earlier files left is removed first; the image `test`
 * is there.
 */
export async function startTestNode(
  name: string,
  sections: Pick<z.input<typeof fileSchema>, "slots" | "memory"> = {},
): Promise<TestNode> {
  const runtime = testRuntime();
  const dataDir = join(runtime.root, `node-${name}`);
  await emptyButForImage();
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const runDir = join(dataDir, "run");
  const log = createLogger({ level: "warn" });
  const start = (failpoints = "", sharing: "on" | "off" = "on") => {
    const file = fileSchema.parse({
      data_dir: dataDir,
      run_dir: runDir,
      ...sections,
      prefix: runtime.prefix,
      containerd: { address: runtime.address, namespace: nodeNamespace, state_dir: runtime.state },
      memory: { ...sections.memory, sharing },
    });
    const config = resolveConfig(file, { failpoints });
    const release = { guestBinary, memorydBinary, version: "test" };
    return startNode({ config, ...release, log }, AbortSignal.timeout(60_000));
  };
  let started: StartedNode = await start();
  return {
    get node() {
      return started.node;
    },
    dataDir,
    memorydSocket: sections.memory?.memoryd_socket ?? join(runDir, "memoryd.sock"),
    async restart(between, failpoints, sharing) {
      await started[Symbol.asyncDispose]();
      try {
        await between?.();
      } finally {
        started = await start(failpoints, sharing);
      }
    },
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]();
      await emptyButForImage();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function emptyButForImage(): Promise<void> {
  const containerd = await connectForTest(nodeNamespace, [image]);
  try {
    const { image: path } = testRuntime();
    const { size, mtimeMs } = statSync(path);
    const labels = { "ramet.test/archive": `${size}-${Math.trunc(mtimeMs)}` };
    const [has] = await containerd.images.records([`name==${image}`]);
    if (has?.labels["ramet.test/archive"] === labels["ramet.test/archive"]) return;
    await containerd.importArchive({ archive: await openArchive(path), name: image, labels });
  } finally {
    containerd.close();
  }
}
