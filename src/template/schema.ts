/** Schemas of what is written down about templates. */
import { z } from "zod";
import { isName } from "../lib/ids.js";
import { dateSchema, envSchema, idSchema, limitsSchema } from "../sandbox/schema.js";
import { type SlotTarget, slotsMax, type TemplateSpec, type TemplateState } from "./template.js";

export const templateSpecSchema: z.ZodType<TemplateSpec> = z.strictObject({
  name: z.string().refine(isName, "not a name"),
  image: z.string().min(1),
  startCommand: z.string().exactOptional(),
  readyCommand: z.string().exactOptional(),
  readyTimeoutMs: z.int().positive(),
  env: envSchema,
  user: z.string().exactOptional(),
  cwd: z.string().exactOptional(),
  limits: limitsSchema,
  allowPrivilegeEscalation: z.boolean(),
});

const slotCount = z.int().min(0).max(slotsMax);
export const slotTargetSchema: z.ZodType<SlotTarget> = z.strictObject({ min: slotCount, max: slotCount });

const since = dateSchema;

export const templateStateSchema: z.ZodType<TemplateState> = z.discriminatedUnion("status", [
  z.strictObject({ status: z.literal("building"), since }),
  z.strictObject({ status: z.literal("ready"), since, checkpoint: idSchema }),
  z.strictObject({ status: z.literal("failed"), since, reason: z.string() }),
]);
