/** The nodes' API over a registry, by the command line: `ramet --registry URL`. */
import { credentials, ServerCredentials } from "@grpc/grpc-js";
import { fastify } from "fastify";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { servePage } from "../../../src/admin/page.js";
import { agentApi } from "../../../src/agent-client/agent-api.js";
import { SandboxStatus } from "../../../src/gen/ramet/v1/sandbox_pb.js";
import { DomainError } from "../../../src/lib/errors.js";
import { openChannel } from "../../../src/lib/grpc.js";
import { errorFromStatus } from "../../../src/lib/grpc-errors.js";
import { openScope } from "../../../src/lib/scope.js";
import type { Caller } from "../../../src/nodes-api/callers.js";
import { listSandboxes } from "../../../src/nodes-api/list-sandboxes.js";
import { serveNodesApi } from "../../../src/nodes-api/serve.js";
import { becomes } from "../../support/box.js";
import { runCli } from "../../support/cli.js";
import { mainKey, openRegistryBox } from "../../support/registry-box.js";

const box = openRegistryBox("e2b-nodes");
const scope = openScope();
const callers = new Map<string, Caller>();
let url: string;
let port: number;

beforeAll(async () => {
  const main = await box.store.teams.findByName("main");
  const other = (await box.team()).team;
  for (const [key, team] of [
    [mainKey, main],
    ["other", other],
  ] as const)
    if (team !== undefined) callers.set(key, { maySee: (id) => id === team.id, team: async () => team });
  const gateway = scope.use(
    await serveNodesApi({
      ...{ registry: box.registry.registry, store: box.store, nodes: box.nodes },
      callerOf: async (metadata) => {
        const caller = callers.get(String(metadata.get("authorization")[0]).replace("Bearer ", ""));
        if (caller === undefined) throw new DomainError("unauthenticated", "the key is not one");
        return caller;
      },
      ...{ address: { host: "127.0.0.1", port: 0 }, credentials: ServerCredentials.createInsecure() },
      log: { error: () => {} },
    }),
  );
  port = gateway.port;
  const app = fastify();
  scope.defer(() => app.close());
  await servePage(app, { name: "ramet registry", api: { host: "127.0.0.1", port, tls: false } });
  url = await app.listen({ host: "127.0.0.1", port: 0 });
});
afterAll(() => scope[Symbol.asyncDispose]());

const as = (key: string) => (command: string) =>
  runCli(["--registry", url, ...command.split(" ")], { env: { RAMET_API_KEY: key } });
const ramet = as(mainKey);
async function works(command: string): Promise<string> {
  const { exitCode, stdout, stderr } = await ramet(command);
  expect(exitCode, `${command}: ${stderr}`).toBe(0);
  return stdout.trim();
}
async function refused(command: string, exitCode: number, words: RegExp): Promise<void> {
  const result = await ramet(command);
  expect(result.stderr).toMatch(words);
  expect(result.exitCode).toBe(exitCode);
}

it("has the life of a sandbox, as on its node", async () => {
  const id = await works("create base --label run=42");
  expect((await box.ask("GET", `/sandboxes/${id}`)).body.metadata).toEqual({ run: "42" });
  expect(await works("ps")).toMatch(new RegExp(`^NODE +ID .*\nlocal +${id} +- +running`));
  expect(JSON.parse(await works(`inspect ${id}`))).toMatchObject({
    id,
    node: "local",
    labels: { run: "42" },
  });
  expect(await works("template ls")).toMatch(/^NODE +NAME .*\nlocal +base +ready/);
  expect(await works(`exec ${id} echo hello`)).toBe("hello");
  expect(await ramet(`exec ${id} false`)).toMatchObject({ exitCode: 1 });
  expect(await works(`top ${id}`)).toMatch(/PID/);
  expect(await works(`file mkdir ${id} /tmp/a`)).toBeDefined();
  expect(await works(`file ls ${id} /tmp`)).toMatch(/\ba\b/);
  expect(await works(`stats --no-stream ${id}`)).toMatch(id);
  await refused(`logs ${id}`, 3, /has no start command/);
  await works(`pause ${id}`);
  expect((await box.ask("GET", `/sandboxes/${id}`)).body.state).toBe("paused");
  await works(`resume ${id}`);
  const clones = (await works(`fork ${id} -n 2 -q`)).split("\n");
  expect(clones).toHaveLength(2);
  for (const clone of clones)
    expect((await box.ask("GET", `/sandboxes/${clone}`)).body.state).toBe("running");
  expect((await works("ps -q --filter label=run=42")).split("\n").sort()).toEqual([id, ...clones].sort());
  await refused(`rm ${id}`, 4, /it is running/);
  await works(`rm -f ${[id, ...clones].join(" ")}`);
  expect(await works("ps -q")).toBe("");
  await becomes("an empty node", async () => (await box.onNode()).length === 0, 30_000);
}, 90_000);

it("runs a command in a sandbox of its own, and makes none that it could not stop", async () => {
  expect(await works("run --rm base echo hello")).toBe("hello");
  await refused("run base true", 2, /no stopped sandboxes.*\n.*--rm, --keep or --detach/);
  expect(await works("ps -q")).toBe("");
}, 60_000);

it("keeps teams apart, and wants a key", async () => {
  const id = await works("create base");
  const others = as("other");
  expect((await others("ps -q")).stdout).toBe("");
  for (const command of [`exec ${id} true`, `pause ${id}`, `rm -f ${id}`, `logs ${id}`, `inspect ${id}`])
    expect(await others(command), command).toMatchObject({
      exitCode: 3,
      stderr: expect.stringMatching(/not found/),
    });
  for (const command of ["ps", "template ls"])
    expect((await as("nobody")(command)).stderr).toMatch(/the key is not one/);
  await works(`rm -f ${id}`);
}, 60_000);

it.each([
  ["checkpoint ls", /checkpoints are those of one node/],
  ["image ls", /images are those of one node/],
  ["info", /this is a registry, and no node/],
  ["template slots base --min 1", /ramet pool set/],
  ["create base --name x", /gives sandboxes no names/],
  ["create nothing", /neither a template nor an image/],
  ["exec nobody true", /not found/],
])("refuses %s in words", async (command, words) => {
  const { exitCode, stderr } = await ramet(command);
  expect(exitCode).not.toBe(0);
  expect(stderr).toMatch(words);
});

describe("a call that is passed on", () => {
  const open = () => {
    const channel = openChannel(`127.0.0.1:${port}`, credentials.createInsecure());
    const toError = (error: unknown) => errorFromStatus(error, { callee: "it", timeoutMs: 0 });
    const metadata = { authorization: `Bearer ${mainKey}` };
    return {
      ...agentApi(channel, { timeoutMs: 0, metadata, toError }),
      [Symbol.dispose]: () => channel.close(),
    };
  };

  it("ends on its node when the client goes away or its time is up", async () => {
    const id = await works("create base");
    using api = open();
    const followed = async (options: { signal?: AbortSignal; timeoutMs?: number }) => {
      async function* requests() {
        const start = { sandbox: id, argv: ["sleep", "60"], stdin: true, killOnClose: true };
        yield { message: { case: "start" as const, value: start } };
        await new Promise(() => {});
      }
      for await (const _ of api.processes.exec(requests(), options));
    };
    await expect(followed({ timeoutMs: 1_500 })).rejects.toMatchObject({ code: "deadline_exceeded" });
    const leaving = new AbortController();
    setTimeout(() => leaving.abort(), 700);
    await expect(followed({ signal: leaving.signal })).rejects.toMatchObject({ code: "cancelled" });
    await becomes(
      "no sleep left",
      async () => {
        const { processes } = await api.processes.list({ sandbox: id });
        const sleeps = processes.filter(({ argv }) => argv[0] === "sleep");
        return sleeps.length === 2 && sleeps.every(({ exited }) => exited !== undefined);
      },
      10_000,
    );
    await works(`rm -f ${id}`);
  }, 60_000);

  it("shows what is on a node out of reach as lost, and says so where it is asked for", async () => {
    const id = await works("create base");
    const { list, get } = box.nodes;
    const away = new DomainError("unavailable", "node local is unreachable");
    const refuse = () => ({ sandboxes: { list: () => Promise.reject(away) } }) as never;
    const context = { signal: new AbortController().signal, metadata: { get: () => [] } } as never;
    const main = callers.get(mainKey);
    if (main === undefined) throw new Error("no caller");
    const deps = {
      ...{ registry: box.registry.registry, store: box.store },
      nodes: { list, get, api: refuse },
      callerOf: async () => main,
    };
    const request = { statuses: [SandboxStatus.LOST], labels: {} } as never;
    const { sandboxes } = await listSandboxes(deps, request, context);
    expect(sandboxes).toContainEqual(
      expect.objectContaining({ id, node: "local", status: SandboxStatus.LOST }),
    );
    await works(`rm -f ${id}`);
  }, 60_000);
});
