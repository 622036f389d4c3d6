/** How long a sandbox has: each is one step of its record, so that it cannot be lost beside a time-out. */
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { type Deps, findOwned, noSandbox, unfit } from "./deps.js";
import type { NetworkChange } from "./registry.js";

export async function setSandboxTimeout(
  deps: Deps,
  team: Team,
  id: string,
  timeoutMs: number,
): Promise<void> {
  await changeRunning(deps, team, id, "set the timeout of", (sandbox) => ({
    ...sandbox,
    endAt: new Date(deps.now().getTime() + timeoutMs),
  }));
}

export async function refreshSandbox(deps: Deps, team: Team, id: string, timeoutMs: number): Promise<void> {
  await changeRunning(deps, team, id, "refresh", (sandbox) => ({
    ...sandbox,
    endAt: new Date(Math.max(sandbox.endAt.getTime(), deps.now().getTime() + timeoutMs)),
  }));
}

export async function setSandboxNetwork(
  deps: Deps,
  team: Team,
  id: string,
  { network, allowInternetAccess }: NetworkChange,
): Promise<void> {
  await changeRunning(deps, team, id, "change the network of", (sandbox) => ({
    ...sandbox,
    network,
    ...(allowInternetAccess === undefined ? {} : { allowInternetAccess }),
  }));
}

async function changeRunning(
  deps: Deps,
  team: Team,
  id: string,
  verb: string,
  change: (sandbox: OwnedSandbox) => OwnedSandbox,
): Promise<void> {
  await findOwned(deps, team, id);
  await deps.owned.update(id, (sandbox) => {
    if (sandbox.state.status === "killing") throw noSandbox(id);
    if (sandbox.state.status !== "running") throw unfit(sandbox, verb);
    return change(sandbox);
  });
}
