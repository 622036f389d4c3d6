/** The same promises over real checkpoints, forks and pauses. */
import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ExecInput } from "../../../src/node/processes.js";
import type { Sandbox } from "../../../src/sandbox/sandbox.js";
import { image, startTestNode, type TestNode } from "../../support/node.js";
import { noInput, options, outcome, soon } from "./start-sandbox.js";

let test: TestNode;
let sandbox: Sandbox;
beforeAll(async () => {
  test = await startTestNode("streams");
  sandbox = await test.node.sandboxes.create(
    {
      source: {
        kind: "image",
        image,
        limits: { memoryBytes: 512 * 1024 * 1024 },
        allowPrivilegeEscalation: false,
      },
      labels: {},
      env: {},
    },
    long(),
  );
});
afterAll(() => test[Symbol.asyncDispose]());

const long = () => AbortSignal.timeout(120_000);
const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
const checkpoint = () => test.node.checkpoints.create(sandbox.id, {}, long());

describe("streams over checkpoints", () => {
  it("lose and repeat nothing of output and input", async () => {
    const { processes, sandboxes } = test.node;
    const data = randomBytes(2 * 1024 * 1024);
    async function* input(): AsyncGenerator<ExecInput> {
      for (let at = 0; at < data.length; at += 50_000)
        yield { kind: "stdin", data: data.subarray(at, at + 50_000) };
      yield { kind: "eof" };
    }
    const script =
      "(while :; do chunk=$(head -c 60000 | sha1sum); case $chunk in da39a3ee*) break;; esac; echo $chunk; sleep 0.05; done)";
    const reading = outcome(processes.exec(sandbox.id, options(script, { stdin: true }), input(), long()));
    const writing = outcome(
      processes.exec(
        sandbox.id,
        options("for i in $(seq 1 40); do seq 1 20000; sleep 0.05; done"),
        noInput(),
        long(),
      ),
    );
    for (let round = 0; round < 3; round++) await checkpoint();
    const clones: Sandbox[] = [];
    for await (const event of sandboxes.fork(sandbox.id, { count: 2, labels: {}, env: {} }, long()))
      if (event.kind === "clone" && event.result.ok) clones.push(event.result.sandbox);
    expect(clones.length).toBe(2);
    const once = Buffer.from(Array.from({ length: 20_000 }, (_, index) => `${index + 1}\n`).join(""));
    expect(sha256((await writing).stdout)).toBe(sha256(Buffer.concat(Array(40).fill(once))));
    const expected: string[] = [];
    for (let at = 0; at < data.length; at += 60_000) {
      const digest = createHash("sha1")
        .update(data.subarray(at, at + 60_000))
        .digest("hex");
      expected.push(`${digest} -`);
    }
    expect((await reading).stdout.toString().trim().split("\n")).toEqual(expected);
    // What the clones were doing goes on there, and can be read there.
    for (const clone of clones) {
      const found = (await processes.list(clone.id, long())).find((each) =>
        each.argv[2]?.includes("seq 1 40"),
      );
      const { stdout, last } = await outcome(
        processes.attach(clone.id, { pid: found?.pid ?? 0 }, { afterSeq: 0 }, noInput(), long()),
      );
      expect(stdout.toString()).toMatch(/\n20000\n$/);
      expect(last).toEqual({ kind: "exited", status: { kind: "code", code: 0 } });
      await sandboxes.delete(clone.id, { force: true }, long());
    }
  });

  it("tell of a watched directory what happened since", async () => {
    const { files } = test.node;
    const at = (path: string) => ({ sandbox: sandbox.id, path });
    await files.makeDir(at("/tmp/watched"), { parents: true, mode: 0o755 }, long());
    const told: string[] = [];
    for await (const { type, path } of files.watch(at("/tmp/watched"), { recursive: true }, long())) {
      told.push(`${type} ${path}`);
      if (type === "ready") await checkpoint();
      if (type === "rescan")
        await files.makeDir(at("/tmp/watched/new"), { parents: false, mode: 0o755 }, long());
      if (type === "create") break;
    }
    expect(told).toEqual(["ready /tmp/watched", "rescan /tmp/watched", "create /tmp/watched/new"]);
  });

  it("end at a pause with what had been said, and go on after the resume by position", async () => {
    const { processes, sandboxes } = test.node;
    const script = "echo one; while [ ! -e /tmp/go ]; do sleep 0.02; done; echo two";
    const events = processes.exec(sandbox.id, options(script, { tag: "paused" }), noInput(), long());
    let seq = 0;
    const following = (async () => {
      for await (const event of events) {
        if (event.kind !== "output") continue;
        seq = event.seq;
        await sandboxes.pause(sandbox.id, long());
      }
    })();
    await expect(following).rejects.toMatchObject({ code: "unavailable", message: /paused/ });
    expect(seq).toBe(4);
    await expect(processes.list(sandbox.id, soon())).rejects.toMatchObject({ code: "failed_precondition" });
    await sandboxes.resume(sandbox.id, long());
    const again = outcome(
      processes.attach(sandbox.id, { tag: "paused" }, { afterSeq: seq }, noInput(), long()),
    );
    async function* nothing() {}
    await test.node.files.write(
      { sandbox: sandbox.id, path: "/tmp/go" },
      { mode: 0o644, parents: false },
      nothing(),
      long(),
    );
    expect((await again).stdout.toString()).toBe("two\n");
  });

  it("leave readings of usage that fit", async () => {
    const { processes, sandboxes } = test.node;
    const script = 'python3 -c "x = bytearray(100 << 20); input()"';
    const { pid } = await processes.start(sandbox.id, options(script, { stdin: true }), long());
    const deadline = Date.now() + 20_000;
    let stats = await sandboxes.stats(sandbox.id, long());
    while (stats.memoryRssBytes < 100 << 20 && Date.now() < deadline)
      stats = await sandboxes.stats(sandbox.id, long());
    expect(stats.memoryRssBytes).toBeGreaterThan(100 << 20);
    expect(stats.memoryUsageBytes).toBeGreaterThanOrEqual(stats.memoryRssBytes);
    expect(stats.memoryLimitBytes).toBe(512 * 1024 * 1024);
    expect(stats.pids).toBeGreaterThan(1);
    expect(stats.guestRssBytes).toBeGreaterThan(0);
    expect(stats.guestRssBytes).toBeLessThan(8 << 20);
    expect(stats.cpuUsageNs).toBeGreaterThan(0n);
    expect(stats.layerBytes).toBeGreaterThan(0);
    await processes.write(sandbox.id, pid, Buffer.from("\n"), { eof: true }, long());
    expect(await test.node.info(long())).toMatchObject({ version: "test", sandboxesRunning: 1 });
  });
});
