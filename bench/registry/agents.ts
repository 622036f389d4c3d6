/** A process of many light agents: told by its parent which, and asked by it what they have. */

import type { Address } from "../../src/lib/address.js";
import { mapLimited } from "../../src/lib/limit.js";
import { createLogger } from "../../src/lib/log.js";
import type { Node } from "../../src/node/node.js";
import { startLightAgent } from "../../test/support/light-agent.js";
import { lightNode } from "../../test/support/light-node.js";

export interface AgentsOrder {
  readonly registry: Address;
  readonly template: string;
  /** Warm slots of each. */
  readonly slots: number;
  readonly agents: readonly {
    readonly name: string;
    readonly address: Address;
    readonly dataDir: string;
    readonly token: string;
  }[];
}

export type ToAgents = { readonly start: AgentsOrder } | { readonly ask: "inventory" };
export type FromAgents =
  | { readonly started: readonly string[] }
  /** By node. */
  | { readonly inventory: Readonly<Record<string, readonly string[]>> };

const nodes = new Map<string, Node>();
const joinsAtOnce = 8;

async function start({ registry, template, slots, agents }: AgentsOrder): Promise<readonly string[]> {
  const log = createLogger({ level: "error" });
  const never = new AbortController().signal;
  return await mapLimited(agents, joinsAtOnce, async (options) => {
    const node = lightNode({ templates: [template] });
    await node.templates.setSlots(template, { min: slots, max: slots });
    const { id } = await startLightAgent({ ...options, node, registry, log }, never);
    nodes.set(id, node);
    return id;
  });
}

async function inventory(): Promise<Record<string, readonly string[]>> {
  const all: Record<string, readonly string[]> = {};
  for (const [id, node] of nodes)
    all[id] = (await node.sandboxes.list({ statuses: [], labels: {} })).map((sandbox) => sandbox.id);
  return all;
}

async function answer(message: ToAgents): Promise<FromAgents> {
  if ("start" in message) return { started: await start(message.start) };
  return { inventory: await inventory() };
}

process.on("message", (message: ToAgents) => {
  answer(message).then(
    (it) => process.send?.(it),
    (thrown: unknown) => {
      process.stderr.write(`agents: ${thrown instanceof Error ? thrown.stack : String(thrown)}\n`);
      process.exit(1);
    },
  );
});
process.on("disconnect", () => process.exit(0));
