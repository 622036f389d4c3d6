import { chmod, lstat, mkdir, mkdtemp, readdir, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer as createNetServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { stubNode } from "../../test/support/stub-node.js";
import { openScope, type Scope } from "../lib/scope.js";
import { serveApi } from "./serve.js";
import { isAnswered } from "./socket.js";

const live = new AbortController().signal;
let directory: string;
let path: string;
let scope: Scope;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "ramet-socket-"));
  path = join(directory, "agent.sock");
  scope = openScope();
  scope.defer(() => rm(directory, { recursive: true, force: true }));
});
afterEach(() => scope[Symbol.asyncDispose]());

async function serve(socketPath = path): Promise<AsyncDisposable> {
  const log = { error: () => {} };
  return scope.use(await serveApi({ node: stubNode({}), socketPath, log, graceMs: 200 }, live));
}

describe("the socket", () => {
  it("is open to its owner alone, and gone after the server", async () => {
    const server = await serve();
    const found = await stat(path);
    expect(found.isSocket()).toBe(true);
    expect(found.mode & 0o777).toBe(0o600);
    await server[Symbol.asyncDispose]();
    expect(await readdir(directory)).toEqual([]);
  });

  it("is not put where something else is", async () => {
    await writeFile(path, "precious");
    await expect(serve()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("not a socket"),
    });
    expect((await lstat(path)).size).toBe(8);
  });

  it("is refused to a second agent while the first one listens", async () => {
    await serve();
    await expect(serve()).rejects.toMatchObject({
      code: "failed_precondition",
      message: expect.stringContaining("listening there already"),
    });
    expect(await isAnswered(path)).toBe(true);
  });

  it("replaces one that a killed agent left behind, and what its binding left", async () => {
    await mkdir(`${path}.new`);
    await leaveStaleSocket();
    await serve();
    expect(await isAnswered(path)).toBe(true);
    expect(await readdir(directory)).toEqual(["agent.sock"]);
  });

  it("cannot have a longer path than the kernel takes", async () => {
    const start = serve(join(directory, "x".repeat(100), "agent.sock"));
    await expect(start).rejects.toMatchObject({ code: "invalid_argument" });
  });
});

/** Binds elsewhere and moves the socket, so that closing the server cannot remove it. */
async function leaveStaleSocket(): Promise<void> {
  const server = createNetServer();
  await new Promise<void>((resolve) => server.listen(`${path}.other`, resolve));
  await rename(`${path}.other`, path);
  await new Promise((resolve) => server.close(resolve));
  await chmod(path, 0o600);
}
