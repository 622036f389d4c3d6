/** Sandboxes and their limits between the wire and the domain. */
import type { MessageInitShape } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import {
  type ForkResponseSchema,
  type Limits as LimitsMessage,
  type OriginSchema,
  type SandboxSchema,
  SandboxStatus as StatusMessage,
} from "../gen/ramet/v1/sandbox_pb.js";
import type { ForkEvent, ForkResult, Stats } from "../node/node.js";
import type { Limits, Origin, Sandbox } from "../sandbox/sandbox.js";
import { type SandboxStatus, sandboxStatuses } from "../sandbox/state.js";
import { invalid, parseCount, present } from "./parse.js";

const memoryBytesMin = 16 * 1024 * 1024;

export const statusToProto = {
  creating: StatusMessage.CREATING,
  running: StatusMessage.RUNNING,
  checkpointing: StatusMessage.CHECKPOINTING,
  pausing: StatusMessage.PAUSING,
  paused: StatusMessage.PAUSED,
  resuming: StatusMessage.RESUMING,
  stopping: StatusMessage.STOPPING,
  stopped: StatusMessage.STOPPED,
  failed: StatusMessage.FAILED,
} as const satisfies Record<SandboxStatus, StatusMessage>;

export function parseStatus(message: StatusMessage): SandboxStatus {
  const status = sandboxStatuses.find((candidate) => statusToProto[candidate] === message);
  if (status === undefined) throw invalid(`sandbox status ${message} does not exist`);
  return status;
}

/** Absent fields mean "not limited". Throws `invalid_argument` outside of the documented ranges. */
export function parseLimits(message: LimitsMessage | undefined): Limits {
  if (message === undefined) return {};
  const { cpus, memoryBytes, pids } = message;
  if (cpus !== undefined && !(cpus >= 0.01 && cpus <= 1024))
    throw invalid(`cpus must be from 0.01 to 1024, not ${cpus}`);
  if (memoryBytes !== undefined && memoryBytes < memoryBytesMin)
    throw invalid(`memory limit of ${memoryBytes} bytes is too small`, "16 MiB is the least");
  if (memoryBytes !== undefined && memoryBytes > Number.MAX_SAFE_INTEGER)
    throw invalid(`memory limit of ${memoryBytes} bytes is too large`);
  if (pids !== undefined) parseCount(pids, "pids", 8, 4_194_304);
  return present({ cpus, memoryBytes: memoryBytes === undefined ? undefined : Number(memoryBytes), pids });
}

export function limitsToProto(limits: Limits) {
  const { cpus, memoryBytes, pids } = limits;
  return { cpus, pids, memoryBytes: memoryBytes === undefined ? undefined : BigInt(memoryBytes) };
}

export function sandboxToProto(sandbox: Sandbox): MessageInitShape<typeof SandboxSchema> {
  const { spec, state } = sandbox;
  return {
    id: sandbox.id,
    name: sandbox.name ?? "",
    status: statusToProto[state.status],
    statusSince: timestampFromDate(state.since),
    createdAt: timestampFromDate(sandbox.createdAt),
    image: spec.image,
    origin: originToProto(sandbox.origin),
    labels: { ...sandbox.labels },
    generation: BigInt(sandbox.generation),
    pid: "pid" in state ? state.pid : 0,
    reason: state.status === "failed" ? state.reason : "",
    exitCode: state.status === "stopped" ? state.exitCode : 0,
    limits: limitsToProto(spec.limits),
    env: { ...spec.env },
    user: spec.user,
    cwd: spec.cwd,
    checkpoint: "checkpoint" in state ? (state.checkpoint ?? "") : "",
  };
}

function originToProto(origin: Origin): MessageInitShape<typeof OriginSchema> {
  return { ...origin };
}

export function forkEventToProto(event: ForkEvent): MessageInitShape<typeof ForkResponseSchema> {
  if (event.kind === "taken") {
    const { id, freezeMs, memoryBytes } = event.checkpoint;
    const taken = { checkpoint: id, freezeMs, memoryBytes: BigInt(memoryBytes) };
    return { event: { case: "taken", value: taken } };
  }
  const { index, durationMs } = event;
  return { event: { case: "clone", value: { index, durationMs, result: forkResultToProto(event.result) } } };
}

function forkResultToProto(result: ForkResult) {
  if (result.ok) return { case: "sandbox" as const, value: sandboxToProto(result.sandbox) };
  const { code, message, hint } = result.error;
  return { case: "error" as const, value: { code, message, hint: hint ?? "" } };
}

export function statsToProto(stats: Stats) {
  return {
    readAt: timestampFromDate(stats.readAt),
    cpuUsageNs: stats.cpuUsageNs,
    memoryUsageBytes: BigInt(stats.memoryUsageBytes),
    memoryRssBytes: BigInt(stats.memoryRssBytes),
    sharedMemoryMaxBytes: BigInt(stats.sharedMemoryMaxBytes),
    memoryLimitBytes: BigInt(stats.memoryLimitBytes ?? 0),
    pids: stats.pids,
    pidsLimit: stats.pidsLimit ?? 0,
    layerBytes: BigInt(stats.layerBytes),
    guestRssBytes: BigInt(stats.guestRssBytes),
    oomKills: BigInt(stats.oomKills),
  };
}
