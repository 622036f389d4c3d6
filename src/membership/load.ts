/** How much of the machine there is, and how much of it is free. */
import { readFileSync, statfsSync } from "node:fs";
import { availableParallelism, loadavg } from "node:os";
import type { HeldTemplate, NodeLoad } from "../fleet/node.js";
import { DomainError } from "../lib/errors.js";
import type { TemplateView } from "../node/node.js";
import type { ReportDeps } from "./reports.js";

export const templatesMax = 1000;

export async function readLoad({ node, dataDir }: Pick<ReportDeps, "node" | "dataDir">): Promise<NodeLoad> {
  const templates = await node.templates.list();
  // The kernel knows both without a disk: to ask takes less than a trip to another thread.
  const [memory, room] = [readFileSync("/proc/meminfo", "utf8"), statfsSync(dataDir)];
  return {
    cpus: availableParallelism(),
    ...parseMemory(memory),
    diskBytes: room.blocks * room.bsize,
    diskFreeBytes: room.bavail * room.bsize,
    load: loadavg()[0] ?? 0,
    templates: templates.flatMap(heldTemplate).slice(0, templatesMax),
  };
}

/** Of /proc/meminfo (proc_meminfo(5)), in bytes. */
export function parseMemory(text: string): {
  readonly memoryBytes: number;
  readonly memoryFreeBytes: number;
} {
  const bytes = (name: string) => {
    const match = new RegExp(`^${name}:\\s+(\\d+) kB$`, "m").exec(text);
    if (match === null) throw new DomainError("internal", `/proc/meminfo has no ${name}`);
    return Number(match[1]) * 1024;
  };
  return { memoryBytes: bytes("MemTotal"), memoryFreeBytes: bytes("MemAvailable") };
}

function heldTemplate({ template, slots, cloneBytes }: TemplateView): HeldTemplate[] {
  const { spec, state } = template;
  if (state.status !== "ready") return [];
  const { cpus, memoryBytes } = spec.limits;
  return [
    {
      name: spec.name,
      checkpoint: state.checkpoint,
      slotsReady: slots.ready,
      cloneBytes,
      ...(cpus === undefined ? {} : { cpus }),
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
    },
  ];
}
