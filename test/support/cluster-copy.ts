/** An agent with a copy of the identity that a node of a cluster has. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createLogger } from "../../src/lib/log.js";
import { openScope } from "../../src/lib/scope.js";
import { type Cluster, registryOfNodes } from "./cluster.js";
import { startLightAgent } from "./light-agent.js";
import { lightNode } from "./light-node.js";
import { freeAddress } from "./registry-process.js";

/** Of node `nodeK`; `say` is given what it logs. */
export async function startCopy(
  { root }: Pick<Cluster, "root">,
  name: string,
  say: (line: string) => void,
): Promise<AsyncDisposable> {
  await using scope = openScope();
  const dataDir = await mkdtemp(join(tmpdir(), "ramet-copy-"));
  scope.defer(() => rm(dataDir, { recursive: true }));
  const identity = join(root, name.replace("node", "n"), "membership");
  await cp(identity, join(dataDir, "membership"), { recursive: true });
  const options = {
    ...{ node: lightNode({ templates: [] }), name, registry: registryOfNodes, address: await freeAddress() },
    ...{ dataDir, token: "", log: createLogger({ level: "warn", to: { write: say } }) },
  };
  scope.use(await startLightAgent(options, new AbortController().signal));
  return scope.move();
}
