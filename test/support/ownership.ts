/** Whether records and nodes agree on who owns what, once everything has come to rest. */
import { join } from "node:path";
import { openSqliteStore } from "../../src/registry-store/sqlite/open-sqlite-store.js";

export interface OwnershipInput {
  /** By sandbox: the node that it is recorded on. */
  readonly recorded: ReadonlyMap<string, string>;
  /** By node: the sandboxes that it has. */
  readonly held: ReadonlyMap<string, readonly string[]>;
  /** Sandboxes that a client was told of, and has not ended since. */
  readonly acknowledged: readonly string[];
}

/** Sentences, one for each that is wrong. */
export function findWrong({ recorded, held, acknowledged }: OwnershipInput): string[] {
  const on = new Map<string, string[]>();
  for (const [node, ids] of held) for (const id of ids) on.set(id, [...(on.get(id) ?? []), node]);
  const wrong = acknowledged
    .filter((id) => !recorded.has(id))
    .map((id) => `sandbox ${id} was acknowledged, and is not recorded`);
  for (const [id, node] of recorded) {
    const nodes = on.get(id) ?? [];
    if (!nodes.includes(node)) wrong.push(`sandbox ${id} is recorded on ${node}, and is not there`);
    if (nodes.length > 1) wrong.push(`sandbox ${id} is on ${nodes.join(" and ")}`);
  }
  for (const id of on.keys())
    if (!recorded.has(id)) wrong.push(`sandbox ${id} on ${on.get(id)?.join()} has no owner`);
  if (new Set(acknowledged).size !== acknowledged.length) wrong.push("a sandbox was given to two clients");
  return wrong;
}

/** Of a registry that does not run. */
export async function readRecorded(dataDir: string): Promise<ReadonlyMap<string, string>> {
  await using store = await openSqliteStore(join(dataDir, "registry.db"));
  const recorded = new Map<string, string>();
  for await (const some of store.sandboxes.outlines())
    for (const { id, node } of some) recorded.set(id, node);
  return recorded;
}
