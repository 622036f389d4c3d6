/**
 * The JSON that `--json` prints: a contract with scripts, described in docs/cli-json.md. Sizes are bytes,
 * times ISO 8601 in UTC; a field that does not apply is left out.
 */
import { z } from "zod";
import { errorCodes } from "../lib/errors.js";
import { sandboxStatuses } from "../sandbox/state.js";
import { registryShapes } from "./registry-shapes.js";

const pairs = z.record(z.string(), z.string());
const time = z.iso.datetime();
const count = z.number().int().nonnegative();

const limits = z.strictObject({
  cpus: z.number().optional(),
  memoryBytes: count.optional(),
  pids: count.optional(),
});

const sandbox = z.strictObject({
  id: z.string(),
  name: z.string().optional(),
  status: z.enum([...sandboxStatuses, "lost"]),
  /** Its node, from a registry. */
  node: z.string().optional(),
  statusSince: time,
  createdAt: time,
  image: z.string(),
  origin: z.strictObject({
    kind: z.enum(["image", "template", "checkpoint", "fork"]),
    image: z.string().optional(),
    template: z.string().optional(),
    checkpoint: z.string().optional(),
    source: z.string().optional(),
  }),
  labels: pairs,
  generation: count,
  pid: count.optional(),
  reason: z.string().optional(),
  exitCode: z.number().int().optional(),
  limits,
  env: pairs,
  user: z.string(),
  cwd: z.string(),
  checkpoint: z.string().optional(),
});

const error = z.strictObject({ code: z.enum(errorCodes), message: z.string(), hint: z.string().optional() });

const checkpoint = z.strictObject({
  id: z.string(),
  name: z.string().optional(),
  kind: z.enum(["user", "golden", "pause", "fork"]),
  sandbox: z.string(),
  parent: z.string().optional(),
  image: z.string(),
  generation: count,
  memoryBytes: count,
  inheritedBytes: count,
  layerBytes: count,
  freezeMs: z.number(),
  createdAt: time,
  dependents: z.array(z.string()),
});

const slots = z.strictObject({
  min: count,
  max: count,
  ready: count,
  memoryBytes: count,
  problem: z.string().optional(),
});

const template = z.strictObject({
  name: z.string(),
  /** Its node, from a registry. */
  node: z.string().optional(),
  image: z.string(),
  startCommand: z.string().optional(),
  readyCommand: z.string().optional(),
  readyTimeoutMs: count,
  env: pairs,
  user: z.string().optional(),
  cwd: z.string().optional(),
  limits,
  allowPrivilegeEscalation: z.boolean(),
  status: z.enum(["building", "ready", "failed"]),
  reason: z.string().optional(),
  checkpoint: z.string().optional(),
  memoryBytes: count,
  createdAt: time,
  slots,
});

const image = z.strictObject({
  name: z.string(),
  digest: z.string(),
  sizeBytes: count,
  createdAt: time,
  architecture: z.string(),
  env: pairs,
  user: z.string(),
  cwd: z.string(),
  entrypoint: z.array(z.string()),
  cmd: z.array(z.string()),
});

/** How a process ended: one of the two. */
const exit = z.strictObject({ exitCode: z.number().int().optional(), signal: count.optional() });

const process = z.strictObject({
  pid: count,
  tag: z.string().optional(),
  argv: z.array(z.string()),
  cwd: z.string(),
  user: z.string(),
  terminal: z.boolean(),
  startedAt: time,
  exited: exit.optional(),
});

const file = z.strictObject({
  path: z.string(),
  name: z.string(),
  type: z.enum(["regular", "directory", "symlink", "other"]),
  sizeBytes: count,
  mode: z.string().regex(/^0[0-7]{3,4}$/),
  uid: count,
  gid: count,
  owner: z.string(),
  group: z.string(),
  modifiedAt: time,
  symlinkTarget: z.string().optional(),
});

const stats = z.strictObject({
  sandbox: z.string(),
  readAt: time,
  cpuSeconds: z.number(),
  cpuPercent: z.number().optional(),
  memoryUsageBytes: count,
  memoryRssBytes: count,
  sharedMemoryMaxBytes: count,
  memoryLimitBytes: count.optional(),
  pids: count,
  pidsLimit: count.optional(),
  layerBytes: count,
  guestRssBytes: count,
  oomKills: count,
});

const outcome = z.strictObject({
  ref: z.string(),
  ok: z.boolean(),
  error: error.optional(),
  sandbox: sandbox.optional(),
  durationMs: count.optional(),
  memoryBytes: count.optional(),
});

const clone = z.strictObject({
  index: count,
  durationMs: z.number(),
  sandbox: sandbox.optional(),
  error: error.optional(),
});

export type CheckpointNode = z.infer<typeof checkpoint> & { readonly children: readonly CheckpointNode[] };

const checkpointNode: z.ZodType<CheckpointNode> = checkpoint.extend({
  get children() {
    return z.array(checkpointNode);
  },
});

/** Every shape under the heading that docs/cli-json.md has for it. */
export const shapes = {
  sandbox,
  error,
  checkpoint,
  checkpointNode,
  template,
  image,
  process,
  file,
  stats,
  outcome,
  ...registryShapes,
  created: z.strictObject({ sandbox, durationMs: count, warm: z.boolean() }),
  forked: z.strictObject({
    checkpoint: z.string(),
    freezeMs: z.number(),
    memoryBytes: count,
    clones: z.array(clone),
  }),
  kept: z.strictObject({ sandbox, dropped: z.array(z.string()) }),
  committed: z.strictObject({ image: z.string(), digest: z.string(), layerBytes: count, durationMs: count }),
  checkpointCreated: z.strictObject({ checkpoint, durationMs: count }),
  checkpointDetails: checkpoint.extend({ manifest: z.json() }),
  verified: z.strictObject({ checkpoint: z.string(), ok: z.boolean(), problems: z.array(z.string()) }),
  execEvent: z.strictObject({
    event: z.enum(["created", "started", "output", "exited"]),
    sandbox: z.string().optional(),
    pid: count.optional(),
    droppedBytes: count.optional(),
    stream: z.enum(["stdout", "stderr"]).optional(),
    data: z.base64().optional(),
    seq: count.optional(),
    exitCode: z.number().int().optional(),
    signal: count.optional(),
  }),
  logChunk: z.strictObject({ stream: z.enum(["stdout", "stderr"]), data: z.base64(), droppedBytes: count }),
  event: z.strictObject({
    id: count,
    at: time,
    type: z.string(),
    sandbox: z.string().optional(),
    attributes: pairs,
  }),
  fileChange: z.strictObject({ type: z.string(), path: z.string() }),
  fileDone: z.strictObject({ path: z.string() }),
  copied: z.strictObject({ files: count, directories: count, symlinks: count, bytes: count }),
  signalled: z.strictObject({ pid: count, signal: count }),
  info: z.strictObject({
    version: z.string(),
    containerdVersion: z.string(),
    runcVersion: z.string(),
    criuVersion: z.string(),
    kernel: z.string(),
    cgroups: z.string(),
    sandboxesRunning: count,
    sandboxesPaused: count,
    diskFreeBytes: count,
    agentPid: count,
  }),
  finding: z.strictObject({
    name: z.string(),
    status: z.enum(["ok", "warning", "failure"]),
    detail: z.string(),
    fix: z.string().optional(),
  }),
  version: z.strictObject({ client: z.string(), agent: z.string().optional() }),
} as const;

export type ShapeName = keyof typeof shapes;
export type Shape<N extends ShapeName> = z.infer<(typeof shapes)[N]>;
