/** A sandbox's network as clients describe it. Rules for what may go out are refused: nothing would enforce them. */
import { z } from "zod";
import { refused } from "./parse.js";

const list = z.array(z.string()).nullish();

export const networkSchema = z.object({
  allowPublicTraffic: z.boolean().nullish(),
  allowOut: list,
  denyOut: list,
  rules: z.record(z.string(), z.unknown()).nullish(),
  egressProxy: z.unknown().optional(),
  maskRequestHost: z.string().nullish(),
  httpsPorts: z.array(z.int().min(1).max(65_535)).max(64).nullish(),
});

/** Echoed, and used by what routes traffic. */
export interface Network {
  readonly allowPublicTraffic: boolean;
  readonly maskRequestHost?: string;
  readonly httpsPorts?: readonly number[];
}

export function parseNetwork(network: z.output<typeof networkSchema>): Network {
  const { allowOut, denyOut, rules, egressProxy, maskRequestHost, httpsPorts } = network;
  refuseRules("allowOut", allowOut?.length);
  refuseRules("denyOut", denyOut?.length);
  refuseRules("rules", Object.keys(rules ?? {}).length);
  refuseRules("egressProxy", egressProxy === undefined || egressProxy === null ? 0 : 1);
  return {
    allowPublicTraffic: network.allowPublicTraffic ?? true,
    ...(maskRequestHost ? { maskRequestHost: parseMask(maskRequestHost) } : {}),
    ...(httpsPorts ? { httpsPorts } : {}),
  };
}

function refuseRules(field: string, count = 0): void {
  if (count > 0)
    throw refused(`network.${field}: rules for outgoing traffic are not supported`, "leave it out");
}

/** `$` and `{PORT}` stand for the port that is asked for. */
const placeholder = "$" + "{PORT}";

function parseMask(mask: string): string {
  const host = mask.replaceAll(placeholder, "1");
  if (mask.length > 255 || !/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:\d{1,5})?$/i.test(host))
    throw refused("network.maskRequestHost: is not a host, perhaps with a port");
  return mask;
}
