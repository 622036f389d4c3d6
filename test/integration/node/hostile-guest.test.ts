/** A sandbox whose root has replaced the guest's socket: errors in bounded time, and nothing but itself is harmed. */
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { openBox, soon } from "../../support/box.js";
import { testRuntime } from "../../support/containerd.js";

const box = openBox("hostile");

let id: string;
let socketPath: string;

beforeEach(async () => {
  ({ id } = await box.create());
  socketPath = join(box.test.dataDir, "sandboxes", id, "guest", "guest.sock");
  rmSync(socketPath);
});

const operations: ReadonlyArray<readonly [string, () => Promise<unknown>]> = [
  ["exec", () => box.run(id, ["true"])],
  ["a file's stat", () => box.node.files.stat({ sandbox: id, path: "/" }, { follow: true }, soon())],
  ["a checkpoint", () => box.node.checkpoints.create(id, {}, soon())],
  ["a pause", () => box.node.sandboxes.pause(id, soon())],
  ["a fork", () => box.fork(id)],
];

/** Each fails by itself with one of these codes; the record says running, another sandbox works, delete frees it all. */
async function expectRefused(codes: readonly string[]): Promise<void> {
  for (const [name, operation] of operations) {
    const code = await operation().then(
      () => "none",
      (thrown: { code?: string }) => thrown.code ?? String(thrown),
    );
    expect(codes, name).toContain(code);
  }
  expect((await box.node.sandboxes.get(id)).state.status).toBe("running");
  const other = await box.create();
  expect(await box.sh(other.id, "echo fine")).toBe("fine");
  await box.node.sandboxes.delete(id, { force: true }, soon());
}

it("a link to containerd's socket is not followed", async () => {
  symlinkSync(testRuntime().address, socketPath);
  await expectRefused(["failed_precondition"]);
});

it("a directory in its place is no socket", async () => {
  mkdirSync(socketPath);
  await expectRefused(["failed_precondition"]);
});

it("no socket at all is unavailable", async () => {
  await expectRefused(["unavailable", "failed_precondition"]);
});

describe("another program in the guest's place", () => {
  it("that announces a frame of 4 GiB", async () => {
    await using _server = await listen((socket) => socket.end(Buffer.from("ffffffff82000000", "hex")));
    await expectRefused(["failed_precondition", "internal", "unavailable"]);
  });

  it("that hangs up", async () => {
    await using _server = await listen((socket) => socket.destroy());
    await expectRefused(["unavailable", "failed_precondition", "internal"]);
  });

  it("that sends rubbish without end", async () => {
    await using _server = await listen((socket) => {
      const rubbish = Buffer.alloc(65_536, 0x82);
      const more = () => {
        while (!socket.destroyed && socket.write(rubbish));
      };
      socket.on("drain", more);
      more();
    });
    await expectRefused(["failed_precondition", "internal", "unavailable"]);
  });
});

async function listen(onConnection: (socket: Socket) => void): Promise<AsyncDisposable> {
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on("error", () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen(socketPath, resolve));
  return {
    async [Symbol.asyncDispose]() {
      for (const socket of open) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
