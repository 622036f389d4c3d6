/** A node in this process, on the containerd that tests run against, in a namespace and directories of its own. */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fileSchema, resolveConfig } from "../../src/config/schema.js";
import { createLogger } from "../../src/lib/log.js";
import type { Node } from "../../src/node/node.js";
import { type StartedNode, startNode } from "../../src/node/start.js";
import { connectForTest, testRuntime } from "./containerd.js";

export interface TestNode extends AsyncDisposable {
  readonly node: Node;
  readonly dataDir: string;
  /** Lets go and starts again on the same data, as an upgrade of the agent does; with failpoints armed, until the next. */
  restart(between?: () => Promise<void>, failpoints?: string): Promise<void>;
}

const guestBinary = fileURLToPath(new URL("../../src/guest/build/guest", import.meta.url));

/** `name` is a short word that no other test file uses. What an earlier run left under it is removed first. */
export async function startTestNode(name: string): Promise<TestNode> {
  const runtime = testRuntime();
  const namespace = `node-${name}`;
  const dataDir = join(runtime.root, namespace);
  const containerd = await connectForTest(namespace);
  containerd.close();
  rmSync(dataDir, { recursive: true, force: true });
  mkdirSync(dataDir, { recursive: true, mode: 0o711 });
  const file = fileSchema.parse({
    data_dir: dataDir,
    run_dir: join(dataDir, "run"),
    prefix: runtime.prefix,
    containerd: { address: runtime.address, namespace, state_dir: runtime.state },
  });
  const log = createLogger({ level: "warn" });
  const start = (failpoints = "") => {
    const config = resolveConfig(file, { failpoints });
    return startNode({ config, guestBinary, version: "test", log }, AbortSignal.timeout(60_000));
  };
  let started: StartedNode = await start();
  return {
    get node() {
      return started.node;
    },
    dataDir,
    async restart(between, failpoints) {
      await started[Symbol.asyncDispose]();
      await between?.();
      started = await start(failpoints);
    },
    async [Symbol.asyncDispose]() {
      await started[Symbol.asyncDispose]();
      const emptied = await connectForTest(namespace);
      emptied.close();
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}
