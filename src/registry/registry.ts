/**
 * The port that edges call: what a team can do with its sandboxes, and what these are made from. Every verb throws
 * DomainError; what is another team's is `not_found`, as if it were not there.
 *
 * `unavailable`: no node, or not the one that has the sandbox, can do it now; trying again may help.
 * `resource_exhausted`: the team's limits, with the numbers.
 */
import type { CatalogueSnapshot, CatalogueTemplate } from "../fleet/catalogue.js";
import type { OnTimeout, OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import type { DomainError } from "../lib/errors.js";
import type { SandboxQuery } from "../registry-store/registry-store.js";

export interface Registry {
  readonly sandboxes: Sandboxes;
  readonly snapshots: Snapshots;
  readonly templates: Templates;
}

export interface Sandboxes {
  /**
   * Durable when it returns. `not_found`: no such template or snapshot. `invalid_argument`: what the node refuses of
   * the environment. An abort undoes it.
   */
  create(team: Team, options: CreateOptions, signal: AbortSignal): Promise<OwnedSandbox>;
  get(team: Team, id: string): Promise<OwnedSandbox>;
  list(team: Team, query: ListQuery): Promise<Page<OwnedSandbox>>;
  /** Running ones, pausing and resuming ones included. */
  countRunning(team: Team): number;
  /**
   * A running one gets at least `timeoutMs` from now; a paused one is resumed and gets just that. One that is pausing
   * is waited for. `failed_precondition`: it is being deleted.
   */
  connect(team: Team, id: string, options: ConnectOptions, signal: AbortSignal): Promise<Connected>;
  /** `failed_precondition` unless it runs. A dump that fails leaves it running. */
  pause(team: Team, id: string, options: PauseOptions, signal: AbortSignal): Promise<void>;
  /** From now; may be sooner than before. `failed_precondition` unless it runs. */
  setTimeout(team: Team, id: string, timeoutMs: number): Promise<void>;
  /** At least so long from now. `failed_precondition` unless it runs. */
  refresh(team: Team, id: string, timeoutMs: number): Promise<void>;
  setNetwork(team: Team, id: string, change: NetworkChange): Promise<void>;
  /** Whatever it is doing. Once it returns, nobody sees it any more, even where its node cannot be reached yet. */
  kill(team: Team, id: string): Promise<void>;
  /** One result for each clone. `failed_precondition` unless it runs. The source runs on. */
  fork(team: Team, id: string, options: ForkOptions, signal: AbortSignal): Promise<readonly ForkResult[]>;
  /** Oldest first. */
  metrics(team: Team, id: string, window: TimeWindow): Promise<readonly Metric[]>;
  /** The newest one of each; ids that are not the team's, or have none yet, are left out. */
  newestMetrics(team: Team, ids: readonly string[]): Promise<ReadonlyMap<string, Metric>>;
  /** Lines that its template's start command has written, as far as they are kept. None while it does not run. */
  logs(team: Team, id: string, signal: AbortSignal): Promise<readonly LogLine[]>;
}

export interface CreateOptions {
  /** `[namespace/]name[:tag]` or an id, of a template or of a snapshot. */
  readonly source: string;
  readonly timeoutMs: number;
  readonly onTimeout: OnTimeout;
  readonly metadata: Readonly<Record<string, string>>;
  readonly env: Readonly<Record<string, string>>;
  /** Gives it an access token. */
  readonly isSecured: boolean;
  /** Ports of it are for those who have its traffic token. */
  readonly isTrafficPrivate: boolean;
  readonly allowInternetAccess: boolean;
  readonly network?: unknown;
  readonly request?: RequestKey;
}

/** The same key with the same hash gets the same answer; with another hash it is refused. */
export interface RequestKey {
  readonly key: string;
  readonly hash: string;
}

export interface ListQuery extends Omit<SandboxQuery, "team" | "template"> {
  /** As a client calls it; nothing is found for one that is not there. */
  readonly template?: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  readonly hasMore: boolean;
}

export interface PauseOptions {
  /** False: its processes end, and a resume starts it anew from its files. Traffic does not wake it. */
  readonly keepsMemory: boolean;
}

export interface ConnectOptions {
  readonly timeoutMs: number;
  /** One that is paused is started anew from its files, though its memory is there. */
  readonly withoutMemory?: boolean;
  /** `failed_precondition` where it runs already. */
  readonly mustBePaused?: boolean;
}

export interface Connected {
  readonly sandbox: OwnedSandbox;
  readonly wasPaused: boolean;
}

export interface NetworkChange {
  readonly network: unknown;
  readonly allowInternetAccess?: boolean;
}

export interface ForkOptions {
  readonly count: number;
  readonly timeoutMs: number;
  readonly request?: RequestKey;
  /** The checkpoint is taken and the source runs on; not called for a request that was answered before. */
  readonly onTaken?: (taken: Taken) => void;
}

export interface Taken {
  readonly checkpoint: string;
  /** How long the source stood still. */
  readonly freezeMs: number;
  readonly memoryBytes: bigint;
}

export type ForkResult =
  | { readonly ok: true; readonly sandbox: OwnedSandbox }
  | { readonly ok: false; readonly error: DomainError };

/** Both inclusive. */
export interface TimeWindow {
  readonly from?: Date;
  readonly until?: Date;
}

export interface Metric {
  readonly at: Date;
  readonly cpus: number;
  /** 100 is one core busy. */
  readonly cpuUsedPct: number;
  readonly memoryUsedBytes: number;
  readonly memoryBytes: number;
  readonly memoryCacheBytes: number;
  readonly diskUsedBytes: number;
  readonly diskBytes: number;
}

export interface LogLine {
  readonly stream: "stdout" | "stderr";
  readonly text: string;
}

export interface Snapshots {
  /** The sandbox stands still for the dump and runs on. A name that the team has used goes over to the new one. */
  create(
    team: Team,
    sandbox: string,
    options: { readonly name?: string },
    signal: AbortSignal,
  ): Promise<CatalogueSnapshot>;
  list(team: Team, query: SnapshotQuery): Promise<Page<CatalogueSnapshot>>;
  /** By id or name. Sandboxes made from it live on. */
  delete(team: Team, source: string): Promise<void>;
}

export interface SnapshotQuery {
  readonly sandbox?: string;
  readonly name?: string;
  readonly after?: { readonly createdAt: Date; readonly id: string };
  readonly limit: number;
}

export interface Templates {
  list(): Promise<readonly TemplateView[]>;
  /** By id, name or alias. */
  get(source: string): Promise<TemplateView>;
  /** On every node that can be reached, and its record. Sandboxes made from it live on. */
  delete(source: string, signal: AbortSignal): Promise<void>;
  /** Whether it is known as `alias`; a snapshot's name counts. */
  findAlias(team: Team, alias: string): Promise<CatalogueTemplate | CatalogueSnapshot | undefined>;
  /** Lets the template that `target` names be called `name:tag` too, for each tag. */
  addTags(target: string, tags: readonly string[]): Promise<TemplateView>;
  /** `not_found`: it has no such tag. */
  removeTags(name: string, tags: readonly string[]): Promise<void>;
}

export interface TemplateView {
  readonly template: CatalogueTemplate;
  /** What one sandbox may use; absent while no node has it. */
  readonly size?: SandboxSize;
  readonly slotsReady: number;
  /** That have it and are ready. */
  readonly nodes: number;
}

export interface SandboxSize {
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}
