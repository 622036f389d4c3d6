/** A sandbox that has taken its guest over, or plants things where the guest's socket should be. */
import { once } from "node:events";
import { mkdtemp, rm, symlink, unlink, writeFile } from "node:fs/promises";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { connectGuest } from "../../../src/guest-client/client.js";

let dir: string;
let server: Server | undefined;
const sockets = new Set<Socket>();

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), "ramet-hostile-"));
});
afterEach(async () => {
  for (const socket of sockets) socket.destroy();
  sockets.clear();
  await new Promise<void>((resolve) => {
    if (server === undefined) resolve();
    else server.close(() => resolve());
  });
  server = undefined;
  await rm(dir, { recursive: true, force: true });
});

const soon = () => AbortSignal.timeout(20_000);

async function listen(path: string, behave: (socket: Socket) => void): Promise<void> {
  const listening = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", () => behave(socket));
  });
  server = listening;
  await new Promise<void>((resolve) => listening.listen(path, resolve));
}

async function facing(behave: (socket: Socket) => void) {
  const socketPath = join(dir, "guest.sock");
  await listen(socketPath, behave);
  return connectGuest({ socketPath, replyMs: 200, workMs: 200 });
}

function frame(type: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(payload.length, 0);
  header.writeUInt8(type, 4);
  return Buffer.concat([header, payload]);
}

function outputFrame(seq: number, bytes: number): Buffer {
  const payload = Buffer.alloc(9 + bytes, "x");
  payload.writeBigUInt64LE(BigInt(seq), 0);
  payload.writeUInt8(1, 8);
  return frame(0x83, payload);
}

/** The entry of a file of 5,000 bytes. */
function regular(): Buffer {
  const entry = Buffer.alloc(56);
  entry.writeUInt8(1, 0);
  entry.writeBigUInt64LE(5000n, 20);
  return entry;
}

/** The answer to a reading without frames: how much follows, and of what. */
function promise(bytes: number): Buffer {
  const count = Buffer.alloc(8);
  count.writeBigUInt64LE(BigInt(bytes));
  return Buffer.concat([count, regular()]);
}

const attached = frame(0x81, Buffer.alloc(20));
const broken = { code: "internal", message: expect.stringContaining("broke its protocol") };

/** Writes as fast as the other side takes it, and counts. */
function flood(socket: Socket, next: (written: number) => Buffer): { readonly bytes: () => number } {
  let bytes = 0;
  const pump = () => {
    while (!socket.destroyed) {
      const chunk = next(bytes);
      bytes += chunk.length;
      if (!socket.write(chunk)) break;
    }
  };
  socket.on("drain", pump);
  pump();
  return { bytes: () => bytes };
}

describe("a guest that breaks its protocol", () => {
  it.each([
    ["a frame of 2^32-1 bytes", Buffer.from([0xff, 0xff, 0xff, 0xff, 0x81, 0, 0, 0])],
    ["garbage", Buffer.from("HTTP/1.1 200 OK\r\n\r\n")],
    ["an unknown frame", frame(0x99)],
    ["a frame out of place", frame(0x83, Buffer.alloc(20))],
    ["an empty answer", frame(0x81)],
    ["an answer with too much in it", frame(0x81, Buffer.alloc(500))],
    ["a list that claims 2^32-1 strings", frame(0x82, Buffer.alloc(12, 0xff))],
  ])("by %s is refused", async (_name, answer) => {
    const guest = await facing((socket) => void socket.write(answer));
    await expect(guest.info(soon())).rejects.toMatchObject(broken);
  });

  it("by output with a gap is refused", async () => {
    const guest = await facing((socket) => void socket.write(Buffer.concat([attached, outputFrame(5, 1)])));
    const process = await guest.attach({ pid: 1 }, { from: "now" }, soon());
    const reading = process.output[Symbol.asyncIterator]().next();
    await expect(reading).rejects.toMatchObject(broken);
    await expect(process.exit).rejects.toMatchObject(broken);
  });

  it("by promising more of a file than was asked for is refused", async () => {
    let ended: Promise<unknown> = Promise.resolve();
    const guest = await facing((socket) => {
      ended = once(socket, "end");
      socket.write(frame(0x81, promise(1000)));
    });
    await expect(guest.files.read({ path: "/f" }, { length: 10 }, soon())).rejects.toMatchObject(broken);
    // Or the agent would keep a connection for each.
    await ended;
  });

  it("by sending more of a file than it promised is refused", async () => {
    const answer = Buffer.concat([frame(0x81, promise(10)), Buffer.alloc(11)]);
    const guest = await facing((socket) => void socket.write(answer));
    const reading = await guest.files.read({ path: "/f" }, { length: 10 }, soon());
    await expect(reading.data[Symbol.asyncIterator]().next()).rejects.toMatchObject(broken);
  });

  it("by sending more of a file than was asked for, as one of an older release, is refused", async () => {
    const unsupported = Buffer.alloc(12);
    unsupported.writeUInt16LE(5, 0);
    const answers = [
      frame(0x82, unsupported),
      Buffer.concat([frame(0x81, regular()), frame(0x85, Buffer.alloc(1000))]),
    ];
    const guest = await facing((socket) => void socket.write(answers.shift() ?? ""));
    const reading = await guest.files.read({ path: "/f" }, { length: 10 }, soon());
    await expect(reading.data[Symbol.asyncIterator]().next()).rejects.toMatchObject(broken);
  });

  it("by ending a file early is told", async () => {
    const guest = await facing((socket) => void socket.end(frame(0x81, promise(10))));
    const reading = await guest.files.read({ path: "/f" }, {}, soon());
    await expect(reading.data[Symbol.asyncIterator]().next()).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("ended after 0 of 10 bytes"),
    });
  });

  it("by a list without end is refused", async () => {
    const record = Buffer.alloc(44 + 48 + 16);
    const guest = await facing((socket) => {
      socket.write(frame(0x81, Buffer.alloc(4)));
      flood(socket, () => frame(0x89, record));
    });
    await expect(guest.processes(soon())).rejects.toMatchObject(broken);
  });
});

describe("a guest that does not answer", () => {
  it("is given up after the time that answers may take", async () => {
    const guest = await facing(() => {});
    await expect(guest.info(soon())).rejects.toMatchObject({ code: "deadline_exceeded" });
    await expect(guest.files.stat({ path: "/" }, {}, soon())).rejects.toMatchObject({
      code: "deadline_exceeded",
    });
  });

  it("cannot stretch that time by dripping bytes", async () => {
    const guest = await facing((socket) => {
      const header = frame(0x81, Buffer.alloc(60_000));
      let at = 0;
      const timer = setInterval(() => socket.write(header.subarray(at, ++at)), 20);
      socket.once("close", () => clearInterval(timer));
    });
    const started = performance.now();
    await expect(guest.info(soon())).rejects.toMatchObject({ code: "deadline_exceeded" });
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it("does not hold a writer for ever", async () => {
    const guest = await facing((socket) => {
      socket.pause();
      socket.write(frame(0x81));
    });
    const data = Array.from({ length: 100 }, () => Buffer.alloc(100_000));
    const writing = guest.files.write({ path: "/f", data }, {}, soon());
    await expect(writing).rejects.toMatchObject({ code: "deadline_exceeded" });
  });

  it("is left at once when the caller aborts", async () => {
    const guest = await facing(() => {});
    const asking = guest.waitForExit({ pid: 1 }, AbortSignal.timeout(20));
    await expect(asking).rejects.toMatchObject({ code: "deadline_exceeded" });
  });

  it("and closes instead is unavailable", async () => {
    const guest = await facing((socket) => socket.destroy());
    await expect(guest.info(soon())).rejects.toMatchObject({ code: "unavailable" });
  });
});

it("output without end is taken no faster than it is read", async () => {
  let sent = { bytes: () => 0 };
  const guest = await facing((socket) => {
    socket.write(attached);
    const size = 32_768;
    sent = flood(socket, (written) => outputFrame((written / (size + 17)) * size, size));
  });
  const process = await guest.attach({ pid: 1 }, { from: "now" }, soon());
  const output = process.output[Symbol.asyncIterator]();
  let read = 0;
  for (let frames = 0; frames < 100; frames++) read += (await output.next()).value?.data.length ?? 0;
  expect(read).toBe(100 * 32_768);
  // What has been sent and not read sits in the kernel's buffers and one stream buffer, not in a queue.
  expect(sent.bytes() - read).toBeLessThan(2 * 1024 * 1024);
  process.close();
});

describe("the socket's place", () => {
  it("may not be taken by a link to another socket", async () => {
    const real = join(dir, "containerd.sock");
    let reached = false;
    await listen(real, () => {
      reached = true;
    });
    server?.on("connection", () => {
      reached = true;
    });
    const planted = join(dir, "guest.sock");
    await symlink(real, planted);
    const asking = connectGuest({ socketPath: planted, replyMs: 500 }).info(soon());
    await expect(asking).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("symbolic link"),
    });
    expect(reached).toBe(false);
    await unlink(planted);
  });

  it("may not be taken by a file", async () => {
    const planted = join(dir, "guest.sock");
    await writeFile(planted, "");
    await expect(connectGuest({ socketPath: planted }).info(soon())).rejects.toMatchObject({
      code: "failed_precondition",
    });
  });

  it("may be empty while the sandbox starts", async () => {
    await expect(connectGuest({ socketPath: join(dir, "absent") }).info(soon())).rejects.toMatchObject({
      code: "unavailable",
      message: expect.stringContaining("ENOENT"),
    });
  });
});
