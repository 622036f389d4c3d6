/**
 * The nodes that have joined: how to call each, what each last said. Their health is judged by the clock; what changes
 * is told to whoever listens.
 */
import type { AgentApi } from "../agent-client/agent-api.js";
import type { NodeHealth, NodeId, NodeRecord, NodeReport, SandboxNews } from "../fleet/node.js";

import type { NodePort } from "./node-port.js";

export type { AgentApi } from "../agent-client/agent-api.js";

export interface NodeView {
  readonly record: NodeRecord;
  readonly health: NodeHealth;
  /** Absent until the first one since the registry started. */
  readonly report?: NodeReport;
}

export interface Inventory extends SandboxNews {
  readonly node: NodeId;
}

export interface NodesListener {
  /** In order for each node; a rejection is logged, and a whole inventory is asked for again. */
  onInventory(inventory: Inventory): Promise<void>;
  /** In order with the inventories; a rejection is logged. */
  onHealth(node: NodeId, health: NodeHealth): Promise<void>;
}

/** For indexes over the nodes: told at once, and must be quick. */
export interface NodesIndex {
  /** After each report, and when health or cordon have changed. */
  onChange(view: NodeView): void;
  onRemoved(node: NodeId): void;
}

export interface Nodes extends AsyncDisposable {
  list(): readonly NodeView[];
  /** `not_found`. */
  get(id: NodeId): NodeView;
  /** By id or name. `not_found`. */
  find(ref: string): NodeView;
  /** `not_found`; calls of a node that is not reachable throw `unavailable`. */
  api(id: NodeId): AgentApi;
  /** For requests to its sandboxes. `not_found`; `unavailable` while it is not reachable. */
  port(id: NodeId): NodePort;
  /** Hears what is new from now on. */
  listen(listener: Partial<NodesListener & NodesIndex>): void;
  /** Cordoned, it gets no new work. */
  cordon(id: NodeId, isCordoned: boolean): Promise<NodeView>;
  /**
   * Forgets a node: its certificate is worth nothing from then on, and what runs there is left alone.
   * `failed_precondition`: sandboxes or snapshots are recorded on it.
   */
  remove(id: NodeId): Promise<void>;
}
