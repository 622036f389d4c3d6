/**
 * What the registry has acknowledged: the one interface to whatever keeps it. Each call is one step that happens as a
 * whole or not at all, and survives a power cut once its promise resolves, unless it says otherwise. Calls that come
 * together may share one commit. Nothing outside this folder knows how it is kept.
 *
 * Errors: `not_found`, `already_exists`; `resource_exhausted` when there is no room to write (reads go on);
 * `unavailable` when the store is gone; `internal` for a row that cannot be read.
 */
import type { CatalogueEntry, CatalogueSnapshot, CatalogueTemplate } from "../fleet/catalogue.js";
import type { NodeId, NodeRecord } from "../fleet/node.js";
import type { PoolSettings } from "../fleet/pool.js";
import type { OwnedSandbox, SandboxOutline } from "../fleet/sandbox.js";
import type { ApiKey, Team, TeamId, TeamLimits } from "../fleet/team.js";

export interface RegistryStore extends AsyncDisposable {
  readonly teams: Teams;
  readonly keys: ApiKeys;
  readonly tokens: JoinTokens;
  readonly nodes: NodeRecords;
  readonly sandboxes: OwnedSandboxes;
  readonly catalogue: Catalogue;
  readonly pools: Pools;
  readonly requests: Requests;
}

export interface Teams {
  /** `already_exists`: the id or the name. */
  insert(team: Team): Promise<void>;
  get(id: TeamId): Promise<Team>;
  findByName(name: string): Promise<Team | undefined>;
  /** By name. */
  list(): Promise<readonly Team[]>;
  setLimits(id: TeamId, limits: TeamLimits): Promise<Team>;
}

export interface ApiKeys {
  insert(key: ApiKey): Promise<void>;
  /** Revoked ones too. */
  findByHash(hash: string): Promise<ApiKey | undefined>;
  /** Oldest first, revoked ones too. */
  list(team: TeamId): Promise<readonly ApiKey[]>;
  /** `not_found`: the team has no such key. Revoking it again changes nothing. */
  revoke(team: TeamId, id: string, at: Date): Promise<ApiKey>;
}

/** Tokens that let one node join, once. */
export interface JoinToken {
  readonly id: string;
  /** SHA-256 of the secret, lower-case hexadecimal. */
  readonly hash: string;
  readonly createdAt: Date;
  readonly expiresAt: Date;
  /** The node that joined with it. */
  readonly usedBy?: NodeId;
}

export interface JoinTokens {
  insert(token: JoinToken): Promise<void>;
  findByHash(hash: string): Promise<JoinToken | undefined>;
  /**
   * The node and the use of its token in one step. `failed_precondition`: the token was used meanwhile.
   * `already_exists`: another node has the name.
   */
  useFor(tokenId: string, node: NodeRecord): Promise<void>;
  /** Removes those that expired before; gives how many. */
  removeExpired(before: Date): Promise<number>;
}

export interface NodeRecords {
  insert(node: NodeRecord): Promise<void>;
  get(id: NodeId): Promise<NodeRecord>;
  /** By name. */
  list(): Promise<readonly NodeRecord[]>;
  update(
    id: NodeId,
    change: Partial<Pick<NodeRecord, "address" | "isCordoned" | "seenAt">>,
  ): Promise<NodeRecord>;
  /** `failed_precondition`: sandboxes or snapshots are recorded on it. */
  delete(id: NodeId): Promise<void>;
}

export interface SandboxQuery {
  readonly team: TeamId;
  /** Those that people see: running (also while it pauses or resumes), paused, lost. Empty: all of these. */
  readonly states: readonly ("running" | "paused" | "lost")[];
  /** All pairs must match. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Catalogue id. */
  readonly template?: string;
  /** Inclusive. */
  readonly startedAfter?: Date;
  /** By start; equal ones by id, ascending in both orders. */
  readonly order: "newest" | "oldest";
  /** The last one of the page before; it need not exist any more. */
  readonly after?: { readonly startedAt: Date; readonly id: string };
  /** 1 to 1,000. */
  readonly limit: number;
}

/** Written together with a sandbox, so that the same request again gets the same answer. */
export interface AnsweredRequest {
  readonly team: TeamId;
  /** The client's; at most 255 characters. */
  readonly key: string;
  /** SHA-256 of what was asked for, hexadecimal: another request with the same key is refused. */
  readonly requestHash: string;
  /** Ids of the sandboxes that were made. */
  readonly sandboxes: readonly string[];
  readonly answeredAt: Date;
}

export interface OwnedSandboxes {
  /** All of them and the request's key in one step. `already_exists`: an id, or the key. */
  insert(sandboxes: readonly OwnedSandbox[], request?: AnsweredRequest): Promise<void>;
  /** `not_found`. */
  get(id: string): Promise<OwnedSandbox>;
  find(id: string): Promise<OwnedSandbox | undefined>;
  /**
   * Replaces the record by what `change` makes of it, in one step; gives the new one. What `change` throws is thrown,
   * and nothing changes. `change` must be pure: it may run again.
   */
  update(id: string, change: (sandbox: OwnedSandbox) => OwnedSandbox): Promise<OwnedSandbox>;
  /** Deleting what is gone is no error. */
  delete(id: string): Promise<void>;
  list(query: SandboxQuery): Promise<readonly OwnedSandbox[]>;
  /** All of a node's. */
  ofNode(node: NodeId): Promise<readonly OwnedSandbox[]>;
  /** Of all there are, in no order, some at a time: for the start. */
  outlines(): AsyncIterable<readonly SandboxOutline[]>;
}

export interface Catalogue {
  insert(entry: CatalogueEntry): Promise<void>;
  /** `not_found`. */
  get(id: string): Promise<CatalogueEntry>;
  find(id: string): Promise<CatalogueEntry | undefined>;
  /** The template that has this name, or goes by it. */
  findTemplate(nameOrAlias: string): Promise<CatalogueTemplate | undefined>;
  findSnapshot(team: TeamId, name: string): Promise<CatalogueSnapshot | undefined>;
  templates(): Promise<readonly CatalogueTemplate[]>;
  /** `already_exists`: another template goes by one of them. */
  setAliases(id: string, aliases: readonly string[]): Promise<CatalogueTemplate>;
  /** Newest first; `after` as in SandboxQuery, with createdAt. */
  snapshots(query: {
    readonly team: TeamId;
    readonly sandbox?: string;
    readonly name?: string;
    readonly after?: { readonly createdAt: Date; readonly id: string };
    readonly limit: number;
  }): Promise<readonly CatalogueSnapshot[]>;
  /** All snapshots that are on a node. */
  ofNode(node: NodeId): Promise<readonly CatalogueSnapshot[]>;
  /** A snapshot, and the name that another one had until now, in one step. */
  insertSnapshot(snapshot: CatalogueSnapshot): Promise<void>;
  delete(id: string): Promise<void>;
}

export interface Pools {
  set(settings: PoolSettings): Promise<void>;
  get(template: string): Promise<PoolSettings | undefined>;
  list(): Promise<readonly PoolSettings[]>;
  /** From then on it is neither had nor listed; that it was there is remembered until it is forgotten, or set again. */
  remove(template: string): Promise<void>;
  /** Templates whose pools are removed and not forgotten. */
  listRemoved(): Promise<readonly string[]>;
  /** One that is not removed stays. */
  forget(template: string): Promise<void>;
}

export interface Requests {
  find(team: TeamId, key: string): Promise<AnsweredRequest | undefined>;
  /** Removes those answered before; gives how many. */
  removeAnswered(before: Date): Promise<number>;
}
