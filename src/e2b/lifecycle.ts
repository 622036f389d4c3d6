/** What happens to a sandbox over time: connect, resume, pause, time-outs, its network. */
import type { FastifyInstance } from "fastify";
import { z } from "zod";
import { addRoute, type Call, type E2bDeps, sandboxIdOf } from "./call.js";
import { sandboxBody } from "./convert.js";
import { networkSchema, parseNetwork } from "./network.js";
import { parseTimeout } from "./new-sandbox.js";
import { parseBody, refused } from "./parse.js";

const memory = z.boolean().nullish();
const timeout = z.int("must be a whole number of seconds");
const pauseSchema = z.object({ memory });
const timeoutSchema = z.object({ timeout });
const refreshSchema = z.object({ duration: z.int().min(0).max(3600).default(60) });
const networkChangeSchema = networkSchema.extend({ allow_internet_access: z.boolean().nullish() });

/** `timeoutDefault` absent: it has to be given. */
interface Connecting {
  readonly timeoutDefault?: number;
  readonly mustBePaused: boolean;
}

export function addLifecycleRoutes(app: FastifyInstance, deps: E2bDeps): void {
  const { sandboxes } = deps.registry;
  const post = (url: string, status: number, handle: (call: Call) => Promise<unknown>) =>
    addRoute(app, deps, { method: "POST", url, status, handle });
  const connects = (connecting: Connecting) => (call: Call) => connect(deps, call, connecting);

  post("/sandboxes/:sandboxID/connect", 200, connects({ mustBePaused: false }));
  post("/v2/sandboxes/:sandboxID/connect", 200, connects({ mustBePaused: false, timeoutDefault: 300 }));
  post("/sandboxes/:sandboxID/resume", 201, connects({ mustBePaused: true, timeoutDefault: 15 }));
  post("/sandboxes/:sandboxID/pause", 204, async (call) => {
    const keepsMemory = parseBody(pauseSchema, call.request).memory !== false;
    await sandboxes.pause(call.team, sandboxIdOf(call), { keepsMemory }, call.signal);
  });
  post("/sandboxes/:sandboxID/timeout", 204, async (call) => {
    const { timeout: seconds } = parseBody(timeoutSchema, call.request);
    if (seconds < 0) throw refused("timeout: must not be negative");
    // Nothing left: its time is up at once.
    const timeoutMs = seconds === 0 ? 0 : parseTimeout(seconds, deps.settings);
    await sandboxes.setTimeout(call.team, sandboxIdOf(call), timeoutMs);
  });
  post("/sandboxes/:sandboxID/refreshes", 204, async (call) => {
    const { duration } = parseBody(refreshSchema, call.request);
    await sandboxes.refresh(call.team, sandboxIdOf(call), duration * 1000);
  });
  addRoute(app, deps, {
    method: "PUT",
    url: "/sandboxes/:sandboxID/network",
    status: 204,
    handle: (call) => setNetwork(deps, call),
  });
}

async function connect(
  { registry, settings }: E2bDeps,
  call: Call,
  { timeoutDefault, mustBePaused }: Connecting,
) {
  const given = timeoutDefault === undefined ? timeout : timeout.default(timeoutDefault);
  const body = parseBody(z.object({ timeout: given, memory }), call.request);
  const withoutMemory = body.memory === false;
  const options = { timeoutMs: parseTimeout(body.timeout, settings), mustBePaused, withoutMemory };
  const id = sandboxIdOf(call);
  const { sandbox, wasPaused } = await registry.sandboxes.connect(call.team, id, options, call.signal);
  call.reply.code(wasPaused ? 201 : 200);
  return sandboxBody(sandbox, settings);
}

async function setNetwork({ registry }: E2bDeps, call: Call): Promise<void> {
  const body = parseBody(networkChangeSchema, call.request);
  const { allowPublicTraffic: _, ...changed } = parseNetwork(body);
  const id = sandboxIdOf(call);
  const { network, trafficToken } = await registry.sandboxes.get(call.team, id);
  const isPublic = trafficToken === undefined;
  if ((body.allowPublicTraffic ?? isPublic) !== isPublic)
    throw refused(`network.allowPublicTraffic: is ${isPublic} since the sandbox was made, and stays so`);
  const access = body.allow_internet_access;
  await registry.sandboxes.setNetwork(call.team, id, {
    network: { ...(network as object | undefined), ...changed },
    ...(access === undefined || access === null ? {} : { allowInternetAccess: access }),
  });
}
