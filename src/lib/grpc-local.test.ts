import { beforeEach, expect, test } from "vitest";
import { Echo, echoHandlers, type Seen } from "../../test/support/echo-service.js";
import { DomainError } from "./errors.js";
import type { Client } from "./grpc.js";
import { createLocalClient } from "./grpc-local.js";

let seen: Seen;
let echo: Client<Echo>;
let closing: AbortController;
let refusal: DomainError | undefined;

beforeEach(() => {
  seen = { signals: [], metadata: [] };
  closing = new AbortController();
  refusal = undefined;
  const toError = (thrown: unknown, method: string) => new DomainError("internal", `${method}: ${thrown}`);
  const options = { timeoutMs: 5000, toError, refuse: () => refusal, closed: closing.signal };
  echo = createLocalClient(Echo, echoHandlers(seen), options);
});

async function* values(...texts: string[]) {
  for (const value of texts) yield { value };
}

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const it of from) all.push(it);
  return all;
}

test("messages of all kinds of calls are whole ones", async () => {
  expect(await echo.one({}, { metadata: { "x-test": "call" } })).toMatchObject({
    $typeName: "google.protobuf.StringValue",
    value: "",
  });
  expect(seen.metadata).toEqual(["call"]);
  expect(await echo.join(values("a", "b"))).toMatchObject({ value: "ab" });
  expect(await collect(echo.many({ value: "" }))).toHaveLength(1000);
  const both = await collect(echo.both(values("a", "b")));
  expect(both.map(({ value }) => value)).toEqual(["A", "B"]);
});

test("an error is the caller's, with the method's name", async () => {
  await expect(echo.one({ value: "fail" })).rejects.toThrow(
    "test.Echo/One: DomainError: there is no such echo",
  );
  await expect(collect(echo.both(values("fail")))).rejects.toThrow("test.Echo/Both: DomainError: not this");
});

test("a call ends at its deadline, and its handler hears of it", async () => {
  const late = echo.one({ value: "hang" }, { timeoutMs: 20 });
  await expect(late).rejects.toMatchObject({ code: "deadline_exceeded" });
  expect(seen.signals[0]?.aborted).toBe(true);
});

test("aborting a call ends it on both sides", async () => {
  const stop = new AbortController();
  const call = echo.one({ value: "hang" }, { signal: stop.signal });
  stop.abort();
  await expect(call).rejects.toMatchObject({ code: "cancelled" });
  expect(seen.signals[0]?.aborted).toBe(true);
  const again = echo.one({ value: "x" }, { signal: stop.signal });
  await expect(again).rejects.toMatchObject({ code: "cancelled" });
  expect(seen.signals).toHaveLength(1);
});

test("a stream that is left ends at its handler", async () => {
  for await (const _ of echo.many({ value: "forever" })) break;
  expect(seen.signals[0]?.aborted).toBe(true);
});

test("what waits for a source that never ends is aborted all the same", async () => {
  async function* endless() {
    yield { value: "a" };
    await new Promise(() => {});
  }
  const stop = new AbortController();
  const reading = collect(echo.both(endless(), { signal: stop.signal }));
  await expect.poll(() => seen.signals.length).toBe(1);
  stop.abort(new DomainError("unavailable", "it stops"));
  await expect(reading).rejects.toMatchObject({ code: "unavailable" });
});

test("closing ends calls with its reason, and refusing keeps them from the handler", async () => {
  const call = echo.one({ value: "hang" });
  closing.abort(new DomainError("unavailable", "the registry is stopping"));
  await expect(call).rejects.toThrow("the registry is stopping");
  refusal = new DomainError("unavailable", "node here is lost");
  await expect(echo.one({ value: "x" })).rejects.toThrow("node here is lost");
  expect(seen.signals).toHaveLength(1);
});
