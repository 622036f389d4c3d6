import { expect, it } from "vitest";
import { EventType } from "../gen/e2b/filesystem_pb.js";
import { DomainError } from "../lib/errors.js";
import type { Event } from "./watch.js";
import { openWatchers } from "./watchers.js";

const never = new AbortController().signal;

/** Sandboxes that are there, and a watch that a pause ends. */
function deployment() {
  const there = new Set(["a", "b"]);
  const get = async (id: string) => {
    if (!there.has(id)) throw new DomainError("not_found", `sandbox ${id} not found`);
    return {} as never;
  };
  const watch = { ready: true, pause: () => {}, opened: 0 };
  async function* open(signal: AbortSignal): AsyncGenerator<Event | "ready"> {
    signal.throwIfAborted();
    watch.opened++;
    const paused = new Promise<never>((_, reject) => {
      watch.pause = () => reject(new DomainError("unavailable", "the sandbox was paused"));
      signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    });
    if (watch.ready) yield "ready";
    await paused;
  }
  return { there, watch, open, watchers: openWatchers({ sandboxes: { get } as never }) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 5));

it("of a sandbox that was paused and then deleted are forgotten when the next one is made", async () => {
  const { there, watch, open, watchers } = deployment();
  const id = await watchers.create("a", open, never);
  watch.pause();
  await settled();
  there.delete("a");
  await watchers.create("b", open, never);
  await expect(watchers.take("a", id, never)).rejects.toMatchObject({ code: "not_found" });
});

it("is set again for the next who asks, where one left before it was", async () => {
  const { watch, open, watchers } = deployment();
  const id = await watchers.create("a", open, never);
  watch.pause();
  await settled();
  watch.ready = false;
  const asking = new AbortController();
  const left = watchers.take("a", id, asking.signal);
  await settled();
  asking.abort(new DomainError("cancelled", "the client left"));
  await expect(left).rejects.toMatchObject({ code: "cancelled" });
  watch.ready = true;
  expect(await watchers.take("a", id, never)).toEqual([]);
  expect(watch.opened).toBe(3);
});

it("tells what came before the directory was gone, and then that it is", async () => {
  const { watchers } = deployment();
  const last: Event = { name: "last", type: EventType.REMOVE };
  let isGone = false;
  async function* once(): AsyncGenerator<Event | "ready"> {
    if (isGone) throw new DomainError("not_found", "no such directory");
    isGone = true;
    yield "ready";
    yield last;
  }
  const id = await watchers.create("a", once, never);
  await settled();
  expect(await watchers.take("a", id, never)).toEqual([last]);
  await expect(watchers.take("a", id, never)).rejects.toMatchObject({ code: "not_found" });
});
