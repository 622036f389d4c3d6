/** One node while the registry runs: what is known of it, its stream of reports, the way to call it. */
import { connectivityState } from "@grpc/grpc-js";
import { type AgentApi, agentApi } from "../agent-client/agent-api.js";
import { channelCredentials, type TlsIdentity, tlsServerName } from "../authority/credentials.js";
import { nodeUri } from "../authority/identity.js";
import type { NodeHealth, NodeRecord, NodeReport } from "../fleet/node.js";
import { DomainError } from "../lib/errors.js";
import { openChannel } from "../lib/grpc.js";
import { errorFromStatus } from "../lib/grpc-errors.js";
import { type NodePort, openNodePort } from "./node-port.js";
import type { NodeView } from "./nodes.js";

export interface Member {
  record: NodeRecord;
  health: NodeHealth;
  report?: NodeReport;
  /** Of the registry's clock, in ms: its last report, or the registry's start. */
  heardAt: number;
  /** When `seenAt` was last written down. */
  writtenAt: number;
  session?: ReportSession;
  line?: Line;
  /** Of the registry's clock, in ms: since when its connection has not stood, or was last tried anew. */
  closedSince?: number;
  /** It reports, and cannot be called. */
  isDeaf: boolean;
  /** What listeners are told, one after another. */
  told: Promise<void>;
  waiting: number;
  /** Listeners have missed an inventory; a whole one puts that right. */
  isBehind: boolean;
}

/** One stream of reports. */
export interface ReportSession {
  readonly instance: string;
  readonly version: string;
  askInventory(): void;
  /** A second agent has come with the same certificate, from there, and was refused. */
  tellImposter(peer: string): void;
  /** Ends the stream with this error. */
  end(reason: DomainError): void;
}

export interface Line extends Disposable {
  readonly address: string;
  /** Whether its connection stands; where not, it is tried. */
  isOpen(): boolean;
  readonly api: AgentApi;
  /** For requests to its sandboxes; none on this machine. Throws `unavailable` while it is not reachable. */
  readonly port: () => NodePort | undefined;
  /** Requests to its sandboxes are told so where nothing leads there any more. */
  probe(): void;
}

export function viewOf(member: Member): NodeView {
  const { record, report } = member;
  return { record, health: healthOf(member), ...(report === undefined ? {} : { report }) };
}

export const healthOf = ({ health, isDeaf }: Member): NodeHealth =>
  health === "ready" && isDeaf ? "unreachable" : health;

const timeoutMs = 120_000;
const keepAliveMs = 5000;

/** Three beats of 2 s. */
export const unreachableAfterMs = 6000;

/** The API of the agent of this process. */
export type OpenLocalApi = (options: {
  readonly timeoutMs: number;
  /** The error with which a call fails at once. */
  readonly refuse: () => DomainError | undefined;
}) => Disposable & { readonly api: AgentApi };

export type Reach =
  | { readonly kind: "remote"; readonly tls: TlsIdentity }
  | { readonly kind: "local"; readonly open: OpenLocalApi };

export function openLine(member: Member, reach: Reach): Line {
  return reach.kind === "local" ? openLocalLine(member, reach.open) : openRemoteLine(member, reach.tls);
}

function openLocalLine(member: Member, open: OpenLocalApi): Line {
  const opened = open({ timeoutMs, refuse: () => unreachable(member) });
  return {
    ...{ address: member.record.address, isOpen: () => true, api: opened.api, port: () => undefined },
    probe() {},
    [Symbol.dispose]: () => opened[Symbol.dispose](),
  };
}

/** One channel for all calls; it connects at the first one. */
function openRemoteLine(member: Member, tls: TlsIdentity): Line {
  const { id, name, address } = member.record;
  const channel = openChannel(address, channelCredentials(tls, nodeUri(id)), {
    keepAliveMs,
    serverName: tlsServerName,
  });
  const facts = { callee: `node ${name}`, timeoutMs };
  const api = agentApi(channel, {
    timeoutMs,
    toError: (error) => errorFromStatus(error, facts),
    refuse: () => unreachable(member),
  });
  const port = openNodePort(address, tls, nodeUri(id));
  return {
    ...{ address, api },
    isOpen: () => channel.getChannel().getConnectivityState(true) === connectivityState.READY,
    port() {
      const reason = unreachable(member);
      if (reason !== undefined) throw reason;
      return port;
    },
    probe: () => port.probe(),
    [Symbol.dispose]() {
      channel.close();
      port[Symbol.dispose]();
    },
  };
}

function unreachable(member: Member): DomainError | undefined {
  const { record, heardAt } = member;
  const health = healthOf(member);
  if (health === "ready") return undefined;
  if (member.health === "ready")
    return new DomainError("unavailable", `node ${record.name} is unreachable at ${record.address}`, {
      hint: "it reports: see that its `listen` is an address that the registry reaches, and what is between them",
    });
  return new DomainError("unavailable", `node ${record.name} is ${health}`, {
    hint: `nothing was heard of it since ${new Date(heardAt).toISOString()}: see whether its agent runs and reaches the registry`,
  });
}
