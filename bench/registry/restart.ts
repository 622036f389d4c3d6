/** How long a registry takes to serve again, with so many sandboxes recorded. */
import { join } from "node:path";
import type { NodeId } from "../../src/fleet/node.js";
import type { TeamId } from "../../src/fleet/team.js";
import { randomId } from "../../src/lib/ids.js";
import type { RegistryStore } from "../../src/registry-store/registry-store.js";
import { openSqliteStore } from "../../src/registry-store/sqlite/open-sqlite-store.js";
import { freeAddress, makeTeam, startRegistryProcess } from "../../test/support/registry-process.js";

export interface RestartOptions {
  readonly directory: string;
  readonly sandboxes: number;
  readonly rounds: number;
  readonly profile?: string | undefined;
}

export interface RestartResult {
  readonly sandboxes: number;
  /** From the start of the process until it has answered a request for a sandbox. */
  readonly servingMs: readonly number[];
}

const nodesCount = 200;
const atOnce = 2_000;

export async function measureRestart(options: RestartOptions): Promise<RestartResult> {
  const { directory, sandboxes, rounds, profile } = options;
  const dataDir = join(directory, "registry");
  const [rest, nodes] = [await freeAddress(), await freeAddress()];
  const places = { dataDir, rest, nodes };
  const key = await (async () => {
    await using first = await startRegistryProcess(places);
    const made = await makeTeam(first, "bench");
    await first.end("SIGTERM");
    return made;
  })();
  const id = await fillStore(join(dataDir, "registry.db"), sandboxes);
  const nodeOptions = profile === undefined ? [] : ["--cpu-prof", "--cpu-prof-dir", profile];
  const servingMs: number[] = [];
  for (let round = 0; round < rounds; round++) {
    const startedAt = performance.now();
    await using registry = await startRegistryProcess({ ...places, nodeOptions });
    const answer = await fetch(`${registry.url}/sandboxes/${id}`, { headers: { "x-api-key": key } });
    if (!answer.ok) throw new Error(`the sandbox is not there: ${answer.status} ${await answer.text()}`);
    servingMs.push(performance.now() - startedAt);
    await registry.end("SIGTERM");
  }
  return { sandboxes, servingMs };
}

/** Gives the id of one of them. */
async function fillStore(path: string, count: number): Promise<string> {
  await using store = await openSqliteStore(path);
  const team = (await store.teams.findByName("bench"))?.id ?? ("" as TeamId);
  const ids = await insertNodes(store);
  const startedAt = new Date();
  let last = "";
  for (let made = 0; made < count; made += atOnce) {
    const some = Array.from({ length: Math.min(atOnce, count - made) }, (_, index) => ({
      ...{ id: randomId(), team, node: ids[index % ids.length] ?? ("" as NodeId), template: "base" },
      state: { status: "running" } as const,
      ...{ startedAt, endAt: new Date(startedAt.getTime() + 86_400_000), timeoutMs: 86_400_000 },
      onTimeout: { kind: "kill" } as const,
      ...{ metadata: { run: "bench", index: String(index) }, accessToken: "0".repeat(64) },
      ...{ allowInternetAccess: true, cpus: 1, memoryBytes: 2 ** 29, diskBytes: 2 ** 40 },
    }));
    await store.sandboxes.insert(some);
    last = some.at(-1)?.id ?? last;
  }
  return last;
}

async function insertNodes(store: RegistryStore): Promise<readonly NodeId[]> {
  const ids = Array.from({ length: nodesCount }, () => randomId() as NodeId);
  const at = new Date();
  for (const [index, id] of ids.entries())
    await store.nodes.insert({
      ...{ id, name: `away-${index}`, address: "127.0.0.1:1", certificate: "00", joinedAt: at },
      ...{ isCordoned: false, seenAt: at },
    });
  return ids;
}
