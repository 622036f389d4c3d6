/** An agent around a node that exists in memory alone: it joins, reports and serves as `rametd agent` does. */
import { serveRemote } from "../../src/api/serve.js";
import { openCarrier } from "../../src/envd/carrier.js";
import { type Address, formatAddress } from "../../src/lib/address.js";
import type { Logger } from "../../src/lib/log.js";
import { openScope } from "../../src/lib/scope.js";
import { openMembership } from "../../src/membership/membership.js";
import type { Node } from "../../src/node/node.js";

export interface LightAgentOptions {
  readonly node: Node;
  readonly name: string;
  readonly registry: Address;
  /** Where it serves. */
  readonly address: Address;
  /** For one start after the other: the first one joins. */
  readonly dataDir: string;
  readonly token: string;
  readonly log: Logger;
}

export interface LightAgent extends AsyncDisposable {
  /** As the registry knows the node. */
  readonly id: string;
}

export async function startLightAgent(options: LightAgentOptions, signal: AbortSignal): Promise<LightAgent> {
  const { node, name, registry, address, dataDir, token, log } = options;
  await using scope = openScope();
  const config = { registry, name, listen: address, address: formatAddress(address) };
  const membership = await openMembership({ config, dataDir, log, readToken: async () => token }, signal);
  const { tls, refuse } = membership;
  const dataPlane = openCarrier({ node, log });
  scope.use(await serveRemote({ node, dataPlane, address, tls, refuse, log, graceMs: 100 }, signal));
  scope.use(membership.report({ node, version: "light" }));
  const owned = scope.move();
  return { id: membership.node, [Symbol.asyncDispose]: () => owned[Symbol.asyncDispose]() };
}
