/** How many idle sandboxes one machine holds, and what each of them takes. */
import { formatTable } from "../../src/cli/format.js";
import { mapLimited } from "../../src/lib/limit.js";
import type { Chart } from "../chart.js";
import { figureOf, formatNumber, formatTarget, isMet, type Target } from "../figures.js";
import { holderOf } from "../holder.js";
import { describeMachine } from "../machine.js";
import { buildTemplate } from "../ours.js";
import { writeResults } from "../output.js";
import { remove } from "../scale/ours.js";
import type { Stage } from "../stage.js";
import { describeSupply, givenOut, readSupplies } from "./give-out.js";
import { measureBefore, measurePoint, type Point } from "./live.js";

export interface DensityOptions {
  /** How many sandboxes, one measurement each. */
  readonly live: readonly number[];
  /** How long the agent's idle time is watched. */
  readonly idleSeconds: number;
  readonly out: string | undefined;
}

const template = "bench-density";
/** With the interpreter and what it has loaded, 30 MiB are resident. */
const heldMib = 18;
/** Creates that come together, as from a trainer that starts a batch. */
const atOnce = 300;
/** What is used of a limit that a create has failed at: it would have taken a few more. */
const nearlyAll = 0.97;

export async function measureDensity(
  stage: Stage,
  { live, idleSeconds, out }: DensityOptions,
): Promise<void> {
  const startedAt = new Date().toISOString();
  await buildTemplate(stage.api, { name: template, image: stage.image, workload: holderOf(heldMib) });
  const running: Running[] = [];
  try {
    const { points, bursts, stopped } = await climb(stage, running, { live, idleSeconds });
    const targets = targetsOf(points).map((target) => ({ ...target, isMet: isMet(target) }));
    const deletion = await deleteAll(stage, running);
    await writeResults(out, {
      name: "density",
      report: {
        ...{ formatVersion: 2, startedAt, idleSeconds, stopped, points, bursts, deletion, targets },
        machine: await describeMachine(stage.api, stage.root),
      },
      table: [
        formatPoints(points),
        "",
        ...[...bursts, deletion].map(formatBurst),
        "",
        ...targets.map(formatTarget),
        ...notesOf(points, stopped),
      ].join("\n"),
      charts: chartsOf(points),
    });
  } finally {
    await mapLimited(running, 4, ({ id }) => remove(stage.api, id));
    await stage.api.templates.delete({ name: template });
  }
}

interface Running {
  readonly id: string;
  readonly pid: number;
}

/** Many of one thing that came together. */
interface Burst {
  readonly what: string;
  readonly count: number;
  /** From the first to the last. */
  readonly ms: number;
  readonly failed: number;
}

/** All at once: whatever a client throws at it, nothing may fail. What does is tried again at the end. */
async function deleteAll({ api, say }: Stage, running: Running[]): Promise<Burst> {
  say(`deleting ${running.length} sandboxes`);
  const all = running.splice(0);
  const started = performance.now();
  await mapLimited(all, all.length, (sandbox) =>
    remove(api, sandbox.id).catch(() => void running.push(sandbox)),
  );
  return { what: "deletes", count: all.length, ms: performance.now() - started, failed: running.length };
}

interface Climb {
  readonly points: readonly Point[];
  readonly bursts: readonly Burst[];
  /** What ended it early; undefined: nothing. */
  readonly stopped: string | undefined;
}

async function climb(
  stage: Stage,
  running: Running[],
  { live, idleSeconds }: Pick<DensityOptions, "live" | "idleSeconds">,
): Promise<Climb> {
  const before = await measureBefore(stage);
  const points: Point[] = [];
  const bursts: Burst[] = [];
  for (const count of [...live].sort((a, b) => a - b)) {
    stage.say(`${count} sandboxes`);
    const stopped = await grow(stage, { running, bursts }, count);
    const at = { template, before, idleSeconds, guests: running.map(({ pid }) => pid) };
    const point = running.length === 0 ? undefined : await measurePoint(stage, at).catch(messageOf);
    if (typeof point === "object") points.push(point);
    const reason = stopped ?? (typeof point === "string" ? await reasonOf(point) : undefined);
    if (reason === undefined) continue;
    return { points, bursts, stopped: `stopped at ${running.length} sandboxes of ${count}: ${reason}` };
  }
  return { points, bursts, stopped: undefined };
}

/** Why there are no more; undefined when there are `count`. */
async function grow(
  { api }: Stage,
  { running, bursts }: { readonly running: Running[]; readonly bursts: Burst[] },
  count: number,
): Promise<string | undefined> {
  while (running.length < count) {
    // Before the kernel has to choose what it ends.
    const used = givenOut(await readSupplies(), 1);
    if (used !== undefined) return describeSupply(used);
    const some = Math.min(atOnce, count - running.length);
    const failures: string[] = [];
    const started = performance.now();
    await mapLimited(Array.from({ length: some }), atOnce, async () => {
      try {
        const { sandbox } = await api.sandboxes.create({ source: { case: "template", value: template } });
        if (sandbox !== undefined) running.push({ id: sandbox.id, pid: sandbox.pid });
      } catch (error) {
        failures.push(messageOf(error));
      }
    });
    const ms = performance.now() - started;
    bursts.push({ what: "creates", count: some, ms, failed: failures.length });
    if (failures[0] !== undefined) return reasonOf(failures[0]);
  }
  return undefined;
}

async function reasonOf(message: string): Promise<string> {
  const used = givenOut(await readSupplies(), nearlyAll);
  return used === undefined ? message : `${describeSupply(used)} (${message})`;
}

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error));

function targetsOf(points: readonly Point[]): Target[] {
  const most = points.find(({ live }) => live === 300);
  const mib = (bytes: number | undefined) => (bytes === undefined ? undefined : bytes / 1024 ** 2);
  return [
    { what: "each of 300 sandboxes", value: mib(most?.perSandboxBytes), atMost: 12, unit: "MiB" },
    { what: "the idle agent beside 300", value: most?.agentCpuPercent, atMost: 1, unit: "% of a core" },
    { what: "the agent's memory beside 300", value: mib(most?.agentRssBytes), atMost: 150, unit: "MiB" },
  ];
}

function formatBurst({ what, count, ms, failed }: Burst): string {
  const each = formatNumber(ms / Math.max(1, count));
  return `${count} ${what} at once: ${formatNumber(ms / 1000)} s, ${each} ms each, ${failed} failed`;
}

function formatPoints(points: readonly Point[]): string {
  const mib = (bytes: number) => formatNumber(bytes / 1024 ** 2);
  return formatTable(
    [
      ...["LIVE", "EACH, MiB", "COUNTED, MiB", "PROCESSES, MiB", "SHIMS", "SHIMS, MiB", "MEMORYD, MiB"],
      ...["CONTAINERD, MiB", "PAGE TABLES, MiB", "SLAB, MiB", "AGENT, MiB", "AGENT, % CPU", "MEMORYD, % CPU"],
      ...["LIST, ms", "CLAIM, ms: median  p99"],
    ],
    points.map((point) => {
      const claim = figureOf(point.claimMs);
      const slab = (point.grownBytes["SUnreclaim"] ?? 0) + (point.grownBytes["SReclaimable"] ?? 0);
      return [
        ...[String(point.live), mib(point.perSandboxBytes), mib(point.countedPerSandboxBytes)],
        ...[mib(point.processesPssBytes / point.live), String(point.shims), mib(point.shimsPssBytes)],
        ...[mib(point.memorydPssBytes), mib(point.containerdPssBytes)],
        ...[mib(point.grownBytes["PageTables"] ?? 0), mib(slab), mib(point.agentRssBytes)],
        ...[formatNumber(point.agentCpuPercent), formatNumber(point.memorydCpuPercent)],
        formatNumber(figureOf(point.listMs)?.median ?? Number.NaN),
        claim === undefined ? "-" : `${formatNumber(claim.median)}  ${formatNumber(claim.p99)}`,
      ];
    }),
  );
}

function notesOf(points: readonly Point[], stopped: string | undefined): string[] {
  const problems = points.flatMap(({ live, claimProblem }) =>
    claimProblem === undefined ? [] : [`no claims beside ${live} sandboxes: ${claimProblem}`],
  );
  return stopped === undefined ? problems : [...problems, stopped];
}

function chartsOf(points: readonly Point[]): Record<string, Chart> {
  const common = {
    kind: "line",
    x: "live sandboxes",
    categories: points.map(({ live }) => String(live)),
  } as const;
  const claims = points.map(({ claimMs }) => figureOf(claimMs));
  const mib = 1024 ** 2;
  return {
    "density-memory": {
      ...{ ...common, title: "Memory of an idle sandbox of 30 MiB", y: "MiB each" },
      curves: [
        { name: "of the machine, everything", values: points.map((it) => it.perSandboxBytes / mib) },
        {
          name: "of what is certainly theirs",
          values: points.map((it) => it.countedPerSandboxBytes / mib),
        },
        {
          name: "its processes, and its part of what they share",
          values: points.map((it) => it.processesPssBytes / it.live / mib),
        },
        { name: "shims", values: points.map((it) => it.shimsPssBytes / it.live / mib) },
      ],
    },
    "density-claim": {
      ...{ ...common, title: "Claims of a warm slot beside so many sandboxes", y: "ms" },
      curves: [
        { name: "median", values: claims.map((it) => it?.median) },
        { name: "p99", values: claims.map((it) => it?.p99) },
      ],
    },
  };
}
