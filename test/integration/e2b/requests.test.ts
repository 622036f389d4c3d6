/** What every route takes and gives, and what bad input gets. */
import { randomBytes } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-requests");
const { ask } = box;
const unknown = "a".repeat(20);

afterEach(async () => {
  for (const id of await box.onNode()) await ask("DELETE", `/sandboxes/${id}`);
});

async function detail(id: string) {
  return (await ask("GET", `/sandboxes/${id}`)).body;
}

/** Seconds that a sandbox has in all. */
async function lifetime(id: string) {
  const { startedAt, endAt } = await detail(id);
  return (Date.parse(endAt) - Date.parse(startedAt)) / 1000;
}

describe("both generations of create", () => {
  it("have their own defaults", async () => {
    const v1 = await ask("POST", "/sandboxes", { body: { templateID: "base" } });
    const v2 = await ask("POST", "/v2/sandboxes", { body: { templateID: "base" } });
    expect([v1.status, v2.status]).toEqual([201, 201]);
    expect(v1.body).not.toHaveProperty("envdAccessToken");
    expect(v2.body.envdAccessToken).toMatch(/^[0-9a-f]{64}$/);
    expect(await lifetime(v1.body.sandboxID)).toBe(15);
    expect(await lifetime(v2.body.sandboxID)).toBe(300);
    const secure = await ask("POST", "/sandboxes", {
      body: { templateID: "base", secure: true, timeout: 20 },
    });
    expect(secure.body.envdAccessToken).toMatch(/^[0-9a-f]{64}$/);
    expect(await lifetime(secure.body.sandboxID)).toBe(20);
    expect(v2.body).toMatchObject({
      ...{ alias: "base", envdVersion: "0.6.13", trafficAccessToken: null, domain: null },
    });
    expect(v2.body.sandboxID).toMatch(/^[a-z0-9]+$/);
  });

  it("take every option that is supported, and fields that nobody knows", async () => {
    const made = await ask("POST", "/v2/sandboxes", {
      body: {
        ...{
          templateID: "base:default",
          timeout: 60,
          metadata: { a: "b" },
          envVars: { A: "1" },
          surprise: [1],
        },
        ...{ allow_internet_access: false, autoPause: true, autoResume: { enabled: true }, mcp: { x: {} } },
        ...{
          iam: { tokens: {} },
          volumeMounts: [],
          network: { allowPublicTraffic: false, httpsPorts: [8443] },
        },
      },
    });
    expect(made.status).toBe(201);
    expect(made.body.trafficAccessToken).toMatch(/^[0-9a-f]{64}$/);
    expect(await detail(made.body.sandboxID)).toMatchObject({
      ...{ metadata: { a: "b" }, allowInternetAccess: false, volumeMounts: [], state: "running" },
      lifecycle: { autoResume: true, onTimeout: "pause" },
      network: { allowPublicTraffic: false, httpsPorts: [8443] },
    });
    const { spec } = await box.test.node.sandboxes.get(made.body.sandboxID);
    expect(spec.env["A"]).toBe("1");
  });
});

describe("a create is refused with", () => {
  const base = { templateID: "base" };
  it.each<[string, object, number, RegExp]>([
    ["no template", {}, 400, /templateID/],
    ["a template that is no string", { templateID: 7 }, 400, /templateID/],
    ["a template's name that cannot be", { templateID: "../../etc" }, 400, /cannot be the name/],
    ["an unknown template", { templateID: "nope" }, 404, /template "nope" not found/],
    ["an unknown tag", { templateID: "base:v9" }, 404, /not found/],
    ["another team's namespace", { templateID: "other/base" }, 404, /not found/],
    ["a timeout of 0", { ...base, timeout: 0 }, 400, /Timeout must be greater than 0/],
    ["a negative timeout", { ...base, timeout: -1 }, 400, /Timeout must be greater than 0/],
    ["a broken timeout", { ...base, timeout: 1.5 }, 400, /timeout/],
    ["a timeout beyond the limit", { ...base, timeout: 3601 }, 400, /cannot be greater than 3600/],
    ["a timeout beyond all numbers", { ...base, timeout: 1e300 }, 400, /timeout/],
    ["metadata that is no map", { ...base, metadata: [1] }, 400, /metadata/],
    ["metadata of numbers", { ...base, metadata: { a: 1 } }, 400, /metadata\.a/],
    ["metadata that is too long", { ...base, metadata: { a: "x".repeat(1025) } }, 400, /metadata\.a/],
    ["an empty variable name", { ...base, envVars: { "": "x" } }, 400, /envVars/],
    ["a variable that no process can have", { ...base, envVars: { "A=B": "x" } }, 400, /environment/],
    [
      "rules for what goes out",
      { ...base, network: { denyOut: ["0.0.0.0/0"] } },
      400,
      /denyOut.*not supported/,
    ],
    ["allowed destinations", { ...base, network: { allowOut: ["8.8.8.8"] } }, 400, /allowOut.*not supported/],
    ["rules by domain", { ...base, network: { rules: { "a.b": [] } } }, 400, /rules.*not supported/],
    [
      "an egress proxy",
      { ...base, network: { egressProxy: { address: "a" } } },
      400,
      /egressProxy.*not supp/,
    ],
    ["a mask that is no host", { ...base, network: { maskRequestHost: "a b" } }, 400, /maskRequestHost/],
    ["volumes", { ...base, volumeMounts: [{ name: "a", path: "/a" }] }, 400, /volumes are not supported/],
    ["tokens for workloads", { ...base, iam: { tokens: { a: {} } } }, 400, /iam.*not supported/],
    ["files that are kept of what is killed", { ...base, autoPauseMemory: false }, 400, /autoPauseMemory/],
    [
      "traffic that wakes what kept no memory",
      { ...base, autoPause: true, autoPauseMemory: false, autoResume: { enabled: true } },
      400,
      /autoResume/,
    ],
    ["a resume of what is killed", { ...base, autoResume: { enabled: true } }, 400, /autoResume/],
  ])("%s", async (_name, body, status, message) => {
    for (const url of ["/sandboxes", "/v2/sandboxes"]) {
      const answer = await ask("POST", url, { body });
      expect(answer).toMatchObject({
        status,
        body: { code: status, message: expect.stringMatching(message) },
      });
    }
    expect(await box.onNode()).toEqual([]);
  });

  it("private traffic without a token", async () => {
    const body = { ...base, network: { allowPublicTraffic: false } };
    expect(await ask("POST", "/sandboxes", { body })).toMatchObject({ status: 400 });
  });
});

it("times that cannot be are refused by whatever takes one, and the sandbox keeps its own", async () => {
  const { sandboxID: id } = (await ask("POST", "/sandboxes", { body: { templateID: "base", timeout: 60 } }))
    .body;
  const { endAt } = await detail(id);
  const times = [-1, 1.5, 3601, 1e300, "60", null];
  for (const path of [`/sandboxes/${id}/timeout`, `/sandboxes/${id}/connect`, `/v2/sandboxes/${id}/connect`])
    for (const timeout of times)
      expect(await ask("POST", path, { body: { timeout } }), `${path} ${timeout}`).toMatchObject({
        ...{ status: 400, body: { code: 400, message: expect.stringMatching(/timeout/i) } },
      });
  for (const duration of times)
    expect(
      await ask("POST", `/sandboxes/${id}/refreshes`, { body: { duration } }),
      `${duration}`,
    ).toMatchObject({ status: 400, body: { code: 400 } });
  expect((await detail(id)).endAt).toBe(endAt);
  expect((await ask("DELETE", `/sandboxes/${id}`)).status).toBe(204);
  expect((await ask("POST", `/sandboxes/${id}/fork`, { body: {} })).status).toBe(404);
});

describe("errors", () => {
  const headers = { "x-api-key": mainKey, "content-type": "application/json" };
  const inject = async (payload: string | Buffer, more: Record<string, string> = {}) =>
    box.app.inject({ method: "POST", url: "/v2/sandboxes", payload, headers: { ...headers, ...more } });

  it.each([
    ["malformed JSON", '{"templateID":', 400],
    ["an array", "[]", 400],
    ["a string", '"base"', 400],
    ["null", "null", 400],
    ["nothing", "", 400],
    ["bytes", randomBytes(64), 400],
    ["a megabyte and more", JSON.stringify({ templateID: "x".repeat(1024 * 1024) }), 413],
  ])("%s is refused in E2B's shape", async (_name, payload, status) => {
    const answer = await inject(payload);
    expect(answer.statusCode).toBe(status);
    expect(answer.json()).toMatchObject({ code: status, message: expect.stringMatching(/\w/) });
  });

  it("do not let a body change what objects are", async () => {
    const answer = await inject(
      '{"templateID":"nope","__proto__":{"polluted":1},"constructor":{"prototype":{}}}',
    );
    expect(answer.statusCode).toBe(404);
    expect({}).not.toHaveProperty("polluted");
  });

  it("name other media types, methods and paths that do not exist", async () => {
    expect((await inject("a=b", { "content-type": "text/plain" })).json()).toMatchObject({ code: 415 });
    expect(await ask("PUT", "/v2/sandboxes")).toMatchObject({ status: 405, body: { code: 405 } });
    expect((await ask("PATCH", `/sandboxes/${unknown}`)).headers["allow"]).toBe("GET, DELETE");
    expect(await ask("GET", "/nothing/here?x=1")).toMatchObject({
      ...{ status: 404, body: { code: 404, message: "there is no GET /nothing/here" } },
    });
  });

  it("ask for a key before anything else", async () => {
    for (const [method, url] of [
      ["GET", "/v2/sandboxes"],
      ["POST", "/sandboxes"],
      ["DELETE", `/sandboxes/${unknown}`],
      ["GET", "/templates"],
      ["POST", "/v3/templates"],
    ] as const)
      for (const key of ["", "e2b_00", "x".repeat(10_000)])
        expect(await ask(method, url, { key }), `${method} ${url}`).toMatchObject({
          ...{ status: 401, body: { code: 401 } },
        });
    expect((await box.app.inject({ url: "/health" })).statusCode).toBe(204);
  });

  it.each([
    ["GET", `/sandboxes/${unknown}`],
    ["GET", "/sandboxes/nonexistingsandbox"],
    ["DELETE", `/sandboxes/${unknown}`],
    ["POST", `/sandboxes/${unknown}/pause`],
    ["POST", `/sandboxes/${unknown}/resume`],
    ["POST", `/v2/sandboxes/${unknown}/connect`],
    ["POST", `/sandboxes/${unknown}/refreshes`],
    ["POST", `/sandboxes/${unknown}/snapshots`],
    ["POST", `/sandboxes/${unknown}/fork`],
    ["PUT", `/sandboxes/${unknown}/network`],
    ["GET", `/sandboxes/${unknown}/metrics`],
    ["GET", `/sandboxes/${unknown}/logs`],
    ["GET", `/v2/sandboxes/${unknown}/logs`],
    ["GET", "/templates/nope"],
    ["GET", "/templates/nope/tags"],
    ["GET", "/templates/aliases/nope"],
    ["DELETE", "/templates/main%2Fnope%3Adefault"],
  ] as const)("%s %s is not found", async (method, url) => {
    expect(await ask(method, url)).toMatchObject({ status: 404, body: { code: 404 } });
  });

  it.each([
    ["POST", "/v3/templates", /built/],
    ["POST", "/v2/templates/x/builds/y", /built/],
    ["GET", "/templates/x/builds/y/status", /built/],
    ["GET", "/volumes", /volumes/],
    ["GET", "/secrets", /secrets/],
  ] as const)("%s %s says that it is not served", async (method, url, message) => {
    const answer = await ask(method, url);
    expect(answer).toMatchObject({
      status: 501,
      body: { code: 501, message: expect.stringMatching(message) },
    });
  });

  it.each([
    ["limit=0", /limit/],
    ["limit=101", /limit/],
    ["limit=x", /limit/],
    ["state=dead", /state/],
    ["order=up", /order/],
    ["startedAfter=yesterday", /startedAfter/],
    ["template=base:v1", /template/],
    ["metadata=%25E0%25A4%25A", /metadata/],
    ["nextToken=abc", /nextToken/],
    [`nextToken=${Buffer.from(`sandboxes oldest 1 ${unknown}`).toString("base64url")}`, /nextToken/],
    [`nextToken=${Buffer.from(`snapshots 1 ${unknown}`).toString("base64url")}`, /nextToken/],
  ])("a list refuses ?%s", async (query, message) => {
    const answer = await ask("GET", `/v2/sandboxes?${query}`);
    expect(answer).toMatchObject({
      status: 400,
      body: { code: 400, message: expect.stringMatching(message) },
    });
  });
});

describe("browsers", () => {
  it("may ask, and see what they need", async () => {
    const preflight = await box.app.inject({
      method: "OPTIONS",
      url: "/v2/sandboxes",
      headers: { origin: "https://x.example", "access-control-request-headers": "x-api-key" },
    });
    expect(preflight.statusCode).toBe(204);
    expect(preflight.headers).toMatchObject({
      "access-control-allow-origin": "*",
      "access-control-allow-headers": "x-api-key",
    });
    const list = await ask("GET", "/v2/sandboxes");
    expect(list.headers["access-control-expose-headers"]).toMatch(/X-Next-Token/);
  });
});
