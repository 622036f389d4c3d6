/** Pause: recorded as pausing, dumped or ended, recorded as paused. */
import { moveTo, type OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { type Deps, findOwned, needReachable, unfit } from "./deps.js";
import { putRight } from "./reconcile-sandbox.js";
import type { PauseOptions } from "./registry.js";

export async function pauseSandbox(
  deps: Deps,
  team: Team,
  id: string,
  options: PauseOptions,
  signal: AbortSignal,
): Promise<void> {
  const asked = await findOwned(deps, team, id);
  // One that is being paused is not paused twice; one that is being resumed is waited for.
  if (asked.state.status !== "running" && asked.state.status !== "resuming") throw unfit(asked, "pause");
  await deps.turns.run(
    id,
    async (linked) => pauseOnNode(deps, await findOwned(deps, team, id), options, linked),
    signal,
  );
}

/** Within the sandbox's turn. `mayPause` is asked once more when it is recorded. */
export async function pauseOnNode(
  deps: Deps,
  { id, node }: OwnedSandbox,
  { keepsMemory }: PauseOptions,
  signal: AbortSignal,
  mayPause: (sandbox: OwnedSandbox) => boolean = () => true,
): Promise<void> {
  needReachable(deps, node);
  const { sandboxes } = deps.nodes.api(node);
  const { state } = await deps.owned.update(id, (current) => {
    if (current.state.status !== "running") throw unfit(current, "pause");
    return mayPause(current) ? { ...current, state: moveTo(current.state, { status: "pausing" }) } : current;
  });
  if (state.status !== "pausing") return;
  try {
    const asked = { sandbox: id, withoutMemory: !keepsMemory };
    await sandboxes.pause(asked, { signal, timeoutMs: deps.settings.workMs });
    await deps.owned.update(id, (current) => {
      if (current.state.status !== "pausing") throw unfit(current, "pause");
      const paused = moveTo(current.state, { status: "paused", keepsMemory });
      return { ...current, state: paused, endAt: deps.now() };
    });
  } catch (thrown) {
    await putRight(deps, id);
    throw thrown;
  }
  deps.freed.ring();
}
