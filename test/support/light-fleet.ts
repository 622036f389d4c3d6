/** A registry as a process of its own, and a few agents in this one whose nodes exist in memory alone. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createLogger } from "../../src/lib/log.js";
import { openScope } from "../../src/lib/scope.js";
import { waitUntil } from "../../src/lib/signal.js";
import type { Node } from "../../src/node/node.js";
import { type LightAgent, startLightAgent } from "./light-agent.js";
import { lightNode } from "./light-node.js";
import {
  freeAddress,
  makeTeam,
  makeToken,
  type RegistryAdmin,
  type RegistryProcess,
  startRegistryProcess,
} from "./registry-process.js";

export interface LightFleetOptions {
  /** For everything but the registry's data. */
  readonly directory: string;
  readonly dataDir: string;
  readonly nodes: number;
  /** Of each node, as LightNodeOptions has it. */
  readonly restoreMs?: number;
  readonly pauseMs?: number;
  /** When a silent node is lost. Default: the registry's own. */
  readonly lostAfterS?: number;
}

export interface LightFleet extends AsyncDisposable {
  readonly dataDir: string;
  /** All nodes have `base`, and no warm slots. By id. */
  readonly nodes: ReadonlyMap<string, Node>;
  /** By the key of a team without limits. Rejects where the registry goes away. */
  ask(method: string, path: string, options?: AskOptions): Promise<Answer>;
  readonly url: string;
  /** By the registry's own key. */
  admin: RegistryAdmin["admin"];
  /** Ends the agent of a node for good. */
  stopAgent(node: string): Promise<void>;
  /** Kills the registry. */
  kill(): Promise<void>;
  /** Starts it again, and waits for its nodes. */
  start(): Promise<void>;
  /** What clients see, all pages of it. */
  listed(): Promise<readonly string[]>;
  /** By node. */
  held(): Promise<ReadonlyMap<string, readonly string[]>>;
}

export interface AskOptions {
  readonly body?: object;
  readonly key?: string;
  readonly signal?: AbortSignal;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body says what is in it
  readonly body: any;
}

export async function openLightFleet(options: LightFleetOptions): Promise<LightFleet> {
  const { directory, dataDir, lostAfterS } = options;
  await using scope = openScope();
  const lost = lostAfterS === undefined ? {} : { lostAfterS };
  const places = { dataDir, rest: await freeAddress(), nodes: await freeAddress(), ...lost };
  let registry: RegistryProcess = await startRegistryProcess(places);
  scope.defer(() => registry[Symbol.asyncDispose]());
  const key = await makeTeam(registry, "main");
  const nodes = new Map<string, Node>();
  const agents = new Map<string, LightAgent>();
  for (let index = 0; index < options.nodes; index++) {
    const { restoreMs = 0, pauseMs = 0 } = options;
    const node = lightNode({ templates: ["base"], restoreMs, pauseMs });
    const dataDir = join(directory, `agent-${index}`);
    await mkdir(dataDir);
    const address = await freeAddress();
    const log = createLogger({ level: "error" });
    const token = await makeToken(registry);
    const rest = { node, name: `light-${index}`, registry: places.nodes, address, dataDir, token, log };
    const agent = await startLightAgent(rest, new AbortController().signal);
    scope.defer(async () => agents.get(agent.id)?.[Symbol.asyncDispose]());
    nodes.set(agent.id, node);
    agents.set(agent.id, agent);
  }
  await untilReady(registry, nodes.size);
  const owned = scope.move();
  const asking: LightFleet["ask"] = (method, path, asked = {}) => ask(registry.url, key, method, path, asked);
  return {
    ...{ dataDir, nodes, url: registry.url },
    admin: (method, path, body) => registry.admin(method, path, body),
    async stopAgent(node) {
      await agents.get(node)?.[Symbol.asyncDispose]();
      agents.delete(node);
    },
    ask: asking,
    listed: () => listAll(asking),
    kill: () => registry.end("SIGKILL"),
    async start() {
      registry = await startRegistryProcess(places);
      await untilReady(registry, nodes.size);
    },
    async held() {
      const lists = [...nodes].map(async ([id, node]) => {
        const sandboxes = await node.sandboxes.list({ statuses: [], labels: {} });
        return [id, sandboxes.map((sandbox) => sandbox.id)] as const;
      });
      return new Map(await Promise.all(lists));
    },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

async function untilReady(registry: RegistryProcess, count: number): Promise<void> {
  const isReady = async () => {
    const nodes = await registry.admin<{ health: string }[]>("GET", "/nodes");
    return nodes.filter(({ health }) => health === "ready").length === count;
  };
  await waitUntil("all nodes", isReady, { intervalMs: 50, timeoutMs: 30_000 });
}

async function listAll(ask: LightFleet["ask"]): Promise<readonly string[]> {
  const ids: string[] = [];
  let next: string | null = "";
  while (next !== null) {
    const { headers, body } = await ask(
      "GET",
      `/v2/sandboxes?limit=100&nextToken=${encodeURIComponent(next)}`,
    );
    ids.push(...body.map(({ sandboxID }: { sandboxID: string }) => sandboxID));
    next = headers.get("x-next-token");
  }
  return ids;
}

async function ask(
  url: string,
  apiKey: string,
  method: string,
  path: string,
  { body, key, signal }: AskOptions,
): Promise<Answer> {
  const answer = await fetch(`${url}${path}`, {
    method,
    headers: {
      ...{ "x-api-key": apiKey, "content-type": "application/json" },
      ...(key === undefined ? {} : { "idempotency-key": key }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
  const text = await answer.text();
  return {
    ...{ status: answer.status, headers: answer.headers },
    body: text === "" ? undefined : JSON.parse(text),
  };
}
