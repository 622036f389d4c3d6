/** What runs in the process of a registry: its parts, and the edges that serve them. */

import { nodeRoutes } from "../admin/nodes.js";
import { servePage } from "../admin/page.js";
import { adminPlugin } from "../admin/plugin.js";
import { poolRoutes } from "../admin/pools.js";
import { teamRoutes } from "../admin/teams.js";
import { openLocalApi } from "../api/local-api.js";
import type { RegistryConfig } from "../config/registry-schema.js";
import { e2bEdge, type OpenDataPlane } from "../e2b/edge.js";
import { type Carrier, openGateway } from "../gateway/gateway.js";
import { tunnelCarrier } from "../gateway/tunnel.js";
import { formatAddress } from "../lib/address.js";
import type { Logger } from "../lib/log.js";
import { openReports } from "../membership/reports.js";
import type { Node } from "../node/node.js";
import { openNodesApi } from "../nodes-api/edge.js";
import { describeListening, type Edge, type StartedRegistry, startRegistry } from "../registry/start.js";

export interface RunRegistryOptions {
  readonly config: RegistryConfig;
  readonly log: Logger;
  /** The agent of the same process. */
  readonly local?: {
    readonly node: Node;
    readonly dataPlane: Carrier;
    readonly name: string;
    readonly dataDir: string;
    readonly version: string;
  };
}

export async function runRegistry(
  { config, log, local }: RunRegistryOptions,
  signal: AbortSignal,
): Promise<StartedRegistry> {
  const started = await startRegistry(
    {
      ...{ config, log, edges: [administration, e2bEdge(dataPlane(local?.dataPlane)), frontPage(config)] },
      ...(local === undefined
        ? {}
        : {
            local: {
              ...local,
              openApi: (options) => openLocalApi(local.node, log, options),
              openReports: (linked) => openReports({ ...local, log }, linked),
            },
          }),
    },
    signal,
  );
  log.info(
    { rest: formatAddress(started.rest), nodes: formatAddress(started.nodes) },
    `the registry is ready, ${describeListening(config)}`,
  );
  return started;
}

/** The way to sandboxes: the agent of this process is called, others by the connection that their node has. */
function dataPlane(local: Carrier | undefined): OpenDataPlane {
  return ({ traffic, nodes, log }) =>
    openGateway({
      ...{ traffic, log },
      carrierOf(id) {
        const isLocal = nodes.get(id).record.certificate === "";
        return isLocal && local !== undefined ? local : tunnelCarrier(nodes.port(id));
      },
    });
}

/** What says where everything is, and the nodes' API, which only it knows the port of. */
const frontPage =
  (config: RegistryConfig): Edge =>
  async (app, parts, scope) => {
    const served = await openNodesApi(config, parts, scope);
    const api = served && { ...served.address, tls: served.tls };
    await servePage(app, { name: "ramet registry", ...(api === undefined ? {} : { api }) });
  };

const administration: Edge = async (app, parts) => {
  const { isAdmin, log, teams, keys } = parts;
  const routes = [...teamRoutes({ teams, keys }), ...nodeRoutes(parts), ...poolRoutes(parts)];
  await app.register(adminPlugin({ routes, log, ...(isAdmin === undefined ? {} : { isAdmin }) }), {
    prefix: "/admin/v1",
  });
};
