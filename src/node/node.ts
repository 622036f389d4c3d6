/**
 * What a node can do, in domain words: the port between the edges (gRPC, later HTTP) and the verbs of this
 * folder. `ref` is an id, a unique prefix of one, or a name. Every promise rejects with a DomainError.
 */
import type { Checkpoint } from "../checkpoint/checkpoint.js";
import type { Image } from "../image/image.js";
import type { DomainError } from "../lib/errors.js";
import type { Limits, Sandbox, SandboxId } from "../sandbox/sandbox.js";
import type { SandboxStatus } from "../sandbox/state.js";
import type { SlotTarget, Template, TemplateSpec } from "../template/template.js";
import type { Files } from "./files.js";
import type { Ports } from "./ports.js";
import type { Processes } from "./processes.js";

export interface Node {
  readonly sandboxes: Sandboxes;
  readonly processes: Processes;
  readonly files: Files;
  readonly ports: Ports;
  readonly checkpoints: Checkpoints;
  readonly templates: Templates;
  readonly images: Images;
  events(query: EventQuery, signal: AbortSignal): AsyncIterable<NodeEvent>;
  info(signal: AbortSignal): Promise<NodeInfo>;
}

export type Env = Readonly<Record<string, string>>;

export interface CreateOptions {
  readonly source:
    | { readonly kind: "template"; readonly template: string }
    | {
        readonly kind: "image";
        readonly image: string;
        readonly limits: Limits;
        readonly user?: string;
        readonly cwd?: string;
        readonly allowPrivilegeEscalation: boolean;
      }
    | { readonly kind: "checkpoint"; readonly checkpoint: string };
  readonly name?: string;
  readonly labels: Env;
  readonly env: Env;
}

/** `isWarm`: it was a warm slot. Else it was restored or started for the call. */
export interface Created extends Sandbox {
  readonly isWarm: boolean;
}

export interface ForkOptions {
  /** 1 to 1,000. */
  readonly count: number;
  readonly namePrefix?: string;
  readonly labels: Env;
  readonly env: Env;
}

export type ForkEvent =
  | { readonly kind: "taken"; readonly checkpoint: Checkpoint }
  | {
      readonly kind: "clone";
      readonly index: number;
      readonly durationMs: number;
      readonly result: ForkResult;
    };
export type ForkResult =
  | { readonly ok: true; readonly sandbox: Sandbox }
  | { readonly ok: false; readonly error: DomainError };

export interface KeepOptions {
  /** Deletes the source as well, and gives its name to the clone. */
  readonly replaceSource: boolean;
}

export interface Kept {
  readonly sandbox: Sandbox;
  /** Those that were deleted. */
  readonly dropped: readonly SandboxId[];
}

export interface CommitOptions {
  readonly image: string;
  readonly replace: boolean;
  readonly comment?: string;
  readonly author?: string;
  readonly env: Env;
  readonly cmd: readonly string[];
  readonly entrypoint: readonly string[];
  readonly user?: string;
  readonly cwd?: string;
}

export interface Sandboxes {
  create(options: CreateOptions, signal: AbortSignal): Promise<Created>;
  get(ref: string): Promise<Sandbox>;
  list(filter: {
    readonly statuses: readonly SandboxStatus[];
    readonly labels: Env;
  }): Promise<readonly Sandbox[]>;
  fork(ref: string, options: ForkOptions, signal: AbortSignal): AsyncIterable<ForkEvent>;
  /** Deletes the other clones of the same fork. `failed_precondition` for what is no clone of one. */
  keep(ref: string, options: KeepOptions, signal: AbortSignal): Promise<Kept>;
  pause(ref: string, signal: AbortSignal): Promise<{ sandbox: Sandbox; checkpoint: Checkpoint }>;
  /** Keeps its files alone: its processes end. */
  pauseWithoutMemory(ref: string, signal: AbortSignal): Promise<Sandbox>;
  /** Where its pause kept no memory, it is started anew from its files. */
  resume(ref: string, signal: AbortSignal): Promise<Sandbox>;
  /** Gives up what its pause kept of memory, and starts it anew from its files. */
  resumeWithoutMemory(ref: string, signal: AbortSignal): Promise<Sandbox>;
  /**
   * Takes a running or paused sandbox back to a checkpoint of its lineage under the same id; what it was is given
   * up. `failed_precondition`: another state, or a checkpoint that is none of its own and none of its ancestors'.
   * A restore that fails leaves it paused there.
   */
  rollBack(ref: string, options: { readonly checkpoint: string }, signal: AbortSignal): Promise<Sandbox>;
  stop(ref: string, options: { readonly graceMs: number }, signal: AbortSignal): Promise<Sandbox>;
  delete(ref: string, options: { readonly force: boolean }, signal: AbortSignal): Promise<void>;
  commit(
    ref: string,
    options: CommitOptions,
    signal: AbortSignal,
  ): Promise<{ image: Image; layerBytes: number }>;
  stats(ref: string, signal: AbortSignal): Promise<Stats>;
  /** By what each is called. Those that cannot be read are left out. */
  listStats(refs: readonly string[], signal: AbortSignal): Promise<ReadonlyMap<string, Stats>>;
  logs(
    ref: string,
    options: { readonly pid?: number; readonly follow: boolean },
    signal: AbortSignal,
  ): AsyncIterable<LogChunk>;
}

export interface LogChunk {
  readonly stream: "stdout" | "stderr";
  readonly data: Uint8Array;
  readonly droppedBytes: number;
}

export interface Stats {
  readonly readAt: Date;
  readonly cpuUsageNs: bigint;
  readonly memoryUsageBytes: number;
  readonly memoryRssBytes: number;
  /** Of the memory files that it was restored from; how much of them is read or changed, the kernel does not say cheaply. */
  readonly sharedMemoryMaxBytes: number;
  readonly memoryLimitBytes?: number;
  readonly pids: number;
  readonly pidsLimit?: number;
  readonly layerBytes: number;
  readonly guestRssBytes: number;
  readonly oomKills: number;
}

export interface CheckpointView {
  readonly checkpoint: Checkpoint;
  /** What stands on it, in words. */
  readonly dependents: readonly string[];
}

export interface Checkpoints {
  create(ref: string, options: { readonly name?: string }, signal: AbortSignal): Promise<Checkpoint>;
  list(filter: { readonly sandbox?: string; readonly all: boolean }): Promise<readonly CheckpointView[]>;
  get(ref: string): Promise<CheckpointView & { readonly manifestJson: string }>;
  /** Sentences, one for each problem; none when it is whole and restorable here. */
  verify(ref: string, signal: AbortSignal): Promise<readonly string[]>;
  delete(ref: string, signal: AbortSignal): Promise<void>;
}

export interface TemplateProgress {
  readonly step: "starting" | "waiting" | "dumping" | "done";
  readonly message: string;
  readonly template?: Template;
}
export interface TemplateView {
  readonly template: Template;
  /** Of the golden checkpoint; 0 until it is ready. */
  readonly memoryBytes: number;
  /** What one more slot is likely to take; 0 until it is ready, and where its files cannot be read. */
  readonly cloneBytes: number;
  readonly slots: SlotsView;
}
export interface SlotsView extends SlotTarget {
  /** Slots that can be claimed now, and the memory that they hold. */
  readonly ready: number;
  readonly memoryBytes: number;
  /** Why there are fewer than `min`, as far as it is known. */
  readonly problem?: string;
}
export interface Templates {
  build(
    spec: TemplateSpec,
    options: { readonly replace: boolean },
    signal: AbortSignal,
  ): AsyncIterable<TemplateProgress>;
  get(name: string): Promise<TemplateView>;
  list(): Promise<readonly TemplateView[]>;
  /** How many warm slots it keeps from now on; they come and go afterwards. `invalid_argument`: not 0 <= min <= max <= 1,000. */
  setSlots(name: string, target: SlotTarget): Promise<TemplateView>;
  delete(name: string, signal: AbortSignal): Promise<void>;
}

export interface ImageProgress {
  readonly step: string;
  readonly doneBytes: number;
  readonly totalBytes: number;
  readonly image?: Image;
}
export interface Images {
  import(
    path: string,
    options: { readonly name?: string },
    signal: AbortSignal,
  ): AsyncIterable<ImageProgress>;
  pull(
    reference: string,
    options: { readonly plainHttp: boolean; readonly username?: string; readonly password?: string },
    signal: AbortSignal,
  ): AsyncIterable<ImageProgress>;
  list(signal: AbortSignal): Promise<readonly Image[]>;
  get(name: string, signal: AbortSignal): Promise<Image>;
  delete(name: string, signal: AbortSignal): Promise<void>;
}

export interface EventQuery {
  readonly sandbox?: string;
  /** Events with a greater id. `now`: those to come. */
  readonly sinceId: number | "now";
  readonly follow: boolean;
}
export interface NodeEvent {
  readonly id: number;
  readonly at: Date;
  readonly type: string;
  readonly sandbox?: string;
  readonly attributes: Env;
}

export interface NodeInfo {
  readonly version: string;
  readonly containerdVersion: string;
  readonly runcVersion: string;
  readonly criuVersion: string;
  readonly kernel: string;
  readonly cgroups: "v1" | "hybrid" | "v2";
  readonly sandboxesRunning: number;
  readonly sandboxesPaused: number;
  readonly diskFreeBytes: number;
  readonly agentPid: number;
}
