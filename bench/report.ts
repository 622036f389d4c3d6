/** Medians, ratios, targets; as a table for people and as JSON for programs. */
import { formatTable } from "../src/cli/format.js";
import { type ContestantName, contestantNames, type Row, rows, type Samples } from "./contest.js";
import type { Machine } from "./machine.js";
import type { Workload } from "./workload.js";

export interface Figure {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  readonly samplesMs: readonly number[];
}

export interface ResultRow {
  readonly operation: string;
  readonly ours?: Figure | undefined;
  readonly podman?: Figure | undefined;
  readonly floor?: Figure | undefined;
  readonly oursOverPodman?: number | undefined;
  readonly oursOverFloor?: number | undefined;
}

export interface Result {
  readonly workload: Workload;
  readonly rows: readonly ResultRow[];
  readonly targets: readonly Target[];
}

export interface Target {
  readonly what: string;
  readonly ratio: number;
  readonly atMost: number;
  readonly isMet: boolean;
}

export interface Report {
  readonly formatVersion: 1;
  readonly startedAt: string;
  readonly rounds: number;
  readonly machine: Machine;
  readonly results: readonly Result[];
}

export function resultOf(workload: Workload, samples: Samples): Result {
  const figure = (row: Row, name: ContestantName) => figureOf(samples.get(row)?.get(name));
  const ratio = (row: Row, name: ContestantName, against: Row = row) =>
    ratioOf(figure(row, "ours"), figure(against, name));
  const asRow = (row: Row): ResultRow => {
    const figures = Object.fromEntries(contestantNames.map((name) => [name, figure(row, name)]));
    return {
      operation: rows[row],
      ...figures,
      oursOverPodman: ratio(row, "podman"),
      oursOverFloor: ratio(row, "floor"),
    };
  };
  const targets = [
    target("checkpoint, of podman's", ratio("checkpoint", "podman"), 0.5),
    target("fork 1, the clone, of podman's restore", ratio("clone", "podman"), 0.45),
    target("checkpoint, over runc checkpoint", ratio("checkpoint", "floor", "checkpointRunning"), 1.5),
    target("checkpoint, over that of a frozen source", ratio("checkpoint", "floor"), 1.5),
    target("fork 1, the clone, over the bare floor", ratio("clone", "floor"), 1.5),
    target("resume, over the bare floor", ratio("resume", "floor"), 1.5),
  ];
  const order = Object.keys(rows) as Row[];
  return { workload, rows: order.map(asRow), targets };
}

function target(what: string, ratio: number | undefined, atMost: number): Target {
  return { what, ratio: ratio ?? Number.NaN, atMost, isMet: ratio !== undefined && ratio <= atMost };
}

export function figureOf(samplesMs: readonly number[] | undefined): Figure | undefined {
  if (samplesMs === undefined || samplesMs.length === 0) return undefined;
  const sorted = [...samplesMs].sort((a, b) => a - b);
  return {
    medianMs:
      (at(sorted, Math.floor((sorted.length - 1) / 2)) + at(sorted, Math.floor(sorted.length / 2))) / 2,
    minMs: at(sorted, 0),
    maxMs: at(sorted, sorted.length - 1),
    samplesMs,
  };
}

function at(values: readonly number[], index: number): number {
  return values[index] ?? Number.NaN;
}

function ratioOf(ours: Figure | undefined, other: Figure | undefined): number | undefined {
  return ours === undefined || other === undefined ? undefined : ours.medianMs / other.medianMs;
}

export function formatResult({ workload, rows: all, targets }: Result): string {
  const cells = (figure: Figure | undefined) =>
    figure === undefined
      ? "-"
      : `${figure.medianMs.toFixed(0)} (${figure.minMs.toFixed(0)}-${figure.maxMs.toFixed(0)})`;
  const ratio = (value: number | undefined) => value?.toFixed(2) ?? "-";
  const table = formatTable(
    ["OPERATION, ms", "OURS", "PODMAN", "FLOOR", "OURS/PODMAN", "OURS/FLOOR"],
    all.map((row) => [
      row.operation,
      ...contestantNames.map((name) => cells(row[name])),
      ratio(row.oursOverPodman),
      ratio(row.oursOverFloor),
    ]),
  );
  const verdicts = targets.map(
    ({ what, ratio: value, atMost, isMet }) =>
      `${isMet ? "met   " : "MISSED"}  ${what}: ${value.toFixed(2)}, wanted at most ${atMost}`,
  );
  return [`${workload.name}: median (fastest-slowest)`, table, ...verdicts].join("\n");
}
