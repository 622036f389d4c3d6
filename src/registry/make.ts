/** Making a sandbox on a node: it is recorded, or it is gone again. */
import { requestLabel, teamLabel } from "../fleet/labels.js";
import type { NodeId } from "../fleet/node.js";
import type { OwnedSandbox } from "../fleet/sandbox.js";
import type { Team } from "../fleet/team.js";
import type { Sandbox } from "../gen/ramet/v1/sandbox_pb.js";
import { DomainError, isDomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import type { Deps } from "./deps.js";
import type { SandboxSize } from "./registry.js";
import { sizeOn } from "./sizes.js";

/** What a node has made. */
export interface Made extends SandboxSize {
  readonly id: string;
}

interface Making {
  readonly node: NodeId;
  readonly team: Team;
  readonly source: { readonly case: "template" | "checkpoint"; readonly value: string };
  readonly env: Readonly<Record<string, string>>;
}

/**
 * `record` writes it down. A call whose answer is lost may have made one all the same: nobody waits for its request any
 * more, and it is reaped as an orphan.
 */
export async function makeOn(
  deps: Deps,
  { node, team, source, env }: Making,
  signal: AbortSignal,
  record: (made: Made, startedAt: Date) => Promise<OwnedSandbox>,
): Promise<OwnedSandbox> {
  const api = deps.nodes.api(node);
  return labelled(deps, { node, team }, async (labels) => {
    const options = { signal, timeoutMs: deps.settings.workMs };
    const { sandbox } = await api.sandboxes.create({ source, labels, env: { ...env } }, options);
    const made = madeOf(deps, node, sandbox);
    try {
      signal.throwIfAborted();
      return await record(made, deps.now());
    } catch (thrown) {
      await deleteOn(deps, node, made.id);
      throw thrown;
    }
  });
}

/** Labels with a request of its own, which is in flight on the node until `work` is done. */
export async function labelled<T>(
  { inFlight }: Pick<Deps, "inFlight">,
  { node, team }: Pick<Making, "node" | "team">,
  work: (labels: Record<string, string>) => Promise<T>,
): Promise<T> {
  const request = randomId();
  inFlight.set(request, node);
  try {
    return await work({ [requestLabel]: request, [teamLabel]: team.id });
  } finally {
    inFlight.delete(request);
  }
}

export function madeOf({ nodes }: Pick<Deps, "nodes">, node: NodeId, sandbox: Sandbox | undefined): Made {
  if (sandbox === undefined) throw new DomainError("internal", `node ${node} answered without a sandbox`);
  const { cpus, memoryBytes } = sandbox.limits ?? {};
  const asked = { cpus, memoryBytes: memoryBytes === undefined ? undefined : Number(memoryBytes) };
  const report = nodes.get(node).report ?? { cpus: 1, memoryBytes: 0, diskBytes: 0 };
  return { id: sandbox.id, ...sizeOn(report, asked) };
}

/** The record too. Whoever made it is not told of it. */
export async function discard(deps: Deps, { id, node }: OwnedSandbox): Promise<void> {
  await deps.turns.run(id, async () => {
    await deleteOn(deps, node, id);
    await deps.owned.delete(id);
  });
}

/** As far as the node can be reached; what stays is an orphan and is reaped. */
export async function deleteOn(deps: Deps, node: NodeId, id: string): Promise<void> {
  try {
    const options = { timeoutMs: deps.settings.askMs };
    await deps.nodes.api(node).sandboxes.delete({ sandbox: id, force: true }, options);
  } catch (thrown) {
    if (!isDomainError(thrown, "not_found"))
      deps.log.warn({ err: thrown, node, sandbox: id }, "a sandbox that nobody was told of is still there");
  }
}
