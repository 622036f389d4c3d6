/** What was measured of a registry, as a table and against what is wanted. Pure. */
import { formatTable } from "../../src/cli/format.js";
import { type Figure, figureOf, formatNumber, formatTarget, isMet, type Target } from "../figures.js";
import type { WireResult } from "./over-the-wire.js";
import type { RestartResult } from "./restart.js";
import type { WarmResult } from "./warm.js";

export interface Measured {
  readonly wire: WireResult;
  readonly warm: WarmResult;
  readonly restart: RestartResult;
}

export interface RegistryReport extends Measured {
  readonly targets: readonly RegistryTarget[];
}

interface RegistryTarget {
  readonly text: string;
  readonly isMet: boolean;
}

const perSecondWanted = 500;

export function reportOf(measured: Measured): RegistryReport {
  const { wire, warm, restart } = measured;
  const restarts = figureOf(restart.servingMs);
  const atMost: readonly Target[] = [
    { what: "create from a warm slot, median", value: warm.single?.median, atMost: 8, unit: "ms" },
    { what: `the same, ${warm.atOnce} at once, p99`, value: warm.together?.p99, atMost: 25, unit: "ms" },
    {
      what: `serving again with ${restart.sandboxes} recorded`,
      value: restarts?.median,
      atMost: 2000,
      unit: "ms",
    },
    { what: "sandboxes without one owner, over the wire", value: wire.wrong.length, atMost: 0, unit: "" },
  ];
  const isFast = wire.perSecond >= perSecondWanted;
  const rate = `creates a second, ${wire.agents} agents: ${formatNumber(wire.perSecond)}, wanted at least`;
  return {
    ...measured,
    targets: [
      ...atMost.map((target) => ({ text: formatTarget(target), isMet: isMet(target) })),
      { text: `${isFast ? "met   " : "MISSED"}  ${rate} ${perSecondWanted}`, isMet: isFast },
    ],
  };
}

const mib = 1024 * 1024;

export function tableOf({ wire, warm, restart, targets }: RegistryReport): string {
  const row = (what: string, figure: Figure | undefined) => [
    what,
    ...(figure === undefined ? ["-", "-", "-"] : [figure.median, figure.p90, figure.p99].map(formatNumber)),
  ];
  const { cpuPercent: cpu, registryRssBytes: rss } = wire;
  const perCreate = (percent: number) => `${formatNumber((10 * percent) / wire.perSecond)} ms`;
  const [load, idle] = [[warm.load, wire.load].map(formatNumber), formatNumber(cpu.registryIdle)];
  return [
    formatTable(
      ["MILLISECONDS", "MEDIAN", "P90", "P99"],
      [
        row("warm slot, one after another", warm.single),
        row(`warm slot, ${warm.atOnce} at once`, warm.together),
        row(`the same client, answered at once`, warm.prompt),
        row(`${wire.agents} light agents, ${wire.atOnce} at once`, wire.ms),
        row(`restart with ${restart.sandboxes} recorded`, figureOf(restart.servingMs)),
      ],
    ),
    "",
    `over the wire: ${wire.created} creates in ${formatNumber(wire.seconds)} s, ${formatNumber(wire.perSecond)} a second`,
    `processor time of a create: registry ${perCreate(cpu.registry)}, agents ${perCreate(cpu.agents)}, ` +
      `client ${perCreate(cpu.client)}; while the agents only beat, the registry takes ${idle} % of a core`,
    `memory of the registry: ${formatNumber(rss.before / mib)} MiB, then ${formatNumber(rss.after / mib)} MiB`,
    ...Object.entries(wire.failures).map(
      ([what, count]) => `failed: ${count} with ${what}: ${wire.messages[what]}`,
    ),
    ...wire.wrong.slice(0, 10).map((sentence) => `wrong: ${sentence}`),
    `load of the machine in the end: ${load[0]} with warm slots, ${load[1]} over the wire`,
    "",
    ...targets.map(({ text }) => text),
  ].join("\n");
}
