/** /admin/v1/pools: how many warm slots each template has, and why. */
import { z } from "zod";
import type { Pools, PoolView } from "../registry/pools.js";
import { type AdminRoute, route } from "./routes.js";

// What numbers make sense together is checked by the pools themselves, in words.
const numbers = {
  min: z.number().exactOptional(),
  max: z.number().exactOptional(),
  minAvailableRatio: z.number().exactOptional(),
  maxAvailableRatio: z.number().exactOptional(),
};
const scheduleSchema = z.strictObject({
  ...{ cron: z.string().max(200), timeZone: z.string().max(100), durationMs: z.int() },
  ...numbers,
});
const changeSchema = z.strictObject({
  min: z.number().nullable().exactOptional(),
  max: z.number().nullable().exactOptional(),
  minAvailableRatio: z.number().nullable().exactOptional(),
  maxAvailableRatio: z.number().nullable().exactOptional(),
  memoryBytes: z.int().nullable().exactOptional(),
  schedules: z.array(scheduleSchema).max(1_000).nullable().exactOptional(),
});

export interface PoolRoutesDeps {
  readonly pools: Pick<Pools, "set" | "get" | "list" | "remove">;
}

export function poolRoutes({ pools }: PoolRoutesDeps): readonly AdminRoute[] {
  return [
    route("GET /pools", {}, async () => (await pools.list()).map(poolView)),
    route("GET /pools/:template", {}, async ({ param }) => poolView(await pools.get(param("template")))),
    route("PATCH /pools/:template", { body: changeSchema }, async ({ param, body }) =>
      poolView(await pools.set(param("template"), body)),
    ),
    route("DELETE /pools/:template", { status: 204 }, async ({ param }) => pools.remove(param("template"))),
  ];
}

function poolView({ settings, state }: PoolView) {
  if (state === undefined) return settings;
  return { ...settings, state: { ...state, decidedAt: state.decidedAt.toISOString() } };
}
