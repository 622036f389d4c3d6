/** The nodes' API over all nodes, for the process of a registry. */
import { readFile } from "node:fs/promises";
import { ServerCredentials } from "@grpc/grpc-js";
import type { RegistryConfig } from "../config/registry-schema.js";
import type { Address } from "../lib/address.js";
import type { Scope } from "../lib/scope.js";
import type { RegistryParts } from "../registry/start.js";
import { openCallers } from "./callers.js";
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
  const credentials = tls === undefined ? ServerCredentials.createInsecure() : await credentialsOf(tls);
  const callerOf = openCallers(parts);
  const address = api.listen;
  const { port } = scope.use(await serveNodesApi({ ...parts, callerOf, address, credentials }));
  return { address: { host: address.host, port }, tls: tls !== undefined };
}

async function credentialsOf({ certificate, key }: NonNullable<RegistryConfig["tls"]>) {
  // The server of the REST address has read them before, and says what is wrong with them.
  const [cert_chain, private_key] = await Promise.all([readFile(certificate), readFile(key)]);
  return ServerCredentials.createSsl(null, [{ cert_chain, private_key }]);
}
