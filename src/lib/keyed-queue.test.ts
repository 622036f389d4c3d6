import { describe, expect, it } from "vitest";
import { createKeyedQueue } from "./keyed-queue.js";

function gate() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { open, passed };
}

describe("keyed queue", () => {
  it("runs one key's tasks in order and other keys beside them", async () => {
    const queue = createKeyedQueue({ waitingMax: 10 });
    const log: string[] = [];
    const first = gate();
    const a1 = queue.run("a", async () => {
      log.push("a1 starts");
      await first.passed;
      log.push("a1 ends");
    });
    const a2 = queue.run("a", async () => void log.push("a2"));
    await queue.run("b", async () => void log.push("b"));
    expect(log).toEqual(["a1 starts", "b"]);
    first.open();
    await Promise.all([a1, a2]);
    expect(log).toEqual(["a1 starts", "b", "a1 ends", "a2"]);
    expect(queue.length("a")).toBe(0);
  });

  it("goes on after a task that failed", async () => {
    const queue = createKeyedQueue({ waitingMax: 10 });
    const failed = queue.run("a", () => Promise.reject(new Error("no")));
    const next = queue.run("a", async () => 2);
    await expect(failed).rejects.toThrow("no");
    expect(await next).toBe(2);
  });

  it("lets a waiting task go when its signal aborts, without letting the next overtake", async () => {
    const queue = createKeyedQueue({ waitingMax: 10 });
    const first = gate();
    const log: string[] = [];
    const a1 = queue.run("a", () => first.passed.then(() => void log.push("a1")));
    const controller = new AbortController();
    const a2 = queue.run("a", async () => void log.push("a2"), controller.signal);
    const a3 = queue.run("a", async () => void log.push("a3"));
    controller.abort(new Error("left"));
    await expect(a2).rejects.toThrow("left");
    expect(log).toEqual([]);
    first.open();
    await Promise.all([a1, a3]);
    expect(log).toEqual(["a1", "a3"]);
  });

  it("refuses more than may wait", async () => {
    const queue = createKeyedQueue({ waitingMax: 1 });
    const first = gate();
    const running = queue.run("a", () => first.passed);
    const waiting = queue.run("a", async () => {});
    await expect(queue.run("a", async () => {})).rejects.toMatchObject({ code: "resource_exhausted" });
    first.open();
    await Promise.all([running, waiting]);
    await queue.run("a", async () => {});
  });

  it("does not start a task whose signal has aborted", async () => {
    const queue = createKeyedQueue({ waitingMax: 1 });
    let ran = false;
    const run = queue.run("a", async () => (ran = true), AbortSignal.abort(new Error("late")));
    await expect(run).rejects.toThrow("late");
    expect(ran).toBe(false);
  });
});
