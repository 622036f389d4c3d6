/**
 * The agent is killed at every named failpoint in the middle of its operations; the next start has to put the
 * system right: nothing acknowledged lost, the sandbox running or paused with its memory, nothing leaked.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { Api } from "../../src/cli/client.js";
import { SandboxStatus } from "../../src/gen/ramet/v1/sandbox_pb.js";
import { type FailpointName, failpoints } from "../../src/node/failpoint.js";
import { holdings, openTestAgent, type TestAgent } from "../support/agent.js";
import { testRuntime } from "../support/containerd.js";

const { RUNNING, PAUSED, STOPPED } = SandboxStatus;

let agent: TestAgent;
let api: Api;
/** A sandbox with a process that counts in memory, all over some of it, and in a file. */
let victim: string;

const counter = `
import itertools, mmap, os, time
MIB = 1 << 20
held = bytearray(8 * MIB)
given = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE)
for n in itertools.count():
    given.madvise(mmap.MADV_DONTNEED)
    held[n % 8 * MIB : (n % 8 + 1) * MIB] = n.to_bytes(8, 'big') * (MIB // 8)
    with open('/tmp/count.new', 'w') as f: f.write(str(n))
    os.rename('/tmp/count.new', '/tmp/count')
    time.sleep(0.005)
`;

beforeAll(async () => {
  agent = await openTestAgent("crash");
  api = await agent.start();
  await drain(api.images.import({ path: testRuntime().image, name: "test" }));
  await drain(api.templates.build({ name: "base", image: "test", readyTimeoutMs: 10_000 }));
});

afterAll(async () => {
  await agent[Symbol.asyncDispose]();
});

beforeEach(async () => {
  for (const { id } of (await api.sandboxes.list({})).sandboxes)
    await api.sandboxes.delete({ sandbox: id, force: true });
  for (const { id } of (await api.checkpoints.list({})).checkpoints)
    await api.checkpoints.delete({ checkpoint: id });
  const { sandbox } = await api.sandboxes.create({
    source: { case: "template", value: "base" },
    name: "victim",
  });
  victim = sandbox?.id ?? "";
  await drain(
    api.processes.exec(
      once({ case: "start", value: { sandbox: victim, argv: ["python3", "-c", counter], detach: true } }),
    ),
  );
  await counted(0);
});

/** What is done with the victim, which failpoints it passes, and what has to be true after the next start. */
const operations: ReadonlyArray<{
  readonly name: string;
  readonly points: readonly FailpointName[];
  readonly run: () => Promise<unknown>;
  /** Before the agent that is killed is started. */
  readonly before?: () => Promise<unknown>;
  /** Once the next agent has started. */
  readonly after?: () => Promise<unknown>;
  readonly victim: (point: FailpointName) => SandboxStatus | "gone";
  /** Whether its processes are those of before, where it runs or can be resumed; default true. */
  readonly goesOn?: (point: FailpointName) => boolean;
  readonly others?: (point: FailpointName) => readonly number[];
}> = [
  {
    name: "create",
    points: ["create.recorded", "create.prepared", "create.started", "create.done"],
    run: () => api.sandboxes.create({ source: { case: "template", value: "base" } }),
    victim: () => RUNNING,
    others: (point) => (point === "create.done" ? [1] : [0]),
  },
  {
    name: "claim of a warm slot",
    points: ["claim.thawed", "claim.done"],
    run: async () => {
      await slots(1);
      return api.sandboxes.create({ source: { case: "template", value: "base" } });
    },
    after: () => slots(0),
    victim: () => RUNNING,
  },
  {
    name: "checkpoint",
    points: ["checkpoint.frozen", "checkpoint.dumped", "checkpoint.thawed", "checkpoint.durable"],
    run: () => api.checkpoints.create({ sandbox: victim }),
    victim: () => RUNNING,
  },
  {
    name: "checkpoint of memory that is an earlier one's",
    points: ["checkpoint.moved"],
    before: async () => {
      await api.checkpoints.create({ sandbox: victim, name: "earlier" });
      await api.sandboxes.rollBack({ sandbox: victim, checkpoint: "earlier" });
      // Little of its own would stay in the images.
      await counted((await count()) + 8);
    },
    run: () => api.checkpoints.create({ sandbox: victim }),
    victim: () => RUNNING,
  },
  {
    name: "pause",
    points: ["pause.recorded", "pause.dumped", "pause.durable", "pause.committed", "pause.killed"],
    run: () => api.sandboxes.pause({ sandbox: victim }),
    victim: (point) => (point === "pause.committed" || point === "pause.killed" ? PAUSED : RUNNING),
  },
  {
    name: "resume",
    points: ["resume.recorded", "resume.started", "resume.committed"],
    before: () => api.sandboxes.pause({ sandbox: victim }),
    run: () => api.sandboxes.resume({ sandbox: victim }),
    victim: (point) => (point === "resume.recorded" ? PAUSED : RUNNING),
  },
  {
    name: "resume with memory that is an earlier one's",
    points: ["launch.restored"],
    before: async () => {
      await api.checkpoints.create({ sandbox: victim, name: "earlier" });
      await api.sandboxes.rollBack({ sandbox: victim, checkpoint: "earlier" });
      await api.sandboxes.pause({ sandbox: victim });
    },
    run: () => api.sandboxes.resume({ sandbox: victim }),
    victim: () => RUNNING,
  },
  {
    name: "pause without memory",
    points: ["pause.recorded", "pause.committed"],
    run: () => api.sandboxes.pause({ sandbox: victim, withoutMemory: true }),
    victim: (point) => (point === "pause.committed" ? PAUSED : RUNNING),
    goesOn: (point) => point !== "pause.committed",
  },
  {
    name: "resume without memory",
    points: ["resume.recorded", "resume.started"],
    before: () => api.sandboxes.pause({ sandbox: victim }),
    run: () => api.sandboxes.resume({ sandbox: victim, withoutMemory: true }),
    victim: (point) => (point === "resume.recorded" ? PAUSED : RUNNING),
    goesOn: (point) => point !== "resume.started",
  },
  {
    name: "roll back",
    points: ["rollback.prepared", "rollback.recorded"],
    before: () => api.checkpoints.create({ sandbox: victim, name: "back" }),
    run: () => api.sandboxes.rollBack({ sandbox: victim, checkpoint: "back" }),
    victim: (point) => (point === "rollback.recorded" ? PAUSED : RUNNING),
  },
  {
    name: "fork",
    points: ["fork.taken", "create.recorded", "create.prepared", "create.started", "fork.clone"],
    run: () => drain(api.sandboxes.fork({ sandbox: victim, count: 2 })),
    victim: () => RUNNING,
    // Records of clones that come together wait for the disk together.
    others: (point) => (point === "fork.clone" ? [1, 2] : [0]),
  },
  {
    name: "stop",
    points: ["stop.recorded", "stop.killed"],
    run: () => api.sandboxes.stop({ sandbox: victim, graceMs: 1000 }),
    victim: () => STOPPED,
  },
  {
    name: "delete",
    points: ["delete.recorded", "delete.container"],
    run: () => api.sandboxes.delete({ sandbox: victim, force: true }),
    victim: () => "gone",
  },
  {
    name: "commit",
    points: ["commit.frozen", "commit.copied", "commit.diffed"],
    run: () => api.sandboxes.commit({ sandbox: victim, image: "committed", replace: true }),
    victim: () => RUNNING,
  },
  {
    name: "template build",
    points: ["template.started", "template.dumped", "template.killed"],
    run: () =>
      drain(api.templates.build({ name: "base", image: "test", replace: true, readyTimeoutMs: 10_000 })),
    victim: () => RUNNING,
  },
];

it("has a test for every failpoint", () => {
  expect(new Set(operations.flatMap(({ points }) => points))).toEqual(new Set(failpoints));
});

describe.each(operations)(
  "killed in the middle of $name",
  ({ points, run, before, after, victim: expected, goesOn, others }) => {
    it.each(points)("at %s, the next start puts everything right", async (point) => {
      await before?.();
      const reached = before === undefined ? await count() : 0;
      agent.arm(`${point}=kill`);
      await expect(run()).rejects.toThrow();
      expect(await agent.ended()).toBe("SIGKILL");

      api = await agent.start();
      await after?.();
      const wanted = expected(point);
      const { sandboxes } = await api.sandboxes.list({});
      expect(others?.(point) ?? [0]).toContain(sandboxes.filter(({ id }) => id !== victim).length);
      for (const { status } of sandboxes.filter(({ id }) => id !== victim)) expect(status).toBe(RUNNING);
      const found = sandboxes.find(({ id }) => id === victim);
      expect(found?.status ?? "gone").toBe(wanted);
      if (wanted === PAUSED) await api.sandboxes.resume({ sandbox: victim });
      if (wanted === PAUSED || wanted === RUNNING) {
        await counted(reached);
        // What the file has may be from before.
        if (goesOn?.(point) !== false) await counted(await count());
      }
      expect((await api.templates.get({ name: "base" })).template?.status).toBe("ready");
      await expectNothingLeft();
    });
  },
);

it("waits for a dump that goes on without the agent, and loses nothing", async () => {
  const reached = await count();
  agent.slowDump();
  const pausing = expect(api.sandboxes.pause({ sandbox: victim })).rejects.toThrow();
  await expect
    .poll(async () => (await api.sandboxes.get({ sandbox: victim })).sandbox?.status)
    .toBe(SandboxStatus.PAUSING);
  // The guest is quiet and the dump asked for.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  await agent.kill("SIGKILL");
  await pausing;
  api = await agent.start();
  const { sandbox } = await api.sandboxes.get({ sandbox: victim });
  expect(sandbox?.status).toBe(RUNNING);
  await counted(reached);
  await expectNothingLeft();
});

/** Every directory, container, task and snapshot belongs to a sandbox, a template or a checkpoint that is listed;
 *  the few sandboxes share one shim. */
async function expectNothingLeft(): Promise<void> {
  const { sandboxes } = await api.sandboxes.list({});
  const { checkpoints } = await api.checkpoints.list({ all: true });
  const live = sandboxes.filter(({ status }) => status === RUNNING).map(({ id }) => id);
  const found = await holdings(agent.namespace);
  expect(found.shims).toHaveLength(1);
  expect(found.containers).toEqual([...live].sort());
  expect(found.tasks).toEqual(live.map((id) => `${id} running`).sort());
  const layers = [
    ...sandboxes.map(({ id }) => `sandbox-${id}`),
    ...checkpoints.filter(({ kind }) => kind !== "pause").map(({ id }) => `checkpoint-${id}`),
  ];
  // One that was rolled back stands on a layer of a longer name.
  const snapshots = found.snapshots.map((key) => key.replace(/^(sandbox-[a-z0-9]+)-.*/, "$1"));
  expect(snapshots.sort()).toEqual(layers.sort());
  expect(readdirSync(join(agent.dataDir, "sandboxes")).sort()).toEqual([...live].sort());
  const whole = checkpoints.filter(({ kind }) => kind !== "fork").map(({ id }) => id);
  // The files of a pause's memory go beside what was told of its resume.
  await expect
    .poll(() => readdirSync(join(agent.dataDir, "checkpoints")).sort(), { timeout: 10_000 })
    .toEqual(whole.sort());
}

/** Asks for so many, and waits until they are there, or gone. */
async function slots(wanted: number): Promise<void> {
  const asked = { name: "base", min: wanted, max: wanted };
  await expect
    .poll(async () => (await api.templates.setSlots(asked)).template?.slots?.ready, { timeout: 10_000 })
    .toBe(wanted);
  const others = async () => (await holdings(agent.namespace)).containers.filter((id) => id !== victim);
  await expect.poll(others, { timeout: 10_000 }).toHaveLength(wanted);
}

async function count(): Promise<number> {
  let text = "";
  for await (const { data } of api.files.read({ sandbox: victim, path: "/tmp/count" }))
    text += Buffer.from(data).toString();
  return Number(text);
}

/** The counter has gone on beyond `reached`: its memory is there and it runs. */
async function counted(reached: number): Promise<void> {
  await expect
    .poll(() => count().catch(() => -1), { timeout: 10_000, interval: 20 })
    .toBeGreaterThan(reached);
}

async function drain<T>(stream: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of stream) all.push(item);
  return all;
}

async function* once<T>(message: T): AsyncGenerator<{ message: T }> {
  yield { message };
}
