/** Reconciling: what nodes say is compared with the records, and the plan (src/fleet/reconcile.ts) is carried out. */
import type { NodeHealth, NodeId, ReportedSandbox } from "../fleet/node.js";
import { planLost, planReconcile, type Suspects } from "../fleet/reconcile.js";
import type { ReconcileAction, ReconcileStep, ReconcileStepOf } from "../fleet/reconcile-step.js";
import { moveTo, type OwnedSandbox } from "../fleet/sandbox.js";
import { createKeyedQueue } from "../lib/keyed-queue.js";
import { settleLimited } from "../lib/limit.js";
import type { Deps } from "./deps.js";
import { deleteOn } from "./make.js";
import type { Inventory, NodesListener } from "./nodes.js";
import { putRight } from "./reconcile-sandbox.js";

const stepsAtOnce = 16;
/** Inventories of one node that wait; a whole one is asked for again where there are more. */
const waitingMax = 100;

export interface Reconciler extends NodesListener {
  /** Acts on what has been suspect for long enough, whether or not anything was reported. */
  sweep(): Promise<void>;
}

type Executors = {
  [A in ReconcileAction]: (deps: Deps, node: NodeId, step: ReconcileStepOf<A>) => Promise<void>;
};

export function createReconciler(deps: Deps): Reconciler {
  const suspects = new Map<NodeId, Suspects>();
  const queue = createKeyedQueue({ waitingMax });

  async function reconcile(reported: Inventory): Promise<void> {
    const { node } = reported;
    const before: Suspects = suspects.get(node) ?? new Map();
    const inventory = withoutAgreed(deps, reported, before);
    const plan = planReconcile({
      node,
      inventory,
      recorded: await recordsOf(deps, inventory, before),
      inFlight: deps.inFlight,
      suspects: before,
      now: deps.now(),
    });
    if (plan.suspects.size === 0) suspects.delete(node);
    else suspects.set(node, plan.suspects);
    await settleLimited(plan.steps, stepsAtOnce, async (step) => {
      try {
        await execute(deps, node, step);
      } catch (thrown) {
        deps.log.warn(
          { err: thrown, node, sandbox: step.id, action: step.action },
          "a sandbox is not put right",
        );
      }
    });
  }

  return {
    async onInventory(inventory) {
      await queue.run(inventory.node, () => reconcile(inventory));
      if (inventory.isWhole) await deps.leftovers.find(inventory.node);
      deps.freed.ring();
    },
    onHealth: (node, health) => queue.run(node, () => changeHealth(deps, node, health)),
    async sweep() {
      for (const node of [...suspects.keys()])
        await queue.run(node, () => reconcile({ node, isWhole: false, sandboxes: [], gone: [] }));
    },
  };
}

/** As a rule all that is new is a sandbox that was recorded before it was reported: its record need not be read for that. */
function withoutAgreed({ metrics }: Deps, inventory: Inventory, suspects: Suspects): Inventory {
  if (inventory.isWhole) return inventory;
  const isAgreed = ({ id, status }: ReportedSandbox) =>
    status === "running" && metrics.isRunningOn(inventory.node, id) && !suspects.has(id);
  return { ...inventory, sandboxes: inventory.sandboxes.filter((sandbox) => !isAgreed(sandbox)) };
}

async function recordsOf(
  { owned }: Deps,
  { node, isWhole, sandboxes, gone }: Inventory,
  suspects: Suspects,
): Promise<ReadonlyMap<string, OwnedSandbox>> {
  const records = new Map<string, OwnedSandbox>();
  if (isWhole) for (const record of await owned.ofNode(node)) records.set(record.id, record);
  for (const id of [...sandboxes.map((sandbox) => sandbox.id), ...gone, ...suspects.keys()]) {
    const record = records.get(id) ?? (await owned.find(id));
    if (record !== undefined) records.set(id, record);
  }
  return records;
}

function execute<A extends ReconcileAction>(
  deps: Deps,
  node: NodeId,
  step: ReconcileStepOf<A>,
): Promise<void> {
  return executors[step.action](deps, node, step);
}

/** The inventory may be older than the record: each step asks the node again, in the sandbox's turn. */
const askAgain = (deps: Deps, _node: NodeId, { id }: ReconcileStep) =>
  deps.turns.run(id, () => putRight(deps, id));

const executors: Executors = {
  adopt: askAgain,
  end: askAgain,
  forget: askAgain,
  async reap(deps, node, { id, request }) {
    await deps.turns.run(id, async () => {
      if (deps.inFlight.has(request) || (await deps.owned.find(id)) !== undefined) return;
      deps.log.info({ node, sandbox: id, request }, "a sandbox that nobody was told of is deleted");
      await deleteOn(deps, node, id);
    });
  },
  async dispute(deps, node, { id, recordedOn }) {
    deps.log.error({ node, sandbox: id, recordedOn }, "a sandbox is on two nodes: neither is touched");
  },
};

async function changeHealth(deps: Deps, node: NodeId, health: NodeHealth): Promise<void> {
  if (health !== "lost") return;
  const lastSeenAt = deps.nodes.get(node).record.seenAt;
  const steps = planLost(await deps.owned.ofNode(node), lastSeenAt);
  deps.log.warn({ node, sandboxes: steps.length }, "a node is lost");
  await settleLimited(steps, stepsAtOnce, async (step) => {
    if (step.action !== "adopt") return;
    await deps.owned.update(step.id, (current) => {
      const mayMove = current.state.status !== "killing" && current.state.status !== "lost";
      return mayMove ? { ...current, state: moveTo(current.state, step.state) } : current;
    });
  });
}
