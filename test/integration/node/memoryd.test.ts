/** memoryd as the agent starts it, and starts it again. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openMemoryd } from "../../../src/node/memoryd.js";
import { becomes } from "../../support/box.js";
import { listenersAt, memorydAt } from "../../support/memoryd.js";
import { memorydBinary } from "../../support/node.js";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "ramet-memoryd-"));
});
afterEach(() => rmSync(root, { recursive: true }));

it("is started once when many find it dead", async () => {
  const socket = join(root, "socket");
  await using memoryd = await openMemoryd({
    ...{ binary: memorydBinary, socket, logPath: join(root, "log"), isForeign: false },
    log: { warn() {}, info() {} },
  });
  for (let round = 0; round < 3; round++) {
    const killed = memorydAt(socket);
    process.kill(killed, "SIGKILL");
    await becomes("it has ended", async () => listenersAt(socket).length === 0);
    const asking = Array.from({ length: 20 }, () => memoryd.adopt("/nonexistent/cgroup.procs"));
    for (const asked of await Promise.allSettled(asking))
      expect(asked).toMatchObject({ reason: { message: "memoryd: no such cgroup" } });
    expect(listenersAt(socket)).toEqual([memorydAt(socket)]);
  }
});
