/** What runs in the process of an agent: the node, its API, and where it is a node of a registry, its membership. */

import { fileURLToPath } from "node:url";
import { serveApi, serveRemote } from "../api/serve.js";
import type { AgentConfig } from "../config/schema.js";
import { type NodeCarrier, openCarrier } from "../envd/carrier.js";
import { formatAddress } from "../lib/address.js";
import type { Logger } from "../lib/log.js";
import { openScope } from "../lib/scope.js";
import { shipped } from "../lib/shipped.js";
import { openMembership } from "../membership/membership.js";
import { readToken } from "../membership/read-token.js";
import type { Node } from "../node/node.js";
import { startNode } from "../node/start.js";

export interface RunOptions {
  readonly config: AgentConfig;
  readonly version: string;
  readonly log: Logger;
}

export interface RunningAgent extends AsyncDisposable {
  readonly node: Node;
  readonly dataPlane: NodeCarrier;
}

const built = (path: string) => fileURLToPath(shipped(path));

export async function runAgent(
  { config, version, log }: RunOptions,
  signal: AbortSignal,
): Promise<RunningAgent> {
  await using scope = openScope();
  // A token that is refused is found out before anything is started.
  const membership = await openMembershipOf(config, log, signal);
  const release = { guestBinary: built("guest/guest"), memorydBinary: built("memoryd/memoryd"), version };
  const started = scope.use(await startNode({ config, ...release, log }, signal));
  const { node } = started;
  const dataPlane = openCarrier({ node, log });
  scope.use(await serveApi({ node, socketPath: config.socket, log }, signal));
  if (membership !== undefined && config.membership !== undefined) {
    const { listen, address } = config.membership;
    const { tls, refuse } = membership;
    scope.use(await serveRemote({ node, dataPlane, address: listen, tls, refuse, log }, signal));
    scope.use(membership.report({ node, version }));
    log.info({ listen: formatAddress(listen), address, node: membership.node }, "serving the registry");
  }
  const owned = scope.move();
  return { node, dataPlane, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}

async function openMembershipOf(
  { membership: config, dataDir }: AgentConfig,
  log: Logger,
  signal: AbortSignal,
) {
  if (config === undefined) return undefined;
  const readIt = () => readToken(config, process.stdin);
  return await openMembership({ config, dataDir, log, readToken: readIt }, signal);
}
