import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fastify } from "fastify";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { adminKey, serveAdmin } from "../../test/support/admin-server.js";
import { runCli } from "../../test/support/cli.js";
import { openScope, type Scope } from "../lib/scope.js";
import { shapes } from "./shapes.js";

let scope: Scope;
let directory: string;
beforeEach(() => {
  scope = openScope();
  directory = mkdtempSync(join(tmpdir(), "ramet-registry-cli-"));
  scope.defer(() => rmSync(directory, { recursive: true }));
});
afterEach(() => scope[Symbol.asyncDispose]());

async function serve() {
  const server = await serveAdmin(scope);
  const url = await server.app.listen({ host: "127.0.0.1", port: 0 });
  const env = { RAMET_REGISTRY: url, RAMET_ADMIN_KEY: adminKey };
  return { ...server, url, ramet: (words: readonly string[]) => runCli(words, { env }) };
}

/** Something that answers, and is no registry. */
async function serveOther(status: number, text: string): Promise<string> {
  const other = createServer((_request, response) => response.writeHead(status).end(text));
  await new Promise<void>((done) => other.listen(0, "127.0.0.1", done));
  scope.defer(() => new Promise((done) => other.close(done)));
  return `http://127.0.0.1:${(other.address() as AddressInfo).port}`;
}

describe("team", () => {
  it("create, ls and limit", async () => {
    const { ramet } = await serve();
    const made = await ramet(["team", "create", "acme", "--sandboxes", "3", "--memory", "64g", "--json"]);
    expect(shapes.team.parse(JSON.parse(made.stdout))).toMatchObject({
      name: "acme",
      limits: { sandboxes: 3, memoryBytes: 64 * 2 ** 30 },
    });
    const limited = await ramet([
      "team",
      "limit",
      "acme",
      "--sandboxes",
      "none",
      "--cpus",
      "1.5",
      "--forks",
      "0",
    ]);
    expect(limited.stderr).toBe("");
    expect(limited.stdout).toBe("acme  sandboxes none, cpus 1.5, memory 64.0 GiB, forks 0\n");
    const listed = JSON.parse((await ramet(["team", "ls", "--json"])).stdout) as unknown[];
    expect(listed.map((it) => shapes.team.parse(it).limits)).toEqual([
      { cpus: 1.5, memoryBytes: 64 * 2 ** 30, forksInFlight: 0 },
    ]);
    expect((await ramet(["team", "ls"])).stdout).toMatch(/^acme +none +1\.5 +64\.0 GiB +0 /m);
  });

  it("limit wants one to be named", async () => {
    const { ramet } = await serve();
    expect(await ramet(["team", "limit", "acme"])).toMatchObject({ exitCode: 2, stdout: "" });
  });
});

describe("key", () => {
  it("create prints the key alone, ls its mask, and revoke ends it", async () => {
    const { ramet, keys } = await serve();
    await ramet(["team", "create", "acme"]);
    const made = await ramet(["key", "create", "acme", "--name", "laptop"]);
    const key = made.stdout.trim();
    expect((await keys.authenticate(key)).name).toBe("acme");
    expect(made.stderr).toContain("not shown again");
    const [listed] = JSON.parse((await ramet(["key", "ls", "acme", "--json"])).stdout) as unknown[];
    const { id } = shapes.apiKey.parse(listed);
    expect((await ramet(["key", "ls", "acme"])).stdout).toMatch(/laptop +e2b_..….... /);
    expect(await ramet(["key", "revoke", "acme", "x", id])).toMatchObject({ exitCode: 3, stdout: `${id}\n` });
    await expect(keys.authenticate(key)).rejects.toMatchObject({ code: "unauthenticated" });
    const again = await ramet(["key", "create", "acme", "--json"]);
    expect(shapes.apiKeyCreated.parse(JSON.parse(again.stdout)).key).toMatch(/^e2b_/);
  });
});

describe("the way to a registry", () => {
  it("brings its errors in its words", async () => {
    const { ramet } = await serve();
    const { exitCode, stderr } = await ramet(["key", "ls", "nobody"]);
    expect({ exitCode, stderr }).toEqual({
      exitCode: 3,
      stderr: 'ramet: there is no team "nobody"\nhint: see `ramet team ls`\n',
    });
    const odd = await ramet(["key", "ls", "../keys?x#y%"]);
    expect(odd).toMatchObject({ exitCode: 3, stderr: expect.stringContaining("../keys?x#y%") });
  });

  it("takes the admin key from a file or the environment, never from an argument", async () => {
    const { url } = await serve();
    const file = join(directory, "key");
    writeFileSync(file, `${adminKey}\n`);
    const words = ["team", "ls", "--registry", url];
    expect((await runCli([...words, "--admin-key-file", file])).exitCode).toBe(0);
    expect((await runCli(["--registry", url, "--admin-key-file", file, "team", "ls"])).exitCode).toBe(0);
    const wrong = { env: { RAMET_ADMIN_KEY: "rma_wrong" } };
    expect((await runCli([...words, "--admin-key-file", file], wrong)).exitCode).toBe(0);
    expect(await runCli(words, wrong)).toMatchObject({ exitCode: 8, stdout: "" });
    expect((await runCli([...words, "--admin-key", adminKey])).exitCode).toBe(2);
    const missing = await runCli([...words, "--admin-key-file", join(directory, "none")]);
    expect(missing).toMatchObject({
      exitCode: 2,
      stderr: expect.stringContaining("cannot read the admin key"),
    });
  });

  it.each([
    ["nothing listens", "http://127.0.0.1:1", 7, "cannot reach the registry at http://127.0.0.1:1"],
    ["it is no address", "127.0.0.1:7070", 2, "is not the address of a registry"],
    ["it is another kind of address", "file:///etc/passwd", 2, "is not the address of a registry"],
    ["the key would go in clear", "http://ramet.example:7070", 4, "in clear"],
  ])("ends in words when %s", async (_why, url, exitCode, words) => {
    const result = await runCli(["team", "ls", "--registry", url], { env: { RAMET_ADMIN_KEY: adminKey } });
    expect(result).toMatchObject({ exitCode, stderr: expect.stringContaining(words) });
  });

  it.each([
    [200, "<html>hello</html>", 1],
    [200, '[{"name":"x"}]', 1],
    [404, "no such page", 4],
    [502, '{"code":"teapot","message":"x"}', 7],
  ])("ends in words when something else answers %d %s", async (status, text, exitCode) => {
    const url = await serveOther(status, text);
    const result = await runCli(["team", "ls", "--registry", url], { env: { RAMET_ADMIN_KEY: "x" } });
    expect(result).toMatchObject({ exitCode, stdout: "" });
  });

  it("gives up after --timeout, and at once when interrupted", async () => {
    const silent = createServer(() => {});
    await new Promise<void>((done) => silent.listen(0, "127.0.0.1", done));
    scope.defer(() => {
      silent.closeAllConnections();
      silent.close();
    });
    const url = `http://127.0.0.1:${(silent.address() as AddressInfo).port}`;
    const words = ["team", "ls", "--registry", url];
    expect((await runCli([...words, "--timeout", "100ms"])).exitCode).toBe(124);
    let interrupt = () => {};
    silent.once("request", () => interrupt());
    const onStart = (signal: (name: "SIGINT") => void) => {
      interrupt = () => signal("SIGINT");
    };
    expect((await runCli(words, { onStart })).exitCode).toBe(130);
  });

  it("is one way or the agent's socket the other, for commands on sandboxes", async () => {
    const result = await runCli(["--registry", "http://127.0.0.1:7070", "--socket", "/nowhere", "ps"]);
    expect(result).toMatchObject({ exitCode: 2, stderr: expect.stringContaining("exclude each other") });
  });

  it.each<[string, object, RegExp]>([
    ["is turned off", {}, /has the nodes' API turned off/],
    [
      "nobody listens",
      { api: { host: "127.0.0.1", port: 1, tls: false } },
      /lost the connection to the registry at 127.0.0.1:1: connect ECONNREFUSED/,
    ],
  ])("to sandboxes is refused in words where %s", async (_what, more, words) => {
    await using scope = openScope();
    const app = scope.use(fastify());
    app.get("/", async () => ({ name: "ramet registry", ...more }));
    const url = await app.listen({ host: "127.0.0.1", port: 0 });
    const result = await runCli(["--registry", url, "--timeout", "5s", "ps"]);
    expect(result).toMatchObject({ stderr: expect.stringMatching(words) });
    expect(result.exitCode).not.toBe(0);
  });
});

describe("pool", () => {
  it("set, get, ls and rm", async () => {
    const { ramet, pools } = await serve();
    const schedule = "0 8 * * 1-5 @ Europe/Berlin for 10h: min=50 max-available=0.8";
    const made = await ramet([
      "pool",
      "set",
      "python",
      "--min",
      "5",
      "--memory",
      "8g",
      "--schedule",
      schedule,
    ]);
    expect(made).toMatchObject({ exitCode: 0, stderr: "" });
    expect(made.stdout).toBe(
      `python  min 5, max 100, available 0.1-0.5, memory 8.0 GiB\n  schedule ${schedule}\n`,
    );
    expect((await pools.get("python")).settings.schedules).toEqual([
      {
        ...{ cron: "0 8 * * 1-5", timeZone: "Europe/Berlin", durationMs: 36_000_000 },
        ...{ min: 50, maxAvailableRatio: 0.8 },
      },
    ]);
    await pools.round();
    const shown = await ramet(["pool", "get", "python", "--json"]);
    const pool = shapes.pool.parse(JSON.parse(shown.stdout));
    expect(pool.state).toMatchObject({
      placed: 0,
      why: expect.stringContaining("no ready node has the template"),
    });
    await ramet(["pool", "set", "python", "--memory", "none", "--schedule", "none"]);
    const listed = JSON.parse((await ramet(["pool", "ls", "--json"])).stdout) as unknown[];
    expect(listed.map((it) => shapes.pool.parse(it))).toMatchObject([{ template: "python", schedules: [] }]);
    expect(shapes.pool.parse(listed[0])).not.toHaveProperty("memoryBytes");
    expect((await ramet(["pool", "ls"])).stdout).toMatch(
      /^TEMPLATE .*\npython +5 +100 +0.1-0.5 +0 +0 +\d+ +\d+ warm: /,
    );
    expect((await ramet(["pool", "rm", "python"])).stdout).toBe("python\n");
    expect(await ramet(["pool", "rm", "python"])).toMatchObject({ exitCode: 3 });
  });

  it.each([
    ["0 8 * * 1-5 @ Europe/Berlin: min=5", "is not a schedule"],
    ["0 8 * * 1-5 @ Europe/Berlin for 10h: least=5", "is not a schedule"],
    ["0 8 * * 1-5 @ Mars/Olympus for 10h: min=5", "Mars/Olympus"],
  ])("refuses the schedule '%s'", async (schedule, why) => {
    const { ramet } = await serve();
    const refused = await ramet(["pool", "set", "python", "--schedule", schedule]);
    expect(refused.exitCode).not.toBe(0);
    expect(refused.stderr).toContain(why);
  });
});
