import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client as Channel, type Server, ServerCredentials, status } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Echo, echoHandlers, type Seen } from "../../test/support/echo-service.js";
import { DomainError } from "./errors.js";
import { type Client, createClient, openChannel } from "./grpc.js";
import { createServer, implementService } from "./grpc-server.js";

let directory: string;
let server: Server;
let channel: Channel;
let echo: Client<Echo>;
let seen: Seen;

beforeEach(async () => {
  directory = mkdtempSync(join(tmpdir(), "ramet-grpc-"));
  seen = { signals: [], metadata: [] };
  server = createServer();
  const toStatus = (error: unknown) => ({
    code:
      error instanceof DomainError && error.code === "not_found" ? status.NOT_FOUND : status.INVALID_ARGUMENT,
    details: String(error instanceof Error ? error.message : error),
  });
  const { definition, implementation } = implementService(Echo, echoHandlers(seen), toStatus);
  server.addService(definition, implementation);
  const address = `unix://${join(directory, "echo.sock")}`;
  await new Promise<void>((resolve, reject) =>
    server.bindAsync(address, ServerCredentials.createInsecure(), (error) =>
      error === null ? resolve() : reject(error),
    ),
  );
  channel = openChannel(address);
  const toError = (error: unknown, method: string) =>
    new DomainError("internal", `${method}: ${error instanceof Error ? error.message : String(error)}`);
  echo = createClient(Echo, channel, { timeoutMs: 5000, metadata: { "x-test": "client" }, toError });
});

afterEach(() => {
  channel.close();
  server.forceShutdown();
  rmSync(directory, { recursive: true });
});

async function* values(...texts: string[]) {
  for (const value of texts) yield { value };
}

test("a unary call carries its message and the metadata of client and call", async () => {
  expect(await echo.one({ value: "hello" })).toMatchObject({ value: "hello" });
  expect(await echo.one({ value: "again" }, { metadata: { "x-test": "call" } })).toMatchObject({
    value: "again",
  });
  expect(seen.metadata).toEqual(["client", "call"]);
});

test("an error goes through both mappers", async () => {
  await expect(echo.one({ value: "fail" })).rejects.toThrow(
    "test.Echo/One: 5 NOT_FOUND: there is no such echo",
  );
});

test("a call ends at its deadline", async () => {
  await expect(echo.one({ value: "hang" }, { timeoutMs: 50 })).rejects.toThrow(/DEADLINE_EXCEEDED/);
});

test("aborting a call ends it on both sides", async () => {
  const stop = new AbortController();
  const call = echo.one({ value: "hang" }, { signal: stop.signal });
  await expect.poll(() => seen.signals.length).toBe(1);
  stop.abort();
  await expect(call).rejects.toMatchObject({ code: "cancelled" });
  await expect.poll(() => seen.signals[0]?.aborted).toBe(true);
  await expect(echo.one({ value: "x" }, { signal: stop.signal })).rejects.toMatchObject({
    code: "cancelled",
  });
});

test("a signal's own reason and a passed time are told apart", async () => {
  const reason = new DomainError("unavailable", "shutting down");
  await expect(echo.one({ value: "x" }, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  const late = echo.one({ value: "hang" }, { signal: AbortSignal.timeout(20) });
  await expect(late).rejects.toMatchObject({ code: "deadline_exceeded" });
});

test("a server stream gives every message in order", async () => {
  let count = 0;
  for await (const { value } of echo.many({ value: "" })) expect(value.startsWith(`${count++} `)).toBe(true);
  expect(count).toBe(1000);
});

test("leaving a stream early ends it on the server", async () => {
  for await (const _ of echo.many({ value: "forever" })) break;
  await expect.poll(() => seen.signals[0]?.aborted).toBe(true);
});

test("a client stream is joined by the server", async () => {
  expect(await echo.join(values("a", "b", "c"))).toMatchObject({ value: "abc" });
});

test("a failing source fails the call with its own error", async () => {
  async function* torn() {
    yield { value: "a" };
    throw new Error("the source is gone");
  }
  await expect(echo.join(torn())).rejects.toThrow("the source is gone");
  await expect(collect(echo.both(torn()))).rejects.toThrow("the source is gone");
});

test("both directions answer message by message", async () => {
  const stop = new AbortController();
  async function* typed() {
    yield { value: "a" };
    await new Promise((resolve) => stop.signal.addEventListener("abort", resolve));
    yield { value: "b" };
  }
  const answers: string[] = [];
  for await (const { value } of echo.both(typed())) {
    answers.push(value);
    stop.abort();
  }
  expect(answers).toEqual(["A", "B"]);
});

test("an error in the middle of both directions arrives, though the source never ends", async () => {
  async function* endless() {
    yield { value: "fail" };
    await new Promise(() => {});
  }
  await expect(collect(echo.both(endless()))).rejects.toThrow(/INVALID_ARGUMENT: not this/);
});

async function collect<T>(from: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const it of from) all.push(it);
  return all;
}
