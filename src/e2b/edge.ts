/** E2B's routes over the registry's verbs, and what answers for sandboxes themselves, for the server of a registry. */

import type { Interceptor } from "../registry/front.js";
import type { Edge, RegistryParts } from "../registry/start.js";
import { defaultTeam } from "../registry/teams.js";
import type { Caller, E2bDeps } from "./call.js";
import { e2bPlugin } from "./plugin.js";

const settings = { timeoutMaxMs: 24 * 60 * 60 * 1000, domain: null };

/** What answers requests to sandboxes themselves. */
export type OpenDataPlane = (parts: RegistryParts) => Interceptor;

export const e2bEdge =
  (openDataPlane: OpenDataPlane): Edge =>
  async (app, parts) => {
    const { registry, keys, now } = parts;
    const authenticate = await authenticator(parts);
    parts.front.intercept(openDataPlane(parts));
    await app.register(e2bPlugin({ registry, keys, authenticate, now, settings }));
  };

async function authenticator({ teams, keys, isAdmin }: RegistryParts): Promise<E2bDeps["authenticate"]> {
  if (isAdmin !== undefined)
    return async (key) => ({ team: await keys.authenticate(key), isOperator: false });
  const everybody: Caller = { team: await teams.ensure(defaultTeam), isOperator: true };
  return async () => everybody;
}
