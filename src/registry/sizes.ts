/** What one sandbox of a template may use, as nodes report it. */
import type { NodeReport } from "../fleet/node.js";
import type { Clock } from "../lib/clock.js";
import type { Nodes } from "./nodes.js";
import type { SandboxSize } from "./registry.js";

/** By name; undefined while no node has it. */
export type Sizes = (template: string) => SandboxSize | undefined;

/** As long as a few reports: looking through all nodes for each create would cost more with each of them. */
const keptMs = 5_000;
const keptMax = 1_000;

export function createSizes(nodes: Pick<Nodes, "list">, now: Clock): Sizes {
  const kept = new Map<string, { readonly size: SandboxSize; readonly at: number }>();
  return (template) => {
    const at = now().getTime();
    const known = kept.get(template);
    if (known !== undefined && at - known.at < keptMs) return known.size;
    kept.delete(template);
    const size = findSize(nodes, template);
    if (kept.size >= keptMax) kept.clear();
    if (size !== undefined) kept.set(template, { size, at });
    return size;
  };
}

function findSize(nodes: Pick<Nodes, "list">, name: string): SandboxSize | undefined {
  for (const { report } of nodes.list()) {
    const held = report?.templates.find((template) => template.name === name);
    if (report !== undefined && held !== undefined) return sizeOn(report, held);
  }
  return undefined;
}

/** What is not limited may use the whole node. */
export function sizeOn(
  report: Pick<NodeReport, "cpus" | "memoryBytes" | "diskBytes">,
  { cpus, memoryBytes }: { readonly cpus?: number | undefined; readonly memoryBytes?: number | undefined },
): SandboxSize {
  return {
    cpus: cpus ?? report.cpus,
    memoryBytes: memoryBytes ?? report.memoryBytes,
    diskBytes: report.diskBytes,
  };
}
