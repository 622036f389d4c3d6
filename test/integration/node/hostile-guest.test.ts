/** A sandbox whose root has replaced the guest's socket: errors in bounded time, and nothing but itself is harmed. */
import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { becomes, openBox, soon } from "../../support/box.js";
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

/** Takes connections in the guest's place, and says nothing: each wait for an answer ends after 10 seconds. */
const silent = `
import os, socket, time
os.unlink('/.ramet/guest.sock')
server = socket.socket(socket.AF_UNIX)
server.bind('/.ramet/guest.sock')
server.listen(64)
print('taken', flush=True)
kept = []
while True: kept.append(server.accept())
`;

describe("a program inside that takes the guest's place", () => {
  it("and never answers holds nobody for long", async () => {
    const takenOver = async () => {
      const sandbox = await box.create();
      await box.start(sandbox.id, ["python3", "-c", silent], { tag: "taker" });
      const taken = async () => !(await answers(sandbox.id));
      await becomes("the socket is taken", taken);
      return sandbox.id;
    };
    const ids = [await takenOver(), await takenOver(), await takenOver(), await takenOver()];
    const [executing = "", checkpointed = "", paused = "", forked = ""] = ids;
    const startedAt = performance.now();
    const outcomes = await Promise.allSettled([
      box.run(executing, ["true"]),
      box.node.checkpoints.create(checkpointed, {}, soon()),
      box.node.sandboxes.pause(paused, soon()),
      box.fork(forked),
    ]);
    expect(performance.now() - startedAt).toBeLessThan(40_000);
    for (const outcome of outcomes)
      expect(outcome).toMatchObject({ status: "rejected", reason: { code: "deadline_exceeded" } });
    for (const ref of ids) {
      expect((await box.node.sandboxes.get(ref)).state.status).toBe("running");
      await box.node.sandboxes.delete(ref, { force: true }, soon());
    }
  });

  it("and leads elsewhere with a link gets an error, and is deleted", async () => {
    const sandbox = await box.create();
    await box.run(sandbox.id, ["bash", "-c", "ln -sfn /run/containerd/containerd.sock /.ramet/guest.sock"]);
    await expect(box.run(sandbox.id, ["true"])).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("symbolic link"),
      hint: expect.stringContaining("delete"),
    });
    await box.node.sandboxes.delete(sandbox.id, { force: true }, soon());
  });

  it("cannot change the guest's program", async () => {
    const { id: ref } = await box.create();
    const script = "cd /.ramet; (echo > guest) 2>&1; chmod 0777 guest 2>&1; chown 1000 guest 2>&1";
    await box.run(ref, ["bash", "-c", script]);
    expect(await box.sh(ref, "stat -c '%a %u' /.ramet/guest; echo > /.ramet/guest || true")).toBe(
      "555 65534",
    );
    const other = await box.create();
    expect(await box.sh(other.id, "echo fine")).toBe("fine");
  });
});

/** Whether the real guest is still there: it answers well within a second. */
const answers = (ref: string): Promise<boolean> =>
  box.node.files.stat({ sandbox: ref, path: "/" }, { follow: true }, AbortSignal.timeout(1_000)).then(
    () => true,
    () => false,
  );

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
