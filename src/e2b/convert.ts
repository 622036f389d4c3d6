/** The registry's nouns in E2B's words. */
import type { CatalogueSnapshot } from "../fleet/catalogue.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import { defaultTag } from "../fleet/source-name.js";
import type { Team } from "../fleet/team.js";
import type { Metric, SandboxSize } from "../registry/registry.js";
import type { E2bSettings } from "./call.js";

/** Version of envd's protocol that sandboxes speak. Clients turn features on and off by it. */
export const envdVersion = "0.6.13";
/** Of no meaning any more, and required. */
const clientID = "ramet";
const mib = 1024 * 1024;

export function sandboxBody(sandbox: OwnedSandbox, { domain }: E2bSettings) {
  return {
    templateID: sandbox.template,
    sandboxID: sandbox.id,
    ...aliasBody(sandbox),
    clientID,
    envdVersion,
    ...accessBody(sandbox),
    trafficAccessToken: sandbox.trafficToken ?? null,
    domain,
  };
}

export function listedBody(sandbox: OwnedSandbox) {
  return {
    templateID: sandbox.template,
    ...aliasBody(sandbox),
    sandboxID: sandbox.id,
    clientID,
    startedAt: sandbox.startedAt.toISOString(),
    endAt: sandbox.endAt.toISOString(),
    ...sizeBody(sandbox),
    metadata: sandbox.metadata,
    ...stateBody(sandbox),
    envdVersion,
    volumeMounts: [],
  };
}

export function detailBody(sandbox: OwnedSandbox, { domain }: E2bSettings) {
  const { onTimeout, network } = sandbox;
  const autoResume = onTimeout.kind === "pause" && onTimeout.resumesOnTraffic;
  return {
    ...listedBody(sandbox),
    ...accessBody(sandbox),
    allowInternetAccess: sandbox.allowInternetAccess,
    domain,
    ...(network === undefined ? {} : { network }),
    lifecycle: { autoResume, onTimeout: onTimeout.kind },
  };
}

const aliasBody = ({ alias }: OwnedSandbox) => (alias === undefined ? {} : { alias });

const accessBody = ({ accessToken }: OwnedSandbox) =>
  accessToken === undefined ? {} : { envdAccessToken: accessToken };

/** E2B's clients know two states. One whose node is lost has what it last had, and says so in `lost`. */
function stateBody({ state }: OwnedSandbox) {
  switch (state.status) {
    case "running":
    case "resuming":
    case "killing":
      return { state: "running" };
    case "pausing":
    case "paused":
      return { state: "paused" };
    case "lost":
      return {
        state: state.wasPaused ? "paused" : "running",
        lost: { lastSeenAt: state.lastSeenAt.toISOString() },
      };
  }
}

export function sizeBody({ cpus, memoryBytes, diskBytes }: SandboxSize) {
  return {
    cpuCount: Math.max(1, Math.ceil(cpus)),
    memoryMB: Math.round(memoryBytes / mib),
    diskSizeMB: Math.round(diskBytes / mib),
  };
}

export function snapshotBody({ id, name }: CatalogueSnapshot, team: Team) {
  if (name === undefined) return { snapshotID: `${id}:${defaultTag}`, names: [] };
  const called = `${team.name}/${name}:${defaultTag}`;
  return { snapshotID: called, names: [called] };
}

export function metricBody(metric: Metric) {
  return {
    timestamp: metric.at.toISOString(),
    timestampUnix: Math.floor(metric.at.getTime() / 1000),
    cpuCount: Math.max(1, Math.ceil(metric.cpus)),
    cpuUsedPct: metric.cpuUsedPct,
    memUsed: metric.memoryUsedBytes,
    memTotal: metric.memoryBytes,
    memCache: metric.memoryCacheBytes,
    diskUsed: metric.diskUsedBytes,
    diskTotal: metric.diskBytes,
  };
}
