/** The warm slots that stand ready: made, measured, given away, ended. */
import { DomainError } from "../lib/errors.js";
import { randomId } from "../lib/ids.js";
import type { Sandbox, SandboxId } from "../sandbox/sandbox.js";
import { makeSandbox, planTemplate } from "./create.js";
import type { Deps } from "./deps.js";
import { journaled } from "./record.js";
import { likelySlotBytes, slotBytes } from "./slot-memory.js";
import type { PlannedSlot } from "./slot-plan.js";
import { finishDelete } from "./stop.js";

export interface SlotPool {
  /** Restores one and lets it stand still. */
  make(template: string, signal: AbortSignal): Promise<void>;
  /** Gives one away that was restored from the checkpoint; undefined when none is ready. */
  take(checkpoint: string): Sandbox | undefined;
  /** Ends a slot, whoever has it. What fails is left for the agent's next start. */
  end(id: string): Promise<void>;
  /** Ends one that is ready still: in the meantime a create may have taken it. */
  endReady(id: string): Promise<void>;
  /** Those that are ready, as they are now: measured, and without those that have died. */
  review(): Promise<readonly PlannedSlot[]>;
  /** The same, as they were when last looked at. */
  ready(): readonly PlannedSlot[];
  /** What one more is likely to take: as much as the last one that was restored from the checkpoint. */
  estimate(checkpoint: string): Promise<number>;
}

export function openSlotPool(deps: Deps): SlotPool {
  const ready = new Map<string, PlannedSlot>();
  const sizes = new Map<string, number>();

  const remove = (id: SandboxId) =>
    journaled(deps, { kind: "delete", sandbox: id }, () => finishDelete(deps, id));

  async function end(id: string): Promise<void> {
    ready.delete(id);
    await deps.queue
      .run(id, () => remove(id as SandboxId))
      .catch((err: unknown) => deps.log.warn({ err, slot: id }, "a warm slot cannot be ended"));
  }

  async function make(template: string, signal: AbortSignal): Promise<void> {
    const id = randomId() as SandboxId;
    const plan = planTemplate(deps, { template, env: {} });
    const { checkpoint } = plan;
    await deps.queue.run(id, async () => {
      await makeSandbox(deps, { ...plan, id, labels: {}, isSlot: true }, signal);
      try {
        const bytes = await memoryOf(deps, id);
        if (bytes === undefined) throw new DomainError("internal", `slot ${id} ended as soon as it began`);
        await deps.freezer.freeze(id);
        sizes.set(checkpoint, bytes);
        ready.set(id, { id, template, checkpoint, bytes });
      } catch (thrown) {
        await remove(id);
        throw thrown;
      }
    });
  }

  return {
    make,
    end,
    endReady: async (id) => {
      if (ready.has(id)) await end(id);
    },
    take(checkpoint) {
      for (const slot of ready.values()) {
        if (slot.checkpoint !== checkpoint) continue;
        ready.delete(slot.id);
        const sandbox = deps.store.sandboxes.peek(slot.id);
        if (sandbox?.state.status === "running") return sandbox;
        void end(slot.id);
      }
      return undefined;
    },
    async review() {
      for (const slot of ready.values()) {
        const bytes = await memoryOf(deps, slot.id);
        if (!ready.has(slot.id)) continue;
        if (bytes === undefined) await end(slot.id);
        else ready.set(slot.id, { ...slot, bytes });
      }
      return [...ready.values()];
    },
    ready: () => [...ready.values()],
    estimate: async (checkpoint) => sizes.get(checkpoint) ?? likelySlotBytes(deps, checkpoint),
  };
}

/** Undefined for one that has died. */
async function memoryOf({ store }: Pick<Deps, "store">, id: string): Promise<number | undefined> {
  const state = store.sandboxes.peek(id)?.state;
  if (state?.status !== "running") return undefined;
  return slotBytes(state.pid).catch(() => undefined);
}
