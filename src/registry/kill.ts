/** Kill: the record says so first, so that it is gone for everybody and stays so; then the node deletes it. */
import { moveTo, type OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { type Deps, findOwned, noSandbox } from "./deps.js";

/** Aborting would leave it half done: the caller's signal is not asked for. */
export async function killSandbox(deps: Deps, team: Team, id: string): Promise<void> {
  await findOwned(deps, team, id);
  const killing = await deps.owned
    .update(id, (sandbox) => {
      // Another kill was first.
      if (sandbox.state.status === "killing") throw noSandbox(id);
      return { ...sandbox, state: moveTo(sandbox.state, { status: "killing" }) };
    })
    .catch((thrown: unknown) => {
      throw isDomainError(thrown, "not_found") ? noSandbox(id) : thrown;
    });
  deps.turns.interrupt(id, new DomainError("failed_precondition", `sandbox ${id} was killed meanwhile`));
  await deps.turns.run(id, () => endOnNode(deps, killing));
}

/** Within the sandbox's turn, when its record says `killing`. Where the node cannot do it now, it is tried again. */
export async function endOnNode(deps: Deps, { id, node }: OwnedSandbox): Promise<void> {
  try {
    const options = { timeoutMs: deps.settings.askMs };
    await deps.nodes.api(node).sandboxes.delete({ sandbox: id, force: true }, options);
  } catch (thrown) {
    if (!isDomainError(thrown, "not_found")) {
      deps.log.warn({ err: thrown, node, sandbox: id }, "a killed sandbox is still on its node");
      return;
    }
  }
  await deps.owned.delete(id);
  deps.freed.ring();
}
