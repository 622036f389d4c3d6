/** What a simulation has shown, for people, and against what is wanted. */
import type { HeldMemory } from "./memory.js";
import { decisions, works } from "./meter.js";
import type { Simulation } from "./simulation.js";

export interface Target {
  readonly what: string;
  readonly wanted: string;
  readonly got: string;
  readonly isMet: boolean;
}

export function targets({ meter, registry, violations }: Simulation, held: HeldMemory): readonly Target[] {
  const perSecond = (registry.counts.claims / meter.cpuMs("claims")) * 1_000;
  const p99 = meter.latency("choose").p99 + meter.latency("record").p99;
  const kibibytes = (bytes: number) => `${(bytes / 1024).toFixed(2)} KiB`;
  return [
    {
      what: "claims per second of one core",
      ...{ wanted: ">= 10000", got: perSecond.toFixed(0), isMet: perSecond >= 10_000 },
    },
    { what: "claim, p99", wanted: "<= 10 ms", got: `${p99.toFixed(3)} ms`, isMet: p99 <= 10 },
    {
      what: "memory per sandbox",
      ...{ wanted: "<= 2 KiB", got: kibibytes(held.perSandbox), isMet: held.perSandbox <= 2048 },
    },
    {
      what: "memory per node",
      ...{ wanted: "<= 64 KiB", got: kibibytes(held.perNode), isMet: held.perNode <= 65_536 },
    },
    { what: "violations", wanted: "0", got: String(violations.length), isMet: violations.length === 0 },
  ];
}

export function figures({ registry, meter, virtualMs, agents }: Simulation): readonly string[] {
  const { counts, records } = registry;
  const seconds = (ms: number) => (ms / 1_000).toFixed(1);
  return [
    `${agents.size} nodes, ${records.size} sandboxes in the end, ${seconds(virtualMs)} virtual seconds`,
    Object.entries(counts)
      .map(([name, count]) => `${name} ${count}`)
      .join(", "),
    `processor seconds: ${works.map((work) => `${work} ${seconds(meter.cpuMs(work))}`).join(", ")}`,
    ...decisions.map((each) => {
      const { count, p50, p99 } = meter.latency(each);
      return `${each}: ${count}, p50 ${p50.toFixed(4)} ms, p99 ${p99.toFixed(4)} ms`;
    }),
  ];
}
