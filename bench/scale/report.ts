/** What the trials of all sizes come to. Pure. */
import { formatTable } from "../../src/cli/format.js";
import type { Chart } from "../chart.js";
import { type Figure, figureOf, formatNumber, formatTarget, isMet, type Target } from "../figures.js";
import { type Name, names, type Outcome, type Row, rows } from "./trials.js";

type Find = (row: Row, sizeMib: number, name?: Name) => Figure | undefined;

export interface ReportRow {
  readonly measure: string;
  readonly row: Row;
  readonly sizeMib: number;
  readonly figures: Readonly<Partial<Record<Name, Figure>>>;
  readonly oursOverPodman?: number | undefined;
  readonly oursOverFloor?: number | undefined;
}

export interface ScaleReport {
  readonly rows: readonly ReportRow[];
  readonly targets: readonly (Target & { readonly isMet: boolean })[];
}

const gib = 1024;

export function reportOf({ samples }: Outcome, sizes: readonly number[], clones: number): ScaleReport {
  const find: Find = (row, sizeMib, name = "ours") =>
    figureOf(
      samples
        .filter((it) => it.row === row && it.sizeMib === sizeMib && it.name === name)
        .map((it) => it.value),
    );
  const all = (Object.keys(rows) as Row[]).flatMap((row) =>
    sizes.map((sizeMib) => reportRow(find, row, sizeMib)),
  );
  const targets = targetsOf(find, sizes, clones);
  return {
    rows: all.filter(({ figures }) => Object.keys(figures).length > 0),
    targets: targets.map((target) => ({ ...target, isMet: isMet(target) })),
  };
}

function reportRow(find: Find, row: Row, sizeMib: number): ReportRow {
  const figures: Partial<Record<Name, Figure>> = {};
  for (const name of names) {
    const figure = find(row, sizeMib, name);
    if (figure !== undefined) figures[name] = figure;
  }
  const { ours, podman, floor } = figures;
  return {
    ...{ measure: rows[row], row, sizeMib, figures },
    oursOverPodman: ratio(ours, podman),
    oursOverFloor: ratio(ours, floor),
  };
}

function ratio(one: Figure | undefined, other: Figure | undefined): number | undefined {
  const [above, below] = [more(one), more(other)];
  return above === undefined || below === undefined ? undefined : above / below;
}

/** Where others on the machine have given back more memory than was taken, nothing is known. */
function more(figure: Figure | undefined): number | undefined {
  return figure !== undefined && figure.median > 0 ? figure.median : undefined;
}

function targetsOf(find: Find, sizes: readonly number[], clones: number): Target[] {
  const over = (what: string, value: number | undefined, atMost: number): Target => ({
    ...{ what, value, atMost, unit: "" },
  });
  const absolute = (what: string, value: number | undefined, atMost: number, unit: string): Target => ({
    ...{ what, value, atMost, unit },
  });
  const beside = (sizeMib: number) => ratio(find("forkBeside", sizeMib), find("forkBeside", 16));
  const overPodman = (row: Row, sizeMib: number) => ratio(find(row, sizeMib), find(row, sizeMib, "podman"));
  const overFloor = (row: Row, sizeMib: number) => ratio(find(row, sizeMib), find(row, sizeMib, "floor"));
  const changed = ["changedCheckpoint", "changedPause", "changedFork"] as const;
  return [
    over("fork 1 beside the freeze, 1 GiB over 16 MiB", beside(gib), 1.3),
    over("fork 1 beside the freeze, 4 GiB over 16 MiB", beside(4 * gib), 1.5),
    ...sizes.map((size) =>
      over(`the clone, ${mibName(size)}, over runc restore`, overFloor("clone", size), 1.25),
    ),
    over("the clone, 16 MiB, over podman's restore", overPodman("clone", 16), 0.3),
    over("the clone, 1 GiB, over podman's restore", overPodman("clone", gib), 0.05),
    absolute(`fork ${clones} of 1 GiB, each`, find("forkMany", gib)?.median, 45, "ms"),
    absolute(`memory of each of ${clones} clones of 1 GiB`, more(find("memoryMany", gib)), 3, "MiB"),
    ...changed.flatMap((row) => [
      over(`${rows[row]}, 1 GiB over 16 MiB`, ratio(find(row, gib), find(row, 16)), 1.5),
      over(`${rows[row]}, 1 GiB, over podman's`, overPodman(row, gib), 0.1),
    ]),
    ...(["claim", "claimMany"] as const).flatMap((row) => [
      absolute(`${rows[row]}, median`, find(row, sizes[0] ?? 0)?.median, 5, "ms"),
      absolute(`${rows[row]}, p99`, find(row, sizes[0] ?? 0)?.p99, 15, "ms"),
    ]),
    ...sizes.map((size) =>
      over(`source frozen, ${mibName(size)}, over the bare dump`, overFloor("freeze", size), 1.2),
    ),
  ];
}

export function mibName(sizeMib: number): string {
  return sizeMib < gib ? `${sizeMib} MiB` : `${sizeMib / gib} GiB`;
}

export function formatReport({ rows: all, targets }: ScaleReport, notes: readonly string[]): string {
  const cells = (figure: Figure | undefined) =>
    figure === undefined ? "-" : [figure.median, figure.p90, figure.p99].map(formatNumber).join("  ");
  const share = (value: number | undefined) => (value === undefined ? "-" : formatNumber(value));
  const table = formatTable(
    [
      "MEASURE, ms: median  p90  p99",
      "SIZE",
      "OURS",
      "PODMAN",
      "FLOOR",
      "RUNSC",
      "OURS/PODMAN",
      "OURS/FLOOR",
    ],
    all.map(({ measure, sizeMib, figures, oursOverPodman, oursOverFloor }) => [
      ...[measure, mibName(sizeMib), ...names.map((name) => cells(figures[name]))],
      ...[share(oursOverPodman), share(oursOverFloor)],
    ]),
  );
  return [table, "", ...targets.map(formatTarget), ...notes].join("\n");
}

export function chartsOf({ rows: all }: ScaleReport, sizes: readonly number[]): Record<string, Chart> {
  const bySize = (row: Row, name: Name) =>
    sizes.map((size) => all.find((it) => it.row === row && it.sizeMib === size)?.figures[name]?.median);
  const ofSizes = { kind: "line", x: "memory of the source", categories: sizes.map(mibName) } as const;
  const claims = [0.01, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99];
  return {
    "scale-fork": {
      ...{ ...ofSizes, title: "One clone of a running source", y: "ms", isLogarithmic: true },
      curves: [
        { name: "fork 1: dump and clone", values: bySize("fork", "ours") },
        { name: "the clone alone", values: bySize("clone", "ours") },
        { name: "runc restore of the same shared image", values: bySize("clone", "floor") },
        { name: "podman: checkpoint and restore", values: bySize("fork", "podman") },
        { name: "gVisor: checkpoint and restore", values: bySize("fork", "runsc") },
      ],
    },
    "scale-freeze": {
      ...{ ...ofSizes, title: "How long the source stands still", y: "ms" },
      curves: [
        { name: "ours", values: bySize("freeze", "ours") },
        { name: "bare dump onto tmpfs", values: bySize("freeze", "floor") },
      ],
    },
    "scale-changed": {
      ...{
        ...ofSizes,
        title: "A source that changed 1 % of its memory",
        y: "ms",
        kind: "bar",
        isLogarithmic: true,
      },
      curves: [
        { name: "checkpoint", values: bySize("changedCheckpoint", "ours") },
        { name: "pause", values: bySize("changedPause", "ours") },
        { name: "fork 1", values: bySize("changedFork", "ours") },
        { name: "podman: checkpoint", values: bySize("changedCheckpoint", "podman") },
        { name: "podman: pause", values: bySize("changedPause", "podman") },
      ],
    },
    "scale-claim": {
      ...{ title: "Claims of a warm slot", x: "share of claims", y: "ms at most", kind: "line" },
      categories: claims.map((share) => `${share * 100} %`),
      curves: (["claim", "claimMany"] as const).map((row) => {
        const figure = all.find((it) => it.row === row)?.figures.ours;
        const sorted = [...(figure?.samples ?? [])].sort((a, b) => a - b);
        return {
          name: rows[row],
          values: claims.map((share) => sorted[Math.ceil(share * sorted.length) - 1]),
        };
      }),
    },
  };
}
