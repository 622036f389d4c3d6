/** What nodes are told to keep of a template's warm slots: only what has changed, and again where it has failed. */
import type { AgentApi } from "../agent-client/agent-api.js";
import type { NodeId } from "../fleet/node.js";
import { isDomainError, toDomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { withDeadline } from "../lib/signal.js";
import { noSlots, type SlotTarget } from "../template/template.js";

/** Of one template. What a node that is away was told is forgotten: it is told again when it is back. */
export interface Told {
  readonly told: Map<NodeId, SlotTarget>;
  /** Those that were told something, and have not been told anything since they went away. */
  readonly away: Set<NodeId>;
  /** What nodes have answered that did not do as they were told. */
  readonly problems: Map<NodeId, string>;
}

const tellMs = 5_000;

export function forgetAway(
  { told, away, problems }: Told,
  here: ReadonlySet<NodeId>,
  members: ReadonlySet<NodeId>,
): void {
  for (const id of problems.keys()) if (!here.has(id)) problems.delete(id);
  for (const id of told.keys()) {
    if (here.has(id)) continue;
    told.delete(id);
    away.add(id);
  }
  for (const id of away) if (!members.has(id)) away.delete(id);
}

export interface Order {
  readonly template: string;
  readonly known: Told;
  readonly node: NodeId;
  readonly target: SlotTarget;
  /** False: the pool is gone, or the node is not one of it any more. */
  readonly isWanted: boolean;
}

/** What differs from what a node was told; where nothing is wanted any more, none. `wanted` undefined: the pool is gone. */
export function ordersOf(
  template: string,
  known: Told,
  wanted: ReadonlyMap<NodeId, SlotTarget> | undefined,
  here: ReadonlySet<NodeId>,
): Order[] {
  const back = wanted === undefined ? [...known.away].filter((node) => here.has(node)) : [];
  const unwanted = [...back, ...known.told.keys()].filter((node) => wanted?.has(node) !== true);
  const changed = [...(wanted ?? [])].filter(([node, { min, max }]) => {
    const told = known.told.get(node);
    return told === undefined || told.min !== min || told.max !== max;
  });
  return [
    ...changed.map(([node, target]) => ({ template, known, node, target, isWanted: true })),
    ...unwanted.map((node) => ({ template, known, node, target: noSlots, isWanted: false })),
  ];
}

export interface TellParts {
  readonly nodes: { api(id: NodeId): { readonly templates: Pick<AgentApi["templates"], "setSlots"> } };
  readonly log: Pick<Logger, "warn">;
}

export async function tell({ nodes, log }: TellParts, order: Order, signal: AbortSignal): Promise<void> {
  const { template, known, node, target, isWanted } = order;
  const ask = (linked: AbortSignal) =>
    nodes.api(node).templates.setSlots({ name: template, ...target }, { signal: linked });
  try {
    await withDeadline(`slots of ${template} on node ${node}`, tellMs, ask, signal);
  } catch (thrown) {
    if (signal.aborted) return;
    // Where the template is gone, its slots are too.
    if (isWanted || !isDomainError(thrown, "not_found")) {
      const { message } = toDomainError(thrown);
      // It is tried again every second, and said once.
      if (known.problems.get(node) !== message)
        log.warn({ err: thrown, node, template }, "slots cannot be set");
      known.problems.set(node, message);
      return;
    }
  }
  if (isWanted) known.told.set(node, target);
  else known.told.delete(node);
  known.away.delete(node);
  known.problems.delete(node);
}
