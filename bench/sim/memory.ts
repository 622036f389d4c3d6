/** What the registry's own objects hold: the heap with them, less the heap without. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import type { Simulation } from "./simulation.js";

export interface HeldMemory {
  readonly perSandbox: number;
  readonly perNode: number;
}

/** Takes the simulation apart: its agents first, so that what the registry alone holds is left. */
export function measureMemory({ agents, registry }: Pick<Simulation, "agents" | "registry">): HeldMemory {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const heap = () => {
    collect();
    return process.memoryUsage().heapUsed;
  };
  const [sandboxes, nodes] = [registry.records.size, agents.size];
  agents.clear();
  const all = heap();
  registry.dropRecords();
  const withoutRecords = heap();
  registry.dropNodes();
  const withoutNodes = heap();
  return { perSandbox: (all - withoutRecords) / sandboxes, perNode: (withoutRecords - withoutNodes) / nodes };
}
