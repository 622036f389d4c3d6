/** The nodes' API over all nodes, for the process of a registry. */
import type { RegistryConfig } from "../config/registry-schema.js";
import type { Address } from "../lib/address.js";
import type { Scope } from "../lib/scope.js";
import type { RegistryParts } from "../registry/start.js";
import { openCallers } from "./callers.js";
import { credentialsOf } from "./credentials.js";
import { serveNodesApi } from "./serve.js";

export interface OpenGateway {
  /** As configured; the port is never 0. */
  readonly address: Address;
  readonly tls: boolean;
}

/** What it owns it leaves with the scope. Undefined where it is turned off. */
export async function openNodesApi(
  { api, tls }: Pick<RegistryConfig, "api" | "tls">,
  parts: RegistryParts,
  scope: Scope,
): Promise<OpenGateway | undefined> {
  if (api === undefined) return undefined;
  const credentials = credentialsOf(parts.certificate);
  const callerOf = openCallers(parts);
  const address = api.listen;
  const { port } = scope.use(await serveNodesApi({ ...parts, callerOf, address, credentials }));
  return { address: { host: address.host, port }, tls: tls !== undefined };
}
