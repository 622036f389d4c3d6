/** API messages as the JSON of shapes.ts; tables are drawn from the same values. */
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { timestampDate } from "@bufbuild/protobuf/wkt";
import type { Checkpoint } from "../gen/ramet/v1/checkpoint_pb.js";
import { type FileInfo, FileType } from "../gen/ramet/v1/file_pb.js";
import type { Image } from "../gen/ramet/v1/image_pb.js";
import type { InfoResponse } from "../gen/ramet/v1/node_pb.js";
import type { ExecExited, ProcessInfo } from "../gen/ramet/v1/process_pb.js";
import {
  type Limits,
  type Error as RemoteError,
  type Sandbox,
  SandboxStatus,
  type StatsResponse,
} from "../gen/ramet/v1/sandbox_pb.js";
import type { Slots, Template } from "../gen/ramet/v1/template_pb.js";
import { type DomainError, errorCodes } from "../lib/errors.js";
import { sandboxStatuses } from "../sandbox/state.js";
import type { Shape } from "./shapes.js";

/** Leaves out what the agent left empty. */
function given<T extends Record<string, unknown>>(fields: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const kept = Object.entries(fields).filter(([, value]) => value !== undefined && value !== "");
  return Object.fromEntries(kept) as { [K in keyof T]?: Exclude<T[K], undefined> };
}

function time(timestamp: Timestamp | undefined): string {
  return (timestamp === undefined ? new Date(0) : timestampDate(timestamp)).toISOString();
}

/** A word from a closed set that the agent sends as text. */
function oneOf<T extends string>(words: readonly T[], word: string, otherwise: T): T {
  return words.find((candidate) => candidate === word) ?? otherwise;
}

/** A message that proto3 makes optional, where the API always sends it. */
export function sent<T>(value: T | undefined, what: string): T {
  if (value === undefined) throw new Error(`the agent's answer has no ${what}`);
  return value;
}

export function statusWord(status: SandboxStatus): Shape<"sandbox">["status"] {
  return oneOf([...sandboxStatuses, "lost"], SandboxStatus[status]?.toLowerCase() ?? "", "failed");
}

function limitsView(limits: Limits | undefined): Shape<"sandbox">["limits"] {
  const memoryBytes = limits?.memoryBytes === undefined ? undefined : Number(limits.memoryBytes);
  return given({ cpus: limits?.cpus, memoryBytes, pids: limits?.pids });
}

export function sandboxView(message: Sandbox | undefined): Shape<"sandbox"> {
  const sandbox = sent(message, "sandbox");
  const { id, name, node, image, labels, env, user, cwd, reason, checkpoint, origin } = sandbox;
  const status = statusWord(sandbox.status);
  const kinds = ["image", "template", "checkpoint", "fork"] as const;
  return {
    id,
    ...given({ name, node }),
    status,
    statusSince: time(sandbox.statusSince),
    createdAt: time(sandbox.createdAt),
    image,
    origin: {
      kind: oneOf(kinds, origin?.kind ?? "", "image"),
      ...given({
        image: origin?.image,
        template: origin?.template,
        checkpoint: origin?.checkpoint,
        source: origin?.source,
      }),
    },
    labels,
    generation: Number(sandbox.generation),
    ...given({ pid: sandbox.pid || undefined, reason }),
    ...(status === "stopped" ? { exitCode: sandbox.exitCode } : {}),
    limits: limitsView(sandbox.limits),
    env,
    user,
    cwd,
    ...given({ checkpoint }),
  };
}

export function errorView(error: DomainError | RemoteError): Shape<"error"> {
  const { message, hint } = error;
  return { code: oneOf(errorCodes, error.code, "internal"), message, ...given({ hint }) };
}

export function checkpointView(message: Checkpoint | undefined): Shape<"checkpoint"> {
  const checkpoint = sent(message, "checkpoint");
  const { id, name, sandbox, parent, image, freezeMs, dependents } = checkpoint;
  return {
    id,
    ...given({ name }),
    kind: oneOf(["user", "golden", "pause", "fork"], checkpoint.kind, "user"),
    sandbox,
    ...given({ parent }),
    image,
    generation: Number(checkpoint.generation),
    memoryBytes: Number(checkpoint.memoryBytes),
    inheritedBytes: Number(checkpoint.inheritedBytes),
    layerBytes: Number(checkpoint.layerBytes),
    freezeMs,
    createdAt: time(checkpoint.createdAt),
    dependents,
  };
}

export function templateView(message: Template | undefined): Shape<"template"> {
  const template = sent(message, "template");
  const { name, image, startCommand, readyCommand, readyTimeoutMs, env, user, cwd } = template;
  return {
    name,
    image,
    ...given({ startCommand, readyCommand }),
    readyTimeoutMs,
    env,
    ...given({ user, cwd }),
    limits: limitsView(template.limits),
    allowPrivilegeEscalation: template.allowPrivilegeEscalation,
    status: oneOf(["building", "ready", "failed"], template.status, "failed"),
    ...given({ node: template.node, reason: template.reason, checkpoint: template.checkpoint }),
    memoryBytes: Number(template.memoryBytes),
    createdAt: time(template.createdAt),
    slots: slotsView(template.slots),
  };
}

function slotsView(message: Slots | undefined): Shape<"template">["slots"] {
  const { min, max, ready, memoryBytes, problem } = sent(message, "slots");
  return { min, max, ready, memoryBytes: Number(memoryBytes), ...given({ problem }) };
}

export function imageView(message: Image | undefined): Shape<"image"> {
  const image = sent(message, "image");
  const { name, digest, architecture, env, user, cwd, entrypoint, cmd } = image;
  const facts = { sizeBytes: Number(image.sizeBytes), createdAt: time(image.createdAt) };
  return { name, digest, ...facts, architecture, env, user, cwd, entrypoint, cmd };
}

export function exitView({ result }: ExecExited): { exitCode?: number; signal?: number } {
  if (result.case === "signal") return { signal: result.value };
  return { exitCode: result.value ?? 0 };
}

export function processView(info: ProcessInfo): Shape<"process"> {
  const { pid, tag, argv, cwd, user, terminal, exited } = info;
  return {
    pid,
    ...given({ tag }),
    argv,
    cwd,
    user,
    terminal,
    startedAt: time(info.startedAt),
    ...given({ exited: exited === undefined ? undefined : exitView(exited) }),
  };
}

const fileTypes = {
  [FileType.REGULAR]: "regular",
  [FileType.DIRECTORY]: "directory",
  [FileType.SYMLINK]: "symlink",
  [FileType.OTHER]: "other",
  [FileType.UNSPECIFIED]: "other",
} as const;

export function fileView(message: FileInfo | undefined): Shape<"file"> {
  const file = sent(message, "file");
  const { path, name, uid, gid, owner, group, symlinkTarget } = file;
  return {
    path,
    name,
    type: fileTypes[file.type],
    sizeBytes: Number(file.sizeBytes),
    mode: `0${file.mode.toString(8).padStart(3, "0")}`,
    uid,
    gid,
    owner,
    group,
    modifiedAt: time(file.modifiedAt),
    ...given({ symlinkTarget }),
  };
}

/** `before` gives the processor share in between; 100 is one whole core. */
export function statsView(sandbox: string, now: StatsResponse, before?: StatsResponse): Shape<"stats"> {
  return {
    sandbox,
    readAt: time(now.readAt),
    cpuSeconds: Number(now.cpuUsageNs) / 1e9,
    ...given({ cpuPercent: before === undefined ? undefined : cpuPercent(before, now) }),
    memoryUsageBytes: Number(now.memoryUsageBytes),
    memoryRssBytes: Number(now.memoryRssBytes),
    sharedMemoryMaxBytes: Number(now.sharedMemoryMaxBytes),
    ...given({ memoryLimitBytes: Number(now.memoryLimitBytes) || undefined }),
    pids: now.pids,
    ...given({ pidsLimit: now.pidsLimit || undefined }),
    layerBytes: Number(now.layerBytes),
    guestRssBytes: Number(now.guestRssBytes),
    oomKills: Number(now.oomKills),
  };
}

function cpuPercent(before: StatsResponse, now: StatsResponse): number {
  const wallMs = Date.parse(time(now.readAt)) - Date.parse(time(before.readAt));
  const usedMs = Number(now.cpuUsageNs - before.cpuUsageNs) / 1e6;
  return wallMs <= 0 ? 0 : Math.max(0, Math.round((usedMs / wallMs) * 1000) / 10);
}

export function infoView(info: InfoResponse): Shape<"info"> {
  const { version, containerdVersion, runcVersion, criuVersion, kernel, cgroups } = info;
  const { sandboxesRunning, sandboxesPaused, agentPid } = info;
  const counts = { sandboxesRunning, sandboxesPaused, diskFreeBytes: Number(info.diskFreeBytes), agentPid };
  return { version, containerdVersion, runcVersion, criuVersion, kernel, cgroups, ...counts };
}
