import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { delay } from "../lib/signal.js";
import { createIntake } from "./intake.js";

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** A socket with an intake, and the other end of it. */
async function pair() {
  const directory = await mkdtemp(join(tmpdir(), "intake-"));
  undo.push(() => rm(directory, { recursive: true }));
  const server = createServer().listen(join(directory, "s"));
  await once(server, "listening");
  const intake = createIntake();
  const accepted = once(server, "connection") as Promise<[Socket]>;
  const socket = connect({
    path: join(directory, "s"),
    allowHalfOpen: true,
    onread: intake.onread,
  });
  await once(socket, "connect");
  const [other] = await accepted;
  undo.push(
    () => server.close(),
    () => other.destroy(),
    () => socket.destroy(),
  );
  let hasEnded = false;
  let wake = () => {};
  const news = () => wake();
  intake.onNews(news);
  socket.on("end", () => {
    hasEnded = true;
    news();
  });
  async function next(): Promise<Buffer | undefined> {
    for (;;) {
      const bytes = intake.read(socket);
      if (bytes !== undefined || hasEnded) return bytes;
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  }
  return { intake, other, next };
}

it("gives everything in order, however it came, and then the end", async () => {
  const { other, next } = await pair();
  const sent = Array.from({ length: 200 }, (_, index) => randomBytes(index % 3 === 0 ? 150_000 : index + 1));
  for (const piece of sent) other.write(piece);
  other.end();
  const got = createHash("sha256");
  for (let piece = await next(); piece !== undefined; piece = await next()) got.update(piece);
  expect(got.digest("hex")).toBe(createHash("sha256").update(Buffer.concat(sent)).digest("hex"));
});

it("holds a bounded part of what nobody reads, and goes on when somebody does", async () => {
  const { intake, other, next } = await pair();
  const total = 16 * 1024 * 1024;
  other.end(Buffer.alloc(total, 7));
  await expect.poll(() => intake.bytes()).toBeGreaterThan(100_000);
  await delay(50);
  expect(intake.bytes()).toBeLessThanOrEqual(512 * 1024);
  let bytes = 0;
  for (let piece = await next(); piece !== undefined; piece = await next()) bytes += piece.length;
  expect(bytes).toBe(total);
});

it("keeps no large buffer for a little", async () => {
  const { other, next } = await pair();
  const buffers = new Set<ArrayBufferLike>();
  for (let count = 0; count < 20; count++) {
    other.write("x");
    const piece = await next();
    expect(piece?.toString()).toBe("x");
    if (piece !== undefined) buffers.add(piece.buffer);
  }
  // Node has a pool for what is small, of 8 or 64 KiB, by its version.
  const held = [...buffers].reduce((sum, { byteLength }) => sum + byteLength, 0);
  expect(held).toBeLessThanOrEqual(256 * 1024);
});
