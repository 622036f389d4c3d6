/**
 * A registry and agents over TLS on the loopback, with nodes that only report. All cases are of one deployment,
 * a registry and the agents that join it: it is a third of the file, and parts of it are changed by each of them.
 */
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { cp } from "node:fs/promises";
import { get, type IncomingMessage } from "node:http";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { aSandbox, noDataPlane, stubNode } from "../../test/support/stub-node.js";
import { agentApi } from "../agent-client/agent-api.js";
import { serveRemote } from "../api/serve.js";
import { type Authority, openAuthority } from "../authority/authority.js";
import { makeRequest } from "../authority/certificates.js";
import { channelCredentials } from "../authority/credentials.js";
import { nodeUri, registryUri } from "../authority/identity.js";
import { newJoinToken } from "../authority/join-token.js";
import { newKey } from "../authority/keys.js";
import type { NodeHealth } from "../fleet/node.js";
import { MembershipService } from "../gen/ramet/v1/membership_pb.js";
import { DomainError } from "../lib/errors.js";
import { createClient, openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "../lib/grpc-errors.js";
import { createLogger } from "../lib/log.js";
import { openScope, type Scope } from "../lib/scope.js";
import { waitUntil } from "../lib/signal.js";
import { membershipDirectory, readIdentity } from "../membership/identity-files.js";
import { openMembership } from "../membership/membership.js";
import type { NodeEvent } from "../node/node.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { openSqliteStore } from "../registry-store/sqlite/open-sqlite-store.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { makeJoinToken } from "./join-tokens.js";
import { serveNodes } from "./membership-service.js";
import { openNodePort } from "./node-port.js";
import type { Inventory } from "./nodes.js";
import { type OpenNodes, openNodes } from "./open-nodes.js";

let dir: string;
let scope: Scope;
let store: RegistryStore;
let authority: Authority;
let nodes: OpenNodes;
let port: number;
let offsetMs: number;
let healths: Array<readonly [string, NodeHealth]>;
let inventories: Inventory[];
const logged: Array<{ level: string; msg: string }> = [];

const now = () => new Date(Date.now() + offsetMs);
const log = createLogger({
  level: "info",
  to: { write: (line) => void logged.push(JSON.parse(line) as { level: string; msg: string }) },
});
const until = (what: string, holds: () => unknown) =>
  waitUntil(what, () => Boolean(holds()), { intervalMs: 10, timeoutMs: 15_000 });
const never = new AbortController().signal;

beforeEach(async () => {
  dir = mkdtempSync(join(tmpdir(), "ramet-registry-"));
  scope = openScope();
  scope.defer(() => rmSync(dir, { recursive: true }));
  offsetMs = 0;
  logged.length = 0;
  healths = [];
  inventories = [];
  store = scope.use(await openSqliteStore(join(dir, "registry.db")));
  authority = await openAuthority(join(dir, "authority"), now);
  nodes = scope.use(await openNodes({ store, tls: authority.registry, lostAfterMs: 300_000, now, log }));
  nodes.listen({
    onHealth: async (node, health) => void healths.push([node, health]),
    onInventory: async (inventory) => void inventories.push(inventory),
  });
  const address = { host: "127.0.0.1", port: 0 };
  const served = scope.use(await serveNodes({ store, authority, nodes, address, now, log }));
  port = served.port;
});
afterEach(() => scope[Symbol.asyncDispose]());

const tokenOf = async () => (await makeJoinToken({ store, authority, now }, 60_000)).token;
const registry = () => ({ host: "127.0.0.1", port });

/** A node with sandboxes, and a way to change them. */
function aNode() {
  const sandboxes = new Map<string, Sandbox>();
  const followers = new Set<(event: NodeEvent) => void>();
  const node = stubNode({
    info: async () => ({ version: "9", diskFreeBytes: 0 }) as never,
    sandboxes: {
      list: async () => [...sandboxes.values()],
      get: async (id) => {
        const found = sandboxes.get(id);
        if (found === undefined) throw new DomainError("not_found", `no sandbox ${id}`);
        return found;
      },
    },
    templates: { list: async () => [] },
    checkpoints: { list: async () => [] },
    images: { list: async () => [] },
    async *events(_query, signal) {
      const events: NodeEvent[] = [];
      let wake = () => {};
      const follower = (event: NodeEvent) => {
        events.push(event);
        wake();
      };
      followers.add(follower);
      try {
        for (;;) {
          yield* events.splice(0);
          await new Promise<void>((resolve, reject) => {
            wake = resolve;
            signal.addEventListener("abort", () => reject(signal.reason), { once: true });
          });
        }
      } finally {
        followers.delete(follower);
      }
    },
  });
  const tell = (id: string) => {
    for (const follower of followers)
      follower({ id: 1, at: now(), type: "sandbox.x", sandbox: id, attributes: {} });
  };
  return {
    node,
    set(id: string, fields: Partial<Sandbox> = {}) {
      const labels = { "registry.request": "r1", other: "x" };
      sandboxes.set(id, aSandbox({ id: id as SandboxId, labels, ...fields }));
      tell(id);
    },
    delete(id: string) {
      sandboxes.delete(id);
      tell(id);
    },
  };
}

interface AgentOptions {
  readonly token?: string;
  readonly stub?: ReturnType<typeof aNode>;
  readonly accept?: (connection: Duplex) => void;
  /** Where it says that it serves. Default: where it does. */
  readonly address?: string;
}

/** An agent in this process, with its own data directory, from its join to its reports. */
async function agent(
  name: string,
  { token, stub = aNode(), accept = noDataPlane.accept, address }: AgentOptions = {},
) {
  const dataDir = join(dir, name);
  const own = openScope();
  scope.use(own);
  const { tls, refuse } = await openMembership(
    {
      config: { registry: registry(), name, listen: registry(), address: "127.0.0.1:1" },
      dataDir,
      log,
      readToken: async () => token ?? (await tokenOf()),
    },
    never,
  );
  const listener = own.use(
    await serveRemote(
      {
        node: stub.node,
        dataPlane: { accept },
        address: { host: "127.0.0.1", port: 0 },
        tls,
        refuse,
        log,
      },
      never,
    ),
  );
  const membership = await openMembership(
    {
      config: {
        registry: registry(),
        name,
        listen: registry(),
        address: address ?? `127.0.0.1:${listener.port}`,
      },
      dataDir,
      log,
      readToken: () => Promise.reject(new Error("it has an identity")),
    },
    never,
  );
  const id = membership.node as Parameters<typeof nodes.get>[0];
  const report = () => own.use(membership.report({ node: stub.node, version: "9" }));
  return { id, stub, dataDir, port: listener.port, report, own };
}

const errors = () => logged.filter(({ level }) => level === "error").map(({ msg }) => msg);

describe("joining", () => {
  it("makes a node that reports, is called by mutual TLS, and needs no token the next time", async () => {
    const { id, report } = await agent("n1");
    expect(nodes.get(id)).toMatchObject({ health: "unreachable", record: { name: "n1", isCordoned: false } });
    await expect(nodes.api(id).node.info({})).rejects.toMatchObject({ code: "unavailable" });
    report();
    await until("the node is ready", () => nodes.get(id).health === "ready");
    expect(nodes.get(id).report).toMatchObject({ version: "9", templates: [], checkpoints: [] });
    expect((await nodes.api(id).node.info({})).version).toBe("9");
    expect((await store.nodes.get(id)).address).not.toBe("127.0.0.1:1");
    expect(healths[0]).toEqual([id, "ready"]);
  });

  it.each([
    ["is unknown", async () => newJoinToken(authority.digest).token, /not one of this registry's/],
    [
      "was used",
      async () => {
        const token = await tokenOf();
        await agent("first", { token });
        return token;
      },
      /used already/,
    ],
    [
      "has expired",
      async () => {
        const token = await tokenOf();
        offsetMs = 61_000;
        return token;
      },
      /expired/,
    ],
    ["is another registry's", async () => newJoinToken("0".repeat(32)).token, /not the registry that made/],
  ])("is refused when the token %s, and leaves no identity", async (_name, makeToken, message) => {
    const token = await makeToken();
    const failed = expect(agent("n1", { token })).rejects;
    await failed.toMatchObject({ code: "unauthenticated", message: expect.stringMatching(message) });
    expect(await readIdentity(membershipDirectory(join(dir, "n1")))).toBeUndefined();
  });

  it("may be asked for again with the same key and token, when the answer was lost", async () => {
    const token = await tokenOf();
    const { id, dataDir } = await agent("n1", { token });
    rmSync(join(membershipDirectory(dataDir), "identity.json"));
    expect((await agent("n1", { token })).id).toBe(id);
    expect(nodes.list()).toHaveLength(1);
  });

  it("refuses a name that is taken, and another version of the protocol, in words", async () => {
    await agent("n1");
    const taken = { code: "already_exists", hint: expect.stringMatching(/--name.*`ramet node rm n1`/) };
    await expect(joinAs({ name: "n1" })).rejects.toMatchObject(taken);
    await expect(joinAs({ protocol: 2 })).rejects.toMatchObject({
      code: "failed_precondition",
      message: "the agent speaks version 2 of the membership protocol, this is version 1",
    });
  });
});

async function joinAs({ name = "n9", protocol = 1 }) {
  const client = membershipClient({ authority: authority.certificate });
  const secret = (await tokenOf()).split("_")[2] ?? "";
  const certificateRequest = await makeRequest(await newKey());
  return await client.join({ protocol, secret, certificateRequest, name, address: "127.0.0.1:1" });
}

function membershipClient(identity: Parameters<typeof channelCredentials>[0]) {
  const channel = openChannel(`127.0.0.1:${port}`, channelCredentials(identity, registryUri));
  scope.defer(() => channel.close());
  return createClient(MembershipService, channel, {
    timeoutMs: 10_000,
    toError: (error) => errorFromStatus(error, { callee: "the registry", timeoutMs: 10_000 }),
  });
}

describe("reports", () => {
  async function* hello(protocol = 1) {
    yield { hello: { protocol, version: "1", instance: "i", address: "127.0.0.1:1" }, load: {} };
    await new Promise(() => {});
  }
  const firstOf = async (client: ReturnType<typeof membershipClient>, protocol?: number) => {
    for await (const { message } of client.report(hello(protocol))) return message.case;
    return undefined;
  };

  it("are taken from nobody without a certificate, and not in another version", async () => {
    const anonymous = membershipClient({ authority: authority.certificate });
    await expect(firstOf(anonymous)).rejects.toMatchObject({ code: "unauthenticated" });
    await expect(firstOf(membershipClient(authority.registry))).rejects.toMatchObject({
      code: "unauthenticated",
    });
    const { dataDir } = await agent("n1");
    const { tls } = (await readIdentity(membershipDirectory(dataDir))) ?? { tls: authority.registry };
    await expect(firstOf(membershipClient(tls), 2)).rejects.toMatchObject({ code: "failed_precondition" });
    expect(await firstOf(membershipClient(tls))).toBe("welcome");
  });

  it("are taken from nobody with another authority's certificate, whatever that says", async () => {
    const { id, dataDir } = await agent("n1");
    const { tls } = (await readIdentity(membershipDirectory(dataDir))) ?? { tls: authority.registry };
    const stranger = await openAuthority(join(dir, "stranger"), now);
    const { certificate: serial } = nodes.get(id).record;
    const forged = await stranger.signNode(await makeRequest(tls.key), { host: "127.0.0.1", serial });
    const client = membershipClient({ ...tls, certificate: forged.certificate });
    await expect(firstOf(client)).rejects.toMatchObject({ code: "unauthenticated" });
    expect(nodes.get(id).health).toBe("unreachable");
  });

  it("tell the registry's sandboxes: all at first, then what changed, soon", async () => {
    const { id, stub, report } = await agent("n1");
    const [one, two] = ["a".repeat(20), "b".repeat(20)];
    stub.set(one);
    stub.set("c".repeat(20), { labels: {} });
    report();
    await until("the first inventory", () => inventories.length === 1);
    expect(inventories[0]).toMatchObject({
      node: id,
      isWhole: true,
      sandboxes: [{ id: one, status: "running", labels: { "registry.request": "r1" } }],
    });
    stub.set(two, { state: { status: "failed", since: now(), reason: "no" } });
    await until("the second sandbox", () => inventories.length === 2);
    expect(inventories[1]).toMatchObject({
      isWhole: false,
      sandboxes: [{ id: two, status: "failed", reason: "no" }],
      gone: [],
    });
    stub.delete(one);
    await until("the one that is gone", () => inventories.length === 3);
    expect(inventories[2]).toMatchObject({ isWhole: false, sandboxes: [], gone: [one] });
  });

  it("come whole again when a listener has failed", async () => {
    let fails = true;
    nodes.listen({
      onInventory: async () => {
        if (fails) throw new Error("not now");
      },
    });
    const { stub, report } = await agent("n1");
    stub.set("a".repeat(20));
    report();
    await until("the failure", () => errors().includes("news of a node was not taken in"));
    fails = false;
    await until("another whole one", () => inventories.filter(({ isWhole }) => isWhole).length >= 2);
  });

  it("come in parts where there are many sandboxes", async () => {
    const { stub, report } = await agent("n1");
    const ids = Array.from({ length: 2500 }, (_, index) => String(index).padStart(20, "0"));
    for (const id of ids) stub.set(id);
    report();
    await until("the inventory", () => inventories.length === 1);
    expect(inventories[0]?.sandboxes.map(({ id }) => id)).toEqual(ids);
  });

  it("that are missed make a node unreachable, then lost; the next one makes it ready", async () => {
    const { id, report } = await agent("n1");
    const reporting = report();
    await until("the node is ready", () => nodes.get(id).health === "ready");
    await reporting[Symbol.asyncDispose]();
    const silent = (ms: number) => {
      for (let left = ms; left > 0; left -= 500) {
        offsetMs += 500;
        nodes.judge();
      }
      return nodes.get(id).health;
    };
    expect(silent(5_500)).toBe("ready");
    expect(silent(1_000)).toBe("unreachable");
    await expect(nodes.api(id).node.info({})).rejects.toThrow(/node n1 is unreachable/);
    expect(silent(293_000)).toBe("unreachable");
    expect(silent(2_000)).toBe("lost");
    report();
    await until("the node is back", () => nodes.get(id).health === "ready");
    await until("listeners know", () => healths.length === 4);
    expect(healths.map(([, health]) => health)).toEqual(["ready", "unreachable", "lost", "ready"]);
  });

  it("are not missed while the registry itself stood still", async () => {
    const { id, report } = await agent("n1");
    report();
    await until("the node is ready", () => nodes.get(id).health === "ready");
    offsetMs += 60_000;
    nodes.judge();
    expect(nodes.get(id).health).toBe("ready");
  });
});

describe("two agents with one identity", () => {
  it("are both told, and the first stays", async () => {
    const first = await agent("n1");
    first.report();
    await until("the node is ready", () => nodes.get(first.id).health === "ready");
    await cp(first.dataDir, join(dir, "copy"), { recursive: true });
    const second = await agent("copy");
    expect(second.id).toBe(first.id);
    second.report();
    await until("the second is refused", () =>
      logged.some(({ level, msg }) => level === "warn" && msg === "not reporting to the registry"),
    );
    await until("the first is told", () =>
      errors().some((message) => message.startsWith("a second agent has shown")),
    );
    expect(errors()).toContain("a second agent has a node's certificate");
    expect(nodes.get(first.id).record.address).toBe(`127.0.0.1:${first.port}`);
  });
});

describe("a node that cannot be called", () => {
  it("is unreachable though it reports, and ready again once it can be", async () => {
    // Whatever is between the two takes connections, and carries nothing.
    const hole = createServer((socket) => void socket.on("error", () => {})).listen(0, "127.0.0.1");
    scope.defer(async () => void hole.close());
    await once(hole, "listening");
    const address = `127.0.0.1:${(hole.address() as AddressInfo).port}`;
    const { id, report, own } = await agent("n1", { address });
    report();
    await until("its reports", () => nodes.get(id).health === "ready");
    // Whoever has begun to ask need not wait for long.
    await expect(nodes.api(id).node.info({})).rejects.toMatchObject({ code: "unavailable" });
    expect(nodes.get(id).health).toBe("unreachable");
    await expect(nodes.api(id).node.info({})).rejects.toThrow(`node n1 is unreachable at ${address}`);
    await own[Symbol.asyncDispose]();
    (await agent("n1")).report();
    await until("it is called again", () => nodes.get(id).health === "ready");
    expect((await nodes.api(id).node.info({})).version).toBe("9");
    expect(healths.map(([, health]) => health)).toEqual(["ready", "unreachable", "ready"]);
  }, 30_000);
});

describe("a removed node", () => {
  it("is refused from then on", async () => {
    const { id, report, dataDir } = await agent("n1");
    report();
    await until("the node is ready", () => nodes.get(id).health === "ready");
    await nodes.remove(id);
    expect(() => nodes.get(id)).toThrow(expect.objectContaining({ code: "not_found" }));
    await until("the agent is told", () => logged.some(({ msg }) => msg === "not reporting to the registry"));
    expect(await readIdentity(membershipDirectory(dataDir))).toBeDefined();
  });
});

describe("an agent's port", () => {
  it("serves the registry of its authority, and nobody else", async () => {
    const { report, port: agentPort, id } = await agent("n1");
    const other = await agent("n2");
    report();
    const { tls } = (await readIdentity(membershipDirectory(other.dataDir))) ?? { tls: authority.registry };
    const api = (identity: Parameters<typeof channelCredentials>[0]) => {
      const channel = openChannel(`127.0.0.1:${agentPort}`, channelCredentials(identity, `ramet:node:${id}`));
      scope.defer(() => channel.close());
      return agentApi(channel, {
        timeoutMs: 5000,
        toError: (error) => errorFromStatus(error, { callee: "the agent", timeoutMs: 5000 }),
      });
    };
    await expect(api({ authority: authority.certificate }).node.info({})).rejects.toMatchObject({
      code: "unauthenticated",
    });
    await expect(api(tls).node.info({})).rejects.toMatchObject({ code: "permission_denied" });
    expect((await api(authority.registry).node.info({})).version).toBe("9");
    const stranger = await openAuthority(join(dir, "stranger"), now);
    await expect(
      api({ ...stranger.registry, authority: authority.certificate }).node.info({}),
    ).rejects.toMatchObject({
      code: "unauthenticated",
    });
  });

  it("takes requests to sandboxes from the registry, and hears nobody else", async () => {
    const heard: string[] = [];
    const accept = (connection: Duplex) =>
      void connection.once("data", (data: Buffer) => {
        heard.push(data.toString());
        connection.end("HTTP/1.1 204 No Content\r\n\r\n");
      });
    const { report, port: agentPort, id } = await agent("n1", { accept });
    const other = await agent("n2");
    report();
    const { tls } = (await readIdentity(membershipDirectory(other.dataDir))) ?? { tls: authority.registry };
    const stranger = await openAuthority(join(dir, "stranger"), now);
    const ask = async (identity: typeof tls, who = nodeUri(id)) => {
      const way = openNodePort(`127.0.0.1:${agentPort}`, identity, who);
      scope.defer(async () => way[Symbol.dispose]());
      const { agent: kept, host, port } = way;
      const [answer] = await once(get({ agent: kept, protocol: "https:", host, port }), "response");
      return (answer as IncomingMessage).statusCode;
    };
    for (const identity of [tls, { ...stranger.registry, authority: authority.certificate }])
      await expect(ask(identity)).rejects.toThrow();
    await expect(ask(authority.registry, nodeUri(other.id))).rejects.toThrow(/not ramet:node/);
    expect(heard).toEqual([]);
    expect(await ask(authority.registry)).toBe(204);
    expect(heard).toHaveLength(1);
  });
});
