/** What a create asks for. What is not supported is refused in words, never dropped. */
import type { FastifyRequest } from "fastify";
import { z } from "zod";
import type { OnTimeout } from "../fleet/sandbox.js";
import type { CreateOptions } from "../registry/registry.js";
import type { E2bSettings } from "./call.js";
import { networkSchema, parseNetwork } from "./network.js";
import { envSchema, metadataSchema, parseBody, refused } from "./parse.js";
import { requestKey } from "./request-key.js";

/** Of the routes: `/sandboxes` and `/v2/sandboxes`. Their defaults differ. */
export type Generation = "v1" | "v2";

const timeoutDefault = { v1: 15, v2: 300 } as const satisfies Record<Generation, number>;

const schema = z.object({
  templateID: z.string().min(1, "is empty"),
  timeout: z.int().optional(),
  metadata: metadataSchema.nullish(),
  envVars: envSchema.nullish(),
  secure: z.boolean().nullish(),
  allow_internet_access: z.boolean().nullish(),
  autoPause: z.boolean().nullish(),
  autoPauseMemory: z.boolean().nullish(),
  autoResume: z.object({ enabled: z.boolean().nullish() }).nullish(),
  network: networkSchema.nullish(),
  // For what the client itself starts in the sandbox.
  mcp: z.record(z.string(), z.unknown()).nullish(),
  iam: z.object({ tokens: z.record(z.string(), z.unknown()).nullish() }).nullish(),
  volumeMounts: z.array(z.unknown()).nullish(),
});
type NewSandbox = z.output<typeof schema>;

export function parseNewSandbox(
  request: FastifyRequest,
  generation: Generation,
  settings: E2bSettings,
): CreateOptions {
  const body = parseBody(schema, request);
  refuseUnsupported(body);
  // The second generation has no such field: all of its sandboxes are secured.
  const isSecured = generation === "v2" || body.secure === true;
  const network = body.network ? parseNetwork(body.network) : undefined;
  const isTrafficPrivate = network?.allowPublicTraffic === false;
  if (isTrafficPrivate && !isSecured)
    throw refused("network.allowPublicTraffic: only a secured sandbox can be private", "set secure: true");
  const key = requestKey(request, `create ${generation}`);
  return {
    source: body.templateID,
    timeoutMs: parseTimeout(body.timeout ?? timeoutDefault[generation], settings),
    onTimeout: parseOnTimeout(body),
    metadata: body.metadata ?? {},
    env: body.envVars ?? {},
    isSecured,
    isTrafficPrivate,
    allowInternetAccess: body.allow_internet_access ?? true,
    ...(network === undefined ? {} : { network }),
    ...(key === undefined ? {} : { request: key }),
  };
}

/** Seconds to milliseconds. */
export function parseTimeout(seconds: number, { timeoutMaxMs }: E2bSettings): number {
  if (seconds <= 0) throw refused("Timeout must be greater than 0");
  if (seconds * 1000 > timeoutMaxMs)
    throw refused(`Timeout cannot be greater than ${timeoutMaxMs / 1000} seconds, ${seconds} were asked for`);
  return seconds * 1000;
}

function parseOnTimeout({ autoPause, autoPauseMemory, autoResume }: NewSandbox): OnTimeout {
  const resumesOnTraffic = autoResume?.enabled === true;
  const keepsMemory = autoPauseMemory !== false;
  if (!keepsMemory && resumesOnTraffic)
    throw refused("autoResume: what is paused without its memory is not resumed by traffic");
  if (autoPause === true) return { kind: "pause", keepsMemory, resumesOnTraffic };
  if (!keepsMemory) throw refused("autoPauseMemory: needs autoPause, what is killed keeps nothing");
  if (resumesOnTraffic) throw refused("autoResume: needs autoPause, what is killed cannot be resumed");
  return { kind: "kill" };
}

function refuseUnsupported({ iam, volumeMounts }: NewSandbox): void {
  if (Object.keys(iam?.tokens ?? {}).length > 0) throw refused("iam: tokens for workloads are not supported");
  if ((volumeMounts ?? []).length > 0) throw refused("volumeMounts: volumes are not supported");
}
