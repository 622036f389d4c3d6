/** Nodes of a registry, each with its own containerd, agent, network and directories, and E2B's own clients of them. */
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readFile, rm, rmdir, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { setTimeout as sleep } from "node:timers/promises";
import { Sandbox as NewSandbox, SandboxNotFoundError } from "e2b";
import { Sandbox as OldSandbox } from "e2b-old";
import { execa } from "execa";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import type { Shape } from "../../src/cli/shapes.js";
import { waitUntil } from "../../src/lib/signal.js";
import { runCli } from "../support/cli.js";
import { another, type Cluster, openCluster } from "../support/cluster.js";
import { startCopy } from "../support/cluster-copy.js";
import { tracing } from "../support/tracing.js";

const silentServer = `
import socket
connection = socket.create_server(("127.0.0.1", 8000)).accept()[0]
connection.sendall(b"HTTP/1.1 101 Switching Protocols\\r\\nUpgrade: x\\r\\nConnection: Upgrade\\r\\n\\r\\n")
while connection.recv(4096): pass
`;

let cluster: Cluster;
let apiKey = "";
const options = () => ({ apiKey, apiUrl: cluster.url, sandboxUrl: cluster.url });

beforeAll(async () => {
  cluster = await openCluster(2);
  apiKey = await keyOf("main");
}, 900_000);
afterAll(async () => {
  await cluster?.[Symbol.asyncDispose]();
  const { stdout } = await execa("ip", ["-o", "link"]);
  expect(stdout).not.toContain("rmt-");
  expect(existsSync(cluster.root)).toBe(false);
}, 300_000);

afterEach(async () => {
  for (const { id } of await sandboxes()) await NewSandbox.kill(id, options());
});

/** Of a new team. */
async function keyOf(team: string): Promise<string> {
  expect(await cluster.ramet("team", "create", team)).toMatchObject({ exitCode: 0 });
  return (await cluster.ramet("key", "create", team)).stdout.trim();
}

const find = async (name: string) => (await cluster.nodes()).find((node) => node.name === name);

const sandboxes = async () =>
  JSON.parse((await cluster.ramet("ps", "--all", "--json")).stdout) as readonly Shape<"sandbox">[];

/** By the sandbox's id. */
const nodesOf = async () => new Map((await sandboxes()).map(({ id, node }) => [id as string, node]));

const create = (source = "python") => NewSandbox.create(source, { ...options(), timeoutMs: 600_000 });

const askEnvd = (id: string) =>
  fetch(`${cluster.url}/health`, { headers: { "e2b-sandbox-id": id, "e2b-sandbox-port": "49983" } });

/** A connection to a server in it that has left HTTP and says no more. */
async function leaveHttp({ sandboxId, files, commands }: NewSandbox): Promise<Duplex> {
  await files.write("/tmp/server.py", silentServer);
  await commands.run("nohup python3 /tmp/server.py > /dev/null 2>&1 &");
  const headers = {
    "e2b-sandbox-id": sandboxId,
    "e2b-sandbox-port": "8000",
    upgrade: "x",
    connection: "Upgrade",
  };
  const [, socket] = await once(request(cluster.url, { headers }).end(), "upgrade");
  return socket.resume();
}

const limits = (timeoutMs = 60_000) => ({ intervalMs: 200, timeoutMs });

/** Until there is one on that node. */
async function createOn(node: string): Promise<NewSandbox> {
  for (let attempt = 0; attempt < 20; attempt++) {
    const made = await create();
    if ((await nodesOf()).get(made.sandboxId) === node) return made;
  }
  throw new Error(`none of 20 sandboxes came to ${node}`);
}

/** Until the registry knows that its disk is full; the space is taken, and nothing written. */
async function fill(name: string, fillers: ReadonlyMap<string, NewSandbox>): Promise<void> {
  const free = (await find(name))?.report?.diskFreeBytes ?? 0;
  const code = `import os; os.posix_fallocate(os.open('/tmp/filler', os.O_CREAT | os.O_WRONLY), 0, ${free - 2 ** 25})`;
  await fillers.get(name)?.commands.run(`python3 -c "${code}"`);
  const isFull = async () => {
    const { diskBytes = 0, diskFreeBytes = 0 } = (await find(name))?.report ?? {};
    return diskFreeBytes < diskBytes / 20;
  };
  await waitUntil(`${name} is full`, isFull, limits());
}

describe("a cluster", () => {
  it("takes a third node in while sandboxes are made, and gives it work", async () => {
    const growing = cluster.grow(3).then(() => "grown");
    let made = 0;
    // No faster: the new node needs the processors too.
    for (; (await Promise.race([growing, sleep(300)])) !== "grown"; made++) await (await create()).kill();
    expect(made).toBeGreaterThan(3);
    const nodes = await cluster.nodes();
    expect(nodes.map(({ name, health }) => `${name} ${health}`)).toEqual([
      ...["node1 ready", "node2 ready", "node3 ready"],
    ]);
    for (const { report } of nodes)
      expect(report?.templates).toEqual([{ name: "python", slotsReady: expect.any(Number) }]);
    await createOn("node3");
  }, 300_000);
});

// What both have in common: the older one's types are the newer one's with fewer options.
const clients = [
  ["e2b", NewSandbox],
  ["e2b 2.50", OldSandbox as unknown as typeof NewSandbox],
] as const;

describe.each(clients)("%s", (_name, Sandbox) => {
  it("makes sandboxes on all nodes, lists them by page, and works in them", async () => {
    const ids: string[] = [];
    for (let n = 0; n < 9; n++) ids.unshift((await Sandbox.create("python", options())).sandboxId);
    expect(new Set((await nodesOf()).values())).toEqual(new Set(["node1", "node2", "node3"]));
    const pages = Sandbox.list({ ...options(), limit: 4 });
    const found: string[][] = [];
    while (pages.hasNext) found.push((await pages.nextItems()).map(({ sandboxId }) => sandboxId));
    expect(found).toEqual([ids.slice(0, 4), ids.slice(4, 8), ids.slice(8)]);
    for (const id of ids) {
      const sandbox = await Sandbox.connect(id, options());
      expect((await sandbox.commands.run("echo $E2B_SANDBOX_ID")).stdout).toBe(`${id}\n`);
    }
  });

  it("pauses, connects, snapshots and forks where the memory is, and kills once", async () => {
    const made = await Sandbox.create("python", { ...options(), timeoutMs: 60_000 });
    await made.commands.run("echo kept > /tmp/state");
    await made.setTimeout(120_000);
    expect((await made.getInfo()).endAt.getTime() - Date.now()).toBeGreaterThan(100_000);
    expect(await made.pause()).toBe(true);
    expect((await made.getInfo()).state).toBe("paused");
    const again = await Sandbox.connect(made.sandboxId, options());
    const { snapshotId } = await again.createSnapshot();
    const forks = (await again.fork({ count: 3 })).map((fork) => fork as NewSandbox);
    const all = [again, ...forks, await Sandbox.create(snapshotId, options())];
    const nodes = await nodesOf();
    expect(new Set(all.map(({ sandboxId }) => nodes.get(sandboxId))).size).toBe(1);
    for (const sandbox of all) expect(await sandbox.files.read("/tmp/state")).toBe("kept\n");
    for (const { sandboxId } of all) {
      expect(await Sandbox.kill(sandboxId, options())).toBe(true);
      expect(await Sandbox.kill(sandboxId, options())).toBe(false);
    }
    expect(await Sandbox.deleteSnapshot(snapshotId, options())).toBe(true);
  });
});

it("shows sandboxes to their team alone", async () => {
  const { sandboxId } = await create();
  const other = { ...options(), apiKey: await keyOf("other") };
  await expect(NewSandbox.getInfo(sandboxId, other)).rejects.toThrow(SandboxNotFoundError);
  expect(await NewSandbox.kill(sandboxId, other)).toBe(false);
  const wrong = { ...options(), apiKey: `e2b_${"0".repeat(40)}` };
  await expect(NewSandbox.getInfo(sandboxId, wrong)).rejects.toThrow(/401|[Uu]nauthori[sz]ed|key/);
});

it("serves the command line: processes, files and output of sandboxes on its nodes", async () => {
  const { sandboxId: id } = await createOn("node2");
  const ramet = (...words: string[]) =>
    runCli(["--registry", cluster.url, ...words], { env: { RAMET_API_KEY: apiKey } });
  expect((await ramet("ps")).stdout).toMatch(new RegExp(`^node2 +${id} `, "m"));
  const templates = JSON.parse(
    (await ramet("template", "ls", "--json")).stdout,
  ) as readonly Shape<"template">[];
  expect(templates.map(({ name, node }) => `${name} ${node}`).sort()).toEqual([
    ...["python node1", "python node2", "python node3"],
  ]);
  expect(await ramet("exec", id, "sh", "-c", "echo out; exit 3")).toMatchObject({
    exitCode: 3,
    stdout: "out\n",
  });
  const file = join(cluster.root, "copied");
  await writeFile(file, "copied there");
  expect(await ramet("cp", file, `${id}:/tmp/copied`)).toMatchObject({ exitCode: 0 });
  expect(await ramet("cp", `${id}:/tmp/copied`, `${file}-back`)).toMatchObject({ exitCode: 0 });
  expect(await readFile(`${file}-back`, "utf8")).toBe("copied there");
  for (const name of [file, `${file}-back`]) await rm(name);
  const pid = (await ramet("exec", "-d", id, "sh", "-c", "echo said; sleep 600")).stdout.trim();
  await waitUntil(
    "its output",
    async () => (await ramet("logs", "--pid", pid, id)).stdout === "said\n",
    limits(),
  );
});

it("is the only one of its machine: another is refused, and harms nothing", async () => {
  const root = await mkdtemp(join(tmpdir(), "ramet-cluster-"));
  for (const words of [["1"], ["--down"], ["--node", "1", "cut"]]) {
    const { exitCode, stderr } = await another(root, ...words);
    expect(exitCode).toBe(1);
    expect(stderr).toContain(`this machine has a cluster already, in ${cluster.root}`);
  }
  await rmdir(root);
  await (await createOn("node1")).commands.run("true");
});

describe("a node", () => {
  it("that is full is not asked, nor are any when all are, until there is room again", async () => {
    const fillers = new Map<string, NewSandbox>();
    while (fillers.size < 3) {
      const made = await create();
      const node = (await nodesOf()).get(made.sandboxId) ?? "";
      if (fillers.has(node)) await made.kill();
      else fillers.set(node, made);
    }
    await fill("node2", fillers);
    for (let n = 0; n < 6; n++) await create();
    expect([...(await nodesOf()).values()].filter((node) => node === "node2")).toHaveLength(1);
    await Promise.all(["node1", "node3"].map((name) => fill(name, fillers)));
    const refused = await fetch(`${cluster.url}/sandboxes`, {
      method: "POST",
      headers: { "x-api-key": apiKey, "content-type": "application/json" },
      body: JSON.stringify({ templateID: "python" }),
    });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([503, "1"]);
    expect(await refused.json()).toEqual({ code: 503, message: expect.stringMatching(/no node has room/) });
    // What runs on full nodes runs on.
    expect((await fillers.get("node1")?.commands.run("echo on"))?.stdout).toBe("on\n");
    await fillers.get("node2")?.kill();
    const works = () =>
      create().then(
        () => true,
        () => false,
      );
    await waitUntil("room", works, limits());
    expect([...(await nodesOf()).values()]).toContain("node2");
  });

  it("that is cut off gets no work, is lost, and what was killed meanwhile is gone once it is back", async () => {
    const [there, kept] = [await createOn("node2"), await createOn("node2")];
    expect((await askEnvd(kept.sandboxId)).status).toBe(204);
    const silent = await leaveHttp(kept);
    await cluster.node(2, "cut");
    // On a connection that nobody knows yet to lead nowhere.
    const asked = askEnvd(kept.sandboxId).then(({ status }) => ({ status, at: Date.now() }));
    await cluster.becomes("node2", "unreachable", "lost");
    expect((await find("node1"))?.health).toBe("ready");
    const before = [...(await nodesOf()).values()].filter((node) => node === "node2").length;
    for (let n = 0; n < 6; n++) await create();
    expect([...(await nodesOf()).values()].filter((node) => node === "node2")).toHaveLength(before);
    expect(await NewSandbox.kill(there.sandboxId, options())).toBe(true);
    expect(await cluster.onNode(2)).toContain(there.sandboxId);
    await cluster.becomes("node2", "lost");
    const lostAt = Date.now();
    // As soon as it is unreachable.
    expect((await asked).status).toBe(503);
    expect((await asked).at).toBeLessThan(lostAt - 1000);
    await waitUntil("what has left HTTP is cut", async () => silent.closed, limits(5_000));
    const lost = (await sandboxes()).find(({ id }) => id === kept.sandboxId);
    expect(lost).toMatchObject({ status: "lost", node: "node2" });
    const { seenAt, sandboxes: counts } = (await find("node2")) ?? {};
    expect([lost?.statusSince, counts?.lost]).toEqual([seenAt, 1]);
    await cluster.node(2, "mend");
    await cluster.becomes("node2", "ready");
    const isGone = async () => (await cluster.onNode(2)).join() === kept.sandboxId;
    await waitUntil("the killed sandbox is gone from its node", isGone, limits());
    expect((await kept.commands.run("echo on")).stdout).toBe("on\n");
  });

  it("whose agent is killed and started is the same, with its sandboxes", async () => {
    const there = await createOn("node1");
    await there.commands.run("echo kept > /tmp/state");
    const before = await find("node1");
    await cluster.node(1, "kill");
    await cluster.becomes("node1", "unreachable", "lost");
    await cluster.node(1, "start");
    await cluster.becomes("node1", "ready");
    expect((await find("node1"))?.id).toBe(before?.id);
    expect(await cluster.nodes()).toHaveLength(3);
    expect(await there.files.read("/tmp/state")).toBe("kept\n");
  });

  it("is drained, and is given work again", async () => {
    const there = await createOn("node2");
    const draining = cluster.ramet("node", "drain", "node2", "--wait");
    await waitUntil("node2 is cordoned", async () => (await find("node2"))?.cordoned === true, {
      ...limits(20_000),
    });
    for (let n = 0; n < 4; n++) await create();
    expect([...(await nodesOf()).values()].filter((node) => node === "node2")).toHaveLength(1);
    await there.kill();
    expect((await draining).exitCode).toBe(0);
    expect((await cluster.ramet("node", "uncordon", "node2")).exitCode).toBe(0);
    expect((await find("node2"))?.cordoned).toBe(false);
    await createOn("node2");
  });

  it("is drained by pausing what runs there, but for what cannot be paused", async () => {
    const [there, traced] = [await createOn("node3"), await createOn("node3")];
    await there.commands.run("echo kept > /tmp/state");
    await traced.files.write("/tmp/traced.py", tracing);
    await traced.commands.run("python3 /tmp/traced.py", { background: true });
    await waitUntil("a traced process", () => traced.files.exists("/tmp/traced"), limits());
    const left = await cluster.ramet("node", "drain", "node3", "--pause");
    expect(left.exitCode).toBe(4);
    expect(left.stderr).toMatch(new RegExp(`^  ${traced.sandboxId}: .*is traced by another`, "m"));
    expect(left.stderr).not.toContain(there.sandboxId);
    await traced.kill();
    const drained = await cluster.ramet("node", "drain", "node3", "--pause");
    expect(drained.stdout).toMatch(/^node3 {2}cordoned, 0 running, \d+ paused\n$/);
    expect((await there.getInfo()).state).toBe("paused");
    await there.connect();
    expect(await there.files.read("/tmp/state")).toBe("kept\n");
    await cluster.ramet("node", "uncordon", "node3");
  });

  it("has one agent: another with a copy of its identity is refused, and both are told", async () => {
    const said: string[] = [];
    const second = await startCopy(cluster, "node1", (line) => said.push(line));
    const holds = async () =>
      said.some((line) => line.includes("another agent reports as node node1")) &&
      (await cluster.logOf(1)).includes("a second agent has shown this node's certificate");
    await waitUntil("both are told", holds, limits());
    await second[Symbol.asyncDispose]();
    expect((await find("node1"))?.health).toBe("ready");
    await createOn("node1");
  });
});
