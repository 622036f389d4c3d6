/**
 * A registry with E2B's API in this process, over one node that is in this process too: its agent's API as
 * `rametd up` has it, its reports as they come. Nothing is a stand-in.
 */
import { mkdtemp, rm } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type FastifyInstance, fastify } from "fastify";
import { afterAll, beforeAll } from "vitest";
import { openLocalApi } from "../../src/api/local-api.js";
import { serveRemote } from "../../src/api/serve.js";
import { openAuthority } from "../../src/authority/authority.js";
import { type TlsIdentity, tlsOptions } from "../../src/authority/credentials.js";
import { registryUri } from "../../src/authority/identity.js";
import type { Caller, E2bDeps } from "../../src/e2b/call.js";
import { e2bPlugin } from "../../src/e2b/plugin.js";
import { type NodeCarrier, openCarrier } from "../../src/envd/carrier.js";
import type { NodeId } from "../../src/fleet/node.js";
import { createFleet } from "../../src/fleet/placement.js";
import type { Team, TeamId, TeamLimits } from "../../src/fleet/team.js";
import { type Carrier, openGateway } from "../../src/gateway/gateway.js";
import { tunnelCarrier } from "../../src/gateway/tunnel.js";
import { systemClock } from "../../src/lib/clock.js";
import { DomainError } from "../../src/lib/errors.js";
import { randomId } from "../../src/lib/ids.js";
import { createLogger } from "../../src/lib/log.js";
import { openScope, type Scope } from "../../src/lib/scope.js";
import { waitUntil } from "../../src/lib/signal.js";
import { openReports } from "../../src/membership/reports.js";
import type { Node } from "../../src/node/node.js";
import type { RegistrySettings } from "../../src/registry/deps.js";
import { openFront } from "../../src/registry/front.js";
import { openKeys } from "../../src/registry/keys.js";
import type { OpenLocalApi } from "../../src/registry/member.js";
import { openNodePort } from "../../src/registry/node-port.js";
import { type OpenNodes, openNodes } from "../../src/registry/open-nodes.js";
import { type OpenRegistry, openRegistry } from "../../src/registry/open-registry.js";
import { serverOptions } from "../../src/registry/start.js";
import type { RegistryStore } from "../../src/registry-store/registry-store.js";
import { openSqliteStore } from "../../src/registry-store/sqlite/open-sqlite-store.js";
import { drain } from "./box.js";
import { image, startTestNode, type TestNode } from "./node.js";

export interface RegistryBox {
  readonly test: TestNode;
  readonly app: FastifyInstance;
  /** http://127.0.0.1:PORT */
  readonly url: string;
  readonly store: RegistryStore;
  readonly registry: OpenRegistry;
  readonly nodes: OpenNodes;
  readonly nodeId: NodeId;
  /** A team of its own with a key. */
  team(limits?: TeamLimits): Promise<{ readonly team: Team; readonly key: string }>;
  /** One request, by the key of the team `main` unless told otherwise. */
  ask(method: Method, url: string, options?: AskOptions): Promise<Answer>;
  /** A new registry process on the same data: nothing in memory is left. */
  restart(between?: () => Promise<void>): Promise<void>;
  /** Ids of all sandboxes that the node has. */
  onNode(): Promise<readonly string[]>;
}

type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
interface AskOptions {
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
  readonly key?: string;
}
export interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  // biome-ignore lint/suspicious/noExplicitAny: what a test expects of a body says what is in it
  readonly body: any;
}

export const mainKey = `e2b_${"0".repeat(40)}`;
/** Longest time that sandboxes get here. */
const e2bSettings = { timeoutMaxMs: 3_600_000, domain: null };

export interface RegistryBoxOptions {
  /** Requests to sandboxes take the way to nodes of other processes. */
  readonly throughApi?: boolean;
  readonly settings?: Partial<RegistrySettings>;
  /** Served by TLS, at https://localhost:PORT. */
  readonly tls?: { readonly key: Buffer; readonly cert: Buffer };
}

/** `name` is a short word that no other test file uses. The node has the template `base`. */
export function openRegistryBox(
  name: string,
  { throughApi = false, settings = {}, tls }: RegistryBoxOptions = {},
): RegistryBox {
  const scope = openScope();
  const log = createLogger({ level: "error" });
  const callers = new Map<string, Caller>();
  let test: TestNode;
  let directory = "";
  let running: Running;
  const nodeId = randomId() as NodeId;

  const deps = (): Pick<E2bDeps, "authenticate"> => ({
    async authenticate(key = "") {
      const caller = callers.get(key);
      if (caller === undefined) throw new DomainError("unauthenticated", "the API key is not valid");
      return caller;
    },
  });
  const start = async () => {
    const options = { test, directory, nodeId, throughApi, settings, log, ...deps() };
    running = await startRegistry({ ...options, ...(tls === undefined ? {} : { tls }) });
  };

  beforeAll(async () => {
    test = scope.use(await startTestNode(name));
    await drain(
      test.node.templates.build(
        {
          ...{ name: "base", image, readyTimeoutMs: 10_000, env: {}, allowPrivilegeEscalation: false },
          limits: { cpus: 1, memoryBytes: 256 * 1024 * 1024 },
        },
        { replace: false },
        AbortSignal.timeout(60_000),
      ),
    );
    directory = await mkdtemp(join(tmpdir(), "ramet-registry-"));
    scope.defer(() => rm(directory, { recursive: true, force: true }));
    await start();
    const team = newTeam("main", {});
    await running.store.teams.insert(team);
    callers.set(mainKey, { team, isOperator: true });
  });
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    await scope[Symbol.asyncDispose]();
  });

  return {
    get test() {
      return test;
    },
    get app() {
      return running.app;
    },
    get url() {
      return running.url;
    },
    get store() {
      return running.store;
    },
    get registry() {
      return running.registry;
    },
    get nodes() {
      return running.nodes;
    },
    nodeId,
    async team(limits = {}) {
      const team = newTeam(`team-${randomId().slice(0, 8)}`, limits);
      await running.store.teams.insert(team);
      const key = `e2b_${Buffer.from(team.id).toString("hex")}`;
      callers.set(key, { team, isOperator: false });
      return { team, key };
    },
    async ask(method, url, { body, headers = {}, key = mainKey } = {}) {
      const answer = await running.app.inject({
        method,
        url,
        headers: { "x-api-key": key, ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
      });
      const text = answer.body;
      return {
        status: answer.statusCode,
        headers: answer.headers,
        body: text === "" ? undefined : JSON.parse(text),
      };
    },
    async restart(between) {
      await running[Symbol.asyncDispose]();
      await between?.();
      await start();
    },
    async onNode() {
      return (await test.node.sandboxes.list({ statuses: [], labels: {} })).map(({ id }) => id);
    },
  };
}

function newTeam(name: string, limits: TeamLimits): Team {
  return { id: randomId() as TeamId, name, limits, createdAt: new Date() };
}

interface Running extends AsyncDisposable {
  readonly app: FastifyInstance;
  readonly url: string;
  readonly store: RegistryStore;
  readonly registry: OpenRegistry;
  readonly nodes: OpenNodes;
}

interface StartOptions extends Pick<E2bDeps, "authenticate"> {
  readonly test: TestNode;
  readonly directory: string;
  readonly nodeId: NodeId;
  readonly throughApi: boolean;
  readonly log: ReturnType<typeof createLogger>;
  readonly settings: Partial<RegistrySettings>;
  readonly tls?: RegistryBoxOptions["tls"];
}

async function startRegistry({ throughApi, tls: served, ...options }: StartOptions): Promise<Running> {
  const { test, directory, nodeId, log, settings, authenticate } = options;
  await using scope = openScope();
  const now = systemClock;
  const stopping = new AbortController();
  const carrier = openCarrier({ node: test.node, log });
  const store = scope.use(await openSqliteStore(join(directory, "registry.db")));
  await insertNode(store, nodeId);
  const { registry: tls } = await openAuthority(join(directory, "authority"), now);
  const localApi: OpenLocalApi = (options) => openLocalApi(test.node, log, options);
  const nodes = scope.use(await openNodes({ store, tls, lostAfterMs: 300_000, now, log, localApi }));
  const fleet = createFleet();
  nodes.listen({
    onChange({ record, health, report }) {
      if (report !== undefined) fleet.put({ id: record.id, health, isCordoned: record.isCordoned, report });
    },
    onRemoved: (id) => fleet.remove(id),
  });
  const registry = scope.use(
    await openRegistry({ store, fleet, nodes, now, random: Math.random, log, settings }),
  );
  nodes.listen(registry.listener);
  const reporting = report({ test, nodes, nodeId, log }, stopping.signal);
  scope.defer(async () => {
    stopping.abort();
    await reporting;
  });
  const front = openFront(served);
  const remote = throughApi ? await openTunnel(scope, { node: test.node, carrier, tls, log }) : undefined;
  const carrierOf = () => remote ?? carrier;
  front.intercept(openGateway({ traffic: registry.traffic, carrierOf, log }));
  const app = fastify({ ...serverOptions, serverFactory: front.serverFactory });
  scope.defer(() => app.close());
  const keys = openKeys({ store, now });
  await app.register(
    e2bPlugin({ registry: registry.registry, keys, authenticate, now, settings: e2bSettings }),
  );
  await app.listen({ host: "127.0.0.1", port: 0 });
  const { port } = app.server.address() as AddressInfo;
  await waitUntil("the node's report", () => fleet.slots("base").nodes > 0, {
    intervalMs: 20,
    timeoutMs: 10_000,
  });
  const owned = scope.move();
  const url = served === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`;
  return { app, url, store, registry, nodes, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

/** The way to nodes of other processes, of which this one is made to be one; both ends show the same certificate. */
async function openTunnel(
  scope: Scope,
  parts: { node: Node; carrier: NodeCarrier; tls: TlsIdentity; log: ReturnType<typeof createLogger> },
): Promise<Carrier> {
  const { node, carrier, tls, log } = parts;
  const address = { host: "127.0.0.1", port: 0 };
  const refuse = (certificate: Buffer | undefined) =>
    certificate === undefined ? new DomainError("unauthenticated", "no certificate") : undefined;
  const options = { node, address, tls: tlsOptions(tls), dataPlane: carrier, refuse, log, graceMs: 100 };
  const { port } = scope.use(await serveRemote(options, new AbortController().signal));
  const way = openNodePort(`127.0.0.1:${port}`, tls, registryUri);
  scope.defer(async () => way[Symbol.dispose]());
  return tunnelCarrier(way);
}

async function insertNode(store: RegistryStore, id: NodeId): Promise<void> {
  const at = new Date();
  const record = {
    id,
    name: "local",
    address: "",
    certificate: "",
    joinedAt: at,
    isCordoned: false,
    seenAt: at,
  };
  if ((await store.nodes.list()).length === 0) await store.nodes.insert(record);
}

async function report(
  { test, nodes, nodeId, log }: Pick<StartOptions, "test" | "nodeId" | "log"> & { readonly nodes: OpenNodes },
  signal: AbortSignal,
): Promise<void> {
  const reports = openReports({ node: test.node, dataDir: test.dataDir, log }, signal);
  const hello = { instance: "test", version: "test", address: "", peer: "here" };
  const session = { askInventory: () => reports.askInventory(), tellImposter: () => {}, end: () => {} };
  using reporting = nodes.begin(nodeId, hello, session);
  try {
    for await (const news of reports.news) reporting.hear(news);
  } catch (thrown) {
    if (!signal.aborted) throw thrown;
  }
}
