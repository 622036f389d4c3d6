import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { get } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../../../src/lib/signal.js";
import { type StartedGuest, startGuest } from "./start-guest.js";

let guest: StartedGuest;
beforeAll(async () => {
  guest = await startGuest();
});
afterAll(() => guest.stop());

const soon = () => AbortSignal.timeout(20_000);

it("the guest tells its version and what is in use", async () => {
  expect(await guest.client.info(soon())).toMatchObject({
    version: 1,
    connections: 1,
    frameBytesMax: 65_536,
  });
  const usage = await guest.client.usage(soon());
  expect(usage.guestRssBytes).toBeLessThan(1024 * 1024);
  expect(usage.processes).toBeGreaterThanOrEqual(1);
});

describe("identity", () => {
  it("changes host name, machine id, generation and the environment of new processes", async () => {
    const identity = {
      hostname: "after",
      machineId: "0123456789abcdef0123456789abcdef",
      generation: 3,
      env: { A: "1" },
    };
    expect(await guest.client.setIdentity(identity, soon())).toEqual([]);
    const script = 'echo "$(uname -n) $A $RAMET_GENERATION $(cat /etc/machine-id)"';
    const process = await guest.client.spawn({ argv: ["sh", "-c", script] }, soon());
    let text = "";
    for await (const { data } of process.output) text += data.toString();
    expect(text).toBe(`after 1 3 ${identity.machineId}\n`);
    expect(await readFile(join(guest.dir, "generation"), "utf8")).toBe("3\n");
    expect((await guest.client.info(soon())).generation).toBe(3);
  });

  it("is refused when it cannot be right", async () => {
    await expect(guest.client.setIdentity({ hostname: "no spaces" }, soon())).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });
});

describe("dial", () => {
  const port = 8080;
  const server = `require("net").createServer({ allowHalfOpen: true }, (c) => {
    c.on("data", (d) => c.write(d)); c.on("end", () => c.end("bye"));
  }).listen(${port}, "127.0.0.1")`;

  beforeAll(async () => {
    await guest.client.start({ argv: [process.execPath, "-e", server] }, soon());
    await waitUntil(
      "the server inside",
      () =>
        guest.client.dial({ kind: "tcp", port }, {}, soon()).then(
          (socket) => socket.destroy() && true,
          () => false,
        ),
      { intervalMs: 20, timeoutMs: 10_000 },
    );
  });

  it("carries bytes and the half-close of a server on localhost", async () => {
    const socket = await guest.client.dial({ kind: "tcp", port }, {}, soon());
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    socket.end("hello ");
    await once(socket, "end");
    expect(text).toBe("hello bye");
    socket.destroy();
  });

  it("carries more than any buffer holds, to a reader that comes late", async () => {
    const socket = await guest.client.dial({ kind: "tcp", port }, {}, soon());
    const sent = Buffer.alloc(3_000_000, "abcdefg");
    socket.write(sent);
    socket.end();
    const pieces: Buffer[] = [];
    for await (const piece of socket) pieces.push(piece as Buffer);
    expect(Buffer.concat(pieces).equals(Buffer.concat([sent, Buffer.from("bye")]))).toBe(true);
  });

  it("serves an HTTP client as its connection", async () => {
    const http = `require("http").createServer((q, r) => r.end(q.url)).listen(8081, "::1")`;
    await guest.client.start({ argv: [process.execPath, "-e", http] }, soon());
    const socket = await waitUntil(
      "the HTTP server inside",
      () => guest.client.dial({ kind: "tcp", port: 8081 }, {}, soon()).catch(() => false as const),
      { intervalMs: 20, timeoutMs: 10_000 },
    );
    const request = get({ createConnection: () => socket, path: "/path", host: "sandbox" });
    const [response] = await once(request, "response");
    let text = "";
    for await (const chunk of response) text += String(chunk);
    expect(text).toBe("/path");
  });

  it("says when nobody listens", async () => {
    const dialing = guest.client.dial({ kind: "tcp", port: 9 }, {}, soon());
    await expect(dialing).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("port 9"),
    });
  });
});

it("a shutdown ends every process and then the guest with code 0", async () => {
  const process = await guest.client.spawn({ argv: ["sleep", "1000"] }, soon());
  await guest.client.shutDown({ graceMs: 5_000 }, soon());
  for await (const _ of process.output);
  expect(await process.exit).toMatchObject({ exit: { status: { kind: "signal", signal: 15 } } });
  expect(await guest.exited).toBe(0);
  await expect(guest.client.info(soon())).rejects.toMatchObject({ code: "unavailable" });
});
