import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { adminKey, serveAdmin } from "../../test/support/admin-server.js";
import { openScope, type Scope } from "../lib/scope.js";

type Method = "GET" | "POST" | "PATCH" | "DELETE";

let scope: Scope;
let server: Awaited<ReturnType<typeof serveAdmin>>;
beforeEach(async () => {
  scope = openScope();
  server = await serveAdmin(scope);
});
afterEach(() => scope[Symbol.asyncDispose]());

async function ask(line: `${Method} /${string}`, body?: unknown, headers: Record<string, string> = {}) {
  const [method, url] = line.split(" ") as [Method, string];
  const answer = await server.app.inject({
    method,
    url: `/admin/v1${url}`,
    headers: { authorization: `Bearer ${adminKey}`, ...headers },
    ...(body === undefined ? {} : { payload: body as object }),
  });
  return { status: answer.statusCode, body: answer.body === "" ? undefined : (answer.json() as unknown) };
}

const failure = (status: number, code: string) => ({
  status,
  body: { code, message: expect.stringMatching(/./) },
});

describe("the administration of teams", () => {
  it("makes, shows, lists and limits them", async () => {
    const made = await ask("POST /teams", { name: "acme", limits: { sandboxes: 3, cpus: 0.5 } });
    expect(made).toMatchObject({ status: 201, body: { name: "acme", limits: { sandboxes: 3, cpus: 0.5 } } });
    expect(await ask("GET /teams/acme")).toEqual({ status: 200, body: made.body });
    expect(await ask("GET /teams")).toEqual({ status: 200, body: [made.body] });
    const limited = await ask("PATCH /teams/acme", { limits: { cpus: null, memoryBytes: 7 } });
    expect(limited).toMatchObject({ status: 200, body: { limits: { sandboxes: 3, memoryBytes: 7 } } });
    expect((await server.teams.find("acme")).limits).toEqual({ sandboxes: 3, memoryBytes: 7 });
  });

  it("makes, lists and revokes keys, and shows no hash", async () => {
    await ask("POST /teams", { name: "acme" });
    const made = await ask("POST /teams/acme/keys", { name: "laptop" });
    expect(made).toMatchObject({ status: 201, body: { team: "acme", name: "laptop" } });
    const { key, ...rest } = made.body as { key: string; id: string };
    expect((await server.keys.authenticate(key)).name).toBe("acme");
    expect(await ask("GET /teams/acme/keys")).toEqual({ status: 200, body: [rest] });
    expect(await ask(`DELETE /teams/acme/keys/${rest.id}`)).toMatchObject({
      status: 200,
      body: { id: rest.id, revokedAt: expect.stringMatching(/Z$/) },
    });
    await expect(server.keys.authenticate(key)).rejects.toMatchObject({ code: "unauthenticated" });
    expect(await ask("POST /teams/acme/keys")).toMatchObject({ status: 201, body: { name: "" } });
  });

  it.each<[`${Method} /${string}`, unknown, number, string]>([
    ["POST /teams", { name: "acme" }, 409, "already_exists"],
    ["POST /teams", {}, 400, "invalid_argument"],
    ["POST /teams", [], 400, "invalid_argument"],
    ["POST /teams", { name: 7 }, 400, "invalid_argument"],
    ["POST /teams", { name: "No Name" }, 400, "invalid_argument"],
    ["POST /teams", { name: "x", color: "red" }, 400, "invalid_argument"],
    ["POST /teams", { name: "x", limits: { sandboxes: -1 } }, 400, "invalid_argument"],
    ["POST /teams", { name: "x", limits: { sandboxes: 1.5 } }, 400, "invalid_argument"],
    ["POST /teams", { name: "x", limits: { memoryBytes: 1e300 } }, 400, "invalid_argument"],
    ["PATCH /teams/acme", { limits: { gpus: 1 } }, 400, "invalid_argument"],
    ["PATCH /teams/acme", {}, 400, "invalid_argument"],
    ["PATCH /teams/x", { limits: {} }, 404, "not_found"],
    ["GET /teams/x", undefined, 404, "not_found"],
    ["GET /teams/%2e%2e%2f%00", undefined, 404, "not_found"],
    ["GET /teams/x/keys", undefined, 404, "not_found"],
    ["POST /teams/acme/keys", { name: "x".repeat(101) }, 400, "invalid_argument"],
    ["DELETE /teams/acme/keys/x", undefined, 404, "not_found"],
    ["DELETE /teams/acme", undefined, 404, "not_found"],
    ["DELETE /teams/acme/keys/x?dry-run=true", undefined, 400, "invalid_argument"],
    ["GET /teams?limit=1", undefined, 400, "invalid_argument"],
    ["GET /nothing", undefined, 404, "not_found"],
  ])("answers %s %j with %d", async (line, body, status, code) => {
    await server.teams.create("acme", {});
    expect(await ask(line, body)).toMatchObject(failure(status, code));
    expect((await server.teams.list()).map(({ name, limits }) => [name, limits])).toEqual([["acme", {}]]);
    expect(server.logged).toEqual([]);
  });

  it("refuses what is no JSON, or too much of it", async () => {
    const json = { "content-type": "application/json" };
    expect(await ask("POST /teams", "{", json)).toMatchObject(failure(400, "invalid_argument"));
    expect(await ask("POST /teams", "", json)).toMatchObject(failure(400, "invalid_argument"));
    expect(await ask("POST /teams", "x=1", { "content-type": "text/x" })).toMatchObject(
      failure(415, "invalid_argument"),
    );
    const huge = { name: "x".repeat(2 ** 20) };
    expect(await ask("POST /teams", huge)).toMatchObject(failure(413, "invalid_argument"));
  });

  it("wants the admin key for all, also for what is not there", async () => {
    for (const line of ["GET /teams", "POST /teams", "GET /nothing"] as const)
      for (const authorization of ["", "Bearer x", adminKey])
        expect(await ask(line, undefined, { authorization })).toMatchObject(failure(401, "unauthenticated"));
  });

  it("lets everybody in while developing", async () => {
    server = await serveAdmin(scope, { development: true });
    expect(await ask("POST /teams", { name: "acme" }, { authorization: "" })).toMatchObject({ status: 201 });
  });

  it("says so, and logs it, when the store is gone", async () => {
    await server.store[Symbol.asyncDispose]();
    const answer = await server.app.inject({
      url: "/admin/v1/teams",
      headers: { authorization: `Bearer ${adminKey}` },
    });
    expect([answer.statusCode, answer.headers["retry-after"]]).toEqual([503, "1"]);
  });
});
