/** What teams have on a node, for whoever takes the node away. */
import type { NodeId } from "../fleet/node.js";
import { DomainError } from "../lib/errors.js";
import { mapLimited } from "../lib/limit.js";
import type { Deps } from "./deps.js";
import { writing } from "./owned.js";

export interface OnNodes {
  /** Creates and forks that are under way there, and have no records yet. */
  making(node: NodeId): number;
  /**
   * Deletes the records of all sandboxes and snapshots on a node that is lost. Should it come back, what it still has of
   * them is nobody's. `failed_precondition`: it is not lost.
   */
  forget(node: NodeId): Promise<void>;
}

type OnNodesDeps = Pick<Deps, "owned" | "nodes" | "turns" | "inFlight" | "log"> & {
  readonly store: { readonly catalogue: Pick<Deps["store"]["catalogue"], "ofNode" | "delete"> };
};

const deletedAtOnce = 100;

export function openOnNodes({ owned, nodes, turns, inFlight, log, store }: OnNodesDeps): OnNodes {
  return {
    making: (node) => [...inFlight.values()].filter((other) => other === node).length,
    async forget(node) {
      const { record, health } = nodes.get(node);
      if (health !== "lost")
        throw new DomainError("failed_precondition", `node ${record.name} is ${health}, not lost`, {
          hint: "what is on it can still be had: drain it, and let its sandboxes end",
        });
      const [sandboxes, snapshots] = [await owned.ofNode(node), await store.catalogue.ofNode(node)];
      const [lost, gone] = [sandboxes.length, snapshots.length];
      log.warn(
        { node, name: record.name, sandboxes: lost, snapshots: gone },
        "what is on a node is forgotten",
      );
      await mapLimited(sandboxes, deletedAtOnce, ({ id }) => turns.run(id, () => owned.delete(id)));
      await mapLimited(snapshots, deletedAtOnce, ({ id }) => writing(() => store.catalogue.delete(id)));
    },
  };
}
