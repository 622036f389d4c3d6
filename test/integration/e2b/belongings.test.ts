/** What a team has: its sandboxes in lists, its limits and keys, and nothing of another's. */
import { afterEach, describe, expect, it } from "vitest";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-belongings");
const { ask } = box;
const unknown = "a".repeat(20);

afterEach(async () => {
  for (const id of await box.onNode()) await ask("DELETE", `/sandboxes/${id}`);
});

async function create(body: object = {}, headers: Record<string, string> = {}, key = mainKey) {
  const made = await ask("POST", "/v2/sandboxes", { body: { templateID: "base", ...body }, headers, key });
  expect(made.status, JSON.stringify(made.body)).toBe(201);
  return made.body as { sandboxID: string; templateID: string; envdAccessToken: string };
}

async function detail(id: string) {
  return (await ask("GET", `/sandboxes/${id}`)).body;
}

describe("lists", () => {
  it("page through sandboxes in both orders, and count what runs", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 3; n++) ids.push((await create({ metadata: { n: String(n) } })).sandboxID);
    for (const order of ["asc", "desc"] as const) {
      const expected = order === "asc" ? ids : [...ids].reverse();
      const first = await ask("GET", `/v2/sandboxes?order=${order}&limit=2`);
      expect(first.headers["x-total-running"]).toBe("3");
      const token = String(first.headers["x-next-token"]);
      const second = await ask("GET", `/v2/sandboxes?order=${order}&limit=2&nextToken=${token}`);
      expect(second.headers).not.toHaveProperty("x-next-token");
      const found = [...first.body, ...second.body].map(({ sandboxID }) => sandboxID);
      expect(found).toEqual(expected);
      const other = order === "asc" ? "desc" : "asc";
      expect((await ask("GET", `/v2/sandboxes?order=${other}&nextToken=${token}`)).status).toBe(400);
    }
    const { startedAt, templateID } = await detail(ids[1] ?? "");
    const after = await ask("GET", `/v2/sandboxes?startedAfter=${startedAt}&order=asc`);
    expect(after.body.map(({ sandboxID }: { sandboxID: string }) => sandboxID)).toEqual(ids.slice(1));
    expect((await ask("GET", `/v2/sandboxes?template=${templateID}`)).body).toHaveLength(3);
    expect((await ask("GET", "/v2/sandboxes?template=nope")).body).toEqual([]);
    await ask("POST", `/sandboxes/${ids[0]}/pause`);
    expect((await ask("GET", "/sandboxes")).body).toHaveLength(2);
    expect((await ask("GET", "/v2/sandboxes?state=paused")).headers).not.toHaveProperty("x-total-running");
  });
});

describe("another team", () => {
  it("sees nothing, and can do nothing", async () => {
    const { sandboxID: id } = await create();
    const snapshot = (await ask("POST", `/sandboxes/${id}/snapshots`, { body: { name: "mine" } })).body
      .snapshotID;
    const { key } = await box.team();
    for (const [method, url, body] of [
      ["GET", `/sandboxes/${id}`, undefined],
      ["DELETE", `/sandboxes/${id}`, undefined],
      ["POST", `/sandboxes/${id}/pause`, {}],
      ["POST", `/sandboxes/${id}/timeout`, { timeout: 1 }],
      ["POST", `/v2/sandboxes/${id}/connect`, {}],
      ["POST", `/sandboxes/${id}/fork`, {}],
      ["POST", `/sandboxes/${id}/snapshots`, {}],
      ["GET", `/sandboxes/${id}/metrics`, undefined],
      ["DELETE", `/templates/${encodeURIComponent(snapshot)}`, undefined],
      ["POST", "/v2/sandboxes", { templateID: snapshot }],
    ] as const)
      expect(await ask(method, url, { key, body }), `${method} ${url}`).toMatchObject({ status: 404 });
    expect((await ask("GET", "/v2/sandboxes", { key })).body).toEqual([]);
    expect((await ask("GET", "/snapshots", { key })).body).toEqual([]);
    expect((await ask("GET", `/sandboxes/metrics?sandbox_ids=${id}`, { key })).body).toEqual({
      sandboxes: {},
    });
    expect((await detail(id)).state).toBe("running");
    expect((await ask("DELETE", `/templates/${encodeURIComponent(snapshot)}`)).status).toBe(204);
  });

  it("cannot change what is everybody's", async () => {
    const { key } = await box.team();
    for (const [method, url, body] of [
      ["DELETE", "/templates/base", undefined],
      ["POST", "/templates/tags", { target: "base", tags: ["mine"] }],
      ["DELETE", "/templates/tags", { name: "base", tags: ["mine"] }],
      ["POST", "/api-keys", { name: "more" }],
    ] as const)
      expect(await ask(method, url, { key, body }), url).toMatchObject({ status: 403, body: { code: 403 } });
  });
});

describe("limits of a team", () => {
  it("hold for creates, resumes and forks, with the numbers", async () => {
    const { key } = await box.team({ sandboxes: 2, cpus: 8, forksInFlight: 1 });
    const one = await create({}, {}, key);
    const two = await create({}, {}, key);
    const third = await ask("POST", "/v2/sandboxes", { body: { templateID: "base" }, key });
    expect(third).toMatchObject({ status: 429, headers: { "retry-after": "1" } });
    expect(third.body.message).toMatch(/may have 2 running sandboxes; it has 2, and 1 more/);
    expect((await ask("POST", `/sandboxes/${one.sandboxID}/fork`, { key })).status).toBe(429);
    await ask("POST", `/sandboxes/${one.sandboxID}/pause`, { key });
    const other = await create({}, {}, key);
    const resumed = await ask("POST", `/v2/sandboxes/${one.sandboxID}/connect`, { key });
    expect(resumed.status).toBe(429);
    await ask("DELETE", `/sandboxes/${other.sandboxID}`, { key });
    expect((await ask("POST", `/v2/sandboxes/${one.sandboxID}/connect`, { key })).status).toBe(201);
    expect((await ask("POST", `/sandboxes/${two.sandboxID}/fork`, { key, body: { count: 2 } })).status).toBe(
      429,
    );
    for (const { sandboxID } of [one, two]) await ask("DELETE", `/sandboxes/${sandboxID}`, { key });
  });

  it("hold when many come at once", async () => {
    const { key } = await box.team({ sandboxes: 2 });
    const body = { templateID: "base" };
    const answers = await Promise.all(
      Array.from({ length: 6 }, () => ask("POST", "/v2/sandboxes", { body, key })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([201, 201, 429, 429, 429, 429]);
    for (const id of await box.onNode()) await ask("DELETE", `/sandboxes/${id}`, { key });
  });
});

describe("templates", () => {
  it("are listed, go by tags, and are found by alias", async () => {
    const [template] = (await ask("GET", "/templates")).body;
    expect(template).toMatchObject({ names: ["base"], cpuCount: 1, memoryMB: 256, buildStatus: "ready" });
    const { templateID } = template;
    expect((await ask("GET", `/templates/${templateID}`)).body.builds).toHaveLength(1);
    expect((await ask("GET", "/templates/aliases/base")).body).toEqual({ templateID, public: true });
    const tagged = await ask("POST", "/templates/tags", { body: { target: "base", tags: ["v1", "v2"] } });
    expect(tagged).toMatchObject({ status: 201, body: { tags: ["v1", "v2"], buildID: template.buildID } });
    const tags = (await ask("GET", "/templates/base/tags")).body;
    expect(tags.map(({ tag }: { tag: string }) => tag)).toEqual(["default", "v1", "v2"]);
    expect((await create({ templateID: "base:v2" })).templateID).toBe(templateID);
    const removed = await ask("DELETE", "/templates/tags", { body: { name: "base", tags: ["v1", "v2"] } });
    expect(removed.status).toBe(204);
    expect((await ask("DELETE", "/templates/tags", { body: { name: "base", tags: ["v1"] } })).status).toBe(
      404,
    );
    expect((await ask("PATCH", "/v2/templates/base", { body: { public: true } })).body).toEqual({
      names: ["base"],
    });
    expect((await ask("PATCH", "/v2/templates/base", { body: { public: false } })).status).toBe(400);
  });
});

describe("what is known of a sandbox", () => {
  it("has metrics within seconds, and logs", async () => {
    const { sandboxID: id } = await create();
    await expect
      .poll(async () => (await ask("GET", `/sandboxes/${id}/metrics`)).body.length, { timeout: 20_000 })
      .toBeGreaterThan(0);
    const [metric] = (await ask("GET", `/sandboxes/${id}/metrics`)).body;
    expect(metric).toMatchObject({ cpuCount: 1, memTotal: 256 * 1024 * 1024 });
    for (const field of ["memUsed", "memCache", "diskUsed", "diskTotal", "timestampUnix"])
      expect(Number.isInteger(metric[field]), field).toBe(true);
    const early = await ask("GET", `/sandboxes/${id}/metrics?start=1&end=${metric.timestampUnix - 60}`);
    expect(early.body).toEqual([]);
    const newest = await ask("GET", `/sandboxes/metrics?sandbox_ids=${id},${unknown}`);
    expect(Object.keys(newest.body.sandboxes)).toEqual([id]);
    expect((await ask("GET", "/sandboxes/metrics")).status).toBe(400);
    expect((await ask("GET", `/sandboxes/${id}/logs`)).body).toEqual({ logs: [], logEntries: [] });
    expect((await ask("GET", `/v2/sandboxes/${id}/logs?direction=backward`)).body).toEqual({ logs: [] });
    expect((await ask("GET", `/v2/sandboxes/${id}/logs?limit=1001`)).status).toBe(400);
  });

  it("is the same by the id that old clients use", async () => {
    const { sandboxID: id } = await create();
    expect((await ask("GET", `/sandboxes/${id}-6532622b`)).body.sandboxID).toBe(id);
  });
});

describe("the caller's team", () => {
  it("is told, without its key", async () => {
    expect((await ask("GET", "/teams")).body).toMatchObject([{ name: "main", apiKey: "", isDefault: true }]);
    expect((await ask("GET", "/api-keys")).body).toEqual([]);
  });

  it("has keys, which are shown once", async () => {
    const made = await ask("POST", "/api-keys", { body: { name: "ci" } });
    expect(made).toMatchObject({
      status: 201,
      body: { name: "ci", key: expect.stringMatching(/^e2b_[0-9a-f]{40}$/) },
    });
    const { key, ...shown } = made.body;
    expect(shown.mask).toEqual({
      ...{ prefix: "e2b_", valueLength: 40 },
      ...{ maskedValuePrefix: key.slice(4, 6), maskedValueSuffix: key.slice(-4) },
    });
    expect((await ask("GET", "/api-keys")).body).toEqual([shown]);
    expect((await ask("DELETE", `/api-keys/${shown.id}`)).status).toBe(204);
    expect((await ask("GET", "/api-keys")).body).toEqual([]);
    expect((await ask("DELETE", "/api-keys/nope")).status).toBe(404);
    expect((await ask("POST", "/api-keys", { body: {} })).status).toBe(400);
  });
});
