/** One sandbox and its node: the record is put right by what the node says of it now. Within the sandbox's turn. */
import type { ReportedSandbox } from "../fleet/node.js";
import { planSandbox } from "../fleet/reconcile-sandbox.js";
import type { ReconcileStep } from "../fleet/reconcile-step.js";
import { moveTo, type OwnedSandbox } from "../fleet/sandbox.js";
import type { Sandbox } from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import type { Deps } from "./deps.js";
import { endOnNode } from "./kill.js";
import { statusOf } from "./sandbox-status.js";

/** A node that does not answer leaves the record as it is: its next inventory tells. */
export async function putRight(deps: Deps, id: string): Promise<void> {
  const sandbox = await deps.owned.find(id);
  if (sandbox === undefined) return;
  try {
    const reported = await askNode(deps, sandbox);
    if (reported === undefined) await deps.owned.delete(id);
    else await execute(deps, sandbox, planSandbox(sandbox, reported, deps.now()));
  } catch (thrown) {
    deps.log.warn({ err: thrown, node: sandbox.node, sandbox: id }, "cannot tell what a sandbox is doing");
  }
}

/** Undefined: it has no such sandbox. */
async function askNode(
  { nodes, settings }: Deps,
  { id, node }: OwnedSandbox,
): Promise<ReportedSandbox | undefined> {
  try {
    const { sandbox } = await nodes.api(node).sandboxes.get({ sandbox: id }, { timeoutMs: settings.askMs });
    return sandbox === undefined ? undefined : reportedOf(sandbox);
  } catch (thrown) {
    if (isDomainError(thrown, "not_found")) return undefined;
    throw thrown;
  }
}

function reportedOf({ id, status, statusSince, labels, reason, checkpoint }: Sandbox): ReportedSandbox {
  const since = new Date(Number(statusSince?.seconds ?? 0n) * 1000);
  const keepsMemory = checkpoint !== "";
  const why = reason === "" ? {} : { reason };
  return { id, status: statusOf(status), since, labels, keepsMemory, ...why };
}

async function execute(deps: Deps, sandbox: OwnedSandbox, step: ReconcileStep | undefined): Promise<void> {
  if (step === undefined) return;
  const { id, node } = sandbox;
  switch (step.action) {
    case "adopt":
      deps.log.info({ sandbox: id, node, from: sandbox.state.status, to: step.state.status }, "put right");
      await deps.owned.update(id, (current) => {
        if (current.state.status !== sandbox.state.status) return current;
        return { ...current, state: moveTo(current.state, step.state), endAt: step.endAt };
      });
      return;
    case "end": {
      deps.log.info({ sandbox: id, node, reason: step.reason }, "a sandbox has ended");
      const ended = await deps.owned.update(id, (current) =>
        current.state.status === "killing"
          ? current
          : { ...current, state: moveTo(current.state, { status: "killing" }) },
      );
      return endOnNode(deps, ended);
    }
    case "forget":
    case "reap":
    case "dispute":
      throw new DomainError("internal", `no way to ${step.action} sandbox ${id} by what its node says of it`);
  }
}
