/**
 * Where new work goes: all nodes in memory, indexed so that one decision costs the same whatever their number.
 * Numbers are hints, as old as the last report; the agent has the last word.
 */
import type { NodeHealth, NodeId, NodeReport } from "./node.js";

export interface Want {
  /** What it is made from, as nodes name it. */
  readonly source:
    | { readonly kind: "template"; readonly template: string }
    | { readonly kind: "checkpoint"; readonly checkpoint: string }
    | { readonly kind: "image"; readonly image: string };
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Nodes that have refused it already. */
  readonly except: ReadonlySet<NodeId>;
}

/** `via` says why: a warm slot, the checkpoint is there, or there is room and it has what it needs. */
export interface Choice {
  readonly node: NodeId;
  readonly via: "slot" | "checkpoint" | "capacity";
  /**
   * To be called once. made: it counts until a report of the node includes it. refused: there was no room; the node's
   * numbers were wrong, and it gets nothing of the kind until its next report. failed: as if nothing had been chosen.
   */
  settle(outcome: "made" | "refused" | "failed"): void;
}

/** unknown: no ready node has what it is made from. full: those that have it have no room. */
export interface NoChoice {
  readonly node?: undefined;
  readonly reason: "unknown" | "full";
}

export interface FleetNode {
  readonly id: NodeId;
  readonly health: NodeHealth;
  readonly isCordoned: boolean;
  readonly report: NodeReport;
}

export interface Fleet {
  /** Takes a node in, or what changed of it. */
  put(node: FleetNode): void;
  remove(node: NodeId): void;
  /** `random`: at least 0 and below 1. */
  choose(want: Want, random: () => number): Choice | NoChoice;
  /** What all nodes together have of a template: sums over reports. */
  slots(template: string): { readonly ready: number; readonly nodes: number };
}
