/**
 * Records against nodes: the agent is right about what runs, the registry about who owns it. Pure.
 *
 * An inventory may be older than a record. So whoever executes a step takes the sandbox's turn first, reads its record
 * again, asks the node for it, and goes by what `planSandbox` makes of these; and what only absence speaks for (a
 * record that a node does not list, a sandbox without a record) has to last for `graceMs`.
 */
import { requestLabel } from "./labels.js";
import type { NodeId, ReportedSandbox } from "./node.js";
import { planSandbox } from "./reconcile-sandbox.js";
import type { ReconcileStep } from "./reconcile-step.js";
import { moveTo, type OwnedSandbox } from "./sandbox.js";

export const graceMs = 10_000;

/** What will be acted on unless it is explained by then. By sandbox; one map for each node, kept between two plans. */
export type Suspects = ReadonlyMap<string, Suspect>;

export type Suspect =
  /** It has our label and no record. */
  | { readonly kind: "unrecorded"; readonly request: string; readonly since: Date }
  /** It has a record, and a whole inventory did not list it. */
  | { readonly kind: "unlisted"; readonly since: Date };

export interface ReconcileInput {
  readonly node: NodeId;
  /** As in Inventory. Without one, an empty difference: what has been suspect for long enough is acted on. */
  readonly inventory: {
    readonly isWhole: boolean;
    readonly sandboxes: readonly ReportedSandbox[];
    readonly gone: readonly string[];
  };
  /**
   * Records of everything that the inventory and the suspects name, wherever they are; with a whole inventory, of
   * everything on the node as well.
   */
  readonly recorded: ReadonlyMap<string, OwnedSandbox>;
  /** Ids of requests whose sandboxes will be recorded as soon as they are made. */
  readonly inFlight: Pick<ReadonlySet<string>, "has">;
  readonly suspects: Suspects;
  readonly now: Date;
}

export interface ReconcilePlan {
  readonly steps: readonly ReconcileStep[];
  readonly suspects: Suspects;
}

export function planReconcile(input: ReconcileInput): ReconcilePlan {
  const { node, inventory, recorded, now } = input;
  const gone = inventory.gone.flatMap((id) => (recorded.get(id)?.node === node ? [forget(id)] : []));
  const listed = inventory.sandboxes.flatMap((reported): ReconcileStep[] => {
    const record = recorded.get(reported.id);
    if (record === undefined) return [];
    if (record.node !== node) return [{ action: "dispute", id: reported.id, recordedOn: record.node }];
    return [planSandbox(record, reported, now) ?? []].flat();
  });
  const suspects = findSuspects(input);
  const due = [...suspects].flatMap(([id, suspect]): ReconcileStep[] => {
    if (now.getTime() - suspect.since.getTime() < graceMs) return [];
    return [suspect.kind === "unlisted" ? forget(id) : { action: "reap", id, request: suspect.request }];
  });
  return { steps: [...gone, ...listed, ...due], suspects };
}

const forget = (id: string): ReconcileStep => ({
  action: "forget",
  id,
  reason: "its node does not have it any more",
});

/** Those of before that are not explained yet, and new ones. They stay until they are, acted on or not. */
function findSuspects(input: ReconcileInput): Suspects {
  const { inventory, recorded, suspects } = input;
  const seen = new Set([...inventory.sandboxes.map(({ id }) => id), ...inventory.gone]);
  const unseen = [...suspects].filter(([id]) => !seen.has(id));
  const requests = new Map<string, string>();
  for (const [id, suspect] of unseen)
    if (suspect.kind === "unrecorded" && !inventory.isWhole) requests.set(id, suspect.request);
  for (const { id, labels } of inventory.sandboxes) {
    const request = labels[requestLabel];
    if (request !== undefined) requests.set(id, request);
  }
  const unlisted = inventory.isWhole ? [...recorded.keys()].filter((id) => !seen.has(id)) : [];
  for (const [id, { kind }] of unseen) if (kind === "unlisted") unlisted.push(id);
  return new Map([...unrecorded(requests, input), ...unlistedRecords(unlisted, input)]);
}

function unrecorded(requests: ReadonlyMap<string, string>, input: ReconcileInput): [string, Suspect][] {
  const { recorded, inFlight, suspects, now } = input;
  return [...requests]
    .filter(([id]) => !recorded.has(id))
    .map(([id, request]) => {
      const known = suspects.get(id);
      // Its time begins when nobody waits for it any more.
      const since = known?.kind === "unrecorded" && !inFlight.has(request) ? known.since : now;
      return [id, { kind: "unrecorded", request, since }];
    });
}

function unlistedRecords(ids: readonly string[], input: ReconcileInput): [string, Suspect][] {
  const { node, recorded, suspects, now } = input;
  return ids
    .filter((id) => recorded.get(id)?.node === node)
    .map((id) => {
      const known = suspects.get(id);
      return [id, known?.kind === "unlisted" ? known : { kind: "unlisted", since: now }];
    });
}

/** Its node is lost: what people see of its sandboxes until it is back. One that is to be deleted stays so. */
export function planLost(recorded: readonly OwnedSandbox[], lastSeenAt: Date): readonly ReconcileStep[] {
  return recorded
    .filter(({ state }) => state.status !== "lost" && state.status !== "killing")
    .map(({ id, state, endAt }) => {
      const wasPaused = state.status === "paused" || state.status === "resuming";
      return { action: "adopt", id, state: moveTo(state, { status: "lost", lastSeenAt, wasPaused }), endAt };
    });
}
