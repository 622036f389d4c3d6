/** What was measured of the data plane, as tables and against what is wanted. Pure. */
import { formatTable } from "../../src/cli/format.js";
import { type Figure, figureOf, formatNumber, formatTarget, isMet } from "../figures.js";
import type { Interactive } from "./interactive.js";
import type { Growth } from "./memory.js";
import type { Load } from "./requests.js";
import type { Streams } from "./streams.js";
import type { Rates } from "./transfers.js";

export interface Measured {
  readonly transfers: readonly Rates[];
  readonly requests: readonly Load[];
  readonly interactive: readonly Interactive[];
  readonly streams: readonly Streams[];
  readonly load: number;
}

const mib = 1024 * 1024;
const peerName = "nginx";
const medianOf = (samples: readonly number[] = []) => figureOf(samples)?.median;
const shown = (value: number | undefined) => (value === undefined ? "-" : formatNumber(value));
const ratio = (value: number | undefined, to: number | undefined) =>
  value === undefined || to === undefined ? undefined : value / to;

/** MiB, of each process the most. */
function grown(growth: readonly Growth[]): number | undefined {
  const all = growth.map(({ beforeBytes, peakBytes }) => (peakBytes - beforeBytes) / mib);
  return all.length === 0 ? undefined : Math.max(...all);
}

export function tableOf(measured: Measured): string {
  const { transfers, requests, interactive, streams, load } = measured;
  return [
    ...(transfers.length === 0 ? [] : [transferTable(transfers), ""]),
    ...(requests.length === 0 ? [] : [requestTable(requests), ""]),
    ...(interactive.length === 0 ? [] : [interactiveTable(interactive), ""]),
    ...(streams.length === 0 ? [] : [streamTable(streams), ""]),
    `load of the machine in the end: ${formatNumber(load)}`,
    "",
    ...targetsOf(measured).map(({ text }) => text),
  ].join("\n");
}

function transferTable(transfers: readonly Rates[]): string {
  const peer = transfers.find(({ name }) => name === peerName);
  const rows = (["upload", "download"] as const).flatMap((kind) =>
    transfers.map((rates) => {
      const median = medianOf(rates[kind]);
      return [
        ...[kind, rates.name, shown(median), `${rates[kind].map(formatNumber).join(" ")}`],
        ...[shown(ratio(median, medianOf(peer?.[kind]))), shown(grown(rates.growth[kind]))],
      ];
    }),
  );
  return formatTable(["ONE FILE, MB/s", "BY", "MEDIAN", "ROUNDS", "OF NGINX", "MEMORY, MiB"], rows);
}

const kinds = { envd: "empty answer of the node's envd", inside: "server in the sandbox" } as const;

function requestTable(requests: readonly Load[]): string {
  const rows = requests.map(({ name, kind, perSecond, p50Ms, p99Ms, wrong }) => {
    const peer = requests.find((other) => other.name === peerName && other.kind === kind);
    const median = medianOf(perSecond);
    return [
      ...[kinds[kind], name, shown(median), shown(ratio(median, medianOf(peer?.perSecond)))],
      ...[shown(medianOf(p50Ms)), shown(medianOf(p99Ms)), String(wrong)],
    ];
  });
  return formatTable(
    ["SMALL REQUESTS", "BY", "A SECOND", "OF NGINX", "MEDIAN, ms", "P99, ms", "FAILED"],
    rows,
  );
}

function interactiveTable(all: readonly Interactive[]): string {
  const row = (what: string, name: string, figure: Figure | undefined) => [
    ...[what, name],
    ...[figure?.median, figure?.p90, figure?.p99].map(shown),
  ];
  const rows = all.flatMap(({ name, single, together, command }) => [
    row("first output, one after another", name, single),
    row("first output, 20 at once", name, together),
    row('commands.run("true")', name, command),
  ]);
  const parts = all.flatMap(({ name, made }) =>
    made === undefined
      ? []
      : `a command, ${name}: processor time of the client ${shown(made.clientMs)} ms, of ours ${shown(made.daemonsMs)} ms; ` +
        `its shell alone, in the sandbox, ${shown(made.shellMs)} ms`,
  );
  return [formatTable(["E2B'S CLIENT, ms", "BY", "MEDIAN", "P90", "P99"], rows), ...parts].join("\n");
}

function streamTable(all: readonly Streams[]): string {
  const rows = all.map(({ name, count, growth }) => [
    ...[`${count} idle streams`, name],
    growth.map(({ peakBytes, beforeBytes }) => formatNumber((peakBytes - beforeBytes) / mib)).join(" and "),
    growth.map(({ beforeBytes }) => formatNumber(beforeBytes / mib)).join(" and "),
  ]);
  return formatTable(["IDLE", "BY", "MEMORY MORE, MiB", "BEFORE, MiB"], rows);
}

export interface PlaneTarget {
  readonly text: string;
  readonly isMet: boolean;
}

interface AtLeast {
  readonly what: string;
  readonly value: number | undefined;
  readonly atLeast: number;
}

export function targetsOf(measured: Measured): readonly PlaneTarget[] {
  return [...transferTargets(measured), ...requestTargets(measured), ...interactiveTargets(measured)];
}

function transferTargets({ transfers }: Measured): readonly PlaneTarget[] {
  const peer = transfers.find(({ name }) => name === peerName);
  return transfers
    .filter(({ name }) => name !== peerName)
    .flatMap(({ name, growth, ...rates }) =>
      (["upload", "download"] as const).flatMap((kind) => [
        atLeast({
          what: `${kind} over nginx's, ${name}`,
          value: ratio(medianOf(rates[kind]), medianOf(peer?.[kind])),
          atLeast: 0.5,
        }),
        atMost(`memory of ${kind}, the most of a process, ${name}`, grown(growth[kind]), 64, "MiB"),
      ]),
    );
}

function requestTargets({ requests }: Measured): readonly PlaneTarget[] {
  return requests
    .filter(({ name }) => name !== peerName)
    .map(({ name, kind, perSecond }) =>
      atLeast({
        what: `requests a second, ${kinds[kind]}, ${name}`,
        value: medianOf(perSecond),
        atLeast: 4000,
      }),
    );
}

function interactiveTargets({ interactive, streams }: Measured): readonly PlaneTarget[] {
  return [
    ...interactive
      .filter(({ made }) => made !== undefined)
      .flatMap(({ name, single, together, command }) => [
        atMost(`first output, median, ${name}`, single?.median, 20, "ms"),
        atMost(`first output, 20 at once, p99, ${name}`, together?.p99, 60, "ms"),
        atMost(`commands.run("true"), median, ${name}`, command?.median, 6, "ms"),
      ]),
    ...streams.map(({ name, count, growth }) => {
      const sum = growth.reduce((all, it) => all + (it.peakBytes - it.beforeBytes) / mib, 0);
      return atMost(`memory of ${count} idle streams, ${name}`, sum, 100, "MiB");
    }),
  ];
}

function atMost(what: string, value: number | undefined, limit: number, unit: string): PlaneTarget {
  const target = { what, value, atMost: limit, unit };
  return { text: formatTarget(target), isMet: isMet(target) };
}

function atLeast({ what, value, atLeast: limit }: AtLeast): PlaneTarget {
  const is = value !== undefined && value >= limit;
  const verdict = value === undefined ? "-     " : is ? "met   " : "MISSED";
  return { text: `${verdict}  ${what}: ${shown(value)}, wanted at least ${limit}`, isMet: is };
}
