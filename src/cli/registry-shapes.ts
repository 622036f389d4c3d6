/** The JSON of what only a registry has: teams, keys, nodes, pools. See shapes.ts. */
import { z } from "zod";

const time = z.iso.datetime();
const count = z.number().int().nonnegative();

const team = z.strictObject({
  id: z.string(),
  name: z.string(),
  limits: z.strictObject({
    sandboxes: count.optional(),
    cpus: z.number().optional(),
    memoryBytes: count.optional(),
    forksInFlight: count.optional(),
  }),
  createdAt: time,
});

const apiKey = z.strictObject({
  id: z.string(),
  team: z.string(),
  name: z.string(),
  mask: z.string(),
  createdAt: time,
  revokedAt: time.optional(),
});

const node = z.strictObject({
  id: z.string(),
  name: z.string(),
  address: z.string(),
  health: z.enum(["ready", "unreachable", "lost"]),
  cordoned: z.boolean(),
  sandboxes: z.strictObject({ running: count, paused: count, lost: count, making: count }),
  joinedAt: time,
  seenAt: time,
  report: z
    .object({
      version: z.string(),
      cpus: count,
      memoryBytes: count,
      memoryFreeBytes: count,
      diskBytes: count,
      diskFreeBytes: count,
      load: z.number(),
      templates: z.array(z.strictObject({ name: z.string(), slotsReady: count })),
      checkpoints: count,
      images: count,
    })
    .optional(),
});

const poolNumbers = {
  min: count,
  max: count,
  minAvailableRatio: z.number(),
  maxAvailableRatio: z.number(),
};

const pool = z.strictObject({
  template: z.string(),
  ...poolNumbers,
  memoryBytes: count.optional(),
  schedules: z.array(
    z.strictObject({
      cron: z.string(),
      timeZone: z.string(),
      durationMs: count,
      ...z.object(poolNumbers).partial().shape,
    }),
  ),
  state: z
    .strictObject({
      target: count,
      placed: count,
      claimed: count,
      ready: count,
      nodes: count,
      why: z.string(),
      problems: z.array(z.string()),
      decidedAt: time,
    })
    .optional(),
});

export const registryShapes = {
  team,
  pool,
  apiKey,
  node,
  joinToken: z.strictObject({ id: z.string(), token: z.string(), expiresAt: time }),
  apiKeyCreated: apiKey.extend({ key: z.string() }),
} as const;
