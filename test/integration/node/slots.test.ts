/** Warm slots: made ahead, claimed without a restore, and gone with what they were made of. */
import { afterEach, describe, expect, it } from "vitest";
import { connectContainerd } from "../../../src/containerd/client.js";
import type { Template } from "../../../src/template/template.js";
import { becomes, image, openBox, soon } from "../../support/box.js";
import { testRuntime } from "../../support/containerd.js";

const box = openBox("slots");

const slotsOf = async (template = "base") => (await box.node.templates.get(template)).slots;
/** Waits until so many are ready. */
async function keep(min: number, max = min, template = "base"): Promise<void> {
  await box.node.templates.setSlots(template, { min, max });
  await becomes(`${max} slots`, async () => (await slotsOf(template)).ready === max);
}
const create = (env: Record<string, string> = {}, name?: string) =>
  box.node.sandboxes.create(
    {
      source: { kind: "template", template: "base" },
      labels: { run: "1" },
      env,
      ...(name === undefined ? {} : { name }),
    },
    soon(),
  );

afterEach(() => keep(0));

describe("a claim", () => {
  it("gives a sandbox that is like one restored for it, under the name, labels and environment asked for", async () => {
    await keep(1);
    expect(await box.node.sandboxes.list({ statuses: [], labels: {} })).toEqual([]);
    const startedAt = new Date();
    const warm = await create({ SEED: "1" }, "mine");
    const cold = await create({ SEED: "2" });
    expect([warm.isWarm, cold.isWarm]).toEqual([true, false]);
    for (const [{ id }, seed] of [
      [warm, "1"],
      [cold, "2"],
    ] as const) {
      expect(await box.sh(id, "hostname; echo $SEED; cat /proc/1/comm")).toBe(`${id}\n${seed}\nguest`);
    }
    const found = await box.node.sandboxes.get("mine");
    expect(found).toMatchObject({ id: warm.id, labels: { run: "1" }, origin: cold.origin });
    expect(found.generation).toBe(cold.generation);
    expect(found.createdAt.getTime()).toBeGreaterThanOrEqual(startedAt.getTime());
    expect(await box.events("sandbox.created", warm.id)).toEqual([{ origin: "template", warm: "true" }]);
  });

  it("gives what pauses, resumes, forks and stops like any other", async () => {
    await keep(1);
    const { id, isWarm } = await create();
    expect(isWarm).toBe(true);
    await box.sh(id, "echo kept > /tmp/state");
    await box.node.sandboxes.pause(id, soon());
    await box.node.sandboxes.resume(id, soon());
    const [clone] = await box.fork(id);
    expect(await box.sh(clone?.id ?? "", "cat /tmp/state")).toBe("kept");
    await box.node.sandboxes.stop(id, { graceMs: 100 }, soon());
  });

  it("makes way for the next slot, and restores where there is none yet", async () => {
    await keep(2);
    const made = await Promise.all([1, 2, 3, 4].map(() => create()));
    expect(made.filter(({ isWarm }) => isWarm)).toHaveLength(2);
    expect(new Set(made.map(({ id }) => id)).size).toBe(4);
    for (const { id } of made) expect(await box.sh(id, "hostname")).toBe(id);
    await becomes("they are made again", async () => (await slotsOf()).ready === 2);
  });

  it("is refused for a name that is taken, and uses no slot up", async () => {
    await keep(1);
    await create({}, "taken");
    await becomes("it is made again", async () => (await slotsOf()).ready === 1);
    await expect(create({}, "taken")).rejects.toMatchObject({ code: "already_exists" });
    expect(await slotsOf()).toMatchObject({ ready: 1 });
  });

  it("passes over a slot that has died", async () => {
    await keep(1);
    await killSlots();
    const { id, isWarm } = await create();
    expect(await box.sh(id, "echo alive")).toBe("alive");
    expect(isWarm).toBe(false);
    await becomes("it is made again", async () => (await slotsOf()).ready === 1);
  });
});

describe("slots", () => {
  it("stand still, and nobody can name them", async () => {
    await box.buildTemplate({
      name: "counting",
      startCommand: "n=0; while :; do n=$((n+1)); echo $n > /tmp/m; mv /tmp/m /tmp/n; sleep 0.01; done",
      readyCommand: "test $(cat /tmp/n) -ge 5",
    });
    await keep(1, 1, "counting");
    const counted = async (id: string) => Number(await box.sh(id, "cat /tmp/n"));
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    const source = { kind: "template", template: "counting" } as const;
    const warm = await box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());
    expect(warm.isWarm).toBe(true);
    const first = await counted(warm.id);
    // A second of counting would be some 80.
    expect(first).toBeLessThan(60);
    await becomes("it counts on", async () => (await counted(warm.id)) > first);
    await keep(0, 0, "counting");
  });

  it("have answered their ready command once more, and are given away even where it fails in them", async () => {
    await box.buildTemplate({
      name: "asked",
      readyCommand: "echo . >> /tmp/asked; test $(wc -l < /tmp/asked) -lt 3",
    });
    const source = { kind: "template", template: "asked" } as const;
    const asked = async (id: string) => Number(await box.sh(id, "wc -l < /tmp/asked"));
    const cold = await box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());
    await keep(1, 1, "asked");
    const warm = await box.node.sandboxes.create({ source, labels: {}, env: {} }, soon());
    expect([cold.isWarm, await asked(cold.id)]).toEqual([false, 1]);
    expect([warm.isWarm, await asked(warm.id)]).toEqual([true, 2]);
    await box.buildTemplate({ name: "once", readyCommand: "test ! -e /tmp/once && touch /tmp/once" });
    await keep(1, 1, "once");
    await Promise.all([keep(0, 0, "asked"), keep(0, 0, "once")]);
  });

  it("are made anew when the template is built again, and go with it", async () => {
    await box.buildTemplate({ name: "t" });
    await keep(1, 2, "t");
    const before = await box.node.templates.get("t");
    await box.buildTemplate({ name: "t" }, { replace: true });
    await becomes("slots of the new one", async () => (await slotsOf("t")).ready === 2);
    expect((await slotsOf("t")).min).toBe(1);
    const checkpoints = await box.node.checkpoints.list({ all: true });
    expect(checkpoints.map(({ checkpoint }) => checkpoint.id)).not.toContain(goldenOf(before.template));
    await box.node.templates.delete("t", soon());
  });

  it("are as many as was asked for while the template was built again", async () => {
    const spec = {
      ...{ name: "t", image, readyTimeoutMs: 10_000 },
      env: {},
      limits: {},
      allowPrivilegeEscalation: false,
    };
    await box.buildTemplate(spec);
    for await (const { step } of box.node.templates.build(spec, { replace: true }, soon()))
      if (step === "starting") await box.node.templates.setSlots("t", { min: 1, max: 2 });
    expect(await slotsOf("t")).toMatchObject({ min: 1, max: 2 });
    await box.node.templates.delete("t", soon());
  });

  it("count with what they do not share", async () => {
    const hold =
      "import os, time; b = os.urandom(64 << 20); open('/tmp/ok', 'w').write('1'); time.sleep(9999)";
    await box.buildTemplate({
      name: "large",
      startCommand: `exec python3 -c "${hold}"`,
      readyCommand: "test -s /tmp/ok",
    });
    await keep(2, 2, "large");
    const { memoryBytes, ready } = await slotsOf("large");
    expect(ready).toBe(2);
    // Of 64 MiB each: more than the agent adds for what is charged to no group, and no more than their own few pages.
    expect(memoryBytes).toBeGreaterThan(2 * 1.2 * 2 ** 20);
    expect(memoryBytes).toBeLessThan(2 * 6 * 2 ** 20);
    await keep(0, 0, "large");
  });

  it("that are claimed while they are to be ended belong to who claimed them", async () => {
    await keep(4);
    await box.node.templates.setSlots("base", { min: 0, max: 0 });
    await becomes("the first is being ended", async () => (await slotsOf()).ready < 4);
    const made = await Promise.all([create(), create()]);
    expect(made.some(({ isWarm }) => isWarm)).toBe(true);
    await becomes("none is left", async () => (await slotsOf()).ready === 0);
    // Those that end, end one after another: a new one is made after the last of them.
    await keep(1);
    for (const { id } of made) expect(await box.sh(id, "hostname")).toBe(id);
  });

  it("are ended by the next start of the agent, which makes others", async () => {
    await keep(2);
    const { id } = await create();
    await becomes("two again", async () => (await slotsOf()).ready === 2);
    await box.test.restart();
    expect(await box.sh(id, "echo on")).toBe("on");
    await becomes("two again", async () => (await slotsOf()).ready === 2);
    expect(await box.node.sandboxes.list({ statuses: [], labels: {} })).toHaveLength(1);
  });

  it.each([
    [-1, 1],
    [2, 1],
    [0, 1001],
    [0.5, 1],
  ])("cannot be %d to %d", async (min, max) => {
    await expect(box.node.templates.setSlots("base", { min, max })).rejects.toMatchObject({
      code: "invalid_argument",
    });
  });

  it("are refused to a template that does not exist", async () => {
    await expect(box.node.templates.setSlots("none", { min: 1, max: 1 })).rejects.toMatchObject({
      code: "not_found",
    });
  });
});

/** They die once they are thawed. */
async function killSlots(): Promise<void> {
  const containerd = await connectContainerd({
    address: testRuntime().address,
    namespace: box.holder.namespace,
  });
  try {
    const slots = (await containerd.tasks.list()).filter(({ id }) => !id.startsWith("shim-"));
    for (const { id } of slots) await containerd.tasks.kill(id, { signalNumber: 9, all: true });
  } finally {
    containerd.close();
  }
}

const goldenOf = ({ state }: Template) => (state.status === "ready" ? state.checkpoint : "");
