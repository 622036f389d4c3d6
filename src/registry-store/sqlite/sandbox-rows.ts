/** Sandboxes as rows, and back. */
import { z } from "zod";
import type { NodeId } from "../../fleet/node.js";
import {
  isOwnedStatus,
  type OnTimeout,
  type OwnedSandbox,
  type OwnedState,
  type SandboxOutline,
} from "../../fleet/sandbox.js";
import type { TeamId } from "../../fleet/team.js";
import { DomainError } from "../../lib/errors.js";
import { damageHint, jsonColumn, orNull, parseRow } from "../../sqlite/rows.js";
import { flagColumn, nodeColumn, teamColumn, timeColumn } from "./columns.js";

const keepsMemory = z.boolean();
const stateSchema: z.ZodType<OwnedState> = z.discriminatedUnion("status", [
  z.strictObject({ status: z.literal("running") }),
  z.strictObject({ status: z.literal("pausing") }),
  z.strictObject({ status: z.literal("paused"), keepsMemory }),
  z.strictObject({ status: z.literal("resuming"), keepsMemory }),
  z.strictObject({ status: z.literal("killing") }),
  z.strictObject({ status: z.literal("lost"), lastSeenAt: timeColumn, wasPaused: z.boolean() }),
]);

const onTimeoutSchema: z.ZodType<OnTimeout> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("kill") }),
  z.strictObject({ kind: z.literal("pause"), keepsMemory, resumesOnTraffic: z.boolean() }),
]);

export const metadataColumn = jsonColumn(z.record(z.string(), z.string()));

const rowSchema: z.ZodType<OwnedSandbox> = z.strictObject({
  id: z.string(),
  team: teamColumn,
  node: nodeColumn,
  template: z.string(),
  alias: z.string().exactOptional(),
  state: jsonColumn(stateSchema),
  startedAt: timeColumn,
  endAt: timeColumn,
  timeoutMs: z.int(),
  onTimeout: jsonColumn(onTimeoutSchema),
  metadata: metadataColumn,
  accessToken: z.string().exactOptional(),
  trafficToken: z.string().exactOptional(),
  allowInternetAccess: flagColumn,
  network: jsonColumn(z.unknown()).exactOptional(),
  cpus: z.number(),
  memoryBytes: z.int(),
  diskBytes: z.int(),
});

export const parseSandbox = (row: unknown): OwnedSandbox => parseRow("sandboxes", rowSchema, row);

export const outlineColumns = "id, team, node, template, status, end_at, cpus, memory_bytes, disk_bytes";
type OutlineRow = [string, TeamId, NodeId, string, string, number, number, number, number];

/**
 * Without a schema, which takes longer than all the rest where a start reads a hundred thousand: SQLite holds the
 * columns to their types (the table is STRICT), but for the status, which is part of a JSON text.
 */
export function parseOutline(row: unknown): SandboxOutline {
  const [id, team, node, template, status, endAt, cpus, memoryBytes, diskBytes] = row as OutlineRow;
  if (!isOwnedStatus(status))
    throw new DomainError("internal", `unreadable row in sandboxes: ${id} has no status`, {
      hint: damageHint,
    });
  return {
    id,
    team,
    node,
    template,
    state: { status },
    endAt: new Date(endAt),
    cpus,
    memoryBytes,
    diskBytes,
  };
}

export const columns = `id, team, node, template, alias, state, started_at AS startedAt, end_at AS endAt,
  timeout_ms AS timeoutMs, on_timeout AS onTimeout, metadata, access_token AS accessToken,
  traffic_token AS trafficToken, allow_internet_access AS allowInternetAccess, network, cpus,
  memory_bytes AS memoryBytes, disk_bytes AS diskBytes`;

export const insertSql = `INSERT INTO sandboxes (id, team, node, template, alias, state, started_at, end_at,
  timeout_ms, on_timeout, metadata, access_token, traffic_token, allow_internet_access, network, cpus, memory_bytes,
  disk_bytes) VALUES (@id, @team, @node, @template, @alias, @state, @startedAt, @endAt, @timeoutMs, @onTimeout,
  @metadata, @accessToken, @trafficToken, @allowInternetAccess, @network, @cpus, @memoryBytes, @diskBytes)`;

export const updateSql = `UPDATE sandboxes SET team = @team, node = @node, template = @template, alias = @alias,
  state = @state, started_at = @startedAt, end_at = @endAt, timeout_ms = @timeoutMs, on_timeout = @onTimeout,
  metadata = @metadata, access_token = @accessToken, traffic_token = @trafficToken,
  allow_internet_access = @allowInternetAccess, network = @network, cpus = @cpus, memory_bytes = @memoryBytes,
  disk_bytes = @diskBytes WHERE id = @id`;

export function bindSandbox(sandbox: OwnedSandbox) {
  const { state, network } = sandbox;
  return {
    ...sandbox,
    alias: orNull(sandbox.alias),
    state: JSON.stringify(
      state.status === "lost" ? { ...state, lastSeenAt: state.lastSeenAt.getTime() } : state,
    ),
    startedAt: sandbox.startedAt.getTime(),
    endAt: sandbox.endAt.getTime(),
    onTimeout: JSON.stringify(sandbox.onTimeout),
    metadata: JSON.stringify(sandbox.metadata),
    accessToken: orNull(sandbox.accessToken),
    trafficToken: orNull(sandbox.trafficToken),
    allowInternetAccess: Number(sandbox.allowInternetAccess),
    network: network === undefined ? null : JSON.stringify(network),
  };
}
