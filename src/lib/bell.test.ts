import { describe, expect, it } from "vitest";
import { createBell } from "./bell.js";
import { interruptible } from "./interruptible.js";

describe("a bell", () => {
  it("wakes all that wait, once", async () => {
    const bell = createBell();
    const waiting = [bell.rung(), bell.rung()];
    bell.ring();
    await Promise.all(waiting);
    let isWoken = false;
    void bell.rung().then(() => {
      isWoken = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isWoken).toBe(false);
  });

  it("lets go of who gives up", async () => {
    const controller = new AbortController();
    const bell = createBell();
    const waiting = bell.rung(controller.signal);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    await expect(bell.rung(controller.signal)).rejects.toBe(reason);
  });
});

describe("interruptible", () => {
  it("gives the same items, and returns to a source that is left", async () => {
    let isReturned = false;
    async function* source() {
      try {
        yield 1;
        yield 2;
      } finally {
        isReturned = true;
      }
    }
    const seen: number[] = [];
    for await (const item of interruptible(source(), new AbortController().signal)) seen.push(item);
    expect(seen).toEqual([1, 2]);
    isReturned = false;
    for await (const _ of interruptible(source(), new AbortController().signal)) break;
    expect(isReturned).toBe(true);
  });

  it("ends a wait for an item that never comes", async () => {
    const controller = new AbortController();
    const reason = new Error("enough");
    const never = { [Symbol.asyncIterator]: () => ({ next: () => new Promise<never>(() => {}) }) };
    const waiting = interruptible(never, controller.signal).next();
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
  });
});
