import { describe, expect, it } from "vitest";
import { createQueue } from "./queue.js";
import { createDetachFilter } from "./terminal.js";

const keys = Uint8Array.from([16, 17]);
const typed = (...bytes: number[]) => Uint8Array.from(bytes);

describe("detach keys", () => {
  it("are found across chunks, and nothing of them is passed on", () => {
    const filter = createDetachFilter(keys);
    expect(filter(typed(97, 16))).toEqual({ data: typed(97), isDetached: false });
    expect(filter(typed(17, 98))).toEqual({ data: typed(), isDetached: true });
  });
  it("that begin but do not go on are passed on whole", () => {
    const filter = createDetachFilter(keys);
    expect(filter(typed(16)).data).toEqual(typed());
    expect(filter(typed(97)).data).toEqual(typed(16, 97));
    expect(filter(typed(16, 16)).data).toEqual(typed(16));
    expect(filter(typed(17)).isDetached).toBe(true);
  });
  it("can be turned off", () => {
    const filter = createDetachFilter(typed());
    expect(filter(typed(16, 17))).toEqual({ data: typed(16, 17), isDetached: false });
  });
});

describe("queue", () => {
  it("gives items in order, early and late ones, and ends", async () => {
    const queue = createQueue<number>();
    queue.push(1);
    const read = (async () => {
      const all: number[] = [];
      for await (const item of queue) all.push(item);
      return all;
    })();
    await Promise.resolve();
    queue.push(2);
    queue.end();
    queue.push(3);
    expect(await read).toEqual([1, 2]);
  });

  it("tells when the reader has taken all and waits for more", async () => {
    const queue = createQueue<number>();
    queue.push(1);
    let isDrained = false;
    const drained = queue.drained().then(() => {
      isDrained = true;
    });
    const reader = queue[Symbol.asyncIterator]();
    await reader.next();
    expect(isDrained).toBe(false);
    void reader.next();
    await drained;
    expect(isDrained).toBe(true);
  });
});
