import { getEventListeners } from "node:events";
import { describe, expect, it } from "vitest";
import { abortable, delay, linkSignals, waitUntil, withDeadline } from "./signal.js";

const never = new Promise<never>(() => {});
const listeners = (signal: AbortSignal) => getEventListeners(signal, "abort").length;

describe("linkSignals", () => {
  it("aborts with the first parent, with its reason, and lets go of the others", () => {
    const [a, b] = [new AbortController(), new AbortController()];
    using linked = linkSignals(a.signal, b.signal);
    b.abort("why");
    expect(linked.signal.reason).toBe("why");
    expect(listeners(a.signal)).toBe(0);
  });

  it("is aborted from the start when a parent is", () => {
    const a = new AbortController();
    using linked = linkSignals(a.signal, AbortSignal.abort("early"));
    expect(linked.signal.reason).toBe("early");
    expect(listeners(a.signal)).toBe(0);
  });

  it("leaves no listener once disposed of", () => {
    const a = new AbortController();
    {
      using _linked = linkSignals(a.signal);
      expect(listeners(a.signal)).toBe(1);
    }
    expect(listeners(a.signal)).toBe(0);
  });
});

describe("withDeadline", () => {
  it("gives the result and leaves nothing behind", async () => {
    const parent = new AbortController();
    expect(await withDeadline("work", 1000, async () => 7, parent.signal)).toBe(7);
    expect(listeners(parent.signal)).toBe(0);
  });

  it("says what ran out of time", async () => {
    const work = withDeadline("reading s1", 5, (signal) => abortable(never, signal));
    await expect(work).rejects.toMatchObject({
      code: "deadline_exceeded",
      message: expect.stringMatching(/reading s1/),
    });
  });

  it("reports the deadline, not the abort error that it caused", async () => {
    const work = withDeadline("w", 5, async (signal) => {
      await abortable(never, signal).catch(() => {
        throw Object.assign(new Error("aborted"), { name: "AbortError" });
      });
    });
    await expect(work).rejects.toMatchObject({ code: "deadline_exceeded" });
  });

  it("passes the parent's reason on", async () => {
    const parent = new AbortController();
    const work = withDeadline("w", 10_000, (signal) => abortable(never, signal), parent.signal);
    parent.abort(new Error("client left"));
    await expect(work).rejects.toThrow("client left");
  });

  it("does not start when the parent has aborted", async () => {
    let started = false;
    const work = withDeadline("w", 10_000, async () => (started = true), AbortSignal.abort(new Error("no")));
    await expect(work).rejects.toThrow("no");
    expect(started).toBe(false);
  });
});

describe("abortable and delay", () => {
  it("abortable settles as the promise does and cleans up", async () => {
    const { signal } = new AbortController();
    expect(await abortable(Promise.resolve(1), signal)).toBe(1);
    await expect(abortable(Promise.reject(new Error("x")), signal)).rejects.toThrow("x");
    expect(listeners(signal)).toBe(0);
  });

  it("delay ends early with the reason", async () => {
    const controller = new AbortController();
    const waiting = delay(60_000, controller.signal);
    controller.abort(new Error("stop"));
    await expect(waiting).rejects.toThrow("stop");
    await expect(delay(1, AbortSignal.abort(new Error("gone")))).rejects.toThrow("gone");
  });
});

describe("waitUntil", () => {
  it("gives what the condition found", async () => {
    let n = 0;
    const found = await waitUntil("n", () => (++n === 3 ? "three" : undefined), {
      intervalMs: 1,
      timeoutMs: 1000,
    });
    expect(found).toBe("three");
  });
  it("gives up at its deadline", async () => {
    const wait = waitUntil("it", () => false, { intervalMs: 1, timeoutMs: 10 });
    await expect(wait).rejects.toMatchObject({ code: "deadline_exceeded" });
  });
});
