/** The nodes' API over all nodes of a registry, as `ramet --registry` uses it. */
import { createSecureContext } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import { z } from "zod";
import { agentApi } from "../agent-client/agent-api.js";
import { formatAddress, isLoopback } from "../lib/address.js";
import { DomainError } from "../lib/errors.js";
import { openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "../lib/grpc-errors.js";
import type { Api } from "./client.js";
import { askRegistry, parseUrl } from "./registry-client.js";

export interface ConnectRegistryOptions {
  readonly url: string;
  /** Of a team, or the operator's. Absent: none is sent, as a registry in development mode wants it. */
  readonly key: string | undefined;
  /** Bound of each unary call; 0: none. */
  readonly timeoutMs: number;
}

/** What GET / of a registry says (docs/admin-api.md). */
const welcomeSchema = z.object({
  name: z.literal("ramet registry"),
  api: z.object({ host: z.string(), port: z.int(), tls: z.boolean() }).optional(),
});

/** Finds the port by the registry's own word. `failed_precondition`: it is none for us, or the key would go in clear. */
export async function connectRegistry(options: ConnectRegistryOptions, signal: AbortSignal): Promise<Api> {
  const { key, timeoutMs } = options;
  const base = parseUrl(options.url);
  const host = base.hostname.replace(/^\[(.*)\]$/, "$1");
  const { api } = await askRegistry(base, welcomeSchema, { timeoutMs }, signal);
  if (api === undefined)
    throw new DomainError(
      "failed_precondition",
      `the registry at ${base.host} has the nodes' API turned off`,
      {
        hint: "set api.listen in its configuration",
      },
    );
  if (isLoopback(api.host) && !isLoopback(host))
    throw new DomainError(
      "failed_precondition",
      `the registry at ${base.host} serves the nodes' API on its own machine alone`,
      { hint: "run the command there, or set api.listen in the registry's configuration, with tls" },
    );
  if (key !== undefined && !api.tls && !isLoopback(host))
    throw new DomainError("failed_precondition", `the key would go to ${host} in clear`, {
      hint: "set tls.certificate in the registry's configuration, or run the command on its machine",
    });
  const address = formatAddress({ host, port: api.port });
  // The authorities are Node's, as for the request above: by itself gRPC takes others, of an environment variable.
  const channel = openChannel(
    address,
    api.tls ? credentials.createFromSecureContext(createSecureContext()) : credentials.createInsecure(),
  );
  const facts = {
    callee: `the registry at ${address}`,
    timeoutMs,
    timeoutHint: "give it longer with --timeout; 0 means no limit",
  };
  return {
    ...agentApi(channel, {
      timeoutMs,
      metadata: key === undefined ? {} : { authorization: `Bearer ${key}` },
      toError: (error) => errorFromStatus(error, facts),
    }),
    [Symbol.dispose]: () => channel.close(),
  };
}
