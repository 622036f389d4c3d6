import { describe, expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import { type GuestStream, type OpenStream, openStream, type StreamGate } from "./guest-stream.js";
import { createTurnstile } from "./guest-turnstile.js";
import type { Guest } from "./guests.js";

const never = new AbortController().signal;
const closed = new DomainError("unavailable", "the guest closed");

/** A gate with nothing behind it. */
function testGate() {
  const turnstile = createTurnstile();
  const streams = new Set<GuestStream>();
  const gate: StreamGate = {
    guest: {} as Guest,
    enter: turnstile.enter,
    explain: (thrown) => thrown,
    started: (stream) => streams.add(stream),
    ended: (stream) => streams.delete(stream),
    changed: turnstile.ring,
  };
  return { gate, turnstile, streams };
}

/** Gives the numbers of each part, one part for each attempt, and fails at the end of all but the last. */
function parts(...all: readonly (readonly number[])[]): OpenStream<number> & { readonly pulled: number[] } {
  const pulled: number[] = [];
  const open: OpenStream<number> = async (_guest, attempt) =>
    (async function* () {
      for (const item of all[attempt] ?? []) {
        pulled.push(item);
        yield item;
      }
      if (attempt < all.length - 1) throw closed;
    })();
  return Object.assign(open, { pulled });
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 1));

describe("a stream", () => {
  it("reads no further than its consumer, until it is cut", async () => {
    const { gate, streams } = testGate();
    const open = parts([1, 2, 3, 4], [5]);
    const items = openStream(gate, open, never)[Symbol.asyncIterator]();
    expect(await items.next()).toEqual({ done: false, value: 1 });
    await turn();
    expect(open.pulled).toEqual([1, 2]);
    for (const stream of streams) {
      stream.cut();
      stream.drain();
    }
    await turn();
    expect(open.pulled).toEqual([1, 2, 3, 4, 5]);
    const rest: number[] = [];
    for (let next = await items.next(); next.done !== true; next = await items.next()) rest.push(next.value);
    expect(rest).toEqual([2, 3, 4, 5]);
    expect(streams.size).toBe(0);
  });

  it("is set up again only when it may", async () => {
    const { gate, streams, turnstile } = testGate();
    const items = openStream(gate, parts([1], [2]), never)[Symbol.asyncIterator]();
    await items.next();
    turnstile.become({ kind: "closed" });
    for (const stream of streams) stream.cut();
    let isThere = false;
    const second = items.next().finally(() => {
      isThere = true;
    });
    await turn();
    expect(isThere).toBe(false);
    turnstile.become({ kind: "reopening" });
    expect((await second).value).toBe(2);
    expect([...streams].map((stream) => stream.isCut())).toEqual([]);
  });

  it("is not cut before it has begun, as nobody lets it begin for that", async () => {
    const { gate, streams, turnstile } = testGate();
    turnstile.become({ kind: "closing" });
    const first = openStream(gate, parts([1]), never)
      [Symbol.asyncIterator]()
      .next();
    for (const stream of streams) {
      stream.cut();
      stream.drain();
    }
    turnstile.become({ kind: "reopening" });
    await turn();
    expect([...streams].map((stream) => stream.isCut())).toEqual([false]);
    turnstile.become({ kind: "open" });
    expect(await first).toEqual({ done: false, value: 1 });
  });

  it("fails when the guest closes without a cut", async () => {
    const { gate } = testGate();
    const items = openStream(gate, parts([1], [2]), never)[Symbol.asyncIterator]();
    await items.next();
    await expect(items.next()).rejects.toBe(closed);
  });

  it("stops following a guest that goes on sending after it closed", async () => {
    const { gate, streams } = testGate();
    const open: OpenStream<{ data: Uint8Array }> = async () =>
      (async function* () {
        for (;;) yield { data: new Uint8Array(65_536) };
      })();
    const items = openStream(gate, open, never)[Symbol.asyncIterator]();
    await items.next();
    for (const stream of streams) {
      stream.cut();
      stream.drain();
    }
    const drained = async () => {
      while ((await items.next()).done !== true);
    };
    await turn();
    await expect(drained()).rejects.toMatchObject({ code: "internal" });
  });

  it("closes its source when its reader leaves", async () => {
    const { gate, streams } = testGate();
    let isClosed = false;
    const open: OpenStream<number> = async () =>
      (async function* () {
        try {
          for (;;) yield 1;
        } finally {
          isClosed = true;
        }
      })();
    for await (const _ of openStream(gate, open, never)) break;
    expect(isClosed).toBe(true);
    expect(streams.size).toBe(0);
  });
});
