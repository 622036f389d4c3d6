import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { DomainError } from "../lib/errors.js";
import { openStore, type Store } from "../store/open-store.js";
import { openEvents } from "./events.js";
import type { NodeEvent } from "./node.js";

const known = "abcdefghij0123456789";
const gone = "bbbbbbbbbb0123456789";

let store: Store;
beforeEach(() => {
  store = openStore(":memory:");
});
afterEach(() => store.close());

function open() {
  const find = (ref: string) => {
    if (ref !== "box" && ref !== known) throw new DomainError("not_found", "no such sandbox");
    return { id: known } as ReturnType<Store["sandboxes"]["find"]>;
  };
  return openEvents({ store: { events: store.events, sandboxes: { find } }, now: () => new Date(5000) });
}

async function types(events: AsyncIterable<NodeEvent>): Promise<string[]> {
  const all: string[] = [];
  for await (const { type } of events) all.push(type);
  return all;
}

const never = new AbortController().signal;

describe("events", () => {
  it("are kept, and listed after an id", async () => {
    const events = open();
    for (const type of ["one", "two", "three"]) events.record({ type, attributes: { a: "b" } });
    expect(await types(events.follow({ sinceId: 0, follow: false }, never))).toEqual(["one", "two", "three"]);
    expect(await types(events.follow({ sinceId: 2, follow: false }, never))).toEqual(["three"]);
  });

  it("are listed by sandbox, also of one that is gone", async () => {
    const events = open();
    events.record({ type: "mine", sandbox: known, attributes: {} });
    events.record({ type: "other", sandbox: gone, attributes: {} });
    const of = (sandbox: string) => types(events.follow({ sandbox, sinceId: 0, follow: false }, never));
    expect(await of("box")).toEqual(["mine"]);
    expect(await of(gone)).toEqual(["other"]);
  });

  it("refuse a name that no sandbox has", async () => {
    const events = open();
    events.record({ type: "other", sandbox: gone, attributes: {} });
    const listing = types(events.follow({ sandbox: "nobox", sinceId: 0, follow: false }, never));
    await expect(listing).rejects.toMatchObject({ code: "not_found" });
  });

  it("reach every follower once, those of before first", async () => {
    const events = open();
    for (let index = 0; index < 600; index++) events.record({ type: `${index}`, attributes: {} });
    const stop = new AbortController();
    const follow = async () => {
      const seen: number[] = [];
      for await (const { id } of events.follow({ sinceId: 0, follow: true }, stop.signal)) {
        seen.push(id);
        if (seen.length === 700) return seen;
      }
      return seen;
    };
    const followers = [follow(), follow()];
    for (let index = 0; index < 100; index++) {
      events.record({ type: "later", attributes: {} });
      await new Promise((resolve) => setImmediate(resolve));
    }
    const ids = Array.from({ length: 700 }, (_, index) => index + 1);
    expect(await Promise.all(followers)).toEqual([ids, ids]);
  });

  it("end for a follower whose signal aborts", async () => {
    const stop = new AbortController();
    const following = types(open().follow({ sinceId: 0, follow: true }, stop.signal));
    stop.abort(new DomainError("cancelled", "left"));
    await expect(following).rejects.toMatchObject({ code: "cancelled" });
  });
});
