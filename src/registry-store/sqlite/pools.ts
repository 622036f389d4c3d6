import type { Database } from "better-sqlite3";
import { z } from "zod";
import type { PoolSchedule, PoolSettings } from "../../fleet/pool.js";
import { guarded } from "../../sqlite/errors.js";
import type { GroupCommit } from "../../sqlite/group-commit.js";
import { jsonColumn, parseRow } from "../../sqlite/rows.js";
import type { Pools } from "../registry-store.js";

const scheduleSchema: z.ZodType<PoolSchedule> = z.strictObject({
  cron: z.string(),
  timeZone: z.string(),
  durationMs: z.int(),
  min: z.int().exactOptional(),
  max: z.int().exactOptional(),
  minAvailableRatio: z.number().exactOptional(),
  maxAvailableRatio: z.number().exactOptional(),
});

const settingsSchema: z.ZodType<PoolSettings> = z.strictObject({
  template: z.string(),
  min: z.int(),
  max: z.int(),
  minAvailableRatio: z.number(),
  maxAvailableRatio: z.number(),
  memoryBytes: z.int().exactOptional(),
  schedules: z.array(scheduleSchema),
});
const rowSchema = z.strictObject({ settings: jsonColumn(settingsSchema) });
const removedSchema = z.array(z.string());
const parse = (row: unknown) => parseRow("pools", rowSchema, row).settings;

export function openPools(db: Database, { soon }: GroupCommit): Pools {
  const byTemplate = db.prepare("SELECT settings FROM pools WHERE template = ? AND NOT removed");
  const all = db.prepare("SELECT settings FROM pools WHERE NOT removed ORDER BY template");
  const set = db.prepare("INSERT OR REPLACE INTO pools (template, settings) VALUES (?, ?)");
  const remove = db.prepare("UPDATE pools SET removed = 1 WHERE template = ?");
  const removed = db.prepare("SELECT template FROM pools WHERE removed ORDER BY template").pluck();
  const forget = db.prepare("DELETE FROM pools WHERE template = ? AND removed");

  return {
    set: (settings) =>
      soon(() =>
        guarded(`pool ${settings.template}`, () => void set.run(settings.template, JSON.stringify(settings))),
      ),
    get: async (template) =>
      guarded("pools", () => {
        const row = byTemplate.get(template);
        return row === undefined ? undefined : parse(row);
      }),
    list: async () => guarded("pools", () => all.all().map(parse)),
    remove: (template) => soon(() => guarded(`pool ${template}`, () => void remove.run(template))),
    listRemoved: async () => guarded("pools", () => removedSchema.parse(removed.all())),
    forget: (template) => soon(() => guarded(`pool ${template}`, () => void forget.run(template))),
  };
}
