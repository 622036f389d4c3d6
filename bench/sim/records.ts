/** What a registry owns, in memory: records, by node, by template, and when their time is up. */
import type { NodeId } from "../../src/fleet/node.js";
import type { OwnedSandbox } from "../../src/fleet/sandbox.js";
import { createDeadlineQueue } from "../../src/lib/deadline-queue.js";

export interface Records {
  readonly size: number;
  find(id: string): OwnedSandbox | undefined;
  ofNode(node: NodeId): OwnedSandbox[];
  all(): Iterable<OwnedSandbox>;
  /** Of a template, not paused and not lost. */
  claimed(template: string): number;
  put(sandbox: OwnedSandbox): void;
  delete(id: string): void;
  takeDue(now: Date): readonly string[];
  clear(): void;
}

export function createRecords(): Records {
  const records = new Map<string, OwnedSandbox>();
  const nodes = new Map<NodeId, Set<string>>();
  const claimed = new Map<string, number>();
  const deadlines = createDeadlineQueue();

  function count(sandbox: OwnedSandbox | undefined, by: number): void {
    if (sandbox === undefined || sandbox.state.status === "paused" || sandbox.state.status === "lost") return;
    claimed.set(sandbox.template, (claimed.get(sandbox.template) ?? 0) + by);
  }

  return {
    get size() {
      return records.size;
    },
    find: (id) => records.get(id),
    ofNode: (node) => [...(nodes.get(node) ?? [])].flatMap((id) => records.get(id) ?? []),
    all: () => records.values(),
    claimed: (template) => claimed.get(template) ?? 0,
    put(sandbox) {
      const { id, node, state, endAt } = sandbox;
      count(records.get(id), -1);
      count(sandbox, 1);
      records.set(id, sandbox);
      const ids = nodes.get(node) ?? new Set<string>();
      nodes.set(node, ids.add(id));
      if (state.status === "running" || state.status === "killing") deadlines.set(id, endAt.getTime());
      else deadlines.delete(id);
    },
    delete(id) {
      const sandbox = records.get(id);
      if (sandbox === undefined) return;
      count(sandbox, -1);
      records.delete(id);
      nodes.get(sandbox.node)?.delete(id);
      deadlines.delete(id);
    },
    clear() {
      for (const id of [...records.keys()]) deadlines.delete(id);
      for (const map of [records, nodes, claimed]) map.clear();
    },
    takeDue: (now) => deadlines.takeDue(now.getTime(), 100_000),
  };
}
