/** Schemas of what is written down about sandboxes: rows of the store and manifests of checkpoints. */
import { z } from "zod";
import { isId } from "../lib/ids.js";
import type { Limits, Origin, SandboxId, SandboxSpec } from "./sandbox.js";
import type { SandboxState } from "./state.js";

/** A Date as JSON writes it. */
export const dateSchema = z.iso.datetime().transform((text) => new Date(text));

export const idSchema = z.string().refine(isId, "not an id");
export const sandboxIdSchema = idSchema.transform((id) => id as SandboxId);
const textMapSchema = z.record(z.string(), z.string());
export const labelsSchema = textMapSchema;
export const envSchema = textMapSchema;

export const limitsSchema: z.ZodType<Limits> = z.strictObject({
  cpus: z.number().positive().exactOptional(),
  memoryBytes: z.int().positive().exactOptional(),
  pids: z.int().positive().exactOptional(),
});

export const sandboxSpecSchema: z.ZodType<SandboxSpec> = z.strictObject({
  image: z.string().min(1),
  env: envSchema,
  user: z.string(),
  cwd: z.string(),
  limits: limitsSchema,
  allowPrivilegeEscalation: z.boolean(),
  guestVersion: z.string().min(1),
  bootId: z.uuid().exactOptional(),
});

export const originSchema: z.ZodType<Origin> = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("image"), image: z.string() }),
  z.strictObject({ kind: z.literal("template"), template: z.string(), checkpoint: idSchema }),
  z.strictObject({ kind: z.literal("checkpoint"), checkpoint: idSchema }),
  z.strictObject({
    kind: z.literal("fork"),
    source: sandboxIdSchema,
    checkpoint: idSchema,
    fork: idSchema.exactOptional(),
  }),
]);

const since = dateSchema;
const pid = z.int().positive();
const pidStart = z.string();

export const sandboxStateSchema: z.ZodType<SandboxState> = z.discriminatedUnion("status", [
  z.strictObject({ status: z.literal("creating"), since }),
  z.strictObject({ status: z.literal("running"), since, pid, pidStart }),
  z.strictObject({ status: z.literal("checkpointing"), since, pid, pidStart }),
  z.strictObject({ status: z.literal("pausing"), since, pid, pidStart }),
  z.strictObject({ status: z.literal("paused"), since, checkpoint: idSchema.exactOptional() }),
  z.strictObject({ status: z.literal("resuming"), since, checkpoint: idSchema.exactOptional() }),
  z.strictObject({ status: z.literal("stopping"), since }),
  z.strictObject({ status: z.literal("stopped"), since, exitCode: z.int() }),
  z.strictObject({ status: z.literal("failed"), since, reason: z.string() }),
]);
