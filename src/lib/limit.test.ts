import { describe, expect, it } from "vitest";
import { createLimiter, mapLimited, settleLimited } from "./limit.js";

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));

describe("mapLimited", () => {
  it.each([
    [1, 1],
    [3, 3],
    [100, 7],
    [0, 1],
  ])("with limit %i runs at most %i of 7 at a time, in order", async (limit, most) => {
    let running = 0;
    let peak = 0;
    const results = await mapLimited([1, 2, 3, 4, 5, 6, 7], limit, async (n) => {
      peak = Math.max(peak, ++running);
      await tick();
      running--;
      return n * n;
    });
    expect(results).toEqual([1, 4, 9, 16, 25, 36, 49]);
    expect(peak).toBe(most);
  });

  it("after a failure starts no more, aborts the running, and throws the first", async () => {
    const seen: number[] = [];
    let aborted = false;
    const run = mapLimited([0, 1, 2, 3], 2, async (n, _index, signal) => {
      seen.push(n);
      if (n === 0) throw new Error("zero");
      await tick();
      aborted = signal.aborted;
    });
    await expect(run).rejects.toThrow("zero");
    expect(seen).toEqual([0, 1]);
    expect(aborted).toBe(true);
  });

  it("throws the caller's reason when aborted between items", async () => {
    const controller = new AbortController();
    const run = mapLimited([1, 2], 1, async () => controller.abort(new Error("stop")), controller.signal);
    await expect(run).rejects.toThrow("stop");
  });

  it("maps nothing to nothing", async () => expect(await mapLimited([], 4, async () => 1)).toEqual([]));
});

describe("settleLimited", () => {
  it("reports each item by itself", async () => {
    const results = await settleLimited([1, 2, 3], 2, async (n) => {
      if (n === 2) throw new Error("two");
      return n;
    });
    expect(results.map((r) => r.status)).toEqual(["fulfilled", "rejected", "fulfilled"]);
  });

  it("rejects what an abort left unstarted", async () => {
    const controller = new AbortController();
    const each = async (n: number) => {
      controller.abort("enough");
      return n;
    };
    expect(await settleLimited([1, 2], 1, each, controller.signal)).toEqual([
      { status: "fulfilled", value: 1 },
      { status: "rejected", reason: "enough" },
    ]);
  });
});

describe("createLimiter", () => {
  it("admits in order, at most the limit at a time", async () => {
    const limiter = createLimiter(2);
    let running = 0;
    let peak = 0;
    const order: number[] = [];
    const task = (n: number) => async () => {
      order.push(n);
      peak = Math.max(peak, ++running);
      await tick();
      running--;
    };
    await Promise.all([1, 2, 3, 4, 5].map((n) => limiter.run(task(n))));
    expect(order).toEqual([1, 2, 3, 4, 5]);
    expect(peak).toBe(2);
  });

  it("frees the place of a failed task and of one that gave up waiting", async () => {
    const limiter = createLimiter(1);
    const failing = limiter.run(() => tick().then(() => Promise.reject(new Error("x"))));
    const controller = new AbortController();
    const waiting = limiter.run(async () => 1, controller.signal);
    controller.abort(new Error("left"));
    await expect(waiting).rejects.toThrow("left");
    await expect(failing).rejects.toThrow("x");
    expect(await limiter.run(async () => 2)).toBe(2);
  });

  it("is idle once there is a place that nobody in line takes", async () => {
    const limiter = createLimiter(1);
    const done: string[] = [];
    const tasks = ["a", "b"].map((name) => limiter.run(() => tick().then(() => void done.push(name))));
    await limiter.idle(AbortSignal.timeout(5_000));
    expect(done).toEqual(["a", "b"]);
    await Promise.all(tasks);
    const blocked = limiter.run(() => new Promise<void>((resolve) => setTimeout(resolve, 50)));
    await expect(limiter.idle(AbortSignal.timeout(1))).rejects.toThrow();
    await blocked;
    await limiter.idle(AbortSignal.timeout(5_000));
  });
});
