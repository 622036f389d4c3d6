/** Records of new sandboxes. */
import type { CatalogueEntry } from "../fleet/catalogue.js";
import type { NodeId } from "../fleet/node.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { isId } from "../lib/ids.js";
import { someBytes } from "../lib/random-bytes.js";
import type { Made } from "./make.js";
import type { CreateOptions } from "./registry.js";

const newToken = () => someBytes(32).toString("hex");

export interface NewRecord {
  readonly team: Team;
  readonly entry: CatalogueEntry;
  readonly options: CreateOptions;
  readonly node: NodeId;
  readonly made: Made;
  readonly startedAt: Date;
}

export function newRecord({ team, entry, options, node, made, startedAt }: NewRecord): OwnedSandbox {
  const { timeoutMs, onTimeout, metadata, allowInternetAccess, network, source } = options;
  const name = entry.kind === "template" ? entry.name : entry.name && `${team.name}/${entry.name}`;
  const alias = isId(source) ? name : (name ?? source);
  return {
    ...made,
    team: team.id,
    node,
    template: entry.id,
    state: { status: "running" },
    startedAt,
    endAt: new Date(startedAt.getTime() + timeoutMs),
    ...{ timeoutMs, onTimeout, metadata, allowInternetAccess },
    ...(alias === undefined ? {} : { alias }),
    ...(network === undefined ? {} : { network }),
    ...(options.isSecured ? { accessToken: newToken() } : {}),
    ...(options.isTrafficPrivate ? { trafficToken: newToken() } : {}),
  };
}

/** The same as its source but for what each has for itself. */
export function cloneRecord(
  source: OwnedSandbox,
  { id }: Made,
  { timeoutMs, startedAt }: { readonly timeoutMs: number; readonly startedAt: Date },
): OwnedSandbox {
  return {
    ...source,
    id,
    state: { status: "running" },
    startedAt,
    endAt: new Date(startedAt.getTime() + timeoutMs),
    timeoutMs,
    ...(source.accessToken === undefined ? {} : { accessToken: newToken() }),
    ...(source.trafficToken === undefined ? {} : { trafficToken: newToken() }),
  };
}
