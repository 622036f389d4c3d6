/** Metrics and logs. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import type { LogLine } from "../registry/registry.js";
import { addRoute, type Call, type E2bDeps, sandboxIdOf } from "./call.js";
import { metricBody } from "./convert.js";
import { parseQuery, queryInt, queryList } from "./parse.js";

const unixSeconds = queryInt(0, 100_000_000_000);
const unixMs = queryInt(0, 999_999_999_999_999);
const linesMax = 1_000;
const levels = ["debug", "info", "warn", "error"] as const;

const windowSchema = z.object({ start: unixSeconds.optional(), end: unixSeconds.optional() });
const newestSchema = z.object({
  sandbox_ids: queryList.pipe(z.array(z.string()).min(1, "names none").max(100, "names more than 100")),
});
const logsSchema = z.object({ start: unixMs.optional(), limit: queryInt(0, 1_000_000).default(linesMax) });
const logsV2Schema = z.object({
  cursor: unixMs.optional(),
  limit: queryInt(0, linesMax).default(linesMax),
  direction: z.enum(["forward", "backward"]).default("forward"),
  level: z.enum(levels).default("debug"),
  search: z.string().max(256).default(""),
});

export function addObserveRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const get = (url: string, handle: (call: Call) => Promise<unknown>) =>
    addRoute(app, deps, { method: "GET", url, status: 200, handle });
  get("/sandboxes/:sandboxID/metrics", (call) => metrics(deps, call));
  get("/sandboxes/metrics", async ({ team, request }) => {
    const { sandbox_ids } = parseQuery(newestSchema, request);
    const newest = await deps.registry.sandboxes.newestMetrics(team, sandbox_ids);
    return { sandboxes: Object.fromEntries([...newest].map(([id, metric]) => [id, metricBody(metric)])) };
  });
  get("/sandboxes/:sandboxID/logs", async (call) => {
    const { start, limit } = parseQuery(logsSchema, call.request);
    const lines = (await entries(deps, call, start)).slice(0, Math.min(limit, linesMax));
    return { logs: lines.map(({ timestamp, message }) => ({ timestamp, line: message })), logEntries: lines };
  });
  get("/v2/sandboxes/:sandboxID/logs", (call) => logsV2(deps, call));
}

async function metrics({ registry }: E2bDeps, call: Call) {
  const { start, end } = parseQuery(windowSchema, call.request);
  const found = await registry.sandboxes.metrics(call.team, sandboxIdOf(call), {
    ...(start === undefined ? {} : { from: new Date(start * 1000) }),
    // The whole second.
    ...(end === undefined ? {} : { until: new Date(end * 1000 + 999) }),
  });
  return found.map(metricBody);
}

async function logsV2(deps: E2bDeps, call: Call) {
  const { cursor, limit, direction, level, search } = parseQuery(logsV2Schema, call.request);
  const found = (await entries(deps, call, cursor)).filter(
    (line) => levels.indexOf(line.level) >= levels.indexOf(level) && line.message.includes(search),
  );
  return { logs: (direction === "forward" ? found : found.reverse()).slice(0, limit) };
}

/** The guest keeps what was written and not when: each line has the time at which it was read. */
async function entries({ registry, now }: E2bDeps, call: Call, from = 0) {
  const lines = await registry.sandboxes.logs(call.team, sandboxIdOf(call), call.signal);
  const readAt = now();
  return from > readAt.getTime() ? [] : lines.map((line) => entry(line, readAt.toISOString()));
}

function entry({ stream, text }: LogLine, timestamp: string) {
  const level: (typeof levels)[number] = stream === "stderr" ? "error" : "info";
  return { timestamp, message: text, level, fields: { stream } };
}
