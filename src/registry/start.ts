/** Builds a registry out of its parts: the one place where they are wired. Edges (E2B, administration) are handed in. */
import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  fastify,
} from "fastify";
import { type Authority, openAuthority } from "../authority/authority.js";
import type { RegistryConfig } from "../config/registry-schema.js";
import type { Fleet } from "../fleet/fleet.js";
import { createFleet } from "../fleet/placement.js";
import { type Address, formatAddress, isLoopback } from "../lib/address.js";
import { type Clock, systemClock } from "../lib/clock.js";
import { DomainError } from "../lib/errors.js";
import type { Logger } from "../lib/log.js";
import { openScope, type Scope } from "../lib/scope.js";
import type { RegistryStore } from "../registry-store/registry-store.js";
import { openSqliteStore } from "../registry-store/sqlite/open-sqlite-store.js";
import { type IsAdmin, openAdminKey } from "./admin-key.js";
import { certificateCheckMs, type LiveCertificate, openCertificate } from "./certificate.js";
import { type Front, openFront } from "./front.js";
import { type Keys, openKeys } from "./keys.js";
import { type LocalNode, reportLocally } from "./local-node.js";
import { serveNodes } from "./membership-service.js";
import type { OnNodes } from "./on-nodes.js";
import { type OpenNodes, openNodes } from "./open-nodes.js";
import { openRegistry } from "./open-registry.js";
import { refusePages } from "./pages.js";
import type { Pools } from "./pools.js";
import type { Registry } from "./registry.js";
import { openTeams, type Teams } from "./teams.js";
import { createTicker } from "./ticker.js";
import type { Traffic } from "./traffic.js";

export interface RegistryParts {
  readonly store: RegistryStore;
  readonly authority: Authority;
  readonly nodes: OpenNodes;
  readonly fleet: Fleet;
  /** The verbs that edges call. */
  readonly registry: Registry;
  readonly pools: Pools;
  readonly traffic: Traffic;
  readonly onNodes: OnNodes;
  readonly teams: Teams;
  readonly keys: Keys;
  readonly front: Front;
  /** Of the addresses for clients; absent where they are served in clear. */
  readonly certificate?: LiveCertificate;
  /** Absent without keys: whoever reaches it may do everything. */
  readonly isAdmin?: IsAdmin;
  readonly now: Clock;
  readonly log: Logger;
}

/**
 * Gives routes to the server, and listens to the nodes: before the first of them reports. What it owns it leaves with
 * the scope.
 */
export type Edge = (app: FastifyInstance, parts: RegistryParts, scope: Scope) => Promise<void>;

export interface RegistryOptions {
  readonly config: RegistryConfig;
  readonly edges: readonly Edge[];
  readonly log: Logger;
  /** The agent of the same process, as a node without a certificate. */
  readonly local?: LocalNode;
}

export interface StartedRegistry extends AsyncDisposable {
  readonly rest: Address;
  readonly nodes: Address;
}

/** Of the server that edges give their routes to. */
export const serverOptions = {
  bodyLimit: 1024 * 1024,
  // One part of a path can be a snapshot's id: two names, and what encodes the signs in between.
  routerOptions: { maxParamLength: 512 },
  forceCloseConnections: true,
  /** Of a path that no route is asked about, as it cannot be read or a part of it is too long. */
  frameworkErrors({ statusCode: code = 400 }: FastifyError, _request: FastifyRequest, reply: FastifyReply) {
    const message = code === 414 ? "the path is too long" : "the path cannot be read";
    void reply.code(code).send({ code, message });
  },
} as const;

export async function startRegistry(options: RegistryOptions, signal: AbortSignal): Promise<StartedRegistry> {
  const { config, edges, log, local } = options;
  signal.throwIfAborted();
  await using scope = openScope();
  const parts = await openParts(options, scope);
  const { nodes, store, authority, now } = parts;
  const { serverFactory } = parts.front;
  const app = fastify({ ...serverOptions, serverFactory });
  scope.defer(() => app.close());
  if (config.keys === "off") refusePages(app, { isTls: config.tls !== undefined });
  for (const edge of edges) await edge(app, parts, scope);
  if (local !== undefined) scope.use(await reportLocally(local, { store, nodes, now, log }));
  const address = config.nodes.listen;
  const served = scope.use(await serveNodes({ store, authority, nodes, address, now, log }));
  const rest = await listenRest(app, config.listen);
  const owned = scope.move();
  return {
    rest,
    nodes: { host: address.host, port: served.port },
    [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose](),
  };
}

async function openParts({ config, log, local }: RegistryOptions, scope: Scope): Promise<RegistryParts> {
  const { dataDir, keys: mode, nodes: nodesConfig } = config;
  const now = systemClock;
  await openDirectory(dataDir);
  // The database is locked by whoever uses it: from here on this is the only registry of the directory.
  const store = scope.use(await openSqliteStore(join(dataDir, "registry.db")));
  const authority = await openAuthority(join(dataDir, "authority"), now);
  const isAdmin = mode === "on" ? await openAdminKey(join(dataDir, "admin.key")) : undefined;
  const nodes = scope.use(
    await openNodes({
      ...{ store, tls: authority.registry, lostAfterMs: nodesConfig.lostAfterMs, now, log },
      ...(local === undefined ? {} : { localApi: local.openApi }),
    }),
  );
  const fleet = createFleet();
  nodes.listen({
    onChange({ record: { id, isCordoned }, health, report }) {
      if (report !== undefined) fleet.put({ id, health, isCordoned, report });
    },
    onRemoved: (id) => fleet.remove(id),
  });
  const opened = scope.use(await openRegistry({ store, fleet, nodes, now, random: Math.random, log }));
  nodes.listen(opened.listener);
  const { registry, pools, traffic, onNodes } = opened;
  const certificate = config.tls && (await openCertificate(config.tls, log));
  const front = openFront(certificate?.current());
  if (certificate !== undefined) {
    certificate.listen(front.renew);
    scope.use(createTicker(log)).every(certificateCheckMs, "the certificate", certificate.check);
  }
  const keys = openKeys({ store, now });
  const teams = openTeams({ store, keys, now });
  return {
    ...{
      store,
      authority,
      nodes,
      fleet,
      registry,
      pools,
      traffic,
      onNodes,
      teams,
      keys,
      front,
      now,
      log,
    },
    ...(isAdmin === undefined ? {} : { isAdmin }),
    ...(certificate === undefined ? {} : { certificate }),
  };
}

async function openDirectory(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await chmod(path, 0o700);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError("unavailable", `cannot use the data directory ${path}: ${why}`, {
      cause,
      hint: "it must be a directory of this user's that can be written to; data_dir names another",
    });
  }
}

async function listenRest(app: FastifyInstance, { host, port }: Address): Promise<Address> {
  try {
    await app.listen({ host, port });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new DomainError(
      "failed_precondition",
      `cannot listen on ${formatAddress({ host, port })}: ${why}`,
      {
        cause,
        hint: "see that the address is this machine's, and that nothing else listens there",
      },
    );
  }
  const bound = app.server.address();
  return { host, port: typeof bound === "object" && bound !== null ? bound.port : port };
}

/** For the log: what an operator should know about where it listens. */
export function describeListening({ keys, tls, listen }: RegistryConfig): string {
  if (keys === "off") return "without keys: everybody on this machine may do everything";
  if (tls === undefined && !isLoopback(listen.host))
    return "in clear: put TLS in front, or set tls.certificate";
  return "with keys";
}
