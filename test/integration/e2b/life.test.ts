/** Sandboxes over time: what is done together, what ends when, what a restart and a lost answer leave. */
import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, it } from "vitest";
import { requestLabel } from "../../../src/fleet/labels.js";
import { becomes } from "../../support/box.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-life");
const { ask } = box;

afterEach(async () => {
  for (const { body } of [await ask("GET", "/v2/sandboxes")])
    for (const { sandboxID } of body) await ask("DELETE", `/sandboxes/${sandboxID}`);
  await becomes("an empty node", async () => (await box.onNode()).length === 0, 30_000);
});

async function create(body: object = {}, headers: Record<string, string> = {}): Promise<string> {
  const made = await ask("POST", "/v2/sandboxes", { body: { templateID: "base", ...body }, headers });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body.sandboxID;
}

const state = async (id: string) => (await ask("GET", `/sandboxes/${id}`)).body.state as string | undefined;
const statusOf = async (id: string) => (await ask("GET", `/sandboxes/${id}`)).status;
const post = (id: string, verb: string, body: object = {}) =>
  ask("POST", `/sandboxes/${id}/${verb}`, { body });
const connect = (id: string, body: object = {}) => ask("POST", `/v2/sandboxes/${id}/connect`, { body });

describe("a network", () => {
  it("is changed in part, and says that whose traffic is public cannot change", async () => {
    const id = await create({ network: { httpsPorts: [8443] } });
    const change = (body: object) => ask("PUT", `/sandboxes/${id}/network`, { body });
    expect((await change({ allow_internet_access: false, allowPublicTraffic: true })).status).toBe(204);
    expect(await change({ allowPublicTraffic: false })).toMatchObject({
      status: 400,
      body: { message: expect.stringMatching(/allowPublicTraffic: is true since the sandbox was made/) },
    });
    expect((await ask("GET", `/sandboxes/${id}`)).body).toMatchObject({
      allowInternetAccess: false,
      network: { httpsPorts: [8443] },
    });
  });
});

describe("a time-out", () => {
  it("pauses where that was asked for, and a connect brings it back", async () => {
    const id = await create({ autoPause: true, timeout: 1 });
    await becomes("paused", async () => (await state(id)) === "paused");
    expect((await connect(id, { timeout: 60 })).status).toBe(201);
    expect(await state(id)).toBe("running");
  });

  it("is what was set last, whether that is later or sooner", async () => {
    const id = await create({ timeout: 2 });
    expect((await post(id, "timeout", { timeout: 60 })).status).toBe(204);
    const other = await create({ timeout: 60 });
    const sooner = await post(other, "timeout", { timeout: 0 });
    expect(sooner.status).toBe(204);
    await becomes("gone", async () => (await statusOf(other)) === 404);
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    expect(await state(id)).toBe("running");
  });

  it("is only extended by connect and refreshes", async () => {
    const id = await create({ timeout: 60 });
    const end = async () => Date.parse((await ask("GET", `/sandboxes/${id}`)).body.endAt);
    const before = await end();
    expect((await connect(id, { timeout: 10 })).status).toBe(200);
    expect((await post(id, "refreshes", { duration: 10 })).status).toBe(204);
    expect(await end()).toBe(before);
    await post(id, "connect", { timeout: 100 });
    expect(await end()).toBeGreaterThan(before + 30_000);
    expect((await post(id, "connect")).status).toBe(400);
  });

  it("that passes while no registry runs is carried out by the next one", async () => {
    const [short, long] = [await create({ timeout: 1 }), await create({ timeout: 60 })];
    const { endAt } = (await ask("GET", `/sandboxes/${long}`)).body;
    await box.restart(() => new Promise((resolve) => setTimeout(resolve, 1_200)));
    await becomes("gone", async () => (await statusOf(short)) === 404);
    expect((await ask("GET", `/sandboxes/${long}`)).body).toMatchObject({ endAt, state: "running" });
    await becomes("only the other one left", async () => (await box.onNode()).join() === long);
  }, 60_000);
});

describe("pause and resume", () => {
  it("say what state the sandbox is in when they cannot", async () => {
    const id = await create();
    expect((await post(id, "resume")).status).toBe(409);
    expect((await post(id, "pause")).status).toBe(204);
    for (const verb of ["pause", "fork", "snapshots", "refreshes"]) {
      const answer = await post(id, verb);
      expect(answer.status, verb).toBe(409);
      expect(answer.body.message, verb).toMatch(/it is paused/);
    }
    expect((await post(id, "timeout", { timeout: 5 })).status).toBe(409);
    expect((await post(id, "resume", { timeout: 60 })).status).toBe(201);
    expect(await state(id)).toBe("running");
  });

  it("keep the files alone where they are asked to, also when the time is up", async () => {
    const [asked, due] = [
      await create(),
      await create({ timeout: 2, autoPause: true, autoPauseMemory: false }),
    ];
    const { envdAccessToken } = (await ask("GET", `/sandboxes/${asked}`)).body;
    expect((await post(asked, "pause", { memory: false })).status).toBe(204);
    await becomes("paused", async () => (await state(due)) === "paused");
    for (const id of [asked, due]) {
      expect(await box.test.node.sandboxes.get(id)).toMatchObject({ state: { status: "paused" } });
      expect((await box.test.node.sandboxes.get(id)).state).not.toHaveProperty("checkpoint");
      expect(await connect(id)).toMatchObject({ status: 201 });
      expect(await state(id)).toBe("running");
    }
    expect((await ask("GET", `/sandboxes/${asked}`)).body).toMatchObject({ envdAccessToken });
  });

  it("start anew where a connect wants that, whatever was kept", async () => {
    const id = await create();
    const boot = async () => (await box.test.node.sandboxes.get(id)).spec.bootId;
    const before = await boot();
    await post(id, "pause");
    expect((await connect(id, { timeout: 60, memory: false })).status).toBe(201);
    expect(await boot()).not.toBe(before);
  });

  it("wait for each other, and are done once", async () => {
    const id = await create();
    const pauses = await Promise.all([post(id, "pause"), post(id, "pause"), post(id, "pause")]);
    expect(pauses.map(({ status }) => status).sort()).toEqual([204, 409, 409]);
    const connects = await Promise.all([connect(id), connect(id), connect(id)]);
    expect(connects.map(({ status }) => status).sort()).toEqual([200, 200, 201]);
    const pausing = post(id, "pause");
    await becomes("on its way", async () => (await state(id)) === "paused");
    expect((await connect(id)).status).toBe(201);
    expect((await pausing).status).toBe(204);
    expect(await state(id)).toBe("running");
  });
});

describe("kill", () => {
  it("wins over a pause that is under way", async () => {
    const id = await create();
    const pausing = post(id, "pause");
    await becomes("on its way", async () => (await state(id)) === "paused");
    expect((await ask("DELETE", `/sandboxes/${id}`)).status).toBe(204);
    expect([204, 404, 409]).toContain((await pausing).status);
    expect(await statusOf(id)).toBe(404);
    expect(await box.onNode()).toEqual([]);
  });

  it("is done once, however often it is asked for", async () => {
    const id = await create();
    const kills = await Promise.all([1, 2, 3].map(() => ask("DELETE", `/sandboxes/${id}`)));
    expect(kills.map(({ status }) => status).sort()).toEqual([204, 404, 404]);
  });
});

describe("a request with a key", () => {
  const headers = { "idempotency-key": "k-create" };

  it("makes one sandbox, even when it comes twice at once or after a restart", async () => {
    const [one, two] = await Promise.all([create({}, headers), create({}, headers)]);
    expect(two).toBe(one);
    await box.restart();
    expect(await create({}, headers)).toBe(one);
    expect(await box.onNode()).toEqual([one]);
    const other = await ask("POST", "/v2/sandboxes", { body: { templateID: "base", timeout: 7 }, headers });
    expect(other).toMatchObject({ status: 409, body: { message: expect.stringMatching(/another request/) } });
    await ask("DELETE", `/sandboxes/${one}`);
    const gone = await ask("POST", "/v2/sandboxes", { body: { templateID: "base" }, headers });
    expect(gone).toMatchObject({ status: 409, body: { message: expect.stringMatching(/is gone/) } });
  });

  it("forks once, whether or not the registry was started again meanwhile", async () => {
    const id = await create();
    const fork = () =>
      ask("POST", `/sandboxes/${id}/fork`, { body: { count: 2 }, headers: { "idempotency-key": "k-fork" } });
    const [one, two] = await Promise.all([fork(), fork()]);
    expect(one.status).toBe(201);
    expect(two.body).toEqual(one.body);
    await box.restart();
    expect((await fork()).body).toEqual(one.body);
    expect(await box.onNode()).toHaveLength(3);
  });

  it("is refused with a key that is too long", async () => {
    const long = { "idempotency-key": "k".repeat(256) };
    expect((await ask("POST", "/v2/sandboxes", { body: { templateID: "base" }, headers: long })).status).toBe(
      400,
    );
  });
});

describe("fork", () => {
  it.each([0, -1, 101, 1.5])("refuses a count of %s", async (count) => {
    const id = await create();
    expect((await post(id, "fork", { count })).status).toBe(400);
  });

  it("gives each clone its own token", async () => {
    const id = await create();
    const { body } = await post(id, "fork", { count: 2, timeout: 60 });
    const tokens = body.map(
      ({ sandbox }: { sandbox: { envdAccessToken: string } }) => sandbox.envdAccessToken,
    );
    expect(new Set(tokens).size).toBe(2);
    expect(tokens).not.toContain((await ask("GET", `/sandboxes/${id}`)).body.envdAccessToken);
  });
});

describe("a client that goes away", () => {
  it("leaves no sandbox", async () => {
    const { status, body } = await ask("GET", "/v2/sandboxes");
    expect({ status, body }).toEqual({ status: 200, body: [] });
    for (const waitMs of [5, 30, 60, 90]) await hangUp("/v2/sandboxes", { templateID: "base" }, waitMs);
    await becomes("an empty node", async () => (await box.onNode()).length === 0, 20_000);
    expect((await ask("GET", "/v2/sandboxes")).body).toEqual([]);
  });

  it("leaves no clone, and its source runs on", async () => {
    const id = await create();
    for (const waitMs of [5, 150]) await hangUp(`/sandboxes/${id}/fork`, { count: 4 }, waitMs);
    await becomes("the source alone", async () => (await box.onNode()).join() === id, 20_000);
    expect(await state(id)).toBe("running");
    expect((await ask("GET", "/v2/sandboxes")).body).toHaveLength(1);
  });

  /** Resolves once the socket is closed, whether or not the answer came first. */
  function hangUp(path: string, body: object, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const asking = httpRequest(`${box.url}${path}`, {
        method: "POST",
        headers: { "x-api-key": mainKey, "content-type": "application/json" },
      });
      asking.on("error", () => {});
      asking.on("response", async (response) => {
        const answer = JSON.parse(Buffer.concat(await response.toArray()).toString());
        for (const made of [answer].flat())
          await ask("DELETE", `/sandboxes/${(made.sandbox ?? made).sandboxID}`);
      });
      asking.on("close", resolve);
      asking.end(JSON.stringify(body));
      setTimeout(() => asking.destroy(), waitMs);
    });
  }
});

describe("what records and nodes disagree about", () => {
  it("is put right: one that ended by itself is gone", async () => {
    const id = await create();
    await box.test.node.sandboxes.stop(id, { graceMs: 100 }, AbortSignal.timeout(10_000));
    await becomes("gone", async () => (await statusOf(id)) === 404);
    await becomes("an empty node", async () => (await box.onNode()).length === 0);
  });

  it("is put right: one that an operator paused can be connected to", async () => {
    const id = await create();
    await box.test.node.sandboxes.pause(id, AbortSignal.timeout(20_000));
    await becomes("paused", async () => (await state(id)) === "paused");
    expect((await connect(id)).status).toBe(201);
  });

  it("is put right: one of which an operator kept the files alone is told from others by restarts", async () => {
    const id = await create();
    await box.test.node.sandboxes.pauseWithoutMemory(id, AbortSignal.timeout(20_000));
    await becomes("paused", async () => (await state(id)) === "paused");
    await box.restart();
    expect((await connect(id)).status).toBe(201);
  });

  it("is put right: one whose record was never written is deleted after a while, others are left alone", async () => {
    const source = { kind: "template", template: "base" } as const;
    const signal = AbortSignal.timeout(20_000);
    const labels = { [requestLabel]: "nobody-waits" };
    const orphan = await box.test.node.sandboxes.create({ source, labels, env: {} }, signal);
    const foreign = await box.test.node.sandboxes.create({ source, labels: {}, env: {} }, signal);
    await becomes("reaped", async () => !(await box.onNode()).includes(orphan.id), 30_000);
    expect(await box.onNode()).toEqual([foreign.id]);
    await box.test.node.sandboxes.delete(foreign.id, { force: true }, signal);
  }, 60_000);

  it("is put right: a pause that was cut off", async () => {
    const id = await create();
    await box.store.sandboxes.update(id, (record) => ({ ...record, state: { status: "pausing" } }));
    await box.restart();
    await becomes("running", async () => (await state(id)) === "running");
    expect((await post(id, "pause")).status).toBe(204);
  }, 60_000);

  it("is put right after the registry was away", async () => {
    const [kept, ended] = [await create(), await create()];
    await box.restart(async () => {
      await box.test.node.sandboxes.delete(ended, { force: true }, AbortSignal.timeout(10_000));
    });
    await becomes("forgotten", async () => (await statusOf(ended)) === 404, 30_000);
    expect(await state(kept)).toBe("running");
  }, 60_000);
});

describe("a node that takes no work", () => {
  it("is not asked, and the client is told when to come again", async () => {
    await box.nodes.cordon(box.nodeId, true);
    const answer = await ask("POST", "/v2/sandboxes", { body: { templateID: "base" } });
    await box.nodes.cordon(box.nodeId, false);
    expect(answer).toMatchObject({ status: 503, headers: { "retry-after": "1" }, body: { code: 503 } });
    expect(answer.body.message).toMatch(/no node has room for template base/);
  });

  it("is waited for while it may have room again", async () => {
    await box.nodes.cordon(box.nodeId, true);
    const asked = ask("POST", "/v2/sandboxes", { body: { templateID: "base" } });
    setTimeout(() => void box.nodes.cordon(box.nodeId, false), 500);
    expect((await asked).status).toBe(201);
  });
});

describe("snapshots", () => {
  it("whose sandboxes live on keep their checkpoint, and give it back", async () => {
    const id = await create();
    const { snapshotID } = (await post(id, "snapshots", { name: "once" })).body;
    const copy = await create({ templateID: snapshotID });
    const again = (await post(id, "snapshots", { name: "once" })).body;
    expect(again.snapshotID).toBe(snapshotID);
    expect((await ask("GET", "/snapshots?name=once")).body).toHaveLength(1);
    for (const name of ["none", "other/once", "once:v1"])
      expect((await ask("GET", `/snapshots?name=${name}`)).body, name).toEqual([]);
    for (const name of ["main/once", "Once:default"])
      expect((await ask("GET", `/snapshots?name=${name}`)).body, name).toHaveLength(1);
    const paths = (await ask("GET", "/snapshots")).body.map((one: { snapshotID: string }) => one.snapshotID);
    for (const path of paths)
      expect((await ask("DELETE", `/templates/${encodeURIComponent(path)}`)).status).toBe(204);
    expect((await ask("GET", "/snapshots")).body).toEqual([]);
    expect(await state(copy)).toBe("running");
    await ask("DELETE", `/sandboxes/${copy}`);
    const checkpoints = () => box.test.node.checkpoints.list({ all: false });
    await becomes("no checkpoint left", async () => (await checkpoints()).length === 0, 30_000);
  }, 60_000);

  it.each(["other/x", "a b", "x:v1", "-"])("refuse the name %j", async (name) => {
    const id = await create();
    expect((await post(id, "snapshots", { name })).status).toBe(400);
  });
});
