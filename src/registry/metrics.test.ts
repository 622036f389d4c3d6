import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { beforeEach, describe, expect, it } from "vitest";
import type { NodeId } from "../fleet/node.js";
import { ListStatsResponseSchema, StatsResponseSchema } from "../gen/ramet/v1/sandbox_pb.js";
import { createMetrics, type Metrics } from "./metrics.js";

let calls: { readonly node: string; readonly ids: readonly string[] }[];
let atMs: number;
let away: string;
let metrics: Metrics;
const now = () => new Date(atMs);

/** A node's answer: each sandbox has used half a core since the epoch, and one that is called `ended` is left out. */
const listStats = (node: string) => async (request: { readonly sandboxes?: readonly string[] }) => {
  const ids = request.sandboxes ?? [];
  calls.push({ node, ids });
  if (node === away) throw new Error("it is away");
  const reading = create(StatsResponseSchema, {
    ...{ readAt: timestampFromDate(now()), cpuUsageNs: BigInt(atMs) * 500_000n },
    ...{ memoryRssBytes: 3n, memoryUsageBytes: 10n, layerBytes: 5n },
  });
  const stats = Object.fromEntries(ids.filter((id) => id !== "ended").map((id) => [id, reading]));
  return create(ListStatsResponseSchema, { stats });
};

beforeEach(() => {
  [calls, atMs, away] = [[], 1_000_000, ""];
  metrics = createMetrics({ api: (node) => ({ sandboxes: { listStats: listStats(node) as never } }) }, now);
});

const is = (id: string, node: string, status: "running" | "paused" = "running") =>
  metrics.changed(id, { node: node as NodeId, cpus: 2, memoryBytes: 100, diskBytes: 200, state: { status } });

/** A second at a time. */
async function pass(seconds: number): Promise<void> {
  for (let second = 0; second < seconds; second++) {
    await metrics.sample(new AbortController().signal);
    atMs += 1000;
  }
}

describe("metrics", () => {
  it("knows who runs where, as their records say", () => {
    is("a", "n1");
    is("b", "n1", "paused");
    const runs = (node: string, id: string) => metrics.isRunningOn(node as NodeId, id);
    expect([runs("n1", "a"), runs("n2", "a"), runs("n1", "b"), runs("n1", "c")]).toEqual([
      ...[true, false, false, false],
    ]);
    is("a", "n1", "paused");
    expect(runs("n1", "a")).toBe(false);
    metrics.changed("a", undefined);
    expect(runs("n1", "a")).toBe(false);
  });

  it("asks each node once in five seconds, for all that runs there", async () => {
    for (const id of ["a", "b", "ended"]) is(id, "n1");
    is("c", "n2");
    is("d", "n2", "paused");
    await pass(5);
    expect(calls).toEqual([
      { node: "n1", ids: ["a", "b", "ended"] },
      { node: "n2", ids: ["c"] },
    ]);
    await pass(1);
    expect(calls).toHaveLength(4);
    expect(metrics.of("a", {})).toEqual([
      expect.objectContaining({ cpuUsedPct: 0, cpus: 2 }),
      {
        ...{ at: new Date(1_005_000), cpus: 2, cpuUsedPct: 50, memoryUsedBytes: 3, memoryBytes: 100 },
        ...{ memoryCacheBytes: 7, diskUsedBytes: 5, diskBytes: 200 },
      },
    ]);
    for (const id of ["d", "ended", "nobody"]) expect(metrics.newest(id)).toBeUndefined();
  });

  it("asks no more for what does not run, and not for a node without any", async () => {
    is("a", "n1");
    is("b", "n1");
    await pass(1);
    is("a", "n1", "paused");
    await pass(5);
    expect(calls.at(-1)?.ids).toEqual(["b"]);
    metrics.changed("b", undefined);
    await pass(10);
    expect(calls).toHaveLength(2);
    expect(metrics.of("a", {})).toHaveLength(1);
    expect(metrics.newest("b")).toBeUndefined();
    is("a", "n1");
    await pass(1);
    expect(metrics.newest("a")).toMatchObject({ cpuUsedPct: 0 });
  });

  it("has some of many in each call, and all of them in turn", async () => {
    for (let n = 0; n < 500; n++) is(`s${n}`, "n1");
    await pass(10);
    for (const { ids } of calls) expect(ids).toHaveLength(200);
    const counts = Array.from({ length: 500 }, (_, n) => metrics.of(`s${n}`, {}).length);
    expect(Math.min(...counts)).toBeGreaterThanOrEqual(2);
    expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
  });

  it("asks a hundred nodes in a second, each in its turn, and goes on where one is away", async () => {
    for (let n = 0; n < 250; n++) is(`s${n}`, `n${n}`);
    away = "n0";
    await pass(3);
    expect(calls).toHaveLength(250);
    expect(new Set(calls.map(({ node }) => node)).size).toBe(250);
    expect(metrics.newest("s0")).toBeUndefined();
    expect(metrics.newest("s249")).toBeDefined();
  });

  it("keeps ten minutes of them", async () => {
    is("a", "n1");
    await pass(1_000);
    expect(metrics.of("a", {})).toHaveLength(120);
    expect(metrics.of("a", { from: new Date(atMs - 10_500) })).toHaveLength(2);
  });
});
